//! Which backups go when only some are to be kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::property::{boolean, plain};
use crate::state::State;

/// A rule's name, and what makes two backups the same for it.
type Rule = (&'static str, fn(&DateTime, u64) -> String);

/// The rules, in the order in which they keep.
const RULES: &[Rule] = &[
    ("keep-last", |_, time| time.to_string()),
    ("keep-hourly", |at, _| {
        format!("{} {}", at.date(), at.hour())
    }),
    ("keep-daily", |at, _| at.date().to_string()),
    ("keep-weekly", |at, _| {
        let week = at.date().iso_week_date();
        format!("{} {}", week.year(), week.week())
    }),
    ("keep-monthly", |at, _| {
        format!("{}-{}", at.year(), at.month())
    }),
    ("keep-yearly", |at, _| at.year().to_string()),
];

struct Backup {
    volid: String,
    kind: String,
    vmid: Option<u32>,
    time: u64,
    mark: Option<&'static str>,
}

/// Backups of a storage: all of them, or those of a guest or of a kind of guests.
struct Wanted<'a> {
    node: &'a str,
    storage: &'a str,
    vmid: Option<u64>,
    kind: Option<&'a str>,
}

/// What a storage keeps when nobody says otherwise, such as `keep-last=3`.
pub(crate) fn configured<'a>(state: &'a State, storage: &str) -> Option<&'a str> {
    let section = state.section(super::definitions::FILE, storage)?;
    section.get("prune-backups")
}

/// How many backups of a guest these rules keep; none when they keep all.
pub(crate) fn limit(keep: &str) -> Option<usize> {
    if plain(keep, "keep-all").and_then(boolean) == Some(true) {
        return None;
    }
    let counts = RULES.iter().filter_map(|(rule, _)| plain(keep, rule));
    let limit = counts.filter_map(|text| text.parse::<usize>().ok()).sum();
    (limit > 0).then_some(limit)
}

/// The unprotected backups of a guest, and those of them that the rules do not keep.
pub(crate) fn of_guest(
    state: &State,
    (node, storage): (&str, &str),
    (vmid, kind): (u32, &str),
    keep: &str,
) -> Result<(usize, Vec<String>), ApiError> {
    let wanted = Wanted {
        node,
        storage,
        vmid: Some(vmid.into()),
        kind: Some(kind),
    };
    let marked = marked(state, &wanted, keep)?;
    let unprotected = marked.iter().filter(|b| b.mark != Some("protected"));
    let count = unprotected.count();
    let outdated = marked.into_iter().filter(|b| b.mark == Some("remove"));
    Ok((count, outdated.map(|backup| backup.volid).collect()))
}

/// The backups of a call, each with what becomes of it.
fn asked(state: &State, call: &Call) -> Result<Vec<Backup>, ApiError> {
    let (params, id) = (&call.params, call.params.text("storage"));
    let keep = params.get("prune-backups").or(configured(state, id));
    let keep = keep.ok_or_else(|| {
        ApiError::failure(format!(
            "no prune-backups options configured for storage '{id}'"
        ))
    })?;
    let wanted = Wanted {
        node: call.node(),
        storage: id,
        vmid: params.number("vmid"),
        kind: params.get("type"),
    };
    marked(state, &wanted, keep)
}

fn marked(state: &State, wanted: &Wanted<'_>, keep: &str) -> Result<Vec<Backup>, ApiError> {
    let id = wanted.storage;
    let storage = state.storage(id, wanted.node)?;
    let backups = storage
        .volumes_of(wanted.node)
        .filter(|(_, volume)| volume.content == "backup");
    let all = backups.map(|(name, volume)| {
        let file = name.rsplit('/').next().unwrap_or_default();
        let kind = file
            .strip_prefix("vzdump-")
            .and_then(|rest| rest.split('-').next());
        let standard = volume.vmid.is_some_and(|vmid| {
            kind.is_some_and(|kind| file.starts_with(&format!("vzdump-{kind}-{vmid}-")))
        });
        Backup {
            volid: format!("{id}:{name}"),
            kind: kind.unwrap_or("unknown").to_owned(),
            vmid: volume.vmid,
            time: volume.ctime,
            mark: match (volume.protected, standard) {
                (true, _) => Some("protected"),
                (_, false) => Some("renamed"),
                _ => None,
            },
        }
    });
    let mut groups: BTreeMap<(String, Option<u32>), Vec<Backup>> = BTreeMap::new();
    for backup in all {
        let is_wanted = wanted
            .vmid
            .is_none_or(|vmid| backup.vmid.map(u64::from) == Some(vmid))
            && wanted.kind.is_none_or(|kind| kind == backup.kind);
        if is_wanted {
            groups
                .entry((backup.kind.clone(), backup.vmid))
                .or_default()
                .push(backup);
        }
    }
    groups.values_mut().for_each(|group| mark(group, keep));
    Ok(groups.into_values().flatten().collect())
}

