//! Symbols in numbers, dates and times: a [`Lattice`] over the digits that are delivered.
//!
//! A value is its count of *units*: the last digit of a decimal's scale, of the decimals declared
//! for a float, the grain at which a time is delivered. Bits of a binary float would be lost as soon
//! as the leak is a CSV file; its decimals are not.
//! - **Integers and decimals** keep their sign, and zero stays zero.
//! - **Floats** carry marks where they are the float nearest to a decimal of the declared scale, of
//!   at most 15 digits, or 6 in single precision; others stay as they are. So floats are
//!   [rounded](Carrier::prepared) to their scale before they are marked, and of the tolerance one unit
//!   is left to the rounding: what is delivered is within the tolerance of what the source has. Values
//!   of special meaning aren't rounded, and nothing is rounded to one, to zero, or beyond a bound:
//!   such values stay as they are and carry nothing.
//! - **Times** move by whole grains, and keep what is finer: no digit appears that the source did
//!   not have. None leaves the years 1 to 9999, which is all that most programs read.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::datatypes::{ArrowPrimitiveType, DataType, TimeUnit, i256};

use super::coding::{Coding, Moving};
use super::lattice::Narrow;
use super::{Carrier, Lattice, Marks, check_type};
use crate::calendar::{Civil, DAY_SECONDS, per_second};
use crate::cases::failed;
use crate::error::{Misfit, TreatmentError};
use crate::marks::distortion::Distortion;
use crate::marks::predict::Reflection;
use crate::number::{Decimal, Exact, Float, ForExact, scale_of, with_exact};

/// Most decimals that a float can be declared to have.
const DECIMALS_MAX: u8 = 15;

/// What values of a field keep to, whatever the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits<T> {
    /// No value falls below.
    pub least: Option<T>,
    /// No value rises above.
    pub greatest: Option<T>,
    /// Values of special meaning: none is moved, and none comes about.
    pub sentinels: Vec<T>,
}

impl<T> Default for Limits<T> {
    fn default() -> Self {
        Self {
            least: None,
            greatest: None,
            sentinels: Vec::new(),
        }
    }
}

/// Symbols in the numbers, dates or times of one field.
#[derive(Debug, Clone)]
pub struct Numeric {
    data_type: DataType,
    coding: Coding,
    lattice: Lattice,
    /// The same for numbers of few digits, where there is one.
    narrow: Option<Narrow>,
    /// Of floats: the values of special meaning, whether the scale has them or not.
    sentinels: Vec<f64>,
}

impl Numeric {
    /// Of an integer or decimal field, whose values move by at most `tolerance`; none where that is
    /// less than a unit. Cells found by their own value are mirrored within blocks.
    ///
    /// # Errors
    /// The field is of another type.
    pub fn exact(
        data_type: &DataType,
        tolerance: Decimal,
        is_in_block: bool,
        limits: &Limits<Decimal>,
    ) -> Result<Option<Self>, Misfit> {
        let (Some(scale), Some((least, greatest))) =
            (scale_of(data_type), with_exact(data_type, Ends))
        else {
            return Err(Misfit::of_type(
                "mark",
                data_type,
                "whole numbers and decimals",
            ));
        };
        let lattice = Lattice::within(units(tolerance, scale).0, is_in_block);
        let lattice =
            lattice.map(|lattice| limited(lattice.with_bounds(least, greatest), limits, scale));
        Ok(Self::of(data_type, Coding::Exact, lattice, Vec::new()))
    }

    /// Of a float field that is delivered with so many decimals; as [`exact`](Self::exact), but that
    /// one unit of the tolerance is left to the rounding: none where it has fewer than two.
    ///
    /// # Errors
    /// The field is of another type, or has more decimals than a float tells apart.
    pub fn float(
        data_type: &DataType,
        decimals: u8,
        tolerance: Decimal,
        is_in_block: bool,
        limits: &Limits<Decimal>,
    ) -> Result<Option<Self>, Misfit> {
        // Half a unit would do in exact numbers; the rest is for the digits that floats don't hold.
        const ROUNDING: i128 = 1;
        let digits = match data_type {
            DataType::Float32 => 6,
            DataType::Float64 => 15,
            other => return Err(Misfit::of_type("mark", other, "floats")),
        };
        let of_type = |sentinel: &Decimal| match data_type {
            DataType::Float32 => <f32 as Float>::narrow(sentinel.to_f64()).widen(),
            _ => sentinel.to_f64(),
        };
        let scale = i8::try_from(decimals.min(DECIMALS_MAX)).unwrap_or_default();
        if decimals > DECIMALS_MAX {
            let what = format!("`decimals` is more than {DECIMALS_MAX}");
            return Err(Misfit::of_parameter("decimals", what));
        }
        let greatest = 10_i128.pow(digits) - 1;
        let room = units(tolerance, scale).0.saturating_sub(ROUNDING);
        let lattice = Lattice::within(room, is_in_block);
        let lattice =
            lattice.map(|lattice| limited(lattice.with_bounds(-greatest, greatest), limits, scale));
        let coding = Coding::Decimals(10_f64.powi(scale.into()));
        let sentinels = limits.sentinels.iter().map(of_type).collect();
        Ok(Self::of(data_type, coding, lattice, sentinels))
    }

