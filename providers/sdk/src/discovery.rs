//! What exists at the other side, whoever made it: for taking it over.

/// An object that exists, by the list that has it. Nothing of it has been read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// By which it is imported.
    pub id: String,
    /// What tells it from all other objects of its provider, whichever type it is managed as; as
    /// [`Resource::key`](crate::Resource::key) says it of a stored object.
    pub key: String,
    /// What people call it. Others may have the same name.
    pub name: String,
    /// Why nobody would want to manage it: it came with the server, or belongs to somebody else.
    pub left_alone: Option<&'static str>,
}
