//! A small Kubernetes API for tests, written from the published contract: discovery, create, get, list, merge patch,
//! server-side apply with conflicts, dry runs, deletion with finalizers. The provider `gitops` uses it as well.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

/// Called for each object that is read, with the number of times that it was read before: plays the controllers.
pub(crate) type React = fn(&mut Json, u32);

#[derive(Default)]
struct World {
    objects: BTreeMap<String, Json>,
    reads: HashMap<String, u32>,
    /// Who owns which leaf of which object.
    owners: HashMap<(String, String), String>,
    /// API version, kind, plural, namespaced.
    kinds: Vec<(String, String, String, bool)>,
    log: Vec<String>,
    version: u64,
    /// Requests to refuse with 503, as a server that is coming up does.
    refuse: u32,
}

#[derive(Clone)]
pub(crate) struct Api {
    world: Arc<Mutex<World>>,
    react: React,
    pub(crate) url: String,
}

const KINDS: &[(&str, &str, &str, bool)] = &[
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Secret", "secrets", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("apps/v1", "Deployment", "deployments", true),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
];

impl Api {
    pub(crate) async fn start(react: React) -> Api {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kinds = KINDS
            .iter()
            .map(|(v, k, p, n)| ((*v).into(), (*k).into(), (*p).into(), *n))
            .collect();
        let world = World {
            kinds,
            ..World::default()
        };
        let api = Api {
            world: Arc::new(Mutex::new(world)),
            react,
            url,
        };
        let app = Router::new().fallback(serve).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        api
    }

    pub(crate) fn object(&self, path: &str) -> Option<Json> {
        self.world.lock().unwrap().objects.get(path).cloned()
    }

    /// Puts an object as somebody else would, who owns all its leaves.
    pub(crate) fn put(&self, path: &str, mut object: Json, manager: &str) {
        let mut world = self.world.lock().unwrap();
        let mut found = Vec::new();
        leaves(&object, String::new(), &mut found);
        for (leaf, _) in found {
            world
                .owners
                .insert((path.to_owned(), leaf), manager.to_owned());
        }
        world.stamp(&mut object, manager, "Update");
        world.objects.insert(path.to_owned(), object);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.world.lock().unwrap().objects.remove(path);
    }

    /// Methods and paths so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.world.lock().unwrap().log.clone()
    }

    pub(crate) fn refuse(&self, requests: u32) {
        self.world.lock().unwrap().refuse = requests;
    }
}

impl World {
    fn stamp(&mut self, object: &mut Json, manager: &str, operation: &str) {
        self.version += 1;
        let version = self.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        if object.pointer("/metadata/uid").is_none() {
            object["metadata"]["uid"] = json!(format!("uid-{version}"));
        }
        if object.pointer("/metadata/generation").is_none() {
            object["metadata"]["generation"] = json!(1);
        }
        if object.pointer("/metadata/managedFields").is_none() {
            object["metadata"]["managedFields"] = json!([]);
        }
        let managers = object["metadata"]["managedFields"].as_array_mut().unwrap();
        managers.retain(|m| m.get("manager").is_some());
        if !managers.iter().any(|m| m["manager"] == manager) {
            managers.push(json!({ "manager": manager, "operation": operation }));
        }
    }
}

fn leaves(value: &Json, path: String, out: &mut Vec<(String, Json)>) {
    match value {
        Json::Object(members) if !members.is_empty() => {
            for (k, v) in members {
                let top = path.is_empty();
                let identity = (top && (k == "apiVersion" || k == "kind"))
                    || (path == ".metadata" && (k == "name" || k == "namespace"));
                if !identity {
                    leaves(v, format!("{path}.{k}"), out);
                }
            }
        }
        leaf => out.push((path, leaf.clone())),
    }
}

