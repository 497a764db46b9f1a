//! What etcd can bear: a restart of one of its members, or its leaving.

use stead_sdk::Error;
use stead_sdk::wait::Poll;

use crate::api::machine::EtcdMember;
use crate::data::ailment;
use crate::node::{Api, CallError};
use crate::resources::url_host;

/// A node's place in etcd.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// It is no member, or not yet: nothing of etcd depends on it.
    None,
    /// It is the only member.
    Last,
    /// One of several.
    Member,
}

/// What a poll makes of a failed call: it may pass, unless the node says no to whoever asks.
fn setback<T>(call: CallError) -> Result<Poll<T>, Error> {
    if call.is_final() {
        return Err(call.into());
    }
    Ok(Poll::PendingBecause(call.reason()))
}

macro_rules! attempt {
    ($call:expr) => {
        match $call.await {
            Ok(value) => value,
            Err(call) => return setback(call),
        }
    };
}

/// The members as a node's own etcd sees them, and which of them is the node; `None` when the node has no etcd that runs for
/// others.
async fn membership(api: &Api) -> Result<Poll<Option<(u64, Vec<EtcdMember>)>>, Error> {
    let service = attempt!(api.service("etcd"));
    let Some(service) = service else {
        return Ok(Poll::Ready(None));
    };
    // It waits for its bootstrap or for being let in, or has left.
    if matches!(
        service.state.as_str(),
        "Preparing" | "Waiting" | "Initialized" | "Finished" | "Skipped"
    ) {
        return Ok(Poll::Ready(None));
    }
    if let Some(why) = ailment("etcd", Some(&service)) {
        return Ok(Poll::PendingBecause(why));
    }
    let own = attempt!(api.etcd_status()).member_id;
    let members = attempt!(api.etcd_members());
    Ok(Poll::Ready(Some((own, members))))
}

/// What is wrong with the other members, each with its name.
async fn ailing(api: &Api, own: u64, members: &[EtcdMember]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for member in members.iter().filter(|m| m.id != own) {
        if let Some(why) = what_ails(api, member).await? {
            found.push(format!("{}: {why}", member.hostname));
        }
    }
    Ok(found)
}

async fn what_ails(api: &Api, member: &EtcdMember) -> Result<Option<String>, Error> {
    if member.is_learner {
        return Ok(Some("it is still learning".to_owned()));
    }
    let urls = member.client_urls.iter().chain(&member.peer_urls);
    let Some(address) = urls.into_iter().find_map(|url| url_host(url)) else {
        return Ok(Some("it has not started yet".to_owned()));
    };
    let other = api.for_node(address)?;
    let service = match other.service("etcd").await {
        Ok(service) => service,
        Err(call) => return Ok(Some(call.reason())),
    };
    if let Some(why) = ailment("etcd", service.as_ref()) {
        return Ok(Some(why));
    }
    Ok(match other.etcd_status().await {
        Ok(status) if status.errors.is_empty() => None,
        Ok(status) => Some(status.errors.join("; ")),
        Err(call) => Some(call.reason()),
    })
}

/// Whether etcd keeps its quorum while the node restarts: every other member has to be well.
pub(super) async fn may_restart(api: &Api) -> Result<Poll<Place>, Error> {
    let (own, members) = match membership(api).await? {
        Poll::Ready(Some(found)) => found,
        Poll::Ready(None) => return Ok(Poll::Ready(Place::None)),
        Poll::Pending => return Ok(Poll::Pending),
        Poll::PendingBecause(why) => return Ok(Poll::PendingBecause(why)),
    };
    match members.len() {
        0 | 1 => return Ok(Poll::Ready(Place::Last)),
        2 => {
            let error = Error::new(
                "take a member of etcd out of service",
                "etcd has two members: while one restarts, the other one is no majority, and the cluster stands still",
            );
            return Err(error.remedy(
                "Add a third control plane node first, or remove one, so that a single one is left.",
            ));
        }
        _ => {}
    }
    let ailing = ailing(api, own, &members).await?;
    Ok(if ailing.is_empty() {
        Poll::Ready(Place::Member)
    } else {
        Poll::PendingBecause(format!("etcd is not whole: {}", ailing.join("; ")))
    })
}

/// Whether etcd keeps its quorum when the node leaves for good: more than half of those that stay have to be well.
pub(super) async fn may_leave(api: &Api) -> Result<Poll<Place>, Error> {
    let (own, members) = match membership(api).await? {
        Poll::Ready(Some(found)) => found,
        Poll::Ready(None) => return Ok(Poll::Ready(Place::None)),
        Poll::Pending => return Ok(Poll::Pending),
        Poll::PendingBecause(why) => return Ok(Poll::PendingBecause(why)),
    };
    let staying = members.iter().filter(|m| m.id != own).count();
    if staying == 0 {
        return Ok(Poll::Ready(Place::Last));
    }
    let ailing = ailing(api, own, &members).await?;
    if staying.saturating_sub(ailing.len()) > staying / 2 {
        return Ok(Poll::Ready(Place::Member));
    }
    Ok(Poll::PendingBecause(format!(
        "of the {staying} members that would stay too few are well: {}",
        ailing.join("; ")
    )))
}

/// Whether the node's own etcd is well again and counts it as a member.
pub(super) async fn is_back(api: &Api) -> Result<Poll<()>, Error> {
    Ok(match membership(api).await? {
        Poll::Ready(Some((own, members))) if members.iter().any(|m| m.id == own) => Poll::Ready(()),
        Poll::Ready(_) => Poll::PendingBecause("its etcd is not a member yet".to_owned()),
        Poll::Pending => Poll::Pending,
        Poll::PendingBecause(why) => Poll::PendingBecause(why),
    })
}
