//! What differs between two objects, in the layout of Terraform's plans.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use stead_value::addr::quote;
use stead_value::schema::{Block, NestedBlock};
use stead_value::{Kind, Path, Value};

use super::Style;
use super::value::{is_identifier, null, render};

/// What happens to one line's subject.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    None,
    Add,
    Remove,
    Change,
    Replace,
    ReplaceNewFirst,
    Read,
}

impl Sign {
    /// Three columns wide, as before a resource; attribute lines use the last character.
    pub(crate) fn wide(self, style: Style) -> String {
        match self {
            Sign::None => "   ".into(),
            Sign::Add => format!("  {}", style.green("+")),
            Sign::Remove => format!("  {}", style.red("-")),
            Sign::Change => format!("  {}", style.yellow("~")),
            Sign::Replace => format!("{}/{}", style.red("-"), style.green("+")),
            Sign::ReplaceNewFirst => format!("{}/{}", style.green("+"), style.red("-")),
            Sign::Read => style.cyan(" <="),
        }
    }

    fn narrow(self, style: Style) -> String {
        match self {
            Sign::None | Sign::Read => " ".into(),
            Sign::Add => style.green("+"),
            Sign::Remove => style.red("-"),
            Sign::Change | Sign::Replace | Sign::ReplaceNewFirst => style.yellow("~"),
        }
    }
}

/// Attributes that identify an object to people: shown although they did not change.
const IDENTIFYING: [&str; 3] = ["id", "name", "tags"];

/// Renders the inside of a resource's braces.
pub(crate) struct Differ<'a> {
    pub(crate) style: Style,
    /// Paths that force the replacement.
    pub(crate) replace: &'a [Path],
    /// Show what did not change too.
    pub(crate) show_all: bool,
}

