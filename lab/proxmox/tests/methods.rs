//! Every method of the published contract, asked for once: it does something, says what is wrong, or says 501 by name.

mod common;

use common::Cluster;
use serde_json::Value;
use stead_lab_proxmox::Options;

const CONTRACT: &str = include_str!("../tables/api-9.2.json");
const REFUSED: &str = include_str!("../tables/refused.txt");

/// A path with something plausible for each parameter; also what it is called when it is refused.
fn filled(path: &str) -> (String, String) {
    let value = |name: &str| match name {
        "node" => "abel",
        "vmid" => "100",
        "storage" => "local",
        "upid" => "UPID:abel:00000001:00000001:00000001:none:1:root@pam:",
        "volume" => "local:iso/none.iso",
        "userid" => "root@pam",
        "sid" => "vm:100",
        "pos" | "osdid" | "order" => "0",
        "cidr" => "10.0.0.1",
        _ => "none",
    };
    let fill = |part: &str| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        Some(name) => value(name).to_owned(),
        None => part.to_owned(),
    };
    let whole: Vec<String> = path.split('/').map(fill).collect();
    (whole.join("/"), path.replace("{node}", "abel"))
}

#[tokio::test]
async fn each_does_something_or_says_what_it_does_not() {
    let contract: Value = serde_json::from_str(CONTRACT).unwrap();
    let cluster = Cluster::new().await;
    cluster
        .task("POST", "/nodes/abel/qemu", "vmid=100&memory=512")
        .await;
    let root = cluster.login("root@pam", Options::ROOT_PASSWORD).await;
    let mut asked_for = 0;
    for method in contract["methods"].as_array().unwrap() {
        let (verb, path) = (method[0].as_str().unwrap(), method[1].as_str().unwrap());
        asked_for += 1;
        let (asked, named) = filled(path);
        // Only looking is done in earnest; anything else is refused for a parameter that nobody knows.
        let form = if verb == "GET" {
            ""
        } else {
            "no-such-parameter=1"
        };
        let answer = root.call(verb, &asked, form).await;
        let shown = format!("{verb} {path}: {} {}", answer.status, answer.reason);
        match answer.status {
            200 => {}
            501 => {
                let text = format!("Method '{verb} {named}' not implemented");
                assert_eq!(answer.reason, text, "{shown}");
                assert!(
                    REFUSED.lines().any(|line| line == format!("{verb} {path}")),
                    "{shown}"
                );
            }
            400 | 403 | 404 | 500 => {
                assert!(!answer.reason.is_empty(), "{shown}");
                assert!(
                    answer.body["message"].is_string(),
                    "{shown}: {}",
                    answer.body
                );
                assert!(!answer.reason.contains("no such file"), "{shown}");
            }
            _ => panic!("{shown}"),
        }
    }
    assert_eq!(asked_for, 675);
}
