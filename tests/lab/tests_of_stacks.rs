//! The stacks' own tests: what a user runs with `stead test` in a stack's folder, without a lab.

use crate::env::{Stack, text};

fn pass(name: &'static str, summary: &str) {
    let stack = Stack::copy(name);
    let tested = stack.alone(&["test", "-no-color"]);
    let said = text(&tested);
    assert_eq!(tested.status.code(), Some(0), "{said}");
    assert!(said.contains(summary), "{said}");
}

#[test]
fn talos_on_proxmox() {
    pass("talos-proxmox", "Success! 7 passed, 0 failed.");
}

#[test]
fn microk8s_with_azure() {
    pass("microk8s-azure", "Success! 4 passed, 0 failed.");
}
