//! The little XML that Blob storage speaks.

/// Text with the characters escaped that XML reserves.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// `<name>escaped text</name>`.
pub(crate) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// An element of a document: its name, its own text, its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The text of the first child of that name.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.children
            .iter()
            .find(|c| c.name == name)
            .map(|c| c.text.trim())
    }
}

/// Most that elements may nest.
const DEEPEST: usize = 16;

/// Reads a document: elements and text, without attributes' meaning, entities beyond the five, or DTDs.
pub(crate) fn parse(text: &str) -> Option<Element> {
    let mut open: Vec<Element> = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        let (before, tag_on) = rest.split_once('<')?;
        if let Some(top) = open.last_mut() {
            top.text.push_str(&unescape(before)?);
        } else if !before.trim().is_empty() {
            return None;
        }
        let (tag, after) = tag_on.split_once('>')?;
        rest = after;
        if tag.starts_with('?') {
            continue;
        }
        if tag.starts_with('!') {
            return None;
        }
        let finished = if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop()?;
            if element.name != name.trim() {
                return None;
            }
            Some(element)
        } else {
            let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
            let element = Element {
                name: tag.split_whitespace().next()?.to_owned(),
                ..Element::default()
            };
            if empty {
                Some(element)
            } else {
                if open.len() >= DEEPEST {
                    return None;
                }
                open.push(element);
                None
            }
        };
        if let Some(element) = finished {
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return rest.trim().is_empty().then_some(element),
            }
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';')?;
        out.push_str(before);
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = format!(
            "<?xml version=\"1.0\"?><BlockList>{}<Empty/></BlockList>",
            element("Latest", "a&<b>")
        );
        let read = parse(&text).unwrap();
        assert_eq!(read.name, "BlockList");
        assert_eq!(read.child_text("Latest"), Some("a&<b>"));
        assert_eq!(read.children.len(), 2);
    }

    #[test]
    fn refuses_broken_documents() {
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "x<a/>",
            "<!DOCTYPE a><a/>",
            "<a>&x;</a>",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"<a>".repeat(100)), None);
    }
}
