//! Compression for `base64gzip`, with the same bytes that Terraform writes.
//!
//! Those bytes stand in people's state (cloud-init data, most of all), so that any other valid compression would show up as a
//! change. They are what Go's `compress/flate` gives at its default level: the choices of matches, of block ends and of code
//! lengths made here follow it; the format is RFC 1951 and RFC 1952.

mod block;
mod huffman;
mod matches;

use block::Writer;

/// A gzip stream without name and time.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    // Deflate, no flags, no time, no extra flags, unknown system.
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut writer = Writer::new(header.to_vec());
    matches::compress(data, &mut writer);
    // The reference flushes before it closes: an empty stored block for each.
    writer.stored(&[], false);
    writer.stored(&[], true);
    let mut out = writer.into_bytes();
    let mut crc = flate2::Crc::new();
    crc.update(data);
    out.extend(crc.sum().to_le_bytes());
    // The size is kept modulo 2^32.
    out.extend((data.len() as u32).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes)
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    #[test]
    fn bytes_are_those_of_the_reference() {
        let hex: String = gzip(b"hello").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "1f8b08000000000000ffca48cdc9c907000000ffff010000ffff86a6103605000000"
        );
    }

    #[test]
    fn long_inputs_come_back() {
        // Longer than several windows: runs, text with far matches, noise.
        let mut noise = 1u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise >> 16
        };
        let mut data = vec![b'a'; 100_000];
        for _ in 0..40_000 {
            data.extend(format!("word{} ", next() % 500).bytes());
        }
        data.extend((0..150_000).map(|_| next() as u8));
        data.extend_from_within(50_000..200_000);
        assert!(gunzip(&gzip(&data)) == data);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn everything_comes_back(data in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'x'), Just(b'y')], 0..3000)) {
            prop_assert_eq!(gunzip(&gzip(&data)), data);
        }
    }
}
