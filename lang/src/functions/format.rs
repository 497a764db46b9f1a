//! `format` and `formatlist`: text from a pattern with verbs.

use num_bigint::{BigInt, Sign};
use stead_value::convert::convert;
use stead_value::json::{to_json_text, write_json_string};
use stead_value::{Decimal, Number, Type, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::collections::with_prefix;
use super::{Call, FunctionError, Outcome, quoted};

pub(super) fn format(call: &Call<'_>) -> Outcome {
    let pattern = call.text(0);
    if !call.rest(1).iter().all(Value::is_wholly_known) {
        let known = pattern
            .find('%')
            .and_then(|at| pattern.get(..at))
            .unwrap_or_default();
        return Ok(with_prefix(known));
    }
    render(pattern, call.rest(1)).map(Value::string)
}

pub(super) fn formatlist(call: &Call<'_>) -> Outcome {
    let args = call.rest(1);
    let mut length: Option<(usize, usize)> = None;
    let mut open = false;
    for (i, arg) in args.iter().enumerate() {
        match (arg.ty(), arg.length()) {
            (Type::List(_) | Type::Set(_) | Type::Tuple(_), Some(n)) => {
                let Some(this) = n.as_number().and_then(Number::to_usize) else {
                    open = true;
                    continue;
                };
                match length {
                    None => length = Some((this, i)),
                    Some((other, chooser)) if other != this => {
                        let message = format!(
                            "argument {} has length {this}, which is inconsistent with argument {} of length {other}",
                            i + 1,
                            chooser + 1
                        );
                        return Err(FunctionError::argument(i + 1, message));
                    }
                    Some(_) => {}
                }
                open |= !arg.is_known();
            }
            (Type::Dynamic, _) if !arg.is_known() => open = true,
            _ => {}
        }
    }
    if open {
        return Ok(Value::unknown(Type::list(Type::String)));
    }
    let count = length.map_or(1, |(n, _)| n);
    let mut out = Vec::with_capacity(count);
    for row in 0..count {
        let row_args: Vec<Value> = args
            .iter()
            .map(|arg| match arg.as_sequence() {
                Some(items) => items.get(row).cloned().unwrap_or_else(|| arg.clone()),
                None => arg.clone(),
            })
            .collect();
        if row_args.iter().all(Value::is_wholly_known) {
            let text = render(call.text(0), &row_args).map_err(|e| {
                FunctionError::new(format!("error on format iteration {row}: {}", e.message))
            })?;
            out.push(Value::string(text));
        } else {
            out.push(Value::unknown(Type::String).refine_not_null());
        }
    }
    Ok(Value::list(Type::String, out))
}

/// One verb, such as `%-8.3[2]f`.
#[derive(Default)]
struct Verb<'a> {
    raw: &'a str,
    offset: usize,
    /// Which argument, counted from one.
    argument: usize,
    mode: char,
    zero: bool,
    sharp: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Wider than any text that someone formats.
const MAX_WIDTH: usize = 100_000;

fn render(pattern: &str, args: &[Value]) -> Result<String, FunctionError> {
    let mut out = String::with_capacity(pattern.len());
    let mut next = 1;
    let mut highest = 0;
    let mut at = 0;
    while let Some(rest) = pattern.get(at..).filter(|r| !r.is_empty()) {
        let Some(percent) = rest.find('%') else {
            out.push_str(rest);
            break;
        };
        out.push_str(rest.get(..percent).unwrap_or_default());
        at += percent;
        if pattern.get(at..).is_some_and(|r| r.starts_with("%%")) {
            out.push('%');
            at += 2;
            continue;
        }
        let verb = parse_verb(pattern, at, next)?;
        at += verb.raw.len();
        highest = highest.max(verb.argument);
        next = verb.argument + 1;
        write_verb(&verb, args, &mut out)?;
    }
    if highest < args.len() {
        let message = if highest == 0 {
            "too many arguments; no verbs in format string".to_owned()
        } else {
            format!("too many arguments; only {highest} used by format string")
        };
        return Err(FunctionError::argument(highest + 1, message));
    }
    Ok(out)
}

fn parse_verb(pattern: &str, start: usize, next: usize) -> Result<Verb<'_>, FunctionError> {
    let mut verb = Verb {
        offset: start,
        argument: next,
        ..Verb::default()
    };
    let bytes = pattern.as_bytes();
    let mut at = start + 1;
    let peek = |at: usize| bytes.get(at).copied();
    while let Some(flag @ (b'0' | b'#' | b'-' | b'+' | b' ')) = peek(at) {
        match flag {
            b'0' => verb.zero = true,
            b'#' => verb.sharp = true,
            b'-' => verb.minus = true,
            b'+' => verb.plus = true,
            _ => verb.space = true,
        }
        at += 1;
    }
    let number = |at: &mut usize| {
        let mut n = 0usize;
        while let Some(digit @ b'0'..=b'9') = peek(*at) {
            n = n
                .saturating_mul(10)
                .saturating_add(usize::from(digit - b'0'));
            *at += 1;
        }
        n
    };
    if let Some(b'1'..=b'9') = peek(at) {
        verb.width = Some(number(&mut at));
    }
    if peek(at) == Some(b'.') {
        at += 1;
        verb.precision = Some(number(&mut at));
    }
    let limit = |n: Option<usize>| n.is_some_and(|n| n > MAX_WIDTH);
    if limit(verb.width) || limit(verb.precision) {
        return Err(FunctionError::argument(
            0,
            format!("width or precision too large at offset {start}"),
        ));
    }
    if peek(at) == Some(b'[') && matches!(peek(at + 1), Some(b'1'..=b'9')) {
        let mut end = at + 1;
        let argument = number(&mut end);
        if peek(end) == Some(b']') {
            verb.argument = argument;
            at = end + 1;
        } else {
            at = end;
        }
    }
    match pattern.get(at..).and_then(|r| r.chars().next()) {
        Some(mode) if mode.is_ascii_alphabetic() => {
            verb.mode = mode;
            verb.raw = pattern.get(start..=at).unwrap_or_default();
            Ok(verb)
        }
        Some(other) => Err(FunctionError::new(format!(
            "unrecognized format character {other:?} at offset {at}"
        ))),
        None => Err(FunctionError::new(format!(
            "invalid format string starting at offset {at}"
        ))),
    }
}

