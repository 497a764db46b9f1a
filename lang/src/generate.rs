//! Configuration as it could be written for an object that is there: what `-generate-config-out` writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use stead_value::schema::{Attribute, AttributeType, Block, NestedBlock, Nesting};
use stead_value::{Kind, Marks, Type, Value, is_printable};

use crate::config::is_identifier;
use crate::syntax::SourceFile;

/// How much of an object a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every argument, as null where it has no value: the reference's form.
    Everything,
    /// What an object that is told nothing would not have: for people to read. Secrets are left as they are.
    Essence,
}

/// What a configuration may say, and nobody should who does not have to: a digest that makes a change conditional, and what only repeats
/// or follows from what stands beside it.
const OF_THE_SERVER: &[&str] = &["digest", "mac_addresses", "path_in_datastore"];

/// A `resource` block for an object, by its schema; without a newline at its end. What only the provider decides is left out,
/// and what is secret is only named.
pub fn resource_block(
    type_name: &str,
    name: &str,
    provider: Option<&str>,
    schema: &Block,
    object: &Value,
    detail: Detail,
) -> String {
    let id = schema.attributes.get("id");
    let mut writer = Writer {
        out: format!("resource \"{type_name}\" \"{name}\" {{\n"),
        detail,
        older: id.is_some_and(|id| id.optional && id.computed),
        path: Vec::new(),
        kept: Vec::new(),
        as_blocks: Vec::new(),
    };
    if let Some(provider) = provider {
        let _ = writeln!(writer.out, "provider = {provider}");
    }
    writer.body(schema, object);
    writer.lifecycle();
    let mut text = writer.out;
    text.push('}');
    let file = Arc::new(SourceFile::new("generated.tf", &*text));
    // What is written here can be read: its layout is all that is left to do.
    crate::fmt::format(&file).unwrap_or(text)
}

/// A block in the making.
struct Writer {
    out: String,
    detail: Detail,
    /// The type is of the older provider kit: to it null is the same as an empty text, zero, false and an empty collection. It gives
    /// every resource an optional `id`, which no configuration may set.
    older: bool,
    /// Where we are, as `ignore_changes` writes it: `initialization[0].`, `user_account[0].`
    path: Vec<String>,
    /// Secrets that stay as they are.
    kept: Vec<String>,
    /// Lists of objects that are written as blocks, behind the attributes.
    as_blocks: Vec<(Arc<str>, Value)>,
}

impl Writer {
    fn essence(&self) -> bool {
        self.detail == Detail::Essence
    }

    fn body(&mut self, schema: &Block, object: &Value) {
        self.attributes(&schema.attributes, object);
        for (name, value) in std::mem::take(&mut self.as_blocks) {
            for item in value.as_sequence().unwrap_or_default() {
                self.plain_block(&name, item);
            }
        }
        for (name, nested) in &schema.blocks {
            if let Some(value) = object
                .get(name)
                .filter(|_| nested.block.deprecated.is_none())
            {
                self.block(name, nested, &value);
            }
        }
    }

    /// What must not change because nothing here says it.
    fn lifecycle(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let kept = self.kept.join(", ");
        let _ = write!(
            self.out,
            "\n# Secrets, which are not written here, stay as they are. To set one, write it above and take it out of this list.\nlifecycle {{\nignore_changes = [{kept}]\n}}\n"
        );
    }

    fn keep(&mut self, name: &str) {
        // Elements of sets have no place of their own: then the whole set stays.
        let within: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let whole = within.iter().position(|step| !step.ends_with('.'));
        let path = match whole {
            Some(at) => within.get(..=at).unwrap_or_default().concat(),
            None => within.concat() + name,
        };
        if !self.kept.contains(&path) {
            self.kept.push(path);
        }
    }

