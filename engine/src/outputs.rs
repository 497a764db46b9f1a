//! Output values between state and values.

use std::sync::Arc;

use serde_json::value::RawValue;
use stead_state::OutputValue;
use stead_value::{Diagnostic, Value, json};

/// A recorded output as a value, marked sensitive if it is.
pub fn decode(output: &OutputValue) -> Result<Value, Diagnostic> {
    let broken = |e: String| Diagnostic::error("Malformed state", format!("An output value: {e}."));
    let ty =
        json::type_from_json(&output.ty).ok_or_else(|| broken("its type is not one".into()))?;
    let raw: serde_json::Value =
        serde_json::from_str(output.value.get()).map_err(|e| broken(e.to_string()))?;
    let value = json::from_json(&raw, &ty).map_err(|e| broken(e.to_string()))?;
    Ok(if output.sensitive {
        value.sensitive()
    } else {
        value
    })
}

/// What state records of an output's value.
pub fn encode(value: &Value, sensitive: bool) -> Result<OutputValue, Diagnostic> {
    let (plain, _) = value.clone().unmark_deep();
    let ty = plain.ty();
    let broken = |e: String| Diagnostic::error("Output value cannot be stored", e);
    let raw = json::to_json(&plain, &ty).map_err(|e| broken(e.to_string()))?;
    let value: Arc<RawValue> = serde_json::value::to_raw_value(&raw)
        .map_err(|e| broken(e.to_string()))?
        .into();
    Ok(OutputValue {
        value,
        ty: json::type_to_json(&ty),
        sensitive,
    })
}
