//! Filling an object in: what its provider would decide is taken from the values that a test gives, or made up.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_lang::functions::World;
use stead_value::convert::{ConvertError, convert};
use stead_value::schema::{Attribute, AttributeType, Block, Nesting};
use stead_value::{Diagnostic, Diagnostics, Kind, Path, Step, Type, Value};

use super::{Given, generate};

/// Which of the values that a provider may decide are open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// Those that are not set: an object that is planned, or a data source that is read.
    Null,
    /// Those that the plan left unknown: an object that is created.
    Unknown,
}

/// What open values become.
#[derive(Clone, Copy)]
pub(super) enum With<'a> {
    /// Known after the apply.
    Unknown,
    /// The values given, others made up.
    Known(Option<&'a Given>, &'a dyn World),
}

/// The object with its open values decided.
pub(super) fn computed(
    target: &Value,
    block: &Block,
    open: Open,
    with: With<'_>,
) -> (Value, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let filled = target.transform(&mut |path, inner: Value| {
        let is_open = match open {
            Open::Null => inner.is_null(),
            Open::Unknown => !inner.is_known(),
        };
        Ok::<_, std::convert::Infallible>(match attribute_at(block, path) {
            Some(attribute) if attribute.computed && is_open => {
                decide(attribute, path, with, &mut diagnostics)
            }
            _ => inner,
        })
    });
    match filled {
        Ok(value) => (without_write_only(&value, block), diagnostics),
        Err(never) => match never {},
    }
}

