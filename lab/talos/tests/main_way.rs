//! The main way of a cluster: maintenance, configuration, bootstrap, kubeconfig, health; and what must be refused on it.

mod common;

use std::io::Read;

use common::*;
use stead_lab_talos::proto::cluster::cluster_service_client::ClusterServiceClient;
use stead_lab_talos::proto::cluster::{ClusterInfo, HealthCheckRequest};
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::*;
use stead_lab_talos::proto::storage::storage_service_client::StorageServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request};

fn apply_request(config: &str, mode: Mode) -> ApplyConfigurationRequest {
    ApplyConfigurationRequest {
        data: config.as_bytes().to_vec(),
        mode: mode.into(),
        ..ApplyConfigurationRequest::default()
    }
}

/// Applies a first configuration in maintenance mode.
async fn configure(lab: &TestLab, number: u8, config: &str) {
    let address = format!("10.5.0.{number}");
    let channel = eventually("maintenance mode", async || {
        lab.insecure(&address).await.ok()
    })
    .await;
    let mut client = MachineServiceClient::new(channel);
    client
        .apply_configuration(apply_request(config, Mode::Auto))
        .await
        .unwrap();
}

/// Nothing while the machine is down, or breaks off because it goes down.
async fn boot_id(client: &mut MachineServiceClient<Channel>) -> Option<String> {
    let request = ReadRequest {
        path: "/proc/sys/kernel/random/boot_id".to_owned(),
    };
    let mut stream = client.read(request).await.ok()?.into_inner();
    let data = stream.message().await.ok()??;
    Some(String::from_utf8(data.bytes).unwrap())
}

/// Three control planes and a worker, bootstrapped.
async fn cluster(lab: &TestLab) -> MachineServiceClient<Channel> {
    let admin = credentials("os:admin");
    for number in [11, 12, 13, 21] {
        lab.boot(number, "v1.13.9").await;
        let config = if number < 20 {
            control_plane(number)
        } else {
            worker(number)
        };
        configure(lab, number, &config).await;
    }
    let mut first = lab.machine("10.5.0.11", &admin).await;
    first.bootstrap(BootstrapRequest::default()).await.unwrap();
    eventually("three members", async || {
        let list = first
            .etcd_member_list(EtcdMemberListRequest::default())
            .await
            .ok()?;
        (list.into_inner().messages[0].members.len() == 3).then_some(())
    })
    .await;
    first
}

