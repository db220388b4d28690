//! Decimal text in configuration: `"1000"`, `"0.01"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use arrow::datatypes::i256;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Most digits before the point, and most after it.
const DIGITS: usize = 38;

/// Ten to the power of [`DIGITS`]: the units in one whole.
const WHOLE: i128 = 10_i128.pow(38);

/// An exact decimal number of configuration, written as text so that no digit is lost.
///
/// At most 38 digits before the point and 38 after it, no exponent. Written back in its shortest
/// form: `"1000.00"` is `1000`. Ordered and compared by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal {
    /// The number in units of 10^-38.
    units: i256,
}

/// Text that is not a decimal number as configuration writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Something other than digits, one point and a sign.
    #[error(
        "not a decimal number; write digits with at most one point, such as \"1000\" or \"0.01\""
    )]
    Malformed,
    /// More digits than [`Decimal`] holds.
    #[error("a decimal number has at most 38 digits before the point and 38 after it")]
    TooLong,
}

/// Why a number cannot be written in whole units of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unscalable {
    /// It has digits below the scale.
    Finer,
    /// It is too large for 256 bits at that scale.
    TooLarge,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { units: i256::ZERO };

    /// True if the number is greater than zero.
    pub fn is_positive(self) -> bool {
        self.units > i256::ZERO
    }

    /// True if the number is a whole multiple of `other`; every number is a multiple of zero's
    /// only multiple, zero.
    pub(crate) fn is_multiple_of(self, other: Self) -> bool {
        self.units.checked_rem(other.units).unwrap_or(self.units) == i256::ZERO
    }

    /// The exact difference.
    pub(crate) fn minus(self, other: Self) -> Self {
        // Both are below 10^76, the difference below 2 * 10^76, and 256 bits hold 5.7 * 10^76.
        Self {
            units: self.units.wrapping_sub(other.units),
        }
    }

    /// The number in units of 10^-`scale`, if it is a whole number of them.
    pub(crate) fn scaled(self, scale: i8) -> Result<i256, Unscalable> {
        let shift = i32::from(scale) - 38;
        let power = i256::from_i128(10).checked_pow(shift.unsigned_abs());
        if shift >= 0 {
            let factor = power.ok_or(Unscalable::TooLarge)?;
            return self.units.checked_mul(factor).ok_or(Unscalable::TooLarge);
        }
        // A power beyond 256 bits is beyond every number but zero.
        match power {
            Some(power) if self.units.wrapping_rem(power) == i256::ZERO => {
                Ok(self.units.wrapping_div(power))
            }
            None if self.units == i256::ZERO => Ok(i256::ZERO),
            Some(_) | None => Err(Unscalable::Finer),
        }
    }

    /// Digits after the point, without trailing zeros.
    pub(crate) fn scale(self) -> i8 {
        (0..38)
            .find(|scale| self.scaled(*scale).is_ok())
            .unwrap_or(38)
    }

    /// `n` where the number is 10^-n, n from 0.
    pub(crate) fn negative_power_of_ten(self) -> Option<i8> {
        let scale = self.scale();
        (self.scaled(scale) == Ok(i256::ONE)).then_some(scale)
    }

    /// A whole number of units of 10^-`scale`, for scales from 0 to 38.
    pub(crate) fn whole(units: i64, scale: u8) -> Self {
        let power = i256::from_i128(10).wrapping_pow(38_u32.saturating_sub(scale.into()));
        Self {
            units: i256::from_i128(units.into()).wrapping_mul(power),
        }
    }

    /// The largest power of ten that is at most a thousandth of a positive number.
    pub(crate) fn thousandth_below(number: Self) -> Self {
        let ten = i256::from_i128(10);
        let mut power = Self { units: i256::ONE };
        // The product is below 10^76 as long as the comparison holds.
        while power.units.wrapping_mul(i256::from_i128(10_000)) <= number.units {
            power.units = power.units.wrapping_mul(ten);
        }
        power
    }

    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        // The standard library rounds decimal text correctly; a shift and a division would not.
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return Err(DecimalError::Malformed),
            Some((whole, fraction)) => (whole, fraction),
            None => (digits, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return Err(DecimalError::Malformed);
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if whole.len() > DIGITS || fraction.len() > DIGITS {
            return Err(DecimalError::TooLong);
        }
        let number = |digits: &str| -> i128 {
            digits
                .bytes()
                .fold(0, |number, digit| number * 10 + i128::from(digit - b'0'))
        };
        let fraction = number(&format!("{fraction:0<DIGITS$}"));
        let units = i256::from_i128(number(whole))
            .wrapping_mul(i256::from_i128(WHOLE))
            .wrapping_add(i256::from_i128(fraction));
        Ok(Self {
            units: if negative {
                units.wrapping_neg()
            } else {
                units
            },
        })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_units(&self.units.to_string(), 38, &mut text);
        f.write_str(&text)
    }
}

