//! The functions against results recorded from Terraform; see `tools/record_functions.py`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use stead_lang::Files;
use stead_lang::expr::{Environment, Evaluation, Reference, Resolved, Scope, evaluate};
use stead_lang::functions::World;
use stead_lang::syntax::{SourceFile, parse_expression};
use stead_value::Diagnostic;
use stead_value::json::{from_json, to_json_text, type_from_json, write_json};

/// What stead refuses in its own words; each says why.
const OWN_WORDS: &[(&str, &str)] = &[
    // The reference panics.
    (
        r#"indent(-1, "")"#,
        "the number of spaces must be between 0 and 1,000,000",
    ),
    // The reference names the number that it made of ours.
    (
        r#"cidrhost("10.0.0.0/24", -257)"#,
        "prefix of 24 does not accommodate a host numbered -257",
    ),
    // The reference leaves the network.
    (
        r#"cidrsubnet("10.0.0.0/8", -1, 0)"#,
        "prefix extension of -1 does not accommodate a subnet numbered 0",
    ),
    (
        r#"cidrsubnet("10.0.0.0/8", 4, -1)"#,
        "prefix extension of 4 does not accommodate a subnet numbered -1",
    ),
    // Places are those where something is wrong; the reference's are often a line early, or the beginning.
    (
        r#"yamldecode("a: 1\n---\nb: 2\n")"#,
        "on line 2, column 1: only a single document is allowed",
    ),
    (
        r##"yamldecode("# only a comment\n")"##,
        "on line 2, column 1: missing start of document",
    ),
    (
        r#"yamldecode("a: [")"#,
        "on line 1, column 4: unclosed bracket",
    ),
    (
        r#"yamldecode("? a\n: b\n? [c]\n: d")"#,
        "on line 3, column 3: only strings are allowed as mapping keys",
    ),
    // The reference names the part of the pattern that is wrong.
    (
        r#"regex("a\\", "x")"#,
        "trailing backslash at end of expression in a\\",
    ),
    (
        r#"regex("(?z)", "x")"#,
        "invalid or unsupported Perl syntax in (?z)",
    ),
    (
        r#"regex("[z-a]", "x")"#,
        "invalid character class range in [z-a]",
    ),
    // Messages about templates are the parser's and evaluator's.
    (
        r#"templatefile("recurse.tftpl", {})"#,
        "cannot recursively call templatefile",
    ),
    (
        r#"templatefile("bad.tftpl", {})"#,
        "Expected the start of an expression",
    ),
    (
        r#"templatefile("greet.tftpl", {name = null, items = []})"#,
        "greet.tftpl:1,9-13: Invalid template interpolation value; The expression result is null.",
    ),
];

struct TestFiles(BTreeMap<PathBuf, Vec<u8>>);

fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|c| !matches!(c, Component::CurDir))
        .collect()
}

impl TestFiles {
    fn below(&self, directory: &Path) -> io::Result<Vec<String>> {
        let directory = plain(directory);
        let names: Vec<String> = self
            .0
            .keys()
            .filter_map(|p| Some(p.strip_prefix(&directory).ok()?.to_str()?.to_owned()))
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Ok(names)
        }
    }
}

impl Files for TestFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.0.get(&plain(path)) {
            Some(content) => Ok(content.clone()),
            None if self.below(path).is_ok() => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        Ok(self
            .below(directory)?
            .into_iter()
            .filter(|name| !name.contains('/'))
            .collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(&plain(path))
    }

    fn walk(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.below(directory)
    }
}

struct TestWorld;

