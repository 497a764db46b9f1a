//! `proxmox_vm` and `proxmox_cloned_vm`: machines of which only what is configured is managed.

mod blocks;
mod cloned;
mod data;
mod machine;

pub(crate) use cloned::ClonedVm;
pub(crate) use data::Found;
pub(crate) use machine::Machine;
