//! The values that a fuzzed expression can name: of every type, unknown, sensitive, ephemeral, null.

use std::collections::BTreeMap;

use stead_lang::Files;
use stead_lang::expr::{Environment, Reference, Resolved, Scope, Target};
use stead_value::schema::{Attribute, Block, NestedBlock, Nesting};
use stead_value::{Diagnostic, Marks, Number, Refinement, Type, Value};

use super::OneFile;

/// No two of these stand in each other or in a text by chance.
pub(super) const SECRETS: [&str; 2] = ["hunter2-7391", "swordfish"];

/// `local.…` for fuzzed expressions.
pub(super) struct Odd {
    /// Which values stand for the unknown ones; `None` leaves them unknown.
    known: Option<usize>,
    secret: usize,
}

impl Odd {
    /// How many sets of values there are for what is unknown.
    pub(super) const KNOWN: usize = 4;
    /// The set in which everything is null that may be.
    pub(super) const NULLS: usize = 3;

    pub(super) fn unknown() -> Odd {
        Odd {
            known: None,
            secret: 0,
        }
    }

    pub(super) fn known(set: usize) -> Odd {
        Odd {
            known: Some(set),
            secret: 0,
        }
    }

    pub(super) fn secret(secret: usize) -> Odd {
        Odd {
            known: Some(0),
            secret,
        }
    }

    fn local(&self, name: &str) -> Option<Value> {
        self.secret_value(name).or_else(|| {
            let ty = type_of(name)?;
            Some(match self.known {
                None => unknown(name, ty),
                Some(set) => known(name, ty, set),
            })
        })
    }

    fn secret_value(&self, name: &str) -> Option<Value> {
        let first = self.secret == 0;
        let text = Value::string(SECRETS[self.secret]);
        Some(match name {
            "ss" => text.sensitive(),
            "sn" => Value::number(if first { 41 } else { -2 }).sensitive(),
            "sb" => Value::bool(first).sensitive(),
            "sl" if first => Value::list(Type::String, vec![text]).sensitive(),
            "sl" => Value::list(Type::String, vec![text, Value::string("b")]).sensitive(),
            "so" => Value::object_from([("a", text.sensitive()), ("b", Value::number(1))]),
            "sm" => Value::map(
                Type::String,
                BTreeMap::from([
                    ("a".into(), text.sensitive()),
                    ("b".into(), Value::string("c")),
                ]),
            ),
            "e" => text.with_marks(Marks::EPHEMERAL).sensitive(),
            _ => return None,
        })
    }
}

fn type_of(name: &str) -> Option<Type> {
    let object = || {
        Type::object([
            ("a", Type::String),
            ("b", Type::Number),
            ("c", Type::list(Type::String)),
        ])
    };
    Some(match name {
        "us" | "rs" => Type::String,
        "un" | "rn" => Type::Number,
        "ub" => Type::Bool,
        "ul" | "rl" => Type::list(Type::String),
        "uset" => Type::set(Type::String),
        "um" => Type::map(Type::String),
        "ut" => Type::tuple([Type::String, Type::Number]),
        "uo" => object(),
        "ulo" => Type::list(object()),
        "ud" => Type::Dynamic,
        _ => return None,
    })
}

fn unknown(name: &str, ty: Type) -> Value {
    let refinement = Refinement {
        not_null: name.starts_with('r'),
        prefix: (name == "rs").then(|| "ab".into()),
        lower: (name == "rn").then(|| (Number::from(1), true)),
        upper: (name == "rn").then(|| (Number::from(9), false)),
        min_length: (name == "rl").then_some(1),
        max_length: (name == "rl").then_some(2),
    };
    Value::unknown_refined(ty, refinement)
}

fn known(name: &str, ty: Type, set: usize) -> Value {
    let pick = |of: [&str; 3]| Value::string(of[set % 3]);
    match name {
        "rs" => pick(["abc", "ab", "ab\u{301}1"]),
        "rn" => Value::number([1, 5, 8][set % 3]),
        "rl" => Value::list(Type::String, vec![pick(["x", "", "7"]); 1 + set % 2]),
        _ if set == Odd::NULLS => Value::null(ty),
        "ud" => match set {
            0 => Value::number(3),
            1 => Value::tuple(vec![Value::string("a"), Value::bool(true)]),
            _ => Value::object_from([("a", Value::string("x")), ("b", Value::null(Type::Dynamic))]),
        },
        _ => sample(&ty, set),
    }
}

/// A value of a type.
fn sample(ty: &Type, set: usize) -> Value {
    let items = |ty: &Type| match set {
        0 => vec![sample(ty, 0), sample(ty, 1)],
        1 => Vec::new(),
        _ => vec![sample(ty, 2)],
    };
    match ty {
        Type::Bool => Value::bool(set != 1),
        Type::Number => Value::number([7, 0, -12][set]),
        Type::String => Value::string(["abc", "", "12"][set]),
        Type::List(element) => Value::list((**element).clone(), items(element)),
        Type::Set(element) => Value::set((**element).clone(), items(element)),
        Type::Map(element) => {
            let keys = ["a", "b"].into_iter().map(Into::into);
            Value::map((**element).clone(), keys.zip(items(element)).collect())
        }
        Type::Tuple(types) => Value::tuple(types.iter().map(|ty| sample(ty, set)).collect()),
        Type::Object(object) => Value::object_from(
            object
                .attributes
                .iter()
                .map(|(name, ty)| (name.clone(), sample(ty, set))),
        ),
        Type::Dynamic => Value::bool(true),
    }
}

impl Scope for Odd {
    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        match &reference.target {
            Target::Local(name) => match self.local(name) {
                Some(value) => Resolved::Value(value),
                None => Diagnostic::error("Reference to undeclared local value", "").into(),
            },
            Target::CountIndex => Resolved::Value(Value::number(0)),
            Target::Resource { key: Some(_), .. } => Resolved::NoInstance,
            Target::Module {
                output: Some(_), ..
            } => Resolved::Whole,
            _ => Diagnostic::error("Invalid reference", "").into(),
        }
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            files: NO_FILES,
            working_directory: Some("/work"),
            home_directory: Some("/home/ann"),
            plan_timestamp: None,
            world: None,
        }
    }
}

const NO_FILES: &dyn Files = &OneFile {
    name: "template.tftpl",
    content: b"${a}%{ for x in b }${x}%{ endfor }",
};

/// A schema with every kind of attribute and nesting.
pub(super) fn schema() -> Block {
    let attribute = |ty| Attribute {
        optional: true,
        ..Attribute::new(ty)
    };
    let mut attributes = BTreeMap::from([
        ("a".into(), attribute(Type::String)),
        ("b".into(), attribute(Type::list(Type::Number))),
        ("c".into(), attribute(Type::set(Type::String))),
        ("e".into(), attribute(Type::map(Type::Bool))),
    ]);
    let block = |nesting| NestedBlock {
        nesting,
        block: Block {
            attributes: attributes.clone(),
            ..Block::default()
        },
        min_items: 0,
        max_items: 0,
        force_new: false,
    };
    let nestings = [
        ("f", Nesting::Single),
        ("g", Nesting::Group),
        ("h", Nesting::List),
        ("i", Nesting::Set),
        ("j", Nesting::Map),
    ];
    // With one of these in a list of blocks, its type is as open as the attribute's.
    let blocks = nestings.map(|(name, n)| (name.into(), block(n))).into();
    attributes.insert("d".into(), attribute(Type::Dynamic));
    Block {
        attributes,
        blocks,
        ..Block::default()
    }
}
