//! `local-exec`: a command on this machine.

use std::collections::BTreeMap;
use std::io;
use std::process::{ExitStatus, Stdio};

use stead_sdk::value::schema::Block as Schema;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{
    Block, Context, Field as _, ProvisionOutput, Provisioner, Provisioning, async_trait,
};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::failed;
use super::lines::Lines;

/// How much of the output an error repeats: its end.
const REPEATED: usize = 8 * 1024;

#[derive(Clone, Debug, Block)]
struct Config {
    #[attr(required)]
    command: String,
    /// The program that runs the command, with its arguments; `/bin/sh -c` unless set.
    #[attr(optional)]
    interpreter: Option<Vec<Option<String>>>,
    #[attr(optional)]
    working_dir: Option<String>,
    /// Added to this process's environment.
    #[attr(optional)]
    environment: Option<BTreeMap<String, Option<String>>>,
    /// Do not show the command.
    #[attr(optional)]
    quiet: Option<bool>,
}

pub(super) struct LocalExec {
    schema: Schema,
}

impl LocalExec {
    pub(super) fn new() -> LocalExec {
        LocalExec {
            schema: Config::block(),
        }
    }
}

#[async_trait]
impl Provisioner for LocalExec {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn provision(&self, request: Provisioning, cx: &Context) -> Result<(), Diagnostics> {
        let config = Config::decode(&request.config, &Path::root())?;
        if config.command.is_empty() {
            return Err(Diagnostic::error(
                "Invalid local-exec provisioner command",
                "The command must be a non-empty string.",
            )
            .into());
        }
        let argv = config.argv();
        let said = if config.quiet == Some(true) {
            "local-exec: Executing: Suppressed by quiet=true".to_owned()
        } else {
            let quoted: Vec<String> = argv.iter().map(|a| quote(a)).collect();
            format!("Executing: [{}]", quoted.join(" "))
        };
        request.output.say(&said);
        let mut tail = Vec::new();
        let why = match run(&config, &argv, &request.output, &mut tail, cx).await {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => ended(status),
            Err(error) => error,
        };
        Err(failed(
            "local-exec",
            format!(
                "Error running command '{}': {why}. Output: {}",
                config.command,
                String::from_utf8_lossy(&tail)
            ),
        ))
    }

    fn validate(&self, _config: &Value) -> Diagnostics {
        Diagnostics::new()
    }
}

impl Config {
    fn argv(&self) -> Vec<String> {
        let mut argv: Vec<String> = match &self.interpreter {
            Some(words) if !words.is_empty() => words.iter().flatten().cloned().collect(),
            _ => vec!["/bin/sh".into(), "-c".into()],
        };
        argv.push(self.command.clone());
        argv
    }
}

/// Runs the command; what it prints goes to `output` line by line, and its end is kept.
async fn run(
    config: &Config,
    argv: &[String],
    output: &ProvisionOutput,
    tail: &mut Vec<u8>,
    cx: &Context,
) -> Result<ExitStatus, String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("there is no command".into());
    };
    // One pipe for both outputs keeps their order.
    let (reader, writer) = io::pipe().map_err(|e| e.to_string())?;
    let errors = writer.try_clone().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(errors)
        .kill_on_drop(true);
    if let Some(dir) = config.working_dir.as_deref().filter(|d| !d.is_empty()) {
        if let Err(error) = std::fs::metadata(dir) {
            return Err(format!("chdir {dir}: {}", words(&error)));
        }
        command.current_dir(dir);
    }
    for (name, value) in config.environment.iter().flatten() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().map_err(|e| not_started(program, &e))?;
    // The command holds the writing ends of the pipe: without it the reader would never see the end.
    drop(command);
    let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())
        .map_err(|e| e.to_string())?;
    tokio::select! {
        status = async {
            copy(reader, output, tail).await;
            child.wait().await
        } => status.map_err(|e| e.to_string()),
        () = cx.cancelled().cancelled() => Err("signal: killed".into()),
    }
}

