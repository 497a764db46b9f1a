//! `stead state identities -json`.

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use super::address::{has_id, instances};
use crate::commands::print;
use crate::error::{CommandError, Result};

#[derive(clap::Args, Debug)]
pub(crate) struct IdentitiesArgs {
    /// Where the state is kept, instead of the selected workspace's place
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Only objects whose attribute "id" is this
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Print as JSON: required
    #[arg(long)]
    json: bool,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// Only these: a resource, an instance or a module
    addresses: Vec<String>,
}

pub(super) fn run(args: &IdentitiesArgs) -> Result<u8> {
    if !args.json {
        return Err(CommandError::text(
            "The `stead state identities` command requires the `-json` flag.",
        ));
    }
    let state = super::read(args.state.as_ref())?;
    let id = args.id.as_deref().filter(|id| !id.is_empty());
    let mut found = Map::new();
    let mut addresses = instances(&state, &args.addresses, false)?;
    addresses.sort_by_key(ToString::to_string);
    for address in addresses {
        let Some((object, _)) = state.current(&address) else {
            continue;
        };
        if let Some(identity) = &object.identity
            && id.is_none_or(|id| has_id(object, id))
        {
            found.insert(address.to_string(), identity.attributes.clone().into());
        }
    }
    print(&format!("{:#}\n", Json::Object(found)));
    Ok(0)
}
