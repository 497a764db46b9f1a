//! AppProjects: which repositories, destinations and kinds an application may use.

use serde_json::Value;

use super::glob::matches_text;
use super::repository::normalized;
use crate::object::{at, list, text};

/// Why the project does not let the application be, as conditions say it.
pub(super) fn violations(project: &Value, project_name: &str, application: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for source in super::sources(application) {
        let url = text(&source, &["repoURL"]);
        if !permits(list(project, &["spec", "sourceRepos"]), |p| {
            p == "*" || matches_text(&normalized(p), &normalized(url))
        }) {
            out.push(format!(
                "application repo {url} is not permitted in project '{project_name}'"
            ));
        }
    }
    let destination = at(application, &["spec", "destination"]);
    let place = text(destination, &["namespace"]);
    if !permits_destination(project, place) {
        out.push(format!(
            "application destination server '{}' and namespace '{place}' do not match any of the allowed destinations in project '{project_name}'",
            super::IN_CLUSTER
        ));
    }
    out
}

/// Patterns; a leading `!` denies.
fn permits(patterns: &[Value], matches: impl Fn(&str) -> bool) -> bool {
    let texts: Vec<&str> = patterns.iter().filter_map(Value::as_str).collect();
    let denied = texts
        .iter()
        .filter_map(|p| p.strip_prefix('!'))
        .any(&matches);
    !denied
        && texts
            .iter()
            .filter(|p| !p.starts_with('!'))
            .any(|p| matches(p))
}

pub(super) fn permits_destination(project: &Value, namespace: &str) -> bool {
    let fits = |destination: &Value| {
        let (server, name) = (text(destination, &["server"]), text(destination, &["name"]));
        let pattern = text(destination, &["namespace"]);
        let here = if server.is_empty() {
            matches_text(name, "in-cluster")
        } else {
            matches_text(server, super::IN_CLUSTER)
        };
        here && matches_text(pattern, namespace)
    };
    list(project, &["spec", "destinations"]).iter().any(fits)
}

/// Whether a kind may be synced: cluster-wide kinds must be allowed, namespaced ones must not be denied.
pub(super) fn permits_kind(project: &Value, group: &str, kind: &str, namespaced: bool) -> bool {
    let any = |field: &str| {
        list(project, &["spec", field]).iter().any(|k| {
            matches_text(text(k, &["group"]), group) && matches_text(text(k, &["kind"]), kind)
        })
    };
    let is_set = |field: &str| !at(project, &["spec", field]).is_null();
    if namespaced {
        !any("namespaceResourceBlacklist")
            && (!is_set("namespaceResourceWhitelist") || any("namespaceResourceWhitelist"))
    } else {
        any("clusterResourceWhitelist") && !any("clusterResourceBlacklist")
    }
}
