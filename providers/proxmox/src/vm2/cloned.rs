//! `proxmox_cloned_vm`: a copy of a template, of which only what is configured is managed.

use std::collections::{BTreeMap, BTreeSet};

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Context, Cut, Error, Failure, PlanDraft, Resource, Resumed, async_trait};

use crate::client::Client;
use crate::guest::{
    Copy, Guest, Kind, copy, keep_description, keep_origin, known, refuse_taken, resumed,
};
use crate::property::{Properties, gibibytes};
use crate::table::{Change, Parts, Settings, Table as _, parts, words};
use crate::vm2::blocks::{Cpu, Rng, Timeouts, Vga, in_time, unknown_identifier, validate};

/// A virtual machine that is a copy of another. What the configuration does not mention stays as it was copied.
#[derive(Clone, Debug, Default, Resource)]
#[resource(
    name = "proxmox_cloned_vm",
    alias = "proxmox_virtual_environment_cloned_vm"
)]
pub(crate) struct ClonedVm {
    /// Disc drives by their slot.
    #[attr(optional, nested(map))]
    cdrom: Option<BTreeMap<String, ClonedDisc>>,
    #[attr(required, nested(single))]
    clone: Option<CloneSpec>,
    #[attr(optional, nested(single))]
    cpu: Option<Cpu>,
    /// What the template has and the machine shall not have.
    #[attr(optional, nested(single))]
    delete: Option<Removed>,
    #[attr(optional, computed, default = false)]
    delete_unreferenced_disks_on_destroy: bool,
    #[attr(optional)]
    description: Option<String>,
    /// Disks by their slot.
    #[attr(optional, nested(map))]
    disk: Option<BTreeMap<String, Disk>>,
    /// 100 and above; the next free one when it is not set.
    #[attr(optional, computed, replace)]
    id: Option<i64>,
    #[attr(optional, nested(single))]
    memory: Option<Memory>,
    #[attr(optional)]
    name: Option<String>,
    /// Network cards by their slot.
    #[attr(optional, nested(map))]
    network: Option<BTreeMap<String, Card>>,
    #[attr(required, replace, length(1..))]
    node_name: String,
    /// Take the machine out of backup jobs and the like as well.
    #[attr(optional, computed, default = true)]
    purge_on_destroy: bool,
    #[attr(optional, nested(single))]
    rng: Option<Rng>,
    #[attr(optional, computed, default = true)]
    started: bool,
    /// Switch it off in place of shutting it down.
    #[attr(optional, computed, default = false)]
    stop_on_destroy: bool,
    #[attr(optional)]
    tags: Option<BTreeSet<String>>,
    #[attr(optional, nested(single))]
    timeouts: Option<Timeouts>,
    #[attr(optional, nested(single))]
    vga: Option<Vga>,
}

/// A disc drive.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct ClonedDisc {
    /// A volume, `none` for an empty drive, `cdrom` for the node's.
    #[attr(optional)]
    file_id: Option<String>,
}

/// What is copied, and how.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct CloneSpec {
    /// KiB per second.
    #[attr(optional, replace)]
    bandwidth_limit: Option<i64>,
    /// A copy of everything; otherwise the clone depends on the template.
    #[attr(optional, computed, default = true, replace)]
    full: bool,
    #[attr(optional, replace)]
    pool_id: Option<String>,
    /// How often to try a clone whose task failed for a passing reason.
    #[attr(optional, computed, default = 3, replace, range(1..=10))]
    retries: i64,
    #[attr(optional, replace)]
    snapshot_name: Option<String>,
    /// It is found wherever it is.
    #[attr(optional, replace)]
    source_node_name: Option<String>,
    #[attr(required, replace, range(1..))]
    source_vm_id: i64,
    #[attr(optional, replace)]
    target_datastore: Option<String>,
    #[attr(optional, replace)]
    target_format: Option<String>,
}

/// Slots that are to be empty.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Removed {
    #[attr(optional)]
    disk: Option<Vec<String>>,
    #[attr(optional)]
    network: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Disk {
    #[attr(optional)]
    aio: Option<String>,
    #[attr(optional)]
    backup: Option<bool>,
    #[attr(optional)]
    cache: Option<String>,
    /// Where a disk that the template lacks is made.
    #[attr(optional)]
    datastore_id: Option<String>,
    #[attr(optional)]
    discard: Option<String>,
    /// A volume that exists.
    #[attr(optional, length(1..))]
    file: Option<String>,
    #[attr(optional)]
    format: Option<String>,
    /// A volume that the disk becomes a copy of.
    #[attr(optional)]
    import_from: Option<String>,
    #[attr(optional)]
    iothread: Option<bool>,
    #[attr(optional)]
    media: Option<String>,
    #[attr(optional)]
    replicate: Option<bool>,
    #[attr(optional)]
    serial: Option<String>,
    /// Disks grow and never shrink.
    #[attr(optional, range(1..=10240))]
    size_gb: Option<i64>,
    #[attr(optional)]
    ssd: Option<bool>,
}

