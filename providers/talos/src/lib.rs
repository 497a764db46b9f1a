//! stead-talos
