//! Compares two objects by their schema.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stead_value::Type;
use stead_value::schema::{Attribute, AttributeType, Block, NestedBlock, Nesting};

use super::change::{Change, Paths};
use super::datum::Item;
use super::node::{Blocks, BlocksKind, Edit, Node, NodeKind, Primitive};
use super::{sequence, untyped};

type Attributes = BTreeMap<Arc<str>, Attribute>;

/// What happens to a value that is not shown, and to it as a whole when whether it is shown changes.
pub(super) fn hidden_edits<'a>(
    change: &Change<'a>,
    modern: bool,
    compare: impl Fn(&Change<'a>) -> Node,
) -> (Edit, Edit) {
    let seen = Change {
        before_sensitive: false,
        after_sensitive: false,
        modern,
        ..change.clone()
    };
    let inner = compare(&seen).edit;
    let nothing = change.before.is_none() && change.after.is_none();
    let differs = change.before_sensitive != change.after_sensitive;
    match inner {
        Edit::Same if differs && !nothing => (inner, Edit::Change),
        _ => (inner, inner),
    }
}

/// What an unseen value is compared as, before it is hidden.
fn sensitive<'a>(
    change: &Change<'a>,
    compare: impl Fn(&Change<'a>) -> Node,
    hide: impl Fn(Edit, bool, bool) -> NodeKind,
) -> Option<Node> {
    let (before, after) = (change.before_sensitive, change.after_sensitive);
    if !before && !after {
        return None;
    }
    let (inner, edit) = hidden_edits(change, false, compare);
    Some(change.node(hide(inner, before, after), edit))
}

fn hidden(inner: Edit, before: bool, after: bool) -> NodeKind {
    NodeKind::Sensitive {
        inner,
        before,
        after,
    }
}

/// What becomes known after the apply, with what it was.
fn unknown<'a>(
    change: &Change<'a>,
    known_inside: bool,
    compare: impl Fn(&Change<'a>) -> Node,
) -> Option<Node> {
    if !change.is_unknown() {
        return None;
    }
    let before = change.was().map(|_| {
        let before = Change {
            after_unknown_inside: !known_inside,
            ..change.removed()
        };
        Box::new(compare(&before))
    });
    Some(change.node(NodeKind::Unknown(before), change.edit()))
}

/// A block's attributes and the blocks in it.
pub(super) fn block(change: &Change<'_>, schema: &Block) -> Node {
    let hide = |inner, before, after| NodeKind::SensitiveBlock {
        inner,
        before,
        after,
    };
    if let Some(node) = sensitive(change, |c| block(c, schema), hide) {
        return node;
    }
    if let Some(node) = unknown(change, false, |c| block(c, schema)) {
        return node;
    }
    let mut change = change.clone();
    change.modern = change.modern || is_modern(schema);
    let mut edit = change.whole();
    let mut attributes = stored(&change, &schema.attributes, &mut edit);
    let mut blocks = BTreeMap::new();
    for (name, nested) in &schema.blocks {
        let child = change.attribute(name).if_relevant();
        let (kind, inner) = nested_blocks(&child, nested);
        if inner == Edit::Same && child.is_nothing() && !child.is_unknown() {
            continue;
        }
        edit = edit.and(inner);
        let found = Blocks {
            kind,
            forces: child.replace.end(),
            before_sensitive: child.before_sensitive,
            after_sensitive: child.after_sensitive,
            unknown: child.is_unknown(),
        };
        blocks.insert(name.to_string(), found);
    }
    for (name, _) in schema.attributes.iter().filter(|(_, a)| a.write_only) {
        attributes.insert(name.to_string(), write_only(&change, edit));
    }
    change.node(NodeKind::Block { attributes, blocks }, edit)
}

fn nested_blocks(change: &Change<'_>, nested: &NestedBlock) -> (BlocksKind, Edit) {
    let inner = &nested.block;
    match nested.nesting {
        Nesting::Single | Nesting::Group => {
            let node = block(change, inner);
            let edit = node.edit;
            (BlocksKind::Single(Box::new(node)), edit)
        }
        Nesting::List => {
            let (nodes, edit) = by_place(change, |c| block(c, inner));
            (BlocksKind::Many(nodes), edit)
        }
        Nesting::Set => {
            let (nodes, edit) = by_membership(change, |c| block(c, inner));
            (BlocksKind::Many(nodes), edit)
        }
        Nesting::Map => {
            let (nodes, edit) = by_key(change, |c| block(c, inner));
            (BlocksKind::Keyed(nodes), edit)
        }
    }
}

/// A write-only attribute has no value on either side: it shares its block's fate.
fn write_only(change: &Change<'_>, edit: Edit) -> Node {
    let sensitive = change.before_sensitive || change.after_sensitive;
    let edit = if edit == Edit::Change {
        Edit::Same
    } else {
        edit
    };
    change.node(NodeKind::WriteOnly { sensitive }, edit)
}

