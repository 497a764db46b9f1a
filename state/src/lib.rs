//! stead-state
