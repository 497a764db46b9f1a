//! The syntax of Go templates.

use serde_json::Value;

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print(Expression),
    Assign(String, Expression),
    /// Conditions with their bodies, and `else`.
    If(Vec<(Expression, Vec<Node>)>, Vec<Node>),
    With(Expression, Vec<Node>, Vec<Node>),
    /// `range $key, $value := PIPELINE`.
    Range(Vec<String>, Expression, Vec<Node>, Vec<Node>),
}

/// A pipeline: commands parted by `|`.
#[derive(Debug, Default)]
pub(super) struct Expression {
    pub(super) stages: Vec<Vec<Term>>,
}

#[derive(Debug)]
pub(super) enum Term {
    Literal(Value),
    Name(String),
    /// `.a.b`
    Dot(Vec<String>),
    /// `$x.a`; an empty name is the root `$`.
    Variable(String, Vec<String>),
    Group(Box<Expression>, Vec<String>),
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Action(String),
}

/// Splits text from actions, trimming white space where `{{-` and `-}}` say so.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (before, after) = rest
            .split_once("{{")
            .map_or((rest, None), |(b, a)| (b, Some(a)));
        let mut literal = if trim_next {
            before.trim_start()
        } else {
            before
        };
        let Some(after) = after else {
            out.push(Piece::Text(literal.to_owned()));
            return Ok(out);
        };
        let trims = after.starts_with('-') && after.chars().nth(1).is_some_and(char::is_whitespace);
        if trims {
            literal = literal.trim_end();
        }
        out.push(Piece::Text(literal.to_owned()));
        let end = end_of_action(after).ok_or("unclosed action")?;
        let inner = after.get(..end).unwrap_or_default();
        rest = after.get(end + 2..).unwrap_or_default();
        let inner = if trims {
            inner.get(1..).unwrap_or_default()
        } else {
            inner
        };
        trim_next =
            inner.ends_with('-') && inner.chars().rev().nth(1).is_some_and(char::is_whitespace);
        let inner = if trim_next {
            inner.strip_suffix('-').unwrap_or(inner)
        } else {
            inner
        };
        let inner = inner.trim();
        if !inner.starts_with("/*") {
            out.push(Piece::Action(inner.to_owned()));
        }
    }
}

/// Where `}}` ends an action, not counting those inside of quotes.
fn end_of_action(text: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match quote {
            Some(q) => {
                if escaped {
                    escaped = false;
                } else if c == '\\' && q == '"' {
                    escaped = true;
                } else if c == q {
                    quote = None;
                }
            }
            None if matches!(c, '"' | '`') => quote = Some(c),
            None if text.get(index..).is_some_and(|r| r.starts_with("}}")) => return Some(index),
            None => {}
        }
    }
    None
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(text)?;
    let mut iter = pieces.into_iter();
    let (nodes, stop) = block(&mut iter)?;
    match stop {
        None => Ok(nodes),
        Some(word) => Err(format!("unexpected {{{{{word}}}}}")),
    }
}

/// Nodes up to `end` or `else …`, which is returned.
fn block(pieces: &mut impl Iterator<Item = Piece>) -> Result<(Vec<Node>, Option<String>), String> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action
            .split_once(char::is_whitespace)
            .unwrap_or((action.as_str(), ""));
        match word {
            "end" | "else" => return Ok((nodes, Some(action))),
            "if" => nodes.push(conditional(rest, pieces)?),
            "with" => {
                let (body, otherwise) = body_and_else(pieces, "with")?;
                nodes.push(Node::With(expression(rest)?, body, otherwise));
            }
            "range" => {
                let (names, pipeline) = declaration(rest);
                let (body, otherwise) = body_and_else(pieces, "range")?;
                nodes.push(Node::Range(names, expression(pipeline)?, body, otherwise));
            }
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(format!("the lab's templates do not support {{{{{word}}}}}"));
            }
            _ => match declaration(&action) {
                (names, pipeline) if names.len() == 1 => {
                    nodes.push(Node::Assign(names.concat(), expression(pipeline)?));
                }
                _ => nodes.push(Node::Print(expression(&action)?)),
            },
        }
    }
    Ok((nodes, None))
}

fn conditional(condition: &str, pieces: &mut impl Iterator<Item = Piece>) -> Result<Node, String> {
    let mut branches = Vec::new();
    let mut condition = condition.to_owned();
    loop {
        let (body, stop) = block(pieces)?;
        branches.push((expression(&condition)?, body));
        match stop.as_deref().map(str::trim) {
            Some("end") => return Ok(Node::If(branches, Vec::new())),
            Some("else") => {
                let (otherwise, stop) = block(pieces)?;
                return match stop.as_deref() {
                    Some("end") => Ok(Node::If(branches, otherwise)),
                    _ => Err("unexpected EOF in if".to_owned()),
                };
            }
            Some(word) => match word
                .strip_prefix("else")
                .map(str::trim)
                .and_then(|w| w.strip_prefix("if "))
            {
                Some(next) => condition = next.to_owned(),
                None => return Err(format!("unexpected {{{{{word}}}}}")),
            },
            None => return Err("unexpected EOF in if".to_owned()),
        }
    }
}

