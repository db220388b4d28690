//! The contract of every treatment, tried on the whole list: a new treatment is tested the day its
//! line is added.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Decimal256Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int64Array,
    LargeStringArray, StringArray, StringViewArray, TimestampMicrosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::concat;
use arrow::datatypes::{
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt32Type, i256,
};

mod catalogue_wide;
mod columns;
mod complaints;
mod results;
mod text;

use columns::{TEXTS, columns};

mod floors;

use super::*;
use crate::error::Case;
use crate::spec::{Row, RowField, TreatmentSpec};
use crate::testing::{key, spec};
use crate::treatment::{ChunkId, Context, Counts, Treated};
use crate::{Action, DerivedKey, TreatmentError};

/// What a spec reads of `rows` rows: conditions that are true, false and null in turn, entities.
fn inputs(spec: &TreatmentSpec, rows: usize) -> Vec<ArrayRef> {
    let reads = spec.reads().into_iter();
    reads
        .map(|read| -> ArrayRef {
            match read {
                Read::Condition(_) => {
                    let answers = [Some(true), Some(false), None].into_iter().cycle();
                    Arc::new(answers.take(rows).collect::<BooleanArray>())
                }
                Read::Field(_) | Read::Entity(_) => {
                    let names = (0..rows).map(|row| (row % 5 > 0).then(|| format!("P{row}")));
                    Arc::new(names.collect::<StringArray>())
                }
            }
        })
        .collect()
}

/// Treats rows of a column, each with what is read of it.
fn treat_slice(
    spec: &TreatmentSpec,
    built: &dyn Treatment,
    array: &ArrayRef,
    rows: Range<usize>,
) -> Result<Treated, TreatmentError> {
    let inputs = inputs(spec, array.len());
    let inputs: Vec<ArrayRef> = inputs
        .iter()
        .map(|input| input.slice(rows.start, rows.len()))
        .collect();
    let chunk = Some(ChunkId {
        attempt: [3; 16],
        split: 0,
        chunk: 0,
    });
    let context = Context {
        inputs: &inputs,
        chunk,
    };
    built.treat(&array.slice(rows.start, rows.len()), &context)
}

/// Treats a column with what is read of its rows.
fn treat(
    spec: &TreatmentSpec,
    built: &dyn Treatment,
    array: &ArrayRef,
) -> Result<Treated, TreatmentError> {
    treat_slice(spec, built, array, 0..array.len())
}

/// What of a result is the same whatever the batch: for random encryption, whose cells differ every
/// time, the values they open to; for everything else the result itself.
fn lasting(spec: &TreatmentSpec, treated: &ArrayRef, original: &DataType) -> ArrayRef {
    lasting_beside(spec, treated, &inputs(spec, treated.len()), original)
}

/// The same of a result whose rows hold `row` of what the spec reads.
fn lasting_beside(
    spec: &TreatmentSpec,
    treated: &ArrayRef,
    row: &[ArrayRef],
    original: &DataType,
) -> ArrayRef {
    if spec.treatment().uniqueness() != Uniqueness::Randomised {
        return Arc::clone(treated);
    }
    let AnyTreatment::EncryptRand(treatment) = spec.treatment() else {
        panic!("{} is random, and the tests can't open it", spec.kind());
    };
    let keys = crate::testing::keys_of(spec);
    let mut opener = treatment.opener("field", &keys[0].1);
    opener.open_beside(treated, row, original).unwrap()
}

/// Every field that a spec reads, as text that names someone.
fn fields(spec: &TreatmentSpec) -> Vec<String> {
    let reads = spec.reads().into_iter();
    reads
        .filter_map(|read| match read {
            Read::Field(name) | Read::Entity(name) => Some(name),
            Read::Condition(_) => None,
        })
        .collect()
}

/// The treatment of an example for a column's type, where it fits.
fn built(spec: &TreatmentSpec, array: &ArrayRef) -> Option<Box<dyn Treatment>> {
    built_for(spec, array.data_type(), "resident-id")
}

