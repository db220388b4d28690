//! The contract of every treatment, tried on the whole list: a new treatment is tested the day its
//! line is added.

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
use proptest::prelude::*;

use super::*;
use crate::spec::{Row, RowField, TreatmentSpec};
use crate::testing::{key, spec};
use crate::treatment::{ChunkId, Context, Counts, Treated};
use crate::{Action, DerivedKey, TreatmentError};

/// Values that are hard on text: no, part of, or several characters, in every length of UTF-8.
const TEXTS: [&str; 19] = [
    "",
    " ",
    "\u{3000}\t",
    "张三",
    "欧阳娜娜",
    "𠮷野家",
    "11010519491231002X",
    "13800138000",
    "zhang.san@example.cn",
    "👨‍👩‍👧",
    "e\u{301}a\u{30A}o",
    "a\r\nb",
    "🇨🇳🇫🇷",
    "1234567",
    "浙江省杭州市西湖区文三路1号",
    "-",
    r#"{"person": {"id": "11010519491231002X", "age": 41}, "tags": ["a", null, 1.50]}"#,
    r#"{"person": {"id": "11010519491231002X"}"#,
    "[{}]",
];

/// One column of every type a field can have.
fn columns() -> Vec<ArrayRef> {
    let texts: Vec<Option<&str>> = TEXTS.iter().map(|text| Some(*text)).chain([None]).collect();
    vec![
        Arc::new(StringArray::from(texts)),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int8Array::from(vec![Some(-128), None, Some(0), Some(127)])),
        Arc::new(Int64Array::from(vec![
            Some(i64::MIN),
            None,
            Some(0),
            Some(i64::MAX),
        ])),
        Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)])),
        Arc::new(Float32Array::from(vec![
            Some(1.5),
            None,
            Some(f32::NAN),
            Some(f32::MAX),
        ])),
        Arc::new(Float64Array::from(vec![
            Some(-0.0),
            None,
            Some(f64::INFINITY),
            Some(f64::NAN),
            Some(1e300),
            Some(12.345),
        ])),
        Arc::new(
            Decimal128Array::from(vec![
                Some(123_456),
                None,
                Some(-1),
                Some(10_i128.pow(12) - 1),
            ])
            .with_precision_and_scale(12, 2)
            .unwrap(),
        ),
        Arc::new(
            Decimal256Array::from(vec![
                Some(i256::from_i128(i128::MAX)),
                None,
                Some(i256::from_i128(-1)),
                i256::from_string(&"9".repeat(60)),
            ])
            .with_precision_and_scale(60, 20)
            .unwrap(),
        ),
        Arc::new(Date32Array::from(vec![
            Some(0),
            None,
            Some(20_484),
            Some(-25_567),
        ])),
        Arc::new(TimestampSecondArray::from(vec![
            Some(0),
            None,
            Some(1_769_846_399),
        ])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_769_846_399_000_001)])
                .with_timezone("Asia/Shanghai"),
        ),
        Arc::new(BinaryArray::from(vec![
            Some(b"abc".as_slice()),
            None,
            Some(b""),
        ])),
        nested_columns::list(),
        nested_columns::structs(),
        nested_columns::map(),
    ]
}

/// Columns of nested types, with a null at every level.
mod nested_columns {
    use arrow::array::{Int32Builder, ListBuilder, MapBuilder, StringBuilder, StructArray};
    use arrow::datatypes::{Field, Fields};

    use super::*;

