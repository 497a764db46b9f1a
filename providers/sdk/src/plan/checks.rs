//! What a configuration's values must be, by the schema's [`Check`]s.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::Regex;
use stead_value::schema::{Attribute, AttributeType, Block, Check, Pattern};
use stead_value::{Diagnostic, Diagnostics, Kind, Number, Path, Value};

use crate::plan::proposed::Shape;
use crate::plan::rules::each_nested;

/// What is wrong with a configuration.
pub(crate) fn check_values(block: &Block, config: &Value) -> Diagnostics {
    let mut checks = Checks {
        found: Diagnostics::new(),
    };
    checks.object(Shape::of_block(block), config, &Path::root());
    checks.found
}

struct Checks {
    found: Diagnostics,
}

impl Checks {
    fn object(&mut self, shape: Shape<'_>, config: &Value, path: &Path) {
        if config.is_null() || !config.is_known() {
            return;
        }
        for (name, attribute) in shape.attributes {
            let value = config.get(name).filter(|v| !v.is_null());
            let path = path.attr(Arc::clone(name));
            for check in &attribute.checks {
                if let Err(wrong) = satisfies(check, name, attribute, value.as_ref(), config) {
                    let found = Diagnostic::error("Invalid attribute value", wrong);
                    self.found.push(found.attribute(path.clone()));
                }
            }
            if let (
                AttributeType::Nested {
                    nesting,
                    attributes,
                },
                Some(value),
            ) = (&attribute.ty, &value)
            {
                let shape = Shape::of_attributes(attributes);
                each_nested(*nesting, value, &path, |item, place| {
                    self.object(shape, item, place);
                });
            }
        }
        for (name, block) in shape.blocks() {
            if let Some(value) = config.get(name).filter(|v| !v.is_null()) {
                let shape = Shape::of_block(&block.block);
                let path = path.attr(Arc::clone(name));
                each_nested(block.nesting, &value, &path, |item, place| {
                    self.object(shape, item, place);
                });
            }
        }
    }
}

/// Whether an attribute, among its siblings in `object`, is as it should be. `value` is `None` where it is not set.
fn satisfies(
    check: &Check,
    name: &str,
    attribute: &Attribute,
    value: Option<&Value>,
    object: &Value,
) -> Result<(), String> {
    // Whether a sibling is set; `None` while that is not known.
    let is_set = |name: &str| match object.get(name) {
        Some(v) if !v.is_known() => None,
        sibling => Some(sibling.is_some_and(|v| !v.is_null())),
    };
    let how_many = |names: &[&'static str]| {
        let set: Vec<_> = names.iter().map(|name| is_set(name)).collect();
        let known = set.iter().filter(|s| **s == Some(true)).count();
        (known, set.contains(&None))
    };
    match check {
        Check::ExactlyOneOf(names) => match how_many(names) {
            (1, _) | (0, true) => Ok(()),
            _ => Err(format!(
                "Exactly one of {} must be set.",
                quoted(names, "and")
            )),
        },
        Check::AtLeastOneOf(names) => match how_many(names) {
            (0, false) => Err(format!(
                "At least one of {} must be set.",
                quoted(names, "and")
            )),
            _ => Ok(()),
        },
        // A switch that is off is in nobody's way.
        Check::Conflicts(names) if value.is_some_and(|v| v.as_bool() != Some(false)) => {
            let other = names.iter().find(|name| is_set(name) == Some(true));
            other.map_or(Ok(()), |other| {
                Err(format!("`{name}` and `{other}` cannot both be set."))
            })
        }
        Check::Requires(names) if value.is_some() => {
            let lacking = names.iter().find(|name| is_set(name) == Some(false));
            lacking.map_or(Ok(()), |lacking| {
                Err(format!(
                    "`{name}` takes effect only together with `{lacking}`, which is not set."
                ))
            })
        }
        Check::Conflicts(_) | Check::Requires(_) => Ok(()),
        Check::Length { min, max } => match value.and_then(length) {
            Some((found, unit)) if found < *min || max.is_some_and(|max| found > max) => {
                let bounds = bounds(Some(min).filter(|min| **min > 0), max.as_ref());
                Err(format!(
                    "`{name}` has {found} {unit}, but must have {bounds}."
                ))
            }
            _ => Ok(()),
        },
        Check::Keys(pattern) => {
            let keys = value.and_then(Value::as_entries).into_iter().flatten();
            let wrong = keys.map(|(key, _)| key).find(|key| !matches(pattern, key));
            wrong.map_or(Ok(()), |key| {
                Err(format!(
                    "A key of `{name}` is \"{key}\", but must be {}.",
                    pattern.form
                ))
            })
        }
        Check::OneOf(_) | Check::Range { .. } | Check::Pattern(_) => {
            let Some((expected, wrong)) = value.and_then(|value| misfit(check, value)) else {
                return Ok(());
            };
            let is_secret = attribute.sensitive || attribute.write_only || wrong.is_sensitive();
            Err(match text_of(wrong).filter(|_| !is_secret) {
                Some(found) => format!("`{name}` is {found}, but must be {expected}."),
                None => format!("`{name}` must be {expected}."),
            })
        }
    }
}

