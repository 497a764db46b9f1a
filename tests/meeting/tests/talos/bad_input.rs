//! Bad input: one diagnostic that says what to do, nothing lost, and nothing sent to a stranger.

use serde_json::{Value as Json, json};
use stead_meeting::talos::{TalosLab, address, plain, would_do};
use stead_sdk::testing::ApplyFailure;
use stead_sdk::value::Diagnostics;

use super::{APPLY, MACHINE, failed};

const BOOTSTRAP: &str = "talos_machine_bootstrap";
/// How a dry run says that the machine has this configuration already.
const HAS_IT: &str = "No changes.";

/// Exactly one error, which holds all of these; and the attribute that it blames.
fn told(failure: &ApplyFailure, parts: &[&str]) -> String {
    told_of(&failure.diagnostics, parts)
}

fn told_of(diagnostics: &Diagnostics, parts: &[&str]) -> String {
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.is_error()).collect();
    let [error] = errors.as_slice() else {
        panic!("{errors:#?}");
    };
    let text = format!("{}: {}", error.summary, error.detail);
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let attribute = error.attribute.as_ref().map(ToString::to_string);
    attribute.unwrap_or_default()
}

/// As `config`, with other members.
fn with(mut config: Json, members: Json) -> Json {
    for (name, value) in members.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

/// A patience of so long for whatever is waited for.
fn patient(config: Json, time: &str) -> Json {
    with(
        config,
        json!({ "timeouts": { "create": time, "update": time } }),
    )
}

fn bootstrap(lab: &TalosLab, number: u8, time: &str) -> Json {
    json!({
        "node": address(number),
        "client_configuration": lab.client_configuration(),
        "timeouts": { "create": time },
    })
}

/// Machines in maintenance mode up to 1.12 refuse in another way than later ones.
#[tokio::test]
async fn a_configuration_for_another_release_is_refused_at_once() {
    let lab = TalosLab::start().await;
    let newest = lab.generated("controlplane", "v1.14").await;
    for (number, version) in [(11, "v1.11.6"), (12, "v1.12.11"), (13, "v1.13.9")] {
        lab.boot(number, version, "").await;
        let parts = [
            "not registered",
            "`talos_version`",
            "boot the machine from an image",
        ];
        let config = lab.of_apply(number, &newest, &[]);
        let failure = lab.apply(APPLY, None, config).await.unwrap_err();
        assert_eq!(told(&failure, &parts), "machine_configuration_input");
        assert!(failure.kept.is_none());
        let config = lab.of_machine(number, &newest, json!({}));
        let failure = lab.apply(MACHINE, None, config).await.unwrap_err();
        assert_eq!(told(&failure, &parts), "machine_configuration");
        assert_eq!(lab.stage(number), "maintenance", "{version}");
        // One in its own form it takes.
        let own = version.rsplit_once('.').unwrap().0;
        let own = lab.generated("controlplane", own).await;
        let applied = lab
            .apply(APPLY, None, lab.of_apply(number, &own, &[]))
            .await;
        applied.unwrap_or_else(|e| panic!("{version}: {}", failed(&e)));
    }
    lab.stop().await;
}

#[tokio::test]
async fn an_address_where_nothing_answers_is_named() {
    let lab = TalosLab::start().await;
    lab.boot(11, "v1.13.9", "").await;
    let text = lab.generated("controlplane", "v1.13").await;
    let config = patient(lab.of_apply(11, &text, &[]), "1s");
    let nowhere = with(config.clone(), json!({ "endpoint": address(99) }));
    let failure = lab.apply(APPLY, None, nowhere).await.unwrap_err();
    told(
        &failure,
        &["10.5.0.99", "`node` and `endpoint`", "port 50000"],
    );
    assert!(failure.kept.is_none());
    assert_eq!(lab.stage(11), "maintenance");
    lab.apply(APPLY, None, lab.of_apply(11, &text, &[]))
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    lab.stop().await;
}

/// In maintenance mode nothing is passed on: whoever answers keeps what it is sent.
#[tokio::test]
async fn an_endpoint_that_leads_to_another_machine_gets_no_configuration() {
    let lab = TalosLab::start().await;
    for version in ["v1.12.11", "v1.13.9"] {
        lab.boot(11, version, "").await;
        lab.boot(12, version, "").await;
        let text = lab.generated("controlplane", "v1.12").await;
        let right = lab.of_apply(11, &text, &[]);
        let wrong = with(right.clone(), json!({ "endpoint": address(12) }));
        let failure = lab.apply(APPLY, None, wrong.clone()).await.unwrap_err();
        let parts = [
            "10.5.0.12:50000",
            "another machine in maintenance mode",
            "Nothing was sent",
        ];
        assert_eq!(told(&failure, &parts), "endpoint");
        assert_eq!([lab.stage(11), lab.stage(12)], ["maintenance"; 2]);
        // The same when the node is configured already.
        lab.apply(APPLY, None, right)
            .await
            .unwrap_or_else(|e| panic!("{}", failed(&e)));
        let failure = lab.apply(APPLY, None, wrong).await.unwrap_err();
        told(&failure, &["configured already at 10.5.0.11:50000"]);
        assert_eq!(lab.stage(12), "maintenance");
        for number in [11, 12] {
            lab.reinstall(number, version).await;
        }
    }
    lab.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_passes_nothing_on_is_told() {
    let lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11, 21], "v1.13.9", "", "v1.34.1").await;
    let text = machines[&11].text("machine_configuration");
    let config = with(
        lab.of_apply(11, &format!("{text}# more\n"), &[]),
        json!({ "endpoint": address(21) }),
    );
    let failure = lab.apply(APPLY, None, config).await.unwrap_err();
    told(
        &failure,
        &[
            "no request forwarding",
            "only control plane nodes pass requests on",
        ],
    );
    lab.stop().await;
}

