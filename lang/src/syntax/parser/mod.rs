//! Tokens to syntax tree, with recovery: one error per broken item, and the items around it are still read.

mod body;
mod expr;
mod template;

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics};

use super::lexer::{self, Start};
use super::token::{Token, TokenKind};
use super::{Body, Expr, ExprKind, Expression, SourceFile, Span};

/// How deep expressions and blocks may nest: far beyond what people write, far below what a thread's stack holds.
const MAX_DEPTH: u32 = 250;

/// Reads a configuration file. The body holds what could be read, whatever the diagnostics say.
pub fn parse_file(file: &Arc<SourceFile>) -> (Body, Diagnostics) {
    let mut parser = Parser::new(file, Start::Config);
    let body = parser.file_body();
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
    let expr = expr.unwrap_or(Expr {
        kind: ExprKind::Invalid,
        span: all,
    });
    (Expression::new(Arc::clone(file), expr), diagnostics)
}

/// Reads a part of a text that is one expression or template.
pub(super) fn parse_part(
    file: &Arc<SourceFile>,
    part: Span,
    start: Start,
) -> (Option<Expr>, Diagnostics) {
    let mut parser = Parser::of_part(file, part, start);
    let expr = match start {
        Start::Config => parser.sole_expression(),
        Start::Template => parser.template(TokenKind::Eof, false).map(|parts| Expr {
            kind: ExprKind::Template(parts),
            span: part,
        }),
    };
    (expr.ok(), parser.diagnostics)
}

/// An error was reported; the item being read can't be completed.
#[derive(Debug)]
struct Broken;

type Parse<T> = Result<T, Broken>;

struct Parser<'a> {
    file: &'a Arc<SourceFile>,
    /// Without comments; ends with `Eof`.
    tokens: Vec<Token>,
    next: usize,
    /// Whether newlines are tokens, per open bracket.
    newlines: Vec<bool>,
    depth: u32,
    /// How many tokens recovery may still look at, so that a file full of errors does not take quadratic time.
    recovery_budget: usize,
    diagnostics: Diagnostics,
}

impl<'a> Parser<'a> {
    fn new(file: &'a Arc<SourceFile>, start: Start) -> Parser<'a> {
        Parser::of_part(file, Span::new(0, file.text().len() as u32), start)
    }

    fn of_part(file: &'a Arc<SourceFile>, part: Span, start: Start) -> Parser<'a> {
        let (mut tokens, diagnostics) = lexer::lex(file, part, start);
        tokens.retain(|t| t.kind != TokenKind::Comment);
        let recovery_budget = tokens.len().saturating_mul(8);
        Parser {
            file,
            tokens,
            next: 0,
            newlines: Vec::new(),
            depth: 0,
            recovery_budget,
            diagnostics,
        }
    }

    fn sole_expression(&mut self) -> Parse<Expr> {
        self.newlines.push(false);
        let expr = self.expression()?;
        if self.peek() == TokenKind::Eof {
            return Ok(expr);
        }
        Err(self.error(
            "Extra characters after expression",
            "An expression was successfully parsed, but extra characters were found after it.",
        ))
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
        self.tokens.get(index).copied().unwrap_or(Token {
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

    fn text(&self, span: Span) -> &'a str {
        self.file.slice(span)
    }

    fn peek_is_word(&self, word: &str) -> bool {
        let token = self.peek_token();
        token.kind == TokenKind::Ident && self.text(token.span) == word
    }

    /// Reports at the next token.
    fn error(&mut self, summary: &str, detail: impl Into<String>) -> Broken {
        let token = self.peek_token();
        let unterminated = matches!(self.file.slice(token.span), "")
            || self.file.slice(token.span).starts_with("/*");
        if token.kind == TokenKind::Invalid && unterminated {
            // The lexer has said what is wrong here.
            return Broken;
        }
        self.error_at(token.span, summary, detail)
    }

    fn error_at(&mut self, span: Span, summary: &str, detail: impl Into<String>) -> Broken {
        self.diagnostics
            .push(Diagnostic::error(summary, detail.into()).at(self.file.range(span)));
        Broken
    }

    fn with_newlines<T>(
        &mut self,
        matter: bool,
        parse: impl FnOnce(&mut Self) -> Parse<T>,
    ) -> Parse<T> {
        self.newlines.push(matter);
        let result = parse(self);
        self.newlines.pop();
        result
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(
                "Nesting too deep",
                format!(
                    "Expressions and blocks can't be nested more than {MAX_DEPTH} levels deep."
                ),
            ));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }
}
