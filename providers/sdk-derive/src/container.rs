//! The struct as a whole: its own attribute, its fields, and the impls that come out.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, LitInt, LitStr, Result, Type};

use crate::emit;
use crate::field::Field;

/// Which derive is being expanded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Resource,
    DataSource,
    Provider,
    Block,
}

impl Flavour {
    /// The attribute that the container may carry.
    fn attribute(self) -> &'static str {
        match self {
            Flavour::Resource => "resource",
            Flavour::DataSource => "data_source",
            Flavour::Provider => "provider",
            Flavour::Block => "block",
        }
    }
}

/// What the container's attribute says.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    aliases: Vec<LitStr>,
    version: Option<LitInt>,
    legacy: bool,
    deprecated: Option<LitStr>,
    identity: Option<Type>,
}

fn options(input: &DeriveInput, flavour: Flavour) -> Result<Options> {
    let mut options = Options::default();
    for attribute in input
        .attrs
        .iter()
        .filter(|a| a.path().is_ident(flavour.attribute()))
    {
        attribute.parse_nested_meta(|meta| {
            let named = matches!(flavour, Flavour::Resource | Flavour::DataSource);
            if named && meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse()?);
            } else if named && meta.path.is_ident("alias") {
                options.aliases.push(meta.value()?.parse()?);
            } else if flavour != Flavour::Block && meta.path.is_ident("version") {
                options.version = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("legacy") {
                options.legacy = true;
            } else if flavour == Flavour::Resource && meta.path.is_ident("identity") {
                options.identity = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("deprecated") {
                options.deprecated = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error(
                    "unknown option here; known: name, alias, version, legacy, deprecated, identity",
                ));
            }
            Ok(())
        })?;
    }
    Ok(options)
}

/// The doc comment's text, one space of indentation removed per line.
pub(crate) fn doc_text(attributes: &[syn::Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) = &pair.value
        {
            let text = text.value();
            lines.push(
                text.strip_prefix(' ')
                    .unwrap_or(&text)
                    .trim_end()
                    .to_owned(),
            );
        }
    }
    lines.join("\n").trim().to_owned()
}

/// Whether the container says that its published provider is of the older kind.
pub(crate) fn legacy(input: &DeriveInput, flavour: Flavour) -> Result<bool> {
    Ok(options(input, flavour)?.legacy)
}

/// The fields of a struct that describes a schema.
pub(crate) fn named_fields(input: &DeriveInput) -> Result<Vec<&syn::Field>> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            &input.ident,
            "only structs with named fields describe a schema",
        ));
    };
    match &data.fields {
        Fields::Named(fields) => Ok(fields.named.iter().collect()),
        Fields::Unit => Ok(Vec::new()),
        Fields::Unnamed(_) => Err(syn::Error::new_spanned(
            &input.ident,
            "a schema's fields need names",
        )),
    }
}

pub(crate) fn expand(input: &DeriveInput, flavour: Flavour) -> Result<TokenStream> {
    let named = named_fields(input)?;
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &input.generics,
            "a schema cannot be generic",
        ));
    }
    let options = options(input, flavour)?;
    let fields = named
        .into_iter()
        .map(|f| Field::parse(f, flavour, options.legacy))
        .collect::<Result<Vec<_>>>()?;
    reject_doubles(&fields)?;

    let ident = &input.ident;
    let description = doc_text(&input.attrs);
    let mut out = emit::codec(ident, &fields, fields.is_empty() && is_unit(input));
    out.extend(emit::block(
        ident,
        &fields,
        &description,
        options.deprecated.as_ref(),
    ));
    let version = options.version.map_or_else(|| quote!(0), |v| quote!(#v));
    let (legacy, aliases) = (options.legacy, &options.aliases);
    match flavour {
        Flavour::Block => {}
        Flavour::Resource => {
            let name = require_name(input, options.name, flavour)?;
            let private = emit::private(&fields);
            let identity = options.identity.as_ref().map(emit::identity);
            out.extend(quote! {
                impl ::stead_sdk::ResourceSchema for #ident {
                    const NAME: &'static str = #name;
                    const ALIASES: &'static [&'static str] = &[#(#aliases),*];
                    const VERSION: u64 = #version;
                    const LEGACY: bool = #legacy;
                    #private
                    #identity
                }
            });
        }
        Flavour::DataSource => {
            let name = require_name(input, options.name, flavour)?;
            out.extend(quote! {
                impl ::stead_sdk::DataSourceSchema for #ident {
                    const NAME: &'static str = #name;
                    const ALIASES: &'static [&'static str] = &[#(#aliases),*];
                    const VERSION: u64 = #version;
                }
            });
        }
        Flavour::Provider => {
            let environment = fields.iter().filter(|f| !f.env.is_empty()).map(|f| {
                let (name, variables) = (&f.name, &f.env);
                quote!((#name, &[#(#variables),*] as &[&str]))
            });
            out.extend(quote! {
                impl ::stead_sdk::ProviderConfig for #ident {
                    const VERSION: u64 = #version;
                    const ENVIRONMENT: &'static [(&'static str, &'static [&'static str])] = &[#(#environment),*];
                }
            });
        }
    }
    Ok(out)
}

fn is_unit(input: &DeriveInput) -> bool {
    matches!(&input.data, Data::Struct(data) if matches!(data.fields, Fields::Unit))
}

fn require_name(input: &DeriveInput, name: Option<LitStr>, flavour: Flavour) -> Result<LitStr> {
    name.ok_or_else(|| {
        let text = format!("needs #[{}(name = \"…\")]", flavour.attribute());
        syn::Error::new_spanned(&input.ident, text)
    })
}

fn reject_doubles(fields: &[Field]) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for field in fields {
        if !seen.insert(&field.name) {
            return Err(syn::Error::new_spanned(
                &field.ident,
                format!("a second field named `{}`", field.name),
            ));
        }
    }
    Ok(())
}
