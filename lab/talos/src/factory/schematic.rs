//! Schematics: strict reading, the canonical form, and the identifier made of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::yaml::{self, Node, Out, ScalarKind, Value, emit, parse_int};

/// A customisation of Talos images, kept as its canonical text.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Schematic {
    canonical: String,
    extensions: Vec<String>,
    owner: bool,
}

impl Default for Schematic {
    fn default() -> Schematic {
        Schematic {
            canonical: "customization: {}\n".to_owned(),
            extensions: Vec::new(),
            owner: false,
        }
    }
}

impl Schematic {
    /// Reads the first document of a text; unknown fields are refused.
    pub(super) fn read(text: &str) -> Result<Schematic, String> {
        let documents = yaml::parse(text).map_err(|e| {
            format!(
                "yaml: load error at L{}.C{}: {}",
                e.line, e.column, e.message
            )
        })?;
        let root = documents.first().ok_or("EOF")?;
        let mut reader = Reader { errors: Vec::new() };
        let canonical = reader.schematic(root);
        if !reader.errors.is_empty() {
            return Err(format!(
                "yaml: construct errors:\n  {}",
                reader.errors.join("\n  ")
            ));
        }
        Ok(Schematic {
            canonical: emit(&canonical),
            extensions: root.texts_at("customization.systemExtensions.officialExtensions"),
            owner: root.text_at("owner").is_some(),
        })
    }

    pub(super) fn canonical(&self) -> String {
        self.canonical.clone()
    }

    /// SHA-256 of the canonical form.
    pub(super) fn id(&self) -> String {
        let hash = Sha256::digest(self.canonical.as_bytes());
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }

    pub(super) fn extensions(&self) -> &[String] {
        &self.extensions
    }

    pub(super) fn has_extension(&self, name: &str) -> bool {
        self.extensions.iter().any(|e| e == name)
    }

    pub(super) fn has_owner(&self) -> bool {
        self.owner
    }
}

type Entries = Vec<(String, Out)>;

struct Reader {
    errors: Vec<String>,
}

impl Reader {
    /// Notes fields that a type does not have.
    fn known(&mut self, node: &Node, kind: &str, fields: &[&str]) {
        if !matches!(node.value, Value::Mapping(_)) && !node.is_null() {
            self.mismatch(node, &format!("schematic.{kind}"));
        }
        for (key, _) in node.entries() {
            let name = key.text().unwrap_or_default();
            if !fields.contains(&name) {
                self.errors.push(format!(
                    "line {}: field {name} not found in type schematic.{kind}",
                    key.line
                ));
            }
        }
    }

    fn mismatch(&mut self, node: &Node, wanted: &str) {
        let (tag, shown) = match &node.value {
            Value::Sequence(_) => ("!!seq", String::new()),
            Value::Mapping(_) => ("!!map", String::new()),
            Value::Scalar { text, .. } => {
                let short: String = text.chars().take(7).collect();
                let shown = if text.chars().count() > 10 {
                    format!("{short}...")
                } else {
                    text.clone()
                };
                (
                    node.kind().unwrap_or(ScalarKind::Str).tag(),
                    format!(" `{shown}`"),
                )
            }
        };
        self.errors.push(format!(
            "line {}: cannot construct {tag}{shown} into {wanted}",
            node.line
        ));
    }

    fn schematic(&mut self, root: &Node) -> Out {
        self.known(root, "Schematic", &["owner", "overlay", "customization"]);
        let mut out = Entries::new();
        self.string(&mut out, root, "owner");
        if let Some(overlay) = root.get("overlay") {
            let overlay = self.overlay(overlay);
            if !overlay.is_empty() {
                out.push(("overlay".to_owned(), Out::Mapping(overlay)));
            }
        }
        let customization = match root.get("customization") {
            Some(node) => self.customization(node),
            None => Entries::new(),
        };
        out.push(("customization".to_owned(), Out::Mapping(customization)));
        Out::Mapping(out)
    }

