use std::collections::BTreeMap;
use std::path::Path;

use super::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    let files = files
        .iter()
        .map(|(p, c)| ((*p).to_owned(), c.as_bytes().to_vec()))
        .collect();
    Tree {
        revision: "r".to_owned(),
        files,
    }
}

fn fixture() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kustomize");
    let mut files = BTreeMap::new();
    for folder in ["base", "overlay"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
            files.insert(name, std::fs::read(path).unwrap());
        }
    }
    Tree {
        revision: "r".to_owned(),
        files,
    }
}

fn by_identity(objects: Vec<Value>) -> BTreeMap<(String, String), Value> {
    objects
        .into_iter()
        .map(|o| ((text(&o, &["kind"]).to_owned(), name(&o).to_owned()), o))
        .collect()
}

#[test]
fn an_overlay_comes_out_as_the_real_kustomize_makes_it() {
    let built = by_identity(build(&fixture(), "overlay").unwrap());
    let expected = yaml::documents(include_str!(
        "../../../tests/fixtures/kustomize/expected.yaml"
    ))
    .unwrap();
    let expected = by_identity(expected);
    assert_eq!(
        built.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (key, object) in &expected {
        assert_eq!(&built[key], object, "{key:?}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let refused = |kustomization: &str| {
        build(&tree(&[("a/kustomization.yaml", kustomization)]), "a").unwrap_err()
    };
    assert!(refused("helmCharts: [{name: x}]").contains("does not render Helm charts"));
    assert!(refused("replacements: []").contains("does not support the field \"replacements\""));
    assert!(refused("resources: [https://example.com/x.yaml]").contains("does not fetch remote"));
    assert!(refused("resources: [gone.yaml]").contains("no such file"));
    assert!(refused("resources: [../../x]").contains("outside"));
    let patch = "patches: [{patch: \"{apiVersion: v1, kind: Secret, metadata: {name: s}}\"}]";
    assert!(refused(patch).contains("no resource matches strategic merge patch"));
    let cycle = tree(&[
        ("a/kustomization.yaml", "resources: [../b]"),
        ("b/kustomization.yaml", "resources: [../a]"),
    ]);
    assert!(build(&cycle, "a").unwrap_err().contains("cycle detected"));
}
