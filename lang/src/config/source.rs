//! Where modules come from: the addresses that `source` takes.

use std::fmt;
use std::sync::Arc;

/// A module's source, in the form in which the manifest of installed modules records it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModuleSource {
    /// `./dir`, `../dir`: in the package of the calling module.
    Local(String),
    /// `hashicorp/consul/aws//modules/x`
    Registry(RegistryModule),
    /// Anything else that can be fetched.
    Remote(RemoteModule),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryModule {
    pub host: Arc<str>,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub target: Arc<str>,
    /// Below the package's root; empty for the root.
    pub subdir: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteModule {
    /// With the protocol: `git::https://example.com/a.git?ref=v1`.
    pub package: String,
    /// Below the package's root; empty for the root.
    pub subdir: String,
}

/// Why a text is no module source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// Perhaps a path that lacks `./`.
    MaybePath(String),
    Malformed(String),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::MaybePath(address) => write!(
                f,
                "Terraform cannot detect a supported external module source type for {address}"
            ),
            SourceError::Malformed(why) => f.write_str(why),
        }
    }
}

fn malformed<T>(why: impl Into<String>) -> Result<T, SourceError> {
    Err(SourceError::Malformed(why.into()))
}

const DEFAULT_HOST: &str = "registry.terraform.io";

impl fmt::Display for RegistryModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.host)?;
        write!(f, "{}/{}/{}", self.namespace, self.name, self.target)?;
        subdir(f, &self.subdir)
    }
}

impl RegistryModule {
    /// The address of the package alone, without the default host: as people write it.
    pub fn package(&self) -> String {
        let RegistryModule {
            host,
            namespace,
            name,
            target,
            ..
        } = self;
        if &**host == DEFAULT_HOST {
            format!("{namespace}/{name}/{target}")
        } else {
            format!("{host}/{namespace}/{name}/{target}")
        }
    }

    /// The whole address as people write it.
    pub fn display(&self) -> String {
        if self.subdir.is_empty() {
            self.package()
        } else {
            format!("{}//{}", self.package(), self.subdir)
        }
    }
}

fn subdir(f: &mut fmt::Formatter<'_>, subdir: &str) -> fmt::Result {
    if subdir.is_empty() {
        return Ok(());
    }
    write!(f, "//{subdir}")
}

impl fmt::Display for RemoteModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query stays at the end.
        match self.package.split_once('?') {
            Some((package, query)) if !self.subdir.is_empty() => {
                write!(f, "{package}//{}?{query}", self.subdir)
            }
            _ => {
                f.write_str(&self.package)?;
                subdir(f, &self.subdir)
            }
        }
    }
}

impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleSource::Local(path) => f.write_str(path),
            ModuleSource::Registry(module) => module.fmt(f),
            ModuleSource::Remote(module) => module.fmt(f),
        }
    }
}

impl ModuleSource {
    /// Reads the text of a `source` argument.
    pub fn parse(text: &str) -> Result<ModuleSource, SourceError> {
        if is_local(text) {
            return Ok(ModuleSource::Local(clean_local(text)));
        }
        if let Ok(module) = RegistryModule::parse(text) {
            return Ok(ModuleSource::Registry(module));
        }
        RemoteModule::parse(text).map(ModuleSource::Remote)
    }

    /// Reads a source that stands beside a `version`, which only registries know.
    pub fn parse_versioned(text: &str) -> Result<ModuleSource, SourceError> {
        if is_local(text) {
            return malformed(format!(
                "can't use local directory \"{text}\" as a module registry address"
            ));
        }
        RegistryModule::parse(text).map(ModuleSource::Registry)
    }

    /// Whether the module is of another package than its caller: the two can change independently.
    pub fn enters_new_package(&self) -> bool {
        !matches!(self, ModuleSource::Local(_))
    }
}

fn is_local(text: &str) -> bool {
    ["./", "../", ".\\", "..\\"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
}

fn clean_local(text: &str) -> String {
    let clean = clean(&text.replace('\\', "/"));
    if clean == ".." || clean.starts_with("../") {
        if clean == ".." { "./..".into() } else { clean }
    } else {
        format!("./{clean}")
    }
}

/// A path without empty and `.` parts, and without `..` where it can be resolved.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        ".".into()
    } else {
        parts.join("/")
    }
}