#[tokio::test]
async fn a_machine_of_another_cluster_gets_nothing() {
    let lab = TalosLab::start().await;
    let theirs = lab.other_secrets().await;
    lab.boot(11, "v1.13.9", "").await;
    let secrets = plain(&theirs, "machine_secrets");
    let text = lab.generated_with(secrets, "controlplane", "v1.13").await;
    let config = with(
        lab.of_apply(11, &text, &[]),
        json!({ "client_configuration": plain(&theirs, "client_configuration") }),
    );
    lab.apply(APPLY, None, config)
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    let ours = lab.generated("controlplane", "v1.13").await;
    let parts = [
        "nor in maintenance mode",
        "check the address and the secrets",
    ];
    for (kind, config) in [
        (APPLY, lab.of_apply(11, &ours, &[])),
        (MACHINE, lab.of_machine(11, &ours, json!({}))),
        (BOOTSTRAP, bootstrap(&lab, 11, "20s")),
    ] {
        let failure = lab.apply(kind, None, config).await.unwrap_err();
        told(&failure, &parts);
    }
    let has = would_do(lab.client_with(&theirs, &address(11)), &text).await;
    assert!(
        has.as_ref().is_ok_and(|said| said.contains(HAS_IT)),
        "{has:?}"
    );
    // Somebody with a certificate of another cluster and the right authority is not let in.
    let mut mixed = lab.client_configuration();
    mixed["ca_certificate"] = plain(&theirs, "client_configuration")["ca_certificate"].clone();
    let config = with(
        bootstrap(&lab, 11, "20s"),
        json!({ "client_configuration": mixed }),
    );
    let failure = lab.apply(BOOTSTRAP, None, config).await.unwrap_err();
    told(&failure, &["does not accept the client certificate"]);
    lab.stop().await;
}

/// A 404 looks to gRPC like a machine that lacks the method, as those in maintenance mode do.
#[tokio::test]
async fn a_web_server_is_no_machine_and_gets_no_secret() {
    let lab = TalosLab::start().await;
    let text = lab.generated("controlplane", "v1.13").await;
    for (number, page) in [(66, ""), (67, "<html>Not found</html>")] {
        let received = lab.web_server(number, page).await;
        for (kind, config) in [
            (APPLY, lab.of_apply(number, &text, &[])),
            (MACHINE, lab.of_machine(number, &text, json!({}))),
            (BOOTSTRAP, bootstrap(&lab, number, "20s")),
        ] {
            let failure = lab.apply(kind, None, config).await.unwrap_err();
            told(&failure, &["a web server and no Talos machine", "the port"]);
        }
        assert!(received.count() > 0);
        for secret in ["machine:", "BEGIN", "aescbc", "token"] {
            assert!(!received.holds(secret), "it got {secret:?}");
        }
    }
    lab.stop().await;
}

