//! The life of a machine from power-on: maintenance, installation, boot, reboots, reset and upgrade.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stead_lab_core::machine::ImageLabel;
use tokio_util::sync::CancellationToken;

use super::listen::Listener;
use super::{Boot, Journal, Node, Order, Reset, Stage, address, line_of};
use crate::config::Config;
use crate::pki::{self, SigningCa};
use crate::version::Line;
use crate::world::World;

/// Lifelike durations, scaled by the lab's pace.
const FIRMWARE: Duration = Duration::from_secs(8);
const SERVICES: Duration = Duration::from_secs(6);
const INSTALLATION: Duration = Duration::from_secs(30);
const GOING_DOWN: Duration = Duration::from_secs(3);
const UPGRADE: Duration = Duration::from_secs(25);

/// How long the API still answers when the machine goes down, at any pace: clients begin to follow its events together with
/// the request that brings it down, and no real machine is faster than that.
const LAST_MOMENT: Duration = Duration::from_millis(50);

/// How long the machine API's certificate lives.
const CERTIFICATE: Duration = Duration::from_secs(24 * 3600);
/// How soon a failed installation is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// What follows the end of a boot.
enum Next {
    Boot,
    Off,
}

impl Node {
    /// Runs until the power goes or the machine turns itself off.
    pub(super) async fn run(self: Arc<Self>, power: CancellationToken, count: u64) {
        loop {
            let next = tokio::select! {
                next = self.boot_once() => next,
                () = power.cancelled() => Next::Off,
            };
            // Asked while the machine still knows its name.
            let hangs = matches!(next, Next::Boot) && self.strike("reboot-hangs").is_some();
            self.went_down(matches!(next, Next::Off), count);
            match next {
                // It stays on, and nothing answers any more until somebody pulls the plug.
                Next::Boot if hangs => {
                    power.cancelled().await;
                    return self.went_down(true, count);
                }
                Next::Boot => self.pause(GOING_DOWN).await,
                Next::Off => return,
            }
        }
    }

    fn went_down(&self, off: bool, count: u64) {
        {
            let mut state = self.lock();
            // A machine that was switched on again meanwhile is another run's.
            if state.switched_on != count {
                return;
            }
            if let Some(boot) = state.boot.take() {
                if let Some(trial) = boot.trial {
                    trial.cancel();
                }
                state.ended = Some((boot.id, boot.journal));
            }
            state.order = None;
            if off {
                state.power = None;
            }
        }
        if off {
            self.off.send_replace(true);
        }
        self.changed();
        if let Some(world) = self.world() {
            world.node_changed(self);
        }
    }

    async fn pause(&self, lifelike: Duration) {
        if let Some(world) = self.world() {
            let time = world.lab.settings.duration(lifelike);
            // Even without artificial time a state is visible for a moment.
            tokio::time::sleep(time.max(Duration::from_millis(1))).await;
        }
    }

