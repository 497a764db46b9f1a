//! The API's answer as attributes. As with machines, a block that people left out stays out while it says nothing of its own.

use crate::client::Row;
use crate::container::schema::{
    Console, Container, Cpu, Device, Disk, Dns, Features, IdMap, Initialization, Memory,
    MountPoint, NetworkInterface, OperatingSystem,
};
use crate::guest::{IpConfig, Shown, Startup, described, tags};
use crate::property::{Properties, bytes, gibibytes};
use crate::table::{Parts, Settings, Table as _, indexed, words};

/// The container as it is. `prior` says what is managed; `importing` takes in all there is.
pub(crate) fn container(
    prior: Container,
    row: &Row,
    config: &Settings,
    importing: bool,
) -> Container {
    let shown = Shown {
        all: importing,
        drift: prior.clone.is_none(),
    };
    // A clone is what it was copied from, whatever its configuration leaves at the default.
    let copied = prior.clone.is_some() && !prior.unprivileged;
    let mut found = prior.read(config);
    found.unprivileged &= !copied;
    let get = |key: &str| config.get(key);
    found.id = row.id.to_string();
    found.vm_id = Some(row.id);
    if importing {
        found.node_name.clone_from(&row.node);
    }
    found.description = described(found.description, get("description"));
    found.tags = tags(found.tags, get("tags"));
    found.template = get("template").map_or(row.template, |t| crate::property::is_on(t));
    if !found.template {
        found.started = row.running;
    }
    // A membership that is managed elsewhere is none of ours.
    if importing || !found.pool_id.is_empty() {
        found.pool_id.clone_from(&row.pool);
    }
    if shown.all || shown.drift || !found.environment_variables.is_empty() {
        let environment = config.part("env").unwrap_or_default().split('\0');
        let pairs = environment.filter_map(|pair| pair.split_once('='));
        let owned = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        found.environment_variables = owned.collect();
    }
    blocks(&mut found, shown, config);
    volumes(&mut found, shown, config);
    if shown.devices(&found.network_interface) {
        found.network_interface = cards(&found.network_interface, config);
    }
    if importing || found.initialization.is_some() {
        let prior = found.initialization.take();
        found.initialization = Some(initialization(prior, shown, config));
    }
    found
}

fn blocks(found: &mut Container, shown: Shown, config: &Settings) {
    let console = Console::default().read(config);
    found.console = shown.block(found.console.as_ref(), console, &Console::plain());
    let cpu = Cpu::default().read(config);
    found.cpu = shown.block(found.cpu.as_ref(), cpu, &Cpu::plain());
    let memory = Memory::default().read(config);
    found.memory = shown.block(found.memory.as_ref(), memory, &Memory::plain());
    let features = Features::default().decode(config.part("features").unwrap_or_default());
    let plain = Features::default();
    found.features = match shown.all && features == plain {
        true => None,
        false => shown.block(found.features.as_ref(), features, &plain),
    };
    let startup = config
        .get("startup")
        .map(|text| Startup::default().decode(text));
    found.startup = match (startup, found.startup.take()) {
        (None, Some(_)) => Some(Startup::default().decode("")),
        (startup, prior) => shown.device(prior.as_ref(), startup),
    };
    if let Some(os) = &mut found.operating_system {
        *os = os.clone().read(config);
    } else if shown.all {
        found.operating_system = Some(OperatingSystem::default().read(config));
    }
    if shown.devices(&found.device_passthrough) {
        let devices = indexed(config, "dev").into_iter();
        found.device_passthrough = devices.map(|(_, v)| Device::default().decode(v)).collect();
    }
    let lines = config.part("lxc").unwrap_or_default().lines();
    found.idmap = lines.filter_map(id_map).collect();
}

/// `lxc.idmap u 0 100000 65536`
fn id_map(line: &str) -> Option<IdMap> {
    let mut words = line.strip_prefix("lxc.idmap")?.split_whitespace();
    let kind = match words.next()? {
        "u" => "uid",
        "g" => "gid",
        _ => return None,
    };
    let mut number = || words.next()?.parse().ok();
    Some(IdMap {
        r#type: kind.to_owned(),
        container_id: number()?,
        host_id: number()?,
        size: number()?,
    })
}

fn volumes(found: &mut Container, shown: Shown, config: &Settings) {
    let root = Properties::parse(config.part("rootfs").unwrap_or_default(), "volume");
    let volume = root.get("volume").unwrap_or_default();
    let disk = Disk {
        datastore_id: volume.split_once(':').map_or("", |v| v.0).to_owned(),
        path_in_datastore: volume.to_owned(),
        size: root.get("size").and_then(gibibytes).unwrap_or(0),
        ..Disk::default().read(&root)
    };
    // Where the root file system is and how large is nobody's configuration when there is no block.
    found.disk = (shown.all || found.disk.is_some()).then_some(disk);
    if shown.devices(&found.mount_point) {
        let points = indexed(config, "mp").into_iter().enumerate();
        let prior = std::mem::take(&mut found.mount_point);
        found.mount_point = points
            .map(|(i, (_, v))| mount_point(prior.get(i), v))
            .collect();
    }
}

