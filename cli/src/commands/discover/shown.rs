//! What was found, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use stead_value::Diagnostics;

use super::{Fate, Thing};
use crate::render::Style;

/// A line for each object that somebody would manage, and how many there are of the others.
pub(super) fn table(things: &[Thing], provider: &str, style: Style) -> String {
    let rows: Vec<[&str; 3]> = things
        .iter()
        .filter(|thing| !matches!(thing.fate, Fate::LeftAlone(_)))
        .map(|thing| {
            let called = if thing.called == thing.id {
                ""
            } else {
                &thing.called
            };
            [&*thing.type_name, &*thing.id, called]
        })
        .collect();
    let widths = [0, 1, 2].map(|column| {
        let widths = rows
            .iter()
            .map(|row| row.get(column).map_or(0, |c| c.chars().count()));
        widths.max().unwrap_or_default()
    });
    let mut text = String::new();
    let shown = things.iter().filter_map(|thing| match &thing.fate {
        Fate::New(_) => Some(style.green("new")),
        Fate::Managed(address) => Some(style.dim(format!("managed as {address}"))),
        Fate::LeftAlone(_) => None,
    });
    for (row, fate) in rows.iter().zip(shown) {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{fate}");
    }
    let count = |of: fn(&Fate) -> bool| things.iter().filter(|thing| of(&thing.fate)).count();
    let new = count(|fate| matches!(fate, Fate::New(_)));
    let managed = count(|fate| matches!(fate, Fate::Managed(_)));
    let alone = count(|fate| matches!(fate, Fate::LeftAlone(_)));
    if !rows.is_empty() {
        text.push('\n');
    }
    let summary = format!("Found: {new} new, {managed} managed, {alone} left alone.");
    let _ = writeln!(text, "{}", style.bold(summary));
    if alone > 0 {
        text.push_str(&left_alone(things));
    }
    if new > 0 {
        let _ = writeln!(
            text,
            "\nTo take what is new over, write import blocks and configuration for it:\n  stead discover {provider} -out=discovered.tf && stead plan"
        );
    }
    text
}

/// What is left alone, by the reason.
fn left_alone(things: &[Thing]) -> String {
    let mut reasons: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for thing in things {
        let Fate::LeftAlone(why) = thing.fate else {
            continue;
        };
        let same = reasons
            .iter_mut()
            .find(|(t, w, _)| *t == &*thing.type_name && *w == why);
        match same {
            Some((_, _, ids)) => ids.push(&thing.id),
            None => reasons.push((&thing.type_name, why, vec![&thing.id])),
        }
    }
    let mut text = String::new();
    for (type_name, why, ids) in reasons {
        let shown = ids.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        let more = match ids.len() {
            0..=3 => String::new(),
            n => format!(" and {} more", n - 3),
        };
        let _ = writeln!(text, "Left alone: {type_name} {shown}{more}: {why}.");
    }
    text
}

pub(super) fn json(things: &[Thing], problems: &Diagnostics) -> Json {
    let objects = things.iter().map(|thing| {
        let mut object = json!({ "type": &*thing.type_name, "id": thing.id, "name": thing.called });
        let (member, value) = match &thing.fate {
            Fate::New(name) => ("proposed_address", format!("{}.{name}", thing.type_name)),
            Fate::Managed(address) => ("managed_as", address.to_string()),
            Fate::LeftAlone(why) => ("left_alone", (*why).to_owned()),
        };
        object[member] = value.into();
        object
    });
    let problems = problems
        .iter()
        .map(|problem| json!({ "summary": problem.summary, "detail": problem.detail }));
    json!({
        "format_version": "1.0",
        "objects": objects.collect::<Vec<_>>(),
        "problems": problems.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use stead_state::parse_resource_instance;

    use super::*;

    fn things() -> Vec<Thing> {
        let thing = |id: &str, called: &str, fate| Thing {
            type_name: "acme_vm".into(),
            id: id.to_owned(),
            called: called.to_owned(),
            fate,
        };
        let address = parse_resource_instance("acme_vm.db").expect("an address");
        vec![
            thing("a/1", "web", Fate::New("web".into())),
            thing("a/12", "db", Fate::Managed(address)),
            thing("a/3", "root", Fate::LeftAlone("it came with the server")),
        ]
    }

    #[test]
    fn people_see_what_is_new_and_what_is_managed() {
        assert_eq!(
            table(&things(), "acme", Style::default()),
            "acme_vm  a/1   web  new
acme_vm  a/12  db   managed as acme_vm.db

Found: 1 new, 1 managed, 1 left alone.
Left alone: acme_vm a/3: it came with the server.

To take what is new over, write import blocks and configuration for it:
  stead discover acme -out=discovered.tf && stead plan
"
        );
    }

    #[test]
    fn programs_see_everything() {
        let shown = json(&things(), &Diagnostics::new());
        assert_eq!(
            shown["objects"],
            json!([
                { "type": "acme_vm", "id": "a/1", "name": "web", "proposed_address": "acme_vm.web" },
                { "type": "acme_vm", "id": "a/12", "name": "db", "managed_as": "acme_vm.db" },
                { "type": "acme_vm", "id": "a/3", "name": "root", "left_alone": "it came with the server" },
            ])
        );
    }
}
