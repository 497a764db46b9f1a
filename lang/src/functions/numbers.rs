//! Functions over numbers.

use num_bigint::BigInt;
use stead_value::convert::convert;
use stead_value::{Kind, Number, Type, Value};

use super::{Call, FunctionError, Outcome};

fn numeric<'a>(call: &Call<'a>, i: usize) -> Result<&'a Number, FunctionError> {
    call.arg(i)
        .as_number()
        .ok_or_else(|| FunctionError::argument(i, "a number is required"))
}

pub(super) fn abs(call: &Call<'_>) -> Outcome {
    Ok(Value::number(numeric(call, 0)?.abs()).with_marks(call.arg(0).marks()))
}

pub(super) fn ceil(call: &Call<'_>) -> Outcome {
    Ok(Value::number(numeric(call, 0)?.ceil()))
}

pub(super) fn floor(call: &Call<'_>) -> Outcome {
    Ok(Value::number(numeric(call, 0)?.floor()))
}

pub(super) fn log(call: &Call<'_>) -> Outcome {
    float_result(natural_log(call.float(0)?) / natural_log(call.float(1)?))
}

pub(super) fn pow(call: &Call<'_>) -> Outcome {
    float_result(power(call.float(0)?, call.float(1)?))
}

fn float_result(f: f64) -> Outcome {
    match Number::from_f64(f) {
        Some(n) => Ok(Value::number(n)),
        None => Err(FunctionError::new("the result is not a number")),
    }
}

/// Raises by repeated squaring of the mantissa, as the reference does: for whole exponents the last bit may differ from what
/// the C library gives.
fn power(x: f64, y: f64) -> f64 {
    let special = y == 0.0
        || x == 0.0
        || x == 1.0
        || y == 1.0
        || !x.is_finite()
        || !y.is_finite()
        || y.abs() >= 2f64.powi(53);
    if special || y == 0.5 || y == -0.5 || (x < 0.0 && y.fract() != 0.0) {
        return x.powf(y);
    }
    let (mut whole, mut fraction) = (y.abs().trunc(), y.abs().fract());
    let (mut product, mut exponent) = (1.0, 0i64);
    if fraction != 0.0 {
        if fraction > 0.5 {
            fraction -= 1.0;
            whole += 1.0;
        }
        product = exponential(fraction * natural_log(x));
    }
    let (mut factor, mut factor_exponent) = split(x);
    let mut count = whole as u64;
    while count != 0 {
        if !(-(1i64 << 12)..=1 << 12).contains(&factor_exponent) {
            // The result is beyond what a double holds, or below.
            exponent += factor_exponent;
            break;
        }
        if count & 1 == 1 {
            product *= factor;
            exponent += factor_exponent;
        }
        factor *= factor;
        factor_exponent <<= 1;
        if factor < 0.5 {
            factor += factor;
            factor_exponent -= 1;
        }
        count >>= 1;
    }
    if y < 0.0 {
        product = 1.0 / product;
        exponent = -exponent;
    }
    join(product, exponent)
}

/// The natural logarithm by the polynomial of FreeBSD's `e_log.c`, as the reference has it; the C library's differs now and then
/// in the last bit.
fn natural_log(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 || x.is_infinite() {
        return x.ln();
    }
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const COEFFICIENTS: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    let (mut mantissa, mut exponent) = split(x);
    if mantissa < std::f64::consts::FRAC_1_SQRT_2 {
        mantissa *= 2.0;
        exponent -= 1;
    }
    let (f, k) = (mantissa - 1.0, exponent as f64);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let [l1, l2, l3, l4, l5, l6, l7] = COEFFICIENTS;
    let odd = s2 * (l1 + s4 * (l3 + s4 * (l5 + s4 * l7)));
    let even = s4 * (l2 + s4 * (l4 + s4 * l6));
    let half = 0.5 * f * f;
    k * LN2_HIGH - ((half - (s * (half + (odd + even)) + k * LN2_LOW)) - f)
}

/// The exponential of what is not near a double's limits, as the reference computes it on today's processors: a Taylor
/// polynomial for a sixteenth of the rest, then four squarings.
fn exponential(x: f64) -> f64 {
    const LN2_UPPER: f64 = 0.693_147_180_559_662_956_511_601_805_686_950_683_593_75;
    const LN2_LOWER: f64 = 0.282_352_905_630_315_771_225_884_481_750_134_360_255_254_120_68e-12;
    // The inverse factorials from the eighth down to the first.
    const TERMS: [f64; 7] = [
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_6e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
        1.0,
    ];
    let exponent = (x * std::f64::consts::LOG2_E).round_ties_even();
    let rest = (-exponent).mul_add(LN2_UPPER, x);
    let rest = (-exponent).mul_add(LN2_LOWER, rest) * 0.0625;
    let polynomial = TERMS
        .iter()
        .fold(2.480_158_730_158_73e-5, |sum: f64, term| {
            sum.mul_add(rest, *term)
        });
    // One less than the result, squared: (1 + e)² = 1 + e (e + 2).
    let mut less_one = rest * polynomial;
    for _ in 0..3 {
        less_one *= less_one + 2.0;
    }
    join((less_one + 2.0).mul_add(less_one, 1.0), exponent as i64)
}

/// `x` as a mantissa in [0.5, 1) and an exponent.
fn split(x: f64) -> (f64, i64) {
    let (x, shift) = if x.abs() < f64::MIN_POSITIVE {
        (x * 2f64.powi(52), -52)
    } else {
        (x, 0)
    };
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1022;
    (
        f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52),
        exponent + shift,
    )
}

