//! The backend `s3` against what a real server does not do on demand: a server in this process that answers what it is told, and keeps
//! what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use stead_state::{Backend, BackendError};

use crate::{lock_info, open, state};

const ID: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

fn ok(body: &str) -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: Vec::new(),
        body: body.to_owned(),
    }
}

fn refusal(status: StatusCode, code: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>of {code}</Message></Error>"
    );
    Answer {
        status,
        headers: Vec::new(),
        body,
    }
}

struct Asked {
    /// Method, path and query.
    what: String,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<Asked>,
}

struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start() -> Server {
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("the server") });
        Server {
            address,
            script,
            task,
        }
    }

    fn backend(&self, more: &Json) -> Arc<dyn Backend> {
        let url = format!("http://{}", self.address);
        let mut arguments = json!({
            "bucket": "state", "key": "k", "region": "us-east-1", "endpoints": { "s3": url, "sts": url }, "access_key": "AKIDOFTESTS",
            "secret_key": "a-secret", "use_lockfile": true,
        });
        let members = arguments.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        open("s3", &arguments, &[])
    }

    fn will(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script
            .lock()
            .expect("the script")
            .answers
            .extend(answers);
    }

    /// What was asked since the last call; nothing that it was to answer may be left.
    fn asked(&self) -> Vec<Asked> {
        let mut script = self.script.lock().expect("the script");
        assert!(
            script.answers.is_empty(),
            "{} answers are left",
            script.answers.len()
        );
        std::mem::take(&mut script.asked)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut script = script.lock().expect("the script");
    script.asked.push(Asked {
        what: format!("{method} {uri}"),
        headers,
        body,
    });
    let Some(Answer {
        status,
        headers,
        body,
    }) = script.answers.pop_front()
    else {
        return StatusCode::IM_A_TEAPOT.into_response();
    };
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a value"));
    }
    response
}

fn header<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    asked
        .headers
        .get(name)
        .map(|value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_server_without_conditions_is_found_out() {
    let server = Server::start().await;
    let store = server
        .backend(&json!({}))
        .store("default")
        .expect("a store");
    server.will([ok(""), ok(""), refusal(StatusCode::NO_CONTENT, "")]);
    let error = store
        .lock(&lock_info(ID))
        .await
        .expect_err("everybody would get the lock")
        .to_string();
    assert!(
        error.contains("ignores conditional writes") && error.contains("use_lockfile"),
        "{error}"
    );
    let asked = server.asked();
    let what: Vec<&str> = asked.iter().map(|asked| asked.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "PUT /state/k.tflock",
            "PUT /state/k.tflock",
            "DELETE /state/k.tflock"
        ]
    );
    assert_eq!(header(&asked[0], "if-none-match"), Some("*"));
    let note: Json = serde_json::from_slice(&asked[0].body).expect("JSON");
    assert_eq!(
        (&note["ID"], &note["Path"]),
        (&json!(ID), &json!("state/k"))
    );

    server.will([refusal(StatusCode::NOT_IMPLEMENTED, "NotImplemented")]);
    let error = store
        .lock(&lock_info(ID))
        .await
        .expect_err("one that says so")
        .to_string();
    assert!(error.contains("no conditional writes"), "{error}");
    server.asked();
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    let server = Server::start().await;
    let store = server
        .backend(&json!({}))
        .store("default")
        .expect("a store");
    server.will([
        refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        ok(""),
    ]);
    store.write(&state(1, "one")).await.expect("the third try");
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|asked| asked.body == state(1, "one")));

    // Two at the same moment, and the lock of the other.
    let exists = refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    let theirs = ok(r#"{"ID":"theirs","Who":"alice@desk"}"#);
    server.will([
        refusal(StatusCode::CONFLICT, "ConditionalRequestConflict"),
        exists,
        theirs,
    ]);
    match store.lock(&lock_info(ID)).await {
        Err(BackendError::Locked {
            holder: Some(holder),
            reason,
        }) => {
            assert_eq!(
                (holder.id.as_str(), holder.who.as_str()),
                ("theirs", "alice@desk")
            );
            assert_eq!(reason, "PreconditionFailed: of PreconditionFailed");
        }
        found => panic!("{found:?}"),
    }
    server.asked();
}

