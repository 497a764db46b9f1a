//! What selects, and what is refused where.

use super::*;

fn disk(more: &[(&'static str, Part)]) -> Vec<(&'static str, Part)> {
    let text = |t: &str| Part::Text(t.to_owned());
    let mut fields: Vec<(&'static str, Part)> = FIELDS
        .iter()
        .map(|(name, kind)| {
            let empty = match kind {
                Kind::Uint => Part::Uint(0),
                Kind::Bool => Part::Bool(false),
                Kind::Text => text(""),
                Kind::Texts => Part::Texts(Vec::new()),
            };
            (*name, empty)
        })
        .collect();
    let nvme = [
        ("dev_path", text("/dev/nvme0n1")),
        ("size", Part::Uint(500_000_000_000)),
        ("transport", text("nvme")),
        ("model", text("Samsung SSD 990")),
        (
            "symlinks",
            Part::Texts(vec![
                "/dev/disk/by-id/nvme-a".to_owned(),
                "/dev/disk/by-path/b".to_owned(),
            ]),
        ),
    ];
    for (name, part) in nvme.iter().chain(more) {
        for field in &mut fields {
            if field.0 == *name {
                field.1 = part.clone();
            }
        }
    }
    fields
}

fn selects(text: &str) -> bool {
    let selector = Selector::new(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let selected = selector.selects(disk(&[]), false);
    selected.unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn disks_are_selected_as_talos_selects_them() {
    for text in [
        "true",
        "disk.size > 100u * GB && !disk.rotational",
        "disk.size == 500u * GB",
        "disk.size < 1u * TiB && disk.size >= 465u * GiB",
        "disk.transport == 'nvme' || system_disk",
        "!system_disk",
        "glob('/dev/nvme*', disk.dev_path)",
        "glob('*SSD*', disk.model) && !glob('sd[a-z]', disk.dev_path)",
        "disk.model.startsWith('Samsung') && disk.model.contains('SSD') && disk.model.endsWith('990')",
        "disk.dev_path.matches('^/dev/nvme[0-9]n1$') && matches(disk.model, 'SSD')",
        "disk.dev_path in ['/dev/sda', '/dev/nvme0n1']",
        "'/dev/disk/by-id/nvme-a' in disk.symlinks",
        "disk.symlinks.exists(s, s.startsWith('/dev/disk/by-id/'))",
        "disk.symlinks.all(s, glob('/dev/disk/*', s))",
        "disk.symlinks.exists_one(s, s.endsWith('a'))",
        "size(disk.symlinks) == 2 && disk.symlinks.map(s, size(s)).exists(n, n > 20)",
        "disk.symlinks.filter(s, s.contains('id')).size() == 1",
        "has(disk.model) && !has(disk.serial) && !has(disk.secondary_disks) && has(disk.size)",
        "(disk.rotational ? 1u : 2u) * 2u == 4u",
        "int(disk.size / GB) == 500 && string(disk.size / GB) == '500'",
        "disk.symlinks[0] == '/dev/disk/by-id/nvme-a'",
    ] {
        assert!(selects(text), "{text}");
    }
    for text in [
        "system_disk",
        "disk.size > 1u * TB",
        "disk.rotational || disk.cdrom",
        "glob('nvme*', disk.dev_path)",
        "disk.dev_path in []",
    ] {
        assert!(!selects(text), "{text}");
    }
    let rotational = Selector::new("disk.rotational && system_disk").expect("a selector");
    let found = rotational.selects(disk(&[("rotational", Part::Bool(true))]), true);
    assert_eq!(found, Ok(true));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (text, line, column, says) in [
        ("disk.size > 100", 1, 11, "write 100u"),
        (
            "disk.size > 100u * GB &&\n  disk.speed > 1u",
            2,
            7,
            "no field \"speed\"",
        ),
        ("disc.size > 1u", 1, 1, "no variable \"disc\""),
        ("disk.transport == nvme", 1, 19, "no variable \"nvme\""),
        ("disk.size", 1, 5, "of the type uint"),
        ("disk.model == 5u", 1, 12, "no matching overload for '_==_'"),
        ("disk.transport = 'nvme'", 1, 16, ""),
        ("disk.size >", 1, 12, ""),
        (
            "lowercase(disk.model) == 'x'",
            1,
            10,
            "no function \"lowercase\"",
        ),
        ("!disk.size", 1, 1, "'!_' applied to '(uint)'"),
        (
            "disk.size.exists(s, true)",
            1,
            5,
            "neither a list nor a map",
        ),
        ("disk.symlinks.exists(s, s > 1u)", 1, 27, "'(string, uint)'"),
        ("matches(disk.model, '(')", 1, 8, "no regular expression"),
        ("disk.?model == 'x'", 1, 5, ""),
        ("[1, 'a'].size() == 2", 1, 5, "list of int"),
    ] {
        let mistake = Selector::new(text).expect_err(text);
        assert_eq!(
            (mistake.line, mistake.column),
            (line, column),
            "{text}: {mistake}"
        );
        assert!(mistake.said.contains(says), "{text}: {mistake}");
    }
    assert!(Selector::new("").is_err());
    assert!(Selector::new(&"(".repeat(20_000)).is_err());
    let deep = format!("{}true{}", "(".repeat(400), ")".repeat(400));
    assert!(Selector::new(&deep).is_err());
    let long = format!("dyn(disk){} == 1", ".a".repeat(1000));
    let long = Selector::new(&long).expect("a selector");
    assert!(long.selects(disk(&[]), false).is_err());
}

#[test]
fn a_mistake_shows_where_it_is() {
    let mistake = Selector::new("disk.size > 100").expect_err("a mistake");
    let shown = mistake.to_string();
    assert!(
        shown.ends_with("\n  disk.size > 100\n            ^"),
        "{shown}"
    );
}

#[test]
fn what_fails_for_one_disk_is_told() {
    let selector = Selector::new("500u / disk.io_size > 1u").expect("a selector");
    assert!(selector.selects(disk(&[]), false).is_err());
}

#[test]
fn odd_texts_are_refused_and_harm_nobody() {
    for text in [
        "\"",
        "'",
        "\\",
        "\u{0}",
        "a.b.c.",
        "[",
        "{",
        "{1",
        "0x",
        "99999999999999999999",
        "-",
        "!",
        "a ? b",
        "b'\\xzz'",
        "disk.",
        "ß",
        "'\\u{12}'",
        "r\"",
        "/* x",
        "// x",
        "1e999999",
        "has(disk)",
        "has(1)",
        "all",
        "[].all()",
        "x.exists(1, true)",
        "`a`",
        "\n\n\n",
        "disk{}",
        "disk.size > 18446744073709551616u",
    ] {
        assert!(Selector::new(text).is_err(), "{text:?}");
    }
}
