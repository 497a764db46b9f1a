//! Calls of functions that providers bring: `provider::NAME::FUNCTION(…)`.

use stead_value::convert::convert;
use stead_value::{FunctionSignature, Marks, Value};

use super::call::Argument;
use super::eval::Evaluator;
use super::scope::{NoFunction, ProviderFunction};
use crate::functions::count_problem;
use crate::syntax::Call;

impl Evaluator<'_> {
    /// `rest` is what follows `provider::`. Without `sound` arguments only mistakes are looked for.
    pub(super) fn provider_call(
        &mut self,
        rest: &str,
        call: &Call,
        arguments: &[Argument],
        sound: bool,
    ) -> Value {
        let scope = self.scope;
        let (provider, function) = rest.split_once("::").unwrap_or(("", rest));
        let found = if provider.is_empty() {
            Err(
                "The function call must include the provider name after the \"provider::\" prefix."
                    .to_owned(),
            )
        } else {
            scope
                .provider_function(provider, function)
                .map_err(|problem| explain(problem, provider, function))
        };
        match found {
            Ok(found) => self.call_provided(&found, call, arguments, sound),
            Err(detail) => self.error(call.name_span, "Unknown provider function", detail),
        }
    }

    /// What a provider's function takes and gives, as far as there is one.
    pub(super) fn provided_signature(&self, name: &str) -> Option<FunctionSignature> {
        let (provider, function) = name.split_once("::")?;
        let found = self.scope.provider_function(provider, function).ok()?;
        Some(found.signature.clone())
    }

    fn call_provided(
        &mut self,
        function: &ProviderFunction<'_>,
        call: &Call,
        arguments: &[Argument],
        sound: bool,
    ) -> Value {
        let signature = function.signature;
        let names: Vec<&str> = signature.parameters.iter().map(|p| &*p.name).collect();
        let given = arguments.len();
        let variadic = signature.variadic.is_some();
        if let Some((summary, problem)) = count_problem(&call.name, &names, variadic, given) {
            let at = arguments
                .get(names.len())
                .map_or(call.close_paren, |a| a.span);
            return self.error(at, summary, problem);
        }
        let mut values = Vec::with_capacity(given);
        let mut marks = Marks::NONE;
        let mut unknown = !sound;
        for (argument, parameter) in arguments
            .iter()
            .enumerate()
            .filter_map(|(i, a)| Some((a, signature.parameter(i)?)))
        {
            let problem = match convert(&argument.value, &parameter.ty) {
                Ok(value) if value.is_null() && !parameter.nullable => {
                    "argument must not be null".to_owned()
                }
                Ok(value) => {
                    let (value, found) = value.unmark_deep();
                    marks = marks.union(found);
                    unknown |= !parameter.unknown && !value.is_wholly_known();
                    values.push(value);
                    continue;
                }
                Err(error) => error.to_string(),
            };
            self.argument_error(argument, &parameter.name, &problem);
        }
        if values.len() < given {
            return Value::dynamic();
        }
        if unknown {
            return Value::unknown(signature.returns.clone()).with_marks(marks);
        }
        match (function.run)(&values) {
            Ok(value) => value.with_marks(marks),
            Err(error) => {
                let blamed = error
                    .argument
                    .and_then(|i| Some((arguments.get(i)?, signature.parameter(i)?)));
                match blamed {
                    Some((argument, parameter)) => {
                        self.argument_error(argument, &parameter.name, &error.message)
                    }
                    None => self.error(
                        call.name_span.to(call.open_paren),
                        "Error in function call",
                        format!("Call to function \"{}\" failed: {error}.", call.name),
                    ),
                }
            }
        }
    }

    fn argument_error(&mut self, argument: &Argument, parameter: &str, problem: &str) -> Value {
        self.error(
            argument.span,
            "Invalid function argument",
            format!("Invalid value for \"{parameter}\" parameter: {problem}."),
        )
    }
}

fn explain(problem: NoFunction, provider: &str, function: &str) -> String {
    match problem {
        NoFunction::Function => format!(
            "The function \"{function}\" is not available from the provider \"{provider}\"."
        ),
        NoFunction::Provider => format!(
            "There is no function named \"provider::{provider}::{function}\". Ensure that provider name \"{provider}\" is declared in this module's required_providers block, and that this provider offers a function named \"{function}\"."
        ),
    }
}
