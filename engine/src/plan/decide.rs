//! The decision for one managed instance: what the provider plans, and which action that is.

use std::sync::Arc;

use stead_lang::config::IgnoreChanges;
use stead_sdk::{Context, PlanRequest, PlanResponse, Provider, proposed_new};
use stead_value::addr::ResourceInstance;
use stead_value::schema::Schema;
use stead_value::{Diagnostic, Diagnostics, Kind, Marks, Path, Step, Type, Value};

use super::refresh::Prior;
use crate::{Action, ActionReason};

pub(super) struct Request {
    pub(super) address: ResourceInstance,
    pub(super) schema: Arc<Schema>,
    pub(super) prior: Option<Prior>,
    /// With its marks.
    pub(super) config: Value,
    pub(super) ignore: IgnoreChanges,
    pub(super) replace_requested: bool,
    pub(super) replace_triggered: bool,
    pub(super) late: bool,
}

pub(super) struct Decision {
    pub(super) action: Action,
    pub(super) reason: Option<ActionReason>,
    pub(super) before: Value,
    /// Without marks.
    pub(super) after: Value,
    /// What the configuration makes sensitive of it.
    pub(super) sensitive: Vec<Path>,
    pub(super) replace_paths: Vec<Path>,
    pub(super) notes: Vec<String>,
    pub(super) private: Vec<u8>,
    pub(super) late: bool,
    pub(super) warnings: Diagnostics,
}

/// Plans an instance with its provider.
pub(super) async fn decide(
    provider: &dyn Provider,
    request: Request,
    context: &Context,
) -> Result<Decision, Diagnostics> {
    let null = Value::null(request.schema.block.value_type());
    let prior = request.prior.as_ref().filter(|p| !p.value.is_null());
    let before = prior.map_or_else(|| null.clone(), |p| p.value.clone());
    let (before_plain, _) = before.clone().unmark_deep();
    let (config, _) = request.config.clone().unmark_deep();
    let private = prior.map(|p| p.private.clone()).unwrap_or_default();
    let tainted = prior.is_some_and(|p| p.tainted);

    // Marks are ignored along with the values that bear them.
    let effective = ignore_changes(&request.ignore, &request.schema, &before, &request.config);
    let sensitive = effective.marked_paths(Marks::SENSITIVE);
    let (effective, _) = effective.unmark_deep();
    let mut response = ask(
        provider,
        &request,
        &before_plain,
        &effective,
        private,
        context,
    )
    .await?;
    check(&request, &before_plain, &response.planned)?;

    let Some(prior) = prior else {
        return Ok(Decision {
            action: Action::Create,
            reason: request
                .replace_triggered
                .then_some(ActionReason::ReplaceByTriggers),
            before,
            after: response.planned,
            sensitive,
            replace_paths: Vec::new(),
            notes: response.notes,
            private: response.private,
            late: request.late,
            warnings: response.warnings,
        });
    };
    response
        .requires_replace
        .retain(|path| differs(&before_plain, &response.planned, path));
    let reason = if request.replace_triggered {
        Some(ActionReason::ReplaceByTriggers)
    } else if tainted {
        Some(ActionReason::ReplaceBecauseTainted)
    } else if request.replace_requested {
        Some(ActionReason::ReplaceByRequest)
    } else if !response.requires_replace.is_empty() {
        Some(ActionReason::ReplaceBecauseCannotUpdate)
    } else {
        None
    };
    if reason.is_some() {
        let replace_paths = response.requires_replace;
        let fresh = ask(provider, &request, &null, &config, Vec::new(), context).await?;
        check(&request, &null, &fresh.planned)?;
        return Ok(Decision {
            action: Action::DeleteThenCreate,
            reason,
            before,
            after: fresh.planned,
            sensitive,
            replace_paths,
            notes: response.notes,
            private: fresh.private,
            late: request.late,
            warnings: fresh.warnings,
        });
    }
    let same = before_plain.raw_equals(&response.planned);
    Ok(Decision {
        action: if same { Action::NoOp } else { Action::Update },
        reason: None,
        after: if same { before_plain } else { response.planned },
        sensitive,
        before,
        replace_paths: Vec::new(),
        notes: response.notes,
        private: if same {
            prior.private.clone()
        } else {
            response.private
        },
        late: request.late && !same,
        warnings: response.warnings,
    })
}

async fn ask(
    provider: &dyn Provider,
    request: &Request,
    prior: &Value,
    config: &Value,
    private: Vec<u8>,
    context: &Context,
) -> Result<PlanResponse, Diagnostics> {
    let proposed = proposed_new(&request.schema, prior, config);
    let plan = PlanRequest {
        prior: prior.clone(),
        proposed,
        config: config.clone(),
        prior_private: private,
    };
    provider
        .plan(&request.address.resource.type_name, plan, context)
        .await
}

