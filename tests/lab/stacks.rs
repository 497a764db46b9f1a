//! Both stacks: built, unchanged at the second look, taken down to nothing.

use crate::env::{Stack, empty_inventory, text, words};

/// Bootstrap, plan without changes, destroy, and an empty lab.
fn whole_life(name: &'static str, check: impl Fn(&Stack, &str)) {
    let stack = Stack::copy(name);
    let report = stack.bootstrap();
    assert!(report.contains("== Report"), "{report}");
    assert!(report.contains("Git owns now"), "{report}");
    let plan = stack.in_lab(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    assert!(text(&plan).contains("No changes."), "{}", text(&plan));
    check(&stack, &report);
    let destroy = stack.in_lab(&["destroy", "-auto-approve"]);
    assert!(destroy.status.success(), "{}", text(&destroy));
    assert_eq!(stack.inventory(), empty_inventory());
}

#[test]
fn talos_on_proxmox() {
    whole_life("talos-proxmox", |stack, report| {
        assert!(report.contains("Kubeconfig"), "{report}");
        // A worker's memory and nothing else.
        let variables = stack.folder().join("variables.tf");
        let before = std::fs::read_to_string(&variables).expect("variables.tf");
        let after = before.replacen("memory = 6144", "memory = 7168", 1);
        assert_ne!(before, after, "a worker with 6144 MB");
        std::fs::write(&variables, after).expect("variables.tf");
        let plan = stack.in_lab(&["plan", "-detailed-exitcode"]);
        std::fs::write(&variables, before).expect("variables.tf");
        assert_eq!(plan.status.code(), Some(2), "{}", text(&plan));
        let shown = words(&text(&plan));
        assert!(
            shown.contains("Plan: 0 to add, 1 to change, 0 to destroy."),
            "{shown}"
        );
        assert!(shown.contains("dedicated = 6144 -> 7168"), "{shown}");
    });
}

#[test]
fn microk8s_with_azure() {
    whole_life("microk8s-azure", |_, _| {});
}
