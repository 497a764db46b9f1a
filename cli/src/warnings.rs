//! Warnings that wait until a command shows what it has found: they stand behind the result, where the eye is.

use std::cell::RefCell;

use stead_value::{Diagnostic, Diagnostics};

use crate::commands::print;
use crate::render::Style;
use crate::render::arrange::Layout;
use crate::render::diagnostics::{self, Sources};

/// What is held is shown at the latest when this goes.
pub(crate) struct Warnings {
    held: RefCell<(Diagnostics, Sources)>,
    pub(crate) layout: Layout,
    style: Style,
}

impl Warnings {
    pub(crate) fn new(style: Style) -> Warnings {
        Warnings {
            held: RefCell::default(),
            layout: Layout::default(),
            style,
        }
    }

    pub(crate) fn hold(&self, warnings: impl Iterator<Item = Diagnostic>, sources: &Sources) {
        let mut held = self.held.borrow_mut();
        let before = held.0.len();
        held.0.extend(warnings);
        if held.0.len() > before {
            held.1 = sources.clone();
        }
    }

    pub(crate) fn take(&self) -> Diagnostics {
        std::mem::take(&mut self.held.borrow_mut().0)
    }

    pub(crate) fn show(&self) {
        let warnings = self.take();
        if warnings.is_empty() {
            return;
        }
        print(&if self.layout.compact {
            diagnostics::compact(&warnings, self.style, self.layout)
        } else {
            diagnostics::render(&warnings, &self.held.borrow().1, self.style, self.layout)
        });
    }
}

impl Drop for Warnings {
    fn drop(&mut self) {
        self.show();
    }
}
