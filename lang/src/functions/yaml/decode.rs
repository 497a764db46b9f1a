//! Reading YAML: one document, whose scalars become what they look like.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};
use stead_value::convert::convert;
use stead_value::{Kind, Number, Type, Value};

use super::super::{encoding::from_base64, quoted, time::yaml_timestamp};

pub(super) fn decode(text: &str) -> Result<Value, String> {
    let mut options = Options::default();
    options.emit_unresolved_aliases = true;
    options.emit_comments = false;
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        size: 0,
    };
    match reader.next()? {
        (Event::StreamStart, _) => {}
        (_, span) => return Err(at(&span, "missing stream start token")),
    }
    match reader.next()? {
        (Event::DocumentStart(..), _) => {}
        (_, span) => return Err(at(&span, "missing start of document")),
    }
    let value = reader.node()?;
    match reader.next()? {
        (Event::DocumentEnd, _) => {}
        (_, span) => return Err(at(&span, "unexpected extra content after value")),
    }
    match reader.next()? {
        (Event::StreamEnd, _) => Ok(value),
        (Event::DocumentStart(..), span) => Err(at(&span, "only a single document is allowed")),
        (_, span) => Err(at(&span, "unexpected extra content after value")),
    }
}

fn at(span: &Span, message: &str) -> String {
    format!(
        "on line {}, column {}: {message}",
        span.start.line(),
        span.start.col() + 1
    )
}

/// Aliases can make a small document huge; this many nodes are enough for every honest one.
const MAX_NODES: usize = 1_000_000;

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    /// By the parser's number: the value and how many nodes it has; `None` while it is being read.
    anchors: HashMap<usize, Option<(Value, usize)>>,
    /// Nodes so far, those behind aliases included.
    size: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(e)) => Err(format!(
                "on line {}, column {}: {}",
                e.marker().line(),
                e.marker().col() + 1,
                e.info()
            )),
            None => Err("unexpected end of the document".into()),
        }
    }

    fn node(&mut self) -> Result<Value, String> {
        let (event, span) = self.next()?;
        self.rest_of(event, span)
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.size = self.size.saturating_add(nodes);
        if self.size > MAX_NODES {
            return Err("the document is too large, or aliases make it so".into());
        }
        Ok(())
    }

    fn rest_of(&mut self, event: Event<'a>, span: Span) -> Result<Value, String> {
        self.count(1)?;
        let before = self.size;
        let anchor = event.anchor_id();
        if let Some(id) = anchor {
            self.anchors.insert(id, None);
        }
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                self.scalar(&tag_name(tag.as_deref()), &text, style, &span)?
            }
            Event::SequenceStart(_, _, tag) => self.sequence(&tag_name(tag.as_deref()), &span)?,
            Event::MappingStart(_, _, tag) => self.mapping(&tag_name(tag.as_deref()), &span)?,
            Event::Alias(id) => self.alias(id, &span)?,
            Event::UnresolvedAlias(name) => {
                return Err(format!("reference to undefined anchor {}", quoted(&name)));
            }
            Event::StreamEnd => return Err(at(&span, "expecting value but found end of stream")),
            _ => return Err(at(&span, "unexpected parser event")),
        };
        if let Some(id) = anchor {
            self.anchors
                .insert(id, Some((value.clone(), self.size - before + 1)));
        }
        Ok(value)
    }

    fn scalar(
        &self,
        tag: &str,
        text: &str,
        style: ScalarStyle,
        span: &Span,
    ) -> Result<Value, String> {
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        // A last line that does not end has no line end to keep.
        let unended =
            block && !self.text.ends_with('\n') && span.end.byte_offset() == Some(self.text.len());
        let text = if unended {
            text.strip_suffix('\n').unwrap_or(text)
        } else {
            text
        };
        let value = match resolve(tag, text, style)? {
            Scalar::Value(value) => value,
            Scalar::Merge => Value::string("<<"),
        };
        if block && tag.is_empty() {
            // As in the reference, a block is a string, but one of what it looks like: `yes` becomes "true".
            return convert(&value, &Type::String).map_err(|e| e.message);
        }
        Ok(value)
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Value, String> {
        let name = span
            .slice(self.text)
            .unwrap_or_default()
            .trim_start_matches('*')
            .to_owned();
        match self.anchors.get(&id) {
            Some(Some((value, nodes))) => {
                let (value, nodes) = (value.clone(), *nodes);
                self.count(nodes)?;
                Ok(value)
            }
            Some(None) => Err(format!(
                "cannot refer to anchor {} from inside its own definition",
                quoted(&name)
            )),
            None => Err(format!("reference to undefined anchor {}", quoted(&name))),
        }
    }

    fn sequence(&mut self, tag: &str, span: &Span) -> Result<Value, String> {
        if !tag.is_empty() && tag != "tag:yaml.org,2002:seq" {
            return Err(at(span, &format!("can't interpret sequence as {tag}")));
        }
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::tuple(items)),
                (event, span) => items.push(self.rest_of(event, span)?),
            }
        }
    }

    fn mapping(&mut self, tag: &str, span: &Span) -> Result<Value, String> {
        if !tag.is_empty() && tag != "tag:yaml.org,2002:map" {
            return Err(at(span, &format!("can't interpret mapping as {tag}")));
        }
        let mut entries: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            let (text, style, tag) = match event {
                Event::MappingEnd => return Ok(Value::object(entries)),
                Event::Scalar(text, style, _, tag) => (text, style, tag),
                _ => return Err(at(&span, "only strings are allowed as mapping keys")),
            };
            match resolve(&tag_name(tag.as_deref()), &text, style)? {
                Scalar::Merge => {
                    let merged = self.node()?;
                    // One mapping, or several, of which later ones win.
                    let (all, from) = match merged.kind() {
                        Kind::Tuple(items) => (items.as_slice(), " (from sequence)"),
                        _ => (std::slice::from_ref(&merged), ""),
                    };
                    for one in all {
                        let Some(inner) = one.as_entries() else {
                            let name = one.ty().friendly_name();
                            let problem = format!("cannot merge {name}{from} into mapping");
                            return Err(at(&span, &problem));
                        };
                        entries.extend(inner.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
                    }
                }
                Scalar::Value(key) => {
                    if key.is_null() {
                        return Err("mapping key cannot be null".into());
                    }
                    let key = convert(&key, &Type::String)
                        .map_err(|_| at(&span, "only strings are allowed as mapping keys"))?;
                    let Kind::String(key) = key.into_kind() else {
                        return Err(at(&span, "only strings are allowed as mapping keys"));
                    };
                    let value = self.node()?;
                    entries.insert(key, value);
                }
            }
        }
    }
}

