//! What a configuration would do to a node: checks, the hash, the way to another release.

use stead_sdk::value::{Diagnostics, Path, Type, Value};
use stead_sdk::{Context, Error, PlanDraft};

use super::look::hash;
use crate::blocks::check_timeouts;
use crate::client::Client;
use crate::node::Contact;
use crate::resources::apply::{
    check_client_configuration, check_exactly_one, check_rendered, keep_layout, plan_endpoint,
    preview, target,
};
use crate::upgrade::{Installer, Version, running, step};

const REBOOT_MODES: [&str; 2] = ["DEFAULT", "POWERCYCLE"];

pub(super) fn validate(config: &Value) -> Diagnostics {
    let mut found = check_timeouts(config);
    found.extend(check_client_configuration(config));
    found.extend(check_exactly_one(
        config,
        "machine_configuration",
        "machine_configuration_wo",
    ));
    let given = |name: &str| config.get(name).filter(|v| !v.is_null());
    if given("kubeconfig").is_some() && given("kubeconfig_wo").is_some() {
        found.extend(Diagnostics::from(
            Error::new(
                "choose between `kubeconfig` and `kubeconfig_wo`",
                "both are set",
            )
            .remedy("Set at most one of the two.")
            .attribute("kubeconfig"),
        ));
    }
    if let Some(mode) = given("reboot_mode").as_ref().and_then(Value::as_str)
        && !REBOOT_MODES.contains(&mode)
    {
        let said = format!("{mode:?} is none of {}", REBOOT_MODES.join(", "));
        found.extend(Diagnostics::from(
            Error::new("use the reboot mode", said).attribute("reboot_mode"),
        ));
    }
    let image = given("image");
    if let Some(image) = image.as_ref().and_then(Value::as_str)
        && let Err(error) = Installer::parse(image)
    {
        found.extend(Diagnostics::from(error));
    }
    found.extend(check_kubeconfig(config));
    found
}

/// Who drains needs to be told how to reach Kubernetes.
fn check_kubeconfig(config: &Value) -> Diagnostics {
    let known = |name: &str| config.get(name).filter(Value::is_known);
    let image = known("image").is_some_and(|v| !v.is_null());
    let drains = known("drain_on_upgrade").is_some_and(|v| v.as_bool() != Some(false));
    let empty = |name: &str| {
        known(name).is_some_and(|v| v.is_null() || v.as_str().is_some_and(|t| t.trim().is_empty()))
    };
    if !(image && drains && empty("kubeconfig") && empty("kubeconfig_wo")) {
        return Diagnostics::new();
    }
    Error::new(
        "drain the node before an upgrade",
        "`image` is set, and neither `kubeconfig` nor `kubeconfig_wo` is",
    )
    .remedy(
        "Set `kubeconfig_wo = ephemeral.talos_cluster_kubeconfig.NAME.kubeconfig_raw`, or `drain_on_upgrade = false`.",
    )
    .attribute("kubeconfig")
    .into()
}

pub(super) async fn plan(
    client: Option<&Client>,
    draft: &mut PlanDraft,
    cx: &Context,
) -> Result<(), Diagnostics> {
    plan_endpoint(draft)?;
    let wanted = plan_hash(draft)?;
    plan_image(client, draft, wanted.as_deref(), cx).await?;
    if !draft.is_create() && client.is_some_and(|client| client.meets_anew) {
        // Whether its machine still has it is not known before it is there again.
        draft.set_unknown(&Path::root().attr("machine_configuration_hash"))?;
        draft.note(
            "the cluster is recovered: the machine gets its configuration again, if it has none",
        );
    }
    let Some(text) = wanted.filter(|_| draft.changes("machine_configuration_hash")) else {
        return Ok(());
    };
    let places = ["machine_configuration_wo"];
    check_rendered(&text, &places, "machine_configuration", draft)?;
    if let Some(client) = client.filter(|_| !draft.is_create()) {
        preview(client, draft, &text, cx).await;
    }
    Ok(())
}

