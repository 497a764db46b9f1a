//! The generation of machine configurations, as the data source and the ephemeral resource do it.

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Context, Error};

use crate::blocks::secrets::given::MachineSecrets;
use crate::defaults::{CONTRACT, KUBERNETES, TALOS};
use crate::machinery::{
    ConfigError, Contract, Finding, Input, MachineType, PatchError, Quirk, default_installer,
    installed_version, is_patch, machine_config, machine_config_watched, review,
};
use crate::render::{culprit, patch_diagnostic};

/// What a configuration is generated from.
pub(crate) struct Generation<'a> {
    pub(crate) cluster_name: &'a str,
    pub(crate) cluster_endpoint: &'a str,
    pub(crate) machine_type: &'a str,
    pub(crate) machine_secrets: &'a MachineSecrets,
    pub(crate) patches: &'a [String],
    pub(crate) kubernetes_version: Option<&'a str>,
    pub(crate) talos_version: Option<&'a str>,
}

/// A generated configuration, and the versions that were used.
pub(crate) struct Generated {
    pub(crate) text: Sensitive<String>,
    pub(crate) kubernetes_version: String,
    pub(crate) talos_version: String,
}

impl Generation<'_> {
    /// Generates it. What a node would refuse is warned of: later patches may still put it right.
    pub(crate) fn run(&self, cx: &Context) -> Result<Generated, Error> {
        let secrets = self.machine_secrets.bundle()?;
        let version = self.talos_version.unwrap_or(CONTRACT);
        let contract = Contract::parse(version).map_err(|e| failed(&e.into()))?;
        let machine_type = self.machine_type.parse().map_err(|e| failed(&e))?;
        let kubernetes = self.kubernetes_version.unwrap_or(KUBERNETES);
        let image = default_installer(TALOS);
        let input = Input::new(
            self.cluster_name,
            self.cluster_endpoint,
            machine_type,
            kubernetes,
            contract,
            &secrets,
            &image,
        );
        let patches = self.patches;
        let mut quirks = Vec::new();
        let generated = machine_config_watched(&input, patches, &mut quirks);
        let text = generated.map_err(|error| match &error {
            ConfigError::Patch(patch) => {
                let works =
                    |n: usize| machine_config(&input, patches.get(..n).unwrap_or(patches)).is_ok();
                let culprit = culprit(patches.len(), works);
                let text = culprit.and_then(|index| patches.get(index));
                match text.filter(|text| is_of_a_newer_version(text, contract)) {
                    Some(_) => newer(patch, culprit, contract),
                    None => patch_diagnostic(&patch.to_string(), culprit).into(),
                }
            }
            _ => failed(&error),
        })?;
        tell(&quirks, &self.findings(&text, contract, &image), cx);
        Ok(Generated {
            text: text.into(),
            kubernetes_version: kubernetes.to_owned(),
            talos_version: version.to_owned(),
        })
    }

    /// What a node would have against the configuration. It is for the version that the user chose to install, else for the
    /// one that was asked for; without either nothing is known of the node.
    fn findings(&self, text: &str, contract: Contract, default_image: &str) -> Vec<Finding> {
        let chosen = installed_version(text).filter(|_| !text.contains(default_image));
        let target = chosen.or(self.talos_version.map(|_| contract));
        review(text, target).unwrap_or_default()
    }
}

/// Whether a patch that the contract's release cannot read is one of the newest release.
fn is_of_a_newer_version(patch: &str, contract: Contract) -> bool {
    let newest = Contract::LATEST.release();
    !is_patch(patch, contract.release()) && is_patch(patch, newest)
}

/// The error for a patch with documents or fields that came later than the contract.
fn newer(patch: &PatchError, culprit: Option<usize>, contract: Contract) -> Error {
    let newest = Contract::LATEST;
    let index = culprit.map_or_else(String::new, |index| format!("[{index}]"));
    let path = Path::root().attr("config_patches");
    Error::new(
        format!("apply config_patches{index}"),
        format!("it is written for Talos {newest}, and the configuration is one of {contract}: {patch}"),
    )
    .remedy(format!(
        "Set `talos_version = \"{newest}\"` when the nodes run it, or leave out of the patch what {contract} does not know."
    ))
    .at(match culprit {
        Some(index) => path.index_number(index),
        None => path,
    })
}

/// Warns of what patches do beyond what they say, and of what a node would refuse.
fn tell(quirks: &[Quirk], findings: &[Finding], cx: &Context) {
    for quirk in quirks {
        cx.warn(QUIRK, quirk.to_string());
    }
    for finding in findings {
        cx.warn(
            "A node would refuse the machine configuration",
            format!("{finding}. {}", finding.remedy()),
        );
    }
}

/// The summary of a warning about a [`Quirk`].
pub(crate) const QUIRK: &str = "A configuration patch does more than it says";

/// Checks what is known of the configuration.
pub(crate) fn validate(config: &Value) -> Diagnostics {
    let mut found: Diagnostics = ["docs", "examples"]
        .into_iter()
        .filter_map(|name| comments_warning(config, name))
        .collect();
    let text = |name: &str| {
        let value = config.get(name)?;
        value.as_str().map(str::to_owned)
    };
    let checks = [
        text("machine_type").map(|t| t.parse::<MachineType>().map(drop)),
        text("talos_version").map(|t| Contract::parse(&t).map(drop).map_err(ConfigError::from)),
    ];
    for error in checks.into_iter().flatten().filter_map(Result::err) {
        found.extend(Diagnostics::from(failed(&error)));
    }
    found
}

/// The attribute that is to blame for a configuration that cannot be generated.
fn blame(error: &ConfigError) -> Option<&'static str> {
    match error {
        ConfigError::MachineType(_) => Some("machine_type"),
        ConfigError::Contract(_) => Some("talos_version"),
        ConfigError::Endpoint(_) | ConfigError::Missing("cluster endpoint") => {
            Some("cluster_endpoint")
        }
        ConfigError::Missing("cluster name") => Some("cluster_name"),
        ConfigError::Missing("kubernetes version") => Some("kubernetes_version"),
        ConfigError::Secret(..) => Some("machine_secrets"),
        _ => None,
    }
}

fn failed(error: &ConfigError) -> Error {
    let failed = Error::new("generate the machine configuration", error.to_string());
    match blame(error) {
        Some(attribute) => failed.attribute(attribute),
        None => failed,
    }
}

fn comments_warning(config: &Value, name: &str) -> Option<Diagnostic> {
    let wanted = config.get(name).and_then(|v| v.as_bool()) == Some(true);
    wanted.then(|| {
        let detail = format!(
            "stead writes configurations without comments: `{name} = true` changes nothing. The configuration means the same."
        );
        Diagnostic::warning("No comments in the machine configuration", detail)
            .attribute(Path::root().attr(name))
    })
}
