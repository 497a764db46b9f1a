//! The file of an etcd snapshot: a bolt database with the store's keys, and its SHA-256 at the end.
//!
//! Written is the least that bolt's readers take: two meta pages, an empty free list, and one leaf page whose values hold
//! the buckets. Read is any database.

use std::collections::BTreeMap;

use prost::Message;
use sha2::{Digest, Sha256};

const PAGE: usize = 4096;
const PAGE_HEADER: usize = 16;
const ELEMENT: usize = 16;
const BUCKET_HEADER: usize = 16;
const MAGIC: u32 = 0xed0c_daed;
const VERSION: u32 = 2;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const META: u16 = 4;
const FREE_LIST: u16 = 16;
/// An element whose value is a bucket.
const IS_BUCKET: u32 = 1;
/// How deep trees and buckets may be nested in a file from outside.
const DEPTH: usize = 32;
const HASH: usize = 32;

/// A key of the store with its value.
pub(crate) type Entry = (String, Vec<u8>);

/// A value with its history, as etcd keeps it.
#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(int64, tag = "4")]
    version: i64,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("snapshot missing hash but --skip-hash-check=false")]
    NoHash,
    #[error("expected sha256 {expected}, got {found}")]
    WrongHash { expected: String, found: String },
    #[error("the snapshot is no database: {0}")]
    Malformed(&'static str),
}

/// Makes a snapshot of these entries at a position of etcd's log.
pub(crate) fn write(entries: &[Entry], index: u64, term: u64) -> Vec<u8> {
    let keys = entries.iter().enumerate().map(|(i, (key, value))| {
        let revision = i64::try_from(i).unwrap_or(i64::MAX).saturating_add(2);
        let stored = KeyValue {
            key: key.clone().into_bytes(),
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            value: value.clone(),
        };
        (revision_key(revision), stored.encode_to_vec())
    });
    let keys: Vec<(Vec<u8>, Vec<u8>)> = keys.collect();
    let meta = vec![
        (b"confState".to_vec(), b"{\"voters\":[1]}".to_vec()),
        (b"consistent_index".to_vec(), index.to_be_bytes().to_vec()),
        (b"storageVersion".to_vec(), b"3.6.0".to_vec()),
        (b"term".to_vec(), term.to_be_bytes().to_vec()),
    ];
    let cluster = vec![(b"clusterVersion".to_vec(), b"3.6.0".to_vec())];
    // In the order of their names.
    let buckets: Vec<(Vec<u8>, Vec<u8>)> = [
        ("alarm", Vec::new()),
        ("auth", Vec::new()),
        ("cluster", cluster),
        ("key", keys),
        ("lease", Vec::new()),
        ("members", Vec::new()),
        ("members_removed", Vec::new()),
        ("meta", meta),
    ]
    .into_iter()
    .map(|(name, entries)| (name.as_bytes().to_vec(), bucket(&entries)))
    .collect();
    let mut root = leaf(3, &buckets, IS_BUCKET);
    let pages = root.len().div_ceil(PAGE).max(1);
    root.resize(pages * PAGE, 0);
    if let Some(overflow) = root.get_mut(12..16) {
        let count = u32::try_from(pages - 1).unwrap_or(u32::MAX);
        overflow.copy_from_slice(&count.to_le_bytes());
    }
    let end = 3 + pages as u64;
    let mut file = Vec::with_capacity(root.len() + 3 * PAGE + HASH);
    file.extend(meta_page(0, end));
    file.extend(meta_page(1, end));
    let mut free = page_header(2, FREE_LIST, 0);
    free.resize(PAGE, 0);
    file.extend(free);
    file.extend(root);
    let hash = Sha256::digest(&file);
    file.extend(hash);
    file
}

/// A revision as a key: its number, `_`, and the change's number within it.
fn revision_key(revision: i64) -> Vec<u8> {
    let mut key = revision.to_be_bytes().to_vec();
    key.push(b'_');
    key.extend(0_i64.to_be_bytes());
    key
}

fn page_header(id: u64, flags: u16, count: usize) -> Vec<u8> {
    let mut header = id.to_le_bytes().to_vec();
    header.extend(flags.to_le_bytes());
    header.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    header.extend(0_u32.to_le_bytes());
    header
}

