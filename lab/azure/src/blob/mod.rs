//! Blob storage's data plane: the route from a request to containers and blobs, and the errors that all share.

mod auth;
mod blobs;
mod blocks;
mod conditions;
mod containers;
pub(crate) mod content;
mod lease;
mod sas;
mod xml;

use serde_json::Value;
use uuid::Uuid;

use crate::Cloud;
use crate::http::{Answer, Call, http_date, iso, now};
use crate::state::{Account, Container};

/// The answer to go on with, or the one that refuses.
pub(crate) type Outcome = Result<Answer, Answer>;

/// One authorized request to an account.
pub(crate) struct Request<'a> {
    pub cloud: &'a Cloud,
    pub call: &'a Call,
    pub account: String,
    /// Empty for the account itself.
    pub container: String,
    /// Empty for the container itself; may contain `/`.
    pub blob: String,
}

/// What a request wants to do, for SAS permissions and roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    ListContainers,
    ServiceProperties,
    CreateContainer,
    ReadContainer,
    WriteContainer,
    DeleteContainer,
    ContainerAcl,
    ListBlobs,
    ReadBlob,
    WriteBlob,
    /// Put Blob or Put Block List, which also a `create` permission allows when the blob is new.
    PutBlob,
    DeleteBlob,
}

/// Answers requests to `*.blob.core.windows.net`.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Answer {
    let outcome = open(cloud, call).and_then(|request| {
        let deed = request.deed()?;
        auth::authorize(&request, deed)?;
        request.route(deed)
    });
    let mut answer = outcome.unwrap_or_else(|refused| refused);
    if !call.header("x-ms-client-request-id").is_empty() {
        answer = answer.with(
            "x-ms-client-request-id",
            call.header("x-ms-client-request-id"),
        );
    }
    let version = match call.header("x-ms-version") {
        "" => call.param("sv").unwrap_or("2009-09-19"),
        given => given,
    };
    answer
        .with("server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0")
        .with("x-ms-request-id", Uuid::new_v4().to_string())
        .with("x-ms-version", version)
        .with("date", http_date(now()))
}

fn open<'a>(cloud: &'a Cloud, call: &'a Call) -> Result<Request<'a>, Answer> {
    let account = call.host.split('.').next().unwrap_or_default().to_owned();
    if !cloud.state().accounts.contains_key(&account) {
        // The real host name of an account that does not exist cannot be resolved; a proxy says so with 502.
        return Err(error(
            502,
            "AccountNotFound",
            &format!(
                "No account answers at {}: the lab's Azure has none of that name.",
                call.host
            ),
        ));
    }
    let container = call.segments.first().cloned().unwrap_or_default();
    // Blob names keep empty segments (`a//b`), so they are taken from the path itself.
    let blob = call
        .raw_path
        .trim_start_matches('/')
        .split_once('/')
        .map(|(_, rest)| crate::http::decode(rest, false))
        .unwrap_or_default();
    Ok(Request {
        cloud,
        call,
        account,
        container,
        blob,
    })
}

