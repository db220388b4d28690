use std::collections::HashSet;

use arrow::array::{
    Array, AsArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float64Array, Int16Array, Int64Array, LargeBinaryArray, LargeStringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;

use super::*;
use crate::error::{Case, NotOpened, Unopenable};
use crate::spec::{Row, RowField, TreatmentSpec};
use crate::testing::{CATEGORY, cases_of, key, misfit, misfit_of, spec};
use crate::treatment::ChunkId;
use crate::treatments::AnyTreatment;

const SPEC: &str = "{ kind = 'encrypt-rand', domain = 'person.contact' }";
const TEXT: &str = "{ kind = 'encrypt-rand', domain = 'person.contact', encoding = 'base64url' }";
const SM4: &str =
    "{ kind = 'encrypt-rand', domain = 'person.contact', algorithm = 'sm4-gcm', pad = 8 }";
const ID: ChunkId = ChunkId {
    attempt: [5; 16],
    split: 0,
    chunk: 0,
};

fn treat_as(
    text: &str,
    column: &ArrayRef,
    data_type: &DataType,
    chunk: Option<ChunkId>,
) -> Result<Treated, TreatmentError> {
    let field = Column::alone("field", data_type, CATEGORY);
    let built = spec(text).build(field, Some(&key())).unwrap();
    let treated = built.treat(
        column,
        &Context {
            chunk,
            ..Context::default()
        },
    )?;
    assert_eq!(treated.array.data_type(), built.output_type());
    Ok(treated)
}

fn treat(text: &str, column: &ArrayRef) -> Treated {
    treat_as(text, column, column.data_type(), Some(ID)).unwrap()
}

fn opener(text: &str) -> Opener {
    let spec = spec(text);
    let AnyTreatment::EncryptRand(treatment) = spec.treatment() else {
        panic!("{text} is another kind");
    };
    treatment.opener("field", &key())
}

fn texts(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

#[test]
fn every_type_opens_to_what_it_was() {
    let decimals = Decimal128Array::from(vec![Some(-123), None, Some(10_i128.pow(17))]);
    let arrays: Vec<ArrayRef> = vec![
        texts(vec![Some("张三"), None, Some(""), Some("𠮷"), Some(" ")]),
        Arc::new(BinaryArray::from(vec![
            Some([0x80, 0].as_slice()),
            None,
            Some(b""),
        ])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int16Array::from(vec![
            Some(i16::MIN),
            None,
            Some(-1),
            Some(0x0102),
        ])),
        Arc::new(Int64Array::from(vec![
            Some(i64::MIN),
            None,
            Some(0),
            Some(i64::MAX),
        ])),
        Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)])),
        Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::MIN)])),
        Arc::new(decimals.with_precision_and_scale(18, 2).unwrap()),
        Arc::new(Date32Array::from(vec![Some(-25_567), None, Some(20_484)])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1_769_846_399_000_001)])
                .with_timezone("Asia/Shanghai"),
        ),
    ];
    for array in arrays {
        for text in [SPEC, TEXT, SM4] {
            for column in [Arc::clone(&array), array.slice(1, 2)] {
                let treated = treat(text, &column);
                let opened = opener(text).open_column(&treated.array, column.data_type());
                assert_eq!(&opened.unwrap(), &column, "{}", column.data_type());
                assert_eq!(treated.array.null_count(), column.null_count());
            }
        }
    }
}

#[test]
fn cells_say_their_algorithm_and_no_floor_takes_the_other() {
    let column = texts(vec![Some("张三")]);
    for (text, version) in [(SPEC, 1), (SM4, 2)] {
        let treated = treat(text, &column);
        assert_eq!(treated.array.as_binary::<i32>().value(0)[0], version);
        // A field that changed its algorithm is opened by either.
        let opened = opener(SPEC).open_column(&treated.array, &DataType::Utf8);
        assert_eq!(&opened.unwrap(), &column);
    }
    assert!(!spec(SM4).meets(&spec(SPEC)) && !spec(SPEC).meets(&spec(SM4)));
}

