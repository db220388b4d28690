//! Exact arithmetic on numbers, and the walk over a column of them.
//!
//! A policy writes numbers as decimal text so that nothing is lost; [`Decimal`] keeps them exact.
//! Integers and decimals are then treated in integer arithmetic, floats by rules of their own: a
//! value never takes a detour through a float it did not come as. A rule is applied to every slot
//! of an Arrow array in one place, which settles nulls, values that do not fit, and sentinels.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

pub(crate) mod column;
pub(crate) mod converted;
mod decimal;
pub(crate) mod drawn;
mod exact;
mod float;
mod label;
pub mod noise;
mod significant;

pub use decimal::{Decimal, DecimalError};
pub(crate) use decimal::{Unscalable, write_units};
pub(crate) use exact::{Divider, Exact, Floor, Step};
pub(crate) use float::{Float, FloatFloor, FloatStep};
pub(crate) use label::{EdgeLabels, ExactLabels, FloatLabels, edge_labels};
pub(crate) use significant::{ExactDigits, FloatDigits};

use arrow::array::ArrowNativeTypeOp;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use crate::error::Misfit;

/// What is done with the Arrow type of an exact number, once it is known.
pub(crate) trait ForExact {
    /// What comes of it.
    type Output;

    /// Called with the type, and the least and greatest value a field of it holds.
    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact;
}

/// Digits after the point of an exact number: 0 for integers; none for every other type.
pub(crate) fn scale_of(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        integer if integer.is_integer() => Some(0),
        _ => None,
    }
}

/// Calls `then` with the Arrow type of an integer or decimal; none for every other type.
pub(crate) fn with_exact<F: ForExact>(data_type: &DataType, then: F) -> Option<F::Output> {
    fn all<T, F>(then: F) -> F::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
        F: ForExact,
    {
        then.call::<T>(T::Native::MIN_TOTAL_ORDER, T::Native::MAX_TOTAL_ORDER)
    }
    let greatest = |precision: u8| {
        i256::from_i128(10)
            .wrapping_pow(u32::from(precision))
            .wrapping_sub(i256::ONE)
    };
    Some(match data_type {
        DataType::Int8 => all::<Int8Type, F>(then),
        DataType::Int16 => all::<Int16Type, F>(then),
        DataType::Int32 => all::<Int32Type, F>(then),
        DataType::Int64 => all::<Int64Type, F>(then),
        DataType::UInt8 => all::<UInt8Type, F>(then),
        DataType::UInt16 => all::<UInt16Type, F>(then),
        DataType::UInt32 => all::<UInt32Type, F>(then),
        DataType::UInt64 => all::<UInt64Type, F>(then),
        DataType::Decimal128(precision, _) => {
            let greatest = greatest(*precision).to_i128()?;
            then.call::<Decimal128Type>(-greatest, greatest)
        }
        DataType::Decimal256(precision, _) => {
            let greatest = greatest(*precision);
            then.call::<Decimal256Type>(greatest.wrapping_neg(), greatest)
        }
        _ => return None,
    })
}

/// Refuses a parameter with more decimal places than a float has digits: it would hide nothing.
///
/// # Errors
/// The misfit, for a float; every other type passes.
pub(crate) fn check_places(
    parameter: &'static str,
    number: Decimal,
    data_type: &DataType,
) -> Result<(), Misfit> {
    let places_max = match data_type {
        DataType::Float32 => 6,
        DataType::Float64 => 15,
        _ => return Ok(()),
    };
    if number.scale() <= places_max {
        return Ok(());
    }
    let what = format!(
        "`{parameter}` has more than {places_max} decimal places, finer than a {data_type} is"
    );
    Err(Misfit::of_parameter(parameter, what).with_hint("choose a coarser one"))
}
