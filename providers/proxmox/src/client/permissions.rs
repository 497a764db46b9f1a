//! What the caller may do: asked once, and looked up by path.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use stead_sdk::Context;

use crate::client::{Client, Params};

/// The effective privileges by path, and whether each holds below the path, too (`GET /access/permissions`). Of a token with privileges of its
/// own the server says what both it and its user have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permissions {
    by_path: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Permissions {
    fn read(answer: &Json) -> Option<Permissions> {
        let row = |(path, privileges): (&String, &Json)| {
            let privileges = privileges.as_object()?.iter();
            let privileges = privileges.map(|(name, below)| {
                let below = below.as_i64() == Some(1) || below.as_str() == Some("1");
                (name.clone(), below)
            });
            Some((path.clone(), privileges.collect()))
        };
        let by_path = answer.as_object()?.iter().map(row).collect::<Option<_>>()?;
        Some(Permissions { by_path })
    }

    /// Whether a privilege holds on a path. The server names every path that an entry of the access list is for: what it does not name
    /// has what its nearest ancestor hands down.
    pub(crate) fn holds(&self, path: &str, privilege: &str) -> bool {
        let named = |path: &str| self.by_path.get(if path.is_empty() { "/" } else { path });
        if let Some(here) = named(path) {
            return here.contains_key(privilege);
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            if let Some(there) = named(parent) {
                return there.get(privilege) == Some(&true);
            }
            above = parent;
        }
        false
    }

    /// Whether a privilege holds on a path or anywhere below it: enough for an object whose name the server is to choose.
    pub(crate) fn holds_somewhere(&self, path: &str, privilege: &str) -> bool {
        let below = format!("{path}/");
        let mut rows = self.by_path.iter();
        self.holds(&below, privilege)
            || rows.any(|(at, here)| at.starts_with(&below) && here.contains_key(privilege))
    }
}

impl Client {
    /// What the caller may do; `None` for root@pam, who may do everything, and when the server does not say.
    pub(crate) async fn permissions(&self, cx: &Context) -> Option<Arc<Permissions>> {
        if self.is_root() {
            return None;
        }
        let asked = self.permissions.get_or_init(|| async {
            let what = "read what the user may do";
            let none = Params::new();
            let answer = self.get(cx, what, "/access/permissions", &none).await;
            let permissions = Permissions::read(&answer.ok()?)?;
            Some(Arc::new(permissions))
        });
        asked.await.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_named_has_what_is_handed_down() {
        let answer = json!({
            "/": { "Sys.Audit": 1 },
            "/vms": { "VM.Audit": 1, "VM.Allocate": 0 },
            "/vms/100": { "VM.Config.Disk": 1 },
            "/storage/local": { "Datastore.AllocateSpace": "1" },
        });
        let permissions = Permissions::read(&answer).unwrap();
        assert!(permissions.holds("/vms", "VM.Allocate"));
        assert!(!permissions.holds("/vms/101", "VM.Allocate"));
        assert!(permissions.holds("/vms/101", "VM.Audit"));
        assert!(permissions.holds("/nodes/abel", "Sys.Audit"));
        assert!(!permissions.holds("/vms/100", "VM.Audit"));
        assert!(permissions.holds("/storage/local", "Datastore.AllocateSpace"));
        assert!(!permissions.holds("/storage/other", "Datastore.AllocateSpace"));
        assert!(permissions.holds_somewhere("/vms", "VM.Config.Disk"));
        assert!(!permissions.holds_somewhere("/vms", "VM.Clone"));
    }
}
