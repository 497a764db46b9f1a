//! The flags of `plan`, `apply`, `destroy` and `refresh` as what the planner is asked.

use std::path::Path;

use stead_engine::PlanMode;
use stead_engine::plan::{Options, RESERVED, Target};
use stead_state::parse_resource_instance;
use stead_value::addr::{ResourceInstance, ResourceMode};
use stead_value::{Diagnostic, Diagnostics};

use crate::args::PlanningArgs;
use crate::error::Result;

/// Reads the flags; every mistake in them is reported.
pub(crate) fn options(args: &PlanningArgs, destroy: bool) -> Result<Options> {
    let mut diagnostics = Diagnostics::new();
    let targets = targets("target", &args.target, &args.target_file, &mut diagnostics);
    let excludes = self::targets(
        "exclude",
        &args.exclude,
        &args.exclude_file,
        &mut diagnostics,
    );
    if !targets.is_empty() && !excludes.is_empty() {
        diagnostics.push(Diagnostic::error(
            "Invalid combination of arguments",
            "The target and exclude planning options are mutually-exclusive. Each plan must use either only the target options, or only the exclude options.",
        ));
    }
    let replace: Vec<ResourceInstance> = args
        .replace
        .iter()
        .filter_map(|text| replacement(text, &mut diagnostics))
        .collect();
    let mode = mode(args, destroy, &mut diagnostics);
    if mode != PlanMode::Normal && !replace.is_empty() {
        diagnostics.push(Diagnostic::error(
            "Unsupported plan mode",
            "Forcing resource instance replacement (with -replace=...) is allowed only in normal planning mode.",
        ));
    }
    if args.parallelism < 0 {
        diagnostics.push(Diagnostic::error(
            "Invalid parallelism value",
            format!(
                "The parallelism must be a positive value. Not {}.",
                args.parallelism
            ),
        ));
    }
    diagnostics.into_result()?;
    Ok(Options {
        mode,
        refresh: args.refresh,
        minimal_refresh: args.minimal_refresh,
        replace,
        targets,
        excludes,
        in_doubt: Vec::new(),
        health_checks: args.health_checks,
        parallelism: parallelism(args),
        generated: Vec::new(),
    })
}

/// Zero stands for the default, as for Terraform.
pub(crate) fn parallelism(args: &PlanningArgs) -> usize {
    match usize::try_from(args.parallelism) {
        Ok(n) if n > 0 => n,
        _ => Options::default().parallelism,
    }
}

fn mode(args: &PlanningArgs, destroy: bool, diagnostics: &mut Diagnostics) -> PlanMode {
    let wrong = |summary: &str, detail: &str| Diagnostic::error(summary, detail);
    match (args.destroy || destroy, args.refresh_only) {
        (true, true) if !args.destroy => diagnostics.push(wrong(
            "Invalid mode option",
            "The -refresh-only option is not valid for \"stead destroy\".",
        )),
        (true, true) => diagnostics.push(wrong(
            "Incompatible plan mode options",
            "The -destroy and -refresh-only options are mutually-exclusive.",
        )),
        (false, true) if !args.refresh => diagnostics.push(wrong(
            "Incompatible refresh options",
            "It doesn't make sense to use -refresh-only at the same time as -refresh=false, because stead would have nothing to do.",
        )),
        (false, true) => return PlanMode::RefreshOnly,
        (true, false) => return PlanMode::Destroy,
        (false, false) => {}
    }
    PlanMode::Normal
}

/// The addresses of one kind, on the command line and in files.
fn targets(
    flag: &str,
    given: &[String],
    files: &[std::path::PathBuf],
    diagnostics: &mut Diagnostics,
) -> Vec<Target> {
    let mut found = Vec::new();
    let mut read = |text: &str, diagnostics: &mut Diagnostics| match Target::parse(text) {
        Some(target) => found.push(target),
        None => diagnostics.push(Diagnostic::error(
            format!("Invalid {flag} {text:?}"),
            problem(text),
        )),
    };
    for text in given {
        read(text, diagnostics);
    }
    for path in files {
        match lines(path) {
            Ok(lines) => lines.iter().for_each(|line| read(line, diagnostics)),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    found
}

/// A file's lines without comments and empty ones.
fn lines(path: &Path) -> Result<Vec<String>, Diagnostic> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Diagnostic::error("Unable to read file", format!("{}: {e}.", path.display()))
    })?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

fn replacement(text: &str, diagnostics: &mut Diagnostics) -> Option<ResourceInstance> {
    let wrong = |detail: String| {
        Diagnostic::error(format!("Invalid force-replace address {text:?}"), detail)
    };
    match parse_resource_instance(text) {
        Some(address) if address.resource.mode == ResourceMode::Managed => Some(address),
        Some(_) => {
            diagnostics.push(wrong(
                "Only managed resources can be used with the -replace=... option.".into(),
            ));
            None
        }
        None if Target::parse(text).is_some() => {
            diagnostics.push(wrong(
                "A resource instance address is required here. The module path must be followed by a resource instance specification.".into(),
            ));
            None
        }
        None => {
            diagnostics.push(wrong(problem(text)));
            None
        }
    }
}

/// What is wrong with a text that is no address.
pub(crate) fn problem(text: &str) -> String {
    let mut words = text.split('.');
    let mut first = words.next().unwrap_or_default();
    while first == "module" {
        let Some(name) = words.next().filter(|name| !name.is_empty()) else {
            return "Prefix \"module.\" must be followed by a module name.".into();
        };
        let _ = name;
        first = words.next().unwrap_or_default();
    }
    if RESERVED.contains(&first) {
        return format!(
            "The keyword {first:?} is reserved and cannot be used to target a resource address. If you are targeting a resource type that uses a reserved keyword, please prefix your address with \"resource.\"."
        );
    }
    let rest: Vec<&str> = match first {
        "data" | "ephemeral" | "resource" => words.collect(),
        _ => std::iter::once(first).chain(words).collect(),
    };
    if text.contains('[') && !text.ends_with(']') {
        return "Index brackets must contain either a literal number or a literal string, and be the end of the address.".into();
    }
    match rest.as_slice() {
        [] | [_] | ["", ..] | [_, ""] => {
            "Resource specification must include a resource type and name.".into()
        }
        [_, _] => "The address is malformed: write TYPE.NAME, with [0] or [\"key\"] behind it for one instance.".into(),
        [_, _, _] => "Resource instance key must be given in square brackets.".into(),
        _ => "Unexpected extra operators after address.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn problems_with_addresses_are_named() {
        assert!(problem("terraform_data").contains("type and name"));
        assert!(problem("module.").contains("followed by a module name"));
        assert!(problem("var.a").contains("reserved"));
        assert!(problem("t.a.id").contains("square brackets"));
    }
}
