//! Ctrl-C at any moment: the next bootstrap finishes the job, with nothing doubled and nothing lost.

use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::env::{Stack, counts, empty_inventory, text};

/// Moments are drawn from here, so that a failure can be repeated.
const SEED: u64 = 0x5eed;

#[test]
fn a_bootstrap_interrupted_ten_times_is_finished_by_the_next() {
    let stack = Stack::copy("talos-proxmox");
    let mut random = SEED;
    for round in 0..10_u64 {
        let child = stack.start_bootstrap();
        // A linear congruential step; the moments grow, so that later parts are hit too.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis(100 + round * 150 + (random >> 33) % 300);
        std::thread::sleep(moment);
        let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        // A bootstrap that was faster than the moment is gone already.
        let _ = killpg(group, Signal::SIGINT);
        let output = child.wait_with_output().expect("stead ends");
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 1)),
            "round {round} ended with {code:?}\n{}",
            text(&output)
        );
    }
    stack.bootstrap();
    let undisturbed = Stack::copy("talos-proxmox");
    undisturbed.bootstrap();
    assert_eq!(counts(&stack.inventory()), counts(&undisturbed.inventory()));
    let plan = stack.in_lab(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    let destroy = stack.in_lab(&["destroy", "-auto-approve"]);
    assert!(destroy.status.success(), "{}", text(&destroy));
    assert_eq!(stack.inventory(), empty_inventory());
}
