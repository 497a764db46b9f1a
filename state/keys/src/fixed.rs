//! `static`: one key, written out.

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderConfig};
use stead_state::encryption::{KeySource, ProviderKind, Secret};
use stead_value::{Sensitive, Value};

#[derive(Debug, ProviderConfig)]
pub(crate) struct Static {
    /// In hexadecimal.
    #[attr(required)]
    key: Sensitive<String>,
}

pub(crate) fn make(
    config: &Value,
    _chain: Option<Arc<KeySource>>,
    _dialer: &Dialer,
) -> Result<ProviderKind, String> {
    let Static { key } = crate::settings(config)?;
    let key = key.expose_secret();
    if key.is_empty() {
        return Err("Missing key".into());
    }
    let bytes = hexadecimal(key).ok_or("failed to hex-decode the provided key")?;
    Ok(ProviderKind::Static(Secret::new(bytes)))
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
    pairs.iter().map(byte).collect()
}
