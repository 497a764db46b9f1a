//! A small Azure of one process: a CONNECT proxy in front of sign-in, Resource Manager and one vault, written from the
//! published contract. It lags the way Azure does, so that the provider has something to wait for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value as Json, json};
use stead_sdk::{Dialer, Environment};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const HOSTS: [&str; 3] = [
    "login.microsoftonline.com",
    "management.azure.com",
    "kv-lab.vault.azure.net",
];
/// `{"oid": "object", "tid": "tenant", "appid": "app"}` as an unsigned token.
const TOKEN: &str = "e30.eyJvaWQiOiAib2JqZWN0IiwgInRpZCI6ICJ0ZW5hbnQiLCAiYXBwaWQiOiAiYXBwIn0.x";

#[derive(Default)]
struct State {
    /// Objects of Resource Manager by path.
    objects: BTreeMap<String, Json>,
    /// Secrets by name: the versions' values.
    secrets: BTreeMap<String, Vec<Json>>,
    deleted: BTreeMap<String, Vec<Json>>,
    log: Vec<String>,
    /// How often each passing refusal is still given.
    lags: BTreeMap<&'static str, u32>,
}

impl State {
    /// Whether this lag still lasts; each time it is one shorter.
    fn lags(&mut self, what: &'static str) -> bool {
        let left = self.lags.entry(what).or_default();
        let lagging = *left > 0;
        *left = left.saturating_sub(1);
        lagging
    }
}

pub(crate) struct Azure {
    state: Arc<Mutex<State>>,
    pub(crate) dialer: Dialer,
    _folder: tempfile::TempDir,
}

struct Reply(u16, Json, Vec<(&'static str, String)>);

fn ok(body: Json) -> Reply {
    Reply(200, body, Vec::new())
}

fn refused(status: u16, code: &str, inner: &str) -> Reply {
    let body = json!({"error": {"code": code, "message": format!("refused: {code}"), "innererror": {"code": inner}}});
    Reply(status, body, Vec::new())
}

impl Azure {
    pub(crate) async fn start() -> Azure {
        Azure::start_with(&[]).await
    }

    /// With these environment variables.
    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Azure {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = HOSTS.iter().map(ToString::to_string).collect();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("ca.pem");
        std::fs::write(&roots, issuer.pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let own = [
            ("HTTPS_PROXY", proxy.as_str()),
            ("SSL_CERT_FILE", roots.to_str().unwrap()),
        ];
        let environment: Environment = own.iter().chain(variables).copied().collect();
        let dialer = Dialer::new(environment).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&shared)));
            }
        });
        Azure {
            state,
            dialer,
            _folder: folder,
        }
    }

    /// Refuses so many requests for a passing reason.
    pub(crate) fn lag(&self, what: &'static str, times: u32) {
        self.state.lock().unwrap().lags.insert(what, times);
    }

    /// The requests since the last call: method and path, sign-in left out.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }

    pub(crate) fn names_of_deleted_secrets(&self) -> Vec<String> {
        self.state.lock().unwrap().deleted.keys().cloned().collect()
    }

    pub(crate) fn put(&self, path: &str, body: Json) {
        self.state
            .lock()
            .unwrap()
            .objects
            .insert(path.to_owned(), body);
    }

    pub(crate) fn body(&self, path: &str) -> Option<Json> {
        self.state.lock().unwrap().objects.get(path).cloned()
    }
}

