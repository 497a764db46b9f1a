//! Programs that the agent runs inside.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use stead_lab_core::machine::Ran;

use super::{agent_error, available};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::{Px, lock};

/// Programs by VM and process id: running, or with their outcome until that was asked for.
pub(crate) type Executions = HashMap<(u32, u32), Option<Ran>>;

/// `POST …/agent/exec`
pub(super) async fn start(px: &Px, call: Call) -> Answer {
    let agent = available(px, &call).await?;
    let hands = agent.hands("exec")?;
    let command = call.params.all("command").to_vec();
    let input = call.params.text("input-data").as_bytes().to_vec();
    if command.is_empty() && input.is_empty() {
        return Err(ApiError::failure(
            "command or input-data (or both) required",
        ));
    }
    let (vmid, pid) = (call.vmid(), px.state().next_pid());
    lock(&px.executions).insert((vmid, pid), None);
    let px = px.clone();
    px.lab.tasks.clone().spawn(async move {
        let ran = hands.run(&command, &input).await;
        let ran = ran.unwrap_or_else(|text| Ran {
            code: 127,
            stderr: text.into_bytes(),
            ..Ran::default()
        });
        lock(&px.executions).insert((vmid, pid), Some(ran));
    });
    Ok(json!({ "pid": pid }))
}

/// `GET …/agent/exec-status`: the outcome is told once.
pub(super) async fn status(px: &Px, call: Call) -> Answer {
    available(px, &call).await?;
    let pid = call
        .params
        .number("pid")
        .and_then(|pid| u32::try_from(pid).ok());
    let key = (call.vmid(), pid.unwrap_or_default());
    let mut executions = lock(&px.executions);
    match executions.get(&key) {
        None => Err(agent_error(&format!(
            "PID {} does not exist",
            call.params.text("pid")
        ))),
        Some(None) => Ok(json!({ "exited": 0 })),
        Some(Some(ran)) => {
            let mut told = Map::from_iter([
                ("exited".to_owned(), json!(1)),
                ("exitcode".to_owned(), json!(ran.code)),
            ]);
            for (name, bytes) in [("out-data", &ran.stdout), ("err-data", &ran.stderr)] {
                if !bytes.is_empty() {
                    told.insert(name.into(), String::from_utf8_lossy(bytes).into());
                }
            }
            executions.remove(&key);
            Ok(Value::Object(told))
        }
    }
}

/// `POST …/agent/set-user-password`, by the system's own means.
pub(super) async fn set_password(px: &Px, call: Call) -> Answer {
    let agent = available(px, &call).await?;
    let hands = agent.hands("set-user-password")?;
    let mut command = vec!["chpasswd".to_owned()];
    if call.params.is_on("crypted") {
        command.push("-e".to_owned());
    }
    let line = format!(
        "{}:{}\n",
        call.params.text("username"),
        call.params.text("password")
    );
    let ran = hands.run(&command, line.as_bytes()).await;
    match ran {
        Ok(ran) if ran.code == 0 => Ok(json!({ "result": {} })),
        _ => Err(agent_error("child process has failed to set user password")),
    }
}

/// What a client sent, decoded when it says so.
pub(super) fn decoded(text: &str, encoded: bool) -> Result<Vec<u8>, ApiError> {
    match encoded {
        false => Ok(text.as_bytes().to_vec()),
        true => STANDARD
            .decode(text.trim())
            .map_err(|_| agent_error("Invalid base64 data")),
    }
}
