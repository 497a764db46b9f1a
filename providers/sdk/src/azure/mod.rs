//! Signing in to Azure and talking to it, for whoever does so: the official crates over the dialer. Feature `azure`; with
//! `azure-blob` the blobs of a container, too.

#[cfg(feature = "azure-blob")]
mod account;
#[cfg(feature = "azure-blob")]
mod blobs;
mod cloud;
mod credentials;
#[cfg(feature = "azure-blob")]
mod files;
mod login;
#[cfg(feature = "azure-blob")]
mod shared_key;
mod transport;

#[cfg(feature = "azure-blob")]
pub use account::{Access, ContainerSettings};
#[cfg(feature = "azure-blob")]
pub use blobs::{Blobs, Properties, Refusal};
pub use cloud::Cloud;
pub use credentials::{AssertionSource, Wanted, credential};
pub use login::{Login, LoginSettings, login, subscription_of_cli};
pub use transport::client_options;
