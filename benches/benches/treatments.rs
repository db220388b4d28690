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
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int64Array, ListBuilder, StringArray, StringBuilder, StringViewArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lockgate_transforms::treatments::catalogue;
use lockgate_transforms::{
    ChunkId, Column, Context, DerivedKey, KeyUse, Keys, Provisional, Read, Row, RowField, Treated,
    Treatment, TreatmentSpec, Vault, VaultUse,
};

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

    fn region(&mut self) -> &'static str {
        match self.below(4) {
            0 => "110105",
            1 => "330102",
            2 => "440106",
            _ => "510107",
        }
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
        let region = numbers.region();
        let (year, month, day) = (numbers.below(60), numbers.below(12), numbers.below(28));
        let first = format!(
            "{region}{:04}{:02}{:02}{:03}",
            1950 + year,
            month + 1,
            day + 1,
            numbers.below(1_000)
        );
        format!("{first}{}", resident_check(&first))
    })
}

/// The check character of GB 11643.
fn resident_check(first: &str) -> char {
    let digits = first.chars().filter_map(|digit| digit.to_digit(10));
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let at = usize::try_from(sum % 11).unwrap_or(0);
    "10X98765432".chars().nth(at).unwrap_or('0')
}

fn account() -> Input {
    text("18 digits", "bank-account", |numbers| {
        format!(
            "{:09}{:09}",
            numbers.below(1_000_000_000),
            numbers.below(1_000_000_000)
        )
    })
}

fn card() -> Input {
    text("bank card", "bank-card", |numbers| {
        let first = format!("622202{:012}", numbers.below(1 << 31));
        let digits = first.chars().rev().filter_map(|digit| digit.to_digit(10));
        let sum: u32 = digits
            .enumerate()
            .map(|(place, digit)| match (place % 2, digit) {
                (0, digit) if digit > 4 => digit * 2 - 9,
                (0, digit) => digit * 2,
                (_, digit) => digit,
            })
            .sum();
        format!("{first}{}", (10 - sum % 10) % 10)
    })
}

fn credit_code() -> Input {
    text("credit code", "credit-code", |_| {
        "91110000600037341L".to_owned()
    })
}

fn division() -> Input {
    text("division code", "division-code", |numbers| {
        numbers.region().to_owned()
    })
}

fn position() -> Input {
    text("position", "geometry", |numbers| {
        format!(
            "{}.{:06},30.{:06}",
            100 + numbers.below(20),
            numbers.below(1_000_000),
            numbers.below(1_000_000)
        )
    })
}

fn plate() -> Input {
    text("plate", "plate", |numbers| {
        format!("浙A{:05}", numbers.below(100_000))
    })
}

fn address_v4() -> Input {
    text("IPv4", "ip-address", |numbers| {
        format!(
            "10.{}.{}.{}",
            numbers.below(256),
            numbers.below(256),
            numbers.below(256)
        )
    })
}

fn document() -> Input {
    text("JSON", "other", |numbers| {
        format!(
            "{{\"person\":{{\"id\":\"{:018}\",\"name\":\"张三\"}},\"tags\":[\"a\",\"b\"],\"n\":{}}}",
            numbers.below(1 << 40),
            numbers.below(100)
        )
    })
}

fn list() -> Input {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..ROWS {
        lists.append_value(
            [Some("张三"), None, Some("13800138000")]
                .into_iter()
                .cycle()
                .take(row % 4),
        );
    }
    Input {
        name: "list of text",
        category: "other",
        bytes: 20,
        column: Arc::new(lists.finish()),
    }
}

fn structs() -> Input {
    let names: ArrayRef = name().column;
    let ages: ArrayRef = Arc::new(Int64Array::from_iter_values(
        0..i64::try_from(ROWS).unwrap_or(0),
    ));
    let fields = vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("age", DataType::Int64, true),
    ];
    let column = StructArray::new(fields.into(), vec![names, ages], None);
    Input {
        name: "struct",
        category: "other",
        bytes: 20,
        column: Arc::new(column),
    }
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

fn located() -> Input {
    text("Han address with district", "address", |numbers| {
        format!("浙江省杭州市西湖区文三路{}号", numbers.below(900) + 100)
    })
}

fn surnamed() -> Input {
    text("Han name with surname", "person-name", |numbers| {
        let surname = match numbers.below(4) {
            0 => "欧阳",
            1 => "王",
            2 => "李",
            _ => "张",
        };
        format!("{surname}{}", numbers.character())
    })
}

fn landline() -> Input {
    text("landline", "landline", |numbers| {
        format!("0571-8{:07}", numbers.below(10_000_000))
    })
}