impl Request<'_> {
    fn deed(&self) -> Result<Deed, Answer> {
        let (method, comp, restype) = (
            self.call.method.as_str(),
            self.call.param("comp").unwrap_or_default(),
            self.call.param("restype").unwrap_or_default(),
        );
        let deed = match (
            method,
            self.container.is_empty(),
            self.blob.is_empty(),
            restype,
            comp,
        ) {
            ("GET", true, _, _, "list") => Deed::ListContainers,
            ("GET" | "HEAD", true, _, "service" | "account", "properties")
            | ("GET" | "HEAD", _, _, "account", "properties") => Deed::ServiceProperties,
            ("PUT", false, true, "container", "") => Deed::CreateContainer,
            ("GET" | "HEAD", false, true, "container", "" | "metadata") => Deed::ReadContainer,
            ("DELETE", false, true, "container", "") => Deed::DeleteContainer,
            ("PUT", false, true, "container", "metadata" | "lease") => Deed::WriteContainer,
            ("GET" | "HEAD" | "PUT", false, true, "container", "acl") => Deed::ContainerAcl,
            ("GET", false, true, "container", "list") => Deed::ListBlobs,
            ("GET" | "HEAD", false, false, "", "" | "metadata" | "blocklist") => Deed::ReadBlob,
            ("PUT", false, false, "", "" | "blocklist") => Deed::PutBlob,
            ("PUT", false, false, "", "block" | "metadata" | "properties" | "lease") => {
                Deed::WriteBlob
            }
            ("DELETE", false, false, "", "") => Deed::DeleteBlob,
            _ => {
                let text = format!(
                    "The lab does not simulate {method} {} with restype '{restype}' and comp '{comp}' of Blob storage.",
                    self.call.raw_path
                );
                return Err(error(501, "NotImplemented", &text));
            }
        };
        Ok(deed)
    }

    fn route(&self, deed: Deed) -> Outcome {
        let comp = self.call.param("comp").unwrap_or_default();
        match (deed, comp) {
            (Deed::ListContainers, _) => self.list_containers(),
            (Deed::ServiceProperties, _) => self.service_properties(),
            (Deed::CreateContainer, _) => self.create_container(),
            (Deed::ReadContainer, _) => self.container_properties(),
            (Deed::DeleteContainer, _) => self.delete_container(),
            (Deed::WriteContainer, "lease") => self.lease_container(),
            (Deed::WriteContainer, _) => self.set_container_metadata(),
            (Deed::ContainerAcl, _) => self.container_acl(),
            (Deed::ListBlobs, _) => self.list_blobs(),
            (Deed::ReadBlob, "blocklist") => self.block_list(),
            (Deed::ReadBlob, _) => self.read_blob(),
            (Deed::PutBlob, "blocklist") => self.put_block_list(),
            (Deed::PutBlob, _) => self.put_blob(),
            (Deed::WriteBlob, "block") => self.put_block(),
            (Deed::WriteBlob, "metadata") => self.set_blob_metadata(),
            (Deed::WriteBlob, "properties") => self.set_blob_properties(),
            (Deed::WriteBlob, _) => self.lease_blob(),
            (Deed::DeleteBlob, _) => self.delete_blob(),
        }
    }

    /// Works on the account and has the state saved; the second argument is a fresh ETag.
    pub(crate) fn with_account(
        &self,
        work: impl FnOnce(&mut Account, String) -> Outcome,
    ) -> Outcome {
        let mut state = self.cloud.state();
        let etag = state.next_etag();
        let Some(account) = state.accounts.get_mut(&self.account) else {
            return Err(error(
                404,
                "ResourceNotFound",
                "The specified resource does not exist.",
            ));
        };
        let outcome = work(account, etag);
        self.cloud.changed();
        outcome
    }

    /// Works on the container that the path names.
    pub(crate) fn with_container(
        &self,
        work: impl FnOnce(&mut Container, String) -> Outcome,
    ) -> Outcome {
        self.with_account(
            |account, etag| match account.containers.get_mut(&self.container) {
                Some(container) => work(container, etag),
                None => Err(container_not_found()),
            },
        )
    }

    /// The properties that the account's client set.
    fn account_property(&self, name: &str) -> Value {
        self.cloud
            .state()
            .accounts
            .get(&self.account)
            .and_then(|a| a.properties.get(name).cloned())
            .unwrap_or_default()
    }
}

pub(crate) fn container_not_found() -> Answer {
    error(
        404,
        "ContainerNotFound",
        "The specified container does not exist.",
    )
}

pub(crate) fn blob_not_found() -> Answer {
    error(404, "BlobNotFound", "The specified blob does not exist.")
}

/// An error in the service's XML form.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    let text = format!(
        "{message}\nRequestId:{}\nTime:{}",
        Uuid::new_v4(),
        iso(now())
    );
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
        xml::escape(code),
        xml::escape(&text)
    );
    Answer::xml(status, body).with("x-ms-error-code", code)
}

/// 400 for a header or parameter value that cannot be used.
pub(crate) fn invalid(kind: &str, name: &str) -> Answer {
    let what = if kind == "header" {
        (
            "InvalidHeaderValue",
            "The value for one of the HTTP headers is not in the correct format.",
        )
    } else {
        (
            "InvalidQueryParameterValue",
            "Value for one of the query parameters specified in the request URI is invalid.",
        )
    };
    error(400, what.0, &format!("{} ({name})", what.1))
}
