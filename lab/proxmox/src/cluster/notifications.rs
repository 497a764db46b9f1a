//! Notification targets (endpoints of four types) and matchers, which say what goes to which target.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::property::plain;
use crate::sections::{Act, Change, Family, Section, Shown, Type};
use crate::state::State;

const FILE: &str = "notifications.cfg";

/// What every cluster has: its id, type and options.
const BUILT_IN: &[(&str, &str, &[(&str, &str)])] = &[
    (
        "mail-to-root",
        "sendmail",
        &[
            ("mailto-user", "root@pam"),
            ("comment", "Send mails to root@pam's email address"),
        ],
    ),
    (
        "default-matcher",
        "matcher",
        &[
            ("mode", "all"),
            ("target", "mail-to-root"),
            ("comment", "Route all notifications to mail-to-root"),
        ],
    ),
];

static SENDMAIL: Family = Family {
    path: "/cluster/notifications/endpoints/sendmail",
    types: &[Type::of_contract("sendmail")],
    check: needs_recipient,
    ..ENDPOINT
};

static GOTIFY: Family = Family {
    path: "/cluster/notifications/endpoints/gotify",
    types: &[Type::of_contract("gotify")],
    secret: &["token"],
    ..ENDPOINT
};

static SMTP: Family = Family {
    path: "/cluster/notifications/endpoints/smtp",
    types: &[Type::of_contract("smtp")],
    secret: &["password"],
    check: needs_recipient,
    ..ENDPOINT
};

static WEBHOOK: Family = Family {
    path: "/cluster/notifications/endpoints/webhook",
    types: &[Type::of_contract("webhook")],
    show: |shown, row| {
        show(shown, row);
        // Of secrets, only the names.
        let names = shown.section.all("secret").iter();
        let names = names.filter_map(|text| plain(text, "name"));
        let names: Vec<String> = names.map(|name| format!("name={name}")).collect();
        if !names.is_empty() {
            row.insert("secret".into(), names.into());
        }
    },
    ..ENDPOINT
};

static MATCHER: Family = Family {
    path: "/cluster/notifications/matchers",
    types: &[Type::of_contract("matcher")],
    missing: |_, id| Some(ApiError::new(404, format!("matcher '{id}' not found"))),
    check: |change, section| {
        let unknown = section.all("target").iter().find(|target| {
            let found = change.state.section(FILE, target);
            found.is_none_or(|found| found.kind == "matcher")
        });
        match unknown {
            None => Ok(()),
            Some(target) => Err(ApiError::new(
                404,
                format!("endpoint '{target}' does not exist"),
            )),
        }
    },
    removable: |_, _, _| Ok(()),
    ..ENDPOINT
};

const ENDPOINT: Family = Family {
    file: FILE,
    key: "name",
    id_in_read: true,
    exists: |id| {
        let text = format!("Cannot create '{id}', an entity with the same name already exists");
        ApiError::new(400, text)
    },
    missing: |act, id| match act {
        Act::List => None,
        _ => Some(ApiError::new(404, format!("endpoint '{id}' not found"))),
    },
    removable: |state, _, id| {
        let users = state.sections(FILE).filter(|(_, section)| {
            section.kind == "matcher" && section.all("target").iter().any(|t| t == id)
        });
        let users: Vec<&str> = users.map(|(id, _)| id.as_str()).collect();
        if users.is_empty() {
            return Ok(());
        }
        let text = format!("cannot delete '{id}', referenced by: {}", users.join(", "));
        Err(ApiError::new(400, text))
    },
    after: |state, _, _| built_in(state),
    show,
    ..Family::PLAIN
};

