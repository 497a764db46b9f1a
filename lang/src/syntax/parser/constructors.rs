//! Tuples, objects and `for`.

use super::super::token::{Token, TokenKind};
use super::super::{Expr, ExprKind, ForExpr, Name, ObjectItem, ObjectKey, Span};
use super::{Parser, invalid};

const FOR: &str = "Invalid 'for' expression";

impl Parser<'_> {
    pub(super) fn bracketed(&mut self) -> Expr {
        let open = self.read().span;
        self.with_newlines(false, |p| {
            if p.peek_is_word("for") {
                return p.for_expression(open, TokenKind::CloseBracket);
            }
            let mut items = Vec::new();
            let close = p.items(open, &mut items);
            Expr {
                kind: ExprKind::Tuple(items),
                span: open.to(close),
            }
        })
    }

    fn items(&mut self, open: Span, items: &mut Vec<Expr>) -> Span {
        loop {
            if let Some(close) = self.eat(TokenKind::CloseBracket) {
                return close.span;
            }
            let mark = self.mark();
            items.push(self.expression());
            if self.failed_since(mark) {
                return self.recover(TokenKind::CloseBracket).span;
            }
            let next = self.peek_token();
            match next.kind {
                TokenKind::CloseBracket => {}
                TokenKind::Comma => {
                    self.read();
                }
                kind => {
                    if !self.recovery && kind == TokenKind::Eof {
                        self.error(
                            open,
                            "Unterminated tuple constructor expression",
                            "There is no corresponding closing bracket before the end of the file. This may be caused by \
                             incorrect bracket nesting elsewhere in this file.",
                        );
                    } else if !self.recovery {
                        self.error_in(
                            open.to(next.span),
                            next.span,
                            "Missing item separator",
                            "Expected a comma to mark the beginning of the next item.",
                        );
                    }
                    return self.recover(TokenKind::CloseBracket).span;
                }
            }
        }
    }

    pub(super) fn braced(&mut self) -> Expr {
        let open = self.read().span;
        // A `for` may stand on the next line, though in objects newlines are separators.
        if self.with_newlines(false, |p| p.peek_is_word("for")) {
            return self.with_newlines(false, |p| p.for_expression(open, TokenKind::CloseBrace));
        }
        let mut items = Vec::new();
        let close = self.with_newlines(true, |p| p.members(open, &mut items));
        Expr {
            kind: ExprKind::Object(items),
            span: open.to(close),
        }
    }

    fn members(&mut self, open: Span, items: &mut Vec<ObjectItem>) -> Span {
        loop {
            if self.eat(TokenKind::Newline).is_some() {
                continue;
            }
            if let Some(close) = self.eat(TokenKind::CloseBrace) {
                return close.span;
            }
            let Some(item) = self.member(open) else {
                return self.recover(TokenKind::CloseBrace).span;
            };
            items.push(item);
            let next = self.peek_token();
            match next.kind {
                TokenKind::CloseBrace => {}
                TokenKind::Comma | TokenKind::Newline => {
                    self.read();
                }
                kind => {
                    if !self.recovery && kind == TokenKind::Eof {
                        self.unterminated_object(open);
                    } else if !self.recovery {
                        self.error_in(
                            open.to(next.span),
                            next.span,
                            "Missing attribute separator",
                            "Expected a newline or comma to mark the beginning of the next attribute.",
                        );
                    }
                    return self.recover(TokenKind::CloseBrace).span;
                }
            }
        }
    }

    /// `key = value`; `None` when it is broken and the rest of the object is to be skipped.
    fn member(&mut self, open: Span) -> Option<ObjectItem> {
        let mark = self.mark();
        let key = self.object_key();
        if self.failed_since(mark) {
            return None;
        }
        let next = self.peek_token();
        if !matches!(next.kind, TokenKind::Equal | TokenKind::Colon) {
            if !self.recovery {
                self.no_separator(open, next);
            }
            return None;
        }
        self.read();
        let mark = self.mark();
        let value = self.expression();
        (!self.failed_since(mark)).then_some(ObjectItem { key, value })
    }

    fn no_separator(&mut self, open: Span, next: Token) {
        let (summary, detail) = match next.kind {
            TokenKind::Newline | TokenKind::Comma => (
                "Missing attribute value",
                "Expected an attribute value, introduced by an equals sign (\"=\").",
            ),
            TokenKind::Ident => (
                "Missing key/value separator",
                "Expected an equals sign (\"=\") to mark the beginning of the attribute value. If you intended to given an \
                 attribute name containing periods or spaces, write the name in quotes to create a string literal.",
            ),
            TokenKind::Eof => return self.unterminated_object(open),
            _ => (
                "Missing key/value separator",
                "Expected an equals sign (\"=\") to mark the beginning of the attribute value.",
            ),
        };
        self.error_in(open.to(next.span), next.span, summary, detail);
    }

    fn unterminated_object(&mut self, open: Span) {
        self.error(
            open,
            "Unterminated object constructor expression",
            "There is no corresponding closing brace before the end of the file. This may be caused by incorrect brace nesting \
             elsewhere in this file.",
        );
    }

    /// A bare word is a name, also when it is a keyword; all else is an expression.
    fn object_key(&mut self) -> ObjectKey {
        let token = self.peek_token();
        if token.kind == TokenKind::Ident
            && matches!(
                self.token_at(self.position() + 1).kind,
                TokenKind::Equal | TokenKind::Colon
            )
        {
            self.read();
            return ObjectKey::Name(self.name(token.span));
        }
        let key = self.expression();
        match key.kind {
            ExprKind::Traversal { root, steps } if steps.is_empty() => ObjectKey::Name(root),
            kind => ObjectKey::Expr(Expr {
                kind,
                span: key.span,
            }),
        }
    }

    fn for_expression(&mut self, open: Span, end: TokenKind) -> Expr {
        self.read();
        match self.for_parts(open, end) {
            Some((parts, close)) => Expr {
                kind: ExprKind::For(Box::new(parts)),
                span: open.to(close),
            },
            None => {
                let close = self.recover(end).span;
                invalid(open.to(close))
            }
        }
    }

    /// Behind the word `for`, up to and including the closing bracket. `None` when it is broken.
    fn for_parts(&mut self, open: Span, end: TokenKind) -> Option<(ForExpr, Span)> {
        let mut value_name =
            self.for_name(open, "For expression requires variable name after 'for'.")?;
        let mut key_name = None;
        if self.eat(TokenKind::Comma).is_some() {
            key_name = Some(value_name);
            value_name = self.for_name(
                open,
                "For expression requires value variable name after comma.",
            )?;
        }
        if !self.peek_is_word("in") {
            return self.no_for(
                open,
                "For expression requires the 'in' keyword after its name declarations.",
            );
        }
        self.read();
        let collection = self.sound_expression()?;
        if self.eat(TokenKind::Colon).is_none() {
            return self.no_for(
                open,
                "For expression requires a colon after the collection expression.",
            );
        }
        let mark = self.mark();
        let mut result = self.expression();
        let mut key = None;
        if self.eat(TokenKind::FatArrow).is_some() {
            key = Some(result);
            result = self.expression();
        }
        if self.failed_since(mark) {
            return None;
        }
        let ellipsis = self.eat(TokenKind::Ellipsis);
        let condition = if self.peek_is_word("if") {
            self.read();
            Some(self.sound_expression()?)
        } else {
            None
        };
        let close = match self.eat(end) {
            Some(close) => close.span,
            None => {
                if !self.recovery {
                    self.no_for::<()>(
                        open,
                        "Extra characters after the end of the 'for' expression.",
                    );
                }
                self.recover(end).span
            }
        };
        let all = open.to(close);
        match (&key, end) {
            (None, TokenKind::CloseBrace) => self.error_in(
                all,
                result.span,
                FOR,
                "Key expression is required when building an object.",
            ),
            (Some(key), TokenKind::CloseBracket) => self.error_in(
                all,
                key.span,
                FOR,
                "Key expression is not valid when building a tuple.",
            ),
            _ => {}
        }
        if let (Some(dots), TokenKind::CloseBracket) = (ellipsis, end) {
            self.error_in(
                all,
                dots.span,
                FOR,
                "Grouping ellipsis (...) cannot be used when building a tuple.",
            );
        }
        let parts = ForExpr {
            key_name,
            value_name,
            collection,
            key,
            result,
            group: ellipsis.is_some(),
            condition,
        };
        Some((parts, close))
    }

    fn for_name(&mut self, open: Span, missing: &str) -> Option<Name> {
        let token = self.peek_token();
        if token.kind != TokenKind::Ident {
            return self.no_for(open, missing);
        }
        self.read();
        Some(self.name(token.span))
    }

    fn no_for<T>(&mut self, open: Span, detail: &str) -> Option<T> {
        if !self.recovery {
            let at = self.peek_token().span;
            self.error_in(open.to(at), at, FOR, detail);
        }
        None
    }

    /// An expression; `None` when it is broken.
    fn sound_expression(&mut self) -> Option<Expr> {
        let mark = self.mark();
        let expr = self.expression();
        (!self.failed_since(mark)).then_some(expr)
    }
}
