//! The whole life of machines: images, disks, cloud-init, start, agent, change, clone, destroy; and across a restart.

mod common;

use common::Cluster;
use serde_json::{Value, json};

const CREATE: &str = "vmid=4001&name=ctrl-00&tags=Talos;k8s;talos&cores=4&memory=2480&agent=1&ostype=l26&bios=ovmf\
    &efidisk0=local-lvm%3A1%2Cefitype%3D4m&tpmstate0=local-lvm%3A1%2Cversion%3Dv2.0&serial0=socket&scsihw=virtio-scsi-single\
    &scsi0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aimport%2Ftalos.qcow2%2Cdiscard%3Don%2Ciothread%3D1\
    &net0=virtio%2Cbridge%3Dvmbr0%2Ctag%3D150&ide2=local-lvm%3Acloudinit&ipconfig0=ip%3D10.25.150.11%2F24%2Cgw%3D10.25.150.1\
    &nameserver=10.25.150.1&cipassword=secret-word&description=node";

async fn create(cluster: &Cluster) {
    cluster.import_image().await;
    cluster.done("POST", "/nodes/abel/qemu", CREATE).await;
}

#[tokio::test]
async fn a_new_machine_is_normalised_as_the_real_one() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    let config = cluster.config(4001).await;
    assert_eq!(
        config["scsi0"],
        "local-lvm:vm-4001-disk-0,discard=on,iothread=1,size=2G"
    );
    assert_eq!(
        config["efidisk0"],
        "local-lvm:vm-4001-disk-1,efitype=4m,size=4M"
    );
    assert_eq!(
        config["tpmstate0"],
        "local-lvm:vm-4001-disk-2,size=4M,version=v2.0"
    );
    assert_eq!(
        config["ide2"],
        "local-lvm:vm-4001-cloudinit,media=cdrom,size=4M"
    );
    assert_eq!(config["tags"], "k8s;talos");
    assert_eq!(config["boot"], "order=scsi0;net0");
    assert_eq!(config["cipassword"], "**********");
    assert_eq!(config["description"], "node");
    assert_eq!(
        (&config["cores"], &config["memory"]),
        (&json!(4), &json!("2480"))
    );
    let net = config["net0"].as_str().unwrap();
    assert!(
        net.starts_with("virtio=BC:24:11:") && net.ends_with(",bridge=vmbr0,tag=150"),
        "{net}"
    );
    assert!(
        config["smbios1"].as_str().unwrap().starts_with("uuid=")
            && config["vmgenid"].as_str().unwrap().len() == 36
    );
    assert_eq!(config["digest"].as_str().unwrap().len(), 40);
    assert!(config.get("lock").is_none());
    let saved =
        std::fs::read_to_string(cluster.dir.path().join("proxmox.json")).unwrap_or_default();
    assert!(!saved.contains("secret-word"));
    let taken = cluster
        .root("POST", "/nodes/cantor/qemu", "vmid=4001")
        .await;
    assert_eq!(
        taken.reason,
        "unable to create VM 4001 - VM 4001 already exists on node 'abel'"
    );
    let taken = cluster.root("GET", "/cluster/nextid", "vmid=4001").await;
    assert_eq!(taken.body["errors"]["vmid"], "VM 4001 already exists");
    assert_eq!(
        cluster.root("GET", "/cluster/nextid", "").await.data(),
        "100"
    );
}

