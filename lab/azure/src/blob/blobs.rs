//! Block blobs: put, get, head, delete, list, metadata and properties.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::containers::{metadata_headers, metadata_xml, page_size};
use super::lease::Stand;
use super::xml::{element, escape};
use super::{Outcome, Request, blob_not_found, content, error, invalid};
use crate::http::{Answer, http_date, now};
use crate::state::{Blob, Container};

impl Request<'_> {
    pub(super) fn put_blob(&self) -> Outcome {
        self.no_copy()?;
        match self.call.header("x-ms-blob-type") {
            "BlockBlob" => {}
            "" => {
                return Err(error(
                    400,
                    "MissingRequiredHeader",
                    "An HTTP header that's mandatory for this request is not specified. (x-ms-blob-type)",
                ));
            }
            other @ ("AppendBlob" | "PageBlob") => {
                return Err(error(
                    501,
                    "NotImplemented",
                    &format!("The lab does not simulate blobs of type {other}."),
                ));
            }
            _ => return Err(invalid("header", "x-ms-blob-type")),
        }
        let md5 = self.checked_md5()?;
        let metadata = self.metadata()?;
        self.with_container(|container, etag| {
            self.check_write(container)?;
            let block = content::write(&self.cloud.lab.store, &self.call.body)?;
            let mut blob = self.described(Blob {
                file: block.file,
                length: block.length,
                metadata,
                ..Blob::default()
            });
            blob.content_md5 = md5.clone();
            let mut answer = self.keep(container, blob, etag)?;
            if !md5.is_empty() {
                answer = answer.with("content-md5", md5);
            }
            Ok(answer)
        })
    }

    /// Conditions and lease of a write that replaces the whole blob.
    pub(super) fn check_write(&self, container: &Container) -> Result<(), Answer> {
        let old = container.blobs.get(&self.blob);
        self.conditions(old.map(|b| (b.etag.as_str(), b.modified)))?;
        self.check_lease(old.and_then(|b| b.lease.as_ref()), "blob")
    }

    /// The blob with the content headers of this request.
    pub(super) fn described(&self, mut blob: Blob) -> Blob {
        let header = |own: &str, plain: &str| match self.call.header(own) {
            "" => self.call.header(plain).to_owned(),
            given => given.to_owned(),
        };
        // Put Block List describes itself with the plain headers, so there only the blob's own count.
        let plain = if self.call.param("comp").is_none() {
            [
                "content-type",
                "content-encoding",
                "content-language",
                "cache-control",
            ]
        } else {
            [""; 4]
        };
        let [kind, encoding, language, cache] = plain;
        blob.content_type = header("x-ms-blob-content-type", kind);
        if blob.content_type.is_empty() {
            blob.content_type = "application/octet-stream".to_owned();
        }
        blob.content_encoding = header("x-ms-blob-content-encoding", encoding);
        blob.content_language = header("x-ms-blob-content-language", language);
        blob.cache_control = header("x-ms-blob-cache-control", cache);
        blob.content_disposition = self.call.header("x-ms-blob-content-disposition").to_owned();
        blob
    }

    /// Puts a blob in the place of what was there; a lease stays.
    pub(super) fn keep(&self, container: &mut Container, mut blob: Blob, etag: String) -> Outcome {
        let old = container.blobs.remove(&self.blob);
        blob.etag = etag;
        blob.modified = now();
        blob.created = old.as_ref().map_or(blob.modified, |o| o.created);
        blob.lease = old.as_ref().and_then(|o| o.lease.clone());
        let store = &self.cloud.lab.store;
        if let Some(old) = old {
            content::forget(store, &old.file);
            for (_, block) in old
                .blocks
                .iter()
                .filter(|(_, b)| !blob.blocks.iter().any(|(_, kept)| kept.file == b.file))
            {
                content::forget(store, &block.file);
            }
        }
        for (_, block) in container.staged.remove(&self.blob).unwrap_or_default() {
            if !blob.blocks.iter().any(|(_, kept)| kept.file == block.file) {
                content::forget(store, &block.file);
            }
        }
        let answer = Request::stamped(Answer::empty(201), &blob.etag, blob.modified)?
            .with("x-ms-request-server-encrypted", "true");
        container.blobs.insert(self.blob.clone(), blob);
        Ok(answer)
    }

    pub(super) fn read_blob(&self) -> Outcome {
        self.with_container(|container, _| {
            let blob = container.blobs.get(&self.blob).ok_or_else(blob_not_found)?;
            self.conditions(Some((&blob.etag, blob.modified)))?;
            if !self.call.header("x-ms-lease-id").is_empty() {
                self.check_lease(blob.lease.as_ref(), "blob")?;
            }
            let mut answer = self.blob_headers(blob);
            if self.call.param("comp") == Some("metadata") {
                return Request::stamped(answer, &blob.etag, blob.modified);
            }
            if self.call.method == "HEAD" {
                answer = answer.with("content-length", blob.length.to_string());
                return Request::stamped(answer, &blob.etag, blob.modified);
            }
            let mut bytes = content::read(&self.cloud.lab.store, &blob.file)?;
            if let Some((from, to)) = self.range(blob.length)? {
                let part = usize::try_from(from)
                    .ok()
                    .zip(usize::try_from(to).ok())
                    .and_then(|(f, t)| bytes.get(f..=t))
                    .map(<[u8]>::to_vec);
                bytes = part.unwrap_or_default();
                answer.status = axum::http::StatusCode::PARTIAL_CONTENT;
                answer = answer.with(
                    "content-range",
                    format!("bytes {from}-{to}/{}", blob.length),
                );
                if !blob.content_md5.is_empty() {
                    answer = answer.with("x-ms-blob-content-md5", &blob.content_md5);
                }
            } else if !blob.content_md5.is_empty() {
                answer = answer.with("content-md5", &blob.content_md5);
            }
            answer.body = Bytes::from(bytes);
            Request::stamped(answer, &blob.etag, blob.modified)
        })
    }

    /// The asked range of bytes, both ends included.
    fn range(&self, length: u64) -> Result<Option<(u64, u64)>, Answer> {
        let header = match self.call.header("x-ms-range") {
            "" => self.call.header("range"),
            given => given,
        };
        let Some((from, to)) = header
            .strip_prefix("bytes=")
            .and_then(|r| r.split_once('-'))
        else {
            return Ok(None);
        };
        let (Ok(from), to) = (from.parse::<u64>(), to.parse::<u64>().unwrap_or(u64::MAX)) else {
            return Ok(None);
        };
        if from >= length || to < from {
            let text = "The range specified is invalid for the current size of the resource.";
            return Err(
                error(416, "InvalidRange", text).with("content-range", format!("bytes */{length}"))
            );
        }
        Ok(Some((from, to.min(length - 1))))
    }

    fn blob_headers(&self, blob: &Blob) -> Answer {
        let stand = Stand::of(blob.lease.as_ref(), now());
        let mut answer = Answer::empty(200)
            .with("content-type", &blob.content_type)
            .with("accept-ranges", "bytes")
            .with("x-ms-blob-type", "BlockBlob")
            .with("x-ms-lease-status", stand.status())
            .with("x-ms-lease-state", stand.state())
            .with("x-ms-server-encrypted", "true")
            .with("x-ms-creation-time", http_date(blob.created))
            .with("x-ms-access-tier", "Hot")
            .with("x-ms-access-tier-inferred", "true");
        for (name, value) in [
            ("content-encoding", &blob.content_encoding),
            ("content-language", &blob.content_language),
            ("cache-control", &blob.cache_control),
            ("content-disposition", &blob.content_disposition),
        ] {
            if !value.is_empty() {
                answer = answer.with(name, value);
            }
        }
        if stand == Stand::Leased {
            let finite = blob.lease.as_ref().is_some_and(|l| l.duration.is_some());
            answer = answer.with(
                "x-ms-lease-duration",
                if finite { "fixed" } else { "infinite" },
            );
        }
        if self.call.method == "HEAD" && !blob.content_md5.is_empty() {
            answer = answer.with("content-md5", &blob.content_md5);
        }
        answer.named = metadata_headers(&blob.metadata);
        answer
    }

    pub(super) fn delete_blob(&self) -> Outcome {
        match self.call.header("x-ms-delete-snapshots") {
            "" | "include" => {}
            "only" => {
                return Err(error(
                    501,
                    "NotImplemented",
                    "The lab does not simulate snapshots of blobs.",
                ));
            }
            _ => return Err(invalid("header", "x-ms-delete-snapshots")),
        }
        self.with_container(|container, _| {
            let blob = container.blobs.get(&self.blob).ok_or_else(blob_not_found)?;
            self.conditions(Some((&blob.etag, blob.modified)))?;
            self.check_lease(blob.lease.as_ref(), "blob")?;
            let store = &self.cloud.lab.store;
            if let Some(blob) = container.blobs.remove(&self.blob) {
                content::forget(store, &blob.file);
                for (_, block) in &blob.blocks {
                    content::forget(store, &block.file);
                }
            }
            for block in container
                .staged
                .remove(&self.blob)
                .unwrap_or_default()
                .values()
            {
                content::forget(store, &block.file);
            }
            Ok(Answer::empty(202).with("x-ms-delete-type-permanent", "true"))
        })
    }

    pub(super) fn set_blob_metadata(&self) -> Outcome {
        let metadata = self.metadata()?;
        self.change_blob(|blob| blob.metadata = metadata)
    }

    pub(super) fn set_blob_properties(&self) -> Outcome {
        let md5 = self.call.header("x-ms-blob-content-md5").to_owned();
        self.change_blob(|blob| {
            *blob = self.described(std::mem::take(blob));
            blob.content_md5 = md5;
        })
    }

    fn change_blob(&self, change: impl FnOnce(&mut Blob)) -> Outcome {
        self.with_container(|container, etag| {
            let blob = container
                .blobs
                .get_mut(&self.blob)
                .ok_or_else(blob_not_found)?;
            self.conditions(Some((&blob.etag, blob.modified)))?;
            self.check_lease(blob.lease.as_ref(), "blob")?;
            change(blob);
            blob.etag = etag;
            blob.modified = now();
            Request::stamped(Answer::empty(200), &blob.etag, blob.modified)
        })
    }

    pub(super) fn list_blobs(&self) -> Outcome {
        let prefix = self.call.param("prefix").unwrap_or_default();
        let marker = self.call.param("marker").unwrap_or_default();
        let delimiter = self.call.param("delimiter").filter(|d| !d.is_empty());
        let size = page_size(self)?;
        let with_metadata = self.includes("metadata");
        self.with_container(|container, _| {
            let (mut list, mut count, mut next, mut folder) = (String::new(), 0, String::new(), None::<String>);
            for (name, blob) in container.blobs.iter().filter(|(n, _)| n.starts_with(prefix) && n.as_str() >= marker) {
                let below = name.get(prefix.len()..).unwrap_or_default();
                let group = delimiter.and_then(|d| below.find(d).and_then(|at| below.get(..at + d.len()))).map(|g| format!("{prefix}{g}"));
                if group.is_some() && group == folder {
                    continue;
                }
                if count == size {
                    next.clone_from(name);
                    break;
                }
                count += 1;
                match &group {
                    Some(group) => list.push_str(&format!("<BlobPrefix>{}</BlobPrefix>", element("Name", group))),
                    None => list.push_str(&blob_xml(name, blob, with_metadata)),
                }
                folder = group;
            }
            let delimiter = delimiter.map(|d| element("Delimiter", d)).unwrap_or_default();
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://{}.blob.core.windows.net/\" ContainerName=\"{}\">{}{}<MaxResults>{size}</MaxResults>{delimiter}<Blobs>{list}</Blobs>{}</EnumerationResults>",
                escape(&self.account),
                escape(&self.container),
                element("Prefix", prefix),
                element("Marker", marker),
                element("NextMarker", &next)
            );
            Ok(Answer::xml(200, body))
        })
    }

    pub(super) fn no_copy(&self) -> Result<(), Answer> {
        if self.call.header("x-ms-copy-source").is_empty() {
            return Ok(());
        }
        Err(error(
            501,
            "NotImplemented",
            "The lab does not simulate copying blobs (x-ms-copy-source).",
        ))
    }

    /// The MD5 of the body in base64; refuses a body that does not match the client's.
    pub(super) fn checked_md5(&self) -> Result<String, Answer> {
        let computed = STANDARD.encode(Md5::digest(&self.call.body));
        match self.call.header("content-md5") {
            "" => Ok(computed),
            given if given == computed => Ok(computed),
            _ => Err(error(
                400,
                "Md5Mismatch",
                "The MD5 value specified in the request did not match with the MD5 value calculated by the server.",
            )),
        }
    }
}

