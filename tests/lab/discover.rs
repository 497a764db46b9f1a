//! `stead discover`: a homelab that grew without stead comes under management as it is.

use serde_json::Value as Json;

use crate::bad_input::Case;
use crate::env::{text, words};

/// Something of everything, as people make it by hand.
const GROWN: &str = r#"
resource "proxmox_virtual_environment_vm" "web" {
  node_name   = "abel"
  vm_id       = 100
  name        = "web"
  description = "for the family\nand friends"
  tags        = ["lab"]
  started     = false
  pool_id     = proxmox_virtual_environment_pool.family.pool_id
  cpu {
    cores = 2
    type  = "host"
  }
  memory {
    dedicated = 2048
  }
  disk {
    interface    = "scsi0"
    datastore_id = "local-lvm"
    size         = 8
  }
  disk {
    interface    = "virtio1"
    datastore_id = "local-zfs"
    size         = 4
    discard      = "on"
  }
  network_device {
    bridge = "vmbr0"
  }
  initialization {
    datastore_id = "local-lvm"
    ip_config {
      ipv4 {
        address = "10.25.150.77/24"
        gateway = "10.25.150.1"
      }
    }
    user_account {
      username = "ann"
      password = "a long secret"
    }
  }
  operating_system {
    type = "l26"
  }
}
resource "proxmox_virtual_environment_vm" "twin" {
  node_name = "cantor"
  vm_id     = 101
  name      = "web"
  started   = true
  network_device {
    bridge = "vmbr0"
  }
}
resource "proxmox_virtual_environment_vm" "template" {
  node_name = "abel"
  vm_id     = 900
  name      = "3rd-template"
  template  = true
  started   = false
}
resource "proxmox_virtual_environment_pool" "family" {
  pool_id = "family"
  comment = "all of us"
}
resource "proxmox_virtual_environment_group" "admins" {
  group_id = "admins"
}
resource "proxmox_virtual_environment_user" "ann" {
  user_id    = "ann@pve"
  first_name = "Ann"
  password   = "a long secret"
  groups     = [proxmox_virtual_environment_group.admins.group_id]
}
resource "proxmox_virtual_environment_role" "watcher" {
  role_id    = "Watcher"
  privileges = ["VM.Audit", "Sys.Audit"]
}
resource "proxmox_acl" "ann" {
  path    = "/vms"
  role_id = proxmox_virtual_environment_role.watcher.role_id
  user_id = proxmox_virtual_environment_user.ann.user_id
}
resource "proxmox_user_token" "ci" {
  user_id    = proxmox_virtual_environment_user.ann.user_id
  token_name = "ci"
}
resource "proxmox_realm_ldap" "lab" {
  realm         = "lab.lan"
  base_dn       = "dc=lab,dc=lan"
  server1       = "10.25.150.30"
  bind_dn       = "cn=reader,dc=lab,dc=lan"
  bind_password = "a long secret"
  user_attr     = "uid"
}
resource "proxmox_sdn_zone_simple" "lan" {
  id = "lan"
}
resource "proxmox_sdn_vnet" "dmz" {
  id   = "dmz"
  zone = proxmox_sdn_zone_simple.lan.id
}
resource "proxmox_sdn_subnet" "dmz" {
  vnet    = proxmox_sdn_vnet.dmz.id
  cidr    = "192.168.7.0/24"
  gateway = "192.168.7.1"
}
resource "proxmox_storage_directory" "files" {
  id      = "files"
  path    = "/srv/files"
  content = ["iso", "backup"]
  backups {
    keep_daily = 7
  }
}
resource "proxmox_storage_pbs" "pbs" {
  id        = "pbs"
  server    = "10.25.150.22"
  datastore = "main"
  username  = "u@pbs"
  password  = "a long secret"
  content   = ["backup"]
}
resource "proxmox_storage_cifs" "win" {
  id       = "win"
  server   = "10.25.150.21"
  share    = "backup"
  username = "u"
  password = "a long secret"
  content  = ["backup"]
}
resource "proxmox_backup_job" "nightly" {
  id       = "nightly"
  schedule = "03:00"
  storage  = "local"
  all      = true
  compress = "zstd"
  mode     = "snapshot"
}
resource "proxmox_hardware_mapping_usb" "stick" {
  name = "stick"
  map = [{ node = "abel", id = "0951:1666", comment = "in front" }]
}
resource "proxmox_haresource" "web" {
  resource_id = "vm:${proxmox_virtual_environment_vm.web.vm_id}"
  state       = "stopped"
}
resource "proxmox_acme_dns_plugin" "cloud" {
  plugin = "cloud"
  api    = "cf"
  data   = { CF_Token = "a long secret" }
}
resource "proxmox_network_linux_bridge" "lab" {
  node_name = "abel"
  name      = "vmbr9"
  address   = "10.9.0.1/24"
}
resource "proxmox_virtual_environment_firewall_alias" "nas" {
  name = "nas"
  cidr = "10.25.150.20"
}
resource "proxmox_virtual_environment_firewall_ipset" "local" {
  name = "ours"
  cidr {
    name = "10.25.150.0/24"
  }
}
resource "proxmox_virtual_environment_cluster_firewall_security_group" "web" {
  name = "web"
  rule {
    type   = "in"
    action = "ACCEPT"
    proto  = "tcp"
    dport  = "443"
  }
}
resource "proxmox_virtual_environment_firewall_options" "web" {
  node_name = "abel"
  vm_id     = proxmox_virtual_environment_vm.web.vm_id
  enabled   = true
}
resource "proxmox_virtual_environment_firewall_rules" "web" {
  node_name = "abel"
  vm_id     = proxmox_virtual_environment_vm.web.vm_id
  rule {
    security_group = proxmox_virtual_environment_cluster_firewall_security_group.web.name
  }
}
"#;

