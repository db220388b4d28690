use arrow::array::{Date32Array, Decimal256Array, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{Int64Type, TimeUnit, i256};
use proptest::prelude::*;

use super::*;

const UNITS: [Unit; 7] = [
    Unit::Year,
    Unit::Quarter,
    Unit::Month,
    Unit::Week,
    Unit::Day,
    Unit::Hour,
    Unit::Minute,
];

/// Numbers that look random.
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Marks in every cell, whose symbols and draws follow from its row.
#[derive(Default)]
struct Drawn {
    rows: u64,
    last: u64,
}

fn symbol(row: u64) -> bool {
    mixed(row) & 1 == 1
}

impl Marks for Drawn {
    fn next(&mut self, _: Left<'_>, marks: &mut [Mark]) {
        self.last = self.rows;
        for mark in marks {
            *mark = Mark::new(symbol(self.rows), false);
            self.rows += 1;
        }
    }

    fn draws(&mut self, draws: &mut [u64]) {
        for (row, draw) in (self.last..).zip(draws) {
            *draw = mixed(row ^ 0xABCD_0000);
        }
    }
}

fn written(carrier: &Representative, column: &ArrayRef) -> (ArrayRef, Distortion) {
    let mut distortion = Distortion::default();
    let marked = carrier.write(column, &mut Drawn::default(), &mut distortion);
    (marked.unwrap(), distortion)
}

/// One zone is read for all of them, which takes long without optimisation.
fn of_all_units(data_type: &DataType) -> impl Iterator<Item = Representative> {
    let carrier = Representative::of_calendar(data_type, Unit::Year, &[]).unwrap();
    UNITS.into_iter().map(move |unit| {
        let mut carrier = carrier.clone();
        if let Bands::Calendar(calendar) = &mut carrier.bands {
            calendar.unit = unit;
        }
        carrier
    })
}

fn width(data_type: &DataType, width: &str, origin: &str, sentinels: &[&str]) -> Representative {
    let parse = |text: &str| text.parse().unwrap();
    let sentinels: Vec<Decimal> = sentinels.iter().map(|text| parse(text)).collect();
    Representative::of_width(data_type, parse(width), parse(origin), &sentinels).unwrap()
}

/// Every value shows its symbol within the band it had, unless it was skipped; returns how many were.
fn kept(carrier: &Representative, column: &ArrayRef) -> u64 {
    let (marked, distortion) = written(carrier, column);
    assert_eq!(marked.data_type(), column.data_type());
    assert_eq!(marked.nulls(), column.nulls());
    assert_eq!(written(carrier, &marked).0.as_ref(), marked.as_ref());
    let (before, after) = (
        carrier.counts(column).unwrap(),
        carrier.counts(&marked).unwrap(),
    );
    let shown = carrier.read(&marked).unwrap();
    let mut wrong = 0;
    for (row, (before, after)) in (0..).zip(before.into_iter().zip(after)) {
        let (Some(before), Some(after)) = (before, after) else {
            assert_eq!(before, after);
            continue;
        };
        assert_eq!(
            carrier.band(before),
            carrier.band(after),
            "{before} {after}"
        );
        let shown = shown[usize::try_from(row).unwrap()];
        wrong += u64::from(shown != Some(symbol(row)));
    }
    let skipped = distortion.skipped;
    assert!(wrong <= skipped.no_carrier + skipped.sentinel);
    wrong
}

#[test]
fn what_is_delivered_stands_for_the_same_and_shows_its_symbol() {
    let first = 1_600_000_000_000;
    for zone in [
        None,
        Some("Asia/Shanghai"),
        Some("Europe/Berlin"),
        Some("+05:30"),
    ] {
        let times = (0..3_000_i64).map(|row| first + row * 21_600_123);
        let times = TimestampMillisecondArray::from_iter_values(times).with_timezone_opt(zone);
        let column: ArrayRef = Arc::new(times);
        for carrier in of_all_units(column.data_type()) {
            let skipped = kept(&carrier, &column);
            assert!(skipped < 10, "{zone:?} {skipped}");
        }
    }
    let dates: ArrayRef = Arc::new(Date32Array::from_iter(
        (0..3_000).map(|row| (row % 7 != 0).then_some(row * 11 - 9_000)),
    ));
    for unit in UNITS.into_iter().take(4) {
        let carrier = Representative::of_calendar(&DataType::Date32, unit, &[]).unwrap();
        assert_eq!(kept(&carrier, &dates), 0, "{unit:?}");
    }
}

/// Around the days on which clocks change, and where they were set by less than an hour.
#[test]
fn clocks_that_change_take_nothing_out_of_its_unit() {
    for (zone, begin) in [
        ("Europe/Berlin", 1_774_652_400_000),
        ("Europe/Berlin", 1_792_792_800_000),
        ("Australia/Lord_Howe", 1_775_260_800_000),
        ("Pacific/Apia", 1_325_160_000_000),
    ] {
        let times = (0..2_000_i64).map(|row| begin + row * 97_000);
        let times = TimestampMillisecondArray::from_iter_values(times).with_timezone(zone);
        let column: ArrayRef = Arc::new(times);
        for carrier in of_all_units(column.data_type()) {
            kept(&carrier, &column);
        }
    }
}

#[test]
fn what_is_delivered_follows_from_the_interval_and_not_from_the_value() {
    let carrier = width(&DataType::Int64, "1000", "0", &[]);
    let numbers = |by: i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            (0..500).map(|row| row * 1_000 + by),
        ))
    };
    let lower = written(&carrier, &numbers(0)).0;
    for by in [1, 499, 500, 999] {
        assert_eq!(&written(&carrier, &numbers(by)).0, &lower, "{by}");
    }
    let carrier = Representative::of_calendar(&DataType::Date32, Unit::Month, &[]).unwrap();
    let dates = |day: i64| -> ArrayRef {
        let days = (1..=12).map(|month| {
            let civil = crate::calendar::Civil {
                year: 2024,
                month,
                day,
            };
            i32::try_from(civil.to_days()).unwrap()
        });
        Arc::new(Date32Array::from_iter_values(days))
    };
    assert_eq!(
        &written(&carrier, &dates(1)).0,
        &written(&carrier, &dates(29)).0
    );
}

