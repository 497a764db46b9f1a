//! File name patterns: `*` and `?` within a path segment, `**` across segments, `[a-z]`, `{a,b}`.

/// Whether a path matches; segments are parted by `/`.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    alternatives(pattern).iter().any(|p| {
        let pattern: Vec<&str> = p.split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        segments(&pattern, &path)
    })
}

/// Whether a text matches, with `*` across everything (as Argo CD's projects match).
pub(crate) fn matches_text(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    characters(&pattern, &text)
}

/// `a{b,c}` as `ab` and `ac`.
fn alternatives(pattern: &str) -> Vec<String> {
    let found = pattern.split_once('{').and_then(|(head, rest)| {
        rest.split_once('}')
            .map(|(inner, tail)| (head, inner, tail))
    });
    match found {
        Some((head, inner, tail)) => inner
            .split(',')
            .flat_map(|choice| alternatives(&format!("{head}{choice}{tail}")))
            .collect(),
        None => vec![pattern.to_owned()],
    }
}

fn segments(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => {
            (0..=path.len()).any(|skip| path.get(skip..).is_some_and(|p| segments(rest, p)))
        }
        ([first, rest @ ..], [segment, tail @ ..]) => {
            let (f, s): (Vec<char>, Vec<char>) =
                (first.chars().collect(), segment.chars().collect());
            characters(&f, &s) && segments(rest, tail)
        }
        _ => false,
    }
}

fn characters(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            characters(rest, text) || matches!(text, [_, tail @ ..] if characters(pattern, tail))
        }
        (['?', rest @ ..], [_, tail @ ..]) => characters(rest, tail),
        (['[', rest @ ..], [c, tail @ ..]) => {
            let Some(end) = rest.iter().position(|p| *p == ']') else {
                return false;
            };
            let (set, rest) = rest.split_at(end);
            in_set(set, *c) && characters(rest.get(1..).unwrap_or_default(), tail)
        }
        (['\\', p, rest @ ..], [c, tail @ ..]) | ([p, rest @ ..], [c, tail @ ..]) => {
            p == c && characters(rest, tail)
        }
        _ => false,
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let (negated, mut set) = match set {
        ['^' | '!', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    loop {
        set = match set {
            [] => return found != negated,
            [from, '-', to, rest @ ..] => {
                found |= (*from..=*to).contains(&c);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == c;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        for (pattern, path, wanted) in [
            ("apps/*", "apps/a", true),
            ("apps/*", "apps/a/b", false),
            ("apps/**/x.json", "apps/a/b/x.json", true),
            ("apps/**/x.json", "apps/x.json", true),
            ("{apps,infra}/*", "infra/a", true),
            ("a?[b-d]", "axc", true),
            ("a[!b]", "ab", false),
        ] {
            assert_eq!(matches(pattern, path), wanted, "{pattern} {path}");
        }
        assert!(matches_text(
            "https://github.com/*",
            "https://github.com/a/b"
        ));
    }
}
