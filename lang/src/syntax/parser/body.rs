//! Bodies: attributes and blocks.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::super::token::{Token, TokenKind};
use super::super::{Attribute, Block, Body, Expression, Label, Span};
use super::Parser;
use crate::config::place;

const REQUIRED: &str = "Argument or block definition required";
const REQUIRED_HERE: &str = "An argument or block definition is required here.";
const UNCLOSED: &str = "There is no closing brace for this block before the end of the file. This may be caused by \
                        incorrect brace nesting elsewhere in this file.";

impl Parser<'_> {
    /// Reads items up to and including the token that ends the body. The span begins with the token before.
    pub(super) fn body(&mut self, end: TokenKind) -> Body {
        let start = self.previous().span;
        let mut body = self.empty_body(start);
        loop {
            let next = self.peek_token();
            match next.kind {
                kind if kind == end => break,
                TokenKind::Newline => {
                    self.read();
                }
                TokenKind::Ident => self.item(&mut body),
                _ => {
                    self.read();
                    if !self.recovery {
                        self.no_item(next, start);
                    }
                    self.recover(end);
                    body.span = start.to(self.previous().span);
                    return body;
                }
            }
        }
        body.span = start.to(self.read().span);
        body
    }

    fn no_item(&mut self, bad: Token, start: Span) {
        match bad.kind {
            TokenKind::OpenQuote => self.error(
                bad.span,
                "Invalid argument name",
                "Argument names must not be quoted.",
            ),
            TokenKind::Eof => self.error(start, "Unclosed configuration block", UNCLOSED),
            _ => self.error(bad.span, REQUIRED, REQUIRED_HERE),
        }
    }

    fn empty_body(&self, span: Span) -> Body {
        Body {
            file: Arc::clone(self.file),
            attributes: IndexMap::new(),
            blocks: Vec::new(),
            span,
        }
    }

    fn item(&mut self, body: &mut Body) {
        let name = self.read().span;
        match self.peek() {
            TokenKind::Equal => {
                let attribute = self.attribute(name, false);
                self.add_attribute(body, attribute);
            }
            TokenKind::OpenQuote | TokenKind::OpenBrace | TokenKind::Ident => {
                let block = self.nested(|p| p.block(name));
                body.blocks.extend(block);
            }
            _ => self.no_definition(name),
        }
    }

    fn no_definition(&mut self, name: Span) {
        self.recover_after_item();
        self.error(
            name,
            REQUIRED,
            "An argument or block definition is required here. To set an argument, use the equals sign \"=\" to introduce the \
             argument value.",
        );
    }

    /// `= value`, and the end of the line unless the body is on one line.
    fn attribute(&mut self, name: Span, single_line: bool) -> Attribute {
        self.read();
        let mark = self.mark();
        let expr = self.expression();
        let end = self.previous().span;
        if self.failed_since(mark) {
            self.recover_after_item();
        } else if !single_line {
            let next = self.peek_token();
            if matches!(next.kind, TokenKind::Newline | TokenKind::Eof) {
                self.read();
            } else {
                if !self.recovery {
                    let must = "An argument definition must end with a newline.";
                    let (summary, detail) = if next.kind == TokenKind::Comma {
                        (
                            "Unexpected comma after argument",
                            format!(
                                "Argument definitions must be separated by newlines, not commas. {must}"
                            ),
                        )
                    } else {
                        ("Missing newline after argument", must.to_owned())
                    };
                    self.error_in(name.to(next.span), next.span, summary, detail);
                }
                self.recover_after_item();
            }
        }
        Attribute {
            name: self.shared(name),
            name_span: name,
            span: name.to(end),
            expr: Expression::new(Arc::clone(self.file), expr),
            json: None,
        }
    }

    fn add_attribute(&mut self, body: &mut Body, attribute: Attribute) {
        let at = attribute.name_span;
        match body.attributes.entry(Arc::clone(&attribute.name)) {
            Entry::Vacant(entry) => {
                entry.insert(attribute);
            }
            Entry::Occupied(entry) => {
                let first = place(&self.file.range(entry.get().name_span));
                let name = entry.key();
                let detail = format!(
                    "The argument \"{name}\" was already set at {first}. Each argument may be set only once."
                );
                self.error(at, "Attribute redefined", detail);
            }
        }
    }

    /// Labels and content.
    fn block(&mut self, kind: Span) -> Block {
        let mut labels = Vec::new();
        let open_brace = loop {
            let next = self.peek_token();
            match next.kind {
                TokenKind::OpenBrace => break self.read().span,
                TokenKind::OpenQuote => labels.push(self.quoted_label()),
                TokenKind::Ident => {
                    self.read();
                    labels.push(Label {
                        text: self.shared(next.span),
                        span: next.span,
                    });
                }
                _ => {
                    self.no_block(kind, next);
                    return Block {
                        kind: self.shared(kind),
                        kind_span: kind,
                        labels,
                        body: self.empty_body(kind),
                        open_brace: kind,
                        close_brace: kind,
                    };
                }
            }
        };
        let mut body = match self.peek() {
            TokenKind::Newline | TokenKind::Eof | TokenKind::CloseBrace => {
                self.body(TokenKind::CloseBrace)
            }
            _ => self.single_line_body(kind, open_brace),
        };
        let close_brace = self.previous().span;
        let next = self.peek_token();
        if matches!(next.kind, TokenKind::Newline | TokenKind::Eof) {
            self.read();
        } else {
            if !self.recovery {
                self.error_in(
                    kind.to(next.span),
                    next.span,
                    "Missing newline after block definition",
                    "A block definition must end with a newline.",
                );
            }
            self.recover_after_item();
        }
        body.span = open_brace.to(close_brace);
        Block {
            kind: self.shared(kind),
            kind_span: kind,
            labels,
            body,
            open_brace,
            close_brace,
        }
    }

    fn no_block(&mut self, kind: Span, next: Token) {
        let summary = "Invalid block definition";
        let detail = match next.kind {
            TokenKind::Equal => {
                "The equals sign \"=\" indicates an argument definition, and must not be used when defining a block."
            }
            TokenKind::Newline => {
                "A block definition must have block content delimited by \"{\" and \"}\", starting on the same line as the \
                 block header."
            }
            _ => "Either a quoted string block label or an opening brace (\"{\") is expected here.",
        };
        if matches!(next.kind, TokenKind::Equal | TokenKind::Newline) || !self.recovery {
            self.error_in(kind.to(next.span), next.span, summary, detail);
        }
        self.recover_after_item();
    }

    /// `{ name = value }`, behind the opening brace.
    fn single_line_body(&mut self, kind: Span, open_brace: Span) -> Body {
        let mut body = self.empty_body(open_brace);
        let mark = self.mark();
        self.single_attribute(&mut body);
        // What is said of the content comes after what is said of its end.
        let inner = self.diagnostics.0.split_off(mark);
        let next = self.peek_token();
        let summary = "Invalid single-argument block definition";
        match next.kind {
            TokenKind::CloseBrace => {
                self.read();
            }
            TokenKind::Comma => {
                self.error(
                    next.span,
                    summary,
                    "Single-line block syntax can include only one argument definition. To define multiple arguments, use \
                     the multi-line block syntax with one argument definition per line.",
                );
                self.recover(TokenKind::CloseBrace);
            }
            TokenKind::Newline => {
                self.error(
                    next.span,
                    summary,
                    "An argument definition on the same line as its containing block creates a single-line block definition, \
                     which must also be closed on the same line. Place the block's closing brace immediately after the \
                     argument definition.",
                );
                self.recover(TokenKind::CloseBrace);
            }
            TokenKind::Eof if !self.recovery => {
                self.error_in(
                    kind.to(open_brace),
                    open_brace,
                    "Unclosed configuration block",
                    UNCLOSED,
                );
                self.recover(TokenKind::CloseBrace);
            }
            _ => {
                if !self.recovery {
                    self.error(
                        next.span,
                        summary,
                        "A single-line block definition must end with a closing brace immediately after its single argument \
                         definition.",
                    );
                }
                self.recover(TokenKind::CloseBrace);
            }
        }
        self.diagnostics.extend(inner);
        body
    }

    fn single_attribute(&mut self, body: &mut Body) {
        let name = self.read();
        if name.kind != TokenKind::Ident {
            self.recover_after_item();
            return self.error(name.span, REQUIRED, REQUIRED_HERE);
        }
        let next = self.peek_token();
        match next.kind {
            TokenKind::Equal => {
                let attribute = self.attribute(name.span, true);
                self.add_attribute(body, attribute);
            }
            TokenKind::OpenQuote | TokenKind::OpenBrace | TokenKind::Ident => {
                self.recover_after_item();
                let written = self.text(name.span);
                let detail = format!(
                    "A single-line block definition can contain only a single argument. If you meant to define argument \
                     \"{written}\", use an equals sign to assign it a value. To define a nested block, place it on a line of \
                     its own within its parent block."
                );
                self.error(
                    name.span.to(next.span),
                    "Argument definition required",
                    detail,
                );
            }
            _ => self.no_definition(name.span),
        }
    }

    /// A quoted string without templates.
    fn quoted_label(&mut self) -> Label {
        let open = self.read().span;
        if let Some((text, close)) = self.plain_text() {
            return Label {
                text: self.shared(text),
                span: open.to(close),
            };
        }
        let mut text = String::new();
        let summary = "Invalid string literal";
        let end = loop {
            let token = self.read();
            let so_far = open.to(token.span);
            match token.kind {
                TokenKind::CloseQuote => break token.span,
                TokenKind::QuotedText => text.push_str(&self.unescape_quoted(token.span)),
                TokenKind::OpenInterpolation | TokenKind::OpenDirective => {
                    let sign = match token.kind {
                        TokenKind::OpenInterpolation => '$',
                        _ => '%',
                    };
                    self.error_in(
                        so_far,
                        token.span,
                        summary,
                        format!("Template sequences are not allowed in this string. To include a literal \"{sign}\", double it (as \"{sign}{sign}\") to escape it."),
                    );
                    self.recover(TokenKind::CloseSequence);
                }
                TokenKind::Eof => {
                    self.error_in(
                        so_far,
                        token.span,
                        "Unterminated string literal",
                        "Unable to find the closing quote mark before the end of the file.",
                    );
                    break token.span;
                }
                _ => {
                    self.error_in(
                        so_far,
                        token.span,
                        summary,
                        "This item is not valid in a string literal.",
                    );
                    self.recover(TokenKind::CloseQuote);
                    break token.span;
                }
            }
        };
        Label {
            text: text.into(),
            span: open.to(end),
        }
    }
}
