//! Repositories: which local folder stands for a URL, and the files of a revision.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::Digest;
use stead_lab_core::Store;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The store's document of mappings.
const DOCUMENT: &str = "git";
/// Larger files are no manifests; the work tree's are not read.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// A local folder that stands for the repositories below a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryMapping {
    /// `https://github.com/me/homelab.git`, or a prefix such as `https://github.com/me/`.
    pub url_prefix: String,
    /// The repository, or the folder that holds those below the prefix. May lie inside a repository.
    pub folder: PathBuf,
    /// Reads the files as they are in the folder, committed or not; every revision is the same then.
    #[serde(default)]
    pub worktree: bool,
    /// Asks for credentials: a Secret with label `argocd.argoproj.io/secret-type: repository` or `repo-creds`.
    #[serde(default)]
    pub private: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Mappings {
    mappings: Vec<RepositoryMapping>,
}

/// The files of a revision, by path.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) revision: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// All clones are the same.
#[derive(Clone)]
pub(crate) struct Repositories {
    store: Store,
    mappings: Arc<Mutex<Vec<RepositoryMapping>>>,
    trees: Arc<Mutex<HashMap<(PathBuf, String), Arc<Tree>>>>,
    /// Which commit a revision was lately, so that many applications ask Git once.
    resolved: Arc<Mutex<HashMap<(PathBuf, String), (Instant, String)>>>,
}

/// How long an answer of Git's is good.
const FRESH: Duration = Duration::from_secs(2);

/// `https://Host/a/b.git/` and `https://host/a/b` are one.
pub(crate) fn normalized(url: &str) -> String {
    let trimmed = url.trim().trim_end_matches('/');
    let trimmed = trimmed.strip_suffix(".git").unwrap_or(trimmed);
    match trimmed.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            format!(
                "{}://{}/{path}",
                scheme.to_ascii_lowercase(),
                host.to_ascii_lowercase()
            )
        }
        None => trimmed.to_owned(),
    }
}

/// What a URL leads to.
struct Place {
    folder: PathBuf,
    worktree: bool,
    private: bool,
}

impl Repositories {
    pub(crate) fn open(store: &Store) -> io::Result<Repositories> {
        let saved: Option<Mappings> = store.load(DOCUMENT)?;
        Ok(Repositories {
            store: store.clone(),
            mappings: Arc::new(Mutex::new(saved.unwrap_or_default().mappings)),
            trees: Arc::default(),
            resolved: Arc::default(),
        })
    }

