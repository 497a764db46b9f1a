//! Text to syntax tree.

mod ast;
mod enclosing;
mod entry;
mod json;
mod lexer;
mod parser;
mod source;
#[cfg(test)]
mod tests;
mod token;

pub use ast::{
    Attribute, BinaryOp, Block, Body, Call, Conditional, Expr, ExprKind, Expression, ForExpr,
    Label, Name, ObjectItem, ObjectKey, Step, StepKind, TemplateFor, TemplateIf, TemplatePart,
    UnaryOp,
};
pub use enclosing::enclosing_block;
pub use entry::could_continue;
pub(crate) use json::Property;
pub use json::{BlockLayout, Layout, Strings, dynamic, parse_json_file};
pub(crate) use lexer::{Comments, Start, lex};
pub use parser::{parse_expression, parse_file, parse_template};
pub use source::{SourceFile, Span};
#[cfg(test)]
pub(crate) use tests::dump_file;
pub(crate) use token::TokenKind;
