//! Addresses, as the guest agent tells them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value as Json;
use stead_sdk::wait::{Poll, Polling, parse_duration, until};
use stead_sdk::{Error, ErrorKind};

use crate::client::{Params, text};
use crate::guest::{Guest, LONGEST, wait_enough};
use crate::table::Settings;
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

impl Interfaces {
    /// Whether the addresses that are waited for are there, on an interface other than the loopback.
    fn suffice(&self, wanted: Option<&WaitForIp>) -> bool {
        let of_family = |lists: &'_ [Vec<String>]| -> Vec<String> {
            let named = self
                .names
                .iter()
                .zip(lists)
                .filter(|(name, _)| *name != "lo");
            named.flat_map(|(_, list)| list.clone()).collect()
        };
        let all = [of_family(&self.v4), of_family(&self.v6)].concat();
        let addresses = all.iter().map(String::as_str);
        wait_enough(
            addresses,
            wanted.is_some_and(|w| w.ipv4),
            wanted.is_some_and(|w| w.ipv6),
        )
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

async fn ask(guest: &Guest<'_>) -> Result<Option<Interfaces>, Error> {
    let path = guest.path("agent/network-get-interfaces");
    let what = format!("ask the guest agent of {}", guest.name());
    match guest
        .client
        .get(guest.cx, &what, &path, &Params::new())
        .await
    {
        Ok(answer) => Ok(Some(interfaces(&answer))),
        Err(e) if is_not_ready(&e) || e.said().contains("No QEMU guest agent configured") => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn is_enabled(vm: &Vm) -> bool {
    vm.agent.as_ref().is_some_and(|a| a.enabled) && vm.started && !vm.template
}

/// What the agent answered, where it was asked.
pub(crate) type Answer = Result<Option<Interfaces>, Error>;

/// The configuration, and beside it what the agent says of a machine that ran and had one when it was last read: a refresh takes
/// one round trip a machine then, and not two.
pub(crate) async fn config_and_answer(
    guest: &Guest<'_>,
    prior: &Vm,
    running: bool,
) -> (Result<Option<Settings>, Error>, Option<Answer>) {
    if !running || !is_enabled(prior) {
        return (guest.config().await, None);
    }
    let (config, answer) = tokio::join!(guest.config(), ask(guest));
    (config, Some(answer))
}

/// What the agent says now, unless it was just asked. An agent that is silent says nothing of the addresses: they stay as they were.
pub(crate) async fn look(
    guest: &Guest<'_>,
    vm: &mut Vm,
    asked: Option<Answer>,
) -> Result<(), Error> {
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
    let answer = match asked {
        Some(answer) => answer,
        None => ask(guest).await,
    };
    match answer {
        Ok(Some(found)) => found.store(vm),
        Ok(None) => {}
        Err(e) if e.kind() == ErrorKind::Denied => unknown(
            guest,
            format!("{e} Without the privilege everything else works."),
        ),
        Err(e) => return Err(e),
    }
    Ok(())
}

fn unknown(guest: &Guest<'_>, why: String) {
    let summary = format!("The addresses of {} are not known", guest.name());
    guest.cx.warn(summary, why);
}

/// Waits for addresses after a start. A timeout is a warning; a machine that stops ends the wait.
pub(crate) async fn await_addresses(guest: &Guest<'_>, vm: &mut Vm) -> Result<(), Error> {
    let Some(agent) = vm.agent.clone().filter(|_| is_enabled(vm)) else {
        return Ok(());
    };
    let wanted = agent.wait_for_ip.as_ref();
    if wanted.is_some_and(|w| w.disabled) {
        return look(guest, vm, None).await;
    }
    let timeout = parse_duration(&agent.timeout)
        .unwrap_or(Duration::from_secs(900))
        .min(LONGEST);
    let polling = Polling::default()
        .cap(Duration::from_secs(1))
        .timeout(timeout);
    let last = Mutex::new(None);
    let what = format!(
        "the guest agent of {} to tell an address (up to {})",
        guest.name(),
        agent.timeout
    );
    let polls = AtomicU32::new(0);
    let waited = until(guest.cx, &what, polling, || async {
        match ask(guest).await? {
            Some(found) if found.suffice(wanted) => return Ok(Poll::Ready(Some(found))),
            Some(found) => {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                return Ok(Poll::PendingBecause(
                    "the agent answers, no address yet".into(),
                ));
            }
            None => {}
        }
        // Rarely: whether there is still something to wait for.
        let count = polls.fetch_add(1, Ordering::Relaxed);
        if count % 4 == 3 && !guest.is_running().await? {
            return Ok(Poll::Ready(None));
        }
        Ok(Poll::PendingBecause(
            "the agent does not answer; is it installed in the guest?".into(),
        ))
    })
    .await;
    let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
    match waited {
        Ok(Some(found)) => found.store(vm),
        Ok(None) => {
            vm.started = false;
            guest.cx.warn(
                format!("{} stopped", guest.name()),
                "It stopped before the guest agent told an address.",
            );
        }
        Err(e) if e.kind() == ErrorKind::TimedOut => {
            if let Some(found) = last {
                found.store(vm);
            }
            guest.cx.warn(
                format!("No address of {}", guest.name()),
                format!(
                    "The guest agent told none within {}. Install qemu-guest-agent in the guest (for Talos: the system \
                     extension siderolabs/qemu-guest-agent), or set agent.enabled = false or a shorter agent.timeout.",
                    agent.timeout
                ),
            );
        }
        Err(e) if e.kind() == ErrorKind::Denied => unknown(guest, e.to_string()),
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
