//! Sharing a place with the reference: what one tool writes the other reads, and each respects the other's lock.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use stead_state::{Backend, BackendError};

use crate::lock_info;

const OURS: &str = "9d0a3f4c-4d61-4c7c-a0ac-0c1a6ba9c3f1";

/// A folder with a stack of one `terraform_data` and a backend block.
struct Stack {
    folder: tempfile::TempDir,
    terraform: PathBuf,
    environment: Vec<(String, String)>,
    backend: Json,
}

impl Stack {
    /// `None`, with a line that says so, where there is no terraform.
    fn new(kind: &str, arguments: &Json, environment: &[(&str, &str)]) -> Option<Stack> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&paths)
            .map(|dir| dir.join("terraform"))
            .find(|file| file.is_file());
        let Some(terraform) = found else {
            eprintln!("skipped: terraform is not on the PATH, so nothing is shared with it");
            return None;
        };
        let pairs = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let stack = Stack {
            folder: tempfile::tempdir().expect("a folder"),
            terraform,
            environment: pairs.collect(),
            backend: json!({ kind: arguments }),
        };
        stack.resource(&json!({ "input": "one" }));
        Some(stack)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn resource(&self, body: &Json) {
        let stack = json!({
            "terraform": { "backend": self.backend },
            "resource": { "terraform_data": { "a": body } },
        });
        std::fs::write(self.path().join("main.tf.json"), stack.to_string()).expect("the stack");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.terraform);
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1");
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        // Not on this thread: the service may be a task of this process.
        tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("a thread")
            .expect("terraform")
    }

    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(
            output.status.success(),
            "terraform {arguments:?}: {}",
            text(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn text(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{out}{err}")
}

/// Shares the default workspace's place, which must be empty, with terraform. `names_holder` says whether the service tells terraform
/// who has the lock.
pub(crate) async fn share(
    backend: &Arc<dyn Backend>,
    kind: &str,
    arguments: &Json,
    environment: &[(&str, &str)],
    names_holder: bool,
) {
    let Some(stack) = Stack::new(kind, arguments, environment) else {
        return;
    };
    let store = backend.store("default").expect("a store");
    stack.run(&["init", "-no-color"]).await;
    stack.run(&["apply", "-no-color", "-auto-approve"]).await;

    // What terraform wrote, we read; what we write, terraform reads.
    let mut state: Json = serde_json::from_slice(
        &store
            .read()
            .await
            .expect("a read")
            .expect("terraform's state"),
    )
    .expect("JSON");
    assert_eq!(state["resources"][0]["type"], "terraform_data");
    let serial = state["serial"].as_u64().expect("a serial") + 1;
    state["serial"] = json!(serial);
    state["outputs"] = json!({ "from": { "value": "stead", "type": "string" } });
    let id = store.lock(&lock_info(OURS)).await.expect("the lock");
    store
        .write(state.to_string().as_bytes())
        .await
        .expect("a write");
    if store.has_room_beside() {
        store
            .write_beside("journal", b"a journal")
            .await
            .expect("a file");
    }
    let pulled: Json = serde_json::from_str(&stack.run(&["state", "pull"]).await).expect("JSON");
    assert_eq!(
        (&pulled["serial"], &pulled["outputs"]["from"]["value"]),
        (&json!(serial), &json!("stead"))
    );

    // Our lock keeps terraform out.
    let refused = stack.output(&["apply", "-no-color", "-auto-approve"]).await;
    assert!(!refused.status.success(), "{}", text(&refused));
    assert!(
        text(&refused).contains("Error acquiring the state lock"),
        "{}",
        text(&refused)
    );
    if names_holder {
        assert!(text(&refused).contains(OURS), "{}", text(&refused));
        // Terraform 1.11 shows its own note with the server's id.
        let shows_note = kind != "http";
        assert!(
            !shows_note || text(&refused).contains("tests@stead"),
            "{}",
            text(&refused)
        );
    }
    store.holds(&id).await.expect("terraform did not take it");
    store.unlock(&id).await.expect("the unlock");
    assert!(
        stack
            .run(&["plan", "-no-color"])
            .await
            .contains("Changes to Outputs")
    );

    // Terraform's lock keeps us out, and says who has it.
    let (begun, go) = (stack.path().join("begun"), stack.path().join("go"));
    let wait = format!(
        "touch {}; while ! [ -e {} ]; do sleep 0.1; done",
        begun.display(),
        go.display()
    );
    stack.resource(
        &json!({ "triggers_replace": "two", "provisioner": { "local-exec": { "command": wait } } }),
    );
    let mut apply = stack.command(&["apply", "-no-color", "-auto-approve"]);
    let mut apply = apply
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("terraform");
    while !begun.exists() {
        assert!(
            apply.try_wait().expect("a child").is_none(),
            "terraform ended before its provisioner ran"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = store.lock(&lock_info(OURS)).await;
    std::fs::write(&go, "").expect("a file");
    let output = tokio::task::spawn_blocking(move || apply.wait_with_output())
        .await
        .expect("a thread")
        .expect("terraform");
    assert!(output.status.success(), "{}", text(&output));
    match found {
        Err(BackendError::Locked { holder, .. }) => {
            if let Some(holder) = holder {
                assert_eq!(holder.operation, "OperationTypeApply");
                assert_ne!(holder.id, OURS);
            } else {
                assert!(!names_holder, "the holder is known");
            }
        }
        found => panic!("a lock beside terraform's: {found:?}"),
    }
    let id = store
        .lock(&lock_info(OURS))
        .await
        .expect("the lock is free again");
    store.unlock(&id).await.expect("the unlock");

    share_workspaces(&**backend, &stack).await;
}

/// Terraform reads the state of the default workspace as we do.
pub(crate) async fn pulls(
    backend: &Arc<dyn Backend>,
    kind: &str,
    arguments: &Json,
    environment: &[(&str, &str)],
) {
    let Some(stack) = Stack::new(kind, arguments, environment) else {
        return;
    };
    let store = backend.store("default").expect("a store");
    let ours = store.read().await.expect("a read").expect("a state");
    stack.run(&["init", "-no-color"]).await;
    let pulled: Json = serde_json::from_str(&stack.run(&["state", "pull"]).await).expect("JSON");
    let ours: Json = serde_json::from_slice(&ours).expect("JSON");
    assert!(pulled["outputs"] == ours["outputs"] && pulled["serial"] == ours["serial"]);
}

/// Each tool lists the other's workspaces, and nothing besides.
async fn share_workspaces(backend: &dyn Backend, stack: &Stack) {
    let names = match backend.workspaces().await {
        Err(BackendError::OneWorkspace) => return,
        found => found.expect("workspaces"),
    };
    assert_eq!(names, ["default"]);
    stack
        .run(&["workspace", "new", "-no-color", "theirs"])
        .await;
    let store = backend.store("ours").expect("a store");
    store
        .write(&crate::state(1, "ours"))
        .await
        .expect("a write");
    store
        .write_beside("journal", b"a journal")
        .await
        .expect("a file");
    assert_eq!(
        backend.workspaces().await.expect("workspaces"),
        ["default", "ours", "theirs"]
    );
    let listed = stack.run(&["workspace", "list", "-no-color"]).await;
    let listed: Vec<&str> = listed
        .lines()
        .map(|line| line.trim_start_matches(['*', ' ']))
        .filter(|l| !l.is_empty())
        .collect();
    assert_eq!(listed, ["default", "ours", "theirs"]);
    stack
        .run(&["workspace", "select", "-no-color", "ours"])
        .await;
    assert!(stack.run(&["output", "-no-color"]).await.contains("ours"));
}
