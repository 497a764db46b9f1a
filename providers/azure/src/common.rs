//! What several resources share: timeouts, locations, plan rules of azurerm, checks of a configuration.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Context, Error, PlanDraft, wait};

pub(crate) type Tags = BTreeMap<String, String>;

/// How long operations may take, as Go durations.
#[derive(Clone, Debug, Default, Block)]
pub(crate) struct Timeouts {
    #[attr(optional)]
    pub(crate) create: Option<String>,
    #[attr(optional)]
    pub(crate) delete: Option<String>,
    #[attr(optional)]
    pub(crate) read: Option<String>,
    #[attr(optional)]
    pub(crate) update: Option<String>,
}

/// The same for data sources.
#[derive(Clone, Debug, Default, Block)]
pub(crate) struct ReadTimeout {
    #[attr(optional)]
    pub(crate) read: Option<String>,
}

#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Create,
    Read,
    Update,
    Delete,
}

const MINUTE: Duration = Duration::from_secs(60);

/// The context with the deadline of one phase: what is configured, else five minutes to read and, for the
/// rest, the longest of azurerm's own defaults.
pub(crate) fn bounded(
    cx: &Context,
    timeouts: Option<&Timeouts>,
    phase: Phase,
) -> Result<Context, Error> {
    let (text, default) = match (phase, timeouts) {
        (Phase::Create, t) => (t.and_then(|t| t.create.as_deref()), 90 * MINUTE),
        (Phase::Read, t) => (t.and_then(|t| t.read.as_deref()), 5 * MINUTE),
        (Phase::Update, t) => (t.and_then(|t| t.update.as_deref()), 90 * MINUTE),
        (Phase::Delete, t) => (t.and_then(|t| t.delete.as_deref()), 90 * MINUTE),
    };
    deadline(cx, text, default)
}

/// The same for a data source.
pub(crate) fn bounded_read(cx: &Context, timeouts: Option<&ReadTimeout>) -> Result<Context, Error> {
    deadline(cx, timeouts.and_then(|t| t.read.as_deref()), 5 * MINUTE)
}

fn deadline(cx: &Context, text: Option<&str>, default: Duration) -> Result<Context, Error> {
    let limit = match text {
        Some(text) => wait::parse_duration(text).ok_or_else(|| {
            let said = format!("{text:?} is not a duration such as \"30m\"");
            Error::new("read `timeouts`", said).attribute("timeouts")
        })?,
        None => default,
    };
    Ok(cx.clone().with_deadline(Instant::now() + limit))
}

/// A location the way Azure compares it: `West Europe` is `westeurope`.
pub(crate) fn normal_location(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace())
        .collect::<String>()
        .to_ascii_lowercase()
}

/// The server's location in the spelling that is known already, when it is the same one.
pub(crate) fn spelled(known: &str, server: &str) -> String {
    if normal_location(known) == normal_location(server) {
        known.to_owned()
    } else {
        normal_location(server)
    }
}

/// Keeps the prior value of an attribute when `same` says that the new one means the same.
pub(crate) fn keep_when(
    plan: &mut PlanDraft,
    name: &str,
    same: impl Fn(&str, &str) -> bool,
) -> Result<(), Diagnostic> {
    let prior = plan.prior().get(name);
    let planned = plan.attribute(name);
    let text = |v: &Option<Value>| v.as_ref().and_then(|v| v.as_str().map(str::to_owned));
    if let (Some(old), Some(new)) = (text(&prior), text(&planned))
        && old != new
        && same(&old, &new)
    {
        let path = Path::root().attr(name);
        plan.set(&path, Value::string(&old))?;
        plan.keep(&path);
    }
    Ok(())
}

pub(crate) fn keep_location(plan: &mut PlanDraft) -> Result<(), Diagnostic> {
    keep_when(plan, "location", |a, b| {
        normal_location(a) == normal_location(b)
    })
}

