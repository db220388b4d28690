use std::collections::HashSet;

use arrow::array::{
    Array, AsArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float64Array, Int16Array, Int64Array, LargeBinaryArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;

use super::*;
use crate::error::{Case, NotOpened, Unopenable};
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
            .open(treated.array.as_binary::<i32>().value(0), &mut plaintext)
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

#[test]
fn the_key_is_needed_and_never_shown() {
    let column = Column::alone("mobile", &DataType::Utf8, CATEGORY);
    let missing = spec(SPEC).build(column, None).unwrap_err();
    assert!(missing.what.contains("no key") && missing.hint.unwrap().contains("encryption"));
    let built = spec(SPEC).build(column, Some(&key())).unwrap();
    assert!(format!("{built:?}").contains("key: CellKey(..)"));
    assert!(format!("{:?}", opener(SPEC)).contains("CellOpener(..)"));
}
