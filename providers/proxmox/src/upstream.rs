//! Files behind URLs, as this machine sees them: what is said of them, and their content.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::time::Duration;

use md5::Md5;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use stead_sdk::{Context, Error, ErrorKind, HttpOptions, TlsOptions, redact_url};

use crate::client::Client;

/// How many bytes of a download go between two lines of progress.
const STEP: u64 = 16 << 20;
const REDIRECTS: usize = 10;
/// How long a server may take to say something of a file.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file behind a URL.
pub(crate) struct Upstream<'a> {
    pub(crate) url: &'a str,
    /// Trust any certificate.
    pub(crate) insecure: bool,
    /// Nothing older than TLS 1.3.
    pub(crate) only_1_3: bool,
}

/// By what one sees that a file has changed, without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// When it was changed (RFC 3339, UTC, whole seconds); empty when nobody says.
    pub(crate) modified: String,
    /// Bytes.
    pub(crate) size: Option<i64>,
    /// The server's ETag; of a local file its time and size.
    pub(crate) tag: String,
}

impl Facts {
    /// Whether this is another file than that. What one of them does not say tells nothing; and where times are said the tag counts for
    /// nothing, as each mirror has its own.
    pub(crate) fn is_other_than(&self, other: &Facts) -> bool {
        let sizes = (self.size.filter(|s| *s > 0), other.size.filter(|s| *s > 0));
        if matches!(sizes, (Some(a), Some(b)) if a != b) {
            return true;
        }
        let differ = |a: &str, b: &str| (!a.is_empty() && !b.is_empty()).then(|| a != b);
        differ(&self.modified, &other.modified)
            .or_else(|| differ(&self.tag, &other.tag))
            .unwrap_or(false)
    }
}

/// Tells that nobody knows whether a file's source is what it was.
pub(crate) fn warn_unknown(cx: &Context, file: &str, error: &Error) {
    let summary = format!("Cannot tell whether the source of {file} has changed");
    let detail = format!("{error} The file is taken to be as it was.");
    cx.warn(summary, detail);
}

impl Upstream<'_> {
    /// What the server says of the file; nothing where it answers no such question.
    ///
    /// # Errors
    /// When it cannot be asked, or has no such file.
    pub(crate) async fn facts(&self, client: &Client) -> Result<Facts, Error> {
        let response = self.ask(client, Method::HEAD, Some(PATIENCE)).await?;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(Facts::default());
        }
        self.judge(response.status())?;
        Ok(said(response.headers()))
    }

    /// The content, in a file without a name.
    pub(crate) async fn fetch(&self, client: &Client, cx: &Context) -> Result<File, Error> {
        let mut response = self.ask(client, Method::GET, None).await?;
        self.judge(response.status())?;
        let kept = |e: std::io::Error| Error::new(self.asked(), e.to_string());
        let mut file = client.temporary_file()?;
        let mut got = 0_u64;
        loop {
            let piece = tokio::select! {
                piece = response.chunk() => piece,
                () = cx.cancelled().cancelled() => {
                    let said = "the run was interrupted before the file was whole";
                    return Err(Error::of_kind(ErrorKind::Cancelled, self.asked(), said));
                }
            };
            let Some(piece) = piece.map_err(|e| stead_sdk::http_error(&self.asked(), e))? else {
                break;
            };
            file.write_all(&piece).map_err(kept)?;
            let now = got + piece.len() as u64;
            if now / STEP != got / STEP {
                cx.progress(format!("got {} MiB of {}", now >> 20, redact_url(self.url)));
            }
            got = now;
        }
        file.rewind().map_err(kept)?;
        Ok(file)
    }

    async fn ask(
        &self,
        client: &Client,
        method: Method,
        timeout: Option<Duration>,
    ) -> Result<reqwest::Response, Error> {
        let options = HttpOptions {
            tls: TlsOptions {
                insecure: self.insecure,
                only_1_3: self.only_1_3,
                ..TlsOptions::default()
            },
            timeout,
            redirects: REDIRECTS,
            ..HttpOptions::default()
        };
        let http = client.dialer().http(&options)?;
        // As it lies there: an archive is not to be unpacked on the way.
        let request = http.request(method, self.url);
        let request = request.header(ACCEPT_ENCODING, "identity");
        client.dialer().send(request).await
    }

    fn judge(&self, status: StatusCode) -> Result<(), Error> {
        match status.is_success() {
            true => Ok(()),
            false => Err(Error::http(
                status.as_u16(),
                self.asked(),
                status.to_string(),
            )),
        }
    }

    fn asked(&self) -> String {
        format!("fetch {}", redact_url(self.url))
    }
}

