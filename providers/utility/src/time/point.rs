//! Points in time as RFC 3339 writes them, each with the offset it was written in, and Go's arithmetic of dates.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _, Unit};
use stead_sdk::Error;

pub(super) fn not_a_time(text: &str) -> String {
    format!("{text:?} is not a time in RFC 3339, such as 2026-11-21T06:00:00Z.")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) local: DateTime,
    offset: Offset,
}

impl Point {
    /// Now in UTC, in whole seconds.
    pub(super) fn now() -> Point {
        let now = Timestamp::now().round(Unit::Second);
        Point::at(now.unwrap_or(Timestamp::UNIX_EPOCH), Offset::UTC)
    }

    fn at(instant: Timestamp, offset: Offset) -> Point {
        Point {
            local: instant.to_zoned(TimeZone::fixed(offset)).datetime(),
            offset,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Point> {
        let instant: Timestamp = text.parse().ok()?;
        let parts = jiff::fmt::temporal::Pieces::parse(text).ok()?;
        let offset = match parts.offset()? {
            jiff::fmt::temporal::PiecesOffset::Zulu => Offset::UTC,
            jiff::fmt::temporal::PiecesOffset::Numeric(numeric) => numeric.offset(),
            _ => return None,
        };
        Some(Point::at(instant, offset))
    }

    /// What an argument says.
    pub(super) fn of(asked: &str, argument: &str, text: &str) -> Result<Point, Error> {
        Point::parse(text).ok_or_else(|| Error::new(asked, not_a_time(text)).attribute(argument))
    }

    pub(super) fn instant(self) -> Timestamp {
        self.offset.to_timestamp(self.local).unwrap_or_default()
    }

    pub(super) fn unix(self) -> i64 {
        self.instant().as_second()
    }

    pub(super) fn text(self) -> String {
        let clock = self.local.strftime("%Y-%m-%dT%H:%M:%S");
        let seconds = self.offset.seconds();
        if seconds == 0 {
            return format!("{clock}Z");
        }
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.unsigned_abs() / 60;
        format!("{clock}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// Years, months and days on. A day that the month does not have runs over into the next: January 31 and a month is
    /// March 3. `None` when the calendar ends before.
    pub(super) fn add_date(self, years: i64, months: i64, days: i64) -> Option<Point> {
        let date = self.local.date();
        let total = i64::from(date.year())
            .checked_add(years)?
            .checked_mul(12)?
            .checked_add(i64::from(date.month()) - 1)?
            .checked_add(months)?;
        let year = i16::try_from(total.div_euclid(12)).ok()?;
        let month = i8::try_from(total.rem_euclid(12) + 1).ok()?;
        let on = days.checked_add(i64::from(date.day()) - 1)?;
        let date = Date::new(year, month, 1)
            .ok()?
            .checked_add(on.try_into().map(|d: i32| d.days()).ok()?)
            .ok()?;
        Some(Point {
            local: date.to_datetime(self.local.time()),
            ..self
        })
    }

    pub(super) fn add_seconds(self, seconds: i64) -> Option<Point> {
        let local = self.local.checked_add(SignedDuration::from_secs(seconds));
        Some(Point {
            local: local.ok()?,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_run_over_as_in_go() {
        let base = Point::parse("2024-01-31T10:00:00+02:00").unwrap();
        let text = |p: Option<Point>| p.unwrap().text();
        assert_eq!(text(base.add_date(0, 1, 0)), "2024-03-02T10:00:00+02:00");
        assert_eq!(text(base.add_date(-1, 1, 0)), "2023-03-03T10:00:00+02:00");
        assert_eq!(text(base.add_date(0, -2, 1)), "2023-12-02T10:00:00+02:00");
        assert_eq!(text(base.add_seconds(86_400)), "2024-02-01T10:00:00+02:00");
        assert_eq!(base.add_date(i64::MAX, 0, 0), None);
        assert_eq!(base.unix(), 1_706_688_000);
    }
}
