//! The v1alpha1 document: everything up to contract 1.13, a small rest in 1.14.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::endpoint::Endpoint;
use super::{ConfigError, Input, MachineType, document};
use crate::machinery::schema::Document;
use crate::machinery::secrets::CertificateAndKey;
use crate::machinery::value::{Fields, Value};

/// The default ranges; Talos never picks others from an endpoint that is a URL.
pub(super) const POD_SUBNETS: [&str; 1] = ["10.244.0.0/16"];
pub(super) const SERVICE_SUBNETS: [&str; 1] = ["10.96.0.0/12"];
pub(super) const KUBE_PRISM_PORT: i128 = 7445;
pub(super) const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Images of the Kubernetes components, without their tags.
pub(super) const KUBELET: &str = "ghcr.io/siderolabs/kubelet";

pub(super) fn image(input: &Input<'_>, name: &str) -> Value {
    let repository = if name == KUBELET {
        name.to_owned()
    } else {
        format!("registry.k8s.io/{name}")
    };
    Value::Str(format!("{repository}:v{}", input.kubernetes()))
}

/// The document that holds the whole configuration, up to contract 1.13.
pub(super) fn full(input: &Input<'_>, endpoint: &Endpoint<'_>) -> Result<Document, ConfigError> {
    root(machine(input), cluster(input, endpoint)?)
}

/// What is left of it in contract 1.14.
pub(super) fn reduced(input: &Input<'_>) -> Result<Document, ConfigError> {
    let mut machine = identity(input);
    set(
        &mut machine,
        "features",
        Value::map([("diskQuotaSupport", true.into())]),
    );
    let control_plane = input.machine_type == MachineType::ControlPlane;
    let cluster = Value::map([
        (
            "token",
            input.secrets.secrets.bootstrap_token.expose().into(),
        ),
        (
            "etcd",
            if control_plane {
                Value::map([("ca", pem(&input.secrets.certs.etcd))])
            } else {
                Value::Null
            },
        ),
    ]);
    root(machine, cluster)
}

fn root(machine: Value, cluster: Value) -> Result<Document, ConfigError> {
    document(
        "v1alpha1",
        [
            ("version", "v1alpha1".into()),
            ("debug", false.into()),
            ("persist", true.into()),
            ("machine", machine),
            ("cluster", cluster),
        ],
    )
}

fn set(target: &mut Value, key: &str, value: Value) {
    if let Some(fields) = target.as_map_mut() {
        fields.insert(key.to_owned(), value);
    }
}

/// What every contract keeps in `machine`.
fn identity(input: &Input<'_>) -> Value {
    let os = &input.secrets.certs.os;
    Value::map([
        ("type", input.machine_type.as_str().into()),
        ("token", input.secrets.trustd_token.expose().into()),
        (
            "ca",
            if input.machine_type == MachineType::ControlPlane {
                pem(os)
            } else {
                certificate(os)
            },
        ),
        (
            "certSANs",
            Value::strings(input.additional_sans.iter().cloned()),
        ),
    ])
}

fn machine(input: &Input<'_>) -> Value {
    let contract = input.contract;
    let when = |condition: bool, value: Value| if condition { value } else { Value::Null };
    let on = |condition: bool| when(condition, true.into());
    let mut machine = identity(input);
    let kubelet = Value::map([
        ("image", image(input, KUBELET)),
        ("defaultRuntimeSeccompProfileEnabled", true.into()),
        (
            "disableManifestsDirectory",
            on(contract.disable_manifests_directory()),
        ),
    ]);
    set(&mut machine, "kubelet", kubelet);
    if !contract.multi_document_kubespan() {
        let kubespan = Value::map([("enabled", true.into())]);
        set(
            &mut machine,
            "network",
            Value::map([("kubespan", when(input.kubespan, kubespan))]),
        );
    }
    let install = Value::map([
        ("disk", Value::from(Some(input.install_disk.to_owned()))),
        ("image", input.install_image.into()),
        ("wipe", false.into()),
        ("grubUseUKICmdline", on(contract.multi_document_network())),
    ]);
    set(&mut machine, "install", install);
    if !contract.multi_document_network() {
        set(
            &mut machine,
            "registries",
            Value::map([("mirrors", mirrors(input))]),
        );
    }
    let kube_prism = Value::map([
        ("enabled", true.into()),
        ("port", Value::Int(KUBE_PRISM_PORT)),
    ]);
    let host_dns = Value::map([
        ("enabled", true.into()),
        ("forwardKubeDNSToHost", on(contract.forward_kube_dns())),
    ]);
    let old_switches = !contract.multi_document_network();
    let features = Value::map([
        ("rbac", on(old_switches)),
        ("stableHostname", on(old_switches)),
        (
            "apidCheckExtKeyUsage",
            on(old_switches && contract.apid_check_key_usage()),
        ),
        ("diskQuotaSupport", on(contract.disk_quota())),
        ("kubePrism", when(contract.kube_prism(), kube_prism)),
        ("hostDNS", when(contract.host_dns(), host_dns)),
    ]);
    set(&mut machine, "features", features);
    if input.machine_type == MachineType::ControlPlane && contract.exclude_from_load_balancers() {
        set(
            &mut machine,
            "nodeLabels",
            Value::map([(EXCLUDE_LABEL, "".into())]),
        );
    }
    machine
}

