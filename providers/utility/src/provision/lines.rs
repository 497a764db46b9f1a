//! Bytes as they come to whole lines.

/// Cuts what a program prints into lines; the last one may lack its end.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn take(&mut self, bytes: &[u8], mut say: impl FnMut(&str)) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            say(&text(&line));
        }
    }

    pub(super) fn finish(&mut self, mut say: impl FnMut(&str)) {
        if !self.rest.is_empty() {
            say(&text(&std::mem::take(&mut self.rest)));
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim_end_matches(['\r', '\n'])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        for piece in [&b"a"[..], b"b\r\nc\n", b"\n", b"d"] {
            lines.take(piece, |line| said.push(line.to_owned()));
        }
        lines.finish(|line| said.push(line.to_owned()));
        assert_eq!(said, ["ab", "c", "", "d"]);
    }
}
