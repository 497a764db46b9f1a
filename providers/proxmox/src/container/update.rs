//! Changing a container: one request for its settings, its volumes, then what must restart.

use std::time::Duration;

use stead_sdk::{Context, Error, Failure};

use crate::client::{Client, Row};
use crate::container::effect::restarts;
use crate::container::schema::{Container, MountPoint};
use crate::container::{addresses, decode, encode, id_map, reread};
use crate::guest::{Guest, Kind, move_between_pools, refuse_conflict, seconds};
use crate::property::{Properties, bytes};
use crate::table::{Change, Settings};

pub(crate) async fn update(
    client: &Client,
    prior: Container,
    planned: Container,
    cx: &Context,
) -> Result<Container, Failure<Container>> {
    let id = prior.identifier()?;
    let found = Guest::find(client, cx, Kind::Container, id).await?;
    let (guest, row) = found.ok_or_else(|| {
        Error::not_found(
            format!("change container {id}"),
            "there is no such container any more",
        )
    })?;
    let mut container = planned;
    match apply(&guest, &row, &prior, &mut container).await {
        Ok(restarted) => {
            let mut container = reread(&guest, container).await?;
            if restarted && let Err(error) = addresses::wait(&guest, &mut container).await {
                return Err(Failure::partial(error, container));
            }
            Ok(container)
        }
        // Part of it may have been done: what the server has is the truth.
        Err(error) => {
            let now = reread(&guest, prior).await;
            Err(Failure {
                error,
                partial: now.map_or_else(|f| f.partial, Some),
                usable: false,
            })
        }
    }
}

/// Whether it started or restarted.
async fn apply(
    guest: &Guest<'_>,
    row: &Row,
    prior: &Container,
    container: &mut Container,
) -> Result<bool, Error> {
    let now = guest.present().await?;
    let found = decode::container(prior.clone(), row, &now, false);
    let [was, wanted, is] = [prior, &*container, &found].map(encode::settings);
    refuse_conflict(guest, &was, &wanted, &is)?;
    move_between_pools(guest, &prior.pool_id, &container.pool_id).await?;
    let timeout = seconds(container.timeout_update);
    if row.running && !container.started {
        guest.shut_down(stop_timeout(container)).await?;
    }
    keep_addresses(container, prior);
    let (mut old, mut new) = (prior.clone(), container.clone());
    if container.clone.is_some() {
        // What the configuration does not mention is as it is.
        let copied = decode::container(Container::default(), row, &now, true);
        inherit(&mut old, &copied);
        inherit(&mut new, &copied);
    }
    let change = Change::between(&encode::settings(&old), &encode::settings(&new));
    send(guest, container, Some(prior), change, &now).await?;
    if prior.idmap != container.idmap {
        id_map::write(guest, container, guest.cx).await?;
    }
    if container.template || !container.started {
        return Ok(false);
    }
    if !row.running {
        guest.start(timeout).await?;
        return Ok(true);
    }
    let restart = restarts(&old, &new);
    if restart {
        guest.reboot(timeout).await?;
    }
    Ok(restart)
}

/// The server is given time to switch it off before nobody waits any more.
pub(crate) fn stop_timeout(container: &Container) -> Duration {
    seconds(container.timeout_delete.saturating_sub(5))
}

/// Cards whose address people leave to the server keep the one that they have.
fn keep_addresses(container: &mut Container, known: &Container) {
    let cards = container.network_interface.iter_mut();
    for (card, known) in cards.zip(&known.network_interface) {
        if card.mac_address.is_empty() {
            card.mac_address.clone_from(&known.mac_address);
        }
    }
}

/// Makes a clone what the configuration says, in one request. Where it is silent on a whole block, the copied one stays; what
/// attributes at their defaults contradict goes.
pub(crate) async fn adapt_clone(guest: &Guest<'_>, container: &mut Container) -> Result<(), Error> {
    let now = guest.present().await?;
    let row = Row::of(guest.id, &guest.node);
    let copied = decode::container(Container::default(), &row, &now, true);
    keep_addresses(container, &copied);
    let mut wanted = container.clone();
    inherit(&mut wanted, &copied);
    let change = Change::between(&encode::settings(&copied), &encode::settings(&wanted));
    send(guest, container, None, change, &now).await
}

