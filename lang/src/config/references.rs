//! Lists of references: `depends_on`, `ignore_changes`, `provider`.

use stead_value::{Diagnostic, Diagnostics, Path, SourceRange};

use super::model::{DependsOn, IgnoreChanges, ProviderName, ProviderRef};
use crate::expr::{StaticReference, static_path, static_reference};
use crate::syntax::{
    Attribute, Body, Expr, ExprKind, Expression, SourceFile, Step, StepKind, TemplatePart,
    parse_expression,
};

/// The items of a list in brackets.
fn list<'a>(attribute: &'a Attribute, diagnostics: &mut Diagnostics) -> &'a [Expr] {
    match &attribute.expr.node().kind {
        ExprKind::Tuple(items) => items,
        _ => {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid expression",
                    "A static list expression is required.",
                )
                .at(attribute.expr.range()),
            );
            &[]
        }
    }
}

/// A quoted item of old: the text between the quotes, read as an expression.
fn unquoted(file: &SourceFile, item: &Expr) -> Option<Expression> {
    let ExprKind::Template(parts) = &item.kind else {
        return None;
    };
    let [TemplatePart::Literal { text, .. }] = parts.as_slice() else {
        return None;
    };
    // Positions within are those of the text itself, so messages use the item's range instead.
    let inner = std::sync::Arc::new(SourceFile::new(file.name().clone(), text.clone()));
    let (expr, diagnostics) = parse_expression(&inner);
    (!diagnostics.has_errors()).then_some(expr)
}

/// A reference to an object, as a list item.
fn item_reference(
    file: &SourceFile,
    item: &Expr,
    diagnostics: &mut Diagnostics,
) -> Option<StaticReference> {
    let range = file.range(item.span);
    let quoted = unquoted(file, item);
    if quoted.is_some() {
        diagnostics.push(
            Diagnostic::warning(
                "Quoted references are deprecated",
                "In this context, references are expected literally rather than in quotes. Remove the quotes.",
            )
            .at(range.clone()),
        );
    }
    let (file, node) = quoted
        .as_ref()
        .map_or((file, item), |e| (&**e.file(), e.node()));
    let ExprKind::Traversal { root, steps } = &node.kind else {
        diagnostics.push(
            Diagnostic::error(
                "Invalid expression",
                "A single static variable reference is required: only attribute access and indexing with constant keys. No \
                 calculations, function calls, template expressions, etc are allowed here.",
            )
            .at(range),
        );
        return None;
    };
    match static_reference(file, root, steps, node.span) {
        Ok(reference) => Some(StaticReference { range, ..reference }),
        Err(bad) => {
            let mut diagnostic = bad.diagnostic(file);
            if quoted.is_some() {
                diagnostic.subject = Some(range);
            }
            diagnostics.push(diagnostic);
            None
        }
    }
}

pub(crate) fn depends_on(body: &Body, diagnostics: &mut Diagnostics) -> Vec<DependsOn> {
    let Some(attribute) = body.attribute("depends_on") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in list(attribute, diagnostics) {
        let Some(reference) = item_reference(attribute.expr.file(), item, diagnostics) else {
            continue;
        };
        if !reference.rest.is_root() {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid depends_on reference",
                    "References in depends_on must be to a whole object (resource, etc), not to an attribute of an object.",
                )
                .at(reference.range),
            );
            continue;
        }
        found.push(DependsOn {
            target: reference.target,
            range: reference.range,
        });
    }
    found
}

pub(crate) fn ignore_changes(
    attribute: &Attribute,
    diagnostics: &mut Diagnostics,
) -> IgnoreChanges {
    if let ExprKind::Traversal { root, steps } = &attribute.expr.node().kind
        && &*root.text == "all"
        && steps.is_empty()
    {
        return IgnoreChanges::All;
    }
    let file = attribute.expr.file();
    let mut paths: Vec<(Path, SourceRange)> = Vec::new();
    for item in list(attribute, diagnostics) {
        let range = file.range(item.span);
        let quoted = unquoted(file, item);
        let node = quoted.as_ref().map_or(item, Expression::node);
        match &node.kind {
            ExprKind::Traversal { root, steps } if static_path(steps).steps().len() == steps.len() => {
                let mut path = Path::root().attr(root.text.clone());
                path.0.extend(static_path(steps).0);
                paths.push((path, range));
            }
            _ => diagnostics.push(
                Diagnostic::error(
                    "Invalid ignore_changes",
                    "Each element must be the name of an attribute, perhaps followed by attributes and constant keys; to \
                     ignore all changes, write ignore_changes = all.",
                )
                .at(range),
            ),
        }
    }
    IgnoreChanges::Paths(paths)
}

/// `provider = NAME` or `NAME.ALIAS`; in quotes, as of old, too.
pub(crate) fn provider(expr: &Expression, diagnostics: &mut Diagnostics) -> Option<ProviderRef> {
    provider_node(expr.file(), expr.node(), diagnostics)
}

pub(crate) fn provider_node(
    file: &SourceFile,
    node: &Expr,
    diagnostics: &mut Diagnostics,
) -> Option<ProviderRef> {
    let range = file.range(node.span);
    let quoted = unquoted(file, node);
    let inner = quoted.as_ref().map_or(node, Expression::node);
    // `null` is a keyword, and the name of a provider.
    if file.slice(node.span) == "null" {
        return Some(ProviderRef {
            name: ProviderName {
                local: "null".into(),
                alias: None,
            },
            range,
        });
    }
    let found = match &inner.kind {
        ExprKind::Traversal { root, steps } => match steps.as_slice() {
            [] => Some((root.text.clone(), None)),
            [
                Step {
                    kind: StepKind::Attr(alias),
                    ..
                },
            ] => Some((root.text.clone(), Some(alias.clone()))),
            [
                Step {
                    kind: StepKind::Attr(_),
                    ..
                },
                Step {
                    kind: StepKind::Index(_),
                    ..
                },
            ] => {
                diagnostics.push(
                    Diagnostic::error(
                        "Provider instances are not supported yet",
                        "A provider configuration with for_each is valid in OpenTofu, but stead can't use it yet.",
                    )
                    .at(range),
                );
                return None;
            }
            _ => None,
        },
        ExprKind::Access { base, steps } => match (&base.kind, steps.as_slice()) {
            // `null.alias`
            (
                ExprKind::Literal(value),
                [
                    Step {
                        kind: StepKind::Attr(alias),
                        ..
                    },
                ],
            ) if value.is_null() => Some(("null".into(), Some(alias.clone()))),
            _ => None,
        },
        _ => None,
    };
    match found {
        Some((local, alias)) => Some(ProviderRef {
            name: ProviderName { local, alias },
            range,
        }),
        None => {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid provider configuration reference",
                    "A provider reference must be the provider's local name, alone or followed by a dot and a configuration \
                     alias.",
                )
                .at(range),
            );
            None
        }
    }
}
