//! Signing requests with an account key, as <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key> says.

use std::fmt;
use std::sync::Arc;

use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use azure_core::time::{OffsetDateTime, to_rfc7231};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use stead_value::Sensitive;

use crate::{Error, async_trait};

/// Signs every try anew: the time is a part of it.
pub(super) struct SharedKey {
    account: String,
    key: Sensitive<Vec<u8>>,
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl SharedKey {
    /// # Errors
    /// When the key is not base64.
    pub(super) fn new(account: &str, key: &Sensitive<String>) -> Result<SharedKey, Error> {
        let key = STANDARD.decode(key.expose_secret().trim()).map_err(|_| {
            Error::new("use the access key", "it is not base64")
                .remedy("Take it as `az storage account keys list` prints it.")
                .attribute("access_key")
        })?;
        Ok(SharedKey {
            account: account.to_owned(),
            key: Sensitive::new(key),
        })
    }

    fn signature(&self, request: &Request) -> azure_core::Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).map_err(|e| {
            azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                format!("the access key cannot sign: {e}"),
            )
        })?;
        mac.update(text_to_sign(&self.account, request).as_bytes());
        Ok(STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Headers whose values are signed in this order, whether they are there or not.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

fn text_to_sign(account: &str, request: &Request) -> String {
    let headers: &Headers = request.headers();
    let mut text = format!("{}\n", request.method());
    for name in SIGNED {
        let value = match name {
            // The transport sends it; none is signed for none.
            "content-length" => request
                .body()
                .len()
                .filter(|n| *n > 0)
                .map(|n| n.to_string()),
            name => headers
                .get_optional_str(&HeaderName::from_static(name))
                .map(str::to_owned),
        };
        text.push_str(&value.unwrap_or_default());
        text.push('\n');
    }
    let mut own: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    own.sort_unstable();
    for (name, value) in own {
        text.push_str(&format!("{name}:{}\n", value.trim()));
    }
    text.push_str(&format!("/{account}{}", request.url().path()));
    let mut query: Vec<(String, String)> = request
        .url()
        .query_pairs()
        .map(|(name, value)| (name.to_lowercase(), value.into_owned()))
        .collect();
    query.sort_unstable();
    for (name, value) in query {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}

#[async_trait]
impl Policy for SharedKey {
    async fn send(
        &self,
        cx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let Some((following, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "the pipeline has no transport",
            ));
        };
        request.insert_header("x-ms-date", to_rfc7231(&OffsetDateTime::now_utc()));
        let signature = self.signature(request)?;
        let authorization = format!("SharedKey {}:{signature}", self.account);
        request.insert_header("authorization", authorization);
        following.send(cx, request, rest).await
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::{Method, Url};

    use super::*;

    #[test]
    fn a_put_is_signed_as_the_service_computes_it() {
        let url =
            Url::parse("https://acct.blob.core.windows.net/c/a%20b?comp=lease&Timeout=5").unwrap();
        let mut request = Request::new(url, Method::Put);
        request.insert_header("x-ms-version", "2023-11-03");
        request.insert_header("x-ms-date", "Mon, 01 Jan 2024 00:00:00 GMT");
        request.insert_header("content-type", "application/json");
        request.set_body("four");
        assert_eq!(
            text_to_sign("acct", &request),
            "PUT\n\n\n4\n\napplication/json\n\n\n\n\n\n\nx-ms-date:Mon, 01 Jan 2024 00:00:00 GMT\nx-ms-version:2023-11-03\n\
             /acct/c/a%20b\ncomp:lease\ntimeout:5"
        );
    }

    #[test]
    fn a_key_that_is_not_base64_is_refused_without_showing_it() {
        let error = SharedKey::new("acct", &Sensitive::new("n0t base64!".to_owned())).unwrap_err();
        assert!(!error.to_string().contains("n0t"), "{error}");
        let key = SharedKey::new("acct", &Sensitive::new("a2V5".to_owned())).unwrap();
        assert!(!format!("{key:?}").contains("a2V5"));
    }
}
