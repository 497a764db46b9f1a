//! Beside the main way: modes of applying, leaving and resetting, addresses, resources, the factory, other media.

mod common;

use std::time::Duration;

use common::*;
use stead_lab_core::Client;
use stead_lab_core::image::Compression;
use stead_lab_core::machine::{Disk, GuestKind, ImageLabel};
use stead_lab_talos::proto::cosi::resource::state_client::StateClient;
use stead_lab_talos::proto::cosi::resource::{EventType, GetRequest, ListRequest, WatchRequest};
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::*;
use tonic::transport::Channel;
use tonic::{Code, Status};

fn request(config: &str, mode: Mode) -> ApplyConfigurationRequest {
    ApplyConfigurationRequest {
        data: config.as_bytes().to_vec(),
        mode: mode.into(),
        ..ApplyConfigurationRequest::default()
    }
}

async fn configured(
    lab: &TestLab,
    number: u8,
    version: &str,
    config: &str,
) -> MachineServiceClient<Channel> {
    lab.boot(number, version).await;
    let address = format!("10.5.0.{number}");
    let channel = eventually("maintenance mode", async || {
        lab.insecure(&address).await.ok()
    })
    .await;
    let mut client = MachineServiceClient::new(channel);
    client
        .apply_configuration(request(config, Mode::Auto))
        .await
        .unwrap();
    lab.machine(&address, &credentials("os:admin")).await
}

async fn apply(
    client: &mut MachineServiceClient<Channel>,
    request: ApplyConfigurationRequest,
) -> Result<ApplyConfiguration, Status> {
    let reply = client.apply_configuration(request).await?.into_inner();
    Ok(reply.messages.into_iter().next().unwrap())
}

async fn stored(lab: &TestLab, address: &str, id: &str) -> String {
    let channel = lab.secure(address, &credentials("os:admin")).await.unwrap();
    let resource = get(channel, "config", "MachineConfigs.config.talos.dev", id)
        .await
        .unwrap();
    resource.spec.unwrap().yaml_spec
}

async fn get(
    channel: Channel,
    namespace: &str,
    kind: &str,
    id: &str,
) -> Result<stead_lab_talos::proto::cosi::resource::Resource, Status> {
    let request = GetRequest {
        namespace: namespace.to_owned(),
        r#type: kind.to_owned(),
        id: id.to_owned(),
        options: None,
    };
    Ok(StateClient::new(channel)
        .get(request)
        .await?
        .into_inner()
        .resource
        .unwrap())
}

fn with_sysctl(config: &str) -> String {
    config.replace(
        "machine:\n",
        "machine:\n    sysctls:\n        vm.swappiness: \"10\"\n",
    )
}

fn with_udev(config: &str) -> String {
    config.replace(
        "machine:\n",
        "machine:\n    udev:\n        rules:\n            - SUBSYSTEM==\"drm\"\n",
    )
}

#[tokio::test]
async fn modes_of_applying() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let config = control_plane(11);
    let mut client = configured(&lab, 11, "v1.13.9", &config).await;

    let mut dry = request(&with_sysctl(&config), Mode::Auto);
    dry.dry_run = true;
    let reply = apply(&mut client, dry).await.unwrap();
    assert_eq!(reply.mode(), Mode::NoReboot);
    assert!(reply.mode_details.starts_with("Dry run summary:\nApplied configuration without a reboot (skipped in dry-run).\nConfig diff:\n\n--- a\n+++ b\n"), "{}", reply.mode_details);
    assert_eq!(
        stored(&lab, "10.5.0.11", "v1alpha1").await,
        stored(&lab, "10.5.0.11", "persistent").await
    );
    let mut same = request(&config, Mode::NoReboot);
    same.dry_run = true;
    assert!(
        apply(&mut client, same)
            .await
            .unwrap()
            .mode_details
            .ends_with("Config diff:\n\nNo changes.")
    );

    let error = apply(&mut client, request(&with_udev(&config), Mode::NoReboot))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(
        error
            .message()
            .starts_with("this config change can't be applied in immediate mode\ndiff:"),
        "{error}"
    );

    let reply = apply(&mut client, request(&with_udev(&config), Mode::Staged))
        .await
        .unwrap();
    assert_eq!(
        reply.mode_details,
        "Staged configuration to be applied after the next reboot"
    );
    assert!(!stored(&lab, "10.5.0.11", "v1alpha1").await.contains("udev"));
    assert!(
        stored(&lab, "10.5.0.11", "persistent")
            .await
            .contains("udev")
    );

    let mut trial = request(&with_sysctl(&config), Mode::Try);
    trial.try_mode_timeout = Some(prost_types::Duration {
        seconds: 0,
        nanos: 30_000_000,
    });
    apply(&mut client, trial).await.unwrap();
    eventually("the tried configuration to be taken back", async || {
        (!stored(&lab, "10.5.0.11", "v1alpha1")
            .await
            .contains("swappiness"))
        .then_some(())
    })
    .await;

    let reply = apply(&mut client, request(&with_udev(&config), Mode::Auto))
        .await
        .unwrap();
    assert_eq!(reply.mode(), Mode::Reboot);
    assert!(
        reply
            .mode_details
            .starts_with("Applied configuration with a reboot: ")
    );
    eventually("the new configuration after a reboot", async || {
        let channel = lab
            .secure("10.5.0.11", &credentials("os:admin"))
            .await
            .ok()?;
        let kind = "MachineConfigs.config.talos.dev";
        let active = get(channel, "config", kind, "v1alpha1").await.ok()?;
        active.spec?.yaml_spec.contains("udev").then_some(())
    })
    .await;
    lab.lab.stop().await;
}