fn built_for(
    spec: &TreatmentSpec,
    data_type: &DataType,
    category: &str,
) -> Option<Box<dyn Treatment>> {
    let names = fields(spec);
    let fields = names.iter().map(|name| RowField {
        name,
        data_type: &DataType::Utf8,
        category: "resident-id",
    });
    let fields: Vec<RowField<'_>> = fields.collect();
    let column = Column {
        row: Row(&fields),
        ..Column::alone("field", data_type, category)
    };
    let output = spec.output_type(column);
    let built = crate::testing::build(spec, column);
    match output {
        Ok(Some(output)) => {
            let built = built.unwrap();
            assert_eq!(*built.output_type(), output);
            Some(built)
        }
        Ok(None) | Err(_) => {
            assert!(
                built.is_err(),
                "{} is built where it doesn't fit",
                spec.kind()
            );
            None
        }
    }
}

/// Parameters other than those of the examples, in which a kind takes another way.
const OTHERS: [&str; 57] = [
    "{ kind = 'keep-ends', first = 0, last = 0, length = 3, fill = '█' }",
    "{ kind = 'keep-ends', first = 0, last = 4 }",
    "{ kind = 'keep-classes', keep = ['separator'] }",
    "{ kind = 'mask-range', from = 0, to = -1 }",
    "{ kind = 'mask-range', from = -4, to = -2 }",
    "{ kind = 'mask-around', delimiter = '@', side = 'after' }",
    "{ kind = 'mask-around', delimiter = ['@', '.'], occurrence = 'all' }",
    "{ kind = 'regex', pattern = '(.)(.*)', groups = [2] }",
    "{ kind = 'regex', pattern = '(.+)(.{2,})', groups = [2], length = 3 }",
    "{ kind = 'regex', pattern = '(.?)(.*)(.)', replacement = '$3*$1' }",
    "{ kind = 'typed-mask', of = 'resident-id', keep = 'district-and-last-4' }",
    "{ kind = 'typed-mask', of = 'email' }",
    "{ kind = 'typed-mask', of = 'person-name', keep = 'nothing' }",
    "{ kind = 'typed-mask', of = 'address' }",
    "{ kind = 'typed-mask', of = 'ip' }",
    "{ kind = 'typed-mask', of = 'ip', length = 8, keep = 'three-parts' }",
    "{ kind = 'typed-mask', of = 'ip', length = 256, fill = '＊' }",
    "{ kind = 'hmac', domain = 'd', algorithm = 'sm3', encoding = 'base64url', length = 14 }",
    "{ kind = 'hmac', domain = 'd', normalise = 'none', encoding = 'base32' }",
    "{ kind = 'tokenize', domain = 'd', alphabet = 'digits', length = 7 }",
    "{ kind = 'encrypt-det', domain = 'd', encoding = 'hex' }",
    "{ kind = 'encrypt-det', domain = 'd', algorithm = 'sm4-siv' }",
    "{ kind = 'encrypt-rand', domain = 'd', encoding = 'base64url', pad = 32 }",
    "{ kind = 'encrypt-rand', domain = 'd', algorithm = 'sm4-gcm' }",
    "{ kind = 'encrypt-rand', domain = 'd', beside = ['who', 'where'] }",
    "{ kind = 'fpe', domain = 'd', alphabet = 'alphanumeric' }",
    "{ kind = 'fpe', domain = 'd', keep_separators = true }",
    "{ kind = 'fpe', domain = 'd', keep_others = true, tweak = 'field' }",
    "{ kind = 'structured-id', of = 'mobile', domain = 'd' }",
    "{ kind = 'structured-id', of = 'bank-card', domain = 'd', keep = ['bin6'] }",
    "{ kind = 'structured-id', of = 'credit-code', domain = 'd' }",
    "{ kind = 'permute-int', domain = 'd', from = -1000000, to = 1000000 }",
    "{ kind = 'round', significant = 2 }",
    "{ kind = 'bucket', width = '1000', as = 'lower' }",
    "{ kind = 'bucket', edges = ['0', '100'] }",
    "{ kind = 'bucket', edges = ['0', '100'], labels = ['低', '中', '高'] }",
    "{ kind = 'rank-preserving', domain = 'd', lower = 0, upper = 100, width = '10', beyond = 'clamp', reveals_order = true }",
    "{ kind = 'rank-preserving', domain = 'd', lower = 1900-01-01, upper = 2050-12-31, width = '7', reveals_order = true }",
    "{ kind = 'date-trunc', unit = 'year' }",
    "{ kind = 'age-band', as_of = 2026-01-01, edges = [18, 60] }",
    "{ kind = 'date-shift', domain = 'd', by = 'who', min_days = -9, max_days = 9, not_after = 2026-01-01 }",
    "{ kind = 'fake-phone', domain = 'd', by = 'who', keep = ['region'] }",
    "{ kind = 'fake-phone', domain = 'd', by = 'who', landline = 'drawn' }",
    "{ kind = 'fake-name', domain = 'd', by = 'who', on_null = 'synthesize' }",
    "{ kind = 'time-part', part = 'weekday' }",
    "{ kind = 'time-part', keep = ['month', 'day'] }",
    "{ kind = 'time-part', keep = ['hour', 'minute'] }",
    "{ kind = 'noise-num', domain = 'd', distribution = 'gaussian', scale = '100', round = '50' }",
    "{ kind = 'geo-coarsen', grid = '0.01', order = 'lng-lat', datum = 'WGS84' }",
    "{ kind = 'admin-level', level = 'province', rest = 'cut' }",
    "{ kind = 'when', condition = 'a = 1', then = { kind = 'null' }, else = { kind = 'null' } }",
    "{ kind = 'drop-row', when = 'a = 1', then = { kind = 'hmac', domain = 'd' } }",
    "{ kind = 'sample', rate = '0.5', by = 'id', domain = 'd' }",
    "{ kind = 'pipeline', steps = [{ kind = 'hmac', domain = 'd' }, { kind = 'keep-ends', first = 8, last = 0 }] }",
    "{ kind = 'json', unknown = 'mask', paths = [{ path = '$.person.age', as = 'integer', treatment = { kind = 'round', to = '10' } }] }",
    "{ kind = 'nested', fields = { '{key}' = { kind = 'clear' }, '{value}' = { kind = 'null' } } }",
    "{ kind = 'constant', value = 7 }",
];

