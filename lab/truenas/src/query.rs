//! Query filters and options, over any list of objects.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::error::{EINVAL, Failure};

/// Most that filters may nest.
const DEEPEST: usize = 8;

/// Applies `filters` and `options` (already checked against the schema) to rows.
pub(crate) fn query(rows: Vec<Value>, filters: &Value, options: &Value) -> Result<Value, Failure> {
    let none = Vec::new();
    let filters = filters.as_array().unwrap_or(&none);
    let mut found = Vec::new();
    for row in rows {
        if all(filters, &row, 0)? {
            found.push(row);
        }
    }
    let flag = |name: &str| options.get(name).and_then(Value::as_bool).unwrap_or(false);
    let number = |name: &str| {
        options
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0)
    };
    if flag("count") {
        return Ok(json!(found.len()));
    }
    let order = options
        .get("order_by")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    for key in order.iter().rev().filter_map(Value::as_str) {
        let key = key
            .trim_start_matches("nulls_first:")
            .trim_start_matches("nulls_last:");
        let (key, reverse) = key.strip_prefix('-').map_or((key, false), |k| (k, true));
        found.sort_by(|a, b| {
            let ordering = compare(field(a, key), field(b, key)).unwrap_or(Ordering::Equal);
            if reverse {
                ordering.reverse()
            } else {
                ordering
            }
        });
    }
    let limit = Some(number("limit"))
        .filter(|n| *n > 0)
        .unwrap_or(usize::MAX);
    let mut found: Vec<Value> = found
        .into_iter()
        .skip(number("offset"))
        .take(limit)
        .collect();
    let select = options
        .get("select")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    if !select.is_empty() {
        found = found
            .iter()
            .map(|row| selected(row, select))
            .collect::<Result<_, _>>()?;
    }
    if flag("get") {
        return found.into_iter().next().ok_or(Failure::MatchNotFound);
    }
    Ok(Value::Array(found))
}

