//! States that lie elsewhere: the backend `http` here, the others in `tests/real`.

use crate::env::TestEnv;
use crate::state_server::StateServer;

const DATA: &str = "resource \"terraform_data\" \"a\" {\n  input = \"one\"\n}\noutput \"o\" {\n  value = terraform_data.a.output\n}\n";

fn stack(server: &StateServer) -> TestEnv {
    let env = TestEnv::new(&[("main.tf", DATA), ("backend.tf", &server.backend())]);
    let said = env.ok(&["init"]);
    assert!(
        said.contains("Successfully configured the backend \"http\"!"),
        "{said}"
    );
    env
}

#[test]
fn a_stack_lives_in_a_remote_state() {
    let server = StateServer::start();
    let env = stack(&server);
    env.ok(&["apply", "-auto-approve"]);
    assert_eq!(server.state()["resources"][0]["name"], "a");
    assert!(server.with(|kept| kept.lock.is_none()), "the lock stays");
    assert!(!env.path().join("terraform.tfstate").exists());
    // Nothing of the journal stays on this machine; the history does, for which the server has no room.
    let kept = std::fs::read_dir(env.path().join(".stead/journal")).expect("the history");
    let kept: Vec<_> = kept.map(|e| e.expect("an entry").path()).collect();
    assert!(
        kept.iter()
            .all(|path| path.extension().is_some_and(|e| e == "history")),
        "{kept:?}"
    );

    assert_eq!(env.stead(&["plan", "-detailed-exitcode"]).code, 0);
    assert_eq!(env.ok(&["output", "-raw", "o"]), "one");
    assert_eq!(env.ok(&["state", "list"]).trim(), "terraform_data.a");
    env.ok(&["state", "mv", "terraform_data.a", "terraform_data.b"]);
    assert_eq!(server.state()["resources"][0]["name"], "b");
    let pulled = env.ok(&["state", "pull"]);
    env.write("pulled.tfstate", &pulled);
    env.ok(&["state", "rm", "terraform_data.b"]);
    env.ok(&["state", "push", "-force", "pulled.tfstate"]);
    assert_eq!(env.ok(&["state", "list"]).trim(), "terraform_data.b");
    // A file of the arguments is readable by its owner only: some are secrets.
    use std::os::unix::fs::PermissionsExt as _;
    let record = std::fs::metadata(env.path().join(".terraform/terraform.tfstate"));
    assert_eq!(
        record.expect("a record").permissions().mode() & 0o777,
        0o600
    );

    let listed = env.fails(&["workspace", "list"]);
    assert!(listed.contains("workspaces not supported"), "{listed}");
}

