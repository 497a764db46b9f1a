//! Credential plugins: a program that prints who we are (`client.authentication.k8s.io`, as `kubectl` runs it).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use stead_value::Sensitive;

use crate::Error;

/// How long a program may take: it may have to ask a cloud.
const LIMIT: Duration = Duration::from_secs(60);

/// A program, and how it wants to be asked.
#[derive(Clone, Default, PartialEq)]
pub struct Exec {
    /// `client.authentication.k8s.io/v1` or `…/v1beta1`.
    pub api_version: String,
    pub command: String,
    pub args: Vec<String>,
    /// Beside this process's own variables.
    pub env: BTreeMap<String, String>,
    /// What to tell a user who lacks the program.
    pub install_hint: Option<String>,
}

/// The names of the variables only: their values, and arguments, may be secrets.
impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec")
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}

/// What the program printed: a token, a certificate with its key (PEM), or both.
#[derive(Default)]
pub(super) struct Credential {
    pub(super) token: Option<Sensitive<String>>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<Sensitive<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: String,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Which cluster the credential is for, as far as the program wants to know.
pub(super) struct Target<'a> {
    pub(super) server: &'a str,
    /// PEM.
    pub(super) authority: Option<&'a str>,
    pub(super) insecure: bool,
}

impl Exec {
    /// Runs the program. `base` is the folder that a relative path with a slash in it starts from; without a slash it is looked for in `PATH`.
    pub(super) async fn run(
        &self,
        base: Option<&Path>,
        target: &Target<'_>,
    ) -> Result<Credential, Error> {
        let asked = format!("get credentials for the cluster from {:?}", self.command);
        if !matches!(
            self.api_version.as_str(),
            "client.authentication.k8s.io/v1" | "client.authentication.k8s.io/v1beta1"
        ) {
            let said = format!("its api_version is {:?}", self.api_version);
            return Err(Error::unsupported(asked, said).remedy(
                "Take client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1, as `aws`, `az` and `gcloud` do.",
            ));
        }
        let info = json!({
            "apiVersion": self.api_version,
            "kind": "ExecCredential",
            "spec": {
                "interactive": false,
                "cluster": {
                    "server": target.server,
                    "certificate-authority-data": target.authority.map(|pem| STANDARD.encode(pem)),
                    "insecure-skip-tls-verify": target.insecure,
                },
            },
        });
        let program = match base {
            Some(base) if self.command.contains('/') => base.join(&self.command),
            _ => self.command.clone().into(),
        };
        let mut command = tokio::process::Command::new(program);
        command
            .args(&self.args)
            .envs(&self.env)
            .env("KUBERNETES_EXEC_INFO", info.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let hint = |error: Error| match &self.install_hint {
            Some(hint) => error.remedy(hint.clone()),
            None => error.remedy("Run it by hand to see what it says."),
        };
        let output = match tokio::time::timeout(LIMIT, command.output()).await {
            Ok(output) => output.map_err(|e| hint(Error::new(&asked, e.to_string())))?,
            Err(_) => {
                let said = format!("it did not end within {} seconds", LIMIT.as_secs());
                return Err(hint(Error::new(asked, said)));
            }
        };
        if !output.status.success() {
            // What it says of its failure is meant for people; what it prints on success is the secret.
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rev().find(|l| !l.trim().is_empty());
            let said = format!("{}: {}", output.status, last.unwrap_or("it said nothing"));
            return Err(hint(Error::new(asked, said)));
        }
        // The parser's message could quote the credential.
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| Error::new(&asked, "it did not print an ExecCredential in JSON"))?;
        if answer.api_version != self.api_version {
            let said = format!(
                "it answers with api_version {}, not {}",
                answer.api_version, self.api_version
            );
            return Err(Error::new(asked, said));
        }
        let status = answer.status.unwrap_or_default();
        let given = |text: Option<String>| text.filter(|t| !t.is_empty());
        let credential = Credential {
            token: given(status.token).map(Sensitive::new),
            certificate: given(status.client_certificate_data),
            key: given(status.client_key_data).map(Sensitive::new),
        };
        match (&credential.token, &credential.certificate, &credential.key) {
            (None, None, None) => Err(Error::new(asked, "it printed no credential")),
            (_, Some(_), None) | (_, None, Some(_)) => Err(Error::new(
                asked,
                "it printed one of client certificate and key without the other",
            )),
            _ => Ok(credential),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "client.authentication.k8s.io/v1";

    fn shell(script: &str) -> Exec {
        Exec {
            api_version: V1.to_owned(),
            command: "sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: BTreeMap::from([("WHO".to_owned(), "t0ken".to_owned())]),
            install_hint: None,
        }
    }

    async fn run(exec: &Exec) -> Result<Credential, Error> {
        let target = Target {
            server: "https://cluster:6443",
            authority: Some("CA"),
            insecure: false,
        };
        exec.run(None, &target).await
    }

    #[tokio::test]
    async fn a_program_is_told_the_cluster_and_prints_a_token() {
        let script = format!(
            r#"case "$KUBERNETES_EXEC_INFO" in *'"server":"https://cluster:6443"'*) ;; *) exit 3;; esac
            echo '{{"apiVersion":"{V1}","kind":"ExecCredential","status":{{"token":"'$WHO'"}}}}'"#
        );
        let credential = run(&shell(&script)).await.unwrap();
        assert_eq!(credential.token.unwrap().expose_secret(), "t0ken");
    }

    #[tokio::test]
    async fn failures_say_what_the_program_said_and_no_secret() {
        let error = run(&shell("echo 'log in first' >&2; exit 2"))
            .await
            .err()
            .unwrap();
        assert!(error.said().contains("log in first"), "{error}");
        let error = run(&shell("echo \"t0ken, but no JSON\""))
            .await
            .err()
            .unwrap();
        assert!(!error.to_string().contains("t0ken"), "{error}");
        let half =
            format!(r#"echo '{{"apiVersion":"{V1}","status":{{"clientKeyData":"t0ken"}}}}'"#);
        let error = run(&shell(&half)).await.err().unwrap();
        assert!(error.said().contains("without the other"), "{error}");
        let other = Exec {
            api_version: "client.authentication.k8s.io/v1alpha1".to_owned(),
            ..shell("true")
        };
        assert!(
            run(&other)
                .await
                .err()
                .unwrap()
                .to_string()
                .contains("v1alpha1")
        );
        assert!(!format!("{:?}", shell("t0ken")).contains("t0ken"));
    }
}