/// MiB.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Memory {
    /// The least that the balloon leaves; 0 switches it off.
    #[attr(optional, range(0..=268_435_456))]
    balloon: Option<i64>,
    #[attr(optional, one_of("2", "1024", "any"))]
    hugepages: Option<String>,
    #[attr(optional)]
    keep_hugepages: Option<bool>,
    /// Its weight against other machines' when memory is short.
    #[attr(optional, range(0..=50_000))]
    shares: Option<i64>,
    #[attr(optional, range(64..=268_435_456))]
    size: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Card {
    #[attr(optional)]
    bridge: Option<String>,
    #[attr(optional)]
    firewall: Option<bool>,
    #[attr(optional)]
    link_down: Option<bool>,
    #[attr(optional)]
    mac_address: Option<String>,
    #[attr(optional, length(1..))]
    model: Option<String>,
    #[attr(optional, range(576..=9216))]
    mtu: Option<i64>,
    #[attr(optional, range(0..=16))]
    queues: Option<i64>,
    /// Megabytes per second.
    #[attr(optional)]
    rate_limit: Option<f64>,
    #[attr(optional, range(1..=4094))]
    tag: Option<i64>,
    #[attr(optional, range(1..=4094))]
    trunks: Option<BTreeSet<i64>>,
}

parts! {
    Disk alone "file" {
        aio "aio",
        backup "backup",
        cache "cache",
        discard "discard",
        iothread "iothread",
        media "media",
        replicate "replicate",
        serial "serial",
        ssd "ssd",
    }
    Memory {
        balloon "balloon",
        hugepages "hugepages",
        keep_hugepages "keephugepages",
        shares "shares",
        size "memory",
    }
    Card alone "model" {
        model "model",
        bridge "bridge",
        firewall "firewall",
        link_down "link_down",
        mac_address "macaddr",
        queues "queues",
        rate_limit "rate",
        tag "tag",
        mtu "mtu",
        trunks "trunks",
    }
}

/// The parts of a property string, the ones of `own` over those that are there.
fn over(there: Option<&Properties>, own: &impl Parts) -> String {
    let mut out = Properties::default();
    own.write(&mut out);
    let kept = there.into_iter().flat_map(Properties::parts);
    let kept: Vec<_> = kept
        .filter(|(key, _)| out.get(key).is_none() && *key != "size")
        .collect();
    let kept = kept
        .into_iter()
        .fold(Properties::default(), |all, (key, value)| {
            all.with(key, value)
        });
    kept.and(&out).encode("file")
}

/// What is there of the parts that `prior` manages.
fn managed<T: Parts + Clone + Default>(prior: &T, there: &Properties) -> T {
    let mut names = Properties::default();
    prior.write(&mut names);
    let same = there.parts().filter(|(key, _)| names.get(key).is_some());
    let same = same.fold(Properties::default(), |all, (key, value)| {
        all.with(key, value)
    });
    prior.clone().read(&same)
}

/// The parts of a setting, whatever their order. Sizes are not set here.
fn sorted(key: &str, value: &str) -> Vec<(String, String)> {
    let read = match key.starts_with("net") {
        true => card(value),
        false => Properties::parse(value, "file"),
    };
    let parts = read.parts().filter(|(key, _)| *key != "size");
    let mut parts: Vec<_> = parts.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    parts.sort();
    parts
}

