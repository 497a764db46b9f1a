//! QEMU's own monitor, and the keyboard.

use serde_json::Value;

use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::property::plain;
use crate::state::State;

/// `POST …/monitor`: what there is to be told of a simulated machine; all else is refused by name.
pub(crate) fn monitor(state: &State, call: &Call) -> Answer {
    let vm = call.running(state)?;
    let command = call.params.text("command").trim();
    let words: Vec<&str> = command.split_whitespace().collect();
    if words.first() != Some(&"info") {
        state.need(&call.caller, "/", &["Sys.Modify"])?;
    }
    let text = match words.as_slice() {
        ["info", "status"] => match vm.running.is_some_and(|running| running.paused) {
            true => "VM status: paused\r\n".to_owned(),
            false => "VM status: running\r\n".to_owned(),
        },
        ["info", "version"] => {
            let qemu = state.release().qemu;
            format!("{qemu}pve-qemu-kvm_{qemu}-1\r\n")
        }
        ["info", "name"] => format!("{}\r\n", vm.name(call.vmid())),
        ["info", "uuid"] => {
            let smbios = vm.config.get("smbios1");
            let uuid = smbios.and_then(|text| plain(text, "uuid"));
            format!("{}\r\n", uuid.unwrap_or_default())
        }
        ["info", "balloon"] => format!("balloon: actual={}\r\n", vm.memory() >> 20),
        _ => {
            return Err(ApiError::new(
                501,
                format!("monitor command '{command}' not implemented"),
            ));
        }
    };
    Ok(Value::String(text))
}

/// `PUT …/sendkey`: nobody listens to the keyboard of a simulated machine.
pub(crate) fn send_key(state: &State, call: &Call) -> Answer {
    crate::guest::check_lock(call.running(state)?, call)?;
    Ok(Value::Null)
}