    /// Adds a mapping, or replaces the one of the same prefix.
    pub(crate) fn map(&self, mapping: RepositoryMapping) -> io::Result<()> {
        let mut all = self.mappings.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|m| normalized(&m.url_prefix) != normalized(&mapping.url_prefix));
        all.push(mapping);
        self.store.save(
            DOCUMENT,
            &Mappings {
                mappings: all.clone(),
            },
        )
    }

    fn place(&self, url: &str) -> Option<Place> {
        if let Some(path) = url.strip_prefix("file://") {
            return Some(Place {
                folder: PathBuf::from(path),
                worktree: false,
                private: false,
            });
        }
        let wanted = normalized(url);
        let all = self.mappings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut candidates: Vec<&RepositoryMapping> = all.iter().collect();
        candidates.sort_by_key(|m| std::cmp::Reverse(m.url_prefix.len()));
        candidates.into_iter().find_map(|mapping| {
            let rest = wanted.strip_prefix(&normalized(&mapping.url_prefix))?;
            let is_below =
                rest.is_empty() || rest.starts_with('/') || mapping.url_prefix.ends_with('/');
            let rest = Path::new(rest.trim_start_matches('/'));
            let inside = rest.components().all(|c| matches!(c, Component::Normal(_)));
            (is_below && inside).then(|| Place {
                folder: mapping.folder.join(rest),
                worktree: mapping.worktree,
                private: mapping.private,
            })
        })
    }

    /// The commit of a revision. `has_credentials`: a repository Secret fits the URL.
    pub(crate) async fn resolve(
        &self,
        url: &str,
        revision: &str,
        has_credentials: bool,
    ) -> Result<String, String> {
        let place = self.checked(url, has_credentials)?;
        let key = (
            place.folder.clone(),
            if place.worktree {
                String::new()
            } else {
                revision.to_owned()
            },
        );
        let known = self
            .resolved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some((_, resolved)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(resolved);
        }
        let resolved = if place.worktree {
            fingerprint(&place.folder).map_err(|e| unreadable(&place.folder, &e))?
        } else {
            commit(&place.folder, revision).await?
        };
        self.resolved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, (Instant::now(), resolved.clone()));
        Ok(resolved)
    }

    /// Asks Git anew the next time: someone wants a refresh.
    pub(crate) fn forget_resolved(&self) {
        self.resolved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The files of a revision.
    pub(crate) async fn tree(
        &self,
        url: &str,
        revision: &str,
        has_credentials: bool,
    ) -> Result<Arc<Tree>, String> {
        let place = self.checked(url, has_credentials)?;
        let resolved = self.resolve(url, revision, has_credentials).await?;
        let key = (place.folder.clone(), resolved.clone());
        if let Some(found) = self
            .trees
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(found.clone());
        }
        let files = if place.worktree {
            let mut files = BTreeMap::new();
            walk(&place.folder, "", &mut |path, file| {
                files.insert(path.to_owned(), std::fs::read(file)?);
                Ok(())
            })
            .map_err(|e| unreadable(&place.folder, &e))?;
            files
        } else {
            committed(&place.folder, &resolved).await?
        };
        let tree = Arc::new(Tree {
            revision: resolved,
            files,
        });
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.retain(|(folder, _), _| *folder != key.0);
        trees.insert(key, tree.clone());
        Ok(tree)
    }

    fn checked(&self, url: &str, has_credentials: bool) -> Result<Place, String> {
        let place = self.place(url).ok_or_else(|| {
            format!("rpc error: code = Unknown desc = failed to list refs: the lab maps no local folder to {url:?}")
        })?;
        if place.private && !has_credentials {
            return Err("rpc error: code = Unknown desc = failed to list refs: authentication required: Repository not found.".to_owned());
        }
        if !place.folder.is_dir() {
            return Err(
                "rpc error: code = Unknown desc = failed to list refs: repository not found"
                    .to_owned(),
            );
        }
        Ok(place)
    }
}

