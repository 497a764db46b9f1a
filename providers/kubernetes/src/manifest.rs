//! `kubernetes_manifest`: an object of any kind, by server-side apply.
//!
//! Nothing of the cluster is needed to plan a new object: its kind may be defined in the same run. Changes that others made
//! are found by asking the server what an apply would change (a dry run), as `kubectl diff` does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;
use stead_sdk::kube::{Apply, ObjectRef, Propagation, find, text, without_nulls};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value, json as value_json};
use stead_sdk::{
    Block, Context, Dynamic, Error, ErrorKind, Failure, PlanDraft, Resource, async_trait,
};

use crate::fields;
use crate::identity::Namespaced;
use crate::namespace::{MANAGER, exists_already, timeout};
use crate::provider::Client;
use crate::waiting::{Conditions, wait};

/// Unless a timeout is set.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Fields that the server or others may change without that being a difference, unless `computed_fields` is set.
const COMPUTED: [&str; 2] = ["metadata.annotations", "metadata.labels"];

/// Any object, described as in YAML.
#[derive(Clone, Debug, Resource)]
#[resource(name = "kubernetes_manifest", version = 1, identity = Namespaced)]
pub(crate) struct Manifest {
    /// The object: apiVersion, kind, metadata and the rest.
    #[attr(required)]
    manifest: Dynamic,
    /// The object as the server has it, without its status.
    #[attr(optional, computed)]
    object: Dynamic,
    /// Fields and the patterns that they must come to match.
    #[attr(optional, deprecated = "Use the `wait` block.")]
    wait_for: Option<WaitFor>,
    /// Fields that the server may change.
    #[attr(optional)]
    computed_fields: Option<Vec<String>>,
    #[attr(block(list, max = 1))]
    field_manager: Option<FieldManager>,
    #[attr(block(list, max = 1))]
    timeouts: Option<Timeouts>,
    /// What to wait for after each apply.
    #[attr(block(list, max = 1))]
    wait: Option<Wait>,
}

#[derive(Clone, Debug, Block)]
struct WaitFor {
    #[attr(optional)]
    fields: Option<BTreeMap<String, String>>,
}

/// As whom fields are owned.
#[derive(Clone, Debug, Block)]
struct FieldManager {
    /// `Terraform` unless set.
    #[attr(optional)]
    name: Option<String>,
    /// Take fields that another manager owns.
    #[attr(optional)]
    force_conflicts: Option<bool>,
}

/// Ten minutes each, unless set.
#[derive(Clone, Debug, Block)]
struct Timeouts {
    #[attr(optional)]
    create: Option<String>,
    #[attr(optional)]
    update: Option<String>,
    #[attr(optional)]
    delete: Option<String>,
}

#[derive(Clone, Debug, Block)]
struct Wait {
    /// Until the workload's newest form runs everywhere.
    #[attr(optional)]
    rollout: Option<bool>,
    /// Fields and the regular expressions that they must come to match; `*` is any value.
    #[attr(optional)]
    fields: Option<BTreeMap<String, String>>,
    /// Conditions of the status.
    #[attr(block(list))]
    condition: Vec<Condition>,
}

#[derive(Clone, Debug, Block)]
struct Condition {
    #[attr(optional)]
    r#type: Option<String>,
    #[attr(optional)]
    status: Option<String>,
}

/// A value as JSON, without nulls.
fn to_json(value: &Value) -> Result<Json, Error> {
    let json = value_json::to_json(value, &value.ty());
    json.map(without_nulls)
        .map_err(|e| Error::new("read `manifest`", e.to_string()).attribute("manifest"))
}

/// The object without what the server alone writes.
fn strip(object: &Json) -> Json {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        for name in [
            "uid",
            "creationTimestamp",
            "resourceVersion",
            "selfLink",
            "generation",
            "managedFields",
        ] {
            metadata.remove(name);
        }
    }
    without_nulls(object)
}

fn to_value(object: &Json) -> Result<Value, Error> {
    value_json::from_json_implied(object).map_err(|e| Error::new("read the object", e.to_string()))
}

fn has_manager(object: &Json, manager: &str) -> bool {
    let all = find(object, &["metadata", "managedFields"]).and_then(Json::as_array);
    all.into_iter()
        .flatten()
        .any(|entry| text(entry, &["manager"]) == manager)
}

impl Manifest {
    fn manager(&self) -> &str {
        let name = self.field_manager.as_ref().and_then(|m| m.name.as_deref());
        name.unwrap_or(MANAGER)
    }

