//! Text to tokens: the whole file in one pass, with a stack of modes for templates inside expressions inside templates.

use stead_value::{Diagnostic, Diagnostics};
use unicode_ident::{is_xid_continue, is_xid_start};

use super::token::{Token, TokenKind};
use super::{SourceFile, Span};

/// What the text is at its outermost level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A configuration file or an expression.
    Config,
    /// A template, as in a template file.
    Template,
}

/// Reads all tokens; the last is always `Eof`. What is no token is reported and becomes `Invalid`.
pub(crate) fn lex(file: &SourceFile, part: Span, start: Start) -> (Vec<Token>, Diagnostics) {
    let text = file.text().get(..part.end as usize).unwrap_or("");
    let mut lexer = Lexer {
        file,
        text,
        at: match part.start {
            0 if text.starts_with('\u{feff}') => '\u{feff}'.len_utf8(),
            start => start as usize,
        },
        tokens: Vec::with_capacity((text.len() - part.start as usize) / 4),
        diagnostics: Diagnostics::new(),
        told: Vec::new(),
        modes: vec![match start {
            Start::Config => Mode::Expression { braces: 0 },
            Start::Template => Mode::Template,
        }],
    };
    if u32::try_from(lexer.text.len()).is_err() {
        lexer.diagnostics.push(Diagnostic::error(
            "File too large",
            "A source file can't be larger than 4 GiB.",
        ));
        lexer.at = lexer.text.len();
    }
    lexer.run();
    (lexer.tokens, lexer.diagnostics)
}

#[derive(Debug)]
enum Mode<'a> {
    /// Outside any template; `braces` counts the open ones, so that the `}` that ends an interpolation is found.
    Expression {
        braces: u32,
    },
    Quoted,
    Heredoc {
        marker: &'a str,
        /// Nothing but text was read since the last newline, so the end marker may come.
        at_line_start: bool,
    },
    /// A whole text as template: ends with the text.
    Template,
}