/// The rules of server-side apply for objects; lists count as a whole.
fn overlay(live: &mut Json, wanted: &Json) {
    match (live, wanted) {
        (Json::Object(live), Json::Object(wanted)) => {
            for (k, v) in wanted {
                overlay(live.entry(k.clone()).or_insert(Json::Null), v);
            }
        }
        (live, wanted) => *live = wanted.clone(),
    }
}

fn merge(live: &mut Json, patch: &Json) {
    match (live, patch) {
        (Json::Object(live), Json::Object(patch)) => {
            for (k, v) in patch {
                if v.is_null() {
                    live.remove(k);
                } else {
                    merge(live.entry(k.clone()).or_insert(json!({})), v);
                }
            }
        }
        (live, patch) => *live = patch.clone(),
    }
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code });
    (StatusCode::from_u16(code).unwrap(), body.to_string()).into_response()
}

fn ok(body: &Json) -> Response {
    (StatusCode::OK, body.to_string()).into_response()
}

fn query<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs
        .filter_map(|p| p.split_once('='))
        .find(|(k, _)| *k == name)
        .map(|(_, v)| v)
}

async fn serve(State(api): State<Api>, method: Method, uri: Uri, body: Bytes) -> Response {
    let mut world = api.world.lock().unwrap();
    let path = uri.path().to_owned();
    let dry = if query(&uri, "dryRun").is_some() {
        " (dry run)"
    } else {
        ""
    };
    world.log.push(format!("{method} {path}{dry}"));
    if world.refuse > 0 {
        world.refuse -= 1;
        return status(503, "ServiceUnavailable", "the server is coming up");
    }
    let version = path
        .trim_start_matches("/apis/")
        .trim_start_matches("/api/")
        .to_owned();
    let of_version: Vec<_> = world
        .kinds
        .iter()
        .filter(|k| k.0 == version)
        .cloned()
        .collect();
    if method == Method::GET && !of_version.is_empty() {
        let all: Vec<Json> = of_version
            .iter()
            .map(|k| json!({ "kind": k.1, "name": k.2, "namespaced": k.3 }))
            .collect();
        return ok(&json!({ "kind": "APIResourceList", "resources": all }));
    }
    let last = path.rsplit('/').next().unwrap().to_owned();
    if world.kinds.iter().any(|k| k.2 == last) && !world.objects.contains_key(&path) {
        return collection(&api, &mut world, &method, &uri, &path, &body);
    }
    one(&api, &mut world, &method, &uri, &path, &body)
}

fn collection(
    api: &Api,
    world: &mut World,
    method: &Method,
    uri: &Uri,
    path: &str,
    body: &[u8],
) -> Response {
    if *method == Method::GET {
        let (root, plural) = path.rsplit_once('/').unwrap();
        let within = format!("/{plural}/");
        let keys: Vec<String> = world
            .objects
            .keys()
            .filter(|k| k.starts_with(root) && k.contains(&within))
            .cloned()
            .collect();
        let items: Vec<Json> = keys.iter().map(|k| read(api, world, k)).collect();
        return ok(&json!({ "kind": "List", "items": items }));
    }
    assert_eq!(*method, Method::POST, "{path}");
    let mut object: Json = serde_json::from_slice(body).unwrap();
    if let (None, Some(prefix)) = (
        object["metadata"].get("name"),
        object["metadata"].get("generateName"),
    ) {
        object["metadata"]["name"] = json!(format!("{}x7k2p", prefix.as_str().unwrap()));
    }
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let key = format!("{path}/{name}");
    if world.objects.contains_key(&key) {
        return status(409, "AlreadyExists", &format!("{:?} already exists", name));
    }
    world.stamp(
        &mut object,
        query(uri, "fieldManager").unwrap_or("unknown"),
        "Update",
    );
    world.objects.insert(key, object.clone());
    ok(&object)
}

fn read(api: &Api, world: &mut World, path: &str) -> Json {
    let reads = world.reads.entry(path.to_owned()).or_default();
    let before = *reads;
    *reads += 1;
    let object = world.objects.get_mut(path).unwrap();
    (api.react)(object, before);
    object.clone()
}

