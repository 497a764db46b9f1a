//! Control groups as files: which process belongs where, and what it uses.

use super::Node;

/// Where the kernel shows the groups.
const ROOT: &str = "/sys/fs/cgroup";

/// A group with its processes: their numbers, and the bytes of memory that they use.
struct Group {
    path: String,
    processes: Vec<(u32, u64)>,
}

/// The group of a program of Talos itself; `None` for what pods run.
fn own(command: &str, pid: u32) -> Option<&'static str> {
    Some(match (command, pid) {
        ("init", _) => "init",
        ("kthreadd", _) => "",
        ("containerd", 1410) => "system/runtime",
        ("containerd", _) => "podruntime/runtime",
        ("udevd", _) => "system/udevd",
        ("apid", _) => "system/apid",
        ("trustd", _) => "system/trustd",
        ("qemu-ga", _) => "system/extensions/qemu-guest-agent",
        ("etcd", _) => "podruntime/etcd",
        ("kubelet", _) => "podruntime/kubelet",
        _ => return None,
    })
}

impl Node {
    /// Every group's files, each with its path.
    pub(super) fn cgroup_files(&self) -> Vec<(String, String)> {
        let containers = self.containers();
        let mut groups: Vec<Group> = Vec::new();
        let mut add = |path: &str, process: Option<(u32, u64)>| {
            let found = groups.iter().position(|g| g.path == path);
            match found.and_then(|at| groups.get_mut(at)) {
                Some(group) => group.processes.extend(process),
                None => groups.push(Group {
                    path: path.to_owned(),
                    processes: process.into_iter().collect(),
                }),
            }
        };
        for path in ["", "init", "system", "podruntime", "kubepods"] {
            add(path, None);
        }
        for process in self.processes() {
            let used = Some((process.pid, process.memory));
            if let Some(path) = own(process.command, process.pid) {
                add(path, used);
            } else if let Some(container) = containers.iter().find(|c| c.pid == process.pid) {
                let pod = format!("kubepods/burstable/pod{}", container.pod_uid());
                add("kubepods/burstable", None);
                add(&pod, None);
                add(&format!("{pod}/{}", container.id()), used);
            }
        }
        let total = self.hardware().memory_mib << 20;
        groups
            .iter()
            .flat_map(|g| files(g, &groups, total))
            .collect()
    }
}

/// What a group uses together with those below it.
fn files(group: &Group, all: &[Group], total: u64) -> Vec<(String, String)> {
    let below = |other: &&Group| {
        let rest = other.path.strip_prefix(&group.path);
        group.path.is_empty() || rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
    };
    let processes = || all.iter().filter(below).flat_map(|g| &g.processes);
    let memory: u64 = processes().map(|(_, bytes)| bytes).sum();
    let count = processes().count();
    let own = group.processes.iter().map(|(pid, _)| format!("{pid}\n"));
    let own: String = own.collect();
    let root = group.path.is_empty();
    let folder = match root {
        true => ROOT.to_owned(),
        false => format!("{ROOT}/{}", group.path),
    };
    let mut files = vec![
        ("cgroup.procs", own.clone()),
        ("cgroup.threads", own),
        (
            "cpu.stat",
            format!(
                "usage_usec {}\nuser_usec {0}\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
                count * 500_000
            ),
        ),
        ("memory.stat", format!("anon {memory}\nfile 0\nkernel 0\n")),
        ("cpu.pressure", no_pressure()),
        ("io.pressure", no_pressure()),
        ("memory.pressure", no_pressure()),
    ];
    // The kernel has no limits, and no account of its own, for the group of everything.
    if !root {
        let peak = memory.saturating_add(memory / 10).min(total);
        files.extend([
            ("memory.current", format!("{memory}\n")),
            ("memory.peak", format!("{peak}\n")),
            ("memory.min", "0\n".to_owned()),
            ("memory.low", "0\n".to_owned()),
            ("memory.high", "max\n".to_owned()),
            ("memory.max", "max\n".to_owned()),
            ("memory.swap.current", "0\n".to_owned()),
            ("memory.swap.max", "max\n".to_owned()),
            ("pids.current", format!("{count}\n")),
            ("pids.peak", format!("{count}\n")),
            ("pids.max", "max\n".to_owned()),
            ("cpu.weight", "100\n".to_owned()),
            ("cpu.weight.nice", "0\n".to_owned()),
            ("cpu.max", "max 100000\n".to_owned()),
        ]);
    }
    files
        .into_iter()
        .map(|(name, text)| (format!("{folder}/{name}"), text))
        .collect()
}

/// Nobody ever waited.
fn no_pressure() -> String {
    let of = |who| format!("{who} avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    ["some", "full"].map(of).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_what_is_below_it() {
        let group = |path: &str, processes: &[(u32, u64)]| Group {
            path: path.to_owned(),
            processes: processes.to_vec(),
        };
        let all = [
            group("", &[(2, 1)]),
            group("system", &[]),
            group("system/apid", &[(7, 100), (8, 10)]),
            group("systemd", &[(9, 1000)]),
        ];
        let of = |at: usize, file: &str| {
            let files = files(&all[at], &all, 1 << 30);
            let found = files.into_iter().find(|(path, _)| path.ends_with(file));
            found.map(|(_, text)| text)
        };
        assert_eq!(of(1, "/memory.current").unwrap(), "110\n");
        assert_eq!(of(1, "/cgroup.procs").unwrap(), "");
        assert_eq!(of(2, "/cgroup.procs").unwrap(), "7\n8\n");
        assert_eq!(of(2, "system/apid/pids.current").unwrap(), "2\n");
        assert_eq!(of(0, "/memory.current"), None);
    }
}
