//! `top-bottom-code`: the few values beyond a limit become the limit.
//!
//! The largest incomes and the highest ages belong to so few people that the value alone names
//! them; below the limit, numbers stay useful as they are.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, i256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::column::mapped;
use crate::number::{Decimal, Exact, Float, ForExact, Unscalable, scale_of, with_exact};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Delivers the limit in place of every number beyond it. Numbers between the limits stay as they
/// are; the type stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopBottomCode {
    /// The least number delivered, as decimal text; absent means that nothing is too small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<Decimal>,
    /// The greatest number delivered, as decimal text; absent means that nothing is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<Decimal>,
    /// What is delivered in place of a number beyond a limit.
    #[serde(default, rename = "as")]
    pub shown: Shown,
}

/// What stands for a number beyond a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// The limit.
    #[default]
    Limit,
}

impl TopBottomCode {
    fn check(&self) -> Result<(), Misfit> {
        match (self.lower, self.upper) {
            (None, None) => Err(Misfit::of_parameter(
                "upper",
                "`lower` or `upper` is required",
            )),
            (Some(lower), Some(upper)) if lower >= upper => Err(Misfit::of_parameter(
                "lower",
                "`lower` must be less than `upper`",
            )),
            _ => Ok(()),
        }
    }

    /// The limits in units of 10^-`scale`.
    fn exact(&self, scale: i8) -> Result<(Option<i256>, Option<i256>), Misfit> {
        let units = |parameter: &'static str, limit: Option<Decimal>| {
            let units = limit.map(|limit| limit.scaled(scale)).transpose();
            units.map_err(|error| match error {
                Unscalable::Finer => Misfit::of_parameter(
                    parameter,
                    format!("`{parameter}` is finer than the field's {scale} decimal places"),
                ),
                Unscalable::TooLarge => beyond(parameter),
            })
        };
        Ok((units("lower", self.lower)?, units("upper", self.upper)?))
    }
}

/// The limit is not a value of the field.
fn beyond(parameter: &'static str) -> Misfit {
    Misfit::of_parameter(
        parameter,
        format!("`{parameter}` lies beyond every value of the field's type"),
    )
    .with_hint("choose a limit within the type, or leave it out")
}

impl Definition for TopBottomCode {
    const KIND: &'static str = "top-bottom-code";
    const SUMMARY: &'static str = "delivers the limit in place of numbers beyond it";
    const FITS: &'static str = "integers, decimals and floats";
    const EXAMPLE: &'static str = r#"{ kind = "top-bottom-code", lower = "0", upper = "100" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    /// True if every limit of the floor is there, no wider.
    fn at_least(&self, floor: &Self) -> bool {
        let lower = floor
            .lower
            .is_none_or(|floor| self.lower.is_some_and(|own| own >= floor));
        let upper = floor
            .upper
            .is_none_or(|floor| self.upper.is_some_and(|own| own <= floor));
        lower && upper && self.shown == floor.shown
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check()?;
        match (scale_of(column.data_type), column.data_type) {
            (Some(scale), data_type) => {
                let (lower, upper) = self.exact(scale)?;
                with_exact(data_type, Within { lower, upper })
                    .ok_or_else(|| Misfit::of_type(Self::KIND, data_type, Self::FITS))??;
            }
            (None, DataType::Float32 | DataType::Float64) => {}
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
        if let Some(scale) = scale_of(column.data_type) {
            let (lower, upper) = self.exact(scale)?;
            let builder = ExactBuilder {
                column,
                options,
                lower,
                upper,
            };
            return with_exact(column.data_type, builder).ok_or_else(unfit)?;
        }
        match column.data_type {
            DataType::Float32 => self.floats::<Float32Type>(column, options),
            DataType::Float64 => self.floats::<Float64Type>(column, options),
            _ => Err(unfit()),
        }
    }
}

impl TopBottomCode {
    fn floats<T>(&self, column: Column<'_>, options: &Options) -> Result<Box<dyn Treatment>, Misfit>
    where
        T: ArrowPrimitiveType,
        T::Native: Float,
    {
        let lower = self.lower.map_or(f64::NEG_INFINITY, Decimal::to_f64);
        let upper = self.upper.map_or(f64::INFINITY, Decimal::to_f64);
        mapped::<T, _>(column, options, move |value| {
            let number = value.widen();
            if !number.is_finite() {
                return None;
            }
            if number >= lower && number <= upper {
                return Some(value);
            }
            let limit = T::Native::narrow(number.clamp(lower, upper));
            limit.widen().is_finite().then_some(limit)
        })
    }
}

/// Asks whether the limits are values of the type.
struct Within {
    lower: Option<i256>,
    upper: Option<i256>,
}

impl ForExact for Within {
    type Output = Result<(), Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let within = |limit: i256| limit >= least.widest() && limit <= greatest.widest();
        if self.lower.is_some_and(|limit| !within(limit)) {
            return Err(beyond("lower"));
        }
        if self.upper.is_some_and(|limit| !within(limit)) {
            return Err(beyond("upper"));
        }
        Ok(())
    }
}

struct ExactBuilder<'a> {
    column: Column<'a>,
    options: &'a Options,
    lower: Option<i256>,
    upper: Option<i256>,
}

