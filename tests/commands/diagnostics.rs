//! Bad input: one clear diagnostic each, with file, line, cause and remedy, and exit code 1.

use crate::env::TestEnv;

fn check(source: &str, expected: &[&str]) {
    let env = TestEnv::new(&[("main.tf", source)]);
    let error = env.fails(&["plan", "-no-color"]);
    for text in expected {
        assert!(error.contains(text), "no {text:?} in\n{error}");
    }
    assert!(
        !env.path().join("terraform.tfstate").exists(),
        "a failed plan leaves no state"
    );
}

#[test]
fn syntax_errors_name_their_place() {
    check(
        "resource \"terraform_data\" \"a\" {\n  input = [1, 2\n}\n",
        &["main.tf line"],
    );
}

#[test]
fn several_problems_come_in_one_run() {
    check(
        "locals {\n  a = var.nope\n  b = local.nope\n}\noutput \"a\" { value = [local.a, local.b] }\n",
        &[
            "Reference to undeclared input variable",
            "Reference to undeclared local value",
            "main.tf line 2",
            "main.tf line 3",
        ],
    );
}

#[test]
fn what_follows_self_is_checked_without_a_value() {
    check(
        "resource \"terraform_data\" \"a\" {\n  lifecycle {\n    postcondition {\n      condition = self.nope == 1\n      error_message = self.id.x\n    }\n  }\n  provisioner \"local-exec\" {\n    command = self.wrong\n  }\n}\n",
        &[
            "main.tf line 4",
            "attribute named\n\"nope\"",
            "main.tf line 5",
            "primitive-typed value (string)",
            "main.tf line 9",
            "attribute named\n\"wrong\"",
        ],
    );
}

#[test]
fn unknown_attributes_are_refused_with_a_suggestion() {
    check(
        "resource \"terraform_data\" \"a\" {\n  inptu = 1\n}\n",
        &[
            "Unsupported argument",
            "Did you mean \"input\"?",
            "main.tf line 2",
        ],
    );
}

#[test]
fn missing_variables_say_how_to_set_them() {
    check(
        "variable \"region\" {}\noutput \"r\" { value = var.region }\n",
        &["No value for required variable", "-var"],
    );
}

#[test]
fn wrong_types_say_what_was_wanted() {
    check(
        "variable \"n\" {\n  type = number\n  default = \"many\"\n}\n",
        &[
            "Invalid default value for variable",
            "number",
            "main.tf line 3",
        ],
    );
}

#[test]
fn failed_validations_show_the_message_of_the_author() {
    check(
        "variable \"n\" {\n  default = 11\n  validation {\n    condition = var.n < 10\n    error_message = \"Ten is too many, not ${var.n}.\"\n  }\n}\n",
        &["Ten is too many, not 11.", "main.tf line 1"],
    );
}

#[test]
fn cycles_are_shown_as_their_path() {
    check(
        "locals {\n  a = local.b\n  b = local.a\n}\noutput \"o\" { value = local.a }\n",
        &["Cycle: local.a (expand), local.b (expand)"],
    );
    check(
        "resource \"terraform_data\" \"a\" { input = terraform_data.b.output }\nresource \"terraform_data\" \"b\" { input = terraform_data.a.output }\n",
        &["Cycle:", "terraform_data.a", "terraform_data.b"],
    );
}

#[test]
fn unknown_keys_for_for_each_are_explained() {
    check(
        "resource \"terraform_data\" \"a\" { input = \"x\" }\nresource \"terraform_data\" \"b\" {\n  for_each = toset([terraform_data.a.id])\n}\n",
        &["Invalid for_each argument", "main.tf line 3"],
    );
}

#[test]
fn providers_that_are_not_there_are_named() {
    check(
        "terraform {\n  required_providers {\n    x = { source = \"acme/rocket\" }\n  }\n}\nresource \"x_y\" \"a\" {}\n",
        &[
            "Provider not available",
            "registry.terraform.io/acme/rocket",
        ],
    );
}

#[test]
fn prevent_destroy_stops_a_replacement() {
    let env = TestEnv::new(&[(
        "main.tf",
        "variable \"v\" { default = 1 }\nresource \"terraform_data\" \"a\" {\n  triggers_replace = var.v\n  lifecycle {\n    prevent_destroy = true\n  }\n}\n",
    )]);
    env.ok(&["apply", "-auto-approve"]);
    let error = env.fails(&["plan", "-var", "v=2"]);
    assert!(error.contains("Instance cannot be destroyed"), "{error}");
    let error = env.fails(&["destroy", "-auto-approve"]);
    assert!(error.contains("Instance cannot be destroyed"), "{error}");
}

#[test]
fn a_state_of_something_else_is_not_overwritten() {
    let env = TestEnv::new(&[
        ("main.tf", "resource \"terraform_data\" \"a\" {}"),
        ("terraform.tfstate", "{\"version\": 4, \"broken\""),
    ]);
    let error = env.fails(&["plan"]);
    assert!(error.contains("Unsupported state file format"), "{error}");
    assert_eq!(env.read("terraform.tfstate"), "{\"version\": 4, \"broken\"");
}

#[test]
fn without_a_terminal_apply_wants_approval_by_flag() {
    let env = TestEnv::new(&[("main.tf", "resource \"terraform_data\" \"a\" {}")]);
    let error = env.fails(&["apply"]);
    assert!(error.contains("-auto-approve"), "{error}");
    assert!(!env.path().join("terraform.tfstate").exists());
}

/// There are fewer marks than there may be deprecated outputs: those that share one never speak for each other.
#[test]
fn no_deprecated_output_is_told_with_the_words_of_another() {
    let outputs = 0..70;
    let module: String = (outputs.clone())
        .map(|i| {
            format!("output \"o{i}\" {{\n  value      = {i}\n  deprecated = \"words{i}.\"\n}}\n")
        })
        .collect();
    let used: String = outputs
        .map(|i| format!("output \"used{i}\" {{ value = module.m.o{i} }}\n"))
        .collect();
    let env = TestEnv::new(&[
        (
            "main.tf",
            &format!("module \"m\" {{ source = \"./m\" }}\n{used}"),
        ),
        ("m/main.tf", &module),
    ]);
    let out = env.ok(&["plan", "-no-color", "-consolidate-warnings=false"]);
    let warnings: Vec<&str> = out.split("Warning: ").skip(1).collect();
    assert_eq!(warnings.len(), 70);
    for warning in warnings {
        let line = warning.lines().find(|line| line.contains("module.m.o"));
        let line = line.expect("the place of use");
        let (_, number) = line.split_once("module.m.o").expect("the reference");
        let number = number.trim_end_matches([' ', '}']);
        assert!(
            warning.contains(&format!("words{number}."))
                || (!warning.contains("words") && warning.contains("a deprecated output")),
            "{warning}"
        );
    }
}
