//! Containers and their images.

use std::time::SystemTime;

use tonic::{Response, Status};

use super::{Api, Streamed};
use crate::node::{self, Image, KUBERNETES, SYSTEM};
use crate::proto::common::{ContainerDriver, ContainerdInstance, ContainerdNamespace};
use crate::proto::machine::*;

/// The containers of a namespace, as a driver sees them.
pub(super) fn inspect(
    api: &Api,
    namespace: &str,
    driver: i32,
) -> Result<Vec<node::Container>, Status> {
    if namespace.is_empty() {
        return Err(Status::invalid_argument("namespace can't be empty"));
    }
    let cri = match ContainerDriver::try_from(driver) {
        Ok(ContainerDriver::Cri) => true,
        Ok(ContainerDriver::Containerd) => false,
        Err(_) => {
            return Err(Status::invalid_argument(format!(
                "unsupported driver \"{driver}\""
            )));
        }
    };
    if cri && namespace != KUBERNETES {
        return Err(Status::unknown(
            "CRI inspector is supported only for K8s namespace",
        ));
    }
    let mut found = api.node.containers();
    // The kubelet is no pod: only containerd itself knows it.
    found.retain(|c| c.namespace == namespace && !(cri && c.name == "kubelet"));
    Ok(found)
}

pub(super) fn list(
    api: &Api,
    request: &ContainersRequest,
) -> Result<Response<ContainersResponse>, Status> {
    let found = inspect(api, &request.namespace, request.driver)?;
    let containers = found.into_iter().map(|c| ContainerInfo {
        namespace: request.namespace.clone(),
        id: c.display(),
        uid: match c.namespace == KUBERNETES && c.name != "kubelet" {
            true => c.pod_uid(),
            false => String::new(),
        },
        internal_id: c.id(),
        status: match (c.sandbox, c.namespace) {
            (true, _) => "SANDBOX_READY",
            (false, KUBERNETES) if c.name != "kubelet" => "CONTAINER_RUNNING",
            _ => "RUNNING",
        }
        .to_owned(),
        pid: c.pid,
        image: c.image,
        pod_id: c.pod,
        name: c.name,
        network_namespace: String::new(),
    });
    Ok(Response::new(ContainersResponse {
        messages: vec![Container {
            metadata: None,
            containers: containers.collect(),
        }],
    }))
}

pub(super) fn stats(api: &Api, request: &StatsRequest) -> Result<Response<StatsResponse>, Status> {
    let up = api.boot(|b| b.started.elapsed().unwrap_or_default())?;
    let found = inspect(api, &request.namespace, request.driver)?;
    let nanoseconds = u64::try_from(up.as_nanos() / 50).unwrap_or(u64::MAX);
    let stats = found.into_iter().map(|c| Stat {
        namespace: request.namespace.clone(),
        id: c.display(),
        memory_usage: if c.sandbox { 1 << 20 } else { 48 << 20 },
        cpu_usage: if c.sandbox { 0 } else { nanoseconds },
        pod_id: c.pod,
        name: c.name,
    });
    Ok(Response::new(StatsResponse {
        messages: vec![Stats {
            metadata: None,
            stats: stats.collect(),
        }],
    }))
}

pub(super) fn restart(
    api: &Api,
    request: &RestartRequest,
) -> Result<Response<RestartResponse>, Status> {
    let found = inspect(api, &request.namespace, request.driver)?;
    let container = found
        .into_iter()
        .find(|c| c.display() == request.id || c.id() == request.id)
        .ok_or_else(|| Status::unknown(format!("container \"{}\" not found", request.id)))?;
    api.node.log(
        "machined",
        &format!("container {} restarted", container.display()),
    );
    if container.name == "kubelet" {
        api.node.restart_kubelet();
    }
    Ok(Response::new(RestartResponse {
        messages: vec![Restart::default()],
    }))
}

fn namespace(number: i32) -> Result<&'static str, Status> {
    match ContainerdNamespace::try_from(number) {
        Ok(ContainerdNamespace::NsCri) => Ok(KUBERNETES),
        Ok(ContainerdNamespace::NsSystem) => Ok(SYSTEM),
        _ => Err(Status::invalid_argument(format!(
            "invalid namespace {}",
            match number {
                0 => "NS_UNKNOWN".to_owned(),
                other => other.to_string(),
            }
        ))),
    }
}

/// The namespace of an instance, which must be named.
fn instance(containerd: Option<ContainerdInstance>) -> Result<&'static str, Status> {
    let containerd =
        containerd.ok_or_else(|| Status::invalid_argument("containerd instance is required"))?;
    namespace(containerd.namespace)
}

impl Api {
    fn images(&self, namespace: &str) -> Vec<Image> {
        let images = self.node.images().into_iter();
        images.filter(|i| i.namespace == namespace).collect()
    }

