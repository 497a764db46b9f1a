//! What a change means for the container, and what cannot work, told before anything is done.

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Field, PlanDraft};

use crate::client::{Client, PlannedKind};
use crate::container::effect::effects;
use crate::container::schema::{Console, Container, Cpu, Dns, Features, IdMap, Memory, MountPoint};
use crate::container::{id_map, privileges};
use crate::guest::{
    Card, File, Kind, Place, check_bridges, check_files, check_source, check_storages,
    keep_description, keep_found, keep_masked, keep_origin, keep_plain_block, keep_started,
    keep_tag_order, known, refuse_taken, says_nothing,
};
use crate::privilege::check_privileges;
use crate::property::bytes;

pub(crate) fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    let count = |name: &str| {
        config
            .get(name)
            .map_or(1, |v| v.as_sequence().map_or(1, <[Value]>::len))
    };
    if count("clone") == 0 && count("operating_system") == 0 {
        let detail =
            "A container is made of a template: write an `operating_system` or a `clone` block.";
        found.push(Diagnostic::error(
            "Nothing to make the container of",
            detail,
        ));
    }
    let points = config.get("mount_point");
    let points = points
        .as_ref()
        .and_then(Value::as_sequence)
        .unwrap_or_default();
    for (i, point) in points.iter().enumerate() {
        let size = point
            .get("size")
            .and_then(|s| s.as_str().map(str::to_owned));
        if let Some(size) = size.filter(|s| !s.is_empty() && bytes(s).is_none()) {
            let place = Path::root()
                .attr("mount_point")
                .index_number(i)
                .attr("size");
            let detail = format!("{size:?} is not a size such as 10G or 512M.");
            found.push(Diagnostic::error("Invalid size", detail).attribute(place));
        }
    }
    found
}

pub(crate) async fn plan(
    client: Option<&Client>,
    draft: &mut PlanDraft,
    cx: &Context,
) -> Result<(), Diagnostics> {
    if draft.is_create() {
        let Some(wanted) = known::<Container>(draft.planned()) else {
            return Ok(());
        };
        id_maps(client, draft, &[], &wanted)?;
        if let Some(client) = client {
            // A pool that is not known yet may lend what is missing.
            let pool_is_known = draft
                .attribute("pool_id")
                .is_none_or(|pool| pool.is_known());
            let warnings = preflight(client, &wanted, pool_is_known, cx).await?;
            draft.warn_of(warnings);
        }
        return Ok(());
    }
    let id = draft.prior().get("vm_id").and_then(|id| id.as_i64());
    if let (Some(client), Some(id)) = (client, id) {
        client.manages(id);
    }
    same(draft)?;
    if !draft.has_changes() {
        return Ok(());
    }
    let (Some(old), Some(new)) = (
        known::<Container>(draft.prior()),
        known::<Container>(draft.planned()),
    ) else {
        return Ok(());
    };
    id_maps(client, draft, &old.idmap, &new)?;
    volumes(draft, &old, &new);
    let running = old.started && new.started;
    for (what, effect) in effects(&old, &new) {
        draft.note(match running {
            true => format!("{what}: {}", effect.said()),
            false => format!("{what}: at the next start"),
        });
    }
    match (old.started, new.started) {
        (true, false) => draft.note("started: stops"),
        (false, true) => draft.note("started: starts"),
        _ => {}
    }
    if old.started != new.started || draft.changes("network_interface") {
        for name in ["ipv4", "ipv6"] {
            draft.set_unknown(&Path::root().attr(name))?;
        }
    }
    Ok(())
}