/// Takes what the configuration does not say from what was copied.
fn inherit(wanted: &mut Container, copied: &Container) {
    wanted.unprivileged = copied.unprivileged;
    macro_rules! inherit {
        ($absent:ident: $($block:ident),+) => {$(
            if wanted.$block.$absent() { wanted.$block.clone_from(&copied.$block); }
        )+};
    }
    inherit!(is_none: console, cpu, features, initialization, memory, operating_system, startup);
    inherit!(is_empty: device_passthrough, environment_variables, network_interface);
    // What a container is made of cannot be changed.
    if let (Some(wanted), Some(copied)) = (&mut wanted.operating_system, &copied.operating_system) {
        wanted.r#type.clone_from(&copied.r#type);
    }
    if let (Some(wanted), Some(copied)) = (&mut wanted.initialization, &copied.initialization) {
        wanted.dns = wanted.dns.take().or_else(|| copied.dns.clone());
        let texts = [
            (&mut wanted.hostname, &copied.hostname),
            (&mut wanted.entrypoint, &copied.entrypoint),
        ];
        for (wanted, copied) in texts {
            if wanted.is_empty() {
                wanted.clone_from(copied);
            }
        }
        if wanted.ip_config.is_empty() {
            wanted.ip_config.clone_from(&copied.ip_config);
        }
    }
}

/// Adds the volumes to a change, sends it, and lets them grow.
async fn send(
    guest: &Guest<'_>,
    container: &Container,
    prior: Option<&Container>,
    mut change: Change,
    now: &Settings,
) -> Result<(), Error> {
    let volume = |slot: &str| {
        let found = Properties::parse(now.get(slot)?, "volume");
        found.get("volume").map(str::to_owned)
    };
    let before = prior.and_then(|p| p.disk.as_ref());
    if let (Some(disk), Some(volume)) = (&container.disk, volume("rootfs"))
        && before.is_none_or(|before| before.value("") != disk.value(""))
    {
        // The server takes the size from here, too: it must be the one that is there.
        change.set.insert(
            "rootfs".into(),
            sized(&disk.value(&volume), now.get("rootfs")),
        );
    }
    for (i, point) in container.mount_point.iter().enumerate() {
        let slot = format!("mp{i}");
        let before = prior.and_then(|p| p.mount_point.get(i));
        let value = match volume(&slot) {
            Some(_) if before.is_some_and(|before| before.value("") == point.value("")) => continue,
            Some(volume) => sized(&point.value(&volume), now.get(&slot)),
            None => point.allocation(),
        };
        change.set.insert(slot, value);
    }
    let removed = container.mount_point.len()..prior.map_or(0, |p| p.mount_point.len());
    change.delete.extend(removed.map(|i| format!("mp{i}")));
    let Change { set, delete } = &mut change;
    delete.retain(|key| now.contains_key(key) && !set.contains_key(key));
    guest
        .change(change, now.get("digest").map(String::as_str))
        .await?;
    grow(guest, container, now).await
}

fn sized(value: &str, now: Option<&String>) -> String {
    let now = now
        .map(|now| Properties::parse(now, "volume"))
        .unwrap_or_default();
    match now.get("size") {
        Some(size) => format!("{value},size={size}"),
        None => value.to_owned(),
    }
}

/// Grows the volumes that are smaller than planned.
async fn grow(guest: &Guest<'_>, container: &Container, now: &Settings) -> Result<(), Error> {
    let timeout = seconds(container.timeout_update);
    let root = container
        .disk
        .iter()
        .map(|disk| ("rootfs".to_owned(), format!("{}G", disk.size)));
    let points = container.mount_point.iter().enumerate();
    let points =
        points.map(|(i, point): (usize, &MountPoint)| (format!("mp{i}"), point.size.clone()));
    for (slot, size) in root.chain(points) {
        let found = now.get(&slot).map(|now| Properties::parse(now, "volume"));
        let found = found.and_then(|found| bytes(found.get("size")?));
        if let (Some(found), Some(wanted)) = (found, bytes(&size))
            && wanted > found
        {
            guest.grow(&slot, &size, timeout).await?;
        }
    }
    Ok(())
}
