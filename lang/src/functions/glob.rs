//! Patterns over paths, for `fileset`: `*`, `?`, `[…]`, `{a,b}` and `**`.

/// A pattern, taken apart at its slashes; alternatives in braces are spelled out.
pub(super) struct Glob {
    alternatives: Vec<Vec<String>>,
}

/// More alternatives than someone writes by hand.
const MAX_ALTERNATIVES: usize = 1024;

impl Glob {
    /// `None` when brackets or braces do not match.
    pub(super) fn parse(pattern: &str) -> Option<Glob> {
        let alternatives = spell_out(pattern)?;
        let well_formed = alternatives
            .iter()
            .all(|a| matches_segment(a, "", true).is_some());
        let split = |a: &String| a.split('/').map(str::to_owned).collect();
        well_formed.then(|| Glob {
            alternatives: alternatives.iter().map(split).collect(),
        })
    }

    /// The directory that all matches are in, and whether they may be in directories further below.
    pub(super) fn literal_directory(&self) -> (String, bool) {
        let [segments] = &self.alternatives[..] else {
            return (String::new(), true);
        };
        let literal = segments
            .iter()
            .take_while(|s| !s.contains(['*', '?', '[', '\\']))
            .count();
        let count = literal.min(segments.len().saturating_sub(1));
        let deep = segments.len() > count + 1 || segments.last().is_some_and(|s| s == "**");
        (segments.get(..count).unwrap_or_default().join("/"), deep)
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.alternatives
            .iter()
            .any(|segments| matches_path(segments, &parts))
    }
}

fn matches_path(segments: &[String], parts: &[&str]) -> bool {
    match (segments.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((segment, rest)), _) if segment == "**" => {
            // `**` stands for any number of directories; at the end for everything below.
            if rest.is_empty() {
                return !parts.is_empty();
            }
            (0..=parts.len()).any(|skip| parts.get(skip..).is_some_and(|p| matches_path(rest, p)))
        }
        (Some((segment, rest)), Some((part, more))) => {
            matches_segment(segment, part, false) == Some(true) && matches_path(rest, more)
        }
        _ => false,
    }
}

/// Whether a name matches a pattern without slashes; `None` when the pattern is malformed. With `check`, only looks at that.
fn matches_segment(pattern: &str, name: &str, check: bool) -> Option<bool> {
    let pattern: Vec<Token> = tokens(pattern)?;
    if check {
        return Some(true);
    }
    let name: Vec<char> = name.chars().collect();
    // The usual walk with one point to go back to: linear but for stars.
    let (mut p, mut n, mut back) = (0, 0, None);
    loop {
        match pattern.get(p) {
            Some(Token::Star) => {
                back = Some((p, n));
                p += 1;
                continue;
            }
            Some(token) if name.get(n).is_some_and(|c| token.takes(*c)) => {
                p += 1;
                n += 1;
                continue;
            }
            None if n == name.len() => return Some(true),
            _ => {}
        }
        let Some((star, from)) = back.filter(|(_, from)| *from < name.len()) else {
            return Some(false);
        };
        back = Some((star, from + 1));
        p = star + 1;
        n = from + 1;
    }
}

enum Token {
    Star,
    Any,
    One(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Token::Star => false,
            Token::Any => true,
            Token::One(one) => *one == c,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *negated
            }
        }
    }
}

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut chars = pattern.chars().peekable();
    let mut out = Vec::new();
    while let Some(c) = chars.next() {
        out.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::One(chars.next()?),
            '[' => {
                let negated = chars.next_if(|c| *c == '^' || *c == '!').is_some();
                let mut ranges = Vec::new();
                loop {
                    let low = match chars.next()? {
                        ']' if !ranges.is_empty() => break,
                        ']' | '-' => return None,
                        '\\' => chars.next()?,
                        c => c,
                    };
                    let high = if chars.next_if_eq(&'-').is_some() {
                        match chars.next()? {
                            ']' => return None,
                            '\\' => chars.next()?,
                            c => c,
                        }
                    } else {
                        low
                    };
                    ranges.push((low, high));
                }
                Token::Class { negated, ranges }
            }
            c => Token::One(c),
        });
    }
    Some(out)
}

/// The pattern once for each choice of alternatives in braces.
fn spell_out(pattern: &str) -> Option<Vec<String>> {
    let Some((before, inside, after)) = first_braces(pattern)? else {
        return Some(vec![pattern.to_owned()]);
    };
    let tails = spell_out(after)?;
    let mut out = Vec::new();
    for choice in inside {
        for middle in spell_out(&choice)? {
            for tail in &tails {
                out.push(format!("{before}{middle}{tail}"));
                if out.len() > MAX_ALTERNATIVES {
                    return None;
                }
            }
        }
    }
    Some(out)
}

/// What stands before the first braces, the choices inside, and what follows. `None` outside: the braces do not match.
#[allow(
    clippy::option_option,
    reason = "malformed and absent are different answers"
)]
fn first_braces(pattern: &str) -> Option<Option<(&str, Vec<String>, &str)>> {
    let mut depth = 0;
    let mut start = 0;
    let mut choice = 0;
    let mut choices = Vec::new();
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '{' => {
                if depth == 0 {
                    start = at;
                    choice = at + 1;
                }
                depth += 1;
            }
            ',' if depth == 1 => {
                choices.push(pattern.get(choice..at)?.to_owned());
                choice = at + 1;
            }
            '}' if depth == 1 => {
                choices.push(pattern.get(choice..at)?.to_owned());
                return Some(Some((
                    pattern.get(..start)?,
                    choices,
                    pattern.get(at + 1..)?,
                )));
            }
            '}' if depth > 1 => depth -= 1,
            _ => {}
        }
    }
    (depth == 0).then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, want) in [
            ("*.tf", "main.tf", true),
            ("*.tf", "a/main.tf", false),
            ("**/*.tf", "main.tf", true),
            ("**/*.tf", "a/b/main.tf", true),
            ("**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "b/a/c", false),
            ("{a,b}/?.txt", "b/x.txt", true),
            ("{a,b{1,2}}", "b2", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
        ] {
            assert_eq!(
                Glob::parse(pattern).unwrap().matches(path),
                want,
                "{pattern} {path}"
            );
        }
        for bad in ["[", "[a", "{a", "[]a", "\\"] {
            assert!(Glob::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn listing_starts_at_the_literal_directory() {
        assert_eq!(
            Glob::parse("a/b/*.tf").unwrap().literal_directory(),
            ("a/b".into(), false)
        );
        assert_eq!(
            Glob::parse("*.tf").unwrap().literal_directory(),
            (String::new(), false)
        );
        assert_eq!(
            Glob::parse("a/*/c").unwrap().literal_directory(),
            ("a".into(), true)
        );
        assert_eq!(
            Glob::parse("**").unwrap().literal_directory(),
            (String::new(), true)
        );
    }
}
