//! Ephemeral resources: what is opened while a run needs it, and never stored.

use std::time::SystemTime;

use async_trait::async_trait;
use stead_value::{Diagnostics, Value};

use crate::{Context, DataSourceSchema, Error, Private};

/// An ephemeral resource as authors write it: a struct with `#[derive(DataSource)]`, whose computed fields are what opening
/// gives.
#[async_trait]
pub trait Ephemeral: DataSourceSchema + Send + Sync + 'static {
    type Client: Send + Sync + 'static;

    /// Checks beyond the schema; the configuration may hold unknown values, which must be let pass.
    fn validate(_config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Takes the configuration and gives it back with the computed fields filled in.
    async fn open(client: &Self::Client, config: Self, cx: &Context) -> Result<Lease<Self>, Error>;

    /// Keeps what was opened alive; gives what `open` gave besides the object.
    async fn renew(
        _client: &Self::Client,
        private: Private,
        _cx: &Context,
    ) -> Result<Lease<()>, Error> {
        Ok(Lease {
            object: (),
            private,
            renew_at: None,
        })
    }

    /// Gives back what was opened.
    async fn close(_client: &Self::Client, _private: Private, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}

/// Something opened, and how it is kept and given back.
#[derive(Clone, Debug)]
pub struct Lease<T> {
    pub object: T,
    /// What `renew` and `close` need to know.
    pub private: Private,
    /// When it must be renewed, if it must.
    pub renew_at: Option<SystemTime>,
}

impl<T> Lease<T> {
    pub(crate) fn with<U>(self, object: U) -> Lease<U> {
        Lease {
            object,
            private: self.private,
            renew_at: self.renew_at,
        }
    }
}

impl<T> From<T> for Lease<T> {
    /// Something that needs neither renewing nor closing.
    fn from(object: T) -> Lease<T> {
        Lease {
            object,
            private: Private::default(),
            renew_at: None,
        }
    }
}