    fn apply_options(&self, dry_run: bool) -> Apply<'_> {
        let force = self
            .field_manager
            .as_ref()
            .and_then(|m| m.force_conflicts)
            .unwrap_or(false);
        Apply {
            manager: self.manager(),
            force,
            dry_run,
        }
    }

    fn id(&self) -> Result<ObjectRef, Error> {
        ObjectRef::of(&to_json(&self.manifest)?).map_err(|e| e.attribute("manifest"))
    }

    /// Of the object as the server has it: only that says in which namespace it lives. One that lives in none has an empty name there,
    /// as in the published provider.
    pub(crate) fn live_names(&self) -> Option<Namespaced> {
        let of = |path: &[&str]| part(Some(&self.object), path);
        Some(Namespaced {
            api_version: of(&["apiVersion"])?,
            kind: of(&["kind"])?,
            name: of(&["metadata", "name"])?,
            namespace: Some(of(&["metadata", "namespace"]).unwrap_or_default()),
        })
    }

    fn conditions(&self) -> Result<Conditions, Error> {
        let mut fields = BTreeMap::new();
        let older = self.wait_for.as_ref().and_then(|w| w.fields.clone());
        fields.extend(older.unwrap_or_default());
        let wait = self.wait.as_ref();
        fields.extend(wait.and_then(|w| w.fields.clone()).unwrap_or_default());
        let conditions = wait.map(|w| w.condition.as_slice()).unwrap_or_default();
        let conditions = conditions
            .iter()
            .map(|c| {
                (
                    c.r#type.clone().unwrap_or_default(),
                    c.status.clone().unwrap_or_default(),
                )
            })
            .collect();
        Conditions::new(
            wait.and_then(|w| w.rollout).unwrap_or(false),
            &fields,
            conditions,
        )
    }

    /// Applies, waits, and takes over the result.
    async fn write(
        mut self,
        limit: Duration,
        client: &Client,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let conditions = self.conditions()?;
        let wanted = to_json(&self.manifest)?;
        let id = self.id()?;
        let applied = client
            .cluster
            .apply(&wanted, self.apply_options(false), cx)
            .await;
        let applied = applied.map_err(|e| match e.kind() {
            ErrorKind::Conflict => e.attribute("manifest").remedy(
                "Another manager owns these fields: take them out of the manifest, or set \
                 `force_conflicts = true` in the `field_manager` block to take them over.",
            ),
            _ => e,
        })?;
        self.object = to_value(&strip(&applied))?;
        match wait(&client.cluster, &id, &conditions, limit, cx).await {
            Ok(None) => Ok(self),
            Ok(Some(live)) => {
                self.object = to_value(&strip(&live))?;
                Ok(self)
            }
            Err(error) => Err(Failure::partial(error, self)),
        }
    }

    /// Whether an apply would change the object; `Err` when that cannot be told.
    async fn differs(&self, client: &Client, cx: &Context) -> Result<bool, Error> {
        let live = to_json(&self.object)?;
        let mut wanted = to_json(&self.manifest)?;
        let standard = || COMPUTED.iter().map(|c| (*c).to_owned()).collect();
        for path in self.computed_fields.clone().unwrap_or_else(standard) {
            fields::take_over(&mut wanted, &live, &fields::parse(&path)?);
        }
        match client
            .looking()
            .apply(&wanted, self.apply_options(true), cx)
            .await
        {
            Ok(would_be) => Ok(strip(&would_be) != live),
            // Somebody took a field, or the object, or its kind is gone.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

/// The name of an object in a plan, as far as it is known.
fn part(manifest: Option<&Value>, path: &[&str]) -> Option<String> {
    let end = path
        .iter()
        .try_fold(manifest?.clone(), |at, name| at.get(name))?;
    end.as_str().map(str::to_owned)
}

#[async_trait]
impl Resource for Manifest {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let Some(manifest) = config.get("manifest").filter(Value::is_known) else {
            return found;
        };
        let at = Path::root().attr("manifest");
        let mut refuse = |detail: String| {
            found.push(Diagnostic::error("Invalid manifest", detail).attribute(at.clone()));
        };
        if manifest.as_entries().is_none() {
            refuse("`manifest` must be an object with apiVersion, kind and metadata.".into());
            return found;
        }
        let known = |path: &[&str]| {
            path.iter()
                .try_fold(manifest.clone(), |at, name| at.get(name))
        };
        for path in [&["apiVersion"][..], &["kind"], &["metadata", "name"]] {
            // A part that is not known yet is let pass, also when it is the metadata as a whole.
            let above = known(&path[..path.len().saturating_sub(1)]);
            let unknown = above.is_some_and(|v| !v.is_known());
            if !unknown && known(path).is_none_or(|v| v.is_null()) {
                refuse(format!("`manifest` has no `{}`.", path.join(".")));
            }
        }
        if known(&["status"]).is_some_and(|v| !v.is_null()) {
            refuse(
                "`manifest` has a `status`, which only the cluster writes. Leave it out.".into(),
            );
        }
        found
    }

    async fn plan(
        client: Option<&Client>,
        plan: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        let object = Path::root().attr("object");
        if plan.is_create() {
            return Ok(());
        }
        if plan.changes("manifest") {
            let (before, after) = (plan.prior().get("manifest"), plan.attribute("manifest"));
            for path in [
                &["apiVersion"][..],
                &["kind"],
                &["metadata", "namespace"],
                &["metadata", "name"],
            ] {
                let pair = (part(before.as_ref(), path), part(after.as_ref(), path));
                if matches!(&pair, (Some(before), Some(after)) if before != after) {
                    let place = path
                        .iter()
                        .fold(Path::root().attr("manifest"), |at, name| at.attr(*name));
                    plan.replace(place);
                }
            }
            plan.set_unknown(&object)?;
            return Ok(());
        }
        let Some(client) = client.filter(|_| !plan.has_changes()) else {
            return Ok(());
        };
        let prior = <Manifest as stead_sdk::Field>::decode(plan.prior(), &Path::root())?;
        match prior.differs(client, cx).await {
            Ok(false) => {}
            Ok(true) => {
                plan.set_unknown(&object)?;
                plan.note("the object differs from the manifest, and is applied again");
            }
            Err(error) => plan.warn(
                "Could not look for changes of the object",
                error.to_string(),
            ),
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let id = planned.id()?;
        // One that bears our name is from a run that was interrupted.
        if let Some(found) = client.cluster.get(&id, cx).await?
            && !has_manager(&found, planned.manager())
        {
            let error = Error::of_kind(
                ErrorKind::Conflict,
                format!("create {id}"),
                "it exists already",
            );
            let namespace = id
                .namespace
                .as_ref()
                .map(|n| format!("namespace={n},"))
                .unwrap_or_default();
            let import = format!(
                "apiVersion={},kind={},{namespace}name={}",
                id.api_version, id.kind, id.name
            );
            return Err(exists_already(error, "kubernetes_manifest", &import).into());
        }
        let text = planned.timeouts.as_ref().and_then(|t| t.create.as_ref());
        let limit = timeout(text, TIMEOUT)?;
        planned.write(limit, client, cx).await
    }

    async fn read(client: &Client, mut prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let Some(found) = client.looking().get(&prior.id()?, cx).await? else {
            return Ok(None);
        };
        let now = strip(&found);
        // The same object keeps the form that the state has.
        if to_json(&prior.object).ok().as_ref() != Some(&now) {
            prior.object = to_value(&now)?;
        }
        Ok(Some(prior))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let (before, after) = (prior.id()?, planned.id()?);
        if before != after {
            let error = Error::new(
                "change the object in place",
                format!("it was {before}, and the manifest says {after}"),
            );
            return Err(error
                .attribute("manifest")
                .remedy("Replace it: `-replace=ADDRESS`.")
                .into());
        }
        let text = planned.timeouts.as_ref().and_then(|t| t.update.as_ref());
        let limit = timeout(text, TIMEOUT)?;
        planned.write(limit, client, cx).await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let text = prior.timeouts.as_ref().and_then(|t| t.delete.as_ref());
        let limit = timeout(text, TIMEOUT)?;
        let id = prior.id()?;
        if client
            .cluster
            .delete(&id, Propagation::Background, cx)
            .await?
        {
            client.cluster.wait_gone(&id, limit, cx).await?;
        }
        Ok(())
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let object = parse_id(id).ok_or_else(|| {
            Error::new("import the object", format!("{id:?} is not an id"))
                .remedy("Write it as `apiVersion=VERSION,kind=KIND,namespace=NAMESPACE,name=NAME`.")
        })?;
        let found = client.cluster.get(&object, cx).await?;
        let found = found.ok_or_else(|| {
            Error::not_found(format!("import {object}"), "there is none of that name")
        })?;
        let value = to_value(&strip(&found))?;
        Ok(Manifest {
            manifest: value.clone(),
            object: value,
            wait_for: None,
            computed_fields: None,
            field_manager: None,
            timeouts: None,
            wait: None,
        })
    }
}

/// Reads `apiVersion=v1,kind=Secret,namespace=a,name=b`.
fn parse_id(id: &str) -> Option<ObjectRef> {
    let parts: BTreeMap<&str, &str> = id
        .split(',')
        .filter_map(|p| p.trim().split_once('='))
        .collect();
    Some(ObjectRef::new(
        parts.get("apiVersion")?,
        parts.get("kind")?,
        parts.get("namespace").copied(),
        parts.get("name")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_of_imports() {
        let found = parse_id("apiVersion=apps/v1,kind=Deployment,namespace=a,name=b").unwrap();
        assert_eq!(
            found,
            ObjectRef::new("apps/v1", "Deployment", Some("a"), "b")
        );
        assert_eq!(parse_id("a/b"), None);
    }

    #[test]
    fn what_the_server_writes_is_no_part_of_the_object() {
        let live = json!({ "kind": "X", "metadata": { "name": "a", "uid": "u", "managedFields": [], "labels": { "l": "1" } }, "status": {} });
        assert_eq!(
            strip(&live),
            json!({ "kind": "X", "metadata": { "name": "a", "labels": { "l": "1" } } })
        );
    }
}
