//! `gitops_application`: the root of what Git owns.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use stead_sdk::kube::{ObjectRef, Propagation, find, text};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::{Block, Context, Dynamic, Error, Failure, PlanDraft, Resource, async_trait};

use crate::apply::apply;
use crate::desired::{self, API_VERSION};
use crate::handoff;
use crate::progress::{self, Outcome, REFRESH};
use crate::provider::{Client, MANAGER, duration};

/// With this finalizer Argo CD deletes what an Application made, before the Application itself goes.
const CASCADE: &str = "resources-finalizer.argocd.argoproj.io";

/// An Application, ApplicationSet or AppProject of Argo CD: applied, waited for, and then left to Git.
///
/// When everything is Synced and Healthy, stead lets go of objects that it had applied itself and that Git manages now
/// (`released`): from then on it neither reports them as changed nor deletes them.
#[derive(Clone, Debug, Resource)]
#[resource(name = "gitops_application")]
pub(crate) struct Application {
    /// `NAMESPACE/NAME`.
    #[attr(computed)]
    id: String,
    /// The whole object, in place of the attributes below: an Application, ApplicationSet or AppProject.
    #[attr(optional)]
    pub(crate) manifest: Dynamic,
    #[attr(optional, replace)]
    pub(crate) name: Option<String>,
    /// Argo CD's namespace.
    #[attr(optional, computed, default = "argocd".to_owned(), replace)]
    pub(crate) namespace: String,
    /// The AppProject.
    #[attr(optional, computed, default = "default".to_owned())]
    pub(crate) project: String,
    /// The Git repository.
    #[attr(optional)]
    pub(crate) repo_url: Option<String>,
    /// The folder in the repository.
    #[attr(optional)]
    pub(crate) path: Option<String>,
    /// Branch, tag or commit.
    #[attr(optional, computed, default = "HEAD".to_owned())]
    pub(crate) target_revision: String,
    /// Where the objects go; the cluster that Argo CD runs in unless set.
    #[attr(nested(single), optional)]
    pub(crate) destination: Option<Destination>,
    /// Automated unless set otherwise.
    #[attr(nested(single), optional)]
    pub(crate) sync_policy: Option<SyncPolicy>,
    /// Wait until it, and every Application that it generates, is Synced and Healthy.
    #[attr(optional, computed, default = true)]
    wait: bool,
    /// For the waiting, and for the deletion.
    #[attr(optional, computed, default = "15m".to_owned())]
    timeout: String,
    /// On destroy, delete what Git made as well, and wait for it.
    #[attr(optional, computed, default = true)]
    cascade: bool,
    /// Take fields that another manager owns.
    #[attr(optional, computed, default = false)]
    force_conflicts: bool,
    /// Objects to let go of, as `apiVersion/Kind NAMESPACE/NAME` (or `apiVersion/Kind NAME`). Unless set, all in `owned` of
    /// which stead owns fields; an empty list lets go of none.
    #[attr(optional)]
    release: Option<Vec<String>>,
    /// It and the Applications that it generates, as they were when it was applied.
    #[attr(computed(unknown_on_change))]
    applications: Vec<Status>,
    /// What Git manages, as `Kind NAMESPACE/NAME`.
    #[attr(computed(unknown_on_change))]
    owned: Vec<String>,
    /// Whether the last wait ended well. If it did not, the next apply waits again.
    #[attr(computed(unknown_on_change))]
    settled: Option<bool>,
    /// What stead has let go of.
    #[attr(computed(unknown_on_change))]
    released: Vec<String>,
}

/// Where an Application's objects go.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Destination {
    /// The cluster's API; `https://kubernetes.default.svc` unless `name` is set.
    #[attr(optional)]
    pub(crate) server: Option<String>,
    /// The cluster's name in Argo CD, in place of `server`.
    #[attr(optional)]
    pub(crate) name: Option<String>,
    /// For objects that name none.
    #[attr(optional)]
    pub(crate) namespace: Option<String>,
}

/// How an Application is synced.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct SyncPolicy {
    /// Sync whenever Git changes; true unless set.
    #[attr(optional)]
    pub(crate) automated: Option<bool>,
    /// Delete what Git has no more.
    #[attr(optional)]
    pub(crate) prune: Option<bool>,
    /// Undo changes that others make.
    #[attr(optional)]
    pub(crate) self_heal: Option<bool>,
    /// Such as `CreateNamespace=true`.
    #[attr(optional)]
    pub(crate) sync_options: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
struct Status {
    #[attr(computed)]
    name: String,
    #[attr(computed)]
    namespace: String,
    #[attr(computed)]
    sync_status: String,
    #[attr(computed)]
    health_status: String,
    #[attr(computed)]
    revision: String,
}

/// Reads `apiVersion/Kind NAMESPACE/NAME`.
fn parse_object(text: &str) -> Option<ObjectRef> {
    let (kind, name) = text.trim().split_once(' ')?;
    let (api_version, kind) = kind.rsplit_once('/')?;
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    let whole = !api_version.is_empty() && !kind.is_empty() && !name.is_empty();
    whole.then(|| ObjectRef::new(api_version, kind, namespace, name))
}

