//! The same folder through stead and through Terraform: both must plan the same actions for the same reasons, end with the
//! same exit codes, and leave the same state.
//!
//! A case is a file `differential/AREA/NAME.case` (the build script makes the test `AREA::NAME` of it): steps, each with files (those of the step before stay) and options for `plan`. Where
//! Terraform is installed it runs beside stead; elsewhere its recorded answers in `golden/` stand for it.
//! `STEAD_RECORD_GOLDEN=1 cargo test -p stead --test commands differential` records them anew.

#![expect(
    clippy::print_stderr,
    reason = "a failed comparison shows what both tools said"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value as Json, json};

/// One plan, and the apply of what it saved.
#[derive(Default)]
struct Step {
    options: Vec<String>,
    files: BTreeMap<String, String>,
    /// Files of earlier steps that go away.
    gone: Vec<String>,
}

/// Reads `--- step OPTIONS`, `=== FILE`, `xxx FILE` and the files' lines.
fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut file: Option<String> = None;
    for line in text.lines() {
        if let Some(options) = line.strip_prefix("--- step") {
            let options = options.split_whitespace().map(str::to_owned).collect();
            steps.push(Step {
                options,
                ..Step::default()
            });
            file = None;
            continue;
        }
        let Some(step) = steps.last_mut() else {
            continue;
        };
        if let Some(name) = line.strip_prefix("=== ") {
            step.files.insert(name.to_owned(), String::new());
            file = Some(name.to_owned());
        } else if let Some(name) = line.strip_prefix("xxx ") {
            step.gone.push(name.to_owned());
            file = None;
        } else if let Some(content) = file.as_ref().and_then(|name| step.files.get_mut(name)) {
            content.push_str(line);
            content.push('\n');
        }
    }
    assert!(!steps.is_empty(), "a case without steps");
    steps
}

/// A tool in its own folder.
struct Tool {
    program: PathBuf,
    dir: tempfile::TempDir,
    init_each_step: bool,
}

impl Tool {
    fn stead() -> Tool {
        Tool {
            program: env!("CARGO_BIN_EXE_stead").into(),
            dir: tempfile::tempdir().expect("a temporary folder"),
            init_each_step: false,
        }
    }

    /// Terraform, where it is installed.
    fn terraform() -> Option<Tool> {
        let paths = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&paths)
            .map(|p| p.join("terraform"))
            .find(|p| p.is_file())?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        Some(Tool {
            program,
            dir,
            init_each_step: true,
        })
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .output()
            .expect("the tool runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap_or(-1),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    /// What the tool makes of a case.
    fn answers(&self, steps: &[Step]) -> Json {
        let mut answers = Vec::new();
        for step in steps {
            self.lay_out(step);
            answers.push(self.answer(step));
        }
        answers.into()
    }

    fn lay_out(&self, step: &Step) {
        for (name, text) in &step.files {
            let path = self.dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        for name in &step.gone {
            std::fs::remove_file(self.dir.path().join(name)).expect("a file to take away");
        }
    }

    fn answer(&self, step: &Step) -> Json {
        let mut answer = Map::new();
        if self.init_each_step {
            let (code, out, err) = self.run(&["init", "-no-color", "-input=false"]);
            if code != 0 {
                // What Terraform finds at init, stead finds at plan.
                eprintln!("init: {out}{err}");
                answer.insert("plan_exit".into(), json!(code));
                return answer.into();
            }
        }
        let mut plan = vec![
            "plan",
            "-no-color",
            "-input=false",
            "-detailed-exitcode",
            "-out=tfplan",
        ];
        plan.extend(step.options.iter().map(String::as_str));
        let (code, out, err) = self.run(&plan);
        eprintln!("{}: plan {code}\n{out}{err}", self.program.display());
        answer.insert("plan_exit".into(), json!(code));
        if code != 0 && code != 2 {
            return answer.into();
        }
        let (code, shown, err) = self.run(&["show", "-json", "tfplan"]);
        assert_eq!(code, 0, "{err}");
        let shown: Json = serde_json::from_str(&shown).expect("a plan in JSON");
        answer.insert("changes".into(), changes(&shown));
        answer.insert("output_changes".into(), output_changes(&shown));
        let (code, out, err) = self.run(&["apply", "-no-color", "-input=false", "tfplan"]);
        eprintln!("{}: apply {code}\n{out}{err}", self.program.display());
        answer.insert("apply_exit".into(), json!(code));
        answer.insert(
            "state".into(),
            state(&self.dir.path().join("terraform.tfstate")),
        );
        answer.into()
    }
}

/// `{address: what is planned}`, without values that differ in every run.
fn changes(plan: &Json) -> Json {
    let mut changes = Map::new();
    for change in plan
        .get("resource_changes")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        let inner = &change["change"];
        let mut out = Map::new();
        out.insert("actions".into(), inner["actions"].clone());
        for name in ["action_reason", "previous_address"] {
            if let Some(value) = change.get(name) {
                out.insert(name.into(), value.clone());
            }
        }
        if let Some(paths) = inner.get("replace_paths") {
            out.insert("replace_paths".into(), sorted(paths));
        }
        for name in [
            "before",
            "after",
            "after_unknown",
            "before_sensitive",
            "after_sensitive",
        ] {
            out.insert(name.into(), stable(&inner[name]));
        }
        let mut key = change["address"].as_str().unwrap_or_default().to_owned();
        if change.get("deposed").is_some() {
            key.push_str(" (deposed)");
        }
        changes.insert(key, out.into());
    }
    changes.into()
}

fn sorted(list: &Json) -> Json {
    let mut items = list.as_array().cloned().unwrap_or_default();
    items.sort_by_key(Json::to_string);
    items.into()
}

fn output_changes(plan: &Json) -> Json {
    let mut changes = Map::new();
    for (name, change) in plan
        .get("output_changes")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let actions = &change["actions"];
        changes.insert(
            name.clone(),
            json!({ "actions": actions, "after": stable(&change["after"]) }),
        );
    }
    changes.into()
}

