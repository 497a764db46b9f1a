//! The published parameters of every public method, and checking calls against them with the appliance's own texts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Invalid, Problem};

/// `tables/api.json`, made by `tools/api_table.py` from the middleware's published JSON Schemas.
const TABLE: &str = include_str!("../tables/api.json");

/// The table of one release.
#[derive(Deserialize)]
pub(crate) struct Api {
    pub api_version: String,
    pub release: String,
    methods: BTreeMap<String, Method>,
    types: BTreeMap<String, Value>,
}

/// A public method.
#[derive(Deserialize)]
pub(crate) struct Method {
    params: Vec<Vec<Value>>,
    #[serde(default)]
    pub job: bool,
    #[serde(default)]
    pub job_lock: Option<String>,
    #[serde(default)]
    pub roles: Vec<String>,
    #[serde(default = "yes")]
    pub authentication_required: bool,
    #[serde(default = "yes")]
    pub authorization_required: bool,
    #[serde(default = "yes")]
    pub rate_limit: bool,
}

fn yes() -> bool {
    true
}

impl Api {
    /// Reads the table that is part of the program.
    pub(crate) fn load() -> std::io::Result<Api> {
        serde_json::from_str(TABLE).map_err(std::io::Error::other)
    }

    pub(crate) fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    /// The parameters with their defaults, or everything that is wrong with them.
    pub(crate) fn check(&self, method: &Method, given: &[Value]) -> Result<Vec<Value>, Invalid> {
        let mut problems = Vec::new();
        if given.len() > method.params.len() {
            let text = format!(
                "Too many arguments (expected {}, found {})",
                method.params.len(),
                given.len()
            );
            problems.push(Problem::new("", text));
            return Err(Invalid(problems));
        }
        let mut checked = Vec::new();
        for (at, param) in method.params.iter().enumerate() {
            let name = param.first().and_then(Value::as_str).unwrap_or_default();
            let required = param.get(1).and_then(Value::as_i64) == Some(1);
            match (given.get(at), required, param.get(3)) {
                (Some(value), ..) => checked.push(self.value(
                    name,
                    param.get(2).unwrap_or(&Value::Null),
                    value,
                    &mut problems,
                )),
                (None, true, _) => problems.push(Problem::new(name, "Field required")),
                (None, false, Some(default)) => checked.push(default.clone()),
                (None, false, None) => {
                    checked.push(self.default_of(param.get(2).unwrap_or(&Value::Null)));
                }
            }
        }
        if problems.is_empty() {
            Ok(checked)
        } else {
            Err(Invalid(problems))
        }
    }

    /// An optional object that was left out, filled with its members' defaults.
    fn default_of(&self, kind: &Value) -> Value {
        let mut ignored = Vec::new();
        match self.resolve(kind).get(0).and_then(Value::as_str) {
            Some("obj") => self.value("", kind, &Value::Object(Map::new()), &mut ignored),
            _ => Value::Null,
        }
    }

    fn resolve<'t>(&'t self, kind: &'t Value) -> &'t Value {
        match (
            kind.get(0).and_then(Value::as_str),
            kind.get(1).and_then(Value::as_str),
        ) {
            (Some("ref"), Some(name)) => self.types.get(name).unwrap_or(kind),
            _ => kind,
        }
    }

