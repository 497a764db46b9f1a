//! `stead version`.

use super::print;
use crate::args::VersionArgs;
use crate::error::Result;
use crate::providers;

pub(crate) fn run(args: &VersionArgs) -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let mut sources: Vec<String> = providers::registry()?
        .sources()
        .map(ToString::to_string)
        .collect();
    sources.sort();
    if args.json {
        let builtin: serde_json::Map<String, serde_json::Value> =
            sources.into_iter().map(|s| (s, "builtin".into())).collect();
        let json = serde_json::json!({
            "stead_version": version,
            // Tools that ask for Terraform's version get the one whose rules are followed.
            "terraform_version": crate::session::TERRAFORM_VERSION,
            "platform": platform(),
            "provider_selections": builtin,
            "terraform_outdated": false,
        });
        print(&format!("{json:#}\n"));
        return Ok(0);
    }
    let mut text = format!("stead v{version}\non {}\n", platform());
    text.push_str("\nProviders built in:\n");
    for source in sources {
        text.push_str(&format!("  {source}\n"));
    }
    print(&text);
    Ok(0)
}

/// The platform, in the words that releases of providers are named with.
fn platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    format!("{system}_{machine}")
}
