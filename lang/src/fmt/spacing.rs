//! Blanks: how far each line is indented, what stands between two tokens, and what is aligned with the lines around.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::Piece;
use crate::syntax::TokenKind;

/// The pieces with canonical blanks between them.
pub(super) fn write(pieces: Vec<Piece<'_>>) -> String {
    let mut layout = Layout {
        before: vec![0; pieces.len()],
        lines: lines(&pieces),
        pieces,
    };
    layout.indent();
    layout.space();
    layout.align(|line| &line.assign, |line| line.lead.clone());
    layout.align(
        |line| &line.comment,
        |line| line.lead.start..line.assign.end,
    );
    let length: usize = layout.pieces.iter().map(|p| p.text.len() + 1).sum();
    let mut out = String::with_capacity(length);
    for (piece, blanks) in layout.pieces.iter().zip(&layout.before) {
        out.extend(std::iter::repeat_n(' ', *blanks));
        out.push_str(&piece.text);
    }
    out
}

/// One line in up to three cells, as ranges of pieces. The later cells are aligned with those of the lines around.
struct Line {
    lead: Range<usize>,
    /// From the equals sign on, when what is assigned ends on this line.
    assign: Range<usize>,
    /// A comment behind something else.
    comment: Range<usize>,
}

fn lines(pieces: &[Piece<'_>]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (i, piece) in pieces.iter().enumerate() {
        if piece.ends_line() {
            lines.push(line(pieces, start..i + 1));
            start = i + 1;
        }
    }
    if start < pieces.len() {
        lines.push(line(pieces, start..pieces.len()));
    }
    lines
}

fn line(pieces: &[Piece<'_>], all: Range<usize>) -> Line {
    let kind = |i: usize| pieces.get(i).map(|p| p.kind);
    let mut end = all.end;
    if all.len() > 1 && kind(end - 1) == Some(TokenKind::Comment) {
        end -= 1;
    }
    let equals = (all.start + 1..end).find(|i| kind(*i) == Some(TokenKind::Equal));
    let ends_here = |from: &usize| {
        let net: i32 = pieces
            .get(*from..end)
            .unwrap_or_default()
            .iter()
            .map(brackets)
            .sum();
        net == 0
    };
    let assign = equals.filter(ends_here).unwrap_or(end);
    Line {
        lead: all.start..assign,
        assign: assign..end,
        comment: end..all.end,
    }
}

/// How many brackets a token opens (or closes, below zero).
fn brackets(piece: &Piece<'_>) -> i32 {
    use TokenKind::*;
    match piece.kind {
        OpenBrace | OpenBracket | OpenParen | OpenDirective | OpenInterpolation => 1,
        CloseBrace | CloseBracket | CloseParen | CloseSequence => -1,
        _ => 0,
    }
}

struct Layout<'a> {
    pieces: Vec<Piece<'a>>,
    /// The blanks before each piece.
    before: Vec<usize>,
    lines: Vec<Line>,
}

