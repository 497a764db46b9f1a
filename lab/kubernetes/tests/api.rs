//! The API as the `kube` crate uses it: discovery, server-side apply, watches, custom resources, workloads, access.

mod common;

use common::{Environment, node};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, EvictParams, GroupVersionKind, ListParams,
    Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use serde_json::json;

fn api_error(error: kube::Error) -> Box<kube::core::Status> {
    match error {
        kube::Error::Api(status) => status,
        other => panic!("{other:?}"),
    }
}

/// Waits until an object satisfies a condition, by watching it.
async fn until<K>(api: &Api<K>, name: &str, what: impl Fn(&K) -> bool) -> K
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + kube::Resource + 'static,
{
    let params = WatchParams::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(60);
    let mut events = api.watch(&params, "0").await.unwrap().boxed();
    while let Some(event) = events.try_next().await.unwrap() {
        if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
            && what(&object)
        {
            return object;
        }
    }
    panic!("{name} never became what was wanted")
}

fn web(replicas: i32) -> serde_json::Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx", "envFrom": [{"secretRef": {"name": "settings"}}]}]}}}})
}

#[tokio::test]
async fn server_side_apply_owns_fields_and_reports_conflicts() {
    let lab = Environment::new(false).await;
    let maps: Api<ConfigMap> = Api::namespaced(lab.admin().await, "default");
    let config = |v: &str| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": v}}),
        )
    };
    let made = maps
        .patch("c", &PatchParams::apply("one"), &config("1"))
        .await
        .unwrap();
    let again = maps
        .patch("c", &PatchParams::apply("one"), &config("1"))
        .await
        .unwrap();
    assert_eq!(
        made.metadata.resource_version, again.metadata.resource_version,
        "an apply without changes changes nothing"
    );
    let status = api_error(
        maps.patch("c", &PatchParams::apply("two"), &config("2"))
            .await
            .unwrap_err(),
    );
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"one\": .data.a"
    );
    let forced = maps
        .patch("c", &PatchParams::apply("two").force(), &config("2"))
        .await
        .unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
    let managers: Vec<_> = forced
        .metadata
        .managed_fields
        .unwrap()
        .into_iter()
        .map(|m| m.manager.unwrap())
        .collect();
    assert_eq!(managers, ["two"]);
    let dry = PatchParams {
        dry_run: true,
        ..PatchParams::apply("two")
    };
    maps.patch("c", &dry, &config("3")).await.unwrap();
    assert_eq!(maps.get("c").await.unwrap().data.unwrap()["a"], "2");
    lab.lab.stop().await;
}

#[tokio::test]
async fn errors_are_those_of_the_real_server() {
    let lab = Environment::new(false).await;
    let client = lab.admin().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "nowhere");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "c"}})).unwrap();
    let status = api_error(maps.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!(
        (status.code, status.message.as_str()),
        (404, "namespaces \"nowhere\" not found")
    );
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let made = maps.create(&PostParams::default(), &map).await.unwrap();
    let status = api_error(maps.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!(
        (status.code, status.reason.as_str(), status.message.as_str()),
        (409, "AlreadyExists", "configmaps \"c\" already exists")
    );
    let mut changed = made.clone();
    changed.data = Some([("x".to_owned(), "y".to_owned())].into());
    maps.replace("c", &PostParams::default(), &changed)
        .await
        .unwrap();
    let status = api_error(
        maps.replace("c", &PostParams::default(), &changed)
            .await
            .map(drop)
            .err()
            .unwrap_or_else(|| panic!("a stale version must conflict")),
    );
    assert_eq!(
        status.message,
        "Operation cannot be fulfilled on configmaps \"c\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let mut bad = web(1);
    bad["spec"]["selector"]["matchLabels"]["app"] = "other".into();
    let status = api_error(
        deployments
            .patch("web", &PatchParams::apply("t"), &Patch::Apply(bad))
            .await
            .unwrap_err(),
    );
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert!(
        status
            .message
            .ends_with("`selector` does not match template `labels`"),
        "{}",
        status.message
    );
    let mut unknown = web(1);
    unknown["spec"]["replica"] = 1.into();
    let status = api_error(
        deployments
            .patch("web", &PatchParams::apply("t"), &Patch::Apply(unknown))
            .await
            .unwrap_err(),
    );
    assert!(
        status
            .message
            .ends_with(".spec.replica: field not declared in schema"),
        "{}",
        status.message
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_deployment_waits_for_its_secret_and_a_namespace_takes_all_along() {
    let lab = Environment::new(false).await;
    let client = lab.admin().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let place: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &place)
        .await
        .unwrap();
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
        Api::namespaced(client.clone(), "shop");
    until(&accounts, "default", |_| true).await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "shop");
    deployments
        .patch("web", &PatchParams::apply("t"), &Patch::Apply(web(2)))
        .await
        .unwrap();
    lab.cluster.node_joined(node("n1")).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "shop");
    let mut events = pods
        .watch(&WatchParams::default().timeout(60), "0")
        .await
        .unwrap()
        .boxed();
    loop {
        let Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) =
            events.try_next().await.unwrap()
        else {
            continue;
        };
        let waiting = pod
            .status
            .and_then(|s| s.container_statuses)
            .and_then(|c| c[0].state.clone())
            .and_then(|s| s.waiting);
        if let Some(message) = waiting.and_then(|w| w.message) {
            assert_eq!(message, "secret \"settings\" not found");
            break;
        }
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "shop");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "settings"}, "stringData": {"a": "b"}});
    let made = secrets
        .patch("settings", &PatchParams::apply("t"), &Patch::Apply(secret))
        .await
        .unwrap();
    assert_eq!(made.data.unwrap()["a"].0, b"b");
    until(&deployments, "web", |d| {
        d.status
            .as_ref()
            .is_some_and(|s| s.ready_replicas == Some(2))
    })
    .await;
    deployments
        .patch_scale(
            "web",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"replicas": 1}})),
        )
        .await
        .unwrap();
    until(&deployments, "web", |d| {
        d.status.as_ref().is_some_and(|s| s.replicas == Some(1))
    })
    .await;
    namespaces
        .delete("shop", &DeleteParams::default())
        .await
        .unwrap();
    let mut gone = namespaces
        .watch(
            &WatchParams::default()
                .fields("metadata.name=shop")
                .timeout(60),
            "0",
        )
        .await
        .unwrap()
        .boxed();
    while let Some(event) = gone.try_next().await.unwrap() {
        if matches!(event, WatchEvent::Deleted(_)) {
            break;
        }
    }
    assert!(
        pods.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    lab.lab.stop().await;
}

