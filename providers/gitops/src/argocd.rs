//! `gitops_argocd`: Argo CD from a pinned manifest.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde_json::{Value as Json, json};
use stead_sdk::kube::{ObjectRef, Propagation, Readiness, established, rollout, text};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Block, Context, Dialer, Error, Failure, PlanDraft, Resource, async_trait, codec};

use crate::apply::apply;
use crate::handoff::is_ours;
use crate::provider::{Client, duration};
use crate::source::{Manifest, Source};

/// Argo CD in a cluster, from its own install manifest: applied by server-side apply, definitions first, and waited for.
///
/// Objects that Git manages later (because an application releases them) are left alone: they are neither reported as
/// missing nor deleted.
#[derive(Clone, Debug, Resource)]
#[resource(name = "gitops_argocd")]
pub(crate) struct ArgoCd {
    /// The namespace.
    #[attr(computed)]
    id: String,
    /// Where objects go that name no namespace; a change makes a new installation.
    #[attr(optional, computed, default = "argocd".to_owned(), replace)]
    namespace: String,
    /// Make the namespace when it is not there.
    #[attr(optional, computed, default = true)]
    create_namespace: bool,
    /// Path of the manifest, such as a checked-in copy of Argo CD's `install.yaml`.
    #[attr(optional)]
    manifest_file: Option<String>,
    /// Address of the manifest; needs `sha256`.
    #[attr(optional)]
    manifest_url: Option<String>,
    /// The manifest's SHA-256 in hexadecimal, checked before anything is applied.
    #[attr(optional)]
    sha256: Option<String>,
    /// Take fields that another manager owns.
    #[attr(optional, computed, default = false)]
    force_conflicts: bool,
    /// Wait until every Deployment, StatefulSet and DaemonSet of the manifest is available.
    #[attr(optional, computed, default = true)]
    wait: bool,
    /// For the waiting.
    #[attr(optional, computed, default = "10m".to_owned())]
    timeout: String,
    /// Argo CD's version, from its image in the manifest; empty when it cannot be told.
    #[attr(computed)]
    version: Option<String>,
    /// The SHA-256 of what was applied.
    #[attr(computed)]
    manifest_sha256: String,
    /// What was applied.
    #[attr(computed)]
    objects: Vec<Object>,
    /// Names of the CustomResourceDefinitions.
    #[attr(computed)]
    crds: Vec<String>,
    /// Whether the last wait ended well. If it did not, the next apply waits again.
    #[attr(computed)]
    settled: Option<bool>,
    /// Objects that were applied and are not there any more; they are applied again.
    #[attr(computed)]
    missing: Vec<String>,
    #[attr(private)]
    applied: Option<Vec<ObjectRef>>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
struct Object {
    #[attr(computed)]
    kind: String,
    #[attr(computed)]
    namespace: Option<String>,
    #[attr(computed)]
    name: String,
}

/// Objects that are looked at side by side.
const AT_ONCE: usize = 8;

/// What follows from the manifest.
const FROM_MANIFEST: [&str; 4] = ["version", "manifest_sha256", "objects", "crds"];

impl ArgoCd {
    fn source(&self) -> Result<Source<'_>, Error> {
        Source::of(
            self.manifest_file.as_deref(),
            self.manifest_url.as_deref(),
            self.sha256.as_deref(),
        )
    }

    /// Notes what is applied so far.
    fn record(&mut self, applied: Vec<ObjectRef>) {
        self.id = self.namespace.clone();
        self.objects = applied
            .iter()
            .map(|o| Object {
                kind: o.kind.clone(),
                namespace: o.namespace.clone(),
                name: o.name.clone(),
            })
            .collect();
        self.crds = applied
            .iter()
            .filter(|o| is_definition(o))
            .map(|o| o.name.clone())
            .collect();
        self.missing = Vec::new();
        self.applied = Some(applied);
    }

