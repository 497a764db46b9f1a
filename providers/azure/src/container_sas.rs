//! The data source `azurerm_storage_account_blob_container_sas`: a signature that stands in for a container's key.
//!
//! Signed here, with the account's key and nothing else, exactly as azurerm does: version 2018-11-09 of the service SAS.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Block, Context, DataSource, Error, async_trait};

use crate::common::ReadTimeout;
use crate::provider::Client;

/// The version that decides what is signed, and in which order.
const VERSION: &str = "2018-11-09";

/// A shared access signature for a container.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "azurerm_storage_account_blob_container_sas", legacy)]
pub(crate) struct ContainerSas {
    #[attr(optional)]
    pub(crate) cache_control: String,
    #[attr(required, sensitive)]
    pub(crate) connection_string: Sensitive<String>,
    #[attr(required)]
    pub(crate) container_name: String,
    #[attr(optional)]
    pub(crate) content_disposition: String,
    #[attr(optional)]
    pub(crate) content_encoding: String,
    #[attr(optional)]
    pub(crate) content_language: String,
    #[attr(optional)]
    pub(crate) content_type: String,
    #[attr(required)]
    pub(crate) expiry: String,
    #[attr(optional, default = true)]
    pub(crate) https_only: bool,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(optional)]
    pub(crate) ip_address: String,
    #[attr(computed, sensitive)]
    pub(crate) sas: Sensitive<String>,
    #[attr(required)]
    pub(crate) start: String,
    #[attr(block(list, max = 1))]
    pub(crate) permissions: Option<ContainerSasPermissions>,
    #[attr(block(single))]
    pub(crate) timeouts: Option<ReadTimeout>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct ContainerSasPermissions {
    #[attr(optional)]
    pub(crate) add: bool,
    #[attr(optional)]
    pub(crate) create: bool,
    #[attr(optional)]
    pub(crate) delete: bool,
    #[attr(optional)]
    pub(crate) delete_version: bool,
    #[attr(optional)]
    pub(crate) execute: bool,
    #[attr(optional)]
    pub(crate) find: bool,
    #[attr(optional)]
    pub(crate) list: bool,
    #[attr(optional)]
    pub(crate) r#move: bool,
    #[attr(optional)]
    pub(crate) ownership: bool,
    #[attr(optional)]
    pub(crate) permissions: bool,
    #[attr(optional)]
    pub(crate) read: bool,
    #[attr(optional)]
    pub(crate) set_immutability_policy: bool,
    #[attr(optional)]
    pub(crate) tags: bool,
    #[attr(optional)]
    pub(crate) write: bool,
}

impl ContainerSasPermissions {
    /// The letters, in the order that the service wants.
    fn letters(&self) -> String {
        let all = [
            (self.read, 'r'),
            (self.add, 'a'),
            (self.create, 'c'),
            (self.write, 'w'),
            (self.delete, 'd'),
            (self.delete_version, 'x'),
            (self.list, 'l'),
            (self.tags, 't'),
            (self.find, 'f'),
            (self.r#move, 'm'),
            (self.execute, 'e'),
            (self.ownership, 'o'),
            (self.permissions, 'p'),
            (self.set_immutability_policy, 'i'),
        ];
        all.iter().filter(|(on, _)| *on).map(|(_, c)| *c).collect()
    }
}

/// Account name and key of a connection string.
fn account(connection: &Sensitive<String>) -> Result<(String, Sensitive<Vec<u8>>), Error> {
    let wrong = |said: &str| {
        Error::new("read `connection_string`", said)
            .remedy("Pass `azurerm_storage_account.NAME.primary_connection_string`.")
            .attribute("connection_string")
    };
    let field = |name: &str| {
        connection
            .expose_secret()
            .split(';')
            .find_map(|part| part.split_once('=').filter(|(k, _)| *k == name))
            .map(|(_, value)| value)
    };
    let name = field("AccountName").ok_or_else(|| wrong("it has no AccountName"))?;
    let key = field("AccountKey").ok_or_else(|| wrong("it has no AccountKey"))?;
    let key = STANDARD
        .decode(key)
        .map_err(|_| wrong("its AccountKey is not base64"))?;
    Ok((name.to_owned(), key.into()))
}

/// Percent-encodes everything but letters, digits and `-_.~`.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else if b == b' ' {
            out.push('+');
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

impl ContainerSas {
    fn protocol(&self) -> &'static str {
        if self.https_only {
            "https"
        } else {
            "https,http"
        }
    }

    /// What is signed; no line feed at the end.
    fn string_to_sign(&self, account: &str, permissions: &str) -> String {
        let resource = format!("/blob/{account}/{}", self.container_name);
        [
            permissions,
            &self.start,
            &self.expiry,
            &resource,
            // The stored access policy: azurerm's schema has none.
            "",
            &self.ip_address,
            self.protocol(),
            VERSION,
            "c",
            // The snapshot: containers have none.
            "",
            &self.cache_control,
            &self.content_disposition,
            &self.content_encoding,
            &self.content_language,
            &self.content_type,
        ]
        .join("\n")
    }

