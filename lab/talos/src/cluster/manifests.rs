//! What a control plane brings into its Kubernetes by itself, each once: Talos' own objects, then those of the configuration.
//!
//! Facts: Talos `internal/app/machined/pkg/controllers/k8s` (`manifest.go` and `extra_manifest.go`: the names, by which they are
//! ordered), and the images of its releases.

use serde_json::{Value as Json, json};

use crate::config::{self, Config};
use crate::version::Line;
use crate::yaml::{Node, ScalarKind, Value, parse, parse_int};

const SYSTEM: &str = "kube-system";

/// Where DNS answers within a cluster.
const DNS: &str = "10.96.0.10";

/// Some objects under a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) id: String,
    pub(crate) source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Objects(Vec<Json>),
    /// YAML.
    Text(String),
    Url(String),
}

/// What a node with this configuration brings, in order.
pub(crate) fn of(config: &Config, line: Line) -> Vec<Manifest> {
    let (dns_release, flannel_release) = line.add_ons();
    let mut found = vec![own("11-kube-config-in-cluster", vec![kubeconfig(config)])];
    if !config.needs_cni() {
        found.push(own("05-flannel", flannel(flannel_release)));
    }
    if config.has_proxy() {
        let image = image(config, "cluster.proxy.image", "KubeProxyConfig");
        let stock = || format!("registry.k8s.io/kube-proxy:{}", line.default_kubernetes());
        found.push(own("10-kube-proxy", proxy(&image.unwrap_or_else(stock))));
    }
    if config.has_dns() {
        let image = image(config, "cluster.coreDNS.image", "KubeCoreDNSConfig");
        let stock = || format!("registry.k8s.io/coredns/coredns:{dns_release}");
        found.push(own("11-core-dns", dns(&image.unwrap_or_else(stock))));
        found.push(own("11-core-dns-svc", vec![dns_service()]));
    }
    found.extend(
        config
            .manifests()
            .into_iter()
            .map(|manifest| match manifest {
                config::Manifest::Inline { name, contents } => Manifest {
                    id: format!("99-{name}"),
                    source: Source::Text(contents),
                },
                config::Manifest::Url { rank, url } => Manifest {
                    id: format!("{rank}-{url}"),
                    source: Source::Url(url),
                },
            }),
    );
    // Stable: what is in the configuration keeps its order within a rank.
    found.sort_by(|a, b| rank(&a.id).cmp(rank(&b.id)));
    found
}

fn rank(id: &str) -> &str {
    id.split('-').next().unwrap_or_default()
}

fn own(id: &str, objects: Vec<Json>) -> Manifest {
    Manifest {
        id: id.to_owned(),
        source: Source::Objects(objects),
    }
}

fn image(config: &Config, path: &str, document: &str) -> Option<String> {
    let found = config.text_at(path);
    let found = found.or_else(|| config.doc(document)?.text_at("image"));
    found.map(str::to_owned)
}

/// The objects of a YAML text.
pub(crate) fn objects(text: &str) -> Vec<Json> {
    let documents = parse(text).unwrap_or_default();
    let objects = documents.iter().map(json_of);
    objects.filter(Json::is_object).collect()
}

fn json_of(node: &Node) -> Json {
    let text = node.text().unwrap_or_default();
    match (&node.value, node.kind()) {
        (Value::Sequence(items), _) => items.iter().map(json_of).collect(),
        (Value::Mapping(entries), _) => {
            let key = |k: &Node| k.text().unwrap_or("null").to_owned();
            let entries = entries.iter().map(|(k, v)| (key(k), json_of(v)));
            Json::Object(entries.collect())
        }
        (_, Some(ScalarKind::Null)) => Json::Null,
        (_, Some(ScalarKind::Bool)) => Json::from(text.eq_ignore_ascii_case("true")),
        (_, Some(ScalarKind::Int)) => {
            let whole = parse_int(text).and_then(|n| i64::try_from(n).ok());
            whole.map_or_else(|| Json::from(text), Json::from)
        }
        (_, Some(ScalarKind::Float)) => {
            let number = text.parse::<f64>();
            number.map_or_else(|_| Json::from(text), Json::from)
        }
        _ => Json::from(text),
    }
}

fn named(api_version: &str, kind: &str, name: &str) -> Json {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name, "namespace": SYSTEM } })
}

/// An object of the whole cluster.
fn global(kind: &str, name: &str) -> Json {
    json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": { "name": name } })
}

