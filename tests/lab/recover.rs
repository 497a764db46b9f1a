//! `stead recover`: a control plane of which nothing is left, from the state and a snapshot of etcd.

use crate::env::{Stack, counts, text};

/// Another configuration in the same homelab that takes the control planes over and destroys them: a mistake that people make.
const MISTAKE: &str = r#"
terraform {
  required_providers {
    proxmox = { source = "bpg/proxmox" }
  }
}
locals {
  lost = { "8011" = "abel", "8012" = "cantor", "8013" = "euclid" }
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

#[test]
fn a_lost_control_plane_is_rebuilt_in_one_command() {
    let stack = Stack::copy("talos-proxmox");
    stack.bootstrap();
    let name = "talos-proxmox";
    // Of a later time than that of the bootstrap, when nothing was in the cluster yet.
    let newer = "-replace=module.talos.talos_etcd_snapshot.this[0]";
    ok(&stack, name, &["apply", "-auto-approve", newer]);
    let before = stack.inventory();
    // Nothing is lost yet: an etcd that runs is left alone.
    let early = stack.in_lab(&["recover", "-auto-approve", "-no-color"]);
    assert_eq!(early.status.code(), Some(1), "{}", text(&early));
    assert!(
        text(&early).contains("has data already"),
        "{}",
        text(&early)
    );

    let mistake = stack.folder().with_file_name("mistake");
    std::fs::create_dir(&mistake).expect("a folder");
    std::fs::write(mistake.join("main.tf"), MISTAKE).expect("main.tf");
    ok(&stack, "mistake", &["apply", "-auto-approve"]);
    ok(&stack, "mistake", &["destroy", "-auto-approve"]);

    let said = ok(&stack, name, &["recover", "-auto-approve", "-no-color"]);
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
    let plan = stack.in_lab(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    assert_eq!(counts(&stack.inventory()), counts(&before));
    ok(&stack, name, &["destroy", "-auto-approve"]);
}