#[tokio::test]
async fn since_1_14_applying_never_reboots() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let config = golden("controlplane-v1.14");
    let mut client = configured(&lab, 11, "v1.14.0", &config).await;
    let error = apply(&mut client, request(&config, Mode::Reboot))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (
            Code::Unimplemented,
            "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead"
        )
    );
    let reply = apply(&mut client, request(&with_udev(&config), Mode::Auto))
        .await
        .unwrap();
    assert_eq!(reply.mode(), Mode::NoReboot);
    let error = apply(
        &mut client,
        request(
            "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n",
            Mode::Auto,
        ),
    )
    .await
    .unwrap_err();
    assert!(
        error
            .message()
            .starts_with("the applied machine configuration doesn't contain v1alpha1 config")
    );
    lab.lab.stop().await;
}

#[tokio::test]
async fn a_static_address_moves_the_node() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let config =
        control_plane(11).replace("dhcp: true", "addresses:\n                - 10.5.0.77/24");
    let guest = lab.boot(11, "v1.13.9").await;
    let channel = eventually("maintenance mode", async || {
        lab.insecure("10.5.0.11").await.ok()
    })
    .await;
    let names: Vec<_> = guest
        .agent_interfaces()
        .unwrap()
        .into_iter()
        .map(|i| i.name)
        .collect();
    assert_eq!(names, ["lo", "eth0"]);
    MachineServiceClient::new(channel)
        .apply_configuration(request(&config, Mode::Auto))
        .await
        .unwrap();
    lab.machine("10.5.0.77", &credentials("os:admin")).await;
    assert_eq!(lab.lab.network.resolve("10.5.0.11", 50000), None);
    let interfaces = guest.agent_interfaces().unwrap();
    assert_eq!(interfaces[1].addresses[0].0.to_string(), "10.5.0.77");
    guest.power_off().await;
    assert_eq!(lab.lab.network.resolve("10.5.0.77", 50000), None);
    assert!(guest.agent_interfaces().is_none());
    lab.lab.stop().await;
}

