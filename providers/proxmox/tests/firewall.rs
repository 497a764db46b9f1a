//! The firewall of the cluster, of nodes and of guests, through its life.

mod fake;
mod life;

use fake::Fake;
use life::{Life, provider};
use serde_json::{Value as Json, json};
use stead_sdk::testing::{Harness, Stored};

#[tokio::test]
async fn aliases() {
    let life = Life {
        type_name: "proxmox_virtual_environment_firewall_alias",
        at: "/nodes/pve/qemu/100/firewall/aliases/lan",
        id: "lan",
        made: json!({ "node_name": "pve", "vm_id": 100, "name": "lan", "cidr": "10.0.0.0/24", "comment": "home" }),
        sent: "cidr=10.0.0.0/24&comment=home&name=lan",
        changed: json!({ "node_name": "pve", "vm_id": 100, "name": "lan", "cidr": "10.0.0.0/24" }),
        sent_then: "cidr=10.0.0.0/24&delete=comment",
        drift: ("cidr", "10.0.1.0/24", "cidr"),
        unknown_to_import: &["vm_id", "node_name"],
    };
    // An identifier without a place is one of the cluster.
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let imported = proxmox
        .import(life.type_name, "vm/pve/100/lan")
        .await
        .unwrap();
    assert_eq!(imported.attribute("vm_id").as_i64(), Some(100));
    assert_eq!(imported.text("name"), "lan");
    let made = proxmox
        .apply(life.type_name, None, life.made.clone())
        .await
        .unwrap();
    assert_eq!(made.text("id"), "lan");
    let renamed = json!({ "node_name": "pve", "vm_id": 100, "name": "net", "cidr": "10.0.0.0/24", "comment": "home" });
    let renamed = proxmox
        .apply(life.type_name, Some(&made), renamed)
        .await
        .unwrap();
    assert_eq!(renamed.text("id"), "net");
    let sent = &fake.changes("PUT", life.at)[0];
    assert_eq!(
        (sent["rename"].as_str(), sent["cidr"].as_str()),
        ("net", "10.0.0.0/24")
    );
}

#[tokio::test]
async fn aliases_and_sets_do_not_belong_to_nodes() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    for kind in ["alias", "ipset"] {
        let name = format!("proxmox_virtual_environment_firewall_{kind}");
        let config = match kind {
            "alias" => json!({ "node_name": "pve", "name": "lan", "cidr": "10.0.0.0/24" }),
            _ => json!({ "node_name": "pve", "name": "lan" }),
        };
        let refused = proxmox.apply(&name, None, config).await.unwrap_err();
        assert!(
            format!("{refused:?}").contains("set `vm_id` or `container_id`"),
            "{refused:?}"
        );
    }
}

/// Null and "" are the same in the state of an older type: what counts is that there is nothing to do.
async fn is_unchanged(proxmox: &Harness, name: &str, read: &Stored, config: Json) {
    let config = proxmox.config(name, config).unwrap();
    let plan = proxmox.plan(name, Some(read), &config).await.unwrap();
    assert_eq!(plan.planned, read.value, "{name}");
}

/// Rules as they are on the server: what tells them apart, in their order.
fn ports(fake: &Fake, at: &str) -> Vec<String> {
    let state = fake.state.lock().unwrap();
    let rules = state.rules.get(at).into_iter().flatten();
    rules
        .map(|rule| {
            format!(
                "{}:{}",
                rule["action"],
                rule.get("dport").map_or("", String::as_str)
            )
        })
        .collect()
}

fn accept(ports: &[&str]) -> Vec<Json> {
    ports
        .iter()
        .map(|port| json!({ "type": "in", "action": "ACCEPT", "dport": port, "proto": "tcp" }))
        .collect()
}