    /// Brings the cluster to the manifest. `previous` is what an earlier run applied.
    async fn install(
        mut self,
        previous: Vec<ObjectRef>,
        client: &Client,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let manifest = self
            .source()?
            .load(self.sha256.as_deref(), &client.dialer, cx)
            .await?;
        self.version = manifest.objects.version();
        self.manifest_sha256 = manifest.sha256.clone();
        let mut run = Run {
            client,
            cx,
            namespace: self.namespace.clone(),
            force: self.force_conflicts,
            previous,
            applied: Vec::new(),
            until: Instant::now() + duration(&self.timeout, "timeout")?,
        };
        let result = run
            .everything(&manifest, self.create_namespace, self.wait)
            .await;
        let nothing = run.applied.is_empty() && run.previous.is_empty();
        // After a failure, what an earlier run made is still there.
        let mut known = run.applied;
        if result.is_err() {
            let rest: Vec<_> = run
                .previous
                .into_iter()
                .filter(|o| !known.contains(o))
                .collect();
            known.extend(rest);
        }
        self.record(known);
        match result {
            Ok(()) => {
                self.settled = Some(true);
                Ok(self)
            }
            Err(error) if nothing => Err(error.into()),
            // What is applied stays: a replacement would take the applications' definitions down, and all that they made.
            Err(error) => {
                self.settled = Some(false);
                Err(Failure::usable(error, self))
            }
        }
    }
}

fn is_definition(object: &ObjectRef) -> bool {
    object.kind == "CustomResourceDefinition"
}

fn is_workload(object: &ObjectRef) -> bool {
    object.group() == "apps"
        && matches!(
            object.kind.as_str(),
            "Deployment" | "StatefulSet" | "DaemonSet"
        )
}

/// One installation under way.
struct Run<'a> {
    client: &'a Client,
    cx: &'a Context,
    namespace: String,
    force: bool,
    previous: Vec<ObjectRef>,
    applied: Vec<ObjectRef>,
    until: Instant,
}

