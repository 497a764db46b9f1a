//! Plan files: a ZIP archive with everything that an apply needs, so that `apply FILE` runs no evaluation of its own choosing.
//!
//! Inside: `stead-plan.json` (changes, outputs, variables, execution graph), `tfstate` (the refreshed prior state) and
//! `config/…` (every configuration file by its name). The file holds secrets as the state does; it is written 0600.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stead_sdk::ImportBy;
use stead_state::State;
use stead_state::encryption::is_sealed_plan;
use stead_value::{Diagnostic, Diagnostics, Marks, SourcePos, SourceRange};
use zip::write::SimpleFileOptions;

use crate::changes::{
    Because, EphemeralInstance, Importing, OnFailure, OutputChange, Plan, PlanMode, ResourceChange,
    Rollout,
};
use crate::checks::CheckResults;
use crate::graph::ExecutionGraph;
use crate::plan::RelevantAttribute;
use crate::wire::{Wire, WireStep, path_from_wire, path_to_wire};
use crate::{Action, ActionReason};

/// Plans are not carried from one release to another: schemas, and with them the types of values, may differ.
const FORMAT: u32 = 4;
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What Terraform's and OpenTofu's plan files hold in the place of ours.
const FOREIGN: &str = "tfplan";
const DOCUMENT: &str = "stead-plan.json";
const STATE: &str = "tfstate";
const CONFIG: &str = "config/";

/// A plan with what surrounds it in its file.
pub struct PlanFile {
    pub plan: Plan,
    /// Serial and lineage of the state that the plan was made from: another one makes the plan stale.
    pub serial: u64,
    pub lineage: String,
    /// Configuration files by name.
    pub files: BTreeMap<String, String>,
    /// The workspace that was selected: the plan is about its state.
    pub workspace: String,
    /// When the plan was made, in RFC 3339.
    pub created: String,
    /// Ephemeral root variables that were set, and must be set again at the apply.
    pub apply_time_variables: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    stead_version: String,
    created: String,
    #[serde(default)]
    apply_time_variables: BTreeSet<String>,
    mode: PlanMode,
    serial: u64,
    lineage: String,
    workspace: String,
    changes: Vec<ChangeDocument>,
    drift: Vec<ChangeDocument>,
    outputs: BTreeMap<String, OutputDocument>,
    variables: BTreeMap<String, Wire>,
    #[serde(default)]
    ephemerals: Vec<EphemeralDocument>,
    graph: ExecutionGraph,
    rollouts: Vec<RolloutDocument>,
    /// As state records them.
    #[serde(default)]
    checks: serde_json::Value,
    /// Addresses with the paths of attributes.
    #[serde(default)]
    relevant: Vec<(String, Vec<WireStep>)>,
    #[serde(default)]
    partial: bool,
}

/// What every release's document has.
#[derive(Deserialize)]
struct Made {
    format: u32,
    #[serde(default)]
    stead_version: String,
}

#[derive(Serialize, Deserialize)]
struct EphemeralDocument {
    address: String,
    provider: String,
}

#[derive(Serialize, Deserialize)]
struct RolloutDocument {
    address: String,
    instances: usize,
    steps: usize,
    max_in_flight: usize,
    pause: Duration,
    on_failure: OnFailure,
    has_health_check: bool,
    interval: Duration,
    timeout: Duration,
}

impl RolloutDocument {
    fn of(rollout: &Rollout) -> RolloutDocument {
        RolloutDocument {
            address: rollout.to_string(),
            instances: rollout.instances,
            steps: rollout.steps,
            max_in_flight: rollout.max_in_flight,
            pause: rollout.pause,
            on_failure: rollout.on_failure,
            has_health_check: rollout.has_health_check,
            interval: rollout.interval,
            timeout: rollout.timeout,
        }
    }