impl World for TestWorld {
    fn now(&self) -> String {
        "2024-05-06T07:08:09Z".into()
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

struct TestScope {
    files: TestFiles,
    planning: bool,
}

impl Scope for TestScope {
    fn resolve(&self, _: &Reference<'_>) -> Resolved {
        Diagnostic::error("No references", "Only functions are tested here.").into()
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            files: &self.files,
            working_directory: Some("/work"),
            home_directory: Some("/home/ann"),
            plan_timestamp: Some("2024-01-02T03:04:05Z"),
            world: (!self.planning).then_some(&TestWorld),
        }
    }
}

fn run(expr: &str, scope: &TestScope) -> Evaluation {
    let file = Arc::new(SourceFile::new("<console-input>", expr));
    let (parsed, diagnostics) = parse_expression(&file);
    assert!(diagnostics.is_empty(), "{expr}: {diagnostics:?}");
    evaluate(&parsed, scope)
}

fn golden() -> (TestScope, Vec<serde_json::Value>) {
    let golden: serde_json::Value = serde_json::from_str(include_str!("functions.json")).unwrap();
    let mut files = BTreeMap::new();
    for (name, text) in golden["files"].as_object().unwrap() {
        files.insert(name.into(), text.as_str().unwrap().as_bytes().to_vec());
    }
    for (name, text) in golden["binary"].as_object().unwrap() {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.as_str().unwrap())
            .unwrap();
        files.insert(name.into(), bytes);
    }
    (
        TestScope {
            files: TestFiles(files),
            planning: false,
        },
        golden["cases"].as_array().unwrap().clone(),
    )
}

/// What is wrong with our answer, if anything.
fn difference(case: &serde_json::Value, scope: &TestScope) -> Option<String> {
    let expr = case["expr"].as_str().unwrap();
    let ours = run(expr, scope);
    let error = ours.diagnostics.iter().find(|d| d.is_error());
    let got = match error {
        Some(d) => format!("error: {} {}", d.summary, d.detail),
        None if !ours.value.is_wholly_known() => "unknown".into(),
        None => {
            let value = ours.value.unmark_deep().0;
            format!(
                "{} {}",
                value.ty(),
                to_json_text(&value, &value.ty()).unwrap_or_else(|e| e.message)
            )
        }
    };
    if let Some((_, words)) = OWN_WORDS.iter().find(|(e, _)| *e == expr) {
        let right = error.is_some() && got.contains(words);
        return (!right).then(|| format!("{expr}\n  want …{words}…\n  got  {got}"));
    }
    let want = if let Some(error) = case["error"].as_str() {
        format!("error: {error}")
    } else if case["unknown"].as_bool() == Some(true) {
        "unknown".into()
    } else {
        let ty = type_from_json(&case["type"]).unwrap();
        // Sets come in the reference's order.
        let value = from_json(&case["value"], &ty).unwrap();
        let mut text = String::new();
        write_json(&case["value"], &mut text);
        assert_eq!(
            to_json_text(&value, &ty).unwrap(),
            text,
            "{expr}: the codec"
        );
        format!("{ty} {text}")
    };
    (want != got).then(|| format!("{expr}\n  want {want}\n  got  {got}"))
}

#[test]
fn results_are_those_of_terraform() {
    let (scope, cases) = golden();
    assert!(cases.len() > 700);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| difference(case, &scope))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn clock_and_chance_wait_for_the_apply() {
    let (mut scope, _) = golden();
    scope.planning = true;
    for expr in ["timestamp()", "uuid()", "bcrypt(\"x\")"] {
        let planned = run(expr, &scope).value;
        assert!(
            !planned.is_known() && planned.is_definitely_not_null(),
            "{expr}"
        );
    }
    assert_eq!(
        run("plantimestamp()", &scope).value.as_str(),
        Some("2024-01-02T03:04:05Z")
    );
    scope.planning = false;
    assert_eq!(
        run("timestamp()", &scope).value.as_str(),
        Some("2024-05-06T07:08:09Z")
    );
    assert_eq!(
        run("uuid()", &scope).value.as_str(),
        Some("07070707-0707-4707-8707-070707070707")
    );
    let hash = run("bcrypt(\"x\", 4)", &scope).value;
    assert!(bcrypt::verify("x", hash.as_str().unwrap()).unwrap());
    assert!(hash.as_str().unwrap().starts_with("$2a$04$"));
}

