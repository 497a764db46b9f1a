//! YAML, read and written exactly as the reference does (its rules are those of libyaml, with YAML 1.1's booleans).

mod decode;
mod encode;

use stead_value::{Type, Value};

use super::{Call, FunctionError, Outcome};

pub(super) fn yamlencode(call: &Call<'_>) -> Outcome {
    let value = call.arg(0);
    if !value.is_wholly_known() {
        return Ok(Value::unknown(Type::String));
    }
    Ok(Value::string(encode::encode(value)))
}

pub(super) fn yamldecode(call: &Call<'_>) -> Outcome {
    decode::decode(call.text(0)).map_err(FunctionError::new)
}
