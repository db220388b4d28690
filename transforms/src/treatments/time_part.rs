//! `time-part`: one part of a date or timestamp, as a number.
//!
//! What is asked of a date is often its season, its weekday or its hour; the rest of it need not
//! leave.

use arrow::datatypes::{ArrowPrimitiveType, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{Civil, ForTime, Local, Moment, check_time, with_time};
use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::converted::converted;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Delivers one part of a date or timestamp as a whole number (`int32`).
///
/// Timestamps with a zone are read as its calendars and clocks show them. A sentinel becomes null,
/// because a number could not be told from a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimePart {
    /// The part: `year`; `quarter` 1 to 4; `month` 1 to 12; `week` 1 to 53 (ISO 8601); `day` of the
    /// month; `weekday` 1 (Monday) to 7; and of timestamps `hour`, `minute`, `second`.
    pub part: Part,
}

/// A part of a date or of the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The year.
    Year,
    /// The quarter, from 1.
    Quarter,
    /// The month, from 1.
    Month,
    /// The week of ISO 8601, from 1.
    Week,
    /// The day of the month, from 1.
    Day,
    /// The weekday, from Monday, 1.
    Weekday,
    /// The hour, from 0.
    Hour,
    /// The minute, from 0.
    Minute,
    /// The second, from 0.
    Second,
}

impl Part {
    fn is_of_time(self) -> bool {
        matches!(self, Self::Hour | Self::Minute | Self::Second)
    }

    #[inline]
    fn of(self, Moment { day, second }: Moment) -> i64 {
        match self {
            Self::Year => Civil::of_days(day).year,
            Self::Quarter => (Civil::of_days(day).month - 1) / 3 + 1,
            Self::Month => Civil::of_days(day).month,
            Self::Week => week(day),
            Self::Day => Civil::of_days(day).day,
            Self::Weekday => weekday(day) + 1,
            Self::Hour => second / 3_600,
            Self::Minute => second / 60 % 60,
            Self::Second => second % 60,
        }
    }
}

/// Days since Monday; 1970-01-01 was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// The week of ISO 8601: it belongs to the year of its Thursday.
fn week(day: i64) -> i64 {
    let thursday = day - weekday(day) + 3;
    let new_year = Civil {
        month: 1,
        day: 1,
        ..Civil::of_days(thursday)
    }
    .to_days();
    (thursday - new_year) / 7 + 1
}

impl Definition for TimePart {
    const KIND: &'static str = "time-part";
    const SUMMARY: &'static str = "delivers one part of a date or timestamp as a whole number";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str = r#"{ kind = "time-part", part = "year" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    /// True for the same part, and for the quarter, which follows from the month.
    fn at_least(&self, floor: &Self) -> bool {
        self.part == floor.part || (self.part == Part::Quarter && floor.part == Part::Month)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        check_time(Self::KIND, column.data_type)?;
        let is_date = matches!(column.data_type, DataType::Date32 | DataType::Date64);
        if is_date && self.part.is_of_time() {
            return Err(
                Misfit::of_parameter("part", "a date has no part below the day")
                    .with_hint("choose year, quarter, month, week, day or weekday"),
            );
        }
        Ok(Some(DataType::Int32))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let local = Local::new(column.data_type)?;
        let builder = Builder {
            column,
            options,
            local,
            part: self.part,
        };
        with_time(column.data_type, builder)
            .ok_or_else(|| Misfit::of_type(Self::KIND, column.data_type, Self::FITS))?
    }
}

struct Builder<'a> {
    column: Column<'a>,
    options: &'a Options,
    local: Local,
    part: Part,
}

