//! Commands on a host, as root.

use stead_sdk::{Context, Error, ErrorKind, Ssh, SshOutput, shell_quote};

/// A login on a host.
pub(crate) struct Shell {
    ssh: Ssh,
    host: String,
    root: bool,
}

impl Shell {
    pub(crate) fn new(ssh: Ssh, host: &str, root: bool) -> Shell {
        Shell {
            ssh,
            host: host.to_owned(),
            root,
        }
    }

    /// Runs a command as root; its words are quoted. `label` stands for it in messages.
    pub(crate) async fn run(
        &self,
        label: &str,
        words: &[&str],
        cx: &Context,
    ) -> Result<SshOutput, Error> {
        self.run_with(label, words, None, cx).await
    }

    async fn run_with(
        &self,
        label: &str,
        words: &[&str],
        stdin: Option<Vec<u8>>,
        cx: &Context,
    ) -> Result<SshOutput, Error> {
        let quoted: Vec<String> = words.iter().map(|w| shell_quote(w)).collect();
        let command = quoted.join(" ");
        let command = if self.root {
            command
        } else {
            format!("sudo -n {command}")
        };
        let output = self.ssh.exec(label, &command, stdin, cx).await?;
        if !self.root && output.error_text().contains("a password is required") {
            return Err(Error::of_kind(ErrorKind::Denied, format!("{label} on {}", self.host), "sudo asks for a password")
                .remedy("Log in as root, or allow the user sudo without a password (NOPASSWD) for this provider's work."));
        }
        Ok(output)
    }

    /// Runs a command that must succeed; its output.
    pub(crate) async fn must(
        &self,
        label: &str,
        words: &[&str],
        cx: &Context,
    ) -> Result<String, Error> {
        let output = self.run(label, words, cx).await?;
        self.judge(label, output)
    }

    /// Writes a file as root, 0600.
    pub(crate) async fn write(
        &self,
        label: &str,
        path: &str,
        content: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        self.must(label, &["mkdir", "-p", folder], cx).await?;
        let output = self
            .run_with(label, &["tee", path], Some(content.as_bytes().to_vec()), cx)
            .await?;
        self.judge(label, output)?;
        self.must(label, &["chmod", "600", path], cx)
            .await
            .map(|_| ())
    }

    fn judge(&self, label: &str, output: SshOutput) -> Result<String, Error> {
        if output.success() {
            return Ok(output.text());
        }
        let mut said = output.error_text();
        if said.is_empty() {
            said = output.text().trim().to_owned();
        }
        if said.is_empty() {
            said = "no message".into();
        }
        Err(Error::new(
            format!("{label} on {}", self.host),
            format!("exit status {}: {said}", output.status),
        ))
    }
}
