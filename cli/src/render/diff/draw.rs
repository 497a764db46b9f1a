//! A comparison as text, in the layout of Terraform's plans.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::datum::{Datum, Item};
use super::node::{Blocks, BlocksKind, Edit, Node, NodeKind, Primitive};
use super::{sequence, untyped};
use crate::render::Style;
use crate::render::text::{attribute_name, quote};

/// Attributes that identify an object to people: shown although they did not change.
const IDENTIFYING: [&str; 3] = ["id", "name", "tags"];

/// How the parts of one whole are shown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Drawing {
    pub(crate) style: Style,
    /// Show what did not change too.
    pub(crate) show_all: bool,
    /// No signs before lines: there is only one side.
    pub(crate) no_signs: bool,
    /// What goes is not followed by `-> null`: the whole around it goes.
    pub(crate) no_null: bool,
    /// Everything here forces the replacement, or that has been said already.
    pub(crate) all_force: bool,
    pub(crate) none_forces: bool,
}

/// Four columns for each level.
fn indent(level: usize) -> String {
    "    ".repeat(level)
}

impl Drawing {
    pub(crate) fn new(style: Style) -> Drawing {
        Drawing {
            style,
            ..Drawing::default()
        }
    }

    /// For what is inside: whether the replacement is forced is said of each part anew.
    fn inner(self) -> Drawing {
        Drawing {
            all_force: false,
            none_forces: false,
            ..self
        }
    }

    fn sign(&self, edit: Edit) -> String {
        if self.no_signs {
            return String::new();
        }
        match edit {
            Edit::Same => "    ".to_owned(),
            Edit::Add => format!("  {} ", self.style.green("+")),
            Edit::Remove => format!("  {} ", self.style.red("-")),
            Edit::Change => format!("  {} ", self.style.yellow("~")),
        }
    }

    fn forces(&self, forces: bool) -> String {
        if (forces || self.all_force) && !self.none_forces {
            self.style.red(" # forces replacement")
        } else {
            String::new()
        }
    }

    fn null_arrow(&self, edit: Edit) -> String {
        if edit == Edit::Remove && !self.no_null {
            self.style.dim(" -> null")
        } else {
            String::new()
        }
    }

    fn hidden(&self, count: usize, noun: &str) -> String {
        let plural = if count == 1 { "" } else { "s" };
        self.style
            .dim(format!("# ({count} unchanged {noun}{plural} hidden)"))
    }

    /// The text of a node that begins on a line of that level.
    pub(crate) fn node(&self, node: &Node, level: usize) -> String {
        match &node.kind {
            NodeKind::Block { attributes, blocks } => self.block(node, attributes, blocks, level),
            NodeKind::Primitive(primitive) => self.primitive(node, primitive, level),
            NodeKind::List { elements, context } => self.list(node, elements, *context, level),
            NodeKind::Set { elements, nested } => self.set(node, elements, *nested, level),
            NodeKind::Map { elements, nested } => self.map(node, elements, *nested, level),
            NodeKind::Object { attributes, nested } => {
                self.object(node, attributes, *nested, level)
            }
            NodeKind::Sensitive { .. } => self.placeholder("(sensitive value)", node),
            NodeKind::WriteOnly { sensitive: true } => {
                self.placeholder("(sensitive, write-only attribute)", node)
            }
            NodeKind::WriteOnly { sensitive: false } => {
                self.placeholder("(write-only attribute)", node)
            }
            NodeKind::SensitiveBlock { .. } => self.sensitive_block(node, level),
            NodeKind::TypeChange(old, new) => {
                let inner = Drawing {
                    no_null: true,
                    ..*self
                };
                let arrow = self.style.yellow("->");
                format!(
                    "{} {arrow} {}",
                    inner.node(old, level),
                    inner.node(new, level)
                )
            }
            NodeKind::Unknown(before) => match before.as_ref().filter(|_| node.edit != Edit::Add) {
                None => format!("(known after apply){}", self.forces(node.forces)),
                Some(before) => {
                    let inner = Drawing {
                        no_null: true,
                        none_forces: node.forces,
                        ..self.inner()
                    };
                    format!(
                        "{} -> (known after apply){}",
                        inner.node(before, level),
                        self.forces(node.forces)
                    )
                }
            },
        }
    }

