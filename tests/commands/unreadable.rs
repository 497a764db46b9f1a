//! What is there and cannot be read is not taken for absent.

use crate::env::TestEnv;

const STACK: &str = "resource \"terraform_data\" \"a\" {}\n";

#[test]
fn the_selected_workspace() {
    let env = TestEnv::new(&[
        ("main.tf", STACK),
        (".terraform/environment/in_the_way", ""),
    ]);
    for command in [
        &["plan"][..],
        &["output"],
        &["state", "list"],
        &["workspace", "show"],
        &["workspace", "list"],
    ] {
        let said = env.fails(command);
        assert!(
            said.contains("Selected workspace can't be read"),
            "{command:?}: {said}"
        );
    }
    // Where the environment selects one, nothing has to be read.
    let plan = env.stead_with(&["plan"], &[("TF_WORKSPACE", "default")]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
}

#[test]
fn the_backend_of_the_last_init() {
    let env = TestEnv::new(&[("main.tf", STACK), (".terraform/terraform.tfstate", "{")]);
    for command in [&["plan"][..], &["output"], &["show"], &["init"]] {
        let said = env.fails(command);
        assert!(
            said.contains("Backend record can't be read"),
            "{command:?}: {said}"
        );
    }
    env.write(".terraform/terraform.tfstate", "");
    env.ok(&["plan"]);
}

#[test]
fn the_manifest_of_modules() {
    let env = TestEnv::new(&[("main.tf", STACK), (".terraform/modules/modules.json", "{")]);
    let said = env.fails(&["plan", "-out=plan"]);
    assert!(said.contains("Failed to read modules manifest"), "{said}");
}

#[test]
fn the_old_state_before_it_is_replaced() {
    let env = TestEnv::new(&[("main.tf", STACK), ("terraform.tfstate/in_the_way", "")]);
    let said = env.fails(&["apply", "-auto-approve"]);
    assert!(said.contains("terraform.tfstate"), "{said}");
}
