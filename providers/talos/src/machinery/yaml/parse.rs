//! From YAML text to nodes, with aliases expanded and merge keys applied.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::node::{Node, NodeKind, Scalar};
use super::resolve::Resolved;

/// Nodes one alias-heavy input may grow to; a machine configuration has a few thousand.
const MAX_NODES: usize = 500_000;
/// Nesting that is surely not a configuration and would strain the stack.
const MAX_DEPTH: usize = 200;

/// Text that is not acceptable YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("yaml: line {line}: {message}")]
pub(crate) struct YamlError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl YamlError {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// Parses all documents of a stream; an empty document is a null scalar.
pub(crate) fn parse_documents(text: &str) -> Result<Vec<Node>, YamlError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut documents = Vec::new();
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(..) => {
                reader.anchors.clear();
                documents.push(reader.node(0)?);
            }
            Event::StreamStart | Event::DocumentEnd => {}
            _ => return Err(YamlError::new(line(&span), "content outside of a document")),
        }
    }
}

fn line(span: &Span) -> usize {
    span.start.line()
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    /// The next event that carries structure; comments are passed over.
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        loop {
            let (event, span) = match self.parser.next_event() {
                Some(Ok(pair)) => pair,
                Some(Err(e)) => return Err(YamlError::new(e.marker().line(), e.to_string())),
                None => return Err(YamlError::new(0, "unexpected end of the text")),
            };
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd
                | Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd => return Ok((event, span)),
                _ => {}
            }
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, YamlError> {
        let (event, span) = self.next()?;
        self.node_from(event, &span, depth)
    }

    fn node_from(
        &mut self,
        event: Event<'a>,
        span: &Span,
        depth: usize,
    ) -> Result<Node, YamlError> {
        let line = line(span);
        self.count(1, line)?;
        if depth > MAX_DEPTH {
            return Err(YamlError::new(line, "the document is nested too deeply"));
        }
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.and_then(|t| t.core_suffix().map(str::to_owned));
                let plain = style == ScalarStyle::Plain;
                (
                    NodeKind::Scalar(Scalar {
                        text: text.into_owned(),
                        plain,
                        tag,
                    }),
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    items.push(self.node_from(event, &span, depth + 1)?);
                }
                (NodeKind::Seq(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (NodeKind::Map(self.mapping(depth)?), anchor),
            Event::Alias(id) => {
                let target = self
                    .anchors
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| YamlError::new(line, "an anchor's value contains itself"))?;
                self.count(size(&target), line)?;
                return Ok(target);
            }
            _ => return Err(YamlError::new(line, "a value was expected here")),
        };
        let node = Node { line, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, YamlError> {
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node_from(event, &span, depth + 1)?;
            let value = self.node(depth + 1)?;
            if let Some(scalar) = key.as_scalar() {
                if scalar.resolve() == Resolved::Merge {
                    merged.push(value);
                    continue;
                }
                if let Some(first) = seen.insert(scalar.text.clone(), key.line) {
                    let text = format!(
                        "mapping key {:?} already defined at line {first}",
                        scalar.text
                    );
                    return Err(YamlError::new(key.line, text));
                }
            }
            pairs.push((key, value));
        }
        for source in merged {
            apply_merge(&mut pairs, source)?;
        }
        Ok(pairs)
    }

    fn count(&mut self, more: usize, line: usize) -> Result<(), YamlError> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(YamlError::new(line, "document contains excessive aliasing"));
        }
        Ok(())
    }
}

/// Adds what `<<: source` brings; keys written in the mapping itself win.
fn apply_merge(pairs: &mut Vec<(Node, Node)>, source: Node) -> Result<(), YamlError> {
    match source.kind {
        NodeKind::Map(more) => {
            for (key, value) in more {
                let known = key.as_scalar().is_some_and(|k| {
                    pairs
                        .iter()
                        .any(|(have, _)| have.as_scalar().is_some_and(|h| h.text == k.text))
                });
                if !known {
                    pairs.push((key, value));
                }
            }
            Ok(())
        }
        NodeKind::Seq(items) => items
            .into_iter()
            .try_for_each(|item| apply_merge(pairs, item)),
        NodeKind::Scalar(_) => Err(YamlError::new(
            source.line,
            "map merge requires map or sequence of maps as the value",
        )),
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Scalar(_) => 1,
        NodeKind::Seq(items) => 1 + items.iter().map(size).sum::<usize>(),
        NodeKind::Map(pairs) => 1 + pairs.iter().map(|(k, v)| size(k) + size(v)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_lines() {
        let docs = parse_documents("---\na: 1\n---\n# nothing\n---\nb: [x, y]\n").unwrap();
        assert_eq!(docs.len(), 3);
        assert_eq!(docs[0].line, 2);
        assert!(docs[1].is_null());
        assert_eq!(docs[2].get("b").unwrap().line, 6);
        assert_eq!(parse_documents("").unwrap().len(), 0);
    }

    #[test]
    fn aliases_and_merge_keys() {
        let docs = parse_documents("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n").unwrap();
        let used = docs[0].get("use").unwrap();
        assert_eq!(used.text_of("x"), "1");
        assert_eq!(used.text_of("y"), "3");
    }

    #[test]
    fn refuses_duplicate_keys_and_bombs() {
        assert!(
            parse_documents("a: 1\na: 2\n")
                .is_err_and(|e| e.message.contains("already defined at line 1"))
        );
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            bomb.push_str(&format!(
                "a{i}: &a{i} [{}]\n",
                vec![format!("*a{}", i - 1); 10].join(", ")
            ));
        }
        assert!(parse_documents(&bomb).is_err_and(|e| e.message.contains("aliasing")));
    }
}
