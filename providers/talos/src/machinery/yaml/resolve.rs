//! What an unquoted scalar means: go-yaml's resolution table (v3 and v4 agree on it).

/// The type an unquoted scalar resolves to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Timestamp,
    Merge,
    Str,
}

/// Resolves the text of an untagged plain scalar.
pub(crate) fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        "-0" | "-0.0" => return Resolved::Float(-0.0),
        "<<" => return Resolved::Merge,
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => go_float(text).map_or(Resolved::Str, Resolved::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            if is_timestamp(text) {
                return Resolved::Timestamp;
            }
            let plain = text.replace('_', "");
            if let Some(int) = go_int(&plain) {
                return Resolved::Int(int);
            }
            if is_yaml_float(&plain) {
                return plain.parse().map_or(Resolved::Str, Resolved::Float);
            }
            Resolved::Str
        }
        _ => Resolved::Str,
    }
}

/// Whether YAML 1.1 readers would take the text for a boolean; go-yaml quotes these for them.
pub(super) fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// Whether YAML 1.1 readers would take the text for a base 60 number: `[-+]?d[d_]*(:[0-5]?d)+(\.[d_]*)?`.
pub(super) fn is_base60(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = rest.split(':');
    let Some(head) = parts.next() else {
        return false;
    };
    if !head.starts_with(|c: char| c.is_ascii_digit())
        || !head.chars().all(|c| c.is_ascii_digit() || c == '_')
    {
        return false;
    }
    let mut tail: Vec<&str> = parts.collect();
    let Some(last) = tail.pop() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let minute = |p: &str| match p.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    tail.into_iter().all(minute)
        && minute(last)
        && fraction.chars().all(|c| c.is_ascii_digit() || c == '_')
}

/// strconv.ParseInt/ParseUint with base 0: prefixes 0x, 0o, 0b, a leading 0 means octal.
fn go_int(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(body, radix).ok()?;
    let value = if negative { -magnitude } else { magnitude };
    let fits = (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value);
    // ParseUint takes no sign, so "+18446744073709551615" stays text.
    let signed_overflow = value > i128::from(i64::MAX) && text.starts_with('+');
    (fits && !signed_overflow).then_some(value)
}

/// `[-+]?(\.d+|d+(\.d*)?)([eE][-+]?d+)?`
fn is_yaml_float(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_ok && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

/// strconv.ParseFloat for texts starting with a dot.
fn go_float(text: &str) -> Option<f64> {
    is_yaml_float(text).then(|| text.parse().ok()).flatten()
}

/// The timestamp forms go-yaml accepts: `2006-1-2`, with `T`, `t` or a blank before the time.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 5 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((bytes[at], &text[at + 1..]))),
        None => (text, None),
    };
    let number =
        |s: &str, range: std::ops::RangeInclusive<u32>, widths: std::ops::RangeInclusive<usize>| {
            widths.contains(&s.len())
                && s.bytes().all(|b| b.is_ascii_digit())
                && s.parse::<u32>().is_ok_and(|n| range.contains(&n))
        };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    if !number(month, 1..=12, 1..=2) || !number(day, 1..=31, 1..=2) {
        return false;
    }
    let (Ok(y), Ok(m), Ok(d)) = (
        year.parse::<u32>(),
        month.parse::<u32>(),
        day.parse::<u32>(),
    ) else {
        return false;
    };
    let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let days = match m {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if d > days {
        return false;
    }
    let Some((separator, rest)) = time else {
        return true;
    };
    let (clock, zone) = if separator == b' ' {
        (rest, None)
    } else if let Some(clock) = rest.strip_suffix('Z') {
        (clock, Some(""))
    } else {
        match rest.rfind(['+', '-']) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => return false,
        }
    };
    if let Some(zone) = zone.filter(|z| !z.is_empty()) {
        let Some((h, m)) = zone.split_once(':') else {
            return false;
        };
        if !number(h, 0..=23, 2..=2) || !number(m, 0..=59, 2..=2) {
            return false;
        }
    }
    let (clock, fraction) = clock
        .split_once('.')
        .map_or((clock, None), |(c, f)| (c, Some(f)));
    if fraction.is_some_and(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    let parts: Vec<&str> = clock.split(':').collect();
    let [h, m, s] = parts[..] else { return false };
    number(h, 0..=23, 1..=2) && number(m, 0..=59, 1..=2) && number(s, 0..=59, 1..=2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_str(text: &str) {
        assert_eq!(resolve(text), Resolved::Str, "{text}");
    }

    #[test]
    fn numbers_as_go_reads_them() {
        assert_eq!(resolve("0644"), Resolved::Int(0o644));
        assert_eq!(resolve("0o644"), Resolved::Int(0o644));
        assert_eq!(resolve("0x1F"), Resolved::Int(31));
        assert_eq!(resolve("1_000"), Resolved::Int(1000));
        assert_eq!(resolve("1e3"), Resolved::Float(1000.0));
        assert_eq!(
            resolve("18446744073709551615"),
            Resolved::Int(i128::from(u64::MAX))
        );
        assert_eq!(resolve(".5"), Resolved::Float(0.5));
        is_str("0x");
        is_str("1.2.3");
        is_str("+");
        is_str("-console");
    }

    #[test]
    fn dates_are_timestamps_only_when_they_exist() {
        assert_eq!(resolve("2026-11-21"), Resolved::Timestamp);
        assert_eq!(resolve("2026-1-2T3:04:05Z"), Resolved::Timestamp);
        is_str("2026-02-30");
        is_str("2026-13-01");
    }

    #[test]
    fn yaml11_leftovers() {
        assert!(is_base60("1:30"));
        assert!(is_base60("12:30:45.5"));
        assert!(!is_base60("1:70"));
        assert!(!is_base60("a:30"));
        assert!(is_old_bool("off"));
        assert!(!is_old_bool("offline"));
    }
}
