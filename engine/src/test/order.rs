//! Which runs of a file wait for which.

use std::collections::{BTreeMap, BTreeSet};

use stead_lang::config::test_file::{MockProvider, Override, TestFile, TestProvider, TestRun};
use stead_lang::expr::references;
use stead_lang::syntax::{Body, Expression};

use super::run::state_key;
use super::scope::run_name;

/// For each run of a file, the runs that must be over before it begins.
///
/// Runs follow each other. A run that may run beside others waits for those with its state and for those whose outputs it uses, and for
/// the last run before it that may not.
pub(super) fn waits(file: &TestFile) -> Vec<BTreeSet<usize>> {
    let names: BTreeMap<&str, usize> = file.runs.iter().map(|r| &*r.name).zip(0..).collect();
    let used = |expressions: &mut dyn Iterator<Item = &Expression>| -> BTreeSet<usize> {
        let found = expressions.flat_map(|expr| references(expr).0);
        let found = found.filter_map(|reference| {
            let name = run_name(&reference.target)?;
            names.get(&**name).copied()
        });
        found.collect()
    };
    let by_file = used(&mut of_file(file).into_iter());
    let mut last_of_state = BTreeMap::new();
    // The last run that may not run beside others, and those since.
    let mut barrier = None;
    let mut since: Vec<usize> = Vec::new();
    // How many runs up to this one may not: outputs of later runs can be used only where none of these lies between.
    let segments: Vec<usize> = (file.runs.iter())
        .scan(0, |segment, run| {
            *segment += usize::from(!run.parallel);
            Some(*segment)
        })
        .collect();
    let mut all = Vec::with_capacity(file.runs.len());
    for (index, run) in file.runs.iter().enumerate() {
        let before = last_of_state.insert(state_key(run), index);
        let mut waits: BTreeSet<usize> = barrier.into_iter().collect();
        if run.parallel {
            waits.extend(before);
            waits.extend(by_file.range(..index));
            let of_run = used(&mut of_run(run).into_iter());
            let beside = of_run.into_iter().filter(|used| {
                *used < index || (*used > index && segments.get(*used) == segments.get(index))
            });
            waits.extend(beside);
            since.push(index);
        } else {
            waits.extend(since.drain(..));
            barrier = Some(index);
        }
        all.push(waits);
    }
    all
}

/// The expressions that stand outside of runs.
fn of_file(file: &TestFile) -> Vec<&Expression> {
    let mut found: Vec<&Expression> = file.variables.values().collect();
    found.extend(of_overrides(&file.overrides));
    for provider in file.providers.values() {
        match provider {
            TestProvider::Real(config) => of_body(&config.body, &mut found),
            TestProvider::Mock(mock) => found.extend(of_mock(mock)),
        }
    }
    found
}

fn of_run(run: &TestRun) -> Vec<&Expression> {
    let rules = run.asserts.iter();
    let mut found: Vec<&Expression> = rules
        .flat_map(|rule| [&rule.condition, &rule.error_message])
        .collect();
    found.extend(run.variables.values());
    found.extend(of_overrides(&run.overrides));
    found
}

fn of_overrides(overrides: &[Override]) -> impl Iterator<Item = &Expression> {
    overrides.iter().filter_map(|o| o.values.values.as_ref())
}

fn of_mock(mock: &MockProvider) -> impl Iterator<Item = &Expression> {
    let types = mock.data.types.values();
    types
        .filter_map(|found| found.values.values.as_ref())
        .chain(of_overrides(&mock.data.overrides))
}

fn of_body<'b>(body: &'b Body, found: &mut Vec<&'b Expression>) {
    found.extend(body.attributes.values().map(|a| &a.expr));
    for block in &body.blocks {
        of_body(&block.body, found);
    }
}
