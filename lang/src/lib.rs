//! The language: text to syntax tree to configuration, and expressions to values.
//!
//! Pure and synchronous: files come through [`Files`], everything that an expression can name through [`expr::Scope`].

pub mod config;
pub mod decode;
pub mod expr;
mod files;
pub mod functions;
mod suggest;
pub mod syntax;
#[cfg(test)]
mod testing;

pub use files::Files;
pub use suggest::nearest;
