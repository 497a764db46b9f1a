//! How long operations may take: the attribute `timeouts`.

use std::time::Duration;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::wait::parse_duration;
use stead_sdk::{Block, Error};

/// Taken where the configuration says nothing.
const DEFAULT: Duration = Duration::from_secs(10 * 60);

/// Durations such as `30s` or `1h10m`.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct ApplyTimeouts {
    /// For the first application; 10 minutes by default.
    #[attr(optional)]
    pub(crate) create: Option<String>,
    /// For later ones; 10 minutes by default.
    #[attr(optional)]
    pub(crate) update: Option<String>,
    /// For a reset on destroy; 10 minutes by default.
    #[attr(optional)]
    pub(crate) delete: Option<String>,
}

/// Durations such as `30s` or `1h10m`.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct CreateUpdateTimeouts {
    /// For the creation; 10 minutes by default.
    #[attr(optional)]
    pub(crate) create: Option<String>,
    /// For an update; 10 minutes by default.
    #[attr(optional)]
    pub(crate) update: Option<String>,
}

/// Durations such as `30s` or `1h10m`.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct CreateTimeout {
    /// For the creation; 10 minutes by default.
    #[attr(optional)]
    pub(crate) create: Option<String>,
}

/// Durations such as `30s` or `1h10m`.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct ReadTimeout {
    /// For reading; 10 minutes by default.
    #[attr(optional)]
    pub(crate) read: Option<String>,
}

/// The configured duration, or the default.
pub(crate) fn timeout_of(text: Option<&String>) -> Result<Duration, Error> {
    timeout_or(text, DEFAULT)
}

/// The configured duration, or another default.
pub(crate) fn timeout_or(text: Option<&String>, default: Duration) -> Result<Duration, Error> {
    let Some(text) = text else {
        return Ok(default);
    };
    parse_duration(text).ok_or_else(|| Error::from(invalid(text, Path::root().attr("timeouts"))))
}

/// Refuses durations that are none.
pub(crate) fn check_timeouts(config: &Value) -> Diagnostics {
    let Some(timeouts) = config.get("timeouts") else {
        return Diagnostics::new();
    };
    let each = timeouts.as_entries().into_iter().flatten();
    each.filter_map(|(name, value)| {
        let text = value.as_str()?;
        let place = Path::root().attr("timeouts").attr(name.as_ref());
        parse_duration(text).is_none().then(|| invalid(text, place))
    })
    .collect()
}

fn invalid(text: &str, place: Path) -> Diagnostic {
    let detail = format!("{text:?} is not a duration such as \"30s\", \"10m\" or \"1h30m\".");
    Diagnostic::error("Invalid duration", detail).attribute(place)
}
