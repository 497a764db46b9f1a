//! Package repositories of a node: the entries of its `sources` files.

use serde_json::{Value as Json, json};
use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Context, Error, Form, Resource, async_trait};

use crate::client::{Client, text};
use crate::rest::codec::trimmed;
use crate::rest::{Hooks, object};

const FILE: Pattern = Pattern {
    regex: r"/(.*\S)?",
    form: "an absolute path",
};

const WORD: Pattern = Pattern {
    regex: r"\S(.*\S)?",
    form: "a text without blanks at its ends",
};

/// An entry of a file with package repositories. It stays as it is when this is destroyed.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_apt_repository",
    alias = "proxmox_virtual_environment_apt_repository"
)]
pub(crate) struct Repository {
    /// The remark above the entry.
    #[attr(computed)]
    #[form(name = "Comment", with = trimmed)]
    comment: Option<String>,
    /// The repository's parts.
    #[attr(computed)]
    #[form(name = "Components")]
    components: Vec<String>,
    /// Take packages from it.
    #[attr(optional, computed, default = true)]
    #[form(skip)]
    enabled: bool,
    /// The file.
    #[attr(required, replace, pattern(FILE))]
    #[form(name = "path", create)]
    file_path: String,
    /// How the file is written: `list` or `sources`.
    #[attr(computed)]
    #[form(name = "FileType")]
    file_type: Option<String>,
    /// Made of node, file and place.
    #[attr(computed)]
    #[form(path)]
    id: String,
    /// Which of the file's entries, from 0.
    #[attr(required, replace, range(0..))]
    #[form(create)]
    index: i64,
    /// The node.
    #[attr(required, replace, pattern(WORD))]
    #[form(path)]
    node: String,
    /// `deb`, `deb-src`.
    #[attr(computed)]
    #[form(name = "Types")]
    package_types: Vec<String>,
    /// The distributions.
    #[attr(computed)]
    #[form(name = "Suites")]
    suites: Vec<String>,
    /// Where the packages are.
    #[attr(computed)]
    #[form(name = "URIs")]
    uris: Vec<String>,
}

/// Letters, digits and `_` of a text, in the way of the published identifiers, which take a 0 for another character.
fn word(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphabetic() || ('1'..='9').contains(&c) || c == '_';
    text.chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

#[async_trait]
impl Hooks for Repository {
    fn part(&self, name: &str) -> Option<String> {
        match name {
            "file" => Some(word(self.file_path.trim_start_matches('/')).to_lowercase()),
            other => self.text(other),
        }
    }

    /// Setting is the same as making.
    fn send(&self, _prior: Option<&Self>, form: &mut Params) {
        *form = self.creation();
        form.push(("enabled".to_owned(), i32::from(self.enabled).to_string()));
    }

    async fn alter(
        &self,
        _prior: &Self,
        client: &Client,
        form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        object::make(self, client, form, cx).await.map(|_| ())
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let all = object::fetch(self, client, cx).await?;
        let file = files(&all).find(|f| text(f, "path").as_deref() == Some(&self.file_path));
        let index = usize::try_from(self.index).unwrap_or(usize::MAX);
        let entry = file.and_then(|f| f.get("repositories")?.get(index));
        entry.cloned().ok_or_else(|| {
            let said = format!("{} has no entry {}", self.file_path, self.index);
            Error::not_found(object::doing("read", self), said)
        })
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        self.enabled = crate::client::flag(answer, "Enabled").unwrap_or(false);
        Ok(true)
    }

    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}

fn files(all: &Json) -> impl Iterator<Item = &Json> {
    all.get("files")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
}

/// One of the repositories of Proxmox itself. It stays as it is when this is destroyed.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_apt_standard_repository",
    alias = "proxmox_virtual_environment_apt_standard_repository"
)]
pub(crate) struct StandardRepository {
    /// What it is for.
    #[attr(computed)]
    description: Option<String>,
    /// The file in which it is.
    #[attr(computed)]
    file_path: Option<String>,
    /// Which one: `enterprise`, `no-subscription`, `test`, `ceph-squid-no-subscription`, …
    #[attr(required, replace, pattern(WORD))]
    #[form(create)]
    handle: String,
    /// Made of node and handle.
    #[attr(computed)]
    #[form(path)]
    id: String,
    /// Which of the file's entries it is, from 0.
    #[attr(computed)]
    index: Option<i64>,
    /// Its name.
    #[attr(computed)]
    name: Option<String>,
    /// The node.
    #[attr(required, replace, pattern(WORD))]
    #[form(path)]
    node: String,
    /// 1 if packages are taken from it, 0 if not.
    #[attr(computed)]
    status: Option<i64>,
}

#[async_trait]
impl Hooks for StandardRepository {
    fn part(&self, name: &str) -> Option<String> {
        match name {
            "file" => Some(word(&self.handle)),
            other => self.text(other),
        }
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let all = object::fetch(self, client, cx).await?;
        let standard = all.get("standard-repos").and_then(Json::as_array);
        let mut standard = standard.into_iter().flatten();
        let known = standard.find(|r| text(r, "handle").as_deref() == Some(&self.handle));
        let mut known = known.cloned().ok_or_else(|| {
            let said = format!("Proxmox has no repository {}", self.handle);
            Error::not_found(object::doing("read", self), said)
        })?;
        if let Some((path, index)) = place(&all, &self.handle) {
            known["file-path"] = json!(path);
            known["index"] = json!(index);
        }
        Ok(known)
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        self.status = crate::client::flag(answer, "status").map(i64::from);
        Ok(true)
    }

    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}

/// Where a standard repository stands: file and index. Those of Ceph are told apart by the release in their address.
fn place(all: &Json, handle: &str) -> Option<(String, usize)> {
    let (release, part) = match handle.strip_prefix("ceph-").and_then(|h| h.split_once('-')) {
        Some((release, part)) => (Some(format!("ceph-{release}")), part),
        None => (None, handle),
    };
    let components = match (&release, part) {
        (Some(_), part) => vec![part.to_owned()],
        (None, "test") => vec!["pvetest".to_owned(), "pve-test".to_owned()],
        (None, part) => vec![format!("pve-{part}")],
    };
    let texts = |entry: &Json, name: &str| -> Vec<String> {
        let items = entry.get(name).and_then(Json::as_array).into_iter();
        let items = items.flatten().filter_map(Json::as_str);
        items.map(str::to_owned).collect()
    };
    let is_it = |entry: &Json| {
        let has_part = texts(entry, "Components")
            .iter()
            .any(|c| components.contains(c));
        let is_ceph = |uri: &String| uri.contains("/ceph-");
        let uris = texts(entry, "URIs");
        let has_release = match &release {
            Some(release) => uris.iter().any(|uri| uri.contains(release)),
            None => !uris.iter().any(is_ceph),
        };
        has_part && has_release
    };
    files(all).find_map(|file| {
        let entries = file.get("repositories")?.as_array()?;
        let index = entries.iter().position(is_it)?;
        Some((text(file, "path")?, index))
    })
}