    /// Image and name are written, even when empty, as soon as the overlay is not empty.
    fn overlay(&mut self, node: &Node) -> Entries {
        self.known(node, "Overlay", &["image", "name", "options"]);
        let mut out = Entries::new();
        let (mut image, mut name) = (Entries::new(), Entries::new());
        self.string(&mut image, node, "image");
        self.string(&mut name, node, "name");
        let options = node.get("options").filter(|o| !o.entries().is_empty());
        if image.is_empty() && name.is_empty() && options.is_none() {
            return out;
        }
        let empty = |key: &str| (key.to_owned(), Out::Str(String::new()));
        out.push(image.pop().unwrap_or_else(|| empty("image")));
        out.push(name.pop().unwrap_or_else(|| empty("name")));
        if let Some(options) = options {
            out.push(("options".to_owned(), any(options)));
        }
        out
    }

    fn customization(&mut self, node: &Node) -> Entries {
        let fields = [
            "embeddedMachineConfiguration",
            "extraKernelArgs",
            "meta",
            "systemExtensions",
            "bootloader",
            "secureboot",
            "diskImage",
        ];
        self.known(node, "Customization", &fields);
        let mut out = Entries::new();
        self.string(&mut out, node, "embeddedMachineConfiguration");
        self.strings(&mut out, node, "extraKernelArgs");
        self.meta(&mut out, node);
        self.section(
            &mut out,
            node,
            "systemExtensions",
            "SystemExtensions",
            |r, part, out| {
                r.known(part, "SystemExtensions", &["officialExtensions"]);
                r.strings(out, part, "officialExtensions");
            },
        );
        self.bootloader(&mut out, node);
        self.section(
            &mut out,
            node,
            "secureboot",
            "SecureBootCustomization",
            |r, part, out| {
                let fields = ["enrollKeys", "includeWellKnownCertificates"];
                r.known(part, "SecureBootCustomization", &fields);
                r.string(out, part, "enrollKeys");
                r.boolean(out, part, "includeWellKnownCertificates");
            },
        );
        self.section(
            &mut out,
            node,
            "diskImage",
            "DiskImageCustomization",
            |r, part, out| {
                r.known(part, "DiskImageCustomization", &["sectorSize"]);
                r.number(out, part, "sectorSize");
            },
        );
        out
    }

    fn section(
        &mut self,
        out: &mut Entries,
        node: &Node,
        key: &str,
        kind: &str,
        read: impl Fn(&mut Reader, &Node, &mut Entries),
    ) {
        let Some(part) = node.get(key) else {
            return;
        };
        if !matches!(part.value, Value::Mapping(_)) {
            return self.mismatch(part, &format!("schematic.{kind}"));
        }
        let mut inner = Entries::new();
        read(self, part, &mut inner);
        if !inner.is_empty() {
            out.push((key.to_owned(), Out::Mapping(inner)));
        }
    }

    fn string(&mut self, out: &mut Entries, node: &Node, key: &str) {
        let Some(value) = node.get(key) else {
            return;
        };
        match value.text() {
            Some("") => {}
            Some(text) => out.push((key.to_owned(), Out::Str(text.to_owned()))),
            None => self.mismatch(value, "string"),
        }
    }

    fn boolean(&mut self, out: &mut Entries, node: &Node, key: &str) {
        let Some(value) = node.get(key) else {
            return;
        };
        match value.boolean() {
            Some(true) => out.push((key.to_owned(), Out::Raw("true".to_owned()))),
            Some(false) => {}
            None => self.mismatch(value, "bool"),
        }
    }

    fn number(&mut self, out: &mut Entries, node: &Node, key: &str) {
        let Some(value) = node.get(key) else {
            return;
        };
        match value.text().and_then(parse_int) {
            Some(0) => {}
            Some(n) if n > 0 => out.push((key.to_owned(), Out::Raw(n.to_string()))),
            _ => self.mismatch(value, "uint"),
        }
    }

