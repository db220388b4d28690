//! `date-trunc`: dates and timestamps to the beginning of a larger unit.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{Civil, DAY_SECONDS, Occurrence, Zone, per_second};
use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::marks::carrier::Freedom;
use crate::number::column::mapped;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
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
    /// What is delivered of the unit. `start`: its beginning. `any`: the value stands for the whole unit, and
    /// where marks are, any day of it is delivered, of a timestamp any second; elsewhere its beginning.
    /// Absent means `start`.
    #[serde(default, rename = "as", skip_serializing_if = "Stands::is_start")]
    pub stands: Stands,
}

/// What stands for a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// Its beginning.
    #[default]
    Start,
    /// Any day or second of it, as the mark has it.
    Any,
}

impl Stands {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over a reference"
    )]
    fn is_start(&self) -> bool {
        *self == Self::Start
    }
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
    /// The name in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
        }
    }

    /// Seconds, of which so many after a unit's beginning are in a unit that follows: mostly in the next.
    pub(crate) fn seconds_beyond(self) -> i64 {
        match self {
            // A day more than the longest, for clocks that were put back in it.
            Self::Year => 367 * DAY_SECONDS,
            Self::Quarter => 93 * DAY_SECONDS,
            Self::Month => 32 * DAY_SECONDS,
            Self::Week => 8 * DAY_SECONDS,
            Self::Day => 36 * 3_600,
            Self::Hour => 3_600,
            Self::Minute => 60,
        }
    }

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
    pub(crate) fn first_day(self, days: i64) -> i64 {
        match self {
            // 1970-01-01 was a Thursday.
            Self::Week => days - (days + 3).rem_euclid(7),
            Self::Month => days - (Civil::of_days(days).day - 1),
            Self::Quarter => {
                let date = Civil::of_days(days);
                Civil {
                    month: (date.month - 1) / 3 * 3 + 1,
                    day: 1,
                    ..date
                }
                .to_days()
            }
            Self::Year => Civil {
                month: 1,
                day: 1,
                ..Civil::of_days(days)
            }
            .to_days(),
            Self::Day | Self::Hour | Self::Minute => days,
        }
    }

    /// The beginning of the unit around a time, in `per_second` parts of a second since 1970; none
    /// if 64 bits do not hold it.
    #[inline]
    pub(crate) fn truncate(self, time: i64, per_second: i64) -> Option<i64> {
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
    pub(crate) fn truncate_local(self, time: i64, per_second: i64, zone: &Zone) -> Option<i64> {
        let instant = time.div_euclid(per_second);
        let local = instant.checked_add(zone.offset(instant))?;
        let pick = if self.is_shorter_than_a_day() {
            Occurrence::LastBefore
        } else {
            Occurrence::First
        };
        zone.instant(self.truncate(local, 1)?, instant, pick)?
            .checked_mul(per_second)
    }
}

