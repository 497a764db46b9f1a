//! Packages of a node: repositories, versions, updates.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes, nothing};
use crate::sections::{assert_digest, hex};
use crate::state::State;

/// The files below `/etc/apt`, in the order of their paths.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Repositories {
    files: Vec<File>,
}

#[derive(Clone, Serialize, Deserialize)]
struct File {
    path: String,
    repositories: Vec<Repository>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Repository {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
    keyring: String,
    enabled: bool,
}

/// A repository that Proxmox offers.
struct Standard {
    handle: &'static str,
    name: &'static str,
    description: &'static str,
    path: &'static str,
    uri: &'static str,
    component: &'static str,
}

const ENTERPRISE: &str = "https://enterprise.proxmox.com/debian";

const fn standard(
    handle: &'static str,
    name: &'static str,
    description: &'static str,
    path: &'static str,
    uri: &'static str,
    component: &'static str,
) -> Standard {
    Standard {
        handle,
        name,
        description,
        path,
        uri,
        component,
    }
}

const STANDARD: &[Standard] = &[
    standard(
        "enterprise",
        "Enterprise",
        "Stable packages, for systems with a subscription.",
        "/etc/apt/sources.list.d/pve-enterprise.sources",
        "https://enterprise.proxmox.com/debian/pve",
        "pve-enterprise",
    ),
    standard(
        "no-subscription",
        "No-Subscription",
        "Packages for systems without a subscription.",
        "/etc/apt/sources.list.d/proxmox.sources",
        "http://download.proxmox.com/debian/pve",
        "pve-no-subscription",
    ),
    standard(
        "test",
        "Test",
        "Newest packages, for tests.",
        "/etc/apt/sources.list.d/proxmox.sources",
        "http://download.proxmox.com/debian/pve",
        "pve-test",
    ),
    standard(
        "ceph-squid-enterprise",
        "Ceph Squid Enterprise",
        "Ceph for systems with a subscription.",
        "/etc/apt/sources.list.d/ceph.sources",
        "https://enterprise.proxmox.com/debian/ceph-squid",
        "enterprise",
    ),
    standard(
        "ceph-squid-no-subscription",
        "Ceph Squid No-Subscription",
        "Ceph for systems without a subscription.",
        "/etc/apt/sources.list.d/ceph.sources",
        "http://download.proxmox.com/debian/ceph-squid",
        "no-subscription",
    ),
    standard(
        "ceph-squid-test",
        "Ceph Squid Test",
        "Newest Ceph, for tests.",
        "/etc/apt/sources.list.d/ceph.sources",
        "http://download.proxmox.com/debian/ceph-squid",
        "test",
    ),
];

impl Standard {
    fn is(&self, found: &Repository) -> bool {
        found.uri.trim_end_matches('/') == self.uri
            && found.components.iter().any(|c| c == self.component)
    }

    fn repository(&self, suite: &str) -> Repository {
        Repository::new(self.uri, &[suite], &[self.component], PROXMOX_KEYRING)
    }
}

const PROXMOX_KEYRING: &str = "/usr/share/keyrings/proxmox-archive-keyring.gpg";
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Repository {
    fn new(uri: &str, suites: &[&str], components: &[&str], keyring: &str) -> Repository {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Repository {
            uri: uri.to_owned(),
            suites: owned(suites),
            components: owned(components),
            keyring: keyring.to_owned(),
            enabled: true,
        }
    }

    fn text(&self) -> String {
        format!(
            "{} {:?} {:?} {}\n",
            self.uri, self.suites, self.components, self.enabled
        )
    }
}

impl Repositories {
    /// Debian's, and Proxmox's for those who pay.
    pub(super) fn installed(suite: &str) -> Repositories {
        let components = ["main", "contrib", "non-free-firmware"];
        let (updates, security) = (format!("{suite}-updates"), format!("{suite}-security"));
        let debian = [
            ("http://deb.debian.org/debian/", &[suite, &updates][..]),
            ("http://security.debian.org/debian-security/", &[&security]),
        ];
        let debian =
            debian.map(|(uri, suites)| Repository::new(uri, suites, &components, DEBIAN_KEYRING));
        let mut found = Repositories {
            files: vec![File {
                path: "/etc/apt/sources.list.d/debian.sources".into(),
                repositories: debian.into(),
            }],
        };
        for handle in ["enterprise", "ceph-squid-enterprise"] {
            if let Some(standard) = STANDARD.iter().find(|s| s.handle == handle) {
                found.add(standard, suite);
            }
        }
        found
    }