    fn read(self) -> Option<Rollout> {
        let address = stead_state::parse_resource_instance(&self.address)?;
        Some(Rollout {
            module: address.module,
            resource: address.resource,
            instances: self.instances,
            steps: self.steps,
            max_in_flight: self.max_in_flight,
            pause: self.pause,
            on_failure: self.on_failure,
            has_health_check: self.has_health_check,
            interval: self.interval,
            timeout: self.timeout,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct ChangeDocument {
    address: String,
    previous_address: Option<String>,
    deposed: Option<String>,
    #[serde(default)]
    importing: Option<ImportingDocument>,
    provider: String,
    action: Action,
    reason: Option<ActionReason>,
    before: Wire,
    after: Wire,
    #[serde(default)]
    identity: Option<Wire>,
    replace_paths: Vec<Vec<WireStep>>,
    #[serde(default)]
    because: Vec<BecauseDocument>,
    notes: Vec<String>,
    late: bool,
    private: Vec<u8>,
    prior_private: Vec<u8>,
    create_before_destroy: bool,
    dependencies: Vec<String>,
}

/// One of `id` and `identity`.
#[derive(Serialize, Deserialize)]
struct ImportingDocument {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    identity: Option<Wire>,
    #[serde(default)]
    generated_config: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct BecauseDocument {
    attribute: Vec<WireStep>,
    file: String,
    /// Line, column and byte of the beginning and of the end.
    start: (u32, u32, u32),
    end: (u32, u32, u32),
    expression: String,
}

#[derive(Serialize, Deserialize)]
struct OutputDocument {
    action: Action,
    before: Wire,
    after: Wire,
    sensitive: bool,
}

/// Writes a plan file; `seal` has the last word on its bytes.
///
/// # Errors
/// When it cannot be sealed or written.
pub fn write(
    path: &Path,
    file: &PlanFile,
    seal: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, Diagnostic>,
) -> Result<(), Diagnostic> {
    let failed = |e: String| {
        Diagnostic::error(
            "Failed to write plan file",
            format!("{}: {e}.", path.display()),
        )
    };
    let plan = &file.plan;
    let document = Document {
        format: FORMAT,
        stead_version: VERSION.to_owned(),
        created: file.created.clone(),
        apply_time_variables: file.apply_time_variables.clone(),
        mode: plan.mode,
        serial: file.serial,
        lineage: file.lineage.clone(),
        workspace: file.workspace.clone(),
        changes: plan.changes.iter().map(write_change).collect(),
        drift: plan.drift.iter().map(write_change).collect(),
        outputs: plan
            .outputs
            .iter()
            .map(|(name, o)| {
                let output = OutputDocument {
                    action: o.action,
                    before: Wire::of(&o.before),
                    after: Wire::of(&o.after),
                    sensitive: o.sensitive,
                };
                (name.to_string(), output)
            })
            .collect(),
        variables: plan
            .variables
            .iter()
            // What is ephemeral is given again at the apply.
            .filter(|(_, v)| !v.marks_deep().contains(Marks::EPHEMERAL))
            .map(|(k, v)| (k.to_string(), Wire::of(v)))
            .collect(),
        ephemerals: plan
            .ephemerals
            .iter()
            .map(|e| EphemeralDocument {
                address: e.address.to_string(),
                provider: e.provider.to_string(),
            })
            .collect(),
        graph: plan.graph.clone(),
        rollouts: plan.rollouts.iter().map(RolloutDocument::of).collect(),
        checks: plan.checks.to_state(),
        relevant: plan
            .relevant
            .iter()
            .map(|r| (r.resource.to_string(), path_to_wire(&r.attribute)))
            .collect(),
        partial: plan.partial,
    };
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut entry = |name: &str, bytes: &[u8]| -> Result<(), String> {
        archive
            .start_file(name, SimpleFileOptions::default())
            .map_err(|e| e.to_string())?;
        archive.write_all(bytes).map_err(|e| e.to_string())
    };
    let bytes = serde_json::to_vec(&document).map_err(|e| failed(e.to_string()))?;
    entry(DOCUMENT, &bytes).map_err(failed)?;
    let state = stead_state::to_bytes(&plan.prior_state).map_err(|e| failed(e.to_string()))?;
    entry(STATE, &state).map_err(failed)?;
    for (name, text) in &file.files {
        entry(&format!("{CONFIG}{name}"), text.as_bytes()).map_err(failed)?;
    }
    let archive = archive.finish().map_err(|e| failed(e.to_string()))?;
    let bytes = seal(archive.into_inner())?;
    put(path, &bytes).map_err(|e| failed(e.to_string()))
}

/// Puts a file in place, whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // tempfile makes it 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    Ok(())
}

fn write_change(change: &ResourceChange) -> ChangeDocument {
    ChangeDocument {
        address: change.address.to_string(),
        previous_address: change.previous_address.as_ref().map(ToString::to_string),
        deposed: change.deposed.clone(),
        importing: change.importing.as_ref().map(write_importing),
        provider: change.provider.to_string(),
        action: change.action,
        reason: change.reason,
        before: Wire::of(&change.before),
        after: Wire::of(&change.after),
        identity: change.identity.as_ref().map(Wire::of),
        replace_paths: change.replace_paths.iter().map(path_to_wire).collect(),
        because: change.because.iter().map(write_because).collect(),
        notes: change.notes.clone(),
        late: change.late,
        private: change.private.clone(),
        prior_private: change.prior_private.clone(),
        create_before_destroy: change.create_before_destroy,
        dependencies: change.dependencies.clone(),
    }
}

fn write_importing(importing: &Importing) -> ImportingDocument {
    let (id, identity) = match &importing.by {
        ImportBy::Id(id) => (Some(id.clone()), None),
        ImportBy::Identity(identity) => (None, Some(Wire::of(identity))),
    };
    ImportingDocument {
        id,
        identity,
        generated_config: importing.generated_config.clone(),
    }
}

fn read_importing(importing: ImportingDocument) -> Option<Importing> {
    Some(Importing {
        by: match (importing.id, importing.identity) {
            (Some(id), None) => ImportBy::Id(id),
            (None, Some(identity)) => ImportBy::Identity(identity.value()?),
            _ => return None,
        },
        generated_config: importing.generated_config,
    })
}

fn write_because(because: &Because) -> BecauseDocument {
    let position = |p: SourcePos| (p.line, p.column, p.byte);
    BecauseDocument {
        attribute: path_to_wire(&because.attribute),
        file: because.range.file.to_string(),
        start: position(because.range.start),
        end: position(because.range.end),
        expression: because.expression.clone(),
    }
}

fn read_because(because: BecauseDocument) -> Option<Because> {
    let position = |(line, column, byte)| SourcePos { line, column, byte };
    Some(Because {
        attribute: path_from_wire(because.attribute)?,
        range: SourceRange {
            file: because.file.into(),
            start: position(because.start),
            end: position(because.end),
        },
        expression: because.expression,
    })
}

/// Whether a file looks like a plan: by its first bytes where these tell.
pub fn is_plan(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match (&magic, read) {
        (b"PK\x03\x04", Ok(())) => true,
        ([b'{', ..], Ok(())) => std::fs::read(path).is_ok_and(|bytes| is_sealed_plan(&bytes)),
        _ => false,
    }
}

/// Reads a plan file; `open` gives the bytes of the archive.
///
/// # Errors
/// When the file is no plan, is another tool's, or was made by another release of stead; when it cannot be opened.
pub fn read(
    path: &Path,
    open: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, Diagnostic>,
) -> Result<PlanFile, Diagnostic> {
    let unfit = |why: String| {
        Diagnostic::error(
            format!("Failed to load \"{}\" as a plan file", path.display()),
            why,
        )
    };
    let failed = |e: String| {
        Diagnostic::error(
            "Failed to read plan from plan file",
            format!("Cannot read the plan from the given plan file: {e}."),
        )
    };
    if path.is_dir() {
        return Err(unfit("The specified path is a directory, not a plan file. You can use the global -chdir flag to use this directory as the configuration root.".into()));
    }
    let bytes = std::fs::read(path).map_err(|e| {
        let why = if e.kind() == std::io::ErrorKind::NotFound {
            "no such file or directory".to_owned()
        } else {
            e.to_string()
        };
        unfit(format!("Error: stat {}: {why}.", path.display()))
    })?;
    let not_a_plan = || unfit("Error: the given file is not a valid plan file.".into());
    if !bytes.starts_with(b"PK") && !is_sealed_plan(&bytes) {
        return Err(not_a_plan());
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(open(bytes)?)).map_err(|_| not_a_plan())?;
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.map(|n| n.into_owned()))
        .collect::<Result<_, _>>()
        .map_err(|e| failed(e.to_string()))?;
    if !names.iter().any(|n| n == DOCUMENT) {
        let why = if names.iter().any(|n| n == FOREIGN) {
            "Error: the given plan file was made by Terraform or OpenTofu, and only the tool that made it can apply it. Make the plan with `stead plan -out`."
        } else {
            "Error: the given file is not a valid plan file."
        };
        return Err(unfit(why.into()));
    }
    let mut bytes_of = |name: &str| -> Result<Vec<u8>, Diagnostic> {
        let mut entry = archive
            .by_name(name)
            .map_err(|e| failed(format!("{name}: {e}")))?;
        let mut bytes = Vec::new();
        entry
            .read_to_end(&mut bytes)
            .map_err(|e| failed(e.to_string()))?;
        Ok(bytes)
    };
    let document = bytes_of(DOCUMENT)?;
    let made: Made = serde_json::from_slice(&document).map_err(|e| failed(e.to_string()))?;
    if made.format != FORMAT || made.stead_version != VERSION {
        return Err(failed(format!(
            "plan file was created by stead {} (format {}), but this is {VERSION} (format {FORMAT}); plan files cannot be transferred between different versions",
            made.stead_version, made.format
        )));
    }
    let document: Document =
        serde_json::from_slice(&document).map_err(|e| failed(e.to_string()))?;
    let prior_state: State =
        stead_state::from_bytes(&bytes_of(STATE)?, path).map_err(|e| failed(e.to_string()))?;
    let mut files = BTreeMap::new();
    for name in names.iter().filter(|n| n.starts_with(CONFIG)) {
        let text = String::from_utf8(bytes_of(name)?).map_err(|e| failed(e.to_string()))?;
        files.insert(name.trim_start_matches(CONFIG).to_owned(), text);
    }
    let broken = || failed("a value or an address in it is malformed".into());
    let changes = |list: Vec<ChangeDocument>| {
        list.into_iter()
            .map(read_change)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(broken)
    };
    let mut outputs = BTreeMap::new();
    for (name, o) in document.outputs {
        let change = OutputChange {
            action: o.action,
            before: o.before.value().ok_or_else(broken)?,
            after: o.after.value().ok_or_else(broken)?,
            sensitive: o.sensitive,
        };
        outputs.insert(Arc::from(name), change);
    }
    let mut variables = BTreeMap::new();
    for (name, wire) in document.variables {
        variables.insert(Arc::from(name), wire.value().ok_or_else(broken)?);
    }
    let plan = Plan {
        mode: document.mode,
        changes: changes(document.changes)?,
        drift: changes(document.drift)?,
        output_types: outputs
            .iter()
            .map(|(n, o): (&Arc<str>, &OutputChange)| (Arc::clone(n), o.after.ty()))
            .collect(),
        outputs,
        variables,
        prior_state,
        ephemerals: document
            .ephemerals
            .into_iter()
            .map(|e| {
                Some(EphemeralInstance {
                    address: stead_state::parse_resource_instance(&e.address)?,
                    provider: stead_state::parse_provider(&e.provider)?,
                })
            })
            .collect::<Option<_>>()
            .ok_or_else(broken)?,
        graph: document.graph,
        rollouts: document
            .rollouts
            .into_iter()
            .map(RolloutDocument::read)
            .collect::<Option<_>>()
            .ok_or_else(broken)?,
        checks: CheckResults::from_state(&document.checks).ok_or_else(broken)?,
        relevant: read_relevant(document.relevant).ok_or_else(broken)?,
        partial: document.partial,
        warnings: Diagnostics::new(),
    };
    let indices_fit = plan.graph.ids().all(|id| {
        let op = plan.graph.op(id);
        op.change().is_none_or(|c| c < plan.changes.len())
            && op.ephemeral().is_none_or(|e| e < plan.ephemerals.len())
            && op.rollout().is_none_or(|r| r < plan.rollouts.len())
    });
    if !indices_fit || plan.graph.cycle().is_some() {
        return Err(failed("its execution graph is malformed".into()));
    }
    Ok(PlanFile {
        plan,
        serial: document.serial,
        lineage: document.lineage,
        files,
        workspace: document.workspace,
        created: document.created,
        apply_time_variables: document.apply_time_variables,
    })
}

fn read_relevant(list: Vec<(String, Vec<WireStep>)>) -> Option<Vec<RelevantAttribute>> {
    list.into_iter()
        .map(|(address, path)| {
            Some(RelevantAttribute {
                resource: stead_state::parse_resource_instance(&address)?,
                attribute: path_from_wire(path)?,
            })
        })
        .collect()
}

fn read_change(change: ChangeDocument) -> Option<ResourceChange> {
    let address = |text: &str| stead_state::parse_resource_instance(text);
    Some(ResourceChange {
        address: address(&change.address)?,
        previous_address: match &change.previous_address {
            Some(text) => Some(address(text)?),
            None => None,
        },
        deposed: change.deposed,
        importing: match change.importing {
            Some(importing) => Some(read_importing(importing)?),
            None => None,
        },
        provider: stead_state::parse_provider(&change.provider)?,
        action: change.action,
        reason: change.reason,
        before: change.before.value()?,
        after: change.after.value()?,
        identity: match change.identity {
            Some(identity) => Some(identity.value()?),
            None => None,
        },
        replace_paths: change
            .replace_paths
            .into_iter()
            .map(path_from_wire)
            .collect::<Option<_>>()?,
        because: change
            .because
            .into_iter()
            .map(read_because)
            .collect::<Option<_>>()?,
        notes: change.notes,
        late: change.late,
        private: change.private,
        prior_private: change.prior_private,
        create_before_destroy: change.create_before_destroy,
        dependencies: change.dependencies,
    })
}
