//! Hashes, passwords and identifiers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use stead_value::{Type, Value};
use uuid::Uuid;

use super::{Call, FunctionError, Outcome};

/// Bytes as lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn digest<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    D::digest(bytes).to_vec()
}

fn hexed<D: Digest>(call: &Call<'_>) -> Outcome {
    Ok(Value::string(hex(&digest::<D>(call.text(0).as_bytes()))))
}

fn based<D: Digest>(call: &Call<'_>) -> Outcome {
    Ok(Value::string(
        STANDARD.encode(digest::<D>(call.text(0).as_bytes())),
    ))
}

pub(super) fn md5(call: &Call<'_>) -> Outcome {
    hexed::<md5::Md5>(call)
}

pub(super) fn sha1(call: &Call<'_>) -> Outcome {
    hexed::<sha1::Sha1>(call)
}

pub(super) fn sha256(call: &Call<'_>) -> Outcome {
    hexed::<sha2::Sha256>(call)
}

pub(super) fn sha512(call: &Call<'_>) -> Outcome {
    hexed::<sha2::Sha512>(call)
}

pub(super) fn base64sha256(call: &Call<'_>) -> Outcome {
    based::<sha2::Sha256>(call)
}

pub(super) fn base64sha512(call: &Call<'_>) -> Outcome {
    based::<sha2::Sha512>(call)
}

/// The cost that the reference takes when none is given.
const DEFAULT_COST: u32 = 10;
/// More bytes than bcrypt hashes.
const MAX_PASSWORD: usize = 72;

pub(super) fn bcrypt(call: &Call<'_>) -> Outcome {
    if call.args.len() > 2 {
        return Err(FunctionError::new(
            "bcrypt() takes no more than two arguments",
        ));
    }
    let cost = if call.args.len() == 2 {
        call.int(1)?
    } else {
        i64::from(DEFAULT_COST)
    };
    if cost > 31 {
        let message = format!(
            "error occured generating password crypto/bcrypt: cost {cost} is outside allowed range (4,31)"
        );
        return Err(FunctionError::new(message));
    }
    // Costs below the least count as the default.
    let cost = u32::try_from(cost)
        .ok()
        .filter(|c| *c >= 4)
        .unwrap_or(DEFAULT_COST);
    if call.text(0).len() > MAX_PASSWORD {
        return Err(FunctionError::new(
            "error occured generating password bcrypt: password length exceeds 72 bytes",
        ));
    }
    let Some(world) = call.context.world() else {
        return Ok(Value::unknown(Type::String));
    };
    let mut salt = [0u8; 16];
    world.random(&mut salt);
    let parts = bcrypt::hash_with_salt(call.text(0), cost, salt)
        .map_err(|e| FunctionError::new(format!("error occured generating password {e}")))?;
    Ok(Value::string(
        parts.format_for_version(bcrypt::Version::TwoA),
    ))
}

pub(super) fn rsadecrypt(_: &Call<'_>) -> Outcome {
    Err(FunctionError::new(
        "rsadecrypt is not supported by stead: decrypt the password outside and pass it in as a sensitive variable",
    ))
}

pub(super) fn uuid(call: &Call<'_>) -> Outcome {
    let Some(world) = call.context.world() else {
        return Ok(Value::unknown(Type::String));
    };
    // The reference's identifiers are sixteen random bytes without version bits; ours say that they are random.
    let mut bytes = [0u8; 16];
    world.random(&mut bytes);
    Ok(Value::string(
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string(),
    ))
}

pub(super) fn uuidv5(call: &Call<'_>) -> Outcome {
    let namespace = match call.text(0) {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        other => Uuid::parse_str(other).map_err(|_| {
            let why = match other.len() {
                36 | 38 | 41 | 45 | 32 => "invalid UUID format".to_owned(),
                n => format!("invalid UUID length: {n}"),
            };
            FunctionError::new(format!(
                "uuidv5() doesn't support namespace {other} ({why})"
            ))
        })?,
    };
    Ok(Value::string(
        Uuid::new_v5(&namespace, call.text(1).as_bytes()).to_string(),
    ))
}
