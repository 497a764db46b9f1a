//! The syntax tree: bodies of attributes and blocks, and expressions, each with its span.

use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::{Diagnostics, SourceRange, Value};

use super::{Property, SourceFile, Span};

/// The content of a file or block. Attributes keep their order and are unique; blocks keep theirs.
#[derive(Clone, Debug)]
pub struct Body {
    pub file: Arc<SourceFile>,
    pub attributes: IndexMap<Arc<str>, Attribute>,
    pub blocks: Vec<Block>,
    /// With its braces; the whole text for a file.
    pub span: Span,
}

/// `name = expression`.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: Arc<str>,
    pub name_span: Span,
    /// The whole definition.
    pub span: Span,
    pub expr: Expression,
    /// In JSON: what makes blocks of it when a schema says so.
    pub(crate) json: Option<Arc<Property>>,
}

/// `type "label" … { body }`.
#[derive(Clone, Debug)]
pub struct Block {
    pub kind: Arc<str>,
    pub kind_span: Span,
    pub labels: Vec<Label>,
    pub body: Body,
    pub open_brace: Span,
    pub close_brace: Span,
}

#[derive(Clone, Debug)]
pub struct Label {
    pub text: Arc<str>,
    pub span: Span,
}

impl Body {
    pub fn range(&self, span: Span) -> SourceRange {
        self.file.range(span)
    }

    /// A body with nothing in it, of a file without a name.
    pub fn empty() -> Body {
        Body {
            file: Arc::new(SourceFile::new("", "")),
            attributes: IndexMap::new(),
            blocks: Vec::new(),
            span: Span::new(0, 0),
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.get(name)
    }

    pub fn blocks_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |b| &*b.kind == kind)
    }

    /// Where "something is missing here" is reported: the place where the body begins.
    pub fn missing_item_range(&self) -> SourceRange {
        if self.file.is_json() {
            let end = self.span.end;
            return self.file.range(Span::new(end.saturating_sub(1), end));
        }
        self.file.range(Span::new(self.span.start, self.span.start))
    }
}

impl Attribute {
    pub fn name_range(&self) -> SourceRange {
        self.expr.file().range(self.name_span)
    }

    pub fn range(&self) -> SourceRange {
        self.expr.file().range(self.span)
    }
}

impl Block {
    /// The header: type and labels. What messages about the whole block point to.
    pub fn header(&self) -> Span {
        if self.body.file.is_json() {
            return self.open_brace;
        }
        self.labels
            .last()
            .map_or(self.kind_span, |l| self.kind_span.to(l.span))
    }

    pub fn header_range(&self) -> SourceRange {
        self.body.file.range(self.header())
    }
}

/// An expression together with the file that it stands in: what configurations hold and the evaluator takes.
#[derive(Clone, Debug)]
pub struct Expression {
    file: Arc<SourceFile>,
    node: Arc<Expr>,
}

impl Expression {
    pub fn new(file: Arc<SourceFile>, node: Expr) -> Expression {
        Expression {
            file,
            node: Arc::new(node),
        }
    }

    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    pub fn node(&self) -> &Expr {
        &self.node
    }

    pub fn span(&self) -> Span {
        self.node.span
    }

