//! Launch configurations: where they are looked for, how they are read, what they change.

use std::sync::Arc;

use serde_json::Value;

use super::{addons, join};
use crate::host::Host;
use crate::yaml;
use stead_lab_core::files::File;

/// Where the install hook looks; the first file found replaces the snap's own.
const PLACES: &[&str] = &[
    "/etc/microk8s.yaml",
    "/root/snap/microk8s/common/.microk8s.yaml",
    "/var/snap/microk8s/common/.microk8s.yaml",
];
/// The snap's own configuration.
const DEFAULT: &str = "version: 0.1.0\nextraKubeletArgs:\n  --cluster-domain: cluster.local\n  --cluster-dns: 10.152.183.10\naddons:\n- name: dns\n";
/// Where the cluster agent looks.
const LAUNCHER: &str = "/var/snap/microk8s/common/etc/launcher";
const ARGUMENTS: &str = "/var/snap/microk8s/current/args";

/// Services whose arguments a configuration can change: member name, file.
const SERVICES: &[(&str, &str)] = &[
    ("extraKubeAPIServerArgs", "kube-apiserver"),
    ("extraKubeletArgs", "kubelet"),
    ("extraKubeProxyArgs", "kube-proxy"),
    ("extraKubeControllerManagerArgs", "kube-controller-manager"),
    ("extraKubeSchedulerArgs", "kube-scheduler"),
    ("extraContainerdArgs", "containerd"),
    ("extraDqliteArgs", "k8s-dqlite"),
    ("extraEtcdArgs", "etcd"),
    ("extraFlanneldArgs", "flanneld"),
    ("extraMicroK8sClusterAgentArgs", "cluster-agent"),
    ("extraMicroK8sAPIServerProxyArgs", "apiserver-proxy"),
];