/// A leaf page; `flags` of its elements.
fn leaf(id: u64, entries: &[(Vec<u8>, Vec<u8>)], flags: u32) -> Vec<u8> {
    let mut page = page_header(id, LEAF, entries.len());
    // Positions are counted from the element itself.
    let mut position = entries.len() * ELEMENT;
    for (key, value) in entries {
        for number in [flags, size(position), size(key.len()), size(value.len())] {
            page.extend(number.to_le_bytes());
        }
        position = position - ELEMENT + key.len() + value.len();
    }
    for (key, value) in entries {
        page.extend(key);
        page.extend(value);
    }
    page
}

fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A bucket that stands in its parent's page: no page of its own, no sequence.
fn bucket(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut value = vec![0; BUCKET_HEADER];
    value.extend(leaf(0, entries, 0));
    value
}

fn meta_page(number: u64, end: u64) -> Vec<u8> {
    let mut page = page_header(number, META, 0);
    let mut meta = Vec::with_capacity(64);
    for value in [MAGIC, VERSION, PAGE as u32, 0] {
        meta.extend(value.to_le_bytes());
    }
    // The root bucket's page and sequence, the free list, where the file ends, and the transaction.
    for value in [3, 0, 2, end, number] {
        meta.extend(u64::to_le_bytes(value));
    }
    let checksum = fnv(&meta);
    page.extend(meta);
    page.extend(checksum.to_le_bytes());
    page.resize(PAGE, 0);
    page
}

