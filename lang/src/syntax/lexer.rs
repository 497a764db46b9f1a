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

/// What becomes of comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comments {
    /// They are tokens.
    Keep,
    /// One that ends its line is a part of the newline; any other one is nothing.
    Drop,
}

/// Reads all tokens; the last is always `Eof`. What is no token is reported and becomes `Invalid`.
pub(crate) fn lex(
    file: &SourceFile,
    part: Span,
    start: Start,
    comments: Comments,
) -> (Vec<Token>, Diagnostics) {
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
        told: Told::default(),
        endless_comment: false,
        comments,
        line_comment: None,
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
        braces: i32,
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

/// Habits of other languages are not explained each time.
#[derive(Default)]
struct Told {
    operators: u32,
    backticks: u32,
    apostrophes: u32,
    semicolons: u32,
}

impl Told {
    /// Whether to explain this character (again). Of quotes it is the opening one.
    fn again(&mut self, c: char) -> bool {
        let (count, tell): (&mut u32, fn(u32) -> bool) = match c {
            '&' | '|' | '^' | '~' => (&mut self.operators, |n| n < 4),
            ';' => (&mut self.semicolons, |n| n < 1),
            '`' => (&mut self.backticks, |n| n == 0 || n == 2),
            '\'' => (&mut self.apostrophes, |n| n == 0 || n == 2),
            _ => return true,
        };
        let told = *count;
        *count += 1;
        tell(told)
    }
}

struct Lexer<'a> {
    file: &'a SourceFile,
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    diagnostics: Diagnostics,
    modes: Vec<Mode<'a>>,
    /// How often was said of a kind of character that it is no token.
    told: Told,
    /// A comment does not end before the text does; so no later one does.
    endless_comment: bool,
    comments: Comments,
    /// Where the dropped comment began that ends with this line.
    line_comment: Option<u32>,
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
        let start = match (kind, self.line_comment.take()) {
            (TokenKind::Newline, Some(comment)) => comment,
            _ => self.at as u32,
        };
        self.tokens.push(Token {
            kind,
            span: Span::new(start, end as u32),
        });
        self.at = end;
    }

    fn comment(&mut self, length: usize, to_line_end: bool) {
        match self.comments {
            Comments::Keep => self.take(TokenKind::Comment, length),
            Comments::Drop => {
                self.line_comment = to_line_end.then_some(self.at as u32);
                self.at += length;
            }
        }
    }

    fn take(&mut self, kind: TokenKind, length: usize) {
        self.push(kind, self.at + length);
    }

    fn invalid(&mut self, length: usize, summary: &str, detail: &'static str) {
        self.report(length, summary, detail);
        self.take(TokenKind::Invalid, length);
    }

    fn report(&mut self, length: usize, summary: &str, detail: &'static str) {
        let span = Span::new(self.at as u32, (self.at + length) as u32);
        self.diagnostics
            .push(Diagnostic::error(summary, detail).at(self.file.range(span)));
    }

    fn expression_token(&mut self) {
        use TokenKind::*;
        let (a, b, c) = (self.byte(0), self.byte(1), self.byte(2));
        match (a, b, c) {
            (b' ' | b'\t', ..) => {
                let blanks = self.stretch(|b| matches!(b, b' ' | b'\t'));
                self.at += blanks;
            }
            (b'a'..=b'z' | b'A'..=b'Z' | b'_', ..) => self.ident(),
            (b'\n', ..) => self.take(Newline, 1),
            (b'\r', b'\n', _) => self.take(Newline, 2),
            (b'#', ..) | (b'/', b'/', _) => {
                let line = self.rest().split('\n').next().unwrap_or("");
                self.comment(line.strip_suffix('\r').unwrap_or(line).len(), true);
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
            (b'}', ..) => self.close_brace(CloseBrace, 1),
            (b'~', b'}', _) => self.close_brace(CloseSequence, 2),
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

    /// How many bytes from here on are of a kind.
    fn stretch(&self, of_kind: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        rest.iter().position(|b| !of_kind(*b)).unwrap_or(rest.len())
    }

    fn ident(&mut self) {
        let ascii = self.stretch(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let rest = self.rest().get(ascii..).unwrap_or("");
        let more = match rest.as_bytes().first() {
            Some(128..) => rest
                .find(|c: char| c != '-' && !is_xid_continue(c))
                .unwrap_or(rest.len()),
            _ => 0,
        };
        self.take(TokenKind::Ident, ascii + more);
    }

    fn ident_or_invalid(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return;
        };
        if is_xid_start(first) {
            return self.ident();
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
                "The \"`\" character is not valid. To create a multi-line string, use the \"heredoc\" syntax, like \"<<EOT\".",
            ),
            ';' => (
                "Invalid character",
                "The \";\" character is not valid. Use newlines to separate arguments and blocks, and commas to separate \
                 items in collection values.",
            ),
            '\u{201c}' | '\u{201d}' => (
                "Invalid character",
                "\"Curly quotes\" are not valid here. These can sometimes be inadvertently introduced when sharing code via \
                 documents or discussion forums. It might help to replace the character with a \"straight quote\".",
            ),
            _ => (
                "Invalid character",
                "This character is not used within the language.",
            ),
        };
        if !self.told.again(first) {
            return self.take(TokenKind::Invalid, first.len_utf8());
        }
        self.invalid(first.len_utf8(), summary, detail);
    }

    /// Without an end it is a slash, and what follows is read as usual.
    fn block_comment(&mut self) {
        let end = match self.endless_comment {
            true => None,
            false => self.rest().get(2..).and_then(|r| r.find("*/")),
        };
        match end {
            Some(length) => self.comment(length + 4, false),
            None => {
                self.endless_comment = true;
                self.take(TokenKind::Slash, 1);
            }
        }
    }

    /// A digit and all that may follow one. Too many dots are found where the number is read.
    fn number(&mut self) {
        let bytes = self.rest().as_bytes();
        let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let (mut i, mut length) = (0, 0);
        loop {
            match at(i) {
                b'0'..=b'9' => i += 1,
                b'.' => {
                    // A number does not end in dots.
                    i += 1;
                    continue;
                }
                b'e' | b'E' => {
                    let sign = usize::from(matches!(at(i + 1), b'+' | b'-'));
                    if !at(i + 1 + sign).is_ascii_digit() {
                        break;
                    }
                    i += 2 + sign;
                }
                _ => break,
            }
            length = i;
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

    /// `otherwise` is what it is when it ends no sequence.
    fn close_brace(&mut self, otherwise: TokenKind, length: usize) {
        if self.ends_sequence() {
            self.modes.pop();
            return self.take(TokenKind::CloseSequence, length);
        }
        if let Some(Mode::Expression { braces }) = self.modes.last_mut() {
            *braces -= 1;
        }
        self.take(otherwise, length);
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
    fn text_length(&self, is_end: impl Fn(u8) -> bool, quoted: bool) -> usize {
        let bytes = self.rest().as_bytes();
        let at = |i: usize| bytes.get(i).copied();
        let in_template = !matches!(self.modes.last(), Some(Mode::Template));
        let mut i = 0;
        while let Some(byte) = at(i) {
            match (byte, at(i + 1)) {
                (b'\\', None | Some(b'\n' | b'\r')) if quoted => break,
                (b'\\', Some(_)) if quoted => i += 2,
                // What could begin a sequence and does not is a token of its own.
                (b'$' | b'%', _) if i > 0 => break,
                (b'$' | b'%', None) if in_template => break,
                (b'$' | b'%', Some(next)) if next == byte && at(2) == Some(b'{') => {
                    return if at(3) == Some(b'~') { 4 } else { 3 };
                }
                (b'$' | b'%', Some(b'{')) => break,
                (b'$' | b'%', _) => return 1,
                _ if is_end(byte) => break,
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
        let rest = self.rest().as_bytes();
        if self.byte(0) == b'"' {
            self.modes.pop();
            return self.take(TokenKind::CloseQuote, 1);
        }
        let newlines = rest
            .iter()
            .take_while(|b| matches!(b, b'\n' | b'\r'))
            .count();
        if newlines > 0 {
            return self.invalid(
                newlines,
                "Invalid multi-line string",
                "Quoted strings may not be split over multiple lines. To produce a multi-line string, either use the \\n \
                 escape to represent a newline character or use the \"heredoc\" multi-line template syntax.",
            );
        }
        if self.sequence_start() || self.cut_short() {
            return;
        }
        let length = self.text_length(|c| matches!(c, b'"' | b'\n' | b'\r'), true);
        self.take(TokenKind::QuotedText, length);
    }

    /// A backslash that escapes nothing, and a sign at the end of the text that could have begun a sequence.
    fn cut_short(&mut self) -> bool {
        let cut = match self.byte(0) {
            b'\\' => matches!(self.byte(1), b'\n' | b'\r') || self.at + 1 == self.text.len(),
            b'$' | b'%' => self.at + 1 == self.text.len(),
            _ => false,
        };
        if cut {
            self.invalid(
                1,
                "Invalid character",
                "This character is not used within the language.",
            );
        }
        cut
    }

    fn heredoc_token(&mut self) {
        if self.sequence_start() || (self.byte(0) != b'\\' && self.cut_short()) {
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
