//! `proxmox_virtual_environment_download_file`: a file that a node fetches itself.

use std::time::Duration;

use reqwest::Method;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Context, Error, ErrorKind, Failure, PlanDraft, Resource, async_trait, redact_url};

use crate::client::{Client, Outgoing, PlannedKind, number, params};
use crate::privilege::{Need, check_privileges};
use crate::unpack::{ALGORITHMS, unpack};
use crate::upstream::{self, Facts, Upstream};
use crate::volume::{Shelf, Volume, name_of};

/// A file that a node downloads into one of its storages.
#[derive(Clone, Debug, Default, Resource)]
#[resource(
    name = "proxmox_download_file",
    alias = "proxmox_virtual_environment_download_file"
)]
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
    /// `gz`, `lzo`, `zst`, `bz2` or `xz`. The node unpacks `iso` content itself, of all but `xz`; otherwise this machine fetches the file,
    /// unpacks it (not `lzo`) and uploads it.
    #[attr(optional, replace)]
    decompression_algorithm: Option<String>,
    /// The last part of the URL when it is not set.
    #[attr(optional, computed, replace)]
    file_name: Option<String>,
    #[attr(required, replace)]
    node_name: String,
    /// Fetch the file again, in its place, when its source has another one than was fetched.
    #[attr(optional, computed, default = true)]
    overwrite: Option<bool>,
    /// Replace a file of that name that is there already.
    #[attr(optional, computed, default = false)]
    overwrite_unmanaged: Option<bool>,
    /// Bytes in the storage. Null after a refresh that found another file at the source: the next apply fetches it.
    #[attr(computed)]
    size: Option<i64>,
    /// What the source said of the file that was fetched.
    #[attr(private)]
    fetched: Option<Facts>,
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
    fn shelf(&self) -> Shelf<'_> {
        Shelf {
            node: &self.node_name,
            storage: &self.datastore_id,
            content: &self.content_type,
        }
    }

    fn timeout(&self) -> Duration {
        crate::guest::seconds(self.upload_timeout.unwrap_or(600))
    }

    fn upstream(&self) -> Upstream<'_> {
        Upstream {
            url: &self.url,
            insecure: self.verify == Some(false),
            only_1_3: false,
        }
    }

    /// How this machine is to unpack the file; `None` when the node does all by itself.
    fn unpacked_here(&self) -> Option<&str> {
        let algorithm = self.decompression_algorithm.as_deref()?;
        is_unpacked_here(&self.content_type, algorithm).then_some(algorithm)
    }

    /// What it is called in the storage.
    fn name(&self) -> Result<String, Error> {
        let own = self.file_name.clone().filter(|n| !n.is_empty());
        let named = own.or_else(|| {
            let name = name_of(&self.url)?;
            let end = self
                .unpacked_here()
                .map(|algorithm| format!(".{algorithm}"));
            Some(match end.and_then(|end| name.strip_suffix(&end)) {
                Some(unpacked) => unpacked.to_owned(),
                None => name,
            })
        });
        named.ok_or_else(|| {
            Error::new("name the file", "the URL ends in no name")
                .remedy("Set `file_name`.")
                .attribute("file_name")
        })
    }

    /// What is said of the file at its source: asked from here, or else by the node, which is told the size only.
    ///
    /// # Errors
    /// When neither can tell: the node's reason.
    async fn look_upstream(&self, client: &Client, cx: &Context) -> Result<Facts, Error> {
        if let Ok(facts) = self.upstream().facts(client).await {
            return Ok(facts);
        }
        let query = params([
            ("url", self.url.clone()),
            (
                "verify-certificates",
                i32::from(self.verify.unwrap_or(true)).to_string(),
            ),
        ]);
        let path = format!("/nodes/{}/query-url-metadata", self.node_name);
        let what = format!("ask for the size of {}", redact_url(&self.url));
        let found = client.get(cx, &what, &path, &query).await?;
        Ok(Facts {
            size: number(&found, "size"),
            ..Facts::default()
        })
    }

    /// Brings the file into the storage.
    async fn bring(&self, client: &Client, name: &str, cx: &Context) -> Result<(), Error> {
        match self.unpacked_here() {
            Some(algorithm) => self.carry(client, name, algorithm, cx).await,
            None => self.let_fetch(client, name, cx).await,
        }
    }

    /// Has the node fetch it.
    async fn let_fetch(&self, client: &Client, name: &str, cx: &Context) -> Result<(), Error> {
        let mut form = params([
            ("content", self.content_type.clone()),
            ("filename", name.to_owned()),
            ("url", self.url.clone()),
            (
                "verify-certificates",
                i32::from(self.verify.unwrap_or(true)).to_string(),
            ),
        ]);
        let optional = [
            ("checksum", &self.checksum),
            ("checksum-algorithm", &self.checksum_algorithm),
            ("compression", &self.decompression_algorithm),
        ];
        form.extend(
            optional
                .into_iter()
                .filter_map(|(k, v)| Some((k.to_owned(), v.clone()?))),
        );
        let what = format!("download {}", self.id);
        let path = self.shelf().path("download-url");
        client
            .run(cx, Method::POST, &what, &path, &form, self.timeout())
            .await
    }

    /// Fetches it here, unpacks it and uploads it.
    async fn carry(
        &self,
        client: &Client,
        name: &str,
        algorithm: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        let asked = format!("unpack {}", redact_url(&self.url));
        let mut packed = self.upstream().fetch(client, cx).await?;
        if let (Some(kind), Some(sum)) = (&self.checksum_algorithm, &self.checksum) {
            let checked = upstream::check(packed, kind, sum, &asked).await;
            packed = checked.map_err(|e| e.attribute("checksum"))?;
        }
        cx.progress("unpacking the file here");
        let mut plain = client.temporary_file()?;
        let named = algorithm.to_owned();
        let unpacked = tokio::task::spawn_blocking(move || {
            let size = unpack(&named, packed, &mut plain)?;
            Ok::<_, std::io::Error>((plain, size))
        });
        let unpacked = unpacked
            .await
            .map_err(|e| Error::of_kind(ErrorKind::Cancelled, &asked, e.to_string()))?;
        let (file, size) = unpacked.map_err(|e| {
            let said = format!("it is not a whole {algorithm} file: {e}");
            Error::new(&asked, said).attribute("decompression_algorithm")
        })?;
        let fields = params([("content", self.content_type.clone())]);
        let path = self.shelf().path("upload");
        let what = format!("upload {}", self.id);
        let file = Outgoing { name, file, size };
        client
            .upload(cx, &what, &path, fields, file, self.timeout())
            .await
    }

    /// What to do about a file that is there already.
    fn instead(&self) -> String {
        format!(
            "The file is there already: import it as {}/{}, delete it, or set overwrite_unmanaged = true.",
            self.node_name, self.id
        )
    }

    /// Forgets the size when the source has another file by now. A state that does not know what was fetched learns it, unless the size
    /// tells already that it is another one.
    async fn compare(&mut self, client: &Client, cx: &Context) {
        let now = match self.look_upstream(client, cx).await {
            Ok(now) => now,
            Err(error) => return upstream::warn_unknown(cx, &self.id, &error),
        };
        let before = self.fetched.clone().unwrap_or_else(|| Facts {
            size: self.size.filter(|_| self.decompression_algorithm.is_none()),
            ..Facts::default()
        });
        if now.is_other_than(&before) {
            self.size = None;
        } else if self.fetched.is_none() {
            self.fetched = Some(now);
        }
    }

    /// With the size that it has in the storage.
    async fn measured(mut self, client: &Client, cx: &Context) -> Result<Self, Failure<Self>> {
        match self.shelf().find(client, cx, &self.id).await {
            Ok(row) => self.size = row.and_then(|r| number(&r, "size")),
            Err(error) => return Err(Failure::partial(error, self)),
        }
        Ok(self)
    }

    async fn is_there(&self, client: &Client, cx: &Context) -> Result<bool, Error> {
        Ok(self.shelf().find(client, cx, &self.id).await?.is_some())
    }
}

