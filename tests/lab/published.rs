//! States that the published provider wrote: the same configuration finds nothing to do with them, and their objects can be deleted.
//!
//! A folder of `published/` has a configuration of ours and the state that Terraform and bpg/proxmox made of it in the lab. Here
//! stead makes the objects, and takes that state for its own. What is random (MAC addresses, UUIDs) is another one then: that is
//! drift, and no change.

use std::path::Path;
use std::process::Output;

use crate::env::{Stack, text};

/// Runs stead in the lab without the token that its environment has: some of this only root's own password may do.
fn as_root(stack: &Stack, arguments: &[&str]) -> Output {
    stack.under(&["env", "-u", "PROXMOX_VE_API_TOKEN"], arguments)
}

/// Applies, puts the published provider's state in the place of ours, plans and destroys.
fn check(area: &'static str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/lab/published");
    let stack = Stack::copy_of(&folder, area);
    let state = stack.folder().join("terraform.tfstate");
    let applied = as_root(&stack, &["apply", "-auto-approve", "-no-color"]);
    assert!(applied.status.success(), "{}", text(&applied));
    std::fs::copy(stack.folder().join("state-of-the-published.json"), &state).expect("a state");
    let planned = as_root(&stack, &["plan", "-detailed-exitcode", "-no-color"]);
    assert_eq!(planned.status.code(), Some(0), "{}", text(&planned));
    let destroyed = as_root(&stack, &["destroy", "-auto-approve", "-no-color"]);
    assert!(destroyed.status.success(), "{}", text(&destroyed));
}

macro_rules! areas {
    ($($area:ident)*) => {
        $(#[test]
        fn $area() {
            check(stringify!($area));
        })*
    };
}

areas! { access acme cluster container firewall node sdn storage vm vm2 }
