//! JSON values to bodies, guided by a layout, and to expressions.

use std::collections::{HashMap, hash_map};
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use stead_value::{Diagnostic, Diagnostics, Type, Value};

use super::super::lexer::Start;
use super::super::{
    Attribute, Block, Body, Expr, ExprKind, Expression, Label, Name, ObjectItem, ObjectKey,
    SourceFile, Span, TemplatePart,
};
use super::layout::{Layout, Strings};
use super::node::{self, Kind, Member, Node};
use super::shape::Property;
use super::strings::parse_inside;
use crate::config::{is_identifier, place};

/// Reads a configuration file in JSON. The body holds what could be read, whatever the diagnostics say.
pub fn parse_json_file(file: &Arc<SourceFile>, layout: &'static Layout) -> (Body, Diagnostics) {
    let (root, diagnostics) = node::parse(file);
    let mut lowering = Lowering::new(file, diagnostics);
    let body = match root.kind {
        Kind::Object(_) | Kind::Array(_) => lowering.body(&root, layout),
        _ => {
            lowering.error(
                root.span,
                "Root value must be object",
                "The root value in a JSON-based configuration must be either a JSON object or a JSON array of objects.",
            );
            lowering.empty_body(root.span)
        }
    };
    (body, lowering.diagnostics)
}

