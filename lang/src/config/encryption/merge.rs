//! One configuration over another: an override file's, or that of `TF_ENCRYPTION`.

use std::hash::Hash;
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::super::overrides;
use super::{EncryptionConfig, EncryptionTarget, KeyProviderConfig, MethodConfig};
use crate::syntax::Body;

impl EncryptionConfig {
    /// Takes what another one says over this one: blocks of the same names argument by argument, the others besides.
    #[must_use]
    pub fn merge(mut self, over: EncryptionConfig) -> EncryptionConfig {
        each(&mut self.key_providers, over.key_providers, key_provider);
        each(&mut self.methods, over.methods, method);
        each(&mut self.remotes, over.remotes, target);
        one(&mut self.state, over.state);
        one(&mut self.plan, over.plan);
        one(&mut self.remote_default, over.remote_default);
        self
    }
}

fn each<K: Hash + Eq, V>(
    base: &mut IndexMap<K, V>,
    over: IndexMap<K, V>,
    merge: impl Fn(&mut V, V),
) {
    for (key, value) in over {
        match base.entry(key) {
            Entry::Occupied(mut there) => merge(there.get_mut(), value),
            Entry::Vacant(free) => drop(free.insert(value)),
        }
    }
}

fn one(base: &mut Option<EncryptionTarget>, over: Option<EncryptionTarget>) {
    match (base.as_mut(), over) {
        (Some(base), Some(over)) => target(base, over),
        (None, over) => *base = over,
        (Some(_), None) => {}
    }
}

fn key_provider(base: &mut KeyProviderConfig, over: KeyProviderConfig) {
    if over.alias.is_some() {
        base.alias = over.alias;
    }
    body(&mut base.body, &over.body);
}

fn method(base: &mut MethodConfig, over: MethodConfig) {
    body(&mut base.body, &over.body);
}

fn body(base: &mut Arc<Body>, over: &Body) {
    overrides::merge(Arc::make_mut(base), over.clone());
}

/// What is enforced by either stays enforced.
fn target(base: &mut EncryptionTarget, over: EncryptionTarget) {
    base.enforced |= over.enforced;
    if over.method.is_some() {
        base.method = over.method;
    }
    if over.fallback.is_some() {
        base.fallback = over.fallback;
    }
}
