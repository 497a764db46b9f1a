//! For tests in which no other stack has a state.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_sdk::async_trait;
use stead_sdk::value::{Diagnostic, Value};
use stead_utility::RemoteStates;

pub(crate) fn nowhere() -> Arc<dyn RemoteStates> {
    Arc::new(Nowhere)
}

struct Nowhere;

#[async_trait]
impl RemoteStates for Nowhere {
    fn backends(&self) -> Vec<&'static str> {
        vec!["local"]
    }

    async fn outputs(
        &self,
        _: &str,
        _: &str,
        _: &Value,
        _: &str,
    ) -> Result<Option<BTreeMap<Arc<str>, Value>>, Diagnostic> {
        Ok(None)
    }
}
