//! Addresses, paths, and what is refused before anything is asked.

use serde_json::{Value as Json, json};
use stead_sdk::value::schema::Schema;

use super::*;

fn problems(arguments: Json, environment: &[(&str, &str)]) -> Vec<String> {
    let schema = Schema::from((KIND.schema)());
    let value = stead_sdk::testing::object(&schema, arguments).unwrap();
    let dialer = Dialer::new(environment.iter().map(|(k, v)| (*k, *v)).collect()).unwrap();
    match (KIND.open)(&value, &dialer) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|d| d.summary.clone()).collect(),
    }
}

fn settings(arguments: Json) -> Settings {
    let schema = Schema::from((KIND.schema)());
    let value = stead_sdk::testing::object(&schema, arguments).unwrap();
    stead_sdk::settings("s3", &value, &stead_sdk::Environment::default()).unwrap()
}

#[test]
fn addresses_of_buckets() {
    let of = |arguments: Json, endpoint: Option<&str>| {
        let mut all = json!({ "bucket": "state", "key": "k", "region": "eu-west-1" });
        all.as_object_mut()
            .unwrap()
            .extend(arguments.as_object().unwrap().clone());
        let given = settings(all);
        let region = given.region.clone().unwrap();
        address(&given, &region, endpoint).unwrap().to_string()
    };
    assert_eq!(
        of(json!({}), None),
        "https://state.s3.eu-west-1.amazonaws.com/"
    );
    assert_eq!(
        of(json!({ "use_path_style": true }), None),
        "https://s3.eu-west-1.amazonaws.com/state/"
    );
    assert_eq!(
        of(json!({ "bucket": "my.state" }), None),
        "https://s3.eu-west-1.amazonaws.com/my.state/"
    );
    assert_eq!(
        of(json!({ "region": "cn-north-1" }), None),
        "https://state.s3.cn-north-1.amazonaws.com.cn/"
    );
    let both =
        json!({ "use_fips_endpoint": true, "use_dualstack_endpoint": true, "region": "us-east-1" });
    assert_eq!(
        of(both, None),
        "https://state.s3-fips.dualstack.us-east-1.amazonaws.com/"
    );
    assert_eq!(
        of(json!({}), Some("https://minio.lan:9000")),
        "https://state.minio.lan:9000/"
    );
    assert_eq!(
        of(
            json!({ "force_path_style": true }),
            Some("https://minio.lan/s3/")
        ),
        "https://minio.lan/s3/state/"
    );
    assert_eq!(
        of(json!({}), Some("http://127.0.0.1:9000")),
        "http://127.0.0.1:9000/state/",
        "an address has no names below it"
    );
}

#[test]
fn paths_of_workspaces() {
    let path = |prefix: Option<&str>, workspace: &str| {
        let schema = Schema::from((KIND.schema)());
        let arguments = json!({ "bucket": "b", "key": "net/terraform.tfstate", "region": "r", "workspace_key_prefix": prefix });
        let value = stead_sdk::testing::object(&schema, arguments).unwrap();
        let backend = (KIND.open)(&value, &Dialer::direct()).unwrap();
        backend.store(workspace).unwrap().location()
    };
    assert_eq!(path(None, "default"), "b/net/terraform.tfstate");
    assert_eq!(path(None, "prod"), "b/env:/prod/net/terraform.tfstate");
    assert_eq!(
        path(Some("a/b"), "prod"),
        "b/a/b/prod/net/terraform.tfstate"
    );
    assert_eq!(path(Some(""), "prod"), "b/prod/net/terraform.tfstate");
}

#[test]
fn refuses_what_makes_no_sense() {
    let whole = json!({ "bucket": "b", "key": "k", "region": "eu-west-1" });
    let with = |more: Json| {
        let mut all = whole.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        problems(all, &[])
    };
    assert_eq!(with(json!({})), Vec::<String>::new());
    assert_eq!(
        problems(json!({ "bucket": "b", "key": "k" }), &[]),
        ["Missing region value"]
    );
    assert_eq!(
        problems(
            json!({ "bucket": "b", "key": "k" }),
            &[("AWS_REGION", "eu-west-1")]
        ),
        Vec::<String>::new()
    );
    for (more, summary) in [
        (json!({ "bucket": " " }), "Invalid Value"),
        (
            json!({ "bucket": "arn:aws:s3:eu-west-1:1:accesspoint/x" }),
            "Not supported yet",
        ),
        (json!({ "key": "/k" }), "Invalid Value"),
        (json!({ "key": "a//k" }), "Invalid Value"),
        (json!({ "key": "a/../k" }), "Invalid Value"),
        (json!({ "workspace_key_prefix": "/env" }), "Invalid Value"),
        (json!({ "dynamodb_table": "t" }), "Not supported yet"),
        (json!({ "access_key": "only" }), "Incomplete credentials"),
        (
            json!({ "kms_key_id": "alias/x", "sse_customer_key": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=" }),
            "Conflicting Parameters",
        ),
        (
            json!({ "sse_customer_key": "too-short" }),
            "Invalid sse_customer_key value",
        ),
        (
            json!({ "endpoint": "http://a", "endpoints": { "s3": "http://b" } }),
            "Conflicting Parameters",
        ),
        (
            json!({ "endpoints": { "s3": "minio:9000" } }),
            "Invalid Value",
        ),
        (
            json!({ "force_path_style": true, "use_path_style": true }),
            "Conflicting Parameters",
        ),
        (json!({ "retry_mode": "legacy" }), "Invalid Value"),
        (json!({ "max_retries": -1 }), "Invalid Value"),
        (
            json!({ "assume_role": { "role_arn": "r", "duration": "1m" } }),
            "Invalid Duration",
        ),
        (
            json!({ "assume_role_with_web_identity": { "role_arn": "r" } }),
            "Invalid Attribute Combination",
        ),
        (
            json!({ "custom_ca_bundle": "/nowhere" }),
            "Invalid certificate bundle",
        ),
    ] {
        assert_eq!(with(more.clone()), [summary], "{more}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let given = settings(json!({
        "bucket": "b", "key": "k", "region": "r", "access_key": "a", "secret_key": "hidden-1", "token": "hidden-2",
        "sse_customer_key": "hidden-3", "assume_role_with_web_identity": { "role_arn": "r", "web_identity_token": "hidden-4" },
    }));
    assert!(!format!("{given:?}").contains("hidden"));
}
