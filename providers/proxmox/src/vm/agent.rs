//! Addresses, as the guest agent tells them.

use std::time::Duration;

use serde_json::Value as Json;
use stead_sdk::wait::{Poll, Polling, parse_duration, until};
use stead_sdk::{Context, Error, ErrorKind};

use crate::client::{Client, Params, text};
use crate::vm::power;
use crate::vm::schema::{Vm, WaitForIp};

/// The interfaces of a guest, in its order.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    names: Vec<String>,
    macs: Vec<String>,
    v4: Vec<Vec<String>>,
    v6: Vec<Vec<String>>,
}

fn interfaces(answer: &Json) -> Interfaces {
    let mut out = Interfaces::default();
    for interface in answer
        .get("result")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        let addresses = interface.get("ip-addresses").and_then(Json::as_array);
        let of = |family: &str| -> Vec<String> {
            let all = addresses.into_iter().flatten();
            all.filter(|a| text(a, "ip-address-type").as_deref() == Some(family))
                .filter_map(|a| text(a, "ip-address"))
                .collect()
        };
        out.names.push(text(interface, "name").unwrap_or_default());
        out.macs.push(
            text(interface, "hardware-address")
                .unwrap_or_default()
                .to_uppercase(),
        );
        out.v4.push(of("ipv4"));
        out.v6.push(of("ipv6"));
    }
    out
}

fn is_global_v4(address: &str) -> bool {
    address.parse::<std::net::Ipv4Addr>().is_ok_and(|a| {
        !a.is_loopback() && !a.is_link_local() && !a.is_unspecified() && !a.is_multicast()
    })
}

fn is_global_v6(address: &str) -> bool {
    address
        .split('%')
        .next()
        .unwrap_or_default()
        .parse::<std::net::Ipv6Addr>()
        .is_ok_and(|a| {
            !a.is_loopback()
                && !a.is_unspecified()
                && !a.is_multicast()
                && (a.segments()[0] & 0xffc0) != 0xfe80
        })
}

impl Interfaces {
    /// Whether the addresses that are waited for are there, on an interface other than the loopback.
    fn suffice(&self, wanted: Option<&WaitForIp>) -> bool {
        let any = |lists: &[Vec<String>], good: fn(&str) -> bool| {
            self.names
                .iter()
                .zip(lists)
                .any(|(name, list)| name != "lo" && list.iter().any(|a| good(a)))
        };
        let (v4, v6) = (any(&self.v4, is_global_v4), any(&self.v6, is_global_v6));
        match wanted.map(|w| (w.ipv4, w.ipv6)) {
            None | Some((false, false)) => v4 || v6,
            Some((want4, want6)) => (v4 || !want4) && (v6 || !want6),
        }
    }

    /// Writes what was found into the machine's computed attributes.
    pub(crate) fn store(self, vm: &mut Vm) {
        vm.network_interface_names = self.names;
        vm.mac_addresses = self.macs;
        vm.ipv4_addresses = self.v4;
        vm.ipv6_addresses = self.v6;
    }
}

/// The agent may start later; everything else that is wrong ends a wait.
fn is_not_ready(error: &Error) -> bool {
    let said = error.said();
    matches!(error.status(), Some(400 | 500 | 596))
        && ["agent", "got timeout", "not running"]
            .iter()
            .any(|w| said.contains(w))
        && !said.contains("No QEMU guest agent configured")
}

