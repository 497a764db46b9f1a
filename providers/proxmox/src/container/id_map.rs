//! Which users of the node stand for those of a container: lines of its configuration file, which the API does not write.

use stead_sdk::{Context, Error};

use crate::client::Client;
use crate::container::schema::{Container, IdMap};
use crate::guest::Guest;

/// Who writes the maps of a container, for the plan to say.
///
/// # Errors
/// When nobody can log in to the node.
pub(super) fn writer(client: &Client) -> Result<&str, Error> {
    let user = client.ssh().user_for("set `idmap` of a container over SSH");
    user.map_err(|error| {
        let advice = error.advice().unwrap_or_default().to_owned();
        error
            .remedy(format!(
                "{advice} Or write `lxc.idmap` lines into /etc/pve/lxc/ID.conf on the node: stead reads them, and blocks that say the \
                 same are no change."
            ))
            .attribute("idmap")
    })
}

/// Writes the maps of a container into its file on the node.
pub(super) async fn write(
    guest: &Guest<'_>,
    container: &Container,
    cx: &Context,
) -> Result<(), Error> {
    let shell = guest.client.shell(cx, &guest.node).await?;
    let path = format!("/etc/pve/lxc/{}.conf", guest.id);
    let label = format!("the reading of {path}");
    let now = shell.must(&label, &["cat", &path], cx).await?;
    let wanted = with_maps(&now, &container.idmap);
    if wanted == now {
        return Ok(());
    }
    // Files below /etc/pve can be neither renamed onto nor given a mode.
    let label = format!("the writing of `lxc.idmap` into {path}");
    shell.pipe(&label, &["tee", &path], wanted, cx).await
}

/// The file with these maps and no others. What follows a `[` belongs to a snapshot, or is to be changed at the next start.
fn with_maps(file: &str, maps: &[IdMap]) -> String {
    let end = match file.starts_with('[') {
        true => Some(0),
        false => file.find("\n[").map(|at| at + 1),
    };
    let (own, rest) = file.split_at(end.unwrap_or(file.len()));
    let lines = own.lines().filter(|line| !is_map(line));
    let mut text: String = lines.map(|line| format!("{line}\n")).collect();
    // An empty line stands before a section.
    let gap = text.len() - text.trim_end_matches('\n').len();
    let empty = "\n".repeat(if rest.is_empty() {
        0
    } else {
        gap.saturating_sub(1)
    });
    text.truncate(text.trim_end_matches('\n').len());
    if !text.is_empty() {
        text.push('\n');
    }
    for map in maps {
        let kind = if map.r#type == "gid" { "g" } else { "u" };
        let (inside, outside, size) = (map.container_id, map.host_id, map.size);
        text.push_str(&format!("lxc.idmap: {kind} {inside} {outside} {size}\n"));
    }
    text + &empty + rest
}

fn is_map(line: &str) -> bool {
    let rest = line.strip_prefix("lxc.idmap");
    rest.is_some_and(|rest| rest.trim_start().starts_with([':', '=']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_stand_before_the_snapshots_and_take_the_place_of_others() {
        let map = |kind: &str, container_id, host_id| IdMap {
            r#type: kind.into(),
            container_id,
            host_id,
            size: 10,
        };
        let file = "arch: amd64\nlxc.idmap: u 0 1 2\ncores: 1\n\n[snap]\nlxc.idmap: u 9 9 9\n";
        let maps = [map("uid", 0, 100_000), map("gid", 0, 5)];
        assert_eq!(
            with_maps(file, &maps),
            "arch: amd64\ncores: 1\nlxc.idmap: u 0 100000 10\nlxc.idmap: g 0 5 10\n\n[snap]\nlxc.idmap: u 9 9 9\n"
        );
        assert_eq!(
            with_maps("arch: amd64\nlxc.idmap = u 0 1 2\n", &[]),
            "arch: amd64\n"
        );
        let once = with_maps(file, &maps);
        assert_eq!(with_maps(&once, &maps), once);
    }
}
