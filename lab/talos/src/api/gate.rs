//! In front of the services: roles of the caller, which node is meant, what the line has.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use stead_lab_core::faults::Effect;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::service::Routes;
use tower::ServiceExt;

use super::roles::{self, Refusal, Roles};
use super::{Api, MESSAGE_LIMIT, forward};
use crate::node::{Node, Stage};
use crate::pki;
use crate::proto::cluster::cluster_service_server::ClusterServiceServer;
use crate::proto::cosi::resource::state_server::StateServer;
use crate::proto::inspect::inspect_service_server::InspectServiceServer;
use crate::proto::machine::image_service_server::ImageServiceServer;
use crate::proto::machine::lifecycle_service_server::LifecycleServiceServer;
use crate::proto::machine::machine_service_server::MachineServiceServer;
use crate::proto::storage::storage_service_server::StorageServiceServer;
use crate::proto::time::time_service_server::TimeServiceServer;

/// Who connected.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    roles: Roles,
}

impl Caller {
    pub(crate) fn of(certificates: &[CertificateDer<'_>]) -> Caller {
        let names = certificates.first().map(pki::organisations);
        Caller {
            roles: Roles::of(names.unwrap_or_default()),
        }
    }
}

/// A whole request, as it can be sent to several nodes.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) service: String,
    pub(super) method: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) roles: Roles,
}

/// One node's front door.
pub(crate) struct Gate {
    node: Arc<Node>,
    routes: Routes,
}