/// Appends a number given as its digits in units of 10^-`scale`: with a point, without an exponent,
/// without trailing zeros after the point.
pub(crate) fn write_units(units: &str, scale: i8, out: &mut String) {
    let digits = units.strip_prefix('-').unwrap_or(units);
    let Ok(scale) = usize::try_from(scale) else {
        // A negative scale counts tens or hundreds.
        out.push_str(units);
        if digits != "0" {
            out.extend(std::iter::repeat_n('0', usize::from(scale.unsigned_abs())));
        }
        return;
    };
    if digits.len() < units.len() {
        out.push('-');
    }
    let (whole, fraction) = match digits.len().checked_sub(scale) {
        Some(split) => digits.split_at_checked(split).unwrap_or((digits, "")),
        None => ("", digits),
    };
    out.push_str(if whole.is_empty() { "0" } else { whole });
    let kept = fraction.trim_end_matches('0');
    if !kept.is_empty() {
        out.push('.');
        out.extend(std::iter::repeat_n('0', scale - fraction.len()));
        out.push_str(kept);
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DecimalVisitor;

        impl DecimalVisitor {
            fn unquoted<E: de::Error>() -> E {
                E::custom("write the number as text, in quotes, so that no digit is lost")
            }
        }

        impl Visitor<'_> for DecimalVisitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number as text, such as \"1000\" or \"0.01\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Decimal, E> {
                Err(Self::unquoted())
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Decimal, E> {
                Err(Self::unquoted())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Decimal, E> {
                Err(Self::unquoted())
            }
        }

        deserializer.deserialize_any(DecimalVisitor)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
            "description": "a decimal number as text, so that no digit is lost"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn text_is_written_back_in_its_shortest_form() {
        for (written, shortest) in [
            ("0", "0"),
            ("-0", "0"),
            ("000", "0"),
            ("1000.00", "1000"),
            ("-0.50", "-0.5"),
            ("007.10", "7.1"),
            (
                "0.00000000000000000000000000000000000001",
                "0.00000000000000000000000000000000000001",
            ),
            (
                "99999999999999999999999999999999999999",
                "99999999999999999999999999999999999999",
            ),
        ] {
            assert_eq!(decimal(written).to_string(), shortest);
        }
    }

    #[test]
    fn text_that_is_not_a_decimal_is_refused() {
        for text in [
            "", "-", ".", "1.", ".5", "1e3", "1,000", "+1", " 1", "0x10", "１", "--1", "1.2.3",
        ] {
            assert_eq!(
                text.parse::<Decimal>(),
                Err(DecimalError::Malformed),
                "{text}"
            );
        }
        let long = "1".repeat(39);
        assert_eq!(long.parse::<Decimal>(), Err(DecimalError::TooLong));
        assert_eq!(
            format!("0.{long}").parse::<Decimal>(),
            Err(DecimalError::TooLong)
        );
    }

    #[test]
    fn numbers_without_quotes_are_refused_with_the_remedy() {
        for number in ["1000", "0.01", "-5"] {
            let error = serde_json::from_str::<Decimal>(number)
                .unwrap_err()
                .to_string();
            assert!(error.contains("in quotes"), "{error}");
        }
        assert_eq!(
            serde_json::from_str::<Decimal>("\"0.010\"").unwrap(),
            decimal("0.01")
        );
        assert_eq!(
            serde_json::to_string(&decimal("0.010")).unwrap(),
            "\"0.01\""
        );
    }

    #[test]
    fn scaling_is_exact_or_refused() {
        assert_eq!(decimal("1000").scaled(2), Ok(i256::from_i128(100_000)));
        assert_eq!(decimal("1000").scaled(-3), Ok(i256::ONE));
        assert_eq!(decimal("100").scaled(-3), Err(Unscalable::Finer));
        assert_eq!(decimal("0.01").scaled(1), Err(Unscalable::Finer));
        assert_eq!(
            decimal("0.01").scaled(76),
            Ok(i256::from_i128(10).wrapping_pow(74))
        );
        assert_eq!(decimal("1000").scaled(76), Err(Unscalable::TooLarge));
        assert_eq!(decimal("0").scaled(-128), Ok(i256::ZERO));
        assert_eq!(decimal("1").scaled(-128), Err(Unscalable::Finer));
    }

    #[test]
    fn negative_powers_of_ten_are_recognised() {
        assert_eq!(decimal("1").negative_power_of_ten(), Some(0));
        assert_eq!(decimal("0.010").negative_power_of_ten(), Some(2));
        assert_eq!(decimal("10").negative_power_of_ten(), None);
        assert_eq!(decimal("0.02").negative_power_of_ten(), None);
        assert_eq!(decimal("-0.1").negative_power_of_ten(), None);
    }

    #[test]
    fn multiples_are_exact() {
        assert!(decimal("0.3").is_multiple_of(decimal("0.1")));
        assert!(!decimal("1000").is_multiple_of(decimal("300")));
        assert!(decimal("0").is_multiple_of(decimal("7")));
        assert!(!decimal("1").is_multiple_of(decimal("0")));
    }

    #[test]
    fn units_are_written_with_a_point_and_no_trailing_zeros() {
        for (units, scale, text) in [
            ("12345", 2, "123.45"),
            ("-12300", 2, "-123"),
            ("5", 3, "0.005"),
            ("-50", 3, "-0.05"),
            ("0", 2, "0"),
            ("7", -2, "700"),
            ("0", -2, "0"),
        ] {
            let mut out = String::new();
            write_units(units, scale, &mut out);
            assert_eq!(out, text);
        }
    }

    proptest! {
        #[test]
        fn text_survives_the_way_there_and_back(whole: i64, fraction in 0_u32..1_000_000) {
            let number = decimal(&format!("{whole}.{fraction:06}"));
            prop_assert_eq!(decimal(&number.to_string()), number);
            let sign = if whole < 0 { -1 } else { 1 };
            let units = i128::from(whole) * 1_000_000 + sign * i128::from(fraction);
            prop_assert_eq!(number.scaled(6), Ok(i256::from_i128(units)));
        }
    }
}
