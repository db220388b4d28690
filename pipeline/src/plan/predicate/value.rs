//! Constants and numeric types: what they are by themselves, and what they become beside a field.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, TimeUnit, i256,
};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use datafusion::scalar::ScalarValue;

/// A constant as written, before it meets the type it is compared with.
#[derive(Clone)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Text(String),
    Number(Number),
    Date(NaiveDate),
    Timestamp {
        local: NaiveDateTime,
        offset: Option<FixedOffset>,
    },
    /// The result of a constant expression, of a type of its own.
    Typed(ScalarValue),
}

/// An exact decimal: `unscaled * 10^-scale`.
#[derive(Clone, Copy)]
pub(super) struct Number {
    unscaled: i128,
    scale: u8,
    digits: u8,
}

/// Why a constant cannot stand beside a type: what is wrong, what to do.
pub(super) type Unfit = (&'static str, &'static str);

const UNFIT_TYPE: Unfit = (
    "a constant of another type than what it is compared with",
    "write text in single quotes, numbers without, DATE '2026-01-31', or use CAST",
);
const UNFIT_DATE: Unfit = ("text that is not a date", "write it as DATE '2026-01-31'");
const UNFIT_TIMESTAMP: Unfit = (
    "text that is not a point in time",
    "write it as TIMESTAMP '2026-01-31 08:00:00'",
);
const UNFIT_FINER: Unfit = (
    "a point in time finer than the field's unit",
    "write fewer digits after the second",
);
const UNFIT_OFFSET: Unfit = (
    "an offset beside a field without a zone",
    "write the time as the field holds it",
);

impl Number {
    /// Digits with at most one point; `None` if it is anything else or has over 38 digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all: String = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0').len().max(fraction.len()).max(1);
        let digits = u8::try_from(significant).ok()?;
        if digits > DECIMAL128_MAX_PRECISION {
            return None;
        }
        let scale = u8::try_from(fraction.len()).ok()?;
        Some(Self {
            unscaled: all.parse().ok()?,
            scale,
            digits,
        })
    }

    pub(super) fn negated(self) -> Self {
        Self {
            unscaled: -self.unscaled,
            ..self
        }
    }

    /// The number in units of `10^-scale`, if that is exact.
    fn at_scale(self, scale: i8) -> Option<i256> {
        let own = i8::try_from(self.scale).ok()?;
        let value = i256::from_i128(self.unscaled);
        let power = |exponent: i8| -> Option<i256> {
            i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?)
        };
        if scale >= own {
            return value.checked_mul(power(scale.checked_sub(own)?)?);
        }
        let divisor = power(own.checked_sub(scale)?)?;
        let (quotient, remainder) = (value.checked_div(divisor)?, value.checked_rem(divisor)?);
        (remainder == i256::ZERO).then_some(quotient)
    }

    /// The integer it is, if it is one.
    fn integer(self) -> Option<i128> {
        self.at_scale(0)?.to_i128()
    }

    fn text(self) -> String {
        ScalarValue::Decimal128(
            Some(self.unscaled),
            DECIMAL128_MAX_PRECISION,
            i8::try_from(self.scale).unwrap_or(i8::MAX),
        )
        .to_string()
    }

    /// The type it has by itself: `Int64`, else the decimal that just holds it.
    fn natural(self) -> ScalarValue {
        let integer = if self.scale == 0 {
            i64::try_from(self.unscaled).ok()
        } else {
            None
        };
        integer.map_or_else(
            || {
                let scale = i8::try_from(self.scale).unwrap_or(i8::MAX);
                ScalarValue::Decimal128(Some(self.unscaled), self.digits, scale)
            },
            |value| ScalarValue::Int64(Some(value)),
        )
    }
}

impl Constant {
    /// The value with the type it has by itself.
    pub(super) fn natural(&self) -> ScalarValue {
        match self {
            Self::Null => ScalarValue::Null,
            Self::Bool(value) => ScalarValue::Boolean(Some(*value)),
            Self::Text(text) => ScalarValue::Utf8(Some(text.clone())),
            Self::Number(number) => number.natural(),
            Self::Date(date) => ScalarValue::Date32(Some(days(*date))),
            Self::Timestamp { local, offset } => {
                let zone = offset.map(|_| Arc::from("+00:00"));
                let instant = offset.map_or_else(
                    || local.and_utc(),
                    |offset| {
                        offset
                            .from_local_datetime(local)
                            .single()
                            .map_or_else(|| local.and_utc(), |instant| instant.with_timezone(&Utc))
                    },
                );
                ScalarValue::TimestampMicrosecond(Some(instant.timestamp_micros()), zone)
            }
            Self::Typed(value) => value.clone(),
        }
    }