    pub fn range(&self) -> SourceRange {
        self.file.range(self.node.span)
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        self.file.slice(self.node.span)
    }
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number, `true`, `false` or `null`.
    Literal(Value),
    /// A quoted string, a heredoc or a template file. One sole interpolation keeps its value's type.
    Template(Vec<TemplatePart>),
    /// A name with what follows it: `var.x[0].y`, `a.*.b`.
    Traversal {
        root: Name,
        steps: Vec<Step>,
    },
    /// The same on any other expression: `f(x)[0].y`.
    Access {
        base: Box<Expr>,
        steps: Vec<Step>,
    },
    Call(Box<Call>),
    Unary {
        op: UnaryOp,
        op_span: Span,
        operand: Box<Expr>,
    },
    /// Operators of one precedence, from left to right: flat, so that a long sum is not a deep tree.
    Binary {
        first: Box<Expr>,
        rest: Vec<(BinaryOp, Expr)>,
    },
    Conditional(Box<Conditional>),
    For(Box<ForExpr>),
    Tuple(Vec<Expr>),
    Object(Vec<ObjectItem>),
    Parens(Box<Expr>),
    /// What the parser could not read; it has reported it.
    Invalid,
    /// What is wrong only for those who want its value: evaluating it says why. For JSON, where a string is read as a template
    /// when it is used as one.
    Broken(Arc<Diagnostics>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: Arc<str>,
    pub span: Span,
}

/// One step of a traversal.
#[derive(Clone, Debug)]
pub struct Step {
    pub kind: StepKind,
    /// From the dot or bracket to the end of the step.
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum StepKind {
    /// `.name`
    Attr(Arc<str>),
    /// `[expression]`
    Index(Box<Expr>),
    /// `.0`, the form of old
    LegacyIndex(Box<Value>),
    /// `.*` and the attributes that are taken of each element
    AttrSplat(Vec<Step>),
    /// `[*]` and all that follows, taken of each element
    FullSplat(Vec<Step>),
}

#[derive(Clone, Debug)]
pub struct Call {
    /// With its namespace: `provider::terraform::encode_tfvars`.
    pub name: Arc<str>,
    pub name_span: Span,
    pub args: Vec<Expr>,
    /// The last argument is followed by `...`.
    pub expand: bool,
    pub open_paren: Span,
    pub close_paren: Span,
}

#[derive(Clone, Debug)]
pub struct Conditional {
    pub condition: Expr,
    pub then: Expr,
    pub otherwise: Expr,
}

/// `[for k, v in coll : result if cond]` and `{for k, v in coll : key => result... if cond}`.
#[derive(Clone, Debug)]
pub struct ForExpr {
    pub key_name: Option<Name>,
    pub value_name: Name,
    pub collection: Expr,
    /// Present in the object form.
    pub key: Option<Expr>,
    pub result: Expr,
    /// `...` after the result: group results by key.
    pub group: bool,
    pub condition: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct ObjectItem {
    pub key: ObjectKey,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub enum ObjectKey {
    /// A bare word, taken as a string.
    Name(Name),
    Expr(Expr),
}

impl ObjectKey {
    pub fn span(&self) -> Span {
        match self {
            ObjectKey::Name(name) => name.span,
            ObjectKey::Expr(expr) => expr.span,
        }
    }
}

#[derive(Clone, Debug)]
pub enum TemplatePart {
    Literal { text: Arc<str>, span: Span },
    Interpolation(Expr),
    If(Box<TemplateIf>),
    For(Box<TemplateFor>),
}

/// `%{ if … }…%{ else }…%{ endif }`
#[derive(Clone, Debug)]
pub struct TemplateIf {
    pub condition: Expr,
    pub then: Vec<TemplatePart>,
    pub otherwise: Vec<TemplatePart>,
    pub span: Span,
}

/// `%{ for … }…%{ endfor }`
#[derive(Clone, Debug)]
pub struct TemplateFor {
    pub key_name: Option<Name>,
    pub value_name: Name,
    pub collection: Expr,
    pub body: Vec<TemplatePart>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    Negate,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Expr {
    /// Gives every part of the expression another place.
    pub(crate) fn move_spans(&mut self, to: &dyn Fn(Span) -> Span) {
        self.span = to(self.span);
        match &mut self.kind {
            ExprKind::Literal(_) | ExprKind::Invalid | ExprKind::Broken(_) => {}
            ExprKind::Template(parts) => move_parts(parts, to),
            ExprKind::Traversal { root, steps } => {
                root.span = to(root.span);
                move_steps(steps, to);
            }
            ExprKind::Access { base, steps } => {
                base.move_spans(to);
                move_steps(steps, to);
            }
            ExprKind::Call(call) => {
                for span in [
                    &mut call.name_span,
                    &mut call.open_paren,
                    &mut call.close_paren,
                ] {
                    *span = to(*span);
                }
                call.args.iter_mut().for_each(|arg| arg.move_spans(to));
            }
            ExprKind::Unary {
                op_span, operand, ..
            } => {
                *op_span = to(*op_span);
                operand.move_spans(to);
            }
            ExprKind::Binary { first, rest } => {
                first.move_spans(to);
                rest.iter_mut().for_each(|(_, e)| e.move_spans(to));
            }
            ExprKind::Conditional(parts) => {
                for part in [&mut parts.condition, &mut parts.then, &mut parts.otherwise] {
                    part.move_spans(to);
                }
            }
            ExprKind::For(parts) => {
                move_name(&mut parts.value_name, to);
                parts.key_name.iter_mut().for_each(|n| move_name(n, to));
                parts.collection.move_spans(to);
                parts.key.iter_mut().for_each(|e| e.move_spans(to));
                parts.result.move_spans(to);
                parts.condition.iter_mut().for_each(|e| e.move_spans(to));
            }
            ExprKind::Tuple(items) => items.iter_mut().for_each(|e| e.move_spans(to)),
            ExprKind::Object(items) => {
                for item in items {
                    match &mut item.key {
                        ObjectKey::Name(name) => move_name(name, to),
                        ObjectKey::Expr(key) => key.move_spans(to),
                    }
                    item.value.move_spans(to);
                }
            }
            ExprKind::Parens(inner) => inner.move_spans(to),
        }
    }
}

fn move_name(name: &mut Name, to: &dyn Fn(Span) -> Span) {
    name.span = to(name.span);
}

fn move_steps(steps: &mut [Step], to: &dyn Fn(Span) -> Span) {
    for step in steps {
        step.span = to(step.span);
        match &mut step.kind {
            StepKind::Index(key) => key.move_spans(to),
            StepKind::AttrSplat(each) | StepKind::FullSplat(each) => move_steps(each, to),
            StepKind::Attr(_) | StepKind::LegacyIndex(_) => {}
        }
    }
}

fn move_parts(parts: &mut [TemplatePart], to: &dyn Fn(Span) -> Span) {
    for part in parts {
        match part {
            TemplatePart::Literal { span, .. } => *span = to(*span),
            TemplatePart::Interpolation(expr) => expr.move_spans(to),
            TemplatePart::If(section) => {
                section.span = to(section.span);
                section.condition.move_spans(to);
                move_parts(&mut section.then, to);
                move_parts(&mut section.otherwise, to);
            }
            TemplatePart::For(section) => {
                section.span = to(section.span);
                section.key_name.iter_mut().for_each(|n| move_name(n, to));
                move_name(&mut section.value_name, to);
                section.collection.move_spans(to);
                move_parts(&mut section.body, to);
            }
        }
    }
}
