//! Tokens to syntax tree. What is broken is reported once, skipped, and stands as `Invalid` in the tree; what is around it is
//! still read. Which errors are reported, and where reading goes on, is as in the reference.

mod body;
mod call;
mod constructors;
mod expr;
mod steps;
mod template;

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stead_value::{Diagnostic, Diagnostics};

use super::lexer::{self, Comments, Start};
use super::token::{Token, TokenKind};
use super::{Body, Expr, ExprKind, Expression, Name, SourceFile, Span};

/// How deep expressions and blocks may nest: far beyond what people write, far below what a thread's stack holds.
const MAX_DEPTH: u32 = 250;

/// Reads a configuration file. The body holds what could be read, whatever the diagnostics say.
pub fn parse_file(file: &Arc<SourceFile>) -> (Body, Diagnostics) {
    let all = Span::new(0, file.text().len() as u32);
    let mut parser = Parser::new(file, all, Start::Config);
    let mut body = parser.body(TokenKind::Eof);
    body.span = all;
    (body, parser.diagnostics)
}

/// Reads a text that is one expression, such as a `-var` value.
pub fn parse_expression(file: &Arc<SourceFile>) -> (Expression, Diagnostics) {
    parse_whole(file, Start::Config)
}

/// Reads a text that is a template, such as a template file.
pub fn parse_template(file: &Arc<SourceFile>) -> (Expression, Diagnostics) {
    parse_whole(file, Start::Template)
}

fn parse_whole(file: &Arc<SourceFile>, start: Start) -> (Expression, Diagnostics) {
    let all = Span::new(0, file.text().len() as u32);
    let (expr, diagnostics) = parse_part(file, all, start);
    (Expression::new(Arc::clone(file), expr), diagnostics)
}

/// Reads a part of a text that is one expression or template.
pub(super) fn parse_part(file: &Arc<SourceFile>, part: Span, start: Start) -> (Expr, Diagnostics) {
    let mut parser = Parser::new(file, part, start);
    let mut expr = match start {
        Start::Config => parser.sole_expression(),
        Start::Template => Expr {
            kind: ExprKind::Template(parser.template(TokenKind::Eof, false)),
            span: part,
        },
    };
    if parser.diagnostics.has_errors() {
        expr = invalid(part);
    }
    (expr, parser.diagnostics)
}

/// What stands for an expression that could not be read.
fn invalid(span: Span) -> Expr {
    Expr {
        kind: ExprKind::Invalid,
        span,
    }
}

struct Parser<'a> {
    file: &'a Arc<SourceFile>,
    /// Without comments; ends with `Eof`.
    tokens: Vec<Token>,
    next: usize,
    /// Whether newlines are tokens, per open bracket.
    newlines: Vec<bool>,
    depth: u32,
    /// Something was skipped because of an error, so that what seems wrong from here on may be a consequence of it.
    recovery: bool,
    /// The rest of the file is not read.
    stopped: bool,
    diagnostics: Diagnostics,
    /// The names so far: a file has many, but few different ones.
    names: FxHashMap<&'a str, Arc<str>>,
}

/// How many diagnostics there were.
type Mark = usize;

impl<'a> Parser<'a> {
    fn new(file: &'a Arc<SourceFile>, part: Span, start: Start) -> Parser<'a> {
        let (tokens, diagnostics) = lexer::lex(file, part, start, Comments::Drop);
        Parser {
            file,
            tokens,
            next: 0,
            newlines: Vec::new(),
            depth: 0,
            recovery: false,
            stopped: false,
            diagnostics,
            names: FxHashMap::default(),
        }
    }

    fn sole_expression(&mut self) -> Expr {
        self.newlines.push(false);
        let expr = self.expression();
        let next = self.peek_token();
        if next.kind != TokenKind::Eof && !self.recovery {
            self.error(
                next.span,
                "Extra characters after expression",
                "An expression was successfully parsed, but extra characters were found after it.",
            );
        }
        expr
    }

    fn newlines_matter(&self) -> bool {
        self.newlines.last().copied().unwrap_or(true)
    }

    /// The index of the next token that counts.
    fn position(&self) -> usize {
        let mut i = self.next;
        if !self.newlines_matter() {
            while self
                .tokens
                .get(i)
                .is_some_and(|t| t.kind == TokenKind::Newline)
            {
                i += 1;
            }
        }
        i
    }

    fn token_at(&self, index: usize) -> Token {
        let end = self.file.text().len() as u32;
        let last = self.tokens.last();
        self.tokens.get(index).or(last).copied().unwrap_or(Token {
            kind: TokenKind::Eof,
            span: Span::new(end, end),
        })
    }

    fn peek_token(&self) -> Token {
        self.token_at(self.position())
    }

    fn peek(&self) -> TokenKind {
        self.peek_token().kind
    }

    fn read(&mut self) -> Token {
        let index = self.position();
        self.next = (index + 1).min(self.tokens.len());
        self.token_at(index)
    }

    /// Reads the next token if it is of this kind.
    fn eat(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek() == kind).then(|| self.read())
    }

