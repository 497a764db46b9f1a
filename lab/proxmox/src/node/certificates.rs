//! Certificates of a node's API: the cluster's own, one that someone uploaded, one ordered by ACME.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::sections::colons;
use crate::state::State;
use crate::{Proxmox, Px, now};

/// A certificate chain and its key, as PEM.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Custom {
    chain: String,
    key: String,
}

const CUSTOM: &str = "pveproxy-ssl.pem";

/// What the API tells of a certificate file.
fn info(filename: &str, chain: &str) -> Result<Map<String, Value>, String> {
    let invalid = || "not a valid PEM-formatted certificate".to_owned();
    let first = Pem::iter_from_buffer(chain.as_bytes()).next();
    let pem = first
        .and_then(Result::ok)
        .filter(|pem| pem.label == "CERTIFICATE")
        .ok_or_else(invalid)?;
    let parsed = pem.parse_x509().map_err(|_| invalid())?;
    let (kind, bits) = public_key(&parsed);
    let row = json!({
        "filename": filename, "fingerprint": colons(&Sha256::digest(&pem.contents)), "subject": one_line(parsed.subject()),
        "issuer": one_line(parsed.issuer()), "notbefore": parsed.validity().not_before.timestamp(),
        "notafter": parsed.validity().not_after.timestamp(), "san": names(&parsed), "pem": chain,
        "public-key-type": kind, "public-key-bits": bits,
    });
    Ok(row.as_object().cloned().unwrap_or_default())
}

fn public_key(certificate: &X509Certificate<'_>) -> (&'static str, usize) {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => ("rsaEncryption", key.key_size()),
        Ok(PublicKey::EC(point)) => ("id-ecPublicKey", point.key_size()),
        _ => ("unknown", 0),
    }
}

/// `/O=PVE/CN=abel`.
fn one_line(name: &X509Name<'_>) -> String {
    let parts = name.iter_attributes().filter_map(|attribute| {
        let kind = x509_parser::objects::oid2abbrev(
            attribute.attr_type(),
            x509_parser::objects::oid_registry(),
        )
        .ok()?;
        Some(format!("/{kind}={}", attribute.as_str().ok()?))
    });
    parts.collect()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let all = extension
        .into_iter()
        .flat_map(|extension| &extension.value.general_names);
    all.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress([a, b, c, d]) => Some(format!("{a}.{b}.{c}.{d}")),
        _ => None,
    })
    .collect()
}

/// `GET /nodes/{node}/certificates/info`
fn list(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let host = state.host(call.node())?;
    let mut rows = vec![Value::Object(
        info("pve-root-ca.pem", px.lab.authority.pem()).map_err(ApiError::failure)?,
    )];
    rows.push(json!({
        "filename": "pve-ssl.pem", "fingerprint": super::fingerprint(call.node()), "issuer": "/CN=stead lab CA",
        "subject": format!("/CN={}", call.node()), "san": [call.node(), "localhost", "127.0.0.1"],
    }));
    if let Some(custom) = &host.certificate {
        rows.push(Value::Object(
            info(CUSTOM, &custom.chain).map_err(ApiError::failure)?,
        ));
    }
    Ok(rows.into())
}

/// `POST /nodes/{node}/certificates/custom`
fn upload(state: &mut State, call: &Call) -> Answer {
    let (params, host) = (&call.params, state.host_mut(call.node())?);
    let chain = leading_text_removed(params.text("certificates"));
    let row = info(CUSTOM, &chain).map_err(|text| {
        ApiError::parameter("certificates", format!("invalid format - {text}\n"))
    })?;
    let key = match (params.get("key"), &host.certificate) {
        (Some(key), _) => leading_text_removed(key),
        (None, Some(old)) => old.key.clone(),
        (None, None) => {
            let text = "Attempted to upload custom certificate without (existing) key.";
            return Err(ApiError::parameter("key", text));
        }
    };
    if host.certificate.is_some() && !params.is_on("force") {
        return Err(ApiError::failure(
            "Custom certificate file exists but force flag is not set.",
        ));
    }
    if !fits(&chain, &key) {
        return Err(ApiError::failure(
            "Setting certificate files failed - key does not match the certificate (chain)",
        ));
    }
    host.certificate = Some(Custom { chain, key });
    Ok(Value::Object(row))
}

