//! Backups: archives in a storage, made by vzdump and restored when a guest is made.

mod archive;
mod defaults;
mod restore;
mod vzdump;

pub(crate) use self::archive::Archive;
pub(crate) use self::restore::{check, restore};
use crate::routes::Routes;

pub(crate) fn routes(at: &mut Routes<'_>) {
    at.post("/nodes/{node}/vzdump", vzdump::start);
    at.get("/nodes/{node}/vzdump/defaults", defaults::read);
    at.get("/nodes/{node}/vzdump/extractconfig", archive::extract);
}
