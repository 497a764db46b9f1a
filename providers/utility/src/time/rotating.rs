//! `time_rotating`: a point in time that is taken anew when another has passed.

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use super::offset::{at_least_one, foretell, is_time, number};
use super::point::Point;
use crate::generated::{Keepers, at_least};

const ROTATIONS: [&str; 6] = [
    "rotation_minutes",
    "rotation_hours",
    "rotation_days",
    "rotation_months",
    "rotation_years",
    "rotation_rfc3339",
];
const COMPUTED: [&str; 10] = [
    "rfc3339",
    "rotation_rfc3339",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "unix",
    "id",
];

/// A point in time that is taken anew once its rotation time has passed.
#[derive(Clone, Debug, Resource)]
#[resource(name = "time_rotating")]
pub(crate) struct TimeRotating {
    /// Arbitrary values that, when changed, take the time anew.
    #[attr(optional, replace)]
    triggers: Option<Keepers>,
    /// The time to count from, in RFC 3339; now unless set.
    #[attr(optional, computed, replace)]
    rfc3339: Option<String>,
    /// When it is taken anew, in RFC 3339.
    #[attr(optional, computed)]
    rotation_rfc3339: Option<String>,
    #[attr(optional)]
    rotation_minutes: Option<i64>,
    #[attr(optional)]
    rotation_hours: Option<i64>,
    #[attr(optional)]
    rotation_days: Option<i64>,
    #[attr(optional)]
    rotation_months: Option<i64>,
    #[attr(optional)]
    rotation_years: Option<i64>,
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
    /// The rotation time in seconds since 1970.
    #[attr(computed)]
    unix: i64,
    /// The time counted from, in RFC 3339.
    #[attr(computed)]
    id: String,
}

impl TimeRotating {
    /// The largest unit that is set decides, as in the published provider.
    fn settle(self) -> Result<TimeRotating, Error> {
        let asked = "take the time";
        let base = match self.rfc3339.as_deref().filter(|t| !t.is_empty()) {
            Some(text) => Point::of(asked, "rfc3339", text)?,
            None => Point::now(),
        };
        let set = |n: Option<i64>| n.filter(|n| *n != 0);
        let seconds = |n: i64, unit: i64| base.add_seconds(n.checked_mul(unit)?);
        let given = self.rotation_rfc3339.as_deref().filter(|t| !t.is_empty());
        let rotation = if let Some(n) = set(self.rotation_years) {
            base.add_date(n, 0, 0)
        } else if let Some(text) = given {
            Some(Point::of(asked, "rotation_rfc3339", text)?)
        } else if let Some(n) = set(self.rotation_months) {
            base.add_date(0, n, 0)
        } else if let Some(n) = set(self.rotation_minutes) {
            seconds(n, 60)
        } else if let Some(n) = set(self.rotation_hours) {
            seconds(n, 3600)
        } else {
            base.add_date(0, 0, self.rotation_days.unwrap_or(0))
        };
        let rotation =
            rotation.ok_or_else(|| Error::new(asked, "the rotation is beyond the calendar"))?;
        Ok(TimeRotating {
            rfc3339: Some(base.text()),
            rotation_rfc3339: Some(rotation.text()),
            year: rotation.local.year().into(),
            month: rotation.local.month().into(),
            day: rotation.local.day().into(),
            hour: rotation.local.hour().into(),
            minute: rotation.local.minute().into(),
            second: rotation.local.second().into(),
            unix: rotation.unix(),
            id: base.text(),
            ..self
        })
    }

    fn has_passed(&self) -> bool {
        let rotation = self.rotation_rfc3339.as_deref().and_then(Point::parse);
        rotation.is_some_and(|r| Point::now().instant() > r.instant())
    }
}

#[async_trait]
impl Resource for TimeRotating {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        let mut found = at_least_one(config, &ROTATIONS);
        is_time(config, "rfc3339", &mut found);
        is_time(config, "rotation_rfc3339", &mut found);
        for name in ROTATIONS.iter().filter(|n| **n != "rotation_rfc3339") {
            at_least(config, name, 1, &mut found);
        }
        found
    }

    async fn plan(
        _client: Option<&()>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        if plan.is_create() || plan.changes("triggers") || plan.changes("rfc3339") {
            return Ok(());
        }
        let changed = |name: &&str| plan.changes(name);
        if ROTATIONS.iter().any(changed) {
            // What was computed from the old distances must not decide again.
            let given = plan
                .config()
                .get("rotation_rfc3339")
                .is_some_and(|v| !v.is_null());
            foretell::<TimeRotating>(plan, "rfc3339", &COMPUTED, |mut object| {
                if !given {
                    object.rotation_rfc3339 = None;
                }
                object.settle()
            })?;
        }
        Ok(())
    }

    async fn create(
        _client: &(),
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(planned.settle()?)
    }

    async fn read(_client: &(), prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        Ok((!prior.has_passed()).then_some(prior))
    }

    async fn update(
        _client: &(),
        _prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(planned.settle()?)
    }

    async fn delete(_client: &(), _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }

    async fn import(_client: &(), id: &str, _cx: &Context) -> Result<Self, Error> {
        let asked = "import the time_rotating";
        let parts: Vec<&str> = id.split(',').collect();
        let mut object = TimeRotating {
            triggers: Some(Keepers::new()),
            rfc3339: parts.first().map(|t| (*t).to_owned()),
            rotation_rfc3339: None,
            rotation_minutes: None,
            rotation_hours: None,
            rotation_days: None,
            rotation_months: None,
            rotation_years: None,
            year: 0,
            month: 0,
            day: 0,
            hour: 0,
            minute: 0,
            second: 0,
            unix: 0,
            id: String::new(),
        };
        match parts.as_slice() {
            [_, rotation] => object.rotation_rfc3339 = Some((*rotation).to_owned()),
            [_, years, months, days, hours, minutes] => {
                object.rotation_years = number(asked, years)?;
                object.rotation_months = number(asked, months)?;
                object.rotation_days = number(asked, days)?;
                object.rotation_hours = number(asked, hours)?;
                object.rotation_minutes = number(asked, minutes)?;
            }
            _ => {
                return Err(Error::new(
                    asked,
                    format!(
                        "unexpected format of ID ({id:?}), expected BASETIMESTAMP,YEARS,MONTHS,DAYS,HOURS,MINUTES or BASETIMESTAMP,ROTATIONTIMESTAMP"
                    ),
                ));
            }
        }
        object.settle()
    }
}
