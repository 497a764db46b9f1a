//! Declared types: the type constraint of a variable, with the defaults of its optional attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stead_value::convert::{Defaults, convert};
use stead_value::{Diagnostic, Diagnostics, ObjectType, Type, Value};

use super::statics::{keyword, quoted_text};
use crate::expr::evaluate_constant;
use crate::syntax::{Call, Expr, ExprKind, Expression, ObjectItem, ObjectKey, Span};

/// A variable's `type`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeConstraint {
    /// With its optional attributes marked.
    pub ty: Type,
    pub defaults: Defaults,
    /// Whether the configuration names a type at all; without, `-var` gives a plain string.
    pub declared: bool,
}

impl Default for TypeConstraint {
    fn default() -> Self {
        TypeConstraint {
            ty: Type::Dynamic,
            defaults: Defaults::none(Type::Dynamic),
            declared: false,
        }
    }
}

/// Reads a type expression such as `map(object({ a = optional(string, "x") }))`.
pub fn parse_type(expr: &Expression) -> (TypeConstraint, Diagnostics) {
    let mut reader = TypeReader {
        expr,
        diagnostics: Diagnostics::new(),
    };
    let read = match (keyword(expr).as_deref(), quoted_text(expr.node())) {
        // Shorthands of old, still accepted for the whole type.
        (Some("list"), _) => Some(whole(Type::list(Type::Dynamic))),
        (Some("map"), _) => Some(whole(Type::map(Type::Dynamic))),
        (_, Some(text)) => reader.quoted(&text, expr.span()),
        _ => reader.read(expr.node()),
    };
    let (ty, defaults) = read.unwrap_or((Type::Dynamic, Defaults::none(Type::Dynamic)));
    (
        TypeConstraint {
            ty,
            defaults,
            declared: true,
        },
        reader.diagnostics,
    )
}

fn whole(ty: Type) -> (Type, Defaults) {
    (ty.clone(), Defaults::none(ty))
}

/// What is said of a constructor without its argument; `None` for what is no constructor.
fn needs_argument(constructor: &str) -> Option<String> {
    match constructor {
        "list" | "set" | "map" => Some(format!("The {constructor} type constructor requires one argument specifying the element type.")),
        "object" => Some("The object type constructor requires one argument specifying the attribute types and values as a map.".into()),
        "tuple" => Some("The tuple type constructor requires one argument specifying the element types as a list.".into()),
        _ => None,
    }
}

const SUMMARY: &str = "Invalid type specification";

struct TypeReader<'a> {
    expr: &'a Expression,
    diagnostics: Diagnostics,
}

type Read = Option<(Type, Defaults)>;

