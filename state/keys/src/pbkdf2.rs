//! `pbkdf2`: keys from a passphrase, or from another key provider's key.

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderConfig};
use stead_state::encryption::{Hash, KeySource, Passphrase, Pbkdf2, ProviderKind, Secret};
use stead_value::{Sensitive, Value};

#[derive(Debug, ProviderConfig)]
pub(crate) struct Settings {
    #[attr(optional)]
    passphrase: Option<Sensitive<String>>,
    /// In bytes; 32 unless set.
    #[attr(optional)]
    key_length: Option<i64>,
    /// 600,000 unless set.
    #[attr(optional)]
    iterations: Option<i64>,
    /// `sha256` or `sha512`, which it is unless set.
    #[attr(optional)]
    hash_function: Option<String>,
    /// In bytes; 32 unless set.
    #[attr(optional)]
    salt_length: Option<i64>,
}

pub(crate) fn make(
    config: &Value,
    chain: Option<Arc<KeySource>>,
    _dialer: &Dialer,
) -> Result<ProviderKind, String> {
    let given: Settings = crate::settings(config)?;
    let text = given.passphrase.map(Sensitive::into_secret);
    let passphrase = match (text.filter(|text| !text.is_empty()), chain) {
        (Some(_), Some(_)) => return Err("passphrase and chain are mutually exclusive".into()),
        (None, Some(source)) => Passphrase::Chain(source),
        // That there is none is said by the check.
        (text, None) => Passphrase::Text(Secret::new(text.unwrap_or_default())),
    };
    let mut made = Pbkdf2::new(passphrase);
    // What is below zero is as wrong as zero.
    let length = |given: i64| usize::try_from(given).unwrap_or_default();
    if let Some(given) = given.key_length {
        made.key_length = length(given);
    }
    if let Some(given) = given.salt_length {
        made.salt_length = length(given);
    }
    if let Some(given) = given.iterations {
        made.iterations = u32::try_from(given.max(0))
            .map_err(|_| format!("the number of iterations is too large ({given})"))?;
    }
    made.hash = match given.hash_function.as_deref() {
        None | Some("sha512") => Hash::Sha512,
        Some("sha256") => Hash::Sha256,
        Some("") => return Err("please specify a hash function".into()),
        Some(other) => return Err(format!("invalid hash function name: {other}")),
    };
    made.check()?;
    Ok(ProviderKind::Pbkdf2(made))
}
