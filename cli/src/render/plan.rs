//! A plan for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stead_engine::{Action, Plan, PlanMode, Registry, ResourceChange};
use stead_value::addr::ResourceMode;
use stead_value::{Path, Value};

use super::diff::{self, Drawing, Edit, Node};
use super::text::{attribute_name, wrap};
use super::{Style, header};

/// How a plan is shown.
#[derive(Clone, Copy, Default)]
pub(crate) struct View {
    pub(crate) style: Style,
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// A tool runs stead: it knows what comes next (`TF_IN_AUTOMATION`).
    pub(crate) in_automation: bool,
    /// Headers only.
    pub(crate) concise: bool,
    /// Which expression, at which place, makes an attribute differ.
    pub(crate) because: bool,
    /// Planning stopped at a problem.
    pub(crate) errored: bool,
}

impl View {
    pub(crate) fn new(style: Style) -> View {
        View {
            style,
            width: super::width(),
            in_automation: std::env::var_os("TF_IN_AUTOMATION").is_some_and(|v| !v.is_empty()),
            ..View::default()
        }
    }

    fn wrapped(&self, out: &mut String, text: &str) {
        out.push_str(&wrap(text, self.width));
        out.push('\n');
    }

    pub(crate) fn rule(&self, out: &mut String) {
        let rule = "─".repeat(self.width.saturating_sub(1));
        let _ = writeln!(out, "\n{}", self.style.dim(rule));
    }

    fn no_changes(&self, out: &mut String, title: &str) {
        let headline = self.style.bold_green("No changes.");
        let _ = writeln!(
            out,
            "\n{headline}{}\n",
            self.style.bold(format!(" {title}"))
        );
    }
}

/// A plan that hides nothing.
pub(crate) fn revealed(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let plain = |value: &mut Value| *value = value.clone().unmark_deep().0;
    for change in plan.changes.iter_mut().chain(&mut plan.drift) {
        plain(&mut change.before);
        plain(&mut change.after);
    }
    for output in plan.outputs.values_mut() {
        output.sensitive = false;
    }
    plan
}

/// The whole plan: drift, actions, outputs, summary.
pub(crate) fn render(plan: &Plan, registry: &Registry, view: View) -> String {
    let mut out = String::new();
    let shown: Vec<&ResourceChange> = super::in_order(&plan.changes)
        .into_iter()
        .filter(|c| is_shown(c))
        .collect();
    let outputs = outputs(plan, view);
    let drifted = drift(&mut out, plan, &shown, !outputs.is_empty(), registry, view);
    if shown.is_empty() && outputs.is_empty() {
        nothing(&mut out, plan, drifted, view);
        return out;
    }
    if drifted {
        view.rule(&mut out);
    }
    if shown.iter().any(|c| c.action != Action::NoOp) {
        legend(&mut out, &shown, view);
    }
    if !shown.is_empty() {
        out.push_str(if view.errored {
            "\nstead planned the following actions, but then encountered a problem:\n"
        } else {
            "\nstead will perform the following actions:\n"
        });
        for (i, change) in shown.iter().enumerate() {
            // A line each, without air between, is what is concise.
            if i == 0 || !view.concise {
                out.push('\n');
            }
            out.push_str(&change_text(change, registry, view));
        }
        summary(&mut out, plan, &shown, view);
    }
    if !outputs.is_empty() {
        let _ = writeln!(out, "\nChanges to Outputs:\n{}", outputs.join("\n"));
        if shown.iter().all(|c| c.action == Action::NoOp) {
            view.wrapped(&mut out, "\nYou can apply this plan to save these new output values to the stead state, without changing any real infrastructure.");
        }
    }
    out
}

/// Whether there is something to say about a change.
pub(crate) fn is_shown(change: &ResourceChange) -> bool {
    match change.action {
        Action::NoOp => change.previous_address.is_some() || change.importing.is_some(),
        // What is dropped from the state of data sources is not news.
        Action::Delete => change.address.resource.mode == ResourceMode::Managed,
        _ => true,
    }
}