    fn placeholder(&self, text: &str, node: &Node) -> String {
        format!(
            "{text}{}{}",
            self.null_arrow(node.edit),
            self.forces(node.forces)
        )
    }

    fn sensitive_block(&self, node: &Node, level: usize) -> String {
        let margin = format!("{}{}", indent(level), self.sign(Edit::Same));
        format!(
            "{{{}\n{margin}  # At least one attribute in this block is (or was) sensitive,\n{margin}  # so its contents will not be displayed.\n{margin}}}",
            self.forces(node.forces)
        )
    }

    /// Lines before a part that warn of what the change does to it.
    fn warnings(&self, out: &mut String, node: &Node, level: usize) {
        let (inner, before, after, what) = match node.kind {
            NodeKind::Sensitive {
                inner,
                before,
                after,
            } => (inner, before, after, "attribute value"),
            NodeKind::SensitiveBlock {
                inner,
                before,
                after,
            } => (inner, before, after, "block"),
            _ => return,
        };
        if before == after || matches!(inner, Edit::Add | Edit::Remove) {
            return;
        }
        let margin = indent(level);
        let warning = self.style.yellow("Warning");
        let _ = if before {
            write!(
                out,
                "{margin}  # {warning}: this {what} will no longer be marked as sensitive\n{margin}  # after applying this change."
            )
        } else {
            write!(
                out,
                "{margin}  # {warning}: this {what} will be marked as sensitive and will not\n{margin}  # display in UI output after applying this change."
            )
        };
        if inner == Edit::Same && what != "block" {
            out.push_str(" The value is unchanged.");
        }
        out.push('\n');
    }

    fn block(
        &self,
        node: &Node,
        attributes: &BTreeMap<String, Node>,
        blocks: &BTreeMap<String, Blocks>,
        level: usize,
    ) -> String {
        if attributes.is_empty() && blocks.is_empty() {
            return format!("{{}}{}", self.forces(node.forces));
        }
        let mut out = format!("{{{}\n", self.forces(node.forces));
        self.attributes(&mut out, attributes, self.inner(), level);
        let mut hidden = 0;
        for (name, found) in blocks {
            let mut apart = attributes.is_empty();
            let mut show = |block: &Node, label: &str| {
                if !self.one_block(&mut out, name, label, found, block, &mut apart, level) {
                    hidden += 1;
                }
            };
            if found.unknown && !matches!(found.kind, BlocksKind::Single(_)) {
                let unknown = Node {
                    kind: NodeKind::Unknown(None),
                    edit: node.edit,
                    forces: false,
                };
                show(&unknown, "");
            }
            match &found.kind {
                BlocksKind::Single(block) => show(block, ""),
                BlocksKind::Many(list) => list.iter().for_each(|block| show(block, "")),
                BlocksKind::Keyed(map) => map
                    .iter()
                    .for_each(|(key, block)| show(block, &format!(" {}", quote(key)))),
            }
        }
        if hidden > 0 {
            let _ = writeln!(
                out,
                "\n{}{}{}",
                indent(level + 1),
                self.sign(Edit::Same),
                self.hidden(hidden, "block")
            );
        }
        let _ = write!(out, "{}{}}}", indent(level), self.sign(Edit::Same));
        out
    }

    /// One block; whether it is shown. `apart` says that the empty line before the first of its type is there.
    fn one_block(
        &self,
        out: &mut String,
        name: &str,
        label: &str,
        all: &Blocks,
        block: &Node,
        apart: &mut bool,
        level: usize,
    ) -> bool {
        let (before, after) = (all.before_sensitive, all.after_sensitive);
        let secret = match block.edit {
            Edit::Add => after,
            Edit::Remove => before,
            Edit::Change | Edit::Same => before || after,
        };
        let covered;
        let block = if secret {
            let edit = if block.edit == Edit::Same && before != after {
                Edit::Change
            } else {
                block.edit
            };
            covered = Node {
                kind: NodeKind::SensitiveBlock {
                    inner: block.edit,
                    before,
                    after,
                },
                edit,
                forces: block.forces,
            };
            &covered
        } else {
            block
        };
        if block.edit == Edit::Same && !self.show_all {
            return false;
        }
        if !*apart {
            out.push('\n');
            *apart = true;
        }
        let inner = Drawing {
            all_force: all.forces,
            ..self.inner()
        };
        inner.warnings(out, block, level + 1);
        let _ = writeln!(
            out,
            "{}{}{}{label} {}",
            indent(level + 1),
            inner.sign(block.edit),
            attribute_name(name),
            inner.node(block, level + 1)
        );
        true
    }