#[tokio::test]
async fn it_boots_with_its_hardware_answers_through_its_agent_and_goes() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    let vm = "/nodes/abel/qemu/4001";
    cluster
        .done("PUT", &format!("{vm}/resize"), "disk=scsi0&size=20G")
        .await;
    let agent = || {
        cluster.root(
            "GET",
            "/nodes/abel/qemu/4001/agent/network-get-interfaces",
            "",
        )
    };
    assert_eq!(agent().await.reason, "VM 4001 is not running");
    cluster
        .done("POST", &format!("{vm}/status/start"), "")
        .await;
    assert_eq!(cluster.guests.events(), ["boot homelab/4001"]);
    {
        let booted = cluster.guests.booted.lock().unwrap();
        let hardware = &booted[0];
        assert_eq!(
            (hardware.cores, hardware.memory_mib, hardware.disks.len()),
            (4, 2480, 1)
        );
        assert_eq!(
            (
                hardware.disks[0].interface.as_str(),
                hardware.disks[0].size_bytes
            ),
            ("scsi0", 20 << 30)
        );
        assert_eq!(hardware.disks[0].image.as_ref().unwrap().schematic, "abc");
        assert_eq!(
            (hardware.nics[0].bridge.as_str(), hardware.nics[0].vlan),
            ("vmbr0", Some(150))
        );
        let cloud = hardware.cloud_init.as_ref().unwrap();
        assert_eq!(
            cloud.ip_config[&0].address,
            Some(("10.25.150.11".parse().unwrap(), 24))
        );
        assert_eq!(cloud.hostname.as_deref(), Some("ctrl-00"));
        assert!(hardware.agent_channel);
    }
    let found = agent().await.data();
    assert_eq!(found["result"][0]["name"], "lo");
    assert_eq!(
        found["result"][1]["ip-addresses"][0]["ip-address"],
        "10.25.150.11"
    );
    let current = cluster
        .root("GET", &format!("{vm}/status/current"), "")
        .await
        .data();
    assert_eq!(
        (&current["status"], &current["qmpstatus"]),
        (&json!("running"), &json!("running"))
    );
    assert_eq!(
        cluster
            .task("POST", &format!("{vm}/status/start"), "")
            .await,
        "VM 4001 already running"
    );
    let refused = cluster.root("DELETE", vm, "").await;
    assert_eq!(refused.reason, "VM 4001 is running - destroy failed");
    cluster
        .done("POST", &format!("{vm}/status/shutdown"), "")
        .await;
    cluster
        .done("DELETE", vm, "purge=1&destroy-unreferenced-disks=1")
        .await;
    assert_eq!(
        cluster.guests.events(),
        ["shutdown homelab/4001", "destroyed homelab/4001"]
    );
    let left = cluster.proxmox.inventory();
    assert_eq!(
        (&left["vms"], &left["volumes"]),
        (&json!([]), &json!(["abel/local:import/talos.qcow2"]))
    );
}

#[tokio::test]
async fn changes_to_a_running_machine_wait_where_they_must() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    let vm = "/nodes/abel/qemu/4001";
    cluster
        .task("POST", &format!("{vm}/status/start"), "")
        .await;
    cluster
        .root("PUT", &format!("{vm}/config"), "memory=4096&tags=b")
        .await
        .data();
    assert_eq!(
        cluster.config(4001).await["memory"],
        "4096",
        "what is pending shows as applied"
    );
    let current = cluster
        .root("GET", &format!("{vm}/config"), "current=1")
        .await
        .data();
    assert_eq!(
        (&current["memory"], &current["tags"]),
        (&json!("2480"), &json!("b"))
    );
    let pending = cluster
        .root("GET", &format!("{vm}/pending"), "")
        .await
        .data();
    let memory = pending
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["key"] == "memory")
        .unwrap();
    assert_eq!(
        memory,
        &json!({ "key": "memory", "value": "2480", "pending": "4096" })
    );
    cluster
        .done("POST", &format!("{vm}/status/reboot"), "")
        .await;
    let current = cluster
        .root("GET", &format!("{vm}/config"), "current=1")
        .await
        .data();
    assert_eq!(current["memory"], "4096");
    assert_eq!(cluster.guests.booted.lock().unwrap()[1].memory_mib, 4096);

    let stale = cluster
        .root(
            "PUT",
            &format!("{vm}/config"),
            &format!("tags=c&digest={}", "0".repeat(40)),
        )
        .await;
    assert_eq!(
        stale.reason,
        "checksum mismatch (file change by other user?)"
    );
    assert_eq!(
        cluster
            .root("PUT", &format!("{vm}/config"), "")
            .await
            .reason,
        "no options specified"
    );
    let unknown = cluster
        .root("PUT", &format!("{vm}/config"), "delete=nothing")
        .await;
    assert_eq!(unknown.body["errors"]["delete"], "unknown option 'nothing'");
    assert_eq!(
        cluster
            .root("PUT", &format!("{vm}/resize"), "disk=scsi0&size=1G")
            .await
            .reason,
        "shrinking disks is not supported"
    );
}

