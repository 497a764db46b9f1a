//! The lines above a resource in a plan: what happens to it, and why.

use std::fmt::Write as _;

use stead_engine::{Action, ActionReason, ResourceChange};
use stead_sdk::ImportBy;
use stead_value::addr::InstanceKey;

use super::Style;
use super::plan::View;
use super::text::quote;

/// Whether stead or something else changes an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Planned,
    Drift,
}

/// Three columns, or five for a replacement.
pub(crate) fn sign(action: Action, style: Style) -> String {
    match action {
        Action::NoOp => "   ".into(),
        Action::Create => format!("  {}", style.green("+")),
        Action::Update => format!("  {}", style.yellow("~")),
        Action::Delete => format!("  {}", style.red("-")),
        Action::DeleteThenCreate => format!("{}/{}", style.red("-"), style.green("+")),
        Action::CreateThenDelete => format!("{}/{}", style.green("+"), style.red("-")),
        Action::ForgetThenCreate => format!("{}/{}", style.red("."), style.green("+")),
        Action::Read => format!(" {}", style.cyan("<=")),
        Action::Forget => format!(" {}", style.red(".")),
    }
}

/// An address as it is displayed, with the key of a deposed object.
pub(crate) fn display(change: &ResourceChange) -> String {
    match &change.deposed {
        Some(key) => format!("{} (deposed object {key})", change.address),
        None => change.address.to_string(),
    }
}

pub(crate) fn comment(out: &mut String, change: &ResourceChange, cause: Cause, view: View) {
    let style = view.style;
    let address = display(change);
    let line = |out: &mut String, address: &str, text: &str| {
        let _ = writeln!(out, "{}{text}", style.bold(format!("  # {address}")));
    };
    match change.action {
        Action::NoOp => match &change.previous_address {
            Some(old) => line(
                out,
                &old.to_string(),
                &format!(" has moved to {}", style.bold(&address)),
            ),
            None => {
                line(out, &address, " will be imported");
                if (change.importing.as_ref()).is_some_and(|i| i.generated_config.is_some()) {
                    out.push_str("  # (config will be generated)\n");
                }
            }
        },
        Action::Forget if change.deposed.is_some() => {
            let _ = writeln!(
                out,
                "{} will be removed from stead state, but {}\n # (left over from a partially-failed replacement of this instance)\n # (destroy = false is set in the configuration)",
                style.bold(format!(" # {address}")),
                style.bold_red("will not be destroyed")
            );
        }
        Action::Forget => {
            let _ = writeln!(
                out,
                "{} will no longer be managed by stead, but {}\n # (destroy = false is set in the configuration)",
                style.bold(format!(" # {address}")),
                style.bold_red("will not be destroyed")
            );
        }
        Action::Create => line(out, &address, " will be created"),
        Action::Read => line(out, &address, " will be read during apply"),
        Action::Update if cause == Cause::Drift => line(out, &address, " has changed"),
        Action::Update => line(out, &address, " will be updated in-place"),
        Action::Delete if cause == Cause::Drift => line(out, &address, " has been deleted"),
        Action::Delete => line(
            out,
            &address,
            &format!(" will be {}", style.bold_red("destroyed")),
        ),
        Action::DeleteThenCreate | Action::CreateThenDelete | Action::ForgetThenCreate => {
            let replaced = style.bold_red("replaced");
            let text = match change.reason {
                Some(ActionReason::ReplaceBecauseTainted) => {
                    format!(" is tainted, so must be {replaced}")
                }
                Some(ActionReason::ReplaceByRequest) => {
                    format!(" will be {replaced}, as requested")
                }
                Some(ActionReason::ReplaceByTriggers) => {
                    format!(" will be {replaced} due to changes in replace_triggered_by")
                }
                _ => format!(" must be {replaced}"),
            };
            let left = if change.action == Action::ForgetThenCreate {
                " - older instance will not be destroyed (lifecycle.destroy = false)"
            } else {
                ""
            };
            line(out, &address, &format!("{text}{left}"));
        }
    }
    if let Some(reason) = reason(change) {
        let _ = writeln!(out, "  # ({reason})");
    }
    if change.action == Action::Delete && change.deposed.is_some() {
        out.push_str("  # (left over from a partially-failed replacement of this instance)\n");
    }
    if change.action == Action::NoOp {
        return;
    }
    if let Some(old) = &change.previous_address {
        let _ = writeln!(out, "  # (moved from {old})");
    }
    if let Some(importing) = &change.importing {
        let _ = match &importing.by {
            ImportBy::Id(id) => writeln!(out, "  # (imported from {})", quote(id)),
            ImportBy::Identity(_) => writeln!(out, "  # (will be imported first)"),
        };

        if change.action.destroys() {
            let warning = "Warning: this will destroy the imported resource";
            let _ = writeln!(out, "  # {}", style.yellow(warning));
        }
    }
    beyond(out, change, view);
}

