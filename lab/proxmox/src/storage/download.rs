//! Downloads from URLs, through the lab's own network.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::json;
use stead_lab_core::image::Compression;
use stead_lab_core::machine::ImageLabel;

use super::sums::Sums;
use super::{file_format, file_name};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::{State, Volume};
use crate::{Proxmox, Px};

/// Most that a compressed file may become.
const UNPACKED_LIMIT: u64 = 1 << 30;
const COMPRESSIONS: &[&str] = &["gz", "lzo", "zst", "bz2"];

/// `GET /nodes/{node}/query-url-metadata`
pub(crate) async fn metadata(px: &Px, call: Call) -> Answer {
    let url = call.params.text("url");
    let response = px.client.head(url).await;
    let response = response
        .map_err(|error| ApiError::failure(format!("invalid server response: '500 {error}'")))?;
    if !response.status().is_success() {
        return Err(ApiError::failure(format!(
            "invalid server response: '{}'",
            response.status()
        )));
    }
    let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    let size = header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    let named = header(CONTENT_DISPOSITION)
        .and_then(|v| v.split("filename=").nth(1))
        .map(|v| v.trim_matches('"').to_owned());
    let last = url
        .split(['?', '#'])
        .next()
        .and_then(|u| u.rsplit('/').next())
        .map(str::to_owned);
    let mut found = json!({});
    if let Some(found) = found.as_object_mut() {
        if let Some(size) = size {
            found.insert("size".into(), size.into());
        }
        if let Some(name) = named.or(last).filter(|n| !n.is_empty()) {
            found.insert("filename".into(), name.into());
        }
        if let Some(kind) = header(CONTENT_TYPE) {
            found.insert(
                "mimetype".into(),
                kind.split(';').next().unwrap_or_default().into(),
            );
        }
    }
    Ok(found)
}

/// The name and tag of `registry/name:tag`.
fn reference(call: &Call) -> (String, String) {
    let given = call.params.text("reference");
    let after_slash = given.rfind('/').map_or(0, |at| at + 1);
    match given
        .get(after_slash..)
        .and_then(|last| last.split_once(':'))
    {
        Some((_, tag)) => (
            given.trim_end_matches(&format!(":{tag}")).to_owned(),
            tag.to_owned(),
        ),
        None => (given.to_owned(), "latest".to_owned()),
    }
}

/// `GET /nodes/{node}/query-oci-repo-tags`: the lab's registries have one image of everything.
pub(crate) fn tags(_: &State, _: &Call) -> serde_json::Value {
    json!(["latest"])
}

/// What a container image of the lab takes, in bytes.
const CONTAINER_IMAGE: u64 = 48 << 20;

/// `POST /nodes/{node}/storage/{storage}/oci-registry-pull`: an image becomes a container template.
pub(crate) async fn pull(px: &Px, call: Call) -> Answer {
    let (params, node) = (&call.params, call.node().to_owned());
    let id = params.text("storage").to_owned();
    let given = params.get("filename").unwrap_or(params.text("reference"));
    let name = format!("{}.tar", super::tamed(given));
    {
        let state = px.state();
        state.file_path(&node, &id, "vztmpl", &name)?;
        if state
            .volume(&node, &format!("{id}:vztmpl/{name}"))
            .is_some()
        {
            return Err(ApiError::failure(format!(
                "refusing to override existing file '{name}'"
            )));
        }
    }
    let (image, tag) = reference(&call);
    px.worker(
        &node.clone(),
        "ociregistrypull",
        &name.clone(),
        &call.caller,
        move |task| async move {
            task.line(format!("pulling docker://{image}:{tag}"));
            task.takes(Duration::from_secs(6)).await;
            let volume = file("vztmpl", &name, CONTAINER_IMAGE, None);
            task.proxmox
                .state()
                .add_file(&node, &format!("{id}:vztmpl/{name}"), volume)
        },
    )
    .await
}

/// What to fetch, and where it goes.
struct Download {
    node: String,
    storage: String,
    content: String,
    name: String,
    url: String,
    compression: Option<String>,
    /// Algorithm and value.
    checksum: Option<(String, String)>,
    path: String,
}