pub(super) fn routes(at: &mut Routes<'_>) {
    for family in [&SENDMAIL, &GOTIFY, &SMTP, &WEBHOOK, &MATCHER] {
        family.routes(at);
    }
    at.get("/cluster/notifications/targets", targets);
    at.post("/cluster/notifications/targets/{name}/test", test);
    at.get("/cluster/notifications/matcher-fields", |_: &State, _: &Call| {
        json!([{ "name": "type" }, { "name": "hostname" }, { "name": "job-id" }])
    });
    at.get("/cluster/notifications/matcher-field-values", field_values);
}

/// Adds what every cluster has, also after someone deleted it.
pub(crate) fn built_in(state: &mut State) {
    let sections = state.configs.entry(FILE.to_owned()).or_default();
    for (id, _, _) in BUILT_IN {
        if let (false, Some(section)) = (sections.contains_key(*id), installed(id)) {
            sections.insert((*id).to_owned(), section);
        }
    }
}

fn installed(id: &str) -> Option<Section> {
    let (_, kind, options) = BUILT_IN.iter().find(|(known, _, _)| *known == id)?;
    let mut section = Section {
        kind: (*kind).to_owned(),
        ..Section::default()
    };
    for (option, value) in *options {
        section.set(option, *value);
    }
    Some(section)
}

fn origin(id: &str, section: &Section) -> &'static str {
    match installed(id) {
        None => "user-created",
        Some(original) if original.options == section.options => "builtin",
        Some(_) => "modified-builtin",
    }
}

fn show(shown: &Shown<'_>, row: &mut serde_json::Map<String, Value>) {
    row.remove("type");
    row.insert("origin".into(), origin(shown.id, shown.section).into());
}

fn needs_recipient(_: &Change<'_>, section: &mut Section) -> Result<(), ApiError> {
    if section.all("mailto").is_empty() && section.all("mailto-user").is_empty() {
        let text = "must at least provide one recipient, either in mailto or in mailto-user";
        return Err(ApiError::new(400, text));
    }
    Ok(())
}

/// `GET /cluster/notifications/targets`
fn targets(state: &State, _: &Call) -> Value {
    let endpoints = state.sections(FILE).filter(|(_, s)| s.kind != "matcher");
    let rows = endpoints.map(|(id, section)| {
        let mut row = json!({ "name": id, "type": section.kind, "origin": origin(id, section) });
        if let Some(comment) = section.get("comment") {
            row["comment"] = comment.into();
        }
        if section.is_on("disable") {
            row["disable"] = 1.into();
        }
        row
    });
    rows.collect()
}

/// `POST /cluster/notifications/targets/{name}/test`: the nodes' own mail system takes everything, other servers are not there.
fn test(state: &State, call: &Call) -> Answer {
    let id = call.params.text("name");
    let section = state.section(FILE, id).filter(|s| s.kind != "matcher");
    let missing = || ApiError::new(500, format!("target '{id}' does not exist"));
    let section = section.ok_or_else(missing)?;
    if section.kind == "sendmail" {
        return Ok(Value::Null);
    }
    let server = section.get("server").or(section.get("url"));
    let text = format!(
        "could not notify via endpoint(s): {id}: could not connect to '{}'",
        server.unwrap_or_default()
    );
    Err(ApiError::failure(text))
}

/// `GET /cluster/notifications/matcher-field-values`
fn field_values(state: &State, call: &Call) -> Value {
    let types = [
        "package-updates",
        "fencing",
        "replication",
        "vzdump",
        "system-mail",
    ];
    let value = |field: &str, value: &str| json!({ "field": field, "value": value });
    let types = types.map(|name| value("type", name));
    let audit = state.may(&call.caller, "/", "Sys.Audit");
    let jobs: BTreeSet<&String> = state
        .sections("jobs.cfg")
        .filter(|(_, job)| audit && job.kind == "vzdump")
        .chain(state.sections("replication.cfg"))
        .map(|(id, _)| id)
        .collect();
    let jobs = jobs.into_iter().map(|id| value("job-id", id));
    let nodes = state.nodes.keys().map(|node| value("hostname", node));
    types.into_iter().chain(jobs).chain(nodes).collect()
}