impl Gate {
    pub(crate) fn new(node: Arc<Node>) -> Gate {
        let api = Api { node: node.clone() };
        let routes = Routes::new(
            MachineServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_LIMIT),
        )
        .add_service(StateServer::new(api.clone()))
        .add_service(ClusterServiceServer::new(api.clone()))
        .add_service(StorageServiceServer::new(api.clone()))
        .add_service(TimeServiceServer::new(api.clone()))
        .add_service(InspectServiceServer::new(api.clone()))
        .add_service(ImageServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_LIMIT))
        .add_service(LifecycleServiceServer::new(api));
        Gate {
            node,
            routes: routes.prepare(),
        }
    }

    pub(crate) async fn answer(
        &self,
        caller: Caller,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let answer = match self.struck().await {
            Ok(()) => self.routed(caller, request).await,
            Err(status) => Err(status),
        };
        answer.unwrap_or_else(refuse)
    }

    /// The lab's latency, and its fault named `talos`.
    async fn struck(&self) -> Result<(), Status> {
        let Some(world) = self.node.world() else {
            return Ok(());
        };
        let latency = Duration::from_millis(world.lab.settings.latency_ms);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        match world.lab.faults.strike("talos") {
            None => Ok(()),
            Some(Effect::Delay(millis)) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }
            Some(Effect::Status { message, .. }) => Err(Status::unavailable(message)),
            Some(Effect::Drop | Effect::On) => {
                Err(Status::unavailable("error reading from server: EOF"))
            }
        }
    }

    async fn routed(
        &self,
        caller: Caller,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().trim_start_matches('/').to_owned();
        let (service, method) = path
            .split_once('/')
            .ok_or_else(|| Status::unimplemented(format!("malformed method name: {path:?}")))?;
        let body = whole(body).await?;
        let maintenance = self.node.stage() == Stage::Maintenance;
        let roles = if maintenance {
            Roles::of([roles::READER])
        } else {
            impersonated(caller.roles, &parts.headers)
        };
        let call = Call {
            service: service.to_owned(),
            method: method.to_owned(),
            headers: parts.headers,
            body,
            roles,
        };
        if maintenance && self.node.line().small_maintenance_server() {
            roles::check_small_maintenance(service, method).map_err(Status::unimplemented)?;
            return self.dispatch(call).await;
        }
        match targets(&call.headers)? {
            Targets::Here => self.local(call).await,
            Targets::One(target) => {
                if self.is_local(&target) {
                    return self.local(call).await;
                }
                self.may_forward()?;
                forward::to_one(&self.node, &target, call).await
            }
            Targets::Many(targets) => {
                const FANNED: [&str; 5] = [
                    "machine.MachineService",
                    "cluster.ClusterService",
                    "inspect.InspectService",
                    "storage.StorageService",
                    "time.TimeService",
                ];
                if !FANNED.contains(&call.service.as_str()) {
                    return Err(Status::invalid_argument(format!(
                        "one-2-many proxying is not supported for method /{}/{}",
                        call.service, call.method
                    )));
                }
                match targets.as_slice() {
                    // Without the right to forward, the node itself is still reached.
                    [only] if self.is_local(only) && self.may_forward().is_err() => {
                        self.local(call).await
                    }
                    _ => {
                        self.may_forward()?;
                        Ok(forward::to_many(&self.node, &targets, &call).await)
                    }
                }
            }
        }
    }

    fn is_local(&self, target: &str) -> bool {
        let addresses = self.node.addresses();
        match target.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || addresses.iter().any(|a| a.addr() == ip),
            // talosctl names no node by an empty one.
            Err(_) => target.is_empty() || target == self.node.hostname(),
        }
    }

    /// Only a configured control plane has the credentials to reach others.
    fn may_forward(&self) -> Result<(), Status> {
        let config = self.node.config();
        match config.is_some_and(|c| c.is_control_plane()) {
            true => Ok(()),
            false => Err(Status::permission_denied("no request forwarding")),
        }
    }

    /// This node's answer.
    pub(super) async fn local(&self, call: Call) -> Result<Response<Body>, Status> {
        self.node.edited_by_hand();
        let (service, method) = (&call.service, &call.method);
        roles::check(self.node.line(), service, method, &call.roles).map_err(|refusal| {
            match refusal {
                Refusal::UnknownService => {
                    Status::unimplemented(format!("unknown service {service}"))
                }
                Refusal::UnknownMethod => {
                    Status::unimplemented(format!("unknown method {method} for service {service}"))
                }
                Refusal::NotAuthorized => Status::permission_denied("not authorized"),
                Refusal::ReadOnly => Status::permission_denied("write access is not allowed"),
                Refusal::NotImplemented => {
                    Status::unimplemented(format!("method {method} not implemented"))
                }
            }
        })?;
        self.dispatch(call).await
    }

    async fn dispatch(&self, call: Call) -> Result<Response<Body>, Status> {
        let mut request = Request::new(Body::new(Full::new(call.body)));
        *request.method_mut() = tonic::codegen::http::Method::POST;
        *request.uri_mut() = format!("/{}/{}", call.service, call.method)
            .parse()
            .map_err(|_| Status::unimplemented("malformed method name"))?;
        *request.headers_mut() = call.headers;
        request.extensions_mut().insert(call.roles);
        match self.routes.clone().oneshot(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

pub(super) fn refuse(status: Status) -> Response<Body> {
    status.into_http()
}

async fn whole(body: Incoming) -> Result<Bytes, Status> {
    let collected = Limited::new(body, MESSAGE_LIMIT + 5).collect().await;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::resource_exhausted(format!(
            "grpc: received message larger than max ({MESSAGE_LIMIT})"
        ))),
        Err(error) => Err(Status::cancelled(error.to_string())),
    }
}

enum Targets {
    Here,
    One(String),
    Many(Vec<String>),
}

fn values(headers: &HeaderMap, key: &str) -> Vec<String> {
    let all = headers.get_all(key).iter();
    all.filter_map(|v| v.to_str().ok())
        .map(str::to_owned)
        .collect()
}

fn targets(headers: &HeaderMap) -> Result<Targets, Status> {
    let (one, many) = (values(headers, "node"), values(headers, "nodes"));
    if one.len() > 1 {
        return Err(Status::invalid_argument(
            "node metadata must be single-valued",
        ));
    }
    if !many.is_empty() {
        return Ok(Targets::Many(many));
    }
    Ok(match one.into_iter().next() {
        Some(target) => Targets::One(target),
        None => Targets::Here,
    })
}

/// A caller with that right may act with other roles.
fn impersonated(roles: Roles, headers: &HeaderMap) -> Roles {
    let wanted = values(headers, "talos-role");
    match roles.may_impersonate() && !wanted.is_empty() {
        true => Roles::of(wanted),
        false => roles,
    }
}
