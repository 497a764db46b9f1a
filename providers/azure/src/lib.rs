//! stead-azure
