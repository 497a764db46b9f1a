//! Factories that are made when they are first asked: a program knows many providers, and a run needs few of them.

use std::sync::{Arc, LazyLock};

use stead_value::schema::ProviderSchema;
use stead_value::{CallError, Value};

use crate::{Dialer, Provider, ProviderFactory};

/// Stands for the factory that `make` gives, and makes it, with all its schemas, when it is needed.
pub fn lazily<F: ProviderFactory + 'static>(
    dialer: &Dialer,
    make: impl FnOnce(&Dialer) -> F + Send + 'static,
) -> Arc<dyn ProviderFactory> {
    let dialer = dialer.clone();
    Arc::new(LazyLock::new(move || make(&dialer)))
}

impl<F: ProviderFactory, M: FnOnce() -> F + Send> ProviderFactory for LazyLock<F, M> {
    fn schema(&self) -> &ProviderSchema {
        (**self).schema()
    }

    fn instantiate(&self) -> Arc<dyn Provider> {
        (**self).instantiate()
    }

    fn only_in_state(&self, type_name: &str) -> bool {
        (**self).only_in_state(type_name)
    }

    fn listed_types(&self) -> Vec<Arc<str>> {
        (**self).listed_types()
    }

    fn referred_as(&self, type_name: &str) -> &'static [(&'static str, &'static str)] {
        (**self).referred_as(type_name)
    }

    fn call_function(&self, name: &str, args: &[Value]) -> Result<Value, CallError> {
        (**self).call_function(name, args)
    }
}