    /// Of a date or timestamp field that is delivered in steps of `grain`, whose values move by at
    /// most `tolerance`; none where that is less than a grain. Limits are values of the type.
    ///
    /// # Errors
    /// The field is of another type, or the grain isn't a whole number of the type's values.
    pub fn time(
        data_type: &DataType,
        grain: Duration,
        tolerance: Duration,
        is_in_block: bool,
        limits: &Limits<i64>,
    ) -> Result<Option<Self>, Misfit> {
        let value = match data_type {
            DataType::Date32 => Duration::from_secs(DAY_SECONDS.unsigned_abs()),
            DataType::Timestamp(unit, _) => unit_of(*unit),
            other => return Err(Misfit::of_type("mark", other, "dates and timestamps")),
        };
        let (value, grain) = (value.as_nanos(), grain.as_nanos());
        let per_grain = grain
            .checked_div(value)
            .and_then(|count| i64::try_from(count).ok());
        let Some(per_grain) = per_grain.filter(|count| *count > 0 && grain % value == 0) else {
            let what = "the grain is not a whole number of the values of the type";
            return Err(Misfit::of_parameter(
                "tolerance",
                format!("{what} {data_type}"),
            ));
        };
        let tolerance = tolerance.as_nanos().checked_div(grain).unwrap_or_default();
        let tolerance = i128::try_from(tolerance).unwrap_or(i128::MAX);
        let (least, greatest) = years(data_type);
        let place = |value: i64| i128::from(value.div_euclid(per_grain));
        // Whole grains.
        let own = (
            place(least.saturating_sub(1)) + 1,
            place(greatest.saturating_add(1)) - 1,
        );
        // A limit within a grain is kept by staying out of that grain.
        let above = limits
            .least
            .map_or(own.0, |least| place(least.saturating_sub(1)) + 1);
        let below = limits
            .greatest
            .map_or(own.1, |most| place(most.saturating_add(1)) - 1);
        let sentinels = limits.sentinels.iter().map(|sentinel| place(*sentinel));
        let lattice = Lattice::within(tolerance, is_in_block);
        let lattice = lattice.map(|lattice| {
            lattice
                .with_bounds(own.0, own.1)
                .with_bounds(above, below)
                .with_sentinels(sentinels.collect())
        });
        Ok(Self::of(
            data_type,
            Coding::Grain(per_grain),
            lattice,
            Vec::new(),
        ))
    }

    /// Of numbers that show symbols by cells of so many units, and aren't moved; `sentinels` show nothing.
    /// None for a step of 0, or beyond 2^60.
    ///
    /// # Errors
    /// The field is of another type; a float without decimals, or another with.
    pub(super) fn of_step(
        data_type: &DataType,
        step: u64,
        decimals: Option<u8>,
        sentinels: &[Decimal],
    ) -> Result<Option<Self>, Misfit> {
        let (coding, scale) = match (scale_of(data_type), decimals) {
            (Some(scale), None) => (Coding::Exact, scale),
            (None, Some(decimals)) if data_type.is_floating() && decimals <= DECIMALS_MAX => {
                let scale = i8::try_from(decimals).unwrap_or_default();
                (Coding::Decimals(10_f64.powi(scale.into())), scale)
            }
            _ => return Err(Misfit::of_type("mark", data_type, "numbers")),
        };
        let whole = sentinels.iter().filter_map(|sentinel| {
            let (units, is_whole) = units(*sentinel, scale);
            is_whole.then_some(units)
        });
        let lattice = Lattice::new(Reflection::AtBorder { step });
        let lattice = lattice.map(|lattice| lattice.with_sentinels(whole.collect()));
        Ok(Self::of(data_type, coding, lattice, Vec::new()))
    }

    fn of(
        data_type: &DataType,
        coding: Coding,
        lattice: Option<Lattice>,
        sentinels: Vec<f64>,
    ) -> Option<Self> {
        lattice.map(|lattice| Self {
            data_type: data_type.clone(),
            coding,
            narrow: lattice.narrow(),
            lattice,
            sentinels,
        })
    }

    /// The same, of which so many blocks are one place of the code: see [`Lattice::with_span`].
    #[must_use]
    pub fn with_span(self, span: u32) -> Self {
        let lattice = self.lattice.with_span(span);
        Self {
            narrow: lattice.narrow(),
            lattice,
            ..self
        }
    }

