//! The types of an expression, by the rules of CEL's checker: what has no overload for its types is refused.

use std::fmt;

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, SelectExpr, SourceInfo,
};

use super::{FIELDS, Kind, Mistake, UNITS};

#[derive(Clone, Debug, PartialEq)]
enum Type {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Null,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Disk,
    /// Fits everything: what is in an empty list, and what `dyn` makes.
    Any,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::Text => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Null => f.write_str("null"),
            Type::List(of) => write!(f, "list({of})"),
            Type::Map(key, value) => write!(f, "map({key}, {value})"),
            Type::Disk => f.write_str("disk"),
            Type::Any => f.write_str("dyn"),
        }
    }
}

impl Type {
    /// Whether one can stand where the other is wanted.
    fn fits(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Any, _) | (_, Type::Any) => true,
            (Type::List(a), Type::List(b)) => a.fits(b),
            (Type::Map(a, x), Type::Map(b, y)) => a.fits(b) && x.fits(y),
            (a, b) => a == b,
        }
    }

    /// The more telling of two that fit.
    fn or(self, other: Type) -> Type {
        match (self, other) {
            (Type::Any, other) => other,
            (Type::List(a), Type::List(b)) => Type::List(Box::new(a.or(*b))),
            (one, _) => one,
        }
    }

    fn is_one_of(&self, types: &[Type]) -> bool {
        *self == Type::Any || types.contains(self)
    }
}

/// Checks an expression, and makes presence tests (`has(disk.serial)`) what they mean for a disk: that the field is not empty.
///
/// # Errors
/// When its types do not fit, or it is neither true nor false in the end.
pub(super) fn check(
    expression: &mut IdedExpr,
    text: &str,
    places: &SourceInfo,
) -> Result<(), Mistake> {
    let mut checker = Checker {
        text,
        places,
        scope: Vec::new(),
    };
    let found = checker.type_of(expression)?;
    if found != Type::Bool {
        let said = format!("the expression is of the type {found}, and must be bool");
        return Err(checker.mistake(expression, said));
    }
    Ok(())
}

struct Checker<'a> {
    text: &'a str,
    places: &'a SourceInfo,
    /// Variables of macros, the innermost last.
    scope: Vec<(String, Type)>,
}

type Found = Result<Type, Mistake>;

/// What compares by order.
const ORDERED: [Type; 6] = [
    Type::Bool,
    Type::Int,
    Type::Uint,
    Type::Double,
    Type::Text,
    Type::Bytes,
];

