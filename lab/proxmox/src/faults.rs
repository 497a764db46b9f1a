//! What goes wrong with requests when a user asks for it. The switches are documented in docs/src/lab.md; those of
//! tasks, locks and guest agents strike where these are.

use crate::Px;
use crate::error::ApiError;
use crate::routes::Asked;
use crate::schema::Method;
use crate::schema::check::Params;

/// A storage without room, by its id.
const STORAGE_FULL: &str = "proxmox.storage-full.";
/// A privilege that nobody but root@pam has any more.
const NO_PRIVILEGE: &str = "proxmox.no-privilege.";

/// Lets faults strike a request before anything is made of it.
pub(crate) async fn interfere(px: &Px, method: &Method, asked: &Asked) -> Result<(), ApiError> {
    impose(px);
    let faults = &px.lab.faults;
    if faults.is_quiet() {
        return Ok(());
    }
    let params = Params::unchecked(&asked.given);
    let in_path = |name: &str| {
        let named = method.path.contains(&format!("{{{name}}}"));
        params.get(name).filter(|_| named)
    };
    if asked.caller.token.is_some() && faults.is_on("proxmox.token-expired").await {
        return Err(ApiError::unauthorized("token expired"));
    }
    if let Some(node) = in_path("node") {
        if faults.is_on(&format!("proxmox.node-down.{node}")).await {
            return Err(ApiError::new(595, "No route to host"));
        }
        if faults.is_on(&format!("proxmox.node-timeout.{node}")).await {
            return Err(ApiError::new(596, "Connection timed out"));
        }
    }
    if asked.upload.is_some() && faults.is_on("proxmox.upload-broken").await {
        return Err(ApiError::new(596, "Broken pipe"));
    }
    let changes = method.verb != "GET" && method.path != "/access/ticket";
    if changes && faults.is_on("proxmox.quorum-lost").await {
        return Err(ApiError::failure("cluster not ready - no quorum?"));
    }
    if let Some(vmid) = in_path("vmid").and_then(|id| id.parse().ok()) {
        guest(px, vmid).await;
    }
    Ok(())
}

/// What others do to a guest behind the caller's back.
async fn guest(px: &Px, vmid: u32) {
    let faults = &px.lab.faults;
    if faults.is_on(&format!("proxmox.vm-vanished.{vmid}")).await {
        px.power_off(vmid).await;
        let cluster = {
            let mut state = px.state();
            px.erase(&mut state, vmid);
            state.name.clone()
        };
        px.destroyed(&cluster, vmid).await;
        px.changed();
    }
    if faults.is_on(&format!("proxmox.vm-edited.{vmid}")).await {
        let mut state = px.state();
        if let Some(vm) = state.vms.get_mut(&vmid) {
            let cores = vm.number("cores", 1) + 1;
            vm.config.insert("cores".into(), cores.to_string());
            vm.config
                .insert("description".into(), "changed by hand".into());
        }
        drop(state);
        px.changed();
    }
}

/// Puts into the state what standing faults say of it.
fn impose(px: &Px) {
    let (faults, mut state) = (&px.lab.faults, px.state());
    if faults.is_quiet() {
        state.full.clear();
        state.withheld.clear();
        return;
    }
    let set = faults.list();
    let named = |prefix: &str| {
        set.iter()
            .filter_map(|fault| fault.name.strip_prefix(prefix))
            .map(str::to_owned)
            .collect()
    };
    state.full = named(STORAGE_FULL);
    state.withheld = named(NO_PRIVILEGE);
}
