//! The text of a case: what is set for all of it, and its steps.

use std::collections::BTreeMap;

pub(super) struct Case {
    /// The program that is the reference.
    pub(super) tool: String,
    /// Whether the reference needs provider plugins (random, null, local, time).
    pub(super) plugins: bool,
    pub(super) steps: Vec<Step>,
}

pub(super) struct Step {
    pub(super) kind: Kind,
    /// Options of `plan`, or a whole command line.
    pub(super) arguments: Vec<String>,
    pub(super) settings: Settings,
    pub(super) files: BTreeMap<String, String>,
    /// Files of earlier steps that go away.
    pub(super) gone: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A plan, saved, and its apply.
    Step,
    /// Any command.
    Run,
    /// `validate -json`.
    Validate,
    /// Each line of the file `expressions` through `console`.
    Console,
}

/// What a step compares, and how.
#[derive(Default)]
pub(super) struct Settings {
    /// The file that the command reads as its standard input.
    pub(super) stdin: Option<String>,
    /// Environment variables.
    pub(super) environment: Vec<(String, String)>,
    /// Files whose content is compared.
    pub(super) contents: Vec<String>,
    /// The names of the files in the folder afterwards are compared.
    pub(super) list: bool,
    /// Diagnostics' details and addresses are compared too.
    pub(super) detail: bool,
    pub(super) output: StandardOutput,
    /// The reference is not initialised before.
    pub(super) no_init: bool,
    /// Diagnostics are not compared: a difference that is known and not yet gone.
    pub(super) no_diagnostics: bool,
    /// States' serials are compared too.
    pub(super) serial: bool,
    /// The state is not compared: it holds what differs in every run.
    pub(super) no_state: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandardOutput {
    #[default]
    Text,
    /// Text for people: where its lines break depends on the tool's name, and lines of progress come by chance.
    Prose,
    /// The order of lines is by chance.
    Sorted,
    /// One JSON value.
    Json,
    /// A JSON value in each line, in any order.
    JsonLines,
    /// What tests say of files and runs; the rest are diagnostics.
    Tests,
    Ignored,
}

impl Case {
    pub(super) fn parse(text: &str) -> Case {
        let mut case = Case {
            tool: "terraform".into(),
            plugins: false,
            steps: Vec::new(),
        };
        let mut file: Option<String> = None;
        for line in text.lines() {
            if let Some(step) = line.strip_prefix("--- ") {
                case.steps.push(Step::parse(step));
                file = None;
                continue;
            }
            let Some(step) = case.steps.last_mut() else {
                case.heading(line);
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
            } else {
                assert!(line.trim().is_empty(), "{line:?} stands in no file");
            }
        }
        assert!(!case.steps.is_empty(), "a case without steps");
        case
    }

    fn heading(&mut self, line: &str) {
        match line.split_once('=') {
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            Some(("tool", tool)) => tool.clone_into(&mut self.tool),
            Some(("needs", "plugins")) => self.plugins = true,
            _ => panic!("{line:?} is no setting of a case"),
        }
    }
}

impl Step {
    fn parse(line: &str) -> Step {
        let mut words = words(line).into_iter().peekable();
        let kind = match words.next().as_deref() {
            Some("step") => Kind::Step,
            Some("run") => Kind::Run,
            Some("validate") => Kind::Validate,
            Some("console") => Kind::Console,
            other => panic!("{other:?} is no kind of step"),
        };
        let mut settings = Settings::default();
        while words.peek().is_some_and(|word| settings.take(word)) {
            words.next();
        }
        Step {
            kind,
            arguments: words.collect(),
            settings,
            files: BTreeMap::new(),
            gone: Vec::new(),
        }
    }
}

impl Settings {
    /// Whether the word is a setting, which is then set.
    fn take(&mut self, word: &str) -> bool {
        match word.split_once('=') {
            None => match word {
                "files" => self.list = true,
                "detail" => self.detail = true,
                "no-init" => self.no_init = true,
                "no-diagnostics" => self.no_diagnostics = true,
                "serial" => self.serial = true,
                "no-state" => self.no_state = true,
                _ => return false,
            },
            Some(("stdin", file)) => self.stdin = Some(file.to_owned()),
            Some(("content", file)) => self.contents.push(file.to_owned()),
            Some(("stdout", how)) => {
                self.output = match how {
                    "prose" => StandardOutput::Prose,
                    "sorted" => StandardOutput::Sorted,
                    "json" => StandardOutput::Json,
                    "jsonlines" => StandardOutput::JsonLines,
                    "tests" => StandardOutput::Tests,
                    "ignored" => StandardOutput::Ignored,
                    _ => panic!("stdout={how}: prose, sorted, json, jsonlines, tests or ignored"),
                }
            }
            Some((name, value))
                if name.starts_with(|c: char| c.is_ascii_uppercase())
                    && !name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') =>
            {
                self.environment.push((name.to_owned(), value.to_owned()));
            }
            Some(_) => return false,
        }
        true
    }
}

/// Words as a shell reads them: between quotes blanks are kept, and single quotes keep double ones.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match quote {
            Some(q) if q == c => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "a quote is open in {line:?}");
    words.extend(word);
    words
}