#[test]
fn plaintexts_are_what_the_format_says() {
    let decimals = Decimal128Array::from(vec![-2])
        .with_precision_and_scale(12, 2)
        .unwrap();
    let cases: [(ArrayRef, &[u8]); 5] = [
        (Arc::new(Int16Array::from(vec![0x0102])), &[1, 2]),
        (Arc::new(Date32Array::from(vec![-1])), &[255; 4]),
        (Arc::new(BooleanArray::from(vec![true])), &[1]),
        (
            Arc::new(Float64Array::from(vec![1.0])),
            &[0x3F, 0xF0, 0, 0, 0, 0, 0, 0],
        ),
        (
            Arc::new(decimals),
            &[
                255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 254,
            ],
        ),
    ];
    for (array, expected) in cases {
        let treated = treat(SPEC, &array);
        let mut cells = CellKey::new(&key(), "person.contact", "field").opener();
        let mut plaintext = Vec::new();
        cells
            .open(
                treated.array.as_binary::<i32>().value(0),
                &Beside::default(),
                &mut plaintext,
            )
            .unwrap();
        assert_eq!(plaintext, expected, "{}", array.data_type());
    }
}

#[test]
fn without_a_chunk_nothing_is_encrypted() {
    let column = texts(vec![Some("张三")]);
    let refused = treat_as(SPEC, &column, &DataType::Utf8, None).unwrap_err();
    assert_eq!(refused, TreatmentError::NoChunk);
    let nulls = texts(vec![None]);
    assert_eq!(
        treat_as(SPEC, &nulls, &DataType::Utf8, None).unwrap_err(),
        TreatmentError::NoChunk
    );
}

#[test]
fn a_chunk_of_too_many_rows_is_refused() {
    let limit = usize::try_from(MAX_ROWS).unwrap();
    let column: ArrayRef = Arc::new(BooleanArray::new_null(limit + 1));
    let refused = treat_as(SPEC, &column, &DataType::Boolean, Some(ID)).unwrap_err();
    assert_eq!(
        refused,
        TreatmentError::ChunkTooLarge {
            what: "rows of a chunk",
            limit: MAX_ROWS
        }
    );
    assert_eq!(
        treat(SPEC, &column.slice(0, limit)).array.null_count(),
        limit
    );
}

#[test]
fn equal_values_get_different_cells_in_every_row_chunk_and_attempt() {
    let column = texts(vec![Some("13800138000"); 50]);
    let mut cells = HashSet::new();
    let ids = [
        ID,
        ChunkId { chunk: 1, ..ID },
        ChunkId { split: 1, ..ID },
        ChunkId {
            attempt: [6; 16],
            ..ID
        },
    ];
    for id in ids {
        let treated = treat_as(SPEC, &column, &DataType::Utf8, Some(id)).unwrap();
        let written = treated.array.as_binary::<i32>();
        cells.extend(written.iter().flatten().map(|cell| cell[37..].to_vec()));
    }
    assert_eq!(cells.len(), 200);
}

#[test]
fn two_fields_of_a_row_share_no_key() {
    let column = texts(vec![Some("same")]);
    let cell = |name: &str| {
        let field = Column::alone(name, &DataType::Utf8, CATEGORY);
        let built = spec(SPEC).build(field, Some(&key())).unwrap();
        let context = Context {
            chunk: Some(ID),
            ..Context::default()
        };
        built
            .treat(&column, &context)
            .unwrap()
            .array
            .as_binary::<i32>()
            .value(0)
            .to_vec()
    };
    assert_ne!(cell("mobile")[37..], cell("email")[37..]);
}

#[test]
fn null_and_empty_stay_apart_and_follow_the_options() {
    let column = texts(vec![None, Some(""), Some(" "), Some("x")]);
    let kept = treat(SPEC, &column);
    assert_eq!(cases_of(&kept), (1, 2, 0, 0));
    let cells = kept.array.as_binary::<i32>();
    assert!(cells.is_null(0) && cells.value(1).len() == OVERHEAD_BYTES + 1);
    for action in ["null", "mask-all", "reject"] {
        let text = format!("{{ kind = 'encrypt-rand', domain = 'd', on_empty = '{action}' }}");
        let treated = treat(&text, &column);
        assert_eq!(treated.array.null_count(), 3, "{action}");
        assert_eq!(treated.rejected.is_some(), action == "reject");
    }
    let fail = "{ kind = 'encrypt-rand', domain = 'd', on_empty = 'fail' }";
    let refused = treat_as(fail, &column, &DataType::Utf8, Some(ID)).unwrap_err();
    assert_eq!(
        refused,
        TreatmentError::Refused {
            row: 1,
            case: Case::Empty
        }
    );
}

