//! A secret that cannot be printed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Wraps a secret: `Debug` and `Display` never show it. Serialising does write it, because requests must carry it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    pub fn new(secret: T) -> Self {
        Sensitive(secret)
    }

    /// The secret itself. The name is long on purpose: each use is a place to review.
    pub fn expose_secret(&self) -> &T {
        &self.0
    }

    pub fn into_secret(self) -> T {
        self.0
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(secret: T) -> Self {
        Sensitive(secret)
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive value)")
    }
}

impl<T> fmt::Display for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive value)")
    }
}