    pub(super) fn list() -> ArrayRef {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("张三"), None, Some("abc")]);
        lists.append_null();
        lists.append_value([None::<&str>; 0]);
        lists.append_value([Some("欧阳娜娜")]);
        Arc::new(lists.finish())
    }

    pub(super) fn structs() -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("age", DataType::Int64, true),
        ]);
        let names = StringArray::from(vec![Some("张三"), Some("hidden"), None, Some("李四")]);
        let ages = Int64Array::from(vec![Some(41), Some(42), Some(43), None]);
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let columns: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(ages)];
        Arc::new(StructArray::new(fields, columns, Some(nulls)))
    }

    pub(super) fn map() -> ArrayRef {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        maps.keys().append_value("a");
        maps.values().append_value(1);
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        maps.append(true).unwrap();
        maps.keys().append_value("b");
        maps.values().append_null();
        maps.append(true).unwrap();
        Arc::new(maps.finish())
    }
}

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
                Read::Field(_) => {
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
    if spec.treatment().uniqueness() != Uniqueness::Randomised {
        return Arc::clone(treated);
    }
    let AnyTreatment::EncryptRand(treatment) = spec.treatment() else {
        panic!("{} is random, and the tests can't open it", spec.kind());
    };
    let keys = crate::testing::keys_of(spec);
    let mut opener = treatment.opener("field", &keys[0].1);
    opener.open_column(treated, original).unwrap()
}

/// Every field that a spec reads, as text that names someone.
fn fields(spec: &TreatmentSpec) -> Vec<String> {
    let reads = spec.reads().into_iter();
    reads
        .filter_map(|read| match read {
            Read::Field(name) => Some(name),
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

/// Every example with every column it fits.
fn fitting() -> Vec<(TreatmentSpec, ArrayRef, Box<dyn Treatment>)> {
    let mut fitting = Vec::new();
    for entry in catalogue() {
        let spec = spec(entry.example);
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
                array.is_valid(row) || treated.array.is_null(row),
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
        assert_eq!(
            (treated.array.len(), treated.array.null_count()),
            (3, 3),
            "{}",
            spec.kind()
        );
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
            let part = lasting(&spec, &part.array, original);
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

#[test]
fn fail_and_reject_are_followed_for_nulls() {
    for entry in catalogue() {
        let with = |action: &str| {
            let rest = entry.example.trim_end().trim_end_matches('}').trim_end();
            spec(&format!("{rest}, on_null = \"{action}\" }}"))
        };
        for array in columns() {
            let row = (0..array.len()).find(|row| array.is_null(*row)).unwrap();
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
                let case = crate::error::Case::Null;
                assert_eq!(
                    refused,
                    TreatmentError::Refused { row, case },
                    "{}",
                    entry.kind
                );
            }
            let rejecting = with(Action::Reject.as_str());
            if let Some(built) = built(&rejecting, &array) {
                let treated = treat(&rejecting, &*built, &array).unwrap();
                let expected: Vec<bool> = (0..array.len()).map(|at| at == row).collect();
                assert_eq!(rejected(&treated), expected, "{}", entry.kind);
            }
        }
    }
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
            whole[..2].iter().all(|kind| taken.contains(&kind)),
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

/// The same text in every physical form there is.
fn forms(values: &[Option<String>]) -> Vec<ArrayRef> {
    let plain: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    let mut forms: Vec<ArrayRef> = vec![
        Arc::new(LargeStringArray::from(plain.clone())),
        Arc::new(StringViewArray::from(plain.clone())),
        Arc::new(plain.iter().copied().collect::<DictionaryArray<Int8Type>>()),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<UInt8Type>>(),
        ),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<Int16Type>>(),
        ),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<UInt32Type>>(),
        ),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<Int64Type>>(),
        ),
    ];
    // A dictionary that holds nulls and values no row uses, as views.
    let mut entries = vec![None, Some("unused")];
    entries.extend(plain.iter().copied());
    let keys: Vec<Option<i32>> = (0..plain.len())
        .map(|row| i32::try_from(row + 2).ok())
        .collect();
    forms.push(Arc::new(DictionaryArray::<Int32Type>::new(
        keys.into(),
        Arc::new(StringViewArray::from(entries)),
    )));
    forms
}

fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let value = prop_oneof![
        2 => Just(None),
        6 => proptest::sample::select(TEXTS.to_vec()).prop_map(|text| Some(text.to_owned())),
        3 => "[0-9]{0,20}".prop_map(Some),
        3 => "[\u{4e00}-\u{9fff}]{0,6}".prop_map(Some),
        3 => "\\PC{0,12}".prop_map(Some),
    ];
    proptest::collection::vec(value, 0..24)
}

