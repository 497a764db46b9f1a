//! Image Factory schematics: canonical form and identifier, computed offline.
//!
//! Facts: siderolabs/image-factory `pkg/schematic` v1.1.0 to v1.5.0. The factory must have been
//! given a schematic once before it serves images for its identifier.

use sha2::{Digest, Sha256};

use super::value::{Fields, Value};
use super::yaml::{Node, NodeKind, Quoting, Resolved, Style, emit, parse_documents, to_value};

/// A customization of Talos images.
#[derive(Clone, Debug, PartialEq)]
pub struct Schematic {
    canonical: Value,
}

/// Why a schematic or a set of image URLs is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchematicError {
    /// The text is not YAML.
    #[error("{0}")]
    Yaml(String),
    /// Unknown fields and values of a wrong type.
    #[error("yaml: construct errors:\n{}", .0.join("\n"))]
    Construct(Vec<String>),
    /// The factory's address is not an http(s) URL.
    #[error("the image factory URL must be an http(s) URL with a host, got {0:?}")]
    FactoryUrl(String),
    /// Not a version such as `v1.13.9`.
    #[error("talos_version is not valid: {0:?} is not a semantic version")]
    Version(String),
    /// The platform or board has no images.
    #[error("unknown {kind} {name:?}; known are {known}")]
    Target {
        /// `platform` or `sbc`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

impl Schematic {
    /// The schematic without any customization.
    pub fn vanilla() -> Self {
        Self {
            canonical: Value::Map(Fields::from_iter([(
                "customization".to_owned(),
                Value::Map(Fields::new()),
            )])),
        }
    }

    /// Reads a schematic strictly.
    pub fn parse(text: &str) -> Result<Self, SchematicError> {
        let documents = parse_documents(text).map_err(|e| SchematicError::Yaml(e.to_string()))?;
        let Some(root) = documents.first().filter(|d| !d.is_null()) else {
            return Ok(Self::vanilla());
        };
        let mut reader = Reader {
            problems: Vec::new(),
        };
        let canonical = reader.root(root);
        if reader.problems.is_empty() {
            Ok(Self { canonical })
        } else {
            Err(SchematicError::Construct(reader.problems))
        }
    }

    /// The text the identifier is the hash of.
    pub fn canonical(&self) -> String {
        emit(&self.canonical, Style::talos(Quoting::Double))
    }

    /// The identifier: SHA-256 of the canonical text, in hex.
    pub fn id(&self) -> String {
        hash(&self.canonical())
    }

    /// The identifier a factory of version 1.5 computes, where it differs.
    ///
    /// It quotes texts such as `on` and `off` otherwise. The identifier a factory answers a POST
    /// with always decides.
    pub fn id_of_newer_factory(&self) -> Option<String> {
        let newer = emit(&self.canonical, Style::talos(Quoting::SingleForOldTypes));
        (newer != self.canonical()).then(|| hash(&newer))
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// How a field is read; an empty result leaves the field out.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    /// Texts out of a set; the first is the default and left out.
    Choice(&'static [&'static str]),
    Switch,
    Number(i128),
    Meta,
    Free,
    Object(&'static str, &'static [(&'static str, Kind)]),
}

const OVERLAY: &[(&str, Kind)] = &[
    ("image", Kind::Text),
    ("name", Kind::Text),
    ("options", Kind::Free),
];
const EXTENSIONS: &[(&str, Kind)] = &[("officialExtensions", Kind::Texts)];
const SECURE_BOOT: &[(&str, Kind)] = &[
    ("enrollKeys", Kind::Text),
    ("includeWellKnownCertificates", Kind::Switch),
];
const DISK_IMAGE: &[(&str, Kind)] = &[("sectorSize", Kind::Number(i128::MAX))];
const META_VALUE: &[(&str, Kind)] = &[("key", Kind::Number(255)), ("value", Kind::Text)];
const BOOTLOADERS: &[&str] = &["none", "dual-boot", "sd-boot", "grub"];
const CUSTOMIZATION: &[(&str, Kind)] = &[
    ("embeddedMachineConfiguration", Kind::Text),
    ("extraKernelArgs", Kind::Texts),
    ("meta", Kind::Meta),
    (
        "systemExtensions",
        Kind::Object("schematic.SystemExtensions", EXTENSIONS),
    ),
    ("bootloader", Kind::Choice(BOOTLOADERS)),
    (
        "secureboot",
        Kind::Object("schematic.SecureBootCustomization", SECURE_BOOT),
    ),
    (
        "diskImage",
        Kind::Object("schematic.DiskImageCustomization", DISK_IMAGE),
    ),
];
const ROOT: &[(&str, Kind)] = &[
    ("owner", Kind::Text),
    ("overlay", Kind::Object("schematic.Overlay", OVERLAY)),
    (
        "customization",
        Kind::Object("schematic.Customization", CUSTOMIZATION),
    ),
];

struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn problem(&mut self, node: &Node, text: &str) {
        self.problems.push(format!("  line {}: {text}", node.line));
    }

    fn root(&mut self, node: &Node) -> Value {
        let mut fields = self.object(node, "schematic.Schematic", ROOT);
        fields
            .entry("customization".to_owned())
            .or_insert_with(|| Value::Map(Fields::new()));
        // An overlay with anything in it shows its image and name even when they are empty.
        if let Some(Value::Map(overlay)) = fields.get_mut("overlay") {
            for (index, key) in ["image", "name"].into_iter().enumerate() {
                if !overlay.contains_key(key) {
                    overlay.shift_insert(index, key.to_owned(), Value::str(""));
                }
            }
        }
        Value::Map(fields)
    }

    fn object(&mut self, node: &Node, name: &str, known: &[(&str, Kind)]) -> Fields {
        let Some(pairs) = node.as_map() else {
            self.problem(
                node,
                &format!("cannot construct a value that is no mapping into {name}"),
            );
            return Fields::new();
        };
        for (key, _) in pairs {
            let text = key.as_scalar().map_or("", |s| s.text.as_str());
            if !known.iter().any(|(k, _)| *k == text) {
                self.problem(key, &format!("field {text} not found in type {name}"));
            }
        }
        let mut fields = Fields::new();
        for (key, kind) in known {
            if let Some(value) = node
                .get(key)
                .filter(|v| !v.is_null())
                .and_then(|v| self.value(v, *kind))
            {
                fields.insert((*key).to_owned(), value);
            }
        }
        fields
    }

    fn value(&mut self, node: &Node, kind: Kind) -> Option<Value> {
        match kind {
            Kind::Text => self.text(node).filter(|t| !t.is_empty()).map(Value::Str),
            Kind::Texts => {
                let items = self.items(node)?;
                let texts: Vec<Value> = items
                    .iter()
                    .filter_map(|i| self.text(i).map(Value::Str))
                    .collect();
                (!texts.is_empty()).then_some(Value::List(texts))
            }
            Kind::Choice(choices) => {
                let text = self.text(node)?;
                match choices.iter().position(|c| c.eq_ignore_ascii_case(&text)) {
                    Some(0) => None,
                    Some(index) => Some(choices[index].into()),
                    None => {
                        self.problem(node, &format!("{text} is none of {}", choices.join(", ")));
                        None
                    }
                }
            }
            Kind::Switch => match node.as_scalar().map(|s| s.resolve()) {
                Some(Resolved::Bool(on)) => on.then_some(Value::Bool(true)),
                _ => {
                    self.problem(node, "cannot construct this value into bool");
                    None
                }
            },
            Kind::Number(max) => match node.as_scalar().map(|s| s.resolve()) {
                Some(Resolved::Int(0)) => None,
                Some(Resolved::Int(i)) if (0..=max).contains(&i) => Some(Value::Int(i)),
                _ => {
                    self.problem(node, "cannot construct this value into an unsigned number");
                    None
                }
            },
            Kind::Meta => {
                let items = self.items(node)?;
                let values: Vec<Value> = items.iter().map(|item| self.meta(item)).collect();
                (!values.is_empty()).then_some(Value::List(values))
            }
            Kind::Free => match (&node.kind, to_value(node)) {
                (NodeKind::Map(_), Ok(value)) => {
                    let sorted = super::schema::free_form(&value);
                    sorted
                        .as_map()
                        .is_some_and(|m| !m.is_empty())
                        .then_some(sorted)
                }
                (_, Err(e)) => {
                    self.problem(node, &e.message);
                    None
                }
                _ => {
                    self.problem(node, "cannot construct this value into a map");
                    None
                }
            },
            Kind::Object(name, known) => {
                let fields = self.object(node, name, known);
                (!fields.is_empty()).then_some(Value::Map(fields))
            }
        }
    }

    /// Both fields of a META value are always written.
    fn meta(&mut self, node: &Node) -> Value {
        let mut fields = self.object(node, "schematic.MetaValue", META_VALUE);
        let key = fields.shift_remove("key").unwrap_or(Value::Int(0));
        let value = fields
            .shift_remove("value")
            .unwrap_or_else(|| Value::str(""));
        Value::map([("key", key), ("value", value)])
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        let text = node.as_scalar().map(|s| s.text.clone());
        if text.is_none() {
            self.problem(node, "cannot construct this value into string");
        }
        text
    }

    fn items(&mut self, node: &Node) -> Option<Vec<Node>> {
        match &node.kind {
            NodeKind::Seq(items) => Some(items.clone()),
            _ => {
                self.problem(node, "cannot construct this value into a list");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_schematics() {
        let cases: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../tests/golden/schematics.json")).unwrap();
        assert_eq!(cases.len(), 10);
        for case in cases {
            let text = case["schematic"].as_str().unwrap();
            match Schematic::parse(text) {
                Ok(schematic) => {
                    assert_eq!(
                        schematic.canonical(),
                        case["canonical"].as_str().unwrap(),
                        "{text}"
                    );
                    assert_eq!(schematic.id(), case["id"].as_str().unwrap(), "{text}");
                }
                Err(error) => {
                    assert_eq!(error.to_string(), case["error"].as_str().unwrap(), "{text}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_the_vanilla_schematic() {
        for text in ["", "{}", "# only a comment\n", "overlay: {}\n"] {
            assert_eq!(Schematic::parse(text), Ok(Schematic::vanilla()), "{text}");
        }
        assert_eq!(Schematic::vanilla().id(), super::super::image::VANILLA_ID);
    }

    #[test]
    fn ids_that_depend_on_the_factory_are_told() {
        let plain = Schematic::parse("customization: {extraKernelArgs: [a=b]}").unwrap();
        assert_eq!(plain.id_of_newer_factory(), None);
        let ambiguous = Schematic::parse("customization: {extraKernelArgs: [on]}").unwrap();
        assert!(
            ambiguous
                .id_of_newer_factory()
                .is_some_and(|id| id != ambiguous.id())
        );
    }
}
