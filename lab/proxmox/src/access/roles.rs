//! The privileges that there are, and the built-in roles made of them (pve-docs, "Permission Management").

use std::collections::BTreeSet;

/// Privileges of a kind of object by who typically holds them.
struct Group {
    name: &'static str,
    root: &'static [&'static str],
    admin: &'static [&'static str],
    user: &'static [&'static str],
    audit: &'static [&'static str],
}

const GROUPS: &[Group] = &[
    Group {
        name: "VM",
        root: &[],
        admin: &[
            "VM.Allocate",
            "VM.Clone",
            "VM.Config.CPU",
            "VM.Config.Disk",
            "VM.Config.HWType",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.Options",
            "VM.GuestAgent.FileRead",
            "VM.GuestAgent.FileSystemMgmt",
            "VM.GuestAgent.FileWrite",
            "VM.GuestAgent.Unrestricted",
            "VM.Migrate",
            "VM.Replicate",
            "VM.Snapshot",
            "VM.Snapshot.Rollback",
        ],
        user: &[
            "VM.Backup",
            "VM.Config.CDROM",
            "VM.Config.Cloudinit",
            "VM.Console",
            "VM.PowerMgmt",
        ],
        audit: &["VM.Audit", "VM.GuestAgent.Audit"],
    },
    Group {
        name: "Sys",
        root: &[
            "Sys.AccessNetwork",
            "Sys.Incoming",
            "Sys.Modify",
            "Sys.PowerMgmt",
        ],
        admin: &["Sys.Console", "Sys.Syslog"],
        user: &[],
        audit: &["Sys.Audit"],
    },
    Group {
        name: "Datastore",
        root: &[],
        admin: &["Datastore.Allocate", "Datastore.AllocateTemplate"],
        user: &["Datastore.AllocateSpace"],
        audit: &["Datastore.Audit"],
    },
    Group {
        name: "SDN",
        root: &[],
        admin: &["SDN.Allocate"],
        user: &["SDN.Use"],
        audit: &["SDN.Audit"],
    },
    Group {
        name: "User",
        root: &["Realm.Allocate"],
        admin: &["Group.Allocate", "Realm.AllocateUser", "User.Modify"],
        user: &[],
        audit: &[],
    },
    Group {
        name: "Pool",
        root: &[],
        admin: &["Pool.Allocate"],
        user: &[],
        audit: &["Pool.Audit"],
    },
    Group {
        name: "Mapping",
        root: &[],
        admin: &["Mapping.Modify"],
        user: &["Mapping.Use"],
        audit: &["Mapping.Audit"],
    },
];

/// Names of the built-in roles.
pub(crate) const BUILT_IN: &[&str] = &[
    "Administrator",
    "NoAccess",
    "PVEAdmin",
    "PVEAuditor",
    "PVEDatastoreAdmin",
    "PVEDatastoreUser",
    "PVEMappingAdmin",
    "PVEMappingAuditor",
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

/// Every privilege.
pub(crate) fn all() -> BTreeSet<String> {
    let groups = GROUPS
        .iter()
        .flat_map(|g| [g.root, g.admin, g.user, g.audit])
        .flatten();
    groups
        .map(|p| (*p).to_owned())
        .chain(["Permissions.Modify".to_owned()])
        .collect()
}

/// The privileges of a built-in role.
pub(crate) fn built_in(role: &str) -> Option<BTreeSet<String>> {
    let pick = |group: &str, parts: fn(&Group) -> Vec<&'static [&'static str]>| {
        let group = GROUPS
            .iter()
            .filter(|g| group.is_empty() || g.name == group);
        group
            .flat_map(parts)
            .flatten()
            .map(|p| (*p).to_owned())
            .collect::<BTreeSet<String>>()
    };
    let admin = |group| pick(group, |g| vec![g.admin, g.user, g.audit]);
    let user = |group| pick(group, |g| vec![g.user, g.audit]);
    let audit = |group| pick(group, |g| vec![g.audit]);
    let with = |mut set: BTreeSet<String>, more: &[&str]| {
        set.extend(more.iter().map(|p| (*p).to_owned()));
        set
    };
    Some(match role {
        "Administrator" => all(),
        "NoAccess" => BTreeSet::new(),
        "PVEAdmin" => admin(""),
        "PVEAuditor" => audit(""),
        "PVEDatastoreAdmin" => admin("Datastore"),
        "PVEDatastoreUser" => user("Datastore"),
        "PVEMappingAdmin" => admin("Mapping"),
        "PVEMappingAuditor" => audit("Mapping"),
        "PVEMappingUser" => user("Mapping"),
        "PVEPoolAdmin" => admin("Pool"),
        "PVEPoolUser" => audit("Pool"),
        "PVESDNAdmin" => admin("SDN"),
        "PVESDNUser" => user("SDN"),
        "PVESysAdmin" => admin("Sys"),
        "PVETemplateUser" => with(BTreeSet::new(), &["VM.Audit", "VM.Clone"]),
        "PVEUserAdmin" => admin("User"),
        "PVEVMAdmin" => admin("VM"),
        "PVEVMUser" => user("VM"),
        _ => return None,
    })
}
