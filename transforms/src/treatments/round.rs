//! `round`: numbers to the nearest multiple of a step.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::column::mapped;
use crate::number::{
    Decimal, Exact, ExactDigits, Float, FloatDigits, FloatStep, ForExact, Step, Unscalable,
    check_places, scale_of, with_exact,
};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Rounds a number to the nearest multiple of `to`, or to its first `significant` digits, half away
/// from zero. The type stays.
///
/// Order survives: a smaller number never becomes the larger one, though both may become equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The step, as decimal text greater than zero: `"1000"`, `"0.01"`. Coarser than the field's
    /// own last digit, or nothing would be hidden. Either this or `significant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Decimal>,
    /// How many digits are kept from the first that isn't zero, at least 1: with 2, 12345 becomes
    /// 12000 and 0.0126 becomes 0.013. A number that has no more digits stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub significant: Option<u32>,
}

/// What is rounded to, as one of the two ways to write it.
enum Target {
    Step(Decimal),
    Digits(u32),
}

impl Round {
    fn target(&self) -> Result<Target, Misfit> {
        match (self.to, self.significant) {
            (Some(_), Some(_)) => Err(Misfit::of_parameter(
                "significant",
                "`to` and `significant` are both given; write one of them",
            )),
            (None, None) => Err(Misfit::of_parameter(
                "to",
                "`to` or `significant` is required",
            )),
            (Some(to), None) if to.is_positive() => Ok(Target::Step(to)),
            (Some(_), None) => Err(Misfit::of_parameter("to", "`to` must be greater than zero")),
            (None, Some(0)) => Err(Misfit::of_parameter(
                "significant",
                "`significant` must be at least 1",
            )),
            (None, Some(digits)) => Ok(Target::Digits(digits)),
        }
    }
}

/// A step in units of 10^-`scale`.
fn exact(to: Decimal, scale: i8) -> Result<Step, Misfit> {
    let units = to.scaled(scale).map_err(|error| match error {
        Unscalable::Finer => finer(scale),
        Unscalable::TooLarge => {
            Misfit::of_parameter("to", "`to` is larger than any value of the field")
        }
    })?;
    Step::new(units).ok_or_else(|| finer(scale))
}

/// The step of a field whose unit is 10^-`scale` is no coarser than a unit, or is none of them.
fn finer(scale: i8) -> Misfit {
    Misfit::of_parameter(
        "to",
        format!(
            "`to` must be a multiple of the field's last digit and coarser than it, or rounding \
             hides nothing: the field has {scale} decimal places"
        ),
    )
    .with_hint("choose a coarser step")
}

/// Refuses to keep as many digits as the largest value of the type has.
fn check_digits(digits: u32, data_type: &DataType) -> Result<(), Misfit> {
    let has = match data_type {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) => {
            u32::from(*precision)
        }
        DataType::Float32 => 7,
        DataType::Float64 => 16,
        other => return Err(Misfit::of_type(Round::KIND, other, Round::FITS)),
    };
    if digits < has {
        return Ok(());
    }
    let what = format!("a {data_type} has {has} digits at most, so that rounding hides nothing");
    Err(Misfit::of_parameter("significant", what).with_hint("keep fewer digits"))
}

impl Definition for Round {
    const KIND: &'static str = "round";
    const SUMMARY: &'static str =
        "rounds to the nearest multiple of a step or to significant digits, half away from zero";
    const FITS: &'static str = "integers, decimals and floats";
    const EXAMPLE: &'static str = r#"{ kind = "round", to = "1000" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    /// True for a multiple of the step, and for no more digits.
    fn at_least(&self, floor: &Self) -> bool {
        match (self.target(), floor.target()) {
            (Ok(Target::Step(own)), Ok(Target::Step(floor))) => own.is_multiple_of(floor),
            (Ok(Target::Digits(own)), Ok(Target::Digits(floor))) => own <= floor,
            _ => false,
        }
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        let to = match self.target()? {
            Target::Digits(digits) => {
                check_digits(digits, column.data_type)?;
                return Ok(Some(column.data_type.clone()));
            }
            Target::Step(to) => to,
        };
        match (scale_of(column.data_type), column.data_type) {
            (Some(scale), _) => exact(to, scale).map(drop)?,
            (None, DataType::Float32 | DataType::Float64) => {
                check_places("to", to, column.data_type)?;
            }
            (None, other) => return Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
        Ok(Some(column.data_type.clone()))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let unfit = || Misfit::of_type(Self::KIND, column.data_type, Self::FITS);
        match (self.target()?, scale_of(column.data_type)) {
            (Target::Step(to), Some(scale)) => {
                let rounding = exact(to, scale)?;
                let builder = ExactBuilder {
                    column,
                    options,
                    rounding,
                };
                with_exact(column.data_type, builder).ok_or_else(unfit)?
            }
            (Target::Digits(digits), Some(_)) => {
                let rounding = ExactDigits::new(digits);
                let builder = ExactBuilder {
                    column,
                    options,
                    rounding,
                };
                with_exact(column.data_type, builder).ok_or_else(unfit)?
            }
            (Target::Step(to), None) => floats(column, options, FloatStep::new(to)),
            (Target::Digits(digits), None) => floats(column, options, FloatDigits::new(digits)),
        }
    }
}

/// A way to round exact numbers.
trait RoundExact: Send + Sync + 'static {
    fn round_exact<N: Exact>(&self, number: N) -> Option<N>;
}

