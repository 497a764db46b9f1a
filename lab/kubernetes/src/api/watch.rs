//! Watches: a stream of changes, one JSON object a line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::request::{Form, ResourcePath};
use super::serve::{Call, plain_answer};
use super::table;
use crate::cluster::Core;
use crate::error::ApiError;
use crate::ops::in_version;
use crate::resources::Resource;
use crate::selector::Selector;
use crate::state::{Change, Event};

/// How often an idle watch is told the current version, when it asks for bookmarks.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// How long a watch lasts when the client does not say (the real server: 30 to 60 minutes).
const LIFETIME: Duration = Duration::from_secs(2400);

struct Watch {
    core: Arc<Core>,
    resource: Arc<Resource>,
    namespace: String,
    selector: Selector,
    metadata_only: bool,
    as_table: bool,
    bookmarks: bool,
    version: u64,
    waiting: VecDeque<String>,
    changed: Receiver<u64>,
    ends: Instant,
    done: bool,
}

pub(super) fn answer(
    core: &Arc<Core>,
    call: &Call,
    resource: &Arc<Resource>,
    path: &ResourcePath,
    form: &Form,
) -> Result<Response<Body>, ApiError> {
    let mut fields = call.query.get("fieldSelector").to_owned();
    if !path.name.is_empty() {
        fields = format!("metadata.name={}", path.name);
    }
    let selector = Selector::parse(&resource.key, call.query.get("labelSelector"), &fields)?;
    let lifetime = match call.query.get("timeoutSeconds") {
        "" => LIFETIME,
        text => Duration::from_secs(text.parse().map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        })?),
    };
    let initial_events =
        call.query.flag("sendInitialEvents") && call.query.has("sendInitialEvents");
    if initial_events && call.query.get("resourceVersionMatch") != "NotOlderThan" {
        let mut error = ApiError::bad_request(
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
        (error.code, error.reason) = (422, "Invalid");
        return Err(error);
    }
    let state = core.lock();
    let mut watch = Watch {
        core: core.clone(),
        resource: resource.clone(),
        namespace: path.namespace.clone(),
        selector,
        metadata_only: *form == Form::Metadata,
        as_table: *form == Form::Table,
        bookmarks: call.query.flag("allowWatchBookmarks") && call.query.has("allowWatchBookmarks"),
        version: state.version(),
        waiting: VecDeque::new(),
        changed: state.subscribe(),
        ends: Instant::now() + lifetime,
        done: false,
    };
    match call.query.get("resourceVersion") {
        given if initial_events || matches!(given, "" | "0") => {
            let wanted = !call.query.has("sendInitialEvents") || initial_events;
            let current: Vec<Arc<Value>> = state
                .list(&resource.key, &path.namespace)
                .filter(|o| wanted && watch.selector.matches(o))
                .cloned()
                .collect();
            for object in &current {
                watch.push("ADDED", object);
            }
            if initial_events && watch.bookmarks {
                watch.bookmark(true);
            }
        }
        given => {
            let version = given.parse().map_err(|_| {
                let mut error = ApiError::bad_request(format!("resourceVersion: Invalid value: {given:?}: strconv.ParseUint: parsing {given:?}: invalid syntax"));
                (error.code, error.reason) = (422, "Invalid");
                error
            })?;
            watch.version = version;
        }
    }
    drop(state);
    let lines = stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((Ok::<Bytes, std::io::Error>(Bytes::from(line)), watch))
    });
    Ok(plain_answer(
        StatusCode::OK,
        "application/json",
        Body::from_stream(lines),
    ))
}

impl Watch {
    fn push(&mut self, kind: &str, object: &Arc<Value>) {
        let object = in_version(&self.resource, object);
        let body = if self.metadata_only {
            table::metadata_only(&object)
        } else if self.as_table {
            let version = crate::object::at(&object, &["metadata", "resourceVersion"]).clone();
            table::of(
                &self.resource,
                std::slice::from_ref(&object),
                json!({"resourceVersion": version}),
            )
        } else {
            Value::clone(&object)
        };
        self.line(kind, &body);
    }

    fn line(&mut self, kind: &str, object: &Value) {
        self.waiting
            .push_back(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"));
    }

    fn bookmark(&mut self, initial: bool) {
        let mut metadata =
            json!({"resourceVersion": self.version.to_string(), "creationTimestamp": null});
        if initial {
            crate::object::set(
                &mut metadata,
                &["annotations"],
                json!({"k8s.io/initial-events-end": "true"}),
            );
        }
        let object = json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata});
        self.line("BOOKMARK", &object);
    }

    fn catch_up(&mut self) {
        let core = self.core.clone();
        let state = core.lock();
        let Some(events) = state.since(self.version) else {
            let error = ApiError::expired(format!(
                "too old resource version: {} ({})",
                self.version,
                state.version()
            ));
            self.line("ERROR", &error.body());
            self.done = true;
            return;
        };
        let events: Vec<Event> = events
            .filter(|e| {
                e.id.key == self.resource.key
                    && (self.namespace.is_empty() || e.id.namespace == self.namespace)
            })
            .cloned()
            .collect();
        self.version = self.version.max(state.version());
        let served = state.registry.by_key(&self.resource.key).is_some();
        drop(state);
        for event in &events {
            self.tell(event);
        }
        // A withdrawn CRD closes its watches.
        self.done |= !served;
    }

    fn tell(&mut self, event: &Event) {
        let before = event
            .previous
            .as_ref()
            .is_some_and(|o| self.selector.matches(o));
        let after = event.change != Change::Deleted && self.selector.matches(&event.object);
        match (before, after) {
            (false, true) => self.push("ADDED", &event.object),
            (true, true) => self.push("MODIFIED", &event.object),
            (true, false) => self.push("DELETED", &event.object),
            (false, false) => {}
        }
    }

    /// The next line; `None` ends the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.waiting.pop_front() {
                return Some(line);
            }
            if self.done {
                return None;
            }
            self.changed.mark_unchanged();
            self.catch_up();
            if !self.waiting.is_empty() || self.done {
                continue;
            }
            let bookmark = if self.bookmarks {
                BOOKMARK_INTERVAL
            } else {
                LIFETIME
            };
            let stop = self.core.stopped();
            tokio::select! {
                moved = self.changed.changed() => if moved.is_err() { return None },
                () = stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends) => return None,
                () = tokio::time::sleep(bookmark) => if self.bookmarks { self.bookmark(false) },
            }
        }
    }
}