/// The state without what is random: ids stand for themselves as `ID`.
fn state(path: &Path) -> Json {
    let Ok(bytes) = std::fs::read(path) else {
        return Json::Null;
    };
    let state: Json = serde_json::from_slice(&bytes).expect("a state in JSON");
    let mut out = Map::new();
    out.insert("outputs".into(), stable(&state["outputs"]));
    let mut resources = state["resources"].clone();
    for resource in resources.as_array_mut().into_iter().flatten() {
        for instance in resource["instances"].as_array_mut().into_iter().flatten() {
            if let Some(fields) = instance.as_object_mut() {
                // Terraform records what is depended on through others too; stead orders by the direct ones.
                fields.remove("dependencies");
                // Written by Terraform 1.12 and some 1.11 builds for every object, whether or not it has an identity.
                fields.remove("identity_schema_version");
                if fields.contains_key("deposed") {
                    fields.insert("deposed".into(), json!("KEY"));
                }
            }
        }
    }
    out.insert("resources".into(), stable(&resources));
    out.into()
}

/// UUIDs replaced by a word.
fn stable(value: &Json) -> Json {
    match value {
        Json::String(text) if is_uuid(text) => json!("UUID"),
        Json::Array(items) => items.iter().map(stable).collect(),
        Json::Object(fields) => {
            let fields: BTreeMap<&String, &Json> = fields.iter().collect();
            fields
                .into_iter()
                .map(|(k, v)| (k.clone(), stable(v)))
                .collect::<Map<_, _>>()
                .into()
        }
        other => other.clone(),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(i, c)| {
            if [8, 13, 18, 23].contains(&i) {
                c == '-'
            } else {
                c.is_ascii_hexdigit()
            }
        })
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/commands")
        .join(name)
}

fn compare(name: &str) {
    let case = std::fs::read_to_string(folder("differential").join(format!("{name}.case")))
        .expect("the case");
    let steps = parse(&case);
    let golden = folder("golden").join(format!("{name}.json"));
    let expected = match Tool::terraform() {
        Some(terraform) => {
            let answers = terraform.answers(&steps);
            if std::env::var_os("STEAD_RECORD_GOLDEN").is_some() {
                let text = serde_json::to_string_pretty(&answers).expect("JSON");
                std::fs::write(&golden, text + "\n").expect("the golden file");
            }
            answers
        }
        None => {
            let text = std::fs::read_to_string(&golden).expect("the golden file");
            serde_json::from_str(&text).expect("JSON")
        }
    };
    let found = Tool::stead().answers(&steps);
    let lines = |json: &Json| serde_json::to_string_pretty(&stable(json)).expect("JSON");
    let (expected, found) = (lines(&expected), lines(&found));
    let diff = similar::TextDiff::from_lines(&expected, &found);
    assert!(
        expected == found,
        "{name}: - is Terraform, + is stead\n{}",
        diff.unified_diff()
            .context_radius(6)
            .header("terraform", "stead")
    );
}

include!(concat!(env!("OUT_DIR"), "/differential_cases.rs"));