#[tokio::test]
async fn only_a_missing_key_means_that_there_is_no_state() {
    let server = Server::start().await;
    let store = server
        .backend(&json!({}))
        .store("default")
        .expect("a store");
    server.will([refusal(StatusCode::NOT_FOUND, "NoSuchKey"), ok("")]);
    assert_eq!(store.read().await.expect("no state"), None);
    assert_eq!(store.read().await.expect("an empty one"), None);
    let not_here = Answer {
        status: StatusCode::NOT_FOUND,
        headers: Vec::new(),
        body: "<html>not here</html>".to_owned(),
    };
    server.will([not_here, refusal(StatusCode::NOT_FOUND, "NoSuchBucket")]);
    store.read().await.expect_err("another server");
    store.read().await.expect_err("no bucket");
    let mut elsewhere = refusal(StatusCode::MOVED_PERMANENTLY, "PermanentRedirect");
    elsewhere
        .headers
        .push(("x-amz-bucket-region", "eu-central-1"));
    server.will([elsewhere]);
    let error = store.read().await.expect_err("another region").to_string();
    assert!(
        error.contains("actual location \"eu-central-1\"")
            && error.contains("Set `region = \"eu-central-1\"`"),
        "{error}"
    );
    server.asked();
}

#[tokio::test]
async fn lists_page_by_page_and_only_what_is_a_workspace() {
    let server = Server::start().await;
    let page = |keys: &[&str], next: &str| {
        let contents: String = keys
            .iter()
            .map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>"))
            .collect();
        ok(&format!(
            "<ListBucketResult><Name>state</Name><KeyCount>{}</KeyCount>{contents}{next}</ListBucketResult>",
            keys.len()
        ))
    };
    let backend = server.backend(&json!({}));
    let first = [
        "env:/b/k",
        "env:/b/k.tflock",
        "env:/b/k.stead.journal",
        "env:/c/other",
        "env:/c/sub/k",
    ];
    server.will([
        page(
            &first,
            "<NextContinuationToken>a+/=</NextContinuationToken>",
        ),
        page(&["env:/a&amp;b/k"], ""),
    ]);
    assert_eq!(
        backend.workspaces().await.expect("workspaces"),
        ["default", "a&b", "b"]
    );
    let asked = server.asked();
    assert_eq!(
        asked[0].what,
        "GET /state/?list-type=2&max-keys=1000&prefix=env%3A%2F"
    );
    assert!(
        asked[1].what.contains("continuation-token=a%2B%2F%3D&"),
        "{}",
        asked[1].what
    );

    server.will([
        refusal(StatusCode::FORBIDDEN, "AccessDenied"),
        refusal(StatusCode::FORBIDDEN, "AccessDenied"),
    ]);
    assert_eq!(
        backend
            .workspaces()
            .await
            .expect("who uses none need not list"),
        ["default"]
    );
    let elsewhere = server.backend(&json!({ "workspace_key_prefix": "spaces" }));
    let error = elsewhere
        .workspaces()
        .await
        .expect_err("who uses some must")
        .to_string();
    assert!(
        error.contains("AccessDenied") && error.contains("s3:ListBucket"),
        "{error}"
    );
    server.asked();
}

