//! Embedding and reading over a table with every kind of carrier, and the trace of leaks of it.

#![expect(clippy::as_conversions, reason = "counts of a test as shares of one")]

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimeUnit};

use super::*;
use crate::marks::carrier::{Limits, Numeric, Representative, Sampled, Synonyms};
use crate::marks::predict::Expected;
use crate::marks::score::{Ballots, Scores, Standard, Verdict, Votes, ln_presence, presence_from};
use crate::number::Decimal;

const ROWS: usize = 600;
const GUILTY: GrantIndex = GrantIndex(0xDEAD_BEEF);
/// Columns of the table.
const KEY: usize = 0;
const NAME: usize = 1;
const REGION: usize = 2;
const AMOUNT: usize = 3;
const TIME: usize = 4;
const AREA: usize = 5;
const SCORE: usize = 6;
const CITY: usize = 7;
const FLAG: usize = 8;

/// Numbers that look random.
fn mixed(seed: usize) -> u64 {
    let mut mixed = u64::try_from(seed)
        .unwrap()
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn table(rows: usize) -> Vec<ArrayRef> {
    let draw = |row: usize, column: usize, below: u64| {
        i64::try_from(mixed(row * 16 + column) % below).unwrap()
    };
    let present = |row: usize, every: usize| row % every != every - 1;
    let amounts = (0..rows)
        .map(|row| present(row, 11).then(|| i128::from(draw(row, AMOUNT, 9_000_000)) + 500));
    let amounts = Decimal128Array::from_iter(amounts)
        .with_precision_and_scale(12, 2)
        .unwrap();
    let cities = ["北京", "北京市", "上海", "上海市", "广州"];
    vec![
        Arc::new(StringArray::from_iter(
            (0..rows).map(|row| present(row, 50).then(|| format!("P{row:06}"))),
        )),
        Arc::new(StringArray::from_iter_values(
            (0..rows).map(|row| format!("张{}", row * 31 % 997)),
        )),
        Arc::new(Int64Array::from_iter_values(
            (0..rows).map(|row| 330_100 + draw(row, REGION, 9)),
        )),
        Arc::new(amounts),
        Arc::new(TimestampSecondArray::from_iter_values(
            (0..rows).map(|row| 1_600_000_000 + draw(row, TIME, 100_000_000)),
        )),
        Arc::new(Int64Array::from_iter_values(
            (0..rows).map(|row| 2_000 + draw(row, AREA, 4_000_000)),
        )),
        Arc::new(Float64Array::from_iter_values(
            (0..rows).map(|row| (1 + draw(row, SCORE, 99_999)) as f64 / 100.0),
        )),
        Arc::new(StringArray::from_iter_values(
            (0..rows).map(|row| cities[row % cities.len()]),
        )),
        Arc::new(BooleanArray::from_iter(
            (0..rows).map(|row| Some(row % 2 == 0)),
        )),
    ]
}

fn plan(density: Density) -> MarkPlan {
    let tolerance = |text: &str| text.parse().unwrap();
    let limits = Limits::default;
    let money = Numeric::exact(
        &DataType::Decimal128(12, 2),
        tolerance("0.05"),
        false,
        &limits(),
    );
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    let second = Duration::from_secs(1);
    let time = Numeric::time(&seconds, second, 2 * second, false, &Limits::default());
    let area = Numeric::exact(&DataType::Int64, tolerance("3"), true, &limits());
    let score = Numeric::float(&DataType::Float64, 2, tolerance("0.02"), false, &limits());
    let classes =
        [["北京", "北京市"], ["上海", "上海市"]].map(|class| class.map(str::to_owned).to_vec());
    let field = |column, name: &str, found_by, carrier| MarkedField {
        column,
        name: name.to_owned(),
        density,
        found_by,
        carrier,
    };
    let key = RowAnchor::of_columns(Family::Key, vec![KEY]);
    let content = RowAnchor::of_columns(Family::Content, vec![NAME, REGION]);
    let fields = vec![
        field(
            AMOUNT,
            "amount",
            FoundBy::Row(0),
            Box::new(money.unwrap().unwrap()) as Box<dyn Carrier>,
        ),
        field(
            TIME,
            "time",
            FoundBy::Row(1),
            Box::new(time.unwrap().unwrap()),
        ),
        field(
            AREA,
            "area",
            FoundBy::Value,
            Box::new(area.unwrap().unwrap()),
        ),
        field(
            SCORE,
            "score",
            FoundBy::Row(1),
            Box::new(score.unwrap().unwrap()),
        ),
        field(
            CITY,
            "city",
            FoundBy::Row(0),
            Box::new(Synonyms::new(&classes).unwrap()),
        ),
    ];
    MarkPlan::new(vec![key, content], fields).unwrap()
}

fn marker() -> Marker {
    Marker::new(
        &MarkKey::derive(&[7; 32], "residents", 1, 1),
        plan(Density::ALL),
    )
}

fn rows_of(columns: &[ArrayRef], rows: impl IntoIterator<Item = usize>) -> Vec<ArrayRef> {
    let rows = UInt64Array::from_iter_values(rows.into_iter().map(|row| row.try_into().unwrap()));
    columns
        .iter()
        .map(|column| take(column, &rows, None).unwrap())
        .collect()
}

fn votes(marker: &Marker, leak: &[Option<ArrayRef>]) -> Votes {
    let mut ballots = Ballots::default();
    ballots.add(marker.observe(leak).unwrap());
    ballots.close()
}

/// Those accused of a leak among 200 candidates, the guilty one of them.
fn accused(marker: &Marker, leak: &[Option<ArrayRef>]) -> Vec<GrantIndex> {
    let votes = votes(marker, leak);
    let candidates: Vec<GrantIndex> = (0..199).map(GrantIndex).chain([GUILTY]).collect();
    let standard = Standard::new(10_000);
    let scores = Scores::new(&votes).of(marker.code(), &candidates);
    let accused = scores
        .iter()
        .filter(|score| standard.verdict(score.ln_e) == Verdict::Accused);
    accused.map(|score| score.grant).collect()
}

#[test]
fn rows_that_were_found_before_show_the_same() {
    let marker = marker();
    let marked = marker.embed(GUILTY, &table(ROWS)).unwrap().columns;
    let found = [0, 1].map(|anchor| marker.anchor_rows(anchor, &marked).unwrap());
    let rows = found.each_ref().map(Some);
    let leak: Vec<Option<ArrayRef>> = marked.into_iter().map(Some).collect();
    let seen = marker.observe(&leak).unwrap();
    assert!(!seen.is_empty());
    assert_eq!(marker.observe_by(&rows, &leak).unwrap(), seen);
    // The columns that they were found by aren't needed.
    let mut without = leak.clone();
    for anchor in marker.plan().anchors() {
        for column in &anchor.columns {
            without[*column] = None;
        }
    }
    assert_eq!(marker.observe_by(&rows, &without).unwrap(), seen);
}

#[test]
fn batches_and_order_leave_every_row_as_it_is() {
    let (marker, table) = (marker(), table(ROWS));
    let whole = marker.embed(GUILTY, &table).unwrap();
    for size in [1, 7, 256, ROWS - 1] {
        let mut parts = Vec::new();
        let mut counted: Vec<Distortion> = whole
            .distortions
            .iter()
            .map(|_| Distortion::default())
            .collect();
        for start in (0..ROWS).step_by(size) {
            let length = size.min(ROWS - start);
            let part: Vec<ArrayRef> = table
                .iter()
                .map(|column| column.slice(start, length))
                .collect();
            let part = marker.embed(GUILTY, &part).unwrap();
            for (counted, own) in counted.iter_mut().zip(&part.distortions) {
                counted.merge(own);
            }
            parts.push(part.columns);
        }
        for (at, column) in whole.columns.iter().enumerate() {
            let parts: Vec<&dyn Array> = parts.iter().map(|part| part[at].as_ref()).collect();
            assert_eq!(&concat(&parts).unwrap(), column, "{size} {at}");
        }
        assert_eq!(counted, whole.distortions);
    }
    let backwards = marker
        .embed(GUILTY, &rows_of(&table, (0..ROWS).rev()))
        .unwrap();
    assert_eq!(rows_of(&backwards.columns, (0..ROWS).rev()), whole.columns);
}

#[test]
fn a_marked_table_is_marked_already() {
    let (marker, table) = (marker(), table(ROWS));
    let once = marker.embed(GUILTY, &table).unwrap();
    let twice = marker.embed(GUILTY, &once.columns).unwrap();
    assert_eq!(once.columns, twice.columns);
    assert!(
        twice
            .distortions
            .iter()
            .all(|distortion| distortion.changed == 0)
    );
    assert_eq!(once.columns, marker.embed(GUILTY, &table).unwrap().columns);
}

#[test]
fn only_carriers_change_and_each_grant_has_its_own() {
    let (marker, table) = (marker(), table(ROWS));
    let one = marker.embed(GUILTY, &table).unwrap().columns;
    let other = marker.embed(GrantIndex(1), &table).unwrap().columns;
    for column in [KEY, NAME, REGION, FLAG] {
        assert!(Arc::ptr_eq(&one[column], &table[column]));
    }
    for column in [AMOUNT, TIME, AREA, SCORE, CITY] {
        assert_ne!(&one[column], &table[column]);
        assert_ne!(&one[column], &other[column]);
    }
}

#[test]
fn what_was_done_is_counted() {
    let marked = marker().embed(GUILTY, &table(ROWS)).unwrap();
    let [amount, time, area, score, city] = marked.distortions.try_into().unwrap();
    // 600 / 11 rows have no amount, 600 / 50 no key.
    assert_eq!((amount.rows, amount.skipped.null), (600, 54));
    assert_eq!(amount.skipped.no_anchor, 11);
    assert_eq!(amount.selected, 600 - 54 - 11);
    // Every fifth row has no synonym, and it is some of those that have no key.
    assert_eq!(city.skipped.no_carrier, 120 - 12);
    for (counted, furthest) in [(&amount, 5), (&time, 2), (&area, 3), (&score, 2)] {
        assert!(counted.changed > counted.selected / 3 && counted.furthest <= furthest);
        assert_eq!(counted.before.count, 600 - counted.skipped.null);
    }
    assert!(city.changed > 100);
}

#[test]
fn every_way_to_find_a_cell_leads_to_the_guilty() {
    let (marker, table) = (marker(), table(ROWS));
    let marked = marker.embed(GUILTY, &table).unwrap().columns;
    let leak = rows_of(&marked, (0..60).map(|row| row * 7));
    let all: Vec<Option<ArrayRef>> = leak.into_iter().map(Some).collect();
    assert_eq!(accused(&marker, &all), [GUILTY]);
    let without = |kept: &[usize]| -> Vec<Option<ArrayRef>> {
        let columns = marked.iter().enumerate();
        columns
            .map(|(at, column)| kept.contains(&at).then(|| Arc::clone(column)))
            .collect()
    };
    assert_eq!(accused(&marker, &without(&[KEY, AMOUNT])), [GUILTY]);
    assert_eq!(accused(&marker, &without(&[NAME, REGION, TIME])), [GUILTY]);
    assert_eq!(accused(&marker, &without(&[NAME, REGION, SCORE])), [GUILTY]);
    assert_eq!(accused(&marker, &without(&[KEY, CITY])), [GUILTY]);
    // One column, and nothing else.
    assert_eq!(accused(&marker, &without(&[AREA])), [GUILTY]);
    // Nothing that a cell could be found by.
    assert_eq!(votes(&marker, &without(&[AMOUNT, TIME, NAME])).total(), 0);
}

#[test]
fn another_key_sees_nothing() {
    let (marker, table) = (marker(), table(ROWS));
    let other = Marker::new(
        &MarkKey::derive(&[7; 32], "residents", 2, 1),
        plan(Density::ALL),
    );
    let marked = marker.embed(GUILTY, &table).unwrap().columns;
    let leak: Vec<Option<ArrayRef>> = marked.into_iter().map(Some).collect();
    assert!(ln_presence(&votes(&marker, &leak).counts()) > presence_from(1, 1e-9));
    assert!(ln_presence(&votes(&other, &leak).counts()) < presence_from(1, 1e-9));
    assert_eq!(accused(&other, &leak), []);
}

#[test]
fn unmarked_data_is_nobodys() {
    let marker = marker();
    let leak: Vec<Option<ArrayRef>> = table(ROWS).into_iter().map(Some).collect();
    let votes = votes(&marker, &leak);
    assert!(votes.total() > 2_000);
    assert!(ln_presence(&votes.counts()) < presence_from(1, 1e-9));
    assert_eq!(accused(&marker, &leak), []);
}

#[test]
fn marks_on_top_of_half_the_marks_leave_the_first_to_be_found() {
    let (marker, table) = (marker(), table(ROWS));
    let key = MarkKey::derive(&[8; 32], "residents", 1, 1);
    let marked = marker.embed(GUILTY, &table).unwrap().columns;
    let again = |part| {
        let other = Marker::new(&key, plan(Density::of(part, 2).unwrap()));
        let marked = other.embed(GrantIndex(3), &marked).unwrap().columns;
        let leak: Vec<Option<ArrayRef>> = marked.into_iter().map(Some).collect();
        accused(&marker, &leak)
    };
    assert_eq!(again(1), [GUILTY]);
    // A mark of the same steps on every cell takes the place of the first: nobody is named.
    assert_eq!(again(2), []);
}

/// Marks a table of which nothing but carriers is found, by what marks leave of amount, area and score.
fn block_marker() -> Marker {
    let tolerance = |text: &str| text.parse().unwrap();
    let limits = Limits::default;
    let money = DataType::Decimal128(12, 2);
    let money = Numeric::exact(&money, tolerance("0.05"), true, &limits());
    let area = Numeric::exact(&DataType::Int64, tolerance("3"), true, &limits());
    let score = Numeric::float(&DataType::Float64, 2, tolerance("0.04"), true, &limits());
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    let second = Duration::from_secs(1);
    let time = Numeric::time(&seconds, second, 2 * second, false, &Limits::default());
    let carriers = [(AMOUNT, money), (AREA, area), (SCORE, score), (TIME, time)];
    let fields = carriers.map(|(column, carrier)| MarkedField {
        column,
        name: format!("field {column}"),
        density: Density::ALL,
        found_by: FoundBy::Row(0),
        carrier: Box::new(carrier.unwrap().unwrap()),
    });
    let anchor = RowAnchor {
        family: Family::Content,
        columns: Vec::new(),
        blocks: vec![0, 1, 2],
    };
    let plan = MarkPlan::new(vec![anchor], fields.into()).unwrap();
    Marker::new(&MarkKey::derive(&[7; 32], "residents", 1, 1), plan)
}

#[test]
fn rows_are_found_by_the_blocks_of_what_carries() {
    let (marker, table) = (block_marker(), table(ROWS));
    let marked = marker.embed(GUILTY, &table).unwrap();
    assert!(marked.distortions.iter().all(|of| of.changed > 100));
    let found = |columns: &[ArrayRef]| marker.anchor_rows(0, columns).unwrap();
    let own = found(&table);
    assert_eq!(found(&marked.columns), own);
    // Rows without an amount have no anchor, and no marks.
    for (row, anchor) in own.iter().enumerate() {
        assert_eq!(anchor.is_some(), table[AMOUNT].is_valid(row), "{row}");
    }
    let leak: Vec<Option<ArrayRef>> = marked.columns.iter().cloned().map(Some).collect();
    assert_eq!(accused(&marker, &leak), [GUILTY]);
    // Moved within their blocks of four, areas still find what the others show.
    let areas = marked.columns[AREA].as_primitive::<Int64Type>();
    let moved = areas.iter().enumerate().map(|(row, area)| {
        let drawn = i64::try_from(mixed(row) % 4).unwrap();
        area.map(|area| area.div_euclid(4) * 4 + drawn)
    });
    let mut jittered = leak.clone();
    jittered[AREA] = Some(Arc::new(moved.collect::<Int64Array>()));
    assert_eq!(accused(&marker, &jittered), [GUILTY]);
    // Without one of them nothing is found.
    let mut without = leak;
    without[AREA] = None;
    assert_eq!(votes(&marker, &without).total(), 0);
}

#[test]
fn blocks_are_those_of_what_is_delivered() {
    let (marker, mut table) = (block_marker(), table(ROWS));
    let scores = |more: f64| -> ArrayRef {
        let score = |row: usize| (1 + mixed(row) % 99_999) as f64 / 100.0 + more;
        Arc::new(Float64Array::from_iter_values((0..ROWS).map(score)))
    };
    table[SCORE] = scores(0.0);
    let rounded = marker.embed(GUILTY, &table).unwrap().columns;
    // More digits than are declared: rounded as they are marked.
    table[SCORE] = scores(0.002);
    assert_eq!(marker.embed(GUILTY, &table).unwrap().columns, rounded);
}

/// Marks the second of two columns, found by the first or by its own values.
fn amount_marker(carrier: Box<dyn Carrier>, density: Density, is_in_block: bool) -> Marker {
    let field = MarkedField {
        column: 1,
        name: "amount".to_owned(),
        density,
        found_by: if is_in_block {
            FoundBy::Value
        } else {
            FoundBy::Row(0)
        },
        carrier,
    };
    let key = RowAnchor::of_columns(Family::Key, vec![0]);
    let plan = MarkPlan::new(vec![key], vec![field]).unwrap();
    Marker::new(&MarkKey::derive(&[7; 32], "residents", 1, 1), plan)
}

#[test]
fn the_distortion_is_the_expected_one() {
    let rows = 40_000;
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..40_000));
    let values = (0..rows).map(|row| i128::from(mixed(row) % 900_000_000) + 100_000);
    let values: ArrayRef = Arc::new(
        Decimal128Array::from_iter_values(values)
            .with_precision_and_scale(12, 2)
            .unwrap(),
    );
    for (tolerance, density) in [("0.01", (1, 1)), ("0.05", (1, 4)), ("1.00", (1, 1))] {
        for is_in_block in [false, true] {
            let carrier = Numeric::exact(
                values.data_type(),
                tolerance.parse().unwrap(),
                is_in_block,
                &Limits::default(),
            );
            let carrier = carrier.unwrap().unwrap();
            let density = Density::of(density.0, density.1).unwrap();
            let expected = Expected::of(carrier.reflection().unwrap(), density.share());
            let marker = amount_marker(Box::new(carrier), density, is_in_block);
            let marked = marker
                .embed(GUILTY, &[Arc::clone(&keys), Arc::clone(&values)])
                .unwrap();
            let counted = &marked.distortions[0];
            let count = rows as f64;
            // The square of a move is at most that of the furthest.
            let furthest = expected.furthest * expected.furthest;
            let square_sigma = (expected.mean_square * furthest / count).sqrt();
            let square = counted.mean_square().unwrap();
            assert!(
                (square - expected.mean_square).abs() <= 3.0 * square_sigma,
                "{tolerance} {square}"
            );
            let mean = counted.mean_move().unwrap();
            assert!(
                mean.abs() <= 3.0 * expected.mean_deviation(40_000),
                "{tolerance} {mean}"
            );
            let changed = counted.changed as f64 / count;
            let changed_sigma = (expected.changed / count).sqrt();
            assert!(
                (changed - expected.changed).abs() <= 3.0 * changed_sigma,
                "{tolerance} {changed}"
            );
            let furthest = counted.furthest as f64;
            assert!(
                (furthest - expected.furthest).abs() < 1e-9,
                "{tolerance} {furthest}"
            );
            let (before, after) = (
                counted.before.variance().unwrap(),
                counted.after.variance().unwrap(),
            );
            assert!(((after - before) / before).abs() < 1e-4);
            let own = marked.columns[1].as_primitive::<Decimal128Type>();
            let sum: i128 = own.values().iter().sum();
            assert_eq!(counted.after.sum.to_i128(), Some(sum));
        }
    }
}

