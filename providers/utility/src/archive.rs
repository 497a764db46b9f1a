//! `hashicorp/archive` 2.x: archives of files on this machine.
//!
//! The same content always gives the same archive: entries are sorted, and their times are fixed. Its bytes are not those of
//! the published provider, whose compressor is another.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::{Path as FilePath, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{
    Block, Context, DataSource, Dialer, Error, Failure, Native, ProviderFactory, Resource,
    async_trait,
};
use zip::write::SimpleFileOptions;

use crate::generated::invalid;
use crate::random::hex;

macro_rules! archive_struct {
    ($derive:ident, #[$named:meta], $name:ident) => {
        /// An archive of files, of a folder, or of texts.
        #[derive(Clone, Debug, $derive)]
        #[$named]
        struct $name {
            /// `zip` or `tar.gz`.
            #[attr(required, name = "type", replace)]
            kind: String,
            /// Where to write it.
            #[attr(required, replace)]
            output_path: String,
            /// A text to archive, with `source_content_filename`.
            #[attr(optional, replace)]
            source_content: Option<String>,
            #[attr(optional, replace)]
            source_content_filename: Option<String>,
            /// A file to archive.
            #[attr(optional, replace)]
            source_file: Option<String>,
            /// A folder to archive.
            #[attr(optional, replace)]
            source_dir: Option<String>,
            /// What to leave out of the folder: paths in it, or patterns.
            #[attr(optional, set, replace)]
            excludes: Option<Vec<String>>,
            /// Leave folders out that are reached by symbolic links.
            #[attr(optional, replace)]
            exclude_symlink_directories: Option<bool>,
            /// The mode of every entry, octal.
            #[attr(optional, replace)]
            output_file_mode: Option<String>,
            /// Texts to archive.
            #[attr(block(set), replace)]
            source: Vec<Source>,
            #[attr(computed)]
            output_size: Option<i64>,
            /// The archive's SHA-1, hexadecimal.
            #[attr(computed)]
            output_sha: Option<String>,
            #[attr(computed)]
            output_sha256: Option<String>,
            #[attr(computed)]
            output_sha512: Option<String>,
            #[attr(computed)]
            output_md5: Option<String>,
            #[attr(computed)]
            output_base64sha256: Option<String>,
            #[attr(computed)]
            output_base64sha512: Option<String>,
            /// The archive's SHA-1, hexadecimal.
            #[attr(computed)]
            id: Option<String>,
        }

        impl $name {
            /// Writes the archive.
            fn write(self) -> Result<Self, Error> {
                let wanted = Wanted {
                    content: self.source_content.as_deref(),
                    content_filename: self.source_content_filename.as_deref(),
                    file: self.source_file.as_deref(),
                    dir: self.source_dir.as_deref(),
                    excludes: self.excludes.as_deref().unwrap_or_default(),
                    no_links: self.exclude_symlink_directories == Some(true),
                    mode: self.output_file_mode.as_deref(),
                    sources: &self.source,
                };
                let bytes = pack(&self.kind, wanted.collect()?)?;
                save(&self.output_path, &bytes)?;
                let (sha256, sha512) = (Sha256::digest(&bytes), Sha512::digest(&bytes));
                let sha = hex(&Sha1::digest(&bytes));
                Ok($name {
                    output_size: i64::try_from(bytes.len()).ok(),
                    output_sha: Some(sha.clone()),
                    output_sha256: Some(hex(&sha256)),
                    output_sha512: Some(hex(&sha512)),
                    output_md5: Some(hex(&Md5::digest(&bytes))),
                    output_base64sha256: Some(STANDARD.encode(sha256)),
                    output_base64sha512: Some(STANDARD.encode(sha512)),
                    id: Some(sha),
                    ..self
                })
            }
        }
    };
}

