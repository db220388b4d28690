//! Rounding and flooring of floats.
//!
//! A float stands for the decimal it prints as, so bounds are compared after being brought to the
//! field's own precision: 0.3 belongs to `[0.3,0.4)` although the double nearest to 0.3 is smaller.

#![expect(
    clippy::as_conversions,
    reason = "kernel: conversions between floats and whole counts"
)]

use super::{Decimal, Unscalable, write_units};

/// Above this, neighbouring doubles are more than one apart.
const WHOLE_MAX: i128 = 1 << 53;

/// Ten to this power is the largest that a double holds exactly.
const EXACT_POWER: i8 = 22;

/// A native float.
pub(crate) trait Float: Copy + Default + Send + Sync + 'static {
    /// The same number as a double.
    fn widen(self) -> f64;
    /// The nearest number of this type.
    fn narrow(number: f64) -> Self;
}

impl Float for f32 {
    #[inline]
    fn widen(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn narrow(number: f64) -> Self {
        number as Self
    }
}

impl Float for f64 {
    #[inline]
    fn widen(self) -> f64 {
        self
    }

    #[inline]
    fn narrow(number: f64) -> Self {
        number
    }
}

/// The multiple that floats are rounded to. Single precision is computed in doubles.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FloatStep {
    /// Decimal places, as ten to their power: (x · 10^n).round() / 10^n.
    Places(f64),
    /// Any other step: (x / to).round() · to.
    Multiple(f64),
}

impl FloatStep {
    /// The step of a number greater than zero.
    pub(crate) fn new(to: Decimal) -> Self {
        match to.negative_power_of_ten() {
            Some(places) => Self::Places(power_of_ten(places)),
            None => Self::Multiple(to.to_f64()),
        }
    }

    /// The nearest multiple, half away from zero; none if it or the number is not finite.
    #[inline]
    pub(crate) fn round<F: Float>(self, number: F) -> Option<F> {
        let number = number.widen();
        let rounded = F::narrow(match self {
            Self::Places(power) => (number * power).round() / power,
            Self::Multiple(to) => (number / to).round() * to,
        });
        rounded.widen().is_finite().then_some(rounded)
    }
}

/// Half-open intervals of one width over floats. Bounds are counted in units of 10^-`scale`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FloatFloor {
    width: i128,
    origin: i128,
    scale: i8,
    power: f64,
    width_float: f64,
    origin_float: f64,
}

impl FloatFloor {
    /// The intervals that begin at `origin` + n · `width`, for a width greater than zero.
    pub(crate) fn new(width: Decimal, origin: Decimal) -> Result<Self, Unscalable> {
        let scale = width.scale().max(origin.scale());
        let units = |number: Decimal| {
            number
                .scaled(scale)
                .and_then(|units| units.to_i128().ok_or(Unscalable::TooLarge))
        };
        Ok(Self {
            width: units(width)?,
            origin: units(origin)?,
            scale,
            power: power_of_ten(scale),
            width_float: width.to_f64(),
            origin_float: origin.to_f64(),
        })
    }

    /// The width, in units.
    pub(crate) fn width(&self) -> i128 {
        self.width
    }

    /// Digits after the point of a unit.
    pub(crate) fn scale(&self) -> i8 {
        self.scale
    }

    /// The lower bound of the interval of `number`, in units.
    ///
    /// None for numbers that are not finite, and for those so far from the origin, or intervals so
    /// narrow, that floats do not tell two bounds apart.
    #[inline]
    pub(crate) fn lower<F: Float>(&self, number: F) -> Option<i128> {
        let number = number.widen();
        let guess = ((number - self.origin_float) / self.width_float).floor();
        if guess.is_nan() || guess.abs() >= WHOLE_MAX as f64 {
            return None;
        }
        let mut lower = self
            .width
            .checked_mul(guess as i128)?
            .checked_add(self.origin)?;
        // The quotient is off by a rounding error, never by a whole interval.
        for _ in 0..3 {
            let upper = lower.checked_add(self.width)?;
            if number < self.bound::<F>(lower) {
                lower = lower.checked_sub(self.width)?;
            } else if number >= self.bound::<F>(upper) {
                lower = upper;
            } else {
                return Some(lower);
            }
        }
        None
    }

    /// A bound as the float of the field's type nearest to it.
    #[inline]
    pub(crate) fn bound<F: Float>(&self, units: i128) -> f64 {
        let exact = units.abs() <= WHOLE_MAX && self.scale <= EXACT_POWER;
        // Two exact doubles divide to the nearest double.
        let nearest = if exact {
            units as f64 / self.power
        } else {
            nearest(units, self.scale)
        };
        F::narrow(nearest).widen()
    }
}