/// The text that the install hook takes.
pub(super) fn found(host: &Host) -> String {
    let text = PLACES
        .iter()
        .find_map(|path| host.files("root", |f| f.read(path).ok()));
    text.map_or_else(
        || DEFAULT.to_owned(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

/// The parts of a configuration; refuses what `cluster-agent init --pre-init` refuses. Unknown members only warn.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, String> {
    let parts = yaml::documents(text)
        .map_err(|e| format!("Error: failed to parse launch configuration: yaml: {e}"))?;
    for part in &parts {
        let Some(map) = part.as_object() else {
            return Err("Error: failed to parse launch configuration: yaml: cannot unmarshal into init.Configuration".to_owned());
        };
        let version = map
            .get("version")
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
            .unwrap_or_default();
        if !version.is_empty() && !["0.1.0", "0.2.0"].contains(&version.as_str()) {
            return Err(format!(
                "Error: failed to parse launch configuration: unsupported version: {version} not in range 0.1.0 to 0.2.0"
            ));
        }
        let token = map
            .get("persistentClusterToken")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !token.is_empty() && token.len() != 32 {
            return Err("Error: failed to parse launch configuration: persistentClusterToken must be 32 characters long".to_owned());
        }
        for name in ["addons", "extraSANs", "addonRepositories"] {
            if map.get(name).is_some_and(|v| !v.is_array() && !v.is_null()) {
                return Err(format!(
                    "Error: failed to parse launch configuration: yaml: cannot unmarshal {name} into a list"
                ));
            }
        }
    }
    Ok(parts)
}

/// Puts a file where the cluster agent looks.
pub(super) fn place(host: &Host, name: &str, text: &str) {
    write(host, &format!("{LAUNCHER}/{name}"), text);
}

fn write(host: &Host, path: &str, text: &str) {
    host.files("root", |files| {
        let parent = path.rsplit_once('/').map_or("/", |(p, _)| p);
        let made = files
            .make_directory(parent, true, 0o755)
            .and_then(|()| files.write(path, text.as_bytes(), false));
        if let Err(problem) = made {
            // Only a directory in the place of the file can be in the way.
            tracing::warn!(
                path,
                problem = problem.text(),
                "the simulated cluster agent cannot write"
            );
        }
    });
}

/// Applies every configuration that waits; an applied one is renamed, one that fails stays and is retried.
pub(super) async fn apply_all(host: &Arc<Host>) {
    let names = host.files("root", |f| f.names(LAUNCHER));
    for name in names.into_iter().filter(|n| n.ends_with(".yaml")) {
        let path = format!("{LAUNCHER}/{name}");
        let Ok(bytes) = host.files("root", |f| f.read(&path)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match apply(host, &text).await {
            Ok(()) => {
                let renamed = host.files("root", |f| f.rename(&path, &format!("{path}.applied")));
                if let Err(problem) = renamed {
                    tracing::warn!(
                        path,
                        problem = problem.text(),
                        "the simulated cluster agent cannot rename"
                    );
                }
            }
            Err(problem) => {
                // The agent's journal is the only place that tells.
                let line = format!(
                    "microk8s.daemon-cluster-agent: Failed to apply configuration {path}: {problem}\n"
                );
                host.with(|s| {
                    let log = s
                        .files
                        .entry("/var/log/syslog".to_owned())
                        .or_insert_with(|| File {
                            owner: "root".to_owned(),
                            mode: 0o640,
                            ..File::default()
                        });
                    log.content.extend(line.into_bytes());
                });
            }
        }
    }
}

async fn apply(host: &Arc<Host>, text: &str) -> Result<(), String> {
    for part in parse(text)? {
        let list = |name: &str| {
            part.get(name)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        if !list("addonRepositories").is_empty() {
            return Err("the lab does not simulate addonRepositories".to_owned());
        }
        if let Some(token) = part
            .get("persistentClusterToken")
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
        {
            addons::on_owner(host, |m| m.tokens.insert(token.to_owned(), Some(i64::MAX)));
        }
        for (member, service) in SERVICES {
            if let Some(changes) = part.get(member).and_then(Value::as_object) {
                change_arguments(host, service, changes);
            }
        }
        if let Some(files) = part.get("extraConfigFiles").and_then(Value::as_object) {
            for (name, content) in files {
                write(
                    host,
                    &format!("{ARGUMENTS}/{}", name.replace('/', "_")),
                    content.as_str().unwrap_or_default(),
                );
            }
        }
        if let Some(registries) = part
            .get("containerdRegistryConfigs")
            .and_then(Value::as_object)
        {
            for (name, content) in registries {
                write(
                    host,
                    &format!("{ARGUMENTS}/certs.d/{}/hosts.toml", name.replace('/', "_")),
                    content.as_str().unwrap_or_default(),
                );
            }
        }
        let sans: Vec<String> = list("extraSANs")
            .iter()
            .filter_map(|s| s.as_str().map(str::to_owned))
            .collect();
        if !sans.is_empty() {
            addons::on_owner(host, |m| {
                for san in sans {
                    if !m.extra_sans.contains(&san) {
                        m.extra_sans.push(san);
                    }
                }
            });
            // New names need a new serving certificate.
            super::cluster::open(host).await?;
        }
        for addon in list("addons") {
            let name = addon
                .get("name")
                .and_then(Value::as_str)
                .ok_or("an addon has no name")?;
            let arguments = addon
                .get("args")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|a| a.as_str().map(str::to_owned))
                .collect();
            let (name, mut own) = addons::split(name);
            own.extend::<Vec<String>>(arguments);
            let off = addon.get("disable") == Some(&Value::Bool(true));
            let output = if off {
                addons::disable(host, &name).await
            } else {
                addons::enable(host, &name, own).await
            };
            if output.code != 0 {
                return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            }
        }
        if let Some(join) = part.get("join") {
            let url = join.get("url").and_then(Value::as_str).unwrap_or_default();
            let output =
                join::join(host, url, join.get("worker") == Some(&Value::Bool(true))).await;
            if output.code != 0 {
                return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            }
        }
    }
    Ok(())
}

/// `--key=value` lines: given ones are replaced or added, null ones removed.
fn change_arguments(host: &Host, service: &str, changes: &serde_json::Map<String, Value>) {
    let path = format!("{ARGUMENTS}/{service}");
    let old = host.files("root", |f| f.read(&path)).unwrap_or_default();
    let mut lines: Vec<String> = String::from_utf8_lossy(&old)
        .lines()
        .map(str::to_owned)
        .collect();
    for (key, value) in changes {
        lines.retain(|line| line.split('=').next() != Some(key));
        if !value.is_null() {
            lines.push(format!(
                "{key}={}",
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            ));
        }
    }
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    write(host, &path, &text);
}
