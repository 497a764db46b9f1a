//! Colours, or none.

use std::fmt::Display;

/// Whether text is coloured; every renderer gets one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    pub(crate) colour: bool,
}

impl Style {
    fn paint(self, code: &str, text: impl Display) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_string()
        }
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.paint("90", text)
    }

    pub(crate) fn red(self, text: impl Display) -> String {
        self.paint("31", text)
    }

    pub(crate) fn green(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.paint("33", text)
    }

    pub(crate) fn cyan(self, text: impl Display) -> String {
        self.paint("36", text)
    }

    pub(crate) fn bold_green(self, text: impl Display) -> String {
        self.paint("1;32", text)
    }

    pub(crate) fn bold_red(self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn bold_yellow(self, text: impl Display) -> String {
        self.paint("1;33", text)
    }
}
