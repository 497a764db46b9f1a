//! The firewall of a virtual machine or container.

use stead_sdk::form::{Form as _, Unreadable};
use stead_sdk::{Context, Error, Form, Resource, async_trait};

use crate::client::Client;
use crate::firewall::existing;
use crate::firewall::level::Level;
use crate::rest::{Existing, Hooks};

/// The firewall of a guest. It stays as it is when this is destroyed.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_firewall_options", legacy)]
pub(crate) struct GuestOptions {
    /// The container.
    #[attr(
        optional,
        replace,
        range(100..=2_147_483_647),
        exactly_one_of("vm_id", "container_id")
    )]
    #[form(path)]
    container_id: Option<i64>,
    /// Let DHCP pass.
    #[attr(optional, default = false)]
    dhcp: bool,
    /// Whether the guest has a firewall, if the cluster has.
    #[attr(optional, default = false)]
    #[form(name = "enable")]
    enabled: bool,
    /// Made of the guest.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// What becomes of incoming packets for which there is no rule.
    #[attr(optional, default = "DROP", one_of("ACCEPT", "REJECT", "DROP"))]
    #[form(name = "policy_in")]
    input_policy: String,
    /// Let only packets from the guest's own addresses out.
    #[attr(optional)]
    #[form(implied = "0")]
    ipfilter: Option<bool>,
    /// What is logged of incoming packets.
    #[attr(
        optional,
        default = "nolog",
        one_of(
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"
        )
    )]
    #[form(name = "log_level_in")]
    log_level_in: String,
    /// What is logged of outgoing packets.
    #[attr(
        optional,
        default = "nolog",
        one_of(
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"
        )
    )]
    #[form(name = "log_level_out")]
    log_level_out: String,
    /// Let only packets from the guest's own hardware address out.
    #[attr(optional, default = true)]
    #[form(implied = "1")]
    macfilter: bool,
    /// Let the neighbour discovery of IPv6 pass.
    #[attr(optional, default = false)]
    #[form(implied = "1")]
    ndp: bool,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// What becomes of outgoing packets for which there is no rule.
    #[attr(optional, default = "ACCEPT", one_of("ACCEPT", "REJECT", "DROP"))]
    #[form(name = "policy_out")]
    output_policy: String,
    /// Let the guest announce itself as an IPv6 router.
    #[attr(optional, default = true)]
    #[form(implied = "0")]
    radv: bool,
    /// The virtual machine.
    #[attr(
        optional,
        replace,
        range(100..=2_147_483_647),
        exactly_one_of("vm_id", "container_id")
    )]
    #[form(path)]
    vm_id: Option<i64>,
}

impl GuestOptions {
    fn level(&self) -> Level {
        Level {
            container_id: self.container_id,
            node_name: Some(self.node_name.clone()),
            vm_id: self.vm_id,
        }
    }
}

#[async_trait]
impl Hooks for GuestOptions {
    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        existing::with_options(client, cx).await
    }

    fn part(&self, name: &str) -> Option<String> {
        match name {
            "level" => Some(self.level().path()),
            "place" => Some(self.level().place()),
            "checksum" => Some(checksum("options", &self.level(), "options")),
            other => self.text(other),
        }
    }

    fn take_part(&mut self, _name: &str, text: &str) -> Result<(), Unreadable> {
        let level = Level::parse(text)?;
        if level.vm_id.or(level.container_id).is_none() {
            return Err(Unreadable::new("`vm/NODE/ID` or `container/NODE/ID`"));
        }
        self.node_name = level.node_name.unwrap_or_default();
        self.vm_id = level.vm_id;
        self.container_id = level.container_id;
        Ok(())
    }

    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}

/// The published identifiers of what has no name: a checksum of its path.
pub(super) fn checksum(prefix: &str, level: &Level, what: &str) -> String {
    let path = format!("{}/{what}", level.path());
    let sum = crc32fast::hash(path.trim_start_matches('/').as_bytes());
    format!("{prefix}-{sum}")
}
