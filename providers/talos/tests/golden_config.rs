//! Machine configurations against the output of Talos' own generator, byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stead_talos::machinery::{
    Contract, Input, MachineType, RegistryMirror, Release, SecretsBundle, apply_patches, canonical,
    machine_config, review,
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|v| v.as_str().unwrap().to_owned())
        .collect()
}

/// Points at the first line that differs, which a diff of 80 lines of base64 would hide.
fn assert_same(actual: &str, expected: &str, what: &str) {
    for (number, (a, e)) in actual.lines().zip(expected.lines()).enumerate() {
        assert_eq!(a, e, "{what}, line {}", number + 1);
    }
    assert_eq!(actual, expected, "{what}");
}

fn check(name: &str) {
    let folder = golden().join(name);
    let case: Value = serde_json::from_str(&read(&folder.join("case.json"))).unwrap();
    let input = &case["input"];
    let text = |key: &str| input[key].as_str().unwrap();
    let secrets = SecretsBundle::from_yaml(&read(&golden().join(text("secrets")))).unwrap();
    let contract = Contract::parse(text("talos_version")).unwrap();
    let mut mirrors: Vec<RegistryMirror> = Vec::new();
    for mirror in texts(&input["registry_mirrors"]) {
        let (host, url) = mirror.split_once('=').unwrap();
        match mirrors.iter_mut().find(|m| m.host == host) {
            Some(known) => known.endpoints.push(url.to_owned()),
            None => mirrors.push(RegistryMirror {
                host: host.to_owned(),
                endpoints: vec![url.to_owned()],
            }),
        }
    }
    for machine_type in [MachineType::ControlPlane, MachineType::Worker] {
        let mut config = Input::new(
            text("cluster_name"),
            text("cluster_endpoint"),
            machine_type,
            text("kubernetes_version"),
            contract,
            &secrets,
            text("install_image"),
        );
        config.install_disk = text("install_disk");
        config.dns_domain = text("dns_domain");
        config.cluster_discovery = input["cluster_discovery"].as_bool().unwrap();
        config.kubespan = input["kubespan"].as_bool().unwrap();
        config.additional_sans = texts(&input["additional_sans"]);
        config.registry_mirrors = mirrors.clone();
        let patches: Vec<String> = ["all", machine_type.as_str()]
            .iter()
            .flat_map(|group| texts(&case["patches"][group]))
            .map(|file| read(&folder.join(file)))
            .collect();
        let what = format!("{name} {}", machine_type.as_str());
        let expected = &case["expect"][machine_type.as_str()];
        match machine_config(&config, &patches) {
            Ok(actual) => {
                let expected = read(&folder.join(expected["file"].as_str().unwrap()));
                assert_same(&actual, &expected, &what);
                // What Talos' own validation has against it is found.
                let valid = case["expect"][machine_type.as_str()]["validate_metal_strict"]["ok"]
                    .as_bool()
                    .unwrap();
                let findings = review(&actual, Some(contract)).unwrap();
                assert_eq!(findings.is_empty(), valid, "{what}: {findings:?}");
                // What was written is read back to the same bytes.
                assert_same(
                    &canonical(&actual, contract.release()).unwrap(),
                    &expected,
                    &what,
                );
            }
            Err(error) => assert_eq!(
                Some(error.to_string().as_str()),
                expected["error"].as_str(),
                "{what}"
            ),
        }
    }
    let patch = &case["expect"]["machineconfig_patch"];
    if let Some(file) = patch["input"].as_str() {
        let patches: Vec<String> = texts(&patch["patches"])
            .iter()
            .map(|f| read(&folder.join(f)))
            .collect();
        let actual =
            apply_patches(&read(&folder.join(file)), &patches, contract.release()).unwrap();
        assert_same(
            &actual,
            &read(&folder.join(patch["output"].as_str().unwrap())),
            &format!("{name} patch"),
        );
    }
}

