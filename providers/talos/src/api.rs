//! The generated client of the Talos API: `proto/` holds the part of the interface that is used here.
//!
//! Facts: siderolabs/talos `api/` at v1.13.9 and cosi-project/specification.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]

use serde_json::Value as Json;

pub(crate) mod common {
    tonic::include_proto!("common");
}

pub(crate) mod machine {
    tonic::include_proto!("machine");
}

pub(crate) mod cosi {
    pub(crate) mod resource {
        tonic::include_proto!("cosi.resource");
    }
}

/// The contents of COSI resources.
pub(crate) mod specs {
    tonic::include_proto!("specs");
}

impl specs::StaticPodStatus {
    /// Whether the pod's condition `Ready` is true.
    pub(crate) fn is_ready(&self) -> bool {
        let mut conditions = self.entries("conditions");
        conditions.any(|condition| {
            text(condition, "type") == Some("Ready") && text(condition, "status") == Some("True")
        })
    }

    /// The image of a container that runs, and what tells it from an earlier one of the same name.
    pub(crate) fn container(&self, name: &str) -> Option<(&str, &str)> {
        let mut containers = self.entries("containerStatuses");
        let found = containers.find(|c| text(c, "name") == Some(name))?;
        let id = text(found, "containerID").unwrap_or_default();
        Some((text(found, "image")?, id))
    }

    /// The objects of a list in the pod's status.
    fn entries(&self, list: &str) -> impl Iterator<Item = &prost_types::Struct> {
        use prost_types::value::Kind;
        let found = self.pod_status.as_ref().and_then(|s| s.fields.get(list));
        let values = match found.and_then(|v| v.kind.as_ref()) {
            Some(Kind::ListValue(list)) => list.values.as_slice(),
            _ => &[],
        };
        values.iter().filter_map(|value| match &value.kind {
            Some(Kind::StructValue(entry)) => Some(entry),
            _ => None,
        })
    }
}

impl specs::Manifests {
    /// The objects, as Kubernetes takes them.
    pub(crate) fn objects(self) -> impl Iterator<Item = Json> {
        let objects = self.items.into_iter().filter_map(|item| item.object);
        objects.map(json_object)
    }
}

fn json_object(object: prost_types::Struct) -> Json {
    let fields = object.fields.into_iter();
    Json::Object(fields.map(|(key, value)| (key, json(value))).collect())
}

fn json(value: prost_types::Value) -> Json {
    use prost_types::value::Kind;
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(it)) => Json::Bool(it),
        Some(Kind::StringValue(it)) => Json::String(it),
        Some(Kind::NumberValue(it)) => number(it),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(object)) => json_object(object),
    }
}

/// Every number of a `Struct` is a float; Kubernetes wants whole ones where it has whole ones.
fn number(it: f64) -> Json {
    /// Up to here each whole number is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "it is a whole number of 53 bits"
    )]
    match it.fract() == 0.0 && it.abs() <= EXACT {
        true => Json::from(it as i64),
        false => Json::from(it),
    }
}

fn text<'a>(fields: &'a prost_types::Struct, key: &str) -> Option<&'a str> {
    match &fields.fields.get(key)?.kind {
        Some(prost_types::value::Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::value::Kind;
    use serde_json::json;

    use super::specs::{Manifest, Manifests};

    #[test]
    fn objects_have_whole_numbers() {
        let value = |kind| prost_types::Value { kind: Some(kind) };
        let list = prost_types::ListValue {
            values: vec![value(Kind::NumberValue(1.5)), value(Kind::NullValue(0))],
        };
        let fields = [
            ("port", Kind::NumberValue(53.0)),
            ("least", Kind::NumberValue(-1.0)),
            ("great", Kind::NumberValue(1e300)),
            ("name", Kind::StringValue("dns".to_owned())),
            ("on", Kind::BoolValue(true)),
            ("list", Kind::ListValue(list)),
        ];
        let fields = fields.map(|(key, kind)| (key.to_owned(), value(kind)));
        let object = Some(prost_types::Struct {
            fields: fields.into(),
        });
        let manifests = Manifests {
            items: vec![Manifest { object }, Manifest { object: None }],
        };
        let objects: Vec<_> = manifests.objects().collect();
        let expected = json!({ "port": 53, "least": -1, "great": 1e300, "name": "dns", "on": true, "list": [1.5, null] });
        assert_eq!(objects, [expected]);
        assert!(objects[0]["port"].is_i64());
    }
}
