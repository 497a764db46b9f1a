//! What differs in every run, or between the tools' names, replaced by words.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

pub(super) struct Normaliser {
    folders: Vec<String>,
}

/// What is replaced, and by what. The order matters.
static REPLACED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // Terraform colours what some commands say whoever reads it.
        (r"\x1b\[[0-9;]*m", ""),
        (
            r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
            "UUID",
        ),
        (
            r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|UTC|[+-]\d\d:?\d\d)( UTC)?)?",
            "TIMESTAMP",
        ),
        (r"\.\d{10}\.backup", ".SECONDS.backup"),
        (r"(deposed(?: object)? )[0-9a-f]{8}\b", "${1}KEY"),
        (r"\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|s)\b", "DURATION"),
        // Not in `terraform_data`, `terraform.tfstate`, `.terraform/` or `registry.terraform.io`.
        (
            r#"(^|[\s"'`(\[])(?i:terraform|opentofu|tofu|stead)(['.,:;)"`]*(?:s\b)?(?:\s|$))"#,
            "${1}TOOL${2}",
        ),
    ]
    .into_iter()
    .map(|(pattern, word)| (Regex::new(pattern).expect("a pattern"), word))
    .collect()
});

/// A state as it is printed, without its serial.
pub(super) fn without_serials(text: &str) -> String {
    static SERIAL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""serial": \d+"#).expect("a pattern"));
    SERIAL.replace_all(text, "\"serial\": N").into_owned()
}

fn is_random_number(text: &str) -> bool {
    text.len() > 9 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The types of providers in place of their schemas, which may say it in other words.
fn types(providers: &serde_json::Map<String, Json>) -> Json {
    const KINDS: [&str; 3] = [
        "resource_schemas",
        "data_source_schemas",
        "ephemeral_resource_schemas",
    ];
    let of_kind = |schemas: &Json, kind: &str| -> Vec<String> {
        let named = schemas[kind].as_object().into_iter().flatten();
        named.map(|(name, _)| format!("{kind}.{name}")).collect()
    };
    let types = providers.iter().map(|(source, schemas)| {
        let mut types: Vec<String> = KINDS.iter().flat_map(|k| of_kind(schemas, k)).collect();
        types.sort();
        (source.clone(), Json::from(types))
    });
    types.collect::<serde_json::Map<_, _>>().into()
}

impl Normaliser {
    pub(super) fn new(dir: &Path) -> Normaliser {
        let mut folders = vec![dir.display().to_string()];
        if let Ok(real) = dir.canonicalize() {
            folders.push(real.display().to_string());
        }
        Normaliser { folders }
    }

    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for folder in &self.folders {
            text = text.replace(folder.as_str(), "DIR");
        }
        for (pattern, word) in REPLACED.iter() {
            text = pattern.replace_all(&text, *word).into_owned();
        }
        text
    }

    /// The same for every string, with fields in a fixed order.
    pub(super) fn json(&self, value: &Json) -> Json {
        match value {
            Json::String(text) => self.text(text).into(),
            Json::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Json::Object(fields) => {
                let fields: BTreeMap<&String, &Json> = fields.iter().collect();
                let named = fields
                    .into_iter()
                    .map(|(name, v)| match (name.as_str(), v) {
                        ("deposed", Json::String(_)) => (name.clone(), "KEY".into()),
                        // Of a `null_resource`.
                        ("id", Json::String(id)) if is_random_number(id) => {
                            (name.clone(), "NUMBER".into())
                        }
                        ("elapsed_seconds", _) => (name.clone(), "DURATION".into()),
                        ("provider_schemas", Json::Object(all)) => (name.clone(), types(all)),
                        ("terraform_version" | "terraform" | "tofu", Json::String(_)) => {
                            (name.clone(), "VERSION".into())
                        }
                        _ => (self.text(name), self.json(v)),
                    });
                Json::Object(named.collect())
            }
            other => other.clone(),
        }
    }
}
