//! `file`: a file or a folder on the new host.

use stead_sdk::value::schema::Block as Schema;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Context, Dialer, Field as _, Provisioner, Provisioning, async_trait};

use super::communicator::Communicator;
use super::failed;

#[derive(Clone, Debug, Block)]
struct Config {
    /// A file or folder on this machine. A folder with a slash at its end stands for what is in it.
    #[attr(optional)]
    source: Option<String>,
    /// The file's text, in place of `source`.
    #[attr(optional)]
    content: Option<String>,
    #[attr(required)]
    destination: String,
}

pub(super) struct File {
    schema: Schema,
    dialer: Dialer,
}

impl File {
    pub(super) fn new(dialer: &Dialer) -> File {
        File {
            schema: Config::block(),
            dialer: dialer.clone(),
        }
    }

    async fn run(&self, request: Provisioning, cx: &Context) -> Result<(), String> {
        let config = Config::decode(&request.config, &Path::root()).map_err(|d| d.detail)?;
        let host = Communicator::connect(&self.dialer, &request.connection, None, cx).await?;
        let upload_failed = |e: String| format!("Upload failed: {e}");
        let destination = &config.destination;
        if let Some(content) = config.content {
            return host
                .upload(destination, content.into_bytes(), None, cx)
                .await
                .map_err(upload_failed);
        }
        let source = home(config.source.unwrap_or_default(), &self.dialer);
        let about = std::fs::metadata(&source).map_err(|e| format!("{source}: {e}"))?;
        if about.is_dir() {
            return host
                .upload_dir(destination, &source, cx)
                .await
                .map_err(upload_failed);
        }
        use std::os::unix::fs::PermissionsExt as _;
        let content = std::fs::read(&source).map_err(|e| format!("{source}: {e}"))?;
        let mode = about.permissions().mode() & 0o777;
        host.upload(destination, content, Some(mode), cx)
            .await
            .map_err(upload_failed)
    }
}

/// `~/x` in the user's home.
fn home(path: String, dialer: &Dialer) -> String {
    match (path.strip_prefix("~/"), dialer.environment().get("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path,
    }
}

#[async_trait]
impl Provisioner for File {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let set = |name: &str| config.get(name).is_some_and(|v| !v.is_null());
        let wrong = match (set("source"), set("content")) {
            (true, true) => "Cannot set both 'source' and 'content'",
            (false, false) => "Must provide one of 'source' or 'content'",
            _ => return Diagnostics::new(),
        };
        Diagnostic::error(wrong, "").into()
    }

    async fn provision(&self, request: Provisioning, cx: &Context) -> Result<(), Diagnostics> {
        self.run(request, cx)
            .await
            .map_err(|why| failed("file", why))
    }
}