fn widget_crd() -> serde_json::Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
                    "size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "enum": ["a", "b"], "default": "a"}}},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})
}

#[tokio::test]
async fn custom_resources_are_served_validated_defaulted_and_pruned() {
    let lab = Environment::new(false).await;
    let client = lab.admin().await;
    let crds: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> = Api::all(client.clone());
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Widget"));
    let widgets: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &kind);
    assert_eq!(
        api_error(widgets.list(&ListParams::default()).await.unwrap_err()).code,
        404
    );
    crds.patch(
        "widgets.example.com",
        &PatchParams::apply("t"),
        &Patch::Apply(widget_crd()),
    )
    .await
    .unwrap();
    until(&crds, "widgets.example.com", |c| {
        let conditions = c
            .status
            .as_ref()
            .and_then(|s| s.conditions.clone())
            .unwrap_or_default();
        conditions
            .iter()
            .any(|c| c.type_ == "Established" && c.status == "True")
    })
    .await;
    let widget = |spec: serde_json::Value| -> DynamicObject {
        serde_json::from_value(json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})).unwrap()
    };
    let status = api_error(
        widgets
            .create(&PostParams::default(), &widget(json!({"mode": "c"})))
            .await
            .unwrap_err(),
    );
    assert_eq!(status.code, 422);
    assert_eq!(
        status.message,
        "Widget.example.com \"w\" is invalid: [spec.size: Required value, spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"]"
    );
    let made = widgets
        .create(
            &PostParams::default(),
            &widget(json!({"size": 1, "extra": true})),
        )
        .await
        .unwrap();
    assert_eq!(made.data["spec"], json!({"size": 1, "mode": "a"}));
    let found = kube::discovery::Discovery::new(client.clone())
        .run_aggregated()
        .await
        .unwrap();
    assert!(found.has_group("example.com") && found.has_group("apps"));
    let found = kube::discovery::Discovery::new(client.clone())
        .run()
        .await
        .unwrap();
    assert!(found.has_group("example.com"));
    widgets
        .patch_status(
            "w",
            &PatchParams::default(),
            &Patch::Merge(json!({"status": {"any": 1}, "spec": {"size": 9}})),
        )
        .await
        .unwrap();
    let read = widgets.get("w").await.unwrap();
    assert_eq!(
        (
            read.data["spec"]["size"].clone(),
            read.data["status"]["any"].clone(),
            read.metadata.generation
        ),
        (json!(1), json!(1), Some(1))
    );
    crds.delete("widgets.example.com", &DeleteParams::default())
        .await
        .unwrap();
    let mut gone = crds
        .watch(&WatchParams::default().timeout(60), "0")
        .await
        .unwrap()
        .boxed();
    while let Some(event) = gone.try_next().await.unwrap() {
        if matches!(event, WatchEvent::Deleted(_)) {
            break;
        }
    }
    assert_eq!(
        api_error(widgets.list(&ListParams::default()).await.unwrap_err()).code,
        404
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn rights_come_from_certificates_and_bindings() {
    let lab = Environment::new(false).await;
    let client = lab.client_as("bob", "people").await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
    let status = api_error(secrets.list(&ListParams::default()).await.unwrap_err());
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            403,
            "secrets is forbidden: User \"bob\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\""
        )
    );
    let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(lab.admin().await);
    let binding = json!({"metadata": {"name": "bob"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}]});
    bindings
        .create(
            &PostParams::default(),
            &serde_json::from_value(binding).unwrap(),
        )
        .await
        .unwrap();
    secrets.list(&ListParams::default()).await.unwrap();
    let other = Environment::new(false).await;
    let mut stranger = other.kubeconfig("admin", "system:masters");
    stranger.clusters = lab.kubeconfig("x", "y").clusters;
    let config = kube::Config::from_custom_kubeconfig(stranger, &Default::default())
        .await
        .unwrap();
    let status = api_error(
        kube::Client::try_from(config)
            .unwrap()
            .apiserver_version()
            .await
            .unwrap_err(),
    );
    assert_eq!((status.code, status.reason.as_str()), (401, "Unauthorized"));
    lab.lab.stop().await;
    other.lab.stop().await;
}

