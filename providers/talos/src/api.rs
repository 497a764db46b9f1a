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
        use prost_types::value::Kind;
        let text = |fields: &prost_types::Struct, key: &str| match &fields.fields.get(key)?.kind {
            Some(Kind::StringValue(text)) => Some(text.clone()),
            _ => None,
        };
        let status = self.pod_status.as_ref().map(|s| &s.fields);
        let conditions = status.and_then(|s| s.get("conditions")?.kind.as_ref());
        let Some(Kind::ListValue(conditions)) = conditions else {
            return false;
        };
        conditions
            .values
            .iter()
            .any(|condition| match &condition.kind {
                Some(Kind::StructValue(c)) => {
                    text(c, "type").as_deref() == Some("Ready")
                        && text(c, "status").as_deref() == Some("True")
                }
                _ => false,
            })
    }
}
