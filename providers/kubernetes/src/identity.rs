//! Identities of objects, as the published provider has them since 2.38 (`resourceidentity.go`, there twice).

use stead_sdk::{Block, Error, Identity};

use crate::manifest::Manifest;
use crate::namespace::Namespace;
use crate::secret::Secret;

/// Of a kind that lives in no namespace.
#[derive(Clone, Debug, Block)]
pub(crate) struct ClusterWide {
    #[attr(required)]
    api_version: String,
    #[attr(required)]
    kind: String,
    #[attr(required)]
    name: String,
}

#[derive(Clone, Debug, Block)]
pub(crate) struct Namespaced {
    #[attr(required)]
    pub(crate) api_version: String,
    #[attr(required)]
    pub(crate) kind: String,
    #[attr(required)]
    pub(crate) name: String,
    #[attr(optional)]
    pub(crate) namespace: Option<String>,
}

/// Refuses an identity of another kind than the type's own: the published provider takes it, and imports what bears the name.
fn check_kind(given: (&str, &str), own: &str) -> Result<(), Error> {
    if given == ("v1", own) {
        return Ok(());
    }
    let (api_version, kind) = given;
    let said = format!("its identity is one of a {kind} of {api_version}");
    Err(Error::new(format!("import a {own}"), said)
        .remedy(format!("Write api_version = \"v1\" and kind = \"{own}\".")))
}

impl Identity<Namespace> for ClusterWide {
    const VERSION: u64 = 1;

    fn of(namespace: &Namespace) -> Option<Self> {
        (!namespace.id.is_empty()).then(|| ClusterWide {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            name: namespace.id.clone(),
        })
    }

    fn import_id(&self) -> Result<String, Error> {
        check_kind((&self.api_version, &self.kind), "Namespace")?;
        Ok(self.name.clone())
    }
}

impl Identity<Secret> for Namespaced {
    const VERSION: u64 = 1;

    fn of(secret: &Secret) -> Option<Self> {
        let (namespace, name) = secret.id.split_once('/')?;
        Some(Namespaced {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
        })
    }

    fn import_id(&self) -> Result<String, Error> {
        check_kind((&self.api_version, &self.kind), "Secret")?;
        let namespace = self.namespace.as_deref().unwrap_or("default");
        Ok(format!("{namespace}/{}", self.name))
    }
}

impl Identity<Manifest> for Namespaced {
    const VERSION: u64 = 1;

    fn of(manifest: &Manifest) -> Option<Self> {
        manifest.live_names()
    }

    fn import_id(&self) -> Result<String, Error> {
        let namespace = match self.namespace.as_deref() {
            Some(namespace) if !namespace.is_empty() => format!("namespace={namespace},"),
            _ => String::new(),
        };
        let (api_version, kind, name) = (&self.api_version, &self.kind, &self.name);
        Ok(format!(
            "apiVersion={api_version},kind={kind},{namespace}name={name}"
        ))
    }
}
