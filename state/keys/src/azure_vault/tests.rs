use std::collections::BTreeMap;
use std::sync::Mutex;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body, ClientOptions, HttpClient, Request, StatusCode, Transport,
};
use azure_core::time::{Duration, OffsetDateTime};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use stead_sdk::{Environment, async_trait};

use super::*;

#[derive(Debug)]
struct Token;

#[async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let until = OffsetDateTime::now_utc() + Duration::hours(1);
        Ok(AccessToken::new("t", until))
    }
}

/// A vault that turns bytes over, and says what it was asked.
#[derive(Debug, Default)]
struct Service {
    asked: Mutex<Vec<(String, Json)>>,
    refuses: bool,
}

#[async_trait]
impl HttpClient for Service {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = |status, body: Json| {
            Ok(AsyncRawResponse::from_bytes(
                status,
                Headers::new(),
                body.to_string(),
            ))
        };
        // The first request of all asks which login the vault wants.
        if !request
            .headers()
            .iter()
            .any(|(name, _)| name.as_str() == "authorization")
        {
            let mut headers = Headers::new();
            headers.insert(
                "www-authenticate",
                "Bearer authorization=\"https://login.microsoftonline.com/t\", resource=\"https://vault.azure.net\"",
            );
            return Ok(AsyncRawResponse::from_bytes(
                StatusCode::Unauthorized,
                headers,
                "",
            ));
        }
        if self.refuses {
            let error = json!({ "error": { "code": "Forbidden", "message": "no role" } });
            return answer(StatusCode::Forbidden, error);
        }
        let Body::Bytes(bytes) = request.body() else {
            panic!("a body in memory");
        };
        let body: Json = serde_json::from_slice(bytes).expect("JSON");
        let value = body["value"].as_str().expect("a value");
        let turned: Vec<u8> = URL_SAFE_NO_PAD
            .decode(value.trim_end_matches('='))
            .expect("base64")
            .iter()
            .map(|b| !b)
            .collect();
        let path = request.url().path().to_owned();
        self.asked.lock().expect("the list").push((path, body));
        answer(
            StatusCode::Ok,
            json!({
                "kid": "https://homelab.vault.azure.net/keys/state/v7",
                "value": URL_SAFE_NO_PAD.encode(turned),
                "iv": URL_SAFE_NO_PAD.encode([1, 2]),
            }),
        )
    }
}

fn vault(service: &Arc<Service>, algorithm: EncryptionAlgorithm) -> Vault {
    let transport: Arc<dyn HttpClient> = Arc::clone(service) as _;
    let connect = move || -> Connecting {
        let client_options = ClientOptions {
            transport: Some(Transport::new(Arc::clone(&transport))),
            ..ClientOptions::default()
        };
        let options = KeyClientOptions {
            client_options,
            ..KeyClientOptions::default()
        };
        Box::pin(async move {
            let uri = "https://homelab.vault.azure.net/";
            KeyClient::new(uri, Arc::new(Token), Some(options)).map_err(|e| e.to_string())
        })
    };
    Vault {
        connect: Box::new(connect),
        key_name: "state".into(),
        key_length: 32,
        algorithm,
    }
}

#[test]
fn a_new_key_is_encrypted_by_the_vault_and_comes_back_from_what_is_noted() {
    let service = Arc::new(Service::default());
    let vault = vault(&service, EncryptionAlgorithm::RsaOaep256);
    let (key, metadata) = vault.new_key().expect("a key");
    assert_eq!(key.len(), 32);
    let noted: Json = serde_json::from_slice(&metadata).expect("JSON");
    let turned: Vec<u8> = key.iter().map(|b| !b).collect();
    assert_eq!(
        noted,
        json!({
            "ciphertext": BASE64.encode(turned),
            "iv": "AQI=",
            "authentication_tag": null,
            "additional_authenticated_data": null,
            "key_version": "v7",
            "algo": "RSA-OAEP-256",
        })
    );
    assert_eq!(vault.again(&metadata).expect("the key"), key);
    let asked = service.asked.lock().expect("the list");
    let [(encrypting, sent), (decrypting, again)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(
        encrypting.trim_matches('/').replace("//", "/"),
        "keys/state/encrypt"
    );
    assert_eq!(decrypting, "/keys/state/v7/decrypt");
    assert_eq!(
        (&sent["alg"], &again["alg"]),
        (&json!("RSA-OAEP-256"), &json!("RSA-OAEP-256"))
    );
    assert_eq!(
        again["iv"].as_str().map(|t| t.trim_end_matches('=')),
        Some("AQI")
    );
}

#[test]
fn a_refusal_says_which_role_is_needed() {
    let service = Arc::new(Service {
        refuses: true,
        ..Service::default()
    });
    let error = vault(&service, EncryptionAlgorithm::A256Gcm).new_key();
    let error = error.expect_err("refused");
    assert!(
        error.contains("Key Vault Crypto User") && error.contains("\"state\""),
        "{error}"
    );
    let damaged = vault(&service, EncryptionAlgorithm::A256Gcm).again(b"{}");
    assert!(damaged.is_err());
}

#[test]
fn settings_are_opentofus() {
    let make = |given: &[(&str, Value)]| {
        let schema = <Settings as stead_sdk::Block>::block();
        let given: BTreeMap<&str, &Value> = given.iter().map(|(k, v)| (*k, v)).collect();
        let value = |name: &str, ty| {
            given
                .get(name)
                .map_or_else(|| Value::null(ty), |v| (*v).clone())
        };
        let config = Value::object_from(
            schema
                .attributes
                .iter()
                .map(|(name, a)| (Arc::clone(name), value(name, a.value_type()))),
        );
        let dialer = Dialer::new(Environment::default()).expect("a dialer");
        make(&config, None, &dialer)
    };
    let vault = (
        "vault_uri",
        Value::string("https://homelab.vault.azure.net/"),
    );
    let key = ("vault_key_name", Value::string("state"));
    let length = ("key_length", Value::number(32));
    let whole = [vault.clone(), key.clone(), length.clone()];
    assert!(make(&whole).is_ok());
    let symmetric = ("symmetric", Value::bool(true));
    let with = |more: (&'static str, Value)| [&whole[..], &[symmetric.clone(), more]].concat();
    assert!(make(&with(("symmetric_key_size", Value::number(256)))).is_ok());
    for (given, expected) in [
        (
            with(("symmetric_key_size", Value::number(100))),
            "128, 192, or 256",
        ),
        (
            vec![vault.clone(), key.clone(), ("key_length", Value::number(0))],
            "at least 1",
        ),
        (
            vec![
                vault.clone(),
                ("vault_key_name", Value::string("a b")),
                length.clone(),
            ],
            "invalid key name",
        ),
        (
            vec![
                ("vault_uri", Value::string("https://a--b.vault.azure.net")),
                key.clone(),
                length.clone(),
            ],
            "invalid key vault name",
        ),
        (
            vec![("vault_uri", Value::string("homelab")), key, length],
            "invalid key vault URL",
        ),
    ] {
        let error = make(&given).expect_err("refused");
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
