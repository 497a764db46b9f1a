//! The few requests of the S3 API that a state needs: signed, repeated where the trouble may pass, their errors in the server's words.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use sha2::Sha256;
use stead_value::Sensitive;
use tracing::subscriber::{NoSubscriber, with_default};

use super::login::Login;
use crate::sending::{Answer, Patience, send};
use crate::{Dialer, Error, redact_url};

/// What stays as it is in a path; everything else is written `%XX`, as the signature wants it.
pub(super) const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const IN_PATH: &AsciiSet = &PLAIN.remove(b'/');

/// How the server encrypts what it stores.
#[derive(Clone, Debug)]
pub enum Encryption {
    No,
    /// With a key of the server's own.
    Server,
    Kms(String),
    /// With ours, which it forgets.
    Customer(Sensitive<Vec<u8>>),
}

/// One bucket. Made by whoever knows its settings.
pub struct Bucket {
    pub dialer: Dialer,
    /// A client of that dialer.
    pub http: reqwest::Client,
    pub patience: Patience,
    pub login: Login,
    pub name: String,
    pub region: String,
    /// Of the bucket, with a slash at the end.
    pub address: Url,
    pub encryption: Encryption,
    /// A canned ACL for the objects.
    pub acl: Option<String>,
    /// Send checksums that the server keeps, beside the one that is signed.
    pub checksums: bool,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket")
            .field("address", &self.address.as_str())
            .finish_non_exhaustive()
    }
}

/// What became of a put that was to make a new object.
pub enum Put {
    Done,
    /// There is one already, says the server.
    Exists(String),
}

