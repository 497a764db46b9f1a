//! The kernel's log, and the services'.

use tonic::{Response, Status};

use super::containers::inspect;
use super::{Api, Streamed};
use crate::node::{Boot, LogLine, SYSTEM};
use crate::proto::common::Data;
use crate::proto::machine::{DmesgRequest, LogsContainer, LogsContainersResponse, LogsRequest};

pub(super) fn dmesg(api: &Api, request: &DmesgRequest) -> Result<Response<Streamed<Data>>, Status> {
    let tail = if request.tail { Some(0) } else { None };
    follow(api, "kernel".to_owned(), tail, request.follow, |line| {
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
        return follow(api, request.id, tail, request.follow, plain);
    }
    let containers = inspect(api, &request.namespace, request.driver)?;
    let found = containers
        .iter()
        .find(|c| !c.sandbox && (c.display() == request.id || c.id() == request.id));
    match found {
        // The programs of pods are not run: their logs are empty.
        Some(container) => follow(api, container.id(), tail, request.follow, plain),
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

/// A log's last lines (`None`: all of them), and what comes then.
fn follow(
    api: &Api,
    source: String,
    tail: Option<usize>,
    goes_on: bool,
    show: impl Fn(&LogLine) -> String + Send + 'static,
) -> Result<Response<Streamed<Data>>, Status> {
    let begin = |boot: &Boot| {
        let Some(tail) = tail else {
            return 0;
        };
        let all: Vec<u64> = boot
            .journal
            .lines_from(&source, 0)
            .map(|l| l.position)
            .collect();
        let skipped = all.len().saturating_sub(tail);
        all.get(skipped).copied().unwrap_or(boot.journal.end())
    };
    let (mut next, boot_id) = api.boot(|b| (begin(b), b.id.clone()))?;
    let node = api.node.clone();
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        let mut revisions = node.revisions();
        loop {
            let news = node.with_boot(|b| {
                (b.id == boot_id).then(|| {
                    let lines: Vec<String> =
                        b.journal.lines_from(&source, next).map(&show).collect();
                    (lines, b.journal.end())
                })
            });
            let Some((lines, end)) = news.flatten() else {
                return;
            };
            next = end;
            for line in lines {
                let data = Data {
                    metadata: None,
                    bytes: line.into_bytes(),
                };
                if sender.send(Ok(data)).await.is_err() {
                    return;
                }
            }
            if !goes_on {
                return;
            }
            tokio::select! {
                _ = revisions.changed() => {}
                () = sender.closed() => return,
            }
        }
    });
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    Ok(Response::new(Box::pin(stream)))
}