    /// Named values, their equals signs aligned.
    fn attributes(
        &self,
        out: &mut String,
        attributes: &BTreeMap<String, Node>,
        inner: Drawing,
        level: usize,
    ) {
        let names = attributes.keys().map(|k| attribute_name(k));
        let width = names.map(|n| n.len()).max().unwrap_or(0);
        let mut hidden = 0;
        for (key, node) in attributes {
            let identifying = IDENTIFYING.contains(&key.as_str());
            if node.edit == Edit::Same && !self.show_all && !identifying {
                hidden += 1;
                continue;
            }
            let inner = Drawing {
                show_all: inner.show_all || identifying,
                ..inner
            };
            self.line(out, &attribute_name(key), width, node, inner, "", level);
        }
        if hidden > 0 {
            self.hidden_line(out, hidden, "attribute", level);
        }
    }

    fn hidden_line(&self, out: &mut String, count: usize, noun: &str, level: usize) {
        let _ = writeln!(
            out,
            "{}{}{}",
            indent(level + 1),
            self.sign(Edit::Same),
            self.hidden(count, noun)
        );
    }

    fn line(
        &self,
        out: &mut String,
        name: &str,
        width: usize,
        node: &Node,
        inner: Drawing,
        end: &str,
        level: usize,
    ) {
        inner.warnings(out, node, level + 1);
        let gap = " ".repeat(width.saturating_sub(name.chars().count()));
        let _ = writeln!(
            out,
            "{}{}{name}{gap} = {}{end}",
            indent(level + 1),
            inner.sign(node.edit),
            inner.node(node, level + 1)
        );
    }

    fn object(
        &self,
        node: &Node,
        attributes: &BTreeMap<String, Node>,
        nested: bool,
        level: usize,
    ) -> String {
        if attributes.is_empty() {
            return format!(
                "{{}}{}{}",
                self.null_arrow(node.edit),
                self.forces(node.forces)
            );
        }
        let inner = Drawing {
            no_null: !nested,
            ..self.inner()
        };
        let mut out = format!("{{{}\n", self.forces(node.forces));
        self.attributes(&mut out, attributes, inner, level);
        self.close(&mut out, "}", node, level);
        out
    }

    fn close(&self, out: &mut String, bracket: &str, node: &Node, level: usize) {
        let _ = write!(
            out,
            "{}{}{bracket}{}",
            indent(level),
            self.sign(Edit::Same),
            self.null_arrow(node.edit)
        );
    }

    fn map(
        &self,
        node: &Node,
        elements: &BTreeMap<String, Node>,
        nested: bool,
        level: usize,
    ) -> String {
        let itself = self.forces(node.forces && !nested);
        if elements.is_empty() {
            return format!("{{}}{}{itself}", self.null_arrow(node.edit));
        }
        let inner = Drawing {
            no_null: node.edit == Edit::Remove || nested,
            all_force: node.forces && nested,
            ..self.inner()
        };
        let width = elements.keys().map(|k| quote(k).len()).max().unwrap_or(0);
        let width = if nested { 0 } else { width };
        let mut hidden = 0;
        let mut out = format!("{{{itself}\n");
        for (key, element) in elements {
            if element.edit == Edit::Same && !self.show_all {
                hidden += 1;
                continue;
            }
            let is_object = matches!(element.kind, NodeKind::Object { .. });
            let end = if is_object { "," } else { "" };
            self.line(&mut out, &quote(key), width, element, inner, end, level);
        }
        if hidden > 0 {
            self.hidden_line(&mut out, hidden, "element", level);
        }
        self.close(&mut out, "}", node, level);
        out
    }

    fn element(&self, out: &mut String, element: &Node, level: usize) {
        self.warnings(out, element, level + 1);
        let _ = writeln!(
            out,
            "{}{}{},",
            indent(level + 1),
            self.sign(element.edit),
            self.node(element, level + 1)
        );
    }

