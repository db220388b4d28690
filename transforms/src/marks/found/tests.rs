use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Int8Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt32Type, UInt64Type, i256,
};
use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::number::write_units;

fn column(cells: &[&str]) -> StringArray {
    StringArray::from(cells.to_vec())
}

fn spelled(time: TimeSpelling) -> Spelling {
    Spelling {
        time,
        ..Spelling::PLAIN
    }
}

fn times(power: i8) -> Spelling {
    Spelling {
        power,
        ..Spelling::PLAIN
    }
}

/// The one value of type `T` that a cell is read as.
fn one<T: ArrowPrimitiveType>(
    text: &str,
    target: &DataType,
    spelling: Spelling,
) -> Option<T::Native> {
    let found = read(&column(&[text]), target, spelling).unwrap();
    assert_eq!(found.values.data_type(), target);
    let values = found.values.as_primitive::<T>();
    values.is_valid(0).then(|| values.value(0))
}

const MILLIS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// Every type that can be read, of each kind.
fn targets() -> Vec<DataType> {
    let mut all = vec![
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(12, 2),
        DataType::Decimal128(38, 38),
        DataType::Decimal128(9, -3),
        DataType::Decimal256(76, 10),
        DataType::Date32,
        DataType::Date64,
        DataType::Utf8,
        DataType::Boolean,
    ];
    for unit in [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ] {
        all.push(DataType::Timestamp(unit, None));
        all.push(DataType::Timestamp(unit, Some("Asia/Shanghai".into())));
    }
    all
}

const TIMES: [TimeSpelling; 8] = [
    TimeSpelling::Text,
    TimeSpelling::Compact,
    TimeSpelling::DayMonth,
    TimeSpelling::MonthDay,
    TimeSpelling::UnixSeconds,
    TimeSpelling::UnixMilliseconds,
    TimeSpelling::Excel1900,
    TimeSpelling::Excel1904,
];

fn any_spelling() -> impl Strategy<Value = Spelling> {
    let power = prop::sample::select(vec![0_i8, 2, -2, 3, 4, 6, 8, i8::MAX, i8::MIN]);
    let time = prop::sample::select(TIMES.to_vec());
    let shift = prop::sample::select(vec![0_i16, 480, -480, i16::MIN, i16::MAX]);
    (power, time, shift).prop_map(|(power, time, shift_minutes)| Spelling {
        power,
        time,
        shift_minutes,
    })
}