impl Checker<'_> {
    fn mistake(&self, at: &IdedExpr, said: String) -> Mistake {
        Mistake::of(self.text, self.places, at.id, said)
    }

    fn type_of(&mut self, expression: &mut IdedExpr) -> Found {
        let id = expression.id;
        let at = |checker: &Self, said: String| Mistake::of(checker.text, checker.places, id, said);
        match &mut expression.expr {
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Bytes(_) => Type::Bytes,
                LiteralValue::Double(_) => Type::Double,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::Null => Type::Null,
                LiteralValue::String(_) => Type::Text,
                LiteralValue::UInt(_) => Type::Uint,
            }),
            Expr::Ident(name) => {
                let name = name.clone();
                self.variable(&name).ok_or_else(|| {
                    at(
                        self,
                        format!(
                            "there is no variable {name:?}. There are disk, system_disk and the units {}",
                            UNITS.map(|(name, _)| name).join(", ")
                        ),
                    )
                })
            }
            Expr::Select(select) => {
                let found = self.select(select, id)?;
                if !select.test {
                    return Ok(found);
                }
                if let Some(replaced) = presence(select, &found, id) {
                    expression.expr = replaced;
                }
                Ok(Type::Bool)
            }
            Expr::List(ListExpr { elements, .. }) => {
                let mut of = Type::Any;
                for element in elements {
                    let found = self.type_of(element)?;
                    if !of.fits(&found) {
                        let said = format!("a list of {of} cannot hold {found}");
                        return Err(self.mistake(element, said));
                    }
                    of = of.or(found);
                }
                Ok(Type::List(Box::new(of)))
            }
            Expr::Map(map) => {
                let (mut keys, mut values) = (Type::Any, Type::Any);
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        continue;
                    };
                    let (key, value) = (
                        self.type_of(&mut entry.key)?,
                        self.type_of(&mut entry.value)?,
                    );
                    if !keys.fits(&key) || !values.fits(&value) {
                        let said = format!(
                            "a map of {keys} to {values} cannot hold {value} at a key of {key}"
                        );
                        return Err(self.mistake(&entry.key, said));
                    }
                    (keys, values) = (keys.or(key), values.or(value));
                }
                Ok(Type::Map(Box::new(keys), Box::new(values)))
            }
            Expr::Call(call) => self.call(call, id),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(message) => {
                let said = format!("there is no type {:?}", message.type_name);
                Err(at(self, said))
            }
            Expr::Unspecified => Err(at(self, "it is no expression".to_owned())),
        }
    }

    fn variable(&self, name: &str) -> Option<Type> {
        let local = self.scope.iter().rev().find(|(known, _)| known == name);
        if let Some((_, found)) = local {
            return Some(found.clone());
        }
        match name {
            "disk" => Some(Type::Disk),
            "system_disk" => Some(Type::Bool),
            unit if UNITS.iter().any(|(known, _)| *known == unit) => Some(Type::Uint),
            _ => None,
        }
    }

    /// The type of the field.
    fn select(&mut self, select: &mut SelectExpr, id: u64) -> Found {
        let field = select.field.clone();
        match self.type_of(&mut select.operand)? {
            Type::Disk => {
                let known = FIELDS.iter().find(|(name, _)| *name == field);
                known.map(|(_, kind)| of_kind(*kind)).ok_or_else(|| {
                    let names = FIELDS.map(|(name, _)| name).join(", ");
                    let said = format!("a disk has no field {field:?}. It has {names}");
                    Mistake::of(self.text, self.places, id, said)
                })
            }
            Type::Map(key, value) if key.fits(&Type::Text) => Ok(*value),
            Type::Any => Ok(Type::Any),
            other => {
                let said = format!("{other} has no fields");
                Err(Mistake::of(self.text, self.places, id, said))
            }
        }
    }

    fn call(&mut self, call: &mut CallExpr, id: u64) -> Found {
        let mut types = Vec::new();
        if let Some(target) = &mut call.target {
            types.push(self.type_of(target)?);
        }
        for argument in &mut call.args {
            types.push(self.type_of(argument)?);
        }
        let name = call.func_name.as_str();
        let found = result(name, call.target.is_some(), &types);
        let said = match found {
            Ok(found) => {
                if name == "matches"
                    && let Some(Expr::Literal(LiteralValue::String(pattern))) =
                        call.args.last().map(|a| &a.expr)
                    && let Err(error) = regex::Regex::new(pattern.inner())
                {
                    format!("{:?} is no regular expression: {error}", pattern.inner())
                } else {
                    return Ok(found);
                }
            }
            Err(Refused::Unknown) => format!("there is no function {name:?}"),
            Err(Refused::Types) => {
                let list: Vec<String> = types.iter().map(Type::to_string).collect();
                let hint = match types.contains(&Type::Uint) && types.contains(&Type::Int) {
                    true => ". Sizes are unsigned: write 100u in place of 100",
                    false => "",
                };
                format!(
                    "found no matching overload for '{name}' applied to '({})'{hint}",
                    list.join(", ")
                )
            }
        };
        Err(Mistake::of(self.text, self.places, id, said))
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) -> Found {
        let range = self.type_of(&mut comprehension.iter_range)?;
        let (first, second) = match &range {
            Type::List(of) => (Type::Int, (**of).clone()),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            Type::Any => (Type::Any, Type::Any),
            other => {
                let said =
                    format!("{other} cannot be gone through: it is neither a list nor a map");
                return Err(self.mistake(&comprehension.iter_range, said));
            }
        };
        let mut result = self.type_of(&mut comprehension.accu_init)?;
        let depth = self.scope.len();
        match &comprehension.iter_var2 {
            Some(name) => {
                let one = (comprehension.iter_var.clone(), first);
                self.scope.extend([one, (name.clone(), second)]);
            }
            None => {
                // Alone it is a list's element, or a map's key.
                let one = match range {
                    Type::Map(..) => first,
                    _ => second,
                };
                self.scope.push((comprehension.iter_var.clone(), one));
            }
        }
        self.scope
            .push((comprehension.accu_var.clone(), result.clone()));
        self.type_of(&mut comprehension.loop_cond)?;
        let step = self.type_of(&mut comprehension.loop_step)?;
        if !step.fits(&result) {
            let said = format!("it is {step}, where {result} is wanted");
            return Err(self.mistake(&comprehension.loop_step, said));
        }
        result = result.or(step);
        self.scope.truncate(depth);
        self.scope.push((comprehension.accu_var.clone(), result));
        let found = self.type_of(&mut comprehension.result);
        self.scope.truncate(depth);
        found
    }
}

fn of_kind(kind: Kind) -> Type {
    match kind {
        Kind::Uint => Type::Uint,
        Kind::Bool => Type::Bool,
        Kind::Text => Type::Text,
        Kind::Texts => Type::List(Box::new(Type::Text)),
    }
}

