//! A request's parts: path, query, media types, body.

use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::Value;

use crate::error::ApiError;
use crate::ops::{FieldValidation, WriteOptions};
use crate::yaml;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// A path that is no resource, such as `/version`.
    Other,
    Resource(ResourcePath),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

pub(crate) fn target(path: &str) -> Target {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Target::Other,
    };
    let (namespace, rest) = match rest {
        // `/namespaces/x/status` is about the namespace, `/namespaces/x/pods` about what it holds.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        _ => ("", rest),
    };
    let (plural, rest) = rest.split_first().map_or(("", rest), |(p, r)| (*p, r));
    let (name, rest) = rest.split_first().map_or(("", rest), |(n, r)| (*n, r));
    Target::Resource(ResourcePath {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        plural: plural.to_owned(),
        name: name.to_owned(),
        subresource: rest.join("/"),
    })
}

/// Query parameters, percent-decoded.
#[derive(Debug, Default)]
pub(crate) struct Query(HashMap<String, String>);

impl Query {
    pub(crate) fn parse(query: &str) -> Query {
        let pairs = query.split('&').filter(|p| !p.is_empty());
        Query(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (percent_decode(key), percent_decode(value))
                })
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|v| matches!(v.as_str(), "" | "1" | "true" | "True" | "t"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let decoded = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|d| d.len() == 2)
                    .and_then(|d| u8::from_str_radix(d, 16).ok());
                out.extend(decoded);
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(crate) const BODY_TYPES: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// A body in JSON, YAML or (built-in kinds) protobuf. Custom resources have no protobuf form; CBOR is not read by the lab.
pub(crate) fn body(headers: &HeaderMap, bytes: &Bytes) -> Result<Value, ApiError> {
    let kind = media_type(headers);
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    match kind.as_str() {
        "" | "application/json" | "*/*" => json(bytes),
        "application/yaml" | "application/apply-patch+yaml" => from_yaml(bytes),
        "application/vnd.kubernetes.protobuf" => {
            crate::schema::decode_protobuf(bytes).map_err(ApiError::bad_request)
        }
        _ => Err(ApiError::unsupported_media_type(&[
            "application/json",
            "application/yaml",
        ])),
    }
}

pub(crate) fn json(bytes: &Bytes) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|e| {
        ApiError::bad_request(format!("couldn't get version/kind; json parse error: {e}"))
    })
}

pub(crate) fn from_yaml(bytes: &Bytes) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ApiError::bad_request("error converting YAML to JSON: yaml: invalid UTF-8"))?;
    yaml::document(text)
        .map_err(|e| ApiError::bad_request(format!("error converting YAML to JSON: {e}")))
}

/// The content type without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// The ways in which an answer may be given, in the client's order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Yaml,
    /// `as=Table`.
    Table,
    /// `as=PartialObjectMetadata`, also of lists.
    Metadata,
}

pub(crate) fn accepted(headers: &HeaderMap) -> Result<Form, ApiError> {
    let value = headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if value.trim().is_empty() {
        return Ok(Form::Json);
    }
    for clause in value.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut form = None;
        for (key, value) in parts.filter_map(|p| p.split_once('=')) {
            if key == "as" {
                form = Some(value.to_owned());
            }
        }
        match (kind.as_str(), form.as_deref()) {
            ("application/json" | "*/*" | "application/*" | "text/html" | "text/plain", None) => {
                return Ok(Form::Json);
            }
            ("application/yaml", None) => return Ok(Form::Yaml),
            ("application/json", Some("Table")) => return Ok(Form::Table),
            ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList")) => {
                return Ok(Form::Metadata);
            }
            // Aggregated discovery; asked for elsewhere.
            ("application/json", Some(_)) => {}
            _ => {}
        }
    }
    Err(ApiError::not_acceptable(BODY_TYPES))
}

/// What a write asks for.
pub(crate) fn write_options(
    query: &Query,
    headers: &HeaderMap,
    subresource: &'static str,
) -> Result<WriteOptions, ApiError> {
    let dry_run = match query.get("dryRun") {
        "" => false,
        "All" => true,
        other => {
            return Err(ApiError::bad_request(format!(
                "Invalid value: [\"{other}\"]: dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            )));
        }
    };
    let validation = match query.get("fieldValidation") {
        "" | "Warn" => FieldValidation::Warn,
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        other => {
            return Err(ApiError::bad_request(format!(
                "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
            )));
        }
    };
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let manager = match query.get("fieldManager") {
        "" => agent
            .split('/')
            .next()
            .filter(|a| !a.is_empty())
            .unwrap_or("unknown")
            .to_owned(),
        given => given.to_owned(),
    };
    Ok(WriteOptions {
        manager,
        dry_run,
        force: query.flag("force"),
        validation,
        subresource,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_resources() {
        let Target::Resource(path) = target("/apis/apps/v1/namespaces/x/deployments/d/status")
        else {
            panic!()
        };
        assert_eq!(
            (
                path.group.as_str(),
                path.namespace.as_str(),
                path.plural.as_str(),
                path.name.as_str(),
                path.subresource.as_str()
            ),
            ("apps", "x", "deployments", "d", "status")
        );
        let Target::Resource(path) = target("/api/v1/namespaces/x") else {
            panic!()
        };
        assert_eq!(
            (
                path.namespace.as_str(),
                path.plural.as_str(),
                path.name.as_str()
            ),
            ("", "namespaces", "x")
        );
        assert_eq!(target("/apis/apps/v1"), Target::Other);
        assert_eq!(percent_decode("a%3Db+c%2"), "a=b c");
    }
}
