//! The layout of `tests/fmt/NAME.tf` is what Terraform 1.11 makes of it: `NAME.golden`.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::format;
use crate::syntax::{SourceFile, parse_file};

fn formatted(text: &str) -> Option<String> {
    format(&Arc::new(SourceFile::new("x.tf", text))).ok()
}

#[test]
fn files_are_laid_out_as_terraform_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fmt");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() != Some("tf".as_ref()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = std::fs::read_to_string(path.with_extension("golden")).unwrap();
        let got = formatted(&text).unwrap();
        assert_eq!(got, expected, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 8);
}

#[test]
fn no_label_is_lost() {
    assert_eq!(
        formatted("a \"b$c\" d%{}\n"),
        None,
        "a label without quotes is a name"
    );
    assert_eq!(
        formatted("a \"b$c%%{d}\\\"\" {}").as_deref(),
        Some("a \"b$c%%{d}\\\"\" {}")
    );
}

#[test]
fn broken_files_have_no_layout() {
    let errors = format(&Arc::new(SourceFile::new("x.tf", "a = 1 2\n"))).unwrap_err();
    assert_eq!(errors.len(), 1);
}

/// Lines of a configuration with any blanks.
fn lines() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "a=1",
        "bb = [",
        "]",
        "}",
        "c {",
        "d \"e\" f {",
        "g = {",
        "h = \"${i}\"",
        "# c",
        "// d",
        "/* e */",
        "j = <<E",
        "E",
        "  k",
        "",
        "l=1 # m",
        "n = f(",
        ")",
        "type = list",
        "variable \"v\" {",
        "o = a ? b : c",
        "p = -1 - -2",
        "q = [for x in y : x]",
        "r = a[*].b",
        "1,",
        "s = \"x%{ if a }y%{ endif }\"",
        "t = \"${\n u\n}\"",
        "\tw = 1\r",
    ]);
    prop::collection::vec((line, "[ \t]{0,3}", "[ \t]{0,3}"), 0..30).prop_map(|lines| {
        lines
            .into_iter()
            .map(|(line, before, after)| format!("{before}{line}{after}\n"))
            .collect()
    })
}

/// The file without places, to compare what two texts mean.
fn meaning(text: &str) -> String {
    let (body, diagnostics) = parse_file(&Arc::new(SourceFile::new("x.tf", text)));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    crate::syntax::dump_file(&body)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_laid_out_stays_readable(text in lines()) {
        if let Some(once) = formatted(&text) {
            let twice = formatted(&once);
            prop_assert!(twice.is_some(), "{once}");
            // What was unwrapped or rewritten means something else by design.
            if !text.contains("${") && !text.contains("type =") {
                prop_assert_eq!(meaning(&text), meaning(&once));
            }
        }
    }
}