#[test]
fn plans_that_could_not_be_traced_are_refused() {
    let number = |is_in_block| {
        let tolerance = "5".parse().unwrap();
        let carrier = Numeric::exact(&DataType::Int64, tolerance, is_in_block, &Limits::default());
        Box::new(carrier.unwrap().unwrap()) as Box<dyn Carrier>
    };
    let field = |column, name: &str, found_by| MarkedField {
        column,
        name: name.to_owned(),
        density: Density::ALL,
        found_by,
        carrier: number(false),
    };
    let anchor = |family, columns| vec![RowAnchor::of_columns(family, columns)];
    let by_row = || vec![field(1, "a", FoundBy::Row(0))];
    let in_blocks = |is_in_block| {
        let carriers = [(1, "a"), (2, "b")].map(|(column, name)| MarkedField {
            carrier: number(is_in_block),
            ..field(column, name, FoundBy::Row(0))
        });
        carriers.into_iter().collect::<Vec<_>>()
    };
    let by_blocks = |columns: &[usize], blocks: &[usize]| {
        vec![RowAnchor {
            family: Family::Content,
            columns: columns.to_vec(),
            blocks: blocks.to_vec(),
        }]
    };
    assert!(MarkPlan::new(by_blocks(&[], &[0, 1]), in_blocks(true)).is_ok());
    assert!(MarkPlan::new(by_blocks(&[0], &[1]), in_blocks(true)).is_ok());
    assert!(MarkPlan::new(by_blocks(&[], &[0, 1]), in_blocks(false)).is_err());
    for (columns, blocks) in [
        (&[][..], &[0][..]),
        (&[], &[0, 0]),
        (&[], &[0, 2]),
        (&[1], &[0]),
    ] {
        let refused = MarkPlan::new(by_blocks(columns, blocks), in_blocks(true));
        assert!(refused.is_err(), "{columns:?} {blocks:?}");
    }
    assert!(MarkPlan::new(anchor(Family::Key, vec![0]), by_row()).is_ok());
    assert!(MarkPlan::new(anchor(Family::Key, vec![]), by_row()).is_err());
    assert!(MarkPlan::new(anchor(Family::Own, vec![0]), by_row()).is_err());
    assert!(MarkPlan::new(anchor(Family::Key, vec![0, 1]), by_row()).is_err());
    assert!(MarkPlan::new(vec![], by_row()).is_err());
    assert!(MarkPlan::new(vec![], vec![field(1, "a", FoundBy::Value)]).is_err());
    for (column, name) in [(1, "b"), (2, "a")] {
        let twice = vec![
            field(1, "a", FoundBy::Row(0)),
            field(column, name, FoundBy::Row(0)),
        ];
        assert!(MarkPlan::new(anchor(Family::Key, vec![0]), twice).is_err());
    }
}

