//! Quantities (`500m`, `1Gi`) in the canonical form in which the API server stores them.

/// The canonical form, or `None` when the text is no quantity.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (number, suffix) = split(text)?;
    let (mantissa, scale) = decimal(number)?;
    if let Some(power) = binary_power(suffix) {
        return binary(mantissa, scale, power);
    }
    if let Some(exponent) = suffix
        .strip_prefix(['e', 'E'])
        .and_then(|e| e.parse::<i32>().ok())
    {
        let (mantissa, scale) = trim(mantissa, scale.checked_add(exponent)?);
        return Some(if scale == 0 {
            mantissa.to_string()
        } else {
            exponent_form(mantissa, scale)
        });
    }
    let power = decimal_power(suffix)?;
    Some(decimal_form(mantissa, scale.checked_add(power)?))
}

fn split(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let end = end + (text.len() - digits.len());
    Some((text.get(..end)?, text.get(end..)?))
}

/// `-1.50` as (-150, -2).
fn decimal(text: &str) -> Option<(i128, i32)> {
    let negative = text.starts_with('-');
    let digits = text.trim_start_matches(['+', '-']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() > 30 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let all: String = [whole, fraction].concat();
    let value: i128 = all.parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?;
    Some(trim(if negative { -value } else { value }, -scale))
}

fn trim(mut mantissa: i128, mut scale: i32) -> (i128, i32) {
    if mantissa == 0 {
        return (0, 0);
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        scale += 1;
    }
    (mantissa, scale)
}

fn binary_power(suffix: &str) -> Option<u32> {
    ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
        .iter()
        .position(|s| *s == suffix)
        .and_then(|p| u32::try_from(p + 1).ok())
}

fn decimal_power(suffix: &str) -> Option<i32> {
    let powers = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    powers.iter().find(|(s, _)| *s == suffix).map(|(_, p)| *p)
}

fn binary(mantissa: i128, scale: i32, power: u32) -> Option<String> {
    let unit = 1024_i128.checked_pow(power)?;
    let product = mantissa.checked_mul(unit)?;
    let bytes = if scale >= 0 {
        product.checked_mul(10_i128.checked_pow(u32::try_from(scale).ok()?)?)?
    } else {
        let divisor = 10_i128.checked_pow(scale.unsigned_abs())?;
        if product % divisor != 0 {
            // What is not a whole number of bytes is kept as decimal thousandths, rounded up.
            let thousandths = (product.checked_mul(1000)? + divisor - 1) / divisor;
            return Some(decimal_form(thousandths, -3));
        }
        product / divisor
    };
    let (mut value, mut steps) = (bytes, 0_usize);
    while value != 0 && value % 1024 == 0 && steps < 6 {
        value /= 1024;
        steps += 1;
    }
    let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
        .get(steps)
        .copied()
        .unwrap_or_default();
    Some(format!("{value}{suffix}"))
}

fn decimal_form(mantissa: i128, scale: i32) -> String {
    let (mut mantissa, mut scale) = trim(mantissa, scale);
    while scale % 3 != 0 || scale > 18 {
        mantissa = mantissa.saturating_mul(10);
        scale -= 1;
    }
    let suffix = match scale {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        0 => "",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => return "1n".to_owned(),
    };
    format!("{mantissa}{suffix}")
}

fn exponent_form(mut mantissa: i128, mut scale: i32) -> String {
    while scale % 3 != 0 {
        mantissa = mantissa.saturating_mul(10);
        scale -= 1;
    }
    if scale == 0 {
        mantissa.to_string()
    } else {
        format!("{mantissa}e{scale}")
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn brings_quantities_to_their_canonical_form() {
        for (given, wanted) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("100", "100"),
            ("1000", "1k"),
            ("128974848", "128974848"),
            ("0", "0"),
            ("12e6", "12e6"),
            ("10G", "10G"),
            ("-2", "-2"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(wanted), "{given}");
        }
        for bad in ["", "x", "1.2.3", "5 Gi", "1Q"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }
}