/// What Terraform does not say.
fn beyond(out: &mut String, change: &ResourceChange, view: View) {
    let style = view.style;
    if change.late {
        out.push_str("  # (planned from its schema alone: the provider can be configured only during the apply)\n");
    }
    for note in &change.notes {
        let _ = writeln!(out, "  # {}", style.yellow(note));
    }
    if !view.because {
        return;
    }
    for because in &change.because {
        let forces = change.replace_paths.contains(&because.attribute);
        let verb = if forces {
            "forces replacement"
        } else {
            "changes"
        };
        let text = format!(
            "{} {verb} because of {} ({}:{})",
            because.attribute, because.expression, because.range.file, because.range.start.line
        );
        let _ = writeln!(out, "  # {}", style.dim(text));
    }
}

pub(crate) fn reason(change: &ResourceChange) -> Option<String> {
    let resource = &change.address.resource;
    let key = match &change.address.key {
        InstanceKey::None => String::new(),
        InstanceKey::Int(i) => i.to_string(),
        InstanceKey::String(s) => serde_json::Value::from(&**s).to_string(),
    };
    Some(match change.reason? {
        ActionReason::DeleteBecauseNoResourceConfig if change.action == Action::Delete => format!(
            "because {}.{} is not in configuration",
            resource.type_name, resource.name
        ),
        ActionReason::DeleteBecauseNoModule if change.action == Action::Delete => {
            format!("because {} is not in configuration", change.address.module)
        }
        ActionReason::DeleteBecauseWrongRepetition => match &change.address.key {
            InstanceKey::None => "because resource uses count or for_each".into(),
            InstanceKey::Int(_) => "because resource does not use count".into(),
            InstanceKey::String(_) => "because resource does not use for_each".into(),
        },
        ActionReason::DeleteBecauseCountIndex => {
            format!("because index [{key}] is out of range for count")
        }
        ActionReason::DeleteBecauseEachKey => format!("because key [{key}] is not in for_each map"),
        ActionReason::ForgotBecauseLifecycleDestroyInConfig => {
            "because lifecycle.destroy is false in configuration".into()
        }
        ActionReason::ForgotBecauseLifecycleDestroyInState => {
            "because lifecycle.destroy is false in state".into()
        }
        ActionReason::DeleteBecauseEnabledFalse => "because enabled is false".into(),
        ActionReason::DeleteBecauseNoMoveTarget => format!(
            "because {} was moved to {}, which is not in configuration",
            change
                .previous_address
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            change.address
        ),
        ActionReason::ReadBecauseConfigUnknown => "config refers to values not yet known".into(),
        ActionReason::ReadBecauseDependencyPending => {
            "depends on a resource or a module with changes pending".into()
        }
        ActionReason::ReadBecauseCheckNested => {
            "config will be reloaded to verify a check block".into()
        }
        ActionReason::DeleteBecauseNoResourceConfig
        | ActionReason::DeleteBecauseNoModule
        | ActionReason::ReplaceBecauseTainted
        | ActionReason::ReplaceBecauseCannotUpdate
        | ActionReason::ReplaceByRequest
        | ActionReason::ReplaceByTriggers => return None,
    })
}
