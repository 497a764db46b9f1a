//! One client's session: login, rights, and the calls that concern the session itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{EACCES, EBUSY, EFAULT, EINVAL, ENOTAUTHENTICATED, Failure};
use crate::query::query;
use crate::schema::Method;
use crate::system::{System, now};
use crate::{jobs, methods};

/// Calls that each unauthenticated method may get from one address in the window.
const RATE_LIMIT: usize = 20;
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// Who may be told of what.
const COLLECTIONS: &[&str] = &[
    "pool.dataset.query",
    "sharing.nfs.query",
    "service.query",
    "core.get_jobs",
];

/// Unauthenticated calls by method and address.
#[derive(Default)]
pub(crate) struct Limiter {
    calls: Mutex<BTreeMap<(String, IpAddr), Vec<Instant>>>,
}

impl Limiter {
    /// Whether one more call is too many. Time that the lab's pace makes nothing of makes nothing of the window either.
    fn exceeded(&self, method: &str, peer: IpAddr, window: Duration) -> bool {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let times = calls.entry((method.to_owned(), peer)).or_default();
        times.retain(|t| t.elapsed() < window);
        times.push(Instant::now());
        times.len() > RATE_LIMIT
    }
}

/// A connection's side of the session.
pub(crate) struct Session {
    system: Arc<System>,
    limiter: Arc<Limiter>,
    peer: IpAddr,
    /// TLS.
    secure: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    user: Option<User>,
    job_results: bool,
    /// Collections by subscription id.
    subscriptions: BTreeMap<String, String>,
}

#[derive(Clone)]
struct User {
    name: String,
    roles: Vec<String>,
}

