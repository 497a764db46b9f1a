//! A simulated Talos machine: its disks, its boots, and the state that the API shows.

mod address;
mod apply;
mod boot;
mod cgroups;
mod disk;
mod faults;
mod files;
mod journal;
mod listen;
mod status;
mod workload;

pub(crate) use address::Link;
pub(crate) use boot::bootable;
pub(crate) use disk::{Disk, EtcdData, file_name, remove};
pub(crate) use files::{Content, File};
pub(crate) use journal::{Journal, Line as LogLine, Recorded, seconds_of};
pub(crate) use status::Stage;
pub(crate) use workload::{Container, Image, KUBERNETES, SYSTEM, kubelet_image, static_pods};

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use ipnet::IpNet;
use stead_lab_core::machine::{Guest, GuestInterface, Hardware, ImageLabel};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::version::{Line, Version};
use crate::world::World;

/// What a running node is told to do next.
#[derive(Clone)]
pub(crate) enum Order {
    Reboot,
    Shutdown,
    Reset(Reset),
    /// Install this system into the other slot, then boot it.
    Upgrade(ImageLabel),
    Rollback,
}

impl Order {
    /// The sequence's name, and its phases up to the end of the services.
    fn sequence(&self) -> (&'static str, &'static [&'static str]) {
        match self {
            Order::Reboot | Order::Rollback => ("reboot", &["cleanup", "stopEverything"]),
            Order::Shutdown => ("shutdown", &["storeShutdown", "drain", "cleanup"]),
            Order::Reset(_) => ("reset", &["drain", "cleanup", "leave"]),
            Order::Upgrade(_) => ("upgrade", &["drain", "cleanup", "stopServices"]),
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Reset {
    pub(crate) graceful: bool,
    pub(crate) reboot: bool,
    /// Wipe the partition with the configuration.
    pub(crate) state: bool,
    /// Wipe the partition with etcd's and the kubelet's data.
    pub(crate) ephemeral: bool,
    /// Wipe the whole system disk.
    pub(crate) everything: bool,
}

/// The life of a node from power-on or reboot until it goes down.
pub(crate) struct Boot {
    pub(crate) id: String,
    pub(crate) started: SystemTime,
    pub(crate) stage: Stage,
    pub(crate) image: ImageLabel,
    pub(crate) line: Line,
    /// In effect; the one on disk may differ (staged, or tried).
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) links: Vec<Link>,
    /// Whether the configured machine API answers.
    pub(crate) api_up: bool,
    pub(crate) etcd_running: bool,
    pub(crate) etcd_healthy: bool,
    /// etcd was stopped here by leaving; it stays away until the next boot.
    pub(crate) etcd_left: bool,
    /// etcd could not start with what it was given.
    pub(crate) etcd_failed: bool,
    /// A snapshot that was sent, for a recovery.
    pub(crate) recovery: Option<Vec<u8>>,
    pub(crate) kubelet_running: bool,
    /// The kubelet is between its end and its next start.
    pub(crate) kubelet_held: bool,
    /// Versions of resources by type and identifier, each with the content that it stands for.
    pub(crate) versions: HashMap<(String, String), ([u8; 32], u64)>,
    /// Set when a configuration is being tried: cancels its return.
    pub(crate) trial: Option<CancellationToken>,
    /// What the machine API shows under the fault `certificate-expired`.
    expired: Option<Arc<rustls::ServerConfig>>,
    pub(crate) rebooting: bool,
    /// Where the journal begins to tell of the end of this boot.
    pub(crate) ending: Option<u64>,
    pub(crate) applying: bool,
    /// Services that somebody stopped through the API.
    pub(crate) stopped: BTreeSet<String>,
    /// Counts changes, for versions of resources.
    pub(crate) changes: u64,
    pub(crate) journal: Journal,
}

struct State {
    hardware: Hardware,
    disk: Disk,
    /// Cancelled when the power goes.
    power: Option<CancellationToken>,
    /// Counts how often the machine was switched on.
    switched_on: u64,
    boot: Option<Boot>,
    /// The identifier and the journal of the boot before: who followed it when it ended is still told its end.
    ended: Option<(String, Journal)>,
    order: Option<Order>,
    /// The next start goes through the firmware, as somebody asked.
    power_cycle: bool,
    /// How often it started so.
    power_cycles: u64,
}

/// One machine. Lives as long as its disks.
pub(crate) struct Node {
    pub(crate) id: String,
    world: Weak<World>,
    state: Mutex<State>,
    /// Bumped at every change of what the API shows.
    revision: watch::Sender<u64>,
    /// An order or a configuration came.
    wake: Notify,
    off: watch::Sender<bool>,
}

impl Node {
    pub(crate) fn new(world: &Arc<World>, hardware: Hardware, disk: Disk) -> Arc<Node> {
        Arc::new(Node {
            id: hardware.id.clone(),
            world: Arc::downgrade(world),
            state: Mutex::new(State {
                hardware,
                disk,
                power: None,
                switched_on: 0,
                boot: None,
                ended: None,
                order: None,
                power_cycle: false,
                power_cycles: 0,
            }),
            revision: watch::Sender::new(0),
            wake: Notify::new(),
            off: watch::Sender::new(true),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn world(&self) -> Option<Arc<World>> {
        self.world.upgrade()
    }

    /// Follows changes of what the API shows.
    pub(crate) fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Tells followers, and the journal what there is to tell.
    fn changed(&self) {
        let hostname = self.full_name();
        if let Some(boot) = &mut self.lock().boot {
            let addresses: Vec<String> = boot
                .links
                .iter()
                .flat_map(|l| &l.addresses)
                .map(|a| a.addr().to_string())
                .collect();
            let (stage, unmet, services) = (boot.stage(), boot.unmet(), status::services(boot));
            boot.journal
                .observe(stage, unmet, &services, &hostname, &addresses);
        }
        self.revision.send_modify(|r| *r += 1);
    }

    /// A resource's version: one more than before when its content is another.
    pub(crate) fn resource_version(&self, kind: &str, id: &str, content: [u8; 32]) -> u64 {
        let mut state = self.lock();
        let Some(boot) = &mut state.boot else {
            return 1;
        };
        let known = boot
            .versions
            .entry((kind.to_owned(), id.to_owned()))
            .or_insert((content, 1));
        if known.0 != content {
            *known = (content, known.1 + 1);
        }
        known.1
    }

    /// The kubelet ends, and starts again a moment later.
    pub(crate) fn restart_kubelet(self: &Arc<Self>) {
        /// How long that takes; short enough to wait for at any pace, long enough to be seen.
        const BETWEEN: Duration = Duration::from_millis(60);
        self.update(|b| {
            b.kubelet_running = false;
            b.kubelet_held = true;
        });
        let node = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(BETWEEN).await;
            node.update(|b| b.kubelet_held = false);
            if let Some(world) = node.world() {
                world.node_changed(&node);
            }
        });
    }

    /// Adds a line to a service's log.
    pub(crate) fn log(&self, service: &str, text: &str) {
        if let Some(boot) = &mut self.lock().boot {
            boot.journal.line(service, text);
        }
        self.revision.send_modify(|r| *r += 1);
    }

    /// Reads the running system; `None` while the machine is down.
    pub(crate) fn with_boot<T>(&self, read: impl FnOnce(&Boot) -> T) -> Option<T> {
        self.lock().boot.as_ref().map(read)
    }

    /// Reads the journal of one boot, and says whether it goes on; `None` when that boot is over for longer.
    pub(crate) fn with_journal<T>(
        &self,
        boot_id: &str,
        read: impl FnOnce(&Journal) -> T,
    ) -> Option<(T, bool)> {
        let state = self.lock();
        match (&state.boot, &state.ended) {
            (Some(boot), _) if boot.id == boot_id => Some((read(&boot.journal), true)),
            (_, Some((id, journal))) if id == boot_id => Some((read(journal), false)),
            _ => None,
        }
    }

    /// Changes the running system.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Boot)) {
        if let Some(boot) = &mut self.lock().boot {
            change(boot);
            boot.changes += 1;
        }
        self.changed();
    }

    pub(crate) fn disk(&self) -> Disk {
        self.lock().disk.clone()
    }

    /// Changes the disk and saves it.
    pub(crate) fn update_disk(&self, change: impl FnOnce(&mut Disk)) {
        let mut state = self.lock();
        change(&mut state.disk);
        if let Some(world) = self.world() {
            state.disk.save(&world.lab.store, &self.id);
        }
        drop(state);
        self.changed();
    }

    pub(crate) fn hardware(&self) -> Hardware {
        self.lock().hardware.clone()
    }

    pub(crate) fn config(&self) -> Option<Arc<Config>> {
        self.with_boot(|b| b.config.clone()).flatten()
    }

    pub(crate) fn line(&self) -> Line {
        self.with_boot(|b| b.line).unwrap_or(Line::V1_14)
    }

    pub(crate) fn image(&self) -> Option<ImageLabel> {
        self.with_boot(|b| b.image.clone())
    }

    pub(crate) fn stage(&self) -> Stage {
        self.with_boot(Boot::stage).unwrap_or(Stage::Off)
    }

    /// The platform's name, and its mode as `Version` tells it.
    pub(crate) fn platform(&self) -> (&'static str, &'static str) {
        match self.lock().hardware.cloud_init {
            Some(_) => ("nocloud", "cloud"),
            None => ("metal", "metal"),
        }
    }

    /// Every address of its links.
    pub(crate) fn addresses(&self) -> Vec<IpNet> {
        self.with_boot(|b| b.links.iter().flat_map(|l| l.addresses.clone()).collect())
            .unwrap_or_default()
    }

    /// The address that the kubelet and etcd use.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.with_boot(|b| {
            let config = b.config.as_deref();
            let subnets = config.map(Config::node_subnets).unwrap_or_default();
            let vips = config
                .map(|c| c.network().virtual_addresses)
                .unwrap_or_default();
            address::node_address(&b.links, &subnets, &vips)
        })
        .flatten()
    }

