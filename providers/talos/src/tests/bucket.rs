//! A small S3 server: signatures and checksums are looked at, lists come in pages, large objects in parts. It fails when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

pub(super) const KEY: &str = "AKIDOFTESTS";
pub(super) const SECRET: &str = "the-secret-of-the-tests";
const NAME: &str = "backups";
/// Keys of a page of a list.
const PAGE: usize = 2;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is done, and the answer says nothing of it.
    Lost,
    /// It is done, but what is kept is damaged.
    Damaged,
    Refused(u16, &'static str),
}

#[derive(Default)]
pub(super) struct Inside {
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// The methods that fail next, and how.
    pub(super) faults: VecDeque<(&'static str, Fault)>,
    /// Every request: method, path and query.
    pub(super) asked: Vec<String>,
}

#[derive(Clone)]
pub(super) struct FakeBucket {
    inside: Arc<Mutex<Inside>>,
    pub(super) address: SocketAddr,
}

impl FakeBucket {
    pub(super) async fn start() -> FakeBucket {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bucket = FakeBucket {
            inside: Arc::default(),
            address: listener.local_addr().unwrap(),
        };
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(bucket.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        bucket
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.inside().objects.keys().cloned().collect()
    }
}

async fn answer(
    State(bucket): State<FakeBucket>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = bucket.inside();
    inside.asked.push(format!("{method} {uri}"));
    let fault = inside
        .faults
        .front()
        .is_some_and(|(of, _)| *of == method.as_str());
    let fault = if fault {
        inside.faults.pop_front().map(|(_, fault)| fault)
    } else {
        None
    };
    if let Some(Fault::Refused(status, code)) = fault {
        return refused(status, code);
    }
    let host = bucket.address.to_string();
    if let Err(why) = signed(&host, &method, &uri, &headers, &body) {
        return refused(403, why);
    }
    let done = inside.serve(&method, &uri, &headers, &body);
    match fault {
        Some(Fault::Lost) => refused(500, "InternalError"),
        Some(Fault::Damaged) => {
            for object in inside.objects.values_mut() {
                object[9] ^= 1;
            }
            done
        }
        _ => done,
    }
}

fn refused(status: u16, code: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>of {code}</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x{uri}")).unwrap();
    url.query_pairs().into_owned().collect()
}

impl Inside {
    fn serve(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let query = query(uri);
        let path = uri.path().strip_prefix('/').unwrap();
        let Some(key) = path
            .strip_prefix(NAME)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return refused(404, "NoSuchBucket");
        };
        if let Some(sum) = headers.get("x-amz-checksum-sha256")
            && sum.to_str().unwrap() != STANDARD.encode(Sha256::digest(body))
        {
            return refused(400, "BadDigest");
        }
        let upload = query.get("uploadId");
        match (method.as_str(), upload) {
            ("GET", None) if key.is_empty() => self.list(&query),
            ("POST", None) if query.contains_key("uploads") => {
                let id = format!("upload/{}+=", self.uploads.len());
                self.uploads.insert(id.clone(), BTreeMap::new());
                format!("<R><UploadId>{id}</UploadId></R>").into_response()
            }
            (_, Some(id)) if !self.uploads.contains_key(id) => refused(404, "NoSuchUpload"),
            ("PUT", Some(id)) => {
                let number: u32 = query["partNumber"].parse().unwrap();
                let parts = self.uploads.get_mut(id).unwrap();
                parts.insert(number, body.to_vec());
                [("etag", format!("\"part-{number}\""))].into_response()
            }
            ("POST", Some(id)) => {
                let parts = self.uploads.remove(id).unwrap();
                let text = String::from_utf8_lossy(body);
                for number in parts.keys() {
                    let part = format!(
                        "<Part><PartNumber>{number}</PartNumber><ETag>&quot;part-{number}&quot;</ETag></Part>"
                    );
                    assert!(text.contains(&part), "{text}");
                }
                let whole = parts.into_values().flatten().collect();
                self.objects.insert(key.to_owned(), whole);
                "<R/>".into_response()
            }
            ("DELETE", Some(id)) => {
                self.uploads.remove(id);
                StatusCode::NO_CONTENT.into_response()
            }
            ("PUT", None) => {
                self.objects.insert(key.to_owned(), body.to_vec());
                StatusCode::OK.into_response()
            }
            ("DELETE", None) => {
                self.objects.remove(key);
                StatusCode::NO_CONTENT.into_response()
            }
            ("HEAD", None) => match self.objects.get(key) {
                Some(object) => [("content-length", object.len().to_string())].into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
            ("GET", None) => match self.objects.get(key) {
                Some(object) => ranged(object, headers),
                None => refused(404, "NoSuchKey"),
            },
            _ => refused(501, "NotImplemented"),
        }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Response {
        let prefix = &query["prefix"];
        let after = query.get("continuation-token").map_or("", String::as_str);
        let keys: Vec<&String> = self
            .objects
            .keys()
            .filter(|k| k.starts_with(prefix.as_str()) && k.as_str() > after)
            .collect();
        let mut text = String::from("<ListBucketResult>");
        for key in keys.iter().take(PAGE) {
            text.push_str(&format!("<Contents><Key>{key}</Key></Contents>"));
        }
        if keys.len() > PAGE {
            let last = keys[PAGE - 1];
            text.push_str(&format!(
                "<NextContinuationToken>{last}</NextContinuationToken>"
            ));
        }
        text.push_str("</ListBucketResult>");
        text.into_response()
    }
}

fn ranged(object: &[u8], headers: &HeaderMap) -> Response {
    let Some(range) = headers.get("range") else {
        return object.to_vec().into_response();
    };
    let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (from, to) = range.split_once('-').unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let part = object[from..=to].to_vec();
    (StatusCode::PARTIAL_CONTENT, part).into_response()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Signature version 4, as <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html> has it. The error is S3's code.
fn signed(
    host: &str,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let authorization = header("authorization").ok_or("AccessDenied")?;
    let part = |name: &str| {
        let rest = authorization.split_once(name)?.1;
        Some(rest.split([',', ' ']).next()?.trim())
    };
    let scope = part("Credential=").ok_or("AccessDenied")?;
    let (key, scope) = scope.split_once('/').ok_or("AccessDenied")?;
    if key != KEY {
        return Err("InvalidAccessKeyId");
    }
    let digest = header("x-amz-content-sha256").ok_or("AccessDenied")?;
    if digest != hex(&Sha256::digest(body)) {
        return Err("XAmzContentSHA256Mismatch");
    }
    let names = part("SignedHeaders=").ok_or("AccessDenied")?;
    let mut canonical = String::new();
    for name in names.split(';') {
        let value = if name == "host" {
            Some(host)
        } else {
            header(name)
        };
        canonical.push_str(&format!("{name}:{}\n", value.unwrap_or_default().trim()));
    }
    let mut query: Vec<&str> = uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let query = query.join("&");
    let request = format!(
        "{method}\n{}\n{query}\n{canonical}\n{names}\n{digest}",
        uri.path()
    );
    let date = header("x-amz-date").ok_or("AccessDenied")?;
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(request))
    );
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/') {
        key = mac(&key, part);
    }
    match part("Signature=") == Some(hex(&mac(&key, &text)).as_str()) {
        true => Ok(()),
        false => Err("SignatureDoesNotMatch"),
    }
}
