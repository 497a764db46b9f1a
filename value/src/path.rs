//! Where inside a value: a chain of attribute and index steps.

use std::fmt;
use std::sync::Arc;

use crate::Value;

/// One step into a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An object's attribute.
    Attr(Arc<str>),
    /// An element of a list, tuple (number), map (string) or set (the element itself).
    Index(Value),
}

/// A way from a value to a value inside it; empty means the value itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(pub Vec<Step>);

impl Path {
    pub fn root() -> Path {
        Path::default()
    }

    #[must_use]
    pub fn attr(&self, name: impl Into<Arc<str>>) -> Path {
        let mut steps = self.0.clone();
        steps.push(Step::Attr(name.into()));
        Path(steps)
    }

    #[must_use]
    pub fn index(&self, key: Value) -> Path {
        let mut steps = self.0.clone();
        steps.push(Step::Index(key));
        Path(steps)
    }

    #[must_use]
    pub fn index_number(&self, index: usize) -> Path {
        self.index(Value::number(index as i64))
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub fn starts_with(&self, prefix: &Path) -> bool {
        self.0.len() >= prefix.0.len() && self.0[..prefix.0.len()] == prefix.0[..]
    }
}

/// The way people write it: `.disk[0].size`, without the leading dot.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Attr(name) if i == 0 => f.write_str(name)?,
                Step::Attr(name) => write!(f, ".{name}")?,
                Step::Index(key) => match key.as_str() {
                    Some(s) => write!(f, "[{s:?}]")?,
                    None => match key.as_number() {
                        Some(n) => write!(f, "[{n}]")?,
                        None => f.write_str("[…]")?,
                    },
                },
            }
        }
        Ok(())
    }
}
