//! A cluster's memory: its objects, what happened to them lately, and who owns whom.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use crate::object::{list, name, namespace, set, text, uid};
use crate::resources::{Registry, Resource};

/// How many changes watchers may be behind before they must list again (410 Gone).
const REMEMBERED: usize = 50_000;

/// Where an object is kept: resource key (`deployments.apps`), namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) key: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Id {
    pub(crate) fn new(key: &str, namespace: &str, name: &str) -> Id {
        Id {
            key: key.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn of(key: &str, object: &Value) -> Id {
        Id::new(key, namespace(object), name(object))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// A change, as watchers see it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) change: Change,
    pub(crate) id: Id,
    pub(crate) object: Arc<Value>,
    pub(crate) previous: Option<Arc<Value>>,
}

pub(crate) type Objects = BTreeMap<(String, String), Arc<Value>>;

pub(crate) struct State {
    pub(crate) registry: Registry,
    /// The cluster's CA certificate, for `kube-root-ca.crt` and service account tokens.
    pub(crate) ca_pem: String,
    objects: BTreeMap<String, Objects>,
    /// Dependents by their owners' uid.
    dependents: HashMap<String, BTreeSet<Id>>,
    version: u64,
    log: VecDeque<Event>,
    changed: watch::Sender<u64>,
}

impl State {
    pub(crate) fn new(version: u64, ca_pem: String) -> State {
        State {
            registry: Registry::new(),
            ca_pem,
            objects: BTreeMap::new(),
            dependents: HashMap::new(),
            version,
            log: VecDeque::new(),
            changed: watch::Sender::new(version),
        }
    }

    /// The version after the latest change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Tells the latest version, whenever it moves.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn get(&self, id: &Id) -> Option<&Arc<Value>> {
        self.objects
            .get(&id.key)?
            .get(&(id.namespace.clone(), id.name.clone()))
    }

    pub(crate) fn find(&self, key: &str, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.get(&Id::new(key, namespace, name))
    }

    /// Objects of a resource in order of namespace and name; of one namespace, or of all when it is empty.
    pub(crate) fn list<'a>(
        &'a self,
        key: &str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Value>> {
        let from = (namespace.to_owned(), String::new());
        self.objects
            .get(key)
            .into_iter()
            .flat_map(move |objects| objects.range(from.clone()..))
            .take_while(move |((ns, _), _)| namespace.is_empty() || ns == namespace)
            .map(|(_, object)| object)
    }

    /// `(resource key, objects)` of everything that is there.
    pub(crate) fn everything(&self) -> impl Iterator<Item = (&String, &Objects)> {
        self.objects
            .iter()
            .filter(|(_, objects)| !objects.is_empty())
    }

    pub(crate) fn dependents(&self, uid: &str) -> Vec<Id> {
        self.dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Stores an object under a new version.
    pub(crate) fn put(&mut self, resource: &Resource, mut object: Value) -> Arc<Value> {
        self.version += 1;
        set(
            &mut object,
            &["metadata", "resourceVersion"],
            self.version.to_string().into(),
        );
        let id = Id::of(&resource.key, &object);
        let object = Arc::new(object);
        let objects = self.objects.entry(id.key.clone()).or_default();
        let previous = objects.insert((id.namespace.clone(), id.name.clone()), object.clone());
        self.index(&id, previous.as_deref(), Some(&object));
        let change = if previous.is_some() {
            Change::Modified
        } else {
            Change::Added
        };
        self.note(Event {
            version: self.version,
            change,
            id,
            object: object.clone(),
            previous,
        });
        object
    }

    /// Forgets an object; what is returned has the version of its deletion.
    pub(crate) fn remove(&mut self, id: &Id) -> Option<Arc<Value>> {
        let previous = self
            .objects
            .get_mut(&id.key)?
            .remove(&(id.namespace.clone(), id.name.clone()))?;
        self.version += 1;
        self.index(id, Some(&previous), None);
        let mut last = Value::clone(&previous);
        set(
            &mut last,
            &["metadata", "resourceVersion"],
            self.version.to_string().into(),
        );
        let object = Arc::new(last);
        let event = Event {
            version: self.version,
            change: Change::Deleted,
            id: id.clone(),
            object: object.clone(),
            previous: Some(previous),
        };
        self.note(event);
        Some(object)
    }

    /// Puts back a saved object as it is; nobody is told.
    pub(crate) fn restore(&mut self, key: &str, object: Value) {
        let id = Id::of(key, &object);
        let object = Arc::new(object);
        self.index(&id, None, Some(&object));
        self.objects
            .entry(id.key)
            .or_default()
            .insert((id.namespace, id.name), object);
    }

    /// Puts these objects in the place of all that are there; watchers are told of every difference.
    pub(crate) fn replace_all(&mut self, objects: Vec<(String, Value)>) {
        let wanted: BTreeSet<Id> = objects.iter().map(|(key, o)| Id::of(key, o)).collect();
        let there = self.objects.iter().flat_map(|(key, objects)| {
            objects
                .keys()
                .map(move |(namespace, name)| Id::new(key, namespace, name))
        });
        let gone: Vec<Id> = there.filter(|id| !wanted.contains(id)).collect();
        for id in gone {
            self.remove(&id);
        }
        // Definitions first, so that the objects of their kinds have a place.
        let (definitions, others): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|(key, _)| key == crate::controllers::CRDS);
        for (key, object) in definitions.into_iter().chain(others) {
            if key == crate::controllers::CRDS
                && crate::object::condition_is_true(&object, "Established")
            {
                self.registry.serve(&object);
            }
            let same = self
                .get(&Id::of(&key, &object))
                .is_some_and(|o| **o == object);
            if let Some(resource) = self.registry.by_key(&key).filter(|_| !same) {
                self.put(&resource, object);
            }
        }
    }

    fn index(&mut self, id: &Id, before: Option<&Value>, after: Option<&Value>) {
        for owner in before
            .into_iter()
            .flat_map(|o| list(o, &["metadata", "ownerReferences"]))
        {
            if let Some(ids) = self.dependents.get_mut(text(owner, &["uid"])) {
                ids.remove(id);
            }
        }
        for owner in after
            .into_iter()
            .flat_map(|o| list(o, &["metadata", "ownerReferences"]))
        {
            self.dependents
                .entry(text(owner, &["uid"]).to_owned())
                .or_default()
                .insert(id.clone());
        }
        if after.is_none()
            && let Some(gone) = before
            && self
                .dependents
                .get(uid(gone))
                .is_some_and(BTreeSet::is_empty)
        {
            self.dependents.remove(uid(gone));
        }
    }

    fn note(&mut self, event: Event) {
        self.log.push_back(event);
        if self.log.len() > REMEMBERED {
            self.log.pop_front();
        }
        self.changed.send_replace(self.version);
    }

    /// What happened after a version; `None` when that is too long ago to tell.
    pub(crate) fn since(&self, version: u64) -> Option<impl Iterator<Item = &Event>> {
        if version < self.version {
            let oldest = self.log.front().map_or(self.version + 1, |e| e.version);
            if version + 1 < oldest {
                return None;
            }
        }
        let start = self.log.partition_point(|e| e.version <= version);
        Some(self.log.range(start..))
    }
}