/// Every example, and the other parameters.
fn specs() -> Vec<TreatmentSpec> {
    let examples = catalogue().into_iter().map(|entry| entry.example);
    examples.chain(OTHERS).map(spec).collect()
}

/// Every spec with every column it fits.
fn fitting() -> Vec<(TreatmentSpec, ArrayRef, Box<dyn Treatment>)> {
    let mut fitting = Vec::new();
    for spec in specs() {
        for array in columns() {
            if let Some(built) = built(&spec, &array) {
                fitting.push((spec.clone(), array, built));
            }
        }
    }
    fitting
}

fn rejected(treated: &Treated) -> Vec<bool> {
    let rows = treated.array.len();
    let flags = treated.rejected.as_ref();
    (0..rows)
        .map(|row| flags.is_some_and(|flags| flags.value(row)))
        .collect()
}

#[test]
fn every_kind_but_withhold_fits_some_column() {
    let fitting = fitting();
    for kind in KINDS {
        let fits = fitting.iter().any(|(spec, _, _)| spec.kind() == *kind);
        assert_eq!(fits, *kind != "withhold", "{kind}");
    }
}

/// Whether a null stays null: with everything but surrogates that are asked to hide it.
fn keeps_nulls(spec: &TreatmentSpec) -> bool {
    spec.options().on_null != Action::Synthesize
}

