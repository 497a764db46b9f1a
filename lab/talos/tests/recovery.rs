//! etcd's snapshots, recovery from them, lost quorum, and Kubernetes through the restarts of its control planes.

mod common;

use std::sync::atomic::Ordering;

use common::*;
use sha2::{Digest, Sha256};
use stead_lab_talos::proto::common::Data;
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::*;
use tonic::transport::Channel;

fn apply_request(config: &str) -> ApplyConfigurationRequest {
    ApplyConfigurationRequest {
        data: config.as_bytes().to_vec(),
        mode: Mode::Auto.into(),
        ..ApplyConfigurationRequest::default()
    }
}

async fn planes(lab: &TestLab, numbers: &[u8]) -> MachineServiceClient<Channel> {
    for number in numbers {
        lab.boot(*number, "v1.13.9").await;
        let address = format!("10.5.0.{number}");
        let channel = eventually("maintenance mode", async || {
            lab.insecure(&address).await.ok()
        })
        .await;
        MachineServiceClient::new(channel)
            .apply_configuration(apply_request(&control_plane(*number)))
            .await
            .unwrap();
    }
    let admin = credentials("os:admin");
    let mut first = lab.machine("10.5.0.11", &admin).await;
    first.bootstrap(BootstrapRequest::default()).await.unwrap();
    members(&mut first, numbers.len()).await;
    first
}

async fn members(client: &mut MachineServiceClient<Channel>, count: usize) {
    eventually("all members", async || {
        let request = EtcdMemberListRequest::default();
        let list = client.etcd_member_list(request).await.ok()?.into_inner();
        (list.messages[0].members.len() == count).then_some(())
    })
    .await;
}

fn kubernetes(lab: &TestLab) -> Option<std::sync::Arc<FakeCluster>> {
    lab.books.clusters.lock().unwrap().values().next().cloned()
}

async fn etcd_state(client: &mut MachineServiceClient<Channel>) -> Option<String> {
    let list = client.service_list(()).await.ok()?.into_inner();
    let etcd = list.messages[0].services.iter().find(|s| s.id == "etcd")?;
    Some(etcd.state.clone())
}

async fn send(client: &mut MachineServiceClient<Channel>, file: &[u8]) {
    let parts: Vec<Data> = file
        .chunks(1000)
        .map(|part| Data {
            metadata: None,
            bytes: part.to_vec(),
        })
        .collect();
    client
        .etcd_recover(tokio_stream::iter(parts))
        .await
        .unwrap();
}

fn recover(skip: bool) -> BootstrapRequest {
    BootstrapRequest {
        recover_etcd: true,
        recover_skip_hash_check: skip,
    }
}

#[tokio::test]
async fn what_a_snapshot_has_is_there_again_and_what_came_later_is_not() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = planes(&lab, &[11]).await;
    let put = |key: &str| {
        let cluster = kubernetes(&lab).unwrap();
        let value = b"{}".to_vec();
        cluster
            .entries
            .lock()
            .unwrap()
            .insert(key.to_owned(), value);
    };
    put("/registry/configmaps/default/before");
    let mut stream = client
        .etcd_snapshot(EtcdSnapshotRequest {})
        .await
        .unwrap()
        .into_inner();
    let mut file = Vec::new();
    while let Some(part) = stream.message().await.unwrap() {
        file.extend(part.bytes);
    }
    let (database, hash) = file.split_at(file.len() - 32);
    assert_eq!(Sha256::digest(database).as_slice(), hash);
    assert_eq!(file.len() % 512, 32);
    put("/registry/configmaps/default/after");

    // Not while its data is there.
    send(&mut client, &file).await;
    let error = client.bootstrap(recover(false)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::AlreadyExists);

    let wipe = ResetRequest {
        reboot: true,
        system_partitions_to_wipe: vec![ResetPartitionSpec {
            label: "EPHEMERAL".to_owned(),
            wipe: true,
        }],
        ..ResetRequest::default()
    };
    client.reset(wipe).await.unwrap();
    let admin = credentials("os:admin");
    let mut client = eventually("etcd without data", async || {
        let mut client = MachineServiceClient::new(lab.secure("10.5.0.11", &admin).await.ok()?);
        (etcd_state(&mut client).await? == "Preparing").then_some(client)
    })
    .await;

    // A file whose hash is wrong, then one without.
    let mut damaged = file.clone();
    *damaged.last_mut().unwrap() ^= 1;
    send(&mut client, &damaged).await;
    client.bootstrap(recover(false)).await.unwrap();
    assert_eq!(etcd_state(&mut client).await.as_deref(), Some("Failed"));
    send(&mut client, database).await;
    client.bootstrap(recover(false)).await.unwrap();
    assert_eq!(etcd_state(&mut client).await.as_deref(), Some("Failed"));
    send(&mut client, database).await;
    client.bootstrap(recover(true)).await.unwrap();
    members(&mut client, 1).await;
    eventually("the store from the snapshot", async || {
        let entries = kubernetes(&lab)?.entries.lock().unwrap().clone();
        let keys: Vec<&String> = entries.keys().collect();
        (keys == ["/registry/configmaps/default/before"]).then_some(())
    })
    .await;
    lab.lab.stop().await;
}

