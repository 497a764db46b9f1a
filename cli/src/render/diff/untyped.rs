//! Compares two pieces of data that no schema describes: values of any type, and JSON in texts.

use super::change::{Change, Paths};
use super::compare::{by_key, hidden_edits, in_order};
use super::datum::{Datum, Item};
use super::node::{Edit, Node, NodeKind, Primitive};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Null,
    Bool,
    Number,
    Text,
    List,
    Map,
}

fn shape(side: Option<&Item>) -> Shape {
    match side.map(|i| &i.datum) {
        None | Some(Datum::Null | Datum::Unknown) => Shape::Null,
        Some(Datum::Bool(_)) => Shape::Bool,
        Some(Datum::Number(_)) => Shape::Number,
        Some(Datum::Text(_)) => Shape::Text,
        Some(Datum::List(_)) => Shape::List,
        Some(Datum::Map(_)) => Shape::Map,
    }
}

pub(super) fn compare(change: &Change<'_>) -> Node {
    if change.before_sensitive || change.after_sensitive {
        return sensitive(change);
    }
    if change.is_unknown() {
        return match change.was() {
            None => node(NodeKind::Unknown(None), Edit::Add),
            Some(_) => {
                let before = Box::new(compare(&change.removed()));
                node(NodeKind::Unknown(Some(before)), Edit::Change)
            }
        };
    }
    let (before, after) = (shape(change.before), shape(change.after));
    let created = change.before.is_none();
    let deleted = change.after.is_none();
    if before == after || created || deleted {
        let shape = if before == Shape::Null { after } else { before };
        return of_shape(change, shape);
    }
    let old = Box::new(of_shape(&change.removed(), before));
    let new = Box::new(of_shape(&change.added(), after));
    node(NodeKind::TypeChange(old, new), Edit::Change)
}

fn node(kind: NodeKind, edit: Edit) -> Node {
    Node {
        kind,
        edit,
        forces: false,
    }
}

fn sensitive(change: &Change<'_>) -> Node {
    let (before, after) = (change.before_sensitive, change.after_sensitive);
    let (inner, edit) = hidden_edits(change, change.modern, compare);
    let kind = NodeKind::Sensitive {
        inner,
        before,
        after,
    };
    node(kind, edit)
}

fn of_shape(change: &Change<'_>, shape: Shape) -> Node {
    match shape {
        Shape::List => {
            let is_object = |item: &Item| matches!(item.datum, Datum::Map(_));
            let (elements, edit) =
                in_order(change, |(i, j)| compare(&change.pair(i, j)), is_object);
            let context = true;
            node(NodeKind::List { elements, context }, edit)
        }
        Shape::Map => {
            let (attributes, edit) = by_key(change, compare);
            let nested = false;
            node(NodeKind::Object { attributes, nested }, edit)
        }
        Shape::Null | Shape::Bool | Shape::Number | Shape::Text => {
            let edit = match (change.before, change.after) {
                (None, Some(_)) => Edit::Add,
                (Some(_), None) => Edit::Remove,
                (Some(old), Some(new)) if !old.same(new) => Edit::Change,
                _ => Edit::Same,
            };
            let primitive = Primitive {
                before: change.before.cloned(),
                after: change.after.cloned(),
                text: shape == Shape::Text,
            };
            node(NodeKind::Primitive(primitive), edit)
        }
    }
}

/// Two texts' JSON; one of them is missing where the text appears or goes.
pub(super) fn json(before: Option<&Item>, after: Option<&Item>) -> Node {
    let relevant = Paths::Everything;
    compare(&Change {
        relevant,
        ..Change::new(before, after)
    })
}
