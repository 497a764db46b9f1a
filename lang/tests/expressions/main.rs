//! Expressions over known, unknown, sensitive and null values, against what Terraform made of them: values with types, marks and
//! refinements, errors with their words and columns. Recorded by tools/record_expressions.py.

mod answer;

use serde_json::Value as Json;

/// What is meant to differ from the reference, or does until it is done; each is checked to differ still.
const DIFFERENT: &str = include_str!("different.list");

fn compare(recorded: &str, at_least: usize) {
    let cases: Vec<Json> = serde_json::from_str(recorded).expect("recorded answers are JSON");
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let expr = case["expr"].as_str().expect("an expression");
        let got = answer::answer(expr);
        let different = DIFFERENT.lines().any(|line| line == expr);
        if agrees(case, &got) == different {
            let note = if different { "  agrees by now\n" } else { "" };
            wrong.push(format!("{expr}\n{note}  want {case}\n  got  {got}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// The same value, or every error that the reference shows among ours: it validates first, and then may show fewer at once.
fn agrees(want: &Json, got: &Json) -> bool {
    match (want["errors"].as_array(), got["errors"].as_array()) {
        (Some(want), Some(got)) => want.iter().all(|error| got.contains(error)),
        (None, None) => want["type"] == got["type"] && want["value"] == got["value"],
        _ => false,
    }
}

#[test]
fn odd_cases_come_out_as_in_terraform() {
    compare(include_str!("odd.json"), 600);
}

#[test]
fn every_parameter_takes_what_it_takes_in_terraform() {
    compare(include_str!("parameters.json"), 1500);
}

#[test]
fn random_expressions_come_out_as_in_terraform() {
    compare(include_str!("random.json"), 500);
}

#[test]
fn additions_come_out_as_in_terraform_1_15() {
    compare(include_str!("additions.json"), 20);
}

#[test]
fn additions_come_out_as_in_opentofu() {
    compare(include_str!("tofu.json"), 20);
}
