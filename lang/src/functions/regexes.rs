//! Regular expressions in the reference's dialect (RE2 as Go has it), on Rust's engine of the same family.

use std::collections::BTreeMap;

use regex::{Captures, Regex, RegexBuilder};
use stead_value::{Type, Value};

use super::{Call, FunctionError, Outcome};

/// What is wrong with a pattern, and which part of it.
struct PatternError {
    code: &'static str,
    part: String,
}

/// What the engine says, and what the reference calls it.
const ERRORS: [(&str, &str); 15] = [
    ("unclosed group", "missing closing )"),
    ("unopened group", "unexpected )"),
    ("unclosed character class", "missing closing ]"),
    (
        "repetition operator missing expression",
        "missing argument to repetition operator",
    ),
    ("unrecognized escape sequence", "invalid escape sequence"),
    (
        "incomplete escape sequence",
        "trailing backslash at end of expression",
    ),
    ("look-around", "invalid or unsupported Perl syntax"),
    (
        "duplicate capture group name",
        "duplicate capture group name",
    ),
    (
        "invalid character class range",
        "invalid character class range",
    ),
    ("Unicode character class", "invalid character class range"),
    ("Unicode property", "invalid character class range"),
    ("capture group name", "invalid named capture"),
    ("capture group character", "invalid named capture"),
    ("flag", "invalid or unsupported Perl syntax"),
    ("size limit", "expression too large"),
];

fn compile(pattern: &str) -> Result<Regex, PatternError> {
    check_repetitions(pattern)?;
    RegexBuilder::new(&translate(pattern))
        .octal(true)
        .build()
        .map_err(|e| {
            let why = e.to_string();
            let code = ERRORS
                .iter()
                .find(|(ours, _)| why.contains(ours))
                .map_or("invalid syntax", |(_, theirs)| theirs);
            let around = ["(?=", "(?!"]
                .iter()
                .find(|a| why.contains("look-around") && pattern.contains(**a));
            PatternError {
                code,
                part: around.map_or(pattern, |a| a).to_owned(),
            }
        })
}

/// More repetitions than this are refused.
const MAX_REPEAT: u32 = 1000;

/// Refuses what Rust's dialect would allow: repetitions of repetitions, such as `a**`, and too many of them.
fn check_repetitions(pattern: &str) -> Result<(), PatternError> {
    let mut rest = pattern;
    let mut in_class = false;
    // The repetition operator that ended where `rest` begins.
    let mut before = "";
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let mut operator = false;
        match c {
            '\\' => length += rest.chars().nth(1).map_or(0, char::len_utf8),
            '[' => in_class = true,
            ']' => in_class = false,
            '*' | '+' | '?' if !in_class => operator = true,
            '{' if !in_class && rest.get(1..).is_some_and(is_repetition) => {
                operator = true;
                length = rest.find('}').map_or(length, |at| at + 1);
            }
            _ => {}
        }
        // After a group's parenthesis, a question mark begins its flags.
        let (mut this, mut after) = rest.split_at(length);
        if c == '(' && after.starts_with('?') {
            after = after.get(1..).unwrap_or_default();
        }
        if operator {
            if let Some(lazy) = after.strip_prefix('?') {
                after = lazy;
                this = rest.get(..length + 1).unwrap_or(this);
            }
            if !before.is_empty() {
                return Err(PatternError {
                    code: "invalid nested repetition operator",
                    part: format!("{before}{this}"),
                });
            }
            let too_many = |n: &str| n.parse::<u32>().map_or(!n.is_empty(), |n| n > MAX_REPEAT);
            if this.starts_with('{') && this.trim_matches(['{', '}', '?']).split(',').any(too_many)
            {
                return Err(PatternError {
                    code: "invalid repeat count",
                    part: this.to_owned(),
                });
            }
            before = this;
        } else {
            before = "";
        }
        rest = after;
    }
    Ok(())
}

/// Rewrites what the two dialects read differently: Go's Perl classes are ASCII only, `\Q…\E` quotes, a brace that starts no
/// repetition is a plain character, and brackets or doubled signs inside a class are plain characters.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut class = None;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\\' => {
                rest = escape(after, class.is_some(), &mut out);
                class = class.map(|_| false);
                continue;
            }
            '[' if class.is_none() => {
                out.push('[');
                let after_caret = after.strip_prefix('^');
                if after_caret.is_some() {
                    out.push('^');
                }
                rest = after_caret.unwrap_or(after);
                class = Some(true);
                continue;
            }
            ']' if class == Some(true) => out.push_str("\\]"),
            ']' if class.is_some() => {
                class = None;
                out.push(']');
                rest = after;
                continue;
            }
            '[' => match after.strip_prefix(':').and_then(|a| a.split_once(":]")) {
                Some((name, tail))
                    if name
                        .trim_start_matches('^')
                        .bytes()
                        .all(|b| b.is_ascii_lowercase()) =>
                {
                    out.push_str("[:");
                    out.push_str(name);
                    out.push_str(":]");
                    rest = tail;
                    class = Some(false);
                    continue;
                }
                _ => out.push_str("\\["),
            },
            '&' | '~' if class.is_some() => {
                out.push('\\');
                out.push(c);
            }
            '-' if class.is_some() && after.starts_with('-') => out.push_str("\\-"),
            '{' if class.is_none() && !is_repetition(after) => out.push_str("\\{"),
            c => out.push(c),
        }
        class = class.map(|_| false);
        rest = after;
    }
    out
}

