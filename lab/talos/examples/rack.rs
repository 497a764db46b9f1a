//! What a rack of simulated Talos machines costs: memory with N nodes of one cluster in one process, its Kubernetes and the client
//! with them.
//!
//!     cargo run -p stead-lab-talos --example rack [NODES]
//!
//! Three of the nodes are control planes. All are configured through the API at the same time, as an apply does it, and asked once
//! all of them run.

#![allow(clippy::print_stdout, reason = "figures are what this program is for")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use common::{TestLab, control_plane, credentials, eventually, hardware, worker};
use futures::future::try_join_all;
use serde_json::Value;
use stead_lab_core::machine::GuestKind as _;
use stead_lab_core::{Lab, Settings};
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::{ApplyConfigurationRequest, BootstrapRequest};

const VERSION: &str = "v1.13.9";
const PLANES: u8 = 3;
/// The number of the first machine: `10.5.0.11`.
const FIRST: u8 = 11;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let nodes: u8 = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 50,
    };
    let folder = tempfile::tempdir()?;
    let lab = Lab::open(folder.path(), Settings::default())?;
    let kubernetes = stead_lab_kubernetes::start(&lab).await?;
    let talos = stead_lab_talos::start(&lab, kubernetes).await?;
    let rack = TestLab {
        lab: lab.clone(),
        books: Arc::default(),
        talos,
    };
    println!("nothing booted: {} MB", peak()?);

    let numbers: Vec<u8> = (FIRST..FIRST.saturating_add(nodes)).collect();
    let started = Instant::now();
    for number in &numbers {
        rack.talos.boot(hardware(*number, VERSION)).await;
    }
    try_join_all(numbers.iter().map(|n| configure(&rack, *n))).await?;
    let admin = credentials("os:admin");
    let mut first = rack.machine(&address(FIRST), &admin).await;
    first.bootstrap(BootstrapRequest::default()).await?;
    eventually("all nodes to run", async || {
        (running(&rack.talos.inventory()) == numbers.len()).then_some(())
    })
    .await;
    let seconds = started.elapsed().as_secs_f64();
    println!("{nodes} nodes run after {seconds:.1} s: {} MB", peak()?);

    let started = Instant::now();
    let mut healthy = 0;
    for number in &numbers {
        let mut client = rack.machine(&address(*number), &admin).await;
        let version = client.version(()).await?.into_inner();
        let version = version.messages.into_iter().find_map(|m| m.version);
        if version.is_none_or(|v| v.tag != VERSION) {
            return Err(format!("node {number} does not run {VERSION}").into());
        }
        let services = client.service_list(()).await?.into_inner();
        let services = services.messages.into_iter().flat_map(|m| m.services);
        healthy += services.filter(|s| s.state == "Running").count();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "asked each one in {seconds:.1} s, {healthy} services run: {} MB",
        peak()?
    );
    lab.stop().await;
    Ok(())
}

fn address(number: u8) -> String {
    format!("10.5.0.{number}")
}

/// Gives a machine in maintenance mode its configuration.
async fn configure(rack: &TestLab, number: u8) -> Outcome<()> {
    let text = match number < FIRST + PLANES {
        true => control_plane(number),
        false => worker(number),
    };
    let channel = eventually("maintenance mode", async || {
        rack.insecure(&address(number)).await.ok()
    })
    .await;
    let request = ApplyConfigurationRequest {
        data: text.into_bytes(),
        mode: Mode::Auto.into(),
        ..ApplyConfigurationRequest::default()
    };
    let mut client = MachineServiceClient::new(channel);
    client.apply_configuration(request).await?;
    Ok(())
}

/// How many machines are up for their cluster.
fn running(inventory: &Value) -> usize {
    let nodes = inventory["nodes"].as_array();
    let nodes = nodes.into_iter().flatten();
    nodes.filter(|n| n["stage"] == "running").count()
}

/// The greatest resident set of this process up to now, in megabytes of 1,000,000 bytes.
fn peak() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .and_then(|l| l.trim().strip_suffix(" kB"))
        .ok_or("no VmHWM in /proc/self/status")?
        .trim()
        .parse()?;
    Ok(kib * 1024 / 1_000_000)
}
