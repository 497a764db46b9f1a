//! Derives of the provider sdk: a struct's fields, flags and doc comments become its schema and its decoding.
//!
//! See the crate documentation of `stead-sdk` for what authors write; this crate holds only the macros.

mod checks;
mod container;
mod emit;
mod field;
mod form;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use container::Flavour;

/// A managed resource: `#[resource(name = "…", alias = "…", version = 0, legacy, identity = T)]` on the struct, `#[attr(…)]` on its fields.
#[proc_macro_derive(Resource, attributes(resource, attr))]
pub fn resource(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), Flavour::Resource)
}

/// A data source: `#[data_source(name = "…", alias = "…")]` on the struct, `#[attr(…)]` on its fields.
#[proc_macro_derive(DataSource, attributes(data_source, attr))]
pub fn data_source(input: TokenStream) -> TokenStream {
    derive(
        &parse_macro_input!(input as DeriveInput),
        Flavour::DataSource,
    )
}

/// A provider's configuration: fields may carry `env = "VARIABLE"`.
#[proc_macro_derive(ProviderConfig, attributes(provider, attr))]
pub fn provider_config(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), Flavour::Provider)
}

/// A nested block, a nested attribute's object, or an element of a plain `list(object)` attribute.
#[proc_macro_derive(Block, attributes(block, attr))]
pub fn block(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), Flavour::Block)
}

/// How the struct's fields travel as request parameters and in answers: `#[form(…)]` on its fields; see `stead_sdk::form`.
#[proc_macro_derive(Form, attributes(form, attr, resource, data_source))]
pub fn form(input: TokenStream) -> TokenStream {
    form::expand(&parse_macro_input!(input as DeriveInput))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn derive(input: &DeriveInput, flavour: Flavour) -> TokenStream {
    container::expand(input, flavour)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