impl RoundExact for Step {
    #[inline]
    fn round_exact<N: Exact>(&self, number: N) -> Option<N> {
        self.round(number)
    }
}

impl RoundExact for ExactDigits {
    #[inline]
    fn round_exact<N: Exact>(&self, number: N) -> Option<N> {
        self.round(number)
    }
}

struct ExactBuilder<'a, R> {
    column: Column<'a>,
    options: &'a Options,
    rounding: R,
}

impl<R: RoundExact> ForExact for ExactBuilder<'_, R> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let rounding = self.rounding;
        mapped::<T, _>(self.column, self.options, move |value| {
            let rounded = rounding.round_exact(value);
            rounded.filter(|rounded| *rounded >= least && *rounded <= greatest)
        })
    }
}

/// A way to round floats.
trait RoundFloat: Send + Sync + 'static {
    fn round_float<F: Float>(&self, number: F) -> Option<F>;
}

impl RoundFloat for FloatStep {
    #[inline]
    fn round_float<F: Float>(&self, number: F) -> Option<F> {
        self.round(number)
    }
}

impl RoundFloat for FloatDigits {
    #[inline]
    fn round_float<F: Float>(&self, number: F) -> Option<F> {
        self.round(number)
    }
}

fn floats(
    column: Column<'_>,
    options: &Options,
    rounding: impl RoundFloat,
) -> Result<Box<dyn Treatment>, Misfit> {
    match column.data_type {
        DataType::Float32 => {
            mapped::<Float32Type, _>(column, options, move |value| rounding.round_float(value))
        }
        DataType::Float64 => {
            mapped::<Float64Type, _>(column, options, move |value| rounding.round_float(value))
        }
        other => Err(Misfit::of_type(Round::KIND, other, Round::FITS)),
    }
}

#[cfg(test)]
mod tests {

    use arrow::array::{
        Array, ArrowPrimitiveType, AsArray, Decimal128Array, Decimal256Array, Float32Array,
        Float64Array, Int64Array, PrimitiveArray,
    };
    use arrow::datatypes::{
        Decimal128Type, Decimal256Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
    };
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::number::column::testing::{apply, misfit, treat, written};
    use crate::options::Scalar;

    fn decimals(values: Vec<i128>, precision: u8, scale: i8) -> Decimal128Array {
        Decimal128Array::from(values)
            .with_precision_and_scale(precision, scale)
            .unwrap()
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        let array = decimals(
            vec![123_450, 149_999, 150_000, -149_999, -150_000, 0],
            12,
            2,
        );
        let rounded = treat::<Round>(json!({ "to": "1000" }), array);
        let expected = vec![100_000, 100_000, 200_000, -100_000, -200_000, 0];
        assert_eq!(
            rounded.as_primitive::<Decimal128Type>(),
            &decimals(expected, 12, 2)
        );
    }

    #[test]
    fn seventeen_digits_stay_exact() {
        // As a double, 99999999999999.99 is 99999999999999.984375.
        let array = decimals(vec![9_999_999_999_999_999, 9_007_199_254_740_993], 17, 2);
        let rounded = treat::<Round>(json!({ "to": "0.03" }), array);
        let expected = decimals(vec![9_999_999_999_999_999, 9_007_199_254_740_993], 17, 2);
        assert_eq!(rounded.as_primitive::<Decimal128Type>(), &expected);
        let rounded = treat::<Round>(
            json!({ "to": "0.1" }),
            decimals(vec![9_999_999_999_999_995], 17, 2),
        );
        assert_eq!(
            rounded.as_primitive::<Decimal128Type>().value(0),
            10_000_000_000_000_000
        );
    }

    #[test]
    fn a_result_beyond_the_precision_is_invalid() {
        let array = decimals(vec![9_999_999_999_999_999_i128 * 10 + 9, 5], 17, 2);
        let round: Round = written(json!({ "to": "1000" }));
        let treated = apply(&round, &Options::default(), array).unwrap();
        assert!(treated.array.is_null(0) && treated.array.is_valid(1));
        assert_eq!(treated.counts.invalid, 1);
    }

