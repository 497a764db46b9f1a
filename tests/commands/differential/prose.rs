//! Text for people, so that it is equal where it reads the same.

use std::sync::LazyLock;

use regex::Regex;

/// A line that says how one operation goes.
static PROGRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\S.*: (Creating|Creation|Destroying|Destruction|Modifying|Modifications|Reading|Read|Refreshing|Still|Importing|Import|Preparing|Opening|Closing|Provisioning|Configuration unknown)\b")
        .expect("a pattern")
});

/// Lines of progress first, in a fixed order; then the rest, each paragraph on one line.
pub(super) fn lines(text: &str) -> Vec<String> {
    let (mut progress, rest): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| PROGRESS.is_match(line));
    progress.sort_unstable();
    let mut lines: Vec<String> = progress.into_iter().map(str::to_owned).collect();
    // Without colours stead marks what is wrong in an excerpt by a line of its own.
    let marks = |line: &&str| line.ends_with('^') && !line.contains(|c| c != ' ' && c != '^');
    for line in rest.into_iter().filter(|line| !marks(line)) {
        match lines.last_mut() {
            Some(last) if flows(last) && flows(line) && !PROGRESS.is_match(last) => {
                last.push(' ');
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Whether a line may go on in the next: it is prose, and neither a value nor a rule.
fn flows(line: &str) -> bool {
    !line.is_empty()
        && !line.starts_with([' ', '+', '-', '~', '─', '#', '}', ']'])
        && !line.contains(" = ")
        && !line.ends_with(['{', '['])
}
