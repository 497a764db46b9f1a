//! The API client: one call, its authentication, and what many objects read at once.

mod answer;
mod inventory;
mod lists;
mod permissions;
mod planned;
mod session;
mod task;
mod upload;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use stead_sdk::retry::{Backoff, with_backoff};
use stead_sdk::{Context, Dialer, Error, HttpOptions, TlsOptions, redact_url};

pub(crate) use answer::{flag, number, text};
pub(crate) use inventory::Row;
pub(crate) use lists::AT_ONCE;
pub(crate) use permissions::Permissions;
pub(crate) use planned::{Kind as PlannedKind, Short};
pub(crate) use session::Credentials;
pub(crate) use task::is_lock_timeout;
pub(crate) use upload::Outgoing;

use inventory::Inventory;
use lists::Lists;
use planned::Planned;
use session::Session;

/// Form fields or query parameters.
pub(crate) type Params = Vec<(String, String)>;

/// Joins names and values to parameters.
pub(crate) fn params<const N: usize>(pairs: [(&str, String); N]) -> Params {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

pub(crate) struct Client {
    dialer: Dialer,
    http: reqwest::Client,
    /// Ends in `/api2/json`.
    base: String,
    session: Session,
    inventory: Inventory,
    /// Asked for once.
    permissions: tokio::sync::OnceCell<Option<Arc<Permissions>>>,
    /// What the plans so far will bring.
    pub(crate) planned: Planned,
    lists: Lists,
    /// VM identifiers that machines of this process were given or that turned out to be taken.
    pub(crate) identifiers: tokio::sync::Mutex<std::collections::HashSet<i64>>,
    /// Where identifiers are drawn from when they are to be random.
    random_ids: Option<std::ops::RangeInclusive<i64>>,
    /// Machines of the state that were planned: their identifiers are taken by themselves when they are replaced.
    managed: Mutex<std::collections::HashSet<i64>>,
    /// Only so many at a time per template or storage as the server lets through without running into a lock's timeout.
    queues: Mutex<HashMap<String, Arc<tokio::sync::Semaphore>>>,
    /// How nodes are logged in to.
    ssh: crate::ssh::Settings,
    /// Where files wait that are on their way from a URL to a node; the machine's own folder for such things when it is `None`.
    temporary: Option<PathBuf>,
}

impl Client {
    pub(crate) fn new(
        dialer: Dialer,
        endpoint: &str,
        credentials: Credentials,
        tls: TlsOptions,
    ) -> Result<Client, Error> {
        let base = endpoint
            .trim_end_matches('/')
            .trim_end_matches("/api2/json")
            .trim_end_matches('/');
        let is_loopback =
            |host: Option<&str>| matches!(host, Some("127.0.0.1" | "localhost" | "[::1]"));
        let url = reqwest::Url::parse(base).ok();
        let good = url.as_ref().is_some_and(|u| {
            u.scheme() == "https" || (u.scheme() == "http" && is_loopback(u.host_str()))
        });
        if !good {
            return Err(Error::new(
                format!("use the endpoint {}", redact_url(base)),
                "it is not an https address",
            )
            .remedy("Write the node's address as `https://HOST:8006`.")
            .attribute("endpoint"));
        }
        let options = HttpOptions {
            tls,
            // The server gives up after 30 s on requests to other nodes; its own may queue for a lock before that.
            timeout: Some(std::time::Duration::from_secs(120)),
            http1_only: true,
            ..HttpOptions::default()
        };
        Ok(Client {
            http: dialer.http(&options)?,
            dialer,
            base: format!("{base}/api2/json"),
            session: Session::new(credentials),
            inventory: Inventory::default(),
            permissions: tokio::sync::OnceCell::new(),
            planned: Planned::default(),
            lists: Lists::default(),
            identifiers: tokio::sync::Mutex::default(),
            random_ids: None,
            managed: Mutex::default(),
            queues: Mutex::default(),
            ssh: crate::ssh::Settings::default(),
            temporary: None,
        })
    }

    /// Whether requests come from root@pam itself: some settings are for nobody else, not even for root's tokens.
    pub(crate) fn is_root(&self) -> bool {
        self.session.is_root()
    }

    /// Who asks: `USER@REALM`, or `USER@REALM!TOKEN`.
    pub(crate) fn caller(&self) -> Option<&str> {
        self.session.caller()
    }

    /// Notes that the state has this machine.
    pub(crate) fn manages(&self, id: i64) {
        let mut managed = self.managed.lock().unwrap_or_else(PoisonError::into_inner);
        managed.insert(id);
    }

    pub(crate) fn is_managed(&self, id: i64) -> bool {
        let managed = self.managed.lock().unwrap_or_else(PoisonError::into_inner);
        managed.contains(&id)
    }

    /// New guests get random identifiers from this range.
    #[must_use]
    pub(crate) fn with_random_ids(mut self, range: std::ops::RangeInclusive<i64>) -> Client {
        self.random_ids = Some(range);
        self
    }

    /// Nodes are logged in to like this.
    #[must_use]
    pub(crate) fn with_ssh(mut self, settings: crate::ssh::Settings) -> Client {
        self.ssh = settings;
        self
    }

    pub(crate) fn ssh(&self) -> &crate::ssh::Settings {
        &self.ssh
    }

    /// Files that wait lie in this folder.
    #[must_use]
    pub(crate) fn with_temporary_folder(mut self, folder: Option<PathBuf>) -> Client {
        self.temporary = folder;
        self
    }

    /// A file without a name, which is gone when it is closed.
    pub(crate) fn temporary_file(&self) -> Result<std::fs::File, Error> {
        let made = match &self.temporary {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        made.map_err(|e| {
            Error::new("make a temporary file", e.to_string())
                .remedy("Set `tmp_dir` in the provider block to a folder with enough space.")
        })
    }

    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    pub(crate) fn random_ids(&self) -> Option<std::ops::RangeInclusive<i64>> {
        self.random_ids.clone()
    }

    /// Waits for a place in the queue of a template or storage, which lets `width` through at a time.
    pub(crate) async fn turn(
        &self,
        name: &str,
        width: usize,
    ) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = queues.entry(name.to_owned());
            Arc::clone(queue.or_insert_with(|| Arc::new(tokio::sync::Semaphore::new(width))))
        };
        // Nobody closes the queue.
        queue.acquire_owned().await.ok()
    }

    /// Reads; tried again when the connection fails. `what` completes "could not …".
    pub(crate) async fn get(
        &self,
        cx: &Context,
        what: &str,
        path: &str,
        query: &Params,
    ) -> Result<Json, Error> {
        let policy = Backoff {
            attempts: 3,
            ..Backoff::default()
        };
        with_backoff(
            cx,
            policy,
            |e| e.is_transient(),
            || self.call(reqwest::Method::GET, what, path, query),
        )
        .await
    }

    /// Changes something; tried again only when the server says that it did nothing for want of a lock or a worker.
    pub(crate) async fn change(
        &self,
        cx: &Context,
        method: reqwest::Method,
        what: &str,
        path: &str,
        form: &Params,
    ) -> Result<Json, Error> {
        with_backoff(cx, Backoff::default(), answer::did_nothing, || {
            self.call(method.clone(), what, path, form)
        })
        .await
    }

    /// One request, logged in; a ticket that has expired is renewed once.
    async fn call(
        &self,
        method: reqwest::Method,
        what: &str,
        path: &str,
        params: &Params,
    ) -> Result<Json, Error> {
        let asked = format!("{what} ({method} {path})");
        let first = self.exchange(&method, &asked, path, params).await;
        match first {
            Err(error) if error.status() == Some(401) && self.session.forget().await => {
                self.exchange(&method, &asked, path, params).await
            }
            other => other,
        }
    }

    async fn exchange(
        &self,
        method: &reqwest::Method,
        asked: &str,
        path: &str,
        params: &Params,
    ) -> Result<Json, Error> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base));
        request = match *method {
            reqwest::Method::GET | reqwest::Method::DELETE => request.query(params),
            _ => request.form(params),
        };
        let request = self.session.sign(request, self).await?;
        answer::read(asked, self.dialer.send(request).await?).await
    }

    /// A request without a login: for logging in.
    async fn exchange_unsigned(
        &self,
        asked: &str,
        path: &str,
        form: &Params,
    ) -> Result<Json, Error> {
        let request = self.http.post(format!("{}{path}", self.base)).form(form);
        answer::read(asked, self.dialer.send(request).await?).await
    }
}
