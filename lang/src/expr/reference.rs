//! Names and what follows them to references: which part of a traversal names an object, and which reaches into it.

use std::collections::BTreeSet;
use std::sync::Arc;

use stead_value::addr::{InstanceKey, Resource, ResourceMode};
use stead_value::{Diagnostic, Diagnostics, Path, SourceRange, Value};

use super::scope::{PathKind, StaticReference, Target};
use crate::syntax::{
    Expr, ExprKind, Expression, Name, ObjectKey, SourceFile, Span, Step, StepKind, TemplatePart,
};

/// The object that a traversal begins with.
pub(crate) struct Parsed {
    /// Without instance key and output.
    pub(crate) target: Target,
    /// How many steps belong to the target.
    pub(crate) consumed: usize,
}

/// Why a traversal names no object.
pub(crate) struct BadReference {
    summary: String,
    detail: String,
    span: Span,
}

impl BadReference {
    fn new(summary: impl Into<String>, detail: impl Into<String>, span: Span) -> BadReference {
        BadReference {
            summary: summary.into(),
            detail: detail.into(),
            span,
        }
    }

    pub(crate) fn diagnostic(self, file: &SourceFile) -> Diagnostic {
        Diagnostic::error(self.summary, self.detail).at(file.range(self.span))
    }
}

/// Finds the target of a traversal by its root name.
pub(crate) fn parse_target(root: &Name, steps: &[Step]) -> Result<Parsed, BadReference> {
    let attr = |i: usize| match steps.get(i).map(|s| &s.kind) {
        Some(StepKind::Attr(name)) => Some(Arc::clone(name)),
        _ => None,
    };
    let first = || match (attr(0), steps.first()) {
        (Some(name), _) => Ok(name),
        (None, None) => Err(BadReference::new(
            "Invalid reference",
            format!(
                "The \"{}\" object cannot be accessed directly. Instead, access one of its attributes.",
                root.text
            ),
            root.span,
        )),
        (None, Some(step)) => Err(BadReference::new(
            "Invalid reference",
            format!(
                "The \"{}\" object does not support this operation.",
                root.text
            ),
            step.span,
        )),
    };
    let one = |target: fn(Arc<str>) -> Target| {
        Ok(Parsed {
            target: target(first()?),
            consumed: 1,
        })
    };
    let fixed = |known: &[(&str, Target)], supported: &str| {
        let name = first()?;
        match known.iter().find(|(n, _)| *n == &*name) {
            Some((_, target)) => Ok(Parsed {
                target: target.clone(),
                consumed: 1,
            }),
            None => Err(BadReference::new(
                format!("Invalid \"{}\" attribute", root.text),
                unknown_attribute(&root.text, &name, supported),
                consumed_span(root, steps, 1),
            )),
        }
    };
    let three = |mode: ResourceMode, kind: &str| match (attr(0), attr(1)) {
        (Some(type_name), Some(name)) => Ok(resource(mode, type_name, name, 2)),
        _ => Err(BadReference::new(
            "Invalid reference",
            format!(
                "The \"{}\" object must be followed by two attribute names: the {kind} and the resource name.",
                root.text
            ),
            consumed_span(root, steps, steps.len()),
        )),
    };
    match &*root.text {
        "var" => one(Target::Variable),
        "local" => one(Target::Local),
        "module" => one(|name| Target::Module {
            name,
            key: None,
            output: None,
        }),
        "each" => fixed(
            &[("key", Target::EachKey), ("value", Target::EachValue)],
            "The supported attributes are each.key and each.value, the current key and value pair of the \"for_each\" attribute set.",
        ),
        "count" => fixed(
            &[("index", Target::CountIndex)],
            "The only supported attribute is count.index, which is the index of each instance of a resource block that has the \"count\" argument set.",
        ),
        "path" => fixed(
            &[
                ("cwd", Target::Path(PathKind::Cwd)),
                ("module", Target::Path(PathKind::Module)),
                ("root", Target::Path(PathKind::Root)),
            ],
            "",
        ),
        "terraform" | "tofu" => fixed(
            &[
                ("workspace", Target::Workspace),
                ("applying", Target::Applying),
            ],
            "The only supported attribute is terraform.workspace, the name of the currently-selected workspace.",
        ),
        "self" => Ok(Parsed {
            target: Target::SelfObject,
            consumed: 0,
        }),
        "data" => three(ResourceMode::Data, "data source type"),
        "resource" => three(ResourceMode::Managed, "resource type"),
        "ephemeral" => three(ResourceMode::Ephemeral, "ephemeral resource type"),
        "template" | "lazy" | "arg" => Err(BadReference::new(
            "Reserved symbol name",
            format!(
                "The symbol name \"{}\" is reserved for use in a future Terraform version. If you are using a provider that already uses this as a resource type name, add the prefix \"resource.\" to force interpretation as a resource type name.",
                root.text
            ),
            root.span,
        )),
        _ => match (attr(0), steps.first()) {
            (Some(name), _) => Ok(resource(
                ResourceMode::Managed,
                Arc::clone(&root.text),
                name,
                1,
            )),
            (None, Some(step)) => Err(BadReference::new(
                "Invalid reference",
                "A reference to a resource type must be followed by at least one attribute access, specifying the resource name.",
                root.span.to(step.span),
            )),
            (None, None) => Err(BadReference::new(
                "Invalid reference",
                "A reference to a resource type must be followed by at least one attribute access, specifying the resource name.",
                root.span,
            )),
        },
    }
}

