//! Containers: what they have beside what all guests have.

pub(crate) mod create;
pub(crate) mod hardware;
pub(crate) mod interfaces;
pub(crate) mod ostype;
pub(crate) mod permission;
pub(crate) mod update;