impl Application {
    /// What the state knows of the object.
    fn object(&self) -> Result<ObjectRef, Error> {
        ObjectRef::of(&desired::object(self)?)
    }

    fn record(&mut self, outcome: &Outcome) {
        self.applications = outcome
            .applications
            .iter()
            .map(|a| Status {
                name: a.name.clone(),
                namespace: a.namespace.clone(),
                sync_status: a.sync.clone(),
                health_status: a.health.clone(),
                revision: a.revision.clone(),
            })
            .collect();
        self.owned = outcome.owned.iter().map(ToString::to_string).collect();
    }

    /// Applies, waits, lets go.
    async fn write(
        mut self,
        existed: bool,
        client: &Client,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let timeout = duration(&self.timeout, "timeout")?;
        let object = desired::object(&self)?;
        let id = ObjectRef::of(&object)?;
        apply(&client.cluster, &object, self.force_conflicts, cx).await?;
        self.id = format!(
            "{}/{}",
            id.namespace.as_deref().unwrap_or_default(),
            id.name
        );
        match self.settle(&id, existed, timeout, client, cx).await {
            Ok(()) => {
                self.settled = Some(true);
                Ok(self)
            }
            // It is applied and stays: to replace it would take down what Git has made so far.
            Err(error) => {
                self.settled = Some(false);
                Err(Failure::usable(error, self))
            }
        }
    }

    async fn settle(
        &mut self,
        id: &ObjectRef,
        existed: bool,
        timeout: Duration,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        if id.kind == "AppProject" {
            return Ok(());
        }
        let cluster = &client.cluster;
        if !self.wait {
            self.record(&progress::look(cluster, id, cx).await?);
            return Ok(());
        }
        if existed && id.kind == "Application" {
            // What is in its status may be from before the change: have it looked at again.
            let patch = json!({ "metadata": { "annotations": { REFRESH: "normal" } } });
            cluster.merge(id, &patch, "stead-refresh", cx).await?;
        }
        let outcome = match progress::wait(cluster, id, timeout, cx).await {
            Ok(outcome) => outcome,
            Err(error) => {
                // What there is so far; the wait's own error is the one to tell.
                if let Ok(outcome) = progress::look(cluster, id, cx).await {
                    self.record(&outcome);
                }
                return Err(error);
            }
        };
        self.record(&outcome);
        self.hand_over(&outcome, client, cx).await
    }

    /// Lets go of what Git manages now.
    async fn hand_over(
        &mut self,
        outcome: &Outcome,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        let chosen = match &self.release {
            None => outcome.owned.clone(),
            Some(texts) => texts.iter().filter_map(|t| parse_object(t)).collect(),
        };
        for object in chosen {
            if handoff::release(&client.cluster, &object, cx).await? {
                cx.progress(format!("{object} belongs to Git now"));
                self.released
                    .push(format!("{}/{object}", object.api_version));
            }
        }
        self.released.sort();
        self.released.dedup();
        Ok(())
    }

    /// Puts Argo CD's finalizer on or takes it off, as `cascade` says.
    async fn prepare_deletion(
        &self,
        id: &ObjectRef,
        live: &Json,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        let present = find(live, &["metadata", "finalizers"]).and_then(Json::as_array);
        let mut finalizers: Vec<&str> = present
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        // Also its variants: `…/background`, `…/foreground`.
        let has = finalizers.iter().any(|f| f.starts_with(CASCADE));
        if has == self.cascade {
            return Ok(());
        }
        if self.cascade {
            finalizers.push(CASCADE);
        } else {
            finalizers.retain(|f| !f.starts_with(CASCADE));
        }
        let patch = json!({ "metadata": { "finalizers": finalizers } });
        client.cluster.merge(id, &patch, MANAGER, cx).await?;
        Ok(())
    }
}