    fn set(&self, node: &Node, elements: &[Node], nested: bool, level: usize) -> String {
        let itself = self.forces(node.forces && !nested);
        if elements.is_empty() {
            return format!("[]{}{itself}", self.null_arrow(node.edit));
        }
        let inner = Drawing {
            no_null: true,
            all_force: node.forces && nested,
            ..self.inner()
        };
        let mut hidden = 0;
        let mut out = format!("[{itself}\n");
        for element in elements {
            if element.edit == Edit::Same && !self.show_all {
                hidden += 1;
            } else {
                inner.element(&mut out, element, level);
            }
        }
        if hidden > 0 {
            self.hidden_line(&mut out, hidden, "element", level);
        }
        self.close(&mut out, "]", node, level);
        out
    }

    /// With context, one unchanged element before and after each that changes is shown.
    fn list(&self, node: &Node, elements: &[Node], context: bool, level: usize) -> String {
        if elements.is_empty() {
            return format!(
                "[]{}{}",
                self.null_arrow(node.edit),
                self.forces(node.forces)
            );
        }
        let changed = Drawing {
            no_null: true,
            ..self.inner()
        };
        let unchanged = Drawing {
            show_all: true,
            ..self.inner()
        };
        let mut out = format!("[{}\n", self.forces(node.forces));
        let mut skipped: Vec<&Node> = Vec::new();
        let mut after_change = false;
        for element in elements {
            let same = element.edit == Edit::Same;
            if same && !after_change && !self.show_all {
                skipped.push(element);
                continue;
            }
            after_change = false;
            let mut drawing = changed;
            if context {
                if let Some(last) = skipped.pop() {
                    if !skipped.is_empty() {
                        self.hidden_line(&mut out, skipped.len(), "element", level);
                    }
                    unchanged.element(&mut out, last, level);
                }
                skipped.clear();
                if same {
                    drawing = unchanged;
                } else {
                    after_change = true;
                }
            }
            drawing.element(&mut out, element, level);
        }
        if !skipped.is_empty() {
            self.hidden_line(&mut out, skipped.len(), "element", level);
        }
        self.close(&mut out, "]", node, level);
        out
    }

    fn primitive(&self, node: &Node, primitive: &Primitive, level: usize) -> String {
        if primitive.text {
            return self.text(node, primitive, level);
        }
        let forces = self.forces(node.forces);
        let show = |side: &Option<Item>| self.scalar(side.as_ref());
        match node.edit {
            Edit::Add => format!("{}{forces}", show(&primitive.after)),
            Edit::Remove => {
                format!(
                    "{}{}{forces}",
                    show(&primitive.before),
                    self.null_arrow(node.edit)
                )
            }
            Edit::Same => format!("{}{forces}", show(&primitive.before)),
            Edit::Change => format!(
                "{} {} {}{forces}",
                show(&primitive.before),
                self.style.yellow("->"),
                show(&primitive.after)
            ),
        }
    }

    fn scalar(&self, side: Option<&Item>) -> String {
        match side.map(|i| &i.datum) {
            Some(Datum::Bool(b)) => b.to_string(),
            Some(Datum::Number(n)) => n.clone(),
            Some(Datum::Text(t)) => quote(t),
            _ => self.style.dim("null"),
        }
    }

    fn text(&self, node: &Node, primitive: &Primitive, level: usize) -> String {
        let before = Text::of(primitive.before.as_ref());
        let after = Text::of(primitive.after.as_ref());
        let forces = self.forces(node.forces);
        let one = match node.edit {
            Edit::Add | Edit::Same => &after,
            Edit::Remove => &before,
            Edit::Change => return self.text_change(node, primitive, (&before, &after), level),
        };
        match one {
            Text::Null => format!("{}{forces}", self.style.dim("null")),
            Text::Json(_, json) => {
                let json = json.as_ref();
                let (old, new) = match node.edit {
                    Edit::Add => (None, json),
                    Edit::Remove => (json, None),
                    Edit::Same | Edit::Change => (json, json),
                };
                self.json(node, old, new, level)
            }
            Text::Line(text) => format!("{}{}{forces}", quote(text), self.null_arrow(node.edit)),
            Text::Lines(text) => {
                let margin = format!("{}{}", indent(level + 1), self.sign(Edit::Same));
                let lines = text.split('\n').map(|line| format!("{margin}{line}"));
                self.heredoc(node, &lines.collect::<Vec<_>>(), level)
            }
        }
    }