#[tokio::test]
async fn maintenance_mode_takes_only_what_it_should() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    lab.boot(11, "v1.12.11").await;
    lab.boot(12, "v1.13.9").await;
    let old = eventually("maintenance", async || lab.insecure("10.5.0.11").await.ok()).await;
    let new = eventually("maintenance", async || lab.insecure("10.5.0.12").await.ok()).await;
    let disks = StorageServiceClient::new(old.clone())
        .disks(())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(disks.messages[0].disks[0].device_name, "/dev/sda");
    let (mut old, mut new) = (
        MachineServiceClient::new(old),
        MachineServiceClient::new(new),
    );

    let error = old
        .bootstrap(BootstrapRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::Unimplemented, "method Bootstrap not implemented")
    );
    let error = old.version(()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "API is not implemented in maintenance mode"
    );
    let error = old
        .apply_configuration(apply_request("a: 1", Mode::Staged))
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "apply configuration --mode='staged' is not supported in maintenance mode"
    );

    assert_eq!(
        new.version(()).await.unwrap().into_inner().messages[0]
            .version
            .as_ref()
            .unwrap()
            .tag,
        "v1.13.9"
    );
    let error = new
        .bootstrap(BootstrapRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::PermissionDenied, "not authorized")
    );
    let mut elsewhere = Request::new(());
    elsewhere
        .metadata_mut()
        .insert("node", "10.5.0.11".parse().unwrap());
    let error = new.version(elsewhere).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::PermissionDenied, "no request forwarding")
    );

    let bad = control_plane(12).replace("machine:\n", "machine:\n    nope: 1\n");
    let error = new
        .apply_configuration(apply_request(&bad, Mode::Auto))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(
        error
            .message()
            .ends_with("unknown keys found during decoding:\nmachine:\n    nope: 1\n"),
        "{error}"
    );
    let error = old
        .apply_configuration(apply_request(&bad, Mode::Auto))
        .await
        .unwrap_err();
    assert!(
        error.message().starts_with("failed to parse config: "),
        "{error}"
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_configured_node_demands_its_own_clients() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    lab.boot(11, "v1.13.9").await;
    configure(&lab, 11, &control_plane(11)).await;
    let mut admin = lab.machine("10.5.0.11", &credentials("os:admin")).await;
    assert_eq!(
        admin.hostname(()).await.unwrap().into_inner().messages[0].hostname,
        "cp-11"
    );

    let refused = async |channel: Result<Channel, String>| match channel {
        Err(_) => true,
        Ok(channel) => MachineServiceClient::new(channel)
            .version(())
            .await
            .is_err(),
    };
    assert!(refused(lab.secure("10.5.0.11", &foreign_credentials()).await).await);
    assert!(refused(lab.insecure("10.5.0.11").await).await);
    let plain = lab.lab.network.connect("10.5.0.11", 50000).await.unwrap();
    let mut plain = Some(hyper_util::rt::TokioIo::new(plain));
    let plain = tonic::transport::Endpoint::from_static("http://talos")
        .connect_with_connector(tower::service_fn(move |_| {
            let plain = plain.take();
            async move { plain.ok_or_else(|| std::io::Error::other("once")) }
        }))
        .await
        .map_err(|e| e.to_string());
    assert!(refused(plain).await);

    let mut reader = lab.machine("10.5.0.11", &credentials("os:reader")).await;
    assert_eq!(
        reader
            .reboot(RebootRequest::default())
            .await
            .unwrap_err()
            .message(),
        "not authorized"
    );
    let error = reader
        .apply_configuration(apply_request(&control_plane(11), Mode::Auto))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_cluster_comes_up_and_is_healthy() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut first = cluster(&lab).await;
    let error = first
        .bootstrap(BootstrapRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::AlreadyExists, "etcd data directory is not empty")
    );
    let mut worker = lab.machine("10.5.0.21", &credentials("os:admin")).await;
    let error = worker
        .bootstrap(BootstrapRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (
            Code::Unimplemented,
            "bootstrap is only available on control plane nodes"
        )
    );

    let cluster = eventually("four nodes", async || {
        let cluster = lab
            .books
            .clusters
            .lock()
            .unwrap()
            .values()
            .next()
            .cloned()?;
        let complete = cluster.nodes.lock().unwrap().len() == 4;
        complete.then_some(cluster)
    })
    .await;
    let spec = lab.books.started.lock().unwrap()[0].clone();
    assert_eq!(
        (spec.name.as_str(), spec.kubernetes_version.as_str()),
        ("golden", "v1.36.3")
    );
    assert!(spec.ca_key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    for name in ["10.5.0.10", "10.5.0.11", "cp-11"] {
        assert!(spec.certificate_names.iter().any(|n| n == name), "{name}");
    }
    // Talos' own manifests, then those of the configuration.
    {
        let applied = cluster.manifests.lock().unwrap();
        let (last, own) = applied.split_last().unwrap();
        assert_eq!(last, "kind: Namespace\n");
        assert_eq!(own.len(), 5);
        assert!(own.iter().any(|text| text.contains("coredns")), "{own:?}");
    }
    for host in ["10.5.0.10", "10.5.0.11", "10.5.0.12", "10.5.0.13"] {
        assert_eq!(
            lab.lab.network.resolve(host, 6443),
            Some(cluster.address),
            "{host}"
        );
    }
    assert_eq!(lab.lab.network.resolve("10.5.0.21", 6443), None);
    let node = cluster.nodes.lock().unwrap()["w-21"].0.clone();
    assert_eq!(
        (node.address.as_str(), node.control_plane, node.memory_mib),
        ("10.5.0.21", false, 2480)
    );
    assert_eq!(node.os_image, "Talos (v1.13.9)");

    let channel = lab
        .secure("10.5.0.11", &credentials("os:admin"))
        .await
        .unwrap();
    let request = |workers: &[&str]| HealthCheckRequest {
        wait_timeout: Some(prost_types::Duration {
            seconds: 20,
            nanos: 0,
        }),
        cluster_info: Some(ClusterInfo {
            control_plane_nodes: vec!["10.5.0.11".into(), "10.5.0.12".into(), "10.5.0.13".into()],
            worker_nodes: workers.iter().map(|w| (*w).to_owned()).collect(),
            force_endpoint: String::new(),
        }),
    };
    let mut health = ClusterServiceClient::new(channel);
    let mut stream = health
        .health_check(request(&["10.5.0.21"]))
        .await
        .unwrap()
        .into_inner();
    let mut lines = Vec::new();
    while let Some(progress) = stream.message().await.unwrap() {
        lines.push(progress.message);
    }
    assert!(
        lines.contains(&"waiting for etcd to be healthy: OK".to_owned()),
        "{lines:?}"
    );
    assert_eq!(
        lines.last().unwrap(),
        "waiting for all k8s nodes to report schedulable: OK"
    );

    // A node that is not there is waited for until time is up.
    let mut short = request(&["10.5.0.21", "10.5.0.22"]);
    short.wait_timeout = Some(prost_types::Duration {
        seconds: 0,
        nanos: 50_000_000,
    });
    let mut stream = health.health_check(short).await.unwrap().into_inner();
    let error = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("healthy without a node"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::DeadlineExceeded);
    lab.lab.stop().await;
}

