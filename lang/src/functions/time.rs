//! Functions over points in time.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Zoned};
use stead_value::{Type, Value};

use super::{Call, FunctionError, Outcome, quoted};

pub(super) fn timestamp(call: &Call<'_>) -> Outcome {
    Ok(match call.context.world() {
        Some(world) => Value::string(world.now()),
        None => Value::unknown(Type::String),
    })
}

pub(super) fn plantimestamp(call: &Call<'_>) -> Outcome {
    Ok(call
        .context
        .plan_timestamp()
        .map_or_else(|| Value::unknown(Type::String), Value::string))
}

/// Reads RFC 3339. The message names the part that is wrong.
fn parse(text: &str) -> Result<Zoned, String> {
    let mut rest = Reader { text, at: 0 };
    let year = rest.number("year", 4, 0, 9999)?;
    rest.mark('-')?;
    let month = rest.number("month", 2, 1, 12)?;
    rest.mark('-')?;
    let day = rest.number("day of month", 2, 1, 31)?;
    if !rest.take('T') {
        return Err("not a valid RFC3339 timestamp: missing required time introducer 'T'".into());
    }
    let hour = rest.number("hour", 2, 0, 23)?;
    rest.mark(':')?;
    let minute = rest.number("minute", 2, 0, 59)?;
    rest.mark(':')?;
    let second = rest.number("second", 2, 0, 59)?;
    let nanosecond = rest.fraction()?;
    let offset = rest.offset()?;
    if !rest.rest().is_empty() {
        return Err(format!(
            "not a valid RFC3339 timestamp: extra text: {}",
            quoted(rest.rest())
        ));
    }
    let out_of_range = || "not a valid RFC3339 timestamp: day out of range".to_owned();
    let civil = DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        hour as i8,
        minute as i8,
        second as i8,
        nanosecond,
    )
    .map_err(|_| out_of_range())?;
    let zone = TimeZone::fixed(Offset::from_seconds(offset).map_err(|_| out_of_range())?);
    civil.to_zoned(zone).map_err(|_| out_of_range())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn mark(&mut self, c: char) -> Result<(), String> {
        if self.take(c) {
            return Ok(());
        }
        if self.rest().is_empty() {
            return Err(format!(
                "not a valid RFC3339 timestamp: end of string where \"{c}\" is expected"
            ));
        }
        let found = quoted(self.rest());
        Err(format!(
            "not a valid RFC3339 timestamp: found {found} where \"{c}\" is expected"
        ))
    }

    fn number(&mut self, what: &str, digits: usize, least: u32, most: u32) -> Result<u32, String> {
        let rest = self.rest();
        if rest.is_empty() {
            return Err(format!(
                "not a valid RFC3339 timestamp: end of string before {what}"
            ));
        }
        let cannot = || {
            format!(
                "not a valid RFC3339 timestamp: cannot use {} as {what}",
                quoted(rest)
            )
        };
        let part = rest
            .get(..digits)
            .filter(|p| p.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(cannot)?;
        let number: u32 = part.parse().map_err(|_| cannot())?;
        if !(least..=most).contains(&number) {
            return Err(match what {
                "hour" => {
                    "not a valid RFC3339 timestamp: hour must be between 0 and 23 inclusive".into()
                }
                other => format!("not a valid RFC3339 timestamp: {other} out of range"),
            });
        }
        self.at += digits;
        Ok(number)
    }

    /// The fraction of the second in nanoseconds, if there is one.
    fn fraction(&mut self) -> Result<i32, String> {
        if !self.take('.') {
            return Ok(0);
        }
        let digits: String = self
            .rest()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        if digits.is_empty() {
            return Err(format!(
                "not a valid RFC3339 timestamp: cannot use {} as second",
                quoted(self.rest())
            ));
        }
        self.at += digits.len();
        let nine: String = digits
            .chars()
            .chain(std::iter::repeat('0'))
            .take(9)
            .collect();
        nine.parse()
            .map_err(|_| "not a valid RFC3339 timestamp: second out of range".to_owned())
    }

    /// Seconds east of Greenwich.
    fn offset(&mut self) -> Result<i32, String> {
        if self.take('Z') {
            return Ok(0);
        }
        let rest = self.rest();
        if rest.is_empty() {
            return Err("not a valid RFC3339 timestamp: end of string before UTC offset".into());
        }
        let cannot = || {
            format!(
                "not a valid RFC3339 timestamp: cannot use {} as UTC offset",
                quoted(rest)
            )
        };
        let sign = if self.take('+') {
            1
        } else if self.take('-') {
            -1
        } else {
            return Err(cannot());
        };
        let hours = self.number("UTC offset", 2, 0, 23).map_err(|_| cannot())?;
        self.mark(':').map_err(|_| cannot())?;
        let minutes = self.number("UTC offset", 2, 0, 59).map_err(|_| cannot())?;
        Ok(sign * (hours * 3600 + minutes * 60) as i32)
    }
}