/// Marks the backups of one guest.
fn mark(group: &mut [Backup], keep: &str) {
    let count = |rule: &str| {
        plain(keep, rule)
            .and_then(|text| text.parse::<usize>().ok())
            .unwrap_or(0)
    };
    let all = plain(keep, "keep-all").and_then(boolean) == Some(true);
    if all || RULES.iter().all(|(rule, _)| count(rule) == 0) {
        group
            .iter_mut()
            .for_each(|backup| backup.mark = backup.mark.or(Some("keep")));
        return;
    }
    group.sort_by_key(|backup| std::cmp::Reverse(backup.time));
    for (rule, same) in RULES {
        let bucket = |backup: &Backup| {
            let time = i64::try_from(backup.time).unwrap_or_default();
            let at = Timestamp::from_second(time).unwrap_or_default();
            same(&TimeZone::UTC.to_datetime(at), backup.time)
        };
        let kept = |backup: &&Backup| matches!(backup.mark, Some("keep" | "protected"));
        let covered: BTreeSet<String> = group.iter().filter(kept).map(bucket).collect();
        let mut added = BTreeSet::new();
        for backup in group.iter_mut().filter(|backup| backup.mark.is_none()) {
            let bucket = bucket(backup);
            if covered.contains(&bucket) {
                continue;
            }
            if added.contains(&bucket) {
                backup.mark = Some("remove");
            } else if added.len() < count(rule) {
                added.insert(bucket);
                backup.mark = Some("keep");
            } else {
                break;
            }
        }
    }
    group
        .iter_mut()
        .for_each(|backup| backup.mark = backup.mark.or(Some("remove")));
}

/// `GET /nodes/{node}/storage/{storage}/prunebackups`
pub(super) fn dry_run(state: &State, call: &Call) -> Answer {
    let rows = asked(state, call)?.into_iter().map(|backup| {
        json!({
            "volid": backup.volid, "type": backup.kind, "vmid": backup.vmid, "ctime": backup.time, "mark": backup.mark,
        })
    });
    Ok(rows.collect())
}

/// `DELETE /nodes/{node}/storage/{storage}/prunebackups`
pub(super) async fn prune(px: &Px, call: Call) -> Answer {
    let (id, node) = (
        call.params.text("storage").to_owned(),
        call.node().to_owned(),
    );
    let path = format!("/storage/{id}");
    let name = match call.params.get("vmid") {
        Some(vmid) => {
            let state = px.state();
            state.need(&call.caller, &path, &["Datastore.AllocateSpace"])?;
            state.need(&call.caller, &format!("/vms/{vmid}"), &["VM.Backup"])?;
            format!("{vmid}@{id}")
        }
        None => {
            px.state()
                .need(&call.caller, &path, &["Datastore.Allocate"])?;
            id
        }
    };
    let caller = call.caller.clone();
    px.worker(
        &node.clone(),
        "prunebackups",
        &name,
        &caller,
        move |task| async move {
            let backups = asked(&task.proxmox.state(), &call)?;
            for backup in backups
                .iter()
                .filter(|backup| backup.mark == Some("remove"))
            {
                task.proxmox.state().free(&node, &backup.volid);
                task.line(format!("removing backup '{}'", backup.volid));
            }
            Ok(())
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_keep_in_their_order() {
        let day = 86_400;
        let backup = |time: u64, mark| Backup {
            volid: time.to_string(),
            kind: "qemu".into(),
            vmid: Some(100),
            time,
            mark,
        };
        let marks = |times: &[u64], keep: &str| {
            let mut group: Vec<Backup> = times.iter().map(|time| backup(*time, None)).collect();
            mark(&mut group, keep);
            let kept = group.iter().filter(|b| b.mark == Some("keep"));
            kept.map(|b| b.time).collect::<Vec<u64>>()
        };
        let week: Vec<u64> = (1..8)
            .flat_map(|d| [d * day + 60, d * day + 7200])
            .collect();
        assert_eq!(marks(&week, "keep-last=2"), [7 * day + 7200, 7 * day + 60]);
        assert_eq!(
            marks(&week, "keep-daily=3"),
            [7 * day + 7200, 6 * day + 7200, 5 * day + 7200]
        );
        // What one rule has kept covers its day for the next.
        assert_eq!(
            marks(&week, "keep-last=1,keep-daily=1"),
            [7 * day + 7200, 6 * day + 7200]
        );
        assert_eq!(marks(&week, "keep-all=1").len(), 14);
        assert_eq!(marks(&week, "keep-yearly=5"), [7 * day + 7200]);
        let mut group = [backup(day, Some("protected")), backup(2 * day, None)];
        mark(&mut group, "keep-last=1");
        assert_eq!(group.map(|b| b.mark), [Some("keep"), Some("protected")]);
    }
}
