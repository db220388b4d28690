//! `date-trunc`: dates and timestamps to the beginning of a larger unit.

use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{Civil, DAY_SECONDS, Occurrence, Zone, per_second};
use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::column::mapped;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength};
use crate::treatment::Treatment;

/// Sets a date or timestamp back to the beginning of its year, month, hour, … The type stays.
///
/// A timestamp with a zone is truncated in local time. Where clocks were changed, a day and
/// anything longer begins with its first instant; an hour or minute that occurred twice begins
/// where the occurrence of the value began; a beginning that was skipped is the instant of the
/// change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DateTrunc {
    /// The unit whose beginning is delivered. On a date field, `week` or longer.
    pub unit: Unit,
}

/// A unit of the calendar or the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// From 1 January.
    Year,
    /// From 1 January, April, July or October.
    Quarter,
    /// From the first of the month.
    Month,
    /// From Monday.
    Week,
    /// From midnight.
    Day,
    /// From the full hour.
    Hour,
    /// From the full minute.
    Minute,
}

impl Unit {
    /// Whether every unit of this kind is made of whole units of `other`.
    fn is_made_of(self, other: Self) -> bool {
        match self {
            Self::Minute => other == Self::Minute,
            Self::Hour => matches!(other, Self::Hour | Self::Minute),
            Self::Day => matches!(other, Self::Day | Self::Hour | Self::Minute),
            Self::Week => other == Self::Week || Self::Day.is_made_of(other),
            Self::Month => other == Self::Month || Self::Day.is_made_of(other),
            Self::Quarter => other == Self::Quarter || Self::Month.is_made_of(other),
            Self::Year => other == Self::Year || Self::Quarter.is_made_of(other),
        }
    }

    fn is_shorter_than_a_day(self) -> bool {
        matches!(self, Self::Hour | Self::Minute)
    }

    /// The first day of the unit around a day; the day itself for units of a day or shorter.
    #[inline]
    fn first_day(self, days: i64) -> i64 {
        match self {
            // 1970-01-01 was a Thursday.
            Self::Week => days - (days + 3).rem_euclid(7),
            Self::Month => days - (Civil::of_days(days).day - 1),
            Self::Quarter => {
                let date = Civil::of_days(days);
                Civil { month: (date.month - 1) / 3 * 3 + 1, day: 1, ..date }.to_days()
            }
            Self::Year => Civil { month: 1, day: 1, ..Civil::of_days(days) }.to_days(),
            Self::Day | Self::Hour | Self::Minute => days,
        }
    }

    /// The beginning of the unit around a time, in `per_second` parts of a second since 1970; none
    /// if 64 bits do not hold it.
    #[inline]
    fn truncate(self, time: i64, per_second: i64) -> Option<i64> {
        let day = DAY_SECONDS * per_second;
        match self {
            Self::Minute => time.checked_sub(time.rem_euclid(60 * per_second)),
            Self::Hour => time.checked_sub(time.rem_euclid(3_600 * per_second)),
            Self::Day => time.checked_sub(time.rem_euclid(day)),
            Self::Week | Self::Month | Self::Quarter | Self::Year => {
                self.first_day(time.div_euclid(day)).checked_mul(day)
            }
        }
    }

    /// The same in local time: from instant to instant.
    #[inline]
    fn truncate_local(self, time: i64, per_second: i64, zone: &Zone) -> Option<i64> {
        let instant = time.div_euclid(per_second);
        let local = instant.checked_add(zone.offset(instant))?;
        let pick = if self.is_shorter_than_a_day() {
            Occurrence::LastBefore
        } else {
            Occurrence::First
        };
        zone.instant(self.truncate(local, 1)?, instant, pick)?.checked_mul(per_second)
    }
}

impl Definition for DateTrunc {
    const KIND: &'static str = "date-trunc";
    const SUMMARY: &'static str = "Sets a date or timestamp back to the beginning of a larger unit";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str = r#"{ kind = "date-trunc", unit = "month" }"#;
    const STRENGTH: Strength = Strength::COARSER;

    fn at_least(&self, floor: &Self) -> bool {
        self.unit.is_made_of(floor.unit)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        match column.data_type {
            DataType::Date32 | DataType::Date64 => {
                if Unit::Day.is_made_of(self.unit) {
                    return Err(Misfit::of_parameter(
                        "unit",
                        "a date has no part below the day, so that this unit hides nothing",
                    )
                    .with_hint("choose week, month, quarter or year"));
                }
            }
            DataType::Timestamp(_, Some(zone)) => Zone::check(zone)?,
            DataType::Timestamp(_, None) => {}
            other => return Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
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
        let unit = self.unit;
        match column.data_type {
            DataType::Date32 => mapped::<Date32Type, _>(column, options, move |days| {
                i32::try_from(unit.first_day(i64::from(days))).ok()
            }),
            DataType::Date64 => mapped::<Date64Type, _>(column, options, move |milliseconds| {
                unit.truncate(milliseconds, per_second(TimeUnit::Millisecond))
            }),
            DataType::Timestamp(time_unit, zone) => {
                let zone = zone.as_deref().map(Zone::parse).transpose()?;
                match time_unit {
                    TimeUnit::Second => self.timestamp::<TimestampSecondType>(column, options, zone),
                    TimeUnit::Millisecond => {
                        self.timestamp::<TimestampMillisecondType>(column, options, zone)
                    }
                    TimeUnit::Microsecond => {
                        self.timestamp::<TimestampMicrosecondType>(column, options, zone)
                    }
                    TimeUnit::Nanosecond => {
                        self.timestamp::<TimestampNanosecondType>(column, options, zone)
                    }
                }
            }
            other => Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
    }
}

impl DateTrunc {
    fn timestamp<T: ArrowTimestampType>(
        &self,
        column: Column<'_>,
        options: &Options,
        zone: Option<Zone>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let unit = self.unit;
        match zone.filter(|zone| !zone.is_utc()) {
            Some(zone) => mapped::<T, _>(column, options, move |time| {
                unit.truncate_local(time, per_second(T::UNIT), &zone)
            }),
            None => mapped::<T, _>(column, options, move |time| {
                unit.truncate(time, per_second(T::UNIT))
            }),
        }
    }
}
