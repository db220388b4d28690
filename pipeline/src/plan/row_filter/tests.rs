use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use proptest::prelude::*;

use super::*;

fn fields() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("code", DataType::Utf8, true),
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
        Field::new("unused", DataType::Int64, true),
    ]))
}

fn scope(predicate: Option<&str>, divisions: &[&str]) -> RowScope {
    RowScope {
        predicate: predicate.map(str::to_owned),
        division_field: Some("code".to_owned()),
        divisions: divisions
            .iter()
            .map(|digits| (*digits).to_owned())
            .collect(),
    }
}

fn filter(predicate: Option<&str>, divisions: &[&str]) -> RowFilter {
    RowFilter::new(&scope(predicate, divisions), &fields()).unwrap()
}

fn text(values: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn integers(values: impl Into<Int64Array>) -> ArrayRef {
    Arc::new(values.into())
}

fn codes(codes: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("code", codes, true)]).unwrap()
}

fn pairs(pairs: &[(i64, i64)]) -> RecordBatch {
    let column = |pick: fn(&(i64, i64)) -> i64| -> ArrayRef {
        Arc::new(pairs.iter().map(pick).map(Some).collect::<Int64Array>())
    };
    let codes = vec!["330106"; pairs.len()];
    RecordBatch::try_from_iter_with_nullable([
        ("b", column(|pair| pair.1), true),
        ("code", text(codes), true),
        ("a", column(|pair| pair.0), true),
    ])
    .unwrap()
}

fn passed(mask: &BooleanArray) -> Vec<usize> {
    assert_eq!(mask.null_count(), 0);
    mask.values().set_indices().collect()
}

#[test]
fn divisions_pass_well_formed_codes_of_the_prefix_in_every_form_of_text() {
    let values = vec![
        Some("330106"),
        Some("33"),
        Some("340000"),
        None,
        Some(""),
        Some("3"),
        Some("33 106"),
        Some("3301061"),
        Some("330106001002"),
        Some("3301060010023"),
        Some("33010６"),
        Some("x30106"),
        Some("33:106"),
        Some("33/106"),
        Some("330106001002 and then a long tail"),
        Some("３３"),
        Some("33\0"),
    ];
    let expected = [0, 1, 7, 8];
    let forms: [ArrayRef; 5] = [
        Arc::new(StringArray::from(values.clone())),
        Arc::new(LargeStringArray::from(values.clone())),
        Arc::new(StringViewArray::from(values.clone())),
        Arc::new(
            values
                .iter()
                .copied()
                .collect::<DictionaryArray<Int32Type>>(),
        ),
        arrow::compute::cast(
            &StringArray::from(values.clone()),
            &DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8View)),
        )
        .unwrap(),
    ];
    for form in forms {
        let data_type = form.data_type().clone();
        for divisions in [&["33"][..], &["33", "3301"], &["35", "33", "90"]] {
            let mask = filter(None, divisions)
                .evaluate(&codes(Arc::clone(&form)))
                .unwrap();
            assert_eq!(passed(&mask), expected, "{data_type} {divisions:?}");
        }
        // A slice must not look at what lies before it.
        let slice = codes(form).slice(7, 3);
        assert_eq!(
            passed(&filter(None, &["33"]).evaluate(&slice).unwrap()),
            [0, 1],
            "{data_type}"
        );
    }
}

#[test]
fn a_dictionary_without_values_passes_nothing() {
    let empty: DictionaryArray<Int32Type> = vec![None::<&str>, None].into_iter().collect();
    let mask = filter(None, &["33"])
        .evaluate(&codes(Arc::new(empty)))
        .unwrap();
    assert!(passed(&mask).is_empty());
}

#[test]
fn absent_divisions_and_predicate_pass_all() {
    let filter = filter(None, &[]);
    assert!(filter.passes_all());
    assert!(filter.columns().is_empty());
    assert!(filter.pruning(&fields()).is_none());
    assert_eq!(
        passed(&filter.evaluate(&pairs(&[(1, 2), (3, 4)])).unwrap()),
        [0, 1]
    );
}

#[test]
fn malformed_scopes_are_refused() {
    for divisions in [
        &[""][..],
        &["3"],
        &["33", "3x"],
        &["1234567890123"],
        &["３３"],
    ] {
        let error = RowFilter::new(&scope(None, divisions), &fields()).unwrap_err();
        assert!(matches!(error, RowFilterError::Prefix { .. }));
    }
    for field in ["a", "gone"] {
        let scope = RowScope {
            division_field: Some(field.to_owned()),
            ..scope(None, &["33"])
        };
        let error = RowFilter::new(&scope, &fields()).unwrap_err();
        assert!(matches!(error, RowFilterError::Division { .. }));
    }
    assert!(
        filter(Some("a = 1"), &["33"])
            .evaluate(&codes(Arc::new(Int64Array::from(vec![1]))))
            .is_err()
    );
}