fn with(mut object: Json, key: &str, value: Json) -> Json {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
    object
}

/// An account, and the role that it has.
fn account(name: &str, role: &str) -> [Json; 2] {
    let binding = global("ClusterRoleBinding", role);
    let role =
        json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role });
    let subject = json!({ "kind": "ServiceAccount", "name": name, "namespace": SYSTEM });
    [
        named("v1", "ServiceAccount", name),
        with(with(binding, "roleRef", role), "subjects", json!([subject])),
    ]
}

fn role(name: &str, resources: &[&str]) -> Json {
    let rule =
        json!({ "apiGroups": [""], "resources": resources, "verbs": ["get", "list", "watch"] });
    with(global("ClusterRole", name), "rules", json!([rule]))
}

/// Pods of one container that Talos looks after.
fn workload(kind: &str, name: &str, key: &str, app: &str, container: &Json, more: &Json) -> Json {
    let labels = json!({ key: app });
    let mut pod = json!({ "serviceAccountName": name, "containers": [container] });
    if let (Some(pod), Some(more)) = (pod.as_object_mut(), more.as_object()) {
        pod.extend(more.clone());
    }
    let spec = json!({
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": pod },
    });
    let mut object = with(named("apps/v1", kind, name), "spec", spec);
    if let Some(metadata) = object.get_mut("metadata") {
        *metadata = with(metadata.take(), "labels", labels);
    }
    object
}

fn everywhere() -> Json {
    let anyone = json!([{ "operator": "Exists", "effect": "NoSchedule" }, { "operator": "Exists", "effect": "NoExecute" }]);
    json!({ "hostNetwork": true, "priorityClassName": "system-node-critical", "tolerations": anyone })
}

fn flannel(release: &str) -> Vec<Json> {
    let [account, binding] = account("flannel", "flannel");
    let network =
        json!({ "Network": "10.244.0.0/16", "Backend": { "Type": "vxlan", "Port": 4789 } });
    let files = json!({ "net-conf.json": network.to_string() });
    let image = format!("ghcr.io/siderolabs/flannel:{release}");
    let container = json!({ "name": "kube-flannel", "image": image, "command": ["/opt/bin/flanneld"], "args": ["--ip-masq", "--kube-subnet-mgr"] });
    let mut set = workload(
        "DaemonSet",
        "kube-flannel",
        "k8s-app",
        "flannel",
        &container,
        &everywhere(),
    );
    if let Some(user) = set.pointer_mut("/spec/template/spec/serviceAccountName") {
        *user = json!("flannel");
    }
    vec![
        role("flannel", &["nodes", "pods"]),
        binding,
        account,
        with(named("v1", "ConfigMap", "kube-flannel-cfg"), "data", files),
        set,
    ]
}

fn proxy(image: &str) -> Vec<Json> {
    let [account, binding] = account("kube-proxy", "system:node-proxier");
    let container =
        json!({ "name": "kube-proxy", "image": image, "command": ["/usr/local/bin/kube-proxy"] });
    let set = workload(
        "DaemonSet",
        "kube-proxy",
        "k8s-app",
        "kube-proxy",
        &container,
        &everywhere(),
    );
    vec![set, account, binding]
}

fn dns(image: &str) -> Vec<Json> {
    let [account, binding] = account("coredns", "system:coredns");
    let corefile = ".:53 {\n    errors\n    health\n    ready\n    kubernetes cluster.local in-addr.arpa ip6.arpa\n    forward . /etc/resolv.conf\n    cache 30\n    loop\n    reload\n}\n";
    let ports = json!([
        { "containerPort": 53, "name": "dns", "protocol": "UDP" },
        { "containerPort": 53, "name": "dns-tcp", "protocol": "TCP" },
    ]);
    let container = json!({ "name": "coredns", "image": image, "args": ["-conf", "/etc/coredns/Corefile"], "ports": ports });
    let control_plane = json!({ "key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule" });
    let more = json!({ "priorityClassName": "system-cluster-critical", "dnsPolicy": "Default", "tolerations": [control_plane] });
    let mut deployment = workload(
        "Deployment",
        "coredns",
        "k8s-app",
        "kube-dns",
        &container,
        &more,
    );
    if let Some(spec) = deployment.get_mut("spec") {
        *spec = with(spec.take(), "replicas", json!(2));
    }
    vec![
        account,
        binding,
        role(
            "system:coredns",
            &["endpoints", "services", "pods", "namespaces"],
        ),
        with(
            named("v1", "ConfigMap", "coredns"),
            "data",
            json!({ "Corefile": corefile }),
        ),
        deployment,
    ]
}

