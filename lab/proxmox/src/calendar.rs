//! Calendar events as jobs have them: systemd's, of which PVE takes a part (`mon..fri 2:30`, `*/15`, `*-*-1 4:00`). In UTC.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

/// When a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Monday is 0.
    weekdays: BTreeSet<u16>,
    years: Option<BTreeSet<u16>>,
    months: BTreeSet<u16>,
    days: BTreeSet<u16>,
    hours: BTreeSet<u16>,
    minutes: BTreeSet<u16>,
    seconds: BTreeSet<u16>,
}

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// How far ahead an event is looked for.
const YEARS_AHEAD: i16 = 30;

impl Event {
    pub(crate) fn parse(text: &str) -> Result<Event, String> {
        let lower = text.trim().to_ascii_lowercase();
        let written = match lower.as_str() {
            "" => return Err("event is empty".into()),
            "minutely" => "*:*:0",
            "hourly" => "*:0:0",
            "daily" => "0:0:0",
            "weekly" => "mon 0:0:0",
            "monthly" => "*-*-1 0:0:0",
            "quarterly" => "*-1,4,7,10-1 0:0:0",
            "semiannually" | "semi-annually" => "*-1,7-1 0:0:0",
            "yearly" | "annually" => "*-1-1 0:0:0",
            other => other,
        };
        let mut event = Event {
            weekdays: (0..7).collect(),
            years: None,
            months: (1..=12).collect(),
            days: (1..=31).collect(),
            hours: BTreeSet::from([0]),
            minutes: BTreeSet::from([0]),
            seconds: BTreeSet::from([0]),
        };
        let mut parts = written.split_whitespace().peekable();
        if let Some(part) = parts.next_if(|p| p.starts_with(|c: char| c.is_ascii_alphabetic())) {
            event.weekdays = weekdays(part)?;
        }
        if let Some(part) = parts.next_if(|p| p.contains('-')) {
            event.take_date(part)?;
        }
        if let Some(part) = parts.next() {
            event.take_time(part)?;
        }
        match parts.next() {
            None | Some("utc") => Ok(event),
            Some(rest) => Err(format!("unable to parse '{rest}'")),
        }
    }

    fn take_date(&mut self, text: &str) -> Result<(), String> {
        let parts: Vec<&str> = text.split('-').collect();
        let (year, month, day) = match parts.as_slice() {
            [month, day] => ("*", *month, *day),
            [year, month, day] => (*year, *month, *day),
            _ => return Err(format!("unable to parse date '{text}'")),
        };
        if year != "*" {
            self.years = Some(values(year, 1970, 2200)?);
        }
        self.months = values(month, 1, 12)?;
        self.days = values(day, 1, 31)?;
        Ok(())
    }

    /// A number alone is minutes of every hour.
    fn take_time(&mut self, text: &str) -> Result<(), String> {
        let parts: Vec<&str> = text.split(':').collect();
        let (hour, minute, second) = match parts.as_slice() {
            [minute] => ("*", *minute, "0"),
            [hour, minute] => (*hour, *minute, "0"),
            [hour, minute, second] => (*hour, *minute, *second),
            _ => return Err(format!("unable to parse time '{text}'")),
        };
        self.hours = values(hour, 0, 23)?;
        self.minutes = values(minute, 0, 59)?;
        self.seconds = values(second, 0, 59)?;
        Ok(())
    }

