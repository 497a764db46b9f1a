//! Compressed files that the server cannot unpack itself: it does so for ISO content only, and knows no xz.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};

/// What this machine unpacks.
pub(crate) const ALGORITHMS: [&str; 4] = ["gz", "zst", "bz2", "xz"];

/// Unpacks one file into another, which is then at its beginning; how many bytes it has.
pub(crate) fn unpack(algorithm: &str, from: File, into: &mut File) -> io::Result<u64> {
    let mut packed = BufReader::new(from);
    let mut out = BufWriter::new(&mut *into);
    match algorithm {
        "xz" => lzma_rs::xz_decompress(&mut packed, &mut out)
            .map_err(|e| io::Error::other(e.to_string()))?,
        "zst" => frames(packed, &mut out)?,
        "bz2" => copy(bzip2::read::MultiBzDecoder::new(packed), &mut out)?,
        _ => copy(flate2::read::MultiGzDecoder::new(packed), &mut out)?,
    }
    out.flush()?;
    drop(out);
    let size = into.stream_position()?;
    into.rewind()?;
    Ok(size)
}

fn copy(mut from: impl Read, into: &mut impl io::Write) -> io::Result<()> {
    io::copy(&mut from, into).map(|_| ())
}

/// Zstandard files may have several frames, one behind the other.
fn frames(mut packed: impl io::BufRead, into: &mut impl io::Write) -> io::Result<()> {
    while !packed.fill_buf()?.is_empty() {
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut packed);
        copy(decoder.map_err(|e| io::Error::other(e.to_string()))?, into)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let content = vec![7; 100_000];
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&content).unwrap();
        let gz = gz.finish().unwrap();
        let mut xz = Vec::new();
        lzma_rs::xz_compress(&mut content.as_slice(), &mut xz).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zst = ruzstd::encoding::compress_to_vec(content.as_slice(), level);
        let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz2.write_all(&content).unwrap();
        let bz2 = bz2.finish().unwrap();
        for (algorithm, packed) in [("gz", gz), ("xz", xz), ("zst", zst), ("bz2", bz2)] {
            // Twice, one behind the other, where the format knows that.
            let times = if algorithm == "xz" { 1 } else { 2 };
            let mut out = tempfile::tempfile().unwrap();
            let size = unpack(algorithm, file(&packed.repeat(times)), &mut out).unwrap();
            assert_eq!(size, 100_000 * times as u64, "{algorithm}");
            let mut found = Vec::new();
            out.read_to_end(&mut found).unwrap();
            assert_eq!(found, content.repeat(times), "{algorithm}");
        }
    }

    #[test]
    fn what_is_not_packed_is_an_error() {
        for algorithm in ALGORITHMS {
            let mut out = tempfile::tempfile().unwrap();
            let plain = file(b"not packed at all");
            assert!(unpack(algorithm, plain, &mut out).is_err(), "{algorithm}");
        }
    }
}
