//! Settling a journal that a run left behind.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use stead_value::addr::ResourceInstance;

use super::record::{Broken, Doubt, Intent, Lines, Record, Run};
use crate::encryption::{self, Encryption};
use crate::model::{InstanceObjects, Object, ObjectStatus, ResourceObjects, State};
use crate::{Error, ProviderConfigRef, Result, parse_provider, parse_resource_instance, v4};

/// The field of an object whose operation is in doubt; the next refresh looks at what became of it.
pub const IN_DOUBT: &str = "stead_in_doubt";

/// A journal as it was left.
#[derive(Debug)]
pub(crate) struct Unfinished {
    run: Run,
    /// The states (serial, digest) that this run found or wrote.
    states: HashSet<(u64, String)>,
    /// What became of instances, in order.
    changes: Vec<(
        ResourceInstance,
        Option<(ProviderConfigRef, InstanceObjects)>,
    )>,
    /// Operations without an outcome, with what is known of what they make.
    open: BTreeMap<u64, (Intent, Option<Object>)>,
    /// The line from which on it cannot be read, when that is not just the last one.
    damaged: Option<usize>,
}

/// What settling found.
#[derive(Debug, Default)]
pub struct Settlement {
    /// The run that was cut off.
    pub run: Run,
    /// How many instances the journal says something about that the state did not hold.
    pub recorded: usize,
    /// Objects whose operation has no outcome and that are in the state.
    pub noted: Vec<Intent>,
    /// Objects that may have been made, of which nothing is known but their address.
    pub unknown: Vec<Intent>,
    /// What could not be taken into a state that somebody else has written since.
    pub disputed: Vec<Disputed>,
    /// The journal was damaged, or disputed: a copy is kept here.
    pub kept: Option<PathBuf>,
    /// The first line that cannot be read.
    pub damaged: Option<usize>,
    /// It was read without the lock, from beside a remote state: the run may be at work still.
    pub may_be_at_work: bool,
    /// Nothing was taken in: the state is not one that this run has found or written.
    pub left_out: bool,
}

/// An instance that has another object in the state than in the journal.
#[derive(Clone, Debug)]
pub struct Disputed {
    pub address: ResourceInstance,
    /// The `id` of the object that only the journal knows.
    pub id: Option<String>,
}

impl Settlement {
    /// Whether there was anything that people should hear about.
    pub fn is_silent(&self) -> bool {
        self.recorded == 0
            && self.noted.is_empty()
            && self.unknown.is_empty()
            && self.disputed.is_empty()
            && self.damaged.is_none()
            && !self.left_out
    }
}

impl Unfinished {
    /// Reads a journal's bytes. `None` for one that was never begun.
    ///
    /// # Errors
    /// When it is of another version, or not a journal; when it cannot be opened, or is in the clear and must not be.
    pub(crate) fn parse(
        bytes: &[u8],
        path: &Path,
        encryption: &Encryption,
    ) -> Result<Option<Unfinished>> {
        let malformed = |reason: String| Error::Malformed {
            path: path.to_owned(),
            reason,
        };
        let mut lines = (0..).zip(bytes.split_inclusive(|b| *b == b'\n'));
        let Some((_, first)) = lines.next() else {
            return Ok(None);
        };
        let plain = Lines::default();
        let header = match first.strip_suffix(b"\n").map(|line| plain.read(0, line)) {
            // Being written when it stopped: nothing had been done yet.
            None => return Ok(None),
            Some(Ok(Record::Begin(header))) => header,
            Some(Ok(_) | Err(_)) => {
                return Err(malformed("it does not begin like a journal".into()));
            }
        };
        if let Some(version) = header.foreign_version() {
            return Err(malformed(format!(
                "it is a journal of version {version}, made by a newer stead"
            )));
        }
        let lines_are = match &header.sealed {
            Some(with) => {
                let pieces = encryption.open_pieces(with);
                Lines::sealed(pieces.map_err(Error::sealed(path))?, first)
            }
            None if encryption.takes_plain() => plain,
            None => return Err(Error::sealed(path)(encryption::Error::Plain)),
        };
        let mut found = Unfinished {
            states: HashSet::from([(header.serial, header.digest)]),
            run: header.run,
            changes: Vec::new(),
            open: BTreeMap::new(),
            damaged: None,
        };
        for (number, line) in lines {
            // A line without an end is the last one, which nobody was promised.
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            let taken = match lines_are.read(number, line) {
                Ok(record) => found.take(record),
                Err(Broken::Checksum) => Err("its checksum does not fit".into()),
                Err(Broken::Content(reason)) => Err(reason),
            };
            if taken.is_err() {
                found.damaged = usize::try_from(number + 1).ok();
                break;
            }
        }
        Ok(Some(found))
    }

    fn take(&mut self, record: Record) -> std::result::Result<(), String> {
        match record {
            Record::Begin(_) => return Err("a second beginning".into()),
            Record::Checkpoint { serial, digest } => {
                self.states.insert((serial, digest));
            }
            Record::Intent {
                operation,
                address,
                provider,
                deposed,
                doubt,
            } => {
                let intent = Intent {
                    address: parse_resource_instance(&address).ok_or(address)?,
                    provider: parse_provider(&provider).ok_or(provider)?,
                    deposed,
                    doubt,
                };
                self.open.insert(operation, (intent, None));
            }
            Record::Identified { operation, entry } => {
                let (_, resource) = v4::read_resource(entry)?;
                let object = resource.instances.into_values().find_map(|i| i.current);
                if let Some((_, known)) = self.open.get_mut(&operation) {
                    *known = object;
                }
            }
            Record::Changed {
                operation,
                address,
                entry,
            } => {
                let address = parse_resource_instance(&address).ok_or(address)?;
                if let Some(operation) = operation {
                    self.open.remove(&operation);
                }
                let objects = entry
                    .map(|entry| {
                        let (_, resource) = v4::read_resource(entry)?;
                        let ResourceObjects {
                            provider,
                            instances,
                            ..
                        } = resource;
                        let objects = instances.into_values().next().unwrap_or_default();
                        Ok::<_, String>((provider, *objects))
                    })
                    .transpose()?;
                self.changes.push((address, objects));
            }
        }
        Ok(())
    }

