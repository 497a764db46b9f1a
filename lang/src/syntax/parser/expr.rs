//! Expressions.

use stead_value::{Type, Value};

use super::super::token::TokenKind;
use super::super::{BinaryOp, Conditional, Expr, ExprKind, Span, UnaryOp};
use super::{Parser, invalid};

/// A binary operator, and how tightly it binds.
fn operator(kind: TokenKind) -> Option<(u8, BinaryOp)> {
    Some(match kind {
        TokenKind::Or => (0, BinaryOp::Or),
        TokenKind::And => (1, BinaryOp::And),
        TokenKind::EqualEqual => (2, BinaryOp::Equal),
        TokenKind::NotEqual => (2, BinaryOp::NotEqual),
        TokenKind::Greater => (3, BinaryOp::Greater),
        TokenKind::GreaterEqual => (3, BinaryOp::GreaterEqual),
        TokenKind::Less => (3, BinaryOp::Less),
        TokenKind::LessEqual => (3, BinaryOp::LessEqual),
        TokenKind::Plus => (4, BinaryOp::Add),
        TokenKind::Minus => (4, BinaryOp::Subtract),
        TokenKind::Star => (5, BinaryOp::Multiply),
        TokenKind::Slash => (5, BinaryOp::Divide),
        TokenKind::Percent => (5, BinaryOp::Modulo),
        _ => return None,
    })
}

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Expr {
        self.nested_expr(Self::conditional)
    }

    fn conditional(&mut self) -> Expr {
        let start = self.peek_token().span;
        let mark = self.mark();
        let condition = self.binary(0);
        if self.failed_since(mark) || self.eat(TokenKind::Question).is_none() {
            return condition;
        }
        let mark = self.mark();
        let then = self.expression();
        if self.failed_since(mark) {
            return condition;
        }
        let colon = self.peek_token();
        if colon.kind != TokenKind::Colon {
            self.error_in(
                start.to(colon.span),
                colon.span,
                "Missing false expression in conditional",
                "The conditional operator (...?...:...) requires a false expression, delimited by a colon.",
            );
            return condition;
        }
        self.read();
        let mark = self.mark();
        let otherwise = self.expression();
        if self.failed_since(mark) {
            return condition;
        }
        let span = start.to(otherwise.span);
        Expr {
            kind: ExprKind::Conditional(Box::new(Conditional {
                condition,
                then,
                otherwise,
            })),
            span,
        }
    }

    /// Operators that bind at least so tightly, and their operands.
    fn binary(&mut self, least: u8) -> Expr {
        let mark = self.mark();
        let mut first = self.with_traversal();
        // From the tightest to the loosest: operators of one level at a time.
        while !self.failed_since(mark)
            && let Some((level, _)) = operator(self.peek()).filter(|(level, _)| *level >= least)
        {
            let mut rest = Vec::new();
            let mut span = first.span;
            while let Some((same, op)) = operator(self.peek())
                && same == level
            {
                self.read();
                let operand = self.binary(level + 1);
                if self.failed_since(mark) {
                    break;
                }
                span = span.to(operand.span);
                rest.push((op, operand));
            }
            if !rest.is_empty() {
                first = Expr {
                    kind: ExprKind::Binary {
                        first: Box::new(first),
                        rest,
                    },
                    span,
                };
            }
        }
        first
    }

    fn with_traversal(&mut self) -> Expr {
        let base = self.term();
        let steps = self.steps();
        let Some(last) = steps.last() else {
            return base;
        };
        let span = base.span.to(last.span);
        let kind = match base.kind {
            ExprKind::Traversal { root, steps: none } if none.is_empty() => {
                ExprKind::Traversal { root, steps }
            }
            kind => ExprKind::Access {
                base: Box::new(Expr {
                    kind,
                    span: base.span,
                }),
                steps,
            },
        };
        Expr { kind, span }
    }

    fn term(&mut self) -> Expr {
        let token = self.peek_token();
        match token.kind {
            TokenKind::OpenParen => self.nested_expr(Self::parens),
            TokenKind::Number => {
                self.read();
                match self.number(token.span) {
                    Some(number) => literal(Value::number(number), token.span),
                    None => invalid(token.span),
                }
            }
            TokenKind::Ident => self.word(),
            TokenKind::OpenQuote => self.nested_expr(|p| p.quoted(TokenKind::CloseQuote)),
            TokenKind::OpenHeredoc => self.nested_expr(|p| p.quoted(TokenKind::CloseHeredoc)),
            TokenKind::Minus => self.nested_expr(|p| p.unary(UnaryOp::Negate)),
            TokenKind::Not => self.nested_expr(|p| p.unary(UnaryOp::Not)),
            TokenKind::OpenBracket => self.nested_expr(Self::bracketed),
            TokenKind::OpenBrace => self.nested_expr(Self::braced),
            kind => {
                if !self.recovery && kind == TokenKind::Eof {
                    self.error(
                        token.span,
                        "Missing expression",
                        "Expected the start of an expression, but found the end of the file.",
                    );
                } else if !self.recovery {
                    self.error(
                        token.span,
                        "Invalid expression",
                        "Expected the start of an expression, but found an invalid expression token.",
                    );
                }
                self.recovery = true;
                invalid(token.span)
            }
        }
    }

    fn unary(&mut self, op: UnaryOp) -> Expr {
        let op_span = self.read().span;
        let operand = self.with_traversal();
        Expr {
            span: op_span.to(operand.span),
            kind: ExprKind::Unary {
                op,
                op_span,
                operand: Box::new(operand),
            },
        }
    }

    fn parens(&mut self) -> Expr {
        let open = self.read().span;
        self.with_newlines(false, |p| {
            let mark = p.mark();
            let inner = p.expression();
            if p.mark() > mark {
                p.recover(TokenKind::CloseParen);
                return inner;
            }
            let close = p.peek_token();
            if close.kind != TokenKind::CloseParen {
                p.error_in(
                    open.to(close.span),
                    close.span,
                    "Unbalanced parentheses",
                    "Expected a closing parenthesis to terminate the expression.",
                );
                p.recovery = true;
            }
            p.read();
            Expr {
                kind: ExprKind::Parens(Box::new(inner)),
                span: open.to(close.span),
            }
        })
    }

    /// A keyword, a function call or a reference.
    fn word(&mut self) -> Expr {
        let span = self.read().span;
        let text = self.text(span);
        if matches!(self.peek(), TokenKind::OpenParen | TokenKind::DoubleColon) {
            return self.nested_expr(|p| p.call(span));
        }
        match text {
            "true" => literal(Value::bool(true), span),
            "false" => literal(Value::bool(false), span),
            "null" => literal(Value::null(Type::Dynamic), span),
            _ => Expr {
                kind: ExprKind::Traversal {
                    root: self.name(span),
                    steps: Vec::new(),
                },
                span,
            },
        }
    }
}

fn literal(value: Value, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Literal(value),
        span,
    }
}
