//! Patch semantics beyond the golden cases; texts of errors are those of Talos.

use super::*;

const BASE: &str = "version: v1alpha1\nmachine:\n    type: worker\n    token: t\n    certSANs: []\ncluster:\n    controlPlane:\n        endpoint: https://a:6443\n";

fn patch_in(release: Release, config: &str, patches: &[&str]) -> Result<String, String> {
    let patches: Vec<String> = patches.iter().map(|p| (*p).to_owned()).collect();
    apply_patches(config, &patches, release).map_err(|e| e.to_string())
}

fn patch(config: &str, patches: &[&str]) -> Result<String, String> {
    patch_in(Release::V1_13, config, patches)
}

fn refused(patches: &[&str]) -> String {
    patch(BASE, patches).expect_err("the patch must be refused")
}

/// Applies patches to the base and returns what was added to it, line by line.
fn added(patches: &[&str]) -> Vec<String> {
    let out = patch(BASE, patches).unwrap();
    let base: Vec<&str> = BASE.lines().collect();
    out.lines()
        .filter(|l| !base.contains(l))
        .map(|l| l.trim().to_owned())
        .collect()
}

#[test]
fn unknown_keys_are_shown_as_a_tree() {
    let error = refused(&["machine:\n  nope: {a: 1}\n  install: {dsk: /dev/sda}\n"]);
    assert_eq!(
        error,
        "error decoding document /v1alpha1/ (line 1): unknown keys found during decoding:\n\
         machine:\n    install:\n        dsk: /dev/sda\n    nope:\n        a: 1\n"
    );
}

