//! The parser: trees as text, errors with their places, and that nothing makes it panic.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::{
    Body, Expr, ExprKind, ObjectKey, SourceFile, Step, StepKind, TemplatePart, parse_expression,
    parse_file, parse_template,
};
use crate::testing::{file, show, show_diagnostics};

/// An expression with all its structure visible.
fn dump(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Literal(value) => show(value),
        ExprKind::Template(parts) => format!("\"{}\"", dump_parts(parts)),
        ExprKind::Traversal { root, steps } => format!("{}{}", root.text, dump_steps(steps)),
        ExprKind::Access { base, steps } => format!("{}{}", dump(base), dump_steps(steps)),
        ExprKind::Call(call) => {
            let args: Vec<String> = call.args.iter().map(dump).collect();
            format!(
                "{}({}{})",
                call.name,
                args.join(", "),
                if call.expand { "..." } else { "" }
            )
        }
        ExprKind::Unary { op, operand, .. } => format!("({op:?} {})", dump(operand)),
        ExprKind::Binary { first, rest } => {
            let mut out = format!("({}", dump(first));
            for (op, operand) in rest {
                write!(out, " {op:?} {}", dump(operand)).unwrap();
            }
            out + ")"
        }
        ExprKind::Conditional(c) => format!(
            "({} ? {} : {})",
            dump(&c.condition),
            dump(&c.then),
            dump(&c.otherwise)
        ),
        ExprKind::For(f) => {
            let key = f
                .key_name
                .as_ref()
                .map_or(String::new(), |k| format!("{}, ", k.text));
            let result = f
                .key
                .as_ref()
                .map_or(String::new(), |k| format!("{} => ", dump(k)))
                + &dump(&f.result);
            let condition = f
                .condition
                .as_ref()
                .map_or(String::new(), |c| format!(" if {}", dump(c)));
            let group = if f.group { "..." } else { "" };
            format!(
                "<for {key}{} in {} : {result}{group}{condition}>",
                f.value_name.text,
                dump(&f.collection)
            )
        }
        ExprKind::Tuple(items) => format!(
            "[{}]",
            items.iter().map(dump).collect::<Vec<_>>().join(", ")
        ),
        ExprKind::Object(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| {
                    let key = match &item.key {
                        ObjectKey::Name(name) => name.text.to_string(),
                        ObjectKey::Expr(key) => dump(key),
                    };
                    format!("{key}: {}", dump(&item.value))
                })
                .collect();
            format!("{{{}}}", items.join(", "))
        }
        ExprKind::Parens(inner) => format!("({})", dump(inner)),
        ExprKind::Invalid => "INVALID".into(),
        ExprKind::Broken(_) => "BROKEN".into(),
    }
}

fn dump_steps(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        match &step.kind {
            StepKind::Attr(name) => write!(out, ".{name}"),
            StepKind::Index(key) => write!(out, "[{}]", dump(key)),
            StepKind::LegacyIndex(key) => write!(out, ".{}", show(key)),
            StepKind::AttrSplat(each) => write!(out, ".*<{}>", dump_steps(each)),
            StepKind::FullSplat(each) => write!(out, "[*]<{}>", dump_steps(each)),
        }
        .unwrap();
    }
    out
}

fn dump_parts(parts: &[TemplatePart]) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            TemplatePart::Literal { text, .. } => out.push_str(&text.escape_debug().to_string()),
            TemplatePart::Interpolation(expr) => write!(out, "${{{}}}", dump(expr)).unwrap(),
            TemplatePart::If(section) => {
                write!(
                    out,
                    "%{{if {}|{}|{}}}",
                    dump(&section.condition),
                    dump_parts(&section.then),
                    dump_parts(&section.otherwise)
                )
                .unwrap();
            }
            TemplatePart::For(section) => {
                write!(
                    out,
                    "%{{for {} in {}|{}}}",
                    section.value_name.text,
                    dump(&section.collection),
                    dump_parts(&section.body)
                )
                .unwrap();
            }
        }
    }
    out
}

fn dump_body(body: &Body, indent: usize, out: &mut String) {
    for attribute in body.attributes.values() {
        writeln!(
            out,
            "{:indent$}{} = {}",
            "",
            attribute.name,
            dump(attribute.expr.node())
        )
        .unwrap();
    }
    for block in &body.blocks {
        let labels: String = block
            .labels
            .iter()
            .map(|l| format!(" {:?}", l.text))
            .collect();
        writeln!(out, "{:indent$}{}{labels} {{", "", block.kind).unwrap();
        dump_body(&block.body, indent + 2, out);
        writeln!(out, "{:indent$}}}", "").unwrap();
    }
}

