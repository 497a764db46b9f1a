//! Of which modules it is told that their authors have deprecated something.

use crate::env::TestEnv;

const MODULE: &str = r#"
variable "old" {
  default    = null
  deprecated = "Take the new one."
}
output "old" {
  value      = 1
  deprecated = "Take the new one."
}
"#;

/// A stack with a module in its own package, which calls another, and one that is fetched.
fn stack() -> TestEnv {
    let env = TestEnv::new(&[
        ("local/main.tf", MODULE),
        ("elsewhere/main.tf", MODULE),
        ("elsewhere/inner/main.tf", MODULE),
    ]);
    let call = |name: &str, source: &str| {
        format!(
            "module \"{name}\" {{\n  source = \"{source}\"\n  old = 1\n}}\noutput \"{name}\" {{ value = module.{name}.old }}\n"
        )
    };
    let fetched = env.path().join("elsewhere");
    env.write(
        "main.tf",
        &(call("near", "./local") + &call("far", &fetched.display().to_string())),
    );
    env.write("elsewhere/more.tf", &call("inside", "./inner"));
    env.ok(&["get"]);
    env
}

/// How many warnings stand for deprecated variables and outputs, in `validate` and in `plan`.
fn told(env: &TestEnv, flag: &str) -> (usize, usize) {
    let count = |arguments: &[&str]| {
        let printed = env.ok(arguments);
        let variables = printed.matches("Deprecated variable got a value").count();
        variables + printed.matches("Deprecated value used").count()
    };
    (
        count(&["validate", "-no-color", "-consolidate-warnings=false", flag]),
        count(&["plan", "-no-color", "-consolidate-warnings=false", flag]),
    )
}

#[test]
fn deprecations_of_fetched_modules_are_told_unless_the_flag_says_otherwise() {
    let env = stack();
    // A variable and an output of each of three modules.
    assert_eq!(told(&env, "-deprecation=module:all"), (6, 6));
    assert_eq!(told(&env, "-deprecation=module:local"), (2, 2));
    assert_eq!(told(&env, "-deprecation=module:none"), (0, 0));
    // As in OpenTofu, what is not understood leaves nothing out.
    assert_eq!(told(&env, "-deprecation=module:some"), (6, 6));
    let compact = env.ok(&[
        "plan",
        "-no-color",
        "-compact-warnings",
        "-deprecation=module:none",
    ]);
    assert!(!compact.contains("Warnings:"), "{compact}");
    // Machines are told everything.
    let json = env.ok(&["validate", "-json", "-deprecation=module:none"]);
    assert!(json.contains("\"warning_count\": 6"), "{json}");

    let refused = env.fails(&["plan", "-no-color", "-deprecation=none"]);
    assert!(refused.contains("for flag -deprecation"), "{refused}");
}
