//! What machines and containers have in common: where they are, their configuration, their power, their end.

mod address;
mod conflict;
mod copy;
mod found;
mod identifier;
mod planned;
mod pool;
mod presence;
mod resumed;
mod shown;
mod storage;
mod text;

use std::time::Duration;

use reqwest::Method;
use stead_sdk::wait::{Poll, Polling, until};
use stead_sdk::{Context, Discovered, Error};

use crate::client::{Client, Params, params, text as member};
use crate::table::{Change, Settings, settings_of};

#[cfg(test)]
pub(crate) use address::Address;
pub(crate) use address::IpConfig;
pub(crate) use conflict::refuse_conflict;
pub(crate) use copy::{Copy, copy};
pub(crate) use found::{ContainerSource, ContainersSource, MachineSource, MachinesSource};
pub(crate) use identifier::{refuse_taken, with_identifier};
pub(crate) use planned::{
    keep_description, keep_found, keep_masked, keep_order, keep_origin, keep_plain_block,
    keep_started, keep_tag_order, known, says_nothing,
};
pub(crate) use pool::move_between_pools;
pub(crate) use presence::{
    Card, File, Missing, check_bridges, check_files, check_mappings, check_source,
};
pub(crate) use resumed::resumed;
pub(crate) use shown::Shown;
pub(crate) use storage::{Place, check_storages};
pub(crate) use text::{Startup, described, joined_tags, tags, wait_enough};

/// Longer waits than a month are none that anybody means, and could not be added to a clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// A timeout attribute.
pub(crate) fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0).max(1)).min(LONGEST)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Machine,
    Container,
}

impl Kind {
    /// In paths.
    pub(crate) fn segment(self) -> &'static str {
        match self {
            Kind::Machine => "qemu",
            Kind::Container => "lxc",
        }
    }

    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Machine => "VM",
            Kind::Container => "container",
        }
    }
}

/// One guest, on the node where it is.
#[derive(Clone)]
pub(crate) struct Guest<'a> {
    pub(crate) client: &'a Client,
    pub(crate) cx: &'a Context,
    pub(crate) kind: Kind,
    pub(crate) node: String,
    pub(crate) id: i64,
}

