//! Whether an expression that is being typed wants more lines.

use super::lexer::{Comments, Start, lex};
use super::token::TokenKind;
use super::{SourceFile, Span};

/// Whether brackets or a heredoc are still open, and nothing is closed that was not open. A guess for prompts.
pub fn could_continue(text: &str) -> bool {
    let file = SourceFile::new("", text);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let (tokens, diagnostics) = lex(&file, Span::new(0, length), Start::Config, Comments::Drop);
    if diagnostics.has_errors() && !tokens.iter().any(|t| t.kind == TokenKind::OpenHeredoc) {
        return false;
    }
    let mut open = Vec::new();
    for token in tokens {
        if token.kind.opens() {
            open.push(token.kind);
        } else if token.kind.closes()
            && !open
                .pop()
                .is_some_and(|opener| token.kind.is_close_of(opener))
        {
            return false;
        }
    }
    open.iter().any(|kind| *kind != TokenKind::OpenQuote)
}

#[cfg(test)]
mod tests {
    use super::could_continue;

    #[test]
    fn open_brackets_and_heredocs_want_more() {
        for text in [
            "[\n",
            "f(1,\n",
            "{ a = [\n",
            "<<EOT\n",
            "<<EOT\nx\n",
            "[\"a${\n",
        ] {
            assert!(could_continue(text), "{text:?}");
        }
        for text in [
            "1 +\n",
            "[]\n",
            "]\n",
            "[)\n",
            "<<EOT\nx\nEOT\n",
            "\"abc\n",
            "a.b\n",
        ] {
            assert!(!could_continue(text), "{text:?}");
        }
    }
}