/// A file with all its structure visible.
pub(crate) fn dump_file(body: &Body) -> String {
    let mut out = String::new();
    dump_body(body, 0, &mut out);
    out
}

fn tree(text: &str) -> String {
    let (body, diagnostics) = parse_file(&file(text));
    let mut out = String::new();
    dump_body(&body, 0, &mut out);
    out + &show_diagnostics(&diagnostics)
}

fn expr(text: &str) -> String {
    let (expr, diagnostics) = parse_expression(&file(text));
    if diagnostics.is_empty() {
        dump(expr.node())
    } else {
        show_diagnostics(&diagnostics).trim_end().to_owned()
    }
}

#[test]
fn bodies() {
    insta::assert_snapshot!(tree(
        "\u{feff}# comment\r\na = 1 // one\r\n/* b */ b=\"x\" \nblock \"l\" l-2 { c = true }\nempty {}\nouter {\n  inner {\n  }\n\n  d = [\n    1, # x\n    2,\n  ]\n}\n"
    ), @r#"
    a = 1
    b = "x"
    block "l" "l-2" {
      c = true
    }
    empty {
    }
    outer {
      d = [1, 2]
      inner {
      }
    }
    "#);
}

#[test]
fn expressions() {
    assert_eq!(expr("1 + 2 * 3 - 4"), "(1 Add (2 Multiply 3) Subtract 4)");
    assert_eq!(
        expr("!a && b || c == d"),
        "(((Not a) And b) Or (c Equal d))"
    );
    assert_eq!(expr("-a.b + 1"), "((Negate a.b) Add 1)");
    assert_eq!(expr("a ? b : c ? d : e"), "(a ? b : (c ? d : e))");
    assert_eq!(expr("a.b[0].c[\"k\"][d.e]"), "a.b[0].c[\"k\"][d.e]");
    assert_eq!(expr("a.*.b.0.c[1].d"), "a.*<.b.0.c>[1].d");
    assert_eq!(expr("a[*].b[1][*].c"), "a[*]<.b[1][*]<.c>>");
    assert_eq!(expr("f(a, b...)[0].x"), "f(a, b...)[0].x");
    assert_eq!(expr("provider::x::f(\n1,\n)"), "provider::x::f(1)");
    assert_eq!(
        expr("{a = 1, \"b\": 2, (c) = 3\n null = 4 }"),
        "{a: 1, \"b\": 2, (c): 3, null: 4}"
    );
    assert_eq!(
        expr("{\nfor k, v in a : k => v... if v\n}"),
        "<for k, v in a : k => v... if v>"
    );
    assert_eq!(
        expr("[for v in a : {for w in v : w => 1}]"),
        "<for v in a : <for w in v : w => 1>>"
    );
    assert_eq!(
        expr("\"a${b}%{if c}d%{else}e%{endif}\""),
        "\"a${b}%{if c|d|e}\""
    );
    assert_eq!(expr("\"${\"${\"x\"}\"}\""), "\"${\"${\"x\"}\"}\"");
    assert_eq!(
        expr("123456789012345678901234567890.5e-3"),
        "123456789012345678901234567.8905"
    );
    assert_eq!(expr("(\n1\n+\n2\n)"), "((1 Add 2))");
}

#[test]
fn errors_and_what_is_read_around_them() {
    insta::assert_snapshot!(tree("a = 1 2\nb = [\n  1 2\n  3\n]\nc = foo(\nd = 4\n"));
    insta::assert_snapshot!(tree(
        "x {\n  a = \n  b = 2\n  c {\n    d = )\n  }\n  e = 5\n}\nf = 6\n"
    ));
    insta::assert_snapshot!(tree("a = \"x\n  y\nb = 'z'\nc = `\nd = 1; e = 2\n"));
    insta::assert_snapshot!(tree("x \"y\"\n{\n  a = 1\n}\nb = 2\n}\nc = 3\nd {"));
}

#[test]
fn columns_count_what_people_see() {
    let source = SourceFile::new("x", "a = \"e\u{301}👩‍👩‍👧\" b\r\nc");
    let at = |needle: &str| source.position(source.text().find(needle).unwrap() as u32);
    assert_eq!((at(" b").line, at(" b").column), (1, 9));
    assert_eq!((at("c").line, at("c").column), (2, 1));
    assert_eq!(source.line(1), "a = \"e\u{301}👩‍👩‍👧\" b");
    assert_eq!(source.line(3), "");
}

#[test]
fn deep_nesting_is_an_error_and_long_chains_are_not() {
    // The stack of a thread of the runtime, in a build without optimisation.
    let run = || {
        for (open, close) in [
            ("[", "]"),
            ("(", ")"),
            ("{a=", "}"),
            ("\"${", "}\""),
            ("!", ""),
            ("f(", ")"),
            ("a[", "]"),
            ("a ? b : ", "c"),
        ] {
            let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            assert!(expr(&text).contains("Nesting too deep"), "{open}");
        }
        let blocks = "a {\n".repeat(50_000);
        assert!(tree(&blocks).contains("Nesting too deep"));
        // The deepest that is read can also be evaluated, and dropped.
        for (open, close) in [
            ("[", "]"),
            ("{a=", "}"),
            ("\"${", "}\""),
            ("!", ""),
            ("[1][", "]"),
            ("true ? 1 : ", ""),
            ("[for x in [1]: ", "]"),
            ("try(", ")"),
        ] {
            let deepest = (1..300).rev().find_map(|n| {
                let text = format!("{}1{}", open.repeat(n), close.repeat(n));
                let (expr, diagnostics) = parse_expression(&file(&text));
                diagnostics.is_empty().then_some((n, expr))
            });
            let (n, deepest) = deepest.unwrap();
            assert!(n >= 60, "{open}: {n}");
            crate::expr::evaluate(&deepest, &crate::testing::TestScope::default());
        }
        let (long, diagnostics) = parse_expression(&file(&format!("0{}", " + 1".repeat(50_000))));
        assert!(diagnostics.is_empty());
        let value = crate::expr::evaluate_constant(&long).value;
        assert_eq!(show(&value), "50000");
    };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

/// Text made of the pieces that the language is made of.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b-c", "1", "0.5e3", "\"", "${", "%{", "~}", "}", "{", "(", ")", "[", "]", "=", "==",
        ":", "::", "?", ",", ".", "...", "*", "[*]", ".*", "\n", "\r\n", " ", "<<EOT\n", "<<-E\n",
        "EOT\n", "  E\n", "#", "//", "/*", "*/", "for ", "in ", "if ", "else", "endif", "endfor",
        "null", "true", "=>", "&&", "||", "!", "-", "\\", "\\u00", "$$", "é", "\u{301}",
        "\u{feff}", "\0", "'", "`", ";",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_the_parser_panic(text in prop_oneof![fragments(), any::<String>()]) {
        let source = Arc::new(SourceFile::new("x", text.as_str()));
        let (body, diagnostics) = parse_file(&source);
        for diagnostic in diagnostics.iter() {
            let range = diagnostic.subject.as_ref().expect("every syntax error has a place");
            prop_assert!(range.start.byte <= range.end.byte && range.end.byte as usize <= text.len());
        }
        for attribute in body.attributes.values() {
            let _ = crate::expr::evaluate_constant(&attribute.expr);
        }
        let (expr, _) = parse_expression(&source);
        let _ = crate::expr::evaluate_constant(&expr);
        let (template, _) = parse_template(&source);
        let _ = crate::expr::evaluate_constant(&template);
    }
}

#[test]
fn many_errors_take_time_in_step_with_their_number() {
    // Each line opens what nothing closes, or repeats a mistake; quadratic recovery would take minutes.
    for line in [
        "a = [ 1 2\n",
        "a = \"x\nb = ';'\n",
        "a = /* \n",
        "a = \"${\n",
        "a {\n}}\n",
        "a = <<E\n${\n",
        "\"",
        "@",
    ] {
        let (_, diagnostics) = parse_file(&file(&line.repeat(10_000)));
        assert!(diagnostics.has_errors());
    }
}

/// What the reference says about thousands of broken texts: `kind`, text, and its diagnostics with their places.
#[test]
fn diagnostics_are_those_of_the_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/syntax/diagnostics.json");
    let cases: Vec<(String, String, Vec<String>)> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() > 500);
    for (kind, text, expected) in cases {
        let source = file(&text);
        let found = match kind.as_str() {
            "expr" => parse_expression(&source).1,
            "template" => parse_template(&source).1,
            _ => parse_file(&source).1,
        };
        let found: Vec<String> = found
            .iter()
            .map(|d| {
                let range = d.subject.as_ref().unwrap();
                let (start, end) = (range.start, range.end);
                format!(
                    "{}:{}-{}:{} {}",
                    start.line, start.column, end.line, end.column, d.summary
                )
            })
            .collect();
        assert_eq!(found, expected, "{kind}: {text:?}");
    }
}