fn nothing(out: &mut String, plan: &Plan, drifted: bool, view: View) {
    if view.errored {
        if drifted {
            view.rule(out);
        }
        let _ = writeln!(
            out,
            "\n{}{}\n",
            view.style.bold_red("Planning failed."),
            view.style
                .bold(" stead encountered an error while generating this plan.")
        );
        return;
    }
    match plan.mode {
        PlanMode::RefreshOnly => {
            if !drifted {
                view.no_changes(out, "Your infrastructure still matches the configuration.");
                view.wrapped(out, "stead has checked that the real remote objects still match the result of your most recent changes, and found no differences.");
            }
        }
        PlanMode::Destroy => {
            if drifted {
                view.rule(out);
            }
            view.no_changes(out, "No objects need to be destroyed.");
            view.wrapped(out, "Either you have not created any objects yet or the existing objects were already deleted outside of stead.");
        }
        PlanMode::Normal => {
            if drifted {
                view.rule(out);
            }
            view.no_changes(out, "Your infrastructure matches the configuration.");
            view.wrapped(out, "stead has compared your real infrastructure against your configuration and found no differences, so no changes are needed.");
        }
    }
}

/// What has changed outside, as far as it matters to this plan. Whether anything is said.
fn drift(
    out: &mut String,
    plan: &Plan,
    shown: &[&ResourceChange],
    outputs: bool,
    registry: &Registry,
    view: View,
) -> bool {
    let everything = plan.mode == PlanMode::RefreshOnly;
    // Addresses come and go, and certificates are renewed: what changes nothing here is not news.
    if !everything && !outputs && shown.iter().all(|c| is_quiet(c)) {
        return false;
    }
    let mut told = String::new();
    for change in super::in_order(&plan.drift) {
        let relevant = (!everything).then(|| plan.relevant_to(&change.address));
        if relevant.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let moved = change.previous_address.is_some();
        let node = compare(change, relevant.as_deref(), registry);
        let differs = node.as_ref().is_some_and(|n| n.edit != Edit::Same);
        if !(differs || everything && moved) || change.action == Action::NoOp && !moved {
            continue;
        }
        told.push('\n');
        let relevant = relevant.as_deref();
        resource(
            &mut told,
            change,
            header::Cause::Drift,
            relevant,
            registry,
            view,
        );
    }
    if told.is_empty() {
        return false;
    }
    let title = view.style.bold(" Objects have changed outside of stead");
    let note = view.style.bold(view.style.cyan("Note:"));
    let _ = writeln!(out, "\n{note}{title}\n");
    view.wrapped(out, "stead detected the following changes made outside of stead since the last \"stead apply\" which may have affected this plan:");
    out.push_str(&told);
    view.wrapped(out, if everything {
        "\n\nThis is a refresh-only plan, so stead will not take any actions to undo these. If you were expecting these changes then you can apply this plan to record the updated values in the stead state without changing any remote objects."
    } else {
        "\n\nUnless you have made equivalent changes to your configuration, or ignored the relevant attributes using ignore_changes, the following plan may include actions to undo or respond to these changes."
    });
    true
}

fn is_quiet(change: &ResourceChange) -> bool {
    change.action == Action::NoOp && change.previous_address.is_none()
}

fn legend(out: &mut String, shown: &[&ResourceChange], view: View) {
    view.wrapped(out, "\nstead used the selected providers to generate the following execution plan. Resource actions are indicated with the following symbols:");
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
        (
            Action::ForgetThenCreate,
            "forget and then create replacement",
        ),
    ] {
        if shown.iter().any(|c| c.action == action) {
            let _ = writeln!(out, "{} {text}", header::sign(action, view.style));
        }
    }
}

fn summary(out: &mut String, plan: &Plan, shown: &[&ResourceChange], view: View) {
    let (add, update, destroy) = plan.counts();
    let imported = match plan.imports() {
        0 => String::new(),
        n => format!("{n} to import, "),
    };
    let _ = writeln!(
        out,
        "\n{} {imported}{add} to add, {update} to change, {destroy} to destroy.",
        view.style.bold("Plan:")
    );
    for rollout in &plan.rollouts {
        let text = format!(
            "Rollout of {rollout}: {}.",
            super::rollout::sentence(rollout)
        );
        view.wrapped(out, &text);
    }
    let late = shown.iter().filter(|c| c.late).count();
    if late > 0 {
        let verb = if late == 1 { "is" } else { "are" };
        let text = format!(
            "{late} of them {verb} decided during apply, when their provider can be configured."
        );
        view.wrapped(out, &text);
    }
}

