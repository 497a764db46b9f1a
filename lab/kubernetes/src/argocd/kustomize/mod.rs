//! Kustomizations: the documented fields that plain overlays use. What is not supported is refused by name.

mod generate;
mod hash;
mod patches;
mod references;
mod transform;

use serde_json::Value;

use super::repository::{Tree, join};
use crate::object::{list, name, namespace, text};
use crate::yaml;

pub(crate) use transform::ImageOverride;

/// The names under which a kustomization is found.
pub(crate) const FILE_NAMES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A resource on its way, with the names that it had.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) object: Value,
    /// Earlier names, by which references and patches may call it.
    pub(super) names: Vec<String>,
    /// Namespaces that it had.
    pub(super) namespaces: Vec<String>,
    /// A generated ConfigMap or Secret whose name gets the hash of its content.
    pub(super) hashed: bool,
}

impl Resource {
    pub(super) fn new(object: Value) -> Resource {
        Resource {
            names: vec![name(&object).to_owned()],
            namespaces: vec![namespace(&object).to_owned()],
            object,
            hashed: false,
        }
    }

    pub(super) fn rename(&mut self, new: String) {
        crate::object::set(&mut self.object, &["metadata", "name"], new.clone().into());
        if !self.names.contains(&new) {
            self.names.push(new);
        }
    }

    pub(super) fn kind(&self) -> &str {
        text(&self.object, &["kind"])
    }

    pub(super) fn group(&self) -> &str {
        crate::object::split_api_version(text(&self.object, &["apiVersion"])).0
    }
}

/// Fields that are understood; any other is refused.
const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "bases",
    "components",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "images",
    "replicas",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "configMapGenerator",
    "secretGenerator",
    "generatorOptions",
    "sortOptions",
];

/// Builds the kustomization in a folder.
pub(crate) fn build(tree: &Tree, folder: &str) -> Result<Vec<Value>, String> {
    let mut resources = accumulate(tree, folder, &mut Vec::new(), Vec::new())?;
    hash::add_suffixes(&mut resources);
    references::fix(&mut resources);
    Ok(resources.into_iter().map(|r| r.object).collect())
}

fn kustomization(tree: &Tree, folder: &str) -> Result<Value, String> {
    let found: Vec<String> = FILE_NAMES
        .iter()
        .filter_map(|f| join(folder, f))
        .filter(|p| tree.files.contains_key(p))
        .collect();
    let path = match found.as_slice() {
        [one] => one,
        [] => {
            return Err(format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{folder}'"
            ));
        }
        _ => {
            return Err(format!(
                "Found multiple kustomization files under: {folder}"
            ));
        }
    };
    let value = yaml::document(&read(tree, path)?)
        .map_err(|e| format!("invalid Kustomization: {path}: {e}"))?;
    let value = if value.is_null() {
        serde_json::json!({})
    } else {
        value
    };
    let Some(map) = value.as_object() else {
        return Err(format!("invalid Kustomization: {path}: expected a map"));
    };
    if map.keys().any(|k| {
        matches!(
            k.as_str(),
            "helmCharts" | "helmGlobals" | "helmChartInflationGenerator"
        )
    }) {
        return Err(format!(
            "{path}: the lab does not render Helm charts (helmCharts)"
        ));
    }
    if let Some(unknown) = map.keys().find(|k| !FIELDS.contains(&k.as_str())) {
        return Err(format!(
            "invalid Kustomization: {path}: the lab does not support the field {unknown:?}"
        ));
    }
    Ok(value)
}

pub(super) fn read(tree: &Tree, path: &str) -> Result<String, String> {
    let bytes = tree.files.get(path).ok_or_else(|| {
        format!("evalsymlink failure on '{path}' : lstat {path}: no such file or directory")
    })?;
    String::from_utf8(bytes.clone()).map_err(|_| format!("{path} is not UTF-8"))
}

