//! A plan for people.

use std::fmt::Write as _;

use stead_engine::{Action, ActionReason, OutputChange, Plan, PlanMode, Registry, ResourceChange};
use stead_value::Path;
use stead_value::addr::InstanceKey;
use stead_value::schema::Block;

use super::Style;
use super::diff::{Differ, Sign};
use super::value::render as render_value;

/// The whole plan: drift, actions, outputs, summary.
pub(crate) fn render(plan: &Plan, registry: &Registry, style: Style) -> String {
    let mut out = String::new();
    drift(&mut out, plan, registry, style);
    let shown: Vec<&ResourceChange> = plan
        .changes
        .iter()
        .filter(|c| {
            c.action != Action::NoOp || c.previous_address.is_some() || c.importing.is_some()
        })
        .collect();
    if !plan.has_changes() {
        no_changes(&mut out, plan, style);
        return out;
    }
    if shown.iter().any(|c| c.action != Action::NoOp) {
        legend(&mut out, &shown, style);
    }
    if !shown.is_empty() {
        out.push_str("\nstead will perform the following actions:\n");
    }
    for change in &shown {
        out.push('\n');
        resource(&mut out, change, registry, style);
    }
    if !shown.is_empty() {
        let (add, update, destroy) = plan.counts();
        let imported = match plan.imports() {
            0 => String::new(),
            n => format!("{n} to import, "),
        };
        let late = shown.iter().filter(|c| c.late).count();
        let _ = write!(
            out,
            "\n{} {imported}{add} to add, {update} to change, {destroy} to destroy.",
            style.bold("Plan:")
        );
        if late > 0 {
            let _ = write!(
                out,
                " {late} of them {} decided during apply, when their provider can be configured.",
                if late == 1 { "is" } else { "are" }
            );
        }
        out.push('\n');
    }
    outputs(&mut out, plan, style);
    out
}

fn no_changes(out: &mut String, plan: &Plan, style: Style) {
    let headline = style.bold_green("No changes.");
    let (title, detail) = match plan.mode {
        PlanMode::Destroy => (
            "No objects need to be destroyed.",
            "Either you have not created any objects yet or the existing objects were already deleted outside of stead.",
        ),
        _ => (
            "Your infrastructure matches the configuration.",
            "stead has compared your real infrastructure against your configuration and found no differences, so no changes are needed.",
        ),
    };
    let _ = writeln!(out, "\n{headline} {}\n\n{detail}", style.bold(title));
}

fn drift(out: &mut String, plan: &Plan, registry: &Registry, style: Style) {
    // Addresses come and go, and certificates are renewed: what changes nothing here is not news.
    if plan.drift.is_empty() || plan.mode == PlanMode::Destroy || !plan.has_changes() {
        return;
    }
    let _ = writeln!(
        out,
        "{}\n\nThese objects have changed outside of stead since the last apply:",
        style.bold(style.cyan("Note: Objects have changed outside of stead"))
    );
    for change in &plan.drift {
        let what = if change.action == Action::Delete {
            "has been deleted"
        } else {
            "has changed"
        };
        let _ = writeln!(
            out,
            "\n  {}",
            style.bold(format!("# {} {what}", change.address))
        );
        let sign = if change.action == Action::Delete {
            Sign::Remove
        } else {
            Sign::Change
        };
        body(out, change, sign, registry, style);
    }
    out.push_str(
        "\n─────────────────────────────────────────────────────────────────────────────\n\n",
    );
}

fn legend(out: &mut String, shown: &[&ResourceChange], style: Style) {
    out.push_str("Resource actions are indicated with the following symbols:\n");
    for (action, text) in [
        (Action::Create, "create"),
        (Action::Update, "update in-place"),
        (Action::Delete, "destroy"),
        (
            Action::DeleteThenCreate,
            "destroy and then create replacement",
        ),
        (
            Action::CreateThenDelete,
            "create replacement and then destroy",
        ),
        (Action::Read, "read (data resources)"),
    ] {
        if shown.iter().any(|c| c.action == action) {
            let _ = writeln!(out, "{} {text}", sign_of(action).wide(style));
        }
    }
}

fn sign_of(action: Action) -> Sign {
    match action {
        Action::NoOp | Action::Forget => Sign::None,
        Action::Create => Sign::Add,
        Action::Read => Sign::Read,
        Action::Update => Sign::Change,
        Action::Delete => Sign::Remove,
        Action::DeleteThenCreate => Sign::Replace,
        Action::CreateThenDelete => Sign::ReplaceNewFirst,
    }
}

