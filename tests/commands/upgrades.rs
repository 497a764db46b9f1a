//! States of Terraform before 0.12, whose attributes are flat: what today's plugins refuse to read is planned and applied here.

use crate::env::TestEnv;

const MAIN: &str = r#"
resource "null_resource" "a" {
  count    = 2
  triggers = { index = count.index, "dotted.name" = "x" }
}
resource "random_shuffle" "s" {
  input        = ["a", "b", "c"]
  result_count = 2
}
"#;

const STATE: &str = r#"{"version": VERSION, "serial": 3, "lineage": "l", "modules": [{"path": ["root"], "outputs": {}, "resources": {
  "null_resource.a.0": {"type": "null_resource", "primary": {"id": "10", "attributes": {"id": "10", "triggers.COUNT": "2", "triggers.index": "0", "triggers.dotted.name": "x"}, "meta": {"schema_version": "0"}}},
  "null_resource.a.1": {"type": "null_resource", "primary": {"id": "11", "attributes": {"id": "11", "triggers.COUNT": "2", "triggers.index": "1", "triggers.dotted.name": "y"}}},
  "random_shuffle.s": {"type": "random_shuffle", "primary": {"id": "-", "attributes": {"id": "-", "input.#": "3", "input.0": "a", "input.1": "b", "input.2": "c", "result.#": "2", "result.0": "c", "result.1": "a", "result_count": "2"}}}
}}]}"#;

#[test]
fn flat_attributes_mean_what_the_schema_says() {
    // Before version 3 maps were counted as lists are.
    for (version, count) in [("1", "#"), ("2", "#"), ("3", "%")] {
        let state = STATE.replace("VERSION", version).replace("COUNT", count);
        let env = TestEnv::new(&[("main.tf", MAIN), ("terraform.tfstate", &state)]);
        let refused = env.fails(&["plan", "-no-color"]);
        assert!(
            refused.contains("Invalid legacy provider address")
                && refused.contains("stead state")
                && refused.contains("replace-provider -- -/null hashicorp/null"),
            "{refused}"
        );
        for name in ["null", "random"] {
            let (from, to) = (format!("-/{name}"), format!("hashicorp/{name}"));
            env.ok(&[
                "state",
                "replace-provider",
                "-auto-approve",
                "--",
                &from,
                &to,
            ]);
        }
        assert_eq!(env.state()["version"], 4);
        let plan = env.ok(&["plan", "-no-color"]);
        assert!(
            plan.contains("Plan: 1 to add, 0 to change, 1 to destroy."),
            "version {version}\n{plan}"
        );
        assert!(
            plan.contains("# null_resource.a[1] must be replaced"),
            "{plan}"
        );
        assert!(
            plan.contains("~ \"dotted.name\" = \"y\" -> \"x\""),
            "{plan}"
        );
        env.ok(&["apply", "-no-color", "-auto-approve"]);
        let applied = env.state();
        for resource in applied["resources"].as_array().expect("resources") {
            for instance in resource["instances"].as_array().expect("instances") {
                assert!(instance["attributes_flat"].is_null(), "{instance}");
            }
        }
        assert!(env.ok(&["plan", "-no-color"]).contains("No changes."));
    }
}
