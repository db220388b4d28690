//! Dates and timestamps of every Arrow type as days and seconds that a calendar and a clock on the
//! spot show.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::{DAY_SECONDS, Occurrence, Zone, per_second};
use crate::error::Misfit;

/// What is done with the Arrow type of a date or timestamp, once it is known.
pub(crate) trait ForTime {
    /// What comes of it.
    type Output;

    /// Called with the type.
    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>;
}

/// Calls `then` with the Arrow type of a date or timestamp; none for every other type.
pub(crate) fn with_time<F: ForTime>(data_type: &DataType, then: F) -> Option<F::Output> {
    Some(match data_type {
        DataType::Date32 => then.call::<Date32Type>(),
        DataType::Date64 => then.call::<Date64Type>(),
        DataType::Timestamp(TimeUnit::Second, _) => then.call::<TimestampSecondType>(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => then.call::<TimestampMillisecondType>(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => then.call::<TimestampMicrosecondType>(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => then.call::<TimestampNanosecondType>(),
        _ => return None,
    })
}

/// Refuses types other than dates and timestamps, and unknown zones.
///
/// # Errors
/// The misfit of the kind of treatment.
pub(crate) fn check_time(kind: &str, data_type: &DataType) -> Result<(), Misfit> {
    match data_type {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => Ok(()),
        DataType::Timestamp(_, Some(zone)) => Zone::check(zone),
        other => Err(Misfit::of_type(kind, other, "dates and timestamps")),
    }
}

/// What calendar and clock show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    /// Seconds since midnight, by the clock.
    pub(crate) second: i64,
}

/// Reads the values of a date or timestamp field as local time.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// Values in a day.
    per_day: i64,
    /// The zone, where it isn't UTC and there is one.
    zone: Option<Zone>,
}

impl Local {
    /// The reader of a field that [`check_time`] lets pass.
    ///
    /// # Errors
    /// An unknown zone.
    pub(crate) fn new(data_type: &DataType) -> Result<Self, Misfit> {
        let (per_day, zone) = match data_type {
            DataType::Timestamp(unit, zone) => (
                DAY_SECONDS * per_second(*unit),
                zone.as_deref().map(Zone::parse).transpose()?,
            ),
            DataType::Date64 => (DAY_SECONDS * per_second(TimeUnit::Millisecond), None),
            _ => (1, None),
        };
        Ok(Self {
            per_day,
            zone: zone.filter(|zone| !zone.is_utc()),
        })
    }

    /// Values in a day of 24 hours.
    pub(crate) fn per_day(&self) -> i64 {
        self.per_day
    }

    /// The value at which calendar and clock show a moment, the first where there are two, and that
    /// of the change where they skipped it; none beyond 64 bits.
    pub(crate) fn value(&self, Moment { day, second }: Moment) -> Option<i64> {
        let per_second = self.per_day / DAY_SECONDS;
        let Some(zone) = &self.zone else {
            let day = day.checked_mul(self.per_day)?;
            return day.checked_add(second.checked_mul(per_second)?);
        };
        let local = day.checked_mul(DAY_SECONDS)?.checked_add(second)?;
        zone.instant(local, local, Occurrence::First)?
            .checked_mul(per_second)
    }

    /// What is shown at a value; none beyond 64 bits.
    #[inline]
    pub(crate) fn moment(&self, value: i64) -> Option<Moment> {
        let Some(zone) = &self.zone else {
            let second = if self.per_day == 1 {
                0
            } else {
                value.rem_euclid(self.per_day) / (self.per_day / DAY_SECONDS)
            };
            return Some(Moment {
                day: value.div_euclid(self.per_day),
                second,
            });
        };
        let instant = value.div_euclid(self.per_day / DAY_SECONDS);
        let local = instant.checked_add(zone.offset(instant))?;
        Some(Moment {
            day: local.div_euclid(DAY_SECONDS),
            second: local.rem_euclid(DAY_SECONDS),
        })
    }
}
