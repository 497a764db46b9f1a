//! Broken configurations: `validate -json` must find what Terraform finds, at the same places.
//!
//! A file `validate/GROUP.case` holds many cases, each begun by `### NAME` and made of files begun by `=== FILE`. What Terraform says
//! stands in `golden/validate/GROUP.json`; `STEAD_RECORD_GOLDEN=1` asks it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value as Json, json};

type Files = BTreeMap<String, String>;

fn parse(text: &str) -> Vec<(String, Files)> {
    let mut cases: Vec<(String, Files)> = Vec::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push((name.to_owned(), Files::new()));
            file = None;
            continue;
        }
        let Some((_, files)) = cases.last_mut() else {
            continue;
        };
        if let Some(name) = line.strip_prefix("=== ") {
            files.insert(name.to_owned(), String::new());
            file = Some(name.to_owned());
        } else if let Some(content) = file.as_ref().and_then(|name| files.get_mut(name)) {
            content.push_str(line);
            content.push('\n');
        }
    }
    cases
}

fn run(program: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        .env("CHECKPOINT_DISABLE", "1")
        .output()
        .expect("the tool runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a tool finds: severity, place, summary and the code that is shown.
fn findings(program: &Path, files: &Files, init: bool) -> Json {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }
    if init {
        run(program, dir.path(), &["init", "-input=false", "-no-color"]);
    }
    let text = run(program, dir.path(), &["validate", "-json"]);
    let found: Json = serde_json::from_str(&text).expect("JSON");
    let mut all: Vec<String> = found["diagnostics"]
        .as_array()
        .expect("diagnostics")
        .iter()
        .map(finding)
        .collect();
    all.sort();
    json!(all)
}

fn finding(diagnostic: &Json) -> String {
    let range = &diagnostic["range"];
    let place = if range.is_null() {
        "-".to_owned()
    } else {
        let (start, end) = (&range["start"], &range["end"]);
        format!(
            "{}:{}:{}-{}:{}",
            range["filename"].as_str().unwrap_or_default(),
            start["line"],
            start["column"],
            end["line"],
            end["column"]
        )
    };
    format!(
        "{} {place} {} | {}",
        diagnostic["severity"].as_str().unwrap_or_default(),
        diagnostic["summary"].as_str().unwrap_or_default(),
        diagnostic["snippet"]["code"].as_str().unwrap_or_default()
    )
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/commands")
        .join(name)
}

fn compare(group: &str) {
    let text = std::fs::read_to_string(folder("validate").join(format!("{group}.case")))
        .expect("the cases");
    let cases = parse(&text);
    let golden = folder("golden/validate").join(format!("{group}.json"));
    if std::env::var_os("STEAD_RECORD_GOLDEN").is_some() {
        let found: BTreeMap<&str, Json> = cases
            .iter()
            .map(|(name, files)| (&**name, findings(Path::new("terraform"), files, true)))
            .collect();
        let text = serde_json::to_string_pretty(&found).expect("JSON");
        std::fs::write(&golden, text + "\n").expect("the golden file");
    }
    let text = std::fs::read_to_string(&golden).expect("the golden file");
    let expected: BTreeMap<String, Json> = serde_json::from_str(&text).expect("JSON");
    let mut wrong = Vec::new();
    for (name, files) in &cases {
        let found = findings(Path::new(env!("CARGO_BIN_EXE_stead")), files, false);
        let wanted = expected.get(name).expect("a recorded answer");
        if found != *wanted {
            wrong.push(format!("{name}\n- {wanted:#}\n+ {found:#}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "- is Terraform, + is stead\n{}",
        wrong.join("\n")
    );
}

#[test]
fn settings_and_providers() {
    compare("terraform");
}

#[test]
fn variables_outputs_and_locals() {
    compare("variables");
}

#[test]
fn resources_checks_and_moves() {
    compare("resources");
}

#[test]
fn modules_and_overrides() {
    compare("modules");
}