#[test]
fn who_holds_the_lock_is_named_and_can_be_put_out() {
    let server = StateServer::start();
    let env = stack(&server);
    let note = r#"{"ID":"4711","Operation":"OperationTypeApply","Info":"","Who":"ann@desk","Version":"1.11.4","Created":"2026-11-29T10:00:00Z","Path":""}"#;
    server.with(|kept| kept.lock = Some(note.into()));
    let refused = env.fails(&["apply", "-auto-approve"]);
    let refused: Vec<&str> = refused.split_whitespace().collect();
    let refused = refused.join(" ");
    for part in [
        "Error acquiring the state lock",
        "4711",
        "ann@desk",
        "2026-11-29",
        "on the machine of ann@desk",
        "`stead force-unlock 4711`",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(server.with(|kept| kept.state.is_none()));
    // Looking at it needs no lock.
    env.stead(&["plan", "-lock=false"]);
    let wrong = env.fails(&["force-unlock", "-force", "815"]);
    assert!(wrong.contains("Failed to unlock state"), "{wrong}");
    let done = env.ok(&["force-unlock", "-force", "4711"]);
    assert!(done.contains("has been successfully unlocked"), "{done}");
    env.ok(&["apply", "-auto-approve"]);
}

#[test]
fn a_state_that_cannot_be_delivered_is_delivered_by_the_next_run() {
    let server = StateServer::start();
    let env = TestEnv::new(&[
        (
            "main.tf",
            "resource \"local_file\" \"a\" {\n  filename = \"out/a\"\n  source   = \"gate\"\n}\n",
        ),
        ("backend.tf", &server.backend()),
    ]);
    env.ok(&["init"]);
    let status = std::process::Command::new("mkfifo")
        .arg(env.path().join("gate"))
        .status();
    assert!(status.expect("mkfifo").success());
    std::thread::scope(|scope| {
        let apply = scope.spawn(|| env.fails(&["apply", "-auto-approve"]));
        // The apply reads the gate when it has begun to make the file: from then on the server takes nothing.
        let gate = std::fs::OpenOptions::new()
            .write(true)
            .open(env.path().join("gate"));
        let mut gate = gate.expect("a reader");
        server.with(|kept| kept.refuses_writes = Some(507));
        std::io::Write::write_all(&mut gate, b"x").expect("written");
        drop(gate);
        let failed = apply.join().expect("the end of the apply");
        assert!(
            failed.contains("Failed to save state") && failed.contains("507"),
            "{failed}"
        );
        assert!(failed.contains("errored.tfstate"), "{failed}");
    });
    assert!(env.read("errored.tfstate").contains("local_file"));
    server.with(|kept| kept.refuses_writes = None);
    std::fs::remove_file(env.path().join("gate")).expect("the pipe");
    env.write("gate", "x");
    let next = env.stead(&["apply", "-auto-approve"]);
    assert_eq!(next.code, 0, "{}{}", next.stdout, next.stderr);
    assert!(
        next.stderr
            .contains("One change that it had made is recorded now"),
        "{}",
        next.stderr
    );
    assert!(
        next.stdout.contains("0 added, 0 changed, 0 destroyed"),
        "{}",
        next.stdout
    );
    assert_eq!(server.state()["resources"][0]["type"], "local_file");
}

#[test]
fn states_are_taken_along_from_one_backend_to_another() {
    let server = StateServer::start();
    let env = TestEnv::new(&[("main.tf", DATA)]);
    env.ok(&["apply", "-auto-approve"]);
    let lineage = env.state()["lineage"].clone();
    env.write("backend.tf", &server.backend());
    let refused = env.fails(&["plan"]);
    assert!(
        refused.contains("Initial configuration of the requested backend \"http\""),
        "{refused}"
    );
    env.ok(&["init", "-force-copy"]);
    assert_eq!(server.state()["lineage"], lineage);
    assert_eq!(env.stead(&["plan", "-detailed-exitcode"]).code, 0);
    // And back to a file.
    std::fs::remove_file(env.path().join("backend.tf")).expect("removed");
    std::fs::remove_file(env.path().join("terraform.tfstate")).expect("removed");
    let refused = env.fails(&["init"]);
    assert!(refused.contains("-migrate-state"), "{refused}");
    let said = env.ok(&["init", "-migrate-state", "-force-copy"]);
    assert!(said.contains("unset the backend \"http\""), "{said}");
    assert_eq!(env.state()["lineage"], lineage);
    assert_eq!(env.stead(&["plan", "-detailed-exitcode"]).code, 0);
}

#[test]
fn another_stack_reads_the_outputs() {
    let server = StateServer::start();
    stack(&server).ok(&["apply", "-auto-approve"]);
    let address = server.backend();
    let address = address.split('"').nth(3).expect("the address");
    let reader = |config: &str| {
        TestEnv::new(&[(
            "main.tf",
            &format!(
                "data \"terraform_remote_state\" \"s\" {{\n  backend = \"http\"\n  config = {config}\n}}\noutput \"seen\" {{\n  value = data.terraform_remote_state.s.outputs.o\n}}\n"
            ),
        )])
    };
    let env = reader(&format!("{{ address = \"{address}\" }}"));
    env.ok(&["apply", "-auto-approve"]);
    assert_eq!(env.ok(&["output", "-raw", "seen"]), "one");
    let wrong = reader("{ adress = \"x\" }").fails(&["plan"]);
    assert!(wrong.contains("attribute \"adress\""), "{wrong}");
}