fn unknown_attribute(object: &str, name: &str, supported: &str) -> String {
    match (object, name) {
        ("terraform", "env") => "The terraform.env attribute was deprecated in v0.10 and removed in v0.12. The \"state environment\" concept was renamed to \"workspace\" in v0.12, and so the workspace name can now be accessed using the terraform.workspace attribute.".into(),
        ("path", _) => format!(
            "The \"path\" object does not have an attribute named \"{name}\".{}",
            crate::suggest::did_you_mean(name, ["cwd", "module", "root"].into_iter())
        ),
        _ => format!("The \"{object}\" object does not have an attribute named \"{name}\". {supported}"),
    }
}

/// From the root to the end of the given number of steps.
pub(crate) fn consumed_span(root: &Name, steps: &[Step], consumed: usize) -> Span {
    consumed
        .checked_sub(1)
        .and_then(|last| steps.get(last))
        .map_or(root.span, |step| root.span.to(step.span))
}

fn resource(mode: ResourceMode, type_name: Arc<str>, name: Arc<str>, consumed: usize) -> Parsed {
    Parsed {
        target: Target::Resource {
            resource: Resource {
                mode,
                type_name,
                name,
            },
            key: None,
        },
        consumed,
    }
}

/// A key value as an instance key; `None` for what is no key.
pub(crate) fn instance_key(value: &Value) -> Option<InstanceKey> {
    match value.as_str() {
        Some(s) => Some(InstanceKey::String(s.into())),
        None => value.as_number()?.to_u64().map(InstanceKey::Int),
    }
}

