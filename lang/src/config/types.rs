//! Declared types: the type constraint of a variable, with the defaults of its optional attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stead_value::convert::{Defaults, convert};
use stead_value::{Diagnostic, Diagnostics, ObjectType, Type, Value};

use crate::expr::evaluate_constant;
use crate::syntax::{Call, Expr, ExprKind, Expression, ObjectItem, ObjectKey, Span, TemplatePart};

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
    let (ty, defaults) = reader
        .read(expr.node())
        .unwrap_or((Type::Dynamic, Defaults::none(Type::Dynamic)));
    (
        TypeConstraint {
            ty,
            defaults,
            declared: true,
        },
        reader.diagnostics,
    )
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

    fn read(&mut self, expr: &Expr) -> Read {
        match &expr.kind {
            ExprKind::Traversal { root, steps } if steps.is_empty() => self.keyword(&root.text, expr.span),
            ExprKind::Call(call) => self.constructor(call, expr.span),
            ExprKind::Parens(inner) => self.read(inner),
            ExprKind::Template(parts) => match parts.as_slice() {
                [TemplatePart::Literal { text, .. }] => {
                    let range = self.expr.file().range(expr.span);
                    self.diagnostics.push(
                        Diagnostic::error(
                            "Invalid quoted type constraints",
                            format!("Types are not written in quotes any more. Remove the quotes around \"{text}\"."),
                        )
                        .at(range),
                    );
                    None
                }
                _ => self.wrong(expr.span, "A type specification is either a primitive type keyword (bool, number, string) or a complex type constructor call, like list(string)."),
            },
            _ => self.wrong(expr.span, "A type specification is either a primitive type keyword (bool, number, string) or a complex type constructor call, like list(string)."),
        }
    }

    fn keyword(&mut self, word: &str, span: Span) -> Read {
        let ty = match word {
            "bool" => Type::Bool,
            "number" => Type::Number,
            "string" => Type::String,
            "any" => Type::Dynamic,
            // Shorthands of old, still accepted.
            "list" => Type::list(Type::Dynamic),
            "map" => Type::map(Type::Dynamic),
            "set" => return self.wrong(span, "The set type constructor requires one argument specifying the element type."),
            "object" => {
                return self.wrong(span, "The object type constructor requires one argument specifying the attribute types and values as a map.");
            }
            "tuple" => return self.wrong(span, "The tuple type constructor requires one argument specifying the element types as a list."),
            _ => return self.wrong(span, format!("The keyword \"{word}\" is not a valid type specification.")),
        };
        Some((ty.clone(), Defaults::none(ty)))
    }

    fn constructor(&mut self, call: &Call, span: Span) -> Read {
        let name = &*call.name;
        match name {
            "bool" | "string" | "number" | "any" => {
                return self.wrong(
                    span,
                    format!("Primitive type keyword \"{name}\" does not expect arguments."),
                );
            }
            "list" | "set" | "map" | "object" | "tuple" => {}
            "optional" => {
                return self.wrong(
                    span,
                    "Keyword \"optional\" is valid only as a modifier for object type attributes.",
                );
            }
            _ => {
                return self.wrong(
                    call.name_span,
                    format!("Keyword \"{name}\" is not a valid type constructor."),
                );
            }
        }
        let [arg] = call.args.as_slice() else {
            return self.wrong(
                span,
                format!("The {name} type constructor requires one argument."),
            );
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
        let (type_expr, default) = match &item.value.kind {
            ExprKind::Call(call) if &*call.name == "optional" => {
                object.optional.insert(Arc::clone(&name.text));
                match call.args.as_slice() {
                    [ty] => (ty, None),
                    [ty, default] => (ty, Some(default)),
                    _ => {
                        self.wrong(
                            item.value.span,
                            "Optional attribute modifier requires the attribute type as its argument, and optionally a \
                             default value.",
                        );
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
