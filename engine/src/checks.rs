//! Check results: how the conditions of resources, outputs, variables and `check` blocks turned out, as plans show them and
//! state records them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use stead_value::addr::{ConfigResource, Module};
pub use stead_value::condition::{CheckObject, RuleKind};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Pass,
    Fail,
    /// A condition could not be evaluated.
    Error,
    #[default]
    Unknown,
}

impl CheckStatus {
    pub fn word(self) -> &'static str {
        match self {
            CheckStatus::Pass => "pass",
            CheckStatus::Fail => "fail",
            CheckStatus::Error => "error",
            CheckStatus::Unknown => "unknown",
        }
    }

    /// What several results are together: the worst of them decides.
    pub(crate) fn of(all: impl IntoIterator<Item = CheckStatus>) -> CheckStatus {
        let severity = |status| match status {
            CheckStatus::Pass => 0,
            CheckStatus::Unknown => 1,
            CheckStatus::Fail => 2,
            CheckStatus::Error => 3,
        };
        all.into_iter()
            .max_by_key(|status| severity(*status))
            .unwrap_or(CheckStatus::Pass)
    }
}

/// How one condition turned out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleResult {
    pub status: CheckStatus,
    /// The author's message, when it failed.
    pub message: Option<String>,
}

/// Something in the configuration that has conditions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Checkable {
    Resource(ConfigResource),
    Output(Module, Arc<str>),
    Check(Module, Arc<str>),
    Variable(Module, Arc<str>),
}

impl Checkable {
    /// The state's word for the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Checkable::Resource(_) => "resource",
            Checkable::Output(..) => "output",
            Checkable::Check(..) => "check",
            Checkable::Variable(..) => "var",
        }
    }

    pub fn module(&self) -> &Module {
        match self {
            Checkable::Resource(resource) => &resource.module,
            Checkable::Output(module, _)
            | Checkable::Check(module, _)
            | Checkable::Variable(module, _) => module,
        }
    }
}

impl fmt::Display for Checkable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, module, name) = match self {
            Checkable::Resource(resource) => return resource.fmt(f),
            Checkable::Output(module, name) => ("output", module, name),
            Checkable::Check(module, name) => ("check", module, name),
            Checkable::Variable(module, name) => ("var", module, name),
        };
        if !module.0.is_empty() {
            write!(f, "{module}.")?;
        }
        write!(f, "{word}.{name}")
    }
}

/// How an object's conditions turned out, taken together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectResult {
    pub status: CheckStatus,
    /// Of the conditions that failed, sorted.
    pub messages: Vec<String>,
}

/// The results of everything that has conditions. `None` in place of objects: it is not known which there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckResults(pub BTreeMap<Checkable, Option<BTreeMap<CheckObject, ObjectResult>>>);

impl CheckResults {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn status(objects: &Option<BTreeMap<CheckObject, ObjectResult>>) -> CheckStatus {
        match objects {
            None => CheckStatus::Unknown,
            Some(objects) => CheckStatus::of(objects.values().map(|o| o.status)),
        }
    }

    /// As state records them.
    pub fn to_state(&self) -> Json {
        if self.is_empty() {
            return Json::Null;
        }
        self.0
            .iter()
            .map(|(checkable, objects)| {
                let mut out = json!({
                    "object_kind": checkable.kind(),
                    "config_addr": checkable.to_string(),
                    "status": CheckResults::status(objects).word(),
                });
                let mut list = Vec::new();
                for (object, result) in objects.iter().flatten() {
                    let mut entry = json!({
                        "object_addr": object.to_string(),
                        "status": result.status.word(),
                    });
                    if !result.messages.is_empty() {
                        entry["failure_messages"] = json!(result.messages);
                    }
                    list.push(entry);
                }
                // A state says null of what has no instances.
                out["objects"] = if list.is_empty() {
                    Json::Null
                } else {
                    list.into()
                };
                out
            })
            .collect()
    }
}

impl CheckResults {
    /// Reads what state records; `None` when an address or a word in it is not one.
    pub fn from_state(json: &Json) -> Option<CheckResults> {
        let mut results = CheckResults::default();
        for entry in json.as_array().into_iter().flatten() {
            let kind = entry.get("object_kind")?.as_str()?;
            let (checkable, _) = addresses(kind, entry.get("config_addr")?.as_str()?)?;
            let status = status(entry.get("status")?)?;
            let mut objects = BTreeMap::new();
            let list = entry.get("objects").and_then(Json::as_array);
            for object in list.into_iter().flatten() {
                let (_, address) = addresses(kind, object.get("object_addr")?.as_str()?)?;
                let messages = object.get("failure_messages").and_then(Json::as_array);
                let messages = messages.into_iter().flatten();
                let result = ObjectResult {
                    status: self::status(object.get("status")?)?,
                    messages: messages
                        .filter_map(|m| m.as_str().map(str::to_owned))
                        .collect(),
                };
                objects.insert(address, result);
            }
            let known = !objects.is_empty() || status != CheckStatus::Unknown;
            results.0.insert(checkable, known.then_some(objects));
        }
        Some(results)
    }
}