    fn attributes(&mut self, schema: &BTreeMap<Arc<str>, Attribute>, object: &Value) {
        for (name, attribute) in schema {
            let old_id = self.older && self.path.is_empty() && &**name == "id";
            let settable = attribute.required || attribute.optional;
            if !settable || attribute.deprecated.is_some() || old_id {
                continue;
            }
            let value = object
                .get(name)
                .unwrap_or_else(|| Value::null(attribute.value_type()));
            if self.essence() && self.says_nothing(name, attribute, &value) {
                continue;
            }
            if self.essence() && self.older && is_of_objects(&value) && !attribute.sensitive {
                self.as_blocks.push((Arc::clone(name), value));
                continue;
            }
            match &attribute.ty {
                AttributeType::Nested {
                    nesting,
                    attributes,
                } => self.nested_attribute(name, attribute, *nesting, attributes, &value),
                AttributeType::Simple(_) => self.simple_attribute(name, attribute, value),
            }
        }
    }

    /// Whether an object would have the value without being told, or a configuration cannot say it.
    fn says_nothing(&mut self, name: &str, attribute: &Attribute, value: &Value) -> bool {
        if attribute.required {
            return false;
        }
        if value.is_null() || attribute.write_only || OF_THE_SERVER.contains(&name) {
            return true;
        }
        let (plain, _) = value.clone().unmark_deep();
        let nothing = match &attribute.default {
            Some(default) => plain == *default,
            None => is_empty(&plain) && (self.older || attribute.computed),
        };
        if nothing {
            return true;
        }
        if attribute.sensitive || attribute.secret || !value.marks_deep().is_empty() {
            self.keep(name);
            return true;
        }
        false
    }

    fn simple_attribute(&mut self, name: &str, attribute: &Attribute, value: Value) {
        let essence = self.essence();
        let hidden = essence && attribute.secret;
        let secret = attribute.sensitive || hidden || !value.marks_deep().is_empty();
        if secret && essence {
            self.keep(name);
        }
        let out = &mut self.out;
        let _ = write!(out, "{name} = ");
        if secret {
            let text = if essence && attribute.value_type() == Type::String {
                "\"\""
            } else {
                "null"
            };
            let _ = writeln!(out, "{text} # sensitive");
            return;
        }
        match value.as_str() {
            // To the old provider kit an empty text is none.
            Some("") if attribute.optional && !essence => out.push_str("null"),
            Some(text) => match embedded_json(text) {
                Some(inner) => {
                    out.push_str("jsonencode(");
                    write_value(out, &inner);
                    out.push(')');
                }
                None => write_value(out, &value),
            },
            None => write_value(out, &value),
        }
        out.push('\n');
    }

    fn nested_attribute(
        &mut self,
        name: &str,
        attribute: &Attribute,
        nesting: Nesting,
        inner: &BTreeMap<Arc<str>, Attribute>,
        value: &Value,
    ) {
        let hidden = attribute.sensitive || is_secret(value);
        let empty = match nesting {
            Nesting::List | Nesting::Set => "[]",
            _ => "{}",
        };
        match value.kind() {
            _ if hidden => {
                let _ = writeln!(self.out, "{name} = {empty} # sensitive");
            }
            Kind::Object(_) => {
                let _ = writeln!(self.out, "{name} = {{");
                self.within(format!("{name}."), |w| w.attributes(inner, value));
                self.out.push_str("}\n");
            }
            Kind::List(_, items) => self.elements(name, inner, items.iter(), true),
            Kind::Set(_, items) => self.elements(name, inner, items.iter(), false),
            Kind::Map(_, entries) => {
                let _ = writeln!(self.out, "{name} = {{");
                for (key, entry) in entries.iter() {
                    write_key(&mut self.out, key);
                    if is_secret(entry) {
                        self.out.push_str(" = {} # sensitive\n");
                        continue;
                    }
                    self.out.push_str(" = {\n");
                    let step = format!("{name}[{}].", quoted(key));
                    self.within(step, |w| w.attributes(inner, entry));
                    self.out.push_str("}\n");
                }
                self.out.push_str("}\n");
            }
            _ => {
                let _ = writeln!(self.out, "{name} = null");
            }
        }
    }

