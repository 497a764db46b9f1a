//! What the kernel counts: memory, processors, disks, devices, processes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::{Response, Status};

use super::Api;
use super::storage::devices;
use crate::proto::machine::*;

pub(super) fn memory(api: &Api) -> Response<MemoryResponse> {
    let total = api.node.hardware().memory_mib * 1024;
    // A fresh node uses about a fifth.
    let free = total / 5 * 3;
    Response::new(MemoryResponse {
        messages: vec![Memory {
            metadata: None,
            meminfo: Some(MemInfo {
                memtotal: total,
                memfree: free,
                memavailable: total / 5 * 4,
                cached: total / 5,
                ..MemInfo::default()
            }),
        }],
    })
}

pub(super) fn load() -> Response<LoadAvgResponse> {
    Response::new(LoadAvgResponse {
        messages: vec![LoadAvg {
            metadata: None,
            load1: 0.2,
            load5: 0.2,
            load15: 0.1,
        }],
    })
}

pub(super) fn system(api: &Api) -> Result<Response<SystemStatResponse>, Status> {
    let started = api.boot(|b| b.started)?;
    let up = started.elapsed().unwrap_or_default().as_secs_f64();
    let cpu = CpuStat {
        idle: up,
        ..CpuStat::default()
    };
    Ok(Response::new(SystemStatResponse {
        messages: vec![SystemStat {
            metadata: None,
            boot_time: seconds(started),
            cpu_total: Some(cpu),
            cpu: vec![cpu; cores(api)],
            process_running: 1,
            ..SystemStat::default()
        }],
    }))
}

fn cores(api: &Api) -> usize {
    usize::try_from(api.node.hardware().cores).unwrap_or(1)
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

pub(super) fn processors(api: &Api) -> Response<CpuInfoResponse> {
    let cores = api.node.hardware().cores;
    let infos = (0..cores).map(|number| CpuInfo {
        processor: number,
        vendor_id: "AuthenticAMD".to_owned(),
        cpu_family: "15".to_owned(),
        model: "107".to_owned(),
        model_name: "QEMU Virtual CPU version 2.5+".to_owned(),
        cpu_mhz: 3000.0,
        physical_id: "0".to_owned(),
        siblings: cores,
        core_id: number.to_string(),
        cpu_cores: cores,
        fpu: "yes".to_owned(),
        flags: ["fpu", "sse2", "ht", "syscall", "nx", "lm", "hypervisor"]
            .map(str::to_owned)
            .to_vec(),
        bogo_mips: 6000.0,
    });
    Response::new(CpuInfoResponse {
        messages: vec![CpUsInfo {
            metadata: None,
            cpu_info: infos.collect(),
        }],
    })
}

/// A virtual machine's processors have no frequency of their own: all is zero, and there is no governor.
pub(super) fn frequencies(api: &Api) -> Response<CpuFreqStatsResponse> {
    Response::new(CpuFreqStatsResponse {
        messages: vec![CpUsFreqStats {
            metadata: None,
            cpu_freq_stats: vec![CpuFreqStats::default(); cores(api)],
        }],
    })
}

pub(super) fn disks(api: &Api) -> Result<Response<DiskStatsResponse>, Status> {
    let up = api.boot(|b| b.started.elapsed().unwrap_or_default().as_secs())?;
    let found = devices(&api.node.hardware().disks);
    let devices: Vec<DiskStat> = found
        .iter()
        .map(|device| DiskStat {
            name: device.path.trim_start_matches("/dev/").to_owned(),
            read_completed: 4000,
            read_sectors: 320_000,
            write_completed: if device.removable { 0 } else { up * 3 },
            write_sectors: if device.removable { 0 } else { up * 24 },
        })
        .collect();
    let sum = |of: fn(&DiskStat) -> u64| devices.iter().map(of).sum();
    Ok(Response::new(DiskStatsResponse {
        messages: vec![DiskStats {
            metadata: None,
            total: Some(DiskStat {
                name: String::new(),
                read_completed: sum(|d| d.read_completed),
                read_sectors: sum(|d| d.read_sectors),
                write_completed: sum(|d| d.write_completed),
                write_sectors: sum(|d| d.write_sectors),
            }),
            devices: devices.clone(),
        }],
    }))
}

pub(super) fn network(api: &Api) -> Result<Response<NetworkDeviceStatsResponse>, Status> {
    let (links, up) = api.boot(|b| {
        let up = b.started.elapsed().unwrap_or_default().as_secs();
        (b.links.clone(), up)
    })?;
    let device = |name: &str| NetDev {
        name: name.to_owned(),
        rx_bytes: up * 2000,
        rx_packets: up * 9,
        tx_bytes: up * 1500,
        tx_packets: up * 8,
    };
    let mut devices = vec![device("lo")];
    devices.extend(links.iter().map(|l| device(&l.name)));
    let sum = |of: fn(&NetDev) -> u64| devices.iter().map(of).sum();
    let total = NetDev {
        name: String::new(),
        rx_bytes: sum(|d| d.rx_bytes),
        rx_packets: sum(|d| d.rx_packets),
        tx_bytes: sum(|d| d.tx_bytes),
        tx_packets: sum(|d| d.tx_packets),
    };
    Ok(Response::new(NetworkDeviceStatsResponse {
        messages: vec![NetworkDeviceStats {
            metadata: None,
            total: Some(total),
            devices,
        }],
    }))
}

pub(super) fn processes(api: &Api) -> Response<ProcessesResponse> {
    let processes = api.node.processes().into_iter().map(|p| ProcessInfo {
        pid: i32::try_from(p.pid).unwrap_or(i32::MAX),
        ppid: i32::try_from(p.parent).unwrap_or(i32::MAX),
        state: "S".to_owned(),
        threads: p.threads,
        cpu_time: 0.5,
        virtual_memory: p.memory * 8,
        resident_memory: p.memory,
        command: p.command.to_owned(),
        executable: p.executable,
        args: p.arguments,
        label: String::new(),
    });
    Response::new(ProcessesResponse {
        messages: vec![Process {
            metadata: None,
            processes: processes.collect(),
        }],
    })
}
