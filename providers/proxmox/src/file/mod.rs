//! `proxmox_virtual_environment_file`: a file that is brought to a node from here. ISO images, templates and disk images go through the
//! API; snippets and backups, which its upload does not take, over SSH.

mod source;

use std::time::Duration;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Context, Error, ErrorKind, Failure, PlanDraft, Resource, async_trait};

use crate::client::{Client, Outgoing, PlannedKind, number, params, text};
use crate::guest::{keep_origin, known, seconds};
use crate::ssh::Way;
use crate::upstream::{self, Facts};
use crate::volume::{Shelf, Volume};

use source::{Content, SourceFile, SourceRaw};

/// A file that is brought to a storage of a node.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "proxmox_virtual_environment_file", legacy)]
pub(crate) struct File {
    /// The volume, `STORAGE:CONTENT/NAME`.
    #[attr(optional, computed)]
    id: String,
    /// `iso`, `vztmpl` or `import`, which go through the API; `snippets` or `backup`, which go over SSH. Where it is not set, the source's name
    /// decides: `.iso` and `.img`, `.tar.gz` and `.tar.xz`, `.yaml` and `.yml` (snippets).
    #[attr(
        optional,
        computed,
        replace,
        one_of("backup", "iso", "snippets", "vztmpl", "import")
    )]
    content_type: Option<String>,
    /// The storage.
    #[attr(required, replace)]
    datastore_id: String,
    /// Octal digits, such as `0700` for a hook script. Only over SSH.
    #[attr(optional, replace)]
    file_mode: String,
    /// When the source was changed (RFC 3339).
    #[attr(computed)]
    file_modification_date: Option<String>,
    /// What it is called in the storage.
    #[attr(computed)]
    file_name: Option<String>,
    /// Bytes.
    #[attr(computed)]
    file_size: Option<i64>,
    /// The ETag of the source; of a local file its time and size.
    #[attr(computed)]
    file_tag: Option<String>,
    /// The node.
    #[attr(required, replace)]
    node_name: String,
    /// Take the place of a file of that name that is there already; otherwise that is an error.
    #[attr(optional, default = true)]
    overwrite: bool,
    /// Seconds.
    #[attr(optional, default = 1800)]
    timeout_upload: i64,
    /// Over SSH: `stream` into a command that root runs, or `sftp` as the user who logs in.
    #[attr(optional, default = "stream", one_of("sftp", "stream"))]
    upload_mode: String,
    /// A file of this machine, or a URL that this machine fetches.
    #[attr(block(list, max = 1), replace)]
    source_file: Option<SourceFile>,
    /// Content that stands in the configuration.
    #[attr(block(list, max = 1), replace)]
    source_raw: Option<SourceRaw>,
}

/// What takes another upload when it changes.
const REPLACING: [&str; 6] = [
    "content_type",
    "datastore_id",
    "file_mode",
    "node_name",
    "source_file",
    "source_raw",
];

/// Whether the API's upload takes this content.
fn goes_by_api(content: &str) -> bool {
    matches!(content, "iso" | "vztmpl" | "import")
}

/// What kind of file it is, by its source's name.
fn content_of(source: &str) -> Option<&'static str> {
    let lower = source.to_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| lower.ends_with(end));
    if ends(&[".tar.gz", ".tar.xz"]) {
        Some("vztmpl")
    } else if ends(&[".iso", ".img"]) {
        Some("iso")
    } else if ends(&[".yaml", ".yml"]) {
        Some("snippets")
    } else {
        None
    }
}

/// Octal digits; `None` when they are none.
fn mode_of(digits: &str) -> Option<u32> {
    let mode = u32::from_str_radix(digits, 8).ok()?;
    (mode <= 0o7777).then_some(mode)
}

impl File {
    /// Where it comes from: a path, a URL, or the name of raw content.
    fn source(&self) -> &str {
        match (&self.source_file, &self.source_raw) {
            (Some(file), _) => &file.path,
            (None, Some(raw)) => &raw.file_name,
            (None, None) => "",
        }
    }

    fn content(&self) -> Result<String, Error> {
        let named = self.content_type.clone().filter(|c| !c.is_empty());
        let source = self.source();
        let content = named.or_else(|| content_of(source).map(str::to_owned));
        content.ok_or_else(|| {
            Error::new(
                "choose the kind of file",
                format!("the name {source:?} does not tell it"),
            )
            .remedy("Set `content_type`.")
            .attribute("content_type")
        })
    }