/// The value of a step's key when it stands there literally.
pub(crate) fn literal_key(step: &Step) -> Option<Value> {
    match &step.kind {
        StepKind::LegacyIndex(value) => Some(Value::clone(value)),
        StepKind::Index(expr) => literal(expr),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<Value> {
    match &expr.kind {
        ExprKind::Literal(value) => Some(value.clone()),
        ExprKind::Template(parts) => match parts.as_slice() {
            [] => Some(Value::string("")),
            [TemplatePart::Literal { text, .. }] => Some(Value::string(text)),
            _ => None,
        },
        ExprKind::Parens(inner) => literal(inner),
        _ => None,
    }
}

/// The static steps at the beginning of these, as a path.
pub(crate) fn static_path(steps: &[Step]) -> Path {
    Path(
        steps
            .iter()
            .map_while(|step| match &step.kind {
                StepKind::Attr(name) => Some(stead_value::Step::Attr(Arc::clone(name))),
                _ => literal_key(step).map(stead_value::Step::Index),
            })
            .collect(),
    )
}

/// All that an expression refers to, in the order in which it stands there, without evaluating anything. References that
/// are wrong in form are reported.
pub fn references(expr: &Expression) -> (Vec<StaticReference>, Diagnostics) {
    let mut finder = Finder {
        file: expr.file(),
        bound: Vec::new(),
        found: Vec::new(),
        diagnostics: Diagnostics::new(),
    };
    finder.expr(expr.node());
    (finder.found, finder.diagnostics)
}

/// Like [`references`], with names that are bound around the expression.
pub(crate) fn references_except(
    expr: &Expression,
    bound: &[Arc<str>],
    found: &mut Vec<StaticReference>,
    diagnostics: &mut Diagnostics,
) {
    let mut finder = Finder {
        file: expr.file(),
        bound: bound.to_vec(),
        found: Vec::new(),
        diagnostics: Diagnostics::new(),
    };
    finder.expr(expr.node());
    found.extend(finder.found);
    diagnostics.extend(finder.diagnostics);
}

/// The text of an expression that is a constant string.
pub(crate) fn literal_text(expr: &Expr) -> Option<String> {
    literal(expr)?.as_str().map(ToOwned::to_owned)
}

/// The roots of all traversals that are not bound within the expression: `var`, `local`, a resource type…
pub fn root_names(expr: &Expression) -> BTreeSet<Arc<str>> {
    traversals(expr.node())
        .into_iter()
        .map(|(root, ..)| Arc::clone(&root.text))
        .collect()
}

/// The first two names of all traversals: `("each", Some("key"))`.
pub(crate) fn first_names(expr: &Expression) -> Vec<(Arc<str>, Option<Arc<str>>)> {
    traversals(expr.node())
        .into_iter()
        .map(|(root, steps, _)| {
            let next = match steps.first().map(|s| &s.kind) {
                Some(StepKind::Attr(name)) => Some(Arc::clone(name)),
                _ => None,
            };
            (Arc::clone(&root.text), next)
        })
        .collect()
}

/// Where a root name is first used.
pub(crate) fn references_to_names(expr: &Expression, root: &str) -> Option<SourceRange> {
    let (name, ..) = traversals(expr.node())
        .into_iter()
        .find(|(name, ..)| *name.text == *root)?;
    Some(expr.file().range(name.span))
}

/// All traversals whose root is not bound within the expression, in order.
pub(super) fn traversals(expr: &Expr) -> Vec<(&Name, &[Step], Span)> {
    struct Found<'a>(Vec<(&'a Name, &'a [Step], Span)>);
    impl<'a> Visit<'a> for Found<'a> {
        fn traversal(&mut self, root: &'a Name, steps: &'a [Step], span: Span) {
            self.0.push((root, steps, span));
        }
    }
    let mut found = Found(Vec::new());
    walk(expr, &mut Vec::new(), &mut found);
    found.0
}

/// Called for each traversal whose root is not bound by a `for` around it.
trait Visit<'a> {
    fn traversal(&mut self, root: &'a Name, steps: &'a [Step], span: Span);
}

struct Finder<'a> {
    file: &'a SourceFile,
    bound: Vec<Arc<str>>,
    found: Vec<StaticReference>,
    diagnostics: Diagnostics,
}

impl Finder<'_> {
    fn expr(&mut self, expr: &Expr) {
        let mut bound = std::mem::take(&mut self.bound);
        walk(expr, &mut bound, self);
    }
}

impl Visit<'_> for Finder<'_> {
    fn traversal(&mut self, root: &Name, steps: &[Step], _: Span) {
        match static_reference(self.file, root, steps) {
            Ok(reference) => self.found.push(reference),
            Err(bad) => self.diagnostics.push(bad.diagnostic(self.file)),
        }
    }
}

