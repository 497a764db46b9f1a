//! Evaluates the expressions that come line by line, for `tools/compare.py`.

#[path = "../tests/expressions/answer.rs"]
mod answer;

use std::io::{BufRead as _, Write as _};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        writeln!(out, "{}", answer::answer(&line?))?;
    }
    Ok(())
}