#[tokio::test]
async fn members_leave_and_the_last_cannot() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut first = configured(&lab, 11, "v1.13.9", &control_plane(11)).await;
    let mut second = configured(&lab, 12, "v1.13.9", &control_plane(12)).await;
    let mut third = configured(&lab, 13, "v1.13.9", &control_plane(13)).await;
    first.bootstrap(BootstrapRequest::default()).await.unwrap();
    let members = async |client: &mut MachineServiceClient<Channel>, count: usize| {
        eventually("so many members", async || {
            let list = client
                .etcd_member_list(EtcdMemberListRequest::default())
                .await
                .ok()?
                .into_inner();
            let members = list.messages.into_iter().next()?.members;
            (members.len() == count).then_some(members)
        })
        .await
    };
    members(&mut second, 3).await;
    let status = third
        .etcd_status(())
        .await
        .unwrap()
        .into_inner()
        .messages
        .remove(0)
        .member_status
        .unwrap();
    assert_ne!(status.leader, 0);
    third
        .etcd_leave_cluster(EtcdLeaveClusterRequest {})
        .await
        .unwrap();
    let left = members(&mut first, 2).await;
    assert!(left.iter().all(|m| m.hostname != "cp-13"));
    let error = first
        .etcd_remove_member_by_id(EtcdRemoveMemberByIdRequest { member_id: 7 })
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::NotFound, "etcdserver: member not found")
    );

    // Reset of the second: it leaves, keeps its installation, and comes back in maintenance mode.
    second
        .reset(ResetRequest {
            graceful: true,
            reboot: true,
            system_partitions_to_wipe: ["STATE", "EPHEMERAL"]
                .map(|label| ResetPartitionSpec {
                    label: label.to_owned(),
                    wipe: true,
                })
                .to_vec(),
            ..ResetRequest::default()
        })
        .await
        .unwrap();
    eventually("maintenance mode again", async || {
        lab.insecure("10.5.0.12").await.ok()
    })
    .await;
    members(&mut first, 1).await;
    let error = first
        .etcd_leave_cluster(EtcdLeaveClusterRequest {})
        .await
        .unwrap_err();
    assert!(
        error.message().contains("not enough started members"),
        "{error}"
    );
    assert_eq!(lab.books.destroyed.lock().unwrap().len(), 0);

    for machine in ["pve/11", "pve/12", "pve/13"] {
        lab.talos.destroyed(machine).await;
    }
    assert_eq!(lab.books.destroyed.lock().unwrap().len(), 1);
    assert_eq!(lab.lab.network.resolve("10.5.0.10", 6443), None);
    let left: Vec<_> = std::fs::read_dir(root.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with("talos-node") || n.starts_with("talos-cluster"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    lab.lab.stop().await;
}

#[tokio::test]
async fn resources_are_read_listed_and_watched() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = configured(&lab, 11, "v1.13.9", &control_plane(11)).await;
    let reader = lab
        .secure("10.5.0.11", &credentials("os:reader"))
        .await
        .unwrap();
    let error = get(
        reader.clone(),
        "config",
        "MachineConfigs.config.talos.dev",
        "v1alpha1",
    )
    .await
    .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::PermissionDenied, "not authorized")
    );
    let error = get(reader.clone(), "runtime", "Nopes.talos.dev", "x")
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "resource type \"Nopes.talos.dev\" is not supported"
    );
    let error = get(
        reader.clone(),
        "runtime",
        "ExtensionStatuses.runtime.talos.dev",
        "9",
    )
    .await
    .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (
            Code::NotFound,
            "resource ExtensionStatuses.runtime.talos.dev(runtime/9@undefined) doesn't exist"
        )
    );

    let list = ListRequest {
        namespace: "runtime".to_owned(),
        r#type: "ExtensionStatuses.runtime.talos.dev".to_owned(),
        options: None,
    };
    let mut stream = StateClient::new(reader.clone())
        .list(list)
        .await
        .unwrap()
        .into_inner();
    let mut found = Vec::new();
    while let Some(item) = stream.message().await.unwrap() {
        found.push(item.resource.unwrap().spec.unwrap().yaml_spec);
    }
    assert!(
        found
            .iter()
            .any(|y| y.contains("name: schematic") && y.contains("ce4c980550dd")),
        "{found:?}"
    );

    let watch = WatchRequest {
        namespace: "runtime".to_owned(),
        r#type: "MachineStatuses.runtime.talos.dev".to_owned(),
        id: Some("machine".to_owned()),
        options: None,
        api_version: 1,
    };
    let mut events = StateClient::new(reader)
        .watch(watch)
        .await
        .unwrap()
        .into_inner();
    let ready = events.message().await.unwrap().unwrap();
    assert!(
        ready.event.is_empty(),
        "the first answer only says that the watch is ready"
    );
    let first = events.message().await.unwrap().unwrap().event.remove(0);
    assert_eq!(first.event_type(), EventType::Created);
    assert!(
        first
            .resource
            .unwrap()
            .spec
            .unwrap()
            .yaml_spec
            .contains("stage: booting")
    );
    client.bootstrap(BootstrapRequest::default()).await.unwrap();
    loop {
        let event = events.message().await.unwrap().unwrap().event.remove(0);
        assert_eq!(event.event_type(), EventType::Updated);
        if event
            .resource
            .unwrap()
            .spec
            .unwrap()
            .yaml_spec
            .contains("stage: running")
        {
            break;
        }
    }
    lab.lab.stop().await;
}

