//! The firewall at its levels: options, rules, aliases, sets, groups.

mod common;

use common::Cluster;
use serde_json::{Value, json};
use stead_lab_proxmox::Options;

/// The comments of a list of rules, in their order.
async fn comments(cluster: &Cluster, path: &str) -> Vec<String> {
    let rules = cluster.root("GET", path, "").await.data();
    let rules = rules.as_array().unwrap().iter().enumerate();
    rules
        .map(|(at, rule)| {
            assert_eq!(rule["pos"], at);
            rule["comment"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn rules_come_first_move_and_go_at_every_level() {
    let cluster = Cluster::new().await;
    cluster
        .root(
            "POST",
            "/cluster/firewall/groups",
            "group=web&comment=servers",
        )
        .await
        .data();
    for place in [
        "/cluster/firewall/rules",
        "/nodes/abel/firewall/rules",
        "/nodes/abel/qemu/100/firewall/rules",
        "/nodes/abel/lxc/101/firewall/rules",
        "/cluster/firewall/groups/web",
    ] {
        for name in ["a", "b", "c"] {
            let form = format!("type=in&action=ACCEPT&proto=tcp&dport=22&comment={name}&enable=1");
            cluster.root("POST", place, &form).await.data();
        }
        assert_eq!(comments(&cluster, place).await, ["c", "b", "a"], "{place}");
        cluster
            .root("PUT", &format!("{place}/0"), "moveto=2")
            .await
            .data();
        assert_eq!(
            comments(&cluster, place).await,
            ["b", "c", "a"],
            "the target is a place in the old list"
        );
        cluster
            .root("PUT", &format!("{place}/2"), "moveto=0")
            .await
            .data();
        assert_eq!(comments(&cluster, place).await, ["a", "b", "c"]);
        let rule = cluster.root("GET", &format!("{place}/1"), "").await.data();
        assert_eq!(
            (&rule["enable"], &rule["dport"], &rule["pos"]),
            (&json!(1), &json!("22"), &json!("1"))
        );
        let digest = rule["digest"].as_str().unwrap().to_owned();
        cluster
            .root("PUT", &format!("{place}/1"), "enable=0&delete=dport,proto")
            .await
            .data();
        let rule = cluster.root("GET", &format!("{place}/1"), "").await.data();
        assert_eq!((&rule["enable"], rule.get("dport")), (&json!(0), None));
        let stale = cluster
            .root("DELETE", &format!("{place}/1"), &format!("digest={digest}"))
            .await;
        assert_eq!(
            stale.reason,
            "detected modified configuration - file changed by other user? Try again."
        );
        cluster
            .root("DELETE", &format!("{place}/1"), "")
            .await
            .data();
        assert_eq!(comments(&cluster, place).await, ["a", "c"]);
        let none = cluster.root("GET", &format!("{place}/7"), "").await;
        assert_eq!(
            (none.status, none.reason.as_str()),
            (500, "no rule at position 7")
        );
    }
    let full = cluster
        .root("DELETE", "/cluster/firewall/groups/web", "")
        .await;
    assert_eq!(full.reason, "Security group 'web' is not empty");
    let cluster = cluster.restarted().await;
    assert_eq!(
        comments(&cluster, "/nodes/abel/qemu/100/firewall/rules").await,
        ["a", "c"]
    );
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused_by_parameter() {
    let cluster = Cluster::new().await;
    let vm = "/nodes/abel/qemu/100/firewall/rules";
    let cases = [
        (
            vm,
            "type=forward&action=ACCEPT",
            "type",
            "invalid rule type 'forward' for rule_env 'vm'",
        ),
        (vm, "type=in&action=PASS", "action", "unknown action 'PASS'"),
        (
            vm,
            "type=in&action=DROP&iface=eth0",
            "iface",
            "value does not match the regex pattern 'net\\d+'",
        ),
        (
            vm,
            "type=in&action=DROP&macro=Nothing",
            "macro",
            "unknown macro 'Nothing'",
        ),
        (
            vm,
            "type=in&action=DROP&macro=SSH&dport=23&proto=tcp",
            "dport",
            "parameter 'dport' already define in macro (value = '22')",
        ),
        (
            vm,
            "type=in&action=DROP&dport=22",
            "proto",
            "missing property - 'dport' requires this property",
        ),
        (
            vm,
            "type=in&action=DROP&proto=tcp&dport=70000",
            "dport",
            "invalid port '70000'",
        ),
        (
            vm,
            "type=in&action=DROP&proto=tcp&dport=90:80",
            "dport",
            "backwards range '90:80' not allowed, did you mean '80:90'?",
        ),
        (
            vm,
            "type=in&action=DROP&proto=esp&dport=22",
            "dport",
            "protocol 'esp' does not support ports",
        ),
        (
            vm,
            "type=in&action=DROP&proto=nonsense",
            "proto",
            "unknown protocol 'nonsense'",
        ),
        (
            vm,
            "type=in&action=DROP&source=10.0.0.0/8,fd00::/8",
            "source",
            "detected mixed ipv4/ipv6 addresses in address list '10.0.0.0/8,fd00::/8'",
        ),
        (
            vm,
            "type=in&action=DROP&source=%2Bnowhere",
            "source",
            "no such ipset 'nowhere'",
        ),
        (
            vm,
            "type=in&action=DROP&dest=nobody",
            "dest",
            "no such alias 'nobody'",
        ),
        (
            vm,
            "type=in&action=DROP&proto=icmp&icmp-type=no-route",
            "icmp-type",
            "invalid icmp-type 'no-route' for proto 'icmp'",
        ),
        (
            "/cluster/firewall/rules",
            "type=forward&action=REJECT",
            "action",
            "cannot define REJECT rules on forward chain",
        ),
    ];
    for (path, form, name, text) in cases {
        let answer = cluster.root("POST", path, form).await;
        assert_eq!(
            (answer.status, &answer.body["errors"][name]),
            (400, &json!(text)),
            "{form}"
        );
    }
    cluster
        .root(
            "POST",
            vm,
            "type=in&action=ACCEPT&macro=ssh&source=10.0.0.1-10.0.0.9",
        )
        .await
        .data();
    let rule = cluster.root("GET", &format!("{vm}/0"), "").await.data();
    assert_eq!(
        (&rule["macro"], &rule["ipversion"], &rule["enable"]),
        (&json!("SSH"), &json!(4), &json!(0))
    );
}

#[tokio::test]
async fn names_for_addresses_live_in_the_cluster_and_in_guests() {
    let cluster = Cluster::new().await;
    let (dc, vm) = ("/cluster/firewall", "/nodes/abel/qemu/100/firewall");
    cluster
        .root(
            "POST",
            &format!("{dc}/aliases"),
            "name=Office&cidr=10.1.0.5/32&comment=desk",
        )
        .await
        .data();
    let alias = cluster
        .root("GET", &format!("{dc}/aliases/office"), "")
        .await
        .data();
    assert_eq!(
        alias,
        json!({ "name": "Office", "cidr": "10.1.0.5", "comment": "desk", "ipversion": 4 })
    );
    let twice = cluster
        .root(
            "POST",
            &format!("{dc}/aliases"),
            "name=OFFICE&cidr=10.1.0.6",
        )
        .await;
    assert_eq!(
        twice.body["errors"]["name"],
        "alias 'OFFICE' already exists"
    );
    cluster
        .root(
            "PUT",
            &format!("{dc}/aliases/office"),
            "cidr=10.1.0.0/24&rename=desk",
        )
        .await
        .data();
    let gone = cluster
        .root("GET", &format!("{dc}/aliases/office"), "")
        .await;
    assert_eq!(gone.body["errors"]["name"], "no such alias");

    cluster
        .root("POST", &format!("{dc}/ipset"), "name=admins&comment=us")
        .await
        .data();
    let set = format!("{dc}/ipset/admins");
    cluster
        .root("POST", &set, "cidr=10.2.0.0/16&nomatch=1")
        .await
        .data();
    cluster.root("POST", &set, "cidr=dc/desk").await.data();
    for (form, text) in [
        ("cidr=10.2.0.0/16", "address '10.2.0.0/16' already exists"),
        (
            "cidr=0.0.0.0/0",
            "a zero prefix is not allowed in ipset entries",
        ),
    ] {
        assert_eq!(
            cluster.root("POST", &set, form).await.body["errors"]["cidr"],
            text
        );
    }
    let entry = format!("{set}/10.2.0.0%2F16");
    let found = cluster.root("GET", &entry, "").await.data();
    assert_eq!(
        (&found["nomatch"], &found["cidr"]),
        (&json!(1), &json!("10.2.0.0/16"))
    );
    cluster.root("PUT", &entry, "comment=hall").await.data();
    assert_eq!(
        cluster.root("GET", &entry, "").await.data().get("nomatch"),
        None,
        "not given, so gone"
    );
    let full = cluster.root("DELETE", &set, "").await;
    assert_eq!(full.reason, "IPSet 'admins' is not empty");

    cluster
        .root(
            "POST",
            &format!("{vm}/rules"),
            "type=in&action=ACCEPT&source=%2Bdc/admins&dest=desk",
        )
        .await
        .data();
    cluster
        .root("POST", &format!("{vm}/ipset"), "name=own")
        .await
        .data();
    let refs = cluster
        .root("GET", &format!("{vm}/refs"), "type=ipset")
        .await
        .data();
    let names: Vec<(&Value, &Value)> = refs
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (&r["ref"], &r["scope"]))
        .collect();
    assert_eq!(
        names,
        [
            (&json!("+admins"), &json!("dc")),
            (&json!("+own"), &json!("guest"))
        ]
    );
    cluster
        .root("DELETE", &format!("{set}/10.2.0.0/16"), "")
        .await
        .data();
    cluster.root("DELETE", &set, "force=1").await.data();
    assert_eq!(
        cluster.root("GET", &set, "").await.reason,
        "no such IPSet 'admins'"
    );
}

#[tokio::test]
async fn options_have_their_types_and_go_with_the_guest() {
    let cluster = Cluster::new().await;
    let path = "/cluster/firewall/options";
    cluster
        .root("PUT", path, "enable=1&policy_in=DROP&ebtables=0")
        .await
        .data();
    let options = cluster.root("GET", path, "").await.data();
    assert_eq!(
        (
            &options["enable"],
            &options["policy_in"],
            &options["ebtables"]
        ),
        (&json!(1), &json!("DROP"), &json!(0))
    );
    cluster.root("PUT", path, "delete=policy_in").await.data();
    assert_eq!(
        cluster.root("GET", path, "").await.data().get("policy_in"),
        None
    );
    let unknown = cluster.root("PUT", path, "delete=nonsense").await;
    assert_eq!(
        unknown.body["errors"]["delete"],
        "no such option 'nonsense'"
    );

    cluster.task("POST", "/nodes/abel/qemu", "vmid=100").await;
    let guest = "/nodes/abel/qemu/100/firewall/options";
    cluster.root("PUT", guest, "enable=1&dhcp=0").await.data();
    cluster
        .task("POST", "/nodes/abel/qemu/100/clone", "newid=102")
        .await;
    let cloned = "/nodes/abel/qemu/102/firewall/options";
    assert_eq!(
        cluster.root("GET", cloned, "").await.data()["dhcp"],
        0,
        "a clone has its template's"
    );
    cluster.task("DELETE", "/nodes/abel/qemu/100", "").await;
    assert_eq!(
        cluster.root("GET", guest, "").await.data().get("enable"),
        None,
        "gone with the guest"
    );

    let provider = format!("PVEAPIToken={}", Options::PROVIDER_TOKEN);
    cluster
        .root(
            "PUT",
            "/access/acl",
            "path=%2F&roles=NoAccess&users=terraform%40pve",
        )
        .await
        .data();
    for (verb, path, reason) in [
        (
            "GET",
            "/cluster/firewall/rules",
            "Permission check failed (/, Sys.Audit)",
        ),
        (
            "PUT",
            guest,
            "Permission check failed (/vms/100, VM.Config.Network)",
        ),
    ] {
        assert_eq!(cluster.call(&provider, verb, path, "").await.reason, reason);
    }
}

#[tokio::test]
async fn a_renamed_group_is_renamed_where_it_is_used() {
    let cluster = Cluster::new().await;
    cluster
        .root("POST", "/cluster/firewall/groups", "group=web")
        .await
        .data();
    let rules = "/nodes/abel/qemu/100/firewall/rules";
    cluster
        .root("POST", rules, "type=group&action=web&enable=1")
        .await
        .data();
    cluster
        .root(
            "POST",
            "/cluster/firewall/groups",
            "group=www&rename=web&comment=new",
        )
        .await
        .data();
    let groups = cluster
        .root("GET", "/cluster/firewall/groups", "")
        .await
        .data();
    assert_eq!(
        (&groups[0]["group"], &groups[0]["comment"]),
        (&json!("www"), &json!("new"))
    );
    assert_eq!(
        cluster.root("GET", &format!("{rules}/0"), "").await.data()["action"],
        "www"
    );
    let gone = cluster
        .root("GET", "/cluster/firewall/groups/web", "")
        .await;
    assert_eq!(gone.reason, "no such security group 'web'");
}