struct Lexer<'a> {
    file: &'a SourceFile,
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    diagnostics: Diagnostics,
    modes: Vec<Mode<'a>>,
    /// What was said of characters that are no tokens.
    told: Vec<&'static str>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        while self.at < self.text.len() {
            match self.modes.last() {
                Some(Mode::Expression { .. }) | None => self.expression_token(),
                Some(Mode::Quoted) => self.quoted_token(),
                Some(Mode::Heredoc { .. }) => self.heredoc_token(),
                Some(Mode::Template) => self.template_token(),
            }
        }
        self.push(TokenKind::Eof, self.at);
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn byte(&self, offset: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + offset)
            .copied()
            .unwrap_or(0)
    }

    /// Ends a token that began at the current place.
    fn push(&mut self, kind: TokenKind, end: usize) {
        self.tokens.push(Token {
            kind,
            span: Span::new(self.at as u32, end as u32),
        });
        self.at = end;
    }

    fn take(&mut self, kind: TokenKind, length: usize) {
        self.push(kind, self.at + length);
    }

    fn invalid(&mut self, length: usize, summary: &str, detail: &'static str) {
        // A habit of another language is explained once per file.
        if !self.told.contains(&detail) {
            self.told.push(detail);
            let span = Span::new(self.at as u32, (self.at + length) as u32);
            self.diagnostics
                .push(Diagnostic::error(summary, detail).at(self.file.range(span)));
        }
        self.take(TokenKind::Invalid, length);
    }

    fn expression_token(&mut self) {
        use TokenKind::*;
        let (a, b, c) = (self.byte(0), self.byte(1), self.byte(2));
        match (a, b, c) {
            (b' ' | b'\t', ..) => self.at += 1,
            (b'\n', ..) => self.take(Newline, 1),
            (b'\r', b'\n', _) => self.take(Newline, 2),
            (b'#', ..) | (b'/', b'/', _) => {
                let line = self.rest().split('\n').next().unwrap_or("");
                self.take(Comment, line.strip_suffix('\r').unwrap_or(line).len());
            }
            (b'/', b'*', _) => self.block_comment(),
            (b'"', ..) => {
                self.take(OpenQuote, 1);
                self.modes.push(Mode::Quoted);
            }
            (b'0'..=b'9', ..) => self.number(),
            (b'<', b'<', _) if self.heredoc_start() => {}
            (b'{', ..) => {
                if let Some(Mode::Expression { braces }) = self.modes.last_mut() {
                    *braces += 1;
                }
                self.take(OpenBrace, 1);
            }
            (b'}', ..) => self.close_brace(1),
            (b'~', b'}', _) if self.ends_sequence() => self.close_brace(2),
            (b'[', ..) => self.take(OpenBracket, 1),
            (b']', ..) => self.take(CloseBracket, 1),
            (b'(', ..) => self.take(OpenParen, 1),
            (b')', ..) => self.take(CloseParen, 1),
            (b'.', b'.', b'.') => self.take(Ellipsis, 3),
            (b'.', ..) => self.take(Dot, 1),
            (b',', ..) => self.take(Comma, 1),
            (b'=', b'=', _) => self.take(EqualEqual, 2),
            (b'=', b'>', _) => self.take(FatArrow, 2),
            (b'=', ..) => self.take(Equal, 1),
            (b'!', b'=', _) => self.take(NotEqual, 2),
            (b'!', ..) => self.take(Not, 1),
            (b'<', b'=', _) => self.take(LessEqual, 2),
            (b'<', ..) => self.take(Less, 1),
            (b'>', b'=', _) => self.take(GreaterEqual, 2),
            (b'>', ..) => self.take(Greater, 1),
            (b'&', b'&', _) => self.take(And, 2),
            (b'|', b'|', _) => self.take(Or, 2),
            (b'?', ..) => self.take(Question, 1),
            (b':', b':', _) => self.take(DoubleColon, 2),
            (b':', ..) => self.take(Colon, 1),
            (b'*', ..) => self.take(Star, 1),
            (b'/', ..) => self.take(Slash, 1),
            (b'%', ..) => self.take(Percent, 1),
            (b'+', ..) => self.take(Plus, 1),
            (b'-', ..) => self.take(Minus, 1),
            _ => self.ident_or_invalid(),
        }
    }

    fn ident_or_invalid(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return;
        };
        if first == '_' || is_xid_start(first) {
            let length = rest
                .find(|c: char| c != '-' && !is_xid_continue(c))
                .unwrap_or(rest.len());
            return self.take(TokenKind::Ident, length);
        }
        let (summary, detail) = match first {
            '&' | '|' | '^' | '~' => (
                "Unsupported operator",
                match first {
                    '&' => {
                        "Bitwise operators are not supported. Did you mean boolean AND (\"&&\")?"
                    }
                    '|' => "Bitwise operators are not supported. Did you mean boolean OR (\"||\")?",
                    '~' => "Bitwise operators are not supported. Did you mean boolean NOT (\"!\")?",
                    _ => "Bitwise operators are not supported.",
                },
            ),
            '\'' => (
                "Invalid character",
                "Single quotes are not valid. Use double quotes (\") to enclose strings.",
            ),
            '`' => (
                "Invalid character",
                "The \"`\" character is not valid. For a string of several lines use a heredoc, like \"<<EOT\".",
            ),
            ';' => (
                "Invalid character",
                "The \";\" character is not valid. Use newlines to separate arguments and blocks, and commas to separate \
                 items in collection values.",
            ),
            '\u{fffd}' => (
                "Invalid character encoding",
                "All input files must be UTF-8 encoded. Ensure that UTF-8 encoding is selected in your editor.",
            ),
            _ => (
                "Invalid character",
                "This character is not used within the language.",
            ),
        };
        self.invalid(first.len_utf8(), summary, detail);
    }

    fn block_comment(&mut self) {
        match self.rest().get(2..).and_then(|r| r.find("*/")) {
            Some(length) => self.take(TokenKind::Comment, length + 4),
            None => {
                let length = self.rest().len();
                self.invalid(
                    length,
                    "Unterminated comment",
                    "This comment is not closed with \"*/\" before the file ends.",
                );
            }
        }
    }

    fn number(&mut self) {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| {
            bytes
                .iter()
                .skip(from)
                .take_while(|b| b.is_ascii_digit())
                .count()
        };
        let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let mut length = digits(0);
        if at(length) == b'.' && at(length + 1).is_ascii_digit() {
            length += 1 + digits(length + 1);
        }
        if matches!(at(length), b'e' | b'E') {
            let sign = usize::from(matches!(at(length + 1), b'+' | b'-'));
            if at(length + 1 + sign).is_ascii_digit() {
                length += 1 + sign + digits(length + 1 + sign);
            }
        }
        self.take(TokenKind::Number, length);
    }

    /// `<<MARKER` or `<<-MARKER` and the end of the line; `false` when it is something else.
    fn heredoc_start(&mut self) -> bool {
        let rest = self.rest();
        let introducer = if rest.starts_with("<<-") { 3 } else { 2 };
        let Some(after) = rest.get(introducer..) else {
            return false;
        };
        let marker_length = after
            .find(|c: char| c != '-' && !is_xid_continue(c))
            .unwrap_or(after.len());
        let (marker, tail) = after.split_at(marker_length);
        if !marker.starts_with(|c: char| c == '_' || is_xid_start(c)) {
            return false;
        }
        let newline = if tail.starts_with('\n') {
            1
        } else if tail.starts_with("\r\n") {
            2
        } else {
            return false;
        };
        self.take(TokenKind::OpenHeredoc, introducer + marker_length + newline);
        self.modes.push(Mode::Heredoc {
            marker,
            at_line_start: true,
        });
        true
    }

    /// Whether a `}` here ends an interpolation or directive.
    fn ends_sequence(&self) -> bool {
        self.modes.len() > 1 && matches!(self.modes.last(), Some(Mode::Expression { braces: 0 }))
    }

    fn close_brace(&mut self, length: usize) {
        if self.ends_sequence() {
            self.modes.pop();
            return self.take(TokenKind::CloseSequence, length);
        }
        if let Some(Mode::Expression { braces }) = self.modes.last_mut() {
            *braces = braces.saturating_sub(1);
        }
        self.take(TokenKind::CloseBrace, length);
    }

    /// `${` and `%{` in any template; `false` when something else is here.
    fn sequence_start(&mut self) -> bool {
        let kind = match (self.byte(0), self.byte(1)) {
            (b'$', b'{') => TokenKind::OpenInterpolation,
            (b'%', b'{') => TokenKind::OpenDirective,
            _ => return false,
        };
        if let Some(Mode::Heredoc { at_line_start, .. }) = self.modes.last_mut() {
            *at_line_start = false;
        }
        let length = if self.byte(2) == b'~' { 3 } else { 2 };
        self.take(kind, length);
        self.modes.push(Mode::Expression { braces: 0 });
        true
    }

    /// How long the text is from here to the next sequence or any of the given ends.
    fn text_length(&self, is_end: impl Fn(u8) -> bool, backslash_escapes: bool) -> usize {
        let bytes = self.rest().as_bytes();
        let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let mut i = 0;
        while i < bytes.len() {
            match at(i) {
                b'\\' if backslash_escapes && !matches!(at(i + 1), 0 | b'\n' | b'\r') => i += 2,
                c @ (b'$' | b'%') if at(i + 1) == c && at(i + 2) == b'{' => i += 3,
                b'$' | b'%' if at(i + 1) == b'{' => break,
                c if is_end(c) => break,
                _ => i += 1,
            }
        }
        // A backslash before a character of several bytes ends inside of it.
        while !self.rest().is_char_boundary(i) && i < bytes.len() {
            i += 1;
        }
        i
    }

    fn quoted_token(&mut self) {
        if self.byte(0) == b'"' {
            self.modes.pop();
            return self.take(TokenKind::CloseQuote, 1);
        }
        let newline = if self.byte(0) == b'\n' {
            1
        } else if self.byte(0) == b'\r' && self.byte(1) == b'\n' {
            2
        } else {
            0
        };
        if newline > 0 {
            // The string ends here as far as the rest of the file is concerned.
            self.modes.pop();
            let span = Span::new(self.at as u32, (self.at + newline) as u32);
            self.diagnostics.push(
                Diagnostic::error(
                    "Invalid multi-line string",
                    "Quoted strings may not be split over multiple lines. Write \\n for a newline, or use a heredoc \
                     (\"<<EOT\") for a string of several lines.",
                )
                .at(self.file.range(span)),
            );
            self.push(TokenKind::Invalid, self.at);
            return;
        }
        if self.sequence_start() {
            return;
        }
        let length = self.text_length(|c| matches!(c, b'"' | b'\n' | b'\r'), true);
        // A carriage return alone is text.
        self.take(TokenKind::QuotedText, length.max(1));
    }

    fn heredoc_token(&mut self) {
        if self.sequence_start() {
            return;
        }
        let length = self.line_length();
        let line = self.rest().get(..length).unwrap_or("");
        let Some(Mode::Heredoc {
            marker,
            at_line_start,
        }) = self.modes.last_mut()
        else {
            return;
        };
        let ends = line.ends_with('\n');
        if *at_line_start && ends && line.trim() == *marker {
            self.modes.pop();
            let without = line.strip_suffix('\n').unwrap_or(line);
            return self.take(
                TokenKind::CloseHeredoc,
                without.strip_suffix('\r').unwrap_or(without).len(),
            );
        }
        *at_line_start = ends;
        self.take(TokenKind::TemplateText, length);
    }

    fn template_token(&mut self) {
        if self.sequence_start() {
            return;
        }
        let length = self.line_length();
        self.take(TokenKind::TemplateText, length);
    }

    /// Text up to and including the newline, or up to the next sequence.
    fn line_length(&self) -> usize {
        let length = self.text_length(|c| c == b'\n', false);
        if self.byte(length) == b'\n' && self.at + length < self.text.len() {
            length + 1
        } else {
            length.max(1)
        }
    }
}
