use proptest::prelude::*;

use super::*;

fn n(text: &str) -> Number {
    Number::parse(text).unwrap()
}

#[test]
fn reads_what_the_reference_reads() {
    for (text, want) in [
        ("0", "0"),
        ("-0", "-0"),
        ("007", "7"),
        ("1e3", "1000"),
        ("1.50", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+5", "5"),
        ("-1.5e-3", "-0.0015"),
        ("1p3", "8"),
        ("Inf", "+Inf"),
        ("-inf", "-Inf"),
        ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775808", "-9223372036854775808"),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        ),
        (
            "3.1415926535897932384626433832795028841971",
            "3.1415926535897932384626433832795028841971",
        ),
    ] {
        assert_eq!(n(text).to_string(), want, "{text}");
    }
    for text in [
        "",
        "-",
        "+",
        ".",
        "e3",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        " 1",
        "1 ",
        "١",
        "NaN",
        "1.2.3",
        "--1",
        "1e99999999999999999999",
    ] {
        assert!(Number::parse(text).is_none(), "{text}");
    }
}

#[test]
fn arithmetic_has_512_bits() {
    assert_eq!(n("0.1").checked_add(&n("0.2")).unwrap(), n("0.3"));
    let third = n("1").checked_div(&n("3")).unwrap();
    assert_eq!(third.checked_mul(&n("3")).unwrap(), n("1"));
    assert_eq!(third.to_string().len(), 2 + 155);
    let short = Number::from(1i64).checked_div(&Number::from(3i64)).unwrap();
    assert_eq!(short.to_string(), "0.33333333333333333334");
    assert_eq!(
        n("1").checked_div(&n("0")).unwrap(),
        Number::infinity(false)
    );
    assert!(n("0").checked_div(&n("0")).is_none());
    assert_eq!(n("-7").checked_rem(&n("3")).unwrap(), n("-1"));
    assert_eq!(n("7.5").checked_rem(&n("2")).unwrap(), n("1.5"));
    assert_eq!(n("1").checked_rem(&n("0")).unwrap(), n("1"));
    assert_eq!((-n("0")).to_string(), "-0");
    assert_eq!(n("1e300").checked_add(&n("1e-300")).unwrap(), n("1e300"));
}

#[test]
fn doubles_print_their_shortest_decimal() {
    for (f, want) in [
        (2f64.powi(100), "1267650600228229400000000000000"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (5e-324, "0.000"),
        (1.0 / 3.0, "0.3333333333333333"),
    ] {
        let text = Number::from_f64(f).unwrap().to_string();
        assert!(text.starts_with(want), "{f}: {text}");
    }
    assert!(Number::from_f64(f64::NAN).is_none());
}

#[test]
fn floor_and_ceil() {
    for (x, floor, ceil) in [
        ("1.5", "1", "2"),
        ("-1.5", "-2", "-1"),
        ("0.2", "0", "1"),
        ("-0.2", "-1", "-0"),
        ("3", "3", "3"),
    ] {
        assert_eq!(n(x).floor().to_string(), floor, "floor {x}");
        assert_eq!(n(x).ceil().to_string(), ceil, "ceil {x}");
    }
}

proptest! {
    #[test]
    fn text_round_trips(whole in "-?[0-9]{1,60}", fraction in "[0-9]{0,60}") {
        let a = n(&format!("{whole}.{fraction}"));
        let b = n(&a.to_string());
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(a.to_string(), b.to_string());
    }

    #[test]
    fn doubles_round_trip(f in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
        let a = Number::from_f64(f).unwrap();
        prop_assert_eq!(a.to_f64().to_bits(), f.to_bits());
        prop_assert_eq!(n(&a.to_string()).to_f64().to_bits(), f.to_bits());
    }

    #[test]
    fn nearest_double_of_text(text in "[0-9]{1,25}\\.[0-9]{1,25}e-?[0-9]{1,3}") {
        prop_assert_eq!(n(&text).to_f64(), text.parse::<f64>().unwrap());
    }

    #[test]
    fn agrees_with_whole_number_arithmetic(a in any::<i64>(), b in any::<i64>()) {
        let (x, y) = (Number::from(a).with_precision(512), Number::from(b).with_precision(512));
        let (p, q) = (BigInt::from(a), BigInt::from(b));
        prop_assert_eq!(x.checked_add(&y).unwrap().to_bigint().unwrap(), &p + &q);
        prop_assert_eq!(x.checked_sub(&y).unwrap().to_bigint().unwrap(), &p - &q);
        prop_assert_eq!(x.checked_mul(&y).unwrap().to_bigint().unwrap(), &p * &q);
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        if b != 0 {
            prop_assert_eq!(x.checked_rem(&y).unwrap().to_bigint().unwrap(), &p % &q);
        }
    }

    #[test]
    fn addition_is_exact_or_rounded_once(a in "[0-9]{1,30}\\.[0-9]{1,30}", b in "[0-9]{1,30}\\.[0-9]{1,30}") {
        let (x, y) = (n(&a), n(&b));
        let sum = x.checked_add(&y).unwrap();
        let back = sum.checked_sub(&y).unwrap();
        let error = back.checked_sub(&x).unwrap().abs();
        prop_assert!(error <= n("1e-110"), "{}", error);
        prop_assert_eq!(y.checked_add(&x).unwrap(), sum);
    }
}

/// Reading and printing costs what the digits cost that are shown, not what the exact value's would.
#[test]
fn far_exponents_are_short() {
    for text in [
        "1e99999",
        "1e-99999",
        "-123456789e50000",
        "7.000000000000000000000001e-9000",
    ] {
        let number = Number::parse(text).unwrap();
        let shortest = Decimal::shortest(&number).unwrap();
        let digits: String = shortest
            .digits
            .iter()
            .map(|d| char::from(b'0' + d))
            .collect();
        let given: String = text
            .split('e')
            .next()
            .unwrap()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        assert_eq!(digits, given.trim_end_matches('0'), "{text}");
        assert_eq!(Number::parse(&number.to_string()), Some(number), "{text}");
    }
    let quotient = Number::parse("99999818.9")
        .unwrap()
        .checked_div(&Number::parse("99999999E99999").unwrap())
        .unwrap();
    assert_eq!(Number::parse(&quotient.to_string()), Some(quotient));
    for text in ["1e400001", "1e-400001", "1e399999", "-1e-399999"] {
        assert!(Number::parse(text).is_none(), "{text}");
    }
}
