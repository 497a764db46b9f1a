//! Manifests in YAML: many documents become the objects to apply, in the order in which they must be applied.

use serde_json::Value as Json;
use stead_sdk::Error;
use stead_sdk::kube::{ObjectRef, text, without_nulls};

/// A manifest's objects: namespaces first, then definitions, then the rest as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) namespaces: Vec<Json>,
    pub(crate) definitions: Vec<Json>,
    pub(crate) others: Vec<Json>,
}

/// Splits a manifest. Empty documents are skipped, `List` objects opened.
pub(crate) fn parse(yaml: &str, origin: &str) -> Result<Objects, Error> {
    let failed = |said: String| Error::new(format!("read the manifest ({origin})"), said);
    // As the Kubernetes tools read it: YAML 1.1, in which `0644` is a file mode in octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Json> =
        serde_saphyr::from_multiple_with_options(yaml, options).map_err(|e| {
            let message = e.to_string();
            failed(format!(
                "it is not YAML: {}",
                message.lines().next().unwrap_or_default()
            ))
        })?;
    let mut objects = Objects::default();
    for document in documents {
        objects
            .take(document)
            .map_err(|e| failed(e.said().to_owned()))?;
    }
    if objects.is_empty() {
        return Err(failed("it holds no object".into()));
    }
    Ok(objects)
}

impl Objects {
    fn take(&mut self, document: Json) -> Result<(), Error> {
        if document.is_null() {
            return Ok(());
        }
        if text(&document, &["kind"]) == "List" {
            let items = document
                .get("items")
                .and_then(Json::as_array)
                .cloned()
                .unwrap_or_default();
            return items.into_iter().try_for_each(|item| self.take(item));
        }
        let object = without_nulls(document);
        let id = ObjectRef::of(&object)?;
        match (id.group(), id.kind.as_str()) {
            ("", "Namespace") => self.namespaces.push(object),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => self.definitions.push(object),
            _ => self.others.push(object),
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All objects, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Json> {
        self.namespaces
            .iter()
            .chain(&self.definitions)
            .chain(&self.others)
    }

    /// The version in the image of an Argo CD deployment (`…/argocd:v3.1.0`), when there is one.
    pub(crate) fn version(&self) -> Option<String> {
        let images = self
            .others
            .iter()
            .filter(|o| matches!(text(o, &["kind"]), "Deployment" | "StatefulSet"));
        let containers =
            images.filter_map(|o| o.pointer("/spec/template/spec/containers")?.as_array());
        containers.flatten().find_map(|c| {
            let image = text(c, &["image"]).split('@').next().unwrap_or_default();
            let (name, tag) = image.rsplit_once(':')?;
            (name.rsplit('/').next() == Some("argocd")).then(|| tag.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "
# a comment
---
apiVersion: v1
kind: ConfigMap
metadata: { name: a, creationTimestamp: null }
data: { mode: \"yes\" }
---
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.x.io }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: argocd-server }
spec:
  template:
    spec:
      containers:
      - image: quay.io/argoproj/argocd:v3.1.0@sha256:00
      volumes:
      - configMap: { defaultMode: 0644 }
---
apiVersion: v1
kind: List
items:
- { apiVersion: v1, kind: Namespace, metadata: { name: argocd } }
";

    #[test]
    fn documents_are_split_and_ordered() {
        let objects = parse(MANIFEST, "x.yaml").unwrap();
        let kinds: Vec<&str> = objects.iter().map(|o| text(o, &["kind"])).collect();
        assert_eq!(
            kinds,
            [
                "Namespace",
                "CustomResourceDefinition",
                "ConfigMap",
                "Deployment"
            ]
        );
        assert_eq!(objects.version().as_deref(), Some("v3.1.0"));
        assert!(
            objects.others[0]
                .pointer("/metadata/creationTimestamp")
                .is_none()
        );
        assert_eq!(objects.others[0].pointer("/data/mode").unwrap(), "yes");
        let mode = objects.others[1]
            .pointer("/spec/template/spec/volumes/0/configMap/defaultMode")
            .unwrap();
        assert_eq!(mode.as_i64(), Some(0o644));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let said = |text: &str| parse(text, "x.yaml").unwrap_err().to_string();
        assert!(said("a: [").contains("x.yaml"));
        assert!(said("--- {}\n").contains("apiVersion"));
        assert!(said("").contains("no object"));
        assert!(said("<html>").contains("apiVersion"));
    }
}
