//! What differs between two objects, in the layout of Terraform's plans: first a tree of what happens to each part
//! ([`node`]), then its text ([`draw`]).

mod change;
mod compare;
mod datum;
mod draw;
mod node;
mod sequence;
mod untyped;

use stead_value::schema::Block;
use stead_value::{Path, Type, Value};

use change::{Change, Paths};
use datum::Item;
pub(crate) use draw::Drawing;
pub(crate) use node::{Edit, Node};

/// Compares two objects of a schema. `replace` are the paths that force a replacement; with `relevant`, only what these paths
/// lead to is looked at.
pub(crate) fn objects(
    schema: &Block,
    before: &Value,
    after: &Value,
    replace: &[Path],
    relevant: Option<&[Path]>,
) -> Node {
    let (before, after) = (Item::of(before), Item::of(after));
    let change = Change {
        element: false,
        replace: Paths::of(replace, false),
        relevant: relevant.map_or(Paths::Everything, |paths| Paths::of(paths, true)),
        ..Change::new(side(&before), side(&after))
    };
    compare::block(&change, schema)
}

/// Compares two values that no schema describes.
pub(crate) fn values(before: &Value, after: &Value) -> Node {
    let (before, after) = (Item::of(before), Item::of(after));
    let change = Change::new(side(&before), side(&after));
    untyped::compare(&change)
}

/// A value of a type, that does not change.
pub(crate) fn value(value: &Value, ty: &Type) -> Node {
    let item = Item::of(value);
    compare::typed(&Change::new(Some(&item), Some(&item)), ty)
}

fn side(item: &Item) -> Option<&Item> {
    (!item.is_null()).then_some(item)
}
