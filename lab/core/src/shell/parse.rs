//! Reads command lines.

use super::{Node, Part, Redirect, Target, Word};

/// Most that commands may nest.
const DEEPEST: usize = 24;

/// Reads a script; the error is what `bash` would complain of.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser {
        chars: text.chars().collect(),
        at: 0,
        depth: 0,
        heredocs: Vec::new(),
    };
    let node = parser.sequence(&[])?;
    match parser.peek() {
        None => {
            let mut node = node;
            parser.fill(&mut node);
            Ok(node)
        }
        Some(c) => Err(format!("syntax error near unexpected token `{c}'")),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    /// Bodies of here-documents by number; a redirect refers to one until the end.
    heredocs: Vec<Heredoc>,
}

struct Heredoc {
    delimiter: String,
    quoted: bool,
    strip_tabs: bool,
    body: Option<Word>,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(n, c)| self.chars.get(self.at + n) == Some(&c))
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.looking_at(text);
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t') => self.at += 1,
                Some('\\') if self.chars.get(self.at + 1) == Some(&'\n') => self.at += 2,
                Some('#')
                    if self.at == 0
                        || self
                            .chars
                            .get(self.at - 1)
                            .is_none_or(|c| c.is_whitespace() || *c == ';') =>
                {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Blanks, newlines (with the here-documents that begin after them) and lone semicolons.
    fn separators(&mut self) {
        loop {
            self.blanks();
            match self.peek() {
                Some('\n') => {
                    self.at += 1;
                    self.read_heredocs();
                }
                Some(';') if !self.looking_at(";;") => self.at += 1,
                _ => return,
            }
        }
    }

    fn newlines(&mut self) {
        loop {
            self.blanks();
            if self.peek() != Some('\n') {
                return;
            }
            self.at += 1;
            self.read_heredocs();
        }
    }

    /// Whether a reserved word stands here as a word of its own.
    fn at_word(&self, word: &str) -> bool {
        let end = self.chars.get(self.at + word.chars().count());
        self.looking_at(word) && end.is_none_or(|c| c.is_whitespace() || ";&|()".contains(*c))
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        self.separators();
        if self.at_word(word) {
            self.at += word.chars().count();
            return Ok(());
        }
        Err(format!("syntax error: expected `{word}'"))
    }

    /// Commands up to one of the ending words.
    fn sequence(&mut self, ends: &[&str]) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("maximum nesting level exceeded".to_owned());
        }
        let mut nodes = Vec::new();
        loop {
            self.separators();
            if self.peek().is_none()
                || self.peek() == Some(')')
                || ends.iter().any(|e| self.at_word(e))
            {
                break;
            }
            nodes.push(self.chain()?);
            self.blanks();
            if self.peek() == Some('&') && !self.looking_at("&&") {
                return Err(
                    "the lab's shell does not run commands in the background (&)".to_owned(),
                );
            }
        }
        self.depth -= 1;
        Ok(if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Node::Sequence(nodes)
        })
    }

    fn chain(&mut self) -> Result<Node, String> {
        let mut left = self.pipeline()?;
        loop {
            self.blanks();
            let and = self.looking_at("&&");
            if !and && !self.looking_at("||") {
                return Ok(left);
            }
            self.at += 2;
            self.newlines();
            let right = Box::new(self.pipeline()?);
            left = if and {
                Node::And(Box::new(left), right)
            } else {
                Node::Or(Box::new(left), right)
            };
        }
    }

    fn pipeline(&mut self) -> Result<Node, String> {
        self.blanks();
        let negated = self.at_word("!");
        if negated {
            self.at += 1;
        }
        let mut nodes = vec![self.command()?];
        loop {
            self.blanks();
            if self.peek() != Some('|') || self.looking_at("||") {
                break;
            }
            self.at += 1;
            self.newlines();
            nodes.push(self.command()?);
        }
        Ok(if nodes.len() == 1 && !negated {
            nodes.remove(0)
        } else {
            Node::Pipeline { nodes, negated }
        })
    }

    fn command(&mut self) -> Result<Node, String> {
        self.blanks();
        for word in ["for", "while", "until", "case", "function", "select"] {
            if self.at_word(word) {
                return Err(format!("the lab's shell does not do `{word}'"));
            }
        }
        if self.at_word("if") {
            self.at += 2;
            return self.conditional();
        }
        if self.at_word("{") {
            self.at += 1;
            let body = Box::new(self.sequence(&["}"])?);
            self.expect("}")?;
            return Ok(Node::Group {
                body,
                subshell: false,
                redirects: self.redirects()?,
            });
        }
        if self.peek() == Some('(') {
            self.at += 1;
            let body = Box::new(self.sequence(&[])?);
            if !self.take(")") {
                return Err("syntax error: unexpected end of file".to_owned());
            }
            return Ok(Node::Group {
                body,
                subshell: true,
                redirects: self.redirects()?,
            });
        }
        if let Some(name) = self.function() {
            self.newlines();
            let body = Box::new(self.command()?);
            return Ok(Node::Function { name, body });
        }
        self.simple()
    }

    /// `NAME()` at this place.
    fn function(&mut self) -> Option<String> {
        let name: String = self
            .chars
            .iter()
            .skip(self.at)
            .take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(**c))
            .collect();
        let from = self.at;
        self.at += name.chars().count();
        self.blanks();
        if !name.is_empty() && self.take("()") {
            return Some(name);
        }
        self.at = from;
        None
    }

    fn conditional(&mut self) -> Result<Node, String> {
        let condition = Box::new(self.sequence(&["then"])?);
        self.expect("then")?;
        let then = Box::new(self.sequence(&["elif", "else", "fi"])?);
        self.separators();
        if self.at_word("elif") {
            self.at += 4;
            return Ok(Node::If {
                condition,
                then,
                otherwise: Some(Box::new(self.conditional()?)),
            });
        }
        let otherwise = if self.at_word("else") {
            self.at += 4;
            Some(Box::new(self.sequence(&["fi"])?))
        } else {
            None
        };
        self.expect("fi")?;
        Ok(Node::If {
            condition,
            then,
            otherwise,
        })
    }

    fn redirects(&mut self) -> Result<Vec<Redirect>, String> {
        let mut all = Vec::new();
        loop {
            self.blanks();
            match self.redirect()? {
                Some(redirect) => all.push(redirect),
                None => return Ok(all),
            }
        }
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, String> {
        let digit = self
            .peek()
            .and_then(|c| c.to_digit(10))
            .and_then(|d| u8::try_from(d).ok());
        let numbered = digit.is_some() && matches!(self.chars.get(self.at + 1), Some('<' | '>'));
        if !numbered && !matches!(self.peek(), Some('<' | '>')) && !self.looking_at("&>") {
            return Ok(None);
        }
        if numbered {
            self.at += 1;
        }
        let own = digit.filter(|_| numbered);
        let (default, make): (u8, fn(Word) -> Target) = if self.take("&>>") {
            (3, Target::Append)
        } else if self.take("&>") {
            (3, Target::Write)
        } else if self.take("<<<") {
            (0, |mut word| {
                word.push(Part::Text("\n".to_owned()));
                Target::Here(word)
            })
        } else if self.looking_at("<<") {
            return self.heredoc().map(Some);
        } else if self.take(">&") {
            let to = self
                .peek()
                .and_then(|c| c.to_digit(10))
                .and_then(|d| u8::try_from(d).ok());
            self.at += 1;
            let to = to
                .filter(|t| (1..=2).contains(t))
                .ok_or("ambiguous redirect")?;
            return Ok(Some(Redirect {
                descriptor: own.unwrap_or(1),
                target: Target::Copy(to),
            }));
        } else if self.take(">>") {
            (1, Target::Append)
        } else if self.take(">|") || self.take(">") {
            (1, Target::Write)
        } else {
            self.at += 1;
            (0, Target::Read)
        };
        self.blanks();
        let word = self
            .word()?
            .ok_or("syntax error near unexpected token `newline'")?;
        Ok(Some(Redirect {
            descriptor: own.unwrap_or(default),
            target: make(word),
        }))
    }

    fn heredoc(&mut self) -> Result<Redirect, String> {
        self.at += 2;
        let strip_tabs = self.take("-");
        self.blanks();
        let quoted = matches!(self.peek(), Some('\'' | '"' | '\\'));
        let word = self
            .word()?
            .ok_or("syntax error near unexpected token `newline'")?;
        let delimiter = word
            .iter()
            .map(|p| {
                if let Part::Text(t) = p {
                    t.as_str()
                } else {
                    ""
                }
            })
            .collect();
        self.heredocs.push(Heredoc {
            delimiter,
            quoted,
            strip_tabs,
            body: None,
        });
        // The body comes later: the number stands for it until then.
        let number = self.heredocs.len() - 1;
        Ok(Redirect {
            descriptor: 0,
            target: Target::Here(vec![Part::Text(format!("\u{0}{number}"))]),
        })
    }

    /// After a newline: the bodies of the here-documents begun on that line.
    fn read_heredocs(&mut self) {
        for number in 0..self.heredocs.len() {
            let Some(doc) = self.heredocs.get(number).filter(|d| d.body.is_none()) else {
                continue;
            };
            let (delimiter, quoted, strip) = (doc.delimiter.clone(), doc.quoted, doc.strip_tabs);
            let mut body = String::new();
            while self.at < self.chars.len() {
                let line: String = self
                    .chars
                    .iter()
                    .skip(self.at)
                    .take_while(|c| **c != '\n')
                    .collect();
                self.at = (self.at + line.chars().count() + 1).min(self.chars.len());
                let line = if strip {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if line == delimiter {
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
            let word = if quoted {
                vec![Part::Text(body)]
            } else {
                expand_text(&body)
            };
            if let Some(doc) = self.heredocs.get_mut(number) {
                doc.body = Some(word);
            }
        }
    }

    /// Puts the here-documents' bodies where their redirects are.
    fn fill(&self, node: &mut Node) {
        match node {
            Node::Simple {
                assignments,
                words,
                redirects,
            } => {
                let parts = assignments
                    .iter_mut()
                    .flat_map(|(_, w)| w)
                    .chain(words.iter_mut().flatten());
                for part in parts {
                    if let Part::Command { body, .. } = part {
                        self.fill(body);
                    }
                }
                self.fill_redirects(redirects);
            }
            Node::Pipeline { nodes, .. } | Node::Sequence(nodes) => {
                nodes.iter_mut().for_each(|n| self.fill(n));
            }
            Node::Function { body, .. } => self.fill(body),
            Node::And(a, b) | Node::Or(a, b) => {
                self.fill(a);
                self.fill(b);
            }
            Node::If {
                condition,
                then,
                otherwise,
            } => {
                self.fill(condition);
                self.fill(then);
                if let Some(otherwise) = otherwise {
                    self.fill(otherwise);
                }
            }
            Node::Group {
                body, redirects, ..
            } => {
                self.fill(body);
                self.fill_redirects(redirects);
            }
        }
    }

    fn fill_redirects(&self, redirects: &mut [Redirect]) {
        for redirect in redirects {
            let Target::Here(word) = &mut redirect.target else {
                continue;
            };
            let number = match word.first() {
                Some(Part::Text(text)) => text
                    .strip_prefix('\u{0}')
                    .and_then(|n| n.parse::<usize>().ok()),
                _ => None,
            };
            if let Some(doc) = number.and_then(|n| self.heredocs.get(n)) {
                *word = doc.body.clone().unwrap_or_default();
            }
        }
    }

    fn simple(&mut self) -> Result<Node, String> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            if words.is_empty()
                && let Some(name) = self.assignment()
            {
                assignments.push((name, self.word()?.unwrap_or_default()));
                continue;
            }
            match self.word()? {
                Some(word) => words.push(word),
                None => break,
            }
        }
        if words.is_empty() && assignments.is_empty() && redirects.is_empty() {
            let near = self
                .peek()
                .map_or_else(|| "newline".to_owned(), String::from);
            return Err(format!("syntax error near unexpected token `{near}'"));
        }
        Ok(Node::Simple {
            assignments,
            words,
            redirects,
        })
    }

    /// `NAME=` at this place.
    fn assignment(&mut self) -> Option<String> {
        let name: String = self
            .chars
            .iter()
            .skip(self.at)
            .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
            .collect();
        let ok = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
        if ok && self.chars.get(self.at + name.len()) == Some(&'=') {
            self.at += name.len() + 1;
            return Some(name);
        }
        None
    }

    fn word(&mut self) -> Result<Option<Word>, String> {
        let mut word: Word = Vec::new();
        let start = self.at;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.at += 1;
                    let text: String = self
                        .chars
                        .iter()
                        .skip(self.at)
                        .take_while(|c| **c != '\'')
                        .collect();
                    self.at += text.chars().count();
                    if !self.take("'") {
                        return Err("unexpected EOF while looking for matching `''".to_owned());
                    }
                    word.push(if text.is_empty() {
                        Part::Empty
                    } else {
                        Part::Text(text)
                    });
                }
                '"' => self.double_quoted(&mut word)?,
                '\\' => {
                    self.at += 1;
                    if let Some(c) = self.peek() {
                        if c != '\n' {
                            push(&mut word, c);
                        }
                        self.at += 1;
                    }
                }
                '$' | '`' => self.dollar(&mut word, false)?,
                other => {
                    push(&mut word, other);
                    self.at += 1;
                }
            }
        }
        Ok((self.at > start).then_some(word))
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), String> {
        self.at += 1;
        let before = word.len();
        loop {
            match self.peek() {
                None => return Err("unexpected EOF while looking for matching `\"'".to_owned()),
                Some('"') => {
                    self.at += 1;
                    if word.len() == before {
                        word.push(Part::Empty);
                    }
                    return Ok(());
                }
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(c @ ('"' | '\\' | '$' | '`')) => push(word, c),
                        Some('\n') | None => {}
                        Some(c) => {
                            push(word, '\\');
                            push(word, c);
                        }
                    }
                    self.at += 1;
                }
                Some('$' | '`') => self.dollar(word, true)?,
                Some(c) => {
                    // A text of its own, so that the part before the quote is not seen as this one's.
                    if word.len() == before {
                        word.push(Part::Text(String::new()));
                    }
                    push(word, c);
                    self.at += 1;
                }
            }
        }
    }

    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Result<(), String> {
        if self.peek() == Some('`') {
            self.at += 1;
            let text: String = self
                .chars
                .iter()
                .skip(self.at)
                .take_while(|c| **c != '`')
                .collect();
            self.at += text.chars().count();
            if !self.take("`") {
                return Err("unexpected EOF while looking for matching ``'".to_owned());
            }
            if self.depth >= DEEPEST {
                return Err("maximum nesting level exceeded".to_owned());
            }
            word.push(Part::Command {
                body: Box::new(parse(&text)?),
                quoted,
            });
            return Ok(());
        }
        self.at += 1;
        if self.take("((") {
            return Err("the lab's shell does not do arithmetic".to_owned());
        }
        if self.take("(") {
            let body = Box::new(self.sequence(&[])?);
            if !self.take(")") {
                return Err("unexpected EOF while looking for matching `)'".to_owned());
            }
            word.push(Part::Command { body, quoted });
            return Ok(());
        }
        let braced = self.take("{");
        let special = self.peek().filter(|c| "?$#@*0".contains(*c));
        let name: String = match special {
            Some(c) => c.to_string(),
            None => self
                .chars
                .iter()
                .skip(self.at)
                .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
                .collect(),
        };
        if name.is_empty() {
            if braced {
                return Err("bad substitution".to_owned());
            }
            push(word, '$');
            return Ok(());
        }
        self.at += name.chars().count();
        let mut default = None;
        if braced {
            if self.take(":-") || self.take("-") {
                let text: String = self
                    .chars
                    .iter()
                    .skip(self.at)
                    .take_while(|c| **c != '}')
                    .collect();
                self.at += text.chars().count();
                default = Some(text);
            }
            if !self.take("}") {
                return Err("the lab's shell knows ${NAME} and ${NAME:-default} only".to_owned());
            }
        }
        word.push(Part::Variable {
            name,
            default,
            quoted,
        });
        Ok(())
    }
}

