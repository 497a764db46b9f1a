//! Argo CD stand-in.
use crate::cluster::Core;
use std::sync::Arc;
#[derive(Clone, Default)]
pub(crate) struct Repositories;
pub(crate) async fn run(_core: Arc<Core>) {}
