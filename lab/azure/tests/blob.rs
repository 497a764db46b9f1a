//! Blob storage's data plane: Azure's own client with tokens, and by hand with account keys and shared access signatures.

mod common;

use std::sync::Arc;

use azure_core::credentials::Secret;
use azure_core::http::{ClientOptions, RetryOptions, Transport, Url};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use azure_storage_blob::models::{BlobClientUploadOptions, BlobContainerClientListBlobsOptions};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::World;
use futures::TryStreamExt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const CONTRIBUTOR: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";
const NAME: &str = "22222222-2222-4222-8222-222222222222";
const BASE: &str = "https://salab.blob.core.windows.net";

fn client(world: &World, container: &str) -> BlobContainerClient {
    let options = || ClientOptions {
        transport: Some(Transport::new(Arc::new(world.http.clone()))),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    };
    let principal = &world.azure.options().principals[0];
    let credential = ClientSecretCredential::new(
        &world.azure.options().tenant_id,
        principal.client_id.clone(),
        Secret::from(principal.client_secret.0.clone()),
        Some(ClientSecretCredentialOptions {
            client_options: options(),
        }),
    )
    .unwrap();
    let options = BlobContainerClientOptions {
        client_options: options(),
        ..BlobContainerClientOptions::default()
    };
    BlobContainerClient::new(
        Url::parse(&format!("{BASE}/{container}")).unwrap(),
        Some(credential),
        Some(options),
    )
    .unwrap()
}

#[tokio::test]
async fn the_official_client_works_once_it_has_the_role() {
    let world = World::furnished().await;
    let container = client(&world, "gitea-db-clean");
    let denied = container
        .blob_client("a")
        .upload(bytes::Bytes::from_static(b"x").into(), None)
        .await
        .unwrap_err();
    assert_eq!(
        denied.http_status().map(u16::from),
        Some(403),
        "an owner of the subscription has no right to the data"
    );
    world.grant(&world.account(), CONTRIBUTOR, NAME).await;

    let blob = container.blob_client("base/wal 1");
    let big: Vec<u8> = (0..100_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let partition = std::num::NonZero::new(16 * 1024).unwrap();
    let blocks = BlobClientUploadOptions {
        partition_size: Some(partition),
        ..BlobClientUploadOptions::default()
    };
    blob.upload(bytes::Bytes::from(big.clone()).into(), Some(blocks))
        .await
        .unwrap();
    let mut read = vec![0; big.len()];
    blob.download_into(&mut read, None).await.unwrap();
    assert!(read == big, "blocks come back as one blob");
    container
        .blob_client("other")
        .upload(bytes::Bytes::from_static(b"small").into(), None)
        .await
        .unwrap();
    let names: Vec<_> = container
        .list_blobs(None::<BlobContainerClientListBlobsOptions<'_>>)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(names.len(), 2);
    container.blob_client("other").delete(None).await.unwrap();
    assert!(!container.blob_client("other").exists().await.unwrap());
    assert!(!client(&world, "nothing").exists().await.unwrap());
    client(&world, "nothing").create(None).await.unwrap();
    let world = world.restart().await;
    let mut read = vec![0; big.len()];
    client(&world, "gitea-db-clean")
        .blob_client("base/wal 1")
        .download_into(&mut read, None)
        .await
        .unwrap();
    assert!(read == big);
}

async fn key(world: &World) -> Vec<u8> {
    let keys = world
        .arm(
            "POST",
            &format!("{}/listKeys", world.account()),
            "2025-08-01",
            None,
        )
        .await;
    STANDARD
        .decode(keys.body["keys"][0]["value"].as_str().unwrap())
        .unwrap()
}

fn sign(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// One request signed with the account's key, as documented under "Authorize with Shared Key".
async fn shared_key(
    world: &World,
    key: &[u8],
    method: &str,
    path: &str,
    query: &str,
    extra: &[(&str, &str)],
    body: &str,
) -> (u16, String, reqwest::header::HeaderMap) {
    let date = jiff::Timestamp::now()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let mut headers: Vec<(&str, &str)> = vec![("x-ms-date", &date), ("x-ms-version", "2023-11-03")];
    headers.extend(extra.iter().filter(|(n, _)| n.starts_with("x-ms-")));
    headers.sort();
    let plain = |name: &str| {
        extra
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, v)| v)
    };
    let length = if body.is_empty() {
        String::new()
    } else {
        body.len().to_string()
    };
    let mut text = format!(
        "{method}\n\n\n{length}\n\n\n\n\n{}\n{}\n\n\n",
        plain("if-match"),
        plain("if-none-match")
    );
    for (name, value) in &headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("/salab{path}"));
    let mut pairs: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
    pairs.sort_unstable();
    for pair in pairs {
        text.push_str(&format!("\n{}", pair.replacen('=', ":", 1)));
    }
    let mut request = world
        .http
        .request(method.parse().unwrap(), format!("{BASE}{path}?{query}"));
    for (name, value) in headers
        .iter()
        .chain(extra.iter().filter(|(n, _)| !n.starts_with("x-ms-")))
    {
        request = request.header(*name, *value);
    }
    let length = body.len().to_string();
    let response = request
        .header(
            "authorization",
            format!("SharedKey salab:{}", sign(key, &text)),
        )
        .header("content-length", length)
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (
        status,
        headers
            .get("x-ms-error-code")
            .map_or(String::new(), |c| c.to_str().unwrap().to_owned()),
        headers,
    )
}

