//! Where a manifest comes from: a file or a URL, checked against its SHA-256 before anything is made of it.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stead_sdk::{Context, Dialer, Error, ErrorKind, HttpOptions, redact_url};

use crate::manifest::{self, Objects};

/// Redirects that a download follows: release files lie behind one or two.
const REDIRECTS: usize = 5;

/// A manifest, and the digest of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) objects: Objects,
    pub(crate) sha256: String,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    File(&'a str),
    Url(&'a str),
}

impl<'a> Source<'a> {
    /// Exactly one of the two must be set; a URL needs the digest.
    pub(crate) fn of(
        file: Option<&'a str>,
        url: Option<&'a str>,
        sha256: Option<&str>,
    ) -> Result<Source<'a>, Error> {
        let wrong = |said: &str, attribute: &str| {
            Error::new("find the manifest", said).attribute(attribute)
        };
        match (file, url) {
            (Some(file), None) => Ok(Source::File(file)),
            (None, Some(_)) if sha256.is_none() => Err(wrong("`manifest_url` needs `sha256`", "sha256").remedy(
                "Pin what is installed: download it once, look at it, and set `sha256` to the output of `sha256sum`.",
            )),
            (None, Some(url)) => Ok(Source::Url(url)),
            (Some(_), Some(_)) => {
                Err(wrong("`manifest_file` and `manifest_url` are both set", "manifest_url").remedy("Set one of them."))
            }
            (None, None) => Err(wrong("neither `manifest_file` nor `manifest_url` is set", "manifest_file")
                .remedy("Set `manifest_file` to Argo CD's install.yaml, or `manifest_url` and `sha256`.")),
        }
    }

    /// Reads, checks and parses.
    pub(crate) async fn load(
        self,
        sha256: Option<&str>,
        dialer: &Dialer,
        cx: &Context,
    ) -> Result<Manifest, Error> {
        let bytes = match self {
            Source::File(path) => file(path).await?,
            Source::Url(url) => download(url, dialer, cx).await?,
        };
        let origin = match self {
            Source::File(path) => path.to_owned(),
            Source::Url(url) => redact_url(url),
        };
        let digest: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let wanted = sha256.map(|s| s.trim().trim_start_matches("sha256:").to_ascii_lowercase());
        if wanted.as_ref().is_some_and(|w| *w != digest) {
            let said = format!("its SHA-256 is {digest}, not the one that is pinned");
            return Err(Error::new(format!("trust the manifest ({origin})"), said)
                .attribute("sha256")
                .remedy("Compare it with the release's own file before you change `sha256`; nothing was applied."));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::new(
                format!("read the manifest ({origin})"),
                "it is not text in UTF-8",
            )
        })?;
        Ok(Manifest {
            objects: manifest::parse(&text, &origin)?,
            sha256: digest,
        })
    }
}

async fn file(path: &str) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|e| {
        let kind = match e.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Other,
        };
        Error::of_kind(kind, format!("read the manifest ({path})"), e.to_string())
            .attribute("manifest_file")
    })
}

async fn download(url: &str, dialer: &Dialer, cx: &Context) -> Result<Vec<u8>, Error> {
    let asked = format!("download the manifest (GET {})", redact_url(url));
    cx.progress(format!("downloading {}", redact_url(url)));
    let options = HttpOptions {
        redirects: REDIRECTS,
        timeout: Some(Duration::from_secs(300)),
        ..HttpOptions::default()
    };
    let client = dialer.http(&options)?;
    let response = dialer.send(client.get(url)).await?;
    let status = response.status().as_u16();
    if !(200..300).contains(&status) {
        return Err(Error::http(status, asked, format!("HTTP status {status}"))
            .attribute("manifest_url")
            .remedy("Check the address, or download the file yourself and use `manifest_file`."));
    }
    let bytes = response.bytes().await;
    bytes
        .map(|b| b.to_vec())
        .map_err(|e| stead_sdk::http_error(&asked, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "{ apiVersion: v1, kind: Namespace, metadata: { name: a } }";

    #[tokio::test]
    async fn the_digest_is_checked_before_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("install.yaml").display().to_string();
        std::fs::write(&path, OBJECT).unwrap();
        let (dialer, cx) = (Dialer::direct(), Context::detached());
        let loaded = Source::File(&path).load(None, &dialer, &cx).await.unwrap();
        let pinned = format!("sha256:{}", loaded.sha256.to_uppercase());
        assert!(
            Source::File(&path)
                .load(Some(&pinned), &dialer, &cx)
                .await
                .is_ok()
        );
        std::fs::write(&path, "not a manifest").unwrap();
        let error = Source::File(&path)
            .load(Some(&pinned), &dialer, &cx)
            .await
            .unwrap_err();
        assert!(error.asked().contains("trust the manifest"), "{error}");
    }

    #[test]
    fn a_url_needs_a_digest_and_one_source_is_enough() {
        assert!(
            Source::of(None, Some("https://x"), None)
                .unwrap_err()
                .said()
                .contains("sha256")
        );
        assert!(Source::of(None, Some("https://x"), Some("00")).is_ok());
        assert!(Source::of(Some("f"), Some("https://x"), Some("00")).is_err());
        assert!(Source::of(None, None, None).is_err());
    }
}
