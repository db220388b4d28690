//! The contract of carriers, over arrays of every type they come for.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, AsArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
    Int16Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt8Array,
};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, TimeUnit, i256};
use proptest::prelude::*;

use super::*;
use crate::number::Decimal;

const DAY: Duration = Duration::from_secs(86_400);

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn exact(data_type: &DataType, tolerance: &str, is_in_block: bool) -> Numeric {
    Numeric::exact(
        data_type,
        decimal(tolerance),
        is_in_block,
        &Limits::default(),
    )
    .unwrap()
    .unwrap()
}

/// Marks whose symbols and ties take turns.
fn marks(rows: usize) -> Vec<Mark> {
    (0..rows)
        .map(|row| Mark::new(row % 2 == 0, row % 3 == 0).only_if(row % 5 != 4))
        .collect()
}

/// Marks in the order of their cells.
struct Listed<'a>(&'a [Mark]);

impl Marks for Listed<'_> {
    fn next(&mut self, _: Left<'_>, marks: &mut [Mark]) {
        let (first, rest) = self.0.split_at(marks.len());
        marks.copy_from_slice(first);
        self.0 = rest;
    }

    fn draws(&mut self, draws: &mut [u64]) {
        draws.fill(0);
    }
}

/// Writes, reads back, writes again: what every carrier promises. Returns the marked column.
fn kept(carrier: &dyn Carrier, column: &ArrayRef) -> (ArrayRef, Distortion) {
    let marks = marks(column.len());
    let mut distortion = Distortion::default();
    let marked = carrier
        .write(column, &mut Listed(&marks), &mut distortion)
        .unwrap();
    assert_eq!(
        (marked.data_type(), marked.len()),
        (column.data_type(), column.len())
    );
    assert_eq!(marked.logical_nulls(), column.logical_nulls());
    let again = carrier
        .write(&marked, &mut Listed(&marks), &mut Distortion::default())
        .unwrap();
    assert_eq!(&again, &marked);
    let mut unmarked = 0;
    for ((row, symbol), mark) in carrier
        .read(&marked)
        .unwrap()
        .iter()
        .enumerate()
        .zip(&marks)
    {
        if !mark.is_some() {
            assert_eq!(&marked.slice(row, 1), &column.slice(row, 1));
        } else if column.is_valid(row) {
            unmarked += u64::from(*symbol != Some(mark.symbol()));
        } else {
            assert_eq!(*symbol, None);
        }
    }
    let skipped = distortion.skipped;
    assert!(unmarked <= skipped.no_carrier + skipped.sentinel + skipped.sign + skipped.bounds);
    // A part of the column is treated as the whole.
    let (start, length) = (column.len() / 3, column.len() / 2);
    let part = carrier.write(
        &column.slice(start, length),
        &mut Listed(&marks[start..start + length]),
        &mut Distortion::default(),
    );
    assert_eq!(part.unwrap().as_ref(), marked.slice(start, length).as_ref());
    (marked, distortion)
}

#[test]
fn numbers_of_every_type_carry() {
    let decimal_type = DataType::Decimal128(12, 2);
    let decimals = Decimal128Array::from(
        (0..200)
            .map(|row| (row % 7 != 3).then_some(row * 777 - 40_000))
            .collect::<Vec<_>>(),
    );
    let wide = Decimal256Array::from(
        (0..200)
            .map(|row| Some(i256::from_i128(row * 777 - 40_000)))
            .collect::<Vec<_>>(),
    );
    let columns: [(ArrayRef, &str); 5] = [
        (
            Arc::new(decimals.with_precision_and_scale(12, 2).unwrap()),
            "0.05",
        ),
        (
            Arc::new(wide.with_precision_and_scale(60, 2).unwrap()),
            "0.05",
        ),
        (
            Arc::new(Int64Array::from_iter(
                (0..200).map(|row| (row % 9 != 1).then_some(row * 12_345)),
            )),
            "5",
        ),
        (Arc::new(Int16Array::from_iter_values(-100..100)), "3"),
        (Arc::new(UInt8Array::from_iter_values(0..=255)), "1"),
    ];
    assert_eq!(columns[0].0.data_type(), &decimal_type);
    for (column, tolerance) in &columns {
        for is_in_block in [false, true] {
            let carrier = exact(column.data_type(), tolerance, is_in_block);
            let (marked, distortion) = kept(&carrier, column);
            assert!(distortion.changed > 40, "{}", column.data_type());
            assert!(distortion.furthest <= 5);
            let blocks = [column, &marked].map(|column| carrier.blocks(column).unwrap());
            assert_eq!(blocks[0].is_some(), is_in_block);
            assert_eq!(blocks[0], blocks[1]);
        }
    }
}

