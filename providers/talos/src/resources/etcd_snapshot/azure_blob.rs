//! The block `azure_blob`: a container of a storage account that snapshots are kept in.

use serde::Deserialize;
use stead_sdk::azure::{Access, Blobs, ContainerSettings, LoginSettings};
use stead_sdk::{Block, Dialer, Environment, Error};

/// A container of an Azure storage account. Keys, signatures and client secrets come from the environment, as for the backend `azurerm`: the
/// state would keep them.
#[derive(Clone, Debug, Default, PartialEq, Block, Deserialize)]
#[serde(default)]
pub(crate) struct AzureBlob {
    /// The storage account.
    #[attr(required, replace)]
    pub(super) storage_account_name: String,
    /// The container; it must be there.
    #[attr(required, replace)]
    pub(super) container_name: String,
    /// What stands before the names of the blobs, such as `home/`.
    #[attr(optional, replace)]
    pub(super) prefix: Option<String>,
    /// The account's resource group, for who signs in to Azure and is told the account's key; or ARM_ACCESS_KEY, ARM_SAS_TOKEN, `use_azuread_auth`.
    #[attr(optional)]
    pub(super) resource_group_name: Option<String>,
    /// The account's subscription; or ARM_SUBSCRIPTION_ID.
    #[attr(optional)]
    pub(super) subscription_id: Option<String>,
    /// Sign in to the storage itself, in place of an account key; or ARM_USE_AZUREAD.
    #[attr(optional)]
    pub(super) use_azuread_auth: Option<bool>,
    /// The tenant that is signed in to; or ARM_TENANT_ID.
    #[attr(optional)]
    pub(super) tenant_id: Option<String>,
    /// The application or identity that signs in; or ARM_CLIENT_ID.
    #[attr(optional)]
    pub(super) client_id: Option<String>,
    /// Sign in with a token of another identity provider; or ARM_USE_OIDC.
    #[attr(optional)]
    pub(super) use_oidc: Option<bool>,
    /// Sign in as this machine's managed identity; or ARM_USE_MSI.
    #[attr(optional)]
    pub(super) use_msi: Option<bool>,
    /// Sign in as the Azure CLI has; or ARM_USE_CLI. On by default.
    #[attr(optional)]
    pub(super) use_cli: Option<bool>,
    /// public, usgovernment or china; or ARM_ENVIRONMENT.
    #[attr(optional)]
    pub(super) environment: Option<String>,
    /// A host that describes another cloud under /metadata/endpoints; or ARM_METADATA_HOSTNAME.
    #[attr(optional)]
    pub(super) metadata_host: Option<String>,
}

impl AzureBlob {
    /// # Errors
    /// When nothing says how the container is reached, or it is reached and refuses.
    pub(super) async fn connect(&self, dialer: &Dialer) -> Result<Blobs, Error> {
        self.settings(dialer.environment())?.connect(dialer).await
    }

    /// What the block and the environment come to.
    ///
    /// # Errors
    /// When nothing says how the container is reached.
    pub(super) fn settings(&self, environment: &Environment) -> Result<ContainerSettings, Error> {
        let variable = |names: &[&str]| environment.first(names).unwrap_or_default().to_owned();
        let text = |given: &Option<String>, names: &[&str]| {
            let given = given.clone().filter(|text| !text.is_empty());
            given.unwrap_or_else(|| variable(names))
        };
        let mut login = LoginSettings::of(environment)?;
        login.subscription_id = text(&self.subscription_id, &["ARM_SUBSCRIPTION_ID"]);
        login.tenant_id = text(&self.tenant_id, &["ARM_TENANT_ID"]);
        login.client_id = text(&self.client_id, &["ARM_CLIENT_ID"]);
        login.use_oidc = self.use_oidc.unwrap_or(login.use_oidc);
        login.use_msi = self.use_msi.unwrap_or(login.use_msi);
        login.use_cli = self.use_cli.unwrap_or(login.use_cli);
        let by_login = match self.use_azuread_auth {
            Some(given) => given,
            None => LoginSettings::flag(environment, "ARM_USE_AZUREAD")?.unwrap_or(false),
        };
        let access = Access::of(
            &variable(&["ARM_ACCESS_KEY"]).into(),
            &variable(&["ARM_SAS_TOKEN"]).into(),
            by_login,
        );
        let resource_group = text(&self.resource_group_name, &[]);
        if access == Access::KeyLookedUp && resource_group.is_empty() {
            let asked = format!(
                "reach the container {:?} of {:?}",
                self.container_name, self.storage_account_name
            );
            return Err(Error::new(asked, "nothing says who may use it")
                .remedy(
                    "Set ARM_ACCESS_KEY or ARM_SAS_TOKEN, or `use_azuread_auth`, or `resource_group_name` for the key to be looked up.",
                )
                .attribute("azure_blob"));
        }
        Ok(ContainerSettings {
            account: self.storage_account_name.clone(),
            container: self.container_name.clone(),
            access,
            resource_group,
            looks_up_address: LoginSettings::flag(environment, "ARM_USE_DNS_ZONE_ENDPOINT")?
                .unwrap_or(false),
            environment: text(&self.environment, &["ARM_ENVIRONMENT"]),
            metadata_host: text(
                &self.metadata_host,
                &["ARM_METADATA_HOSTNAME", "ARM_METADATA_HOST"],
            ),
            login,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> AzureBlob {
        AzureBlob {
            storage_account_name: "backups".to_owned(),
            container_name: "etcd".to_owned(),
            ..AzureBlob::default()
        }
    }

    #[test]
    fn keys_come_from_the_environment_and_arguments_before_variables() {
        let environment: Environment = [
            ("ARM_ACCESS_KEY", "a2V5"),
            ("ARM_TENANT_ID", "of the environment"),
            ("ARM_CLIENT_SECRET", "hidden"),
        ]
        .into_iter()
        .collect();
        let settings = AzureBlob {
            tenant_id: Some("of the block".to_owned()),
            ..block()
        };
        let settings = settings.settings(&environment).expect("settings");
        assert_eq!(settings.access, Access::Key("a2V5".to_owned().into()));
        assert_eq!(settings.login.tenant_id, "of the block");
        assert!(settings.login.use_cli);
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("a2V5") && !shown.contains("hidden"),
            "{shown}"
        );
    }

    #[test]
    fn a_container_that_nobody_may_use_is_told_at_once() {
        let nothing = Environment::default();
        let error = block().settings(&nothing).expect_err("no access");
        assert!(error.to_string().contains("ARM_ACCESS_KEY"), "{error}");
        let looked_up = AzureBlob {
            resource_group_name: Some("rg".to_owned()),
            ..block()
        };
        let found = looked_up.settings(&nothing).expect("settings");
        assert_eq!(found.access, Access::KeyLookedUp);
        let by_login = AzureBlob {
            use_azuread_auth: Some(true),
            ..block()
        };
        let found = by_login.settings(&nothing).expect("settings");
        assert_eq!(found.access, Access::Login);
    }
}
