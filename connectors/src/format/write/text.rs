//! Values as text: exact, without separators or padding, and read back by the reader of delimited
//! text as what they were.
//!
//! Whole numbers and decimals have all their digits, decimals as many after the point as their scale;
//! floats have the fewest digits that mean the same float, with an exponent where they are very large
//! or small, or are `NaN`, `inf`, `-inf`. Dates are `2026-01-31`. Timestamps are
//! `2026-01-31T08:00:00` with as many digits of a second as their unit has; a field with a zone has
//! the local time of that zone and its offset, `2026-01-31T08:00:00+08:00`, or `Z` where the zone is
//! UTC or its offset has seconds, as before standard time. Years outside 0000 to 9999 have a sign, as
//! in ISO 8601. Binary is base64 with padding.

use std::io::Write as _;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta};
use chrono::{TimeZone as _, Timelike as _, Utc};
use serde::Serialize;

use super::Unwritable;
use super::json::{self, Value};

/// Writes the value of a row that is not null.
pub(super) type Plain<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<(), Unwritable> + 'a>;

/// A column by what its values may hold.
pub(super) enum Cells<'a> {
    /// Any characters.
    Text(&'a StringArray),
    /// Written as base64.
    Binary(&'a BinaryArray),
    /// Written as JSON.
    Nested(Value<'a>),
    /// Numbers, truth, days and times: letters, digits, signs, points and colons.
    Plain(&'a dyn Array, Plain<'a>),
}

impl<'a> Cells<'a> {
    /// The cells of a column; none if no catalogue has its type.
    pub(super) fn of(array: &'a dyn Array) -> Option<Self> {
        if let Some(plain) = plain(array) {
            return Some(Self::Plain(array, plain));
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the plain types are above, others no catalogue has"
        )]
        match array.data_type() {
            DataType::Utf8 => array.as_string_opt().map(Self::Text),
            DataType::Binary => array.as_binary_opt().map(Self::Binary),
            _ => Value::of(array).map(Self::Nested),
        }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(array) => array.is_null(row),
            Self::Binary(array) => array.is_null(row),
            Self::Nested(value) => value.is_null(row),
            Self::Plain(array, _) => array.is_null(row),
        }
    }
}

/// Whether a type can be written at all.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a catalogue has no other types"
)]
pub(super) fn is_writable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8
        | DataType::Binary
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Date32 => true,
        DataType::Timestamp(_, zone) => zone.as_ref().is_none_or(|zone| zone.parse::<Tz>().is_ok()),
        DataType::List(element) => is_writable(element.data_type()),
        DataType::Struct(members) => members.iter().all(|field| is_writable(field.data_type())),
        DataType::Map(entries, _) => is_writable(entries.data_type()),
        _ => false,
    }
}

/// Writes values that need no quotes anywhere; none for other types.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "text, binary and nested types are written by whoever asks"
)]
pub(super) fn plain(array: &dyn Array) -> Option<Plain<'_>> {
    Some(match array.data_type() {
        DataType::Boolean => truth(array.as_boolean_opt()?),
        DataType::Int8 => whole::<Int8Type>(array)?,
        DataType::Int16 => whole::<Int16Type>(array)?,
        DataType::Int32 => whole::<Int32Type>(array)?,
        DataType::Int64 => whole::<Int64Type>(array)?,
        DataType::UInt8 => whole::<UInt8Type>(array)?,
        DataType::UInt16 => whole::<UInt16Type>(array)?,
        DataType::UInt32 => whole::<UInt32Type>(array)?,
        DataType::UInt64 => whole::<UInt64Type>(array)?,
        DataType::Float32 => {
            let array = array.as_primitive_opt::<Float32Type>()?;
            Box::new(move |row, out| match array.value(row) {
                value if value.is_finite() => number(out, value),
                value => float_name(out, f64::from(value)),
            })
        }
        DataType::Float64 => {
            let array = array.as_primitive_opt::<Float64Type>()?;
            Box::new(move |row, out| match array.value(row) {
                value if value.is_finite() => number(out, value),
                value => float_name(out, value),
            })
        }
        DataType::Decimal128(_, scale) => {
            let array = array.as_primitive_opt::<Decimal128Type>()?;
            let scale = usize::try_from(*scale).ok()?;
            Box::new(move |row, out| {
                let value = array.value(row);
                decimal(out, value < 0, value.unsigned_abs(), scale)
            })
        }
        DataType::Decimal256(precision, scale) => {
            let array = array.as_primitive_opt::<Decimal256Type>()?;
            let (precision, scale) = (*precision, *scale);
            Box::new(move |row, out| {
                let text = Decimal256Type::format_decimal(array.value(row), precision, scale);
                out.extend_from_slice(text.as_bytes());
                Ok(())
            })
        }
        DataType::Date32 => {
            let array = array.as_primitive_opt::<Date32Type>()?;
            Box::new(move |row, out| date(out, day(array.value(row))?))
        }
        DataType::Timestamp(..) => {
            let times = Times::of(array)?;
            Box::new(move |row, out| {
                let moment = times.moment(row)?;
                moment.write(out, times.places)
            })
        }
        _ => return None,
    })
}

