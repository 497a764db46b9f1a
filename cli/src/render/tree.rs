//! Trees with lines between their branches.

/// A line with what hangs below it.
pub(crate) struct Branch {
    pub(crate) text: String,
    pub(crate) children: Vec<Branch>,
}

impl Branch {
    /// The root's line, and the branches below it.
    pub(crate) fn render(&self) -> String {
        let mut out = format!("{}\n", self.text);
        self.below("", &mut out);
        out
    }

    fn below(&self, indent: &str, out: &mut String) {
        let last = self.children.len().saturating_sub(1);
        for (i, child) in self.children.iter().enumerate() {
            let (fork, more) = if i == last {
                ("└── ", "    ")
            } else {
                ("├── ", "│\u{a0}\u{a0} ")
            };
            out.push_str(&format!("{indent}{fork}{}\n", child.text));
            child.below(&format!("{indent}{more}"), out);
        }
    }
}