    /// `numbered`: an element has a place of its own.
    fn elements<'a>(
        &mut self,
        name: &str,
        inner: &BTreeMap<Arc<str>, Attribute>,
        items: impl Iterator<Item = &'a Value>,
        numbered: bool,
    ) {
        let _ = writeln!(self.out, "{name} = [");
        for (i, item) in items.enumerate() {
            if is_secret(item) {
                self.out.push_str("{}, # sensitive\n");
                continue;
            }
            self.out.push_str("{\n");
            self.within(step(name, i, numbered), |w| w.attributes(inner, item));
            self.out.push_str("},\n");
        }
        self.out.push_str("]\n");
    }

    fn block(&mut self, name: &str, nested: &NestedBlock, value: &Value) {
        match value.kind() {
            Kind::Object(_) => self.one(name, None, nested, value, format!("{name}.")),
            Kind::List(..) | Kind::Set(..) | Kind::Map(..) if is_secret(value) => {
                let _ = writeln!(self.out, "{name} {{}} # sensitive");
            }
            Kind::List(_, items) => {
                for (i, item) in items.iter().enumerate() {
                    self.one(name, None, nested, item, step(name, i, true));
                }
            }
            Kind::Set(_, items) => {
                for item in items.iter() {
                    self.one(name, None, nested, item, name.to_owned());
                }
            }
            Kind::Map(_, entries) => {
                for (key, item) in entries.iter() {
                    let step = format!("{name}[{}].", quoted(key));
                    self.one(name, Some(key), nested, item, step);
                }
            }
            _ => {}
        }
    }

    fn one(
        &mut self,
        name: &str,
        label: Option<&str>,
        nested: &NestedBlock,
        item: &Value,
        step: String,
    ) {
        self.out.push_str(name);
        if let Some(label) = label {
            let _ = write!(self.out, " {}", quoted(label));
        }
        if is_secret(item) {
            self.out.push_str(" {} # sensitive\n");
            return;
        }
        let before = self.out.len() - name.len();
        self.out.push_str(" {\n");
        let inside = self.out.len();
        self.within(step, |w| w.body(&nested.block, item));
        // There is one whether it is said or not.
        let only = nested.max_items == 1 && nested.min_items == 0 && self.older;
        if self.essence() && only && self.out.len() == inside {
            self.out.truncate(before);
            return;
        }
        self.out.push_str("}\n");
    }

    /// An element of a list of objects: members without a value mean the same to the older kit as if they were not there.
    fn plain_block(&mut self, name: &str, item: &Value) {
        let _ = writeln!(self.out, "{name} {{");
        for (member, value) in item.as_entries().into_iter().flatten() {
            if !is_empty(value) {
                let _ = write!(self.out, "{member} = ");
                write_value(&mut self.out, value);
                self.out.push('\n');
            }
        }
        self.out.push_str("}\n");
    }

    fn within(&mut self, step: String, write: impl FnOnce(&mut Writer)) {
        self.path.push(step);
        write(self);
        self.path.pop();
    }
}

/// A step into a list, or, without a number, into a set.
fn step(name: &str, index: usize, numbered: bool) -> String {
    if numbered {
        format!("{name}[{index}].")
    } else {
        name.to_owned()
    }
}

/// A list or set of objects, which may be written as blocks.
fn is_of_objects(value: &Value) -> bool {
    matches!(value.kind(), Kind::List(ty, _) | Kind::Set(ty, _) if matches!(ty, Type::Object(_)))
}

fn is_secret(value: &Value) -> bool {
    value.marks().contains(Marks::SENSITIVE)
}

/// What the older provider kit takes for null.
fn is_empty(value: &Value) -> bool {
    match value.kind() {
        Kind::Null(_) => true,
        Kind::Bool(on) => !on,
        Kind::String(text) => text.is_empty(),
        Kind::Number(_) => *value == Value::number(0),
        Kind::List(_, items) | Kind::Set(_, items) => items.is_empty(),
        Kind::Map(_, entries) => entries.is_empty(),
        _ => false,
    }
}

/// The object or list that a text holds as JSON.
fn embedded_json(text: &str) -> Option<Value> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    (json.is_object() || json.is_array()).then_some(())?;
    stead_value::json::from_json_implied(&json).ok()
}

