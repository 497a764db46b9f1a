//! The Image Factory: schematics and lists.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::json;
use stead_sdk::value::Value;
use tokio::net::TcpListener;

use super::{Talos, first};
use crate::machinery::{Schematic, VANILLA_ID};

const SCHEMATIC: &str = "talos_image_factory_schematic";

type Known = Arc<Mutex<BTreeSet<String>>>;

async fn start() -> (Talos, Known) {
    let known = Known::default();
    let register = async |State(known): State<Known>, body: String| {
        let id = Schematic::parse(&body).unwrap().id();
        known.lock().unwrap().insert(id.clone());
        (
            StatusCode::CREATED,
            json!({ "id": id, "schematic": body }).to_string(),
        )
    };
    let look = async |State(known): State<Known>, Path(id): Path<String>| {
        if known.lock().unwrap().contains(&id) {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        }
    };
    let extensions = json!([
        { "name": "siderolabs/iscsi-tools", "ref": "r1", "digest": "d1", "author": "a", "description": "x" },
        { "name": "siderolabs/util-linux-tools", "ref": "r2", "digest": "d2" },
    ]);
    let overlays = json!([{ "name": "rpi_generic", "image": "i", "ref": "r", "digest": "d" }]);
    let app = Router::new()
        .route("/schematics", post(register))
        .route("/schematics/{id}", get(look))
        .route(
            "/versions",
            get(async || json!(["v1.13.9", "v1.14.0-rc.1"]).to_string()),
        )
        .route(
            "/version/v1.13.9/extensions/official",
            get(async move || extensions.to_string()),
        )
        .route(
            "/version/v1.13.9/overlays/official",
            get(async move || overlays.to_string()),
        )
        .with_state(Arc::clone(&known));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (
        Talos::with(json!({ "image_factory_url": url })).await,
        known,
    )
}

#[tokio::test]
async fn the_identifier_is_known_at_plan_time() {
    let (talos, known) = start().await;
    let text = "customization:\n  extraKernelArgs: [a=1]\n";
    let config = talos
        .harness
        .config(SCHEMATIC, json!({ "schematic": text }))
        .unwrap();
    let plan = talos.harness.plan(SCHEMATIC, None, &config).await.unwrap();
    let id = Schematic::parse(text).unwrap().id();
    assert_eq!(plan.planned.get("id"), Some(Value::string(&id)));
    let made = talos
        .harness
        .apply_planned(SCHEMATIC, None, plan, config)
        .await
        .unwrap();
    assert_eq!(made.text("id"), id);
    let changed = talos
        .harness
        .apply(SCHEMATIC, Some(&made), json!({}))
        .await
        .unwrap();
    assert_eq!(changed.text("id"), VANILLA_ID);
    assert_eq!(known.lock().unwrap().len(), 2);
    let config = talos.harness.config(SCHEMATIC, json!({})).unwrap();
    assert_eq!(
        talos
            .harness
            .plan(SCHEMATIC, Some(&changed), &config)
            .await
            .unwrap()
            .planned,
        changed.value
    );
    // A factory that has forgotten is told again.
    known.lock().unwrap().clear();
    assert_eq!(
        talos
            .harness
            .read(SCHEMATIC, &changed)
            .await
            .unwrap()
            .unwrap()
            .value,
        changed.value
    );
    assert!(known.lock().unwrap().contains(VANILLA_ID));
}

#[tokio::test]
async fn a_schematic_is_checked_first() {
    let (talos, known) = start().await;
    let config = talos
        .harness
        .config(SCHEMATIC, json!({ "schematic": "customisation: {}\n" }))
        .unwrap();
    let found = talos
        .harness
        .plan(SCHEMATIC, None, &config)
        .await
        .unwrap_err();
    assert_eq!(
        first(&found).attribute.as_ref().unwrap().to_string(),
        "schematic"
    );
    assert!(known.lock().unwrap().is_empty());
}

#[tokio::test]
async fn lists_are_filtered() {
    let (talos, _) = start().await;
    let list = |value: Value, name: &str| {
        let list = value.get(name).unwrap();
        list.as_sequence().unwrap().to_vec()
    };
    let versions = talos.harness.data(
        "talos_image_factory_versions",
        json!({ "filters": { "stable_versions_only": true } }),
    );
    assert_eq!(
        list(versions.await.unwrap(), "talos_versions"),
        [Value::string("v1.13.9")]
    );
    let kind = "talos_image_factory_extensions_versions";
    for (filter, expected) in [
        (json!({ "filters": { "names": ["iscsi"] } }), 1),
        (json!({ "exact_filters": { "names": ["iscsi-tools"] } }), 0),
        (
            json!({ "exact_filters": { "names": ["siderolabs/iscsi-tools"] }, "filters": { "names": ["linux"] } }),
            2,
        ),
        (json!({}), 2),
    ] {
        let mut config = filter;
        config["talos_version"] = json!("1.13.9");
        let found = list(
            talos.harness.data(kind, config).await.unwrap(),
            "extensions_info",
        );
        assert_eq!(found.len(), expected);
        assert!(found.iter().all(|e| e.get("ref").is_some()));
    }
    let overlays = talos.harness.data(
        "talos_image_factory_overlays_versions",
        json!({ "talos_version": "v1.13.9" }),
    );
    assert_eq!(
        list(overlays.await.unwrap(), "overlays_info")[0].get("name"),
        Some(Value::string("rpi_generic"))
    );
    let missing = talos
        .harness
        .data(kind, json!({ "talos_version": "v1.0.0" }))
        .await
        .unwrap_err();
    assert!(first(&missing).detail.contains("404"));
    let odd = talos
        .harness
        .data(kind, json!({ "talos_version": "../x" }))
        .await
        .unwrap_err();
    assert_eq!(
        first(&odd).attribute.as_ref().unwrap().to_string(),
        "talos_version"
    );
}
