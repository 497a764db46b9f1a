//! `hashicorp/local` 2.x: files on this machine.

use std::path::Path as FilePath;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use stead_sdk::value::{CallError, Diagnostics, FunctionSignature, Sensitive, Type, Value};
use stead_sdk::{
    Context, Cut, DataSource, Dialer, Error, Failure, Native, ProviderFactory, Resource, Resumed,
    async_trait,
};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use crate::generated::invalid;
use crate::random::hex;

/// A file with the given content.
#[derive(Clone, Debug, Resource)]
#[resource(name = "local_file")]
struct LocalFile {
    /// Where to write it; missing folders are made, an existing file is overwritten.
    #[attr(required, replace)]
    filename: String,
    /// The content, as text.
    #[attr(optional, replace)]
    content: Option<String>,
    /// The content, in base64.
    #[attr(optional, replace)]
    content_base64: Option<String>,
    /// A file to copy the content from.
    #[attr(optional, replace)]
    source: Option<String>,
    /// The content, as text that is not shown.
    #[attr(optional, sensitive, replace, deprecated = "Use local_sensitive_file.")]
    sensitive_content: Option<Sensitive<String>>,
    /// The file's mode, octal, before the umask.
    #[attr(optional, computed, default = "0777", replace)]
    file_permission: String,
    /// The mode of folders that are made, octal, before the umask.
    #[attr(optional, computed, default = "0777", replace)]
    directory_permission: String,
    /// The content's SHA-1, hexadecimal.
    #[attr(computed)]
    id: String,
    #[attr(computed)]
    content_md5: String,
    #[attr(computed)]
    content_sha1: String,
    #[attr(computed)]
    content_sha256: String,
    #[attr(computed)]
    content_base64sha256: String,
    #[attr(computed)]
    content_sha512: String,
    #[attr(computed)]
    content_base64sha512: String,
}

/// A file whose content is not shown.
#[derive(Clone, Debug, Resource)]
#[resource(name = "local_sensitive_file")]
struct LocalSensitiveFile {
    /// Where to write it; missing folders are made, an existing file is overwritten.
    #[attr(required, replace)]
    filename: String,
    /// The content, as text.
    #[attr(optional, sensitive, replace)]
    content: Option<Sensitive<String>>,
    /// The content, in base64.
    #[attr(optional, sensitive, replace)]
    content_base64: Option<Sensitive<String>>,
    /// A file to copy the content from.
    #[attr(optional, replace)]
    source: Option<String>,
    /// The file's mode, octal, before the umask.
    #[attr(optional, computed, default = "0700", replace)]
    file_permission: String,
    /// The mode of folders that are made, octal, before the umask.
    #[attr(optional, computed, default = "0700", replace)]
    directory_permission: String,
    /// The content's SHA-1, hexadecimal.
    #[attr(computed)]
    id: String,
    #[attr(computed)]
    content_md5: String,
    #[attr(computed)]
    content_sha1: String,
    #[attr(computed)]
    content_sha256: String,
    #[attr(computed)]
    content_base64sha256: String,
    #[attr(computed)]
    content_sha512: String,
    #[attr(computed)]
    content_base64sha512: String,
}

/// A file's content.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "local_file")]
struct LocalFileData {
    /// The file to read.
    #[attr(required)]
    filename: String,
    /// The content as text; what is not UTF-8 is replaced by U+FFFD.
    #[attr(computed)]
    content: String,
    /// The content in base64.
    #[attr(computed)]
    content_base64: String,
    /// The content's SHA-1, hexadecimal.
    #[attr(computed)]
    id: String,
    #[attr(computed)]
    content_md5: String,
    #[attr(computed)]
    content_sha1: String,
    #[attr(computed)]
    content_sha256: String,
    #[attr(computed)]
    content_base64sha256: String,
    #[attr(computed)]
    content_sha512: String,
    #[attr(computed)]
    content_base64sha512: String,
}

/// A file's content, not shown.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "local_sensitive_file")]
struct LocalSensitiveFileData {
    /// The file to read.
    #[attr(required)]
    filename: String,
    /// The content as text; what is not UTF-8 is replaced by U+FFFD.
    #[attr(computed, sensitive)]
    content: Option<Sensitive<String>>,
    /// The content in base64.
    #[attr(computed, sensitive)]
    content_base64: Option<Sensitive<String>>,
    /// The content's SHA-1, hexadecimal.
    #[attr(computed)]
    id: String,
    #[attr(computed)]
    content_md5: String,
    #[attr(computed)]
    content_sha1: String,
    #[attr(computed)]
    content_sha256: String,
    #[attr(computed)]
    content_base64sha256: String,
    #[attr(computed)]
    content_sha512: String,
    #[attr(computed)]
    content_base64sha512: String,
}

