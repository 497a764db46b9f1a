//! The backends against real services. `tests/real/run NAME` starts the service and runs the module of its name.

#![allow(clippy::print_stderr)]

mod azurite;
mod buckets;
mod conformance;
mod flaky;
mod http;
mod kubernetes;
mod lab;
mod pg;
mod s3;
mod terraform;

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_backends::kind;
use stead_sdk::value::schema::Schema;
use stead_sdk::{Dialer, Environment};
use stead_state::{Backend, LockInfo};

/// What the runner exported.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/real/run"))
}

/// Opens a backend with these arguments, and no environment but this.
fn open(kind_name: &str, arguments: &Json, environment: &[(&str, &str)]) -> Arc<dyn Backend> {
    let kind = kind(kind_name).expect("the kind");
    let schema = Schema::from((kind.schema)());
    let value = stead_sdk::testing::object(&schema, arguments.clone()).expect("the arguments");
    let environment: Environment = environment.iter().map(|(k, v)| (*k, *v)).collect();
    let dialer = Dialer::new(environment).expect("a dialer");
    (kind.open)(&value, &dialer).expect("the backend")
}

fn lock_info(id: &str) -> LockInfo {
    LockInfo {
        id: id.to_owned(),
        operation: "OperationTypeApply".to_owned(),
        info: String::new(),
        who: "tests@stead".to_owned(),
        version: "1.11.4".to_owned(),
        created: "2026-01-01T00:00:00Z".to_owned(),
        path: String::new(),
    }
}

/// A small state with one output.
fn state(serial: u64, output: &str) -> Vec<u8> {
    let state = json!({
        "version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": "0c8e1f0e-3d5c-4e9f-8a53-3a1f60f3d0b7",
        "outputs": { "text": { "value": output, "type": "string" } }, "resources": [], "check_results": null
    });
    serde_json::to_vec_pretty(&state).expect("JSON")
}
