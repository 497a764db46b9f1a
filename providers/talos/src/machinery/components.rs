//! The components of Kubernetes in a machine configuration: which images run, and how another one is asked for.
//!
//! Up to 1.13 the images stand in the legacy document; since 1.14 each component has a document of its own. Facts: Talos
//! `pkg/cluster/kubernetes` and `pkg/machinery/config/generate/stdpatches`.

use super::patch::{PatchError, apply_patches};
use super::schema::Release;
use super::value::{Fields, Value};
use super::yaml::{Node, Quoting, Style, YamlError, emit, parse_documents, to_value};

/// What Kubernetes is made of on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// The API server.
    ApiServer,
    /// The controller manager.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// kube-proxy.
    Proxy,
    /// The kubelet.
    Kubelet,
}

impl Component {
    /// All, in the order in which they are renewed.
    pub const ALL: [Component; 5] = [
        Component::ApiServer,
        Component::ControllerManager,
        Component::Scheduler,
        Component::Proxy,
        Component::Kubelet,
    ];

    /// As Kubernetes names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Proxy => "kube-proxy",
            Self::Kubelet => "kubelet",
        }
    }

    /// Where its settings stand in the legacy document.
    fn legacy(self) -> [&'static str; 2] {
        match self {
            Self::ApiServer => ["cluster", "apiServer"],
            Self::ControllerManager => ["cluster", "controllerManager"],
            Self::Scheduler => ["cluster", "scheduler"],
            Self::Proxy => ["cluster", "proxy"],
            Self::Kubelet => ["machine", "kubelet"],
        }
    }

    /// Its own document, since 1.14.
    fn document(self) -> &'static str {
        match self {
            Self::ApiServer => "KubeAPIServerConfig",
            Self::ControllerManager => "KubeControllerManagerConfig",
            Self::Scheduler => "KubeSchedulerConfig",
            Self::Proxy => "KubeProxyConfig",
            Self::Kubelet => "KubeletConfig",
        }
    }
}

/// The image of a component as a configuration names it; `None` when it leaves it to the node, or has no such component.
pub fn component_image(config: &str, component: Component) -> Option<String> {
    let documents = free_form(config).ok()?;
    let found = documents.iter().find_map(|d| place(d, component))?;
    Some(found.text_at(&["image"])?.to_owned())
}

/// The configuration with another image for a component that it has; unchanged when it has no such component.
///
/// # Errors
/// When the configuration cannot be read.
pub fn with_component_image(
    config: &str,
    component: Component,
    image: &str,
) -> Result<String, PatchError> {
    let documents = free_form(config)?;
    let Some(document) = documents.iter().find(|d| place(d, component).is_some()) else {
        return Ok(config.to_owned());
    };
    let image = Value::map([("image", image.into())]);
    let patch = if is_legacy(document) {
        let [part, name] = component.legacy();
        Value::map([(part, Value::map([(name, image)]))])
    } else {
        let mut patch = Fields::new();
        for (key, value) in [("apiVersion", "v1alpha1"), ("kind", component.document())] {
            patch.insert(key.to_owned(), value.into());
        }
        patch.extend(image.as_map().cloned().unwrap_or_default());
        Value::Map(patch)
    };
    let patch = [emit(&patch, Style::talos(Quoting::Double))];
    apply_patches(config, &patch, Release::V1_13)
        .or_else(|_| apply_patches(config, &patch, Release::V1_14))
}

/// Whether a configuration makes a machine part of the control plane.
pub fn is_control_plane(config: &str) -> bool {
    let documents = free_form(config).unwrap_or_default();
    let kind = documents
        .iter()
        .filter(|d| is_legacy(d))
        .find_map(|d| d.text_at(&["machine", "type"]));
    matches!(kind, Some("controlplane" | "init"))
}

/// A configuration in the form of which the published provider takes the hash: free-form, with sorted keys; with `tagless` the
/// images of Kubernetes' components have no tags, so that only another image counts and not another version.
pub fn comparable(config: &str, tagless: bool) -> String {
    let Ok(mut documents) = free_form(config) else {
        return config.to_owned();
    };
    for document in &mut documents {
        if tagless {
            without_tags(document);
        }
        sort(document);
    }
    let documents: Vec<String> = documents
        .iter()
        .map(|d| emit(d, Style::talos(Quoting::Double)))
        .collect();
    documents.join("---\n")
}

fn free_form(config: &str) -> Result<Vec<Value>, YamlError> {
    let documents = parse_documents(config)?;
    documents
        .iter()
        .filter(|d| !Node::is_null(d))
        .map(to_value)
        .collect()
}

fn is_legacy(document: &Value) -> bool {
    document.text_at(&["kind"]).is_none_or(str::is_empty)
}

/// The settings of a component in a document that has them, unless they switch it off.
fn place(document: &Value, component: Component) -> Option<&Value> {
    let found = settings(document, component)?;
    let disabled = matches!(found.at(&["disabled"]), Some(Value::Bool(true)));
    (!disabled).then_some(found)
}

