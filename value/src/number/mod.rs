//! Numbers with the language's precision: binary floating point of up to 512 bits.

mod arithmetic;
mod decimal;

pub use decimal::Decimal;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{ToPrimitive, Zero};

/// A number of the language.
///
/// Each carries the precision (in bits) with which it was made: 512 for what was written as text, 64 for counts and lengths,
/// 53 for results of floating-point functions. Precision decides how results are rounded and how many digits are shown, never
/// whether two numbers are equal. Source: the reference's numbers are Go `big.Float`s.
#[derive(Clone)]
pub struct Number {
    repr: Repr,
    precision: u32,
}

/// Each value has exactly one form: what fits an `i64` is `Int`, except minus zero.
#[derive(Clone)]
enum Repr {
    Int(i64),
    Big(Arc<Big>),
    NegativeZero,
    Infinity { negative: bool },
}

/// `mantissa` × 2^`exponent`; the mantissa is odd.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Big {
    negative: bool,
    mantissa: BigUint,
    exponent: i64,
}

/// Beyond this power of two a number counts as infinite (below its inverse: as zero). Some 300,000 decimal digits: more
/// than anyone means, and little enough that printing one does no harm.
const MAX_EXPONENT: i64 = 1 << 20;

impl Number {
    /// Precision of numbers that come from text, in bits.
    pub const TEXT_PRECISION: u32 = 512;
    const INT_PRECISION: u32 = 64;
    const FLOAT_PRECISION: u32 = 53;

    pub fn zero() -> Number {
        Number::from(0i64)
    }

    pub fn infinity(negative: bool) -> Number {
        Number {
            repr: Repr::Infinity { negative },
            precision: Self::INT_PRECISION,
        }
    }

    /// Reads a decimal number the way the language's string conversion does: `12`, `-1.5e3`, `.5`, `Inf`; `None` for anything
    /// else, blanks included.
    pub fn parse(text: &str) -> Option<Number> {
        decimal::parse(text)
    }

    pub fn precision(&self) -> u32 {
        self.precision
    }

    pub fn is_infinite(&self) -> bool {
        matches!(self.repr, Repr::Infinity { .. })
    }

    pub fn is_zero(&self) -> bool {
        matches!(self.repr, Repr::Int(0) | Repr::NegativeZero)
    }

    /// Whether the sign is minus; minus zero has one.
    pub fn is_negative(&self) -> bool {
        match &self.repr {
            Repr::Int(i) => *i < 0,
            Repr::Big(b) => b.negative,
            Repr::NegativeZero => true,
            Repr::Infinity { negative } => *negative,
        }
    }

    pub fn is_integer(&self) -> bool {
        match &self.repr {
            Repr::Int(_) | Repr::NegativeZero => true,
            Repr::Big(b) => b.exponent >= 0,
            Repr::Infinity { .. } => false,
        }
    }

    /// The value when it is a whole number that fits.
    pub fn to_i64(&self) -> Option<i64> {
        match &self.repr {
            Repr::Int(i) => Some(*i),
            Repr::NegativeZero => Some(0),
            Repr::Big(_) | Repr::Infinity { .. } => None,
        }
    }

    /// The value when it is a whole number that fits.
    pub fn to_u64(&self) -> Option<u64> {
        match &self.repr {
            Repr::Int(i) => u64::try_from(*i).ok(),
            Repr::NegativeZero => Some(0),
            Repr::Big(_) => self.to_bigint()?.to_u64(),
            Repr::Infinity { .. } => None,
        }
    }

    pub fn to_usize(&self) -> Option<usize> {
        self.to_u64().and_then(|n| usize::try_from(n).ok())
    }

    /// The value when it is a whole number.
    pub fn to_bigint(&self) -> Option<BigInt> {
        match &self.repr {
            Repr::Int(i) => Some(BigInt::from(*i)),
            Repr::NegativeZero => Some(BigInt::zero()),
            Repr::Big(b) => {
                let shift = u64::try_from(b.exponent).ok()?;
                Some(BigInt::from_biguint(sign(b.negative), &b.mantissa << shift))
            }
            Repr::Infinity { .. } => None,
        }
    }

