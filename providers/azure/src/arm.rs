//! Azure Resource Manager: requests with a bearer token, long operations, provider registration.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_core::credentials::TokenCredential;
use azure_core::http::headers::HeaderName;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{
    ClientOptions, Context as CallContext, Method, Pipeline, PipelineSendOptions, Request, Url,
};
use serde_json::{Value as Json, json};
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Context, Error, ErrorKind};

use crate::error::ApiError;
use stead_sdk::azure::Cloud;

/// API versions, by resource provider: those of azurerm 5.2.
pub(crate) const GROUPS: &str = "2023-07-01";
pub(crate) const KEY_VAULT: &str = "2026-02-01";
pub(crate) const STORAGE: &str = "2025-08-01";
pub(crate) const ROLE_ASSIGNMENTS: &str = "2022-04-01";
pub(crate) const ROLE_DEFINITIONS: &str = "2022-05-01-preview";
const PROVIDERS: &str = "2022-09-01";

const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const LOCATION: HeaderName = HeaderName::from_static("location");

/// Refusals that pass once another operation on the object has ended.
const BUSY: &[&str] = &[
    "AnotherOperationInProgress",
    "ConcurrentUpdateError",
    "StorageAccountOperationInProgress",
    "OperationInProgress",
];
/// How long such an operation may take.
const BUSY_FOR: Duration = Duration::from_secs(300);

/// One subscription's Resource Manager.
pub(crate) struct Arm {
    pipeline: Pipeline,
    base: String,
    subscription: String,
    /// Registers a resource provider when a request needs it.
    register: bool,
    /// The application that asks, for remedies.
    pub(crate) who: String,
}

/// What to ask for: method, path with its leading slash, API version.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) api: &'a str,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a Json>,
    /// Completes "Could not …": `create the vault "kv"`.
    pub(crate) doing: &'a str,
}

struct Answer {
    status: u16,
    operation: Option<String>,
    location: Option<String>,
    body: Json,
}