fn unreadable(folder: &Path, error: &io::Error) -> String {
    format!(
        "rpc error: code = Internal desc = cannot read {}: {error}",
        folder.display()
    )
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|e| format!("rpc error: code = Internal desc = cannot run git: {e}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("rpc error: code = Unknown desc = {}", text.trim()))
}

async fn commit(folder: &Path, revision: &str) -> Result<String, String> {
    let revision = if revision.is_empty() {
        "HEAD"
    } else {
        revision
    };
    if revision.starts_with('-') {
        return Err(format!(
            "rpc error: code = Unknown desc = unable to resolve '{revision}' to a commit SHA"
        ));
    }
    let candidates = [
        format!("refs/heads/{revision}"),
        format!("refs/tags/{revision}"),
        format!("refs/remotes/origin/{revision}"),
        revision.to_owned(),
    ];
    for candidate in candidates {
        let wanted = format!("{candidate}^{{commit}}");
        if let Ok(found) = git(folder, &["rev-parse", "--verify", "--quiet", &wanted]).await {
            return Ok(String::from_utf8_lossy(&found).trim().to_owned());
        }
    }
    // Says what is wrong when it is no repository at all.
    git(folder, &["rev-parse", "--git-dir"]).await?;
    Err(format!(
        "rpc error: code = Unknown desc = unable to resolve '{revision}' to a commit SHA"
    ))
}

async fn committed(folder: &Path, commit: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let prefix = git(folder, &["rev-parse", "--show-prefix"]).await?;
    let prefix = String::from_utf8_lossy(&prefix).trim().to_owned();
    let root = format!("{commit}:{prefix}");
    let listing = git(folder, &["ls-tree", "-r", "-z", "--full-tree", &root]).await?;
    let mut entries = Vec::new();
    for line in listing.split(|b| *b == 0).filter(|l| !l.is_empty()) {
        let line = String::from_utf8_lossy(line);
        let Some((head, path)) = line.split_once('\t') else {
            continue;
        };
        let words: Vec<&str> = head.split(' ').collect();
        if let [mode, "blob", object] = words.as_slice() {
            entries.push((path.to_owned(), (*object).to_owned(), *mode == "120000"));
        }
    }
    let contents = blobs(folder, &entries).await?;
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut links = Vec::new();
    for ((path, _, is_link), content) in entries.into_iter().zip(contents) {
        if is_link {
            links.push((path, String::from_utf8_lossy(&content).into_owned()));
        } else {
            files.insert(path, content);
        }
    }
    for (path, target) in links {
        let parent = path.rsplit_once('/').map_or("", |(p, _)| p);
        if let Some(content) = join(parent, &target).and_then(|t| files.get(&t).cloned()) {
            files.insert(path, content);
        }
    }
    Ok(files)
}

/// The contents of many blobs by one process.
async fn blobs(folder: &Path, entries: &[(String, String, bool)]) -> Result<Vec<Vec<u8>>, String> {
    let failed = |e: io::Error| format!("rpc error: code = Internal desc = cannot run git: {e}");
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(folder)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let names: String = entries
        .iter()
        .map(|(_, object, _)| format!("{object}\n"))
        .collect();
    let stdin = child.stdin.take();
    let writing = async move {
        if let Some(mut stdin) = stdin {
            stdin.write_all(names.as_bytes()).await?;
        }
        io::Result::Ok(())
    };
    let (written, output) = tokio::join!(writing, child.wait_with_output());
    written.map_err(failed)?;
    let output = output.map_err(failed)?.stdout;
    let mut rest = output.as_slice();
    let mut contents = Vec::with_capacity(entries.len());
    for (path, ..) in entries {
        let parsed = next_blob(rest);
        let (content, after) = parsed
            .ok_or_else(|| format!("rpc error: code = Internal desc = git does not show {path}"))?;
        contents.push(content.to_vec());
        rest = after;
    }
    Ok(contents)
}

/// `SHA blob SIZE\nCONTENT\n` and what follows.
fn next_blob(output: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = output.iter().position(|b| *b == b'\n')?;
    let head = std::str::from_utf8(output.get(..end)?).ok()?;
    let size: usize = head.rsplit(' ').next()?.parse().ok()?;
    let body = output.get(end + 1..)?;
    Some((body.get(..size)?, body.get(size + 1..)?))
}

/// Joins a relative path to a folder of the tree; `None` when it leaves the tree.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder
        .split('/')
        .filter(|p| !matches!(*p, "" | "."))
        .collect();
    if relative.starts_with('/') {
        return None;
    }
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn walk(
    folder: &Path,
    prefix: &str,
    visit: &mut impl FnMut(&str, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if matches!(
            name.as_str(),
            ".git" | ".terraform" | ".stead" | "target" | "node_modules"
        ) {
            continue;
        }
        let path = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        let kind = entry.metadata()?;
        if kind.is_dir() {
            walk(&entry.path(), &path, visit)?;
        } else if kind.is_file() && kind.len() <= FILE_LIMIT {
            visit(&path, &entry.path())?;
        }
    }
    Ok(())
}

/// Stands for a commit of a folder that is read as it is: changes with names, sizes and times.
fn fingerprint(folder: &Path) -> io::Result<String> {
    let mut digest = sha2::Sha256::new();
    walk(folder, "", &mut |path, file| {
        let metadata = std::fs::metadata(file)?;
        digest.update(path.as_bytes());
        digest.update(metadata.len().to_be_bytes());
        let modified = metadata
            .modified()?
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        digest.update(modified.as_nanos().to_be_bytes());
        Ok(())
    })?;
    Ok(digest
        .finalize()
        .iter()
        .take(20)
        .map(|b| format!("{b:02x}"))
        .collect())
}