    fn name(&self) -> Result<String, Error> {
        match (&self.source_file, &self.source_raw) {
            (Some(file), _) => file.name().map_err(|e| e.attribute("source_file")),
            (None, Some(raw)) => Ok(raw.file_name.clone()),
            (None, None) => Err(Error::new("name the file", "it has no source")),
        }
    }

    fn shelf<'a>(&'a self, content: &'a str) -> Shelf<'a> {
        Shelf {
            node: &self.node_name,
            storage: &self.datastore_id,
            content,
        }
    }

    fn limit(&self) -> Duration {
        seconds(self.timeout_upload)
    }

    fn facts(&self) -> Facts {
        Facts {
            modified: self.file_modification_date.clone().unwrap_or_default(),
            size: self.file_size,
            tag: self.file_tag.clone().unwrap_or_default(),
        }
    }

    fn note(&mut self, facts: Facts) {
        self.file_modification_date = Some(facts.modified);
        self.file_size = facts.size;
        self.file_tag = Some(facts.tag);
    }

    /// Refuses to take the place of another file, or says that it does.
    async fn look_before(
        &self,
        client: &Client,
        shelf: &Shelf<'_>,
        volume: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        if shelf.find(client, cx, volume).await?.is_none() {
            return Ok(());
        }
        if self.overwrite {
            let detail = format!("The file {volume} was there already, and is overwritten.");
            cx.warn("A file is overwritten", detail);
            return Ok(());
        }
        let asked = format!("make the file {volume}");
        let error = Error::of_kind(ErrorKind::Conflict, asked, "there is one already");
        Err(error.remedy(format!(
            "Import it as {}/{volume}, delete it, or set overwrite = true.",
            self.node_name
        )))
    }

    async fn send(
        &self,
        client: &Client,
        shelf: &Shelf<'_>,
        name: &str,
        content: Content,
        cx: &Context,
    ) -> Result<(), Error> {
        let what = format!("upload {}", shelf.volume(name));
        if goes_by_api(shelf.content) {
            let file = Outgoing {
                name,
                file: content.file,
                size: content.size,
            };
            let fields = params([("content", shelf.content.to_owned())]);
            let path = shelf.path("upload");
            return client
                .upload(cx, &what, &path, fields, file, self.limit())
                .await;
        }
        let way = match self.upload_mode.as_str() {
            "sftp" => Way::Sftp,
            _ => Way::Stream,
        };
        let folder = shelf.folder(client, cx).await?;
        let path = format!("{folder}/{name}");
        let shell = client.shell(cx, &self.node_name).await?;
        let writing = shell.write(way, &path, mode_of(&self.file_mode), content.file, cx);
        match tokio::time::timeout(self.limit(), writing).await {
            Ok(done) => done,
            Err(_) => Err(Error::of_kind(
                ErrorKind::TimedOut,
                what,
                format!("it had not ended after {} seconds", self.timeout_upload),
            )
            .remedy("Set `timeout_upload` higher.")),
        }
    }

    /// Whether the file in the storage, or its source, is another one than was uploaded.
    async fn has_changed(&self, client: &Client, stored: Option<i64>, cx: &Context) -> bool {
        let Some(source) = &self.source_file else {
            return false;
        };
        let before = self.facts();
        let sized = before.size.filter(|size| *size > 0);
        if sized.is_some() && stored.is_some() && sized != stored {
            return true;
        }
        let now = match source.facts(client).await {
            Ok(now) => now,
            Err(error) => {
                upstream::warn_unknown(cx, &self.id, &error);
                return false;
            }
        };
        before.is_other_than(&now)
    }
}

#[async_trait]
impl Resource for File {
    type Client = Client;