/// Whether this machine has to unpack a file, as the node cannot.
fn is_unpacked_here(content: &str, algorithm: &str) -> bool {
    algorithm == "xz" || content != "iso"
}

#[async_trait]
impl Resource for DownloadFile {
    type Client = Client;

    /// Notes what comes into the storage, for guests that name it, and whether it may be fetched.
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
        if let Some(detail) = one_of(
            "decompression_algorithm",
            &["gz", "lzo", "zst", "bz2", "xz"],
        ) {
            refuse("decompression_algorithm", detail);
        } else if let (Some(algorithm), Some(content)) =
            (get("decompression_algorithm"), get("content_type"))
            && is_unpacked_here(&content, &algorithm)
            && !ALGORITHMS.contains(&algorithm.as_str())
        {
            let detail = format!(
                "Proxmox VE decompresses only iso content, and {algorithm} is not unpacked here. Take another form of the image."
            );
            refuse("decompression_algorithm", detail);
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

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        if let Some(client) = client {
            preflight(client, draft, cx).await?;
        }
        // An import does not find where the file came from: learning that takes no new one.
        let origin = [
            "url",
            "checksum",
            "checksum_algorithm",
            "decompression_algorithm",
        ];
        if !draft.is_create() && draft.prior().get("url").is_none_or(|url| url.is_null()) {
            for name in origin {
                draft.keep(&Path::root().attr(name));
            }
        }
        let text = |name: &str| {
            let value = draft.attribute(name);
            value.and_then(|v| v.as_str().map(str::to_owned))
        };
        let here = text("decompression_algorithm").zip(text("content_type"));
        let here = here.filter(|(algorithm, content)| is_unpacked_here(content, algorithm));
        let overwrites = draft.attribute("overwrite").and_then(|o| o.as_bool()) == Some(true);
        let lacks = |name: &str| draft.prior().get(name).is_none_or(|v| v.is_null());
        // What `read` leaves of the size when the source has another file.
        let is_old = !draft.is_create() && overwrites && lacks("size") && !lacks("url");
        let fetches = draft.is_create() || is_old || draft.changes("url");
        if is_old {
            draft.note("fetches the file again, as its source has changed");
            draft.set_unknown(&Path::root().attr("size"))?;
        }
        if fetches && let Some((algorithm, _)) = here {
            draft.note(format!(
                "fetched and unpacked ({algorithm}) by this machine, then uploaded: the node cannot unpack it"
            ));
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let mut file = planned;
        let name = file.name()?;
        file.shelf()
            .check(client, cx)
            .await
            .map_err(|e| e.attribute("content_type"))?;
        file.id = file.shelf().volume(&name);
        file.file_name = Some(name.clone());
        let is_there = file.is_there(client, cx).await?;
        if is_there && file.overwrite_unmanaged == Some(true) {
            file.shelf()
                .remove(client, cx, &file.id, file.timeout())
                .await?;
        } else if is_there && file.unpacked_here().is_some() {
            // An upload would overwrite it without a word.
            let asked = format!("upload {}", file.id);
            let error = Error::of_kind(ErrorKind::Conflict, asked, "there is one already");
            return Err(error.remedy(file.instead()).into());
        }
        // What nobody can tell now, a later refresh learns.
        file.fetched = file.look_upstream(client, cx).await.ok();
        cx.identified(&file).await?;
        match file.bring(client, &name, cx).await {
            Ok(()) => {}
            // Nobody waited for the end, but the download may go on: the next plan looks, and takes the place again.
            Err(e) if e.is_cancelled() || e.is_transient() || e.kind() == ErrorKind::TimedOut => {
                return Err(Failure::partial(e, file));
            }
            Err(e) if e.said().contains("refusing to override existing file") => {
                return Err(e.remedy(file.instead()).into());
            }
            Err(e) => return Err(e.into()),
        }
        file.measured(client, cx).await
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let volume = prior.id.clone();
        let Some(row) = prior.shelf().look(client, cx, &volume).await? else {
            return Ok(None);
        };
        let mut found = DownloadFile {
            size: number(&row, "size"),
            file_name: volume.rsplit('/').next().map(str::to_owned),
            ..prior
        };
        if found.overwrite == Some(true) && !found.url.is_empty() {
            found.compare(client, cx).await;
        }
        Ok(Some(found))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let mut file = DownloadFile {
            size: prior.size,
            fetched: prior.fetched.clone(),
            ..planned
        };
        if prior.size.is_some() || file.overwrite != Some(true) || file.url.is_empty() {
            // Only what steers stead changes in place.
            return Ok(file);
        }
        let name = file.name()?;
        let fetched = file.look_upstream(client, cx).await.ok();
        file.shelf()
            .remove(client, cx, &file.id, file.timeout())
            .await?;
        // From here on it is as the next refresh finds it: there, or to be made.
        if let Err(error) = file.bring(client, &name, cx).await {
            return Err(Failure::partial(error, file));
        }
        file.fetched = fetched;
        file.measured(client, cx).await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        prior
            .shelf()
            .remove(client, cx, &prior.id, prior.timeout())
            .await
    }

    /// `NODE/STORAGE:CONTENT/NAME`.
    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let (node, volume) = Volume::parse_import(id)?;
        Ok(DownloadFile {
            id: volume.to_string(),
            node_name: node.to_owned(),
            datastore_id: volume.storage.to_owned(),
            content_type: volume.content.to_owned(),
            file_name: Some(volume.name.to_owned()),
            overwrite: Some(true),
            overwrite_unmanaged: Some(false),
            upload_timeout: Some(600),
            verify: Some(true),
            ..DownloadFile::default()
        })
    }
}

/// What would be refused in the middle of a create.
async fn preflight(client: &Client, draft: &PlanDraft, cx: &Context) -> Result<(), Diagnostics> {
    let storage = draft.attribute("datastore_id");
    let storage = storage.as_ref().and_then(|storage| storage.as_str());
    let (Some(storage), true) = (storage, draft.is_create()) else {
        return Ok(());
    };
    client.planned.note(PlannedKind::FilesIn, storage);
    let mut found = Diagnostics::new();
    let needs = [Need::on(
        format!("/storage/{storage}"),
        &["Datastore.AllocateTemplate"],
    )];
    check_privileges(client, cx, "download a file", needs, &mut found).await;
    found.into_result().map(drop)
}