    /// The nearest double, ties to even.
    pub fn to_f64(&self) -> f64 {
        match &self.repr {
            Repr::Int(i) => *i as f64,
            Repr::NegativeZero => -0.0,
            Repr::Infinity { negative: false } => f64::INFINITY,
            Repr::Infinity { negative: true } => f64::NEG_INFINITY,
            Repr::Big(b) => b.to_f64(),
        }
    }

    /// Whether a double holds the value exactly.
    pub fn as_exact_f64(&self) -> Option<f64> {
        let f = self.to_f64();
        (Number::from_f64(f).as_ref() == Some(self)).then_some(f)
    }

    /// A double; `None` for not-a-number.
    pub fn from_f64(f: f64) -> Option<Number> {
        if f.is_nan() {
            return None;
        }
        let negative = f.is_sign_negative();
        if f.is_infinite() {
            return Some(Number::infinity(negative));
        }
        let bits = f.to_bits();
        let biased = (bits >> 52) & 0x7ff;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) = if biased == 0 {
            (fraction, -1074)
        } else {
            (fraction | 1 << 52, biased as i64 - 1075)
        };
        Some(Number::rounded(
            negative,
            BigUint::from(mantissa),
            exponent,
            Self::FLOAT_PRECISION,
            false,
        ))
    }

    /// Makes ±`mantissa`×2^`exponent`, rounded half to even to `precision` bits. `sticky` says that the true value is a
    /// little larger in magnitude than the mantissa says.
    fn rounded(
        negative: bool,
        mut mantissa: BigUint,
        mut exponent: i64,
        precision: u32,
        sticky: bool,
    ) -> Number {
        let excess = mantissa.bits().saturating_sub(u64::from(precision));
        if excess > 0 {
            let half = mantissa.bit(excess - 1);
            let below = sticky || mantissa.trailing_zeros().is_some_and(|z| z < excess - 1);
            mantissa >>= excess;
            exponent += excess as i64;
            if half && (below || mantissa.bit(0)) {
                mantissa += 1u32;
            }
        }
        Number {
            repr: Repr::of(negative, mantissa, exponent),
            precision,
        }
    }

    /// Sign, mantissa and exponent of a finite number.
    fn parts(&self) -> Option<Big> {
        match &self.repr {
            Repr::Int(i) => Some(Big {
                negative: *i < 0,
                mantissa: BigUint::from(i.unsigned_abs()),
                exponent: 0,
            }),
            Repr::NegativeZero => Some(Big {
                negative: true,
                mantissa: BigUint::zero(),
                exponent: 0,
            }),
            Repr::Big(b) => Some(Big::clone(b)),
            Repr::Infinity { .. } => None,
        }
    }
}

impl Repr {
    fn of(negative: bool, mut mantissa: BigUint, mut exponent: i64) -> Repr {
        let Some(zeros) = mantissa.trailing_zeros() else {
            return if negative {
                Repr::NegativeZero
            } else {
                Repr::Int(0)
            };
        };
        mantissa >>= zeros;
        exponent += zeros as i64;
        let top = exponent.saturating_add(mantissa.bits() as i64);
        if top > MAX_EXPONENT {
            return Repr::Infinity { negative };
        }
        if top < -MAX_EXPONENT {
            return if negative {
                Repr::NegativeZero
            } else {
                Repr::Int(0)
            };
        }
        if (0..64).contains(&exponent) && top <= 64 {
            let whole = BigInt::from_biguint(sign(negative), &mantissa << exponent);
            if let Some(i) = whole.to_i64() {
                return Repr::Int(i);
            }
        }
        Repr::Big(Arc::new(Big {
            negative,
            mantissa,
            exponent,
        }))
    }
}

fn sign(negative: bool) -> Sign {
    if negative { Sign::Minus } else { Sign::Plus }
}

impl Big {
    /// Position of the leading bit: the magnitude is in [2^(top-1), 2^top).
    fn top(&self) -> i64 {
        self.exponent + self.mantissa.bits() as i64
    }

    fn cmp_magnitude(&self, other: &Big) -> Ordering {
        if self.mantissa.is_zero() || other.mantissa.is_zero() {
            return self.mantissa.cmp(&other.mantissa);
        }
        self.top().cmp(&other.top()).then_with(|| {
            // Equal tops: the shift is at most the difference in mantissa length.
            let shift = self.exponent - other.exponent;
            if shift >= 0 {
                (&self.mantissa << shift).cmp(&other.mantissa)
            } else {
                self.mantissa.cmp(&(&other.mantissa << -shift))
            }
        })
    }

