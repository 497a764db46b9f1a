//! What terraform-provider-talos 0.11.0 takes where the configuration says nothing: it is built from Talos v1.13.9.

/// Whose form of secrets and configuration is generated.
pub(crate) const CONTRACT: &str = "v1.13";
/// The installer that generated configurations name.
pub(crate) const TALOS: &str = "v1.13.9";
/// The Kubernetes of generated configurations.
pub(crate) const KUBERNETES: &str = "1.36.3";
