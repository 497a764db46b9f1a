//! Scalar types: what text a field accepts and the form it is written back in.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Release;
use super::units;
use crate::machinery::value::Value;
use crate::machinery::yaml::{Node, NodeKind, Resolved};

/// A scalar type of the table.
#[derive(Clone, Debug)]
pub(crate) enum ScalarKind {
    Bool,
    Int {
        min: i128,
        max: i128,
    },
    Str,
    /// Text without leading line breaks and tabs (inline manifests).
    Trimmed,
    Url,
    Addr,
    Prefix,
    AddrPort,
    /// An expression in the Common Expression Language; its syntax is the node's business.
    Cel,
    ByteSize,
    Percent,
    Size,
    Mac,
    PortRange,
    Duration,
    Base64,
    DiskSize,
    FileMode,
    SizeMatch,
    /// One of some texts, the zero value first (`-`: none stands for zero).
    Enum {
        name: &'static str,
        texts: Vec<(&'static str, Release)>,
    },
}

impl ScalarKind {
    pub(super) fn named(name: &str) -> Option<Self> {
        let int = |min: i128, max: i128| Self::Int { min, max };
        Some(match name {
            "bool" => Self::Bool,
            "int" | "int64" => int(i128::from(i64::MIN), i128::from(i64::MAX)),
            "int32" => int(i128::from(i32::MIN), i128::from(i32::MAX)),
            "uint8" => int(0, i128::from(u8::MAX)),
            "uint16" => int(0, i128::from(u16::MAX)),
            "uint32" => int(0, i128::from(u32::MAX)),
            "uint" | "uint64" => int(0, i128::from(u64::MAX)),
            "string" => Self::Str,
            "trimmed" => Self::Trimmed,
            "url" => Self::Url,
            "addr" => Self::Addr,
            "prefix" => Self::Prefix,
            "addrport" => Self::AddrPort,
            "cel" => Self::Cel,
            "bytesize" => Self::ByteSize,
            "percent" => Self::Percent,
            "size" => Self::Size,
            "mac" => Self::Mac,
            "portrange" => Self::PortRange,
            "duration" => Self::Duration,
            "base64" => Self::Base64,
            "disksize" => Self::DiskSize,
            "filemode" => Self::FileMode,
            "sizematch" => Self::SizeMatch,
            _ => return None,
        })
    }

    /// Whether a merge takes the right side even when it is absent there.
    ///
    /// A quirk of Talos: a second partial patch of a volume wipes what it does not mention.
    pub(crate) fn overwrites_always(&self) -> bool {
        matches!(self, Self::Cel | Self::ByteSize | Self::Bool)
    }

    /// The value that stands for Go's zero, which an absent field emits when it is not omitted.
    pub(crate) fn zero(&self) -> Value {
        match self {
            Self::Bool => Value::Bool(false),
            Self::Int { .. } => Value::Int(0),
            Self::FileMode => Value::Plain("0o0".to_owned()),
            Self::Duration => Value::str("0s"),
            Self::DiskSize => Value::str("0 B"),
            Self::PortRange => Value::Int(0),
            Self::Enum { texts, .. } => Value::str(
                texts
                    .first()
                    .map_or("", |t| if t.0 == "-" { "" } else { t.0 }),
            ),
            _ => Value::str(""),
        }
    }

    /// Whether a present value equals the zero value.
    pub(crate) fn is_zero(&self, value: &Value) -> bool {
        // A decoded []byte is never nil, so only its absence is zero; emptiness is the writer's test.
        !matches!(self, Self::Base64) && *value == self.zero()
    }

