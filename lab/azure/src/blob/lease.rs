//! Leases of blobs and containers: acquire, renew, change, release, break.

use uuid::Uuid;

use super::{Outcome, Request, blob_not_found, error, invalid};
use crate::http::{Answer, now};
use crate::state::Lease;

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    Available,
    Leased,
    Breaking,
    Broken,
    Expired,
}

impl Stand {
    pub(super) fn of(lease: Option<&Lease>, now: i64) -> Stand {
        match lease {
            None => Stand::Available,
            Some(Lease {
                broken_at: Some(at),
                ..
            }) if *at <= now => Stand::Broken,
            Some(Lease {
                broken_at: Some(_), ..
            }) => Stand::Breaking,
            Some(Lease {
                expires: Some(at), ..
            }) if *at <= now => Stand::Expired,
            Some(_) => Stand::Leased,
        }
    }

    /// Whether changes need the lease's id.
    pub(super) fn locked(self) -> bool {
        matches!(self, Stand::Leased | Stand::Breaking)
    }

    pub(super) fn state(self) -> &'static str {
        match self {
            Stand::Available => "available",
            Stand::Leased => "leased",
            Stand::Breaking => "breaking",
            Stand::Broken => "broken",
            Stand::Expired => "expired",
        }
    }

    pub(super) fn status(self) -> &'static str {
        if self.locked() { "locked" } else { "unlocked" }
    }
}