/// What differs in an object; nothing where its schema is not known.
fn compare(
    change: &ResourceChange,
    relevant: Option<&[Path]>,
    registry: &Registry,
) -> Option<Node> {
    let resource = &change.address.resource;
    let schema = registry
        .resource_schema(&change.provider.source, resource.mode, &resource.type_name)
        .ok()?;
    // What is forgotten stays as it is.
    let after = if change.action == Action::Forget {
        &change.before
    } else {
        &change.after
    };
    Some(diff::objects(
        &schema.block,
        &change.before,
        after,
        &change.replace_paths,
        relevant,
    ))
}

fn resource(
    out: &mut String,
    change: &ResourceChange,
    cause: header::Cause,
    relevant: Option<&[Path]>,
    registry: &Registry,
    view: View,
) {
    let mut comment = String::new();
    header::comment(&mut comment, change, cause, view);
    if view.concise {
        out.push_str(&concise(change, &comment, view));
        return;
    }
    out.push_str(&comment);
    let body = compare(change, relevant, registry);
    let resource = &change.address.resource;
    let keyword = match resource.mode {
        ResourceMode::Managed => "resource",
        _ => "data",
    };
    let drawing = Drawing {
        // What is only imported is shown whole, so that one sees what is taken over.
        show_all: change.importing.is_some(),
        ..Drawing::new(view.style)
    };
    let _ = writeln!(
        out,
        "{} {keyword} \"{}\" \"{}\" {}",
        header::sign(change.action, view.style),
        resource.type_name,
        resource.name,
        body.map_or_else(|| "{}".to_owned(), |node| drawing.node(&node, 0))
    );
}

/// A comment with the action's sign in place of its own, and the reasons below it.
fn concise(change: &ResourceChange, comment: &str, view: View) -> String {
    let mut lines = comment.lines();
    let first = lines.next().unwrap_or_default();
    // What makes it bold may stand before the sign.
    let (bold, text) = first.split_once("# ").unwrap_or(("", first));
    let sign = header::sign(change.action, view.style);
    let mut out = format!("{sign} {}{text}\n", bold.replace(' ', ""));
    for reason in lines {
        let _ = writeln!(out, "    {reason}");
    }
    out
}

/// A change as it stands in a plan.
pub(crate) fn change_text(change: &ResourceChange, registry: &Registry, view: View) -> String {
    let mut out = String::new();
    resource(
        &mut out,
        change,
        header::Cause::Planned,
        None,
        registry,
        view,
    );
    out
}

/// A line for each output that changes.
pub(crate) fn outputs(plan: &Plan, view: View) -> Vec<String> {
    let compared: BTreeMap<&str, Node> = plan
        .outputs
        .iter()
        .map(|(name, change)| {
            let hide = |value: &Value| {
                let value = value.clone().unmark_deep().0;
                if change.sensitive {
                    value.sensitive()
                } else {
                    value
                }
            };
            (
                &**name,
                diff::values(&hide(&change.before), &hide(&change.after)),
            )
        })
        .collect();
    let names = compared.keys().map(|name| attribute_name(name).len());
    let width = names.max().unwrap_or(0);
    let changed = compared.iter().filter(|(_, node)| node.edit != Edit::Same);
    changed
        .map(|(name, node)| {
            let sign = match node.edit {
                Edit::Add => view.style.green("+"),
                Edit::Remove => view.style.red("-"),
                Edit::Change => view.style.yellow("~"),
                Edit::Same => " ".into(),
            };
            let name = attribute_name(name);
            let gap = " ".repeat(width.saturating_sub(name.chars().count()));
            let text = Drawing::new(view.style).node(node, 0);
            format!("  {sign} {name}{gap} = {text}")
        })
        .collect()
}
