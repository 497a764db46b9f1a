//! The simulated Image Factory: schematics, versions, extensions, and labelled disk images.

mod catalogue;
mod image;
mod schematic;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use stead_lab_core::machine::ImageLabel;
use stead_lab_core::{Lab, Store, serve};

use crate::version::{Line, Version};
use schematic::Schematic;

/// The public factory's name.
const HOST: &str = "factory.talos.dev";
const GUEST_AGENT: &str = "siderolabs/qemu-guest-agent";
const DOCUMENT: &str = "talos-factory";

/// The schematics that were posted, by id; the empty one is always known.
pub(crate) struct Factory {
    store: Store,
    schematics: Mutex<BTreeMap<String, Schematic>>,
}

/// An HTTP error as the factory sends it.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.0, format!("{}\n", self.1)).into_response();
        let options = HeaderValue::from_static("nosniff");
        response
            .headers_mut()
            .insert("x-content-type-options", options);
        response
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure(StatusCode::BAD_REQUEST, message.into())
}

fn missing(message: impl Into<String>) -> Failure {
    Failure(StatusCode::NOT_FOUND, message.into())
}

impl Factory {
    /// Serves `https://factory.talos.dev` in the lab.
    pub(crate) async fn start(lab: &Lab) -> io::Result<Arc<Factory>> {
        let mut schematics: BTreeMap<String, Schematic> =
            lab.store.load(DOCUMENT)?.unwrap_or_default();
        let empty = Schematic::default();
        schematics.insert(empty.id(), empty);
        let factory = Arc::new(Factory {
            store: lab.store.clone(),
            schematics: Mutex::new(schematics),
        });
        let listener = lab.network.listen(HOST, 443).await?;
        let tls = lab.authority.server_config(&[HOST.to_owned()])?;
        serve(lab, "factory", listener, Some(tls), router(factory.clone()));
        Ok(factory)
    }

    fn get(&self, id: &str) -> Option<Schematic> {
        let schematics = self
            .schematics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        schematics.get(id).cloned()
    }

    fn put(&self, schematic: Schematic) -> io::Result<String> {
        let id = schematic.id();
        let mut schematics = self
            .schematics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if schematics.insert(id.clone(), schematic).is_none() {
            self.store.save(DOCUMENT, &*schematics)?;
        }
        Ok(id)
    }

    /// The system that an installer image installs: `HOST/[PLATFORM-]installer[-secureboot]/SCHEMATIC:VERSION`, or the
    /// plain installer, which is published up to 1.13.
    pub(crate) fn installer(&self, image: &str) -> Result<ImageLabel, String> {
        let not_found = || format!("failed to resolve reference {image:?}: {image}: not found");
        let (name, version) = image
            .split('@')
            .next()
            .and_then(|i| i.rsplit_once(':'))
            .ok_or_else(not_found)?;
        let parsed = Version::parse(version).ok_or_else(not_found)?;
        let mut label = ImageLabel {
            os: "talos".to_owned(),
            version: version.to_owned(),
            schematic: String::new(),
            guest_agent: false,
        };
        if name == "ghcr.io/siderolabs/installer" {
            return match parsed.line() < Line::V1_14 {
                true => Ok(label),
                false => Err(not_found()),
            };
        }
        let rest = name.strip_prefix(HOST).and_then(|r| r.strip_prefix('/'));
        let (kind, id) = rest.and_then(|r| r.split_once('/')).ok_or_else(not_found)?;
        let kind = kind.trim_end_matches("-secureboot");
        if kind != "installer" && !kind.ends_with("-installer") {
            return Err(not_found());
        }
        let schematic = self.get(id).ok_or_else(not_found)?;
        label.guest_agent = schematic.has_extension(GUEST_AGENT);
        label.schematic = id.to_owned();
        Ok(label)
    }
}

