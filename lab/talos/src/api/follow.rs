//! Streams of what a machine's journal gets, for as long as a boot lasts.

use tonic::{Response, Status};

use super::{Api, Streamed};
use crate::node::{Boot, Journal};

/// What of the journal a caller wants.
pub(super) trait Feed: Send + 'static {
    type Item: Send + 'static;

    /// The position from which the stream begins.
    fn begin(&self, boot: &Boot) -> u64;

    /// What came from this position on.
    fn since(&self, journal: &Journal, position: u64) -> Vec<Self::Item>;
}

/// A stream that begins with `first`, then brings what the feed finds, and what comes later if it `goes_on`. A node that goes down
/// takes its streams with it, after what there was to tell: clients wait for the end of the services.
pub(super) fn follow<F: Feed>(
    api: &Api,
    feed: F,
    first: Option<F::Item>,
    goes_on: bool,
) -> Result<Response<Streamed<F::Item>>, Status> {
    let node = api.node.clone();
    let (mut next, boot_id) = api.boot(|b| (feed.begin(b), b.id.clone()))?;
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        let mut revisions = node.revisions();
        let mut news: Vec<F::Item> = first.into_iter().collect();
        loop {
            let found = node.with_journal(&boot_id, |j| (feed.since(j, next), j.end()));
            let Some(((found, end), lives)) = found else {
                return;
            };
            next = end;
            news.extend(found);
            for item in news.drain(..) {
                if sender.send(Ok(item)).await.is_err() {
                    return;
                }
            }
            if !goes_on || !lives {
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
