//! Virtual machines: what they have beside what all guests have.

pub(crate) mod agent;
pub(crate) mod boot;
pub(crate) mod cloudinit;
pub(crate) mod create;
pub(crate) mod hardware;
pub(crate) mod hotplug;
pub(crate) mod monitor;
pub(crate) mod permission;
pub(crate) mod suspend;
pub(crate) mod update;
