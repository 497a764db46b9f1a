//! What goes wrong on demand, and that it is over when the fault is.

mod common;

use common::*;
use stead_lab_core::faults::{Effect, Fault};
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::image_service_client::ImageServiceClient;
use stead_lab_talos::proto::machine::lifecycle_service_client::LifecycleServiceClient;
use stead_lab_talos::proto::machine::lifecycle_service_install_progress::Response as Progress;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::*;
use stead_lab_talos::proto::time::time_service_client::TimeServiceClient;
use tonic::Code;
use tonic::transport::Channel;

const INSTALLER: &str = "ghcr.io/siderolabs/installer:v1.13.10";

fn set(lab: &TestLab, name: &str, effect: Effect, times: Option<u64>) {
    let fault = Fault {
        name: name.to_owned(),
        effect,
        skip: 0,
        times,
        percent: 100,
    };
    lab.lab.faults.set(fault).unwrap();
}

fn clear(lab: &TestLab) {
    lab.lab.faults.clear(None).unwrap();
}

async fn apply(lab: &TestLab, address: &str, config: &str) {
    let channel = eventually("maintenance mode", async || {
        lab.insecure(address).await.ok()
    })
    .await;
    let request = ApplyConfigurationRequest {
        data: config.as_bytes().to_vec(),
        mode: Mode::Auto.into(),
        ..ApplyConfigurationRequest::default()
    };
    MachineServiceClient::new(channel)
        .apply_configuration(request)
        .await
        .unwrap();
}

/// Control planes of one cluster, bootstrapped.
async fn planes(lab: &TestLab, numbers: &[u8]) -> MachineServiceClient<Channel> {
    for number in numbers {
        lab.boot(*number, "v1.13.9").await;
        apply(lab, &format!("10.5.0.{number}"), &control_plane(*number)).await;
    }
    let admin = credentials("os:admin");
    let mut first = lab.machine(&format!("10.5.0.{}", numbers[0]), &admin).await;
    first.bootstrap(BootstrapRequest::default()).await.unwrap();
    eventually("all members", async || {
        let request = EtcdMemberListRequest::default();
        let list = first.etcd_member_list(request).await.ok()?.into_inner();
        (list.messages[0].members.len() == numbers.len()).then_some(())
    })
    .await;
    first
}

async fn etcd_is_healthy(client: &mut MachineServiceClient<Channel>) -> Option<bool> {
    let list = client.service_list(()).await.ok()?.into_inner();
    let etcd = list.messages[0].services.iter().find(|s| s.id == "etcd")?;
    Some(etcd.state == "Running" && etcd.health.as_ref()?.healthy)
}

async fn tag(lab: &TestLab) -> Option<String> {
    let channel = lab
        .secure("10.5.0.11", &credentials("os:admin"))
        .await
        .ok()?;
    let reply = MachineServiceClient::new(channel).version(()).await.ok()?;
    Some(reply.into_inner().messages[0].version.as_ref()?.tag.clone())
}

async fn pull(channel: &Channel) -> Result<(), tonic::Status> {
    use stead_lab_talos::proto::common::{ContainerdInstance, ContainerdNamespace};
    let request = ImageServicePullRequest {
        containerd: Some(ContainerdInstance {
            driver: 0,
            namespace: ContainerdNamespace::NsSystem.into(),
        }),
        image_ref: INSTALLER.to_owned(),
    };
    ImageServiceClient::new(channel.clone())
        .pull(request)
        .await
        .map(drop)
}

/// The exit code of an upgrade.
async fn upgrade(channel: &Channel) -> Result<i32, tonic::Status> {
    let request = LifecycleServiceUpgradeRequest {
        containerd: None,
        source: Some(InstallArtifactsSource {
            image_name: INSTALLER.to_owned(),
        }),
    };
    let mut client = LifecycleServiceClient::new(channel.clone());
    let mut stream = client.upgrade(request).await?.into_inner();
    let mut code = -1;
    while let Some(step) = stream.message().await? {
        if let Some(Progress::ExitCode(exit)) = step.progress.and_then(|p| p.response) {
            code = exit;
        }
    }
    Ok(code)
}

