//! Label and field selectors of list and watch requests, and the selectors inside objects.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::ApiError;
use crate::object::{at, labels, list, text, text_map};

/// What a request wants to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(Vec<String>, bool, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Requirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Requirement::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Missing(key) => !labels.contains_key(key),
        }
    }
}

/// Fields that can be selected besides `metadata.name` and `metadata.namespace`, by resource key.
fn selectable(key: &str) -> &'static [&'static str] {
    match key {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "services" => &["spec.clusterIP", "spec.type"],
        "jobs.batch" => &["status.successful"],
        "replicasets.apps" => &["status.replicas"],
        _ => &[],
    }
}

impl Selector {
    pub(crate) fn parse(
        key: &str,
        label_selector: &str,
        field_selector: &str,
    ) -> Result<Selector, ApiError> {
        let labels = parse_labels(label_selector)
            .map_err(|why| ApiError::bad_request(format!("unable to parse requirement: {why}")))?;
        let mut fields = Vec::new();
        for term in field_selector
            .split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty())
        {
            let (name, wanted, value) = split_term(term).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "invalid selector: '{field_selector}'; can't understand '{term}'"
                ))
            })?;
            if !matches!(name, "metadata.name" | "metadata.namespace")
                && !selectable(key).contains(&name)
            {
                return Err(ApiError::bad_request(format!(
                    "field label not supported: {name}"
                )));
            }
            fields.push((
                name.split('.').map(str::to_owned).collect(),
                wanted,
                value.to_owned(),
            ));
        }
        Ok(Selector { labels, fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        if self.is_empty() {
            return true;
        }
        let found = labels(object);
        self.labels.iter().all(|r| r.matches(&found))
            && self.fields.iter().all(|(path, wanted, value)| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let field = match at(object, &path) {
                    Value::String(s) => s.clone(),
                    Value::Null => String::new(),
                    other => other.to_string(),
                };
                (field == *value) == *wanted
            })
    }
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    if let Some((name, value)) = term.split_once("!=") {
        return Some((name, false, value));
    }
    term.split_once("==")
        .or_else(|| term.split_once('='))
        .map(|(name, value)| (name, true, value))
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    let mut out = Vec::new();
    for term in split_outside_parentheses(text) {
        let term = term.trim();
        if !term.is_empty() {
            out.push(requirement(term)?);
        }
    }
    Ok(out)
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

fn requirement(term: &str) -> Result<Requirement, String> {
    let set = |rest: &str| -> Result<Vec<String>, String> {
        let inner = rest
            .trim()
            .strip_prefix('(')
            .and_then(|r| r.strip_suffix(')'));
        let inner = inner.ok_or_else(|| format!("found '{rest}', expected: '('"))?;
        Ok(inner.split(',').map(|v| v.trim().to_owned()).collect())
    };
    let words: Vec<&str> = term.splitn(2, char::is_whitespace).collect();
    if let [key, rest] = words.as_slice() {
        let rest = rest.trim();
        if let Some(values) = rest.strip_prefix("notin") {
            return Ok(Requirement::NotIn((*key).to_owned(), set(values)?));
        }
        if let Some(values) = rest.strip_prefix("in") {
            return Ok(Requirement::In((*key).to_owned(), set(values)?));
        }
    }
    if let Some((key, wanted, value)) = split_term(term) {
        let (key, values) = (key.trim().to_owned(), vec![value.trim().to_owned()]);
        return Ok(if wanted {
            Requirement::In(key, values)
        } else {
            Requirement::NotIn(key, values)
        });
    }
    match term.strip_prefix('!') {
        Some(key) => Ok(Requirement::Missing(key.trim().to_owned())),
        None if term.contains(char::is_whitespace) => Err(format!(
            "found '{term}', expected: in, notin, =, ==, !=, gt, lt"
        )),
        None => Ok(Requirement::Exists(term.to_owned())),
    }
}

/// Whether an object's own `selector` (`matchLabels`, `matchExpressions`) selects these labels. An empty one selects all.
pub(crate) fn label_selector_matches(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let equal = text_map(at(selector, &["matchLabels"]));
    if !equal.iter().all(|(k, v)| labels.get(k) == Some(v)) {
        return false;
    }
    list(selector, &["matchExpressions"])
        .iter()
        .all(|expression| {
            let key = text(expression, &["key"]).to_owned();
            let values = list(expression, &["values"])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let requirement = match text(expression, &["operator"]) {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Missing(key),
                _ => return false,
            };
            requirement.matches(labels)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selects_by_labels_and_fields() {
        let object = json!({"metadata": {"name": "a", "labels": {"app": "x", "tier": "db"}}});
        let matches = |l: &str, f: &str| {
            Selector::parse("configmaps", l, f)
                .unwrap()
                .matches(&object)
        };
        assert!(matches("app=x,tier in (db, web),!gone", "metadata.name=a"));
        assert!(!matches("app!=x", ""));
        assert!(!matches("tier notin (db)", ""));
        assert!(!matches("", "metadata.name!=a"));
        assert!(matches("app", ""));
        assert!(Selector::parse("configmaps", "", "spec.x=1").is_err());
        assert!(Selector::parse("configmaps", "a b", "").is_err());
    }
}
