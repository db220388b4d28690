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
            let one = misfit::<TimePart>(json!({ "part": part }), &data_type);
            assert_eq!(one.parameter, Some("part"));
            let kept = misfit::<TimePart>(json!({ "keep": ["year", part] }), &data_type);
            assert_eq!(kept.parameter, Some("keep"));
        }
    }
    assert_eq!(
        misfit::<TimePart>(json!({ "part": "year" }), &DataType::Utf8).parameter,
        None
    );
    assert!(serde_json::from_value::<TimePart>(json!({ "part": "century" })).is_err());
}

/// What is left of a timestamp in a zone.
fn kept(keep: &[&str], zone: &str, text: &str) -> String {
    let instant = DateTime::parse_from_rfc3339(text).unwrap().timestamp();
    let array = TimestampSecondArray::from(vec![instant]).with_timezone(zone);
    let treated = treat::<TimePart>(json!({ "keep": keep }), array);
    arrow::util::display::array_value_to_string(&treated, 0).unwrap()
}

#[test]
fn parts_that_are_kept_stay_where_they_are() {
    let dates = |keep: &[&str], days: Vec<i32>| -> Vec<String> {
        let treated = treat::<TimePart>(json!({ "keep": keep }), Date32Array::from(days));
        let shown = |row| arrow::util::display::array_value_to_string(&treated, row).unwrap();
        (0..treated.len()).map(shown).collect()
    };
    // 2024-02-29, 1969-12-31, 2023-03-01.
    let days = || vec![19_782, -1, 19_417];
    for (keep, expected) in [
        (
            &["month", "day"][..],
            ["2000-02-29", "2000-12-31", "2000-03-01"],
        ),
        (&["day"], ["2000-01-29", "2000-01-31", "2000-01-01"]),
        (&["year", "day"], ["2024-01-29", "1969-01-31", "2023-01-01"]),
        (&["year"], ["2024-01-01", "1969-01-01", "2023-01-01"]),
    ] {
        assert_eq!(dates(keep, days()), expected, "{keep:?}");
    }
    let shanghai = |keep: &[&str]| kept(keep, "Asia/Shanghai", "2026-05-17T21:43:59Z");
    assert_eq!(shanghai(&["hour", "minute"]), "2000-01-01T05:43:00+08:00");
    assert_eq!(shanghai(&["month", "second"]), "2000-05-01T00:00:59+08:00");
    let utc = kept(
        &["year", "month", "day", "hour", "minute"],
        "UTC",
        "1969-07-20T20:17:40Z",
    );
    assert_eq!(utc, "1969-07-20T20:17:00Z");
}

#[test]
fn a_time_that_clocks_skipped_or_showed_twice_is_written_one_way() {
    // Clocks of New York went from 02:00 to 03:00 on 2000-04-02, and back on 2000-10-29.
    let keep = ["month", "day", "hour", "minute"];
    let skipped = kept(&keep, "America/New_York", "2001-04-02T02:30:00-04:00");
    assert_eq!(skipped, "2000-04-02T03:00:00-04:00");
    let twice = kept(&keep, "America/New_York", "2001-10-29T01:30:00-05:00");
    assert_eq!(twice, "2000-10-29T01:30:00-04:00");
}

#[test]
fn what_keeps_nothing_or_everything_is_refused() {
    let date = DataType::Date32;
    let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Second, None);
    let six = ["year", "month", "day", "hour", "minute", "second"];
    for (table, data_type) in [
        (json!({ "keep": [] }), &date),
        (json!({ "keep": ["year", "year"] }), &date),
        (json!({ "keep": ["quarter"] }), &date),
        (json!({ "keep": ["year", "month", "day"] }), &date),
        (json!({ "keep": six }), &time),
        (json!({ "part": "year", "keep": ["year"] }), &date),
    ] {
        let refused = misfit::<TimePart>(table.clone(), data_type);
        assert_eq!(refused.parameter, Some("keep"), "{table}");
    }
    let neither = misfit::<TimePart>(json!({}), &date);
    assert_eq!(neither.parameter, Some("part"));
}

#[test]
fn fewer_kept_parts_meet_more() {
    let asked = |table| written::<TimePart>(table);
    let floor = asked(json!({ "keep": ["month", "day"] }));
    for (table, meets) in [
        (json!({ "keep": ["day", "month"] }), true),
        (json!({ "keep": ["day"] }), true),
        (json!({ "part": "month" }), true),
        (json!({ "part": "quarter" }), true),
        (json!({ "keep": ["year"] }), false),
        (json!({ "part": "weekday" }), false),
    ] {
        assert_eq!(asked(table.clone()).at_least(&floor), meets, "{table}");
    }
    assert!(!floor.at_least(&asked(json!({ "part": "month" }))));
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
