//! `-type=…`: which types are of interest.

/// Whether a type is of interest: whether one of the patterns is its name or the end of it. No pattern wants all.
pub(super) fn is_wanted(patterns: &[String], type_name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, type_name))
}

/// `vm` fits `proxmox_virtual_environment_vm`, and so does `*_vm`.
fn fits(pattern: &str, type_name: &str) -> bool {
    let ends = type_name.match_indices('_').map(|(at, _)| at + 1);
    let mut ends = std::iter::once(0).chain(ends);
    ends.any(|at| {
        let end = type_name.get(at..).unwrap_or_default();
        matches(pattern.as_bytes(), end.as_bytes())
    })
}

/// `*` stands for anything, `?` for one letter.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where the last star stood, and how far the text had been read then.
    let mut star = None;
    let (mut p, mut t) = (0, 0);
    while let Some(letter) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if c == letter || *c == b'?' => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // The star takes one letter more.
                Some((at, read)) => {
                    star = Some((at, read + 1));
                    p = at + 1;
                    t = read + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whole_words_at_the_end() {
        let vm = "proxmox_virtual_environment_vm";
        for pattern in ["vm", "*_vm", "proxmox_*", vm, "?m", "*"] {
            assert!(is_wanted(&[pattern.to_owned()], vm), "{pattern}");
        }
        for pattern in ["m", "virtual", "vm_*", "", "??m"] {
            assert!(!is_wanted(&[pattern.to_owned()], vm), "{pattern}");
        }
        assert!(is_wanted(&[], vm));
        assert!(is_wanted(&["sdn_*".to_owned()], "proxmox_sdn_zone_simple"));
    }
}
