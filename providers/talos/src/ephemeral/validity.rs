//! When a certificate that is made on demand begins and ends: the attributes `not_before` and `crt_ttl`.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::wait::parse_duration;
use stead_sdk::{Context, Error};

use crate::machinery::{Validity, certificate_validity};

/// Taken where the beginning is configured and the time is not: 10 years, as in the published provider.
const TTL: Duration = Duration::from_secs(87_600 * 3600);

/// The span of a certificate that `authority` (PEM) signs: from `not_before` on for `crt_ttl`, or the authority's own.
pub(super) fn resolve(
    not_before: Option<&String>,
    crt_ttl: Option<&String>,
    authority: &str,
) -> Result<Validity, Error> {
    let Some(text) = not_before.filter(|t| !t.is_empty()) else {
        return certificate_validity(authority)
            .map_err(|e| Error::new("read the certificate of the authority", e.to_string()));
    };
    let not_before = moment(text)?;
    let ttl = match crt_ttl.filter(|t| !t.is_empty()) {
        None => TTL,
        Some(text) => lifetime(text)?,
    };
    let not_after = not_before.checked_add(ttl).ok_or_else(|| {
        Error::new("date the certificate", "its end is too far away").attribute("crt_ttl")
    })?;
    Ok(Validity {
        not_before,
        not_after,
    })
}

/// Refuses texts that are no time and no duration, and warns of a lifetime that has no effect.
pub(super) fn check(config: &Value) -> Diagnostics {
    let given = |name: &str| config.get(name).filter(|v| !v.is_null());
    let mut found = Diagnostics::new();
    if let Some(text) = given("not_before").as_ref().and_then(Value::as_str)
        && let Err(error) = moment(text)
    {
        found.extend(Diagnostics::from(error));
    }
    let Some(ttl) = given("crt_ttl") else {
        return found;
    };
    if let Some(Err(error)) = ttl.as_str().map(lifetime) {
        found.extend(Diagnostics::from(error));
    }
    if given("not_before").is_none() {
        found.extend([Diagnostic::warning(
            "The lifetime has no effect",
            "Without `not_before` the certificate is as long valid as the authority that signs it. Set `not_before` too.",
        )
        .attribute(Path::root().attr("crt_ttl"))]);
    }
    found
}

/// Says it when a certificate cannot be used now: it is dated by configuration alone.
pub(super) fn warn_unless_valid(validity: Validity, now: SystemTime, cx: &Context) {
    let said = if validity.not_after <= now {
        format!("It ended at {}.", spelled(validity.not_after))
    } else if validity.not_before > now {
        format!("It begins at {}.", spelled(validity.not_before))
    } else {
        return;
    };
    let remedy = "Set another `not_before`: the certificate follows from it.";
    cx.warn(
        "The client certificate is not valid now",
        format!("{said} {remedy}"),
    );
}

/// The time in UTC and RFC 3339.
fn spelled(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "an unknown time".to_owned(), |t| format!("{t:.0}"))
}

fn moment(text: &str) -> Result<SystemTime, Error> {
    let parsed: Timestamp = text.parse().map_err(|_| {
        let said = format!("{text:?} is not a time such as 2026-01-31T12:00:00Z");
        Error::new("date the certificate", said).attribute("not_before")
    })?;
    Ok(parsed.into())
}

fn lifetime(text: &str) -> Result<Duration, Error> {
    parse_duration(text)
        .filter(|ttl| !ttl.is_zero())
        .ok_or_else(|| {
            let said = format!("{text:?} is not a lifetime such as \"8760h\"");
            Error::new("date the certificate", said).attribute("crt_ttl")
        })
}
