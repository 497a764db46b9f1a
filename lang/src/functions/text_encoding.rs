//! Text in other encodings than UTF-8.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::Encoding;
use stead_value::Value;

use super::encoding::from_base64;
use super::{Call, FunctionError, Outcome, quoted};

/// An encoding by its registered name.
enum Charset {
    Utf8,
    Ascii,
    Latin1,
    /// With a byte order mark when encoding.
    Utf16 {
        mark: bool,
        little: bool,
    },
    Other(&'static Encoding),
}

impl Charset {
    /// Finds it by its registered name or one of its aliases; with the name for messages.
    fn find(name: &str) -> Option<(Charset, String)> {
        let lower = name.to_ascii_lowercase();
        let (charset, preferred) = match lower.as_str() {
            "utf-8" | "csutf8" => (Charset::Utf8, "UTF-8"),
            "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us" | "iso-ir-6" | "us"
            | "ibm367" | "cp367" | "csascii" | "iso_646.irv:1991" | "ansi_x3.4-1986" => {
                (Charset::Ascii, "US-ASCII")
            }
            "iso-8859-1" | "iso_8859-1" | "iso_8859-1:1987" | "latin1" | "l1" | "iso-ir-100"
            | "ibm819" | "cp819" | "csisolatin1" => (Charset::Latin1, "ISO-8859-1"),
            "utf-16" | "csutf16" => (
                Charset::Utf16 {
                    mark: true,
                    little: false,
                },
                "UTF-16",
            ),
            "utf-16be" | "csutf16be" => (
                Charset::Utf16 {
                    mark: false,
                    little: false,
                },
                "UTF-16BE",
            ),
            "utf-16le" | "csutf16le" => (
                Charset::Utf16 {
                    mark: false,
                    little: true,
                },
                "UTF-16LE",
            ),
            _ => {
                let encoding = Encoding::for_label(name.as_bytes())?;
                // What the label table takes for one of these was named by a label that is not registered.
                let web_only = encoding == encoding_rs::UTF_8
                    || encoding == encoding_rs::UTF_16LE
                    || encoding == encoding_rs::UTF_16BE
                    || encoding == encoding_rs::REPLACEMENT
                    || encoding == encoding_rs::X_USER_DEFINED
                    || (encoding == encoding_rs::WINDOWS_1252
                        && !matches!(&*lower, "windows-1252" | "cswindows1252"));
                return (!web_only).then(|| (Charset::Other(encoding), encoding.name().to_owned()));
            }
        };
        Some((charset, preferred.to_owned()))
    }

    fn encode(&self, text: &str) -> Option<Vec<u8>> {
        match self {
            Charset::Utf8 => Some(text.as_bytes().to_vec()),
            Charset::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
            Charset::Latin1 => text.chars().map(|c| u8::try_from(c as u32).ok()).collect(),
            Charset::Utf16 { mark, little } => {
                let mark = mark.then_some(0xfeff);
                let bytes = |unit: u16| {
                    if *little {
                        unit.to_le_bytes()
                    } else {
                        unit.to_be_bytes()
                    }
                };
                Some(
                    mark.into_iter()
                        .chain(text.encode_utf16())
                        .flat_map(bytes)
                        .collect(),
                )
            }
            Charset::Other(encoding) => {
                let (bytes, _, lost) = encoding.encode(text);
                (!lost).then(|| bytes.into_owned())
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Option<String> {
        match self {
            Charset::Utf8 => String::from_utf8(bytes.to_vec()).ok(),
            Charset::Ascii => bytes
                .is_ascii()
                .then(|| bytes.iter().map(|b| char::from(*b)).collect()),
            Charset::Latin1 => Some(bytes.iter().map(|b| char::from(*b)).collect()),
            Charset::Utf16 { mark, little } => {
                let (little, body) = match bytes {
                    [0xfe, 0xff, rest @ ..] if *mark => (false, rest),
                    [0xff, 0xfe, rest @ ..] if *mark => (true, rest),
                    all => (*little, all),
                };
                let (pairs, odd) = body.as_chunks::<2>();
                let unit = |pair: &[u8; 2]| {
                    if little {
                        u16::from_le_bytes(*pair)
                    } else {
                        u16::from_be_bytes(*pair)
                    }
                };
                let units: Vec<u16> = pairs.iter().map(unit).collect();
                String::from_utf16(&units).ok().filter(|_| odd.is_empty())
            }
            Charset::Other(encoding) => {
                let (text, bad) = encoding.decode_without_bom_handling(bytes);
                (!bad).then(|| text.into_owned())
            }
        }
    }
}

fn charset(call: &Call<'_>) -> Result<(Charset, String), FunctionError> {
    Charset::find(call.text(1)).ok_or_else(|| {
        let name = quoted(call.text(1));
        let message = format!(
            "{name} is not a supported IANA encoding name or alias in this Terraform version"
        );
        FunctionError::argument(1, message)
    })
}

pub(super) fn textencodebase64(call: &Call<'_>) -> Outcome {
    let (charset, name) = charset(call)?;
    let bytes = charset.encode(call.text(0)).ok_or_else(|| {
        let message =
            format!("the given string contains characters that cannot be represented in {name}");
        FunctionError::argument(0, message)
    })?;
    Ok(Value::string(STANDARD.encode(bytes)))
}

pub(super) fn textdecodebase64(call: &Call<'_>) -> Outcome {
    let (charset, name) = charset(call)?;
    let bytes = from_base64(call.text(0)).ok_or_else(|| {
        let wrong = |b: &u8| !(b.is_ascii_alphanumeric() || b"+/=\r\n".contains(b));
        let at = call
            .text(0)
            .bytes()
            .position(|b| wrong(&b))
            .unwrap_or(call.text(0).len());
        FunctionError::argument(
            0,
            format!("the given value is has an invalid base64 symbol at offset {at}"),
        )
    })?;
    let text = charset.decode(&bytes).ok_or_else(|| {
        let message = format!("the given string contains symbols that are not defined for {name}");
        FunctionError::argument(0, message)
    })?;
    Ok(Value::string(text))
}
