//! What belongs to the cluster as a whole: high availability, hardware mappings, jobs, options, certificates.

mod acme;
mod acme_certificate;
mod backup_job;
mod ceph;
mod ha_group;
mod ha_resource;
mod ha_rule;
mod mapping;
mod metrics_server;
mod options;
mod replication;

use crate::client::PlannedKind;
use crate::rest::{Listed, rest};
use acme::{Account, AccountData, Accounts, DnsPlugin, PluginData, Plugins};
use acme_certificate::Certificate;
use backup_job::{BackupJob, BackupJobs};
use ceph::{CephPool, CephStatus};
use ha_group::{HaGroup, HaGroups};
use ha_resource::{HaResource, HaResources};
use ha_rule::HaRule;
use mapping::{MappingDir, MappingPci, MappingUsb, Mappings};
use metrics_server::MetricsServer;
use options::Options;
use replication::{Replication, Replications};

const CEPH_POOL: &str = "/nodes/{node_name}/ceph/pool/{name}";
const METRICS: &str = "/cluster/metrics/server/{name}";

rest! {
    resource HaGroup {
        what: "HA group", item: "/cluster/ha/groups/{group}",
        needs: ("/", &["Sys.Console"]),
        listed: Listed::Rows("/cluster/ha/groups", &[])
    }
    lookup HaGroup {}
    data HaGroups { what: "HA groups", item: "/cluster/ha/groups", id: "hagroups" }
    resource HaResource {
        what: "HA resource", item: "/cluster/ha/resources/{resource_id}",
        needs: ("/", &["Sys.Console"]),
        listed: Listed::Rows("/cluster/ha/resources", &[("resource_id", "sid")])
    }
    lookup HaResource {}
    data HaResources with hooks { what: "HA resources", item: "/cluster/ha/resources", id: "haresources" }
    resource HaRule with hooks {
        what: "HA rule", item: "/cluster/ha/rules/{rule}",
        needs: ("/", &["Sys.Console"]),
        listed: Listed::Rows("/cluster/ha/rules", &[])
    }
    resource MappingPci {
        what: "PCI mapping", item: "/cluster/mapping/pci/{name}",
        needs: ("/mapping/pci", &["Mapping.Modify"]), brings: Some((PlannedKind::Mapping, "name")),
        listed: Listed::Rows("/cluster/mapping/pci", &[("name", "id")])
    }
    lookup MappingPci {}
    resource MappingDir {
        what: "folder mapping", item: "/cluster/mapping/dir/{name}",
        needs: ("/mapping/dir", &["Mapping.Modify"]), brings: Some((PlannedKind::Mapping, "name")),
        listed: Listed::Rows("/cluster/mapping/dir", &[("name", "id")])
    }
    lookup MappingDir {}
    resource MappingUsb {
        what: "USB mapping", item: "/cluster/mapping/usb/{name}",
        needs: ("/mapping/usb", &["Mapping.Modify"]), brings: Some((PlannedKind::Mapping, "name")),
        listed: Listed::Rows("/cluster/mapping/usb", &[("name", "id")])
    }
    lookup MappingUsb {}
    data Mappings with hooks {
        what: "hardware mappings", item: "/cluster/mapping/{type}", id: "hardware_mappings", sorted_by: "id"
    }
    resource Options {
        what: "cluster options", item: "/cluster/options", id: "cluster", is_settings: true,
        needs: ("/", &["Sys.Modify"]),
        listed: Listed::One
    }
    resource CephPool with hooks {
        what: "Ceph pool", item: CEPH_POOL, id: "{node_name}/{name}",
        needs: ("/", &["Sys.Modify"])
    }
    data CephStatus with hooks { what: "status of Ceph", item: "/cluster/ceph/status", id: "{fsid}" }
    resource Account with hooks {
        what: "ACME account", item: "/cluster/acme/account/{name}",
        listed: Listed::Rows("/cluster/acme/account", &[])
    }
    data AccountData with hooks { what: "ACME account", item: "/cluster/acme/account/{account}" }
    data Accounts { what: "ACME accounts", item: "/cluster/acme/account" }
    resource DnsPlugin with hooks {
        what: "ACME plugin", item: "/cluster/acme/plugins/{plugin}", kind: &[("type", "dns")],
        needs: ("/", &["Sys.Modify"]),
        listed: Listed::Rows("/cluster/acme/plugins", &[])
    }
    data PluginData { what: "ACME plugin", item: "/cluster/acme/plugins/{plugin}" }
    data Plugins { what: "ACME plugins", item: "/cluster/acme/plugins", sorted_by: "plugin" }
    resource Certificate with hooks {
        what: "certificate of", item: "/nodes/{node_name}/certificates/info", id: "{node_name}"
    }
    resource MetricsServer {
        what: "metrics server", item: METRICS, made_at: METRICS,
        only_managed: &[
            "graphite_path", "graphite_proto", "influx_api_path_prefix", "influx_bucket", "influx_db_proto", "influx_max_body_size",
            "influx_organization", "influx_token", "influx_token_wo", "influx_token_wo_version", "influx_verify", "mtu", "timeout",
        ],
        needs: ("/", &["Sys.Modify"]),
        listed: Listed::Rows("/cluster/metrics/server", &[("name", "id")])
    }
    lookup MetricsServer {}
    resource Replication with hooks {
        what: "replication job", item: "/cluster/replication/{id}",
        listed: Listed::Rows("/cluster/replication", &[])
    }
    lookup Replication {}
    data Replications { what: "replication jobs", item: "/cluster/replication", sorted_by: "id" }
    resource BackupJob {
        what: "backup job", item: "/cluster/backup/{id}",
        needs: ("/", &["Sys.Modify"]),
        listed: Listed::Rows("/cluster/backup", &[])
    }
    data BackupJobs { what: "backup jobs", item: "/cluster/backup", id: "backup_jobs", sorted_by: "id" }
}
