//! The language: text to syntax tree to configuration, and expressions to values.
//!
//! Pure and synchronous: files come through [`Files`], everything that an expression can name through [`expr::Scope`],
//! clock and chance through [`expr::Environment`].
//!
//! - [`syntax`]: text to tree. [`syntax::parse_file`] gives a body and the diagnostics; what could be read is there.
//! - [`config`]: trees to a [`config::ConfigTree`] of modules, checked as far as no values are needed; variables' values.
//! - [`expr`]: [`expr::evaluate`] asks the scope for each reference and may be repeated: what the scope calls pending is an
//!   unknown value for now. [`expr::references`] lists references without evaluating.
//! - [`decode`]: a body and a provider's schema to a value of exactly the schema's type.
//! - [`fmt`]: files in the canonical layout.
//! - [`functions`]: what can be called.
//!
//! To add a block type or argument, start at `config/module.rs`; an operator or expression form, at `syntax/parser/expr.rs` and
//! `expr/eval.rs`.

pub mod config;
pub mod decode;
pub mod expr;
mod files;
pub mod fmt;
pub mod functions;
pub mod generate;
mod suggest;
pub mod syntax;
#[cfg(test)]
mod testing;

pub use files::Files;
pub use suggest::nearest;
