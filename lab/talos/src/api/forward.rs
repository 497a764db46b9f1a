//! A control plane passes requests on to other nodes, and joins the answers of several.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::http::{HeaderValue, Response};
use tonic::{Code, Status};

use super::gate::{Call, Gate, refuse};
use super::roles;
use crate::node::{Node, Stage};
use crate::proto::common::Metadata;
use crate::proto::google::rpc;

/// One node's answer, unchanged.
pub(super) async fn to_one(
    from: &Arc<Node>,
    target: &str,
    call: Call,
) -> Result<Response<Body>, Status> {
    let node = reachable(from, target)?;
    Gate::new(node).local(call).await
}

/// The node at an address, when it runs, is configured and trusts this one's CA.
fn reachable(from: &Arc<Node>, target: &str) -> Result<Arc<Node>, Status> {
    let refused = || {
        Status::unavailable(format!(
            "connection error: desc = \"transport: Error while dialing: dial tcp {target}:50000: connect: connection refused\""
        ))
    };
    let world = from.world().ok_or_else(refused)?;
    let found = match target.parse::<IpAddr>() {
        Ok(ip) => world.node_at(ip),
        Err(_) => world.nodes().into_iter().find(|n| n.hostname() == target),
    };
    let node = found.ok_or_else(refused)?;
    let unknown_authority = || {
        Status::unavailable(
            "connection error: desc = \"transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority\"",
        )
    };
    // In maintenance mode it shows a certificate of its own making.
    if node.stage() == Stage::Maintenance {
        return Err(unknown_authority());
    }
    if node.with_boot(|b| b.api_up) != Some(true) {
        return Err(refused());
    }
    let authority = |node: &Node| {
        let ca = node.config().and_then(|c| c.machine_ca());
        ca.map(|ca| ca.certificate.trim().to_owned())
    };
    if authority(&node) != authority(from) {
        return Err(unknown_authority());
    }
    Ok(node)
}

/// Every node's answer, each with its metadata; a node that fails gives a message that says so.
pub(super) async fn to_many(from: &Arc<Node>, targets: &[String], call: &Call) -> Response<Body> {
    let streamed = roles::is_stream(&call.method);
    let answers = targets.iter().map(|target| async move {
        let answer = match to_one(from, target, call.clone()).await {
            Ok(response) => Messages::of(response),
            Err(status) => Messages::failed(status),
        };
        (target.clone(), answer)
    });
    let answers = futures::future::join_all(answers).await;
    let parts: Vec<_> = answers
        .into_iter()
        .map(|(target, messages)| {
            let decorated = messages.map(move |message| match message {
                Ok(message) => decorate(&message, &target, streamed),
                Err(status) => failure(&status, &target, streamed),
            });
            decorated.boxed()
        })
        .collect();
    let merged = stream::select_all(parts);
    if streamed {
        return respond(merged.map(framed).boxed());
    }
    // Concatenated unary answers are one answer with all messages.
    let all: Vec<Bytes> = merged.collect().await;
    respond(stream::once(async move { framed(Bytes::from(all.concat())) }).boxed())
}

fn respond(frames: Pin<Box<dyn futures::Stream<Item = Bytes> + Send>>) -> Response<Body> {
    let data = frames.map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
    let end = stream::once(async {
        let mut trailers = tonic::codegen::http::HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Ok(Frame::trailers(trailers))
    });
    let mut response = Response::new(Body::new(StreamBody::new(data.chain(end))));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    response
}

/// A message with gRPC's five bytes in front: not compressed, and its length.
fn framed(message: Bytes) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&message);
    frame.freeze()
}

/// Field 1 with these bytes.
fn field_one(contents: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(contents.len() + 6);
    prost::encoding::encode_varint(0x0a, &mut out);
    prost::encoding::encode_varint(contents.len() as u64, &mut out);
    out.extend_from_slice(contents);
    out
}

/// Adds the node's name: to each of a unary answer's `messages`, or to the streamed message itself.
fn decorate(message: &[u8], target: &str, streamed: bool) -> Bytes {
    let metadata = field_one(
        &Metadata {
            hostname: target.to_owned(),
            ..Metadata::default()
        }
        .encode_to_vec(),
    );
    if streamed {
        return Bytes::from([message, &metadata].concat());
    }
    let mut rest = message;
    let mut out = Vec::new();
    while rest.has_remaining() {
        let key = prost::encoding::decode_varint(&mut rest);
        let length = prost::encoding::decode_varint(&mut rest);
        let (Ok(0x0a), Ok(length)) = (key, length) else {
            return Bytes::copy_from_slice(message);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((part, after)) = rest.split_at_checked(length) else {
            return Bytes::copy_from_slice(message);
        };
        out.extend(field_one(&[part, &metadata].concat()));
        rest = after;
    }
    Bytes::from(out)
}

fn failure(status: &Status, target: &str, streamed: bool) -> Bytes {
    let metadata = Metadata {
        hostname: target.to_owned(),
        error: format!(
            "rpc error: code = {} desc = {}",
            code_name(status.code()),
            status.message()
        ),
        status: Some(rpc::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        }),
    };
    let reply = field_one(&metadata.encode_to_vec());
    match streamed {
        true => Bytes::from(reply),
        false => Bytes::from(field_one(&reply)),
    }
}

fn code_name(code: Code) -> String {
    format!("{code:?}")
}

/// The messages inside a gRPC answer.
struct Messages {
    body: Option<Body>,
    buffer: BytesMut,
    ready: VecDeque<Result<Bytes, Status>>,
}

impl Messages {
    fn of(response: Response<Body>) -> Messages {
        let mut ready = VecDeque::new();
        if let Some(status) = Status::from_header_map(response.headers())
            && status.code() != Code::Ok
        {
            ready.push_back(Err(status));
        }
        Messages {
            body: Some(response.into_body()),
            buffer: BytesMut::new(),
            ready,
        }
    }

    fn failed(status: Status) -> Messages {
        Messages::of(refuse(status))
    }

    fn take_frames(&mut self) {
        while let [_, a, b, c, d, ..] = self.buffer.as_ref() {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            if self.buffer.len() < length + 5 {
                return;
            }
            self.buffer.advance(5);
            self.ready
                .push_back(Ok(self.buffer.split_to(length).freeze()));
        }
    }
}

impl futures::Stream for Messages {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Poll::Ready(Some(message));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            let mut next = std::pin::pin!(body.frame());
            match Future::poll(next.as_mut(), context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.body = None,
                Poll::Ready(Some(Err(status))) => self.ready.push_back(Err(status)),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.buffer.extend_from_slice(&data);
                        self.take_frames();
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        if let Some(status) = Status::from_header_map(&trailers)
                            && status.code() != Code::Ok
                        {
                            self.ready.push_back(Err(status));
                        }
                    }
                },
            }
        }
    }
}
