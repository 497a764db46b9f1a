//! stead-lang
