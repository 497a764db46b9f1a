//! What an expression can refer to, and how the evaluator asks for it.

use std::fmt;
use std::sync::Arc;

use stead_value::addr::{InstanceKey, Resource};
use stead_value::{
    CallError, Diagnostic, Diagnostics, FunctionSignature, Path, SourceRange, Value,
};

use super::deprecation::Deprecation;
use crate::Files;
use crate::functions::World;

/// Gives values to references. Asked again and again: it must be cheap to ask for what was computed before.
pub trait Scope {
    /// The value of an object. Called once per occurrence that is evaluated, with the longest reference that the
    /// syntax and the evaluated indexes give: for `aws_x.y["k"].id` with the instance `"k"`, not with all of `aws_x.y`.
    fn resolve(&self, reference: &Reference<'_>) -> Resolved;

    /// What functions get from outside.
    fn environment(&self) -> Environment<'_>;

    /// What the values with the mark [`stead_value::Marks::deprecated`] of this number come with.
    fn deprecation(&self, _number: usize) -> Option<Deprecation> {
        None
    }

    /// The function `provider::PROVIDER::FUNCTION`, where `provider` is the module's local name of the provider.
    fn provider_function(
        &self,
        _provider: &str,
        _function: &str,
    ) -> Result<ProviderFunction<'_>, NoFunction> {
        Err(NoFunction::Provider)
    }
}

/// A function that a provider brings.
pub struct ProviderFunction<'a> {
    pub signature: &'a FunctionSignature,
    /// Runs it: arguments in their parameters' types, without marks.
    pub run: Box<dyn Fn(&[Value]) -> Result<Value, CallError> + 'a>,
}

/// Why there is no such function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFunction {
    /// The module has no provider of that local name, or it brings no functions.
    Provider,
    /// The provider has other functions.
    Function,
}

/// What functions get from outside: files, clock and chance.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Relative paths are relative to the working directory.
    pub files: &'a dyn Files,
    /// The absolute path of the working directory, for `abspath`.
    pub working_directory: Option<&'a str>,
    /// The user's home, for `~` in paths.
    pub home_directory: Option<&'a str>,
    /// When the plan was made, in RFC 3339, for `plantimestamp`; `None` while that is open.
    pub plan_timestamp: Option<&'a str>,
    /// Clock and chance; `None` while planning: `timestamp`, `uuid` and `bcrypt` then give unknown values.
    pub world: Option<&'a dyn World>,
}

/// One reference as it stands in an expression.
#[derive(Clone, Debug)]
pub struct Reference<'a> {
    pub target: Target,
    /// The static or already evaluated steps that follow the target, up to the first splat or unknown key:
    /// `.id` in `aws_x.y["k"].id`. The evaluator takes these steps itself; they are for the asked to know what is used.
    pub rest: Path,
    pub source: &'a Source<'a>,
}

/// Where a reference stands. The range is made only when asked for.
pub struct Source<'a> {
    pub(crate) file: &'a crate::syntax::SourceFile,
    pub(crate) span: crate::syntax::Span,
}

impl Source<'_> {
    pub fn range(&self) -> SourceRange {
        self.file.range(self.span)
    }

    /// The reference as written.
    pub fn text(&self) -> &str {
        self.file.slice(self.span)
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// An object that expressions can name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// `var.NAME`
    Variable(Arc<str>),
    /// `local.NAME`
    Local(Arc<str>),
    /// `TYPE.NAME`, `data.TYPE.NAME`. `key` is `None` when the object is used as a whole: then the value is a tuple
    /// (`count`), an object (`for_each`) or the single instance. With `Some`, the value of that one instance is wanted.
    Resource {
        resource: Resource,
        key: Option<InstanceKey>,
    },
    /// `module.NAME`. `key` as for resources. With `output`, the value of that output of the one instance (of the only
    /// one when `key` is `None`; a call with `count` or `for_each` then answers [`Resolved::Whole`]).
    Module {
        name: Arc<str>,
        key: Option<InstanceKey>,
        output: Option<Arc<str>>,
    },
    /// `each.key`
    EachKey,
    /// `each.value`
    EachValue,
    /// `count.index`
    CountIndex,
    /// `self`
    SelfObject,
    /// `path.module`, `path.root`, `path.cwd`
    Path(PathKind),
    /// `terraform.workspace` (also `tofu.workspace`)
    Workspace,
    /// `terraform.applying`
    Applying,
    /// A name that only a template's own variables give (`templatefile`), or a test's `run.NAME`.
    Other(Arc<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathKind {
    Module,
    Root,
    Cwd,
}

/// The answer to a reference.
#[derive(Clone, Debug)]
pub enum Resolved {
    Value(Value),
    /// Not computed yet: the evaluation goes on with an unknown value, and says `pending`.
    Pending,
    /// What is referred to had errors, already reported: the evaluation goes on with an unknown value, and says `failed`.
    Failed,
    /// The object exists but has no such instance: the evaluator reports "Invalid index" at the key.
    NoInstance,
    /// This part can't be given alone (an output asked of a module call with `for_each`): the evaluator asks for the
    /// whole object and takes the steps itself.
    Whole,
    /// The reference is wrong. Diagnostics without a subject get the reference's range.
    Invalid(Diagnostics),
}

impl From<Diagnostic> for Resolved {
    fn from(diagnostic: Diagnostic) -> Self {
        Resolved::Invalid(diagnostic.into())
    }
}

/// A reference found in the syntax, without evaluating: keys are present only when they are literals.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticReference {
    pub target: Target,
    /// The static steps that follow the target.
    pub rest: Path,
    /// Of the part that names the target.
    pub range: SourceRange,
    /// Where each step of `rest` stands.
    pub rest_ranges: Vec<SourceRange>,
}

/// The outcome of evaluating an expression.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub value: Value,
    pub diagnostics: Diagnostics,
    /// A reference was `Pending`: the value is a placeholder; evaluate again when it is there.
    pub pending: bool,
    /// A reference was `Failed`: the value is a placeholder; the errors were reported elsewhere.
    pub failed: bool,
}

impl Evaluation {
    pub fn of(value: Value) -> Evaluation {
        Evaluation {
            value,
            diagnostics: Diagnostics::new(),
            pending: false,
            failed: false,
        }
    }

    /// Whether the value can be used: nothing pending, failed or wrong.
    pub fn is_settled(&self) -> bool {
        !self.pending && !self.failed && !self.diagnostics.has_errors()
    }
}