    /// Switches a standard repository on, which may have to be written first.
    fn add(&mut self, standard: &Standard, suite: &str) {
        let mut all = self
            .files
            .iter_mut()
            .flat_map(|file| &mut file.repositories);
        if let Some(found) = all.find(|found| standard.is(found)) {
            found.enabled = true;
            return;
        }
        match self
            .files
            .iter_mut()
            .find(|file| file.path == standard.path)
        {
            Some(file) => file.repositories.push(standard.repository(suite)),
            None => {
                let file = File {
                    path: standard.path.into(),
                    repositories: vec![standard.repository(suite)],
                };
                self.files.push(file);
                self.files.sort_by(|a, b| a.path.cmp(&b.path));
            }
        }
    }

    fn status(&self, standard: &Standard) -> Option<bool> {
        let mut all = self.files.iter().flat_map(|file| &file.repositories);
        all.find(|found| standard.is(found))
            .map(|found| found.enabled)
    }

    fn digest(&self) -> String {
        let all: String = self
            .files
            .iter()
            .map(|file| file.path.clone() + &file.text())
            .collect();
        hex(&Sha256::digest(all))
    }
}

impl File {
    fn text(&self) -> String {
        self.repositories.iter().map(Repository::text).collect()
    }
}

/// `GET /nodes/{node}/apt/repositories`
fn repositories(state: &State, call: &Call) -> Answer {
    let found = &state.host(call.node())?.repositories;
    let files = found.files.iter().map(|file| {
        let repositories = file.repositories.iter().map(|repository| {
            json!({
                "Types": ["deb"], "URIs": [repository.uri], "Suites": repository.suites,
                "Components": repository.components, "FileType": "sources", "Enabled": u8::from(repository.enabled),
                "Options": [{ "Key": "Signed-By", "Values": [repository.keyring] }],
            })
        });
        json!({
            "path": file.path, "file-type": "sources", "repositories": repositories.collect::<Vec<_>>(),
            "digest": Sha256::digest(file.text()).to_vec(),
        })
    });
    let infos = found.files.iter().flat_map(|file| {
        file.repositories.iter().enumerate().map(|(index, repository)| {
            let origin = if repository.uri.contains(".proxmox.com") { "Proxmox" } else { "Debian" };
            json!({ "path": file.path, "index": index.to_string(), "kind": "origin", "message": origin })
        })
    });
    let standard = STANDARD.iter().map(|standard| {
        let mut row = json!({ "handle": standard.handle, "name": standard.name, "description": standard.description });
        if let (Some(enabled), Some(row)) = (found.status(standard), row.as_object_mut()) {
            row.insert("status".into(), u8::from(enabled).into());
        }
        row
    });
    Ok(json!({
        "files": files.collect::<Vec<_>>(), "errors": [], "infos": infos.collect::<Vec<_>>(),
        "standard-repos": standard.collect::<Vec<_>>(), "digest": found.digest(),
    }))
}

/// `PUT /nodes/{node}/apt/repositories`: adds a standard repository.
fn add(state: &mut State, call: &Call) -> Answer {
    let (params, suite) = (&call.params, state.release().suite);
    let found = &mut state.host_mut(call.node())?.repositories;
    assert_digest(&found.digest(), params)?;
    let handle = params.text("handle");
    let standard = STANDARD.iter().find(|standard| standard.handle == handle);
    let standard = standard
        .ok_or_else(|| ApiError::failure(format!("unknown repository handle '{handle}'")))?;
    found.add(standard, suite);
    Ok(Value::Null)
}

/// `POST /nodes/{node}/apt/repositories`: switches a repository on or off.
fn change(state: &mut State, call: &Call) -> Answer {
    let (params, found) = (&call.params, &mut state.host_mut(call.node())?.repositories);
    assert_digest(&found.digest(), params)?;
    let (path, index) = (params.text("path"), params.text("index"));
    let file = found.files.iter_mut().find(|file| file.path == path);
    let file = file.ok_or_else(|| ApiError::failure(format!("invalid path - {path}")))?;
    let place = index.parse::<usize>().ok();
    let repository = place.and_then(|place| file.repositories.get_mut(place));
    let repository =
        repository.ok_or_else(|| ApiError::failure(format!("invalid index - {index}")))?;
    if params.has("enabled") {
        repository.enabled = params.is_on("enabled");
    }
    Ok(Value::Null)
}

/// `GET /nodes/{node}/apt/versions`
fn versions(state: &State, _: &Call) -> Value {
    let release = state.release();
    let row = |(name, version, section): &(&str, &str, &str)| {
        let mut row = json!({
            "Package": name, "Title": name, "Description": name, "Version": version, "OldVersion": version,
            "Arch": "amd64", "Origin": "Proxmox", "Priority": "optional", "Section": section, "CurrentState": "Installed",
        });
        let more = match *name {
            "proxmox-ve" => Some(("RunningKernel", release.kernel.to_owned())),
            "pve-manager" => Some(("ManagerVersion", release.manager_version())),
            _ => None,
        };
        if let (Some((key, value)), Some(row)) = (more, row.as_object_mut()) {
            row.insert(key.into(), value.into());
        }
        row
    };
    release.packages.iter().map(row).collect()
}

/// `GET /nodes/{node}/apt/changelog`
fn changelog(state: &State, call: &Call) -> Value {
    let (name, release) = (call.params.text("name"), state.release());
    let mut packages = release.packages.iter();
    match packages.find(|(known, _, _)| *known == name) {
        Some((name, version, _)) => {
            format!("{name} ({version}) {}; urgency=medium\n", release.suite).into()
        }
        None => format!("E: Unable to locate package {name}\nRC: 100").into(),
    }
}

/// `POST /nodes/{node}/apt/update`
async fn update(px: &Px, call: Call) -> Answer {
    let (node, quiet) = (call.node().to_owned(), call.params.is_on("quiet"));
    px.worker(
        &node.clone(),
        "aptupdate",
        "",
        &call.caller,
        move |task| async move {
            if !quiet {
                task.line("starting apt-get update");
            }
            task.takes(Duration::from_secs(4)).await;
            let enabled: Vec<Repository> = {
                let state = task.proxmox.state();
                let files = &state.host(&node)?.repositories.files;
                files
                    .iter()
                    .flat_map(|file| &file.repositories)
                    .filter(|r| r.enabled)
                    .cloned()
                    .collect()
            };
            for (place, repository) in (1..).zip(&enabled) {
                let suite = repository.suites.first().map_or("", String::as_str);
                // Without a subscription the enterprise's packages are not to be had.
                if repository.uri.starts_with(ENTERPRISE) {
                    task.line(format!(
                        "Err:{place} {} {suite} InRelease 401  Unauthorized",
                        repository.uri
                    ));
                    return Err("command 'apt-get update' failed: exit code 100".into());
                }
                if !quiet {
                    task.line(format!("Hit:{place} {} {suite} InRelease", repository.uri));
                }
            }
            Ok(())
        },
    )
    .await
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/apt/repositories", repositories);
    at.put("/nodes/{node}/apt/repositories", add);
    at.post("/nodes/{node}/apt/repositories", change);
    at.get("/nodes/{node}/apt/versions", versions);
    at.get("/nodes/{node}/apt/changelog", changelog);
    at.get("/nodes/{node}/apt/update", nothing);
    at.post("/nodes/{node}/apt/update", update);
}
