//! The provider's functions: `rfc3339_parse`, `unix_timestamp_parse`, `duration_parse`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use stead_sdk::value::{CallError, FunctionSignature, Number, Type, Value};

use super::point::Point;

/// What both parsers of times say of a time.
const PARTS: [&str; 10] = [
    "year", "year_day", "month", "day", "weekday", "hour", "minute", "second", "iso_year",
    "iso_week",
];
const NAMES: [&str; 2] = ["month_name", "weekday_name"];
const UNITS: [&str; 6] = [
    "hours",
    "minutes",
    "seconds",
    "milliseconds",
    "microseconds",
    "nanoseconds",
];
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

fn parts_type(extra: (&'static str, Type)) -> Type {
    let numbers = PARTS.map(|name| (name, Type::Number));
    let names = NAMES.map(|name| (name, Type::String));
    Type::object(numbers.into_iter().chain(names).chain([extra]))
}

pub(super) fn rfc3339_parse() -> FunctionSignature {
    FunctionSignature::new(
        "Take a time in RFC 3339 apart",
        [("timestamp", Type::String)],
        parts_type(("unix", Type::Number)),
    )
}

pub(super) fn unix_timestamp_parse() -> FunctionSignature {
    FunctionSignature::new(
        "Take seconds since 1970 apart, in UTC",
        [("unix_timestamp", Type::Number)],
        parts_type(("rfc3339", Type::String)),
    )
}

pub(super) fn duration_parse() -> FunctionSignature {
    FunctionSignature::new(
        "Take a duration such as 1h30m apart",
        [("duration", Type::String)],
        Type::object(UNITS.map(|name| (name, Type::Number))),
    )
}

pub(super) fn parse_rfc3339(args: &[Value]) -> Result<Value, CallError> {
    let text = args.first().and_then(Value::as_str).unwrap_or_default();
    let point = Point::parse(text).ok_or_else(|| {
        CallError::argument(
            0,
            format!("Error parsing RFC3339 timestamp: {text:?} is not a valid RFC3339 timestamp"),
        )
    })?;
    Ok(parts(point.local, ("unix", Value::number(point.unix()))))
}

pub(super) fn parse_unix(args: &[Value]) -> Result<Value, CallError> {
    let instant = args
        .first()
        .and_then(Value::as_i64)
        .and_then(|s| Timestamp::from_second(s).ok())
        .ok_or_else(|| CallError::argument(0, "the seconds are not a whole number within reach"))?;
    let civil = instant.to_zoned(TimeZone::UTC).datetime();
    Ok(parts(
        civil,
        ("rfc3339", Value::string(instant.to_string())),
    ))
}

fn parts(civil: DateTime, extra: (&'static str, Value)) -> Value {
    let week = civil.date().iso_week_date();
    let weekday = i64::from(civil.weekday().to_sunday_zero_offset());
    let numbers: [i64; 10] = [
        civil.year().into(),
        civil.day_of_year().into(),
        civil.month().into(),
        civil.day().into(),
        weekday,
        civil.hour().into(),
        civil.minute().into(),
        civil.second().into(),
        week.year().into(),
        week.week().into(),
    ];
    let name = |names: &[&str], at: i64| {
        let name = usize::try_from(at).ok().and_then(|i| names.get(i));
        Value::string(name.copied().unwrap_or_default())
    };
    let names = [
        name(&MONTHS, i64::from(civil.month()) - 1),
        name(&DAYS, weekday),
    ];
    let numbers = PARTS.into_iter().zip(numbers.map(Value::number));
    Value::object_from(numbers.chain(NAMES.into_iter().zip(names)).chain([extra]))
}

pub(super) fn parse_duration(args: &[Value]) -> Result<Value, CallError> {
    let text = args.first().and_then(Value::as_str).unwrap_or_default();
    let nanoseconds = nanoseconds(text).ok_or_else(|| {
        CallError::argument(
            0,
            format!("Error parsing duration string: {text:?} is not a valid duration string"),
        )
    })?;
    let fraction = |per: i64| {
        let whole = (nanoseconds / per) as f64;
        let rest = (nanoseconds % per) as f64;
        Number::from_f64(whole + rest / per as f64).map_or_else(|| Value::number(0), Value::number)
    };
    let values = [
        fraction(3_600_000_000_000),
        fraction(60_000_000_000),
        fraction(1_000_000_000),
        Value::number(nanoseconds / 1_000_000),
        Value::number(nanoseconds / 1_000),
        Value::number(nanoseconds),
    ];
    Ok(Value::object_from(UNITS.into_iter().zip(values)))
}

/// A duration as Go writes it: `-1h30m2.5s`.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let length = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(length);
        let length = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse::<u64>().ok()?.into()
        };
        total += whole * unit;
        let mut scale = unit;
        for digit in fraction.bytes().take(18) {
            scale /= 10;
            total += i128::from(digit - b'0') * scale;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(result: Result<Value, CallError>) -> String {
        match result {
            Ok(value) => {
                stead_sdk::value::json::to_json_text(&value, &value.ty()).unwrap_or_default()
            }
            Err(error) => error.to_string(),
        }
    }

    /// As the published provider's version 0.13.1 answers.
    #[test]
    fn times_and_durations_come_apart() {
        assert_eq!(
            shown(parse_rfc3339(&[Value::string(
                "2023-07-25T23:43:16.5+02:00"
            )])),
            r#"{"day":25,"hour":23,"iso_week":30,"iso_year":2023,"minute":43,"month":7,"month_name":"July","second":16,"unix":1690321396,"weekday":2,"weekday_name":"Tuesday","year":2023,"year_day":206}"#
        );
        assert_eq!(
            shown(parse_unix(&[Value::number(1_700_000_000)])),
            r#"{"day":14,"hour":22,"iso_week":46,"iso_year":2023,"minute":13,"month":11,"month_name":"November","rfc3339":"2023-11-14T22:13:20Z","second":20,"weekday":2,"weekday_name":"Tuesday","year":2023,"year_day":318}"#
        );
        assert_eq!(
            shown(parse_duration(&[Value::string("-1h30m2.5s")])),
            r#"{"hours":-1.5006944444444446,"microseconds":-5402500000,"milliseconds":-5402500,"minutes":-90.04166666666667,"nanoseconds":-5402500000000,"seconds":-5402.5}"#
        );
        for wrong in ["", "x", "1", "1.2.3s", ".s", "1y"] {
            assert_eq!(
                shown(parse_duration(&[Value::string(wrong)])),
                format!("Error parsing duration string: {wrong:?} is not a valid duration string")
            );
        }
    }
}
