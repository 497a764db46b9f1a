//! Structs as request parameters and as JSON answers: which field travels under which name, and in which writing.
//!
//! `#[derive(Form)]` beside `Resource`, `DataSource` or `Block` says it once for both directions:
//!
//! | `#[form(…)]` | meaning |
//! | --- | --- |
//! | (nothing) | the parameter is called like the field, with `-` for `_`; sent, and read from the answer |
//! | `name = "nofailback"` | another name; `a/b` is member `b` of `a`, an object in answers or a property string, which it shares with its siblings |
//! | `skip` | neither sent nor read |
//! | `path` | only a part of the URL; so is an `id` that is computed |
//! | `create` | sent when the object is made; kept when an answer does not mention it (keys) |
//! | `sent` | sent, never answered: the prior value is kept (passwords); so is what is write-only |
//! | `read` | answered, never sent; so is what is only computed |
//! | `always` | sent with every change, even unchanged |
//! | `unless_default` | not sent while it has the schema's default, which is what the other side has anyway |
//! | `flatten` | the fields of a nested block travel as if they were the struct's own; a block that was not there is, when the answer mentions any of them |
//! | `join = ";"` | between the items of a collection, in place of `,` |
//! | `pair = "="` | between key and value of a map, in place of `:` |
//! | `repeat` | a collection's items are parameters of their own, all of the same name |
//! | `bare` | in a property string: the value stands without its name |
//! | `implied = "1"` | what it means when an answer does not mention the field: a prior value that says so stays, and what is no `Option` gets it |
//! | `rows`, `rows = "member"` | answers that are lists: a collection of all rows, or of this member of each |
//! | `with = module` | `module::write(&T) -> Vec<String>` and `module::read(prior: T, found: Option<&Json>) -> Result<T, Unreadable>` |
//!
//! A struct that derives `Form` is, as a field of another, a property string (`node=pve1,path=/mnt`).
//!
//! What an empty text or collection says is nothing: it is not sent, and clears the parameter in a change. When an answer does
//! not mention a field, it has its default, or none; but an empty prior value stays, so that `""` and null are no difference.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value as Json;
use stead_value::{Path, Sensitive, Value};

use crate::Field;

/// Names and values as they are sent.
pub type Params = Vec<(String, String)>;

/// An answer that is not what the contract promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    member: String,
    expected: &'static str,
}

impl Unreadable {
    pub fn new(expected: &'static str) -> Unreadable {
        Unreadable {
            member: String::new(),
            expected,
        }
    }

    /// Says where it was found.
    #[must_use]
    pub fn within(mut self, name: &str) -> Unreadable {
        self.member = if self.member.is_empty() {
            name.to_owned()
        } else {
            format!("{name}/{}", self.member)
        };
        self
    }
}

/// The value itself may be a secret and is not shown.
impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer's `{}` is not {}", self.member, self.expected)
    }
}

impl std::error::Error for Unreadable {}

/// How the collections of a field are written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub join: &'static str,
    pub pair: &'static str,
    pub repeat: bool,
}

impl Style {
    pub const PLAIN: Style = Style {
        join: ",",
        pair: ":",
        repeat: false,
    };
}

/// When a parameter is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Create,
    Changed,
    Always,
}

/// One field as a parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: &'static str,
    /// None: it is not sent. Several: the name is repeated.
    pub values: Vec<String>,
    /// Of a write-only field: its version, which changes in place of the value that is not kept.
    pub stamp: Option<Vec<String>>,
    pub when: When,
}

/// What a change sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub set: Params,
    /// Parameters that have no value any more.
    pub cleared: Vec<&'static str>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.cleared.is_empty()
    }
}

/// A struct that travels. Derived.
pub trait Form: Sized {
    /// Whether the other side fills in fields that a plan leaves open.
    const COMPUTES: bool;
    /// In a property string: the parameter whose value stands without its name.
    const BARE: &'static str;

    /// The object of which nothing is known: defaults where the schema has them.
    fn blank() -> Self;

    /// All that may be sent, in the order of the fields.
    fn parameters(&self) -> Vec<Parameter>;

    /// Takes over what an answer says.
    fn absorb(&mut self, answer: &Json) -> Result<(), Unreadable>;

    /// Takes computed fields that are still open from the object as it was found.
    fn complete(&mut self, found: Self);

    /// Takes what is write-only from the configuration.
    fn reveal(&mut self, config: Self);

    /// A field's value as text; `None` when it has none, or when there is no such field.
    fn text(&self, field: &str) -> Option<String>;

    /// Sets a field from text.
    fn assign(&mut self, field: &str, text: &str) -> Result<(), Unreadable>;

