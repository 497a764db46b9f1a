//! A small POSIX-like shell: enough of one for what provisioning tools send over SSH.

mod commands;
mod parse;
mod run;

pub use commands::not_found;
pub use parse::parse;
pub use run::{Input, Output, Shell, Sudo, System, home};

/// A command line as it was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Simple {
        assignments: Vec<(String, Word)>,
        words: Vec<Word>,
        redirects: Vec<Redirect>,
    },
    Pipeline {
        nodes: Vec<Node>,
        negated: bool,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Sequence(Vec<Node>),
    /// `NAME() { …; }`.
    Function {
        name: String,
        body: Box<Node>,
    },
    If {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Option<Box<Node>>,
    },
    /// `{ …; }` and `( … )`; the latter keeps changes of variables and directory to itself.
    Group {
        body: Box<Node>,
        subshell: bool,
        redirects: Vec<Redirect>,
    },
}

/// A word: parts that are joined after expansion.
pub type Word = Vec<Part>;

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    /// `$NAME` and `${NAME:-default}`; unquoted values are split at blanks.
    Variable {
        name: String,
        default: Option<String>,
        quoted: bool,
    },
    /// `$(…)` and backquotes.
    Command {
        body: Box<Node>,
        quoted: bool,
    },
    /// `""` or `''`: keeps the word although it is empty.
    Empty,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// 0, 1 or 2; 3 stands for both 1 and 2 (`&>`).
    pub descriptor: u8,
    pub target: Target,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Write(Word),
    Append(Word),
    Read(Word),
    /// `>&N`.
    Copy(u8),
    /// A here-document or here-string.
    Here(Word),
}
