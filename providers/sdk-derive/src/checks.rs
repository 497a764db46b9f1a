//! The conditions of `#[attr(…)]` on a configuration's values.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{
    Expr, ExprLit, ExprRange, Lit, LitFloat, LitStr, RangeLimits, Result, Token, parenthesized,
};

/// `one_of("a", "b")`, `range(1..=9)` and so on: the schema's `Check`.
pub(crate) fn parse(flag: &str, meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    let content;
    parenthesized!(content in meta.input);
    let check = match flag {
        "range" => {
            let (min, max) = bounds(&content.parse()?)?;
            let float = |bound: Option<Expr>| optional(bound.map(|bound| float(&bound)));
            let (min, max) = (float(min), float(max));
            quote!(Range { min: #min, max: #max })
        }
        "length" => {
            let (min, max) = bounds(&content.parse()?)?;
            let min = min.map_or_else(|| quote!(0), |min| quote!(#min));
            let max = optional(max.map(|max| quote!(#max)));
            quote!(Length { min: #min, max: #max })
        }
        "pattern" | "keys" => {
            let pattern: Expr = content.parse()?;
            if flag == "keys" {
                quote!(Keys(#pattern))
            } else {
                quote!(Pattern(#pattern))
            }
        }
        _ => {
            let texts = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
            let texts = texts.iter();
            let variant = match flag {
                "one_of" => quote!(OneOf),
                "conflicts" => quote!(Conflicts),
                "requires" => quote!(Requires),
                "exactly_one_of" => quote!(ExactlyOneOf),
                _ => quote!(AtLeastOneOf),
            };
            quote!(#variant(::std::vec![#(#texts),*]))
        }
    };
    Ok(quote!(::stead_sdk::value::schema::Check::#check))
}

fn bounds(range: &ExprRange) -> Result<(Option<Expr>, Option<Expr>)> {
    if range.end.is_some() && matches!(range.limits, RangeLimits::HalfOpen(_)) {
        return Err(syn::Error::new_spanned(
            range,
            "write the upper bound as `..=`",
        ));
    }
    let bound = |side: &Option<Box<Expr>>| side.as_deref().cloned();
    Ok((bound(&range.start), bound(&range.end)))
}

/// A whole number as the floating one that it is.
fn float(bound: &Expr) -> TokenStream {
    match bound {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => {
            let number = LitFloat::new(&format!("{}.0", number.base10_digits()), number.span());
            quote!(#number)
        }
        other => quote!(#other),
    }
}

fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::std::option::Option::Some(#value)),
        None => quote!(::std::option::Option::None),
    }
}
