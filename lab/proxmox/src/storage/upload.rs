//! Uploads of ISO images, container templates and disk images.

use std::time::Duration;

use axum::extract::Multipart;

use super::content::placed;
use super::download::{file, label};
use super::file_name;
use super::sums::Sums;
use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Upload};
use crate::schema::check::Given;

/// The only method that takes a file.
pub(crate) const PATH: &str = "/nodes/{node}/storage/{storage}/upload";

/// How much of a file is kept, to look for a label.
const HEAD: usize = 1 << 20;

/// Reads the parts of a request: fields into `given`, the file as it passes.
pub(crate) async fn receive(parts: &mut Multipart, given: &mut Given) -> Result<Upload, ApiError> {
    let broken =
        |error: axum::extract::multipart::MultipartError| ApiError::new(501, error.body_text());
    let mut upload = None;
    while let Some(mut part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        let Some(filename) = part.file_name().map(str::to_owned) else {
            given
                .entry(name)
                .or_default()
                .push(part.text().await.map_err(broken)?);
            continue;
        };
        if name != "filename" || upload.is_some() {
            return Err(ApiError::new(501, "wrong field name for file upload"));
        }
        let mut file = Upload {
            filename: filename.clone(),
            size: 0,
            head: Vec::new(),
            sums: Sums::default(),
        };
        while let Some(chunk) = part.chunk().await.map_err(broken)? {
            let room = HEAD.saturating_sub(file.head.len()).min(chunk.len());
            file.head.extend(chunk.iter().take(room));
            file.size += chunk.len() as u64;
            file.sums.update(&chunk);
        }
        given.entry(name).or_default().push(filename);
        upload = Some(file);
    }
    upload.ok_or_else(|| ApiError::new(501, "no file in the upload"))
}

/// `POST /nodes/{node}/storage/{storage}/upload`
pub(crate) async fn finish(px: &Px, call: Call) -> Answer {
    let Some(upload) = call.upload else {
        return Err(ApiError::parameter("tmpfilename", "no such temporary file"));
    };
    let (params, caller) = (call.params, call.caller);
    let (node, storage, content) = (
        params.text("node").to_owned(),
        params.text("storage").to_owned(),
        params.text("content").to_owned(),
    );
    if params.has("tmpfilename") {
        return Err(ApiError::parameter(
            "tmpfilename",
            "not allowed with an uploaded file",
        ));
    }
    let name = file_name(&content, &upload.filename)?;
    let target = {
        let state = px.state();
        let found = state.storage(&storage, &node)?;
        if !found.has_path() {
            return Err(ApiError::failure(format!(
                "can't upload to storage type '{}'",
                found.kind
            )));
        }
        if !found.takes(&content) {
            return Err(ApiError::failure(format!(
                "storage '{storage}' does not support '{content}' content"
            )));
        }
        placed(found, &storage, &format!("{content}/{name}"), &content)
    };
    let checksum = params.get("checksum-algorithm").zip(params.get("checksum"));
    let checksum = checksum.map(|(a, v)| (a.to_owned(), v.to_owned()));
    px.worker(
        &node.clone(),
        "imgcopy",
        "",
        &caller,
        move |task| async move {
            task.line(format!(
                "starting file import from: /var/tmp/pveupload-{:x}",
                upload.size
            ));
            task.line(format!("target node: {node}"));
            task.line(format!("target file: {target}"));
            task.line(format!("file size is: {}", upload.size));
            task.takes(Duration::from_secs(2)).await;
            if let Some((algorithm, expected)) = checksum {
                upload.sums.verify(&algorithm, &expected)?;
            }
            let volume = file(&content, &name, upload.size, label(&upload.head)?);
            task.proxmox
                .state()
                .add_file(&node, &format!("{storage}:{content}/{name}"), volume)?;
            task.line("finished file import successfully");
            Ok(())
        },
    )
    .await
}