/// Plans the hash, and gives the configuration where it is known.
fn plan_hash(draft: &mut PlanDraft) -> Result<Option<String>, Diagnostics> {
    let path = Path::root().attr("machine_configuration_hash");
    let config = |draft: &PlanDraft, name: &str| draft.config().get(name).filter(|v| !v.is_null());
    let stored = config(draft, "machine_configuration").is_some();
    let wanted = config(draft, "machine_configuration_wo")
        .or_else(|| config(draft, "machine_configuration"));
    let tagless = draft.attribute("ignore_kubernetes_upgrade_drift");
    let (Some(text), Some(tagless)) = (
        wanted.as_ref().and_then(Value::as_str),
        tagless.and_then(|v| v.as_bool()),
    ) else {
        draft.set_unknown(&path)?;
        return Ok(None);
    };
    if stored {
        keep_layout(draft, "machine_configuration", text)?;
    }
    let unchanged = !draft.is_create()
        && !draft.changes("machine_configuration")
        && !draft.changes("ignore_kubernetes_upgrade_drift")
        && stored;
    let prior = draft.prior().get("machine_configuration_hash");
    // A state of an earlier release of the published provider has another digest of the same configuration.
    if unchanged && let Some(prior) = prior.filter(|v| !v.is_null()) {
        draft.set(&path, prior)?;
    } else {
        draft.set(&path, Value::string(hash(text, tagless)))?;
    }
    Ok(Some(text.to_owned()))
}

async fn plan_image(
    client: Option<&Client>,
    draft: &mut PlanDraft,
    configuration: Option<&str>,
    cx: &Context,
) -> Result<(), Diagnostics> {
    let path = Path::root().attr("image");
    let configured = draft.config().get("image");
    if draft.is_create() && configured.is_none_or(|v| v.is_null()) {
        // Nobody asks for a release.
        return Ok(draft.set(&path, Value::null(Type::String))?);
    }
    if draft.is_create() || !draft.changes("image") {
        return Ok(());
    }
    let installer = |value: Option<Value>| {
        let value = value?;
        Installer::parse(value.as_str()?).ok()
    };
    let Some(to) = installer(draft.attribute("image")) else {
        return Ok(());
    };
    let from = match installer(draft.prior().get("image")) {
        Some(from) => from.version().clone(),
        // The first `image` after an import, or of a state that an older release wrote: only the node knows what runs.
        None => match first_image(client, draft, &to, configuration, cx).await {
            First::Runs => return Ok(()),
            First::Other(version) => version,
            First::Unknown(why) => {
                draft.note(format!(
                    "image: what runs now is not known, and looked at before the upgrade: {why}"
                ));
                return Ok(());
            }
        },
    };
    step("Talos", &from, to.version()).map_err(|e| e.attribute("image"))?;
    if to.version().numbers() < from.numbers() {
        let detail = format!(
            "The node runs {from} and is to run {}. Talos supports this only where the older release reads what the newer one has \
             written.",
            to.version()
        );
        draft.warn("An older release of Talos", detail);
    }
    draft.note(
        "image: the node is drained, restarted and brought back; control plane nodes one at a time",
    );
    Ok(())
}

/// What a node runs whose state has no image.
enum First {
    /// The image that is wanted.
    Runs,
    Other(Version),
    Unknown(String),
}

/// Asks the node what runs on it. Only one that proves to be of the cluster is asked.
async fn first_image(
    client: Option<&Client>,
    draft: &PlanDraft,
    wanted: &Installer,
    configuration: Option<&str>,
    cx: &Context,
) -> First {
    let unknown = |why: &str| First::Unknown(why.to_owned());
    let Some(client) = client else {
        return unknown("the provider's configuration is not known yet");
    };
    let node = match target(client, draft, configuration.unwrap_or_default()) {
        Ok(Some(node)) => node,
        Ok(None) => return unknown("how the node is reached is not known yet"),
        Err(error) => return unknown(error.said()),
    };
    let api = match node.contact(cx).await {
        Ok(Contact::Configured(api)) => api,
        Ok(Contact::Maintenance(..)) => return unknown("the node is in maintenance mode"),
        Ok(Contact::Away(why)) => return First::Unknown(why),
        Ok(Contact::Stranger(error)) | Err(error) => return unknown(error.said()),
    };
    match running(&api).await {
        Ok((version, schematic)) if wanted.is(&version, schematic.as_deref()) => First::Runs,
        Ok((version, _)) => match Version::parse(&version) {
            Some(version) => First::Other(version),
            None => First::Unknown(format!("{version:?} is not a release")),
        },
        Err(error) => unknown(error.said()),
    }
}
