//! Data sources: files in storages.

use regex::Regex;
use serde_json::Value as Json;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Context, DataSource, Error, Form, async_trait};

use crate::client::{Client, text};
use crate::rest::{Hooks, object};

/// A file in a storage.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_file", alias = "proxmox_virtual_environment_file")]
pub(crate) struct FileData {
    /// What kind of file it is.
    #[attr(
        required,
        one_of("backup", "images", "import", "iso", "rootdir", "snippets", "vztmpl")
    )]
    #[form(path)]
    content_type: String,
    /// The storage.
    #[attr(required, length(1..))]
    #[form(path)]
    datastore_id: String,
    /// How the file is written: `raw`, `qcow2`, …
    #[attr(computed)]
    #[form(name = "format")]
    file_format: Option<String>,
    /// The file's name.
    #[attr(required, length(1..))]
    #[form(path)]
    file_name: String,
    /// Bytes.
    #[attr(computed)]
    #[form(name = "size")]
    file_size: Option<i64>,
    /// The volume, `STORAGE:CONTENT/NAME`.
    #[attr(computed)]
    #[form(name = "volid", read)]
    id: String,
    /// The node.
    #[attr(required, length(1..))]
    #[form(path)]
    node_name: String,
    /// The guest whose file it is.
    #[attr(computed)]
    vmid: Option<i64>,
}

/// What stands behind the content in a volume's identifier: `local:iso/a.iso` is called `a.iso`.
fn name_of(volume: &str) -> &str {
    let behind = volume.split_once(':').map_or("", |(_, rest)| rest);
    behind.split_once('/').map_or("", |(_, name)| name)
}

fn is_named(row: &Json, fits: impl Fn(&str) -> bool) -> bool {
    text(row, "volid").is_some_and(|volume| fits(name_of(&volume)))
}

fn is_of(row: &Json, content: &str) -> bool {
    text(row, "content").is_none_or(|found| found == content)
}

#[async_trait]
impl Hooks for FileData {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let rows = object::fetch(self, client, cx).await?;
        let mut rows = rows.as_array().into_iter().flatten();
        let found = rows.find(|row| {
            is_of(row, &self.content_type) && is_named(row, |name| name == self.file_name)
        });
        found.cloned().ok_or_else(|| {
            let said = format!("there is no {} file {}", self.content_type, self.file_name);
            Error::not_found(object::doing("find the file in", self), said)
        })
    }
}

/// The files in a storage.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_files")]
pub(crate) struct Files {
    /// Only files of this kind.
    #[attr(
        optional,
        one_of("backup", "images", "import", "iso", "rootdir", "snippets", "vztmpl")
    )]
    #[form(path)]
    content_type: Option<String>,
    /// The storage.
    #[attr(required, length(1..))]
    #[form(path)]
    datastore_id: String,
    /// Only files in whose names this regular expression is found.
    #[attr(optional)]
    #[form(path)]
    file_name_regex: Option<String>,
    /// The files.
    #[attr(computed, nested(list))]
    #[form(rows)]
    files: Vec<FileRow>,
    /// The node.
    #[attr(required, length(1..))]
    #[form(path)]
    node_name: String,
}

/// A file.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct FileRow {
    /// What kind of file it is.
    #[attr(computed)]
    #[form(name = "content")]
    content_type: Option<String>,
    /// How the file is written.
    #[attr(computed)]
    #[form(name = "format")]
    file_format: Option<String>,
    /// The file's name.
    #[attr(computed)]
    #[form(name = "volid", with = name)]
    file_name: String,
    /// Bytes.
    #[attr(computed)]
    #[form(name = "size")]
    file_size: Option<i64>,
    /// The volume.
    #[attr(computed)]
    #[form(name = "volid")]
    id: String,
    /// The guest whose file it is.
    #[attr(computed)]
    vmid: Option<i64>,
}

/// The name in a volume's identifier.
mod name {
    use serde_json::Value as Json;
    use stead_sdk::form::Unreadable;

    pub(super) fn read(_prior: String, found: Option<&Json>) -> Result<String, Unreadable> {
        let volume = found.and_then(Json::as_str).unwrap_or_default();
        Ok(super::name_of(volume).to_owned())
    }
}

#[async_trait]
impl Hooks for Files {
    fn validate(config: &Value) -> Diagnostics {
        let written = config.get("file_name_regex");
        let written = written.as_ref().and_then(Value::as_str);
        match written.map(Regex::new) {
            Some(Err(e)) => Diagnostic::error(
                "Invalid regular expression",
                format!("`file_name_regex` cannot be read: {e}."),
            )
            .attribute(Path::root().attr("file_name_regex"))
            .into(),
            _ => Diagnostics::new(),
        }
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let mut rows = object::fetch(self, client, cx).await?;
        // A wrong one was refused before.
        let wanted = self.file_name_regex.as_deref().map(Regex::new);
        let wanted = wanted.and_then(Result::ok);
        if let Some(rows) = rows.as_array_mut() {
            rows.retain(|row| {
                let kind = self.content_type.as_deref();
                kind.is_none_or(|kind| is_of(row, kind))
                    && is_named(row, |name| wanted.as_ref().is_none_or(|r| r.is_match(name)))
            });
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn names_stand_behind_the_content() {
        assert_eq!(name_of("local:iso/a.iso"), "a.iso");
        assert_eq!(
            name_of("local:100/vm-100-disk-0.qcow2"),
            "vm-100-disk-0.qcow2"
        );
        assert_eq!(name_of("local-lvm:vm-100-disk-0"), "");
    }
}