fn all(filters: &[Value], row: &Value, depth: usize) -> Result<bool, Failure> {
    for filter in filters {
        if !one(filter, row, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn one(filter: &Value, row: &Value, depth: usize) -> Result<bool, Failure> {
    let bad = || Failure::call(EINVAL, format!("Invalid filter {filter}"));
    if depth > DEEPEST {
        return Err(bad());
    }
    match filter.as_array().map(Vec::as_slice) {
        Some([Value::String(or), Value::Array(branches)]) if or == "OR" => {
            for branch in branches {
                // A branch is one filter, or a list of filters that all must hold.
                let holds = match branch.as_array().and_then(|b| b.first()) {
                    Some(Value::Array(_)) => all(
                        branch.as_array().map(Vec::as_slice).unwrap_or_default(),
                        row,
                        depth + 1,
                    )?,
                    _ => one(branch, row, depth + 1)?,
                };
                if holds {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Some([Value::String(name), Value::String(op), wanted]) => {
            let actual = field(row, name).unwrap_or(&Value::Null);
            test(actual, op, wanted).ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

/// `None` for an operator that does not exist or does not fit the values.
fn test(actual: &Value, op: &str, wanted: &Value) -> Option<bool> {
    let texts = || Some((actual.as_str().unwrap_or_default(), wanted.as_str()?));
    let within = |list: &Value, item: &Value| match list {
        Value::Array(items) => items.contains(item),
        Value::String(text) => item.as_str().is_some_and(|i| text.contains(i)),
        _ => false,
    };
    Some(match op {
        "=" => actual == wanted,
        "!=" => actual != wanted,
        ">" => compare(Some(actual), Some(wanted)) == Some(Ordering::Greater),
        ">=" => matches!(
            compare(Some(actual), Some(wanted)),
            Some(Ordering::Greater | Ordering::Equal)
        ),
        "<" => compare(Some(actual), Some(wanted)) == Some(Ordering::Less),
        "<=" => matches!(
            compare(Some(actual), Some(wanted)),
            Some(Ordering::Less | Ordering::Equal)
        ),
        "~" => {
            let (text, pattern) = texts()?;
            regex::Regex::new(&format!("^(?:{pattern})"))
                .ok()?
                .is_match(text)
        }
        "in" => within(wanted, actual),
        "nin" => !within(wanted, actual),
        "rin" => within(actual, wanted),
        "rnin" => !within(actual, wanted),
        "^" => texts().map(|(a, w)| a.starts_with(w))?,
        "!^" => texts().map(|(a, w)| !a.starts_with(w))?,
        "$" => texts().map(|(a, w)| a.ends_with(w))?,
        "!$" => texts().map(|(a, w)| !a.ends_with(w))?,
        _ => return None,
    })
}

/// The member that a dotted name leads to; `\.` is a dot of the name itself.
fn field<'v>(row: &'v Value, name: &str) -> Option<&'v Value> {
    let mut at = row;
    for part in name.replace("\\.", "\u{0}").split('.') {
        let part = part.replace('\u{0}', ".");
        at = match at {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            other => other.get(&part)?,
        };
    }
    Some(at)
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Option<Ordering> {
    match (a?, b?) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Null, _) => Some(Ordering::Less),
        (_, Value::Null) => Some(Ordering::Greater),
        _ => None,
    }
}

fn selected(row: &Value, select: &[Value]) -> Result<Value, Failure> {
    let mut out = Map::new();
    for item in select {
        let (name, alias) = match item {
            Value::String(name) => (name.as_str(), name.as_str()),
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(name), Value::String(alias)] => (name.as_str(), alias.as_str()),
                _ => return Err(Failure::call(EINVAL, format!("Invalid select {item}"))),
            },
            _ => return Err(Failure::call(EINVAL, format!("Invalid select {item}"))),
        };
        if let Some(value) = field(row, name) {
            out.insert(alias.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Value> {
        vec![
            json!({"id": "tank", "n": 1, "p": {"v": "ON"}}),
            json!({"id": "tank/a", "n": 3, "p": {"v": "OFF"}}),
            json!({"id": "dozer", "n": 2, "p": {"v": "ON"}}),
        ]
    }

    fn ids(filters: Value, options: Value) -> Vec<String> {
        let found = query(rows(), &filters, &options).unwrap();
        found
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn operators_and_branches() {
        assert_eq!(
            ids(json!([["id", "^", "tank"], ["n", ">", 1]]), json!({})),
            ["tank/a"]
        );
        assert_eq!(
            ids(json!([["p.v", "=", "ON"]]), json!({"order_by": ["-n"]})),
            ["dozer", "tank"]
        );
        assert_eq!(
            ids(
                json!([[
                    "OR",
                    [["id", "=", "dozer"], [["n", "=", 1], ["id", "~", "ta"]]]
                ]]),
                json!({})
            ),
            ["tank", "dozer"]
        );
        assert_eq!(
            ids(json!([["id", "in", ["tank", "x"]]]), json!({})),
            ["tank"]
        );
        assert_eq!(ids(json!([]), json!({"offset": 1, "limit": 1})), ["tank/a"]);
    }

    #[test]
    fn get_count_select_and_errors() {
        assert!(matches!(
            query(rows(), &json!([["id", "=", "no"]]), &json!({"get": true})),
            Err(Failure::MatchNotFound)
        ));
        assert_eq!(
            query(rows(), &json!([]), &json!({"count": true})).unwrap(),
            3
        );
        let row = query(
            rows(),
            &json!([["n", "=", 1]]),
            &json!({"get": true, "select": ["n", ["p.v", "value"]]}),
        )
        .unwrap();
        assert_eq!(row, json!({"n": 1, "value": "ON"}));
        assert!(query(rows(), &json!([["id", "??", 1]]), &json!({})).is_err());
    }
}
