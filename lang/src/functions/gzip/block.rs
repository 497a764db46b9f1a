//! Writing blocks: stored, with the fixed codes or with codes of their own, whichever is shortest.

use super::huffman::Code;

/// A byte, or a repetition of what was written before.
pub(super) enum Token {
    Literal(u8),
    Match { length: usize, distance: usize },
}

const END_OF_BLOCK: usize = 256;
const FIRST_LENGTH: usize = 257;
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const MAX_STORED: usize = 65_535;
/// The order in which the lengths of the code length codes are written.
const LENGTH_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// First length of each length code, and its extra bits.
const LENGTHS: [(usize, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The code (from zero), extra bits and their number for a length.
fn length_code(length: usize) -> (usize, usize, u8) {
    let code = LENGTHS
        .partition_point(|(first, _)| *first <= length)
        .saturating_sub(1);
    let (first, extra) = LENGTHS.get(code).copied().unwrap_or((length, 0));
    (code, length - first, extra)
}

/// The code, extra bits and their number for a distance.
fn distance_code(distance: usize) -> (usize, usize, u8) {
    let from_zero = distance - 1;
    if from_zero < 4 {
        return (from_zero, 0, 0);
    }
    let extra = from_zero.ilog2() - 1;
    let code = 2 * extra as usize + (from_zero >> extra);
    (code, from_zero & ((1 << extra) - 1), extra as u8)
}

/// A stream of bits, lowest first.
pub(super) struct Writer {
    out: Vec<u8>,
    bits: u64,
    count: u32,
}

impl Writer {
    pub(super) fn new(out: Vec<u8>) -> Writer {
        Writer {
            out,
            bits: 0,
            count: 0,
        }
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.align();
        self.out
    }

    fn put(&mut self, bits: usize, count: u8) {
        self.bits |= (bits as u64) << self.count;
        self.count += u32::from(count);
        while self.count >= 8 {
            self.out.push(self.bits as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.out.push(self.bits as u8);
            self.bits = 0;
            self.count = 0;
        }
    }

    fn symbol(&mut self, code: &Code, symbol: usize) {
        let (bits, length) = code.of(symbol);
        self.put(usize::from(bits), length);
    }

    pub(super) fn stored(&mut self, data: &[u8], last: bool) {
        self.put(usize::from(last), 3);
        self.align();
        let length = data.len() as u16;
        self.out.extend(length.to_le_bytes());
        self.out.extend((!length).to_le_bytes());
        self.out.extend(data);
    }

    /// Writes the tokens as one block. `data` is what they stand for, if it is still there.
    pub(super) fn block(&mut self, tokens: &[Token], data: Option<&[u8]>) {
        let plan = Plan::of(tokens);
        let storable = data.filter(|d| d.len() <= MAX_STORED);
        // The same on both sides of each comparison; the reference leaves it out where it compares two coded forms.
        let extra = if storable.is_some() {
            plan.extra_bits
        } else {
            0
        };
        let (fixed_literals, fixed_distances) = (Code::fixed_literals(), Code::fixed_distances());
        let fixed = 3
            + fixed_literals.size(&plan.literal_counts)
            + fixed_distances.size(&plan.distance_counts)
            + extra;
        let header = Header::of(&plan);
        let own = header.size()
            + plan.literals.size(&plan.literal_counts)
            + plan.distances.size(&plan.distance_counts)
            + extra;
        if let Some(data) = storable
            && (data.len() + 5) * 8 < fixed.min(own)
        {
            self.stored(data, false);
        } else if own < fixed {
            header.write(&plan, self);
            self.tokens(tokens, &plan.literals, &plan.distances);
        } else {
            self.put(0b010, 3);
            self.tokens(tokens, &fixed_literals, &fixed_distances);
        }
    }

    fn tokens(&mut self, tokens: &[Token], literals: &Code, distances: &Code) {
        for token in tokens {
            match token {
                Token::Literal(byte) => self.symbol(literals, usize::from(*byte)),
                Token::Match { length, distance } => {
                    let (code, rest, extra) = length_code(*length);
                    self.symbol(literals, FIRST_LENGTH + code);
                    self.put(rest, extra);
                    let (code, rest, extra) = distance_code(*distance);
                    self.symbol(distances, code);
                    self.put(rest, extra);
                }
            }
        }
        self.symbol(literals, END_OF_BLOCK);
    }
}

/// What occurs in a block how often, and the codes made for it.
struct Plan {
    literal_counts: Vec<u32>,
    distance_counts: Vec<u32>,
    /// Up to the last that occurs.
    used_literals: usize,
    used_distances: usize,
    extra_bits: usize,
    literals: Code,
    distances: Code,
}

impl Plan {
    fn of(tokens: &[Token]) -> Plan {
        let mut literal_counts = vec![0u32; LITERALS];
        let mut distance_counts = vec![0u32; DISTANCES];
        let mut extra_bits = 0;
        let count = |counts: &mut Vec<u32>, symbol: usize| {
            if let Some(n) = counts.get_mut(symbol) {
                *n += 1;
            }
        };
        for token in tokens {
            match token {
                Token::Literal(byte) => count(&mut literal_counts, usize::from(*byte)),
                Token::Match { length, distance } => {
                    let (code, _, extra) = length_code(*length);
                    count(&mut literal_counts, FIRST_LENGTH + code);
                    extra_bits += usize::from(extra);
                    let (code, _, extra) = distance_code(*distance);
                    count(&mut distance_counts, code);
                    extra_bits += usize::from(extra);
                }
            }
        }
        count(&mut literal_counts, END_OF_BLOCK);
        let used = |counts: &[u32]| counts.iter().rposition(|n| *n > 0).map_or(0, |i| i + 1);
        if used(&distance_counts) == 0 {
            // There must be one code at least.
            count(&mut distance_counts, 0);
        }
        Plan {
            used_literals: used(&literal_counts),
            used_distances: used(&distance_counts),
            extra_bits,
            literals: Code::best(&literal_counts, 15),
            distances: Code::best(&distance_counts, 15),
            literal_counts,
            distance_counts,
        }
    }
}

/// The description of a block's own codes: their lengths, run by run.
struct Header {
    /// Symbols of the code for lengths, with extra bits.
    runs: Vec<(usize, usize)>,
    counts: Vec<u32>,
    code: Code,
    /// How many of the lengths of that code itself are written.
    used: usize,
}

/// Extra bits of the symbols that stand for runs.
fn run_bits(symbol: usize) -> u8 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

impl Header {
    fn of(plan: &Plan) -> Header {
        let lengths = |code: &Code, used: usize| {
            code.0
                .iter()
                .take(used)
                .map(|(_, l)| usize::from(*l))
                .collect::<Vec<_>>()
        };
        let mut all = lengths(&plan.literals, plan.used_literals);
        all.extend(lengths(&plan.distances, plan.used_distances));
        let mut runs = Vec::new();
        for run in all.chunk_by(|a, b| a == b) {
            let length = run.first().copied().unwrap_or(0);
            let mut count = run.len();
            if length == 0 {
                while count >= 11 {
                    let n = count.min(138);
                    runs.push((18, n - 11));
                    count -= n;
                }
                if count >= 3 {
                    runs.push((17, count - 3));
                    count = 0;
                }
            } else {
                runs.push((length, 0));
                count -= 1;
                while count >= 3 {
                    let n = count.min(6);
                    runs.push((16, n - 3));
                    count -= n;
                }
            }
            runs.extend(std::iter::repeat_n((length, 0), count));
        }
        let mut counts = vec![0u32; LENGTH_ORDER.len()];
        for (symbol, _) in &runs {
            if let Some(n) = counts.get_mut(*symbol) {
                *n += 1;
            }
        }
        let occurs = |symbol: &usize| counts.get(*symbol).is_some_and(|n| *n > 0);
        let used = LENGTH_ORDER
            .iter()
            .rposition(occurs)
            .map_or(4, |i| (i + 1).max(4));
        Header {
            code: Code::best(&counts, 7),
            runs,
            counts,
            used,
        }
    }

    /// In bits, with the block's own head.
    fn size(&self) -> usize {
        let extra: usize = self
            .runs
            .iter()
            .map(|(symbol, _)| usize::from(run_bits(*symbol)))
            .sum();
        3 + 5 + 5 + 4 + 3 * self.used + self.code.size(&self.counts) + extra
    }

    fn write(&self, plan: &Plan, out: &mut Writer) {
        out.put(0b100, 3);
        out.put(plan.used_literals - FIRST_LENGTH, 5);
        out.put(plan.used_distances - 1, 5);
        out.put(self.used - 4, 4);
        for symbol in LENGTH_ORDER.iter().take(self.used) {
            out.put(usize::from(self.code.of(*symbol).1), 3);
        }
        for (symbol, rest) in &self.runs {
            out.symbol(&self.code, *symbol);
            out.put(*rest, run_bits(*symbol));
        }
    }
}
