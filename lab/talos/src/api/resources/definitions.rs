//! The types of resources, as resources themselves: how clients find a type by a short name.

use super::{Item, TYPES, item, list, text};
use crate::proto::resource::{PrintColumn, ResourceDefinitionSpec};
use crate::yaml::Out;

/// Types with what a table shows of their resources: columns and paths into the specification.
#[rustfmt::skip]
const COLUMNS: &[(&str, &[(&str, &str)])] = &[
    ("Members.cluster.talos.dev", &[("Hostname", "{.hostname}"), ("Machine Type", "{.machineType}"), ("OS", "{.operatingSystem}"), ("Addresses", "{.addresses}")]),
    ("MachineStatuses.runtime.talos.dev", &[("Stage", "{.stage}"), ("Ready", "{.status.ready}")]),
    ("Diagnostics.runtime.talos.dev", &[("Message", "{.message}")]),
    ("Disks.block.talos.dev", &[("Size", "{.pretty_size}"), ("Read Only", "{.readonly}"), ("Transport", "{.transport}"), ("Rotational", "{.rotational}"), ("WWID", "{.wwid}"), ("Model", "{.model}"), ("Serial", "{.serial}")]),
    ("SystemDisks.block.talos.dev", &[("Disk", "{.diskID}")]),
    ("VolumeStatuses.block.talos.dev", &[("Type", "{.type}"), ("Phase", "{.phase}"), ("Location", "{.location}"), ("Size", "{.prettySize}")]),
    ("ExtensionStatuses.runtime.talos.dev", &[("Name", "{.metadata.name}"), ("Version", "{.metadata.version}")]),
    ("NodeAddresses.net.talos.dev", &[("Addresses", "{.addresses}"), ("SortAlgorithm", "{.sortAlgorithm}")]),
    ("AddressStatuses.net.talos.dev", &[("Address", "{.address}"), ("Link", "{.linkName}")]),
    ("RouteStatuses.net.talos.dev", &[("Destination", "{.dst}"), ("Gateway", "{.gateway}"), ("Link", "{.outLinkName}"), ("Metric", "{.priority}")]),
    ("ResolverStatuses.net.talos.dev", &[("Resolvers", "{.dnsServers}"), ("Search Domains", "{.searchDomains}")]),
    ("TimeServerStatuses.net.talos.dev", &[("Timeservers", "{.timeServers}")]),
    ("HostnameStatuses.net.talos.dev", &[("Hostname", "{.hostname}"), ("Domainname", "{.domainname}")]),
    ("LinkStatuses.net.talos.dev", &[("Alias", "{.alias}"), ("Type", "{.type}"), ("Kind", "{.kind}"), ("Hw Addr", "{.hardwareAddr}"), ("Oper State", "{.operationalState}"), ("Link State", "{.linkState}")]),
    ("Nodenames.kubernetes.talos.dev", &[("Nodename", "{.nodename}")]),
    ("StaticPodStatuses.kubernetes.talos.dev", &[("Ready", "{.conditions[?(@.type==\"Ready\")].status}")]),
    ("EtcdMembers.etcd.talos.dev", &[("Member ID", "{.memberID}")]),
    ("Services.v1alpha1.talos.dev", &[("Running", "{.running}"), ("Healthy", "{.healthy}"), ("Health Unknown", "{.unknown}")]),
    ("TimeStatuses.v1alpha1.talos.dev", &[("Synced", "{.synced}")]),
    ("PlatformMetadatas.talos.dev", &[("Platform", "{.platform}"), ("Type", "{.instanceType}"), ("Region", "{.region}"), ("Zone", "{.zone}")]),
    ("SecurityStates.talos.dev", &[("SecureBoot", "{.secureBoot}"), ("UKISigningKeyFingerprint", "{.ukiSigningKeyFingerprint}"), ("PCRSigningKeyFingerprint", "{.pcrSigningKeyFingerprint}"), ("SELinuxState", "{.selinuxState}"), ("ModuleSignatureEnforced", "{.moduleSignatureEnforced}")]),
    ("MetaKeys.runtime.talos.dev", &[("Value", "{.value}")]),
    ("MachineTypes.config.talos.dev", &[("Type", "{@}")]),
    ("Versions.runtime.talos.dev", &[("Name", "{.name}"), ("Version", "{.version}")]),
    ("Identities.cluster.talos.dev", &[("ID", "{.nodeId}")]),
    ("Infos.cluster.talos.dev", &[("Cluster ID", "{.clusterId}"), ("Cluster Name", "{.clusterName}")]),
    ("ResourceDefinitions.meta.cosi.dev", &[("Aliases", "{.aliases[:]}")]),
];