#[test]
fn a_batch_that_is_not_the_plans_is_refused() {
    let (marker, table) = (marker(), table(10));
    assert!(marker.embed(GUILTY, &table[..4]).is_err());
    let mut other = table.clone();
    other[AMOUNT] = Arc::clone(&table[NAME]);
    assert!(marker.embed(GUILTY, &other).is_err());
    let mut short = table.clone();
    short[AMOUNT] = table[AMOUNT].slice(0, 5);
    assert!(marker.embed(GUILTY, &short).is_err());
    let empty: Vec<ArrayRef> = table.iter().map(|column| column.slice(0, 0)).collect();
    assert_eq!(
        marker.embed(GUILTY, &empty).unwrap().columns[AMOUNT].len(),
        0
    );
}

#[test]
fn noise_names_the_grant_whose_choice_it_is() {
    let table = table(ROWS);
    let areas = table[AREA].as_primitive::<Int64Type>();
    let other: Int64Array = areas.unary(|area| area + 10);
    let shows = areas.values().iter();
    let shows = shows.map(|area| Some(area.div_euclid(10) & 1 == 1));
    let choice = Choice {
        other: Arc::new(other),
        shows: shows.collect(),
    };
    let key = RowAnchor::of_columns(Family::Key, vec![KEY]);
    let carrier = Sampled::new(&DataType::Int64, 10, None, &[]);
    let field = MarkedField {
        column: AREA,
        name: "area".to_owned(),
        density: Density::ALL,
        found_by: FoundBy::Row(0),
        carrier: Box::new(carrier.unwrap().unwrap()),
    };
    let plan = MarkPlan::new(vec![key], vec![field]).unwrap();
    let marker = Marker::new(&MarkKey::derive(&[7; 32], "residents", 1, 1), plan);
    let rows = [marker.anchor_rows(0, &table).unwrap()];
    let column = &table[AREA];
    let marked = marker.embed_field(GUILTY, 0, column, Some(&choice), &rows);
    let (marked, distortion) = marked.unwrap();
    assert_eq!((distortion.skipped.no_carrier, distortion.furthest), (0, 0));
    assert!(distortion.changed.abs_diff(distortion.selected / 2) < 60);
    let mut leak: Vec<Option<ArrayRef>> = vec![None; table.len()];
    leak[KEY] = Some(Arc::clone(&table[KEY]));
    leak[AREA] = Some(marked);
    assert_eq!(accused(&marker, &leak), [GUILTY]);
    leak[AREA] = Some(Arc::clone(column));
    assert_eq!(accused(&marker, &leak), []);
    assert!(marker.embed_field(GUILTY, 0, column, None, &rows).is_err());
    assert!(marker.embed(GUILTY, &table).is_err());
}

