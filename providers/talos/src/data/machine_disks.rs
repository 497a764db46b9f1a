//! `talos_machine_disks`: the disks of a node, for the configuration that names one of them.

use std::time::Instant;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Block, Context, DataSource, Error, async_trait};

use crate::api::specs::Disk as Spec;
use crate::blocks::{ClientConfiguration, ReadTimeout, check_timeouts, timeout_of};
use crate::client::Client;
use crate::machinery::selector::{Part, Selector};
use crate::node::{Api, Contact, Node, polling};

/// The disks of a node that an expression selects, all without one. A node in maintenance mode is asked as well: then nothing proves which
/// machine answers.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_machine_disks")]
pub(crate) struct MachineDisks {
    /// Always `machine_disks`.
    #[attr(computed)]
    id: String,
    /// The node.
    #[attr(required)]
    node: String,
    /// The address that is contacted, with an optional port; the node by default.
    #[attr(optional, computed)]
    endpoint: Option<String>,
    /// How to prove who one is to the node.
    #[attr(required, nested(single))]
    client_configuration: ClientConfiguration,
    /// A CEL expression over `disk`, `system_disk`, the units `KiB` to `EiB` and `kB` to `EB`, and `glob(PATTERN, TEXT)`, such as
    /// `disk.size > 100u * GB && !disk.rotational`. Sizes are unsigned: `100u`.
    #[attr(optional)]
    selector: Option<String>,
    /// The disks, in the order of their names.
    #[attr(computed, nested(list))]
    disks: Vec<Disk>,
    /// How long the node may take.
    #[attr(optional, nested(single))]
    timeouts: Option<ReadTimeout>,
}

/// A disk as Talos sees it.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct Disk {
    /// Where it is plugged in.
    #[attr(computed)]
    bus_path: String,
    /// Whether it is an optical drive.
    #[attr(computed)]
    cdrom: bool,
    /// Its device, such as `/dev/sda`.
    #[attr(computed)]
    dev_path: String,
    /// The version of its firmware; empty from releases of Talos that do not tell.
    #[attr(computed)]
    firmware_version: String,
    /// The bytes that are best read at once.
    #[attr(computed)]
    io_size: u64,
    /// What its driver is found by.
    #[attr(computed)]
    modalias: String,
    /// The model.
    #[attr(computed)]
    model: String,
    /// The size for people, such as `500 GB`.
    #[attr(computed)]
    pretty_size: String,
    /// Whether it cannot be written to.
    #[attr(computed)]
    readonly: bool,
    /// Whether it turns.
    #[attr(computed)]
    rotational: bool,
    /// The disks that it is made of.
    #[attr(computed)]
    secondary_disks: Vec<String>,
    /// Bytes of a sector.
    #[attr(computed)]
    sector_size: u64,
    /// The serial number.
    #[attr(computed)]
    serial: String,
    /// Its size in bytes.
    #[attr(computed)]
    size: u64,
    /// Its subsystem, such as `/sys/class/block`.
    #[attr(computed)]
    sub_system: String,
    /// Other paths to its device.
    #[attr(computed)]
    symlinks: Vec<String>,
    /// How it is connected: `nvme`, `sata`, `usb`, `virtio`.
    #[attr(computed)]
    transport: String,
    /// Its UUID.
    #[attr(computed)]
    uuid: String,
    /// The name that is its own in the world.
    #[attr(computed)]
    wwid: String,
}

impl From<Spec> for Disk {
    fn from(spec: Spec) -> Disk {
        Disk {
            bus_path: spec.bus_path,
            cdrom: spec.cdrom,
            dev_path: spec.dev_path,
            firmware_version: spec.firmware_version,
            io_size: spec.io_size,
            modalias: spec.modalias,
            model: spec.model,
            pretty_size: spec.pretty_size,
            readonly: spec.readonly,
            rotational: spec.rotational,
            secondary_disks: spec.secondary_disks,
            sector_size: spec.sector_size,
            serial: spec.serial,
            size: spec.size,
            sub_system: spec.sub_system,
            symlinks: spec.symlinks,
            transport: spec.transport,
            uuid: spec.uuid,
            wwid: spec.wwid,
        }
    }
}

