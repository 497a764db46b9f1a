//! Templates: quoted strings, heredocs and template files. Indentation and `~` act on tokens, before those are joined.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::super::token::{Token, TokenKind};
use super::super::{Expr, ExprKind, Name, Span, TemplatePart};
use super::{Parse, Parser};

/// One token of a template, before sections are matched.
enum Piece {
    Text {
        text: String,
        span: Span,
    },
    Interpolation(Expr),
    If(Expr, Span),
    Else(Span),
    EndIf(Span),
    For {
        key_name: Option<Name>,
        value_name: Name,
        collection: Expr,
        span: Span,
    },
    EndFor(Span),
}

impl Parser<'_> {
    pub(super) fn quoted_template(&mut self) -> Parse<Expr> {
        let open = self.read().span;
        let parts = self.template(TokenKind::CloseQuote, false)?;
        Ok(Expr {
            kind: ExprKind::Template(parts),
            span: Span::new(open.start, self.previous_end()),
        })
    }

    pub(super) fn heredoc(&mut self) -> Parse<Expr> {
        let open = self.read().span;
        let dedent = self.text(open).starts_with("<<-");
        let parts = self.template(TokenKind::CloseHeredoc, dedent)?;
        Ok(Expr {
            kind: ExprKind::Template(parts),
            span: Span::new(open.start, self.previous_end()),
        })
    }

    fn previous_end(&self) -> u32 {
        self.next
            .checked_sub(1)
            .map_or(0, |i| self.token_at(i).span.end)
    }

    /// Reads the parts up to and including the token that ends the template.
    pub(super) fn template(&mut self, end: TokenKind, dedent: bool) -> Parse<Vec<TemplatePart>> {
        let mut pieces = self.pieces(end)?;
        if dedent {
            remove_indentation(&mut pieces);
        }
        let mut pieces = join_texts(pieces).into_iter();
        let (parts, stop) = self.section(&mut pieces, None)?;
        match stop {
            None => Ok(parts),
            Some(Piece::Else(span)) => Err(self.error_at(
                span,
                "Unexpected else directive",
                "This \"else\" belongs to no \"if\" directive.",
            )),
            Some(Piece::EndIf(span)) => Err(self.error_at(
                span,
                "Unexpected endif directive",
                "This \"endif\" belongs to no \"if\" directive.",
            )),
            Some(Piece::EndFor(span)) => Err(self.error_at(
                span,
                "Unexpected endfor directive",
                "This \"endfor\" belongs to no \"for\" directive.",
            )),
            Some(_) => Ok(parts),
        }
    }

    fn pieces(&mut self, end: TokenKind) -> Parse<Vec<Piece>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut trim_next = false;
        loop {
            // Newlines are never tokens of their own in here.
            let token = self.token_at(self.next);
            let trim = std::mem::take(&mut trim_next);
            match token.kind {
                kind if kind == end => {
                    self.next += 1;
                    return Ok(pieces);
                }
                TokenKind::QuotedText | TokenKind::TemplateText => {
                    self.next += 1;
                    let mut text = if token.kind == TokenKind::QuotedText {
                        self.unescape_quoted(token.span)?
                    } else {
                        self.text(token.span)
                            .replace("$${", "${")
                            .replace("%%{", "%{")
                    };
                    if trim {
                        text = text.trim_start().to_owned();
                    }
                    pieces.push(Piece::Text {
                        text,
                        span: token.span,
                    });
                }
                TokenKind::OpenInterpolation | TokenKind::OpenDirective => {
                    self.next += 1;
                    if token.span.end - token.span.start == 3
                        && let Some(Piece::Text { text, .. }) = pieces.last_mut()
                    {
                        text.truncate(text.trim_end().len());
                    }
                    let piece = if token.kind == TokenKind::OpenInterpolation {
                        let expr = self.with_newlines(false, Self::expression)?;
                        Piece::Interpolation(expr)
                    } else {
                        self.with_newlines(false, |p| p.directive(token))?
                    };
                    let what = match piece {
                        Piece::Interpolation(_) => "interpolation expression",
                        Piece::If(..) => "if expression",
                        Piece::For { .. } => "for expression",
                        _ => "directive",
                    };
                    pieces.push(piece);
                    trim_next = self.with_newlines(false, |p| p.sequence_end(what))?;
                }
                TokenKind::Invalid => return Err(super::Broken),
                _ => {
                    return Err(self.error_at(
                        token.span,
                        "Unterminated template string",
                        "No closing marker was found for the string.",
                    ));
                }
            }
        }
    }

    /// Reads `}` or `~}`; whether it trims.
    fn sequence_end(&mut self, what: &str) -> Parse<bool> {
        match self.eat(TokenKind::CloseSequence) {
            Some(token) => Ok(token.span.end - token.span.start == 2),
            None if self.peek() == TokenKind::Eof => Err(self.error(
                "Unclosed template interpolation sequence",
                "There is no closing brace for this interpolation sequence before the end of the file. This might be caused \
                 by incorrect nesting inside the given expression.",
            )),
            None => Err(self.error(
                &format!("Extra characters after {what}"),
                format!("Expected a closing brace to end the {what}, but found extra characters."),
            )),
        }
    }

    fn directive(&mut self, open: Token) -> Parse<Piece> {
        let word = self.peek_token();
        if word.kind != TokenKind::Ident {
            return Err(self.error(
                "Invalid template directive",
                "A template directive keyword (\"if\", \"for\", etc) is expected at the beginning of a %{ sequence.",
            ));
        }
        self.read();
        let span = open.span.to(word.span);
        Ok(match self.text(word.span) {
            "if" => Piece::If(self.expression()?, span),
            "else" => Piece::Else(span),
            "endif" => Piece::EndIf(span),
            "for" => {
                let (key_name, value_name) = self.for_names()?;
                let collection = self.expression()?;
                Piece::For {
                    key_name,
                    value_name,
                    collection,
                    span,
                }
            }
            "endfor" => Piece::EndFor(span),
            other => {
                return Err(self.error_at(
                    word.span,
                    "Invalid template control keyword",
                    format!("\"{other}\" is not a valid template control keyword."),
                ));
            }
        })
    }

    /// Reads parts until a piece that ends or splits a section.
    fn section(
        &mut self,
        pieces: &mut std::vec::IntoIter<Piece>,
        opener: Option<(&str, Span)>,
    ) -> Parse<(Vec<TemplatePart>, Option<Piece>)> {
        let mut parts = Vec::new();
        while let Some(piece) = pieces.next() {
            parts.push(match piece {
                Piece::Text { text, span } => TemplatePart::Literal {
                    text: text.into(),
                    span,
                },
                Piece::Interpolation(expr) => TemplatePart::Interpolation(expr),
                Piece::If(condition, span) => {
                    self.nested(|p| p.if_section(pieces, condition, span))?
                }
                Piece::For {
                    key_name,
                    value_name,
                    collection,
                    span,
                } => {
                    let body = self.nested(|p| p.for_section(pieces, span))?;
                    TemplatePart::For {
                        key_name,
                        value_name,
                        collection,
                        body,
                        span,
                    }
                }
                stop => return Ok((parts, Some(stop))),
            });
        }
        match opener {
            None => Ok((parts, None)),
            Some((word, span)) => Err(self.error_at(
                span,
                "Unexpected end of template",
                format!("The {word} directive at this place is not closed by \"end{word}\"."),
            )),
        }
    }

    fn if_section(
        &mut self,
        pieces: &mut std::vec::IntoIter<Piece>,
        condition: Expr,
        span: Span,
    ) -> Parse<TemplatePart> {
        let (then, stop) = self.section(pieces, Some(("if", span)))?;
        let (otherwise, stop) = match stop {
            Some(Piece::Else(_)) => self.section(pieces, Some(("if", span)))?,
            stop => (Vec::new(), stop),
        };
        match stop {
            Some(Piece::EndIf(_)) => Ok(TemplatePart::If {
                condition,
                then,
                otherwise,
                span,
            }),
            Some(Piece::Else(at)) => Err(self.error_at(
                at,
                "Unexpected else directive",
                "Already in the else clause for the \"if\" directive that was started before.",
            )),
            Some(Piece::EndFor(at)) => Err(self.error_at(
                at,
                "Unexpected endfor directive",
                "Expecting an endif directive for the \"if\" started before.",
            )),
            _ => Err(super::Broken),
        }
    }

    fn for_section(
        &mut self,
        pieces: &mut std::vec::IntoIter<Piece>,
        span: Span,
    ) -> Parse<Vec<TemplatePart>> {
        let (body, stop) = self.section(pieces, Some(("for", span)))?;
        match stop {
            Some(Piece::EndFor(_)) => Ok(body),
            Some(Piece::Else(at)) => Err(self.error_at(
                at,
                "Unexpected else directive",
                "An else clause is not expected for a \"for\" directive.",
            )),
            Some(Piece::EndIf(at)) => Err(self.error_at(
                at,
                "Unexpected endif directive",
                "Expecting an endfor directive for the \"for\" started before.",
            )),
            _ => Err(super::Broken),
        }
    }

    /// Resolves the escapes of a quoted string's text.
    pub(super) fn unescape_quoted(&mut self, span: Span) -> Parse<String> {
        let text = self.text(span);
        if !text.contains(['\\', '$', '%']) {
            return Ok(text.to_owned());
        }
        let mut out = String::with_capacity(text.len());
        let mut chars = text.char_indices();
        while let Some((i, c)) = chars.next() {
            let rest = text.get(i..).unwrap_or("");
            if rest.starts_with("$${") || rest.starts_with("%%{") {
                out.push(c);
                out.push('{');
                chars.nth(1);
                continue;
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            let escape = chars.next().map(|(_, c)| c);
            let digits = match escape {
                Some('n') => {
                    out.push('\n');
                    continue;
                }
                Some('r') => {
                    out.push('\r');
                    continue;
                }
                Some('t') => {
                    out.push('\t');
                    continue;
                }
                Some(c @ ('"' | '\\')) => {
                    out.push(c);
                    continue;
                }
                Some('u') => 4,
                Some('U') => 8,
                _ => 0,
            };
            let code = (digits > 0)
                .then(|| rest.get(2..2 + digits))
                .flatten()
                .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                // What is no character (a surrogate) becomes the replacement character.
                .map(|code| char::from_u32(code).unwrap_or('\u{fffd}'));
            match code {
                Some(c) => {
                    out.push(c);
                    chars.nth(digits - 1);
                }
                None => {
                    let at = Span::new(
                        span.start + i as u32,
                        span.start + i as u32 + 1 + escape.map_or(0, |c| c.len_utf8() as u32),
                    );
                    let detail = match escape {
                        Some('u') => {
                            "The \\u escape sequence must be followed by four hexadecimal digits."
                                .to_owned()
                        }
                        Some('U') => {
                            "The \\U escape sequence must be followed by eight hexadecimal digits."
                                .to_owned()
                        }
                        Some(c) => {
                            format!("The symbol \"{c}\" is not a valid escape sequence selector.")
                        }
                        None => "A backslash at the end of a string escapes nothing.".to_owned(),
                    };
                    return Err(self.error_at(at, "Invalid escape sequence", detail));
                }
            }
        }
        Ok(out)
    }
}

