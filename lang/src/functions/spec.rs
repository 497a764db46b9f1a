//! How the table describes a function.

use stead_value::{FunctionParameter, FunctionSignature, Type, Value};

use super::descriptions::DESCRIPTIONS;
use super::{Call, FunctionError, Outcome};

/// One function of the language.
pub struct Function {
    pub name: &'static str,
    pub(super) params: &'static [Parameter],
    pub(super) variadic: Option<Parameter>,
    returns: Returns,
    /// Whether the result may be null, or the reference does not say that it is not; else unknown results are refined.
    pub(super) nullable: bool,
    pub(super) run: fn(&Call<'_>) -> Outcome,
}

/// One parameter, and what the function itself deals with.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub ty: ParameterType,
    pub(super) null: bool,
    pub(super) unknown: bool,
    pub(super) marked: bool,
    /// Takes values whose type is not known yet.
    pub(super) open: bool,
}

/// The types that parameters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
    Any,
    Bool,
    Number,
    String,
    ListOfAny,
    ListOfBool,
    ListOfString,
    SetOfAny,
    MapOfListOfString,
}

impl ParameterType {
    pub fn to_type(self) -> Type {
        match self {
            ParameterType::Any => Type::Dynamic,
            ParameterType::Bool => Type::Bool,
            ParameterType::Number => Type::Number,
            ParameterType::String => Type::String,
            ParameterType::ListOfAny => Type::list(Type::Dynamic),
            ParameterType::ListOfBool => Type::list(Type::Bool),
            ParameterType::ListOfString => Type::list(Type::String),
            ParameterType::SetOfAny => Type::set(Type::Dynamic),
            ParameterType::MapOfListOfString => Type::map(Type::list(Type::String)),
        }
    }
}

/// The type of the result, needed when an argument is unknown.
pub(super) enum Returns {
    Fixed(fn() -> Type),
    By(fn(&[Value]) -> Result<Type, FunctionError>),
}

impl Parameter {
    pub(super) const fn new(name: &'static str, ty: ParameterType) -> Parameter {
        Parameter {
            name,
            ty,
            null: false,
            unknown: false,
            marked: false,
            open: false,
        }
    }

    pub(super) const fn null(mut self) -> Parameter {
        self.null = true;
        self
    }

    pub(super) const fn unknown(mut self) -> Parameter {
        self.unknown = true;
        self
    }

    pub(super) const fn marked(mut self) -> Parameter {
        self.marked = true;
        self
    }

    pub(super) const fn open(mut self) -> Parameter {
        self.open = true;
        self
    }
}

impl Function {
    pub(super) const fn new(
        name: &'static str,
        params: &'static [Parameter],
        returns: Returns,
        run: fn(&Call<'_>) -> Outcome,
    ) -> Function {
        Function {
            name,
            params,
            variadic: None,
            returns,
            nullable: false,
            run,
        }
    }

    pub(super) const fn variadic(mut self, parameter: Parameter) -> Function {
        self.variadic = Some(parameter);
        self
    }

    pub(super) const fn nullable(mut self) -> Function {
        self.nullable = true;
        self
    }

    /// Parameters in order; the variadic one, if any, again and again.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.params
            .iter()
            .chain(std::iter::repeat_with(|| self.variadic.as_ref()).map_while(|p| p))
    }

    /// The parameter that takes the argument at this index.
    pub fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.params.get(index).or(self.variadic.as_ref())
    }

    /// How many arguments it takes: the least, and the most (`None`: any number).
    pub fn arity(&self) -> (usize, Option<usize>) {
        let least = self.params.len();
        (least, self.variadic.is_none().then_some(least))
    }

    /// What is wrong with this number of arguments, if anything: headline and explanation.
    pub fn count_problem(&self, given: usize) -> Option<(&'static str, String)> {
        let names: Vec<&str> = self.params.iter().map(|p| p.name).collect();
        count_problem(self.name, &names, self.variadic.is_some(), given)
    }

    /// The function as `metadata functions` describes it.
    pub fn signature(&self) -> FunctionSignature {
        let parameter = |p: &Parameter| FunctionParameter {
            name: p.name.into(),
            description: String::new(),
            ty: p.ty.to_type(),
            nullable: p.null,
            unknown: p.unknown,
        };
        let all = || self.params.iter().chain(&self.variadic);
        let unknown: Vec<Value> = all().map(|p| Value::unknown(p.ty.to_type())).collect();
        let open = all().any(|p| p.ty == ParameterType::Any && !p.open);
        let returns = match self.result_type(&unknown) {
            Ok(ty) if !open => ty,
            _ => Type::Dynamic,
        };
        let description = DESCRIPTIONS
            .binary_search_by(|(name, _)| (*name).cmp(self.name))
            .ok()
            .and_then(|at| DESCRIPTIONS.get(at))
            .map_or("", |(_, text)| *text);
        FunctionSignature {
            summary: String::new(),
            description: description.into(),
            deprecated: None,
            parameters: self.params.iter().map(parameter).collect(),
            variadic: self.variadic.as_ref().map(parameter),
            returns,
        }
    }

    pub(super) fn result_type(&self, args: &[Value]) -> Result<Type, FunctionError> {
        match self.returns {
            Returns::Fixed(ty) => Ok(ty()),
            Returns::By(of) => of(args),
        }
    }
}

/// What is wrong with this number of arguments, if anything: headline and explanation.
pub(crate) fn count_problem(
    name: &str,
    parameters: &[&str],
    variadic: bool,
    given: usize,
) -> Option<(&'static str, String)> {
    let expected = parameters.len();
    if let Some(missing) = parameters.get(given) {
        let qualifier = if variadic { " at least" } else { "" };
        return Some((
            "Not enough function arguments",
            format!(
                "Function {name:?} expects{qualifier} {expected} argument(s). Missing value for {missing:?}."
            ),
        ));
    }
    (given > expected && !variadic).then(|| {
        (
            "Too many function arguments",
            format!("Function {name:?} expects only {expected} argument(s)."),
        )
    })
}