#[test]
fn predicate_and_divisions_are_both_needed() {
    let filter = filter(Some("a > 1"), &["33"]);
    assert_eq!(
        filter.columns().into_iter().collect::<Vec<_>>(),
        ["a", "code"]
    );
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("code", text(vec!["33", "33", "34", "x"]), true),
        ("a", integers(vec![Some(2), None, Some(2), Some(2)]), true),
    ])
    .unwrap();
    assert_eq!(passed(&filter.evaluate(&batch).unwrap()), [0]);
    let hint = filter.pruning(&fields()).unwrap().to_string();
    assert!(
        hint.contains("a@1 > 1") && hint.contains("code@0 >= 33 AND code@0 < 34"),
        "{hint}"
    );
}

#[test]
fn a_guard_keeps_a_row_from_failing_whatever_the_batch() {
    let guarded = filter(Some("b <> 0 AND a / b > 1"), &[]);
    let mixed = pairs(&[(4, 2), (1, 0), (4, 0), (9, 3), (1, 1)]);
    assert_eq!(passed(&guarded.evaluate(&mixed).unwrap()), [0, 3]);
    let either = filter(Some("b = 0 OR a / b > 1"), &[]);
    assert_eq!(passed(&either.evaluate(&mixed).unwrap()), [0, 1, 2, 3]);
    let behind = filter(Some("a / b > 1 AND b <> 0"), &[]);
    assert_eq!(
        behind.evaluate(&mixed).unwrap_err(),
        RowFilterError::NoValue { row: 1 }
    );
}

#[test]
fn rows_of_other_divisions_cannot_fail_a_run() {
    let filter = filter(Some("a / b > 1"), &["33"]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("code", text(vec!["34", "33", "33"]), true),
        ("a", integers(vec![1, 4, 1]), true),
        ("b", integers(vec![0, 2, 1]), true),
    ])
    .unwrap();
    assert_eq!(passed(&filter.evaluate(&batch).unwrap()), [1]);
    assert!(filter.evaluate(&batch.slice(0, 0)).is_ok());
}

#[test]
fn another_schema_in_a_later_batch_is_bound_anew() {
    let filter = filter(Some("a = 1"), &["33"]);
    assert_eq!(passed(&filter.evaluate(&pairs(&[(1, 0)])).unwrap()), [0]);
    let views: ArrayRef = Arc::new(StringViewArray::from(vec!["33", "33"]));
    let other = RecordBatch::try_from_iter_with_nullable([
        ("a", integers(vec![2, 1]), true),
        ("code", views, true),
    ])
    .unwrap();
    assert_eq!(passed(&filter.evaluate(&other).unwrap()), [1]);
}

#[test]
fn debug_and_errors_show_no_constant() {
    let filter = filter(Some("a / 4711 > b / 0.0"), &[]);
    let error = filter.evaluate(&pairs(&[(1, 815)])).unwrap_err();
    let shown = format!(
        "{filter:?} {error} {error:?} {:?}",
        scope(Some("a = 4711"), &[])
    );
    assert!(!shown.contains("4711") && !shown.contains("815"), "{shown}");
}

proptest! {
    #[test]
    fn divisions_agree_with_their_definition(
        codes in prop::collection::vec(prop::option::of("[01]{0,13}|[0-9]{0,13}|[0-9/:x ]{1,6}"), 0..40),
        divisions in prop::collection::vec("[01]{2,4}|[0-9]{2,4}", 1..12),
    ) {
        let expected: Vec<bool> = codes.iter().map(|code| code.as_deref().is_some_and(|code| {
            (2..=12).contains(&code.len())
                && code.bytes().all(|byte| byte.is_ascii_digit())
                && divisions.iter().any(|digits| code.starts_with(digits))
        })).collect();
        let scope = RowScope { divisions, ..scope(None, &[]) };
        let filter = RowFilter::new(&scope, &fields()).unwrap();
        let plain: ArrayRef = Arc::new(StringArray::from(codes.clone()));
        let views: ArrayRef = Arc::new(StringViewArray::from_iter(codes));
        for form in [plain, views] {
            let mask = filter.evaluate(&self::codes(form)).unwrap();
            prop_assert_eq!(mask.values().iter().collect::<Vec<_>>(), expected.clone());
        }
    }

    #[test]
    fn rows_do_not_depend_on_how_they_are_cut(
        pairs in prop::collection::vec((-3_i64..4, -1_i64..3), 1..30),
        cut in 0_usize..30,
    ) {
        let filter = filter(Some("b > 0 AND a / b >= 1 OR b = 0 AND a > 2"), &["33"]);
        let batch = self::pairs(&pairs);
        let whole = passed(&filter.evaluate(&batch).unwrap());
        let cut = cut.min(pairs.len());
        let mut parts = passed(&filter.evaluate(&batch.slice(0, cut)).unwrap());
        let rest = passed(&filter.evaluate(&batch.slice(cut, pairs.len() - cut)).unwrap());
        parts.extend(rest.into_iter().map(|row| row + cut));
        prop_assert_eq!(whole, parts);
    }
}