#[tokio::test]
async fn detached_disks_stay_until_they_are_removed() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    let path = "/nodes/abel/qemu/4001/config";
    cluster
        .root("PUT", path, "scsi1=local-zfs%3A5")
        .await
        .data();
    assert_eq!(
        cluster.config(4001).await["scsi1"],
        "local-zfs:vm-4001-disk-0,size=5G"
    );
    cluster.root("PUT", path, "delete=scsi1").await.data();
    assert_eq!(
        cluster.config(4001).await["unused0"],
        "local-zfs:vm-4001-disk-0"
    );
    cluster.root("PUT", path, "delete=unused0").await.data();
    assert!(cluster.config(4001).await.get("unused0").is_none());
    assert!(
        !cluster
            .proxmox
            .inventory()
            .to_string()
            .contains("local-zfs")
    );
    cluster
        .done(
            "POST",
            "/nodes/abel/qemu/4001/move_disk",
            "disk=scsi0&storage=local-zfs&delete=1",
        )
        .await;
    assert_eq!(
        cluster.config(4001).await["scsi0"],
        "local-zfs:vm-4001-disk-0,discard=on,iothread=1,size=2G"
    );
    cluster.root("PUT", path, "protection=1").await.data();
    let refused = cluster.root("DELETE", "/nodes/abel/qemu/4001", "").await;
    assert_eq!(
        refused.reason,
        "can't remove VM 4001 - protection mode enabled"
    );
}

#[tokio::test]
async fn clones_get_an_identity_of_their_own() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    let vm = "/nodes/abel/qemu/4001";
    cluster
        .done("POST", &format!("{vm}/clone"), "newid=5001&full=1")
        .await;
    let (old, new) = (cluster.config(4001).await, cluster.config(5001).await);
    assert_eq!(new["name"], "Copy-of-VM-ctrl-00");
    assert_eq!(
        new["scsi0"],
        "local-lvm:vm-5001-disk-0,discard=on,iothread=1,size=2G"
    );
    for key in ["net0", "vmgenid", "smbios1"] {
        assert_ne!(old[key], new[key], "{key}");
    }
    assert!(new.get("lock").is_none());
    let refused = cluster
        .root("POST", &format!("{vm}/clone"), "newid=5001")
        .await;
    assert_eq!(
        refused.reason,
        "unable to create VM 5001: config file already exists"
    );
    cluster.done("POST", &format!("{vm}/template"), "").await;
    assert_eq!(cluster.config(4001).await["template"], 1);
    assert!(
        cluster.config(4001).await["scsi0"]
            .as_str()
            .unwrap()
            .starts_with("local-lvm:base-4001-disk-0")
    );
    assert_eq!(
        cluster
            .task("POST", &format!("{vm}/status/start"), "")
            .await,
        "you can't start a vm if it's a template"
    );
    cluster
        .done("POST", &format!("{vm}/clone"), "newid=5002&name=linked")
        .await;
    let base = cluster.root("DELETE", vm, "").await;
    assert!(
        base.reason.contains("is still in use by linked cloned"),
        "{}",
        base.reason
    );
    cluster
        .done("POST", "/nodes/abel/qemu/5002/status/start", "")
        .await;
    assert_eq!(
        cluster.guests.events(),
        ["boot homelab/5002"],
        "a clone of a Talos disk boots Talos"
    );
}