pub(super) struct Lowering<'a> {
    file: &'a Arc<SourceFile>,
    pub(super) diagnostics: Diagnostics,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(file: &'a Arc<SourceFile>, diagnostics: Diagnostics) -> Lowering<'a> {
        Lowering { file, diagnostics }
    }

    fn error(&mut self, at: Span, summary: &str, detail: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::error(summary, detail.into()).at(self.file.range(at)));
    }

    fn empty_body(&self, span: Span) -> Body {
        Body {
            file: Arc::clone(self.file),
            attributes: IndexMap::new(),
            blocks: Vec::new(),
            span,
        }
    }

    /// An object, or an array of objects whose members belong together, as a body.
    fn body(&mut self, node: &Node, layout: &'static Layout) -> Body {
        let mut body = self.empty_body(node.span);
        let members = if layout.is_flat() {
            self.flat_members(node)
        } else {
            self.members(node, None)
        };
        for member in members {
            if &*member.name == "//" {
                continue;
            }
            match layout.block(&member.name) {
                Some(block) => {
                    let target = Target {
                        kind: &member.name,
                        kind_span: member.name_span,
                        body: block.body,
                    };
                    self.blocks(
                        &member.value,
                        &target,
                        block.labels,
                        &mut Vec::new(),
                        &mut body.blocks,
                    );
                }
                None => self.argument(member, layout, &mut body),
            }
        }
        body
    }

    fn argument(&mut self, member: &Member, layout: &Layout, body: &mut Body) {
        match body.attributes.entry(Arc::clone(&member.name)) {
            Entry::Occupied(mut first) if layout.open => {
                // Whether it may be there twice, the schema says.
                if let Some(property) = &mut first.get_mut().json {
                    Arc::make_mut(property).push(member.clone());
                }
            }
            Entry::Occupied(first) => {
                let summary = if layout.is_flat() {
                    "Duplicate attribute definition"
                } else {
                    "Duplicate argument"
                };
                let detail = already_set(&member.name, first.get());
                self.error(member.name_span, summary, detail);
            }
            Entry::Vacant(entry) => {
                let expr = self.expression(&member.value, layout.strings(&member.name));
                entry.insert(Attribute {
                    name: Arc::clone(&member.name),
                    name_span: member.name_span,
                    span: member.name_span.to(member.value.span),
                    expr: Expression::new(Arc::clone(self.file), expr),
                    json: layout.open.then(|| Arc::new(Property::new(member.clone()))),
                });
            }
        }
    }

    /// The members of an object, or of all objects in an array. `label` is what the names are, when they are labels.
    fn members<'n>(&mut self, node: &'n Node, label: Option<&str>) -> Vec<&'n Member> {
        let purpose = match label {
            Some(label) => format!("to specify {label} labels for this block."),
            None => "to define arguments and child blocks.".to_owned(),
        };
        let summary = "Incorrect JSON value type";
        match &node.kind {
            Kind::Null | Kind::Invalid => Vec::new(),
            Kind::Object(members) => members.iter().collect(),
            Kind::Array(items) => {
                let mut all = Vec::new();
                for item in items {
                    match &item.kind {
                        Kind::Object(members) => all.extend(members),
                        Kind::Invalid => {}
                        _ => {
                            let detail = format!("A JSON object is required here, {purpose}");
                            self.error(item.start_span(), summary, detail);
                        }
                    }
                }
                all
            }
            _ => {
                let detail = format!(
                    "Either a JSON object or JSON array of objects is required here, {purpose}"
                );
                self.error(node.start_span(), summary, detail);
                Vec::new()
            }
        }
    }

    /// The members of a body that holds nothing but arguments: of one object.
    fn flat_members<'n>(&mut self, node: &'n Node) -> Vec<&'n Member> {
        match &node.kind {
            Kind::Object(members) => members.iter().collect(),
            Kind::Invalid => Vec::new(),
            _ => {
                self.error(
                    node.start_span(),
                    "Incorrect JSON value type",
                    "A JSON object is required here, setting the arguments for this block.",
                );
                Vec::new()
            }
        }
    }

    /// The blocks of one type: an object per label, then a body or an array of bodies.
    pub(super) fn blocks(
        &mut self,
        node: &Node,
        target: &Target<'_>,
        labels_left: &[&str],
        labels: &mut Vec<Label>,
        blocks: &mut Vec<Block>,
    ) {
        let kind = target.kind;
        if let Some((label, rest)) = labels_left.split_first() {
            let members = self.members(node, Some(label));
            if members.is_empty() && !matches!(node.kind, Kind::Invalid) {
                self.error(
                    node.start_span(),
                    "Missing block label",
                    format!("At least one object property is required, whose name represents the {kind} block's {label}."),
                );
            }
            for member in members {
                labels.push(Label {
                    text: Arc::clone(&member.name),
                    span: member.name_span,
                });
                self.blocks(&member.value, target, rest, labels, blocks);
                labels.pop();
            }
            return;
        }
        let open = node.start_span();
        match &node.kind {
            Kind::Null | Kind::Invalid => {}
            Kind::Object(_) => blocks.push(self.block(node, target, labels, open)),
            Kind::Array(items) => {
                for item in items {
                    if !matches!(item.kind, Kind::Invalid) {
                        blocks.push(self.block(item, target, labels, open));
                    }
                }
            }
            _ => self.error(
                open,
                "Incorrect JSON value type",
                format!("Either a JSON object or a JSON array is required, representing the contents of one or more \"{kind}\" blocks."),
            ),
        }
    }

    fn block(&mut self, node: &Node, target: &Target<'_>, labels: &[Label], open: Span) -> Block {
        Block {
            kind: Arc::clone(target.kind),
            kind_span: target.kind_span,
            labels: labels.to_vec(),
            body: self.body(node, target.body),
            open_brace: open,
            close_brace: Span::new(node.span.end.saturating_sub(1), node.span.end),
        }
    }

    fn expression(&mut self, node: &Node, strings: Strings) -> Expr {
        let span = node.span;
        let kind = match &node.kind {
            Kind::Null => ExprKind::Literal(Value::null(Type::Dynamic)),
            Kind::Bool(value) => ExprKind::Literal(Value::bool(*value)),
            Kind::Number(number) => ExprKind::Literal(Value::number(number.clone())),
            Kind::String(text) => return self.string(text, span, strings),
            Kind::Array(items) => ExprKind::Tuple(
                items
                    .iter()
                    .map(|item| self.expression(item, strings))
                    .collect(),
            ),
            Kind::Object(members) => ExprKind::Object(self.object(members, strings)),
            Kind::Invalid => ExprKind::Invalid,
        };
        Expr { kind, span }
    }

    /// An object as a value has each name once.
    fn object(&mut self, members: &[Member], strings: Strings) -> Vec<ObjectItem> {
        let mut first: HashMap<&str, Span> = HashMap::with_capacity(members.len());
        let mut items = Vec::with_capacity(members.len());
        for member in members {
            let mut item = self.item(member, strings);
            match first.entry(&member.name) {
                hash_map::Entry::Vacant(entry) => {
                    entry.insert(member.name_span);
                }
                hash_map::Entry::Occupied(entry) => {
                    let first = place(&self.file.range(*entry.get()));
                    let detail = format!(
                        "An attribute named \"{}\" was already defined at {first}.",
                        member.name
                    );
                    let problem = Diagnostic::error("Duplicate object attribute", detail)
                        .at(self.file.range(member.name_span));
                    item.key = ObjectKey::Expr(broken(problem.into(), member.name_span));
                }
            }
            items.push(item);
        }
        items
    }

    fn item(&mut self, member: &Member, strings: Strings) -> ObjectItem {
        let (key_strings, value_strings) = match strings {
            Strings::LiteralsExcept(names) if names.contains(&&*member.name) => {
                (Strings::Literals, Strings::Expressions)
            }
            strings => (strings, strings),
        };
        let key = if is_identifier(&member.name) {
            ObjectKey::Name(Name {
                text: Arc::clone(&member.name),
                span: member.name_span,
            })
        } else {
            ObjectKey::Expr(self.string(&member.name, member.name_span, key_strings))
        };
        ObjectItem {
            key,
            value: self.expression(&member.value, value_strings),
        }
    }

    fn string(&mut self, text: &Arc<str>, span: Span, strings: Strings) -> Expr {
        match strings {
            Strings::Literals | Strings::LiteralsExcept(_) => {}
            Strings::Expressions => {
                // What is no expression is left to be refused as the string that it is.
                let (mut expr, problems) = parse_inside(self.file, span, Start::Config);
                if !problems.has_errors() {
                    // The reference counts from the quote; people compare columns.
                    expr.move_spans(&|s| Span::new(s.start - 1, s.end - 1));
                    return Expr { span, ..expr };
                }
            }
            Strings::Templates => {
                if text.contains("${") || text.contains("%{") {
                    let (expr, problems) = parse_inside(self.file, span, Start::Template);
                    if problems.has_errors() {
                        return broken(problems, span);
                    }
                    return Expr { span, ..expr };
                }
            }
        }
        let literal = TemplatePart::Literal {
            text: Arc::clone(text),
            span,
        };
        Expr {
            kind: ExprKind::Template(vec![literal]),
            span,
        }
    }
}

fn broken(problems: Diagnostics, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Broken(Arc::new(problems)),
        span,
    }
}

/// The type of the blocks that are being made.
pub(super) struct Target<'a> {
    pub(super) kind: &'a Arc<str>,
    pub(super) kind_span: Span,
    pub(super) body: &'static Layout,
}

pub(super) fn already_set(name: &str, first: &Attribute) -> String {
    format!(
        "The argument \"{name}\" was already set at {}.",
        place(&first.range())
    )
}
