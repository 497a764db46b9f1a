//! Runs command lines: expansion, redirection, control; single commands are in `commands`.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use super::commands;
use super::{Node, Part, Redirect, Target, Word, parse};
use crate::files::{Files, absolute};

/// What a command reads.
#[derive(Clone)]
pub enum Input {
    Bytes(Arc<Vec<u8>>),
    /// The client's own input; read only by a command that wants it.
    Channel(Arc<Mutex<mpsc::UnboundedReceiver<Vec<u8>>>>),
}

impl Input {
    /// Everything up to the end of input.
    pub async fn read(&self) -> Vec<u8> {
        match self {
            Input::Bytes(bytes) => bytes.to_vec(),
            Input::Channel(channel) => {
                let mut channel = channel.lock().await;
                let mut all = Vec::new();
                while let Some(part) = channel.recv().await {
                    all.extend(part);
                }
                all
            }
        }
    }

    /// One line, without what follows it being lost (`sudo -S` reads the password so).
    pub async fn line(&self) -> (String, Input) {
        let all = self.read().await;
        let end = all.iter().position(|b| *b == b'\n').unwrap_or(all.len());
        let line = String::from_utf8_lossy(all.get(..end).unwrap_or_default()).into_owned();
        let rest = all.get(end + 1..).unwrap_or_default().to_vec();
        (line, Input::Bytes(Arc::new(rest)))
    }
}

/// What a command wrote, and its exit code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub code: u32,
}

impl Output {
    pub fn ok(text: impl Into<Vec<u8>>) -> Output {
        Output {
            stdout: text.into(),
            ..Output::default()
        }
    }

    pub fn fail(code: u32, text: impl Into<Vec<u8>>) -> Output {
        Output {
            stderr: text.into(),
            code,
            ..Output::default()
        }
    }

    pub fn code(code: u32) -> Output {
        Output {
            code,
            ..Output::default()
        }
    }

    /// Adds what went wrong, when the command goes on all the same.
    pub fn complain(&mut self, code: u32, text: impl AsRef<str>) {
        self.stderr.extend(text.as_ref().as_bytes());
        self.code = code;
    }

    /// Adds what a later command wrote.
    fn then(&mut self, other: Output) {
        self.stdout.extend(other.stdout);
        self.stderr.extend(other.stderr);
        self.code = other.code;
    }
}

/// A shell of one user on one host.
pub struct Shell<S> {
    pub host: Arc<S>,
    /// `root` under sudo.
    pub user: String,
    pub directory: String,
    pub variables: BTreeMap<String, String>,
    pub umask: u32,
    pub errexit: bool,
    pub pipefail: bool,
    /// Set by `exit`: nothing more runs.
    pub exited: bool,
    pub last: u32,
    /// Shells that this one is inside of.
    pub depth: usize,
    pub functions: BTreeMap<String, Arc<Node>>,
    /// `$1` and those after it.
    pub arguments: Vec<String>,
}

impl<S> Clone for Shell<S> {
    fn clone(&self) -> Shell<S> {
        Shell {
            host: self.host.clone(),
            user: self.user.clone(),
            directory: self.directory.clone(),
            variables: self.variables.clone(),
            umask: self.umask,
            errexit: self.errexit,
            pipefail: self.pipefail,
            exited: self.exited,
            last: self.last,
            depth: self.depth,
            functions: self.functions.clone(),
            arguments: self.arguments.clone(),
        }
    }
}

/// How a user becomes root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sudo {
    NoPassword,
    /// `sudo -S` with the login password.
    Password,
    Never,
}

