//! Patches: strategic merges and JSON patches, inline or from files.

use regex::Regex;
use serde_json::Value;

use super::{Resource, read};
use crate::argocd::repository::{Tree, join};
use crate::object::{at, labels, list, name, namespace, split_api_version, text, text_map};
use crate::patch::json_patch;
use crate::resources::Registry;
use crate::schema::any;
use crate::selector::Selector;
use crate::strategic::strategic_patch;
use crate::yaml;

pub(super) fn apply(
    tree: &Tree,
    folder: &str,
    definition: &Value,
    resources: &mut Vec<Resource>,
) -> Result<(), String> {
    for entry in list(definition, &["patchesStrategicMerge"]) {
        let entry = entry.as_str().unwrap_or_default();
        let path = join(folder, entry).filter(|p| tree.files.contains_key(p));
        let content = match path {
            Some(path) => read(tree, &path)?,
            None if entry.contains('\n') => entry.to_owned(),
            None => return Err(format!("unable to load patch file '{entry}'")),
        };
        one(&content, &Value::Null, &Value::Null, resources)?;
    }
    for field in ["patches", "patchesJson6902"] {
        for entry in list(definition, &[field]) {
            let content = match (text(entry, &["path"]), text(entry, &["patch"])) {
                ("", "") => return Err("must specify one of patch and path in a patch".to_owned()),
                ("", inline) => inline.to_owned(),
                (file, "") => {
                    let path = join(folder, file)
                        .ok_or_else(|| format!("patch '{file}' is outside of the repository"))?;
                    read(tree, &path).map_err(|e| {
                        format!("failed to get the patch file from path({file}): {e}")
                    })?
                }
                _ => return Err("patch and path can't be set at the same time".to_owned()),
            };
            one(
                &content,
                at(entry, &["target"]),
                at(entry, &["options"]),
                resources,
            )?;
        }
    }
    Ok(())
}

fn one(
    content: &str,
    target: &Value,
    options: &Value,
    resources: &mut Vec<Resource>,
) -> Result<(), String> {
    let documents = yaml::documents_strict_booleans(content).map_err(|e| {
        format!(
            "unable to parse SM or JSON patch from [{}]: {e}",
            content.trim()
        )
    })?;
    for patch in documents {
        match patch {
            Value::Array(_) => json(&patch, target, resources)?,
            Value::Object(_) => strategic(&patch, target, options, resources)?,
            _ => {
                return Err(format!(
                    "unable to parse SM or JSON patch from [{}]",
                    content.trim()
                ));
            }
        }
    }
    Ok(())
}

fn json(patch: &Value, target: &Value, resources: &mut [Resource]) -> Result<(), String> {
    if target.is_null() {
        return Err("must specify a target for JSON patch".to_owned());
    }
    let chosen = select(target, resources)?;
    for resource in resources
        .iter_mut()
        .zip(&chosen)
        .filter(|(_, c)| **c)
        .map(|(r, _)| r)
    {
        resource.object = json_patch(&resource.object, patch)
            .map_err(|e| format!("{}/{}: {e}", resource.kind(), name(&resource.object)))?;
    }
    Ok(())
}

fn strategic(
    patch: &Value,
    target: &Value,
    options: &Value,
    resources: &mut Vec<Resource>,
) -> Result<(), String> {
    let chosen = if target.is_null() {
        let (group, _) = split_api_version(text(patch, &["apiVersion"]));
        let chosen: Vec<bool> = resources
            .iter()
            .map(|r| {
                let place = namespace(patch);
                r.kind() == text(patch, &["kind"])
                    && r.group() == group
                    && r.names.iter().any(|n| n == name(patch))
                    && (place.is_empty()
                        || r.namespaces.iter().any(|n| n == place)
                        || namespace(&r.object) == place)
            })
            .collect();
        if !chosen.contains(&true) {
            let id = format!(
                "{}.{}/{}.[noNs]",
                text(patch, &["kind"]),
                text(patch, &["apiVersion"]).replace('/', "."),
                name(patch)
            );
            return Err(format!(
                "no resource matches strategic merge patch {id:?}: no matches for Id {id}; failed to find unique target for patch {id}"
            ));
        }
        chosen
    } else {
        select(target, resources)?
    };
    let registry = Registry::new();
    let flag = |name: &str| at(options, &[name]).as_bool() == Some(true);
    let mut gone = vec![false; resources.len()];
    for (index, resource) in resources
        .iter_mut()
        .enumerate()
        .filter(|(i, _)| chosen.get(*i) == Some(&true))
    {
        let mut change = patch.clone();
        // What says which object is meant is not part of the change.
        if !flag("allowNameChange") {
            crate::object::remove(&mut change, &["metadata", "name"]);
            crate::object::remove(&mut change, &["metadata", "namespace"]);
        }
        if !flag("allowKindChange") {
            crate::object::remove(&mut change, &["kind"]);
            crate::object::remove(&mut change, &["apiVersion"]);
        }
        let found = registry.by_kind(text(&resource.object, &["apiVersion"]), resource.kind());
        let schema = found.as_ref().map_or(any(), |r| r.schema());
        let patched = strategic_patch(schema, &resource.object, &change)?;
        if patched.is_null() {
            if let Some(slot) = gone.get_mut(index) {
                *slot = true;
            }
        } else {
            resource.object = patched;
        }
    }
    let mut index = 0;
    resources.retain(|_| {
        index += 1;
        gone.get(index - 1) != Some(&true)
    });
    Ok(())
}

/// Which resources a target names: every field that is given must match; names and kinds are whole regular expressions.
fn select(target: &Value, resources: &[Resource]) -> Result<Vec<bool>, String> {
    let regex = |field: &str| -> Result<Option<Regex>, String> {
        match text(target, &[field]) {
            "" => Ok(None),
            pattern => Regex::new(&format!("^(?:{pattern})$"))
                .map(Some)
                .map_err(|e| format!("invalid {field} in a patch's target: {e}")),
        }
    };
    let (by_name, by_kind, by_namespace) = (regex("name")?, regex("kind")?, regex("namespace")?);
    let (by_group, by_version) = (regex("group")?, regex("version")?);
    let selector =
        Selector::parse("", text(target, &["labelSelector"]), "").map_err(|e| e.message)?;
    let annotations =
        Selector::parse("", text(target, &["annotationSelector"]), "").map_err(|e| e.message)?;
    Ok(resources
        .iter()
        .map(|r| {
            let (group, version) = split_api_version(text(&r.object, &["apiVersion"]));
            let fits = |regex: &Option<Regex>, text: &str| regex.as_ref().is_none_or(|x| x.is_match(text));
            let annotated = serde_json::json!({"metadata": {"labels": text_map(at(&r.object, &["metadata", "annotations"]))}});
            let labelled = serde_json::json!({"metadata": {"labels": labels(&r.object)}});
            by_name.as_ref().is_none_or(|x| r.names.iter().any(|n| x.is_match(n)))
                && fits(&by_kind, r.kind())
                && fits(&by_group, group)
                && fits(&by_version, version)
                && by_namespace.as_ref().is_none_or(|x| x.is_match(namespace(&r.object)) || r.namespaces.iter().any(|n| x.is_match(n)))
                && selector.matches(&labelled)
                && annotations.matches(&annotated)
        })
        .collect())
}
