//! Who may call what, and what a node of which line has.

use crate::version::Line;

pub(crate) const ADMIN: &str = "os:admin";
const OPERATOR: &str = "os:operator";
pub(crate) const READER: &str = "os:reader";
const BACKUP: &str = "os:etcd:backup";
const META_WRITER: &str = "os:meta:writer";
const IMPERSONATOR: &str = "os:impersonator";
const VERIFIER: &str = "os:image:verifier";
const ALL: [&str; 7] = [
    ADMIN,
    OPERATOR,
    READER,
    BACKUP,
    META_WRITER,
    IMPERSONATOR,
    VERIFIER,
];

/// The roles of one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(Vec<String>);

impl Roles {
    /// Unknown names give no role.
    pub(crate) fn of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Roles {
        let names = names.into_iter();
        Roles(
            names
                .filter(|n| ALL.contains(&n.as_ref()))
                .map(|n| n.as_ref().to_owned())
                .collect(),
        )
    }

    pub(crate) fn has(&self, role: &str) -> bool {
        self.0.iter().any(|r| r == role)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.clone()
    }

    pub(crate) fn may_impersonate(&self) -> bool {
        self.has(IMPERSONATOR)
    }
}

type Rule = (&'static str, &'static [&'static str], &'static str);

const ALL_READERS: &[&str] = &[ADMIN, OPERATOR, READER];
const OPERATORS: &[&str] = &[ADMIN, OPERATOR];
const ADMINS: &[&str] = &[ADMIN];
const BACKUPS: &[&str] = &[ADMIN, OPERATOR, READER, BACKUP];

/// Service, roles, methods (facts of siderolabs/talos v1.14). `ApplyConfiguration` checks again by itself.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    ("machine.MachineService", ALL_READERS, "CPUInfo CPUFreqStats Containers DiskStats DiskUsage Dmesg Events Hostname ImageList List LoadAvg Logs LogsContainers Memory Mounts NetworkDeviceStats Netstat Processes ServiceList Stats SystemStat Version"),
    ("machine.MachineService", OPERATORS, "EtcdAlarmDisarm EtcdDefragment ImagePull PacketCapture Reboot Restart ServiceRestart ServiceStart ServiceStop Shutdown"),
    ("machine.MachineService", ADMINS, "Bootstrap Copy EtcdForfeitLeadership EtcdLeaveCluster EtcdRecover EtcdRemoveMemberByID EtcdDowngradeCancel EtcdDowngradeEnable EtcdDowngradeValidate GenerateClientConfiguration Kubeconfig Read Reset Rollback Upgrade"),
    ("machine.MachineService", BACKUPS, "EtcdAlarmList EtcdMemberList EtcdStatus"),
    ("machine.MachineService", &[ADMIN, OPERATOR, BACKUP], "EtcdSnapshot"),
    ("machine.MachineService", &[ADMIN, META_WRITER], "MetaWrite MetaDelete"),
    ("machine.MachineService", &[ADMIN, READER], "ApplyConfiguration"),
    ("machine.ImageService", ADMINS, "Import Remove"),
    ("machine.ImageService", ALL_READERS, "List"),
    ("machine.ImageService", OPERATORS, "Pull"),
    ("machine.ImageService", &[ADMIN, OPERATOR, READER, VERIFIER], "Verify"),
    ("machine.DebugService", ADMINS, "ContainerRun"),
    ("machine.LifecycleService", ADMINS, "Install Upgrade"),
    ("machine.LVMService", &[ADMIN, READER], "LogicalVolumeRemove VolumeGroupRemove PhysicalVolumeRemove"),
    ("machine.MDService", &[ADMIN, READER], "Destroy"),
    ("cluster.ClusterService", ALL_READERS, "HealthCheck"),
    ("inspect.InspectService", ALL_READERS, "ControllerRuntimeDependencies"),
    ("storage.StorageService", ALL_READERS, "Disks"),
    ("storage.StorageService", &[ADMIN, READER], "BlockDeviceWipe"),
    ("time.TimeService", ALL_READERS, "Time TimeCheck"),
    ("cosi.resource.State", ADMINS, "Create Update Destroy Teardown TeardownAndDestroy"),
    ("cosi.resource.State", ALL_READERS, "Get List Watch"),
];