/// A plan must have the schema's type and be an object: anything else is the provider's mistake.
fn check(request: &Request, _prior: &Value, planned: &Value) -> Result<(), Diagnostics> {
    let wanted = request.schema.block.value_type();
    let ty = planned.ty();
    let fits =
        planned.as_entries().is_some() && stead_value::convert::convert(planned, &wanted).is_ok();
    if fits {
        return Ok(());
    }
    Err(Diagnostic::error(
        "Provider produced invalid plan",
        format!(
            "The provider planned a value of type {ty} for {}, where its schema says {wanted}. This is a bug in the provider.",
            request.address
        ),
    )
    .into())
}

/// Whether a path leads to different values; unknown is different.
fn differs(before: &Value, after: &Value, path: &Path) -> bool {
    let at = |value: &Value| value.at(path).unwrap_or_else(|| Value::null(Type::Dynamic));
    let (before, after) = (at(before), at(after));
    !after.is_wholly_known() || !before.raw_equals(&after)
}

/// The configuration with what `ignore_changes` names taken from the prior object.
pub(crate) fn ignore_changes(
    ignore: &IgnoreChanges,
    schema: &Schema,
    prior: &Value,
    config: &Value,
) -> Value {
    if prior.is_null() {
        return config.clone();
    }
    match ignore {
        IgnoreChanges::None => config.clone(),
        IgnoreChanges::All => {
            let mut kept = std::collections::BTreeMap::new();
            for (name, configured) in config.as_entries().into_iter().flatten() {
                let computed_unset = schema
                    .block
                    .attributes
                    .get(name)
                    .is_some_and(|a| a.computed && (configured.is_null() || !a.optional));
                let value = if computed_unset {
                    configured.clone()
                } else {
                    prior.get(name).unwrap_or_else(|| configured.clone())
                };
                kept.insert(Arc::clone(name), value);
            }
            Value::object(kept)
        }
        IgnoreChanges::Paths(paths) => {
            let mut config = config.clone();
            for (path, _) in paths {
                config = ignore_path(&config, prior, path);
            }
            config
        }
    }
}

/// The path with objects' attributes as such, though they may be written as keys.
fn attributes_by_name(config: &Value, path: &Path) -> Path {
    let mut found = Path::root();
    for step in path.steps() {
        let step = match (step, config.at(&found)) {
            (Step::Index(key), Some(value)) if matches!(value.kind(), Kind::Object(_)) => key
                .as_str()
                .map_or_else(|| step.clone(), |name| Step::Attr(name.into())),
            _ => step.clone(),
        };
        found.0.push(step);
    }
    found
}

/// The configuration with what is at `path` as it was. A key of a map is put back when it was taken out, and taken out when
/// it was put in; elsewhere only what both have is ignored.
fn ignore_path(config: &Value, prior: &Value, path: &Path) -> Value {
    let path = &attributes_by_name(config, path);
    if let Some((Step::Index(key), outer)) = path.steps().split_last() {
        let outer = Path(outer.to_vec());
        let maps = (config.at(&outer), prior.at(&outer));
        if let (Some(key), (Some(configured), Some(old))) = (key.as_str(), &maps)
            && let (Kind::Map(ty, entries), Kind::Map(old_ty, old_entries)) =
                (configured.kind(), old.kind())
        {
            let mut entries = (**entries).clone();
            match old_entries.get(key) {
                // An old entry that does not fit the map's new type cannot be kept.
                Some(entry) if ty == old_ty => drop(entries.insert(key.into(), entry.clone())),
                Some(_) => return config.clone(),
                None => drop(entries.remove(key)),
            }
            let map = Value::map(ty.clone(), entries).with_marks(configured.marks());
            return crate::object::replace_at(config, &outer, &map);
        }
    }
    let (Some(configured), Some(old)) = (config.at(path), prior.at(path)) else {
        return config.clone();
    };
    // Of an unknown map the reference ignores nothing: it may have other keys.
    if !configured.is_known() && matches!(configured.ty(), Type::Map(_)) {
        return config.clone();
    }
    // Within a list, set or map all elements have one type.
    let inside_collection = path
        .steps()
        .iter()
        .any(|step| matches!(step, Step::Index(_)));
    if inside_collection && configured.ty() != old.ty() {
        return config.clone();
    }
    crate::object::replace_at(config, path, &old)
}