impl Verb<'_> {
    fn unsupported(&self, why: &str) -> FunctionError {
        FunctionError::new(format!(
            "unsupported value for {} at {}: {why}",
            quoted(self.raw),
            self.offset
        ))
    }

    fn convert(&self, value: &Value, ty: &Type) -> Result<Value, FunctionError> {
        convert(value, ty).map_err(|e| self.unsupported(&e.message))
    }

    /// Fills up to the width, which counts characters as people see them.
    fn pad(&self, text: String) -> String {
        let missing = self
            .width
            .unwrap_or(0)
            .saturating_sub(text.graphemes(true).count());
        if missing == 0 {
            return text;
        }
        let fill = if self.zero { "0" } else { " " }.repeat(missing);
        if self.minus {
            text + &fill
        } else {
            fill + &text
        }
    }

    /// Fills a number up to the width: zeros go after the sign.
    fn pad_number(&self, sign: &str, digits: &str, zero: bool) -> String {
        let missing = self
            .width
            .unwrap_or(0)
            .saturating_sub(sign.len() + digits.len());
        if self.minus {
            format!("{sign}{digits}{}", " ".repeat(missing))
        } else if zero {
            format!("{sign}{}{digits}", "0".repeat(missing))
        } else {
            format!("{}{sign}{digits}", " ".repeat(missing))
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        }
    }
}

fn write_verb(verb: &Verb<'_>, args: &[Value], out: &mut String) -> Result<(), FunctionError> {
    let Some(arg) = args.get(verb.argument - 1) else {
        return Err(FunctionError::new(format!(
            "not enough arguments for {} at {}: need index {} but have {} total",
            quoted(verb.raw),
            verb.offset,
            verb.argument,
            args.len()
        )));
    };
    if verb.mode != 'v' && arg.is_null() {
        return Err(verb.unsupported("null value cannot be formatted"));
    }
    out.push_str(&match verb.mode {
        'v' => verb.pad(as_is(verb, arg)?),
        't' => verb
            .convert(arg, &Type::Bool)?
            .as_bool()
            .unwrap_or(false)
            .to_string(),
        'b' | 'd' | 'o' | 'x' | 'X' => integer(verb, number(verb, arg)?)?,
        'e' | 'E' | 'f' | 'g' | 'G' => float(verb, &number(verb, arg)?),
        's' | 'q' => string(verb, arg)?,
        other => {
            return Err(FunctionError::new(format!(
                "unsupported format verb {other:?} in {} at offset {}",
                quoted(verb.raw),
                verb.offset
            )));
        }
    });
    Ok(())
}

