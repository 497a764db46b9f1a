//! The schemas equal the published provider's, and its states are read.

use serde_json::json;
use stead_sdk::testing::{Harness, identity_table, provider_table, section_of};
use stead_sdk::{Dialer, ProviderFactory as _};

/// hashicorp/kubernetes 3.0, in the form of `../sdk/tools/schema_table.py`.
const PUBLISHED: &str = include_str!("published/kubernetes.txt");

#[test]
fn schemas_equal_the_published_ones() {
    let factory = stead_kubernetes::factory(&Dialer::direct());
    let ours = provider_table(factory.schema());
    let headings: Vec<&str> = ours.lines().filter(|l| !l.starts_with(' ')).collect();
    assert_eq!(headings.len(), 6, "{ours}");
    for heading in headings {
        let name = heading.split(" version=").next().unwrap();
        // The names without a version are the same resources.
        let published = match name {
            "resource kubernetes_namespace" => "resource kubernetes_namespace_v1",
            "resource kubernetes_secret" => "resource kubernetes_secret_v1",
            other => other,
        };
        let own = section_of(&ours, name).to_string().replace(name, published);
        assert_eq!(own, section_of(PUBLISHED, published).to_string(), "{name}");
    }
}

/// Version and attributes as in `kubernetes/resourceidentity.go` and `manifest/provider/resourceidentity.go` of the published provider,
/// the same from 2.38 on.
#[test]
fn identities_equal_the_published_ones() {
    let of = |name: &str, namespace: &str| {
        format!(
            "identity {name} version=1\n  api_version: string required\n  kind: string required\n  name: string required\n{namespace}"
        )
    };
    let namespaced = "  namespace: string optional\n";
    let published = [
        of("kubernetes_manifest", namespaced),
        of("kubernetes_namespace", ""),
        of("kubernetes_namespace_v1", ""),
        of("kubernetes_secret", namespaced),
        of("kubernetes_secret_v1", namespaced),
    ];
    let factory = stead_kubernetes::factory(&Dialer::direct());
    assert_eq!(identity_table(factory.schema()), published.concat());
}

#[test]
fn states_of_the_published_provider_are_read() {
    let kubernetes = Harness::unconfigured(&stead_kubernetes::factory(&Dialer::direct()));
    let secret = json!({
        "binary_data": null, "binary_data_wo": null, "binary_data_wo_revision": null, "data": { "k": "v" }, "data_wo": null,
        "data_wo_revision": null, "id": "n/s", "immutable": false,
        "metadata": [{ "annotations": null, "generate_name": "", "generation": 0, "labels": {}, "name": "s", "namespace": "n",
            "resource_version": "5", "uid": "u" }],
        "timeouts": null, "type": "Opaque", "wait_for_service_account_token": true,
    });
    assert_eq!(
        kubernetes
            .stored("kubernetes_secret_v1", 0, &secret)
            .unwrap()
            .text("id"),
        "n/s"
    );
    let of = |value: serde_json::Value| json!({ "type": ["object", { "kind": "string" }], "value": value });
    let manifest = json!({
        "computed_fields": null, "field_manager": [], "manifest": of(json!({ "kind": "X" })), "object": of(json!({ "kind": "X" })),
        "timeouts": [], "wait": [], "wait_for": null,
    });
    let read = kubernetes
        .stored("kubernetes_manifest", 1, &manifest)
        .unwrap();
    assert_eq!(
        read.attribute("manifest").get("kind").unwrap().as_str(),
        Some("X")
    );
}