#[test]
fn sentinels_are_kept_as_given_and_only_where_listed() {
    let listed = |values: &str, encoding: &str| {
        format!(
            "{{ kind = 'encrypt-rand', domain = 'd', sentinels = [{values}], \
             encoding = '{encoding}' }}"
        )
    };
    let column = texts(vec![Some("未知"), Some("未知x")]);
    let treated = treat(&listed("'未知'", "base64url"), &column);
    assert_eq!(treated.array.as_string::<i32>().value(0), "未知");
    assert!(treated.array.as_string::<i32>().value(1).len() > 66);
    assert_eq!(treated.counts.sentinels, 1);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![7, -1]));
    let treated = treat(&listed("-1", "binary"), &column);
    assert_eq!(treated.array.as_binary::<i32>().value(1), b"-1");
    let column: ArrayRef = Arc::new(BinaryArray::from(vec![b"n/a".as_slice(), b"x"]));
    let treated = treat(&listed("'n/a'", "base64url"), &column);
    assert_eq!(treated.array.as_string::<i32>().value(0), "n/a");
}

#[test]
fn dictionaries_views_and_wide_forms_open_to_the_same_values() {
    let values = vec![Some("a"), None, Some("张三"), Some("a")];
    let dictionary: DictionaryArray<Int32Type> = values.iter().copied().collect();
    let dictionary: ArrayRef = Arc::new(dictionary);
    let treated = treat_as(SPEC, &dictionary, &DataType::Utf8, Some(ID)).unwrap();
    let cells = treated.array.as_binary::<i32>();
    assert_ne!(
        cells.value(0)[37..],
        cells.value(3)[37..],
        "a cell for every row"
    );
    let opened = opener(SPEC)
        .open_column(&treated.array, &DataType::Utf8)
        .unwrap();
    assert_eq!(&opened, &texts(values));
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"a"), None, Some(b"")];
    let forms: [ArrayRef; 2] = [
        Arc::new(LargeBinaryArray::from(bytes.clone())),
        Arc::new(BinaryViewArray::from_iter(bytes.clone())),
    ];
    for form in forms {
        let treated = treat_as(SPEC, &form, &DataType::Binary, Some(ID)).unwrap();
        let opened = opener(SPEC)
            .open_column(&treated.array, &DataType::Binary)
            .unwrap();
        assert_eq!(opened.as_binary::<i32>(), &BinaryArray::from(bytes.clone()));
    }
    let numbers: DictionaryArray<Int32Type> =
        DictionaryArray::new(vec![0].into(), Arc::new(Int64Array::from(vec![1])));
    let numbers: ArrayRef = Arc::new(numbers);
    let refused = treat_as(SPEC, &numbers, &DataType::Utf8, Some(ID)).unwrap_err();
    assert!(matches!(refused, TreatmentError::UnexpectedType { .. }));
}

#[test]
fn numbers_of_any_size_have_one_length() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, i64::MAX, i64::MIN]));
    let treated = treat(SPEC, &column);
    let lengths: HashSet<usize> = treated
        .array
        .as_binary::<i32>()
        .iter()
        .flatten()
        .map(<[u8]>::len)
        .collect();
    assert_eq!(lengths.len(), 1);
}

#[test]
fn padded_values_of_different_lengths_look_alike() {
    let padded = "{ kind = 'encrypt-rand', domain = 'person.contact', pad = 32 }";
    let column = texts(vec![Some("a"), Some("浙江省杭州市西湖区"), Some("")]);
    let treated = treat(padded, &column);
    let cells = treated.array.as_binary::<i32>();
    assert!(
        cells
            .iter()
            .flatten()
            .all(|cell| cell.len() == OVERHEAD_BYTES + 32)
    );
    let opened = opener(SPEC)
        .open_column(&treated.array, &DataType::Utf8)
        .unwrap();
    assert_eq!(&opened, &column, "opened without knowing `pad`");
}

#[test]
fn what_is_no_cell_of_the_field_names_its_row() {
    let treated = treat(SPEC, &texts(vec![Some("a"), Some("b")]));
    let cells = treated.array.as_binary::<i32>();
    let mut changed = cells.value(1).to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let column: ArrayRef = Arc::new(BinaryArray::from(vec![cells.value(0), &changed]));
    let refused = opener(SPEC)
        .open_column(&column, &DataType::Utf8)
        .unwrap_err();
    assert_eq!(
        refused,
        NotOpened {
            row: 1,
            why: Unopenable::NotAuthentic
        }
    );
    let refused = opener(SPEC)
        .open_column(&treated.array, &DataType::Int64)
        .unwrap_err();
    assert_eq!(refused.why, Unopenable::OtherType);
    for other in [DataType::Boolean, DataType::Date32] {
        let refused = opener(SPEC)
            .open_column(&treated.array, &other)
            .unwrap_err();
        assert_eq!(refused.why, Unopenable::OtherType, "{other}");
    }
    let refused = opener(SPEC)
        .open_column(&texts(vec![Some("x y")]), &DataType::Utf8)
        .unwrap_err();
    assert_eq!(refused.why, Unopenable::Malformed);
}