impl Request<'_> {
    /// 412 unless the request may change something under this lease.
    pub(super) fn check_lease(&self, lease: Option<&Lease>, of: &str) -> Result<(), Answer> {
        let given = Some(self.call.header("x-ms-lease-id")).filter(|v| !v.is_empty());
        let locked = Stand::of(lease, now()).locked();
        match (given, lease.filter(|_| locked)) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(error(
                412,
                "LeaseIdMissing",
                &format!(
                    "There is currently a lease on the {of} and no lease ID was specified in the request."
                ),
            )),
            (Some(given), Some(lease)) if given.eq_ignore_ascii_case(&lease.id) => Ok(()),
            (Some(_), Some(_)) => {
                let capital = if of == "blob" { "Blob" } else { "Container" };
                Err(error(
                    412,
                    &format!("LeaseIdMismatchWith{capital}Operation"),
                    &format!("The lease ID specified did not match the lease ID for the {of}."),
                ))
            }
            (Some(_), None) if lease.is_some() => Err(error(
                412,
                "LeaseLost",
                &format!("A lease ID was specified, but the lease for the {of} has expired."),
            )),
            (Some(_), None) => {
                let capital = if of == "blob" { "Blob" } else { "Container" };
                Err(error(
                    412,
                    &format!("LeaseNotPresentWith{capital}Operation"),
                    &format!("There is currently no lease on the {of}."),
                ))
            }
        }
    }

    pub(super) fn lease_blob(&self) -> Outcome {
        self.with_container(|container, _| {
            let blob = container
                .blobs
                .get_mut(&self.blob)
                .ok_or_else(blob_not_found)?;
            self.conditions(Some((&blob.etag, blob.modified)))?;
            let answer = self.lease(&mut blob.lease, "blob", "Blob")?;
            Request::stamped(answer, &blob.etag, blob.modified)
        })
    }

    pub(super) fn lease_container(&self) -> Outcome {
        self.with_container(|container, _| {
            let answer = self.lease(&mut container.lease, "container", "Container")?;
            Request::stamped(answer, &container.etag, container.modified)
        })
    }

    fn lease(&self, lease: &mut Option<Lease>, of: &str, capital: &str) -> Outcome {
        let time = now();
        let stand = Stand::of(lease.as_ref(), time);
        let given = Some(self.call.header("x-ms-lease-id")).filter(|v| !v.is_empty());
        let proposed = Some(self.call.header("x-ms-proposed-lease-id")).filter(|v| !v.is_empty());
        if let Some(bad) = [given, proposed]
            .into_iter()
            .flatten()
            .find(|id| Uuid::parse_str(id).is_err())
        {
            return Err(invalid("header", bad));
        }
        let mismatch = || {
            error(
                409,
                "LeaseIdMismatchWithLeaseOperation",
                &format!("The lease ID specified did not match the lease ID for the {of}."),
            )
        };
        let none = || {
            error(
                409,
                "LeaseNotPresentWithLeaseOperation",
                &format!("There is currently no lease on the {of}."),
            )
        };
        // What every action but acquire and break requires: a lease, and its id.
        let held = |lease: &Option<Lease>| match (lease, given) {
            (_, None) => Err(error(
                400,
                "MissingRequiredHeader",
                "An HTTP header that's mandatory for this request is not specified. (x-ms-lease-id)",
            )),
            (None, Some(_)) => Err(none()),
            (Some(lease), Some(given)) if lease.id.eq_ignore_ascii_case(given) => Ok(lease.clone()),
            (Some(_), Some(_)) => Err(mismatch()),
        };
        match self
            .call
            .header("x-ms-lease-action")
            .to_ascii_lowercase()
            .as_str()
        {
            "acquire" => {
                let duration = match self.call.header("x-ms-lease-duration").parse::<i64>() {
                    Ok(-1) => None,
                    Ok(seconds) if (15..=60).contains(&seconds) => Some(seconds),
                    _ => return Err(invalid("header", "x-ms-lease-duration")),
                };
                let id = proposed.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
                if stand.locked()
                    && !lease
                        .as_ref()
                        .is_some_and(|l| l.id.eq_ignore_ascii_case(&id) && stand == Stand::Leased)
                {
                    return Err(error(
                        409,
                        "LeaseAlreadyPresent",
                        "There is already a lease present.",
                    ));
                }
                *lease = Some(Lease {
                    id: id.clone(),
                    expires: duration.map(|d| time + d * 1000),
                    duration,
                    broken_at: None,
                });
                Ok(Answer::empty(201).with("x-ms-lease-id", id))
            }
            "renew" => {
                let mut renewed = held(lease)?;
                if matches!(stand, Stand::Breaking | Stand::Broken) {
                    return Err(error(
                        409,
                        "LeaseIsBrokenAndCannotBeRenewed",
                        "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.",
                    ));
                }
                renewed.expires = renewed.duration.map(|d| time + d * 1000);
                let id = renewed.id.clone();
                *lease = Some(renewed);
                Ok(Answer::empty(200).with("x-ms-lease-id", id))
            }
            "change" => {
                let Some(id) = proposed else {
                    return Err(error(
                        400,
                        "MissingRequiredHeader",
                        "An HTTP header that's mandatory for this request is not specified. (x-ms-proposed-lease-id)",
                    ));
                };
                let current = lease.clone().ok_or_else(none)?;
                let mine = given.is_some_and(|g| {
                    g.eq_ignore_ascii_case(&current.id) || id.eq_ignore_ascii_case(&current.id)
                });
                match stand {
                    Stand::Leased if mine => {}
                    Stand::Leased => return Err(mismatch()),
                    Stand::Breaking => {
                        return Err(error(
                            409,
                            "LeaseIsBreakingAndCannotBeChanged",
                            "The lease ID matched, but the lease is currently in breaking state and cannot be changed.",
                        ));
                    }
                    _ => return Err(none()),
                }
                *lease = Some(Lease {
                    id: id.to_owned(),
                    ..current
                });
                Ok(Answer::empty(200).with("x-ms-lease-id", id))
            }
            "release" => {
                held(lease)?;
                *lease = None;
                Ok(Answer::empty(200))
            }
            "break" => self.break_lease(lease, stand, capital),
            _ => Err(invalid("header", "x-ms-lease-action")),
        }
    }

    fn break_lease(&self, lease: &mut Option<Lease>, stand: Stand, capital: &str) -> Outcome {
        let time = now();
        let period = match self.call.header("x-ms-lease-break-period") {
            "" => None,
            text => Some(
                text.parse::<i64>()
                    .ok()
                    .filter(|p| (0..=60).contains(p))
                    .ok_or_else(|| invalid("header", "x-ms-lease-break-period"))?,
            ),
        };
        let Some(held) = lease.as_mut().filter(|_| stand != Stand::Available) else {
            return Err(error(
                409,
                "LeaseNotPresentWithLeaseOperation",
                &format!(
                    "There is currently no lease on the {}.",
                    capital.to_ascii_lowercase()
                ),
            ));
        };
        // An infinite lease breaks at once unless a period is given; a finite one by its own end at the latest.
        let left = held.expires.map(|e| (e - time).max(0) / 1000);
        let wait = match (period, left) {
            (None, left) => left.unwrap_or(0),
            (Some(period), Some(left)) => period.min(left),
            (Some(period), None) => period,
        };
        let wait = if matches!(stand, Stand::Broken | Stand::Expired) {
            0
        } else {
            wait
        };
        held.broken_at = Some(time + wait * 1000);
        Ok(Answer::empty(202).with("x-ms-lease-time", wait.to_string()))
    }
}
