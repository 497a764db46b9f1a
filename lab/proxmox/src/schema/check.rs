//! Checks a request's parameters as PVE's schema verification does, with its texts.

use std::collections::BTreeMap;

use super::property::{Properties, boolean};
use super::spec::{Format, Kind, Spec};
use super::{Api, Method, format};

/// What came with a request, by name; several values when a name was repeated.
pub(crate) type Given = BTreeMap<String, Vec<String>>;

/// Per parameter, what is wrong with it.
pub(crate) type Errors = BTreeMap<String, String>;

/// Checked parameters. Booleans are `1` and `0`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    values: BTreeMap<String, Vec<String>>,
}

impl Params {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.first().map(String::as_str)
    }

    /// A required parameter; it was checked to be there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).and_then(boolean) == Some(true)
    }

    /// As if the request had said so.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), vec![value.into()]);
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .filter_map(|(name, values)| Some((name.as_str(), values.first()?.as_str())))
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)?.into_iter().next()
    }

    /// The items of a `…-list` parameter, or of an array of them.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.all(name).iter();
        let items = values.flat_map(|value| format::list(value));
        items.map(str::to_owned).collect()
    }

    /// The items of all values of a list.
    pub(crate) fn items(&self, name: &str) -> Vec<String> {
        let values = self.all(name).iter();
        values
            .flat_map(|value| format::list(value))
            .map(str::to_owned)
            .collect()
    }

    /// Unchecked, for privileges, which PVE checks before the parameters.
    pub(crate) fn unchecked(given: &Given) -> Params {
        Params {
            values: given.clone(),
        }
    }
}

/// Checks everything that was given, and that nothing required is missing.
pub(crate) fn check(api: &Api, method: &Method, given: Given) -> Result<Params, Errors> {
    let mut errors = Errors::new();
    let mut values = BTreeMap::new();
    for (name, given_values) in given {
        let Some(spec) = api.parameter(method, &name) else {
            if method.open {
                values.insert(name, given_values);
            } else {
                let text = "property is not defined in schema and the schema does not allow additional properties";
                errors.insert(name, text.into());
            }
            continue;
        };
        values.insert(
            name.clone(),
            check_values(spec, &name, given_values, &mut errors),
        );
    }
    for (name, spec) in api.parameters(method) {
        if !spec.optional() && spec.count.is_none() && !values.contains_key(name) {
            errors.insert(
                name.to_owned(),
                "property is missing and it is not optional".into(),
            );
        }
    }
    let requires: Vec<(String, String)> = values
        .keys()
        .filter_map(|name| Some((name.clone(), api.parameter(method, name)?.requires.clone()?)))
        .filter(|(_, required)| !values.contains_key(required))
        .collect();
    for (name, required) in requires {
        errors.insert(
            required,
            format!("missing property - '{name}' requires this property"),
        );
    }
    if errors.is_empty() {
        Ok(Params { values })
    } else {
        Err(errors)
    }
}

fn check_values(spec: &Spec, name: &str, given: Vec<String>, errors: &mut Errors) -> Vec<String> {
    if spec.kind == Kind::Array {
        let Some(items) = &spec.items else {
            return given;
        };
        let checked = given.into_iter().enumerate();
        return checked
            .map(|(i, value)| check_value(items, &format!("{name}[{i}]"), value, errors))
            .collect();
    }
    // Forms repeat what is a list in one text; the server joins it again.
    let given = match given.len() {
        2.. if spec.is_list() => vec![given.join(",")],
        _ => given,
    };
    match <[String; 1]>::try_from(given) {
        Ok([value]) => vec![check_value(spec, name, value, errors)],
        Err(many) => {
            errors.insert(
                name.to_owned(),
                format!("type check ('{}') failed - got ARRAY", spec.kind.name()),
            );
            many
        }
    }
}

/// Checks one value; gives it back in its canonical spelling.
pub(crate) fn check_value(spec: &Spec, name: &str, value: String, errors: &mut Errors) -> String {
    match problem(spec, &value) {
        Some(text) => {
            errors.insert(name.to_owned(), text);
            value
        }
        None if spec.kind == Kind::Boolean => match boolean(&value) {
            Some(true) => "1".into(),
            _ => "0".into(),
        },
        None => value,
    }
}

fn problem(spec: &Spec, value: &str) -> Option<String> {
    let wrong_type = || {
        Some(format!(
            "type check ('{}') failed - got '{value}'",
            spec.kind.name()
        ))
    };
    match spec.kind {
        Kind::Integer => match value.parse::<i64>() {
            Ok(number) => return out_of_bounds(spec, number as f64),
            Err(_) => return wrong_type(),
        },
        Kind::Number => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => return out_of_bounds(spec, number),
            _ => return wrong_type(),
        },
        Kind::Boolean => {
            return if boolean(value).is_some() {
                None
            } else {
                wrong_type()
            };
        }
        Kind::Text | Kind::Array | Kind::Object => {}
    }
    bad_length(spec, value).or_else(|| bad_text(spec, value))
}

fn out_of_bounds(spec: &Spec, number: f64) -> Option<String> {
    match (spec.minimum, spec.maximum) {
        (Some(least), _) if number < least => {
            Some(format!("value must have a minimum value of {least}"))
        }
        (_, Some(most)) if number > most => {
            Some(format!("value must have a maximum value of {most}"))
        }
        _ => None,
    }
}

fn bad_length(spec: &Spec, value: &str) -> Option<String> {
    let length = value.chars().count();
    match (spec.min_length, spec.max_length) {
        (Some(least), _) if length < least => {
            Some(format!("value must be at least {least} characters long"))
        }
        (_, Some(most)) if length > most => {
            Some(format!("value may only be {most} characters long"))
        }
        _ => None,
    }
}

fn bad_text(spec: &Spec, value: &str) -> Option<String> {
    if let Some(pattern) = &spec.pattern
        && format::matches(pattern, value) != Ok(true)
    {
        return Some("value does not match the regex pattern".into());
    }
    if let Some(values) = &spec.values
        && !values.iter().any(|v| v == value)
    {
        let all = values.join(", ");
        return Some(format!(
            "value '{value}' does not have a value in the enumeration '{all}'"
        ));
    }
    let outcome = match &spec.format {
        None => return None,
        Some(Format::Named(name)) => format::check(name, value),
        Some(Format::Properties(keys)) => check_properties(keys, value).map(drop),
    };
    outcome.err().map(|text| format!("invalid format - {text}"))
}

/// Parses a property string and checks each of its values.
pub(crate) fn check_properties(
    keys: &BTreeMap<String, Spec>,
    text: &str,
) -> Result<Properties, String> {
    let given = Properties::parse(keys, text)?;
    let mut errors = Errors::new();
    let mut checked = Properties::default();
    for (key, value) in given.iter() {
        if let Some(spec) = keys.get(key) {
            checked.set(key, check_value(spec, key, value.to_owned(), &mut errors));
            if let Some(required) = spec.requires.as_ref().filter(|r| given.get(r).is_none()) {
                errors.insert(
                    required.clone(),
                    format!("missing property - '{key}' requires this property"),
                );
            }
        }
    }
    for (key, spec) in keys {
        if !spec.optional() && spec.alias.is_none() && given.get(key).is_none() {
            errors.insert(
                key.clone(),
                "property is missing and it is not optional".into(),
            );
        }
    }
    if errors.is_empty() {
        return Ok(checked);
    }
    let lines: Vec<String> = errors
        .iter()
        .map(|(key, text)| format!("{key}: {text}\n"))
        .collect();
    Err(format!("format error\n{}", lines.concat()))
}
