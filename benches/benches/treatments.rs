//! One group per treatment: what a core treats per second, by kind of input.
//!
//! Inputs are named for what they hold and described as rows x bytes per value; one value in 32 is
//! null. Run with `cargo bench -p lockgate-benchmarks --bench treatments`.

#![expect(
    clippy::expect_used,
    reason = "a bench whose input is wrong has nothing to measure"
)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Int32Type};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lockgate_transforms::{Column, DerivedKey, Treatment, TreatmentSpec};

/// Rows of a batch, as the engine reads them.
const ROWS: usize = 16_384;

/// One value in so many is null.
const NULL_EVERY: usize = 32;

/// An input: its name, the category of the field, bytes per value, and the column.
struct Input {
    name: &'static str,
    category: &'static str,
    bytes: usize,
    column: ArrayRef,
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn character(&mut self) -> char {
        let offset = u32::try_from(self.below(0x5000)).unwrap_or(0);
        char::from_u32(0x4E00 + offset).unwrap_or('一')
    }
}

fn column<T>(mut value: impl FnMut(&mut Numbers) -> T) -> Vec<Option<T>> {
    let mut numbers = Numbers(1);
    (0..ROWS)
        .map(|row| (row % NULL_EVERY != 0).then(|| value(&mut numbers)))
        .collect()
}

fn text(
    name: &'static str,
    category: &'static str,
    value: impl FnMut(&mut Numbers) -> String,
) -> Input {
    let values = column(value);
    let filled = values.iter().flatten().count().max(1);
    let bytes = values.iter().flatten().map(String::len).sum::<usize>() / filled;
    Input {
        name,
        category,
        bytes,
        column: Arc::new(StringArray::from(values)),
    }
}

fn mobile() -> Input {
    text("mobile", "mobile", |numbers| {
        format!("1{:010}", 3_000_000_000 + numbers.below(1 << 31))
    })
}

fn resident_id() -> Input {
    text("resident id", "resident-id", |numbers| {
        format!(
            "{:06}19900101{:03}X",
            110_000 + numbers.below(500_000),
            numbers.below(1_000)
        )
    })
}

fn name() -> Input {
    text("Han name", "person-name", |numbers| {
        (0..3).map(|_| numbers.character()).collect()
    })
}

fn address() -> Input {
    text("Han address", "address", |numbers| {
        let street: String = (0..10).map(|_| numbers.character()).collect();
        format!("浙江省{street}路{}号", numbers.below(900) + 100)
    })
}

fn segmented() -> Input {
    text("name with combining marks", "person-name", |numbers| {
        format!("Zo{}e\u{308}", numbers.character())
    })
}

fn email() -> Input {
    text("email", "email", |numbers| {
        format!("user{:06}@example.cn", numbers.below(1_000_000))
    })
}

fn as_view(input: &Input, name: &'static str) -> Input {
    let values: StringViewArray = input
        .column
        .as_any()
        .downcast_ref::<StringArray>()
        .into_iter()
        .flatten()
        .collect();
    Input {
        name,
        category: input.category,
        bytes: input.bytes,
        column: Arc::new(values),
    }
}

fn dictionary() -> Input {
    let names: Vec<String> = column(|numbers| (0..3).map(|_| numbers.character()).collect())
        .into_iter()
        .flatten()
        .take(500)
        .collect();
    let values = column(|numbers| usize::try_from(numbers.below(500)).unwrap_or(0));
    let values = values
        .into_iter()
        .map(|at| at.and_then(|at| names.get(at)).map(String::as_str));
    let column: DictionaryArray<Int32Type> = values.collect();
    Input {
        name: "Han name, dictionary of 500",
        category: "person-name",
        bytes: 9,
        column: Arc::new(column),
    }
}

fn values(name: &'static str, bytes: usize, column: ArrayRef) -> Input {
    Input {
        name,
        category: "other",
        bytes,
        column,
    }
}

fn integers() -> Input {
    let column = column(|numbers| i64::try_from(numbers.below(1 << 31)).unwrap_or(0));
    values("int64", 8, Arc::new(Int64Array::from(column)))
}

