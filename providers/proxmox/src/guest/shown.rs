//! Which blocks of a guest are shown: those that people manage, and those that differ from what their absence stands for.

/// Which blocks are shown.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    /// All there are, as the guest is being imported.
    pub(crate) all: bool,
    /// Those that differ from what an absent block stands for.
    pub(crate) drift: bool,
}

impl Shown {
    pub(crate) fn block<T: PartialEq>(self, prior: Option<&T>, found: T, plain: &T) -> Option<T> {
        let shown = self.all || prior.is_some() || (self.drift && found != *plain);
        shown.then_some(found)
    }

    /// A device that is there or not.
    pub(crate) fn device<T>(self, prior: Option<&T>, found: Option<T>) -> Option<T> {
        found.filter(|_| self.all || self.drift || prior.is_some())
    }

    pub(crate) fn devices<T>(self, prior: &[T]) -> bool {
        self.all || self.drift || !prior.is_empty()
    }

    /// Whether a block within a block is shown that people manage (`managed`), or of which something was found.
    pub(crate) fn inner(self, managed: bool, found: bool) -> bool {
        managed || (found && (self.all || self.drift))
    }
}