/// What Terraform's own state backend does: lease, metadata, conditional puts.
#[tokio::test]
async fn account_keys_leases_and_conditions() {
    let world = World::furnished().await;
    let key = key(&world).await;
    let path = "/gitea-db-clean/terraform.tfstate";
    let kind = ("x-ms-blob-type", "BlockBlob");
    let put = |extra: Vec<(&'static str, String)>, body: &'static str| {
        let (world, key) = (&world, &key);
        async move {
            let mut all: Vec<(&str, &str)> = vec![kind];
            all.extend(extra.iter().map(|(n, v)| (*n, v.as_str())));
            shared_key(world, key, "PUT", path, "", &all, body).await
        }
    };
    let wrong = shared_key(&world, b"not the key", "PUT", path, "", &[kind], "{}").await;
    assert_eq!((wrong.0, wrong.1.as_str()), (403, "AuthenticationFailed"));
    let made = put(vec![("if-none-match", "*".into())], "{}").await;
    assert_eq!(made.0, 201);
    let etag = made.2["etag"].to_str().unwrap().to_owned();
    let again = put(vec![("if-none-match", "*".into())], "{}").await;
    assert_eq!((again.0, again.1.as_str()), (409, "BlobAlreadyExists"));
    let stale = put(vec![("if-match", "\"0x0\"".into())], "{}").await;
    assert_eq!((stale.0, stale.1.as_str()), (412, "ConditionNotMet"));
    assert_eq!(put(vec![("if-match", etag)], "{\"v\":2}").await.0, 201);

    let id = "33333333-3333-4333-8333-333333333333";
    let acquire = [
        ("x-ms-lease-action", "acquire"),
        ("x-ms-lease-duration", "-1"),
        ("x-ms-proposed-lease-id", id),
    ];
    let lease = shared_key(&world, &key, "PUT", path, "comp=lease", &acquire, "").await;
    assert_eq!(
        (lease.0, lease.2["x-ms-lease-id"].to_str().unwrap()),
        (201, id)
    );
    let other = [
        ("x-ms-lease-action", "acquire"),
        ("x-ms-lease-duration", "-1"),
        (
            "x-ms-proposed-lease-id",
            "44444444-4444-4444-8444-444444444444",
        ),
    ];
    assert_eq!(
        shared_key(&world, &key, "PUT", path, "comp=lease", &other, "")
            .await
            .1,
        "LeaseAlreadyPresent"
    );
    assert_eq!(put(vec![], "{}").await.1, "LeaseIdMissing");
    assert_eq!(put(vec![("x-ms-lease-id", id.into())], "{}").await.0, 201);
    let metadata = [("x-ms-lease-id", id), ("x-ms-meta-terraformlockid", "eyJ9")];
    assert_eq!(
        shared_key(&world, &key, "PUT", path, "comp=metadata", &metadata, "")
            .await
            .0,
        200
    );
    let head = shared_key(&world, &key, "HEAD", path, "", &[], "").await;
    assert_eq!(head.2["x-ms-meta-terraformlockid"], "eyJ9");
    assert_eq!(
        (
            head.2["content-length"].to_str().unwrap(),
            head.2["x-ms-lease-state"].to_str().unwrap()
        ),
        ("2", "leased")
    );
    let release = [("x-ms-lease-action", "release"), ("x-ms-lease-id", id)];
    assert_eq!(
        shared_key(&world, &key, "PUT", path, "comp=lease", &release, "")
            .await
            .0,
        200
    );
    assert_eq!(
        shared_key(&world, &key, "DELETE", path, "", &[], "")
            .await
            .0,
        202
    );
    assert_eq!(
        shared_key(&world, &key, "GET", path, "", &[], "").await.1,
        "BlobNotFound"
    );
    let copy = [kind, ("x-ms-copy-source", "https://x")];
    assert_eq!(
        shared_key(&world, &key, "PUT", path, "", &copy, "").await.0,
        501
    );
}

/// A container SAS as azurerm's data source signs it (sv 2018-11-09).
fn container_sas(key: &[u8], permissions: &str, expiry: &str) -> String {
    let lines = [
        permissions,
        "2020-01-01",
        expiry,
        "/blob/salab/gitea-db-clean",
        "",
        "",
        "https",
        "2018-11-09",
        "c",
        "",
        "",
        "",
        "",
        "",
        "",
    ];
    let signature = sign(key, &lines.join("\n"))
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!(
        "sv=2018-11-09&sr=c&st=2020-01-01&se={expiry}&sp={permissions}&spr=https&sig={signature}"
    )
}

#[tokio::test]
async fn shared_access_signatures_allow_what_they_say() {
    let world = World::furnished().await;
    let key = key(&world).await;
    let send = |method: &'static str, path: &'static str, sas: String| {
        let world = &world;
        async move {
            let joint = if path.contains('?') { '&' } else { '?' };
            let request = world
                .http
                .request(method.parse().unwrap(), format!("{BASE}{path}{joint}{sas}"));
            let request = if method == "PUT" {
                request.header("x-ms-blob-type", "BlockBlob").body("data")
            } else {
                request
            };
            let response = request.send().await.unwrap();
            let code = response
                .headers()
                .get("x-ms-error-code")
                .map_or(String::new(), |c| c.to_str().unwrap().to_owned());
            (
                response.status().as_u16(),
                code,
                response.text().await.unwrap(),
            )
        }
    };
    let full = container_sas(&key, "racwdl", "2099-01-01");
    assert_eq!(
        send("PUT", "/gitea-db-clean/a/b", full.clone()).await.0,
        201
    );
    assert_eq!(
        send("GET", "/gitea-db-clean/a/b", full.clone()).await.2,
        "data"
    );
    let list = send(
        "GET",
        "/gitea-db-clean?restype=container&comp=list&delimiter=/",
        full.clone(),
    )
    .await;
    assert!(
        list.2.contains("<BlobPrefix><Name>a/</Name></BlobPrefix>"),
        "{}",
        list.2
    );
    assert_eq!(
        send("PUT", "/gitea-db-clean?restype=container", full.clone())
            .await
            .0,
        403,
        "it cannot create its container"
    );
    let other = send("GET", "/other/a", full.clone()).await;
    assert_eq!((other.0, other.1.as_str()), (403, "AuthenticationFailed"));
    let reader = container_sas(&key, "rl", "2099-01-01");
    assert_eq!(
        send("PUT", "/gitea-db-clean/c", reader.clone()).await.1,
        "AuthorizationPermissionMismatch"
    );
    assert_eq!(
        send(
            "GET",
            "/gitea-db-clean/a/b",
            reader.replace("sp=rl", "sp=rwl")
        )
        .await
        .1,
        "AuthenticationFailed"
    );
    assert_eq!(
        send(
            "GET",
            "/gitea-db-clean/a/b",
            container_sas(&key, "r", "2021-01-01")
        )
        .await
        .1,
        "AuthenticationFailed"
    );
    let nobody = send("GET", "/gitea-db-clean/a/b", String::new()).await;
    assert_eq!(
        (nobody.0, nobody.1.as_str()),
        (401, "NoAuthenticationInformation")
    );

    let text = [
        "salab",
        "rl",
        "b",
        "sco",
        "",
        "2099-01-01",
        "",
        "https",
        "2022-11-02",
        "",
    ]
    .map(|l| format!("{l}\n"))
    .concat();
    let signature = sign(&key, &text)
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let account =
        format!("sv=2022-11-02&ss=b&srt=sco&sp=rl&se=2099-01-01&spr=https&sig={signature}");
    let containers = send("GET", "/?comp=list", account.clone()).await;
    assert!(
        containers.2.contains("<Name>gitea-db-clean</Name>"),
        "{}",
        containers.2
    );
    assert_eq!(
        send("PUT", "/gitea-db-clean/c", account).await.1,
        "AuthorizationPermissionMismatch"
    );
}
