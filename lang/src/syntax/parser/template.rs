//! Templates: quoted strings, heredocs and template files. Indentation and `~` act on tokens, before those are joined.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

use super::super::token::{Token, TokenKind};
use super::super::{Expr, ExprKind, Name, Span, TemplateFor, TemplateIf, TemplatePart};
use super::Parser;
use crate::config::place;
use crate::suggest::did_you_mean;

/// One token of a template, before sections are matched.
enum Piece<'a> {
    Text {
        text: Cow<'a, str>,
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

impl Piece<'_> {
    /// The word of a directive that continues or ends a section.
    fn word(&self) -> &'static str {
        match self {
            Piece::Else(_) => "else",
            Piece::EndIf(_) => "endif",
            Piece::EndFor(_) => "endfor",
            _ => "",
        }
    }
}

impl<'a> Parser<'a> {
    /// A quoted string or a heredoc.
    pub(super) fn quoted(&mut self, end: TokenKind) -> Expr {
        let open = self.read().span;
        if let Some((text, close)) = self.plain_text() {
            return Expr {
                kind: ExprKind::Template(vec![TemplatePart::Literal {
                    text: self.text(text).into(),
                    span: text,
                }]),
                span: open.to(close),
            };
        }
        let dedent = self.text(open).starts_with("<<-");
        let parts = self.template(end, dedent);
        Expr {
            kind: ExprKind::Template(parts),
            span: open.to(self.previous().span),
        }
    }

    /// Behind an opening quote: reads a text that stands for itself and the closing quote, if that is all there is.
    pub(super) fn plain_text(&mut self) -> Option<(Span, Span)> {
        let [text, close] = self.tokens.get(self.next..self.next + 2)? else {
            return None;
        };
        let (text, close) = (*text, *close);
        let plain = text.kind == TokenKind::QuotedText
            && close.kind == TokenKind::CloseQuote
            && stands_for_itself(self.text(text.span));
        plain.then(|| {
            self.next += 2;
            (text.span, close.span)
        })
    }

    /// Reads the parts up to and including the token that ends the template.
    pub(super) fn template(&mut self, end: TokenKind, dedent: bool) -> Vec<TemplatePart> {
        let (mut pieces, end) = self.pieces(end);
        if dedent {
            remove_indentation(&mut pieces);
        }
        Sections {
            pieces: join_texts(pieces).into_iter(),
            end,
            parser: self,
        }
        .root()
    }

    /// The template's pieces, and where it ends.
    fn pieces(&mut self, end: TokenKind) -> (Vec<Piece<'a>>, Span) {
        let start = self.peek_token().span;
        let mut pieces: Vec<Piece<'a>> = Vec::new();
        let mut trim_next = false;
        // A text that is no longer the piece before is not trimmed.
        let mut after_text = false;
        loop {
            let token = self.read();
            let trim = std::mem::take(&mut trim_next);
            let trims_before = token.span.end - token.span.start == 3;
            let after_text_before = std::mem::take(&mut after_text);
            match token.kind {
                kind if kind == end => return (pieces, token.span),
                TokenKind::QuotedText | TokenKind::TemplateText => {
                    let mut text = if token.kind == TokenKind::QuotedText {
                        self.unescape_quoted(token.span)
                    } else {
                        without_doubles(self.text(token.span))
                    };
                    if trim {
                        text = match text {
                            Cow::Borrowed(text) => text.trim_start().into(),
                            Cow::Owned(text) => text.trim_start().to_owned().into(),
                        };
                    }
                    pieces.push(Piece::Text {
                        text,
                        span: token.span,
                    });
                    after_text = true;
                }
                TokenKind::OpenInterpolation | TokenKind::OpenDirective => {
                    if trims_before
                        && after_text_before
                        && let Some(Piece::Text { text, .. }) = pieces.last_mut()
                    {
                        shorten(text, ..text.trim_end().len());
                    }
                    self.newlines.push(false);
                    if token.kind == TokenKind::OpenInterpolation {
                        let expr = self.expression();
                        trim_next = self.interpolation_end(start, end);
                        pieces.push(Piece::Interpolation(expr));
                    } else {
                        match self.directive(token) {
                            Some((piece, word)) => {
                                pieces.push(piece);
                                trim_next = self.directive_end(start, word);
                            }
                            None => {
                                self.recover(TokenKind::CloseSequence);
                            }
                        }
                    }
                    self.newlines.pop();
                }
                _ => {
                    if !self.recovery {
                        self.error_in(
                            start.to(token.span),
                            token.span,
                            "Unterminated template string",
                            "No closing marker was found for the string.",
                        );
                    }
                    let end = self.recover(end);
                    return (pieces, end.span);
                }
            }
        }
    }

