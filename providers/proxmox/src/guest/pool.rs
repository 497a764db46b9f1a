//! Resource pools: a guest is in one at most.

use reqwest::Method;
use stead_sdk::Error;

use crate::client::params;
use crate::guest::Guest;

/// Takes the guest out of `old` and puts it into `new`; an empty name is no pool.
pub(crate) async fn move_between_pools(
    guest: &Guest<'_>,
    old: &str,
    new: &str,
) -> Result<(), Error> {
    if old == new {
        return Ok(());
    }
    for (pool, delete) in [(old, true), (new, false)] {
        if pool.is_empty() {
            continue;
        }
        let mut form = params([("poolid", pool.to_owned()), ("vms", guest.id.to_string())]);
        if delete {
            form.push(("delete".into(), "1".into()));
        }
        let what = format!("change the pool {pool} of {}", guest.name());
        guest
            .client
            .change(guest.cx, Method::PUT, &what, "/pools", &form)
            .await?;
    }
    guest.client.guests_changed().await;
    Ok(())
}
