//! Faults on demand: named switches that simulations consult before they answer, seeded and repeatable, kept across restarts.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Store;

/// What happens when a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The answer comes later, by so many milliseconds.
    Delay(u64),
    /// The request is answered with this HTTP status and message, and is not carried out.
    Status { code: u16, message: String },
    /// The connection is closed without an answer.
    Drop,
    /// The simulation's own meaning of the fault's name, such as `proxmox.storage-full`.
    On,
}

/// A switch, by name: `SYSTEM` strikes every HTTP request of that system, `SYSTEM.EVENT` what the simulation calls so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub name: String,
    pub effect: Effect,
    /// Lets so many occasions pass first.
    #[serde(default)]
    pub skip: u64,
    /// Strikes at most so often; `None`: until it is cleared.
    #[serde(default)]
    pub times: Option<u64>,
    /// Strikes this many of a hundred occasions, drawn from the lab's seed.
    #[serde(default = "always")]
    pub percent: u8,
}

fn always() -> u8 {
    100
}

/// The registry of switches; all clones are the same one.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
    store: Store,
}

#[derive(Default, Serialize, Deserialize)]
struct Inner {
    faults: BTreeMap<String, Fault>,
    /// State of the generator that draws `percent`.
    random: u64,
}

impl Faults {
    /// Loads the switches of this lab.
    pub fn open(store: &Store, seed: u64) -> io::Result<Faults> {
        let inner = store.load("faults")?.unwrap_or(Inner {
            faults: BTreeMap::new(),
            random: seed,
        });
        Ok(Faults {
            inner: Arc::new(Mutex::new(inner)),
            store: store.clone(),
        })
    }

    /// Sets a switch; replaces an earlier one of the same name.
    pub fn set(&self, fault: Fault) -> io::Result<()> {
        let mut inner = self.lock();
        inner.faults.insert(fault.name.clone(), fault);
        self.store.save("faults", &*inner)
    }

    /// Removes the switch of this name, or all of them; tells how many there were.
    pub fn clear(&self, name: Option<&str>) -> io::Result<usize> {
        let mut inner = self.lock();
        let before = inner.faults.len();
        match name {
            Some(name) => drop(inner.faults.remove(name)),
            None => inner.faults.clear(),
        }
        self.store.save("faults", &*inner)?;
        Ok(before - inner.faults.len())
    }

    /// Whether none is set; cheap enough to ask before every request.
    pub fn is_quiet(&self) -> bool {
        self.lock().faults.is_empty()
    }

    pub fn list(&self) -> Vec<Fault> {
        self.lock().faults.values().cloned().collect()
    }

    /// Whether the fault of this name strikes now; counts the occasion.
    pub fn strike(&self, name: &str) -> Option<Effect> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let fault = inner.faults.get_mut(name)?;
        let effect = fault.occasion(&mut inner.random);
        if fault.times == Some(0) {
            inner.faults.remove(name);
        }
        if let Err(error) = self.store.save("faults", inner) {
            tracing::error!(%error, "cannot save the lab's faults");
        }
        effect
    }

    /// [`Faults::strike`] for switches that are only on or off; a delay is waited for and then counts as off.
    pub async fn is_on(&self, name: &str) -> bool {
        match self.strike(name) {
            None => false,
            Some(Effect::Delay(millis)) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                false
            }
            Some(Effect::On | Effect::Drop | Effect::Status { .. }) => true,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    fn occasion(&mut self, random: &mut u64) -> Option<Effect> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.percent < 100 && next(random) % 100 >= u64::from(self.percent) {
            return None;
        }
        if let Some(times) = &mut self.times {
            *times = times.checked_sub(1)?;
        }
        Some(self.effect.clone())
    }
}

/// The SplitMix64 generator: one word of state that fits a JSON document.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str, skip: u64, times: Option<u64>, percent: u8) -> Fault {
        Fault {
            name: name.to_owned(),
            effect: Effect::On,
            skip,
            times,
            percent,
        }
    }

    #[test]
    fn strikes_after_skip_and_only_so_often_also_across_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let faults = Faults::open(&store, 1).unwrap();
        faults.set(fault("proxmox.lock", 1, Some(2), 100)).unwrap();
        assert_eq!(faults.strike("proxmox.lock"), None);
        assert_eq!(faults.strike("proxmox.lock"), Some(Effect::On));
        let again = Faults::open(&store, 1).unwrap();
        assert_eq!(again.strike("proxmox.lock"), Some(Effect::On));
        assert_eq!(again.strike("proxmox.lock"), None);
        assert!(again.list().is_empty());
    }

    #[test]
    fn draws_repeat_with_the_seed() {
        let draw = || {
            let dir = tempfile::tempdir().unwrap();
            let faults = Faults::open(&Store::open(dir.path()).unwrap(), 7).unwrap();
            faults.set(fault("x", 0, None, 30)).unwrap();
            (0..50)
                .map(|_| faults.strike("x").is_some())
                .collect::<Vec<_>>()
        };
        let first = draw();
        assert_eq!(first, draw());
        assert!(first.contains(&true) && first.contains(&false));
    }
}
