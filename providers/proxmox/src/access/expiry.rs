//! When something expires: seconds since 1970 on the server, RFC 3339 for people; 0 is never.

use jiff::Timestamp;
use serde_json::Value as Json;
use stead_sdk::form::{FormValue, Style, Unreadable};

fn seconds(text: &str) -> Option<i64> {
    text.parse().ok().map(Timestamp::as_second)
}

/// A moment for people.
pub(crate) fn date(seconds: i64) -> Result<String, Unreadable> {
    let date = Timestamp::from_second(seconds).map_err(|_| Unreadable::new("a time"))?;
    Ok(date.to_string())
}

pub(crate) fn write(date: &Option<String>) -> Vec<String> {
    let seconds = date.as_deref().and_then(seconds).unwrap_or(0);
    vec![seconds.to_string()]
}

/// The same instant stays as people wrote it.
pub(crate) fn read(
    prior: Option<String>,
    found: Option<&Json>,
) -> Result<Option<String>, Unreadable> {
    let found = found.map_or(Ok(0), |found| i64::read(0, found, Style::PLAIN))?;
    let known = prior.as_deref().and_then(seconds).unwrap_or(0);
    match found {
        _ if found == known => Ok(prior),
        0 => Ok(None),
        _ => date(found).map(Some),
    }
}

/// The same, where never is said as the moment 0.
pub(crate) mod always_said {
    use super::{Json, Unreadable, date};

    pub(crate) use super::write;

    pub(crate) fn read(
        prior: Option<String>,
        found: Option<&Json>,
    ) -> Result<Option<String>, Unreadable> {
        match super::read(prior, found)? {
            None => date(0).map(Some),
            said => Ok(said),
        }
    }
}
