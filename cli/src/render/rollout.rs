//! Rollouts: in a plan, and while an apply stands at their gates.

use serde_json::{Value as Json, json};
use stead_engine::{GateState, OnFailure, Rollout};

use crate::progress::seconds;

/// What a plan says of one, as a sentence without its subject.
pub(crate) fn sentence(rollout: &Rollout) -> String {
    let Rollout {
        instances, steps, ..
    } = rollout;
    let of = if *instances == 1 {
        "instance"
    } else {
        "instances"
    };
    let mut text = format!(
        "{instances} {of} in {steps} steps, at most {} at a time",
        rollout.max_in_flight
    );
    if *steps == 1 {
        text = format!("{instances} {of} in one step");
    } else if !rollout.pause.is_zero() {
        text += &format!(", {} between them", seconds(rollout.pause));
    }
    if rollout.has_health_check {
        text += &format!(
            "; after each the health check must succeed within {}",
            seconds(rollout.timeout)
        );
    }
    text + match rollout.on_failure {
        OnFailure::Stop => "; the first failure stops it",
        OnFailure::Continue => "; it goes on after failures",
    }
}

/// The line of an apply that stands at a gate.
pub(crate) fn line(step: usize, steps: usize, state: GateState) -> String {
    let done = format!("Step {step} of {steps} done");
    match state {
        GateState::Pausing(pause) => format!("{done}, pausing for {}...", seconds(pause)),
        GateState::Checking => format!("{done}, checking health..."),
        GateState::Waiting(since) => format!("Not healthy yet... [{} elapsed]", seconds(since)),
        GateState::Healthy(after) => format!("Healthy after {}", seconds(after)),
        GateState::Unhealthy(after) => format!("Not healthy after {}", seconds(after)),
    }
}

/// A gate in the stream of events for programs.
pub(crate) fn hook(resource: &str, step: usize, steps: usize, state: GateState) -> Json {
    let (state, time) = match state {
        GateState::Pausing(time) => ("pausing", time),
        GateState::Checking => ("checking", std::time::Duration::ZERO),
        GateState::Waiting(time) => ("waiting", time),
        GateState::Healthy(time) => ("healthy", time),
        GateState::Unhealthy(time) => ("unhealthy", time),
    };
    json!({ "resource": resource, "step": step, "steps": steps, "state": state, "seconds": time.as_secs() })
}

/// One in a plan for programs.
pub(crate) fn json(rollout: &Rollout) -> Json {
    json!({
        "address": rollout.to_string(),
        "instances": rollout.instances,
        "steps": rollout.steps,
        "max_in_flight": rollout.max_in_flight,
        "pause_seconds": rollout.pause.as_secs_f64(),
        "on_failure": rollout.on_failure,
        "health_check": rollout.has_health_check,
    })
}