    /// The machine's name, without a domain.
    pub(crate) fn hostname(&self) -> String {
        let full = self.full_name();
        full.split('.').next().unwrap_or_default().to_owned()
    }

    /// The name under which the kubelet registers.
    pub(crate) fn node_name(&self) -> String {
        let config = self.config();
        let full = config.and_then(|c| c.at("machine.kubelet.registerWithFQDN")?.boolean());
        let name = if full == Some(true) {
            self.full_name()
        } else {
            self.hostname()
        };
        name.to_ascii_lowercase()
    }

    /// The name as it was given or made.
    fn full_name(&self) -> String {
        let state = self.lock();
        let Some(boot) = &state.boot else {
            return String::new();
        };
        let config = boot.config.as_deref();
        if let Some(name) = config.and_then(Config::hostname) {
            return name;
        }
        let given = state
            .hardware
            .cloud_init
            .as_ref()
            .and_then(|c| c.hostname.clone());
        if let Some(name) = given.filter(|n| !n.is_empty()) {
            return name;
        }
        if config.is_some_and(Config::stable_hostname) {
            let identity = state.disk.identity.to_ascii_lowercase();
            let part = |from: usize| identity.get(from..from + 3).unwrap_or("000").to_owned();
            return format!("talos-{}-{}", part(1), part(4));
        }
        let first = boot.links.iter().flat_map(|l| &l.addresses).next();
        match first {
            Some(net) => format!("talos-{}", net.addr().to_string().replace(['.', ':'], "-")),
            None => "talos".to_owned(),
        }
    }

