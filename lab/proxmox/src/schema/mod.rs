//! The published contract: every method of the API, its parameters and its privileges, from `tables/`.

pub(crate) mod check;
pub(crate) mod format;
pub(crate) mod permission;
pub(crate) mod property;
pub(crate) mod spec;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use serde::Deserialize;

use self::permission::Permissions;
use self::spec::Spec;
use crate::options::Version;

/// What `tools/api_table.py` writes from the vendor's API schema.
fn table(version: Version) -> &'static str {
    match version {
        Version::V8_4 => include_str!("../../tables/api-8.4.json"),
        Version::V9_2 => include_str!("../../tables/api-9.2.json"),
    }
}

/// All methods, found by verb and path.
pub(crate) struct Api {
    specs: Vec<Spec>,
    methods: Vec<Method>,
    /// Verb and number of path segments to methods, so that finding one looks at few.
    index: HashMap<(String, usize), Vec<usize>>,
    /// By verb and path as the contract writes it.
    names: HashMap<String, BTreeMap<String, usize>>,
    /// Methods whose last segment takes the rest of the path.
    greedy: Vec<usize>,
}

/// A method such as `POST /nodes/{node}/qemu`.
pub(crate) struct Method {
    /// Its place among the methods.
    pub(crate) number: usize,
    pub(crate) verb: String,
    pub(crate) path: String,
    segments: Vec<Segment>,
    parameters: BTreeMap<String, usize>,
    /// `None`: root@pam only.
    pub(crate) permissions: Option<Permissions>,
    /// Callable with an API token.
    pub(crate) allow_token: bool,
    /// Takes parameters beyond the named ones.
    open: bool,
    /// It answers the names below it, each under this key.
    pub(crate) index: Option<String>,
}

enum Segment {
    Fixed(String),
    Parameter(String),
}

#[derive(Deserialize)]
struct Table {
    specs: Vec<Spec>,
    methods: Vec<(
        String,
        String,
        BTreeMap<String, usize>,
        Option<serde_json::Value>,
        String,
    )>,
}

impl Api {
    pub(crate) fn load(version: Version) -> io::Result<Api> {
        let table: Table = serde_json::from_str(table(version)).map_err(io::Error::other)?;
        let mut api = Api {
            specs: table.specs,
            methods: Vec::new(),
            index: HashMap::new(),
            names: HashMap::new(),
            greedy: Vec::new(),
        };
        for (verb, path, parameters, permissions, flags) in table.methods {
            let segments: Vec<Segment> = path
                .split('/')
                .filter(|s| !s.is_empty())
                .map(Segment::new)
                .collect();
            let permissions = permissions
                .as_ref()
                .map(Permissions::parse)
                .transpose()
                .map_err(io::Error::other)?;
            let number = api.methods.len();
            if path.ends_with("/{volume}") || path.ends_with("/{cidr}") {
                api.greedy.push(number);
            }
            let verbs = api.names.entry(path.clone()).or_default();
            verbs.insert(verb.clone(), number);
            api.index
                .entry((verb.clone(), segments.len()))
                .or_default()
                .push(number);
            api.methods.push(Method {
                number,
                verb,
                path,
                segments,
                parameters,
                permissions,
                allow_token: flags.contains('t'),
                open: flags.contains('+'),
                index: flags.split_once(':').map(|(_, key)| key.to_owned()),
            });
        }
        Ok(api)
    }

    /// The method for a decoded path (below `/api2/json`), and what the path says of its parameters.
    pub(crate) fn find(&self, verb: &str, path: &str) -> Option<(&Method, Vec<(String, String)>)> {
        let given: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let exact = self
            .index
            .get(&(verb.to_owned(), given.len()))
            .into_iter()
            .flatten();
        // A fixed segment wins over a parameter in the same place.
        let best = exact
            .filter_map(|number| self.methods.get(*number))
            .filter_map(|method| Some((method, method.matches(&given)?)))
            .min_by_key(|(_, taken)| taken.len());
        best.or_else(|| {
            let greedy = self
                .greedy
                .iter()
                .filter_map(|number| self.methods.get(*number));
            greedy
                .filter(|m| m.verb == verb)
                .find_map(|method| Some((method, method.matches_rest(&given)?)))
        })
    }

    /// What is known of a parameter of a method, also of a numbered one (`net3` is `net[n]`).
    pub(crate) fn parameter(&self, method: &Method, name: &str) -> Option<&Spec> {
        if let Some(number) = method.parameters.get(name) {
            return self.specs.get(*number);
        }
        let (stem, index) = numbered(name)?;
        let spec = self
            .specs
            .get(*method.parameters.get(&format!("{stem}[n]"))?)?;
        spec.count
            .is_some_and(|count| index < count)
            .then_some(spec)
    }