impl Disk {
    /// As a selector sees it.
    fn fields(&self) -> [(&'static str, Part); 19] {
        let text = |t: &String| Part::Text(t.clone());
        [
            ("bus_path", text(&self.bus_path)),
            ("cdrom", Part::Bool(self.cdrom)),
            ("dev_path", text(&self.dev_path)),
            ("firmware_version", text(&self.firmware_version)),
            ("io_size", Part::Uint(self.io_size)),
            ("modalias", text(&self.modalias)),
            ("model", text(&self.model)),
            ("pretty_size", text(&self.pretty_size)),
            ("readonly", Part::Bool(self.readonly)),
            ("rotational", Part::Bool(self.rotational)),
            ("secondary_disks", Part::Texts(self.secondary_disks.clone())),
            ("sector_size", Part::Uint(self.sector_size)),
            ("serial", text(&self.serial)),
            ("size", Part::Uint(self.size)),
            ("sub_system", text(&self.sub_system)),
            ("symlinks", Part::Texts(self.symlinks.clone())),
            ("transport", text(&self.transport)),
            ("uuid", text(&self.uuid)),
            ("wwid", text(&self.wwid)),
        ]
    }
}

/// The selector; without one everything is selected, as the published provider has it also for an empty text.
fn selector(text: &str) -> Result<Option<Selector>, Diagnostic> {
    if text.is_empty() {
        return Ok(None);
    }
    Selector::new(text).map(Some).map_err(|mistake| {
        Diagnostic::error("Invalid disk selector", mistake.to_string())
            .attribute(Path::root().attr("selector"))
    })
}

/// The disks, and the path of the one that Talos is installed on.
async fn disks(node: &Node, cx: &Context) -> Result<(Vec<Spec>, Option<String>), Error> {
    let what = format!("the disks of {}", node.label());
    until(cx, &what, polling(), || async {
        let api: Api = match node.contact(cx).await? {
            Contact::Configured(api) | Contact::Maintenance(api, _) => api,
            Contact::Stranger(error) => return Err(error),
            Contact::Away(why) => return Ok(Poll::PendingBecause(why)),
        };
        let found = async { Ok((api.disks().await?, api.system_disk().await?)) };
        match found.await {
            Ok(found) => Ok(Poll::Ready(found)),
            Err(call) => {
                let call: crate::node::CallError = call;
                match call.is_final() {
                    true => Err(Error::from(call).attribute("node")),
                    false => Ok(Poll::PendingBecause(call.reason())),
                }
            }
        }
    })
    .await
}

#[async_trait]
impl DataSource for MachineDisks {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_timeouts(config);
        let given = config.get("selector");
        let checked = given.as_ref().and_then(Value::as_str).map(selector);
        found.extend(checked.and_then(Result::err));
        found
    }

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let timeout = timeout_of(config.timeouts.as_ref().and_then(|t| t.read.as_ref()))?;
        let cx = cx.clone().with_deadline(Instant::now() + timeout);
        let selector = selector(config.selector.as_deref().unwrap_or_default())?;
        let given = config.endpoint.clone().filter(|e| !e.is_empty());
        let endpoint = given.unwrap_or_else(|| config.node.clone());
        let identity = &config.client_configuration;
        let node = Node::new(&client.dialer, &endpoint, &config.node, identity)?;
        let (found, system) = disks(&node, &cx).await?;
        let mut selected = Vec::new();
        for disk in found.into_iter().map(Disk::from) {
            let is_system = system.as_deref() == Some(&disk.dev_path);
            let wanted = match &selector {
                None => true,
                Some(selector) => selector.selects(disk.fields(), is_system).map_err(|said| {
                    let asked = format!("select disks of {}", node.label());
                    Error::new(asked, format!("for {}: {said}", disk.dev_path))
                        .attribute("selector")
                })?,
            };
            if wanted {
                selected.push(disk);
            }
        }
        Ok(MachineDisks {
            id: "machine_disks".to_owned(),
            endpoint: Some(endpoint),
            disks: selected,
            ..config
        })
    }
}
