//! `stead state list`.

use std::path::PathBuf;

use super::address::{has_id, instances};
use super::machine::MachineArgs;
use crate::error::Result;

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Where the state is kept, instead of the selected workspace's place
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Only objects whose attribute "id" is this
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// No colours
    #[arg(long)]
    no_color: bool,
    #[command(flatten)]
    machine: MachineArgs,
    /// Only these: a resource, an instance or a module
    addresses: Vec<String>,
}

pub(super) fn run(args: &ListArgs) -> Result<u8> {
    args.machine.tell(|output| {
        let state = super::read(args.state.as_ref())?;
        let id = args.id.as_deref().filter(|id| !id.is_empty());
        let mut text = String::new();
        for address in instances(&state, &args.addresses, false)? {
            let current = state.current(&address);
            if id.is_none_or(|id| current.is_some_and(|(object, _)| has_id(object, id))) {
                text.push_str(&format!("{address}\n"));
                if let Some(stream) = &output.stream {
                    stream.address(&address);
                }
            }
        }
        output.text(&text);
        Ok(())
    })
}