/// Everything that a kustomization makes of what it names, on top of `inherited` (which a component works on).
fn accumulate(
    tree: &Tree,
    folder: &str,
    open: &mut Vec<String>,
    inherited: Vec<Resource>,
) -> Result<Vec<Resource>, String> {
    if open.iter().any(|o| o == folder) {
        return Err(format!(
            "cycle detected: candidate root '{folder}' contains visited root '{folder}'"
        ));
    }
    open.push(folder.to_owned());
    let definition = kustomization(tree, folder)?;
    let mut resources = inherited;
    for field in ["resources", "bases"] {
        for entry in list(&definition, &[field]) {
            let entry = entry
                .as_str()
                .ok_or_else(|| format!("{folder}: {field} must be texts"))?;
            let path = join(folder, entry)
                .filter(|_| !entry.contains("://") && !entry.starts_with("git@"));
            let path = path.ok_or_else(|| format!("accumulating resources from '{entry}': the lab does not fetch remote or outside resources"))?;
            let added = load(tree, &path, open).map_err(|e| format!("accumulating resources: accumulation err='accumulating resources from '{entry}': {e}'"))?;
            append(&mut resources, added)?;
        }
    }
    generate::generate(tree, folder, &definition, &mut resources)?;
    for entry in list(&definition, &["components"]) {
        let entry = entry.as_str().unwrap_or_default();
        let path = join(folder, entry)
            .ok_or_else(|| format!("component '{entry}' is outside of the repository"))?;
        resources = accumulate(tree, &path, open, resources)?;
    }
    patches::apply(tree, folder, &definition, &mut resources)?;
    transform::apply(&definition, &mut resources)?;
    references::fix(&mut resources);
    open.pop();
    Ok(resources)
}

fn load(tree: &Tree, path: &str, open: &mut Vec<String>) -> Result<Vec<Resource>, String> {
    if !tree.files.contains_key(path) {
        let inside = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        if tree.files.keys().any(|f| f.starts_with(&inside)) {
            return accumulate(tree, path, open, Vec::new());
        }
    }
    let documents =
        yaml::documents_strict_booleans(&read(tree, path)?).map_err(|e| format!("{path}: {e}"))?;
    let mut out = Vec::new();
    for document in documents {
        let items = match document.get("items") {
            Some(Value::Array(items)) if text(&document, &["kind"]).ends_with("List") => {
                items.clone()
            }
            _ => vec![document],
        };
        for object in items {
            if text(&object, &["kind"]).is_empty() {
                return Err(format!(
                    "missing Resource metadata: {path}: Object 'Kind' is missing"
                ));
            }
            if name(&object).is_empty() {
                return Err(format!("missing metadata.name in object in {path}"));
            }
            out.push(Resource::new(object));
        }
    }
    Ok(out)
}

fn append(resources: &mut Vec<Resource>, added: Vec<Resource>) -> Result<(), String> {
    for new in added {
        let same = |r: &Resource| {
            r.kind() == new.kind()
                && r.group() == new.group()
                && name(&r.object) == name(&new.object)
                && namespace(&r.object) == namespace(&new.object)
        };
        if resources.iter().any(same) {
            return Err(format!(
                "may not add resource with an already registered id: {}.{}/{}",
                new.kind(),
                new.group(),
                name(&new.object)
            ));
        }
        resources.push(new);
    }
    Ok(())
}

/// What an Application adds to its kustomization (`source.kustomize`), laid over as another layer.
pub(crate) fn overlay(objects: Vec<Value>, definition: &Value) -> Result<Vec<Value>, String> {
    let mut resources: Vec<Resource> = objects.into_iter().map(Resource::new).collect();
    let nothing = Tree {
        revision: String::new(),
        files: Default::default(),
    };
    patches::apply(&nothing, "", definition, &mut resources)?;
    transform::apply(definition, &mut resources)?;
    references::fix(&mut resources);
    Ok(resources.into_iter().map(|r| r.object).collect())
}

#[cfg(test)]
mod tests;