#[test]
fn parameters_out_of_range_are_refused() {
    assert_eq!(
        misfit("{ kind = 'encrypt-rand', domain = '' }").parameter,
        Some("domain")
    );
    for pad in [0, 1, 4097] {
        let text = format!("{{ kind = 'encrypt-rand', domain = 'd', pad = {pad} }}");
        let misfit = misfit(&text);
        assert_eq!(misfit.parameter, Some("pad"));
        assert!(misfit.what.contains("2 to 4096"));
    }
    assert_eq!(misfit_of(SPEC, &DataType::LargeUtf8).parameter, None);
}

#[test]
fn less_padding_does_not_meet_the_floor() {
    let with = |rest: &str| spec(&format!("{{ kind = 'encrypt-rand', domain = 'd'{rest} }}"));
    assert!(with(", pad = 16").meets(&with("")));
    assert!(with(", pad = 32").meets(&with(", pad = 16")));
    assert!(!with(", pad = 24").meets(&with(", pad = 16")));
    assert!(!with("").meets(&with(", pad = 16")));
    assert!(with("").meets(&spec("{ kind = 'hmac', domain = 'd' }")));
    assert_eq!(with("").key_uses().pop().unwrap().purpose, "encryption");
}

/// A spec bound to the field `id`, and with `more` to others.
fn bound(more: &str, rest: &str) -> TreatmentSpec {
    spec(&format!(
        "{{ kind = 'encrypt-rand', domain = 'person.contact', beside = ['id'{more}]{rest} }}"
    ))
}

/// Treats a column whose rows hold these fields beside it.
fn treat_beside(
    spec: &TreatmentSpec,
    column: &ArrayRef,
    row: &[(&str, ArrayRef)],
    attempt: u8,
) -> ArrayRef {
    let fields: Vec<RowField<'_>> = row
        .iter()
        .map(|(name, array)| RowField {
            name,
            data_type: array.data_type(),
            category: CATEGORY,
        })
        .collect();
    let field = Column {
        row: Row(&fields),
        ..Column::alone("field", column.data_type(), CATEGORY)
    };
    let inputs: Vec<ArrayRef> = row.iter().map(|(_, array)| Arc::clone(array)).collect();
    let context = Context {
        inputs: &inputs,
        chunk: Some(ChunkId {
            attempt: [attempt; 16],
            ..ID
        }),
    };
    let built = spec.build(field, Some(&key())).unwrap();
    built.treat(column, &context).unwrap().array
}

fn opener_of(spec: &TreatmentSpec) -> Opener {
    let AnyTreatment::EncryptRand(treatment) = spec.treatment() else {
        panic!("{spec:?} is another kind");
    };
    treatment.opener("field", &key())
}

#[test]
fn a_bound_cell_opens_beside_its_row_and_beside_no_other() {
    let column = texts(vec![Some("a"), Some("b"), None, Some("d")]);
    let ids = texts(vec![Some("P1"), None, Some("P3"), Some("")]);
    for rest in ["", ", encoding = 'base64url'", ", algorithm = 'sm4-gcm'"] {
        let spec = bound("", rest);
        let cells = treat_beside(&spec, &column, &[("id", Arc::clone(&ids))], 5);
        let mut opener = opener_of(&spec);
        let opened = opener.open_beside(&cells, &[Arc::clone(&ids)], &DataType::Utf8);
        assert_eq!(&opened.unwrap(), &column);
        // Each cell beside each row: what isn't null opens beside its own.
        for row in [0, 1, 3] {
            for other in 0..4 {
                let (cell, id) = (cells.slice(row, 1), ids.slice(other, 1));
                let opened = opener.open_beside(&cell, &[id], &DataType::Utf8);
                assert_eq!(opened.is_ok(), row == other, "{row} beside {other}");
            }
        }
        let refused = opener.open_column(&cells, &DataType::Utf8).unwrap_err();
        assert_eq!(refused.why, Unopenable::Bound);
        let (none, short): ([ArrayRef; 0], _) = ([], [ids.slice(0, 3)]);
        for missing in [none.as_slice(), short.as_slice()] {
            let refused = opener.open_beside(&cells, missing, &DataType::Utf8);
            assert_eq!(refused.unwrap_err().why, Unopenable::Bound);
        }
    }
}

