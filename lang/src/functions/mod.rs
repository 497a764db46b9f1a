//! The language's functions: a table of them, and how one is called.
//!
//! Each function is a plain Rust function over values. What they have in common happens in [`call`]: conversion of arguments,
//! nulls, unknowns and marks. What the world must give (files, the clock, chance) comes through [`FunctionContext`].

mod collections;
mod csv;
mod descriptions;
mod encoding;
mod files;
mod format;
mod glob;
mod gzip;
mod hashes;
mod network;
mod numbers;
mod regexes;
mod sets;
mod spec;
mod strings;
mod structures;
mod table;
mod terraform;
mod text_encoding;
mod time;
mod types;
mod yaml;

pub(crate) use spec::count_problem;
pub use spec::{Function, Parameter, ParameterType};
pub use table::FUNCTIONS;
pub use terraform::{builtin_provider_function, builtin_provider_functions};

use stead_value::convert::convert;
use stead_value::{FunctionSignature, Marks, Type, Value};

use crate::Files;

/// What functions need from outside.
pub trait FunctionContext {
    /// The files that `file`, `fileset` and their like see; relative paths are relative to the working directory.
    fn files(&self) -> &dyn Files;

    /// The absolute path of the working directory, for `abspath`.
    fn working_directory(&self) -> Option<String>;

    /// The user's home, for `~` in paths.
    fn home_directory(&self) -> Option<String>;

    /// When the plan was made, in RFC 3339; `None` while that is open.
    fn plan_timestamp(&self) -> Option<String>;

    /// Clock and chance; `None` while planning: functions that need them then give unknown values.
    fn world(&self) -> Option<&dyn World>;

    /// Evaluates a template with these variables only. The name says where the text came from. `vars` bears no marks.
    /// In `templatestring` templates (`files` false) functions that read files must be refused.
    fn render_template(
        &self,
        name: &str,
        text: &str,
        vars: &Value,
        files: bool,
    ) -> Result<Value, String>;
}

/// What differs from run to run.
pub trait World: Send + Sync {
    /// The time now, in UTC and RFC 3339 with whole seconds.
    fn now(&self) -> String;

    /// Random bytes, fit for secrets.
    fn random(&self, bytes: &mut [u8]);
}

/// Why a call failed. The message never holds a sensitive argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FunctionError {
    /// Which argument is to blame, if a single one is; counted from zero.
    pub argument: Option<usize>,
    pub message: String,
}

impl FunctionError {
    pub(crate) fn new(message: impl Into<String>) -> FunctionError {
        FunctionError {
            argument: None,
            message: message.into(),
        }
    }

    pub(crate) fn argument(index: usize, message: impl Into<String>) -> FunctionError {
        FunctionError {
            argument: Some(index),
            message: message.into(),
        }
    }
}

type Outcome = Result<Value, FunctionError>;

/// Finds a function by the name in the source: `upper` or `core::upper`. `can` and `try` are there too, so that they are
/// known as names, but only the evaluator can do their work.
pub fn lookup(name: &str) -> Option<&'static Function> {
    let name = name.strip_prefix("core::").unwrap_or(name);
    let at = FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok()?;
    FUNCTIONS.get(at)
}

/// The signature of every function that a configuration can call, by name.
pub fn signatures() -> impl Iterator<Item = (&'static str, FunctionSignature)> {
    FUNCTIONS
        .iter()
        .filter(|f| !GONE.contains(&f.name))
        .map(|f| (f.name, f.signature()))
}

/// Functions of old: known, so that their calls say what to write instead.
const GONE: [&str; 2] = ["list", "map"];

/// One call on its way: arguments of the right types, unmarked where the function does not ask for marks.
struct Call<'a> {
    args: &'a [Value],
    context: &'a dyn FunctionContext,
}