#[tokio::test]
async fn nodes_in_the_wrong_state_are_told_and_left_alone() {
    let lab = TalosLab::start().await;
    lab.boot(11, "v1.13.9", "").await;
    // Without a configuration.
    let failure = lab.apply(BOOTSTRAP, None, bootstrap(&lab, 11, "1s")).await;
    told(
        &failure.unwrap_err(),
        &["in maintenance mode", "Its configuration comes first"],
    );
    assert_eq!(lab.stage(11), "maintenance");
    let (machines, _) = lab.cluster(&[11, 21], "v1.13.9", "", "v1.34.1").await;
    // A worker.
    let failure = lab.apply(BOOTSTRAP, None, bootstrap(&lab, 21, "20s")).await;
    let attribute = told(
        &failure.unwrap_err(),
        &["Bootstrap one of the control plane nodes"],
    );
    assert_eq!(attribute, "node");
    // Wiped by somebody: nothing proves which machine it is.
    lab.reinstall(21, "v1.13.9").await;
    let patch = "machine:\n  nodeLabels:\n    a: b\n";
    let other = lab.configuration(21, "v1.34.1", patch).await;
    let config = lab.of_machine(21, &other, json!({}));
    let failure = lab.apply(MACHINE, Some(&machines[&21]), config).await;
    let failure = failure.unwrap_err();
    told(&failure, &["in maintenance mode", "-replace"]);
    assert!(failure.kept.is_some());
    assert_eq!(lab.stage(21), "maintenance");
    let image = json!({ "image": "factory.talos.dev/metal-installer/x:v1.13.10" });
    let config = lab.of_machine(21, &machines[&21].text("machine_configuration"), image);
    let failure = lab.apply(MACHINE, Some(&machines[&21]), config).await;
    told(&failure.unwrap_err(), &["in maintenance mode", "-replace"]);
    assert_eq!(lab.stage(21), "maintenance");
    lab.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_and_then_goes_right() {
    let lab = TalosLab::start().await;
    lab.boot(11, "v1.13.9", "").await;
    let text = lab.configuration(11, "v1.34.1", "").await;
    lab.apply(APPLY, None, lab.of_apply(11, &text, &[]))
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    lab.lasting_fault("talos.clock-skew");
    let failure = lab.apply(BOOTSTRAP, None, bootstrap(&lab, 11, "1s")).await;
    told(
        &failure.unwrap_err(),
        &["time is not in sync yet", "`machine.time.servers`"],
    );
    assert!(lab.members().is_empty());
    lab.mend();
    lab.apply(BOOTSTRAP, None, bootstrap(&lab, 11, "60s"))
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(lab.members(), ["11"]);
    lab.stop().await;
}

#[tokio::test]
async fn certificates_that_ended_are_told_from_wrong_ones() {
    let lab = TalosLab::start().await;
    lab.boot(11, "v1.13.9", "").await;
    let text = lab.configuration(11, "v1.34.1", "").await;
    let applied = lab
        .apply(APPLY, None, lab.of_apply(11, &text, &[]))
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    // The node's own.
    lab.lasting_fault("talos.certificate-expired");
    let more = "machine:\n  nodeLabels:\n    rack: a1\n";
    for (kind, prior, config) in [
        (APPLY, Some(&applied), lab.of_apply(11, &text, &[more])),
        (BOOTSTRAP, None, bootstrap(&lab, 11, "20s")),
    ] {
        let failure = lab.apply(kind, prior, config).await.unwrap_err();
        told(
            &failure,
            &["expired", "Compare the clock of node 10.5.0.11"],
        );
    }
    lab.mend();
    let has = lab.dry_run(11, &text).await;
    assert!(
        has.as_ref().is_ok_and(|said| said.contains(HAS_IT)),
        "{has:?}"
    );
    // The administrator's, where nothing is at hand that could sign a new one.
    let opened = lab
        .open(
            "talos_client_configuration",
            json!({
                "cluster_name": "lab",
                "machine_secrets": lab.machine_secrets(),
                "not_before": "2020-01-01T00:00:00Z",
                "crt_ttl": "24h",
            }),
        )
        .await
        .unwrap();
    let client = opened.get("client_configuration").unwrap();
    let client = stead_sdk::value::json::to_json(&client, &client.ty()).unwrap();
    let config = with(
        bootstrap(&lab, 11, "20s"),
        json!({ "client_configuration": client }),
    );
    let failure = lab.apply(BOOTSTRAP, None, config).await.unwrap_err();
    told(
        &failure,
        &["does not accept the client certificate", "has not expired"],
    );
    assert!(lab.members().is_empty());
    lab.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_no_failure_and_nothing_is_done_twice() {
    let lab = TalosLab::start().await;
    for (number, version) in [(11, "v1.12.11"), (12, "v1.13.9"), (13, "v1.14.0")] {
        lab.boot(number, version, "").await;
        let text = lab.configuration(number, "v1.34.1", "").await;
        lab.fault("talos.apply-reply-lost", 1);
        let made = lab
            .apply(MACHINE, None, lab.of_machine(number, &text, json!({})))
            .await
            .unwrap_or_else(|e| panic!("{version}: {}", failed(&e)));
        assert_eq!(lab.mend(), 0, "{version}: the answer was lost");
        let has = lab.dry_run(number, &text).await;
        assert!(
            has.as_ref().is_ok_and(|s| s.contains(HAS_IT)),
            "{version}: {has:?}"
        );
        assert_eq!(lab.read(MACHINE, &made).await.value, made.value);
        // Up to 1.13 this one restarts, once.
        let patch = "machine:\n  files:\n    - content: a\n      path: /var/a\n      op: create\n";
        let other = lab.configuration(number, "v1.34.1", patch).await;
        let before = lab.boot_id(number).await;
        lab.fault("talos.apply-reply-lost", 1);
        let now = lab
            .apply(
                MACHINE,
                Some(&made),
                lab.of_machine(number, &other, json!({})),
            )
            .await
            .unwrap_or_else(|e| panic!("{version}: {}", failed(&e)));
        assert_eq!(lab.mend(), 0, "{version}: the answer was lost");
        let after = lab.boot_id(number).await;
        assert_eq!(before == after, version == "v1.14.0", "{version}");
        assert_eq!(lab.read(MACHINE, &now).await.value, now.value);
        assert_eq!(lab.boot_id(number).await, after, "{version}");
    }
    lab.stop().await;
}

/// A machine with a leased address, and that address.
async fn leased(lab: &TalosLab, number: u8) -> String {
    lab.boot_leased(number, "v1.13.9").await;
    loop {
        match lab.address_of(number) {
            Some(address) if lab.stage(number) == "maintenance" => return address,
            _ => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
        }
    }
}

#[tokio::test]
async fn an_address_that_a_configuration_gives_is_gone_to() {
    let lab = TalosLab::start().await;
    let lease = leased(&lab, 11).await;
    let patch = "machine:\n  network:\n    interfaces:\n      - interface: eth0\n        addresses: [10.5.0.11/24]\n";
    let text = lab.generated("controlplane", "v1.11").await;
    let config = with(
        lab.of_apply(11, &text, &[patch]),
        json!({ "endpoint": lease }),
    );
    // Also when nobody says that it was taken.
    lab.fault("talos.apply-reply-lost", 1);
    let made = lab
        .apply(APPLY, None, config)
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(lab.mend(), 0);
    assert_eq!(lab.address_of(11).as_deref(), Some("10.5.0.11"));
    assert_eq!(lab.read(APPLY, &made).await.value, made.value);
    lab.stop().await;
}

#[tokio::test]
async fn an_address_that_a_lease_changes_is_told_and_nothing_is_lost() {
    let lab = TalosLab::start().await;
    let lease = leased(&lab, 11).await;
    let text = lab.generated("controlplane", "v1.13").await;
    lab.fault("talos.address-changes", 1);
    let config = with(lab.of_apply(11, &text, &[]), json!({ "node": lease }));
    let impatient = patient(config.clone(), "2s");
    let failure = lab.apply(APPLY, None, impatient).await.unwrap_err();
    told(
        &failure,
        &[&lease, "got another address", "name the new one as `node`"],
    );
    let kept = failure.kept.expect("what was done is kept");
    let now = lab.address_of(11).expect("an address");
    assert_ne!(now, lease);
    let has = would_do(lab.client_at(&now), &text).await;
    assert!(
        has.as_ref().is_ok_and(|said| said.contains(HAS_IT)),
        "{has:?}"
    );
    let config = with(config, json!({ "node": now, "endpoint": now }));
    let made = lab
        .apply(APPLY, Some(&kept), config)
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(lab.read(APPLY, &made).await.value, made.value);
    lab.stop().await;
}

#[tokio::test]
async fn two_members_of_etcd_are_not_restarted_and_one_of_them_may_go() {
    let mut lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11, 12], "v1.13.9", "", "v1.34.1").await;
    let patch = "machine:\n  files:\n    - content: a\n      path: /var/a\n      op: create\n";
    let other = lab.configuration(11, "v1.34.1", patch).await;
    let before = lab.boot_id(11).await;
    let failure = lab
        .apply(
            MACHINE,
            Some(&machines[&11]),
            lab.of_machine(11, &other, json!({})),
        )
        .await
        .unwrap_err();
    told(
        &failure,
        &[
            "etcd has two members",
            "Add a third control plane node first",
        ],
    );
    let kept = failure.kept.expect("the machine stays in the state");
    assert_eq!(
        kept.text("machine_configuration"),
        machines[&11].text("machine_configuration")
    );
    let has = lab
        .dry_run(11, &machines[&11].text("machine_configuration"))
        .await;
    assert!(
        has.as_ref().is_ok_and(|said| said.contains(HAS_IT)),
        "{has:?}"
    );
    assert_eq!(lab.boot_id(11).await, before);
    // The remedy works: without the second one, the first restarts.
    let wish = json!({ "on_destroy": { "reset": true, "graceful": true, "reboot": true } });
    let text = machines[&12].text("machine_configuration");
    let going = lab
        .apply(
            MACHINE,
            Some(&machines[&12]),
            lab.of_machine(12, &text, wish),
        )
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    lab.another_run().await;
    lab.provider.delete(MACHINE, &going).await.unwrap();
    assert_eq!(lab.members(), ["11"]);
    lab.apply(MACHINE, Some(&kept), lab.of_machine(11, &other, json!({})))
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_ne!(lab.boot_id(11).await, before);
    lab.stop().await;
}