/// An expression whose value is this one. Unknown values, of which none can be written, become null.
fn write_value(out: &mut String, value: &Value) {
    let all = |out: &mut String, items: &mut dyn Iterator<Item = &Value>| {
        out.push('[');
        for (i, item) in items.enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            write_value(out, item);
        }
        out.push(']');
    };
    match value.kind() {
        Kind::Bool(b) => {
            let _ = write!(out, "{b}");
        }
        Kind::Number(_) => {
            // As a template shows it: the shortest decimal.
            let text = stead_value::convert::convert(value, &Type::String);
            out.push_str(text.ok().as_ref().and_then(Value::as_str).unwrap_or("null"));
        }
        Kind::String(text) => out.push_str(&quoted(text)),
        Kind::List(_, items) => all(out, &mut items.iter()),
        Kind::Set(_, items) => all(out, &mut items.iter()),
        Kind::Tuple(items) => all(out, &mut items.iter()),
        Kind::Map(_, entries) => write_entries(out, entries),
        Kind::Object(entries) => write_entries(out, entries),
        Kind::Null(_) | Kind::Unknown(..) => out.push_str("null"),
    }
}

fn write_entries(out: &mut String, entries: &BTreeMap<Arc<str>, Value>) {
    out.push('{');
    if !entries.is_empty() {
        out.push('\n');
    }
    for (key, value) in entries {
        write_key(out, key);
        out.push_str(" = ");
        write_value(out, value);
        out.push('\n');
    }
    out.push('}');
}

fn write_key(out: &mut String, key: &str) {
    if is_identifier(key) {
        out.push_str(key);
    } else {
        out.push_str(&quoted(key));
    }
}

