//! The stream of events, from now on or from earlier ones.

use std::time::Duration;

use tonic::{Response, Status};

use super::follow::{Feed, follow};
use super::{Api, Streamed};
use crate::node::{Boot, Journal, Recorded, seconds_of};
use crate::proto::machine::{Event, EventsRequest};

/// How long after its start a system tells newcomers everything.
const JUST_BOOTED: Duration = Duration::from_secs(5);

/// Which events a caller wants.
struct Wanted {
    /// The last so many; negative: all that are remembered.
    tail: i32,
    after: Option<String>,
    within: Option<Duration>,
    actor: String,
}

impl Wanted {
    fn of(request: EventsRequest) -> Result<Wanted, Status> {
        let after = Some(request.tail_id).filter(|id| !id.is_empty());
        if after.as_deref().is_some_and(|id| seconds_of(id).is_none()) {
            return Err(Status::unknown("error parsing tail_id: xid: invalid ID"));
        }
        let within = u64::try_from(request.tail_seconds).ok().filter(|s| *s > 0);
        Ok(Wanted {
            tail: request.tail_events,
            after,
            within: within.map(Duration::from_secs),
            actor: request.with_actor_id,
        })
    }

    fn keeps(&self, event: &Recorded) -> bool {
        self.actor.is_empty() || event.actor == self.actor
    }
}

impl Feed for Wanted {
    type Item = Event;

    fn begin(&self, boot: &Boot) -> u64 {
        let journal = &boot.journal;
        let end = journal.end();
        let position = |e: &Recorded| e.position;
        if let Some(id) = &self.after {
            let known = journal.events_from(0).find(|e| e.id == *id);
            // An event that is forgotten already was before all that are remembered.
            return known.map_or(0, |e| e.position + 1);
        }
        if let Some(within) = self.within {
            let recent = |e: &&Recorded| e.time.elapsed().is_ok_and(|age| age <= within);
            return journal.events_from(0).find(recent).map_or(end, position);
        }
        match usize::try_from(self.tail) {
            // Without artificial time a machine is back before a client that follows its reboot has connected again, which on
            // a real one it has by then.
            Ok(0) if boot.started.elapsed().is_ok_and(|up| up < JUST_BOOTED) => 0,
            // Who comes while it goes down is told how it does.
            Ok(0) => boot.ending.unwrap_or(end),
            Ok(count) => {
                let all: Vec<u64> = journal.events_from(0).map(position).collect();
                let skipped = all.len().saturating_sub(count);
                all.get(skipped).copied().unwrap_or(end)
            }
            Err(_) => 0,
        }
    }

    fn since(&self, journal: &Journal, position: u64) -> Vec<Event> {
        let events = journal.events_from(position);
        events.filter(|e| self.keeps(e)).map(event).collect()
    }
}

pub(super) fn stream(
    api: &Api,
    request: EventsRequest,
) -> Result<Response<Streamed<Event>>, Status> {
    let wanted = Wanted::of(request)?;
    // An empty event tells the client that the stream has started.
    let hello = Event {
        actor_id: wanted.actor.clone(),
        ..Event::default()
    };
    follow(api, wanted, Some(hello), true)
}

fn event(recorded: &Recorded) -> Event {
    Event {
        metadata: None,
        data: Some(prost_types::Any {
            type_url: format!("talos/runtime/machine.{}", recorded.kind),
            value: recorded.value.clone(),
        }),
        id: recorded.id.clone(),
        actor_id: recorded.actor.clone(),
    }
}
