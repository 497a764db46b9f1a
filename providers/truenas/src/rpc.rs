//! One JSON-RPC 2.0 connection: requests out, answers matched by id. Source: data/truenas "Wire protocol".

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use stead_sdk::{Error, ErrorKind, WebSocket};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

/// The appliance closes a connection that sends a longer frame after login (close code 1009).
const MAX_FRAME: usize = 64 * 1024;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Json, Refusal>>>>>;

/// An open connection. Cheap to clone; calls run side by side.
#[derive(Clone)]
pub(crate) struct Connection {
    outgoing: mpsc::Sender<String>,
    waiting: Waiting,
    next: Arc<AtomicU64>,
}

/// An error answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) data: Option<RefusalData>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct RefusalData {
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// `[attribute, message, errno]` each.
    #[serde(default)]
    pub(crate) extra: Option<Json>,
}

impl Connection {
    /// Takes over an open WebSocket; two tasks carry frames until it closes.
    pub(crate) fn over(socket: WebSocket) -> Connection {
        let (mut sink, mut stream) = socket.split();
        let (outgoing, mut queue) = mpsc::channel::<String>(32);
        let waiting: Waiting = Arc::default();
        let answers = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Some(text) = queue.recv().await {
                if sink.send(Message::text(text)).await.is_err() {
                    break;
                }
            }
            // Closing is a courtesy; the peer may be gone.
            let _ = sink.close().await;
        });
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Text(text) = message {
                    deliver(&answers, text.as_str());
                }
            }
            // Nobody will answer any more: dropping the senders tells those who wait.
            lock(&answers).clear();
        });
        Connection {
            outgoing,
            waiting,
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }

    /// Calls a method and waits for its answer.
    pub(crate) async fn call(&self, method: &str, params: &Json) -> Result<Json, Error> {
        let asked = format!("call {method}");
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let text =
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        if text.len() > MAX_FRAME {
            return Err(Error::new(
                asked,
                format!(
                    "the request has {} bytes, the appliance takes {MAX_FRAME}",
                    text.len()
                ),
            ));
        }
        let (sender, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, sender);
        let lost = || Error::transient(asked.clone(), "the connection was lost");
        if self.outgoing.send(text).await.is_err() {
            lock(&self.waiting).remove(&id);
            return Err(lost());
        }
        answer
            .await
            .map_err(|_| lost())?
            .map_err(|refusal| refusal.into_error(&asked))
    }
}

fn lock(
    waiting: &Waiting,
) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Json, Refusal>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands an answer to whoever waits for it; notifications have no id and are not needed here.
fn deliver(waiting: &Waiting, text: &str) {
    #[derive(Deserialize)]
    struct Answer {
        id: Option<u64>,
        #[serde(default)]
        result: Json,
        error: Option<Refusal>,
    }
    let Ok(answer) = serde_json::from_str::<Answer>(text) else {
        return;
    };
    let sender = answer.id.and_then(|id| lock(waiting).remove(&id));
    if let Some(sender) = sender {
        // Whoever asked may have given up.
        let _ = sender.send(answer.error.map_or(Ok(answer.result), Err));
    }
}

impl Refusal {
    /// What the appliance said, in words, and the attribute to blame: paths end in the field's name, whatever their prefix.
    pub(crate) fn into_error(self, asked: &str) -> Error {
        let data = self.data.unwrap_or_default();
        let entries: Vec<(Option<String>, String, i64)> = data
            .extra
            .as_ref()
            .and_then(Json::as_array)
            .map(|entries| {
                entries
                    .iter()
                    .map(|entry| {
                        let attribute = entry.get(0).and_then(Json::as_str).map(str::to_owned);
                        let message = entry
                            .get(1)
                            .and_then(Json::as_str)
                            .unwrap_or_default()
                            .to_owned();
                        (
                            attribute,
                            message,
                            entry.get(2).and_then(Json::as_i64).unwrap_or_default(),
                        )
                    })
                    .collect()
            })
            .unwrap_or_default();
        let said = if entries.is_empty() {
            data.reason
                .filter(|r| !r.is_empty())
                .unwrap_or(self.message)
        } else {
            let lines = entries
                .iter()
                .map(|(attribute, message, _)| match attribute {
                    Some(attribute) => format!("{}: {message}", last_segment(attribute)),
                    None => message.clone(),
                });
            lines.collect::<Vec<_>>().join("; ")
        };
        const ENOENT: i64 = 2;
        let kind = if entries.iter().any(|(_, _, errno)| *errno == ENOENT)
            || said.contains("MatchNotFound")
        {
            ErrorKind::NotFound
        } else if self.code == -32000 {
            // Twenty calls at once are the limit; the next try finds room.
            ErrorKind::Transient
        } else {
            ErrorKind::Other
        };
        let error = Error::of_kind(kind, asked, said);
        match entries.into_iter().find_map(|(attribute, _, _)| attribute) {
            Some(attribute) => error.attribute(last_segment(&attribute)),
            None => error,
        }
    }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Error {
        let refusal: Refusal = serde_json::from_str(text).expect("a refusal");
        refusal.into_error("call pool.dataset.create")
    }

    #[test]
    fn validation_errors_name_the_field_whatever_its_prefix() {
        let error = refusal(
            r#"{"code": -32602, "message": "Invalid params", "data": {"error": 22, "reason": "[EINVAL] x",
                "extra": [["pool_dataset_create.name", "already exists", 17]]}}"#,
        );
        assert_eq!(error.said(), "name: already exists");
        assert!(!error.is_not_found());
    }

    #[test]
    fn a_missing_object_is_recognised_in_both_forms() {
        assert!(refusal(r#"{"code": -32602, "data": {"extra": [[null, "PoolDataset tank/a does not exist", 2]]}}"#).is_not_found());
        assert!(
            refusal(r#"{"code": -32001, "data": {"reason": "MatchNotFound()"}}"#).is_not_found()
        );
        assert!(!refusal(r#"{"code": -32601, "message": "Method does not exist"}"#).is_not_found());
    }
}