    /// Reads `}` or `~}`; whether it trims.
    fn interpolation_end(&mut self, start: Span, end: TokenKind) -> bool {
        let close = self.peek_token();
        if close.kind == TokenKind::CloseSequence {
            self.read();
            return close.span.end - close.span.start == 2;
        }
        let unclosed = "Unclosed template interpolation sequence";
        let extra = "Extra characters after interpolation expression";
        let in_quotes = matches!(close.kind, TokenKind::CloseQuote | TokenKind::OpenQuote)
            && end == TokenKind::CloseQuote;
        match close.kind {
            _ if self.recovery => {}
            TokenKind::Eof => self.error(
                start,
                unclosed,
                "There is no closing brace for this interpolation sequence before the end of the file. This might be caused \
                 by incorrect nesting inside the given expression.",
            ),
            TokenKind::Colon => self.error_in(
                start.to(close.span),
                close.span,
                extra,
                "Template interpolation doesn't expect a colon at this location. Did you intend this to be a literal sequence to \
                 be processed as part of another language? If so, you can escape it by starting with \"$${\" instead of just \
                 \"${\".",
            ),
            _ if in_quotes => self.error(
                start,
                unclosed,
                "There is no closing brace for this interpolation sequence before the end of the quoted template. This might be \
                 caused by incorrect nesting inside the given expression.",
            ),
            _ => self.error_in(
                start.to(close.span),
                close.span,
                extra,
                "Expected a closing brace to end the interpolation expression, but found extra characters.\n\nThis can happen \
                 when you include interpolation syntax for another language, such as shell scripting, but forget to escape the \
                 interpolation start token. If this is an embedded sequence for another language, escape it by starting with \
                 \"$${\" instead of just \"${\".",
            ),
        }
        self.recover(TokenKind::CloseSequence);
        false
    }

    fn directive_end(&mut self, start: Span, word: Span) -> bool {
        let close = self.peek_token();
        if close.kind == TokenKind::CloseSequence {
            self.read();
            return close.span.end - close.span.start == 2;
        }
        if !self.recovery {
            let summary = format!("Extra characters in {} marker", self.text(word));
            self.error_in(
                start.to(close.span),
                close.span,
                &summary,
                "Expected a closing brace to end the sequence, but found extra characters.",
            );
        }
        self.recover(TokenKind::CloseSequence);
        false
    }

    /// What is in `%{ }`, with its first word; `None` when that is broken.
    fn directive(&mut self, open: Token) -> Option<(Piece<'a>, Span)> {
        let word = self.peek_token();
        if word.kind != TokenKind::Ident {
            if !self.recovery {
                self.error_in(
                    open.span.to(word.span),
                    word.span,
                    "Invalid template directive",
                    "A template directive keyword (\"if\", \"for\", etc) is expected at the beginning of a %{ sequence.",
                );
            }
            return None;
        }
        self.read();
        let all = |p: &Self| open.span.to(p.peek_token().span);
        let piece = match self.text(word.span) {
            "if" => {
                let condition = self.expression();
                Piece::If(condition, all(self))
            }
            "else" => Piece::Else(all(self)),
            "endif" => Piece::EndIf(all(self)),
            "for" => {
                let (key_name, value_name) = self.directive_names()?;
                let collection = self.expression();
                Piece::For {
                    key_name,
                    value_name,
                    collection,
                    span: all(self),
                }
            }
            "endfor" => Piece::EndFor(all(self)),
            other => {
                if !self.recovery {
                    let known = ["if", "for", "else", "endif", "endfor"].into_iter();
                    let hint = did_you_mean(other, known);
                    self.error_in(
                        open.span.to(word.span),
                        word.span,
                        "Invalid template control keyword",
                        format!("\"{other}\" is not a valid template control keyword.{hint}"),
                    );
                }
                return None;
            }
        };
        Some((piece, word.span))
    }

    /// One or two names and `in`, behind `for`.
    fn directive_names(&mut self) -> Option<(Option<Name>, Name)> {
        let first = self.directive_name("For directive requires variable name after 'for'.")?;
        let names = if self.eat(TokenKind::Comma).is_some() {
            let missing = "For directive requires value variable name after comma.";
            (Some(first), self.directive_name(missing)?)
        } else {
            (None, first)
        };
        if !self.peek_is_word("in") {
            return self.no_directive("For directive requires 'in' keyword after names.");
        }
        self.read();
        Some(names)
    }

