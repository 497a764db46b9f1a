//! The public servers from which homes fetch container templates and cloud images. What lies there is small and none of the lab's
//! systems: a machine made of it runs, and nothing lives in it.

use std::io;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use stead_lab_core::{Lab, serve};

use crate::node::templates;

const TEMPLATES: &str = "download.proxmox.com";
const CLOUD_IMAGES: &[&str] = &["cloud-images.ubuntu.com", "cloud.debian.org"];
/// How images and archives of systems end.
const ENDINGS: &[&str] = &[
    ".img", ".iso", ".qcow2", ".raw", ".tar.gz", ".tar.xz", ".tar.zst",
];
/// In bytes: enough to be found out as neither packed nor labelled.
const SIZE: usize = 4096;

/// Serves them in the lab, by HTTP and HTTPS.
pub(crate) async fn serve_all(lab: &Lab) -> io::Result<()> {
    let templates = Router::new().route("/images/{section}/{name}", get(template));
    listen(lab, TEMPLATES, &templates).await?;
    let images = Router::new().route("/{*path}", get(image));
    for host in CLOUD_IMAGES {
        listen(lab, host, &images).await?;
    }
    Ok(())
}

async fn listen(lab: &Lab, host: &str, router: &Router) -> io::Result<()> {
    let tls = lab.authority.server_config(&[host.to_owned()])?;
    for (port, tls) in [(80, None), (443, Some(tls))] {
        let listener = lab.network.listen(host, port).await?;
        serve(lab, "images", listener, tls, router.clone());
    }
    Ok(())
}

async fn template(Path((section, name)): Path<(String, String)>) -> Response {
    match templates::is_known(&section, &name) {
        true => file(&name),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn image(Path(path): Path<String>) -> Response {
    match ENDINGS.iter().any(|ending| path.ends_with(ending)) {
        true => file(&path),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Differs by its name and nothing else, so that checksums stay the same.
fn file(name: &str) -> Response {
    let mut bytes = format!("an image of the lab: {name}\n").into_bytes();
    bytes.resize(SIZE, 0);
    bytes.into_response()
}