/// What people wrote stays when it means what is there: a storage alone, a size in another unit, a path without its slash.
fn mount_point(prior: Option<&MountPoint>, value: &str) -> MountPoint {
    let read = Properties::parse(value, "volume");
    let volume = read.get("volume").unwrap_or_default();
    let mut point = MountPoint {
        volume: volume.to_owned(),
        path_in_datastore: volume.to_owned(),
        size: read.get("size").unwrap_or_default().to_owned(),
        ..MountPoint::default().read(&read)
    };
    if let Some(prior) = prior {
        if prior.is_on_the_storage_of(volume) {
            point.volume.clone_from(&prior.volume);
        }
        if bytes(&prior.size) == bytes(&point.size) || prior.size.is_empty() {
            point.size.clone_from(&prior.size);
        }
        if prior.path.trim_start_matches('/') == point.path.trim_start_matches('/') {
            point.path.clone_from(&prior.path);
        }
    }
    point
}

impl MountPoint {
    /// Whether this is what was written for a volume that the server has chosen a name for.
    pub(crate) fn is_on_the_storage_of(&self, volume: &str) -> bool {
        let storage = |volume: &str| {
            volume
                .split_once(':')
                .map_or_else(|| volume.to_owned(), |v| v.0.to_owned())
        };
        let new = self
            .volume
            .split_once(':')
            .is_none_or(|(_, rest)| rest.parse::<f64>().is_ok());
        !self.is_of_the_node() && new && storage(&self.volume) == storage(volume)
    }
}

/// The cards by slot. One that is switched off is not on the server, and keeps its place.
fn cards(prior: &[NetworkInterface], config: &Settings) -> Vec<NetworkInterface> {
    let found = indexed(config, "net");
    let slots = found.last().map_or(0, |f| f.0 + 1);
    let slots = prior
        .iter()
        .rposition(|card| !card.enabled)
        .map_or(slots, |i| slots.max(i + 1));
    let card = |slot: usize| {
        let prior = prior.get(slot);
        let Some((_, value)) = found.iter().find(|f| f.0 == slot) else {
            return prior.filter(|card| !card.enabled).cloned();
        };
        let mut card = NetworkInterface {
            enabled: true,
            ..NetworkInterface::default().decode(value)
        };
        // People write MAC addresses in either case.
        match prior.filter(|p| p.mac_address.eq_ignore_ascii_case(&card.mac_address)) {
            Some(prior) => card.mac_address.clone_from(&prior.mac_address),
            None => card.mac_address.make_ascii_uppercase(),
        }
        Some(card)
    };
    (0..slots).filter_map(card).collect()
}

fn initialization(
    prior: Option<Initialization>,
    shown: Shown,
    config: &Settings,
) -> Initialization {
    let importing = prior.is_none();
    let prior = prior.unwrap_or_default();
    let text = |key: &str| config.part(key).unwrap_or_default().to_owned();
    let servers = words(&text("nameserver"), &[' ', ',', ';']);
    let domain = text("searchdomain");
    let has_dns = !servers.is_empty() || !domain.is_empty();
    let single = prior.dns.as_ref().is_some_and(|dns| !dns.server.is_empty());
    let mut addresses: Vec<_> = indexed(config, "net")
        .into_iter()
        .map(|(_, card)| IpConfig::read(&Properties::parse(card, "")))
        .collect();
    // Blocks with nothing in them have no counterpart in the API.
    let written = prior.ip_config.len();
    let last = addresses
        .iter()
        .rposition(|a| *a != IpConfig::default())
        .map_or(0, |i| i + 1);
    let last = if shown.inner(written > 0, true) {
        last
    } else {
        0
    };
    addresses.resize(last.max(written), IpConfig::default());
    Initialization {
        entrypoint: match shown.inner(!prior.entrypoint.is_empty(), true) {
            true => text("entrypoint"),
            false => String::new(),
        },
        // The server gives a name to what has none.
        hostname: match prior.hostname.is_empty() && !importing {
            true => String::new(),
            false => text("hostname"),
        },
        dns: shown.inner(prior.dns.is_some(), has_dns).then_some(Dns {
            domain,
            server: if single {
                servers.join(" ")
            } else {
                String::new()
            },
            servers: if single { Vec::new() } else { servers },
        }),
        ip_config: addresses,
        user_account: prior.user_account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_the_server_named_stays_what_people_wrote() {
        let wrote = |volume: &str| MountPoint {
            volume: volume.into(),
            size: "2G".into(),
            path: "data".into(),
            ..MountPoint::default()
        };
        let found = "tank:subvol-7-disk-1,mp=/data,size=2048M";
        let read = mount_point(Some(&wrote("tank")), found);
        assert_eq!(
            (read.volume.as_str(), read.size.as_str(), read.path.as_str()),
            ("tank", "2G", "data")
        );
        assert_eq!(read.path_in_datastore, "tank:subvol-7-disk-1");
        assert_eq!(mount_point(Some(&wrote("tank:4")), found).volume, "tank:4");
        assert_eq!(
            mount_point(Some(&wrote("other")), found).volume,
            "tank:subvol-7-disk-1"
        );
        assert_eq!(mount_point(None, found).size, "2048M");
    }

    #[test]
    fn id_maps_are_read_from_the_raw_lines() {
        let config = Settings::from([(
            "lxc".into(),
            "lxc.idmap u 0 100000 1000\nlxc.apparmor.profile unconfined".into(),
        )]);
        let found = container(Container::default(), &Row::of(7, "pve"), &config, false);
        let expected = IdMap {
            r#type: "uid".into(),
            container_id: 0,
            host_id: 100_000,
            size: 1000,
        };
        assert_eq!(found.idmap, [expected]);
    }
}
