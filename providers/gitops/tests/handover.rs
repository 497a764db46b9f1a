//! From an empty cluster to one that Git owns, against an API and a play of Argo CD.

#[path = "../../kubernetes/tests/support/mod.rs"]
mod support;

use serde_json::{Value as Json, json};
use sha2::Digest as _;
use stead_sdk::Dialer;
use stead_sdk::testing::{ApplyFailure, Harness, Stored};
use support::Api;

const MANIFEST: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: applications.argoproj.io }
spec: { group: argoproj.io, scope: Namespaced, names: { kind: Application, plural: applications }, versions: [{ name: v1alpha1 }] }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: applicationsets.argoproj.io }
spec: { group: argoproj.io, scope: Namespaced, names: { kind: ApplicationSet, plural: applicationsets }, versions: [{ name: v1alpha1 }] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: argocd-cm }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: argocd-server }
subjects: [{ kind: ServiceAccount, name: argocd-server, namespace: argocd }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: argocd-server }
spec: { replicas: 1, template: { spec: { containers: [{ name: s, image: "quay.io/argoproj/argocd:v3.1.0" }] } } }
"#;

/// The controllers: definitions are established at the second look, workloads available at the third, applications healthy
/// at the third unless their path is `broken`.
fn controllers(object: &mut Json, reads: u32) {
    match object["kind"].as_str().unwrap_or_default() {
        "CustomResourceDefinition" if reads >= 1 => {
            object["status"] =
                json!({ "conditions": [{ "type": "Established", "status": "True" }] });
        }
        "Deployment" if reads >= 2 => {
            let generation = object["metadata"]["generation"].clone();
            object["status"] = json!({ "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
        }
        "Application" => {
            if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                annotations.remove("argocd.argoproj.io/refresh");
            }
            let health = if reads >= 2 { "Healthy" } else { "Progressing" };
            object["status"] = json!({
                "sync": { "status": "Synced", "revision": "abc", "comparedTo": { "source": object["spec"]["source"] } },
                "health": { "status": health },
                "resources": [
                    { "version": "v1", "kind": "ConfigMap", "namespace": "argocd", "name": "argocd-cm" },
                    { "group": "apps", "version": "v1", "kind": "Deployment", "namespace": "web", "name": "shop" }],
            });
            if object["spec"]["source"]["path"] == "broken" {
                object["status"]["conditions"] = json!([{ "type": "ComparisonError", "message": "broken: app path does not exist" }]);
            }
        }
        _ => {}
    }
}

struct Lab {
    api: Api,
    gitops: Harness,
    _folder: tempfile::TempDir,
    file: String,
}

async fn lab() -> Lab {
    let api = Api::start(controllers).await;
    let factory = stead_gitops::factory(&Dialer::direct());
    let gitops = Harness::configured(&factory, json!({ "host": api.url }))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("install.yaml").display().to_string();
    std::fs::write(&file, MANIFEST).unwrap();
    Lab {
        api,
        gitops,
        _folder: folder,
        file,
    }
}

fn text(failure: &ApplyFailure) -> String {
    failure
        .diagnostics
        .iter()
        .map(|d| format!("{}: {}\n", d.summary, d.detail))
        .collect()
}

/// Refreshes and plans again: nothing may change.
async fn settled(gitops: &Harness, kind: &str, stored: &Stored, config: Json) -> Stored {
    let read = gitops.read(kind, stored).await.unwrap().unwrap();
    let config = gitops.config(kind, config).unwrap();
    let plan = gitops.plan(kind, Some(&read), &config).await.unwrap();
    assert_eq!(plan.planned, read.value);
    assert_eq!(plan.planned, stored.value);
    read
}

async fn install(lab: &Lab) -> (Stored, Json) {
    let digest: String = sha2::Sha256::digest(MANIFEST)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let config = json!({ "manifest_file": lab.file, "sha256": digest });
    (
        lab.gitops
            .apply("gitops_argocd", None, config.clone())
            .await
            .unwrap(),
        config,
    )
}

const CONFIG_MAP: &str = "/api/v1/namespaces/argocd/configmaps/argocd-cm";

#[tokio::test]
async fn argocd_is_installed_in_order_and_removed_again() {
    let lab = lab().await;
    let (argocd, config) = install(&lab).await;
    assert_eq!(argocd.text("version"), "v3.1.0");
    assert_eq!(argocd.attribute("crds").as_sequence().unwrap().len(), 2);
    assert_eq!(argocd.attribute("objects").as_sequence().unwrap().len(), 6);
    let log = lab.api.log();
    let at = |what: &str| {
        log.iter()
            .position(|l| l.contains(what))
            .unwrap_or_else(|| panic!("{what}: {log:?}"))
    };
    assert!(at("PATCH /api/v1/namespaces/argocd") < at("PATCH /apis/apiextensions"));
    let asked =
        "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.argoproj.io";
    assert!(at(asked) < at(&format!("PATCH {CONFIG_MAP}")));
    assert!(
        log.iter()
            .filter(|l| l.starts_with("GET /apis/apps/v1/namespaces/argocd/deployments/"))
            .count()
            >= 3
    );
    let read = settled(&lab.gitops, "gitops_argocd", &argocd, config.clone()).await;

    // Drift: what is missing is applied again.
    lab.api.remove(CONFIG_MAP);
    let drifted = lab
        .gitops
        .read("gitops_argocd", &read)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        drifted.attribute("missing").as_sequence().unwrap()[0].as_str(),
        Some("ConfigMap argocd/argocd-cm")
    );
    let again = lab
        .gitops
        .apply("gitops_argocd", Some(&drifted), config)
        .await
        .unwrap();
    assert!(lab.api.object(CONFIG_MAP).is_some());

    lab.gitops.delete("gitops_argocd", &again).await.unwrap();
    let log = lab.api.log();
    let at = |what: &str| {
        log.iter()
            .position(|l| l.starts_with(what))
            .unwrap_or_else(|| panic!("{what}"))
    };
    assert!(at("DELETE /apis/apps") < at("DELETE /apis/apiextensions"));
    let last = log
        .iter()
        .position(|l| l == "DELETE /api/v1/namespaces/argocd")
        .unwrap();
    assert!(at("DELETE /apis/apiextensions") < last);
    assert!(
        lab.gitops
            .read("gitops_argocd", &again)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn another_manifest_updates_and_prunes() {
    let lab = lab().await;
    let config = json!({ "manifest_file": lab.file });
    let argocd = lab
        .gitops
        .apply("gitops_argocd", None, config.clone())
        .await
        .unwrap();
    let newer = MANIFEST
        .replace("v3.1.0", "v3.2.0")
        .replace("name: argocd-cm", "name: argocd-other");
    std::fs::write(&lab.file, newer).unwrap();
    let wanted = lab.gitops.config("gitops_argocd", config.clone()).unwrap();
    let plan = lab
        .gitops
        .plan("gitops_argocd", Some(&argocd), &wanted)
        .await
        .unwrap();
    assert_eq!(
        plan.planned.get("version").unwrap().as_str(),
        Some("v3.2.0")
    );
    let updated = lab
        .gitops
        .apply("gitops_argocd", Some(&argocd), config)
        .await
        .unwrap();
    assert_eq!(updated.text("version"), "v3.2.0");
    assert!(lab.api.object(CONFIG_MAP).is_none());
    assert!(
        lab.api
            .object("/api/v1/namespaces/argocd/configmaps/argocd-other")
            .is_some()
    );
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused_before_anything_is_asked() {
    let lab = lab().await;
    let config = json!({ "manifest_file": lab.file, "sha256": "00" });
    let failure = lab
        .gitops
        .apply("gitops_argocd", None, config)
        .await
        .unwrap_err();
    assert!(text(&failure).contains("SHA-256"), "{}", text(&failure));
    let url = json!({ "manifest_url": "https://example.org/install.yaml" });
    let failure = lab
        .gitops
        .apply("gitops_argocd", None, url)
        .await
        .unwrap_err();
    assert!(
        text(&failure).contains("needs `sha256`"),
        "{}",
        text(&failure)
    );
    assert!(lab.api.log().is_empty());
}

#[tokio::test]
async fn a_file_that_another_resource_writes_is_planned_for() {
    let factory = stead_gitops::factory(&Dialer::direct());
    let late = Harness::unconfigured(&factory);
    let config = late
        .config(
            "gitops_argocd",
            json!({ "manifest_file": "/nowhere/install.yaml" }),
        )
        .unwrap();
    let plan = late.plan("gitops_argocd", None, &config).await.unwrap();
    assert!(!plan.planned.get("version").unwrap().is_known());
}

#[tokio::test]
async fn an_installation_in_another_namespace_finds_its_accounts() {
    let lab = lab().await;
    let config = json!({ "manifest_file": lab.file, "namespace": "gitops" });
    lab.gitops
        .apply("gitops_argocd", None, config)
        .await
        .unwrap();
    let binding = lab
        .api
        .object("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/argocd-server")
        .unwrap();
    assert_eq!(binding.pointer("/subjects/0/namespace").unwrap(), "gitops");
    assert!(binding.pointer("/metadata/namespace").is_none());
    assert!(
        lab.api
            .object("/api/v1/namespaces/gitops/configmaps/argocd-cm")
            .is_some()
    );
}

fn application(path: &str) -> Json {
    json!({
        "name": "root", "repo_url": "https://git.lab/k8s.git", "path": path, "target_revision": "main",
        "sync_policy": { "prune": true, "self_heal": true, "sync_options": ["CreateNamespace=true"] },
    })
}

const ROOT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root";

#[tokio::test]
async fn git_takes_over_what_it_manages() {
    let lab = lab().await;
    let (argocd, argocd_config) = install(&lab).await;
    let owners = |path: &str| {
        let managers = lab.api.object(path).unwrap()["metadata"]["managedFields"].clone();
        managers
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["manager"] == "stead")
    };
    assert!(owners(CONFIG_MAP));
    let root = lab
        .gitops
        .apply("gitops_application", None, application("k8s"))
        .await
        .unwrap();
    assert_eq!(root.text("id"), "argocd/root");
    let first = |name: &str| root.attribute(name).as_sequence().unwrap()[0].clone();
    assert_eq!(
        first("applications").get("health_status").unwrap().as_str(),
        Some("Healthy")
    );
    assert_eq!(
        first("applications").get("revision").unwrap().as_str(),
        Some("abc")
    );
    assert_eq!(first("owned").as_str(), Some("Deployment web/shop"));
    assert_eq!(
        first("released").as_str(),
        Some("v1/ConfigMap argocd/argocd-cm")
    );
    assert!(!owners(CONFIG_MAP));
    assert!(owners(
        "/apis/apps/v1/namespaces/argocd/deployments/argocd-server"
    ));
    let sent = lab.api.object(ROOT).unwrap();
    assert_eq!(
        sent["spec"]["syncPolicy"]["automated"],
        json!({ "prune": true, "selfHeal": true })
    );
    let root = settled(&lab.gitops, "gitops_application", &root, application("k8s")).await;
    let argocd = settled(&lab.gitops, "gitops_argocd", &argocd, argocd_config).await;

    // What somebody changes in the application is drift; what Git made is not deleted by us.
    let mut live = sent;
    live["spec"]["source"]["path"] = json!("elsewhere");
    lab.api.put(ROOT, live, "stead");
    let read = lab
        .gitops
        .read("gitops_application", &root)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.text("path"), "elsewhere");
    let root = lab
        .gitops
        .apply("gitops_application", Some(&read), application("k8s"))
        .await
        .unwrap();
    assert_eq!(
        lab.api.object(ROOT).unwrap()["spec"]["source"]["path"],
        "k8s"
    );
    lab.api.log();

    // The finalizer is put on, so that Argo CD removes what it made; here it is Argo CD's part to take it off.
    let api = lab.api.clone();
    let argo = tokio::spawn(async move {
        loop {
            if let Some(mut object) = api.object(ROOT)
                && object["metadata"].get("deletionTimestamp").is_some()
            {
                assert_eq!(
                    object["metadata"]["finalizers"],
                    json!(["resources-finalizer.argocd.argoproj.io"])
                );
                object["metadata"]["finalizers"] = json!([]);
                api.remove(ROOT);
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    lab.gitops
        .delete("gitops_application", &root)
        .await
        .unwrap();
    argo.await.unwrap();
    assert!(
        lab.gitops
            .read("gitops_application", &root)
            .await
            .unwrap()
            .is_none()
    );
    lab.gitops.delete("gitops_argocd", &argocd).await.unwrap();
    // It was handed over, and its namespace with it is only ours.
    assert!(lab.api.object(CONFIG_MAP).is_some());
}

#[tokio::test]
async fn an_application_set_is_done_when_what_it_generates_is() {
    let lab = lab().await;
    install(&lab).await;
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": { "name": "apps" },
        "spec": { "generators": [], "template": {} },
    });
    let config = json!({ "manifest": set, "release": [] });
    let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets/apps";
    // The set's controller, which makes an application as soon as the set is there.
    let api = lab.api.clone();
    tokio::spawn(async move {
        let mut set = loop {
            if let Some(set) = api.object(path) {
                break set;
            }
            tokio::task::yield_now().await;
        };
        let child = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": "shop", "namespace": "argocd", "ownerReferences": [{ "uid": set["metadata"]["uid"] }] },
            "spec": { "source": { "path": "apps/shop" } },
        });
        api.put(
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop",
            child,
            "applicationset-controller",
        );
        set["status"] =
            json!({ "conditions": [{ "type": "ResourcesUpToDate", "status": "True" }] });
        api.put(path, set, "applicationset-controller");
    });
    let made = lab
        .gitops
        .apply("gitops_application", None, config.clone())
        .await
        .unwrap();
    assert_eq!(made.attribute("released").as_sequence().unwrap().len(), 0);
    let shop = made.attribute("applications").as_sequence().unwrap()[0].clone();
    assert_eq!(shop.get("health_status").unwrap().as_str(), Some("Healthy"));
    settled(&lab.gitops, "gitops_application", &made, config).await;
    assert_eq!(
        lab.api.object(path).unwrap()["metadata"]["namespace"],
        "argocd"
    );
}

#[tokio::test]
async fn an_application_that_cannot_be_compared_ends_the_wait() {
    let lab = lab().await;
    install(&lab).await;
    let mut config = application("broken");
    config["timeout"] = json!("200ms");
    let failure = lab
        .gitops
        .apply("gitops_application", None, config)
        .await
        .unwrap_err();
    assert!(
        text(&failure).contains("root: ComparisonError: broken: app path does not exist"),
        "{}",
        text(&failure)
    );
    // The application exists: it is kept, and so is what is known of it.
    assert_eq!(
        failure
            .kept
            .unwrap()
            .attribute("applications")
            .as_sequence()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_no_application_is_refused() {
    let lab = lab().await;
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" } });
    let failure = lab
        .gitops
        .apply("gitops_application", None, json!({ "manifest": secret }))
        .await
        .unwrap_err();
    assert!(text(&failure).contains("AppProject"), "{}", text(&failure));
    let half = lab
        .gitops
        .apply("gitops_application", None, json!({ "name": "a" }))
        .await
        .unwrap_err();
    assert!(
        text(&half).contains("`repo_url` is required"),
        "{}",
        text(&half)
    );
    assert!(lab.api.log().is_empty());
}

#[tokio::test]
async fn a_repository_is_a_labelled_secret() {
    let lab = lab().await;
    let config = |password: &str| json!({ "name": "repo", "url": "https://git.lab/k8s.git", "username": "git", "password": password });
    let made = lab
        .gitops
        .apply("gitops_repository", None, config("hidden"))
        .await
        .unwrap();
    let path = "/api/v1/namespaces/argocd/secrets/repo";
    let live = lab.api.object(path).unwrap();
    assert_eq!(
        live["metadata"]["labels"]["argocd.argoproj.io/secret-type"],
        "repository"
    );
    assert_eq!(live["data"]["password"], "aGlkZGVu");
    assert_eq!(live["data"]["type"], "Z2l0");
    let read = settled(&lab.gitops, "gitops_repository", &made, config("hidden")).await;
    let changed = lab
        .gitops
        .apply("gitops_repository", Some(&read), config("other"))
        .await
        .unwrap();
    assert_eq!(
        lab.api.object(path).unwrap()["data"]["password"],
        "b3RoZXI="
    );
    lab.gitops
        .delete("gitops_repository", &changed)
        .await
        .unwrap();
    assert!(lab.api.object(path).is_none());

    let hidden = json!({ "name": "ssh", "url": "git@git.lab:k8s.git", "ssh_private_key_wo": "KEY", "wo_revision": 1 });
    let made = lab
        .gitops
        .apply("gitops_repository", None, hidden)
        .await
        .unwrap();
    assert!(!format!("{:?}", made.value).contains("KEY"));
    let live = lab
        .api
        .object("/api/v1/namespaces/argocd/secrets/ssh")
        .unwrap();
    assert_eq!(live["data"]["sshPrivateKey"], "S0VZ");
}
