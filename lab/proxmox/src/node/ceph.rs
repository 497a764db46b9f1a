//! Ceph on a node: it is not installed.

use crate::cluster::ceph::not_installed;
use crate::routes::Routes;

/// Methods below `/nodes/{node}/ceph`.
const METHODS: &[(&str, &[&str])] = &[
    (
        "GET",
        &[
            "cfg/db",
            "cfg/raw",
            "cfg/value",
            "cmd-safety",
            "crush",
            "fs",
            "log",
            "mds",
            "mgr",
            "mon",
            "osd",
            "osd/{osdid}/lv-info",
            "osd/{osdid}/metadata",
            "pool",
            "pool/{name}/status",
            "rules",
            "status",
        ],
    ),
    (
        "POST",
        &[
            "fs/{name}",
            "init",
            "mds/{name}",
            "mgr/{id}",
            "mon/{monid}",
            "osd",
            "osd/{osdid}/in",
            "osd/{osdid}/out",
            "osd/{osdid}/scrub",
            "pool",
            "restart",
            "start",
            "stop",
        ],
    ),
    ("PUT", &["pool/{name}"]),
    (
        "DELETE",
        &[
            "fs/{name}",
            "mds/{name}",
            "mgr/{id}",
            "mon/{monid}",
            "osd/{osdid}",
            "pool/{name}",
        ],
    ),
];

pub(super) fn routes(at: &mut Routes<'_>) {
    for (verb, paths) in METHODS {
        for path in *paths {
            let path = format!("/nodes/{{node}}/ceph/{path}");
            match *verb {
                "GET" => at.get(&path, not_installed),
                "POST" => at.post(&path, not_installed),
                "PUT" => at.put(&path, not_installed),
                _ => at.delete(&path, not_installed),
            }
        }
    }
}