#[tokio::test]
async fn the_factory_makes_images_of_posted_schematics() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let client = Client::new(&lab.lab).unwrap();
    let base = "https://factory.talos.dev";
    let post = async |body: &str| {
        let request = axum::http::Request::post(format!("{base}/schematics"))
            .body(bytes::Bytes::from(body.to_owned()))
            .unwrap();
        let response = client.send(request).await.unwrap();
        (
            response.status().as_u16(),
            String::from_utf8(response.body().to_vec()).unwrap(),
        )
    };
    let (status, reply) = post("customization:\n  systemExtensions:\n    officialExtensions:\n      - siderolabs/qemu-guest-agent\n      - siderolabs/iscsi-tools\n").await;
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    let id = reply["id"].as_str().unwrap();
    assert_eq!(
        (status, id),
        (
            201,
            "6ebbfe35c8225645c05d4d19eaad385bd1ec795954932d0ada671388272fec19"
        )
    );
    let (status, error) = post("customization: {unknown: 1}\n").await;
    assert_eq!(
        (status, error.as_str()),
        (
            400,
            "yaml: construct errors:\n  line 1: field unknown not found in type schematic.Customization\n"
        )
    );

    let url = format!("{base}/image/{id}/v1.13.9/nocloud-amd64.raw.xz");
    let image = client.get(&url).await.unwrap();
    assert_eq!(Compression::detect(image.body()), Compression::Xz);
    let label = ImageLabel::from_image(image.body()).unwrap().unwrap();
    assert_eq!(
        (
            label.version.as_str(),
            label.schematic.as_str(),
            label.guest_agent
        ),
        ("v1.13.9", id, true)
    );
    let head = client.head(&url).await.unwrap();
    assert_eq!(
        head.headers()["content-length"],
        image.body().len().to_string().as_str()
    );
    let empty = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
    let plain = client
        .get(&format!("{base}/image/{empty}/1.13.9/metal-amd64.iso"))
        .await
        .unwrap();
    assert!(
        !ImageLabel::from_image(plain.body())
            .unwrap()
            .unwrap()
            .guest_agent
    );
    let status = async |path: &str| {
        client
            .get(&format!("{base}{path}"))
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status("/image/abc/v1.13.9/metal-amd64.iso").await, 404);
    assert_eq!(
        status(&format!("/image/{id}/v1.99.0/metal-amd64.iso")).await,
        404
    );
    assert_eq!(
        status(&format!("/image/{id}/v1.13.9/metal-sparc.iso")).await,
        400
    );
    assert_eq!(status(&format!("/schematics/{id}")).await, 200);
    assert_eq!(status("/schematics/abc").await, 404);
    assert_eq!(status("/pxe/x").await, 501);
    let versions = client.get(&format!("{base}/versions")).await.unwrap();
    let versions: Vec<String> = serde_json::from_slice(versions.body()).unwrap();
    assert!(versions.contains(&"v1.13.9".to_owned()));
    lab.lab.stop().await;

    // It remembers what was posted.
    let lab = TestLab::open(root.path()).await;
    let client = Client::new(&lab.lab).unwrap();
    assert_eq!(client.get(&url).await.unwrap().status().as_u16(), 200);
    lab.lab.stop().await;
}

#[tokio::test]
async fn an_installation_medium_installs_and_reboots() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut machine = hardware(11, "v1.13.5");
    let mut medium = machine.disks.remove(0);
    medium.interface = "ide2".to_owned();
    machine.disks = vec![
        Disk {
            interface: "scsi0".to_owned(),
            size_bytes: 20 << 30,
            image: None,
        },
        medium,
    ];
    assert!(lab.talos.recognises(&machine));
    let guest = lab.talos.boot(machine.clone()).await;
    let channel = eventually("maintenance mode", async || {
        lab.insecure("10.5.0.11").await.ok()
    })
    .await;
    MachineServiceClient::new(channel)
        .apply_configuration(request(&control_plane(11), Mode::Auto))
        .await
        .unwrap();
    let mut client = lab.machine("10.5.0.11", &credentials("os:admin")).await;
    let tag = client
        .version(())
        .await
        .unwrap()
        .into_inner()
        .messages
        .remove(0)
        .version
        .unwrap()
        .tag;
    assert_eq!(tag, "v1.13.9", "the installer's version, not the medium's");
    assert!(
        guest.agent_interfaces().is_none(),
        "the plain installer has no agent"
    );

    let error = client
        .upgrade(UpgradeRequest {
            image: "ghcr.io/other/installer:v1.13.9".into(),
            ..UpgradeRequest::default()
        })
        .await
        .unwrap_err();
    assert!(error.message().contains("not found"), "{error}");
    client.bootstrap(BootstrapRequest::default()).await.unwrap();
    let image = "ghcr.io/siderolabs/installer:v1.13.8".to_owned();
    eventually("the upgrade to be taken", async || {
        let request = UpgradeRequest {
            image: image.clone(),
            ..UpgradeRequest::default()
        };
        client.upgrade(request).await.ok()
    })
    .await;
    eventually("the other version", async || {
        let channel = lab
            .secure("10.5.0.11", &credentials("os:admin"))
            .await
            .ok()?;
        let reply = MachineServiceClient::new(channel).version(()).await.ok()?;
        let tag = reply.into_inner().messages.remove(0).version?.tag;
        (tag == "v1.13.8").then_some(())
    })
    .await;
    let mut client = lab.machine("10.5.0.11", &credentials("os:admin")).await;
    client.shutdown(ShutdownRequest::default()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), guest.stopped())
        .await
        .unwrap();
    lab.lab.stop().await;
}