archive_struct!(DataSource, #[data_source(name = "archive_file")], ArchiveData);
archive_struct!(Resource, #[resource(name = "archive_file")], ArchiveResource);

#[derive(Clone, Debug, Block)]
struct Source {
    #[attr(required, sensitive)]
    content: Sensitive<String>,
    #[attr(required)]
    filename: String,
}

/// One file of an archive.
struct Entry {
    content: Vec<u8>,
    mode: u32,
}

/// What an archive is made of.
struct Wanted<'a> {
    content: Option<&'a str>,
    content_filename: Option<&'a str>,
    file: Option<&'a str>,
    dir: Option<&'a str>,
    excludes: &'a [String],
    no_links: bool,
    mode: Option<&'a str>,
    sources: &'a [Source],
}

fn unreadable(path: &FilePath, error: &std::io::Error) -> Error {
    Error::new(format!("archive {}", path.display()), error.to_string())
}

impl Wanted<'_> {
    fn collect(&self) -> Result<BTreeMap<String, Entry>, Error> {
        let mut entries = BTreeMap::new();
        if let Some(content) = self.content {
            let name = self.content_filename.unwrap_or("source_content");
            let content = content.as_bytes().to_vec();
            entries.insert(
                name.to_owned(),
                Entry {
                    content,
                    mode: 0o644,
                },
            );
        }
        for source in self.sources {
            let content = source.content.expose_secret().as_bytes().to_vec();
            entries.insert(
                source.filename.clone(),
                Entry {
                    content,
                    mode: 0o644,
                },
            );
        }
        if let Some(file) = self.file {
            let path = PathBuf::from(file);
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            entries.insert(name.unwrap_or_default(), read(&path)?);
        }
        if let Some(dir) = self.dir {
            self.walk(FilePath::new(dir), &mut entries)?;
        }
        if let Some(text) = self.mode {
            let mode = u32::from_str_radix(text, 8).map_err(|_| {
                Error::new("archive", format!("{text:?} is not a mode"))
                    .attribute("output_file_mode")
            })?;
            entries.values_mut().for_each(|entry| entry.mode = mode);
        }
        Ok(entries)
    }

    fn walk(&self, root: &FilePath, entries: &mut BTreeMap<String, Entry>) -> Result<(), Error> {
        let mut pending = vec![(root.to_owned(), String::new(), 0_u32)];
        while let Some((folder, inside, depth)) = pending.pop() {
            if depth > 100 {
                return Err(Error::new(
                    format!("archive {}", folder.display()),
                    "folders are nested too deeply, or a symbolic link leads back",
                ));
            }
            for found in std::fs::read_dir(&folder).map_err(|e| unreadable(&folder, &e))? {
                let found = found.map_err(|e| unreadable(&folder, &e))?;
                let path = found.path();
                let name = found.file_name().to_string_lossy().into_owned();
                let inside = if inside.is_empty() {
                    name
                } else {
                    format!("{inside}/{name}")
                };
                if self
                    .excludes
                    .iter()
                    .any(|pattern| excluded(pattern, &inside))
                {
                    continue;
                }
                let is_link = found.file_type().is_ok_and(|t| t.is_symlink());
                let about = std::fs::metadata(&path).map_err(|e| unreadable(&path, &e))?;
                if about.is_file() {
                    entries.insert(inside, read(&path)?);
                } else if about.is_dir() && !(is_link && self.no_links) {
                    pending.push((path, inside, depth + 1));
                }
            }
        }
        Ok(())
    }
}

fn read(path: &FilePath) -> Result<Entry, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let about = std::fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    Ok(Entry {
        content: std::fs::read(path).map_err(|e| unreadable(path, &e))?,
        mode: about.permissions().mode() & 0o777,
    })
}

/// Whether a path is left out: by its own name, or by a pattern with `*`, `**` and `?`. What lies in a folder that is left
/// out is never reached.
fn excluded(pattern: &str, path: &str) -> bool {
    fn segments(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), None) => segments(rest, path),
            (Some((&"**", rest)), Some((_, behind))) => {
                segments(rest, path) || segments(pattern, behind)
            }
            (Some((p, rest)), Some((s, behind))) => {
                word(p.as_bytes(), s.as_bytes()) && segments(rest, behind)
            }
            _ => false,
        }
    }
    fn word(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => word(rest, text),
            (Some((b'*', rest)), Some((_, behind))) => word(rest, text) || word(pattern, behind),
            (Some((b'?', rest)), Some((_, behind))) => word(rest, behind),
            (Some((p, rest)), Some((t, behind))) => p == t && word(rest, behind),
            _ => false,
        }
    }
    let pattern: Vec<&str> = pattern.trim_end_matches('/').split('/').collect();
    segments(&pattern, &path.split('/').collect::<Vec<_>>())
}