impl ForExact for ExactBuilder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let limit = |limit: Option<i256>, open| limit.map_or(Some(open), T::Native::from_widest);
        let lower = limit(self.lower, least).ok_or_else(|| beyond("lower"))?;
        let upper = limit(self.upper, greatest).ok_or_else(|| beyond("upper"))?;
        mapped::<T, _>(self.column, self.options, move |value| {
            // A buffer may hold what no precision allows.
            if value < least || value > greatest {
                return None;
            }
            Some(if value < lower {
                lower
            } else if value > upper {
                upper
            } else {
                value
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, AsArray, Decimal128Array, Float32Array, Float64Array, Int64Array, UInt64Array,
    };
    use arrow::datatypes::{Decimal128Type, Int64Type, UInt64Type};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::number::column::testing::{misfit, treat, written};

    #[test]
    fn numbers_beyond_a_limit_become_the_limit() {
        let array = Int64Array::from(vec![i64::MIN, -1, 0, 50, 100, 101, i64::MAX]);
        let coded = treat::<TopBottomCode>(json!({ "lower": "0", "upper": "100" }), array);
        let coded = coded.as_primitive::<Int64Type>();
        assert_eq!(&coded.values()[..], [0, 0, 0, 50, 100, 100, 100]);
        let top = treat::<TopBottomCode>(
            json!({ "upper": "18446744073709551614" }),
            UInt64Array::from(vec![0, u64::MAX]),
        );
        assert_eq!(
            &top.as_primitive::<UInt64Type>().values()[..],
            [0, u64::MAX - 1]
        );
    }

    #[test]
    fn decimals_are_compared_exactly() {
        let values = vec![9_007_199_254_740_993, 9_007_199_254_740_992];
        let array = Decimal128Array::from(values)
            .with_precision_and_scale(17, 2)
            .unwrap();
        let coded = treat::<TopBottomCode>(json!({ "upper": "90071992547409.92" }), array);
        let coded = coded.as_primitive::<Decimal128Type>();
        assert_eq!(&coded.values()[..], [9_007_199_254_740_992; 2]);
    }

    #[test]
    fn floats_that_are_not_finite_are_no_limit() {
        let array = Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, 3.5]);
        let coded = treat::<TopBottomCode>(json!({ "upper": "10" }), array);
        let coded = coded.as_primitive::<Float64Type>();
        assert_eq!(coded.null_count(), 3);
        assert_eq!((coded.value(3), coded.value(4)), (10.0, 3.5));
        let single =
            treat::<TopBottomCode>(json!({ "lower": "0.1" }), Float32Array::from(vec![0.0]));
        assert_eq!(&single.as_primitive::<Float32Type>().values()[..], [0.1]);
    }

    #[test]
    fn limits_that_cannot_be_are_a_misfit() {
        for (table, data_type, parameter) in [
            (json!({}), DataType::Int32, "upper"),
            (
                json!({ "lower": "5", "upper": "5" }),
                DataType::Int32,
                "lower",
            ),
            (json!({ "upper": "0.5" }), DataType::Int32, "upper"),
            (json!({ "upper": "200" }), DataType::Int8, "upper"),
            (json!({ "lower": "-1" }), DataType::UInt8, "lower"),
            (
                json!({ "upper": "1.234" }),
                DataType::Decimal128(12, 2),
                "upper",
            ),
            (
                json!({ "upper": "10000000000" }),
                DataType::Decimal128(12, 2),
                "upper",
            ),
        ] {
            let misfit = misfit::<TopBottomCode>(table.clone(), &data_type);
            assert_eq!(misfit.parameter, Some(parameter), "{table} {data_type}");
        }
        let text = misfit::<TopBottomCode>(json!({ "upper": "5" }), &DataType::Utf8);
        assert_eq!(text.parameter, None);
    }

    #[test]
    fn narrower_limits_reveal_no_more() {
        let code = |table| written::<TopBottomCode>(table);
        let floor = code(json!({ "lower": "0", "upper": "100" }));
        for (table, meets) in [
            (json!({ "lower": "0", "upper": "100" }), true),
            (json!({ "lower": "10", "upper": "90" }), true),
            (json!({ "lower": "0", "upper": "101" }), false),
            (json!({ "upper": "90" }), false),
        ] {
            assert_eq!(code(table.clone()).at_least(&floor), meets, "{table}");
        }
        assert!(floor.at_least(&code(json!({ "upper": "100" }))));
    }

    proptest! {
        #[test]
        fn results_lie_between_the_limits_and_keep_what_does(
            values: Vec<Option<i64>>, lower in -1_000_i64..0, upper in 1_i64..1_000_000,
        ) {
            let table = json!({ "lower": lower.to_string(), "upper": upper.to_string() });
            let coded = treat::<TopBottomCode>(table, Int64Array::from(values.clone()));
            for (own, coded) in values.iter().zip(coded.as_primitive::<Int64Type>()) {
                prop_assert_eq!(own.map(|own| own.clamp(lower, upper)), coded);
            }
        }
    }
}
