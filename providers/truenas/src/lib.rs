//! stead-truenas
