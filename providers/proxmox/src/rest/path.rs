//! Patterns with `{field}` in them: paths of objects, and the identifiers by which they are imported.

use stead_sdk::PlanDraft;

use crate::property::percent_encode;
use crate::rest::{Hooks, Spec};

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Field(&'a str),
    /// `{+field}`: a field that is a path itself.
    Path(&'a str),
}

/// The pieces of `a{b}c` are the text `a`, the field `b` and the text `c`.
fn pieces(pattern: &str) -> impl Iterator<Item = Piece<'_>> {
    pattern.split('{').enumerate().flat_map(|(i, part)| {
        let (field, text) = match part.split_once('}') {
            Some((field, text)) if i > 0 => (Some(field), text),
            _ => (None, part),
        };
        let text = Some(text).filter(|t| !t.is_empty());
        let field = field.map(|field| match field.strip_prefix('+') {
            Some(path) => Piece::Path(path),
            None => Piece::Field(field),
        });
        field.into_iter().chain(text.map(Piece::Text))
    })
}

/// The pattern with what a plan says of its fields; `None` while one has no value yet.
pub(crate) fn planned(pattern: &str, draft: &PlanDraft) -> Option<String> {
    let text = |piece| match piece {
        Piece::Text(text) => Some(text.to_owned()),
        Piece::Field(field) | Piece::Path(field) => {
            draft.attribute(field)?.as_str().map(str::to_owned)
        }
    };
    pieces(pattern).map(text).collect()
}

fn filled<T: Hooks>(pattern: &str, object: &T, write: impl Fn(&str) -> String) -> String {
    let text = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Field(field) => write(&object.part(field).unwrap_or_default()),
        Piece::Path(field) => object.part(field).unwrap_or_default(),
    };
    pieces(pattern).map(text).collect()
}

/// The path of an object.
pub(crate) fn fill<T: Hooks>(pattern: &str, object: &T) -> String {
    filled(pattern, object, percent_encode)
}

/// The pattern of a type's identifier.
fn id_pattern(spec: &Spec) -> &'static str {
    if !spec.id.is_empty() {
        return spec.id;
    }
    match spec.item.rfind('{') {
        Some(start) => spec.item.get(start..).unwrap_or_default(),
        None => "",
    }
}

/// The identifier of an object: by it people import it, and it is its `id`.
pub(crate) fn id<T: Hooks>(spec: &Spec, object: &T) -> String {
    filled(id_pattern(spec), object, str::to_owned)
}

/// How messages name an object: like [`id`]; of things that there is only one of, nothing.
pub(crate) fn name<T: Hooks>(spec: &Spec, object: &T) -> String {
    if id_pattern(spec).contains('{') {
        id(spec, object)
    } else {
        String::new()
    }
}

/// The pattern of the identifier by which a type's objects are imported.
fn import_pattern(spec: &Spec) -> &'static str {
    match spec.imported_by {
        "" => id_pattern(spec),
        own => own,
    }
}

/// The identifier by which an object is imported, of the parts that a list tells; `None` when it lacks one.
pub(crate) fn imported_by(spec: &Spec, part: impl Fn(&str) -> Option<String>) -> Option<String> {
    let text = |piece| match piece {
        Piece::Text(text) => Some(text.to_owned()),
        Piece::Field(field) | Piece::Path(field) => part(field),
    };
    pieces(import_pattern(spec)).map(text).collect()
}

/// What tells an object from all others of the API: where it is, and what it is called there.
pub(crate) fn key<T: Hooks>(spec: &Spec, object: &T) -> String {
    let id = filled(import_pattern(spec), object, str::to_owned);
    format!("{} {id}", fill(spec.item, object))
}

/// What names an object: the parts of the identifier by which it is imported.
pub(crate) fn keys(spec: &Spec) -> impl Iterator<Item = &'static str> {
    pieces(import_pattern(spec)).filter_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Field(field) | Piece::Path(field) => Some(field),
    })
}

/// Whether all that names an object has a value.
pub(crate) fn is_named<T: Hooks>(spec: &Spec, object: &T) -> bool {
    keys(spec).all(|field| object.part(field).is_some())
}

/// The fields of an identifier: what stands between the pattern's texts.
///
/// # Errors
/// The form it should have.
pub(crate) fn parse<'a>(spec: &Spec, id: &'a str) -> Result<Vec<(&'static str, &'a str)>, String> {
    let pattern = import_pattern(spec);
    let form = || pattern.replace(['{', '}'], "").to_uppercase();
    let mut found = Vec::new();
    let mut rest = id;
    let mut pieces = pieces(pattern).peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text) => rest = rest.strip_prefix(text).ok_or_else(form)?,
            Piece::Field(field) | Piece::Path(field) => {
                let end = match pieces.peek() {
                    Some(Piece::Text(text)) => rest.find(text).ok_or_else(form)?,
                    _ => rest.len(),
                };
                let (value, tail) = rest.split_at(end);
                if value.is_empty() {
                    return Err(form());
                }
                found.push((field, value));
                rest = tail;
            }
        }
    }
    if rest.is_empty() {
        Ok(found)
    } else {
        Err(form())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Spec = Spec {
        item: "/access/users/{user_id}/token/{token_name}",
        id: "{user_id}!{token_name}",
        ..Spec::USUAL
    };

    #[test]
    fn an_identifier_is_taken_apart_by_its_pattern() {
        let parts = parse(&TOKEN, "me@pve!ci").unwrap();
        assert_eq!(parts, [("user_id", "me@pve"), ("token_name", "ci")]);
        for wrong in ["me@pve", "me@pve!", "!ci", ""] {
            assert_eq!(
                parse(&TOKEN, wrong),
                Err("USER_ID!TOKEN_NAME".to_owned()),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_identifier_is_made_of_what_a_list_tells() {
        let row = |name: &str| match name {
            "user_id" => Some("me@pve".to_owned()),
            "token_name" => Some("ci".to_owned()),
            _ => None,
        };
        assert_eq!(imported_by(&TOKEN, row).as_deref(), Some("me@pve!ci"));
        let no_name = |name: &str| row(name).filter(|_| name == "user_id");
        assert_eq!(imported_by(&TOKEN, no_name), None);
    }

    #[test]
    fn without_a_pattern_of_its_own_the_last_field_of_the_path_is_the_identifier() {
        let spec = Spec {
            item: "/nodes/{node_name}/x/{name}",
            ..Spec::USUAL
        };
        assert_eq!(parse(&spec, "a/b"), Ok(vec![("name", "a/b")]));
    }
}