fn resource(out: &mut String, change: &ResourceChange, registry: &Registry, style: Style) {
    let address = match &change.deposed {
        Some(key) => format!("{} (deposed object {key})", change.address),
        None => change.address.to_string(),
    };
    let what = match (change.action, change.reason) {
        (Action::NoOp, _) if change.importing.is_some() => "will be imported".to_owned(),
        (Action::NoOp, _) => match &change.previous_address {
            Some(old) => {
                let _ = writeln!(
                    out,
                    "  {}",
                    style.bold(format!("# {old} has moved to {address}"))
                );
                return body(out, change, Sign::None, registry, style);
            }
            None => return,
        },
        (Action::Create, _) => "will be created".to_owned(),
        (Action::Read, _) => "will be read during apply".into(),
        (Action::Update, _) => format!("will be {}", style.yellow("updated in-place")),
        (Action::Delete, _) => format!("will be {}", style.red("destroyed")),
        (Action::Forget, _) => {
            "will no longer be managed by stead, but will not be destroyed".into()
        }
        (_, Some(ActionReason::ReplaceBecauseTainted)) => {
            format!("is tainted, so must be {}", style.red("replaced"))
        }
        (_, Some(ActionReason::ReplaceByRequest)) => {
            format!("will be {}, as requested", style.red("replaced"))
        }
        (_, Some(ActionReason::ReplaceByTriggers)) => format!(
            "will be {} due to changes in replace_triggered_by",
            style.red("replaced")
        ),
        _ => format!("must be {}", style.red("replaced")),
    };
    let _ = writeln!(out, "  {}", style.bold(format!("# {address} {what}")));
    if let Some(old) = &change.previous_address {
        let _ = writeln!(out, "  # (moved from {old})");
    }
    if let Some(reason) = reason(change) {
        let _ = writeln!(out, "  # ({reason})");
    }
    if let Some(id) = &change.importing {
        imported(out, change, id, style);
    }
    if change.late {
        let _ = writeln!(
            out,
            "  # (planned from its schema alone: the provider can be configured only during the apply)"
        );
    }
    for because in &change.because {
        let _ = writeln!(
            out,
            "  # {}",
            style.dim(format!(
                "{} because of {} ({}:{})",
                because.attribute, because.expression, because.range.file, because.range.start.line
            ))
        );
    }
    for note in &change.notes {
        let _ = writeln!(out, "  # {}", style.yellow(note));
    }
    body(out, change, sign_of(change.action), registry, style);
}

/// Where an object that is changed right away comes from.
fn imported(out: &mut String, change: &ResourceChange, id: &str, style: Style) {
    if change.action != Action::NoOp {
        let _ = writeln!(out, "  # (imported from {id:?})");
    }
    if change.action.is_replace() {
        let _ = writeln!(
            out,
            "  # {}",
            style.yellow("Warning: this will destroy the imported resource")
        );
    }
}

fn reason(change: &ResourceChange) -> Option<String> {
    let resource = &change.address.resource;
    Some(match change.reason? {
        ActionReason::DeleteBecauseNoResourceConfig => {
            format!("because {resource} is not in configuration")
        }
        ActionReason::DeleteBecauseNoModule => {
            format!("because {} is not in configuration", change.address.module)
        }
        ActionReason::DeleteBecauseWrongRepetition => match &change.address.key {
            InstanceKey::None => "because resource uses count or for_each".into(),
            InstanceKey::Int(_) => "because resource does not use count".into(),
            InstanceKey::String(_) => "because resource does not use for_each".into(),
        },
        ActionReason::DeleteBecauseCountIndex => format!(
            "because index {} is out of range for count",
            change.address.key
        ),
        ActionReason::DeleteBecauseEachKey => {
            format!("because key {} is not in for_each map", change.address.key)
        }
        ActionReason::DeleteBecauseNoMoveTarget => {
            "because the target of its move is not in configuration".into()
        }
        ActionReason::ReadBecauseConfigUnknown => "config refers to values not yet known".into(),
        ActionReason::ReadBecauseDependencyPending => {
            "depends on a resource or a module with changes pending".into()
        }
        ActionReason::ReadBecauseCheckNested => {
            "config will be reloaded to verify a check block".into()
        }
        ActionReason::ReplaceBecauseTainted
        | ActionReason::ReplaceBecauseCannotUpdate
        | ActionReason::ReplaceByRequest
        | ActionReason::ReplaceByTriggers => return None,
    })
}

fn body(out: &mut String, change: &ResourceChange, sign: Sign, registry: &Registry, style: Style) {
    let resource = &change.address.resource;
    let keyword = resource.mode.keyword();
    let _ = writeln!(
        out,
        "{} {keyword} \"{}\" \"{}\" {{",
        sign.wide(style),
        resource.type_name,
        resource.name
    );
    let schema =
        registry.resource_schema(&change.provider.source, resource.mode, &resource.type_name);
    if let Ok(schema) = schema {
        let differ = Differ {
            style,
            replace: &change.replace_paths,
            // What is only imported is shown whole, so that one sees what is taken over.
            show_all: change.action == Action::NoOp && change.importing.is_some(),
        };
        let block: &Block = &schema.block;
        differ.block(out, block, &change.before, &change.after, &Path::root(), 8);
    }
    out.push_str("    }\n");
}

fn outputs(out: &mut String, plan: &Plan, style: Style) {
    let changed: Vec<(&str, &OutputChange)> = plan
        .outputs
        .iter()
        .filter(|(_, o)| o.action != Action::NoOp)
        .map(|(n, o)| (&**n, o))
        .collect();
    if changed.is_empty() {
        return;
    }
    out.push_str("\nChanges to Outputs:\n");
    let width = changed.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
    for (name, change) in changed {
        let gap = " ".repeat(width - name.len());
        let sign = sign_of(change.action).wide(style);
        let text = if change.sensitive {
            "(sensitive value)".to_owned()
        } else {
            let old = || render_value(&change.before, 4);
            let new = || render_value(&change.after, 4);
            match change.action {
                Action::Create => new(),
                Action::Delete => format!("{} {} null", old(), style.dim("->")),
                _ => format!("{} {} {}", old(), style.yellow("->"), new()),
            }
        };
        let _ = writeln!(out, "{sign} {name}{gap} = {text}");
    }
}
