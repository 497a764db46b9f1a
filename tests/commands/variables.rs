//! Values for root variables: where they come from, which one wins, and what is said of wrong ones.

use crate::env::TestEnv;

const MAIN: &str = "variable \"a\" { default = \"default\" }\noutput \"a\" { value = var.a }\n";

#[test]
fn flags_count_in_the_order_in_which_they_stand() {
    let env = TestEnv::new(&[
        ("main.tf", MAIN),
        ("terraform.tfvars", "a = \"automatic\"\n"),
        ("v.tfvars", "a = \"file\"\n"),
    ]);
    let plan = |flags: &[&str]| {
        let arguments: Vec<&str> = ["plan", "-no-color"].iter().chain(flags).copied().collect();
        env.ok(&arguments)
    };
    assert!(plan(&[]).contains("\"automatic\""));
    assert!(plan(&["-var-file=v.tfvars", "-var=a=flag"]).contains("\"flag\""));
    assert!(plan(&["-var=a=flag", "-var-file=v.tfvars"]).contains("\"file\""));
}

#[test]
fn what_files_hold_too_much_is_told_briefly() {
    let env = TestEnv::new(&[
        ("main.tf", MAIN),
        ("terraform.tfvars", "b = 1\nc = 1\nd = 1\ne = 1\n"),
    ]);
    let output = env.stead(&["plan", "-no-color"]);
    let text = format!("{}{}", output.stdout, output.stderr);
    // Where lines break does not matter.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.code, 0, "{text}");
    assert_eq!(text.matches("Value for undeclared variable").count(), 2);
    assert!(text.contains("2 other variable(s) defined without being declared"));
}

#[test]
fn wrong_values_are_shown_where_they_stand() {
    let env = TestEnv::new(&[
        (
            "main.tf",
            "variable \"n\" { type = number }\nvariable \"m\" {}\nvariable \"o\" {}\n",
        ),
        ("terraform.tfvars", "\nn = \"x\"\n"),
    ]);
    let error = env.fails(&["plan", "-no-color", "-input=false"]);
    // All that are missing, in one run.
    assert_eq!(error.matches("No value for required variable").count(), 2);
    let error = env.fails(&["plan", "-no-color", "-var=m=1", "-var=o=1"]);
    assert!(
        error.contains("Invalid value for input variable"),
        "{error}"
    );
    assert!(error.contains("on terraform.tfvars line 2"), "{error}");
    for (flags, expected) in [
        ("-var=n", "Invalid -var option"),
        ("-var=n = 1", "trailing space"),
        ("-var=z=1", "Value for undeclared variable"),
        (
            "-var-file=none.tfvars",
            "Given variables file none.tfvars does not exist",
        ),
    ] {
        let error = env.fails(&["plan", "-no-color", "-input=false", flags]);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn sources_of_modules_may_be_variables() {
    let env = TestEnv::new(&[
        (
            "main.tf",
            "variable \"dir\" {}\nlocals { path = \"./${var.dir}\" }\nmodule \"m\" { source = local.path }\noutput \"o\" { value = module.m.v }\n",
        ),
        ("one/main.tf", "output \"v\" { value = \"from one\" }\n"),
        ("two/main.tf", "output \"v\" { value = \"from two\" }\n"),
    ]);
    assert!(
        env.ok(&["plan", "-no-color", "-var=dir=one"])
            .contains("from one")
    );
    assert!(
        env.ok(&["plan", "-no-color", "-var=dir=two"])
            .contains("from two")
    );
    let error = env.fails(&["plan", "-no-color", "-input=false"]);
    assert!(error.contains("Variable value not provided"), "{error}");
}
