//! Text as Terraform lays it out: quoted strings, wrapped lines.

/// How wide text for people is when no terminal says otherwise.
pub(crate) const WIDTH: usize = 78;

/// A string in double quotes, with everything that would not show escaped.
pub(crate) use stead_value::quoted as quote;

/// Breaks lines longer than `width - 1` between words. Lines that begin with a space stay as they are.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            if line.starts_with(' ') || width <= 1 {
                line.to_owned()
            } else {
                wrap_line(line, width - 1)
            }
        })
        .collect();
    lines.join("\n")
}

fn wrap_line(line: &str, width: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let text = word.trim_end_matches(' ');
        let (wide, spaces) = (text.chars().count(), word.len() - text.len());
        if column > 0 && !text.is_empty() && column + wide > width {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            column = 0;
        }
        out.push_str(word);
        column += wide + spaces;
    }
    out.truncate(
        out.trim_end_matches(' ')
            .len()
            .max(line.trim_end_matches(' ').len().min(out.len())),
    );
    out
}

/// The name itself where it can stand without quotes, or in quotes.
pub(crate) fn attribute_name(name: &str) -> String {
    if super::value::is_identifier(name) {
        name.to_owned()
    } else {
        quote(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_so_that_all_of_them_shows() {
        assert_eq!(quote("a\"b\\c\n\t${x}"), r#""a\"b\\c\n\t${x}""#);
        assert_eq!(
            quote("\u{1}\u{7f}é\u{a0}\u{200b}🦀e\u{301}"),
            "\"\\x01\\x7fé\\u00a0\\u200b🦀e\u{301}\""
        );
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("aa bb cc", 6), "aa bb\ncc");
        assert_eq!(wrap("aaaaaaaaaa b", 6), "aaaaaaaaaa\nb");
        assert_eq!(wrap("  kept as it is", 6), "  kept as it is");
        assert_eq!(wrap("a\n\nb", 6), "a\n\nb");
    }
}