/// Splits `package//subdir`; a query belongs to the package.
fn split_subdir(text: &str) -> (String, String) {
    let stop = text.find('?').unwrap_or(text.len());
    let (path, query) = text.split_at(stop);
    let offset = path.find("://").map_or(0, |i| i + 3);
    let Some(at) = path.get(offset..).and_then(|rest| rest.find("//")) else {
        return (text.to_owned(), String::new());
    };
    let (package, rest) = path.split_at(offset + at);
    let subdir = rest.trim_start_matches('/');
    let subdir = if subdir.is_empty() {
        String::new()
    } else {
        clean(subdir)
    };
    (format!("{package}{query}"), subdir)
}

fn leads_outside(subdir: &str) -> bool {
    subdir == ".." || subdir.starts_with("../")
}

impl RegistryModule {
    fn parse(text: &str) -> Result<RegistryModule, SourceError> {
        let (package, subdir) = split_subdir(text);
        if leads_outside(&subdir) {
            return malformed(format!(
                "subdirectory path \"{subdir}\" leads outside of the module package"
            ));
        }
        let parts: Vec<&str> = package.split('/').collect();
        let (host, [namespace, name, target]) = match parts[..] {
            [a, b, c] => (DEFAULT_HOST.to_owned(), [a, b, c]),
            [host, a, b, c] => (registry_host(host)?, [a, b, c]),
            _ => {
                return malformed(
                    "a module registry source address must have either three or four slash-separated components",
                );
            }
        };
        if host == "github.com" || host == "bitbucket.org" {
            return malformed(format!(
                "can't use \"{host}\" as a module registry host, because it's reserved for installing directly from version control repositories"
            ));
        }
        const NAME: &str = "must be between one and 64 characters, including ASCII letters, digits, dashes, and underscores, where dashes and underscores may not be the prefix or suffix";
        if !is_registry_name(namespace) {
            if namespace.contains('.') {
                return malformed(
                    "source address must have three more components after the hostname: the namespace, the name, and the target system",
                );
            }
            return malformed(format!("invalid namespace \"{namespace}\": {NAME}"));
        }
        if !is_registry_name(name) {
            return malformed(format!("invalid module name \"{name}\": {NAME}"));
        }
        if target.is_empty()
            || target.len() > 64
            || !target
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            if target.contains('?') {
                return malformed(
                    "module registry addresses may not include a query string portion",
                );
            }
            return malformed(format!(
                "invalid target system \"{target}\": must be between one and 64 ASCII letters or digits"
            ));
        }
        Ok(RegistryModule {
            host: host.into(),
            namespace: namespace.into(),
            name: name.into(),
            target: target.into(),
            subdir,
        })
    }
}

fn registry_host(text: &str) -> Result<String, SourceError> {
    if !text.contains('.') || !is_host(text) {
        return malformed(
            "invalid module registry hostname: must contain at least one dot".to_owned(),
        );
    }
    Ok(text.to_lowercase())
}

/// A host name, perhaps with a port.
pub(crate) fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "1"));
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    name.split('.').all(label) && port.parse::<u16>().is_ok()
}

fn is_registry_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 64
        && text.starts_with(word)
        && text.ends_with(word)
        && text.chars().all(|c| word(c) || c == '-' || c == '_')
}

impl RemoteModule {
    /// Reads an address of a package to fetch, shorthands such as `github.com/a/b` included.
    pub fn parse(text: &str) -> Result<RemoteModule, SourceError> {
        let (package, subdir) = split_subdir(text);
        if leads_outside(&subdir) {
            return malformed(format!(
                "subdirectory path \"{subdir}\" leads outside of the module package"
            ));
        }
        let (package, inner) = split_subdir(&expand_shorthand(&package)?);
        let subdir = match (inner.is_empty(), subdir.is_empty()) {
            (true, _) => subdir,
            (false, true) => inner,
            (false, false) => clean(&format!("{inner}/{subdir}")),
        };
        if leads_outside(&subdir) {
            return malformed(format!(
                "detected subdirectory path \"{subdir}\" of \"{package}\" leads outside of the module package"
            ));
        }
        Ok(RemoteModule { package, subdir })
    }
}

/// Splits `git::https://…` into protocol and address.
pub fn forced_protocol(text: &str) -> (Option<&str>, &str) {
    match text.split_once("::") {
        Some((protocol, rest))
            if !protocol.is_empty()
                && !rest.is_empty()
                && protocol.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            (Some(protocol), rest)
        }
        _ => (None, text),
    }
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

fn expand_shorthand(text: &str) -> Result<String, SourceError> {
    let (forced, address) = forced_protocol(text);
    if has_scheme(address) {
        return Ok(text.to_owned());
    }
    let expanded = shorthand(address, text)?;
    Ok(match (forced, forced_protocol(&expanded)) {
        (Some(forced), (_, plain)) => format!("{forced}::{plain}"),
        (None, _) => expanded,
    })
}