/// The tag in full; empty for none.
fn tag_name(tag: Option<&Tag>) -> String {
    tag.map(|t| format!("{}{}", t.handle(), t.suffix()))
        .filter(|t| t != "!")
        .unwrap_or_default()
}

enum Scalar {
    Value(Value),
    /// `<<`: the entries of another mapping, or, as in OpenTofu, of several.
    Merge,
}

const STR: &str = "tag:yaml.org,2002:str";
const BINARY: &str = "tag:yaml.org,2002:binary";
const BOOL: &str = "tag:yaml.org,2002:bool";
const INT: &str = "tag:yaml.org,2002:int";
const FLOAT: &str = "tag:yaml.org,2002:float";
const NULL: &str = "tag:yaml.org,2002:null";
const TIMESTAMP: &str = "tag:yaml.org,2002:timestamp";

fn resolve(tag: &str, text: &str, style: ScalarStyle) -> Result<Scalar, String> {
    if !["", STR, BINARY, BOOL, INT, FLOAT, NULL, TIMESTAMP].contains(&tag) {
        return Err(format!("unsupported tag {}", quoted(tag)));
    }
    let value = |v| Ok(Scalar::Value(v));
    let cannot = || format!("cannot parse {} as {tag}", quoted(text));
    let mut tag = tag;
    let first = text.bytes().next();
    // By the first character alone is known whether the text can mean anything but itself.
    let hinted = first.is_none_or(|b| b"+-.0123456789yYnNtTfFoO~".contains(&b));
    if hinted && tag != STR && tag != BINARY {
        if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            return value(Value::string(text));
        }
        if let Some(word) = word(text) {
            return value(word);
        }
        if tag.is_empty() && [".nan", ".NaN", ".NAN"].contains(&text) {
            return Err("floating point NaN is not supported".into());
        }
        match first {
            Some(b'.') => {
                if let Some(n) = Number::parse(text) {
                    return value(Value::number(n));
                }
            }
            Some(b'+' | b'-' | b'0'..=b'9') => {
                if (tag.is_empty() || tag == TIMESTAMP)
                    && let Some(time) = yaml_timestamp(text)
                {
                    return value(Value::string(time));
                }
                if is_integer(text) {
                    tag = INT;
                } else if is_float(text) {
                    tag = FLOAT;
                }
            }
            _ => {}
        }
    }
    if tag.is_empty() && text == "<<" {
        return Ok(Scalar::Merge);
    }
    match tag {
        BINARY if from_base64(text).is_none() => Err(format!(
            "cannot parse {} as {tag}: not valid base64",
            quoted(text)
        )),
        BOOL => match word(text) {
            Some(v) if v.as_bool().is_some() => value(v),
            _ => Err(cannot()),
        },
        INT | FLOAT => number(text)
            .map(Value::number)
            .map(Scalar::Value)
            .ok_or_else(cannot),
        TIMESTAMP => yaml_timestamp(text)
            .map(Value::string)
            .map(Scalar::Value)
            .ok_or_else(cannot),
        NULL => value(Value::null(Type::Dynamic)),
        _ => value(Value::string(text)),
    }
}

/// Words that mean a truth value, nothing or infinity.
fn word(text: &str) -> Option<Value> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => Value::null(Type::Dynamic),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            Value::number(Number::infinity(false))
        }
        "-.inf" | "-.Inf" | "-.INF" => Value::number(Number::infinity(true)),
        _ => return None,
    })
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn all(text: &str, wanted: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|b| wanted(&b))
}

fn is_integer(text: &str) -> bool {
    all(unsigned(text), u8::is_ascii_digit)
        || text
            .strip_prefix("0o")
            .is_some_and(|t| all(t, |b| (b'0'..=b'7').contains(b)))
        || text
            .strip_prefix("0x")
            .is_some_and(|t| all(t, u8::is_ascii_hexdigit))
}

fn is_float(text: &str) -> bool {
    let text = unsigned(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits_or_none = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let well_formed = digits_or_none(whole)
        && fraction.is_none_or(digits_or_none)
        && (!whole.is_empty() || fraction.is_some_and(|f| !f.is_empty()));
    well_formed && exponent.is_none_or(|e| all(unsigned(e), u8::is_ascii_digit))
}

fn number(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    if let Some(n) = Number::parse(&plain) {
        return Some(n);
    }
    let (negative, body) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = body.to_ascii_lowercase();
    let (digits, radix) = if let Some(d) = lower.strip_prefix("0x") {
        (d, 16)
    } else if let Some(d) = lower.strip_prefix("0o") {
        (d, 8)
    } else {
        (lower.strip_prefix("0b")?, 2)
    };
    let n = u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| all(digits, u8::is_ascii_alphanumeric))?;
    let n = Number::from(n);
    Some(if negative { -n } else { n })
}
