//! Kubeconfig files: the cluster and the user that a context names.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use stead_value::Sensitive;

use crate::kube::exec::Exec;
use crate::kube::settings::{Auth, ClusterSettings};
use crate::{Error, ErrorKind};

/// What the files say of the chosen context.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) server: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) insecure: bool,
    pub(super) server_name: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<Sensitive<String>>,
    pub(super) auth: Auth,
    /// The program, and the folder of the file that names it.
    pub(super) exec: Option<(Exec, PathBuf)>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    #[serde(rename = "current-context")]
    current_context: Option<String>,
    clusters: Option<Vec<Named<ClusterEntry>>>,
    users: Option<Vec<Named<UserEntry>>>,
    contexts: Option<Vec<Named<ContextEntry>>>,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "user", alias = "context")]
    entry: Option<T>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct ClusterEntry {
    server: Option<String>,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct UserEntry {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
    exec: Option<ExecEntry>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExecEntry {
    api_version: String,
    command: String,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    install_hint: Option<String>,
    interactive_mode: Option<String>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

impl ExecEntry {
    fn program(&self) -> Exec {
        let env = self.env.iter().flatten();
        Exec {
            api_version: self.api_version.clone(),
            command: self.command.clone(),
            args: self.args.clone().unwrap_or_default(),
            env: env.map(|v| (v.name.clone(), v.value.clone())).collect(),
            install_hint: self.install_hint.clone(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextEntry {
    cluster: Option<String>,
    user: Option<String>,
}

/// Reads the files and selects by the settings' names.
pub(super) async fn select(
    settings: &ClusterSettings,
    home: Option<&str>,
) -> Result<Selected, Error> {
    let mut files = Vec::new();
    if let Some(text) = &settings.config_text {
        let file = parse(text.expose_secret(), "read the kubeconfig".to_owned())?;
        // What it names by a relative path lies below the working directory.
        files.push((file, PathBuf::from("./kubeconfig")));
    }
    for path in &settings.config_paths {
        let path = expand(path, home);
        files.push((read(&path).await?, path));
    }
    let current = files
        .iter()
        .find_map(|(f, _)| f.current_context.clone().filter(|c| !c.is_empty()));
    let context_name = settings.context.clone().or(current);
    let context = match &context_name {
        Some(name) => Some(
            lookup(&files, |f| &f.contexts, name)
                .ok_or_else(|| absent("context", name, "config_context"))?
                .0,
        ),
        None => None,
    };
    let cluster_name = settings
        .cluster
        .clone()
        .or_else(|| context.and_then(|c| c.cluster.clone()));
    let user_name = settings
        .auth_info
        .clone()
        .or_else(|| context.and_then(|c| c.user.clone()));
    let mut selected = Selected::default();
    match &cluster_name {
        Some(name) => {
            let (cluster, base) = lookup(&files, |f| &f.clusters, name)
                .ok_or_else(|| absent("cluster", name, "config_context_cluster"))?;
            take_cluster(&mut selected, cluster, base).await?;
        }
        None if settings.host.is_none() => {
            let error = Error::new("read the kubeconfig", "it has no current context");
            return Err(error
                .attribute("config_context")
                .remedy("Set `config_context` to the context to use."));
        }
        None => {}
    }
    if let Some(name) = user_name.filter(|n| !n.is_empty()) {
        let (user, base) = lookup(&files, |f| &f.users, &name)
            .ok_or_else(|| absent("user", &name, "config_context_auth_info"))?;
        take_user(&mut selected, user, base).await?;
    }
    Ok(selected)
}

async fn take_cluster(
    selected: &mut Selected,
    cluster: &ClusterEntry,
    base: &Path,
) -> Result<(), Error> {
    if cluster.proxy_url.as_ref().is_some_and(|p| !p.is_empty()) {
        return Err(unsupported("proxy-url", "Set HTTPS_PROXY instead."));
    }
    selected.server = cluster.server.clone();
    selected.insecure = cluster.insecure_skip_tls_verify;
    selected.server_name = cluster.tls_server_name.clone();
    selected.authority = pem(
        cluster.certificate_authority_data.as_deref(),
        cluster.certificate_authority.as_deref(),
        "certificate-authority",
        base,
    )
    .await?;
    Ok(())
}

async fn take_user(selected: &mut Selected, user: &UserEntry, base: &Path) -> Result<(), Error> {
    let other = "Use a client certificate or a token in the provider block instead.";
    if let Some(exec) = &user.exec {
        if exec.interactive_mode.as_deref() == Some("Always") {
            return Err(unsupported("exec with interactiveMode Always", other));
        }
        selected.exec = Some((exec.program(), base.to_owned()));
    }
    if user.auth_provider.is_some() {
        return Err(unsupported("auth-provider", other));
    }
    if user.impersonate.is_some() {
        return Err(unsupported("as (impersonation)", other));
    }
    selected.certificate = pem(
        user.client_certificate_data.as_deref(),
        user.client_certificate.as_deref(),
        "client-certificate",
        base,
    )
    .await?;
    selected.key = pem(
        user.client_key_data.as_deref(),
        user.client_key.as_deref(),
        "client-key",
        base,
    )
    .await?
    .map(Sensitive::new);
    let token = match (&user.token_file, &user.token) {
        (Some(path), _) => Some(text(&base.join(path), "the token").await?.trim().to_owned()),
        (None, token) => token.clone(),
    };
    selected.auth = match (token, &user.username, &user.password) {
        (Some(token), _, _) => Auth::Bearer(Sensitive::new(token)),
        (None, Some(name), Some(password)) => {
            Auth::Basic(name.clone(), Sensitive::new(password.clone()))
        }
        _ => Auth::None,
    };
    Ok(())
}

type Files = [(File, PathBuf)];

/// The entry of that name in the first file that has it, and the folder of that file.
fn lookup<'a, T>(
    files: &'a Files,
    list: impl Fn(&'a File) -> &'a Option<Vec<Named<T>>>,
    name: &str,
) -> Option<(&'a T, &'a Path)> {
    files.iter().find_map(|(file, path)| {
        let named = list(file).as_ref()?.iter().find(|n| n.name == name)?;
        Some((
            named.entry.as_ref()?,
            path.parent().unwrap_or(Path::new(".")),
        ))
    })
}

fn absent(what: &str, name: &str, attribute: &str) -> Error {
    Error::new(
        "read the kubeconfig",
        format!("it has no {what} named {name}"),
    )
    .attribute(attribute)
    .remedy("List what it has with `kubectl config view`.")
}

fn unsupported(what: &str, remedy: &str) -> Error {
    Error::unsupported(
        "use the kubeconfig",
        format!("stead does not support its `{what}` yet"),
    )
    .remedy(remedy)
}

/// `~/` is the home folder.
fn expand(path: &str, home: Option<&str>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => PathBuf::from(path),
    }
}

async fn text(path: &Path, what: &str) -> Result<String, Error> {
    tokio::fs::read_to_string(path).await.map_err(|e| {
        let kind = if e.kind() == std::io::ErrorKind::NotFound {
            ErrorKind::NotFound
        } else {
            ErrorKind::Other
        };
        Error::of_kind(
            kind,
            format!("read {what} ({})", path.display()),
            e.to_string(),
        )
    })
}

async fn read(path: &Path) -> Result<File, Error> {
    let text = text(path, "the kubeconfig").await?;
    parse(&text, format!("read the kubeconfig ({})", path.display()))
}

fn parse(text: &str, asked: String) -> Result<File, Error> {
    // The parser's message quotes lines of the file, which hold keys.
    serde_saphyr::from_str(text).map_err(|_| {
        Error::new(asked, "it is not a kubeconfig in YAML")
            .remedy("Check it with `kubectl --kubeconfig FILE config view`.")
    })
}

/// PEM text, from the file itself (base64) or from a file beside it.
async fn pem(
    data: Option<&str>,
    file: Option<&str>,
    what: &str,
    base: &Path,
) -> Result<Option<String>, Error> {
    if let Some(data) = data.filter(|d| !d.is_empty()) {
        let invalid = || {
            Error::new(
                "read the kubeconfig",
                format!("its `{what}-data` is not PEM in base64"),
            )
        };
        let compact: String = data.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = STANDARD.decode(compact).map_err(|_| invalid())?;
        return String::from_utf8(bytes).map(Some).map_err(|_| invalid());
    }
    match file.filter(|f| !f.is_empty()) {
        Some(path) => text(&base.join(path), what).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialer;

    const TWO: &str = r#"
apiVersion: v1
kind: Config
current-context: a
clusters:
- name: one
  cluster: { server: 'https://one:6443', certificate-authority-data: Q0E=, tls-server-name: api }
- name: two
  cluster: { server: 'https://two:6443', insecure-skip-tls-verify: true, certificate-authority: ca.pem }
users:
- name: u
  user: { client-certificate-data: Q0VSVA==, client-key-data: S0VZ }
- name: t
  user: { token: secret }
- name: e
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./login
      args: ['-c', 'echo "$ANSWER"']
      env: [{ name: ANSWER, value: '{"apiVersion":"client.authentication.k8s.io/v1","status":{"token":"bx"}}' }]
- name: i
  user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: ./login, interactiveMode: Always } }
contexts:
- name: a
  context: { cluster: one, user: u }
- name: b
  context: { cluster: two, user: t, namespace: x }
"#;

    async fn chosen(
        change: impl FnOnce(&mut ClusterSettings),
    ) -> Result<crate::kube::settings::Endpoint, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, TWO).unwrap();
        std::fs::write(folder.path().join("ca.pem"), "OTHER").unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("login")).unwrap();
        let mut settings = ClusterSettings {
            config_paths: vec![path.display().to_string()],
            ..ClusterSettings::default()
        };
        change(&mut settings);
        settings.resolve(&Dialer::direct()).await
    }

    #[tokio::test]
    async fn the_current_context_is_taken_unless_another_is_named() {
        let one = chosen(|_| {}).await.unwrap();
        assert_eq!((one.host.as_str(), one.port), ("one", 6443));
        assert_eq!(one.tls.roots, crate::Roots::Only("CA".into()));
        assert_eq!(one.tls.server_name.as_deref(), Some("api"));
        assert_eq!(one.tls.identity.unwrap().certificates, "CERT");
        let two = chosen(|s| s.context = Some("b".into())).await.unwrap();
        assert_eq!(two.host, "two");
        assert!(two.tls.insecure);
        assert_eq!(two.tls.roots, crate::Roots::Only("OTHER".into()));
        assert!(matches!(two.auth, Auth::Bearer(t) if t.expose_secret() == "secret"));
    }

    #[tokio::test]
    async fn a_text_is_as_good_as_a_file() {
        let settings = ClusterSettings {
            config_text: Some(Sensitive::new(TWO.to_owned())),
            ..ClusterSettings::default()
        };
        let one = settings.resolve(&Dialer::direct()).await.unwrap();
        assert_eq!(one.host, "one");
        assert_eq!(one.tls.identity.unwrap().certificates, "CERT");
        let settings = ClusterSettings {
            config_text: Some(Sensitive::new("token: [hush".to_owned())),
            ..ClusterSettings::default()
        };
        let error = settings.resolve(&Dialer::direct()).await.unwrap_err();
        assert!(!error.to_string().contains("hush"), "{error}");
    }

    #[tokio::test]
    async fn settings_win_over_the_file_and_what_is_missing_is_named() {
        let other = chosen(|s| s.host = Some("https://vip:443".into()))
            .await
            .unwrap();
        assert_eq!(other.host, "vip");
        assert!(other.tls.identity.is_some());
        let error = chosen(|s| s.context = Some("nope".into()))
            .await
            .unwrap_err();
        assert!(error.said().contains("no context named nope"), "{error}");
        let error = chosen(|s| s.auth_info = Some("i".into()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[tokio::test]
    async fn a_program_beside_the_file_gives_the_token_unless_there_is_one() {
        let run = chosen(|s| s.auth_info = Some("e".into())).await.unwrap();
        assert!(matches!(run.auth, Auth::Bearer(t) if t.expose_secret() == "bx"));
        assert!(run.renewable);
        let not_run = chosen(|s| {
            s.auth_info = Some("e".into());
            s.token = Some(Sensitive::new("given".into()));
        })
        .await
        .unwrap();
        assert!(matches!(not_run.auth, Auth::Bearer(t) if t.expose_secret() == "given"));
        assert!(!not_run.renewable);
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_not_found() {
        let error = chosen(|s| s.config_paths = vec!["/nowhere/config".into()])
            .await
            .unwrap_err();
        assert!(error.is_not_found());
        assert!(error.asked().contains("/nowhere/config"));
    }
}