impl Arm {
    pub(crate) fn new(
        credential: Arc<dyn TokenCredential>,
        cloud: &Cloud,
        options: ClientOptions,
        subscription: &str,
        register: bool,
        who: &str,
    ) -> Arm {
        let bearer = BearerTokenAuthorizationPolicy::new(credential, vec![cloud.arm_scope.clone()]);
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options,
            Vec::new(),
            vec![Arc::new(bearer)],
            None,
        );
        Arm {
            pipeline,
            base: cloud.arm.clone(),
            subscription: subscription.to_owned(),
            register,
            who: who.to_owned(),
        }
    }

    /// The object, `None` when there is none.
    pub(crate) async fn get(
        &self,
        path: &str,
        api: &str,
        doing: &str,
        cx: &Context,
    ) -> Result<Option<Json>, ApiError> {
        let ask = Ask {
            method: Method::Get,
            path,
            api,
            query: &[],
            body: None,
            doing,
        };
        // A read may be given up half-way; a write under way is always finished.
        let answer = tokio::select! {
            answer = self.call(ask, cx) => answer,
            () = cx.cancelled().cancelled() => {
                Err(Error::of_kind(ErrorKind::Cancelled, doing, "interrupted").into())
            }
        };
        match answer {
            Ok(body) => Ok(Some(body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates or replaces the object, waits until that is done, and reads it.
    pub(crate) async fn put(
        &self,
        path: &str,
        api: &str,
        body: &Json,
        doing: &str,
        cx: &Context,
    ) -> Result<Json, ApiError> {
        self.write(Method::Put, path, api, body, doing, cx).await
    }

    /// Changes the object, waits until that is done, and reads it.
    pub(crate) async fn patch(
        &self,
        path: &str,
        api: &str,
        body: &Json,
        doing: &str,
        cx: &Context,
    ) -> Result<Json, ApiError> {
        self.write(Method::Patch, path, api, body, doing, cx).await
    }

    async fn write(
        &self,
        method: Method,
        path: &str,
        api: &str,
        body: &Json,
        doing: &str,
        cx: &Context,
    ) -> Result<Json, ApiError> {
        let ask = Ask {
            method,
            path,
            api,
            query: &[],
            body: Some(body),
            doing,
        };
        self.call(ask, cx).await?;
        // A read may still lag behind the write.
        let what = format!("{} to be readable", crate::ids::last(path));
        let polling = polling().timeout(Duration::from_secs(120));
        let found = wait::until(cx, &what, polling, || async {
            Ok(match self.get(path, api, doing, cx).await? {
                Some(found) if is_settled(&found)? => Poll::Ready(found),
                Some(_) => Poll::PendingBecause("it is still being made".into()),
                None => Poll::PendingBecause("not there yet".into()),
            })
        });
        found
            .await
            .map_err(|e| ApiError::from(e).after_acceptance())
    }

    /// Removes the object and waits until that is done; what is gone already is a success.
    pub(crate) async fn delete(
        &self,
        path: &str,
        api: &str,
        doing: &str,
        cx: &Context,
    ) -> Result<(), ApiError> {
        let ask = Ask {
            method: Method::Delete,
            path,
            api,
            query: &[],
            body: None,
            doing,
        };
        match self.call(ask, cx).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks, and follows a long operation to its end. Refusals because of another operation are waited out.
    pub(crate) async fn call(&self, ask: Ask<'_>, cx: &Context) -> Result<Json, ApiError> {
        let url = self.url(ask)?;
        let mut registered = false;
        let answer = loop {
            let sent = until_accepted(
                cx,
                ask.doing,
                BUSY_FOR,
                |e| e.is(BUSY),
                || self.send(ask.method, &url, ask.body, ask.doing),
            );
            match sent.await {
                Ok(answer) => break answer,
                Err(error)
                    if self.register
                        && !registered
                        && error.is(&["MissingSubscriptionRegistration"]) =>
                {
                    self.register_provider(ask.path, cx).await?;
                    registered = true;
                }
                Err(error) => return Err(error),
            }
        };
        let asynchronous = answer.operation.is_some() || answer.status == 202;
        if ask.method == Method::Get || !asynchronous {
            return Ok(answer.body);
        }
        match answer.operation.or(answer.location) {
            Some(url) => self
                .follow(&url, ask.doing, cx)
                .await
                .map_err(ApiError::after_acceptance),
            None => Ok(answer.body),
        }
    }

    /// Polls a long operation. `status` or `properties.provisioningState` decides; a 202 goes on, a 200 without either ends.
    async fn follow(&self, url: &str, doing: &str, cx: &Context) -> Result<Json, ApiError> {
        let asked = format!("{doing} (follow the operation)");
        // The token must not go anywhere else.
        let same = url
            .get(..self.base.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(&self.base))
            && url
                .get(self.base.len()..)
                .is_some_and(|rest| rest.starts_with('/'));
        if !same {
            let said = format!("the server points to an operation outside {}", self.base);
            return Err(Error::new(asked, said).into());
        }
        let url = parse_url(url)?;
        let what = format!("Azure to {doing}");
        let found = wait::until(cx, &what, polling(), || async {
            let answer = match self.send(Method::Get, &url, None, &asked).await {
                Ok(answer) => answer,
                Err(error) if error.is_not_found() => return Ok(Poll::Pending),
                Err(error) => return Err(error.into()),
            };
            let status = answer.body.get("status").and_then(Json::as_str);
            match status.or_else(|| provisioning_state(&answer.body)) {
                Some(state) if is_over(state, &answer.body, &asked)? => {
                    Ok(Poll::Ready(answer.body))
                }
                Some(state) => Ok(Poll::PendingBecause(state.to_owned())),
                None if answer.status == 202 => Ok(Poll::Pending),
                None => Ok(Poll::Ready(answer.body)),
            }
        });
        Ok(found.await?)
    }

    async fn register_provider(&self, path: &str, cx: &Context) -> Result<(), ApiError> {
        let Some((_, rest)) = path.rsplit_once("/providers/") else {
            return Ok(());
        };
        let namespace = rest.split('/').next().unwrap_or(rest);
        let path = format!("/subscriptions/{}/providers/{namespace}", self.subscription);
        let doing = format!("register the resource provider {namespace}");
        let register = format!("{path}/register");
        let ask = Ask {
            method: Method::Post,
            path: &register,
            api: PROVIDERS,
            query: &[],
            body: None,
            doing: &doing,
        };
        // Not through `call`, which calls this.
        self.send(ask.method, &self.url(ask)?, None, &doing).await?;
        let ask = Ask {
            method: Method::Get,
            path: &path,
            ..ask
        };
        let url = self.url(ask)?;
        let what = format!("{namespace} to be registered");
        let limit = polling().timeout(Duration::from_secs(600));
        let registered = wait::until(cx, &what, limit, || async {
            let answer = self.send(Method::Get, &url, None, &doing).await?;
            let state = answer.body.get("registrationState").and_then(Json::as_str);
            Ok(match state {
                Some("Registered") => Poll::Ready(()),
                state => Poll::PendingBecause(state.unwrap_or("unknown").to_owned()),
            })
        });
        Ok(registered.await?)
    }

    fn url(&self, ask: Ask<'_>) -> Result<Url, Error> {
        let mut url = parse_url(&format!("{}{}", self.base, ask.path))?;
        url.query_pairs_mut()
            .extend_pairs(ask.query)
            .append_pair("api-version", ask.api);
        Ok(url)
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Json>,
        doing: &str,
    ) -> Result<Answer, ApiError> {
        let asked = format!("{doing} ({method} {})", url.path());
        let mut request = Request::new(url.clone(), method);
        request.insert_header("accept", "application/json");
        match body {
            Some(body) => {
                request.insert_header("content-type", "application/json");
                request.set_body(body.to_string().into_bytes());
            }
            None if method == Method::Post => request.insert_header("content-length", "0"),
            None => {}
        }
        // Answers are judged here, because callers need codes and messages.
        let options = PipelineSendOptions {
            skip_checks: true,
            ..PipelineSendOptions::default()
        };
        let response = self
            .pipeline
            .send(&CallContext::new(), &mut request, Some(options))
            .await
            .map_err(|e| ApiError::from_azure(&asked, &e, &self.who))?;
        let status = u16::from(response.status());
        let bytes: &[u8] = response.body().as_ref();
        if !(200..300).contains(&status) {
            return Err(ApiError::answered(&asked, status, bytes, &self.who));
        }
        let header = |name| response.headers().get_optional_string(name);
        Ok(Answer {
            status,
            operation: header(&ASYNC_OPERATION),
            location: header(&LOCATION),
            // An empty body, or none in JSON, says nothing more than the status.
            body: serde_json::from_slice(bytes).unwrap_or_else(|_| json!({})),
        })
    }
}

fn parse_url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|e| Error::new(format!("make a request to {text:?}"), e.to_string()))
}

/// Small pauses at first, because the lab answers at once; long ones later, because Azure limits requests.
pub(crate) fn polling() -> Polling {
    Polling {
        first: Duration::from_millis(50),
        cap: Duration::from_secs(5),
        timeout: None,
        tolerate_transient: true,
    }
}

fn provisioning_state(body: &Json) -> Option<&str> {
    body.pointer("/properties/provisioningState")?.as_str()
}

/// Whether an operation has succeeded; an error when it has failed.
fn is_over(state: &str, body: &Json, asked: &str) -> Result<bool, Error> {
    match state.to_ascii_lowercase().as_str() {
        "succeeded" => Ok(true),
        "failed" | "canceled" | "cancelled" => {
            let error = body.get("error").unwrap_or(&Json::Null);
            let text = |name| error.get(name).and_then(Json::as_str);
            let said = format!(
                "the operation ended as {state}: {} {}",
                text("code").unwrap_or_default(),
                text("message").unwrap_or("no explanation")
            );
            Err(Error::new(asked, said))
        }
        _ => Ok(false),
    }
}

/// Whether an object that was read is done with being made; objects without a provisioning state always are.
fn is_settled(body: &Json) -> Result<bool, Error> {
    match provisioning_state(body) {
        // Key Vault calls a vault that is being set up `RegisteringDns`.
        Some(state) => is_over(state, body, "set up the object"),
        None => Ok(true),
    }
}

/// Repeats a request while its refusal is one that passes, at most for `limit`; then the refusal itself is the error.
pub(crate) async fn until_accepted<T, F, Fut>(
    cx: &Context,
    doing: &str,
    limit: Duration,
    passing: impl Fn(&ApiError) -> bool,
    mut operation: F,
) -> Result<T, ApiError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ApiError>>,
{
    let own = Instant::now() + limit;
    let deadline = cx.deadline().map_or(own, |d| d.min(own));
    let mut pause = Duration::from_millis(50);
    let mut reason = String::new();
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !passing(&error) || Instant::now() + pause >= deadline {
            return Err(error);
        }
        let now = error.reason();
        if now != reason {
            cx.progress(format!("waiting to {doing}: {now}"));
            reason = now;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cx.cancelled().cancelled() => {
                return Err(Error::from(error).with_kind(ErrorKind::Cancelled).into());
            }
        }
        pause = pause.mul_f64(1.5).min(Duration::from_secs(5));
    }
}