    #[test]
    fn wide_decimals_are_exact() {
        let ten = |power| i256::from_i128(10).wrapping_pow(power);
        let just_below = ten(75).wrapping_sub(i256::ONE);
        let array = Decimal256Array::from(vec![just_below, just_below.wrapping_neg(), i256::ZERO])
            .with_precision_and_scale(76, 4)
            .unwrap();
        let rounded = treat::<Round>(json!({ "to": "0.001" }), array);
        let rounded = rounded.as_primitive::<Decimal256Type>();
        assert_eq!(
            &rounded.values()[..],
            [ten(75), ten(75).wrapping_neg(), i256::ZERO]
        );
        let full = ten(76).wrapping_sub(i256::ONE);
        let array = Decimal256Array::from(vec![full])
            .with_precision_and_scale(76, 0)
            .unwrap();
        assert!(treat::<Round>(json!({ "to": "10" }), array).is_null(0));
    }

    #[test]
    fn floats_follow_the_formula_and_what_is_not_finite_is_invalid() {
        let values = vec![31.225_f64, -1.005, f64::NAN, f64::INFINITY, 1e300];
        let rounded = treat::<Round>(json!({ "to": "0.01" }), Float64Array::from(values));
        let rounded = rounded.as_primitive::<Float64Type>();
        assert_eq!(
            rounded.value(0).to_bits(),
            ((31.225_f64 * 100.0).round() / 100.0).to_bits()
        );
        assert_eq!(
            rounded.value(1).to_bits(),
            ((-1.005_f64 * 100.0).round() / 100.0).to_bits()
        );
        assert_eq!(rounded.null_count(), 2);
        let single = treat::<Round>(json!({ "to": "25" }), Float32Array::from(vec![37.5, -37.5]));
        assert_eq!(
            &single.as_primitive::<Float32Type>().values()[..],
            [50.0, -50.0]
        );
    }

    #[test]
    fn nan_is_kept_only_as_a_sentinel() {
        let options = Options {
            sentinels: vec![Scalar::Text("NaN".into())],
            ..Options::default()
        };
        let round: Round = written(json!({ "to": "1" }));
        let treated = apply(&round, &options, Float64Array::from(vec![f64::NAN, 1.5])).unwrap();
        assert!(
            treated
                .array
                .as_primitive::<Float64Type>()
                .value(0)
                .is_nan()
        );
        assert_eq!((treated.counts.sentinels, treated.counts.invalid), (1, 0));
    }

    #[test]
    fn extremes_of_every_type_do_not_overflow() {
        fn both<T: ArrowPrimitiveType>(least: T::Native, greatest: T::Native) {
            for to in [
                "2",
                "3",
                "100",
                "10000000000000000000",
                "99999999999999999999999999999999999999",
            ] {
                let array = PrimitiveArray::<T>::from_iter_values([least, greatest]);
                let rounded = treat::<Round>(json!({ "to": to }), array);
                assert_eq!(rounded.len(), 2);
            }
        }
        both::<Int8Type>(i8::MIN, i8::MAX);
        both::<Int16Type>(i16::MIN, i16::MAX);
        both::<Int32Type>(i32::MIN, i32::MAX);
        both::<Int64Type>(i64::MIN, i64::MAX);
        both::<UInt8Type>(u8::MIN, u8::MAX);
        both::<UInt16Type>(u16::MIN, u16::MAX);
        both::<UInt32Type>(u32::MIN, u32::MAX);
        both::<UInt64Type>(u64::MIN, u64::MAX);
        both::<Float64Type>(f64::MIN, f64::MAX);
        // Not values of any precision, but values that a buffer may hold.
        let wild = decimals(vec![i128::MIN, i128::MAX], 38, 2);
        assert_eq!(treat::<Round>(json!({ "to": "0.1" }), wild).null_count(), 2);
        let wild = Decimal256Array::from(vec![i256::MIN, i256::MAX]);
        let wild = wild.with_precision_and_scale(76, 2).unwrap();
        assert_eq!(treat::<Round>(json!({ "to": "0.1" }), wild).null_count(), 2);
    }

    #[test]
    fn a_step_that_hides_nothing_is_a_misfit() {
        for (to, data_type) in [
            ("1", DataType::Int32),
            ("0.5", DataType::Int32),
            ("2.5", DataType::Int64),
            ("0.01", DataType::Decimal128(12, 2)),
            ("0.001", DataType::Decimal128(12, 2)),
            ("1", DataType::Decimal256(40, 0)),
            ("0.0000001", DataType::Float32),
            ("0.0000000000000001", DataType::Float64),
            ("0", DataType::Float64),
            ("-5", DataType::Int32),
        ] {
            let misfit = misfit::<Round>(json!({ "to": to }), &data_type);
            assert_eq!(misfit.parameter, Some("to"), "{to} {data_type}");
        }
    }