/// Whether a schema shows that its provider tells null from the empty string.
fn is_modern(schema: &Block) -> bool {
    let keyed = |b: &NestedBlock| matches!(b.nesting, Nesting::Map | Nesting::Group);
    schema.blocks.values().any(keyed)
        || schema.attributes.values().any(|a| match &a.ty {
            AttributeType::Nested { .. } => true,
            AttributeType::Simple(ty) => {
                ty.has_dynamic()
                    || match ty {
                        Type::Tuple(_) | Type::Object(_) => true,
                        Type::List(inner) | Type::Set(inner) | Type::Map(inner) => match &**inner {
                            Type::List(e) | Type::Set(e) | Type::Map(e) => !e.is_primitive(),
                            _ => false,
                        },
                        _ => false,
                    }
            }
        })
}

fn attribute(change: &Change<'_>, schema: &Attribute) -> Node {
    match &schema.ty {
        AttributeType::Simple(ty) => typed(change, ty),
        AttributeType::Nested {
            nesting,
            attributes,
        } => nested(change, *nesting, attributes),
    }
}

/// An attribute that is an object, or a collection of objects, with a schema of their own.
fn nested(change: &Change<'_>, nesting: Nesting, attributes: &Attributes) -> Node {
    let again = |c: &Change<'_>| nested(c, nesting, attributes);
    if let Some(node) = sensitive(change, again, hidden) {
        return node;
    }
    let collection = !matches!(nesting, Nesting::Single | Nesting::Group);
    if let Some(node) = unknown(change, collection, again) {
        return node;
    }
    let one = |c: &Change<'_>| nested(c, Nesting::Single, attributes);
    match nesting {
        Nesting::Single | Nesting::Group => nested_object(change, attributes),
        Nesting::List => {
            let (elements, edit) = by_place(change, one);
            let context = false;
            change.node(NodeKind::List { elements, context }, edit)
        }
        Nesting::Set => {
            let (elements, edit) = by_membership(change, one);
            let nested = true;
            change.node(NodeKind::Set { elements, nested }, edit)
        }
        Nesting::Map => {
            let (elements, edit) = by_key(change, one);
            let nested = true;
            change.node(NodeKind::Map { elements, nested }, edit)
        }
    }
}

/// The attributes that are kept somewhere, and what their edits make of the whole.
fn stored(change: &Change<'_>, schema: &Attributes, whole: &mut Edit) -> BTreeMap<String, Node> {
    let mut attributes = BTreeMap::new();
    for (name, schema) in schema.iter().filter(|(_, a)| !a.write_only) {
        let child = change.attribute(name).if_relevant();
        let node = attribute(&child, schema);
        if node.edit == Edit::Same && child.is_nothing() {
            continue;
        }
        *whole = whole.and(node.edit);
        attributes.insert(name.to_string(), node);
    }
    attributes
}

fn nested_object(change: &Change<'_>, schema: &Attributes) -> Node {
    let mut edit = change.whole();
    let mut attributes = stored(change, schema, &mut edit);
    for (name, _) in schema.iter().filter(|(_, a)| a.write_only) {
        let child = change.attribute(name).if_relevant();
        attributes.insert(name.to_string(), write_only(&child, edit));
    }
    let nested = true;
    change.node(NodeKind::Object { attributes, nested }, edit)
}

/// A value of a type.
pub(super) fn typed(change: &Change<'_>, ty: &Type) -> Node {
    let change = &change.clone().without_empty_text();
    if let Some(node) = sensitive(change, |c| typed(c, ty), hidden) {
        return node;
    }
    if let Some(node) = unknown(change, true, |c| typed(c, ty)) {
        return node;
    }
    match ty {
        Type::Dynamic => untyped::compare(change),
        Type::String | Type::Number | Type::Bool => {
            let primitive = Primitive {
                before: change.before.cloned(),
                after: change.after.cloned(),
                text: *ty == Type::String,
            };
            change.node(NodeKind::Primitive(primitive), change.edit())
        }
        Type::List(inner) => {
            let compare = |pair: (Option<usize>, Option<usize>)| {
                let pair = change.pair(pair.0, pair.1);
                let relevant = Paths::Everything;
                typed(&Change { relevant, ..pair }, inner)
            };
            let is_object = matches!(**inner, Type::Object(_));
            let (elements, edit) = in_order(change, compare, |_| is_object);
            let context = true;
            change.node(NodeKind::List { elements, context }, edit)
        }
        Type::Set(inner) => {
            let (elements, edit) = by_membership(change, |c| typed(c, inner));
            let nested = false;
            change.node(NodeKind::Set { elements, nested }, edit)
        }
        Type::Map(inner) => {
            let (elements, edit) = by_key(change, |c| typed(c, inner));
            let nested = false;
            change.node(NodeKind::Map { elements, nested }, edit)
        }
        Type::Tuple(types) => {
            let mut edit = change.whole();
            let mut elements = Vec::new();
            for (i, ty) in types.iter().enumerate() {
                let node = typed(&change.pair(Some(i), Some(i)).if_relevant(), ty);
                edit = edit.and(node.edit);
                elements.push(node);
            }
            let context = true;
            change.node(NodeKind::List { elements, context }, edit)
        }
        Type::Object(object) => {
            let mut edit = change.whole();
            let mut attributes = BTreeMap::new();
            for (name, ty) in &object.attributes {
                let child = change.attribute(name).if_relevant();
                let node = typed(&child, ty);
                if node.edit == Edit::Same && child.is_nothing() {
                    continue;
                }
                edit = edit.and(node.edit);
                attributes.insert(name.to_string(), node);
            }
            let nested = false;
            change.node(NodeKind::Object { attributes, nested }, edit)
        }
    }
}

