//! From places in a decoded value back to the text.

use std::sync::Arc;

use stead_value::{Path, SourceRange, Step};

use crate::expr::literal_text;
use crate::syntax::{Expr, ExprKind, Expression, ObjectKey, SourceFile, Span};

/// From a path in a decoded value to the place in the configuration that gave it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    entries: Vec<(Path, Place)>,
    header: Option<(Arc<SourceFile>, Span)>,
}

#[derive(Clone, Debug)]
enum Place {
    Argument(Expression),
    Block(Arc<SourceFile>, Span),
}

impl SourceMap {
    pub(super) fn add_argument(&mut self, path: Path, expr: &Expression) {
        self.entries.push((path, Place::Argument(expr.clone())));
    }

    pub(super) fn add_block(&mut self, path: Path, file: &Arc<SourceFile>, header: Span) {
        self.entries
            .push((path, Place::Block(Arc::clone(file), header)));
    }

    /// Adds the entries of another map, all below a path.
    pub(super) fn add_below(&mut self, path: &Path, inner: SourceMap) {
        self.entries
            .extend(inner.entries.into_iter().map(|(p, place)| {
                let steps = path.steps().iter().chain(p.steps()).cloned().collect();
                (Path(steps), place)
            }));
    }

    pub(super) fn set_header(&mut self, file: &Arc<SourceFile>, header: Span) {
        self.header = Some((Arc::clone(file), header));
    }

    /// The first line of the block that was decoded: for problems that no argument is to blame for.
    pub fn header(&self) -> Option<SourceRange> {
        self.header.as_ref().map(|(file, span)| file.range(*span))
    }

    /// The range of the path, or of the nearest part around it.
    pub fn find(&self, path: &Path) -> Option<SourceRange> {
        let (found, place) = self.nearest(path)?;
        Some(match place {
            Place::Block(file, span) => file.range(*span),
            Place::Argument(expr) => {
                let inside = path.steps().get(found.steps().len()..).unwrap_or(&[]);
                expr.file().range(descend(expr.node(), inside).span)
            }
        })
    }

    /// The expression that gave the value at the path, or what the path is in.
    pub fn expression(&self, path: &Path) -> Option<&Expression> {
        match self.nearest(path)? {
            (_, Place::Argument(expr)) => Some(expr),
            _ => None,
        }
    }

    fn nearest(&self, path: &Path) -> Option<&(Path, Place)> {
        self.entries
            .iter()
            .filter(|(p, _)| path.starts_with(p))
            .max_by_key(|(p, _)| p.steps().len())
    }
}

/// Follows a path into literal lists and objects, as far as it goes.
fn descend<'a>(expr: &'a Expr, steps: &[Step]) -> &'a Expr {
    let Some((step, rest)) = steps.split_first() else {
        return expr;
    };
    let inner = match (&expr.kind, step) {
        (ExprKind::Parens(inner), _) => return descend(inner, steps),
        (ExprKind::Tuple(items), Step::Index(key)) => key
            .as_number()
            .and_then(|n| n.to_usize())
            .and_then(|i| items.get(i)),
        (ExprKind::Object(items), step) => {
            let wanted = match step {
                Step::Attr(name) => Some(&**name),
                Step::Index(key) => key.as_str(),
            };
            items
                .iter()
                .find(|item| match &item.key {
                    ObjectKey::Name(name) => Some(&*name.text) == wanted,
                    ObjectKey::Expr(key) => {
                        wanted.is_some() && literal_text(key).as_deref() == wanted
                    }
                })
                .map(|item| &item.value)
        }
        _ => None,
    };
    inner.map_or(expr, |inner| descend(inner, rest))
}
