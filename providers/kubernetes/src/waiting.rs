//! What a manifest waits for after an apply: a rollout, fields, conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use serde_json::Value as Json;
use stead_sdk::kube::{self, Cluster, ObjectRef, Readiness, text};
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Context, Error};

use crate::fields::{self, Step};

/// All that must hold.
#[derive(Debug)]
pub(crate) struct Conditions {
    rollout: bool,
    fields: Vec<Wanted>,
    /// Types and statuses.
    conditions: Vec<(String, String)>,
}

#[derive(Debug)]
struct Wanted {
    path: String,
    steps: Vec<Step>,
    /// `None` is any value.
    pattern: Option<Regex>,
}

impl Conditions {
    pub(crate) fn new(
        rollout: bool,
        fields: &BTreeMap<String, String>,
        conditions: Vec<(String, String)>,
    ) -> Result<Conditions, Error> {
        let wanted = |(path, pattern): (&String, &String)| {
            let pattern = match pattern.as_str() {
                "*" => None,
                text => Some(Regex::new(text).map_err(|e| {
                    Error::new(
                        "read what to wait for",
                        format!("{text:?} is no regular expression: {e}"),
                    )
                    .attribute("wait")
                })?),
            };
            Ok(Wanted {
                path: path.clone(),
                steps: fields::parse(path)?,
                pattern,
            })
        };
        Ok(Conditions {
            rollout,
            fields: fields.iter().map(wanted).collect::<Result<_, Error>>()?,
            conditions,
        })
    }

    fn is_empty(&self) -> bool {
        !self.rollout && self.fields.is_empty() && self.conditions.is_empty()
    }

    /// How far an object is.
    fn check(&self, object: &Json) -> Readiness {
        if self.rollout {
            match kube::rollout(object) {
                Readiness::Ready => {}
                other => return other,
            }
        }
        for wanted in &self.fields {
            let found = fields::find(object, &wanted.steps).filter(|v| !v.is_null());
            let shown = found.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            let fits = match (&shown, &wanted.pattern) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(value), Some(pattern)) => pattern.is_match(value),
            };
            if !fits {
                return Readiness::Pending(format!("{} has not the value", wanted.path));
            }
        }
        let present = object
            .pointer("/status/conditions")
            .and_then(Json::as_array);
        for (kind, status) in &self.conditions {
            let holds = present
                .into_iter()
                .flatten()
                .any(|c| text(c, &["type"]) == kind && text(c, &["status"]) == status);
            if !holds {
                return Readiness::Pending(format!("condition {kind} is not {status}"));
            }
        }
        Readiness::Ready
    }
}

/// Waits until all holds, and gives the object as it was then; `None` when there is nothing to wait for.
pub(crate) async fn wait(
    cluster: &Cluster,
    id: &ObjectRef,
    conditions: &Conditions,
    limit: Duration,
    cx: &Context,
) -> Result<Option<Json>, Error> {
    if conditions.is_empty() {
        return Ok(None);
    }
    let polling = Polling::default().timeout(limit).tolerating_transient();
    let what = id.to_string();
    let waited = wait::until(cx, &what, polling, || async {
        let found = cluster.get(id, cx).await?;
        let found =
            found.ok_or_else(|| Error::not_found(format!("wait for {id}"), "it is gone"))?;
        match conditions.check(&found) {
            Readiness::Ready => Ok(Poll::Ready(found)),
            Readiness::Pending(why) => Ok(Poll::PendingBecause(why)),
            Readiness::Failed(why) => Err(Error::new(format!("roll out {id}"), why)),
        }
    });
    waited.await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_must_hold() {
        let fields = BTreeMap::from([
            ("status.phase".to_owned(), "^Act".to_owned()),
            ("status.ip".to_owned(), "*".to_owned()),
        ]);
        let conditions =
            Conditions::new(false, &fields, vec![("Ready".into(), "True".into())]).unwrap();
        let mut object = json!({ "status": { "phase": "Active" } });
        assert_eq!(
            conditions.check(&object),
            Readiness::Pending("status.ip has not the value".into())
        );
        object["status"]["ip"] = json!("10.0.0.1");
        assert_eq!(
            conditions.check(&object),
            Readiness::Pending("condition Ready is not True".into())
        );
        object["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
        assert_eq!(conditions.check(&object), Readiness::Ready);
        let wrong = BTreeMap::from([("a".to_owned(), "(".to_owned())]);
        assert!(Conditions::new(false, &wrong, Vec::new()).is_err());
    }
}
