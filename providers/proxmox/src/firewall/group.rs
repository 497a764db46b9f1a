//! Security groups: rules under a name, for use in other rules.

use reqwest::Method;
use serde_json::{Value as Json, json};
use stead_sdk::form::{Params, Unreadable};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Form, PlanDraft, Resource, async_trait};

use crate::client::{Client, params, text};
use crate::firewall::level::Level;
use crate::firewall::rule::{self, List, Rule};
use crate::firewall::{NAME, renamed};
use crate::property::percent_encode;
use crate::rest::{Hooks, object};

const GROUPS: &str = "/cluster/firewall/groups";

/// Rules under a name, which rules of nodes and guests may refer to.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_virtual_environment_cluster_firewall_security_group",
    legacy
)]
pub(crate) struct SecurityGroup {
    /// Groups belong to the cluster: what is said of a node or guest has no effect.
    #[attr(flatten)]
    level: Level,
    /// What the group is for.
    #[attr(optional, default = "")]
    comment: String,
    /// The name.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// The name.
    #[attr(required, pattern(NAME))]
    #[form(name = "group", create)]
    name: String,
    /// A rule. The first that fits a packet decides.
    #[attr(block(list))]
    #[form(skip)]
    rule: Vec<Rule>,
}

impl SecurityGroup {
    fn list<'a>(&self, client: &'a Client, cx: &'a Context) -> List<'a> {
        List {
            client,
            cx,
            path: format!("{GROUPS}/{}", percent_encode(&self.name)),
            what: format!("rules of the security group {}", self.name),
        }
    }
}

#[async_trait]
impl Hooks for SecurityGroup {
    fn validate(config: &Value) -> Diagnostics {
        let mut found = rule::validate(config);
        for name in ["node_name", "vm_id", "container_id"] {
            if config.get(name).is_some_and(|value| !value.is_null()) {
                let warning = Diagnostic::warning(
                    "Attribute without effect",
                    format!(
                        "Security groups belong to the cluster: `{name}` changes nothing. Remove it, and let a \
                         `proxmox_virtual_environment_firewall_rules` of the node or guest refer to the group."
                    ),
                );
                found.push(warning.attribute(Path::root().attr(name)));
            }
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        renamed(plan)
    }

    /// Name and comment are set in the same way: an existing group is "renamed".
    async fn alter(
        &self,
        prior: &Self,
        client: &Client,
        _form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        if (&prior.name, &prior.comment) == (&self.name, &self.comment) {
            return Ok(());
        }
        let form = params([
            ("group", self.name.clone()),
            ("rename", prior.name.clone()),
            ("comment", self.comment.clone()),
        ]);
        let what = object::doing("change", prior);
        client
            .change(cx, Method::POST, &what, GROUPS, &form)
            .await?;
        Ok(())
    }

    async fn complement(
        &self,
        _prior: Option<&Self>,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        self.list(client, cx).become_these(&self.rule).await
    }

    /// The group's rules are in its item, its comment only in the list of all.
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let what = object::doing("read", self);
        let groups = client.get(cx, &what, GROUPS, &Params::new()).await?;
        let mut groups = groups.as_array().into_iter().flatten();
        let group = groups.find(|g| text(g, "group").as_deref() == Some(&self.name));
        let group = group.ok_or_else(|| Error::not_found(&what, "there is no such group"))?;
        let rules = object::fetch(self, client, cx).await?;
        let comment = text(group, "comment").unwrap_or_default();
        Ok(json!({ "group": self.name, "comment": comment, "rules": rules }))
    }

    fn finish(&mut self) {
        rule::number(&mut self.rule);
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        self.rule = rule::read(answer.get("rules").unwrap_or(&Json::Null))?;
        Ok(true)
    }

    /// Only an empty group can be deleted.
    async fn remove(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        self.list(client, cx).become_these(&[]).await?;
        object::remove(self, client, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_effect_is_said() {
        let group =
            |node: Value| Value::object_from([("name", Value::string("web")), ("node_name", node)]);
        let said = <SecurityGroup as Hooks>::validate(&group(Value::string("pve")));
        assert!(
            format!("{said:?}").contains("`node_name` changes nothing"),
            "{said:?}"
        );
        let silent =
            <SecurityGroup as Hooks>::validate(&group(Value::null(stead_sdk::value::Type::String)));
        assert_eq!(silent.len(), 0);
    }
}