/// A plain decimal in the other ways that people and programs write it.
fn disguised(plain: &str) -> Vec<String> {
    let (sign, digits) = plain
        .strip_prefix('-')
        .map_or(("", plain), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let grouped = |size: usize, separator: &str| {
        let groups: Vec<&str> = whole
            .as_bytes()
            .rchunks(size)
            .rev()
            .map(|group| std::str::from_utf8(group).unwrap())
            .collect();
        format!("{sign}{}.{fraction}0", groups.join(separator))
    };
    let wide = plain.chars().map(|character| match character {
        '0'..='9' | '.' | '-' => char::from_u32(u32::from(character) + 0xFEE0).unwrap(),
        other => other,
    });
    let mut all = vec![
        plain.to_owned(),
        format!(" {plain}\u{200B}"),
        wide.collect(),
        grouped(3, ","),
        grouped(3, "，"),
        grouped(4, " "),
        format!("{sign}¥{digits}"),
        format!("￥{plain}元"),
        format!("{sign}00{digits}e0"),
        format!("{sign}{whole}{fraction}E-{}", fraction.len()),
    ];
    if sign == "-" {
        all.push(format!("({digits})"));
        all.push(format!("\u{2212}{digits}"));
    }
    all
}

#[test]
fn a_spelling_says_itself_in_words() {
    let spelling = Spelling {
        power: 4,
        time: TimeSpelling::Excel1900,
        shift_minutes: -480,
    };
    let words = "times 10^4, Excel's days since 1900, clocks 480 minutes ahead";
    assert_eq!(spelling.to_string(), words);
    assert_eq!(Spelling::PLAIN.to_string(), "as it is");
}

#[test]
fn what_does_not_fit_is_null_and_counted_but_what_is_missing_is_not() {
    let cells = StringArray::from(vec![
        Some("127"),
        Some("128"),
        Some("-128"),
        Some("126.5"),
        Some("x"),
        Some(""),
        Some(" "),
        Some("NULL"),
        Some("-"),
        Some("\u{3000}"),
        None,
    ]);
    let found = read(&cells, &DataType::Int8, Spelling::PLAIN).unwrap();
    let values: Vec<Option<i8>> = found.values.as_primitive::<Int8Type>().iter().collect();
    let mut expected = vec![Some(127), None, Some(-128), Some(127)];
    expected.resize(cells.len(), None);
    assert_eq!((values, found.unreadable), (expected, 2));
    let wide = DataType::Decimal128(4, 2);
    assert_eq!(
        one::<Decimal128Type>("99.99", &wide, Spelling::PLAIN),
        Some(9_999)
    );
    assert_eq!(
        one::<Decimal128Type>("99.995", &wide, Spelling::PLAIN),
        None
    );
    assert_eq!(
        one::<UInt32Type>("-1", &DataType::UInt32, Spelling::PLAIN),
        None
    );
    assert_eq!(
        one::<UInt32Type>("-0.4", &DataType::UInt32, Spelling::PLAIN),
        Some(0)
    );
    assert_eq!(
        one::<Float32Type>("1e39", &DataType::Float32, Spelling::PLAIN),
        None
    );
}

#[test]
fn units_are_exchanged_exactly() {
    let yuan = DataType::Decimal128(18, 2);
    for (text, power, fen) in [
        ("1.2345", 4, 1_234_500),
        ("123456", -2, 123_456),
        ("1234.56", 2, 12_345_600),
        ("0.000000012345", 8, 123),
        ("12.5%", 2, 1_250),
    ] {
        assert_eq!(
            one::<Decimal128Type>(text, &yuan, times(power)),
            Some(fen),
            "{text}"
        );
    }
    let large = "18446744073709551615";
    assert_eq!(
        one::<UInt64Type>(large, &DataType::UInt64, Spelling::PLAIN),
        Some(u64::MAX)
    );
}

#[test]
fn text_and_truth_values_are_read_as_they_look() {
    let cells = column(&["\u{200B} 张\u{3000}三 ", "ＡＢＣ", "007", " "]);
    let found = read(&cells, &DataType::Utf8, Spelling::PLAIN).unwrap();
    let texts: Vec<Option<&str>> = found.values.as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("张 三"), Some("ABC"), Some("007"), None]);
    let cells = column(&["TRUE", "0", "是", "N", "1.0", "maybe"]);
    let found = read(&cells, &DataType::Boolean, Spelling::PLAIN).unwrap();
    let truths: Vec<Option<bool>> = found.values.as_boolean().iter().collect();
    assert_eq!(
        truths,
        [
            Some(true),
            Some(false),
            Some(true),
            Some(false),
            Some(true),
            None
        ]
    );
    assert_eq!(found.unreadable, 1);
}

#[test]
fn a_type_that_marks_are_not_read_from_is_refused() {
    let cells = column(&["1"]);
    assert!(read(&cells, &DataType::Binary, Spelling::PLAIN).is_err());
    assert!(spellings(&cells, &DataType::Binary).is_empty());
}