/// Calls a function. Arguments come as evaluated; they are converted here.
pub fn call(function: &Function, args: &[Value], context: &dyn FunctionContext) -> Outcome {
    if let Some((_, detail)) = function.count_problem(args.len()) {
        return Err(FunctionError::new(detail));
    }
    let mut ready = Vec::with_capacity(args.len());
    for (i, (arg, parameter)) in args.iter().zip(function.parameters()).enumerate() {
        let ty = parameter.ty.to_type();
        ready.push(convert(arg, &ty).map_err(|e| FunctionError::argument(i, e.message))?);
    }
    let mut marks = Marks::NONE;
    let mut open_type = false;
    let mut unknown = false;
    for (i, (arg, parameter)) in ready.iter_mut().zip(function.parameters()).enumerate() {
        if arg.is_null() && !parameter.null {
            return Err(FunctionError::argument(i, "argument must not be null"));
        }
        if !parameter.marked {
            let (plain, found) = std::mem::replace(arg, Value::dynamic()).unmark_deep();
            *arg = plain;
            marks = marks.union(found);
        }
        open_type |= arg.ty() == Type::Dynamic && !parameter.open;
        unknown |= !arg.is_known() && !parameter.unknown;
        if open_type {
            break;
        }
    }
    if open_type {
        let rest = args.iter().fold(marks, |m, a| m.union(a.marks_deep()));
        return Ok(Value::dynamic().with_marks(rest));
    }
    let call = Call {
        args: &ready,
        context,
    };
    let result = if unknown {
        Value::unknown(function.result_type(&ready)?)
    } else {
        (function.run)(&call)?
    };
    let result = if function.nullable {
        result
    } else {
        result.refine_not_null()
    };
    Ok(result.with_marks(marks))
}

/// What of a text that goes on unknown is certain to stay: a character at the end may still combine with what follows.
pub(crate) fn certain_prefix(text: &str) -> &str {
    use unicode_segmentation::UnicodeSegmentation;
    match text.grapheme_indices(true).next_back() {
        Some((_, last))
            if last.len() == 1
                && last
                    .bytes()
                    .all(|b| b.is_ascii_punctuation() || b" \t".contains(&b))
                && !"<=>`".contains(last) =>
        {
            text
        }
        Some((at, _)) => text.get(..at).unwrap_or_default(),
        None => text,
    }
}

impl<'a> Call<'a> {
    fn arg(&self, i: usize) -> &'a Value {
        // The count of arguments was checked against the table.
        self.args.get(i).unwrap_or(&NULL)
    }

    fn text(&self, i: usize) -> &'a str {
        self.arg(i).as_str().unwrap_or_default()
    }

    /// The argument as a whole number that a machine word holds.
    fn int(&self, i: usize) -> Result<i64, FunctionError> {
        self.arg(i)
            .as_i64()
            .ok_or_else(|| FunctionError::new(whole_number_needed()))
    }

    fn float(&self, i: usize) -> Result<f64, FunctionError> {
        let n = self
            .arg(i)
            .as_number()
            .cloned()
            .unwrap_or_else(stead_value::Number::zero);
        let f = n.to_f64();
        if f.is_infinite() && !n.is_infinite() {
            let (least, most) = (-f64::MAX, f64::MAX);
            return Err(FunctionError::new(format!(
                "value must be between {least:.6} and {most:.6} inclusive"
            )));
        }
        Ok(f)
    }

    fn rest(&self, from: usize) -> &'a [Value] {
        self.args.get(from..).unwrap_or_default()
    }
}

fn whole_number_needed() -> String {
    format!(
        "value must be a whole number, between {} and {}",
        i64::MIN,
        i64::MAX
    )
}

static NULL: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| Value::null(Type::Dynamic));

/// Text for a message, unless its value is marked.
fn shown(text: &str, marks: Marks) -> String {
    match (
        marks.contains(Marks::SENSITIVE),
        marks.contains(Marks::EPHEMERAL),
    ) {
        (true, true) => "(ephemeral sensitive value)".into(),
        (true, false) => "(sensitive value)".into(),
        (false, true) => "(ephemeral value)".into(),
        (false, false) => quoted(text),
    }
}

/// Text in double quotes with escapes.
fn quoted(text: &str) -> String {
    stead_value::quoted(text)
}

#[cfg(test)]
mod tests;
