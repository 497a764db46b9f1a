//! `stead modules`: which modules the configuration calls, and where they come from.

use std::path::Path;

use clap::Args;
use serde_json::{Value as Json, json};
use stead_lang::config::{ConfigNode, Early};

use super::print;
use crate::args::VariableArgs;
use crate::error::Result;
use crate::render::tree::Branch;
use crate::session::{Given, Session};
use crate::world::Disk;

#[derive(Args, Debug)]
pub(crate) struct ModulesArgs {
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: ModulesArgs, origin: &Path) -> Result<u8> {
    let given = Given::Gather(&args.variables);
    let session = Session::read(&Disk, origin, &given, args.no_color)?;
    let root = &session.tree.root;
    if args.json {
        let mut all = Vec::new();
        flatten(root, &mut all);
        let modules = if all.is_empty() {
            Json::Null
        } else {
            all.into()
        };
        print(&format!(
            "{}\n",
            json!({"format_version": "1.0", "modules": modules})
        ));
        return Ok(0);
    }
    if root.children.is_empty() {
        print("No modules found in configuration.\n");
        return Ok(0);
    }
    let mut text = String::from("\nModules declared by configuration:\n");
    text.push_str(&branch(root, String::from(".")).render());
    text.push('\n');
    print(&text);
    Ok(0)
}

fn sorted(node: &ConfigNode) -> Vec<(&str, &ConfigNode)> {
    let mut children: Vec<(&str, &ConfigNode)> =
        node.children.iter().map(|(k, n)| (&**k, n)).collect();
    children.sort_by_key(|(name, _)| *name);
    children
}

fn source(node: &ConfigNode) -> String {
    node.source
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn flatten(node: &ConfigNode, all: &mut Vec<Json>) {
    for (name, child) in sorted(node) {
        let version = child.version.as_deref().unwrap_or_default();
        all.push(json!({"key": name, "source": source(child), "version": version}));
        flatten(child, all);
    }
}

fn branch(node: &ConfigNode, text: String) -> Branch {
    let children = sorted(node).into_iter().map(|(name, child)| {
        let mut text = format!("\"{name}\"[{}]", source(child));
        if let Some(version) = &child.version {
            text.push_str(&format!(" {version}"));
            let asked = match node.module.calls.get(name).map(|c| &c.version) {
                Some(Some(Early::Known(asked))) => Some(&asked.text),
                _ => None,
            };
            if let Some(asked) = asked.filter(|a| *a != version) {
                text.push_str(&format!(" ({asked})"));
            }
        }
        branch(child, text)
    });
    Branch {
        text,
        children: children.collect(),
    }
}
