//! A lab of another version of Proxmox VE.

use std::path::Path;
use std::process::{Command, Output};

use crate::env::text;

fn exec(folder: &Path, version: &str, script: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stead"))
        .args([
            "lab",
            "exec",
            "--proxmox",
            version,
            "--",
            "sh",
            "-c",
            script,
        ])
        .current_dir(folder)
        .output()
        .expect("stead runs")
}

#[test]
fn a_lab_is_made_with_a_version_and_keeps_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = exec(folder.path(), "8.4", "true");
    assert!(made.status.success(), "{}", text(&made));
    let other = exec(folder.path(), "9.2", "true");
    assert_eq!(other.status.code(), Some(1), "{}", text(&other));
    assert!(
        text(&other).contains("another version of Proxmox VE"),
        "{}",
        text(&other)
    );
    let same = exec(folder.path(), "8.4", "true");
    assert!(same.status.success(), "{}", text(&same));
}