impl Differ<'_> {
    /// The attributes and nested blocks of a block, each line indented by `indent`.
    pub(crate) fn block(
        &self,
        out: &mut String,
        block: &Block,
        before: &Value,
        after: &Value,
        at: &Path,
        indent: usize,
    ) {
        let mut lines = Vec::new();
        let mut hidden = 0;
        for name in block.attributes.keys() {
            let (old, new) = (field(before, name), field(after, name));
            if old.is_null() && new.is_null() {
                continue;
            }
            let same = same(&old, &new);
            let shown = !same || self.show_all || at.is_root() && IDENTIFYING.contains(&&**name);
            if !shown {
                hidden += 1;
                continue;
            }
            lines.push((name.to_string(), old, new, at.attr(Arc::clone(name))));
        }
        self.lines(out, &lines, indent);
        if hidden > 0 {
            let noun = if hidden == 1 {
                "attribute"
            } else {
                "attributes"
            };
            self.comment(out, &format!("({hidden} unchanged {noun} hidden)"), indent);
        }
        let mut hidden = 0;
        for (name, nested) in &block.blocks {
            hidden += self.nested(
                out,
                name,
                nested,
                &field(before, name),
                &field(after, name),
                &at.attr(Arc::clone(name)),
                indent,
            );
        }
        if hidden > 0 {
            let noun = if hidden == 1 { "block" } else { "blocks" };
            out.push('\n');
            self.comment(out, &format!("({hidden} unchanged {noun} hidden)"), indent);
        }
    }

    fn comment(&self, out: &mut String, text: &str, indent: usize) {
        let _ = writeln!(
            out,
            "{}{}",
            " ".repeat(indent),
            self.style.dim(format!("# {text}"))
        );
    }

    /// Named values, their equals signs aligned.
    fn lines(&self, out: &mut String, lines: &[(String, Value, Value, Path)], indent: usize) {
        let width = lines
            .iter()
            .map(|(name, ..)| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, old, new, path) in lines {
            let gap = " ".repeat(width - name.chars().count());
            let text = self.change(old, new, path, indent);
            let sign = sign(old, new).narrow(self.style);
            let _ = writeln!(
                out,
                "{}{sign} {name}{gap} = {text}{}",
                " ".repeat(indent.saturating_sub(2)),
                self.forces(path)
            );
        }
    }

    fn forces(&self, path: &Path) -> String {
        if self.replace.contains(path) {
            self.style.red(" # forces replacement")
        } else {
            String::new()
        }
    }

    /// The right-hand side of a line.
    fn change(&self, old: &Value, new: &Value, at: &Path, indent: usize) -> String {
        if old.is_sensitive() || new.is_sensitive() {
            return "(sensitive value)".into();
        }
        if same(old, new) {
            return render(new, indent);
        }
        if old.is_null() {
            return self.whole(new, indent, Sign::Add);
        }
        if new.is_null() {
            let arrow = self.style.dim(" -> null");
            return format!("{}{arrow}", self.whole(old, indent, Sign::Remove));
        }
        if let Some(nested) = self.inside(old, new, at, indent) {
            return nested;
        }
        let arrow = self.style.yellow("->");
        format!("{} {arrow} {}", render(old, indent), render(new, indent))
    }

    /// A value that appears or goes as a whole, with a sign before each inner line.
    fn whole(&self, value: &Value, indent: usize, sign: Sign) -> String {
        if let Some(json) = as_json(value) {
            let inner = self.whole(&json, indent + 4, sign);
            return format!(
                "jsonencode(\n{}{inner}\n{})",
                " ".repeat(indent + 4),
                " ".repeat(indent)
            );
        }
        let null = null();
        let pair = |v: &Value| {
            if sign == Sign::Add {
                (null.clone(), v.clone())
            } else {
                (v.clone(), null.clone())
            }
        };
        match value.kind() {
            _ if value.is_sensitive() => "(sensitive value)".into(),
            Kind::Map(_, entries) | Kind::Object(entries) if !entries.is_empty() => {
                let is_map = matches!(value.kind(), Kind::Map(..));
                let lines: Vec<_> = entries
                    .iter()
                    .filter(|(_, v)| is_map || !v.is_null())
                    .map(|(k, v)| {
                        let (old, new) = pair(v);
                        (
                            key(k, is_map),
                            old,
                            new,
                            Path::root().index(Value::bool(false)),
                        )
                    })
                    .collect();
                let mut out = String::from("{\n");
                self.lines(&mut out, &lines, indent + 4);
                out.push_str(&" ".repeat(indent));
                out.push('}');
                out
            }
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items)
                if !items.is_empty() =>
            {
                let mut out = String::from("[\n");
                for item in items.iter() {
                    let text = self.whole(item, indent + 4, sign);
                    let _ = writeln!(
                        out,
                        "{}{} {text},",
                        " ".repeat(indent + 2),
                        sign.narrow(self.style)
                    );
                }
                out.push_str(&" ".repeat(indent));
                out.push(']');
                out
            }
            Kind::Set(..) => "[]".into(),
            _ => render(value, indent),
        }
    }

    /// Two collections, two JSON texts or two long texts of the same kind, compared inside.
    fn inside(&self, old: &Value, new: &Value, at: &Path, indent: usize) -> Option<String> {
        if let (Some(a), Some(b)) = (as_json(old), as_json(new)) {
            let inner = self.inside(&a, &b, &Path::root(), indent + 4)?;
            let sign = Sign::Change.narrow(self.style);
            return Some(format!(
                "jsonencode(\n{}{sign} {inner}\n{})",
                " ".repeat(indent + 2),
                " ".repeat(indent)
            ));
        }
        match (old.kind(), new.kind()) {
            (Kind::Map(_, a) | Kind::Object(a), Kind::Map(_, b) | Kind::Object(b)) => {
                let is_map = matches!(new.kind(), Kind::Map(..));
                let names: BTreeSet<&Arc<str>> = a.keys().chain(b.keys()).collect();
                let mut lines = Vec::new();
                let mut hidden = 0;
                for name in names {
                    let (x, y) = (
                        a.get(name).cloned().unwrap_or_else(null),
                        b.get(name).cloned().unwrap_or_else(null),
                    );
                    if same(&x, &y) && !self.show_all {
                        hidden += usize::from(!x.is_null());
                        continue;
                    }
                    let path = if is_map {
                        at.index(Value::string(name))
                    } else {
                        at.attr(Arc::clone(name))
                    };
                    lines.push((key(name, is_map), x, y, path));
                }
                let mut out = String::from("{\n");
                self.lines(&mut out, &lines, indent + 4);
                if hidden > 0 {
                    let noun = match (is_map, hidden) {
                        (true, 1) => "element",
                        (true, _) => "elements",
                        (false, 1) => "attribute",
                        (false, _) => "attributes",
                    };
                    self.comment(
                        &mut out,
                        &format!("({hidden} unchanged {noun} hidden)"),
                        indent + 4,
                    );
                }
                out.push_str(&" ".repeat(indent));
                out.push('}');
                Some(out)
            }
            (Kind::List(_, a) | Kind::Tuple(a), Kind::List(_, b) | Kind::Tuple(b)) => {
                Some(self.sequences(a, b, at, indent))
            }
            (Kind::Set(_, a), Kind::Set(_, b)) => Some(self.sequences(a, b, at, indent)),
            (Kind::String(a), Kind::String(b)) if a.contains('\n') || b.contains('\n') => {
                Some(self.texts(a, b, indent))
            }
            _ => None,
        }
    }

    /// Elements that stayed, went and came, in order.
    fn sequences(&self, old: &[Value], new: &[Value], at: &Path, indent: usize) -> String {
        let mut out = String::from("[\n");
        let pad = " ".repeat(indent + 2);
        let mut hidden = 0;
        let keys = |items: &[Value]| {
            items
                .iter()
                .map(|v| format!("{:?}", v.kind()))
                .collect::<Vec<_>>()
        };
        let (a, b) = (keys(old), keys(new));
        let ops = similar::capture_diff_slices(similar::Algorithm::Myers, &a, &b);
        let line = |out: &mut String, sign: Sign, text: String| {
            let _ = writeln!(out, "{pad}{} {text},", sign.narrow(self.style));
        };
        for op in ops {
            let (tag, was, is) = op.as_tag_tuple();
            let paired = tag == similar::DiffTag::Replace && was.len() == is.len();
            if tag == similar::DiffTag::Equal {
                hidden += was.len();
            } else if paired {
                for (i, j) in was.zip(is) {
                    if let (Some(x), Some(y)) = (old.get(i), new.get(j)) {
                        line(
                            &mut out,
                            Sign::Change,
                            self.change(x, y, &at.index_number(j), indent + 4),
                        );
                    }
                }
            } else {
                for item in old.get(was).unwrap_or_default() {
                    line(
                        &mut out,
                        Sign::Remove,
                        self.whole(item, indent + 4, Sign::Remove),
                    );
                }
                for item in new.get(is).unwrap_or_default() {
                    line(&mut out, Sign::Add, self.whole(item, indent + 4, Sign::Add));
                }
            }
        }
        if hidden > 0 {
            let noun = if hidden == 1 { "element" } else { "elements" };
            self.comment(
                &mut out,
                &format!("({hidden} unchanged {noun} hidden)"),
                indent + 4,
            );
        }
        out.push_str(&" ".repeat(indent));
        out.push(']');
        out
    }

    /// Two texts line by line.
    fn texts(&self, old: &str, new: &str, indent: usize) -> String {
        let mut out = String::from("<<-EOT\n");
        let pad = " ".repeat(indent + 2);
        let diff = similar::TextDiff::from_lines(old, new);
        for change in diff.iter_all_changes() {
            let sign = match change.tag() {
                similar::ChangeTag::Equal => Sign::None,
                similar::ChangeTag::Delete => Sign::Remove,
                similar::ChangeTag::Insert => Sign::Add,
            };
            let _ = writeln!(
                out,
                "{pad}{} {}",
                sign.narrow(self.style),
                change.value().trim_end_matches('\n')
            );
        }
        out.push_str(&" ".repeat(indent));
        out.push_str("EOT");
        out
    }

    /// The blocks of one type; returns how many did not change and were not shown.
    fn nested(
        &self,
        out: &mut String,
        name: &str,
        nested: &NestedBlock,
        before: &Value,
        after: &Value,
        at: &Path,
        indent: usize,
    ) -> usize {
        let mut hidden = 0;
        for (label, old, new, path) in pairs(before, after, at) {
            if old.is_null() && new.is_null() {
                continue;
            }
            if same(&old, &new) && !self.show_all {
                hidden += 1;
                continue;
            }
            if old.is_sensitive() || new.is_sensitive() {
                let _ = writeln!(
                    out,
                    "\n{}{} {name} {{\n{}# At least one attribute in this block is (or was) sensitive,\n{}# so its contents will not be displayed.\n{}}}",
                    " ".repeat(indent.saturating_sub(2)),
                    sign(&old, &new).narrow(self.style),
                    " ".repeat(indent + 4),
                    " ".repeat(indent + 4),
                    " ".repeat(indent)
                );
                continue;
            }
            let label = label.map(|l| format!(" {}", quote(&l))).unwrap_or_default();
            let _ = writeln!(
                out,
                "\n{}{} {name}{label} {{{}",
                " ".repeat(indent.saturating_sub(2)),
                sign(&old, &new).narrow(self.style),
                self.forces(&path)
            );
            self.block(out, &nested.block, &old, &new, &path, indent + 4);
            let _ = writeln!(out, "{}}}", " ".repeat(indent));
        }
        hidden
    }
}