    /// What is sent to make the object.
    fn creation(&self) -> Params {
        let mut params = Params::new();
        for Parameter { name, values, .. } in grouped(self.parameters()) {
            if !params.iter().any(|(known, _)| known == name) {
                params.extend(values.into_iter().map(|v| (name.to_owned(), v)));
            }
        }
        params
    }

    /// What is sent to make `prior` this object.
    fn changes(&self, prior: &Self) -> Changes {
        let (planned, prior) = (grouped(self.parameters()), grouped(prior.parameters()));
        let mut changes = Changes::default();
        let mut seen = BTreeSet::new();
        for Parameter { name, when, .. } in &planned {
            if *when == When::Create || !seen.insert(*name) {
                continue;
            }
            let changed = standing(&planned, name) != standing(&prior, name);
            if !changed && *when != When::Always {
                continue;
            }
            let of_name = planned.iter().filter(|p| p.name == *name);
            match of_name.map(|p| &p.values).find(|v| !v.is_empty()) {
                Some(values) => {
                    let pairs = values.iter().map(|v| ((*name).to_owned(), v.clone()));
                    changes.set.extend(pairs);
                }
                None if changed => changes.cleared.push(name),
                None => {}
            }
        }
        changes
    }
}

/// The members of one property string (`a/b`, `a/c`) as the one parameter that they are.
fn grouped(parameters: Vec<Parameter>) -> Vec<Parameter> {
    let mut out: Vec<Parameter> = Vec::new();
    for parameter in parameters {
        let Some((whole, member)) = parameter.name.split_once('/') else {
            out.push(parameter);
            continue;
        };
        let part = match parameter.values.as_slice() {
            [] => String::new(),
            values => format!("{member}={}", values.join(";")),
        };
        match out.iter_mut().find(|p| p.name == whole) {
            Some(group) => match group.values.first_mut() {
                Some(value) if !part.is_empty() => *value = format!("{value},{part}"),
                None if !part.is_empty() => group.values.push(part),
                _ => {}
            },
            None => out.push(Parameter {
                name: whole,
                values: Some(part).filter(|p| !p.is_empty()).into_iter().collect(),
                ..parameter
            }),
        }
    }
    out
}

/// What a parameter stands at, as far as it is kept: its values, and the versions of those that are write-only.
fn standing<'a>(parameters: &'a [Parameter], name: &str) -> Vec<&'a String> {
    let of_name = parameters.iter().filter(|p| p.name == name);
    of_name
        .flat_map(|p| p.stamp.as_ref().unwrap_or(&p.values))
        .collect()
}

/// A Rust type as a parameter's value.
pub trait FormValue: Sized {
    fn absent() -> Self;

    /// Whether it is what [`absent`](FormValue::absent) gives.
    fn is_absent(&self) -> bool;

    /// Whether there is a value that says nothing: an empty text or collection.
    fn is_empty(&self) -> bool {
        false
    }

    /// As parameters: none when it says nothing.
    fn write(&self, style: Style) -> Vec<String>;

    /// Reads what an answer has; `prior` is what was known before.
    fn read(prior: Self, found: &Json, style: Style) -> Result<Self, Unreadable>;
}

/// A member as text: servers write numbers and switches either way.
pub fn plain(found: &Json) -> Option<String> {
    match found {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(i32::from(*flag).to_string()),
        _ => None,
    }
}

impl FormValue for String {
    fn absent() -> Self {
        String::new()
    }

    fn is_absent(&self) -> bool {
        String::is_empty(self)
    }

    fn is_empty(&self) -> bool {
        String::is_empty(self)
    }

    fn write(&self, _style: Style) -> Vec<String> {
        Some(self.clone())
            .filter(|t| !t.is_empty())
            .into_iter()
            .collect()
    }

    fn read(_prior: Self, found: &Json, _style: Style) -> Result<Self, Unreadable> {
        plain(found).ok_or(Unreadable::new("a text"))
    }
}

impl FormValue for bool {
    fn absent() -> Self {
        false
    }

    fn is_absent(&self) -> bool {
        !self
    }

    fn write(&self, _style: Style) -> Vec<String> {
        vec![i32::from(*self).to_string()]
    }

    fn read(_prior: Self, found: &Json, _style: Style) -> Result<Self, Unreadable> {
        match plain(found).as_deref() {
            Some("1" | "on" | "yes" | "true") => Ok(true),
            Some("0" | "off" | "no" | "false" | "") => Ok(false),
            _ => Err(Unreadable::new("a switch")),
        }
    }
}

