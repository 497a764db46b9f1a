//! Arithmetic on numbers, rounded half to even.

use std::ops::Neg;

use num_bigint::BigUint;
use num_traits::Zero;

use super::{Big, Number, Repr};

/// `None` means that the result is not defined, as infinity minus infinity.
impl Number {
    pub fn checked_add(&self, other: &Number) -> Option<Number> {
        let precision = self.precision.max(other.precision);
        if let (Repr::Int(a), Repr::Int(b)) = (&self.repr, &other.repr)
            && let Some(sum) = a.checked_add(*b)
            && fits(sum, precision)
        {
            return Some(Number {
                repr: Repr::Int(sum),
                precision,
            });
        }
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) => Some(add(a, b, precision)),
            (None, None) if self.is_negative() != other.is_negative() => None,
            (None, _) => Some(self.clone()),
            (_, None) => Some(other.clone()),
        }
    }

    pub fn checked_sub(&self, other: &Number) -> Option<Number> {
        self.checked_add(&-other.clone())
    }

    /// The product; its precision grows up to 512 bits if that makes it exact.
    pub fn checked_mul(&self, other: &Number) -> Option<Number> {
        let precision = self.precision.max(other.precision);
        if let (Repr::Int(a), Repr::Int(b)) = (&self.repr, &other.repr)
            && let Some(product) = a.checked_mul(*b)
            && fits(product, precision)
            && (product != 0 || (*a >= 0 && *b >= 0))
        {
            return Some(Number {
                repr: Repr::Int(product),
                precision,
            });
        }
        let negative = self.is_negative() != other.is_negative();
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) => {
                let exact = Number::rounded(
                    negative,
                    a.mantissa * b.mantissa,
                    a.exponent + b.exponent,
                    Self::TEXT_PRECISION,
                    false,
                );
                let needed = match &exact.repr {
                    Repr::Big(b) => b.mantissa.bits() as u32,
                    Repr::Int(i) => {
                        64 - (i.unsigned_abs() >> i.trailing_zeros().min(63)).leading_zeros()
                    }
                    Repr::NegativeZero | Repr::Infinity { .. } => 0,
                };
                let precision = precision.max(needed).min(Self::TEXT_PRECISION);
                Some(Number {
                    repr: exact.repr,
                    precision,
                })
            }
            _ if self.is_zero() || other.is_zero() => None,
            _ => Some(Number::infinity(negative)),
        }
    }

    /// The quotient; a number divided by zero is infinite, zero by zero not defined.
    pub fn checked_div(&self, other: &Number) -> Option<Number> {
        let precision = self.precision.max(other.precision);
        let negative = self.is_negative() != other.is_negative();
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) if b.mantissa.is_zero() => {
                (!a.mantissa.is_zero()).then(|| Number::infinity(negative))
            }
            (Some(a), Some(b)) => Some(divide(negative, &a, &b, precision)),
            (None, None) => None,
            (None, Some(_)) => Some(Number::infinity(negative)),
            (Some(_), None) => Some(Number {
                repr: Repr::of(negative, BigUint::zero(), 0),
                precision,
            }),
        }
    }

    /// The remainder of the division truncated toward zero. As in the reference, a remainder by zero is the dividend, and
    /// with an infinity the result is that of a multiplication.
    pub fn checked_rem(&self, other: &Number) -> Option<Number> {
        if self.is_infinite() || other.is_infinite() {
            return self.checked_mul(other);
        }
        if other.is_zero() {
            return Some(self.clone());
        }
        // Exact only while the quotient is: see below.
        let ample = self.precision >= 64 && self.precision.max(other.precision) >= 128;
        if ample
            && let (Repr::Int(a), Repr::Int(b)) = (&self.repr, &other.repr)
            && (*a != 0 || *b > 0)
            && let Some(rest) = a.checked_rem(*b)
        {
            return Some(Number {
                repr: Repr::Int(rest),
                precision: self.precision,
            });
        }
        // The quotient is rounded like any other, so that with few bits the remainder may come out odd, as it does in the
        // reference.
        let times = self
            .checked_div(other)?
            .truncate()
            .with_precision(self.precision);
        let times = if times.is_zero() { times.abs() } else { times };
        let whole = times.exact_mul(other, self.precision)?;
        match (self.parts(), whole.parts()) {
            (Some(a), Some(b)) => Some(add(
                a,
                Big {
                    negative: !b.negative,
                    ..b
                },
                self.precision,
            )),
            _ => None,
        }
    }

    fn exact_mul(&self, other: &Number, precision: u32) -> Option<Number> {
        let (a, b) = (self.parts()?, other.parts()?);
        let negative = a.negative != b.negative;
        Some(Number::rounded(
            negative,
            a.mantissa * b.mantissa,
            a.exponent + b.exponent,
            precision,
            false,
        ))
    }

    #[must_use]
    pub fn abs(&self) -> Number {
        if self.is_negative() {
            -self.clone()
        } else {
            self.clone()
        }
    }

    /// The whole part, toward zero.
    #[must_use]
    pub fn truncate(&self) -> Number {
        match &self.repr {
            Repr::Big(b) if b.exponent < 0 => {
                let whole = &b.mantissa >> b.exponent.unsigned_abs();
                Number {
                    repr: Repr::of(b.negative, whole, 0),
                    precision: self.precision,
                }
            }
            _ => self.clone(),
        }
    }

    /// The largest whole number that is not greater.
    #[must_use]
    pub fn floor(&self) -> Number {
        self.whole_toward(true)
    }

    /// The smallest whole number that is not less.
    #[must_use]
    pub fn ceil(&self) -> Number {
        self.whole_toward(false)
    }

    fn whole_toward(&self, down: bool) -> Number {
        if self.is_integer() || self.is_infinite() {
            return self.clone();
        }
        let whole = self.truncate();
        if self.is_negative() != down {
            return whole;
        }
        let step = Number::from(if down { -1i64 } else { 1 });
        match (whole.parts(), step.parts()) {
            // Exact: a whole part beside a fraction is far from the limit of precision.
            (Some(a), Some(b)) => add(a, b, self.precision.max(Self::INT_PRECISION)),
            _ => whole,
        }
    }

    /// The same number held with another precision, rounded if need be.
    #[must_use]
    pub fn with_precision(&self, precision: u32) -> Number {
        match self.parts() {
            Some(b) => Number::rounded(b.negative, b.mantissa, b.exponent, precision, false),
            None => self.clone(),
        }
    }
}

