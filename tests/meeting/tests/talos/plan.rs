//! What a plan says of a machine's configuration is what the machine then does.

use serde_json::json;
use stead_sdk::PlanResponse;
use stead_sdk::testing::Stored;
use stead_talos::machinery::{Release, apply_patches};

use crate::rack::{APPLY, Rack};

const SYSCTL: &str = "machine:\n  sysctls:\n    vm.max_map_count: \"262144\"\n";
/// Up to 1.13 such a change needs a restart.
const UDEV: &str = "machine:\n  udev:\n    rules:\n      - SUBSYSTEM==\"drm\", MODE=\"0666\"\n";

async fn plan(rack: &Rack, prior: &Stored, config: &serde_json::Value) -> PlanResponse {
    let config = rack.talos.config(APPLY, config.clone()).unwrap();
    rack.talos.plan(APPLY, Some(prior), &config).await.unwrap()
}

/// Versions, and whether every change is taken without a restart.
const VERSIONS: [(&str, &str, bool); 4] = [
    ("v1.11.6", "v1.11", false),
    ("v1.12.11", "v1.12", false),
    ("v1.13.9", "v1.13", false),
    ("v1.14.0-rc.1", "v1.14", true),
];

#[tokio::test]
async fn the_dry_run_is_in_the_plan() {
    let rack = Rack::start().await;
    for (number, (version, contract, always_live)) in (31..).zip(VERSIONS) {
        rack.boot(number, version).await;
        let generated = rack.generate("controlplane", contract).await;
        let config = rack.apply_config(number, &generated, &[]);
        let applied = rack.talos.apply(APPLY, None, config).await.unwrap();
        let config = |patch: &str, mode: &str| {
            let mut config = rack.apply_config(number, &generated, &[patch]);
            config["apply_mode"] = json!(mode);
            config
        };
        let node = format!("node 10.5.0.{number}");

        let found = plan(&rack, &applied, &config(SYSCTL, "auto")).await;
        let live = format!("live: {node} takes it without a restart");
        let added = "+ machine.sysctls".to_owned();
        assert_eq!(found.notes, [live.clone(), added.clone()], "{version}");

        let found = plan(&rack, &applied, &config(SYSCTL, "staged")).await;
        let staged = format!("staged: {node} lives by it from its next start on");
        assert_eq!(found.notes, [staged, added], "{version}");

        let found = plan(&rack, &applied, &config(UDEV, "auto")).await;
        let expected = if always_live {
            live
        } else {
            format!("reboot: {node} restarts for it")
        };
        assert_eq!(found.notes[0], expected, "{version}");
        let changed = rack
            .talos
            .apply(APPLY, Some(&applied), config(UDEV, "auto"))
            .await
            .unwrap();
        let again = plan(&rack, &changed, &config(UDEV, "auto")).await;
        assert!(
            again.notes.is_empty() && again.planned == changed.value,
            "{version}"
        );
    }
}

#[tokio::test]
async fn what_a_machine_does_not_know_is_told_by_itself() {
    let rack = Rack::start().await;
    rack.boot(11, "v1.12.11").await;
    let generated = rack.generate("controlplane", "v1.12").await;
    let config = rack.apply_config(11, &generated, &[]);
    let applied = rack.talos.apply(APPLY, None, config).await.unwrap();
    let newer = "apiVersion: v1alpha1\nkind: EnvironmentConfig\nvariables:\n  A: b\n";
    let config = rack.apply_config(11, &generated, &[newer]);
    let found = plan(&rack, &applied, &config).await;
    let warning = found.warnings.iter().next().unwrap();
    assert_eq!(
        warning.summary,
        "node 10.5.0.11 refuses the configuration as it is now"
    );
    assert!(
        warning.detail.contains("EnvironmentConfig"),
        "{}",
        warning.detail
    );
    let failure = rack.talos.apply(APPLY, Some(&applied), config).await;
    let failure = failure.unwrap_err().diagnostics;
    let said = &failure.iter().find(|d| d.is_error()).unwrap().detail;
    assert!(said.contains("EnvironmentConfig"), "{said}");
}

/// A table of ours and the machines' own validation come from the same source by two ways.
#[tokio::test]
async fn what_the_plan_refuses_machines_refuse() {
    let rack = Rack::start().await;
    rack.boot(11, "v1.14.0-rc.1").await;
    let generated = rack.generate("controlplane", "v1.14").await;
    let config = rack.apply_config(11, &generated, &[]);
    let applied = rack.talos.apply(APPLY, None, config).await.unwrap();
    assert_eq!(rack.dry_run(11, &generated).await, None);
    for (patch, field) in [
        (
            "machine:\n  network:\n    hostname: cp-1\n",
            "machine.network.hostname",
        ),
        (
            "machine:\n  kubelet:\n    extraArgs:\n      v: \"4\"\n",
            "machine.kubelet",
        ),
        ("machine:\n  nodeLabels:\n    a: b\n", "machine.nodeLabels"),
        (
            "machine:\n  install:\n    disk: /dev/sda\n",
            "machine.install",
        ),
        (
            "machine:\n  features:\n    kubePrism:\n      enabled: true\n",
            "machine.features.kubePrism",
        ),
        ("cluster:\n  proxy:\n    disabled: true\n", "cluster.proxy"),
        (
            "cluster:\n  discovery:\n    enabled: true\n",
            "cluster.discovery",
        ),
        (
            "cluster:\n  allowSchedulingOnControlPlanes: true\n",
            "cluster.allowSchedulingOnControlPlanes",
        ),
        (
            "cluster:\n  apiServer:\n    certSANs: [a]\n",
            "cluster.apiServer",
        ),
    ] {
        let config = rack.apply_config(11, &generated, &[patch]);
        let config = rack.talos.config(APPLY, config).unwrap();
        let refused = rack.talos.plan(APPLY, Some(&applied), &config).await;
        let refused = refused.unwrap_err();
        let said = &refused.iter().next().unwrap().detail;
        assert!(
            said.contains(&format!("`{field}` is set beside the document")),
            "{said}"
        );
        // The same, sent all the same: the machine says no.
        let patched = apply_patches(&generated, &[patch.to_owned()], Release::V1_14).unwrap();
        let said = rack.dry_run(11, &patched).await;
        assert!(
            said.is_some(),
            "the machine takes {field} beside its document"
        );
    }
}
