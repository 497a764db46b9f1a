//! Reads YAML documents into [`Node`] trees.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Node, Value};

/// More nodes than any machine configuration has; aliases cannot multiply beyond it.
const NODE_LIMIT: usize = 500_000;
/// Deeper than any machine configuration is.
const DEPTH_LIMIT: usize = 200;

/// Where and why a text is not YAML.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// Every document of a text; an empty document is a null scalar.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Error> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        count: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            None | Some((Event::StreamEnd, _)) => return Ok(documents),
            Some((Event::DocumentStart(..), _)) => {
                reader.anchors.clear();
                let Some((event, span)) = reader.next()? else {
                    return Ok(documents);
                };
                documents.push(reader.node(event, span, 0)?);
            }
            Some(_) => {}
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    count: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Error> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(found)) => return Ok(Some(found)),
                Some(Err(error)) => {
                    return Err(Error {
                        line: error.marker().line(),
                        column: error.marker().col() + 1,
                        message: error.info().to_string(),
                    });
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Error> {
        let line = span.start.line();
        let refuse = |message: &str| Error {
            line,
            column: span.start.col() + 1,
            message: message.to_owned(),
        };
        self.count += 1;
        if self.count > NODE_LIMIT || depth > DEPTH_LIMIT {
            return Err(refuse("document contains excessive aliasing or nesting"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain
                    && tag.as_ref().and_then(|t| t.core_suffix()) != Some("str");
                let text = text.into_owned();
                (Value::Scalar { text, plain }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(id) => {
                let node = self
                    .anchors
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| refuse("unknown anchor"))?;
                self.count += size(&node);
                return Ok(node);
            }
            Event::DocumentEnd => (
                Value::Scalar {
                    text: String::new(),
                    plain: true,
                },
                0,
            ),
            _ => return Err(refuse("unexpected content")),
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Error> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                None | Some((Event::SequenceEnd, _)) => return Ok(Value::Sequence(items)),
                Some((event, span)) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Error> {
        let mut entries = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let key = match self.next()? {
                None | Some((Event::MappingEnd, _)) => return Ok(Value::Mapping(entries)),
                Some((event, span)) => self.node(event, span, depth + 1)?,
            };
            if let Some(text) = key.text()
                && let Some(first) = lines.insert(text.to_owned(), key.line)
            {
                return Err(Error {
                    line: key.line,
                    column: 1,
                    message: format!("mapping key {text:?} already defined at line {first}"),
                });
            }
            let value = match self.next()? {
                None => return Ok(Value::Mapping(entries)),
                Some((event, span)) => self.node(event, span, depth + 1)?,
            };
            entries.push((key, value));
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Mapping(entries) => 1 + entries.iter().map(|(_, v)| 1 + size(v)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lines_and_anchors() {
        let docs = parse("a: &x [1, two]\nb: *x\n---\n---\nc: \"\"\n").unwrap();
        assert_eq!(docs.len(), 3);
        assert_eq!(docs[0].get("b").unwrap().items()[1].text(), Some("two"));
        assert_eq!(docs[0].entries()[1].0.line, 2);
        assert!(docs[1].is_null());
        assert_eq!(docs[2].get("c").unwrap().text(), Some(""));
        assert!(!docs[2].get("c").unwrap().is_null());
    }

    #[test]
    fn comments_say_nothing() {
        let docs = parse(
            "# first\na: 1 # one\n# between\nb: # two\n    - 2 # three\n    # end\n---\n# only\nc: 3\n",
        );
        let docs = docs.unwrap();
        assert_eq!(docs.len(), 2);
        assert_eq!(docs[0].get("a").unwrap().text(), Some("1"));
        assert_eq!(docs[0].get("b").unwrap().items()[0].text(), Some("2"));
        assert_eq!(docs[1].get("c").unwrap().text(), Some("3"));
    }

    #[test]
    fn broken_input_is_an_error() {
        assert!(parse("a: [1").is_err());
        assert_eq!(parse("a: 1\nb:\n\tc: 1\n").err().unwrap().line, 3);
        assert!(
            parse("a: 1\na: 2\n")
                .err()
                .unwrap()
                .message
                .contains("already defined at line 1")
        );
    }
}