fn dns_service() -> Json {
    let ports = json!([
        { "name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53 },
        { "name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53 },
    ]);
    let spec = json!({ "clusterIP": DNS, "selector": { "k8s-app": "kube-dns" }, "ports": ports });
    with(named("v1", "Service", "kube-dns"), "spec", spec)
}

/// The kubeconfig that pods use which may not depend on the service network.
fn kubeconfig(config: &Config) -> Json {
    let server = config.endpoint().unwrap_or_default();
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n    server: {server}\n    certificate-authority: {account}/ca.crt\nusers:\n- name: service-account\n  user:\n    tokenFile: {account}/token\ncontexts:\n- name: local\n  context:\n    cluster: local\n    user: service-account\ncurrent-context: local\n"
    );
    with(
        named("v1", "ConfigMap", "kubeconfig-in-cluster"),
        "data",
        json!({ "kubeconfig": text }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str, line: Line) -> Config {
        let path = format!("{}/tests/golden/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        Config::load(line, &std::fs::read(path).unwrap()).unwrap()
    }

    fn ids(name: &str, line: Line) -> Vec<String> {
        let found = of(&golden(name, line), line).into_iter();
        found.map(|manifest| manifest.id).collect()
    }

    #[test]
    fn what_a_control_plane_brings_follows_its_configuration() {
        let all = [
            "05-flannel",
            "10-kube-proxy",
            "11-kube-config-in-cluster",
            "11-core-dns",
            "11-core-dns-svc",
        ];
        assert_eq!(ids("controlplane-v1.11", Line::V1_11), all);
        assert_eq!(ids("controlplane-v1.13", Line::V1_13), all);
        // In the newer form too.
        assert_eq!(ids("controlplane-v1.14", Line::V1_14), all);
        for (name, line) in [("cilium-v1.13", Line::V1_13), ("cilium-v1.14", Line::V1_14)] {
            let ids = ids(name, line);
            assert!(
                !ids.iter()
                    .any(|id| id == "05-flannel" || id == "10-kube-proxy"),
                "{ids:?}"
            );
            assert!(ids.iter().any(|id| id == "11-core-dns"), "{ids:?}");
        }
    }

    #[test]
    fn images_are_those_of_the_release_or_of_the_configuration() {
        let image = |config: &Config, line, id: &str| {
            let found = of(config, line).into_iter().find(|m| m.id == id).unwrap();
            let Source::Objects(objects) = found.source else {
                panic!("{id}");
            };
            let pods = objects
                .iter()
                .find(|o| o.pointer("/spec/template").is_some());
            let image = pods
                .unwrap()
                .pointer("/spec/template/spec/containers/0/image");
            image.unwrap().as_str().unwrap().to_owned()
        };
        let config = golden("controlplane-v1.12", Line::V1_12);
        assert_eq!(
            image(&config, Line::V1_12, "11-core-dns"),
            "registry.k8s.io/coredns/coredns:v1.13.2"
        );
        // The same configuration on the next release.
        assert_eq!(
            image(&config, Line::V1_13, "11-core-dns"),
            "registry.k8s.io/coredns/coredns:v1.14.6"
        );
        let text = "version: v1alpha1\nmachine:\n    type: controlplane\ncluster:\n    network:\n        dnsDomain: lab\n    coreDNS:\n        image: mirror.lab/coredns:v1\n    proxy:\n        disabled: true\n";
        let config = Config::load(Line::V1_13, text.as_bytes()).unwrap();
        assert_eq!(
            image(&config, Line::V1_13, "11-core-dns"),
            "mirror.lab/coredns:v1"
        );
        assert!(
            !of(&config, Line::V1_13)
                .iter()
                .any(|m| m.id == "10-kube-proxy")
        );
    }

    #[test]
    fn texts_become_objects() {
        let text = "apiVersion: v1\nkind: A\nn: 1\nf: 1.5\nt: true\nq: \"1\"\ne:\n---\n---\nkind: B\nl: [x, 2]\n";
        assert_eq!(
            objects(text),
            [
                json!({ "apiVersion": "v1", "kind": "A", "n": 1, "f": 1.5, "t": true, "q": "1", "e": null }),
                json!({ "kind": "B", "l": ["x", 2] }),
            ]
        );
    }
}
