//! The stand-in for Argo CD: it lives when its controllers do, and syncs what is committed.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Environment, node};
use futures::{StreamExt, TryStreamExt};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, WatchEvent, WatchParams,
};
use serde_json::{Value, json};
use stead_lab_kubernetes::RepositoryMapping;

fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "init.defaultBranch=main",
            "-C",
        ])
        .arg(folder)
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "git {arguments:?}");
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn commit(folder: &Path) {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "-m", "change"]);
}

const CRDS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: NAME.argoproj.io}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {plural: NAME, kind: KIND}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// Argo CD as its manifest installs it, without the schemas' details.
async fn install(lab: &Environment) {
    lab.cluster.node_joined(node("n1")).await;
    let mut text = String::new();
    for (plural, kind) in [
        ("applications", "Application"),
        ("applicationsets", "ApplicationSet"),
        ("appprojects", "AppProject"),
    ] {
        text.push_str("---");
        text.push_str(&CRDS.replace("NAME", plural).replace("KIND", kind));
    }
    text.push_str("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n");
    for (kind, name) in [
        ("StatefulSet", "argocd-application-controller"),
        ("Deployment", "argocd-repo-server"),
        ("Deployment", "argocd-server"),
        ("Deployment", "argocd-applicationset-controller"),
    ] {
        text.push_str(&format!("---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  selector: {{matchLabels: {{a: {name}}}}}\n  template:\n    metadata: {{labels: {{a: {name}}}}}\n    spec: {{containers: [{{name: c, image: argocd}}]}}\n"));
    }
    lab.cluster
        .apply_bootstrap_manifests("bootstrap", &text)
        .await
        .unwrap();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    ));
    let crds: Api<DynamicObject> = Api::all_with(lab.admin().await, &kind);
    for plural in ["applications", "applicationsets", "appprojects"] {
        until(&crds, &format!("{plural}.argoproj.io"), |s| {
            s["conditions"].as_array().is_some_and(|c| {
                c.iter()
                    .any(|c| c["type"] == "Established" && c["status"] == "True")
            })
        })
        .await;
    }
}

async fn argo(lab: &Environment, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind));
    Api::namespaced_with(lab.admin().await, "argocd", &resource)
}

async fn apply(lab: &Environment, object: Value) {
    let api = argo(lab, object["kind"].as_str().unwrap()).await;
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    api.patch(
        &name,
        &PatchParams::apply("test").force(),
        &Patch::Apply(object),
    )
    .await
    .unwrap();
}

fn application(name: &str, url: &str, path: &str, sync: Value) -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name, "namespace": "argocd"},
        "spec": {"project": "default", "source": {"repoURL": url, "path": path, "targetRevision": "HEAD"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name}, "syncPolicy": sync}})
}

/// Waits until an Argo CD object satisfies a condition.
async fn until(api: &Api<DynamicObject>, name: &str, what: impl Fn(&Value) -> bool) -> Value {
    let params = WatchParams::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(60);
    let mut events = api.watch(&params, "0").await.unwrap().boxed();
    let mut last = Value::Null;
    while let Some(event) = events.try_next().await.unwrap() {
        if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
            last = object.data["status"].clone();
            if what(&last) {
                return last;
            }
        }
    }
    panic!("{name} never became what was wanted: {last:#}")
}

fn is_done(status: &Value) -> bool {
    status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy"
}

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: nginx}]}\n";

