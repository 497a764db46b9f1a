//! Blocks: staged one by one, made a blob by a block list.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::xml::{self, element};
use super::{Outcome, Request, blob_not_found, content, error};
use crate::http::Answer;
use crate::state::{Blob, Block};

impl Request<'_> {
    pub(super) fn put_block(&self) -> Outcome {
        self.no_copy()?;
        let id = self.call.param("blockid").unwrap_or_default().to_owned();
        let bytes = STANDARD
            .decode(&id)
            .ok()
            .filter(|b| (1..=64).contains(&b.len()));
        let Some(bytes) = bytes else {
            return Err(super::invalid("query", "blockid"));
        };
        let md5 = self.checked_md5()?;
        self.with_container(|container, _| {
            self.check_lease(
                container
                    .blobs
                    .get(&self.blob)
                    .and_then(|b| b.lease.as_ref()),
                "blob",
            )?;
            let staged = container.staged.entry(self.blob.clone()).or_default();
            let differs =
                |other: &String| STANDARD.decode(other).is_ok_and(|o| o.len() != bytes.len());
            if staged.keys().any(differs) {
                return Err(error(
                    400,
                    "InvalidBlobOrBlock",
                    "The specified blob or block content is invalid.",
                ));
            }
            let block = content::write(&self.cloud.lab.store, &self.call.body)?;
            if let Some(old) = staged.insert(id, block) {
                content::forget(&self.cloud.lab.store, &old.file);
            }
            Ok(Answer::empty(201)
                .with("content-md5", md5)
                .with("x-ms-request-server-encrypted", "true"))
        })
    }

    pub(super) fn put_block_list(&self) -> Outcome {
        self.checked_md5()?;
        let metadata = self.metadata()?;
        let text = std::str::from_utf8(&self.call.body)
            .ok()
            .and_then(xml::parse)
            .filter(|d| d.name == "BlockList");
        let Some(list) = text else {
            return Err(error(
                400,
                "InvalidXmlDocument",
                "XML specified is not syntactically valid.",
            ));
        };
        self.with_container(|container, etag| {
            self.check_write(container)?;
            let none = BTreeMap::new();
            let staged = container.staged.get(&self.blob).unwrap_or(&none);
            let committed: BTreeMap<&str, &Block> = container.blobs.get(&self.blob).map(|b| b.blocks.iter().map(|(id, block)| (id.as_str(), block)).collect()).unwrap_or_default();
            let mut blocks: Vec<(String, Block)> = Vec::new();
            for item in &list.children {
                let id = item.text.trim();
                let found = match item.name.as_str() {
                    "Latest" => staged.get(id).or_else(|| committed.get(id).copied()),
                    "Uncommitted" => staged.get(id),
                    "Committed" => committed.get(id).copied(),
                    _ => return Err(error(400, "InvalidXmlNodeValue", "One of the XML nodes specified in the request body has an invalid name.")),
                };
                let found = found.ok_or_else(|| error(400, "InvalidBlockList", "The specified block list is invalid."))?;
                blocks.push((id.to_owned(), found.clone()));
            }
            let mut bytes = Vec::new();
            for (_, block) in &blocks {
                bytes.extend(content::read(&self.cloud.lab.store, &block.file)?);
            }
            let whole = content::write(&self.cloud.lab.store, &bytes)?;
            let mut blob = self.described(Blob { file: whole.file, length: whole.length, metadata, blocks, ..Blob::default() });
            blob.content_md5 = self.call.header("x-ms-blob-content-md5").to_owned();
            self.keep(container, blob, etag)
        })
    }

    pub(super) fn block_list(&self) -> Outcome {
        let which = self
            .call
            .param("blocklisttype")
            .unwrap_or("committed")
            .to_ascii_lowercase();
        if !["committed", "uncommitted", "all"].contains(&which.as_str()) {
            return Err(super::invalid("query", "blocklisttype"));
        }
        self.with_container(|container, _| {
            let blob = container.blobs.get(&self.blob);
            let staged = container.staged.get(&self.blob);
            if blob.is_none() && staged.is_none() {
                return Err(blob_not_found());
            }
            let one = |id: &str, block: &Block| {
                format!(
                    "<Block>{}{}</Block>",
                    element("Name", id),
                    element("Size", &block.length.to_string())
                )
            };
            let mut body = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
            if which != "uncommitted" {
                let all: String = blob
                    .map(|b| b.blocks.iter().map(|(id, block)| one(id, block)).collect())
                    .unwrap_or_default();
                body.push_str(&format!("<CommittedBlocks>{all}</CommittedBlocks>"));
            }
            if which != "committed" {
                let all: String = staged
                    .map(|s| s.iter().map(|(id, block)| one(id, block)).collect())
                    .unwrap_or_default();
                body.push_str(&format!("<UncommittedBlocks>{all}</UncommittedBlocks>"));
            }
            body.push_str("</BlockList>");
            let answer = Answer::xml(200, body).with(
                "x-ms-blob-content-length",
                blob.map_or(0, |b| b.length).to_string(),
            );
            match blob {
                Some(blob) => Request::stamped(answer, &blob.etag, blob.modified),
                None => Ok(answer),
            }
        })
    }
}
