//! Numbers with the language's precision.

use std::fmt;

/// A number. (Stand-in while the crate is being written: see the brief.)
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct Number(f64);

impl Number {
    pub fn to_i64(&self) -> Option<i64> {
        (self.0.fract() == 0.0).then_some(self.0 as i64)
    }
}

impl From<i64> for Number {
    fn from(n: i64) -> Self {
        Number(n as f64)
    }
}

impl Eq for Number {}
impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
