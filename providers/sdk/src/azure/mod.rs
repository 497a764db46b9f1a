//! Signing in to Azure and talking to it, for whoever does so: the official crates over the dialer. Feature `azure`.

mod cloud;
mod credentials;
mod login;
mod transport;

pub use cloud::Cloud;
pub use credentials::{AssertionSource, Wanted, credential};
pub use login::{Login, LoginSettings, login, subscription_of_cli};
pub use transport::client_options;
