//! The published golden configurations, decoded and validated by their own lines.

use super::*;

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn check(name: &str, line: Line) -> Result<Vec<String>, String> {
    let config = Config::load(line, &golden(name)).unwrap();
    let mode = Mode {
        line,
        requires_install: true,
    };
    validate(&config, mode)
}

#[test]
fn golden_configurations_are_valid() {
    let cases = [
        ("controlplane-v1.11", Line::V1_11),
        ("lists-v1.11", Line::V1_11),
        ("controlplane-v1.12", Line::V1_12),
        ("controlplane-v1.13", Line::V1_13),
        ("worker-v1.13", Line::V1_13),
        ("strategic-v1.13", Line::V1_13),
        ("cilium-v1.13", Line::V1_13),
        ("controlplane-v1.14", Line::V1_14),
        ("worker-v1.14", Line::V1_14),
        ("cilium-v1.14", Line::V1_14),
        // Older forms still decode and hold on newer lines.
        ("controlplane-v1.11", Line::V1_13),
        ("controlplane-v1.13", Line::V1_14),
    ];
    for (name, line) in cases {
        assert_eq!(check(name, line), Ok(Vec::new()), "{name} on {line:?}");
    }
}

#[test]
fn golden_errors_are_told_as_published() {
    assert_eq!(
        check("kubespan-v1.11", Line::V1_11).unwrap_err().trim_end(),
        "1 error occurred:\n\t* v1alpha1.Config: 1 error occurred:\n\t* .cluster.discovery should be enabled when .machine.network.kubespan is enabled"
    );
    assert_eq!(
        check("kubespan-v1.14", Line::V1_14).unwrap_err().trim_end(),
        "1 error occurred:\n\t* KubeSpan requires cluster discovery to be enabled"
    );
}

#[test]
fn a_newer_configuration_is_refused_by_an_older_line() {
    let error = |name: &str, line| Config::load(line, &golden(name)).err().unwrap();
    assert_eq!(
        error("controlplane-v1.13", Line::V1_11),
        "unknown keys found during decoding:\nmachine:\n    install:\n        grubUseUKICmdline: true\n"
    );
    assert!(
        error("controlplane-v1.14", Line::V1_13)
            .contains("\"DiscoveryServiceConfig\" \"v1alpha1\": not registered")
    );
}

#[test]
fn a_document_conflicts_with_the_field_it_replaces() {
    let mut text = golden("controlplane-v1.13");
    text.extend_from_slice(b"---\napiVersion: v1alpha1\nkind: KubeSpanConfig\nenabled: true\n");
    let text = String::from_utf8(text).unwrap();
    let text = text.replace("machine:\n", "machine:\n    network:\n        hostname: a\n        kubespan:\n            enabled: false\n");
    let config = Config::load(Line::V1_13, text.as_bytes()).unwrap();
    let mode = Mode {
        line: Line::V1_13,
        requires_install: false,
    };
    let error = validate(&config, mode).unwrap_err();
    assert_eq!(
        error,
        "2 errors occurred:\n\t* static hostname is already set in v1alpha1 config\n\t* kubespan is already configured in v1alpha1 machine.network.kubespan\n\n"
    );
}

#[test]
fn what_a_node_reads_is_the_same_in_old_and_new_form() {
    let old = Config::load(Line::V1_13, &golden("controlplane-v1.13")).unwrap();
    let new = Config::load(Line::V1_14, &golden("controlplane-v1.14")).unwrap();
    assert_eq!(old.cluster_id(), new.cluster_id());
    assert_eq!(old.cluster_name(), "golden");
    assert_eq!(new.cluster_name(), "golden");
    assert_eq!(old.endpoint_host().as_deref(), Some("10.5.0.10"));
    assert_eq!(old.endpoint(), new.endpoint());
    assert!(old.cluster_ca() == new.cluster_ca() && old.machine_ca() == new.machine_ca());
    assert!(!old.needs_cni() && !new.needs_cni());
    assert!(old.discovery_enabled() && new.discovery_enabled());
    assert!(old.has_etcd_ca() && new.has_etcd_ca());
    assert_eq!(old.kubernetes_version(Line::V1_13), "v1.36.3");
    assert_eq!(new.kubernetes_version(Line::V1_14), "v1.37.0-rc.0");
    let cilium = Config::load(Line::V1_13, &golden("cilium-v1.13")).unwrap();
    let newer = Config::load(Line::V1_14, &golden("cilium-v1.14")).unwrap();
    assert!(cilium.needs_cni() && newer.needs_cni());
    assert_eq!(newer.hostname().as_deref(), Some("node-1"));
    assert_eq!(cilium.node_subnets(), ["10.5.0.0/24"]);
}

#[test]
fn only_fixed_parts_need_a_reboot() {
    let text = String::from_utf8(golden("controlplane-v1.13")).unwrap();
    let old = Config::load(Line::V1_13, text.as_bytes()).unwrap();
    let sysctl = text.replace("machine:\n", "machine:\n    sysctls:\n        a.b: \"1\"\n");
    let new = Config::load(Line::V1_13, sysctl.as_bytes()).unwrap();
    assert_eq!(applies_immediately(&old, &new), Ok(()));
    let udev = text.replace(
        "machine:\n",
        "machine:\n    udev:\n        rules:\n            - x\n",
    );
    let new = Config::load(Line::V1_13, udev.as_bytes()).unwrap();
    let reason = applies_immediately(&old, &new).unwrap_err();
    assert!(
        reason.starts_with(
            "this config change can't be applied in immediate mode\ndiff:\n--- a\n+++ b\n"
        ),
        "{reason}"
    );
    assert!(
        reason.contains("+    udev:") && !reason.contains("BEGIN"),
        "{reason}"
    );
}
