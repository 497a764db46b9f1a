//! Attributes as Terraform kept them before 0.12: a flat map of texts, `tags.%`, `list.0.name`, as the JSON that a schema tells
//! them to be.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde_json::{Map, Value as Json};
use stead_value::Type;
use stead_value::schema::{Block, Nesting};

/// Stood for what was not known yet.
const UNKNOWN: &str = "74D93920-ED26-11E3-AC10-0800200C9A66";

/// The attributes as an object of the schema's shape; what the map lacks is null.
///
/// # Errors
/// A text that is no value of its attribute's type.
pub(crate) fn expand(flat: &Json, block: &Block) -> Result<Json, String> {
    let texts = flat.as_object().into_iter().flatten();
    let texts: BTreeMap<&str, &str> = texts
        .filter_map(|(name, text)| Some((name.as_str(), text.as_str()?)))
        .collect();
    let flat = Flat(texts);
    let mut whole = flat.value("", &block.value_type())?;
    // Blocks are never null: there are none of them.
    for (name, nested) in &block.blocks {
        if let Some(value @ Json::Null) = whole.get_mut(&**name)
            && matches!(nested.nesting, Nesting::List | Nesting::Set)
        {
            *value = Json::Array(Vec::new());
        }
    }
    Ok(whole)
}

struct Flat<'a>(BTreeMap<&'a str, &'a str>);

impl Flat<'_> {
    /// The value at a key; of what is in it, the keys begin with that and a dot.
    fn value(&self, key: &str, ty: &Type) -> Result<Json, String> {
        let within = |name: &str| {
            if key.is_empty() {
                name.to_owned()
            } else {
                format!("{key}.{name}")
            }
        };
        let unsuitable =
            |text: &str| format!("{key} is {text:?}, which is no {}", ty.friendly_name());
        Ok(match ty {
            Type::Object(object) => {
                let attributes = object.attributes.iter();
                let attributes: Map<String, Json> = attributes
                    .map(|(name, ty)| Ok((name.to_string(), self.value(&within(name), ty)?)))
                    .collect::<Result<_, String>>()?;
                attributes.into()
            }
            Type::Map(element) => {
                if self.text(&within("%")).is_none() {
                    return Ok(Json::Null);
                }
                let primitive = matches!(**element, Type::String | Type::Number | Type::Bool);
                let names = self.names(&within(""), primitive);
                let entries: Map<String, Json> = names
                    .into_iter()
                    .filter(|name| *name != "%")
                    .map(|name| Ok((name.to_owned(), self.value(&within(name), element)?)))
                    .collect::<Result<_, String>>()?;
                entries.into()
            }
            Type::List(element) | Type::Set(element) => {
                if self.text(&within("#")).is_none() {
                    return Ok(Json::Null);
                }
                let names = self.names(&within(""), false);
                let mut names: Vec<&str> = names.into_iter().filter(|name| *name != "#").collect();
                // Lists are counted up; sets have hashes for names.
                names.sort_by_key(|name| name.parse::<u64>().unwrap_or(u64::MAX));
                let items = names.into_iter();
                items
                    .map(|name| self.value(&within(name), element))
                    .collect::<Result<_, _>>()?
            }
            Type::Tuple(types) => {
                let items = types.iter().enumerate();
                items
                    .map(|(i, ty)| self.value(&within(&i.to_string()), ty))
                    .collect::<Result<_, _>>()?
            }
            Type::String => self.text(key).map_or(Json::Null, Json::from),
            Type::Bool => match self.text(key) {
                Some("true" | "1") => true.into(),
                Some("false" | "0") => false.into(),
                // An empty text stood for nothing.
                None | Some("") => Json::Null,
                Some(other) => return Err(unsuitable(other)),
            },
            Type::Number => match self.text(key).filter(|text| !text.is_empty()) {
                None => Json::Null,
                Some(text) => match serde_json::from_str(text) {
                    Ok(number @ Json::Number(_)) => number,
                    _ => return Err(unsuitable(text)),
                },
            },
            Type::Dynamic => Json::Null,
        })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).copied().filter(|text| *text != UNKNOWN)
    }

    /// What stands behind a prefix: all of it, or up to the next dot.
    fn names<'s>(&'s self, prefix: &str, whole: bool) -> BTreeSet<&'s str> {
        let from = self
            .0
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let from = from.map(|(key, _)| *key);
        from.map_while(|key: &'s str| key.strip_prefix(prefix))
            .map(|rest| match rest.split_once('.') {
                Some((first, _)) if !whole => first,
                _ => rest,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stead_value::json::type_from_json;

    use super::*;

    #[test]
    fn texts_become_what_their_types_say() {
        let ty = type_from_json(&json!(["object", {
            "id": "string",
            "n": "number",
            "b": "bool",
            "none": "string",
            "tags": ["map", "string"],
            "list": ["list", ["object", {"x": "number", "y": ["list", "string"]}]],
            "set": ["set", "string"],
            "unset": ["list", "string"],
            "later": "string",
        }]))
        .expect("a type");
        let flat: BTreeMap<&str, &str> = [
            ("id", "i"),
            ("n", "1.5"),
            ("b", "true"),
            ("tags.%", "2"),
            ("tags.a.b", "dotted"),
            ("tags.c", "d"),
            ("list.#", "11"),
            ("list.0.x", "0"),
            ("list.10.x", "10"),
            ("list.10.y.#", "1"),
            ("list.10.y.0", "z"),
            ("list.2.x", "2"),
            ("set.#", "2"),
            ("set.123", "one"),
            ("set.77", "other"),
            ("later", UNKNOWN),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            Flat(flat).value("", &ty).expect("values"),
            json!({
                "id": "i", "n": 1.5, "b": true, "none": null,
                "tags": {"a.b": "dotted", "c": "d"},
                "list": [{"x": 0, "y": null}, {"x": 2, "y": null}, {"x": 10, "y": ["z"]}],
                "set": ["other", "one"],
                "unset": null,
                "later": null,
            })
        );
    }

    #[test]
    fn a_text_that_is_no_value_of_its_type_is_refused() {
        let value = |text, ty| Flat(BTreeMap::from([("a", text)])).value("a", &ty);
        assert_eq!(
            value("many", Type::Number),
            Err("a is \"many\", which is no number".into())
        );
        assert!(value("yes", Type::Bool).is_err());
        assert_eq!(value("", Type::Number), Ok(Json::Null));
    }
}
