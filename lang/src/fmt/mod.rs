//! The canonical layout of native syntax, byte for byte as `terraform fmt` makes it.
//!
//! A file is taken as its tokens. A few constructs of old are rewritten ([`rewrite`]), then the blanks between the tokens are
//! set anew ([`spacing`]). Nothing else changes.

mod rewrite;
mod spacing;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use stead_value::Diagnostics;

use crate::syntax::{Comments, SourceFile, Start, TokenKind, lex, parse_file};

/// The file in the canonical layout. A file with errors has none.
pub fn format(file: &Arc<SourceFile>) -> Result<String, Diagnostics> {
    let (body, diagnostics) = parse_file(file);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let (mut tokens, trailing) = tokens(file);
    rewrite::rewrite(&body, &mut tokens);
    let mut out = spacing::write(tokens.into_iter().flat_map(Token::into_pieces).collect());
    out.extend(std::iter::repeat_n(' ', trailing));
    Ok(out)
}

/// A token as it is written. A comment that ends its line holds the line's end.
#[derive(Clone, Debug)]
struct Piece<'a> {
    kind: TokenKind,
    text: Cow<'a, str>,
}

impl<'a> Piece<'a> {
    fn new(kind: TokenKind, text: impl Into<Cow<'a, str>>) -> Piece<'a> {
        Piece {
            kind,
            text: text.into(),
        }
    }

    fn ends_line(&self) -> bool {
        match self.kind {
            TokenKind::Newline => true,
            TokenKind::Comment => self.text.ends_with('\n'),
            _ => false,
        }
    }
}

/// A token of the file, and what is written for it.
struct Token<'a> {
    start: u32,
    piece: Piece<'a>,
    instead: Option<Vec<Piece<'a>>>,
}

impl<'a> Token<'a> {
    fn into_pieces(self) -> impl Iterator<Item = Piece<'a>> {
        let (piece, instead) = match self.instead {
            Some(pieces) => (None, pieces),
            None => (Some(self.piece), Vec::new()),
        };
        piece.into_iter().chain(instead)
    }
}

/// The file's tokens, and how many blanks are behind the last one.
fn tokens(file: &SourceFile) -> (Vec<Token<'_>>, usize) {
    let all = crate::syntax::Span::new(0, file.text().len() as u32);
    let (lexed, _) = lex(file, all, Start::Config, Comments::Keep);
    let mut tokens: Vec<Token<'_>> = Vec::with_capacity(lexed.len());
    let mut end = 0;
    for token in lexed {
        let text = file.slice(token.span);
        match (token.kind, tokens.last_mut()) {
            (TokenKind::Eof, _) => break,
            (TokenKind::Newline, Some(last))
                if last.piece.kind == TokenKind::Comment
                    && !last.piece.ends_line()
                    && !last.piece.text.starts_with("/*") =>
            {
                let whole = crate::syntax::Span::new(last.start, token.span.end);
                last.piece.text = file.slice(whole).into();
            }
            (kind, _) => tokens.push(Token {
                start: token.span.start,
                piece: Piece::new(kind, text),
                instead: None,
            }),
        }
        end = token.span.end;
    }
    (tokens, file.text().len().saturating_sub(end as usize))
}
