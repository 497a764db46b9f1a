//! Packages by their addresses: `git::…`, `https://…`, `s3::…`, `file://…`.

mod archive;
mod checksum;
mod git;
mod http;
mod s3;

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use reqwest::Url;
use stead_lang::config::{RemoteModule, forced_protocol};

use crate::{FetchError, Network, copy_directory};
use archive::Format;

/// Servers may send from address to address only so often.
const MAX_HOPS: usize = 10;

/// Puts the files of a package into a directory that does not exist yet.
pub(crate) async fn package(
    network: &Network,
    address: &str,
    into: &Path,
) -> Result<(), FetchError> {
    let mut address = address.to_owned();
    for _ in 0..MAX_HOPS {
        match one(network, &address, into).await? {
            None => return Ok(()),
            Some(next) => address = next,
        }
    }
    Err(FetchError::Address(format!(
        "{} leads from address to address without an end",
        stead_sdk::redact_url(&address)
    )))
}

/// Fetches from one address; `Some` is another address that it leads to.
async fn one(network: &Network, address: &str, into: &Path) -> Result<Option<String>, FetchError> {
    let (protocol, rest) = forced_protocol(address);
    let mut url = Url::parse(rest)
        .map_err(|e| FetchError::Address(format!("\"{rest}\" is no address to fetch from: {e}")))?;
    let scheme = url.scheme().to_owned();
    match protocol.unwrap_or(&scheme) {
        "git" | "ssh" => git::fetch(url, into).await.map(|()| None),
        "http" | "https" => {
            let wanted = Wanted::take(&mut url);
            http::fetch(network, url, &wanted, into).await
        }
        "s3" => {
            let wanted = Wanted::take(&mut url);
            s3::fetch(network, url, &wanted, into).await.map(|()| None)
        }
        "file" => {
            let wanted = Wanted::take(&mut url);
            from_disk(&url, &wanted, into).map(|()| None)
        }
        other => Err(FetchError::NotSupported(format!("\"{other}\""))),
    }
}

/// What the query of an address says to us and not to the server.
pub(crate) struct Wanted {
    /// How the file is packed; `None` when it is no archive.
    format: Option<Format>,
    checksum: Option<String>,
}

impl Wanted {
    fn take(url: &mut Url) -> Wanted {
        let mut archive = None;
        let mut checksum = None;
        let mut rest: Vec<(String, String)> = Vec::new();
        for (name, value) in url.query_pairs().into_owned() {
            match name.as_str() {
                "archive" => archive = Some(value),
                "checksum" => checksum = Some(value),
                _ => rest.push((name, value)),
            }
        }
        if rest.is_empty() {
            url.set_query(None);
        } else {
            url.query_pairs_mut().clear().extend_pairs(rest);
        }
        let format = match archive.as_deref() {
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => None,
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") | None => Format::of_name(url.path()),
            Some(name) => Format::named(name),
        };
        Wanted { format, checksum }
    }

    /// Unpacks a file that has been fetched, after its checksum.
    fn unpack(&self, format: Format, bytes: &[u8], into: &Path) -> Result<(), FetchError> {
        if let Some(wanted) = &self.checksum {
            checksum::check(wanted, bytes)?;
        }
        archive::unpack(format, bytes, into)
    }
}

/// A directory or an archive on this machine: copied, as if it came from far away.
fn from_disk(url: &Url, wanted: &Wanted, into: &Path) -> Result<(), FetchError> {
    let path = PathBuf::from(
        percent_decode_str(url.path())
            .decode_utf8_lossy()
            .into_owned(),
    );
    match wanted.format {
        Some(format) if path.is_file() => {
            let bytes = std::fs::read(&path).map_err(FetchError::disk(&path))?;
            wanted.unpack(format, &bytes, into)
        }
        _ if path.is_dir() => copy_directory(&path, into),
        _ => Err(FetchError::Address(format!(
            "{} is no directory",
            path.display()
        ))),
    }
}

/// Splits the address that a server names into package and directory below it.
pub(crate) fn split(address: &str) -> Result<RemoteModule, FetchError> {
    RemoteModule::parse(address).map_err(|e| FetchError::Address(e.to_string()))
}