async fn copy(
    mut reader: tokio::net::unix::pipe::Receiver,
    output: &ProvisionOutput,
    tail: &mut Vec<u8>,
) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = reader.read(&mut buffer).await {
        let read = buffer.get(..n).unwrap_or_default();
        tail.extend_from_slice(read);
        let excess = tail.len().saturating_sub(REPEATED);
        tail.drain(..excess);
        lines.take(read, |line| output.say(line));
    }
    lines.finish(|line| output.say(line));
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".into(),
        (None, Some(15)) => "signal: terminated".into(),
        (None, Some(2)) => "signal: interrupt".into(),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "it ended without a status".into(),
    }
}

fn not_started(program: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound && !program.contains('/') {
        format!("exec: {program:?}: executable file not found in $PATH")
    } else {
        format!("fork/exec {program}: {}", words(error))
    }
}

/// The system's words for an error, without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    plain.to_lowercase()
}

/// A word between quotes, with everything that does not print escaped.
fn quote(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use stead_sdk::value::Type;

    use super::*;

    fn config(pairs: &[(&str, Value)]) -> Value {
        let ty = Config::ty();
        let Type::Object(object) = &ty else {
            panic!("an object")
        };
        let given = |name: &str| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.clone())
        };
        Value::object(
            object
                .attributes
                .iter()
                .map(|(name, ty)| {
                    let value = given(name).unwrap_or_else(|| Value::null(ty.clone()));
                    (Arc::clone(name), value)
                })
                .collect(),
        )
    }

    async fn provision(pairs: &[(&str, Value)]) -> (Vec<String>, Result<(), Diagnostics>) {
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&said);
        let request = Provisioning {
            config: config(pairs),
            connection: Value::null(Type::Dynamic),
            output: ProvisionOutput::new(move |line| sink.lock().unwrap().push(line.to_owned())),
        };
        let result = LocalExec::new()
            .provision(request, &Context::detached())
            .await;
        let said = said.lock().unwrap().clone();
        (said, result)
    }

    #[tokio::test]
    async fn both_outputs_come_in_order() {
        let command = "echo one; echo two >&2; printf three";
        let (said, result) = provision(&[("command", Value::string(command))]).await;
        result.unwrap();
        assert_eq!(
            said,
            [
                "Executing: [\"/bin/sh\" \"-c\" \"echo one; echo two >&2; printf three\"]",
                "one",
                "two",
                "three"
            ]
        );
    }

    #[tokio::test]
    async fn a_failure_repeats_the_output() {
        let (_, result) = provision(&[("command", Value::string("echo why; exit 3"))]).await;
        let errors = result.unwrap_err();
        let error = errors.iter().next().unwrap();
        assert_eq!(error.summary, "local-exec provisioner error");
        assert_eq!(
            error.detail,
            "Error running command 'echo why; exit 3': exit status 3. Output: why\n"
        );
    }

    #[tokio::test]
    async fn the_environment_the_folder_and_the_interpreter_are_obeyed() {
        let environment = Value::map(
            Type::String,
            [(Arc::from("GREETING"), Value::string("hello"))].into(),
        );
        let words = vec![Value::string("/bin/sh"), Value::string("-ec")];
        let (said, result) = provision(&[
            ("command", Value::string("echo $GREETING; pwd")),
            ("environment", environment),
            ("working_dir", Value::string("/")),
            ("interpreter", Value::list(Type::String, words)),
            ("quiet", Value::bool(true)),
        ])
        .await;
        result.unwrap();
        assert_eq!(
            said,
            [
                "local-exec: Executing: Suppressed by quiet=true",
                "hello",
                "/"
            ]
        );
        let nowhere = [
            ("command", Value::string("true")),
            ("working_dir", Value::string("/nowhere")),
        ];
        let (_, result) = provision(&nowhere).await;
        let errors = result.unwrap_err();
        assert!(
            errors.iter().any(|e| e
                .detail
                .contains("chdir /nowhere: no such file or directory")),
            "{errors:?}"
        );
    }
}
