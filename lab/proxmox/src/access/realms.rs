//! Realms: where users come from. The lab has no directory servers, so users of such realms can't log in.

use std::time::Duration;

use serde_json::Value;

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::property::{Properties, plain};
use crate::sections::{Act, Change, Family, Section, Type};
use crate::state::State;

const FILE: &str = "domains.cfg";

/// What realms of a directory server have, beyond what each type requires.
macro_rules! directory {
    ($($more:literal),*) => {
        &[
            "server2", "port", "secure", "sslversion", "default", "comment", "tfa", "verify", "capath", "cert", "certkey",
            "bind_dn", "password", "filter", "sync_attributes", "user_classes", "group_dn", "group_name_attr",
            "group_filter", "group_classes", "sync-defaults-options", "mode", "case-sensitive", $($more),*
        ]
    };
}

static REALMS: Family = Family {
    file: FILE,
    path: "/access/domains",
    key: "realm",
    types: &[
        Type {
            optional: &["default", "comment", "tfa"],
            ..Type::new("pam")
        },
        Type {
            optional: &["default", "comment", "tfa"],
            ..Type::new("pve")
        },
        Type {
            required: &["server1", "domain"],
            optional: directory!("base_dn", "user_attr"),
            ..Type::new("ad")
        },
        Type {
            required: &["server1", "base_dn", "user_attr"],
            optional: directory!(),
            ..Type::new("ldap")
        },
        Type {
            required: &["issuer-url", "client-id"],
            optional: &[
                "client-key",
                "autocreate",
                "username-claim",
                "groups-claim",
                "groups-autocreate",
                "groups-overwrite",
                "prompt",
                "scopes",
                "acr-values",
                "audiences",
                "default",
                "comment",
                "query-userinfo",
            ],
            fixed: &["username-claim"],
            ..Type::new("openid")
        },
    ],
    control: &["check-connection"],
    secret: &["password"],
    exists: |id| ApiError::failure(format!("domain '{id}' already exists")),
    missing: |act, id| {
        let what = if act == Act::Delete {
            "authentication domain"
        } else {
            "domain"
        };
        Some(ApiError::failure(format!("{what} '{id}' does not exist")))
    },
    failed: |act| match act {
        Act::Create => "add auth server failed",
        Act::Update => "update auth server failed",
        Act::Delete => "delete auth server failed",
        Act::Read | Act::List => "",
    },
    options_within: true,
    check,
    after: |state, id, section| {
        only_one_default(state, id, section);
        built_in(state);
    },
    show: |shown, row| {
        if shown.listed {
            let tfa = shown.section.get("tfa").and_then(|tfa| plain(tfa, "type"));
            let tfa = tfa.map(str::to_owned);
            let kept = ["realm", "type", "comment", "default"];
            row.retain(|name, value| {
                kept.contains(&name.as_str()) && (name != "default" || value == 1)
            });
            if let Some(tfa) = tfa {
                row.insert("tfa".into(), tfa.into());
            }
        }
    },
    ..Family::PLAIN
};

pub(crate) fn routes(at: &mut Routes<'_>) {
    REALMS.routes(at);
    at.post("/access/domains/{realm}/sync", sync);
    at.post("/access/openid/auth-url", auth_url);
    at.post("/access/openid/login", openid_login);
}

/// Adds the realms that every cluster has, also after someone deleted them.
pub(crate) fn built_in(state: &mut State) {
    let realms = [
        ("pam", "Linux PAM standard authentication"),
        ("pve", "Proxmox VE authentication server"),
    ];
    let sections = state.configs.entry(FILE.to_owned()).or_default();
    for (kind, comment) in realms {
        sections.entry(kind.to_owned()).or_insert_with(|| {
            let mut section = Section {
                kind: kind.to_owned(),
                ..Section::default()
            };
            section.set("comment", comment);
            section
        });
    }
}

pub(crate) fn find<'a>(state: &'a State, realm: &str) -> Option<&'a Section> {
    state.section(FILE, realm)
}

pub(crate) fn is_case_sensitive(state: &State, realm: &str) -> bool {
    find(state, realm).is_none_or(|section| section.get("case-sensitive") != Some("0"))
}