#[tokio::test]
async fn pulls_and_upgrades_fail_and_a_system_that_does_not_boot_makes_way() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = planes(&lab, &[11]).await;
    let admin = credentials("os:admin");
    let channel = lab.secure("10.5.0.11", &admin).await.unwrap();

    let error = upgrade(&channel).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().contains("not found in containerd store"));

    set(&lab, "talos.pull-fails", Effect::On, Some(1));
    assert_eq!(pull(&channel).await.unwrap_err().code(), Code::NotFound);
    pull(&channel).await.unwrap();

    set(&lab, "talos.upgrade-fails.cp-11", Effect::On, Some(1));
    assert_eq!(upgrade(&channel).await.unwrap(), 1);
    assert_eq!(upgrade(&channel).await.unwrap(), 0);

    // The new system does not come up: the other slot boots again.
    set(&lab, "talos.boot-fails", Effect::On, Some(1));
    let before = boot_id(&mut client).await;
    client.reboot(RebootRequest::default()).await.unwrap();
    eventually("the old system again", async || {
        let mut client = MachineServiceClient::new(lab.secure("10.5.0.11", &admin).await.ok()?);
        client.version(()).await.ok()?;
        let now = boot_id(&mut client).await;
        // It still answers for a moment, and then breaks off.
        (!now.is_empty() && now != before).then_some(())
    })
    .await;
    assert_eq!(tag(&lab).await.as_deref(), Some("v1.13.9"));

    // Without the fault it stays, and can be rolled back.
    let channel = lab.secure("10.5.0.11", &admin).await.unwrap();
    assert_eq!(upgrade(&channel).await.unwrap(), 0);
    let mut client = MachineServiceClient::new(channel);
    client.reboot(RebootRequest::default()).await.unwrap();
    eventually("the new system", async || {
        (tag(&lab).await? == "v1.13.10").then_some(())
    })
    .await;
    let mut client = lab.machine("10.5.0.11", &admin).await;
    client.rollback(RollbackRequest {}).await.unwrap();
    eventually("the old system", async || {
        (tag(&lab).await? == "v1.13.9").then_some(())
    })
    .await;
    lab.lab.stop().await;
}

async fn boot_id(client: &mut MachineServiceClient<Channel>) -> String {
    let request = ReadRequest {
        path: "/proc/sys/kernel/random/boot_id".to_owned(),
    };
    let Ok(stream) = client.read(request).await else {
        return String::new();
    };
    let data = stream.into_inner().message().await.unwrap_or_default();
    String::from_utf8(data.unwrap_or_default().bytes).unwrap()
}

#[tokio::test]
async fn a_node_hangs_at_its_reboot_until_the_plug_is_pulled() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = planes(&lab, &[11]).await;
    set(&lab, "talos.reboot-hangs", Effect::On, Some(1));
    client.reboot(RebootRequest::default()).await.unwrap();
    eventually("silence", async || {
        lab.lab.network.connect("10.5.0.11", 50000).await.err()
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(lab.lab.network.connect("10.5.0.11", 50000).await.is_err());
    lab.boot(11, "v1.13.9").await;
    lab.machine("10.5.0.11", &credentials("os:admin")).await;
    lab.lab.stop().await;
}

#[tokio::test]
async fn etcd_is_unhealthy_as_long_as_the_fault_is_set_and_then_nothing_is_upgraded() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = planes(&lab, &[11, 12, 13]).await;
    set(&lab, "talos.etcd-unhealthy.cp-12", Effect::On, None);
    let mut second = lab.machine("10.5.0.12", &credentials("os:admin")).await;
    eventually("an unhealthy member", async || {
        (!etcd_is_healthy(&mut second).await?).then_some(())
    })
    .await;
    assert_eq!(etcd_is_healthy(&mut client).await, Some(true));
    let request = UpgradeRequest {
        image: INSTALLER.to_owned(),
        ..UpgradeRequest::default()
    };
    let error = client.upgrade(request).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("is not healthy; all members must be healthy"),
        "{error:?}"
    );
    clear(&lab);
    eventually("a healthy member", async || {
        etcd_is_healthy(&mut second).await?.then_some(())
    })
    .await;
    lab.lab.stop().await;
}

