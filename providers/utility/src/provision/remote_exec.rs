//! `remote-exec`: scripts on the new host.

use stead_sdk::value::schema::Block as Schema;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Context, Dialer, Field as _, Provisioner, Provisioning, async_trait};

use super::communicator::Communicator;
use super::failed;

#[derive(Clone, Debug, Block)]
struct Config {
    /// Commands, one a line of one script.
    #[attr(optional)]
    inline: Option<Vec<Option<String>>>,
    /// A script's file on this machine.
    #[attr(optional)]
    script: Option<String>,
    /// Several, one after the other.
    #[attr(optional)]
    scripts: Option<Vec<Option<String>>>,
}

pub(super) struct RemoteExec {
    schema: Schema,
    dialer: Dialer,
}

impl RemoteExec {
    pub(super) fn new(dialer: &Dialer) -> RemoteExec {
        RemoteExec {
            schema: Config::block(),
            dialer: dialer.clone(),
        }
    }

    async fn run(&self, request: Provisioning, cx: &Context) -> Result<(), String> {
        let config = Config::decode(&request.config, &Path::root()).map_err(|d| d.detail)?;
        let scripts = config.collect()?;
        let host =
            Communicator::connect(&self.dialer, &request.connection, Some(&request.output), cx)
                .await?;
        for script in scripts {
            let path = host.script_path();
            host.upload_script(&path, script, cx)
                .await
                .map_err(|e| format!("Failed to upload script: {e}"))?;
            let status = host.run("a script", &path, &request.output, cx).await?;
            if status != 0 {
                return Err(format!(
                    "error executing {path:?}: Process exited with status {status}"
                ));
            }
            // The script may hold secrets. That it stays there is no reason to fail.
            let _ = host.upload(&path, Vec::new(), None, cx).await;
        }
        Ok(())
    }
}

impl Config {
    /// The scripts' contents.
    fn collect(&self) -> Result<Vec<Vec<u8>>, String> {
        if let Some(lines) = &self.inline {
            let mut script = String::new();
            for line in lines {
                match line.as_deref() {
                    None => return Err("invalid null string in 'scripts'".into()),
                    Some("") => return Err("invalid empty string in 'scripts'".into()),
                    Some(line) => {
                        script.push_str(line);
                        script.push('\n');
                    }
                }
            }
            return Ok(vec![script.into_bytes()]);
        }
        let one = self.script.as_ref().map(|s| Some(s.clone()));
        let all = one
            .into_iter()
            .chain(self.scripts.iter().flatten().cloned());
        all.map(|path| match path.as_deref() {
            None => Err("invalid null string in 'script'".into()),
            Some("") => Err("invalid empty string in 'script'".into()),
            Some(path) => {
                std::fs::read(path).map_err(|e| format!("Failed to open script '{path}': {e}"))
            }
        })
        .collect()
    }
}

#[async_trait]
impl Provisioner for RemoteExec {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let set = ["inline", "script", "scripts"]
            .iter()
            .filter(|name| config.get(name).is_some_and(|v| !v.is_null()))
            .count();
        if set == 1 {
            return Diagnostics::new();
        }
        Diagnostic::error(
            "Invalid remote-exec provisioner configuration",
            "Only one of \"inline\", \"script\", or \"scripts\" must be set",
        )
        .into()
    }

    async fn provision(&self, request: Provisioning, cx: &Context) -> Result<(), Diagnostics> {
        self.run(request, cx)
            .await
            .map_err(|why| failed("remote-exec", why))
    }
}
