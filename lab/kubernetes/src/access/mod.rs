//! Who asks (client certificates, service account tokens) and what they may (RBAC).

mod rbac;
mod tls;
mod token;

use std::collections::BTreeMap;

pub(crate) use rbac::{Attributes, authorize, may};
pub(crate) use tls::{ClientCertificates, ServerIdentity};
pub(crate) use token::Tokens;

/// An authenticated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    pub(crate) fn anonymous() -> User {
        User {
            name: "system:anonymous".to_owned(),
            uid: String::new(),
            groups: vec!["system:unauthenticated".to_owned()],
            extra: BTreeMap::new(),
        }
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}
