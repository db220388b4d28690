//! Text into typed columns, exactly: a value that does not fit its type without loss is malformed,
//! never rounded, trimmed or made null.
//!
//! Booleans are true or false in any case, or 1 or 0. Dates are `2026-01-31`; timestamps
//! `2026-01-31T08:00:00` or with a space, with a fraction no finer than the unit, and in columns
//! with a zone either an offset (`Z`, `+08:00`) or a local time of that zone that exists once.

use std::fmt;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};

use super::LeadingZeros;

/// A column being built.
pub(super) trait Column: Send + fmt::Debug {
    /// Appends a value.
    ///
    /// # Errors
    /// The text is no value of the column's type; nothing is appended.
    fn append(&mut self, text: &str) -> Result<(), Unfit>;
    fn append_null(&mut self);
    /// The column so far; building starts anew.
    fn finish(&mut self) -> ArrayRef;
}

/// Why a text is no value of a column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is none however it is read.
    Type,
    /// It would be one without the zeros before it, were they to mean nothing.
    LeadingZeros,
}

impl Unfit {
    /// What is wrong, and what to do about it in the dataset's source.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Type => "the text is no value of its type",
            Self::LeadingZeros => {
                "zeros stand before a whole number, as in an identifier: give the field the type \
                 utf8, or set leading_zeros = \"drop\" if they mean nothing"
            }
        }
    }
}

/// A builder for a catalogue's type; none if delimited text cannot hold the type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a catalogue has no other types"
)]
pub(super) fn column(data_type: &DataType, zeros: LeadingZeros) -> Option<Box<dyn Column>> {
    Some(match data_type {
        DataType::Utf8 => Box::new(Text(StringBuilder::new())),
        DataType::Boolean => Box::new(Truth(BooleanBuilder::new())),
        DataType::Int8 => whole::<Int8Type>(data_type, zeros),
        DataType::Int16 => whole::<Int16Type>(data_type, zeros),
        DataType::Int32 => whole::<Int32Type>(data_type, zeros),
        DataType::Int64 => whole::<Int64Type>(data_type, zeros),
        DataType::UInt8 => whole::<UInt8Type>(data_type, zeros),
        DataType::UInt16 => whole::<UInt16Type>(data_type, zeros),
        DataType::UInt32 => whole::<UInt32Type>(data_type, zeros),
        DataType::UInt64 => whole::<UInt64Type>(data_type, zeros),
        DataType::Float32 => plain::<Float32Type>(data_type),
        DataType::Float64 => plain::<Float64Type>(data_type),
        DataType::Decimal128(precision, scale) => {
            exact::<Decimal128Type>(data_type, (*precision, *scale), zeros)
        }
        DataType::Decimal256(precision, scale) => {
            exact::<Decimal256Type>(data_type, (*precision, *scale), zeros)
        }
        DataType::Date32 => with::<Date32Type, _>(data_type, |text| {
            i32::try_from(
                date(text)?
                    .signed_duration_since(NaiveDate::default())
                    .num_days(),
            )
            .ok()
        }),
        DataType::Timestamp(unit, zone) => {
            let zone = match zone {
                Some(zone) => Some(zone.parse::<Tz>().ok()?),
                None => None,
            };
            let unit = *unit;
            let parse = move |text: &str| timestamp(text, unit, zone.as_ref());
            match unit {
                TimeUnit::Second => with::<TimestampSecondType, _>(data_type, parse),
                TimeUnit::Millisecond => with::<TimestampMillisecondType, _>(data_type, parse),
                TimeUnit::Microsecond => with::<TimestampMicrosecondType, _>(data_type, parse),
                TimeUnit::Nanosecond => with::<TimestampNanosecondType, _>(data_type, parse),
            }
        }
        _ => return None,
    })
}

#[derive(Debug)]
struct Text(StringBuilder);

impl Column for Text {
    fn append(&mut self, text: &str) -> Result<(), Unfit> {
        self.0.append_value(text);
        Ok(())
    }