    /// The first time after one, in seconds since 1970.
    pub(crate) fn after(&self, last: i64) -> Option<i64> {
        let last = Timestamp::from_second(last).ok()?;
        let last = last.to_zoned(TimeZone::UTC).datetime();
        let end = last.year().checked_add(YEARS_AHEAD)?;
        let mut date = last.date();
        while date.year() <= end {
            if self.is_on(date)
                && let Some(found) = self.on(date, last)
            {
                let zoned = found.to_zoned(TimeZone::UTC).ok()?;
                return Some(zoned.timestamp().as_second());
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let has = |set: &BTreeSet<u16>, number: i8| {
            u16::try_from(number).is_ok_and(|number| set.contains(&number))
        };
        let year = u16::try_from(date.year()).unwrap_or_default();
        let years = self.years.as_ref();
        years.is_none_or(|years| years.contains(&year))
            && has(&self.months, date.month())
            && has(&self.days, date.day())
            && has(&self.weekdays, weekday(date.weekday()))
    }

    fn on(&self, date: Date, last: DateTime) -> Option<DateTime> {
        let number = |number: &u16| i8::try_from(*number).unwrap_or_default();
        let hours = self.hours.iter().map(number);
        let times = hours.flat_map(|hour| {
            let minutes = self.minutes.iter().map(number);
            minutes.flat_map(move |minute| {
                let seconds = self.seconds.iter().map(number);
                seconds.map(move |second| date.at(hour, minute, second, 0))
            })
        });
        times.into_iter().find(|time| *time > last)
    }
}

fn weekday(day: Weekday) -> i8 {
    day.to_monday_zero_offset()
}

fn weekdays(text: &str) -> Result<BTreeSet<u16>, String> {
    let number = |name: &str| {
        let long_enough = name.len() >= 2;
        let found = WEEKDAYS
            .iter()
            .position(|day| long_enough && day.starts_with(name));
        found
            .and_then(|place| u16::try_from(place).ok())
            .ok_or_else(|| format!("unable to parse weekday '{name}'"))
    };
    let mut days = BTreeSet::new();
    for part in text.split(',') {
        match part.split_once("..") {
            None => drop(days.insert(number(part)?)),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(format!("invalid range '{part}'"));
                }
                days.extend(first..=last);
            }
        }
    }
    Ok(days)
}

/// `*`, `5`, `1..5`, `*/15`, `3/10`, and lists of them.
fn values(text: &str, least: u16, most: u16) -> Result<BTreeSet<u16>, String> {
    let number = |text: &str| {
        let number = text.parse::<u16>().ok();
        let number = number.filter(|n| (least..=most).contains(n));
        number.ok_or_else(|| format!("value '{text}' out of range"))
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number_of(step)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once("..") {
            Some((first, last)) => (number(first)?, number(last)?),
            None if range == "*" => (least, most),
            None if step.is_some() => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return Err(format!("invalid range '{range}'"));
        }
        all.extend((first..=last).step_by(step.unwrap_or(1)));
    }
    Ok(all)
}

fn number_of(step: &str) -> Result<usize, String> {
    let step = step.parse().ok().filter(|step| *step > 0);
    step.ok_or_else(|| "invalid repetition".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first three times after 2026-11-30 08:00 UTC, a Monday.
    fn next(event: &str) -> Vec<String> {
        let event = Event::parse(event).unwrap();
        let mut time = 1_796_025_600;
        let mut found = Vec::new();
        while found.len() < 3 {
            let Some(next) = event.after(time) else { break };
            time = next;
            let shown = Timestamp::from_second(time).unwrap().to_string();
            found.push(shown.trim_end_matches(":00Z").to_owned());
        }
        found
    }

    #[test]
    fn events_come_when_they_say() {
        let cases = [
            ("*/15", "2026-11-30T08:15 2026-11-30T08:30 2026-11-30T08:45"),
            ("2:30", "2026-12-01T02:30 2026-12-02T02:30 2026-12-03T02:30"),
            ("sat", "2026-12-05T00:00 2026-12-12T00:00 2026-12-19T00:00"),
            (
                "mon..wed,fri 8,20:5",
                "2026-11-30T08:05 2026-11-30T20:05 2026-12-01T08:05",
            ),
            (
                "hourly",
                "2026-11-30T09:00 2026-11-30T10:00 2026-11-30T11:00",
            ),
            (
                "monthly",
                "2026-12-01T00:00 2027-01-01T00:00 2027-02-01T00:00",
            ),
            (
                "2-29 12:00 UTC",
                "2028-02-29T12:00 2032-02-29T12:00 2036-02-29T12:00",
            ),
            (
                "2027-1..2-1 5/12:0",
                "2027-01-01T05:00 2027-01-01T17:00 2027-02-01T05:00",
            ),
            ("2020-1-1", ""),
        ];
        for (event, times) in cases {
            assert_eq!(next(event).join(" "), times, "{event}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for text in [
            "",
            "25:00",
            "*/0",
            "fri..mon",
            "noday",
            "1:2:3:4",
            "mon 1:00 x",
            "2-30-1-1",
        ] {
            assert!(Event::parse(text).is_err(), "{text}");
        }
    }
}