async fn ask(client: &Client, cx: &Context, vm: &Vm, id: i64) -> Result<Option<Interfaces>, Error> {
    let path = format!(
        "/nodes/{}/qemu/{id}/agent/network-get-interfaces",
        vm.node_name
    );
    let what = format!("ask the guest agent of VM {id}");
    match client.get(cx, &what, &path, &Params::new()).await {
        Ok(answer) => Ok(Some(interfaces(&answer))),
        Err(e) if is_not_ready(&e) || e.said().contains("No QEMU guest agent configured") => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn is_enabled(vm: &Vm) -> bool {
    vm.agent.as_ref().is_some_and(|a| a.enabled) && !vm.template
}

/// What the agent says now. An agent that is silent says nothing of the addresses: they stay as they were.
pub(crate) async fn look(client: &Client, cx: &Context, vm: &mut Vm, id: i64) -> Result<(), Error> {
    if !vm.started {
        Interfaces {
            macs: vm.mac_addresses.clone(),
            ..Interfaces::default()
        }
        .store(vm);
        return Ok(());
    }
    if !is_enabled(vm) {
        return Ok(());
    }
    match ask(client, cx, vm, id).await {
        Ok(Some(found)) => found.store(vm),
        Ok(None) => {}
        Err(e) if e.kind() == ErrorKind::Denied => cx.warn(
            format!("The addresses of VM {id} are not known"),
            format!("{e} Without the privilege everything else works."),
        ),
        Err(e) => return Err(e),
    }
    Ok(())
}

/// Waits for addresses after a start. A timeout is a warning; a machine that stops ends the wait.
pub(crate) async fn await_addresses(
    client: &Client,
    cx: &Context,
    vm: &mut Vm,
    id: i64,
) -> Result<(), Error> {
    let Some(agent) = vm.agent.clone().filter(|_| is_enabled(vm)) else {
        return Ok(());
    };
    let wanted = agent.wait_for_ip.as_ref();
    if wanted.is_some_and(|w| w.disabled) {
        return look(client, cx, vm, id).await;
    }
    let timeout = parse_duration(&agent.timeout)
        .unwrap_or(Duration::from_secs(900))
        .min(power::LONGEST);
    let polling = Polling::default()
        .cap(Duration::from_secs(1))
        .timeout(timeout);
    let last = std::sync::Mutex::new(None);
    let what = format!(
        "the guest agent of VM {id} to tell an address (up to {})",
        agent.timeout
    );
    let polls = std::sync::atomic::AtomicU32::new(0);
    let machine: &Vm = vm;
    let waited = until(cx, &what, polling, || async {
        match ask(client, cx, machine, id).await? {
            Some(found) if found.suffice(wanted) => return Ok(Poll::Ready(Some(found))),
            Some(found) => {
                *last
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(found);
                return Ok(Poll::PendingBecause(
                    "the agent answers, no address yet".into(),
                ));
            }
            None => {}
        }
        // Rarely: whether there is still something to wait for.
        let count = polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if count % 4 == 3 && !power::is_running(client, cx, machine, id).await? {
            return Ok(Poll::Ready(None));
        }
        Ok(Poll::PendingBecause(
            "the agent does not answer; is it installed in the guest?".into(),
        ))
    })
    .await;
    let last = last
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match waited {
        Ok(Some(found)) => found.store(vm),
        Ok(None) => {
            vm.started = false;
            cx.warn(
                format!("VM {id} stopped"),
                "It stopped before the guest agent told an address.",
            );
        }
        Err(e) if e.kind() == ErrorKind::TimedOut => {
            if let Some(found) = last {
                found.store(vm);
            }
            cx.warn(
                format!("No address of VM {id}"),
                format!(
                    "The guest agent told none within {}. Install qemu-guest-agent in the guest (for Talos: the system \
                     extension siderolabs/qemu-guest-agent), or set agent.enabled = false or a shorter agent.timeout.",
                    agent.timeout
                ),
            );
        }
        Err(e) if e.kind() == ErrorKind::Denied => {
            cx.warn(
                format!("The addresses of VM {id} are not known"),
                e.to_string(),
            );
        }
        Err(e) => return Err(e),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_global_addresses_off_the_loopback_end_the_wait() {
        let of = |name: &str, ip: &str, family: &str| {
            interfaces(
                &json!({ "result": [{ "name": name, "hardware-address": "bc:24:11:00:00:01",
                "ip-addresses": [{ "ip-address": ip, "ip-address-type": family }] }] }),
            )
        };
        assert!(of("eth0", "10.0.0.5", "ipv4").suffice(None));
        assert!(!of("lo", "10.0.0.5", "ipv4").suffice(None));
        assert!(!of("eth0", "169.254.1.1", "ipv4").suffice(None));
        assert!(!of("eth0", "fe80::1", "ipv6").suffice(None));
        let six = WaitForIp {
            ipv6: true,
            ..WaitForIp::default()
        };
        assert!(!of("eth0", "10.0.0.5", "ipv4").suffice(Some(&six)));
        assert!(of("eth0", "2001:db8::1", "ipv6").suffice(Some(&six)));
    }
}