fn blob_xml(name: &str, blob: &Blob, with_metadata: bool) -> String {
    let stand = Stand::of(blob.lease.as_ref(), now());
    let mut properties = String::new();
    for (name, value) in [
        ("Creation-Time", http_date(blob.created)),
        ("Last-Modified", http_date(blob.modified)),
        ("Etag", blob.etag.trim_matches('"').to_owned()),
        ("Content-Length", blob.length.to_string()),
        ("Content-Type", blob.content_type.clone()),
        ("Content-Encoding", blob.content_encoding.clone()),
        ("Content-Language", blob.content_language.clone()),
        ("Content-MD5", blob.content_md5.clone()),
        ("Cache-Control", blob.cache_control.clone()),
        ("Content-Disposition", blob.content_disposition.clone()),
        ("BlobType", "BlockBlob".to_owned()),
        ("AccessTier", "Hot".to_owned()),
        ("AccessTierInferred", "true".to_owned()),
        ("LeaseStatus", stand.status().to_owned()),
        ("LeaseState", stand.state().to_owned()),
        ("ServerEncrypted", "true".to_owned()),
    ] {
        properties.push_str(&element(name, &value));
    }
    let metadata = if with_metadata {
        metadata_xml(&blob.metadata)
    } else {
        String::new()
    };
    format!(
        "<Blob>{}<Properties>{properties}</Properties>{metadata}</Blob>",
        element("Name", name)
    )
}