fn check(change: &Change<'_>, section: &mut Section) -> Result<(), ApiError> {
    let (kind, call) = (section.kind.as_str(), change.call);
    let refused = |text: String| Err(ApiError::failure(text));
    if change.old.is_none() && matches!(kind, "pam" | "pve") {
        return refused(format!("unable to create builtin type '{kind}'"));
    }
    let directory = matches!(kind, "ldap" | "ad");
    if call.params.has("check-connection") && !directory {
        return refused(
            "'check-connection' parameter can only be set for realms of type 'ldap' or 'ad'".into(),
        );
    }
    let said = call.params.iter().map(|(name, _)| name);
    let said = said.filter(|name| !["realm", "digest", "check-connection"].contains(name));
    if change.old.is_some() && said.count() == 0 {
        return refused("no options specified".into());
    }
    if directory && call.params.is_on("check-connection") {
        return refused(format!(
            "{} - no such server in the lab",
            cannot_connect(section)
        ));
    }
    if let Some(options) = section.get("sync-defaults-options") {
        let newer = without_old_names(change, options)?;
        section.set("sync-defaults-options", newer);
    }
    Ok(())
}

fn cannot_connect(section: &Section) -> String {
    let server = section.get("server1").unwrap_or_default();
    format!("Unable to connect to the LDAP server '{server}'")
}

/// `full` and `purge` are kept as `remove-vanished`.
fn without_old_names(change: &Change<'_>, text: &str) -> Result<String, ApiError> {
    let spec = change
        .api
        .option("POST", REALMS.path, "sync-defaults-options");
    let Some(keys) = spec.and_then(|spec| spec.properties()) else {
        return Ok(text.to_owned());
    };
    let mut options = Properties::parse(keys, text).map_err(ApiError::failure)?;
    let (full, purge) = (options.remove("full"), options.remove("purge"));
    let on = |given: &Option<String>| given.as_deref() == Some("1");
    let mut vanished = Vec::new();
    if on(&full) {
        vanished.extend(["entry", "properties"]);
    }
    if on(&purge) {
        vanished.push("acl");
    }
    if options.get("remove-vanished").is_none() && !vanished.is_empty() {
        options.set("remove-vanished", vanished.join(";"));
    }
    Ok(options.print(keys))
}

fn only_one_default(state: &mut State, id: &str, section: Option<&Section>) {
    if section.is_some_and(|section| section.is_on("default")) {
        let others = state.configs.get_mut(FILE).into_iter().flatten();
        for (_, other) in others.filter(|(other, _)| *other != id) {
            other.remove("default");
        }
    }
}

/// `POST /access/domains/{realm}/sync`
async fn sync(px: &Px, call: Call) -> Answer {
    let params = &call.params;
    let realm = params.text("realm").to_owned();
    let section = find(&px.state(), &realm).cloned();
    let section = section.ok_or_else(|| ApiError::parameter("realm", "Realm does not exist."))?;
    if !matches!(section.kind.as_str(), "ldap" | "ad") {
        let text = format!(
            "Cannot sync realm type '{}'! Only LDAP/AD realms can be synced.",
            section.kind
        );
        return Err(ApiError::failure(text));
    }
    let defaults = section.get("sync-defaults-options").unwrap_or_default();
    if !params.has("scope") && plain(defaults, "scope").is_none() {
        let text = "Not passed as parameter and not defined in realm default sync options.";
        return Err(ApiError::parameter("scope", text));
    }
    let (kind, prefix) = match params.is_on("dry-run") {
        true => ("auth-realm-sync-test", "(dry test run) "),
        false => ("auth-realm-sync", ""),
    };
    let node = call.at.clone();
    px.worker(
        &node,
        kind,
        &realm.clone(),
        &call.caller,
        move |task| async move {
            task.line(format!("{prefix}starting sync for realm {realm}"));
            task.takes(Duration::from_secs(3)).await;
            Err(cannot_connect(&section))
        },
    )
    .await
}

fn openid_realm(state: &State, realm: &str) -> Result<(), ApiError> {
    let section = find(state, realm);
    let text = match section.map(|s| s.kind.as_str()) {
        None => format!("authentication domain '{realm}' does not exist"),
        Some("openid") => return Ok(()),
        Some(kind) => format!("wrong realm type ({kind} != openid)"),
    };
    Err(ApiError::failure(text))
}

/// `POST /access/openid/auth-url`: the lab has no OpenID provider.
fn auth_url(state: &State, call: &Call) -> Answer {
    openid_realm(state, call.params.text("realm"))?;
    Err(ApiError::failure("openid: could not reach the issuer"))
}

/// `POST /access/openid/login`: so nobody can come back from one.
async fn openid_login(px: &Px, _: Call) -> Answer {
    px.takes(Duration::from_secs(3)).await;
    Err::<Value, _>(ApiError::unauthorized("openid authentication failure"))
}
