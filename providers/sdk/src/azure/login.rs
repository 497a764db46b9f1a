//! Who signs in, where it must be done: the settings with their files and the pod's variables, in the reference's order.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use stead_value::Sensitive;

use super::{AssertionSource, Wanted, credential};
use crate::{Dialer, Environment, Error};

const CLI_LIMIT: Duration = Duration::from_secs(30);

/// The reference's settings for signing in, their environment variables taken into account. Empty means not set.
#[derive(Clone, Debug, Default)]
pub struct LoginSettings {
    pub tenant_id: String,
    pub subscription_id: String,
    pub client_id: String,
    pub client_id_file_path: String,
    pub client_secret: Sensitive<String>,
    pub client_secret_file_path: String,
    pub use_oidc: bool,
    pub oidc_token: Sensitive<String>,
    pub oidc_token_file_path: String,
    pub oidc_request_url: String,
    pub oidc_request_token: Sensitive<String>,
    pub ado_pipeline_service_connection_id: String,
    pub use_aks_workload_identity: bool,
    pub use_msi: bool,
    pub use_cli: bool,
}

impl LoginSettings {
    /// What the environment alone says, by the reference's variables. The Azure CLI is asked unless ARM_USE_CLI says otherwise.
    ///
    /// # Errors
    /// When a variable makes no sense.
    pub fn of(environment: &Environment) -> Result<LoginSettings, Error> {
        let text = |names: &[&str]| environment.first(names).unwrap_or_default().to_owned();
        let flag = |name| LoginSettings::flag(environment, name);
        Ok(LoginSettings {
            tenant_id: text(&["ARM_TENANT_ID"]),
            subscription_id: text(&["ARM_SUBSCRIPTION_ID"]),
            client_id: text(&["ARM_CLIENT_ID"]),
            client_id_file_path: text(&["ARM_CLIENT_ID_FILE_PATH"]),
            client_secret: text(&["ARM_CLIENT_SECRET"]).into(),
            client_secret_file_path: text(&["ARM_CLIENT_SECRET_FILE_PATH"]),
            use_oidc: flag("ARM_USE_OIDC")?.unwrap_or(false),
            oidc_token: text(&["ARM_OIDC_TOKEN"]).into(),
            oidc_token_file_path: text(&["ARM_OIDC_TOKEN_FILE_PATH"]),
            oidc_request_url: text(&[
                "ARM_OIDC_REQUEST_URL",
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "SYSTEM_OIDCREQUESTURI",
            ]),
            oidc_request_token: text(&[
                "ARM_OIDC_REQUEST_TOKEN",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                "SYSTEM_ACCESSTOKEN",
            ])
            .into(),
            ado_pipeline_service_connection_id: text(&[
                "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
                "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
            ]),
            use_aks_workload_identity: flag("ARM_USE_AKS_WORKLOAD_IDENTITY")?.unwrap_or(false),
            use_msi: flag("ARM_USE_MSI")?.unwrap_or(false),
            use_cli: flag("ARM_USE_CLI")?.unwrap_or(true),
        })
    }

    /// A variable that is `true` or `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(environment: &Environment, name: &str) -> Result<Option<bool>, Error> {
        let Some(text) = environment.get(name) else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => Ok(Some(true)),
            "" | "0" | "false" | "no" => Ok(Some(false)),
            _ => Err(Error::new(
                "sign in to Azure",
                format!("the environment variable {name} is neither true nor false"),
            )),
        }
    }
}

/// A login, and whether it is the Azure CLI's, which knows a subscription besides.
pub struct Login {
    pub credential: Arc<dyn TokenCredential>,
    pub by_cli: bool,
}

/// Signs in as the settings say.
///
/// # Errors
/// When no way to sign in is configured, or two settings contradict each other.
pub fn login(
    settings: &LoginSettings,
    options: ClientOptions,
    dialer: &Dialer,
) -> Result<Login, Error> {
    let environment = dialer.environment();
    for variable in [
        "ARM_CLIENT_CERTIFICATE",
        "ARM_CLIENT_CERTIFICATE_PATH",
        "ARM_MSI_ENDPOINT",
    ] {
        if environment.get(variable).is_some() {
            return Err(Error::unsupported(
                "sign in to Azure",
                format!("{variable} is set, and stead does not support it yet"),
            )
            .remedy("Unset it, and use a client secret, OIDC, a managed identity at its usual address, or an access key."));
        }
    }
    let from_pod = |variable| {
        let wanted = settings.use_aks_workload_identity;
        environment.get(variable).filter(|_| wanted)
    };
    let client_id = agreed(
        "client_id",
        &settings.client_id,
        &settings.client_id_file_path,
        from_pod("AZURE_CLIENT_ID"),
    )?;
    let secret = agreed(
        "client_secret",
        settings.client_secret.expose_secret(),
        &settings.client_secret_file_path,
        None,
    )?;
    let tenant_id = agreed(
        "tenant_id",
        &settings.tenant_id,
        "",
        from_pod("AZURE_TENANT_ID"),
    )?;
    let wanted = Wanted {
        tenant_id,
        client_id,
        client_secret: secret.into(),
        subscription_id: settings.subscription_id.clone(),
        assertion: assertion(settings, from_pod("AZURE_FEDERATED_TOKEN_FILE"))?,
        use_msi: settings.use_msi,
        use_cli: settings.use_cli,
    };
    let by_cli = wanted.client_secret.expose_secret().is_empty()
        && wanted.assertion.is_none()
        && !wanted.use_msi;
    Ok(Login {
        credential: credential(wanted, options, dialer)?,
        by_cli,
    })
}