    fn to_f64(&self) -> f64 {
        let top = self.top();
        let magnitude = if top > 1024 {
            f64::INFINITY
        } else if top < -1074 {
            0.0
        } else {
            // Bits that a double has at this magnitude: fewer among the subnormals.
            let precision = (top + 1074).clamp(0, 53) as u32;
            if precision == 0 {
                // Between a quarter and half of... the smallest double: only above its half does it round up.
                if self.mantissa.bits() > 1 && top == -1074 {
                    f64::from_bits(1)
                } else {
                    0.0
                }
            } else {
                let rounded = Number::rounded(
                    false,
                    self.mantissa.clone(),
                    self.exponent,
                    precision,
                    false,
                );
                match rounded.parts() {
                    Some(b) => scale(b.mantissa.to_u64().unwrap_or(0) as f64, b.exponent),
                    None => f64::INFINITY,
                }
            }
        };
        if self.negative { -magnitude } else { magnitude }
    }
}

/// `f` × 2^`exponent`, for results that are exact or infinite.
fn scale(mut f: f64, mut exponent: i64) -> f64 {
    while exponent > 1000 {
        f *= 2f64.powi(1000);
        exponent -= 1000;
    }
    while exponent < -1000 {
        f *= 2f64.powi(-1000);
        exponent += 1000;
    }
    f * 2f64.powi(exponent as i32)
}

impl From<i64> for Number {
    fn from(n: i64) -> Self {
        Number {
            repr: Repr::Int(n),
            precision: Self::INT_PRECISION,
        }
    }
}

impl From<i32> for Number {
    fn from(n: i32) -> Self {
        Number::from(i64::from(n))
    }
}

impl From<u32> for Number {
    fn from(n: u32) -> Self {
        Number::from(i64::from(n))
    }
}

impl From<u64> for Number {
    fn from(n: u64) -> Self {
        Number::rounded(false, BigUint::from(n), 0, Self::INT_PRECISION, false)
    }
}

impl From<usize> for Number {
    fn from(n: usize) -> Self {
        Number::from(n as u64)
    }
}

/// Exact: the precision is as large as the number needs.
impl From<BigInt> for Number {
    fn from(n: BigInt) -> Self {
        let precision = u32::try_from(n.bits())
            .unwrap_or(u32::MAX)
            .max(Self::INT_PRECISION);
        Number::rounded(
            n.sign() == Sign::Minus,
            n.into_parts().1,
            0,
            precision,
            false,
        )
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.repr, &other.repr) {
            return a.cmp(b);
        }
        let class = |n: &Number| match n.repr {
            Repr::Infinity { negative: true } => -2,
            Repr::Infinity { negative: false } => 2,
            _ if n.is_zero() => 0,
            _ if n.is_negative() => -1,
            _ => 1,
        };
        class(self)
            .cmp(&class(other))
            .then_with(|| match (self.parts(), other.parts()) {
                (Some(a), Some(b)) if a.negative && b.negative => b.cmp_magnitude(&a),
                (Some(a), Some(b)) => a.cmp_magnitude(&b),
                _ => Ordering::Equal,
            })
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.repr {
            Repr::Int(i) => i.hash(state),
            Repr::NegativeZero => 0i64.hash(state),
            Repr::Big(b) => b.hash(state),
            Repr::Infinity { negative } => negative.hash(state),
        }
    }
}

/// The shortest decimal that reads back as the same number at its precision; never an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repr {
            Repr::Int(i) if i.unsigned_abs().checked_shr(self.precision).unwrap_or(0) == 0 => {
                write!(f, "{i}")
            }
            Repr::NegativeZero => f.write_str("-0"),
            Repr::Infinity { negative } => f.write_str(if *negative { "-Inf" } else { "+Inf" }),
            Repr::Int(_) | Repr::Big(_) => match Decimal::shortest(self) {
                Some(d) => f.write_str(&d.fixed()),
                None => Ok(()),
            },
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
