//! Numbers, dates and times of every Arrow type as counts of units, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type};

use crate::calendar::{ForTime, with_time};
use crate::number::{Exact, Float, ForExact, with_exact};

/// What a unit is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coding {
    /// One of the type's own.
    Exact,
    /// So many values of the type.
    Grain(i64),
    /// One divided by this power of ten.
    Decimals(f64),
}

impl Coding {
    /// The units of every cell; none for null and for values that are no whole number of units.
    /// None for another type.
    pub(super) fn units(self, column: &ArrayRef) -> Option<Vec<Option<i128>>> {
        match self {
            Self::Exact => with_exact(column.data_type(), UnitsOfExact(column)),
            Self::Grain(per_grain) => {
                with_time(column.data_type(), UnitsOfTime { column, per_grain })
            }
            Self::Decimals(power) => float_units::<Float32Type>(column, power)
                .or_else(|| float_units::<Float64Type>(column, power)),
        }
    }

    /// The column with every value at a whole number of units, where the coding says which, the
    /// value has few enough digits and `is_rounded` agrees, given the value and its units: floats to
    /// the nearest decimal, halves away from zero. Others stay as they are. None for another type.
    pub(super) fn rounded(
        self,
        column: &ArrayRef,
        is_rounded: impl Fn(f64, i128) -> bool,
    ) -> Option<ArrayRef> {
        match self {
            Self::Exact | Self::Grain(_) => Some(Arc::clone(column)),
            Self::Decimals(power) => rounded_floats::<Float32Type>(column, power, &is_rounded)
                .or_else(|| rounded_floats::<Float64Type>(column, power, &is_rounded)),
        }
    }

    /// The column with these units in it, where there are any; other values stay as they are. None
    /// for another type, and for units the type doesn't hold.
    pub(super) fn with_units(self, column: &ArrayRef, units: &[Option<i128>]) -> Option<ArrayRef> {
        match self {
            Self::Exact => with_exact(column.data_type(), ExactOfUnits(column, units)).flatten(),
            Self::Grain(per_grain) => {
                let write = TimeOfUnits {
                    column,
                    units,
                    per_grain,
                };
                with_time(column.data_type(), write).flatten()
            }
            Self::Decimals(power) => floats_of::<Float32Type>(column, units, power)
                .or_else(|| floats_of::<Float64Type>(column, units, power)),
        }
    }
}

struct UnitsOfExact<'a>(&'a ArrayRef);

impl ForExact for UnitsOfExact<'_> {
    type Output = Vec<Option<i128>>;

    fn call<T>(self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let numbers = self.0.as_primitive_opt::<T>().into_iter().flatten();
        numbers.map(|number| number.and_then(Exact::wide)).collect()
    }
}

struct ExactOfUnits<'a>(&'a ArrayRef, &'a [Option<i128>]);

impl ForExact for ExactOfUnits<'_> {
    type Output = Option<ArrayRef>;

    fn call<T>(self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        replaced::<T>(self.0, self.1, |_, units| T::Native::from_wide(units))
    }
}

struct UnitsOfTime<'a> {
    column: &'a ArrayRef,
    per_grain: i64,
}

impl ForTime for UnitsOfTime<'_> {
    type Output = Vec<Option<i128>>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let times = self.column.as_primitive_opt::<T>().into_iter().flatten();
        let units = |time: T::Native| {
            let time: i64 = time.into();
            i128::from(time.div_euclid(self.per_grain))
        };
        times.map(|time| time.map(units)).collect()
    }
}

struct TimeOfUnits<'a> {
    column: &'a ArrayRef,
    units: &'a [Option<i128>],
    per_grain: i64,
}

impl ForTime for TimeOfUnits<'_> {
    type Output = Option<ArrayRef>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        replaced::<T>(self.column, self.units, |time, units| {
            let time: i64 = time.into();
            let grains = i64::try_from(units).ok()?.checked_mul(self.per_grain)?;
            let moved = grains.checked_add(time.rem_euclid(self.per_grain))?;
            moved.try_into().ok()
        })
    }
}

/// The units of floats; none for another type.
fn float_units<T>(column: &ArrayRef, power: f64) -> Option<Vec<Option<i128>>>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    let floats = column.as_primitive_opt::<T>()?;
    Some(
        floats
            .iter()
            .map(|float| decimal_units(float?, power))
            .collect(),
    )
}

fn floats_of<T>(column: &ArrayRef, units: &[Option<i128>], power: f64) -> Option<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    replaced::<T>(column, units, |_, units| Some(nearest(units, power)))
}

fn rounded_floats<T>(
    column: &ArrayRef,
    power: f64,
    is_rounded: &impl Fn(f64, i128) -> bool,
) -> Option<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    let floats = column.as_primitive_opt::<T>()?;
    let rounded = floats.unary::<_, T>(|float| match nearest_units(float, power) {
        Some(units) if is_rounded(float.widen(), units) => nearest(units, power),
        Some(_) | None => float,
    });
    Some(Arc::new(rounded))
}

/// The whole number of units nearest to a float; none where that has more than 15 digits.
#[expect(clippy::as_conversions, reason = "whole, and below 2^53")]
fn nearest_units<F: Float>(float: F, power: f64) -> Option<i128> {
    const DIGITS: f64 = 1e15;
    let units = (float.widen() * power).round();
    (units.abs() < DIGITS).then_some(units as i128)
}

/// The units of a float that is the nearest to a decimal.
fn decimal_units<F: Float>(float: F, power: f64) -> Option<i128> {
    let units = nearest_units(float, power)?;
    let is_nearest = nearest::<F>(units, power).widen().to_bits() == float.widen().to_bits();
    // Minus zero is the zero of another sign.
    (is_nearest || units == 0 && float.widen().abs() <= 0.0).then_some(units)
}

/// The float nearest to a decimal of at most 15 digits.
#[expect(clippy::as_conversions, reason = "below 2^53")]
fn nearest<F: Float>(units: i128, power: f64) -> F {
    F::narrow(units as f64 / power)
}

/// The column, with what `then` makes of a value and its new units where there are any.
fn replaced<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    units: &[Option<i128>],
    then: impl Fn(T::Native, i128) -> Option<T::Native>,
) -> Option<ArrayRef> {
    let own = column.as_primitive_opt::<T>()?;
    let mut values = own.values().to_vec();
    for (value, units) in values.iter_mut().zip(units) {
        if let Some(units) = units {
            *value = then(*value, *units)?;
        }
    }
    let marked = PrimitiveArray::<T>::new(values.into(), own.nulls().cloned());
    Some(Arc::new(marked.with_data_type(own.data_type().clone())))
}