/// `has(disk.F)`: of the fields of a message those count as present that are not empty. `None` for what is no field of a disk.
fn presence(select: &SelectExpr, found: &Type, id: u64) -> Option<Expr> {
    if select.operand.expr != Expr::Ident("disk".to_owned()) {
        return None;
    }
    let empty = match found {
        Type::Bool => Expr::Literal(LiteralValue::Boolean(false.into())),
        Type::Uint => Expr::Literal(LiteralValue::UInt(0_u64.into())),
        Type::Text => Expr::Literal(LiteralValue::String("".into())),
        _ => Expr::List(ListExpr::new(Vec::new())),
    };
    let node = |expr| IdedExpr { id, expr };
    let field = Expr::Select(SelectExpr {
        test: false,
        ..select.clone()
    });
    Some(Expr::Call(CallExpr {
        func_name: "_!=_".to_owned(),
        target: None,
        args: vec![node(field), node(empty)],
    }))
}

enum Refused {
    Unknown,
    Types,
}

/// The type of a call with arguments of these types; that of a member has its receiver before them.
fn result(name: &str, member: bool, types: &[Type]) -> Result<Type, Refused> {
    use Type::{Any, Bool, Bytes, Double, Int, List, Map, Null, Text, Uint};
    let when = |fits: bool, found: Type| match fits {
        true => Ok(found),
        false => Err(Refused::Types),
    };
    let all = |wanted: &Type| types.iter().all(|t| t.fits(wanted));
    let numbers = |more: &[Type]| {
        let [a, b] = types else {
            return Err(Refused::Types);
        };
        let allowed: Vec<Type> = [Int, Uint]
            .into_iter()
            .chain(more.iter().cloned())
            .collect();
        when(
            a.fits(b) && a.is_one_of(&allowed) && b.is_one_of(&allowed),
            a.clone().or(b.clone()),
        )
    };
    match (name, member, types) {
        ("_&&_" | "_||_", false, [_, _]) => when(all(&Bool), Bool),
        ("!_" | "@not_strictly_false", false, [_]) => when(all(&Bool), Bool),
        ("_?_:_", false, [condition, a, b]) => {
            when(condition.fits(&Bool) && a.fits(b), a.clone().or(b.clone()))
        }
        ("_==_" | "_!=_", false, [a, b]) => when(a.fits(b) || *a == Null || *b == Null, Bool),
        ("_<_" | "_<=_" | "_>_" | "_>=_", false, [a, b]) => when(
            a.fits(b) && a.is_one_of(&ORDERED) && b.is_one_of(&ORDERED),
            Bool,
        ),
        ("_+_", false, [List(a), List(b)]) => {
            when(a.fits(b), List(Box::new((**a).clone().or((**b).clone()))))
        }
        ("_+_", false, [List(a), Any] | [Any, List(a)]) => Ok(List(a.clone())),
        ("_+_", false, [_, _]) => numbers(&[Double, Text, Bytes]),
        ("_-_" | "_*_" | "_/_", false, [_, _]) => numbers(&[Double]),
        ("_%_", false, [_, _]) => numbers(&[]),
        ("-_", false, [a]) => when(a.is_one_of(&[Int, Double]), a.clone()),
        ("@in", false, [a, List(of)]) => when(a.fits(of), Bool),
        ("@in", false, [a, Map(key, _)]) => when(a.fits(key), Bool),
        ("@in", false, [_, Any]) => Ok(Bool),
        ("_[_]", false, [List(of), index]) => when(index.fits(&Int), (**of).clone()),
        ("_[_]", false, [Map(key, value), index]) => when(index.fits(key), (**value).clone()),
        ("_[_]", false, [Any, _]) => Ok(Any),
        ("size", _, [of]) => when(matches!(of, Text | Bytes | List(_) | Map(..) | Any), Int),
        ("contains" | "startsWith" | "endsWith", true, [_, _]) => when(all(&Text), Bool),
        ("matches", _, [_, _]) => when(all(&Text), Bool),
        ("glob", false, [_, _]) => when(all(&Text), Bool),
        ("int" | "uint" | "double", false, [of]) => {
            let found = match name {
                "int" => Int,
                "uint" => Uint,
                _ => Double,
            };
            when(of.is_one_of(&[Int, Uint, Double, Text]), found)
        }
        ("string", false, [of]) => when(of.is_one_of(&ORDERED), Text),
        ("bytes", false, [of]) => when(of.is_one_of(&[Text, Bytes]), Bytes),
        ("bool", false, [of]) => when(of.is_one_of(&[Bool, Text]), Bool),
        ("dyn", false, [_]) => Ok(Any),
        (
            "_&&_" | "_||_" | "!_" | "_?_:_" | "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_"
            | "_+_" | "_-_" | "_*_" | "_/_" | "_%_" | "-_" | "@in" | "_[_]" | "size" | "contains"
            | "startsWith" | "endsWith" | "matches" | "glob" | "int" | "uint" | "double" | "string"
            | "bytes" | "bool" | "dyn",
            ..,
        ) => Err(Refused::Types),
        _ => Err(Refused::Unknown),
    }
}
