//! Signing in to Azure and talking to it, for whoever does so: the official crates over the dialer. Feature `azure`.

mod cloud;
mod credentials;
mod transport;

pub use cloud::Cloud;
pub use credentials::{AssertionSource, Wanted, credential};
pub use transport::client_options;
