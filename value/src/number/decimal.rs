//! Decimal text of numbers, in both directions.

use num_bigint::BigUint;
use num_traits::{One, Pow, Zero};

use super::{Number, Repr};

/// A decimal number: 0.`digits` × 10^`exponent`. No digits means zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub negative: bool,
    /// Values 0 to 9, without zeros at either end.
    pub digits: Vec<u8>,
    pub exponent: i64,
}

/// Decimal exponents beyond this are no numbers that anyone means; reading them exactly would only take time. What a number is
/// printed as has fewer digits.
const MAX_DECIMAL_EXPONENT: i64 = 400_000;
/// Powers of two up to this are expanded in full without much ado.
const SMALL_EXPONENT: u64 = 2048;

pub(super) fn parse(text: &str) -> Option<Number> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if body == "Inf" || body == "inf" {
        return Some(Number::infinity(negative));
    }
    if body.len() <= 18 && !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit()) {
        let magnitude: i64 = body.parse().ok()?;
        let repr = match (negative, magnitude) {
            (true, 0) => Repr::NegativeZero,
            (true, m) => Repr::Int(-m),
            (false, m) => Repr::Int(m),
        };
        return Some(Number {
            repr,
            precision: Number::TEXT_PRECISION,
        });
    }
    let mark = body.find(['e', 'E', 'p', 'P']);
    let (mantissa, power) = match mark {
        Some(at) => (&body[..at], parse_exponent(&body[at + 1..])?),
        None => (body, 0),
    };
    let binary = mark.is_some_and(|at| body[at..].starts_with(['p', 'P']));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let digits = BigUint::parse_bytes(format!("{whole}{fraction}").as_bytes(), 10)?;
    let (two, ten) = if binary { (power, 0) } else { (0, power) };
    let ten = ten - fraction.len() as i64;
    if !digits.is_zero() && (ten.abs() > MAX_DECIMAL_EXPONENT || two.abs() > MAX_DECIMAL_EXPONENT) {
        return None;
    }
    let is_zero = digits.is_zero();
    // What is too great or too small is refused, and not taken for something else.
    let number = scaled(negative, digits, ten, two);
    (!number.is_infinite() && number.is_zero() == is_zero).then_some(number)
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Saturates: the caller refuses what is out of bounds.
    let magnitude = digits
        .parse::<i64>()
        .unwrap_or(i64::MAX / 2)
        .min(i64::MAX / 2);
    Some(if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

/// ±`digits` × 10^`ten` × 2^`two`, correctly rounded to the precision of text.
fn scaled(negative: bool, digits: BigUint, ten: i64, two: i64) -> Number {
    let precision = Number::TEXT_PRECISION;
    if digits.is_zero() {
        return Number::rounded(negative, digits, 0, precision, false);
    }
    let five = power_of_five(ten);
    if ten >= 0 {
        return Number::rounded(negative, digits * five, ten + two, precision, false);
    }
    let shift = (i64::from(precision) + 2 + five.bits() as i64 - digits.bits() as i64).max(0);
    let dividend = digits << shift;
    let quotient = &dividend / &five;
    let rest = dividend - &quotient * &five;
    Number::rounded(
        negative,
        quotient,
        ten + two - shift,
        precision,
        !rest.is_zero(),
    )
}

impl Decimal {
    /// The exact decimal expansion; `None` for infinities.
    pub fn exact(n: &Number) -> Option<Decimal> {
        let parts = n.parts()?;
        let (digits, exponent) = expand(&parts.mantissa, parts.exponent);
        Some(Decimal::new(parts.negative, &digits, exponent))
    }

    /// The fewest digits that no other number of the same precision rounds to; `None` for infinities.
    pub fn shortest(n: &Number) -> Option<Decimal> {
        let parts = n.parts()?;
        if parts.mantissa.is_zero() {
            return Some(Decimal::new(parts.negative, &[], 0));
        }
        // More digits than the shortest form can have.
        let enough = i64::from(n.precision) / 3 + 8;
        let (digits, exponent) = leading(&parts.mantissa, parts.exponent, enough);
        let mut decimal = Decimal::new(parts.negative, &digits, exponent);
        // In units of half the last place at this precision, the neighbours' borders are one unit away.
        let unit = parts.top() - i64::from(n.precision) - 1;
        let middle = if parts.exponent >= unit {
            parts.mantissa << (parts.exponent - unit)
        } else {
            // A whole number: only zeros are lost, since it has no more bits than the precision.
            parts.mantissa >> (unit - parts.exponent)
        };
        let inclusive = !middle.bit(1);
        let lower = trimmed(&leading(&(&middle - 1u32), unit, enough).0);
        let upper = trimmed(&leading(&(&middle + 1u32), unit, enough).0);
        let at = |d: &[u8], i: usize| d.get(i).copied().unwrap_or(0);
        for i in 0..decimal.digits.len() {
            let (l, m, u) = (at(&lower, i), at(&decimal.digits, i), at(&upper, i));
            let down = l != m || (inclusive && i + 1 == lower.len());
            let up = m != u && (inclusive || m + 1 < u || i + 1 < upper.len());
            match (down, up) {
                (true, true) => decimal.round(i as i64 + 1),
                (true, false) => decimal.digits.truncate(i + 1),
                (false, true) => decimal.round_up(i + 1),
                (false, false) => continue,
            }
            decimal.trim();
            break;
        }
        Some(decimal)
    }

    fn new(negative: bool, digits: &[u8], exponent: i64) -> Decimal {
        let zeros = digits.iter().take_while(|d| **d == 0).count();
        let mut decimal = Decimal {
            negative,
            digits: digits[zeros..].to_vec(),
            exponent: exponent - zeros as i64,
        };
        decimal.trim();
        decimal
    }

    fn trim(&mut self) {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.exponent = 0;
        }
    }

    /// Keeps `count` digits, rounding half to even; a count below one may leave nothing or a single one.
    pub fn round(&mut self, count: i64) {
        if count >= self.digits.len() as i64 {
            return;
        }
        let Ok(kept) = usize::try_from(count) else {
            self.digits.clear();
            self.exponent = 0;
            return;
        };
        let half = self.digits.get(kept).copied().unwrap_or(0);
        let tie = half == 5 && kept + 1 == self.digits.len();
        let odd = kept > 0 && self.digits.get(kept - 1).is_some_and(|d| d % 2 == 1);
        if if tie { odd } else { half >= 5 } {
            self.round_up(kept);
        } else {
            self.digits.truncate(kept);
        }
        self.trim();
    }

    fn round_up(&mut self, count: usize) {
        self.digits.truncate(count);
        while let Some(last) = self.digits.pop() {
            if last < 9 {
                self.digits.push(last + 1);
                return;
            }
        }
        self.digits.push(1);
        self.exponent += 1;
    }

    /// `-123.45`, with as many places as there are digits.
    pub fn fixed(&self) -> String {
        let places = self.digits.len() as i64 - self.exponent;
        self.fixed_places(usize::try_from(places).unwrap_or(0))
    }

    /// `-123.450`: exactly `places` digits after the point. Does not round; see [`Decimal::round`].
    pub fn fixed_places(&self, places: usize) -> String {
        let mut out = String::new();
        if self.negative {
            out.push('-');
        }
        let digit = |i: i64| {
            let d = usize::try_from(i)
                .ok()
                .and_then(|i| self.digits.get(i))
                .copied()
                .unwrap_or(0);
            char::from(b'0' + d)
        };
        if self.exponent <= 0 {
            out.push('0');
        }
        out.extend((0..self.exponent).map(digit));
        if places > 0 {
            out.push('.');
            out.extend((0..places as i64).map(|i| digit(self.exponent + i)));
        }
        out
    }

    /// `-1.2345e+06`: exactly `places` digits after the point. Does not round.
    pub fn scientific(&self, places: usize, mark: char) -> String {
        let mut out = String::new();
        if self.negative {
            out.push('-');
        }
        let digit = |i: usize| char::from(b'0' + self.digits.get(i).copied().unwrap_or(0));
        out.push(digit(0));
        if places > 0 {
            out.push('.');
            out.extend((1..=places).map(digit));
        }
        let power = if self.digits.is_empty() {
            0
        } else {
            self.exponent - 1
        };
        out.push(mark);
        out.push(if power < 0 { '-' } else { '+' });
        out.push_str(&format!("{:02}", power.unsigned_abs()));
        out
    }

    /// The shorter of fixed and scientific, as C's `%g` chooses with this threshold for the exponent. Does not round.
    pub fn general(&self, threshold: i64, mark: char) -> String {
        let power = self.exponent - 1;
        if !self.digits.is_empty() && (power < -4 || power >= threshold) {
            return self.scientific(self.digits.len().saturating_sub(1), mark);
        }
        self.fixed()
    }
}