#[test]
fn a_value_that_stands_for_many_names_the_grant_whatever_the_batches() {
    let table = table(ROWS);
    let width = "1000".parse().unwrap();
    let carrier = Representative::of_width(&DataType::Int64, width, Decimal::ZERO, &[]);
    let key = RowAnchor::of_columns(Family::Key, vec![KEY]);
    let field = MarkedField {
        column: AREA,
        name: "area".to_owned(),
        density: Density::ALL,
        found_by: FoundBy::Row(0),
        carrier: Box::new(carrier.unwrap()),
    };
    let plan = MarkPlan::new(vec![key], vec![field]).unwrap();
    let marker = Marker::new(&MarkKey::derive(&[7; 32], "residents", 1, 1), plan);
    let whole = marker.embed(GUILTY, &table).unwrap();
    let marked = &whole.columns[AREA];
    let (start, length) = (77, 301);
    let part: Vec<ArrayRef> = table
        .iter()
        .map(|column| column.slice(start, length))
        .collect();
    let part = marker.embed(GUILTY, &part).unwrap();
    assert_eq!(&part.columns[AREA], &marked.slice(start, length));
    let bands = |column: &ArrayRef| -> Vec<i64> {
        let values = column.as_primitive::<Int64Type>().values().iter();
        values.map(|value| value.div_euclid(1_000)).collect()
    };
    assert_eq!(bands(marked), bands(&table[AREA]));
    // Another grant's values differ, also where its symbols don't.
    let other = marker.embed(GrantIndex(1), &table).unwrap();
    let pairs = marked.as_primitive::<Int64Type>().values().iter();
    let same = pairs
        .zip(other.columns[AREA].as_primitive::<Int64Type>().values())
        .filter(|(one, two)| one == two);
    assert!(same.count() < ROWS / 20);
    let mut leak: Vec<Option<ArrayRef>> = vec![None; table.len()];
    leak[KEY] = Some(Arc::clone(&table[KEY]));
    leak[AREA] = Some(Arc::clone(marked));
    assert_eq!(accused(&marker, &leak), [GUILTY]);
}
