//! ApplicationSets: Applications made of a template and what generators find.

use serde_json::{Value, json};

use super::generators::{self, Context, Parameters};
use super::template::{Style, render_value};
use super::{APPLICATION_SETS, APPLICATIONS, credentials};
use crate::cluster::Core;
use crate::object::{at, entry, list, map_at, name, namespace, now, remove, set, text, uid};
use crate::ops::{DeleteOptions, WriteOptions};
use crate::patch::merge_patch;
use crate::state::{Id, State};

const MANAGER: &str = "argocd-applicationset-controller";
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// Generates, and brings the Applications to what came of it.
pub(super) async fn reconcile(core: &Core, home: &str, application_set: &Value) {
    if crate::object::is_deleting(application_set) {
        return;
    }
    let secrets = credentials::of(&core.lock(), home);
    let fit = |url: &str| secrets.fit(url);
    let outcome = generate(core, application_set, &fit).await;
    let mut state = core.lock();
    match outcome {
        Err((reason, message)) => {
            write_status(&mut state, application_set, Err((reason, &message)));
        }
        Ok(wanted) => {
            let outcome = bring(&mut state, application_set, &wanted);
            match outcome {
                Ok(()) => write_status(&mut state, application_set, Ok(&wanted)),
                Err(message) => write_status(
                    &mut state,
                    application_set,
                    Err(("UpdateApplicationError", &message)),
                ),
            }
        }
    }
}

async fn generate(
    core: &Core,
    application_set: &Value,
    fit: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<Value>, (&'static str, String)> {
    let spec = at(application_set, &["spec"]);
    if !text(spec, &["templatePatch"]).is_empty() {
        return Err((
            "RenderTemplateParamsError",
            "the lab does not support templatePatch".to_owned(),
        ));
    }
    if text(spec, &["strategy", "type"]) == "RollingSync" {
        return Err((
            "ApplicationValidationError",
            "the lab does not support the strategy RollingSync: use sync waves of an app of apps"
                .to_owned(),
        ));
    }
    let strict = list(spec, &["goTemplateOptions"])
        .iter()
        .any(|o| o.as_str() == Some("missingkey=error"));
    let style = if at(spec, &["goTemplate"]).as_bool() == Some(true) {
        Style::Go { strict }
    } else {
        Style::Flat
    };
    let context = Context {
        repositories: &core.repositories,
        style,
        has_credentials: fit,
    };
    let mut out: Vec<Value> = Vec::new();
    for generator in list(spec, &["generators"]) {
        let found = generators::generate(&context, generator, None)
            .await
            .map_err(|e| ("ApplicationParamsGenerationError", e))?;
        for parameters in found {
            let made = one(application_set, &parameters, style)
                .map_err(|e| ("RenderTemplateParamsError", e))?;
            if out.iter().any(|o| name(o) == name(&made)) {
                let message = format!(
                    "ApplicationSet {} contains applications with duplicate name: {}",
                    name(application_set),
                    name(&made)
                );
                return Err(("ApplicationValidationError", message));
            }
            out.push(made);
        }
    }
    Ok(out)
}

fn one(application_set: &Value, parameters: &Parameters, style: Style) -> Result<Value, String> {
    let template = at(application_set, &["spec", "template"]);
    let template = if parameters.template.is_object() {
        merge_patch(template, &parameters.template)
    } else {
        template.clone()
    };
    let rendered = render_value(&template, &parameters.values, style).map_err(|e| {
        let shown = text(&template, &["metadata", "name"]);
        format!("failed to execute go template {shown}: template: :1: executing {shown:?}: {e}")
    })?;
    let own_name = name(&rendered);
    if own_name.is_empty() {
        return Err("the template's metadata.name came out empty".to_owned());
    }
    let mut application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": own_name, "namespace": namespace(application_set)},
        "spec": at(&rendered, &["spec"]),
    });
    for field in ["labels", "annotations", "finalizers"] {
        let value = at(&rendered, &["metadata", field]);
        if !value.is_null() {
            set(&mut application, &["metadata", field], value.clone());
        }
    }
    let keeps = at(
        application_set,
        &["spec", "syncPolicy", "preserveResourcesOnDeletion"],
    )
    .as_bool()
        == Some(true);
    if !keeps && at(&application, &["metadata", "finalizers"]).is_null() {
        set(
            &mut application,
            &["metadata", "finalizers"],
            json!([FINALIZER]),
        );
    }
    set(
        &mut application,
        &["metadata", "ownerReferences"],
        json!([{
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": name(application_set), "uid": uid(application_set),
            "controller": true, "blockOwnerDeletion": true,
        }]),
    );
    Ok(application)
}