impl Session {
    pub(crate) fn new(
        system: Arc<System>,
        limiter: Arc<Limiter>,
        peer: IpAddr,
        secure: bool,
    ) -> Session {
        Session {
            system,
            limiter,
            peer,
            secure,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn logged_in(&self) -> bool {
        self.inner().user.is_some()
    }

    /// Whether the client subscribed to this collection.
    pub(crate) fn hears(&self, collection: &str) -> bool {
        self.inner().subscriptions.values().any(|c| c == collection)
    }

    /// One call: checks who asks and what, then does it.
    pub(crate) async fn call(&self, name: &str, params: &[Value]) -> Result<Value, Failure> {
        let method = self.system.api.method(name).ok_or(Failure::NoMethod)?;
        self.permit(name, method).await?;
        let params = self
            .system
            .api
            .check(method, params)
            .map_err(Failure::Invalid)?;
        if let Some(outcome) = self.own_call(name, &params) {
            return outcome;
        }
        if !method.job {
            return methods::invoke(&self.system, name, &params);
        }
        let user = self
            .inner()
            .user
            .as_ref()
            .map(|u| u.name.clone())
            .unwrap_or_default();
        let id = jobs::start(&self.system, name, method, params, &user);
        if self.inner().job_results {
            return self.system.jobs.wait(id).await;
        }
        Ok(json!(id))
    }

    async fn permit(&self, name: &str, method: &Method) -> Result<(), Failure> {
        let user = self.inner().user.clone();
        let Some(user) = user else {
            if method.authentication_required {
                return Err(Failure::call(ENOTAUTHENTICATED, "Not authenticated"));
            }
            let window = self.system.lab.settings.duration(RATE_WINDOW);
            if method.rate_limit && self.limiter.exceeded(name, self.peer, window) {
                tokio::time::sleep(self.system.lab.settings.duration(Duration::from_secs(1))).await;
                return Err(Failure::call(EBUSY, "Rate Limit Exceeded"));
            }
            return Ok(());
        };
        if !method.authorization_required
            || !method.authentication_required
            || allowed(&user.roles, &method.roles)
        {
            return Ok(());
        }
        Err(Failure::call(EACCES, "Not authorized"))
    }

    /// Calls about the session; `None` for all others.
    fn own_call(&self, name: &str, params: &[Value]) -> Option<Result<Value, Failure>> {
        let arg = |at: usize| params.get(at).unwrap_or(&Value::Null);
        let text = |at: usize| arg(at).as_str().unwrap_or_default();
        Some(match name {
            "auth.mechanism_choices" => {
                Ok(json!(["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"]))
            }
            "auth.login_ex" => self.login_ex(arg(0)),
            "auth.login_with_api_key" => Ok(json!(self.api_key(None, text(0)) == "SUCCESS")),
            "auth.login" => Ok(json!(self.password(text(0), text(1)) == "SUCCESS")),
            "auth.login_with_token" => Ok(json!(self.token(text(0)) == "SUCCESS")),
            "auth.generate_token" => self.generate_token(arg(0)),
            "auth.me" => Ok(self.user_info()),
            "auth.logout" => {
                self.inner().user = None;
                Ok(Value::Bool(true))
            }
            "core.set_options" => self.set_options(arg(0)),
            "core.subscribe" => self.subscribe(text(0)),
            "core.unsubscribe" => {
                self.inner().subscriptions.remove(text(0));
                Ok(Value::Null)
            }
            "core.get_jobs" => query(self.system.jobs.entries(), arg(0), arg(1)),
            _ => return None,
        })
    }

    fn login_ex(&self, data: &Value) -> Result<Value, Failure> {
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        let response = match text("mechanism") {
            "API_KEY_PLAIN" => self.api_key(Some(text("username")), text("api_key")),
            "PASSWORD_PLAIN" => self.password(text("username"), text("password")),
            "TOKEN_PLAIN" => self.token(text("token")),
            other => {
                return Err(Failure::call(
                    EINVAL,
                    format!("{other}: no authentication in progress"),
                ));
            }
        };
        if response != "SUCCESS" {
            return Ok(json!({"response_type": response}));
        }
        let wanted = data.pointer("/login_options/user_info") != Some(&Value::Bool(false));
        let user_info = if wanted {
            self.user_info()
        } else {
            Value::Null
        };
        Ok(json!({"response_type": "SUCCESS", "user_info": user_info, "authenticator": "LEVEL_1"}))
    }

    /// Login with `ID-SECRET`. A right key over a connection that anybody can read is revoked on the spot.
    fn api_key(&self, username: Option<&str>, key: &str) -> &'static str {
        let id = key
            .split_once('-')
            .and_then(|(id, _)| id.parse::<i64>().ok());
        let found = self
            .system
            .options
            .keys
            .iter()
            .find(|k| k.key.0 == key && username.is_none_or(|u| u == k.username));
        let (Some(id), Some(found)) = (id, found) else {
            return "AUTH_ERR";
        };
        let revoked = self.system.state().revoked_keys.contains(&id);
        if revoked {
            return "EXPIRED";
        }
        if !self.secure {
            self.system.state().revoked_keys.insert(id);
            self.system.changed();
            tracing::warn!(
                key = id,
                "API key revoked: it came over an insecure connection"
            );
            return "EXPIRED";
        }
        self.enter(&found.username, found.roles.clone())
    }

    fn password(&self, username: &str, password: &str) -> &'static str {
        let options = &self.system.options;
        if username != options.username || options.password.as_ref().is_none_or(|p| p.0 != password)
        {
            return "AUTH_ERR";
        }
        self.enter(username, vec!["FULL_ADMIN".to_owned()])
    }

