//! Expressions.

use stead_value::{Number, Type, Value};

use super::super::token::TokenKind;
use super::super::{
    BinaryOp, Call, Conditional, Expr, ExprKind, ForExpr, Name, ObjectItem, ObjectKey, Span, Step,
    StepKind, UnaryOp,
};
use super::template::name;
use super::{Parse, Parser};

/// Binary operators from the loosest to the tightest.
const PRECEDENCE: [&[(TokenKind, BinaryOp)]; 6] = [
    &[(TokenKind::Or, BinaryOp::Or)],
    &[(TokenKind::And, BinaryOp::And)],
    &[
        (TokenKind::EqualEqual, BinaryOp::Equal),
        (TokenKind::NotEqual, BinaryOp::NotEqual),
    ],
    &[
        (TokenKind::Greater, BinaryOp::Greater),
        (TokenKind::GreaterEqual, BinaryOp::GreaterEqual),
        (TokenKind::Less, BinaryOp::Less),
        (TokenKind::LessEqual, BinaryOp::LessEqual),
    ],
    &[
        (TokenKind::Plus, BinaryOp::Add),
        (TokenKind::Minus, BinaryOp::Subtract),
    ],
    &[
        (TokenKind::Star, BinaryOp::Multiply),
        (TokenKind::Slash, BinaryOp::Divide),
        (TokenKind::Percent, BinaryOp::Modulo),
    ],
];

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.nested(Self::conditional)
    }

    fn conditional(&mut self) -> Parse<Expr> {
        let condition = self.binary(0)?;
        if self.eat(TokenKind::Question).is_none() {
            return Ok(condition);
        }
        let then = self.expression()?;
        if self.eat(TokenKind::Colon).is_none() {
            return Err(self.error(
                "Missing false expression in conditional",
                "The conditional operator (...?...:...) requires a false expression, delimited by a colon.",
            ));
        }
        let otherwise = self.expression()?;
        let span = condition.span.to(otherwise.span);
        Ok(Expr {
            kind: ExprKind::Conditional(Box::new(Conditional {
                condition,
                then,
                otherwise,
            })),
            span,
        })
    }

    fn binary(&mut self, level: usize) -> Parse<Expr> {
        let Some(operators) = PRECEDENCE.get(level) else {
            return self.with_traversal();
        };
        let first = self.binary(level + 1)?;
        let mut rest = Vec::new();
        let mut span = first.span;
        loop {
            let kind = self.peek();
            let Some(&(_, op)) = operators.iter().find(|(token, _)| *token == kind) else {
                break;
            };
            self.read();
            let operand = self.binary(level + 1)?;
            span = span.to(operand.span);
            rest.push((op, operand));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expr {
            kind: ExprKind::Binary {
                first: Box::new(first),
                rest,
            },
            span,
        })
    }

    fn with_traversal(&mut self) -> Parse<Expr> {
        let base = self.term()?;
        let steps = self.steps()?;
        let Some(last) = steps.last() else {
            return Ok(base);
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
        Ok(Expr { kind, span })
    }

    fn term(&mut self) -> Parse<Expr> {
        let token = self.peek_token();
        match token.kind {
            TokenKind::OpenParen => self.nested(Self::parens),
            TokenKind::Number => {
                self.read();
                match Number::parse(self.text(token.span)) {
                    Some(number) => Ok(literal(Value::number(number), token.span)),
                    None => Err(self.error_at(
                        token.span,
                        "Invalid number literal",
                        "This number can't be represented.",
                    )),
                }
            }
            TokenKind::Ident => self.word(),
            TokenKind::OpenQuote => self.nested(Self::quoted_template),
            TokenKind::OpenHeredoc => self.nested(Self::heredoc),
            TokenKind::Minus | TokenKind::Not => {
                self.read();
                let op = if token.kind == TokenKind::Minus {
                    UnaryOp::Negate
                } else {
                    UnaryOp::Not
                };
                let operand = self.nested(Self::with_traversal)?;
                let span = token.span.to(operand.span);
                Ok(Expr {
                    kind: ExprKind::Unary {
                        op,
                        op_span: token.span,
                        operand: Box::new(operand),
                    },
                    span,
                })
            }
            TokenKind::OpenBracket => self.nested(Self::bracketed),
            TokenKind::OpenBrace => self.nested(Self::braced),
            TokenKind::Eof => Err(self.error(
                "Missing expression",
                "Expected the start of an expression, but found the end of the file.",
            )),
            _ => Err(self.error(
                "Invalid expression",
                "Expected the start of an expression, but found an invalid expression token.",
            )),
        }
    }

    fn parens(&mut self) -> Parse<Expr> {
        let open = self.read().span;
        self.newlines.push(false);
        let inner = self.expression()?;
        let Some(close) = self.eat(TokenKind::CloseParen) else {
            return Err(self.error(
                "Unbalanced parentheses",
                "Expected a closing parenthesis to terminate the expression.",
            ));
        };
        self.newlines.pop();
        Ok(Expr {
            kind: ExprKind::Parens(Box::new(inner)),
            span: open.to(close.span),
        })
    }

    /// A keyword, a function call or a reference.
    fn word(&mut self) -> Parse<Expr> {
        let span = self.read().span;
        let text = self.text(span);
        if matches!(self.peek(), TokenKind::OpenParen | TokenKind::DoubleColon) {
            return self.nested(|p| p.call(span));
        }
        Ok(match text {
            "true" => literal(Value::bool(true), span),
            "false" => literal(Value::bool(false), span),
            "null" => literal(Value::null(Type::Dynamic), span),
            _ => Expr {
                kind: ExprKind::Traversal {
                    root: name(text, span),
                    steps: Vec::new(),
                },
                span,
            },
        })
    }

    fn call(&mut self, first: Span) -> Parse<Expr> {
        let mut full_name = self.text(first).to_owned();
        let mut name_span = first;
        while self.eat(TokenKind::DoubleColon).is_some() {
            let token = self.peek_token();
            if token.kind != TokenKind::Ident {
                return Err(self.error("Missing function name", "Function scope resolution symbol :: must be followed by a function name in this scope."));
            }
            self.read();
            full_name.push_str("::");
            full_name.push_str(self.text(token.span));
            name_span = name_span.to(token.span);
        }
        let Some(open) = self.eat(TokenKind::OpenParen) else {
            return Err(self.error("Missing open parenthesis", "Function selector must be followed by an open parenthesis to begin the function call."));
        };
        self.newlines.push(false);
        let mut args = Vec::new();
        let mut expand = false;
        let close = loop {
            if let Some(close) = self.eat(TokenKind::CloseParen) {
                break close;
            }
            args.push(self.expression()?);
            match self.peek() {
                TokenKind::Comma => {
                    self.read();
                }
                TokenKind::CloseParen => {}
                TokenKind::Ellipsis => {
                    self.read();
                    expand = true;
                    if self.peek() != TokenKind::CloseParen {
                        return Err(self.error(
                            "Missing closing parenthesis",
                            "An expanded function argument (with ...) must be immediately followed by closing parentheses.",
                        ));
                    }
                }
                TokenKind::Eof => {
                    return Err(self.error_at(
                        name_span.to(open.span),
                        "Unterminated function call",
                        "There is no closing parenthesis for this function call before the end of the file. This may be \
                         caused by incorrect parenthesis nesting elsewhere in this file.",
                    ));
                }
                _ => {
                    return Err(self.error(
                        "Missing argument separator",
                        "A comma is required to separate each function argument from the next.",
                    ));
                }
            }
        };
        self.newlines.pop();
        let call = Call {
            name: full_name.into(),
            name_span,
            args,
            expand,
            open_paren: open.span,
            close_paren: close.span,
        };
        Ok(Expr {
            kind: ExprKind::Call(Box::new(call)),
            span: first.to(close.span),
        })
    }

    /// What follows a term: attributes, indexes, splats.
    fn steps(&mut self) -> Parse<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            match self.peek() {
                TokenKind::Dot => {
                    let dot = self.read().span;
                    let token = self.peek_token();
                    if token.kind == TokenKind::Star {
                        self.read();
                        steps.push(self.attribute_splat(dot.to(token.span))?);
                    } else {
                        steps.push(self.attribute_step(dot)?);
                    }
                }
                TokenKind::OpenBracket => {
                    let step = self.nested(Self::index)?;
                    let done = matches!(step.kind, StepKind::FullSplat(_));
                    steps.push(step);
                    if done {
                        return Ok(steps);
                    }
                }
                _ => return Ok(steps),
            }
        }
    }

    /// `.name` or `.0`, behind the dot.
    fn attribute_step(&mut self, dot: Span) -> Parse<Step> {
        let token = self.peek_token();
        let text = self.text(token.span);
        match token.kind {
            TokenKind::Ident => {
                self.read();
                Ok(Step {
                    kind: StepKind::Attr(text.into()),
                    span: dot.to(token.span),
                })
            }
            TokenKind::Number => {
                self.read();
                match Number::parse(text).filter(|_| text.bytes().all(|b| b.is_ascii_digit())) {
                    Some(n) => Ok(Step { kind: StepKind::LegacyIndex(Value::number(n)), span: dot.to(token.span) }),
                    None => Err(self.error_at(
                        token.span,
                        "Invalid legacy index syntax",
                        "When using the legacy index syntax, chaining two indexes together is not permitted. Use the proper \
                         index syntax instead, like [0][1].",
                    )),
                }
            }
            _ => Err(self.error(
                "Invalid attribute name",
                "An attribute name is required after a dot.",
            )),
        }
    }

    /// `.*` and the attributes that follow it.
    fn attribute_splat(&mut self, marker: Span) -> Parse<Step> {
        let mut each = Vec::new();
        while let Some(dot) = self.eat(TokenKind::Dot) {
            if self.peek() == TokenKind::Star {
                return Err(self.error(
                    "Nested splat expression not allowed",
                    "A splat expression (*) cannot be used inside another attribute-only splat expression.",
                ));
            }
            each.push(self.attribute_step(dot.span)?);
        }
        let span = each.last().map_or(marker, |s: &Step| marker.to(s.span));
        Ok(Step {
            kind: StepKind::AttrSplat(each),
            span,
        })
    }

    /// `[expression]`, or `[*]` and all that follows it.
    fn index(&mut self) -> Parse<Step> {
        let open = self.read().span;
        self.newlines.push(false);
        let star = self.eat(TokenKind::Star).is_some();
        let key = if star { None } else { Some(self.expression()?) };
        let Some(close) = self.eat(TokenKind::CloseBracket) else {
            return Err(if star {
                self.error("Missing close bracket on splat index", "The star for a full splat operator must be immediately followed by a closing bracket (\"]\").")
            } else {
                self.error(
                    "Missing close bracket on index",
                    "The index operator must end with a closing bracket (\"]\").",
                )
            });
        };
        self.newlines.pop();
        let span = open.to(close.span);
        match key {
            Some(key) => Ok(Step {
                kind: StepKind::Index(key),
                span,
            }),
            None => {
                let each = self.steps()?;
                let span = each.last().map_or(span, |s| span.to(s.span));
                Ok(Step {
                    kind: StepKind::FullSplat(each),
                    span,
                })
            }
        }
    }

    fn bracketed(&mut self) -> Parse<Expr> {
        let open = self.read().span;
        self.newlines.push(false);
        if self.peek_is_word("for") {
            return self.for_expression(open, TokenKind::CloseBracket);
        }
        let mut items = Vec::new();
        let close = loop {
            if let Some(close) = self.eat(TokenKind::CloseBracket) {
                break close;
            }
            items.push(self.expression()?);
            match self.peek() {
                TokenKind::Comma => {
                    self.read();
                }
                TokenKind::CloseBracket => {}
                TokenKind::Eof => {
                    return Err(self.error_at(
                        open,
                        "Unterminated tuple constructor expression",
                        "There is no corresponding closing bracket before the end of the file. This may be caused by \
                         incorrect bracket nesting elsewhere in this file.",
                    ));
                }
                _ => {
                    return Err(self.error(
                        "Missing item separator",
                        "Expected a comma to mark the beginning of the next item.",
                    ));
                }
            }
        };
        self.newlines.pop();
        Ok(Expr {
            kind: ExprKind::Tuple(items),
            span: open.to(close.span),
        })
    }

    fn braced(&mut self) -> Parse<Expr> {
        let open = self.read().span;
        // A `for` may stand on the next line, though in objects newlines are separators.
        self.newlines.push(false);
        if self.peek_is_word("for") {
            return self.for_expression(open, TokenKind::CloseBrace);
        }
        self.newlines.pop();
        self.newlines.push(true);
        let mut items = Vec::new();
        let close = loop {
            while self.eat(TokenKind::Newline).is_some() {}
            if let Some(close) = self.eat(TokenKind::CloseBrace) {
                break close;
            }
            items.push(self.object_item()?);
            match self.peek() {
                TokenKind::Comma | TokenKind::Newline => {
                    self.read();
                }
                TokenKind::CloseBrace => {}
                TokenKind::Eof => {
                    return Err(self.error_at(
                        open,
                        "Unterminated object constructor expression",
                        "There is no corresponding closing brace before the end of the file. This may be caused by incorrect \
                         brace nesting elsewhere in this file.",
                    ));
                }
                _ => {
                    return Err(self.error(
                        "Missing attribute separator",
                        "Expected a newline or comma to mark the beginning of the next attribute.",
                    ));
                }
            }
        };
        self.newlines.pop();
        Ok(Expr {
            kind: ExprKind::Object(items),
            span: open.to(close.span),
        })
    }

    fn object_item(&mut self) -> Parse<ObjectItem> {
        let key = self.object_key()?;
        match self.peek() {
            TokenKind::Equal | TokenKind::Colon => {
                self.read();
            }
            TokenKind::Newline | TokenKind::Eof => {
                return Err(self.error(
                    "Missing attribute value",
                    "Expected an attribute value, introduced by an equals sign (\"=\").",
                ));
            }
            _ => {
                return Err(self.error(
                    "Missing key/value separator",
                    "Expected an equals sign (\"=\") to mark the beginning of the attribute value.",
                ));
            }
        }
        let value = self.expression()?;
        Ok(ObjectItem { key, value })
    }

    /// A bare word is a name, also when it is a keyword; all else is an expression.
    fn object_key(&mut self) -> Parse<ObjectKey> {
        let token = self.peek_token();
        if token.kind == TokenKind::Ident
            && matches!(
                self.token_at(self.position() + 1).kind,
                TokenKind::Equal | TokenKind::Colon
            )
        {
            self.read();
            return Ok(ObjectKey::Name(name(self.text(token.span), token.span)));
        }
        let key = self.expression()?;
        match key.kind {
            ExprKind::Traversal { root, steps } if steps.is_empty() => Ok(ObjectKey::Name(root)),
            kind => Ok(ObjectKey::Expr(Expr {
                kind,
                span: key.span,
            })),
        }
    }

    /// One or two names and `in`, behind `for`.
    pub(super) fn for_names(&mut self) -> Parse<(Option<Name>, Name)> {
        let first = self.for_name()?;
        let second = if self.eat(TokenKind::Comma).is_some() {
            Some(self.for_name()?)
        } else {
            None
        };
        if !self.peek_is_word("in") {
            return Err(self.error(
                "Invalid 'for' expression",
                "For expression requires the 'in' keyword after its name declarations.",
            ));
        }
        self.read();
        Ok(match second {
            Some(value) => (Some(first), value),
            None => (None, first),
        })
    }

    fn for_name(&mut self) -> Parse<Name> {
        let token = self.peek_token();
        if token.kind != TokenKind::Ident {
            return Err(self.error(
                "Invalid 'for' expression",
                "For expression requires variable name after 'for'.",
            ));
        }
        self.read();
        Ok(name(self.text(token.span), token.span))
    }

    fn for_expression(&mut self, open: Span, end: TokenKind) -> Parse<Expr> {
        self.read();
        let summary = "Invalid 'for' expression";
        let (key_name, value_name) = self.for_names()?;
        let collection = self.expression()?;
        if self.eat(TokenKind::Colon).is_none() {
            return Err(self.error(
                summary,
                "For expression requires a colon after the collection expression.",
            ));
        }
        let first = self.expression()?;
        let (key, result) = if self.eat(TokenKind::FatArrow).is_some() {
            (Some(first), self.expression()?)
        } else {
            (None, first)
        };
        let mut group = false;
        if let Some(dots) = self.eat(TokenKind::Ellipsis) {
            if key.is_none() {
                return Err(self.error_at(
                    dots.span,
                    summary,
                    "Grouping ellipsis (\"...\") cannot be used when building a tuple.",
                ));
            }
            group = true;
        }
        let condition = if self.peek_is_word("if") {
            self.read();
            Some(self.expression()?)
        } else {
            None
        };
        let Some(close) = self.eat(end) else {
            return Err(self.error(
                summary,
                "Extra characters after the end of the 'for' expression.",
            ));
        };
        self.newlines.pop();
        match (&key, end) {
            (Some(key), TokenKind::CloseBracket) => {
                return Err(self.error_at(
                    key.span,
                    summary,
                    "Key expression is not valid when building a tuple.",
                ));
            }
            (None, TokenKind::CloseBrace) => {
                return Err(self.error_at(
                    result.span,
                    summary,
                    "Key expression is required when building an object.",
                ));
            }
            _ => {}
        }
        let parts = ForExpr {
            key_name,
            value_name,
            collection,
            key,
            result,
            group,
            condition,
        };
        Ok(Expr {
            kind: ExprKind::For(Box::new(parts)),
            span: open.to(close.span),
        })
    }
}

fn literal(value: Value, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Literal(value),
        span,
    }
}
