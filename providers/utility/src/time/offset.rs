//! `time_offset`: a point in time at a distance from another, kept.

use stead_sdk::value::{Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use super::point::{Point, not_a_time};
use crate::generated::{Keepers, invalid};

const OFFSETS: [&str; 6] = [
    "offset_seconds",
    "offset_minutes",
    "offset_hours",
    "offset_days",
    "offset_months",
    "offset_years",
];
const COMPUTED: [&str; 10] = [
    "base_rfc3339",
    "rfc3339",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "unix",
    "id",
];

/// A point in time at a distance from now, or from the one given.
#[derive(Clone, Debug, Resource)]
#[resource(name = "time_offset")]
pub(crate) struct TimeOffset {
    /// Arbitrary values that, when changed, take the time anew.
    #[attr(optional, replace)]
    triggers: Option<Keepers>,
    /// The time to count from, in RFC 3339; now unless set.
    #[attr(optional, computed)]
    base_rfc3339: Option<String>,
    #[attr(optional)]
    offset_seconds: Option<i64>,
    #[attr(optional)]
    offset_minutes: Option<i64>,
    #[attr(optional)]
    offset_hours: Option<i64>,
    #[attr(optional)]
    offset_days: Option<i64>,
    #[attr(optional)]
    offset_months: Option<i64>,
    #[attr(optional)]
    offset_years: Option<i64>,
    /// The offset time in RFC 3339.
    #[attr(computed)]
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
    /// The offset time in seconds since 1970.
    #[attr(computed)]
    unix: i64,
    /// The base time in RFC 3339.
    #[attr(computed)]
    id: String,
}

impl TimeOffset {
    fn settle(self) -> Result<TimeOffset, Error> {
        let asked = "add the offset";
        let base = match self.base_rfc3339.as_deref().filter(|t| !t.is_empty()) {
            Some(text) => Point::of(asked, "base_rfc3339", text)?,
            None => Point::now(),
        };
        let n = |offset: Option<i64>| offset.unwrap_or(0);
        let seconds = |offset: Option<i64>, unit: i64| n(offset).checked_mul(unit);
        let moved = base
            .add_date(0, 0, n(self.offset_days))
            .and_then(|p| p.add_seconds(seconds(self.offset_hours, 3600)?))
            .and_then(|p| p.add_seconds(seconds(self.offset_minutes, 60)?))
            .and_then(|p| p.add_date(0, n(self.offset_months), 0))
            .and_then(|p| p.add_seconds(n(self.offset_seconds)))
            .and_then(|p| p.add_date(n(self.offset_years), 0, 0))
            .ok_or_else(|| Error::new(asked, "the result is beyond the calendar"))?;
        Ok(TimeOffset {
            base_rfc3339: Some(base.text()),
            rfc3339: Some(moved.text()),
            year: moved.local.year().into(),
            month: moved.local.month().into(),
            day: moved.local.day().into(),
            hour: moved.local.hour().into(),
            minute: moved.local.minute().into(),
            second: moved.local.second().into(),
            unix: moved.unix(),
            id: base.text(),
            ..self
        })
    }
}

/// Refuses a configuration in which none of `names` is set.
pub(super) fn at_least_one(config: &Value, names: &[&str]) -> Diagnostics {
    let set = |name: &&str| config.get(name).is_none_or(|v| !v.is_null());
    if names.iter().any(set) {
        return Diagnostics::new();
    }
    let first = names.first().copied().unwrap_or_default();
    invalid(
        first,
        format!(
            "At least one of these attributes must be configured: [{}].",
            names.join(", ")
        ),
    )
    .into()
}

/// Refuses a text that is no point in time.
pub(super) fn is_time(config: &Value, name: &str, found: &mut Diagnostics) {
    if let Some(text) = config.get(name).as_ref().and_then(Value::as_str)
        && Point::parse(text).is_none()
    {
        found.push(invalid(name, not_a_time(text)));
    }
}

/// Writes what is known already into the plan: what `settle` makes of the planned object, which must be wholly known.
pub(super) fn foretell<R: Resource>(
    plan: &mut PlanDraft,
    base: &str,
    computed: &[&str],
    settle: impl FnOnce(R) -> Result<R, Error>,
) -> Result<(), Diagnostics> {
    if plan
        .attribute(base)
        .is_none_or(|v| !v.is_known() || v.is_null())
    {
        let before = plan.prior().get(base);
        let Some(before) = before.filter(|v| !v.is_null()) else {
            return Ok(());
        };
        plan.set(&Path::root().attr(base), before)?;
    }
    let entries = plan.planned().as_entries().cloned().unwrap_or_default();
    let known = entries.into_iter().map(|(name, value)| {
        let value = if value.is_wholly_known() {
            value
        } else {
            Value::null(value.ty())
        };
        (name, value)
    });
    let object = R::decode(&Value::object(known.collect()), &Path::root())?;
    let settled = settle(object)?.encode();
    for name in computed {
        if let Some(value) = settled.get(name) {
            plan.set(&Path::root().attr(*name), value)?;
        }
    }
    Ok(())
}

#[async_trait]
impl Resource for TimeOffset {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        let mut found = at_least_one(config, &OFFSETS);
        is_time(config, "base_rfc3339", &mut found);
        found
    }

    async fn plan(
        _client: Option<&()>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        if plan.is_create() || plan.changes("triggers") {
            return Ok(());
        }
        let moved = |name: &&str| plan.changes(name);
        if OFFSETS.iter().any(moved) || plan.changes("base_rfc3339") {
            foretell::<TimeOffset>(plan, "base_rfc3339", &COMPUTED, TimeOffset::settle)?;
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
        Ok(Some(prior))
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
        let asked = "import the time_offset";
        let parts: Vec<&str> = id.split(',').collect();
        let [base, years, months, days, hours, minutes, seconds] = parts.as_slice() else {
            return Err(Error::new(
                asked,
                format!(
                    "unexpected format of ID ({id:?}), expected BASETIMESTAMP,YEARS,MONTHS,DAYS,HOURS,MINUTES,SECONDS"
                ),
            ));
        };
        let n = |text: &str| number(asked, text);
        let object = TimeOffset {
            triggers: Some(Keepers::new()),
            base_rfc3339: Some((*base).to_owned()),
            offset_years: n(years)?,
            offset_months: n(months)?,
            offset_days: n(days)?,
            offset_hours: n(hours)?,
            offset_minutes: n(minutes)?,
            offset_seconds: n(seconds)?,
            rfc3339: None,
            year: 0,
            month: 0,
            day: 0,
            hour: 0,
            minute: 0,
            second: 0,
            unix: 0,
            id: String::new(),
        };
        object.settle()
    }
}

/// One part of an id for import; an empty one stands for nothing.
pub(super) fn number(asked: &str, text: &str) -> Result<Option<i64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse().map(Some);
    parsed.map_err(|_| Error::new(asked, format!("{text:?} is not a whole number")))
}
