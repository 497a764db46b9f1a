//! Accounts with a certificate authority, the proof of a domain, and certificates.

use serde_json::{Value as Json, json};
use stead_meeting::Life;

fn account() -> Json {
    json!({ "name": "staging", "contact": "ann@lab.example", "tos": "https://letsencrypt.org/documents/LE-SA-v1.6-August-18-2025.pdf",
        "directory": "https://acme-staging-v02.api.letsencrypt.org/directory" })
}

fn plugin() -> Json {
    json!({ "plugin": "cloud", "api": "cf", "data": { "CF_Token": "secret", "CF_Zone_ID": "z" } })
}

pub(crate) fn lives() -> Vec<Life> {
    let certificate = json!({ "node_name": "abel", "account": "staging", "domains": [{ "domain": "abel.lab.example" }] });
    vec![
        Life::of("proxmox_acme_account", account())
            .changes(json!({ "contact": "bob@lab.example" }))
            .is_replaced_by(json!({ "name": "other" }))
            // Only root@pam itself changes accounts: nobody else is there to do it.
            .imports("staging", &["tos"]),
        Life::of("proxmox_acme_dns_plugin", plugin())
            .changes(json!({ "validation_delay": 60, "data": { "CF_Token": "other" } }))
            .is_replaced_by(json!({ "plugin": "other" }))
            .drifts("PUT", "/cluster/acme/plugins/cloud", "validation-delay=5", "validation_delay")
            .imports("cloud", &[]),
        Life::of("proxmox_acme_certificate", certificate)
            .after("proxmox_acme_account", account())
            .after("proxmox_acme_dns_plugin", plugin())
            .changes(json!({ "domains": [{ "domain": "pve.lab.example", "plugin": "cloud" }, { "domain": "abel.lab.example" }] }))
            .is_replaced_by(json!({ "node_name": "cantor" }))
            .drifts("PUT", "/nodes/abel/config", "acme=account%3Dstaging", "domains")
            .imports("abel", &["domains"]),
    ]
}
