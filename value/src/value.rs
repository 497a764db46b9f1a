//! Values: known, null or unknown, each with marks that travel with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Number, Type};

/// What rides along with a value through every operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks(u64);

impl Marks {
    pub const NONE: Marks = Marks(0);
    /// Never shown to people; recorded in state as a sensitive path.
    pub const SENSITIVE: Marks = Marks(1);
    /// Never stored in state or plan.
    pub const EPHEMERAL: Marks = Marks(2);
    /// All that [`Marks::deprecated`] makes.
    pub const DEPRECATED: Marks = Marks(u64::MAX << Marks::FIRST_DEPRECATED);
    const FIRST_DEPRECATED: u32 = 8;

    /// The number that stands for every number from here on: there are so many marks and no more.
    pub const LAST_DEPRECATION: usize = (u64::BITS - 1 - Marks::FIRST_DEPRECATED) as usize;

    /// On its way out, as the author of a module says. Who makes values knows by the number what is deprecated, up to
    /// [`Marks::LAST_DEPRECATION`].
    pub fn deprecated(number: usize) -> Marks {
        Marks(1 << (Marks::FIRST_DEPRECATED as usize + number.min(Marks::LAST_DEPRECATION)))
    }

    /// The numbers of what is deprecated.
    pub fn deprecations(self) -> impl Iterator<Item = usize> {
        let bits = self.0 >> Marks::FIRST_DEPRECATED;
        (0..u64::BITS as usize).filter(move |n| bits >> n & 1 == 1)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, other: Marks) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub fn union(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

    #[must_use]
    pub fn without(self, other: Marks) -> Marks {
        Marks(self.0 & !other.0)
    }
}

/// What is known of an unknown value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Refinement {
    pub not_null: bool,
    /// A string's beginning.
    pub prefix: Option<Arc<str>>,
    /// A number's bounds, each with "inclusive".
    pub lower: Option<(Number, bool)>,
    pub upper: Option<(Number, bool)>,
    /// A collection's bounds of length.
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
}

/// The content of a value, without its marks.
#[derive(Clone, Debug)]
pub enum Kind {
    Null(Type),
    Unknown(Type, Option<Arc<Refinement>>),
    Bool(bool),
    Number(Number),
    String(Arc<str>),
    /// Element type and elements; every element has exactly that type (or the type is `Dynamic` where it is not known).
    List(Type, Arc<Vec<Value>>),
    /// Element type and elements, sorted by [`Value::set_order`] and without doubles.
    Set(Type, Arc<Vec<Value>>),
    Map(Type, Arc<BTreeMap<Arc<str>, Value>>),
    Tuple(Arc<Vec<Value>>),
    Object(Arc<BTreeMap<Arc<str>, Value>>),
}

/// A value of the language. Cloning is cheap: collections are shared.
///
/// Marks sit on the value they belong to; a container does not repeat the marks of its elements (a set does, because its
/// elements have no place of their own).
#[derive(Clone, Debug)]
pub struct Value {
    kind: Kind,
    marks: Marks,
}

impl From<Kind> for Value {
    fn from(kind: Kind) -> Self {
        Value {
            kind,
            marks: Marks::NONE,
        }
    }
}

/// Constructors.
impl Value {
    pub fn null(ty: Type) -> Value {
        Kind::Null(ty).into()
    }

    pub fn unknown(ty: Type) -> Value {
        Kind::Unknown(ty, None).into()
    }

    /// An unknown value of which something is known. An empty refinement is dropped.
    pub fn unknown_refined(ty: Type, refinement: Refinement) -> Value {
        if refinement == Refinement::default() {
            return Value::unknown(ty);
        }
        Kind::Unknown(ty, Some(Arc::new(refinement))).into()
    }

    /// The value of which nothing is known, not even its type.
    pub fn dynamic() -> Value {
        Value::unknown(Type::Dynamic)
    }

    pub fn bool(b: bool) -> Value {
        Kind::Bool(b).into()
    }

    pub fn number(n: impl Into<Number>) -> Value {
        Kind::Number(n.into()).into()
    }

    /// A string; normalised to NFC, as the language demands.
    pub fn string(s: impl AsRef<str>) -> Value {
        use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
        let s = s.as_ref();
        let shared: Arc<str> = if s.is_ascii() || is_nfc_quick(s.chars()) == IsNormalized::Yes {
            Arc::from(s)
        } else {
            Arc::from(s.nfc().collect::<String>())
        };
        Kind::String(shared).into()
    }

    /// A list whose elements all have type `element` already.
    pub fn list(element: Type, items: Vec<Value>) -> Value {
        Kind::List(element, Arc::new(items)).into()
    }

    /// A set: sorts and removes doubles; the elements' marks (and deeper ones) move to the set.
    pub fn set(element: Type, items: Vec<Value>) -> Value {
        let mut marks = Marks::NONE;
        let items: Vec<Value> = items
            .into_iter()
            .map(|item| {
                let (plain, m) = item.unmark_deep();
                marks = marks.union(m);
                plain
            })
            .collect();
        let items = Value::sorted_for_set(items);
        Value {
            kind: Kind::Set(element, Arc::new(items)),
            marks,
        }
    }

