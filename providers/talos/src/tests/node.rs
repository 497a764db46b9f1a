//! A node: TLS as in maintenance mode or configured, and the calls that the provider makes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::stream::{self, BoxStream};
use prost::Message;
use rcgen::string::PrintableString;
use rcgen::{BasicConstraints, CertificateParams, DnType, DnValue, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::api::common::Data;
use crate::api::cosi::resource::state_server::{State, StateServer};
use crate::api::cosi::resource::{
    GetRequest, GetResponse, ListRequest, ListResponse, Metadata, Resource, Spec,
};
use crate::api::machine as api;
use crate::api::machine::ApplyMode;
use crate::api::machine::machine_service_server::{MachineService, MachineServiceServer};
use crate::api::specs::{
    Diagnostic, Disk, MachineConfig, MachineStage, MachineStatus, StaticPodStatus, SystemDisk,
};
use crate::machinery::SecretsBundle;

/// What a node does when it gets a configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnApply {
    Take,
    /// Takes it, but the connection breaks before the answer.
    TakeAndVanish,
    /// Takes it and restarts.
    Reboot,
}

pub(super) struct Inside {
    pub(super) stage: MachineStage,
    pub(super) config: Option<String>,
    pub(super) on_disk: Option<String>,
    pub(super) on_apply: OnApply,
    pub(super) refusals: VecDeque<Status>,
    pub(super) boots: u32,
    /// Every call with its parameters, secrets aside.
    pub(super) calls: Vec<String>,
    pub(super) members: Vec<api::EtcdMember>,
    pub(super) services: Vec<api::ServiceInfo>,
    pub(super) kubeconfig: Vec<u8>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) static_pods: Vec<(String, StaticPodStatus)>,
    /// What it gives as etcd's snapshot, and what it was given.
    pub(super) snapshot: Vec<u8>,
    pub(super) recovered: Vec<u8>,
    /// The first one is the one that Talos is installed on.
    pub(super) disks: Vec<Disk>,
}

/// A running node.
#[derive(Clone)]
pub(super) struct FakeNode {
    inside: Arc<Mutex<Inside>>,
    connections: Arc<Mutex<CancellationToken>>,
    pub(super) address: SocketAddr,
}

/// The header `node` as the client sent it.
fn target<T>(request: &Request<T>) -> String {
    let value = request.metadata().get("node");
    value.map_or_else(|| "-".to_owned(), |v| v.to_str().unwrap().to_owned())
}

pub(super) fn service(id: &str, healthy: bool) -> api::ServiceInfo {
    api::ServiceInfo {
        id: id.to_owned(),
        state: "Running".to_owned(),
        health: Some(api::ServiceHealth {
            healthy,
            unknown: false,
            last_message: "not yet".to_owned(),
        }),
    }
}

impl FakeNode {
    /// A node in maintenance mode that will be of this cluster.
    pub(super) async fn start(secrets: &SecretsBundle) -> FakeNode {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inside = Inside {
            stage: MachineStage::Maintenance,
            config: None,
            on_disk: None,
            on_apply: OnApply::Take,
            refusals: VecDeque::new(),
            boots: 0,
            calls: Vec::new(),
            members: Vec::new(),
            services: Vec::new(),
            kubeconfig: Vec::new(),
            diagnostics: Vec::new(),
            static_pods: Vec::new(),
            snapshot: Vec::new(),
            recovered: Vec::new(),
            disks: Vec::new(),
        };
        let node = FakeNode {
            inside: Arc::new(Mutex::new(inside)),
            connections: Arc::default(),
            address: listener.local_addr().unwrap(),
        };
        let (maintenance, configured) = (self_signed(), of_cluster(secrets));
        let (accepted, incoming) =
            tokio::sync::mpsc::channel::<Result<TlsStream<DuplexStream>, std::io::Error>>(8);
        let server = Server::builder()
            .add_service(MachineServiceServer::new(node.clone()))
            .add_service(StateServer::new(node.clone()))
            .serve_with_incoming(tokio_stream::wrappers::ReceiverStream::new(incoming));
        tokio::spawn(server);
        let acceptor = node.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let config = if acceptor.inside().stage == MachineStage::Maintenance {
                    &maintenance
                } else {
                    &configured
                };
                let tls = TlsAcceptor::from(Arc::clone(config));
                let plain = acceptor.cuttable(stream);
                let accepted = accepted.clone();
                tokio::spawn(async move {
                    // A client that only looks at the certificate hangs up: no error of the server's.
                    if let Ok(stream) = tls.accept(plain).await {
                        let _ = accepted.send(Ok(stream)).await;
                    }
                });
            }
        });
        node
    }

    /// A node that runs with a configuration.
    pub(super) async fn configured(secrets: &SecretsBundle, config: &str) -> FakeNode {
        let node = FakeNode::start(secrets).await;
        {
            let mut inside = node.inside();
            inside.stage = MachineStage::Running;
            inside.config = Some(config.to_owned());
            inside.on_disk = Some(config.to_owned());
        }
        node
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// Calls whose description begins so.
    pub(super) fn count(&self, prefix: &str) -> usize {
        let inside = self.inside();
        inside
            .calls
            .iter()
            .filter(|c| c.starts_with(prefix))
            .count()
    }

    /// A connection that breaks with all the others.
    fn cuttable(&self, mut tcp: TcpStream) -> DuplexStream {
        let (inner, mut outer) = tokio::io::duplex(64 << 10);
        let cut = self.connections.lock().unwrap().clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut tcp, &mut outer) => {}
                () = cut.cancelled() => {}
            }
        });
        inner
    }

    /// Breaks every connection.
    fn cut(&self) {
        std::mem::take(&mut *self.connections.lock().unwrap()).cancel();
    }

    fn note(&self, call: String) -> Result<MutexGuard<'_, Inside>, Status> {
        let mut inside = self.inside();
        inside.calls.push(call);
        match inside.refusals.pop_front() {
            Some(status) => Err(status),
            None => Ok(inside),
        }
    }

    fn restart(&self, inside: &mut Inside) {
        inside.boots += 1;
        inside.stage = MachineStage::Running;
    }
}

