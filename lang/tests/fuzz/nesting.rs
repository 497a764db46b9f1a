//! Ten thousand levels of everything that can nest: a diagnostic, and never the end of the stack.

use std::sync::Arc;

use stead_lang::config::CONFIGURATION;
use stead_lang::syntax::{SourceFile, parse_expression, parse_json_file, parse_template};
use stead_value::Diagnostics;

use super::checks::{expression, json, native, tfvars};

const LEVELS: usize = 10_000;

fn nested(open: &str, inside: &str, close: &str) -> String {
    open.repeat(LEVELS) + inside + &close.repeat(LEVELS)
}

fn check_too_deep(diagnostics: &Diagnostics, what: &str) {
    let too_deep = |d: &&stead_value::Diagnostic| d.summary == "Nesting too deep";
    assert_eq!(diagnostics.iter().filter(too_deep).count(), 1, "{what}");
}

#[test]
fn deep_expressions_end_in_a_diagnostic() {
    for (open, inside, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{a=", "1", "}"),
        ("{(", "1", ")=1}"),
        ("\"${", "1", "}\""),
        ("\"%{if ", "true", "}%{endif}\""),
        ("\"%{if true}%{for a in ", "[]", "}%{endfor}%{endif}\""),
        ("!", "true", ""),
        ("-", "1", ""),
        ("true ? ", "1", " : 2"),
        ("true ? 1 : ", "2", ""),
        ("", "true", " ? 1 : 2"),
        ("upper(", "1", ")"),
        ("a[", "0", "]"),
        ("[for a in ", "[]", " : a]"),
        ("{for a in b : a => ", "1", "}"),
        ("[for a in b : a if ", "true", "]"),
        ("1 + (", "1", ")"),
        ("1 == 1 || 1 + 2 * -(", "1", ")"),
        ("a[*][", "0", "]"),
    ] {
        let text = nested(open, inside, close);
        let file = Arc::new(SourceFile::new("deep.tf", &*text));
        check_too_deep(&parse_expression(&file).1, open);
        expression(&text);
        native(&format!("a = {text}\n"));
        tfvars(format!("a = {text}\n").as_bytes());
    }
}

#[test]
fn deep_templates_end_in_a_diagnostic() {
    for (open, inside, close) in [
        ("${\"", "a", "\"}"),
        ("%{if true}", "a", "%{endif}"),
        ("%{for a in b}", "a", "%{endfor}"),
        ("%{if true}%{else}", "a", "%{endif}"),
    ] {
        let text = nested(open, inside, close);
        let file = Arc::new(SourceFile::new("deep.tftpl", &*text));
        check_too_deep(&parse_template(&file).1, open);
        expression(&text);
        native(&format!("a = <<E\n{text}\nE\n"));
    }
}

#[test]
fn deep_blocks_end_in_a_diagnostic() {
    native(&nested("a {\n", "", "}\n"));
    native(&nested("a \"b\" {\n", "", "}\n"));
    native(&nested("a = <<E\n${\n", "1", "\n}\nE\n"));
}

#[test]
fn deep_json_ends_in_a_diagnostic() {
    for (open, inside, close) in [
        ("[", "1", "]"),
        ("{\"a\":", "1", "}"),
        ("{\"locals\":{\"a\":[", "1", "]}}"),
        ("{\"a\":\"${[", "", "]}\"}"),
    ] {
        let text = nested(open, inside, close);
        let file = Arc::new(SourceFile::new("deep.tf.json", &*text));
        let (_, diagnostics) = parse_json_file(&file, &CONFIGURATION);
        assert!(diagnostics.has_errors(), "{open}");
        json(&text);
        tfvars(text.as_bytes());
    }
}

#[test]
fn what_is_open_without_end_ends_in_a_diagnostic() {
    for open in [
        "(",
        "[",
        "{",
        "{a=",
        "\"${",
        "\"%{if ",
        "f(",
        "a[",
        "a {\n",
        "<<E\n${",
        "[for a in ",
        "a.*",
        "/*",
        "!",
        "-",
    ] {
        let text = open.repeat(LEVELS);
        native(&text);
        expression(&text);
        json(&text);
    }
}

/// What does not nest has no limit.
#[test]
fn long_is_not_deep() {
    for text in [
        format!("1{}", " + 1".repeat(LEVELS)),
        format!("[{}]", "1, ".repeat(LEVELS)),
        format!("\"{}\"", "${1}".repeat(LEVELS)),
        format!("local.uo{}", ".a".repeat(LEVELS)),
        format!("local.ulo{}", "[0]".repeat(LEVELS)),
        format!("true{}", " && true".repeat(LEVELS)),
    ] {
        let file = Arc::new(SourceFile::new("long.tf", &*text));
        assert!(parse_expression(&file).1.is_empty());
        expression(&text);
    }
}

/// The values themselves can nest deeper than any text: strings of JSON in strings.
#[test]
fn deep_values_end_in_a_diagnostic() {
    for (open, close) in [("[", "]"), ("{\\\"a\\\":", "}")] {
        let text = nested(open, "1", close);
        expression(&format!("jsondecode(\"{text}\")"));
        expression(&format!("yamldecode(\"{text}\")"));
        expression(&format!("flatten([jsondecode(\"{text}\")])"));
        expression(&format!("templatestring(\"{text}\", {{}})"));
    }
    expression(&format!("yamldecode(\"{}\")", "- ".repeat(LEVELS)));
    expression(&format!("regex(\"{}\", \"a\")", nested("(", "a", ")")));
    expression(&format!(
        "provider::terraform::decode_tfvars(\"a = {}\")",
        nested("[", "1", "]")
    ));
}
