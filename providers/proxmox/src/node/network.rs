//! Network interfaces of a node. A change is written down first, and takes effect when the node loads its network anew.

use std::time::Duration;

use reqwest::Method;
use stead_sdk::form::{Form as _, Params};
use stead_sdk::retry::{Backoff, with_backoff};
use stead_sdk::value::schema::Pattern;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::{Block, Context, Error, Form, PlanDraft, Resource, async_trait};

use crate::client::Client;
use crate::rest::codec::{names, trimmed};
use crate::rest::patterns::{ADDRESS, CIDR};
use crate::rest::{Hooks, object};

const BRIDGE: Pattern = Pattern {
    regex: "[A-Za-z][A-Za-z0-9_]{0,9}",
    form: "at most ten letters, digits and `_`, of which the first is a letter",
};

const BOND: Pattern = Pattern {
    regex: "[A-Za-z][A-Za-z0-9]{0,9}",
    form: "at most ten letters and digits, of which the first is a letter",
};

const VLANS: Pattern = Pattern {
    regex: r"\d+(-\d+)?( \d+(-\d+)?)*",
    form: "VLANs and ranges of them with spaces between, such as \"1 20 2-4094\"",
};

/// What every interface has.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Interface {
    /// The IPv4 address with the length of its prefix.
    #[attr(optional, pattern(CIDR))]
    #[form(name = "cidr")]
    address: Option<String>,
    /// The IPv6 address with the length of its prefix.
    #[attr(optional, pattern(CIDR))]
    #[form(name = "cidr6")]
    address6: Option<String>,
    /// Bring it up when the node starts.
    #[attr(optional, computed, default = true)]
    #[form(implied = "0")]
    autostart: bool,
    /// What it is for.
    #[attr(optional)]
    #[form(name = "comments", with = trimmed)]
    comment: Option<String>,
    /// The default gateway of IPv4.
    #[attr(optional, pattern(ADDRESS))]
    gateway: Option<String>,
    /// The default gateway of IPv6.
    #[attr(optional, pattern(ADDRESS))]
    gateway6: Option<String>,
    /// `NODE:NAME`.
    #[attr(computed)]
    #[form(path)]
    id: String,
    /// The largest packet.
    #[attr(optional)]
    mtu: Option<i64>,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// How many seconds the node may take to load its network.
    #[attr(optional, computed, default = 100, range(5..))]
    #[form(skip)]
    timeout_reload: Option<i64>,
}

/// A bridge: a switch within the node, to which guests are connected.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_network_linux_bridge",
    alias = "proxmox_virtual_environment_network_linux_bridge"
)]
pub(crate) struct Bridge {
    #[attr(flatten)]
    interface: Interface,
    /// The bridge's name: `vmbr0`.
    #[attr(required, replace, pattern(BRIDGE))]
    #[form(name = "iface", create)]
    name: String,
    /// The interfaces of the node that are connected to it.
    #[attr(optional)]
    #[form(name = "bridge_ports", with = names)]
    ports: Option<Vec<String>>,
    /// The VLANs that it lets pass, of a bridge that knows of them; 2 to 4094 unless set.
    #[attr(optional, computed, length(1..), pattern(VLANS))]
    #[form(name = "bridge_vids")]
    vids: Option<String>,
    /// Whether guests may be in VLANs of it.
    #[attr(optional, computed)]
    #[form(name = "bridge_vlan_aware", unless_default)]
    vlan_aware: bool,
}

/// A bond: several interfaces that act as one.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_network_linux_bond")]
pub(crate) struct Bond {
    #[attr(flatten)]
    interface: Interface,
    /// How the interfaces share the work.
    #[attr(
        optional,
        computed,
        one_of(
            "balance-rr",
            "active-backup",
            "balance-xor",
            "broadcast",
            "802.3ad",
            "balance-tlb",
            "balance-alb"
        )
    )]
    #[form(name = "bond_mode")]
    bond_mode: Option<String>,
    /// The interface that is used as long as it works, of `active-backup`.
    #[attr(optional)]
    bond_primary: Option<String>,
    /// What decides which interface a packet takes, of `balance-xor` and `802.3ad`.
    #[attr(optional, one_of("layer2", "layer2+3", "layer3+4"))]
    #[form(name = "bond_xmit_hash_policy")]
    bond_xmit_hash_policy: Option<String>,
    /// The bond's name: `bond0`.
    #[attr(required, replace, pattern(BOND))]
    #[form(name = "iface", create)]
    name: String,
    /// The interfaces.
    #[attr(required)]
    #[form(with = names)]
    slaves: Vec<String>,
}