macro_rules! numbers {
    ($($ty:ty, $expected:literal, $zero:literal);+) => {$(
        impl FormValue for $ty {
            fn absent() -> Self {
                $zero
            }

            fn is_absent(&self) -> bool {
                *self == $zero
            }

            fn write(&self, _style: Style) -> Vec<String> {
                vec![self.to_string()]
            }

            fn read(_prior: Self, found: &Json, _style: Style) -> Result<Self, Unreadable> {
                let number = plain(found).and_then(|text| text.trim().parse().ok());
                number.ok_or(Unreadable::new($expected))
            }
        }
    )+};
}

numbers! { i64, "a whole number", 0; u64, "a whole number", 0; f64, "a number", 0.0 }

impl<T: FormValue> FormValue for Sensitive<T> {
    fn absent() -> Self {
        Sensitive::new(T::absent())
    }

    fn is_absent(&self) -> bool {
        self.expose_secret().is_absent()
    }

    fn is_empty(&self) -> bool {
        self.expose_secret().is_empty()
    }

    fn write(&self, style: Style) -> Vec<String> {
        self.expose_secret().write(style)
    }

    fn read(_prior: Self, found: &Json, style: Style) -> Result<Self, Unreadable> {
        T::read(T::absent(), found, style).map(Sensitive::new)
    }
}

impl<T: FormValue> FormValue for Option<T> {
    fn absent() -> Self {
        None
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_some_and(T::is_empty)
    }

    fn write(&self, style: Style) -> Vec<String> {
        self.as_ref()
            .map(|value| value.write(style))
            .unwrap_or_default()
    }

    fn read(prior: Self, found: &Json, style: Style) -> Result<Self, Unreadable> {
        let was_empty = prior.is_empty();
        // A list of nothing is what some answers have in the place of nothing.
        if found.as_array().is_some_and(Vec::is_empty) {
            return Ok(prior.filter(|_| was_empty));
        }
        let value = T::read(prior.unwrap_or_else(T::absent), found, style)?;
        Ok(Some(value).filter(|v| was_empty || !v.is_empty()))
    }
}

/// The items of a list: as parameters of their own, or joined to one.
fn write_items(items: Vec<String>, style: Style) -> Vec<String> {
    if style.repeat || items.is_empty() {
        items
    } else {
        vec![items.join(style.join)]
    }
}

fn read_items<T: FormValue>(found: &Json, style: Style) -> Result<Vec<T>, Unreadable> {
    let read = |item: &Json| T::read(T::absent(), item, style);
    match found {
        Json::Array(items) => items.iter().map(read).collect(),
        Json::String(text) if style.repeat => Ok(vec![read(&Json::from(text.as_str()))?]),
        other => {
            let text = plain(other).ok_or(Unreadable::new("a list"))?;
            let parts = text
                .split(style.join)
                .map(str::trim)
                .filter(|p| !p.is_empty());
            parts.map(|part| read(&Json::from(part))).collect()
        }
    }
}

impl<T: FormValue> FormValue for Vec<T> {
    fn absent() -> Self {
        Vec::new()
    }

    fn is_absent(&self) -> bool {
        Vec::is_empty(self)
    }

    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }

    fn write(&self, style: Style) -> Vec<String> {
        write_items(
            self.iter().flat_map(|item| item.write(style)).collect(),
            style,
        )
    }

    fn read(_prior: Self, found: &Json, style: Style) -> Result<Self, Unreadable> {
        read_items(found, style)
    }
}

impl<T: FormValue + Ord> FormValue for BTreeSet<T> {
    fn absent() -> Self {
        BTreeSet::new()
    }

    fn is_absent(&self) -> bool {
        BTreeSet::is_empty(self)
    }

    fn is_empty(&self) -> bool {
        BTreeSet::is_empty(self)
    }

    fn write(&self, style: Style) -> Vec<String> {
        write_items(
            self.iter().flat_map(|item| item.write(style)).collect(),
            style,
        )
    }

    fn read(_prior: Self, found: &Json, style: Style) -> Result<Self, Unreadable> {
        Ok(read_items(found, style)?.into_iter().collect())
    }
}

/// Keys with a value that says nothing stand alone.
impl<T: FormValue> FormValue for BTreeMap<String, T> {
    fn absent() -> Self {
        BTreeMap::new()
    }

    fn is_absent(&self) -> bool {
        BTreeMap::is_empty(self)
    }

    fn is_empty(&self) -> bool {
        BTreeMap::is_empty(self)
    }

    fn write(&self, style: Style) -> Vec<String> {
        let pair = |(key, value): (&String, &T)| match value.write(style).first() {
            Some(value) => format!("{key}{}{value}", style.pair),
            None => key.clone(),
        };
        write_items(self.iter().map(pair).collect(), style)
    }