    /// The token, with the leading `?` that azurerm gives it.
    fn token(&self) -> Result<String, Error> {
        let (account, key) = account(&self.connection_string)?;
        let permissions = self
            .permissions
            .as_ref()
            .map(ContainerSasPermissions::letters)
            .unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret())
            .map_err(|e| Error::new("sign the SAS", e.to_string()))?;
        mac.update(self.string_to_sign(&account, &permissions).as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        // Dates stand as they are configured, unescaped, as azurerm writes them.
        let (start, expiry) = (&self.start, &self.expiry);
        let mut token = format!("?sv={VERSION}&sr=c&st={start}&se={expiry}&sp={permissions}");
        let optional = [
            ("sip", self.ip_address.as_str()),
            ("spr", self.protocol()),
            ("rscc", &self.cache_control),
            ("rscd", &self.content_disposition),
            ("rsce", &self.content_encoding),
            ("rscl", &self.content_language),
            ("rsct", &self.content_type),
        ];
        for (name, value) in optional.iter().filter(|(_, value)| !value.is_empty()) {
            let value = if *name == "spr" || *name == "sip" {
                (*value).to_owned()
            } else {
                escape(value)
            };
            let _ = write!(token, "&{name}={value}");
        }
        let _ = write!(token, "&sig={}", escape(&signature));
        Ok(token)
    }
}

#[async_trait]
impl DataSource for ContainerSas {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let text = |name: &str| config.get(name).and_then(|v| v.as_str().map(str::to_owned));
        for name in ["start", "expiry"] {
            // A date alone is allowed by the service.
            let wrong = |t: &String| {
                t.parse::<jiff::Timestamp>().is_err() && t.parse::<jiff::civil::Date>().is_err()
            };
            if let Some(date) = text(name).filter(wrong) {
                let detail = format!("`{name}` is {date:?}; write it as 2030-01-31T00:00:00Z.");
                let at = Path::root().attr(name);
                found.push(Diagnostic::error("Invalid date", detail).attribute(at));
            }
        }
        found
    }

    async fn read(_client: &Client, config: Self, _cx: &Context) -> Result<Self, Error> {
        let token = config.token()?;
        let hash = Sha256::digest(token.as_bytes());
        let id = hash.iter().fold(String::new(), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        });
        Ok(ContainerSas {
            id,
            sas: token.into(),
            ..config
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sas() -> ContainerSas {
        ContainerSas {
            cache_control: String::new(),
            connection_string: "DefaultEndpointsProtocol=https;AccountName=salab;AccountKey=a2tra2tra2s=;EndpointSuffix=core.windows.net"
                .to_owned()
                .into(),
            container_name: "gitea-db-clean".into(),
            content_disposition: String::new(),
            content_encoding: String::new(),
            content_language: String::new(),
            content_type: "text/plain".into(),
            expiry: "2030-01-31T00:00:00Z".into(),
            https_only: true,
            id: String::new(),
            ip_address: String::new(),
            sas: Sensitive::default(),
            start: "2026-01-01T00:00:00Z".into(),
            permissions: Some(ContainerSasPermissions {
                read: true,
                add: true,
                create: true,
                write: true,
                delete: true,
                list: true,
                ..ContainerSasPermissions::default()
            }),
            timeouts: None,
        }
    }

    /// The fields and their order are those of the service SAS from 2018-11-09 on.
    #[test]
    fn what_is_signed() {
        assert_eq!(
            sas().string_to_sign("salab", "racwdl"),
            "racwdl\n2026-01-01T00:00:00Z\n2030-01-31T00:00:00Z\n/blob/salab/gitea-db-clean\n\n\nhttps\n2018-11-09\nc\n\n\n\n\n\ntext/plain"
        );
    }

    /// The signature was computed apart from this code:
    /// `printf STRING_TO_SIGN | openssl dgst -sha256 -mac HMAC -macopt key:kkkkkkkk -binary | base64`.
    #[test]
    fn the_token_is_azurerms() {
        assert_eq!(
            sas().token().unwrap(),
            "?sv=2018-11-09&sr=c&st=2026-01-01T00:00:00Z&se=2030-01-31T00:00:00Z&sp=racwdl&spr=https&rsct=text%2Fplain&sig=bPA4sb6LY5j8DFg8NxOs53oR9AiwGN1fk1dB8jbfs7k%3D"
        );
    }

    #[test]
    fn other_connection_strings_are_refused_without_showing_them() {
        for text in ["AccountName=a", "AccountName=a;AccountKey=%%", ""] {
            let error = account(&text.to_owned().into()).unwrap_err().to_string();
            assert!(error.contains("primary_connection_string"), "{error}");
            assert!(!error.contains("%%"), "{error}");
        }
    }
}
