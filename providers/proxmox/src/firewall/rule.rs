//! Rules, and how one list of them becomes another with few requests.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Context, Error, Form};

use crate::client::Client;

/// A rule: what becomes of some packets, or a security group whose rules count here.
#[derive(Clone, Debug, Default, Block, Form)]
#[block(legacy)]
pub(crate) struct Rule {
    /// What becomes of the packets: `ACCEPT`, `REJECT`, `DROP`.
    #[attr(optional, one_of("ACCEPT", "REJECT", "DROP"))]
    action: String,
    /// What the rule is for.
    #[attr(optional, default = "")]
    comment: String,
    /// Where they go: an address, network, range, list, alias or `+ipset`.
    #[attr(optional, default = "")]
    dest: String,
    /// The port they go to.
    #[attr(optional, default = "")]
    dport: String,
    /// Whether the rule counts.
    #[attr(optional, default = true)]
    #[form(name = "enable", implied = "0")]
    enabled: bool,
    /// The interface: of a guest `net0`.
    #[attr(optional, default = "")]
    iface: String,
    /// What is logged of them.
    #[attr(optional, default = "")]
    log: String,
    /// A service whose packets they are: `SSH`, `HTTPS`, …
    #[attr(optional, default = "")]
    r#macro: String,
    /// The rule's place, from 0.
    #[attr(computed)]
    #[form(read)]
    pos: i64,
    /// Their protocol: `tcp`, `udp`, `icmp`, …
    #[attr(optional, default = "")]
    proto: String,
    /// The security group whose rules count here; then there is no action and no type.
    #[attr(optional)]
    #[form(skip)]
    security_group: String,
    /// Where they come from.
    #[attr(optional, default = "")]
    source: String,
    /// The port they come from.
    #[attr(optional, default = "")]
    sport: String,
    /// Which way they go: `in`, `out`, `forward`.
    #[attr(optional, one_of("in", "out", "forward"))]
    r#type: String,
}

impl Rule {
    /// All that the server knows of it, but for its place.
    fn form(&self) -> Params {
        let mut form = self.creation();
        if !self.security_group.is_empty() {
            form.retain(|(name, _)| name != "action" && name != "type");
            form.push(("action".to_owned(), self.security_group.clone()));
            form.push(("type".to_owned(), "group".to_owned()));
        }
        form.sort();
        form
    }

    fn read(found: &Json) -> Result<Rule, Unreadable> {
        let mut rule = Rule::blank();
        rule.absorb(found)?;
        if rule.r#type == "group" {
            rule.security_group = std::mem::take(&mut rule.action);
            rule.r#type = String::new();
        }
        Ok(rule)
    }
}

/// The rules of an answer, in their order.
pub(super) fn read(found: &Json) -> Result<Vec<Rule>, Unreadable> {
    let found = found.as_array().ok_or(Unreadable::new("a list of rules"))?;
    let rules = found.iter().map(Rule::read).collect::<Result<Vec<_>, _>>();
    let mut rules = rules.map_err(|e| e.within("rules"))?;
    rules.sort_by_key(|rule| rule.pos);
    Ok(rules)
}

/// Says each rule its place.
pub(super) fn number(rules: &mut [Rule]) {
    for (rule, pos) in rules.iter_mut().zip(0..) {
        rule.pos = pos;
    }
}

/// A rule says either what becomes of which packets, or which group counts.
pub(super) fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    let rules = config.get("rule");
    let rules = rules.as_ref().and_then(Value::as_sequence);
    for (i, rule) in rules.into_iter().flatten().enumerate() {
        let set = |name: &str| match rule.get(name) {
            Some(v) if !v.is_known() => None,
            value => Some(value.is_some_and(|v| v.as_str().is_some_and(|t| !t.is_empty()))),
        };
        let parts = ["security_group", "action", "type"].map(set);
        let [Some(group), Some(action), Some(kind)] = parts else {
            continue;
        };
        if group == (action && kind) {
            let detail = "A rule has either a `security_group`, or both `action` and `type`.";
            let path = Path::root().attr("rule").index_number(i);
            found.push(Diagnostic::error("Invalid firewall rule", detail).attribute(path));
        }
    }
    found
}