/// What the known hosts' short forms, Git's own form and absolute paths stand for.
fn shorthand(address: &str, whole: &str) -> Result<String, SourceError> {
    let (path, query) = match address.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (address, String::new()),
    };
    let dot_git = |path: &str| {
        if path.ends_with(".git") {
            path.to_owned()
        } else {
            format!("{path}.git")
        }
    };
    if path.starts_with("github.com/") {
        let parts: Vec<&str> = path.splitn(4, '/').collect();
        let [host, owner, name, ..] = parts[..] else {
            return malformed("GitHub URLs should be github.com/username/repo");
        };
        let inner = parts.get(3).map(|rest| format!("//{rest}"));
        return Ok(format!(
            "git::https://{}{}{query}",
            dot_git(&format!("{host}/{owner}/{name}")),
            inner.unwrap_or_default()
        ));
    }
    if path.starts_with("bitbucket.org/") {
        return Ok(format!("git::https://{}{query}", dot_git(path)));
    }
    if let Some((host, rest)) = path.strip_prefix("git@").and_then(|r| r.split_once(':')) {
        let rest = rest.trim_start_matches('/');
        return Ok(format!("git::ssh://git@{host}/{rest}{query}"));
    }
    if path.contains(".amazonaws.com/") {
        return s3(path).map(|url| format!("{url}{query}"));
    }
    if path.starts_with('/') {
        return Ok(format!("file://{path}{query}"));
    }
    if address.is_empty() {
        return malformed(format!("invalid source address: {whole}"));
    }
    Err(SourceError::MaybePath(whole.to_owned()))
}

/// The three forms of a bucket's host name, as the one with the bucket in the path.
fn s3(path: &str) -> Result<String, SourceError> {
    let (host, rest) = path.split_once('/').unwrap_or((path, ""));
    match host.split('.').collect::<Vec<_>>()[..] {
        [region, _, _] => Ok(format!("s3::https://{region}.amazonaws.com/{rest}")),
        [bucket, region, _, _] => Ok(format!(
            "s3::https://{region}.amazonaws.com/{bucket}/{rest}"
        )),
        [bucket, "s3", region, _, _] => Ok(format!(
            "s3::https://s3.{region}.amazonaws.com/{bucket}/{rest}"
        )),
        _ => malformed("URL is not a valid S3 URL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_recorded_in_one_form() {
        let shown = |text: &str| match ModuleSource::parse(text) {
            Ok(source) => source.to_string(),
            Err(error) => format!("! {error}"),
        };
        for (text, want) in [
            ("./a", "./a"),
            ("./a/../b/", "./b"),
            ("./", "./."),
            ("../x", "../x"),
            (
                "hashicorp/consul/aws",
                "registry.terraform.io/hashicorp/consul/aws",
            ),
            (
                "hashicorp/consul/aws//modules/a",
                "registry.terraform.io/hashicorp/consul/aws//modules/a",
            ),
            ("Example.com/ns/name/prov", "example.com/ns/name/prov"),
            ("github.com/a/b", "git::https://github.com/a/b.git"),
            (
                "github.com/a/b//c?ref=v1",
                "git::https://github.com/a/b.git//c?ref=v1",
            ),
            ("github.com/a/b/c", "git::https://github.com/a/b.git//c"),
            (
                "git@github.com:a/b.git",
                "git::ssh://git@github.com/a/b.git",
            ),
            (
                "git::https://example.com/a.git//x?ref=v1",
                "git::https://example.com/a.git//x?ref=v1",
            ),
            (
                "https://example.com/a.zip//sub?archive=zip",
                "https://example.com/a.zip//sub?archive=zip",
            ),
            ("/abs/dir", "file:///abs/dir"),
            (
                "bucket.s3.eu-west-1.amazonaws.com/a.zip",
                "s3::https://s3.eu-west-1.amazonaws.com/bucket/a.zip",
            ),
            ("bitbucket.org/a/b", "git::https://bitbucket.org/a/b.git"),
            (
                "nowhere",
                "! Terraform cannot detect a supported external module source type for nowhere",
            ),
            (
                "github.com/a",
                "! GitHub URLs should be github.com/username/repo",
            ),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn versions_need_a_registry() {
        let why = |text: &str| ModuleSource::parse_versioned(text).unwrap_err().to_string();
        assert!(why("./a").contains("can't use local directory"));
        assert!(why("git::https://example.com/a.git").contains("hostname"));
        assert!(why("github.com/a/b/c").contains("reserved"));
        assert!(why("a/b/c?x=1").contains("query string"));
    }
}