#[tokio::test]
async fn a_failed_create_leaves_nothing() {
    let cluster = Cluster::new().await;
    let form = "vmid=100&scsi0=local-lvm%3A8&scsi1=local-zfs%3A9999";
    let exit = cluster.task("POST", "/nodes/abel/qemu", form).await;
    assert!(
        exit.starts_with("unable to create VM 100 - zfs error"),
        "{exit}"
    );
    let left = cluster.proxmox.inventory();
    assert_eq!((&left["vms"], &left["volumes"]), (&json!([]), &json!([])));
    let exit = cluster
        .task("POST", "/nodes/abel/qemu", "vmid=100&memory=65536&name=big")
        .await;
    assert_eq!(exit, "OK");
    let exit = cluster
        .task("POST", "/nodes/abel/qemu/100/status/start", "")
        .await;
    assert!(exit.contains("Cannot allocate memory"), "{exit}");
    assert_eq!(
        cluster
            .root("GET", "/nodes/abel/qemu/100/status/current", "")
            .await
            .data()["status"],
        "stopped"
    );
}

#[tokio::test]
async fn a_mapped_gpu_reaches_one_machine_at_a_time() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    let wrong = cluster
        .root(
            "POST",
            "/cluster/mapping/pci",
            "id=gpu&map=node%3Dabel%2Cpath%3D0000%3A09%3A00.0%2Cid%3D10de%3A1eb8",
        )
        .await;
    assert_eq!(wrong.status, 200, "checked only on demand");
    let checked = cluster
        .root("GET", "/cluster/mapping/pci", "check-node=abel")
        .await
        .data();
    assert_eq!(
        checked[0]["checks"][0]["message"],
        "Invalid configuration: pci device '0000:09:00.0' not found\n"
    );
    cluster
        .root("DELETE", "/cluster/mapping/pci/gpu", "")
        .await
        .data();
    let map = "node%3Dabel%2Cpath%3D0000%3A01%3A00.0%2Cid%3D10de%3A1eb8%2Ciommugroup%3D16%2Csubsystem-id%3D10de%3A12a2";
    cluster
        .root("POST", "/cluster/mapping/pci", &format!("id=gpu&map={map}"))
        .await
        .data();
    let read = cluster
        .root("GET", "/cluster/mapping/pci/gpu", "")
        .await
        .data();
    assert_eq!(
        read["map"][0],
        "node=abel,path=0000:01:00.0,id=10de:1eb8,iommugroup=16,subsystem-id=10de:12a2"
    );
    cluster
        .root(
            "PUT",
            "/nodes/abel/qemu/4001/config",
            "hostpci0=mapping%3Dgpu%2Cpcie%3D1&machine=q35",
        )
        .await
        .data();
    cluster
        .done("POST", "/nodes/abel/qemu/4001/status/start", "")
        .await;
    assert_eq!(
        cluster.guests.booted.lock().unwrap()[0].pci_devices,
        ["10de:1eb8"]
    );
    assert_eq!(
        cluster
            .task(
                "POST",
                "/nodes/abel/qemu",
                "vmid=100&hostpci0=mapping%3Dgpu&start=1"
            )
            .await,
        "PCI device '0000:01:00.0' already in use by VMID '4001'"
    );
    cluster
        .root("DELETE", "/cluster/mapping/pci/gpu", "")
        .await
        .data();
    assert_eq!(
        cluster
            .root("GET", "/cluster/mapping/pci/gpu", "")
            .await
            .status,
        500
    );
}