    pub fn map(element: Type, entries: BTreeMap<Arc<str>, Value>) -> Value {
        Kind::Map(element, Arc::new(entries)).into()
    }

    pub fn tuple(items: Vec<Value>) -> Value {
        Kind::Tuple(Arc::new(items)).into()
    }

    pub fn object(attributes: BTreeMap<Arc<str>, Value>) -> Value {
        Kind::Object(Arc::new(attributes)).into()
    }

    /// An object from pairs; convenient in code and tests.
    pub fn object_from<K: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::object(pairs.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    pub fn empty_object() -> Value {
        Value::object(BTreeMap::new())
    }
}

/// Looking.
impl Value {
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    pub fn into_kind(self) -> Kind {
        self.kind
    }

    pub fn ty(&self) -> Type {
        match &self.kind {
            Kind::Null(t) | Kind::Unknown(t, _) => t.clone(),
            Kind::Bool(_) => Type::Bool,
            Kind::Number(_) => Type::Number,
            Kind::String(_) => Type::String,
            Kind::List(t, _) => Type::list(t.clone()),
            Kind::Set(t, _) => Type::set(t.clone()),
            Kind::Map(t, _) => Type::map(t.clone()),
            Kind::Tuple(items) => Type::tuple(items.iter().map(Value::ty)),
            Kind::Object(attrs) => Type::object(attrs.iter().map(|(k, v)| (Arc::clone(k), v.ty()))),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null(_))
    }

    /// Known at this level: not an unknown itself, though elements may be.
    pub fn is_known(&self) -> bool {
        !matches!(self.kind, Kind::Unknown(..))
    }

    pub fn is_wholly_known(&self) -> bool {
        match &self.kind {
            Kind::Unknown(..) => false,
            Kind::List(_, v) | Kind::Set(_, v) | Kind::Tuple(v) => {
                v.iter().all(Value::is_wholly_known)
            }
            Kind::Map(_, m) | Kind::Object(m) => m.values().all(Value::is_wholly_known),
            _ => true,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(b) => Some(b),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<&Number> {
        match &self.kind {
            Kind::Number(n) => Some(n),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::to_i64)
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(s) => Some(s),
            _ => None,
        }
    }

    /// Elements of a list, set or tuple.
    pub fn as_sequence(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::List(_, v) | Kind::Set(_, v) | Kind::Tuple(v) => Some(v),
            _ => None,
        }
    }

    /// Entries of a map or object.
    pub fn as_entries(&self) -> Option<&BTreeMap<Arc<str>, Value>> {
        match &self.kind {
            Kind::Map(_, m) | Kind::Object(m) => Some(m),
            _ => None,
        }
    }

    /// A map's or object's entry, with the container's marks added; `None` when absent or not a container.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.as_entries()?
            .get(name)
            .map(|v| v.clone().with_marks(self.marks))
    }
}

/// Marks.
impl Value {
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Adds marks to those that the value has.
    #[must_use]
    pub fn with_marks(mut self, marks: Marks) -> Value {
        self.marks = self.marks.union(marks);
        self
    }

    #[must_use]
    pub fn sensitive(self) -> Value {
        self.with_marks(Marks::SENSITIVE)
    }

    pub fn is_sensitive(&self) -> bool {
        self.marks.contains(Marks::SENSITIVE)
    }

    /// The value without its own marks (those of its elements stay), and those marks.
    pub fn unmark(mut self) -> (Value, Marks) {
        let marks = std::mem::take(&mut self.marks);
        (self, marks)
    }

    /// Marks of the value and of everything inside it.
    pub fn marks_deep(&self) -> Marks {
        let inner = match &self.kind {
            Kind::List(_, v) | Kind::Set(_, v) | Kind::Tuple(v) => {
                v.iter().fold(Marks::NONE, |m, v| m.union(v.marks_deep()))
            }
            Kind::Map(_, m) | Kind::Object(m) => {
                m.values().fold(Marks::NONE, |m, v| m.union(v.marks_deep()))
            }
            _ => Marks::NONE,
        };
        self.marks.union(inner)
    }

    /// The value with no marks anywhere, and the union of what was found. Shares when there was nothing.
    pub fn unmark_deep(self) -> (Value, Marks) {
        let marks = self.marks_deep();
        if marks.is_empty() {
            return (self, marks);
        }
        (self.strip(), marks)
    }

    fn strip(self) -> Value {
        let each =
            |v: &Arc<Vec<Value>>| Arc::new(v.iter().cloned().map(Value::strip).collect::<Vec<_>>());
        let entries = |m: &Arc<BTreeMap<Arc<str>, Value>>| {
            Arc::new(
                m.iter()
                    .map(|(k, v)| (Arc::clone(k), v.clone().strip()))
                    .collect::<BTreeMap<_, _>>(),
            )
        };
        match &self.kind {
            Kind::List(t, v) => Kind::List(t.clone(), each(v)),
            Kind::Set(t, v) => Kind::Set(t.clone(), each(v)),
            Kind::Tuple(v) => Kind::Tuple(each(v)),
            Kind::Map(t, m) => Kind::Map(t.clone(), entries(m)),
            Kind::Object(m) => Kind::Object(entries(m)),
            _ => self.kind,
        }
        .into()
    }
}
