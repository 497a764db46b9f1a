//! Reads the compact type table into a lookup structure, once per process.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Release;
use super::scalar::ScalarKind;

const TABLE: &str = include_str!("../../../tables/types.txt");

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(TABLE));

/// All known types; see [`Schema::get`].
pub(crate) struct Schema {
    documents: HashMap<&'static str, (&'static str, Release)>,
    structs: HashMap<&'static str, Struct>,
}

/// A struct type with its fields in emission order.
pub(crate) struct Struct {
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<Field>,
    /// Decoding sets absent fields to empty texts (the PEM holders).
    pub(crate) fill: bool,
    /// The fields that alone decide whether the struct counts as zero.
    pub(crate) zero: Option<Vec<&'static str>>,
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    pub(crate) omit_empty: bool,
    pub(crate) merge: Merge,
    pub(crate) since: Release,
}

/// How the right side of a strategic merge enters a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The rule of the field's type.
    ByType,
    /// The right value replaces the left one unless it is zero.
    Replace,
    /// Network interfaces: same `interface`, else same `deviceSelector`.
    Devices,
    /// List elements with the same value of this field are merged.
    Keyed(&'static str),
    /// List elements with the same value of this field are replaced whole.
    KeyedReplace(&'static str),
}

pub(crate) enum Type {
    Scalar(ScalarKind),
    /// Free-form data (`map[string]any`).
    Any,
    /// Arguments of a component: text or list of texts by name.
    Args,
    Struct(&'static str),
    Pointer(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>),
}

impl Schema {
    pub(crate) fn get() -> &'static Schema {
        &SCHEMA
    }

    /// The struct type of a document kind, if the release knows the kind.
    pub(crate) fn document(&self, kind: &str, release: Release) -> Option<&Struct> {
        let (name, since) = self.documents.get(kind)?;
        (*since <= release)
            .then(|| self.structs.get(name))
            .flatten()
    }

    /// The table's copy of a kind name.
    pub(super) fn kind_name(&self, kind: &str) -> Option<&'static str> {
        self.documents.get_key_value(kind).map(|(name, _)| *name)
    }

    pub(crate) fn structure(&self, name: &str) -> Option<&Struct> {
        self.structs.get(name)
    }

    fn parse(table: &'static str) -> Self {
        let mut enums: HashMap<&str, Vec<(&str, Release)>> = HashMap::new();
        for line in table.lines() {
            if let Some(rest) = line.strip_prefix("enum ") {
                let mut words = rest.split(' ');
                let name = words.next().unwrap_or_default();
                let texts = words.map(|w| match w.strip_suffix("@1.14") {
                    Some(text) => (text, Release::V1_14),
                    None => (w, Release::V1_13),
                });
                enums.insert(name, texts.collect());
            }
        }
        let mut schema = Self {
            documents: HashMap::new(),
            structs: HashMap::new(),
        };
        let mut current: Option<Struct> = None;
        for line in table.lines() {
            let words: Vec<&'static str> = line.trim_start().split(' ').collect();
            let since = |rest: &[&str]| {
                if rest.contains(&"@1.14") {
                    Release::V1_14
                } else {
                    Release::V1_13
                }
            };
            match words.as_slice() {
                ["doc", kind, name, rest @ ..] => {
                    schema.documents.insert(kind, (name, since(rest)));
                }
                ["struct", name, rest @ ..] => {
                    schema.keep(current.take());
                    let zero = rest.iter().find_map(|w| w.strip_prefix("zero="));
                    current = Some(Struct {
                        name,
                        fields: Vec::new(),
                        fill: rest.contains(&"fill"),
                        zero: zero.map(|z| z.split(',').collect()),
                    });
                }
                [name, ty, flags @ ..] if line.starts_with(' ') => {
                    if let Some(current) = &mut current {
                        let merge = flags.iter().find_map(|f| f.strip_prefix('~'));
                        current.fields.push(Field {
                            name,
                            ty: parse_type(ty, &enums),
                            omit_empty: flags.contains(&"?"),
                            merge: match merge {
                                Some("devices") => Merge::Devices,
                                Some(key) => key
                                    .strip_suffix('!')
                                    .map_or(Merge::Keyed(key), Merge::KeyedReplace),
                                None if flags.contains(&"=") => Merge::Replace,
                                None => Merge::ByType,
                            },
                            since: since(flags),
                        });
                    }
                }
                _ => {}
            }
        }
        schema.keep(current);
        schema
    }

    fn keep(&mut self, done: Option<Struct>) {
        if let Some(done) = done {
            self.structs.insert(done.name, done);
        }
    }
}

fn parse_type(text: &'static str, enums: &HashMap<&str, Vec<(&'static str, Release)>>) -> Type {
    let boxed = |rest| Box::new(parse_type(rest, enums));
    if let Some(rest) = text.strip_prefix('*') {
        Type::Pointer(boxed(rest))
    } else if let Some(rest) = text.strip_prefix('[') {
        Type::List(boxed(rest))
    } else if let Some(rest) = text.strip_prefix('{') {
        Type::Map(boxed(rest))
    } else if text == "any" {
        Type::Any
    } else if text == "args" {
        Type::Args
    } else if let Some(texts) = enums.get(text) {
        Type::Scalar(ScalarKind::Enum {
            name: text,
            texts: texts.clone(),
        })
    } else if let Some(kind) = ScalarKind::named(text) {
        Type::Scalar(kind)
    } else {
        Type::Struct(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: &Type, at: &str) {
        match ty {
            Type::Struct(name) => {
                assert!(
                    Schema::get().structure(name).is_some(),
                    "{at}: no struct {name}"
                );
            }
            Type::Pointer(inner) | Type::List(inner) | Type::Map(inner) => check(inner, at),
            Type::Scalar(_) | Type::Any | Type::Args => {}
        }
    }

    /// A misspelt scalar name would read as a struct name, so every name must exist.
    #[test]
    fn every_named_type_exists() {
        let schema = Schema::get();
        assert_eq!(schema.documents.len(), 90);
        for (kind, (name, _)) in &schema.documents {
            assert!(schema.structure(name).is_some(), "{kind}");
        }
        for s in schema.structs.values() {
            for f in &s.fields {
                check(&f.ty, &format!("{}.{}", s.name, f.name));
            }
            for z in s.zero.iter().flatten() {
                assert!(s.fields.iter().any(|f| f.name == *z));
            }
        }
    }

    #[test]
    fn newer_kinds_are_unknown_to_the_older_release() {
        let schema = Schema::get();
        assert!(schema.document("KubeletConfig", Release::V1_13).is_none());
        assert!(schema.document("KubeletConfig", Release::V1_14).is_some());
        assert!(schema.document("HostnameConfig", Release::V1_13).is_some());
    }
}