/// RFC 3339 in whole seconds.
fn rfc3339(t: &Zoned) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        zone(t, true, ":")
    )
}

/// The offset, such as `+01:00`; `Z` for none if asked so.
fn zone(t: &Zoned, z: bool, separator: &str) -> String {
    let seconds = t.offset().seconds();
    if seconds == 0 && z {
        return "Z".into();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}{separator}{:02}", minutes / 60, minutes % 60)
}

fn point(call: &Call<'_>, i: usize) -> Result<Zoned, FunctionError> {
    parse(call.text(i)).map_err(|message| FunctionError::argument(i, message))
}

pub(super) fn timeadd(call: &Call<'_>) -> Outcome {
    let start = parse(call.text(0)).map_err(FunctionError::new)?;
    let duration = duration(call.text(1)).map_err(FunctionError::new)?;
    let end = start.checked_add(duration).map_err(|_| {
        FunctionError::new("the result is not within the years that timestamps can express")
    })?;
    Ok(Value::string(rfc3339(&end)))
}

pub(super) fn timecmp(call: &Call<'_>) -> Outcome {
    let order = point(call, 0)?
        .timestamp()
        .cmp(&point(call, 1)?.timestamp());
    Ok(Value::number(order as i64))
}

/// Reads a duration such as `-1h30m` or `1.5s`.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {}", quoted(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') || number.len() > 40 {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanoseconds: i128 = match unit {
            "" => return Err(format!("time: missing unit in duration {}", quoted(text))),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            other => {
                return Err(format!(
                    "time: unknown unit {} in duration {}",
                    quoted(other),
                    quoted(text)
                ));
            }
        };
        let parse = |digits: &str| {
            if digits.is_empty() {
                Ok(0)
            } else {
                digits.parse::<i64>()
            }
        };
        let whole = i128::from(parse(whole).map_err(|_| invalid())?);
        // More digits than nanoseconds resolve do not count.
        let fraction: String = fraction.chars().take(15).collect();
        let scale = 10i128.pow(fraction.len() as u32);
        let part = i128::from(parse(&fraction).map_err(|_| invalid())?) * nanoseconds / scale;
        total += whole * nanoseconds + part;
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = after;
    }
    let nanoseconds =
        i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())?;
    Ok(SignedDuration::from_nanos(nanoseconds))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

pub(super) fn formatdate(call: &Call<'_>) -> Outcome {
    let time = point(call, 1)?;
    let mut out = String::new();
    let mut rest = call.text(0);
    let wrong = |message: String| FunctionError::argument(0, message);
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            rest = literal(rest, &mut out).ok_or_else(|| wrong("unterminated literal '".into()))?;
        } else if c.is_ascii_alphabetic() {
            let end = rest.find(|other| other != c).unwrap_or(rest.len());
            let (verb, after) = rest.split_at(end);
            out.push_str(&date_part(&time, c, verb).map_err(wrong)?);
            rest = after;
        } else {
            let end = rest
                .find(|c: char| c == '\'' || c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let (plain, after) = rest.split_at(end);
            out.push_str(plain);
            rest = after;
        }
    }
    Ok(Value::string(out))
}

/// Writes the quoted text at the beginning and returns what follows. Two quotes are one quote.
fn literal<'a>(text: &'a str, out: &mut String) -> Option<&'a str> {
    if let Some(after) = text.strip_prefix("''") {
        out.push('\'');
        return Some(after);
    }
    let mut rest = text.strip_prefix('\'')?;
    loop {
        let (part, after) = rest.split_once('\'')?;
        out.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                out.push('\'');
                rest = more;
            }
            None => return Some(after),
        }
    }
}

