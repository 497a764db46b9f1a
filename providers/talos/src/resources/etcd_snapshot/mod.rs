//! `talos_etcd_snapshot` (stead's own): snapshots of a cluster's etcd on a schedule, the last few of which are kept.
//!
//! There is no daemon: a snapshot is due when the newest is older than `every`, and the next apply takes it.

mod azure_blob;
mod place;
mod recovery;
mod s3;

use std::path::Path as File;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::wait::{Poll, parse_duration, until};
use stead_sdk::{Context, Error, ErrorKind, Failure, PlanDraft, Resource, async_trait, codec};

use super::apply::{check_client_configuration, plan_endpoint};
use crate::blocks::{
    ClientConfiguration, ClientConfigurationWriteOnly, CreateUpdateTimeouts, check_timeouts,
    effective_client_configuration, timeout_of,
};
use crate::client::Client;
use crate::machinery::snapshot::Summary;
use crate::node::{Api, Contact, Node, polling};

pub(crate) use azure_blob::AzureBlob;
pub use recovery::{Snapshots, Taken};
pub(crate) use s3::S3;

use place::{Place, Wanted};

/// The end of a snapshot's name.
const SUFFIX: &str = ".snapshot";
/// The time in it.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// Snapshots of a cluster's etcd, in files, in a container of Azure's or in a bucket of S3. The next apply takes one when the newest is older than `every`;
/// `stead recover` makes a lost control plane of the newest. They hold all secrets of the cluster: who can read them has the cluster.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_etcd_snapshot")]
pub(crate) struct EtcdSnapshot {
    /// The newest snapshot: its file, `https://…` or `s3://BUCKET/KEY`.
    #[attr(computed)]
    id: String,
    /// The control plane node that gives the snapshots.
    #[attr(required)]
    node: String,
    /// The address that is contacted, with an optional port; the node by default.
    #[attr(optional, computed)]
    endpoint: Option<String>,
    /// How to prove who one is to the node.
    #[attr(optional, nested(single))]
    client_configuration: Option<ClientConfiguration>,
    /// The same, never stored.
    #[attr(optional, write_only, nested(single))]
    client_configuration_wo: Option<ClientConfigurationWriteOnly>,
    /// The folder of the files; it is made when it is not there. The files can be read by their owner only.
    #[attr(optional, replace, exactly_one_of("directory", "azure_blob", "s3"))]
    directory: Option<String>,
    /// Keep them in a container of an Azure storage account instead.
    #[attr(optional, nested(single))]
    azure_blob: Option<AzureBlob>,
    /// Keep them in a bucket of S3 instead.
    #[attr(optional, nested(single))]
    s3: Option<S3>,
    /// How their names begin.
    #[attr(optional, computed, default = "etcd", replace)]
    prefix: String,
    /// How old the newest may be before the next apply takes another one, such as `24h`.
    #[attr(optional, computed, default = "24h")]
    every: String,
    /// How many are kept; older ones are deleted when there is a new one.
    #[attr(optional, computed, default = 7)]
    keep: i64,
    /// The newest snapshot: its file, `https://…` or `s3://BUCKET/KEY`.
    #[attr(computed)]
    path: Option<String>,
    /// When it was taken, in RFC 3339.
    #[attr(computed)]
    taken_at: Option<String>,
    /// Its size in bytes.
    #[attr(computed)]
    size: Option<i64>,
    /// Its SHA-256, in hexadecimal digits.
    #[attr(computed)]
    sha256: Option<String>,
    /// How long a snapshot may take.
    #[attr(optional, nested(single))]
    timeouts: Option<CreateUpdateTimeouts>,
}

/// What a new snapshot changes.
const OF_NEWEST: [&str; 5] = ["id", "path", "taken_at", "size", "sha256"];

