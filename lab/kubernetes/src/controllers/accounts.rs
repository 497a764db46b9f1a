//! Service account token secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cluster::Core;
use crate::object::{annotation, map_at, set, text, uid};
use crate::state::{Id, State};

/// Fills a Secret of type `kubernetes.io/service-account-token`, or deletes it when its account is not there.
pub(super) fn token_secret(core: &Core, state: &mut State, id: &Id, secret: &Value) {
    if text(secret, &["type"]) != "kubernetes.io/service-account-token" {
        return;
    }
    let Some(account_name) = annotation(secret, "kubernetes.io/service-account.name") else {
        return;
    };
    let Some(account) = state
        .find("serviceaccounts", &id.namespace, account_name)
        .cloned()
    else {
        super::delete(state, id);
        return;
    };
    if !text(secret, &["data", "token"]).is_empty() {
        return;
    }
    let token = STANDARD.encode(core.tokens.issue(&account, &[], None));
    let ca = STANDARD.encode(&state.ca_pem);
    let namespace = STANDARD.encode(&id.namespace);
    if let Some(resource) = state.registry.by_key("secrets") {
        state.adjust(&resource, id, |o| {
            let data = map_at(o, &["data"]);
            data.insert("token".into(), token.into());
            data.insert("ca.crt".into(), ca.into());
            data.insert("namespace".into(), namespace.into());
            set(
                o,
                &[
                    "metadata",
                    "annotations",
                    "kubernetes.io/service-account.uid",
                ],
                uid(&account).into(),
            );
        });
    }
}
