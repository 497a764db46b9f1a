//! Compression for `base64gzip`.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

/// A gzip stream without name and time.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut writer = GzBuilder::new()
        .operating_system(255)
        .write(Vec::new(), Compression::default());
    let written = writer
        .write_all(data)
        .and_then(|()| writer.flush())
        .and_then(|()| writer.finish());
    // Writing into memory does not fail.
    written.unwrap_or_default()
}