    fn read(_prior: Self, found: &Json, style: Style) -> Result<Self, Unreadable> {
        let read = |value: &Json| T::read(T::absent(), value, style);
        if let Json::Object(members) = found {
            let pairs = members.iter().map(|(k, v)| Ok((k.clone(), read(v)?)));
            return pairs.collect();
        }
        let parts: Vec<String> = read_items(found, style)?;
        let pairs = parts.iter().map(|part| match part.split_once(style.pair) {
            Some((key, value)) => Ok((key.to_owned(), read(&Json::from(value))?)),
            None => Ok((part.clone(), T::absent())),
        });
        pairs.collect()
    }
}

// What derived code calls.

/// A member of an answer; null is none.
#[doc(hidden)]
pub fn find<'a>(answer: &'a Json, name: &str) -> Option<Cow<'a, Json>> {
    let Some((first, rest)) = name.split_once('/') else {
        return answer
            .get(name)
            .filter(|found| !found.is_null())
            .map(Cow::Borrowed);
    };
    match answer.get(first)? {
        Json::String(text) => {
            find(&properties(text, ""), rest).map(|found| Cow::Owned(found.into_owned()))
        }
        object => find(object, rest),
    }
}

/// A property string as an object. What stands without a name is called `bare`.
fn properties(text: &str, bare: &str) -> Json {
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let pairs = parts.map(|part| part.split_once('=').unwrap_or((bare, part)));
    pairs.map(|(k, v)| (k.to_owned(), Json::from(v))).collect()
}

/// Takes over what an answer says of a block that need not be there.
#[doc(hidden)]
pub fn absorb_optional<T: Form>(block: &mut Option<T>, answer: &Json) -> Result<(), Unreadable> {
    let known = block.is_some();
    let mut read = block.take().unwrap_or_else(T::blank);
    let mut parameters = read.parameters();
    parameters.retain(|p| find(answer, p.name).is_some());
    if known || !parameters.is_empty() {
        read.absorb(answer)?;
        *block = Some(read);
    }
    Ok(())
}

/// What a field is when an answer does not mention it.
#[doc(hidden)]
pub fn unmentioned<T: FormValue>(prior: T, implied: &str, default: impl FnOnce() -> T) -> T {
    let is_implied = || matches!(prior.write(Style::PLAIN).as_slice(), [said] if said == implied);
    if prior.is_empty() || is_implied() {
        prior
    } else {
        default()
    }
}

/// What a field is that always has a value, and that an answer leaves out because it goes without saying.
#[doc(hidden)]
pub fn implied<T: FormValue>(said: &str) -> T {
    T::read(T::absent(), &Json::from(said), Style::PLAIN).unwrap_or_else(|_| T::absent())
}

/// A default of the schema in the field's type.
#[doc(hidden)]
pub fn default_value<T: FormValue + Field>(value: &Value) -> T {
    T::decode(value, &Path::root()).unwrap_or_else(|_| T::absent())
}

/// The rows of an answer that is a list, or one member of each.
#[doc(hidden)]
pub fn rows<T: FormValue>(
    answer: &Json,
    member: Option<&str>,
    style: Style,
) -> Result<Vec<T>, Unreadable> {
    let rows = answer.as_array().ok_or(Unreadable::new("a list"))?;
    let read = |row: &Json| {
        let found = member.map_or(Some(Cow::Borrowed(row)), |name| find(row, name));
        found.map_or_else(
            || Ok(T::absent()),
            |found| T::read(T::absent(), &found, style),
        )
    };
    let rows = rows.iter().map(read).collect::<Result<_, _>>();
    rows.map_err(|e| e.within(member.unwrap_or("rows")))
}

/// A struct as a property string.
#[doc(hidden)]
pub fn write_properties<T: Form>(object: &T) -> Vec<String> {
    let part = |Parameter { name, values, .. }: Parameter| {
        let value = (!values.is_empty()).then(|| values.join(";"))?;
        Some(if name == T::BARE {
            value
        } else {
            format!("{name}={value}")
        })
    };
    let parts: Vec<_> = object.parameters().into_iter().filter_map(part).collect();
    write_items(parts, Style::PLAIN)
}

/// A struct from a property string, or from the object or the list of one that some answers have in its place.
#[doc(hidden)]
pub fn read_properties<T: Form>(mut object: T, found: &Json) -> Result<T, Unreadable> {
    match found {
        Json::Object(_) => object.absorb(found)?,
        Json::String(text) => object.absorb(&properties(text, T::BARE))?,
        Json::Array(items) => match items.as_slice() {
            [item] => return read_properties(object, item),
            _ => return Err(Unreadable::new("a single property string")),
        },
        _ => return Err(Unreadable::new("a property string")),
    }
    Ok(object)
}
