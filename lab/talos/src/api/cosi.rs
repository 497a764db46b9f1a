//! Get, list and watch of resources.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};

use super::resources::{fingerprint, readable};
use super::{Api, Streamed, roles};
use crate::proto::cosi::resource::state_server::State;
use crate::proto::cosi::resource::{
    Event, EventType, GetRequest, GetResponse, IdQuery, LabelQuery, ListRequest, ListResponse,
    Metadata, Resource, WatchRequest, WatchResponse,
};

fn id_of(resource: &Resource) -> &str {
    resource
        .metadata
        .as_ref()
        .map(|m| m.id.as_str())
        .unwrap_or_default()
}

/// Chooses resources by what the options say. None of the node's resources has labels.
struct Filter {
    id: Option<regex::Regex>,
    labelled: bool,
}

impl Filter {
    fn of(labels: &[LabelQuery], id: Option<&IdQuery>) -> Result<Filter, Status> {
        let pattern = id.map(|q| q.regexp.as_str()).filter(|p| !p.is_empty());
        let id = pattern.map(regex::Regex::new).transpose();
        Ok(Filter {
            id: id.map_err(|e| Status::invalid_argument(e.to_string()))?,
            // A query that only excludes labels matches a resource without any.
            labelled: labels.iter().any(|q| q.terms.iter().any(|t| !t.invert)),
        })
    }

    fn keeps(&self, resource: &Resource) -> bool {
        !self.labelled && self.id.as_ref().is_none_or(|r| r.is_match(id_of(resource)))
    }
}

#[tonic::async_trait]
impl State for Api {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let caller = roles(&request);
        let request = request.into_inner();
        readable(&request.r#type, &request.namespace, &caller)?;
        let resources = self.resources(&request.namespace, &request.r#type);
        let found = resources.into_iter().find(|r| id_of(r) == request.id);
        let resource = found.ok_or_else(|| {
            Status::not_found(format!(
                "resource {}({}/{}@undefined) doesn't exist",
                request.r#type, request.namespace, request.id
            ))
        })?;
        Ok(Response::new(GetResponse {
            resource: Some(resource),
        }))
    }

    type ListStream = Streamed<ListResponse>;

    async fn list(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let caller = roles(&request);
        let request = request.into_inner();
        readable(&request.r#type, &request.namespace, &caller)?;
        let options = request.options.unwrap_or_default();
        let filter = Filter::of(&options.label_query, options.id_query.as_ref())?;
        let mut resources = self.resources(&request.namespace, &request.r#type);
        resources.retain(|r| filter.keeps(r));
        let items = resources.into_iter().map(|resource| {
            Ok(ListResponse {
                resource: Some(resource),
            })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(items))))
    }

    type WatchStream = Streamed<WatchResponse>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = roles(&request);
        let request = request.into_inner();
        readable(&request.r#type, &request.namespace, &caller)?;
        let options = request.options.clone().unwrap_or_default();
        if options.tail_events > 0
            || options.start_from_bookmark.is_some()
            || options.bootstrap_bookmark
        {
            return Err(Status::unimplemented(
                "watching from earlier events is not simulated",
            ));
        }
        if request.id.is_some() && options.bootstrap_contents {
            return Err(Status::unimplemented(
                "bootstrap contents is not implemented for resource watch",
            ));
        }
        if request.id.is_some() && !options.label_query.is_empty() {
            return Err(Status::unimplemented(
                "label query is not implemented for resource watch",
            ));
        }
        let filter = Filter::of(&options.label_query, options.id_query.as_ref())?;
        let watcher = Watcher {
            api: self.clone(),
            request,
            filter,
            bootstrap: options.bootstrap_contents,
            aggregated: options.aggregated,
            known: BTreeMap::new(),
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        tokio::spawn(watcher.run(sender));
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(stream)))
    }
}

struct Watcher {
    api: Api,
    request: WatchRequest,
    filter: Filter,
    bootstrap: bool,
    aggregated: bool,
    known: BTreeMap<String, Resource>,
}

type Sender = tokio::sync::mpsc::Sender<Result<WatchResponse, Status>>;

impl Watcher {
    async fn run(mut self, sender: Sender) {
        let mut revisions = self.api.node.revisions();
        // An empty answer tells the client that the watch is ready.
        if sender.send(Ok(WatchResponse::default())).await.is_err() {
            return;
        }
        let first = self.first();
        if self.send(&sender, first).await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                _ = revisions.changed() => {}
                () = sender.closed() => return,
            }
            // A node that went down takes its connections with it.
            if self.api.node.with_boot(|_| ()).is_none() {
                return;
            }
            let events = self.step();
            if self.send(&sender, events).await.is_err() {
                return;
            }
        }
    }

    fn current(&self) -> BTreeMap<String, Resource> {
        let resources = self
            .api
            .resources(&self.request.namespace, &self.request.r#type);
        let wanted = |r: &Resource| match &self.request.id {
            Some(id) => id_of(r) == id,
            None => self.filter.keeps(r),
        };
        let kept = resources.into_iter().filter(|r| wanted(r));
        kept.map(|r| (id_of(&r).to_owned(), r)).collect()
    }

    /// What the watcher is told first: one resource's state, or (on demand) all of them and that these were all.
    fn first(&mut self) -> Vec<Event> {
        self.known = self.current();
        if let Some(id) = &self.request.id {
            return vec![match self.known.get(id) {
                Some(resource) => event(EventType::Created, resource.clone(), None),
                None => event(EventType::Destroyed, self.absent(id), None),
            }];
        }
        if !self.bootstrap {
            return Vec::new();
        }
        let created = self.known.values().cloned();
        let mut events: Vec<Event> = created
            .map(|r| event(EventType::Created, r, None))
            .collect();
        // Clients of the protocol's first version do not know this kind of event.
        if self.request.api_version >= 1 {
            events.push(Event {
                event_type: EventType::Bootstrapped.into(),
                ..Event::default()
            });
        }
        events
    }

    fn absent(&self, id: &str) -> Resource {
        Resource {
            metadata: Some(Metadata {
                namespace: self.request.namespace.clone(),
                r#type: self.request.r#type.clone(),
                id: id.to_owned(),
                version: "undefined".to_owned(),
                phase: "tearingDown".to_owned(),
                ..Metadata::default()
            }),
            spec: None,
        }
    }

    fn step(&mut self) -> Vec<Event> {
        let now = self.current();
        let mut events = Vec::new();
        for (id, resource) in &now {
            match self.known.get(id) {
                None => events.push(event(EventType::Created, resource.clone(), None)),
                Some(old) if fingerprint(old) != fingerprint(resource) => {
                    events.push(event(
                        EventType::Updated,
                        resource.clone(),
                        Some(old.clone()),
                    ));
                }
                Some(_) => {}
            }
        }
        let gone = self.known.iter().filter(|(id, _)| !now.contains_key(*id));
        events.extend(gone.map(|(_, r)| event(EventType::Destroyed, r.clone(), None)));
        self.known = now;
        events
    }

    async fn send(&self, sender: &Sender, events: Vec<Event>) -> Result<(), ()> {
        if self.aggregated && !events.is_empty() {
            let all = WatchResponse { event: events };
            return sender.send(Ok(all)).await.map_err(drop);
        }
        for event in events {
            let one = WatchResponse { event: vec![event] };
            sender.send(Ok(one)).await.map_err(drop)?;
        }
        Ok(())
    }
}

fn event(kind: EventType, resource: Resource, old: Option<Resource>) -> Event {
    Event {
        resource: Some(resource),
        event_type: kind.into(),
        old,
        ..Event::default()
    }
}
