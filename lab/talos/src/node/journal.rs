//! What happens on a running system, as its event stream, its kernel log and its services' logs tell it. Gone with the boot, as on a real node.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::status::{Service, Stage};
use crate::proto::machine::service_state_event::Action as ServiceAction;
use crate::proto::machine::{
    AddressEvent, MachineStatusEvent, PhaseEvent, SequenceEvent, ServiceStateEvent,
    ServiceStateHealth, TaskEvent, machine_status_event, phase_event, sequence_event, task_event,
};

/// How many events and lines are remembered; the oldest go first.
const EVENTS: usize = 512;
const LINES: usize = 512;

/// An event and its place in the stream.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) position: u64,
    pub(crate) id: String,
    pub(crate) time: SystemTime,
    /// Names the request that began the sequence; empty otherwise.
    pub(crate) actor: String,
    /// The message's name on the wire, without its package.
    pub(crate) kind: &'static str,
    pub(crate) value: Vec<u8>,
}

/// A line of a log.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) position: u64,
    pub(crate) time: SystemTime,
    /// `kernel`, or a service's name.
    pub(crate) source: String,
    pub(crate) text: String,
}

/// What a service was before.
#[derive(Clone)]
pub(crate) struct Past {
    pub(crate) state: &'static str,
    pub(crate) message: String,
    pub(crate) time: SystemTime,
}

pub(crate) struct Journal {
    events: VecDeque<Recorded>,
    lines: VecDeque<Line>,
    next: u64,
    /// What was told last, so that only changes are told.
    status: Option<(Stage, Vec<(&'static str, String)>)>,
    services: BTreeMap<&'static str, (&'static str, Option<bool>)>,
    history: BTreeMap<&'static str, Vec<Past>>,
    addresses: Vec<String>,
}

impl Journal {
    pub(crate) fn new(version: &str) -> Journal {
        let mut journal = Journal {
            events: VecDeque::new(),
            lines: VecDeque::new(),
            next: 1,
            status: None,
            services: BTreeMap::new(),
            history: BTreeMap::new(),
            addresses: Vec::new(),
        };
        journal.line("kernel", "Linux version 6.18.8-talos (lab) #1 SMP");
        journal.line(
            "kernel",
            "Command line: talos.platform=nocloud console=tty0 init_on_alloc=1 slab_nomerge pti=on",
        );
        journal.line(
            "kernel",
            &format!("[talos] [initramfs] booting Talos {version}"),
        );
        // Parts of the system's manager that have a log of their own.
        journal.line("controller-runtime", "controller runtime starting");
        journal.line("dns-resolve-cache", "starting dns server");
        journal
    }

    /// Adds a line to a log. What the system's own manager says stands in the kernel's log too.
    pub(crate) fn line(&mut self, source: &str, text: &str) {
        self.push_line(source, text.to_owned());
        if source == "machined" {
            self.push_line("kernel", format!("[talos] {text}"));
        }
    }

    fn push_line(&mut self, source: &str, text: String) {
        let position = self.advance();
        self.lines.push_back(Line {
            position,
            time: SystemTime::now(),
            source: source.to_owned(),
            text,
        });
        if self.lines.len() > LINES {
            self.lines.pop_front();
        }
    }

