//! Git repositories, by the `git` program: it knows the user's keys and settings.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use reqwest::Url;
use tokio::process::Command;

use crate::FetchError;

/// What the query of an address says to us.
#[derive(Default)]
struct Options {
    reference: Option<String>,
    depth: Option<u32>,
    /// A private key, in Base64.
    ssh_key: Option<String>,
}

pub(crate) async fn fetch(mut url: Url, into: &Path) -> Result<(), FetchError> {
    let options = take_options(&mut url)?;
    let key = options.ssh_key.as_deref().map(write_key).transpose()?;
    let git = Git {
        directory: into.to_owned(),
        key: key.as_ref().map(|k| k.path().to_owned()),
    };
    let url = url.to_string();
    let target = into.display().to_string();
    let mut clone = vec!["clone"];
    let depth = options.depth.map(|d| d.to_string());
    if let Some(depth) = &depth {
        clone.extend(["--depth", depth]);
        if let Some(reference) = &options.reference {
            clone.extend(["--branch", reference]);
        }
    }
    clone.extend(["--", &url, &target]);
    git.run(&clone, None).await?;
    if let Some(reference) = &options.reference {
        // A branch of the origin, a tag or a commit.
        git.run(&["checkout", "--quiet", reference, "--"], Some(into))
            .await?;
    }
    if into.join(".gitmodules").is_file() {
        let mut update = vec!["submodule", "update", "--init", "--recursive"];
        if let Some(depth) = &depth {
            update.extend(["--depth", depth]);
        }
        git.run(&update, Some(into)).await?;
    }
    Ok(())
}

fn take_options(url: &mut Url) -> Result<Options, FetchError> {
    let mut options = Options::default();
    let mut rest: Vec<(String, String)> = Vec::new();
    for (name, value) in url.query_pairs().into_owned() {
        match name.as_str() {
            "ref" if value.is_empty() => {}
            "ref" => options.reference = Some(value),
            "depth" => {
                options.depth = Some(value.parse().map_err(|_| {
                    FetchError::Address(format!("the depth \"{value}\" is no whole number"))
                })?);
            }
            "sshkey" => options.ssh_key = Some(value),
            _ => rest.push((name, value)),
        }
    }
    if rest.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(rest);
    }
    // `git` would take it for an option.
    if options
        .reference
        .as_deref()
        .is_some_and(|r| r.starts_with('-'))
    {
        return Err(FetchError::Address("a ref can't begin with a dash".into()));
    }
    Ok(options)
}

/// The key in a file that only we can read, for as long as it is needed.
fn write_key(text: &str) -> Result<tempfile::NamedTempFile, FetchError> {
    let key = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| FetchError::Address("the sshkey is no Base64".into()))?;
    let mut file = tempfile::NamedTempFile::new().map_err(FetchError::disk("a temporary file"))?;
    std::io::Write::write_all(&mut file, &key).map_err(FetchError::disk(file.path()))?;
    Ok(file)
}

struct Git {
    directory: PathBuf,
    key: Option<PathBuf>,
}

impl Git {
    async fn run(&self, arguments: &[&str], within: Option<&Path>) -> Result<(), FetchError> {
        let mut command = Command::new("git");
        command
            .args(arguments)
            // No one is there to answer.
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        if let Some(key) = &self.key {
            command.env(
                "GIT_SSH_COMMAND",
                format!(
                    "ssh -i '{}' -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new",
                    key.display()
                ),
            );
        }
        if let Some(within) = within {
            command.current_dir(within);
        }
        let output = command.output().await.map_err(FetchError::NoGit)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        tracing::debug!(directory = %self.directory.display(), said, "git failed");
        Err(FetchError::Git {
            command: arguments.first().copied().unwrap_or_default().to_owned(),
            said,
        })
    }
}
