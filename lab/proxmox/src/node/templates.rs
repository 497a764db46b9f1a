//! Container templates that a node can download.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::state::State;
use crate::storage::download::file;

/// Name, section, operating system, size in MiB.
const TEMPLATES: &[(&str, &str, &str, u64)] = &[
    (
        "alpine-3.22-default_20250617_amd64.tar.xz",
        "system",
        "alpine",
        3,
    ),
    (
        "archlinux-base_20240911-1_amd64.tar.zst",
        "system",
        "archlinux",
        178,
    ),
    (
        "debian-12-standard_12.12-1_amd64.tar.zst",
        "system",
        "debian-12",
        120,
    ),
    (
        "debian-13-standard_13.1-2_amd64.tar.zst",
        "system",
        "debian-13",
        124,
    ),
    (
        "fedora-42-default_20250428_amd64.tar.xz",
        "system",
        "fedora",
        160,
    ),
    (
        "rockylinux-10-default_20251001_amd64.tar.xz",
        "system",
        "rockylinux",
        114,
    ),
    (
        "ubuntu-22.04-standard_22.04-1_amd64.tar.zst",
        "system",
        "ubuntu-22.04",
        118,
    ),
    (
        "ubuntu-24.04-standard_24.04-2_amd64.tar.zst",
        "system",
        "ubuntu-24.04",
        135,
    ),
];

/// Whether a template is published in a section.
pub(crate) fn is_known(section: &str, name: &str) -> bool {
    let mut all = TEMPLATES.iter();
    all.any(|(known, of, ..)| (*of, *known) == (section, name))
}

/// `GET /nodes/{node}/aplinfo`
fn list(_: &State, _: &Call) -> Value {
    let row = |(name, section, os, _): &(&str, &str, &str, u64)| {
        let mut parts = name.split('_');
        let (package, version) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        json!({
            "template": name, "package": package, "version": version, "section": section, "os": os, "type": "lxc",
            "architecture": "amd64", "source": "http://download.proxmox.com/images", "headline": package,
            "location": format!("http://download.proxmox.com/images/{section}/{name}"),
        })
    };
    TEMPLATES.iter().map(row).collect()
}

/// `POST /nodes/{node}/aplinfo`
async fn download(px: &Px, call: Call) -> Answer {
    let (node, id, name) = (
        call.node().to_owned(),
        call.params.text("storage").to_owned(),
        call.params.text("template").to_owned(),
    );
    let known = TEMPLATES.iter().find(|(known, ..)| *known == name);
    let (_, section, _, size) =
        *known.ok_or_else(|| ApiError::parameter("template", "no such template"))?;
    if !px.state().storage(&id, &node)?.takes("vztmpl") {
        return Err(ApiError::failure(format!(
            "storage '{id}' does not support templates"
        )));
    }
    let task_id = name.clone();
    px.worker(
        &node.clone(),
        "download",
        &task_id,
        &call.caller,
        move |task| async move {
            let url = format!("http://download.proxmox.com/images/{section}/{name}");
            task.line(format!("downloading {url}"));
            task.takes(Duration::from_secs(8)).await;
            let volume = file("vztmpl", &name, size << 20, None);
            task.proxmox
                .state()
                .add_file(&node, &format!("{id}:vztmpl/{name}"), volume)?;
            task.line(format!("download of '{url}' finished"));
            Ok(())
        },
    )
    .await
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/aplinfo", list);
    at.post("/nodes/{node}/aplinfo", download);
}