    fn strings(&mut self, out: &mut Entries, node: &Node, key: &str) {
        let Some(value) = node.get(key) else {
            return;
        };
        let Value::Sequence(items) = &value.value else {
            return self.mismatch(value, "[]string");
        };
        let mut found = Vec::new();
        for item in items {
            match item.text() {
                Some(text) => found.push(Out::Str(text.to_owned())),
                None if item.is_null() => found.push(Out::Str(String::new())),
                None => self.mismatch(item, "string"),
            }
        }
        if !found.is_empty() {
            out.push((key.to_owned(), Out::Sequence(found)));
        }
    }

    fn meta(&mut self, out: &mut Entries, node: &Node) {
        let Some(value) = node.get("meta") else {
            return;
        };
        let Value::Sequence(items) = &value.value else {
            return self.mismatch(value, "[]schematic.MetaValue");
        };
        let mut found = Vec::new();
        for item in items {
            self.known(item, "MetaValue", &["key", "value"]);
            let key = item.get("key").map(|k| (k, k.text().and_then(parse_int)));
            let key = match key {
                None => 0,
                Some((_, Some(n))) if (0..=255).contains(&n) => n,
                Some((node, _)) => {
                    self.mismatch(node, "uint8");
                    continue;
                }
            };
            let text = item.get("value").and_then(Node::text).unwrap_or_default();
            found.push(Out::Mapping(vec![
                ("key".to_owned(), Out::Raw(key.to_string())),
                ("value".to_owned(), Out::Str(text.to_owned())),
            ]));
        }
        if !found.is_empty() {
            out.push(("meta".to_owned(), Out::Sequence(found)));
        }
    }

    fn bootloader(&mut self, out: &mut Entries, node: &Node) {
        let Some(value) = node.get("bootloader") else {
            return;
        };
        match value.text() {
            None | Some("" | "none") => {}
            Some(kind @ ("auto" | "dual-boot" | "sd-boot" | "grub")) => {
                out.push(("bootloader".to_owned(), Out::Str(kind.to_owned())));
            }
            Some(other) => self.errors.push(format!(
                "line {}: {other} does not belong to BootloaderKind values",
                value.line
            )),
        }
    }
}

/// Free-form values, with sorted keys.
fn any(node: &Node) -> Out {
    match &node.value {
        Value::Mapping(entries) => {
            let mut out: Entries = entries
                .iter()
                .map(|(k, v)| (k.text().unwrap_or("null").to_owned(), any(v)))
                .collect();
            out.sort_by(|a, b| a.0.cmp(&b.0));
            Out::Mapping(out)
        }
        Value::Sequence(items) => Out::Sequence(items.iter().map(any).collect()),
        Value::Scalar { text, .. } => match node.kind() {
            Some(ScalarKind::Int) => {
                Out::Raw(parse_int(text).map_or_else(|| text.clone(), |n| n.to_string()))
            }
            Some(ScalarKind::Bool) => Out::Raw(text.to_ascii_lowercase()),
            _ => node.out(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        schematic: String,
        id: Option<String>,
        canonical: Option<String>,
        error: Option<String>,
    }

    #[test]
    fn canonical_forms_and_ids_are_the_published_ones() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/golden/schematics.json")).unwrap();
        assert!(cases.len() >= 10);
        for case in cases {
            match Schematic::read(&case.schematic) {
                Ok(schematic) => {
                    assert_eq!(
                        Some(schematic.canonical()),
                        case.canonical,
                        "{}",
                        case.schematic
                    );
                    assert_eq!(Some(schematic.id()), case.id, "{}", case.schematic);
                }
                Err(error) => assert_eq!(Some(error), case.error, "{}", case.schematic),
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "customization: [",
            "customization: text\n",
            "customization: {extraKernelArgs: x}\n",
            "customization: {meta: [{key: 300, value: a}]}\n",
            "nope: 1\n",
        ] {
            assert!(Schematic::read(bad).is_err(), "{bad}");
        }
    }
}
