//! One call of the Talos API: its time limit, its log entry, and what its failure means.

use std::error::Error as StdError;
use std::future::Future;
use std::time::{Duration, Instant};

use stead_sdk::{Dialer, Error, ErrorKind};
use tonic::{Code, Response, Status};

/// How tonic says that an answer is none of gRPC. Without a status it derives one from the HTTP status, which makes a 404 look like
/// a node that lacks the method; a page looks like a damaged message.
const NO_GRPC: [&str; 2] = [
    "grpc-status header missing, mapped from HTTP status code ",
    "protocol error: received message with invalid compression flag: ",
];

/// How a node says that the part of it that was asked, or the node that it passed the request on to, did not get to its answer. That
/// it could not be reached at all reads otherwise. Facts: grpc-go `internal/transport/http2_client.go`.
const CUT: [&str; 2] = ["error reading from server", "transport is closing"];

/// For one call. Nodes answer at once or not at all.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A failed call.
#[derive(Debug)]
pub(crate) struct CallError {
    /// What the node said; `Unavailable` when the connection failed.
    pub(crate) code: Code,
    /// The answer never came: the node may have done what it was asked.
    pub(crate) lost: bool,
    /// What answered is no gRPC server, and so no node.
    pub(crate) foreign: bool,
    pub(crate) error: Error,
}

impl CallError {
    /// The node will say the same the next time.
    pub(crate) fn is_final(&self) -> bool {
        let refused = matches!(
            self.code,
            Code::InvalidArgument
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::Unimplemented
        );
        refused || self.foreign || self.error.kind() == ErrorKind::Denied
    }

    /// What is in the way, for a progress line.
    pub(crate) fn reason(&self) -> String {
        self.error.said().to_owned()
    }
}

impl From<CallError> for Error {
    fn from(call: CallError) -> Error {
        call.error
    }
}

/// Whom is called, for messages and the log.
pub(super) struct Call<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) host: &'a str,
    /// Completes "Could not …".
    pub(super) asked: String,
    /// Service and method.
    pub(super) method: &'static str,
}

