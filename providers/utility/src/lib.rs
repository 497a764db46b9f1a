//! stead-utility
