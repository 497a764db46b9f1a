//! Unpacking: zip, and tar in its compressions. Nothing is written outside the directory.

use std::io::{Cursor, Read};
use std::path::Path;

use crate::FetchError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Zip,
    Tar,
    TarGzip,
    TarBzip2,
    TarXz,
    TarZstd,
}

const NAMES: [(&str, Format); 11] = [
    ("tar.gz", Format::TarGzip),
    ("tgz", Format::TarGzip),
    ("tar.bz2", Format::TarBzip2),
    ("tbz2", Format::TarBzip2),
    ("tar.xz", Format::TarXz),
    ("txz", Format::TarXz),
    ("tar.zst", Format::TarZstd),
    ("tzst", Format::TarZstd),
    ("tar.tzst", Format::TarZstd),
    ("zip", Format::Zip),
    ("tar", Format::Tar),
];

impl Format {
    /// By the end of a file's name.
    pub(crate) fn of_name(name: &str) -> Option<Format> {
        NAMES
            .iter()
            .find(|(end, _)| {
                name.strip_suffix(end)
                    .is_some_and(|stem| stem.ends_with('.'))
            })
            .map(|(_, format)| *format)
    }

    /// As `archive=` names it.
    pub(crate) fn named(name: &str) -> Option<Format> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, format)| *format)
    }
}

fn broken(error: impl std::fmt::Display) -> FetchError {
    FetchError::Archive(error.to_string())
}

pub(crate) fn unpack(format: Format, bytes: &[u8], into: &Path) -> Result<(), FetchError> {
    std::fs::create_dir_all(into).map_err(FetchError::disk(into))?;
    match format {
        Format::Zip => {
            let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
            archive.extract(into).map_err(broken)
        }
        Format::Tar => untar(bytes, into),
        Format::TarGzip => untar(flate2::read::MultiGzDecoder::new(bytes), into),
        Format::TarBzip2 => untar(bzip2::read::MultiBzDecoder::new(bytes), into),
        Format::TarXz => {
            let mut plain = Vec::new();
            lzma_rs::xz_decompress(&mut Cursor::new(bytes), &mut plain)
                .map_err(|e| FetchError::Archive(format!("{e:?}")))?;
            untar(plain.as_slice(), into)
        }
        Format::TarZstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(Cursor::new(bytes));
            untar(decoder.map_err(broken)?, into)
        }
    }
}

fn untar(reader: impl Read, into: &Path) -> Result<(), FetchError> {
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_mtime(false);
    archive.unpack(into).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_go_by_the_name() {
        assert_eq!(Format::of_name("/a/b.zip"), Some(Format::Zip));
        assert_eq!(Format::of_name("/a/b.tar.gz"), Some(Format::TarGzip));
        assert_eq!(Format::of_name("/a/b.tar"), Some(Format::Tar));
        assert_eq!(Format::of_name("/a/zip"), None);
        assert_eq!(Format::of_name("/a/b"), None);
        assert_eq!(Format::named("tar.gz"), Some(Format::TarGzip));
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        // `set_path` refuses this, a hostile archive does not.
        for (to, from) in header.as_old_mut().name.iter_mut().zip(b"../out") {
            *to = *from;
        }
        header.set_cksum();
        builder.append(&header, &b"x"[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("in");
        unpack(Format::Tar, &bytes, &inside).unwrap();
        assert!(!dir.path().join("out").exists());
    }
}
