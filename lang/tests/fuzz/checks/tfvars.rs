//! Files of values for variables, in both forms.

use std::path::Path;

use stead_lang::config::vars::read_tfvars;
use stead_lang::functions::builtin_provider_function;
use stead_value::convert::convert;
use stead_value::json::{from_json, to_json};
use stead_value::{Type, Value};

use super::consistency::keeps;
use super::{OneFile, check_place};

/// Values are whole, stand in the file, and survive being written as JSON and as a variables file.
pub fn tfvars(content: &[u8]) {
    for name in ["fuzz.tfvars", "fuzz.auto.tfvars.json"] {
        let (values, source, diagnostics) =
            read_tfvars(&OneFile { name, content }, Path::new(name));
        if diagnostics.has_errors() {
            continue;
        }
        for given in values.values() {
            assert!(given.value.is_wholly_known());
            if let (Some(source), Some(range)) = (&source, &given.range) {
                check_place(range, source.text());
            }
            let ty = given.value.ty();
            // Infinity has no JSON, nor a literal.
            let Ok(json) = to_json(&given.value, &ty) else {
                return;
            };
            let back = from_json(&json, &ty).expect("its own JSON");
            assert_eq!(given.value, back);
        }
        // JSON can give what no variable can be called.
        let named = values.into_iter().filter(|(name, _)| is_plain(name));
        check_written(&Value::object_from(
            named.map(|(name, given)| (name, given.value)),
        ));
    }
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Written as a variables file and read again, the values are the same.
fn check_written(values: &Value) {
    let run = |name: &str, argument: Value| {
        let function = builtin_provider_function(name).expect("a function of the provider");
        (function.run)(&[argument]).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    };
    let text = run("encode_tfvars", values.clone());
    assert_eq!(text.ty(), Type::String);
    let back = run("decode_tfvars", text);
    // Written, lists are tuples, and nulls have no type.
    let back = convert(&back, &values.ty()).expect("the type that it had");
    assert!(keeps(values, &back), "{values:?} became {back:?}");
}