#[test]
fn times_are_read_however_they_are_written() {
    // 2026-01-31T08:30:05Z
    let expected = 1_769_848_205_000;
    for (time, texts) in [
        (
            TimeSpelling::Text,
            &[
                "2026-01-31 08:30:05",
                "2026-01-31T08:30:05Z",
                "2026-01-31T08:30:05.000+00:00",
                "2026-01-31 16:30:05+08:00",
                "2026-01-31 16:30:05 +0800",
                "2026-01-31T03:30:05-05",
                "2026-01-31 4:30:05 PM +08:00",
                "2026/1/31 8:30:05",
                "2026.1.31 8:30:5 AM",
                "2026-01-31  08:30:05 UTC",
                "2026年1月31日 8时30分5秒",
                "2026年1月31日上午8:30:05",
                "2026年1月31日 上午8时30分05秒",
                "２０２６－０１－３１　０８：３０：０５",
            ][..],
        ),
        (
            TimeSpelling::Compact,
            &[
                "20260131083005",
                "20260131083005.0",
                "20260131083005000",
                "20260131T083005Z",
                "20260131 08:30:05",
            ],
        ),
        (
            TimeSpelling::DayMonth,
            &["31/01/2026 08:30:05", "31.1.26 8:30:05 AM"],
        ),
        (
            TimeSpelling::MonthDay,
            &["01/31/2026 08:30:05", "1/31/26 8:30:05 am"],
        ),
        (
            TimeSpelling::UnixSeconds,
            &["1769848205", "1,769,848,205.0", "1.769848205E9"],
        ),
        (
            TimeSpelling::UnixMilliseconds,
            &["1769848205000", "1.769848205E+12"],
        ),
        (
            TimeSpelling::Excel1900,
            &["46053.354224537", "46053.35422453704", "46053.35422"],
        ),
        (TimeSpelling::Excel1904, &["44591.354224537"]),
    ] {
        for text in texts {
            let read = one::<TimestampMillisecondType>(text, &MILLIS, spelled(time));
            assert_eq!(read, Some(expected), "{text}");
        }
    }
    for (text, hour) in [
        ("下午1:00", 13),
        ("12:00 AM", 0),
        ("12:00 PM", 12),
        ("13时", 13),
    ] {
        let text = format!("2026-01-31 {text}");
        let read = one::<TimestampMillisecondType>(&text, &MILLIS, Spelling::PLAIN);
        assert_eq!(read, Some((1_769_817_600 + hour * 3_600) * 1_000), "{text}");
    }
}

#[test]
fn days_that_never_were_are_unreadable() {
    for (text, time) in [
        ("2026-02-29", TimeSpelling::Text),
        ("2026-04-31", TimeSpelling::Text),
        ("2026-01-31 25:00", TimeSpelling::Text),
        ("31/13/2026", TimeSpelling::DayMonth),
        ("31/01/2026", TimeSpelling::MonthDay),
        ("20261331", TimeSpelling::Compact),
        ("2026013108305", TimeSpelling::Compact),
        ("60", TimeSpelling::Excel1900),
        ("0.5", TimeSpelling::Excel1900),
        ("-0.5", TimeSpelling::Excel1904),
        ("2958466", TimeSpelling::Excel1900),
        ("2957004", TimeSpelling::Excel1904),
        ("1e400", TimeSpelling::UnixSeconds),
    ] {
        assert_eq!(
            one::<Date32Type>(text, &DataType::Date32, spelled(time)),
            None,
            "{text}"
        );
    }
    for (text, day) in [
        ("59", -25_509),
        ("61", -25_508),
        ("1", -25_567),
        ("2958465", 2_932_896),
    ] {
        let spelling = spelled(TimeSpelling::Excel1900);
        assert_eq!(
            one::<Date32Type>(text, &DataType::Date32, spelling),
            Some(day),
            "{text}"
        );
    }
}

#[test]
fn a_date_that_lost_its_hours_to_another_zone_is_found_again() {
    let cells = column(&["2026-01-30T16:00:00Z", "2026-02-27T16:00:00Z"]);
    let found = spellings(&cells, &DataType::Date32);
    let shifts: Vec<i16> = found
        .iter()
        .map(|spelling| spelling.shift_minutes)
        .collect();
    assert_eq!(shifts, [0, 480, -480]);
    assert_eq!(
        one::<Date32Type>(cells.value(0), &DataType::Date32, found[1]),
        Some(20_484)
    );
}