impl ForTime for Builder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let Self { local, part, .. } = self;
        converted::<T, _>(self.column, self.options, move |value| {
            let moment = local.moment(value.into())?;
            i32::try_from(part.of(moment)).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, AsArray, Date32Array, Date64Array, TimestampMillisecondArray, TimestampSecondArray,
    };
    use arrow::datatypes::Int32Type;
    use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Timelike};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::number::column::testing::{apply, misfit, treat, written};
    use crate::options::Scalar;

    const PARTS: [&str; 9] = [
        "year", "quarter", "month", "week", "day", "weekday", "hour", "minute", "second",
    ];

    fn parts(part: &str, array: impl Array + 'static) -> Vec<Option<i32>> {
        let treated = treat::<TimePart>(json!({ "part": part }), array);
        treated.as_primitive::<Int32Type>().iter().collect()
    }

    #[test]
    fn parts_of_dates() {
        let day = |text: &str| {
            let date: NaiveDate = text.parse().unwrap();
            i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap()
        };
        for (date, expected) in [
            ("2024-12-30", [2024, 4, 12, 1, 30, 1]),
            ("2021-01-03", [2021, 1, 1, 53, 3, 7]),
            ("1969-07-20", [1969, 3, 7, 29, 20, 7]),
            ("0000-02-29", [0, 1, 2, 9, 29, 2]),
        ] {
            for (part, expected) in PARTS.iter().zip(expected) {
                let array = Date32Array::from(vec![day(date)]);
                assert_eq!(parts(part, array), [Some(expected)], "{part} of {date}");
            }
        }
    }

    #[test]
    fn timestamps_are_read_in_their_zone() {
        let instant = DateTime::parse_from_rfc3339("2023-12-31T23:30:15Z")
            .unwrap()
            .timestamp();
        for (zone, expected) in [
            (None, [2023, 4, 12, 52, 31, 7, 23, 30, 15]),
            (Some("Asia/Shanghai"), [2024, 1, 1, 1, 1, 1, 7, 30, 15]),
            (Some("-03:30"), [2023, 4, 12, 52, 31, 7, 20, 0, 15]),
        ] {
            for (part, expected) in PARTS.iter().zip(expected) {
                let array = TimestampSecondArray::from(vec![instant]).with_timezone_opt(zone);
                assert_eq!(parts(part, array), [Some(expected)], "{part} in {zone:?}");
            }
        }
    }

    #[test]
    fn hours_follow_the_clock_over_a_change() {
        // Clocks went from 02:00 to 03:00 on 2024-03-10, and from 02:00 back to 01:00 on 2024-11-03.
        let instant = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp();
        let values = vec![
            instant("2024-03-10T06:59:59Z"),
            instant("2024-03-10T07:00:00Z"),
            instant("2024-11-03T05:30:00Z"),
            instant("2024-11-03T06:30:00Z"),
        ];
        let array = TimestampSecondArray::from(values).with_timezone("America/New_York");
        assert_eq!(parts("hour", array), [Some(1), Some(3), Some(1), Some(1)]);
    }

    #[test]
    fn values_beyond_every_calendar_are_invalid() {
        let extremes = TimestampSecondArray::from(vec![i64::MIN, i64::MAX]);
        assert_eq!(parts("year", extremes.clone()), [None, None]);
        assert_eq!(parts("hour", extremes).len(), 2);
        let zoned = TimestampSecondArray::from(vec![i64::MAX]).with_timezone("+08:00");
        assert_eq!(parts("hour", zoned), [None]);
        let days = Date32Array::from(vec![i32::MIN, i32::MAX]);
        assert!(parts("year", days).iter().all(Option::is_some));
    }

    #[test]
    fn a_sentinel_does_not_become_a_plausible_part() {
        let options = Options {
            sentinels: vec![Scalar::Text("9999-12-31".into())],
            ..Options::default()
        };
        let part: TimePart = written(json!({ "part": "month" }));
        let treated = apply(&part, &options, Date32Array::from(vec![2_932_896, 0])).unwrap();
        assert_eq!(treated.counts.sentinels, 1);
        let months: Vec<_> = treated.array.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(months, [None, Some(1)]);
    }

    #[test]
    fn a_date_has_no_time() {
        for part in ["hour", "minute", "second"] {
            for data_type in [DataType::Date32, DataType::Date64] {
                let misfit = misfit::<TimePart>(json!({ "part": part }), &data_type);
                assert_eq!(misfit.parameter, Some("part"));
            }
        }
        assert_eq!(
            misfit::<TimePart>(json!({ "part": "year" }), &DataType::Utf8).parameter,
            None
        );
        assert!(serde_json::from_value::<TimePart>(json!({ "part": "century" })).is_err());
    }

    #[test]
    fn the_quarter_reveals_no_more_than_the_month() {
        let part = |part: &str| written::<TimePart>(json!({ "part": part }));
        assert!(part("quarter").at_least(&part("month")));
        for (own, floor) in [("month", "quarter"), ("week", "month"), ("day", "weekday")] {
            assert!(!part(own).at_least(&part(floor)), "{own} {floor}");
        }
        for part_name in PARTS {
            assert!(part(part_name).at_least(&part(part_name)));
        }
    }

    proptest! {
        #[test]
        fn parts_agree_with_chrono(milliseconds in -60_000_000_000_000_i64..250_000_000_000_000) {
            let time = chrono::Utc.timestamp_millis_opt(milliseconds).unwrap();
            let expected = [
                time.year(),
                time.month0().cast_signed() / 3 + 1,
                time.month().cast_signed(),
                time.iso_week().week().cast_signed(),
                time.day().cast_signed(),
                time.weekday().number_from_monday().cast_signed(),
                time.hour().cast_signed(),
                time.minute().cast_signed(),
                time.second().cast_signed(),
            ];
            for (part, expected) in PARTS.iter().zip(expected) {
                let array = TimestampMillisecondArray::from(vec![milliseconds]);
                prop_assert_eq!(parts(part, array), [Some(expected)]);
            }
            prop_assert_eq!(parts("day", Date64Array::from(vec![milliseconds])), [Some(expected[4])]);
        }
    }
}
