//! Schemas: what a provider, resource or data source takes and gives. The model is that of the plugin protocol, version 6.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{FunctionSignature, ObjectType, Type, Value};

/// A versioned block: the schema of one provider configuration, resource or data source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// Version of the state's form, raised when older states need an upgrade.
    pub version: u64,
    pub block: Block,
    /// Of a resource whose provider says what identifies its objects.
    pub identity: Option<Identity>,
}

/// What identifies the objects of a resource type: recorded beside their attributes, and what an `import` block may give in place of
/// an id.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Version of its form in states, counted apart from the attributes'.
    pub version: u64,
    /// By name; an import must give the `required` ones and may give the `optional` ones.
    pub attributes: BTreeMap<Arc<str>, Attribute>,
}

#[derive(Clone, Debug, Default)]
pub struct Block {
    pub attributes: BTreeMap<Arc<str>, Attribute>,
    pub blocks: BTreeMap<Arc<str>, NestedBlock>,
    pub description: String,
    pub deprecated: Option<String>,
}

/// Descriptions are not part of equality: they are for people.
impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.attributes == other.attributes && self.blocks == other.blocks
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    pub ty: AttributeType,
    pub required: bool,
    pub optional: bool,
    pub computed: bool,
    pub sensitive: bool,
    /// Holds secrets, which the published schema does not say: it is shown as it is, but never written into a configuration.
    pub secret: bool,
    pub write_only: bool,
    pub deprecated: Option<String>,
    pub description: String,
    /// Taken when the configuration leaves the attribute out; shown in the plan.
    pub default: Option<Value>,
    /// A change of this attribute replaces the object.
    pub force_new: bool,
    /// In the published schema, but not done by stead yet: refused with a clear diagnostic when configured.
    pub unsupported: bool,
    /// What a configuration may say. What is not known yet is let pass.
    pub checks: Vec<Check>,
}

/// A condition on an attribute in a configuration. Conditions on values count for every element of a collection, of a map for its
/// values.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// One of these texts.
    OneOf(Vec<&'static str>),
    /// A number within these bounds.
    Range { min: Option<f64>, max: Option<f64> },
    /// Characters of a text, or elements of a collection.
    Length { min: u64, max: Option<u64> },
    /// A text of this form.
    Pattern(Pattern),
    /// The keys of a map are of this form.
    Keys(Pattern),
    /// Not together with these attributes of the same object.
    Conflicts(Vec<&'static str>),
    /// Only together with all of these.
    Requires(Vec<&'static str>),
    /// Exactly one of these is set.
    ExactlyOneOf(Vec<&'static str>),
    /// At least one of these is set.
    AtLeastOneOf(Vec<&'static str>),
}

/// A form that texts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// A regular expression for the whole text.
    pub regex: &'static str,
    /// What people should write: completes "must be …".
    pub form: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AttributeType {
    Simple(Type),
    /// An object (or collection of objects) whose attributes have flags of their own (`nested_type` of protocol 6).
    Nested {
        nesting: Nesting,
        attributes: BTreeMap<Arc<str>, Attribute>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    Single,
    /// Like `Single`, but always present.
    Group,
    List,
    Set,
    Map,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NestedBlock {
    pub nesting: Nesting,
    pub block: Block,
    pub min_items: u64,
    /// Zero means no limit.
    pub max_items: u64,
    pub force_new: bool,
}

impl From<Block> for Schema {
    /// The first version of a schema.
    fn from(block: Block) -> Schema {
        Schema {
            version: 0,
            block,
            identity: None,
        }
    }
}

impl Identity {
    /// The object type of identities.
    pub fn value_type(&self) -> Type {
        self.import_type().without_optional()
    }

    /// The type that an import's identity is converted to.
    pub fn import_type(&self) -> Type {
        let of =
            |(name, attribute): (&Arc<str>, &Attribute)| (Arc::clone(name), attribute.value_type());
        let optional = self.attributes.iter().filter(|(_, a)| !a.required);
        Type::Object(Arc::new(ObjectType {
            attributes: self.attributes.iter().map(of).collect(),
            optional: optional.map(|(name, _)| Arc::clone(name)).collect(),
        }))
    }
}

impl Attribute {
    pub fn new(ty: Type) -> Attribute {
        Attribute {
            ty: AttributeType::Simple(ty),
            required: false,
            optional: false,
            computed: false,
            sensitive: false,
            secret: false,
            write_only: false,
            deprecated: None,
            description: String::new(),
            default: None,
            force_new: false,
            unsupported: false,
            checks: Vec::new(),
        }
    }

    /// The type that values of this attribute have.
    pub fn value_type(&self) -> Type {
        match &self.ty {
            AttributeType::Simple(t) => t.clone(),
            AttributeType::Nested {
                nesting,
                attributes,
            } => nesting.wrap(Type::object(
                attributes
                    .iter()
                    .map(|(k, a)| (Arc::clone(k), a.value_type())),
            )),
        }
    }
}

impl Nesting {
    /// The type of a value with this nesting around `object`.
    pub fn wrap(self, object: Type) -> Type {
        match self {
            Nesting::Single | Nesting::Group => object,
            Nesting::List => Type::list(object),
            Nesting::Set => Type::set(object),
            Nesting::Map => Type::map(object),
        }
    }
}

impl NestedBlock {
    pub fn value_type(&self) -> Type {
        self.nesting.wrap(self.block.value_type())
    }
}

impl Block {
    /// The object type of values of this block: attributes and nested blocks by name.
    pub fn value_type(&self) -> Type {
        Type::object(
            self.attributes
                .iter()
                .map(|(k, a)| (Arc::clone(k), a.value_type()))
                .chain(
                    self.blocks
                        .iter()
                        .map(|(k, b)| (Arc::clone(k), b.value_type())),
                ),
        )
    }
}

/// All that a provider offers.
#[derive(Clone, Debug, Default)]
pub struct ProviderSchema {
    pub provider: Schema,
    pub resources: BTreeMap<Arc<str>, Arc<Schema>>,
    pub data_sources: BTreeMap<Arc<str>, Arc<Schema>>,
    pub ephemeral_resources: BTreeMap<Arc<str>, Arc<Schema>>,
    /// What `provider::NAME::FUNCTION(…)` can call.
    pub functions: BTreeMap<Arc<str>, FunctionSignature>,
}
