//! The lab's TrueNAS: JSON-RPC 2.0 over WebSocket as release 25.10 serves it, with one pool, datasets, NFS shares, services and
//! jobs. Methods that the appliance has and the lab has not answer EOPNOTSUPP by name.

mod error;
mod jobs;
mod methods;
mod query;
mod schema;
mod server;
mod session;
mod state;
mod system;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde::Serialize;
use stead_lab_core::Lab;

use crate::system::System;

/// A password or key: never printed.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An API key of the appliance.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub username: String,
    /// `ID-SECRET`.
    pub key: Secret,
    /// `FULL_ADMIN`, `READONLY_ADMIN`, or single roles such as `DATASET_WRITE`.
    pub roles: Vec<String>,
}

/// How the appliance is reached and what it holds.
#[derive(Clone, Debug)]
pub struct Options {
    pub host: String,
    pub addresses: Vec<IpAddr>,
    /// The local administrator.
    pub username: String,
    /// `None`: no login by password.
    pub password: Option<Secret>,
    pub keys: Vec<ApiKey>,
    pub pool: String,
    /// Bytes.
    pub pool_size: u64,
    /// Whether plain WebSocket counts as a loopback connection: no API key is revoked over it.
    pub plain_is_secure: bool,
}

impl Default for Options {
    /// The lab's appliance: `truenas.lab`, 10.25.150.20 to 10.25.150.22, pool `tank` of 4 TiB, key 1 of `truenas_admin`.
    fn default() -> Options {
        Options {
            host: "truenas.lab".to_owned(),
            addresses: (20..=22)
                .map(|n| IpAddr::V4(Ipv4Addr::new(10, 25, 150, n)))
                .collect(),
            username: "truenas_admin".to_owned(),
            password: None,
            keys: vec![ApiKey {
                username: "truenas_admin".to_owned(),
                key: Secret(
                    "1-stead-lab-truenas-api-key-0000000000000000000000000000000000000000"
                        .to_owned(),
                ),
                roles: vec!["FULL_ADMIN".to_owned()],
            }],
            pool: "tank".to_owned(),
            pool_size: 4 << 40,
            plain_is_secure: false,
        }
    }
}

/// What the appliance holds, for the lab's own report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Without the pool's root.
    pub datasets: Vec<String>,
    /// Paths.
    pub nfs_shares: Vec<String>,
    pub running_services: Vec<String>,
}

/// The running simulation.
pub struct TrueNas {
    system: Arc<System>,
}

/// Starts the appliance.
pub async fn start(lab: &Lab, options: Options) -> io::Result<Arc<TrueNas>> {
    let system = System::open(lab, options)?;
    server::start(&system).await?;
    Ok(Arc::new(TrueNas { system }))
}

impl TrueNas {
    /// What exists now.
    pub fn inventory(&self) -> Inventory {
        let state = self.system.state();
        let path = |s: &serde_json::Map<String, serde_json::Value>| {
            s.get("path")
                .and_then(serde_json::Value::as_str)
                .map(str::to_owned)
        };
        Inventory {
            datasets: state
                .datasets
                .keys()
                .filter(|id| id.contains('/'))
                .cloned()
                .collect(),
            nfs_shares: state.shares.values().filter_map(path).collect(),
            running_services: state
                .services
                .iter()
                .filter(|(_, s)| s.running)
                .map(|(n, _)| n.clone())
                .collect(),
        }
    }

    pub fn options(&self) -> &Options {
        &self.system.options
    }
}