/// The body of an unquoted here-document: variables are expanded, quotes are text.
fn expand_text(body: &str) -> Word {
    let escaped = body.replace('"', "\\\"");
    let mut parser = Parser {
        chars: format!("\"{escaped}\"").chars().collect(),
        at: 0,
        depth: 0,
        heredocs: Vec::new(),
    };
    let mut word = Vec::new();
    match parser.double_quoted(&mut word) {
        Ok(()) => word,
        Err(_) => vec![Part::Text(body.to_owned())],
    }
}

/// Adds a character to the text that the word ends with.
fn push(word: &mut Word, c: char) {
    match word.last_mut() {
        Some(Part::Text(text)) => text.push(c),
        _ => word.push(Part::Text(c.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_it_does_not_do() {
        for text in [
            "for x in 1; do echo; done",
            "sleep 1 &",
            "echo $((1+1))",
            "echo 'a",
            "a | | b",
            "( a",
            "if a; then b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"(".repeat(100)).is_err());
        assert!(parse(&"$(".repeat(5000)).is_err());
    }

    #[test]
    fn here_documents_come_after_their_line() {
        let Ok(Node::Sequence(nodes)) =
            parse("cat > f <<'EOF' && echo ok\na: $b\nEOF\necho done\n")
        else {
            panic!()
        };
        assert_eq!(nodes.len(), 2);
        let Node::And(cat, _) = &nodes[0] else {
            panic!()
        };
        let Node::Simple { redirects, .. } = &**cat else {
            panic!()
        };
        assert_eq!(
            redirects[1].target,
            Target::Here(vec![Part::Text("a: $b\n".into())])
        );
    }
}
