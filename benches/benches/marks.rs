//! What a core marks per second: anchors by what they are made of, fields by their carrier.
//!
//! Batches of 16,384 rows, as the engine has them. Anchors are counted in rows, fields in cells; a
//! field's figure is without its anchors, unless it is found by its own value. Run with
//! `cargo bench -p lockgate-benchmarks --bench marks`.
#![expect(
    clippy::expect_used,
    reason = "a bench whose input is wrong has nothing to measure"
)]

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockgate_transforms::marks::anchor::Family;
use lockgate_transforms::marks::carrier::{Carrier, Limits, Numeric, Synonyms};
use lockgate_transforms::marks::code::Density;
use lockgate_transforms::marks::embed::{FoundBy, MarkPlan, MarkedField, Marker, RowAnchor};
use lockgate_transforms::marks::key::{GrantIndex, MarkKey, PrfSuite};

const ROWS: usize = 16_384;
const GRANT: GrantIndex = GrantIndex(0x5EED_0001);

/// Numbers that look random and are the same in every run.
fn mixed(row: usize) -> u64 {
    let row = u64::try_from(row).expect("a row");
    let mixed = row.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 31)
}

fn below(row: usize, most: u64) -> i64 {
    i64::try_from(mixed(row) % most).expect("a small number")
}

fn text(value: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..ROWS).map(value)))
}

fn anchors(criterion: &mut Criterion) {
    let pseudonym = text(|row| format!("{0:016x}{1:016x}{0:016x}{1:016x}", mixed(row), row));
    let masked_id = text(|row| format!("330102********{:04}", row % 10_000));
    let masked_phone = text(|row| format!("138****{:04}", below(row, 10_000)));
    let name = text(|row| format!("张{}", row % 997));
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..ROWS).map(|row| below(row, 1 << 40)),
    ));
    let mut group = criterion.benchmark_group("anchors");
    group.throughput(Throughput::Elements(ROWS.try_into().expect("rows")));
    for (what, family, columns) in [
        ("a pseudonym of 64 digits", Family::Key, vec![pseudonym]),
        ("a whole number", Family::Key, vec![number]),
        (
            "a masked id and a masked mobile number",
            Family::Content,
            vec![masked_id, Arc::clone(&masked_phone)],
        ),
        (
            "a name and a masked mobile number",
            Family::Content,
            vec![name, masked_phone],
        ),
    ] {
        let anchor = RowAnchor::of_columns(family, (0..columns.len()).collect());
        let plan = MarkPlan::new(vec![anchor], Vec::new()).expect("a plan");
        let marker = Marker::new(&MarkKey::derive(&[7; 32], "bench", 1, 1), plan);
        group.bench_function(what, |bencher| {
            bencher.iter(|| marker.anchor_rows(0, &columns).expect("anchors"));
        });
    }
    group.finish();
}

/// A carrier, its name, and a column for it.
type Case = (&'static str, Box<dyn Carrier>, ArrayRef);

fn cases(is_in_block: bool) -> Vec<Case> {
    let boxed = |numeric: Option<Numeric>| -> Box<dyn Carrier> {
        Box::new(numeric.expect("a tolerance large enough"))
    };
    let tolerance = |text: &str| text.parse().expect("a number");
    let none = Limits::default;
    let amounts = (0..ROWS).map(|row| i128::from(below(row, 3_000_000)) + 100_000);
    let amounts: ArrayRef = Arc::new(
        Decimal128Array::from_iter_values(amounts)
            .with_precision_and_scale(12, 2)
            .expect("a decimal"),
    );
    let money = Numeric::exact(amounts.data_type(), tolerance("5.00"), is_in_block, &none());
    let scores = (0..ROWS).map(|row| {
        let thousandths = i32::try_from(below(row, 100_000)).expect("a small number");
        f64::from(thousandths) / 1000.0
    });
    let score = Numeric::float(
        &DataType::Float64,
        3,
        tolerance("0.5"),
        is_in_block,
        &none(),
    );
    let times = (0..ROWS).map(|row| 1_700_000_000_000 + below(row, 31_536_000_000));
    let time = Numeric::time(
        &DataType::Timestamp(TimeUnit::Millisecond, None),
        Duration::from_secs(1),
        Duration::from_secs(30),
        is_in_block,
        &Limits::default(),
    );
    let mut cases: Vec<Case> = vec![
        ("decimal", boxed(money.expect("money")), amounts),
        (
            "float",
            boxed(score.expect("scores")),
            Arc::new(Float64Array::from_iter_values(scores)),
        ),
        (
            "timestamp",
            boxed(time.expect("times")),
            Arc::new(TimestampMillisecondArray::from_iter_values(times)),
        ),
    ];
    if !is_in_block {
        let classes = [["北京", "北京市"], ["上海", "上海市"]];
        let classes = classes.map(|class| class.map(str::to_owned).to_vec());
        let words = ["北京", "北京市", "上海", "上海市", "广州"];
        cases.push((
            "synonyms",
            Box::new(Synonyms::new(&classes).expect("synonyms")),
            text(|row| words.get(row % 5).copied().unwrap_or_default().to_owned()),
        ));
    }
    cases
}

fn fields(criterion: &mut Criterion) {
    for (is_in_block, suite, name) in [
        (false, PrfSuite::Aes, "fields by row"),
        (true, PrfSuite::Aes, "fields by their own value"),
        (false, PrfSuite::Sm4, "fields by row, with SM4"),
    ] {
        let key = MarkKey::derive(&[7; 32], "bench", 1, 1).of_suite(suite);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(ROWS.try_into().expect("rows")));
        for (what, carrier, column) in cases(is_in_block) {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(
                (0..ROWS).map(|row| below(row, 1 << 40)),
            ));
            let anchor = RowAnchor::of_columns(Family::Key, vec![0]);
            let found_by = match is_in_block {
                true => FoundBy::Value,
                false => FoundBy::Row(0),
            };
            let field = MarkedField {
                column: 1,
                name: "value".to_owned(),
                density: Density::ALL,
                found_by,
                carrier,
            };
            let plan = MarkPlan::new(vec![anchor], vec![field]).expect("a plan");
            let marker = Marker::new(&key, plan);
            let rows = vec![
                marker
                    .anchor_rows(0, &[ids, Arc::clone(&column)])
                    .expect("anchors"),
            ];
            group.bench_function(what, |bencher| {
                bencher.iter(|| {
                    marker
                        .embed_field(GRANT, 0, &column, None, &rows)
                        .expect("marks")
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, anchors, fields);
criterion_main!(benches);
