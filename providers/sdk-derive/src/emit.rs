//! The code that comes out: schema, decoding, encoding.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Type};

use crate::field::{Field, Kind, Nesting, Shape, is_any, is_scalar};

/// `impl Field`: decoding from and encoding to an object value.
pub(crate) fn codec(ident: &Ident, fields: &[Field], unit: bool) -> TokenStream {
    let decoded = fields.iter().map(|f| {
        let (name, expr) = (&f.ident, decode(f));
        quote!(#name: #expr)
    });
    let build = if unit {
        quote!(Self)
    } else {
        quote!(Self { #(#decoded),* })
    };
    let encoded = fields.iter().filter_map(|f| {
        let (name, ident) = (&f.name, &f.ident);
        match f.kind {
            Kind::Private => None,
            Kind::Flat => Some(quote!(pairs.extend(::stead_sdk::codec::entries(&self.#ident));)),
            _ => {
                let expr = encode(f);
                Some(quote!(pairs.insert(::std::sync::Arc::from(#name), #expr);))
            }
        }
    });
    quote! {
        impl ::stead_sdk::Field for #ident {
            fn ty() -> ::stead_sdk::value::Type {
                static TYPE: ::std::sync::OnceLock<::stead_sdk::value::Type> = ::std::sync::OnceLock::new();
                TYPE.get_or_init(|| <#ident as ::stead_sdk::Block>::block().value_type()).clone()
            }

            fn decode(
                value: &::stead_sdk::value::Value,
                path: &::stead_sdk::value::Path,
            ) -> ::std::result::Result<Self, ::stead_sdk::value::Diagnostic> {
                #[allow(unused_variables)]
                let object = ::stead_sdk::codec::Object::new(value, path)?;
                ::std::result::Result::Ok(#build)
            }

            fn encode(&self) -> ::stead_sdk::value::Value {
                #[allow(unused_mut)]
                let mut pairs = ::std::collections::BTreeMap::<::std::sync::Arc<str>, ::stead_sdk::value::Value>::new();
                #(#encoded)*
                ::stead_sdk::value::Value::object(pairs)
            }
        }
    }
}

fn decode(field: &Field) -> TokenStream {
    let (name, ty, element) = (&field.name, &field.ty, &field.element);
    match field.kind {
        Kind::Private => quote!(::std::default::Default::default()),
        Kind::Flat => quote!(<#ty as ::stead_sdk::Field>::decode(value, path)?),
        Kind::Block {
            nesting: Nesting::List | Nesting::Set,
            ..
        } if field.shape == Shape::One => {
            if field.optional_type {
                quote!(object.first::<#element>(#name)?)
            } else {
                quote!(object.only::<#element>(#name)?)
            }
        }
        // `set` only changes the type: a sequence decodes from both.
        _ => match &field.default {
            Some(_) if !field.optional_type => {
                let default = default(field);
                quote!(object.or_value::<#ty>(#name, || #default)?)
            }
            _ if lenient(field) => quote!(object.or_default::<#ty>(#name)?),
            _ => quote!(object.field::<#ty>(#name)?),
        },
    }
}

/// Whether null decodes as the Rust type's default: collections, what the provider fills in, and required scalars in blocks of the
/// older kind, where published providers have recorded empty blocks.
fn lenient(field: &Field) -> bool {
    // A value of any type is its own null.
    if field.optional_type || is_any(&field.ty) {
        return false;
    }
    match field.kind {
        Kind::Block { .. } => field.shape != Shape::One,
        _ => !field.required || (field.may_lack && is_scalar(&field.ty)),
    }
}

fn encode(field: &Field) -> TokenStream {
    let (ident, ty, element) = (&field.ident, &field.ty, &field.element);
    let as_set = field.set
        || matches!(
            field.kind,
            Kind::Block {
                nesting: Nesting::Set,
                ..
            } | Kind::Nested(Nesting::Set)
        );
    match field.kind {
        Kind::Block {
            nesting: Nesting::List,
            ..
        } if field.shape == Shape::One => {
            if field.optional_type {
                quote!(::stead_sdk::codec::list::<#element>(self.#ident.iter()))
            } else {
                quote!(::stead_sdk::codec::list::<#element>(::std::iter::once(&self.#ident)))
            }
        }
        Kind::Block {
            nesting: Nesting::Set,
            ..
        } if field.shape == Shape::One => {
            if field.optional_type {
                quote!(::stead_sdk::codec::set::<#element>(self.#ident.iter()))
            } else {
                quote!(::stead_sdk::codec::set::<#element>(::std::iter::once(&self.#ident)))
            }
        }
        _ if as_set && field.optional_type => {
            quote!(::stead_sdk::codec::set_or_null::<#element>(self.#ident.as_ref().map(|items| items.iter())))
        }
        _ if as_set => quote!(::stead_sdk::codec::set::<#element>(self.#ident.iter())),
        _ => quote!(<#ty as ::stead_sdk::Field>::encode(&self.#ident)),
    }
}

/// `impl Block`: the schema.
pub(crate) fn block(
    ident: &Ident,
    fields: &[Field],
    description: &str,
    deprecated: Option<&LitStr>,
) -> TokenStream {
    let entries = fields.iter().filter_map(|f| match f.kind {
        Kind::Private => None,
        Kind::Flat => {
            let ty = &f.ty;
            Some(quote!(::stead_sdk::codec::flatten::<#ty>(&mut block);))
        }
        Kind::Block { nesting, min, max } => Some(nested_block(f, nesting, min, max)),
        Kind::Plain | Kind::Nested(_) => Some(attribute(f)),
    });
    let deprecated = option(deprecated);
    let volatile = fields.iter().filter(|f| f.unknown_on_change);
    let volatile = volatile.map(|f| &f.name);
    let flat = fields.iter().filter(|f| matches!(f.kind, Kind::Flat));
    let flat = flat.map(|f| &f.ty);
    quote! {
        impl ::stead_sdk::Block for #ident {
            fn unknown_on_change() -> ::std::vec::Vec<&'static str> {
                #[allow(unused_mut)]
                let mut names = ::std::vec![#(#volatile),*];
                #(names.extend(<#flat as ::stead_sdk::Block>::unknown_on_change());)*
                names
            }

            fn block() -> ::stead_sdk::value::schema::Block {
                #[allow(unused_mut)]
                let mut block = ::stead_sdk::value::schema::Block {
                    description: ::std::string::String::from(#description),
                    deprecated: #deprecated,
                    ..::std::default::Default::default()
                };
                #(#entries)*
                block
            }
        }
    }
}

fn nested_block(field: &Field, nesting: Nesting, min: u64, max: u64) -> TokenStream {
    let (name, element, description) = (&field.name, &field.element, &field.description);
    let (nesting, replace, unsupported) = (nesting_path(nesting), field.replace, field.unsupported);
    let deprecated = option(field.deprecated.as_ref());
    quote! {
        block.blocks.insert(
            ::std::sync::Arc::from(#name),
            ::stead_sdk::codec::nested_block::<#element>(
                #nesting, #min, #max, #replace, #unsupported, #description, #deprecated,
            ),
        );
    }
}

fn attribute(field: &Field) -> TokenStream {
    let (name, ty, element, description) =
        (&field.name, &field.ty, &field.element, &field.description);
    let kind = match field.kind {
        Kind::Nested(nesting) => {
            let nesting = nesting_path(nesting);
            quote!(::stead_sdk::codec::nested_type::<#element>(#nesting))
        }
        _ if field.set => quote! {
            ::stead_sdk::value::schema::AttributeType::Simple(
                ::stead_sdk::value::Type::set(<#element as ::stead_sdk::Field>::ty()))
        },
        _ => {
            quote!(::stead_sdk::value::schema::AttributeType::Simple(<#ty as ::stead_sdk::Field>::ty()))
        }
    };
    let Field {
        required,
        optional,
        computed,
        sensitive,
        secret,
        write_only,
        replace,
        unsupported,
        checks,
        ..
    } = field;
    let deprecated = option(field.deprecated.as_ref());
    let default = match &field.default {
        Some(_) => {
            let value = default(field);
            quote!(::std::option::Option::Some(#value))
        }
        None => quote!(::std::option::Option::None),
    };
    quote! {
        block.attributes.insert(
            ::std::sync::Arc::from(#name),
            ::stead_sdk::value::schema::Attribute {
                ty: #kind,
                required: #required,
                optional: #optional,
                computed: #computed,
                sensitive: #sensitive,
                secret: #secret,
                write_only: #write_only,
                deprecated: #deprecated,
                description: ::std::string::String::from(#description),
                default: #default,
                force_new: #replace,
                unsupported: #unsupported,
                checks: ::std::vec![#(#checks),*],
            },
        );
    }
}

/// The default as a `Value`. Literals are taken as they stand; any other expression must have the field's type.
pub(crate) fn default(field: &Field) -> TokenStream {
    let element = &field.element;
    let Some(expr) = &field.default else {
        return quote!(::stead_sdk::value::Value::null(<#element as ::stead_sdk::Field>::ty()));
    };
    match expr {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => quote!(::stead_sdk::value::Value::string(#text)),
        Expr::Lit(ExprLit {
            lit: Lit::Bool(flag),
            ..
        }) => quote!(::stead_sdk::value::Value::bool(#flag)),
        _ => {
            // Within `Option<T>` the default is a `T`; a set in a `Vec` is encoded as the set it is.
            let ty = &field.ty;
            let value = if field.optional_type {
                quote!(::std::option::Option::Some(#expr))
            } else {
                quote!(#expr)
            };
            if field.set && field.optional_type {
                quote!({ let value: #ty = #value;
                    ::stead_sdk::codec::set_or_null::<#element>(value.as_ref().map(|items| items.iter())) })
            } else if field.set {
                quote!({ let value: #ty = #value; ::stead_sdk::codec::set::<#element>(value.iter()) })
            } else {
                quote!({ let value: #ty = #value; <#ty as ::stead_sdk::Field>::encode(&value) })
            }
        }
    }
}

fn nesting_path(nesting: Nesting) -> TokenStream {
    let word = match nesting {
        Nesting::Single => quote!(Single),
        Nesting::Group => quote!(Group),
        Nesting::List => quote!(List),
        Nesting::Set => quote!(Set),
        Nesting::Map => quote!(Map),
    };
    quote!(::stead_sdk::value::schema::Nesting::#word)
}

fn option(text: Option<&LitStr>) -> TokenStream {
    match text {
        Some(text) => quote!(::std::option::Option::Some(::std::string::String::from(#text))),
        None => quote!(::std::option::Option::None),
    }
}

/// The two methods that carry private fields; nothing when there are none.
pub(crate) fn private(fields: &[Field]) -> TokenStream {
    let private: Vec<_> = fields
        .iter()
        .filter(|f| matches!(f.kind, Kind::Private))
        .collect();
    if private.is_empty() {
        return TokenStream::new();
    }
    let names: Vec<_> = private.iter().map(|f| &f.name).collect();
    let idents: Vec<_> = private.iter().map(|f| &f.ident).collect();
    quote! {
        fn store_private(
            &self,
            private: &mut ::stead_sdk::Private,
        ) -> ::std::result::Result<(), ::stead_sdk::value::Diagnostic> {
            #(private.put(#names, &self.#idents)?;)*
            ::std::result::Result::Ok(())
        }

        fn load_private(
            &mut self,
            private: &::stead_sdk::Private,
        ) -> ::std::result::Result<(), ::stead_sdk::value::Diagnostic> {
            #(if let ::std::option::Option::Some(value) = private.get(#names)? { self.#idents = value; })*
            ::std::result::Result::Ok(())
        }
    }
}

/// The methods that carry a resource's identity.
pub(crate) fn identity(identity: &Type) -> TokenStream {
    quote! {
        fn identity_schema() -> ::std::option::Option<::stead_sdk::value::schema::Identity> {
            ::std::option::Option::Some(::stead_sdk::codec::identity_schema::<Self, #identity>())
        }

        fn identity(&self) -> ::std::option::Option<::stead_sdk::value::Value> {
            let identity = <#identity as ::stead_sdk::Identity<Self>>::of(self)?;
            ::std::option::Option::Some(::stead_sdk::Field::encode(&identity))
        }

        fn identified_id(
            identity: &::stead_sdk::value::Value,
        ) -> ::std::result::Result<::std::string::String, ::stead_sdk::Error> {
            let root = ::stead_sdk::value::Path::root();
            let identity = <#identity as ::stead_sdk::Field>::decode(identity, &root)?;
            <#identity as ::stead_sdk::Identity<Self>>::import_id(&identity)
        }

        fn upgraded_identity(
            version: u64,
            identity: ::stead_sdk::codec::Json,
        ) -> ::std::result::Result<::stead_sdk::codec::Json, ::stead_sdk::Error> {
            <#identity as ::stead_sdk::Identity<Self>>::upgrade(version, identity)
        }
    }
}
