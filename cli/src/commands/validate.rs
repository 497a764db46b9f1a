//! `stead validate`.

use std::path::Path;

use stead_engine::eval::Phase;
use stead_value::{Diagnostics, Severity};

use super::print;
use crate::args::ValidateArgs;
use crate::error::{CommandError, Result};
use crate::render::json::diagnostic;
use crate::session::{Given, Session};
use crate::world::Disk;

pub(crate) async fn run(args: ValidateArgs, origin: &Path) -> Result<u8> {
    let checked = check(&args, origin).await;
    if !args.json {
        let (session, warnings) = checked?;
        session.warn(&warnings);
        print(&format!(
            "{} The configuration is valid.\n",
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
    let session = Session::load_from(&Disk, origin, Given::Nothing, args.display.no_color)?;
    let result = {
        let evaluator = session.evaluator(Phase::Validate);
        stead_engine::plan::validate(&evaluator, &session.registry).await
    };
    match result {
        Ok(warnings) => Ok((session, warnings)),
        Err(errors) => Err(session.failure(errors)),
    }
}