    /// What [`Unfinished::fold`] does, for one who does not hold the lock: the run may be going on, and what it does to the state later than we have
    /// read it is not for us to judge.
    pub(crate) fn look(self, state: &mut State, serial: u64, digest: &str) -> Settlement {
        let settlement = match self.is_about(serial, digest) {
            true => self.fold(state, serial, digest),
            false => Settlement {
                run: self.run,
                left_out: true,
                ..Settlement::default()
            },
        };
        Settlement {
            may_be_at_work: true,
            ..settlement
        }
    }

    /// Whether this run has found or written that state.
    fn is_about(&self, serial: u64, digest: &str) -> bool {
        self.states.contains(&(serial, digest.to_owned()))
    }

    /// Takes what the journal says into the state that it is about. `serial` and `digest` are those of the file that the state
    /// was read from.
    pub(crate) fn fold(self, state: &mut State, serial: u64, digest: &str) -> Settlement {
        // Somebody else has written the state since: what they say of an address stands.
        let ours = self.is_about(serial, digest);
        let mut settlement = Settlement {
            run: self.run,
            damaged: self.damaged,
            ..Settlement::default()
        };
        let mut last: BTreeMap<ResourceInstance, Option<(ProviderConfigRef, InstanceObjects)>> =
            BTreeMap::new();
        for (address, objects) in self.changes {
            last.insert(address, objects);
        }
        for (address, objects) in last {
            if same(state.instance(&address), objects.as_ref().map(|(_, o)| o)) {
                continue;
            }
            if ours {
                state.set_instance(&address, objects);
                settlement.recorded += 1;
                continue;
            }
            let Some((provider, objects)) = objects else {
                continue; // What is gone is found to be gone.
            };
            if state.instance(&address).is_none() {
                state.set_instance(&address, Some((provider, objects)));
                settlement.recorded += 1;
            } else if let Some(id) = stranger(state.instance(&address), &objects) {
                settlement.disputed.push(Disputed { address, id });
            }
        }
        for (_, (intent, known)) in self.open {
            match (&intent.doubt, known) {
                // It is recorded after all: the end of the operation is all that the journal lacks.
                (Doubt::Create { .. }, None) if state.current(&intent.address).is_some() => {}
                (Doubt::Create { .. }, None) => settlement.unknown.push(intent),
                (Doubt::Create { .. }, Some(object)) => {
                    note_created(state, &intent, object, &mut settlement);
                }
                (Doubt::Update | Doubt::Delete, _) => {
                    if note_existing(state, &intent) {
                        settlement.noted.push(intent);
                    }
                }
            }
        }
        settlement
    }
}

/// Records what a create may have made, as unfit until the next refresh has seen it.
fn note_created(
    state: &mut State,
    intent: &Intent,
    mut object: Object,
    settlement: &mut Settlement,
) {
    object.status = ObjectStatus::Tainted;
    mark(&mut object, &intent.doubt);
    if let Some(there) = state
        .instance(&intent.address)
        .and_then(|i| i.current.as_ref())
    {
        if attribute(there, "id") != attribute(&object, "id") {
            settlement.disputed.push(Disputed {
                address: intent.address.clone(),
                id: attribute(&object, "id"),
            });
        }
        return;
    }
    state.set_current(&intent.address, &intent.provider, Some(object));
    settlement.noted.push(intent.clone());
}

/// Marks an object that was being changed or removed; says whether it is still recorded.
fn note_existing(state: &mut State, intent: &Intent) -> bool {
    state.edit_object(&intent.address, intent.deposed.as_deref(), |object| {
        mark(object, &intent.doubt);
    })
}

fn mark(object: &mut Object, doubt: &Doubt) {
    // It was read from JSON.
    if let Ok(json) = serde_json::to_value(doubt) {
        object.unknown_fields.insert(IN_DOUBT.into(), json);
    }
}

/// Whether two records say the same.
fn same(a: Option<&InstanceObjects>, b: Option<&InstanceObjects>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.says_the_same(b),
        (None, None) => true,
        _ => false,
    }
}

/// The `id` of an object of the journal that the state does not know, if there is one.
fn stranger(there: Option<&InstanceObjects>, objects: &InstanceObjects) -> Option<Option<String>> {
    let known: Vec<Option<String>> = there
        .into_iter()
        .flat_map(|i| i.current.iter().chain(i.deposed.values()))
        .map(|o| attribute(o, "id"))
        .collect();
    objects
        .current
        .iter()
        .chain(objects.deposed.values())
        .map(|o| attribute(o, "id"))
        .find(|id| !known.contains(id))
}

fn attribute(object: &Object, name: &str) -> Option<String> {
    let attributes: BTreeMap<String, &RawValue> =
        serde_json::from_str(object.attributes.get()).ok()?;
    serde_json::from_str(attributes.get(name)?.get()).ok()
}