#[test]
fn unknown_documents_are_named() {
    let error = refused(&["apiVersion: v1alpha1\nkind: KubeletConfig\n"]);
    assert!(
        error.ends_with(r#""KubeletConfig" "v1alpha1": not registered"#),
        "{error}"
    );
    assert!(refused(&["name: x\n"]).ends_with("missing kind"));
    assert!(refused(&["kind: HostnameConfig\n"]).ends_with("missing apiVersion"));
}

#[test]
fn wrong_types_are_refused_with_the_line() {
    let error = refused(&["machine:\n  install:\n    wipe: perhaps\n"]);
    assert!(
        error.contains("line 3: cannot construct !!str `perhaps` into bool"),
        "{error}"
    );
    let error = refused(&["apiVersion: v1alpha1\nkind: HostnameConfig\nauto: sometimes\n"]);
    assert!(
        error.contains("sometimes does not belong to AutoHostnameKind values"),
        "{error}"
    );
}

#[test]
fn a_word_is_a_file_name() {
    assert!(refused(&["patch.yaml"]).contains("names a file"));
    assert!(refused(&["@patch.yaml"]).contains("names a file"));
}

#[test]
fn one_document_twice_in_a_patch() {
    let twice = "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: off\n";
    assert_eq!(
        refused(&[twice]),
        "duplicate document v1alpha1/HostnameConfig/ is not allowed (line 5)"
    );
    // Talos 1.14 merges the second onto the first.
    assert!(
        patch_in(Release::V1_14, BASE, &[twice])
            .unwrap()
            .ends_with("auto: 'off'\n")
    );
}

#[test]
fn zeros_win_only_behind_pointers() {
    let first = "machine: {features: {kubePrism: {enabled: true, port: 7445}}, network: {kubespan: {mtu: 1400}}}\n";
    let second = "machine: {features: {kubePrism: {enabled: false, port: 0}}, network: {kubespan: {mtu: 0}}}\n";
    let lines = added(&[first, second]);
    assert!(lines.contains(&"enabled: false".to_owned()));
    assert!(lines.contains(&"port: 7445".to_owned()));
    assert!(lines.contains(&"mtu: 0".to_owned()));
}

#[test]
fn lists_append_and_replace() {
    let subnets = [
        "cluster: {network: {podSubnets: [10.1.0.0/16]}}\n",
        "cluster: {network: {podSubnets: [10.2.0.0/16]}}\n",
    ];
    assert_eq!(
        added(&subnets)
            .iter()
            .filter(|l| l.starts_with("- 10."))
            .collect::<Vec<_>>(),
        ["- 10.2.0.0/16"]
    );
    let servers = [
        "machine: {time: {servers: [a]}}\n",
        "machine: {time: {servers: [b, a]}}\n",
    ];
    assert_eq!(added(&servers), ["time:", "servers:", "- a", "- b", "- a"]);
}

#[test]
fn keyed_lists() {
    let first = "machine:\n  network:\n    interfaces:\n      - interface: eth0\n        vlans: [{vlanId: 5, mtu: 1400}]\n      - deviceSelector: {driver: virtio}\n        dhcp: true\n";
    let second = "machine:\n  network:\n    interfaces:\n      - interface: eth0\n        vlans: [{vlanId: 5, addresses: [10.0.0.1/24]}, {vlanId: 6}]\n      - deviceSelector: {driver: virtio}\n        dhcp: false\n      - deviceSelector: {driver: other}\n";
    let lines = added(&[first, second]);
    let count = |text: &str| lines.iter().filter(|l| l.as_str() == text).count();
    assert_eq!(
        (count("vlanId: 5"), count("vlanId: 6"), count("mtu: 1400")),
        (1, 1, 1)
    );
    assert_eq!(
        (
            count("driver: virtio"),
            count("dhcp: false"),
            count("driver: other")
        ),
        (1, 1, 1)
    );
}

#[test]
fn arguments_are_replaced_by_name() {
    let first = "machine: {kubelet: {extraArgs: {a: x, b: y}}}\n";
    let second = "machine: {kubelet: {extraArgs: {a: [p, q]}}}\n";
    assert_eq!(
        added(&[first, second]),
        ["kubelet:", "extraArgs:", "a:", "- p", "- q", "b: \"y\""]
    );
}

#[test]
fn free_form_data_keeps_its_types() {
    let first = "machine: {kubelet: {extraConfig: {maxPods: 100, nested: {a: 1}}}}\n";
    assert!(
        added(&[
            first,
            "machine: {kubelet: {extraConfig: {nested: {b: [x]}}}}\n"
        ])
        .contains(&"- x".to_owned())
    );
    let error = refused(&[
        first,
        "machine: {kubelet: {extraConfig: {maxPods: many}}}\n",
    ]);
    assert!(
        error.ends_with("merge type mismatch left int right string"),
        "{error}"
    );
}

/// A quirk kept on purpose: what a second patch does not mention of a volume is wiped.
#[test]
fn volumes_lose_their_selector_in_a_second_patch() {
    let first = "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning: {diskSelector: {match: disk.transport == \"nvme\"}, minSize: 10GB, maxSize: 20GB}\n";
    let second =
        "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning: {grow: true}\n";
    let out = patch(BASE, &[first, second]).unwrap();
    assert!(
        out.contains("grow: true") && out.contains("maxSize: 20GB"),
        "{out}"
    );
    assert!(!out.contains("match") && !out.contains("minSize"), "{out}");
}

#[test]
fn documents_with_other_names_are_appended() {
    let volume =
        |name: &str| format!("apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: {name}\n");
    let out = patch(BASE, &[&volume("one"), &volume("two"), &volume("one")]).unwrap();
    assert_eq!(out.matches("kind: UserVolumeConfig").count(), 2);
}

#[test]
fn deleting_what_is_not_there() {
    let first = "machine: {sysctls: {a: b}}\n";
    assert_eq!(
        refused(&[
            first,
            "machine:\n  sysctls:\n    nope:\n      $patch: delete\n"
        ]),
        "patch delete: path 'machine.sysctls.nope' in document '/v1alpha1': failed to delete path 'machine.sysctls.nope': lookup failed"
    );
    // A document that is not there is passed over; Talos 1.13 would crash.
    let absent = "apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n---\nmachine: {type: worker}\n";
    assert_eq!(patch(BASE, &[absent]).unwrap(), BASE);
}

#[test]
fn deleting_below_a_list_element_is_refused() {
    let error = refused(&[
        "machine:\n  network:\n    interfaces:\n      - interface: eth0\n        dhcpOptions:\n          $patch: delete\n",
    ]);
    assert!(
        error
            .contains("cannot delete an inner key in 'machine.network.interfaces.[0].dhcpOptions'"),
        "{error}"
    );
    let error = refused(&["$patch: delete\n"]);
    assert!(
        error.contains("missing apiVersion in document for which $patch: delete is used"),
        "{error}"
    );
}

#[test]
fn deleting_a_list_element_by_its_first_key() {
    let first = "machine: {network: {interfaces: [{interface: eth0}, {interface: eth1}]}}\n";
    let delete =
        "machine:\n  network:\n    interfaces:\n      - interface: eth0\n        $patch: delete\n";
    assert_eq!(
        added(&[first, delete]),
        ["network:", "interfaces:", "- interface: eth1"]
    );
}

#[test]
fn json_patches_fail_like_upstream() {
    for (operation, expected) in [
        (
            r#"{"op":"remove","path":"/machine/nope"}"#,
            "error in remove for path: '/machine/nope': Unable to remove nonexistent key: nope: missing value",
        ),
        (
            r#"{"op":"add","path":"/nope/x","value":1}"#,
            "add operation does not apply: doc is missing path: \"/nope/x\": missing value",
        ),
        (
            r#"{"op":"replace","path":"/machine/nope","value":1}"#,
            "replace operation does not apply: doc is missing key: /machine/nope: missing value",
        ),
        (
            r#"{"op":"test","path":"/machine/type","value":"x"}"#,
            "testing value /machine/type failed: test failed",
        ),
        (
            r#"{"op":"spin","path":"/machine"}"#,
            "Unexpected kind: spin",
        ),
    ] {
        let error = refused(&[&format!("[{operation}]")]);
        assert_eq!(
            error,
            format!("failure applying rfc6902 patches to talos machine config: {expected}")
        );
    }
}

#[test]
fn json_patches_move_copy_and_index() {
    let operations = "- {op: copy, from: /machine/token, path: /cluster/token}\n- {op: add, path: /machine/certSANs/0, value: a}\n- {op: add, path: /machine/certSANs/-, value: c}\n- {op: add, path: /machine/certSANs/1, value: b}\n- {op: move, from: /machine/certSANs/2, path: /machine/certSANs/0}\n- {op: test, path: /machine/certSANs, value: [c, a, b]}\n";
    let out = patch(BASE, &[operations]).unwrap();
    assert!(out.contains("  certSANs:\n  - c\n  - a\n  - b\n"), "{out}");
    assert!(
        out.starts_with("cluster:\n  controlPlane:\n    endpoint: https://a:6443\n  token: t\n"),
        "{out}"
    );
}

#[test]
fn broken_text_is_refused() {
    assert!(refused(&["machine: [\n"]).starts_with("decode error: yaml: line"));
    assert!(refused(&["just some words"]).contains("expected a YAML document at line 1"));
    assert!(refused(&["[{]"]).contains("failure applying rfc6902"));
    assert_eq!(refused(&["# nothing \n"]), "config not found");
}