impl<'a> Guest<'a> {
    pub(crate) fn new(
        client: &'a Client,
        cx: &'a Context,
        kind: Kind,
        node: &str,
        id: i64,
    ) -> Guest<'a> {
        Guest {
            client,
            cx,
            kind,
            node: node.to_owned(),
            id,
        }
    }

    /// The guest wherever it runs now, or `None` when the cluster has none with this identifier.
    pub(crate) async fn find(
        client: &'a Client,
        cx: &'a Context,
        kind: Kind,
        id: i64,
    ) -> Result<Option<(Guest<'a>, crate::client::Row)>, Error> {
        let row = client.guest(cx, id).await?;
        let row = row.filter(|row| row.is_container == (kind == Kind::Container));
        Ok(row.map(|row| (Guest::new(client, cx, kind, &row.node, id), row)))
    }

    /// `VM 100`
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.kind.noun(), self.id)
    }

    /// The path of something of this guest; of the guest itself when `rest` is empty.
    pub(crate) fn path(&self, rest: &str) -> String {
        let slash = if rest.is_empty() { "" } else { "/" };
        format!(
            "/nodes/{}/{}/{}{slash}{rest}",
            self.node,
            self.kind.segment(),
            self.id
        )
    }

    /// The configuration; `None` when the guest is gone.
    pub(crate) async fn config(&self) -> Result<Option<Settings>, Error> {
        let what = format!("read {}", self.name());
        let found = self
            .client
            .get(self.cx, &what, &self.path("config"), &Params::new())
            .await;
        match found {
            Ok(config) => Ok(Some(settings_of(&config))),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The configuration of a guest that must be there.
    pub(crate) async fn present(&self) -> Result<Settings, Error> {
        let gone = || Error::not_found(format!("change {}", self.name()), "it is gone");
        self.config().await?.ok_or_else(gone)
    }

    /// Sends a change, which the server takes only while the configuration is the one with this digest.
    pub(crate) async fn change(&self, change: Change, digest: Option<&str>) -> Result<(), Error> {
        if change.is_empty() {
            return Ok(());
        }
        let mut form: Params = change.set.into_iter().collect();
        if !change.delete.is_empty() {
            form.push(("delete".into(), change.delete.join(",")));
        }
        if let Some(digest) = digest {
            form.push(("digest".into(), digest.to_owned()));
        }
        let what = format!("change {}", self.name());
        let sent = self
            .client
            .change(self.cx, Method::PUT, &what, &self.path("config"), &form)
            .await;
        match sent {
            Err(e) if e.said().contains("checksum mismatch") => Err(e.remedy(
                "Somebody else changed it since it was read: look at what changed, and plan again.",
            )),
            other => other.map(|_| ()),
        }
    }

    /// Runs a task of this guest to its end. `what` completes "could not …".
    pub(crate) async fn task(
        &self,
        method: Method,
        what: &str,
        rest: &str,
        form: &Params,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.client
            .run(self.cx, method, what, &self.path(rest), form, timeout)
            .await
    }

    pub(crate) async fn is_running(&self) -> Result<bool, Error> {
        let what = format!("read the status of {}", self.name());
        let status = self
            .client
            .get(self.cx, &what, &self.path("status/current"), &Params::new())
            .await?;
        Ok(member(&status, "status").as_deref() == Some("running"))
    }

    pub(crate) async fn start(&self, timeout: Duration) -> Result<(), Error> {
        let form = match self.kind {
            Kind::Machine => params([("timeout", timeout.as_secs().to_string())]),
            Kind::Container => Params::new(),
        };
        let what = format!("start {}", self.name());
        let started = self
            .task(Method::POST, &what, "status/start", &form, timeout)
            .await;
        match started {
            Err(e) if e.said().contains("already running") => {}
            other => other?,
        }
        self.settle(true, timeout).await
    }

    /// Asks the guest to shut down; the server switches it off when it does not in time.
    pub(crate) async fn shut_down(&self, timeout: Duration) -> Result<(), Error> {
        let form = params([
            ("forceStop", "1".to_owned()),
            ("timeout", timeout.as_secs().to_string()),
        ]);
        let what = format!("stop {}", self.name());
        let wait = timeout + Duration::from_secs(60);
        self.task(Method::POST, &what, "status/shutdown", &form, wait)
            .await?;
        self.settle(false, wait).await
    }

    /// Switches the guest off.
    pub(crate) async fn switch_off(&self, timeout: Duration) -> Result<(), Error> {
        let what = format!("stop {}", self.name());
        self.task(Method::POST, &what, "status/stop", &Params::new(), timeout)
            .await?;
        self.settle(false, timeout).await
    }

    /// Restarts the guest from within, so that pending changes take effect.
    pub(crate) async fn reboot(&self, timeout: Duration) -> Result<(), Error> {
        let form = params([("timeout", timeout.as_secs().to_string())]);
        let what = format!("restart {}", self.name());
        self.task(Method::POST, &what, "status/reboot", &form, timeout)
            .await?;
        self.settle(true, timeout).await
    }

    /// Where HA has the say, the task ends before the guest follows.
    async fn settle(&self, running: bool, timeout: Duration) -> Result<(), Error> {
        self.client.guests_changed().await;
        let wanted = if running { "running" } else { "stopped" };
        let polling = Polling::default()
            .cap(Duration::from_secs(1))
            .timeout(timeout);
        let what = format!("{} to be {wanted}", self.name());
        until(self.cx, &what, polling, || async {
            Ok(match self.is_running().await? == running {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
        })
        .await
    }

    /// Moves the guest to another node with what it has on local storages (to `storage`, when it is named).
    pub(crate) async fn migrate(
        &self,
        target: &str,
        storage: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let running = i32::from(self.is_running().await?).to_string();
        let mut form = params([("target", target.to_owned())]);
        let mut set = |key: &str, value: &str| form.push((key.to_owned(), value.to_owned()));
        match self.kind {
            Kind::Machine => {
                set("online", &running);
                set("with-local-disks", "1");
            }
            // A container cannot move while it runs: it is stopped, moved and started.
            Kind::Container => set("restart", &running),
        }
        if !storage.is_empty() {
            let key = match self.kind {
                Kind::Machine => "targetstorage",
                Kind::Container => "target-storage",
            };
            set(key, storage);
        }
        let what = format!("migrate {} to {target}", self.name());
        self.task(Method::POST, &what, "migrate", &form, timeout)
            .await?;
        self.client.guests_changed().await;
        Ok(())
    }

    pub(crate) async fn make_template(&self, timeout: Duration) -> Result<(), Error> {
        let what = format!("make a template of {}", self.name());
        self.task(Method::POST, &what, "template", &Params::new(), timeout)
            .await?;
        self.client.guests_changed().await;
        Ok(())
    }

    /// Removes the guest, and waits until it is gone. One that is gone already is a success.
    pub(crate) async fn destroy(&self, query: &Params, timeout: Duration) -> Result<(), Error> {
        let what = format!("delete {}", self.name());
        let done = self.task(Method::DELETE, &what, "", query, timeout).await;
        self.client.guests_changed().await;
        match done {
            Err(e) if e.is_not_found() => return Ok(()),
            other => other?,
        }
        let polling = Polling::default().timeout(timeout);
        until(
            self.cx,
            &format!("{} to be gone", self.name()),
            polling,
            || async {
                Ok(match self.config().await? {
                    None => Poll::Ready(()),
                    Some(_) => Poll::Pending,
                })
            },
        )
        .await
    }

    /// Stops the guest, gently unless told otherwise, and removes it.
    pub(crate) async fn stop_and_destroy(
        &self,
        at_once: bool,
        purge: bool,
        unreferenced: bool,
        timeout: Duration,
    ) -> Result<(), Error> {
        if self.is_running().await? {
            match at_once {
                true => self.switch_off(timeout).await?,
                false => self.shut_down(timeout).await?,
            }
        }
        let flag = |value: bool| i32::from(value).to_string();
        let query = params([
            ("purge", flag(purge)),
            ("destroy-unreferenced-disks", flag(unreferenced)),
        ]);
        self.destroy(&query, timeout).await
    }

    /// Waits for the end of the task that makes the guest: it goes on when whoever began it is gone.
    pub(crate) async fn made(&self, timeout: Duration) -> Result<(), Error> {
        let what = format!("the task that was making {}", self.name());
        let polling = Polling::default().timeout(timeout);
        until(self.cx, &what, polling, || async {
            let found = self.config().await?;
            let lock = found.as_ref().and_then(|c| c.get("lock"));
            Ok(match lock.map(String::as_str) {
                Some("create" | "clone") => Poll::Pending,
                _ => Poll::Ready(()),
            })
        })
        .await?;
        self.client.guests_changed().await;
        Ok(())
    }

    /// Grows a volume; the caller knows that it is smaller.
    pub(crate) async fn grow(
        &self,
        disk: &str,
        size: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let form = params([("disk", disk.to_owned()), ("size", size.to_owned())]);
        let what = format!("resize {disk} of {}", self.name());
        self.task(Method::PUT, &what, "resize", &form, timeout)
            .await
    }

    /// Refuses to delete what is protected, before anything is stopped.
    pub(crate) fn refuse_protected(&self, protection: bool) -> Result<(), Error> {
        if !protection {
            return Ok(());
        }
        let error = Error::new(format!("delete {}", self.name()), "it is protected");
        Err(error
            .remedy("Set protection = false and apply, then destroy.")
            .attribute("protection"))
    }
}

/// The identifier in `NODE/ID`, or alone.
pub(crate) fn imported_identifier(kind: Kind, id: &str) -> Result<i64, Error> {
    let number = id.rsplit('/').next().and_then(|n| n.parse::<i64>().ok());
    number.ok_or_else(|| {
        Error::new(
            format!("import the {} {id}", kind.noun()),
            "it is not an identifier",
        )
        .remedy("Write NODE/ID, such as pve/100.")
    })
}

/// Finds what is to be imported: its identifier and node.
pub(crate) async fn import(
    client: &Client,
    cx: &Context,
    kind: Kind,
    id: &str,
) -> Result<(i64, String), Error> {
    let number = imported_identifier(kind, id)?;
    let found = Guest::find(client, cx, kind, number).await?;
    let (guest, _) = found.ok_or_else(|| {
        let noun = kind.noun();
        let said = format!("there is no such {noun} in the cluster");
        Error::not_found(format!("import the {noun} {id}"), said)
    })?;
    Ok((number, guest.node))
}

/// What tells a guest from all others: identifiers are of the whole cluster.
pub(crate) fn key(id: i64) -> String {
    format!("/guests/{id}")
}

/// The guests of a kind that exist, by the one list that has all.
pub(crate) async fn discover(
    client: &Client,
    cx: &Context,
    kind: Kind,
) -> Result<Vec<Discovered>, Error> {
    let guests = client.guests(cx).await?;
    let mut rows: Vec<_> = guests
        .iter()
        .filter(|row| row.is_container == (kind == Kind::Container))
        .collect();
    rows.sort_by_key(|row| row.id);
    let discovered = rows.into_iter().map(|row| Discovered {
        id: format!("{}/{}", row.node, row.id),
        key: key(row.id),
        name: row.name.clone(),
        left_alone: None,
    });
    Ok(discovered.collect())
}
