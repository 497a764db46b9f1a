//! `stead state replace-provider`.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use stead_value::addr::ProviderSource;
use stead_value::{Diagnostic, Diagnostics};

use super::{ChangeArgs, open, save};
use crate::commands::print;
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::Style;

#[derive(clap::Args, Debug)]
pub(crate) struct ReplaceProviderArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Do not ask for approval
    #[arg(long)]
    auto_approve: bool,
    /// The provider whose resources change hands
    from: String,
    /// The provider that gets them
    to: String,
}

pub(super) async fn run(args: &ReplaceProviderArgs) -> Result<u8> {
    let style = Style {
        colour: !args.change.no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    let mut diagnostics = Diagnostics::new();
    let mut source = |word: &str, text: &str| match parse(text) {
        Some(source) => Some(source),
        None => {
            diagnostics.push(Diagnostic::error(
                format!("Invalid \"{word}\" provider {text:?}"),
                "Invalid provider source string: The \"source\" attribute must be in the format \"[hostname/][namespace/]name\"",
            ));
            None
        }
    };
    let sources = (source("from", &args.from), source("to", &args.to));
    let (Some(from), Some(to)) = sources else {
        return Err(diagnostics.into());
    };
    let (mut file, mut state) = open(&args.change, "state-replace-provider").await?;
    let matching: Vec<_> = state
        .resources
        .iter()
        .filter(|(_, resource)| resource.provider.source == from)
        .map(|(id, _)| id.clone())
        .collect();
    if matching.is_empty() {
        print("No matching resources found.\n");
        return Ok(0);
    }
    let mut text = format!(
        "stead will perform the following actions:\n\n  {} Updating provider:\n    {} {}\n    {} {}\n\n{} {} resources:\n\n",
        style.yellow("~"),
        style.red("-"),
        from,
        style.green("+"),
        to,
        style.bold("Changing"),
        matching.len()
    );
    for id in &matching {
        text.push_str(&format!(
            "  {}\n",
            id.instance(stead_value::addr::InstanceKey::None)
        ));
    }
    print(&text);
    if !args.auto_approve && !approved(style)? {
        print("Cancelled replacing providers.\n");
        return Ok(0);
    }
    for id in &matching {
        if let Some(resource) = state.resources.get_mut(id) {
            resource.provider.source = to.clone();
            let instances = resource.instances.values_mut();
            for own in instances.filter_map(|i| i.provider.as_mut()) {
                Arc::make_mut(own).source = to.clone();
            }
        }
    }
    save(&mut file, &mut state)?;
    print(&format!(
        "\nSuccessfully replaced provider for {} resources.\n",
        matching.len()
    ));
    Ok(0)
}

/// A provider's name of letters, digits and dashes in each part.
fn parse(text: &str) -> Option<ProviderSource> {
    let sound = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || "-_.:".contains(c))
    };
    // `-` stands for a provider of which only the name was known, before Terraform 0.13.
    text.split('/')
        .all(|part| part == "-" || sound(part))
        .then(|| ProviderSource::parse(text))
        .flatten()
}

fn approved(style: Style) -> Result<bool> {
    print(&format!(
        "\n{}\nOnly 'yes' will be accepted to continue.\n\nEnter a value: ",
        style.bold("Do you want to make these changes?")
    ));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    if read == 0 {
        return Err(CommandError::text("Error asking for approval: EOF"));
    }
    Ok(line.trim() == "yes")
}
