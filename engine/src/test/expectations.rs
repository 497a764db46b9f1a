//! `expect_failures`: conditions that must not hold, so that the run passes.

use stead_lang::config::test_file::{Expectation, Expected, TestRun};
use stead_value::condition::{CheckObject, Condition, RuleKind};
use stead_value::{Diagnostic, Diagnostics, Severity};

/// Whether every expectation is about something that can fail.
pub(super) fn check(run: &TestRun) -> Result<(), Diagnostics> {
    let wrong = run.expect_failures.iter().filter_map(|e| match &e.subject {
        Expected::Invalid(diagnostic) => Some(diagnostic.clone()),
        Expected::Other(what) => Some(
            Diagnostic::error(
                "Invalid `expect_failures` reference",
                format!("You cannot expect failures from {what}. You can only expect failures from checkable objects such as input variables, output values, check blocks, managed resources and data sources."),
            )
            .at(e.range.clone()),
        ),
        _ => None,
    });
    let wrong: Diagnostics = wrong.collect();
    wrong.into_result().map(drop)
}

/// The expectation that a condition meets. Only those of the root module can be expected.
fn expectation<'r>(run: &'r TestRun, condition: &Condition) -> Option<(usize, &'r Expectation)> {
    condition.object.module().is_root().then_some(())?;
    let meets = |expected: &Expected| match (&condition.object, expected) {
        (CheckObject::Variable(_, name), Expected::Variable(expected))
        | (CheckObject::Output(_, name), Expected::Output(expected))
        | (CheckObject::Check(_, name), Expected::Check(expected)) => name == expected,
        (CheckObject::Instance(address), Expected::Resource(resource)) => {
            address.resource == *resource
        }
        (CheckObject::Instance(address), Expected::Instance(resource, key)) => {
            address.resource == *resource && address.key == *key
        }
        _ => false,
    };
    let mut all = run.expect_failures.iter().enumerate();
    // An instance goes before its resource.
    let exact = all
        .clone()
        .find(|(_, e)| matches!(e.subject, Expected::Instance(..)) && meets(&e.subject));
    exact.or_else(|| all.find(|(_, e)| meets(&e.subject)))
}

/// Takes expected failures away, makes errors of those of `check` blocks that were not expected, and adds what was expected in
/// vain.
pub(super) fn settle(run: &TestRun, found: Diagnostics) -> Diagnostics {
    let mut met = vec![false; run.expect_failures.len()];
    let mut settled = Diagnostics::new();
    for mut diagnostic in found {
        let Some(condition) = diagnostic.condition.clone() else {
            settled.push(diagnostic);
            continue;
        };
        let of_check = matches!(condition.object, CheckObject::Check(..));
        if diagnostic.severity == Severity::Warning && !of_check {
            settled.push(diagnostic);
            continue;
        }
        if let Some((index, _)) = expectation(run, &condition) {
            if let Some(met) = met.get_mut(index) {
                *met = true;
            }
            continue;
        }
        if matches!(condition.kind, RuleKind::Assertion | RuleKind::CheckData) {
            diagnostic.severity = Severity::Error;
        }
        settled.push(diagnostic);
    }
    let mut told: Vec<String> = Vec::new();
    for (expected, met) in run.expect_failures.iter().zip(met) {
        let subject = expected.subject.to_string();
        if met || told.contains(&subject) {
            continue;
        }
        settled.push(
            Diagnostic::error(
                "Missing expected failure",
                format!(
                    "The checkable object, {subject}, was expected to report an error but did not."
                ),
            )
            .at(expected.range.clone()),
        );
        told.push(subject);
    }
    settled
}

/// Says of expected failures of a plan that is to be applied why the run fails all the same.
pub(super) fn explain(run: &TestRun, found: Diagnostics) -> Diagnostics {
    let mut explained = Diagnostics::new();
    for diagnostic in found {
        if diagnostic.is_error()
            && let Some(condition) = &diagnostic.condition
            && let Some((_, expected)) = expectation(run, condition)
        {
            let mut warning = Diagnostic::warning(
                "Expected failure while planning",
                format!(
                    "A custom condition within {} failed during the planning stage and prevented the requested apply operation. While this was an expected failure, the apply operation could not be executed and so the overall test case will be marked as a failure and the original diagnostic included in the test report.",
                    condition.object
                ),
            );
            if let CheckObject::Output(..) = condition.object {
                warning = warning.at(expected.range.clone());
            }
            explained.push(warning);
        }
        explained.push(diagnostic);
    }
    explained
}
