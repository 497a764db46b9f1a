//! Data sources of a [`rest!`](crate::rest::rest) table.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_sdk::value::schema::{Attribute, AttributeType, Block as BlockSchema};
use stead_sdk::value::{Diagnostic, Path, Type, Value};
use stead_sdk::{
    Block, Context, DataSource, DataSourceSchema, Error, Field, ResourceSchema, async_trait,
};

use crate::client::Client;
use crate::rest::{Hooks, object, path};

pub(crate) async fn look_up<T: Hooks + Send>(
    client: &Client,
    config: T,
    cx: &Context,
) -> Result<T, Error> {
    let what = object::doing("read", &config);
    let path = path::fill(T::SPEC.item, &config);
    let found = object::read(client, config, cx).await?;
    found.ok_or_else(|| Error::not_found(format!("{what} (GET {path})"), "there is none"))
}

/// The data source that looks up one object of a resource's type, by the fields of its path.
pub(crate) struct Lookup<T>(T);

/// An attribute as something that is found.
fn found(attribute: &Attribute) -> Attribute {
    let ty = match &attribute.ty {
        AttributeType::Nested {
            nesting,
            attributes,
        } => AttributeType::Nested {
            nesting: *nesting,
            attributes: attributes
                .iter()
                .map(|(name, attribute)| (Arc::clone(name), found(attribute)))
                .collect(),
        },
        simple @ AttributeType::Simple(_) => simple.clone(),
    };
    Attribute {
        computed: true,
        sensitive: attribute.sensitive,
        description: attribute.description.clone(),
        ..match ty {
            AttributeType::Simple(ty) => Attribute::new(ty),
            nested @ AttributeType::Nested { .. } => Attribute {
                ty: nested,
                ..Attribute::new(Type::Dynamic)
            },
        }
    }
}

impl<T: Hooks + Block> Block for Lookup<T> {
    fn block() -> BlockSchema {
        let of = T::block();
        let is_key = |name: &str| path::keys(&T::SPEC).any(|key| key == name);
        let is_shown = |name: &str| !T::SPEC.only_managed.contains(&name);
        let shown = of.attributes.iter().filter(|(name, _)| is_shown(name));
        let attributes = shown.map(|(name, attribute)| {
            let attribute = match &**name {
                key if is_key(key) => Attribute {
                    required: true,
                    computed: false,
                    checks: attribute.checks.clone(),
                    ..found(attribute)
                },
                "id" => Attribute {
                    optional: attribute.optional,
                    ..found(attribute)
                },
                _ => found(attribute),
            };
            (Arc::clone(name), attribute)
        });
        BlockSchema {
            attributes: attributes.collect(),
            description: of.description,
            ..BlockSchema::default()
        }
    }
}

impl<T: Hooks + Block> Field for Lookup<T> {
    fn ty() -> Type {
        Self::block().value_type()
    }

    /// Only the key is configured.
    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        let mut object = T::blank();
        for key in path::keys(&T::SPEC) {
            let given = value.get(key);
            let number = given.as_ref().and_then(Value::as_i64);
            let text = given.as_ref().and_then(Value::as_str).map(str::to_owned);
            let text = text.or_else(|| number.map(|n| n.to_string()));
            object.assign(key, &text.unwrap_or_default()).map_err(|e| {
                let path = path.attr(key);
                Diagnostic::error("Invalid attribute value", format!("`{path}`: {e}."))
                    .attribute(path)
            })?;
        }
        Ok(Lookup(object))
    }

    fn encode(&self) -> Value {
        let whole = self.0.encode();
        let entries: BTreeMap<_, _> = whole
            .as_entries()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !T::SPEC.only_managed.contains(&&***name))
            .map(|(name, value)| (Arc::clone(name), value.clone()))
            .collect();
        Value::object(entries)
    }
}

impl<T: Hooks + ResourceSchema> DataSourceSchema for Lookup<T> {
    const NAME: &'static str = T::NAME;
    const ALIASES: &'static [&'static str] = T::ALIASES;
    const VERSION: u64 = 0;
}

#[async_trait]
impl<T: Hooks + ResourceSchema + Send + Sync + 'static> DataSource for Lookup<T> {
    type Client = Client;

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        look_up(client, config.0, cx).await.map(Lookup)
    }
}