/// The subscription that the Azure CLI works in.
///
/// # Errors
/// When it cannot say.
pub async fn subscription_of_cli(environment: &Environment) -> Result<String, Error> {
    let asked = "ask the Azure CLI for its subscription (`az account show`)";
    let mut command = tokio::process::Command::new("az");
    command
        .args(["account", "show", "--query", "id", "--output", "tsv"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(path) = environment.get("PATH") {
        command.env("PATH", path);
    }
    let failed = |said: String| {
        Error::new(asked, said)
            .remedy("Set `subscription_id` or ARM_SUBSCRIPTION_ID, or choose one with `az account set`.")
            .attribute("subscription_id")
    };
    let output = match tokio::time::timeout(CLI_LIMIT, command.output()).await {
        Ok(output) => output.map_err(|e| failed(e.to_string()))?,
        Err(_) => return Err(failed("it did not end in time".to_owned())),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match (output.status.success(), text(&output.stdout)) {
        (true, id) if !id.is_empty() => Ok(id),
        _ => Err(failed(format!(
            "{}: {}",
            output.status,
            text(&output.stderr)
        ))),
    }
}

/// The setting, the content of the file that stands in for it and the pod's variable: those that are given must agree.
fn agreed(name: &str, value: &str, path: &str, pod: Option<&str>) -> Result<String, Error> {
    let mut given = vec![value.trim().to_owned()];
    if !path.is_empty() {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::new(format!("read `{name}_file_path` ({path})"), e.to_string()))?;
        given.push(text.trim().to_owned());
    }
    given.extend(pod.map(str::to_owned));
    given.retain(|text| !text.is_empty());
    given.dedup();
    match given.as_slice() {
        [] => Ok(String::new()),
        [one] => Ok(one.clone()),
        _ => Err(Error::new(
            "sign in to Azure",
            format!("`{name}` is not what its file or the pod's variable says"),
        )
        .attribute(name)
        .remedy("Remove one of them, or make them agree.")),
    }
}

/// Where a federated token comes from, when one is wanted.
fn assertion(
    settings: &LoginSettings,
    pod: Option<&str>,
) -> Result<Option<AssertionSource>, Error> {
    if !settings.use_oidc && !settings.use_aks_workload_identity {
        return Ok(None);
    }
    if let Some(file) = pod {
        return Ok(Some(AssertionSource::File(file.into())));
    }
    if !settings.oidc_token.expose_secret().trim().is_empty() {
        return Ok(Some(AssertionSource::Token(settings.oidc_token.clone())));
    }
    if !settings.oidc_token_file_path.is_empty() {
        let path = settings.oidc_token_file_path.clone().into();
        return Ok(Some(AssertionSource::File(path)));
    }
    let (url, token) = (&settings.oidc_request_url, &settings.oidc_request_token);
    if url.is_empty() || token.expose_secret().is_empty() {
        // Others may do: a managed identity, the CLI.
        return Ok(None);
    }
    let (url, token) = (url.clone(), token.clone());
    let connection = settings.ado_pipeline_service_connection_id.clone();
    Ok(Some(if connection.is_empty() {
        AssertionSource::Request { url, token }
    } else {
        AssertionSource::Pipeline {
            url,
            token,
            connection,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_cli_is_asked_for_its_subscription() {
        let folder = tempfile::tempdir().unwrap();
        let path = |folder: &str| [("PATH", folder.to_owned())].into_iter().collect();
        let here = folder.path().to_str().unwrap();
        let error = subscription_of_cli(&path(here)).await.unwrap_err();
        assert!(error.to_string().contains("ARM_SUBSCRIPTION_ID"), "{error}");
        // It answers with what it was asked.
        std::os::unix::fs::symlink("/bin/echo", folder.path().join("az")).unwrap();
        let answer = subscription_of_cli(&path(here)).await.unwrap();
        assert_eq!(answer, "account show --query id --output tsv");
    }

    #[test]
    fn what_is_given_twice_must_agree() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "me\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(agreed("client_id", "", path, None).unwrap(), "me");
        assert_eq!(agreed("client_id", "me", path, Some("me")).unwrap(), "me");
        assert_eq!(agreed("client_id", "", "", None).unwrap(), "");
        let error = agreed("client_id", "you", path, None).unwrap_err();
        assert!(error.to_string().contains("client_id"), "{error}");
        assert!(!error.to_string().contains("you"), "{error}");
        assert!(agreed("client_id", "", "/nowhere/id", None).is_err());
    }
}
