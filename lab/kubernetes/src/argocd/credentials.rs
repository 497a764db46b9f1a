//! Repository credentials: Secrets with label `argocd.argoproj.io/secret-type`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::repository::normalized;
use crate::object::{label, text};
use crate::state::State;

/// URLs for which there are credentials. The credentials themselves are not looked at beyond being there.
pub(super) struct Credentials {
    repositories: Vec<String>,
    prefixes: Vec<String>,
}

pub(super) fn of(state: &State, home: &str) -> Credentials {
    let mut found = Credentials {
        repositories: Vec::new(),
        prefixes: Vec::new(),
    };
    for secret in state.list("secrets", home) {
        let url = normalized(&field(secret, "url"));
        let usable = [
            ["username", "password"].as_slice(),
            &["password"],
            &["sshPrivateKey"],
            &["githubAppPrivateKey"],
            &["bearerToken"],
        ]
        .iter()
        .any(|fields| fields.iter().all(|f| !field(secret, f).is_empty()));
        if url.is_empty() {
            continue;
        }
        match label(secret, "argocd.argoproj.io/secret-type") {
            "repository" if usable => found.repositories.push(url),
            "repo-creds" if usable => found.prefixes.push(url),
            _ => {}
        }
    }
    found
}

fn field(secret: &Value, name: &str) -> String {
    let bytes = STANDARD
        .decode(text(secret, &["data", name]))
        .unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

impl Credentials {
    pub(super) fn fit(&self, url: &str) -> bool {
        let url = normalized(url);
        self.repositories.contains(&url)
            || self.prefixes.iter().any(|p| url.starts_with(p.as_str()))
    }
}
