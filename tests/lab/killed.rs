//! SIGKILL at any moment: the next bootstrap knows what there is, and finishes the job with nothing doubled and nothing lost.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::env::{Stack, counts, empty_inventory, text};

/// Moments are drawn from here, so that a failure can be repeated.
const SEED: u64 = 0xdead;
const ROUNDS: u64 = 12;

#[test]
fn a_bootstrap_that_is_killed_again_and_again_is_finished_by_the_next() {
    let stack = Stack::copy("talos-proxmox");
    let journal = stack.folder().join("terraform.tfstate.journal");
    let mut random = SEED;
    let mut cut_off = 0;
    for round in 0..ROUNDS {
        let mut lab = stack.start_unread();
        let apply = child_of(&lab);
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if round % 2 == 0 {
            wait_for_records(apply, &journal, 2 + round as usize * 3);
        } else {
            std::thread::sleep(Duration::from_millis(
                100 + round * 100 + (random >> 33) % 300,
            ));
        }
        // It may have ended by itself.
        let _ = kill(apply, Signal::SIGKILL);
        lab.wait().expect("the lab ends");
        cut_off += u64::from(journal.exists());
        assert!(
            !stack.said().contains("Error:"),
            "round {round}\n{}",
            stack.said()
        );
    }
    assert!(
        cut_off >= ROUNDS / 2,
        "only {cut_off} were cut off in their work"
    );
    stack.bootstrap();
    assert!(!journal.exists());
    let undisturbed = Stack::copy("talos-proxmox");
    undisturbed.bootstrap();
    assert_eq!(counts(&stack.inventory()), counts(&undisturbed.inventory()));
    let plan = stack.in_lab(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    let destroy = stack.in_lab(&["destroy", "-auto-approve"]);
    assert!(destroy.status.success(), "{}", text(&destroy));
    assert_eq!(stack.inventory(), empty_inventory());
}

/// The command that runs in the lab.
pub(crate) fn child_of(lab: &Child) -> Pid {
    let children = format!("/proc/{0}/task/{0}/children", lab.id());
    let started = Instant::now();
    loop {
        // Any thread of the lab may have started it.
        let tasks = std::fs::read_dir(format!("/proc/{}/task", lab.id()));
        let found = tasks.into_iter().flatten().flatten().find_map(|task| {
            let text = std::fs::read_to_string(task.path().join("children")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        });
        if let Some(id) = found {
            return Pid::from_raw(id);
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{children} stays empty"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the journal has so many records; a command that ends before has fewer.
pub(crate) fn wait_for_records(process: Pid, journal: &Path, count: usize) {
    let running = || {
        Path::new(&format!("/proc/{process}/exe"))
            .read_link()
            .is_ok()
    };
    while running() {
        let bytes = std::fs::read(journal).unwrap_or_default();
        if bytes.iter().filter(|b| **b == b'\n').count() >= count {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
