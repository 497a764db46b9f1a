//! What a tool makes of a case: one JSON value that is equal for equal behaviour.

use serde_json::{Map, Value as Json, json};

use super::case::{Case, Kind, StandardOutput, Step};
use super::diagnostics;
use super::normalise::{self, Normaliser};
use super::outcome;
use super::tool::{Printed, Tool};

/// The answers to every step.
pub(super) fn all(tool: &Tool, case: &Case) -> Json {
    case.steps
        .iter()
        .map(|step| {
            tool.lay_out(step);
            Answer::of(tool, step)
        })
        .collect()
}

/// A state that is as after the step before stands in the answers once.
pub(super) fn abbreviate(mut answers: Json) -> Json {
    let mut before = Json::Null;
    for answer in answers.as_array_mut().into_iter().flatten() {
        let Some(state) = answer.get_mut("state").filter(|state| state.is_object()) else {
            continue;
        };
        if *state == before {
            *state = "as before".into();
        } else {
            before.clone_from(state);
        }
    }
    answers
}

struct Answer<'a> {
    tool: &'a Tool,
    step: &'a Step,
    normaliser: Normaliser,
    out: Map<String, Json>,
}

impl Answer<'_> {
    fn of(tool: &Tool, step: &Step) -> Json {
        let mut answer = Answer {
            tool,
            step,
            normaliser: Normaliser::new(tool.dir()),
            out: Map::new(),
        };
        let init = answer.init();
        match step.kind {
            Kind::Step => match init {
                // What Terraform finds at init, stead finds at plan.
                Some(failed) => answer.failed_plan(&failed),
                None => answer.plan_and_apply(),
            },
            Kind::Run => answer.run(),
            Kind::Validate => answer.validate(),
            Kind::Console => answer.console(),
        }
        answer.files();
        answer.normaliser.json(&Json::Object(answer.out))
    }

    /// Initialises the reference; what it said if that failed.
    fn init(&self) -> Option<Printed> {
        let says_itself = self.step.kind == Kind::Run
            && matches!(
                self.step.arguments.first().map(String::as_str),
                Some("init" | "get" | "fmt" | "version")
            );
        if !self.tool.reference || self.step.settings.no_init || says_itself {
            return None;
        }
        let printed = self
            .tool
            .run_with(&["init", "-no-color", "-input=false"], self.step, None);
        (printed.code != 0).then_some(printed)
    }

    fn put(&mut self, name: &str, value: impl Into<Json>) {
        self.out.insert(name.into(), value.into());
    }

    fn plan_and_apply(&mut self) {
        let fixed = [
            "plan",
            "-no-color",
            "-input=false",
            "-detailed-exitcode",
            "-out=tfplan",
        ];
        let mut plan: Vec<&str> = fixed.to_vec();
        plan.extend(self.step.arguments.iter().map(String::as_str));
        let printed = self.tool.run(&plan, self.step);
        if printed.code != 0 && printed.code != 2 {
            return self.failed_plan(&printed);
        }
        self.put("plan_exit", printed.code);
        self.diagnostics("plan_diagnostics", &printed);
        let shown = self.tool.run(&["show", "-json", "tfplan"], self.step);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        let shown: Json = serde_json::from_str(&shown.stdout).expect("a plan in JSON");
        self.put("changes", outcome::changes(&shown));
        self.put("output_changes", outcome::output_changes(&shown));
        let apply = ["apply", "-no-color", "-input=false", "tfplan"];
        let printed = self.tool.run(&apply, self.step);
        self.put("apply_exit", printed.code);
        self.diagnostics("apply_diagnostics", &printed);
        self.state();
    }

    fn failed_plan(&mut self, printed: &Printed) {
        self.put("plan_exit", 1);
        self.diagnostics("plan_diagnostics", printed);
    }

    fn run(&mut self) {
        let printed = self.tool.run(&self.step.arguments, self.step);
        self.put("exit", printed.code);
        self.standard_output(&printed.stdout);
        self.diagnostics("diagnostics", &printed);
        let rest = diagnostics::text_besides(&printed.stderr);
        if !rest.is_empty() {
            self.put("stderr", rest);
        }
        self.state();
    }

    fn standard_output(&mut self, text: &str) {
        let json =
            |text: &str| serde_json::from_str::<Json>(text).map(|j| self.normaliser.json(&j));
        let value = match self.step.settings.output {
            StandardOutput::Ignored => return,
            StandardOutput::Text if self.step.settings.serial => lines(text),
            StandardOutput::Text => lines(&normalise::without_serials(text)),
            StandardOutput::Tests => {
                let told = |line: &&str| {
                    ["  run \"", "Success!", "Failure!", "Executed"]
                        .iter()
                        .any(|start| line.starts_with(start))
                        || line.contains(".hcl... ")
                        || line.contains(".json... ")
                };
                text.lines().filter(told).collect()
            }
            StandardOutput::Prose => super::prose::lines(&self.normaliser.text(text)).into(),
            StandardOutput::Sorted => {
                let mut lines: Vec<String> = self
                    .normaliser
                    .text(text)
                    .lines()
                    .map(str::to_owned)
                    .collect();
                lines.sort();
                lines.into()
            }
            StandardOutput::Json => {
                json(text).map_or_else(|_| lines(text), outcome::in_fixed_order)
            }
            StandardOutput::JsonLines => {
                let mut values: Vec<Json> = text
                    .lines()
                    .map(|line| json(line).unwrap_or_else(|_| line.into()))
                    .collect();
                values.sort_by_key(Json::to_string);
                values.into()
            }
        };
        self.put("stdout", value);
    }

    fn validate(&mut self) {
        let mut command = vec!["validate", "-json"];
        command.extend(self.step.arguments.iter().map(String::as_str));
        let printed = self.tool.run(&command, self.step);
        let Ok(said) = serde_json::from_str::<Json>(&printed.stdout) else {
            panic!(
                "validate -json printed no JSON: {}{}",
                printed.stdout, printed.stderr
            );
        };
        self.put("exit", printed.code);
        for name in ["format_version", "valid", "error_count", "warning_count"] {
            self.put(name, said[name].clone());
        }
        let found = diagnostics::from_json(&said, self.step.settings.detail);
        self.put("diagnostics", found);
    }

    fn console(&mut self) {
        let path = self.tool.dir().join("expressions");
        let text = std::fs::read_to_string(path).expect("a file `expressions`");
        let mut command = vec!["console"];
        command.extend(self.step.arguments.iter().map(String::as_str));
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            let printed =
                self.tool
                    .run_with(&command, self.step, Some(format!("{line}\n").into_bytes()));
            let mut answer = Map::new();
            if printed.code == 0 {
                answer.insert("value".into(), lines(&printed.stdout));
            } else {
                answer.insert("exit".into(), json!(printed.code));
            }
            let found = diagnostics::parse(&printed, self.step.settings.detail);
            if !found.is_empty() {
                answer.insert("diagnostics".into(), found.into());
            }
            self.put(line, answer);
        }
    }

    fn diagnostics(&mut self, name: &str, printed: &Printed) {
        if self.step.settings.no_diagnostics {
            return;
        }
        let found = diagnostics::parse(printed, self.step.settings.detail);
        if !found.is_empty() {
            self.put(name, found);
        }
    }

    fn state(&mut self) {
        if self.step.settings.no_state {
            return;
        }
        let state = outcome::state(&self.tool.dir().join("terraform.tfstate"));
        self.put("state", state);
    }

    /// How often a state was written while an apply ran is by chance.
    fn without_serial(&self, mut state: Json) -> Json {
        if let Some(fields) = state.as_object_mut()
            && !self.step.settings.serial
        {
            fields.remove("serial");
        }
        state
    }

    /// The folder's files, and the contents of some, where the step asks for them.
    fn files(&mut self) {
        if self.step.settings.list {
            let mut files = Vec::new();
            outcome::list(self.tool.dir(), self.tool.dir(), &mut files);
            let mut files: Vec<String> = files.iter().map(|f| self.normaliser.text(f)).collect();
            files.sort();
            // Backups within one second have one name.
            files.dedup();
            self.put("files", files);
        }
        for name in &self.step.settings.contents {
            let value = match std::fs::read_to_string(self.tool.dir().join(name)) {
                Ok(text) => match serde_json::from_str::<Json>(&text) {
                    Ok(json) => outcome::without_details(self.without_serial(json)),
                    Err(_) => lines(&text),
                },
                Err(_) => Json::Null,
            };
            self.put(&format!("content {name}"), value);
        }
    }
}

/// A text as its lines: they read better in a golden file and in a difference.
fn lines(text: &str) -> Json {
    text.split_terminator('\n').map(str::to_owned).collect()
}
