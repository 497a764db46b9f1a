//! The appliance as all connections share it: its state, its events, its settings.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};
use stead_lab_core::{Lab, Saver};
use tokio::sync::broadcast;

use crate::Options;
use crate::jobs::Jobs;
use crate::methods::datasets;
use crate::schema::Api;
use crate::state::{Node, Service, State};

/// Shared by every connection.
pub(crate) struct System {
    pub lab: Lab,
    pub options: Options,
    pub api: Api,
    pub jobs: Jobs,
    /// Login tokens of `auth.generate_token`, with their end in milliseconds since 1970.
    pub tokens: Mutex<BTreeMap<String, i64>>,
    state: Arc<Mutex<State>>,
    saver: Saver,
    events: broadcast::Sender<Event>,
}

/// A change that subscribers hear of.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub collection: String,
    pub message: Value,
}

impl System {
    pub(crate) fn open(lab: &Lab, options: Options) -> io::Result<Arc<System>> {
        let mut state: State = lab.store.load("truenas")?.unwrap_or_default();
        if state.datasets.is_empty() {
            let time = now();
            state.installed = time;
            state
                .datasets
                .insert(options.pool.clone(), datasets::root(time / 1000));
            state.nodes.insert(
                format!("/mnt/{}", options.pool),
                Node::directory(time / 1000),
            );
            for name in [
                "cifs",
                "ftp",
                "iscsitarget",
                "nfs",
                "snmp",
                "ssh",
                "ups",
                "nvmet",
            ] {
                state.services.insert(
                    name.to_owned(),
                    Service {
                        enabled: false,
                        running: false,
                    },
                );
            }
        }
        // After a boot, what starts at boot runs and nothing else.
        for service in state.services.values_mut() {
            service.running = service.enabled;
        }
        let state = Arc::new(Mutex::new(state));
        let saved = state.clone();
        let saver = Saver::start(lab, "truenas", move || Saved(saved.clone()));
        saver.changed();
        let (events, _) = broadcast::channel(256);
        let (lab, api) = (lab.clone(), Api::load()?);
        Ok(Arc::new(System {
            lab,
            options,
            api,
            jobs: Jobs::default(),
            tokens: Mutex::default(),
            state,
            saver,
            events,
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the state saved soon.
    pub(crate) fn changed(&self) {
        self.saver.changed();
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells subscribers of a collection that something was added, changed or removed.
    pub(crate) fn event(&self, collection: &str, what: &str, id: &Value, fields: Option<&Value>) {
        let mut params = json!({"msg": what, "collection": collection, "id": id});
        if let (Some(map), Some(fields)) = (params.as_object_mut(), fields) {
            map.insert("fields".to_owned(), fields.clone());
        }
        let message = json!({"jsonrpc": "2.0", "method": "collection_update", "params": params});
        // Nobody listening is no failure.
        let _ = self.events.send(Event {
            collection: collection.to_owned(),
            message,
        });
    }
}

/// The state as it is saved: locked only while it is written down, not while the disk works.
struct Saved(Arc<Mutex<State>>);

impl Serialize for Saved {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .serialize(serializer)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// `Sat Nov 21  1:43 2026`, as ZFS prints times; UTC.
pub(crate) fn local_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%a %b %e %k:%M %Y")
        .to_string()
}
