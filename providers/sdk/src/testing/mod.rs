//! Driving a provider in tests as the engine does: configuration in, plan, apply, refresh, with the engine's own checks.

mod patterns;
mod table;

pub use patterns::malformed_patterns;
pub use table::{identity_table, provider_table, schema_table, section_of};

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use stead_value::convert::convert;
use stead_value::schema::{Block, ProviderSchema, Schema};
use stead_value::{Diagnostic, Diagnostics, Path, Type, Value, json};

use crate::native::complete_blocks;
use crate::{
    ApplyRequest, Context, Discovered, ImportBy, PlanRequest, PlanResponse, Provider,
    ProviderFactory, Remains, proposed_new,
};

/// An object as the state would hold it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub value: Value,
    pub private: Vec<u8>,
    pub identity: Option<Value>,
}

impl Stored {
    /// A top-level attribute; null when there is none.
    pub fn attribute(&self, name: &str) -> Value {
        self.value
            .get(name)
            .unwrap_or_else(|| Value::null(Type::Dynamic))
    }

    /// A top-level attribute that is a string.
    pub fn text(&self, name: &str) -> String {
        self.attribute(name).as_str().unwrap_or_default().to_owned()
    }
}

/// A failed apply, and what would be kept of the object.
#[derive(Debug)]
pub struct ApplyFailure {
    pub diagnostics: Diagnostics,
    pub kept: Option<Stored>,
}

impl From<Diagnostics> for ApplyFailure {
    fn from(diagnostics: Diagnostics) -> Self {
        ApplyFailure {
            diagnostics,
            kept: None,
        }
    }
}

/// A provider under test.
pub struct Harness {
    provider: Arc<dyn Provider>,
    schema: ProviderSchema,
    pub cx: Context,
}

impl Harness {
    /// A provider that is not configured: good for validation and late planning.
    pub fn unconfigured(factory: &dyn ProviderFactory) -> Harness {
        Harness {
            provider: factory.instantiate(),
            schema: factory.schema().clone(),
            cx: Context::detached(),
        }
    }

    /// A configured provider. Attributes that `config` leaves out are null.
    pub async fn configured(
        factory: &dyn ProviderFactory,
        config: Json,
    ) -> Result<Harness, Diagnostics> {
        let harness = Harness::unconfigured(factory);
        let config = object(&harness.schema.provider, config)?;
        harness.provider.validate_provider(&config).into_result()?;
        harness.provider.configure(config, &harness.cx).await?;
        Ok(harness)
    }

    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    fn resource(&self, type_name: &str) -> Result<&Schema, Diagnostic> {
        let missing =
            || Diagnostic::error("Unknown resource type", format!("No resource {type_name}."));
        self.schema
            .resources
            .get(type_name)
            .map(|schema| &**schema)
            .ok_or_else(missing)
    }

    /// A resource configuration from JSON.
    pub fn config(&self, type_name: &str, config: Json) -> Result<Value, Diagnostics> {
        Ok(object(self.resource(type_name)?, config)?)
    }

    /// Validates and plans.
    pub async fn plan(
        &self,
        type_name: &str,
        prior: Option<&Stored>,
        config: &Value,
    ) -> Result<PlanResponse, Diagnostics> {
        let schema = self.resource(type_name)?;
        self.provider
            .validate_resource(type_name, config)
            .into_result()?;
        let before = prior.map_or_else(
            || Value::null(schema.block.value_type()),
            |p| p.value.clone(),
        );
        let request = PlanRequest {
            proposed: proposed_new(schema, &before, config),
            prior: before,
            config: config.clone(),
            prior_private: prior.map(|p| p.private.clone()).unwrap_or_default(),
        };
        let response = self.provider.plan(type_name, request, &self.cx).await?;
        let (wanted, planned) = (schema.block.value_type(), response.planned.ty());
        if !planned.conforms_to(&wanted) {
            return Err(
                Diagnostic::error("Invalid plan", format!("{planned} is not {wanted}.")).into(),
            );
        }
        Ok(response)
    }

    /// Plans and applies; `prior` `None` creates. A plan that requires a replacement is refused.
    pub async fn apply(
        &self,
        type_name: &str,
        prior: Option<&Stored>,
        config: Json,
    ) -> Result<Stored, ApplyFailure> {
        let config = self.config(type_name, config)?;
        let plan = self.plan(type_name, prior, &config).await?;
        if !plan.requires_replace.is_empty() {
            let paths: Vec<_> = plan
                .requires_replace
                .iter()
                .map(ToString::to_string)
                .collect();
            let diagnostic = Diagnostic::error("A replacement is required", paths.join(", "));
            return Err(Diagnostics::from(diagnostic).into());
        }
        self.apply_planned(type_name, prior, plan, config).await
    }

