//! The privileges that there are, and the built-in roles made of them.

use std::collections::BTreeSet;

use crate::options::Version;

/// Who typically holds a privilege.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Audit,
    User,
    Admin,
    Root,
}

use Level::{Admin, Audit, Root, User};
use Version::{V8_4, V9_2};

/// A privilege: its name, the kind of role that it belongs to, who holds it, the first and the last version that has it.
type Row = (&'static str, &'static str, Level, Version, Version);

/// By name.
const TABLE: &[Row] = &[
    ("Datastore.Allocate", "Datastore", Admin, V8_4, V9_2),
    ("Datastore.AllocateSpace", "Datastore", User, V8_4, V9_2),
    ("Datastore.AllocateTemplate", "Datastore", Admin, V8_4, V9_2),
    ("Datastore.Audit", "Datastore", Audit, V8_4, V9_2),
    ("Group.Allocate", "User", Admin, V8_4, V9_2),
    ("Mapping.Audit", "Mapping", Audit, V8_4, V9_2),
    ("Mapping.Modify", "Mapping", Admin, V8_4, V9_2),
    ("Mapping.Use", "Mapping", User, V8_4, V9_2),
    ("Permissions.Modify", "", Root, V8_4, V9_2),
    ("Pool.Allocate", "Pool", Admin, V8_4, V9_2),
    ("Pool.Audit", "Pool", Audit, V8_4, V9_2),
    ("Realm.Allocate", "User", Root, V8_4, V9_2),
    ("Realm.AllocateUser", "User", Admin, V8_4, V9_2),
    ("SDN.Allocate", "SDN", Admin, V8_4, V9_2),
    ("SDN.Audit", "SDN", Audit, V8_4, V9_2),
    ("SDN.Use", "SDN", User, V8_4, V9_2),
    ("Sys.AccessNetwork", "Sys", Root, V8_4, V9_2),
    ("Sys.Audit", "Sys", Audit, V8_4, V9_2),
    ("Sys.Console", "Sys", Admin, V8_4, V9_2),
    ("Sys.Incoming", "Sys", Root, V8_4, V9_2),
    ("Sys.Modify", "Sys", Root, V8_4, V9_2),
    ("Sys.PowerMgmt", "Sys", Root, V8_4, V9_2),
    ("Sys.Syslog", "Sys", Admin, V8_4, V9_2),
    ("User.Modify", "User", Admin, V8_4, V9_2),
    ("VM.Allocate", "VM", Admin, V8_4, V9_2),
    ("VM.Audit", "VM", Audit, V8_4, V9_2),
    ("VM.Backup", "VM", User, V8_4, V9_2),
    ("VM.Clone", "VM", Admin, V8_4, V9_2),
    ("VM.Config.CDROM", "VM", User, V8_4, V9_2),
    ("VM.Config.CPU", "VM", Admin, V8_4, V9_2),
    ("VM.Config.Cloudinit", "VM", User, V8_4, V9_2),
    ("VM.Config.Disk", "VM", Admin, V8_4, V9_2),
    ("VM.Config.HWType", "VM", Admin, V8_4, V9_2),
    ("VM.Config.Memory", "VM", Admin, V8_4, V9_2),
    ("VM.Config.Network", "VM", Admin, V8_4, V9_2),
    ("VM.Config.Options", "VM", Admin, V8_4, V9_2),
    ("VM.Console", "VM", User, V8_4, V9_2),
    ("VM.GuestAgent.Audit", "VM", Audit, V9_2, V9_2),
    ("VM.GuestAgent.FileRead", "VM", User, V9_2, V9_2),
    ("VM.GuestAgent.FileSystemMgmt", "VM", User, V9_2, V9_2),
    ("VM.GuestAgent.FileWrite", "VM", User, V9_2, V9_2),
    ("VM.GuestAgent.Unrestricted", "VM", Admin, V9_2, V9_2),
    ("VM.Migrate", "VM", Admin, V8_4, V9_2),
    ("VM.Monitor", "VM", Admin, V8_4, V8_4),
    ("VM.PowerMgmt", "VM", User, V8_4, V9_2),
    ("VM.Replicate", "VM", Admin, V9_2, V9_2),
    ("VM.Snapshot", "VM", Admin, V8_4, V9_2),
    ("VM.Snapshot.Rollback", "VM", Admin, V8_4, V9_2),
];