/// `<<-`: takes the smallest indentation, in characters, from every line. Blank lines don't count and stay as they are; a
/// line that begins with a sequence has none.
fn remove_indentation(pieces: &mut [Piece]) {
    let mut smallest = usize::MAX;
    let mut indented = Vec::new();
    let mut line_start = true;
    for (i, piece) in pieces.iter().enumerate() {
        let text = match piece {
            Piece::Text { text, .. } => Some(text.as_str()),
            _ => None,
        };
        if line_start {
            line_start = false;
            match text {
                Some(text) => {
                    let trimmed = text.trim_start();
                    if !(trimmed.is_empty() && text.ends_with('\n')) {
                        let spaces = text.get(..text.len() - trimmed.len()).unwrap_or("");
                        smallest = smallest.min(spaces.graphemes(true).count());
                        indented.push(i);
                    }
                }
                None => smallest = 0,
            }
        }
        line_start |= text.is_some_and(|t| t.ends_with('\n'));
    }
    for i in indented {
        if let Some(Piece::Text { text, .. }) = pieces.get_mut(i) {
            let cut: usize = text.graphemes(true).take(smallest).map(str::len).sum();
            text.drain(..cut);
        }
    }
}

/// Joins neighbouring texts and drops empty ones.
fn join_texts(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (_, Piece::Text { text, .. }) if text.is_empty() => {}
            (
                Some(Piece::Text { text, span }),
                Piece::Text {
                    text: more,
                    span: end,
                },
            ) => {
                text.push_str(&more);
                *span = span.to(end);
            }
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// A name token as a tree name.
pub(super) fn name(text: &str, span: Span) -> Name {
    Name {
        text: Arc::from(text),
        span,
    }
}
