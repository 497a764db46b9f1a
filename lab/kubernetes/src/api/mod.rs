//! The REST API: paths and verbs to operations, bodies and answers.

mod discovery;
mod openapi;
mod request;
mod review;
mod serve;
mod subresource;
mod table;
mod watch;

pub(crate) use serve::router;