#[async_trait]
impl Resource for Application {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let is_set = |name: &str| config.get(name).is_some_and(|v| !v.is_null());
        let mut refuse = |name: &str, detail: String| {
            found.push(
                Diagnostic::error("Invalid combination", detail).attribute(Path::root().attr(name)),
            );
        };
        let typed = ["name", "repo_url", "path"];
        for name in typed {
            if is_set("manifest") && is_set(name) {
                refuse(name, format!("Set `manifest` or `{name}`, not both."));
            } else if !is_set("manifest") && !is_set(name) {
                refuse(
                    name,
                    format!(
                        "`{name}` is required, unless the whole object is given as `manifest`."
                    ),
                );
            }
        }
        for name in ["destination", "sync_policy", "project", "target_revision"] {
            if is_set("manifest") && is_set(name) {
                refuse(name, format!("Set `manifest` or `{name}`, not both."));
            }
        }
        let release = config.get("release");
        for item in release
            .as_ref()
            .and_then(Value::as_sequence)
            .unwrap_or_default()
        {
            if item
                .as_str()
                .is_some_and(|text| parse_object(text).is_none())
            {
                refuse("release", "Write objects as `apiVersion/Kind NAMESPACE/NAME`, such as `v1/Secret argocd/repo`.".into());
            }
        }
        if let Some(timeout) = config.get("timeout").as_ref().and_then(Value::as_str)
            && let Err(error) = duration(timeout, "timeout")
        {
            found.push(error.into());
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        // Another object in the manifest is another object in the cluster. What is not known yet is taken to stay.
        let part = |manifest: Option<Value>, path: &[&str]| {
            let end = path.iter().try_fold(manifest?, |at, name| at.get(name))?;
            end.as_str().map(str::to_owned)
        };
        if plan.prior().get("settled").and_then(|v| v.as_bool()) == Some(false) {
            plan.set_unknown(&Path::root().attr("settled"))?;
            plan.note("waits again for what the last apply waited for in vain");
        }
        if plan.is_create() || !plan.changes("manifest") {
            return Ok(());
        }
        let (before, after) = (plan.prior().get("manifest"), plan.attribute("manifest"));
        let moved = [
            &["kind"][..],
            &["metadata", "namespace"],
            &["metadata", "name"],
        ]
        .iter()
        .any(
            |path| match (part(before.clone(), path), part(after.clone(), path)) {
                (Some(before), Some(after)) => before != after,
                _ => false,
            },
        );
        if moved {
            plan.replace(Path::root().attr("manifest"));
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned.write(false, client, cx).await
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let id = prior.object()?;
        let Some(live) = client.looking().get(&id, cx).await? else {
            return Ok(None);
        };
        // Git manages it itself now: what it says there is right.
        let handed_over = format!("{}/{id}", id.api_version);
        if prior.released.contains(&handed_over)
            || !text(&live, &["metadata", "deletionTimestamp"]).is_empty()
        {
            return Ok(Some(prior));
        }
        desired::read_back(prior, &live).map(Some)
    }

    async fn update(
        client: &Client,
        prior: Self,
        mut planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let (before, after) = (prior.object()?, planned.object()?);
        if before != after {
            let said = format!("it was {before}, and the configuration says {after}");
            return Err(Error::new("change the object in place", said)
                .attribute("manifest")
                .remedy("Replace it: `-replace=ADDRESS`.")
                .into());
        }
        planned.released = prior.released;
        planned.write(true, client, cx).await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let until = Instant::now() + duration(&prior.timeout, "timeout")?;
        let left = || until.saturating_duration_since(Instant::now());
        let id = prior.object()?;
        let cluster = &client.cluster;
        let Some(live) = cluster.get(&id, cx).await? else {
            return Ok(());
        };
        if id.kind == "Application" {
            prior.prepare_deletion(&id, &live, client, cx).await?;
        }
        // What an ApplicationSet generated, now: the state may be older.
        let mut generated = Vec::new();
        if id.kind == "ApplicationSet" {
            let outcome = progress::look(cluster, &id, cx).await?;
            let of = |a: &progress::Seen| {
                ObjectRef::new(API_VERSION, "Application", Some(&a.namespace), &a.name)
            };
            generated.extend(outcome.applications.iter().map(of));
        }
        let propagation = if prior.cascade {
            Propagation::Background
        } else {
            Propagation::Orphan
        };
        cluster.delete(&id, propagation, cx).await?;
        cluster.wait_gone(&id, left(), cx).await?;
        if prior.cascade {
            for application in generated {
                cluster.wait_gone(&application, left(), cx).await?;
            }
        }
        Ok(())
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let asked = format!("import the Application {id}");
        let (namespace, name) = id.split_once('/').unwrap_or(("argocd", id));
        let object = ObjectRef::new(API_VERSION, "Application", Some(namespace), name);
        let live = client.cluster.get(&object, cx).await?;
        let live = live.ok_or_else(|| Error::not_found(asked, "there is none of that name"))?;
        let spec = |path: &[&str]| {
            let at: Vec<&str> = ["spec"].iter().chain(path).copied().collect();
            Some(text(&live, &at).to_owned()).filter(|t| !t.is_empty())
        };
        Ok(Application {
            id: format!("{namespace}/{name}"),
            manifest: Value::null(Type::Dynamic),
            name: Some(name.to_owned()),
            namespace: namespace.to_owned(),
            project: spec(&["project"]).unwrap_or_default(),
            repo_url: spec(&["source", "repoURL"]),
            path: spec(&["source", "path"]),
            target_revision: spec(&["source", "targetRevision"]).unwrap_or_default(),
            destination: None,
            sync_policy: None,
            wait: true,
            timeout: "15m".into(),
            cascade: true,
            force_conflicts: false,
            release: None,
            applications: Vec::new(),
            owned: Vec::new(),
            settled: None,
            released: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_to_release_are_written_with_their_version() {
        let secret = ObjectRef::new("v1", "Secret", Some("argocd"), "repo");
        assert_eq!(parse_object("v1/Secret argocd/repo"), Some(secret));
        let role = ObjectRef::new(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            None,
            "system:x",
        );
        assert_eq!(
            parse_object("rbac.authorization.k8s.io/v1/ClusterRole system:x"),
            Some(role)
        );
        assert_eq!(parse_object("Secret argocd/repo"), None);
        assert_eq!(parse_object("v1/Secret"), None);
    }
}
