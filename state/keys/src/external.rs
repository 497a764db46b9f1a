//! `external`: a command gives the keys.

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderConfig};
use stead_state::encryption::{KeySource, ProviderKind};
use stead_value::Value;

#[derive(Debug, ProviderConfig)]
pub(crate) struct External {
    /// The program and its arguments.
    #[attr(required)]
    command: Vec<String>,
}

pub(crate) fn make(
    config: &Value,
    _chain: Option<Arc<KeySource>>,
    _dialer: &Dialer,
) -> Result<ProviderKind, String> {
    let External { command } = crate::settings(config)?;
    match command.as_slice() {
        [] => Err("the command option is required".into()),
        _ => Ok(ProviderKind::External(command)),
    }
}
