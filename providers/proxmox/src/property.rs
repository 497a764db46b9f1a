//! Property strings, the API's form for small structures: `virtio=BC:24:11:2E:C0:01,bridge=vmbr0`.

use base64::Engine as _;

/// The parts of a property string, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties(Vec<(String, String)>);

impl Properties {
    /// Reads a property string. A part without `=` is the value of `default_key`.
    pub(crate) fn parse(text: &str, default_key: &str) -> Properties {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        Properties(
            parts
                .map(|part| match part.split_once('=') {
                    Some((key, value)) => (key.to_owned(), value.to_owned()),
                    None => (default_key.to_owned(), part.to_owned()),
                })
                .collect(),
        )
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// A switch, which the API writes as `0`/`1` or as `off`/`on`.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(is_on)
    }

    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    pub(crate) fn push(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Properties {
        self.0.push((key.to_owned(), value.to_string()));
        self
    }

    /// All parts but one.
    #[must_use]
    pub(crate) fn without(mut self, key: &str) -> Properties {
        self.0.retain(|(k, _)| k != key);
        self
    }

    /// Adds the parts of another.
    #[must_use]
    pub(crate) fn and(mut self, other: &Properties) -> Properties {
        self.0.extend_from_slice(&other.0);
        self
    }

    /// Adds the part unless the value is empty.
    #[must_use]
    pub(crate) fn text(self, key: &str, value: &str) -> Properties {
        if value.is_empty() {
            self
        } else {
            self.with(key, value)
        }
    }

    #[must_use]
    pub(crate) fn switch(self, key: &str, value: bool) -> Properties {
        self.with(key, i32::from(value))
    }

    /// Adds the part when the value is more than zero.
    #[must_use]
    pub(crate) fn positive(self, key: &str, value: i64) -> Properties {
        if value > 0 {
            self.with(key, value)
        } else {
            self
        }
    }

    /// The property string; the value of `default_key` stands alone.
    pub(crate) fn encode(&self, default_key: &str) -> String {
        let part = |(k, v): &(String, String)| {
            if k == default_key {
                v.clone()
            } else {
                format!("{k}={v}")
            }
        };
        self.0.iter().map(part).collect::<Vec<_>>().join(",")
    }
}

pub(crate) fn is_on(text: &str) -> bool {
    matches!(text, "1" | "on" | "yes" | "true")
}

/// A size as volumes have it (`32G`, `528K`, `4M`, `1T`, plain bytes), in bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..)?.to_ascii_uppercase().as_str() {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    (number >= 0.0).then_some((number * unit as f64) as u64)
}

/// A size in whole GiB, the part of one counted as one.
pub(crate) fn gibibytes(text: &str) -> Option<i64> {
    i64::try_from(bytes(text)?.div_ceil(1 << 30)).ok()
}

/// Everything but letters, digits, `-`, `.`, `_` and `~` as `%XX`: what the API wants of `sshkeys` within the form.
pub(crate) fn percent_encode(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let one = |b: u8| {
        if keep(b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    text.bytes().map(one).collect()
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(crate) fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub(crate) fn from_base64(text: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    Some(String::from_utf8_lossy(&bytes.ok()?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_strings_go_there_and_back() {
        let text = "local-lvm:vm-100-disk-0,discard=on,size=32G";
        let read = Properties::parse(text, "file");
        assert_eq!(read.get("file"), Some("local-lvm:vm-100-disk-0"));
        assert_eq!(read.flag("discard"), Some(true));
        assert_eq!(read.encode("file"), text);
    }

    #[test]
    fn sizes_are_read_in_every_unit() {
        assert_eq!(gibibytes("32G"), Some(32));
        assert_eq!(gibibytes("2252M"), Some(3));
        assert_eq!(gibibytes("1T"), Some(1024));
        assert_eq!(bytes("528K"), Some(528 * 1024));
        assert_eq!(bytes("x"), None);
        assert_eq!(bytes("3X"), None);
    }

    #[test]
    fn percent_encoding_goes_there_and_back() {
        let key = "ssh-ed25519 AAAA+/= me@home\n";
        assert_eq!(percent_encode("a b+"), "a%20b%2B");
        assert_eq!(percent_decode(&percent_encode(key)), key);
        assert_eq!(percent_decode("100%"), "100%");
    }
}
