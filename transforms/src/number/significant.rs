//! Rounding to a number of significant digits: the step follows the size of the value.

use super::float::power_of_ten;
use super::{Exact, Float, Step};
use arrow::datatypes::i256;

/// Most digits that 256 bits count.
const DIGITS_MAX: u32 = 77;

/// Rounds exact numbers to their first digits.
#[derive(Debug, Clone)]
pub(crate) struct ExactDigits {
    digits: u32,
    /// Ten to the powers from 1 on, each as a step to round to.
    steps: Vec<Step>,
}

impl ExactDigits {
    /// For a number of digits of at least 1.
    pub(crate) fn new(digits: u32) -> Self {
        let powers = (1..DIGITS_MAX).map_while(|power| i256::from_i128(10).checked_pow(power));
        Self {
            digits,
            steps: powers.filter_map(Step::new).collect(),
        }
    }

    /// The nearest number with that many digits, half away from zero; none if the type does not
    /// hold it.
    #[inline]
    pub(crate) fn round<N: Exact>(&self, number: N) -> Option<N> {
        let surplus = digits_of(number)?.saturating_sub(self.digits);
        let Some(step) = surplus.checked_sub(1) else {
            return Some(number);
        };
        self.steps.get(usize::try_from(step).ok()?)?.round(number)
    }
}

/// How many digits a count has; none for the one count whose magnitude 256 bits do not hold.
#[inline]
fn digits_of<N: Exact>(number: N) -> Option<u32> {
    let below_first = match number.small() {
        Some(count) => count.unsigned_abs().checked_ilog10(),
        None => match number.wide() {
            Some(count) => count.unsigned_abs().checked_ilog10(),
            None => return widest_digits(number.widest()),
        },
    };
    Some(below_first.map_or(1, |power| power + 1))
}

#[cold]
fn widest_digits(count: i256) -> Option<u32> {
    let mut rest = count.checked_abs()?;
    let mut digits = 0;
    while rest != i256::ZERO {
        rest = rest.checked_div(i256::from_i128(10))?;
        digits += 1;
    }
    Some(digits)
}

/// Largest power of ten, and smallest, for which rounding is arithmetic; the rest goes by text.
const POWERS: i32 = 22;

/// Rounds floats to their first digits.
#[derive(Debug, Clone)]
pub(crate) struct FloatDigits {
    digits: i32,
    /// Ten to the powers from -[`POWERS`] to [`POWERS`].
    powers: Vec<f64>,
}

impl FloatDigits {
    /// For a number of digits of at least 1.
    pub(crate) fn new(digits: u32) -> Self {
        let exponents = i8::try_from(-POWERS).unwrap_or(0)..=i8::try_from(POWERS).unwrap_or(0);
        Self {
            digits: i32::try_from(digits).unwrap_or(i32::MAX),
            powers: exponents.map(power_of_ten).collect(),
        }
    }

    /// The nearest number with that many digits, half away from zero; none if it or the number is
    /// not finite.
    #[inline]
    pub(crate) fn round<F: Float>(&self, number: F) -> Option<F> {
        let wide = number.widen();
        if wide == 0.0 {
            return Some(number);
        }
        if !wide.is_finite() {
            return None;
        }
        let rounded = self.arithmetic(wide).or_else(|| self.by_text(wide))?;
        let rounded = F::narrow(rounded);
        rounded.widen().is_finite().then_some(rounded)
    }

    fn power(&self, exponent: i32) -> Option<f64> {
        let index = usize::try_from(exponent + POWERS).ok()?;
        self.powers.get(index).copied()
    }

    /// As `round` does for a step of a power of ten.
    #[inline]
    fn arithmetic(&self, number: f64) -> Option<f64> {
        let places = self.digits - 1 - self.decade(number.abs())?;
        if places >= 0 {
            let power = self.power(places)?;
            return Some((number * power).round() / power);
        }
        let power = self.power(-places)?;
        Some((number / power).round() * power)
    }

