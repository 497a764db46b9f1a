//! Bodies in Kubernetes' protobuf form, as typed Go clients send them, into JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Kind, Object, Schema, any, builtin};

/// First bytes of every such body.
const MAGIC: &[u8] = b"k8s\0";

/// Decodes a body: an envelope with `apiVersion` and `kind`, and the message inside. The error says what is wrong.
pub(crate) fn decode_protobuf(bytes: &[u8]) -> Result<Value, String> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    )?;
    let (mut type_meta, mut raw, mut encoding) = (&[][..], &[][..], "");
    for field in fields(envelope) {
        match field? {
            (1, Wire::Bytes(b)) => type_meta = b,
            (2, Wire::Bytes(b)) => raw = b,
            (3, Wire::Bytes(b)) => encoding = std::str::from_utf8(b).unwrap_or("?"),
            _ => {}
        }
    }
    if !encoding.is_empty() {
        return Err(format!(
            "unable to decode protobuf content with encoding {encoding:?}"
        ));
    }
    let (mut api_version, mut kind) = (String::new(), String::new());
    for field in fields(type_meta) {
        match field? {
            (1, Wire::Bytes(b)) => api_version = text(b)?,
            (2, Wire::Bytes(b)) => kind = text(b)?,
            _ => {}
        }
    }
    let schema = schema_of(&api_version, &kind);
    if std::ptr::eq(schema, any()) {
        return Err(format!(
            "no kind {kind:?} is registered for version {api_version:?} in protobuf form"
        ));
    }
    let mut out = Map::new();
    out.insert("apiVersion".to_owned(), api_version.into());
    out.insert("kind".to_owned(), kind.into());
    message(schema, raw, &mut out)?;
    Ok(Value::Object(out))
}

/// The type behind `apiVersion` and `kind`, by how the types are named.
fn schema_of(api_version: &str, kind: &str) -> &'static Schema {
    if matches!(kind, "DeleteOptions") {
        return builtin("meta.v1.DeleteOptions");
    }
    let (group, version) = crate::object::split_api_version(api_version);
    let short = match group {
        "" => "core",
        "flowcontrol.apiserver.k8s.io" => "flowcontrol",
        "rbac.authorization.k8s.io" => "rbac",
        other => other.split('.').next().unwrap_or(other),
    };
    builtin(&format!("{short}.{version}.{kind}"))
}

enum Wire<'a> {
    Number(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

struct Fields<'a>(&'a [u8]);

fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields(bytes)
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or("unexpected EOF")?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("integer overflow".to_owned())
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let length = usize::try_from(length).map_err(|_| "unexpected EOF")?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or("unexpected EOF")?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), String> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| "illegal tag")?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Fixed64(
                self.take(8)?
                    .iter()
                    .rev()
                    .fold(0, |v, b| v << 8 | u64::from(*b)),
            ),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(
                self.take(4)?
                    .iter()
                    .rev()
                    .fold(0, |v, b| v << 8 | u64::from(*b)),
            ),
            other => return Err(format!("illegal wireType {other}")),
        };
        Ok((number, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "invalid UTF-8 in a string".to_owned())
}

/// How deep messages may nest; the deepest real ones are far below.
const DEPTH: u32 = 64;

fn message(schema: &Schema, bytes: &[u8], out: &mut Map<String, Value>) -> Result<(), String> {
    nested(schema, bytes, out, DEPTH)
}

fn nested(
    schema: &Schema,
    bytes: &[u8],
    out: &mut Map<String, Value>,
    depth: u32,
) -> Result<(), String> {
    let depth = depth
        .checked_sub(1)
        .ok_or("messages are nested too deeply")?;
    let Kind::Object(object) = &schema.kind else {
        return Ok(());
    };
    for field in fields(bytes) {
        let (number, wire) = field?;
        if let Some((_, inner)) = object.inlined.iter().find(|(n, _)| *n == number) {
            if let Wire::Bytes(b) = wire {
                nested(builtin(inner), b, out, depth)?;
            }
        } else if let Some((name, found)) = object
            .properties
            .iter()
            .find(|(_, f)| f.number == number && number != 0)
        {
            let has_default = found.default.is_some();
            put(found.schema.get(), name, has_default, wire, out, depth)?;
        }
    }
    Ok(())
}