    /// Puts an image into the store, when its registry has it.
    pub(super) fn pull_image(&self, namespace: &str, name: &str) -> Result<Image, Status> {
        let world = self.world()?;
        if world.lab.faults.strike("talos.pull-fails").is_some() {
            return Err(Status::not_found(format!(
                "error pulling image: failed to pull image \"{name}\": simulated fault: {name}: not found"
            )));
        }
        let plain = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._/:@+".contains(&b));
        if !plain {
            return Err(Status::internal(format!(
                "error parsing image reference: invalid reference format: {name:?}"
            )));
        }
        if name.contains("installer") {
            world.factory.installer(name).map_err(|e| {
                Status::not_found(format!(
                    "error pulling image: failed to pull image {name:?}: {e}"
                ))
            })?;
        }
        let image = Image {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let stored = image.clone();
        self.node.update_disk(|d| {
            let _ = d.images.insert(stored);
        });
        Ok(image)
    }
}

pub(super) fn image_list(
    api: &Api,
    request: &ImageListRequest,
) -> Result<Response<Streamed<ImageListResponse>>, Status> {
    let images = api.images(namespace(request.namespace)?);
    let created = Some(api.boot(|b| SystemTime::into(b.started))?);
    let items = images.into_iter().map(move |image| {
        Ok(ImageListResponse {
            metadata: None,
            digest: image.digest(),
            size: image.size(),
            created_at: created,
            name: image.name,
        })
    });
    let items: Vec<_> = items.collect();
    Ok(Response::new(Box::pin(tokio_stream::iter(items))))
}

pub(super) fn image_pull(
    api: &Api,
    request: &ImagePullRequest,
) -> Result<Response<ImagePullResponse>, Status> {
    api.pull_image(namespace(request.namespace)?, &request.reference)?;
    Ok(Response::new(ImagePullResponse {
        messages: vec![ImagePull::default()],
    }))
}

#[tonic::async_trait]
impl image_service_server::ImageService for Api {
    type ListStream = Streamed<ImageServiceListResponse>;

    async fn list(
        &self,
        request: tonic::Request<ImageServiceListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let images = self.images(instance(request.into_inner().containerd)?);
        let created = Some(self.boot(|b| SystemTime::into(b.started))?);
        let items: Vec<_> = images
            .into_iter()
            .map(|image| {
                Ok(ImageServiceListResponse {
                    digest: image.digest(),
                    size: image.size(),
                    created_at: created,
                    name: image.name,
                })
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(items))))
    }

    type PullStream = Streamed<ImageServicePullResponse>;

    async fn pull(
        &self,
        request: tonic::Request<ImageServicePullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let request = request.into_inner();
        let image = self.pull_image(instance(request.containerd)?, &request.image_ref)?;
        let name = image_service_pull_response::Response::Name(image.name);
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(
            ImageServicePullResponse {
                response: Some(name),
            },
        )))))
    }

    async fn import(
        &self,
        request: tonic::Request<tonic::Streaming<ImageServiceImportRequest>>,
    ) -> Result<Response<ImageServiceImportResponse>, Status> {
        use image_service_import_request::Request as Part;
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|p| p.request);
        let Some(Part::Containerd(containerd)) = first else {
            return Err(Status::invalid_argument("containerd instance is required"));
        };
        let namespace = instance(Some(containerd))?;
        let mut archive = Vec::new();
        while let Some(part) = parts.message().await? {
            match part.request {
                Some(Part::ImageChunk(data)) => archive.extend(data.bytes),
                _ => return Err(Status::internal("failed to import image: no image chunk")),
            }
        }
        let name = named(&archive)
            .ok_or_else(|| Status::invalid_argument("no images imported from archive"))?;
        let image = Image {
            namespace: namespace.to_owned(),
            name: name.clone(),
        };
        self.node.update_disk(|d| {
            let _ = d.images.insert(image);
        });
        Ok(Response::new(ImageServiceImportResponse { name }))
    }

    async fn remove(
        &self,
        request: tonic::Request<ImageServiceRemoveRequest>,
    ) -> Result<Response<()>, Status> {
        let request = request.into_inner();
        let namespace = instance(request.containerd)?;
        let image = Image {
            namespace: namespace.to_owned(),
            name: request.image_ref,
        };
        if !self.node.images().contains(&image) {
            return Err(Status::not_found(format!("image {} not found", image.name)));
        }
        self.node.update_disk(|d| {
            let _ = d.images.remove(&image);
        });
        Ok(Response::new(()))
    }

    /// Without a configuration for the verification of images every image passes.
    async fn verify(
        &self,
        request: tonic::Request<ImageServiceVerifyRequest>,
    ) -> Result<Response<ImageServiceVerifyResponse>, Status> {
        let config = self.node.config();
        if config.is_some_and(|c| c.doc("ImageVerificationConfig").is_some()) {
            return Err(Status::unimplemented(
                "verifying images by rules is not simulated",
            ));
        }
        if request.get_ref().image_ref.is_empty() {
            return Err(Status::invalid_argument("image reference is required"));
        }
        Ok(Response::new(ImageServiceVerifyResponse {
            verified: false,
            message: "no matching image verification rules".to_owned(),
            digested_image_ref: String::new(),
        }))
    }
}

/// The image's name that an archive of an OCI layout or of `docker save` gives.
fn named(archive: &[u8]) -> Option<String> {
    const KEYS: [&str; 2] = ["\"io.containerd.image.name\":\"", "\"RepoTags\":[\""];
    let text = String::from_utf8_lossy(archive);
    KEYS.iter().find_map(|key| {
        let (_, rest) = text.split_once(key)?;
        let (name, _) = rest.split_once('"')?;
        (!name.is_empty()).then(|| name.to_owned())
    })
}
