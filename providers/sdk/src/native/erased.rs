//! Typed resources behind one object-safe trait over dynamic values.

use std::marker::PhantomData;

use async_trait::async_trait;
use stead_value::{Diagnostic, Diagnostics, Path, Value};

use crate::{
    Context, Cut, DataSource, Discovered, Ephemeral, Error, Failure, ForeignObject, Found,
    ImportBy, Lease, PlanDraft, Private, Remains, Resource, Resumed,
};

/// What an operation leaves behind.
pub(crate) struct Outcome {
    /// As [`Failure::usable`].
    pub(crate) usable: bool,
    /// The object; `None` when it does not exist, or when nothing is known beyond what was known before.
    pub(crate) value: Option<Value>,
    pub(crate) private: Vec<u8>,
    /// Of the object, where its type has identities and it tells its own.
    pub(crate) identity: Option<Value>,
    pub(crate) error: Option<Diagnostic>,
}

#[async_trait]
pub(crate) trait ErasedResource<C>: Send + Sync {
    fn validate(&self, config: &Value) -> Diagnostics;
    fn upgrade(
        &self,
        version: u64,
        attributes: serde_json::Value,
    ) -> Result<serde_json::Value, Error>;
    fn upgrade_identity(
        &self,
        version: u64,
        identity: serde_json::Value,
    ) -> Result<serde_json::Value, Error>;
    fn take_over(&self, object: &ForeignObject<'_>) -> Result<Found, Diagnostics>;
    /// The identity of a stored object, where its type has one.
    fn identity(&self, value: &Value, private: &[u8]) -> Result<Option<Value>, Diagnostic>;
    async fn plan(
        &self,
        client: Option<&C>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics>;
    async fn create(
        &self,
        client: &C,
        planned: &Value,
        config: &Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Outcome;
    async fn read(
        &self,
        client: &C,
        prior: &Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<Option<Found>, Diagnostic>;
    async fn update(
        &self,
        client: &C,
        prior: &Value,
        planned: &Value,
        config: &Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Outcome;
    async fn delete(
        &self,
        client: &C,
        prior: &Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<(), Diagnostic>;
    async fn import(&self, client: &C, by: &ImportBy, cx: &Context) -> Result<Found, Diagnostic>;
    async fn discover(&self, client: &C, cx: &Context) -> Result<Vec<Discovered>, Diagnostic>;
    /// What tells a stored object from all others, where its type says it.
    fn key(&self, value: &Value) -> Option<String>;
    async fn resume(
        &self,
        client: &C,
        planned: &Value,
        known: Option<(Value, Vec<u8>)>,
        cx: &Context,
    ) -> Result<Resumed<Found>, Diagnostic>;
    async fn remains(
        &self,
        client: &C,
        prior: &Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<Remains<Found>, Diagnostic>;
}

#[async_trait]
pub(crate) trait ErasedData<C>: Send + Sync {
    fn validate(&self, config: &Value) -> Diagnostics;
    async fn read(&self, client: &C, config: &Value, cx: &Context) -> Result<Value, Diagnostic>;
}

#[async_trait]
pub(crate) trait ErasedEphemeral<C>: Send + Sync {
    fn validate(&self, config: &Value) -> Diagnostics;
    async fn open(
        &self,
        client: &C,
        config: &Value,
        cx: &Context,
    ) -> Result<Lease<Value>, Diagnostic>;
    async fn renew(
        &self,
        client: &C,
        private: Private,
        cx: &Context,
    ) -> Result<Lease<()>, Diagnostic>;
    async fn close(&self, client: &C, private: Private, cx: &Context) -> Result<(), Diagnostic>;
}

pub(crate) struct Typed<T>(PhantomData<fn() -> T>);

impl<T> Typed<T> {
    pub(crate) fn new() -> Typed<T> {
        Typed(PhantomData)
    }
}

/// The struct of a stored object, private fields included.
fn decode<R: Resource>(value: &Value, private: &Private) -> Result<R, Diagnostic> {
    let mut object = R::decode(value, &Path::root())?;
    object.load_private(private)?;
    Ok(object)
}

fn outcome<R: Resource>(
    object: Option<&R>,
    mut private: Private,
    error: Option<Diagnostic>,
) -> Outcome {
    let stored = object.map_or(Ok(()), |o| o.store_private(&mut private));
    // The object exists: a private field that cannot be written must not hide it.
    let error = error.or(stored.err());
    Outcome {
        usable: false,
        value: object.map(R::encode),
        private: private.into_bytes(),
        identity: object.and_then(R::identity),
        error,
    }
}

fn encoded<R: Resource>(object: &R, mut private: Private) -> Result<Found, Diagnostic> {
    object.store_private(&mut private)?;
    Ok(Found {
        value: object.encode(),
        private: private.into_bytes(),
        identity: object.identity(),
    })
}

fn settled<R: Resource>(result: Result<R, Failure<R>>, private: Private) -> Outcome {
    match result {
        Ok(object) => outcome(Some(&object), private, None),
        Err(Failure {
            error,
            partial,
            usable,
        }) => Outcome {
            usable,
            ..outcome(partial.as_ref(), private, Some(error.into()))
        },
    }
}

fn failed(error: Diagnostic, private: Vec<u8>) -> Outcome {
    Outcome {
        usable: false,
        value: None,
        private,
        identity: None,
        error: Some(error),
    }
}

#[async_trait]
impl<R: Resource> ErasedResource<R::Client> for Typed<R> {
    fn validate(&self, config: &Value) -> Diagnostics {
        R::validate(config)
    }

    fn upgrade(
        &self,
        version: u64,
        attributes: serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        R::upgrade(version, attributes)
    }

    fn upgrade_identity(
        &self,
        version: u64,
        identity: serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        R::upgraded_identity(version, identity)
    }

    fn take_over(&self, object: &ForeignObject<'_>) -> Result<Found, Diagnostics> {
        Ok(encoded(&R::take_over(object)?, Private::parse(&[]))?)
    }

    fn identity(&self, value: &Value, private: &[u8]) -> Result<Option<Value>, Diagnostic> {
        Ok(decode::<R>(value, &Private::parse(private))?.identity())
    }

    async fn plan(
        &self,
        client: Option<&R::Client>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        R::plan(client, draft, cx).await
    }

    async fn create(
        &self,
        client: &R::Client,
        planned: &Value,
        config: &Value,
        bytes: Vec<u8>,
        cx: &Context,
    ) -> Outcome {
        let private = Private::parse(&bytes);
        match decode::<R>(planned, &private) {
            Ok(planned) => settled(R::create(client, planned, config, cx).await, private),
            Err(diagnostic) => failed(diagnostic, bytes),
        }
    }

    async fn read(
        &self,
        client: &R::Client,
        prior: &Value,
        bytes: Vec<u8>,
        cx: &Context,
    ) -> Result<Option<Found>, Diagnostic> {
        let private = Private::parse(&bytes);
        let prior = decode::<R>(prior, &private)?;
        let found = R::read(client, prior, cx).await?;
        found.map(|object| encoded(&object, private)).transpose()
    }

    async fn update(
        &self,
        client: &R::Client,
        prior: &Value,
        planned: &Value,
        config: &Value,
        bytes: Vec<u8>,
        cx: &Context,
    ) -> Outcome {
        let private = Private::parse(&bytes);
        let both = decode::<R>(prior, &private)
            .and_then(|prior| Ok((prior, decode::<R>(planned, &private)?)));
        match both {
            Ok((prior, planned)) => {
                settled(R::update(client, prior, planned, config, cx).await, private)
            }
            Err(diagnostic) => failed(diagnostic, bytes),
        }
    }

    async fn delete(
        &self,
        client: &R::Client,
        prior: &Value,
        bytes: Vec<u8>,
        cx: &Context,
    ) -> Result<(), Diagnostic> {
        let prior = decode::<R>(prior, &Private::parse(&bytes))?;
        R::delete(client, prior, cx).await.map_err(Diagnostic::from)
    }

    async fn resume(
        &self,
        client: &R::Client,
        planned: &Value,
        known: Option<(Value, Vec<u8>)>,
        cx: &Context,
    ) -> Result<Resumed<Found>, Diagnostic> {
        let mut private = Private::default();
        let known = match known {
            Some((value, bytes)) => {
                private = Private::parse(&bytes);
                Some(decode::<R>(&value, &private)?)
            }
            None => None,
        };
        let cut = Cut::new(decode::<R>(planned, &private)?, known, planned.clone());
        let encode = |object: R| encoded(&object, private);
        Ok(match R::resume(client, cut, cx).await? {
            Resumed::Absent => Resumed::Absent,
            Resumed::Complete(object) => Resumed::Complete(encode(object)?),
            Resumed::Unfit(object) => Resumed::Unfit(encode(object)?),
            Resumed::Unknown => Resumed::Unknown,
        })
    }

    async fn remains(
        &self,
        client: &R::Client,
        prior: &Value,
        bytes: Vec<u8>,
        cx: &Context,
    ) -> Result<Remains<Found>, Diagnostic> {
        let private = Private::parse(&bytes);
        let prior = decode::<R>(prior, &private)?;
        R::remains(client, prior, cx)
            .await?
            .try_map(|object| encoded(&object, private))
    }

    async fn import(
        &self,
        client: &R::Client,
        by: &ImportBy,
        cx: &Context,
    ) -> Result<Found, Diagnostic> {
        let id = match by {
            ImportBy::Id(id) => id.clone(),
            ImportBy::Identity(identity) => R::identified_id(identity)?,
        };
        let object = R::import(client, &id, cx).await?;
        encoded(&object, Private::default())
    }

    async fn discover(
        &self,
        client: &R::Client,
        cx: &Context,
    ) -> Result<Vec<Discovered>, Diagnostic> {
        Ok(R::discover(client, cx).await?)
    }

    fn key(&self, value: &Value) -> Option<String> {
        R::decode(value, &Path::root()).ok()?.key()
    }
}

#[async_trait]
impl<D: DataSource> ErasedData<D::Client> for Typed<D> {
    fn validate(&self, config: &Value) -> Diagnostics {
        D::validate(config)
    }

    async fn read(
        &self,
        client: &D::Client,
        config: &Value,
        cx: &Context,
    ) -> Result<Value, Diagnostic> {
        let config = D::decode(config, &Path::root())?;
        Ok(D::read(client, config, cx).await?.encode())
    }
}

#[async_trait]
impl<E: Ephemeral> ErasedEphemeral<E::Client> for Typed<E> {
    fn validate(&self, config: &Value) -> Diagnostics {
        E::validate(config)
    }

    async fn open(
        &self,
        client: &E::Client,
        config: &Value,
        cx: &Context,
    ) -> Result<Lease<Value>, Diagnostic> {
        let config = E::decode(config, &Path::root())?;
        let opened = E::open(client, config, cx).await?;
        let value = opened.object.encode();
        Ok(opened.with(value))
    }

    async fn renew(
        &self,
        client: &E::Client,
        private: Private,
        cx: &Context,
    ) -> Result<Lease<()>, Diagnostic> {
        Ok(E::renew(client, private, cx).await?)
    }

    async fn close(
        &self,
        client: &E::Client,
        private: Private,
        cx: &Context,
    ) -> Result<(), Diagnostic> {
        Ok(E::close(client, private, cx).await?)
    }
}
