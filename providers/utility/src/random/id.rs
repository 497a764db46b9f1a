//! `random_id` and `random_bytes`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use num_bigint::BigUint;
use rand::Rng as _;
use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Error, PlanDraft, Resource};

use crate::generated::{Generated, Keepers, at_least, generated, ignore_null_keepers, invalid};

/// No sane identifier is longer; the state would not bear it.
const MOST_BYTES: i64 = 1024 * 1024;

/// Random bytes for unique names, in several spellings.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_id")]
pub(crate) struct RandomId {
    /// Arbitrary values that, when changed, make a new id.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// How many random bytes.
    #[attr(required, replace)]
    byte_length: i64,
    /// Put before the value in every spelling but `id`.
    #[attr(optional, replace)]
    prefix: Option<String>,
    /// URL-safe base64 without padding.
    #[attr(computed)]
    b64_url: String,
    /// Base64.
    #[attr(computed)]
    b64_std: String,
    /// Hexadecimal, two digits a byte.
    #[attr(computed)]
    hex: String,
    /// Decimal.
    #[attr(computed)]
    dec: String,
    /// URL-safe base64 without padding and prefix.
    #[attr(computed)]
    id: String,
}

/// Random bytes for secrets.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_bytes")]
pub(crate) struct RandomBytes {
    /// Arbitrary values that, when changed, make new bytes.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// How many bytes.
    #[attr(required, replace)]
    length: i64,
    /// Base64.
    #[attr(computed, sensitive)]
    base64: Sensitive<String>,
    /// Hexadecimal.
    #[attr(computed, sensitive)]
    hex: Sensitive<String>,
}

generated!(RandomId, RandomBytes);

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn draw(length: i64) -> Vec<u8> {
    let mut bytes = vec![0u8; usize::try_from(length.clamp(0, MOST_BYTES)).unwrap_or(0)];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn validate_length(config: &Value, name: &str) -> Diagnostics {
    let mut found = Diagnostics::new();
    at_least(config, name, 1, &mut found);
    if config
        .get(name)
        .and_then(|v| v.as_i64())
        .is_some_and(|n| n > MOST_BYTES)
    {
        found.push(invalid(
            name,
            format!("`{name}` must be at most {MOST_BYTES}."),
        ));
    }
    found
}

impl RandomId {
    fn of(bytes: &[u8], prefix: Option<String>, keepers: Option<Keepers>) -> RandomId {
        let before = prefix.clone().unwrap_or_default();
        let id = URL_SAFE_NO_PAD.encode(bytes);
        RandomId {
            keepers,
            byte_length: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            b64_url: format!("{before}{id}"),
            b64_std: format!("{before}{}", STANDARD.encode(bytes)),
            hex: format!("{before}{}", hex(bytes)),
            dec: format!("{before}{}", BigUint::from_bytes_be(bytes)),
            prefix,
            id,
        }
    }
}

impl Generated for RandomId {
    fn validate(config: &Value) -> Diagnostics {
        validate_length(config, "byte_length")
    }

    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "keepers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        Ok(RandomId::of(
            &draw(self.byte_length),
            self.prefix,
            self.keepers,
        ))
    }

    /// `ID` or `PREFIX,ID`, the id in URL-safe base64.
    fn import(text: &str) -> Result<Self, Error> {
        let (prefix, id) = match text.rsplit_once(',') {
            Some((prefix, id)) => (Some(prefix.to_owned()).filter(|p| !p.is_empty()), id),
            None => (None, text),
        };
        let bytes = URL_SAFE_NO_PAD.decode(id).map_err(|e| {
            Error::new(
                "import the random_id",
                format!("the id is not URL-safe base64: {e}"),
            )
            .remedy("Give the attribute `id` of the old object, or PREFIX,ID.")
        })?;
        Ok(RandomId::of(&bytes, prefix, None))
    }
}

impl RandomBytes {
    fn of(bytes: &[u8], keepers: Option<Keepers>) -> RandomBytes {
        RandomBytes {
            keepers,
            length: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            base64: STANDARD.encode(bytes).into(),
            hex: hex(bytes).into(),
        }
    }
}

impl Generated for RandomBytes {
    fn validate(config: &Value) -> Diagnostics {
        validate_length(config, "length")
    }

    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "keepers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        Ok(RandomBytes::of(&draw(self.length), self.keepers))
    }

    /// The bytes in base64. They are a secret: no message repeats them.
    fn import(text: &str) -> Result<Self, Error> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| Error::new("import the random_bytes", "what was given is not base64"))?;
        Ok(RandomBytes::of(&bytes, None))
    }
}
