//! What lies in Secrets: the state, and the files beside it. Both are gzipped and split where they exceed what a Secret holds.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use stead_sdk::kube::{Propagation, find, text};
use stead_state::BackendError;

use super::Workspace;
use super::names::{BESIDE, SUFFIX, WORKSPACE, part};
use crate::sending::failed;

/// What the data of one Secret may come to; the API server's limit and the reference's size of a part.
const PART: usize = 1024 * 1024;
const MANAGER: &str = "stead";
/// The member of `data` with the state, in the reference's Secrets.
const STATE: &str = "tfstate";
/// The member of `data` with a file, in ours.
const FILE: &str = "file";
/// A state of several parts while its Secrets are replaced one by one: whoever dies in between leaves a whole one here. No name of the
/// callers' has a space.
const UNDERWAY: &str = "state underway";
/// Annotations of a file's first Secret.
const NAME: &str = "stead/file";
const PARTS: &str = "stead/parts";
/// SHA-256 of the gzipped whole.
const DIGEST: &str = "stead/digest";

impl Workspace {
    /// The Secrets of the state, by number. Numbers may be missing when somebody was killed while writing.
    async fn state_parts(&self) -> Result<Vec<(usize, Json)>, BackendError> {
        let found = self.secrets(&self.names.selector).await?;
        Ok(numbered(found, &self.names.secret))
    }

    async fn secrets(&self, selector: &str) -> Result<Vec<Json>, BackendError> {
        let (cluster, cx) = self.place.looking();
        let namespace = Some(self.place.namespace.as_str());
        cluster
            .list_labelled("v1", "Secret", namespace, selector, &cx)
            .await
            .map_err(failed)
    }

    pub(super) async fn read_state(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let parts = self.state_parts().await?;
        if parts.is_empty() {
            return Ok(None);
        }
        match assemble(&parts) {
            Ok(state) => Ok(state.filter(|s| !s.is_empty())),
            Err(reason) => match self.read_file(UNDERWAY).await? {
                Some(whole) => Ok(Some(whole)),
                None => Err(BackendError::failed(
                    format!("read the state ({})", self.place.secret(&self.names.secret)),
                    reason,
                )
                .hint("Somebody may have been stopped while writing it. Restore the Secrets from a backup of the cluster.")),
            },
        }
    }