/// How many objects that is.
const COUNT: usize = 26;

/// A lab in which all that exists, and a folder that knows nothing of it.
fn grown(main: &str) -> Case {
    let case = Case::new(main);
    case.succeeds();
    for name in ["terraform.tfstate", "terraform.tfstate.backup"] {
        let _ = std::fs::remove_file(case.path(name));
    }
    case.write("# Nothing yet.\n");
    case
}

fn ok(case: &Case, arguments: &[&str]) -> String {
    let output = case.stead(arguments);
    assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read(case: &Case, name: &str) -> String {
    std::fs::read_to_string(case.path(name)).expect("the file")
}

#[test]
fn what_grew_is_taken_over_as_it_is() {
    let case = grown(GROWN);
    let wrote = ok(
        &case,
        &["discover", "proxmox", "-out=discovered.tf", "-no-color"],
    );
    assert!(!wrote.contains("Warning"), "{wrote}");
    let written = read(&case, "discovered.tf");
    assert!(!written.contains("a long secret"), "{written}");
    let imports = written.matches("\nimport {\n").count();
    assert!(imports >= COUNT, "{imports}\n{written}");
    for part in [
        // Two machines of one name keep theirs apart.
        "\"proxmox_virtual_environment_vm\" \"web_100\"",
        "\"proxmox_virtual_environment_vm\" \"web_101\"",
        "\"proxmox_virtual_environment_vm\" \"vm_3rd-template\"",
        "id = \"abel/100\"",
        "\"proxmox_virtual_environment_user\" \"ann_pve\"",
        "ignore_changes = [data]",
        // What names another object refers to it.
        "= proxmox_virtual_environment_pool.family.pool_id",
        "= proxmox_virtual_environment_vm.web_100.vm_id",
        "= proxmox_sdn_zone_simple.lan.id",
    ] {
        assert!(written.contains(part), "no {part:?} in\n{written}");
    }
    for part in ["id = \"root@pam\"", "PVEAdmin", "= null", "cpu {\n  }"] {
        assert!(!written.contains(part), "{part:?} in\n{written}");
    }

    let plan = words(&ok(&case, &["plan", "-no-color"]));
    let only = format!("Plan: {imports} to import, 0 to add, 0 to change, 0 to destroy.");
    assert!(plan.contains(&only), "{plan}\n{written}");
    case.succeeds();

    let again = ok(&case, &["discover", "proxmox", "-no-color"]);
    assert!(
        again.contains(&format!("Found: 0 new, {imports} managed")),
        "{again}"
    );
    let again = case.stead(&["discover", "proxmox", "-out=discovered.tf", "-no-color"]);
    assert_eq!(again.status.code(), Some(1), "{}", text(&again));
    assert_eq!(read(&case, "discovered.tf"), written);
    let nothing = ok(&case, &["discover", "proxmox", "-out=more.tf", "-no-color"]);
    assert!(nothing.contains("no file was written"), "{nothing}");
    assert!(!case.path("more.tf").exists());
}

#[test]
fn some_types_are_shown_to_people_and_programs() {
    let case = grown(
        r#"
resource "proxmox_virtual_environment_vm" "web" {
  node_name = "abel"
  vm_id     = 100
  name      = "web"
  started   = false
}
"#,
    );
    let shown = words(&ok(
        &case,
        &["discover", "proxmox", "-type=vm", "-no-color"],
    ));
    assert!(
        shown.contains(
            "proxmox_virtual_environment_vm abel/100 web new Found: 1 new, 0 managed, 0 left alone."
        ),
        "{shown}"
    );
    let shown = ok(
        &case,
        &["discover", "proxmox", "-type=user", "-type=role", "-json"],
    );
    let shown: Json = serde_json::from_str(&shown).expect("JSON");
    let objects = shown["objects"].as_array().expect("objects");
    let root = objects
        .iter()
        .find(|object| object["id"] == "root@pam")
        .expect("root");
    assert_eq!(
        root["left_alone"],
        "the administrator that every cluster has"
    );
    assert_eq!(root.get("proposed_address"), None);

    let none = case.stead(&["discover", "proxmox", "-type=pigeon", "-no-color"]);
    assert!(
        words(&text(&none)).contains("No such type"),
        "{}",
        text(&none)
    );
    let other = case.stead(&["discover", "azurerm", "-no-color"]);
    let told = words(&text(&other));
    assert!(
        told.contains("It can for: registry.terraform.io/bpg/proxmox"),
        "{told}"
    );
}

/// Nothing says where the cluster is but the environment, which the lab sets.
#[test]
fn an_empty_folder_will_do() {
    let case =
        grown("resource \"proxmox_virtual_environment_pool\" \"lab\" {\n  pool_id = \"lab\"\n}\n");
    for name in ["main.tf", "versions.tf"] {
        std::fs::remove_file(case.path(name)).expect("removed");
    }
    ok(
        &case,
        &["discover", "proxmox", "-type=pool", "-out=.", "-no-color"],
    );
    let written = read(&case, "discovered.tf");
    assert!(written.contains("source = \"bpg/proxmox\""), "{written}");
    let plan = words(&ok(&case, &["plan", "-no-color"]));
    assert!(
        plan.contains("Plan: 1 to import, 0 to add, 0 to change, 0 to destroy."),
        "{plan}"
    );
    ok(
        &case,
        &[
            "discover",
            "proxmox",
            "-type=pool",
            "-out=.",
            "-force",
            "-no-color",
        ],
    );
    assert_eq!(read(&case, "discovered.tf"), written);
}