fn join(mantissa: f64, exponent: i64) -> f64 {
    let halves = exponent.clamp(-3000, 3000) as i32;
    let (a, b) = (halves / 3, halves - 2 * (halves / 3));
    mantissa * 2f64.powi(a) * 2f64.powi(a) * 2f64.powi(b)
}

pub(super) fn signum(call: &Call<'_>) -> Outcome {
    Ok(Value::number(call.int(0)?.signum()))
}

pub(super) fn max(call: &Call<'_>) -> Outcome {
    extreme(
        call.args
            .iter()
            .filter_map(Value::as_number)
            .max_by(|a, b| a.cmp(b).then(std::cmp::Ordering::Greater)),
    )
}

pub(super) fn min(call: &Call<'_>) -> Outcome {
    extreme(call.args.iter().filter_map(Value::as_number).min())
}

fn extreme(found: Option<&Number>) -> Outcome {
    found
        .map(|n| Value::number(n.clone()))
        .ok_or_else(|| FunctionError::new("must pass at least one number"))
}

pub(super) fn parseint_type(args: &[Value]) -> Result<Type, FunctionError> {
    match args.first().map(Value::ty) {
        Some(Type::String) | None => Ok(Type::Number),
        Some(other) => Err(FunctionError::argument(
            0,
            format!(
                "first argument must be a string, not {}",
                other.friendly_name()
            ),
        )),
    }
}

pub(super) fn parseint(call: &Call<'_>) -> Outcome {
    parseint_type(call.args)?;
    let text = call.text(0);
    let base = call.int(1).map_err(|e| FunctionError {
        argument: Some(1),
        ..e
    })?;
    if !(2..=62).contains(&base) {
        return Err(FunctionError::argument(
            1,
            "base must be a whole number between 2 and 62 inclusive",
        ));
    }
    parse_whole(text, base as u32)
        .map(|n| Value::number(Number::from(n)))
        .ok_or_else(|| {
            FunctionError::argument(
                0,
                format!(
                    "cannot parse {} as a base {base} integer",
                    super::quoted(text)
                ),
            )
        })
}

/// Digits are 0–9, a–z and A–Z; up to base 36 the case does not matter.
fn parse_whole(text: &str, base: u32) -> Option<BigInt> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = BigInt::from(0);
    for c in digits.chars() {
        let digit = match c {
            '0'..='9' => c as u32 - '0' as u32,
            'a'..='z' => c as u32 - 'a' as u32 + 10,
            'A'..='Z' if base <= 36 => c as u32 - 'A' as u32 + 10,
            'A'..='Z' => c as u32 - 'A' as u32 + 36,
            _ => return None,
        };
        if digit >= base {
            return None;
        }
        number = number * base + digit;
    }
    Some(if negative { -number } else { number })
}

/// More elements than anyone counts through; the reference's limit.
const MAX_RANGE: usize = 1024;

pub(super) fn range(call: &Call<'_>) -> Outcome {
    let numbers: Vec<Number> = call
        .args
        .iter()
        .filter_map(Value::as_number)
        .cloned()
        .collect();
    let toward = |start: &Number, end: &Number| Number::from(if end < start { -1i64 } else { 1 });
    let (start, end, step) = match &numbers[..] {
        [end] => (Number::zero(), end.clone(), toward(&Number::zero(), end)),
        [start, end] => (start.clone(), end.clone(), toward(start, end)),
        [start, end, step] => (start.clone(), end.clone(), step.clone()),
        _ => return Err(FunctionError::new("must have one, two, or three arguments")),
    };
    let down = step.is_negative();
    if down && end > start {
        return Err(FunctionError::argument(
            1,
            "end must be less than start when step is negative",
        ));
    }
    if !down && end < start {
        return Err(FunctionError::argument(
            1,
            "end must be greater than start when step is positive",
        ));
    }
    let mut values = Vec::new();
    let mut next = start;
    while if down { next > end } else { next < end } {
        if values.len() >= MAX_RANGE {
            return Err(FunctionError::new(
                "more than 1024 values were generated; either decrease the difference between start and end or use a smaller step",
            ));
        }
        let following = next
            .checked_add(&step)
            .ok_or_else(|| FunctionError::new("the range has no end"))?;
        values.push(Value::number(std::mem::replace(&mut next, following)));
    }
    Ok(Value::list(Type::Number, values))
}

pub(super) fn sum(call: &Call<'_>) -> Outcome {
    let list = call.arg(0);
    let items = match list.kind() {
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items,
        Kind::Map(..) | Kind::Object(_) if list.as_entries().is_some_and(|e| !e.is_empty()) => {
            let message = format!(
                "argument must be list, set, or tuple. Received {}",
                list.ty().friendly_name()
            );
            return Err(FunctionError::argument(0, message));
        }
        Kind::Map(..) | Kind::Object(_) => {
            return Err(FunctionError::argument(0, "cannot sum an empty list"));
        }
        _ => return Err(FunctionError::argument(0, "cannot sum noniterable")),
    };
    if items.is_empty() {
        return Err(FunctionError::argument(0, "cannot sum an empty list"));
    }
    if !list.is_wholly_known() {
        return Ok(Value::unknown(Type::Number));
    }
    let wrong =
        || FunctionError::argument(0, "argument must be list, set, or tuple of number values");
    let mut total: Option<Number> = None;
    for item in items.iter() {
        let item = convert(item, &Type::Number).map_err(|_| wrong())?;
        let n = item.as_number().ok_or_else(wrong)?;
        total = Some(match total {
            None => n.clone(),
            Some(t) => t
                .checked_add(n)
                .ok_or_else(|| FunctionError::new("can't compute sum of opposing infinities"))?,
        });
    }
    Ok(Value::number(total.unwrap_or_else(Number::zero)))
}
