//! Resources that live in the state alone: made once, then only remembered.

use std::collections::BTreeMap;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Error, PlanDraft, ResourceSchema};

/// Arbitrary values whose change makes a new object. Null values count as absent.
pub(crate) type Keepers = BTreeMap<String, Option<String>>;

/// What differs between resources that are generated and remembered.
pub(crate) trait Generated: ResourceSchema + Send + Sync + 'static {
    fn validate(_config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    fn plan(_plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Fills in what is computed. May take long: it runs on a thread of its own.
    fn generate(self) -> Result<Self, Error>;

    fn import(_id: &str) -> Result<Self, Error> {
        Err(Error::unsupported(
            format!("import {}", Self::NAME),
            "this type cannot be imported",
        ))
    }

    fn upgrade(_version: u64, attributes: serde_json::Value) -> Result<serde_json::Value, Error> {
        Ok(attributes)
    }
}

/// Makes [`Generated`] types into resources.
macro_rules! generated {
    ($($resource:ty),+ $(,)?) => {$(
        #[stead_sdk::async_trait]
        impl stead_sdk::Resource for $resource {
            type Client = ();

            fn validate(config: &stead_sdk::value::Value) -> stead_sdk::value::Diagnostics {
                <Self as $crate::generated::Generated>::validate(config)
            }

            async fn plan(
                _client: Option<&()>,
                plan: &mut stead_sdk::PlanDraft,
                _cx: &stead_sdk::Context,
            ) -> Result<(), stead_sdk::value::Diagnostics> {
                <Self as $crate::generated::Generated>::plan(plan)
            }

            async fn create(
                _client: &(),
                planned: Self,
                _config: &stead_sdk::value::Value,
                _cx: &stead_sdk::Context,
            ) -> Result<Self, stead_sdk::Failure<Self>> {
                Ok($crate::generated::in_background(planned).await?)
            }

            async fn read(
                _client: &(),
                prior: Self,
                _cx: &stead_sdk::Context,
            ) -> Result<Option<Self>, stead_sdk::Error> {
                Ok(Some(prior))
            }

            async fn update(
                _client: &(),
                _prior: Self,
                planned: Self,
                _config: &stead_sdk::value::Value,
                _cx: &stead_sdk::Context,
            ) -> Result<Self, stead_sdk::Failure<Self>> {
                Ok(planned)
            }

            async fn delete(_client: &(), _prior: Self, _cx: &stead_sdk::Context) -> Result<(), stead_sdk::Error> {
                Ok(())
            }

            async fn import(_client: &(), id: &str, _cx: &stead_sdk::Context) -> Result<Self, stead_sdk::Error> {
                <Self as $crate::generated::Generated>::import(id)
            }

            fn upgrade(version: u64, attributes: serde_json::Value) -> Result<serde_json::Value, stead_sdk::Error> {
                <Self as $crate::generated::Generated>::upgrade(version, attributes)
            }
        }
    )+};
}
pub(crate) use generated;

pub(crate) async fn in_background<G: Generated>(planned: G) -> Result<G, Error> {
    let done = tokio::task::spawn_blocking(move || planned.generate()).await;
    done.unwrap_or_else(|_| {
        Err(Error::new(
            format!("generate {}", G::NAME),
            "the program is ending",
        ))
    })
}

/// Takes back the replacement for keepers that differ in null values only: older releases did not store those.
pub(crate) fn ignore_null_keepers(plan: &mut PlanDraft, name: &str) {
    let values = |side: &Value| -> Option<Vec<(String, Value)>> {
        let map = side.get(name)?;
        if !map.is_known() {
            return None;
        }
        let entries = map
            .as_entries()
            .into_iter()
            .flatten()
            .filter(|(_, v)| !v.is_null());
        Some(entries.map(|(k, v)| (k.to_string(), v.clone())).collect())
    };
    let same = match (values(plan.prior()), values(plan.planned())) {
        (Some(old), Some(new)) => old == new,
        _ => false,
    };
    if same {
        plan.keep(&Path::root().attr(name));
    }
}

/// An error about one attribute of the configuration.
pub(crate) fn invalid(attribute: &str, detail: impl Into<String>) -> Diagnostic {
    Diagnostic::error("Invalid value", detail).attribute(Path::root().attr(attribute))
}

/// Refuses a number below `least`; null and unknown pass.
pub(crate) fn at_least(config: &Value, attribute: &str, least: i64, found: &mut Diagnostics) {
    if let Some(number) = config.get(attribute).and_then(|v| v.as_i64())
        && number < least
    {
        found.push(invalid(
            attribute,
            format!("`{attribute}` must be at least {least}, not {number}."),
        ));
    }
}