    /// Tells the running system what to do next; the first order wins. `actor` names the request in events.
    pub(crate) fn order(&self, order: Order, actor: &str) {
        let mut state = self.lock();
        let first = state.order.is_none();
        if let Some(boot) = &mut state.boot {
            boot.rebooting = true;
            if first {
                boot.ending = Some(boot.journal.end());
                let (sequence, phases) = order.sequence();
                boot.journal.sequence(sequence, phases, actor);
                boot.journal.task("stopAllServices", actor);
            }
        }
        if first {
            state.order = Some(order);
        }
        drop(state);
        self.revision.send_modify(|r| *r += 1);
        self.wake.notify_one();
    }

    /// The next start is to go through the firmware instead of from kernel to kernel.
    pub(crate) fn start_through_firmware(&self) {
        self.lock().power_cycle = true;
    }

    /// How often the machine started through the firmware because somebody asked for it.
    pub(crate) fn power_cycles(&self) -> u64 {
        self.lock().power_cycles
    }

    /// Looks again at the configuration.
    fn poke(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn is_powered(&self) -> bool {
        self.lock().power.is_some()
    }

    /// Power on with this hardware; a machine that runs is switched off first.
    pub(crate) async fn power_on(self: &Arc<Node>, hardware: Hardware) {
        self.cut_power().await;
        let power = match self.world() {
            Some(world) => world.lab.shutdown.child_token(),
            None => return,
        };
        let count = {
            let mut state = self.lock();
            state.power = Some(power.clone());
            state.switched_on += 1;
            state.hardware = hardware;
            state.order = None;
            state.switched_on
        };
        self.off.send_replace(false);
        let node = self.clone();
        if let Some(world) = self.world() {
            world
                .lab
                .tasks
                .spawn(async move { node.run(power, count).await });
        }
    }

    /// The virtual addresses that this node holds now, as the kernel has them: without a subnet.
    fn held(&self, config: Option<&Config>) -> Vec<(IpAddr, u8)> {
        let (Some(config), Some(world)) = (config, self.world()) else {
            return Vec::new();
        };
        let wanted = config.network().virtual_addresses.into_iter();
        wanted
            .filter(|a| world.holder(*a).as_ref() == Some(&self.id))
            .map(|a| prefixed(&IpNet::from(a)))
            .collect()
    }

    /// The same of the configuration in use.
    pub(crate) fn held_addresses(&self) -> Vec<(IpAddr, u8)> {
        self.held(self.config().as_deref())
    }

    async fn until_off(&self) {
        let mut off = self.off.subscribe();
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = off.wait_for(|off| *off).await;
    }

    /// Pulls the plug.
    pub(crate) async fn cut_power(&self) {
        let power = self.lock().power.clone();
        if let Some(power) = power {
            power.cancel();
            self.until_off().await;
        }
    }
}

/// The version of an image, newest line when it is no version.
pub(crate) fn line_of(image: &ImageLabel) -> Line {
    Version::parse(&image.version).map_or(Line::V1_14, |v| v.line())
}

#[async_trait]
impl Guest for Node {
    fn agent_interfaces(&self) -> Option<Vec<GuestInterface>> {
        let channel = self.hardware().agent_channel;
        let (links, config) = self.with_boot(|b| {
            let answers = channel && b.image.guest_agent && b.stage.has_network();
            answers.then(|| (b.links.clone(), b.config.clone()))
        })??;
        let loopback: Vec<(IpAddr, u8)> = vec![
            (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8),
            (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
        ];
        let mut interfaces = vec![GuestInterface {
            name: "lo".to_owned(),
            mac: "00:00:00:00:00:00".to_owned(),
            addresses: loopback,
        }];
        interfaces.extend(links.iter().map(|link| GuestInterface {
            name: link.name.clone(),
            mac: link.mac.clone(),
            addresses: link.addresses.iter().map(prefixed).collect(),
        }));
        if let Some(first) = interfaces.get_mut(1) {
            first.addresses.extend(self.held(config.as_deref()));
        }
        Some(interfaces)
    }

    async fn shutdown(&self) {
        if self.is_powered() {
            self.order(Order::Shutdown, "");
            self.until_off().await;
        }
    }

    async fn power_off(&self) {
        self.cut_power().await;
    }

    async fn stopped(&self) {
        self.until_off().await;
    }
}

fn prefixed(net: &IpNet) -> (IpAddr, u8) {
    (net.addr(), net.prefix_len())
}