    fn advance(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn event(&mut self, kind: &'static str, value: &impl Message, actor: &str) {
        let position = self.advance();
        self.events.push_back(Recorded {
            position,
            id: event_id(),
            time: SystemTime::now(),
            actor: actor.to_owned(),
            kind,
            value: value.encode_to_vec(),
        });
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
    }

    /// A sequence begins: what follows on the way down, up to the end of the services.
    pub(crate) fn sequence(&mut self, name: &str, phases: &[&str], actor: &str) {
        self.line(
            "machined",
            &format!("{name} sequence: {} phase(s)", phases.len()),
        );
        let started = SequenceEvent {
            sequence: name.to_owned(),
            action: sequence_event::Action::Start.into(),
            error: None,
        };
        self.event("SequenceEvent", &started, actor);
        for phase in phases {
            let phase = |action: phase_event::Action| PhaseEvent {
                phase: (*phase).to_owned(),
                action: action.into(),
            };
            self.event("PhaseEvent", &phase(phase_event::Action::Start), actor);
            self.event("PhaseEvent", &phase(phase_event::Action::Stop), actor);
        }
    }

    pub(crate) fn task(&mut self, name: &str, actor: &str) {
        self.line("machined", &format!("task {name} (1/1): starting"));
        let started = TaskEvent {
            task: name.to_owned(),
            action: task_event::Action::Start.into(),
        };
        self.event("TaskEvent", &started, actor);
    }

    /// A sequence ended without success.
    pub(crate) fn failed(&mut self, name: &str, message: &str, actor: &str) {
        self.line("machined", &format!("{name} sequence: failed: {message}"));
        let failed = SequenceEvent {
            sequence: name.to_owned(),
            action: sequence_event::Action::Noop.into(),
            error: Some(crate::proto::common::Error {
                code: 0,
                message: message.to_owned(),
            }),
        };
        self.event("SequenceEvent", &failed, actor);
    }

    /// Notes what changed since it was asked last.
    pub(super) fn observe(
        &mut self,
        stage: Stage,
        unmet: Vec<(&'static str, String)>,
        services: &[Service],
        hostname: &str,
        addresses: &[String],
    ) {
        for service in services {
            self.service(service);
        }
        self.services
            .retain(|id, _| services.iter().any(|s| s.id == *id));
        if self.addresses != addresses {
            self.addresses = addresses.to_vec();
            let told = AddressEvent {
                hostname: hostname.to_owned(),
                addresses: addresses.to_vec(),
            };
            self.event("AddressEvent", &told, "");
        }
        let status = (stage, unmet);
        if self.status.as_ref() == Some(&status) {
            return;
        }
        let ready = status.1.is_empty();
        self.line(
            "machined",
            &format!("machine is {}, ready: {ready}", stage.name()),
        );
        let told = MachineStatusEvent {
            stage: stage.number(),
            status: Some(machine_status_event::MachineStatus {
                ready,
                unmet_conditions: status
                    .1
                    .iter()
                    .map(
                        |(name, reason)| machine_status_event::machine_status::UnmetCondition {
                            name: (*name).to_owned(),
                            reason: reason.clone(),
                        },
                    )
                    .collect(),
            }),
        };
        self.event("MachineStatusEvent", &told, "");
        self.status = Some(status);
    }

    fn service(&mut self, service: &Service) {
        let now = (service.state, service.healthy);
        let before = self.services.insert(service.id, now);
        if before == Some(now) {
            return;
        }
        let time = SystemTime::now();
        // A health check that turns is no other state, but an event of its own.
        let message = match (before, service.healthy) {
            (Some((state, _)), Some(true)) if state == service.state => "Health check successful",
            (Some((state, _)), Some(false)) if state == service.state => "Health check failed",
            _ => service.message,
        };
        let past = self.history.entry(service.id).or_default();
        past.push(Past {
            state: service.state,
            message: message.to_owned(),
            time,
        });
        if past.len() > 64 {
            past.remove(0);
        }
        let told = ServiceStateEvent {
            service: service.id.to_owned(),
            action: action(service.state).into(),
            message: message.to_owned(),
            health: Some(ServiceStateHealth {
                unknown: service.healthy.is_none(),
                healthy: service.healthy == Some(true),
                last_message: String::new(),
                last_change: Some(time.into()),
            }),
        };
        self.event("ServiceStateEvent", &told, "");
        let text = format!("service[{}]({}): {message}", service.id, service.state);
        self.line("machined", &text);
        if service.id != "machined" {
            self.push_line(
                service.id,
                format!("{}: {message}", service.state.to_lowercase()),
            );
        }
    }

    /// What a service went through, oldest first.
    pub(crate) fn history(&self, service: &str) -> Vec<Past> {
        self.history.get(service).cloned().unwrap_or_default()
    }

    /// Events from this position on.
    pub(crate) fn events_from(&self, position: u64) -> impl Iterator<Item = &Recorded> {
        self.events.iter().filter(move |e| e.position >= position)
    }

    /// Lines of a log from this position on.
    pub(crate) fn lines_from(&self, source: &str, position: u64) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(move |l| l.source == source && l.position >= position)
    }

    /// The position of what comes next.
    pub(crate) fn end(&self) -> u64 {
        self.next
    }

    /// Every log that has been written to.
    pub(crate) fn sources(&self) -> Vec<String> {
        let mut names: Vec<String> = self.lines.iter().map(|l| l.source.clone()).collect();
        names.retain(|n| n != "kernel");
        names.sort();
        names.dedup();
        names
    }
}

fn action(state: &str) -> ServiceAction {
    match state {
        "Preparing" => ServiceAction::Preparing,
        "Waiting" => ServiceAction::Waiting,
        "Running" => ServiceAction::Running,
        "Stopping" => ServiceAction::Stopping,
        "Finished" => ServiceAction::Finished,
        "Failed" => ServiceAction::Failed,
        "Skipped" => ServiceAction::Skipped,
        "Starting" => ServiceAction::Starting,
        _ => ServiceAction::Initialized,
    }
}

/// An event's identifier: 12 bytes (seconds, machine and process, a counter) in base 32, so that they sort by time.
fn event_id() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed) & 0x00ff_ffff;
    let process = u64::from(std::process::id()) & 0x00ff_ffff_ffff;
    let value =
        (u128::from(seconds & 0xffff_ffff) << 64) | (u128::from(process) << 24) | u128::from(count);
    // 96 bits and 4 of padding make 20 digits.
    let padded = value << 4;
    (0..20)
        .rev()
        .filter_map(|digit| ALPHABET.get(((padded >> (digit * 5)) & 31) as usize))
        .map(|byte| char::from(*byte))
        .collect()
}

/// Seconds since 1970 in an event's identifier; `None` when it is none.
pub(crate) fn seconds_of(id: &str) -> Option<u64> {
    let valid = id.len() == 20 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'));
    if !valid {
        return None;
    }
    let value = id.bytes().fold(0_u128, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte - b'a' + 10,
        };
        (value << 5) | u128::from(digit)
    });
    u64::try_from((value >> 4) >> 64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_carry_their_time_and_differ() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let (first, second) = (event_id(), event_id());
        assert_ne!(first, second);
        assert!(seconds_of(&first).unwrap().abs_diff(now) < 5, "{first}");
        assert_eq!(seconds_of("not an identifier!!!"), None);
    }

    #[test]
    fn only_changes_are_told_and_the_oldest_go() {
        let mut journal = Journal::new("v1.13.9");
        let told = |j: &Journal| j.events_from(0).count();
        journal.observe(Stage::Booting, Vec::new(), &[], "a", &[]);
        let once = told(&journal);
        journal.observe(Stage::Booting, Vec::new(), &[], "a", &[]);
        assert_eq!(told(&journal), once);
        journal.observe(Stage::Running, Vec::new(), &[], "a", &[]);
        assert_eq!(told(&journal), once + 1);
        for i in 0..2 * LINES {
            journal.line("kubelet", &i.to_string());
        }
        assert!(journal.lines_from("kubelet", 0).count() <= LINES);
        assert_eq!(
            journal.lines_from("kubelet", 0).last().unwrap().text,
            (2 * LINES - 1).to_string()
        );
    }
}
