//! `import` blocks: which object is to be taken under which address.

use std::sync::Arc;

use stead_lang::config::Import;
use stead_lang::expr::{Evaluation, evaluate, reference_values};
use stead_lang::syntax::{Expr, ExprKind, Expression, Step, StepKind};
use stead_sdk::ImportBy;
use stead_value::addr::{
    ConfigResource, InstanceKey, Module, ModuleInstance, Resource, ResourceInstance, ResourceMode,
};
use stead_value::schema::Identity;
use stead_value::{Diagnostic, Diagnostics, SourceRange, Type, Value};

use super::expand::{Refusal, read_for_each};
use super::{EvalScope, Evaluator, Expansion, Phase, ROOT, Repetition};

/// One object to import.
#[derive(Clone, Debug)]
pub struct ImportTarget {
    pub to: ResourceInstance,
    pub by: ImportBy,
    /// Of the block; a command's arguments have none.
    pub range: Option<SourceRange>,
}

/// The words of a `to` address, with the expressions of its keys.
type Words<'a> = Vec<(Arc<str>, Option<&'a Step>)>;

/// Splits `module.a["x"].t.b[each.key]` into names with their keys; `None` when it is no such address.
fn words(expr: &Expression) -> Option<Words<'_>> {
    let ExprKind::Traversal { root, steps } = &expr.node().kind else {
        return None;
    };
    let mut words: Words<'_> = vec![(Arc::clone(&root.text), None)];
    for step in steps {
        match &step.kind {
            StepKind::Attr(name) => words.push((Arc::clone(name), None)),
            StepKind::Index(_) | StepKind::LegacyIndex(_) => match words.last_mut() {
                Some((_, key)) if key.is_none() => *key = Some(step),
                _ => return None,
            },
            StepKind::AttrSplat(_) | StepKind::FullSplat(_) => return None,
        }
    }
    Some(words)
}

/// The calls on the way, the resource, and its key.
struct Target<'a> {
    calls: Vec<(Arc<str>, Option<&'a Step>)>,
    resource: Resource,
    key: Option<&'a Step>,
}

fn target(expr: &Expression) -> Option<Target<'_>> {
    let words = words(expr)?;
    let mut rest = words.as_slice();
    let mut calls = Vec::new();
    while let [(prefix, None), (name, key), after @ ..] = rest {
        if &**prefix != "module" {
            break;
        }
        calls.push((Arc::clone(name), *key));
        rest = after;
    }
    let [(type_name, None), (name, key)] = rest else {
        return None;
    };
    let (type_name, name) = (Arc::clone(type_name), Arc::clone(name));
    Some(Target {
        calls,
        resource: Resource {
            mode: ResourceMode::Managed,
            type_name,
            name,
        },
        key: *key,
    })
}

/// The resource that an import block is about, without evaluating its keys.
pub fn import_resource(import: &Import) -> Option<ConfigResource> {
    let target = target(&import.to)?;
    let module = Module(target.calls.into_iter().map(|(name, _)| name).collect());
    Some(ConfigResource {
        module,
        resource: target.resource,
    })
}

/// Whether an import block names one instance of a resource that has several.
pub fn has_key(import: &Import) -> bool {
    target(&import.to).is_some_and(|target| target.key.is_some())
}