/// The object without what must not be stored.
pub(super) fn without_write_only(value: &Value, block: &Block) -> Value {
    let stripped = value.transform(&mut |path, inner: Value| {
        Ok::<_, std::convert::Infallible>(match attribute_at(block, path) {
            Some(attribute) if attribute.write_only => Value::null(attribute.value_type()),
            _ => inner,
        })
    });
    match stripped {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn decide(
    attribute: &Attribute,
    path: &Path,
    with: With<'_>,
    diagnostics: &mut Diagnostics,
) -> Value {
    let (given, chance) = match with {
        With::Unknown => return Value::unknown(attribute.value_type()),
        With::Known(given, chance) => (given, chance),
    };
    if let Some(given) = given {
        match given_at(given, path) {
            Ok(None) => {}
            Ok(Some(value)) => match fill_attribute(&value, attribute, &Path::root(), chance) {
                Ok(value) => return value,
                Err(error) => {
                    let shown = names(path.steps().iter().chain(error.path.steps()));
                    diagnostics.push(
                        Diagnostic::error(
                            "Failed to compute attribute",
                            format!(
                                "stead could not compute a value for the target type {} with the mocked data defined at {} with the attribute \"{shown}\": {}.",
                                attribute.value_type().friendly_name(),
                                given.range,
                                error.message
                            ),
                        )
                        .attribute(path.clone()),
                    );
                }
            },
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    generate::attribute(attribute, chance)
}

/// What the test gives for a path. Elements of collections are not told apart: what is given holds for all of them.
fn given_at(given: &Given, path: &Path) -> Result<Option<Value>, Diagnostic> {
    let Some(mut current) = given.values.clone() else {
        return Ok(None);
    };
    for (i, step) in path.steps().iter().enumerate() {
        let Step::Attr(name) = step else { continue };
        if !matches!(current.ty(), Type::Object(_)) {
            let shown = names(path.steps().iter().take(i));
            return Err(Diagnostic::error(
                "Failed to compute attribute",
                format!(
                    "stead expected an object type for attribute \"{shown}\" defined within the mocked data at {}, but found {}.",
                    given.range,
                    current.ty().friendly_name()
                ),
            )
            .attribute(Path(path.steps().iter().take(i).cloned().collect())));
        }
        match current.get(name) {
            Some(inner) => current = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(current))
}

/// `a.b`, without keys.
fn names<'a>(steps: impl Iterator<Item = &'a Step>) -> String {
    let names = steps.filter_map(|step| match step {
        Step::Attr(name) => Some(&**name),
        Step::Index(_) => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// The attribute that a path leads to, through blocks, nested attributes and elements.
fn attribute_at<'a>(block: &'a Block, path: &Path) -> Option<&'a Attribute> {
    // A path to an element leads to a value inside an attribute, not to the attribute.
    let mut steps = path.steps().iter().peekable();
    matches!(path.steps().last()?, Step::Attr(_)).then_some(())?;
    let mut block = Some(block);
    let mut attributes: Option<&BTreeMap<Arc<str>, Attribute>> = None;
    while let Some(step) = steps.next() {
        let Step::Attr(name) = step else { continue };
        let found = match attributes {
            Some(attributes) => attributes.get(name),
            None => block?.attributes.get(name),
        };
        let Some(attribute) = found else {
            block = Some(&block?.blocks.get(name)?.block);
            continue;
        };
        if steps.peek().is_none() {
            return Some(attribute);
        }
        match &attribute.ty {
            AttributeType::Nested { attributes: a, .. } => attributes = Some(a),
            AttributeType::Simple(_) => return None,
        }
        block = None;
    }
    None
}

fn mismatch(path: &Path, expected: &str, found: &Type) -> ConvertError {
    ConvertError {
        path: path.clone(),
        message: format!(
            "incompatible types; expected {expected}, found {}",
            found.friendly_name()
        ),
    }
}

/// A given value as a value of the attribute: what it lacks is made up.
fn fill_attribute(
    given: &Value,
    attribute: &Attribute,
    path: &Path,
    chance: &dyn World,
) -> Result<Value, ConvertError> {
    let (nesting, attributes) = match &attribute.ty {
        AttributeType::Simple(ty) => return fill_type(given, ty, path, chance),
        AttributeType::Nested {
            nesting,
            attributes,
        } => (nesting, attributes),
    };
    if !matches!(given.ty(), Type::Object(_)) {
        return Err(mismatch(path, "object type", &given.ty()));
    }
    if given.is_null() {
        return Ok(Value::null(attribute.value_type()));
    }
    if !matches!(nesting, Nesting::Single | Nesting::Group) {
        return Ok(generate::of_type(&attribute.value_type(), chance));
    }
    let mut filled = BTreeMap::new();
    for (name, inner) in attributes {
        let value = match given.get(name) {
            Some(given) => fill_attribute(&given, inner, &path.attr(Arc::clone(name)), chance)?,
            None => generate::attribute(inner, chance),
        };
        filled.insert(Arc::clone(name), value);
    }
    Ok(Value::object(filled))
}

/// A given value as a value of the type: attributes that objects in it lack are made up, others than the type's dropped.
fn fill_type(
    given: &Value,
    ty: &Type,
    path: &Path,
    chance: &dyn World,
) -> Result<Value, ConvertError> {
    if given.is_null() || !given.is_known() {
        return convert(given, ty);
    }
    let wrong = || mismatch(path, &ty.friendly_name(), &given.ty());
    match ty {
        Type::Object(object) => {
            let Some(entries) = given.as_entries() else {
                return Err(wrong());
            };
            let mut filled = BTreeMap::new();
            for (name, inner) in &object.attributes {
                let value = match entries.get(name) {
                    Some(given) => {
                        fill_type(given, inner, &path.index(Value::string(name)), chance)?
                    }
                    None => generate::of_type(inner, chance),
                };
                filled.insert(Arc::clone(name), value);
            }
            Ok(Value::object(filled).with_marks(given.marks()))
        }
        Type::List(element) | Type::Set(element) if matches!(**element, Type::Object(_)) => {
            let items = given.as_sequence().ok_or_else(wrong)?;
            let items = items
                .iter()
                .enumerate()
                .map(|(i, item)| fill_type(item, element, &path.index_number(i), chance))
                .collect::<Result<Vec<_>, _>>()?;
            let element = (**element).clone();
            let filled = match ty {
                Type::Set(_) => Value::set(element, items),
                _ => Value::list(element, items),
            };
            Ok(filled.with_marks(given.marks()))
        }
        Type::Map(element) if matches!(**element, Type::Object(_)) => {
            let entries = given.as_entries().ok_or_else(wrong)?;
            let entries = entries
                .iter()
                .map(|(key, item)| {
                    let at = path.index(Value::string(key));
                    Ok((Arc::clone(key), fill_type(item, element, &at, chance)?))
                })
                .collect::<Result<BTreeMap<_, _>, ConvertError>>()?;
            Ok(Value::map((**element).clone(), entries).with_marks(given.marks()))
        }
        Type::Tuple(elements) => {
            let Kind::Tuple(items) = given.kind() else {
                return convert(given, ty);
            };
            if items.len() != elements.len() {
                return Err(mismatch(
                    path,
                    &format!("{} with length {}", ty.friendly_name(), elements.len()),
                    &given.ty(),
                ));
            }
            let items = items.iter().zip(elements.iter()).enumerate();
            let items = items
                .map(|(i, (item, ty))| fill_type(item, ty, &path.index_number(i), chance))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Value::tuple(items).with_marks(given.marks()))
        }
        _ => convert(given, ty).map_err(|error| ConvertError {
            path: Path(
                path.steps()
                    .iter()
                    .chain(error.path.steps())
                    .cloned()
                    .collect(),
            ),
            message: error.message,
        }),
    }
}
