//! A configuration block with environment variables in the place of what it leaves out.

use stead_value::{Diagnostic, Diagnostics, Path, Type, Value};

use crate::plan::refuse_unsupported_with;
use crate::{Environment, ProviderConfig};

/// Decodes a block that is no provider's, such as a backend's: refuses what is not supported, then lets environment variables stand in
/// for null attributes. `owner` names the block in messages (`the backend "s3"`).
///
/// # Errors
/// What is not supported, and the variables that make no sense for their attribute.
pub fn settings<P: ProviderConfig>(
    owner: &str,
    config: &Value,
    environment: &Environment,
) -> Result<P, Diagnostics> {
    refuse_unsupported_with(owner, "Leave it out.", &P::block(), config).into_result()?;
    let config = with_environment(config, P::ENVIRONMENT, environment)?;
    Ok(P::decode(&config, &Path::root())?)
}

/// The object with the variables of `names` in the place of its null attributes.
pub(crate) fn with_environment(
    config: &Value,
    names: &[(&str, &[&str])],
    environment: &Environment,
) -> Result<Value, Diagnostic> {
    let Some(entries) = config.as_entries() else {
        return Ok(config.clone());
    };
    let mut entries = entries.clone();
    for (name, variables) in names {
        let Some(slot) = entries.get_mut(*name).filter(|v| v.is_null()) else {
            continue;
        };
        let found = variables
            .iter()
            .find_map(|v| Some((*v, environment.get(v)?)));
        if let Some((variable, text)) = found {
            *slot = from_variable(text, &slot.ty(), variable)?;
        }
    }
    Ok(Value::object(entries))
}

/// An environment variable's text as a value of the attribute's type. The text may be a secret: no message shows it.
fn from_variable(text: &str, ty: &Type, variable: &str) -> Result<Value, Diagnostic> {
    let value = match ty {
        Type::String => Some(Value::string(text)),
        Type::Bool => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => Some(Value::bool(true)),
            "" | "0" | "false" | "no" => Some(Value::bool(false)),
            _ => None,
        },
        Type::Number => text.trim().parse::<i64>().ok().map(Value::number),
        Type::List(element) | Type::Set(element) if **element == Type::String => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(Value::string)
                .collect();
            Some(if matches!(ty, Type::Set(_)) {
                Value::set(Type::String, items)
            } else {
                Value::list(Type::String, items)
            })
        }
        _ => None,
    };
    value.ok_or_else(|| {
        let detail = format!(
            "The environment variable {variable} does not hold a {}.",
            ty.friendly_name()
        );
        Diagnostic::error("Invalid environment variable", detail)
    })
}
