//! The Kubernetes documents of contract 1.14.

use super::endpoint::Endpoint;
use super::legacy::{self, image};
use super::{ConfigError, Input, MachineType, document};
use crate::machinery::schema::Document;
use crate::machinery::secrets::CertificateAndKey;
use crate::machinery::value::Value;

const CONTROL_PLANE_ROLE: &str = "node-role.kubernetes.io/control-plane";

/// Appends the documents of every node, then those of control plane nodes.
pub(super) fn append(
    input: &Input<'_>,
    endpoint: &Endpoint<'_>,
    out: &mut Vec<Document>,
) -> Result<(), ConfigError> {
    if !input.contract.multi_document_kubernetes() {
        return Ok(());
    }
    every_node(input, endpoint, out)?;
    if input.machine_type == MachineType::ControlPlane {
        control_plane(input, endpoint, out)?;
    }
    Ok(())
}

fn every_node(
    input: &Input<'_>,
    endpoint: &Endpoint<'_>,
    out: &mut Vec<Document>,
) -> Result<(), ConfigError> {
    let control_plane = input.machine_type == MachineType::ControlPlane;
    let cluster = [
        ("clusterName", input.cluster_name.into()),
        ("endpoint", endpoint.url().into()),
    ];
    out.push(document("KubeClusterConfig", cluster)?);
    let node = if control_plane {
        let labels = Value::map([
            (CONTROL_PLANE_ROLE, "".into()),
            (legacy::EXCLUDE_LABEL, "".into()),
        ]);
        let taints = Value::map([(CONTROL_PLANE_ROLE, "NoSchedule".into())]);
        document("KubeNodeConfig", [("labels", labels), ("taints", taints)])?
    } else {
        document("KubeNodeConfig", [])?
    };
    out.push(node);
    let kubelet = [
        ("image", image(input, legacy::KUBELET)),
        ("defaultRuntimeSeccompProfileEnabled", true.into()),
    ];
    out.push(document("KubeletConfig", kubelet)?);
    let network = [
        ("dnsDomain", Value::from(Some(input.dns_domain.to_owned()))),
        ("podSubnets", Value::strings(legacy::POD_SUBNETS)),
        ("serviceSubnets", Value::strings(legacy::SERVICE_SUBNETS)),
    ];
    out.push(document("KubeNetworkConfig", network)?);
    let k8s = &input.secrets.certs.k8s;
    let ca = if control_plane {
        ("issuingCA", pair(k8s))
    } else {
        ("acceptedCAs", Value::strings([k8s.cert.as_str()]))
    };
    out.push(document("KubeAPIServerCAConfig", [ca])?);
    out.push(document(
        "KubePrismConfig",
        [("port", Value::Int(legacy::KUBE_PRISM_PORT))],
    )?);
    Ok(())
}

fn control_plane(
    input: &Input<'_>,
    endpoint: &Endpoint<'_>,
    out: &mut Vec<Document>,
) -> Result<(), ConfigError> {
    let secrets = input.secrets;
    out.push(document(
        "KubeAggregatorCAConfig",
        [("issuingCA", pair(&secrets.certs.k8s_aggregator))],
    )?);
    let pod_security = [
        ("name", "PodSecurity".into()),
        ("configuration", legacy::pod_security()),
    ];
    out.push(document("KubeAdmissionControlConfig", pod_security)?);
    out.push(document(
        "KubeAuditPolicyConfig",
        [("configuration", legacy::audit_policy())],
    )?);
    out.push(document(
        "KubeAuthenticationConfig",
        [("configuration", authentication())],
    )?);
    for (name, kind) in [("node", "Node"), ("rbac", "RBAC")] {
        out.push(document(
            "KubeAuthorizerConfig",
            [("name", name.into()), ("type", kind.into())],
        )?);
    }
    out.push(document(
        "KubeEtcdEncryptionConfig",
        [("config", etcd_encryption(input)?)],
    )?);
    let issuer = Value::map([
        (
            "privateKey",
            secrets.certs.k8s_service_account.expose().into(),
        ),
        ("issuerURL", endpoint.url().into()),
    ]);
    out.push(document("KubeServiceAccountConfig", [("issuer", issuer)])?);
    let api_server = [
        ("image", image(input, "kube-apiserver")),
        (
            "certExtraSANs",
            Value::strings(input.additional_sans.iter().cloned()),
        ),
    ];
    out.push(document("KubeAPIServerConfig", api_server)?);
    for (kind, name) in [
        ("KubeControllerManagerConfig", "kube-controller-manager"),
        ("KubeSchedulerConfig", "kube-scheduler"),
        ("KubeProxyConfig", "kube-proxy"),
    ] {
        out.push(document(kind, [("image", image(input, name))])?);
    }
    let flannel = [
        ("backendType", "vxlan".into()),
        ("backendPort", Value::Int(4789)),
    ];
    out.push(document("KubeFlannelCNIConfig", flannel)?);
    out.push(document("KubeCoreDNSConfig", [("enabled", true.into())])?);
    Ok(())
}

fn pair(pair: &CertificateAndKey) -> Value {
    Value::map([
        ("cert", pair.cert.as_str().into()),
        ("key", pair.key.expose().into()),
    ])
}

/// Anonymous access to the health endpoints only.
fn authentication() -> Value {
    let conditions = ["/livez", "/readyz", "/healthz"]
        .map(|path| Value::map([("path", path.into())]))
        .to_vec();
    let anonymous = Value::map([
        ("conditions", Value::List(conditions)),
        ("enabled", true.into()),
    ]);
    Value::map([("anonymous", anonymous), ("jwt", Value::List(Vec::new()))])
}

/// Key names and order match what older contracts render, so that existing data stays readable.
fn etcd_encryption(input: &Input<'_>) -> Result<Value, ConfigError> {
    let secrets = &input.secrets.secrets;
    let mut providers = Vec::new();
    // Talos 1.14 writes an AES-CBC secret under secretbox as well.
    for (name, secret) in [
        ("key2", &secrets.secretbox_encryption_secret),
        ("key1", &secrets.aescbc_encryption_secret),
    ] {
        if let Some(secret) = secret {
            let key = Value::map([("name", name.into()), ("secret", secret.expose().into())]);
            providers.push(Value::map([(
                "secretbox",
                Value::map([("keys", Value::List(vec![key]))]),
            )]));
        }
    }
    if providers.is_empty() {
        return Err(ConfigError::Secret("encryption secret", input.contract));
    }
    let resource = Value::map([
        ("providers", Value::List(providers)),
        ("resources", Value::strings(["secrets"])),
    ]);
    Ok(Value::map([("resources", Value::List(vec![resource]))]))
}