#[tokio::test]
async fn what_goes_with_an_object() {
    let server = Server::start().await;
    let content = state(1, "one");
    let sent = async |arguments: Json| {
        let store = server
            .backend(&arguments)
            .store("default")
            .expect("a store");
        server.will([ok(""), ok("{}")]);
        store.write(&content).await.expect("a write");
        store.read().await.expect("a read");
        let mut asked = server.asked();
        let read = asked.pop().expect("two");
        (asked.pop().expect("two"), read)
    };
    let (write, read) = sent(json!({})).await;
    assert_eq!(write.what, "PUT /state/k");
    assert_eq!(header(&write, "content-type"), Some("application/json"));
    let sum = STANDARD.encode(Sha256::digest(&content));
    assert_eq!(header(&write, "x-amz-checksum-sha256"), Some(sum.as_str()));
    let authorization = header(&write, "authorization").expect("a signature");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDOFTESTS/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/us-east-1/s3/aws4_request"),
        "{authorization}"
    );
    for asked in [&write, &read] {
        assert!(
            !asked
                .headers
                .keys()
                .any(|name| name.as_str().contains("encryption") || name == "x-amz-acl")
        );
    }

    let (write, _) =
        sent(json!({ "skip_s3_checksum": true, "acl": "private", "encrypt": true })).await;
    assert_eq!(header(&write, "x-amz-checksum-sha256"), None);
    assert_eq!(header(&write, "x-amz-acl"), Some("private"));
    assert_eq!(
        header(&write, "x-amz-server-side-encryption"),
        Some("AES256")
    );

    let (write, read) = sent(json!({ "encrypt": true, "kms_key_id": "alias/state" })).await;
    assert_eq!(
        header(&write, "x-amz-server-side-encryption"),
        Some("aws:kms")
    );
    assert_eq!(
        header(&write, "x-amz-server-side-encryption-aws-kms-key-id"),
        Some("alias/state")
    );
    assert_eq!(header(&read, "x-amz-server-side-encryption"), None);

    let key = STANDARD.encode([7; 32]);
    let (write, read) = sent(json!({ "encrypt": true, "sse_customer_key": key })).await;
    for asked in [write, read] {
        let name = |end: &str| format!("x-amz-server-side-encryption-customer-{end}");
        assert_eq!(header(&asked, &name("algorithm")), Some("AES256"));
        assert_eq!(header(&asked, &name("key")), Some(key.as_str()));
        let sum = STANDARD.encode(Md5::digest([7; 32]));
        assert_eq!(header(&asked, &name("key-md5")), Some(sum.as_str()));
        assert!(
            header(&asked, "authorization")
                .expect("a signature")
                .contains("customer-key;"),
            "it is signed"
        );
    }
}

