//! The blocks that `proxmox_vm`, `proxmox_cloned_vm` and the data source share: what is not set is left to the server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::wait::parse_duration;
use stead_sdk::{Block, Error};

use crate::property::Properties;
use crate::table::{Parts, Settings, Table as _, parts, words};

/// The blocks once as what people configure, and once as what a data source finds.
macro_rules! blocks {
    ($flag:ident: $cpu:ident $rng:ident $vga:ident $disc:ident($($file:tt)+)) => {
        #[derive(Clone, Debug, Default, PartialEq, Block)]
        pub(crate) struct $cpu {
            /// Processors of the node, such as `0-1,4`; only root@pam, logged in with its password, may set this.
            #[attr($flag)]
            pub(crate) affinity: Option<String>,
            /// As `affinity`, for root@pam only.
            #[attr($flag, one_of("aarch64", "x86_64"))]
            pub(crate) architecture: Option<String>,
            #[attr($flag, range(1..=1024))]
            pub(crate) cores: Option<i64>,
            #[attr($flag, requires("type"))]
            pub(crate) flags: Option<BTreeSet<String>>,
            /// How many processors' worth of time the machine may have.
            #[attr($flag, range(0..=128))]
            pub(crate) limit: Option<f64>,
            #[attr($flag)]
            pub(crate) numa: Option<bool>,
            #[attr($flag, range(1..=16))]
            pub(crate) sockets: Option<i64>,
            #[attr($flag)]
            pub(crate) r#type: Option<String>,
            /// Its weight against other machines'.
            #[attr($flag, range(0..))]
            pub(crate) units: Option<i64>,
            /// How many processors are plugged in at the start.
            #[attr($flag, range(1..=1024))]
            pub(crate) vcpus: Option<i64>,
        }

        #[derive(Clone, Debug, Default, PartialEq, Block)]
        pub(crate) struct $rng {
            /// Bytes per period.
            #[attr($flag, range(0..))]
            pub(crate) max_bytes: Option<i64>,
            /// Milliseconds.
            #[attr($flag, range(0..))]
            pub(crate) period: Option<i64>,
            /// Such as `/dev/urandom`.
            #[attr($flag, length(1..))]
            pub(crate) source: Option<String>,
        }

        #[derive(Clone, Debug, Default, PartialEq, Block)]
        pub(crate) struct $vga {
            #[attr($flag, one_of("vnc"))]
            pub(crate) clipboard: Option<String>,
            /// MiB.
            #[attr($flag, range(4..=512))]
            pub(crate) memory: Option<i64>,
            #[attr($flag)]
            pub(crate) r#type: Option<String>,
        }

        /// A disc drive, by its slot.
        #[derive(Clone, Debug, Default, PartialEq, Block)]
        pub(crate) struct $disc {
            /// A volume, `none` for an empty drive, `cdrom` for the node's.
            #[attr($($file)+)]
            pub(crate) file_id: Option<String>,
        }

        parts! {
            $cpu {
                affinity "affinity",
                architecture "arch",
                cores "cores",
                limit "cpulimit",
                numa "numa",
                sockets "sockets",
                units "cpuunits",
                vcpus "vcpus",
            }
            $rng alone "source" { source "source", max_bytes "max_bytes", period "period" }
            $vga alone "type" { clipboard "clipboard", memory "memory", r#type "type" }
        }

        impl $cpu {
            pub(crate) fn found(config: &Settings) -> Option<$cpu> {
                let mut cpu = $cpu::default().read(config);
                if let Some(processor) = config.part("cpu") {
                    let read = Properties::parse(processor, "cputype");
                    cpu.r#type = read.get("cputype").map(str::to_owned);
                    let flags = read.get("flags").map(|flags| words(flags, &[';']));
                    cpu.flags = flags.map(|flags| flags.into_iter().collect());
                }
                (cpu != $cpu::default()).then_some(cpu)
            }
        }

        impl $disc {
            /// All disc drives but that of cloud-init.
            pub(crate) fn found(config: &Settings) -> BTreeMap<String, $disc> {
                let discs = config.iter().filter(|(slot, drive)| {
                    let disc = drive.contains("media=cdrom") && !drive.contains("cloudinit");
                    disc && crate::vm::is_drive(slot)
                });
                let disc = |(slot, drive): (&String, &String)| {
                    let file = Properties::parse(drive, "file");
                    let file_id = file.get("file").map(str::to_owned);
                    (slot.clone(), $disc { file_id })
                };
                discs.map(disc).collect()
            }
        }
    };
}

blocks!(optional: Cpu Rng Vga Disc(optional, computed, default = "cdrom"));
blocks!(computed: FoundCpu FoundRng FoundVga FoundDisc(computed));

impl Cpu {
    pub(crate) fn settings(&self, out: &mut Settings) {
        self.write(out);
        let Some(kind) = &self.r#type else { return };
        let flags = self.flags.iter().flatten().map(String::as_str);
        let flags = flags.collect::<Vec<_>>().join(";");
        out.put(
            "cpu",
            match flags.is_empty() {
                true => kind.clone(),
                false => format!("cputype={kind},flags={flags}"),
            },
        );
    }

    /// What is there of what is managed.
    pub(crate) fn managed(self, config: &Settings) -> Cpu {
        let mut names = Settings::new();
        self.settings(&mut names);
        let same = config.iter().filter(|(key, _)| names.contains_key(*key));
        let found = Cpu::found(&same.map(|(k, v)| (k.clone(), v.clone())).collect());
        let found = found.unwrap_or_default();
        // No flags are as good as an empty set of them.
        let flags = match self.flags {
            Some(flags) if flags.is_empty() && found.flags.is_none() => Some(flags),
            None if found.flags.as_ref().is_some_and(BTreeSet::is_empty) => None,
            _ => found.flags.clone(),
        };
        Cpu { flags, ..found }
    }
}

/// A property string under a key; `None` when it is not there.
pub(crate) fn found<T: Parts + Default>(config: &Settings, key: &str) -> Option<T> {
    config.part(key).map(|text| T::default().decode(text))
}

/// How long an operation may take, such as `30m`.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Timeouts {
    #[attr(optional)]
    pub(crate) create: Option<String>,
    #[attr(optional)]
    pub(crate) delete: Option<String>,
    #[attr(optional)]
    pub(crate) read: Option<String>,
    #[attr(optional)]
    pub(crate) update: Option<String>,
}