fn truth(array: &BooleanArray) -> Plain<'_> {
    Box::new(move |row, out| {
        let text: &[u8] = if array.value(row) { b"true" } else { b"false" };
        out.extend_from_slice(text);
        Ok(())
    })
}

fn whole<T>(array: &dyn Array) -> Option<Plain<'_>>
where
    T: ArrowPrimitiveType<Native: Serialize>,
{
    let array: &PrimitiveArray<T> = array.as_primitive_opt::<T>()?;
    Some(Box::new(move |row, out| number(out, array.value(row))))
}

/// A finite number as JSON writes it, which everybody reads.
pub(super) fn number<N: Serialize>(out: &mut Vec<u8>, value: N) -> Result<(), Unwritable> {
    serde_json::to_writer(out, &value).map_err(|_| Unwritable::Unformatted)
}

fn float_name(out: &mut Vec<u8>, value: f64) -> Result<(), Unwritable> {
    let name: &[u8] = match value {
        value if value.is_nan() => b"NaN",
        value if value > 0.0 => b"inf",
        _ => b"-inf",
    };
    out.extend_from_slice(name);
    Ok(())
}

/// A decimal with all its digits.
fn decimal(
    out: &mut Vec<u8>,
    negative: bool,
    digits: u128,
    scale: usize,
) -> Result<(), Unwritable> {
    if negative {
        out.push(b'-');
    }
    let start = out.len();
    number(out, digits)?;
    let missing = scale.saturating_add(1).saturating_sub(out.len() - start);
    for _ in 0..missing {
        out.insert(start, b'0');
    }
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
    Ok(())
}

/// The day of a count of days.
pub(super) fn day(days: i32) -> Result<NaiveDate, Unwritable> {
    NaiveDate::default()
        .checked_add_signed(TimeDelta::days(i64::from(days)))
        .ok_or(Unwritable::BeyondCalendar)
}

fn date(out: &mut Vec<u8>, day: NaiveDate) -> Result<(), Unwritable> {
    match u32::try_from(day.year()) {
        Ok(year) if year <= 9999 => {
            digits(out, year, 4);
            out.push(b'-');
            digits(out, day.month(), 2);
            out.push(b'-');
            digits(out, day.day(), 2);
            Ok(())
        }
        _ => write!(out, "{day}").map_err(|_| Unwritable::Unformatted),
    }
}

/// The last `width` digits of a number.
fn digits(out: &mut Vec<u8>, number: u32, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// A column of timestamps.
pub(super) struct Times<'a> {
    counts: Counts<'a>,
    per_second: i64,
    /// Digits of a second that the unit has.
    places: u32,
    zone: Option<Tz>,
}

/// A column's counts since 1970, in its unit.
type Counts<'a> = Box<dyn Fn(usize) -> i64 + 'a>;

/// A timestamp: what a clock at its place shows.
pub(super) struct Moment {
    pub(super) local: NaiveDateTime,
    /// Beyond whole seconds, in the column's unit.
    pub(super) fraction: u32,
    /// The offset of the place; absent for a time without a zone.
    pub(super) offset: Option<FixedOffset>,
}

