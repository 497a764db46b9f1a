//! The Talos provider: clusters of Talos Linux machines.

pub mod machinery;
