//! Generated and golden secrets.

use std::time::{Duration, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const V1_13: &str = include_str!("../../../tests/golden/secrets/v1.13.yaml");
const V1_6: &str = include_str!("../../../tests/golden/secrets/v1.6.yaml");
const V1_2: &str = include_str!("../../../tests/golden/secrets/v1.2.yaml");

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn sample(contract: &str, seed: u64) -> SecretsBundle {
    let contract = Contract::parse(contract).unwrap();
    // A small key: the size changes nothing but the time the test takes.
    SecretsBundle::generate_sized(
        contract,
        &mut StdRng::seed_from_u64(seed),
        at(1_800_000_000),
        1024,
    )
    .unwrap()
}

#[test]
fn golden_bundles_round_trip() {
    for text in [V1_13, V1_6, V1_2] {
        let bundle = SecretsBundle::from_yaml(text).unwrap();
        assert_eq!(bundle.to_yaml().expose(), text);
    }
}

#[test]
fn a_cluster_is_adopted_from_its_configuration() {
    use crate::machinery::Release;
    let expected = SecretsBundle::from_yaml(V1_13).unwrap();
    for (config, release) in [
        (
            include_str!("../../../tests/golden/g02-base-v1.11/controlplane.yaml"),
            Release::V1_13,
        ),
        (
            include_str!("../../../tests/golden/g12-prerelease-v1.14/controlplane.yaml"),
            Release::V1_14,
        ),
    ] {
        assert_eq!(
            SecretsBundle::from_machine_config(config, release).unwrap(),
            expected
        );
    }
    let worker = include_str!("../../../tests/golden/g02-base-v1.11/worker.yaml");
    let error = SecretsBundle::from_machine_config(worker, Release::V1_13)
        .unwrap_err()
        .to_string();
    assert!(error.contains("certs.os is invalid"), "{error}");
}

#[test]
fn contract_decides_the_kinds_of_secrets() {
    let (old, middle, new) = (sample("v1.2", 1), sample("v1.6", 1), sample("v1.13", 1));
    assert!(
        old.secrets.aescbc_encryption_secret.is_some()
            && old.secrets.secretbox_encryption_secret.is_none()
    );
    assert!(
        middle.secrets.secretbox_encryption_secret.is_some()
            && middle.secrets.aescbc_encryption_secret.is_none()
    );
    assert!(
        middle
            .certs
            .k8s_service_account
            .expose()
            .starts_with("-----BEGIN EC PRIVATE KEY-----")
    );
    assert!(
        new.certs
            .k8s_service_account
            .expose()
            .starts_with("-----BEGIN RSA PRIVATE KEY-----")
    );
    assert!(
        new.certs
            .os
            .key
            .expose()
            .starts_with("-----BEGIN ED25519 PRIVATE KEY-----")
    );
    for bundle in [old, middle, new] {
        let again = SecretsBundle::from_yaml(bundle.to_yaml().expose()).unwrap();
        assert_eq!(again, bundle);
    }
}

#[test]
fn equal_randomness_gives_equal_secrets() {
    assert_eq!(sample("v1.6", 7), sample("v1.6", 7));
    assert_ne!(sample("v1.6", 7), sample("v1.6", 8));
}

#[test]
fn authorities_look_like_those_of_talos() {
    let bundle = sample("v1.6", 3);
    for (pair, subject) in [
        (&bundle.certs.os, "O=talos"),
        (&bundle.certs.k8s, "O=kubernetes"),
        (&bundle.certs.etcd, "O=etcd"),
        (&bundle.certs.k8s_aggregator, ""),
    ] {
        let body = x509::certificate_body(&pair.cert).unwrap();
        let cert = x509::parse(&body).unwrap();
        assert_eq!(cert.subject().to_string(), subject);
        assert!(cert.is_ca());
        assert_eq!(
            certificate_validity(&pair.cert).unwrap().not_after,
            at(1_800_000_000 + 87_600 * 3600)
        );
    }
}

#[test]
fn tokens_have_the_form_of_kubeadm() {
    let token = sample("v1.6", 5).trustd_token;
    let (id, secret) = token.expose().split_once('.').unwrap();
    assert_eq!((id.len(), secret.len()), (6, 16));
    assert!(
        token
            .expose()
            .chars()
            .all(|c| c == '.' || c.is_ascii_digit() || c.is_ascii_lowercase())
    );
}

#[test]
fn client_certificates_carry_the_roles() {
    let bundle = SecretsBundle::from_yaml(V1_13).unwrap();
    let year = Duration::from_secs(365 * 24 * 3600);
    let pair = bundle
        .client_certificate(
            &[Role::Admin],
            year,
            &mut StdRng::seed_from_u64(1),
            at(1_800_000_000),
        )
        .unwrap();
    let body = x509::certificate_body(&pair.cert).unwrap();
    let cert = x509::parse(&body).unwrap();
    assert_eq!(cert.subject().to_string(), "O=os:admin");
    assert_eq!(cert.issuer().to_string(), "O=talos");
    assert!(
        pair.key
            .expose()
            .starts_with("-----BEGIN ED25519 PRIVATE KEY-----")
    );
}

/// Byte-equal to the ephemeral resources of terraform-provider-talos 0.11.
#[test]
fn deterministic_certificates() {
    for (bundle, golden, not_after) in [
        (
            V1_13,
            include_str!("../../../tests/golden/deterministic/v1.13-1y.json"),
            1_798_761_600,
        ),
        (
            V1_6,
            include_str!("../../../tests/golden/deterministic/v1.6-10y.json"),
            2_095_677_000,
        ),
    ] {
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let input = |key: &str| golden["input"][key].as_str().unwrap();
        let not_before = if input("cluster_name") == "golden" {
            1_767_225_600
        } else {
            1_780_317_000
        };
        let validity = Validity {
            not_before: at(not_before),
            not_after: at(not_after),
        };
        let bundle = SecretsBundle::from_yaml(bundle).unwrap();
        let pair = bundle
            .deterministic_client_certificate(input("cluster_name"), validity)
            .unwrap();
        let expected = |key: &str| golden["client_configuration"][key].as_str().unwrap();
        assert_eq!(STANDARD.encode(&pair.cert), expected("client_certificate"));
        assert_eq!(STANDARD.encode(pair.key.expose()), expected("client_key"));
        assert_eq!(
            STANDARD.encode(&bundle.certs.os.cert),
            expected("ca_certificate")
        );
        let kubeconfig = bundle
            .deterministic_kubeconfig(input("cluster_name"), input("endpoint"), validity)
            .unwrap();
        assert_eq!(
            kubeconfig.to_yaml().expose(),
            golden["kubeconfig_raw"].as_str().unwrap()
        );
    }
}

#[test]
fn problems_are_listed_together() {
    let text = V1_13
        .replace("    token: rwj4l9.dzysa5ywkqowreox\n", "    other: 1\n")
        .replace("    secretboxencryptionsecret", "    nothing");
    let error = SecretsBundle::from_yaml(&text).unwrap_err().to_string();
    assert!(error.contains("trustdinfo.token is required"), "{error}");
    let mut bundle = SecretsBundle::from_yaml(V1_13).unwrap();
    bundle.secrets.aescbc_encryption_secret = Some(Secret::new("x"));
    bundle.certs.etcd.cert = "nonsense".to_owned();
    let error = bundle.validate().unwrap_err().to_string();
    assert!(
        error.contains("only one of") && error.contains("certs.etcd is invalid"),
        "{error}"
    );
}

#[test]
fn debug_shows_no_secrets() {
    let bundle = SecretsBundle::from_yaml(V1_13).unwrap();
    let shown = format!("{bundle:?}");
    for secret in [
        bundle.trustd_token.expose(),
        bundle.cluster_secret.expose(),
        "PRIVATE KEY",
    ] {
        assert!(!shown.contains(secret));
    }
}