#[tokio::test]
async fn downloads_are_checked_and_not_overwritten() {
    let cluster = Cluster::new().await;
    cluster.image_factory().await;
    let url = "https%3A%2F%2Ffactory.talos.dev%2Fimage%2Fnocloud.raw.gz";
    let path = "/nodes/abel/storage/local/download-url";
    let metadata = cluster
        .root(
            "GET",
            "/nodes/abel/query-url-metadata",
            &format!("url={url}"),
        )
        .await
        .data();
    assert_eq!(metadata["filename"], "nocloud.raw.gz");
    assert!(metadata["size"].as_u64().unwrap() > 0);
    let form = format!("content=iso&filename=talos.img&compression=gz&url={url}");
    assert_eq!(
        cluster
            .task(
                "POST",
                path,
                &format!("{form}&checksum-algorithm=sha256&checksum=00")
            )
            .await
            .split(':')
            .next(),
        Some("checksum mismatch")
    );
    cluster.done("POST", path, &form).await;
    assert_eq!(
        cluster.task("POST", path, &form).await,
        "refusing to override existing file '/var/lib/vz/template/iso/talos.img'"
    );
    let refusals = [
        (
            format!("content=import&filename=x.qcow2&compression=gz&url={url}"),
            "decompression not supported for import",
        ),
        (
            format!("content=iso&filename=x.raw&url={url}"),
            "Parameter verification failed.",
        ),
        (
            format!("content=iso&filename=x.img&compression=xz&url={url}"),
            "Parameter verification failed.",
        ),
    ];
    for (form, reason) in refusals {
        assert_eq!(
            cluster.root("POST", path, &form).await.reason,
            reason,
            "{form}"
        );
    }
    let lvm = cluster
        .root("POST", "/nodes/abel/storage/local-lvm/download-url", &form)
        .await;
    assert_eq!(
        lvm.reason,
        "can't upload to storage type 'lvmthin', not a file based storage!"
    );
    let missing = form
        .replace("talos.img", "y.img")
        .replace("nocloud", "nothing");
    assert!(
        cluster
            .task("POST", path, &missing)
            .await
            .starts_with("download failed: ERROR 404")
    );
    let wrong = "vmid=100&scsi0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aiso%2Ftalos.img";
    let wrong = cluster.root("POST", "/nodes/abel/qemu", wrong).await;
    assert_eq!(
        wrong.body["errors"]["scsi0"],
        "local:iso/talos.img has wrong type 'iso' - needs to be 'images' or 'import'"
    );
    let listed = cluster
        .root("GET", "/nodes/abel/storage/local/content", "content=iso")
        .await
        .data();
    assert_eq!(
        (&listed[0]["volid"], &listed[0]["format"]),
        (&json!("local:iso/talos.img"), &json!("iso"))
    );
    cluster
        .done(
            "DELETE",
            "/nodes/abel/storage/local/content/local%3Aiso%2Ftalos.img",
            "",
        )
        .await;
}

#[tokio::test]
async fn an_upload_becomes_a_file_with_its_label() {
    let cluster = Cluster::new().await;
    let image = cluster.image_factory().await;
    let boundary = "----lab";
    let mut body = Vec::new();
    for (name, value) in [("content", "import"), ("checksum-algorithm", "sha256")] {
        body.extend(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
            .bytes(),
        );
    }
    use sha2::Digest;
    let sum: String = sha2::Sha256::digest(&image)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    body.extend(
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"checksum\"\r\n\r\n{sum}\r\n"
        )
        .bytes(),
    );
    body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"talos.raw\"\r\n\r\n").bytes());
    body.extend(&image);
    body.extend(format!("\r\n--{boundary}--\r\n").bytes());
    let request = axum::http::Request::builder()
        .method("POST")
        .uri("https://10.25.150.101:8006/api2/json/nodes/abel/storage/local/upload")
        .header(
            "content-type",
            format!("multipart/form-data; boundary={boundary}"),
        )
        .header(
            "authorization",
            format!("PVEAPIToken={}", stead_lab_proxmox::Options::ROOT_TOKEN),
        );
    let upid = cluster
        .send(request.body(body.into()).unwrap())
        .await
        .data();
    assert_eq!(cluster.wait(&upid).await, "OK");
    let read = cluster
        .root(
            "GET",
            "/nodes/abel/storage/local/content/local%3Aimport%2Ftalos.raw",
            "",
        )
        .await
        .data();
    assert_eq!(
        (&read["size"], &read["format"]),
        (&json!(image.len()), &json!("raw"))
    );
    let exit = cluster.task("POST", "/nodes/abel/qemu", "vmid=100&net0=virtio&virtio0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aimport%2Ftalos.raw&start=1").await;
    assert_eq!(exit, "OK");
    assert_eq!(cluster.guests.events(), ["boot homelab/100"]);
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_runs_again() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    cluster
        .task("POST", "/nodes/abel/qemu/4001/status/start", "")
        .await;
    let upid = cluster
        .root("POST", "/nodes/abel/qemu/4001/status/stop", "")
        .await
        .data();
    cluster.wait(&upid).await;
    cluster
        .task("POST", "/nodes/abel/qemu/4001/status/start", "")
        .await;
    let (config, tasks) = (
        cluster.config(4001).await,
        cluster.root("GET", "/nodes/abel/tasks", "").await.data(),
    );
    let again = cluster.restarted().await;
    assert_eq!(again.config(4001).await, config);
    assert_eq!(
        again.root("GET", "/nodes/abel/tasks", "").await.data(),
        tasks
    );
    assert_eq!(again.guests.events(), ["boot homelab/4001"]);
    let found = again
        .root(
            "GET",
            "/nodes/abel/qemu/4001/agent/network-get-interfaces",
            "",
        )
        .await
        .data();
    assert_eq!(found["result"][1]["name"], "eth0");
}