/// The double nearest to a number that does not divide exactly: by its text.
#[cold]
fn nearest(units: i128, scale: i8) -> f64 {
    let mut text = String::new();
    write_units(&units.to_string(), scale, &mut text);
    text.parse().unwrap_or(f64::NAN)
}

/// The double nearest to ten to the power of `exponent`.
pub(super) fn power_of_ten(exponent: i8) -> f64 {
    // By text, because powi accumulates an error.
    format!("1e{exponent}").parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(to: &str) -> FloatStep {
        FloatStep::new(to.parse().unwrap())
    }

    fn floor(width: &str, origin: &str) -> FloatFloor {
        FloatFloor::new(width.parse().unwrap(), origin.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_half_goes_away_from_zero() {
        assert_eq!(step("1").round(2.5), Some(3.0));
        assert_eq!(step("1").round(-2.5), Some(-3.0));
        assert_eq!(step("1000").round(1500.0), Some(2000.0));
        assert_eq!(step("0.5").round(-0.25), Some(-0.5));
        assert_eq!(step("0.01").round(1.005_f32), Some(1.0));
    }

    #[test]
    fn what_is_not_finite_is_none() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(step("0.01").round(number), None);
            assert_eq!(step("5").round(number), None);
            assert_eq!(floor("5", "0").lower(number), None);
        }
        // The formula's product overflows.
        assert_eq!(step("0.01").round(f64::MAX), None);
        assert_eq!(step("0.01").round(f32::MAX), Some(f32::MAX));
    }

    #[test]
    fn a_float_belongs_where_its_decimal_belongs() {
        for (number, lower) in [
            (0.3, 3),
            (0.7, 7),
            (1.1, 11),
            (-0.1, -1),
            (0.299, 2),
            (0.0, 0),
        ] {
            assert_eq!(floor("0.1", "0").lower(number), Some(lower));
            assert_eq!(floor("0.1", "0").lower(number as f32), Some(lower));
        }
    }

    #[test]
    fn numbers_beyond_the_precision_of_floats_are_none() {
        assert_eq!(floor("1", "0").lower(1e17), None);
        assert_eq!(floor("0.00000000000000000001", "1").lower(1.0), None);
        assert_eq!(floor("1", "0").lower(f64::MAX), None);
        assert_eq!(floor("1", "0").lower(f32::MIN), None);
    }

    proptest! {
        #[test]
        fn places_follow_the_formula(number: f64, places in 0_u8..16) {
            let to = if places == 0 { "1".to_owned() } else { format!("0.{:0>width$}", 1, width = usize::from(places)) };
            let power = 10_f64.powi(i32::from(places));
            let expected = (number * power).round() / power;
            let expected = expected.is_finite().then_some(expected.to_bits());
            prop_assert_eq!(step(&to).round(number).map(f64::to_bits), expected);
        }

        #[test]
        fn other_steps_follow_the_formula(number: f64, to in 2_u32..) {
            prop_assume!(!to.to_string().trim_end_matches('0').eq("1") || to > 1);
            let expected = (number / f64::from(to)).round() * f64::from(to);
            let expected = expected.is_finite().then_some(expected.to_bits());
            prop_assert_eq!(step(&to.to_string()).round(number).map(f64::to_bits), expected);
        }

        #[test]
        fn rounding_twice_changes_nothing(number in -1e9..1e9_f64, places in 1_usize..6) {
            let step = step(&format!("0.{:0>places$}", 1));
            let once = step.round(number).unwrap();
            prop_assert_eq!(step.round(once), Some(once));
        }

        #[test]
        fn an_interval_contains_its_number(number in -1e9..1e9_f64, width in 1_u32..100_000, origin in -1000_i32..1000) {
            let width = format!("{}.{:03}", width / 1000, width % 1000);
            let floor = floor(&width, &format!("{origin}.5"));
            let lower = floor.lower(number).unwrap();
            prop_assert!(floor.bound::<f64>(lower) <= number);
            prop_assert!(number < floor.bound::<f64>(lower + floor.width()));
            // The lower bound lies in its own interval.
            prop_assert_eq!(floor.lower(floor.bound::<f64>(lower)), Some(lower));
        }

        #[test]
        fn single_precision_stays_in_its_interval(number in -1e4_f32..1e4, width in 100_u32..100_000) {
            let floor = floor(&format!("{}.{:03}", width / 1000, width % 1000), "0");
            let lower = floor.lower(number).unwrap();
            let bound = floor.bound::<f32>(lower);
            prop_assert!(bound <= f64::from(number));
            prop_assert_eq!(floor.lower(bound as f32), Some(lower));
        }
    }
}
