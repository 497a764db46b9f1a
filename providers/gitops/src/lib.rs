//! stead-gitops
