//! Small REST types: a struct that derives `Form`, and a row of a [`rest!`] table that says where it lives.
//!
//! ```text
//! rest! {
//!     resource HaGroup { what: "HA group", item: "/cluster/ha/groups/{group}" }
//!     resource UserToken with hooks { what: "API token", item: "/access/users/{user_id}/token/{token_name}", … }
//!     lookup HaGroup {}
//!     data HaGroups { what: "HA groups", item: "/cluster/ha/groups", id: "hagroups" }
//! }
//! ```
//!
//! A `lookup` is the data source of the same names as a resource, with the same attributes: what names an object is required, all
//! else is found. `{…}` in a path is a field of the struct. What a type does otherwise than all others is said in its [`Hooks`].
//! `listed` says where what exists of a type is found: then `stead discover` shows it.

pub(crate) mod codec;
pub(crate) mod discovery;
mod lookup;
pub(crate) mod object;
pub(crate) mod path;
pub(crate) mod patterns;
mod preflight;

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::form::{Form, Params, Unreadable};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, Error, PlanDraft, async_trait};

use crate::client::{Client, PlannedKind};

pub(crate) use discovery::{Existing, Listed, discover, key};
pub(crate) use lookup::{Lookup, look_up};
pub(crate) use object::{create, delete, import, named, read, update};
pub(crate) use preflight::preflight;

