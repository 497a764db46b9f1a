//! Namespaces, secrets and manifests against an API.

mod support;

use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::{ApplyFailure, Harness, Stored};
use support::Api;

fn nothing(_: &mut Json, _: u32) {}

async fn configured(api: &Api) -> Harness {
    let factory = stead_kubernetes::factory(&Dialer::direct());
    Harness::configured(&factory, json!({ "host": api.url }))
        .await
        .unwrap()
}

fn text(failure: &ApplyFailure) -> String {
    failure
        .diagnostics
        .iter()
        .map(|d| format!("{}: {}\n", d.summary, d.detail))
        .collect()
}

fn identity_of(stored: &Stored) -> Json {
    let identity = stored.identity.as_ref().unwrap();
    stead_sdk::value::json::to_json(identity, &identity.ty()).unwrap()
}

/// A second plan of the same configuration changes nothing.
async fn settled(harness: &Harness, kind: &str, stored: &Stored, config: Json) {
    let read = harness.read(kind, stored).await.unwrap().unwrap();
    assert_eq!(read.value, stored.value);
    let config = harness.config(kind, config).unwrap();
    let plan = harness.plan(kind, Some(&read), &config).await.unwrap();
    assert_eq!(plan.planned, read.value);
}

#[tokio::test]
async fn a_namespace_lives_and_dies() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    let kind = "kubernetes_namespace_v1";
    let config = json!({ "metadata": [{ "name": "a", "labels": { "team": "x" } }] });
    // A server that is coming up is waited for.
    api.refuse(3);
    let made = kubernetes.apply(kind, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "a");
    settled(&kubernetes, kind, &made, config).await;

    let config = json!({ "metadata": [{ "name": "a", "labels": { "team": "y" }, "annotations": { "n": "1" } }] });
    let changed = kubernetes.apply(kind, Some(&made), config).await.unwrap();
    let live = api.object("/api/v1/namespaces/a").unwrap();
    assert_eq!(live.pointer("/metadata/labels/team").unwrap(), "y");
    assert_eq!(live.pointer("/metadata/annotations/n").unwrap(), "1");

    let again = json!({ "metadata": [{ "name": "a" }] });
    let failure = kubernetes.apply(kind, None, again).await.unwrap_err();
    assert!(text(&failure).contains("import"), "{}", text(&failure));
    assert!(failure.kept.is_none());
    assert_eq!(kubernetes.import(kind, "a").await.unwrap().text("id"), "a");
    let identity = json!({ "api_version": "v1", "kind": "Namespace", "name": "a" });
    assert_eq!(identity_of(&made), identity);
    let imported = kubernetes.import_by_identity(kind, identity).await.unwrap();
    assert_eq!(
        (imported.text("id"), &imported.identity),
        ("a".into(), &made.identity)
    );
    // The published provider imports the namespace all the same.
    let other = json!({ "api_version": "v1", "kind": "Secret", "name": "a" });
    let error = kubernetes
        .import_by_identity(kind, other)
        .await
        .unwrap_err();
    let detail = &error.iter().next().unwrap().detail;
    assert!(
        detail.contains("its identity is one of a Secret of v1"),
        "{detail}"
    );

    kubernetes.delete(kind, &changed).await.unwrap();
    assert!(api.object("/api/v1/namespaces/a").is_none());
    assert!(kubernetes.read(kind, &changed).await.unwrap().is_none());
}

#[tokio::test]
async fn a_generated_name_is_kept() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    let config = json!({ "metadata": [{ "generate_name": "lab-" }] });
    let made = kubernetes
        .apply("kubernetes_namespace", None, config.clone())
        .await
        .unwrap();
    assert_eq!(made.text("id"), "lab-x7k2p");
    settled(&kubernetes, "kubernetes_namespace", &made, config).await;
}

