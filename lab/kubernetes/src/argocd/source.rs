//! An application's sources: from a repository's files to objects.

use serde_json::{Value, json};

use super::glob;
use super::kustomize::{self, ImageOverride};
use super::repository::{Repositories, Tree, join};
use crate::object::{at, list, set, text};
use crate::yaml;

/// What the sources come to.
#[derive(Debug)]
pub(super) struct Manifests {
    pub(super) objects: Vec<Value>,
    /// One revision a source.
    pub(super) revisions: Vec<String>,
    /// `Directory` or `Kustomize`, one a source.
    pub(super) kinds: Vec<&'static str>,
}

pub(super) async fn manifests(
    repositories: &Repositories,
    sources: &[Value],
    has_credentials: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Manifests, String> {
    let mut out = Manifests {
        objects: Vec::new(),
        revisions: Vec::new(),
        kinds: Vec::new(),
    };
    for (index, source) in sources.iter().enumerate() {
        let prefix = |e: String| {
            format!(
                "Failed to load target state: failed to generate manifest for source {} of {}: {e}",
                index + 1,
                sources.len()
            )
        };
        let url = text(source, &["repoURL"]);
        if !text(source, &["chart"]).is_empty()
            || source
                .get("helm")
                .is_some_and(|h| h.as_object().is_some_and(|m| !m.is_empty()))
        {
            return Err(prefix(format!(
                "rpc error: code = Unimplemented desc = the lab does not render Helm charts ({url} {})",
                text(source, &["chart"])
            )));
        }
        if source.get("plugin").is_some_and(Value::is_object) {
            return Err(prefix("rpc error: code = Unimplemented desc = the lab does not run config management plugins".to_owned()));
        }
        let tree = repositories
            .tree(url, text(source, &["targetRevision"]), has_credentials(url))
            .await
            .map_err(prefix)?;
        out.revisions.push(tree.revision.clone());
        if !text(source, &["ref"]).is_empty() && text(source, &["path"]).is_empty() {
            out.kinds.push("Directory");
            continue;
        }
        let (kind, objects) = objects(&tree, source)
            .map_err(|e| prefix(format!("rpc error: code = Unknown desc = {e}")))?;
        out.kinds.push(kind);
        out.objects.extend(objects);
    }
    Ok(out)
}

fn objects(tree: &Tree, source: &Value) -> Result<(&'static str, Vec<Value>), String> {
    let path = text(source, &["path"]);
    let folder = join("", path).ok_or_else(|| format!("{path}: app path outside repository"))?;
    let inside = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    if !tree.files.keys().any(|f| f.starts_with(&inside)) {
        return Err(format!("{path}: app path does not exist"));
    }
    if tree.files.contains_key(&format!("{inside}Chart.yaml")) {
        return Err(format!(
            "{path}: the lab does not render Helm charts (Chart.yaml)"
        ));
    }
    let is_kustomization = kustomize::FILE_NAMES
        .iter()
        .any(|f| tree.files.contains_key(&format!("{inside}{f}")));
    if is_kustomization {
        let built = kustomize::build(tree, &folder).map_err(|e| format!("`kustomize build <path to cached source>/{folder}` failed exit status 1: Error: {e}"))?;
        return Ok((
            "Kustomize",
            with_options(built, at(source, &["kustomize"]))?,
        ));
    }
    directory(tree, &inside, at(source, &["directory"])).map(|o| ("Directory", o))
}

/// `source.kustomize` of the Application, on top of what the repository says.
fn with_options(objects: Vec<Value>, options: &Value) -> Result<Vec<Value>, String> {
    let Some(map) = options.as_object().filter(|m| !m.is_empty()) else {
        return Ok(objects);
    };
    let mut layer = json!({});
    for (field, value) in map {
        match field.as_str() {
            "namePrefix" | "nameSuffix" | "namespace" | "commonAnnotations" | "patches"
            | "replicas" => set(&mut layer, &[field], value.clone()),
            "commonLabels" => {
                let selectors = at(options, &["labelWithoutSelector"]).as_bool() != Some(true);
                let templates = at(options, &["labelIncludeTemplates"]).as_bool() == Some(true);
                set(
                    &mut layer,
                    &["labels"],
                    json!([{"pairs": value, "includeSelectors": selectors, "includeTemplates": templates}]),
                );
            }
            "images" => {
                let images: Vec<Value> = list(options, &["images"])
                    .iter()
                    .filter_map(Value::as_str)
                    .map(ImageOverride::parse)
                    .collect();
                set(&mut layer, &["images"], images.into());
            }
            "version"
            | "forceCommonLabels"
            | "forceCommonAnnotations"
            | "labelWithoutSelector"
            | "labelIncludeTemplates" => {}
            other => {
                return Err(format!(
                    "the lab does not support kustomize.{other} of an Application"
                ));
            }
        }
    }
    kustomize::overlay(objects, &layer)
}

fn directory(tree: &Tree, inside: &str, options: &Value) -> Result<Vec<Value>, String> {
    let recurse = at(options, &["recurse"]).as_bool() == Some(true);
    let (include, exclude) = (text(options, &["include"]), text(options, &["exclude"]));
    if options
        .get("jsonnet")
        .and_then(Value::as_object)
        .is_some_and(|j| !j.is_empty())
    {
        return Err("the lab does not evaluate Jsonnet".to_owned());
    }
    let mut out = Vec::new();
    for (path, content) in &tree.files {
        let Some(relative) = path.strip_prefix(inside) else {
            continue;
        };
        let name = relative.rsplit('/').next().unwrap_or(relative);
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|e| name.ends_with(e));
        let skipped = relative.contains('/') && !recurse
            || !include.is_empty() && !glob::matches(include, relative)
            || !exclude.is_empty() && glob::matches(exclude, relative);
        if !is_manifest || skipped {
            continue;
        }
        let content = std::str::from_utf8(content)
            .map_err(|_| format!("failed to unmarshal {name:?}: not UTF-8"))?;
        for document in
            yaml::documents(content).map_err(|e| format!("Failed to unmarshal {name:?}: {e}"))?
        {
            let items = match document.get("items") {
                Some(Value::Array(items)) if text(&document, &["kind"]).ends_with("List") => {
                    items.clone()
                }
                _ => vec![document],
            };
            // Files that hold no objects (values, settings) are not taken as manifests.
            out.extend(items.into_iter().filter(|o| {
                !text(o, &["kind"]).is_empty() && !text(o, &["apiVersion"]).is_empty()
            }));
        }
    }
    Ok(out)
}