#[test]
fn times_carry_at_the_grain_they_are_delivered_in() {
    let type_of_times = DataType::Timestamp(TimeUnit::Microsecond, Some("Asia/Shanghai".into()));
    let values =
        (0..200_i64).map(|row| (row % 6 != 2).then_some(row * 1_234_567_891 - 9_000_000_123));
    let times = TimestampMicrosecondArray::from_iter(values).with_data_type(type_of_times.clone());
    let times: ArrayRef = Arc::new(times);
    for is_in_block in [false, true] {
        let carrier = Numeric::time(
            &type_of_times,
            Duration::from_secs(1),
            Duration::from_secs(30),
            is_in_block,
            &Limits::default(),
        );
        let (marked, distortion) = kept(&carrier.unwrap().unwrap(), &times);
        assert!(distortion.changed > 40 && distortion.furthest <= 30);
        let parts = |column: &ArrayRef| -> Vec<Option<i64>> {
            let times = column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            times
                .iter()
                .map(|time| time.map(|time| time.rem_euclid(1_000_000)))
                .collect()
        };
        // What is finer than a second stays.
        assert_eq!(parts(&marked), parts(&times));
    }
    let dates: ArrayRef = Arc::new(Date32Array::from_iter_values(-100..100));
    let carrier = Numeric::time(&DataType::Date32, DAY, 3 * DAY, false, &Limits::default());
    let (_, distortion) = kept(&carrier.unwrap().unwrap(), &dates);
    assert!(distortion.changed > 40 && distortion.furthest <= 3);
}

#[test]
fn limits_of_times_stand() {
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![10, 11, 12, 13, 99]));
    let limits = Limits {
        least: Some(10),
        greatest: Some(13),
        sentinels: vec![99],
    };
    for tolerance in 1..6 {
        let carrier = Numeric::time(&DataType::Date32, DAY, tolerance * DAY, false, &limits);
        let (marked, _) = kept(&carrier.unwrap().unwrap(), &dates);
        for (at, day) in marked
            .as_primitive::<arrow::datatypes::Date32Type>()
            .values()
            .iter()
            .enumerate()
        {
            assert!(
                if at == 4 {
                    *day == 99
                } else {
                    (10..=13).contains(day)
                },
                "{day}"
            );
        }
    }
}

#[test]
fn floats_carry_in_their_declared_decimals() {
    let floats: ArrayRef =
        Arc::new(Float64Array::from_iter((0..200).map(|row| {
            (row % 8 != 5).then(|| f64::from(row * 7_919 - 500_000) / 100.0)
        })));
    let carrier = Numeric::float(
        &DataType::Float64,
        2,
        decimal("0.03"),
        false,
        &Limits::default(),
    );
    let (marked, distortion) = kept(&carrier.unwrap().unwrap(), &floats);
    assert!(distortion.changed > 40 && distortion.furthest <= 3);
    for float in marked.as_primitive::<Float64Type>().iter().flatten() {
        let text = format!("{float:.2}");
        assert_eq!(
            text.parse::<f64>().unwrap().to_bits(),
            float.to_bits(),
            "{text}"
        );
    }
    let single: ArrayRef = Arc::new(Float32Array::from_iter_values(
        (0_u16..200).map(|row| f32::from(row * 51) / 10.0),
    ));
    let carrier = Numeric::float(
        &DataType::Float32,
        1,
        decimal("0.2"),
        true,
        &Limits::default(),
    );
    let (_, distortion) = kept(&carrier.unwrap().unwrap(), &single);
    assert!(distortion.changed > 40 && distortion.furthest <= 2);
}