impl Call<'_> {
    /// Waits for the answer of a unary call, or for the head of a stream.
    pub(super) async fn run<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CallError> {
        self.run_for(TIMEOUT, call).await
    }

    /// As [`Call::run`], of a call that works before it answers.
    pub(super) async fn run_for<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CallError> {
        let started = Instant::now();
        let result = tokio::time::timeout(limit, call).await;
        let outcome = match &result {
            Ok(Ok(_)) => "OK",
            Ok(Err(status)) => status.code().description(),
            Err(_) => "timed out",
        };
        self.dialer
            .record("grpc", self.host, self.method, outcome, started);
        match result {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(self.silent(limit)),
        }
    }

    /// Hands on what a stream brings, which may be silent for `limit` between two items.
    pub(super) async fn follow<T>(
        &self,
        limit: Duration,
        stream: tonic::Streaming<T>,
        mut take: impl FnMut(T),
    ) -> Result<(), CallError> {
        let mut stream = stream;
        loop {
            match tokio::time::timeout(limit, stream.message()).await {
                Ok(Ok(Some(item))) => take(item),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(self.failed(&status)),
                Err(_) => return Err(self.silent(limit)),
            }
        }
    }

    /// Waits for the answer to an upload, which takes as long as it takes.
    pub(super) async fn run_long<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CallError> {
        let started = Instant::now();
        let result = call.await;
        let outcome = result
            .as_ref()
            .map_or_else(|s| s.code().description(), |_| "OK");
        self.dialer
            .record("grpc", self.host, self.method, outcome, started);
        match result {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(self.failed(&status)),
        }
    }

    /// The next message of a stream.
    pub(super) async fn next<T>(
        &self,
        stream: &mut tonic::Streaming<T>,
    ) -> Result<Option<T>, CallError> {
        match tokio::time::timeout(TIMEOUT, stream.message()).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(self.silent(TIMEOUT)),
        }
    }

    /// Collects a stream.
    pub(super) async fn collect<T>(
        &self,
        stream: tonic::Streaming<T>,
    ) -> Result<Vec<T>, CallError> {
        let mut stream = stream;
        let mut items = Vec::new();
        let everything = async {
            while let Some(item) = stream.message().await? {
                items.push(item);
            }
            Ok::<(), Status>(())
        };
        match tokio::time::timeout(TIMEOUT, everything).await {
            Ok(Ok(())) => Ok(items),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(self.silent(TIMEOUT)),
        }
    }

    fn asked(&self) -> String {
        format!("{} ({} at {})", self.asked, self.method, self.host)
    }

    fn silent(&self, limit: Duration) -> CallError {
        let seconds = limit.as_secs();
        CallError {
            code: Code::DeadlineExceeded,
            lost: true,
            foreign: false,
            error: Error::transient(self.asked(), format!("no answer within {seconds} seconds")),
        }
    }

    /// A failure that the node itself reported in its answer.
    pub(super) fn reported(&self, text: &str) -> CallError {
        CallError {
            code: Code::Unknown,
            lost: false,
            foreign: false,
            error: Error::transient(self.asked(), text),
        }
    }

    fn failed(&self, status: &Status) -> CallError {
        match status.source() {
            Some(cause) => self.broken(cause),
            None => self.refused(status),
        }
    }

    /// The node answered.
    fn refused(&self, status: &Status) -> CallError {
        if NO_GRPC
            .iter()
            .any(|text| status.message().starts_with(text))
        {
            return self.foreign();
        }
        let code = status.code();
        let kind = match code {
            Code::NotFound => ErrorKind::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
            Code::AlreadyExists => ErrorKind::Conflict,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::FailedPrecondition
            | Code::Internal
            | Code::ResourceExhausted
            | Code::Unknown
            | Code::Cancelled => ErrorKind::Transient,
            _ => ErrorKind::Other,
        };
        let error = Error::of_kind(kind, self.asked(), status.message());
        CallError {
            code,
            lost: code == Code::Unavailable && CUT.iter().any(|t| status.message().contains(t)),
            foreign: false,
            error: if status.message().contains("no request forwarding") {
                error.remedy(
                    "What answers at the endpoint is another node, and only control plane nodes pass requests on: name one of them \
                     as `endpoint`, or leave it out.",
                )
            } else if kind == ErrorKind::Denied {
                error.remedy(
                    "The client certificate needs the role os:admin: check `client_configuration`.",
                )
            } else {
                error
            },
        }
    }

    /// Something else answered.
    fn foreign(&self) -> CallError {
        let error = Error::new(
            self.asked(),
            "what answers there is a web server and no Talos machine",
        );
        CallError {
            code: Code::Unknown,
            lost: false,
            foreign: true,
            error: error.remedy("Check the address and the port."),
        }
    }

    /// The connection failed.
    fn broken(&self, cause: &(dyn StdError + 'static)) -> CallError {
        let error = match deepest(cause) {
            Cause::Dialer(error) => error,
            Cause::Alert(text) => Error::of_kind(ErrorKind::Denied, self.asked(), text).remedy(
                "The node does not accept the client certificate: check that `client_configuration` is of this cluster \
                 and has not expired.",
            ),
            Cause::Other(text) => Error::transient(self.asked(), text),
        };
        CallError {
            code: Code::Unavailable,
            lost: true,
            foreign: false,
            error,
        }
    }
}

enum Cause {
    /// What the dialer said.
    Dialer(Error),
    /// The server ended the handshake.
    Alert(String),
    Other(String),
}

/// Looks through the layers of a transport error for the one that says what happened.
fn deepest(error: &(dyn StdError + 'static)) -> Cause {
    let mut text = error.to_string();
    let mut next = Some(error);
    while let Some(layer) = next {
        if let Some(error) = layer.downcast_ref::<Error>() {
            return Cause::Dialer(error.clone());
        }
        // HTTP/2 keeps no more than the text of what TLS says.
        let said = layer.to_string();
        if said.contains("received fatal alert") {
            return Cause::Alert(said);
        }
        // An I/O error hides its cause from `source`.
        let hidden = layer
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(hidden) = hidden {
            let hidden: &(dyn StdError + 'static) = hidden;
            return match deepest(hidden) {
                Cause::Other(inner) => Cause::Other(inner),
                found => found,
            };
        }
        text = said;
        next = layer.source();
    }
    Cause::Other(text)
}