    /// Applies a plan.
    pub async fn apply_planned(
        &self,
        type_name: &str,
        prior: Option<&Stored>,
        plan: PlanResponse,
        config: Value,
    ) -> Result<Stored, ApplyFailure> {
        let ty = plan.planned.ty();
        let request = ApplyRequest {
            prior: prior.map_or_else(|| Value::null(ty), |p| p.value.clone()),
            planned: plan.planned.clone(),
            config,
            private: plan.private,
        };
        let response = self.provider.apply(type_name, request, &self.cx).await;
        let kept = Stored {
            value: response.value,
            private: response.private,
            identity: response.identity,
        };
        let mut diagnostics = response.diagnostics;
        if !diagnostics.has_errors() {
            let identity = self.check_identity(type_name, prior, kept.identity.as_ref());
            diagnostics.extend(identity.err());
            inconsistencies(&plan.planned, &kept.value, &Path::root(), &mut diagnostics);
        }
        if diagnostics.has_errors() {
            let kept = (!kept.value.is_null()).then_some(kept);
            return Err(ApplyFailure { diagnostics, kept });
        }
        Ok(kept)
    }

    /// The object as it is now; `None` when it is gone.
    pub async fn read(
        &self,
        type_name: &str,
        prior: &Stored,
    ) -> Result<Option<Stored>, Diagnostics> {
        let read = self
            .provider
            .read(
                type_name,
                prior.value.clone(),
                prior.private.clone(),
                &self.cx,
            )
            .await?;
        let found = read.map(|r| Stored {
            value: r.value,
            private: r.private,
            identity: r.identity,
        });
        if let Some(found) = &found {
            self.check_identity(type_name, Some(prior), found.identity.as_ref())?;
        }
        Ok(found)
    }

    /// What is wrong with an object's identity: every object of a type that has identities has one, and keeps it.
    fn check_identity(
        &self,
        type_name: &str,
        prior: Option<&Stored>,
        found: Option<&Value>,
    ) -> Result<(), Diagnostic> {
        let wrong = |detail| Err(Diagnostic::error("Invalid resource identity", detail));
        let schema = self.resource(type_name)?.identity.as_ref();
        match (schema, found) {
            (None, None) => return Ok(()),
            (Some(schema), Some(found)) if found.ty() == schema.value_type() => {}
            _ => return wrong(format!("{found:?} is no identity of a {type_name}.")),
        }
        match prior.and_then(|p| p.identity.as_ref()) {
            Some(prior) if found.is_some_and(|f| !f.raw_equals(prior)) => {
                wrong(format!("{prior:?} became {found:?}."))
            }
            _ => Ok(()),
        }
    }

    /// What a delete that was cut off has left of the object.
    pub async fn remains(
        &self,
        type_name: &str,
        prior: &Stored,
    ) -> Result<Remains<Stored>, Diagnostics> {
        let (value, private) = (prior.value.clone(), prior.private.clone());
        let remains = self.provider.remains(type_name, value, private, &self.cx);
        Ok(remains.await?.map(|r| Stored {
            value: r.value,
            private: r.private,
            identity: r.identity,
        }))
    }

    pub async fn delete(&self, type_name: &str, prior: &Stored) -> Result<(), Diagnostics> {
        self.delete_warned(type_name, prior).await.map(|_| ())
    }

    /// Destroys an object, and gives what was warned about.
    pub async fn delete_warned(
        &self,
        type_name: &str,
        prior: &Stored,
    ) -> Result<Diagnostics, Diagnostics> {
        let ty = self.resource(type_name)?.block.value_type();
        let request = ApplyRequest {
            prior: prior.value.clone(),
            planned: Value::null(ty.clone()),
            config: Value::null(ty),
            private: prior.private.clone(),
        };
        self.provider
            .apply(type_name, request, &self.cx)
            .await
            .diagnostics
            .into_result()
    }

    pub async fn import(&self, type_name: &str, id: &str) -> Result<Stored, Diagnostics> {
        self.import_by(type_name, ImportBy::Id(id.to_owned())).await
    }

    /// What exists of a type.
    pub async fn discover(&self, type_name: &str) -> Result<Vec<Discovered>, Diagnostics> {
        let (discovered, _) = self.provider.discover(type_name, &self.cx).await?;
        Ok(discovered)
    }

    /// What tells an object from all others.
    pub fn key(&self, type_name: &str, object: &Stored) -> Option<String> {
        self.provider.key(type_name, &object.value)
    }

    /// Imports by an identity in JSON: what is left out is null.
    pub async fn import_by_identity(
        &self,
        type_name: &str,
        identity: Json,
    ) -> Result<Stored, Diagnostics> {
        let schema = self.resource(type_name)?.identity.as_ref();
        let ty = schema.map_or(Type::Dynamic, |schema| schema.import_type());
        let given = json::from_json_implied(&identity).map_err(invalid)?;
        let identity = convert(&given, &ty)
            .map_err(|e| Diagnostic::error("Invalid identity", e.to_string()))?;
        self.import_by(type_name, ImportBy::Identity(identity))
            .await
    }