    /// Reads a scalar node into its canonical value.
    pub(super) fn decode(&self, node: &Node, release: Release) -> Result<Value, String> {
        let NodeKind::Scalar(scalar) = &node.kind else {
            let tag = if matches!(node.kind, NodeKind::Seq(_)) {
                "seq"
            } else {
                "map"
            };
            return Err(format!("cannot construct !!{tag} into {}", self.go_name()));
        };
        let text = scalar.text.as_str();
        let mismatch = |tag: &str| {
            format!(
                "cannot construct !!{tag} `{}` into {}",
                shorten(text),
                self.go_name()
            )
        };
        match self {
            Self::Bool => match scalar.resolve() {
                Resolved::Bool(b) => Ok(Value::Bool(b)),
                Resolved::Str => match text {
                    "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(Value::Bool(true)),
                    "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                        Ok(Value::Bool(false))
                    }
                    _ => Err(mismatch("str")),
                },
                other => Err(mismatch(tag_of(other))),
            },
            Self::Int { min, max } => match scalar.resolve() {
                Resolved::Int(i) if (*min..=*max).contains(&i) => Ok(Value::Int(i)),
                Resolved::Float(x)
                    if x.fract() == 0.0 && (*min as f64..=*max as f64).contains(&x) =>
                {
                    Ok(Value::Int(x as i128))
                }
                other => Err(mismatch(tag_of(other))),
            },
            Self::FileMode => match scalar.resolve() {
                Resolved::Int(i) if (0..=i128::from(u32::MAX)).contains(&i) => {
                    Ok(Value::Plain(format!("0o{i:o}")))
                }
                other => Err(mismatch(tag_of(other))),
            },
            Self::Duration => match scalar.resolve() {
                Resolved::Int(i) => i64::try_from(i)
                    .map(|n| Value::Str(units::duration_text(n)))
                    .map_err(|_| mismatch("int")),
                Resolved::Str => units::parse_duration(text)
                    .map(|n| Value::Str(units::duration_text(n)))
                    .map_err(|_| mismatch("str")),
                other => Err(mismatch(tag_of(other))),
            },
            Self::PortRange => match scalar.resolve() {
                Resolved::Int(i) if (0..=65535).contains(&i) => Ok(Value::Int(i)),
                _ => port_range(text).ok_or_else(|| format!("invalid port range: {text:?}")),
            },
            Self::Enum { name, texts } => enum_text(name, texts, text, release).map(Value::Str),
            _ => self.canonical_text(text),
        }
    }

    fn canonical_text(&self, text: &str) -> Result<Value, String> {
        let canonical = match self {
            Self::Trimmed => text
                .trim_start_matches(['\t', '\n', '\u{b}', '\u{c}', '\r'])
                .to_owned(),
            Self::Url => url_text(text)?,
            _ if text.is_empty() => String::new(),
            Self::Addr => address(text)?,
            Self::Prefix => prefix(text)?,
            Self::AddrPort => address_port(text)?,
            Self::Mac => mac(text)?,
            Self::ByteSize => byte_size(text)?,
            Self::Percent => percent(text)?,
            Self::Size if text.contains('%') => percent(text)?,
            Self::Size => byte_size(text)?,
            Self::Base64 => {
                STANDARD
                    .decode(text.replace(['\n', '\r'], ""))
                    .map_err(|_| "illegal base64 data".to_owned())?;
                text.replace(['\n', '\r'], "")
            }
            Self::DiskSize => return disk_size(text),
            Self::SizeMatch => size_match(text)?,
            _ => text.to_owned(),
        };
        Ok(Value::Str(canonical))
    }

    fn go_name(&self) -> &str {
        match self {
            Self::Bool => "bool",
            Self::Int { .. } => "int",
            Self::Duration => "time.Duration",
            Self::FileMode => "v1alpha1.FileMode",
            Self::Enum { name, .. } => name,
            _ => "string",
        }
    }
}

fn tag_of(resolved: Resolved) -> &'static str {
    match resolved {
        Resolved::Null => "null",
        Resolved::Bool(_) => "bool",
        Resolved::Int(_) => "int",
        Resolved::Float(_) => "float",
        Resolved::Timestamp => "timestamp",
        Resolved::Merge => "merge",
        Resolved::Str => "str",
    }
}

/// go-yaml shows ten characters of a bad value; more could also reveal a secret.
fn shorten(text: &str) -> String {
    if text.chars().count() > 10 {
        text.chars().take(7).chain("...".chars()).collect()
    } else {
        text.to_owned()
    }
}