#[test]
fn floats_that_are_no_decimals_stay_or_are_rounded_first() {
    let carrier = float(2, "5", &Limits::default()).unwrap();
    let bits = |column: &ArrayRef| -> Vec<u64> {
        let floats = column.as_primitive::<Float64Type>().values();
        floats.iter().map(|float| float.to_bits()).collect()
    };
    let none = [f64::NAN, f64::INFINITY, 1e300, 1e15, 0.0, -0.0];
    let none: ArrayRef = Arc::new(Float64Array::from(none.to_vec()));
    let mut distortion = Distortion::default();
    let all = vec![Mark::new(true, true); none.len()];
    let marked = carrier.write(&none, &mut Listed(&all), &mut distortion);
    assert_eq!(bits(&marked.unwrap()), bits(&none));
    assert_eq!(
        (distortion.skipped.no_carrier, distortion.skipped.sign),
        (4, 2)
    );
    let between = Float64Array::from(vec![1.005, 0.1 + 0.2, 0.123_456_789, -7.777]);
    let between: ArrayRef = Arc::new(between);
    let [odd, rounded] = [&between, &carrier.prepared(&between).unwrap()].map(|column| {
        let mut distortion = Distortion::default();
        let mut marks = Listed(&all);
        let marked = carrier.write(column, &mut marks, &mut distortion).unwrap();
        (bits(&marked), distortion)
    });
    assert_eq!(odd, rounded);
    for column in [&none, &between] {
        assert!(carrier.read(column).unwrap().iter().all(Option::is_none));
    }
}

/// A carrier in doubles of so many decimals.
fn float(decimals: u8, tolerance: &str, limits: &Limits<Decimal>) -> Option<Numeric> {
    Numeric::float(
        &DataType::Float64,
        decimals,
        decimal(tolerance),
        false,
        limits,
    )
    .unwrap()
}

/// The column as it is delivered, marked and not.
fn delivered(carrier: &Numeric, floats: &[f64]) -> Vec<(f64, f64)> {
    let column: ArrayRef = Arc::new(Float64Array::from_iter_values(floats.iter().copied()));
    let prepared = carrier.prepared(&column).unwrap();
    let mut found = Vec::new();
    for symbol in [false, true] {
        let all = vec![Mark::new(symbol, true); floats.len()];
        let marked = carrier
            .write(&prepared, &mut Listed(&all), &mut Distortion::default())
            .unwrap();
        let marked = marked.as_primitive::<Float64Type>().values().to_vec();
        found.extend(floats.iter().copied().zip(marked));
    }
    found
}

#[test]
fn floats_move_within_the_tolerance_of_the_source_rounding_included() {
    // Halves round by half a unit, which no double holds exactly.
    for (decimals, tolerance, least) in [(1, "0.1", "0.2"), (0, "1.9", "2"), (3, "0.001", "0.002")]
    {
        assert!(float(decimals, tolerance, &Limits::default()).is_none());
        let limit: f64 = least.parse().unwrap();
        let carrier = float(decimals, least, &Limits::default()).unwrap();
        let unit = 10_f64.powi(-i32::from(decimals));
        let floats: Vec<f64> = (0..4_000)
            .map(|row| f64::from(row) * unit / 16.0 - 100.0 * unit + 5.05)
            .collect();
        let moved = delivered(&carrier, &floats);
        for (before, after) in &moved {
            assert!((after - before).abs() <= limit, "{before} {after}");
        }
        let far = moved.iter().map(|(before, after)| (after - before).abs());
        assert!(far.fold(0.0, f64::max) > 0.7 * limit);
    }
    let units = |tolerance| {
        float(3, tolerance, &Limits::default())
            .unwrap()
            .reflection()
    };
    assert_eq!(units("0.5"), Some(Reflection::AtBorder { step: 500 }));
}