impl Run<'_> {
    async fn everything(
        &mut self,
        manifest: &Manifest,
        create_namespace: bool,
        wait: bool,
    ) -> Result<(), Error> {
        let objects = &manifest.objects;
        if create_namespace {
            self.namespace(&objects.namespaces).await?;
        }
        for object in objects.namespaces.iter().chain(&objects.definitions) {
            self.one(object.clone()).await?;
        }
        self.definitions().await?;
        let total = objects.others.len();
        for (i, object) in objects.others.iter().enumerate() {
            let placed = self.placed(object).await?;
            self.cx.progress(format!(
                "applying {} {} ({} of {total})",
                text(&placed, &["kind"]),
                text(&placed, &["metadata", "name"]),
                i + 1
            ));
            self.one(placed).await?;
        }
        self.prune().await?;
        if wait { self.workloads().await } else { Ok(()) }
    }

    /// Makes the namespace, unless it is there or the manifest has it.
    async fn namespace(&mut self, of_manifest: &[Json]) -> Result<(), Error> {
        let id = ObjectRef::new("v1", "Namespace", None, &self.namespace);
        let in_manifest = of_manifest
            .iter()
            .any(|o| text(o, &["metadata", "name"]) == id.name);
        let ours_before = self.previous.contains(&id);
        if in_manifest || (!ours_before && self.client.cluster.get(&id, self.cx).await?.is_some()) {
            return Ok(());
        }
        self.one(
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": id.name } }),
        )
        .await
    }

    /// The object with its namespace filled in, and accounts that the manifest expects in `argocd` found where they are.
    async fn placed(&self, written: &Json) -> Result<Json, Error> {
        let mut object = written.clone();
        let (version, kind) = (text(written, &["apiVersion"]), text(written, &["kind"]));
        let namespaced = self.client.cluster.is_namespaced(version, kind, self.cx);
        if text(&object, &["metadata", "namespace"]).is_empty()
            && namespaced.await?
            && let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut)
        {
            metadata.insert("namespace".into(), json!(self.namespace));
        }
        let is_binding = matches!(kind, "ClusterRoleBinding" | "RoleBinding");
        if is_binding
            && let Some(subjects) = object.get_mut("subjects").and_then(Json::as_array_mut)
        {
            for subject in subjects {
                if text(subject, &["namespace"]) == "argocd"
                    && let Some(members) = subject.as_object_mut()
                {
                    members.insert("namespace".into(), json!(self.namespace));
                }
            }
        }
        Ok(object)
    }

    /// Applies one object, unless it has been handed over since the run before.
    async fn one(&mut self, object: Json) -> Result<(), Error> {
        if self.cx.is_cancelled() {
            let kind = stead_sdk::ErrorKind::Cancelled;
            return Err(Error::of_kind(kind, "install Argo CD", "interrupted"));
        }
        let id = ObjectRef::of(&object)?;
        if self.previous.contains(&id)
            && let Some(present) = self.client.cluster.get(&id, self.cx).await?
            && !is_ours(&present)
        {
            self.applied.push(id);
            return Ok(());
        }
        apply(&self.client.cluster, &object, self.force, self.cx).await?;
        self.applied.push(id);
        Ok(())
    }

    /// Waits until the definitions are served.
    async fn definitions(&self) -> Result<(), Error> {
        for id in self.applied.iter().filter(|o| is_definition(o)) {
            let what = format!("the definition {}", id.name);
            let polling = Polling::default()
                .timeout(self.left())
                .tolerating_transient();
            wait::until(self.cx, &what, polling, || async {
                let found = self
                    .client
                    .cluster
                    .get(id, self.cx)
                    .await?
                    .unwrap_or(Json::Null);
                match established(&found) {
                    Readiness::Ready => Ok(Poll::Ready(())),
                    Readiness::Pending(why) => Ok(Poll::PendingBecause(why)),
                    Readiness::Failed(why) => Err(Error::new(format!("establish {id}"), why)),
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Removes what an earlier manifest had and this one has not.
    async fn prune(&self) -> Result<(), Error> {
        for id in self.previous.iter().filter(|o| !self.applied.contains(o)) {
            let present = self.client.cluster.get(id, self.cx).await?;
            if present.as_ref().is_some_and(is_ours) {
                self.cx
                    .progress(format!("deleting {id}, which the manifest has no more"));
                self.client
                    .cluster
                    .delete(id, Propagation::Background, self.cx)
                    .await?;
            }
        }
        Ok(())
    }

    /// Waits until every workload is available.
    async fn workloads(&self) -> Result<(), Error> {
        let workloads: Vec<&ObjectRef> = self.applied.iter().filter(|o| is_workload(o)).collect();
        let polling = Polling::default()
            .timeout(self.left())
            .tolerating_transient();
        let waited = wait::until(self.cx, "Argo CD's workloads", polling, || async {
            let mut pending = Vec::new();
            for id in &workloads {
                let Some(found) = self.client.cluster.get(id, self.cx).await? else {
                    return Err(Error::not_found(format!("wait for {id}"), "it is gone"));
                };
                match rollout(&found) {
                    Readiness::Ready => {}
                    Readiness::Pending(why) => pending.push(format!("{} {why}", id.name)),
                    Readiness::Failed(why) => {
                        return Err(Error::new(format!("roll out {id}"), why)
                            .remedy("Look at its pods: `kubectl -n NAMESPACE describe pods`."));
                    }
                }
            }
            Ok(if pending.is_empty() {
                Poll::Ready(())
            } else {
                Poll::PendingBecause(pending.join(", "))
            })
        });
        waited.await.map_err(|error| match error.kind() {
            stead_sdk::ErrorKind::TimedOut => {
                error.remedy("Look at the pods' events (`kubectl describe pods`), or give it longer with `timeout`.")
            }
            _ => error,
        })
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// A manifest file that can be read already decides what the plan knows.
async fn planned_manifest(config: &Value, cx: &Context) -> Result<Option<Manifest>, Error> {
    let known = |name: &str| -> Result<Option<Option<String>>, Diagnostic> {
        match config.get(name) {
            Some(value) if !value.is_known() => Ok(None),
            _ => codec::attribute(config, name).map(Some),
        }
    };
    let (Some(Some(file)), Some(sha256)) = (known("manifest_file")?, known("sha256")?) else {
        return Ok(None);
    };
    match Source::File(&file)
        .load(sha256.as_deref(), &Dialer::direct(), cx)
        .await
    {
        Ok(manifest) => Ok(Some(manifest)),
        // Another resource may still write it.
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Resource for ArgoCd {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let part = |name: &str| {
            let value = config.get(name).filter(|v| !v.is_null())?;
            Some(value.as_str().unwrap_or("?").to_owned())
        };
        let (file, url, sha256) = (part("manifest_file"), part("manifest_url"), part("sha256"));
        let mut found = Diagnostics::new();
        if let Err(error) = Source::of(file.as_deref(), url.as_deref(), sha256.as_deref()) {
            found.push(error.into());
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
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        let at = |name: &str| Path::root().attr(name);
        if plan.prior().get("settled").and_then(|v| v.as_bool()) == Some(false) {
            plan.set_unknown(&at("settled"))?;
            plan.note("waits again for what the last apply waited for in vain");
        }
        let manifest = planned_manifest(plan.config(), cx).await?;
        let digest = manifest.as_ref().map(|m| Value::string(&m.sha256));
        let same = digest.is_some() && plan.prior().get("manifest_sha256") == digest;
        let moved = ["manifest_file", "manifest_url", "sha256"]
            .iter()
            .any(|n| plan.changes(n));
        let changed = if manifest.is_some() { !same } else { moved };
        if !plan.is_create() && changed {
            for name in FROM_MANIFEST {
                plan.set_unknown(&at(name))?;
            }
        }
        if let (Some(manifest), true) = (&manifest, plan.is_create() || changed) {
            plan.set(&at("manifest_sha256"), Value::string(&manifest.sha256))?;
            if let Some(version) = manifest.objects.version() {
                plan.set(&at("version"), Value::string(version))?;
            }
        }
        let missing = plan
            .prior()
            .get("missing")
            .and_then(|v| v.as_sequence().map(<[Value]>::len))
            .unwrap_or(0);
        if !plan.is_create() && missing > 0 {
            plan.set_unknown(&at("missing"))?;
            plan.note(format!(
                "{missing} objects are missing and are applied again"
            ));
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned.install(Vec::new(), client, cx).await
    }

    async fn read(client: &Client, mut prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let applied = prior.applied.clone().unwrap_or_default();
        let cluster = client.looking();
        let mut missing = Vec::new();
        for some in applied.chunks(AT_ONCE) {
            let found = try_join_all(some.iter().map(|id| cluster.get(id, cx))).await?;
            let gone = some.iter().zip(found).filter(|(_, found)| found.is_none());
            missing.extend(gone.map(|(id, _)| id.to_string()));
        }
        if !applied.is_empty() && missing.len() == applied.len() {
            return Ok(None);
        }
        prior.missing = missing;
        Ok(Some(prior))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned
            .install(prior.applied.unwrap_or_default(), client, cx)
            .await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let until = Instant::now() + duration(&prior.timeout, "timeout")?;
        let applied = prior.applied.unwrap_or_default();
        // Definitions last: their objects go with them. The namespace after all that is in it.
        let rank = |o: &ObjectRef| match o.kind.as_str() {
            "Namespace" => 2,
            "CustomResourceDefinition" => 1,
            _ => 0,
        };
        for stage in 0..=2 {
            let mut deleted = Vec::new();
            for id in applied.iter().rev().filter(|o| rank(o) == stage) {
                let present = client.cluster.get(id, cx).await?;
                if !present.as_ref().is_some_and(is_ours) {
                    continue;
                }
                cx.progress(format!("deleting {id}"));
                if client
                    .cluster
                    .delete(id, Propagation::Background, cx)
                    .await?
                {
                    deleted.push(id);
                }
            }
            for id in deleted {
                let left = until.saturating_duration_since(Instant::now());
                client.cluster.wait_gone(id, left, cx).await?;
            }
        }
        Ok(())
    }
}