/// A list of rules on the server.
pub(super) struct List<'a> {
    pub(super) client: &'a Client,
    pub(super) cx: &'a Context,
    pub(super) path: String,
    /// Completes "… the rules of".
    pub(super) what: String,
}

impl List<'_> {
    pub(super) async fn rules(&self) -> Result<Vec<Rule>, Error> {
        let what = format!("list the {}", self.what);
        let found = self
            .client
            .get(self.cx, &what, &self.path, &Params::new())
            .await?;
        read(&found).map_err(|e| Error::new(what, e.to_string()))
    }

    async fn change(
        &self,
        verb: &str,
        method: Method,
        at: Option<usize>,
        form: &Params,
    ) -> Result<(), Error> {
        let path = match at {
            Some(at) => format!("{}/{at}", self.path),
            None => self.path.clone(),
        };
        let what = format!("{verb} one of the {}", self.what);
        let done = self.client.change(self.cx, method, &what, &path, form);
        done.await.map(|_| ())
    }

    /// A new rule is the first.
    async fn add(&self, rule: &Params) -> Result<(), Error> {
        self.change("add", Method::POST, None, rule).await
    }

    /// Makes these the rules: what is there already stays or moves, what is no longer wanted is changed to what is.
    pub(super) async fn become_these(&self, wanted: &[Rule]) -> Result<(), Error> {
        let wanted: Vec<_> = wanted.iter().map(Rule::form).collect();
        let mut there: Vec<_> = self.rules().await?.iter().map(Rule::form).collect();
        if there.is_empty() {
            for rule in wanted.iter().rev() {
                self.add(rule).await?;
            }
            return Ok(());
        }
        for (at, rule) in wanted.iter().enumerate() {
            let same = there.iter().skip(at).position(|r| r == rule);
            match same.map(|distance| at + distance) {
                Some(from) if from == at => {}
                Some(from) => {
                    let to = vec![("moveto".to_owned(), at.to_string())];
                    self.change("move", Method::PUT, Some(from), &to).await?;
                    let moved = there.remove(from);
                    there.insert(at, moved);
                }
                None => match there.get(at) {
                    // Nobody else will want it.
                    Some(old) if !wanted.iter().skip(at).any(|later| later == old) => {
                        let form = difference(old, rule);
                        self.change("change", Method::PUT, Some(at), &form).await?;
                        if let Some(place) = there.get_mut(at) {
                            place.clone_from(rule);
                        }
                    }
                    _ => {
                        self.add(rule).await?;
                        if at > 0 {
                            // Before the one that follows it: all are one further by now.
                            let to = vec![("moveto".to_owned(), (at + 1).to_string())];
                            self.change("move", Method::PUT, Some(0), &to).await?;
                        }
                        there.insert(at, rule.clone());
                    }
                },
            }
        }
        for at in (wanted.len()..there.len()).rev() {
            let form = Params::new();
            self.change("delete", Method::DELETE, Some(at), &form)
                .await?;
        }
        Ok(())
    }
}

/// What makes one rule another.
fn difference(old: &Params, new: &Params) -> Params {
    let mut form: Params = new.iter().filter(|p| !old.contains(p)).cloned().collect();
    let has = |name: &String| new.iter().any(|(known, _)| known == name);
    let gone: Vec<_> = old.iter().map(|(name, _)| name.as_str()).collect();
    let gone: Vec<_> = gone
        .into_iter()
        .filter(|n| !has(&(*n).to_owned()))
        .collect();
    if !gone.is_empty() {
        form.push(("delete".to_owned(), gone.join(",")));
    }
    form
}