/// A block that Azure fills in when the configuration has none: not known before the creation, kept afterwards.
pub(crate) fn computed_block(plan: &mut PlanDraft, name: &str) -> Result<(), Diagnostic> {
    let configured = plan.config().get(name);
    let silent = configured.is_none_or(|v| {
        v.is_null() || (v.is_known() && v.as_sequence().is_some_and(<[_]>::is_empty))
    });
    if !silent {
        return Ok(());
    }
    let path = Path::root().attr(name);
    match plan.prior().get(name) {
        Some(prior) if !plan.is_create() => {
            plan.set(&path, prior)?;
            plan.keep(&path);
            Ok(())
        }
        _ => plan.set_unknown(&path),
    }
}

/// Whether the configuration says anything about a top-level attribute; unknown counts.
pub(crate) fn is_configured(config: &Value, name: &str) -> bool {
    config.get(name).is_some_and(|v| !v.is_null())
}

/// Checks that a configured string is one of these.
pub(crate) fn one_of(config: &Value, name: &str, allowed: &[&str], found: &mut Diagnostics) {
    let text = config.get(name).and_then(|v| v.as_str().map(str::to_owned));
    if let Some(text) = text.filter(|t| !allowed.contains(&t.as_str())) {
        let detail = format!(
            "`{name}` must be one of {}, not {text:?}.",
            allowed.join(", ")
        );
        found.push(Diagnostic::error("Invalid value", detail).attribute(Path::root().attr(name)));
    }
}

/// Checks a name's length and characters; `rule` says them in words.
pub(crate) fn name_rule(
    config: &Value,
    name: &str,
    length: std::ops::RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
    rule: &str,
    found: &mut Diagnostics,
) {
    let text = config.get(name).and_then(|v| v.as_str().map(str::to_owned));
    let wrong = |t: &String| !length.contains(&t.chars().count()) || !t.chars().all(&allowed);
    if let Some(text) = text.filter(wrong) {
        let detail = format!("`{name}` is {text:?}: {rule}.");
        found.push(Diagnostic::error("Invalid name", detail).attribute(Path::root().attr(name)));
    }
}

/// What azurerm says when it finds an object where it was to make one.
pub(crate) fn exists(type_name: &str, id: &str) -> Error {
    Error::of_kind(
        stead_sdk::ErrorKind::Conflict,
        format!("create {type_name}"),
        format!("{id} exists already"),
    )
    .remedy(format!(
        "To manage it, import it: `import {{ to = {type_name}.NAME, id = \"{id}\" }}`."
    ))
}

pub(crate) fn text(body: &Json, pointer: &str) -> String {
    body.pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}

pub(crate) fn flag(body: &Json, pointer: &str, default: bool) -> bool {
    body.pointer(pointer)
        .and_then(Json::as_bool)
        .unwrap_or(default)
}

pub(crate) fn texts(body: &Json, pointer: &str) -> Vec<String> {
    let items = body.pointer(pointer).and_then(Json::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

/// The strings that lie under `name` in each object of a list.
pub(crate) fn texts_under(body: &Json, pointer: &str, name: &str) -> Vec<String> {
    let items = body.pointer(pointer).and_then(Json::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|v| v.get(name)?.as_str().map(str::to_owned))
        .collect()
}

pub(crate) fn tags(body: &Json, pointer: &str) -> Tags {
    let members = body.pointer(pointer).and_then(Json::as_object);
    members
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect()
}

/// Azure's words for a switch.
pub(crate) fn enabled(on: bool) -> Json {
    json!(if on { "Enabled" } else { "Disabled" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_keeps_the_spelling_that_is_known() {
        assert_eq!(spelled("West Europe", "westeurope"), "West Europe");
        assert_eq!(spelled("", "West Europe"), "westeurope");
        assert_eq!(spelled("northeurope", "westeurope"), "westeurope");
    }

    #[test]
    fn timeouts_shorten_the_deadline_and_nonsense_is_refused() {
        let cx = Context::detached();
        let timeouts = Timeouts {
            create: Some("1s".into()),
            ..Timeouts::default()
        };
        let create = bounded(&cx, Some(&timeouts), Phase::Create).unwrap();
        let update = bounded(&cx, Some(&timeouts), Phase::Update).unwrap();
        assert!(create.deadline() < update.deadline());
        let wrong = Timeouts {
            read: Some("soon".into()),
            ..Timeouts::default()
        };
        assert!(bounded(&cx, Some(&wrong), Phase::Read).is_err());
    }
}
