//! Made-up values: eight letters and digits for a string, zero, false, nothing in a collection.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_lang::functions::World;
use stead_value::schema::{Attribute, AttributeType, Nesting};
use stead_value::{Type, Value};

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 8;

pub(super) fn attribute(attribute: &Attribute, chance: &dyn World) -> Value {
    match &attribute.ty {
        AttributeType::Simple(ty) => of_type(ty, chance),
        AttributeType::Nested {
            nesting: Nesting::Single | Nesting::Group,
            attributes,
        } => object(attributes, |a| self::attribute(a, chance)),
        AttributeType::Nested { .. } => of_type(&attribute.value_type(), chance),
    }
}

/// A value of the type. Of a type that is not known nothing valid can be made up: null.
pub(super) fn of_type(ty: &Type, chance: &dyn World) -> Value {
    match ty {
        Type::String => Value::string(text(chance)),
        Type::Number => Value::number(0),
        Type::Bool => Value::bool(false),
        Type::List(element) => Value::list((**element).clone(), Vec::new()),
        Type::Set(element) => Value::set((**element).clone(), Vec::new()),
        Type::Map(element) => Value::map((**element).clone(), BTreeMap::new()),
        Type::Tuple(elements) => {
            Value::tuple(elements.iter().map(|ty| of_type(ty, chance)).collect())
        }
        Type::Object(ty) => object(&ty.attributes, |ty| of_type(ty, chance)),
        Type::Dynamic => Value::null(Type::Dynamic),
    }
}

fn object<T>(attributes: &BTreeMap<Arc<str>, T>, value: impl Fn(&T) -> Value) -> Value {
    let attributes = attributes.iter();
    Value::object(
        attributes
            .map(|(name, inner)| (Arc::clone(name), value(inner)))
            .collect(),
    )
}

fn text(chance: &dyn World) -> String {
    let mut bytes = [0; LENGTH];
    chance.random(&mut bytes);
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len());
    bytes
        .iter()
        .filter_map(letter)
        .map(|b| char::from(*b))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(u8);

    impl World for Always {
        fn now(&self) -> String {
            String::new()
        }

        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn every_type_has_a_value() {
        let ty = Type::object([
            ("s", Type::String),
            ("n", Type::Number),
            ("l", Type::list(Type::Bool)),
            ("t", Type::tuple([Type::Bool])),
            ("any", Type::Dynamic),
        ]);
        let value = of_type(&ty, &Always(36 + 2));
        let expected = Value::object_from([
            ("s", Value::string("cccccccc")),
            ("n", Value::number(0)),
            ("l", Value::list(Type::Bool, Vec::new())),
            ("t", Value::tuple(vec![Value::bool(false)])),
            ("any", Value::null(Type::Dynamic)),
        ]);
        assert!(value.raw_equals(&expected), "{value:?}");
    }
}