fn settings(document: &Value, component: Component) -> Option<&Value> {
    let found = if is_legacy(document) {
        document.at(&component.legacy())
    } else {
        (document.text_at(&["kind"]) == Some(component.document())).then_some(document)
    };
    found.filter(|s| s.as_map().is_some())
}

fn without_tags(document: &mut Value) {
    for component in Component::ALL {
        if settings(document, component).is_none() {
            continue;
        }
        let legacy = component.legacy();
        let path: &[&str] = if is_legacy(document) { &legacy } else { &[] };
        let found = path
            .iter()
            .try_fold(&mut *document, |at, key| at.as_map_mut()?.get_mut(*key));
        let image = found
            .and_then(Value::as_map_mut)
            .and_then(|m| m.get_mut("image"));
        if let Some(Value::Str(image)) = image {
            *image = image_repository(image).to_owned();
        }
    }
}

fn sort(value: &mut Value) {
    match value {
        Value::Map(fields) => {
            fields.sort_keys();
            fields.values_mut().for_each(sort);
        }
        Value::List(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}

/// An image without its tag and digest.
pub fn image_repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        // That colon belongs to the port of the registry.
        Some((_, tag)) if tag.contains('/') => image,
        Some((repository, _)) => repository,
        None => image,
    }
}

/// The tag of an image, without its digest.
pub fn image_tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let (_, tag) = name.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::super::canonical;
    use super::*;

    const OLD: &str = "version: v1alpha1\nmachine:\n    type: controlplane\n    kubelet:\n        image: ghcr.io/siderolabs/kubelet:v1.35.0\ncluster:\n    apiServer:\n        image: registry.k8s.io/kube-apiserver:v1.35.0\n    proxy:\n        disabled: true\n        image: registry.k8s.io/kube-proxy:v1.35.0\n";
    const NEW: &str = "version: v1alpha1\nmachine:\n    type: worker\n---\napiVersion: v1alpha1\nkind: KubeletConfig\nimage: ghcr.io/siderolabs/kubelet:v1.37.0\n";

    #[test]
    fn images_are_found_and_replaced_in_old_and_new_configurations() {
        let image = |config: &str, c| component_image(config, c);
        assert_eq!(
            image(OLD, Component::ApiServer).as_deref(),
            Some("registry.k8s.io/kube-apiserver:v1.35.0")
        );
        assert_eq!(image(OLD, Component::Proxy), None, "it is switched off");
        assert_eq!(image(OLD, Component::Scheduler), None);
        assert_eq!(
            image(NEW, Component::Kubelet).as_deref(),
            Some("ghcr.io/siderolabs/kubelet:v1.37.0")
        );
        for (config, component) in [
            (OLD, Component::Kubelet),
            (OLD, Component::ApiServer),
            (NEW, Component::Kubelet),
        ] {
            let other =
                with_component_image(config, component, "mirror.lab:5000/x:v9.9.9").unwrap();
            assert_eq!(
                image(&other, component).as_deref(),
                Some("mirror.lab:5000/x:v9.9.9")
            );
            let rest = |text: &str, image: &str| {
                canonical(&text.replace(image, "X"), Release::V1_14).unwrap()
            };
            assert_eq!(
                rest(&other, "mirror.lab:5000/x:v9.9.9"),
                rest(config, &image(config, component).unwrap()),
                "nothing else changes"
            );
        }
        assert_eq!(
            with_component_image(NEW, Component::Proxy, "x:v1").unwrap(),
            NEW,
            "what is not there is not added"
        );
    }

    #[test]
    fn versions_of_kubernetes_can_be_left_out_of_a_comparison() {
        let newer = OLD.replace("v1.35.0", "v1.36.1");
        assert_eq!(comparable(OLD, true), comparable(&newer, true));
        assert_ne!(comparable(OLD, false), comparable(&newer, false));
        let mirrored = OLD.replace("registry.k8s.io", "mirror.lab");
        assert_ne!(comparable(OLD, true), comparable(&mirrored, true));
        let layout = "# hello\nversion: \"v1alpha1\"\nmachine: {kubelet: {image: 'ghcr.io/siderolabs/kubelet:v1.37.0'}, type: worker}\n";
        assert_eq!(
            comparable(layout, false),
            "machine:\n    kubelet:\n        image: ghcr.io/siderolabs/kubelet:v1.37.0\n    type: worker\nversion: v1alpha1\n"
        );
    }

    #[test]
    fn parts_of_image_names() {
        assert_eq!(image_repository("a.lab:5000/b:v1"), "a.lab:5000/b");
        assert_eq!(image_repository("a.lab:5000/b"), "a.lab:5000/b");
        assert_eq!(
            image_repository("a.lab:5000/b:v1@sha256:00"),
            "a.lab:5000/b"
        );
        assert_eq!(image_tag("a.lab:5000/b:v1@sha256:00"), Some("v1"));
        assert_eq!(image_tag("a.lab:5000/b"), None);
    }

    #[test]
    fn the_machine_type_tells_the_control_plane() {
        assert!(is_control_plane(OLD));
        assert!(!is_control_plane(NEW) && !is_control_plane("") && !is_control_plane("]"));
    }
}