/// A card as the server writes it, with a name for each part: `virtio=BC:…` is a model and an address.
fn card(value: &str) -> Properties {
    let models = ["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];
    let read = Properties::parse(value, "model");
    let named = |all: Properties, (key, value): (&str, &str)| match models.contains(&key) {
        true => all.with("model", key).with("macaddr", value),
        false => all.with(key, value),
    };
    read.parts().fold(Properties::default(), named)
}

impl ClonedVm {
    /// What is sent, over what is there now.
    fn settings(&self, now: &Settings) -> Result<Settings, Error> {
        let mut out = Settings::new();
        if let Some(cpu) = &self.cpu {
            cpu.settings(&mut out);
        }
        if let Some(memory) = &self.memory {
            memory.write(&mut out);
        }
        let tags = self
            .tags
            .as_ref()
            .map(|tags| tags.iter().cloned().collect::<Vec<_>>().join(";"));
        let there =
            |key: &str, alone: &str| now.get(key).map(|text| Properties::parse(text, alone));
        let texts = [
            ("name", self.name.clone()),
            (
                "description",
                self.description.as_ref().map(|d| d.trim_end().to_owned()),
            ),
            ("tags", tags),
            (
                "rng0",
                self.rng
                    .as_ref()
                    .map(|rng| over(there("rng0", "source").as_ref(), rng)),
            ),
            (
                "vga",
                self.vga
                    .as_ref()
                    .map(|vga| over(there("vga", "type").as_ref(), vga)),
            ),
        ];
        let said = texts
            .into_iter()
            .filter_map(|(key, text)| Some((key.to_owned(), text?)));
        out.extend(said.filter(|(_, text)| !text.is_empty()));
        for (slot, disc) in self.cdrom.iter().flatten() {
            let file = disc.file_id.as_deref().unwrap_or("cdrom");
            out.insert(slot.clone(), format!("{file},media=cdrom"));
        }
        for (slot, own) in self.network.iter().flatten() {
            let there = now.get(slot).map(|text| card(text));
            let own = match there.is_none() && own.model.is_none() {
                true => Card {
                    model: Some("virtio".into()),
                    ..own.clone()
                },
                false => own.clone(),
            };
            out.insert(slot.clone(), over(there.as_ref(), &own));
        }
        for (slot, disk) in self.disk.iter().flatten() {
            out.insert(slot.clone(), disk.value(slot, there(slot, "file"))?);
        }
        Ok(out)
    }

    /// Slots that are to be empty and are not.
    fn deletions(&self, now: &Settings) -> Vec<String> {
        let removed = self.delete.iter();
        let slots = removed.flat_map(|r| r.disk.iter().flatten().chain(r.network.iter().flatten()));
        slots
            .filter(|slot| now.contains_key(*slot))
            .cloned()
            .collect()
    }

    /// Sends what differs from what is there, and lets disks grow.
    async fn apply(&self, guest: &Guest<'_>, timeout: std::time::Duration) -> Result<(), Error> {
        let now = guest.present().await?;
        let mut change = Change {
            set: self.settings(&now)?,
            delete: self.deletions(&now),
        };
        change.set.retain(|key, value| {
            let there = now.get(key);
            there.is_none_or(|there| sorted(key, there) != sorted(key, value))
        });
        guest
            .change(change, now.get("digest").map(String::as_str))
            .await?;
        let now = guest.present().await?;
        for (slot, disk) in self.disk.iter().flatten() {
            let there = now
                .get(slot)
                .and_then(|text| gibibytes(Properties::parse(text, "file").get("size")?));
            let Some((there, wanted)) = there.zip(disk.size_gb) else {
                continue;
            };
            if wanted < there {
                let said =
                    format!("{slot} holds {there} GiB, and disks cannot shrink to {wanted} GiB");
                let place = Path::root()
                    .attr("disk")
                    .index(Value::string(slot))
                    .attr("size_gb");
                let error = Error::new(format!("resize {slot} of {}", guest.name()), said);
                return Err(error
                    .remedy(format!("Set `size_gb` to {there} or more."))
                    .at(place));
            }
            if wanted > there {
                guest.grow(slot, &format!("{wanted}G"), timeout).await?;
            }
        }
        Ok(())
    }

    /// What is managed, as it is.
    fn read_from(mut self, config: &Settings, running: bool) -> ClonedVm {
        let text = |key: &str| config.get(key).cloned();
        self.started = running;
        if let Some(prior) = self.description.take() {
            let found = text("description").unwrap_or_default();
            let same = found.trim_end() == prior.trim_end();
            self.description = Some(if same {
                prior
            } else {
                found.trim_end().to_owned()
            });
        }
        self.name = self.name.and_then(|_| text("name"));
        let tags = |_| {
            words(config.part("tags").unwrap_or_default(), &[';', ',', ' '])
                .into_iter()
                .collect()
        };
        self.tags = self.tags.map(tags);
        let property =
            |key: &str, alone: &str| Properties::parse(config.part(key).unwrap_or_default(), alone);
        self.vga = self.vga.map(|vga| managed(&vga, &property("vga", "type")));
        self.rng = self
            .rng
            .map(|rng| managed(&rng, &property("rng0", "source")));
        self.memory = self.memory.map(|memory| {
            let mut names = Settings::new();
            memory.write(&mut names);
            let same = config.iter().filter(|(key, _)| names.contains_key(*key));
            memory.read(
                &same
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect::<Settings>(),
            )
        });
        self.cpu = self.cpu.map(|cpu| cpu.managed(config));
        for (slot, own) in self.network.iter_mut().flatten() {
            let there = card(config.part(slot).unwrap_or_default());
            let mac = own.mac_address.clone();
            *own = managed(own, &there);
            // People write MAC addresses in either case.
            if let (Some(mac), Some(found)) = (mac, own.mac_address.as_mut())
                && mac.eq_ignore_ascii_case(found)
            {
                *found = mac;
            }
        }
        for (slot, own) in self.disk.iter_mut().flatten() {
            let there = property(slot, "file");
            *own = managed(own, &there);
            own.size_gb = own.size_gb.and_then(|_| gibibytes(there.get("size")?));
        }
        for (slot, own) in self.cdrom.iter_mut().flatten() {
            own.file_id = own
                .file_id
                .take()
                .and_then(|_| property(slot, "file").get("file").map(str::to_owned));
        }
        self
    }

    async fn guest<'a>(
        &self,
        client: &'a Client,
        cx: &'a Context,
    ) -> Result<Option<(Guest<'a>, bool)>, Error> {
        let id = self.id.ok_or_else(unknown_identifier)?;
        let found = Guest::find(client, cx, Kind::Machine, id).await?;
        Ok(found.map(|(guest, row)| (guest, row.running)))
    }

    fn timeout(&self, pick: impl Fn(&Timeouts) -> Option<&String>) -> std::time::Duration {
        Timeouts::of(self.timeouts.as_ref(), pick, 30)
    }
}

