//! "Did you mean …?"

/// How many letters may differ.
const LIMIT: usize = 2;

/// The known name that a misspelt one most likely means.
pub fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (distance(written, name), name))
        .filter(|(d, _)| *d <= LIMIT)
        .min_by_key(|(d, _)| *d)
        .map(|(_, name)| name)
}

/// The suggestion as a sentence with a leading space; empty without one.
pub(crate) fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(written, known).map_or_else(String::new, |name| format!(" Did you mean \"{name}\"?"))
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = *cell;
            left = substituted.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested() {
        let known = ["memory", "cpu", "network_device"];
        assert_eq!(
            did_you_mean("memroy", known.into_iter()),
            " Did you mean \"memory\"?"
        );
        assert_eq!(
            did_you_mean("network_devices", known.into_iter()),
            " Did you mean \"network_device\"?"
        );
        assert_eq!(did_you_mean("disk", known.into_iter()), "");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
