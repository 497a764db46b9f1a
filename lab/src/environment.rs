//! The environment variables that stead's providers and other people's clients already read.

use std::net::SocketAddr;
use std::path::Path;

use crate::Options;

/// How to log in to the simulations.
pub(crate) struct Credentials {
    variables: Vec<(&'static str, String)>,
}

impl Credentials {
    pub(crate) fn of(options: &Options) -> Credentials {
        let mut variables = Vec::new();
        if let Some(node) = options.proxmox.nodes.first() {
            variables.push((
                "PROXMOX_VE_ENDPOINT",
                format!("https://{}:8006/", node.address),
            ));
        }
        let tokens = options
            .proxmox
            .users
            .iter()
            .flat_map(|user| user.tokens.iter().map(move |token| (user, token)));
        // The first user's token without privilege separation can do the most.
        if let Some((user, token)) = tokens.min_by_key(|(_, token)| token.privilege_separation) {
            variables.push((
                "PROXMOX_VE_API_TOKEN",
                format!("{}!{}={}", user.id, token.id, token.secret),
            ));
        }
        variables.push((
            "TRUENAS_ENDPOINT",
            format!("https://{}", options.truenas.host),
        ));
        if let Some(key) = options.truenas.keys.first() {
            variables.push(("TRUENAS_USERNAME", key.username.clone()));
            variables.push(("TRUENAS_API_KEY", key.key.0.clone()));
        }
        variables.push(("ARM_TENANT_ID", options.azure.tenant_id.clone()));
        variables.push(("ARM_SUBSCRIPTION_ID", options.azure.subscription_id.clone()));
        if let Some(principal) = options.azure.principals.first() {
            variables.push(("ARM_CLIENT_ID", principal.client_id.clone()));
            variables.push(("ARM_CLIENT_SECRET", principal.client_secret.0.clone()));
        }
        Credentials { variables }
    }
}

/// Everything that a client in the lab should have set; what would lead out of the lab is emptied.
pub(crate) fn environment(
    bundle: &Path,
    gateway: SocketAddr,
    credentials: &Credentials,
) -> Vec<(String, String)> {
    let proxy = format!("http://{gateway}");
    let bundle = bundle.display().to_string();
    let mut all: Vec<(String, String)> =
        vec![("STEAD_DIAL".into(), format!("connect://{gateway}"))];
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        all.push((name.into(), proxy.clone()));
    }
    // An exception for the user's own network would pass the lab by.
    for name in ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"] {
        all.push((name.into(), String::new()));
    }
    // OpenSSL and Go, curl, git, Python's requests, Node.
    for name in [
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
    ] {
        all.push((name.into(), bundle.clone()));
    }
    all.extend(
        credentials
            .variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    all
}
