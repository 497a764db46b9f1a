//! What the plan says of a configuration before it is sent: by the node's dry run, and by what every node refuses.

use serde_json::{Value as Json, json};
use stead_sdk::PlanResponse;
use stead_sdk::testing::Stored;
use stead_sdk::value::Diagnostics;
use tonic::Status;

use super::node::{FakeNode, OnApply};
use super::{Talos, administrator, first, secrets};
use crate::machinery::SecretsBundle;

const APPLY: &str = "talos_machine_configuration_apply";
const CONFIG: &str = "version: v1alpha1\nmachine:\n    type: worker\n    token: very.secret\n";

fn config(node: &FakeNode, secrets: &SecretsBundle, patch: &str) -> Json {
    json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": administrator(secrets),
        "machine_configuration_input": CONFIG,
        "config_patches": [patch],
        "timeouts": { "create": "20s", "update": "20s", "delete": "20s" },
    })
}

impl Talos {
    async fn plan(
        &self,
        prior: Option<&Stored>,
        config: &Json,
    ) -> Result<PlanResponse, Diagnostics> {
        let config = self.harness.config(APPLY, config.clone()).unwrap();
        self.harness.plan(APPLY, prior, &config).await
    }
}

#[tokio::test]
async fn the_node_says_what_it_would_do() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let mut config = config(&node, &secrets, "machine:\n  sysctls:\n    a.b: \"1\"\n");
    let plan = talos.plan(None, &config).await.unwrap();
    assert!(
        plan.notes.is_empty(),
        "nobody is asked before the first contact"
    );
    assert!(node.inside().calls.is_empty());
    let applied = talos
        .harness
        .apply(APPLY, None, config.clone())
        .await
        .unwrap();
    node.inside().calls.clear();
    let plan = talos.plan(Some(&applied), &config).await.unwrap();
    assert!(
        plan.notes.is_empty() && node.inside().calls.is_empty(),
        "nothing changes"
    );

    config["config_patches"] =
        json!(["machine:\n  token: other.secret\n  sysctls:\n    a.b: \"2\"\n"]);
    let differences = [
        "~ machine.token (value not shown)",
        "~ machine.sysctls[\"a.b\"] = \"1\" -> \"2\"",
    ];
    for (mode, on_apply, said) in [
        (
            "auto",
            OnApply::Take,
            "live: node 127.0.0.1 takes it without a restart",
        ),
        (
            "auto",
            OnApply::Reboot,
            "reboot: node 127.0.0.1 restarts for it",
        ),
        (
            "staged",
            OnApply::Take,
            "staged: node 127.0.0.1 lives by it from its next start on",
        ),
        (
            "staged_if_needing_reboot",
            OnApply::Reboot,
            "staged: node 127.0.0.1 needs a restart for it, and gets none",
        ),
    ] {
        config["apply_mode"] = json!(mode);
        node.inside().on_apply = on_apply;
        let plan = talos.plan(Some(&applied), &config).await.unwrap();
        assert_eq!(plan.notes[0], said, "{mode}");
        assert_eq!(plan.notes[1..], differences, "{mode}");
        let warnings: Vec<_> = plan.warnings.iter().map(|w| w.detail.as_str()).collect();
        assert_eq!(warnings, ["mind the gap"], "{mode}");
    }
    assert_eq!(
        node.inside().calls,
        [
            "apply Auto dry=true node=127.0.0.1",
            "apply Auto dry=true node=127.0.0.1",
            "apply Staged dry=true node=127.0.0.1",
            "apply Auto dry=true node=127.0.0.1",
        ]
    );
}

#[tokio::test]
async fn a_node_that_refuses_or_is_away_does_not_stop_the_plan() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let mut config = config(&node, &secrets, "machine:\n  sysctls:\n    a.b: \"1\"\n");
    let applied = talos
        .harness
        .apply(APPLY, None, config.clone())
        .await
        .unwrap();
    config["config_patches"] = json!([]);
    let refusal = Status::invalid_argument("unknown keys found during decoding");
    node.inside().refusals.push_back(refusal);
    let plan = talos.plan(Some(&applied), &config).await.unwrap();
    let warning = first(&plan.warnings);
    assert!(
        warning
            .summary
            .contains("refuses the configuration as it is now")
    );
    assert!(
        warning
            .detail
            .starts_with("unknown keys found during decoding. Unless")
    );
    config["endpoint"] = json!("127.0.0.1:1");
    let plan = talos.plan(Some(&applied), &config).await.unwrap();
    assert!(plan.notes[0].starts_with("what node 127.0.0.1 would do is not known"));
}

#[tokio::test]
async fn what_every_node_refuses_is_refused_in_the_plan() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let patch = "machine:\n  network:\n    hostname: cp-1\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
    let config = config(&node, &secrets, patch);
    let refused = talos.plan(None, &config).await.unwrap_err();
    let said = &first(&refused).detail;
    assert!(
        said.contains("`machine.network.hostname` is set beside the document HostnameConfig"),
        "{said}"
    );
    assert!(said.contains("$patch: delete"), "{said}");
    // The way out that the message names.
    let mut config = config;
    config["config_patches"] = json!([
        patch,
        "apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n"
    ]);
    talos.plan(None, &config).await.unwrap();
}

#[tokio::test]
async fn patches_that_do_more_than_they_say_are_told() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let volume = "apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: data\nprovisioning:\n  ";
    let mut config = config(&node, &secrets, "");
    let whole = format!("{volume}diskSelector:\n    match: disk.size > 10u\n  minSize: 1GiB\n");
    config["config_patches"] = json!([
        whole,
        format!("{volume}maxSize: 2GiB\n"),
        "apiVersion: v1alpha1\nkind: EnvironmentConfig\n$patch: delete\n",
    ]);
    let plan = talos.plan(None, &config).await.unwrap();
    let told: Vec<_> = plan.warnings.iter().map(|w| w.detail.clone()).collect();
    let lost = |field: &str| {
        format!(
            "A later patch of UserVolumeConfig \"data\" does not mention `provisioning.{field}`, and Talos loses it: repeat it in \
             that patch."
        )
    };
    let absent = "A patch deletes EnvironmentConfig, which is not there: Talos before 1.14 crashes on that. Remove the patch.";
    assert_eq!(
        told,
        [
            lost("diskSelector.match"),
            lost("minSize"),
            absent.to_owned()
        ]
    );
    config["config_patches"] = json!([whole]);
    let plan = talos.plan(None, &config).await.unwrap();
    assert_eq!(plan.warnings.iter().count(), 0);
}