    fn append_null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

#[derive(Debug)]
struct Truth(BooleanBuilder);

impl Column for Truth {
    fn append(&mut self, text: &str) -> Result<(), Unfit> {
        let value = match text {
            "1" => true,
            "0" => false,
            _ if text.eq_ignore_ascii_case("true") => true,
            _ if text.eq_ignore_ascii_case("false") => false,
            _ => return Err(Unfit::Type),
        };
        self.0.append_value(value);
        Ok(())
    }

    fn append_null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// A column of fixed-width values and how they are written.
struct Fixed<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    parse: F,
}

/// Shows the type; the values are nobody's business.
impl<T: ArrowPrimitiveType, F> fmt::Debug for Fixed<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fixed({})", T::DATA_TYPE)
    }
}

impl<T, F> Column for Fixed<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&str) -> Result<T::Native, Unfit> + Send,
{
    fn append(&mut self, text: &str) -> Result<(), Unfit> {
        self.builder.append_value((self.parse)(text)?);
        Ok(())
    }

    fn append_null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

fn with<T, F>(data_type: &DataType, parse: F) -> Box<dyn Column>
where
    T: ArrowPrimitiveType,
    F: Fn(&str) -> Option<T::Native> + Send + 'static,
{
    explained::<T, _>(data_type, move |text| parse(text).ok_or(Unfit::Type))
}

fn explained<T, F>(data_type: &DataType, parse: F) -> Box<dyn Column>
where
    T: ArrowPrimitiveType,
    F: Fn(&str) -> Result<T::Native, Unfit> + Send + 'static,
{
    Box::new(Fixed {
        builder: PrimitiveBuilder::<T>::new().with_data_type(data_type.clone()),
        parse,
    })
}

fn plain<T>(data_type: &DataType) -> Box<dyn Column>
where
    T: ArrowPrimitiveType<Native: std::str::FromStr>,
{
    with::<T, _>(data_type, |text| text.parse().ok())
}

/// Whole numbers.
fn whole<T>(data_type: &DataType, zeros: LeadingZeros) -> Box<dyn Column>
where
    T: ArrowPrimitiveType<Native: std::str::FromStr>,
{
    explained::<T, _>(data_type, move |text| {
        let value = text.parse().map_err(|_| Unfit::Type)?;
        check_zeros(text, zeros)?;
        Ok(value)
    })
}

/// Refuses a whole number with zeros before its first digit, unless they mean nothing.
fn check_zeros(text: &str, zeros: LeadingZeros) -> Result<(), Unfit> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    match zeros {
        LeadingZeros::Malformed if digits.len() > 1 && digits.starts_with('0') => {
            Err(Unfit::LeadingZeros)
        }
        LeadingZeros::Malformed | LeadingZeros::Drop => Ok(()),
    }
}

fn exact<T: DecimalType>(
    data_type: &DataType,
    (precision, scale): (u8, i8),
    zeros: LeadingZeros,
) -> Box<dyn Column> {
    let parse = move |text: &str| {
        let value = is_decimal(text, scale).then(|| parse_decimal::<T>(text, precision, scale));
        let value = value?.ok()?;
        T::is_valid_decimal_precision(value, precision).then_some(value)
    };
    explained::<T, _>(data_type, move |text| {
        let value = parse(text).ok_or(Unfit::Type)?;
        if scale == 0 {
            check_zeros(text, zeros)?;
        }
        Ok(value)
    })
}

/// Digits with an optional sign and at most `scale` of them after an optional point.
fn is_decimal(text: &str, scale: i8) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = usize::try_from(scale).is_ok_and(|scale| fraction.len() <= scale);
    !whole.is_empty()
        && numeric(whole)
        && numeric(fraction)
        && fits
        && (digits.len() == whole.len() || !fraction.is_empty())
}