impl TypeReader<'_> {
    fn wrong(&mut self, span: Span, detail: impl Into<String>) -> Read {
        let range = self.expr.file().range(span);
        self.diagnostics
            .push(Diagnostic::error(SUMMARY, detail.into()).at(range));
        None
    }

    /// As [`TypeReader::wrong`], shown with what is around it.
    fn wrong_within(&mut self, span: Span, around: Span, detail: impl Into<String>) -> Read {
        let mut diagnostic =
            Diagnostic::error(SUMMARY, detail.into()).at(self.expr.file().range(span));
        diagnostic.context = Some(self.expr.file().range(around));
        self.diagnostics.push(diagnostic);
        None
    }

    fn read(&mut self, expr: &Expr) -> Read {
        match &expr.kind {
            ExprKind::Traversal { root, steps } if steps.is_empty() => {
                self.keyword(&root.text, expr.span)
            }
            ExprKind::Literal(value) if value.as_number().is_none() => {
                let word = self.expr.file().slice(expr.span).to_owned();
                self.keyword(&word, expr.span)
            }
            ExprKind::Call(call) => self.constructor(call, expr.span),
            ExprKind::Parens(inner) => self.read(inner),
            _ => self.wrong(expr.span, "A type specification is either a primitive type keyword (bool, number, string) or a complex type constructor call, like list(string)."),
        }
    }

    /// Where old configurations have a type in quotes.
    fn quoted(&mut self, text: &str, span: Span) -> Read {
        let hint = match text {
            "string" => "Remove the quotes around \"string\".",
            "list" => {
                "Remove the quotes around \"list\" and write list(string) instead to explicitly indicate that the list elements are strings."
            }
            "map" => {
                "Remove the quotes around \"map\" and write map(string) instead to explicitly indicate that the map elements are strings."
            }
            _ => {
                let range = self.expr.file().range(span);
                self.diagnostics.push(
                    Diagnostic::error(
                        "Invalid legacy variable type hint",
                        "To provide a full type expression, remove the surrounding quotes and give the type expression directly.",
                    )
                    .at(range),
                );
                return None;
            }
        };
        let range = self.expr.file().range(span);
        self.diagnostics.push(
            Diagnostic::error(
                "Invalid quoted type constraints",
                format!("Terraform 0.11 and earlier required type constraints to be given in quotes, but that form is now deprecated and will be removed in a future version of Terraform. {hint}"),
            )
            .at(range),
        );
        None
    }

    fn keyword(&mut self, word: &str, span: Span) -> Read {
        let ty = match word {
            "bool" => Type::Bool,
            "number" => Type::Number,
            "string" => Type::String,
            "any" => Type::Dynamic,
            _ => {
                let detail = needs_argument(word).unwrap_or_else(|| {
                    format!("The keyword \"{word}\" is not a valid type specification.")
                });
                return self.wrong(span, detail);
            }
        };
        Some((ty.clone(), Defaults::none(ty)))
    }

    fn constructor(&mut self, call: &Call, span: Span) -> Read {
        let name = &*call.name;
        let arguments = call.open_paren.to(call.close_paren);
        match name {
            "bool" | "string" | "number" => {
                return self.wrong(
                    arguments,
                    format!("Primitive type keyword \"{name}\" does not expect arguments."),
                );
            }
            "any" => {
                return self.wrong(
                    arguments,
                    "Type constraint keyword \"any\" does not expect arguments.",
                );
            }
            _ => {}
        }
        let Some(needed) = needs_argument(name) else {
            return match name {
                "optional" => self.wrong(
                    call.name_span,
                    "Keyword \"optional\" is valid only as a modifier for object type attributes.",
                ),
                _ => self.wrong(
                    span,
                    format!("Keyword \"{name}\" is not a valid type constructor."),
                ),
            };
        };
        let arg = match call.args.as_slice() {
            [arg] => arg,
            [] => return self.wrong_within(arguments, arguments, needed),
            [_, extra @ ..] => {
                let span = match (extra.first(), extra.last()) {
                    (Some(first), Some(last)) => first.span.to(last.span),
                    _ => arguments,
                };
                return self.wrong_within(span, arguments, needed);
            }
        };
        match name {
            "object" => self.object(arg),
            "tuple" => self.tuple(arg),
            _ => {
                let (element, inner) = self.read(arg)?;
                let ty = match name {
                    "list" => Type::list(element),
                    "set" => Type::set(element),
                    _ => Type::map(element),
                };
                let mut defaults = Defaults::none(ty.clone());
                if !inner.is_empty() {
                    defaults.children.insert("".into(), inner);
                }
                Some((ty, defaults))
            }
        }
    }

    fn tuple(&mut self, arg: &Expr) -> Read {
        let ExprKind::Tuple(items) = &arg.kind else {
            return self.wrong(
                arg.span,
                "Tuple type constructor requires a list of element types.",
            );
        };
        let read = items
            .iter()
            .map(|item| self.read(item))
            .collect::<Option<Vec<_>>>()?;
        let ty = Type::tuple(read.iter().map(|(t, _)| t.clone()));
        let mut defaults = Defaults::none(ty.clone());
        for (i, (_, inner)) in read.into_iter().enumerate() {
            if !inner.is_empty() {
                defaults.children.insert(i.to_string().into(), inner);
            }
        }
        Some((ty, defaults))
    }

    fn object(&mut self, arg: &Expr) -> Read {
        let ExprKind::Object(items) = &arg.kind else {
            return self.wrong(
                arg.span,
                "Object type constructor requires a map whose keys are attribute names and whose values are the \
                 corresponding attribute types.",
            );
        };
        let mut object = ObjectType {
            attributes: BTreeMap::new(),
            optional: BTreeSet::new(),
        };
        let mut defaults = Defaults::none(Type::Dynamic);
        let mut good = true;
        for item in items {
            good &= self.attribute(item, &mut object, &mut defaults).is_some();
        }
        let ty = Type::Object(Arc::new(object));
        defaults.ty = ty.clone();
        good.then_some((ty, defaults))
    }

    fn attribute(
        &mut self,
        item: &ObjectItem,
        object: &mut ObjectType,
        defaults: &mut Defaults,
    ) -> Option<()> {
        let ObjectKey::Name(name) = &item.key else {
            self.wrong(
                item.key.span(),
                "Object constructor map keys must be attribute names.",
            );
            return None;
        };
        if object.attributes.contains_key(&name.text) {
            self.wrong(name.span, "Object constructor map keys must be unique.");
            return None;
        }
        let (type_expr, default) = match &item.value.kind {
            ExprKind::Call(call) if &*call.name == "optional" => {
                object.optional.insert(Arc::clone(&name.text));
                match call.args.as_slice() {
                    [ty] => (ty, None),
                    [ty, default] => (ty, Some(default)),
                    arguments => {
                        let detail = if arguments.is_empty() {
                            "Optional attribute modifier requires the attribute type as its argument."
                        } else {
                            "Optional attribute modifier expects at most two arguments: the attribute type, and a default value."
                        };
                        let parens = call.open_paren.to(call.close_paren);
                        self.wrong_within(parens, item.value.span, detail);
                        return None;
                    }
                }
            }
            _ => (&item.value, None),
        };
        let (ty, inner) = self.read(type_expr)?;
        if let Some(default) = default {
            let value = self.default_value(default, &ty, &inner)?;
            defaults.values.insert(Arc::clone(&name.text), value);
        }
        if !inner.is_empty() {
            defaults.children.insert(Arc::clone(&name.text), inner);
        }
        object.attributes.insert(Arc::clone(&name.text), ty);
        Some(())
    }

    fn default_value(&mut self, default: &Expr, ty: &Type, inner: &Defaults) -> Option<Value> {
        let expr = Expression::new(Arc::clone(self.expr.file()), default.clone());
        let outcome = evaluate_constant(&expr);
        if outcome.diagnostics.has_errors() {
            self.diagnostics.extend(outcome.diagnostics);
            return None;
        }
        // The defaults within apply again when the attribute is filled in; they are needed here so that it converts.
        match convert(&inner.apply(&outcome.value), ty) {
            Ok(value) => Some(value),
            Err(error) => {
                self.diagnostics.push(
                    Diagnostic::error(
                        "Invalid default value for optional attribute",
                        format!("This default value is not compatible with the attribute's type constraint: {error}."),
                    )
                    .at(expr.range()),
                );
                None
            }
        }
    }
}