struct Checksums {
    md5: String,
    sha1: String,
    sha256: String,
    base64sha256: String,
    sha512: String,
    base64sha512: String,
}

impl Checksums {
    fn of(content: &[u8]) -> Checksums {
        let (sha256, sha512) = (Sha256::digest(content), Sha512::digest(content));
        Checksums {
            md5: hex(&Md5::digest(content)),
            sha1: sha1_of(content),
            sha256: hex(&sha256),
            base64sha256: STANDARD.encode(sha256),
            sha512: hex(&sha512),
            base64sha512: STANDARD.encode(sha512),
        }
    }
}

fn sha1_of(content: &[u8]) -> String {
    hex(&Sha1::digest(content))
}

/// Fills in the checksum fields, which every type here has.
macro_rules! with_checksums {
    ($file:expr, $content:expr, $type:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let sums = Checksums::of($content);
        $type {
            $($field: $value,)*
            id: sums.sha1.clone(),
            content_md5: sums.md5,
            content_sha1: sums.sha1,
            content_sha256: sums.sha256,
            content_base64sha256: sums.base64sha256,
            content_sha512: sums.sha512,
            content_base64sha512: sums.base64sha512,
            ..$file
        }
    }};
}

/// Exactly one of the ways to give content, and modes that are modes.
fn validate(config: &Value, ways: &[&str]) -> Diagnostics {
    let mut found = Diagnostics::new();
    let set: Vec<&str> = ways
        .iter()
        .copied()
        .filter(|w| config.get(w).is_some_and(|v| !v.is_null()))
        .collect();
    let unknown = ways
        .iter()
        .any(|w| config.get(w).is_some_and(|v| !v.is_known()));
    if set.len() != 1 && !(unknown && set.len() > 1) {
        let all = ways.join(", ");
        found.push(invalid(
            set.get(1).or(ways.first()).copied().unwrap_or("content"),
            format!("Exactly one of {all} must be set."),
        ));
    }
    for name in ["file_permission", "directory_permission"] {
        if let Some(text) = config.get(name).as_ref().and_then(Value::as_str)
            && mode(text).is_none()
        {
            found.push(invalid(
                name,
                format!(
                    "`{name}` must be three or four octal digits such as \"0644\", not {text:?}."
                ),
            ));
        }
    }
    if let Some(text) = config
        .get("content_base64")
        .as_ref()
        .and_then(Value::as_str)
        && STANDARD.decode(text).is_err()
    {
        found.push(invalid("content_base64", "`content_base64` is not base64."));
    }
    found
}

fn mode(text: &str) -> Option<u32> {
    let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    octal.then(|| u32::from_str_radix(text, 8).ok()).flatten()
}

fn file_error(asked: &str, file: &str, error: &std::io::Error) -> Error {
    Error::new(format!("{asked} the file {file}"), error.to_string()).attribute("filename")
}

async fn content(
    text: Option<&str>,
    base64: Option<&str>,
    source: Option<&str>,
) -> Result<Vec<u8>, Error> {
    if let Some(text) = text {
        return Ok(text.as_bytes().to_vec());
    }
    if let Some(base64) = base64 {
        let failed = |_| {
            Error::new("decode `content_base64`", "it is not base64").attribute("content_base64")
        };
        return STANDARD.decode(base64).map_err(failed);
    }
    match source {
        Some(file) => fs::read(file)
            .await
            .map_err(|e| file_error("read", file, &e).attribute("source")),
        None => Ok(Vec::new()),
    }
}

async fn write(
    file: &str,
    content: &[u8],
    file_mode: &str,
    folder_mode: &str,
) -> Result<(), Error> {
    let failed = |e: std::io::Error| file_error("write", file, &e);
    if let Some(folder) = FilePath::new(file)
        .parent()
        .filter(|f| !f.as_os_str().is_empty())
    {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(mode(folder_mode).unwrap_or(0o777));
        builder.create(folder).await.map_err(failed)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(mode(file_mode).unwrap_or(0o600));
    let mut open = options.open(file).await.map_err(failed)?;
    open.write_all(content).await.map_err(failed)?;
    open.flush().await.map_err(failed)
}

/// Whether the file is there with the content that was written. One that was changed counts as gone, and is made again.
async fn is_as_written(file: &str, sha1: &str) -> Result<bool, Error> {
    match fs::read(file).await {
        Ok(content) => Ok(sha1_of(&content) == sha1),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file_error("read", file, &error)),
    }
}

async fn remove(file: &str) -> Result<(), Error> {
    match fs::remove_file(file).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(file_error("remove", file, &error))
        }
        _ => Ok(()),
    }
}

