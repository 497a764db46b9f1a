//! A lab with simulated Talos machines, a Kubernetes that only keeps books, and gRPC clients that come through the lab's network.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ED25519};
use stead_lab_core::cluster::{Cluster, ClusterHost, ClusterSpec, NodeSpec, StaticPod};
use stead_lab_core::machine::{
    CloudInit, Disk, Guest, GuestKind, Hardware, ImageLabel, IpConfig, Nic,
};
use stead_lab_core::{Lab, Settings};
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::{Talos, start};
use tonic::transport::{Channel, Endpoint};

/// Waits for a condition by asking again; fails the test when it never holds.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(std::time::Duration::from_secs(30), asking).await {
        Ok(found) => found,
        Err(_) => panic!("never: {what}"),
    }
}

/// A Kubernetes that notes what it is told.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) started: Mutex<Vec<ClusterSpec>>,
    pub(crate) clusters: Mutex<BTreeMap<String, Arc<FakeCluster>>>,
    pub(crate) destroyed: Mutex<Vec<String>>,
}

pub(crate) struct FakeCluster {
    pub(crate) address: SocketAddr,
    pub(crate) nodes: Mutex<BTreeMap<String, (NodeSpec, bool)>>,
    pub(crate) manifests: Mutex<Vec<String>>,
    pub(crate) entries: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) writable: std::sync::atomic::AtomicBool,
    pub(crate) version: Mutex<String>,
    pub(crate) pods: Mutex<BTreeMap<String, Vec<StaticPod>>>,
}

#[async_trait]
impl ClusterHost for Books {
    async fn start(&self, spec: ClusterSpec) -> std::io::Result<Arc<dyn Cluster>> {
        let mut clusters = self.clusters.lock().unwrap();
        let port = 20000 + clusters.len() as u16;
        let cluster = clusters.entry(spec.id.clone()).or_insert_with(|| {
            Arc::new(FakeCluster {
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                nodes: Mutex::default(),
                manifests: Mutex::default(),
                entries: Mutex::default(),
                writable: true.into(),
                version: Mutex::default(),
                pods: Mutex::default(),
            })
        });
        let cluster = cluster.clone();
        self.started.lock().unwrap().push(spec);
        Ok(cluster)
    }

    async fn destroy(&self, id: &str) {
        self.clusters.lock().unwrap().remove(id);
        self.destroyed.lock().unwrap().push(id.to_owned());
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    fn api_address(&self) -> SocketAddr {
        self.address
    }

    async fn apply_bootstrap_manifests(&self, _: &str, yaml: &str) -> Result<(), String> {
        self.manifests.lock().unwrap().push(yaml.to_owned());
        Ok(())
    }

    async fn node_joined(&self, node: NodeSpec) {
        self.nodes
            .lock()
            .unwrap()
            .insert(node.name.clone(), (node, true));
    }

    async fn node_stopped(&self, name: &str) {
        if let Some((_, ready)) = self.nodes.lock().unwrap().get_mut(name) {
            *ready = false;
        }
    }

    async fn node_removed(&self, name: &str) {
        self.nodes.lock().unwrap().remove(name);
    }

    async fn healthy(&self) -> Result<(), String> {
        Ok(())
    }

    async fn set_version(&self, version: &str) {
        *self.version.lock().unwrap() = version.to_owned();
    }

    async fn static_pods(&self, node: &str, pods: &[StaticPod]) {
        let mut all = self.pods.lock().unwrap();
        all.insert(node.to_owned(), pods.to_vec());
    }

    fn set_writable(&self, writable: bool) {
        let order = std::sync::atomic::Ordering::SeqCst;
        self.writable.store(writable, order);
    }

    async fn entries(&self) -> Vec<(String, Vec<u8>)> {
        let entries = self.entries.lock().unwrap().clone();
        entries.into_iter().collect()
    }

    async fn replace_entries(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), String> {
        *self.entries.lock().unwrap() = entries.into_iter().collect();
        Ok(())
    }

    async fn nodes(&self) -> Vec<(String, bool)> {
        let nodes = self.nodes.lock().unwrap();
        nodes
            .iter()
            .map(|(n, (_, ready))| (n.clone(), *ready))
            .collect()
    }
}

pub(crate) struct TestLab {
    pub(crate) lab: Lab,
    pub(crate) books: Arc<Books>,
    pub(crate) talos: Arc<Talos>,
}

impl TestLab {
    pub(crate) async fn open(root: &Path) -> TestLab {
        let lab = Lab::open(root, Settings::default()).unwrap();
        let books = Arc::new(Books::default());
        let talos = start(&lab, books.clone()).await.unwrap();
        TestLab { lab, books, talos }
    }

    /// Boots a machine from a disk image of this version, with a static address.
    pub(crate) async fn boot(&self, number: u8, version: &str) -> Arc<dyn Guest> {
        self.talos.boot(hardware(number, version)).await
    }

    /// Connects as the machine API's client does before it is configured: any server certificate will do.
    pub(crate) async fn insecure(&self, address: &str) -> Result<Channel, String> {
        self.connect(address, Arc::new(tls::anything())).await
    }

    /// Connects with mutual TLS.
    pub(crate) async fn secure(
        &self,
        address: &str,
        credentials: &Credentials,
    ) -> Result<Channel, String> {
        self.connect(address, Arc::new(tls::mutual(credentials)))
            .await
    }

