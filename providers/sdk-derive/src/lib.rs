//! stead-sdk-derive
