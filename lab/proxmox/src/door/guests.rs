//! `qm` and `pct`.

use std::time::Duration;

use serde_json::Value;
use stead_lab_core::shell::Output;

use super::Shell;
use super::programs::{ask, complaint, options, refused};
use crate::guest::drive::imported;
use crate::guest::{Kind, config};
use crate::schema::check::Given;
use crate::storage::NewDisk;

const KNOWN: &str =
    "config, create, destroy, disk import, list, reboot, set, shutdown, start, status and stop";

pub(super) async fn run(shell: &Shell, kind: Kind, words: &[&str]) -> Output {
    let program = match kind {
        Kind::Qemu => "qm",
        Kind::Lxc => "pct",
    };
    let all = format!("/nodes/{}/{}", shell.host.name, kind.id());
    if matches!(words, ["--help" | "help", ..]) {
        return Output::ok(format!(
            "USAGE: {program} <COMMAND> [ARGS] [OPTIONS]\n(the lab's {program} knows {KNOWN})\n"
        ));
    }
    let (plain, given) = options(words);
    match plain.as_slice() {
        ["list"] => list(shell, &all).await,
        ["disk", "import", vmid, source, storage] | ["importdisk", vmid, source, storage]
            if kind == Kind::Qemu =>
        {
            import(shell, vmid, source, storage, &given).await
        }
        ["config", vmid] => match ask(shell, "GET", &format!("{all}/{vmid}/config"), given).await {
            Ok(config) => Output::ok(lines(&config)),
            Err(output) => output,
        },
        ["status", vmid] => {
            match ask(shell, "GET", &format!("{all}/{vmid}/status/current"), given).await {
                Ok(status) => Output::ok(format!(
                    "status: {}\n",
                    status
                        .get("status")
                        .and_then(Value::as_str)
                        .unwrap_or("unknown")
                )),
                Err(output) => output,
            }
        }
        ["set", vmid] => {
            let changes: Vec<String> = given
                .iter()
                .flat_map(|(key, values)| values.iter().map(move |v| format!("-{key} {v}")))
                .collect();
            match ask(shell, "PUT", &format!("{all}/{vmid}/config"), given).await {
                Ok(_) if kind == Kind::Qemu => {
                    Output::ok(format!("update VM {vmid}: {}\n", changes.join(" ")))
                }
                Ok(_) => Output::default(),
                Err(output) => output,
            }
        }
        [verb @ ("start" | "stop" | "shutdown" | "reboot"), vmid] => {
            task(shell, "POST", &format!("{all}/{vmid}/status/{verb}"), given).await
        }
        ["create", vmid, rest @ ..] => {
            let mut given = given;
            given.insert("vmid".to_owned(), vec![(*vmid).to_owned()]);
            if let ([template], Kind::Lxc) = (rest, kind) {
                given.insert("ostemplate".to_owned(), vec![(*template).to_owned()]);
            }
            task(shell, "POST", &all, given).await
        }
        ["destroy", vmid] => task(shell, "DELETE", &format!("{all}/{vmid}"), given).await,
        [] => Output::fail(255, "ERROR: no command specified\n"),
        [other, ..] => refused(program, other, KNOWN),
    }
}

fn lines(config: &Value) -> String {
    let rows = config.as_object().into_iter().flatten();
    rows.filter(|(key, _)| *key != "digest")
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}: {text}\n"),
            other => format!("{key}: {other}\n"),
        })
        .collect()
}

async fn list(shell: &Shell, all: &str) -> Output {
    let rows = match ask(shell, "GET", all, Given::new()).await {
        Ok(rows) => rows,
        Err(output) => return output,
    };
    let mut text = "      VMID NAME                 STATUS\n".to_owned();
    for row in rows.as_array().into_iter().flatten() {
        let field = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
        let vmid = row.get("vmid").and_then(Value::as_u64).unwrap_or_default();
        text.push_str(&format!(
            "{vmid:>10} {:<20} {}\n",
            field("name"),
            field("status")
        ));
    }
    Output::ok(text)
}

/// Calls what starts a task, waits for its end and prints its log.
async fn task(shell: &Shell, verb: &str, path: &str, given: Given) -> Output {
    let upid = match ask(shell, verb, path, given).await {
        Ok(Value::String(upid)) => upid,
        Ok(_) => return Output::default(),
        Err(output) => return output,
    };
    loop {
        let exit = match shell.host.px.state().tasks.get(&upid) {
            Some(task) => task.exit.clone(),
            None => return Output::default(),
        };
        match exit {
            None => tokio::time::sleep(Duration::from_millis(10)).await,
            Some(exit) if exit == "OK" || exit.starts_with("WARNINGS") => return Output::default(),
            Some(exit) => return Output::fail(255, exit + "\n"),
        }
    }
}

/// `qm disk import`: a disk of its own from a file, unused for now.
async fn import(shell: &Shell, vmid: &str, source: &str, storage: &str, given: &Given) -> Output {
    let Ok(id) = vmid.parse::<u32>() else {
        return Output::fail(
            255,
            format!(
                "400 Parameter verification failed.\nvmid: type check ('integer') failed - got '{vmid}'\n"
            ),
        );
    };
    let (px, node) = (&shell.host.px, &shell.host.name);
    let format = given.get("format").and_then(|values| values.first());
    let outcome = {
        let mut state = px.state();
        let mut work = || -> Result<String, String> {
            let vm = state.vm(node, id)?;
            if let Some(lock) = vm.config.get("lock") {
                return Err(format!("VM is locked ({lock})"));
            }
            let (label, size) = imported(&state, node, source)?;
            // Block storages hold raw disks whatever is asked for.
            let has_path = state.storage(storage, node)?.has_path();
            let volid = state.allocate(
                node,
                &NewDisk {
                    kind: Kind::Qemu,
                    storage,
                    vmid: id,
                    name: None,
                    format: format.map(String::as_str).filter(|_| has_path),
                    size,
                    label,
                    parent: None,
                },
            )?;
            config::keep_unused(state.vm_mut(node, id)?, &volid)?;
            Ok(volid)
        };
        work().map(|volid| {
            let config = state.vms.get(&id).map(|vm| &vm.config);
            let key = config
                .into_iter()
                .flatten()
                .find(|(_, value)| **value == volid)
                .map_or("unused0", |(key, _)| key);
            format!(
                "importing disk '{source}' to VM {id} ...\n\
                 transferred 0.0 B of 2.0 GiB (0.00%)\ntransferred 2.0 GiB of 2.0 GiB (100.00%)\n\
                 {key}: successfully imported disk '{volid}'\n"
            )
        })
    };
    match outcome {
        Ok(text) => {
            px.changed();
            px.takes(Duration::from_secs(10)).await;
            Output::ok(text)
        }
        Err(text) => complaint(text.into()),
    }
}
