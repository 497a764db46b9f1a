//! The arguments of the backend `http`, and what they make.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Method, Url};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{ClientIdentity, Dialer, HttpOptions, ProviderConfig, Roots, TlsOptions, settings};

use super::{Endpoint, Place};
use crate::sending::Patience;

/// Stores the state behind an HTTP address.
#[derive(Clone, Debug, ProviderConfig)]
pub(super) struct Settings {
    /// The address of the state: read with GET, written with `update_method`.
    #[attr(optional, env = "TF_HTTP_ADDRESS")]
    address: Option<String>,
    /// The method of a write; POST when left out.
    #[attr(optional, env = "TF_HTTP_UPDATE_METHOD")]
    update_method: Option<String>,
    /// The address of the lock. Without it the state is not locked.
    #[attr(optional, env = "TF_HTTP_LOCK_ADDRESS")]
    lock_address: Option<String>,
    /// The method that locks; LOCK when left out.
    #[attr(optional, env = "TF_HTTP_LOCK_METHOD")]
    lock_method: Option<String>,
    /// The address where the lock is given back.
    #[attr(optional, env = "TF_HTTP_UNLOCK_ADDRESS")]
    unlock_address: Option<String>,
    /// The method that unlocks; UNLOCK when left out.
    #[attr(optional, env = "TF_HTTP_UNLOCK_METHOD")]
    unlock_method: Option<String>,
    /// The user of basic authentication.
    #[attr(optional, env = "TF_HTTP_USERNAME")]
    username: Option<String>,
    #[attr(optional, env = "TF_HTTP_PASSWORD")]
    password: Option<Sensitive<String>>,
    /// Trust any certificate.
    #[attr(optional)]
    skip_cert_verification: Option<bool>,
    /// How often a request is tried again; 2 when left out.
    #[attr(optional, env = "TF_HTTP_RETRY_MAX")]
    retry_max: Option<i64>,
    /// The shortest time between two tries, in seconds; 1 when left out.
    #[attr(optional, env = "TF_HTTP_RETRY_WAIT_MIN")]
    retry_wait_min: Option<i64>,
    /// The longest time between two tries, in seconds; 30 when left out.
    #[attr(optional, env = "TF_HTTP_RETRY_WAIT_MAX")]
    retry_wait_max: Option<i64>,
    /// The certificate authorities that are trusted, and no others, as PEM.
    #[attr(optional, env = "TF_HTTP_CLIENT_CA_CERTIFICATE_PEM")]
    client_ca_certificate_pem: Option<String>,
    /// Our certificate, for servers that ask for one, as PEM.
    #[attr(optional, env = "TF_HTTP_CLIENT_CERTIFICATE_PEM")]
    client_certificate_pem: Option<String>,
    /// Its key, as PEM.
    #[attr(optional, env = "TF_HTTP_CLIENT_PRIVATE_KEY_PEM")]
    client_private_key_pem: Option<Sensitive<String>>,
}

/// For one try of one request, body included.
const TIMEOUT: Duration = Duration::from_secs(120);

pub(super) fn endpoint(config: &Value, dialer: &Dialer) -> Result<Endpoint, Diagnostics> {
    let given: Settings = settings("the backend \"http\"", config, dialer.environment())?;
    let mut found = Diagnostics::new();
    let address = match given.address.as_deref() {
        Some(text) => url(text, "address", &mut found),
        None => {
            let detail =
                "Set `address` in the backend block, or the environment variable TF_HTTP_ADDRESS.";
            found.push(
                Diagnostic::error("address argument is required", detail)
                    .attribute(Path::root().attr("address")),
            );
            None
        }
    };
    let mut place = |address: Option<&str>, name, verb: Option<&str>, verb_name, default| {
        let method = method(verb, verb_name, default, &mut found);
        let url = url(address?, name, &mut found);
        Some(Place {
            method: method?,
            url: url?,
        })
    };
    let lock = place(
        given.lock_address.as_deref(),
        "lock_address",
        given.lock_method.as_deref(),
        "lock_method",
        "LOCK",
    );
    let unlock = place(
        given.unlock_address.as_deref(),
        "unlock_address",
        given.unlock_method.as_deref(),
        "unlock_method",
        "UNLOCK",
    );
    let update_method = method(
        given.update_method.as_deref(),
        "update_method",
        "POST",
        &mut found,
    );
    let patience = patience(&given, &mut found);
    let tls = tls(&given, &mut found);
    let (Some(address), Some(update_method), false) = (address, update_method, found.has_errors())
    else {
        return Err(found);
    };
    let options = HttpOptions {
        tls,
        timeout: Some(TIMEOUT),
        redirects: 10,
        ..HttpOptions::default()
    };
    Ok(Endpoint {
        client: dialer.http(&options)?,
        dialer: dialer.clone(),
        patience,
        address,
        update_method,
        lock,
        unlock,
        login: given
            .username
            .map(|user| (user, given.password.unwrap_or_default())),
        held: Mutex::new(None),
    })
}

