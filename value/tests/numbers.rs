//! Arithmetic and text of numbers against what go-cty gives; recorded by `tools/record_numbers.go`.

use stead_value::{Decimal, Number};

#[test]
fn results_are_those_of_the_reference() {
    let golden = include_str!("numbers.txt");
    assert!(golden.lines().count() > 300);
    for line in golden.lines() {
        let columns: Vec<&str> = line.split(' ').collect();
        let [a, b, as_double, as_count, want @ ..] = &columns[..] else {
            panic!("{line}");
        };
        let (mut x, mut y) = (Number::parse(a).unwrap(), Number::parse(b).unwrap());
        if *as_double == "true" {
            x = Number::from_f64(x.to_f64()).unwrap();
        }
        if *as_count == "true" {
            y = Number::from(Number::parse(want[1]).unwrap().to_i64().unwrap());
        }
        let product = x.checked_mul(&y).unwrap();
        let mut ten_digits = Decimal::exact(&x).unwrap();
        ten_digits.round(10);
        let got = [
            x.to_string(),
            y.to_string(),
            x.checked_add(&y).unwrap().to_string(),
            x.checked_sub(&y).unwrap().to_string(),
            product.to_string(),
            x.checked_div(&y).unwrap().to_string(),
            x.checked_rem(&y).unwrap().to_string(),
            ten_digits.general(10, 'e'),
            product.precision().to_string(),
        ];
        assert_eq!(got, want, "{a} {b}");
    }
}
