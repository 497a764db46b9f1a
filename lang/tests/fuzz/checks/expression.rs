//! Expressions and templates over unknown, sensitive and odd values.

use std::sync::Arc;

use stead_lang::expr::{Evaluation, evaluate, evaluate_constant, references};
use stead_lang::syntax::{Expression, SourceFile, parse_expression, parse_template};

use super::check_places;
use super::consistency::{keeps, look_alike};
use super::scope::{Odd, SECRETS};

/// Evaluating twice gives the same. What is known of a value before all is known stays true. A secret shows neither in values
/// that are not marked nor in errors.
pub fn expression(text: &str) {
    let file = Arc::new(SourceFile::new("fuzz.tf", text));
    for (expr, diagnostics) in [parse_expression(&file), parse_template(&file)] {
        check_places(&diagnostics, text);
        if !diagnostics.has_errors() {
            check(&expr, text);
        }
    }
}

fn check(expr: &Expression, text: &str) {
    references(expr);
    evaluate_constant(expr);
    let open = evaluated(expr, &Odd::unknown(), text);
    assert_eq!(open.value, evaluated(expr, &Odd::unknown(), text).value);
    for set in 0..Odd::KNOWN {
        let found = evaluated(expr, &Odd::known(set), text);
        // An error that comes with knowing more is no broken promise, nor is one about what turned out differently.
        if open.is_settled() && found.is_settled() && decided_once(text, set) {
            assert!(
                keeps(&open.value, &found.value),
                "{set}: {:?} became {:?}",
                open.value,
                found.value
            );
        }
    }
    let [one, other] = [0, 1].map(|secret| evaluated(expr, &Odd::secret(secret), text));
    if one.is_settled() && other.is_settled() && !discloses(text) {
        assert!(
            look_alike(&one.value, &other.value),
            "{:?} or {:?}",
            one.value,
            other.value
        );
    }
}

fn evaluated(expr: &Expression, scope: &Odd, text: &str) -> Evaluation {
    let outcome = evaluate(expr, scope);
    check_places(&outcome.diagnostics, text);
    for diagnostic in outcome.diagnostics.iter() {
        for secret in SECRETS {
            let told = diagnostic.detail.contains(secret) || diagnostic.summary.contains(secret);
            assert!(!told || text.contains(secret), "{diagnostic:?}");
        }
    }
    outcome
}

/// `try` and `can` look at what is there so far, and may decide otherwise when there is more.
/// `merge` takes its result's type from its arguments, and then leaves out what turns out to be null. Both as in the reference.
fn decided_once(text: &str, set: usize) -> bool {
    let has = |name| text.contains(name);
    !(has("try") || has("can") || has("merge") && set == Odd::NULLS)
}

/// Functions that tell of a secret, as they are meant to.
fn discloses(text: &str) -> bool {
    ["nonsensitive", "try", "can"]
        .iter()
        .any(|name| text.contains(name))
}
