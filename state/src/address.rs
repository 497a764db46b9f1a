//! Addresses as the state file writes them.

use std::fmt;
use std::sync::Arc;

use stead_value::addr::{
    InstanceKey, Module, ModuleInstance, ProviderSource, Resource, ResourceInstance, ResourceMode,
};

/// A provider configuration: `module.a.provider["registry.terraform.io/hashicorp/null"].alias`, or one of its instances
/// when it has `for_each`, as OpenTofu writes it: the same with `["key"]` behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderConfigRef {
    pub module: Module,
    pub source: ProviderSource,
    pub alias: Option<Arc<str>>,
    pub key: InstanceKey,
}

impl ProviderConfigRef {
    /// The configuration that an instance belongs to.
    #[must_use]
    pub fn config(&self) -> ProviderConfigRef {
        ProviderConfigRef {
            key: InstanceKey::None,
            ..self.clone()
        }
    }
}

impl fmt::Display for ProviderConfigRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.0.is_empty() {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "provider[\"{}\"]", self.source)?;
        match &self.alias {
            Some(alias) => write!(f, ".{alias}{}", self.key),
            None => Ok(()),
        }
    }
}

/// Reads the text form of a provider configuration's address.
pub fn parse_provider(text: &str) -> Option<ProviderConfigRef> {
    let mut cursor = Cursor { rest: text };
    let mut module = Vec::new();
    while cursor.word("module.") {
        module.push(cursor.identifier()?);
        cursor.word(".").then_some(())?;
    }
    // Before Terraform 0.13 only a provider's name was known.
    let source = if cursor.word("provider.") {
        let name = cursor.identifier()?;
        match &*name {
            "terraform" => ProviderSource::parse("terraform.io/builtin/terraform")?,
            name => ProviderSource::parse(&format!("-/{name}"))?,
        }
    } else {
        cursor.word("provider[").then_some(())?;
        let InstanceKey::String(source) = cursor.quoted()? else {
            return None;
        };
        cursor.word("]").then_some(())?;
        ProviderSource::parse(&source)?
    };
    let (alias, key) = if cursor.word(".") {
        (Some(cursor.identifier()?), cursor.key()?)
    } else {
        (None, InstanceKey::None)
    };
    if !cursor.rest.is_empty() {
        return None;
    }
    Some(ProviderConfigRef {
        module: Module(module),
        source,
        alias,
        key,
    })
}

/// Reads `module.a["x"].module.b`; the empty text is the root.
pub fn parse_module_instance(text: &str) -> Option<ModuleInstance> {
    let mut cursor = Cursor { rest: text };
    if text.is_empty() {
        return Some(ModuleInstance::root());
    }
    let mut module = ModuleInstance::root();
    loop {
        cursor.word("module.").then_some(())?;
        let name = cursor.identifier()?;
        module = module.child(name, cursor.key()?);
        if cursor.rest.is_empty() {
            return Some(module);
        }
        cursor.word(".").then_some(())?;
    }
}

/// Reads `module.a[0].data.http.x["k"]`.
pub fn parse_resource_instance(text: &str) -> Option<ResourceInstance> {
    let mut cursor = Cursor { rest: text };
    let mut module = ModuleInstance::root();
    while cursor.word("module.") {
        let name = cursor.identifier()?;
        module = module.child(name, cursor.key()?);
        cursor.word(".").then_some(())?;
    }
    let mode = if cursor.word("data.") {
        ResourceMode::Data
    } else if cursor.word("ephemeral.") {
        ResourceMode::Ephemeral
    } else {
        ResourceMode::Managed
    };
    let type_name = cursor.identifier()?;
    cursor.word(".").then_some(())?;
    let name = cursor.identifier()?;
    let key = cursor.key()?;
    cursor.rest.is_empty().then_some(ResourceInstance {
        module,
        resource: Resource {
            mode,
            type_name,
            name,
        },
        key,
    })
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn word(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn identifier(&mut self) -> Option<Arc<str>> {
        let end = self.rest.find(['.', '[', ']']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then(|| name.into())
    }

    /// `[0]`, `["k"]` or nothing.
    fn key(&mut self) -> Option<InstanceKey> {
        if !self.word("[") {
            return Some(InstanceKey::None);
        }
        let key = if self.rest.starts_with('"') {
            self.quoted()?
        } else {
            let end = self.rest.find(']')?;
            let (digits, rest) = self.rest.split_at(end);
            self.rest = rest;
            InstanceKey::Int(digits.parse().ok()?)
        };
        self.word("]").then_some(key)
    }

    /// A quoted string with HCL's escapes.
    fn quoted(&mut self) -> Option<InstanceKey> {
        let mut out = String::new();
        let mut chars = self.rest.strip_prefix('"')?.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest.get(at + 2..)?;
                    return Some(InstanceKey::String(out.into()));
                }
                '\\' => out.push(match chars.next()?.1 {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                }),
                '$' | '%' if chars.peek().is_some_and(|(_, n)| *n == c) => {
                    chars.next();
                    out.push(c);
                }
                c => out.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_addresses_round_trip() {
        for text in [
            "null_resource.a",
            "data.http.x[3]",
            "module.a[\"b.c\\\"]\"].module.d[0].null_resource.e[\"f\"]",
        ] {
            assert_eq!(
                parse_resource_instance(text)
                    .map(|a| a.to_string())
                    .as_deref(),
                Some(text)
            );
        }
        for text in ["", "a", "module.a", "a.b[", "a.b[x]", "a.b[\"", "a.b.c"] {
            assert_eq!(parse_resource_instance(text), None, "{text}");
        }
    }

    #[test]
    fn provider_addresses_round_trip() {
        for text in [
            "provider[\"registry.terraform.io/hashicorp/null\"]",
            "module.a.module.b.provider[\"terraform.io/builtin/terraform\"].x",
            "provider[\"registry.opentofu.org/hashicorp/null\"].x[\"a.b\"]",
        ] {
            assert_eq!(
                parse_provider(text).map(|a| a.to_string()).as_deref(),
                Some(text)
            );
        }
        for (text, written) in [
            (
                "provider.null",
                "provider[\"registry.terraform.io/-/null\"]",
            ),
            (
                "module.a.provider.null.x",
                "module.a.provider[\"registry.terraform.io/-/null\"].x",
            ),
            (
                "provider.terraform",
                "provider[\"terraform.io/builtin/terraform\"]",
            ),
        ] {
            let parsed = parse_provider(text).map(|a| a.to_string());
            assert_eq!(parsed.as_deref(), Some(written));
        }
        assert_eq!(parse_provider("provider"), None);
    }
}