impl Neg for Number {
    type Output = Number;

    fn neg(self) -> Number {
        let repr = match self.repr {
            Repr::Int(0) => Repr::NegativeZero,
            Repr::NegativeZero => Repr::Int(0),
            Repr::Infinity { negative } => Repr::Infinity {
                negative: !negative,
            },
            Repr::Int(i) => match i.checked_neg() {
                Some(n) => Repr::Int(n),
                None => Repr::of(false, BigUint::from(i.unsigned_abs()), 0),
            },
            Repr::Big(b) => Repr::of(!b.negative, b.mantissa.clone(), b.exponent),
        };
        Number {
            repr,
            precision: self.precision,
        }
    }
}

/// Whether the whole number needs no rounding at this precision.
fn fits(n: i64, precision: u32) -> bool {
    n.unsigned_abs().checked_shr(precision).unwrap_or(0) == 0
}

fn add(a: Big, b: Big, precision: u32) -> Number {
    if a.mantissa.is_zero() && b.mantissa.is_zero() {
        let negative = a.negative && b.negative;
        return Number {
            repr: Repr::of(negative, BigUint::zero(), 0),
            precision,
        };
    }
    let (mut high, mut low) =
        if a.mantissa.is_zero() || (!b.mantissa.is_zero() && a.top() < b.top()) {
            (b, a)
        } else {
            (a, b)
        };
    // What lies far below the last bit of the result can only tip the rounding: a single bit stands for it.
    let floor = high.top().min(high.exponent) - i64::from(precision) - 4;
    if !low.mantissa.is_zero() && low.top() < floor {
        low = Big {
            negative: low.negative,
            mantissa: BigUint::from(1u32),
            exponent: floor - 1,
        };
    }
    let exponent = high.exponent.min(low.exponent);
    high.mantissa <<= high.exponent - exponent;
    low.mantissa <<= if low.mantissa.is_zero() {
        0
    } else {
        low.exponent - exponent
    };
    let (negative, mantissa) = if high.negative == low.negative {
        (high.negative, high.mantissa + low.mantissa)
    } else if high.mantissa >= low.mantissa {
        (high.negative, high.mantissa - low.mantissa)
    } else {
        (low.negative, low.mantissa - high.mantissa)
    };
    // A difference of equals is plus zero.
    let negative = negative && !mantissa.is_zero();
    Number::rounded(negative, mantissa, exponent, precision, false)
}

fn divide(negative: bool, a: &Big, b: &Big, precision: u32) -> Number {
    // Enough bits that the quotient has two beyond the precision; the remainder only decides the rounding.
    let shift =
        (i64::from(precision) + 2 + b.mantissa.bits() as i64 - a.mantissa.bits() as i64).max(0);
    let dividend = &a.mantissa << shift;
    let quotient = &dividend / &b.mantissa;
    let rest = dividend - &quotient * &b.mantissa;
    // An inexact quotient has excess bits to round, so `sticky` is heard.
    Number::rounded(
        negative,
        quotient,
        a.exponent - b.exponent - shift,
        precision,
        !rest.is_zero(),
    )
}
