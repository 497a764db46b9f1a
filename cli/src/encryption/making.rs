//! Methods and key providers, of what their blocks say.

use std::sync::Arc;

use stead_keys::Missing;
use stead_lang::config::{
    EncryptionScope, EncryptionTarget, KeyProviderConfig, Keys, MethodConfig,
};
use stead_lang::syntax::{Attribute, Body, Expression};
use stead_sdk::Dialer;
use stead_state::encryption::{Encryption, KeyProvider, KeySource, Method};
use stead_value::convert::convert;
use stead_value::schema::{self, Block};
use stead_value::{Diagnostic, Diagnostics, Type, Value};

/// What seals and opens one kind of content. What is wrong is reported, and then nothing is sealed by it.
pub(super) fn encryption(
    scope: &EncryptionScope<'_>,
    name: &str,
    target: &EncryptionTarget,
    diagnostics: &mut Diagnostics,
) -> Arc<Encryption> {
    let (configs, problems) = scope.methods(target);
    diagnostics.extend(problems);
    let mut methods = Vec::new();
    for config in configs {
        match method(scope, config) {
            Ok(method) => methods.push(method),
            Err(problems) => diagnostics.extend(problems),
        }
    }
    Arc::new(Encryption::new(name, methods))
}

fn method(scope: &EncryptionScope<'_>, config: &MethodConfig) -> Result<Method, Diagnostics> {
    match &*config.name.kind {
        "aes_gcm" => aes_gcm(scope, config),
        "unencrypted" => Ok(Method::Unencrypted),
        "external" => Err(Diagnostic::error(
            "Encryption method not supported yet",
            "The encryption method \"external\" is OpenTofu's, and stead does not have it yet. Use \"aes_gcm\"; a command may give its keys (key_provider \"external\").",
        )
        .at(config.range.clone())
        .into()),
        other => Err(Diagnostic::error(
            format!("Error fetching encryption method {other:?}"),
            format!("encryption method with ID {other} not found"),
        )
        .at(config.range.clone())
        .into()),
    }
}

/// What may stand beside `keys`.
fn aes_gcm_schema() -> Block {
    let mut schema = Block::default();
    let aad = schema::Attribute {
        optional: true,
        ..schema::Attribute::new(Type::list(Type::Number))
    };
    schema.attributes.insert("aad".into(), aad);
    schema
}

fn aes_gcm(scope: &EncryptionScope<'_>, config: &MethodConfig) -> Result<Method, Diagnostics> {
    let (keys, rest) = without(&config.body, "keys");
    let decoded = scope.decode(&rest, &aes_gcm_schema());
    let mut diagnostics = decoded.diagnostics;
    let keys = match keys {
        Some(argument) => source(scope, &argument.expr, &mut Vec::new()),
        None => Err(Diagnostic::error(
            "Missing required argument",
            "The argument \"keys\" is required, but no definition was found.",
        )
        .at(config.body.missing_item_range())
        .into()),
    };
    let aad = bytes(&decoded.value.get("aad").unwrap_or_else(Value::dynamic));
    if aad.is_none() && !diagnostics.has_errors() {
        diagnostics.push(
            Diagnostic::error(
                "Invalid method configuration",
                "The argument \"aad\" must be a list of bytes, which are numbers from 0 to 255.",
            )
            .at(config.range.clone()),
        );
    }
    match (keys, aad) {
        (Ok(keys), Some(aad)) if !diagnostics.has_errors() => Ok(Method::AesGcm { keys, aad }),
        (Ok(_), _) => Err(diagnostics),
        (Err(problems), _) => {
            diagnostics.extend(problems);
            Err(diagnostics)
        }
    }
}

/// The bytes that a list of numbers is, none for null.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    let items = convert(value, &Type::list(Type::Number)).ok()?;
    let byte = |item: &Value| u8::try_from(item.as_i64()?).ok();
    items.as_sequence()?.iter().map(byte).collect()
}

/// A body without one of its arguments, which has a meaning of its own.
fn without(body: &Body, argument: &str) -> (Option<Attribute>, Body) {
    let mut body = body.clone();
    let taken = body.attributes.shift_remove(argument);
    (taken, body)
}

/// Where keys come from. `around` are the key providers that ask, by their `chain`.
fn source<'a>(
    scope: &EncryptionScope<'a>,
    expr: &Expression,
    around: &mut Vec<&'a KeyProviderConfig>,
) -> Result<Arc<KeySource>, Diagnostics> {
    let config = match scope.keys(expr)? {
        Keys::Provider(config) => config,
        Keys::Value(keys) => {
            let literal = stead_keys::literal(&keys).map_err(|reason| {
                Diagnostic::error("Invalid key_provider value", format!("{reason}."))
                    .at(expr.range())
            })?;
            return Ok(Arc::new(literal));
        }
    };
    if around.iter().any(|c| c.name == config.name) {
        let mut stack: Vec<String> = around.iter().map(|c| address(c)).collect();
        stack.push(address(config));
        return Err(Diagnostic::error(
            "Circular reference detected",
            format!(
                "Cannot load {} due to circular reference between key providers. Stack trace {}",
                address(config),
                stack.join(" -> ")
            ),
        )
        .at(expr.range())
        .into());
    }
    around.push(config);
    let made = key_provider(scope, config, around);
    around.pop();
    Ok(Arc::new(KeySource::Provider(made?)))
}

fn address(config: &KeyProviderConfig) -> String {
    format!("key_provider.{}", config.name)
}

fn key_provider<'a>(
    scope: &EncryptionScope<'a>,
    config: &KeyProviderConfig,
    around: &mut Vec<&'a KeyProviderConfig>,
) -> Result<KeyProvider, Diagnostics> {
    let name = &*config.name.kind;
    // The whole header is shown, never an argument, which may be the secret.
    let wrong = |summary: &str, detail: String| -> Diagnostics {
        Diagnostic::error(summary, detail)
            .at(config.range.clone())
            .into()
    };
    let kind = stead_keys::kind(name).map_err(|missing| match missing {
        Missing::Unknown => wrong(
            &format!("Error fetching key_provider {name:?}"),
            format!("key provider with ID {name} not found"),
        ),
        Missing::NotYet => wrong(
            "Key provider not supported yet",
            format!("The key provider {name:?} is OpenTofu's, and stead does not have it yet. Use \"pbkdf2\", or a command that gets the key from the service (key_provider \"external\")."),
        ),
    })?;
    let (chain, body) = match kind.chains {
        true => without(&config.body, "chain"),
        false => (None, (*config.body).clone()),
    };
    let decoded = scope.decode(&body, &(kind.schema)());
    let chain = chain.map(|argument| source(scope, &argument.expr, around));
    let mut diagnostics = decoded.diagnostics;
    let chain = match chain.transpose() {
        Ok(chain) => chain,
        Err(problems) => {
            diagnostics.extend(problems);
            return Err(diagnostics);
        }
    };
    diagnostics.into_result()?;
    let metadata_key = match &config.alias {
        Some(alias) => alias.to_string(),
        None => address(config),
    };
    let dialer = Dialer::from_env().map_err(Diagnostic::from)?;
    let kind = (kind.make)(&decoded.value, chain, &dialer).map_err(|reason| {
        wrong(
            "Unable to build encryption key data",
            format!("{metadata_key} failed with error: {reason}"),
        )
    })?;
    Ok(KeyProvider { metadata_key, kind })
}