    #[test]
    fn other_types_do_not_fit() {
        for data_type in [
            DataType::Utf8,
            DataType::Date32,
            DataType::Boolean,
            DataType::Binary,
        ] {
            assert_eq!(
                misfit::<Round>(json!({ "to": "10" }), &data_type).parameter,
                None
            );
        }
    }

    #[test]
    fn a_multiple_reveals_no_more() {
        let round = |to: &str| written::<Round>(json!({ "to": to }));
        assert!(round("1000").at_least(&round("1000")));
        assert!(round("1000").at_least(&round("0.5")));
        assert!(!round("100").at_least(&round("1000")));
        assert!(!round("1500").at_least(&round("1000")));
    }

    #[test]
    fn the_step_is_written_as_text() {
        for table in [json!({ "to": 1000 }), json!({ "to": "1000", "too": 1 })] {
            assert!(serde_json::from_value::<Round>(table).is_err());
        }
        let round = written::<Round>(json!({ "to": "1000.0" }));
        assert_eq!(
            serde_json::to_value(&round).unwrap(),
            json!({ "to": "1000" })
        );
    }

    #[test]
    fn significant_digits_follow_the_size_of_the_value() {
        let table = || json!({ "significant": 2 });
        let array = decimals(vec![123_456, 126, -4_999, 7, 0, 995], 12, 2);
        let rounded = treat::<Round>(table(), array);
        let expected = decimals(vec![120_000, 130, -5_000, 7, 0, 1_000], 12, 2);
        assert_eq!(rounded.as_primitive::<Decimal128Type>(), &expected);
        let rounded = treat::<Round>(table(), Float64Array::from(vec![0.0126, -1_260.0]));
        assert_eq!(
            &rounded.as_primitive::<Float64Type>().values()[..],
            [0.013, -1_300.0]
        );
        let extremes = Int64Array::from(vec![i64::MIN, i64::MAX]);
        let rounded = treat::<Round>(json!({ "significant": 18 }), extremes);
        let rounded = rounded.as_primitive::<Int64Type>();
        assert!(rounded.is_null(0) && rounded.is_null(1));
    }

    #[test]
    fn as_many_digits_as_the_type_has_are_a_misfit() {
        for (digits, data_type) in [
            (0, DataType::Int32),
            (3, DataType::Int8),
            (19, DataType::Int64),
            (12, DataType::Decimal128(12, 2)),
            (7, DataType::Float32),
            (16, DataType::Float64),
        ] {
            let misfit = misfit::<Round>(json!({ "significant": digits }), &data_type);
            assert_eq!(
                misfit.parameter,
                Some("significant"),
                "{digits} {data_type}"
            );
        }
        let both = misfit::<Round>(json!({ "to": "10", "significant": 2 }), &DataType::Int32);
        assert_eq!(both.parameter, Some("significant"));
        assert_eq!(
            misfit::<Round>(json!({}), &DataType::Int32).parameter,
            Some("to")
        );
    }

    #[test]
    fn fewer_significant_digits_reveal_no_more() {
        let round = |digits: u32| written::<Round>(json!({ "significant": digits }));
        assert!(round(2).at_least(&round(2)) && round(1).at_least(&round(2)));
        assert!(!round(3).at_least(&round(2)));
        assert!(!round(1).at_least(&written(json!({ "to": "10" }))));
    }

    proptest! {
        #[test]
        fn rounding_twice_changes_nothing(values: Vec<Option<i64>>, to in 2_u32..) {
            let table = json!({ "to": to.to_string() });
            let once = treat::<Round>(table.clone(), Int64Array::from(values));
            let twice = treat::<Round>(table, once.as_primitive::<Int64Type>().clone());
            prop_assert_eq!(&once, &twice);
        }

        #[test]
        fn decimals_agree_with_integers(values: Vec<i64>, to in 2_i64..1_000_000_000) {
            let integers = treat::<Round>(json!({ "to": to.to_string() }), Int64Array::from(values.clone()));
            let wide = values.into_iter().map(i128::from).collect();
            let decimal = treat::<Round>(json!({ "to": to.to_string() }), decimals(wide, 38, 0));
            let decimal = decimal.as_primitive::<Decimal128Type>();
            for (row, integer) in integers.as_primitive::<Int64Type>().iter().enumerate() {
                let fits = i64::try_from(decimal.value(row)).ok();
                prop_assert_eq!(integer, fits);
            }
        }
    }
}
