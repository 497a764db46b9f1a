//! Functions over strings.

use stead_value::{Type, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::{Call, FunctionError, Outcome};

fn text(s: impl AsRef<str>) -> Outcome {
    Ok(Value::string(s))
}

/// Case mapping is of single characters to single characters, as in the reference: `ß` has no upper case.
fn simple(c: char, mapped: impl Iterator<Item = char> + Clone) -> char {
    let mut one = mapped;
    match (one.next(), one.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

pub(super) fn upper(call: &Call<'_>) -> Outcome {
    text(call.text(0).chars().map(upper_char).collect::<String>())
}

fn upper_char(c: char) -> char {
    match c {
        // Greek letters with iota subscript: their one-character upper case is the title form.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(c as u32 + 8).unwrap_or(c)
        }
        '\u{1fb3}' => '\u{1fbc}',
        '\u{1fc3}' => '\u{1fcc}',
        '\u{1ff3}' => '\u{1ffc}',
        c => simple(c, c.to_uppercase()),
    }
}

pub(super) fn lower(call: &Call<'_>) -> Outcome {
    text(call.text(0).chars().map(lower_char).collect::<String>())
}

fn lower_char(c: char) -> char {
    // The only letter whose lower case has two characters.
    if c == '\u{130}' {
        'i'
    } else {
        simple(c, c.to_lowercase())
    }
}

pub(super) fn title(call: &Call<'_>) -> Outcome {
    let mut after_separator = true;
    let titled = call.text(0).chars().map(|c| {
        let out = if after_separator { title_char(c) } else { c };
        after_separator = is_separator(c);
        out
    });
    text(titled.collect::<String>())
}

fn title_char(c: char) -> char {
    match c {
        // The digraphs have a title case of their own.
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian letters have capitals only for words in capitals.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        c => upper_char(c),
    }
}

/// What ends a word for `title`.
fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !c.is_alphanumeric() && c.is_whitespace()
}

pub(super) fn strrev(call: &Call<'_>) -> Outcome {
    text(call.text(0).graphemes(true).rev().collect::<String>())
}

pub(super) fn substr(call: &Call<'_>) -> Outcome {
    let string = call.text(0);
    let (mut offset, length) = (call.int(1)?, call.int(2)?);
    let count = string.graphemes(true).count() as i64;
    if offset < 0 {
        offset = offset.saturating_add(count);
    } else if length == 0 {
        return text("");
    }
    if offset > 0 && offset >= count {
        return text("");
    }
    let rest = string
        .graphemes(true)
        .skip(usize::try_from(offset).unwrap_or(0));
    // A length of zero after a negative offset means everything, as in the reference.
    match usize::try_from(length) {
        Ok(length) if length > 0 => text(rest.take(length).collect::<String>()),
        _ => text(rest.collect::<String>()),
    }
}

pub(super) fn join(call: &Call<'_>) -> Outcome {
    let lists = call.rest(1);
    if lists.is_empty() {
        return Err(FunctionError::new("at least one list is required"));
    }
    if !lists.iter().all(Value::is_wholly_known) {
        return Ok(Value::unknown(Type::String));
    }
    let mut parts = Vec::new();
    for (i, list) in lists.iter().enumerate() {
        for (at, item) in list.as_sequence().unwrap_or_default().iter().enumerate() {
            let Some(part) = item.as_str() else {
                let which = if lists.len() > 1 {
                    format!(" of list {}", i + 1)
                } else {
                    String::new()
                };
                let message =
                    format!("element {at}{which} is null; cannot concatenate null values");
                return Err(FunctionError::argument(i + 1, message));
            };
            parts.push(part);
        }
    }
    text(parts.join(call.text(0)))
}

pub(super) fn split(call: &Call<'_>) -> Outcome {
    let (separator, string) = (call.text(0), call.text(1));
    let parts: Vec<Value> = if separator.is_empty() {
        string
            .chars()
            .map(|c| Value::string(c.encode_utf8(&mut [0; 4])))
            .collect()
    } else {
        string.split(separator).map(Value::string).collect()
    };
    Ok(Value::list(Type::String, parts))
}

pub(super) fn chomp(call: &Call<'_>) -> Outcome {
    text(call.text(0).trim_end_matches(['\r', '\n']))
}

pub(super) fn indent(call: &Call<'_>) -> Outcome {
    let count = usize::try_from(call.int(0)?)
        .ok()
        .filter(|n| *n <= MAX_INDENT)
        .ok_or_else(|| {
            FunctionError::argument(0, "the number of spaces must be between 0 and 1,000,000")
        })?;
    text(
        call.text(1)
            .replace('\n', &format!("\n{}", " ".repeat(count))),
    )
}

/// Indenting further could only exhaust the memory.
const MAX_INDENT: usize = 1_000_000;

pub(super) fn trimspace(call: &Call<'_>) -> Outcome {
    text(call.text(0).trim())
}

pub(super) fn trim(call: &Call<'_>) -> Outcome {
    let cutset = call.text(1);
    text(call.text(0).trim_matches(|c| cutset.contains(c)))
}

pub(super) fn trimprefix(call: &Call<'_>) -> Outcome {
    let string = call.text(0);
    text(string.strip_prefix(call.text(1)).unwrap_or(string))
}

pub(super) fn trimsuffix(call: &Call<'_>) -> Outcome {
    let string = call.text(0);
    text(string.strip_suffix(call.text(1)).unwrap_or(string))
}

/// Knows the answer for an unknown string too, if enough of its beginning is known.
pub(super) fn startswith(call: &Call<'_>) -> Outcome {
    let prefix = call.text(1);
    let Some(string) = call.arg(0).as_str() else {
        let known = call
            .arg(0)
            .refinement()
            .and_then(|r| r.prefix.as_deref())
            .unwrap_or_default();
        if known.starts_with(prefix) {
            return Ok(Value::bool(true));
        }
        if !prefix.starts_with(known) {
            return Ok(Value::bool(false));
        }
        return Ok(Value::unknown(Type::Bool));
    };
    Ok(Value::bool(string.starts_with(prefix)))
}

pub(super) fn endswith(call: &Call<'_>) -> Outcome {
    Ok(Value::bool(call.text(0).ends_with(call.text(1))))
}

pub(super) fn strcontains(call: &Call<'_>) -> Outcome {
    Ok(Value::bool(call.text(0).contains(call.text(1))))
}
