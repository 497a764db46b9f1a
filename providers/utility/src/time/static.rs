//! `time_static`: a point in time, kept.

use stead_sdk::value::{Diagnostics, Path, Value};
use stead_sdk::{Error, Field as _, PlanDraft, Resource};

use super::offset::is_time;
use super::point::{Point, not_a_time};
use crate::generated::{Generated, Keepers, generated};

/// A point in time: now, or the one given.
#[derive(Clone, Debug, Resource)]
#[resource(name = "time_static")]
pub(crate) struct TimeStatic {
    /// Arbitrary values that, when changed, take the time anew.
    #[attr(optional, replace)]
    triggers: Option<Keepers>,
    /// The time in RFC 3339; now unless set.
    #[attr(optional, computed, replace)]
    rfc3339: Option<String>,
    #[attr(computed)]
    year: i64,
    #[attr(computed)]
    month: i64,
    #[attr(computed)]
    day: i64,
    #[attr(computed)]
    hour: i64,
    #[attr(computed)]
    minute: i64,
    #[attr(computed)]
    second: i64,
    /// Seconds since 1970.
    #[attr(computed)]
    unix: i64,
    /// The time in RFC 3339.
    #[attr(computed)]
    id: String,
}

generated!(TimeStatic);

/// Now in UTC, in whole seconds, as RFC 3339 has it.
pub(crate) fn now() -> String {
    Point::now().text()
}

impl TimeStatic {
    fn of(text: String, triggers: Option<Keepers>) -> Option<TimeStatic> {
        let point = Point::parse(&text)?;
        let local = point.local;
        Some(TimeStatic {
            triggers,
            year: local.year().into(),
            month: local.month().into(),
            day: local.day().into(),
            hour: local.hour().into(),
            minute: local.minute().into(),
            second: local.second().into(),
            unix: point.unix(),
            rfc3339: Some(text.clone()),
            id: text,
        })
    }
}

impl Generated for TimeStatic {
    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        is_time(config, "rfc3339", &mut found);
        found
    }

    /// A time that is given is known already while planning.
    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        let Some(text) = plan
            .attribute("rfc3339")
            .and_then(|v| v.as_str().map(str::to_owned))
        else {
            return Ok(());
        };
        let Some(known) = TimeStatic::of(text, None).filter(|_| plan.is_create()) else {
            return Ok(());
        };
        let known = known.encode();
        for name in [
            "year", "month", "day", "hour", "minute", "second", "unix", "id",
        ] {
            if let Some(value) = known.get(name) {
                plan.set(&Path::root().attr(name), value)?;
            }
        }
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        let text = self.rfc3339.clone().unwrap_or_else(now);
        let said = not_a_time(&text);
        TimeStatic::of(text, self.triggers)
            .ok_or_else(|| Error::new("take the time", said).attribute("rfc3339"))
    }

    fn import(id: &str) -> Result<Self, Error> {
        TimeStatic::of(id.to_owned(), Some(Keepers::new()))
            .ok_or_else(|| Error::new("import the time_static", not_a_time(id)))
    }
}