impl Timeouts {
    /// One of them, or the default in minutes.
    pub(crate) fn of(
        timeouts: Option<&Timeouts>,
        pick: impl Fn(&Timeouts) -> Option<&String>,
        minutes: u64,
    ) -> Duration {
        let wanted = timeouts.and_then(|t| parse_duration(pick(t)?));
        let wanted = wanted.unwrap_or(Duration::from_secs(minutes * 60));
        wanted.min(crate::guest::LONGEST)
    }
}

/// Reads a machine in the time that `timeouts` gives it; without one, as long as the server's answers may take.
pub(crate) async fn in_time<T>(
    limit: Option<&String>,
    read: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(text) = limit else {
        return read.await;
    };
    let limit = parse_duration(text).ok_or_else(|| {
        let error = Error::new(
            "read the VM",
            format!("{text:?} is not a duration such as 15m"),
        );
        error.attribute("timeouts")
    })?;
    let read = tokio::time::timeout(limit.min(crate::guest::LONGEST), read);
    read.await.unwrap_or_else(|_| {
        let error = Error::new("read the VM", format!("it took longer than {text}"));
        let error = error
            .remedy("Give `read` in `timeouts` more time, or look at what keeps the cluster busy.");
        Err(error.attribute("timeouts"))
    })
}

/// What is wrong with timeouts and slots.
pub(crate) fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    let root = Path::root();
    for name in ["create", "delete", "read", "update"] {
        let path = root.attr("timeouts").attr(name);
        let text = config.at(&path).and_then(|t| t.as_str().map(str::to_owned));
        if let Some(text) = text.filter(|text| parse_duration(text).is_none()) {
            let detail = format!("{text:?} is not a duration such as 15m or 90s.");
            found.push(Diagnostic::error("Invalid duration", detail).attribute(path));
        }
    }
    let card = |slot: &str| {
        slot.strip_prefix("net")
            .is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n < 32))
    };
    let groups: [(&str, &dyn Fn(&str) -> bool, &str); 3] = [
        ("cdrom", &crate::vm::is_drive, "ide2"),
        ("disk", &crate::vm::is_drive, "scsi0"),
        ("network", &card, "net0"),
    ];
    for (block, is_slot, example) in groups {
        let slots = config.get(block);
        let slots = slots
            .as_ref()
            .and_then(Value::as_entries)
            .into_iter()
            .flatten();
        for (slot, _) in slots.filter(|(slot, _)| !is_slot(slot)) {
            let path = root.attr(block).index(Value::string(slot));
            let detail = format!("{slot:?} is no slot of `{block}`: write one such as {example}.");
            found.push(Diagnostic::error("Invalid slot", detail).attribute(path));
        }
    }
    found
}

pub(crate) fn unknown_identifier() -> Error {
    Error::new("find the VM", "the state has no `id`")
}
