//! A lab with one cluster, and clients of it.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use stead_lab_core::cluster::{Cluster, ClusterHost, ClusterSpec, NodeSpec};
use stead_lab_core::{Lab, Settings};
use stead_lab_kubernetes::Kubernetes;

pub struct Environment {
    pub folder: tempfile::TempDir,
    pub lab: Lab,
    pub kubernetes: Arc<Kubernetes>,
    pub cluster: Arc<dyn Cluster>,
    pub spec: ClusterSpec,
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

/// A CA as Talos makes it, and a spec with it.
fn authority() -> (rcgen::CertifiedIssuer<'static, rcgen::KeyPair>, ClusterSpec) {
    let key = rcgen::KeyPair::generate().unwrap();
    let key_pem = key.serialize_pem();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "kubernetes");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![
        rcgen::KeyUsagePurpose::KeyCertSign,
        rcgen::KeyUsagePurpose::DigitalSignature,
    ];
    let issuer = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let spec = ClusterSpec {
        id: "talos/one".to_owned(),
        name: "one".to_owned(),
        ca_certificate_pem: issuer.pem(),
        ca_key_pem: key_pem,
        kubernetes_version: "v1.34.1".to_owned(),
        certificate_names: vec!["10.25.150.10".to_owned(), "api.example".to_owned()],
        needs_cni: false,
    };
    (issuer, spec)
}

pub fn node(name: &str) -> NodeSpec {
    NodeSpec {
        name: name.to_owned(),
        address: "10.25.150.11".to_owned(),
        control_plane: true,
        kubelet_version: "v1.34.1".to_owned(),
        os_image: "Talos (v1.11.2)".to_owned(),
        labels: Default::default(),
        cpu: 4,
        memory_mib: 4096,
    }
}

impl Environment {
    pub async fn new(needs_cni: bool) -> Environment {
        let folder = tempfile::tempdir().unwrap();
        let (issuer, mut spec) = authority();
        spec.needs_cni = needs_cni;
        let lab = Lab::open(folder.path(), Settings::default()).unwrap();
        let kubernetes = stead_lab_kubernetes::start(&lab).await.unwrap();
        let cluster = kubernetes.start(spec.clone()).await.unwrap();
        Environment {
            folder,
            lab,
            kubernetes,
            cluster,
            spec,
            issuer,
        }
    }

    /// Stops the lab and opens it again in the same folder.
    pub async fn restart(self) -> Environment {
        self.lab.stop().await;
        let lab = Lab::open(self.folder.path(), Settings::default()).unwrap();
        let kubernetes = stead_lab_kubernetes::start(&lab).await.unwrap();
        let cluster = kubernetes.start(self.spec.clone()).await.unwrap();
        Environment {
            lab,
            kubernetes,
            cluster,
            ..self
        }
    }

    /// A kubeconfig whose client certificate says this user and group.
    pub fn kubeconfig(&self, user: &str, group: &str) -> Kubeconfig {
        use base64::Engine;
        let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, group);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, user);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &*self.issuer).unwrap();
        let address = self.cluster.api_address();
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("https://127.0.0.1:{}", address.port()),
                "certificate-authority-data": encode(self.spec.ca_certificate_pem.clone())}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
            "users": [{"name": "c", "user": {"client-certificate-data": encode(certificate.pem()),
                "client-key-data": encode(key.serialize_pem())}}],
        }))
        .unwrap()
    }

    pub async fn client_as(&self, user: &str, group: &str) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = kube::Config::from_custom_kubeconfig(
            self.kubeconfig(user, group),
            &KubeConfigOptions::default(),
        )
        .await
        .unwrap();
        Client::try_from(config).unwrap()
    }

    pub async fn admin(&self) -> Client {
        self.client_as("admin", "system:masters").await
    }
}
