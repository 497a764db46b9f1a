//! One node: where it is, who we are to it, and in which state it answers.

mod api;
mod call;
mod contact;
mod target;

pub(crate) use api::Api;
pub(crate) use call::CallError;
pub(crate) use contact::Contact;
pub(crate) use target::{Node, polling};