/// A traversal as a reference, with the keys that are literal.
pub(crate) fn static_reference(
    file: &SourceFile,
    root: &Name,
    steps: &[Step],
) -> Result<StaticReference, BadReference> {
    let Parsed {
        mut target,
        mut consumed,
    } = parse_target(root, steps)?;
    if let Target::Resource { key, .. } | Target::Module { key, .. } = &mut target
        && let Some(found) = steps
            .get(consumed)
            .and_then(literal_key)
            .as_ref()
            .and_then(instance_key)
    {
        *key = Some(found);
        consumed += 1;
    }
    if let Target::Module { output, .. } = &mut target
        && let Some(Step {
            kind: StepKind::Attr(name),
            ..
        }) = steps.get(consumed)
    {
        *output = Some(Arc::clone(name));
        consumed += 1;
    }
    let remaining = steps.get(consumed..).unwrap_or(&[]);
    let rest = static_path(remaining);
    let rest_ranges = remaining
        .iter()
        .take(rest.steps().len())
        .map(|step| file.range(step.span))
        .collect();
    Ok(StaticReference {
        target,
        rest,
        range: file.range(consumed_span(root, steps, consumed)),
        rest_ranges,
    })
}

fn walk<'a>(expr: &'a Expr, bound: &mut Vec<Arc<str>>, visit: &mut dyn Visit<'a>) {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Invalid | ExprKind::Broken(_) => {}
        ExprKind::Template(parts) => walk_parts(parts, bound, visit),
        ExprKind::Traversal { root, steps } => {
            if !bound.contains(&root.text) {
                visit.traversal(root, steps, expr.span);
            }
            walk_steps(steps, bound, visit);
        }
        ExprKind::Access { base, steps } => {
            walk(base, bound, visit);
            walk_steps(steps, bound, visit);
        }
        ExprKind::Call(call) => {
            // The type that `convert` converts to refers to nothing, though it looks as if it did.
            let name = call.name.strip_prefix("core::").unwrap_or(&call.name);
            let most = if name == "convert" { 1 } else { usize::MAX };
            let values = call.args.iter().take(most);
            values.for_each(|a| walk(a, bound, visit));
        }
        ExprKind::Unary { operand: inner, .. } | ExprKind::Parens(inner) => {
            walk(inner, bound, visit);
        }
        ExprKind::Binary { first, rest } => {
            walk(first, bound, visit);
            rest.iter().for_each(|(_, e)| walk(e, bound, visit));
        }
        ExprKind::Conditional(c) => {
            walk(&c.condition, bound, visit);
            walk(&c.then, bound, visit);
            walk(&c.otherwise, bound, visit);
        }
        ExprKind::For(f) => {
            walk(&f.collection, bound, visit);
            let depth = bound.len();
            bound.extend(
                f.key_name
                    .iter()
                    .chain([&f.value_name])
                    .map(|n| Arc::clone(&n.text)),
            );
            for inner in f.key.iter().chain([&f.result]).chain(&f.condition) {
                walk(inner, bound, visit);
            }
            bound.truncate(depth);
        }
        ExprKind::Tuple(items) => items.iter().for_each(|e| walk(e, bound, visit)),
        ExprKind::Object(items) => {
            for item in items {
                if let ObjectKey::Expr(key) = &item.key {
                    walk(key, bound, visit);
                }
                walk(&item.value, bound, visit);
            }
        }
    }
}

fn walk_steps<'a>(steps: &'a [Step], bound: &mut Vec<Arc<str>>, visit: &mut dyn Visit<'a>) {
    for step in steps {
        match &step.kind {
            StepKind::Index(key) => walk(key, bound, visit),
            StepKind::AttrSplat(each) | StepKind::FullSplat(each) => walk_steps(each, bound, visit),
            StepKind::Attr(_) | StepKind::LegacyIndex(_) => {}
        }
    }
}

fn walk_parts<'a>(parts: &'a [TemplatePart], bound: &mut Vec<Arc<str>>, visit: &mut dyn Visit<'a>) {
    for part in parts {
        match part {
            TemplatePart::Literal { .. } => {}
            TemplatePart::Interpolation(e) => walk(e, bound, visit),
            TemplatePart::If(section) => {
                walk(&section.condition, bound, visit);
                walk_parts(&section.then, bound, visit);
                walk_parts(&section.otherwise, bound, visit);
            }
            TemplatePart::For(section) => {
                walk(&section.collection, bound, visit);
                let depth = bound.len();
                let names = section.key_name.iter().chain([&section.value_name]);
                bound.extend(names.map(|n| Arc::clone(&n.text)));
                walk_parts(&section.body, bound, visit);
                bound.truncate(depth);
            }
        }
    }
}