#[test]
fn length_type_and_nulls_are_kept() {
    for (spec, array, built) in fitting() {
        let treated = treat(&spec, &*built, &array).unwrap();
        let place = format!("{} over {}", spec.kind(), array.data_type());
        assert_eq!(treated.array.len(), array.len(), "{place}");
        assert_eq!(treated.array.data_type(), built.output_type(), "{place}");
        assert_eq!(
            treated.counts.rows,
            u64::try_from(array.len()).unwrap(),
            "{place}"
        );
        assert_eq!(
            treated.counts.nulls,
            u64::try_from(array.null_count()).unwrap(),
            "{place}"
        );
        for row in 0..array.len() {
            assert!(
                array.is_valid(row) || treated.array.is_null(row) || !keeps_nulls(&spec),
                "{place} row {row}"
            );
        }
        assert!(treated.rejected.is_none(), "{place}");
    }
}

#[test]
fn an_empty_and_an_all_null_column_are_treated() {
    for (spec, array, built) in fitting() {
        let empty = treat(&spec, &*built, &array.slice(0, 0)).unwrap();
        assert!(
            empty.array.is_empty() && empty.counts == Counts::default(),
            "{}",
            spec.kind()
        );
        let nulls = arrow::array::new_null_array(array.data_type(), 3);
        let treated = treat(&spec, &*built, &nulls).unwrap();
        assert_eq!(treated.array.len(), 3, "{}", spec.kind());
        let stay = treated.array.null_count() == 3;
        assert!(stay || !keeps_nulls(&spec), "{}", spec.kind());
    }
}

#[test]
fn slices_agree_with_the_whole() {
    for (spec, array, built) in fitting() {
        let original = array.data_type();
        let whole = lasting(
            &spec,
            &treat(&spec, &*built, &array).unwrap().array,
            original,
        );
        for start in 0..array.len() {
            let length = (array.len() - start).min(2);
            let part = treat_slice(&spec, &*built, &array, start..start + length).unwrap();
            let row: Vec<ArrayRef> = inputs(&spec, array.len())
                .iter()
                .map(|input| input.slice(start, length))
                .collect();
            let part = lasting_beside(&spec, &part.array, &row, original);
            assert_eq!(
                &part,
                &whole.slice(start, length),
                "{} at {start}",
                spec.kind()
            );
        }
    }
}

#[test]
fn an_array_of_another_type_is_refused() {
    for (spec, array, built) in fitting() {
        for other in columns() {
            if other.data_type() != array.data_type() {
                let refused = treat(&spec, &*built, &other).unwrap_err();
                assert!(
                    matches!(refused, TreatmentError::UnexpectedType { .. }),
                    "{} for {} takes {}",
                    spec.kind(),
                    array.data_type(),
                    other.data_type()
                );
            }
        }
    }
}

/// Whether a list, struct or map holds a null.
fn holds_null(array: &ArrayRef, row: usize) -> bool {
    if let Some(lists) = array.as_list_opt::<i32>() {
        return lists.value(row).null_count() > 0;
    }
    if let Some(maps) = array.as_map_opt() {
        let entries = maps.value(row);
        return entries.columns().iter().any(|part| part.null_count() > 0);
    }
    let structs = array.as_struct_opt();
    structs.is_some_and(|structs| structs.columns().iter().any(|member| member.is_null(row)))
}