    fn directive_name(&mut self, missing: &str) -> Option<Name> {
        let token = self.peek_token();
        if token.kind != TokenKind::Ident {
            return self.no_directive(missing);
        }
        self.read();
        Some(self.name(token.span))
    }

    fn no_directive<T>(&mut self, detail: &str) -> Option<T> {
        if !self.recovery {
            let at = self.peek_token().span;
            self.error(at, "Invalid 'for' directive", detail);
        }
        None
    }

    /// Resolves the escapes of a quoted string's text.
    pub(super) fn unescape_quoted(&mut self, span: Span) -> Cow<'a, str> {
        let text = self.text(span);
        if stands_for_itself(text) {
            return text.into();
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
            if rest.starts_with("$${") || rest.starts_with("%%{") {
                out.extend(rest.chars().next());
                out.push('{');
                at += 3;
                continue;
            }
            if !rest.starts_with('\\') {
                let plain = rest.find(['\\', '$', '%']).unwrap_or(rest.len());
                let plain = plain.max(1);
                out.push_str(rest.get(..plain).unwrap_or(""));
                at += plain;
                continue;
            }
            let (length, read) = escape(rest);
            match read {
                Ok(c) => out.push(c),
                Err(detail) => {
                    let start = span.start + at as u32;
                    let bad = Span::new(start, start + length as u32);
                    self.error(bad, "Invalid escape sequence", detail);
                    out.push_str(rest.get(1..length).unwrap_or(""));
                }
            }
            at += length;
        }
        out.into()
    }
}

/// `$${` and `%%{` stand for themselves with one sign less; they are tokens of their own.
fn without_doubles(text: &str) -> Cow<'_, str> {
    if text.starts_with("$${") || text.starts_with("%%{") {
        text.get(1..).unwrap_or("").into()
    } else {
        text.into()
    }
}

/// Whether nothing in a quoted text is escaped.
fn stands_for_itself(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'\\' | b'$' | b'%'))
}