impl Disk {
    /// Over what is there; or what makes it.
    fn value(&self, slot: &str, there: Option<Properties>) -> Result<String, Error> {
        let place = |name: &str| {
            Path::root()
                .attr("disk")
                .index(Value::string(slot))
                .attr(name)
        };
        if let Some(there) = there {
            let volume = self
                .file
                .as_deref()
                .or(there.get("file"))
                .unwrap_or_default()
                .to_owned();
            let there = Properties::default()
                .with("file", volume)
                .and(&there.without("file"));
            return Ok(over(Some(&there), self));
        }
        let missing = |name: &str| {
            let said = format!("the template has no disk in {slot}, and `{name}` is not set");
            Error::new(format!("make the disk {slot}"), said).at(place(name))
        };
        let start = match (&self.file, &self.import_from) {
            (Some(file), _) => Properties::default().with("file", file),
            (None, image) => {
                let storage = self
                    .datastore_id
                    .as_ref()
                    .ok_or_else(|| missing("datastore_id"))?;
                let size = match image {
                    Some(_) => 0,
                    None => self.size_gb.ok_or_else(|| missing("size_gb"))?,
                };
                Properties::default()
                    .with("file", format!("{storage}:{size}"))
                    .text("import-from", image.as_deref().unwrap_or_default())
                    .text("format", self.format.as_deref().unwrap_or_default())
            }
        };
        Ok(over(Some(&start), self))
    }
}

