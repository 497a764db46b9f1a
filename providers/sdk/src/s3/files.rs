//! Objects as large as files are: put and read in portions, each of which is a request of its own that is tried again.

use std::path::Path;

use percent_encoding::utf8_percent_encode;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::bucket::{Bucket, PLAIN, refusal};
use crate::portions::{File, overwritten, synced, write};
use crate::{Error, redact_url};

/// Bytes of a portion. A server takes no part below 5 MiB but the last, and no more than 10,000 of them.
const PORTION: u64 = 16 << 20;
const MOST_PARTS: u64 = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Begun {
    upload_id: String,
}

impl Bucket {
    /// Puts a file in the place of whatever is there. It becomes an object when all of it is there.
    ///
    /// # Errors
    /// When the file cannot be read, or the server does not take it.
    pub async fn put_file(&self, key: &str, path: &Path, content_type: &str) -> Result<(), Error> {
        let mut file = File::open(path).await?;
        if file.size <= PORTION {
            let content = file.next(PORTION).await?;
            return self.put(key, &content, content_type).await;
        }
        let id = self.begin(key, content_type).await?;
        let done = self.parts(key, &id, &mut file).await;
        if done.is_err() {
            // Parts that never become an object cost money and are not listed.
            let url = self.part_of(key, &id, None)?;
            if let Err(error) = self.request(&Method::DELETE, &url, &Vec::new(), &[]).await {
                tracing::warn!(%error, key, "the parts of an upload that failed are left");
            }
        }
        done
    }

    async fn begin(&self, key: &str, content_type: &str) -> Result<String, Error> {
        let mut url = self.object(key)?;
        url.set_query(Some("uploads="));
        let headers = self.headers_of_new(content_type);
        let answer = self.request(&Method::POST, &url, &headers, &[]).await?;
        if answer.status != StatusCode::OK {
            return Err(self.failure(&Method::POST, &url, &answer));
        }
        let begun: Begun =
            quick_xml::de::from_str(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
        match begun.upload_id.as_str() {
            "" => Err(Error::new(
                format!(
                    "begin an upload (POST {}?uploads)",
                    redact_url(url.as_str())
                ),
                "the answer has no UploadId",
            )),
            id => Ok(id.to_owned()),
        }
    }

    async fn parts(&self, key: &str, id: &str, file: &mut File) -> Result<(), Error> {
        let size = PORTION.max(file.size.div_ceil(MOST_PARTS));
        let mut list = String::from("<CompleteMultipartUpload>");
        let mut number = 1;
        loop {
            let content = file.next(size).await?;
            if content.is_empty() {
                break;
            }
            let url = self.part_of(key, id, Some(number))?;
            let headers = self.customer_headers();
            let answer = self.request(&Method::PUT, &url, &headers, &content).await?;
            let tag = answer.headers.get("etag").and_then(|v| v.to_str().ok());
            let Some(tag) = tag.filter(|_| answer.status == StatusCode::OK) else {
                return Err(self.failure(&Method::PUT, &url, &answer));
            };
            let tag = quick_xml::escape::escape(tag);
            list.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            ));
            number += 1;
        }
        list.push_str("</CompleteMultipartUpload>");
        let url = self.part_of(key, id, None)?;
        let answer = self
            .request(&Method::POST, &url, &Vec::new(), list.as_bytes())
            .await?;
        // The server begins its answer before it is done: a failure may stand in one that began well.
        let failed = String::from_utf8_lossy(&answer.body).contains("<Error>");
        match answer.status {
            StatusCode::OK if !failed => Ok(()),
            // An earlier try did it, whose answer was lost.
            StatusCode::NOT_FOUND
                if answer.doubtful
                    && refusal(&answer).code == "NoSuchUpload"
                    && self.size(key).await? == Some(file.size) =>
            {
                Ok(())
            }
            _ => Err(self.failure(&Method::POST, &url, &answer)),
        }
    }

    /// Where a part goes, or with none where the upload ends.
    fn part_of(&self, key: &str, id: &str, part: Option<u32>) -> Result<Url, Error> {
        let mut url = self.object(key)?;
        let id = utf8_percent_encode(id, PLAIN);
        let query = match part {
            Some(number) => format!("partNumber={number}&uploadId={id}"),
            None => format!("uploadId={id}"),
        };
        url.set_query(Some(&query));
        Ok(url)
    }

    /// The object's size in bytes, if there is one.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        let (url, headers) = (self.object(key)?, self.customer_headers());
        let answer = self.request(&Method::HEAD, &url, &headers, &[]).await?;
        let length = || answer.headers.get("content-length")?.to_str().ok();
        match (answer.status, length()) {
            (StatusCode::OK, Some(length)) => match length.parse() {
                Ok(size) => Ok(Some(size)),
                Err(_) => Err(self.failure(&Method::HEAD, &url, &answer)),
            },
            // An answer to HEAD has no words: whether it is the bucket that is missing, listing tells.
            (StatusCode::NOT_FOUND, _) => match self.list(key).await {
                Ok(_) => Ok(None),
                Err(error) => Err(error.into()),
            },
            _ => Err(self.failure(&Method::HEAD, &url, &answer)),
        }
    }

    /// Reads an object into a file, which is made anew. `false`: there is no such object.
    ///
    /// # Errors
    /// When the server does not give it, or the file cannot be written.
    pub async fn get_file(&self, key: &str, path: &Path) -> Result<bool, Error> {
        let Some(size) = self.size(key).await? else {
            return Ok(false);
        };
        let url = self.object(key)?;
        let mut file = overwritten(path).await?;
        let mut from = 0;
        while from < size {
            let last = size.min(from + PORTION) - 1;
            let mut headers = self.customer_headers();
            headers.push(("range", format!("bytes={from}-{last}")));
            let answer = self.request(&Method::GET, &url, &headers, &[]).await?;
            if answer.status != StatusCode::PARTIAL_CONTENT {
                return Err(self.failure(&Method::GET, &url, &answer));
            }
            if answer.body.len() as u64 != last - from + 1 {
                let asked = format!("read (GET {})", redact_url(url.as_str()));
                let said = format!("it gave other bytes than {from} to {last} of {size}");
                return Err(Error::new(asked, said));
            }
            write(&mut file, path, &answer.body).await?;
            from = last + 1;
        }
        synced(&mut file, path).await?;
        Ok(true)
    }
}
