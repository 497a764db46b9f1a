//! Text to JSON values with places. An error ends the value that holds it; what stands beside it is still read.

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics, Number};

use super::super::{SourceFile, Span};
use super::strings;
use crate::suggest::did_you_mean;

/// How deep values may nest: as in native syntax.
const MAX_DEPTH: u32 = 250;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    String(Arc<str>),
    Array(Vec<Node>),
    Object(Vec<Member>),
    /// Reported already.
    Invalid,
}

/// One member of an object. Names may repeat.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: Arc<str>,
    pub(crate) name_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// Where the value begins: the opening bracket, or all of a simple value.
    pub(crate) fn start_span(&self) -> Span {
        match self.kind {
            Kind::Object(_) | Kind::Array(_) => Span::new(self.span.start, self.span.start + 1),
            _ => self.span,
        }
    }
}

/// Reads a file that holds one value.
pub(crate) fn parse(file: &SourceFile) -> (Node, Diagnostics) {
    let mut parser = Parser {
        file,
        tokens: scan(file.text()),
        next: 0,
        depth: 0,
        diagnostics: Diagnostics::new(),
    };
    let node = parser.value();
    if parser.diagnostics.is_empty() && parser.peek().kind != Token::End {
        let at = parser.peek().span;
        parser.error(
            at,
            "Extraneous data after value",
            "Extra characters appear after the JSON value.",
        );
    }
    (node, parser.diagnostics)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// `{ } [ ] , :` and `=`, which JSON does not have but people write.
    Sign(u8),
    Word,
    String,
    Number,
    Invalid,
    End,
}

#[derive(Clone, Copy, Debug)]
struct Spanned {
    kind: Token,
    span: Span,
}

/// All tokens, `End` last. What is no token ends the reading.
fn scan(text: &str) -> Vec<Spanned> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::with_capacity(bytes.len() / 6);
    let mut at = 0;
    let run = |from: usize, more: fn(u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().position(|b| !more(*b)).unwrap_or(rest.len())
    };
    while let Some(&first) = bytes.get(at) {
        let (kind, length) = match first {
            b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' | b'=' => (Token::Sign(first), 1),
            b'"' => (
                Token::String,
                strings::length(bytes.get(at..).unwrap_or_default()),
            ),
            b'-' | b'+' | b'.' | b'0'..=b'9' => (
                Token::Number,
                run(at, |b| {
                    matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                }),
            ),
            b'a'..=b'z' | b'A'..=b'Z' => (
                Token::Word,
                run(at, |b| b == b'_' || b.is_ascii_alphabetic()),
            ),
            _ => {
                let length = text
                    .get(at..)
                    .and_then(|t| t.chars().next())
                    .map_or(1, char::len_utf8);
                (Token::Invalid, length)
            }
        };
        tokens.push(Spanned {
            kind,
            span: Span::new(at as u32, (at + length) as u32),
        });
        at += length;
        if kind == Token::Invalid {
            break;
        }
    }
    tokens.push(Spanned {
        kind: Token::End,
        span: Span::new(at as u32, at as u32),
    });
    tokens
}

struct Parser<'a> {
    file: &'a SourceFile,
    tokens: Vec<Spanned>,
    next: usize,
    depth: u32,
    diagnostics: Diagnostics,
}

/// The rest of a value after an error in it was reported.
struct Broken;