fn one(
    api: &Api,
    world: &mut World,
    method: &Method,
    uri: &Uri,
    path: &str,
    body: &[u8],
) -> Response {
    let present = world.objects.get(path).cloned();
    let manager = query(uri, "fieldManager").unwrap_or("unknown").to_owned();
    let apply = *method == Method::PATCH && (query(uri, "force").is_some() || is_manifest(body));
    if apply {
        let wanted: Json = serde_json::from_slice(body).unwrap();
        let dry = query(uri, "dryRun").is_some();
        return applied(
            world,
            path,
            present,
            &wanted,
            &manager,
            query(uri, "force").is_some(),
            dry,
        );
    }
    let Some(mut object) = present else {
        return status(404, "NotFound", "there is none");
    };
    match *method {
        Method::GET => ok(&read(api, world, path)),
        Method::PATCH => {
            let patch: Json = serde_json::from_slice(body).unwrap();
            let version = patch.pointer("/metadata/resourceVersion");
            if version.is_some_and(|v| *v != object["metadata"]["resourceVersion"]) {
                return status(409, "Conflict", "the object has been modified");
            }
            merge(&mut object, &patch);
            if patch.pointer("/metadata/managedFields").is_some() {
                world.version += 1;
                object["metadata"]["resourceVersion"] = json!(world.version.to_string());
            } else {
                world.stamp(&mut object, &manager, "Update");
            }
            world.objects.insert(path.to_owned(), object.clone());
            ok(&object)
        }
        Method::DELETE => {
            let held = object
                .pointer("/metadata/finalizers")
                .and_then(Json::as_array)
                .is_some_and(|f| !f.is_empty());
            if held {
                object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                world.objects.insert(path.to_owned(), object);
            } else {
                world.objects.remove(path);
            }
            ok(&json!({ "kind": "Status", "status": "Success" }))
        }
        _ => status(405, "MethodNotAllowed", "not here"),
    }
}

/// A whole object is an apply; a merge patch names no kind.
fn is_manifest(body: &[u8]) -> bool {
    serde_json::from_slice::<Json>(body).is_ok_and(|b| b.get("kind").is_some())
}

fn applied(
    world: &mut World,
    path: &str,
    present: Option<Json>,
    wanted: &Json,
    manager: &str,
    force: bool,
    dry: bool,
) -> Response {
    let mut found = Vec::new();
    leaves(wanted, String::new(), &mut found);
    let mut object = present.unwrap_or_else(|| json!({}));
    let before = object.clone();
    for (leaf, value) in &found {
        let owner = world.owners.get(&(path.to_owned(), leaf.clone()));
        let now = object.pointer(&leaf.replace('.', "/"));
        if let Some(owner) = owner.filter(|o| *o != manager)
            && now != Some(value)
            && !force
        {
            let message =
                format!("Apply failed with 1 conflict: conflict with {owner:?} using v1: {leaf}");
            return status(409, "Conflict", &message);
        }
    }
    overlay(&mut object, wanted);
    if dry {
        return ok(&object);
    }
    for (leaf, _) in found {
        world
            .owners
            .insert((path.to_owned(), leaf), manager.to_owned());
    }
    world.stamp(&mut object, manager, "Apply");
    let of_spec = |o: &Json| o.get("spec").cloned();
    if before.get("kind").is_some() && of_spec(&before) != of_spec(&object) {
        let generation = object["metadata"]["generation"].as_i64().unwrap();
        object["metadata"]["generation"] = json!(generation + 1);
    }
    if object["kind"] == "CustomResourceDefinition" {
        let spec = &object["spec"];
        let text = |p: &str| {
            spec.pointer(p)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let kind = (
            format!("{}/{}", text("/group"), text("/versions/0/name")),
            text("/names/kind"),
            text("/names/plural"),
            text("/scope") == "Namespaced",
        );
        world.kinds.push(kind);
    }
    world.objects.insert(path.to_owned(), object.clone());
    ok(&object)
}