#[tokio::test]
async fn a_secret_holds_text_and_bytes() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    let kind = "kubernetes_secret_v1";
    let config = |data: Json| json!({ "metadata": [{ "name": "s", "namespace": "n" }], "data": data, "binary_data": { "b": "AAH/" } });
    let first = config(json!({ "user": "me", "old": "x" }));
    let made = kubernetes.apply(kind, None, first.clone()).await.unwrap();
    let path = "/api/v1/namespaces/n/secrets/s";
    let entries = |o: Json| o["data"].clone();
    assert_eq!(
        entries(api.object(path).unwrap()),
        json!({ "user": "bWU=", "old": "eA==", "b": "AAH/" })
    );
    settled(&kubernetes, kind, &made, first).await;

    let changed = kubernetes
        .apply(kind, Some(&made), config(json!({ "user": "you" })))
        .await
        .unwrap();
    assert_eq!(
        entries(api.object(path).unwrap()),
        json!({ "user": "eW91", "b": "AAH/" })
    );

    // Drift: what somebody else changed is what the state says next.
    let mut live = api.object(path).unwrap();
    live["data"]["user"] = json!("aGU=");
    api.put(path, live, "kubectl");
    let read = kubernetes.read(kind, &changed).await.unwrap().unwrap();
    assert_eq!(
        read.attribute("data").get("user").unwrap().as_str(),
        Some("he")
    );

    let wrong = json!({ "metadata": [{ "name": "t" }], "binary_data": { "b": "no base64" } });
    let failure = kubernetes.apply(kind, None, wrong).await.unwrap_err();
    assert!(text(&failure).contains("not base64") && !text(&failure).contains("no base64"));
    kubernetes.delete(kind, &read).await.unwrap();
    assert!(api.object(path).is_none());
}

#[tokio::test]
async fn write_only_data_never_comes_into_the_state() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    let kind = "kubernetes_secret_v1";
    let config = |value: &str, revision: i64| json!({ "metadata": [{ "name": "s" }], "data_wo": { "k": value }, "data_wo_revision": revision });
    let made = kubernetes
        .apply(kind, None, config("hidden", 1))
        .await
        .unwrap();
    let path = "/api/v1/namespaces/default/secrets/s";
    assert_eq!(
        api.object(path).unwrap()["data"],
        json!({ "k": "aGlkZGVu" })
    );
    let read = kubernetes.read(kind, &made).await.unwrap().unwrap();
    assert!(!format!("{:?}{:?}", made.value, read.value).contains("hidden"));
    let changed = kubernetes
        .apply(kind, Some(&read), config("other", 2))
        .await
        .unwrap();
    assert_eq!(
        api.object(path).unwrap()["data"],
        json!({ "k": "b3RoZXI=" })
    );
    assert!(!format!("{:?}", changed.value).contains("other"));
    let refused = json!({ "metadata": [{ "name": "s" }], "data_wo": { "k": "v" } });
    assert!(
        text(&kubernetes.apply(kind, None, refused).await.unwrap_err())
            .contains("data_wo_revision")
    );
}

#[tokio::test]
async fn an_immutable_secret_is_replaced() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    let config =
        |v: &str| json!({ "metadata": [{ "name": "s" }], "immutable": true, "data": { "k": v } });
    let made = kubernetes
        .apply("kubernetes_secret", None, config("a"))
        .await
        .unwrap();
    let changed = kubernetes.config("kubernetes_secret", config("b")).unwrap();
    let plan = kubernetes
        .plan("kubernetes_secret", Some(&made), &changed)
        .await
        .unwrap();
    let paths: Vec<String> = plan
        .requires_replace
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(paths, ["data"]);
}

fn config_map(data: Json) -> Json {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c", "namespace": "n" }, "data": data })
}

const MAP: &str = "/api/v1/namespaces/n/configmaps/c";

#[tokio::test]
async fn a_manifest_is_applied_and_drift_is_found() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    let kind = "kubernetes_manifest";
    let config = json!({ "manifest": config_map(json!({ "a": "1", "none": null })) });
    let made = kubernetes.apply(kind, None, config.clone()).await.unwrap();
    assert_eq!(api.object(MAP).unwrap()["data"], json!({ "a": "1" }));
    settled(&kubernetes, kind, &made, config.clone()).await;

    let mut live = api.object(MAP).unwrap();
    live["data"]["a"] = json!("2");
    api.put(MAP, live, "kubectl");
    let read = kubernetes.read(kind, &made).await.unwrap().unwrap();
    let wanted = kubernetes.config(kind, config.clone()).unwrap();
    let plan = kubernetes.plan(kind, Some(&read), &wanted).await.unwrap();
    assert!(!plan.planned.get("object").unwrap().is_known());

    // Their field is taken only when that is said.
    let failure = kubernetes
        .apply(kind, Some(&read), config)
        .await
        .unwrap_err();
    let said = text(&failure);
    assert!(
        said.contains("kubectl") && said.contains("force_conflicts = true"),
        "{said}"
    );
    let forced = json!({
        "manifest": config_map(json!({ "a": "1" })), "field_manager": [{ "force_conflicts": true }],
    });
    kubernetes.apply(kind, Some(&read), forced).await.unwrap();
    assert_eq!(api.object(MAP).unwrap()["data"]["a"], "1");
    kubernetes.delete(kind, &read).await.unwrap();
    assert!(api.object(MAP).is_none());
}