impl LocalFile {
    async fn bytes(&self) -> Result<Vec<u8>, Error> {
        let secret = self.sensitive_content.as_ref();
        let text = secret
            .map(Sensitive::expose_secret)
            .or(self.content.as_ref());
        let text = text.map(String::as_str);
        content(text, self.content_base64.as_deref(), self.source.as_deref()).await
    }
}

impl LocalSensitiveFile {
    async fn bytes(&self) -> Result<Vec<u8>, Error> {
        let exposed =
            |secret: &Option<Sensitive<String>>| secret.as_ref().map(|s| s.expose_secret().clone());
        let (text, base64) = (exposed(&self.content), exposed(&self.content_base64));
        content(text.as_deref(), base64.as_deref(), self.source.as_deref()).await
    }
}

/// The two resources that are files: they differ in what is secret about their content, and in where it may come from.
macro_rules! file_resource {
    ($kind:ident, $sources:expr) => {
        #[async_trait]
        impl Resource for $kind {
            type Client = ();

            fn validate(config: &Value) -> Diagnostics {
                validate(config, &$sources)
            }

            async fn create(
                _client: &(),
                planned: Self,
                _config: &Value,
                _cx: &Context,
            ) -> Result<Self, Failure<Self>> {
                let bytes = planned.bytes().await?;
                let (file, directory) = (&planned.file_permission, &planned.directory_permission);
                write(&planned.filename, &bytes, file, directory).await?;
                Ok(with_checksums!(planned, &bytes, $kind {}))
            }

            async fn read(_client: &(), prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
                let kept = is_as_written(&prior.filename, &prior.id).await?;
                Ok(kept.then_some(prior))
            }

            /// A file that was being written is there under the name that was planned, or it is not.
            async fn resume(
                _client: &(),
                cut: Cut<Self>,
                _cx: &Context,
            ) -> Result<Resumed<Self>, Error> {
                let planned = cut.planned;
                let bytes = planned.bytes().await?;
                let there = match fs::read(&planned.filename).await {
                    Ok(there) => there,
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        return Ok(Resumed::Absent);
                    }
                    Err(e) => return Err(file_error("read", &planned.filename, &e)),
                };
                let file = with_checksums!(planned, &there, $kind {});
                // What was cut off in the midst of writing is there as well.
                Ok(match there == bytes {
                    true => Resumed::Complete(file),
                    false => Resumed::Unfit(file),
                })
            }

            async fn delete(_client: &(), prior: Self, _cx: &Context) -> Result<(), Error> {
                remove(&prior.filename).await
            }
        }
    };
}

file_resource!(
    LocalFile,
    ["content", "sensitive_content", "content_base64", "source"]
);
file_resource!(LocalSensitiveFile, ["content", "content_base64", "source"]);

#[async_trait]
impl DataSource for LocalFileData {
    type Client = ();

    async fn read(_client: &(), config: Self, _cx: &Context) -> Result<Self, Error> {
        let bytes = fs::read(&config.filename)
            .await
            .map_err(|e| file_error("read", &config.filename, &e))?;
        Ok(with_checksums!(
            config,
            &bytes,
            LocalFileData {
                content: String::from_utf8_lossy(&bytes).into_owned(),
                content_base64: STANDARD.encode(&bytes),
            }
        ))
    }
}

#[async_trait]
impl DataSource for LocalSensitiveFileData {
    type Client = ();

    async fn read(_client: &(), config: Self, _cx: &Context) -> Result<Self, Error> {
        let bytes = fs::read(&config.filename)
            .await
            .map_err(|e| file_error("read", &config.filename, &e))?;
        Ok(with_checksums!(
            config,
            &bytes,
            LocalSensitiveFileData {
                content: Some(String::from_utf8_lossy(&bytes).into_owned().into()),
                content_base64: Some(STANDARD.encode(&bytes).into()),
            }
        ))
    }
}

/// Whether a folder exists; a file of that name is a mistake.
fn direxists(args: &[Value]) -> Result<Value, CallError> {
    let path = args.first().and_then(Value::as_str).unwrap_or_default();
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(Value::bool(true)),
        Ok(_) => Err(CallError::argument(
            0,
            format!("Invalid file mode detected: {path:?} was found, but is not a directory"),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::bool(false)),
        Err(error) => Err(CallError::argument(
            0,
            format!("Error checking for directory: {error}"),
        )),
    }
}

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("local")
        .resource::<LocalFile>()
        .resource::<LocalSensitiveFile>()
        .data_source::<LocalFileData>()
        .data_source::<LocalSensitiveFileData>()
        .function(
            "direxists",
            FunctionSignature::new(
                "Whether a folder exists",
                [("path", Type::String)],
                Type::Bool,
            ),
            direxists,
        )
        .build(dialer)
}