impl Evaluator<'_> {
    /// Evaluates one import block of the root module. Must run within [`Evaluator::run`].
    pub fn import_targets(
        &self,
        import: &Import,
        identities: Option<&Identity>,
    ) -> (Vec<ImportTarget>, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let mut repetitions = vec![Repetition::default()];
        if let Some(for_each) = &import.for_each {
            let Some(value) = settle(
                evaluate(for_each, &self.scope(ROOT, Repetition::default())),
                &mut diagnostics,
            ) else {
                return (Vec::new(), diagnostics);
            };
            match read_for_each(&value) {
                Ok(Expansion::ForEach(entries)) => {
                    repetitions = entries
                        .into_iter()
                        .map(|(k, v)| Repetition {
                            each: Some((Value::string(&k), v)),
                            ..Repetition::default()
                        })
                        .collect();
                }
                Ok(_) => repetitions.clear(),
                Err(Refusal::Unknown(_)) if self.phase() == Phase::Validate => {
                    repetitions = vec![Repetition {
                        each: Some((Value::unknown(Type::String), Value::dynamic())),
                        ..Repetition::default()
                    }];
                }
                Err(refusal) => {
                    let about = refusal.about();
                    let mut diagnostic = refusal.into_diagnostic().at(for_each.range());
                    let scope = self.scope(ROOT, Repetition::default());
                    diagnostic.values = reference_values(for_each, &scope, about);
                    diagnostics.push(diagnostic);
                    return (Vec::new(), diagnostics);
                }
            }
        }
        let mut targets = Vec::new();
        for repetition in repetitions {
            let scope = self.scope(ROOT, repetition);
            let phase = self.phase();
            let target = import_target(import, identities, &scope, phase, &mut diagnostics);
            targets.extend(target);
        }
        (targets, diagnostics)
    }
}

/// The target of one block and repetition; while validating, `None` also stands for one that is not known yet.
fn import_target(
    import: &Import,
    identities: Option<&Identity>,
    scope: &EvalScope<'_, '_>,
    phase: Phase,
    diagnostics: &mut Diagnostics,
) -> Option<ImportTarget> {
    let Some(target) = target(&import.to) else {
        diagnostics.push(
            Diagnostic::error("Invalid import address", "The address of a managed resource instance is required here, such as module.a[\"k\"].null_resource.b.")
                .at(import.to.range()),
        );
        return None;
    };
    let by = match (&import.identity, identities) {
        (Some(given), Some(identities)) => {
            import_identity(given, identities, scope, phase, diagnostics).map(ImportBy::Identity)
        }
        _ => import_id(import, scope, phase, diagnostics).map(ImportBy::Id),
    };
    let mut module = ModuleInstance::root();
    for (name, key) in &target.calls {
        let key = instance_key(import, *key, scope, phase, diagnostics)?;
        module = module.child(Arc::clone(name), key);
    }
    let key = instance_key(import, target.key, scope, phase, diagnostics)?;
    Some(ImportTarget {
        to: ResourceInstance {
            module,
            resource: target.resource,
            key,
        },
        by: by?,
        range: Some(import.range.clone()),
    })
}

fn import_id(
    import: &Import,
    scope: &EvalScope<'_, '_>,
    phase: Phase,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let expr = import.id.as_ref()?;
    let wrong =
        |detail: &str| Diagnostic::error("Invalid import id argument", detail).at(expr.range());
    let value = settle(evaluate(expr, scope), diagnostics)?;
    let (value, marks) = value.unmark_deep();
    if !marks.is_empty() {
        diagnostics.push(wrong("The import ID value is derived from a sensitive or ephemeral value, and would be shown in the plan."));
        return None;
    }
    let text = match stead_value::convert::convert(&value, &Type::String) {
        Ok(text) => text,
        Err(e) => {
            diagnostics.push(wrong(&format!(
                "The import ID value is unsuitable: {}.",
                e.message
            )));
            return None;
        }
    };
    if !text.is_known() {
        if phase != Phase::Validate {
            diagnostics.push(wrong("The import block \"id\" argument depends on resource attributes that cannot be determined until apply, so stead cannot plan to import this resource."));
        }
        return None;
    }
    match text.as_str() {
        Some(id) if !id.is_empty() => Some(id.to_owned()),
        Some(_) => {
            diagnostics.push(wrong("The import ID value evaluates to an empty string, please provide a non-empty value."));
            None
        }
        None => {
            diagnostics.push(wrong("The import ID cannot be null."));
            None
        }
    }
}