/// What differs and is no change.
fn same(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let root = Path::root();
    let init = root.attr("initialization").index_number(0);
    keep_tag_order(draft)?;
    keep_description(draft)?;
    keep_started(draft)?;
    keep_origin(draft, &root.attr("clone"))?;
    let os = root.attr("operating_system");
    keep_origin(draft, &os.index_number(0).attr("template_file_id"))?;
    keep_origin(draft, &os)?;
    keep_origin(draft, &init.attr("user_account"))?;
    let account = init.attr("user_account").index_number(0);
    keep_masked(draft, &account.attr("password"))?;
    // What the server decides where nobody else does.
    for found in ["pool_id", "disk", "initialization"] {
        keep_found(draft, &root.attr(found))?;
    }
    // A block that says nothing is as good as none.
    let dns = init.attr("dns");
    let empty = draft.get(&dns.index_number(0)) == Some(Dns::default().encode());
    let absent = draft
        .prior()
        .at(&dns)
        .filter(|old| empty && says_nothing(Some(old)));
    if let Some(absent) = absent {
        draft.set(&dns, absent)?;
    }
    keep_found(draft, &init.attr("hostname"))?;
    keep_found(draft, &init.attr("ip_config"))?;
    keep_plain_block(draft, "console", &Console::plain().encode())?;
    keep_plain_block(draft, "cpu", &Cpu::plain().encode())?;
    keep_plain_block(draft, "memory", &Memory::plain().encode())?;
    keep_plain_block(draft, "features", &Features::default().encode())?;
    mount_points(draft)
}

/// What people write of a volume, and what the server makes of it.
fn mount_points(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let (Some(old), Some(new)) = (
        known::<Container>(draft.prior()),
        known::<Container>(draft.planned()),
    ) else {
        return Ok(());
    };
    for (index, (old, new)) in old.mount_point.iter().zip(&new.mount_point).enumerate() {
        let place = Path::root().attr("mount_point").index_number(index);
        if new.is_on_the_storage_of(&old.volume) {
            keep(draft, &place, "volume", &old.volume)?;
        }
        if new.size.is_empty() || bytes(&new.size) == bytes(&old.size) {
            keep(draft, &place, "size", &old.size)?;
        }
        if new.path.trim_start_matches('/') == old.path.trim_start_matches('/') {
            keep(draft, &place, "path", &old.path)?;
        }
    }
    Ok(())
}

fn keep(draft: &mut PlanDraft, place: &Path, name: &str, was: &str) -> Result<(), Diagnostic> {
    let path = place.attr(name);
    match draft.prior().at(&path) {
        Some(prior) if prior.as_str().unwrap_or_default() == was => draft.set(&path, prior),
        _ => Ok(()),
    }
}

/// Volumes grow in place; what else becomes of them takes a new container.
fn volumes(draft: &mut PlanDraft, old: &Container, new: &Container) {
    let root = Path::root().attr("disk").index_number(0).attr("size");
    if let (Some(old), Some(new)) = (&old.disk, &new.disk) {
        if new.size < old.size {
            draft.note("disk: replaces the container, as volumes cannot shrink");
            draft.replace(root);
        } else if new.size > old.size {
            draft.note(format!(
                "disk: grows from {} to {} GiB, live",
                old.size, new.size
            ));
        }
    }
    for (index, (old, new)) in old.mount_point.iter().zip(&new.mount_point).enumerate() {
        let place = Path::root().attr("mount_point").index_number(index);
        if old.volume != new.volume {
            draft.replace(place.attr("volume"));
        }
        let sizes = (bytes(&old.size), bytes(&new.size));
        if let (Some(old), Some(new)) = sizes
            && new < old
        {
            draft.note(format!(
                "mount point {index}: replaces the container, as volumes cannot shrink"
            ));
            draft.replace(place.attr("size"));
        }
    }
    if old.mount_point.len() > new.mount_point.len() {
        draft.note("mount points that are not configured any more are detached; their volumes stay as unused");
    }
}

/// They stand in the configuration file of the container, where the API does not reach.
fn id_maps(
    client: Option<&Client>,
    draft: &mut PlanDraft,
    old: &[IdMap],
    new: &Container,
) -> Result<(), Diagnostic> {
    if let Some(client) = client
        && old != new.idmap
    {
        let (node, user) = (&new.node_name, id_map::writer(client)?);
        draft.note(format!("idmap: written over SSH to {node} as {user}"));
    }
    Ok(())
}

