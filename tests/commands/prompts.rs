//! Questions on a terminal: what is asked, what is shown of the answer, and what counts as one.

use std::process::Command;

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::env::TestEnv;

/// Long enough for a busy machine; a test that waits so long has failed.
const PATIENCE_MS: u64 = 60_000;

/// Runs stead on a terminal of its own.
fn on_terminal(env: &TestEnv, arguments: &[&str]) -> PtySession {
    // The library takes the echo away, and what is not shown of answers could not be told from it.
    let mut command = Command::new("sh");
    command
        .args(["-c", "stty echo && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_stead"))
        .args(arguments)
        .current_dir(env.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", env.path())
        .env("TERM", "dumb");
    spawn_command(command, Some(PATIENCE_MS)).expect("a terminal")
}

/// What stands between here and the text.
fn until(session: &mut PtySession, text: &str) -> String {
    session.exp_string(text).expect(text)
}

fn end(mut session: PtySession) -> (String, i32) {
    let rest = session.exp_eof().expect("the end");
    match session.process().wait() {
        Ok(WaitStatus::Exited(_, code)) => (rest, code),
        other => panic!("{other:?}\n{rest}"),
    }
}

const STACK: &str = "resource \"terraform_data\" \"a\" { input = 1 }\n";

#[test]
fn variables_without_a_value_are_asked_for_by_name() {
    let env = TestEnv::new(&[(
        "main.tf",
        r#"
variable "b" {
  type        = list(number)
  description = "Some\nnumbers"
}
variable "a" {
  sensitive = true
}
variable "c" {
  ephemeral = true
}
variable "d" {
  default = "given"
}
output "sum" { value = sum(var.b) + length(nonsensitive(var.a)) }
"#,
    )]);
    let mut session = on_terminal(&env, &["plan"]);
    assert_eq!(until(&mut session, "Enter a value: "), "var.a\r\n  ");
    session.send_line("hidden").expect("sent");
    let asked = until(&mut session, "Enter a value: ");
    // The secret is not shown as it is typed.
    assert_eq!(asked, "\r\n\r\nvar.b\r\n  Some\r\n  numbers\r\n\r\n  ");
    session.send_line("[1, 2]").expect("sent");
    let asked = until(&mut session, "Enter a value: ");
    assert_eq!(asked, "[1, 2]\r\n\r\nvar.c (ephemeral)\r\n  ");
    session.send_line("").expect("sent");
    until(&mut session, "+ sum = 9");
    let (_, code) = end(session);
    assert_eq!(code, 0);
}

#[test]
fn what_is_not_answered_is_missing() {
    let env = TestEnv::new(&[(
        "main.tf",
        "variable \"a\" {}\nvariable \"b\" {}\nvariable \"c\" { type = list(string) }\n",
    )]);
    let mut session = on_terminal(&env, &["plan"]);
    until(&mut session, "var.a\r\n  Enter a value: ");
    session.send_control('d').expect("sent");
    until(&mut session, "var.b\r\n  Enter a value: ");
    session.send_line("x").expect("sent");
    until(&mut session, "var.c\r\n  Enter a value: ");
    session.send_line("[").expect("sent");
    let (text, code) = end(session);
    assert_eq!(code, 1);
    assert!(text.contains("on <value for var.c> line 1:"), "{text}");
    // The one without an answer, and the one whose answer means nothing.
    assert_eq!(text.matches("No value for required variable").count(), 2);

    // Nothing is asked where the command was told not to, nor where machines listen.
    for arguments in [&["plan", "-input=false"][..], &["plan", "-json"]] {
        let (text, code) = end(on_terminal(&env, arguments));
        assert_eq!(code, 1);
        assert!(!text.contains("Enter a value"), "{text}");
        assert!(text.contains("No value for required variable"), "{text}");
    }
    let told = env.stead_with(&["plan", "-no-color"], &[("TF_INPUT", "false")]);
    assert!(!told.stdout.contains("Enter a value"), "{}", told.stdout);
    assert_eq!(told.code, 1);
}

#[test]
fn an_interrupt_ends_the_questions() {
    let env = TestEnv::new(&[("main.tf", "variable \"a\" {}\nvariable \"b\" {}\n")]);
    let mut session = on_terminal(&env, &["apply"]);
    until(&mut session, "var.a\r\n  Enter a value: ");
    session.send_control('c').expect("sent");
    let (text, code) = end(session);
    assert_eq!(code, 1);
    assert!(text.contains("Interrupt received."), "{text}");
    assert!(!text.contains("Enter a value"), "{text}");
    assert_eq!(text.matches("No value for required variable").count(), 2);
}

#[test]
fn only_yes_approves() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    for answer in ["y", "Yes", " yes", ""] {
        let mut session = on_terminal(&env, &["apply"]);
        until(
            &mut session,
            "\r\nDo you want to perform these actions?\r\n  stead will perform the actions described above.\r\n  Only 'yes' will be accepted to approve.\r\n\r\n  Enter a value: ",
        );
        session.send_line(answer).expect("sent");
        let (text, code) = end(session);
        assert!(text.ends_with("\r\n\r\nApply cancelled.\r\n"), "{text:?}");
        assert_eq!(code, 1);
    }
    let mut session = on_terminal(&env, &["apply"]);
    until(&mut session, "Enter a value: ");
    session.send_line("yes ").expect("sent");
    let (text, code) = end(session);
    assert!(
        text.contains("Apply complete! Resources: 1 added"),
        "{text}"
    );
    assert_eq!(code, 0);

    let mut session = on_terminal(&env, &["destroy"]);
    until(&mut session, "Do you really want to destroy all resources?");
    until(
        &mut session,
        "There is no undo. Only 'yes' will be accepted",
    );
    until(&mut session, "Enter a value: ");
    session.send_line("no").expect("sent");
    let (text, code) = end(session);
    assert!(text.contains("Destroy cancelled."), "{text}");
    assert_eq!(code, 1);
}

#[test]
fn neither_the_end_nor_an_interrupt_approves() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    for (key, expected) in [
        ('d', "error asking for approval: EOF"),
        ('c', "error asking for approval: interrupted"),
    ] {
        let mut session = on_terminal(&env, &["apply", "-no-color"]);
        until(&mut session, "Enter a value: ");
        session.send_control(key).expect("sent");
        let (text, code) = end(session);
        assert!(text.contains(expected), "{text}");
        assert_eq!(code, 1);
    }
    assert!(!env.path().join("terraform.tfstate").exists());
}

#[test]
fn questions_name_the_workspace() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    env.ok(&["workspace", "new", "other"]);
    let mut session = on_terminal(&env, &["apply"]);
    until(
        &mut session,
        "Do you want to perform these actions in workspace \"other\"?",
    );
    until(&mut session, "Enter a value: ");
    session.send_line("yes").expect("sent");
    assert_eq!(end(session).1, 0);
    let mut session = on_terminal(&env, &["destroy"]);
    until(
        &mut session,
        "Do you really want to destroy all resources in workspace \"other\"?",
    );
    until(&mut session, "Enter a value: ");
    session.send_line("no").expect("sent");
    assert_eq!(end(session).1, 1);
}
