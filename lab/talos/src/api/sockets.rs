//! Sockets and packets.

use tonic::{Response, Status};

use super::{Api, Streamed};
use crate::proto::common::Data;
use crate::proto::machine::connect_record::{Process, State};
use crate::proto::machine::netstat_request::Filter;
use crate::proto::machine::*;

/// What listens on which port.
const LISTENERS: [(u32, &str); 7] = [
    (50000, "apid"),
    (50001, "trustd"),
    (10250, "kubelet"),
    (2379, "etcd"),
    (6443, "kube-apiserver"),
    (10257, "kube-controller"),
    (10259, "kube-scheduler"),
];

pub(super) fn list(
    api: &Api,
    request: &NetstatRequest,
) -> Result<Response<NetstatResponse>, Status> {
    let filter = Filter::try_from(request.filter)
        .map_err(|_| Status::invalid_argument(format!("invalid filter: {}", request.filter)))?;
    let processes = api.node.processes();
    let wants_tcp = request.l4proto.as_ref().is_some_and(|p| p.tcp);
    let wants_pid = request.feature.as_ref().is_some_and(|f| f.pid);
    let host = request
        .netns
        .as_ref()
        .is_some_and(|n| n.hostnetwork || n.allnetns);
    let listening = wants_tcp && host && filter != Filter::Connected;
    let mut records = Vec::new();
    for (inode, (port, command)) in LISTENERS.iter().enumerate().filter(|_| listening) {
        let Some(process) = processes.iter().find(|p| p.command == *command) else {
            continue;
        };
        records.push(ConnectRecord {
            l4proto: "tcp".to_owned(),
            localip: "0.0.0.0".to_owned(),
            localport: *port,
            remoteip: "0.0.0.0".to_owned(),
            remoteport: 0,
            state: State::Listen.into(),
            inode: 30_000 + inode as u64,
            process: Some(match wants_pid {
                true => Process {
                    pid: process.pid,
                    name: process.command.to_owned(),
                },
                false => Process::default(),
            }),
        });
    }
    Ok(Response::new(NetstatResponse {
        messages: vec![Netstat {
            metadata: None,
            connectrecord: records,
        }],
    }))
}

/// A capture as a file of libpcap's: its header, and then nothing, for no packets pass through a simulated device.
pub(super) fn capture(
    api: &Api,
    request: &PacketCaptureRequest,
) -> Result<Response<Streamed<Data>>, Status> {
    let name = &request.interface;
    let known = api.boot(|b| *name == "lo" || b.links.iter().any(|l| l.name == *name))?;
    if !known {
        return Err(Status::internal(format!(
            "error creating afpacket handle: couldn't query interface {name}: route ip+net: no such network interface"
        )));
    }
    const ETHERNET: u32 = 1;
    let length = if request.snap_len == 0 {
        65536
    } else {
        request.snap_len
    };
    let mut header = Vec::with_capacity(24);
    header.extend(0xa1b2_c3d4_u32.to_le_bytes());
    header.extend(2_u16.to_le_bytes());
    header.extend(4_u16.to_le_bytes());
    header.extend([0; 8]);
    header.extend(length.to_le_bytes());
    header.extend(ETHERNET.to_le_bytes());
    let first = tokio_stream::once(Ok(Data {
        metadata: None,
        bytes: header,
    }));
    let silence = tokio_stream::pending();
    Ok(Response::new(Box::pin(futures::StreamExt::chain(
        first, silence,
    ))))
}
