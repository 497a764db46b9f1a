//! Creates that were cut off: how their objects are found again.
//!
//! A provider tells the engine how an object can be found ([`Context::identified`](crate::Context::identified)) as soon as
//! it knows, if it can before it asks for the object; the engine has that on disk before the provider goes on. After a crash the
//! next plan asks what has become of it ([`Resource::resume`](crate::Resource::resume)).

use async_trait::async_trait;
use stead_value::{Diagnostic, Kind, Value};

use crate::Field;

/// Where the identity of an object that is being made goes.
#[async_trait]
pub trait Identify: Send + Sync {
    /// Returns when it is safe. `object` is the object as far as it is known.
    async fn identified(
        &self,
        object: Value,
        private: Vec<u8>,
        identity: Option<Value>,
    ) -> Result<(), Diagnostic>;
}

/// A create that was cut off.
#[derive(Clone, Debug)]
pub struct Cut<T> {
    /// What was to be made; what was not known yet is null.
    pub planned: T,
    /// The object as far as the provider had named it before.
    pub known: Option<T>,
    /// `planned` as it came, in which null and a type's default are not the same.
    wanted: Value,
}

impl<T: Field> Cut<T> {
    pub(crate) fn new(planned: T, known: Option<T>, wanted: Value) -> Cut<T> {
        Cut {
            planned,
            known,
            wanted,
        }
    }

    /// Whether an object is as it was planned, as far as the plan said.
    pub fn is_met_by(&self, found: &T) -> bool {
        agrees(&self.wanted, &found.encode())
    }
}

/// What has become of a create that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed<T> {
    /// There is no object: it is still to be made.
    Absent,
    /// The object is whole.
    Complete(T),
    /// There is an object, and it is not what it should be: it will be replaced.
    Unfit(T),
    /// It cannot be told whether there is one.
    Unknown,
}

/// What a delete that was cut off has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remains<T> {
    Nothing,
    /// The object can be read as ever.
    Whole(T),
    /// The object cannot be read any more, but must be deleted once more.
    Part(T),
}

impl<T> Remains<T> {
    pub fn object(&self) -> Option<&T> {
        match self {
            Remains::Nothing => None,
            Remains::Whole(object) | Remains::Part(object) => Some(object),
        }
    }

    pub fn into_object(self) -> Option<T> {
        match self {
            Remains::Nothing => None,
            Remains::Whole(object) | Remains::Part(object) => Some(object),
        }
    }

    /// # Errors
    /// Those of `change`.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Remains<U>, E> {
        Ok(match self {
            Remains::Nothing => Remains::Nothing,
            Remains::Whole(object) => Remains::Whole(change(object)?),
            Remains::Part(object) => Remains::Part(change(object)?),
        })
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Remains<U> {
        match self {
            Remains::Nothing => Remains::Nothing,
            Remains::Whole(object) => Remains::Whole(change(object)),
            Remains::Part(object) => Remains::Part(change(object)),
        }
    }
}

impl<T> Resumed<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Resumed<U> {
        match self {
            Resumed::Absent => Resumed::Absent,
            Resumed::Complete(object) => Resumed::Complete(change(object)),
            Resumed::Unfit(object) => Resumed::Unfit(change(object)),
            Resumed::Unknown => Resumed::Unknown,
        }
    }
}

/// Whether everything that is wanted was found; what is null was left to the other side.
fn agrees(wanted: &Value, found: &Value) -> bool {
    if wanted.is_null() || !wanted.is_known() {
        return true;
    }
    match (wanted.kind(), found.kind()) {
        (
            Kind::Object(wanted) | Kind::Map(_, wanted),
            Kind::Object(found) | Kind::Map(_, found),
        ) => wanted
            .iter()
            .all(|(name, wanted)| found.get(name).is_some_and(|found| agrees(wanted, found))),
        (
            Kind::List(_, wanted) | Kind::Tuple(wanted),
            Kind::List(_, found) | Kind::Tuple(found),
        ) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found.iter()).all(|(w, f)| agrees(w, f))
        }
        (Kind::Set(_, wanted), Kind::Set(_, found)) => {
            wanted.len() == found.len() && wanted.iter().all(|w| found.iter().any(|f| agrees(w, f)))
        }
        _ => wanted.raw_equals(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_open_may_be_anything_and_the_rest_must_be_as_wanted() {
        let object = |name: &str, size: Value| {
            Value::object([("name".into(), Value::string(name)), ("size".into(), size)].into())
        };
        let open = object("a", Value::null(stead_value::Type::Number));
        let small = object("a", Value::number(1));
        assert!(agrees(&open, &small));
        assert!(agrees(&small, &small));
        assert!(!agrees(&small, &open));
        assert!(!agrees(&object("b", Value::number(1)), &small));
        let list = |items: Vec<Value>| Value::list(small.ty(), items);
        assert!(agrees(
            &list(vec![open.clone()]),
            &list(vec![small.clone()])
        ));
        assert!(!agrees(&list(vec![open]), &list(vec![])));
    }
}