    const IDENTIFIES_FIRST: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let blocks = ["source_file", "source_raw"].map(|name| config.get(name));
        let count = blocks
            .iter()
            .flatten()
            .map(|v| v.as_sequence().map_or(0, <[Value]>::len));
        match count.sum::<usize>() {
            _ if blocks.iter().flatten().any(|v| !v.is_known()) => {}
            1 => {}
            0 => found.push(Diagnostic::error(
                "Nothing to make the file of",
                "Write a block `source_file` or `source_raw`.",
            )),
            _ => found.push(Diagnostic::error(
                "Two sources of one file",
                "Write a block `source_file` or a block `source_raw`, not both.",
            )),
        }
        let mode = config.get("file_mode");
        let mode = mode.as_ref().and_then(Value::as_str).unwrap_or_default();
        if !mode.is_empty() && mode_of(mode).is_none() {
            let detail = format!("{mode:?} is not a mode in octal digits, such as 0700.");
            let place = Path::root().attr("file_mode");
            found.push(Diagnostic::error("Invalid file mode", detail).attribute(place));
        }
        let raw = Path::root().attr("source_raw").index_number(0);
        if let Some(raw) = config.at(&raw).as_ref().and_then(known::<SourceRaw>)
            && let Err(error) = raw.content()
        {
            found.push(error.attribute("source_raw").into());
        }
        found
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        if !draft.is_create() {
            adopt(draft)?;
        }
        let Some(wanted) = known::<File>(draft.planned()) else {
            return Ok(());
        };
        let uploads = draft.is_create()
            || draft.changes("file_size")
            || REPLACING.iter().any(|name| draft.changes(name));
        let (Some(client), true) = (client, uploads) else {
            return Ok(());
        };
        client
            .planned
            .note(PlannedKind::FilesIn, &wanted.datastore_id);
        // What is not known yet tells nothing.
        let kind = draft.config().get("content_type");
        let unknown = kind.is_some_and(|kind| !kind.is_known());
        let content = match wanted.content() {
            Ok(content) if !unknown && !wanted.node_name.is_empty() => content,
            Err(error) if !unknown && !wanted.source().is_empty() => return Err(error.into()),
            _ => return Ok(()),
        };
        if !goes_by_api(&content) {
            let user = client
                .ssh()
                .user_for(&format!("upload {content} over SSH"))?;
            draft.note(format!(
                "uploads over SSH to {} as {user}: the API of Proxmox VE takes no {content}",
                wanted.node_name
            ));
        } else if !wanted.file_mode.is_empty() {
            let said = format!("the API, which {content} content goes through, knows no modes");
            let error = Error::new("set `file_mode`", said);
            return Err(error.attribute("file_mode").into());
        }
        // The same apply may enable it first.
        if let Err(error) = wanted.shelf(&content).check(client, cx).await {
            draft.warn("The storage does not take the file now", error.to_string());
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
        let content = file.content()?;
        let name = file.name()?;
        let node = file.node_name.clone();
        let storage = file.datastore_id.clone();
        let shelf = Shelf {
            node: &node,
            storage: &storage,
            content: &content,
        };
        let taken = shelf.check(client, cx).await;
        taken.map_err(|e| e.attribute("content_type"))?;
        let volume = shelf.volume(&name);
        file.look_before(client, &shelf, &volume, cx).await?;
        let outgoing = match (&file.source_file, &file.source_raw) {
            (Some(source), _) => {
                // Asked before it is fetched: should it change meanwhile, the next refresh sees that.
                let facts = source.facts(client).await?;
                let opened = source.open(client, cx).await?;
                file.note(facts);
                opened
            }
            (None, Some(raw)) => raw.open(client)?,
            (None, None) => return Err(Error::new("make the file", "it has no source").into()),
        };
        let size = i64::try_from(outgoing.size).ok();
        file.file_size = size;
        file.id.clone_from(&volume);
        file.content_type = Some(content.clone());
        file.file_name = Some(name.clone());
        cx.identified(&file).await?;
        match file.send(client, &shelf, &name, outgoing, cx).await {
            Ok(()) => {}
            // Nobody waited for the end, but the node may go on with it.
            Err(e) if e.is_cancelled() || e.is_transient() || e.kind() == ErrorKind::TimedOut => {
                return Err(Failure::partial(e, file));
            }
            Err(e) => return Err(e.into()),
        }
        let asked = format!("upload {volume}");
        let arrived = match shelf.find(client, cx, &volume).await {
            Ok(row) => row.map(|row| number(&row, "size")),
            Err(error) => return Err(Failure::partial(error, file)),
        };
        match arrived {
            None => Err(Error::new(
                asked,
                format!("it was sent, and the storage {storage} of {node} does not show it"),
            )
            .remedy("Check that the storage is mounted on the node, and that the file's name fits its content type.")
            .into()),
            Some(found) if found.is_some() && found != size => {
                let said = format!(
                    "{} bytes were sent, and {} are there",
                    size.unwrap_or_default(),
                    found.unwrap_or_default()
                );
                Err(Failure::partial(Error::new(asked, said), file))
            }
            Some(_) => Ok(file),
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let Some(volume) = Volume::parse(&prior.id) else {
            let said = format!("{:?} is not of the form STORAGE:CONTENT/NAME", prior.id);
            return Err(Error::new("read the file", said));
        };
        let shelf = prior.shelf(volume.content);
        let Some(row) = shelf.look(client, cx, &prior.id).await? else {
            return Ok(None);
        };
        let stored = number(&row, "size");
        let changed = prior.has_changed(client, stored, cx).await;
        let mut found = File {
            file_name: Some(volume.name.to_owned()),
            content_type: text(&row, "content").or(Some(volume.content.to_owned())),
            ..prior.clone()
        };
        match &mut found.source_file {
            Some(source) => source.changed = changed,
            // What of it is there is all that can be compared.
            None => found.file_size = stored,
        }
        Ok(Some(found))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        // Only what steers stead changes in place; and an imported file learns where it came from.
        let mut file = File {
            id: prior.id.clone(),
            file_name: prior.file_name.clone(),
            ..planned
        };
        if prior.source_file.is_none()
            && let Some(source) = &file.source_file
        {
            let facts = source.facts(client).await?;
            file.note(facts);
        }
        Ok(file)
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let content = prior.content_type.clone().unwrap_or_default();
        prior
            .shelf(&content)
            .remove(client, cx, &prior.id, prior.limit())
            .await
    }

    /// `NODE/STORAGE:CONTENT/NAME`.
    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let (node, volume) = Volume::parse_import(id)?;
        Ok(File {
            id: volume.to_string(),
            node_name: node.to_owned(),
            datastore_id: volume.storage.to_owned(),
            content_type: Some(volume.content.to_owned()),
            file_name: Some(volume.name.to_owned()),
            overwrite: true,
            timeout_upload: 1800,
            upload_mode: "stream".into(),
            ..File::default()
        })
    }
}