    fn token(&self, token: &str) -> &'static str {
        let mut tokens = self
            .system
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, until| *until > now());
        if !tokens.contains_key(token) {
            return "AUTH_ERR";
        }
        drop(tokens);
        self.enter(
            &self.system.options.username.clone(),
            vec!["FULL_ADMIN".to_owned()],
        )
    }

    fn enter(&self, username: &str, roles: Vec<String>) -> &'static str {
        self.inner().user = Some(User {
            name: username.to_owned(),
            roles,
        });
        "SUCCESS"
    }

    fn generate_token(&self, ttl: &Value) -> Result<Value, Failure> {
        let full = self
            .inner()
            .user
            .as_ref()
            .is_some_and(|u| u.roles.iter().any(|r| r == "FULL_ADMIN"));
        if !full {
            return Err(Failure::call(
                EFAULT,
                "the lab gives tokens to full administrators only",
            ));
        }
        let token = Uuid::new_v4().simple().to_string();
        let until = now().saturating_add(ttl.as_i64().unwrap_or(600).saturating_mul(1000));
        self.system
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token.clone(), until);
        Ok(json!(token))
    }

    fn user_info(&self) -> Value {
        let Some(user) = self.inner().user.clone() else {
            return Value::Null;
        };
        let root = user.name == "root";
        let id = if root { 0 } else { 950 };
        let roles: BTreeMap<&str, Vec<&str>> =
            BTreeMap::from([("$set", user.roles.iter().map(String::as_str).collect())]);
        json!({
            "pw_name": user.name, "pw_gecos": user.name, "pw_dir": if root { "/root".to_owned() } else { format!("/home/{}", user.name) },
            "pw_shell": "/usr/bin/zsh", "pw_uid": id, "pw_gid": id, "grouplist": [544, id], "sid": null, "source": "LOCAL", "local": true,
            "attributes": {}, "two_factor_config": {"provisioning_uri": null, "secret_configured": false, "interval": 30, "otp_digits": 6},
            "privilege": {"allowlist": [{"method": "*", "resource": "*"}], "web_shell": true, "webui_access": true, "roles": roles},
            "account_attributes": ["LOCAL", "SYS_ADMIN", "API_KEY"],
        })
    }

    fn set_options(&self, options: &Value) -> Result<Value, Failure> {
        let flag = |name: &str| options.get(name).and_then(Value::as_bool);
        if flag("private_methods") == Some(true) {
            return Err(Failure::not_simulated(
                "private methods (core.set_options private_methods)",
            ));
        }
        let mut inner = self.inner();
        if let Some(legacy) = flag("legacy_jobs") {
            inner.job_results = !legacy;
        }
        Ok(
            json!({"legacy_jobs": !inner.job_results, "private_methods": false, "py_exceptions": flag("py_exceptions").unwrap_or(false)}),
        )
    }

    fn subscribe(&self, collection: &str) -> Result<Value, Failure> {
        if !COLLECTIONS.contains(&collection) {
            return Err(Failure::not_simulated(&format!("the event {collection}")));
        }
        let id = Uuid::new_v4().to_string();
        self.inner()
            .subscriptions
            .insert(id.clone(), collection.to_owned());
        Ok(json!(id))
    }
}

/// Whether somebody with these roles may call a method that wants one of `wanted`.
fn allowed(have: &[String], wanted: &[String]) -> bool {
    let has = |role: &str| have.iter().any(|h| h == role);
    let reading = |role: &String| role.ends_with("_READ") || role == "READONLY_ADMIN";
    has("FULL_ADMIN")
        || wanted.iter().any(|w| has(w))
        || (has("READONLY_ADMIN") && wanted.iter().any(reading))
        // Writing implies reading the same thing.
        || wanted.iter().filter_map(|w| w.strip_suffix("_READ")).any(|base| has(&format!("{base}_WRITE")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_imply_what_they_should() {
        let own = |roles: &[&str]| roles.iter().map(|&r| r.to_owned()).collect::<Vec<_>>();
        assert!(allowed(&own(&["FULL_ADMIN"]), &own(&["DATASET_WRITE"])));
        assert!(allowed(&own(&["READONLY_ADMIN"]), &own(&["DATASET_READ"])));
        assert!(!allowed(
            &own(&["READONLY_ADMIN"]),
            &own(&["DATASET_WRITE"])
        ));
        assert!(allowed(&own(&["DATASET_WRITE"]), &own(&["DATASET_READ"])));
        assert!(!allowed(
            &own(&["DATASET_READ"]),
            &own(&["SHARING_NFS_READ"])
        ));
    }
}
