//! `lifecycle { rollout { … } }`: what changes among the instances of a resource comes in steps.

use crate::env::TestEnv;

const NODES: &str = r#"
variable "release" {
  type    = number
  default = 1
}
variable "nodes" {
  type    = set(string)
  default = ["a", "b", "c", "d", "e"]
}
variable "broken" {
  default = ""
}
resource "terraform_data" "node" {
  for_each         = var.nodes
  input            = var.release
  triggers_replace = var.release
  provisioner "local-exec" {
    command = "echo + ${each.key} >> log; sleep 0.3; echo - ${each.key} >> log; test '${each.key}' != '${var.broken}'"
  }
  lifecycle {
    rollout {
ROLLOUT
    }
  }
}
"#;

fn nodes(rollout: &str) -> TestEnv {
    let env = TestEnv::new(&[("main.tf", &NODES.replace("ROLLOUT", rollout))]);
    env.ok(&["apply", "-auto-approve", "-no-color"]);
    env.write("log", "");
    env
}

/// `a:2 b:1`: each instance and the version that it has.
fn versions(env: &TestEnv) -> String {
    let state = env.state();
    let instances = state["resources"][0]["instances"].as_array().cloned();
    let mut all: Vec<String> = instances
        .unwrap_or_default()
        .iter()
        .filter(|i| i["status"].is_null())
        .map(|i| {
            let key = i["index_key"].as_str().unwrap_or_default();
            format!("{key}:{}", i["attributes"]["input"]["value"])
        })
        .collect();
    all.sort();
    all.join(" ")
}

/// Never more at once than these, and in the order of their keys.
fn assert_at_once(log: &str, most: usize) {
    let (mut running, mut highest) = (0, 0);
    for line in log.lines() {
        match line.split_at(1).0 {
            "+" => running += 1,
            _ => running -= 1,
        }
        highest = highest.max(running);
    }
    assert_eq!(highest, most, "{log}");
}

const NEXT: [&str; 5] = ["apply", "-auto-approve", "-no-color", "-var", "release=2"];