    async fn boot_once(self: &Arc<Self>) -> Next {
        let Some(world) = self.world() else {
            return Next::Off;
        };
        let Some(image) = self.boot_image() else {
            tracing::info!(machine = self.id, "nothing to boot from");
            return Next::Off;
        };
        self.start_boot(&world, image);
        self.pause(FIRMWARE).await;
        if self.falls_back() {
            return Next::Boot;
        }
        if let Some(image) = self.disk().staged {
            return self.upgrade_staged(image).await;
        }
        if self.find_config() {
            self.refresh_links(&world);
            return self.configured(&world).await;
        }
        self.refresh_links(&world);
        match self.maintenance(&world).await {
            Some(next) => next,
            None if self.disk().installed.is_some() => self.configured(&world).await,
            None => {
                self.set_stage(Stage::Installing);
                self.pause(INSTALLATION).await;
                while self.struck("install-fails").await {
                    self.log("machined", "install failed: simulated fault; trying again");
                    self.pause(INSTALLATION).await;
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                let target = self.install_target(&world);
                self.update_disk(|d| {
                    d.installed = Some(target);
                    d.wiped = false;
                });
                self.set_stage(Stage::Rebooting);
                Next::Boot
            }
        }
    }

    /// A system that was just installed and does not come up makes way for the one before it.
    fn falls_back(&self) -> bool {
        let disk = self.disk();
        if !disk.untried {
            return false;
        }
        let fails = disk.previous.is_some() && self.strike("boot-fails").is_some();
        self.update_disk(|d| {
            d.untried = false;
            if fails {
                std::mem::swap(&mut d.installed, &mut d.previous);
            }
        });
        fails
    }

    /// Installs what was staged, and boots it.
    async fn upgrade_staged(&self, image: ImageLabel) -> Next {
        self.set_stage(Stage::Upgrading);
        self.pause(UPGRADE).await;
        self.update_disk(|d| {
            d.staged = None;
            d.install(image);
        });
        Next::Boot
    }

    /// The installed system, else the medium's. A medium that is a disk image is an installed system already.
    fn boot_image(&self) -> Option<ImageLabel> {
        let mut state = self.lock();
        if let Some(image) = &state.disk.installed {
            return Some(image.clone());
        }
        let medium = bootable(&state.hardware)?;
        let image = medium.image.clone()?;
        if is_removable(&medium.interface) && state.hardware.disks.len() > 1 {
            return Some(image);
        }
        if state.disk.wiped {
            return None;
        }
        state.disk.installed = Some(image.clone());
        Some(image)
    }

    fn start_boot(&self, world: &World, image: ImageLabel) {
        let mut state = self.lock();
        if std::mem::take(&mut state.power_cycle) {
            state.power_cycles += 1;
        }
        if state.disk.identity.is_empty() {
            state.disk.identity = new_identity();
        }
        state.disk.save(&world.lab.store, &self.id);
        let line = line_of(&image);
        let journal = Journal::new(&image.version);
        state.boot = Some(Boot {
            id: uuid::Uuid::new_v4().to_string(),
            started: SystemTime::now(),
            stage: Stage::Booting,
            line,
            image,
            config: None,
            links: Vec::new(),
            api_up: false,
            etcd_running: false,
            etcd_healthy: false,
            etcd_left: false,
            etcd_failed: false,
            recovery: None,
            kubelet_running: false,
            kubelet_held: false,
            versions: HashMap::new(),
            trial: None,
            expired: None,
            rebooting: false,
            ending: None,
            applying: false,
            stopped: BTreeSet::new(),
            changes: 1,
            journal,
        });
        drop(state);
        self.changed();
    }

    fn set_stage(&self, stage: Stage) {
        self.update(|b| b.stage = stage);
        if let Some(world) = self.world() {
            world.node_changed(self);
        }
    }

    /// Takes the persisted configuration, or the one on the cloud-init drive; whether there is one to boot with.
    fn find_config(&self) -> bool {
        let line = self.line();
        let stored = self.disk().config;
        let fresh = stored.is_none();
        let text = stored.or_else(|| self.hardware().cloud_init.and_then(|c| c.user_data));
        let Some(text) = text else {
            return false;
        };
        match Config::load(line, text.as_bytes()) {
            Ok(config) if config.complete_for_boot() => {
                if fresh {
                    self.update_disk(|d| d.config = Some(text));
                }
                self.update(|b| b.config = Some(Arc::new(config)));
                true
            }
            Ok(_) => false,
            // Ordinary cloud-init data (`#cloud-config`) is no machine configuration.
            Err(error) => {
                tracing::info!(machine = self.id, %error, "no usable machine configuration");
                false
            }
        }
    }

    /// Computes the addresses from hardware, configuration and leases.
    pub(super) fn refresh_links(&self, world: &World) {
        let config = self.config();
        let hardware = self.hardware();
        let known = self.disk().lease;
        let mut leased = known;
        let links = address::links(&hardware, config.as_deref(), |position| {
            if position == 0 && leased.is_some() {
                return leased;
            }
            let mac = &hardware.nics.get(position)?.mac;
            let address = address::lease(mac, |a| world.is_taken(a, &self.id))?;
            if position == 0 {
                leased = Some(address);
            }
            Some(address)
        });
        if leased != known {
            self.update_disk(|d| d.lease = leased);
        }
        self.update(|b| b.links = links);
    }

    /// Serves maintenance mode until a configuration came (`None`) or something else follows.
    async fn maintenance(self: &Arc<Self>, world: &Arc<World>) -> Option<Next> {
        self.set_stage(Stage::Maintenance);
        let names: Vec<String> = self
            .addresses()
            .iter()
            .map(|a| a.addr().to_string())
            .collect();
        let tls = match pki::maintenance_tls(&names) {
            Ok(tls) => tls,
            Err(error) => {
                tracing::error!(machine = self.id, %error, "cannot serve maintenance mode");
                return Some(Next::Off);
            }
        };
        let mut listener = Listener::new(self.clone(), tls);
        listener.listen_at(world, &self.addresses()).await;
        let next = loop {
            self.wake.notified().await;
            if let Some(order) = self.take_order() {
                tokio::time::sleep(LAST_MOMENT).await;
                break Some(self.obey(world, order).await);
            }
            if self.config().is_some_and(|c| c.complete_for_boot()) {
                break None;
            }
        };
        listener.close().await;
        if next.is_none() {
            self.set_stage(Stage::Booting);
            self.refresh_links(world);
        }
        next
    }

    /// Serves the machine API until an order ends this boot.
    async fn configured(self: &Arc<Self>, world: &Arc<World>) -> Next {
        self.set_stage(Stage::Booting);
        self.pause(SERVICES).await;
        let mut listener: Option<Listener> = None;
        let mut served: Option<Arc<Config>> = None;
        let mut changes = world.changes();
        loop {
            let config = self.config();
            let same = match (&served, &config) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            if !same {
                if served.is_some() {
                    self.refresh_links(world);
                }
                match self.machine_tls(world) {
                    Ok(tls) => {
                        let listener = match &mut listener {
                            Some(listener) => {
                                listener.renew(tls);
                                listener
                            }
                            none => none.insert(Listener::new(self.clone(), tls)),
                        };
                        listener.listen_at(world, &self.addresses()).await;
                        self.update(|b| b.api_up = true);
                        served = config;
                    }
                    Err(error) => {
                        // A worker waits for a control plane that signs its certificate.
                        tracing::debug!(machine = self.id, %error, "no certificate for the machine API yet");
                    }
                }
                world.node_changed(self);
            }
            tokio::select! {
                () = self.wake.notified() => {}
                _ = changes.changed(), if served.is_none() => {}
            }
            if let Some(order) = self.take_order() {
                tokio::time::sleep(LAST_MOMENT).await;
                if let Some(listener) = listener.take() {
                    listener.close().await;
                }
                return self.obey(world, order).await;
            }
        }
    }

    fn take_order(&self) -> Option<Order> {
        self.lock().order.take()
    }

    fn machine_tls(&self, world: &World) -> Result<Arc<rustls::ServerConfig>, pki::Error> {
        self.tls_until(world, CERTIFICATE)
    }

    /// The machine API's TLS with a certificate that has expired, under the fault of that name.
    pub(super) fn expired_tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.with_boot(|b| b.api_up).filter(|up| *up)?;
        self.lasting("certificate-expired")?;
        // The same one for every connection, as it would be.
        if let Some(made) = self.with_boot(|b| b.expired.clone()).flatten() {
            return Some(made);
        }
        let made = self.tls_until(&*self.world()?, Duration::ZERO);
        let made = made
            .inspect_err(
                |error| tracing::warn!(machine = self.id, %error, "no expired certificate"),
            )
            .ok()?;
        self.update(|b| b.expired = Some(made.clone()));
        Some(made)
    }