#[test]
fn rounding_makes_no_special_value_no_zero_and_nothing_beyond_a_bound() {
    let limits = Limits {
        least: Some(decimal("-50")),
        greatest: Some(decimal("99.4")),
        sentinels: ["99", "-1.5", "7"].map(decimal).to_vec(),
    };
    let carrier = float(0, "5", &limits).unwrap();
    let stay = [
        98.6, 99.0, 99.3, 99.4, -1.5, 6.6, 7.0, 0.4, -0.4, 0.0, 120.2, -50.7,
    ];
    for (before, after) in delivered(&carrier, &stay) {
        assert_eq!(before.to_bits(), after.to_bits(), "{before} {after}");
    }
    // In a leak they show nothing.
    let column: ArrayRef = Arc::new(Float64Array::from(stay.to_vec()));
    assert!(carrier.read(&column).unwrap().iter().all(Option::is_none));
    let others: Vec<f64> = (-480..980).map(|row| f64::from(row) / 10.0).collect();
    let moved = delivered(&carrier, &others);
    assert!(
        moved
            .iter()
            .filter(|(before, after)| before.to_bits() != after.to_bits())
            .count()
            > 2_000
    );
    for (before, after) in moved {
        let stays = before.to_bits() == after.to_bits();
        let is_special = [99.0, -1.5, 7.0, 0.0]
            .iter()
            .any(|special: &f64| (special - after).abs() < 1e-9);
        assert!(
            stays || !is_special && (-50.0..=99.4).contains(&after),
            "{before} {after}"
        );
        assert!(after.abs() <= 0.0 || after.is_sign_positive() == before.is_sign_positive());
    }
    // Three decimals of a bound that has four.
    let limits = Limits {
        greatest: Some(decimal("99.9995")),
        ..Limits::default()
    };
    let carrier = float(3, "0.5", &limits).unwrap();
    for (before, after) in delivered(&carrier, &[99.999_5, 99.999_49, 99.9]) {
        assert!(after <= 99.999_5, "{before} {after}");
    }
}

#[test]
fn no_time_leaves_the_years_that_programs_read() {
    let second = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Second, zone.map(Into::into));
    for (data_type, first, last, tolerance) in [
        (second(None), -62_135_596_800, 253_402_300_799, 30),
        (
            second(Some("Asia/Shanghai")),
            -62_135_510_400,
            253_402_214_399,
            30,
        ),
        (DataType::Date32, -719_162, 2_932_896, 30 * 86_400),
    ] {
        let unit = if data_type == DataType::Date32 {
            DAY
        } else {
            Duration::from_secs(1)
        };
        let tolerance = Duration::from_secs(tolerance);
        let carrier = Numeric::time(&data_type, unit, tolerance, false, &Limits::default());
        let carrier = carrier.unwrap().unwrap();
        let whole = Int64Array::from_iter_values((0..40).flat_map(|at| [first + at, last - at]));
        let times = arrow::compute::cast(&whole, &DataType::Int32)
            .ok()
            .filter(|_| data_type == DataType::Date32)
            .unwrap_or_else(|| Arc::new(whole));
        let times = arrow::compute::cast(&times, &data_type).unwrap();
        let mut distortion = Distortion::default();
        for symbol in [false, true] {
            let all = vec![Mark::new(symbol, true); times.len()];
            let marked = carrier
                .write(&times, &mut Listed(&all), &mut distortion)
                .unwrap();
            let marked = arrow::compute::cast(&marked, &DataType::Int64).unwrap();
            let marked = marked
                .as_primitive::<arrow::datatypes::Int64Type>()
                .values()
                .to_vec();
            assert!(
                marked.iter().all(|time| (first..=last).contains(time)),
                "{data_type}"
            );
        }
        assert!(distortion.changed > 20 && distortion.skipped.bounds > 0);
    }
}

#[test]
fn a_tolerance_is_counted_in_whole_units() {
    let two = DataType::Decimal128(12, 2);
    let step = |tolerance: &str| {
        let carrier = Numeric::exact(&two, decimal(tolerance), false, &Limits::default()).unwrap();
        carrier.map(|carrier| carrier.reflection().unwrap())
    };
    assert_eq!(step("0.01"), Some(Reflection::AtBorder { step: 2 }));
    assert_eq!(step("0.019"), Some(Reflection::AtBorder { step: 2 }));
    assert_eq!(step("5.00"), Some(Reflection::AtBorder { step: 500 }));
    assert_eq!(step("0.009"), None);
    assert_eq!(step("0"), None);
    let thousands = DataType::Decimal128(12, -3);
    assert!(
        Numeric::exact(&thousands, decimal("999"), false, &Limits::default())
            .unwrap()
            .is_none()
    );
    assert!(
        Numeric::exact(&thousands, decimal("1000"), false, &Limits::default())
            .unwrap()
            .is_some()
    );
    assert!(Numeric::exact(&DataType::Utf8, decimal("1"), false, &Limits::default()).is_err());
    assert!(
        Numeric::float(
            &DataType::Float64,
            16,
            decimal("1"),
            false,
            &Limits::default()
        )
        .is_err()
    );
    let odd = Duration::from_micros(1_500);
    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, None);
    assert!(Numeric::time(&milliseconds, odd, DAY, false, &Limits::default()).is_err());
    assert!(
        Numeric::time(&DataType::Date32, DAY, DAY / 2, false, &Limits::default())
            .unwrap()
            .is_none()
    );
}