/// Keeps a part of a text.
fn shorten<R>(text: &mut Cow<'_, str>, kept: R)
where
    R: std::slice::SliceIndex<str, Output = str>,
{
    *text = match text {
        Cow::Borrowed(text) => text.get(kept).unwrap_or("").into(),
        Cow::Owned(text) => text.get(kept).unwrap_or("").to_owned().into(),
    };
}

/// The escape that a text begins with: how long it is, and what it stands for or why it is wrong.
fn escape(text: &str) -> (usize, Result<char, String>) {
    let Some(selector) = text.chars().nth(1) else {
        let detail = "Backslash must be followed by an escape sequence selector character.";
        return (text.len(), Err(detail.to_owned()));
    };
    let simple = match selector {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '"' | '\\' => selector,
        'u' | 'U' => {
            let digits = if selector == 'u' { 4 } else { 8 };
            let given = text
                .bytes()
                .skip(2)
                .take(digits)
                .take_while(u8::is_ascii_hexdigit)
                .count();
            if given < digits {
                let words = if selector == 'u' { "four" } else { "eight" };
                let detail = format!(
                    "The \\{selector} escape sequence must be followed by {words} hexadecimal digits."
                );
                return (2 + given, Err(detail));
            }
            let code = text
                .get(2..2 + digits)
                .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                .unwrap_or(u32::MAX);
            let read = char::from_u32(code)
                .ok_or_else(|| format!("Cannot encode character U+{code:04x} in UTF-8."));
            return (2 + digits, read);
        }
        other => {
            let detail = format!("The symbol \"{other}\" is not a valid escape sequence selector.");
            return (1 + other.len_utf8(), Err(detail));
        }
    };
    (2, Ok(simple))
}

/// Pieces to parts: each section with what is in it.
struct Sections<'p, 'a> {
    pieces: std::vec::IntoIter<Piece<'a>>,
    /// Where the template ends.
    end: Span,
    parser: &'p mut Parser<'a>,
}

impl Sections<'_, '_> {
    fn root(mut self) -> Vec<TemplatePart> {
        let mut parts = Vec::with_capacity(self.pieces.len());
        while let Some(piece) = self.pieces.next() {
            parts.extend(self.part(piece));
        }
        parts
    }

    fn place(&self, span: Span) -> String {
        place(&self.parser.file.range(span))
    }

    /// `None` for what is broken; it was reported.
    fn part(&mut self, piece: Piece<'_>) -> Option<TemplatePart> {
        match piece {
            Piece::Text { text, span } => Some(TemplatePart::Literal {
                text: text.into(),
                span,
            }),
            Piece::Interpolation(expr) => Some(TemplatePart::Interpolation(expr)),
            Piece::If(condition, span) => self.deeper(|s| s.if_section(condition, span)),
            Piece::For {
                key_name,
                value_name,
                collection,
                span,
            } => {
                let (body, end) = self.deeper(|s| s.for_section(span))?;
                Some(TemplatePart::For(Box::new(TemplateFor {
                    key_name,
                    value_name,
                    collection,
                    body,
                    span: span.to(end),
                })))
            }
            Piece::Else(span) | Piece::EndIf(span) | Piece::EndFor(span) => {
                let summary = format!("Unexpected {} directive", piece.word());
                self.parser.error(
                    span,
                    &summary,
                    "The control directives within this template are unbalanced.",
                );
                None
            }
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if !self.parser.enter() {
            self.pieces = Vec::new().into_iter();
            return None;
        }
        let result = read(self);
        self.parser.depth -= 1;
        result
    }

    fn end_of_template(&mut self, word: &str, open: Span) {
        let detail = format!(
            "The {word} directive at {} is missing its corresponding end{word} directive.",
            self.place(open)
        );
        self.parser
            .error(self.end, "Unexpected end of template", detail);
    }

    fn if_section(&mut self, condition: Expr, open: Span) -> Option<TemplatePart> {
        let mut then = Vec::new();
        let mut otherwise: Option<Vec<TemplatePart>> = None;
        loop {
            let Some(piece) = self.pieces.next() else {
                self.end_of_template("if", open);
                return None;
            };
            let (detail, at) = match piece {
                Piece::Else(_) if otherwise.is_none() => {
                    otherwise = Some(Vec::new());
                    continue;
                }
                Piece::EndIf(end) => {
                    return Some(TemplatePart::If(Box::new(TemplateIf {
                        condition,
                        then,
                        otherwise: otherwise.unwrap_or_default(),
                        span: open.to(end),
                    })));
                }
                Piece::Else(at) => (
                    format!(
                        "Already in the else clause for the if started at {}.",
                        self.place(open)
                    ),
                    at,
                ),
                Piece::EndFor(at) => (
                    format!(
                        "Expecting an endif directive for the if started at {}.",
                        self.place(open)
                    ),
                    at,
                ),
                piece => {
                    let part = self.part(piece);
                    otherwise.as_mut().unwrap_or(&mut then).extend(part);
                    continue;
                }
            };
            let summary = format!("Unexpected {} directive", piece.word());
            self.parser.error(at, &summary, detail);
            return None;
        }
    }

    /// What is in the section, and its last directive.
    fn for_section(&mut self, open: Span) -> Option<(Vec<TemplatePart>, Span)> {
        let mut body = Vec::new();
        loop {
            let Some(piece) = self.pieces.next() else {
                self.end_of_template("for", open);
                return None;
            };
            let (detail, at) = match piece {
                Piece::EndFor(end) => return Some((body, end)),
                Piece::Else(at) => (
                    "An else clause is not expected for a for directive.".to_owned(),
                    at,
                ),
                Piece::EndIf(at) => (
                    format!(
                        "Expecting an endfor directive corresponding to the for directive at {}.",
                        self.place(open)
                    ),
                    at,
                ),
                piece => {
                    body.extend(self.part(piece));
                    continue;
                }
            };
            let summary = format!("Unexpected {} directive", piece.word());
            self.parser.error(at, &summary, detail);
            return None;
        }
    }
}

/// `<<-`: takes the smallest indentation, in characters, from every line. Blank lines don't count and stay as they are; a
/// line that begins with a sequence has none.
fn remove_indentation(pieces: &mut [Piece<'_>]) {
    let mut smallest = usize::MAX;
    let mut indented = Vec::new();
    let mut line_start = true;
    for (i, piece) in pieces.iter().enumerate() {
        let text = match piece {
            Piece::Text { text, .. } => Some(&**text),
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
            shorten(text, cut..);
        }
    }
}

/// Joins neighbouring texts.
fn join_texts(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let both = |pair: &[Piece<'_>]| matches!(pair, [Piece::Text { .. }, Piece::Text { .. }]);
    if !pieces.windows(2).any(both) {
        return pieces;
    }
    let mut joined: Vec<Piece<'_>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (
                Some(Piece::Text { text, span }),
                Piece::Text {
                    text: more,
                    span: end,
                },
            ) => {
                text.to_mut().push_str(&more);
                *span = span.to(end);
            }
            (_, piece) => joined.push(piece),
        }
    }
    joined
}
