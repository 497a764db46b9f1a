//! What a body in JSON may hold, as far as the language itself says so.

/// How the strings of an argument are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strings {
    /// As templates: `"${var.a}-b"`.
    Templates,
    /// As they are.
    Literals,
    /// As expressions that are not evaluated: references, types and keywords.
    Expressions,
    /// As they are, except those in these members of an object, which are expressions.
    LiteralsExcept(&'static [&'static str]),
}

/// Which members of an object are blocks, and how the strings in the other ones are read.
#[derive(Debug)]
pub struct Layout {
    pub blocks: &'static [BlockLayout],
    pub arguments: &'static [(&'static str, Strings)],
    pub other_arguments: Strings,
    /// A schema will say more about it: an argument may turn out to be a block.
    pub open: bool,
}

/// One type of nested block.
#[derive(Debug)]
pub struct BlockLayout {
    pub kind: &'static str,
    /// What each label is, as messages call it.
    pub labels: &'static [&'static str],
    pub body: &'static Layout,
}

impl Layout {
    /// Only arguments, read as templates.
    pub const ARGUMENTS: Layout = Layout {
        blocks: &[],
        arguments: &[],
        other_arguments: Strings::Templates,
        open: false,
    };

    /// Only arguments, taken as they are.
    pub const CONSTANTS: Layout = Layout {
        other_arguments: Strings::Literals,
        ..Layout::ARGUMENTS
    };

    pub(crate) fn block(&self, kind: &str) -> Option<&'static BlockLayout> {
        self.blocks.iter().find(|b| b.kind == kind)
    }

    pub(crate) fn strings(&self, argument: &str) -> Strings {
        self.arguments
            .iter()
            .find(|(name, _)| *name == argument)
            .map_or(self.other_arguments, |(_, strings)| *strings)
    }

    /// Whether every member is an argument.
    pub(crate) fn is_flat(&self) -> bool {
        self.blocks.is_empty() && !self.open
    }
}

/// The body of a nested block that a schema describes.
pub(crate) static OPEN: Layout = Layout {
    blocks: &[dynamic()],
    open: true,
    ..Layout::ARGUMENTS
};

/// Blocks of any type can be made by `dynamic` ones.
pub const fn dynamic() -> BlockLayout {
    BlockLayout {
        kind: "dynamic",
        labels: &["type"],
        body: &DYNAMIC,
    }
}

static DYNAMIC: Layout = Layout {
    blocks: &[BlockLayout {
        kind: "content",
        labels: &[],
        body: &OPEN,
    }],
    arguments: &[("iterator", Strings::Expressions)],
    ..Layout::ARGUMENTS
};