/// What a node in maintenance mode shows.
fn self_signed() -> Arc<ServerConfig> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private(&key))
        .unwrap();
    with_h2(config)
}

/// What a node of the cluster shows, and whom it lets in.
fn of_cluster(secrets: &SecretsBundle) -> Arc<ServerConfig> {
    let authority = secrets
        .certs
        .os
        .key
        .expose()
        .replace("ED25519 PRIVATE", "PRIVATE");
    let authority = KeyPair::from_pem(&authority).unwrap();
    let mut issuer = CertificateParams::default();
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    issuer.distinguished_name = rcgen::DistinguishedName::new();
    let name = PrintableString::try_from("talos").unwrap();
    issuer
        .distinguished_name
        .push(DnType::OrganizationName, DnValue::PrintableString(name));
    let issuer = Issuer::new(issuer, authority);
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(secrets.certs.os.cert.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], private(&key))
        .unwrap();
    with_h2(config)
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

fn with_h2(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

type Reply<T> = Result<Response<T>, Status>;
type Chunks = BoxStream<'static, Result<Data, Status>>;

/// Bytes in small pieces, as nodes stream them.
fn chunks(bytes: &[u8]) -> Chunks {
    let parts: Vec<_> = bytes
        .chunks(100)
        .map(|c| {
            Ok(Data {
                metadata: None,
                bytes: c.to_vec(),
            })
        })
        .collect();
    Box::pin(stream::iter(parts))
}

#[tonic::async_trait]
impl MachineService for FakeNode {
    async fn apply_configuration(
        &self,
        request: Request<api::ApplyConfigurationRequest>,
    ) -> Reply<api::ApplyConfigurationResponse> {
        let to = target(&request);
        let request = request.into_inner();
        let text = String::from_utf8(request.data.clone()).unwrap();
        let vanish = {
            let mut inside = self.note(format!(
                "apply {:?} dry={} node={to}",
                request.mode(),
                request.dry_run
            ))?;
            let mut mode = request.mode();
            if mode == ApplyMode::Auto {
                mode = if inside.on_apply == OnApply::Reboot {
                    ApplyMode::Reboot
                } else {
                    ApplyMode::NoReboot
                };
            }
            if !request.dry_run {
                inside.on_disk = Some(text.clone());
                if mode != ApplyMode::Staged {
                    inside.config = Some(text);
                }
                if inside.stage == MachineStage::Maintenance {
                    // Without etcd a control plane node does not get further than this.
                    inside.stage = MachineStage::Booting;
                } else if mode == ApplyMode::Reboot {
                    self.restart(&mut inside);
                }
            }
            if inside.on_apply != OnApply::TakeAndVanish || request.dry_run {
                let message = api::ApplyConfiguration {
                    mode: mode.into(),
                    warnings: vec!["mind the gap".to_owned()],
                    ..Default::default()
                };
                return Ok(Response::new(api::ApplyConfigurationResponse {
                    messages: vec![message],
                }));
            }
            inside.on_apply = OnApply::Take;
            true
        };
        assert!(vanish);
        self.cut();
        std::future::pending().await
    }

    async fn bootstrap(
        &self,
        request: Request<api::BootstrapRequest>,
    ) -> Reply<api::BootstrapResponse> {
        let recovers = match request.get_ref().recover_etcd {
            true => " recover",
            false => "",
        };
        let mut inside = self.note(format!("bootstrap{recovers} node={}", target(&request)))?;
        inside.services.retain(|s| s.state != "Preparing");
        inside.services.push(service("etcd", true));
        inside.members.push(api::EtcdMember {
            id: 1,
            hostname: "cp-1".to_owned(),
            ..Default::default()
        });
        inside.stage = MachineStage::Running;
        Ok(Response::new(api::BootstrapResponse {
            messages: vec![api::Bootstrap::default()],
        }))
    }

    async fn etcd_forfeit_leadership(
        &self,
        _: Request<api::EtcdForfeitLeadershipRequest>,
    ) -> Reply<api::EtcdForfeitLeadershipResponse> {
        drop(self.note("forfeit".to_owned())?);
        Ok(Response::new(api::EtcdForfeitLeadershipResponse {
            messages: vec![api::EtcdForfeitLeadership::default()],
        }))
    }

    async fn etcd_status(&self, _: Request<()>) -> Reply<api::EtcdStatusResponse> {
        let status = api::EtcdMemberStatus {
            member_id: self.inside().members.first().map_or(0, |m| m.id),
            ..Default::default()
        };
        Ok(Response::new(api::EtcdStatusResponse {
            messages: vec![api::EtcdStatus {
                metadata: None,
                member_status: Some(status),
            }],
        }))
    }

    async fn reboot(&self, _: Request<api::RebootRequest>) -> Reply<api::RebootResponse> {
        let mut inside = self.note("reboot".to_owned())?;
        self.restart(&mut inside);
        Ok(Response::new(api::RebootResponse {
            messages: vec![api::Reboot::default()],
        }))
    }

    async fn upgrade(&self, request: Request<api::UpgradeRequest>) -> Reply<api::UpgradeResponse> {
        let mut inside = self.note(format!("upgrade {}", request.get_ref().image))?;
        self.restart(&mut inside);
        Ok(Response::new(api::UpgradeResponse {
            messages: vec![api::Upgrade::default()],
        }))
    }

    async fn etcd_member_list(
        &self,
        request: Request<api::EtcdMemberListRequest>,
    ) -> Reply<api::EtcdMemberListResponse> {
        assert!(request.get_ref().query_local);
        let members = self.inside().members.clone();
        let message = api::EtcdMembers {
            metadata: None,
            members,
        };
        Ok(Response::new(api::EtcdMemberListResponse {
            messages: vec![message],
        }))
    }

    type EtcdSnapshotStream = Chunks;

    async fn etcd_snapshot(&self, request: Request<api::EtcdSnapshotRequest>) -> Reply<Chunks> {
        let inside = self.note(format!("etcd_snapshot node={}", target(&request)))?;
        Ok(Response::new(chunks(&inside.snapshot)))
    }

    async fn etcd_recover(
        &self,
        request: Request<tonic::Streaming<Data>>,
    ) -> Reply<api::EtcdRecoverResponse> {
        let to = target(&request);
        let mut stream = request.into_inner();
        let mut bytes = Vec::new();
        while let Some(part) = stream.message().await? {
            bytes.extend(part.bytes);
        }
        self.note(format!("etcd_recover node={to}"))?.recovered = bytes;
        Ok(Response::new(api::EtcdRecoverResponse {
            messages: vec![api::EtcdRecover::default()],
        }))
    }

    async fn hostname(&self, _: Request<()>) -> Reply<api::HostnameResponse> {
        let message = api::Hostname {
            metadata: None,
            hostname: "cp-1".to_owned(),
        };
        Ok(Response::new(api::HostnameResponse {
            messages: vec![message],
        }))
    }

    type KubeconfigStream = Chunks;

    async fn kubeconfig(&self, request: Request<()>) -> Reply<Chunks> {
        let inside = self.note(format!("kubeconfig node={}", target(&request)))?;
        Ok(Response::new(chunks(&inside.kubeconfig)))
    }

    type ReadStream = Chunks;

    async fn read(&self, request: Request<api::ReadRequest>) -> Reply<Chunks> {
        assert_eq!(request.get_ref().path, "/proc/sys/kernel/random/boot_id");
        let id = format!("boot-{}\n", self.inside().boots);
        Ok(Response::new(chunks(id.as_bytes())))
    }

    async fn reset(&self, request: Request<api::ResetRequest>) -> Reply<api::ResetResponse> {
        let r = request.get_ref();
        let wiped: Vec<_> = r
            .system_partitions_to_wipe
            .iter()
            .map(|p| p.label.as_str())
            .collect();
        let call = format!(
            "reset graceful={} reboot={} {}",
            r.graceful,
            r.reboot,
            wiped.join("+")
        );
        {
            let mut inside = self.note(call)?;
            inside.stage = MachineStage::Maintenance;
            inside.config = None;
            inside.on_disk = None;
        }
        Ok(Response::new(api::ResetResponse {
            messages: vec![api::Reset::default()],
        }))
    }

    async fn service_list(&self, _: Request<()>) -> Reply<api::ServiceListResponse> {
        let services = self.inside().services.clone();
        let message = api::ServiceList {
            metadata: None,
            services,
        };
        Ok(Response::new(api::ServiceListResponse {
            messages: vec![message],
        }))
    }

    async fn version(&self, request: Request<()>) -> Reply<api::VersionResponse> {
        drop(self.note(format!("version node={}", target(&request)))?);
        let version = Some(api::VersionInfo {
            tag: "v1.13.9".to_owned(),
        });
        Ok(Response::new(api::VersionResponse {
            messages: vec![api::Version {
                metadata: None,
                version,
            }],
        }))
    }
}

fn resource(id: &str, spec: Vec<u8>) -> Resource {
    let metadata = Metadata {
        id: id.to_owned(),
        ..Default::default()
    };
    Resource {
        metadata: Some(metadata),
        spec: Some(Spec {
            proto_spec: spec,
            yaml_spec: String::new(),
        }),
    }
}

#[tonic::async_trait]
impl State for FakeNode {
    async fn get(&self, request: Request<GetRequest>) -> Reply<GetResponse> {
        let request = request.into_inner();
        let inside = self.inside();
        let spec = match (
            request.namespace.as_str(),
            request.r#type.as_str(),
            request.id.as_str(),
        ) {
            ("runtime", "MachineStatuses.runtime.talos.dev", "machine") => {
                let status = MachineStatus {
                    stage: inside.stage.into(),
                    status: None,
                };
                Some(status.encode_to_vec())
            }
            ("config", "MachineConfigs.config.talos.dev", id) => {
                if inside.stage == MachineStage::Maintenance {
                    return Err(Status::permission_denied("not authorized"));
                }
                let text = if id == "persistent" {
                    &inside.on_disk
                } else {
                    &inside.config
                };
                text.as_ref().map(|t| {
                    MachineConfig {
                        yaml_marshalled: t.clone().into_bytes(),
                    }
                    .encode_to_vec()
                })
            }
            ("k8s", "Nodenames.kubernetes.talos.dev", "nodename") => None,
            ("runtime", "SystemDisks.block.talos.dev", "system-disk") => {
                let configured = inside.stage != MachineStage::Maintenance;
                let disk = inside.disks.first().filter(|_| configured);
                disk.map(|disk| {
                    SystemDisk {
                        disk_id: String::new(),
                        dev_path: disk.dev_path.clone(),
                    }
                    .encode_to_vec()
                })
            }
            other => panic!("{other:?}"),
        };
        let spec = spec.ok_or_else(|| Status::not_found("resource doesn't exist"))?;
        Ok(Response::new(GetResponse {
            resource: Some(resource(&request.id, spec)),
        }))
    }

    type ListStream = BoxStream<'static, Result<ListResponse, Status>>;

    async fn list(&self, request: Request<ListRequest>) -> Reply<Self::ListStream> {
        let request = request.into_inner();
        let inside = self.inside();
        let found: Vec<Resource> = match (request.namespace.as_str(), request.r#type.as_str()) {
            ("runtime", "Diagnostics.runtime.talos.dev") => inside
                .diagnostics
                .iter()
                .map(|d| resource("x", d.encode_to_vec()))
                .collect(),
            ("k8s", "StaticPodStatuses.kubernetes.talos.dev") => inside
                .static_pods
                .iter()
                .map(|(id, p)| resource(id, p.encode_to_vec()))
                .collect(),
            ("runtime", "Disks.block.talos.dev") => inside
                .disks
                .iter()
                .map(|d| resource(d.dev_path.trim_start_matches("/dev/"), d.encode_to_vec()))
                .collect(),
            ("runtime", "ExtensionStatuses.runtime.talos.dev") => Vec::new(),
            other => panic!("{other:?}"),
        };
        let items: Vec<_> = found
            .into_iter()
            .map(|r| Ok(ListResponse { resource: Some(r) }))
            .collect();
        Ok(Response::new(Box::pin(stream::iter(items))))
    }
}
