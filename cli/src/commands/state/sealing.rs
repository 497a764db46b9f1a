//! `stead state encrypt` and `stead state rekey`: the state as it is, sealed as the configuration says.

use std::path::Path;
use std::sync::Arc;

use stead_state::StateManager;
use stead_state::encryption::is_sealed;

use super::{HoldArgs, NOT_FOUND};
use crate::backend;
use crate::commands::print;
use crate::encryption;
use crate::error::{CommandError, Result};
use crate::session::lock_state;
use crate::settled;
use crate::world::Disk;

#[derive(clap::Args, Debug)]
pub(crate) struct SealArgs {
    #[command(flatten)]
    lock: HoldArgs,
    /// No colours
    #[arg(long)]
    no_color: bool,
}

/// What a configuration needs so that there is something to seal with.
const BLOCK: &str = r#"terraform {
  encryption {
    key_provider "pbkdf2" "main" {
      passphrase = var.state_passphrase
    }
    method "aes_gcm" "main" {
      keys = key_provider.pbkdf2.main
    }
    state {
      method   = method.aes_gcm.main
      enforced = true
    }
    plan {
      method   = method.aes_gcm.main
      enforced = true
    }
  }
}

variable "state_passphrase" {
  type      = string
  sensitive = true
}
"#;

pub(super) async fn encrypt(args: &SealArgs) -> Result<u8> {
    let mut encryptions = encryption::in_folder(&Disk)?;
    if encryptions.state.is_plain() {
        return Err(unconfigured());
    }
    // Who asks for this has a state in the clear, and knows it.
    encryptions.state = Arc::new(encryptions.state.taking_plain());
    let mut file = backend::selected(&encryptions)?;
    match seal(&mut file, args, "state-encrypt").await? {
        true => print(&format!("{} is sealed now.\n", file.location())),
        false => print(&format!("{} was sealed already.\n", file.location())),
    }
    for copy in copies_in_the_clear(&file)? {
        print(&format!(
            "{copy} is an older copy in the clear: remove it, if you do not need it.\n"
        ));
    }
    Ok(0)
}

pub(super) async fn rekey(args: &SealArgs) -> Result<u8> {
    let encryptions = encryption::in_folder(&Disk)?;
    if encryptions.state.is_plain() {
        return Err(unconfigured());
    }
    let mut file = backend::selected(&encryptions)?;
    match seal(&mut file, args, "state-rekey").await? {
        true => print(&format!(
            "{} is sealed with the first method now. When every workspace is, the fallback can go.\n",
            file.location()
        )),
        false => print(&format!(
            "{} was sealed with the first method already. To change the key, configure the new one there and the old one as its fallback.\n",
            file.location()
        )),
    }
    Ok(0)
}

/// Writes the state as it is, unless it lies there as it would be written; says whether.
async fn seal(file: &mut StateManager, args: &SealArgs, operation: &str) -> Result<bool> {
    if args.lock.lock {
        lock_state(file, &args.lock.lock_timeout, operation).await?;
    }
    let mut state = settled::read(file)?.ok_or_else(|| CommandError::text(NOT_FOUND))?;
    let outdated = file.is_outdated();
    file.write(&mut state)?;
    Ok(outdated)
}

fn unconfigured() -> CommandError {
    CommandError::new(
        "No encryption of the state is configured",
        format!(
            "Nothing has been changed. Add this to the configuration, give the variable a passphrase of 16 characters or more (the environment variable TF_VAR_state_passphrase keeps it out of files), and run `stead state encrypt` again. Keep the passphrase: without it the state cannot be read any more.\n\n{BLOCK}"
        ),
    )
}

/// The backups beside a local state that anybody can read.
fn copies_in_the_clear(file: &StateManager) -> Result<Vec<String>> {
    if !file.is_local() {
        return Ok(Vec::new());
    }
    let location = file.location();
    let path = Path::new(&location);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = path.file_name().unwrap_or_default().to_string_lossy();
        let is_copy = found.starts_with(&*name) && found.ends_with(".backup");
        if is_copy && !is_sealed(&std::fs::read(&path)?) {
            copies.push(
                path.strip_prefix(".")
                    .unwrap_or(&path)
                    .display()
                    .to_string(),
            );
        }
    }
    copies.sort();
    Ok(copies)
}
