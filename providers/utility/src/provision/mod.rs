//! The provisioners: `local-exec`, `remote-exec` and `file`.

mod communicator;
mod connection;
mod file;
mod lines;
mod local_exec;
mod remote_exec;

use std::sync::Arc;

use stead_sdk::value::{Diagnostic, Diagnostics};
use stead_sdk::{Dialer, Provisioner};

/// All of them, by the name that `provisioner` blocks give them.
pub fn provisioners(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn Provisioner>)> {
    vec![
        ("file", Arc::new(file::File::new(dialer))),
        ("local-exec", Arc::new(local_exec::LocalExec::new())),
        (
            "remote-exec",
            Arc::new(remote_exec::RemoteExec::new(dialer)),
        ),
    ]
}

/// `remote-exec provisioner error`, as people search for it.
fn failed(kind: &str, detail: impl Into<String>) -> Diagnostics {
    Diagnostic::error(format!("{kind} provisioner error"), detail).into()
}
