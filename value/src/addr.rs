//! Addresses: how objects are named across modules and instances.

use std::fmt;
use std::sync::Arc;

/// Which instance of an object with `count` or `for_each`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InstanceKey {
    None,
    Int(u64),
    String(Arc<str>),
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceKey::None => Ok(()),
            InstanceKey::Int(i) => write!(f, "[{i}]"),
            InstanceKey::String(s) => write!(f, "[{}]", quote(s)),
        }
    }
}

/// A string as HCL writes it between quotes, template introducers escaped.
pub fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' | '%' if chars.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A module in the configuration: the names of the calls that lead to it. Empty is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Module(pub Vec<Arc<str>>);

/// A module instance: calls with their keys. Empty is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleInstance(pub Arc<[(Arc<str>, InstanceKey)]>);

impl ModuleInstance {
    pub fn root() -> Self {
        Self::default()
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn child(&self, name: Arc<str>, key: InstanceKey) -> Self {
        ModuleInstance(
            self.0
                .iter()
                .cloned()
                .chain(std::iter::once((name, key)))
                .collect(),
        )
    }

    pub fn module(&self) -> Module {
        Module(self.0.iter().map(|(n, _)| Arc::clone(n)).collect())
    }

    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(ModuleInstance(rest.into()))
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "module.{name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ModuleInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, key)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "module.{name}{key}")?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceMode {
    Managed,
    Data,
    /// Opened while it is needed and closed again; never in a state or a plan.
    Ephemeral,
}

impl ResourceMode {
    /// The type of the block that declares it: `resource`, `data`, `ephemeral`.
    pub fn keyword(self) -> &'static str {
        match self {
            ResourceMode::Managed => "resource",
            ResourceMode::Data => "data",
            ResourceMode::Ephemeral => "ephemeral",
        }
    }
}

/// A resource within its module, without instance key: `data.http.x`, `null_resource.a`, `ephemeral.random_password.p`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    pub mode: ResourceMode,
    pub type_name: Arc<str>,
    pub name: Arc<str>,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mode {
            ResourceMode::Managed => {}
            ResourceMode::Data => f.write_str("data.")?,
            ResourceMode::Ephemeral => f.write_str("ephemeral.")?,
        }
        write!(f, "{}.{}", self.type_name, self.name)
    }
}

/// One resource instance, absolutely named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceInstance {
    pub module: ModuleInstance,
    pub resource: Resource,
    pub key: InstanceKey,
}

impl fmt::Display for ResourceInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.is_root() {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "{}{}", self.resource, self.key)
    }
}

/// A resource in the configuration (all of its instances), as `dependencies` in state name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigResource {
    pub module: Module,
    pub resource: Resource,
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.0.is_empty() {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "{}", self.resource)
    }
}

impl ResourceInstance {
    pub fn config(&self) -> ConfigResource {
        ConfigResource {
            module: self.module.module(),
            resource: self.resource.clone(),
        }
    }
}

/// A provider's source address: `registry.terraform.io/bpg/proxmox`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderSource {
    pub host: Arc<str>,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl fmt::Display for ProviderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.namespace, self.name)
    }
}

impl ProviderSource {
    pub const DEFAULT_HOST: &'static str = "registry.terraform.io";

    /// The provider that an unqualified name means: `hashicorp/NAME`.
    pub fn implied(name: &str) -> Self {
        ProviderSource {
            host: Self::DEFAULT_HOST.into(),
            namespace: "hashicorp".into(),
            name: name.into(),
        }
    }

    /// The provider that is part of the language: `terraform.io/builtin/terraform`.
    pub fn is_builtin(&self) -> bool {
        &*self.host == "terraform.io" && &*self.namespace == "builtin"
    }

    /// Without the default host, as people write it.
    pub fn display(&self) -> String {
        if &*self.host == Self::DEFAULT_HOST {
            format!("{}/{}", self.namespace, self.name)
        } else {
            self.to_string()
        }
    }

    /// Reads `name`, `namespace/name` or `host/namespace/name`.
    pub fn parse(s: &str) -> Option<Self> {
        let parts: Vec<&str> = s.split('/').collect();
        if parts.iter().any(|p| p.is_empty()) {
            return None;
        }
        let (host, namespace, name) = match parts[..] {
            [name] => (Self::DEFAULT_HOST, "hashicorp", name),
            [namespace, name] => (Self::DEFAULT_HOST, namespace, name),
            [host, namespace, name] => (host, namespace, name),
            _ => return None,
        };
        Some(ProviderSource {
            host: host.to_lowercase().into(),
            namespace: namespace.to_lowercase().into(),
            name: name.to_lowercase().into(),
        })
    }
}