fn enum_text(
    name: &str,
    texts: &[(&'static str, Release)],
    text: &str,
    release: Release,
) -> Result<String, String> {
    let known: Vec<&str> = texts
        .iter()
        .filter(|(t, since)| *t != "-" && *since <= release)
        .map(|(t, _)| *t)
        .collect();
    if let Some(found) = known
        .iter()
        .find(|t| **t == text)
        .or_else(|| known.iter().find(|t| t.eq_ignore_ascii_case(text)))
    {
        return Ok((*found).to_owned());
    }
    if name == "nethelpers.FailOverMAC"
        && let Some(found) = text.parse::<usize>().ok().and_then(|i| known.get(i))
    {
        // Old configurations hold the number.
        return Ok((*found).to_owned());
    }
    if name == "nethelpers.RoutingTable"
        && let Some(found) = text
            .parse::<usize>()
            .ok()
            .filter(|i| (253..=255).contains(i))
            .and_then(|i| known.get(i))
    {
        return Ok((*found).to_owned());
    }
    let short = name.rsplit('.').next().unwrap_or(name);
    Err(format!(
        "{text} does not belong to {short} values (one of: {})",
        known
            .iter()
            .take(12)
            .copied()
            .collect::<Vec<_>>()
            .join(", ")
    ))
}

fn url_text(text: &str) -> Result<String, String> {
    let fail = |why: &str| Err(format!("parse {text:?}: net/url: {why}"));
    if text.chars().any(|c| c.is_ascii_control()) {
        return fail("invalid control character in URL");
    }
    if text.starts_with(':') {
        return Err(format!("parse {text:?}: missing protocol scheme"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(text.to_owned());
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    if host.contains(' ') {
        return Err(format!(
            "parse {text:?}: invalid character \" \" in host name"
        ));
    }
    // Go writes the scheme in lower case.
    Ok(format!("{}://{rest}", scheme.to_ascii_lowercase()))
}

fn address(text: &str) -> Result<String, String> {
    let (ip, zone) = text
        .split_once('%')
        .map_or((text, None), |(i, z)| (i, Some(z)));
    let parsed: IpAddr = ip
        .parse()
        .map_err(|_| format!("ParseAddr({text:?}): unable to parse IP"))?;
    match zone {
        None => Ok(parsed.to_string()),
        Some(zone) if parsed.is_ipv6() && !zone.is_empty() => Ok(format!("{parsed}%{zone}")),
        Some(_) => Err(format!(
            "ParseAddr({text:?}): zone must belong to an IPv6 address"
        )),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let fail = |why: &str| format!("netip.ParsePrefix({text:?}): {why}");
    let (ip, bits) = text.rsplit_once('/').ok_or_else(|| fail("no '/'"))?;
    let parsed: IpAddr = ip.parse().map_err(|_| fail("unable to parse IP"))?;
    let limit = if parsed.is_ipv4() { 32 } else { 128 };
    let plain =
        bits.bytes().all(|b| b.is_ascii_digit()) && (bits.len() == 1 || !bits.starts_with('0'));
    match bits.parse::<u8>() {
        Ok(n) if plain && n <= limit => Ok(format!("{parsed}/{n}")),
        _ => Err(fail("bad bits after slash")),
    }
}

fn address_port(text: &str) -> Result<String, String> {
    let fail = || format!("invalid ip:port {text:?}");
    let (host, port) = text.rsplit_once(':').ok_or_else(fail)?;
    let port: u16 = port.parse().map_err(|_| fail())?;
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => Ok(format!("[{}]:{port}", address(v6)?)),
        None if host.contains(':') => Err(fail()),
        None => Ok(format!("{}:{port}", address(host)?)),
    }
}

fn mac(text: &str) -> Result<String, String> {
    let fail = || format!("address {text}: invalid MAC address");
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let bytes = match parts.len() {
        6 | 8 | 20 => parts,
        _ => return Err(fail()),
    };
    if !bytes
        .iter()
        .all(|b| b.len() == 2 && b.bytes().all(|c| c.is_ascii_hexdigit()))
    {
        return Err(fail());
    }
    Ok(bytes.join(":").to_ascii_lowercase())
}

fn byte_size(text: &str) -> Result<String, String> {
    units::parse_bytes(text.strip_prefix('-').unwrap_or(text)).map(|_| text.to_owned())
}

fn percent(text: &str) -> Result<String, String> {
    let number = text
        .strip_suffix('%')
        .ok_or("percentage must end with '%'")?;
    let value: f64 = number
        .strip_prefix('-')
        .unwrap_or(number)
        .parse()
        .map_err(|_| {
            format!(
                "invalid percentage value: strconv.ParseFloat: parsing {number:?}: invalid syntax"
            )
        })?;
    if (0.0..=100.0).contains(&value) {
        Ok(text.to_owned())
    } else {
        Err(format!("percentage must be between 0 and 100, got {value}"))
    }
}

fn disk_size(text: &str) -> Result<Value, String> {
    let bytes = units::parse_bytes(text)?;
    Ok(units::disk_size_text(bytes).map_or(Value::Int(i128::from(bytes)), Value::Str))
}

fn size_match(text: &str) -> Result<String, String> {
    let condition = text.trim();
    let size = [">=", "<=", "==", ">", "<"]
        .iter()
        .find_map(|op| condition.strip_prefix(op))
        .unwrap_or(condition);
    units::parse_bytes(size.trim())
        .map_err(|e| format!("failed to parse disk size {}: {e}", size.trim()))?;
    Ok(condition.to_owned())
}

fn port_range(text: &str) -> Option<Value> {
    let (low, high) = text.split_once('-')?;
    let (low, high): (u16, u16) = (low.parse().ok()?, high.parse().ok()?);
    Some(if low == high {
        Value::Int(i128::from(low))
    } else {
        Value::Str(format!("{low}-{high}"))
    })
}
