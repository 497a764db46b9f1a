//! The machine API: who may call, which node answers, and the services.

mod containers;
mod cosi;
mod counters;
mod etcd;
mod events;
mod files;
mod follow;
mod forward;
mod gate;
mod health;
mod inspect;
mod lifecycle;
mod logs;
mod machine;
mod meta;
mod resources;
mod roles;
mod services;
mod sockets;
mod storage;

pub(crate) use gate::{Caller, Gate};
pub(crate) use resources::config_version;
pub(crate) use storage::{devices, time_servers};

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures::Stream;
use tonic::{Request, Status};

use crate::cluster::TalosCluster;
use crate::config::Config;
use crate::node::Node;
use crate::proto::common::Data;
use crate::world::World;
use roles::Roles;

/// Largest message that is sent or taken.
pub(crate) const MESSAGE_LIMIT: usize = 32 << 20;

pub(crate) type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A stream of one part.
fn once(bytes: Vec<u8>) -> Streamed<Data> {
    let data = Data {
        metadata: None,
        bytes,
    };
    Box::pin(tokio_stream::once(Ok(data)))
}

/// Names one action in events.
fn actor() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// `2026-08-21T20:42:35.123456789Z`.
fn rfc3339(time: SystemTime) -> String {
    prost_types::Timestamp::from(time).to_string()
}

/// The services of one node.
#[derive(Clone)]
pub(crate) struct Api {
    node: Arc<Node>,
}

/// The caller's roles, as the gate found them.
fn roles<T>(request: &Request<T>) -> Roles {
    request.extensions().get().cloned().unwrap_or_default()
}

impl Api {
    fn world(&self) -> Result<Arc<World>, Status> {
        self.node
            .world()
            .ok_or_else(|| Status::unavailable("the lab is shutting down"))
    }

    /// The configuration of a control plane, or how such a node refuses a call that is for control planes only.
    fn control_plane(&self, api: &str) -> Result<Arc<Config>, Status> {
        match self.node.config() {
            None => Err(Status::unimplemented(format!(
                "machine type is not set, cannot use {api} API"
            ))),
            Some(config) if config.is_control_plane() => Ok(config),
            Some(_) => Err(Status::unimplemented(format!(
                "{api} is only available on control plane nodes"
            ))),
        }
    }

    fn cluster(&self, config: &Config) -> Result<Arc<TalosCluster>, Status> {
        let id = config
            .cluster_id()
            .ok_or_else(|| Status::failed_precondition("cluster identity is not set"))?;
        Ok(self.world()?.cluster(&id))
    }
}