/// The address may hold a login, so no message quotes it.
fn url(text: &str, name: &str, found: &mut Diagnostics) -> Option<Url> {
    let problem = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => return Some(url),
        Ok(_) => format!("{name} must be HTTP or HTTPS"),
        Err(error) => format!("failed to parse {name} URL: {error}"),
    };
    let detail = format!("`{name}` is a whole address, such as `https://example.com/state`.");
    found.push(Diagnostic::error(problem, detail).attribute(Path::root().attr(name)));
    None
}

fn method(
    text: Option<&str>,
    name: &str,
    default: &str,
    found: &mut Diagnostics,
) -> Option<Method> {
    let method = Method::from_bytes(text.unwrap_or(default).as_bytes()).ok();
    if method.is_none() {
        let detail = format!("`{name}` is the name of an HTTP method, such as {default}.");
        found.push(
            Diagnostic::error("Invalid HTTP method", detail).attribute(Path::root().attr(name)),
        );
    }
    method
}

fn patience(given: &Settings, found: &mut Diagnostics) -> Patience {
    let mut number = |value: Option<i64>, name: &str, default: u32| {
        let value = value.map_or(Ok(default), u32::try_from);
        value.unwrap_or_else(|_| {
            let detail = format!("`{name}` is a whole number from 0 to {}.", u32::MAX);
            found.push(
                Diagnostic::error(format!("invalid {name}"), detail)
                    .attribute(Path::root().attr(name)),
            );
            default
        })
    };
    let tries = number(given.retry_max, "retry_max", 2).saturating_add(1);
    let first = Duration::from_secs(number(given.retry_wait_min, "retry_wait_min", 1).into());
    let longest = Duration::from_secs(number(given.retry_wait_max, "retry_wait_max", 30).into());
    Patience {
        tries,
        first,
        longest,
        // The user says how long by the number of tries.
        deadline: Duration::MAX,
    }
}

fn tls(given: &Settings, found: &mut Diagnostics) -> TlsOptions {
    let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    let certificates = text(&given.client_certificate_pem);
    let key = given
        .client_private_key_pem
        .clone()
        .filter(|key| !key.expose_secret().is_empty());
    let mut lacks = |has: &str, lacks: &str| {
        let problem = format!("{has} is set but {lacks} is not");
        found.push(
            Diagnostic::error(problem, "They belong together: set both or none.")
                .attribute(Path::root().attr(lacks)),
        );
    };
    let identity = match (certificates, key) {
        (Some(certificates), Some(key)) => Some(ClientIdentity { certificates, key }),
        (None, None) => None,
        (Some(_), None) => {
            lacks("client_certificate_pem", "client_private_key_pem");
            None
        }
        (None, Some(_)) => {
            lacks("client_private_key_pem", "client_certificate_pem");
            None
        }
    };
    TlsOptions {
        roots: text(&given.client_ca_certificate_pem).map_or(Roots::System, Roots::Only),
        insecure: given.skip_cert_verification == Some(true),
        identity,
        ..TlsOptions::default()
    }
}
