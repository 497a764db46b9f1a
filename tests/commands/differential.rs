//! The same folder through stead and through Terraform (or OpenTofu): both must plan the same actions for the same reasons, end with
//! the same exit codes, say the same, and leave the same state.
//!
//! A case is a file `differential/AREA/NAME.case`; the build script makes the test `AREA::NAME` of it. `tests/README.md` describes its
//! format and the settings. What the reference tool answers is recorded in `golden/AREA/NAME.json`.

#![expect(
    clippy::print_stderr,
    reason = "a failed comparison shows what both tools said"
)]

mod answer;
mod case;
mod diagnostics;
mod normalise;
mod outcome;
mod prose;
mod tool;

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use case::Case;
use tool::Tool;

/// Compares stead's answers to a case with the reference's.
fn compare(name: &str) {
    let text = std::fs::read_to_string(folder("differential").join(format!("{name}.case")))
        .expect("the case");
    let case = Case::parse(&text);
    let golden = folder("golden").join(format!("{name}.json"));
    let expected = expected(&case, &golden);
    let found = answer::abbreviate(answer::all(&Tool::stead(), &case));
    let lines = |json: &Json| serde_json::to_string_pretty(json).expect("JSON");
    let (expected, found) = (lines(&expected), lines(&found));
    let diff = similar::TextDiff::from_lines(&expected, &found);
    assert!(
        expected == found,
        "{name}: - is {}, + is stead\n{}",
        case.tool,
        diff.unified_diff()
            .context_radius(6)
            .header(&case.tool, "stead")
    );
}

/// What the reference says: now where that is wanted and possible, as recorded otherwise.
fn expected(case: &Case, golden: &Path) -> Json {
    let record = std::env::var_os("STEAD_RECORD_GOLDEN").is_some();
    let live = std::env::var("STEAD_DIFFERENTIAL").is_ok_and(|v| v == "live");
    let reference = if record || live {
        Tool::reference(case)
    } else {
        None
    };
    let Some(reference) = reference else {
        assert!(!record, "{} is not here to be recorded", case.tool);
        let text = std::fs::read_to_string(golden).unwrap_or_else(|e| {
            panic!(
                "{}: {e}; record it with STEAD_RECORD_GOLDEN=1",
                golden.display()
            )
        });
        return answer::abbreviate(serde_json::from_str(&text).expect("JSON"));
    };
    let answers = answer::abbreviate(answer::all(&reference, case));
    if record {
        let text = serde_json::to_string_pretty(&answers).expect("JSON");
        std::fs::create_dir_all(golden.parent().expect("an area")).expect("the area's folder");
        std::fs::write(golden, text + "\n").expect("the golden file");
    }
    answers
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/commands")
        .join(name)
}

include!(concat!(env!("OUT_DIR"), "/differential_cases.rs"));