/// A machine that has a shell.
pub trait System: Send + Sync + Sized + 'static {
    fn hostname(&self) -> String;
    /// Its addresses, a blank between two.
    fn addresses(&self) -> String;
    /// Release and version.
    fn kernel(&self) -> (&'static str, &'static str);
    fn cores(&self) -> u32;
    /// Lets so many lifelike seconds pass.
    fn pass(&self, seconds: u64) -> impl Future<Output = ()> + Send;
    /// Works on the files as this user, whose new files do not get the bits of `umask`.
    fn files<T>(&self, user: &str, umask: u32, work: impl FnOnce(&mut Files<'_>) -> T) -> T;
    /// The name of a user given by name or number.
    fn user(&self, text: &str) -> Option<String>;
    /// Groups of a user besides its own.
    fn groups(&self, user: &str) -> Vec<String>;
    fn sudo(&self, user: &str) -> Sudo;
    fn is_password(&self, user: &str, given: &str) -> bool;
    /// The path of a program of this machine, if it is not one of the everyday ones.
    fn program(&self, name: &str) -> Option<String>;
    /// Runs a program that `program` found.
    fn run(
        shell: &mut Shell<Self>,
        path: &str,
        arguments: &[String],
        input: Input,
    ) -> impl Future<Output = Output> + Send;
}

/// A user's own directory.
pub fn home(user: &str) -> String {
    match user {
        "root" => "/root".to_owned(),
        user => format!("/home/{user}"),
    }
}

/// Most shells inside one another (`sudo bash -c "sudo bash -c …"`).
const DEEPEST: usize = 32;

pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Output> + Send + 'a>>;

impl<S: System> Shell<S> {
    /// A login shell.
    pub fn new(host: Arc<S>, user: &str) -> Shell<S> {
        let home = home(user);
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin";
        let variables = [
            ("HOME", home.as_str()),
            ("USER", user),
            ("LOGNAME", user),
            ("PATH", path),
            ("SHELL", "/bin/bash"),
        ];
        let variables = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Shell {
            host,
            user: user.to_owned(),
            directory: home,
            variables,
            umask: 0o022,
            errexit: false,
            pipefail: false,
            exited: false,
            last: 0,
            depth: 0,
            functions: BTreeMap::new(),
            arguments: Vec::new(),
        }
    }

    /// Runs a script.
    pub fn script<'a>(&'a mut self, text: &'a str, input: Input) -> Running<'a> {
        Box::pin(async move {
            if self.depth > DEEPEST {
                return Output::fail(1, "bash: too many shells inside one another\n");
            }
            match parse(text) {
                Ok(node) => self.node(&node, input).await,
                Err(problem) => Output::fail(2, format!("bash: -c: {problem}\n")),
            }
        })
    }

    /// The same shell for a part whose changes do not come back.
    pub fn inner(&self) -> Shell<S> {
        Shell {
            depth: self.depth + 1,
            ..self.clone()
        }
    }

    fn node<'a>(&'a mut self, node: &'a Node, input: Input) -> Running<'a> {
        Box::pin(async move {
            let output = match node {
                Node::Simple {
                    assignments,
                    words,
                    redirects,
                } => self.simple(assignments, words, redirects, input).await,
                Node::Pipeline { nodes, negated } => self.pipeline(nodes, *negated, input).await,
                Node::And(left, right) => self.either(left, right, true, input).await,
                Node::Or(left, right) => self.either(left, right, false, input).await,
                Node::Sequence(nodes) => {
                    let mut all = Output::default();
                    for node in nodes {
                        all.then(self.node(node, input.clone()).await);
                        let plain = matches!(
                            node,
                            Node::Simple { .. }
                                | Node::Pipeline { negated: false, .. }
                                | Node::Group { .. }
                        );
                        if self.exited || (self.errexit && plain && all.code != 0) {
                            self.exited = self.exited || self.errexit;
                            break;
                        }
                    }
                    all
                }
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let strict = std::mem::take(&mut self.errexit);
                    let mut all = self.node(condition, input.clone()).await;
                    self.errexit = strict;
                    let branch = if all.code == 0 {
                        Some(then)
                    } else {
                        otherwise.as_ref()
                    };
                    all.code = 0;
                    if let Some(branch) = branch.filter(|_| !self.exited) {
                        all.then(self.node(branch, input).await);
                    }
                    all
                }
                Node::Group {
                    body,
                    subshell,
                    redirects,
                } => {
                    let mut inner = self.inner();
                    let input = match self.input(redirects, input).await {
                        Ok(input) => input,
                        Err(output) => return output,
                    };
                    let output = inner.node(body, input).await;
                    if !subshell {
                        inner.depth = self.depth;
                        *self = inner;
                    }
                    self.redirected(redirects, output).await
                }
                Node::Function { name, body } => {
                    self.functions
                        .insert(name.clone(), Arc::new((**body).clone()));
                    Output::default()
                }
            };
            self.last = output.code;
            output
        })
    }

    async fn either(&mut self, left: &Node, right: &Node, and: bool, input: Input) -> Output {
        let strict = std::mem::take(&mut self.errexit);
        let mut all = self.node(left, input.clone()).await;
        self.errexit = strict;
        if !self.exited && (all.code == 0) == and {
            all.then(self.node(right, input).await);
        }
        all
    }

    /// Commands of a pipeline one after the other: what one writes is the next one's input.
    async fn pipeline(&mut self, nodes: &[Node], negated: bool, input: Input) -> Output {
        let (mut input, mut all, mut failed) = (input, Output::default(), 0);
        for (at, node) in nodes.iter().enumerate() {
            let mut inner = self.inner();
            let output = if nodes.len() == 1 {
                self.node(node, input.clone()).await
            } else {
                inner.node(node, input.clone()).await
            };
            all.stderr.extend(output.stderr);
            all.code = output.code;
            if output.code != 0 {
                failed = output.code;
            }
            if at + 1 == nodes.len() {
                all.stdout = output.stdout;
            } else {
                input = Input::Bytes(Arc::new(output.stdout));
            }
        }
        if self.pipefail {
            all.code = failed;
        }
        if negated {
            all.code = u32::from(all.code == 0);
        }
        all
    }

    async fn simple(
        &mut self,
        assignments: &[(String, Word)],
        words: &[Word],
        redirects: &[Redirect],
        input: Input,
    ) -> Output {
        let mut errors = Vec::new();
        let mut set = Vec::new();
        for (name, word) in assignments {
            set.push((name.clone(), self.joined(word, &mut errors).await));
        }
        let mut arguments = Vec::new();
        for word in words {
            arguments.extend(self.expand(word, &mut errors).await);
        }
        let input = match self.input(redirects, input).await {
            Ok(input) => input,
            Err(output) => return output,
        };
        let mut output = if arguments.is_empty() {
            self.variables.extend(set);
            Output::default()
        } else if set.is_empty() {
            self.call(&arguments, input).await
        } else {
            // Assignments before a command are that command's only.
            let before = self.variables.clone();
            self.variables.extend(set);
            let output = self.call(&arguments, input).await;
            self.variables = before;
            output
        };
        errors.extend(std::mem::take(&mut output.stderr));
        output.stderr = errors;
        self.redirected(redirects, output).await
    }

    /// Sets the variables of words such as `NAME=value`.
    pub(super) fn assign<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        let pairs = words.into_iter().filter_map(|word| word.split_once('='));
        self.variables
            .extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    /// Calls a function, or else a command.
    pub async fn call(&mut self, words: &[String], input: Input) -> Output {
        let Some((name, arguments)) = words.split_first() else {
            return Output::default();
        };
        let Some(body) = self.functions.get(name).cloned() else {
            return commands::run(self, words, input).await;
        };
        if self.depth > DEEPEST {
            return Output::fail(1, "bash: too many functions inside one another\n");
        }
        let before = std::mem::replace(&mut self.arguments, arguments.to_vec());
        self.depth += 1;
        let output = self.node(&body, input).await;
        self.depth -= 1;
        self.arguments = before;
        output
    }

    async fn input(&mut self, redirects: &[Redirect], input: Input) -> Result<Input, Output> {
        let mut input = input;
        let mut errors = Vec::new();
        for redirect in redirects {
            match &redirect.target {
                Target::Here(word) => {
                    input =
                        Input::Bytes(Arc::new(self.joined(word, &mut errors).await.into_bytes()));
                }
                Target::Read(word) => {
                    let name = self.joined(word, &mut errors).await;
                    let path = absolute(&self.directory, &name);
                    let content = self
                        .files(|f| f.read(&path))
                        .map_err(|p| Output::fail(1, format!("bash: {name}: {}\n", p.text())))?;
                    input = Input::Bytes(Arc::new(content));
                }
                _ => {}
            }
        }
        Ok(input)
    }

    /// Sends what was written where the redirects say, in their order.
    async fn redirected(&mut self, redirects: &[Redirect], output: Output) -> Output {
        /// Where a stream goes: the standard output, the standard error, or a file.
        #[derive(Clone)]
        enum To {
            Out,
            Err,
            File(String),
        }
        let (mut out, mut err) = (To::Out, To::Err);
        let mut errors = Vec::new();
        for redirect in redirects {
            let to = match &redirect.target {
                Target::Write(word) | Target::Append(word) => {
                    let name = self.joined(word, &mut errors).await;
                    let path = absolute(&self.directory, &name);
                    let append = matches!(redirect.target, Target::Append(_));
                    if let Err(problem) = self.files(|f| f.write(&path, b"", append)) {
                        return Output::fail(1, format!("bash: {name}: {}\n", problem.text()));
                    }
                    To::File(path)
                }
                Target::Copy(1) => out.clone(),
                Target::Copy(_) => err.clone(),
                Target::Read(_) | Target::Here(_) => continue,
            };
            match redirect.descriptor {
                1 => out = to,
                2 => err = to,
                3 => {
                    out = to.clone();
                    err = to;
                }
                _ => {}
            }
        }
        let mut result = Output {
            code: output.code,
            stderr: errors,
            ..Output::default()
        };
        for (to, bytes) in [(out, output.stdout), (err, output.stderr)] {
            match to {
                To::Out => result.stdout.extend(bytes),
                To::Err => result.stderr.extend(bytes),
                To::File(path) => {
                    if let Err(problem) = self.files(|f| f.write(&path, &bytes, true)) {
                        result.complain(1, format!("bash: {path}: {}\n", problem.text()));
                    }
                }
            }
        }
        result
    }

    /// Works on the files as this shell's user.
    pub fn files<T>(&self, work: impl FnOnce(&mut Files<'_>) -> T) -> T {
        self.host.files(&self.user, self.umask, work)
    }

    /// A word as one text.
    async fn joined(&mut self, word: &Word, errors: &mut Vec<u8>) -> String {
        let mut text = String::new();
        for part in word {
            text.push_str(&self.part(part, errors).await);
        }
        self.tilde(word, text)
    }

    /// A word as the arguments it expands to.
    async fn expand(&mut self, word: &Word, errors: &mut Vec<u8>) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        let mut open = false;
        for part in word {
            // Each argument is a word of its own.
            if let Part::Variable {
                name, quoted: true, ..
            } = part
                && name == "@"
            {
                fields.extend(self.arguments.iter().cloned());
                open = !self.arguments.is_empty();
                continue;
            }
            let text = self.part(part, errors).await;
            let split = matches!(
                part,
                Part::Variable { quoted: false, .. } | Part::Command { quoted: false, .. }
            );
            let mut pieces: Vec<&str> = if split {
                text.split_whitespace().collect()
            } else {
                vec![&text]
            };
            if pieces.is_empty() {
                continue;
            }
            let glued = open && !(split && text.starts_with(char::is_whitespace));
            if let (true, Some(last)) = (glued, fields.last_mut()) {
                last.push_str(pieces.remove(0));
            }
            fields.extend(pieces.into_iter().map(str::to_owned));
            open = !(split && text.ends_with(char::is_whitespace));
        }
        if let Some(first) = fields.first_mut() {
            *first = self.tilde(word, std::mem::take(first));
        }
        fields
    }

    /// `~` and `~/…` at the start of an unquoted word.
    fn tilde(&self, word: &Word, text: String) -> String {
        let home = self.variables.get("HOME").cloned().unwrap_or_default();
        match (word.first(), text.strip_prefix('~')) {
            (Some(Part::Text(first)), Some(rest))
                if first.starts_with('~') && (rest.is_empty() || rest.starts_with('/')) =>
            {
                format!("{home}{rest}")
            }
            _ => text,
        }
    }

    async fn part(&mut self, part: &Part, errors: &mut Vec<u8>) -> String {
        match part {
            Part::Text(text) => text.clone(),
            Part::Empty => String::new(),
            Part::Variable { name, default, .. } => {
                let value = match name.as_str() {
                    "?" => Some(self.last.to_string()),
                    "$" => Some("4242".to_owned()),
                    "#" => Some(self.arguments.len().to_string()),
                    "@" | "*" => Some(self.arguments.join(" ")),
                    "0" => Some("bash".to_owned()),
                    number if number.starts_with(|c: char| c.is_ascii_digit()) => number
                        .parse::<usize>()
                        .ok()
                        .and_then(|n| self.arguments.get(n.checked_sub(1)?))
                        .cloned(),
                    other => self
                        .variables
                        .get(other)
                        .filter(|v| default.is_none() || !v.is_empty())
                        .cloned(),
                };
                value.or_else(|| default.clone()).unwrap_or_default()
            }
            Part::Command { body, .. } => {
                let mut inner = self.inner();
                if inner.depth > DEEPEST {
                    errors.extend(b"bash: too many shells inside one another\n");
                    return String::new();
                }
                let output = inner.node(body, Input::Bytes(Arc::default())).await;
                errors.extend(output.stderr);
                self.last = output.code;
                String::from_utf8_lossy(&output.stdout)
                    .trim_end_matches('\n')
                    .to_owned()
            }
        }
    }
}
