//! What the plans of one run will bring: a machine may name a storage that the same apply makes first, and all that is planned for one
//! storage must find room in it together.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is referred to by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Storage,
    /// A bridge of a node, or a virtual network.
    Bridge,
    Mapping,
    Guest,
    /// Files in a storage, by its name: what they are called is not always known yet.
    FilesIn,
    /// The list of who may do what: it will be another one.
    AccessList,
}

#[derive(Default)]
pub(crate) struct Planned {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    names: HashSet<(Kind, String)>,
    rooms: HashMap<String, Room>,
}

/// A storage, and what is to be placed there.
struct Room {
    /// Bytes that were free when the first plan asked: what was made since is counted below.
    free: i64,
    /// Bytes, by the object that is planned: one may be planned more than once.
    wanted: HashMap<String, i64>,
    /// All of them together.
    total: i64,
    told: bool,
}

/// What does not find room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// Bytes that all plans together place there.
    pub(crate) wanted: i64,
    pub(crate) free: i64,
}

impl Planned {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that there will be one of this name.
    pub(crate) fn note(&self, kind: Kind, name: &str) {
        self.inner().names.insert((kind, name.to_owned()));
    }

    pub(crate) fn has(&self, kind: Kind, name: &str) -> bool {
        self.inner().names.contains(&(kind, name.to_owned()))
    }

    /// Places so many bytes of an object on a storage that has `free` left. `Some` for the first that does not find room: the others would
    /// only repeat it.
    pub(crate) fn place(
        &self,
        storage: &str,
        object: &str,
        bytes: i64,
        free: i64,
    ) -> Option<Short> {
        let mut inner = self.inner();
        let room = inner.rooms.entry(storage.to_owned()).or_insert(Room {
            free,
            wanted: HashMap::new(),
            total: 0,
            told: false,
        });
        let before = room.wanted.insert(object.to_owned(), bytes);
        let others = room.total.saturating_sub(before.unwrap_or(0));
        room.total = others.saturating_add(bytes);
        if room.total <= room.free || room.told {
            return None;
        }
        room.told = true;
        Some(Short {
            wanted: room.total,
            free: room.free,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_for_a_storage_is_added_up_and_told_once() {
        let planned = Planned::default();
        assert_eq!(planned.place("fast", "a", 60, 100), None);
        // Planned once more, it takes no more room.
        assert_eq!(planned.place("fast", "a", 60, 100), None);
        let short = planned.place("fast", "b", 60, 40);
        assert_eq!(
            short,
            Some(Short {
                wanted: 120,
                free: 100
            })
        );
        assert_eq!(planned.place("fast", "c", 60, 0), None);
        assert_eq!(
            planned.place("other", "a", 200, 100).map(|s| s.free),
            Some(100)
        );
    }
}