fn key(name: &str, is_map: bool) -> String {
    if is_map || !is_identifier(name) {
        quote(name)
    } else {
        name.to_owned()
    }
}

fn field(value: &Value, name: &str) -> Value {
    if value.is_known() {
        value.get(name).unwrap_or_else(null)
    } else {
        Value::dynamic()
    }
}

fn same(old: &Value, new: &Value) -> bool {
    new.is_wholly_known() && old.raw_equals(new)
}

fn sign(old: &Value, new: &Value) -> Sign {
    match (old.is_null(), new.is_null()) {
        _ if same(old, new) => Sign::None,
        (true, false) => Sign::Add,
        (false, true) => Sign::Remove,
        _ => Sign::Change,
    }
}

/// A string that holds a JSON object or array.
fn as_json(value: &Value) -> Option<Value> {
    let text = value.as_str()?.trim();
    if value.is_sensitive() || !text.starts_with(['{', '[']) {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    stead_value::json::from_json_implied(&json).ok()
}

/// The blocks on both sides, matched by position, by key, or (in sets) by equality.
fn pairs(before: &Value, after: &Value, at: &Path) -> Vec<(Option<String>, Value, Value, Path)> {
    let items = |v: &Value| v.as_sequence().map(<[Value]>::to_vec).unwrap_or_default();
    match (before.kind(), after.kind()) {
        (Kind::Set(..), _) | (_, Kind::Set(..)) => {
            let (old, new) = (items(before), items(after));
            let gone = old.iter().filter(|o| !new.iter().any(|n| same(o, n)));
            let here = new.iter().map(|n| {
                let was = old
                    .iter()
                    .find(|o| same(o, n))
                    .cloned()
                    .unwrap_or_else(null);
                (None, was, n.clone(), at.clone())
            });
            gone.map(|o| (None, o.clone(), null(), at.clone()))
                .chain(here)
                .collect()
        }
        (Kind::List(..), _) | (_, Kind::List(..)) => {
            let (old, new) = (items(before), items(after));
            (0..old.len().max(new.len()))
                .map(|i| {
                    let get = |v: &[Value]| v.get(i).cloned().unwrap_or_else(null);
                    (None, get(&old), get(&new), at.index_number(i))
                })
                .collect()
        }
        (Kind::Map(..), _) | (_, Kind::Map(..)) => {
            let keys = |v: &Value| {
                v.as_entries()
                    .map(|e| e.keys().cloned().collect::<Vec<_>>())
                    .unwrap_or_default()
            };
            let names: BTreeSet<Arc<str>> = keys(before).into_iter().chain(keys(after)).collect();
            names
                .into_iter()
                .map(|k| {
                    let get = |v: &Value| v.get(&k).unwrap_or_else(null);
                    (
                        Some(k.to_string()),
                        get(before),
                        get(after),
                        at.index(Value::string(&k)),
                    )
                })
                .collect()
        }
        _ => vec![(None, before.clone(), after.clone(), at.clone())],
    }
}