    async fn import_by(&self, type_name: &str, by: ImportBy) -> Result<Stored, Diagnostics> {
        let imported = self.provider.import(type_name, &by, &self.cx).await?;
        Ok(Stored {
            value: imported.value,
            private: imported.private,
            identity: imported.identity,
        })
    }

    /// Validates and reads a data source.
    pub async fn data(&self, type_name: &str, config: Json) -> Result<Value, Diagnostics> {
        let missing = || {
            Diagnostic::error(
                "Unknown data source type",
                format!("No data source {type_name}."),
            )
        };
        let schema = self
            .schema
            .data_sources
            .get(type_name)
            .ok_or_else(missing)?;
        let config = object(schema, config)?;
        self.provider
            .validate_data(type_name, &config)
            .into_result()?;
        Ok(self
            .provider
            .read_data(type_name, config, &self.cx)
            .await?
            .0)
    }

    /// Turns the attributes of a state file into an object.
    pub fn stored(
        &self,
        type_name: &str,
        version: u64,
        attributes: &Json,
    ) -> Result<Stored, Diagnostics> {
        let value = self.provider.upgrade(type_name, version, attributes)?;
        Ok(Stored {
            value,
            private: Vec::new(),
            identity: None,
        })
    }
}

/// A value of the schema from JSON: what is left out is null, absent blocks are empty. A name that the schema does not have
/// is an error.
pub fn object(schema: &Schema, members: Json) -> Result<Value, Diagnostic> {
    object_of(&schema.block, members)
}

fn object_of(block: &Block, members: Json) -> Result<Value, Diagnostic> {
    let ty = block.value_type();
    let value = json::from_json(&typed(members, &ty)?, &ty).map_err(invalid)?;
    Ok(complete_blocks(block, &value))
}

fn invalid(error: json::JsonError) -> Diagnostic {
    Diagnostic::error("Invalid value", format!("`{}`: {error}.", error.path))
}

/// Adds the types that values of any type carry in JSON.
fn typed(value: Json, ty: &Type) -> Result<Json, Diagnostic> {
    Ok(match (value, ty) {
        (Json::Null, _) => Json::Null,
        (value, Type::Dynamic) => {
            let of = json::from_json_implied(&value).map_err(invalid)?.ty();
            let pair = [
                ("type".to_owned(), json::type_to_json(&of)),
                ("value".to_owned(), value),
            ];
            Json::Object(Map::from_iter(pair))
        }
        (Json::Object(entries), Type::Object(o)) => {
            let typed = entries
                .into_iter()
                .map(|(k, v)| match o.attributes.get(k.as_str()) {
                    Some(ty) => Ok((k, typed(v, ty)?)),
                    None => Ok((k, v)),
                });
            Json::Object(typed.collect::<Result<_, Diagnostic>>()?)
        }
        (Json::Object(entries), Type::Map(t)) => {
            let typed = entries.into_iter().map(|(k, v)| Ok((k, typed(v, t)?)));
            Json::Object(typed.collect::<Result<_, Diagnostic>>()?)
        }
        (Json::Array(items), Type::List(t) | Type::Set(t)) => Json::Array(
            items
                .into_iter()
                .map(|v| typed(v, t))
                .collect::<Result<_, _>>()?,
        ),
        (value, _) => value,
    })
}

/// What apply may not do: leave a value unknown, or give another one than was planned.
fn inconsistencies(planned: &Value, result: &Value, path: &Path, found: &mut Diagnostics) {
    if !result.is_known() {
        let detail = format!("`{path}` is still unknown after apply.");
        found.push(
            Diagnostic::error("Provider returned an unknown value", detail).attribute(path.clone()),
        );
        return;
    }
    if !planned.is_known() || planned == result {
        return;
    }
    match (planned.as_entries(), result.as_entries()) {
        (Some(planned), Some(result)) if planned.keys().eq(result.keys()) => {
            for ((name, planned), result) in planned.iter().zip(result.values()) {
                inconsistencies(planned, result, &path.attr(Arc::clone(name)), found);
            }
            return;
        }
        _ => {}
    }
    match (planned.as_sequence(), result.as_sequence()) {
        (Some(planned), Some(result)) if planned.len() == result.len() => {
            for (i, (planned, result)) in planned.iter().zip(result).enumerate() {
                inconsistencies(planned, result, &path.index_number(i), found);
            }
        }
        _ => {
            let detail = format!("`{path}` was planned otherwise than it was applied.");
            found.push(
                Diagnostic::error("Provider produced an inconsistent result", detail)
                    .attribute(path.clone()),
            );
        }
    }
}
