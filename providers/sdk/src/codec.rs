//! What derived code calls. Authors need only [`attribute`].

use std::collections::BTreeMap;
use std::sync::Arc;

#[doc(hidden)]
pub use serde_json::Value as Json;
use stead_value::schema::{
    Attribute, AttributeType, Block as BlockSchema, Identity as IdentitySchema, NestedBlock,
    Nesting,
};
use stead_value::{Diagnostic, Path, Type, Value};

use crate::field::{Field, mismatch};
use crate::{Block, Identity};

/// Decodes one attribute of an object value, such as a write-only one of `config`.
pub fn attribute<T: Field>(object: &Value, name: &str) -> Result<T, Diagnostic> {
    Object::new(object, &Path::root())?.field(name)
}

/// An object value that is being decoded.
#[doc(hidden)]
pub struct Object<'a> {
    entries: &'a BTreeMap<Arc<str>, Value>,
    path: &'a Path,
}

impl<'a> Object<'a> {
    pub fn new(value: &'a Value, path: &'a Path) -> Result<Object<'a>, Diagnostic> {
        let entries = value
            .as_entries()
            .ok_or_else(|| mismatch("an object", value, path))?;
        Ok(Object { entries, path })
    }

    /// A present, not null entry.
    fn present(&self, name: &str) -> Option<&'a Value> {
        self.entries.get(name).filter(|v| !v.is_null())
    }

    pub fn field<T: Field>(&self, name: &str) -> Result<T, Diagnostic> {
        let path = self.path.attr(name);
        match self.entries.get(name) {
            Some(value) => T::decode(value, &path),
            None => T::decode(&Value::null(T::ty()), &path),
        }
    }

    pub fn or_default<T: Field + Default>(&self, name: &str) -> Result<T, Diagnostic> {
        match self.present(name) {
            Some(value) => T::decode(value, &self.path.attr(name)),
            None => Ok(T::default()),
        }
    }

    pub fn or_value<T: Field>(
        &self,
        name: &str,
        default: impl FnOnce() -> Value,
    ) -> Result<T, Diagnostic> {
        let path = self.path.attr(name);
        match self.present(name) {
            Some(value) => T::decode(value, &path),
            None => T::decode(&default(), &path),
        }
    }

    /// The only block of a list of at most one.
    pub fn first<T: Field>(&self, name: &str) -> Result<Option<T>, Diagnostic> {
        let path = self.path.attr(name);
        let Some(value) = self.present(name) else {
            return Ok(None);
        };
        match value.as_sequence() {
            Some([]) => Ok(None),
            Some([only]) => T::decode(only, &path.index_number(0)).map(Some),
            Some(_) => Err(Diagnostic::error(
                "Too many blocks",
                format!("At most one `{path}` block is allowed."),
            )
            .attribute(path)),
            None => Err(mismatch("a list", value, &path)),
        }
    }

    pub fn only<T: Field>(&self, name: &str) -> Result<T, Diagnostic> {
        let path = self.path.attr(name);
        self.first(name)?.ok_or_else(|| {
            Diagnostic::error("Missing block", format!("A `{path}` block is required."))
                .attribute(path.clone())
        })
    }
}

/// The attributes of a flattened struct.
#[doc(hidden)]
pub fn entries<T: Field>(part: &T) -> BTreeMap<Arc<str>, Value> {
    part.encode().as_entries().cloned().unwrap_or_default()
}

/// Makes the fields of a struct the block's own.
#[doc(hidden)]
pub fn flatten<T: Block>(block: &mut BlockSchema) {
    let part = T::block();
    block.attributes.extend(part.attributes);
    block.blocks.extend(part.blocks);
}

#[doc(hidden)]
pub fn list<'a, T: Field + 'a>(items: impl Iterator<Item = &'a T>) -> Value {
    Value::list(T::ty(), items.map(T::encode).collect())
}

#[doc(hidden)]
pub fn set<'a, T: Field + 'a>(items: impl Iterator<Item = &'a T>) -> Value {
    Value::set(T::ty(), items.map(T::encode).collect())
}

#[doc(hidden)]
pub fn set_or_null<'a, T: Field + 'a>(items: Option<impl Iterator<Item = &'a T>>) -> Value {
    items.map_or_else(|| Value::null(Type::set(T::ty())), set)
}

#[doc(hidden)]
pub fn nested_type<T: Block>(nesting: Nesting) -> AttributeType {
    AttributeType::Nested {
        nesting,
        attributes: T::block().attributes,
    }
}

#[doc(hidden)]
pub fn nested_block<T: Block>(
    nesting: Nesting,
    min_items: u64,
    max_items: u64,
    force_new: bool,
    unsupported: bool,
    description: &str,
    deprecated: Option<String>,
) -> NestedBlock {
    let mut block = T::block();
    if !description.is_empty() {
        block.description = description.to_owned();
    }
    if deprecated.is_some() {
        block.deprecated = deprecated;
    }
    if unsupported {
        mark_unsupported(&mut block);
    }
    NestedBlock {
        nesting,
        block,
        min_items,
        max_items,
        force_new,
    }
}

#[doc(hidden)]
pub fn identity_schema<R, I: Identity<R>>() -> IdentitySchema {
    IdentitySchema {
        version: I::VERSION,
        attributes: I::block().attributes,
    }
}

/// The schema has the flag on attributes only: a block is unsupported when all that it holds is.
fn mark_unsupported(block: &mut BlockSchema) {
    let mark = |attribute: &mut Attribute| attribute.unsupported = true;
    block.attributes.values_mut().for_each(mark);
    block
        .blocks
        .values_mut()
        .for_each(|nested| mark_unsupported(&mut nested.block));
}
