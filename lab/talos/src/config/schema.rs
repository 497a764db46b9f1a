//! The keys and types that a Talos line's configuration decoder knows, from `tables/` (made by `tools/config_tables.py`).

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::version::Line;

/// One line's table.
pub(crate) struct Schema {
    /// Document kind to type name; `v1alpha1` is the main document.
    documents: HashMap<&'static str, &'static str>,
    types: HashMap<&'static str, Type>,
}

pub(crate) enum Type {
    /// Keys and their Go types.
    Struct(HashMap<&'static str, &'static str>),
    Alias(&'static str),
}

impl Schema {
    pub(crate) fn of(line: Line) -> &'static Schema {
        static TABLES: [OnceLock<Schema>; 4] = [const { OnceLock::new() }; 4];
        let [v11, v12, v13, v14] = &TABLES;
        let (cell, text) = match line {
            Line::V1_11 => (v11, include_str!("../../tables/v1.11.txt")),
            Line::V1_12 => (v12, include_str!("../../tables/v1.12.txt")),
            Line::V1_13 => (v13, include_str!("../../tables/v1.13.txt")),
            Line::V1_14 => (v14, include_str!("../../tables/v1.14.txt")),
        };
        cell.get_or_init(|| Schema::read(text))
    }

    fn read(text: &'static str) -> Schema {
        let mut schema = Schema {
            documents: HashMap::new(),
            types: HashMap::new(),
        };
        let mut inlined: Vec<(&'static str, &'static str)> = Vec::new();
        let mut current = "";
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(first), Some(second)) = (words.next(), words.next()) else {
                continue;
            };
            match (line.starts_with(' '), first) {
                (true, "+") => inlined.push((current, second)),
                (true, key) => {
                    if let Some(Type::Struct(fields)) = schema.types.get_mut(current) {
                        fields.insert(key, second);
                    }
                }
                (false, "doc") => {
                    schema
                        .documents
                        .insert(second, words.next().unwrap_or_default());
                }
                (false, "type") => {
                    current = second;
                    schema.types.insert(second, Type::Struct(HashMap::new()));
                }
                (false, "alias") => {
                    let shape = words.next().unwrap_or("any");
                    schema.types.insert(second, Type::Alias(shape));
                }
                _ => {}
            }
        }
        // Inlined types are themselves flat or inline one level more; twice settles both.
        for _ in 0..2 {
            for (owner, part) in &inlined {
                let part: Vec<_> = match schema.types.get(part.trim_start_matches('*')) {
                    Some(Type::Struct(fields)) => fields.iter().map(|(k, v)| (*k, *v)).collect(),
                    _ => continue,
                };
                if let Some(Type::Struct(fields)) = schema.types.get_mut(owner) {
                    fields.extend(part);
                }
            }
        }
        schema
    }

    /// The type of a document kind, when this line knows the kind.
    pub(crate) fn document(&self, kind: &str) -> Option<&'static str> {
        self.documents.get(kind).copied()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_differ_as_published() {
        assert!(Schema::of(Line::V1_11).document("HostnameConfig").is_none());
        assert!(Schema::of(Line::V1_12).document("HostnameConfig").is_some());
        assert!(Schema::of(Line::V1_12).document("KubeSpanConfig").is_none());
        assert!(Schema::of(Line::V1_13).document("KubeSpanConfig").is_some());
        assert!(Schema::of(Line::V1_13).document("KubeletConfig").is_none());
        assert!(Schema::of(Line::V1_14).document("KubeletConfig").is_some());
    }

    #[test]
    fn every_document_type_is_described() {
        for line in [Line::V1_11, Line::V1_12, Line::V1_13, Line::V1_14] {
            let schema = Schema::of(line);
            assert!(!schema.documents.is_empty());
            for (kind, name) in &schema.documents {
                let Some(Type::Struct(fields)) = schema.named(name) else {
                    panic!("{kind}: no type {name}")
                };
                assert!(!fields.is_empty(), "{kind}");
                assert!(*kind == "v1alpha1" || fields.contains_key("kind"), "{kind}");
            }
        }
    }
}