/// A text in quotes, so that it stands for itself.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(ty: Type, change: impl FnOnce(&mut Attribute)) -> Attribute {
        let mut attribute = Attribute::new(ty);
        change(&mut attribute);
        attribute
    }

    #[test]
    fn what_can_be_set_is_written_and_what_is_secret_is_not() {
        let mut schema = Block::default();
        let optional = |a: &mut Attribute| a.optional = true;
        for (name, attribute) in [
            ("id", attribute(Type::String, |a| a.computed = true)),
            ("name", attribute(Type::String, |a| a.required = true)),
            ("policy", attribute(Type::String, optional)),
            ("empty", attribute(Type::String, optional)),
            (
                "old",
                attribute(Type::String, |a| a.deprecated = Some("no".into())),
            ),
            (
                "secret",
                attribute(Type::String, |a| {
                    a.optional = true;
                    a.sensitive = true;
                }),
            ),
            ("tags", attribute(Type::map(Type::String), optional)),
            ("ports", attribute(Type::list(Type::Number), optional)),
        ] {
            schema.attributes.insert(name.into(), attribute);
        }
        let mut disk = Block::default();
        disk.attributes
            .insert("size".into(), attribute(Type::Number, optional));
        schema.blocks.insert(
            "disk".into(),
            NestedBlock {
                nesting: Nesting::List,
                block: disk,
                min_items: 0,
                max_items: 0,
                force_new: false,
            },
        );
        let text = |s: &str| Value::string(s);
        let size = |n: i64| Value::object([("size".into(), Value::number(n))].into());
        let tags = [("a".into(), text("1")), ("b c".into(), text("x\n${y}"))];
        let sized = size(1).ty();
        let object = Value::object(
            [
                ("id".into(), text("i-1")),
                ("name".into(), text("web")),
                ("policy".into(), text(r#"{"a":[1,true],"b":null}"#)),
                ("empty".into(), text("")),
                ("secret".into(), text("hush")),
                ("tags".into(), Value::map(Type::String, tags.into())),
                (
                    "ports".into(),
                    Value::list(Type::Number, vec![Value::number(80), Value::number(443)]),
                ),
                ("disk".into(), Value::list(sized, vec![size(1), size(2)])),
            ]
            .into(),
        );
        let written = resource_block(
            "acme_vm",
            "web",
            Some("acme.west"),
            &schema,
            &object,
            Detail::Everything,
        );
        assert_eq!(
            written,
            r#"resource "acme_vm" "web" {
  provider = acme.west
  empty    = null
  name     = "web"
  policy = jsonencode({
    a = [1, true]
    b = null
  })
  ports  = [80, 443]
  secret = null # sensitive
  tags = {
    a     = "1"
    "b c" = "x\n$${y}"
  }
  disk {
    size = 1
  }
  disk {
    size = 2
  }
}"#
        );
    }

    #[test]
    fn the_essence_leaves_out_what_need_not_be_said_and_keeps_secrets_as_they_are() {
        let optional = |a: &mut Attribute| a.optional = true;
        let with_default = |default: Value| {
            move |a: &mut Attribute| {
                a.optional = true;
                a.default = Some(default);
            }
        };
        let secret = |a: &mut Attribute| {
            a.optional = true;
            a.sensitive = true;
        };
        let text = |s: &str| Value::string(s);
        let both = |a: &mut Attribute| {
            a.optional = true;
            a.computed = true;
        };
        let attributes = [
            ("id", attribute(Type::String, both), text("i-1")),
            (
                "cores",
                attribute(Type::Number, with_default(Value::number(1))),
                Value::number(1),
            ),
            ("digest", attribute(Type::String, both), text("abc")),
            (
                "mac",
                attribute(Type::String, both),
                text("BC:24:11:00:00:01"),
            ),
            ("note", attribute(Type::String, optional), text("")),
            (
                "on",
                attribute(Type::Bool, with_default(Value::bool(true))),
                Value::bool(false),
            ),
            (
                "unset",
                attribute(Type::String, optional),
                Value::null(Type::String),
            ),
            (
                "password",
                attribute(Type::String, |a| {
                    a.required = true;
                    a.sensitive = true;
                }),
                text(""),
            ),
        ];
        let mut schema = Block::default();
        let mut object: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        for (name, attribute, value) in attributes {
            schema.attributes.insert(name.into(), attribute);
            object.insert(name.into(), value);
        }
        let mut account = Block::default();
        let nested = [
            ("keys", optional as fn(&mut Attribute)),
            ("password", secret),
        ];
        for (name, change) in nested {
            let attribute = attribute(Type::String, change);
            account.attributes.insert(name.into(), attribute);
        }
        let value =
            Value::object([("keys".into(), text("k")), ("password".into(), text("p"))].into());
        object.insert("account".into(), Value::list(value.ty(), vec![value]));
        schema.blocks.insert(
            "account".into(),
            NestedBlock {
                nesting: Nesting::List,
                block: account,
                min_items: 0,
                max_items: 1,
                force_new: false,
            },
        );
        // What is there whether it is said or not is not said, and lists of objects are blocks.
        let mut agent = Block::default();
        let enabled = attribute(Type::Bool, with_default(Value::bool(false)));
        agent.attributes.insert("enabled".into(), enabled);
        let value = Value::object([("enabled".into(), Value::bool(false))].into());
        object.insert("agent".into(), Value::list(value.ty(), vec![value]));
        schema.blocks.insert(
            "agent".into(),
            NestedBlock {
                nesting: Nesting::List,
                block: agent,
                min_items: 0,
                max_items: 1,
                force_new: false,
            },
        );
        let card = [
            ("bridge".into(), text("vmbr0")),
            ("vlan".into(), Value::number(0)),
        ];
        let card = Value::object(card.into());
        let cards = attribute(Type::list(card.ty()), both);
        schema.attributes.insert("card".into(), cards);
        object.insert("card".into(), Value::list(card.ty(), vec![card]));
        let object = Value::object(object);
        let written = resource_block("acme_vm", "web", None, &schema, &object, Detail::Essence);
        assert_eq!(
            written,
            r#"resource "acme_vm" "web" {
  mac      = "BC:24:11:00:00:01"
  on       = false
  password = "" # sensitive
  card {
    bridge = "vmbr0"
  }
  account {
    keys = "k"
  }

  # Secrets, which are not written here, stay as they are. To set one, write it above and take it out of this list.
  lifecycle {
    ignore_changes = [password, account[0].password]
  }
}"#
        );
    }
}
