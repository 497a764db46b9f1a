//! The built-in types, read from `data/types.txt`, with the defaults that the API server fills in.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::{Field, Kind, ListType, Object, Patch, Ref, Schema};

static TYPES: LazyLock<HashMap<&'static str, Schema>> = LazyLock::new(|| {
    read(
        include_str!("../../data/types.txt"),
        include_str!("../../data/defaults.txt"),
    )
});

/// The built-in type of this name, such as `core.v1.Pod`; an unknown name is the type of anything.
pub(crate) fn builtin(name: &str) -> &'static Schema {
    TYPES.get(name).unwrap_or(super::any())
}

fn read(types: &'static str, defaults: &'static str) -> HashMap<&'static str, Schema> {
    let mut all: HashMap<&'static str, Schema> = HashMap::new();
    let mut current = "";
    for line in types
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        if let Some(head) = line.strip_prefix(':') {
            let (name, atomic) = head
                .split_once(' ')
                .map_or((head, false), |(n, m)| (n, m == "atomic"));
            let mut schema = Schema::of(Kind::Object(Object {
                atomic,
                ..Object::default()
            }));
            schema.name = name.rsplit('.').next().unwrap_or(name).to_owned();
            all.insert(name, schema);
            current = name;
        } else if let Some(Schema {
            kind: Kind::Object(object),
            ..
        }) = all.get_mut(current)
        {
            match line.strip_prefix("+#").and_then(|l| l.split_once(' ')) {
                Some((number, inner)) => object
                    .inlined
                    .extend(number.parse().ok().map(|n| (n, inner))),
                None => add_field(object, line),
            }
        }
    }
    for line in defaults
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        add_default(&mut all, line);
    }
    all
}

fn add_field(object: &mut Object, line: &'static str) {
    let mut words = line.split(' ');
    let (Some(name), Some(kind)) = (words.next(), words.next()) else {
        return;
    };
    let (name, number) = name
        .split_once('#')
        .map_or((name, 0), |(n, i)| (n, i.parse().unwrap_or(0)));
    let (name, required) = name.strip_suffix('!').map_or((name, false), |n| (n, true));
    let (mut list, mut atomic, mut patch) = (ListType::Atomic, false, Patch::default());
    for mark in words {
        match mark.split_once('=') {
            Some(("list", "set")) => list = ListType::Set,
            Some(("list", kind)) => {
                if let Some(keys) = kind.strip_prefix("map:") {
                    list = ListType::Map(keys.split(',').map(str::to_owned).collect());
                }
            }
            Some(("map", "atomic")) => atomic = true,
            Some(("patch", strategy)) => {
                let (strategies, key) = strategy
                    .split_once(':')
                    .map_or((strategy, None), |(s, k)| (s, Some(k)));
                patch.merge = strategies.split(',').any(|s| s == "merge");
                patch.retain_keys = strategies.split(',').any(|s| s == "retainKeys");
                patch.merge_key = key.map(str::to_owned);
            }
            _ => {}
        }
    }
    if required {
        object.required.push(name.to_owned());
    }
    let schema = type_of(kind, list, atomic);
    object.properties.insert(
        name.to_owned(),
        Field {
            schema,
            default: None,
            patch,
            number,
        },
    );
}

fn type_of(text: &'static str, list: ListType, atomic: bool) -> Ref {
    let kind = match text {
        "str" => Kind::String,
        "int" | "long" => Kind::Integer,
        "num" => Kind::Number,
        "bool" => Kind::Boolean,
        "bytes" => Kind::Bytes,
        "time" | "micro" => Kind::Time,
        "qty" => Kind::Quantity,
        "ios" => Kind::IntOrString,
        "any" | "obj" => return Ref::Named("any"),
        _ => match (text.strip_prefix('['), text.strip_prefix('{')) {
            (Some(inner), _) => Kind::Array {
                items: type_of(inner.trim_end_matches(']'), ListType::Atomic, false),
                list,
            },
            (_, Some(inner)) => Kind::Object(Object {
                additional: Some(type_of(
                    inner.trim_end_matches('}'),
                    ListType::Atomic,
                    false,
                )),
                atomic,
                ..Object::default()
            }),
            _ => return Ref::Named(text),
        },
    };
    Ref::Here(Arc::new(Schema::of(kind)))
}

/// `TYPE FIELD JSON`: the field's value when it is not given.
fn add_default(all: &mut HashMap<&'static str, Schema>, line: &str) {
    let mut words = line.splitn(3, ' ');
    let (Some(name), Some(field), Some(json)) = (words.next(), words.next(), words.next()) else {
        return;
    };
    let Some(Schema {
        kind: Kind::Object(object),
        ..
    }) = all.get_mut(name)
    else {
        return;
    };
    if let Some(field) = object.properties.get_mut(field) {
        field.default = serde_json::from_str::<Value>(json).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_list_keys_and_nested_lists() {
        let pod = builtin("core.v1.Pod");
        let containers = pod.field("spec").field("containers");
        assert!(
            matches!(&containers.kind, Kind::Array { list: ListType::Map(keys), .. } if keys == &["name"])
        );
        let args = containers.items().field("args");
        assert!(matches!(
            &args.kind,
            Kind::Array {
                list: ListType::Atomic,
                ..
            }
        ));
    }

    #[test]
    fn every_default_names_a_field_and_parses() {
        for line in include_str!("../../data/defaults.txt")
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let Kind::Object(object) = &builtin(words[0]).kind else {
                panic!("{line}")
            };
            assert!(
                object
                    .properties
                    .get(words[1])
                    .is_some_and(|f| f.default.is_some()),
                "{line}"
            );
        }
    }
}
