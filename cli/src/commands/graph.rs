//! `stead graph`: what depends on what, for Graphviz or Mermaid.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use stead_engine::relations::relations;
use stead_state::State;

use super::print;
use crate::args::VariableArgs;
use crate::backend;
use crate::encryption;
use crate::error::{CommandError, Result};
use crate::render::graph::{self, Format};
use crate::session::{Given, Session};
use crate::settled;
use crate::world::Disk;

#[derive(Args, Debug)]
pub(crate) struct GraphArgs {
    /// What is shown: plan, plan-refresh-only, plan-destroy or apply. Without it, the resources alone
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Mark what goes round in circles
    #[arg(long)]
    pub(crate) draw_cycles: bool,
    /// A saved plan, instead of the configuration: what its apply does, in order
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// The language of the graph
    #[arg(long, value_enum, default_value_t = Format::Dot)]
    pub(crate) format: Format,
    /// Accepted for scripts
    #[arg(long, value_name = "N", hide = true, allow_negative_numbers = true)]
    pub(crate) module_depth: Option<i64>,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
}

/// What is shown, beside the resources alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Plan,
    PlanRefreshOnly,
    PlanDestroy,
    Apply,
}

pub(crate) fn run(args: GraphArgs, origin: &Path) -> Result<u8> {
    let kind = args.kind.as_deref().map(kind).transpose()?;
    if let Some(path) = &args.plan {
        let (_, file) = super::saved::open(path, origin, args.no_color, &VariableArgs::default())?;
        if matches!(kind, None | Some(Kind::Apply)) {
            print(&graph::operations(&file.plan, args.format));
            return Ok(0);
        }
    }
    let given = Given::Gather(&args.variables);
    let session = Session::read(&Disk, origin, &given, args.no_color)?;
    // References are not checked: a graph helps to find what is wrong with them.
    let relations = relations(&session.tree);
    if !relations.cycles.is_empty() && !args.draw_cycles {
        let names: Vec<String> = relations
            .cycles
            .iter()
            .flatten()
            .filter_map(|place| Some(relations.things.get(*place)?.to_string()))
            .collect();
        return Err(CommandError::new(
            format!("Cycle: {}", names.join(", ")),
            "These objects need each other. Give -draw-cycles to see them in the graph.",
        ));
    }
    print(&match kind {
        None => graph::resources(&relations, args.format),
        Some(Kind::Plan | Kind::PlanRefreshOnly) => graph::whole(&relations, args.format),
        Some(Kind::PlanDestroy) => {
            let state = settled::read(&mut backend::state(None, &encryption::in_folder(&Disk)?)?)?;
            graph::destruction(&state.unwrap_or_else(State::new), args.format)
        }
        // Nothing is planned, so nothing is applied.
        Some(Kind::Apply) => graph::whole(&relations, args.format),
    });
    Ok(0)
}

fn kind(text: &str) -> Result<Kind> {
    match text {
        "eval" | "validate" => Err(CommandError::new(
            "Graph type no longer available",
            format!("The graph type \"{text}\" is no longer available. Use -type=plan instead to get a similar result."),
        )),
        _ => Kind::from_str(text, false).map_err(|_| {
            CommandError::new(
                "Unsupported graph type",
                "The -type=... argument must be either \"plan\", \"plan-refresh-only\", \"plan-destroy\", or \"apply\".",
            )
        }),
    }
}
