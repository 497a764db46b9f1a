//! Service account tokens: JSON Web Tokens signed with the cluster's own key (ES256).

use std::collections::BTreeMap;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use serde_json::{Value, json};

use super::User;
use crate::object::{integer, text, uid};
use crate::state::State;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Issues and checks tokens.
pub(crate) struct Tokens {
    key: SigningKey,
}

impl Tokens {
    pub(crate) fn new(saved: Option<&str>) -> io::Result<Tokens> {
        let secret = match saved {
            Some(pem) => p256::SecretKey::from_pkcs8_pem(pem)
                .map_err(|_| io::Error::other("unreadable token key"))?,
            None => loop {
                // A random number is a key unless it is out of range, which it hardly ever is.
                let bytes = [
                    uuid::Uuid::new_v4().into_bytes(),
                    uuid::Uuid::new_v4().into_bytes(),
                ]
                .concat();
                let digest = <sha2::Sha256 as sha2::Digest>::digest(bytes);
                if let Ok(secret) = p256::SecretKey::from_slice(&digest) {
                    break secret;
                }
            },
        };
        Ok(Tokens {
            key: SigningKey::from(secret),
        })
    }

    pub(crate) fn save(&self) -> io::Result<String> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF);
        pem.map(|p| p.to_string())
            .map_err(|_| io::Error::other("the token key cannot be encoded"))
    }

    /// A token for a service account; without `seconds` it never expires.
    pub(crate) fn issue(
        &self,
        account: &Value,
        audiences: &[String],
        seconds: Option<i64>,
    ) -> String {
        let now = jiff::Timestamp::now().as_second();
        let (namespace, name) = (
            crate::object::namespace(account),
            crate::object::name(account),
        );
        let mut claims = json!({
            "iss": ISSUER, "iat": now, "nbf": now, "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "aud": if audiences.is_empty() { vec![ISSUER.to_owned()] } else { audiences.to_vec() },
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid(account)}},
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        if let Some(seconds) = seconds {
            crate::object::set(&mut claims, &["exp"], (now + seconds).into());
        }
        let head =
            URL_SAFE_NO_PAD.encode(json!({"alg": "ES256", "kid": "lab", "typ": "JWT"}).to_string());
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// Whose token this is; `None` when it is not valid (any more).
    pub(crate) fn user(&self, state: &State, token: &str) -> Option<User> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        VerifyingKey::from(&self.key)
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        let (_, payload) = signed.split_once('.')?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        if integer(&claims, &["exp"]).is_some_and(|exp| exp <= jiff::Timestamp::now().as_second()) {
            return None;
        }
        let namespace = text(&claims, &["kubernetes.io", "namespace"]);
        let name = text(&claims, &["kubernetes.io", "serviceaccount", "name"]);
        let account = state.find("serviceaccounts", namespace, name)?;
        let own_uid = text(&claims, &["kubernetes.io", "serviceaccount", "uid"]);
        (uid(account) == own_uid).then(|| User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            uid: own_uid.to_owned(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            extra: BTreeMap::new(),
        })
    }
}