impl Definition for DateTrunc {
    const KIND: &'static str = "date-trunc";
    const SUMMARY: &'static str = "sets a date or timestamp back to the beginning of a larger unit";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str = r#"{ kind = "date-trunc", unit = "month" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn at_least(&self, floor: &Self) -> bool {
        self.unit.is_made_of(floor.unit)
    }

    fn freedom(&self, data_type: &DataType) -> Option<Freedom> {
        let is_marked = matches!(data_type, DataType::Date32 | DataType::Timestamp(_, _));
        (self.stands == Stands::Any && is_marked).then_some(Freedom::Calendar(self.unit))
    }

    fn lends(&self) -> Option<&'static str> {
        (self.stands == Stands::Any).then_some("as")
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
                    TimeUnit::Second => {
                        self.timestamp::<TimestampSecondType>(column, options, zone)
                    }
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

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, AsArray, Date32Array, Date64Array, PrimitiveArray, TimestampSecondArray,
    };
    use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, TimeZone, Timelike};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::number::column::testing::{apply, misfit, treat, written};
    use crate::options::Scalar;

    const UNITS: [&str; 7] = ["year", "quarter", "month", "week", "day", "hour", "minute"];

    fn day(text: &str) -> i32 {
        let date: NaiveDate = text.parse().unwrap();
        date.signed_duration_since(NaiveDate::default())
            .num_days()
            .try_into()
            .unwrap()
    }

    fn instant(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    fn truncate_at(unit: &str, zone: &str, text: &str) -> i64 {
        let array = TimestampSecondArray::from(vec![instant(text)]).with_timezone(zone);
        let treated = treat::<DateTrunc>(json!({ "unit": unit }), array);
        treated.as_primitive::<TimestampSecondType>().value(0)
    }

    #[test]
    fn dates_go_back_to_the_beginning_of_the_unit() {
        for (unit, date, beginning) in [
            ("year", "2024-12-31", "2024-01-01"),
            ("quarter", "2024-06-30", "2024-04-01"),
            ("quarter", "2024-07-01", "2024-07-01"),
            ("month", "2024-02-29", "2024-02-01"),
            ("week", "2024-02-29", "2024-02-26"),
            ("week", "2024-02-26", "2024-02-26"),
            ("week", "1969-12-28", "1969-12-22"),
            ("month", "0000-01-31", "0000-01-01"),
        ] {
            let treated =
                treat::<DateTrunc>(json!({ "unit": unit }), Date32Array::from(vec![day(date)]));
            assert_eq!(
                treated.as_primitive::<Date32Type>().value(0),
                day(beginning),
                "{unit} {date}"
            );
        }
    }

    #[test]
    fn timestamps_go_back_to_the_beginning_of_the_unit() {
        for (unit, beginning) in [
            ("minute", "1969-07-20T20:17:00Z"),
            ("hour", "1969-07-20T20:00:00Z"),
            ("day", "1969-07-20T00:00:00Z"),
            ("week", "1969-07-14T00:00:00Z"),
            ("month", "1969-07-01T00:00:00Z"),
            ("quarter", "1969-07-01T00:00:00Z"),
            ("year", "1969-01-01T00:00:00Z"),
        ] {
            for zone in ["UTC", "+00:00"] {
                assert_eq!(
                    truncate_at(unit, zone, "1969-07-20T20:17:40Z"),
                    instant(beginning)
                );
            }
        }
    }

    #[test]
    fn what_stands_for_the_whole_is_its_beginning_until_it_is_marked() {
        let any: DateTrunc = written(json!({ "unit": "month", "as": "any" }));
        let start: DateTrunc = written(json!({ "unit": "month", "as": "start" }));
        assert_eq!(start, written(json!({ "unit": "month" })));
        assert_eq!(
            serde_json::to_value(&start).unwrap(),
            json!({ "unit": "month" })
        );
        let dates = Date32Array::from(vec![day("2024-02-29")]);
        let treated = |table| treat::<DateTrunc>(table, dates.clone());
        let table = json!({ "unit": "month", "as": "any" });
        assert_eq!(&treated(table), &treated(json!({ "unit": "month" })));
        assert_eq!((any.lends(), start.lends()), (Some("as"), None));
        let lent = any.freedom(&DataType::Date32);
        assert_eq!(lent, Some(Freedom::Calendar(Unit::Month)));
        assert_eq!(any.freedom(&DataType::Date64), None);
        assert_eq!(start.freedom(&DataType::Date32), None);
        // Neither shows more than the other.
        assert!(any.at_least(&start) && start.at_least(&any));
    }

    #[test]
    fn zones_truncate_in_local_time() {
        let shanghai = |unit| truncate_at(unit, "Asia/Shanghai", "2026-01-01T07:30:30+08:00");
        assert_eq!(shanghai("year"), instant("2026-01-01T00:00:00+08:00"));
        assert_eq!(shanghai("hour"), instant("2026-01-01T07:00:00+08:00"));
        let fixed = truncate_at("day", "+05:30", "2026-01-01T03:00:00+05:30");
        assert_eq!(fixed, instant("2026-01-01T00:00:00+05:30"));
        // A month that begins in winter time and ends in summer time.
        let month = truncate_at("month", "Europe/Berlin", "2026-03-30T12:00:00+02:00");
        assert_eq!(month, instant("2026-03-01T00:00:00+01:00"));
    }

    #[test]
    fn changes_of_the_clock_have_one_defined_beginning() {
        for (unit, zone, time, beginning) in [
            // 02:00 to 03:00 was skipped.
            (
                "hour",
                "Europe/Berlin",
                "2026-03-29T03:30:00+02:00",
                "2026-03-29T03:00:00+02:00",
            ),
            // 02:00 to 03:00 occurred twice.
            (
                "hour",
                "Europe/Berlin",
                "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:00:00+02:00",
            ),
            (
                "hour",
                "Europe/Berlin",
                "2026-10-25T02:30:00+01:00",
                "2026-10-25T02:00:00+01:00",
            ),
            (
                "minute",
                "Europe/Berlin",
                "2026-10-25T02:30:30+01:00",
                "2026-10-25T02:30:00+01:00",
            ),
            (
                "day",
                "Europe/Berlin",
                "2026-10-25T23:00:00+01:00",
                "2026-10-25T00:00:00+02:00",
            ),
            // Midnight was skipped.
            (
                "day",
                "America/Sao_Paulo",
                "2017-10-15T12:00:00-02:00",
                "2017-10-15T01:00:00-02:00",
            ),
            // Midnight occurred twice.
            (
                "day",
                "America/Havana",
                "2020-11-01T12:00:00-05:00",
                "2020-11-01T00:00:00-04:00",
            ),
            // Half an hour from 02:00 was skipped: the hour begins with its second half.
            (
                "hour",
                "Australia/Lord_Howe",
                "2026-10-04T02:45:00+11:00",
                "2026-10-04T02:30:00+11:00",
            ),
            // The whole of 30 December was skipped.
            (
                "week",
                "Pacific/Apia",
                "2011-12-31T05:00:00+14:00",
                "2011-12-26T00:00:00-10:00",
            ),
        ] {
            assert_eq!(
                truncate_at(unit, zone, time),
                instant(beginning),
                "{unit} {zone} {time}"
            );
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        for unit in UNITS {
            if !["day", "hour", "minute"].contains(&unit) {
                let dates = Date32Array::from(vec![i32::MIN, i32::MAX]);
                let treated = treat::<DateTrunc>(json!({ "unit": unit }), dates);
                assert!(treated.is_valid(1), "{unit}");
                let dates = Date64Array::from(vec![i64::MIN, i64::MAX]);
                assert!(treat::<DateTrunc>(json!({ "unit": unit }), dates).is_valid(1));
            }
            fn both<T: ArrowTimestampType>(unit: &str) {
                for zone in [None, Some("+14:00"), Some("-12:00"), Some("Europe/London")] {
                    let array = PrimitiveArray::<T>::from_iter_values([i64::MIN, i64::MAX])
                        .with_timezone_opt(zone);
                    treat::<DateTrunc>(json!({ "unit": unit }), array);
                }
            }
            both::<TimestampSecondType>(unit);
            both::<TimestampMillisecondType>(unit);
            both::<TimestampMicrosecondType>(unit);
            both::<TimestampNanosecondType>(unit);
        }
        let first =
            treat::<DateTrunc>(json!({ "unit": "year" }), Date32Array::from(vec![i32::MIN]));
        assert!(first.is_null(0));
    }

    #[test]
    fn sentinels_are_kept_only_if_listed() {
        let options = Options {
            sentinels: vec![Scalar::Text("9999-12-31".into())],
            ..Options::default()
        };
        let dates = Date32Array::from(vec![day("9999-12-31"), day("1900-01-31")]);
        let truncate: DateTrunc = written(json!({ "unit": "month" }));
        let treated = apply(&truncate, &options, dates.clone()).unwrap();
        let kept = Date32Array::from(vec![day("9999-12-31"), day("1900-01-01")]);
        assert_eq!(treated.array.as_primitive::<Date32Type>(), &kept);
        assert_eq!(treated.counts.sentinels, 1);
        let treated = apply(&truncate, &Options::default(), dates).unwrap();
        assert_eq!(
            treated.array.as_primitive::<Date32Type>().value(0),
            day("9999-12-01")
        );
    }

    #[test]
    fn what_does_not_fit_is_a_misfit() {
        for unit in ["day", "hour", "minute"] {
            let misfit = misfit::<DateTrunc>(json!({ "unit": unit }), &DataType::Date32);
            assert_eq!(misfit.parameter, Some("unit"));
        }
        for data_type in [
            DataType::Utf8,
            DataType::Int32,
            DataType::Timestamp(TimeUnit::Second, Some("Asia/Nowhere".into())),
        ] {
            assert_eq!(
                misfit::<DateTrunc>(json!({ "unit": "year" }), &data_type).parameter,
                None
            );
        }
        assert!(serde_json::from_value::<DateTrunc>(json!({ "unit": "second" })).is_err());
    }

    #[test]
    fn a_unit_made_of_the_floors_reveals_no_more() {
        let unit = |unit: &str| written::<DateTrunc>(json!({ "unit": unit }));
        let chain = ["minute", "hour", "day", "month", "quarter", "year"];
        for (position, coarse) in chain.iter().enumerate() {
            for (other, fine) in chain.iter().enumerate() {
                assert_eq!(unit(coarse).at_least(&unit(fine)), other <= position);
            }
        }
        assert!(unit("week").at_least(&unit("week")) && unit("week").at_least(&unit("day")));
        for longer in ["month", "quarter", "year"] {
            assert!(!unit(longer).at_least(&unit("week")) && !unit("week").at_least(&unit(longer)));
        }
    }

    proptest! {
        #[test]
        fn dates_agree_with_chrono(days in -3_000_000..3_000_000_i32) {
            let date = NaiveDate::default() + TimeDelta::days(days.into());
            for (unit, expected) in [
                ("year", date.with_ordinal(1)),
                ("month", date.with_day(1)),
                ("week", Some(date - TimeDelta::days(date.weekday().num_days_from_monday().into()))),
            ] {
                let treated = treat::<DateTrunc>(json!({ "unit": unit }), Date32Array::from(vec![days]));
                let expected = expected.unwrap().signed_duration_since(NaiveDate::default());
                prop_assert_eq!(i64::from(treated.as_primitive::<Date32Type>().value(0)), expected.num_days());
            }
        }

        #[test]
        fn every_precision_truncates_alike(seconds in -9_000_000_000_i64..9_000_000_000, unit in prop::sample::select(UNITS.to_vec())) {
            fn one<T: ArrowTimestampType>(seconds: i64, unit: &str) -> i64 {
                let array = PrimitiveArray::<T>::from_iter_values([seconds * per_second(T::UNIT)]);
                let treated = treat::<DateTrunc>(json!({ "unit": unit }), array);
                treated.as_primitive::<T>().value(0) / per_second(T::UNIT)
            }
            let expected = one::<TimestampSecondType>(seconds, unit);
            prop_assert_eq!(one::<TimestampMillisecondType>(seconds, unit), expected);
            prop_assert_eq!(one::<TimestampMicrosecondType>(seconds, unit), expected);
            prop_assert_eq!(one::<TimestampNanosecondType>(seconds, unit), expected);
        }
    }

    proptest! {
        // A zone's table takes long to make without optimisation.
        #![proptest_config(ProptestConfig::with_cases(5))]

        #[test]
        fn local_beginnings_hold_in_local_time(
            zone in prop::sample::select(vec![
                "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "+05:45",
            ]),
            times in prop::collection::vec(-1_000_000_000_i64..4_000_000_000, 500),
        ) {
            let tz: arrow::array::timezone::Tz = zone.parse().unwrap();
            for unit in UNITS {
                let array = TimestampSecondArray::from(times.clone()).with_timezone(zone);
                let once = treat::<DateTrunc>(json!({ "unit": unit }), array);
                let once = once.as_primitive::<TimestampSecondType>();
                let twice = treat::<DateTrunc>(json!({ "unit": unit }), once.clone());
                prop_assert_eq!(twice.as_primitive::<TimestampSecondType>(), once);
                for (time, beginning) in times.iter().zip(once.values()) {
                    prop_assert!(beginning <= time);
                    let local = |time: i64| tz.timestamp_opt(time, 0).unwrap();
                    let (time, beginning) = (local(*time), local(*beginning));
                    prop_assert_eq!(beginning.second(), 0);
                    if unit == "year" {
                        prop_assert_eq!((beginning.year(), beginning.ordinal()), (time.year(), 1));
                    }
                    if unit == "day" {
                        prop_assert_eq!(beginning.date_naive(), time.date_naive());
                    }
                }
            }
        }
    }
}
