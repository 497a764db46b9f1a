//! Calls of the language's own functions, and the templates that two of them render.

use std::cell::RefCell;
use std::sync::Arc;

use stead_value::Value;
use stead_value::convert::convert;

use super::call::Argument;
use super::eval::{Evaluator, TemplateContext};
use super::reference::{references_to_names, root_names};
use super::scope::{Environment, Scope};
use crate::Files;
use crate::config::place;
use crate::functions::{self, FunctionContext, FunctionError, World};
use crate::suggest::did_you_mean;
use crate::syntax::{Call, ExprKind, SourceFile, Span, parse_template};

/// Functions that read files: refused in `templatestring`, whose text may come from anywhere.
const FILE_FUNCTIONS: [&str; 11] = [
    "file",
    "filebase64",
    "filebase64sha256",
    "filebase64sha512",
    "fileexists",
    "filemd5",
    "fileset",
    "filesha1",
    "filesha256",
    "filesha512",
    "templatefile",
];

impl Evaluator<'_> {
    pub(super) fn builtin_call(
        &mut self,
        name: &str,
        call: &Call,
        arguments: &[Argument],
        sound: bool,
    ) -> Value {
        // Errors of the call as a whole point to its beginning: name and parenthesis.
        let start = call.name_span.to(call.open_paren);
        let Some(function) = functions::lookup(name) else {
            let hint = did_you_mean(name, functions::FUNCTIONS.iter().map(|f| f.name));
            return self.error(
                call.name_span,
                "Call to unknown function",
                format!("There is no function named \"{name}\".{hint}"),
            );
        };
        if let Some(problem) = self.refused_in_template(name) {
            return self.error(
                start,
                "Error in function call",
                format!("Call to function \"{name}\" failed: {problem}."),
            );
        }
        if let Some((summary, problem)) = function.count_problem(arguments.len()) {
            let (_, most) = function.arity();
            return match most.and_then(|most| arguments.get(most)) {
                Some(extra) => self.error(extra.span, summary, problem),
                None => self.error(call.close_paren, summary, problem),
            };
        }
        if name == "templatestring"
            && let Some(first) = call.args.first()
            && !matches!(first.kind, ExprKind::Traversal { .. })
        {
            return self.error(
                first.span,
                "Invalid function argument",
                "Invalid value for \"template\" parameter: must be a direct reference to a single string from elsewhere, \
                 containing valid template syntax.",
            );
        }
        let Some(values) = self.converted(function, arguments) else {
            return Value::dynamic();
        };
        // What an argument's error left behind is no argument.
        if !sound {
            return Value::dynamic();
        }
        let context = Context {
            environment: self.scope.environment(),
            scope: self.scope,
            missing: RefCell::new(None),
        };
        let outcome = functions::call(function, &values, &context);
        let missing = context.missing.into_inner();
        match (outcome, missing) {
            (Ok(value), _) => value,
            (Err(_), Some(missing)) => {
                let at = arguments.get(1).map_or(start, |a| a.span);
                self.error(
                    at,
                    "Invalid function argument",
                    format!("Invalid value for \"vars\" parameter: {missing}."),
                )
            }
            (Err(error), None) => self.function_error(function, &error, arguments, start),
        }
    }

    /// The arguments in their parameters' types; `None` when some do not convert, each of which is reported.
    fn converted(
        &mut self,
        function: &functions::Function,
        arguments: &[Argument],
    ) -> Option<Vec<Value>> {
        let mut values = Vec::with_capacity(arguments.len());
        for (i, argument) in arguments.iter().enumerate() {
            let parameter = function.parameter(i)?;
            match convert(&argument.value, &parameter.ty.to_type()) {
                Ok(value) => values.push(value),
                Err(error) => {
                    let detail = format!(
                        "Invalid value for \"{}\" parameter: {error}.",
                        parameter.name
                    );
                    self.error(argument.span, "Invalid function argument", detail);
                }
            }
        }
        (values.len() == arguments.len()).then_some(values)
    }

    fn function_error(
        &mut self,
        function: &functions::Function,
        error: &FunctionError,
        arguments: &[Argument],
        start: Span,
    ) -> Value {
        let blamed = error
            .argument
            .and_then(|i| Some((arguments.get(i)?, function.parameter(i)?)));
        match blamed {
            Some((argument, parameter)) => self.error(
                argument.span,
                "Invalid function argument",
                format!(
                    "Invalid value for \"{}\" parameter: {}.",
                    parameter.name, error.message
                ),
            ),
            None => self.error(
                start,
                "Error in function call",
                format!(
                    "Call to function \"{}\" failed: {}.",
                    function.name, error.message
                ),
            ),
        }
    }

    fn refused_in_template(&self, name: &str) -> Option<String> {
        let template = self.template?;
        if name == "templatefile" || name == "templatestring" {
            return Some(
                "cannot recursively call templatefile from inside another template function".into(),
            );
        }
        (!template.files && FILE_FUNCTIONS.contains(&name)).then(|| {
            "filesystem functions are not available in a template given as a string".into()
        })
    }
}

/// The environment as functions see it.
struct Context<'a> {
    environment: Environment<'a>,
    scope: &'a dyn Scope,
    /// A variable that a template needs and was not given.
    missing: RefCell<Option<String>>,
}

impl FunctionContext for Context<'_> {
    fn files(&self) -> &dyn Files {
        self.environment.files
    }

    fn working_directory(&self) -> Option<String> {
        self.environment.working_directory.map(ToOwned::to_owned)
    }

    fn home_directory(&self) -> Option<String> {
        self.environment.home_directory.map(ToOwned::to_owned)
    }

    fn plan_timestamp(&self) -> Option<String> {
        self.environment.plan_timestamp.map(ToOwned::to_owned)
    }

    fn world(&self) -> Option<&dyn World> {
        self.environment.world
    }

    fn render_template(
        &self,
        name: &str,
        text: &str,
        vars: &Value,
        files: bool,
    ) -> Result<Value, String> {
        let file = Arc::new(SourceFile::new(name, text));
        let (expr, diagnostics) = parse_template(&file);
        if diagnostics.has_errors() {
            return Err(first_error(&diagnostics));
        }
        let entries = vars.as_entries();
        for root in root_names(&expr) {
            if !entries.is_some_and(|e| e.contains_key(&root)) {
                let at = references_to_names(&expr, &root)
                    .map_or_else(String::new, |range| place(&range));
                let problem =
                    format!("vars map does not contain key \"{root}\", referenced at {at}");
                self.missing.replace(Some(problem.clone()));
                return Err(problem);
            }
        }
        let mut evaluator = Evaluator::new(&file, self.scope);
        evaluator.template = Some(TemplateContext { files });
        evaluator.names = entries
            .into_iter()
            .flatten()
            .map(|(k, v)| (Arc::clone(k), v.clone()))
            .collect();
        let value = evaluator.expr(expr.node());
        if evaluator.outcome.diagnostics.has_errors() {
            return Err(first_error(&evaluator.outcome.diagnostics));
        }
        Ok(value)
    }
}

/// `file:line,column-column: Summary; Detail`
fn first_error(diagnostics: &stead_value::Diagnostics) -> String {
    let Some(error) = diagnostics.iter().find(|d| d.is_error()) else {
        return String::new();
    };
    let at = error
        .subject
        .as_ref()
        .map_or_else(String::new, |range| format!("{}: ", place(range)));
    format!("{at}{}; {}", error.summary, error.detail)
}