#[async_trait]
impl Resource for ClonedVm {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        let id = |value: &Value| value.get("id").and_then(|id| id.as_i64());
        if draft.is_create() {
            if let (Some(client), Some(id)) = (client, id(draft.planned())) {
                refuse_taken(client, cx, "VM", id, "id").await?;
            }
            return Ok(());
        }
        if let (Some(client), Some(id)) = (client, id(draft.prior())) {
            client.manages(id);
        }
        keep_description(draft)?;
        keep_origin(draft, &Path::root().attr("clone"))?;
        let (Some(old), Some(new)) = (
            known::<ClonedVm>(draft.prior()),
            known::<ClonedVm>(draft.planned()),
        ) else {
            return Ok(());
        };
        for (slot, disk) in new.disk.iter().flatten() {
            let before = old.disk.as_ref().and_then(|disks| disks.get(slot)?.size_gb);
            if let Some((before, wanted)) = before.zip(disk.size_gb)
                && wanted < before
            {
                let place = Path::root()
                    .attr("disk")
                    .index(Value::string(slot))
                    .attr("size_gb");
                let detail = format!(
                    "{slot} holds {before} GiB, and disks cannot shrink to {wanted} GiB. Set `size_gb` to {before} or more."
                );
                return Err(Diagnostic::error("Disks cannot shrink", detail)
                    .attribute(place)
                    .into());
            }
        }
        for block in ["cpu", "memory", "rng", "vga"] {
            if draft.changes(block) {
                let when = if old.started { "restart" } else { "start" };
                draft.note(format!("{block}: at the next {when}"));
            }
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let Some(from) = &planned.clone else {
            return Err(Error::new("clone a VM", "the plan has no `clone`").into());
        };
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        let limit = from
            .bandwidth_limit
            .map(|limit| limit.to_string())
            .unwrap_or_default();
        let more = [
            ("name", said(&planned.name)),
            ("description", said(&planned.description)),
            ("pool", said(&from.pool_id)),
            ("snapname", said(&from.snapshot_name)),
            ("format", said(&from.target_format)),
            ("bwlimit", limit),
        ];
        let order = Copy {
            kind: Kind::Machine,
            source: from.source_vm_id,
            wanted: planned.id,
            full: from.full,
            node: &planned.node_name,
            storage: from.target_datastore.as_deref().unwrap_or_default(),
            more: more
                .iter()
                .map(|(key, value)| (*key, value.as_str()))
                .collect(),
            attempts: from.retries,
            timeout: planned.timeout(|t| t.create.as_ref()),
        };
        let vm = &planned;
        let id = copy(client, cx, &order, |id| async move {
            let known = ClonedVm {
                id: Some(id),
                ..vm.clone()
            };
            cx.identified(&known).await
        })
        .await?;
        let mut made = ClonedVm {
            id: Some(id),
            ..planned.clone()
        };
        let guest = Guest::new(client, cx, Kind::Machine, &made.node_name, id);
        let finished = async {
            made.apply(&guest, order.timeout).await?;
            if made.started {
                guest.start(order.timeout).await?;
            }
            guest.present().await
        };
        match finished.await {
            Ok(config) => {
                let started = made.started;
                Ok(made.read_from(&config, started))
            }
            Err(error) => {
                made.started = false;
                Err(Failure::partial(error, made))
            }
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let timeouts = prior.timeouts.as_ref();
        let found = in_time(timeouts.and_then(|t| t.read.as_ref()), async {
            let Some((guest, running)) = prior.guest(client, cx).await? else {
                return Ok(None);
            };
            Ok(guest.config().await?.map(|config| (config, running)))
        });
        let found = found.await?;
        Ok(found.map(|(config, running)| prior.read_from(&config, running)))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let found = prior.guest(client, cx).await?;
        let (guest, running) =
            found.ok_or_else(|| Error::not_found("change the VM", "it is gone"))?;
        let timeout = planned.timeout(|t| t.update.as_ref());
        planned.apply(&guest, timeout).await?;
        match (running, planned.started) {
            (false, true) => guest.start(timeout).await?,
            (true, false) if planned.stop_on_destroy => guest.switch_off(timeout).await?,
            (true, false) => guest.shut_down(timeout).await?,
            _ => {}
        }
        let started = planned.started;
        Ok(planned.read_from(&guest.present().await?, started))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        client.guests_changed().await;
        let Some((guest, _)) = prior.guest(client, cx).await? else {
            return Ok(());
        };
        let timeout = prior.timeout(|t| t.delete.as_ref());
        let flags = (
            prior.purge_on_destroy,
            prior.delete_unreferenced_disks_on_destroy,
        );
        guest
            .stop_and_destroy(prior.stop_on_destroy, flags.0, flags.1, timeout)
            .await
    }

    async fn resume(client: &Client, cut: Cut<Self>, cx: &Context) -> Result<Resumed<Self>, Error> {
        let Some(known) = &cut.known else {
            return Ok(Resumed::Absent);
        };
        client.guests_changed().await;
        if let Some((guest, _)) = known.guest(client, cx).await? {
            guest.made(known.timeout(|t| t.create.as_ref())).await?;
        }
        let found = Self::read(client, known.clone(), cx).await?;
        Ok(resumed(&cut, found, |machine| machine.name.clone()))
    }

    /// `NODE/ID`, or the identifier alone.
    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let (id, node_name) = crate::guest::import(client, cx, Kind::Machine, id).await?;
        Ok(ClonedVm {
            id: Some(id),
            node_name,
            purge_on_destroy: true,
            ..ClonedVm::default()
        })
    }

    fn key(&self) -> Option<String> {
        self.id.map(crate::guest::key)
    }
}
