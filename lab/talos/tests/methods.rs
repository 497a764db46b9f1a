//! Every method of the machine API, line by line: what a control plane answers to an empty request, or that it does not know it.

mod common;

use std::time::Duration;

use common::*;
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::{ApplyConfigurationRequest, BootstrapRequest};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// The first minor version that has it, the first that has it no more, the service, and methods with the code of their answers.
type Row = (u32, u32, &'static str, &'static [(&'static str, Code)]);

const EVER: u32 = u32::MAX;

use Code::{
    AlreadyExists, Internal, InvalidArgument, NotFound, Ok as Fine, PermissionDenied,
    Unimplemented, Unknown,
};

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (11, EVER, "machine.MachineService", &[
        ("ApplyConfiguration", InvalidArgument), ("Bootstrap", AlreadyExists), ("Containers", InvalidArgument), ("Copy", Unknown),
        ("CPUFreqStats", Fine), ("CPUInfo", Fine), ("DiskStats", Fine), ("Dmesg", Fine), ("Events", Fine), ("EtcdMemberList", Fine),
        ("EtcdRemoveMemberByID", NotFound), ("EtcdLeaveCluster", Unknown), ("EtcdForfeitLeadership", Unknown), ("EtcdRecover", Fine),
        ("EtcdSnapshot", Fine), ("EtcdAlarmList", Fine), ("EtcdAlarmDisarm", Fine), ("EtcdDefragment", Fine), ("EtcdStatus", Fine),
        ("EtcdDowngradeValidate", InvalidArgument), ("EtcdDowngradeEnable", InvalidArgument), ("EtcdDowngradeCancel", Unknown),
        ("Hostname", Fine), ("Kubeconfig", Fine), ("List", Fine), ("DiskUsage", Fine), ("LoadAvg", Fine), ("Logs", InvalidArgument),
        ("LogsContainers", Fine), ("Memory", Fine), ("Mounts", Fine), ("NetworkDeviceStats", Fine), ("Processes", Fine),
        ("Read", NotFound), ("Restart", InvalidArgument), ("ServiceList", Fine), ("ServiceRestart", Unknown), ("ServiceStart", Unknown),
        ("ServiceStop", Unknown), ("Stats", InvalidArgument), ("SystemStat", Fine), ("Version", Fine),
        ("GenerateClientConfiguration", InvalidArgument), ("PacketCapture", Internal), ("Netstat", Fine), ("MetaDelete", NotFound),
        ("MetaWrite", Fine), ("ImageList", InvalidArgument), ("ImagePull", InvalidArgument), ("Upgrade", Unknown), ("Rollback", Unknown),
    ]),
    (13, EVER, "machine.ImageService", &[
        ("List", InvalidArgument), ("Pull", InvalidArgument), ("Import", InvalidArgument), ("Remove", InvalidArgument), ("Verify", InvalidArgument),
    ]),
    (13, EVER, "machine.LifecycleService", &[("Install", AlreadyExists), ("Upgrade", InvalidArgument)]),
    (13, EVER, "machine.DebugService", &[("ContainerRun", Unimplemented)]),
    (14, EVER, "machine.LVMService", &[
        ("LogicalVolumeRemove", Unimplemented), ("VolumeGroupRemove", Unimplemented), ("PhysicalVolumeRemove", Unimplemented),
    ]),
    (14, EVER, "machine.MDService", &[("Destroy", Unimplemented)]),
    (11, EVER, "cluster.ClusterService", &[("HealthCheck", Fine)]),
    (11, EVER, "inspect.InspectService", &[("ControllerRuntimeDependencies", Fine)]),
    (11, EVER, "storage.StorageService", &[("Disks", Fine), ("BlockDeviceWipe", Fine)]),
    (11, EVER, "time.TimeService", &[("Time", Fine), ("TimeCheck", InvalidArgument)]),
    (11, EVER, "cosi.resource.State", &[
        ("Get", PermissionDenied), ("List", PermissionDenied), ("Watch", PermissionDenied),
        ("Create", PermissionDenied), ("Update", PermissionDenied), ("Destroy", PermissionDenied),
    ]),
    (14, EVER, "cosi.resource.State", &[("Teardown", PermissionDenied), ("TeardownAndDestroy", PermissionDenied)]),
    // What ends this boot comes last; the first of them is carried out.
    (11, EVER, "machine.MachineService", &[("Reboot", Fine)]),
];

/// Sends an empty message and takes the first answer, or the status.
async fn call(channel: &Channel, service: &str, method: &str) -> Status {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/{service}/{method}")).unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let answer = client.server_streaming(Request::new(()), path, codec);
    let first = async { answer.await?.into_inner().message().await };
    match tokio::time::timeout(Duration::from_secs(20), first).await {
        Ok(Ok(_)) => Status::ok(""),
        Ok(Err(status)) => status,
        Err(_) => panic!("{service}/{method} does not answer"),
    }
}

async fn check(minor: u32, version: &str, config: &str) {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    lab.boot(11, version).await;
    let channel = eventually("maintenance mode", async || {
        lab.insecure("10.5.0.11").await.ok()
    })
    .await;
    let request = ApplyConfigurationRequest {
        data: golden(config).into_bytes(),
        mode: Mode::Auto.into(),
        ..ApplyConfigurationRequest::default()
    };
    MachineServiceClient::new(channel)
        .apply_configuration(request)
        .await
        .unwrap();
    let admin = credentials_of(config, "os:admin");
    let mut client = lab.machine("10.5.0.11", &admin).await;
    client.bootstrap(BootstrapRequest::default()).await.unwrap();
    eventually("etcd", async || {
        client.etcd_status(()).await.ok()?;
        client
            .etcd_snapshot(stead_lab_talos::proto::machine::EtcdSnapshotRequest {})
            .await
            .ok()
    })
    .await;
    let channel = lab.secure("10.5.0.11", &admin).await.unwrap();
    for (since, until, service, methods) in TABLE {
        let there = (*since..*until).contains(&minor);
        for (method, code) in *methods {
            let status = call(&channel, service, method).await;
            let found = (status.code(), status.message());
            if there {
                assert_eq!(
                    status.code(),
                    *code,
                    "{service}/{method} of 1.{minor}: {found:?}"
                );
                continue;
            }
            let names_it = [
                format!("unknown service {service}"),
                format!("unknown method {method} for service {service}"),
            ];
            assert_eq!(
                status.code(),
                Unimplemented,
                "{service}/{method}: {found:?}"
            );
            assert!(
                names_it.iter().any(|n| n == status.message()),
                "{service}/{method} of 1.{minor}: {found:?}"
            );
        }
    }
    for (service, method) in [
        ("machine.MachineService", "Nonsense"),
        ("nonsense.Service", "Do"),
    ] {
        let status = call(&channel, service, method).await;
        assert_ne!(status.code(), Fine, "{service}/{method}");
    }
    lab.lab.stop().await;
}

#[tokio::test]
async fn of_1_11() {
    check(11, "v1.11.6", "controlplane-v1.11").await;
}

#[tokio::test]
async fn of_1_12() {
    check(12, "v1.12.11", "controlplane-v1.12").await;
}

#[tokio::test]
async fn of_1_13() {
    check(13, "v1.13.9", "controlplane-v1.13").await;
}

#[tokio::test]
async fn of_1_14() {
    check(14, "v1.14.0", "controlplane-v1.14").await;
}
