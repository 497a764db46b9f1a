//! Files in the storages of a node: which there are, and whether a storage takes more of a kind.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::{Context, Error};

use crate::client::{Client, Params, params, text};
use crate::property::percent_encode;

/// Where files of one kind are kept.
#[derive(Clone, Copy)]
pub(crate) struct Shelf<'a> {
    pub(crate) node: &'a str,
    pub(crate) storage: &'a str,
    /// `iso`, `vztmpl`, `import`, …
    pub(crate) content: &'a str,
}

/// A file's identifier, taken apart: `STORAGE:CONTENT/NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Volume<'a> {
    pub(crate) storage: &'a str,
    pub(crate) content: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> Volume<'a> {
    pub(crate) fn parse(volume: &'a str) -> Option<Volume<'a>> {
        let (storage, rest) = volume.split_once(':')?;
        let (content, name) = rest.split_once('/')?;
        let whole = ![storage, content, name].contains(&"");
        whole.then_some(Volume {
            storage,
            content,
            name,
        })
    }

    /// `NODE/STORAGE:CONTENT/NAME`, as people give it to `import`.
    pub(crate) fn parse_import(id: &'a str) -> Result<(&'a str, Volume<'a>), Error> {
        let parts = id
            .split_once('/')
            .and_then(|(node, volume)| Some((node, Volume::parse(volume)?)));
        parts.ok_or_else(|| {
            Error::new(
                format!("import the file {id}"),
                "it is not of the form NODE/STORAGE:CONTENT/NAME",
            )
            .remedy("Write for example pve/local:iso/talos.iso.")
        })
    }
}

impl std::fmt::Display for Volume<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.storage, self.content, self.name)
    }
}

/// The last part of a URL's path.
pub(crate) fn name_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let name = url.path_segments()?.next_back()?.to_owned();
    (!name.is_empty()).then(|| crate::property::percent_decode(&name))
}

impl Shelf<'_> {
    pub(crate) fn path(&self, rest: &str) -> String {
        let (node, storage) = (percent_encode(self.node), percent_encode(self.storage));
        format!("/nodes/{node}/storage/{storage}/{rest}")
    }

    /// The identifier of a file: `STORAGE:CONTENT/NAME`.
    pub(crate) fn volume(&self, name: &str) -> String {
        format!("{}:{}/{name}", self.storage, self.content)
    }

    pub(crate) async fn find(
        &self,
        client: &Client,
        cx: &Context,
        volume: &str,
    ) -> Result<Option<Json>, Error> {
        let what = format!("list the storage {}", self.storage);
        let query = params([("content", self.content.to_owned())]);
        let found = client.get(cx, &what, &self.path("content"), &query).await?;
        let mut rows = found.as_array().into_iter().flatten();
        let row = rows.find(|r| text(r, "volid").as_deref() == Some(volume));
        Ok(row.cloned())
    }

    /// As a refresh looks: a storage that is gone has no files.
    pub(crate) async fn look(
        &self,
        client: &Client,
        cx: &Context,
        volume: &str,
    ) -> Result<Option<Json>, Error> {
        match self.find(client, cx, volume).await {
            Err(error) if error.is_not_found() => Ok(None),
            found => found,
        }
    }

    /// Where files of this kind lie on the node.
    pub(crate) async fn folder(&self, client: &Client, cx: &Context) -> Result<String, Error> {
        let what = format!("find the path of the storage {}", self.storage);
        let path = format!("/storage/{}", percent_encode(self.storage));
        let found = client.get(cx, &what, &path, &Params::new()).await?;
        let path = text(&found, "path").ok_or_else(|| {
            let said = "it has no folder on the node: it keeps blocks, not files";
            Error::new(what, said).attribute("datastore_id")
        })?;
        let moved = text(&found, "content-dirs").unwrap_or_default();
        let below = subfolder(&moved, self.content);
        Ok(format!("{}/{below}", path.trim_end_matches('/')))
    }

    /// Removes a file; one that is gone already is a success.
    pub(crate) async fn remove(
        &self,
        client: &Client,
        cx: &Context,
        volume: &str,
        limit: Duration,
    ) -> Result<(), Error> {
        let path = self.path(&format!("content/{}", percent_encode(volume)));
        let what = format!("delete {volume}");
        let form = Params::new();
        let done = client.run(cx, Method::DELETE, &what, &path, &form, limit);
        match done.await {
            Err(e) if e.is_not_found() => Ok(()),
            // The task's word for it.
            Err(e) if e.said().contains("does not exist") => Ok(()),
            other => other,
        }
    }

    /// A clear word when the storage does not take the content, before anything is fetched.
    pub(crate) async fn check(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        let storages = client.storages(cx, self.node).await?;
        // A storage that is not shown may still be usable: the server decides.
        let Some(storage) = storages.iter().find(|s| s.name == self.storage) else {
            return Ok(());
        };
        if storage.content.iter().any(|c| c == self.content) {
            return Ok(());
        }
        let all = storage.content.join(",");
        let command = format!(
            "pvesm set {} --content {all},{}",
            storage.name, self.content
        );
        Err(Error::new(
            format!("put {} content on {}", self.content, storage.name),
            format!("the storage takes only {}", storage.content.join(", ")),
        )
        .remedy(format!("Enable it: `{command}`.")))
    }
}

/// Where files of a kind lie below the path of their storage: as in `content-dirs` (`iso=images,snippets=snip`), or where they always do.
fn subfolder(moved: &str, content: &str) -> String {
    let own = moved.split(',').find_map(|pair| {
        let (kind, folder) = pair.split_once('=')?;
        (kind.trim() == content).then(|| folder.trim().trim_matches('/').to_owned())
    });
    own.unwrap_or_else(|| {
        match content {
            "iso" => "template/iso",
            "vztmpl" => "template/cache",
            "backup" => "dump",
            other => other,
        }
        .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_taken_apart_and_put_together() {
        let (node, volume) = Volume::parse_import("pve/local:snippets/a/b.yaml").unwrap();
        assert_eq!(
            (node, volume.storage, volume.name),
            ("pve", "local", "a/b.yaml")
        );
        assert_eq!(volume.to_string(), "local:snippets/a/b.yaml");
        for wrong in [
            "pve",
            "pve/local",
            "pve/local:iso",
            "pve/local:iso/",
            "pve/:iso/a",
        ] {
            assert!(Volume::parse_import(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_storage_may_have_folders_of_its_own() {
        assert_eq!(subfolder("", "iso"), "template/iso");
        assert_eq!(subfolder("iso=images", "snippets"), "snippets");
        assert_eq!(subfolder("iso=images,snippets=/own/", "snippets"), "own");
    }

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        let url = "https://a.b/c/talos.qcow2?x=y";
        assert_eq!(name_of(url).as_deref(), Some("talos.qcow2"));
        assert_eq!(name_of("https://a.b/"), None);
        assert_eq!(name_of("nonsense"), None);
    }
}
