//! The journal's part: an operation is noted before it is sent, and what it makes as soon as that can be found again.

use std::sync::Arc;

use stead_sdk::{Context, Found, Identify, async_trait};
use stead_state::journal::{Doubt, Intent, JournalHandle, Operation};
use stead_state::{ObjectStatus, ProviderConfigRef};
use stead_value::addr::ResourceInstance;
use stead_value::schema::Schema;
use stead_value::{Diagnostic, Marks, Value};

use super::Executor;
use crate::changes::ResourceChange;
use crate::object;

/// What has to be noted of one operation.
pub(super) struct Note {
    journal: JournalHandle,
    object: Arc<Noted>,
    deposed: Option<String>,
}

/// The object that an operation is about, as the state will record it.
struct Noted {
    address: ResourceInstance,
    provider: ProviderConfigRef,
    schema: Arc<Schema>,
    sensitive: Vec<stead_value::Path>,
    dependencies: Vec<String>,
    create_before_destroy: bool,
}

impl Executor<'_, '_> {
    /// The note for an operation; `None` without a journal, and for objects that exist in the state alone.
    pub(super) fn note(
        &self,
        change: &ResourceChange,
        schema: &Arc<Schema>,
        sensitive: &[stead_value::Path],
        deposed: Option<String>,
    ) -> Option<Note> {
        let journal = self.journal.clone()?;
        let type_name = &change.address.resource.type_name;
        let factory = self.registry.factory_for(&change.provider).ok()?;
        if factory.only_in_state(type_name) {
            return None;
        }
        Some(Note {
            journal,
            object: Arc::new(Noted {
                address: change.address.clone(),
                provider: change.provider.clone(),
                schema: Arc::clone(schema),
                sensitive: sensitive.to_vec(),
                dependencies: change.dependencies.clone(),
                create_before_destroy: change.create_before_destroy,
            }),
            deposed,
        })
    }
}

impl Note {
    /// Notes that an object is about to be made, changed (`prior` is not null) or removed (`planned` is null). When this
    /// returns, that is on disk, and the context lets the provider say how the object can be found.
    pub(super) async fn begin(
        &self,
        prior: &Value,
        planned: &Value,
        context: &Context,
    ) -> Result<(Operation, Context), Diagnostic> {
        let doubt = if planned.is_null() {
            Doubt::Delete
        } else if prior.is_null() {
            Doubt::Create {
                schema_version: self.object.schema.version,
                planned: self.object.planned(planned)?,
            }
        } else {
            Doubt::Update
        };
        let makes = matches!(doubt, Doubt::Create { .. });
        let intent = Intent {
            address: self.object.address.clone(),
            provider: self.object.provider.clone(),
            deposed: self.deposed.clone(),
            doubt,
        };
        let operation = self.journal.intend(&intent).await.map_err(not_noted)?;
        let context = context.clone();
        let context = if makes {
            context.with_identify(Arc::new(Identifier {
                journal: self.journal.clone(),
                operation,
                object: Arc::clone(&self.object),
            }))
        } else {
            context
        };
        Ok((operation, context))
    }
}

impl Noted {
    fn planned(&self, planned: &Value) -> Result<serde_json::Value, Diagnostic> {
        let known = object::unknown_as_null(planned);
        let (plain, _) = known.unmark_deep();
        stead_value::json::to_json(&plain, &self.schema.block.value_type())
            .map_err(|e| Diagnostic::error("Value cannot be stored", e.to_string()))
    }
}

struct Identifier {
    journal: JournalHandle,
    operation: Operation,
    object: Arc<Noted>,
}

#[async_trait]
impl Identify for Identifier {
    async fn identified(
        &self,
        object: Value,
        private: Vec<u8>,
        identity: Option<Value>,
    ) -> Result<(), Diagnostic> {
        let noted = &self.object;
        let by_schema = object::sensitive_by_schema(&noted.schema.block, &object);
        let object = object
            .apply_marks(&noted.sensitive, Marks::SENSITIVE)
            .apply_marks(&by_schema, Marks::SENSITIVE);
        let found = Found {
            value: object::unknown_as_null(&object),
            private,
            identity,
        };
        let recorded = object::encode(
            found,
            &noted.schema,
            ObjectStatus::Tainted,
            noted.dependencies.clone(),
            noted.create_before_destroy,
        )?;
        self.journal
            .identified(self.operation, &noted.address, &noted.provider, recorded)
            .await
            .map_err(not_noted)
    }
}

/// What cannot be noted must not be done.
pub(super) fn not_noted(error: stead_state::Error) -> Diagnostic {
    Diagnostic::error(
        "Failed to write the journal",
        format!(
            "{error}. The operation was not begun: what cannot be noted must not be done. See to the disk, then run the command again."
        ),
    )
}