impl Layout<'_> {
    fn cell(&self, range: &Range<usize>) -> &[Piece<'_>] {
        self.pieces.get(range.clone()).unwrap_or_default()
    }

    fn set(&mut self, index: usize, blanks: usize) {
        if let Some(before) = self.before.get_mut(index) {
            *before = blanks;
        }
    }

    /// Two blanks for each line that opened more brackets than it closed, until as many are closed.
    fn indent(&mut self) {
        let mut open: Vec<i32> = Vec::new();
        for i in 0..self.lines.len() {
            let Some(line) = self.lines.get(i) else {
                continue;
            };
            let first = line.lead.start;
            let lead = self.cell(&line.lead);
            if lead.first().is_none_or(|p| p.kind == TokenKind::Newline) {
                continue;
            }
            let heredoc = lead.iter().position(|p| p.kind == TokenKind::OpenHeredoc);
            let counted = lead
                .get(..heredoc.unwrap_or(lead.len()))
                .unwrap_or_default();
            let net: i32 = counted
                .iter()
                .chain(self.cell(&line.assign))
                .map(brackets)
                .sum();
            let depth = open.len();
            if net > 0 {
                open.push(net);
                self.set(first, 2 * depth);
                continue;
            }
            let mut closed = -net;
            while closed > 0 {
                match open.last_mut() {
                    None => break,
                    Some(last) if *last > closed => {
                        *last -= closed;
                        closed = 0;
                    }
                    Some(last) => {
                        closed -= *last;
                        open.pop();
                    }
                }
            }
            self.set(first, 2 * open.len());
        }
    }

    /// One blank or none before each token that does not begin a cell.
    fn space(&mut self) {
        let mut spaced = Vec::new();
        for line in &self.lines {
            for cell in [&line.lead, &line.assign] {
                for i in cell.clone().skip(1) {
                    let piece = |at: usize| self.pieces.get(at);
                    let before = (i >= cell.start + 2).then(|| piece(i - 2)).flatten();
                    if let (Some(subject), Some(after)) = (piece(i - 1), piece(i))
                        && space_between(before, subject, after)
                    {
                        spaced.push(i);
                    }
                }
            }
        }
        for i in spaced {
            self.set(i, 1);
        }
    }

    /// Puts a cell of neighbouring lines below each other, one blank behind the longest `beside`.
    fn align(
        &mut self,
        cell: impl Fn(&Line) -> &Range<usize>,
        beside: impl Fn(&Line) -> Range<usize>,
    ) {
        let mut chain: Vec<(usize, usize)> = Vec::new();
        for i in 0..=self.lines.len() {
            let place = self
                .lines
                .get(i)
                .filter(|l| !cell(l).is_empty())
                .map(|line| {
                    let columns = beside(line).map(|i| self.columns(i)).sum();
                    (cell(line).start, columns)
                });
            if let Some(place) = place {
                chain.push(place);
                continue;
            }
            let widest = chain.iter().map(|(_, columns)| *columns).max().unwrap_or(0);
            for (start, columns) in std::mem::take(&mut chain) {
                self.set(start, widest - columns + 1);
            }
        }
    }

    /// How many columns a piece takes, with the blanks before it.
    fn columns(&self, index: usize) -> usize {
        let blanks = self.before.get(index).copied().unwrap_or(0);
        let text = self.pieces.get(index).map_or("", |p| &p.text);
        let width = if text.bytes().all(|b| b.is_ascii_graphic()) {
            text.len()
        } else {
            text.graphemes(true).count()
        };
        blanks + width
    }
}

/// Whether a blank stands between two tokens of a cell; `before` is what stands before the first.
fn space_between(before: Option<&Piece<'_>>, subject: &Piece<'_>, after: &Piece<'_>) -> bool {
    use TokenKind::*;
    let before_kind = before.map(|p| p.kind);
    match (subject.kind, after.kind) {
        (_, Newline) => false,
        (Ident, OpenParen) => false,
        (Ident, DoubleColon) | (DoubleColon, Ident) => false,
        (Dot, _) | (_, Dot) => false,
        (_, Comma | Ellipsis) => false,
        (Comma, _) => true,
        (QuotedText | TemplateText | OpenQuote | OpenHeredoc, _)
        | (_, QuotedText | TemplateText | CloseQuote | CloseHeredoc) => false,
        // `in` of a `for`, so that what follows is no index of it.
        (Ident, _) if subject.text == "in" && before_kind == Some(Ident) => true,
        (Ident | Number, OpenBracket) => false,
        (_, OpenBracket) if brackets(subject) < 0 => false,
        (Not, _) => false,
        // A sign, unless what is before it can end an operand.
        (Minus, _) => !matches!(
            before_kind,
            None | Some(
                OpenParen
                    | OpenBrace
                    | OpenBracket
                    | Equal
                    | Colon
                    | Comma
                    | Question
                    | Plus
                    | Star
                    | Slash
                    | Percent
                    | Minus
                    | EqualEqual
                    | NotEqual
                    | Greater
                    | GreaterEqual
                    | Less
                    | LessEqual
                    | And
                    | Or
                    | Not
            )
        ),
        (OpenBrace, CloseBrace) => false,
        (OpenBrace, _) | (_, CloseBrace) => true,
        (OpenInterpolation | OpenDirective, OpenBrace) => true,
        (CloseBrace, CloseSequence) => true,
        (CloseSequence, OpenInterpolation | OpenDirective) => false,
        _ => brackets(subject) <= 0 && brackets(after) >= 0,
    }
}
