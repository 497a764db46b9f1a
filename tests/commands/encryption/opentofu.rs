//! What OpenTofu has sealed opens here, and the other way round: by recorded files, and live where `tofu` is installed.

use std::process::Command;

use super::flat;
use crate::env::TestEnv;

const STACK: &str = include_str!("fixtures/main.tf");
const KEYS: &str = include_str!("fixtures/keys.sh");
/// By OpenTofu 1.12.6: pbkdf2 over the key of an external command.
const STATE: &str = include_str!("fixtures/tofu.tfstate");
/// The same of a plan that changes "hunter2" to "hunter3", sealed by the command's key.
const PLAN: &str = include_str!("fixtures/tofu.tfplan");

fn with_opentofus_state() -> TestEnv {
    TestEnv::new(&[
        ("main.tf", STACK),
        ("keys.sh", KEYS),
        ("terraform.tfstate", STATE),
        ("tofu.tfplan", PLAN),
    ])
}

#[test]
fn a_state_that_opentofu_sealed_plans_without_changes() {
    let env = with_opentofus_state();
    let shown = env.ok(&["plan", "-no-color"]);
    assert!(shown.contains("No changes"), "{shown}");
    assert_eq!(env.ok(&["output", "-raw", "o"]), "hunter2");
    env.write("keys.sh", &KEYS.replace("b29waD", "b29waE"));
    assert!(env.fails(&["output"]).contains("decryption failed"));
}

#[test]
fn a_plan_that_opentofu_sealed_opens_and_is_left_to_opentofu() {
    let env = with_opentofus_state();
    for command in [
        &["show", "-no-color", "tofu.tfplan"][..],
        &["apply", "tofu.tfplan"],
    ] {
        let error = flat(&env.fails(command));
        assert!(
            error.contains(
                "made by Terraform or OpenTofu, and only the tool that made it can apply it"
            ),
            "{error}"
        );
    }
}

/// Runs `tofu`, where it is installed or `TOFU` names it.
fn tofu(env: &TestEnv, arguments: &[&str]) -> Option<std::process::Output> {
    let program = std::env::var_os("TOFU").unwrap_or_else(|| "tofu".into());
    let run = Command::new(&program)
        .args(arguments)
        .current_dir(env.path())
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_CLI_CONFIG_FILE", "/dev/null")
        .output();
    match run {
        Ok(output) => Some(output),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => panic!("{}: {e}", program.display()),
    }
}

#[test]
#[ignore = "needs tofu"]
fn each_plans_without_changes_what_the_other_has_sealed() {
    let env = TestEnv::new(&[("main.tf", STACK), ("keys.sh", KEYS)]);
    env.ok(&["apply", "-auto-approve"]);
    let run = |arguments: &[&str]| {
        let output = tofu(&env, arguments).expect("tofu in the PATH, or named by TOFU");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{error}");
        text
    };
    run(&["init"]);
    assert!(run(&["plan", "-no-color"]).contains("No changes"));
    env.write("main.tf", &STACK.replace("\"hunter2\"", "\"hunter3\""));
    run(&["apply", "-auto-approve"]);
    assert!(!env.read("terraform.tfstate").contains("hunter"));
    assert!(env.ok(&["plan"]).contains("No changes"));
    assert_eq!(env.ok(&["output", "-raw", "o"]), "hunter3");
    env.write("main.tf", STACK);
    env.ok(&["apply", "-auto-approve"]);
    assert!(run(&["plan", "-no-color"]).contains("No changes"));
    assert_eq!(run(&["output", "-raw", "o"]), "hunter2");
}
