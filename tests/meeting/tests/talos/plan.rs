//! What a plan says of a machine's configuration is what the machine then does.

use serde_json::json;
use stead_meeting::talos::TalosLab;
use stead_sdk::PlanResponse;
use stead_sdk::testing::Stored;
use stead_talos::machinery::{Release, apply_patches};

use super::APPLY;

const SYSCTL: &str = "machine:\n  sysctls:\n    vm.max_map_count: \"262144\"\n";
/// Up to 1.13 such a change needs a restart.
const UDEV: &str = "machine:\n  udev:\n    rules:\n      - SUBSYSTEM==\"drm\", MODE=\"0666\"\n";

async fn plan(lab: &TalosLab, prior: &Stored, config: &serde_json::Value) -> PlanResponse {
    let config = lab.provider.config(APPLY, config.clone()).unwrap();
    lab.provider
        .plan(APPLY, Some(prior), &config)
        .await
        .unwrap()
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
    let lab = TalosLab::start().await;
    for (number, (version, contract, always_live)) in (31..).zip(VERSIONS) {
        lab.boot(number, version, "").await;
        let generated = lab.generated("controlplane", contract).await;
        let config = lab.of_apply(number, &generated, &[]);
        let applied = lab.provider.apply(APPLY, None, config).await.unwrap();
        let config = |patch: &str, mode: &str| {
            let mut config = lab.of_apply(number, &generated, &[patch]);
            config["apply_mode"] = json!(mode);
            config
        };
        let node = format!("node 10.5.0.{number}");

        let found = plan(&lab, &applied, &config(SYSCTL, "auto")).await;
        let live = format!("live: {node} takes it without a restart");
        let added = "+ machine.sysctls".to_owned();
        assert_eq!(found.notes, [live.clone(), added.clone()], "{version}");

        let found = plan(&lab, &applied, &config(SYSCTL, "staged")).await;
        let staged = format!("staged: {node} lives by it from its next start on");
        assert_eq!(found.notes, [staged, added], "{version}");

        let found = plan(&lab, &applied, &config(UDEV, "auto")).await;
        let expected = if always_live {
            live
        } else {
            format!("reboot: {node} restarts for it")
        };
        assert_eq!(found.notes[0], expected, "{version}");
        let changed = lab
            .provider
            .apply(APPLY, Some(&applied), config(UDEV, "auto"))
            .await
            .unwrap();
        let again = plan(&lab, &changed, &config(UDEV, "auto")).await;
        assert!(
            again.notes.is_empty() && again.planned == changed.value,
            "{version}"
        );
    }
}

#[tokio::test]
async fn what_a_machine_does_not_know_is_told_by_itself() {
    let lab = TalosLab::start().await;
    lab.boot(11, "v1.12.11", "").await;
    let generated = lab.generated("controlplane", "v1.12").await;
    let config = lab.of_apply(11, &generated, &[]);
    let applied = lab.provider.apply(APPLY, None, config).await.unwrap();
    let newer = "apiVersion: v1alpha1\nkind: EnvironmentConfig\nvariables:\n  A: b\n";
    let config = lab.of_apply(11, &generated, &[newer]);
    let found = plan(&lab, &applied, &config).await;
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
    let failure = lab.provider.apply(APPLY, Some(&applied), config).await;
    let failure = failure.unwrap_err().diagnostics;
    let said = &failure.iter().find(|d| d.is_error()).unwrap().detail;
    assert!(said.contains("EnvironmentConfig"), "{said}");
}

/// A table of ours and the machines' own validation come from the same source by two ways.
#[tokio::test]
async fn what_the_plan_refuses_machines_refuse() {
    let lab = TalosLab::start().await;
    lab.boot(11, "v1.14.0-rc.1", "").await;
    let generated = lab.generated("controlplane", "v1.14").await;
    let config = lab.of_apply(11, &generated, &[]);
    let applied = lab.provider.apply(APPLY, None, config).await.unwrap();
    assert!(lab.dry_run(11, &generated).await.is_ok());
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
        let config = lab.of_apply(11, &generated, &[patch]);
        let config = lab.provider.config(APPLY, config).unwrap();
        let refused = lab.provider.plan(APPLY, Some(&applied), &config).await;
        let refused = refused.unwrap_err();
        let said = &refused.iter().next().unwrap().detail;
        assert!(
            said.contains(&format!("`{field}` is set beside the document")),
            "{said}"
        );
        // The same, sent all the same: the machine says no.
        let patched = apply_patches(&generated, &[patch.to_owned()], Release::V1_14).unwrap();
        let said = lab.dry_run(11, &patched).await;
        assert!(
            said.is_err(),
            "the machine takes {field} beside its document"
        );
    }
}
