//! Symbols in values that stand for many: which of them is delivered.
//!
//! A treatment that makes a day of the month, or a thousand of an income, delivers what stands for the
//! whole, and any of it would do as well. The mark chooses: the upper half of the interval is a 1, the
//! lower a 0, and which value of the half it is, the key draws for the cell and the grant. That is a
//! function of the interval as released and of the cell's position, and not of the original: no
//! precision comes back. Values have whole units of their type, times whole days or seconds.
//!
//! An interval of one value has no halves, and carries nothing; neither do values of special meaning, nor
//! units of the calendar that clocks put back or cut into something else.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

use super::coding::Coding;
use super::numeric::{Ends, units, years};
use super::{CELLS, Carrier, Left, Mark, Marks, Skip, check_type};
use crate::calendar::{DAY_SECONDS, ForTime, Zone, per_second, with_time};
use crate::cases::failed;
use crate::error::{Misfit, TreatmentError};
use crate::marks::distortion::Distortion;
use crate::marks::predict::Reflection;
use crate::number::{Decimal, Exact, ForExact, scale_of, with_exact};
use crate::treatments::date_trunc::Unit;

/// Symbols in the values of one field that stand for intervals.
#[derive(Debug, Clone)]
pub struct Representative {
    data_type: DataType,
    bands: Bands,
    /// Values of special meaning, as the type counts them.
    sentinels: Vec<i128>,
}

/// How values are put together.
#[derive(Debug, Clone)]
enum Bands {
    Width {
        width: i128,
        origin: i128,
        /// The least and the greatest value of the type.
        ends: (i128, i128),
    },
    Calendar(Calendar),
}

/// Units of the calendar, over dates or timestamps.
#[derive(Debug, Clone)]
struct Calendar {
    unit: Unit,
    /// Values of the type in a second; none for dates.
    per_second: Option<i64>,
    zone: Option<Zone>,
    /// The first and the last value of the years that most programs read.
    ends: (i64, i64),
}

/// The values that one stands for: `count` of them from `lower` on, `grain` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Band {
    lower: i128,
    grain: i128,
    count: i128,
}

impl Representative {
    /// Of a field of whole numbers or decimals, of which intervals of `width` stand for their values.
    ///
    /// # Errors
    /// The field is of another type, or the intervals have no whole units of it.
    pub fn of_width(
        data_type: &DataType,
        width: Decimal,
        origin: Decimal,
        sentinels: &[Decimal],
    ) -> Result<Self, Misfit> {
        let (Some(scale), Some(ends)) = (scale_of(data_type), with_exact(data_type, Ends)) else {
            return Err(Misfit::of_type(
                "mark",
                data_type,
                "whole numbers and decimals",
            ));
        };
        let whole = |number: Decimal| {
            let (units, is_whole) = units(number, scale);
            is_whole.then_some(units)
        };
        let (Some(width), Some(origin)) = (whole(width).filter(|width| *width > 0), whole(origin))
        else {
            let what = "intervals to be marked have whole units of the field";
            return Err(Misfit::of_parameter("width", what));
        };
        Ok(Self {
            data_type: data_type.clone(),
            bands: Bands::Width {
                width,
                origin,
                ends,
            },
            sentinels: sentinels.iter().copied().filter_map(whole).collect(),
        })
    }

    /// Of a field of dates or timestamps, of which units of the calendar stand for their values; in the
    /// zone of the type, if it has one. `sentinels` are values of the type.
    ///
    /// # Errors
    /// The field is of another type, or has an unknown zone.
    pub fn of_calendar(
        data_type: &DataType,
        unit: Unit,
        sentinels: &[i64],
    ) -> Result<Self, Misfit> {
        let (per_second, zone) = match data_type {
            DataType::Timestamp(time_unit, zone) => (
                Some(per_second(*time_unit)),
                zone.as_deref().map(Zone::parse).transpose()?,
            ),
            DataType::Date32 => (None, None),
            other => return Err(Misfit::of_type("mark", other, "dates and timestamps")),
        };
        Ok(Self {
            data_type: data_type.clone(),
            bands: Bands::Calendar(Calendar {
                unit,
                per_second,
                zone: zone.filter(|zone| !zone.is_utc()),
                ends: years(data_type),
            }),
            sentinels: sentinels.iter().copied().map(i128::from).collect(),
        })
    }

    /// The values as the type counts them.
    fn counts(&self, column: &ArrayRef) -> Result<Vec<Option<i128>>, TreatmentError> {
        check_type(column, &self.data_type)?;
        let coding = match self.bands {
            Bands::Width { .. } => Coding::Exact,
            Bands::Calendar(_) => Coding::Grain(1),
        };
        let counts = coding.units(column);
        counts.ok_or_else(|| failed("reading values to be marked"))
    }

    /// What a value stands for; none where it stands for itself alone.
    fn band(&self, value: i128) -> Option<Band> {
        if self.sentinels.contains(&value) {
            return None;
        }
        let band = match &self.bands {
            Bands::Width {
                width,
                origin,
                ends: (least, greatest),
            } => {
                let rest = value.checked_sub(*origin)?.rem_euclid(*width);
                let lower = value.checked_sub(rest).filter(|lower| lower >= least)?;
                let upper = lower.saturating_add(*width - 1).min(*greatest);
                Band {
                    lower,
                    grain: 1,
                    count: upper.checked_sub(lower)?.checked_add(1)?,
                }
            }
            Bands::Calendar(calendar) => calendar.band(i64::try_from(value).ok()?)?,
        };
        (band.count > 1).then_some(band)
    }