fn floats() -> Input {
    let column =
        column(|numbers| f64::from(u32::try_from(numbers.below(1 << 31)).unwrap_or(0)) / 100.0);
    values("float64", 8, Arc::new(Float64Array::from(column)))
}

fn decimals() -> Input {
    let column = column(|numbers| i128::from(numbers.below(1 << 31)));
    let array = Decimal128Array::from(column).with_data_type(DataType::Decimal128(12, 2));
    values("decimal(12,2)", 16, Arc::new(array))
}

fn dates() -> Input {
    let column = column(|numbers| i32::try_from(numbers.below(20_000)).unwrap_or(0));
    values("date", 4, Arc::new(Date32Array::from(column)))
}

fn timestamps() -> Input {
    let column = column(|numbers| i64::try_from(numbers.below(1 << 31)).unwrap_or(0) * 800_000);
    values(
        "timestamp(us)",
        8,
        Arc::new(TimestampMicrosecondArray::from(column)),
    )
}

fn build(spec: &str, input: &Input) -> Box<dyn Treatment> {
    let spec: TreatmentSpec = serde_json::from_str(spec).expect("the spec is well formed");
    let is_text = matches!(
        input.column.data_type(),
        DataType::Utf8View | DataType::Dictionary(_, _)
    );
    let data_type = if is_text {
        &DataType::Utf8
    } else {
        input.column.data_type()
    };
    let key = DerivedKey::derive(&[7; 32], "pseudonym", "person.id", "grant:G-1", 1);
    let column = Column {
        name: "field",
        data_type,
        category: input.category,
    };
    spec.build(column, Some(&key)).expect("the treatment fits")
}

fn group(criterion: &mut Criterion, spec: &str, inputs: &[Input]) {
    let kind: TreatmentSpec = serde_json::from_str(spec).expect("the spec is well formed");
    let mut group = criterion.benchmark_group(kind.summary());
    group.throughput(Throughput::Elements(u64::try_from(ROWS).unwrap_or(0)));
    for input in inputs {
        let treatment = build(spec, input);
        let id = BenchmarkId::new(input.name, format!("{ROWS} rows x {} B", input.bytes));
        group.bench_with_input(id, &input.column, |bencher, column| {
            bencher.iter(|| treatment.apply(column).expect("no option says fail"));
        });
    }
    group.finish();
}

fn treatments(criterion: &mut Criterion) {
    let all = || [mobile(), name(), integers(), decimals(), dates()];
    group(criterion, r#"{"kind":"clear"}"#, &all());
    group(criterion, r#"{"kind":"null"}"#, &all());
    group(
        criterion,
        r#"{"kind":"constant","value":"1970-01-01"}"#,
        &[mobile(), dates()],
    );
    group(
        criterion,
        r#"{"kind":"keep-ends","first":3,"last":4}"#,
        &[mobile(), as_view(&mobile(), "mobile, view"), address()],
    );
    group(
        criterion,
        r#"{"kind":"keep-ends","first":1,"last":0}"#,
        &[
            name(),
            as_view(&name(), "Han name, view"),
            dictionary(),
            segmented(),
        ],
    );
    group(
        criterion,
        r#"{"kind":"mask-range","from":6,"to":13}"#,
        &[resident_id(), address()],
    );
    group(criterion, r#"{"kind":"mask-around","keep":1}"#, &[email()]);
    group(
        criterion,
        r#"{"kind":"hmac","domain":"person.id"}"#,
        &[
            resident_id(),
            as_view(&resident_id(), "resident id, view"),
            mobile(),
            integers(),
        ],
    );
    group(
        criterion,
        r#"{"kind":"round","to":"1000"}"#,
        &[integers(), floats(), decimals()],
    );
    group(
        criterion,
        r#"{"kind":"bucket","width":"1000"}"#,
        &[integers(), decimals()],
    );
    group(
        criterion,
        r#"{"kind":"date-trunc","unit":"month"}"#,
        &[dates(), timestamps()],
    );
    group(
        criterion,
        r#"{"kind":"age-band","as_of":"2026-01-01","width":10}"#,
        &[dates()],
    );
}

criterion_group!(benches, treatments);
criterion_main!(benches);
