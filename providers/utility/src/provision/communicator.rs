//! A host that is being provisioned: waited for, written to, and made to run things.

use std::path::Path;
use std::time::{Duration, Instant};

use stead_sdk::value::Value;
use stead_sdk::{Context, Dialer, ProvisionOutput, Ssh, SshStream, shell_quote};

use super::connection::{Platform, Route};
use super::lines::Lines;

/// Between attempts: from here, doubling, up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(20);

pub(super) struct Communicator {
    route: Route,
    ssh: Ssh,
}

impl Communicator {
    /// Tries until the host lets one in: it may be booting. `announce` is told about each attempt.
    ///
    /// # Errors
    /// What is wrong with the configuration, or what the last attempt met when the time is over.
    pub(super) async fn connect(
        dialer: &Dialer,
        connection: &Value,
        announce: Option<&ProvisionOutput>,
        cx: &Context,
    ) -> Result<Communicator, String> {
        let route = Route::read(connection, dialer)?;
        let deadline = Instant::now() + route.timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(output) = announce {
                route.announce(output);
            }
            let last = match route.connect(dialer).await {
                Ok(ssh) => {
                    if let Some(output) = announce {
                        output.say("Connected!");
                    }
                    return Ok(Communicator { route, ssh });
                }
                Err(error) => error,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("timeout - last error: {}", last.said()));
            }
            cx.progress("waiting for the host to let us in");
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = cx.cancelled().cancelled() => return Err("interrupted".into()),
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// A place for a script: `%RAND%` becomes a number of its own.
    pub(super) fn script_path(&self) -> String {
        let number = rand::random::<u32>() >> 1;
        self.route
            .script_path
            .replace("%RAND%", &number.to_string())
    }

    /// Puts a script on the host, fit to be run.
    pub(super) async fn upload_script(
        &self,
        path: &str,
        script: Vec<u8>,
        cx: &Context,
    ) -> Result<(), String> {
        let mut script = script;
        if self.route.platform == Platform::Unix && !script.starts_with(b"#!") {
            script.splice(0..0, *b"#!/bin/sh\n");
        }
        self.upload(path, script, Some(0o777), cx).await
    }

    /// Writes a file; its folder must be there.
    pub(super) async fn upload(
        &self,
        path: &str,
        content: Vec<u8>,
        mode: Option<u32>,
        cx: &Context,
    ) -> Result<(), String> {
        let target = shell_quote(path);
        let chmod = match mode {
            Some(mode) => format!(" && chmod {mode:04o} {target}"),
            None => String::new(),
        };
        // A destination that is a folder is refused by the shell itself.
        let command = match self.route.platform {
            Platform::Unix => format!("cat > {target}{chmod}"),
            Platform::Windows => format!(
                "powershell -NoProfile -Command \"$i = [Console]::OpenStandardInput(); $o = [IO.File]::Create('{}'); $i.CopyTo($o); $o.Close()\"",
                path.replace('\'', "''")
            ),
        };
        self.quietly(&format!("the upload of {path}"), &command, content, cx)
            .await
    }

    /// Copies a folder: with a slash at its end what is inside it, otherwise the folder itself.
    pub(super) async fn upload_dir(
        &self,
        destination: &str,
        source: &str,
        cx: &Context,
    ) -> Result<(), String> {
        let root = Path::new(source);
        let mut base = destination.trim_end_matches('/').to_owned();
        if !source.ends_with('/')
            && let Some(name) = root.file_name().and_then(|n| n.to_str())
        {
            base = format!("{base}/{name}");
        }
        let mut pending = vec![(root.to_owned(), base)];
        while let Some((folder, target)) = pending.pop() {
            let command = format!("mkdir -p {}", shell_quote(&target));
            self.quietly(&format!("the making of {target}"), &command, Vec::new(), cx)
                .await?;
            let said = |e: std::io::Error| format!("{}: {e}", folder.display());
            let mut entries: Vec<_> = std::fs::read_dir(&folder)
                .map_err(said)?
                .collect::<Result<_, _>>()
                .map_err(said)?;
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                let path = entry.path();
                let name = entry.file_name().to_string_lossy().into_owned();
                let there = format!("{target}/{name}");
                let about = std::fs::metadata(&path).map_err(said)?;
                if about.is_dir() {
                    pending.push((path, there));
                } else {
                    use std::os::unix::fs::PermissionsExt as _;
                    let content = std::fs::read(&path).map_err(said)?;
                    let mode = about.permissions().mode() & 0o777;
                    self.upload(&there, content, Some(mode), cx).await?;
                }
            }
        }
        Ok(())
    }

    /// Runs something and shows what it prints.
    pub(super) async fn run(
        &self,
        label: &str,
        command: &str,
        output: &ProvisionOutput,
        cx: &Context,
    ) -> Result<i32, String> {
        let output = output.clone();
        let mut printed = Printed {
            lines: [Lines::default(), Lines::default()],
            output,
        };
        self.ssh
            .exec_with(label, command, None, cx, move |from, bytes| {
                printed.take(from, bytes);
            })
            .await
            .map_err(|e| e.said().to_owned())
    }

    async fn quietly(
        &self,
        label: &str,
        command: &str,
        stdin: Vec<u8>,
        cx: &Context,
    ) -> Result<(), String> {
        let output = self
            .ssh
            .exec(label, command, Some(stdin), cx)
            .await
            .map_err(|e| e.said().to_owned())?;
        if output.success() {
            Ok(())
        } else {
            Err(output.error_text())
        }
    }
}

/// A command's two outputs, each in whole lines.
struct Printed {
    lines: [Lines; 2],
    output: ProvisionOutput,
}

impl Printed {
    fn take(&mut self, from: SshStream, bytes: &[u8]) {
        if let Some(lines) = self.lines.get_mut(from as usize) {
            lines.take(bytes, |line| self.output.say(line));
        }
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        for lines in &mut self.lines {
            lines.finish(|line| self.output.say(line));
        }
    }
}
