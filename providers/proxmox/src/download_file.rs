//! `proxmox_virtual_environment_download_file`: a file that a node fetches itself.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Context, Error, ErrorKind, Failure, Resource, async_trait};

use crate::client::{Client, number, params, text};
use crate::property::percent_encode;

/// A file that a node downloads into one of its storages.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "proxmox_virtual_environment_download_file", version = 0)]
pub(crate) struct DownloadFile {
    /// The volume, `STORAGE:CONTENT/NAME`.
    #[attr(computed)]
    id: String,
    #[attr(optional, replace)]
    checksum: Option<String>,
    #[attr(optional, replace)]
    checksum_algorithm: Option<String>,
    /// `iso`, `vztmpl` or `import`.
    #[attr(required, replace)]
    content_type: String,
    #[attr(required, replace)]
    datastore_id: String,
    /// `gz`, `lzo`, `zst` or `bz2`; only for `iso`.
    #[attr(optional, replace)]
    decompression_algorithm: Option<String>,
    /// The last part of the URL when it is not set.
    #[attr(optional, computed, replace)]
    file_name: Option<String>,
    #[attr(required, replace)]
    node_name: String,
    /// Accepted; stead never replaces a file because the size at its source differs.
    #[attr(optional, computed, default = true)]
    overwrite: Option<bool>,
    /// Replace a file of that name that is there already.
    #[attr(optional, computed, default = false)]
    overwrite_unmanaged: Option<bool>,
    /// Bytes in the storage.
    #[attr(computed)]
    size: Option<i64>,
    /// Seconds.
    #[attr(optional, computed, default = 600)]
    upload_timeout: Option<i64>,
    #[attr(required, replace)]
    url: String,
    /// Check the certificate of the source.
    #[attr(optional, computed, default = true)]
    verify: Option<bool>,
}

impl DownloadFile {
    fn storage_path(&self, rest: &str) -> String {
        format!(
            "/nodes/{}/storage/{}/{rest}",
            self.node_name, self.datastore_id
        )
    }

    fn volume(&self, name: &str) -> String {
        format!("{}:{}/{name}", self.datastore_id, self.content_type)
    }

    fn timeout(&self) -> Duration {
        crate::vm::seconds(self.upload_timeout.unwrap_or(600))
    }
}

/// The last part of the URL's path.
fn name_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let name = url.path_segments()?.next_back()?.to_owned();
    (!name.is_empty()).then(|| crate::property::percent_decode(&name))
}

async fn find(
    client: &Client,
    cx: &Context,
    file: &DownloadFile,
    volume: &str,
) -> Result<Option<Json>, Error> {
    let what = format!("list the storage {}", file.datastore_id);
    let query = params([("content", file.content_type.clone())]);
    let found = client
        .get(cx, &what, &file.storage_path("content"), &query)
        .await?;
    let mut rows = found.as_array().into_iter().flatten();
    Ok(rows
        .find(|r| text(r, "volid").as_deref() == Some(volume))
        .cloned())
}

async fn remove(
    client: &Client,
    cx: &Context,
    file: &DownloadFile,
    volume: &str,
) -> Result<(), Error> {
    let path = file.storage_path(&format!("content/{}", percent_encode(volume)));
    match client
        .run(
            cx,
            Method::DELETE,
            &format!("delete {volume}"),
            &path,
            &Vec::new(),
            file.timeout(),
        )
        .await
    {
        Err(e) if e.is_not_found() => Ok(()),
        other => other,
    }
}

/// A clear word when the storage does not take the content, before anything is fetched.
async fn check_storage(client: &Client, cx: &Context, file: &DownloadFile) -> Result<(), Error> {
    let storages = client.storages(cx, &file.node_name).await?;
    // A storage that is not shown may still be usable: the server decides.
    let Some(storage) = storages.iter().find(|s| s.name == file.datastore_id) else {
        return Ok(());
    };
    if storage.content.contains(&file.content_type) {
        return Ok(());
    }
    let said = format!("the storage takes only {}", storage.content.join(", "));
    let command = format!(
        "pvesm set {} --content {},{}",
        storage.name,
        storage.content.join(","),
        file.content_type
    );
    Err(Error::new(
        format!("download {} content to {}", file.content_type, storage.name),
        said,
    )
    .remedy(format!("Enable it: `{command}`."))
    .attribute("content_type"))
}

