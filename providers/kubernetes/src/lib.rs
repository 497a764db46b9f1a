//! stead-kubernetes
