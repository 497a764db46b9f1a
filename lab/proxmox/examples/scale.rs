//! What a large simulated cluster costs: memory with N machines on ten nodes, and the CPU time of requests.
//!
//!     cargo run --release -p stead-lab-proxmox --example scale [MACHINES [REQUESTS]]
//!
//! The cluster runs on one thread; its CPU time is read from the kernel (`schedstat`), so that neither the client's
//! work nor a busy machine counts.

#![allow(clippy::print_stdout, reason = "figures are what this program is for")]

use std::error::Error;
use std::fs::read_to_string;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::Request;
use stead_lab_core::client::Connection;
use stead_lab_core::{Client, Lab, Settings};
use stead_lab_proxmox::Options;

const NODES: usize = 10;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| match arguments.next() {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (machines, requests) = (number(1000)?, number(5000)?);
    let dir = std::env::temp_dir().join(format!("stead-scale-{}", std::process::id()));
    let lab = Lab::open(&dir, Settings::default())?;
    let (ready, started) = std::sync::mpsc::channel();
    let served = lab.clone();
    let server = std::thread::spawn(move || -> Outcome<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let cluster = stead_lab_proxmox::start(&served, &options(), Vec::new()).await?;
            ready.send(std::fs::read_link("/proc/thread-self")?)?;
            served.shutdown.cancelled().await;
            served.stop().await;
            drop(cluster);
            Ok(())
        })
    });
    let thread = started.recv()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let cpu = || -> Outcome<f64> {
        let path = std::path::Path::new("/proc")
            .join(&thread)
            .join("schedstat");
        let text = read_to_string(path)?;
        let nanoseconds: f64 = text.split(' ').next().unwrap_or("0").parse()?;
        Ok(nanoseconds / 1e9)
    };
    let measured = runtime.block_on(measure(&lab, machines, requests, &cpu));
    lab.shutdown.cancel();
    server
        .join()
        .map_err(|_| "the server's thread panicked")??;
    std::fs::remove_dir_all(&dir)?;
    measured
}

fn options() -> Options {
    let nodes: Vec<(String, String)> = (0..NODES)
        .map(|n| (format!("node{n}"), format!("10.25.150.{}", 101 + n)))
        .collect();
    let nodes: Vec<(&str, &str)> = nodes
        .iter()
        .map(|(name, address)| (name.as_str(), address.as_str()))
        .collect();
    Options::cluster(&nodes)
}

async fn call(connection: &mut Connection, verb: &str, path: &str, form: String) -> Outcome<()> {
    let request = Request::builder()
        .method(verb)
        .uri(format!("https://10.25.150.101:8006/api2/json{path}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            format!("PVEAPIToken={}", Options::PROVIDER_TOKEN),
        )
        .body(Bytes::from(form))?;
    let response = connection.send(request).await?;
    match response.status().as_u16() {
        200 => Ok(()),
        status => Err(format!("{verb} {path}: {status}").into()),
    }
}

async fn measure(
    lab: &Lab,
    machines: usize,
    requests: usize,
    cpu: &dyn Fn() -> Outcome<f64>,
) -> Outcome<()> {
    let client = Arc::new(Client::new(lab)?);
    let mut connection = client
        .connect(&"https://10.25.150.101:8006".parse()?)
        .await?;
    let before = cpu()?;
    for n in 0..machines {
        let form = format!(
            "vmid={}&name=vm{n}&cores=2&memory=128&agent=1&scsi0=local-lvm%3A8&net0=virtio%2Cbridge%3Dvmbr0%2Ctag%3D5\
             &ide2=local-lvm%3Acloudinit&ipconfig0=ip%3Ddhcp&tags=a;b&description=number%20{n}&start=1",
            100 + n
        );
        let path = format!("/nodes/node{}/qemu", n % NODES);
        call(&mut connection, "POST", &path, form).await?;
    }
    println!(
        "{machines} machines made: {:.2} ms of CPU each",
        (cpu()? - before) * 1e3 / machines.max(1) as f64
    );
    let status = read_to_string("/proc/self/status")?;
    for line in status
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
    {
        println!("{line}");
    }
    let one = |what: &'static str| {
        move |n: usize| {
            let machine = n * 7919 % machines.max(1);
            format!(
                "/nodes/node{}/qemu/{}/{what}",
                machine % NODES,
                100 + machine
            )
        }
    };
    let list = |what: &'static str| move |_: usize| what.to_owned();
    let kinds: [(&str, usize, Box<dyn Fn(usize) -> String>); 5] = [
        ("a machine's config", requests, Box::new(one("config"))),
        (
            "a machine's status",
            requests,
            Box::new(one("status/current")),
        ),
        ("version", requests, Box::new(list("/version"))),
        (
            "cluster/resources?type=vm",
            20,
            Box::new(list("/cluster/resources?type=vm")),
        ),
        ("a node's machines", 50, Box::new(list("/nodes/node3/qemu"))),
    ];
    for (name, count, path) in kinds {
        let before = cpu()?;
        for n in 0..count {
            call(&mut connection, "GET", &path(n), String::new()).await?;
        }
        let each = (cpu()? - before) / count as f64;
        println!(
            "{name}: {:.3} ms of CPU, {:.0} a second on one core",
            each * 1e3,
            1.0 / each
        );
    }
    Ok(())
}
