//! Kubernetes API clients over the dialer, for every provider that speaks to a cluster (cargo feature `kube`).
//!
//! [`ClusterSettings`] say where a cluster is and who we are; [`Cluster`] connects at the first request, so that a cluster
//! or a kubeconfig that does not exist yet harms nothing. Objects are plain JSON: what a manifest holds is what is sent.

mod cluster;
mod connect;
mod exec;
mod kubeconfig;
mod node;
mod object;
mod ready;
mod request;
mod settings;

pub use cluster::{Apply, Cluster, Propagation};
pub use exec::Exec;
pub use object::{ObjectRef, find, text, without_nulls};
pub use ready::{Readiness, established, rollout};
pub use settings::{Auth, ClusterSettings};