    pub(super) async fn write_state(&self, state: &[u8]) -> Result<(), BackendError> {
        let packed = gzip(state)?;
        let chunks: Vec<&[u8]> = packed.chunks(PART).collect();
        let old = self.state_parts().await?;
        let several = chunks.len() > 1 || old.len() > 1;
        if several {
            self.write_file(UNDERWAY, state).await?;
        }
        for (number, chunk) in chunks.iter().enumerate() {
            let name = self.names.part(number);
            let annotations = json!({ "encoding": "gzip" });
            self.put(&name, &self.names.labels, &annotations, STATE, chunk)
                .await?;
        }
        for (number, _) in old.iter().filter(|(n, _)| *n >= chunks.len()) {
            self.remove(&self.names.part(*number)).await?;
        }
        if several {
            self.remove_file(UNDERWAY).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_state(&self) -> Result<(), BackendError> {
        // The first one last: as long as it is there, so is the workspace.
        for (number, _) in self.state_parts().await?.iter().rev() {
            self.remove(&self.names.part(*number)).await?;
        }
        Ok(())
    }

    /// Makes the Secret's data this one member, and makes the Secret when there is none.
    async fn put(
        &self,
        name: &str,
        labels: &Map<String, Json>,
        annotations: &Json,
        member: &str,
        content: &[u8],
    ) -> Result<(), BackendError> {
        let secret = self.place.secret(name);
        let data = json!({ member: STANDARD.encode(content) });
        let patch = json!({ "metadata": { "annotations": annotations }, "data": data });
        let manifest = json!({
            "apiVersion": secret.api_version,
            "kind": secret.kind,
            "metadata": {
                "name": secret.name, "namespace": secret.namespace, "labels": labels, "annotations": annotations,
            },
            "type": "Opaque",
            "data": data,
        });
        let (cluster, cx) = self.place.changing();
        match cluster.merge(&secret, &patch, MANAGER, &cx).await {
            Err(error) if error.status() == Some(404) => {}
            done => return done.map(|_| ()).map_err(failed),
        }
        match cluster.create(&manifest, MANAGER, &cx).await {
            // There is one now: somebody else's, or our own whose answer was lost.
            Err(error) if error.is_transient() || error.status() == Some(409) => {
                let done = cluster.merge(&secret, &patch, MANAGER, &cx).await;
                done.map(|_| ()).map_err(failed)
            }
            done => done.map(|_| ()).map_err(failed),
        }
    }

    async fn remove(&self, name: &str) -> Result<(), BackendError> {
        let (cluster, cx) = self.place.changing();
        let secret = self.place.secret(name);
        let gone = cluster.delete(&secret, Propagation::Background, &cx).await;
        gone.map(|_| ()).map_err(failed)
    }

    fn file(&self, name: &str) -> String {
        self.names.file(&self.place.suffix, name)
    }

    pub(super) async fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let (cluster, cx) = self.place.looking();
        let base = self.file(name);
        let first = cluster.get(&self.place.secret(&base), &cx).await;
        let Some(first) = first.map_err(failed)? else {
            return Ok(None);
        };
        let note = |name| text(&first, &["metadata", "annotations", name]);
        let mut parts = vec![(0, first.clone())];
        for number in 1..note(PARTS).parse().unwrap_or(1) {
            let secret = self.place.secret(&part(&base, "-", number));
            let found = cluster.get(&secret, &cx).await.map_err(failed)?;
            parts.extend(found.map(|found| (number, found)));
        }
        let torn = |reason: String| {
            BackendError::failed(format!("read the file {name:?} beside the state"), reason)
        };
        let packed = packed(&parts, FILE).map_err(torn)?.unwrap_or_default();
        if digest(&packed) != note(DIGEST) {
            return Err(torn("it was written in part only".to_owned()));
        }
        gunzip(&packed).map(Some).map_err(torn)
    }

    pub(super) async fn write_file(&self, name: &str, content: &[u8]) -> Result<(), BackendError> {
        let packed = gzip(content)?;
        let chunks: Vec<&[u8]> = packed.chunks(PART).collect();
        let base = self.file(name);
        let labels: Map<String, Json> = [
            (BESIDE, "true"),
            (SUFFIX, &self.place.suffix),
            (WORKSPACE, &self.names.workspace),
            ("app.kubernetes.io/managed-by", "stead"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
        // The first one last: it says how many there are, and what they come to.
        for (number, chunk) in chunks.iter().enumerate().rev() {
            let annotations = match number {
                0 => {
                    json!({ NAME: name, PARTS: chunks.len().to_string(), DIGEST: digest(&packed) })
                }
                _ => json!({}),
            };
            let secret = part(&base, "-", number);
            self.put(&secret, &labels, &annotations, FILE, chunk)
                .await?;
        }
        // What a longer one left behind.
        let mut number = chunks.len().max(1);
        loop {
            let (cluster, cx) = self.place.changing();
            let secret = self.place.secret(&part(&base, "-", number));
            let gone = cluster.delete(&secret, Propagation::Background, &cx).await;
            if !gone.map_err(failed)? {
                return Ok(());
            }
            number += 1;
        }
    }

    pub(super) async fn remove_file(&self, name: &str) -> Result<(), BackendError> {
        let base = self.file(name);
        let found = numbered(self.secrets(&self.names.beside).await?, &base);
        for (number, _) in found {
            self.remove(&part(&base, "-", number)).await?;
        }
        Ok(())
    }

    pub(super) async fn list_files(&self) -> Result<Vec<String>, BackendError> {
        let found = self.secrets(&self.names.beside).await?;
        let mut names: Vec<String> = found
            .iter()
            .map(|s| text(s, &["metadata", "annotations", NAME]))
            .filter(|name| !matches!(*name, "" | UNDERWAY))
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }

    pub(super) async fn remove_all_beside(&self) -> Result<(), BackendError> {
        for secret in self.secrets(&self.names.beside).await? {
            self.remove(text(&secret, &["metadata", "name"])).await?;
        }
        Ok(())
    }
}

/// The Secrets called `BASE` (number 0), `BASE-N` or `BASE-part-N`, in the order of their numbers: the server sorts 10 before 2.
fn numbered(secrets: Vec<Json>, base: &str) -> Vec<(usize, Json)> {
    let number = |secret: &Json| {
        let rest = text(secret, &["metadata", "name"]).strip_prefix(base)?;
        match rest
            .strip_prefix("-part-")
            .or_else(|| rest.strip_prefix('-'))
        {
            Some(number) => number.parse().ok(),
            None => rest.is_empty().then_some(0),
        }
    };
    let mut found: Vec<(usize, Json)> = secrets
        .into_iter()
        .filter_map(|s| Some((number(&s)?, s)))
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found
}

/// The data of the parts, one after the other; `None` when one has none, as a Secret that was only just made.
fn packed(parts: &[(usize, Json)], member: &str) -> Result<Option<Vec<u8>>, String> {
    let mut whole = Vec::new();
    for (expected, (number, secret)) in parts.iter().enumerate() {
        if expected != *number {
            return Err(format!("its part {expected} is missing"));
        }
        let Some(text) = find(secret, &["data", member]).and_then(Json::as_str) else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text);
        whole.extend(bytes.map_err(|_| format!("`data.{member}` is not base64"))?);
    }
    Ok(Some(whole))
}

fn assemble(parts: &[(usize, Json)]) -> Result<Option<Vec<u8>>, String> {
    match packed(parts, STATE)? {
        Some(packed) => gunzip(&packed).map(Some),
        None => Ok(None),
    }
}

fn gzip(content: &[u8]) -> Result<Vec<u8>, BackendError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let done = encoder.write_all(content).and_then(|()| encoder.finish());
    done.map_err(|e| BackendError::failed("compress the state", e.to_string()))
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let read = GzDecoder::new(packed).read_to_end(&mut content);
    read.map_err(|e| format!("its gzip is broken: {e}"))?;
    Ok(content)
}

fn digest(packed: &[u8]) -> String {
    let hash = Sha256::digest(packed);
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, data: &[u8]) -> Json {
        json!({ "metadata": { "name": name }, "data": { STATE: STANDARD.encode(data) } })
    }

    #[test]
    fn parts_are_put_together_by_number() {
        let content: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
        let packed = gzip(&content).unwrap();
        let secrets: Vec<Json> = packed
            .chunks(packed.len() / 11)
            .enumerate()
            .map(|(i, chunk)| secret(&part("tfstate-default-s", "-part-", i), chunk))
            .collect();
        assert!(secrets.len() > 10);
        // As the server gives them.
        let mut sorted = secrets.clone();
        sorted.sort_by_key(|s| text(s, &["metadata", "name"]).to_owned());
        let parts = numbered(sorted, "tfstate-default-s");
        assert_eq!(assemble(&parts).unwrap().unwrap(), content);

        let torn: Vec<_> = parts.iter().filter(|(n, _)| *n != 3).cloned().collect();
        assert_eq!(assemble(&torn).unwrap_err(), "its part 3 is missing");
        let mut mixed = parts;
        mixed[4].1 = secret("x", b"of another state");
        assert!(assemble(&mixed).unwrap_err().contains("gzip"));
    }

    #[test]
    fn a_secret_that_was_only_just_made_holds_no_state() {
        let parts = vec![(0, json!({ "metadata": { "name": "x" } }))];
        assert_eq!(assemble(&parts).unwrap(), None);
    }
}