#[tokio::test]
async fn the_kubeconfig_is_the_endpoints_and_its_archive_is_open() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut first = cluster(&lab).await;
    let mut stream = first.kubeconfig(()).await.unwrap().into_inner();
    let mut packed = Vec::new();
    while let Some(data) = stream.message().await.unwrap() {
        packed.extend(data.bytes);
    }
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut tar)
        .unwrap();
    assert_eq!(&tar[..10], b"kubeconfig");
    let size = std::str::from_utf8(&tar[124..135]).unwrap();
    let size = usize::from_str_radix(size, 8).unwrap();
    assert_eq!(
        tar.len(),
        512 + size.next_multiple_of(512),
        "no end-of-archive blocks"
    );
    let text = std::str::from_utf8(&tar[512..512 + size]).unwrap();
    assert!(text.contains("server: https://10.5.0.10:6443\n"), "{text}");
    assert!(text.contains("current-context: admin@golden\n"));
    let mut worker = lab.machine("10.5.0.21", &credentials("os:admin")).await;
    let error = worker.kubeconfig(()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "kubeconfig is only available on control plane nodes"
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_reboot_is_a_new_boot_and_a_restart_finds_everything() {
    let root = tempfile::tempdir().unwrap();
    let members = {
        let lab = TestLab::open(root.path()).await;
        let mut first = cluster(&lab).await;
        let before = boot_id(&mut first).await.unwrap();
        first.reboot(RebootRequest::default()).await.unwrap();
        let after = eventually("another boot", async || {
            let channel = lab
                .secure("10.5.0.11", &credentials("os:admin"))
                .await
                .ok()?;
            let mut client = MachineServiceClient::new(channel);
            client.version(()).await.ok()?;
            let id = boot_id(&mut client).await?;
            (id != before).then_some(id)
        })
        .await;
        assert_ne!(before, after);
        let mut second = lab.machine("10.5.0.12", &credentials("os:admin")).await;
        let list = second
            .etcd_member_list(EtcdMemberListRequest::default())
            .await
            .unwrap();
        lab.lab.stop().await;
        list.into_inner().messages[0].members.clone()
    };
    let lab = TestLab::open(root.path()).await;
    lab.boot(11, "v1.13.9").await;
    let mut first = lab.machine("10.5.0.11", &credentials("os:admin")).await;
    let error = first
        .etcd_member_list(EtcdMemberListRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "etcdserver: no leader",
        "one of three is no quorum"
    );
    assert_eq!(lab.lab.network.resolve("10.5.0.10", 6443), None);
    lab.boot(12, "v1.13.9").await;
    let list = eventually("quorum", async || {
        first
            .etcd_member_list(EtcdMemberListRequest::default())
            .await
            .ok()
    })
    .await;
    assert_eq!(list.into_inner().messages[0].members, members);
    eventually("the API at the virtual address", async || {
        lab.lab.network.resolve("10.5.0.10", 6443)
    })
    .await;
    lab.lab.stop().await;
}

#[tokio::test]
async fn control_planes_forward_and_join_answers() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut first = cluster(&lab).await;
    lab.machine("10.5.0.21", &credentials("os:admin")).await;
    let mut request = Request::new(());
    request
        .metadata_mut()
        .insert("node", "10.5.0.21".parse().unwrap());
    let reply = first.hostname(request).await.unwrap().into_inner();
    assert_eq!(reply.messages[0].hostname, "w-21");
    assert_eq!(reply.messages[0].metadata, None);

    let mut request = Request::new(());
    request
        .metadata_mut()
        .insert("node", "10.5.0.10".parse().unwrap());
    let holder = first.hostname(request).await.unwrap().into_inner();
    assert!(
        holder.messages[0].hostname.starts_with("cp-"),
        "the virtual address is a node's"
    );

    let mut request = Request::new(());
    for node in ["10.5.0.12", "10.5.0.21", "10.5.0.99"] {
        request
            .metadata_mut()
            .append("nodes", node.parse().unwrap());
    }
    let reply = first.version(request).await.unwrap().into_inner();
    let mut seen: Vec<(String, bool)> = reply
        .messages
        .iter()
        .map(|m| {
            let metadata = m.metadata.as_ref().unwrap();
            assert_eq!(metadata.error.is_empty(), m.version.is_some());
            (metadata.hostname.clone(), metadata.error.is_empty())
        })
        .collect();
    seen.sort();
    let expected = [
        ("10.5.0.12", true),
        ("10.5.0.21", true),
        ("10.5.0.99", false),
    ];
    assert_eq!(seen, expected.map(|(n, ok)| (n.to_owned(), ok)));
    lab.lab.stop().await;
}
