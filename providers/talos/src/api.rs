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

fn text<'a>(fields: &'a prost_types::Struct, key: &str) -> Option<&'a str> {
    match &fields.fields.get(key)?.kind {
        Some(prost_types::value::Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}
