//! The object that a `gitops_application` stands for: typed attributes become an Application, a manifest stays itself.

use serde_json::{Map, Value as Json, json};
use stead_sdk::Error;
use stead_sdk::kube::{ObjectRef, find, text, without_nulls};
use stead_sdk::value::{Value, json as value_json};

use crate::application::Application;

pub(crate) const API_VERSION: &str = "argoproj.io/v1alpha1";

/// What is to be applied.
pub(crate) fn object(application: &Application) -> Result<Json, Error> {
    let object = match &application.manifest {
        manifest if manifest.is_null() => typed(application)?,
        manifest => of_manifest(manifest, &application.namespace)?,
    };
    let id = ObjectRef::of(&object)?;
    let known = matches!(
        id.kind.as_str(),
        "Application" | "ApplicationSet" | "AppProject"
    );
    if id.group() != "argoproj.io" || !known {
        let said = format!("it is {} of {}", id.kind, id.api_version);
        return Err(Error::new("apply the manifest", said)
            .attribute("manifest")
            .remedy("`gitops_application` takes an Application, an ApplicationSet or an AppProject of argoproj.io; use `kubernetes_manifest` for others."));
    }
    Ok(object)
}

/// A manifest given as a value, with the namespace filled in.
fn of_manifest(manifest: &Value, namespace: &str) -> Result<Json, Error> {
    let invalid = |said: String| Error::new("read `manifest`", said).attribute("manifest");
    let json = value_json::to_json(manifest, &manifest.ty()).map_err(|e| invalid(e.to_string()))?;
    let mut object = without_nulls(json);
    let metadata = object.get_mut("metadata").and_then(Json::as_object_mut);
    let metadata = metadata.ok_or_else(|| invalid("it has no `metadata`".into()))?;
    metadata
        .entry("namespace")
        .or_insert_with(|| json!(namespace));
    if let Some(members) = object.as_object_mut() {
        // What the cluster writes is nothing to ask for.
        members.remove("status");
    }
    Ok(object)
}

fn typed(application: &Application) -> Result<Json, Error> {
    let missing = |name: &str| {
        Error::new("apply the Application", format!("`{name}` is not set"))
            .attribute(name)
            .remedy("Set `name`, `repo_url` and `path`, or give the whole object as `manifest`.")
    };
    let name = application.name.as_ref().ok_or_else(|| missing("name"))?;
    let repo_url = application
        .repo_url
        .as_ref()
        .ok_or_else(|| missing("repo_url"))?;
    let path = application.path.as_ref().ok_or_else(|| missing("path"))?;
    let given = application.destination.clone().unwrap_or_default();
    let mut destination = Map::new();
    match &given.name {
        Some(name) => destination.insert("name".into(), json!(name)),
        None => {
            let server = given
                .server
                .unwrap_or_else(|| "https://kubernetes.default.svc".into());
            destination.insert("server".into(), json!(server))
        }
    };
    if let Some(namespace) = &given.namespace {
        destination.insert("namespace".into(), json!(namespace));
    }
    let mut spec = json!({
        "project": application.project,
        "source": { "repoURL": repo_url, "path": path, "targetRevision": application.target_revision },
        "destination": destination,
    });
    let policy = application.sync_policy.clone().unwrap_or_default();
    let mut sync = Map::new();
    if policy.automated.unwrap_or(true) {
        sync.insert(
            "automated".into(),
            json!({ "prune": policy.prune.unwrap_or(false), "selfHeal": policy.self_heal.unwrap_or(false) }),
        );
    }
    if let Some(options) = policy.sync_options.filter(|o| !o.is_empty()) {
        sync.insert("syncOptions".into(), json!(options));
    }
    if let (false, Some(spec)) = (sync.is_empty(), spec.as_object_mut()) {
        spec.insert("syncPolicy".into(), Json::Object(sync));
    }
    Ok(json!({
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": { "name": name, "namespace": application.namespace },
        "spec": spec,
    }))
}

/// The live object reduced to what was asked for: equal to `wanted` unless somebody changed it.
pub(crate) fn project(live: &Json, wanted: &Json) -> Json {
    match (live, wanted) {
        (Json::Object(live), Json::Object(wanted)) => Json::Object(
            wanted
                .iter()
                .filter_map(|(k, w)| Some((k.clone(), project(live.get(k)?, w))))
                .collect(),
        ),
        (Json::Array(live), Json::Array(wanted)) if live.len() == wanted.len() => Json::Array(
            live.iter()
                .zip(wanted)
                .map(|(l, w)| project(l, w))
                .collect(),
        ),
        _ => live.clone(),
    }
}

/// The attributes as the live object has them. Drift of a typed Application shows in its attributes, that of a manifest in
/// `manifest`.
pub(crate) fn read_back(mut application: Application, live: &Json) -> Result<Application, Error> {
    let wanted = object(&application)?;
    let found = project(live, &wanted);
    if found == wanted {
        return Ok(application);
    }
    if !application.manifest.is_null() {
        let ty = application.manifest.ty();
        let value = value_json::from_json(&found, &ty)
            .or_else(|_| value_json::from_json_implied(&found))
            .map_err(|e| Error::new("read the object", e.to_string()))?;
        application.manifest = value;
        return Ok(application);
    }
    let spec = |path: &[&str]| {
        let at: Vec<&str> = ["spec"].iter().chain(path).copied().collect();
        Some(text(&found, &at).to_owned()).filter(|t| !t.is_empty())
    };
    application.project = spec(&["project"]).unwrap_or_default();
    application.repo_url = spec(&["source", "repoURL"]);
    application.path = spec(&["source", "path"]);
    application.target_revision = spec(&["source", "targetRevision"]).unwrap_or_default();
    if let Some(destination) = &mut application.destination {
        destination.namespace = spec(&["destination", "namespace"]);
        destination.name = spec(&["destination", "name"]);
        if destination.server.is_some() {
            destination.server = spec(&["destination", "server"]);
        }
    }
    if let Some(policy) = &mut application.sync_policy {
        let automated = find(&found, &["spec", "syncPolicy", "automated"]);
        let flag = |name: &str| automated.and_then(|a| a.get(name)).and_then(Json::as_bool);
        policy.automated = policy.automated.map(|_| automated.is_some());
        policy.prune = policy.prune.and_then(|_| flag("prune"));
        policy.self_heal = policy.self_heal.and_then(|_| flag("selfHeal"));
        let options = find(&found, &["spec", "syncPolicy", "syncOptions"]).and_then(Json::as_array);
        let options = options.map(|o| {
            o.iter()
                .filter_map(Json::as_str)
                .map(str::to_owned)
                .collect()
        });
        policy.sync_options = policy.sync_options.as_ref().and(options);
    }
    Ok(application)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_compared() {
        let wanted = json!({ "spec": { "project": "default", "ignore": [{ "a": 1 }] } });
        let live = json!({ "metadata": { "uid": "u" }, "spec": { "project": "default", "ignore": [{ "a": 1, "b": 2 }], "more": 1 } });
        assert_eq!(project(&live, &wanted), wanted);
        let changed = json!({ "spec": { "project": "other" } });
        assert_eq!(
            project(&changed, &wanted),
            json!({ "spec": { "project": "other" } })
        );
    }
}