#[test]
fn every_value_of_an_interval_is_as_likely() {
    let carrier = width(&DataType::Int64, "10", "0", &[]);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![20; 40_000]));
    let (marked, distortion) = written(&carrier, &column);
    let mut counts = [0_u64; 10];
    for value in marked.as_primitive::<Int64Type>().values() {
        counts[usize::try_from(value - 20).unwrap()] += 1;
    }
    for count in counts {
        assert!(count.abs_diff(4_000) < 300, "{counts:?}");
    }
    assert_eq!(distortion.changed, 40_000 - counts[0]);
    assert_eq!(distortion.furthest, 0);
}

#[test]
fn sentinels_ends_and_what_has_no_halves_stay() {
    // One value is special, and its interval has nine others.
    let carrier = width(&DataType::Int64, "10", "0", &["25", "30"]);
    let column: ArrayRef = Arc::new(Int64Array::from([25, 30, 20].repeat(300)));
    let (marked, distortion) = written(&carrier, &column);
    let values = marked.as_primitive::<Int64Type>().values();
    for row in values.chunks(3) {
        assert_eq!(row[..2], [25, 30]);
        assert!((20..30).contains(&row[2]) && row[2] != 25);
    }
    assert!(distortion.skipped.sentinel > 600);
    assert_eq!(carrier.shows(25), None);
    // The last interval of the type is cut short, and the first has no lower end.
    let ends: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MIN, 0]));
    let carrier = width(&DataType::Int64, "1000", "0", &[]);
    let (marked, _) = written(&carrier, &ends);
    let values = marked.as_primitive::<Int64Type>().values();
    assert!(values[0] >= i64::MAX - 999 && values[1] == i64::MIN);
    // Numbers of more digits than can be counted stay as they are.
    let far = i256::from_parts(7, 1 << 100);
    let wide: ArrayRef = Arc::new(
        Decimal256Array::from(vec![far, i256::from_i128(0)])
            .with_precision_and_scale(76, 0)
            .unwrap(),
    );
    let carrier = width(wide.data_type(), "1000", "0", &[]);
    let (marked, _) = written(&carrier, &wide);
    assert_eq!(marked.slice(0, 1).as_ref(), wide.slice(0, 1).as_ref());
    // Years that most programs don't read.
    let carrier = Representative::of_calendar(&DataType::Date32, Unit::Year, &[]).unwrap();
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![i32::MIN, i32::MAX]));
    assert_eq!(written(&carrier, &dates).0.as_ref(), dates.as_ref());
}

#[test]
fn other_types_and_intervals_are_refused() {
    let number = |text: &str| text.parse::<Decimal>().unwrap();
    let of_width =
        |data_type, width| Representative::of_width(data_type, number(width), Decimal::ZERO, &[]);
    assert!(of_width(&DataType::Float64, "10").is_err());
    assert!(of_width(&DataType::Int64, "0.5").is_err());
    assert!(of_width(&DataType::Int64, "0").is_err());
    for other in [DataType::Int64, DataType::Utf8, DataType::Date64] {
        assert!(Representative::of_calendar(&other, Unit::Month, &[]).is_err());
    }
    let nowhere = DataType::Timestamp(TimeUnit::Second, Some("Nowhere/Here".into()));
    assert!(Representative::of_calendar(&nowhere, Unit::Month, &[]).is_err());
}

proptest! {
    #[test]
    fn numbers_stay_within_their_interval(
        values in prop::collection::vec(any::<i64>(), 1..300),
        width in 2_i64..1_000_000,
        origin in -1_000_i64..1_000,
    ) {
        let carrier = self::width(&DataType::Int64, &width.to_string(), &origin.to_string(), &[]);
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        kept(&carrier, &column);
    }
}
