//! The addresses that a running container has.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;
use stead_sdk::wait::{Poll, Polling, until};
use stead_sdk::{Error, ErrorKind};

use crate::client::{Params, text};
use crate::container::schema::Container;
use crate::guest::{Guest, wait_enough};

/// How long a container may take to have an address: it boots in a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first address of each card, by family.
#[derive(Default)]
struct Addresses {
    v4: BTreeMap<String, String>,
    v6: BTreeMap<String, String>,
}

/// Newer servers list all addresses of a card, older ones say one of each family.
fn addresses(answer: &Json) -> Addresses {
    let mut out = Addresses::default();
    for card in answer.as_array().into_iter().flatten() {
        let Some(name) = text(card, "name").filter(|name| name != "lo") else {
            continue;
        };
        let listed = card.get("ip-addresses").and_then(Json::as_array);
        let listed = listed
            .into_iter()
            .flatten()
            .filter_map(|a| Some((text(a, "ip-address-type")?, text(a, "ip-address")?)));
        let single = ["inet", "inet6"].into_iter();
        let single = single.filter_map(|family| Some((family.to_owned(), text(card, family)?)));
        for (family, address) in listed.chain(single) {
            let bare = address.split('/').next().unwrap_or_default().to_owned();
            let all = match family.as_str() {
                "inet" | "ipv4" => &mut out.v4,
                _ => &mut out.v6,
            };
            all.entry(name.clone()).or_insert(bare);
        }
    }
    out
}

async fn ask(guest: &Guest<'_>) -> Result<Addresses, Error> {
    let what = format!("read the addresses of {}", guest.name());
    let path = guest.path("interfaces");
    let answer = guest
        .client
        .get(guest.cx, &what, &path, &Params::new())
        .await;
    match answer {
        Ok(answer) => Ok(addresses(&answer)),
        // It is starting or stopping, or an old server does not know.
        Err(e) if matches!(e.status(), Some(500 | 501)) || e.is_not_found() => {
            Ok(Addresses::default())
        }
        Err(e) => Err(e),
    }
}

/// What it has now.
pub(crate) async fn look(guest: &Guest<'_>, container: &mut Container) -> Result<(), Error> {
    let found = match container.started && !container.network_interface.is_empty() {
        true => ask(guest).await?,
        false => Addresses::default(),
    };
    container.ipv4 = found.v4;
    container.ipv6 = found.v6;
    Ok(())
}

/// Waits a moment for addresses after a start; whoever wants one is told when there is none.
pub(crate) async fn wait(guest: &Guest<'_>, container: &mut Container) -> Result<(), Error> {
    if !container.started || container.template || container.network_interface.is_empty() {
        return look(guest, container).await;
    }
    let wanted = container.wait_for_ip.clone().unwrap_or_default();
    let what = format!("an address of {}", guest.name());
    let polling = Polling::default()
        .cap(Duration::from_secs(1))
        .timeout(PATIENCE);
    let waited = until(guest.cx, &what, polling, || async {
        let found = ask(guest).await?;
        let all = found
            .v4
            .values()
            .chain(found.v6.values())
            .map(String::as_str);
        let enough = wait_enough(all, wanted.ipv4, wanted.ipv6);
        Ok(if enough {
            Poll::Ready(())
        } else {
            Poll::Pending
        })
    })
    .await;
    match waited {
        Err(e) if e.kind() == ErrorKind::TimedOut => {
            if container.wait_for_ip.is_some() {
                let detail = "It has none of the kind that `wait_for_ip` waits for after ten seconds. Look at its network: `pct exec ID -- ip a`.";
                guest
                    .cx
                    .warn(format!("No address of {}", guest.name()), detail);
            }
        }
        other => other?,
    }
    look(guest, container).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_each_card_counts() {
        let answer = serde_json::json!([
            { "name": "lo", "inet": "127.0.0.1/8" },
            { "name": "eth0", "inet": "10.0.0.9/24", "ip-addresses": [
                { "ip-address": "10.0.0.5", "ip-address-type": "inet" }, { "ip-address": "2001:db8::1", "ip-address-type": "inet6" }] },
            { "name": "eth1", "inet": "10.1.0.5/24" },
        ]);
        let found = addresses(&answer);
        let text = |all: &BTreeMap<String, String>| {
            all.iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(text(&found.v4), "eth0=10.0.0.5 eth1=10.1.0.5");
        assert_eq!(text(&found.v6), "eth0=2001:db8::1");
    }
}
