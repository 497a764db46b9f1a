//! HA rules: where highly available guests run, and with which others (Proxmox VE 9).

use std::collections::{BTreeMap, BTreeSet};

use stead_sdk::form::Params;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Form, Resource};

use crate::cluster::ha_resource::GUEST;
use crate::rest::Hooks;
use crate::rest::patterns::{COMMENT, CONFIG_ID, NODE};

const ON_NODES: &str = "node-affinity";
const TOGETHER: &str = "resource-affinity";

/// Which nodes highly available guests prefer, or which guests stay together or apart.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_harule", alias = "proxmox_virtual_environment_harule")]
pub(crate) struct HaRule {
    /// The rule's name.
    #[attr(computed)]
    id: String,
    /// `positive` keeps the guests on one node, `negative` on different ones. For `resource-affinity`.
    #[attr(optional, one_of("positive", "negative"))]
    affinity: Option<String>,
    /// What the rule is for.
    #[attr(optional, pattern(COMMENT))]
    comment: Option<String>,
    /// Keep the rule, and do not apply it.
    #[attr(optional, computed, default = false)]
    disable: bool,
    /// The nodes with their priorities; higher ones are preferred, and null is the lowest. For `node-affinity`.
    #[attr(optional, length(1..), keys(NODE), range(0..=1000))]
    nodes: Option<BTreeMap<String, Option<i64>>>,
    /// The guests: `vm:100`, `ct:101`.
    #[attr(required, length(1..), pattern(GUEST))]
    resources: BTreeSet<String>,
    /// The rule's name.
    #[attr(required, replace, pattern(CONFIG_ID))]
    #[form(create)]
    rule: String,
    /// Run the guests on these nodes only, and stop them when none is online. For `node-affinity`.
    #[attr(optional, computed, default = false)]
    strict: bool,
    /// `node-affinity` or `resource-affinity`.
    #[attr(required, replace, one_of("node-affinity", "resource-affinity"))]
    #[form(always)]
    r#type: String,
}

impl Hooks for HaRule {
    fn validate(config: &Value) -> Diagnostics {
        let text = |name: &str| config.get(name).filter(Value::is_known);
        let kind = text("type");
        let (needed, foreign) = match kind.as_ref().and_then(Value::as_str) {
            Some(ON_NODES) => ("nodes", "affinity"),
            Some(TOGETHER) => ("affinity", "nodes"),
            _ => return Diagnostics::new(),
        };
        let kind = if needed == "nodes" {
            ON_NODES
        } else {
            TOGETHER
        };
        let is_set = |name: &str| text(name).map(|value| !value.is_null());
        let wrong = |name: &str, what: &str| {
            Diagnostic::error(
                "Invalid attribute value",
                format!("A rule of the type `{kind}` {what} `{name}`."),
            )
            .attribute(Path::root().attr(name))
        };
        let lacking = (is_set(needed) == Some(false)).then(|| wrong(needed, "needs"));
        let extra = (is_set(foreign) == Some(true)).then(|| wrong(foreign, "does not take"));
        lacking.into_iter().chain(extra).collect()
    }

    fn send(&self, _prior: Option<&Self>, form: &mut Params) {
        if self.r#type != ON_NODES {
            form.retain(|(name, _)| name != "strict");
        }
    }
}