#[tokio::test]
async fn configuration_on_the_cloud_init_drive_needs_no_maintenance() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut machine = hardware(11, "v1.13.9");
    if let Some(drive) = &mut machine.cloud_init {
        drive.user_data = Some(control_plane(11));
    }
    lab.talos.boot(machine).await;
    lab.machine("10.5.0.11", &credentials("os:admin")).await;
    // Without a static address, DHCP gives one of its own, the same at every boot.
    let mut leased = hardware(12, "v1.13.9");
    leased.cloud_init = None;
    let guest = lab.talos.boot(leased.clone()).await;
    let address = async |guest: &dyn stead_lab_core::machine::Guest| {
        eventually("an address", async || {
            let interfaces = guest.agent_interfaces()?;
            Some(interfaces.get(1)?.addresses.first()?.0)
        })
        .await
    };
    let first = address(guest.as_ref()).await;
    guest.power_off().await;
    let guest = lab.talos.boot(leased).await;
    assert_eq!(address(guest.as_ref()).await, first);
    lab.lab.stop().await;
}

#[tokio::test]
async fn fifty_nodes_fit() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let admin = credentials("os:admin");
    let mut first = configured(&lab, 101, "v1.13.9", &control_plane(101)).await;
    first.bootstrap(BootstrapRequest::default()).await.unwrap();
    for number in 102..=150 {
        let mut machine = hardware(number, "v1.13.9");
        if let Some(drive) = &mut machine.cloud_init {
            drive.user_data = Some(worker(number));
        }
        lab.talos.boot(machine).await;
    }
    for number in 102..=150 {
        lab.machine(&format!("10.5.0.{number}"), &admin).await;
    }
    eventually("all nodes", async || {
        let cluster = lab
            .books
            .clusters
            .lock()
            .unwrap()
            .values()
            .next()
            .cloned()?;
        let count = cluster.nodes.lock().unwrap().len();
        (count == 50).then_some(())
    })
    .await;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let kib: u64 = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 300 << 10, "{kib} KiB resident");
    assert_eq!(lab.talos.inventory()["nodes"].as_array().unwrap().len(), 50);
    lab.lab.stop().await;
}

/// Names in the archive of what is below a path.
async fn copied(client: &mut MachineServiceClient<Channel>, path: &str) -> Vec<String> {
    use std::io::Read;
    let request = CopyRequest {
        root_path: path.to_owned(),
    };
    let mut stream = client.copy(request).await.unwrap().into_inner();
    let mut packed = Vec::new();
    while let Some(part) = stream.message().await.unwrap() {
        packed.extend(part.bytes);
    }
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut tar)
        .unwrap();
    let mut names = Vec::new();
    let mut rest = tar.as_slice();
    while let Some((header, after)) = rest.split_at_checked(512).filter(|(h, _)| h[0] != 0) {
        let text = |range: std::ops::Range<usize>| {
            let bytes = header[range].iter().take_while(|b| **b != 0);
            bytes.map(|b| char::from(*b)).collect::<String>()
        };
        names.push(text(0..100));
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        rest = &after[size.next_multiple_of(512)..];
    }
    names
}

#[tokio::test]
async fn copies_have_no_entry_for_their_own_folder() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    let mut client = configured(&lab, 11, "v1.13.9", &control_plane(11)).await;
    let names = copied(&mut client, "/etc/").await;
    assert!(names.contains(&"os-release".to_owned()), "{names:?}");
    assert!(names.contains(&"kubernetes/".to_owned()), "{names:?}");
    assert!(!names.iter().any(|n| n == "." || n == "./"), "{names:?}");
    assert_eq!(copied(&mut client, "/etc/os-release").await, ["os-release"]);
    lab.lab.stop().await;
}
