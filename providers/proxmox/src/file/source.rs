//! Where the content of a file comes from: this machine, a URL, or the configuration itself.

use std::io::{Seek as _, Write as _};
use std::path::Path;

use stead_sdk::{Block, Context, Error, redact_url};

use crate::client::Client;
use crate::upstream::{self, Facts, Upstream, whole_seconds};

/// A file on this machine, or behind a URL.
#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct SourceFile {
    /// Found by a refresh when the source is another one than was uploaded: then the file is replaced. Not for configurations.
    #[attr(optional, default = false, replace)]
    pub(super) changed: bool,
    /// SHA-256, in hexadecimal digits.
    #[attr(optional, replace)]
    pub(super) checksum: String,
    /// What the file is called in the storage, when not as its source.
    #[attr(optional, replace)]
    pub(super) file_name: String,
    /// Trust any certificate of the URL's server.
    #[attr(optional, default = false, replace)]
    pub(super) insecure: bool,
    /// The oldest TLS version for a URL: `1.3` when it is not set, or `1.2`; nothing older is spoken.
    #[attr(optional, replace, one_of("", "1.0", "1.1", "1.2", "1.3"))]
    pub(super) min_tls: String,
    /// A path, or a URL that begins with `https://` or `http://`.
    #[attr(required, replace)]
    pub(super) path: String,
}

/// Content that stands in the configuration.
#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct SourceRaw {
    #[attr(required, replace)]
    pub(super) data: String,
    /// What the file is called in the storage.
    #[attr(required, replace)]
    pub(super) file_name: String,
    /// Bytes: spaces are added up to that length.
    #[attr(optional, default = 0, replace)]
    pub(super) resize: i64,
}

/// Content that is ready to be sent.
pub(super) struct Content {
    pub(super) file: std::fs::File,
    /// Bytes.
    pub(super) size: u64,
}

impl SourceRaw {
    /// The content, with its spaces.
    ///
    /// # Errors
    /// When it is longer than `resize`.
    pub(super) fn content(&self) -> Result<String, Error> {
        let wanted = usize::try_from(self.resize).unwrap_or(0);
        if wanted > 0 && self.data.len() > wanted {
            let said = format!("it has {} bytes, more than `resize` says", self.data.len());
            return Err(Error::new(format!("make {}", self.file_name), said));
        }
        let spaces = wanted.saturating_sub(self.data.len());
        Ok(self.data.clone() + &" ".repeat(spaces))
    }

    /// Whether a file of so many bytes can be this one; unknown ones may be anything.
    pub(super) fn is_as_long_as(&self, stored: Option<i64>) -> bool {
        let own = self.content().map(|content| content.len()).ok();
        let own = own.and_then(|length| i64::try_from(length).ok());
        stored.is_none_or(|stored| stored == 0 || Some(stored) == own)
    }

    pub(super) fn open(&self, client: &Client) -> Result<Content, Error> {
        let content = self.content()?;
        let mut file = client.temporary_file()?;
        file.write_all(content.as_bytes())
            .and_then(|()| file.rewind())
            .map_err(|e| Error::new("keep a file for its upload", e.to_string()))?;
        Ok(Content {
            file,
            size: content.len() as u64,
        })
    }
}

impl SourceFile {
    pub(super) fn is_url(&self) -> bool {
        self.path.starts_with("https://") || self.path.starts_with("http://")
    }

    /// What the file is called in the storage.
    ///
    /// # Errors
    /// When the source has no name.
    pub(super) fn name(&self) -> Result<String, Error> {
        if !self.file_name.is_empty() {
            return Ok(self.file_name.clone());
        }
        let name = match self.is_url() {
            true => crate::volume::name_of(&self.path),
            false => Path::new(&self.path)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        };
        name.ok_or_else(|| {
            Error::new("name the file", "its source ends in no name")
                .remedy("Set `file_name` in the block `source_file`.")
        })
    }

    fn upstream(&self) -> Upstream<'_> {
        Upstream {
            url: &self.path,
            insecure: self.insecure,
            only_1_3: matches!(self.min_tls.as_str(), "" | "1.3"),
        }
    }

    /// # Errors
    /// When the source cannot be looked at.
    pub(super) async fn facts(&self, client: &Client) -> Result<Facts, Error> {
        match self.is_url() {
            true => self.upstream().facts(client).await,
            false => std::fs::metadata(&self.path)
                .map(|about| local(&about))
                .map_err(|e| self.unreadable(&e)),
        }
    }

    /// The content, checked against its checksum.
    pub(super) async fn open(&self, client: &Client, cx: &Context) -> Result<Content, Error> {
        let blamed = |error: Error| error.attribute("source_file");
        let file = match self.is_url() {
            true => self.upstream().fetch(client, cx).await.map_err(blamed)?,
            false => std::fs::File::open(&self.path).map_err(|e| self.unreadable(&e))?,
        };
        let about = file.metadata().map_err(|e| self.unreadable(&e))?;
        if !about.is_file() {
            return Err(blamed(Error::new(self.asked(), "it is not a file")));
        }
        let file = match self.checksum.as_str() {
            "" => file,
            sum => upstream::check(file, "sha256", sum, &self.asked())
                .await
                .map_err(blamed)?,
        };
        Ok(Content {
            file,
            size: about.len(),
        })
    }

    fn asked(&self) -> String {
        match self.is_url() {
            true => format!("fetch {}", redact_url(&self.path)),
            false => format!("read {}", self.path),
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        Error::new(self.asked(), error.to_string()).attribute("source_file")
    }
}

fn local(about: &std::fs::Metadata) -> Facts {
    let modified = about.modified().ok();
    let modified = modified.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let seconds = modified.map_or(0, jiff::Timestamp::as_second);
    Facts {
        modified: whole_seconds(modified),
        size: i64::try_from(about.len()).ok(),
        tag: format!("{seconds:x}-{:x}", about.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_content_is_filled_up_with_spaces_and_never_cut() {
        let raw = |resize| SourceRaw {
            data: "abc".into(),
            file_name: "a".into(),
            resize,
        };
        assert_eq!(raw(0).content().unwrap(), "abc");
        assert_eq!(raw(5).content().unwrap(), "abc  ");
        assert!(raw(2).content().is_err());
    }

    #[test]
    fn a_file_has_its_sources_name_unless_it_gets_one() {
        let source = |path: &str, file_name: &str| SourceFile {
            path: path.into(),
            file_name: file_name.into(),
            ..SourceFile::default()
        };
        assert_eq!(source("images/a.iso", "").name().unwrap(), "a.iso");
        let url = "https://a.b/c/d%20e.iso?x=y";
        assert_eq!(source(url, "").name().unwrap(), "d e.iso");
        assert_eq!(source(url, "f.iso").name().unwrap(), "f.iso");
        assert!(source("https://a.b/", "").name().is_err());
    }
}