/// Shorter names that people know some types by, beside those that follow from the types' own.
const ALIASES: &[(&str, &[&str])] = &[
    ("AddressStatuses.net.talos.dev", &["address", "addresses"]),
    ("ExtensionStatuses.runtime.talos.dev", &["extensions"]),
    ("HostnameStatuses.net.talos.dev", &["hostname"]),
    ("LinkStatuses.net.talos.dev", &["link", "links"]),
    ("MetaKeys.runtime.talos.dev", &["meta"]),
    (
        "ResourceDefinitions.meta.cosi.dev",
        &["api-resources", "resourcedefinitions"],
    ),
    ("ResolverStatuses.net.talos.dev", &["resolvers"]),
    ("RouteStatuses.net.talos.dev", &["route", "routes"]),
    ("Services.v1alpha1.talos.dev", &["svc"]),
    ("StaticPodStatuses.kubernetes.talos.dev", &["podstatus"]),
    (
        "TimeServerStatuses.net.talos.dev",
        &["timeserver", "timeservers"],
    ),
];

pub(super) fn definitions() -> Vec<Item> {
    TYPES
        .iter()
        .map(|(namespace, name, sensitive)| define(namespace, name, *sensitive))
        .collect()
}

fn define(namespace: &str, name: &str, sensitive: bool) -> Item {
    let (plural, suffix) = name.split_once('.').unwrap_or((name, ""));
    let singular = singular(plural);
    let known = ALIASES.iter().find(|(kind, _)| *kind == name);
    let mut aliases: Vec<String> = known
        .into_iter()
        .flat_map(|(_, aliases)| aliases.iter().map(|a| (*a).to_owned()))
        .collect();
    aliases.push(singular.to_ascii_lowercase());
    let initials: String = plural.chars().filter(char::is_ascii_uppercase).collect();
    if initials.len() > 1 {
        aliases.push(initials.to_ascii_lowercase());
        if !initials.ends_with('S') {
            aliases.push(format!("{}s", initials.to_ascii_lowercase()));
        }
    }
    let plural = plural.to_ascii_lowercase();
    let mut all = vec![plural.clone()];
    let parts: Vec<&str> = suffix.split('.').collect();
    all.extend(
        (1..parts.len()).filter_map(|n| Some(format!("{plural}.{}", parts.get(..n)?.join(".")))),
    );
    all.extend(aliases.iter().cloned());
    let columns = COLUMNS.iter().find(|(kind, _)| *kind == name);
    let columns: Vec<PrintColumn> = columns
        .into_iter()
        .flat_map(|(_, columns)| columns.iter())
        .map(|(name, path)| PrintColumn {
            name: (*name).to_owned(),
            json_path: (*path).to_owned(),
        })
        .collect();
    let shown = columns.iter().map(|column| {
        super::map(vec![
            ("name", text(column.name.clone())),
            ("jsonPath", text(column.json_path.clone())),
        ])
    });
    let shown = Out::Sequence(shown.collect());
    let spec = ResourceDefinitionSpec {
        print_columns: columns,
        resource_type: name.to_owned(),
        display_type: singular.clone(),
        default_namespace: namespace.to_owned(),
        aliases: aliases.clone(),
        all_aliases: all.clone(),
        sensitivity: sensitive.into(),
    };
    let sensitivity = if sensitive { "sensitive" } else { "" };
    let yaml = vec![
        ("type", text(name)),
        ("displayType", text(singular)),
        ("aliases", list(aliases)),
        ("allAliases", list(all)),
        ("printColumns", shown),
        ("defaultNamespace", text(namespace)),
        ("sensitivity", text(sensitivity)),
    ];
    item(name.to_ascii_lowercase(), &spec, yaml)
}

fn singular(plural: &str) -> String {
    if let Some(stem) = plural.strip_suffix("ies") {
        return format!("{stem}y");
    }
    match plural
        .strip_suffix("uses")
        .or_else(|| plural.strip_suffix("esses"))
    {
        Some(_) => plural.strip_suffix("es").unwrap_or(plural).to_owned(),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    /// A name that two types have is refused by clients as ambiguous. Initials are so now and then, on real nodes too.
    #[test]
    fn names_lead_to_one_type() {
        let specs: Vec<ResourceDefinitionSpec> = definitions()
            .iter()
            .map(|item| ResourceDefinitionSpec::decode(item.spec.as_slice()).unwrap())
            .collect();
        let given = ALIASES
            .iter()
            .flat_map(|(kind, names)| names.iter().map(move |name| (*kind, (*name).to_owned())));
        let singular = specs.iter().map(|spec| {
            let name = spec.display_type.to_ascii_lowercase();
            (spec.resource_type.as_str(), name)
        });
        for (kind, name) in given.chain(singular) {
            let found = specs.iter().filter(|s| s.all_aliases.contains(&name));
            let found: Vec<&str> = found.map(|s| s.resource_type.as_str()).collect();
            assert_eq!(found, [kind], "{name}");
        }
    }

    #[test]
    fn names_have_their_singular() {
        for (plural, expected) in [
            ("MachineConfigs", "MachineConfig"),
            ("MachineStatuses", "MachineStatus"),
            ("NodeAddresses", "NodeAddress"),
            ("Identities", "Identity"),
        ] {
            assert_eq!(singular(plural), expected);
        }
    }
}