/// Creates, updates and deletes Applications as the set's policy allows.
fn bring(state: &mut State, application_set: &Value, wanted: &[Value]) -> Result<(), String> {
    let Some(resource) = state.registry.by_key(APPLICATIONS) else {
        return Ok(());
    };
    let policy = text(application_set, &["spec", "syncPolicy", "applicationsSync"]);
    let (updates, deletes) = match policy {
        "create-only" => (false, false),
        "create-update" => (true, false),
        "create-delete" => (false, true),
        _ => (true, true),
    };
    let options = WriteOptions::component(MANAGER);
    let place = namespace(application_set);
    for application in wanted {
        let id = Id::of(APPLICATIONS, application);
        let Some(live) = state.get(&id).cloned() else {
            state
                .create(&resource, place, application.clone(), &options)
                .map_err(|e| e.message)?;
            continue;
        };
        let ours = list(&live, &["metadata", "ownerReferences"])
            .iter()
            .any(|o| text(o, &["uid"]) == uid(application_set));
        let owned = crate::object::controller(&live).is_some();
        if owned && !ours {
            return Err(format!(
                "Object {place}/{} is already owned by another ApplicationSet controller",
                id.name
            ));
        }
        if !updates {
            continue;
        }
        let mut new = Value::clone(&live);
        remove(&mut new, &["metadata", "managedFields"]);
        set(&mut new, &["spec"], at(application, &["spec"]).clone());
        set(
            &mut new,
            &["metadata", "ownerReferences"],
            at(application, &["metadata", "ownerReferences"]).clone(),
        );
        for field in ["labels", "annotations", "finalizers"] {
            // What Argo CD itself writes there stays.
            let mut value = at(application, &["metadata", field]).clone();
            if field == "annotations" {
                for kept in [
                    "argocd.argoproj.io/refresh",
                    "notified.notifications.argoproj.io",
                ] {
                    if let Some(found) = crate::object::annotation(&live, kept) {
                        entry(&mut value).insert(kept.to_owned(), found.into());
                    }
                }
            }
            if value.is_null() {
                remove(&mut new, &["metadata", field]);
            } else {
                set(&mut new, &["metadata", field], value);
            }
        }
        state
            .update(&resource, place, &id.name, new, &options)
            .map_err(|e| e.message)?;
    }
    if deletes {
        let surplus: Vec<Id> = state
            .dependents(uid(application_set))
            .into_iter()
            .filter(|d| d.key == APPLICATIONS && !wanted.iter().any(|w| name(w) == d.name))
            .collect();
        for id in surplus {
            if state
                .get(&id)
                .is_some_and(|o| !crate::object::is_deleting(o))
            {
                state
                    .delete(
                        &resource,
                        &id.namespace,
                        &id.name,
                        &DeleteOptions::default(),
                    )
                    .map_err(|e| e.message)?;
            }
        }
    }
    Ok(())
}

fn write_status(
    state: &mut State,
    application_set: &Value,
    outcome: Result<&[Value], (&str, &str)>,
) {
    let Some(resource) = state.registry.by_key(APPLICATION_SETS) else {
        return;
    };
    let id = Id::of(APPLICATION_SETS, application_set);
    let Some(current) = state.get(&id).cloned() else {
        return;
    };
    let mut status = at(&current, &["status"]).clone();
    let conditions: [(&str, bool, &str, String); 3] = match &outcome {
        Ok(_) => [
            (
                "ErrorOccurred",
                false,
                "ApplicationSetUpToDate",
                "All applications have been generated successfully".to_owned(),
            ),
            (
                "ParametersGenerated",
                true,
                "ParametersGenerated",
                "Successfully generated parameters for all Applications".to_owned(),
            ),
            (
                "ResourcesUpToDate",
                true,
                "ApplicationSetUpToDate",
                "All applications have been generated successfully".to_owned(),
            ),
        ],
        Err((reason, message)) => [
            ("ErrorOccurred", true, reason, (*message).to_owned()),
            (
                "ParametersGenerated",
                !reason.contains("Params"),
                if reason.contains("Params") {
                    "ErrorOccurred"
                } else {
                    "ParametersGenerated"
                },
                (*message).to_owned(),
            ),
            ("ResourcesUpToDate", false, reason, (*message).to_owned()),
        ],
    };
    let old = list(&status, &["conditions"]).to_vec();
    let conditions: Vec<Value> = conditions
        .into_iter()
        .map(|(kind, on, reason, message)| {
            let mut wanted = json!({"type": kind, "status": if on { "True" } else { "False" }, "reason": reason, "message": message});
            let before = old.iter().find(|c| text(c, &["type"]) == kind && text(c, &["status"]) == text(&wanted, &["status"]));
            let since = before.map_or_else(now, |b| text(b, &["lastTransitionTime"]).to_owned());
            set(&mut wanted, &["lastTransitionTime"], since.into());
            wanted
        })
        .collect();
    set(&mut status, &["conditions"], conditions.into());
    if let Ok(wanted) = outcome {
        let mut resources = Vec::new();
        for application in wanted {
            let live = state.get(&Id::of(APPLICATIONS, application));
            let mut e = json!({"group": "argoproj.io", "version": "v1alpha1", "kind": "Application", "namespace": namespace(application), "name": name(application)});
            if let Some(live) = live {
                let (sync, health) = (
                    text(live, &["status", "sync", "status"]),
                    text(live, &["status", "health", "status"]),
                );
                if !sync.is_empty() {
                    set(&mut e, &["status"], sync.into());
                }
                if !health.is_empty() {
                    set(&mut e, &["health"], json!({"status": health}));
                }
            }
            resources.push(e);
        }
        set(&mut status, &["resources"], resources.into());
    }
    if *at(&current, &["status"]) == status {
        return;
    }
    let mut new = Value::clone(&current);
    remove(&mut new, &["metadata", "managedFields"]);
    map_at(&mut new, &[]).insert("status".to_owned(), status);
    let options = WriteOptions::component(MANAGER);
    let options = if resource.has("status") {
        options.status()
    } else {
        options
    };
    if let Err(error) = state.update(&resource, &id.namespace, &id.name, new, &options) {
        tracing::warn!(%error, application_set = id.name, "cannot write an ApplicationSet's status");
    }
}
