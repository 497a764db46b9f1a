//! Two sides of one part of an object, with the paths that lead into it.

use stead_value::{Path, Step};

use super::datum::{Datum, Item, NULL, UNKNOWN};
use super::node::{Edit, Node, NodeKind};

/// Paths, as far as they lead on from where one is.
#[derive(Clone, Debug)]
pub(super) enum Paths<'a> {
    Everything,
    /// With `deep`, what lies below a path's end belongs to it.
    Some {
        rest: Vec<&'a [Step]>,
        deep: bool,
    },
}

impl<'a> Paths<'a> {
    pub(super) fn of(paths: &'a [Path], deep: bool) -> Paths<'a> {
        Paths::Some {
            rest: paths.iter().map(Path::steps).collect(),
            deep,
        }
    }

    /// A path ends here.
    pub(super) fn end(&self) -> bool {
        match self {
            Paths::Everything => true,
            Paths::Some { rest, .. } => rest.iter().any(|p| p.is_empty()),
        }
    }

    /// A path leads here or on.
    pub(super) fn touch(&self) -> bool {
        match self {
            Paths::Everything => true,
            Paths::Some { rest, .. } => !rest.is_empty(),
        }
    }

    fn into(&self, matches: impl Fn(&Step) -> bool) -> Paths<'a> {
        let Paths::Some { rest, deep } = self else {
            return Paths::Everything;
        };
        let onward = rest.iter().filter_map(|path| match path.split_first() {
            None => deep.then_some(*path),
            Some((step, onward)) => matches(step).then_some(onward),
        });
        Paths::Some {
            rest: onward.collect(),
            deep: *deep,
        }
    }

    fn key(&self, name: &str) -> Paths<'a> {
        self.into(|step| match step {
            Step::Attr(attr) => &**attr == name,
            Step::Index(key) => key.as_str() == Some(name),
        })
    }

    fn index(&self, index: usize) -> Paths<'a> {
        self.into(|step| match step {
            Step::Attr(_) => false,
            Step::Index(key) => key.as_i64().and_then(|i| usize::try_from(i).ok()) == Some(index),
        })
    }
}

/// Two sides of one part of an object.
#[derive(Clone, Debug)]
pub(super) struct Change<'a> {
    /// Nothing, where there is none. An attribute that is null is not there; an element that is null is.
    pub(super) before: Option<&'a Item>,
    pub(super) after: Option<&'a Item>,
    pub(super) before_sensitive: bool,
    pub(super) after_sensitive: bool,
    /// Every attribute of the other side is unknown.
    pub(super) after_unknown_inside: bool,
    /// An element of a collection, not an attribute.
    pub(super) element: bool,
    pub(super) replace: Paths<'a>,
    pub(super) relevant: Paths<'a>,
    /// The schema distinguishes null from the empty string.
    pub(super) modern: bool,
}

impl<'a> Change<'a> {
    pub(super) fn new(before: Option<&'a Item>, after: Option<&'a Item>) -> Change<'a> {
        Change {
            before,
            after,
            before_sensitive: before.is_some_and(|i| i.sensitive),
            after_sensitive: after.is_some_and(|i| i.sensitive),
            after_unknown_inside: false,
            element: true,
            replace: Paths::Some {
                rest: Vec::new(),
                deep: false,
            },
            relevant: Paths::Everything,
            modern: false,
        }
    }

    fn inside(&self, before: Option<&'a Item>, after: Option<&'a Item>) -> Change<'a> {
        Change {
            replace: self.replace.clone(),
            relevant: self.relevant.clone(),
            ..Change::new(before, after)
        }
    }

    pub(super) fn unchanged(&self) -> Change<'a> {
        Change {
            after: self.before,
            after_sensitive: self.before_sensitive,
            modern: false,
            ..self.clone()
        }
    }

    /// The same, when a change of it could matter to the plan; otherwise as if nothing had changed.
    pub(super) fn if_relevant(self) -> Change<'a> {
        if self.relevant.touch() {
            self
        } else {
            self.unchanged()
        }
    }

    pub(super) fn removed(&self) -> Change<'a> {
        Change {
            after: None,
            after_sensitive: false,
            modern: false,
            ..self.clone()
        }
    }

    pub(super) fn added(&self) -> Change<'a> {
        Change {
            before: None,
            before_sensitive: false,
            modern: false,
            ..self.clone()
        }
    }

    pub(super) fn was(&self) -> Option<&'a Item> {
        self.before.filter(|i| i.is_there())
    }

    pub(super) fn will_be(&self) -> Option<&'a Item> {
        self.after.filter(|i| i.is_there())
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.was().is_none() && self.will_be().is_none()
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.after.is_some_and(Item::is_unknown)
    }

    /// An entry of a map or object.
    pub(super) fn entry(&self, name: &str) -> Change<'a> {
        let get = |side: Option<&'a Item>| side.and_then(Item::map).and_then(|m| m.get(name));
        let after = if self.after_unknown_inside {
            Some(&UNKNOWN)
        } else {
            get(self.after)
        };
        Change {
            replace: self.replace.key(name),
            relevant: self.relevant.key(name),
            modern: self.modern,
            ..self.inside(get(self.before), after)
        }
    }

    /// An attribute or a nested block: null is nothing.
    pub(super) fn attribute(&self, name: &str) -> Change<'a> {
        let entry = self.entry(name);
        Change {
            before: entry.before.filter(|i| !i.is_null()),
            after: entry.after.filter(|i| !i.is_null()),
            element: false,
            ..entry
        }
    }

    /// A pair of elements, by their places on both sides.
    pub(super) fn pair(&self, before: Option<usize>, after: Option<usize>) -> Change<'a> {
        let get = |side: Option<&'a Item>, i: Option<usize>| side.and_then(Item::list)?.get(i?);
        let (old, new) = (get(self.before, before), get(self.after, after));
        let place = before.filter(|_| old.is_some()).or(after).unwrap_or(0);
        Change {
            replace: self.replace.index(place),
            relevant: self.relevant.index(place),
            ..self.inside(old, new)
        }
    }

    /// An empty string of a schema that does not tell it from null.
    pub(super) fn without_empty_text(mut self) -> Change<'a> {
        if !self.modern {
            let empty = |side: &Option<&Item>| {
                side.is_some_and(|i| matches!(&i.datum, Datum::Text(t) if t.is_empty()))
            };
            let nothing = self.element.then_some(&NULL);
            if empty(&self.before) {
                self.before = nothing;
            }
            if empty(&self.after) {
                self.after = nothing;
            }
        }
        self
    }

    /// What happens to something without parts.
    pub(super) fn edit(&self) -> Edit {
        match (self.before, self.after) {
            (None, None) => Edit::Same,
            (None, Some(_)) => Edit::Add,
            (Some(_), None) => Edit::Remove,
            (Some(old), Some(new)) => {
                if old.same(new) && self.before_sensitive == self.after_sensitive {
                    Edit::Same
                } else {
                    Edit::Change
                }
            }
        }
    }

    /// What happens to something with parts, before these are looked at.
    pub(super) fn whole(&self) -> Edit {
        let after = self.will_be().is_some() || self.after_unknown_inside;
        match (self.was().is_some(), after) {
            (false, true) => Edit::Add,
            (true, false) => Edit::Remove,
            _ => Edit::Same,
        }
    }

    pub(super) fn node(&self, kind: NodeKind, edit: Edit) -> Node {
        Node {
            kind,
            edit,
            forces: self.replace.end(),
        }
    }
}
