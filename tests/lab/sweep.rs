//! The crash sweep: a stack is brought up and taken down in the lab again and again, by commands that are killed at every moment
//! at which something becomes safe on disk, and at random ones. Afterwards the lab holds just what the state says.
//!
//! ```sh
//! cargo test -p stead --test lab -- --ignored sweep --nocapture
//! ```
//! `STEAD_SWEEP_KILLS` (500; 100 for a remote state) is how many commands are killed at random moments, `STEAD_SWEEP_SEED` where their moments come
//! from, and `STEAD_SWEEP_STACK` the stack. `sweep_at_every_sync` needs `strace`, which kills the process as it enters its n-th sync.

#![expect(
    clippy::print_stdout,
    reason = "a run of many minutes says how far it is"
)]

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use serde_json::Value;

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
            self.killed += usize::from(!text(&output).contains(LOCKED));
        }
        text(&output)
    }

    fn enough(&self) -> bool {
        self.killed >= self.wanted
    }
}

/// Where the state of the stack lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    InFile,
    /// In the lab's Azure. The lock of a killed command stays.
    Remote,
}

/// The container for remote states, which a stack of its own makes.
const PLACE: &str = r#"
terraform {
  required_providers {
    azurerm = {
      source = "hashicorp/azurerm"
    }
  }
}
provider "azurerm" {
  resource_provider_registrations = "none"
  features {}
}
resource "azurerm_resource_group" "state" {
  name     = "rg-state"
  location = "westeurope"
}
resource "azurerm_storage_account" "state" {
  name                     = "sweptstate"
  resource_group_name      = azurerm_resource_group.state.name
  location                 = azurerm_resource_group.state.location
  account_tier             = "Standard"
  account_replication_type = "LRS"
}
resource "azurerm_storage_container" "state" {
  name               = "state"
  storage_account_id = azurerm_storage_account.state.id
}
"#;

const BACKEND: &str = r#"
terraform {
  backend "azurerm" {
    resource_group_name  = "rg-state"
    storage_account_name = "sweptstate"
    container_name       = "state"
    key                  = "swept.tfstate"
  }
}
"#;

/// What a command says that meets a lock.
const LOCKED: &str = "Error acquiring the state lock";

impl State {
    /// Makes the place, and lets the stack use it.
    fn prepare(self, stack: &Stack) {
        if self == State::InFile {
            return;
        }
        let place = stack.folder().with_file_name("place");
        std::fs::create_dir(&place).expect("a folder");
        std::fs::write(place.join("main.tf"), PLACE).expect("a file");
        std::fs::write(stack.folder().join("backend.tf"), BACKEND).expect("a file");
        for output in [
            stack.in_lab_at("place", &["apply", "-auto-approve"]),
            stack.in_lab(&["init"]),
        ] {
            assert!(output.status.success(), "{}", text(&output));
        }
    }

    /// What is there, without what keeps the state.
    fn inventory(self, stack: &Stack) -> Value {
        let mut there = stack.inventory();
        if self == State::Remote
            && let Some(blobs) = there.pointer_mut("/azure/blobs")
        {
            *blobs = 0.into();
        }
        there
    }

    /// Whether a journal was left behind.
    fn has_journal(self, stack: &Stack) -> bool {
        match self {
            State::InFile => stack.folder().join("terraform.tfstate.journal").exists(),
            State::Remote => {
                let kept = std::fs::read_dir(stack.folder().join(".stead/journal"));
                kept.is_ok_and(|mut kept| kept.next().is_some())
            }
        }
    }
}

/// Breaks the lock of a killed command, as its user would who is told of it. One that was killed before it had written its name to the lock is waited for.
fn unlock(stack: &Stack, said: &str) {
    let id = said.split_once("ID:").map(|(_, rest)| rest.trim_start());
    let id = id.and_then(|rest| rest.split_whitespace().next());
    let Some(id) = id.filter(|id| id.len() == 36) else {
        std::thread::sleep(Duration::from_secs(61));
        return;
    };
    let output = stack.in_lab(&["force-unlock", "-force", id]);
    assert!(output.status.success(), "{said}\n{}", text(&output));
}

/// Down and up until the killer has had enough; everything is compared whenever a job was finished.
fn sweep(killer: &mut dyn Killer, state: State) -> usize {
    let name: &'static str = setting("STEAD_SWEEP_STACK", "talos-proxmox").leak();
    let stack = Stack::copy(name);
    let empty = match state {
        State::InFile => empty_inventory(),
        State::Remote => {
            state.prepare(&stack);
            state.inventory(&stack)
        }
    };
    // Undisturbed, once; it also fills the lab's Git repository.
    stack.bootstrap();
    let whole = counts(&state.inventory(&stack));
    let mut runs = 0;
    let mut finished = 0;
    let mut locked = 0;
    while !killer.enough() {
        for up in [false, true] {
            let arguments: &[&str] = match up {
                true => &["apply", "-auto-approve"],
                false => &["destroy", "-auto-approve"],
            };
            loop {
                let said = killer.run(&stack, arguments);
                runs += 1;
                if said.contains(LOCKED) && state == State::Remote {
                    locked += 1;
                    unlock(&stack, &said);
                    continue;
                }
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
            let there = state.inventory(&stack);
            assert!(!state.has_journal(&stack), "run {runs}: the journal stays");
            match up {
                true => {
                    assert_eq!(counts(&there), whole, "run {runs}");
                    let plan = stack.in_lab(&["plan", "-detailed-exitcode"]);
                    assert_eq!(plan.status.code(), Some(0), "run {runs}\n{}", text(&plan));
                }
                false => assert_eq!(there, empty, "run {runs}"),
            }
        }
        println!("{runs} commands, {finished} of them finished a job, {locked} met a lock");
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
    sweep(&mut killer, State::InFile);
    assert!(killer.killed >= 40, "only {} were killed", killer.killed);
    println!(
        "{} commands were killed as they entered a sync",
        killer.killed
    );
}

#[test]
#[ignore = "takes minutes: see the top of this file"]
fn sweep_at_random_moments() {
    at_random_moments(State::InFile, "500");
}

#[test]
#[ignore = "takes minutes: see the top of this file"]
fn sweep_of_a_remote_state() {
    at_random_moments(State::Remote, "100");
}

fn at_random_moments(state: State, kills: &str) {
    let number = |name, default| -> u64 { setting(name, default).parse().expect("a number") };
    let seed = number("STEAD_SWEEP_SEED", "1");
    let mut killer = AtRandom {
        chance: StdRng::seed_from_u64(seed),
        killed: 0,
        wanted: number("STEAD_SWEEP_KILLS", kills) as usize,
        longest: 3_000,
    };
    sweep(&mut killer, state);
    println!("{} commands were killed, seed {seed}", killer.killed);
}