/// Every treatment of text in the list, as its example writes it.
fn text_treatments() -> Vec<(TreatmentSpec, Box<dyn Treatment>)> {
    let entries = catalogue().into_iter();
    entries
        .filter_map(|entry| {
            let spec = spec(entry.example);
            let built = built_for(&spec, &DataType::Utf8, "mobile")?;
            Some((spec, built))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn physical_forms_of_text_agree(values in texts()) {
        let plain: ArrayRef = Arc::new(StringArray::from(values.clone()));
        for (spec, built) in text_treatments() {
            let kind = spec.kind();
            let expected = treat(&spec, &*built, &plain).unwrap();
            for form in forms(&values) {
                let treated = treat(&spec, &*built, &form).unwrap();
                let found = lasting(&spec, &treated.array, &DataType::Utf8);
                let wanted = lasting(&spec, &expected.array, &DataType::Utf8);
                prop_assert_eq!(&found, &wanted, "{} {}", kind, form.data_type());
                prop_assert_eq!(treated.counts, expected.counts, "{} {}", kind, form.data_type());
            }
        }
    }

    #[test]
    fn batches_may_be_split_anywhere(values in texts(), at in 0_usize..24) {
        let whole: ArrayRef = Arc::new(StringArray::from(values));
        let at = at.min(whole.len());
        for (spec, built) in text_treatments() {
            let kind = spec.kind();
            let expected = treat(&spec, &*built, &whole).unwrap();
            let head = treat_slice(&spec, &*built, &whole, 0..at).unwrap();
            let tail = treat_slice(&spec, &*built, &whole, at..whole.len()).unwrap();
            let joined = concat(&[&head.array, &tail.array]).unwrap();
            let wanted = lasting(&spec, &expected.array, &DataType::Utf8);
            prop_assert_eq!(&lasting(&spec, &joined, &DataType::Utf8), &wanted, "{}", kind);
            let mut counts = head.counts;
            counts += tail.counts;
            prop_assert_eq!(counts, expected.counts, "{}", kind);
            let again = treat(&spec, &*built, &whole).unwrap();
            prop_assert_eq!(&lasting(&spec, &again.array, &DataType::Utf8), &wanted, "{}", kind);
        }
    }

    #[test]
    fn no_value_with_something_to_hide_passes(text in "\\PC{1,16}", first in 0_usize..6, last in 0_usize..6) {
        let array: ArrayRef = Arc::new(StringArray::from(vec![text.clone()]));
        let spec = spec(&format!("{{ kind = 'keep-ends', first = {first}, last = {last}, fill = '█' }}"));
        let Some(built) = built(&spec, &array) else { return Ok(()) };
        let treated = built.apply(&array).unwrap();
        let written = treated.array.as_string::<i32>().value(0).to_owned();
        if treated.counts.empty == 0 {
            prop_assert!(written.contains('█'), "{}", written);
            prop_assert!(written != text || text.contains('█'));
        }
    }

    #[test]
    fn pseudonyms_follow_key_and_value(one in "\\PC{1,12}", two in "\\PC{1,12}") {
        let array: ArrayRef = Arc::new(StringArray::from(vec![one.clone(), two.clone(), one.clone()]));
        let spec = spec("{ kind = 'hmac', domain = 'd', normalise = 'none', on_empty = 'null' }");
        let data_type = DataType::Utf8;
        let column = Column::alone("field", &data_type, "other");
        let other = DerivedKey::derive(&[8; 32], "pseudonym", "d", "grant:G-1", 1);
        let mine = spec.build(column, Some(&key())).unwrap().apply(&array).unwrap().array;
        let theirs = spec.build(column, Some(&other)).unwrap().apply(&array).unwrap().array;
        let (mine, theirs) = (mine.as_string::<i32>(), theirs.as_string::<i32>());
        prop_assert_eq!(mine.is_null(0), one.trim().is_empty());
        if !mine.is_null(0) && !mine.is_null(1) {
            prop_assert_eq!(mine.value(0), mine.value(2));
            prop_assert_eq!(mine.value(0) == mine.value(1), one == two);
            prop_assert_ne!(mine.value(0), theirs.value(0));
        }
    }
}

#[test]
fn a_dictionary_fails_only_for_values_that_rows_use() {
    let values = StringArray::from(vec!["12345678", "1234567"]);
    let spec = spec("{ kind = 'keep-ends', first = 3, last = 4, on_short = 'fail' }");
    let data_type = DataType::Utf8;
    let column = Column::alone("field", &data_type, "other");
    let built = spec.build(column, None).unwrap();
    let dictionary = |keys: Vec<Option<i32>>| -> ArrayRef {
        Arc::new(DictionaryArray::<Int32Type>::new(
            keys.into(),
            Arc::new(values.clone()),
        ))
    };
    let fine = built
        .apply(&dictionary(vec![Some(0), None, Some(0)]))
        .unwrap();
    assert_eq!(fine.array.as_string::<i32>().value(2), "123*5678");
    let refused = built
        .apply(&dictionary(vec![Some(0), None, Some(1)]))
        .unwrap_err();
    let case = crate::error::Case::Short;
    assert_eq!(refused, TreatmentError::Refused { row: 2, case });
    assert!(!refused.to_string().contains("1234567"));
}

#[test]
fn rejected_rows_of_a_dictionary_are_flagged_one_by_one() {
    let keys = vec![Some(1), Some(0), None, Some(1)];
    let values = StringArray::from(vec!["12345678", "1"]);
    let array: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(
        keys.into(),
        Arc::new(values),
    ));
    let spec =
        "{ kind = 'keep-ends', first = 3, last = 4, on_short = 'reject', on_null = 'reject' }";
    let treated = crate::testing::treat_array(spec, &array).unwrap();
    assert_eq!(rejected(&treated), [true, false, true, true]);
    assert_eq!(treated.array.null_count(), 3);
    assert_eq!((treated.counts.short, treated.counts.nulls), (2, 1));
}

#[test]
fn sentinels_pass_only_where_they_are_listed() {
    let listed = "{ kind = 'keep-ends', first = 1, last = 0, sentinels = ['未知', 'N/A'] }";
    let treated = crate::testing::treat(
        listed,
        &[Some("未知"), Some("N/A"), Some("N/AA"), Some("张三")],
    );
    let values: Vec<_> = treated.array.as_string::<i32>().iter().flatten().collect();
    assert_eq!(values, ["未知", "N/A", "N***", "张*"]);
    assert_eq!(treated.counts.sentinels, 2);
}

#[test]
fn clear_keeps_what_is_fit_and_nothing_else() {
    let array: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(1.5),
        Some(f64::NAN),
        Some(f64::INFINITY),
        None,
    ]));
    let treated = crate::testing::treat_array("{ kind = 'clear' }", &array).unwrap();
    let values: Vec<_> = treated.array.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(values, [Some(1.5), None, None, None]);
    let listed = "{ kind = 'clear', sentinels = [nan], on_invalid = 'reject' }";
    let treated = crate::testing::treat_array(listed, &array).unwrap();
    assert_eq!(rejected(&treated), [false, false, true, false]);
    assert!(
        treated
            .array
            .as_primitive::<Float64Type>()
            .value(1)
            .is_nan()
    );
    let empties = crate::testing::treat(
        "{ kind = 'clear', on_empty = 'mask-all' }",
        &[Some("a"), Some(" \u{3000}"), Some("")],
    );
    let values: Vec<_> = empties.array.as_string::<i32>().iter().flatten().collect();
    assert_eq!(values, ["a", "**", ""]);
}

#[test]
fn null_leaves_nothing() {
    let treated = crate::testing::treat("{ kind = 'null' }", &[Some("a"), Some(""), None]);
    assert_eq!(treated.array.null_count(), 3);
    assert_eq!((treated.counts.empty, treated.counts.nulls), (1, 1));
}
