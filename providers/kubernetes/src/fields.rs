//! Paths to fields, as `computed_fields` and `wait` write them: `status.loadBalancer.ingress[0].ip`, `data["a.b"]`.

use serde_json::{Map, Value as Json};
use stead_sdk::Error;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Member(String),
    Element(usize),
}

/// Reads a path.
pub(crate) fn parse(path: &str) -> Result<Vec<Step>, Error> {
    let invalid = || {
        Error::new("read the path of a field", format!("{path:?} is not a path"))
            .remedy("Write paths like `status.phase`, `status.ingress[0].ip` or `metadata.annotations[\"a.b/c\"]`.")
    };
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = match inner.strip_prefix('"') {
                Some(quoted) => {
                    let (name, after) = quoted.split_once("\"]").ok_or_else(invalid)?;
                    (Step::Member(name.to_owned()), after)
                }
                None => {
                    let (number, after) = inner.split_once(']').ok_or_else(invalid)?;
                    (Step::Element(number.parse().map_err(|_| invalid())?), after)
                }
            };
            steps.push(step);
            rest = after;
        } else {
            let plain = if steps.is_empty() {
                rest
            } else {
                rest.strip_prefix('.').ok_or_else(invalid)?
            };
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            let (name, after) = plain.split_at_checked(end).ok_or_else(invalid)?;
            if name.is_empty() {
                return Err(invalid());
            }
            steps.push(Step::Member(name.to_owned()));
            rest = after;
        }
    }
    if steps.is_empty() {
        Err(invalid())
    } else {
        Ok(steps)
    }
}

fn step<'a>(at: &'a Json, step: &Step) -> Option<&'a Json> {
    match step {
        Step::Member(name) => at.get(name),
        Step::Element(index) => at.get(index),
    }
}

/// What lies at a path.
pub(crate) fn find<'a>(object: &'a Json, path: &[Step]) -> Option<&'a Json> {
    path.iter().try_fold(object, step)
}

/// Gives the field in `wanted`, and all within it, the values of `live`, so that they make no difference. What `wanted` does
/// not have it does not get.
pub(crate) fn take_over(wanted: &mut Json, live: &Json, path: &[Step]) {
    let Some(found) = find(live, path) else {
        return;
    };
    let place = path.iter().try_fold(wanted, |at, step| match step {
        Step::Member(name) => at.get_mut(name),
        Step::Element(index) => at.get_mut(index),
    });
    if let Some(place) = place {
        *place = overlay(place, found);
    }
}

fn overlay(wanted: &Json, live: &Json) -> Json {
    match (wanted, live) {
        (Json::Object(wanted), Json::Object(live)) => {
            let values = wanted.iter().map(|(k, w)| {
                (
                    k.clone(),
                    live.get(k).map_or_else(|| w.clone(), |l| overlay(w, l)),
                )
            });
            Json::Object(values.collect::<Map<_, _>>())
        }
        _ => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_have_members_and_elements() {
        let member = |n: &str| Step::Member(n.into());
        assert_eq!(
            parse("status.phase").unwrap(),
            [member("status"), member("phase")]
        );
        assert_eq!(
            parse("a[0].b").unwrap(),
            [member("a"), Step::Element(0), member("b")]
        );
        assert_eq!(
            parse("a[\"b.c/d\"]").unwrap(),
            [member("a"), member("b.c/d")]
        );
        for wrong in ["", "a..b", "a[", "a[x]", ".a", "a[0]b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let object = json!({ "a": [{ "b": 7 }] });
        assert_eq!(find(&object, &parse("a[0].b").unwrap()), Some(&json!(7)));
        assert_eq!(find(&object, &parse("a[1].b").unwrap()), None);
    }

    #[test]
    fn what_the_server_may_change_is_taken_from_it() {
        let mut wanted = json!({ "metadata": { "labels": { "a": "1", "b": "2" } } });
        let live = json!({ "metadata": { "labels": { "a": "changed", "more": "x" } } });
        take_over(&mut wanted, &live, &parse("metadata.labels").unwrap());
        assert_eq!(
            wanted,
            json!({ "metadata": { "labels": { "a": "changed", "b": "2" } } })
        );
    }
}