#[tokio::test]
async fn rules_become_others_with_no_more_requests_than_needed() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_firewall_rules";
    let at = "/nodes/pve/lxc/101/firewall/rules";
    let config =
        |rules: Vec<Json>| json!({ "node_name": "pve", "container_id": 101, "rule": rules });
    let mut known = None;
    // The numbers of new, changed or moved, and deleted rules.
    let steps: [(&[&str], [usize; 3]); 7] = [
        (&["22", "80", "443"], [3, 0, 0]),
        (&["22", "80", "443"], [0, 0, 0]),
        (&["443", "22", "80"], [0, 1, 0]),
        (&["443", "22", "8080"], [0, 1, 0]),
        (&["443", "22"], [0, 0, 1]),
        (&["443", "53", "22"], [1, 1, 0]),
        (&["1", "443", "2", "22"], [1, 1, 0]),
    ];
    for (wanted, counts) in steps {
        fake.state.lock().unwrap().changes.clear();
        let made = proxmox
            .apply(name, known.as_ref(), config(accept(wanted)))
            .await
            .unwrap();
        let there: Vec<_> = wanted.iter().map(|port| format!("ACCEPT:{port}")).collect();
        assert_eq!(ports(&fake, at), there);
        {
            let state = fake.state.lock().unwrap();
            let count = |method: &str| state.changes.iter().filter(|c| c.0 == method).count();
            let sent = ["POST", "PUT", "DELETE"].map(count);
            assert_eq!(sent, counts, "{wanted:?}");
        }
        let read = proxmox.read(name, &made).await.unwrap().unwrap();
        is_unchanged(&proxmox, name, &read, config(accept(wanted))).await;
        known = Some(read);
    }
    let last = known.unwrap();
    assert_eq!(last.text("id"), "rule-340604837");
    let imported = proxmox.import(name, "container/pve/101").await.unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    let wanted = config(accept(&["1", "443", "2", "22"]));
    is_unchanged(&proxmox, name, &imported, wanted).await;
    proxmox.delete(name, &last).await.unwrap();
    assert!(ports(&fake, at).is_empty());
}

#[tokio::test]
async fn rules_that_are_there_already_are_not_swept_away() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_firewall_rules";
    let first = json!({ "rule": accept(&["22"]) });
    proxmox.apply(name, None, first.clone()).await.unwrap();
    let refused = proxmox.apply(name, None, first).await.unwrap_err();
    assert!(
        format!("{refused:?}").contains("Import them as `cluster`"),
        "{refused:?}"
    );
    assert_eq!(ports(&fake, "/cluster/firewall/rules"), ["ACCEPT:22"]);
}

#[tokio::test]
async fn a_rule_has_a_group_or_an_action_and_a_type() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    for wrong in [
        json!({ "action": "ACCEPT" }),
        json!({}),
        json!({ "security_group": "web", "action": "DROP", "type": "in" }),
    ] {
        let config = json!({ "rule": [wrong] });
        let refused = proxmox
            .apply("proxmox_virtual_environment_firewall_rules", None, config)
            .await;
        assert!(format!("{:?}", refused.unwrap_err()).contains("either a `security_group`"));
    }
}

#[tokio::test]
async fn security_groups() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_cluster_firewall_security_group";
    let config = json!({ "name": "web", "comment": "servers", "rule": accept(&["80", "443"]) });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(
        ports(&fake, "/cluster/firewall/groups/web"),
        ["ACCEPT:80", "ACCEPT:443"]
    );
    let read = proxmox.read(name, &made).await.unwrap().unwrap();
    is_unchanged(&proxmox, name, &read, config.clone()).await;
    let imported = proxmox.import(name, "web").await.unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    is_unchanged(&proxmox, name, &imported, config).await;
    let renamed = json!({ "name": "www", "comment": "all", "rule": accept(&["443"]) });
    let renamed = proxmox.apply(name, Some(&read), renamed).await.unwrap();
    assert_eq!(renamed.text("id"), "www");
    assert_eq!(ports(&fake, "/cluster/firewall/groups/www"), ["ACCEPT:443"]);
    let read = proxmox.read(name, &renamed).await.unwrap().unwrap();
    assert_eq!(read.text("comment"), "all");
    let user = json!({ "rule": [{ "security_group": "www", "iface": "net0" }] });
    let uses = proxmox
        .apply(
            "proxmox_virtual_environment_firewall_rules",
            None,
            user.clone(),
        )
        .await
        .unwrap();
    let rule = fake.state.lock().unwrap().rules["/cluster/firewall/rules"][0].clone();
    assert_eq!(
        (rule["type"].as_str(), rule["action"].as_str()),
        ("group", "www")
    );
    let read = proxmox
        .read("proxmox_virtual_environment_firewall_rules", &uses)
        .await
        .unwrap()
        .unwrap();
    is_unchanged(
        &proxmox,
        "proxmox_virtual_environment_firewall_rules",
        &read,
        user,
    )
    .await;
    proxmox.delete(name, &renamed).await.unwrap();
    assert!(proxmox.read(name, &renamed).await.unwrap().is_none());
}

