//! Function calls.

use super::super::token::TokenKind;
use super::super::{Call, Expr, ExprKind, Span};
use super::{Parser, invalid};

impl Parser<'_> {
    /// What follows the first word of a function's name.
    pub(super) fn call(&mut self, first: Span) -> Expr {
        let mut name = self.text(first).to_owned();
        let mut name_span = first;
        let mut open = self.read();
        while open.kind == TokenKind::DoubleColon {
            let word = self.read();
            if word.kind != TokenKind::Ident {
                return self.no_call(
                    first.to(word.span),
                    word.span,
                    "Missing function name",
                    "Function scope resolution symbol :: must be followed by a function name in this scope.",
                );
            }
            name.push_str("::");
            name.push_str(self.text(word.span));
            name_span = first.to(word.span);
            open = self.read();
        }
        if open.kind != TokenKind::OpenParen {
            return self.no_call(
                first.to(open.span),
                open.span,
                "Missing open parenthesis",
                "Function selector must be followed by an open parenthesis to begin the function call.",
            );
        }
        let mut call = Call {
            name: name.into(),
            name_span,
            args: Vec::new(),
            expand: false,
            open_paren: open.span,
            close_paren: open.span,
        };
        call.close_paren = self.with_newlines(false, |p| p.arguments(first, &mut call));
        Expr {
            span: first.to(call.close_paren),
            kind: ExprKind::Call(Box::new(call)),
        }
    }

    fn no_call(&mut self, all: Span, at: Span, summary: &str, detail: &str) -> Expr {
        self.error_in(all, at, summary, detail);
        self.recover_over(TokenKind::OpenParen, TokenKind::CloseParen);
        invalid(all)
    }

    /// Reads up to and including the closing parenthesis, and gives its place.
    fn arguments(&mut self, name: Span, call: &mut Call) -> Span {
        loop {
            if let Some(close) = self.eat(TokenKind::CloseParen) {
                return close.span;
            }
            let mark = self.mark();
            call.args.push(self.expression());
            if self.failed_since(mark) {
                return self.recover(TokenKind::CloseParen).span;
            }
            let separator = self.read();
            match separator.kind {
                TokenKind::Comma => {}
                TokenKind::CloseParen => return separator.span,
                TokenKind::Ellipsis => {
                    call.expand = true;
                    if let Some(close) = self.eat(TokenKind::CloseParen) {
                        return close.span;
                    }
                    if !self.recovery {
                        self.error_in(
                            name.to(separator.span),
                            separator.span,
                            "Missing closing parenthesis",
                            "An expanded function argument (with ...) must be immediately followed by closing parentheses.",
                        );
                    }
                    return self.recover(TokenKind::CloseParen).span;
                }
                TokenKind::Eof => {
                    self.error(
                        name.to(call.open_paren),
                        "Unterminated function call",
                        "There is no closing parenthesis for this function call before the end of the file. This may be \
                         caused by incorrect parenthesis nesting elsewhere in this file.",
                    );
                    return self.recover(TokenKind::CloseParen).span;
                }
                _ => {
                    self.error_in(
                        name.to(separator.span),
                        separator.span,
                        "Missing argument separator",
                        "A comma is required to separate each function argument from the next.",
                    );
                    return self.recover(TokenKind::CloseParen).span;
                }
            }
        }
    }
}