#[tokio::test]
async fn a_kustomization_is_synced_healed_pruned_and_cleaned_up() {
    let lab = Environment::new(false).await;
    install(&lab).await;
    let repository = tempfile::tempdir().unwrap();
    git(repository.path(), &["init", "-q"]);
    write(
        repository.path(),
        &[
            (
                "base/kustomization.yaml",
                "resources: [web.yaml]\nconfigMapGenerator: [{name: env, literals: [A=1]}]\n",
            ),
            ("base/web.yaml", WEB),
            (
                "overlays/prod/kustomization.yaml",
                "resources: [../../base, extra.yaml]\nnamespace: shop\nimages: [{name: nginx, newTag: '2'}]\n",
            ),
            (
                "overlays/prod/extra.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {k: v}\n",
            ),
        ],
    );
    commit(repository.path());
    let url = format!("file://{}", repository.path().display());
    let mut wanted = application(
        "shop",
        &url,
        "overlays/prod",
        json!({"automated": {"prune": true, "selfHeal": true}, "syncOptions": ["CreateNamespace=true"]}),
    );
    wanted["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
    apply(&lab, wanted).await;
    let apps = argo(&lab, "Application").await;
    let status = until(&apps, "shop", is_done).await;
    assert_eq!(status["operationState"]["phase"], "Succeeded");
    assert_eq!(status["sourceType"], "Kustomize");
    assert_eq!(status["summary"]["images"], json!(["nginx:2"]));
    let client = lab.admin().await;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(client.clone(), "shop");
    let extra = maps.get("extra").await.unwrap();
    assert_eq!(
        extra.metadata.annotations.unwrap()["argocd.argoproj.io/tracking-id"],
        "shop:/ConfigMap:shop/extra"
    );
    assert!(
        extra
            .metadata
            .managed_fields
            .unwrap()
            .iter()
            .any(|m| m.manager.as_deref() == Some("argocd-controller"))
    );
    // A manual change is put right.
    maps.patch(
        "extra",
        &PatchParams::default(),
        &Patch::Merge(json!({"data": {"k": "mine"}})),
    )
    .await
    .unwrap();
    let mut events = maps
        .watch(
            &WatchParams::default()
                .fields("metadata.name=extra")
                .timeout(60),
            "0",
        )
        .await
        .unwrap()
        .boxed();
    loop {
        if let Some(WatchEvent::Added(map) | WatchEvent::Modified(map)) =
            events.try_next().await.unwrap()
            && map.data.unwrap()["k"] == "v"
        {
            break;
        }
    }
    // What leaves Git is pruned.
    write(
        repository.path(),
        &[(
            "overlays/prod/kustomization.yaml",
            "resources: [../../base]\nnamespace: shop\n",
        )],
    );
    commit(repository.path());
    apps.patch(
        "shop",
        &PatchParams::default(),
        &Patch::Merge(json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}})),
    )
    .await
    .unwrap();
    let first = status["sync"]["revision"].clone();
    until(&apps, "shop", |s| {
        is_done(s) && s["sync"]["revision"] != first
    })
    .await;
    assert!(maps.get_opt("extra").await.unwrap().is_none());
    assert!(
        apps.get("shop")
            .await
            .unwrap()
            .metadata
            .annotations
            .is_none_or(|a| !a.contains_key("argocd.argoproj.io/refresh"))
    );
    // The finalizer takes the resources along.
    apps.delete("shop", &DeleteParams::default()).await.unwrap();
    let mut events = apps
        .watch(&WatchParams::default().timeout(60), "0")
        .await
        .unwrap()
        .boxed();
    while let Some(event) = events.try_next().await.unwrap() {
        if matches!(event, WatchEvent::Deleted(_)) {
            break;
        }
    }
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client, "shop");
    assert!(
        deployments
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn an_application_set_makes_an_application_of_each_folder() {
    let lab = Environment::new(false).await;
    install(&lab).await;
    let repository = tempfile::tempdir().unwrap();
    git(repository.path(), &["init", "-q"]);
    for app in ["one", "two"] {
        write(
            repository.path(),
            &[
                (
                    &format!("apps/{app}/overlays/prod/kustomization.yaml"),
                    "resources: [map.yaml]\n",
                ),
                (
                    &format!("apps/{app}/overlays/prod/map.yaml"),
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
                ),
            ],
        );
    }
    commit(repository.path());
    lab.kubernetes
        .map_repository(RepositoryMapping {
            url_prefix: "https://github.com/me/".into(),
            folder: repository.path().parent().unwrap().into(),
            worktree: false,
            private: true,
        })
        .unwrap();
    let url = format!(
        "https://github.com/me/{}.git",
        repository.path().file_name().unwrap().to_str().unwrap()
    );
    let set = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": "apps", "namespace": "argocd"},
        "spec": {"goTemplate": true, "goTemplateOptions": ["missingkey=error"],
            "generators": [{"git": {"repoURL": url, "revision": "main", "directories": [{"path": "apps/*/overlays/prod"}]}}],
            "template": {"metadata": {"name": "{{ index .path.segments 1 }}-{{ .path.basename }}"},
                "spec": {"project": "default", "source": {"repoURL": url, "path": "{{ .path.path }}", "targetRevision": "main"},
                    "destination": {"name": "in-cluster", "namespace": "{{ index .path.segments 1 }}"},
                    "syncPolicy": {"automated": {}, "syncOptions": ["CreateNamespace=true"]}}}}});
    apply(&lab, set).await;
    let sets = argo(&lab, "ApplicationSet").await;
    let status = until(&sets, "apps", |s| s["conditions"][0]["status"] == "True").await;
    assert!(
        status["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("authentication required"),
        "{status}"
    );
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(lab.admin().await, "argocd");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "repo", "labels": {"argocd.argoproj.io/secret-type": "repo-creds"}},
        "stringData": {"url": "https://github.com/me", "username": "git", "password": "x"}});
    secrets
        .patch("repo", &PatchParams::apply("t"), &Patch::Apply(secret))
        .await
        .unwrap();
    let status = until(&sets, "apps", |s| {
        s["resources"].as_array().is_some_and(|r| r.len() == 2)
    })
    .await;
    assert_eq!(status["resources"][0]["name"], "one-prod");
    let apps = argo(&lab, "Application").await;
    for name in ["one-prod", "two-prod"] {
        until(&apps, name, is_done).await;
    }
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_missing_kind_fails_until_it_comes_and_waves_order_the_rest() {
    let lab = Environment::new(false).await;
    install(&lab).await;
    let folder = tempfile::tempdir().unwrap();
    let crd = CRDS
        .replace("argoproj.io", "example.com")
        .replace("NAME", "widgets")
        .replace("KIND", "Widget");
    write(
        folder.path(),
        &[
            (
                "use/widget.yaml",
                "apiVersion: example.com/v1alpha1\nkind: Widget\nmetadata: {name: w}\n",
            ),
            ("define/crd.yaml", &crd),
            (
                "waves/1.yaml",
                &format!(
                    "{}---\n{}",
                    WEB.replace(
                        "metadata: {name: web}\n",
                        "metadata: {name: web, annotations: {argocd.argoproj.io/sync-wave: '-1'}}\n"
                    ),
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: after}\n"
                ),
            ),
        ],
    );
    lab.kubernetes
        .map_repository(RepositoryMapping {
            url_prefix: "https://git.example/home".into(),
            folder: folder.path().into(),
            worktree: true,
            private: false,
        })
        .unwrap();
    let sync = json!({"automated": {"selfHeal": true}, "syncOptions": ["CreateNamespace=true"]});
    apply(
        &lab,
        application("use", "https://git.example/home.git", "use", sync.clone()),
    )
    .await;
    let apps = argo(&lab, "Application").await;
    let status = until(&apps, "use", |s| s["operationState"]["phase"] == "Failed").await;
    assert_eq!(
        status["operationState"]["message"],
        "one or more synchronization tasks are not valid"
    );
    let why = status["operationState"]["syncResult"]["resources"][0]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        why.starts_with(
            "The Kubernetes API could not find example.com/Widget for requested resource use/w."
        ),
        "{why}"
    );
    assert_eq!(status["health"]["status"], "Missing");
    apply(
        &lab,
        application(
            "define",
            "https://git.example/home.git",
            "define",
            sync.clone(),
        ),
    )
    .await;
    until(&apps, "define", is_done).await;
    until(&apps, "use", is_done).await;
    apply(
        &lab,
        application("waves", "https://git.example/home.git", "waves", sync),
    )
    .await;
    let status = until(&apps, "waves", is_done).await;
    let order: Vec<&str> = status["operationState"]["syncResult"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["Deployment", "ConfigMap"]);
    // An application that cannot be: unknown project, unmapped repository.
    let mut lost = application("lost", "https://git.example/other", "x", json!({}));
    apply(&lab, lost.clone()).await;
    let status = until(&apps, "lost", |s| {
        s["conditions"][0]["type"] == "ComparisonError"
    })
    .await;
    assert_eq!(status["sync"]["status"], "Unknown");
    lost["spec"]["project"] = "none".into();
    apply(&lab, lost).await;
    let status = until(&apps, "lost", |s| {
        s["conditions"][0]["type"] == "InvalidSpecError"
    })
    .await;
    assert_eq!(
        status["conditions"][0]["message"],
        "Application referencing project none which does not exist"
    );
    lab.lab.stop().await;
}
