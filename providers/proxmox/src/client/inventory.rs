//! What many objects ask at the same time and the server is asked once: guests and storages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use stead_sdk::{Context, Error};

use crate::client::{Client, Params, flag, number, params, text};
use crate::table::words;

/// Long enough for one refresh to share an answer, short enough for the next to see what changed.
const FRESH: Duration = Duration::from_secs(2);

/// A guest as the cluster knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) node: String,
    /// As the server says it: `running`, `stopped`, …
    pub(crate) status: String,
    pub(crate) running: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) pool: String,
    pub(crate) template: bool,
    /// A container, which takes identifiers from the same range.
    pub(crate) is_container: bool,
}

impl Row {
    /// A guest of which nothing is known but where it is.
    pub(crate) fn of(id: i64, node: &str) -> Row {
        Row {
            id,
            node: node.to_owned(),
            ..Row::default()
        }
    }
}

/// A storage as one node sees it.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) name: String,
    pub(crate) content: Vec<String>,
    pub(crate) active: bool,
    /// Every node sees the same volumes there.
    pub(crate) shared: bool,
    /// Bytes.
    pub(crate) available: Option<i64>,
    /// What is placed there takes its whole size at once.
    pub(crate) thick: bool,
}

type Kept<T> = tokio::sync::Mutex<Option<(Instant, Arc<Vec<T>>)>>;

#[derive(Default)]
pub(crate) struct Inventory {
    guests: Kept<Row>,
    storages: tokio::sync::Mutex<std::collections::HashMap<String, (Instant, Arc<Vec<Storage>>)>>,
}

impl Client {
    /// All guests of the cluster, by their ids. Concurrent callers share one request.
    pub(crate) async fn guests(&self, cx: &Context) -> Result<Arc<Vec<Row>>, Error> {
        let mut kept = self.inventory.guests.lock().await;
        if let Some((since, guests)) = kept.as_ref()
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(guests));
        }
        let query = params([("type", "vm".to_owned())]);
        let found = self
            .get(cx, "list the guests", "/cluster/resources", &query)
            .await?;
        let rows = found.as_array().into_iter().flatten();
        let mut guests: Vec<_> = rows.filter_map(guest).collect();
        guests.sort_unstable_by_key(|g| g.id);
        let guests = Arc::new(guests);
        *kept = Some((Instant::now(), Arc::clone(&guests)));
        Ok(guests)
    }

    /// The guest, wherever it runs.
    pub(crate) async fn guest(&self, cx: &Context, id: i64) -> Result<Option<Row>, Error> {
        let guests = self.guests(cx).await?;
        let found = guests.binary_search_by_key(&id, |g| g.id);
        Ok(found.ok().and_then(|at| guests.get(at)).cloned())
    }

    /// A guest changed: the next reader asks again.
    pub(crate) async fn guests_changed(&self) {
        *self.inventory.guests.lock().await = None;
    }

    /// The storages that a node sees.
    pub(crate) async fn storages(
        &self,
        cx: &Context,
        node: &str,
    ) -> Result<Arc<Vec<Storage>>, Error> {
        let mut kept = self.inventory.storages.lock().await;
        if let Some((since, storages)) = kept.get(node)
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(storages));
        }
        let path = format!("/nodes/{node}/storage");
        let found = self
            .get(
                cx,
                &format!("list the storages of {node}"),
                &path,
                &Params::new(),
            )
            .await?;
        let storages: Vec<_> = found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(storage)
            .collect();
        let storages = Arc::new(storages);
        kept.insert(node.to_owned(), (Instant::now(), Arc::clone(&storages)));
        Ok(storages)
    }
}

fn guest(row: &Json) -> Option<Row> {
    let status = text(row, "status").unwrap_or_default();
    Some(Row {
        id: number(row, "vmid")?,
        name: text(row, "name").unwrap_or_default(),
        node: text(row, "node")?,
        running: status == "running",
        status,
        tags: words(&text(row, "tags").unwrap_or_default(), &[';', ',', ' ']),
        pool: text(row, "pool").unwrap_or_default(),
        template: flag(row, "template").unwrap_or(false),
        is_container: text(row, "type").as_deref() == Some("lxc"),
    })
}

fn storage(row: &Json) -> Option<Storage> {
    let content = text(row, "content").unwrap_or_default();
    Some(Storage {
        name: text(row, "storage")?,
        content: content.split(',').map(|c| c.trim().to_owned()).collect(),
        active: flag(row, "active").unwrap_or(true),
        shared: flag(row, "shared").unwrap_or(false),
        available: number(row, "avail"),
        // Of ZFS only the definition says it, and files of other storages grow as they are written.
        thick: text(row, "type").as_deref() == Some("lvm"),
    })
}
