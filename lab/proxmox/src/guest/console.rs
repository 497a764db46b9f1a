//! Ways to a guest's console: tickets for it. What is then spoken is not simulated.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Kind, Px};
use crate::error::{Answer, ApiError};
use crate::routes::Call;

/// Ports that consoles take.
const PORTS: std::ops::Range<u32> = 5900..6000;

/// `POST …/vncproxy`
pub(crate) async fn vnc(px: &Px, call: Call) -> Answer {
    let password = call.params.is_on("generate-password");
    let mut told = proxy(px, &call).await?;
    if let Value::Object(fields) = &mut told {
        fields.insert("cert".into(), "".into());
        if password {
            let bytes = px.state().bytes();
            let text: String = STANDARD.encode(bytes).chars().take(8).collect();
            fields.insert("password".into(), text.into());
        }
    }
    Ok(told)
}

/// `POST …/termproxy`: a VM needs a serial port for it.
pub(crate) async fn terminal(px: &Px, call: Call) -> Answer {
    if call.kind() == Kind::Qemu {
        let state = px.state();
        let vm = call.guest(&state)?;
        let wanted = call.params.get("serial");
        let mut ports = (0..4).map(|n| format!("serial{n}"));
        let found = match wanted {
            Some(port) => vm.config.contains_key(port),
            None => ports.any(|port| vm.config.contains_key(&port)),
        };
        if !found {
            return Err(ApiError::failure("unable to find a serial interface"));
        }
    }
    proxy(px, &call).await
}

async fn proxy(px: &Px, call: &Call) -> Answer {
    let (kind, vmid) = (call.kind(), call.vmid());
    call.guest(&px.state())?;
    let (ticket, port) = {
        let mut state = px.state();
        let sign = STANDARD.encode(state.bytes());
        let time = crate::now();
        let port = PORTS.start + state.next_pid() % (PORTS.end - PORTS.start);
        (format!("PVEVNC:{time:08X}::{sign}"), port)
    };
    let (caller, id) = (call.caller.clone(), vmid.to_string());
    let upid = px
        .worker(
            call.node(),
            "vncproxy",
            &id,
            &caller,
            move |task| async move {
                task.line(format!(
                    "starting vnc proxy {port} for {} {vmid}",
                    kind.noun()
                ));
                task.takes(Duration::from_secs(10)).await;
                Err("connection timed out".into())
            },
        )
        .await?;
    Ok(json!({
        "user": caller.name(), "ticket": ticket, "port": port.to_string(), "upid": upid,
    }))
}

/// `POST …/spiceproxy`
pub(crate) async fn spice(px: &Px, call: Call) -> Answer {
    let (kind, vmid) = (call.kind(), call.vmid());
    let mut state = px.state();
    let vm = call.running(&state)?;
    let display = vm.config.get("vga").is_some_and(|vga| vga.contains("qxl"));
    if kind == Kind::Qemu && !display {
        return Err(ApiError::failure(format!(
            "VM {vmid} does not have a SPICE display"
        )));
    }
    let (title, node) = (format!("{} {vmid}", kind.noun()), vm.node.clone());
    let address = state.nodes.get(&node).map(|n| n.address.clone());
    let proxy = call.params.get("proxy").map(str::to_owned).or(address);
    let secret = |bytes: [u8; 16]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (password, ticket) = (secret(state.bytes()), secret(state.bytes()));
    Ok(json!({
        "type": "spice", "title": title, "proxy": format!("http://{}:3128", proxy.unwrap_or_default()),
        "host": format!("pvespiceproxy:{ticket}:{vmid}:{node}::61000"), "tls-port": 61000, "password": password,
        "host-subject": format!("OU=PVE Cluster Node,O=Proxmox Virtual Environment,CN={node}"),
        "delete-this-file": 1, "secure-attention": "Ctrl+Alt+Ins", "toggle-fullscreen": "Shift+F11",
        "release-cursor": "Ctrl+Alt+R",
    }))
}
