//! Lists of what exists that are asked for once in a command: discovery finds many types in the same ones, and plans look in them for
//! names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use stead_sdk::{Context, Error};
use tokio::sync::OnceCell;

use crate::client::{Client, Params, text};

/// How many lists are asked for at the same time.
pub(crate) const AT_ONCE: usize = 8;

/// A refusal is an answer, too: nobody is asked again.
type Answer = Result<Arc<Json>, Error>;

/// What was answered, by path and query.
#[derive(Default)]
pub(crate) struct Lists(Mutex<HashMap<String, Arc<OnceCell<Answer>>>>);

impl Lists {
    fn cell(&self, path: &str, query: &Params) -> Arc<OnceCell<Answer>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(format!("{path}?{query:?}")).or_default())
    }
}

impl Client {
    /// The answer to a question, of whenever it was first asked. Concurrent callers share one request.
    async fn listed_by(&self, cx: &Context, what: &str, path: &str, query: &Params) -> Answer {
        let ask = async || {
            let _turn = self.turn("lists", AT_ONCE).await;
            self.get(cx, what, path, query).await.map(Arc::new)
        };
        let cell = self.lists.cell(path, query);
        cell.get_or_init(ask).await.clone()
    }

    /// The answer at a path.
    pub(crate) async fn listed(&self, cx: &Context, path: &str) -> Answer {
        let what = format!("list {}", path.trim_start_matches('/'));
        self.listed_by(cx, &what, path, &Params::new()).await
    }

    /// The rows of a list in which plans look for names; `None` when the server does not say.
    pub(crate) async fn look_up(
        &self,
        cx: &Context,
        what: &str,
        path: &str,
        query: &Params,
    ) -> Option<Arc<Json>> {
        let answer = self.listed_by(cx, what, path, query).await.ok();
        answer.filter(|answer| answer.is_array())
    }

    /// The rows of a list. A server that has no such list has nothing in it: older ones know fewer things.
    pub(crate) async fn rows(&self, cx: &Context, path: &str) -> Result<Vec<Json>, Error> {
        match self.listed(cx, path).await {
            Ok(answer) => Ok(answer.as_array().cloned().unwrap_or_default()),
            Err(error) if error.status() == Some(501) => Ok(Vec::new()),
            // Version 9 has rules in place of HA groups.
            Err(error) if error.said().contains("have been migrated") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The nodes that answer. Others are told of.
    pub(crate) async fn nodes(&self, cx: &Context) -> Result<Vec<String>, Error> {
        let rows = self.rows(cx, "/nodes").await?;
        let (up, down): (Vec<&Json>, Vec<&Json>) = rows
            .iter()
            .partition(|row| text(row, "status").is_none_or(|status| status == "online"));
        for node in down.into_iter().filter_map(|row| text(row, "node")) {
            let detail = format!("What belongs to the node {node} itself is not listed.");
            cx.warn("Node not reachable", detail);
        }
        let mut nodes: Vec<_> = up.into_iter().filter_map(|row| text(row, "node")).collect();
        nodes.sort();
        Ok(nodes)
    }
}
