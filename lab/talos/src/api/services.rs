//! Services: what they are, and the few that can be started and stopped.

use tonic::{Response, Status};

use super::Api;
use crate::proto::machine::*;

pub(super) fn list(api: &Api) -> Result<Response<ServiceListResponse>, Status> {
    let started = api.boot(|b| b.started)?;
    let services = api.node.services().into_iter().map(|service| {
        let past = api
            .node
            .with_boot(|b| b.journal.history(service.id))
            .unwrap_or_default();
        let changed = past.last().map_or(started, |p| p.time);
        let healthy = service.healthy;
        ServiceInfo {
            id: service.id.to_owned(),
            state: service.state.to_owned(),
            events: Some(ServiceEvents {
                events: past
                    .into_iter()
                    .map(|p| ServiceEvent {
                        msg: p.message,
                        state: p.state.to_owned(),
                        ts: Some(p.time.into()),
                    })
                    .collect(),
            }),
            health: Some(ServiceHealth {
                unknown: healthy.is_none(),
                healthy: healthy == Some(true),
                last_message: String::new(),
                last_change: Some(changed.into()),
            }),
        }
    });
    Ok(Response::new(ServiceListResponse {
        messages: vec![ServiceList {
            metadata: None,
            services: services.collect(),
        }],
    }))
}

/// What may be asked of a service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    Stop,
    Restart,
}

impl Wish {
    fn name(self) -> &'static str {
        match self {
            Wish::Start => "start",
            Wish::Stop => "stop",
            Wish::Restart => "restart",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Wish::Start => "started",
            Wish::Stop => "stopped",
            Wish::Restart => "restarted",
        }
    }
}

/// Carries out a wish; what the node says of it.
pub(super) fn operate(api: &Api, id: &str, wish: Wish) -> Result<String, Status> {
    let services = api.node.services();
    let Some(service) = services.iter().find(|s| s.id == id) else {
        return Err(Status::unknown(format!("service \"{id}\" not defined")));
    };
    // Extensions may do all of it, the kubelet may not be stopped, everything else is Talos' own.
    let allowed = service.id.starts_with("ext-") || (id == "kubelet" && wish != Wish::Stop);
    if !allowed {
        return Err(Status::unknown(format!(
            "service \"{id}\" doesn't support {} operation via API",
            wish.name()
        )));
    }
    if id == "kubelet" {
        if wish == Wish::Restart {
            api.node.restart_kubelet();
        }
    } else {
        if wish != Wish::Start {
            let id = id.to_owned();
            api.node.update(|b| {
                let _ = b.stopped.insert(id);
            });
        }
        if wish != Wish::Stop {
            api.node.update(|b| {
                let _ = b.stopped.remove(id);
            });
        }
    }
    Ok(format!("Service \"{id}\" {}", wish.done()))
}
