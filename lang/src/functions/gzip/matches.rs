//! Finding repetitions: lazy matching over chains of equal hashes.

use super::block::{Token, Writer};

const WINDOW: usize = 1 << 15;
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
/// While more input may come, this much must be at hand beyond the current position.
const LOOKAHEAD: usize = MIN_MATCH + MAX_MATCH;
const BLOCK_TOKENS: usize = 1 << 14;
const HASH_BITS: u32 = 17;

// What the reference's default level means.
/// From this length on, only a quarter of the chain is searched.
const GOOD: usize = 8;
/// A match this long is taken without looking for a better one at the next position.
const LAZY: usize = 16;
/// A match this long ends the search.
const NICE: usize = 128;
const CHAIN: usize = 128;
/// Short matches further away than this cost more than they save.
const SHORT_MATCH_DISTANCE: usize = 4096;

pub(super) fn compress(data: &[u8], writer: &mut Writer) {
    let mut search = Search {
        data,
        base: 0,
        end: data.len().min(2 * WINDOW),
        heads: vec![0; 1 << HASH_BITS],
        previous: vec![0; WINDOW],
    };
    let mut tokens = Vec::with_capacity(BLOCK_TOKENS);
    let mut block_start = Some(0);
    let mut index = 0;
    let mut head = 0;
    let mut current = Match::NONE;
    // Whether the byte before `index` is still to be written.
    let mut pending = false;
    loop {
        let last_part = search.end == data.len();
        if search.end - index < LOOKAHEAD && !last_part {
            if let Some(new_base) = search.slide(index) {
                block_start = block_start.filter(|start| *start >= new_base);
            }
            continue;
        }
        if index >= search.end {
            break;
        }
        if search.can_hash(index) {
            head = search.insert(index);
        }
        let before = current;
        current = Match::NONE;
        let lookahead = search.end - index;
        if lookahead > before.length && before.length < LAZY {
            current = search.find(index, head, lookahead).unwrap_or(Match::NONE);
        }
        if before.length >= MIN_MATCH && current.length <= before.length {
            tokens.push(Token::Match {
                length: before.length,
                distance: before.distance,
            });
            // The match began one byte ago, and its first two positions are known already.
            let after = index + before.length - 1;
            for inside in index + 1..after {
                if search.can_hash(inside) {
                    search.insert(inside);
                }
            }
            index = after;
            pending = false;
            current = Match::NONE;
            if tokens.len() == BLOCK_TOKENS {
                writer.block(&tokens, search.stored_part(block_start, index));
                block_start = Some(index);
                tokens.clear();
            }
        } else {
            if pending {
                tokens.push(Token::Literal(search.byte(index - 1)));
                if tokens.len() == BLOCK_TOKENS {
                    writer.block(&tokens, search.stored_part(block_start, index));
                    block_start = Some(index);
                    tokens.clear();
                }
            }
            index += 1;
            pending = true;
        }
    }
    if pending {
        tokens.push(Token::Literal(search.byte(index.saturating_sub(1))));
    }
    if !tokens.is_empty() {
        writer.block(&tokens, search.stored_part(block_start, index));
    }
}

#[derive(Clone, Copy)]
struct Match {
    length: usize,
    distance: usize,
}

impl Match {
    const NONE: Match = Match {
        length: MIN_MATCH - 1,
        distance: 0,
    };
}

/// The part of the data in view, and where hashes occurred. Positions in the tables are one higher than in the data; zero
/// means none.
struct Search<'a> {
    data: &'a [u8],
    /// Where the view begins. It moves by whole windows, and what is before is forgotten.
    base: usize,
    /// Where the view ends.
    end: usize,
    heads: Vec<usize>,
    previous: Vec<usize>,
}

impl<'a> Search<'a> {
    fn byte(&self, at: usize) -> u8 {
        self.data.get(at).copied().unwrap_or(0)
    }

    /// Takes more of the data into view, forgetting an old window if there is no room. Returns the new beginning.
    fn slide(&mut self, index: usize) -> Option<usize> {
        let full = index - self.base >= 2 * WINDOW - LOOKAHEAD;
        if full {
            self.base += WINDOW;
        }
        self.end = self.data.len().min(self.base + 2 * WINDOW);
        full.then_some(self.base)
    }

    /// What a stored block would hold; `None` when its beginning is forgotten.
    fn stored_part(&self, start: Option<usize>, end: usize) -> Option<&'a [u8]> {
        self.data.get(start?..end)
    }

    fn can_hash(&self, at: usize) -> bool {
        at + MIN_MATCH <= self.end
    }

    /// Enters the position under its hash; returns what was last there.
    fn insert(&mut self, at: usize) -> usize {
        let word = (0..4).fold(0u32, |word, i| word << 8 | u32::from(self.byte(at + i)));
        let hash = (word.wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize;
        let before = self
            .heads
            .get_mut(hash)
            .map_or(0, |head| std::mem::replace(head, at + 1));
        if let Some(previous) = self.previous.get_mut(at % WINDOW) {
            *previous = before;
        }
        before
    }

    /// The longest match of those that the chain leads to, nearest first.
    fn find(&self, at: usize, head: usize, lookahead: usize) -> Option<Match> {
        let limit = lookahead.min(MAX_MATCH);
        let nice = limit.min(NICE);
        let oldest = at.saturating_sub(WINDOW).max(self.base);
        let here = self.data.get(at..at + limit)?;
        let mut best = None;
        let mut length = Match::NONE.length;
        let mut tries = if length >= GOOD { CHAIN / 4 } else { CHAIN };
        let mut candidate = head.checked_sub(1)?;
        while tries > 0 && candidate >= oldest {
            let there = self.data.get(candidate..candidate + limit)?;
            if here.get(length) == there.get(length) {
                let same = here.iter().zip(there).take_while(|(a, b)| a == b).count();
                if same > length && (same > MIN_MATCH || at - candidate <= SHORT_MATCH_DISTANCE) {
                    length = same;
                    best = Some(Match {
                        length,
                        distance: at - candidate,
                    });
                    if same >= nice {
                        break;
                    }
                }
            }
            // At a full window's distance the link is this position's own.
            if candidate + WINDOW == at {
                break;
            }
            match self
                .previous
                .get(candidate % WINDOW)
                .and_then(|p| p.checked_sub(1))
            {
                Some(older) => candidate = older,
                None => break,
            }
            tries -= 1;
        }
        best
    }
}