#[test]
fn the_plausible_spellings_of_a_column_come_first_and_are_few() {
    let yuan = DataType::Decimal128(14, 2);
    for (cells, target, first) in [
        (["1234.56", "7.5", "12"], &yuan, Some(Spelling::PLAIN)),
        (["0.123456", "1.234567", "2.5"], &yuan, Some(times(4))),
        (
            ["0.30000000000000004", "0.5", "1.25"],
            &yuan,
            Some(Spelling::PLAIN),
        ),
        (
            ["2026-01-31", "2025/2/3", ""],
            &DataType::Date32,
            Some(Spelling::PLAIN),
        ),
        (
            ["20260131", "20250203", ""],
            &DataType::Date32,
            Some(spelled(TimeSpelling::Compact)),
        ),
        (
            ["46053", "45000", ""],
            &DataType::Date32,
            Some(spelled(TimeSpelling::Excel1900)),
        ),
        (
            ["1769848205", "1700000000", ""],
            &MILLIS,
            Some(spelled(TimeSpelling::UnixSeconds)),
        ),
        (
            ["1769848205000", "1700000000000", ""],
            &MILLIS,
            Some(spelled(TimeSpelling::UnixMilliseconds)),
        ),
        (
            ["31/1/2026", "1/2/2026", "13/2/2026"],
            &MILLIS,
            Some(spelled(TimeSpelling::DayMonth)),
        ),
        (
            ["1/31/2026", "1/2/2026", "2/13/2026"],
            &MILLIS,
            Some(spelled(TimeSpelling::MonthDay)),
        ),
        (["35", "42", "7"], &MILLIS, None),
        (["张三", "李四", "7"], &yuan, None),
        (["2026-01-31", "2026-02-01", "3"], &DataType::Int64, None),
        (["", "NULL", "-"], &yuan, None),
        (["张三", "李四", ""], &DataType::Utf8, Some(Spelling::PLAIN)),
        (
            ["张三", "是", "否"],
            &DataType::Boolean,
            Some(Spelling::PLAIN),
        ),
    ] {
        let found = spellings(&column(&cells), target);
        assert_eq!(found.first().copied(), first, "{cells:?}");
        assert!(found.len() <= 8);
    }
}

#[test]
fn a_column_is_most_like_itself() {
    let rows = |make: &dyn Fn(u32) -> String| -> Profile {
        profile(&(0..200).map(|row| Some(make(row))).collect::<StringArray>())
    };
    let kinds = [
        rows(&|row| format!("{}.{:02}", 1_000 + row * 37, row % 100)),
        rows(&|row| format!("2026-{:02}-{:02}", row % 12 + 1, row % 28 + 1)),
        rows(&|row| format!("2026-01-31 08:{:02}:{:02}", row % 60, row * 7 % 60)),
        rows(&|row| ["男", "女"][usize::from(row % 3 == 0)].to_owned()),
        rows(&|row| format!("浙江省杭州市{}号", row)),
        rows(&|row| format!("user{row}@example.com")),
    ];
    for (at, one) in kinds.iter().enumerate() {
        assert!((one.likeness(one) - 1.0).abs() < 1e-9);
        for other in kinds.iter().skip(at + 1) {
            let likeness = one.likeness(other);
            assert!((0.0..0.8).contains(&likeness), "{one:?} {other:?}");
            assert!((likeness - other.likeness(one)).abs() < 1e-12);
        }
    }
    let other = rows(&|row| format!("{}.{:02}", 2_000 + row * 41, row * 3 % 100));
    assert!(other.likeness(&kinds[0]) > 0.9);
    assert!(profile(&column(&[])).likeness(&profile(&column(&[]))) > 0.99);
}

