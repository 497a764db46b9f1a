//! The few DER constructions certificates need.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const OCTET_STRING: u8 = 0x04;

/// Object identifiers, already encoded.
pub(super) mod oid {
    pub(in super::super) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
    pub(in super::super) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    pub(in super::super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    pub(in super::super) const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    pub(in super::super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    pub(in super::super) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
    pub(in super::super) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
    pub(in super::super) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    pub(in super::super) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    pub(in super::super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    pub(in super::super) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    pub(in super::super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    pub(in super::super) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
}

/// A value with its tag and length.
pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes: Vec<u8> = length
            .to_be_bytes()
            .into_iter()
            .skip_while(|b| *b == 0)
            .collect();
        out.push(0x80 | bytes.len() as u8);
        out.extend(bytes);
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

pub(super) fn object(id: &[u8]) -> Vec<u8> {
    tagged(0x06, id)
}

pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[0], bytes].concat())
}

/// A non-negative integer from big-endian bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let trimmed: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
    let mut content = match trimmed.first() {
        None => vec![0],
        Some(high) if *high >= 0x80 => vec![0],
        Some(_) => Vec::new(),
    };
    content.extend(trimmed);
    tagged(0x02, &content)
}

/// A text as PrintableString where its characters allow, else UTF8String.
pub(super) fn text(value: &str) -> Vec<u8> {
    let printable = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c));
    tagged(if printable { 0x13 } else { 0x0c }, value.as_bytes())
}

/// A moment: UTCTime before 2050, GeneralizedTime from then on; `None` outside of 1970 to 9999.
pub(super) fn time(unix: i64) -> Option<Vec<u8>> {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    if !(1970..=9999).contains(&year) {
        return None;
    }
    let clock = format!(
        "{:02}{:02}{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    Some(if year < 2050 {
        tagged(
            0x17,
            format!("{:02}{month:02}{day:02}{clock}", year % 100).as_bytes(),
        )
    } else {
        tagged(
            0x18,
            format!("{year:04}{month:02}{day:02}{clock}").as_bytes(),
        )
    })
}

/// The date of a day counted from 1970-01-01 (Howard Hinnant's civil_from_days).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time(0).as_deref(), Some(&b"\x17\x0d700101000000Z"[..]));
        assert_eq!(
            time(1_767_225_600).as_deref(),
            Some(&b"\x17\x0d260101000000Z"[..])
        );
        assert_eq!(
            time(2_524_608_000).as_deref(),
            Some(&b"\x18\x0f20500101000000Z"[..])
        );
        assert_eq!(
            time(951_782_400).as_deref(),
            Some(&b"\x17\x0d000229000000Z"[..])
        );
        assert_eq!(time(-1), None);
    }

    #[test]
    fn integers_stay_positive() {
        assert_eq!(unsigned(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[0, 0]), [2, 1, 0]);
    }
}