fn mirrors(input: &Input<'_>) -> Value {
    let mut hosts = Fields::new();
    let endpoints = |urls: Vec<String>| Value::map([("endpoints", Value::strings(urls))]);
    if input.contract.redirect_old_registry() {
        let urls = ["https://registry.k8s.io", "https://k8s.gcr.io"]
            .map(str::to_owned)
            .to_vec();
        hosts.insert("k8s.gcr.io".to_owned(), endpoints(urls));
    }
    for mirror in &input.registry_mirrors {
        hosts.insert(mirror.host.clone(), endpoints(mirror.endpoints.clone()));
    }
    Value::Map(hosts)
}

fn cluster(input: &Input<'_>, endpoint: &Endpoint<'_>) -> Result<Value, ConfigError> {
    let contract = input.contract;
    let secrets = input.secrets;
    let control_plane = input.machine_type == MachineType::ControlPlane;
    let registries = Value::map([("kubernetes", Value::map([("disabled", true.into())]))]);
    let network = Value::map([
        ("dnsDomain", Value::from(Some(input.dns_domain.to_owned()))),
        ("podSubnets", Value::strings(POD_SUBNETS)),
        ("serviceSubnets", Value::strings(SERVICE_SUBNETS)),
    ]);
    let mut cluster = Value::map([
        ("id", secrets.cluster_id.as_str().into()),
        ("secret", secrets.cluster_secret.expose().into()),
        (
            "controlPlane",
            Value::map([("endpoint", endpoint.url().into())]),
        ),
        ("network", network),
        ("token", secrets.secrets.bootstrap_token.expose().into()),
        (
            "ca",
            if control_plane {
                pem(&secrets.certs.k8s)
            } else {
                certificate(&secrets.certs.k8s)
            },
        ),
        (
            "discovery",
            Value::map([
                ("enabled", input.cluster_discovery.into()),
                ("registries", registries),
            ]),
        ),
    ]);
    if control_plane || contract.cluster_name_for_workers() {
        set(&mut cluster, "clusterName", input.cluster_name.into());
    }
    if !control_plane {
        return Ok(cluster);
    }
    let (field, secret) = if contract.secretbox() {
        (
            "secretboxEncryptionSecret",
            &secrets.secrets.secretbox_encryption_secret,
        )
    } else {
        (
            "aescbcEncryptionSecret",
            &secrets.secrets.aescbc_encryption_secret,
        )
    };
    // Talos writes no field when the bundle holds only the other kind of secret.
    if let Some(secret) = secret {
        set(&mut cluster, field, secret.expose().into());
    }
    set(
        &mut cluster,
        "aggregatorCA",
        pem(&secrets.certs.k8s_aggregator),
    );
    let key = STANDARD.encode(secrets.certs.k8s_service_account.expose());
    set(
        &mut cluster,
        "serviceAccount",
        Value::map([("key", key.into())]),
    );
    set(&mut cluster, "apiServer", api_server(input, endpoint));
    for (field, name) in [
        ("controllerManager", "kube-controller-manager"),
        ("proxy", "kube-proxy"),
        ("scheduler", "kube-scheduler"),
    ] {
        set(
            &mut cluster,
            field,
            Value::map([("image", image(input, name))]),
        );
    }
    set(
        &mut cluster,
        "etcd",
        Value::map([("ca", pem(&secrets.certs.etcd))]),
    );
    Ok(cluster)
}

fn api_server(input: &Input<'_>, endpoint: &Endpoint<'_>) -> Value {
    let contract = input.contract;
    let old = !contract.multi_document_network();
    let mut sans = Vec::new();
    if old {
        sans.push(endpoint.host().to_owned());
    }
    sans.extend(input.additional_sans.iter().cloned());
    let plugin = Value::map([
        ("name", "PodSecurity".into()),
        ("configuration", pod_security()),
    ]);
    Value::map([
        ("image", image(input, "kube-apiserver")),
        ("certSANs", Value::strings(sans)),
        (
            "disablePodSecurityPolicy",
            if old { true.into() } else { Value::Null },
        ),
        ("admissionControl", Value::List(vec![plugin])),
        (
            "auditPolicy",
            if contract.audit_policy() {
                audit_policy()
            } else {
                Value::Null
            },
        ),
    ])
}

/// The pod security defaults: enforce baseline, warn and audit restricted.
pub(super) fn pod_security() -> Value {
    let defaults = [
        ("audit", "restricted".into()),
        ("audit-version", "latest".into()),
        ("enforce", "baseline".into()),
        ("enforce-version", "latest".into()),
        ("warn", "restricted".into()),
        ("warn-version", "latest".into()),
    ];
    let exemptions = [
        ("namespaces", Value::strings(["kube-system"])),
        ("runtimeClasses", Value::List(Vec::new())),
        ("usernames", Value::List(Vec::new())),
    ];
    Value::map([
        (
            "apiVersion",
            "pod-security.admission.config.k8s.io/v1alpha1".into(),
        ),
        ("defaults", Value::map(defaults)),
        ("exemptions", Value::map(exemptions)),
        ("kind", "PodSecurityConfiguration".into()),
    ])
}

pub(super) fn audit_policy() -> Value {
    Value::map([
        ("apiVersion", "audit.k8s.io/v1".into()),
        ("kind", "Policy".into()),
        (
            "rules",
            Value::List(vec![Value::map([("level", "Metadata".into())])]),
        ),
    ])
}

fn pem(pair: &CertificateAndKey) -> Value {
    Value::map([
        ("crt", STANDARD.encode(&pair.cert).into()),
        ("key", STANDARD.encode(pair.key.expose()).into()),
    ])
}

/// Workers trust the CA but do not get its key.
fn certificate(pair: &CertificateAndKey) -> Value {
    Value::map([("crt", STANDARD.encode(&pair.cert).into())])
}