fn said(headers: &HeaderMap) -> Facts {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let modified = header(LAST_MODIFIED).and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let tag = header(ETAG).and_then(|tag| tag.split('"').nth(1));
    Facts {
        modified: whole_seconds(modified.map(|time| time.timestamp())),
        size: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        tag: tag.unwrap_or_default().to_owned(),
    }
}

pub(crate) fn whole_seconds(time: Option<jiff::Timestamp>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::from_second(time.as_second()).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Checks a file's content, and goes back to its beginning. `asked` completes "could not …".
///
/// # Errors
/// When the sum is another one.
pub(crate) async fn check(
    mut file: File,
    algorithm: &str,
    wanted: &str,
    asked: &str,
) -> Result<File, Error> {
    let named = algorithm.to_owned();
    let summed = tokio::task::spawn_blocking(move || {
        let found = sum(&mut file, &named)?;
        Ok::<_, std::io::Error>((file, found))
    });
    let summed = summed
        .await
        .map_err(|e| Error::of_kind(ErrorKind::Cancelled, asked, e.to_string()))?;
    let (file, found) = summed.map_err(|e| Error::new(asked, e.to_string()))?;
    if found.eq_ignore_ascii_case(wanted.trim()) {
        return Ok(file);
    }
    let said = format!("its {algorithm} sum is {found}, and not {wanted}");
    Err(Error::new(asked, said)
        .remedy("Nothing was uploaded. Compare it with the sum that the source publishes."))
}

fn sum(file: &mut File, algorithm: &str) -> std::io::Result<String> {
    let found = match algorithm {
        "md5" => digits::<Md5>(file),
        "sha1" => digits::<Sha1>(file),
        "sha224" => digits::<Sha224>(file),
        "sha384" => digits::<Sha384>(file),
        "sha512" => digits::<Sha512>(file),
        _ => digits::<Sha256>(file),
    }?;
    file.rewind()?;
    Ok(found)
}

fn digits<D: Digest>(file: &mut File) -> std::io::Result<String> {
    let mut hash = D::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            n => hash.update(piece.get(..n).unwrap_or_default()),
        }
    }
    let sum = hash.finalize();
    Ok(sum.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn what_a_server_says_of_a_file_is_written_as_published() {
        let mut headers = HeaderMap::new();
        let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        headers.insert(LAST_MODIFIED, date);
        headers.insert(ETAG, HeaderValue::from_static("W/\"abc-1\""));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("512"));
        let facts = Facts {
            modified: "1994-11-06T08:49:37Z".into(),
            size: Some(512),
            tag: "abc-1".into(),
        };
        assert_eq!(said(&headers), facts);
        assert_eq!(said(&HeaderMap::new()), Facts::default());
    }

    #[test]
    fn a_file_is_another_one_when_somebody_says_so() {
        let facts = |size: i64, modified: &str, tag: &str| Facts {
            size: Some(size),
            modified: modified.into(),
            tag: tag.into(),
        };
        let before = facts(5, "1994-11-06T08:49:37Z", "a");
        assert!(!before.is_other_than(&before));
        assert!(!before.is_other_than(&Facts::default()));
        // Another mirror.
        assert!(!before.is_other_than(&facts(5, "1994-11-06T08:49:37Z", "b")));
        assert!(before.is_other_than(&facts(6, "1994-11-06T08:49:37Z", "a")));
        assert!(before.is_other_than(&facts(5, "1994-11-07T00:00:00Z", "a")));
        assert!(facts(5, "", "a").is_other_than(&facts(5, "", "b")));
    }

    #[tokio::test]
    async fn sums_are_compared_whatever_their_case() {
        let file = || {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"abc").unwrap();
            file.rewind().unwrap();
            file
        };
        for (algorithm, sum) in [
            ("md5", "900150983CD24FB0D6963F7D28E17F72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ] {
            let mut whole = check(file(), algorithm, sum, "x").await.unwrap();
            let mut text = String::new();
            whole.read_to_string(&mut text).unwrap();
            assert_eq!(text, "abc");
        }
        let refused = check(file(), "md5", "00", "upload it").await.unwrap_err();
        assert!(
            refused.to_string().contains("Nothing was uploaded"),
            "{refused}"
        );
    }
}