/// Whether what follows the brace makes it a repetition: `n}`, `n,}` or `n,m}`.
fn is_repetition(after: &str) -> bool {
    let Some((inside, _)) = after.split_once('}') else {
        return false;
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match inside.split_once(',') {
        Some((least, most)) => digits(least) && (most.is_empty() || digits(most)),
        None => digits(inside),
    }
}

/// Writes the escape that begins after the backslash, and returns what follows it.
fn escape<'a>(after: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let tail = after.get(c.len_utf8()..).unwrap_or_default();
    let perl = match (c, in_class) {
        ('d', false) => "[0-9]",
        ('D', false) => "[^0-9]",
        ('s', false) => "[\\t\\n\\f\\r ]",
        ('S', false) => "[^\\t\\n\\f\\r ]",
        ('w', false) => "[0-9A-Za-z_]",
        ('W', false) => "[^0-9A-Za-z_]",
        ('d', true) => "0-9",
        ('D', true) => "[^0-9]",
        ('s', true) => "\\t\\n\\f\\r ",
        ('S', true) => "[^\\t\\n\\f\\r ]",
        ('w', true) => "0-9A-Za-z_",
        ('W', true) => "[^0-9A-Za-z_]",
        ('b', false) => "(?-u:\\b)",
        ('B', false) => "(?-u:\\B)",
        ('<' | '>', _) => {
            out.push(c);
            return tail;
        }
        ('p' | 'P' | 'x', _) if tail.starts_with('{') => {
            let (name, rest) = tail
                .split_once('}')
                .map_or((tail, ""), |(name, rest)| (name, rest));
            out.push_str(&format!("\\{c}{name}}}"));
            return rest;
        }
        ('Q', _) => {
            let (quoted, rest) = tail.split_once("\\E").unwrap_or((tail, ""));
            out.push_str(&regex::escape(quoted));
            return rest;
        }
        _ => {
            out.push('\\');
            out.push(c);
            return tail;
        }
    };
    out.push_str(perl);
    tail
}

/// What a match gives: the text, a tuple of groups, or an object of named groups.
fn match_type(regex: &Regex) -> Result<Type, String> {
    let groups: Vec<Option<&str>> = regex.capture_names().skip(1).collect();
    let names: Vec<&str> = groups.iter().copied().flatten().collect();
    if groups.is_empty() {
        Ok(Type::String)
    } else if names.is_empty() {
        Ok(Type::tuple(groups.iter().map(|_| Type::String)))
    } else if names.len() == groups.len() {
        Ok(Type::object(names.into_iter().map(|n| (n, Type::String))))
    } else {
        Err("invalid regexp pattern: cannot mix both named and unnamed capture groups".into())
    }
}

fn match_value(regex: &Regex, captures: &Captures<'_>) -> Value {
    let group = |i: usize| {
        captures
            .get(i)
            .map_or_else(|| Value::null(Type::String), |m| Value::string(m.as_str()))
    };
    let names: Vec<Option<&str>> = regex.capture_names().collect();
    match names.get(1) {
        None => group(0),
        Some(None) => Value::tuple((1..names.len()).map(group).collect()),
        Some(Some(_)) => Value::object(
            names
                .iter()
                .enumerate()
                .filter_map(|(i, n)| Some(((*n)?.into(), group(i))))
                .collect::<BTreeMap<_, _>>(),
        ),
    }
}

fn prepared(pattern: &str) -> Result<(Regex, Type), FunctionError> {
    let wrong = |message| FunctionError::argument(0, message);
    let regex = compile(pattern)
        .map_err(|e| wrong(format!("invalid regexp pattern: {} in {}", e.code, e.part)))?;
    let ty = match_type(&regex).map_err(wrong)?;
    Ok((regex, ty))
}

pub(super) fn regex_type(args: &[Value]) -> Result<Type, FunctionError> {
    match args.first().and_then(Value::as_str) {
        Some(pattern) => Ok(prepared(pattern)?.1),
        None => Ok(Type::Dynamic),
    }
}

pub(super) fn regexall_type(args: &[Value]) -> Result<Type, FunctionError> {
    regex_type(args).map(Type::list)
}

pub(super) fn regex(call: &Call<'_>) -> Outcome {
    let (regex, _) = prepared(call.text(0))?;
    match regex.captures(call.text(1)) {
        Some(captures) => Ok(match_value(&regex, &captures)),
        None => Err(FunctionError::new(
            "pattern did not match any part of the given string",
        )),
    }
}

pub(super) fn regexall(call: &Call<'_>) -> Outcome {
    let (regex, ty) = prepared(call.text(0))?;
    let all = regex
        .captures_iter(call.text(1))
        .map(|c| match_value(&regex, &c))
        .collect();
    Ok(Value::list(ty, all))
}

/// Replaces a string, or a pattern if it stands between slashes.
pub(super) fn replace(call: &Call<'_>) -> Outcome {
    let (text, old, new) = (call.text(0), call.text(1), call.text(2));
    let pattern = old.strip_prefix('/').and_then(|p| p.strip_suffix('/'));
    let Some(pattern) = pattern else {
        return Ok(Value::string(text.replace(old, new)));
    };
    let regex = compile(pattern).map_err(|e| {
        FunctionError::new(format!("error parsing regexp: {}: `{}`", e.code, e.part))
    })?;
    Ok(Value::string(regex.replace_all(text, new)))
}
