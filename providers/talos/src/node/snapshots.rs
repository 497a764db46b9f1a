//! Snapshots of etcd: taken from one node, given to another.

use std::path::Path;

use futures::SinkExt as _;
use futures::channel::mpsc;
use stead_sdk::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::CallError;
use super::api::{Api, only};
use crate::api::common::Data;
use crate::api::machine::{BootstrapRequest, EtcdSnapshotRequest};
use crate::machinery::snapshot::{Reader, Summary};

/// Bytes of a message.
const PART: usize = 1 << 20;

impl Api {
    /// Takes a snapshot of this node's etcd into a file, which is looked at as it comes in.
    ///
    /// # Errors
    /// When the node does not give it, the file cannot be written, or the snapshot is not whole.
    pub(crate) async fn etcd_snapshot(
        &self,
        into: &mut tokio::fs::File,
    ) -> Result<Summary, CallError> {
        let method = "machine.MachineService/EtcdSnapshot";
        let call = self.call("take a snapshot of etcd on node", method);
        let mut client = self.machine();
        let request = self.request(EtcdSnapshotRequest {});
        let mut stream = call.run(client.etcd_snapshot(request)).await?;
        let mut reader = Reader::default();
        while let Some(part) = call.next(&mut stream).await? {
            if let Some(metadata) = part.metadata.filter(|m| !m.error.is_empty()) {
                return Err(call.reported(&metadata.error));
            }
            reader.take(&part.bytes);
            let written = into.write_all(&part.bytes).await;
            written.map_err(|e| call.reported(&format!("the file cannot be written: {e}")))?;
        }
        let synced = async {
            into.flush().await?;
            into.sync_all().await
        };
        synced
            .await
            .map_err(|e| call.reported(&format!("the file cannot be written: {e}")))?;
        reader
            .finish()
            .map_err(|e| call.reported(&format!("what it gave is no snapshot: {e}")))
    }

    /// Gives a snapshot to the node, from which [`Api::bootstrap_recovered`] starts etcd.
    pub(crate) async fn etcd_recover(&self, path: &Path) -> Result<(), CallError> {
        let method = "machine.MachineService/EtcdRecover";
        let call = self.call("give an etcd snapshot to node", method);
        let opened = tokio::fs::File::open(path).await;
        let file = opened.map_err(|e| call.reported(&format!("{}: {e}", path.display())))?;
        let mut client = self.machine();
        let request = self.request(parts(file));
        let reply = call.run_long(client.etcd_recover(request)).await?;
        only(&call, reply.messages).map(drop)
    }

    /// Starts the first etcd of a cluster from the snapshot that the node was given.
    pub(crate) async fn bootstrap_recovered(&self) -> Result<(), CallError> {
        let call = self.call("recover etcd on node", "machine.MachineService/Bootstrap");
        let mut client = self.machine();
        let request = self.request(BootstrapRequest {
            recover_etcd: true,
            ..BootstrapRequest::default()
        });
        let reply = call.run(client.bootstrap(request)).await?;
        only(&call, reply.messages).map(drop)
    }
}

/// A file in messages, read as they are taken. One that cannot be read to its end fails the checksum that etcd looks at.
fn parts(mut file: tokio::fs::File) -> mpsc::Receiver<Data> {
    let (mut sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            let mut bytes = vec![0; PART];
            let count = file.read(&mut bytes).await.unwrap_or(0);
            bytes.truncate(count);
            let part = Data {
                bytes,
                ..Data::default()
            };
            // Nobody takes them any more when the node has refused.
            if count == 0 || sender.send(part).await.is_err() {
                break;
            }
        }
    });
    receiver
}

/// Looks at a snapshot in a file.
///
/// # Errors
/// When it cannot be read, or is no whole snapshot.
pub(crate) async fn look_at(path: &Path) -> Result<Summary, Error> {
    let asked = || format!("use the etcd snapshot {}", path.display());
    let broken = |error: std::io::Error| Error::new(asked(), error.to_string());
    let mut file = tokio::fs::File::open(path).await.map_err(broken)?;
    let mut reader = Reader::default();
    let mut part = vec![0; PART];
    loop {
        let count = file.read(&mut part).await.map_err(broken)?;
        let bytes = part.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        reader.take(bytes);
    }
    reader
        .finish()
        .map_err(|e| Error::new(asked(), e.to_string()))
}
