//! One field: its `#[attr(…)]` flags, checked against its Rust type.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::{
    Expr, ExprArray, GenericArgument, Ident, Lit, LitInt, LitStr, PathArguments, Result, Type,
};

use crate::checks;
use crate::container::{Flavour, doc_text};

/// How a field shows in the schema.
pub(crate) enum Kind {
    /// A plain attribute; its type says all.
    Plain,
    /// A nested attribute of protocol 6.
    Nested(Nesting),
    /// A nested block.
    Block {
        nesting: Nesting,
        min: u64,
        max: u64,
    },
    /// A struct whose fields are the schema's own.
    Flat,
    /// Not in the schema: kept in the object's private bytes.
    Private,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nesting {
    Single,
    Group,
    List,
    Set,
    Map,
}

/// The container around an element type, as far as decoding cares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    Sequence,
    Map,
}

pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) kind: Kind,
    /// The whole Rust type.
    pub(crate) ty: Type,
    /// The type within `Option`, `Vec`, `BTreeMap`, `BTreeSet`.
    pub(crate) element: Type,
    pub(crate) optional_type: bool,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// In a block of the older kind: recorded states may lack even what is required.
    pub(crate) may_lack: bool,
    pub(crate) optional: bool,
    pub(crate) computed: bool,
    pub(crate) unknown_on_change: bool,
    pub(crate) default: Option<Expr>,
    pub(crate) replace: bool,
    pub(crate) sensitive: bool,
    pub(crate) secret: bool,
    pub(crate) write_only: bool,
    pub(crate) unsupported: bool,
    pub(crate) set: bool,
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) env: Vec<LitStr>,
    /// Conditions on the value, each an expression of the schema's `Check`.
    pub(crate) checks: Vec<TokenStream>,
}

impl Field {
    pub(crate) fn parse(field: &syn::Field, flavour: Flavour, legacy: bool) -> Result<Field> {
        let Some(ident) = field.ident.clone() else {
            return Err(syn::Error::new_spanned(
                field,
                "a schema's fields need names",
            ));
        };
        let (optional_type, inner) = match generic_argument(&field.ty, "Option") {
            Some(inner) => (true, inner),
            None => (false, &field.ty),
        };
        let (shape, element) = if let Some(e) = generic_argument(inner, "Vec") {
            (Shape::Sequence, e)
        } else if let Some(e) = generic_argument(inner, "BTreeSet") {
            (Shape::Sequence, e)
        } else if let Some(e) = generic_argument(inner, "BTreeMap") {
            (Shape::Map, e)
        } else {
            (Shape::One, inner)
        };
        let raw = ident.to_string();
        let mut parsed = Field {
            name: raw.strip_prefix("r#").unwrap_or(&raw).to_owned(),
            ident,
            description: doc_text(&field.attrs),
            kind: Kind::Plain,
            ty: field.ty.clone(),
            element: element.clone(),
            optional_type,
            shape,
            required: false,
            may_lack: legacy && flavour == Flavour::Block,
            optional: false,
            computed: false,
            unknown_on_change: false,
            default: None,
            replace: false,
            sensitive: false,
            secret: false,
            write_only: false,
            unsupported: false,
            set: generic_argument(inner, "BTreeSet").is_some(),
            deprecated: None,
            env: Vec::new(),
            checks: Vec::new(),
        };
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("attr")) {
            attribute.parse_nested_meta(|meta| parsed.flag(&meta))?;
        }
        parsed.check(field, flavour, legacy)?;
        Ok(parsed)
    }

    fn flag(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(flag) = meta.path.get_ident().map(Ident::to_string) else {
            return Err(meta.error("unknown flag"));
        };
        match flag.as_str() {
            "required" => self.required = true,
            "optional" => self.optional = true,
            "computed" => {
                self.computed = true;
                if meta.input.peek(syn::token::Paren) {
                    meta.parse_nested_meta(|inner| {
                        if !inner.path.is_ident("unknown_on_change") {
                            return Err(inner.error("computed takes only unknown_on_change"));
                        }
                        self.unknown_on_change = true;
                        Ok(())
                    })?;
                }
            }
            "default" => self.default = Some(meta.value()?.parse()?),
            "replace" => self.replace = true,
            "sensitive" => self.sensitive = true,
            "secret" => self.secret = true,
            "write_only" => self.write_only = true,
            "unsupported" => self.unsupported = true,
            "set" => self.set = true,
            // The element type already says so; the word is for the reader.
            "object" => {}
            "private" => self.kind = Kind::Private,
            "flatten" => self.kind = Kind::Flat,
            "deprecated" => self.deprecated = Some(meta.value()?.parse()?),
            "rename" | "name" => self.name = meta.value()?.parse::<LitStr>()?.value(),
            "env" => self.env = strings(&meta.value()?.parse()?)?,
            "block" => {
                let (nesting, min, max) = nesting(meta)?;
                self.kind = Kind::Block { nesting, min, max };
            }
            "one_of" | "range" | "length" | "pattern" | "keys" | "conflicts" | "requires"
            | "exactly_one_of" | "at_least_one_of" => {
                self.checks.push(checks::parse(&flag, meta)?);
            }
            "nested" => self.kind = Kind::Nested(nesting(meta)?.0),
            _ => {
                return Err(meta.error(
                    "unknown flag; known: required, optional, computed, default, replace, sensitive, secret, write_only, \
                     unsupported, deprecated, set, object, flatten, private, name, env, block(…), nested(…), one_of(…), range(…), \
                     length(…), pattern(…), keys(…), conflicts(…), requires(…), exactly_one_of(…), at_least_one_of(…)",
                ));
            }
        }
        Ok(())
    }

    fn check(&self, field: &syn::Field, flavour: Flavour, legacy: bool) -> Result<()> {
        let fail = |text: &str| Err(syn::Error::new_spanned(&field.ident, text));
        if self.unknown_on_change && !matches!(flavour, Flavour::Resource | Flavour::Block) {
            return fail("unknown_on_change is for a resource's own attributes");
        }
        if !self.env.is_empty() && flavour != Flavour::Provider {
            return fail("env is for a provider configuration's own attributes");
        }
        match self.kind {
            Kind::Private if flavour != Flavour::Resource => {
                return fail("only a resource has private fields");
            }
            Kind::Flat if self.optional_type || self.shape != Shape::One => {
                return fail("only a struct itself can be flattened");
            }
            Kind::Private | Kind::Flat => return Ok(()),
            Kind::Block { nesting, max, .. } => return self.check_block(nesting, max, &fail),
            Kind::Nested(nesting) if !self.fits(nesting) => {
                return fail(
                    "the Rust type does not fit the nesting: T or Option<T> for single, Vec for list and set, BTreeMap for map",
                );
            }
            _ => {}
        }
        if !(self.required || self.optional || self.computed) {
            return fail("say required, optional or computed");
        }
        if self.required && (self.optional || self.computed || self.default.is_some()) {
            return fail("required goes with neither optional, computed nor default");
        }
        if self.write_only && !self.optional_type {
            return fail(
                "a write-only attribute is never stored: its type must be Option<…>; take its value from `config`",
            );
        }
        let may_lack = self.optional && !self.computed && self.default.is_none();
        if may_lack
            && !legacy
            && !self.optional_type
            && self.shape == Shape::One
            && !is_any(&self.element)
        {
            return fail(
                "an optional attribute without default may be null: its type must be Option<…>",
            );
        }
        Ok(())
    }

    fn check_block(
        &self,
        nesting: Nesting,
        max: u64,
        fail: &dyn Fn(&str) -> Result<()>,
    ) -> Result<()> {
        let fits = match nesting {
            // A list of at most one is conveniently an Option, or the struct itself.
            Nesting::List | Nesting::Set if max == 1 => self.shape != Shape::Map,
            other => self.fits(other),
        };
        if !fits || (self.optional_type && self.shape != Shape::One) {
            return fail(
                "the Rust type does not fit the nesting: Vec for list and set (Option<T> or T with max = 1), \
                 Option<T> for single, T for group, BTreeMap for map",
            );
        }
        if self.required
            || self.optional
            || self.computed
            || self.default.is_some()
            || self.sensitive
            || self.write_only
            || !self.checks.is_empty()
        {
            return fail(
                "a block is neither required, optional nor computed, and has no checks: use min and max",
            );
        }
        Ok(())
    }

    fn fits(&self, nesting: Nesting) -> bool {
        match nesting {
            Nesting::Single => self.shape == Shape::One,
            Nesting::Group => self.shape == Shape::One && !self.optional_type,
            Nesting::List | Nesting::Set => self.shape == Shape::Sequence,
            Nesting::Map => self.shape == Shape::Map,
        }
    }
}

