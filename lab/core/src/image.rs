//! Disk images of the lab: a label in place of gigabytes, plain or compressed as the published images are.

use std::io::{self, Read, Write};

use crate::machine::{IMAGE_MAGIC, ImageLabel};

/// Longest label that is looked for.
const LABEL_LIMIT: u64 = 64 << 10;

/// How an image file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
}

impl Compression {
    /// By the first bytes of a file.
    pub fn detect(bytes: &[u8]) -> Compression {
        match bytes {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            _ => Compression::None,
        }
    }

    /// Packs bytes this way.
    pub fn pack(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Compression::None => Ok(bytes.to_vec()),
            Compression::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Compression::Zstd => Ok(ruzstd::encoding::compress_to_vec(
                bytes,
                ruzstd::encoding::CompressionLevel::Uncompressed,
            )),
            Compression::Xz => {
                let mut packed = Vec::new();
                lzma_rs::xz_compress(&mut &*bytes, &mut packed)?;
                Ok(packed)
            }
        }
    }

    /// Unpacks bytes packed this way; refuses more than `limit` bytes.
    pub fn unpack(self, bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let unpacked = self.head(bytes, limit.saturating_add(1))?;
        if unpacked.len() as u64 > limit {
            return Err(io::Error::other(format!(
                "unpacks to more than {limit} bytes"
            )));
        }
        Ok(unpacked)
    }

    /// The first `limit` bytes of what was packed this way.
    fn head(self, bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Compression::None => drop(bytes.take(limit).read_to_end(&mut out)?),
            Compression::Gzip => drop(
                flate2::read::MultiGzDecoder::new(bytes)
                    .take(limit)
                    .read_to_end(&mut out)?,
            ),
            Compression::Zstd => {
                let decoder =
                    ruzstd::decoding::StreamingDecoder::new(bytes).map_err(io::Error::other)?;
                decoder.take(limit).read_to_end(&mut out)?;
            }
            Compression::Xz => {
                let mut bounded = Bounded {
                    out: &mut out,
                    left: limit,
                };
                let ended = lzma_rs::xz_decompress(&mut &*bytes, &mut bounded);
                // A full buffer ends the decoder with an error of ours; that is enough for a head.
                if bounded.left > 0 {
                    ended.map_err(|error| io::Error::other(format!("xz: {error:?}")))?;
                }
            }
        }
        Ok(out)
    }
}

/// Takes so many bytes and refuses the rest.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    left: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let fits = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        if fits == 0 && !buf.is_empty() {
            return Err(io::Error::other("limit reached"));
        }
        self.out.extend(buf.iter().take(fits));
        self.left -= fits as u64;
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ImageLabel {
    /// An image file with this label.
    pub fn to_image(&self) -> io::Result<Vec<u8>> {
        let mut image = IMAGE_MAGIC.to_vec();
        serde_json::to_writer(&mut image, self).map_err(io::Error::other)?;
        image.push(b'\n');
        Ok(image)
    }

    /// The label of an image file, packed or not; `None` when it has none (it is no image of the lab).
    pub fn from_image(bytes: &[u8]) -> io::Result<Option<ImageLabel>> {
        let head = Compression::detect(bytes).head(bytes, LABEL_LIMIT)?;
        let Some(label) = head.strip_prefix(IMAGE_MAGIC) else {
            return Ok(None);
        };
        let end = label
            .iter()
            .position(|b| *b == b'\n')
            .unwrap_or(label.len());
        let label = label.get(..end).unwrap_or(label);
        serde_json::from_slice(label)
            .map(Some)
            .map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packing_gives_the_label_back() {
        let label = ImageLabel {
            os: "talos".into(),
            version: "v1.12.0".into(),
            schematic: "abc".into(),
            guest_agent: true,
        };
        let image = label.to_image().unwrap();
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Zstd,
            Compression::Xz,
        ] {
            let packed = compression.pack(&image).unwrap();
            assert_eq!(Compression::detect(&packed), compression);
            assert_eq!(
                ImageLabel::from_image(&packed).unwrap().as_ref(),
                Some(&label),
                "{compression:?}"
            );
            assert_eq!(compression.unpack(&packed, 1 << 20).unwrap(), image);
            assert!(compression.unpack(&packed, 10).is_err());
        }
    }

    #[test]
    fn anything_else_has_no_label_and_broken_packing_is_an_error() {
        assert_eq!(ImageLabel::from_image(b"QFI\xfb whatever").unwrap(), None);
        assert_eq!(ImageLabel::from_image(b"").unwrap(), None);
        assert!(ImageLabel::from_image(&[0x1f, 0x8b, 1, 2, 3]).is_err());
        assert!(ImageLabel::from_image(&[0x28, 0xb5, 0x2f, 0xfd, 9]).is_err());
    }

    #[test]
    fn a_label_at_the_head_of_a_large_packed_image_is_found() {
        let label = ImageLabel {
            os: "ubuntu".into(),
            version: "24.04".into(),
            schematic: String::new(),
            guest_agent: false,
        };
        let mut image = label.to_image().unwrap();
        image.resize(1 << 20, 0);
        for compression in [Compression::Gzip, Compression::Zstd, Compression::Xz] {
            let packed = compression.pack(&image).unwrap();
            assert_eq!(
                ImageLabel::from_image(&packed).unwrap().as_ref(),
                Some(&label),
                "{compression:?}"
            );
        }
    }
}
