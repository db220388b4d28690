//! Rounding and flooring to multiples, in integer arithmetic.
//!
//! A number is its count of the field's smallest unit: one for an integer, 10^-s for a decimal of
//! scale s. Most values and steps fit 64 bits, where a division is one multiplication by a
//! reciprocal; the rest goes through 128 and at last 256 bits, with the same result.

#![expect(
    clippy::as_conversions,
    reason = "kernel: widening casts, and the halves of a product"
)]

use arrow::datatypes::i256;

/// A native value that counts whole units.
pub(crate) trait Exact: Copy + Default + PartialOrd + Send + Sync + 'static {
    /// The count, if 64 bits hold it.
    fn small(self) -> Option<i64>;
    /// The count, if 128 bits hold it.
    fn wide(self) -> Option<i128>;
    /// The count.
    fn widest(self) -> i256;
    /// The value of a count, if the type holds it.
    fn from_small(count: i64) -> Option<Self>;
    /// The value of a count, if the type holds it.
    fn from_wide(count: i128) -> Option<Self>;
    /// The value of a count, if the type holds it.
    fn from_widest(count: i256) -> Option<Self>;
}

macro_rules! integers {
    ($($native:ty),*) => {$(
        impl Exact for $native {
            #[inline]
            fn small(self) -> Option<i64> {
                i64::try_from(self).ok()
            }

            #[inline]
            fn wide(self) -> Option<i128> {
                Some(i128::from(self))
            }

            #[inline]
            fn widest(self) -> i256 {
                i256::from_i128(i128::from(self))
            }

            #[inline]
            fn from_small(count: i64) -> Option<Self> {
                Self::try_from(count).ok()
            }

            #[inline]
            fn from_wide(count: i128) -> Option<Self> {
                Self::try_from(count).ok()
            }

            #[inline]
            fn from_widest(count: i256) -> Option<Self> {
                count.to_i128().and_then(Self::from_wide)
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64, i128);

impl Exact for i256 {
    #[inline]
    fn small(self) -> Option<i64> {
        self.to_i128().and_then(|count| i64::try_from(count).ok())
    }

    #[inline]
    fn wide(self) -> Option<i128> {
        self.to_i128()
    }

    #[inline]
    fn widest(self) -> i256 {
        self
    }

    #[inline]
    fn from_small(count: i64) -> Option<Self> {
        Some(Self::from_i128(i128::from(count)))
    }

    #[inline]
    fn from_wide(count: i128) -> Option<Self> {
        Some(Self::from_i128(count))
    }

    #[inline]
    fn from_widest(count: i256) -> Option<Self> {
        Some(count)
    }
}

/// Division of 64-bit numbers by one divisor, by multiplication.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Divider {
    divisor: u64,
    /// The whole part of 2^64 / divisor.
    reciprocal: u64,
}

impl Divider {
    /// None below 2, whose reciprocal 64 bits do not hold.
    pub(crate) fn new(divisor: u64) -> Option<Self> {
        let reciprocal = (1_u128 << 64).checked_div(u128::from(divisor))?;
        Some(Self {
            divisor,
            reciprocal: u64::try_from(reciprocal).ok()?,
        })
    }

    /// The divisor.
    #[inline]
    pub(crate) fn divisor(self) -> u64 {
        self.divisor
    }

    /// The quotient and the remainder of `number`.
    #[inline]
    pub(crate) fn divide(self, number: u64) -> (u64, u64) {
        // The reciprocal is short by less than one 2^64th, so the quotient by at most one.
        let quotient = ((u128::from(number) * u128::from(self.reciprocal)) >> 64) as u64;
        let rest = number.wrapping_sub(quotient.wrapping_mul(self.divisor));
        if rest >= self.divisor {
            (quotient + 1, rest - self.divisor)
        } else {
            (quotient, rest)
        }
    }

    /// The remainder of `number`.
    #[inline]
    pub(crate) fn remainder(self, number: u64) -> u64 {
        self.divide(number).1
    }
}

/// A step, in units: the multiple that values are rounded to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    small: Option<Divider>,
    wide: Option<u128>,
    widest: i256,
}

impl Step {
    /// None unless the step is greater than one unit.
    pub(crate) fn new(units: i256) -> Option<Self> {
        let wide = units.to_i128().and_then(|units| u128::try_from(units).ok());
        let small = wide
            .and_then(|units| u64::try_from(units).ok())
            .and_then(Divider::new);
        (units > i256::ONE).then_some(Self {
            small,
            wide,
            widest: units,
        })
    }

    /// The nearest multiple of the step, half away from zero; none if the type does not hold it.
    #[inline]
    pub(crate) fn round<N: Exact>(&self, number: N) -> Option<N> {
        if let (Some(divider), Some(count)) = (self.small, number.small()) {
            let magnitude = count.unsigned_abs();
            let rest = divider.remainder(magnitude);
            let up = if rest >= divider.divisor - rest {
                divider.divisor
            } else {
                0
            };
            let rounded = (magnitude - rest).checked_add(up).map(i64::try_from);
            if let Some(Ok(rounded)) = rounded {
                return N::from_small(if count < 0 { -rounded } else { rounded });
            }
        }
        self.round_wide(number)
    }

    /// The same, where 64 bits hold the number, the step or the result not.
    #[cold]
    fn round_wide<N: Exact>(&self, number: N) -> Option<N> {
        let (Some(step), Some(count)) = (self.wide, number.wide()) else {
            return self.round_widest(number);
        };
        let magnitude = count.unsigned_abs();
        let rest = magnitude.checked_rem(step)?;
        let up = if rest >= step - rest { step } else { 0 };
        let Some(Ok(rounded)) = (magnitude - rest).checked_add(up).map(i128::try_from) else {
            return self.round_widest(number);
        };
        N::from_wide(if count < 0 { -rounded } else { rounded })
    }

    #[cold]
    fn round_widest<N: Exact>(&self, number: N) -> Option<N> {
        let count = number.widest();
        let rest = count.checked_rem(self.widest)?;
        let toward_zero = count.wrapping_sub(rest);
        // Compared without doubling, which could overflow.
        let magnitude = rest.checked_abs()?;
        if magnitude < self.widest.wrapping_sub(magnitude) {
            return N::from_widest(toward_zero);
        }
        let step = if count.is_negative() {
            self.widest.wrapping_neg()
        } else {
            self.widest
        };
        toward_zero.checked_add(step).and_then(N::from_widest)
    }
}

/// Half-open intervals of one width: what values are floored to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    small: Option<(Divider, i64)>,
    wide: Option<(i128, i128)>,
    width: i256,
    origin: i256,
}

impl Floor {
    /// None unless the width is greater than one unit. Interval n begins at `origin` + n · `width`.
    pub(crate) fn new(width: i256, origin: i256) -> Option<Self> {
        let wide = width.to_i128().zip(origin.to_i128());
        let small = wide.and_then(|(width, origin)| {
            Divider::new(u64::try_from(width).ok()?).zip(i64::try_from(origin).ok())
        });
        (width > i256::ONE).then_some(Self {
            small,
            wide,
            width,
            origin,
        })
    }

    /// The width of the intervals, in units.
    pub(crate) fn width(&self) -> i256 {
        self.width
    }

    /// The lower bound of the interval of `number`, if all of it fits 64 bits.
    #[inline]
    pub(crate) fn lower_small<N: Exact>(&self, number: N) -> Option<i64> {
        let (divider, origin) = self.small?;
        let count = number.small()?;
        if count >= origin {
            // The difference of two i64, taken modulo 2^64, is exact as u64.
            let rest = divider.remainder(count.wrapping_sub(origin) as u64);
            // The bound lies between origin and count.
            return Some(count.wrapping_sub(rest as i64));
        }
        let rest = divider.remainder(origin.wrapping_sub(count) as u64);
        let below = if rest == 0 { 0 } else { divider.divisor - rest };
        count.checked_sub_unsigned(below)
    }

    /// The lower bound of the interval of `number`, in units.
    pub(crate) fn lower_widest<N: Exact>(&self, number: N) -> Option<i256> {
        if let (Some((width, origin)), Some(count)) = (self.wide, number.wide()) {
            let lower = count
                .checked_sub(origin)
                .and_then(|distance| count.checked_sub(distance.rem_euclid(width)));
            if let Some(lower) = lower {
                return Some(i256::from_i128(lower));
            }
        }
        let count = number.widest();
        let rest = count.checked_sub(self.origin)?.checked_rem(self.width)?;
        let rest = if rest.is_negative() {
            rest.wrapping_add(self.width)
        } else {
            rest
        };
        count.checked_sub(rest)
    }

    /// The lower bound of the interval of `number`; none if the type does not hold it.
    #[inline]
    pub(crate) fn lower<N: Exact>(&self, number: N) -> Option<N> {
        match self.lower_small(number) {
            Some(lower) => N::from_small(lower),
            None => self.lower_widest(number).and_then(N::from_widest),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(units: i128) -> Step {
        Step::new(i256::from_i128(units)).unwrap()
    }

    fn floor(width: i128, origin: i128) -> Floor {
        Floor::new(i256::from_i128(width), i256::from_i128(origin)).unwrap()
    }

    /// Rounds by the definition, in 256 bits.
    fn nearest_multiple(number: i256, step: i256) -> Option<i256> {
        let two = i256::from_i128(2);
        let magnitude = number.checked_abs()?;
        let count = magnitude
            .checked_mul(two)?
            .checked_add(step)?
            .checked_div(step.checked_mul(two)?)?;
        let rounded = count.checked_mul(step)?;
        Some(if number.is_negative() {
            rounded.wrapping_neg()
        } else {
            rounded
        })
    }

    #[test]
    fn a_half_goes_away_from_zero() {
        let thousand = step(1000);
        for (number, rounded) in [
            (499, 0),
            (500, 1000),
            (1499, 1000),
            (1500, 2000),
            (-499, 0),
            (-500, -1000),
            (-1500, -2000),
        ] {
            assert_eq!(thousand.round(number as i64), Some(rounded as i64));
            assert_eq!(
                thousand.round(i128::from(number)),
                Some(i128::from(rounded))
            );
        }
        // An odd step has no half: 3 of 7 is below, 4 of 7 above.
        assert_eq!(
            (step(7).round(3_i32), step(7).round(4_i32)),
            (Some(0), Some(7))
        );
    }

    #[test]
    fn a_result_that_the_type_does_not_hold_is_none() {
        assert_eq!(step(100).round(i8::MAX), Some(100));
        assert_eq!(step(100).round(i8::MIN), Some(-100));
        assert_eq!(step(85).round(i8::MIN), None);
        assert_eq!(step(10).round(u8::MAX), None);
        assert_eq!(step(10).round(u64::MAX), None);
        assert_eq!(step(1 << 20).round(i64::MIN), Some(i64::MIN));
        assert_eq!(step(1000).round(i64::MIN), None);
        assert_eq!(step(1000).round(i64::MAX), None);
        assert_eq!(step(1000).round(i128::MAX), None);
        assert_eq!(step(10).round(i256::MIN), None);
        assert_eq!(floor(100, 0).lower(i8::MIN), None);
        assert_eq!(floor(1000, 0).lower(i64::MIN), None);
        assert_eq!(floor(1000, 0).lower(i256::MIN), None);
        assert_eq!(floor(1000, 0).lower(u64::MAX), Some(u64::MAX / 1000 * 1000));
    }

    #[test]
    fn a_step_of_one_unit_or_less_is_none() {
        for units in [i256::ONE, i256::ZERO, i256::MINUS_ONE] {
            assert!(Step::new(units).is_none());
            assert!(Floor::new(units, i256::ZERO).is_none());
        }
    }

    #[test]
    fn a_step_larger_than_every_value_leaves_zero() {
        let huge = Step::new(i256::from_i128(10).wrapping_pow(76)).unwrap();
        assert_eq!(huge.round(i64::MIN), Some(0));
        assert_eq!(huge.round(u64::MAX), Some(0));
        assert_eq!(step(1 << 64).round(u64::MAX), None);
        assert_eq!(step(1 << 65).round(u64::MAX), Some(0));
    }

    proptest! {
        #[test]
        fn the_reciprocal_divides_exactly(divisor in 2_u64.., number: u64) {
            let divider = Divider::new(divisor).unwrap();
            prop_assert_eq!(divider.divide(number), (number / divisor, number % divisor));
            prop_assert_eq!(divider.remainder(u64::MAX), u64::MAX % divisor);
            let multiple = number / divisor * divisor;
            prop_assert_eq!(divider.remainder(multiple), 0);
            prop_assert_eq!(divider.remainder(multiple.wrapping_sub(1)), multiple.wrapping_sub(1) % divisor);
        }

        #[test]
        fn small_divisors_divide_exactly(divisor in 2_u64..100_000, number: u64) {
            prop_assert_eq!(Divider::new(divisor).unwrap().remainder(number), number % divisor);
        }

        #[test]
        fn rounding_equals_the_definition_in_64_bits(number: i64, units in 2_i64..) {
            let exact = nearest_multiple(number.widest(), units.widest()).unwrap();
            prop_assert_eq!(step(units.into()).round(number), i64::from_widest(exact));
            prop_assert_eq!(step(units.into()).round(i128::from(number)), i128::from_widest(exact));
        }

        #[test]
        fn rounding_equals_the_definition_in_128_bits(number: i128, bits in 1_u32..126, low: u64) {
            let units = (1_i128 << bits) + i128::from(low);
            let exact = nearest_multiple(number.widest(), units.widest()).unwrap();
            prop_assert_eq!(step(units).round(number), i128::from_widest(exact));
        }

        #[test]
        fn rounding_finds_the_nearest_in_256_bits(low: u128, high: i128, bits in 1_u32..250, more: u32) {
            let number = i256::from_parts(low, high);
            let units = i256::from_i128(2).wrapping_pow(bits).wrapping_add(more.widest());
            let Some(rounded) = Step::new(units).unwrap().round(number) else { return Ok(()) };
            prop_assert_eq!(rounded.wrapping_rem(units), i256::ZERO);
            let distance = rounded.wrapping_sub(number).wrapping_abs();
            let other = units.wrapping_sub(distance);
            prop_assert!(distance <= other);
            // A tie is further from zero than the number.
            prop_assert!(distance < other || rounded.wrapping_abs() > number.wrapping_abs());
        }

        #[test]
        fn an_interval_contains_its_number(number: i64, width in 2_i64.., origin: i64) {
            let floor = floor(width.into(), origin.into());
            let lower = floor.lower_widest(number).unwrap().as_i128();
            prop_assert!(lower <= number.into());
            prop_assert!(i128::from(number) < lower + i128::from(width));
            prop_assert_eq!((lower - i128::from(origin)) % i128::from(width), 0);
            prop_assert_eq!(floor.lower(number).map(i128::from), i64::from_wide(lower).map(i128::from));
            prop_assert_eq!(floor.lower(i128::from(number)), Some(lower));
            prop_assert_eq!(floor.lower(number.widest()), Some(i256::from_i128(lower)));
        }

        #[test]
        fn an_interval_contains_its_number_in_128_bits(number: i128, width in 2_i128.., origin: i128) {
            let floor = floor(width, origin);
            let lower = floor.lower_widest(number).unwrap();
            prop_assert!(lower <= number.widest());
            prop_assert!(number.widest() < lower.wrapping_add(width.widest()));
        }

        #[test]
        fn doing_it_twice_changes_nothing(number: i64, units in 2_i64..1_000_000, origin in -1000_i64..1000) {
            if let Some(once) = step(units.into()).round(number) {
                prop_assert_eq!(step(units.into()).round(once), Some(once));
            }
            let floor = floor(units.into(), origin.into());
            if let Some(once) = floor.lower(number) {
                prop_assert_eq!(floor.lower(once), Some(once));
            }
        }
    }
}