    /// One value against its type: the value with defaults, problems noted.
    fn value(&self, path: &str, kind: &Value, given: &Value, problems: &mut Vec<Problem>) -> Value {
        let kind = self.resolve(kind);
        let word = kind
            .as_str()
            .or_else(|| kind.get(0).and_then(Value::as_str))
            .unwrap_or("any");
        let arg = |at: usize| kind.get(at).unwrap_or(&Value::Null);
        let mut wrong = |text: String| problems.push(Problem::new(path, text));
        match (word, given) {
            ("any", _)
            | ("null", Value::Null)
            | ("bool", Value::Bool(_))
            | ("num", Value::Number(_))
            | ("map", Value::Object(_)) => {}
            ("int", Value::Number(n)) if n.as_i64().is_some() || n.as_u64().is_some() => {
                integer(n, arg(1), arg(2), &mut wrong);
            }
            ("str", Value::String(text)) => string(text, kind, &mut wrong),
            ("enum", value) => {
                let allowed = arg(1).as_array().map(Vec::as_slice).unwrap_or_default();
                if !allowed.contains(value) {
                    wrong(format!("Input should be {}", listed(allowed)));
                }
            }
            ("list", Value::Array(items)) => {
                let count = |n: u64| if n == 1 { "item" } else { "items" };
                if let Some(min) = arg(2).as_u64().filter(|m| (items.len() as u64) < *m) {
                    wrong(format!(
                        "List should have at least {min} {} after validation, not {}",
                        count(min),
                        items.len()
                    ));
                }
                if let Some(max) = arg(3).as_u64().filter(|m| (items.len() as u64) > *m) {
                    wrong(format!(
                        "List should have at most {max} {} after validation, not {}",
                        count(max),
                        items.len()
                    ));
                }
                let each = |(at, item): (usize, &Value)| {
                    self.value(&format!("{path}.{at}"), arg(1), item, problems)
                };
                return Value::Array(items.iter().enumerate().map(each).collect());
            }
            ("or", value) => {
                return self.union(
                    path,
                    arg(1).as_array().map(Vec::as_slice).unwrap_or_default(),
                    value,
                    problems,
                );
            }
            ("tag", Value::Object(map)) => {
                let member = arg(1).as_str().unwrap_or_default();
                let known = arg(2).as_object().cloned().unwrap_or_default();
                let tag = map.get(member).and_then(Value::as_str);
                match tag.and_then(|t| known.get(t).map(|k| (t, k))) {
                    Some((tag, kind)) => {
                        return self.value(&format!("{path}.{tag}"), kind, given, problems);
                    }
                    None => {
                        let all: Vec<String> = known.keys().map(|k| format!("'{k}'")).collect();
                        wrong(match tag {
                            Some(tag) => format!(
                                "Input tag '{tag}' found using '{member}' does not match any of the expected tags: {}",
                                all.join(", ")
                            ),
                            None => format!("Unable to extract tag using discriminator '{member}'"),
                        });
                    }
                }
            }
            ("obj", Value::Object(map)) => return self.object(path, kind, map, problems),
            ("null", _) => wrong("Input should be None".to_owned()),
            ("bool", _) => wrong("Input should be a valid boolean".to_owned()),
            ("int", _) => wrong("Input should be a valid integer".to_owned()),
            ("num", _) => wrong("Input should be a valid number".to_owned()),
            ("str", _) => wrong("Input should be a valid string".to_owned()),
            ("list", _) => wrong("Input should be a valid list".to_owned()),
            ("obj", _) if !arg(1).as_str().unwrap_or_default().is_empty() => {
                wrong(format!(
                    "Input should be a valid dictionary or instance of {}",
                    arg(1).as_str().unwrap_or_default()
                ));
            }
            _ => wrong("Input should be a valid dictionary".to_owned()),
        }
        given.clone()
    }

    fn object(
        &self,
        path: &str,
        kind: &Value,
        map: &Map<String, Value>,
        problems: &mut Vec<Problem>,
    ) -> Value {
        let none = Map::new();
        let keys = kind.get(2).and_then(Value::as_object).unwrap_or(&none);
        let open = kind.get(3) == Some(&Value::Bool(true));
        let join = |key: &str| {
            if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            }
        };
        let mut checked = Map::new();
        for (key, entry) in keys {
            match map.get(key) {
                Some(value) => {
                    let value = self.value(
                        &join(key),
                        entry.get(1).unwrap_or(&Value::Null),
                        value,
                        problems,
                    );
                    checked.insert(key.clone(), value);
                }
                None if entry.get(0).and_then(Value::as_i64) == Some(1) => {
                    problems.push(Problem::new(&join(key), "Field required"));
                }
                None => {
                    if let Some(default) = entry.get(2) {
                        checked.insert(key.clone(), default.clone());
                    }
                }
            }
        }
        for (key, value) in map.iter().filter(|(k, _)| !keys.contains_key(*k)) {
            if open {
                checked.insert(key.clone(), value.clone());
            } else {
                problems.push(Problem::new(&join(key), "Extra inputs are not permitted"));
            }
        }
        Value::Object(checked)
    }

    fn union(
        &self,
        path: &str,
        members: &[Value],
        given: &Value,
        problems: &mut Vec<Problem>,
    ) -> Value {
        let mut all = Vec::new();
        // `X | None` reports as X does; a real union names the member that did not fit.
        let real: Vec<&Value> = members
            .iter()
            .filter(|m| m.as_str() != Some("null"))
            .collect();
        for member in members {
            let mut mine = Vec::new();
            let path = if real.len() > 1 {
                format!("{path}.{}", label(member))
            } else {
                path.to_owned()
            };
            let value = self.value(&path, member, given, &mut mine);
            if mine.is_empty() {
                return value;
            }
            if real.len() > 1 || member.as_str() != Some("null") {
                all.append(&mut mine);
            }
        }
        problems.append(&mut all);
        given.clone()
    }
}

