//! The crash sweep: a stack is brought up and taken down in the lab again and again, by commands that are killed at every moment
//! at which something becomes safe on disk, and at random ones. Afterwards the lab holds just what the state says.
//!
//! ```sh
//! cargo test -p stead --test lab -- --ignored sweep --nocapture
//! ```
//! `STEAD_SWEEP_KILLS` (500) is how many commands are killed at random moments, `STEAD_SWEEP_SEED` where their moments come from, and
//! `STEAD_SWEEP_STACK` the stack. The other half needs `strace`, which kills the process as it enters its n-th sync.

#![expect(
    clippy::print_stdout,
    reason = "a run of many minutes says how far it is"
)]

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::env::{Stack, counts, empty_inventory, text};

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// How commands are killed.
trait Killer {
    /// Runs a command of stead in the lab, and kills it; gives what it said.
    fn run(&mut self, stack: &Stack, arguments: &[&str]) -> String;

    /// Whether enough have been killed.
    fn enough(&self) -> bool;
}

/// As one of their threads enters its n-th sync of a file or a folder: n goes up from the first, and begins again when a command ends before its n-th.
struct AtSyncs {
    next: usize,
    killed: usize,
    rounds: usize,
}

impl Killer for AtSyncs {
    fn run(&mut self, stack: &Stack, arguments: &[&str]) -> String {
        let inject = format!("inject=fdatasync,fsync:signal=KILL:when={}", self.next);
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null"];
        let mut command = strace.to_vec();
        command.extend(["-e", "trace=fdatasync,fsync", "-e", &inject]);
        let output = stack.under(&command, arguments);
        if output.status.success() {
            self.next = 1;
            self.rounds += 1;
        } else {
            self.next += 1;
            self.killed += 1;
        }
        text(&output)
    }

    fn enough(&self) -> bool {
        self.rounds >= 4
    }
}

/// At moments that come by chance.
struct AtRandom {
    chance: StdRng,
    killed: usize,
    wanted: usize,
    /// No command has needed longer than this, in milliseconds.
    longest: u64,
}

impl Killer for AtRandom {
    fn run(&mut self, stack: &Stack, arguments: &[&str]) -> String {
        let millis = self.chance.random_range(20..self.longest);
        let seconds = format!("{:.3}", Duration::from_millis(millis).as_secs_f64());
        let output = stack.under(&["timeout", "-s", "KILL", &seconds], arguments);
        if output.status.success() {
            self.longest = millis.max(500);
        } else {
            // Long enough for the job to be finished now and then.
            self.longest = (self.longest + self.longest / 20).min(20_000);
            self.killed += 1;
        }
        text(&output)
    }

    fn enough(&self) -> bool {
        self.killed >= self.wanted
    }
}

/// Down and up until the killer has had enough; everything is compared whenever a job was finished.
fn sweep(killer: &mut dyn Killer) -> usize {
    let name: &'static str = setting("STEAD_SWEEP_STACK", "talos-proxmox").leak();
    let empty = empty_inventory();
    let stack = Stack::copy(name);
    // Undisturbed, once; it also fills the lab's Git repository.
    stack.bootstrap();
    let whole = counts(&stack.inventory());
    let mut runs = 0;
    let mut finished = 0;
    while !killer.enough() {
        for up in [false, true] {
            let arguments: &[&str] = match up {
                true => &["apply", "-auto-approve"],
                false => &["destroy", "-auto-approve"],
            };
            loop {
                let said = killer.run(&stack, arguments);
                runs += 1;
                assert!(
                    !said.contains("Error:"),
                    "run {runs}, {arguments:?}\n{said}"
                );
                if said.contains("complete!") {
                    break;
                }
                assert!(runs < 20_000, "no command comes to its end any more");
            }
            finished += 1;
            let there = stack.inventory();
            let journal = stack.folder().join("terraform.tfstate.journal");
            assert!(!journal.exists(), "run {runs}: the journal stays");
            match up {
                true => {
                    assert_eq!(counts(&there), whole, "run {runs}");
                    let plan = stack.in_lab(&["plan", "-detailed-exitcode"]);
                    assert_eq!(plan.status.code(), Some(0), "run {runs}\n{}", text(&plan));
                }
                false => assert_eq!(there, empty, "run {runs}"),
            }
        }
        println!("{runs} commands, {finished} of them finished a job");
    }
    runs
}

#[test]
#[ignore = "takes minutes: see the top of this file"]
fn sweep_at_every_sync() {
    let mut killer = AtSyncs {
        next: 1,
        killed: 0,
        rounds: 0,
    };
    sweep(&mut killer);
    assert!(killer.killed >= 40, "only {} were killed", killer.killed);
    println!(
        "{} commands were killed as they entered a sync",
        killer.killed
    );
}

#[test]
#[ignore = "takes minutes: see the top of this file"]
fn sweep_at_random_moments() {
    let seed = setting("STEAD_SWEEP_SEED", "1").parse().expect("a number");
    let mut killer = AtRandom {
        chance: StdRng::seed_from_u64(seed),
        killed: 0,
        wanted: setting("STEAD_SWEEP_KILLS", "500")
            .parse()
            .expect("a number"),
        longest: 3_000,
    };
    sweep(&mut killer);
    println!("{} commands were killed, seed {seed}", killer.killed);
}