/// What a health check asks may be the very thing that an apply has to repair.
#[test]
fn health_checks_can_be_left_out() {
    let rollout = "max_in_flight = 4\nhealth_check \"local-exec\" {\n command = \"echo asked >> log; false\"\n interval = \"100ms\"\n timeout = \"300ms\"\n}";
    let env = nodes(rollout);
    let mut next = NEXT.to_vec();
    next.push("-health-checks=false");
    let said = env.ok(&next);
    assert!(said.contains("Health checks are left out"), "{said}");
    assert!(said.contains("terraform_data.node."), "{said}");
    assert!(!said.contains("checking health"), "{said}");
    assert_eq!(versions(&env), "a:2 b:2 c:2 d:2 e:2");
    // A saved plan keeps to it.
    next = ["plan", "-out=plan", "-no-color", "-health-checks=false"].to_vec();
    next.extend(["-var", "release=3"]);
    env.ok(&next);
    env.ok(&["apply", "-no-color", "plan"]);
    assert_eq!(versions(&env), "a:3 b:3 c:3 d:3 e:3");
    assert!(!env.read("log").contains("asked"));
    // The steps are kept: four instances at once, then one.
    env.write("log", "");
    let said = env.stead(&["apply", "-auto-approve", "-no-color", "-var", "release=4"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(env.read("log").contains("asked"));
    assert_eq!(versions(&env), "a:4 b:4 c:4 d:4 e:3");
}

#[test]
fn what_changes_comes_in_steps_and_what_is_new_at_once() {
    let env = TestEnv::new(&[("main.tf", &NODES.replace("ROLLOUT", "max_in_flight = 2"))]);
    let first = env.ok(&["apply", "-auto-approve", "-no-color"]);
    assert!(!first.contains("Rollout"), "{first}");
    env.write("log", "");
    let said = env.ok(&NEXT);
    let rollout = "Rollout of terraform_data.node: 5 instances in 3 steps, at most 2 at a time; the first failure stops it.";
    assert!(said.replace('\n', " ").contains(rollout), "{said}");
    let log = env.read("log");
    assert_at_once(&log, 2);
    let steps: Vec<Vec<&str>> = log
        .lines()
        .collect::<Vec<_>>()
        .chunks(4)
        .map(<[_]>::to_vec)
        .collect();
    for (step, of) in steps.iter().zip(["ab", "cd", "e"]) {
        let ran: Vec<_> = step.iter().filter_map(|l| l.strip_prefix("+ ")).collect();
        assert!(ran.iter().all(|key| of.contains(key)), "{log}");
    }
    assert_eq!(versions(&env), "a:2 b:2 c:2 d:2 e:2");
    env.ok(&["plan", "-detailed-exitcode", "-var", "release=2"]);
}

#[test]
fn new_instances_come_in_steps_when_that_is_asked_for() {
    let env = TestEnv::new(&[(
        "main.tf",
        &NODES.replace("ROLLOUT", "max_in_flight = \"50%\"\nnew_instances = true"),
    )]);
    let said = env.ok(&["apply", "-auto-approve", "-no-color"]);
    assert!(said.contains("in 3 steps, at most 2"), "{said}");
    assert_at_once(&env.read("log"), 2);
}

#[test]
fn a_step_that_is_not_healthy_stops_the_rest_until_the_next_apply() {
    let rollout = "max_in_flight = 2\npause = \"50ms\"\nhealth_check \"local-exec\" {\n  command  = \"echo asked >> asked; test -e healthy || { echo the nodes are down; exit 3; }\"\n  interval = \"100ms\"\n  timeout  = \"1s\"\n}";
    let env = nodes(rollout);
    let output = env.stead(&NEXT);
    assert_eq!(output.code, 1, "{output:?}");
    for part in [
        "terraform_data.node: Step 1 of 3 done, pausing",
        "Step 1 of 3 done, checking health",
    ] {
        assert!(
            output.stdout.contains(part),
            "no {part:?} in {}",
            output.stdout
        );
    }
    let told = output
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in [
        "Error: terraform_data.node is not healthy after step 1 of 3",
        "did not succeed within 1s",
        "the nodes are down",
        "the next apply goes on with them",
    ] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    assert!(
        env.read("asked").lines().count() > 2,
        "asked again and again"
    );
    assert_eq!(versions(&env), "a:2 b:2 c:1 d:1 e:1");
    env.write("healthy", "");
    let said = env.ok(&NEXT);
    assert!(said.contains("3 instances in 2 steps"), "{said}");
    assert!(said.contains("Healthy after"), "{said}");
    assert_eq!(versions(&env), "a:2 b:2 c:2 d:2 e:2");
}

#[test]
fn an_instance_that_fails_stops_the_rest() {
    let env = nodes("");
    let mut arguments = NEXT.to_vec();
    arguments.extend(["-var", "broken=b"]);
    let output = env.stead(&arguments);
    assert_eq!(output.code, 1, "{output:?}");
    let told = format!("{}{}", output.stdout, output.stderr);
    assert!(
        told.contains("The rollout of terraform_data.node has stopped"),
        "{told}"
    );
    assert!(told.contains("step 2 of 5"), "{told}");
    assert_eq!(env.read("log"), "+ a\n- a\n+ b\n- b\n");
    env.ok(&NEXT);
    assert_eq!(versions(&env), "a:2 b:2 c:2 d:2 e:2");
}

#[test]
fn a_rollout_may_go_on_after_failures() {
    let env = nodes(
        "on_failure = continue\nhealth_check \"local-exec\" {\n  command = \"false\"\n  timeout = \"0s\"\n}",
    );
    let mut arguments = NEXT.to_vec();
    arguments.extend(["-var", "broken=b"]);
    let output = env.stead(&arguments);
    assert_eq!(output.code, 1, "{output:?}");
    let told = format!("{}{}", output.stdout, output.stderr);
    assert!(
        told.contains("Warning: terraform_data.node is not healthy after step 1 of 5"),
        "{told}"
    );
    assert_eq!(versions(&env), "a:2 c:2 d:2 e:2");
}

#[test]
fn what_needs_the_instances_waits_for_the_last_health_check() {
    let after = "resource \"terraform_data\" \"after\" {\n  input = [var.release, [for node in terraform_data.node : node.id]]\n}\n";
    let rollout = "max_in_flight = 5\nhealth_check \"local-exec\" {\n  command = \"false\"\n  timeout = \"0s\"\n}";
    let text = format!("{}{after}", NODES.replace("ROLLOUT", rollout));
    let env = TestEnv::new(&[("main.tf", &text)]);
    env.ok(&["apply", "-auto-approve", "-no-color"]);
    let told = env.fails(&NEXT);
    assert!(told.contains("not healthy after step 1 of 1"), "{told}");
    let state = env.state();
    let resources = state["resources"].as_array().cloned().unwrap_or_default();
    let after = resources.iter().find(|r| r["name"] == "after");
    let input = &after.expect("the object")["instances"][0]["attributes"]["input"];
    assert_eq!(input["value"][0], 1, "{input}");
}

#[test]
fn removals_come_in_steps_behind_the_others() {
    let env = nodes("health_check \"local-exec\" {\n  command = \"echo = >> log\"\n}");
    let mut arguments = NEXT.to_vec();
    arguments.extend(["-var", "nodes=[\"b\", \"c\", \"f\"]"]);
    let said = env.ok(&arguments);
    assert!(said.contains("5 instances in 5 steps"), "{said}");
    let gone = |key: &str| {
        said.find(&format!(
            "terraform_data.node[\"{key}\"]: Destruction complete"
        ))
    };
    let made = said.rfind("Creation complete");
    assert!(
        gone("a") > made && gone("d") > gone("a") && gone("e") > gone("d"),
        "{said}"
    );
    let log = env.read("log").replace('\n', "");
    let log = log.replace("+ f", "").replace("- f", "");
    assert_eq!(log, "+ b- b=+ c- c====");
}

#[test]
fn a_saved_plan_keeps_its_steps() {
    let env =
        nodes("max_in_flight = 1 + 2\nhealth_check \"local-exec\" {\n  command = \"true\"\n}");
    env.ok(&["plan", "-out=later", "-var", "release=2"]);
    let shown: serde_json::Value =
        serde_json::from_str(&env.ok(&["show", "-json", "later"])).expect("JSON");
    let rollout = &shown["rollouts"][0];
    assert_eq!(rollout["address"], "terraform_data.node");
    assert_eq!(
        (&rollout["steps"], &rollout["max_in_flight"]),
        (&2.into(), &3.into())
    );
    let said = env.ok(&["apply", "-json", "later"]);
    let gates = said
        .lines()
        .filter(|l| l.contains("\"rollout_progress\""))
        .count();
    assert!(gates >= 4, "{said}");
    assert_at_once(&env.read("log"), 3);
}

#[test]
fn what_is_destroyed_as_a_whole_waits_for_nothing() {
    let env = nodes("health_check \"local-exec\" {\n  command = \"false\"\n}");
    env.ok(&["destroy", "-auto-approve"]);
}

#[test]
fn mistakes_are_told_while_planning() {
    for (rollout, expected) in [
        ("max_in_flight = 0", "at least 1, or a share of them"),
        (
            "max_in_flight = \"a few\"",
            "at least 1, or a share of them",
        ),
        ("pause = \"soon\"", "a number with a unit"),
        (
            "max_in_flight = length(terraform_data.after.id)",
            "must be known while planning",
        ),
        (
            "health_check \"local-exec\" {\n}",
            "The argument \"command\" is required",
        ),
        ("health_check \"carrier-pigeon\" {\n}", "carrier-pigeon"),
        (
            "health_check \"local-exec\" {\n  command = terraform_data.node[\"a\"].id\n}",
            "it cannot refer to them",
        ),
        (
            "health_check \"local-exec\" {\n  command = each.key\n}",
            "each",
        ),
        (
            "health_check \"local-exec\" {\n  command = terraform_data.after.id\n}",
            "the rollout of terraform_data.node",
        ),
    ] {
        let other = "resource \"terraform_data\" \"other\" {\n  input = [var.release]\n}\nresource \"terraform_data\" \"after\" {\n  triggers_replace = [for node in terraform_data.node : node.id]\n}\n";
        let text = format!("{}{other}", NODES.replace("ROLLOUT", ""));
        let env = TestEnv::new(&[("main.tf", &text)]);
        env.ok(&["apply", "-auto-approve"]);
        env.write(
            "main.tf",
            &format!("{}{other}", NODES.replace("ROLLOUT", rollout)),
        );
        let told = env.fails(&["plan", "-no-color", "-var", "release=2"]);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(expected), "{rollout}: {told}");
    }
}