    /// The power of ten of the first digit.
    #[inline]
    fn decade(&self, magnitude: f64) -> Option<i32> {
        let binary = i32::try_from(magnitude.to_bits() >> 52).ok()? - 1023;
        // log10(2) from below: the guess is right or one short.
        let guess = (binary * 1233).div_euclid(4096);
        let next = self.power(guess + 1)?;
        Some(if magnitude >= next { guess + 1 } else { guess })
    }

    #[cold]
    fn by_text(&self, number: f64) -> Option<f64> {
        let after_first = usize::try_from(self.digits - 1).ok()?;
        format!("{number:.after_first$e}").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_keep_their_first_digits() {
        for (digits, number, rounded) in [
            (2, 12_345_i64, 12_000),
            (3, 12_350, 12_400),
            (1, -15, -20),
            (1, 95, 100),
            (2, 7, 7),
            (4, 0, 0),
            (1, i64::MIN, -9_000_000_000_000_000_000),
            (3, i64::MAX, 9_220_000_000_000_000_000),
        ] {
            assert_eq!(ExactDigits::new(digits).round(number), Some(rounded));
        }
        assert_eq!(ExactDigits::new(1).round(u64::MAX), None);
        assert_eq!(ExactDigits::new(2).round(i8::MIN), None);
        assert_eq!(ExactDigits::new(2).round(127_u8), Some(130));
    }

    #[test]
    fn counts_of_256_bits_keep_their_first_digits() {
        let ten = |power| i256::from_i128(10).wrapping_pow(power);
        let number = ten(75).wrapping_sub(i256::ONE);
        assert_eq!(ExactDigits::new(3).round(number), Some(ten(75)));
        let number = number.wrapping_neg();
        assert_eq!(
            ExactDigits::new(3).round(number),
            Some(ten(75).wrapping_neg())
        );
        assert_eq!(ExactDigits::new(3).round(i256::MIN), None);
    }

    #[test]
    fn floats_keep_their_first_digits() {
        for (digits, number, rounded) in [
            (3, 12_345.678, 12_300.0),
            (2, 0.001_26, 0.0013),
            (1, -0.95, -1.0),
            (3, 9.996, 10.0),
            (2, 1e22, 1e22),
            (2, 1.26e-300, 1.3e-300),
            (2, 1.26e300, 1.3e300),
            (2, 5e-324, 5e-324),
        ] {
            assert_eq!(FloatDigits::new(digits).round(number), Some(rounded));
        }
        assert_eq!(FloatDigits::new(1).round(f64::MAX), None);
        assert_eq!(FloatDigits::new(1).round(f64::NAN), None);
        assert_eq!(FloatDigits::new(2).round(f32::MAX), Some(3.4e38));
        assert_eq!(FloatDigits::new(1).round(0.26_f32), Some(0.3));
    }

    proptest! {
        #[test]
        fn the_error_is_at_most_half_a_unit_of_the_last_digit(number: i64, digits in 1_u32..19) {
            if let Some(rounded) = ExactDigits::new(digits).round(i128::from(number)) {
                let number = i128::from(number);
                let count = number.unsigned_abs().checked_ilog10().map_or(1, |power| power + 1);
                let unit = 10_i128.pow(count.saturating_sub(digits));
                prop_assert!((number - rounded).abs() * 2 <= unit);
                prop_assert_eq!(rounded % unit, 0);
            }
        }

        #[test]
        fn floats_agree_with_their_text(number in -1e15_f64..1e15, digits in 1_u32..15) {
            let rounded = FloatDigits::new(digits).round(number).unwrap();
            let after_first = usize::try_from(digits - 1).unwrap();
            let text: f64 = format!("{number:.after_first$e}").parse().unwrap();
            let agree = (rounded - text).abs() <= text.abs() * 1e-15 + f64::MIN_POSITIVE;
            // Half way between two results, text takes the even one and rounding goes away from zero.
            let tie = rounded.abs() > text.abs() && (rounded - number).abs() <= (number - text).abs();
            prop_assert!(agree || tie);
        }
    }
}
