//! Which distribution a template holds.

/// Distributions as the configuration calls them, by what their templates' names begin with.
const BY_NAME: &[(&str, &str)] = &[
    ("alma", "centos"),
    ("alpine", "alpine"),
    ("arch", "archlinux"),
    ("centos", "centos"),
    ("debian", "debian"),
    ("devuan", "devuan"),
    ("fedora", "fedora"),
    ("gentoo", "gentoo"),
    ("nixos", "nixos"),
    ("opensuse", "opensuse"),
    ("openeuler", "centos"),
    ("rocky", "centos"),
    ("ubuntu", "ubuntu"),
];

/// Of a lab image by its label, of other archives by their names, such as `vztmpl/debian-12-standard_12.7-1_amd64.tar.zst`.
pub(crate) fn detect(volume: &str, label: Option<&str>) -> Result<&'static str, String> {
    let file = volume.rsplit(['/', ':']).next().unwrap_or_default();
    let known = |text: &str| {
        BY_NAME
            .iter()
            .find(|(name, _)| text.starts_with(name))
            .map(|(_, os)| *os)
    };
    label
        .and_then(known)
        .or_else(|| known(&file.to_ascii_lowercase()))
        .ok_or_else(|| "unable to detect OS distribution".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_told_by_label_then_by_name() {
        assert_eq!(
            detect("vztmpl/debian-12-standard_12.7-1_amd64.tar.zst", None),
            Ok("debian")
        );
        assert_eq!(detect("vztmpl/x.tar.gz", Some("ubuntu")), Ok("ubuntu"));
        assert_eq!(detect("vztmpl/rockylinux-9.tar.xz", None), Ok("centos"));
        assert!(detect("vztmpl/mine.tar.gz", None).is_err());
    }
}
