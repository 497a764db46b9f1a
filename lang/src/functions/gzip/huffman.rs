//! Prefix codes of limited length.

/// A code for each symbol: bits in writing order, and their number; zero bits for symbols that do not occur.
#[derive(Clone, Debug, Default)]
pub(super) struct Code(pub(super) Vec<(u16, u8)>);

impl Code {
    /// The best code for symbols that occur so often, with at most `longest` bits.
    pub(super) fn best(frequencies: &[u32], longest: usize) -> Code {
        let mut code = vec![(0, 0); frequencies.len()];
        let mut used: Vec<(u32, usize)> = frequencies
            .iter()
            .enumerate()
            .filter(|(_, f)| **f > 0)
            .map(|(symbol, f)| (*f, symbol))
            .collect();
        if used.len() <= 2 {
            for (bits, (_, symbol)) in used.iter().enumerate() {
                if let Some(slot) = code.get_mut(*symbol) {
                    *slot = (bits as u16, 1);
                }
            }
            return Code(code);
        }
        used.sort_unstable();
        let weights: Vec<u64> = used.iter().map(|(f, _)| u64::from(*f)).collect();
        let mut next = 0u16;
        let mut rest = &used[..];
        for (length, count) in lengths(&weights, longest).into_iter().enumerate() {
            next <<= 1;
            // The most frequent symbols get the shortest codes, in the order of the symbols.
            let (less, chunk) = rest.split_at(rest.len().saturating_sub(count));
            rest = less;
            let mut symbols: Vec<usize> = chunk.iter().map(|(_, symbol)| *symbol).collect();
            symbols.sort_unstable();
            for symbol in symbols {
                if let Some(slot) = code.get_mut(symbol) {
                    *slot = (reversed(next, length), length as u8);
                }
                next += 1;
            }
        }
        Code(code)
    }

    /// The code for literals and lengths that the format fixes.
    pub(super) fn fixed_literals() -> Code {
        let code = |symbol: u16| match symbol {
            0..=143 => (reversed(symbol + 48, 8), 8),
            144..=255 => (reversed(symbol - 144 + 400, 9), 9),
            256..=279 => (reversed(symbol - 256, 7), 7),
            _ => (reversed(symbol - 280 + 192, 8), 8),
        };
        Code((0..286).map(code).collect())
    }

    pub(super) fn fixed_distances() -> Code {
        Code((0..30).map(|symbol| (reversed(symbol, 5), 5)).collect())
    }

    pub(super) fn of(&self, symbol: usize) -> (u16, u8) {
        self.0.get(symbol).copied().unwrap_or((0, 0))
    }

    /// How many bits all symbols together take.
    pub(super) fn size(&self, frequencies: &[u32]) -> usize {
        frequencies
            .iter()
            .zip(&self.0)
            .map(|(f, (_, length))| *f as usize * usize::from(*length))
            .sum()
    }
}

fn reversed(bits: u16, length: usize) -> u16 {
    if length == 0 {
        0
    } else {
        bits.reverse_bits() >> (16 - length)
    }
}

/// How many symbols get codes of 0, 1, 2, … bits: the package-merge algorithm (Larmore and Hirschberg, 1990). Weights come
/// sorted. Between a package and a symbol of equal weight the package goes first: another choice would cost the same, but
/// give other lengths than the reference does.
fn lengths(weights: &[u64], longest: usize) -> Vec<usize> {
    let longest = longest.min(weights.len().saturating_sub(1));
    // For each level, whether the items in order of weight are symbols.
    let mut levels: Vec<Vec<bool>> = Vec::with_capacity(longest);
    let mut packages: Vec<u64> = Vec::new();
    for _ in 0..longest {
        let mut symbols = weights.iter().copied().peekable();
        let mut pairs = packages.iter().copied().peekable();
        let mut merged = Vec::new();
        let mut is_symbol = Vec::new();
        loop {
            let take_symbol = match (symbols.peek(), pairs.peek()) {
                (Some(symbol), Some(pair)) => symbol < pair,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            merged.extend(if take_symbol {
                symbols.next()
            } else {
                pairs.next()
            });
            is_symbol.push(take_symbol);
        }
        packages = merged
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| a + b)
            .collect();
        levels.push(is_symbol);
    }
    // Going back from the last level: each package that is taken stands for two items of the level before.
    let mut wanted = 2 * weights.len() - 2;
    let mut taken = Vec::with_capacity(longest + 1);
    for level in levels.iter().rev() {
        let symbols = level.iter().take(wanted).filter(|s| **s).count();
        taken.push(symbols);
        wanted = 2 * (wanted - symbols);
    }
    taken.push(0);
    let counts = taken.windows(2).map(|pair| pair[0] - pair[1]);
    std::iter::once(0).chain(counts).collect()
}
