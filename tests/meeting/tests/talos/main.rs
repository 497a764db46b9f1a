//! The Talos provider and the lab's Talos machines, release line by release line.

mod bad_input;
mod credentials;
mod destroy;
mod disks;
mod drift;
mod first_contact;
mod kubernetes;
mod plan;
mod snapshots;
mod upgrade;

use stead_sdk::testing::ApplyFailure;
use stead_sdk::value::Diagnostics;

const APPLY: &str = "talos_machine_configuration_apply";
const MACHINE: &str = "talos_machine";
const CLUSTER: &str = "talos_cluster";

/// What a failure says, with its remedies.
fn said(diagnostics: &Diagnostics) -> String {
    let all = diagnostics.iter();
    all.map(|d| format!("{}: {}\n", d.summary, d.detail))
        .collect()
}

fn failed(failure: &ApplyFailure) -> String {
    said(&failure.diagnostics)
}
