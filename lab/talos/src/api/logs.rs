//! The kernel's log, and the services'.

use tonic::{Response, Status};

use super::containers::inspect;
use super::follow::{Feed, follow};
use super::{Api, Streamed};
use crate::node::{Boot, Journal, LogLine, SYSTEM};
use crate::proto::common::Data;
use crate::proto::machine::{DmesgRequest, LogsContainer, LogsContainersResponse, LogsRequest};

pub(super) fn dmesg(api: &Api, request: &DmesgRequest) -> Result<Response<Streamed<Data>>, Status> {
    let tail = if request.tail { Some(0) } else { None };
    lines(api, "kernel".to_owned(), tail, request.follow, |line| {
        format!(
            "kern:    info: [{}]: {}\n",
            super::rfc3339(line.time),
            line.text
        )
    })
}

pub(super) fn logs(api: &Api, request: LogsRequest) -> Result<Response<Streamed<Data>>, Status> {
    let tail = usize::try_from(request.tail_lines).ok();
    let plain = |line: &LogLine| format!("{}\n", line.text);
    if request.namespace == SYSTEM || request.id == "kubelet" {
        let known = api.boot(|b| b.journal.sources().contains(&request.id))?;
        if !known {
            return Err(Status::unknown(format!(
                "log \"{}\" was not registered",
                request.id
            )));
        }
        return lines(api, request.id, tail, request.follow, plain);
    }
    let containers = inspect(api, &request.namespace, request.driver)?;
    let found = containers
        .iter()
        .find(|c| !c.sandbox && (c.display() == request.id || c.id() == request.id));
    match found {
        // The programs of pods are not run: their logs are empty.
        Some(container) => lines(api, container.id(), tail, request.follow, plain),
        None => Err(Status::unknown(format!(
            "container \"{}\" not found",
            request.id
        ))),
    }
}

pub(super) fn registered(api: &Api) -> Result<Response<LogsContainersResponse>, Status> {
    let ids = api.boot(|b| b.journal.sources())?;
    Ok(Response::new(LogsContainersResponse {
        messages: vec![LogsContainer {
            metadata: None,
            ids,
        }],
    }))
}

/// The lines of one log, each as it is shown.
struct Lines<S> {
    source: String,
    /// The last so many; `None`: all that are kept.
    tail: Option<usize>,
    show: S,
}

impl<S: Fn(&LogLine) -> String + Send + 'static> Feed for Lines<S> {
    type Item = Data;

    fn begin(&self, boot: &Boot) -> u64 {
        let Some(tail) = self.tail else {
            return 0;
        };
        let lines = boot.journal.lines_from(&self.source, 0);
        let all: Vec<u64> = lines.map(|l| l.position).collect();
        let skipped = all.len().saturating_sub(tail);
        all.get(skipped).copied().unwrap_or(boot.journal.end())
    }

    fn since(&self, journal: &Journal, position: u64) -> Vec<Data> {
        let data = |line: &LogLine| Data {
            metadata: None,
            bytes: (self.show)(line).into_bytes(),
        };
        let lines = journal.lines_from(&self.source, position);
        lines.map(data).collect()
    }
}

fn lines(
    api: &Api,
    source: String,
    tail: Option<usize>,
    goes_on: bool,
    show: impl Fn(&LogLine) -> String + Send + 'static,
) -> Result<Response<Streamed<Data>>, Status> {
    let feed = Lines { source, tail, show };
    follow(api, feed, None, goes_on)
}