#[tokio::test]
async fn two_members_are_too_few_for_an_upgrade() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = planes(&lab, &[11, 12]).await;
    let request = UpgradeRequest {
        image: INSTALLER.to_owned(),
        ..UpgradeRequest::default()
    };
    let error = client.upgrade(request).await.unwrap_err();
    assert_eq!(
        error.message(),
        "error validating etcd for upgrade: etcd member count(2) is insufficient to maintain quorum if upgrade commences"
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn certificates_expire_clocks_run_ahead_and_hands_edit() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = planes(&lab, &[11]).await;
    let admin = credentials("os:admin");

    set(&lab, "talos.certificate-expired", Effect::On, None);
    let error = lab.secure("10.5.0.11", &admin).await.map(drop).unwrap_err();
    assert!(error.contains("xpired"), "{error}");
    clear(&lab);
    let channel = lab.secure("10.5.0.11", &admin).await.unwrap();

    set(&lab, "talos.clock-skew", Effect::Delay(7_200_000), None);
    let reply = TimeServiceClient::new(channel).time(()).await.unwrap();
    let time = reply.into_inner().messages.remove(0);
    let ahead = time.localtime.unwrap().seconds - time.remotetime.unwrap().seconds;
    assert_eq!(ahead, 7200);
    let error = client
        .bootstrap(BootstrapRequest::default())
        .await
        .unwrap_err();
    assert_eq!(error.message(), "time is not in sync yet");
    clear(&lab);

    set(&lab, "talos.config-edited", Effect::On, Some(1));
    let request = ApplyConfigurationRequest {
        data: control_plane(11).into_bytes(),
        mode: Mode::Auto.into(),
        dry_run: true,
        ..ApplyConfigurationRequest::default()
    };
    let reply = client
        .apply_configuration(request)
        .await
        .unwrap()
        .into_inner();
    let details = &reply.messages[0].mode_details;
    assert!(details.contains("-name: edited-by-hand"), "{details}");
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_leased_address_changes_as_the_machine_is_configured() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut machine = hardware(11, "v1.13.9");
    machine.cloud_init = None;
    stead_lab_core::machine::GuestKind::boot(&*lab.talos, machine).await;
    let first = eventually("an address", async || {
        let inventory = lab.talos.inventory();
        let address = inventory.pointer("/nodes/0/addresses/0")?.as_str()?;
        Some(address.split('/').next()?.to_owned())
    })
    .await;
    set(&lab, "talos.address-changes", Effect::On, Some(1));
    apply(&lab, &first, &control_plane(11)).await;
    let second = eventually("another address", async || {
        let inventory = lab.talos.inventory();
        let address = inventory.pointer("/nodes/0/addresses/0")?.as_str()?;
        let address = address.split('/').next()?.to_owned();
        (address != first).then_some(address)
    })
    .await;
    lab.machine(&second, &credentials("os:admin")).await;
    assert!(lab.lab.network.connect(&first, 50000).await.is_err());
    lab.lab.stop().await;
}

#[tokio::test]
async fn installing_fails_at_first_and_takes_its_time() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut machine = hardware(11, "v1.13.9");
    let image = machine.disks[0].image.take();
    machine.disks.insert(
        0,
        stead_lab_core::machine::Disk {
            interface: "ide2".to_owned(),
            size_bytes: 100 << 20,
            image,
        },
    );
    set(&lab, "talos.install-fails", Effect::On, Some(2));
    stead_lab_core::machine::GuestKind::boot(&*lab.talos, machine).await;
    apply(&lab, "10.5.0.11", &control_plane(11)).await;
    eventually("the installation", async || {
        let stage = lab.talos.inventory().pointer("/nodes/0/stage")?.clone();
        (stage == "installing").then_some(())
    })
    .await;
    lab.machine("10.5.0.11", &credentials("os:admin")).await;
    assert!(lab.lab.faults.list().is_empty(), "it failed twice");
    lab.lab.stop().await;
}