fn as_is(verb: &Verb<'_>, arg: &Value) -> Result<String, FunctionError> {
    if !verb.sharp {
        if let Some(s) = arg.as_str() {
            return Ok(s.to_owned());
        }
        if let Some(n) = arg.as_number() {
            return Ok(shortest(n, 'e'));
        }
    }
    to_json_text(arg, &arg.ty()).map_err(|e| verb.unsupported(&e.message))
}

/// The shortest decimal, with an exponent for large and small numbers.
fn shortest(n: &Number, mark: char) -> String {
    match Decimal::shortest(n) {
        Some(d) => d.general(
            SHORTEST_THRESHOLD.max(if d.digits.is_empty() { 21 } else { 0 }),
            mark,
        ),
        None => n.to_string(),
    }
}

/// From this power of ten on, `%v` and `%g` without precision write an exponent.
const SHORTEST_THRESHOLD: i64 = 6;

fn string(verb: &Verb<'_>, arg: &Value) -> Result<String, FunctionError> {
    let value = verb.convert(arg, &Type::String)?;
    let mut text = value.as_str().unwrap_or_default().to_owned();
    if let Some(precision) = verb.precision.filter(|p| *p > 0) {
        text = text.graphemes(true).take(precision).collect();
    }
    if verb.mode == 'q' {
        let mut json = String::new();
        write_json_string(&text, &mut json);
        text = json;
    }
    Ok(verb.pad(text))
}

fn number(verb: &Verb<'_>, arg: &Value) -> Result<Number, FunctionError> {
    let value = verb.convert(arg, &Type::Number)?;
    value
        .as_number()
        .cloned()
        .ok_or_else(|| verb.unsupported("a number is required"))
}

fn integer(verb: &Verb<'_>, n: Number) -> Result<String, FunctionError> {
    let whole: BigInt = n
        .to_bigint()
        .ok_or_else(|| verb.unsupported("an integer is required"))?;
    let (radix, prefix) = match verb.mode {
        'b' => (2, "0b"),
        'o' => (8, "0"),
        'x' => (16, "0x"),
        'X' => (16, "0X"),
        _ => (10, ""),
    };
    let mut digits = whole.magnitude().to_str_radix(radix);
    if verb.mode == 'X' {
        digits.make_ascii_uppercase();
    }
    if let Some(precision) = verb.precision {
        if precision == 0 && whole.sign() == Sign::NoSign {
            digits.clear();
        }
        digits = format!(
            "{}{digits}",
            "0".repeat(precision.saturating_sub(digits.len()))
        );
    }
    let prefix = if verb.sharp { prefix } else { "" };
    let sign = format!("{}{prefix}", verb.sign(whole.sign() == Sign::Minus));
    Ok(verb.pad_number(&sign, &digits, verb.zero && verb.precision.is_none()))
}

fn float(verb: &Verb<'_>, n: &Number) -> String {
    let sign = verb.sign(n.is_negative());
    let mark = if verb.mode.is_ascii_uppercase() {
        'E'
    } else {
        'e'
    };
    let Some(mut decimal) = Decimal::exact(&n.abs()) else {
        let sign = if n.is_negative() || verb.plus {
            sign
        } else {
            verb.sign(false)
        };
        return verb.pad_number(if sign.is_empty() { "+" } else { sign }, "Inf", false);
    };
    let digits = match verb.mode {
        'f' => {
            let places = verb.precision.unwrap_or(6);
            decimal.round(decimal.exponent.saturating_add(places as i64));
            decimal.fixed_places(places)
        }
        'e' | 'E' => {
            let places = verb.precision.unwrap_or(6);
            decimal.round(places as i64 + 1);
            decimal.scientific(places, mark)
        }
        _ => match verb.precision {
            None => shortest(&n.abs(), mark),
            Some(precision) => {
                let precision = precision.max(1) as i64;
                decimal.round(precision);
                decimal.general(precision, mark)
            }
        },
    };
    verb.pad_number(sign, &digits, verb.zero)
}
