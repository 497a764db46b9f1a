//! Privileges that a plan needs and the caller lacks, told before the first change.

use std::collections::{BTreeMap, BTreeSet};

use stead_sdk::value::{Diagnostic, Diagnostics};
use stead_sdk::{Context, Error};

use crate::client::{Client, Permissions, PlannedKind};

/// One of the privileges, on one of the paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// The first is the one to grant.
    privileges: &'static [&'static str],
    /// The first is the one to grant it on.
    paths: Vec<String>,
}

impl Need {
    pub(crate) fn on(path: impl Into<String>, privileges: &'static [&'static str]) -> Need {
        Need {
            privileges,
            paths: vec![path.into()],
        }
    }

    /// Another path will do as well.
    #[must_use]
    pub(crate) fn or_on(mut self, path: Option<String>) -> Need {
        self.paths.extend(path);
        self
    }

    /// Paths that end in a slash stand for an object below them that has no name yet.
    fn is_met(&self, permissions: &Permissions) -> bool {
        self.paths.iter().any(|path| {
            let holds = |privilege: &&str| match path.strip_suffix('/') {
                Some(parent) => permissions.holds_somewhere(parent, privilege),
                None => permissions.holds(path, privilege),
            };
            self.privileges.iter().any(holds)
        })
    }
}

/// What a guest of this identifier needs on itself; without one, on some guest.
pub(crate) fn guest_path(id: Option<i64>) -> String {
    id.map_or_else(|| "/vms/".to_owned(), |id| format!("/vms/{id}"))
}

/// One error for all privileges that are missing. `doing` completes "could not …".
pub(crate) async fn check_privileges(
    client: &Client,
    cx: &Context,
    doing: &str,
    needs: impl IntoIterator<Item = Need>,
    found: &mut Diagnostics,
) {
    // The same apply may grant what is missing.
    if client.planned.has(PlannedKind::AccessList, "") {
        return;
    }
    let Some(permissions) = client.permissions(cx).await else {
        return;
    };
    let missing = needs.into_iter().filter(|need| !need.is_met(&permissions));
    let missing: BTreeSet<Need> = missing.collect();
    found.extend(error(doing, client.caller(), &missing).map(Diagnostic::from));
}

fn error(doing: &str, caller: Option<&str>, missing: &BTreeSet<Need>) -> Option<Error> {
    let mut by_path = BTreeMap::<&str, BTreeSet<&str>>::new();
    for need in missing {
        if let (Some(path), Some(privilege)) = (need.paths.first(), need.privileges.first()) {
            // What has no name yet is granted above it.
            let path = path.strip_suffix('/').unwrap_or(path);
            by_path.entry(path).or_default().insert(privilege);
        }
    }
    if by_path.is_empty() {
        return None;
    }
    let lists = by_path.iter().map(|(path, privileges)| {
        let privileges: Vec<_> = privileges.iter().copied().collect();
        (*path, privileges.join(","))
    });
    let lists: Vec<_> = lists.collect();
    let said: Vec<_> = lists
        .iter()
        .map(|(path, privileges)| format!("{} on {path}", privileges.replace(',', ", ")))
        .collect();
    let said = format!("{} has no {}", name(caller), said.join("; and no "));
    let commands: Vec<_> = lists
        .iter()
        .enumerate()
        .map(|(i, (path, privileges))| grant(i, path, privileges, caller))
        .collect();
    let token = match caller.is_some_and(|c| c.contains('!')) {
        true => {
            " A token with privileges of its own needs them beside its user, who needs them, too (`--users`)."
        }
        false => "",
    };
    let remedy = format!("Grant it on a node: {}.{token}", commands.join(", then "));
    Some(Error::new(doing, said).remedy(remedy))
}

fn name(caller: Option<&str>) -> String {
    match caller {
        Some(token) if token.contains('!') => format!("the token {token}"),
        Some(user) => format!("the user {user}"),
        None => "the user".to_owned(),
    }
}

/// A role is a list of privileges, and is granted as a whole (`pveum(1)`).
fn grant(number: usize, path: &str, privileges: &str, caller: Option<&str>) -> String {
    let role = match number {
        0 => "stead-missing".to_owned(),
        n => format!("stead-missing-{}", n + 1),
    };
    let who = match caller {
        Some(token) if token.contains('!') => format!("--tokens '{token}'"),
        Some(user) => format!("--users {user}"),
        None => "--users USER@REALM".to_owned(),
    };
    format!(
        "`pveum role add {role} --privs {privileges}` and `pveum acl modify {path} --roles {role} {who}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_told_once_with_the_commands_that_grant_it() {
        let missing = BTreeSet::from([
            Need::on("/vms/", &["VM.Allocate"]).or_on(Some("/pool/web".into())),
            Need::on("/vms/", &["VM.Config.Disk"]),
            Need::on("/storage/fast", &["Datastore.AllocateSpace"]),
        ]);
        let error = error("create a VM", Some("me@pve!ci"), &missing).unwrap();
        assert_eq!(
            error.said(),
            "the token me@pve!ci has no Datastore.AllocateSpace on /storage/fast; and no VM.Allocate, VM.Config.Disk on /vms"
        );
        let remedy = error.advice().unwrap();
        assert!(
            remedy.contains("`pveum role add stead-missing-2 --privs VM.Allocate,VM.Config.Disk` and `pveum acl modify /vms --roles stead-missing-2 --tokens 'me@pve!ci'`"),
            "{remedy}"
        );
    }
}
