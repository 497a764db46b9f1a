//! `stead validate`.

use std::collections::HashSet;
use std::path::Path;

use stead_lang::config::ModuleSource;
use stead_lang::config::test_file::TestSuite;
use stead_value::{Diagnostics, Severity};

use super::print;
use crate::args::ValidateArgs;
use crate::encryption;
use crate::error::{CommandError, Result};
use crate::modules::installed;
use crate::problems::add_new;
use crate::render::json::diagnostic;
use crate::session::{Given, Session};
use crate::world::Disk;

pub(crate) async fn run(args: ValidateArgs, origin: &Path) -> Result<u8> {
    let checked = check(&args, origin).await;
    if !args.json {
        let (session, warnings) = checked?;
        session.warn(&warnings);
        let held = session.take_warnings();
        session.warn(&held);
        session.show_warnings();
        let rest = if held.is_empty() {
            ".\n"
        } else {
            ", but there were some\nvalidation warnings as shown above."
        };
        print(&format!(
            "{} The configuration is valid{rest}\n",
            session.style.bold_green("Success!")
        ));
        return Ok(0);
    }
    let (found, sources) = match checked {
        Ok((session, warnings)) => (warnings, session.sources),
        Err(CommandError {
            diagnostics,
            sources,
            ..
        }) => (diagnostics, sources),
    };
    let count = |severity| found.iter().filter(|d| d.severity == severity).count();
    let json = serde_json::json!({
        "format_version": "1.0",
        "valid": !found.has_errors(),
        "error_count": count(Severity::Error),
        "warning_count": count(Severity::Warning),
        "diagnostics": found.iter().map(|d| diagnostic(d, &sources)).collect::<Vec<_>>(),
    });
    print(&format!("{json:#}\n"));
    Ok(u8::from(found.has_errors()))
}

async fn check(args: &ValidateArgs, origin: &Path) -> Result<(Session, Diagnostics)> {
    let given = Given::Gather(&args.variables);
    let (session, mut found) = Session::read_quietly(&Disk, origin, &given, args.display.no_color)?;
    let mut session = session.with_layout(args.display.layout());
    let suite = read_tests(args, &mut session, &mut found)?;
    found.extend(
        match encryption::of(&Disk, &session.tree.root.module, &given) {
            Ok((_, warnings)) => warnings,
            Err(error) => error.diagnostics,
        },
    );
    if found.has_errors() {
        return Err(session.failure(found));
    }
    found.extend(session.problems(&session.tree).await);
    check_tests(&suite, &session, &mut found).await;
    match found.into_result() {
        Ok(warnings) => Ok((session, warnings)),
        Err(errors) => Err(session.failure(errors)),
    }
}

/// The test files, unless they are not to be looked at.
fn read_tests(
    args: &ValidateArgs,
    session: &mut Session,
    found: &mut Diagnostics,
) -> Result<TestSuite> {
    if args.no_tests || found.has_errors() {
        return Ok(TestSuite::default());
    }
    let directory = args.test_directory.to_string_lossy();
    let installed = installed(&Disk)?;
    let (suite, problems) = TestSuite::load(&Disk, &session.tree, &directory, &installed);
    for source in &suite.sources {
        session.sources.add(source);
    }
    found.extend(problems);
    Ok(suite)
}

/// Checks what test files say, and the local modules that they test.
async fn check_tests(suite: &TestSuite, session: &Session, found: &mut Diagnostics) {
    add_new(found, stead_engine::test::check(&session.tree, suite));
    let runs = suite.files.values().flat_map(|file| &file.runs);
    let modules = runs.filter_map(|run| run.module.as_ref());
    let mut seen = HashSet::new();
    for module in modules {
        let ModuleSource::Local(directory) = &module.source else {
            continue;
        };
        let Some(tree) = module.tree.as_ref().filter(|_| seen.insert(directory)) else {
            continue;
        };
        add_new(found, session.problems(tree).await);
    }
}
