//! ConfigMaps and Secrets from files, literals and environment files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Resource, read};
use crate::argocd::repository::{Tree, join};
use crate::object::{at, list, map_at, name, namespace, set, text};

pub(super) fn generate(
    tree: &Tree,
    folder: &str,
    definition: &Value,
    resources: &mut Vec<Resource>,
) -> Result<(), String> {
    for (field, kind) in [
        ("configMapGenerator", "ConfigMap"),
        ("secretGenerator", "Secret"),
    ] {
        for arguments in list(definition, &[field]) {
            one(
                tree,
                folder,
                kind,
                arguments,
                at(definition, &["generatorOptions"]),
                resources,
            )?;
        }
    }
    Ok(())
}

fn one(
    tree: &Tree,
    folder: &str,
    kind: &str,
    arguments: &Value,
    shared: &Value,
    resources: &mut Vec<Resource>,
) -> Result<(), String> {
    const KNOWN: [&str; 9] = [
        "name",
        "namespace",
        "behavior",
        "files",
        "literals",
        "envs",
        "env",
        "options",
        "type",
    ];
    if let Some(unknown) = arguments
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, _)| k)
        .find(|k| !KNOWN.contains(&k.as_str()))
    {
        return Err(format!(
            "invalid Kustomization: unknown field {unknown:?} in a generator"
        ));
    }
    let own_name = text(arguments, &["name"]);
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": own_name}});
    if !text(arguments, &["namespace"]).is_empty() {
        set(
            &mut object,
            &["metadata", "namespace"],
            text(arguments, &["namespace"]).into(),
        );
    }
    for (key, content) in pairs(tree, folder, arguments)? {
        insert(&mut object, kind, &key, &content)?;
    }
    if kind == "Secret" {
        let wanted = text(arguments, &["type"]);
        set(
            &mut object,
            &["type"],
            if wanted.is_empty() { "Opaque" } else { wanted }.into(),
        );
    }
    let options = at(arguments, &["options"]);
    for (word, place) in [
        ("labels", ["metadata", "labels"]),
        ("annotations", ["metadata", "annotations"]),
    ] {
        for source in [shared, options] {
            for (key, value) in at(source, &[word]).as_object().into_iter().flatten() {
                map_at(&mut object, &place).insert(key.clone(), value.clone());
            }
        }
    }
    let flag = |word: &str| {
        at(options, &[word])
            .as_bool()
            .or_else(|| at(shared, &[word]).as_bool())
            .unwrap_or(false)
    };
    if flag("immutable") {
        set(&mut object, &["immutable"], true.into());
    }
    let mut made = Resource::new(object);
    made.hashed = !flag("disableNameSuffixHash");
    let found = resources.iter_mut().find(|r| {
        r.kind() == kind
            && r.names.iter().any(|n| n == own_name)
            && (namespace(&made.object).is_empty()
                || namespace(&r.object) == namespace(&made.object))
    });
    match (text(arguments, &["behavior"]), found) {
        ("" | "create" | "unspecified", Some(_)) => Err(format!(
            "may not add resource with an already registered id: {kind}.v1.[noGrp]/{own_name}"
        )),
        ("" | "create" | "unspecified", None) => {
            resources.push(made);
            Ok(())
        }
        ("merge", Some(found)) => {
            for field in ["data", "binaryData"] {
                for (key, value) in at(&made.object, &[field])
                    .as_object()
                    .cloned()
                    .unwrap_or_default()
                {
                    map_at(&mut found.object, &[field]).insert(key, value);
                }
            }
            for place in [["metadata", "labels"], ["metadata", "annotations"]] {
                for (key, value) in at(&made.object, &place)
                    .as_object()
                    .cloned()
                    .unwrap_or_default()
                {
                    map_at(&mut found.object, &place).insert(key, value);
                }
            }
            Ok(())
        }
        ("replace", Some(found)) => {
            let kept = name(&found.object).to_owned();
            found.object = made.object;
            set(&mut found.object, &["metadata", "name"], kept.into());
            Ok(())
        }
        (behavior @ ("merge" | "replace"), None) => Err(format!(
            "id resid.ResId{{Kind:{kind:?}, Name:{own_name:?}}} does not exist; cannot {behavior}"
        )),
        (other, _) => Err(format!(
            "unknown behavior {other:?} of generator {own_name:?}"
        )),
    }
}

/// Keys and contents, in the order in which they are named: environment files, literals, files.
fn pairs(tree: &Tree, folder: &str, arguments: &Value) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut out = Vec::new();
    let env = arguments
        .get("env")
        .into_iter()
        .chain(list(arguments, &["envs"]));
    for file in env.filter_map(Value::as_str) {
        let path =
            join(folder, file).ok_or_else(|| format!("'{file}' is outside of the repository"))?;
        for line in read(tree, &path)?.lines() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            out.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    for literal in list(arguments, &["literals"])
        .iter()
        .filter_map(Value::as_str)
    {
        let (key, value) = literal
            .split_once('=')
            .filter(|(k, _)| !k.is_empty())
            .ok_or_else(|| {
                format!("literal values must have the form key=value, found {literal:?}")
            })?;
        out.push((key.to_owned(), unquoted(value).as_bytes().to_vec()));
    }
    for file in list(arguments, &["files"]).iter().filter_map(Value::as_str) {
        let (key, path) = match file.split_once('=') {
            Some((key, path)) => (key.to_owned(), path),
            None => (file.rsplit('/').next().unwrap_or(file).to_owned(), file),
        };
        let path =
            join(folder, path).ok_or_else(|| format!("'{file}' is outside of the repository"))?;
        let content = tree.files.get(&path).ok_or_else(|| format!("file sources: [{file}]: evalsymlink failure on '{path}' : no such file or directory"))?;
        out.push((key, content.clone()));
    }
    Ok(out)
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if value.len() >= 2
            && let Some(inner) = value
                .strip_prefix(quote)
                .and_then(|v| v.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

fn insert(object: &mut Value, kind: &str, key: &str, content: &[u8]) -> Result<(), String> {
    let (field, value) = match (kind, std::str::from_utf8(content)) {
        ("ConfigMap", Ok(text)) => ("data", text.to_owned()),
        ("ConfigMap", Err(_)) => ("binaryData", STANDARD.encode(content)),
        _ => ("data", STANDARD.encode(content)),
    };
    let map: &mut Map<String, Value> = map_at(object, &[field]);
    if map.contains_key(key) {
        return Err(format!(
            "cannot add key {key:?}, another key by that name already exists"
        ));
    }
    map.insert(key.to_owned(), value.into());
    Ok(())
}
