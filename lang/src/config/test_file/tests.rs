//! What test files are read as.

use std::path::Path;

use super::*;
use crate::config::NothingInstalled;
use crate::testing::MemoryFiles;

fn load(files: &[(&str, &str)]) -> (TestSuite, Diagnostics) {
    let files = files.iter();
    let files = files.map(|(name, text)| (PathBuf::from(name), (*text).to_owned()));
    let files = MemoryFiles(files.collect());
    let (tree, problems) = ConfigTree::load(&files, Path::new(""), &NothingInstalled);
    assert!(problems.is_empty(), "{problems:?}");
    TestSuite::load(&files, &tree, TEST_DIRECTORY, &NothingInstalled)
}

#[test]
fn tofu_files_hide_their_namesakes() {
    let (suite, problems) = load(&[
        ("main.tf", "locals {}"),
        ("a.tftest.hcl", "run \"terraform\" {}"),
        ("a.tofutest.hcl", "run \"tofu\" {}"),
        ("tests/b.tftest.hcl", ""),
        ("tests/notes.hcl", "{"),
    ]);
    assert!(problems.is_empty(), "{problems:?}");
    let names: Vec<&str> = suite.files.keys().map(|n| &**n).collect();
    assert_eq!(names, ["a.tofutest.hcl", "tests/b.tftest.hcl"]);
    assert_eq!(&*suite.files["a.tofutest.hcl"].runs[0].name, "tofu");
    assert_eq!(suite.files["tests/b.tftest.hcl"].directory(), "tests");
}

#[test]
fn runs_take_the_settings_of_their_file() {
    let text = r#"
test {
  parallel = true
}
run "a" {
  command   = plan
  state_key = "k"
}
run "b" {
  parallel = false
  plan_options {
    mode = refresh-only
  }
}
"#;
    let (suite, problems) = load(&[("main.tf", "locals {}"), ("x.tftest.hcl", text)]);
    assert!(problems.is_empty(), "{problems:?}");
    let [a, b] = suite.files["x.tftest.hcl"].runs.as_slice() else {
        panic!("two runs")
    };
    assert!(a.parallel && !b.parallel);
    assert_eq!(
        (a.command, b.command),
        (TestCommand::Plan, TestCommand::Apply)
    );
    assert_eq!(a.state_key.as_deref(), Some("k"));
    assert!(b.options.refresh_only && b.options.refresh);
}

#[test]
fn what_is_left_behind_is_refused() {
    let text = "run \"a\" {\n  skip_cleanup = true\n  backend \"local\" {}\n}\n";
    let (_, problems) = load(&[("main.tf", "locals {}"), ("x.tftest.hcl", text)]);
    let said: Vec<&str> = problems.iter().map(|d| &*d.summary).collect();
    assert_eq!(said, ["Invalid attribute", "Invalid block"]);
}
