//! What a changed setting does to a container that runs.

use crate::container::encode::settings;
use crate::container::schema::Container;
use crate::table::Change;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Live,
    Restart,
}

impl Effect {
    pub(crate) fn said(self) -> &'static str {
        match self {
            Effect::Live => "live",
            Effect::Restart => "restarts now",
        }
    }
}

/// Settings by their name without a number that a running container takes; all others take a restart.
const LIVE: [&str; 13] = [
    "cores",
    "cpulimit",
    "cpuunits",
    "description",
    "hookscript",
    "hostname",
    "memory",
    "net",
    "onboot",
    "protection",
    "startup",
    "swap",
    "tags",
];

fn of_setting(key: &str, is_new: bool) -> Effect {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    // Volumes and devices are added while it runs, and changed when it does not.
    match LIVE.contains(&stem) || (is_new && ["mp", "dev"].contains(&stem)) {
        true => Effect::Live,
        false => Effect::Restart,
    }
}

/// The settings that change, each with what it does.
pub(crate) fn effects(prior: &Container, planned: &Container) -> Vec<(String, Effect)> {
    let with_volumes = |container: &Container| {
        let mut all = settings(container);
        let points = container.mount_point.iter().enumerate();
        all.extend(points.map(|(i, point)| (format!("mp{i}"), point.value(""))));
        all.extend(
            container
                .disk
                .iter()
                .map(|disk| ("rootfs".to_owned(), disk.value(""))),
        );
        all
    };
    let (old, new) = (with_volumes(prior), with_volumes(planned));
    let change = Change::between(&old, &new);
    let of = |key: &str| (key.to_owned(), of_setting(key, !old.contains_key(key)));
    let mut found: Vec<_> = change.keys().map(of).collect();
    if prior.idmap != planned.idmap {
        found.push(("idmap".to_owned(), Effect::Restart));
    }
    found
}

pub(crate) fn restarts(prior: &Container, planned: &Container) -> bool {
    effects(prior, planned)
        .iter()
        .any(|(_, effect)| *effect == Effect::Restart)
}