macro_rules! cases {
    ($($test:ident: $name:literal;)*) => {
        $(#[test] fn $test() { check($name); })*
    };
}

cases! {
    g01: "g01-base-v1.13";
    g02: "g02-base-v1.11";
    g03: "g03-base-v1.12";
    g04: "g04-options-v1.13";
    g05: "g05-options-v1.11";
    g06: "g06-strategic-basic";
    g07: "g07-strategic-lists-v1.11";
    g08: "g08-json6902-v1.11";
    g09: "g09-json6902-multidoc-error";
    g10: "g10-patch-delete";
    g11: "g11-cilium";
    g12: "g12-prerelease-v1.14";
    g13: "g13-prerelease-options-v1.14";
    g14: "g14-prerelease-cilium-v1.14";
}

/// The configurations that terraform-provider-talos 0.11.0 left in a real state.
#[test]
fn provider_state() {
    let state: Value = serde_json::from_str(&read(
        &golden().join("provider-state/terraform.tfstate.json"),
    ))
    .unwrap();
    let mut seen = 0;
    for resource in state["resources"].as_array().unwrap() {
        if resource["type"] != "talos_machine_configuration" {
            continue;
        }
        let a = &resource["instances"][0]["attributes"];
        let secrets = bundle(&a["machine_secrets"]);
        let contract = Contract::parse(a["talos_version"].as_str().unwrap()).unwrap();
        let input = Input::new(
            a["cluster_name"].as_str().unwrap(),
            a["cluster_endpoint"].as_str().unwrap(),
            a["machine_type"].as_str().unwrap().parse().unwrap(),
            a["kubernetes_version"].as_str().unwrap(),
            contract,
            &secrets,
            "ghcr.io/siderolabs/installer:v1.13.9",
        );
        let actual = machine_config(&input, &texts(&a["config_patches"])).unwrap();
        assert_same(
            &actual,
            a["machine_configuration"].as_str().unwrap(),
            resource["name"].as_str().unwrap(),
        );
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// Builds a bundle from the attributes of `talos_machine_secrets`.
fn bundle(attributes: &Value) -> SecretsBundle {
    let at = |pointer: &str| {
        attributes
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let pair = |name: &str| {
        format!(
            "{{crt: {}, key: {}}}",
            at(&format!("/certs/{name}/cert")),
            at(&format!("/certs/{name}/key"))
        )
    };
    let yaml = format!(
        "cluster: {{id: {}, secret: {}}}\nsecrets: {{bootstraptoken: {}, secretboxencryptionsecret: {}}}\ntrustdinfo: {{token: {}}}\n\
         certs: {{etcd: {}, k8s: {}, k8saggregator: {}, os: {}, k8sserviceaccount: {{key: {}}}}}\n",
        at("/cluster/id"),
        at("/cluster/secret"),
        at("/secrets/bootstrap_token"),
        at("/secrets/secretbox_encryption_secret"),
        at("/trustdinfo/token"),
        pair("etcd"),
        pair("k8s"),
        pair("k8s_aggregator"),
        pair("os"),
        at("/certs/k8s_serviceaccount/key"),
    );
    SecretsBundle::from_yaml(&yaml).unwrap()
}

#[test]
fn without_patches_the_bytes_stay() {
    let text = "machine:   {type: worker}   # untouched\n";
    assert_eq!(apply_patches(text, &[], Release::V1_13).unwrap(), text);
}

/// The talosconfig that terraform-provider-talos 0.11.0 left in a real state.
#[test]
fn provider_talosconfig() {
    use stead_talos::machinery::{parse_talosconfig, render_talosconfig};
    let state: Value = serde_json::from_str(&read(
        &golden().join("provider-state/terraform.tfstate.json"),
    ))
    .unwrap();
    let resources = state["resources"].as_array().unwrap();
    let found = resources
        .iter()
        .find(|r| r["type"] == "talos_client_configuration")
        .unwrap();
    let expected = found["instances"][0]["attributes"]["talos_config"]
        .as_str()
        .unwrap();
    let context = parse_talosconfig(expected, None).unwrap();
    assert_same(
        render_talosconfig("lab", &context).expose(),
        expected,
        "talosconfig",
    );
}

/// What each contract is the first or the last to write; the goldens begin at 1.11.
#[test]
fn contracts_differ_where_they_should() {
    let write = |contract: &str, machine_type| {
        let name = if contract == "v1.2" {
            "secrets/v1.2.yaml"
        } else {
            "secrets/v1.6.yaml"
        };
        let secrets = SecretsBundle::from_yaml(&read(&golden().join(name))).unwrap();
        let contract = Contract::parse(contract).unwrap();
        let input = Input::new(
            "lab",
            "https://[fd00::1]:6443",
            machine_type,
            "1.30.0",
            contract,
            &secrets,
            "installer:v1",
        );
        let text = machine_config(&input, &[]).unwrap();
        assert_same(
            &canonical(&text, contract.release()).unwrap(),
            &text,
            "read back",
        );
        text
    };
    for minor in 2..=14 {
        let contract = format!("v1.{minor}");
        let control = write(&contract, MachineType::ControlPlane);
        let worker = write(&contract, MachineType::Worker);
        let found = |text: &str| (control.contains(text), worker.contains(text));
        let both = |yes: bool| (yes, yes);
        assert_eq!(found("k8s.gcr.io:"), both(minor == 2), "{contract}");
        assert_eq!(
            found("aescbcEncryptionSecret"),
            (minor == 2, false),
            "{contract}"
        );
        assert_eq!(
            found("secretboxEncryptionSecret"),
            ((3..14).contains(&minor), false),
            "{contract}"
        );
        assert_eq!(
            found("auditPolicy:"),
            ((3..14).contains(&minor), false),
            "{contract}"
        );
        assert_eq!(
            found("apidCheckExtKeyUsage"),
            both((3..12).contains(&minor)),
            "{contract}"
        );
        assert_eq!(
            found("disableManifestsDirectory"),
            both((3..14).contains(&minor)),
            "{contract}"
        );
        assert_eq!(found("diskQuotaSupport"), both(minor >= 5), "{contract}");
        assert_eq!(
            found("kubePrism:"),
            both((6..14).contains(&minor)),
            "{contract}"
        );
        assert_eq!(found("hostDNS:"), both(minor >= 7), "{contract}");
        assert_eq!(
            found("forwardKubeDNSToHost"),
            both(minor >= 8),
            "{contract}"
        );
        assert_eq!(found("clusterName: lab"), (true, minor >= 8), "{contract}");
        assert_eq!(
            found("exclude-from-external-load-balancers"),
            (minor >= 8, false),
            "{contract}"
        );
        assert_eq!(found("stableHostname"), both(minor < 12), "{contract}");
        assert_eq!(
            found("kind: HostnameConfig"),
            both(minor >= 12),
            "{contract}"
        );
        assert_eq!(found("- fd00::1"), (minor < 12, false), "{contract}");
        assert_eq!(found("network: {}"), both(minor < 13), "{contract}");
        assert_eq!(
            found("kind: KubeletConfig"),
            both(minor >= 14),
            "{contract}"
        );
    }
}
