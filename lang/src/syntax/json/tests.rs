//! The JSON form: what becomes arguments and blocks, and errors with their places.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use stead_value::Diagnostics;

use super::super::{Body, SourceFile, Span};
use super::parse_json_file;
use crate::config::CONFIGURATION;
use crate::expr::evaluate_constant;
use crate::testing::{show, show_diagnostics};

fn read(text: &str) -> (Body, Diagnostics) {
    let file = Arc::new(SourceFile::new("main.tf.json", text));
    parse_json_file(&file, &CONFIGURATION)
}

fn dump(body: &Body, indent: usize, out: &mut String) {
    for attribute in body.attributes.values() {
        let value = evaluate_constant(&attribute.expr);
        let shown = if value.diagnostics.is_empty() {
            show(&value.value)
        } else {
            format!("<{}>", attribute.expr.text())
        };
        writeln!(out, "{:indent$}{} = {shown}", "", attribute.name).unwrap();
    }
    for block in &body.blocks {
        let labels: String = block
            .labels
            .iter()
            .map(|l| format!(" {:?}", l.text))
            .collect();
        writeln!(out, "{:indent$}{}{labels}", "", block.kind).unwrap();
        dump(&block.body, indent + 2, out);
    }
}

fn tree(text: &str) -> String {
    let (body, diagnostics) = read(text);
    let mut out = String::new();
    dump(&body, 0, &mut out);
    out + &show_diagnostics(&diagnostics)
}

#[test]
fn arguments_and_blocks() {
    insta::assert_snapshot!(tree(
        r#"{
  "//": "a comment",
  "variable": {"a": {"type": "list(string)", "default": ["${raw}"]}, "b": {}},
  "locals": [{"n": -1.50e1, "s": "a\u00e9\ud83d\ude00\n%{ if true }T%{ endif }", "o": {"${1 + 1}k": null}}],
  "resource": {"t": {
    "one": {"disk": [{"size": 1}, {"size": 2}], "lifecycle": {"ignore_changes": ["x[0].y"]}},
    "many": [{}, {"count": 2}],
    "none": null
  }},
  "moved": [{"from": "t.a", "to": "t.b[\"k\"]"}],
  "check": {"c": {"data": {"d": {"e": {}}}, "assert": [{"condition": true}]}}
}"#
    ));
}

#[test]
fn wrong_shapes() {
    insta::assert_snapshot!(
        [
            r#"{"resource": 5, "locals": [1], "output": {"a": 1}}"#,
            r#"{"resource": {"t": {}}, "variable": [{"a": {}}, 7]}"#,
            r#"{"locals": {"a": 1, "a": 2}, "output": {"a": {"value": 1, "value": 2}}}"#,
            r#"{"output": {"a": {"value": {"k": 1, "k": {"j": 1, "j": 2}}}}}"#,
            r#"{"output": {"a": {"value": "a\n${foo bar}"}, "b": {"value": "${1 +}"}}}"#,
            "5",
        ]
        .map(tree)
        .join("--\n")
    );
}

#[test]
fn wrong_json() {
    insta::assert_snapshot!(
        [
            "",
            "{} x",
            r#"{"a": 1,}"#,
            r#"{"a" 1}"#,
            r#"{"a" = 1}"#,
            r#"{"a"}"#,
            r#"{a: 1}"#,
            r#"{"a": [1, 2}"#,
            r#"{"a": [1, 2], "b": [1: 2], "c": [3,], "d": tru, "e": NaN, "f": [1 2], "g": 01, "h": 1.}"#,
            r#"{"a": "x\q", "b": "\u12x4", "c": "open
"#,
            r#"{"a": {"b": 1"#,
            r#"{"a": {"b": 1]}"#,
            "{\"a\": \t\t\u{feff}}",
        ]
        .map(tree)
        .join("--\n")
    );
}

#[test]
fn places_inside_strings_are_those_in_the_file() {
    let (body, problems) = read(r#"{"locals": {"a": "\u0041\n\"${upper( \"\\n\" )}"}}"#);
    assert!(problems.is_empty(), "{problems:?}");
    let expr = &body.blocks[0].body.attributes["a"].expr;
    let mut seen = String::new();
    let mut node = expr.node().clone();
    let texts = std::cell::RefCell::new(Vec::new());
    node.move_spans(&|span: Span| {
        texts.borrow_mut().push(expr.file().slice(span).to_owned());
        span
    });
    for text in texts.borrow().iter() {
        writeln!(seen, "{text}").unwrap();
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(tree(&text).contains("Nesting too deep"));
    }
    assert!(tree(&"[".repeat(100_000)).contains("Nesting too deep"));
}

fn fragments() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "=",
        "\"a\"",
        "\"",
        "\\",
        "\\u00",
        "\\ud83d",
        "1",
        "-",
        "1e5",
        "true",
        "nul",
        "\"resource\":",
        "\"locals\":",
        "\"dynamic\":",
        "\"//\":",
        "\"depends_on\":",
        "\"${a}\"",
        "\"%{\"",
        "\"\\\"${\\u0061}\\\"\"",
        "\"a.b\"",
        " ",
        "\n",
        "\t",
        "é",
        "\u{feff}",
        "\0",
    ]);
    prop::collection::vec(piece, 0..50).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_the_reader_panic(text in prop_oneof![fragments(), any::<String>()]) {
        let (body, diagnostics) = read(&text);
        for diagnostic in diagnostics.iter() {
            let range = diagnostic.subject.as_ref().expect("every error has a place");
            prop_assert!(range.start.byte <= range.end.byte && range.end.byte as usize <= text.len());
        }
        let mut problems = Diagnostics::new();
        body.shaped(|_| Some(&["key"]), &mut problems);
        body.shaped(|_| Some(&[]), &mut problems);
        dump(&body, 0, &mut String::new());
    }
}