fn leading_text_removed(text: &str) -> String {
    let start = text.find("-----BEGIN").unwrap_or_default();
    text.get(start..).unwrap_or_default().to_owned()
}

/// Whether a key is a certificate's; a key in a form that is not known here is taken as it is.
fn fits(chain: &str, key: &str) -> bool {
    if !key.contains("PRIVATE KEY-----") {
        return false;
    }
    let Ok(key) = rcgen::KeyPair::from_pem(key) else {
        return true;
    };
    let first = Pem::iter_from_buffer(chain.as_bytes())
        .next()
        .and_then(Result::ok);
    first.is_some_and(|pem| {
        let parsed = pem.parse_x509();
        parsed.is_ok_and(|certificate| {
            certificate.public_key().raw == rcgen::PublicKeyData::subject_public_key_info(&key)
        })
    })
}

/// `DELETE /nodes/{node}/certificates/custom`
fn remove(state: &mut State, call: &Call) -> Answer {
    state.host_mut(call.node())?.certificate = None;
    Ok(Value::Null)
}

/// Thirty days before it expires, a certificate is renewed.
const EARLY: u64 = 30 * 24 * 60 * 60;

/// `POST`, `PUT` and `DELETE /nodes/{node}/certificates/acme/certificate`: orders, renews, revokes.
async fn order(px: &Px, call: Call) -> Answer {
    let node = call.node().to_owned();
    let (account, domains) = {
        let state = px.state();
        let host = state.host(&node)?;
        let force = call.params.is_on("force");
        match (call.verb.as_str(), &host.certificate) {
            ("POST", Some(_)) if !force => {
                let text = "Custom certificate exists but 'force' is not set.";
                return Err(ApiError::parameter("force", text));
            }
            ("PUT" | "DELETE", None) => {
                let text = "No current (custom) certificate found, please order a new certificate!";
                return Err(ApiError::failure(text));
            }
            ("PUT", Some(custom)) if !force && !expires_soon(custom) => {
                let text =
                    "Certificate does not expire within the next 30 days, and 'force' is not set.";
                return Err(ApiError::parameter("force", text));
            }
            _ => {}
        }
        let domains = px.acme_domains(&state, &host.config)?;
        if domains.is_empty() {
            return Err(ApiError::new(
                400,
                "ACME domain list in node configuration is missing!",
            ));
        }
        let account = host
            .config
            .get("acme")
            .and_then(|text| crate::schema::property::plain(text, "account"));
        (account.unwrap_or("default").to_owned(), domains)
    };
    let (verb, kind) = match call.verb.as_str() {
        "POST" => ("order", "acmenewcert"),
        "PUT" => ("renew", "acmerenew"),
        _ => ("revoke", "acmerevoke"),
    };
    px.worker(
        &node.clone(),
        kind,
        "",
        &call.caller,
        move |task| async move {
            if task
                .proxmox
                .state()
                .section("priv/acme", &account)
                .is_none()
            {
                return Err(format!(
                    "ACME account config file '{account}' does not exist."
                ));
            }
            task.line("Loading ACME account details");
            task.takes(Duration::from_secs(8)).await;
            let certificate = if verb == "revoke" {
                task.line("Revoking old certificate");
                None
            } else {
                task.line("Placing ACME order");
                let names: Vec<String> = domains.into_iter().collect();
                for name in &names {
                    task.line(format!("The validation for {name} is valid"));
                }
                let (chain, key) = task
                    .proxmox
                    .lab
                    .authority
                    .issue(&names)
                    .map_err(|error| error.to_string())?;
                task.line("Setting pveproxy certificate and key");
                Some(Custom { chain, key })
            };
            task.proxmox.state().host_mut(&node)?.certificate = certificate;
            task.line("Restarting pveproxy");
            Ok(())
        },
    )
    .await
}

fn expires_soon(custom: &Custom) -> bool {
    let until = info(CUSTOM, &custom.chain)
        .ok()
        .and_then(|row| row["notafter"].as_u64());
    until.is_none_or(|until| until < now() + EARLY)
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/certificates/info", list);
    at.post("/nodes/{node}/certificates/custom", upload);
    at.delete("/nodes/{node}/certificates/custom", remove);
    let acme = "/nodes/{node}/certificates/acme/certificate";
    at.post(acme, order);
    at.put(acme, order);
    at.delete(acme, order);
}
