//! The firewall at every level: cluster, nodes, guests, virtual networks and security groups, each with its rules.

mod groups;
mod names;
mod options;
mod rules;
mod sets;
mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::routes::{Call, Routes};
use crate::sections::hex_digest;
use crate::state::State;

/// Options in the order of their names.
type Entry = BTreeMap<String, String>;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Firewall {
    cluster: Scope,
    groups: BTreeMap<String, Scope>,
    nodes: BTreeMap<String, Scope>,
    guests: BTreeMap<u32, Scope>,
    vnets: BTreeMap<String, Scope>,
}

/// The firewall of one place: what its `.fw` file holds.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Scope {
    options: Entry,
    /// The first counts first.
    rules: Vec<Entry>,
    /// By the name in small letters.
    aliases: BTreeMap<String, Entry>,
    sets: BTreeMap<String, IpSet>,
    /// Of a security group.
    comment: Option<String>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct IpSet {
    comment: Option<String>,
    entries: Vec<Entry>,
}

/// Where a call is at home.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Cluster,
    Group(String),
    Node(String),
    Vm(u32),
    Container(u32),
    Vnet(String),
}

impl Place {
    fn of(call: &Call) -> Place {
        let path = call.path.as_str();
        let text = |name: &str| call.params.text(name).to_owned();
        if path.starts_with("/cluster/firewall/groups/{group}") {
            Place::Group(text("group"))
        } else if path.starts_with("/cluster/firewall") {
            Place::Cluster
        } else if path.starts_with("/cluster/sdn") {
            Place::Vnet(text("vnet"))
        } else if path.starts_with("/nodes/{node}/qemu") {
            Place::Vm(call.vmid())
        } else if path.starts_with("/nodes/{node}/lxc") {
            Place::Container(call.vmid())
        } else {
            Place::Node(text("node"))
        }
    }

    /// The name of its kind in complaints.
    fn environment(&self) -> &'static str {
        match self {
            Place::Cluster => "cluster",
            Place::Group(_) => "group",
            Place::Node(_) => "host",
            Place::Vm(_) => "vm",
            Place::Container(_) => "ct",
            Place::Vnet(_) => "vnet",
        }
    }
}

impl Firewall {
    fn scope(&self, place: &Place) -> Option<&Scope> {
        match place {
            Place::Cluster => Some(&self.cluster),
            Place::Group(name) => self.groups.get(name),
            Place::Node(name) => self.nodes.get(name),
            Place::Vm(id) | Place::Container(id) => self.guests.get(id),
            Place::Vnet(name) => self.vnets.get(name),
        }
    }

    fn scope_mut(&mut self, place: &Place) -> &mut Scope {
        match place {
            Place::Cluster => &mut self.cluster,
            Place::Group(name) => self.groups.entry(name.clone()).or_default(),
            Place::Node(name) => self.nodes.entry(name.clone()).or_default(),
            Place::Vm(id) | Place::Container(id) => self.guests.entry(*id).or_default(),
            Place::Vnet(name) => self.vnets.entry(name.clone()).or_default(),
        }
    }

    /// A guest is gone, and its file with it.
    pub(crate) fn forget_guest(&mut self, vmid: u32) {
        self.guests.remove(&vmid);
    }

    /// A clone has the firewall of its template.
    pub(crate) fn clone_guest(&mut self, from: u32, to: u32) {
        if let Some(scope) = self.guests.get(&from).cloned() {
            self.guests.insert(to, scope);
        }
    }
}

impl State {
    /// The place of a call, when the caller may look at it (or change it), and it exists.
    fn place(&self, call: &Call, privileges: &[&str]) -> Result<Place, ApiError> {
        let place = Place::of(call);
        match &place {
            Place::Group(name) if !self.firewall.groups.contains_key(name) => Err(
                ApiError::failure(format!("no such security group '{name}'")),
            ),
            Place::Vnet(name) => {
                let zone = self
                    .sdn
                    .running_zone_of(name)
                    .ok_or_else(|| ApiError::failure("invalid vnet specified"))?;
                self.need_any(
                    &call.caller,
                    &format!("/sdn/zones/{zone}/{name}"),
                    privileges,
                )?;
                Ok(place)
            }
            _ => Ok(place),
        }
    }

    fn look(&self, call: &Call) -> Result<&Scope, ApiError> {
        static NONE: Scope = Scope {
            options: Entry::new(),
            rules: Vec::new(),
            aliases: BTreeMap::new(),
            sets: BTreeMap::new(),
            comment: None,
        };
        let place = self.place(call, &["SDN.Audit", "SDN.Allocate"])?;
        Ok(self.firewall.scope(&place).unwrap_or(&NONE))
    }

    fn scope_mut(&mut self, call: &Call) -> Result<&mut Scope, ApiError> {
        let place = self.place(call, &["SDN.Allocate"])?;
        Ok(self.firewall.scope_mut(&place))
    }
}

/// SHA-1 over `name:value` lines, as PVE makes it of a list or of options.
fn digest<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let lines = entries
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}:{value}\n"));
    hex_digest(&lines.collect::<String>())
}

/// An entry as the API shows it.
fn shown(entry: &Entry) -> Map<String, Value> {
    let numeric = |name: &str| matches!(name, "enable" | "ipversion" | "nomatch");
    let value = |name: &str, text: &str| match text.parse::<i64>() {
        Ok(number) if numeric(name) => Value::from(number),
        _ => Value::from(text),
    };
    entry
        .iter()
        .map(|(name, text)| (name.clone(), value(name, text)))
        .collect()
}

/// A list, each entry with the digest of all.
fn listed<'a>(entries: impl IntoIterator<Item = &'a Entry> + Clone) -> Vec<Value> {
    let digest = digest(entries.clone());
    let row = |entry: &Entry| {
        let mut row = shown(entry);
        row.insert("digest".into(), digest.clone().into());
        Value::Object(row)
    };
    entries.into_iter().map(row).collect()
}

/// The places of the API, and what each has beside options and rules.
const PLACES: &[(&str, &[fn(&mut Routes<'_>, &str)])] = &[
    ("/cluster/firewall", &[sets::routes, options::references_at]),
    ("/nodes/{node}/firewall", &[options::log_at]),
    (
        "/nodes/{node}/qemu/{vmid}/firewall",
        &[sets::routes, options::references_at, options::log_at],
    ),
    (
        "/nodes/{node}/lxc/{vmid}/firewall",
        &[sets::routes, options::references_at, options::log_at],
    ),
    ("/cluster/sdn/vnets/{vnet}/firewall", &[]),
];

pub(crate) fn routes(at: &mut Routes<'_>) {
    for (place, more) in PLACES {
        at.get(&format!("{place}/options"), options::read);
        at.put(&format!("{place}/options"), options::update);
        rules::routes(at, &format!("{place}/rules"));
        more.iter().for_each(|routes| routes(at, place));
    }
    at.get("/cluster/firewall/macros", options::macros);
    at.get("/cluster/firewall/groups", groups::list);
    at.post("/cluster/firewall/groups", groups::create);
    at.delete("/cluster/firewall/groups/{group}", groups::delete);
    rules::routes(at, "/cluster/firewall/groups/{group}");
}
