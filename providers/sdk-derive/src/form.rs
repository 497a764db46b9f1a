//! `#[derive(Form)]`: which fields travel, under which names, and in which writing.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::meta::ParseNestedMeta;
use syn::{DeriveInput, Ident, LitStr, Path, Result};

use crate::container::{Flavour, legacy, named_fields};
use crate::emit::default;
use crate::field::{Field, Kind};

/// Which way a field travels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Both,
    Skip,
    Path,
    Create,
    Sent,
    Read,
}

struct FormField {
    field: Field,
    name: String,
    mode: Mode,
    always: bool,
    unless_default: bool,
    flatten: bool,
    join: Option<LitStr>,
    pair: Option<LitStr>,
    repeat: bool,
    bare: bool,
    rows: Option<Option<LitStr>>,
    with: Option<Path>,
    implied: Option<LitStr>,
}

impl FormField {
    fn parse(source: &syn::Field, flavour: Flavour, legacy: bool) -> Result<FormField> {
        let field = Field::parse(source, flavour, legacy)?;
        let mode = match field.kind {
            Kind::Private => Mode::Skip,
            // Made from the key.
            _ if field.name == "id" && field.computed && flavour != Flavour::Block => Mode::Path,
            _ if field.write_only => Mode::Sent,
            _ if field.computed && !field.optional => Mode::Read,
            _ => Mode::Both,
        };
        let mut parsed = FormField {
            name: field.name.replace('_', "-"),
            flatten: matches!(field.kind, Kind::Flat),
            field,
            mode,
            always: false,
            unless_default: false,
            join: None,
            pair: None,
            repeat: false,
            bare: false,
            rows: None,
            with: None,
            implied: None,
        };
        for attribute in source.attrs.iter().filter(|a| a.path().is_ident("form")) {
            attribute.parse_nested_meta(|meta| parsed.flag(&meta))?;
        }
        Ok(parsed)
    }

    fn flag(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let flag = meta.path.get_ident().map(Ident::to_string);
        match flag.as_deref().unwrap_or_default() {
            "name" => self.name = meta.value()?.parse::<LitStr>()?.value(),
            "skip" => self.mode = Mode::Skip,
            "path" => self.mode = Mode::Path,
            "create" => self.mode = Mode::Create,
            "sent" => self.mode = Mode::Sent,
            "read" => self.mode = Mode::Read,
            "always" => self.always = true,
            "unless_default" => self.unless_default = true,
            "flatten" => self.flatten = true,
            "join" => self.join = Some(meta.value()?.parse()?),
            "pair" => self.pair = Some(meta.value()?.parse()?),
            "repeat" => self.repeat = true,
            "bare" => self.bare = true,
            "implied" => self.implied = Some(meta.value()?.parse()?),
            "with" => self.with = Some(meta.value()?.parse()?),
            "rows" if meta.input.peek(syn::Token![=]) => {
                self.rows = Some(Some(meta.value()?.parse()?));
            }
            "rows" => self.rows = Some(None),
            _ => {
                return Err(meta.error(
                    "unknown flag; known: name, skip, path, create, sent, read, always, unless_default, flatten, join, pair, repeat, bare, rows, implied, with",
                ));
            }
        }
        Ok(())
    }