impl Parser<'_> {
    fn peek(&self) -> Spanned {
        let end = self.file.text().len() as u32;
        let last = self.tokens.last();
        self.tokens
            .get(self.next)
            .or(last)
            .copied()
            .unwrap_or(Spanned {
                kind: Token::End,
                span: Span::new(end, end),
            })
    }

    fn read(&mut self) -> Spanned {
        let token = self.peek();
        if token.kind != Token::End {
            self.next += 1;
        }
        token
    }

    fn error(&mut self, at: Span, summary: &str, detail: impl Into<String>) -> Broken {
        self.diagnostics
            .push(Diagnostic::error(summary, detail.into()).at(self.file.range(at)));
        Broken
    }

    fn value(&mut self) -> Node {
        let first = self.peek();
        let read = match first.kind {
            Token::Sign(b'{' | b'[') if self.depth >= MAX_DEPTH => {
                let broken = self.error(
                    first.span,
                    "Nesting too deep",
                    format!("JSON values can't be nested more than {MAX_DEPTH} levels deep."),
                );
                // Nothing behind this can be told from what is inside.
                self.next = self.tokens.len().saturating_sub(1);
                Err(broken)
            }
            Token::Sign(b'{') => self.nested(Self::object),
            Token::Sign(b'[') => self.nested(Self::array),
            Token::Number => self.number(),
            Token::String => self.string(),
            Token::Word => self.word(),
            _ => Err(self.no_value(first)),
        };
        read.unwrap_or(Node {
            kind: Kind::Invalid,
            span: first.span,
        })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Node, Broken>) -> Result<Node, Broken> {
        self.depth += 1;
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn no_value(&mut self, token: Spanned) -> Broken {
        let start =
            "A JSON value must start with a brace, a bracket, a number, a string, or a keyword.";
        let (summary, detail) = match token.kind {
            Token::Sign(b'}') => ("Missing JSON value", start),
            Token::Sign(b']') => ("Missing array element value", start),
            Token::End => ("Missing value", "The JSON data ends prematurely."),
            _ => ("Invalid start of value", start),
        };
        self.error(token.span, summary, detail)
    }

    /// Goes on behind the bracket that closes the current value, from a token that was just read.
    fn recover(&mut self, from: Spanned, open: u8, close: u8) {
        let mut depth = 1;
        let mut token = from;
        loop {
            match token.kind {
                Token::Sign(sign) if sign == open => depth += 1,
                Token::Sign(sign) if sign == close => {
                    depth -= 1;
                    if depth <= 1 {
                        return;
                    }
                }
                Token::End => return,
                _ => {}
            }
            token = self.read();
        }
    }

    fn object(&mut self) -> Result<Node, Broken> {
        let open = self.read().span;
        let mut members = Vec::new();
        while self.peek().kind != Token::Sign(b'}') {
            members.push(self.member()?);
            let next = self.peek();
            match next.kind {
                Token::Sign(b',') => {
                    self.read();
                    if self.peek().kind == Token::Sign(b'}') {
                        return Err(self.error(
                            next.span,
                            "Trailing comma in object",
                            "JSON does not permit a trailing comma after the final property in an object.",
                        ));
                    }
                }
                Token::Sign(b'}') => {}
                Token::End => {
                    return Err(self.error(
                        open,
                        "Unclosed object",
                        "No closing brace was found for this JSON object.",
                    ));
                }
                Token::Sign(b']') => {
                    self.read();
                    let at = self.peek().span;
                    return Err(self.error(
                        at,
                        "Mismatched braces",
                        "A JSON object must be closed with a brace, not a bracket.",
                    ));
                }
                _ => {
                    let from = self.read();
                    self.recover(from, b'{', b'}');
                    let at = self.peek().span;
                    return Err(self.error(
                        at,
                        "Missing attribute seperator comma",
                        "A comma must appear between each property definition in an object.",
                    ));
                }
            }
        }
        let close = self.read().span;
        Ok(Node {
            kind: Kind::Object(members),
            span: open.to(close),
        })
    }

    fn member(&mut self) -> Result<Member, Broken> {
        let name = self.value();
        let Kind::String(text) = name.kind else {
            let at = name.start_span();
            return Err(self.error(
                at,
                "Invalid object property name",
                "A JSON object property name must be a string",
            ));
        };
        let colon = self.read();
        if colon.kind != Token::Sign(b':') {
            self.recover(colon, b'{', b'}');
            let (summary, detail) = match colon.kind {
                Token::Sign(b'}' | b',') => (
                    "Missing object value",
                    "A JSON object attribute must have a value, introduced by a colon.",
                ),
                Token::Sign(b'=') => (
                    "Missing property value colon",
                    "JSON uses a colon as its name/value delimiter, not an equals sign.",
                ),
                _ => (
                    "Missing property value colon",
                    "A colon must appear between an object property's name and its value.",
                ),
            };
            return Err(self.error(colon.span, summary, detail));
        }
        Ok(Member {
            name: text,
            name_span: name.span,
            value: self.value(),
        })
    }

    fn array(&mut self) -> Result<Node, Broken> {
        let open = self.read().span;
        let mut items = Vec::new();
        while self.peek().kind != Token::Sign(b']') {
            items.push(self.value());
            let next = self.peek();
            let (summary, detail) = match next.kind {
                Token::Sign(b',') => {
                    self.read();
                    if self.peek().kind == Token::Sign(b']') {
                        return Err(self.error(
                            next.span,
                            "Trailing comma in array",
                            "JSON does not permit a trailing comma after the final value in an array.",
                        ));
                    }
                    continue;
                }
                Token::Sign(b']') => continue,
                Token::End => {
                    return Err(self.error(
                        open,
                        "Unclosed object",
                        "No closing bracket was found for this JSON array.",
                    ));
                }
                Token::Sign(b':') => (
                    "Invalid array value",
                    "A colon is not used to introduce values in a JSON array.",
                ),
                Token::Sign(b'}') => (
                    "Mismatched brackets",
                    "A JSON array must be closed with a bracket, not a brace.",
                ),
                _ => (
                    "Missing attribute seperator comma",
                    "A comma must appear between each value in an array.",
                ),
            };
            let from = self.read();
            self.recover(from, b'[', b']');
            let at = self.peek().span;
            return Err(self.error(at, summary, detail));
        }
        let close = self.read().span;
        Ok(Node {
            kind: Kind::Array(items),
            span: open.to(close),
        })
    }

    fn number(&mut self) -> Result<Node, Broken> {
        let span = self.read().span;
        let text = self.file.slice(span);
        match is_json_number(text).then(|| Number::parse(text)).flatten() {
            Some(number) => Ok(Node {
                kind: Kind::Number(number),
                span,
            }),
            None => Err(self.error(
                span,
                "Invalid JSON number",
                "There is a syntax error in the given JSON number.",
            )),
        }
    }

    fn string(&mut self) -> Result<Node, Broken> {
        let span = self.read().span;
        match strings::decode(self.file.slice(span)) {
            Ok(text) => Ok(Node {
                kind: Kind::String(text.into()),
                span,
            }),
            Err(offset) => {
                // The byte that is wrong may be inside of a character.
                let text = self.file.text();
                let at = text.floor_char_boundary(span.start as usize + offset);
                let end = text.ceil_char_boundary(at + 1);
                let bad = Span::new(at as u32, end as u32);
                Err(self.error(
                    bad,
                    "Invalid JSON string",
                    "There is a syntax error in the given JSON string.",
                ))
            }
        }
    }

    fn word(&mut self) -> Result<Node, Broken> {
        let span = self.read().span;
        let kind = match self.file.slice(span) {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            word => {
                let detail = match word {
                    "undefined" | "NaN" | "Infinity" => {
                        format!("The JavaScript identifier \"{word}\" cannot be used in JSON.")
                    }
                    _ => {
                        let hint = did_you_mean(word, ["true", "false", "null"].into_iter());
                        format!("\"{word}\" is not a valid JSON keyword.{hint}")
                    }
                };
                return Err(self.error(span, "Invalid JSON keyword", detail));
            }
        };
        Ok(Node { kind, span })
    }
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_json_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}