impl EtcdSnapshot {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            directory: self.directory.as_deref(),
            azure_blob: self.azure_blob.as_ref(),
            s3: self.s3.as_ref(),
        }
    }

    /// The size of the newest snapshot in bytes, if it is there.
    async fn found_size(&self, client: &Client) -> Result<Option<u64>, Error> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let place = self.wanted().open(&client.dialer).await?;
        match place.name(path) {
            None => Ok(None),
            Some(name) => place.size(name).await,
        }
    }

    async fn take(
        mut self,
        client: &Client,
        config: &Value,
        timeout: Duration,
        cx: &Context,
    ) -> Result<Self, Error> {
        let cx = cx.clone().with_deadline(Instant::now() + timeout);
        let identity = effective_client_configuration(self.client_configuration.as_ref(), config)?;
        let endpoint = self.endpoint.as_deref().filter(|e| !e.is_empty());
        let node = Node::new(
            &client.dialer,
            endpoint.unwrap_or(&self.node),
            &self.node,
            &identity,
        )?;
        let place = self.wanted().open(&client.dialer).await?;
        let now = Timestamp::now();
        let name = format!("{}-{}{SUFFIX}", self.prefix, now.strftime(TIME));
        // Gone again unless all goes well.
        let unfinished = place.unfinished()?;
        let summary = snapshot(&node, unfinished.path(), &cx).await?;
        cx.progress(format!("keeping {}", place.address(&name)));
        within(&cx, place.keep(&name, unfinished, &summary), || {
            format!("keep the snapshot {}", place.address(&name))
        })
        .await?;
        self.delete_old(&place, &cx).await;
        let shown = place.address(&name);
        self.id.clone_from(&shown);
        self.path = Some(shown);
        self.taken_at = Some(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        self.size = i64::try_from(summary.size).ok();
        self.sha256 = Some(summary.sha256);
        Ok(self)
    }

    /// What cannot be deleted is told of: it takes space and harms nobody.
    async fn delete_old(&self, place: &Place, cx: &Context) {
        let keep = usize::try_from(self.keep).unwrap_or(1).max(1);
        let deleted = async {
            let names = snapshots(place, &self.prefix).await?;
            let old = names.len().saturating_sub(keep);
            for name in names.iter().take(old) {
                place.remove(name).await?;
            }
            Ok(())
        };
        if let Err(error) = deleted.await {
            let error: Error = error;
            cx.warn("Old etcd snapshots were not deleted", sentence(&error));
        }
    }
}

/// The snapshots that an object with this prefix made, oldest first.
async fn snapshots(place: &Place, prefix: &str) -> Result<Vec<String>, Error> {
    let mut names = place.names(&format!("{prefix}-")).await?;
    // The time in the name sorts as text.
    names.retain(|name| taken_at(name, prefix).is_some());
    Ok(names)
}

/// An error as a text of its own.
fn sentence(error: &Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text,
    }
}

