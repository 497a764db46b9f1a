//! The privileges that making a container takes (`PVE::API2::LXC`, `check_ct_modify_config_perm`).

use crate::container::encode::settings;
use crate::container::schema::{Container, MountPoint};
use crate::privilege::{Need, guest_path};

const SPACE: &[&str] = &["Datastore.AllocateSpace"];

fn of_setting(key: &str) -> Option<&'static [&'static str]> {
    match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "cores" | "cpulimit" | "cpuunits" => Some(&["VM.Config.CPU"]),
        "memory" | "swap" => Some(&["VM.Config.Memory"]),
        "hostname" | "nameserver" | "net" | "searchdomain" => Some(&["VM.Config.Network"]),
        // Only root@pam may set these, which is checked elsewhere; nesting alone is free in some cases.
        "dev" | "features" | "hookscript" => None,
        _ => Some(&["VM.Config.Options"]),
    }
}

/// Of a clone only what every clone takes.
pub(crate) fn of_new(container: &Container) -> Vec<Need> {
    let path = guest_path(container.vm_id);
    let pool = (!container.pool_id.is_empty()).then(|| format!("/pool/{}", container.pool_id));
    let here = |privileges| Need::on(path.clone(), privileges).or_on(pool.clone());
    let storage =
        |name: &str| (!name.is_empty()).then(|| Need::on(format!("/storage/{name}"), SPACE));
    let mut needs = vec![here(&["VM.Allocate"])];
    if container.started && !container.template {
        needs.push(here(&["VM.PowerMgmt"]));
    }
    if let Some(from) = &container.clone {
        if from.vm_id > 0 {
            needs.push(Need::on(guest_path(Some(from.vm_id)), &["VM.Clone"]));
        }
        needs.extend(storage(&from.datastore_id));
        return needs;
    }
    let all = settings(container);
    needs.extend(all.keys().filter_map(|key| of_setting(key)).map(here));
    needs.push(here(&["VM.Config.Disk"]));
    let root = container.disk.iter().map(|disk| disk.datastore_id.as_str());
    let points = container.mount_point.iter().filter_map(MountPoint::storage);
    needs.extend(root.chain(points).filter_map(storage));
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::schema::Disk;

    #[test]
    fn a_container_takes_its_settings_and_storages() {
        let container = Container {
            disk: Some(Disk {
                datastore_id: "fast".into(),
                size: 4,
                ..Disk::default()
            }),
            ..Container::default()
        };
        let needs = of_new(&container);
        assert!(needs.contains(&Need::on("/vms/", &["VM.Allocate"])));
        assert!(needs.contains(&Need::on("/vms/", &["VM.Config.Disk"])));
        assert!(needs.contains(&Need::on("/storage/fast", SPACE)));
        assert!(!needs.contains(&Need::on("/vms/", &["VM.PowerMgmt"])));
    }
}