/// An identity in the form of the schema; what it may leave out is null.
fn import_identity(
    expr: &Expression,
    identities: &Identity,
    scope: &EvalScope<'_, '_>,
    phase: Phase,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    const WRONG: &str = "Invalid import identity argument";
    let wrong = |detail: String| Diagnostic::error(WRONG, detail).at(expr.range());
    let value = settle(evaluate(expr, scope), diagnostics)?;
    if value.is_null() {
        diagnostics.push(wrong("The import identity cannot be null.".into()));
        return None;
    }
    let (value, marks) = value.unmark_deep();
    if !marks.is_empty() {
        diagnostics.push(wrong("The import identity must not contain sensitive or ephemeral values: it would be shown in the plan.".into()));
        return None;
    }
    let identity = match stead_value::convert::convert(&value, &identities.import_type()) {
        Ok(identity) => identity,
        Err(e) => {
            let place = match e.path.is_root() {
                true => String::new(),
                false => format!(".{}: ", e.path),
            };
            diagnostics.push(
                Diagnostic::error(
                    "Incorrect value type",
                    format!("Invalid expression value: {place}{}.", e.message),
                )
                .at(expr.range()),
            );
            return None;
        }
    };
    let given = value.as_entries().into_iter().flatten();
    for (name, _) in given.filter(|(name, _)| !identities.attributes.contains_key(*name)) {
        let known = identities.attributes.keys().map(|k| &**k);
        let suggestion = stead_lang::nearest(name, known)
            .map(|s| format!(" Did you mean \"{s}\"?"))
            .unwrap_or_default();
        let warning = Diagnostic::warning(
            WRONG,
            format!(
                "The identity has no attribute \"{name}\", and what is given for it is ignored.{suggestion}"
            ),
        );
        let warning = warning.at(expr.range());
        // Every key of `for_each` gives the same names.
        if !diagnostics.iter().any(|said| *said == warning) {
            diagnostics.push(warning);
        }
    }
    if !identity.is_wholly_known() {
        if phase != Phase::Validate {
            diagnostics.push(wrong("The import block \"identity\" argument depends on resource attributes that cannot be determined until apply, so stead cannot plan to import this resource.".into()));
        }
        return None;
    }
    let required = identities.attributes.iter().filter(|(_, a)| a.required);
    for (name, _) in required {
        if identity.get(name).is_none_or(|value| value.is_null()) {
            diagnostics.push(wrong(format!(
                "The attribute \"{name}\" is required to import by identity, and cannot be null."
            )));
            return None;
        }
    }
    Some(identity)
}

fn instance_key(
    import: &Import,
    step: Option<&Step>,
    scope: &EvalScope<'_, '_>,
    phase: Phase,
    diagnostics: &mut Diagnostics,
) -> Option<InstanceKey> {
    let value = match step.map(|s| &s.kind) {
        None => return Some(InstanceKey::None),
        Some(StepKind::LegacyIndex(value)) => Value::clone(value),
        Some(StepKind::Index(expr)) => {
            let expr = Expression::new(Arc::clone(import.to.file()), Expr::clone(expr));
            settle(evaluate(&expr, scope), diagnostics)?
        }
        Some(_) => return None,
    };
    if phase == Phase::Validate && !value.is_known() && value.marks_deep().is_empty() {
        return None;
    }
    let key = match (value.as_str(), value.as_i64()) {
        _ if !value.marks_deep().is_empty() => None,
        (Some(text), _) => Some(InstanceKey::String(text.into())),
        (None, Some(n)) => u64::try_from(n).ok().map(InstanceKey::Int),
        (None, None) => None,
    };
    if key.is_none() {
        diagnostics.push(
            Diagnostic::error("Invalid import address", "An instance key must be a known string or whole number, and must not be sensitive.")
                .at(import.to.range()),
        );
    }
    key
}

/// The value of a finished evaluation; its diagnostics are taken in any case.
fn settle(evaluation: Evaluation, diagnostics: &mut Diagnostics) -> Option<Value> {
    let settled = evaluation.is_settled() && !evaluation.diagnostics.has_errors();
    diagnostics.extend(evaluation.diagnostics);
    settled.then_some(evaluation.value)
}