    fn text_change(
        &self,
        node: &Node,
        primitive: &Primitive,
        texts: (&Text<'_>, &Text<'_>),
        level: usize,
    ) -> String {
        match texts {
            (Text::Json(_, old), Text::Json(_, new)) => {
                self.json(node, old.as_ref(), new.as_ref(), level)
            }
            (Text::Json(..), _) | (_, Text::Json(..)) => {
                let half = |before: Option<Item>, after: Option<Item>, edit| {
                    let kind = NodeKind::Primitive(Primitive {
                        before,
                        after,
                        text: true,
                    });
                    Box::new(Node {
                        kind,
                        edit,
                        forces: false,
                    })
                };
                let change = Node {
                    kind: NodeKind::TypeChange(
                        half(primitive.before.clone(), None, Edit::Remove),
                        half(None, primitive.after.clone(), Edit::Add),
                    ),
                    edit: node.edit,
                    forces: node.forces,
                };
                self.node(&change, level)
            }
            (Text::Null | Text::Line(_), Text::Null | Text::Line(_)) => format!(
                "{} {} {}{}",
                self.scalar(primitive.before.as_ref()),
                self.style.yellow("->"),
                self.scalar(primitive.after.as_ref()),
                self.forces(node.forces)
            ),
            (before, after) => {
                let null = self.style.dim("null");
                let before: Vec<&str> = before.content().unwrap_or(&null).split('\n').collect();
                let after: Vec<&str> = after.content().unwrap_or(&null).split('\n').collect();
                let line = |edit, text: Option<&&str>| {
                    let text = text.copied().unwrap_or_default();
                    format!("{}{}{text}", indent(level + 1), self.sign(edit))
                };
                let mut lines = Vec::new();
                for (i, j) in sequence::pairs(&before, &after, |a, b| a == b, |_| false) {
                    let old = i.and_then(|i| before.get(i));
                    let new = j.and_then(|j| after.get(j));
                    if old.is_some() && old == new {
                        lines.push(line(Edit::Same, old));
                        continue;
                    }
                    lines.extend(old.map(|_| line(Edit::Remove, old)));
                    lines.extend(new.map(|_| line(Edit::Add, new)));
                }
                self.heredoc(node, &lines, level)
            }
        }
    }

    fn heredoc(&self, node: &Node, lines: &[String], level: usize) -> String {
        format!(
            "<<-EOT{}\n{}\n{}{}EOT{}",
            self.forces(node.forces),
            lines.join("\n"),
            indent(level),
            self.sign(Edit::Same),
            self.null_arrow(node.edit)
        )
    }

    /// A text that holds JSON.
    fn json(&self, node: &Node, old: Option<&Item>, new: Option<&Item>, level: usize) -> String {
        let json = untyped::json(old, new);
        let mut inner = Drawing {
            no_null: true,
            ..self.inner()
        };
        let mut whitespace = "";
        let mut forces = String::new();
        let mut edit = node.edit;
        if json.edit == Edit::Same && node.edit == Edit::Change {
            whitespace = if node.forces {
                " # whitespace changes force replacement"
            } else {
                " # whitespace changes"
            };
            inner.show_all = true;
            edit = Edit::Same;
        } else {
            forces = self.forces(node.forces);
        }
        let text = inner.node(&json, level + 1);
        if edit != Edit::Change {
            edit = Edit::Same;
        }
        if !text.contains('\n') {
            return format!("jsonencode({text}){whitespace}{forces}");
        }
        format!(
            "jsonencode({whitespace}\n{}{}{text}{forces}\n{}{}){}",
            indent(level + 1),
            self.sign(edit),
            indent(level),
            self.sign(Edit::Same),
            self.null_arrow(node.edit)
        )
    }
}

/// A string as it is shown.
enum Text<'a> {
    Null,
    Line(&'a str),
    /// Over several lines, without the white space around it.
    Lines(&'a str),
    Json(&'a str, Option<Item>),
}

impl<'a> Text<'a> {
    fn of(item: Option<&'a Item>) -> Text<'a> {
        let Some(Datum::Text(text)) = item.map(|i| &i.datum) else {
            return Text::Null;
        };
        if let Some(json) = Item::in_text(text) {
            return Text::Json(text, Some(json));
        }
        if text.contains('\n') {
            Text::Lines(text.trim())
        } else {
            Text::Line(text)
        }
    }

    fn content(&self) -> Option<&'a str> {
        match self {
            Text::Null => None,
            Text::Line(text) | Text::Lines(text) | Text::Json(text, _) => Some(text),
        }
    }
}