/// What S3 says when it says no.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Refusal {
    pub(super) code: String,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Listing {
    contents: Vec<Object>,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Object {
    key: String,
}

pub(super) type Headers = Vec<(&'static str, String)>;

impl Bucket {
    /// The object, if there is one.
    ///
    /// # Errors
    /// When the server does not give it.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let (url, headers) = (self.object(key)?, self.customer_headers());
        let answer = self.request(&Method::GET, &url, &headers, &[]).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            // Nothing else that is not found means that there is no state: not a bucket, a server or an access key.
            StatusCode::NOT_FOUND if refusal(&answer).code == "NoSuchKey" => Ok(None),
            _ => Err(self.failure(&Method::GET, &url, &answer)),
        }
    }

    /// Puts an object in the place of whatever is there.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn put(&self, key: &str, content: &[u8], content_type: &str) -> Result<(), Error> {
        let (url, headers) = (self.object(key)?, self.put_headers(content, content_type));
        let answer = self.request(&Method::PUT, &url, &headers, content).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            _ => Err(self.failure(&Method::PUT, &url, &answer)),
        }
    }

    /// Puts an object where none is.
    ///
    /// # Errors
    /// When the server does neither, or has no conditional writes.
    pub async fn put_new(&self, key: &str, content: &[u8]) -> Result<Put, Error> {
        let (url, mut headers) = (
            self.object(key)?,
            self.put_headers(content, "application/json"),
        );
        headers.push(("if-none-match", "*".to_owned()));
        let mut answer = self.request(&Method::PUT, &url, &headers, content).await?;
        // Two at the same time: S3 wants the one that it puts off to come again.
        for _ in 0..3 {
            if refusal(&answer).code != "ConditionalRequestConflict" {
                break;
            }
            answer = self.request(&Method::PUT, &url, &headers, content).await?;
        }
        match answer.status {
            StatusCode::OK => Ok(Put::Done),
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {
                let Refusal { code, message } = refusal(&answer);
                Ok(Put::Exists(format!("{code}: {message}")))
            }
            StatusCode::NOT_IMPLEMENTED => Err(self.failure(&Method::PUT, &url, &answer).remedy(
                "The server has no conditional writes, which `use_lockfile` needs. Leave it out, and let only one work at a time.",
            )),
            _ => Err(self.failure(&Method::PUT, &url, &answer)),
        }
    }

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// When the server does not remove it.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let url = self.object(key)?;
        let answer = self
            .request(&Method::DELETE, &url, &Headers::new(), &[])
            .await?;
        match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            StatusCode::NOT_FOUND if refusal(&answer).code == "NoSuchKey" => Ok(()),
            _ => Err(self.failure(&Method::DELETE, &url, &answer)),
        }
    }

    /// The keys that begin so. `Denied` when listing is not allowed.
    ///
    /// # Errors
    /// When the server does not list them.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, ListError> {
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut url = self.address.clone();
            // In the order of the names, as the signature wants them.
            let mut query = String::new();
            if let Some(token) = &token {
                query.push_str(&format!(
                    "continuation-token={}&",
                    utf8_percent_encode(token, PLAIN)
                ));
            }
            query.push_str(&format!(
                "list-type=2&max-keys=1000&prefix={}",
                utf8_percent_encode(prefix, PLAIN)
            ));
            url.set_query(Some(&query));
            let answer = self
                .request(&Method::GET, &url, &Headers::new(), &[])
                .await?;
            if answer.status != StatusCode::OK {
                let failure = self.failure(&Method::GET, &url, &answer);
                return Err(match refusal(&answer).code.as_str() {
                    "AccessDenied" => ListError::Denied(failure),
                    _ => ListError::Other(failure),
                });
            }
            let body = String::from_utf8_lossy(&answer.body);
            let page: Listing = quick_xml::de::from_str(&body).map_err(|e| {
                let asked = format!("GET {}", redact_url(url.as_str()));
                Error::new(
                    asked,
                    format!("the list of objects is not what S3 sends: {e}"),
                )
            })?;
            keys.extend(page.contents.into_iter().map(|object| object.key));
            token = page
                .next_continuation_token
                .filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(keys);
            }
        }
    }

    pub(super) fn object(&self, key: &str) -> Result<Url, Error> {
        let path = utf8_percent_encode(key, IN_PATH).to_string();
        let url = Url::parse(&format!("{}{path}", self.address));
        url.map_err(|e| Error::new(format!("name the object {key}"), e.to_string()))
    }

    fn put_headers(&self, content: &[u8], content_type: &str) -> Headers {
        let mut headers = self.headers_of_new(content_type);
        if self.checksums {
            headers.push(("x-amz-sdk-checksum-algorithm", "SHA256".to_owned()));
            headers.push((
                "x-amz-checksum-sha256",
                STANDARD.encode(Sha256::digest(content)),
            ));
        }
        headers
    }

    /// What is said of an object as it begins, whether it comes in one piece or in parts.
    pub(super) fn headers_of_new(&self, content_type: &str) -> Headers {
        let mut headers = vec![("content-type", content_type.to_owned())];
        match &self.encryption {
            Encryption::No | Encryption::Customer(_) => {}
            Encryption::Server => {
                headers.push(("x-amz-server-side-encryption", "AES256".to_owned()));
            }
            Encryption::Kms(key) => {
                headers.push(("x-amz-server-side-encryption", "aws:kms".to_owned()));
                headers.push(("x-amz-server-side-encryption-aws-kms-key-id", key.clone()));
            }
        }
        headers.extend(self.customer_headers());
        if let Some(acl) = &self.acl {
            headers.push(("x-amz-acl", acl.clone()));
        }
        headers
    }

    /// Needed to read, too.
    pub(super) fn customer_headers(&self) -> Headers {
        let Encryption::Customer(key) = &self.encryption else {
            return Headers::new();
        };
        let key = key.expose_secret();
        vec![
            (
                "x-amz-server-side-encryption-customer-algorithm",
                "AES256".to_owned(),
            ),
            (
                "x-amz-server-side-encryption-customer-key",
                STANDARD.encode(key),
            ),
            (
                "x-amz-server-side-encryption-customer-key-md5",
                STANDARD.encode(Md5::digest(key)),
            ),
        ]
    }

    pub(super) async fn request(
        &self,
        method: &Method,
        url: &Url,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Answer, Error> {
        let request = || async {
            let credentials = self.login.credentials().await?;
            self.signed(method, url, headers, body, credentials)
        };
        let answer = send(&self.dialer, self.patience, request).await?;
        match refusal(&answer).code.as_str() {
            "ExpiredToken" | "ExpiredTokenException" => self.login.forget().await,
            // The body came too slowly, says S3.
            "RequestTimeout" => {}
            _ => return Ok(answer),
        }
        send(&self.dialer, self.patience, request).await
    }

    fn signed(
        &self,
        method: &Method,
        url: &Url,
        headers: &Headers,
        body: &[u8],
        credentials: Credentials,
    ) -> Result<RequestBuilder, Error> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::new(
                format!("sign {method} {}", redact_url(url.as_str())),
                e.to_string(),
            )
        };
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|e| failed(&e))?;
        let signable = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            signable,
            SignableBody::Bytes(body),
        );
        let signable = signable.map_err(|e| failed(&e))?;
        // The library traces what it signs, keys of SSE-C included.
        let signed = with_default(NoSubscriber::new(), || sign(signable, &parameters.into()))
            .map_err(|e| failed(&e))?;
        let (instructions, _) = signed.into_parts();
        let mut request = self.http.request(method.clone(), url.clone());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        // Without a body nothing says how long it is, which some servers want of every PUT.
        Ok(match *method == Method::PUT || *method == Method::POST {
            true => request.body(body.to_vec()),
            false => request,
        })
    }

    /// The server's words, and what to do about those that are met often.
    pub(super) fn failure(&self, method: &Method, url: &Url, answer: &Answer) -> Error {
        let asked = format!("{method} {}", redact_url(url.as_str()));
        let Refusal { code, message } = refusal(answer);
        let status = answer.status.as_u16();
        let name = &self.name;
        let actual = answer
            .headers
            .get("x-amz-bucket-region")
            .and_then(|value| value.to_str().ok());
        if let Some(actual) = actual.filter(|actual| *actual != self.region && status != 200) {
            let said = format!(
                "requested bucket from \"{}\", actual location \"{actual}\"",
                self.region
            );
            return Error::new(asked, said).remedy(format!("Set `region = \"{actual}\"`."));
        }
        let said = match code.as_str() {
            "" => format!("HTTP {status}"),
            "NoSuchBucket" => format!("S3 bucket \"{name}\" does not exist (HTTP {status})."),
            code => format!("{code}: {message} (HTTP {status})."),
        };
        let error = Error::new(asked, said);
        match code.as_str() {
            "NoSuchBucket" => error.remedy("Create it first: stead does not make the bucket."),
            "AccessDenied" => error.remedy(
                "The credentials need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it.",
            ),
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" => error.remedy("Check access key and secret key, and `region`."),
            "RequestTimeTooSkewed" => error.remedy("Set this machine's clock."),
            "" if status == 301 || status == 307 => error.remedy("Check `region`, `endpoints.s3` and `use_path_style`."),
            _ => error,
        }
    }
}

/// Why there is no list.
pub enum ListError {
    Denied(Error),
    Other(Error),
}

impl From<Error> for ListError {
    fn from(error: Error) -> Self {
        ListError::Other(error)
    }
}

impl From<ListError> for Error {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Denied(error) | ListError::Other(error) => error,
        }
    }
}

/// What an answer that is no success says; empty where it says nothing.
pub(super) fn refusal(answer: &Answer) -> Refusal {
    if answer.status.is_success() {
        return Refusal::default();
    }
    quick_xml::de::from_str(&String::from_utf8_lossy(&answer.body)).unwrap_or_default()
}