#[tokio::test]
async fn a_guest_that_turns_itself_off_takes_the_machine_with_it() {
    let cluster = Cluster::new().await;
    create(&cluster).await;
    cluster
        .task("POST", "/nodes/abel/qemu/4001/status/start", "")
        .await;
    cluster.guests.off.lock().unwrap()[0].notify_one();
    let stopped = |answer: Value| answer["status"] == "stopped";
    while !stopped(
        cluster
            .root("GET", "/nodes/abel/qemu/4001/status/current", "")
            .await
            .data(),
    ) {
        tokio::task::yield_now().await;
    }
    cluster
        .done("POST", "/nodes/abel/qemu/4001/status/start", "")
        .await;
}

#[tokio::test]
async fn faults_show_as_the_real_failures() {
    use stead_lab_core::faults::{Effect, Fault};
    let cluster = Cluster::new().await;
    create(&cluster).await;
    let once = |name: &str| Fault {
        name: name.into(),
        effect: Effect::On,
        skip: 0,
        times: Some(1),
        percent: 100,
    };
    cluster
        .lab
        .faults
        .set(once("proxmox.lock-timeout"))
        .unwrap();
    let timeout = cluster
        .root("PUT", "/nodes/abel/qemu/4001/config", "cores=2")
        .await;
    assert_eq!(
        timeout.reason,
        "can't lock file '/var/lock/qemu-server/lock-4001.conf' - got timeout"
    );
    cluster.lab.faults.set(once("proxmox.no-worker")).unwrap();
    assert_eq!(
        cluster
            .root("POST", "/nodes/abel/qemu/4001/status/start", "")
            .await
            .reason,
        "got no worker upid - start worker failed"
    );
    cluster
        .lab
        .faults
        .set(once("proxmox.task.qmstart"))
        .unwrap();
    assert_eq!(
        cluster
            .task("POST", "/nodes/abel/qemu/4001/status/start", "")
            .await,
        "simulated fault"
    );
    cluster
        .lab
        .faults
        .set(once("proxmox.task-warning"))
        .unwrap();
    assert_eq!(
        cluster
            .task("POST", "/nodes/abel/qemu/4001/status/start", "")
            .await,
        "WARNINGS: 1"
    );
    cluster
        .lab
        .faults
        .set(once("proxmox.node-down.abel"))
        .unwrap();
    assert_eq!(
        cluster.root("GET", "/nodes/abel/status", "").await.status,
        595
    );
    assert_eq!(
        cluster.root("GET", "/nodes/abel/status", "").await.status,
        200
    );
}

#[tokio::test]
async fn a_lab_that_stops_lets_its_tasks_end_and_saves_their_outcome() {
    let cluster = Cluster::new().await;
    cluster.import_image().await;
    cluster
        .root("POST", "/nodes/abel/qemu", CREATE)
        .await
        .data();
    let again = cluster.restarted().await;
    let config = again.config(4001).await;
    assert_eq!(
        (config.get("lock"), &config["name"]),
        (None, &json!("ctrl-00"))
    );
}