#[test]
fn a_cell_that_is_bound_to_none_does_not_open_beside_a_row() {
    let column = texts(vec![Some("a")]);
    let cells = treat(SPEC, &column).array;
    let mut opener = opener_of(&bound("", ""));
    let refused = opener.open_beside(&cells, &[texts(vec![Some("P1")])], &DataType::Utf8);
    assert_eq!(refused.unwrap_err().why, Unopenable::Unbound);
    // What was delivered before the field was bound still opens, if nothing is said of its row.
    let opened = opener.open_column(&cells, &DataType::Utf8).unwrap();
    assert_eq!(&opened, &column);
}

#[test]
fn cells_of_another_attempt_do_not_open_where_one_is_asked_for() {
    let column = texts(vec![Some("a")]);
    let ids = texts(vec![Some("P1")]);
    let spec = bound("", "");
    let cells = |attempt| treat_beside(&spec, &column, &[("id", Arc::clone(&ids))], attempt);
    let mut opener = opener_of(&spec).of_attempt([5; 16]);
    let row = [Arc::clone(&ids)];
    let opened = opener.open_beside(&cells(5), &row, &DataType::Utf8);
    assert_eq!(&opened.unwrap(), &column);
    let refused = opener.open_beside(&cells(6), &row, &DataType::Utf8);
    assert_eq!(refused.unwrap_err().why, Unopenable::OtherAttempt);
}

#[test]
fn every_type_that_cells_are_bound_to_is_the_same_as_its_text() {
    let column = texts(vec![Some("a"), Some("b"), Some("c")]);
    let wide = LargeStringArray::from(vec![Some("张三"), None, Some("")]);
    let dictionary: DictionaryArray<Int32Type> = [Some("x"), None, Some("x")].into_iter().collect();
    let rows: [(ArrayRef, [Option<&str>; 3]); 6] = [
        (
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0)])),
            [Some("-9223372036854775808"), None, Some("0")],
        ),
        (
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(7)])),
            [Some("18446744073709551615"), None, Some("7")],
        ),
        (
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            [Some("true"), None, Some("false")],
        ),
        // The second has a sign, as deliveries write it.
        (
            Arc::new(Date32Array::from(vec![-1, 3_670_000, 20_484])),
            [Some("1969-12-31"), Some("+12018-02-13"), Some("2026-01-31")],
        ),
        (Arc::new(wide), [Some("张三"), None, Some("")]),
        (Arc::new(dictionary), [Some("x"), None, Some("x")]),
    ];
    for (fields, written) in rows {
        let is_text = matches!(
            fields.data_type(),
            DataType::LargeUtf8 | DataType::Dictionary(_, _)
        );
        let declared = if is_text {
            DataType::Utf8
        } else {
            fields.data_type().clone()
        };
        let spec = bound("", "");
        let known = [RowField {
            name: "id",
            data_type: &declared,
            category: CATEGORY,
        }];
        let field = Column {
            row: Row(&known),
            ..Column::alone("field", &DataType::Utf8, CATEGORY)
        };
        let inputs = [Arc::clone(&fields)];
        let context = Context {
            inputs: &inputs,
            chunk: Some(ID),
        };
        let built = spec.build(field, Some(&key())).unwrap();
        let cells = built.treat(&column, &context).unwrap().array;
        for row in [fields, texts(written.to_vec())] {
            let opened = opener_of(&spec).open_beside(&cells, &[row], &DataType::Utf8);
            assert_eq!(&opened.unwrap(), &column, "{declared}");
        }
    }
}

/// Policy may list fields in another order than the grant that was signed, and after it: that is no other
/// treatment, and leaves what was delivered before as it was.
#[test]
fn the_order_in_which_fields_are_listed_changes_nothing() {
    let listed = |list: &str| {
        spec(&format!(
            "{{ kind = 'encrypt-rand', domain = 'person.contact', beside = [{list}] }}"
        ))
    };
    let specs = [listed("'id', 'code'"), listed("'code', 'id'")];
    let column = texts(vec![Some("a")]);
    let (code, id) = (texts(vec![Some("1")]), texts(vec![Some("2")]));
    let row = [("code", Arc::clone(&code)), ("id", Arc::clone(&id))];
    let cells = specs
        .each_ref()
        .map(|spec| treat_beside(spec, &column, &row, 5));
    assert_eq!(&cells[0], &cells[1]);
    for (one, other) in [(0, 1), (1, 0)] {
        assert!(specs[one].meets(&specs[other]));
        assert_eq!(specs[one].bound_to(), ["code", "id"]);
        let mut opener = opener_of(&specs[other]);
        let rows = [Arc::clone(&code), Arc::clone(&id)];
        let opened = opener.open_beside(&cells[one], &rows, &DataType::Utf8);
        assert_eq!(&opened.unwrap(), &column);
        // The values of the row are another matter.
        let swapped = [Arc::clone(&id), Arc::clone(&code)];
        let refused = opener.open_beside(&cells[one], &swapped, &DataType::Utf8);
        assert_eq!(refused.unwrap_err().why, Unopenable::NotAuthentic);
    }
}