    fn style(&self) -> TokenStream {
        let plain = quote!(::stead_sdk::form::Style::PLAIN);
        if self.join.is_none() && self.pair.is_none() && !self.repeat {
            return plain;
        }
        let join = self.join.iter();
        let pair = self.pair.iter();
        let repeat = self.repeat;
        quote!(::stead_sdk::form::Style { #(join: #join,)* #(pair: #pair,)* repeat: #repeat, ..#plain })
    }

    fn is_sent(&self) -> bool {
        self.rows.is_none() && matches!(self.mode, Mode::Both | Mode::Create | Mode::Sent)
    }

    fn is_read(&self) -> bool {
        matches!(self.mode, Mode::Both | Mode::Create | Mode::Read)
    }

    /// Its value when nothing is known.
    fn blank(&self) -> TokenStream {
        let ty = &self.field.ty;
        match &self.field.default {
            _ if self.flatten && self.field.optional_type => {
                quote!(::std::default::Default::default())
            }
            None if self.mode == Mode::Skip => {
                quote!(::std::default::Default::default())
            }
            Some(_) => {
                let value = default(&self.field);
                quote!(::stead_sdk::form::default_value::<#ty>(&#value))
            }
            None if self.flatten => quote!(<#ty as ::stead_sdk::form::Form>::blank()),
            None => quote!(<#ty as ::stead_sdk::form::FormValue>::absent()),
        }
    }

    /// What is added to the parameters.
    fn parameter(&self, all: &[FormField]) -> TokenStream {
        let (name, ident, style) = (&self.name, &self.field.ident, self.style());
        if self.flatten {
            let parameters = quote!(parameters.extend(::stead_sdk::form::Form::parameters(block)););
            return if self.field.optional_type {
                quote!(if let ::std::option::Option::Some(block) = &self.#ident { #parameters })
            } else {
                quote!({ let block = &self.#ident; #parameters })
            };
        }
        let values = match &self.with {
            Some(module) => quote!(#module::write(&self.#ident)),
            None => quote!(::stead_sdk::form::FormValue::write(&self.#ident, #style)),
        };
        let values = if self.unless_default {
            let blank = self.blank();
            quote!(if self.#ident == #blank { ::std::vec::Vec::new() } else { #values })
        } else {
            values
        };
        let version = format_ident!("{}_version", ident);
        let versioned = self.field.write_only && all.iter().any(|f| f.field.ident == version);
        let stamp = if versioned {
            quote!(::std::option::Option::Some(::stead_sdk::form::FormValue::write(&self.#version, #style)))
        } else {
            quote!(::std::option::Option::None)
        };
        let when = match self.mode {
            Mode::Create => quote!(Create),
            _ if self.always => quote!(Always),
            _ => quote!(Changed),
        };
        quote!(parameters.push(::stead_sdk::form::Parameter {
            name: #name, values: #values, stamp: #stamp, when: ::stead_sdk::form::When::#when
        });)
    }

    fn absorb(&self) -> TokenStream {
        let (name, ident, style) = (&self.name, &self.field.ident, self.style());
        if self.flatten {
            let absorb = match self.field.optional_type {
                true => quote!(absorb_optional),
                false => quote!(Form::absorb),
            };
            return quote!(::stead_sdk::form::#absorb(&mut self.#ident, answer)?;);
        }
        if let Some(member) = &self.rows {
            let member = match member {
                Some(member) => quote!(::std::option::Option::Some(#member)),
                None => quote!(::std::option::Option::None),
            };
            return quote!(self.#ident = ::stead_sdk::form::rows(answer, #member, #style)?.into_iter().collect(););
        }
        let found = quote!(::stead_sdk::form::find(answer, #name));
        let prior =
            quote!(::std::mem::replace(&mut self.#ident, ::stead_sdk::form::FormValue::absent()));
        if let Some(module) = &self.with {
            return quote!(self.#ident = #module::read(#prior, #found.as_deref()).map_err(|e| e.within(#name))?;);
        }
        let unmentioned = if self.mode == Mode::Create {
            quote!()
        } else {
            let blank = match &self.implied {
                // What has a default in the schema is not without a value.
                Some(implied) if !self.field.optional_type => {
                    quote!(::stead_sdk::form::implied(#implied))
                }
                _ => self.blank(),
            };
            let implied = self
                .implied
                .as_ref()
                .map_or_else(String::new, LitStr::value);
            quote!(self.#ident = ::stead_sdk::form::unmentioned(#prior, #implied, || #blank);)
        };
        quote! {
            match #found {
                ::std::option::Option::Some(found) => {
                    self.#ident = ::stead_sdk::form::FormValue::read(#prior, &found, #style).map_err(|e| e.within(#name))?;
                }
                ::std::option::Option::None => { #unmentioned }
            }
        }
    }
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let of = |name: &str| input.attrs.iter().any(|a| a.path().is_ident(name));
    let flavour = match () {
        () if of("resource") => Flavour::Resource,
        () if of("data_source") => Flavour::DataSource,
        () => Flavour::Block,
    };
    let legacy = legacy(input, flavour)?;
    let fields = named_fields(input)?
        .iter()
        .map(|f| FormField::parse(f, flavour, legacy))
        .collect::<Result<Vec<_>>>()?;
    let ident = &input.ident;
    let idents: Vec<_> = fields.iter().map(|f| &f.field.ident).collect();
    let blanks = fields.iter().map(FormField::blank);
    let parameters = fields
        .iter()
        .filter(|f| f.is_sent())
        .map(|f| f.parameter(&fields));
    let absorbed = fields.iter().filter(|f| f.is_read()).map(FormField::absorb);
    let open = |f: &&FormField| {
        !f.flatten && f.field.computed && f.field.default.is_none() && !f.field.write_only
    };
    let computes = fields.iter().filter(open).any(FormField::is_read);
    // What a type reads by itself is open, too.
    let read_itself = |f: &FormField| flavour == Flavour::Resource && f.mode == Mode::Skip;
    let open = fields
        .iter()
        .filter(open)
        .filter(|f| f.is_read() || (read_itself(f) && !matches!(f.field.kind, Kind::Private)))
        .map(|f| &f.field.ident);
    let open: Vec<_> = open.collect();
    let secret = fields.iter().filter(|f| f.field.write_only);
    let secret = secret.map(|f| &f.field.ident);
    let textual: Vec<_> = fields
        .iter()
        .filter(|f| f.mode != Mode::Skip && f.with.is_none() && !f.flatten)
        .collect();
    let names: Vec<_> = textual.iter().map(|f| &f.field.name).collect();
    let texts: Vec<_> = textual.iter().map(|f| &f.field.ident).collect();
    let flat: Vec<_> = fields
        .iter()
        .filter(|f| matches!(f.field.kind, Kind::Flat))
        .collect();
    let flat_types: Vec<_> = flat.iter().map(|f| &f.field.ty).collect();
    let flat: Vec<_> = flat.iter().map(|f| &f.field.ident).collect();
    let bare = fields.iter().find(|f| f.bare);
    let bare = bare.map_or(String::new(), |f| f.name.clone());
    Ok(quote! {
        impl ::stead_sdk::form::Form for #ident {
            const COMPUTES: bool = #computes #(|| <#flat_types as ::stead_sdk::form::Form>::COMPUTES)*;
            const BARE: &'static str = #bare;

            fn blank() -> Self {
                Self { #(#idents: #blanks),* }
            }

            fn parameters(&self) -> ::std::vec::Vec<::stead_sdk::form::Parameter> {
                #[allow(unused_mut)]
                let mut parameters = ::std::vec::Vec::new();
                #(#parameters)*
                parameters
            }

            #[allow(unused_variables)]
            fn absorb(
                &mut self,
                answer: &::stead_sdk::codec::Json,
            ) -> ::std::result::Result<(), ::stead_sdk::form::Unreadable> {
                #(#absorbed)*
                ::std::result::Result::Ok(())
            }

            #[allow(unused_variables)]
            fn complete(&mut self, found: Self) {
                #(if ::stead_sdk::form::FormValue::is_absent(&self.#open) { self.#open = found.#open; })*
                #(::stead_sdk::form::Form::complete(&mut self.#flat, found.#flat);)*
            }

            #[allow(unused_variables)]
            fn reveal(&mut self, config: Self) {
                #(self.#secret = config.#secret;)*
                #(::stead_sdk::form::Form::reveal(&mut self.#flat, config.#flat);)*
            }

            fn text(&self, field: &str) -> ::std::option::Option<::std::string::String> {
                match field {
                    #(#names => ::stead_sdk::form::FormValue::write(&self.#texts, ::stead_sdk::form::Style::PLAIN)
                        .into_iter().next(),)*
                    _ => ::std::option::Option::None #(.or_else(|| ::stead_sdk::form::Form::text(&self.#flat, field)))*,
                }
            }

            fn assign(
                &mut self,
                field: &str,
                text: &str,
            ) -> ::std::result::Result<(), ::stead_sdk::form::Unreadable> {
                let found = ::stead_sdk::codec::Json::from(text);
                match field {
                    #(#names => self.#texts = ::stead_sdk::form::FormValue::read(
                        ::stead_sdk::form::FormValue::absent(), &found, ::stead_sdk::form::Style::PLAIN)?,)*
                    _ => { #(::stead_sdk::form::Form::assign(&mut self.#flat, field, text)?;)* }
                }
                ::std::result::Result::Ok(())
            }
        }

        impl ::stead_sdk::form::FormValue for #ident {
            fn absent() -> Self {
                ::stead_sdk::form::Form::blank()
            }

            /// There is no telling: a struct of which nothing is known is still one.
            fn is_absent(&self) -> bool {
                false
            }

            fn write(&self, _style: ::stead_sdk::form::Style) -> ::std::vec::Vec<::std::string::String> {
                ::stead_sdk::form::write_properties(self)
            }

            fn read(
                prior: Self,
                found: &::stead_sdk::codec::Json,
                _style: ::stead_sdk::form::Style,
            ) -> ::std::result::Result<Self, ::stead_sdk::form::Unreadable> {
                ::stead_sdk::form::read_properties(prior, found)
            }
        }
    })
}