async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let host = head
        .strip_prefix("CONNECT ")
        .and_then(|h| h.split(':').next())
        .unwrap()
        .to_owned();
    if !HOSTS.contains(&host.as_str()) {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        return;
    }
    if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_err() {
        return;
    }
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| answer(host.clone(), request, Arc::clone(&state)));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    host: String,
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body: Json = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let method = parts.method.as_str();
    let signed_in = parts
        .headers
        .get("authorization")
        .is_some_and(|a| a == &format!("Bearer {TOKEN}"));
    let mut state = state.lock().unwrap();
    let Reply(status, body, headers) = if host.starts_with("login.") {
        let form = String::from_utf8_lossy(&bytes);
        assert!(form.contains("client_secret=s3cret"), "{form}");
        ok(
            json!({"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": TOKEN}),
        )
    } else if path == "/metadata/endpoints" {
        ok(json!({
            "authentication": {"loginEndpoint": "https://login.microsoftonline.com/", "audiences": ["https://management.azure.com/"]},
            "resourceManager": "https://management.azure.com/", "suffixes": {"storage": "storage.lab"},
        }))
    } else if !signed_in {
        let challenge = "Bearer authorization=\"https://login.microsoftonline.com/tenant\", resource=\"https://vault.azure.net\"";
        Reply(
            401,
            json!({}),
            vec![("www-authenticate", challenge.to_owned())],
        )
    } else {
        state.log.push(format!("{method} {path}"));
        if host.starts_with("management.") {
            manager(&mut state, method, &path, &body)
        } else {
            vault(&mut state, method, &path, &body)
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let text = if status == 204 || status == 202 {
        String::new()
    } else {
        body.to_string()
    };
    Ok(response.body(Full::new(Bytes::from(text))).unwrap())
}

fn operation(name: &str) -> Reply {
    Reply(
        202,
        json!({}),
        vec![(
            "location",
            format!("https://management.azure.com/operations/{name}?api-version=x"),
        )],
    )
}

fn manager(state: &mut State, method: &str, path: &str, body: &Json) -> Reply {
    let last = path.rsplit('/').next().unwrap();
    match (method, last) {
        ("GET", "roleDefinitions") => {
            return ok(
                json!({"value": [{"id": format!("{path}/4633458b"), "properties": {"roleName": "Key Vault Secrets User"}}]}),
            );
        }
        ("GET", "resources") => return ok(json!({"value": []})),
        ("POST", "listKeys") => {
            return ok(json!({"keys": [{"value": "a2V5MQ=="}, {"value": "a2V5Mg=="}]}));
        }
        ("POST", "purge") => return operation("purge"),
        ("GET", _) if path.starts_with("/operations/") => {
            if state.lags("failure") {
                return ok(
                    json!({"status": "Failed", "error": {"code": "Quota", "message": "no more accounts"}}),
                );
            }
            return if state.lags("operation") {
                operation("again")
            } else {
                ok(json!({"status": "Succeeded"}))
            };
        }
        _ => {}
    }
    match method {
        "GET" => match state.objects.get(path).cloned() {
            Some(mut found) => {
                if path.contains("/vaults/") && state.lags("vault") {
                    found["properties"]["provisioningState"] = json!("RegisteringDns");
                }
                ok(found)
            }
            None => refused(404, "ResourceNotFound", ""),
        },
        "PUT" if path.contains("roleAssignments") && state.lags("principal") => {
            refused(400, "PrincipalNotFound", "")
        }
        "PUT" if path.contains("/containers/") && state.lags("container") => {
            refused(409, "ContainerBeingDeleted", "")
        }
        "PUT" => {
            let mut body = body.clone();
            body["id"] = json!(path);
            if path.contains("/vaults/") {
                body["properties"]["vaultUri"] = json!("https://kv-lab.vault.azure.net");
            }
            if last == "salab" {
                body["properties"]["primaryEndpoints"] =
                    json!({"blob": "https://salab.blob.core.windows.net/"});
                body["properties"]["primaryLocation"] = json!("westeurope");
                body["properties"]["provisioningState"] = json!("Succeeded");
            }
            state.objects.insert(path.to_owned(), body.clone());
            if last == "salab" {
                operation("account")
            } else {
                Reply(201, body, Vec::new())
            }
        }
        "PATCH" => {
            let Some(found) = state.objects.get_mut(path) else {
                return refused(404, "ResourceNotFound", "");
            };
            for (name, value) in body["properties"].as_object().into_iter().flatten() {
                found["properties"][name] = value.clone();
            }
            if let Some(tags) = body.get("tags") {
                found["tags"] = tags.clone();
            }
            ok(found.clone())
        }
        "DELETE" => match state.objects.remove(path) {
            Some(_) => operation("delete"),
            None => refused(404, "ResourceNotFound", ""),
        },
        _ => refused(405, "MethodNotAllowed", ""),
    }
}

fn vault(state: &mut State, method: &str, path: &str, body: &Json) -> Reply {
    if state.lags("role") {
        return refused(403, "Forbidden", "ForbiddenByRbac");
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let latest = |versions: &Vec<Json>| versions.last().cloned().unwrap();
    match (method, parts.as_slice()) {
        ("PUT", ["secrets", name]) => {
            if state.deleted.contains_key(*name) {
                return refused(409, "Conflict", "ObjectIsDeletedButRecoverable");
            }
            let versions = state.secrets.entry((*name).to_owned()).or_default();
            let mut secret = body.clone();
            let id = format!(
                "https://kv-lab.vault.azure.net/secrets/{name}/v{}",
                versions.len() + 1
            );
            secret["id"] = json!(id);
            versions.push(secret.clone());
            ok(secret)
        }
        ("PATCH", ["secrets", name, _]) => {
            let found = state
                .secrets
                .get_mut(*name)
                .and_then(|v| v.last_mut())
                .unwrap();
            for (key, value) in body.as_object().unwrap() {
                found[key] = value.clone();
            }
            ok(found.clone())
        }
        ("GET", ["secrets", name, ..]) => match state.secrets.get(*name) {
            Some(versions) => ok(latest(versions)),
            None => refused(404, "SecretNotFound", ""),
        },
        ("DELETE", ["secrets", name]) => match state.secrets.remove(*name) {
            Some(versions) => {
                let secret = latest(&versions);
                state.deleted.insert((*name).to_owned(), versions);
                ok(secret)
            }
            None => refused(404, "SecretNotFound", ""),
        },
        ("GET", ["deletedsecrets", name]) => match state.deleted.get(*name).cloned() {
            Some(_) if state.lags("deletion") => refused(404, "SecretNotFound", ""),
            Some(versions) => ok(latest(&versions)),
            None => refused(404, "SecretNotFound", ""),
        },
        ("POST", ["deletedsecrets", name, "recover"]) => match state.deleted.remove(*name) {
            Some(versions) => {
                let secret = latest(&versions);
                state.secrets.insert((*name).to_owned(), versions);
                ok(secret)
            }
            None => refused(404, "SecretNotFound", ""),
        },
        ("DELETE", ["deletedsecrets", name]) => {
            if state.lags("purge right") {
                return refused(403, "Forbidden", "ForbiddenByPolicy");
            }
            state.deleted.remove(*name);
            Reply(204, json!({}), Vec::new())
        }
        _ => refused(405, "MethodNotAllowed", ""),
    }
}