/// What the simulation does not carry out, of what a node has: programs inside containers, and arrays of disks.
const NOT_SERVED: &[&str] = &[
    "machine.DebugService",
    "machine.LVMService",
    "machine.MDService",
];

/// Methods that answer with a stream.
const STREAMS: &[&str] = &[
    "Copy",
    "DiskUsage",
    "Dmesg",
    "EtcdSnapshot",
    "Events",
    "HealthCheck",
    "ImageList",
    "Kubeconfig",
    "List",
    "Logs",
    "PacketCapture",
    "Read",
];

pub(crate) fn is_stream(method: &str) -> bool {
    STREAMS.contains(&method)
}

/// Why a method cannot be called, as the real node says it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownService,
    UnknownMethod,
    NotAuthorized,
    /// Resources are not written through the API.
    ReadOnly,
    NotImplemented,
}

/// Whether a caller may call a method of a node of this line.
pub(crate) fn check(line: Line, service: &str, method: &str, roles: &Roles) -> Result<(), Refusal> {
    let since = match service {
        "machine.ImageService" | "machine.LifecycleService" | "machine.DebugService" => Line::V1_13,
        "machine.LVMService" | "machine.MDService" => Line::V1_14,
        _ => Line::V1_11,
    };
    if line < since || !RULES.iter().any(|(s, ..)| *s == service) {
        return Err(Refusal::UnknownService);
    }
    let has = |methods: &str| methods.split(' ').any(|m| m == method);
    let rule = RULES
        .iter()
        .find(|(s, _, methods)| *s == service && has(methods));
    let Some((_, allowed, _)) = rule else {
        return Err(Refusal::UnknownMethod);
    };
    // Up to 1.13 the protocol of resources had no way to tear down.
    if matches!(method, "Teardown" | "TeardownAndDestroy") && line < Line::V1_14 {
        return Err(Refusal::UnknownMethod);
    }
    let allowed: &[&str] = match method {
        // Maintenance mode had a server of its own, and no role for these, before the ordinary one took its place.
        "ApplyConfiguration" | "BlockDeviceWipe" | "MetaWrite" | "MetaDelete"
            if line < Line::V1_13 =>
        {
            ADMINS
        }
        _ => allowed,
    };
    if !allowed.iter().any(|role| roles.has(role)) {
        return Err(Refusal::NotAuthorized);
    }
    if service == "cosi.resource.State" && !matches!(method, "Get" | "List" | "Watch") {
        return Err(Refusal::ReadOnly);
    }
    match NOT_SERVED.contains(&service) {
        true => Err(Refusal::NotImplemented),
        false => Ok(()),
    }
}

/// Whether the maintenance server up to 1.12 has a method: with `Err`, how it says no.
pub(crate) fn check_small_maintenance(service: &str, method: &str) -> Result<(), String> {
    match (service, method) {
        ("machine.MachineService", "ApplyConfiguration")
        | ("storage.StorageService", "Disks")
        | ("cosi.resource.State", "Get" | "List" | "Watch") => Ok(()),
        (
            "machine.MachineService",
            "Version" | "Upgrade" | "Reset" | "MetaWrite" | "MetaDelete",
        ) => Err("API is not implemented in maintenance mode".to_owned()),
        ("machine.MachineService" | "storage.StorageService" | "cosi.resource.State", _) => {
            Err(format!("method {method} not implemented"))
        }
        _ => Err(format!("unknown service {service}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_lines_and_names_decide() {
        let reader = Roles::of([READER, "os:nonsense"]);
        let check = |line, service, method| check(line, service, method, &reader);
        let machine = "machine.MachineService";
        assert_eq!(check(Line::V1_13, machine, "Version"), Ok(()));
        assert_eq!(
            check(Line::V1_13, machine, "Bootstrap"),
            Err(Refusal::NotAuthorized)
        );
        assert_eq!(
            check(Line::V1_13, "cosi.resource.State", "Destroy"),
            Err(Refusal::NotAuthorized)
        );
        assert_eq!(
            check(Line::V1_13, machine, "Nope"),
            Err(Refusal::UnknownMethod)
        );
        assert_eq!(
            check(Line::V1_12, "machine.LifecycleService", "Upgrade"),
            Err(Refusal::UnknownService)
        );
        assert!(!reader.has("os:nonsense"));
    }
}
