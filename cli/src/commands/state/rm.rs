//! `stead state rm`.

use stead_state::ResourceId;

use super::address::instances;
use super::{ChangeArgs, open, save};
use crate::commands::print;
use crate::error::{CommandError, Result};

#[derive(clap::Args, Debug)]
pub(crate) struct RmArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Only say what would be forgotten
    #[arg(long)]
    dry_run: bool,
    /// Resources, instances or modules
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<String>,
}

pub(super) async fn run(args: &RmArgs) -> Result<u8> {
    let (mut file, mut state) = open(&args.change, "state-rm").await?;
    let addresses = instances(&state, &args.addresses, true)?;
    let word = if args.dry_run {
        "Would remove"
    } else {
        "Removed"
    };
    let mut text = String::new();
    for address in &addresses {
        text.push_str(&format!("{word} {address}\n"));
    }
    if args.dry_run {
        if addresses.is_empty() {
            text.push_str("Would have removed nothing.\n");
        }
        print(&text);
        return Ok(0);
    }
    print(&text);
    for address in &addresses {
        let id = ResourceId::of(address);
        if let Some(resource) = state.resources.get_mut(&id) {
            resource.instances.remove(&address.key);
            if resource.instances.is_empty() {
                state.resources.remove(&id);
            }
        }
    }
    save(&mut file, &mut state)?;
    if addresses.is_empty() {
        return Err(CommandError::new(
            "Invalid target address",
            "No matching objects found. To view the available instances, use \"stead state list\". Please modify the address to reference a specific instance.",
        ));
    }
    print(&format!(
        "Successfully removed {} resource instance(s).\n",
        addresses.len()
    ));
    Ok(0)
}
