//! Bodies: attributes and blocks.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::super::token::TokenKind;
use super::super::{Attribute, Block, Body, Expression, Label, Span};
use super::{Broken, Parse, Parser};

impl Parser<'_> {
    pub(super) fn file_body(&mut self) -> Body {
        let mut body = self.empty_body(Span::new(0, self.file.text().len() as u32));
        loop {
            self.items(&mut body);
            // A stray closing brace ends the items; report it and go on behind it.
            match self.peek() {
                TokenKind::Eof => return body,
                _ => {
                    self.error(
                        "Argument or block definition required",
                        "An argument or block definition is required here.",
                    );
                    self.read();
                }
            }
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

    /// Reads items up to a closing brace or the end of the file.
    fn items(&mut self, body: &mut Body) {
        loop {
            match self.peek() {
                TokenKind::Newline => {
                    self.read();
                }
                TokenKind::CloseBrace | TokenKind::Eof => return,
                _ => {
                    let start = self.position();
                    let newlines = self.newlines.len();
                    let depth = self.depth;
                    if self.item(body).is_err() {
                        self.newlines.truncate(newlines);
                        self.depth = depth;
                        self.recover(start);
                    }
                }
            }
        }
    }

    fn item(&mut self, body: &mut Body) -> Parse<()> {
        match self.peek() {
            TokenKind::Ident => {}
            TokenKind::OpenQuote => {
                return Err(self.error(
                    "Invalid argument name",
                    "Argument names must not be quoted.",
                ));
            }
            _ => {
                return Err(self.error(
                    "Argument or block definition required",
                    "An argument or block definition is required here.",
                ));
            }
        }
        let name = self.read().span;
        match self.peek() {
            TokenKind::Equal => {
                let attribute = self.attribute(name)?;
                self.end_of_item("argument")?;
                self.add_attribute(body, attribute);
                Ok(())
            }
            TokenKind::OpenQuote | TokenKind::OpenBrace | TokenKind::Ident => {
                let block = self.nested(|p| p.block(name))?;
                body.blocks.push(block);
                self.end_of_item("block")
            }
            _ => Err(self.error(
                "Argument or block definition required",
                "An argument or block definition is required here. To set an argument, use the equals sign \"=\" to \
                 introduce the argument value.",
            )),
        }
    }

    fn attribute(&mut self, name: Span) -> Parse<Attribute> {
        self.read();
        let expr = self.with_newlines(true, Self::expression)?;
        Ok(Attribute {
            name: self.text(name).into(),
            name_span: name,
            span: name.to(expr.span),
            expr: Expression::new(Arc::clone(self.file), expr),
            json: None,
        })
    }

    fn add_attribute(&mut self, body: &mut Body, attribute: Attribute) {
        let at = attribute.name_span;
        match body.attributes.entry(Arc::clone(&attribute.name)) {
            Entry::Vacant(entry) => {
                entry.insert(attribute);
            }
            Entry::Occupied(entry) => {
                let first = self.file.range(entry.get().name_span);
                let name = entry.key();
                let detail = format!(
                    "The argument \"{name}\" was already set at {}:{},{}. Each argument may be set only once.",
                    first.file, first.start.line, first.start.column
                );
                self.error_at(at, "Attribute redefined", detail);
            }
        }
    }

    fn end_of_item(&mut self, what: &str) -> Parse<()> {
        match self.peek() {
            TokenKind::Newline => {
                self.read();
                Ok(())
            }
            TokenKind::Eof => Ok(()),
            _ => Err(self.error(
                &format!(
                    "Missing newline after {}",
                    if what == "block" {
                        "block definition"
                    } else {
                        what
                    }
                ),
                format!(
                    "{} definition must end with a newline.",
                    if what == "block" {
                        "A block"
                    } else {
                        "An argument"
                    }
                ),
            )),
        }
    }

    fn block(&mut self, kind: Span) -> Parse<Block> {
        let mut labels = Vec::new();
        let open_brace = loop {
            match self.peek() {
                TokenKind::OpenBrace => break self.read().span,
                TokenKind::Ident => {
                    let span = self.read().span;
                    labels.push(Label {
                        text: self.text(span).into(),
                        span,
                    });
                }
                TokenKind::OpenQuote => labels.push(self.quoted_label()?),
                TokenKind::Equal => {
                    return Err(self.error(
                        "Invalid block definition",
                        "The equals sign \"=\" indicates an argument definition, and must not be used when defining a block.",
                    ));
                }
                TokenKind::Newline => {
                    return Err(self.error(
                        "Invalid block definition",
                        "A block definition must have block content delimited by \"{\" and \"}\", starting on the same line \
                         as the block header.",
                    ));
                }
                _ => {
                    return Err(self.error(
                        "Invalid block definition",
                        "Either a quoted string block label or an opening brace (\"{\") is expected here.",
                    ));
                }
            }
        };
        let mut body = self.empty_body(open_brace);
        let errors_before = self.diagnostics.len();
        let close_brace = if matches!(self.peek(), TokenKind::Newline) {
            self.items(&mut body);
            match self.eat(TokenKind::CloseBrace) {
                Some(token) => token.span,
                // An error within has eaten the rest of the file, the brace with it.
                None if self.diagnostics.len() > errors_before => return Err(Broken),
                None => {
                    let header = labels.last().map_or(kind, |l: &Label| kind.to(l.span));
                    return Err(self.error_at(
                        header.to(open_brace),
                        "Unclosed configuration block",
                        "There is no closing brace for this block before the end of the file. This may be caused by \
                         incorrect brace nesting elsewhere in this file.",
                    ));
                }
            }
        } else {
            self.single_line_body(&mut body)?
        };
        body.span = open_brace.to(close_brace);
        Ok(Block {
            kind: self.text(kind).into(),
            kind_span: kind,
            labels,
            body,
            open_brace,
            close_brace,
        })
    }

    /// `{ }` or `{ name = value }`.
    fn single_line_body(&mut self, body: &mut Body) -> Parse<Span> {
        if let Some(token) = self.eat(TokenKind::CloseBrace) {
            return Ok(token.span);
        }
        let summary = "Invalid single-argument block definition";
        if self.peek() != TokenKind::Ident {
            return Err(self.error(
                summary,
                "A single-line block definition can contain only a single argument. If you meant to define argument(s), \
                 place each on its own line.",
            ));
        }
        let name = self.read().span;
        if self.peek() != TokenKind::Equal {
            return Err(self.error(
                summary,
                "A single-line block definition can contain only a single argument. If you meant to define a nested block, \
                 place it on a line of its own.",
            ));
        }
        let attribute = self.attribute(name)?;
        self.add_attribute(body, attribute);
        match self.peek() {
            TokenKind::CloseBrace => Ok(self.read().span),
            TokenKind::Comma => Err(self.error(
                summary,
                "Single-line block syntax can include only one argument definition. To define multiple arguments, use the \
                 multi-line block syntax with one argument definition per line.",
            )),
            TokenKind::Newline => Err(self.error(
                summary,
                "An argument definition on the same line as its containing block creates a single-line block definition, \
                 which must also be closed on the same line. Place the block's closing brace immediately after the argument \
                 definition.",
            )),
            _ => Err(self.error(
                summary,
                "A single-line block definition must end with a closing brace immediately after its single argument definition.",
            )),
        }
    }

    /// A quoted string without templates.
    fn quoted_label(&mut self) -> Parse<Label> {
        let open = self.read().span;
        let mut text = String::new();
        loop {
            let token = self.read();
            match token.kind {
                TokenKind::CloseQuote => {
                    return Ok(Label {
                        text: text.into(),
                        span: open.to(token.span),
                    });
                }
                TokenKind::QuotedText => text.push_str(&self.unescape_quoted(token.span)?),
                TokenKind::OpenInterpolation | TokenKind::OpenDirective => {
                    let sign = if token.kind == TokenKind::OpenInterpolation {
                        "$"
                    } else {
                        "%"
                    };
                    return Err(self.error_at(
                        token.span,
                        "Invalid string literal",
                        format!("Template sequences are not allowed in this string. To include a literal \"{sign}\", double it (as \"{sign}{sign}\") to escape it."),
                    ));
                }
                TokenKind::Invalid => return Err(Broken),
                _ => {
                    return Err(self.error_at(
                        open,
                        "Unterminated string literal",
                        "Unable to find the closing quote mark of this string.",
                    ));
                }
            }
        }
    }

    /// Skips to behind the newline that ends the item which began at token `start`. Brackets that the item opened before
    /// the error are closed first, so that their content is not taken for items; when they never close, the line of the
    /// error is the end.
    fn recover(&mut self, start: usize) {
        let error = self.next.max(start);
        self.next = self
            .balanced_end(start, error)
            .or_else(|| self.balanced_end(error, error))
            .unwrap_or(self.tokens.len().saturating_sub(1));
        self.skip_stray_body();
    }

    /// A brace that begins a line begins the body of the block whose header was the error.
    fn skip_stray_body(&mut self) {
        let mut at = self.next;
        while self.token_at(at).kind == TokenKind::Newline {
            at += 1;
        }
        if self.token_at(at).kind == TokenKind::OpenBrace {
            let end = self.balanced_end(at, at + 1);
            self.next = end.unwrap_or(self.tokens.len().saturating_sub(1));
        }
    }

    fn balanced_end(&mut self, start: usize, error: usize) -> Option<usize> {
        let mut open = Vec::new();
        for (i, token) in self.tokens.iter().enumerate().skip(start) {
            let kind = token.kind;
            // When the budget is spent, the end of the line has to do.
            if self.recovery_budget > 0 {
                self.recovery_budget -= 1;
                if self.recovery_budget == 0 {
                    return None;
                }
            } else if i >= error && kind == TokenKind::Newline {
                return Some(i + 1);
            }
            match kind {
                TokenKind::Newline if open.is_empty() && i >= error => return Some(i + 1),
                TokenKind::Eof => return open.is_empty().then_some(i),
                _ if kind.opens() => open.push(kind),
                _ if kind.closes() => match open.iter().rposition(|&o| kind.is_close_of(o)) {
                    Some(at) => open.truncate(at),
                    // The brace of the body around: not ours, unless the error lies behind it.
                    None if kind == TokenKind::CloseBrace && i >= error => return Some(i),
                    None => {}
                },
                _ => {}
            }
        }
        None
    }
}