/// A VLAN of an interface.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_network_linux_vlan",
    alias = "proxmox_virtual_environment_network_linux_vlan"
)]
pub(crate) struct Vlan {
    #[attr(flatten)]
    common: Interface,
    /// The interface; not needed when the name says it: `eno1.5`.
    #[attr(optional, computed)]
    #[form(name = "vlan-raw-device")]
    interface: Option<String>,
    /// The VLAN's name: `eno1.5`, or `vlan5`.
    #[attr(required, replace, length(3..))]
    #[form(name = "iface", create)]
    name: String,
    /// The VLAN's number; not needed when the name says it.
    #[attr(optional, computed)]
    #[form(name = "vlan-id")]
    vlan: Option<i64>,
}

impl Interface {
    /// Lets the node load its network anew. It does so once at a time.
    async fn reload(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        let node = &self.node_name;
        let path = format!("/nodes/{node}/network");
        let what = format!("load the network of {node}");
        let limit = Duration::from_secs(self.timeout_reload.unwrap_or(100).unsigned_abs());
        let _turn = client.turn(&path, 1).await;
        let form = Params::new();
        // ifreload ends with 89 when another one runs.
        let is_busy = |e: &Error| e.said().contains("exit code 89");
        with_backoff(cx, Backoff::default(), is_busy, || {
            client.run(cx, Method::PUT, &what, &path, &form, limit)
        })
        .await
    }
}

macro_rules! loads_network {
    ($($ty:ident.$interface:ident { $($own:tt)* })+) => {$(
        #[async_trait]
        impl Hooks for $ty {
            $($own)*

            async fn complement(
                &self,
                prior: Option<&Self>,
                client: &Client,
                cx: &Context,
            ) -> Result<(), Error> {
                if prior.is_some_and(|prior| self.changes(prior).is_empty()) {
                    return Ok(());
                }
                self.$interface.reload(client, cx).await
            }

            async fn remove(&self, client: &Client, cx: &Context) -> Result<(), Error> {
                object::remove(self, client, cx).await?;
                self.$interface.reload(client, cx).await
            }
        }
    )+};
}

loads_network! {
    Bond.interface {}
    Vlan.common {}
    Bridge.interface {
        fn validate(config: &Value) -> Diagnostics {
            let get = |name: &str| config.get(name);
            let aware = get("vlan_aware").is_none_or(|v| !v.is_known() || v.as_bool() == Some(true));
            if aware || get("vids").is_none_or(|v| v.is_null()) {
                return Diagnostics::new();
            }
            Diagnostic::error(
                "Missing vlan_aware",
                "`vids` takes effect only together with `vlan_aware = true`.",
            )
            .attribute(Path::root().attr("vids"))
            .into()
        }

        /// A bridge that knows of VLANs lets some pass even if none are named, and any other none.
        async fn plan(
            _client: Option<&Client>,
            plan: &mut PlanDraft,
            _cx: &Context,
        ) -> Result<(), Diagnostics> {
            let is_named = plan.config().get("vids").is_some_and(|v| !v.is_null());
            let aware = plan.attribute("vlan_aware").filter(Value::is_known);
            let (false, Some(aware)) = (is_named, aware) else {
                return Ok(());
            };
            let path = Path::root().attr("vids");
            if aware.as_bool() != Some(true) {
                plan.set(&path, Value::null(Type::String))?;
            } else if plan.prior().get("vids").is_none_or(|v| v.is_null()) {
                plan.set_unknown(&path)?;
            }
            Ok(())
        }
    }
}