/// Privileges held: a bit for each of the table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(u64);

const _: () = assert!(TABLE.len() <= 64, "a bit for each privilege");

impl Set {
    /// Every privilege of a version.
    pub(crate) fn all(version: Version) -> Set {
        Set::of(version, |_| true)
    }

    fn of(version: Version, wanted: impl Fn(&Row) -> bool) -> Set {
        let rows = TABLE.iter().enumerate();
        let rows = rows.filter(|(_, row)| (row.3..=row.4).contains(&version) && wanted(row));
        Set(rows.fold(0, |bits, (i, _)| bits | 1 << i))
    }

    /// Those of these names that there are.
    pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Set {
        let known = names.into_iter().filter_map(bit);
        Set(known.fold(0, |bits, bit| bits | bit))
    }

    pub(crate) fn has(self, name: &str) -> bool {
        bit(name).is_some_and(|bit| self.0 & bit != 0)
    }

    pub(crate) fn union(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub(crate) fn common(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    /// The names, in order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let rows = TABLE.iter().enumerate();
        rows.filter(move |(i, _)| self.0 & (1 << i) != 0)
            .map(|(_, row)| row.0)
    }
}

fn bit(name: &str) -> Option<u64> {
    let place = TABLE.binary_search_by(|row| row.0.cmp(name)).ok()?;
    Some(1 << place)
}

/// Names of the built-in roles.
pub(crate) const BUILT_IN: &[&str] = &[
    "Administrator",
    "NoAccess",
    "PVEAdmin",
    "PVEAuditor",
    "PVEDatastoreAdmin",
    "PVEDatastoreUser",
    "PVEMappingAdmin",
    "PVEMappingUser",
    "PVEPoolAdmin",
    "PVEPoolUser",
    "PVESDNAdmin",
    "PVESDNUser",
    "PVESysAdmin",
    "PVETemplateUser",
    "PVEUserAdmin",
    "PVEVMAdmin",
    "PVEVMUser",
];

/// The privileges of a built-in role.
pub(crate) fn built_in(version: Version, role: &str) -> Option<Set> {
    if !BUILT_IN.contains(&role) {
        return None;
    }
    let up_to = |level: Level| Set::of(version, |row| row.2 <= level);
    let of_kind =
        |kind: &str, level: Level| Set::of(version, |row| row.1 == kind && row.2 <= level);
    Some(match role {
        "Administrator" => Set::all(version),
        "NoAccess" => Set::default(),
        "PVEAdmin" => up_to(Admin).without(Set::named(["Mapping.Modify"])),
        "PVEAuditor" => up_to(Audit),
        "PVETemplateUser" => Set::named(["VM.Audit", "VM.Clone"]),
        _ => {
            let role = role.trim_start_matches("PVE");
            match role.strip_suffix("Admin") {
                Some(kind) => of_kind(kind, Admin),
                None => of_kind(role.trim_end_matches("User"), User),
            }
        }
    })
}

/// The privileges of a role that someone defined.
pub(crate) fn own(privileges: &BTreeSet<String>) -> Set {
    Set::named(privileges.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_roles_hold_what_they_are_for() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        let role = |version, name| built_in(version, name).unwrap();
        let names = |version, name| role(version, name).names().collect::<Vec<_>>();
        assert_eq!(names(V9_2, "PVESDNUser"), ["SDN.Audit", "SDN.Use"]);
        assert_eq!(
            names(V8_4, "PVEUserAdmin"),
            ["Group.Allocate", "Realm.AllocateUser", "User.Modify"]
        );
        assert!(!role(V9_2, "PVEAdmin").has("Mapping.Modify"));
        assert!(!role(V9_2, "PVEAdmin").has("Sys.Modify"));
        assert!(role(V8_4, "PVEVMAdmin").has("VM.Monitor"));
        assert!(!role(V9_2, "Administrator").has("VM.Monitor"));
        assert!(role(V9_2, "PVEVMUser").has("VM.GuestAgent.FileRead"));
        assert_eq!(built_in(V9_2, "PVENonsense"), None);
    }
}