#[test]
fn limits_are_rounded_inwards() {
    let whole = DataType::Int64;
    let limits = Limits {
        least: Some(decimal("10.5")),
        greatest: Some(decimal("20.5")),
        sentinels: vec![decimal("14"), decimal("16.5")],
    };
    let carrier = Numeric::exact(&whole, decimal("4"), false, &limits)
        .unwrap()
        .unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(11..=20));
    let (marked, distortion) = kept(&carrier, &numbers);
    let marked = marked
        .as_primitive::<arrow::datatypes::Int64Type>()
        .values();
    assert!(marked.iter().all(|number| (11..=20).contains(number)));
    assert!(distortion.skipped.sentinel >= 1 && distortion.changed > 0);
}

#[test]
fn another_type_is_refused() {
    let carrier = exact(&DataType::Int64, "4", false);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    assert!(carrier.read(&texts).is_err());
    let written = carrier.write(
        &texts,
        &mut Listed(&[Mark::NONE]),
        &mut Distortion::default(),
    );
    assert!(written.is_err());
}

#[test]
fn synonyms_change_places() {
    let classes = [["北京", "北京市"].as_slice(), &["a", "b", "c"]]
        .map(|class| class.iter().map(|word| (*word).to_owned()).collect());
    let synonyms = Synonyms::new(&classes).unwrap();
    let words = ["北京", "北京市", "a", "b", "c", "上海"];
    let words: ArrayRef = Arc::new(StringArray::from_iter(
        (0..60).map(|row| (row % 7 != 6).then(|| words[row % 6])),
    ));
    let (_, distortion) = kept(&synonyms, &words);
    assert!(distortion.changed > 10 && distortion.skipped.no_carrier > 3);
    let one: ArrayRef = Arc::new(StringArray::from(vec!["北京", "c", "c", "上海"]));
    let mark = |symbol| Mark::new(symbol, false);
    let all = [mark(true), mark(true), mark(false), mark(true)];
    let marked = synonyms
        .write(&one, &mut Listed(&all), &mut Distortion::default())
        .unwrap();
    let marked: Vec<&str> = marked.as_string::<i32>().iter().flatten().collect();
    assert_eq!(marked, ["北京市", "b", "c", "上海"]);
    let spelled: ArrayRef = Arc::new(StringArray::from(vec![" 北京市\u{3000}", "ａ"]));
    assert_eq!(synonyms.read(&spelled).unwrap(), [Some(true), Some(false)]);
    assert_eq!(synonyms.blocks(&spelled).unwrap(), None);
}