/// What STS answers.
fn assumed(operation: &str, key: &str) -> Answer {
    ok(&format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token-of-{key}</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{operation}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

#[tokio::test]
async fn roles_are_taken_on() {
    let server = Server::start().await;
    let role = json!({ "assume_role": {
        "role_arn": "arn:aws:iam::123456789012:role/state", "session_name": "me", "duration": "1h", "external_id": "x",
        "source_identity": "who", "tags": { "team": "net" }, "transitive_tag_keys": ["team"], "policy_arns": ["arn:aws:iam::aws:policy/P"],
    } });
    let store = server.backend(&role).store("default").expect("a store");
    server.will([assumed("AssumeRole", "ASIAROLE"), ok("{}"), ok("{}")]);
    store.read().await.expect("a read");
    store
        .read()
        .await
        .expect("a second read with the same credentials");
    let asked = server.asked();
    let body = std::str::from_utf8(&asked[0].body).expect("text");
    for part in [
        "Action=AssumeRole&",
        "RoleSessionName=me",
        "DurationSeconds=3600",
        "ExternalId=x",
        "SourceIdentity=who",
        "Tags.member.1.Key=team",
        "TransitiveTagKeys.member.1=team",
        "PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FP",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    assert!(
        header(&asked[0], "authorization")
            .expect("a signature")
            .contains("Credential=AKIDOFTESTS/")
    );
    assert_eq!(asked.len(), 3);
    assert!(
        header(&asked[2], "authorization")
            .expect("a signature")
            .contains("Credential=ASIAROLE/")
    );
    assert_eq!(
        header(&asked[2], "x-amz-security-token"),
        Some("token-of-ASIAROLE")
    );

    // With a token of an identity provider, and then a role with that; renewed when S3 says that it has run out.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "a-token\n").expect("a file");
    let both = json!({
        "assume_role_with_web_identity": { "role_arn": "arn:aws:iam::123456789012:role/ci", "web_identity_token_file": file },
        "assume_role": { "role_arn": "arn:aws:iam::123456789012:role/state" },
    });
    let store = server.backend(&both).store("default").expect("a store");
    let login = || {
        [
            assumed("AssumeRoleWithWebIdentity", "ASIACI"),
            assumed("AssumeRole", "ASIAROLE"),
        ]
    };
    server.will(login());
    server.will([refusal(StatusCode::BAD_REQUEST, "ExpiredToken")]);
    server.will(login());
    server.will([ok("{}")]);
    store.read().await.expect("a read");
    let asked = server.asked();
    let body = std::str::from_utf8(&asked[0].body).expect("text");
    assert!(
        body.contains("Action=AssumeRoleWithWebIdentity&")
            && body.contains("WebIdentityToken=a-token"),
        "{body}"
    );
    assert_eq!(header(&asked[0], "authorization"), None);
    assert!(
        header(&asked[1], "authorization")
            .expect("a signature")
            .contains("Credential=ASIACI/")
    );
    assert_eq!(asked.len(), 6);
}

#[tokio::test]
async fn only_the_accounts_that_are_allowed() {
    let server = Server::start().await;
    let identity = ok(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::123456789012:user/u</Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
    );
    let read = async |arguments: Json| {
        server
            .backend(&arguments)
            .store("default")
            .expect("a store")
            .read()
            .await
    };
    server.will([identity.clone(), ok("{}")]);
    read(json!({ "allowed_account_ids": ["123456789012"] }))
        .await
        .expect("this account");
    for refused in [
        json!({ "allowed_account_ids": ["1"] }),
        json!({ "forbidden_account_ids": ["123456789012"] }),
    ] {
        server.will([identity.clone()]);
        let error = read(refused)
            .await
            .expect_err("another account")
            .to_string();
        assert!(
            error.contains("AWS account ID not allowed: 123456789012"),
            "{error}"
        );
    }
    server.asked();
}

#[tokio::test]
async fn an_instance_has_credentials_of_its_own() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").expect("a file");
    let mut arguments = json!({
        "access_key": null, "secret_key": null, "shared_config_files": [empty], "shared_credentials_files": [empty],
        "ec2_metadata_service_endpoint": format!("http://{}", server.address),
    });
    let store = server
        .backend(&arguments)
        .store("default")
        .expect("a store");
    let mut token = ok("a-token");
    token
        .headers
        .push(("x-aws-ec2-metadata-token-ttl-seconds", "21600"));
    let credentials = json!({
        "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": "ASIAINSTANCE", "SecretAccessKey": "s",
        "Token": "t", "Expiration": "2099-01-01T00:00:00Z",
    });
    server.will([token, ok("role"), ok(&credentials.to_string()), ok("{}")]);
    store.read().await.expect("a read");
    let asked = server.asked();
    assert_eq!(asked[0].what, "PUT /latest/api/token");
    assert_eq!(
        header(&asked[2], "x-aws-ec2-metadata-token"),
        Some("a-token")
    );
    assert!(
        header(&asked[3], "authorization")
            .expect("a signature")
            .contains("Credential=ASIAINSTANCE/")
    );

    arguments["skip_metadata_api_check"] = json!(true);
    let store = server
        .backend(&arguments)
        .store("default")
        .expect("a store");
    let error = store
        .read()
        .await
        .expect_err("nothing left to ask")
        .to_string();
    assert!(
        error.contains("No valid credential sources found") && error.contains("AWS_ACCESS_KEY_ID"),
        "{error}"
    );
    assert_eq!(server.asked().len(), 0);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// With the log of everything: also what AWS's libraries say.
#[tokio::test]
async fn no_log_holds_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start().await;
    let key = STANDARD.encode([7; 32]);
    let arguments = json!({
        "secret_key": "hidden-secret", "encrypt": true, "sse_customer_key": key,
        "assume_role_with_web_identity": { "role_arn": "arn:aws:iam::123456789012:role/ci", "web_identity_token": "hidden-token" },
        "assume_role": { "role_arn": "arn:aws:iam::123456789012:role/state" },
    });
    let store = server
        .backend(&arguments)
        .store("default")
        .expect("a store");
    server.will([
        assumed("AssumeRoleWithWebIdentity", "ASIACI"),
        assumed("AssumeRole", "ASIAROLE"),
        ok(""),
    ]);
    store
        .write(&state(1, "hidden-output"))
        .await
        .expect("a write");
    server.asked();
    let log = String::from_utf8(log.0.lock().expect("the log").clone()).expect("text");
    assert!(
        log.contains("PUT http://") && log.contains("found credentials for AWS"),
        "{log}"
    );
    for secret in ["hidden", key.as_str(), "token-of-", "AWS4-HMAC-SHA256"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
