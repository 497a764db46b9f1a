//! Reading CSV (RFC 4180) with a header line.

use stead_value::{Type, Value};

use super::quoted;

/// A list of objects, whose attributes are the columns.
pub(super) fn decode(text: &str) -> Result<Value, String> {
    let mut reader = Reader {
        rest: text,
        line: 0,
    };
    let (_, headers) = reader.record()?.ok_or("missing header line")?;
    for (i, name) in headers.iter().enumerate() {
        if headers.iter().take(i).any(|other| other == name) {
            return Err(format!("duplicate column name {}", quoted(name)));
        }
    }
    let mut rows = Vec::new();
    while let Some((line, fields)) = reader.record()? {
        if fields.len() != headers.len() {
            return Err(problem(line, "wrong number of fields"));
        }
        rows.push(Value::object_from(
            headers
                .iter()
                .zip(&fields)
                .map(|(k, v)| (&**k, Value::string(v))),
        ));
    }
    let ty = Type::object(headers.iter().map(|name| (&**name, Type::String)));
    Ok(Value::list(ty, rows))
}

fn problem(line: usize, what: &str) -> String {
    format!("CSV parse error on line {line}: {what}")
}

struct Reader<'a> {
    rest: &'a str,
    /// Of the line read last, counted from one.
    line: usize,
}

impl<'a> Reader<'a> {
    /// The next line without its end.
    fn next_line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The fields of the next record, and the line where it begins. Empty lines do not count.
    fn record(&mut self) -> Result<Option<(usize, Vec<String>)>, String> {
        let mut line = loop {
            match self.next_line() {
                None => return Ok(None),
                Some("") => {}
                Some(line) => break line,
            }
        };
        let first = self.line;
        let mut fields = Vec::new();
        loop {
            let Some(inside) = line.strip_prefix('"') else {
                let (field, after) = match line.split_once(',') {
                    Some((field, after)) => (field, Some(after)),
                    None => (line, None),
                };
                if field.contains('"') {
                    return Err(problem(self.line, "bare \" in non-quoted-field"));
                }
                fields.push(field.to_owned());
                match after {
                    Some(after) => line = after,
                    None => return Ok(Some((first, fields))),
                }
                continue;
            };
            let (field, after) = self.quoted_field(inside)?;
            fields.push(field);
            match after {
                Some(after) => line = after,
                None => return Ok(Some((first, fields))),
            }
        }
    }

    /// Reads on behind the opening quote, over several lines if need be; gives the field and what follows its comma.
    fn quoted_field(&mut self, inside: &'a str) -> Result<(String, Option<&'a str>), String> {
        let mut field = String::new();
        let mut line = inside;
        loop {
            let Some((part, after)) = line.split_once('"') else {
                field.push_str(line);
                let wrong = problem(self.line, "extraneous or missing \" in quoted-field");
                line = self.next_line().ok_or(wrong)?;
                field.push('\n');
                continue;
            };
            field.push_str(part);
            if let Some(after) = after.strip_prefix('"') {
                field.push('"');
                line = after;
            } else if after.is_empty() {
                return Ok((field, None));
            } else if let Some(after) = after.strip_prefix(',') {
                return Ok((field, Some(after)));
            } else {
                return Err(problem(
                    self.line,
                    "extraneous or missing \" in quoted-field",
                ));
            }
        }
    }
}