#[test]
fn fail_and_reject_are_followed_for_nulls() {
    for entry in catalogue() {
        let with = |action: &str| {
            let rest = entry.example.trim_end().trim_end_matches('}').trim_end();
            spec(&format!("{rest}, on_null = \"{action}\" }}"))
        };
        for array in columns() {
            let row = (0..array.len()).find(|row| array.is_null(*row)).unwrap();
            // Within lists, structs and maps, `clear` leaves each value under the same options.
            let refuses =
                |row: usize| array.is_null(row) || entry.kind == "clear" && holds_null(&array, row);
            let whole = spec(entry.example);
            if built(&whole, &array).is_some_and(|built| {
                let treated = treat(&whole, &*built, &array).unwrap();
                treated.dropped.is_some_and(|dropped| dropped.value(row))
            }) {
                continue;
            }
            let failing = with(Action::Fail.as_str());
            if let Some(built) = built(&failing, &array) {
                let refused = treat(&failing, &*built, &array).unwrap_err();
                let TreatmentError::Refused { row, case } = refused else {
                    panic!("{}: {refused}", entry.kind);
                };
                assert_eq!(case, Case::Null, "{}", entry.kind);
                assert!(refuses(row), "{} over {}", entry.kind, array.data_type());
            }
            let rejecting = with(Action::Reject.as_str());
            if let Some(built) = built(&rejecting, &array) {
                let treated = treat(&rejecting, &*built, &array).unwrap();
                let expected: Vec<bool> = (0..array.len()).map(refuses).collect();
                assert_eq!(rejected(&treated), expected, "{}", entry.kind);
            }
        }
    }
}

/// Columns in which many values are too short or of no form.
fn odd_columns() -> [ArrayRef; 3] {
    [
        Arc::new(StringArray::from(vec![
            Some("a"),
            None,
            Some("某"),
            Some("11010519491231002X"),
            Some("\u{202E}\u{301}\u{301}"),
        ])),
        Arc::new(Float64Array::from(vec![f64::NAN, 1.0, f64::INFINITY])),
        Arc::new(Int64Array::from(vec![i64::MIN, 7, i64::MAX])),
    ]
}

/// The same treatment with other actions for what is short and what is invalid.
fn with(spec: &TreatmentSpec, on_short: Action, on_invalid: Action) -> TreatmentSpec {
    let options = Options {
        on_short,
        on_invalid,
        ..spec.options().clone()
    };
    TreatmentSpec::new(spec.treatment().clone(), options)
}

/// Checks what becomes of short and invalid values of a column under each action, where the spec fits it; gives
/// the cases that there were.
fn follow(spec: &TreatmentSpec, array: &ArrayRef) -> Vec<Case> {
    let treated = |on_short, on_invalid| {
        let spec = with(spec, on_short, on_invalid);
        let own = built(&spec, array)?;
        Some(treat(&spec, &*own, array))
    };
    let place = format!("{} over {}", spec.summary(), array.data_type());
    let Some(rejecting) = treated(Action::Reject, Action::Reject) else {
        return Vec::new();
    };
    let rejecting = rejecting.unwrap();
    let gone = rejected(&rejecting);
    let counts = rejecting.counts;
    let rows = u64::try_from(gone.iter().filter(|gone| **gone).count()).unwrap();
    assert_eq!(rows, counts.short + counts.invalid, "{place}");
    let nulling = treated(Action::Null, Action::Null).unwrap().unwrap();
    assert_eq!(nulling.counts, counts, "{place}");
    for row in (0..array.len()).filter(|row| gone[*row]) {
        assert!(nulling.array.is_null(row), "{place} row {row}");
    }
    let mut found = Vec::new();
    for (on_short, on_invalid, count, expected) in [
        (Action::Fail, Action::Null, counts.short, Case::Short),
        (Action::Null, Action::Fail, counts.invalid, Case::Invalid),
    ] {
        match treated(on_short, on_invalid).unwrap() {
            Ok(_) => assert_eq!(count, 0, "{place}"),
            Err(TreatmentError::Refused { row, case }) => {
                assert!(count > 0 && gone[row] && case == expected, "{place}");
                found.push(case);
            }
            Err(error) => panic!("{place}: {error}"),
        }
    }
    found
}

