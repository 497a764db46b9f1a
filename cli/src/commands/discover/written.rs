//! What is written: import blocks, and configuration for what they bring in.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stead_engine::eval::Phase;
use stead_engine::plan::{Generated, Options};
use stead_engine::{Event, Observer};
use stead_lang::generate::Detail;
use stead_state::State;
use stead_value::Diagnostics;
use tokio_util::sync::CancellationToken;

use super::{Asked, Fate, Thing, references};
use crate::commands::generate::WithGenerated;
use crate::commands::print_error;
use crate::error::{CommandError, Result};
use crate::session::Session;

/// The file to write, of a flag that names it or its folder.
///
/// # Errors
/// When it is there, and is not to be replaced.
pub(super) fn target(given: &Path, force: bool) -> Result<PathBuf> {
    let path = if given.is_dir() {
        given.join("discovered.tf")
    } else {
        given.to_owned()
    };
    if !force && path.symlink_metadata().is_ok() {
        return Err(CommandError::new(
            "The file exists already",
            format!(
                "{} is there, and what people wrote into it would be lost. Name another file, or replace it with -force.",
                path.display()
            ),
        ));
    }
    Ok(path)
}

/// The new file as one of the root module, in place of the one that it replaces.
pub(super) fn overlay(path: Option<&Path>, text: String) -> WithGenerated {
    let here = path.filter(|path| {
        path.parent()
            .is_none_or(|p| p.as_os_str().is_empty() || p == Path::new("."))
    });
    let name = here.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    match name.filter(|name| name.ends_with(".tf")) {
        Some(name) => WithGenerated::new(name, text),
        None => WithGenerated::beside("discovered.tf", text),
    }
}

fn quoted(text: &str) -> String {
    // What HCL would take for the beginning of an expression stands for itself.
    let text = serde_json::Value::from(text).to_string();
    text.replace("${", "$${").replace("%{", "%%{")
}

fn import_block(thing: &Thing, name: &str, provider: Option<&str>) -> String {
    let provider = provider.map(|provider| format!("  provider = {provider}\n"));
    format!(
        "import {{\n{}  to = {}.{name}\n  id = {}\n}}\n",
        provider.unwrap_or_default(),
        thing.type_name,
        quoted(&thing.id)
    )
}

/// What is new.
fn new(things: &[Thing]) -> impl Iterator<Item = (&Thing, &str)> {
    things.iter().filter_map(|thing| match &thing.fate {
        Fate::New(name) => Some((thing, name.as_str())),
        _ => None,
    })
}

/// Reads what is new and makes the file's text; what could not be read is told and left out.
pub(super) async fn text(
    session: &Session,
    asked: &Asked,
    path: &Path,
    things: &[Thing],
    parallelism: usize,
    cancel: CancellationToken,
) -> Result<(String, usize, Diagnostics)> {
    let provider = asked.written_as();
    let blocks: String = new(things)
        .map(|(thing, name)| import_block(thing, name, provider.as_deref()))
        .collect();
    let files = overlay(Some(path), format!("{}{blocks}", asked.prelude));
    let session = session.of_files(&files)?;
    let evaluator = session.evaluator(Phase::Plan);
    let options = Options {
        parallelism,
        ..Options::default()
    };
    let (mut objects, problems) = stead_engine::plan::generate(
        &evaluator,
        &session.registry,
        State::new(),
        options,
        Detail::Essence,
        Progress::of(new(things).count()),
        cancel.clone(),
    )
    .await;
    if cancel.is_cancelled() {
        return Err(CommandError::new("Interrupted", "Nothing was written."));
    }
    let source = session
        .tree
        .root
        .module
        .provider_source(&asked.provider.local);
    let factory = session.registry.factory(&source);
    references::refer(&mut objects, &|type_name| {
        factory
            .as_ref()
            .map_or(&[], |factory| factory.referred_as(type_name))
    });
    let text = composed(asked, things, &objects);
    Ok((text, objects.len(), problems))
}

fn composed(asked: &Asked, things: &[Thing], objects: &[Generated]) -> String {
    let by_address: HashMap<String, &str> = objects
        .iter()
        .map(|object| (object.address.to_string(), object.text.as_str()))
        .collect();
    let mut text = format!(
        "# What `stead discover {}` found. `stead plan` shows that it comes under management as it is; `stead apply` does so.\n# The import blocks may be deleted after that.\n",
        asked.provider
    );
    if !asked.prelude.is_empty() {
        let _ = write!(text, "\n{}", asked.prelude);
    }
    let provider = asked.written_as();
    for (thing, name) in new(things) {
        let address = format!("{}.{name}", thing.type_name);
        if let Some(resource) = by_address.get(&address) {
            let import = import_block(thing, name, provider.as_deref());
            let _ = write!(text, "\n{import}\n{resource}\n");
        }
    }
    text
}

/// Says now and then how far the reading is.
struct Progress {
    total: usize,
    read: AtomicUsize,
    told: Told,
}

impl Progress {
    fn of(total: usize) -> Arc<dyn Observer> {
        Arc::new(Progress {
            total,
            read: AtomicUsize::new(0),
            told: Told::default(),
        })
    }
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        if matches!(event, Event::RefreshDone { .. }) {
            let read = self.read.fetch_add(1, Ordering::Relaxed) + 1;
            self.told
                .now_and_then(|| format!("Read {read} of {} objects…", self.total));
        }
    }
}

/// When something was last told of work that takes long.
pub(super) struct Told(Mutex<Instant>);

impl Default for Told {
    fn default() -> Self {
        Told(Mutex::new(Instant::now()))
    }
}

impl Told {
    pub(super) fn now_and_then(&self, text: impl FnOnce() -> String) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= Duration::from_secs(5) {
            *last = Instant::now();
            print_error(&format!("{}\n", text()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_stand_for_themselves() {
        let thing = Thing {
            type_name: "acme_vm".into(),
            id: "a/${x}\"".into(),
            called: String::new(),
            fate: Fate::New("web".into()),
        };
        assert_eq!(
            import_block(&thing, "web", Some("acme.west")),
            "import {\n  provider = acme.west\n  to = acme_vm.web\n  id = \"a/$${x}\\\"\"\n}\n"
        );
    }

    #[test]
    fn nothing_is_overwritten_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("discovered.tf");
        assert_eq!(target(folder.path(), false).ok().as_ref(), Some(&file));
        std::fs::write(&file, "x").expect("a file");
        assert!(target(folder.path(), false).is_err());
        assert_eq!(target(&file, true).ok().as_ref(), Some(&file));
    }
}