#[test]
fn synonyms_that_cannot_be_told_apart_are_refused() {
    for class in [&["a"][..], &["a", "ａ"], &["1", "01"], &["a", "a"]] {
        let class = class.iter().map(|word| (*word).to_owned()).collect();
        assert!(Synonyms::new(&[class]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_number_moves_beyond_the_tolerance(
        numbers in prop::collection::vec(prop::option::of(-9_999_999_999_i128..9_999_999_999), 1..60),
        tolerance in 1_u32..2_000,
        is_in_block: bool,
    ) {
        let own = Decimal128Array::from(numbers).with_precision_and_scale(10, 2).unwrap();
        let column: ArrayRef = Arc::new(own.clone());
        let text = format!("{}.{:02}", tolerance / 100, tolerance % 100);
        let (marked, distortion) = kept(&exact(column.data_type(), &text, is_in_block), &column);
        for (before, after) in own.iter().zip(marked.as_primitive::<Decimal128Type>()) {
            let (before, after) = (before.unwrap_or(0), after.unwrap_or(0));
            prop_assert!(before.abs_diff(after) <= tolerance.into());
            prop_assert_eq!(before.signum(), after.signum());
            prop_assert!(after.abs() < 10_000_000_000);
        }
        prop_assert!(distortion.furthest <= tolerance.into());
    }
}

#[test]
fn floats_are_prepared_at_their_declared_decimals() {
    let carrier = Numeric::float(
        &DataType::Float64,
        2,
        decimal("0.05"),
        false,
        &Limits::default(),
    );
    let carrier = carrier.unwrap().unwrap();
    let given = [
        Some(1.234_567),
        Some(-0.005),
        Some(0.0001),
        None,
        Some(f64::NAN),
        Some(1e300),
        Some(7.25),
    ];
    let column: ArrayRef = Arc::new(Float64Array::from_iter(given));
    let prepared = carrier.prepared(&column).unwrap();
    let values = prepared.as_primitive::<Float64Type>();
    assert_eq!(prepared.nulls(), column.nulls());
    for (row, expected) in [
        (0, 1.23),
        (1, -0.01),
        (2, 0.0001),
        (4, f64::NAN),
        (5, 1e300),
        (6, 7.25),
    ] {
        assert_eq!(values.value(row).to_bits(), f64::to_bits(expected), "{row}");
    }
    // What is prepared is prepared already, and can carry.
    assert_eq!(
        &carrier.prepared(&prepared).unwrap().to_data(),
        &prepared.to_data()
    );
    assert!(carrier.read(&column).unwrap()[0].is_none());
    assert!(carrier.read(&prepared).unwrap()[0].is_some());
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1.5"]));
    assert!(carrier.prepared(&text).is_err());
    // Decimals and words are delivered as they are.
    let exact = exact(&DataType::Int64, "5", false);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    assert!(Arc::ptr_eq(&exact.prepared(&column).unwrap(), &column));
}

#[test]
fn noise_is_chosen_and_not_moved() {
    let values = (0..500).map(|row| (row % 11 != 3).then_some(row * 37 - 4_000));
    let whole = Int64Array::from_iter(values);
    let floats = Float64Array::from_iter(
        (0_i32..500).map(|row| (row % 11 != 3).then(|| f64::from(row * 37 - 4_000) / 8.0)),
    );
    let moved_whole: Int64Array = whole.unary(|value| value + 10);
    let moved_floats: Float64Array = floats.unary(|value| value + 1.25);
    let columns: [(ArrayRef, ArrayRef, Option<u8>, u64); 2] = [
        (Arc::new(whole), Arc::new(moved_whole), None, 10),
        (Arc::new(floats), Arc::new(moved_floats), Some(3), 1_250),
    ];
    for (column, other, decimals, step) in columns {
        let sentinels = [decimal("0")];
        let carrier = Sampled::new(column.data_type(), step, decimals, &sentinels);
        let carrier = carrier.unwrap().unwrap();
        let shows = carrier.read(&column).unwrap();
        let choice = Choice {
            other: Arc::clone(&other),
            shows: shows.iter().copied().collect(),
        };
        let marks = marks(column.len());
        let mut distortion = Distortion::default();
        let chosen = carrier.choose(&column, Some(&choice), &mut Listed(&marks), &mut distortion);
        let chosen = chosen.unwrap();
        assert_eq!(chosen.data_type(), column.data_type());
        assert_eq!(chosen.nulls(), column.nulls());
        let read = carrier.read(&chosen).unwrap();
        let (mut changed, mut skipped) = (0, 0);
        for (row, (mark, read)) in marks.iter().zip(read).enumerate() {
            let is_other = mark.is_some() && shows[row].is_some_and(|shown| shown != mark.symbol());
            let expected = if is_other { &other } else { &column };
            assert_eq!(&chosen.slice(row, 1), &expected.slice(row, 1));
            changed += u64::from(is_other);
            if mark.is_some() && chosen.is_valid(row) {
                skipped += u64::from(read != Some(mark.symbol()));
            }
        }
        assert_eq!((distortion.changed, distortion.furthest), (changed, 0));
        assert_eq!(distortion.skipped.no_carrier, skipped);
        assert!(changed > 100 && skipped < 5, "{changed} {skipped}");
        // Without its choice it can't be marked, nor with that of another column.
        let mut marks = Listed(&marks);
        let mut write = |choice: Option<&Choice>| {
            carrier.choose(&column, choice, &mut marks, &mut Distortion::default())
        };
        let short = Choice {
            other: other.slice(1, 9),
            shows: choice.shows.slice(1, 9),
        };
        assert!(write(None).is_err() && write(Some(&short)).is_err());
    }
    assert!(
        Sampled::new(&DataType::Int64, 0, None, &[])
            .unwrap()
            .is_none()
    );
    assert!(Sampled::new(&DataType::Float64, 10, None, &[]).is_err());
    assert!(Sampled::new(&DataType::Int64, 10, Some(2), &[]).is_err());
    assert!(Sampled::new(&DataType::Utf8, 10, None, &[]).is_err());
}