#[test]
fn names_are_alike_but_for_case_width_and_punctuation() {
    assert!((name_likeness("Annual_Income", "annual income") - 1.0).abs() < 1e-12);
    assert!((name_likeness("ＩＤ", "id") - 1.0).abs() < 1e-12);
    assert!(name_likeness("收入金额", "收入") > name_likeness("收入金额", "姓名"));
    assert!(name_likeness("incom", "income") < 1.0);
    assert!(name_likeness("--", "--") <= 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_survive_every_spelling(
        small in -99_999_999_i64..100_000_000,
        wide in -(10_i128.pow(37))..10_i128.pow(37),
        power in prop::sample::select(vec![0_i8, 2, -2, 3, 4, 6, 8]),
    ) {
        let written = |units: &str, scale: i8| {
            let mut plain = String::new();
            write_units(units, scale + power, &mut plain);
            disguised(&plain)
        };
        for text in written(&small.to_string(), 0) {
            let spelling = times(power);
            prop_assert_eq!(one::<Int64Type>(&text, &DataType::Int64, spelling), Some(small), "{}", text);
            if let Ok(unsigned) = u32::try_from(small) {
                prop_assert_eq!(one::<UInt32Type>(&text, &DataType::UInt32, spelling), Some(unsigned));
            }
        }
        for text in written(&wide.to_string(), 6) {
            let narrow = DataType::Decimal128(38, 6);
            let wider = DataType::Decimal256(76, 6);
            let spelling = times(power);
            prop_assert_eq!(one::<Decimal128Type>(&text, &narrow, spelling), Some(wide), "{}", text);
            prop_assert_eq!(one::<Decimal256Type>(&text, &wider, spelling), Some(i256::from_i128(wide)));
        }
    }

    #[test]
    fn floats_survive_as_the_nearest_of_what_is_written(units in -999_999_999_i64..1_000_000_000, power in -2_i8..9) {
        let mut plain = String::new();
        write_units(&units.to_string(), 2 + power, &mut plain);
        let expected: f64 = format!("{units}e-2").parse().unwrap();
        for text in disguised(&plain) {
            let found = read(&column(&[&text]), &DataType::Float64, times(power)).unwrap();
            let values = found.values.as_any().downcast_ref::<Float64Array>().unwrap();
            prop_assert!(values.value(0).total_cmp(&expected).is_eq() || units == 0, "{}", text);
        }
    }

    #[test]
    fn times_survive_every_spelling(
        second in -2_082_758_400_i64..4_102_444_800,
        milli in 0_i64..1_000,
        shift_minutes in prop::sample::select(vec![0_i16, 480, -480]),
    ) {
        // Excel has no day 60, and counts from 1904: the range begins after both.
        let millis = second * 1_000 + milli;
        let written = millis - i64::from(shift_minutes) * 60_000;
        let moment = DateTime::from_timestamp_millis(written).unwrap();
        let serial = |epoch: i64| {
            let days = written + epoch * 86_400_000;
            let fraction = i128::from(days.rem_euclid(86_400_000)) * 10_i128.pow(11);
            let rounded = (fraction + 43_200_000) / 86_400_000;
            format!("{}.{rounded:011}", days.div_euclid(86_400_000))
        };
        let mut cases: Vec<(TimeSpelling, String)> = [
            (TimeSpelling::Text, "%Y-%m-%d %H:%M:%S%.3f"),
            (TimeSpelling::Text, "%Y/%-m/%-d %-H:%-M:%-S%.3f"),
            (TimeSpelling::Text, "%Y年%-m月%-d日 %H时%M分%S%.3f秒"),
            (TimeSpelling::Text, "%Y-%m-%dT%I:%M:%S%.3f %p"),
            (TimeSpelling::Text, "%Y-%m-%dT%H:%M:%S%.3fZ"),
            (TimeSpelling::Compact, "%Y%m%d%H%M%S%3f"),
            (TimeSpelling::DayMonth, "%d/%m/%Y %H:%M:%S%.3f"),
            (TimeSpelling::MonthDay, "%-m/%-d/%Y %H:%M:%S%.3f"),
        ]
        .map(|(time, format)| (time, moment.format(format).to_string()))
        .to_vec();
        let offset = chrono::FixedOffset::east_opt(8 * 3_600).unwrap();
        cases.extend([
            (TimeSpelling::Text, moment.with_timezone(&offset).to_rfc3339()),
            (TimeSpelling::UnixMilliseconds, written.to_string()),
            (TimeSpelling::UnixSeconds, format!("{}e-3", written)),
            (TimeSpelling::Excel1900, serial(25_569)),
            (TimeSpelling::Excel1904, serial(24_107)),
        ]);
        for (time, text) in cases {
            let is_serial = matches!(time, TimeSpelling::Excel1900 | TimeSpelling::Excel1904);
            // The zeros at the end of a serial number may be lost, and the milliseconds with them.
            if is_serial && text.ends_with("0000") && milli > 0 {
                continue;
            }
            let spelling = Spelling { time, shift_minutes, power: 0 };
            let read = one::<TimestampMillisecondType>(&text, &MILLIS, spelling);
            prop_assert_eq!(read, Some(millis), "{} {:?}", text, time);
            let day = one::<Date32Type>(&text, &DataType::Date32, spelling);
            prop_assert_eq!(day.map(i64::from), Some(second.div_euclid(86_400)));
            let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("Asia/Shanghai".into()));
            let read = one::<TimestampMicrosecondType>(&text, &micros, spelling);
            prop_assert_eq!(read, Some(millis * 1_000));
            let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
            let read = one::<TimestampNanosecondType>(&text, &nanos, spelling);
            prop_assert_eq!(read, Some(millis * 1_000_000));
        }
    }

    #[test]
    fn seconds_survive_a_spreadsheet(second in 0_u32..2_000_000_000, digits in 5_usize..17) {
        // As Excel stores them: a binary float, shown with ever fewer decimals.
        let serial = f64::from(second) / 86_400.0 + 25_569.0;
        let text = format!("{serial:.digits$}");
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        for target in [seconds, MILLIS] {
            let spelling = spelled(TimeSpelling::Excel1900);
            let read = if target == MILLIS {
                let read = one::<TimestampMillisecondType>(&text, &target, spelling);
                read.map(|read| (read / 1_000, read % 1_000))
            } else {
                one::<TimestampSecondType>(&text, &target, spelling).map(|read| (read, 0))
            };
            prop_assert_eq!(read, Some((i64::from(second), 0)), "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_without_panic_and_whatever_the_slice(
        wild in prop::collection::vec(any::<Option<String>>(), 0..8),
        near in prop::collection::vec("[-+0-9/.,:年月日时分秒万亿元%¥()eETZ上下午AMP 　１．]{0,24}", 0..24),
        spelling in any_spelling(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cells: StringArray = wild.into_iter().chain(near.into_iter().map(Some)).collect();
        let (before, after) = (cut.index(cells.len() + 1), cells.len());
        for target in targets() {
            let whole = read(&cells, &target, spelling).unwrap();
            prop_assert_eq!(whole.values.len(), cells.len());
            let parts = [(0, before), (before, after - before)]
                .map(|(from, rows)| read(&cells.slice(from, rows), &target, spelling).unwrap());
            prop_assert_eq!(whole.unreadable, parts[0].unreadable + parts[1].unreadable);
            prop_assert_eq!(&whole.values.slice(0, before), &parts[0].values);
            prop_assert_eq!(&whole.values.slice(before, after - before), &parts[1].values);
            prop_assert!(spellings(&cells, &target).len() <= 8);
        }
        let seen = profile(&cells);
        prop_assert!((seen.likeness(&seen) - 1.0).abs() < 1e-9);
    }
}