    /// The token that was read last.
    fn previous(&self) -> Token {
        match self.next.checked_sub(1) {
            Some(index) => self.token_at(index),
            None => self.peek_token(),
        }
    }

    fn text(&self, span: Span) -> &'a str {
        self.file.slice(span)
    }

    /// The text of a span, one copy for all places where it stands.
    fn shared(&mut self, span: Span) -> Arc<str> {
        let text = self.text(span);
        Arc::clone(self.names.entry(text).or_insert_with(|| text.into()))
    }

    fn name(&mut self, span: Span) -> Name {
        Name {
            text: self.shared(span),
            span,
        }
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == TokenKind::Ident && self.text(token.span) == word
    }

    fn peek_is_word(&self, word: &str) -> bool {
        self.is_word(self.peek_token(), word)
    }

    fn mark(&self) -> Mark {
        self.diagnostics.len()
    }

    /// Whether something was reported since, and skipped.
    fn failed_since(&self, mark: Mark) -> bool {
        self.recovery && self.diagnostics.len() > mark
    }

    fn error(&mut self, at: Span, summary: &str, detail: impl Into<String>) {
        if !self.stopped {
            self.diagnostics
                .push(Diagnostic::error(summary, detail.into()).at(self.file.range(at)));
        }
    }

    /// As [`error`](Self::error), with what is around it.
    fn error_in(&mut self, context: Span, at: Span, summary: &str, detail: impl Into<String>) {
        let mark = self.mark();
        self.error(at, summary, detail);
        if let Some(diagnostic) = self.diagnostics.0.get_mut(mark) {
            diagnostic.context = Some(self.file.range(context));
        }
    }

    fn with_newlines<T>(&mut self, matter: bool, parse: impl FnOnce(&mut Self) -> T) -> T {
        self.newlines.push(matter);
        let result = parse(self);
        self.newlines.pop();
        result
    }

    /// Parses one level deeper; `None` when that is too deep.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if !self.enter() {
            return None;
        }
        let result = parse(self);
        self.depth -= 1;
        Some(result)
    }

    /// Goes one level deeper, unless that is too deep, which ends the reading.
    fn enter(&mut self) -> bool {
        if self.depth < MAX_DEPTH {
            self.depth += 1;
            return true;
        }
        let at = self.peek_token().span;
        self.error(
            at,
            "Nesting too deep",
            format!("Expressions and blocks can't be nested more than {MAX_DEPTH} levels deep."),
        );
        self.recovery = true;
        self.stopped = true;
        self.next = self.tokens.len();
        false
    }

    fn nested_expr(&mut self, parse: impl FnOnce(&mut Self) -> Expr) -> Expr {
        let at = self.peek_token().span;
        self.nested(parse).unwrap_or_else(|| invalid(at))
    }

    /// Skips to behind the bracket that ends what is being read, and gives it.
    fn recover(&mut self, end: TokenKind) -> Token {
        self.recovery = true;
        let mut nested = 0;
        loop {
            let token = self.read();
            match token.kind {
                TokenKind::Eof => return token,
                kind if kind == end => {
                    if nested == 0 {
                        return token;
                    }
                    nested -= 1;
                }
                kind if end.is_close_of(kind) => nested += 1,
                _ => {}
            }
        }
    }

    /// Skips to behind the next group in such brackets.
    fn recover_over(&mut self, start: TokenKind, end: TokenKind) {
        while !matches!(self.read().kind, kind if kind == start || kind == TokenKind::Eof) {}
        self.recover(end);
    }

    /// Skips to behind the newline that ends an item of a body.
    fn recover_after_item(&mut self) {
        self.recovery = true;
        let mut open: Vec<TokenKind> = Vec::new();
        loop {
            let token = self.read();
            match token.kind {
                TokenKind::Eof => return,
                TokenKind::Newline if open.is_empty() => return,
                kind if kind.opens() => open.push(kind),
                kind if kind.closes() => {
                    let opener = open.iter().rposition(|o| kind.is_close_of(*o));
                    open.truncate(opener.unwrap_or(0));
                }
                _ => {}
            }
        }
    }
}
