//! The settings of the command line that concern registries: `host` and `credentials` blocks, tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;
use stead_lang::expr::evaluate_constant;
use stead_lang::syntax::{Body, SourceFile, parse_file};

/// `~/.terraformrc` (or what `TF_CLI_CONFIG_FILE` names), `credentials.tfrc.json`, and `TF_TOKEN_…`.
#[derive(Clone, Default)]
pub struct CliConfig {
    tokens: BTreeMap<String, String>,
    /// By host: services by name.
    services: BTreeMap<String, BTreeMap<String, String>>,
}

/// Tokens are secrets.
impl std::fmt::Debug for CliConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CliConfig")
            .field("hosts", &self.services.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl CliConfig {
    /// Reads the settings that an environment leads to. What cannot be read is left out.
    pub fn of_environment(environment: &dyn Fn(&str) -> Option<String>) -> CliConfig {
        let mut config = CliConfig::default();
        let home = environment("HOME").map(PathBuf::from);
        if let Some(home) = &home {
            config.read_credentials(&home.join(".terraform.d/credentials.tfrc.json"));
        }
        let named = environment("TF_CLI_CONFIG_FILE").map(PathBuf::from);
        let file = named.or_else(|| {
            let home = home?;
            [".terraformrc", ".tofurc"]
                .iter()
                .map(|n| home.join(n))
                .find(|p| p.is_file())
        });
        if let Some(text) = file.and_then(|f| std::fs::read_to_string(f).ok()) {
            config.read_settings(&text);
        }
        config
    }

    fn read_credentials(&mut self, path: &Path) {
        let Ok(text) = std::fs::read(path) else {
            return;
        };
        let file: Json = serde_json::from_slice(&text).unwrap_or_default();
        let hosts = file.get("credentials").and_then(Json::as_object);
        for (host, settings) in hosts.into_iter().flatten() {
            if let Some(token) = settings.get("token").and_then(Json::as_str) {
                self.tokens.insert(host.to_lowercase(), token.to_owned());
            }
        }
    }

    fn read_settings(&mut self, text: &str) {
        let (body, _) = parse_file(&Arc::new(SourceFile::new("CLI configuration", text)));
        for block in &body.blocks {
            let Some(host) = block.labels.first().map(|l| l.text.to_lowercase()) else {
                continue;
            };
            match &*block.kind {
                "credentials" => {
                    if let Some(token) = text_of(&block.body, "token") {
                        self.tokens.insert(host, token);
                    }
                }
                "host" => {
                    self.services.insert(host, services_of(&block.body));
                }
                _ => {}
            }
        }
    }

    /// The services that the settings name for a host; they stand for what the host itself would say.
    pub(crate) fn services(&self, host: &str) -> Option<&BTreeMap<String, String>> {
        self.services.get(host)
    }

    /// The token for a host: `TF_TOKEN_registry_example_com` wins.
    pub(crate) fn token(&self, host: &str) -> Option<String> {
        let name = format!("TF_TOKEN_{}", host.replace('-', "__").replace('.', "_"));
        std::env::var(name)
            .ok()
            .filter(|t| !t.is_empty())
            .or_else(|| self.tokens.get(host).cloned())
    }
}

fn text_of(body: &Body, name: &str) -> Option<String> {
    let value = evaluate_constant(&body.attribute(name)?.expr).value;
    value.as_str().map(ToOwned::to_owned)
}

fn services_of(body: &Body) -> BTreeMap<String, String> {
    let value = body
        .attribute("services")
        .map(|a| evaluate_constant(&a.expr).value);
    let entries = value.as_ref().and_then(|v| v.as_entries());
    entries
        .into_iter()
        .flatten()
        .filter_map(|(name, url)| Some((name.to_string(), url.as_str()?.to_owned())))
        .collect()
}