/// What may take no longer than the operation, and ends when the user interrupts.
async fn within<T>(
    cx: &Context,
    work: impl Future<Output = Result<T, Error>>,
    asked: impl Fn() -> String,
) -> Result<T, Error> {
    let late = async {
        match cx.deadline() {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = work => done,
        () = late => Err(Error::of_kind(ErrorKind::TimedOut, asked(), "it took longer than `timeouts` allows")),
        () = cx.cancelled().cancelled() => Err(Error::of_kind(ErrorKind::Cancelled, asked(), "interrupted")),
    }
}

/// What an address would take for something else than a name. Whoever lists a folder does not look into those in it.
fn check_prefixes(config: &Value) -> Diagnostics {
    let own = Path::root().attr("prefix");
    let within = |block: &str| Path::root().attr(block).attr("prefix");
    let mut found = Diagnostics::new();
    for path in [own.clone(), within("azure_blob"), within("s3")] {
        let value = config.at(&path);
        let Some(prefix) = value.as_ref().and_then(Value::as_str) else {
            continue;
        };
        let detail = if path == own {
            if !prefix.contains('/') {
                continue;
            }
            "A name begins with it: it must not have a slash. The `prefix` of `azure_blob` and `s3` may."
        } else {
            let odd = prefix.split('/').any(|part| matches!(part, "." | ".."));
            if !odd && !prefix.starts_with('/') && !prefix.contains("//") {
                continue;
            }
            "It must neither begin with a slash nor have two in a row, nor \".\" or \"..\" between them."
        };
        found.push(Diagnostic::error("Invalid prefix", detail).attribute(path));
    }
    found
}

/// Why a snapshot is due, if one is.
fn due(taken_at: Option<&str>, wanted: &str, now: Timestamp) -> Result<Option<String>, Diagnostic> {
    let every = every(wanted)?;
    let Some(taken) = taken_at.and_then(|t| t.parse::<Timestamp>().ok()) else {
        return Ok(Some("the newest one is gone".to_owned()));
    };
    let age = Duration::try_from(now.duration_since(taken)).unwrap_or_default();
    Ok((age >= every)
        .then(|| format!("the newest one is of {taken}, and one is wanted every {wanted}")))
}

fn every(text: &str) -> Result<Duration, Diagnostic> {
    parse_duration(text).ok_or_else(|| {
        let detail = format!("{text:?} is not a duration such as \"24h\".");
        Diagnostic::error("Invalid duration", detail).attribute(Path::root().attr("every"))
    })
}

/// The time in a file's name, if it is that of a snapshot.
fn taken_at(name: &str, prefix: &str) -> Option<Timestamp> {
    let time = name
        .strip_prefix(prefix)?
        .strip_prefix('-')?
        .strip_suffix(SUFFIX)?;
    let time = jiff::civil::DateTime::strptime(TIME, time).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// A node that is away or whose etcd has no leader is waited for.
async fn snapshot(node: &Node, into: &File, cx: &Context) -> Result<Summary, Error> {
    let what = format!("a snapshot of etcd from {}", node.label());
    until(cx, &what, polling(), || async {
        let api: Api = match node.contact(cx).await? {
            Contact::Configured(api) => api,
            Contact::Maintenance(..) => {
                return Err(Error::new(
                    what.clone(),
                    "it is in maintenance mode: it has no etcd",
                ));
            }
            Contact::Stranger(error) => return Err(error),
            Contact::Away(why) => return Ok(Poll::PendingBecause(why)),
        };
        let opened = tokio::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(into)
            .await;
        let mut file = opened.map_err(|e| Error::new(what.clone(), e.to_string()))?;
        match api.etcd_snapshot(&mut file).await {
            Ok(summary) => Ok(Poll::Ready(summary)),
            Err(call) if call.is_final() => Err(Error::from(call)
                .remedy("Name one of the control plane nodes.")
                .attribute("node")),
            Err(call) => Ok(Poll::PendingBecause(call.reason())),
        }
    })
    .await
}

#[async_trait]
impl Resource for EtcdSnapshot {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_timeouts(config);
        found.extend(check_client_configuration(config));
        let duration = config.get("every");
        let checked = duration.as_ref().and_then(Value::as_str).map(every);
        found.extend(checked.and_then(Result::err));
        if config
            .get("keep")
            .and_then(|k| k.as_i64())
            .is_some_and(|keep| keep < 1)
        {
            let error =
                Diagnostic::error("Invalid number of snapshots", "At least 1 must be kept.");
            found.push(error.attribute(Path::root().attr("keep")));
        }
        found.extend(check_prefixes(config));
        found
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        plan_endpoint(draft)?;
        if let Some(client) = client {
            check_place(client, draft)?;
        }
        if draft.is_create() {
            return Ok(());
        }
        let (taken, wanted) = (draft.prior().get("taken_at"), draft.attribute("every"));
        let Some(wanted) = wanted.as_ref().and_then(Value::as_str) else {
            return Ok(());
        };
        let taken = taken.as_ref().and_then(Value::as_str);
        if let Some(why) = due(taken, wanted, Timestamp::now())? {
            for name in OF_NEWEST {
                draft.set_unknown(&Path::root().attr(name))?;
            }
            draft.note(format!("a snapshot is due: {why}"));
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let timeout = timeout_of(planned.timeouts.as_ref().and_then(|t| t.create.as_ref()))?;
        Ok(planned.take(client, config, timeout, cx).await?)
    }

    /// A snapshot that is gone is missed, and so is one that has another size; that its content is whole is looked at when it is used. A place
    /// that cannot be looked at stands in the way of nothing else: what is known of it stays, with a warning.
    async fn read(client: &Client, mut prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let size = match prior.found_size(client).await {
            Ok(size) => size,
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => {
                let detail = format!(
                    "{} They are taken to be as the state has them.",
                    sentence(&error)
                );
                cx.warn("Could not look at the etcd snapshots", detail);
                return Ok(Some(prior));
            }
        };
        if size.and_then(|size| i64::try_from(size).ok()) != prior.size {
            prior.path = None;
            prior.taken_at = None;
            prior.size = None;
            prior.sha256 = None;
        }
        Ok(Some(prior))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        if planned.path.is_some() && planned.path == prior.path {
            let place = planned.wanted().open(&client.dialer).await?;
            planned.delete_old(&place, cx).await;
            return Ok(planned);
        }
        let timeout = timeout_of(planned.timeouts.as_ref().and_then(|t| t.update.as_ref()))?;
        Ok(planned.take(client, config, timeout, cx).await?)
    }

    /// They stay: whoever destroys a cluster may want to have it back.
    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let found = async {
            let place = prior.wanted().open(&client.dialer).await?;
            let names = snapshots(&place, &prior.prefix).await?;
            Ok::<_, Error>((place.address(""), names))
        };
        let detail =
            "They hold all secrets of the cluster. Delete them when nobody needs them any more.";
        match found.await {
            Ok((_, names)) if names.is_empty() => {}
            Ok((place, _)) => {
                let place = place.trim_end_matches('/');
                cx.warn(format!("The etcd snapshots in {place} are kept"), detail);
            }
            // That nobody looks at them stops no destruction.
            Err(error) => cx.warn(
                "The etcd snapshots are kept",
                format!("{detail} {}", sentence(&error)),
            ),
        }
        Ok(())
    }
}

/// Says before anything is done what is wrong with the place, as far as nobody has to be asked. What is not known yet is looked at later.
fn check_place(client: &Client, draft: &PlanDraft) -> Result<(), Diagnostics> {
    let planned = draft.planned();
    let known = |name: &str| planned.get(name).is_some_and(|v| v.is_wholly_known());
    let azure_blob: Option<AzureBlob> = match known("azure_blob") {
        true => codec::attribute(planned, "azure_blob")?,
        false => None,
    };
    let s3: Option<S3> = match known("s3") {
        true => codec::attribute(planned, "s3")?,
        false => None,
    };
    let wanted = Wanted {
        directory: None,
        azure_blob: azure_blob.as_ref(),
        s3: s3.as_ref(),
    };
    Ok(wanted.check(&client.dialer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_due_when_the_newest_is_too_old_or_gone() {
        let now: Timestamp = "2026-11-30T20:30:00Z".parse().expect("a time");
        let due = |taken| due(taken, "24h", now).expect("a duration").is_some();
        assert!(!due(Some("2026-11-29T20:31:00Z")));
        assert!(due(Some("2026-11-29T20:30:00Z")));
        assert!(due(None));
    }

    #[test]
    fn only_our_own_files_are_counted() {
        let taken = taken_at("etcd-20261130T203000Z.snapshot", "etcd").expect("ours");
        assert_eq!(taken.to_string(), "2026-11-30T20:30:00Z");
        for other in [
            "etcd.snapshot",
            "etcd-old.snapshot",
            "home-20261130T203000Z.snapshot",
            "etcd-20261130T203000Z.db",
        ] {
            assert_eq!(taken_at(other, "etcd"), None, "{other}");
        }
    }
}