/// Elements in order, as a longest common subsequence pairs them.
pub(super) fn in_order(
    change: &Change<'_>,
    compare: impl Fn(sequence::Pair) -> Node,
    is_object: impl Fn(&Item) -> bool,
) -> (Vec<Node>, Edit) {
    let list = |side: Option<&Item>| side.and_then(Item::list).map(<[Item]>::to_vec);
    let (before, after) = (list(change.before), list(change.after));
    let mut edit = change.whole();
    let pairs = sequence::pairs(
        &before.unwrap_or_default(),
        &after.unwrap_or_default(),
        Item::same,
        is_object,
    );
    let nodes: Vec<Node> = pairs.into_iter().map(compare).collect();
    for node in &nodes {
        edit = edit.and(node.edit);
    }
    (nodes, edit)
}

/// Elements by their place.
fn by_place(change: &Change<'_>, compare: impl Fn(&Change<'_>) -> Node) -> (Vec<Node>, Edit) {
    let length = |side: Option<&Item>| side.and_then(Item::list).map_or(0, <[Item]>::len);
    let mut edit = change.whole();
    let mut nodes = Vec::new();
    for i in 0..length(change.before).max(length(change.after)) {
        let node = compare(&change.pair(Some(i), Some(i)).if_relevant());
        edit = edit.and(node.edit);
        nodes.push(node);
    }
    (nodes, edit)
}

/// Elements of a set: those that are on both sides, and the others.
fn by_membership(change: &Change<'_>, compare: impl Fn(&Change<'_>) -> Node) -> (Vec<Node>, Edit) {
    let items = |side: Option<&Item>| side.and_then(Item::list).map_or(0, <[Item]>::len);
    let (before, after) = (items(change.before), items(change.after));
    let mut partner = vec![None; before];
    let mut taken = vec![false; after];
    for (i, partner) in partner.iter_mut().enumerate() {
        for (j, taken) in taken.iter_mut().enumerate().filter(|(_, taken)| !**taken) {
            let pair = change.pair(Some(i), Some(j));
            let same = match (pair.before, pair.after) {
                (Some(old), Some(new)) => old.same(new),
                _ => false,
            };
            if same && pair.before_sensitive == pair.after_sensitive && !pair.is_unknown() {
                *partner = Some(j);
                *taken = true;
                break;
            }
        }
    }
    let kept_or_gone = partner.into_iter().enumerate().map(|(i, j)| (Some(i), j));
    let come = taken.into_iter().enumerate().filter(|(_, taken)| !taken);
    let mut edit = change.whole();
    let mut nodes = Vec::new();
    for (i, j) in kept_or_gone.chain(come.map(|(j, _)| (None, Some(j)))) {
        let relevant = Paths::Everything;
        let pair = change.pair(i, j);
        let node = compare(&Change { relevant, ..pair });
        edit = edit.and(node.edit);
        nodes.push(node);
    }
    (nodes, edit)
}

/// Entries by their key.
pub(super) fn by_key(
    change: &Change<'_>,
    compare: impl Fn(&Change<'_>) -> Node,
) -> (BTreeMap<String, Node>, Edit) {
    let map = |side: Option<&'_ Item>| {
        side.and_then(Item::map)
            .map(|m| m.keys().cloned().collect())
    };
    let keys = |side| map(side).unwrap_or_else(BTreeSet::new);
    let mut edit = change.whole();
    let mut nodes = BTreeMap::new();
    for key in keys(change.before).into_iter().chain(keys(change.after)) {
        if nodes.contains_key(&key) {
            continue;
        }
        let node = compare(&change.entry(&key).if_relevant());
        edit = edit.and(node.edit);
        nodes.insert(key, node);
    }
    (nodes, edit)
}
