//! The data source `azurerm_client_config`: who the provider signs in as.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value as Json;
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::common::{ReadTimeout, bounded_read, text};
use crate::error::ApiError;
use crate::provider::Client;

/// The identity that requests are made with.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "azurerm_client_config", legacy)]
pub(crate) struct ClientConfig {
    #[attr(computed)]
    pub(crate) client_id: String,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(computed)]
    pub(crate) object_id: String,
    #[attr(computed)]
    pub(crate) subscription_id: String,
    #[attr(computed)]
    pub(crate) tenant_id: String,
    #[attr(block(single))]
    pub(crate) timeouts: Option<ReadTimeout>,
}

/// The claims of a token. Its signature is the service's business; here it only tells who we are.
fn claims(token: &str) -> Option<Json> {
    let middle = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The id that azurerm gives: the four values, encoded.
fn id_of(client: &str, object: &str, subscription: &str, tenant: &str) -> String {
    STANDARD.encode(format!(
        "clientConfigs/clientId={client};objectId={object};subscriptionId={subscription};tenantId={tenant}"
    ))
}

#[async_trait]
impl DataSource for ClientConfig {
    type Client = Client;

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let cx = &bounded_read(cx, config.timeouts.as_ref())?;
        let asked = "sign in";
        let scope = client.cloud.arm_scope.as_str();
        let scopes = [scope];
        let token = tokio::select! {
            token = client.credential.get_token(&scopes, None) => token,
            () = cx.cancelled().cancelled() => {
                return Err(Error::of_kind(stead_sdk::ErrorKind::Cancelled, asked, "interrupted"));
            }
        };
        let token = token.map_err(|e| ApiError::from_azure(asked, &e, &client.arm.who))?;
        let claims = claims(token.token.secret())
            .ok_or_else(|| Error::new(asked, "the token tells nothing about its owner"))?;
        let or = |value: String, other: &str| {
            if value.is_empty() {
                other.to_owned()
            } else {
                value
            }
        };
        let application = or(text(&claims, "/appid"), &text(&claims, "/azp"));
        let client_id = or(client.client_id.clone(), &application);
        let tenant_id = or(client.tenant_id.clone(), &text(&claims, "/tid"));
        let object_id = text(&claims, "/oid");
        if object_id.is_empty() {
            return Err(Error::new(
                asked,
                "the token has no `oid` claim, which is the object id",
            ));
        }
        let subscription_id = client.subscription_id.clone();
        Ok(ClientConfig {
            id: id_of(&client_id, &object_id, &subscription_id, &tenant_id),
            client_id,
            object_id,
            subscription_id,
            tenant_id,
            ..config
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_azurerms() {
        let zeros = |end: &str| format!("00000000-0000-0000-0000-0000000000{end}");
        let id = id_of(&zeros("dd"), &zeros("cc"), &zeros("aa"), &zeros("bb"));
        assert!(
            id.starts_with("Y2xpZW50Q29uZmlncy9jbGllbnRJZD0wMDAw"),
            "{id}"
        );
        assert!(
            id.ends_with("ZW5hbnRJZD0wMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwYmI="),
            "{id}"
        );
    }

    #[test]
    fn claims_are_read_and_nonsense_is_not() {
        let body = URL_SAFE_NO_PAD.encode(r#"{"oid": "o", "tid": "t"}"#);
        assert_eq!(text(&claims(&format!("h.{body}.s")).unwrap(), "/oid"), "o");
        assert!(claims("opaque").is_none());
        assert!(claims("a.b.c").is_none());
    }
}
