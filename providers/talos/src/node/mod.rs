//! One node: where it is, who we are to it, and in which state it answers.

mod api;
mod call;
mod contact;
mod operations;
mod pins;
mod snapshots;
mod target;

pub(crate) use api::Api;
pub(crate) use call::CallError;
pub(crate) use contact::Contact;
pub(crate) use operations::Installed;
pub(crate) use pins::Pins;
pub(crate) use snapshots::look_at;
pub(crate) use target::{Node, advised, polling};