#[test]
fn null_fail_and_reject_are_followed_for_short_and_invalid_values() {
    let mut followed = BTreeSet::new();
    for spec in specs() {
        for array in odd_columns() {
            let cases = follow(&spec, &array).into_iter();
            followed.extend(cases.map(|case| (spec.kind(), case.as_str())));
        }
    }
    let of = |case: &str| {
        let kinds = followed.iter().filter(|(_, own)| *own == case);
        kinds.map(|(kind, _)| *kind).collect::<Vec<_>>()
    };
    let short = [
        "admin-level",
        "case",
        "fpe",
        "keep-ends",
        "mask-range",
        "pipeline",
        "typed-mask",
    ];
    assert_eq!(of("short"), short);
    let never: Vec<&str> = KINDS
        .iter()
        .copied()
        .filter(|kind| !of("invalid").contains(kind))
        .collect();
    // These take every value of the types above, find it too short, or fit none of them.
    let any = [
        "withhold",
        "drop-row",
        "keep-ends",
        "keep-classes",
        "mask-range",
        "hmac",
        "tokenize",
        "encrypt-det",
        "map",
        "substitute",
        "date-trunc",
        "date-shift",
        "time-part",
        "age-from",
        "age-band",
        "nested",
        "case",
        "pipeline",
    ];
    assert_eq!(never, any);
}

#[test]
fn nan_and_infinities_never_pass() {
    let array: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 1.0]));
    for entry in catalogue() {
        let spec = spec(entry.example);
        let Some(built) = built(&spec, &array) else {
            continue;
        };
        let treated = treat(&spec, &*built, &array).unwrap();
        let dropped = |row| treated.dropped.as_ref().is_some_and(|rows| rows.value(row));
        let invalid = (0..2).filter(|row| !dropped(*row)).count();
        let expected = u64::try_from(invalid).unwrap();
        assert_eq!(treated.counts.invalid, expected, "{}", entry.kind);
        if let Some(floats) = treated.array.as_primitive_opt::<Float64Type>() {
            assert!(
                floats.iter().flatten().all(f64::is_finite),
                "{}",
                entry.kind
            );
        }
    }
}

#[test]
fn nothing_stands_under_a_null_or_beyond_a_slice() {
    let secret = "SECRET-SECRET";
    let bytes = secret.repeat(4);
    let offsets = OffsetBuffer::<i32>::from_lengths([secret.len(); 4]);
    let nulls = NullBuffer::from(vec![false, false, true, false]);
    let text = StringArray::new(
        offsets.clone(),
        Buffer::from(bytes.as_bytes()),
        Some(nulls.clone()),
    );
    let binary = BinaryArray::new(offsets, Buffer::from(bytes.as_bytes()), Some(nulls.clone()));
    let hidden = vec![0x5EC2_E75E_C2E7_i64; 4];
    let integers = Int64Array::new(ScalarBuffer::from(hidden), Some(nulls));
    let arrays: [ArrayRef; 3] = [
        Arc::new(text.slice(0, 2)),
        Arc::new(binary.slice(0, 2)),
        Arc::new(integers.slice(0, 2)),
    ];
    for entry in catalogue() {
        let spec = spec(entry.example);
        for array in &arrays {
            let Some(built) = built(&spec, array) else {
                continue;
            };
            let treated = treat(&spec, &*built, array).unwrap();
            let number = 0x5EC2_E75E_C2E7_i64.to_le_bytes();
            for hidden in [b"SECRET".as_slice(), &number[..6]] {
                let found = crate::testing::holds(&treated.array, hidden);
                assert!(!found, "{} over {}", entry.kind, array.data_type());
            }
        }
    }
}

#[test]
fn nested_values_are_taken_whole_or_place_by_place() {
    let examples: Vec<TreatmentSpec> = catalogue()
        .iter()
        .map(|entry| spec(entry.example))
        .collect();
    for array in columns()
        .iter()
        .filter(|array| array.data_type().is_nested())
    {
        let taken = examples
            .iter()
            .filter(|example| built(example, array).is_some());
        let taken: Vec<&str> = taken.map(TreatmentSpec::kind).collect();
        let whole = ["clear", "null", "drop-row", "sample"];
        assert!(
            whole[..2].iter().all(|kind| taken.contains(kind)),
            "{taken:?}"
        );
        assert!(
            taken
                .iter()
                .all(|kind| whole.contains(kind) || *kind == "nested"),
            "{taken:?}"
        );
    }
}
