//! Blobs as large as files are: put and read in portions, each of which is a request of its own.

use std::path::Path;
use std::time::Duration;

use azure_core::http::{NoFormat, RequestContent};
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlockBlobClientCommitBlockListOptions, BlockLookupList,
};

use super::blobs::{Blobs, PORTION, Result, present, refusal};
use crate::portions::{File, overwritten, synced, write};
use crate::retry::jitter;
use crate::{Error, redact_url};

/// The service takes no more blocks in one blob.
const MOST_BLOCKS: u64 = 50_000;

/// How often a portion is read whose bytes break off on the way.
const TRIES: u32 = 4;

impl Blobs {
    /// The blob's address, without a signature.
    pub fn address(&self, name: &str) -> String {
        let container = redact_url(self.container().as_str());
        format!("{container}/{name}")
    }

    /// Puts a file in the place of whatever is there. It becomes a blob when all of it is there.
    ///
    /// # Errors
    /// When the file cannot be read, or the service does not take it.
    pub async fn put_file(&self, name: &str, path: &Path, content_type: &str) -> Result<()> {
        let mut file = File::open(path).await?;
        let portion = (PORTION as u64).max(file.size.div_ceil(MOST_BLOCKS));
        if file.size <= portion {
            let content = file.next(portion).await?;
            return self
                .write(name, &content, content_type, Default::default(), None)
                .await;
        }
        let blob = self.blob_to_change(name)?.block_blob_client();
        let mut blocks = Vec::new();
        loop {
            let content = file.next(portion).await?;
            if content.is_empty() {
                break;
            }
            // All of one length, says the service.
            let id = format!("{:08}", blocks.len()).into_bytes();
            let length = content.len() as u64;
            let content: RequestContent<azure_core::Bytes, NoFormat> =
                azure_core::Bytes::from(content).into();
            let done = blob.stage_block(&id, length, content, None).await;
            done.map_err(|e| refusal(self.asked("write a block of the blob", "PUT", name), &e))?;
            blocks.push(id);
        }
        let list = BlockLookupList {
            latest: Some(blocks),
            ..BlockLookupList::default()
        };
        let committed = async {
            let options = BlockBlobClientCommitBlockListOptions {
                blob_content_type: Some(content_type.to_owned()),
                ..Default::default()
            };
            blob.commit_block_list(list.try_into()?, Some(options))
                .await
        };
        let done = committed.await.map(|_| ());
        done.map_err(|e: azure_core::Error| refusal(self.asked("write the blob", "PUT", name), &e))
    }

    /// Reads a blob into a file, which is made anew. `false`: there is no such blob.
    ///
    /// # Errors
    /// When the service does not give it, or the file cannot be written.
    pub async fn get_file(&self, name: &str, path: &Path) -> Result<bool> {
        let Some(found) = self.properties(name, None).await? else {
            return Ok(false);
        };
        let mut file = overwritten(path).await?;
        let mut from = 0;
        while from < found.size {
            let end = found.size.min(from + PORTION as u64);
            let Some(bytes) = self.portion(name, from, end).await? else {
                return Ok(false);
            };
            write(&mut file, path, &bytes).await?;
            from = end;
        }
        synced(&mut file, path).await?;
        Ok(true)
    }

    /// The client tries a request again that is not answered, but not one whose answer breaks off.
    async fn portion(&self, name: &str, from: u64, end: u64) -> Result<Option<Vec<u8>>> {
        let mut tries = 1;
        loop {
            let options = BlobClientDownloadOptions {
                range: Some((from..end).into()),
                parallel: std::num::NonZero::new(1),
                partition_size: std::num::NonZero::new(PORTION),
                ..BlobClientDownloadOptions::default()
            };
            let found = match self.blob(name)?.download(Some(options)).await {
                Ok(found) => found.body.collect().await,
                Err(error) => Err(error),
            };
            let found = found.map_err(|e| refusal(self.asked("read the blob", "GET", name), &e));
            match present(found) {
                Ok(None) => return Ok(None),
                Ok(Some(bytes)) if bytes.len() as u64 == end - from => {
                    return Ok(Some(bytes.to_vec()));
                }
                Ok(Some(_)) if tries >= TRIES => {
                    let said = format!("it gave other bytes than {from} to {end}");
                    return Err(Error::new(self.asked("read the blob", "GET", name), said).into());
                }
                Err(error) if tries >= TRIES || !error.code.is_empty() => return Err(error),
                Ok(Some(_)) | Err(_) => {}
            }
            tokio::time::sleep(jitter(Duration::from_millis(200 << tries))).await;
            tries += 1;
        }
    }
}