/// Adds a field's value. Go writes fields that are not set as zeros, which are left out, unless zero is not the default.
fn put(
    schema: &Schema,
    name: &str,
    has_default: bool,
    wire: Wire<'_>,
    out: &mut Map<String, Value>,
    depth: u32,
) -> Result<(), String> {
    match (&schema.kind, wire) {
        (Kind::Array { items, .. }, wire) => {
            let item = value(items.get(), wire, depth)?;
            let list = out
                .entry(name.to_owned())
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(item);
            }
        }
        (
            Kind::Object(Object {
                additional: Some(inner),
                ..
            }),
            Wire::Bytes(bytes),
        ) => {
            let (key, item) = map_entry(inner.get(), bytes, depth)?;
            let map = out
                .entry(name.to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = map {
                map.insert(key, item);
            }
        }
        (_, wire) => {
            let value = value(schema, wire, depth)?;
            let is_zero = match &value {
                Value::String(s) => s.is_empty(),
                Value::Bool(b) => !b && !has_default,
                Value::Number(n) => n.as_f64() == Some(0.0) && !has_default,
                Value::Null => true,
                Value::Object(map) => {
                    map.is_empty()
                        && !matches!(name, "emptyDir" | "podSelector" | "namespaceSelector")
                }
                Value::Array(_) => false,
            };
            if !is_zero {
                out.insert(name.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn map_entry(schema: &Schema, bytes: &[u8], depth: u32) -> Result<(String, Value), String> {
    let (mut key, mut item) = (String::new(), Value::String(String::new()));
    for field in fields(bytes) {
        match (field?, &schema.kind) {
            ((1, Wire::Bytes(b)), _) => key = text(b)?,
            // A list as a map's value is a message of its own, with its items as field 1.
            ((2, Wire::Bytes(b)), Kind::Array { items, .. }) => {
                let mut list = Vec::new();
                for inner in fields(b) {
                    list.push(value(items.get(), inner?.1, depth)?);
                }
                item = Value::Array(list);
            }
            ((2, wire), _) => item = value(schema, wire, depth)?,
            _ => {}
        }
    }
    Ok((key, item))
}

fn value(schema: &Schema, wire: Wire<'_>, depth: u32) -> Result<Value, String> {
    let wrong = || Err("wrong wireType".to_owned());
    Ok(match (&schema.kind, wire) {
        (Kind::String, Wire::Bytes(b)) => text(b)?.into(),
        (Kind::Bytes, Wire::Bytes(b)) => STANDARD.encode(b).into(),
        (Kind::Boolean, Wire::Number(n)) => (n != 0).into(),
        (Kind::Integer, Wire::Number(n)) => n.cast_signed().into(),
        (Kind::Number, Wire::Fixed64(bits)) => f64::from_bits(bits).into(),
        (Kind::Time, Wire::Bytes(b)) => time(b)?,
        (Kind::Quantity, Wire::Bytes(b)) => first_text(b, 1)?.into(),
        (Kind::IntOrString, Wire::Bytes(b)) => int_or_string(b)?,
        // Free-form JSON is kept as JSON, in field 1.
        (Kind::Any, Wire::Bytes(b)) => {
            let raw = first_text(b, 1)?;
            if raw.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(&raw).map_err(|_| "a schema or free-form field is not read in protobuf form; send JSON or YAML".to_owned())?
            }
        }
        (Kind::Object(_), Wire::Bytes(b)) => {
            let mut out = Map::new();
            nested(schema, b, &mut out, depth)?;
            Value::Object(out)
        }
        _ => return wrong(),
    })
}

fn first_text(bytes: &[u8], wanted: u32) -> Result<String, String> {
    for field in fields(bytes) {
        if let (number, Wire::Bytes(b)) = field?
            && number == wanted
        {
            return text(b);
        }
    }
    Ok(String::new())
}

fn time(bytes: &[u8]) -> Result<Value, String> {
    let mut seconds = 0;
    for field in fields(bytes) {
        if let (1, Wire::Number(n)) = field? {
            seconds = n.cast_signed();
        }
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| "a time is out of range")?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut string) = (false, 0_i64, String::new());
    for field in fields(bytes) {
        match field? {
            (1, Wire::Number(n)) => is_text = n == 1,
            (2, Wire::Number(n)) => number = n.cast_signed(),
            (3, Wire::Bytes(b)) => string = text(b)?,
            _ => {}
        }
    }
    Ok(if is_text {
        string.into()
    } else {
        number.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [
            &[number << 3 | 2, u8::try_from(content.len()).unwrap()],
            content,
        ]
        .concat()
    }

    #[test]
    fn reads_what_go_clients_send() {
        let type_meta = [field(1, b"v1"), field(2, b"Secret")].concat();
        let entry = [field(1, b"key"), field(2, b"value")].concat();
        let secret = [
            field(1, &[field(1, b"s"), field(2, b"")].concat()),
            field(2, &entry),
            field(3, b"Opaque"),
        ]
        .concat();
        let body = [MAGIC, &field(1, &type_meta), &field(2, &secret)].concat();
        assert_eq!(
            decode_protobuf(&body).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "dmFsdWU="}, "type": "Opaque"})
        );
        for length in 0..body.len() {
            // Cut short anywhere: an error or less content, never a panic.
            let _ = decode_protobuf(&body[..length]);
        }
        assert!(decode_protobuf(b"{}").is_err());
    }
}