/// How a member of a union is called in attribute paths.
fn label(member: &Value) -> String {
    let arg = |at: usize| member.get(at).unwrap_or(&Value::Null);
    match member
        .as_str()
        .or_else(|| arg(0).as_str())
        .unwrap_or_default()
    {
        "ref" => arg(1).as_str().unwrap_or_default().to_owned(),
        "obj" => arg(1).as_str().unwrap_or_default().to_owned(),
        "enum" => {
            let values = arg(1).as_array().map(Vec::as_slice).unwrap_or_default();
            format!(
                "literal[{}]",
                values.iter().map(shown).collect::<Vec<_>>().join(",")
            )
        }
        "int" if arg(1).is_null() && arg(2).is_null() => "int".to_owned(),
        "int" => "constrained-int".to_owned(),
        "str" if arg(1).is_null() && arg(3).is_null() => "str".to_owned(),
        "str" => "constrained-str".to_owned(),
        "list" => "list".to_owned(),
        "map" => "dict".to_owned(),
        "null" => "none".to_owned(),
        other => other.to_owned(),
    }
}

fn integer(given: &serde_json::Number, min: &Value, max: &Value, wrong: &mut impl FnMut(String)) {
    let value = given
        .as_i64()
        .map(i128::from)
        .or_else(|| given.as_u64().map(i128::from))
        .unwrap_or_default();
    if let Some(min) = min.as_i64().filter(|m| value < i128::from(*m)) {
        wrong(format!("Input should be greater than or equal to {min}"));
    }
    if let Some(max) = max.as_i64().filter(|m| value > i128::from(*m)) {
        wrong(format!("Input should be less than or equal to {max}"));
    }
}

fn string(text: &str, kind: &Value, wrong: &mut impl FnMut(String)) {
    let length = text.chars().count() as u64;
    let plural = |n: u64| if n == 1 { "character" } else { "characters" };
    let bound = |at: usize| kind.get(at).and_then(Value::as_u64);
    if let Some(min) = bound(1).filter(|m| length < *m) {
        wrong(format!("String should have at least {min} {}", plural(min)));
    }
    if let Some(max) = bound(2).filter(|m| length > *m) {
        wrong(format!("String should have at most {max} {}", plural(max)));
    }
    if let Some(pattern) = kind.get(3).and_then(Value::as_str)
        && !regex::Regex::new(pattern).is_ok_and(|r| r.is_match(text))
    {
        wrong(format!("String should match pattern '{pattern}'"));
    }
}

/// `'A', 'B' or 'C'`.
fn listed(values: &[Value]) -> String {
    match values.split_last() {
        None => String::new(),
        Some((only, [])) => shown(only),
        Some((last, rest)) => format!(
            "{} or {}",
            rest.iter().map(shown).collect::<Vec<_>>().join(", "),
            shown(last)
        ),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(method: &str, params: &[Value]) -> Vec<(String, String)> {
        let api = Api::load().unwrap();
        let outcome = api.check(api.method(method).unwrap(), params);
        outcome
            .err()
            .map(|i| {
                i.0.into_iter()
                    .map(|p| (p.attribute.unwrap_or_default(), p.message))
                    .collect()
            })
            .unwrap_or_default()
    }

    #[test]
    fn unknown_keys_are_refused_under_each_member_of_the_union() {
        let found = problems(
            "pool.dataset.create",
            &[json!({"name": "tank/a", "colour": "blue"})],
        );
        assert!(
            found.contains(&(
                "data.PoolDatasetCreateFilesystem.colour".into(),
                "Extra inputs are not permitted".into()
            )),
            "{found:?}"
        );
        assert!(
            found.contains(&(
                "data.PoolDatasetCreateVolume.volsize".into(),
                "Field required".into()
            )),
            "{found:?}"
        );
    }

    #[test]
    fn words_bounds_and_types_have_the_appliances_texts() {
        let found = problems(
            "sharing.nfs.create",
            &[json!({"path": 1, "security": ["NONE"]})],
        );
        assert_eq!(
            found[0],
            ("data.path".into(), "Input should be a valid string".into())
        );
        assert_eq!(
            found[1],
            (
                "data.security.0".into(),
                "Input should be 'SYS', 'KRB5', 'KRB5I' or 'KRB5P'".into()
            )
        );
        assert_eq!(
            problems("core.ping", &[json!(1)])[0].1,
            "Too many arguments (expected 0, found 1)"
        );
        assert_eq!(
            problems("sharing.nfs.delete", &[])[0],
            ("id".into(), "Field required".into())
        );
        let small = problems(
            "pool.dataset.update",
            &[json!("tank/a"), json!({"quota": 5})],
        );
        assert_eq!(
            small[0].1,
            "Input should be greater than or equal to 1073741824"
        );
    }

    #[test]
    fn defaults_are_filled_in() {
        let api = Api::load().unwrap();
        let checked = api
            .check(
                api.method("sharing.nfs.create").unwrap(),
                &[json!({"path": "/mnt/tank/a"})],
            )
            .unwrap();
        assert_eq!(checked[0]["enabled"], true);
        let options = api
            .check(
                api.method("pool.dataset.delete").unwrap(),
                &[json!("tank/a")],
            )
            .unwrap();
        assert_eq!(options[1], json!({"recursive": false, "force": false}));
    }
}