    fn tls_until(
        &self,
        world: &World,
        lifetime: Duration,
    ) -> Result<Arc<rustls::ServerConfig>, pki::Error> {
        let Some(config) = self.config() else {
            return Err(pki::Error::NoKey);
        };
        let own = config.machine_ca();
        let signer = match &own {
            Some(ca) if ca.key.is_some() => SigningCa::open(ca)?,
            _ => SigningCa::open(&world.trusted_signer(&config).ok_or(pki::Error::NoKey)?)?,
        };
        let mut trusted: Vec<String> = own.map(|ca| ca.certificate).into_iter().collect();
        trusted.extend(config.accepted_cas());
        let mut names = vec![self.hostname()];
        names.extend(self.addresses().iter().map(|a| a.addr().to_string()));
        names.push("127.0.0.1".to_owned());
        names.extend(config.machine_sans());
        names.retain(|n| !n.is_empty());
        names.dedup();
        pki::machine_tls(
            &signer,
            &trusted,
            &names,
            lifetime,
            self.line() >= Line::V1_14,
        )
    }

    /// The system that an installer image in the configuration installs; the running one when it names none of a factory.
    fn install_target(&self, world: &World) -> ImageLabel {
        let running = self.image();
        let config = self.config();
        let wanted = config.as_deref().and_then(|c| {
            let document = c.doc("UnattendedInstallConfig");
            let image = c
                .text_at("machine.install.image")
                .or_else(|| document?.text_at("installer.image"));
            image.map(str::to_owned)
        });
        let parsed = wanted.and_then(|image| world.factory.installer(&image).ok());
        parsed.or(running).unwrap_or(ImageLabel {
            os: "talos".to_owned(),
            version: String::new(),
            schematic: String::new(),
            guest_agent: false,
        })
    }