    async fn connect(
        &self,
        address: &str,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<Channel, String> {
        let stream = self
            .lab
            .network
            .connect(address, 50000)
            .await
            .map_err(|e| e.to_string())?;
        let name = rustls::pki_types::ServerName::try_from(address.to_owned()).unwrap();
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|e| e.to_string())?;
        let mut stream = Some(hyper_util::rt::TokioIo::new(stream));
        let connector = tower::service_fn(move |_| {
            let stream = stream.take();
            async move { stream.ok_or_else(|| std::io::Error::other("one connection only")) }
        });
        Endpoint::from_static("http://talos")
            .connect_with_connector(connector)
            .await
            .map_err(|e| format!("{e:?}"))
    }

    /// A client of a configured node, as soon as there is one.
    pub(crate) async fn machine(
        &self,
        address: &str,
        credentials: &Credentials,
    ) -> MachineServiceClient<Channel> {
        let channel = eventually("a configured machine API", async || {
            let channel = self.secure(address, credentials).await.ok()?;
            // A refused client certificate shows at the first request only.
            MachineServiceClient::new(channel.clone())
                .version(())
                .await
                .ok()?;
            Some(channel)
        })
        .await;
        MachineServiceClient::new(channel)
    }
}

pub(crate) fn hardware(number: u8, version: &str) -> Hardware {
    let address = format!("10.5.0.{number}").parse().unwrap();
    let ip = IpConfig {
        address: Some((address, 24)),
        gateway: Some("10.5.0.1".parse().unwrap()),
    };
    Hardware {
        id: format!("pve/{number}"),
        name: format!("node-{number}"),
        cores: 4,
        memory_mib: 2480,
        disks: vec![Disk {
            interface: "scsi0".to_owned(),
            size_bytes: 20 << 30,
            image: Some(ImageLabel {
                os: "talos".to_owned(),
                version: version.to_owned(),
                schematic: "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515"
                    .to_owned(),
                guest_agent: true,
            }),
        }],
        nics: vec![Nic {
            mac: format!("BC:24:11:00:00:{number:02X}"),
            bridge: "vmbr0".to_owned(),
            vlan: None,
        }],
        cloud_init: Some(CloudInit {
            ip_config: BTreeMap::from([(0, ip)]),
            ..CloudInit::default()
        }),
        pci_devices: Vec::new(),
        agent_channel: true,
    }
}

pub(crate) fn golden(name: &str) -> String {
    let path = format!("{}/tests/golden/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// A control plane's configuration with a name and a virtual address.
pub(crate) fn control_plane(number: u8) -> String {
    golden("controlplane-v1.13")
        .replace("auto: stable", &format!("hostname: cp-{number}\nauto: off"))
        .replace(
            "machine:\n",
            "machine:\n    network:\n        interfaces:\n            - interface: eth0\n              dhcp: true\n              vip:\n                ip: 10.5.0.10\n",
        )
        .replace("cluster:\n    id", "cluster:\n    inlineManifests:\n        - name: cilium\n          contents: |\n            kind: Namespace\n    id")
}

pub(crate) fn worker(number: u8) -> String {
    golden("worker-v1.13").replace("auto: stable", &format!("hostname: w-{number}\nauto: off"))
}

/// What a client of the machine API presents and trusts.
pub(crate) struct Credentials {
    pub(crate) ca: String,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

fn decoded(config: &str, after: &str, key: &str) -> String {
    let part = &config[config.find(after).unwrap()..];
    let line = part
        .lines()
        .find(|l| l.trim_start().starts_with(key))
        .unwrap();
    let value = line.split_once(": ").unwrap().1.trim();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(value)
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Credentials with a role, signed by the machine CA of the golden configuration.
pub(crate) fn credentials(role: &str) -> Credentials {
    credentials_of("controlplane-v1.13", role)
}

/// The same of another golden configuration.
pub(crate) fn credentials_of(name: &str, role: &str) -> Credentials {
    let config = golden(name);
    let ca = decoded(&config, "    ca:\n", "crt");
    let key = decoded(&config, "    ca:\n", "key").replace("ED25519 PRIVATE", "PRIVATE");
    let issuer = Issuer::from_ca_cert_pem(&ca, KeyPair::from_pem(&key).unwrap()).unwrap();
    signed(&ca, &issuer, role)
}

/// Credentials of another cluster; trusts the golden CA all the same.
pub(crate) fn foreign_credentials() -> Credentials {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "talos");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = Issuer::new(params, key);
    signed(&credentials("os:admin").ca, &issuer, "os:admin")
}

fn signed(ca: &str, issuer: &Issuer<'_, KeyPair>, role: &str) -> Credentials {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, role);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).unwrap();
    Credentials {
        ca: ca.to_owned(),
        certificate: certificate.der().to_vec(),
        key: key.serialize_der(),
    }
}

mod tls {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
    };
    use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

    use super::Credentials;

    #[derive(Debug)]
    struct Anything(Arc<CryptoProvider>);

    impl ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }

    fn provider() -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }

    pub(crate) fn anything() -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything(provider())))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    pub(crate) fn mutual(credentials: &Credentials) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(credentials.ca.as_bytes()).unwrap())
            .unwrap();
        let chain = vec![CertificateDer::from(credentials.certificate.clone())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credentials.key.clone()));
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}