/// Where objects of a type live, and how they are made.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    /// What people call one: completes "create the …".
    pub(crate) what: &'static str,
    /// The path of one object.
    pub(crate) item: &'static str,
    /// Where it is made; otherwise at the item's parent.
    pub(crate) made_at: &'static str,
    /// Its `id`, by which it is also imported; otherwise the last field of `item`.
    pub(crate) id: &'static str,
    /// The identifier by which it is imported, where that is not its `id`.
    pub(crate) imported_by: &'static str,
    /// What tells objects of the type from others in the same place: sent with a create, and found when one is read.
    pub(crate) kind: &'static [(&'static str, &'static str)],
    /// Whether the kind is also sent with a change.
    pub(crate) kind_in_changes: bool,
    /// Parameters of every read.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// The member by which an answer that is a list is put in order.
    pub(crate) sorted_by: &'static str,
    /// Attributes that the data source of the same name does not have.
    pub(crate) only_managed: &'static [&'static str],
    /// How parameters lose their value in a change.
    pub(crate) clearing: Clearing,
    /// There is exactly one, always: it is neither made nor deleted, only set and reset.
    pub(crate) is_settings: bool,
    /// What making one takes: a path in the tree of permissions, and a privilege on it. Empty where it is not checked before.
    pub(crate) needs: (&'static str, &'static [&'static str]),
    /// What others may refer to when it is planned: of which kind, and the attribute that has its name.
    pub(crate) brings: Option<(PlannedKind, &'static str)>,
    /// How what exists of the type is found.
    pub(crate) listed: Listed,
    /// As [`stead_sdk::Resource::REFERRED_AS`].
    pub(crate) referred_as: &'static [(&'static str, &'static str)],
}

/// How a change takes a parameter's value away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clearing {
    /// `delete=a,b`.
    Delete,
    /// `delete=a&delete=b`.
    DeleteEach,
    /// `a=&b=`, where the method has no `delete`.
    Empty,
}

impl Spec {
    /// What most types have in common.
    pub(crate) const USUAL: Spec = Spec {
        what: "",
        item: "",
        made_at: "",
        id: "",
        imported_by: "",
        kind: &[],
        kind_in_changes: false,
        query: &[],
        sorted_by: "",
        only_managed: &[],
        clearing: Clearing::Delete,
        is_settings: false,
        needs: ("", &[]),
        brings: None,
        listed: Listed::Not,
        referred_as: &[],
    };
}

/// A type of a [`rest!`] table.
pub(crate) trait Rest {
    const SPEC: Spec;
}

/// What a type does otherwise than all others. Nothing, for most.
#[async_trait]
pub(crate) trait Hooks: Form + Rest + Sync {
    /// Checks of several attributes together; unknown values must be let pass.
    fn validate(_config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// As [`stead_sdk::Resource::plan`].
    async fn plan(
        _client: Option<&Client>,
        _plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// A part of the path or of the identifier: a field, or what a type makes of several.
    fn part(&self, name: &str) -> Option<String> {
        self.text(name)
    }

    /// Takes a part of an identifier.
    fn take_part(&mut self, name: &str, text: &str) -> Result<(), Unreadable> {
        self.assign(name, text)
    }

    /// What exists of the type, whoever made it.
    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        discovery::list::<Self>(client, cx).await
    }

    /// Why nobody would want to manage what a row of the list is about, if so.
    fn left_alone(_row: &Json) -> Option<&'static str> {
        None
    }

    /// The last word on what is sent to make this of `prior`; `None` for a create.
    fn send(&self, _prior: Option<&Self>, _form: &mut Params) {}

    /// Makes the object: what the server answers is for [`Hooks::made`].
    async fn make(&self, client: &Client, form: &Params, cx: &Context) -> Result<Json, Error> {
        object::make(self, client, form, cx).await
    }

    /// Takes what the answer to a create says.
    fn made(&mut self, _answer: &Json) {}

    /// Changes `prior` to this.
    async fn alter(
        &self,
        prior: &Self,
        client: &Client,
        form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        object::alter(prior, client, form, cx).await
    }

    /// The object's own last word on itself, after it was made or changed.
    fn finish(&mut self) {}

    /// What belongs to the object and takes requests of its own: after it was made, or changed from `prior`.
    async fn complement(
        &self,
        _prior: Option<&Self>,
        _client: &Client,
        _cx: &Context,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Asks for the object. What the answer says is taken over by its form, then by [`Hooks::found`].
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        object::fetch(self, client, cx).await
    }

    /// Takes what an answer says beyond the form; whether it is there at all.
    fn found(&mut self, _answer: &Json) -> Result<bool, Unreadable> {
        Ok(true)
    }

    /// Parameters of the delete.
    fn removal(&self) -> Params {
        Params::new()
    }

    /// Deletes the object.
    async fn remove(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        object::remove(self, client, cx).await
    }
}

/// Pairs as parameters.
fn owned(pairs: &[(&str, &str)]) -> Params {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// The error for an answer that is not what the contract promises.
fn unreadable(what: &str, path: &str, error: Unreadable) -> Error {
    Error::new(
        format!("{what} ({} {path})", Method::GET),
        error.to_string(),
    )
}

/// Declares small types, a row each, and a `register` for all of them.
macro_rules! rest {
    ($($kind:ident $ty:ident $(with $hooks:ident)? { $($spec:tt)* })+) => {
        $($crate::rest::rest!(@hooks $kind $ty $($hooks)?);)+
        $($crate::rest::rest!(@spec $kind $ty { $($spec)* });)+
        $($crate::rest::rest!(@$kind $ty);)+

        /// Adds the types of this table.
        pub(crate) fn register(
            provider: ::stead_sdk::Definition<$crate::client::Client>,
        ) -> ::stead_sdk::Definition<$crate::client::Client> {
            $(let provider = $crate::rest::rest!(@register $kind provider $ty);)+
            provider
        }
    };

    (@spec lookup $ty:ident {}) => {};
    (@spec $kind:ident $ty:ident { $($spec:tt)* }) => {
        impl $crate::rest::Rest for $ty {
            const SPEC: $crate::rest::Spec = $crate::rest::Spec { $($spec)*, ..$crate::rest::Spec::USUAL };
        }
    };
    (@hooks lookup $ty:ident) => {};
    (@hooks $kind:ident $ty:ident hooks) => {};
    (@hooks $kind:ident $ty:ident) => { impl $crate::rest::Hooks for $ty {} };
    (@lookup $ty:ident) => {};
    (@register lookup $provider:ident $ty:ident) => {
        $provider.data_source::<$crate::rest::Lookup<$ty>>()
    };
    (@register resource $provider:ident $ty:ident) => { $provider.resource::<$ty>() };
    (@register data $provider:ident $ty:ident) => { $provider.data_source::<$ty>() };

    (@resource $ty:ident) => {
        #[::stead_sdk::async_trait]
        impl ::stead_sdk::Resource for $ty {
            type Client = $crate::client::Client;

            fn validate(config: &::stead_sdk::value::Value) -> ::stead_sdk::value::Diagnostics {
                <$ty as $crate::rest::Hooks>::validate(config)
            }

            async fn plan(
                client: Option<&Self::Client>,
                plan: &mut ::stead_sdk::PlanDraft,
                cx: &::stead_sdk::Context,
            ) -> Result<(), ::stead_sdk::value::Diagnostics> {
                $crate::rest::preflight::<$ty>(client, plan, cx).await?;
                <$ty as $crate::rest::Hooks>::plan(client, plan, cx).await
            }

            async fn create(
                client: &Self::Client,
                planned: Self,
                config: &::stead_sdk::value::Value,
                cx: &::stead_sdk::Context,
            ) -> Result<Self, ::stead_sdk::Failure<Self>> {
                $crate::rest::create(client, planned, config, cx).await
            }

            async fn read(
                client: &Self::Client,
                prior: Self,
                cx: &::stead_sdk::Context,
            ) -> Result<Option<Self>, ::stead_sdk::Error> {
                $crate::rest::read(client, prior, cx).await
            }

            async fn update(
                client: &Self::Client,
                prior: Self,
                planned: Self,
                config: &::stead_sdk::value::Value,
                cx: &::stead_sdk::Context,
            ) -> Result<Self, ::stead_sdk::Failure<Self>> {
                $crate::rest::update(client, prior, planned, config, cx).await
            }

            async fn delete(
                client: &Self::Client,
                prior: Self,
                cx: &::stead_sdk::Context,
            ) -> Result<(), ::stead_sdk::Error> {
                $crate::rest::delete(client, prior, cx).await
            }

            const IS_LISTED: bool = <$ty as $crate::rest::Rest>::SPEC.listed.is_listed();

            const REFERRED_AS: &'static [(&'static str, &'static str)] =
                <$ty as $crate::rest::Rest>::SPEC.referred_as;

            async fn discover(
                client: &Self::Client,
                cx: &::stead_sdk::Context,
            ) -> Result<Vec<::stead_sdk::Discovered>, ::stead_sdk::Error> {
                $crate::rest::discover::<$ty>(client, cx).await
            }

            fn key(&self) -> Option<String> {
                Some($crate::rest::key(self))
            }

            fn named(&self) -> Option<Self> {
                $crate::rest::named(self)
            }

            async fn import(
                _client: &Self::Client,
                id: &str,
                _cx: &::stead_sdk::Context,
            ) -> Result<Self, ::stead_sdk::Error> {
                $crate::rest::import(id)
            }
        }
    };

    (@data $ty:ident) => {
        #[::stead_sdk::async_trait]
        impl ::stead_sdk::DataSource for $ty {
            type Client = $crate::client::Client;

            fn validate(config: &::stead_sdk::value::Value) -> ::stead_sdk::value::Diagnostics {
                <$ty as $crate::rest::Hooks>::validate(config)
            }

            async fn read(
                client: &Self::Client,
                config: Self,
                cx: &::stead_sdk::Context,
            ) -> Result<Self, ::stead_sdk::Error> {
                $crate::rest::look_up(client, config, cx).await
            }
        }
    };
}

pub(crate) use rest;