    async fn obey(self: &Arc<Self>, world: &Arc<World>, order: Order) -> Next {
        match order {
            Order::Reboot => {
                self.set_stage(Stage::Rebooting);
                Next::Boot
            }
            Order::Shutdown => {
                self.set_stage(Stage::ShuttingDown);
                self.pause(GOING_DOWN).await;
                Next::Off
            }
            Order::Rollback => {
                self.set_stage(Stage::Rebooting);
                self.update_disk(|d| {
                    d.untried = false;
                    std::mem::swap(&mut d.installed, &mut d.previous);
                });
                Next::Boot
            }
            Order::Upgrade(image) => {
                self.set_stage(Stage::Upgrading);
                self.pause(UPGRADE).await;
                if self.struck("upgrade-fails").await {
                    // The sequence fails, and the machine comes back as it was.
                    self.update(|b| {
                        let message =
                            "error running installer: task \"upgrade\" failed: exit code 1";
                        b.journal.failed("upgrade", message, "");
                    });
                    return Next::Boot;
                }
                self.update_disk(|d| d.install(image));
                Next::Boot
            }
            Order::Reset(reset) => self.reset(world, &reset).await,
        }
    }

    async fn reset(self: &Arc<Self>, world: &Arc<World>, reset: &Reset) -> Next {
        self.set_stage(Stage::Resetting);
        self.pause(GOING_DOWN).await;
        if reset.graceful
            && let Some(etcd) = self.disk().etcd
            && let Err(error) = world.cluster(&etcd.cluster).leave(world, self).await
        {
            // The sequence fails and the machine comes back as it was.
            tracing::warn!(machine = self.id, %error, "reset failed");
            return Next::Boot;
        }
        let forgotten = self.disk().etcd;
        self.update_disk(|d| {
            if reset.state || reset.everything {
                d.config = None;
            }
            if reset.ephemeral || reset.everything {
                d.etcd = None;
                d.images.clear();
            }
            if reset.everything {
                d.installed = None;
                d.previous = None;
                d.wiped = true;
                d.identity.clear();
                d.meta.clear();
                d.staged = None;
                d.untried = false;
            }
        });
        if let Some(etcd) = forgotten {
            world.forget_if_gone(&etcd.cluster).await;
        }
        match reset.reboot {
            true => Next::Boot,
            false => Next::Off,
        }
    }

    /// A configuration came while in maintenance mode.
    pub(super) fn configured_in_maintenance(&self) {
        self.poke();
    }
}

/// The first disk that Talos boots from.
pub(crate) fn bootable(
    hardware: &stead_lab_core::machine::Hardware,
) -> Option<&stead_lab_core::machine::Disk> {
    let mut disks = hardware.disks.iter();
    disks.find(|d| d.image.is_some())
}

/// Whether an image in this place is a medium to install from and not the machine's disk.
fn is_removable(interface: &str) -> bool {
    interface.starts_with("ide") || interface.starts_with("cdrom")
}

/// 32 random bytes as base 62, the form of a node identity.
fn new_identity() -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let bytes: [u8; 43] = rand::random();
    bytes
        .iter()
        .filter_map(|b| ALPHABET.get(usize::from(*b) % 62))
        .map(|b| char::from(*b))
        .collect()
}