fn router(factory: Arc<Factory>) -> Router {
    Router::new()
        .route("/schematics", post(create))
        .route("/schematics/{id}", get(read))
        .route("/versions", get(versions))
        .route("/version/{version}/extensions/official", get(extensions))
        .route("/version/{version}/overlays/official", get(overlays))
        .route("/image/{id}/{version}/{path}", get(download))
        .route("/healthz", get(|| async {}))
        .fallback(unknown)
        .with_state(factory)
}

async fn unknown(uri: axum::http::Uri) -> Failure {
    let path = uri.path();
    let known = [
        "/pxe/",
        "/v2/",
        "/talosctl/",
        "/secureboot/",
        "/oci/",
        "/ui/",
    ];
    match known.iter().find(|k| path.starts_with(**k)) {
        Some(prefix) => Failure(
            StatusCode::NOT_IMPLEMENTED,
            format!("{prefix} is not simulated"),
        ),
        None => missing("404 page not found"),
    }
}

async fn create(State(factory): State<Arc<Factory>>, body: Bytes) -> Result<Response, Failure> {
    let text = std::str::from_utf8(&body)
        .map_err(|_| invalid("yaml: reader error: invalid leading UTF-8 octet"))?;
    let schematic = Schematic::read(text).map_err(invalid)?;
    if schematic.has_owner() {
        return Err(invalid(
            "owner field is only supported in Enterprise edition",
        ));
    }
    let canonical = schematic.canonical();
    let id = factory
        .put(schematic)
        .map_err(|e| Failure(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let reply = Json(json!({ "id": id, "schematic": canonical }));
    Ok((StatusCode::CREATED, reply).into_response())
}

async fn read(
    State(factory): State<Arc<Factory>>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let schematic = factory
        .get(&id)
        .ok_or_else(|| missing("schematic not found"))?;
    let mut headers = HeaderMap::new();
    let yaml = HeaderValue::from_static("application/yaml");
    headers.insert(header::CONTENT_TYPE, yaml);
    Ok((headers, schematic.canonical()).into_response())
}

#[derive(serde::Deserialize)]
struct VersionsQuery {
    #[serde(default)]
    broken: String,
}

async fn versions(
    axum::extract::Query(query): axum::extract::Query<VersionsQuery>,
) -> Json<Vec<String>> {
    Json(match query.broken.as_str() {
        "true" => Vec::new(),
        _ => catalogue::versions(),
    })
}

fn released(text: &str) -> Result<(String, Version), Failure> {
    let tag = match text.starts_with('v') {
        true => text.to_owned(),
        false => format!("v{text}"),
    };
    let version = Version::parse(&tag).ok_or_else(|| {
        Failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal server error".to_owned(),
        )
    })?;
    match catalogue::is_released(&version) {
        true => Ok((tag, version)),
        false => Err(missing(format!(
            "version {} is not available",
            tag.trim_start_matches('v')
        ))),
    }
}

async fn extensions(Path(version): Path<String>) -> Result<Response, Failure> {
    let (tag, _) = released(&version)?;
    Ok(Json(catalogue::extensions(&tag)).into_response())
}

async fn overlays(Path(version): Path<String>) -> Result<Response, Failure> {
    let (tag, version) = released(&version)?;
    Ok(Json(catalogue::overlays(&version, &tag)).into_response())
}

async fn download(
    State(factory): State<Arc<Factory>>,
    Path((id, version, path)): Path<(String, String, String)>,
) -> Result<Response, Failure> {
    let schematic = factory
        .get(&id)
        .ok_or_else(|| missing(format!("schematic ID {id:?} not found")))?;
    let (tag, _) = released(&version)?;
    let packing = image::packing(&path)?;
    for name in schematic.extensions() {
        if !catalogue::has_extension(name) {
            return Err(invalid(format!(
                "official extension {name:?} is not available for Talos version {tag}"
            )));
        }
    }
    let label = ImageLabel {
        os: "talos".to_owned(),
        version: tag,
        schematic: id,
        guest_agent: schematic.has_extension(GUEST_AGENT),
    };
    let packed = label.to_image().and_then(|bytes| packing.pack(&bytes));
    let packed = packed.map_err(|e| Failure(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(packed.len()));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{path}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok((headers, packed).into_response())
}
