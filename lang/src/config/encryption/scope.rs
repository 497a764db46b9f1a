//! What an `encryption` block's expressions mean: methods and key providers by their names, everything else evaluated early.

use std::cell::RefCell;
use std::sync::Arc;

use stead_value::schema;
use stead_value::{Diagnostic, Diagnostics, Value};

use super::super::early::{EarlyModule, EarlyValues};
use super::super::model::Module;
use super::super::statics::{self, not_static, quoted_text};
use super::{EncryptionConfig, EncryptionTarget, KeyProviderConfig, MethodConfig, TypedName};
use crate::Files;
use crate::decode::{Decoded, decode};
use crate::expr::{Environment, Reference, Resolved, Scope, Target, evaluate};
use crate::syntax::{Body, Expr, ExprKind, Expression, StepKind, TemplatePart};

/// Where the expressions of an `encryption` block are understood.
pub struct EncryptionScope<'a> {
    early: EarlyModule<'a>,
    config: &'a EncryptionConfig,
}

/// What `keys` or `chain` names.
#[derive(Clone, Debug)]
pub enum Keys<'a> {
    Provider(&'a KeyProviderConfig),
    /// Written out: an object with `encryption_key` and perhaps `decryption_key`. Without marks.
    Value(Value),
}

impl<'a> EncryptionScope<'a> {
    /// `module` is the root module, `values` those of its variables.
    pub fn new(
        files: &'a dyn Files,
        module: &'a Module,
        values: &'a EarlyValues,
        config: &'a EncryptionConfig,
    ) -> EncryptionScope<'a> {
        EncryptionScope {
            early: EarlyModule {
                module,
                caller: None,
                values,
                files,
                running: RefCell::default(),
            },
            config,
        }
    }

    /// The methods of a target, the one that seals first.
    pub fn methods(&self, target: &EncryptionTarget) -> (Vec<&'a MethodConfig>, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let mut methods = Vec::new();
        let mut next = Some(target);
        while let Some(target) = next {
            match self.method(target) {
                Ok(method) => methods.push(method),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
            next = target.fallback.as_deref();
        }
        if target.enforced
            && let Some(plain) = methods.iter().find(|m| &*m.name.kind == "unencrypted")
        {
            diagnostics.push(
                Diagnostic::error(
                    "Unencrypted method is forbidden",
                    "Unable to use unencrypted method since the enforced flag is set.",
                )
                .at(plain.range.clone()),
            );
        }
        (methods, diagnostics)
    }

    fn method(&self, target: &EncryptionTarget) -> Result<&'a MethodConfig, Diagnostic> {
        let Some(expr) = &target.method else {
            return Err(Diagnostic::error(
                "Missing required argument",
                "The argument \"method\" is required, but no definition was found.",
            )
            .at(target.range.clone()));
        };
        let (root, steps) =
            statics::traversal(expr.node(), expr.file()).ok_or_else(|| not_static(expr.range()))?;
        let name = match (&*root, steps.as_slice()) {
            ("method", [kind, name]) => attributes(&kind.kind, &name.kind),
            _ => None,
        };
        let Some(name) = name else {
            return Err(Diagnostic::error(
                "Invalid encryption method identifier",
                "Expected method of form method.<type>.<name>",
            )
            .at(expr.range()));
        };
        self.config.methods.get(&name).ok_or_else(|| {
            Diagnostic::error(
                "Reference to undeclared encryption method",
                format!(
                    "There is no method {:?} {:?} block declared in the encryption block.",
                    name.kind, name.name
                ),
            )
            .at(expr.range())
        })
    }

    /// What an argument that stands for keys names.
    ///
    /// # Errors
    /// When it names no key provider of the block, or its value cannot be known early.
    pub fn keys(&self, expr: &Expression) -> Result<Keys<'a>, Diagnostics> {
        if let Some(name) = key_provider(expr) {
            let name = name.map_err(|problem| problem.at(expr.range()))?;
            return match self.config.key_providers.get(&name) {
                Some(provider) => Ok(Keys::Provider(provider)),
                None => Err(Diagnostic::error(
                    "Reference to undeclared key provider",
                    format!(
                        "There is no key_provider {:?} {:?} block declared in the encryption block.",
                        name.kind, name.name
                    ),
                )
                .at(expr.range())
                .into()),
            };
        }
        let outcome = evaluate(expr, self);
        if outcome.diagnostics.has_errors() {
            return Err(outcome.diagnostics);
        }
        let (value, _) = outcome.value.unmark_deep();
        let problem = match value.as_entries() {
            None => (
                "Expected key_provider value",
                format!(
                    "Expected a key_provider compatible value, found {} instead",
                    value.ty()
                ),
            ),
            Some(entries) if !entries.contains_key("encryption_key") => (
                "Missing encryption_key value",
                "An encryption_key value is required in the key_provider compatible object at this location"
                    .to_owned(),
            ),
            Some(_) => return Ok(Keys::Value(value)),
        };
        let (summary, detail) = problem;
        Err(Diagnostic::error(summary, detail).at(expr.range()).into())
    }

    /// The arguments of a block by their schema. The value bears no marks: everything in an `encryption` block is secret.
    pub fn decode(&self, body: &Body, schema: &schema::Block) -> Decoded {
        let mut decoded = decode(body, schema, self);
        (decoded.value, _) = decoded.value.unmark_deep();
        decoded
    }
}

impl Scope for EncryptionScope<'_> {
    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        match &reference.target {
            Target::Resource { resource, .. } if &*resource.type_name == KEY_PROVIDER => {
                Diagnostic::error(
                    "Key provider within an expression",
                    "A key provider is named by \"keys\" or \"chain\" as it is, key_provider.<type>.<name>. Using a part of what it gives, or choosing between several, is not supported yet.",
                )
                .into()
            }
            _ => self.early.resolve(reference),
        }
    }

    fn environment(&self) -> Environment<'_> {
        self.early.environment()
    }
}

const KEY_PROVIDER: &str = "key_provider";

/// The key provider that an expression is nothing but a reference to: also in quotes, as the JSON form has it. `None` for any
/// other expression.
fn key_provider(expr: &Expression) -> Option<Result<TypedName, Diagnostic>> {
    let quoted = quoted_text(expr.node()).filter(|text| text.starts_with("key_provider."));
    if quoted.is_some() {
        return key_provider(&statics::unquoted(expr)?);
    }
    let ExprKind::Traversal { root, steps } = &alone(expr.node()).kind else {
        return None;
    };
    if &*root.text != KEY_PROVIDER {
        return None;
    }
    let name = match steps.as_slice() {
        [kind, name] => attributes(&kind.kind, &name.kind),
        _ => None,
    };
    Some(name.ok_or_else(|| {
        Diagnostic::error(
            "Invalid Key Provider expression format",
            "The key_provider symbol must be followed by two more attribute names specifying the type and name of the selected key provider.",
        )
    }))
}

/// The expression without parentheses and `"${…}"` around it.
fn alone(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Parens(inner) => alone(inner),
        ExprKind::Template(parts) => match parts.as_slice() {
            [TemplatePart::Interpolation(inner)] => alone(inner),
            _ => expr,
        },
        _ => expr,
    }
}

fn attributes(kind: &StepKind, name: &StepKind) -> Option<TypedName> {
    match (kind, name) {
        (StepKind::Attr(kind), StepKind::Attr(name)) => Some(TypedName {
            kind: Arc::clone(kind),
            name: Arc::clone(name),
        }),
        _ => None,
    }
}
