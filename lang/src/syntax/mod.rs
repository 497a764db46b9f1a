//! Text to syntax tree.

mod ast;
mod source;

pub use ast::{
    Attribute, BinaryOp, Block, Body, Call, Conditional, Expr, ExprKind, Expression, ForExpr,
    Label, Name, ObjectItem, ObjectKey, Step, StepKind, TemplatePart, UnaryOp,
};
pub use source::{SourceFile, Span};
