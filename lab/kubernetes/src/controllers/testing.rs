//! A cluster's memory without a cluster, for tests of controllers.

use std::sync::Arc;

use serde_json::Value;

use crate::object::namespace;
use crate::ops::WriteOptions;
use crate::state::State;

/// A cluster in which nothing has happened yet.
pub(super) fn state() -> State {
    let mut state = State::new(1, "-----BEGIN CERTIFICATE-----".to_owned());
    crate::bootstrap::populate(&mut state);
    state
}

/// Makes an object of a resource, as somebody does.
pub(super) fn make(state: &mut State, key: &str, object: Value) -> Arc<Value> {
    let resource = state.registry.by_key(key).unwrap();
    let place = namespace(&object).to_owned();
    let options = WriteOptions::component("test");
    let written = state.create(&resource, &place, object, &options);
    written.unwrap().object
}
