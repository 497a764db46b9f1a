//! `stead recover`: a control plane of which nothing is left, from the state and a snapshot of etcd.

use std::path::Path;

use crate::env::{Stack, counts, text};

/// Another configuration in the same homelab that takes the control planes over and destroys them: a mistake that people make.
const MISTAKE: &str = r#"
terraform {
  required_providers {
    proxmox = { source = "bpg/proxmox" }
  }
}
locals {
  lost = { "ID1" = "abel", "ID2" = "cantor", "ID3" = "euclid" }
}
import {
  for_each = local.lost
  to       = proxmox_virtual_environment_vm.lost[each.key]
  id       = "${each.value}/${each.key}"
}
resource "proxmox_virtual_environment_vm" "lost" {
  for_each        = local.lost
  node_name       = each.value
  stop_on_destroy = true
  lifecycle {
    ignore_changes = all
  }
}
"#;

fn ok(stack: &Stack, folder: &str, arguments: &[&str]) -> String {
    let output = stack.in_lab_at(folder, arguments);
    assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
    text(&output)
}

/// A container for the snapshots, which a stack of its own makes.
const PLACE: &str = r#"
terraform {
  required_providers {
    azurerm = { source = "hashicorp/azurerm" }
  }
}
provider "azurerm" {
  resource_provider_registrations = "none"
  features {}
}
resource "azurerm_resource_group" "backups" {
  name     = "rg-backups"
  location = "westeurope"
}
resource "azurerm_storage_account" "backups" {
  name                     = "steadbackups"
  resource_group_name      = azurerm_resource_group.backups.name
  location                 = azurerm_resource_group.backups.location
  account_tier             = "Standard"
  account_replication_type = "LRS"
}
resource "azurerm_storage_container" "etcd" {
  name               = "etcd"
  storage_account_id = azurerm_storage_account.backups.id
}
"#;

const IN_AZURE: &str = "-var=snapshots={azure_blob={storage_account_name=\"steadbackups\",container_name=\"etcd\",prefix=\"home/\",resource_group_name=\"rg-backups\"}}";

/// Another configuration beside the stack, in the same homelab.
fn beside(stack: &Stack, folder: &str, text: &str) {
    let path = stack.folder().with_file_name(folder);
    std::fs::create_dir(&path).expect("a folder");
    std::fs::write(path.join("main.tf"), text).expect("main.tf");
}

/// Somebody makes the mistake with these VMs.
fn lose(stack: &Stack, vms: [&str; 3]) {
    let mut main = MISTAKE.to_owned();
    for (place, vm) in ["ID1", "ID2", "ID3"].into_iter().zip(vms) {
        main = main.replace(place, vm);
    }
    beside(stack, "mistake", &main);
    ok(stack, "mistake", &["apply", "-auto-approve"]);
    ok(stack, "mistake", &["destroy", "-auto-approve"]);
}

/// The machines' disks are made of an image of an older release than the one that is to run.
#[test]
fn machines_come_back_with_their_release() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/lab");
    let stack = Stack::copy_of(&here, "recovery");
    let name = "recovery";
    ok(&stack, name, &["apply", "-auto-approve", "-no-color"]);
    let before = stack.inventory();
    let early = stack.in_lab(&["recover", "-auto-approve", "-no-color"]);
    assert_eq!(early.status.code(), Some(1), "{}", text(&early));
    assert!(
        text(&early).contains("has data already"),
        "{}",
        text(&early)
    );
    lose(&stack, ["8000", "8001", "8002"]);
    let said = ok(&stack, name, &["recover", "-auto-approve", "-no-color"]);
    for part in [
        "talos_cluster.this begins with",
        "the cluster begins again with",
        "the machine gets its configuration again",
        "Health checks are left out",
        "The control plane was back after",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    // The plan asks every machine what runs on it.
    let plan = stack.in_lab(&["plan", "-detailed-exitcode", "-no-color"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    assert!(
        !text(&plan).contains("Could not look at"),
        "{}",
        text(&plan)
    );
    assert_eq!(counts(&stack.inventory()), counts(&before));
    ok(&stack, name, &["destroy", "-auto-approve"]);
}

#[test]
fn a_lost_control_plane_is_rebuilt_in_one_command() {
    let stack = Stack::copy("talos-proxmox");
    stack.bootstrap();
    // Of a later time than that of the bootstrap, when nothing was in the cluster yet.
    let newer = "-replace=module.talos.talos_etcd_snapshot.this[0]";
    ok(&stack, "talos-proxmox", &["apply", "-auto-approve", newer]);
    let said = lost_and_recovered(&stack, &[]);
    assert!(said.contains("/output/etcd/etcd-"), "{said}");
}

#[test]
fn a_lost_control_plane_is_rebuilt_from_azure() {
    let stack = Stack::copy("talos-proxmox");
    stack.bootstrap();
    beside(&stack, "place", PLACE);
    ok(&stack, "place", &["apply", "-auto-approve"]);
    ok(
        &stack,
        "talos-proxmox",
        &["apply", "-auto-approve", IN_AZURE],
    );
    // The folder's is of no use any more.
    std::fs::remove_dir_all(stack.folder().join("output/etcd")).expect("the folder");
    let said = lost_and_recovered(&stack, &[IN_AZURE]);
    let place = "https://steadbackups.blob.core.windows.net/etcd/home/etcd-";
    assert!(said.contains(place), "{said}");
}

/// Loses the control plane, and rebuilds it by `stead recover` with these arguments. What that said.
fn lost_and_recovered(stack: &Stack, variables: &[&str]) -> String {
    let name = "talos-proxmox";
    let with = |arguments: &[&'static str]| -> Vec<String> {
        let all = arguments.iter().chain(variables);
        all.map(|a| (*a).to_owned()).collect()
    };
    let run = |arguments: &[&'static str]| {
        let all = with(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        stack.in_lab(&all)
    };
    let before = stack.inventory();
    // Nothing is lost yet: an etcd that runs is left alone.
    let early = run(&["recover", "-auto-approve", "-no-color"]);
    assert_eq!(early.status.code(), Some(1), "{}", text(&early));
    assert!(
        text(&early).contains("has data already"),
        "{}",
        text(&early)
    );

    lose(stack, ["8011", "8012", "8013"]);

    let output = run(&["recover", "-auto-approve", "-no-color"]);
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    for part in [
        "module.talos.talos_machine_bootstrap.this begins with",
        "the cluster begins again with",
        "Resources: 3 added, 6 changed, 0 destroyed.",
        // What the cluster carried came with the snapshot.
        "Resources: 0 added",
        "The control plane was back after",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let plan = run(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    assert_eq!(counts(&stack.inventory()), counts(&before));
    let all = with(&["destroy", "-auto-approve"]);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    ok(stack, name, &all);
    said
}
