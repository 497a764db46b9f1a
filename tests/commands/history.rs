//! What was done to a state can be told and taken back.

use crate::env::TestEnv;
use crate::state_server::StateServer;

const STACK: &str = r#"
variable "n" {
  default = 1
}
resource "terraform_data" "a" {
  input = var.n
}
resource "random_password" "secret" {
  length = 20 + var.n
}
resource "terraform_data" "b" {
  count = var.n
}
output "n" {
  value = var.n
}
"#;

#[test]
fn a_state_is_taken_back_command_by_command() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    taken_back(&env);
    use std::os::unix::fs::PermissionsExt as _;
    for file in std::fs::read_dir(env.path().join("terraform.tfstate.history")).expect("a history")
    {
        let mode = file
            .expect("a file")
            .metadata()
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// The backend `http` has no room for it: it stays on this machine.
#[test]
fn so_is_one_at_a_remote_place() {
    let server = StateServer::start();
    let env = TestEnv::new(&[("main.tf", STACK), ("backend.tf", &server.backend())]);
    env.ok(&["init"]);
    taken_back(&env);
}

fn taken_back(env: &TestEnv) {
    env.ok(&["apply", "-auto-approve"]);
    let first = env.ok(&["state", "pull"]);
    env.ok(&["apply", "-auto-approve", "-var", "n=2"]);
    env.ok(&["state", "rm", "terraform_data.b[0]"]);

    let told = env.ok(&["state", "history"]);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].contains("stead state rm  by "), "{told}");
    assert_eq!(lines[1], "  - terraform_data.b[0]");
    assert!(lines[2].contains("stead apply  by "), "{told}");
    assert_eq!(
        lines[3..7],
        [
            "  ~ random_password.secret",
            "  ~ terraform_data.a",
            "  + terraform_data.b[1]",
            "  ~ output.n"
        ]
    );
    let json: serde_json::Value =
        serde_json::from_str(&env.ok(&["state", "history", "-json", "-last=1"])).expect("JSON");
    assert_eq!(json[0]["instances"][0]["change"], "forgotten");

    // Without an answer nothing happens, and what would happen is shown without its secrets.
    let asked = env.stead(&["state", "undo"]);
    assert_eq!(asked.code, 1, "{}", asked.stdout);
    assert!(
        asked
            .stdout
            .contains("# terraform_data.b[0] is recorded again"),
        "{}",
        asked.stdout
    );
    assert_eq!(env.ok(&["state", "list"]).lines().count(), 3);

    env.ok(&["state", "undo", "-auto-approve"]);
    assert_eq!(env.ok(&["state", "list"]).lines().count(), 4);
    let first: serde_json::Value = serde_json::from_str(&first).expect("a state");
    let serial = first["serial"].to_string();
    let shown = env.ok(&["state", "undo", "-auto-approve", &serial]);
    assert!(shown.contains("(sensitive value)"), "{shown}");
    let secret = first["resources"].as_array().expect("resources");
    let secret = secret
        .iter()
        .find(|r| r["type"] == "random_password")
        .expect("one");
    let secret = secret["instances"][0]["attributes"]["result"].as_str();
    assert!(!shown.contains(secret.expect("a password")), "{shown}");
    let mut back: serde_json::Value =
        serde_json::from_str(&env.ok(&["state", "pull"])).expect("a state");
    assert!(back["serial"].as_u64() > first["serial"].as_u64());
    back["serial"] = first["serial"].clone();
    assert_eq!(back, first);

    let refused = env.fails(&["state", "undo", "-auto-approve", "99"]);
    assert!(refused.contains("Nothing to undo"), "{refused}");
}
