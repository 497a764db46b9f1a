//! Selectors of disks: expressions in CEL, of the same variables and functions as in a machine configuration.
//!
//! | name | what it is |
//! |---|---|
//! | `disk` | the disk, with the fields of Talos' `DiskSpec` (`talosctl get disks -o yaml`) |
//! | `system_disk` | whether Talos is installed on it |
//! | `KiB` … `EiB`, `kB` … `EB` | factors for sizes, which are unsigned: `disk.size > 100u * GB` |
//! | `glob(PATTERN, TEXT)` | whether the text is the pattern, in which `*` stands for anything |
//!
//! Types are checked before anything is asked of a node, as Talos does it: an expression that would fail for some disk is refused.

mod check;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::SourceInfo;
use cel::objects::{Key, Map};
use cel::{Context, Env, IdedExpr, Value};

/// Bytes of a unit, by its name.
const UNITS: [(&str, u64); 12] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
];

/// A value of a disk's field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Uint(u64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
}

/// The fields of a disk, each of which stands for its type here.
pub(crate) const FIELDS: [(&str, Kind); 19] = [
    ("bus_path", Kind::Text),
    ("cdrom", Kind::Bool),
    ("dev_path", Kind::Text),
    ("firmware_version", Kind::Text),
    ("io_size", Kind::Uint),
    ("modalias", Kind::Text),
    ("model", Kind::Text),
    ("pretty_size", Kind::Text),
    ("readonly", Kind::Bool),
    ("rotational", Kind::Bool),
    ("secondary_disks", Kind::Texts),
    ("sector_size", Kind::Uint),
    ("serial", Kind::Text),
    ("size", Kind::Uint),
    ("sub_system", Kind::Text),
    ("symlinks", Kind::Texts),
    ("transport", Kind::Text),
    ("uuid", Kind::Text),
    ("wwid", Kind::Text),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Uint,
    Bool,
    Text,
    Texts,
}

/// Why an expression is no selector, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    pub(crate) said: String,
    /// The line.
    text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake {
            line,
            column,
            said,
            text,
        } = self;
        write!(
            f,
            "line {line}, column {column}: {said}\n  {text}\n  {:>column$}",
            "^"
        )
    }
}

/// A selector that makes sense.
#[derive(Debug)]
pub(crate) struct Selector {
    expression: IdedExpr,
}

/// Bytes of an expression. The longest that people write have some hundreds.
const LONGEST: usize = 2 << 10;

/// Bytes of the stack that the deepest expression of that length needs, many times over: its parser and its evaluation go down with it.
const STACK: usize = 64 << 20;

/// Does what goes deep on a stack that is deep enough.
fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|e| e.to_string())?;
        thread
            .join()
            .map_err(|_| "the library for expressions gave up on it".to_owned())
    })
}

impl Selector {
    /// # Errors
    /// When the text is no expression, or its types do not fit.
    pub(crate) fn new(text: &str) -> Result<Selector, Mistake> {
        if text.len() > LONGEST {
            let said = format!("the expression has more than {LONGEST} bytes");
            return Err(Mistake::at(text, 0, said));
        }
        match deep(|| Selector::parsed(text)) {
            Ok(parsed) => parsed,
            Err(why) => Err(Mistake::at(text, 0, why)),
        }
    }

    fn parsed(text: &str) -> Result<Selector, Mistake> {
        let parsed = Env::stdlib()
            .with_optional_support(false)
            .parser()
            .parse_with_source_info(text);
        let (mut expression, places) = parsed.map_err(|errors| {
            let Some(first) = errors.errors.into_iter().next() else {
                return Mistake::at(text, 0, "it is no expression".to_owned());
            };
            let whole = |n: isize| usize::try_from(n).unwrap_or(0);
            let (line, column) = (whole(first.pos.0).max(1), whole(first.pos.1).max(1));
            Mistake::of_line(text, line, column, first.msg)
        })?;
        check::check(&mut expression, text, &places)?;
        Ok(Selector { expression })
    }

    /// Whether it selects a disk.
    ///
    /// # Errors
    /// When the expression cannot be computed for this disk, as when it divides by zero.
    pub(crate) fn selects(
        &self,
        fields: impl IntoIterator<Item = (&'static str, Part)> + Send,
        system_disk: bool,
    ) -> Result<bool, String> {
        deep(|| self.evaluated(fields, system_disk))?
    }

    fn evaluated(
        &self,
        fields: impl IntoIterator<Item = (&'static str, Part)>,
        system_disk: bool,
    ) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::new(Env::stdlib()));
        for (name, bytes) in UNITS {
            context.add_variable_from_value(name, Value::UInt(bytes));
        }
        let fields: HashMap<Key, Value> = fields
            .into_iter()
            .map(|(name, part)| (Key::from(name.to_owned()), value(part)))
            .collect();
        let disk = Map {
            map: Arc::new(fields),
        };
        context.add_variable_from_value("disk", Value::Map(disk));
        context.add_variable_from_value("system_disk", Value::Bool(system_disk));
        context
            .add_function("glob", |pattern: Arc<String>, text: Arc<String>| {
                glob(&pattern, &text)
            })
            .map_err(|e| e.to_string())?;
        match context.resolve(&self.expression) {
            Ok(Value::Bool(selected)) => Ok(selected),
            Ok(other) => Err(format!("it is {other:?}, and not true or false")),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn value(part: Part) -> Value {
    let text = |text: String| Value::String(Arc::new(text));
    match part {
        Part::Uint(n) => Value::UInt(n),
        Part::Bool(b) => Value::Bool(b),
        Part::Text(t) => text(t),
        Part::Texts(list) => Value::List(Arc::new(list.into_iter().map(text).collect())),
    }
}

/// `*` stands for any text, also for none; everything else for itself.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    // The first place of each is as good as any other.
    for part in parts {
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(tail)
}

impl Mistake {
    /// At a character of the text, counted from 0.
    fn at(text: &str, offset: usize, said: String) -> Mistake {
        let before: String = text.chars().take(offset).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Mistake::of_line(text, line, column, said)
    }

    fn of_line(text: &str, line: usize, column: usize, said: String) -> Mistake {
        let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        Mistake {
            line,
            column,
            said,
            text: shown.to_owned(),
        }
    }

    fn of(text: &str, places: &SourceInfo, id: u64, said: String) -> Mistake {
        let offset = places.offset_for(id).map_or(0, |(start, _)| start);
        Mistake::at(text, usize::try_from(offset).unwrap_or(0), said)
    }
}

#[cfg(test)]
mod tests;