    /// The constant as a value of `data_type`, exactly; `Ok(None)` for a number that this type
    /// cannot hold, so that both sides have to widen.
    pub(super) fn adapt(&self, data_type: &DataType) -> Result<Option<ScalarValue>, Unfit> {
        match self {
            Self::Null => ScalarValue::try_from(data_type)
                .map(Some)
                .map_err(|_| UNFIT_TYPE),
            Self::Bool(value) if *data_type == DataType::Boolean => {
                Ok(Some(ScalarValue::Boolean(Some(*value))))
            }
            Self::Text(text) if *data_type == DataType::Utf8 => {
                Ok(Some(ScalarValue::Utf8(Some(text.clone()))))
            }
            Self::Text(text) if *data_type == DataType::Date32 => {
                let date = parse_date(text).ok_or(UNFIT_DATE)?;
                Ok(Some(ScalarValue::Date32(Some(days(date)))))
            }
            Self::Text(text) if matches!(data_type, DataType::Timestamp(..)) => {
                parse_timestamp(text)
                    .ok_or(UNFIT_TIMESTAMP)?
                    .adapt(data_type)
            }
            Self::Number(number) if data_type.is_numeric() => Ok(number_as(*number, data_type)),
            Self::Date(date) if *data_type == DataType::Date32 => {
                Ok(Some(ScalarValue::Date32(Some(days(*date)))))
            }
            Self::Date(date) if matches!(data_type, DataType::Timestamp(..)) => {
                let local = date.and_time(NaiveTime::MIN);
                timestamp_as(local, None, data_type).map(Some)
            }
            Self::Timestamp { local, offset } if matches!(data_type, DataType::Timestamp(..)) => {
                timestamp_as(*local, *offset, data_type).map(Some)
            }
            Self::Typed(value) if value.data_type() == *data_type => Ok(Some(value.clone())),
            Self::Typed(value) if value.data_type().is_numeric() && data_type.is_numeric() => {
                Ok(None)
            }
            Self::Bool(_)
            | Self::Text(_)
            | Self::Number(_)
            | Self::Date(_)
            | Self::Timestamp { .. }
            | Self::Typed(_) => Err(UNFIT_TYPE),
        }
    }
}

fn days(date: NaiveDate) -> i32 {
    arrow::datatypes::Date32Type::from_naive_date(date)
}

/// `2026-01-31`, and nothing else.
pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    // chrono alone would take `2026-1-1` and years of five digits.
    (text.len() == 10)
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}

/// `2026-01-31 08:00:00`, with `T` for the space, a fraction, `Z` or an offset as wanted; or a date.
pub(super) fn parse_timestamp(text: &str) -> Option<Constant> {
    if let Some(date) = parse_date(text) {
        return Some(Constant::Timestamp {
            local: date.and_time(NaiveTime::MIN),
            offset: None,
        });
    }
    let text = text.replacen(' ', "T", 1);
    if let Ok(local) = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f") {
        return Some(Constant::Timestamp {
            local,
            offset: None,
        });
    }
    let instant = DateTime::parse_from_rfc3339(&text).ok()?;
    Some(Constant::Timestamp {
        local: instant.naive_local(),
        offset: Some(*instant.offset()),
    })
}

fn timestamp_as(
    local: NaiveDateTime,
    offset: Option<FixedOffset>,
    data_type: &DataType,
) -> Result<ScalarValue, Unfit> {
    let DataType::Timestamp(unit, zone) = data_type else {
        return Err(UNFIT_TYPE);
    };
    let instant: DateTime<Utc> = match (offset, zone) {
        (None, None) => local.and_utc(),
        (Some(_), None) => return Err(UNFIT_OFFSET),
        (Some(offset), Some(_)) => {
            let instant = offset
                .from_local_datetime(&local)
                .single()
                .ok_or(UNFIT_TIMESTAMP)?;
            instant.with_timezone(&Utc)
        }
        (None, Some(zone)) => {
            let zone: Tz = zone.parse().map_err(|_| UNFIT_TYPE)?;
            let instant = zone.from_local_datetime(&local).single().ok_or((
                "a local time that this zone skips or has twice",
                "write its offset, such as +08:00",
            ))?;
            instant.with_timezone(&Utc)
        }
    };
    let nanos = instant.timestamp_subsec_nanos();
    let (count, coarsest) = match unit {
        TimeUnit::Second => (Some(instant.timestamp()), 1_000_000_000),
        TimeUnit::Millisecond => (Some(instant.timestamp_millis()), 1_000_000),
        TimeUnit::Microsecond => (Some(instant.timestamp_micros()), 1_000),
        TimeUnit::Nanosecond => (instant.timestamp_nanos_opt(), 1),
    };
    if !nanos.is_multiple_of(coarsest) {
        return Err(UNFIT_FINER);
    }
    let count = Some(count.ok_or(UNFIT_TIMESTAMP)?);
    let zone = zone.clone();
    Ok(match unit {
        TimeUnit::Second => ScalarValue::TimestampSecond(count, zone),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(count, zone),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(count, zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(count, zone),
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only the catalogue's numeric types hold one"
)]
fn number_as(number: Number, data_type: &DataType) -> Option<ScalarValue> {
    let integer = number.integer();
    match data_type {
        DataType::Int8 => Some(ScalarValue::Int8(Some(integer?.try_into().ok()?))),
        DataType::Int16 => Some(ScalarValue::Int16(Some(integer?.try_into().ok()?))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(integer?.try_into().ok()?))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(integer?.try_into().ok()?))),
        DataType::UInt8 => Some(ScalarValue::UInt8(Some(integer?.try_into().ok()?))),
        DataType::UInt16 => Some(ScalarValue::UInt16(Some(integer?.try_into().ok()?))),
        DataType::UInt32 => Some(ScalarValue::UInt32(Some(integer?.try_into().ok()?))),
        DataType::UInt64 => Some(ScalarValue::UInt64(Some(integer?.try_into().ok()?))),
        DataType::Float32 => Some(ScalarValue::Float32(Some(number.text().parse().ok()?))),
        DataType::Float64 => Some(ScalarValue::Float64(Some(number.text().parse().ok()?))),
        DataType::Decimal128(precision, scale) => {
            let value = number.at_scale(*scale)?.to_i128()?;
            fits_digits(i256::from_i128(value), *precision).then_some(ScalarValue::Decimal128(
                Some(value),
                *precision,
                *scale,
            ))
        }
        DataType::Decimal256(precision, scale) => {
            let value = number.at_scale(*scale)?;
            fits_digits(value, *precision).then_some(ScalarValue::Decimal256(
                Some(value),
                *precision,
                *scale,
            ))
        }
        _ => None,
    }
}