fn body_and_else(
    pieces: &mut impl Iterator<Item = Piece>,
    what: &str,
) -> Result<(Vec<Node>, Vec<Node>), String> {
    let (body, stop) = block(pieces)?;
    match stop.as_deref() {
        Some("end") => Ok((body, Vec::new())),
        Some("else") => match block(pieces)? {
            (otherwise, Some(stop)) if stop == "end" => Ok((body, otherwise)),
            _ => Err(format!("unexpected EOF in {what}")),
        },
        _ => Err(format!("unexpected EOF in {what}")),
    }
}

/// `$a, $b := REST`, without the dollar signs.
fn declaration(text: &str) -> (Vec<String>, &str) {
    let Some((names, rest)) = text.split_once(":=") else {
        return (Vec::new(), text);
    };
    let names: Option<Vec<String>> = names
        .split(',')
        .map(|n| {
            n.trim()
                .strip_prefix('$')
                .filter(|n| n.chars().all(|c| c.is_alphanumeric() || c == '_'))
                .map(str::to_owned)
        })
        .collect();
    names.map_or((Vec::new(), text), |n| (n, rest))
}

fn expression(text: &str) -> Result<Expression, String> {
    let tokens = tokens(text)?;
    let mut position = 0;
    let parsed = pipeline(&tokens, &mut position)?;
    if position < tokens.len() {
        return Err(format!("unexpected {:?} in operand", tokens.get(position)));
    }
    if parsed.stages.iter().any(Vec::is_empty) {
        return Err("missing value for command".to_owned());
    }
    Ok(parsed)
}

#[derive(Debug, PartialEq)]
enum Token {
    Open,
    /// With the fields that follow directly.
    Close(Vec<String>),
    Pipe,
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' => out.push(Token::Open),
            '|' => out.push(Token::Pipe),
            ')' => {
                let mut path = String::new();
                while chars
                    .peek()
                    .is_some_and(|c| *c == '.' || c.is_alphanumeric() || *c == '_')
                {
                    path.extend(chars.next());
                }
                out.push(Token::Close(fields(&path)));
            }
            '"' => {
                let mut raw = String::from("\"");
                let mut escaped = false;
                loop {
                    let c = chars.next().ok_or("unterminated quoted string")?;
                    raw.push(c);
                    if escaped {
                        escaped = false;
                    } else if c == '\\' {
                        escaped = true;
                    } else if c == '"' {
                        break;
                    }
                }
                out.push(Token::Text(
                    serde_json::from_str(&raw).map_err(|_| format!("bad string {raw}"))?,
                ));
            }
            '`' => {
                let mut raw = String::new();
                loop {
                    match chars.next().ok_or("unterminated raw quoted string")? {
                        '`' => break,
                        c => raw.push(c),
                    }
                }
                out.push(Token::Text(raw));
            }
            c => {
                let mut word = String::from(c);
                while chars.peek().is_some_and(|c| {
                    !c.is_whitespace() && !matches!(c, '(' | ')' | '|' | '"' | '`')
                }) {
                    word.extend(chars.next());
                }
                out.push(Token::Word(word));
            }
        }
    }
    Ok(out)
}

fn fields(path: &str) -> Vec<String> {
    path.split('.')
        .filter(|f| !f.is_empty())
        .map(str::to_owned)
        .collect()
}

fn pipeline(tokens: &[Token], position: &mut usize) -> Result<Expression, String> {
    let mut expression = Expression {
        stages: vec![Vec::new()],
    };
    while let Some(token) = tokens.get(*position) {
        let term = match token {
            Token::Close(_) => break,
            Token::Pipe => {
                *position += 1;
                expression.stages.push(Vec::new());
                continue;
            }
            Token::Open => {
                *position += 1;
                let inner = pipeline(tokens, position)?;
                match tokens.get(*position) {
                    Some(Token::Close(path)) => Term::Group(Box::new(inner), path.clone()),
                    _ => return Err("unclosed left paren".to_owned()),
                }
            }
            Token::Text(text) => Term::Literal(Value::String(text.clone())),
            Token::Word(word) => term(word)?,
        };
        *position += 1;
        if let Some(stage) = expression.stages.last_mut() {
            stage.push(term);
        }
    }
    Ok(expression)
}

fn term(word: &str) -> Result<Term, String> {
    if let Some(rest) = word.strip_prefix('$') {
        let (name, path) = rest.split_once('.').unwrap_or((rest, ""));
        return Ok(Term::Variable(name.to_owned(), fields(path)));
    }
    if word.starts_with('.') {
        return Ok(Term::Dot(fields(word)));
    }
    Ok(match word {
        "true" => Term::Literal(true.into()),
        "false" => Term::Literal(false.into()),
        "nil" => Term::Literal(Value::Null),
        _ => match word.parse::<i64>() {
            Ok(number) => Term::Literal(number.into()),
            Err(_) if word.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                Term::Name(word.to_owned())
            }
            Err(_) => return Err(format!("unexpected {word:?} in operand")),
        },
    })
}