    /// The symbol that a value shows.
    fn shows(&self, value: i128) -> Option<bool> {
        let band = self.band(value)?;
        let offset = (value - band.lower).div_euclid(band.grain);
        Some(offset >= band.half())
    }

    /// The value that shows the symbol of `mark`, of those that the value stands for.
    fn written(&self, value: i128, mark: Mark, draw: u64) -> Result<i128, Skip> {
        if self.sentinels.contains(&value) {
            return Err(Skip::Sentinel);
        }
        let band = self.band(value).ok_or(Skip::NoCarrier)?;
        let half = band.half();
        let offset = match mark.symbol() {
            true => half + i128::from(draw) % (band.count - half),
            false => i128::from(draw) % half,
        };
        let chosen = offset
            .checked_mul(band.grain)
            .and_then(|offset| band.lower.checked_add(offset))
            .ok_or(Skip::Bounds)?;
        if self.sentinels.contains(&chosen) {
            return Err(Skip::Sentinel);
        }
        // What clocks cut a unit into may not be what the value stands for.
        let is_within = self.band(chosen) == Some(band);
        is_within.then_some(chosen).ok_or(Skip::NoCarrier)
    }
}

impl Band {
    /// Where its upper half begins, in values from the lower end: the lower half has one more where they
    /// can't have as many.
    fn half(self) -> i128 {
        self.count / 2 + self.count % 2
    }
}

impl Calendar {
    fn band(&self, value: i64) -> Option<Band> {
        let (first, last) = self.ends;
        if !(first..=last).contains(&value) {
            return None;
        }
        let lower = self.begin(value)?;
        let (grain, beyond) = match self.per_second {
            Some(per_second) => (
                per_second,
                self.unit.seconds_beyond().checked_mul(per_second)?,
            ),
            None => (1, self.unit.seconds_beyond() / DAY_SECONDS),
        };
        let next = self.begin(lower.checked_add(beyond)?)?;
        let is_within = lower >= first && next > lower && next - 1 <= last;
        is_within.then(|| Band {
            lower: lower.into(),
            grain: grain.into(),
            count: i128::from(next - lower) / i128::from(grain),
        })
    }

    /// Where the unit around a value begins.
    fn begin(&self, value: i64) -> Option<i64> {
        match (self.per_second, &self.zone) {
            (None, _) => Some(self.unit.first_day(value)),
            (Some(per_second), None) => self.unit.truncate(value, per_second),
            (Some(per_second), Some(zone)) => self.unit.truncate_local(value, per_second, zone),
        }
    }
}

impl Carrier for Representative {
    fn reflection(&self) -> Option<Reflection> {
        None
    }

    fn read(&self, column: &ArrayRef) -> Result<Vec<Option<bool>>, TreatmentError> {
        let counts = self.counts(column)?.into_iter();
        Ok(counts
            .map(|count| count.and_then(|count| self.shows(count)))
            .collect())
    }

    fn write(
        &self,
        column: &ArrayRef,
        marks: &mut dyn Marks,
        distortion: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError> {
        let mut counts = self.counts(column)?;
        let (mut some, mut drawn) = ([Mark::NONE; CELLS], [0; CELLS]);
        for counts in counts.chunks_mut(CELLS) {
            let (some, _) = some.split_at_mut(counts.len());
            let (drawn, _) = drawn.split_at_mut(counts.len());
            marks.next(Left::default(), some);
            marks.draws(drawn);
            for (count, (mark, draw)) in counts.iter_mut().zip(some.iter().zip(&*drawn)) {
                let Some(before) = count.filter(|_| mark.is_some()) else {
                    continue;
                };
                let written = self.written(before, *mark, *draw);
                let after = distortion.skipped.written_or(written, before);
                distortion.changed += u64::from(after != before);
                *count = Some(after);
            }
        }
        let marked = Marked {
            column,
            counts: &counts,
        };
        let marked = match self.bands {
            Bands::Width { .. } => with_exact(&self.data_type, marked),
            Bands::Calendar(_) => with_time(&self.data_type, marked),
        };
        let marked = marked.flatten();
        marked.ok_or_else(|| failed("writing marked values"))
    }

    fn blocks(&self, _: &ArrayRef) -> Result<Option<Vec<Option<i128>>>, TreatmentError> {
        Ok(None)
    }
}

/// A column with other values.
struct Marked<'a> {
    column: &'a ArrayRef,
    counts: &'a [Option<i128>],
}

impl Marked<'_> {
    /// None for another type, and where the type doesn't hold a value.
    fn of<T: ArrowPrimitiveType>(
        &self,
        value: impl Fn(i128) -> Option<T::Native>,
    ) -> Option<ArrayRef> {
        let own = self.column.as_primitive_opt::<T>()?;
        let mut values = own.values().to_vec();
        // What is null, or beyond counting, stays.
        for (slot, count) in values.iter_mut().zip(self.counts) {
            if let Some(count) = count {
                *slot = value(*count)?;
            }
        }
        let marked = PrimitiveArray::<T>::new(values.into(), own.nulls().cloned());
        Some(Arc::new(marked.with_data_type(own.data_type().clone())))
    }
}

impl ForExact for Marked<'_> {
    type Output = Option<ArrayRef>;

    fn call<T>(self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        self.of::<T>(T::Native::from_wide)
    }
}

impl ForTime for Marked<'_> {
    type Output = Option<ArrayRef>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        self.of::<T>(|count| i64::try_from(count).ok()?.try_into().ok())
    }
}

#[cfg(test)]
mod tests;