#[test]
fn additions_of_opentofu() {
    let (scope, _) = golden();
    for (expr, want) in [
        ("urldecode(\"a+b%2Fc%C3%A9\")", "\"a b/cé\""),
        ("urldecode(urlencode(\"ü &?\"))", "\"ü \\u0026?\""),
        ("base64gunzip(base64gzip(\"hello\"))", "\"hello\""),
        ("cidrcontains(\"192.168.0.0/16\", \"192.168.2.3\")", "true"),
        (
            "cidrcontains(\"192.168.2.0/20\", \"192.168.2.0/16\")",
            "false",
        ),
        ("cidrcontains(\"fe80::/48\", \"fe80::/56\")", "true"),
        ("abspath(\"x/../y\")", "\"/work/y\""),
        ("pathexpand(\"~/x\")", "\"/home/ann/x\""),
    ] {
        let got = run(expr, &scope);
        assert!(
            !got.diagnostics.has_errors(),
            "{expr}: {:?}",
            got.diagnostics
        );
        assert_eq!(
            to_json_text(&got.value, &got.value.ty()).unwrap(),
            want,
            "{expr}"
        );
    }
    for expr in [
        "urldecode(\"%x\")",
        "cidrcontains(\"10.0.0.0/8\", \"::1\")",
        "base64gunzip(\"x\")",
    ] {
        assert!(run(expr, &scope).diagnostics.has_errors(), "{expr}");
    }
}

#[test]
fn marks_go_where_the_values_go() {
    let (scope, _) = golden();
    for (expr, own, inner) in [
        ("upper(sensitive(\"a\"))", true, true),
        ("[sensitive(\"a\")]", false, true),
        ("length([sensitive(\"a\")])", false, false),
        ("length(sensitive([\"a\"]))", true, true),
        ("join(\",\", [sensitive(\"a\")])", true, true),
        ("concat([sensitive(\"a\")], [1])", false, true),
        ("merge({a = sensitive(1)}, {b = 2})", false, true),
        ("keys({a = sensitive(1)})", false, false),
        ("lookup({a = sensitive(1)}, \"a\", 2)", true, true),
        ("lookup({a = sensitive(1), b = 2}, \"b\", 2)", false, false),
        ("element([sensitive(1), 2], 1)", false, false),
        ("toset([sensitive(1), 2])", true, true),
        ("nonsensitive(sensitive([sensitive(1)]))", false, true),
        ("format(\"%s\", sensitive(\"x\"))", true, true),
        ("jsonencode({a = sensitive(1)})", true, true),
        ("coalesce(sensitive(\"a\"), \"b\")", true, true),
        ("issensitive(sensitive(1))", false, false),
        ("zipmap([sensitive(\"a\")], [1])", true, true),
        ("flatten([sensitive([1])])", true, true),
        ("tonumber(sensitive(\"1\"))", true, true),
        ("fileexists(sensitive(\"hello.txt\"))", true, true),
        (
            "templatefile(\"number.tftpl\", {n = sensitive(1)})",
            true,
            true,
        ),
    ] {
        let got = run(expr, &scope);
        assert!(
            !got.diagnostics.has_errors(),
            "{expr}: {:?}",
            got.diagnostics
        );
        assert_eq!(
            (got.value.is_sensitive(), got.value.is_marked_deep()),
            (own, inner),
            "{expr}"
        );
    }
}

#[test]
fn messages_hide_what_is_sensitive() {
    let (scope, _) = golden();
    for expr in [
        "file(sensitive(\"s3cret\"))",
        "tonumber(sensitive(\"s3cret\"))",
        "base64decode(sensitive(\"s3cret!\"))",
        "lookup({}, sensitive(\"s3cret\"))",
        "lookup(tomap({a = 1}), sensitive(\"s3cret\"))",
    ] {
        let got = run(expr, &scope);
        assert!(got.diagnostics.has_errors(), "{expr}");
        assert!(
            !format!("{:?}", got.diagnostics).contains("s3cret"),
            "{expr}: {:?}",
            got.diagnostics
        );
    }
}
