//! The plan of one object, as a resource's `plan` hook may still change it.

use stead_value::{Diagnostic, Diagnostics, Path, Type, Value};

use crate::plan::walk;

/// What would become of an object. Values are dynamic here, because a plan may hold unknown ones.
#[derive(Clone, Debug)]
pub struct PlanDraft {
    /// The schema's type.
    pub(crate) ty: Type,
    pub(crate) prior: Value,
    pub(crate) config: Value,
    pub(crate) planned: Value,
    pub(crate) requires_replace: Vec<Path>,
    pub(crate) notes: Vec<String>,
    pub(crate) warnings: Diagnostics,
}

impl PlanDraft {
    /// The object as it is; null for a create.
    pub fn prior(&self) -> &Value {
        &self.prior
    }

    /// The configuration; unknown where it depends on what is not known yet.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The object as it would be.
    pub fn planned(&self) -> &Value {
        &self.planned
    }

    pub fn is_create(&self) -> bool {
        self.prior.is_null()
    }

    /// Whether anything of the object would change; always so for a create.
    pub fn has_changes(&self) -> bool {
        self.prior != self.planned
    }

    /// Whether a top-level attribute or block would change. Unknown counts as a change.
    pub fn changes(&self, name: &str) -> bool {
        self.prior.get(name) != self.planned.get(name)
    }

    /// The planned value at a path; `None` when the way there is missing, null or unknown.
    pub fn get(&self, path: &Path) -> Option<Value> {
        self.planned.at(path)
    }

    /// The planned value of a top-level attribute.
    pub fn attribute(&self, name: &str) -> Option<Value> {
        self.planned.get(name)
    }

    /// Plans another value. Only computed attributes may differ from what the configuration sets.
    ///
    /// # Errors
    /// When there is no such place in the planned object, or the value's type is not the place's.
    pub fn set(&mut self, path: &Path, value: Value) -> Result<(), Diagnostic> {
        let no_place = || {
            Diagnostic::error(
                "Invalid plan",
                format!("The provider planned a value for `{path}`, which the object lacks."),
            )
        };
        let expected = walk::type_at(&self.ty, path.steps()).ok_or_else(no_place)?;
        let found = value.ty();
        if !found.conforms_to(&expected) {
            let detail =
                format!("The provider planned {found} for `{path}`, which takes {expected}.");
            return Err(Diagnostic::error("Invalid plan", detail).attribute(path.clone()));
        }
        self.planned = walk::set(&self.planned, path.steps(), value).ok_or_else(no_place)?;
        Ok(())
    }

    /// Plans "known after apply" for a computed attribute.
    ///
    /// # Errors
    /// When there is no such place in the planned object.
    pub fn set_unknown(&mut self, path: &Path) -> Result<(), Diagnostic> {
        let ty = walk::type_at(&self.ty, path.steps()).unwrap_or(Type::Dynamic);
        self.set(path, Value::unknown(ty))
    }

    /// A change at this path takes a new object.
    pub fn replace(&mut self, path: Path) {
        if !self.requires_replace.contains(&path) {
            self.requires_replace.push(path);
        }
    }

    /// No replacement after all for this path or what lies below.
    pub fn keep(&mut self, path: &Path) {
        self.requires_replace.retain(|p| !p.starts_with(path));
    }

    /// What the change does to a running machine, for people: `memory: at the next restart`.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub fn warn(&mut self, summary: impl Into<String>, detail: impl Into<String>) {
        self.warnings.push(Diagnostic::warning(summary, detail));
    }

    /// Warnings that say of which attribute they are.
    pub fn warn_of(&mut self, warnings: Diagnostics) {
        self.warnings.extend(warnings);
    }
}