#[test]
fn a_treatment_that_is_not_told_its_row_encrypts_nothing() {
    let known = [RowField {
        name: "id",
        data_type: &DataType::Utf8,
        category: CATEGORY,
    }];
    let field = Column {
        row: Row(&known),
        ..Column::alone("field", &DataType::Utf8, CATEGORY)
    };
    let built = bound("", "").build(field, Some(&key())).unwrap();
    let column = texts(vec![Some("a")]);
    for inputs in [vec![], vec![texts(vec![Some("P1"), Some("P2")])]] {
        let context = Context {
            inputs: &inputs,
            chunk: Some(ID),
        };
        let refused = built.treat(&column, &context).unwrap_err();
        assert!(matches!(refused, TreatmentError::Arrow(_)));
    }
}

#[test]
fn fields_that_cells_cannot_be_bound_to_are_refused() {
    let decimals = DataType::Decimal128(12, 2);
    let types = [
        ("id", &DataType::Utf8),
        ("price", &decimals),
        ("ratio", &DataType::Float64),
        ("blob", &DataType::Binary),
    ];
    let known = types.map(|(name, data_type)| RowField {
        name,
        data_type,
        category: CATEGORY,
    });
    let field = Column {
        row: Row(&known),
        ..Column::alone("field", &DataType::Utf8, CATEGORY)
    };
    let many: Vec<String> = (0..9).map(|number| format!("'f{number}'")).collect();
    for (list, says) in [
        ("", "1 to 8"),
        (many.join(", ").as_str(), "1 to 8"),
        ("'id', 'id'", "twice"),
        ("'field'", "itself"),
        ("'nobody'", "doesn't have"),
        ("'price'", "Decimal128"),
        ("'id', 'ratio'", "Float64"),
        ("'blob'", "Binary"),
    ] {
        let text = format!("{{ kind = 'encrypt-rand', domain = 'd', beside = [{list}] }}");
        let refused = spec(&text).output_type(field).unwrap_err();
        assert_eq!(refused.parameter, Some("beside"), "{list}");
        assert!(refused.what.contains(says), "{list}: {}", refused.what);
    }
    assert!(bound("", "").output_type(field).is_ok());
}

#[test]
fn a_floor_that_binds_is_met_by_what_binds_to_as_much() {
    let plain = spec(SPEC);
    assert!(bound("", "").meets(&plain) && !plain.meets(&bound("", "")));
    assert!(bound(", 'code'", "").meets(&bound("", "")));
    assert!(!bound("", "").meets(&bound(", 'code'", "")));
    let of = |spec: &TreatmentSpec| serde_json::to_string(spec).unwrap();
    assert!(!of(&plain).contains("beside"), "as it was written before");
    assert!(of(&bound("", "")).contains(r#""beside":["id"]"#));
    assert_eq!(bound(", 'code'", "").bound_to(), ["code", "id"]);
    assert!(plain.bound_to().is_empty() && bound("", "").reveals().is_empty());
    let within = spec(
        "{ kind = 'when', condition = 'a = 1', else = { kind = 'null' }, \
         then = { kind = 'encrypt-rand', domain = 'd', beside = ['id'] } }",
    );
    assert_eq!(within.bound_to(), ["id"]);
}

#[test]
fn the_key_is_needed_and_never_shown() {
    let column = Column::alone("mobile", &DataType::Utf8, CATEGORY);
    let missing = spec(SPEC).build(column, None).unwrap_err();
    assert!(missing.what.contains("no key") && missing.hint.unwrap().contains("encryption"));
    let built = spec(SPEC).build(column, Some(&key())).unwrap();
    assert!(format!("{built:?}").contains("key: CellKey(..)"));
    assert!(format!("{:?}", opener(SPEC)).contains("CellOpener(..)"));
}