impl<'a> Times<'a> {
    pub(super) fn of(array: &'a dyn Array) -> Option<Self> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "only timestamps have a unit"
        )]
        let (unit, zone) = match array.data_type() {
            DataType::Timestamp(unit, zone) => (*unit, zone.as_ref()),
            _ => return None,
        };
        let zone = match zone {
            Some(zone) => Some(zone.parse::<Tz>().ok()?),
            None => None,
        };
        let (counts, per_second, places): (Counts<'a>, _, _) = match unit {
            TimeUnit::Second => (counts::<TimestampSecondType>(array)?, 1, 0),
            TimeUnit::Millisecond => (counts::<TimestampMillisecondType>(array)?, 1_000, 3),
            TimeUnit::Microsecond => (counts::<TimestampMicrosecondType>(array)?, 1_000_000, 6),
            TimeUnit::Nanosecond => (counts::<TimestampNanosecondType>(array)?, 1_000_000_000, 9),
        };
        Some(Self {
            counts,
            per_second,
            places,
            zone,
        })
    }

    /// Digits of a second that the unit has.
    pub(super) fn places(&self) -> u32 {
        self.places
    }

    pub(super) fn moment(&self, row: usize) -> Result<Moment, Unwritable> {
        let count = (self.counts)(row);
        let instant = DateTime::<Utc>::from_timestamp(count.div_euclid(self.per_second), 0)
            .ok_or(Unwritable::BeyondCalendar)?;
        let fraction = u32::try_from(count.rem_euclid(self.per_second)).unwrap_or(0);
        let Some(zone) = &self.zone else {
            return Ok(Moment {
                local: instant.naive_utc(),
                fraction,
                offset: None,
            });
        };
        let offset = zone.offset_from_utc_datetime(&instant.naive_utc()).fix();
        let local = instant
            .naive_utc()
            .checked_add_offset(offset)
            .ok_or(Unwritable::BeyondCalendar)?;
        Ok(Moment {
            local,
            fraction,
            offset: Some(offset),
        })
    }

    /// Whether no other instant of the column's zone shows the same local time as `moment`.
    pub(super) fn is_unambiguous(&self, moment: &Moment) -> bool {
        self.zone
            .as_ref()
            .is_none_or(|zone| zone.from_local_datetime(&moment.local).single().is_some())
    }
}

fn counts<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array) -> Option<Counts<'_>> {
    let array = array.as_primitive_opt::<T>()?;
    Some(Box::new(move |row| array.value(row)))
}

impl Moment {
    pub(super) fn write(&self, out: &mut Vec<u8>, places: u32) -> Result<(), Unwritable> {
        // An offset of hours and minutes cannot say what one of seconds was.
        let (local, offset) = match self.offset {
            Some(offset) if offset.local_minus_utc() % 60 != 0 => {
                let utc = self.local.checked_sub_offset(offset);
                (utc.ok_or(Unwritable::BeyondCalendar)?, Some(0))
            }
            offset => (self.local, offset.map(|offset| offset.local_minus_utc())),
        };
        date(out, local.date())?;
        out.push(b'T');
        digits(out, local.hour(), 2);
        out.push(b':');
        digits(out, local.minute(), 2);
        out.push(b':');
        digits(out, local.second(), 2);
        if places > 0 {
            out.push(b'.');
            digits(out, self.fraction, places);
        }
        match offset {
            None => {}
            Some(0) => out.push(b'Z'),
            Some(seconds) => {
                out.push(if seconds < 0 { b'-' } else { b'+' });
                let minutes = seconds.unsigned_abs() / 60;
                digits(out, minutes / 60, 2);
                out.push(b':');
                digits(out, minutes % 60, 2);
            }
        }
        Ok(())
    }
}

/// Writes what is not plain as text into `scratch` and hands it out: base64 or JSON.
pub(super) fn spelled<'s>(
    cells: &Cells<'_>,
    row: usize,
    scratch: &'s mut Vec<u8>,
) -> Result<&'s str, Unwritable> {
    scratch.clear();
    match cells {
        Cells::Text(array) => scratch.extend_from_slice(array.value(row).as_bytes()),
        Cells::Binary(array) => json::base64(array.value(row), scratch),
        Cells::Nested(value) => value.write(row, scratch)?,
        Cells::Plain(_, plain) => plain(row, scratch)?,
    }
    std::str::from_utf8(scratch).map_err(|_| Unwritable::Unformatted)
}