fn date_part(t: &Zoned, kind: char, verb: &str) -> Result<String, String> {
    let count = verb.len();
    let bad = |must: &str| Err(format!("invalid date format verb {}: {must}", quoted(verb)));
    let padded = |n: i8, must: &str| match count {
        1 => Ok(n.to_string()),
        2 => Ok(format!("{n:02}")),
        _ => bad(must),
    };
    let name = |name: &str, must: &str| match count {
        3 => Ok(name.chars().take(3).collect()),
        4 => Ok(name.to_owned()),
        _ => bad(must),
    };
    match kind {
        'Y' => match count {
            2 => Ok(format!("{:02}", t.year() % 100)),
            4 => Ok(format!("{:04}", t.year())),
            _ => bad("year must either be \"YY\" or \"YYYY\""),
        },
        'M' => {
            let must = "month must be \"M\", \"MM\", \"MMM\", or \"MMMM\"";
            if count <= 2 {
                return padded(t.month(), must);
            }
            name(
                MONTHS
                    .get(t.month() as usize - 1)
                    .copied()
                    .unwrap_or_default(),
                must,
            )
        }
        'D' => padded(t.day(), "day of month must either be \"D\" or \"DD\""),
        'E' => {
            let day = t.weekday().to_sunday_zero_offset() as usize;
            let must = "day of week must either be \"EEE\" or \"EEEE\"";
            name(DAYS.get(day).copied().unwrap_or_default(), must)
        }
        'h' => padded(t.hour(), "24-hour must either be \"h\" or \"hh\""),
        'H' => padded(
            (t.hour() + 11) % 12 + 1,
            "12-hour must either be \"H\" or \"HH\"",
        ),
        'A' | 'a' if count != 2 => bad(&format!("must be \"{kind}{kind}\"")),
        'A' => Ok(if t.hour() < 12 { "AM" } else { "PM" }.into()),
        'a' => Ok(if t.hour() < 12 { "am" } else { "pm" }.into()),
        'm' => padded(t.minute(), "minute must either be \"m\" or \"mm\""),
        's' => padded(t.second(), "second must either be \"s\" or \"ss\""),
        'Z' => match count {
            1 => Ok(zone(t, true, ":")),
            3 if t.offset().seconds() == 0 => Ok("UTC".into()),
            3 | 4 => Ok(zone(t, false, "")),
            5 => Ok(zone(t, false, ":")),
            _ => bad("timezone must be Z, ZZZZ, or ZZZZZ"),
        },
        _ => Err(format!("invalid date format verb {}", quoted(verb))),
    }
}

/// A YAML timestamp as RFC 3339: a date, or a date and a time, whose parts may have one digit only.
pub(super) fn yaml_timestamp(text: &str) -> Option<String> {
    let mut reader = Reader { text, at: 0 };
    let year = reader.number("year", 4, 0, 9999).ok()?;
    let month = reader.take('-').then(|| reader.short(12))??;
    let day = reader.take('-').then(|| reader.short(31))??;
    let (mut hour, mut minute, mut second, mut offset) = (0, 0, 0, 0);
    if !reader.rest().is_empty() {
        let with_zone = if reader.take('T') || reader.take('t') {
            true
        } else if reader.take(' ') {
            false
        } else {
            return None;
        };
        hour = reader.short(23)?;
        minute = reader.take(':').then(|| reader.short(59))??;
        second = reader.take(':').then(|| reader.short(59))??;
        reader.fraction().ok()?;
        if with_zone {
            offset = reader.offset().ok()?;
        }
    }
    if !reader.rest().is_empty() {
        return None;
    }
    let civil = DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        hour as i8,
        minute as i8,
        second as i8,
        0,
    )
    .ok()?;
    let zoned = civil
        .to_zoned(TimeZone::fixed(Offset::from_seconds(offset).ok()?))
        .ok()?;
    Some(rfc3339(&zoned))
}

impl Reader<'_> {
    /// A number of one or two digits.
    fn short(&mut self, most: u32) -> Option<u32> {
        let count = self
            .rest()
            .bytes()
            .take(2)
            .take_while(u8::is_ascii_digit)
            .count();
        let number: u32 = self
            .rest()
            .get(..count)?
            .parse()
            .ok()
            .filter(|n| *n <= most)?;
        self.at += count;
        Some(number)
    }
}
