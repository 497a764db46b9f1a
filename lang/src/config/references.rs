//! References as arguments: `depends_on` and `provider`.

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics};

use super::content::is_identifier;
use super::model::{DependsOn, ProviderName, ProviderRef};
use super::statics::{self, not_static, quoted_reference, quoted_text, unquoted};
use crate::expr::{StaticReference, Target, static_reference};
use crate::syntax::{Body, Expr, ExprKind, Expression, StepKind};

/// Takes `depends_on` out of the body.
pub(crate) fn depends_on(body: &mut Body, diagnostics: &mut Diagnostics) -> Vec<DependsOn> {
    let Some(attribute) = body.attributes.shift_remove("depends_on") else {
        return Vec::new();
    };
    let items = statics::list(&attribute.expr, diagnostics);
    items
        .iter()
        .filter_map(|item| dependency(item, diagnostics))
        .collect()
}

fn dependency(item: &Expression, diagnostics: &mut Diagnostics) -> Option<DependsOn> {
    let range = item.range();
    let quoted = unquoted(item);
    if quoted.is_some() {
        diagnostics.push(quoted_reference(range.clone()));
    }
    let read = quoted.as_ref().unwrap_or(item);
    let ExprKind::Traversal { root, steps } = &read.node().kind else {
        diagnostics.push(not_static(range));
        return None;
    };
    if statics::traversal(read.node(), read.file()).is_none() {
        diagnostics.push(not_static(range));
        return None;
    }
    let (target, wrong) = match static_reference(read.file(), root, steps) {
        Ok(StaticReference {
            target,
            rest,
            rest_ranges,
            ..
        }) => {
            let wrong = (!rest.is_root()).then(|| {
                Diagnostic::error(
                    "Invalid depends_on reference",
                    "References in depends_on must be to a whole object (resource, etc), not to an attribute of an object.",
                )
                .at(rest_ranges.into_iter().next().unwrap_or_else(|| range.clone()))
            });
            (target, wrong)
        }
        Err(bad) => (
            Target::Other(Arc::clone(&root.text)),
            Some(bad.diagnostic(read.file())),
        ),
    };
    let wrong = wrong.map(|diagnostic| {
        // Positions within quotes are not those of the file.
        Box::new(if quoted.is_some() {
            diagnostic.at(range.clone())
        } else {
            diagnostic
        })
    });
    Some(DependsOn {
        target,
        range,
        wrong,
    })
}

/// `NAME`, `NAME.ALIAS` or `NAME.ALIAS[KEY]`, as the argument `argument` gives it.
pub(crate) fn provider(
    expr: &Expression,
    argument: &str,
    diagnostics: &mut Diagnostics,
) -> Option<ProviderRef> {
    let summary = "Invalid provider configuration reference";
    let range = expr.range();
    let quoted = unquoted(expr);
    if quoted.is_some() {
        diagnostics.push(quoted_reference(range.clone()));
    }
    let read = quoted.as_ref().unwrap_or(expr);
    let (named, key) = without_key(read);
    let found = statics::traversal(&named, read.file()).filter(|(_, steps)| steps.len() <= 1);
    let Some((local, steps)) = found else {
        let detail = if quoted_text(expr.node()).is_some() {
            "A provider configuration reference must not be given in quotes.".to_owned()
        } else {
            format!(
                "The {argument} argument requires a provider type name, optionally followed by a period and then a configuration alias."
            )
        };
        diagnostics.push(Diagnostic::error(summary, detail).at(range));
        return None;
    };
    check_local_name(&local, range.clone(), diagnostics).then_some(())?;
    let alias = match steps.first() {
        None => None,
        Some(step) => match &step.kind {
            StepKind::Attr(alias) => Some(Arc::clone(alias)),
            _ => {
                diagnostics.push(
                    Diagnostic::error(
                        summary,
                        "Provider name must either stand alone or be followed by a period and then a configuration alias.",
                    )
                    .at(if quoted.is_some() {
                        range
                    } else {
                        read.file().range(step.span)
                    }),
                );
                return None;
            }
        },
    };
    Some(ProviderRef {
        name: ProviderName { local, alias },
        key,
        range,
    })
}

/// A reference without the key of an instance behind its alias, and the key.
fn without_key(expr: &Expression) -> (Expr, Option<Expression>) {
    let mut named = expr.node().clone();
    let key = match &mut named.kind {
        ExprKind::Traversal { steps, .. } if steps.len() == 2 => {
            match steps.last().map(|s| &s.kind) {
                Some(StepKind::Index(key)) => {
                    let key = Expression::new(Arc::clone(expr.file()), Expr::clone(key));
                    steps.pop();
                    Some(key)
                }
                _ => None,
            }
        }
        _ => None,
    };
    (named, key)
}

/// Reports a provider's local name that is no name, or not in lower case.
pub(crate) fn check_local_name(
    name: &str,
    range: stead_value::SourceRange,
    diagnostics: &mut Diagnostics,
) -> bool {
    let summary = "Invalid provider local name";
    let problem = match provider_part(name) {
        Err(problem) => format!("{name} is an invalid provider local name: {problem}"),
        Ok(normal) if normal != name => format!(
            "Provider names must be normalized. Replace \"{name}\" with \"{normal}\" to fix this error."
        ),
        Ok(_) => return true,
    };
    diagnostics.push(Diagnostic::error(summary, problem).at(range));
    false
}

/// One part of a provider's address (namespace or name) in lower case, or why it is none.
pub(crate) fn provider_part(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("must have at least one character".into());
    }
    if text.starts_with('-') || text.ends_with('-') || text.contains("--") {
        let why = if text.contains("--") {
            "cannot use multiple consecutive dashes"
        } else {
            "must contain only letters, digits, and dashes, and may not use leading or trailing dashes"
        };
        return Err(why.into());
    }
    if text.contains('_') && is_identifier(text) || text.contains('.') || !is_label(text) {
        return Err("must contain only letters, digits, and dashes, and may not use leading or trailing dashes".into());
    }
    Ok(text.to_lowercase())
}

fn is_label(text: &str) -> bool {
    text.chars().all(|c| c == '-' || c.is_alphanumeric())
}
