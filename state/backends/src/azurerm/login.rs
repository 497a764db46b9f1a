//! Who signs in, where it must be done: the settings with their files and the pod's variables, in the reference's order.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use stead_sdk::azure::{AssertionSource, Wanted, credential};
use stead_sdk::{Dialer, Error};

use super::settings::Settings;

/// # Errors
/// When no way to sign in is configured, or two settings contradict each other.
pub(super) fn login(
    settings: &Settings,
    options: ClientOptions,
    dialer: &Dialer,
) -> Result<Arc<dyn TokenCredential>, Error> {
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
    credential(wanted, options, dialer)
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
fn assertion(settings: &Settings, pod: Option<&str>) -> Result<Option<AssertionSource>, Error> {
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
