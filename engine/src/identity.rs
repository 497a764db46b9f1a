//! Resource identities: what a provider calls an object beside its attributes. They follow an object from its creation or import into
//! the state, and from one version of their form to the next; an object has one identity as long as it lives.

use stead_sdk::{Provider, describe_identity};
use stead_state::{Identity, Object};
use stead_value::addr::ResourceInstance;
use stead_value::schema::Schema;
use stead_value::{Diagnostic, Diagnostics, Value};

/// The identity that is recorded of an object, in today's form. `None` also for one whose type has no identities (any more), which
/// stays recorded as it is.
pub(crate) fn decode(
    provider: &dyn Provider,
    type_name: &str,
    schema: &Schema,
    object: &Object,
) -> Result<Option<Value>, Diagnostics> {
    let (Some(recorded), Some(known)) = (&object.identity, &schema.identity) else {
        return Ok(None);
    };
    if recorded.schema_version > known.version {
        return Err(Diagnostic::error(
            "Resource instance managed by newer provider version",
            format!("The current state of a {type_name} was created by a newer provider version than is currently selected: its identity has schema version {}, and {} is the newest that this stead knows. Use a newer stead to work with this state.", recorded.schema_version, known.version),
        )
        .into());
    }
    let json = recorded.attributes.clone().into();
    let identity = provider.upgrade_identity(type_name, recorded.schema_version, &json)?;
    Ok(Some(identity))
}

/// What state records of an identity; nothing for a type that has none.
pub(crate) fn encode(
    identity: Option<&Value>,
    schema: &Schema,
) -> Result<Option<Box<Identity>>, Diagnostic> {
    let (Some(identity), Some(known)) = (identity, &schema.identity) else {
        return Ok(None);
    };
    let json = stead_value::json::to_json(identity, &known.value_type())
        .map_err(|e| Diagnostic::error("Value cannot be stored", e.to_string()))?;
    let serde_json::Value::Object(attributes) = json else {
        return Ok(None);
    };
    Ok(Some(Box::new(Identity {
        schema_version: known.version,
        attributes,
    })))
}

/// Holds what a provider says against the type's schema, and against what the object was called until now.
pub(crate) fn check(
    address: &ResourceInstance,
    schema: &Schema,
    until_now: Option<&Value>,
    found: Option<&Value>,
) -> Result<(), Diagnostic> {
    let Some(found) = found else {
        return Ok(());
    };
    let is_bug = "This is a bug in the provider: please report it.";
    if !found.is_wholly_known() || !found.marks_deep().is_empty() {
        return Err(Diagnostic::error(
            "Provider produced invalid identity",
            format!(
                "The provider returned an identity with unknown or marked values for {address}. {is_bug}"
            ),
        ));
    }
    let wanted = schema.identity.as_ref().map(|known| known.value_type());
    if wanted.as_ref() != Some(&found.ty()) {
        return Err(Diagnostic::error(
            "Provider produced an identity that doesn't match the schema",
            format!(
                "The provider returned an identity for {address} that doesn't match the identity schema. {is_bug}"
            ),
        ));
    }
    match until_now {
        Some(old) if !old.raw_equals(found) => Err(Diagnostic::error(
            "Unexpected Identity Change",
            format!(
                "The provider unexpectedly returned another identity for {address} than the one that was recorded.\n\n{is_bug}\n\nRecorded identity: {}\nNew identity: {}",
                describe_identity(old),
                describe_identity(found)
            ),
        )),
        _ => Ok(()),
    }
}
