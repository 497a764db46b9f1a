//! A Talos cluster of three control planes and five workers goes through two minor releases of Talos and one of Kubernetes, with
//! things going wrong, while a client asks its API once a second.

use std::path::Path;
use std::process::Output;

use crate::env::{Stack, text, words};

struct Cluster(Stack);

impl Cluster {
    fn fault(&self, fault: &str) {
        let output = self.0.lab(&["fault", fault]);
        assert!(output.status.success(), "{}", text(&output));
    }

    /// An apply that takes its time, with a client beside it.
    fn apply(&self, variables: &[&str]) -> Output {
        let mut arguments = vec!["apply", "-auto-approve", "-no-color"];
        for variable in variables {
            arguments.extend(["-var", variable]);
        }
        let output = self
            .0
            .paced("0.05", &["sh", "upgrade/watched.sh"], &arguments);
        let asked = std::fs::read_to_string(self.0.folder().join("asked.log"));
        let asked = asked.expect("what the client got");
        // At least one answer, and no failure.
        assert!(asked.starts_with("ok\n"), "{asked}");
        assert!(asked.lines().all(|line| line == "ok"), "{asked}");
        output
    }

    fn succeeds(&self, variables: &[&str]) -> String {
        let output = self.apply(variables);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    fn fails(&self, variables: &[&str], parts: &[&str]) {
        let output = self.apply(variables);
        let shown = words(&text(&output));
        assert_eq!(output.status.code(), Some(1), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
    }
}

#[test]
fn a_cluster_is_upgraded_while_its_api_answers() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/lab");
    let cluster = Cluster(Stack::copy_of(&here, "upgrade"));
    cluster.fault("talos.apply-reply-lost*2");
    let made = cluster.0.in_lab(&["apply", "-auto-approve", "-no-color"]);
    assert!(made.status.success(), "{}", text(&made));

    // An image that cannot be pulled at first is asked for again.
    cluster.fault("talos.pull-fails.work-3*1");
    let said = cluster.succeeds(&["talos=v1.13.9"]);
    assert!(
        said.contains("talos_machine.worker: Step 2 of 3 done"),
        "{said}"
    );

    // The first upgrade that is tried fails: the others are not begun, nor is that of Kubernetes.
    let next = ["talos=v1.14.0", "kubernetes=v1.36.3"];
    cluster.fault("talos.upgrade-fails*1");
    cluster.fails(
        &next,
        &[
            "the installer ended with code 1",
            "this one was not begun",
            "The next run goes on where this one stopped.",
        ],
    );
    let said = cluster.succeeds(&next);
    assert!(
        said.contains("talos_cluster.this: Modifications complete"),
        "{said}"
    );

    // A machine that does not come back: its update ends, the workers are left alone, and the next run goes on.
    let last = ["talos=v1.14.1", "kubernetes=v1.36.3"];
    cluster.fault("talos.reboot-hangs.cp-2*1");
    let mut impatient = last.to_vec();
    impatient.push("patience=30s");
    cluster.fails(
        &impatient,
        &["Could not wait for node 10.25.150.13 to be back"],
    );
    let said = cluster.succeeds(&last);
    assert!(
        said.contains("talos_machine.worker: Step 3 of 3 done"),
        "{said}"
    );
    let mut plan = vec!["plan", "-detailed-exitcode"];
    plan.extend(last.iter().flat_map(|variable| ["-var", variable]));
    let plan = cluster.0.in_lab(&plan);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    let mut destroy = vec!["destroy", "-auto-approve"];
    destroy.extend(last.iter().flat_map(|variable| ["-var", variable]));
    let destroy = cluster.0.in_lab(&destroy);
    assert!(destroy.status.success(), "{}", text(&destroy));
}