fn status(json: &Json) -> Option<CheckStatus> {
    Some(match json.as_str()? {
        "pass" => CheckStatus::Pass,
        "fail" => CheckStatus::Fail,
        "error" => CheckStatus::Error,
        "unknown" => CheckStatus::Unknown,
        _ => return None,
    })
}

/// An address with and without instance keys.
fn addresses(kind: &str, text: &str) -> Option<(Checkable, CheckObject)> {
    if kind == "resource" {
        let address = stead_state::parse_resource_instance(text)?;
        let config = Checkable::Resource(address.config());
        return Some((config, CheckObject::Instance(address)));
    }
    let (front, name) = text.rsplit_once('.')?;
    let (module, word) = front.rsplit_once('.').unwrap_or(("", front));
    let module = stead_state::parse_module_instance(module)?;
    let (path, name): (_, Arc<str>) = (module.module(), name.into());
    Some(match (kind, word) {
        ("output", "output") => (
            Checkable::Output(path, name.clone()),
            CheckObject::Output(module, name),
        ),
        ("check", "check") => (
            Checkable::Check(path, name.clone()),
            CheckObject::Check(module, name),
        ),
        ("var", "var") => (
            Checkable::Variable(path, name.clone()),
            CheckObject::Variable(module, name),
        ),
        _ => return None,
    })
}

/// The conditions evaluated so far.
#[derive(Debug, Default)]
pub(crate) struct Recorded(BTreeMap<(CheckObject, RuleKind, usize), RuleResult>);

impl Recorded {
    pub(crate) fn put(&mut self, object: &CheckObject, kind: RuleKind, results: &[RuleResult]) {
        for (index, result) in results.iter().enumerate() {
            self.0.insert((object.clone(), kind, index), result.clone());
        }
    }

    pub(crate) fn has_failed(&self, object: &CheckObject, kind: RuleKind) -> bool {
        self.0
            .get(&(object.clone(), kind, 0))
            .is_some_and(|r| r.status == CheckStatus::Fail)
    }

    /// The object's results together; conditions that were not evaluated are unknown.
    pub(crate) fn of(&self, object: &CheckObject, rules: &[(RuleKind, usize)]) -> ObjectResult {
        let mut statuses = Vec::new();
        let mut messages = Vec::new();
        for (kind, count) in rules {
            for index in 0..*count {
                let found = self.0.get(&(object.clone(), *kind, index));
                statuses.push(found.map(|r| r.status).unwrap_or_default());
                messages.extend(
                    found
                        .filter(|r| r.status == CheckStatus::Fail)
                        .and_then(|r| r.message.clone())
                        .filter(|m| !m.is_empty()),
                );
            }
        }
        messages.sort();
        ObjectResult {
            status: CheckStatus::of(statuses),
            messages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_result_decides() {
        use CheckStatus::{Error, Fail, Pass, Unknown};
        assert_eq!(CheckStatus::of([]), Pass);
        assert_eq!(CheckStatus::of([Pass, Unknown, Pass]), Unknown);
        assert_eq!(CheckStatus::of([Unknown, Fail, Pass]), Fail);
        assert_eq!(CheckStatus::of([Fail, Error]), Error);
    }

    #[test]
    fn results_come_back_from_a_state() {
        let json = json!([
            {"object_kind": "check", "config_addr": "module.m.check.c", "status": "fail", "objects": [
                {"object_addr": "module.m[\"a.b\"].check.c", "status": "fail", "failure_messages": ["no"]},
            ]},
            {"object_kind": "output", "config_addr": "output.o", "status": "unknown", "objects": null},
            {"object_kind": "resource", "config_addr": "t.a", "status": "pass", "objects": [
                {"object_addr": "t.a[0]", "status": "pass"},
            ]},
        ]);
        let read = CheckResults::from_state(&json).expect("results");
        let key = |entry: &Json| entry["config_addr"].to_string();
        let mut written = read.to_state().as_array().cloned().expect("a list");
        written.sort_by_key(key);
        assert_eq!(Json::Array(written), json);
    }

    #[test]
    fn conditions_that_were_not_evaluated_are_unknown() {
        let object = CheckObject::Output(stead_value::addr::ModuleInstance::root(), "o".into());
        let mut recorded = Recorded::default();
        let pass = RuleResult {
            status: CheckStatus::Pass,
            message: None,
        };
        recorded.put(&object, RuleKind::OutputPrecondition, &[pass]);
        let of = |count| {
            recorded
                .of(&object, &[(RuleKind::OutputPrecondition, count)])
                .status
        };
        assert_eq!((of(1), of(2)), (CheckStatus::Pass, CheckStatus::Unknown));
    }
}