#[tokio::test]
async fn an_existing_object_is_not_taken_over_unless_imported() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    api.put(MAP, config_map(json!({ "a": "1" })), "kubectl");
    let config = json!({ "manifest": config_map(json!({ "a": "1" })) });
    let failure = kubernetes
        .apply("kubernetes_manifest", None, config)
        .await
        .unwrap_err();
    let id = "apiVersion=v1,kind=ConfigMap,namespace=n,name=c";
    assert!(text(&failure).contains(id), "{}", text(&failure));
    let imported = kubernetes.import("kubernetes_manifest", id).await.unwrap();
    assert_eq!(
        imported.attribute("object").get("kind").unwrap().as_str(),
        Some("ConfigMap")
    );
    let identity =
        json!({ "api_version": "v1", "kind": "ConfigMap", "name": "c", "namespace": "n" });
    assert_eq!(identity_of(&imported), identity);
    let again = kubernetes
        .import_by_identity("kubernetes_manifest", identity)
        .await
        .unwrap();
    assert_eq!(again.value, imported.value);
    // What lives in no namespace has an empty one in its identity.
    let config = json!({ "manifest": { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "z" } } });
    let namespace = kubernetes
        .apply("kubernetes_manifest", None, config)
        .await
        .unwrap();
    let identity =
        json!({ "api_version": "v1", "kind": "Namespace", "name": "z", "namespace": "" });
    assert_eq!(identity_of(&namespace), identity);
    let again = kubernetes
        .import_by_identity("kubernetes_manifest", identity)
        .await
        .unwrap();
    assert_eq!(again.identity, namespace.identity);
}

#[tokio::test]
async fn a_manifest_waits_for_its_rollout() {
    // Available at the third look.
    fn roll(object: &mut Json, reads: u32) {
        if object["kind"] == "Deployment" && reads >= 2 {
            let generation = object["metadata"]["generation"].clone();
            object["status"] = json!({ "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
        }
    }
    let api = Api::start(roll).await;
    let kubernetes = configured(&api).await;
    let manifest = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": "n" }, "spec": { "replicas": 1 } });
    let config = json!({ "manifest": manifest, "wait": [{ "rollout": true }] });
    let made = kubernetes
        .apply("kubernetes_manifest", None, config)
        .await
        .unwrap();
    assert!(made.attribute("object").get("status").is_none());
    let looks = api
        .log()
        .iter()
        .filter(|l| l.as_str() == "GET /apis/apps/v1/namespaces/n/deployments/d")
        .count();
    assert!(looks >= 3, "{:?}", api.log());
}

#[tokio::test]
async fn what_is_no_object_is_refused_before_anything_is_asked() {
    let api = Api::start(nothing).await;
    let kubernetes = configured(&api).await;
    for (manifest, expected) in [
        (
            json!({ "apiVersion": "v1", "kind": "Secret" }),
            "metadata.name",
        ),
        (
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "status": {} , "x": 1 }),
            "status",
        ),
        (json!("text"), "must be an object"),
    ] {
        let failure = kubernetes
            .apply("kubernetes_manifest", None, json!({ "manifest": manifest }))
            .await
            .unwrap_err();
        assert!(text(&failure).contains(expected), "{}", text(&failure));
    }
    assert!(api.log().is_empty());
}

#[tokio::test]
async fn a_cluster_that_does_not_exist_yet_is_planned_for() {
    let factory = stead_kubernetes::factory(&Dialer::direct());
    let late = Harness::unconfigured(&factory);
    let manifest = late
        .config(
            "kubernetes_manifest",
            json!({ "manifest": config_map(json!({})) }),
        )
        .unwrap();
    let plan = late
        .plan("kubernetes_manifest", None, &manifest)
        .await
        .unwrap();
    assert!(!plan.planned.get("object").unwrap().is_known());
    // Nor does a kubeconfig have to be there before the first request.
    let config = json!({ "config_path": "/nowhere/kubeconfig" });
    let later = Harness::configured(&factory, config).await.unwrap();
    let namespace = json!({ "metadata": [{ "name": "a" }] });
    let failure = later
        .apply("kubernetes_namespace_v1", None, namespace)
        .await
        .unwrap_err();
    assert!(
        text(&failure).contains("/nowhere/kubeconfig"),
        "{}",
        text(&failure)
    );
}
