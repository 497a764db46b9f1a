//! `rollout` blocks within `lifecycle`: changes reach the instances of a resource some at a time.

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics};

use super::content::{Shape, bool_argument, check_labels, check_shape, place};
use super::model::{HealthCheck, Rollout, RolloutFailure};
use super::provisioner;
use super::statics::{keyword, quoted_text};
use crate::syntax::{Block, Expression};

const SHAPE: Shape = Shape {
    attributes: &["max_in_flight", "pause", "on_failure", "new_instances"],
    required: &[],
    blocks: &["health_check"],
};

/// Reads the one that a `lifecycle` block may have.
pub(crate) fn read(lifecycle: &Block, diagnostics: &mut Diagnostics) -> Option<Rollout> {
    let mut blocks = lifecycle.body.blocks_of("rollout");
    let block = blocks.next()?;
    for second in blocks {
        diagnostics.push(duplicate("rollout", block, second));
    }
    check_labels(block, &[], diagnostics);
    let body = &block.body;
    check_shape(body, &SHAPE, diagnostics);
    let expression = |name: &str| body.attribute(name).map(|a| a.expr.clone());
    let mut checks = body.blocks_of("health_check");
    let health_check = checks.next();
    for second in checks {
        let first = health_check.unwrap_or(second);
        diagnostics.push(duplicate("health_check", first, second));
    }
    let on_failure = body.attribute("on_failure").map(|a| &a.expr);
    Some(Rollout {
        max_in_flight: expression("max_in_flight"),
        pause: expression("pause"),
        on_failure: on_failure.map_or(RolloutFailure::Stop, |e| failure(e, diagnostics)),
        new_instances: bool_argument(body, "new_instances", diagnostics) == Some(true),
        health_check: health_check.and_then(|block| health(block, diagnostics)),
        range: block.header_range(),
    })
}

fn failure(expr: &Expression, diagnostics: &mut Diagnostics) -> RolloutFailure {
    let word = quoted_text(expr.node()).or_else(|| keyword(expr));
    match word.as_deref() {
        Some("stop") => RolloutFailure::Stop,
        Some("continue") => RolloutFailure::Continue,
        _ => {
            let detail = "The \"on_failure\" argument of a rollout requires one of the following keywords: stop or continue.";
            diagnostics
                .push(Diagnostic::error("Invalid \"on_failure\" keyword", detail).at(expr.range()));
            RolloutFailure::Stop
        }
    }
}

/// A health check is a provisioner that is tried until it succeeds.
fn health(block: &Block, diagnostics: &mut Diagnostics) -> Option<HealthCheck> {
    let mut block = block.clone();
    let mut take = |name: &str| block.body.attributes.shift_remove(name).map(|a| a.expr);
    let (interval, timeout) = (take("interval"), take("timeout"));
    for name in ["when", "on_failure"] {
        if let Some(attribute) = block.body.attributes.shift_remove(name) {
            let detail = format!(
                "A health check has no \"{name}\": the rollout's own \"on_failure\" says what becomes of the instances that are left."
            );
            diagnostics
                .push(Diagnostic::error("Unsupported argument", detail).at(attribute.name_range()));
        }
    }
    let check = provisioner::read(block, diagnostics)?;
    Some(HealthCheck {
        check: Arc::new(check),
        interval,
        timeout,
    })
}

fn duplicate(kind: &str, first: &Block, second: &Block) -> Diagnostic {
    let at = place(&first.header_range());
    Diagnostic::error(
        format!("Duplicate {kind} block"),
        format!("This block already has a {kind} block at {at}."),
    )
    .at(second.header_range())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{errors_of, resource_of};

    fn resource(rollout: &str) -> String {
        format!(
            "resource \"null_resource\" \"a\" {{\n  lifecycle {{\n    rollout {{\n{rollout}\n    }}\n  }}\n}}\n"
        )
    }

    #[test]
    fn what_is_said_is_kept() {
        let text = "max_in_flight = 2\npause = \"30s\"\non_failure = continue\nnew_instances = true\nhealth_check \"local-exec\" {\n  command = \"true\"\n  interval = \"2s\"\n  timeout = var.t\n}";
        let text = format!(
            "variable \"t\" {{\n  default = \"1m\"\n}}\n{}",
            resource(text)
        );
        let read = resource_of(&text);
        let rollout = read.lifecycle.rollout.expect("a rollout");
        assert_eq!(rollout.on_failure, RolloutFailure::Continue);
        assert!(
            rollout.new_instances && rollout.max_in_flight.is_some() && rollout.pause.is_some()
        );
        let health = rollout.health_check.expect("a health check");
        assert!(health.interval.is_some() && health.timeout.is_some());
        assert_eq!(&*health.check.kind, "local-exec");
        let arguments: Vec<_> = health.check.body.attributes.keys().collect();
        assert_eq!(arguments, [&Arc::<str>::from("command")]);
    }

    #[test]
    fn an_empty_one_stops_at_a_failure() {
        let read = resource_of(&resource(""));
        let rollout = read.lifecycle.rollout.expect("a rollout");
        assert_eq!(rollout.on_failure, RolloutFailure::Stop);
        assert!(!rollout.new_instances && rollout.health_check.is_none());
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expected) in [
            ("max_inflight = 1", "Did you mean \"max_in_flight\"?"),
            ("on_failure = maybe", "stop or continue"),
            ("new_instances = \"often\"", "Unsuitable value"),
            ("health_check {\n}", "Missing type for health_check"),
            (
                "health_check \"local-exec\" {\nwhen = destroy\n}",
                "has no \"when\"",
            ),
            (
                "health_check \"local-exec\" {\n}\nhealth_check \"local-exec\" {\n}",
                "Duplicate health_check block",
            ),
            ("retry {\n}", "Blocks of type \"retry\""),
        ] {
            let told = errors_of(&resource(text));
            assert!(told.contains(expected), "{text}: {told}");
        }
        let data = "data \"http\" \"a\" {\n  lifecycle {\n    rollout {\n    }\n  }\n}\n";
        assert!(errors_of(data).contains("only for managed resources"));
    }
}