    fn parameters<'a>(&'a self, method: &'a Method) -> impl Iterator<Item = (&'a str, &'a Spec)> {
        method
            .parameters
            .iter()
            .filter_map(|(name, number)| Some((name.as_str(), self.specs.get(*number)?)))
    }

    /// A parameter of a method that certainly exists, such as a VM's configuration options.
    pub(crate) fn option(&self, verb: &str, path: &str, name: &str) -> Option<&Spec> {
        self.parameter(self.named(verb, path)?, name)
    }

    /// The method of a path as the contract writes it.
    pub(crate) fn named(&self, verb: &str, path: &str) -> Option<&Method> {
        let number = self.names.get(path)?.get(verb)?;
        self.methods.get(*number)
    }

    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The fixed names right below a path.
    pub(crate) fn below(&self, path: &str) -> BTreeSet<&str> {
        let below = self.methods.iter();
        let rest = below.filter_map(|m| m.path.strip_prefix(path)?.strip_prefix('/'));
        rest.filter_map(|rest| rest.split('/').next()).collect()
    }
}

impl Method {
    fn matches(&self, given: &[&str]) -> Option<Vec<(String, String)>> {
        let mut taken = Vec::new();
        for (segment, given) in self.segments.iter().zip(given) {
            match segment {
                Segment::Fixed(text) if text == given => {}
                Segment::Fixed(_) => return None,
                Segment::Parameter(name) => taken.push((name.clone(), (*given).to_owned())),
            }
        }
        Some(taken)
    }

    /// As [`Method::matches`], with all that is left for the last parameter.
    fn matches_rest(&self, given: &[&str]) -> Option<Vec<(String, String)>> {
        let (head, rest) = given.split_at_checked(self.segments.len().checked_sub(1)?)?;
        let rest = rest.join("/");
        let mut given = head.to_vec();
        given.push(&rest);
        if rest.is_empty() {
            None
        } else {
            self.matches(&given)
        }
    }
}

impl Segment {
    fn new(text: &str) -> Segment {
        match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(name) => Segment::Parameter(name.to_owned()),
            None => Segment::Fixed(text.to_owned()),
        }
    }
}

/// `net3` as `("net", 3)`; names such as `net03` are not numbered.
pub(crate) fn numbered(name: &str) -> Option<(&str, u32)> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = name.strip_prefix(stem)?;
    if stem.is_empty() || digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((stem, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_published_method_and_each_finds_itself() {
        for (version, count) in [(Version::V8_4, 605), (Version::V9_2, 675)] {
            let api = Api::load(version).unwrap();
            assert_eq!(api.methods.len(), count);
            for method in &api.methods {
                let path = method.path.replace(['{', '}'], "");
                let (found, _) = api.find(&method.verb, &path).unwrap();
                assert_eq!((&found.verb, &found.path), (&method.verb, &method.path));
            }
        }
    }

    #[test]
    fn fixed_segments_win_and_volumes_take_the_rest() {
        let api = Api::load(Version::V9_2).unwrap();
        let (method, taken) = api.find("GET", "/nodes/a/qemu/100/config").unwrap();
        assert_eq!(method.path, "/nodes/{node}/qemu/{vmid}/config");
        assert_eq!(
            taken,
            [("node".into(), "a".into()), ("vmid".into(), "100".into())]
        );
        let (_, taken) = api
            .find("DELETE", "/nodes/a/storage/local/content/local:iso/x.img")
            .unwrap();
        assert_eq!(
            taken.last(),
            Some(&("volume".to_owned(), "local:iso/x.img".to_owned()))
        );
        assert!(api.find("GET", "/nonsense").is_none());
        assert!(api.find("PATCH", "/version").is_none());
    }

    #[test]
    fn every_pattern_of_the_tables_compiles() {
        fn walk(spec: &Spec) {
            if let Some(pattern) = &spec.pattern {
                assert!(format::matches(pattern, "").is_ok(), "{pattern}");
            }
            spec.properties()
                .into_iter()
                .flat_map(|p| p.values())
                .for_each(walk);
            spec.items.iter().for_each(|items| walk(items));
        }
        for version in [Version::V8_4, Version::V9_2] {
            let api = Api::load(version).unwrap();
            api.specs.iter().for_each(walk);
        }
    }

    #[test]
    fn numbered_parameters_are_bounded() {
        let api = Api::load(Version::V9_2).unwrap();
        let (method, _) = api.find("POST", "/nodes/a/qemu").unwrap();
        assert!(api.parameter(method, "net31").is_some());
        for name in ["net32", "net", "net01", "scsi31", "virtio16", "foo0"] {
            assert!(api.parameter(method, name).is_none(), "{name}");
        }
    }
}
