//! The machine API: who may call, which node answers, and the services.

mod cosi;
mod etcd;
mod forward;
mod gate;
mod health;
mod lifecycle;
mod machine;
mod resources;
mod roles;
mod storage;

pub(crate) use gate::{Caller, Gate};

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tonic::{Request, Status};

use crate::cluster::TalosCluster;
use crate::config::Config;
use crate::node::Node;
use crate::world::World;
use roles::Roles;

/// Largest message that is sent or taken.
pub(crate) const MESSAGE_LIMIT: usize = 32 << 20;

pub(crate) type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

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