/// What would fail in the middle of a create, found before it begins.
async fn preflight(
    client: &Client,
    wanted: &Container,
    pool_is_known: bool,
    cx: &Context,
) -> Result<Diagnostics, Diagnostics> {
    let mut found = Diagnostics::new();
    if let Some(id) = wanted.vm_id {
        let taken = refuse_taken(client, cx, "container", id, "vm_id").await;
        found.extend(taken.err().map(Diagnostic::from));
    }
    if !client.is_root() {
        found.extend(root_only(wanted).map(Diagnostic::from));
    }
    let place = |storage, gibibytes| Place {
        storage,
        content: "rootdir",
        gibibytes,
    };
    let points = wanted.mount_point.iter().filter_map(|point: &MountPoint| {
        let gibibytes = bytes(&point.size).map_or(0, |size| size >> 30);
        Some(place(
            point.storage()?,
            i64::try_from(gibibytes).unwrap_or(i64::MAX),
        ))
    });
    let root = wanted
        .disk
        .iter()
        .map(|disk| place(disk.datastore_id.as_str(), disk.size));
    check_storages(
        client,
        cx,
        &wanted.node_name,
        root.chain(points),
        &mut found,
    )
    .await?;
    if let Some(from) = &wanted.clone {
        check_source(client, cx, Kind::Container, from.vm_id, &mut found).await?;
    }
    let node = wanted.node_name.as_str();
    check_files(client, cx, node, template(wanted), &mut found).await;
    let mut needs = privileges::of_new(wanted);
    let cards = connections(wanted);
    check_bridges(client, cx, node, cards, &mut needs, &mut found).await;
    let doing = match wanted.vm_id {
        Some(id) => format!("create container {id}"),
        None => "create the container".to_owned(),
    };
    if pool_is_known {
        check_privileges(client, cx, &doing, needs, &mut found).await;
    }
    if let Some(id) = wanted.vm_id {
        client.planned.note(PlannedKind::Guest, &id.to_string());
    }
    found.into_result()
}

/// The file that the container is made of.
fn template(wanted: &Container) -> Vec<File<'_>> {
    let made_of = wanted.operating_system.iter();
    made_of
        .map(|os| File {
            volume: os.template_file_id.as_str(),
            place: Path::root()
                .attr("operating_system")
                .index_number(0)
                .attr("template_file_id"),
        })
        .collect()
}

/// The cards that are to be connected.
fn connections(wanted: &Container) -> Vec<Card<'_>> {
    let cards = wanted.network_interface.iter().enumerate();
    let cards = cards.filter(|(_, card)| card.enabled);
    cards
        .map(|(i, card)| Card {
            bridge: card.bridge.as_str(),
            vlan: card.vlan_id,
            place: Path::root()
                .attr("network_interface")
                .index_number(i)
                .attr("bridge"),
        })
        .collect()
}

/// What the server lets nobody set but root@pam itself: no token can, not even root's.
fn root_only(wanted: &Container) -> Option<Error> {
    let none = Features::default();
    let features = wanted.features.as_ref().unwrap_or(&none);
    let nesting = Features {
        nesting: features.nesting,
        ..Features::default()
    };
    let more = *features != nesting || (features.nesting && !wanted.unprivileged);
    let point = wanted
        .mount_point
        .iter()
        .position(MountPoint::is_of_the_node);
    let top = |name: &str| Path::root().attr(name);
    let set = [
        more.then(|| top("features")),
        (!wanted.hook_script_file_id.is_empty()).then(|| top("hook_script_file_id")),
        (!wanted.device_passthrough.is_empty()).then(|| top("device_passthrough")),
        point.map(|i| top("mount_point").index_number(i).attr("volume")),
    ];
    let place = set.into_iter().flatten().next()?;
    let said = "Proxmox VE takes this from nobody but root@pam, logged in with its password; an API token is refused, root's too";
    let remedy = match place == top("features") {
        true => {
            "Only `nesting` of an unprivileged container is free: set unprivileged = true and nothing else, or log in as root@pam with its password."
        }
        false => "Log in as root@pam with its password, or leave it out.",
    };
    Some(
        Error::new(format!("set {place}"), said)
            .remedy(remedy)
            .at(place),
    )
}