/// The hash FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The newest values in a snapshot, after its hash was found right. `skip_hash`: one copied from a disk has none.
pub(crate) fn read(file: &[u8], skip_hash: bool) -> Result<Vec<Entry>, Error> {
    let has_hash = file.len() % 512 == HASH;
    let database = match file.split_at_checked(file.len().saturating_sub(HASH)) {
        Some((database, hash)) if has_hash => {
            let found = Sha256::digest(database);
            if !skip_hash && found.as_slice() != hash {
                return Err(Error::WrongHash {
                    expected: hex(hash),
                    found: hex(&found),
                });
            }
            database
        }
        _ if skip_hash => file,
        _ => return Err(Error::NoHash),
    };
    let meta = Reader(database).newest_meta()?;
    let reader = Reader(database);
    let mut top = BTreeMap::new();
    reader.tree(meta.page_size, meta.root, 0, &mut top)?;
    let Some((_, keys)) = top.remove(b"key".as_slice()) else {
        return Err(Error::Malformed("it has no bucket \"key\""));
    };
    let revisions = reader.bucket(meta.page_size, &keys)?;
    let mut values = BTreeMap::new();
    for (revision, (_, stored)) in revisions {
        let stored = KeyValue::decode(stored.as_slice())
            .map_err(|_| Error::Malformed("a value is not one of etcd's"))?;
        let Ok(key) = String::from_utf8(stored.key) else {
            continue;
        };
        // A revision that ends in `t` is a deletion.
        match revision.len() > 17 {
            true => drop(values.remove(&key)),
            false => drop(values.insert(key, stored.value)),
        }
    }
    Ok(values.into_iter().collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

struct Meta {
    page_size: usize,
    root: u64,
}

/// Keys with their elements' flags and values.
type Elements = BTreeMap<Vec<u8>, (u32, Vec<u8>)>;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn u32(bytes: &[u8], at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
    }

    fn u64(bytes: &[u8], at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
    }

    fn meta(&self, at: usize) -> Option<(u64, Meta)> {
        let bytes = self.0.get(at + PAGE_HEADER..)?.get(..64)?;
        let (content, checksum) = bytes.split_at_checked(56)?;
        let valid = Self::u32(bytes, 0)? == MAGIC
            && Self::u32(bytes, 4)? == VERSION
            && Self::u64(checksum, 0)? == fnv(content);
        let page_size = usize::try_from(Self::u32(bytes, 8)?).ok()?;
        let meta = Meta {
            page_size,
            root: Self::u64(bytes, 16)?,
        };
        (valid && page_size >= 512).then_some((Self::u64(bytes, 48)?, meta))
    }

    fn newest_meta(&self) -> Result<Meta, Error> {
        let first = self.meta(0);
        let size = first.as_ref().map_or(PAGE, |(_, m)| m.page_size);
        let all = [first, self.meta(size)].into_iter().flatten();
        let newest = all.max_by_key(|(transaction, _)| *transaction);
        newest
            .map(|(_, meta)| meta)
            .ok_or(Error::Malformed("it has no valid meta page"))
    }

    /// Everything below a page.
    fn tree(
        &self,
        page_size: usize,
        page: u64,
        depth: usize,
        found: &mut Elements,
    ) -> Result<(), Error> {
        let at = usize::try_from(page)
            .ok()
            .and_then(|p| p.checked_mul(page_size));
        let bytes = at.and_then(|at| self.0.get(at..));
        let bytes = bytes.ok_or(Error::Malformed("a page lies outside"))?;
        self.page(page_size, bytes, depth, found)
    }

    fn page(
        &self,
        page_size: usize,
        bytes: &[u8],
        depth: usize,
        found: &mut Elements,
    ) -> Result<(), Error> {
        const OUTSIDE: Error = Error::Malformed("an element lies outside its page");
        if depth > DEPTH {
            return Err(Error::Malformed("its pages are nested too deeply"));
        }
        let number = |at: usize| -> Option<u16> {
            Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
        };
        let (flags, count) = (number(8).ok_or(OUTSIDE)?, number(10).ok_or(OUTSIDE)?);
        for i in 0..usize::from(count) {
            let element = bytes.get(PAGE_HEADER + i * ELEMENT..).ok_or(OUTSIDE)?;
            if flags & BRANCH != 0 {
                let child = Self::u64(element, 8).ok_or(OUTSIDE)?;
                self.tree(page_size, child, depth + 1, found)?;
                continue;
            }
            if flags & LEAF == 0 {
                return Err(Error::Malformed("a page is neither leaf nor branch"));
            }
            let field = |at| Self::u32(element, at).and_then(|n| usize::try_from(n).ok());
            let part = (|| {
                let (position, key, value) = (field(4)?, field(8)?, field(12)?);
                let key = element.get(position..)?.get(..key)?;
                let value = element.get(position + key.len()..)?.get(..value)?;
                Some((key.to_vec(), (Self::u32(element, 0)?, value.to_vec())))
            })();
            let (key, value) = part.ok_or(OUTSIDE)?;
            found.insert(key, value);
        }
        Ok(())
    }

    /// What is in a bucket, be it in pages of its own or in this value.
    fn bucket(&self, page_size: usize, value: &[u8]) -> Result<Elements, Error> {
        let mut found = BTreeMap::new();
        let root = Self::u64(value, 0).ok_or(Error::Malformed("a bucket has no header"))?;
        match root {
            0 => {
                let page = value.get(BUCKET_HEADER..).unwrap_or_default();
                self.page(page_size, page, 0, &mut found)?;
            }
            root => self.tree(page_size, root, 0, &mut found)?,
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        (0..500)
            .map(|i| (format!("/registry/pods/default/{i:03}"), vec![i as u8; 50]))
            .collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = write(&entries(), 1234, 5);
        assert_eq!(file.len() % 512, HASH);
        assert_eq!(read(&file, false).unwrap(), entries());
        assert_eq!(read(&write(&[], 1, 1), false).unwrap(), []);
    }

    #[test]
    fn the_hash_is_checked_unless_it_is_skipped() {
        let mut file = write(&entries(), 1234, 5);
        let without = file[..file.len() - HASH].to_vec();
        assert_eq!(read(&without, false), Err(Error::NoHash));
        assert_eq!(read(&without, true).unwrap(), entries());
        let last = file.len() - 1;
        file[last] ^= 1;
        assert!(matches!(read(&file, false), Err(Error::WrongHash { .. })));
        assert_eq!(read(&file, true).unwrap(), entries());
    }

    #[test]
    fn damaged_files_are_refused_without_panic() {
        let file = write(&entries(), 1234, 5);
        for cut in [0, 1, 31, 32, 512, 5000, file.len() / 2] {
            assert!(read(&file[..cut], true).is_err(), "{cut}");
        }
        for at in (3 * PAGE..file.len() - HASH).step_by(7) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            let _ = read(&damaged, true);
        }
    }
}