#[async_trait]
impl Resource for DownloadFile {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let get = |name: &str| config.get(name).and_then(|v| v.as_str().map(str::to_owned));
        let mut refuse = |name: &str, detail: String| {
            found.push(
                Diagnostic::error(format!("Invalid {name}"), detail)
                    .attribute(Path::root().attr(name)),
            );
        };
        let one_of = |name: &str, values: &[&str]| {
            get(name)
                .filter(|v| !values.contains(&v.as_str()))
                .map(|v| format!("{v:?} is not one of {}.", values.join(", ")))
        };
        if let Some(detail) = one_of("content_type", &["iso", "vztmpl", "import"]) {
            let hint = if get("content_type").as_deref() == Some("snippets") {
                " The API of Proxmox VE cannot write snippets."
            } else {
                ""
            };
            refuse("content_type", format!("{detail}{hint}"));
        }
        if let Some(detail) = one_of("decompression_algorithm", &["gz", "lzo", "zst", "bz2"]) {
            refuse("decompression_algorithm", detail);
        } else if get("decompression_algorithm").is_some()
            && get("content_type").as_deref() == Some("import")
        {
            refuse(
                "decompression_algorithm",
                "Proxmox VE decompresses only iso content. Fetch the qcow2 image instead.".into(),
            );
        }
        if let Some(detail) = one_of(
            "checksum_algorithm",
            &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"],
        ) {
            refuse("checksum_algorithm", detail);
        }
        let null = |name: &str| config.get(name).is_none_or(|v| v.is_null());
        if null("checksum") != null("checksum_algorithm") {
            refuse(
                "checksum",
                "checksum and checksum_algorithm belong together.".into(),
            );
        }
        if get("url").is_some_and(|u| !u.starts_with("https://") && !u.starts_with("http://")) {
            refuse("url", "It must begin with https:// or http://.".into());
        }
        found
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let mut file = planned;
        let name = file
            .file_name
            .clone()
            .filter(|n| !n.is_empty())
            .or_else(|| name_of(&file.url));
        let name = name.ok_or_else(|| {
            Error::new("name the file", "the URL ends in no name")
                .remedy("Set `file_name`.")
                .attribute("file_name")
        })?;
        check_storage(client, cx, &file).await?;
        let volume = file.volume(&name);
        if file.overwrite_unmanaged == Some(true)
            && find(client, cx, &file, &volume).await?.is_some()
        {
            remove(client, cx, &file, &volume).await?;
        }
        let mut form = params([
            ("content", file.content_type.clone()),
            ("filename", name.clone()),
            ("url", file.url.clone()),
            (
                "verify-certificates",
                i32::from(file.verify.unwrap_or(true)).to_string(),
            ),
        ]);
        let optional = [
            ("checksum", &file.checksum),
            ("checksum-algorithm", &file.checksum_algorithm),
            ("compression", &file.decompression_algorithm),
        ];
        form.extend(
            optional
                .into_iter()
                .filter_map(|(k, v)| Some((k.to_owned(), v.clone()?))),
        );
        let what = format!("download {volume}");
        let path = file.storage_path("download-url");
        file.id = volume.clone();
        file.file_name = Some(name);
        cx.identified(&file).await?;
        let done = client
            .run(cx, Method::POST, &what, &path, &form, file.timeout())
            .await;
        match done {
            Ok(_) => {}
            // Nobody waited for the end, but the download may go on: the next plan looks, and takes the place again.
            Err(e) if e.is_cancelled() || e.is_transient() || e.kind() == ErrorKind::TimedOut => {
                return Err(Failure::partial(e, file));
            }
            Err(e) if e.said().contains("refusing to override existing file") => {
                let remedy = format!(
                    "The file is there already: import it as {}/{volume}, delete it, or set overwrite_unmanaged = true.",
                    file.node_name
                );
                return Err(e.remedy(remedy).into());
            }
            Err(e) => return Err(e.into()),
        }
        match find(client, cx, &file, &volume).await {
            Ok(row) => file.size = row.and_then(|r| number(&r, "size")),
            Err(error) => return Err(Failure::partial(error, file)),
        }
        Ok(file)
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let volume = prior.id.clone();
        let row = match find(client, cx, &prior, &volume).await {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        Ok(row.map(|row| DownloadFile {
            size: number(&row, "size"),
            file_name: volume.rsplit('/').next().map(str::to_owned),
            ..prior
        }))
    }

    async fn update(
        _client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        // Only what steers stead can change in place.
        Ok(DownloadFile {
            size: prior.size,
            ..planned
        })
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        remove(client, cx, &prior, &prior.id.clone()).await
    }

    /// `NODE/STORAGE:CONTENT/NAME`.
    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let parts = id.split_once('/').and_then(|(node, volume)| {
            let (storage, rest) = volume.split_once(':')?;
            let (content, name) = rest.split_once('/')?;
            Some((node, volume, storage, content, name))
        });
        let (node, volume, storage, content, name) = parts.ok_or_else(|| {
            Error::new(
                format!("import the file {id}"),
                "it is not of the form NODE/STORAGE:CONTENT/NAME",
            )
            .remedy("Write for example pve/local:iso/talos.iso.")
        })?;
        Ok(DownloadFile {
            id: volume.to_owned(),
            node_name: node.to_owned(),
            datastore_id: storage.to_owned(),
            content_type: content.to_owned(),
            file_name: Some(name.to_owned()),
            overwrite: Some(true),
            overwrite_unmanaged: Some(false),
            upload_timeout: Some(600),
            verify: Some(true),
            ..DownloadFile::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        assert_eq!(
            name_of("https://a.b/c/talos.qcow2?x=y").as_deref(),
            Some("talos.qcow2")
        );
        assert_eq!(name_of("https://a.b/"), None);
        assert_eq!(name_of("nonsense"), None);
    }
}
