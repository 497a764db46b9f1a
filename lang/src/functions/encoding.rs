//! Base64, gzip, URL, JSON and CSV.

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use stead_value::json::{from_json, from_json_implied, to_json_text};
use stead_value::{Type, Value};

use super::collections::with_prefix;
use super::{Call, FunctionError, Outcome, quoted, shown};

/// Decodes base64; line ends inside do not matter.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.contains(['\r', '\n']) {
        return STANDARD.decode(text.replace(['\r', '\n'], "")).ok();
    }
    STANDARD.decode(text).ok()
}

pub(super) fn base64encode(call: &Call<'_>) -> Outcome {
    Ok(Value::string(STANDARD.encode(call.text(0))))
}

pub(super) fn base64decode(call: &Call<'_>) -> Outcome {
    let marks = call.arg(0).marks();
    let Some(text) = call.arg(0).as_str() else {
        return Ok(Value::unknown(Type::String).with_marks(marks));
    };
    let Some(bytes) = from_base64(text) else {
        let message = format!("failed to decode base64 data {}", shown(text, marks));
        return Err(FunctionError::new(message));
    };
    let decoded = String::from_utf8(bytes).map_err(|_| {
        FunctionError::new("the result of decoding the provided string is not valid UTF-8")
    })?;
    Ok(Value::string(decoded).with_marks(marks))
}

pub(super) fn base64gzip(call: &Call<'_>) -> Outcome {
    Ok(Value::string(
        STANDARD.encode(super::gzip::gzip(call.text(0).as_bytes())),
    ))
}

/// A bomb stops here.
const MAX_GUNZIP: u64 = 256 << 20;

pub(super) fn base64gunzip(call: &Call<'_>) -> Outcome {
    let Some(bytes) = from_base64(call.text(0)) else {
        return Err(FunctionError::new(format!(
            "failed to decode base64 data {}",
            quoted(call.text(0))
        )));
    };
    let mut out = Vec::new();
    GzDecoder::new(&bytes[..])
        .take(MAX_GUNZIP)
        .read_to_end(&mut out)
        .map_err(|e| FunctionError::new(format!("failed to read gunzip raw data: {e}")))?;
    if out.len() as u64 == MAX_GUNZIP {
        return Err(FunctionError::new(
            "the decompressed data is larger than 256 MiB",
        ));
    }
    String::from_utf8(out).map(Value::string).map_err(|_| {
        FunctionError::new("the result of decompressing the provided string is not valid UTF-8")
    })
}

/// As in a query: blanks become `+`.
pub(super) fn urlencode(call: &Call<'_>) -> Outcome {
    let mut out = String::new();
    for b in call.text(0).bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(b));
            }
            b' ' => out.push('+'),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    Ok(Value::string(out))
}

pub(super) fn urldecode(call: &Call<'_>) -> Outcome {
    let text = call.text(0);
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().enumerate();
    while let Some((at, b)) = bytes.next() {
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = text.as_bytes().get(at + 1..at + 3);
                let byte = digits
                    .filter(|d| d.iter().all(u8::is_ascii_hexdigit))
                    .and_then(|d| std::str::from_utf8(d).ok())
                    .and_then(|d| u8::from_str_radix(d, 16).ok());
                let Some(byte) = byte else {
                    let wrong =
                        String::from_utf8_lossy(text.as_bytes().get(at..).unwrap_or_default());
                    let wrong: String = wrong.chars().take(3).collect();
                    let message = format!(
                        "failed to decode URL {}: invalid URL escape {}",
                        quoted(text),
                        quoted(&wrong)
                    );
                    return Err(FunctionError::new(message));
                };
                out.push(byte);
                bytes.nth(1);
            }
            b => out.push(b),
        }
    }
    String::from_utf8(out).map(Value::string).map_err(|_| {
        FunctionError::new("the result of decoding the provided string is not valid UTF-8")
    })
}

pub(super) fn jsonencode(call: &Call<'_>) -> Outcome {
    let value = call.arg(0);
    if !value.is_wholly_known() {
        if !value.is_definitely_not_null() {
            return Ok(Value::unknown(Type::String));
        }
        return Ok(match value.ty() {
            Type::String => with_prefix("\""),
            Type::Object(_) | Type::Map(_) => with_prefix("{"),
            Type::Tuple(_) | Type::List(_) | Type::Set(_) => with_prefix("["),
            _ => Value::unknown(Type::String),
        });
    }
    to_json_text(value, &value.ty())
        .map(Value::string)
        .map_err(|e| FunctionError::new(e.message))
}

/// What the document's first character already says of its type.
pub(super) fn jsondecode_type(args: &[Value]) -> Result<Type, FunctionError> {
    let known = args
        .first()
        .and_then(Value::refinement)
        .and_then(|r| r.prefix.as_deref())
        .unwrap_or_default();
    match known.trim().chars().next() {
        None | Some('{' | '[' | 'n') => Ok(Type::Dynamic),
        Some('"') => Ok(Type::String),
        Some('t' | 'f') => Ok(Type::Bool),
        Some('-' | '.' | '0'..='9') => Ok(Type::Number),
        Some(c) => Err(FunctionError::argument(
            0,
            format!("a JSON document cannot begin with the character {c:?}"),
        )),
    }
}

pub(super) fn jsondecode(call: &Call<'_>) -> Outcome {
    let text = paired(call.text(0));
    let json = serde_json::from_str::<serde_json::Value>(&text).map_err(|e| {
        let message = match e.classify() {
            serde_json::error::Category::Eof if call.text(0).trim().is_empty() => "EOF".to_owned(),
            serde_json::error::Category::Eof => "unexpected end of JSON input".to_owned(),
            _ => e.to_string(),
        };
        FunctionError::new(message)
    })?;
    let implied = from_json_implied(&json).map_err(|e| FunctionError::new(e.message))?;
    // Once more by the implied type, as the reference does: strings stay strings.
    from_json(&json, &implied.ty()).or(Ok(implied))
}

/// The text with U+FFFD for each `\\uD800`…`\\uDFFF` that is not one of a pair: Go reads these so, serde refuses them.
fn paired(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::new();
    let mut taken = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        let lone = match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => {
                at += 12;
                continue;
            }
            (Some(unit), _) => (0xd800..=0xdfff).contains(&unit),
            (None, _) => {
                // The character behind a backslash is no backslash of its own.
                at += 1 + text
                    .get(at + 1..)
                    .and_then(|t| t.chars().next())
                    .map_or(0, char::len_utf8);
                continue;
            }
        };
        if lone {
            out.push_str(text.get(taken..at).unwrap_or_default());
            out.push_str("\\ufffd");
            taken = at + 6;
        }
        at += 6;
    }
    match taken {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(out + text.get(taken..).unwrap_or_default()),
    }
}

pub(super) fn csvdecode(call: &Call<'_>) -> Outcome {
    super::csv::decode(call.text(0)).map_err(FunctionError::new)
}
