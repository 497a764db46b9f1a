//! Diagnostics as both tools print them: for people, or in `validate -json`.

use serde_json::{Map, Value as Json, json};

use super::tool::Printed;

/// One diagnostic's text.
struct Block<'a> {
    severity: &'static str,
    summary: &'a str,
    rest: Vec<&'a str>,
}

/// The diagnostics of a command in a fixed order: they are found in parallel.
pub(super) fn parse(printed: &Printed, detail: bool) -> Vec<Json> {
    let text = format!("{}\n{}", printed.stdout, printed.stderr);
    let mut found: Vec<Json> = blocks(&text)
        .iter()
        // Terraform's heading over what follows.
        .filter(|b| !b.summary.contains("encountered problems during initiali"))
        .map(|b| b.json(detail))
        .collect();
    found.sort_by_key(Json::to_string);
    found.dedup();
    found
}

/// What a text says before its first diagnostic.
pub(super) fn text_besides(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(unboxed)
        .take_while(|line| heading(line).is_none())
        .collect();
    lines.join("\n").trim().to_owned()
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for line in text.lines().map(unboxed) {
        if let Some((severity, summary)) = heading(line) {
            blocks.push(Block {
                severity,
                summary,
                rest: Vec::new(),
            });
        } else if let Some(block) = blocks.last_mut() {
            block.rest.push(line);
        }
    }
    blocks
}

fn unboxed(line: &str) -> &str {
    if matches!(line.trim(), "╷" | "╵" | "│") {
        return "";
    }
    line.strip_prefix("│ ").unwrap_or(line)
}

fn heading(line: &str) -> Option<(&'static str, &str)> {
    ["Error", "Warning"].into_iter().find_map(|severity| {
        let summary = line.strip_prefix(severity)?.strip_prefix(": ")?;
        Some((severity, summary.trim()))
    })
}

impl Block<'_> {
    fn json(&self, detail: bool) -> Json {
        let mut out = Map::new();
        out.insert("severity".into(), json!(self.severity.to_lowercase()));
        out.insert("summary".into(), json!(summary(self.summary)));
        let place = self.rest.iter().find_map(|l| place(l));
        // Terraform gives a line even to what stands in no file.
        if let Some((file, line)) =
            place.filter(|(file, _)| !matches!(*file, "" | "<import-address>"))
        {
            out.insert("file".into(), json!(file));
            out.insert("line".into(), json!(line));
        }
        if detail {
            let address = self.rest.iter().find_map(|line| {
                line.strip_prefix("  with ")
                    .map(|l| l.trim_end_matches([',', ':']))
            });
            if let Some(address) = address {
                out.insert("address".into(), json!(address));
            }
            out.insert("detail".into(), json!(self.detail()));
        }
        out.into()
    }

    /// The sentences below the place, however they are broken into lines.
    fn detail(&self) -> String {
        let words = self
            .rest
            .iter()
            .filter(|line| !line.starts_with("  on ") && !line.starts_with("  with "))
            .filter(|line| !is_excerpt(line))
            .flat_map(|line| line.split_whitespace());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Terraform begins a cycle anywhere, and names nodes that only it has.
fn summary(text: &str) -> String {
    let Some(members) = text.strip_prefix("Cycle: ") else {
        return text.to_owned();
    };
    let mut members: Vec<&str> = members
        .split(", ")
        .map(|m| m.trim_end_matches(" (expand)"))
        .collect();
    members.sort_unstable();
    members.dedup();
    format!("Cycle: {}", members.join(", "))
}

/// `  on FILE line 3, in resource "a" "b":` as file and line.
fn place(line: &str) -> Option<(&str, u64)> {
    let rest = line.strip_prefix("  on ")?;
    let (file, rest) = rest.rsplit_once(" line ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    Some((file, rest.get(..digits)?.parse().ok()?))
}

/// `   3:   input = foo`, a line of marks below it, or a value in it.
fn is_excerpt(line: &str) -> bool {
    let text = line.trim_start();
    let numbered = text.split_once(':').is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    });
    let absent = text == "(source code not available)";
    let marks = !text.is_empty() && text.chars().all(|c| c == '^');
    let value = text.starts_with(['├', '│']);
    line.starts_with(' ') && (numbered || marks || value || absent)
}

/// The diagnostics of `validate -json`, in a fixed order.
pub(super) fn from_json(said: &Json, detail: bool) -> Json {
    let list = said["diagnostics"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<Json> = list
        .iter()
        .map(|diagnostic| {
            let mut out = Map::new();
            let mut names = vec!["severity", "summary", "address", "range"];
            if detail {
                names.push("detail");
            }
            for name in names {
                if let Some(value) = diagnostic.get(name) {
                    out.insert(name.into(), value.clone());
                }
            }
            out.into()
        })
        .collect();
    found.sort_by_key(|d: &Json| (d["range"]["start"]["byte"].as_u64(), d.to_string()));
    found.into()
}
