//! Snapshots of etcd: a database and etcd's own checksum behind it.
//!
//! The last 32 bytes are the SHA-256 of those before, which are a whole number of 512 byte blocks (etcd `snapshot/v3`). A database
//! file that was copied from a disk has no checksum.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

const SEAL: usize = 32;
const BLOCK: u64 = 512;

/// Looks at a snapshot as it comes in.
pub(crate) struct Reader {
    /// Of everything but the seal.
    content: Sha256,
    /// Of everything.
    whole: Sha256,
    /// The last bytes so far, at most as many as a seal has.
    tail: Vec<u8>,
    size: u64,
}

/// A snapshot that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Bytes.
    pub(crate) size: u64,
    /// Of the file, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// Why a file is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("it is empty")]
    Empty,
    #[error(
        "it has {0} bytes, which is no whole database with a checksum: it was cut off, or is something else"
    )]
    Size(u64),
    #[error("its content does not fit the checksum at its end: it is damaged")]
    Checksum,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            content: Sha256::new(),
            whole: Sha256::new(),
            tail: Vec::with_capacity(SEAL),
            size: 0,
        }
    }
}

impl Reader {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.tail.extend_from_slice(bytes);
        let settled = self.tail.len().saturating_sub(SEAL);
        let seal = self.tail.split_off(settled);
        self.content.update(&self.tail);
        self.tail = seal;
    }

    /// # Errors
    /// When what came in is not a whole snapshot.
    pub(crate) fn finish(self) -> Result<Summary, Broken> {
        if self.size == 0 {
            return Err(Broken::Empty);
        }
        if self.size % BLOCK != SEAL as u64 {
            return Err(Broken::Size(self.size));
        }
        if self.content.finalize().as_slice() != self.tail.as_slice() {
            return Err(Broken::Checksum);
        }
        Ok(Summary {
            size: self.size,
            sha256: hex(&self.whole.finalize()),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut bytes = content.to_vec();
        bytes.extend_from_slice(&Sha256::digest(content));
        bytes
    }

    fn read(bytes: &[u8], at_once: usize) -> Result<Summary, Broken> {
        let mut reader = Reader::default();
        for part in bytes.chunks(at_once) {
            reader.take(part);
        }
        reader.finish()
    }

    #[test]
    fn whole_ones_are_known_however_they_come_in() {
        let bytes = sealed(&[7; 1024]);
        let whole = hex(&Sha256::digest(&bytes));
        for at_once in [1, 31, 32, 33, 500, 5000] {
            let summary = read(&bytes, at_once).expect("whole");
            assert_eq!((summary.size, &summary.sha256), (1056, &whole), "{at_once}");
        }
    }

    #[test]
    fn what_is_cut_or_damaged_is_told() {
        let bytes = sealed(&[7; 1024]);
        assert_eq!(read(&[], 10), Err(Broken::Empty));
        assert_eq!(read(&bytes[..1000], 10), Err(Broken::Size(1000)));
        // What was copied from a disk has no seal.
        assert_eq!(read(&[7; 1024], 10), Err(Broken::Size(1024)));
        let mut damaged = bytes;
        damaged[3] ^= 1;
        assert_eq!(read(&damaged, 10), Err(Broken::Checksum));
    }
}
