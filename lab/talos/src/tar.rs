//! Entries of tar archives (ustar).

use crate::node::{Content, File};

const BLOCK: usize = 512;

/// Appends one entry; `modified` in seconds since 1970. A name of more than 100 bytes is divided at a slash, as the format has it.
pub(crate) fn entry(tar: &mut Vec<u8>, name: &str, file: &File, modified: u64) {
    let (kind, link, contents): (u8, &str, &[u8]) = match &file.content {
        Content::Folder => (b'5', "", &[]),
        Content::Link(target) => (b'2', target, &[]),
        Content::Text(bytes) => (b'0', "", bytes),
    };
    tar.extend(header(
        name,
        file.mode,
        contents.len(),
        modified,
        kind,
        link,
    ));
    tar.extend(contents);
    let end = tar.len().next_multiple_of(BLOCK);
    tar.resize(end, 0);
}

/// The block in front of a file.
pub(crate) fn header(
    name: &str,
    mode: u32,
    size: usize,
    modified: u64,
    kind: u8,
    link: &str,
) -> [u8; BLOCK] {
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, length: usize, bytes: &[u8]| {
        for (target, byte) in block.iter_mut().skip(at).take(length).zip(bytes) {
            *target = *byte;
        }
    };
    let (prefix, name) = divided(name);
    put(0, 100, name.as_bytes());
    put(345, 155, prefix.as_bytes());
    put(100, 8, format!("{mode:07o}\0").as_bytes());
    put(108, 8, b"0000000\0");
    put(116, 8, b"0000000\0");
    put(124, 12, format!("{size:011o}\0").as_bytes());
    put(136, 12, format!("{modified:011o}\0").as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, 100, link.as_bytes());
    put(257, 8, b"ustar\x0000");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    for (target, byte) in block
        .iter_mut()
        .skip(148)
        .zip(format!("{sum:06o}\0 ").bytes())
    {
        *target = byte;
    }
    block
}

/// A name's beginning, which stands in a field of its own, and the rest; what does not fit so either is cut.
fn divided(name: &str) -> (&str, &str) {
    if name.len() <= 100 {
        return ("", name);
    }
    let mut halves = name.match_indices('/').map(|(at, _)| name.split_at(at));
    let fitting = halves.find(|(before, rest)| before.len() <= 155 && rest.len() <= 101);
    fitting.map_or(("", name), |(before, rest)| {
        (before, rest.trim_start_matches('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_divided_at_a_slash() {
        let (folder, file) = ("f".repeat(90), "n".repeat(60));
        let block = header(&format!("{folder}/{file}"), 0o644, 0, 0, b'0', "");
        assert_eq!(block.get(..61).unwrap(), format!("{file}\0").as_bytes());
        assert_eq!(
            block.get(345..436).unwrap(),
            format!("{folder}\0").as_bytes()
        );
        let short = header("a/b", 0o644, 0, 0, b'0', "");
        assert_eq!(short.get(..4).unwrap(), b"a/b\0");
    }
}