/// All decimal digits of `mantissa` × 2^`exponent`, and its decimal exponent.
fn expand(mantissa: &BigUint, exponent: i64) -> (Vec<u8>, i64) {
    let (digits, places) = if exponent >= 0 {
        ((mantissa << exponent).to_radix_be(10), 0)
    } else {
        (
            (mantissa * power_of_five(-exponent)).to_radix_be(10),
            -exponent,
        )
    };
    let whole = digits.len() as i64 - places;
    (digits, whole)
}

/// As [`expand`], but only the first digits, `count` or one more. What is cut off shows as a digit 1 behind them. The number
/// is not zero.
fn leading(mantissa: &BigUint, exponent: i64, count: i64) -> (Vec<u8>, i64) {
    if exponent.unsigned_abs() <= SMALL_EXPONENT {
        return expand(mantissa, exponent);
    }
    let magnitude = (mantissa.bits() as i64 + exponent) as f64 * std::f64::consts::LOG10_2;
    let places = count - magnitude as i64;
    // × 10^places
    let (two, five) = (exponent + places, power_of_five(places));
    let (mut dividend, mut divisor) = match places {
        0.. => (mantissa * five, BigUint::one()),
        _ => (mantissa.clone(), five),
    };
    match two {
        0.. => dividend <<= two,
        _ => divisor <<= -two,
    }
    let quotient = &dividend / &divisor;
    let mut digits = quotient.to_radix_be(10);
    let whole = digits.len() as i64 - places;
    if dividend != quotient * divisor {
        digits.push(1);
    }
    (digits, whole)
}

/// 5^|`power`|
fn power_of_five(power: i64) -> BigUint {
    Pow::pow(BigUint::from(5u32), power.unsigned_abs())
}

/// Digits without zeros at either end.
fn trimmed(digits: &[u8]) -> Vec<u8> {
    let start = digits.iter().take_while(|d| **d == 0).count();
    let end = digits
        .iter()
        .rposition(|d| *d != 0)
        .map_or(start, |i| i + 1);
    digits.get(start..end).unwrap_or_default().to_vec()
}