/// `POST /nodes/{node}/storage/{storage}/download-url`
pub(crate) async fn start(px: &Px, call: Call) -> Answer {
    let (params, node) = (&call.params, call.node().to_owned());
    let (storage, content) = (params.text("storage"), params.text("content"));
    let name = file_name(content, params.text("filename"))?;
    let path = px.state().file_path(&node, storage, content, &name)?;
    let compression = params.get("compression").map(str::to_owned);
    if let Some(format) = &compression {
        if content != "iso" {
            return Err(ApiError::failure(format!(
                "decompression not supported for {content}"
            )));
        }
        if !COMPRESSIONS.contains(&format.as_str()) {
            let all = COMPRESSIONS.join(", ");
            let text = format!("value '{format}' does not have a value in the enumeration '{all}'");
            return Err(ApiError::parameter("compression", text));
        }
    }
    let checksum = params.get("checksum-algorithm").zip(params.get("checksum"));
    let download = Download {
        node: node.clone(),
        storage: storage.to_owned(),
        content: content.to_owned(),
        name: name.clone(),
        url: params.text("url").to_owned(),
        compression,
        checksum: checksum.map(|(a, v)| (a.to_owned(), v.to_owned())),
        path,
    };
    px.worker(
        &node,
        "download",
        &name,
        &call.caller,
        move |task| async move {
            task.line(format!("downloading {} to {}", download.url, download.path));
            let exists = task
                .proxmox
                .state()
                .volume(&download.node, &download.volid())
                .is_some();
            if exists {
                return Err(format!(
                    "refusing to override existing file '{}'",
                    download.path
                ));
            }
            task.takes(Duration::from_secs(8)).await;
            let bytes = download.fetch(&task.proxmox).await?;
            if let Some((algorithm, expected)) = &download.checksum {
                let mut sums = Sums::default();
                sums.update(&bytes);
                task.line(format!("calculating checksum... {algorithm}"));
                sums.verify(algorithm, expected)?;
            }
            let bytes = download.unpack(bytes)?;
            download.keep(&task.proxmox, &bytes)?;
            task.line(format!(
                "download of '{}' to '{}' finished",
                download.url, download.path
            ));
            Ok(())
        },
    )
    .await
}

impl Download {
    fn volid(&self) -> String {
        format!("{}:{}/{}", self.storage, self.content, self.name)
    }

    async fn fetch(&self, px: &Proxmox) -> Result<Bytes, String> {
        let response = px
            .client
            .get(&self.url)
            .await
            .map_err(|error| format!("download failed: {error}"))?;
        if !response.status().is_success() {
            return Err(format!("download failed: ERROR {}", response.status()));
        }
        Ok(response.into_body())
    }

    fn unpack(&self, bytes: Bytes) -> Result<Bytes, String> {
        let Some(format) = self.compression.as_deref() else {
            return Ok(bytes);
        };
        let compression = match format {
            "gz" => Compression::Gzip,
            "zst" => Compression::Zstd,
            other => return Err(format!("decompression of '{other}' is not implemented")),
        };
        if Compression::detect(&bytes) != compression {
            return Err(format!(
                "command 'decompress {format}' failed: not in this format"
            ));
        }
        compression
            .unpack(&bytes, UNPACKED_LIMIT)
            .map(Bytes::from)
            .map_err(|error| format!("decompression failed: {error}"))
    }

    fn keep(&self, px: &Proxmox, bytes: &[u8]) -> Result<(), String> {
        let volume = file(&self.content, &self.name, bytes.len() as u64, label(bytes)?);
        px.state().add_file(&self.node, &self.volid(), volume)?;
        px.changed();
        Ok(())
    }
}

/// The label of an image; a file that is none of the lab's has none.
pub(crate) fn label(head: &[u8]) -> Result<Option<ImageLabel>, String> {
    match ImageLabel::from_image(head) {
        Ok(label) => Ok(label),
        // Someone's real compressed file, of which only the head is here, or a damaged one: no image of the lab.
        Err(_) if Compression::detect(head) != Compression::None => Ok(None),
        Err(error) => Err(format!("damaged lab image: {error}")),
    }
}

pub(crate) fn file(content: &str, name: &str, size: u64, label: Option<ImageLabel>) -> Volume {
    Volume {
        label,
        ..Volume::new(content, &file_format(content, name), size)
    }
}

impl State {
    /// Puts a file in place of what had its name.
    pub(crate) fn add_file(
        &mut self,
        node: &str,
        volid: &str,
        volume: Volume,
    ) -> Result<(), String> {
        let (storage, name) = super::parse_volid(volid)
            .ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
        self.admit(storage, node, &volume)?;
        if let Some(storage) = self.storages.get_mut(storage) {
            storage.volumes_mut(node).insert(name.to_owned(), volume);
        }
        Ok(())
    }
}
