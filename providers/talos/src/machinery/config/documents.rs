//! The documents beside the v1alpha1 one that are not about Kubernetes.

use super::{ConfigError, Input, document};
use crate::machinery::schema::Document;
use crate::machinery::value::Value;

/// Appends them in the order Talos generates them.
pub(super) fn append(input: &Input<'_>, out: &mut Vec<Document>) -> Result<(), ConfigError> {
    let contract = input.contract;
    if contract.multi_document_kubernetes() {
        newest(input, out)?;
    }
    if contract.multi_document_network() {
        registries(input, out)?;
        out.push(document("HostnameConfig", [("auto", "stable".into())])?);
    }
    if contract.multi_document_kubespan() && input.kubespan {
        out.push(document("KubeSpanConfig", [("enabled", true.into())])?);
    }
    Ok(())
}

/// What contract 1.14 took out of the v1alpha1 document.
fn newest(input: &Input<'_>, out: &mut Vec<Document>) -> Result<(), ConfigError> {
    if input.cluster_discovery {
        let pairs = [
            ("name", "default".into()),
            ("endpoint", "https://discovery.talos.dev/".into()),
        ];
        out.push(document("DiscoveryServiceConfig", pairs)?);
    }
    let identity = [
        ("clusterID", input.secrets.cluster_id.as_str().into()),
        (
            "clusterSecret",
            input.secrets.cluster_secret.expose().into(),
        ),
    ];
    out.push(document("DiscoveryIdentityConfig", identity)?);
    if !input.install_disk.is_empty() {
        let selector = format!("disk.dev_path == {:?}", input.install_disk);
        let provisioning = Value::map([
            ("diskSelector", Value::map([("match", selector.into())])),
            ("wipe", false.into()),
        ]);
        let installer = Value::map([("image", input.install_image.into())]);
        out.push(document(
            "UnattendedInstallConfig",
            [("installer", installer), ("provisioning", provisioning)],
        )?);
    }
    let host_dns = Value::map([
        ("enabled", true.into()),
        ("forwardKubeDNSToHost", true.into()),
    ]);
    out.push(document("ResolverConfig", [("hostDNS", host_dns)])?);
    let mount = Value::map([("secure", true.into())]);
    out.push(document(
        "VolumeConfig",
        [("name", "EPHEMERAL".into()), ("mount", mount)],
    )?);
    out.push(document(
        "FilesystemTrimConfig",
        [("interval", "168h0m0s".into())],
    )?);
    out.push(document(
        "SecurityProfileConfig",
        [("workloadIsolation", true.into())],
    )?);
    Ok(())
}

fn registries(input: &Input<'_>, out: &mut Vec<Document>) -> Result<(), ConfigError> {
    let mut mirrors: Vec<_> = input.registry_mirrors.iter().collect();
    mirrors.sort_by(|a, b| a.host.cmp(&b.host));
    for mirror in mirrors {
        let endpoints = mirror
            .endpoints
            .iter()
            .map(|url| Value::map([("url", url.as_str().into())]))
            .collect();
        let pairs = [
            ("name", mirror.host.as_str().into()),
            ("endpoints", Value::List(endpoints)),
        ];
        out.push(document("RegistryMirrorConfig", pairs)?);
    }
    Ok(())
}
