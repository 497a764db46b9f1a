//! `time_sleep`: a pause after the creation or before the destruction of something else.

use std::time::Duration;

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::wait::parse_duration;
use stead_sdk::{Context, Error, ErrorKind, Failure, Resource, async_trait};

use crate::generated::{Keepers, invalid};
use crate::time::r#static::now;

/// A pause. Prefer resources that wait for what they need.
#[derive(Clone, Debug, Resource)]
#[resource(name = "time_sleep")]
pub(crate) struct TimeSleep {
    /// Arbitrary values that, when changed, pause again.
    #[attr(optional, replace)]
    triggers: Option<Keepers>,
    /// How long to pause when it is created, such as `30s` or `5m`.
    #[attr(optional)]
    create_duration: Option<String>,
    /// How long to pause when it is destroyed.
    #[attr(optional)]
    destroy_duration: Option<String>,
    /// When it was created, in RFC 3339.
    #[attr(computed)]
    id: String,
}

/// A number and one unit: the published provider takes no sums such as `1m30s`.
fn parse(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    ["ms", "s", "m", "h"]
        .contains(&unit)
        .then(|| parse_duration(text))
        .flatten()
}

async fn pause(name: &str, text: Option<&String>, cx: &Context) -> Result<(), Error> {
    let Some(text) = text.filter(|t| !t.is_empty()) else {
        return Ok(());
    };
    let asked = format!("pause for `{name}`");
    let length = parse(text)
        .ok_or_else(|| Error::new(&asked, format!("{text:?} is not a duration")).attribute(name))?;
    cx.progress(format!("pausing for {text}, as `{name}` says"));
    tokio::select! {
        () = tokio::time::sleep(length) => Ok(()),
        () = cx.cancelled().cancelled() => Err(Error::of_kind(ErrorKind::Cancelled, asked, "interrupted")),
    }
}

#[async_trait]
impl Resource for TimeSleep {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let names = ["create_duration", "destroy_duration"];
        if names
            .iter()
            .all(|name| config.get(name).is_none_or(|v| v.is_null()))
        {
            found.push(invalid(
                "create_duration",
                "At least one of create_duration and destroy_duration must be set.",
            ));
        }
        for name in names {
            if let Some(text) = config.get(name).as_ref().and_then(Value::as_str)
                && parse(text).is_none()
            {
                let detail = format!(
                    "`{name}` must be a number and ms, s, m or h, such as \"30s\", not {text:?}."
                );
                found.push(invalid(name, detail));
            }
        }
        found
    }

    async fn create(
        _client: &(),
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        pause("create_duration", planned.create_duration.as_ref(), cx).await?;
        Ok(TimeSleep {
            id: now(),
            ..planned
        })
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
        Ok(planned)
    }

    async fn delete(_client: &(), prior: Self, cx: &Context) -> Result<(), Error> {
        pause("destroy_duration", prior.destroy_duration.as_ref(), cx).await
    }
}