/// Of a file that was imported nobody knows the source, except that one of another size is another one.
fn adopt(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let (Some(old), Some(new)) = (known::<File>(draft.prior()), known::<File>(draft.planned()))
    else {
        return Ok(());
    };
    keep_origin(draft, &Path::root().attr("file_mode"))?;
    if let Some(raw) = &old.source_raw {
        if !raw.is_as_long_as(old.file_size) {
            draft.note("its content on the node is not what was uploaded");
            draft.replace(Path::root().attr("file_size"));
            draft.set_unknown(&Path::root().attr("file_size"))?;
        }
        return Ok(());
    }
    if old.source_file.is_some() {
        return Ok(());
    }
    let is_it = match (&new.source_file, &new.source_raw) {
        (Some(source), _) => source.name().ok() == old.file_name,
        (None, Some(raw)) => {
            let same_name = old.file_name.as_deref() == Some(raw.file_name.as_str());
            same_name && raw.is_as_long_as(old.file_size)
        }
        (None, None) => false,
    };
    if is_it {
        for block in ["source_file", "source_raw"] {
            draft.keep(&Path::root().attr(block));
        }
        for found in ["file_size", "file_tag", "file_modification_date"] {
            if new.source_file.is_some() {
                draft.set_unknown(&Path::root().attr(found))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_name_tells_the_kind_of_file() {
        assert_eq!(content_of("a/debian.ISO"), Some("iso"));
        assert_eq!(content_of("alpine.tar.xz"), Some("vztmpl"));
        assert_eq!(content_of("user.yml"), Some("snippets"));
        assert_eq!(content_of("disk.qcow2"), None);
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode_of("0700"), Some(0o700));
        assert_eq!(mode_of("755"), Some(0o755));
        for wrong in ["", "888", "rwx", "77777"] {
            assert_eq!(mode_of(wrong), None, "{wrong}");
        }
    }
}
