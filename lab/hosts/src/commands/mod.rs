//! Commands of the hosts that not every machine has.

pub(crate) mod snap;
pub(crate) mod usermod;
