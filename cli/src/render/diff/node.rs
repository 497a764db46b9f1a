//! What a comparison finds: a tree in which each part says what happens to it.

use std::collections::BTreeMap;

use super::datum::Item;

/// What happens to one part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Same,
    Add,
    Remove,
    Change,
}

impl Edit {
    /// That of a whole, with one more part looked at.
    #[must_use]
    pub(super) fn and(self, part: Edit) -> Edit {
        match part {
            Edit::Same => self,
            part if part == self => self,
            _ => Edit::Change,
        }
    }
}

/// One part of an object.
#[derive(Debug)]
pub(crate) struct Node {
    pub(super) kind: NodeKind,
    pub(crate) edit: Edit,
    /// A difference here replaces the object.
    pub(super) forces: bool,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Block {
        attributes: BTreeMap<String, Node>,
        blocks: BTreeMap<String, Blocks>,
    },
    Primitive(Primitive),
    List {
        elements: Vec<Node>,
        /// Show the neighbours of what changed.
        context: bool,
    },
    Set {
        elements: Vec<Node>,
        /// Its elements are objects with a schema of their own.
        nested: bool,
    },
    Map {
        elements: BTreeMap<String, Node>,
        nested: bool,
    },
    Object {
        attributes: BTreeMap<String, Node>,
        nested: bool,
    },
    /// Not shown; what happens to what is inside, and whether it was and will be sensitive.
    Sensitive {
        inner: Edit,
        before: bool,
        after: bool,
    },
    SensitiveBlock {
        inner: Edit,
        before: bool,
        after: bool,
    },
    TypeChange(Box<Node>, Box<Node>),
    /// Known after the apply, and what it was.
    Unknown(Option<Box<Node>>),
    WriteOnly {
        sensitive: bool,
    },
}

/// A string, number, bool or null on both sides.
#[derive(Debug)]
pub(super) struct Primitive {
    pub(super) before: Option<Item>,
    pub(super) after: Option<Item>,
    pub(super) text: bool,
}

/// The blocks of one type.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) kind: BlocksKind,
    pub(super) forces: bool,
    pub(super) before_sensitive: bool,
    pub(super) after_sensitive: bool,
    pub(super) unknown: bool,
}

#[derive(Debug)]
pub(super) enum BlocksKind {
    Single(Box<Node>),
    Many(Vec<Node>),
    Keyed(BTreeMap<String, Node>),
}