fn fits_digits(value: i256, precision: u8) -> bool {
    i256::from_i128(10)
        .checked_pow(u32::from(precision))
        .is_none_or(|limit| value < limit && value > limit.wrapping_neg())
}

/// The type that holds every value of both numeric types exactly (floats: nearest), in which they
/// compare; `None` where there is none.
pub(super) fn common_numeric(left: &DataType, right: &DataType) -> Option<DataType> {
    if left == right {
        return left.is_numeric().then(|| left.clone());
    }
    if !left.is_numeric() || !right.is_numeric() {
        return None;
    }
    if left.is_floating() || right.is_floating() {
        return Some(DataType::Float64);
    }
    if left.is_integer() && right.is_integer() {
        let unsigned = |data_type: &DataType| *data_type == DataType::UInt64;
        return Some(match (unsigned(left), unsigned(right)) {
            (false, false) => DataType::Int64,
            _ if left.is_unsigned_integer() && right.is_unsigned_integer() => DataType::UInt64,
            _ => DataType::Decimal128(20, 0),
        });
    }
    let (left_digits, left_scale) = decimal_shape(left)?;
    let (right_digits, right_scale) = decimal_shape(right)?;
    let scale = left_scale.max(right_scale);
    let whole = (left_digits - left_scale).max(right_digits - right_scale);
    let digits = u8::try_from(whole + scale).ok()?;
    let scale = i8::try_from(scale).ok()?;
    if digits <= DECIMAL128_MAX_PRECISION && !is_wide(left) && !is_wide(right) {
        Some(DataType::Decimal128(digits, scale))
    } else if digits <= DECIMAL256_MAX_PRECISION {
        Some(DataType::Decimal256(digits, scale))
    } else {
        None
    }
}

/// The types in which two numbers are added, multiplied and so on: 64-bit integers, floats, or
/// decimals of their own precision.
pub(super) fn arithmetic_operands(
    left: &DataType,
    right: &DataType,
) -> Option<(DataType, DataType)> {
    let common = common_numeric(left, right)?;
    if common.is_floating() {
        return Some((DataType::Float64, DataType::Float64));
    }
    if common.is_integer() {
        let wide = if common == DataType::UInt64 {
            DataType::UInt64
        } else {
            DataType::Int64
        };
        return Some((wide.clone(), wide));
    }
    let wide = is_wide(left) || is_wide(right);
    let own = |data_type: &DataType| -> Option<DataType> {
        let (digits, scale) = decimal_shape(data_type)?;
        let (digits, scale) = (u8::try_from(digits).ok()?, i8::try_from(scale).ok()?);
        Some(if wide {
            DataType::Decimal256(digits, scale)
        } else {
            DataType::Decimal128(digits, scale)
        })
    };
    Some((own(left)?, own(right)?))
}

fn is_wide(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal256(..))
}

/// Digits in all and after the point of a decimal, or of the decimal that holds an integer type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only integers and decimals have a shape"
)]
fn decimal_shape(data_type: &DataType) -> Option<(i16, i16)> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            (i16::from(*digits), i16::from(*scale))
        }
        _ => return None,
    })
}
