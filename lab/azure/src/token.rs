//! Access tokens: JSON Web Tokens signed with the lab's own key, so that only tokens that Entra issued here are accepted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// What a valid token says.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub audience: String,
    pub tenant: String,
    pub object_id: String,
    pub app_id: String,
    /// Seconds since 1970.
    pub expires: i64,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    Signature,
    Expired,
}

/// Issues a token.
pub(crate) fn issue(key: &str, claims: &Claims, now: i64, id: &str) -> String {
    let header = json!({"typ": "JWT", "alg": "HS256", "kid": "stead-lab"});
    let body = json!({
        "aud": claims.audience, "iss": format!("https://sts.windows.net/{}/", claims.tenant),
        "iat": now, "nbf": now, "exp": claims.expires, "appid": claims.app_id, "appidacr": "1",
        "idp": format!("https://sts.windows.net/{}/", claims.tenant), "idtyp": "app",
        "oid": claims.object_id, "sub": claims.object_id, "tid": claims.tenant, "uti": id, "ver": "1.0",
    });
    let signed = format!("{}.{}", encode(&header), encode(&body));
    let signature = URL_SAFE_NO_PAD.encode(hmac(key.as_bytes(), signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Checks signature and time of a token; `now` in seconds since 1970.
pub(crate) fn check(key: &str, token: &str, now: i64) -> Result<Claims, Refusal> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (_, body) = signed.split_once('.').ok_or(Refusal::Malformed)?;
    let body = URL_SAFE_NO_PAD
        .decode(body)
        .map_err(|_| Refusal::Malformed)?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| Refusal::Malformed)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| Refusal::Malformed)?;
    let mut mac = keyed(key.as_bytes());
    mac.update(signed.as_bytes());
    mac.verify_slice(&signature)
        .map_err(|_| Refusal::Signature)?;
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let expires = body
        .get("exp")
        .and_then(Value::as_i64)
        .ok_or(Refusal::Malformed)?;
    if expires <= now {
        return Err(Refusal::Expired);
    }
    Ok(Claims {
        audience: text("aud"),
        tenant: text("tid"),
        object_id: text("oid"),
        app_id: text("appid"),
        expires,
    })
}

/// HMAC-SHA256, as tokens and storage signatures use it.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = keyed(key);
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length, so the other arm is never taken; it then signs with the empty key and matches nothing.
    Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()))
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            audience: "https://vault.azure.net".into(),
            tenant: "t".into(),
            object_id: "o".into(),
            app_id: "a".into(),
            expires: 100,
        }
    }

    #[test]
    fn a_token_is_valid_until_it_expires() {
        let token = issue("k", &claims(), 10, "u");
        assert_eq!(check("k", &token, 99).unwrap().object_id, "o");
        assert_eq!(check("k", &token, 100).unwrap_err(), Refusal::Expired);
    }

    #[test]
    fn a_foreign_or_broken_token_is_refused() {
        let token = issue("k", &claims(), 10, "u");
        assert_eq!(check("other", &token, 50).unwrap_err(), Refusal::Signature);
        assert_eq!(check("k", "abc", 50).unwrap_err(), Refusal::Malformed);
    }
}
