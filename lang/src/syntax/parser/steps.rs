//! What follows a term: attributes, indexes, splats.

use stead_value::Number;
use stead_value::Value;

use super::super::token::{Token, TokenKind};
use super::super::{Span, Step, StepKind};
use super::{Parser, invalid};

impl Parser<'_> {
    pub(super) fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.count_names());
        loop {
            match self.peek() {
                TokenKind::Dot => {
                    let dot = self.read().span;
                    let token = self.peek_token();
                    match token.kind {
                        TokenKind::Ident => {
                            self.read();
                            steps.push(self.attribute_step(dot, token));
                        }
                        TokenKind::Number => {
                            self.read();
                            let hint = "Use the proper index syntax instead, like";
                            steps.extend(self.legacy_index(dot, token, token.span, hint));
                        }
                        TokenKind::Star => {
                            self.read();
                            steps.extend(self.attribute_splat(dot, token));
                        }
                        _ => {
                            self.no_name(token.span);
                            self.recovery = true;
                        }
                    }
                }
                TokenKind::OpenBracket => {
                    let Some(step) = self.nested(Self::index) else {
                        return steps;
                    };
                    let done = matches!(step.kind, StepKind::FullSplat(_));
                    steps.push(step);
                    if done {
                        return steps;
                    }
                }
                _ => return steps,
            }
        }
    }

    /// How many attributes come first. Most traversals have no other steps.
    fn count_names(&self) -> usize {
        let rest = self.tokens.get(self.position()..).unwrap_or_default();
        let is_name = |pair: &&[Token]| matches!(pair, [dot, name] if dot.kind == TokenKind::Dot && name.kind == TokenKind::Ident);
        rest.chunks_exact(2).take_while(is_name).count()
    }

    fn no_name(&mut self, at: Span) {
        self.error(
            at,
            "Invalid attribute name",
            "An attribute name is required after a dot.",
        );
    }

    fn attribute_step(&mut self, dot: Span, name: Token) -> Step {
        Step {
            kind: StepKind::Attr(self.shared(name.span)),
            span: dot.to(name.span),
        }
    }

    /// `.0`; `at` is where it is reported when two are chained.
    fn legacy_index(&mut self, dot: Span, number: Token, at: Span, hint: &str) -> Option<Step> {
        let text = self.text(number.span);
        if let Some((first, second)) = text.split_once('.') {
            self.error(
                at,
                "Invalid legacy index syntax",
                format!("When using the legacy index syntax, chaining two indexes together is not permitted. {hint} [{first}][{second}]."),
            );
            return None;
        }
        let index = self.number(number.span)?;
        Some(Step {
            kind: StepKind::LegacyIndex(Box::new(Value::number(index))),
            span: dot.to(number.span),
        })
    }

    pub(super) fn number(&mut self, span: Span) -> Option<Number> {
        let number = Number::parse(self.text(span));
        if number.is_none() {
            self.error(
                span,
                "Invalid number literal",
                "Failed to recognize the value of this number literal.",
            );
        }
        number
    }

    /// The attributes that follow `.*`; `None` when one is broken.
    fn attribute_splat(&mut self, first_dot: Span, star: Token) -> Option<Step> {
        let marker = first_dot.to(star.span);
        let mut each = Vec::new();
        while let Some(dot) = self.eat(TokenKind::Dot) {
            let token = self.peek_token();
            match token.kind {
                TokenKind::Ident => {
                    self.read();
                    each.push(self.attribute_step(dot.span, token));
                }
                TokenKind::Number => {
                    self.read();
                    let hint = "Use the proper index syntax with a full splat expression [*] instead, like";
                    each.extend(self.legacy_index(dot.span, token, star.span, hint));
                }
                kind => {
                    if !self.recovery && kind == TokenKind::Star {
                        self.error(
                            token.span,
                            "Nested splat expression not allowed",
                            "A splat expression (*) cannot be used inside another attribute-only splat expression.",
                        );
                    } else if !self.recovery {
                        self.no_name(star.span);
                    }
                    self.recovery = true;
                    return None;
                }
            }
        }
        let span = each.last().map_or(marker, |s: &Step| marker.to(s.span));
        Some(Step {
            kind: StepKind::AttrSplat(each),
            span,
        })
    }

    /// `[expression]`, or `[*]` and all that follows it.
    fn index(&mut self) -> Step {
        let open = self.read().span;
        if self.eat(TokenKind::Star).is_some() {
            let close = self.close_bracket(
                "Missing close bracket on splat index",
                "The star for a full splat operator must be immediately followed by a closing bracket (\"]\").",
            );
            let each = self.steps();
            let span = open.to(each.last().map_or(close, |s| s.span));
            return Step {
                kind: StepKind::FullSplat(each),
                span,
            };
        }
        self.with_newlines(false, |p| {
            let mark = p.mark();
            let mut key = p.expression();
            let close = if p.failed_since(mark) {
                key = invalid(key.span);
                p.recover(TokenKind::CloseBracket).span
            } else {
                p.close_bracket(
                    "Missing close bracket on index",
                    "The index operator must end with a closing bracket (\"]\").",
                )
            };
            Step {
                kind: StepKind::Index(Box::new(key)),
                span: open.to(close),
            }
        })
    }

    fn close_bracket(&mut self, summary: &str, detail: &str) -> Span {
        let close = self.read();
        if close.kind != TokenKind::CloseBracket && !self.recovery {
            // The reference points to where it goes on reading; people and editors know that place.
            let end = self.recover(TokenKind::CloseBracket).span;
            self.error(end, summary, detail);
            return end;
        }
        close.span
    }
}
