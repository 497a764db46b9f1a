//! Tokens: what the lexer gives to the parser and the formatter.

use super::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TokenKind {
    Ident,
    Number,
    /// `"` at both ends of a quoted template.
    OpenQuote,
    CloseQuote,
    /// Text between quotes, escapes not yet resolved.
    QuotedText,
    /// `<<MARKER` with its newline, and the closing marker without one.
    OpenHeredoc,
    CloseHeredoc,
    /// Text of a heredoc or template file: at most one line, with its newline.
    TemplateText,
    /// `${` or `${~`
    OpenInterpolation,
    /// `%{` or `%{~`
    OpenDirective,
    /// `}` or `~}`
    CloseSequence,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    Star,
    Slash,
    Percent,
    Plus,
    Minus,
    Equal,
    EqualEqual,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Not,
    Dot,
    Comma,
    Ellipsis,
    FatArrow,
    Question,
    Colon,
    DoubleColon,
    Newline,
    /// `# …`, `// …` (without the newline) or `/* … */`
    Comment,
    /// No token of the language; the lexer has reported it.
    Invalid,
    Eof,
}

impl TokenKind {
    pub(crate) fn opens(self) -> bool {
        use TokenKind::*;
        matches!(
            self,
            OpenBrace
                | OpenBracket
                | OpenParen
                | OpenQuote
                | OpenHeredoc
                | OpenInterpolation
                | OpenDirective
        )
    }

    pub(crate) fn closes(self) -> bool {
        use TokenKind::*;
        matches!(
            self,
            CloseBrace | CloseBracket | CloseParen | CloseQuote | CloseHeredoc | CloseSequence
        )
    }

    /// Whether `self` closes what `opener` opened.
    pub(crate) fn is_close_of(self, opener: TokenKind) -> bool {
        use TokenKind::*;
        matches!(
            (opener, self),
            (OpenBrace, CloseBrace)
                | (OpenBracket, CloseBracket)
                | (OpenParen, CloseParen)
                | (OpenQuote, CloseQuote)
                | (OpenHeredoc, CloseHeredoc)
                | (OpenInterpolation | OpenDirective, CloseSequence)
        )
    }
}