#[tokio::test]
async fn nodes_wait_for_the_network_plugin_and_all_survives_a_restart() {
    let lab = Environment::new(true).await;
    lab.cluster.node_joined(node("n1")).await;
    assert!(
        lab.cluster
            .healthy()
            .await
            .unwrap_err()
            .contains("not ready")
    );
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cilium-config, namespace: kube-system}\n---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: cilium, namespace: kube-system, labels: {k8s-app: cilium}}\nspec:\n  selector: {matchLabels: {k8s-app: cilium}}\n  template:\n    metadata: {labels: {k8s-app: cilium}}\n    spec: {hostNetwork: true, containers: [{name: agent, image: cilium}]}\n";
    lab.cluster
        .apply_bootstrap_manifests("bootstrap", manifest)
        .await
        .unwrap();
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(lab.admin().await);
    let is_ready = |n: &k8s_openapi::api::core::v1::Node| {
        n.status
            .as_ref()
            .and_then(|s| s.conditions.as_ref())
            .is_some_and(|c| c.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
    };
    until(&nodes, "n1", is_ready).await;
    let services: Api<Service> = Api::namespaced(lab.admin().await, "default");
    let service: Service = serde_json::from_value(
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
    )
    .unwrap();
    let made = services
        .create(&PostParams::default(), &service)
        .await
        .unwrap();
    let address = made.spec.unwrap().cluster_ip.unwrap();
    assert!(address.starts_with("10.96."), "{address}");
    let lab = lab.restart().await;
    lab.cluster.node_joined(node("n1")).await;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(lab.admin().await);
    until(&nodes, "n1", is_ready).await;
    let services: Api<Service> = Api::namespaced(lab.admin().await, "default");
    let read = services.get("s").await.unwrap();
    assert_eq!(
        (read.metadata.uid, read.spec.unwrap().cluster_ip),
        (made.metadata.uid, Some(address))
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_and_old_watches_are_told_so() {
    let lab = Environment::new(false).await;
    let client = lab.admin().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-public");
    for index in 0..5 {
        let map = json!({"metadata": {"name": format!("m{index}"), "labels": {"page": "yes"}}});
        maps.create(
            &PostParams::default(),
            &serde_json::from_value(map).unwrap(),
        )
        .await
        .unwrap();
    }
    let mut found = Vec::new();
    let mut params = ListParams::default().labels("page=yes").limit(2);
    loop {
        let page = maps.list(&params).await.unwrap();
        assert!(page.items.len() <= 2);
        found.extend(page.items.into_iter().map(|m| m.metadata.name.unwrap()));
        match page.metadata.continue_.filter(|c| !c.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(found, ["m0", "m1", "m2", "m3", "m4"]);
    // A restart forgets the changes: a watch from before must list again.
    let lab = lab.restart().await;
    let maps: Api<ConfigMap> = Api::namespaced(lab.admin().await, "kube-public");
    let mut events = maps
        .watch(&WatchParams::default().timeout(60), "1")
        .await
        .unwrap()
        .boxed();
    match events.try_next().await.unwrap() {
        Some(WatchEvent::Error(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        other => panic!("{other:?}"),
    }
    lab.lab.stop().await;
}

#[tokio::test]
async fn owners_take_their_dependents_along_and_finalizers_hold_them() {
    let lab = Environment::new(false).await;
    let maps: Api<ConfigMap> = Api::namespaced(lab.admin().await, "default");
    let create = |map: serde_json::Value| {
        let maps = maps.clone();
        async move {
            maps.create(
                &PostParams::default(),
                &serde_json::from_value(map).unwrap(),
            )
            .await
            .unwrap()
        }
    };
    let owner = create(json!({"metadata": {"name": "owner"}})).await;
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}]);
    create(json!({"metadata": {"name": "dependent", "ownerReferences": reference, "finalizers": ["example.com/wait"]}})).await;
    maps.delete("owner", &DeleteParams::default())
        .await
        .unwrap();
    let waiting = until(&maps, "dependent", |m| {
        m.metadata.deletion_timestamp.is_some()
    })
    .await;
    assert_eq!(waiting.metadata.finalizers.unwrap(), ["example.com/wait"]);
    let patch = json!({"metadata": {"finalizers": null}});
    maps.patch("dependent", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert!(maps.get_opt("dependent").await.unwrap().is_none());
    lab.lab.stop().await;
}

#[tokio::test]
async fn the_description_says_what_clients_look_for() {
    let lab = Environment::new(false).await;
    let client = lab.admin().await;
    let get = |path: &str| {
        let request = axum::http::Request::get(path).body(Vec::new()).unwrap();
        let client = client.clone();
        async move { client.request::<serde_json::Value>(request).await.unwrap() }
    };
    let index = get("/openapi/v3").await;
    assert!(index["paths"]["apis/apps/v1"]["serverRelativeURL"].is_string());
    let apps = get("/openapi/v3/apis/apps/v1").await;
    let patch = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"]["kind"],
        "Deployment"
    );
    assert!(
        patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["name"] == "fieldValidation")
    );
    let schemas = &apps["components"]["schemas"];
    assert_eq!(
        schemas["core.v1.PodSpec"]["properties"]["containers"]["x-kubernetes-list-map-keys"],
        json!(["name"])
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn without_etcd_nothing_is_written_and_everything_is_read() {
    let lab = Environment::new(false).await;
    let maps: Api<ConfigMap> = Api::namespaced(lab.admin().await, "default");
    let map = |name: &str| serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    maps.create(&PostParams::default(), &map("before"))
        .await
        .unwrap();
    lab.cluster.set_writable(false);
    let refused = api_error(
        maps.create(&PostParams::default(), &map("meanwhile"))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (500, "etcdserver: request timed out")
    );
    let patch = Patch::Merge(json!({"data": {"a": "1"}}));
    for refused in [
        maps.patch("before", &PatchParams::default(), &patch)
            .await
            .map(drop),
        maps.delete("before", &DeleteParams::default())
            .await
            .map(drop),
    ] {
        assert_eq!(api_error(refused.unwrap_err()).code, 500);
    }
    let found = maps.get("before").await.unwrap();
    assert_eq!(found.data, None);
    assert!(maps.get_opt("meanwhile").await.unwrap().is_none());
    lab.cluster.set_writable(true);
    maps.create(&PostParams::default(), &map("after"))
        .await
        .unwrap();
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_budget_follows_its_pods_and_allows_an_eviction() {
    let lab = Environment::new(false).await;
    lab.cluster.node_joined(node("a")).await;
    let client = lab.admin().await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let mut web = web(1);
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([]);
    let web = serde_json::from_value(web).unwrap();
    deployments
        .create(&PostParams::default(), &web)
        .await
        .unwrap();
    until(&deployments, "web", |d| {
        d.status
            .as_ref()
            .is_some_and(|s| s.ready_replicas == Some(1))
    })
    .await;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), "default");
    let budget = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    budgets
        .create(
            &PostParams::default(),
            &serde_json::from_value(budget).unwrap(),
        )
        .await
        .unwrap();
    let allows = |n: i32| {
        move |budget: &PodDisruptionBudget| {
            budget
                .status
                .as_ref()
                .is_some_and(|s| s.disruptions_allowed == Some(n) && s.desired_healthy == Some(1))
        }
    };
    until(&budgets, "web", allows(0)).await;
    let pods: Api<Pod> = Api::namespaced(client, "default");
    let listed = pods.list(&ListParams::default()).await.unwrap();
    let first = listed.items[0].metadata.name.clone().unwrap();
    // With a second one, one may go. That the first one could not is tested elsewhere: this client asks on for minutes.
    let two = Patch::Merge(json!({"spec": {"replicas": 2}}));
    deployments
        .patch("web", &PatchParams::default(), &two)
        .await
        .unwrap();
    until(&budgets, "web", allows(1)).await;
    pods.evict(&first, &EvictParams::default()).await.unwrap();
    until(&budgets, "web", allows(1)).await;
    assert!(
        pods.get_opt(&first)
            .await
            .unwrap()
            .is_none_or(|p| p.metadata.deletion_timestamp.is_some())
    );
}