fn pack(kind: &str, entries: BTreeMap<String, Entry>) -> Result<Vec<u8>, Error> {
    let failed = |e: String| Error::new("write the archive", e);
    match kind {
        "zip" => zip_of(entries).map_err(|e| failed(e.to_string())),
        "tar.gz" => tar_of(entries).map_err(|e| failed(e.to_string())),
        other => Err(Error::new(
            "write the archive",
            format!("the type {other:?} is not zip or tar.gz"),
        )
        .attribute("type")),
    }
}

fn zip_of(entries: BTreeMap<String, Entry>) -> zip::result::ZipResult<Vec<u8>> {
    let time = zip::DateTime::from_date_and_time(2049, 1, 1, 0, 0, 0).unwrap_or_default();
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, entry) in entries {
        let options = SimpleFileOptions::default()
            .last_modified_time(time)
            .unix_permissions(entry.mode);
        archive.start_file(name, options)?;
        archive.write_all(&entry.content)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn tar_of(entries: BTreeMap<String, Entry>) -> std::io::Result<Vec<u8>> {
    let gzip = GzBuilder::new()
        .operating_system(255)
        .write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (name, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.content.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(0);
        archive.append_data(&mut header, name, entry.content.as_slice())?;
    }
    archive.into_inner()?.finish()
}

fn save(path: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = FilePath::new(path);
    let failed = |e: std::io::Error| {
        Error::new(
            format!("write the archive {}", path.display()),
            e.to_string(),
        )
        .attribute("output_path")
    };
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}

fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    let set = |name: &&str| config.get(name).is_some_and(|v| !v.is_null());
    let blocks = config
        .get("source")
        .is_some_and(|v| !v.is_known() || v.as_sequence().is_some_and(|blocks| !blocks.is_empty()));
    let ways = ["source_content", "source_file", "source_dir"];
    let count = ways.iter().filter(|name| set(name)).count() + usize::from(blocks);
    if count != 1 {
        found.push(invalid(
            "type",
            "Exactly one of source_content, source_file, source_dir and source must say what to archive.",
        ));
    }
    if set(&"source_content") != set(&"source_content_filename") {
        found.push(invalid(
            "source_content_filename",
            "source_content and source_content_filename belong together.",
        ));
    }
    if let Some(kind) = config.get("type").as_ref().and_then(Value::as_str)
        && !["zip", "tar.gz"].contains(&kind)
    {
        found.push(invalid(
            "type",
            format!("`type` must be zip or tar.gz, not {kind:?}."),
        ));
    }
    found
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::new("write the archive", "the program is ending")))
}

#[async_trait]
impl DataSource for ArchiveData {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn read(_client: &(), config: Self, _cx: &Context) -> Result<Self, Error> {
        in_background(|| config.write()).await
    }
}

#[async_trait]
impl Resource for ArchiveResource {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn create(
        _client: &(),
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(in_background(|| planned.write()).await?)
    }

    async fn read(_client: &(), prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        Ok(FilePath::new(&prior.output_path).is_file().then_some(prior))
    }

    async fn delete(_client: &(), _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("archive")
        .resource::<ArchiveResource>()
        .data_source::<ArchiveData>()
        .build(dialer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_leave_out_what_they_name() {
        for (pattern, path) in [
            ("a.txt", "a.txt"),
            ("dir", "dir"),
            ("dir/", "dir"),
            ("**/*.log", "a/b/c.log"),
            ("**/*.log", "c.log"),
            ("a/?.txt", "a/b.txt"),
        ] {
            assert!(excluded(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("*.txt", "a/b.txt"), ("a", "ab"), ("a/**/b", "a/c")] {
            assert!(!excluded(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn the_same_files_give_the_same_archive() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("in");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(root.join("sub/b.txt"), "b").unwrap();
        std::fs::write(root.join("a.txt"), "a").unwrap();
        std::fs::write(root.join("skip.log"), "x").unwrap();
        let wanted = || Wanted {
            content: None,
            content_filename: None,
            file: None,
            dir: root.to_str(),
            excludes: &[],
            no_links: false,
            mode: None,
            sources: &[],
        };
        for kind in ["zip", "tar.gz"] {
            let first = pack(kind, wanted().collect().unwrap()).unwrap();
            assert_eq!(first, pack(kind, wanted().collect().unwrap()).unwrap());
        }
        let excludes = ["*.log".to_owned()];
        let some = Wanted {
            excludes: &excludes,
            ..wanted()
        };
        let names: Vec<String> = some.collect().unwrap().into_keys().collect();
        assert_eq!(names, ["a.txt", "sub/b.txt"]);
    }
}
