//! Data sources: the nodes of the cluster, and the server's version.

use serde_json::Value as Json;
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::client::{Client, Params, number, text};

/// The nodes of the cluster, one list per property, by name.
#[derive(Clone, Debug, Default, DataSource)]
#[data_source(name = "proxmox_virtual_environment_nodes")]
pub(crate) struct Nodes {
    #[attr(optional, computed)]
    id: String,
    #[attr(computed)]
    cpu_count: Vec<i64>,
    #[attr(computed)]
    cpu_utilization: Vec<f64>,
    #[attr(computed)]
    memory_available: Vec<i64>,
    #[attr(computed)]
    memory_used: Vec<i64>,
    #[attr(computed)]
    names: Vec<String>,
    #[attr(computed)]
    online: Vec<bool>,
    #[attr(computed)]
    ssl_fingerprints: Vec<String>,
    #[attr(computed)]
    support_levels: Vec<String>,
    #[attr(computed)]
    uptime: Vec<i64>,
}

#[async_trait]
impl DataSource for Nodes {
    type Client = Client;

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let found = client
            .get(cx, "list the nodes", "/nodes", &Params::new())
            .await?;
        let mut rows: Vec<&Json> = found.as_array().into_iter().flatten().collect();
        rows.sort_by_key(|r| text(r, "node"));
        let mut out = Nodes {
            id: "nodes".into(),
            ..config
        };
        for row in rows {
            let string = |key: &str| text(row, key).unwrap_or_default();
            let count = |key: &str| number(row, key).unwrap_or(0);
            out.cpu_count.push(count("maxcpu"));
            out.cpu_utilization
                .push(string("cpu").parse::<f64>().unwrap_or(0.0) * 100.0);
            out.memory_available.push(count("maxmem"));
            out.memory_used.push(count("mem"));
            out.names.push(string("node"));
            out.online.push(string("status") == "online");
            out.ssl_fingerprints.push(string("ssl_fingerprint"));
            out.support_levels.push(string("level"));
            out.uptime.push(count("uptime"));
        }
        Ok(out)
    }
}

/// The version of the server.
#[derive(Clone, Debug, Default, DataSource)]
#[data_source(name = "proxmox_virtual_environment_version")]
pub(crate) struct Version {
    #[attr(computed)]
    id: String,
    #[attr(computed)]
    release: String,
    #[attr(computed)]
    repository_id: String,
    #[attr(computed)]
    version: String,
}

#[async_trait]
impl DataSource for Version {
    type Client = Client;

    async fn read(client: &Client, _config: Self, cx: &Context) -> Result<Self, Error> {
        let found = client
            .get(cx, "read the version", "/version", &Params::new())
            .await?;
        let string = |key: &str| text(&found, key).unwrap_or_default();
        Ok(Version {
            id: "version".into(),
            release: string("release"),
            repository_id: string("repoid"),
            version: string("version"),
        })
    }
}