/// `block(list, min = 0, max = 1)`: the parenthesised part.
fn nesting(meta: &ParseNestedMeta<'_>) -> Result<(Nesting, u64, u64)> {
    let (mut nesting, mut min, mut max) = (None, 0, 0);
    meta.parse_nested_meta(|inner| {
        let Some(word) = inner.path.get_ident().map(Ident::to_string) else {
            return Err(inner.error("unknown nesting"));
        };
        match word.as_str() {
            "list" => nesting = Some(Nesting::List),
            "set" => nesting = Some(Nesting::Set),
            "map" => nesting = Some(Nesting::Map),
            "single" => nesting = Some(Nesting::Single),
            "group" => nesting = Some(Nesting::Group),
            "min" => min = inner.value()?.parse::<LitInt>()?.base10_parse()?,
            "max" => max = inner.value()?.parse::<LitInt>()?.base10_parse()?,
            _ => {
                return Err(
                    inner.error("unknown nesting; known: list, set, map, single, group, min, max")
                );
            }
        }
        Ok(())
    })?;
    let nesting = nesting.ok_or_else(|| meta.error("say list, set, map, single or group"))?;
    Ok((nesting, min, max))
}

/// A string literal, or an array of them.
fn strings(expr: &Expr) -> Result<Vec<LitStr>> {
    let one = |expr: &Expr| match expr {
        Expr::Lit(syn::ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(text.clone()),
        other => Err(syn::Error::new_spanned(
            other,
            "a variable's name in quotes",
        )),
    };
    match expr {
        Expr::Array(ExprArray { elems, .. }) => elems.iter().map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}

/// The last type argument of `wrapper<…>`, however the wrapper is qualified.
fn generic_argument<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    if last.ident != wrapper {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().rev().find_map(|a| match a {
        GenericArgument::Type(t) => Some(t),
        _ => None,
    })
}

/// A text, a number or a truth value, whose Rust type has a default that says nothing.
pub(crate) fn is_scalar(ty: &Type) -> bool {
    let names = ["String", "bool", "i64", "u64", "f64"];
    matches!(ty, Type::Path(path) if names.iter().any(|name| path.path.is_ident(name)))
}

/// A value of any type, which may itself be null.
pub(crate) fn is_any(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path
        .segments
        .last()
        .is_some_and(|s| s.ident == "Value" || s.ident == "Dynamic")
}