/// The first value, itself or within a collection, that does not fit, and what it should be.
fn misfit<'a>(check: &Check, value: &'a Value) -> Option<(String, &'a Value)> {
    if let Some(items) = value.as_sequence() {
        return items.iter().find_map(|item| misfit(check, item));
    }
    if let Some(entries) = value.as_entries() {
        return entries.values().find_map(|item| misfit(check, item));
    }
    if value.is_null() || !value.is_known() {
        return None;
    }
    let expected = match check {
        Check::OneOf(allowed) => {
            let fits = value.as_str().is_none_or(|text| allowed.contains(&text));
            (!fits).then(|| one_of(allowed))
        }
        Check::Range { min, max } => {
            let number = value.as_number().map(Number::to_f64);
            let fits = number
                .is_none_or(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max));
            (!fits).then(|| bounds(min.as_ref(), max.as_ref()))
        }
        Check::Pattern(pattern) => {
            let fits = value.as_str().is_none_or(|text| matches(pattern, text));
            (!fits).then(|| pattern.form.to_owned())
        }
        _ => None,
    };
    expected.map(|expected| (expected, value))
}

pub(crate) fn compile(pattern: &Pattern) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?s:{})$", pattern.regex))
}

fn matches(pattern: &Pattern, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<HashMap<&'static str, Option<Regex>>>> =
        LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    // Tests hold every provider's patterns against `compile`: one that is no pattern would let everything pass.
    let regex = compiled
        .entry(pattern.regex)
        .or_insert_with(|| compile(pattern).ok());
    regex.as_ref().is_none_or(|regex| regex.is_match(text))
}

/// How long a value is, and in what: a text in characters, a collection in elements.
fn length(value: &Value) -> Option<(u64, &'static str)> {
    let (length, unit) = match value.kind() {
        Kind::String(text) => (text.chars().count(), "characters"),
        Kind::List(_, items) | Kind::Set(_, items) => (items.len(), "elements"),
        Kind::Map(_, entries) => (entries.len(), "elements"),
        _ => return None,
    };
    Some((u64::try_from(length).unwrap_or(u64::MAX), unit))
}

fn text_of(value: &Value) -> Option<String> {
    let number = value.as_number().map(ToString::to_string);
    number.or_else(|| value.as_str().map(|text| format!("{text:?}")))
}

fn bounds<T: ToString>(min: Option<&T>, max: Option<&T>) -> String {
    match (min.map(T::to_string), max.map(T::to_string)) {
        (Some(min), Some(max)) if min == max => min,
        (Some(min), Some(max)) => format!("between {min} and {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any".to_owned(),
    }
}

fn one_of(allowed: &[&str]) -> String {
    let texts: Vec<_> = allowed.iter().map(|text| format!("\"{text}\"")).collect();
    listed(&texts, "or")
}

fn quoted(names: &[&str], word: &str) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    listed(&names, word)
}

fn listed(items: &[String], word: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}
