//! ACME: accounts at certificate authorities, and plugins that prove the ownership of a name.
//!
//! The lab plays Let's Encrypt, whose two directories take every account that agrees to the terms; other authorities
//! can't be reached.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::sections::{Act, Family, Section, Type, hex_digest};
use crate::state::State;
use crate::{Proxmox, Px};

const ACCOUNTS: &str = "priv/acme";
const PLUGINS: &str = "/cluster/acme/plugins";

/// Name and URL of the authorities.
const DIRECTORIES: &[(&str, &str)] = &[
    (
        "Let's Encrypt V2",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "Let's Encrypt V2 Staging",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
];

const TERMS: &str = "https://letsencrypt.org/documents/LE-SA-v1.6-August-18-2025.pdf";

static FAMILY: Family = Family {
    file: "priv/acme/plugins.cfg",
    path: PLUGINS,
    types: &[
        Type {
            required: &["api"],
            optional: &["data", "nodes", "disable", "validation-delay"],
            ..Type::new("dns")
        },
        Type {
            optional: &["nodes", "disable"],
            ..Type::new("standalone")
        },
    ],
    digest_in_list: true,
    wanted: |call, _, section| {
        let kind = call.params.get("type");
        kind.is_none_or(|kind| kind == section.kind)
    },
    exists: |id| ApiError::failure(format!("ACME plugin ID '{id}' already exists")),
    missing: |act, id| match act {
        Act::Delete => None,
        Act::Update => Some(ApiError::failure(format!(
            "ACME plugin ID '{id}' does not exist"
        ))),
        _ => Some(ApiError::failure(format!("ACME plugin '{id}' not defined"))),
    },
    after: |state, _, _| built_in(state),
    show: |shown, row| {
        row.remove("id");
        row.insert("plugin".into(), shown.id.into());
        // It comes encoded, and is shown as it is.
        let data = shown.section.get("data").map(|text| STANDARD.decode(text));
        if let Some(Ok(data)) = data {
            row.insert("data".into(), String::from_utf8_lossy(&data).into());
        }
    },
    ..Family::PLAIN
};

pub(super) fn routes(at: &mut Routes<'_>) {
    FAMILY.routes(at);
    at.get("/cluster/acme/account", accounts);
    at.post("/cluster/acme/account", register);
    at.get("/cluster/acme/account/{name}", account);
    at.put("/cluster/acme/account/{name}", update);
    at.delete("/cluster/acme/account/{name}", deactivate);
    at.get("/cluster/acme/directories", |_: &State, _: &Call| {
        let rows = DIRECTORIES
            .iter()
            .map(|(name, url)| json!({ "name": name, "url": url }));
        rows.collect::<Value>()
    });
    at.get("/cluster/acme/tos", |_: &State, call: &Call| {
        reach(directory(call)).map(|()| Value::from(TERMS))
    });
    at.get("/cluster/acme/meta", |_: &State, call: &Call| {
        reach(directory(call)).map(|()| {
            json!({ "termsOfService": TERMS, "website": "https://letsencrypt.org", "caaIdentities": ["letsencrypt.org"] })
        })
    });
    at.get("/cluster/acme/challenge-schema", challenge_schema);
}

/// Adds the plugin that every cluster has.
pub(crate) fn built_in(state: &mut State) {
    let sections = state.configs.entry(FAMILY.file.to_owned()).or_default();
    let standalone = || Section {
        kind: "standalone".to_owned(),
        ..Section::default()
    };
    sections
        .entry("standalone".to_owned())
        .or_insert_with(standalone);
}

fn directory(call: &Call) -> &str {
    let default = DIRECTORIES.first().map_or("", |(_, url)| *url);
    call.params.get("directory").unwrap_or(default)
}

fn reach(directory: &str) -> Result<(), ApiError> {
    if DIRECTORIES.iter().any(|(_, url)| *url == directory) {
        return Ok(());
    }
    let text = format!("Error: GET to {directory}\nfailed: could not connect");
    Err(ApiError::failure(text.replace('\n', " ")))
}

fn name(call: &Call) -> &str {
    call.params.get("name").unwrap_or("default")
}

fn contacts(call: &Call) -> Vec<String> {
    let addresses = call.params.list("contact").into_iter();
    addresses
        .map(|address| format!("mailto:{address}"))
        .collect()
}

/// `GET /cluster/acme/account`
fn accounts(state: &State, _: &Call) -> Value {
    let accounts = state.sections(ACCOUNTS);
    accounts.map(|(name, _)| json!({ "name": name })).collect()
}

fn no_account(name: &str) -> ApiError {
    let text = format!("ACME account config file '{name}' does not exist.");
    ApiError::parameter("name", text)
}

/// `GET /cluster/acme/account/{name}`
fn account(state: &State, call: &Call) -> Answer {
    let name = name(call);
    let account = state
        .section(ACCOUNTS, name)
        .ok_or_else(|| no_account(name))?;
    Ok(json!({
        "account": {
            "contact": account.all("contact"), "createdAt": account.get("created"), "status": "valid",
        },
        "directory": account.get("directory"), "location": account.get("location"), "tos": account.get("tos"),
    }))
}

/// `POST /cluster/acme/account`
async fn register(px: &Px, call: Call) -> Answer {
    let name = name(&call).to_owned();
    if px.state().section(ACCOUNTS, &name).is_some() {
        let text = format!("ACME account config file '{name}' already exists.");
        return Err(ApiError::parameter("name", text));
    }
    let (at, caller) = (call.at.clone(), call.caller.clone());
    px.worker(&at, "acmeregister", "", &caller, move |task| async move {
        task.line("Generating ACME account key..");
        task.takes(Duration::from_secs(2)).await;
        task.line("Registering ACME account..");
        let directory = directory(&call);
        let failed = |text: &str| format!("Registration failed: {text}");
        reach(directory).map_err(|error| failed(&error.message))?;
        let Some(terms) = call.params.get("tos_url") else {
            return Err(failed("must agree to terms of service"));
        };
        let host = directory.trim_end_matches("directory");
        let digest = hex_digest(&name);
        let number = u64::from_str_radix(digest.get(..8).unwrap_or_default(), 16).unwrap_or(1);
        let location = format!("{host}acme/acct/{number}");
        let mut account = Section::default();
        account.options.insert("contact".into(), contacts(&call));
        account.set(
            "created",
            Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        );
        account.set("directory", directory);
        account.set("location", location.clone());
        account.set("tos", terms);
        let mut state = task.proxmox.state();
        let accounts = state.configs.entry(ACCOUNTS.to_owned()).or_default();
        accounts.insert(name, account);
        drop(state);
        task.line(format!(
            "Registration successful, account URL: '{location}'"
        ));
        Ok(())
    })
    .await
}

/// A task that changes an account; what it does is looked up when it runs.
async fn change(
    px: &Px,
    call: Call,
    kind: &str,
    work: fn(&Call, &mut State) -> Option<String>,
) -> Answer {
    let name = name(&call).to_owned();
    if px.state().section(ACCOUNTS, &name).is_none() {
        return Err(no_account(&name));
    }
    let (at, caller) = (call.at.clone(), call.caller.clone());
    px.worker(&at, kind, "", &caller, move |task| async move {
        task.takes(Duration::from_secs(1)).await;
        let px = task.proxmox.clone();
        let line = work(&call, &mut px.state());
        line.into_iter().for_each(|line| task.line(line));
        Ok(())
    })
    .await
}

/// `PUT /cluster/acme/account/{name}`
async fn update(px: &Px, call: Call) -> Answer {
    let kind = match call.params.has("contact") {
        true => "acmeupdate",
        false => "acmerefresh",
    };
    change(px, call, kind, |call, state| {
        let accounts = state.configs.get_mut(ACCOUNTS);
        if let Some(account) = accounts.and_then(|a| a.get_mut(name(call)))
            && call.params.has("contact")
        {
            account.options.insert("contact".into(), contacts(call));
        }
        None
    })
    .await
}

/// `DELETE /cluster/acme/account/{name}`: the account stays, under another name.
async fn deactivate(px: &Px, call: Call) -> Answer {
    change(px, call, "acmedeactivate", |call, state| {
        let (name, folder) = (name(call), "/etc/pve/priv/acme");
        let accounts = state.configs.get_mut(ACCOUNTS)?;
        let mut names = (0..100).map(|i| format!("_deactivated_{name}_{i}"));
        let free = names.find(|candidate| !accounts.contains_key(candidate))?;
        let account = accounts.remove(name)?;
        let line = format!("Renaming account file from '{folder}/{name}' to '{folder}/{free}'");
        accounts.insert(free, account);
        Some(line)
    })
    .await
}

/// What some of the DNS providers ask for, as their own documentation calls it.
const FIELDS: &[(&str, &str, &[&str])] = &[
    (
        "acmedns",
        "ACME-DNS",
        &[
            "ACMEDNS_BASE_URL",
            "ACMEDNS_PASSWORD",
            "ACMEDNS_SUBDOMAIN",
            "ACMEDNS_USERNAME",
        ],
    ),
    (
        "aws",
        "Amazon Route53 (AWS)",
        &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    ),
    (
        "azure",
        "Microsoft Azure",
        &[
            "AZUREDNS_APPID",
            "AZUREDNS_CLIENTSECRET",
            "AZUREDNS_SUBSCRIPTIONID",
            "AZUREDNS_TENANTID",
        ],
    ),
    (
        "cf",
        "Cloudflare Managed DNS",
        &[
            "CF_Account_ID",
            "CF_Email",
            "CF_Key",
            "CF_Token",
            "CF_Zone_ID",
        ],
    ),
    ("dgon", "DigitalOcean DNS", &["DO_API_KEY"]),
    ("duckdns", "DuckDNS", &["DuckDNS_Token"]),
    ("hetzner", "Hetzner", &["HETZNER_Token"]),
    (
        "ovh",
        "OVH",
        &["OVH_AK", "OVH_AS", "OVH_CK", "OVH_END_POINT"],
    ),
    (
        "pdns",
        "PowerDNS",
        &["PDNS_ServerId", "PDNS_Token", "PDNS_Ttl", "PDNS_Url"],
    ),
];

/// `GET /cluster/acme/challenge-schema`
fn challenge_schema(px: &Proxmox, _: &Call) -> Answer {
    let spec = px.api.option("POST", PLUGINS, "api");
    let providers = spec
        .and_then(|spec| spec.values.as_deref())
        .unwrap_or_default();
    let rows = providers.iter().map(|id| {
        let known = FIELDS.iter().find(|(known, _, _)| known == id);
        let (name, fields) = known.map_or((id.as_str(), &[][..]), |(_, name, fields)| (*name, *fields));
        let fields = fields.iter().map(|field| ((*field).to_owned(), json!({ "type": "string" })));
        let fields: Value = Value::Object(fields.collect());
        json!({ "id": id, "name": name, "type": "dns", "schema": { "name": name, "fields": fields } })
    });
    Ok(rows.collect())
}
