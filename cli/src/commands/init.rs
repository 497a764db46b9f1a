//! `stead init`: native providers need nothing, so it checks and says so.

use std::collections::BTreeSet;
use std::path::Path;

use super::print;
use crate::args::InitArgs;
use crate::error::Result;
use crate::session::{Given, Session};
use crate::world::Disk;

pub(crate) fn run(args: InitArgs, origin: &Path) -> Result<u8> {
    let session = Session::load_from(&Disk, origin, Given::Nothing, args.display.no_color)?;
    let mut sources = BTreeSet::new();
    let mut missing = stead_value::Diagnostics::new();
    for node in session.tree.nodes() {
        let module = &node.module;
        for resource in module.resources.values() {
            let source = module.provider_source(&resource.provider_name().local);
            if sources.insert(source.clone())
                && let Err(diagnostic) = session.registry.factory(&source)
            {
                missing.push(diagnostic.at(resource.range.clone()));
            }
        }
    }
    if missing.has_errors() {
        return Err(session.failure(missing));
    }
    let mut text = String::from("Providers (built in, nothing to download):\n");
    for source in &sources {
        text.push_str(&format!("- {source}\n"));
    }
    text.push_str(&format!(
        "\n{}\n\nTry `stead plan` next.\n",
        session
            .style
            .bold_green("stead has been successfully initialized!")
    ));
    print(&text);
    Ok(0)
}