    fn moving(&self) -> Moving<'_> {
        Moving {
            coding: self.coding,
            lattice: &self.lattice,
            narrow: self.narrow.as_ref(),
            sentinels: &self.sentinels,
        }
    }

    /// The units of every cell; none for null and for values that are no whole number of units.
    fn units(&self, column: &ArrayRef) -> Result<Vec<Option<i128>>, TreatmentError> {
        check_type(column, &self.data_type)?;
        let units = self.coding.units(column);
        units.ok_or_else(|| failed("reading numbers to be marked"))
    }
}

impl Carrier for Numeric {
    fn reflection(&self) -> Option<Reflection> {
        Some(self.lattice.reflection())
    }

    fn prepared(&self, column: &ArrayRef) -> Result<ArrayRef, TreatmentError> {
        check_type(column, &self.data_type)?;
        let rounded = self.moving().rounded(column);
        rounded.ok_or_else(|| failed("rounding numbers to be marked"))
    }

    fn read(&self, column: &ArrayRef) -> Result<Vec<Option<bool>>, TreatmentError> {
        let read = |units: Option<i128>| units.and_then(|units| self.lattice.read(units).ok());
        Ok(self.units(column)?.into_iter().map(read).collect())
    }

    fn write(
        &self,
        column: &ArrayRef,
        marks: &mut dyn Marks,
        distortion: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError> {
        check_type(column, &self.data_type)?;
        let marked = self.moving().written(column, marks, distortion);
        marked.ok_or_else(|| failed("writing marked numbers"))
    }

    fn blocks(&self, column: &ArrayRef) -> Result<Option<Vec<Option<i128>>>, TreatmentError> {
        if !self.has_blocks() {
            return Ok(None);
        }
        let block = |units: Option<i128>| units.map(|units| self.lattice.block(units));
        Ok(Some(self.units(column)?.into_iter().map(block).collect()))
    }
}

/// A number in units of 10^-`scale`, rounded down, and whether it is whole.
pub(super) fn units(number: Decimal, scale: i8) -> (i128, bool) {
    let narrow = |units: i256| {
        let bound = if units.is_negative() {
            i128::MIN
        } else {
            i128::MAX
        };
        units.to_i128().unwrap_or(bound)
    };
    if let Ok(units) = number.scaled(scale) {
        return (narrow(units), true);
    }
    let finest = number.scale().max(scale);
    let places = u32::from(finest.abs_diff(scale));
    let digits = number.scaled(finest).unwrap_or(i256::MAX);
    let power = i256::from_i128(10).checked_pow(places).unwrap_or(i256::MAX);
    let whole = digits.checked_div(power).unwrap_or_default();
    let is_below = digits.is_negative() && whole.wrapping_mul(power) != digits;
    (
        narrow(if is_below {
            whole.wrapping_sub(i256::ONE)
        } else {
            whole
        }),
        false,
    )
}

/// A lattice that keeps to the limits of numbers of that scale.
fn limited(lattice: Lattice, limits: &Limits<Decimal>, scale: i8) -> Lattice {
    let least = limits.least.map_or(i128::MIN, |least| {
        let (least, is_whole) = units(least, scale);
        least.saturating_add(i128::from(!is_whole))
    });
    let greatest = limits
        .greatest
        .map_or(i128::MAX, |greatest| units(greatest, scale).0);
    let sentinels = limits.sentinels.iter().filter_map(|sentinel| {
        let (units, is_whole) = units(*sentinel, scale);
        is_whole.then_some(units)
    });
    lattice
        .with_bounds(least, greatest)
        .with_sentinels(sentinels.collect())
        .with_sign()
}

/// The first and last value of a type of times in the years 1 to 9999, wherever on Earth it is shown,
/// as far as the type has them.
pub(super) fn years(data_type: &DataType) -> (i64, i64) {
    let day = |year, month, day| Civil { year, month, day }.to_days();
    let (first, last) = (day(1, 1, 1), day(9999, 12, 31));
    let DataType::Timestamp(unit, zone) = data_type else {
        return (first, last);
    };
    let away = i64::from(zone.is_some());
    let values = |days: i64| {
        days.saturating_mul(DAY_SECONDS)
            .saturating_mul(per_second(*unit))
    };
    (
        values(first + away),
        values(last + 1 - away).saturating_sub(1),
    )
}

fn unit_of(unit: TimeUnit) -> Duration {
    Duration::from_nanos(1_000_000_000 / per_second(unit).unsigned_abs())
}

/// The least and greatest number of a type, as far as 128 bits hold it.
pub(super) struct Ends;

impl ForExact for Ends {
    type Output = (i128, i128);

    fn call<T>(self, least: T::Native, greatest: T::Native) -> (i128, i128)
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        (
            least.wide().unwrap_or(i128::MIN),
            greatest.wide().unwrap_or(i128::MAX),
        )
    }
}