#[tokio::test]
async fn sets_change_member_by_member_and_their_order_is_no_difference() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_firewall_ipset";
    let config = |members: Json| json!({ "name": "local", "comment": "all", "cidr": members });
    let first =
        config(json!([{ "name": "10.0.1.0/24" }, { "name": "10.0.0.0/24", "nomatch": true }]));
    let made = proxmox.apply(name, None, first.clone()).await.unwrap();
    let read = proxmox.read(name, &made).await.unwrap().unwrap();
    assert_eq!(read.value, made.value);
    let then =
        config(json!([{ "name": "10.0.0.0/24", "comment": "x" }, { "name": "10.0.2.0/24" }]));
    fake.state.lock().unwrap().changes.clear();
    let changed = proxmox.apply(name, Some(&read), then).await.unwrap();
    let changes: Vec<_> = fake
        .state
        .lock()
        .unwrap()
        .changes
        .iter()
        .map(|c| format!("{} {}", c.0, c.1))
        .collect();
    assert_eq!(
        changes,
        [
            "DELETE /cluster/firewall/ipset/local/10.0.1.0%2F24",
            "PUT /cluster/firewall/ipset/local/10.0.0.0%2F24",
            "POST /cluster/firewall/ipset/local",
        ]
    );
    let read = proxmox.read(name, &changed).await.unwrap().unwrap();
    assert_eq!(read.value, changed.value);
    let imported = proxmox.import(name, "cluster/local").await.unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    assert_eq!(imported.attribute("cidr").as_sequence().unwrap().len(), 2);
    proxmox.delete(name, &changed).await.unwrap();
    assert!(proxmox.read(name, &changed).await.unwrap().is_none());
}

#[tokio::test]
async fn options_of_cluster_node_and_guest() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let cases = [
        (
            "proxmox_virtual_environment_cluster_firewall",
            "/cluster/firewall/options",
            json!({ "enabled": true, "log_ratelimit": [{ "burst": 10 }] }),
            "ebtables=0&enable=1&log_ratelimit=burst=10,enable=1,rate=1/second&policy_forward=ACCEPT&policy_in=DROP&policy_out=ACCEPT",
            "cluster-firewall",
            "example",
        ),
        (
            "proxmox_virtual_environment_firewall_options",
            "/nodes/pve/qemu/100/firewall/options",
            json!({ "node_name": "pve", "vm_id": 100, "enabled": true }),
            "dhcp=0&enable=1&log_level_in=nolog&log_level_out=nolog&macfilter=1&ndp=0&policy_in=DROP&policy_out=ACCEPT&radv=1",
            "options-1713300321",
            "vm/pve/100",
        ),
        (
            "proxmox_node_firewall",
            "/nodes/pve/firewall/options",
            json!({ "node_name": "pve", "log_level_in": "info" }),
            "enable=1&log_level_forward=nolog&log_level_in=info&log_level_out=nolog&ndp=1&nf_conntrack_max=262144\
             &nf_conntrack_tcp_timeout_established=432000&nftables=0&nosmurfs=1&smurf_log_level=nolog&tcp_flags_log_level=nolog",
            "pve",
            "pve",
        ),
    ];
    for (name, at, config, sent, id, import) in cases {
        let made = proxmox.apply(name, None, config.clone()).await.unwrap();
        let put = &fake.changes("PUT", at)[0];
        let pairs: Vec<_> = put.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs.join("&"), sent);
        assert_eq!(made.text("id"), id);
        let read = proxmox.read(name, &made).await.unwrap().unwrap();
        assert_eq!(read.value, made.value, "{name}");
        let imported = proxmox.import(name, import).await.unwrap();
        let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
        assert_eq!(imported.text("id"), id);
        proxmox.delete(name, &made).await.unwrap();
    }
    // Those of a node go back to what they were.
    assert_eq!(fake.changes("PUT", "/nodes/pve/firewall/options").len(), 2);
    assert_eq!(fake.changes("PUT", "/cluster/firewall/options").len(), 1);
}