fn date(text: &str) -> Option<NaiveDate> {
    let [year, month, day] = numbers(text, [4, 2, 2], b'-')?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// Three numbers of fixed widths with a separator between them, and nothing else.
fn numbers(text: &str, widths: [usize; 3], separator: u8) -> Option<[u32; 3]> {
    let mut parts = text.as_bytes().split(|&byte| byte == separator);
    let mut found = [0; 3];
    for (number, width) in found.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.iter().all(u8::is_ascii_digit) {
            return None;
        }
        *number = std::str::from_utf8(part).ok()?.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn timestamp(text: &str, unit: TimeUnit, zone: Option<&Tz>) -> Option<i64> {
    let (day, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', ' '])?;
    let [hour, minute, second] = numbers(rest.get(..8)?, [2, 2, 2], b':')?;
    let local = date(day)?.and_hms_opt(hour, minute, second)?;
    let rest = rest.get(8..)?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            rest.split_at_checked(digits)?
        }
        None => ("", rest),
    };
    let (per_second, places) = match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    };
    if fraction.len() > places {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<places$}0").parse::<i128>().ok()? / 10;
    let seconds = i128::from(instant(local, offset, zone)?.timestamp());
    i64::try_from(seconds * per_second + fraction).ok()
}

/// The instant of a local time, by the offset written or the column's zone; naive columns keep the
/// local time and take no offset.
fn instant(local: NaiveDateTime, offset: &str, zone: Option<&Tz>) -> Option<DateTime<Utc>> {
    match (zone, offset) {
        (None, "") => Some(local.and_utc()),
        (None, _) => None,
        (Some(zone), "") => Some(zone.from_local_datetime(&local).single()?.to_utc()),
        (Some(_), "Z") => Some(local.and_utc()),
        (Some(_), offset) => {
            let offset: Tz = offset
                .starts_with(['+', '-'])
                .then(|| offset.parse().ok())??;
            Some(offset.from_local_datetime(&local).single()?.to_utc())
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::i256;

    use super::*;

    fn parses(data_type: &DataType, text: &str) -> bool {
        let mut column = column(data_type, LeadingZeros::Malformed).unwrap();
        column.append(text).is_ok()
    }

    fn millis(text: &str, zone: Option<&str>) -> Option<i64> {
        let mut column = column(
            &DataType::Timestamp(TimeUnit::Millisecond, zone.map(Into::into)),
            LeadingZeros::Malformed,
        )
        .unwrap();
        column.append(text).ok().map(|()| {
            column
                .finish()
                .as_primitive::<TimestampMillisecondType>()
                .value(0)
        })
    }

    #[test]
    fn decimals_are_exact_or_malformed() {
        let money = DataType::Decimal128(12, 2);
        let mut built = column(&money, LeadingZeros::Malformed).unwrap();
        for text in ["0", "1.5", "-1234567890.12", "+7.00", "-0.05"] {
            assert_eq!(built.append(text), Ok(()), "{text}");
        }
        built.append_null();
        let built = built.finish();
        assert_eq!(built.data_type(), &money);
        let values: Vec<_> = built.as_primitive::<Decimal128Type>().iter().collect();
        assert_eq!(
            values,
            [
                Some(0),
                Some(150),
                Some(-123_456_789_012),
                Some(700),
                Some(-5),
                None
            ]
        );
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "1.234",
            "1.230",
            "12345678901.00",
            "1e3",
            " 1",
            "1,000",
            "NaN",
            "--1",
            "１",
        ] {
            assert!(!parses(&money, text), "{text:?}");
        }
    }

    #[test]
    fn wide_decimals_keep_every_digit() {
        let wide = DataType::Decimal256(60, 4);
        let mut built = column(&wide, LeadingZeros::Malformed).unwrap();
        let text = "-12345678901234567890123456789012345678901234567890.1234";
        assert_eq!(built.append(text), Ok(()));
        let built = built.finish();
        let expected = i256::from_string("-123456789012345678901234567890123456789012345678901234");
        assert_eq!(
            Some(built.as_primitive::<Decimal256Type>().value(0)),
            expected
        );
    }

    #[test]
    fn integers_stay_within_their_width() {
        assert!(parses(&DataType::Int8, "-128") && !parses(&DataType::Int8, "128"));
        assert!(parses(&DataType::UInt64, "18446744073709551615"));
        assert!(!parses(&DataType::UInt8, "-1") && !parses(&DataType::Int32, "1.0"));
        assert!(!parses(&DataType::Int32, "") && !parses(&DataType::Int32, " 1"));
    }

    #[test]
    fn zeros_before_a_whole_number_are_malformed_unless_they_mean_nothing() {
        let with = |data_type: &DataType, zeros, text: &str| {
            column(data_type, zeros).unwrap().append(text)
        };
        let dropping =
            |data_type: &DataType, text: &str| with(data_type, LeadingZeros::Drop, text).is_ok();
        let refused =
            |data_type: &DataType, text: &str| with(data_type, LeadingZeros::Malformed, text);
        let whole = DataType::Decimal128(20, 0);
        for data_type in [DataType::Int32, DataType::UInt64, whole] {
            for text in ["0", "7", "70", "700"] {
                assert!(parses(&data_type, text), "{data_type} {text}");
            }
            for text in ["007", "00", "01"] {
                let found = refused(&data_type, text);
                assert_eq!(found, Err(Unfit::LeadingZeros), "{data_type} {text}");
                assert!(dropping(&data_type, text), "{data_type} {text}");
            }
            // Dropping them would be no help.
            for text in ["0x7", "007.5", "0 7", "00a"] {
                let found = refused(&data_type, text);
                assert_eq!(found, Err(Unfit::Type), "{data_type} {text}");
                assert!(!dropping(&data_type, text), "{data_type} {text}");
            }
        }
        assert_eq!(refused(&DataType::Int8, "0128"), Err(Unfit::Type));
        assert!(!parses(&DataType::Int32, "-07") && dropping(&DataType::Int32, "-07"));
        // An amount may be padded: what stands before the point tells it from no other.
        assert!(parses(&DataType::Decimal128(12, 2), "0012.50"));
        assert!(parses(&DataType::Float64, "007.5"));
    }

    #[test]
    fn dates_are_iso_and_exist() {
        assert!(parses(&DataType::Date32, "2024-02-29"));
        for text in [
            "2023-02-29",
            "2024-2-29",
            "20240229",
            "2024/02/29",
            "2024-02-29 ",
            "二〇二四",
        ] {
            assert!(!parses(&DataType::Date32, text), "{text}");
        }
    }

    #[test]
    fn naive_timestamps_stay_naive() {
        assert_eq!(millis("1970-01-01T00:00:01.5", None), Some(1500));
        assert_eq!(millis("1970-01-01 00:00:01", None), Some(1000));
        assert_eq!(millis("1969-12-31T23:59:59.999", None), Some(-1));
        for text in [
            "1970-01-01T00:00:01Z",
            "1970-01-01T00:00:01.1234",
            "1970-01-01T24:00:00",
            "1970-01-01T00:00:01.",
            "1970-01-01",
            "1970-01-01x00:00:00",
        ] {
            assert_eq!(millis(text, None), None, "{text}");
        }
    }

    #[test]
    fn zoned_timestamps_take_offsets_or_the_columns_zone() {
        let shanghai = Some("Asia/Shanghai");
        assert_eq!(millis("1970-01-01T08:00:01", shanghai), Some(1000));
        assert_eq!(millis("1970-01-01T00:00:01Z", shanghai), Some(1000));
        assert_eq!(millis("1970-01-01T01:00:01+01:00", shanghai), Some(1000));
        assert_eq!(millis("1970-01-01T01:00:01UTC", shanghai), None);
        // This local time occurs twice, and this one not at all.
        assert_eq!(millis("2025-10-26T02:30:00", Some("Europe/Berlin")), None);
        assert_eq!(millis("2025-03-30T02:30:00", Some("Europe/Berlin")), None);
    }

    #[test]
    fn nanoseconds_out_of_range_are_malformed() {
        let kind = DataType::Timestamp(TimeUnit::Nanosecond, None);
        assert!(parses(&kind, "2026-01-01T00:00:00.123456789"));
        assert!(!parses(&kind, "2300-01-01T00:00:00"));
    }

    #[test]
    fn binary_has_no_text_form() {
        assert!(column(&DataType::Binary, LeadingZeros::Drop).is_none());
    }
}
