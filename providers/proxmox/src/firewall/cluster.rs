//! What counts for the firewall of the whole cluster.

use stead_sdk::form::{Form as _, Unreadable};
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Block, Context, Error, Form, Resource, async_trait};

use crate::client::Client;
use crate::rest::Hooks;

const RATE: Pattern = Pattern {
    regex: r"[1-9]\d*/(second|minute|hour|day)",
    form: "a rate, such as 1/second",
};

/// The firewall of the cluster. It stays as it is when this is destroyed.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_cluster_firewall", legacy)]
pub(crate) struct ClusterFirewall {
    /// Filter Ethernet frames, too.
    #[attr(optional)]
    ebtables: bool,
    /// Whether there is a firewall at all, on nodes and guests that have it enabled.
    #[attr(optional)]
    #[form(name = "enable")]
    enabled: bool,
    /// What becomes of forwarded packets for which there is no rule.
    #[attr(optional, default = "ACCEPT", one_of("ACCEPT", "DROP"))]
    #[form(name = "policy_forward")]
    forward_policy: String,
    /// Always `cluster-firewall`.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// What becomes of incoming packets for which there is no rule.
    #[attr(optional, default = "DROP", one_of("ACCEPT", "REJECT", "DROP"))]
    #[form(name = "policy_in")]
    input_policy: String,
    /// What becomes of outgoing packets for which there is no rule.
    #[attr(optional, default = "ACCEPT", one_of("ACCEPT", "REJECT", "DROP"))]
    #[form(name = "policy_out")]
    output_policy: String,
    /// How many lines the log may grow by.
    #[attr(block(list, max = 1))]
    #[form(name = "log_ratelimit", with = if_known)]
    log_ratelimit: Option<LogRatelimit>,
}

/// A limit of log lines.
#[derive(Clone, Debug, Block, Form)]
#[block(legacy)]
pub(crate) struct LogRatelimit {
    /// How many lines may come at once.
    #[attr(optional, default = 5)]
    burst: i64,
    /// Limit the lines.
    #[attr(optional, default = true)]
    #[form(name = "enable")]
    enabled: bool,
    /// How many lines may come in the long run: `1/second`.
    #[attr(optional, default = "1/second", pattern(RATE))]
    rate: String,
}

#[async_trait]
impl Hooks for ClusterFirewall {
    /// There is one firewall of the cluster, whatever people call it.
    fn part(&self, name: &str) -> Option<String> {
        match name {
            "place" => Some("cluster-firewall".to_owned()),
            other => self.text(other),
        }
    }

    fn take_part(&mut self, _name: &str, _text: &str) -> Result<(), Unreadable> {
        Ok(())
    }

    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}

/// A block that nobody wrote is not read either: it has defaults.
mod if_known {
    use serde_json::Value as Json;
    use stead_sdk::form::{FormValue, Style, Unreadable};

    use super::LogRatelimit;

    pub(super) fn write(limit: &Option<LogRatelimit>) -> Vec<String> {
        limit.write(Style::PLAIN)
    }

    pub(super) fn read(
        prior: Option<LogRatelimit>,
        found: Option<&Json>,
    ) -> Result<Option<LogRatelimit>, Unreadable> {
        match (prior, found) {
            (Some(_), Some(found)) => FormValue::read(None, found, Style::PLAIN),
            _ => Ok(None),
        }
    }
}