#[tokio::test]
async fn without_quorum_nothing_is_written_and_with_it_again() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    planes(&lab, &[11, 12, 13]).await;
    let writable = || kubernetes(&lab).unwrap().writable.load(Ordering::SeqCst);
    assert!(writable());
    let admin = credentials("os:admin");
    for address in ["10.5.0.12", "10.5.0.13"] {
        let mut client = lab.machine(address, &admin).await;
        client.shutdown(ShutdownRequest::default()).await.unwrap();
    }
    eventually("no writes", async || (!writable()).then_some(())).await;
    // The API server that is left goes on answering.
    assert!(lab.lab.network.resolve("10.5.0.11", 6443).is_some());
    assert!(lab.lab.network.resolve("10.5.0.12", 6443).is_none());
    lab.boot(12, "v1.13.9").await;
    eventually("writes", async || writable().then_some(())).await;
    lab.lab.stop().await;
}

#[tokio::test]
async fn the_virtual_address_answers_through_the_restarts_of_all_control_planes() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    planes(&lab, &[11, 12, 13]).await;
    eventually("the virtual address", async || {
        lab.lab.network.resolve("10.5.0.10", 6443)
    })
    .await;
    let network = lab.lab.network.clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let watcher = tokio::spawn(async move {
        let (mut asked, mut missed) = (0, 0);
        while stopped.try_recv().is_err() {
            asked += 1;
            missed += u32::from(network.resolve("10.5.0.10", 6443).is_none());
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        (asked, missed)
    });
    let admin = credentials("os:admin");
    for address in ["10.5.0.11", "10.5.0.12", "10.5.0.13"] {
        let mut client = lab.machine(address, &admin).await;
        client.reboot(RebootRequest::default()).await.unwrap();
        eventually("its silence", async || {
            lab.secure(address, &admin).await.err()
        })
        .await;
        let mut client = lab.machine(address, &admin).await;
        members(&mut client, 3).await;
        eventually("its etcd", async || {
            (etcd_state(&mut client).await? == "Running").then_some(())
        })
        .await;
    }
    let _ = stop.send(());
    let (asked, missed) = watcher.await.unwrap();
    assert!(asked > 20, "asked {asked} times");
    assert_eq!(missed, 0, "of {asked}");
    lab.lab.stop().await;
}

#[tokio::test]
async fn kubernetes_versions_follow_the_configurations() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = planes(&lab, &[11]).await;
    let image = |pods: &FakeCluster| {
        let pods = pods.pods.lock().unwrap();
        let pod = pods
            .get("cp-11")?
            .iter()
            .find(|p| p.name == "kube-apiserver")?;
        Some((pod.image.clone(), pod.annotations.clone()))
    };
    let before = eventually("a static pod", async || image(&*kubernetes(&lab)?)).await;
    assert!(before.0.starts_with("registry.k8s.io/kube-apiserver:v"));
    let old = before.0.rsplit_once(':').unwrap().1;
    let config = control_plane(11).replace(old, "v1.36.9");
    client
        .apply_configuration(apply_request(&config))
        .await
        .unwrap();
    let after = eventually("another image", async || {
        let after = image(&*kubernetes(&lab)?)?;
        (after.0 != before.0).then_some(after)
    })
    .await;
    assert_eq!(after.0, "registry.k8s.io/kube-apiserver:v1.36.9");
    assert_ne!(after.1, before.1, "the configuration's version is another");
    eventually("the API's version and the node's", async || {
        let cluster = kubernetes(&lab)?;
        let version = cluster.version.lock().unwrap().clone();
        let kubelet = cluster
            .nodes
            .lock()
            .unwrap()
            .get("cp-11")?
            .0
            .kubelet_version
            .clone();
        (version == "v1.36.9" && kubelet == "v1.36.9").then_some(())
    })
    .await;
    lab.lab.stop().await;
}