fn passport() -> Input {
    text("passport", "passport", |numbers| {
        format!("E{:08}", numbers.below(100_000_000))
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

/// The treatment for a column, if it fits.
fn build(spec: &TreatmentSpec, input: &Input) -> Option<Box<dyn Treatment>> {
    let is_text = matches!(
        input.column.data_type(),
        DataType::Utf8View | DataType::Dictionary(_, _)
    );
    let data_type = if is_text {
        &DataType::Utf8
    } else {
        input.column.data_type()
    };
    let reads = spec.reads();
    let fields: Vec<RowField<'_>> = reads
        .iter()
        .filter_map(|read| match read {
            Read::Field(name) | Read::Entity(name) => Some(RowField {
                name,
                data_type: &DataType::Utf8,
                category: "resident-id",
            }),
            Read::Condition(_) => None,
        })
        .collect();
    let column = Column {
        row: Row(&fields),
        ..Column::alone("field", data_type, input.category)
    };
    let keys: Vec<(KeyUse, DerivedKey)> = spec
        .key_uses()
        .into_iter()
        .map(|used| {
            let key = DerivedKey::derive(&[7; 32], used.purpose, &used.domain, "grant:G-1", 1);
            (used, key)
        })
        .collect();
    let held: Vec<_> = keys.iter().map(|(used, key)| (used.clone(), key)).collect();
    // Stands in for a vault; what one on disk costs isn't measured here.
    let vaults = keys.iter().zip(spec.vault_uses());
    let vaults: Vec<(VaultUse, Arc<dyn Vault>)> = vaults
        .map(|((_, key), used)| -> (VaultUse, Arc<dyn Vault>) {
            (used.clone(), Arc::new(Provisional::new(key, used)))
        })
        .collect();
    let keys = Keys::new(&held).with_vaults(&vaults);
    spec.build_with(column, keys).ok()
}

/// What a treatment reads of the rows: identity numbers, conditions that hold for every other row.
fn inputs(spec: &TreatmentSpec) -> Vec<ArrayRef> {
    let reads = spec.reads().into_iter();
    reads
        .map(|read| match read {
            Read::Field(_) | Read::Entity(_) => resident_id().column,
            Read::Condition(_) => {
                let holds = (0..ROWS).map(|row| Some(row % 2 == 0));
                Arc::new(holds.collect::<BooleanArray>())
            }
        })
        .collect()
}

fn treat(treatment: &dyn Treatment, column: &ArrayRef, inputs: &[ArrayRef]) -> Treated {
    let chunk = Some(ChunkId {
        attempt: [1; 16],
        split: 0,
        chunk: 0,
    });
    let context = Context { inputs, chunk };
    treatment
        .treat(column, &context)
        .expect("no option says fail")
}

fn group(criterion: &mut Criterion, spec: &str, inputs: &[Input]) {
    let spec: TreatmentSpec = serde_json::from_str(spec).expect("the spec is well formed");
    measure(criterion, &spec, inputs);
}

fn measure(criterion: &mut Criterion, spec: &TreatmentSpec, columns: &[Input]) {
    let read = inputs(spec);
    let mut group = criterion.benchmark_group(spec.summary());
    group.throughput(Throughput::Elements(u64::try_from(ROWS).unwrap_or(0)));
    for input in columns {
        let treatment = build(spec, input).expect("the treatment fits");
        let id = BenchmarkId::new(input.name, format!("{ROWS} rows x {} B", input.bytes));
        group.bench_with_input(id, &input.column, |bencher, column| {
            bencher.iter(|| treat(&*treatment, column, &read));
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
    typed_masks(criterion);
    keyed(criterion);
    numbers(criterion);
}

fn typed_masks(criterion: &mut Criterion) {
    for (of, input) in [
        ("resident-id", resident_id()),
        ("mobile", mobile()),
        ("landline", landline()),
        ("person-name", surnamed()),
        ("bank-card", card()),
        ("address", located()),
        ("credit-code", credit_code()),
        ("plate", plate()),
        ("passport", passport()),
        ("email", email()),
        ("ip", address_v4()),
    ] {
        let spec = format!(r#"{{"kind":"typed-mask","of":"{of}"}}"#);
        group(criterion, &spec, &[input]);
    }
}

fn keyed(criterion: &mut Criterion) {
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
        r#"{"kind":"hmac","domain":"person.id","algorithm":"sm3"}"#,
        &[resident_id()],
    );
    group(
        criterion,
        r#"{"kind":"fpe","domain":"account","alphabet":"digits"}"#,
        &[account()],
    );
    for (of, input) in [
        ("resident-id", resident_id()),
        ("mobile", mobile()),
        ("bank-card", card()),
        ("credit-code", credit_code()),
    ] {
        let spec = format!(r#"{{"kind":"structured-id","of":"{of}","domain":"person.id"}}"#);
        group(criterion, &spec, &[input]);
    }
}

fn numbers(criterion: &mut Criterion) {
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

/// Every other treatment of the catalogue, as its example writes it, over the input that it can do
/// most with.
fn by_example(criterion: &mut Criterion) {
    let inputs = [
        resident_id(),
        mobile(),
        name(),
        address(),
        email(),
        account(),
        card(),
        credit_code(),
        division(),
        position(),
        plate(),
        address_v4(),
        document(),
        list(),
        structs(),
        integers(),
        floats(),
        decimals(),
        dates(),
        timestamps(),
    ];
    for entry in catalogue() {
        if BY_HAND.contains(&entry.kind) {
            continue;
        }
        let spec = example(entry.example);
        let read = self::inputs(&spec);
        let misfits = |input: &&Input| {
            build(&spec, input).map_or(u64::MAX, |treatment| {
                let counts = treat(&*treatment, &input.column, &read).counts;
                counts.short + counts.invalid
            })
        };
        let best = inputs.iter().min_by_key(misfits);
        if let Some(input) = best.filter(|input| build(&spec, input).is_some()) {
            measure(criterion, &spec, std::slice::from_ref(input));
        }
    }
}

/// A spec as the catalogue's examples write it.
fn example(text: &str) -> TreatmentSpec {
    let table: toml::Table = toml::from_str(&format!("treatment = {text}")).expect("an example");
    let treatment = table.get("treatment").cloned().expect("a treatment");
    treatment.try_into().expect("an example that reads")
}

/// The treatments that [`treatments`] measures over inputs of their own.
const BY_HAND: [&str; 14] = [
    "age-band",
    "bucket",
    "clear",
    "constant",
    "date-trunc",
    "fpe",
    "hmac",
    "keep-ends",
    "mask-around",
    "mask-range",
    "null",
    "round",
    "structured-id",
    "typed-mask",
];

criterion_group!(benches, treatments, by_example);
criterion_main!(benches);
