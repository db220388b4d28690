use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int8Array, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;

use super::*;

fn fields() -> SchemaRef {
    Arc::new(Schema::new(
        [
            ("name", DataType::Utf8),
            ("状态", DataType::Utf8),
            ("income", DataType::Decimal128(12, 2)),
            ("wide", DataType::Decimal128(38, 10)),
            ("age", DataType::Int32),
            ("tiny", DataType::Int8),
            ("big", DataType::UInt64),
            ("weight", DataType::Float64),
            ("active", DataType::Boolean),
            ("born", DataType::Date32),
            ("seen", DataType::Timestamp(TimeUnit::Microsecond, None)),
            (
                "logged",
                DataType::Timestamp(TimeUnit::Second, Some("Asia/Shanghai".into())),
            ),
            ("blob", DataType::Binary),
        ]
        .map(|(name, data_type)| Field::new(name, data_type, true))
        .to_vec(),
    ))
}

#[expect(
    clippy::too_many_lines,
    reason = "one column of each type, value by value"
)]
fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "name",
            Arc::new(StringArray::from(vec![
                Some("张三"),
                Some("李四"),
                None,
                Some("a%b"),
            ])),
        ),
        (
            "状态",
            Arc::new(StringArray::from(vec![
                Some("active"),
                Some("gone"),
                Some("active"),
                None,
            ])),
        ),
        (
            "income",
            Arc::new(
                Decimal128Array::from(vec![Some(10), Some(11), None, Some(-5)])
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        (
            "wide",
            Arc::new(
                Decimal128Array::from(vec![Some(1_000_000_000), Some(1), None, Some(0)])
                    .with_precision_and_scale(38, 10)
                    .unwrap(),
            ),
        ),
        (
            "age",
            Arc::new(Int32Array::from(vec![
                Some(17),
                Some(18),
                None,
                Some(i32::MAX),
            ])),
        ),
        (
            "tiny",
            Arc::new(Int8Array::from(vec![Some(127), Some(-128), None, Some(0)])),
        ),
        (
            "big",
            Arc::new(UInt64Array::from(vec![
                Some(u64::MAX),
                Some(0),
                None,
                Some(1 << 60),
            ])),
        ),
        (
            "weight",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(f64::NAN),
                None,
                Some(2.5),
            ])),
        ),
        (
            "active",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ),
        (
            "born",
            Arc::new(Date32Array::from(vec![
                Some(0),
                Some(10_957),
                None,
                Some(20_000),
            ])),
        ),
        (
            "seen",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(0),
                Some(1_500_000),
                None,
                Some(-1),
            ])),
        ),
        (
            "logged",
            Arc::new(
                arrow::array::TimestampSecondArray::from(vec![
                    Some(0),
                    Some(28_800),
                    None,
                    Some(1),
                ])
                .with_timezone("Asia/Shanghai"),
            ),
        ),
        (
            "blob",
            Arc::new(arrow::array::BinaryArray::from_opt_vec(vec![
                Some(b"x"),
                None,
                None,
                None,
            ])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// The rows of [`batch`] for which the predicate is true.
fn rows(text: &str) -> Vec<usize> {
    rows_of(text, &batch())
}

fn rows_of(text: &str, batch: &RecordBatch) -> Vec<usize> {
    let predicate =
        Predicate::parse(text, &fields()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let result = predicate
        .physical(&batch.schema())
        .unwrap()
        .evaluate(batch)
        .unwrap();
    let result = result.into_array(batch.num_rows()).unwrap();
    let result = result.as_any().downcast_ref::<BooleanArray>().unwrap();
    (0..result.len())
        .filter(|row| result.is_valid(*row) && result.value(*row))
        .collect()
}

fn refusal(text: &str) -> PredicateError {
    Predicate::parse(text, &fields()).expect_err(text)
}

#[test]
fn the_language_means_what_sql_means() {
    let cases: &[(&str, &[usize])] = &[
        ("name = '张三'", &[0]),
        ("'张三' = name", &[0]),
        ("name <> '张三'", &[1, 3]),
        ("name != '张三'", &[1, 3]),
        ("NOT name = '张三'", &[1, 3]),
        ("name IS NULL", &[2]),
        ("name IS NOT NULL", &[0, 1, 3]),
        ("name = NULL", &[]),
        ("NULL", &[]),
        ("TRUE", &[0, 1, 2, 3]),
        ("NULL = NULL OR age = 17", &[0]),
        ("name IN ('张三', '李四')", &[0, 1]),
        ("name NOT IN ('张三')", &[1, 3]),
        ("name NOT IN ('张三', NULL)", &[]),
        ("name LIKE '张%'", &[0]),
        ("name LIKE 'a\\%b'", &[3]),
        ("name NOT LIKE '_三'", &[1, 3]),
        ("\"状态\" = 'active'", &[0, 2]),
        ("状态 = 'active' AND age < 18", &[0]),
        ("age = 17 OR age = 18 AND name = 'x'", &[0]),
        ("(age = 17 OR age = 18) AND name = '李四'", &[1]),
        ("age BETWEEN 17 AND 18", &[0, 1]),
        ("age NOT BETWEEN 18 AND 19", &[0, 3]),
        ("17 < age", &[1, 3]),
        ("age > 17.5", &[1, 3]),
        ("age < 9999999999", &[0, 1, 3]),
        ("age IN (17, 18.0, 9999999999)", &[0, 1]),
        ("tiny < 1000", &[0, 1, 3]),
        ("tiny + 1 = 128", &[0]),
        ("-tiny = 128", &[1]),
        ("- - 17 = age", &[0]),
        ("big > 18446744073709551614", &[0]),
        ("big > -1", &[0, 1, 3]),
        ("big > age", &[0, 3]),
        ("active", &[0, 3]),
        ("NOT active", &[1]),
        ("active = FALSE", &[1]),
        ("born >= DATE '2000-01-01'", &[1, 3]),
        ("born >= '2000-01-01'", &[1, 3]),
        ("born IN ('1970-01-01')", &[0]),
        ("seen > TIMESTAMP '1970-01-01 00:00:01.4'", &[1]),
        ("seen < DATE '1970-01-01'", &[3]),
        ("logged = TIMESTAMP '1970-01-01 08:00:00'", &[0]),
        ("logged = TIMESTAMP '1970-01-01T08:00:00Z'", &[1]),
        ("logged = '1970-01-01 08:00:01'", &[3]),
        ("blob IS NULL", &[1, 2, 3]),
        ("CAST(age AS utf8) = '17'", &[0]),
        ("CAST('17' AS int32) = age", &[0]),
        ("CAST(born AS timestamp(us)) = seen", &[0]),
        ("CAST(income AS decimal(12,1)) = 0.1", &[0, 1]),
        (
            "CAST(seen AS timestamp(s, Asia/Shanghai)) < logged",
            &[0, 1, 3],
        ),
        ("income * 2 = 0.2", &[0]),
        ("income / 2 = 0.05", &[0]),
        ("income + income = 0.22", &[1]),
        ("age / 2 = 8", &[0]),
        ("1 + 1 = 2", &[0, 1, 2, 3]),
        ("weight * 2 = 0.2", &[0]),
        ("weight > 2", &[1, 3]),
    ];
    for (text, expected) in cases {
        assert_eq!(rows(text), *expected, "{text}");
    }
}

#[test]
fn decimals_compare_exactly_with_any_constant() {
    assert_eq!(rows("income > 0.1"), [1]);
    assert_eq!(rows("income >= 0.10"), [0, 1]);
    assert!(rows("income = 0.1000000000000000000000000000000000001").is_empty());
    assert_eq!(
        rows("income > 0.0999999999999999999999999999999999999"),
        [0, 1]
    );
    assert_eq!(
        rows("income < 99999999999999999999999999999999999999"),
        [0, 1, 3]
    );
    assert_eq!(rows("wide = 0.1"), [0]);
    assert!(rows("wide = 0.000000000100000000000001").is_empty());
    assert_eq!(rows("wide = income"), [0]);
    assert_eq!(rows("income IN (0.1, 0.115, 0.11)"), [0, 1]);
}

#[test]
fn every_physical_form_of_text_gives_the_same_rows() {
    let values = vec![
        Some("张三"),
        None,
        Some("a long name that is not inlined in a view"),
    ];
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
            &StringArray::from(values),
            &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View)),
        )
        .unwrap(),
    ];
    for form in forms {
        let data_type = form.data_type().clone();
        let other: ArrayRef = Arc::new(StringArray::from(vec!["张三", "x", "y"]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("状态", other, true), ("name", form, true)])
                .unwrap();
        for (text, expected) in [
            ("name = '张三'", vec![0]),
            ("name IN ('张三', 'x')", vec![0]),
            ("name LIKE 'a long%view'", vec![2]),
            ("name = 状态", vec![0]),
            ("状态 < name", vec![]),
            ("name IS NULL", vec![1]),
            ("CAST(name AS utf8) <> ''", vec![0, 2]),
        ] {
            assert_eq!(rows_of(text, &batch), expected, "{text} over {data_type}");
        }
    }
}

/// One text for every way to leave the language.
const REFUSED: &[&str] = &[
    "",
    "  ",
    "name",
    "age",
    "1",
    "'text'",
    "random() > 0.5",
    "now() > born",
    "upper(name) = 'A'",
    "name ILIKE 'a%'",
    "name SIMILAR TO 'a'",
    "name ~ 'a'",
    "name LIKE 状态",
    "name LIKE 'a' ESCAPE '!'",
    "age LIKE '1%'",
    "name IN (SELECT name FROM t)",
    "EXISTS (SELECT 1)",
    "age IN ()",
    "age IN (tiny)",
    "age = $1",
    "age = ?",
    "age = @x",
    "age % 2 = 0",
    "name || 'x' = 'y'",
    "age::int64 = 1",
    "CASE WHEN active THEN TRUE END",
    "active IS TRUE",
    "age = 17; DROP TABLE t",
    "age = 17 -- all",
    "age = /* x */ 17",
    "t.age = 17",
    "`age` = 17",
    "age = 1e3",
    "age = 0x10",
    "age = 1L",
    "age = 1.2.3",
    "age = .",
    "age = +1",
    "age < 18 < 19",
    "age = 17 IS NULL",
    "age = 17 OR",
    "(age = 17",
    "age = 17)",
    "NOT",
    "name = 'open",
    "\"name = 1",
    "name = N'x'",
    "name = E'x'",
    "name = 5",
    "age = '17'",
    "age = active",
    "born = 5",
    "born = seen",
    "born = '2000-02-30'",
    "born = DATE '2000-2-1'",
    "seen = TIMESTAMP '2000-01-01 00:00:00Z'",
    "logged = TIMESTAMP '2000-01-01 00:00:00.5'",
    "seen = logged",
    "seen + 1 = seen",
    "blob = 'x'",
    "blob = blob",
    "name + 1 = 2",
    "CAST(age AS varchar) = 'x'",
    "CAST(age AS date) = born",
    "CAST('abc' AS int64) = age",
    "TRY_CAST(name AS int64) = 1",
    "age / 0 = 1 AND 1 / 0 = 1",
    "age = 999999999999999999999999999999999999999",
    "active AND age",
    "NOT age",
    "age BETWEEN 1",
    "INTERVAL '1' day = 1",
    "age = ALL (1)",
    "name COLLATE x = 'a'",
];

#[test]
fn what_is_not_in_the_list_is_refused() {
    for text in REFUSED {
        refusal(text);
    }
}

#[test]
fn what_holds_several_values_is_only_null_or_not() {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    let fields = Schema::new(
        ["tags", "more"]
            .map(|name| Field::new(name, list.clone(), true))
            .to_vec(),
    );
    let fields = Arc::new(fields);
    for text in ["tags IS NULL", "tags IS NOT NULL AND more IS NULL"] {
        Predicate::parse(text, &fields).unwrap();
    }
    for text in [
        "tags = 'a'",
        "tags = more",
        "tags < more",
        "tags IN ('a')",
        "tags BETWEEN 'a' AND 'b'",
        "tags LIKE 'a%'",
        "CAST(tags AS utf8) = 'a'",
        "CAST('a' AS list(utf8)) = tags",
        "tags + 1 = 2",
        "tags",
        "NOT tags",
    ] {
        let error = Predicate::parse(text, &fields).unwrap_err();
        assert_eq!(
            error.kind,
            PredicateErrorKind::NotAllowed,
            "{text}: {error}"
        );
    }
}

#[test]
fn errors_say_where_and_never_what() {
    let error = refusal("age = 17\n  AND secret('张三秘密', 4711)");
    assert_eq!((error.line, error.column), (2, 7));
    let error = refusal("age = 17 AND salary_x = '张三秘密'");
    assert_eq!(error.kind, PredicateErrorKind::FieldUnknown);
    assert_eq!((error.line, error.column), (1, 14));
    assert_eq!(
        refusal("nmae = 'x'").remedy,
        "did you mean `name`? text goes in single quotes"
    );
    for text in [
        "name = 张三秘密",
        "name = \"张三秘密\"",
        "张三秘密() = 1",
        "age = '张三秘密'",
        "born = '张三秘密'",
        "CAST('张三秘密' AS int64) = 1",
        "CAST(age AS 张三秘密) = 1",
        "'张三秘密' 张三秘密",
        "name LIKE 张三秘密",
        "name = '张三秘密",
        "name = $张三秘密$x",
        "name = {张三秘密}",
    ] {
        let error = refusal(text);
        assert!(
            !format!("{error} {error:?}").contains("张三秘密"),
            "{text}: {error}"
        );
    }
    let predicate = Predicate::parse("name = '张三秘密'", &fields()).unwrap();
    assert!(!format!("{predicate:?}").contains("张三秘密"));
}

#[test]
fn limits_hold() {
    let chain = |count: usize| vec!["age = 1"; count].join(" OR ");
    // Each comparison is three nodes, each OR one.
    assert!(Predicate::parse(&chain(50), &fields()).is_ok());
    assert!(refusal(&chain(51)).what.contains("more than 200"));
    let nested = |depth: usize| format!("{}active{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Predicate::parse(&nested(60), &fields()).is_ok());
    assert!(refusal(&nested(100_000 / 2 - 100)).what.contains("bytes"));
    assert!(refusal(&nested(30_000)).what.contains("nested"));
    assert!(
        refusal(&format!("{}active", "NOT ".repeat(10_000)))
            .what
            .contains("nested")
    );
    assert!(
        refusal(&format!("age = {}1", "- ".repeat(10_000)))
            .what
            .contains("nested")
    );
    assert!(
        refusal(&format!("name = '{}'", "x".repeat(TEXT_BYTES_MAX)))
            .what
            .contains("bytes")
    );
}

#[test]
fn fields_read_are_named() {
    let text = "name LIKE 'x%' OR (age BETWEEN 1 AND tiny AND NOT CAST(born AS utf8) IS NULL)";
    let predicate = Predicate::parse(text, &fields()).unwrap();
    let names: Vec<_> = predicate.fields().into_iter().collect();
    assert_eq!(names, ["age", "born", "name", "tiny"]);
}

#[test]
fn a_schema_without_the_field_or_with_another_type_is_refused() {
    let predicate = Predicate::parse("age = 17", &fields()).unwrap();
    let schema =
        |name: &str, data_type| Arc::new(Schema::new(vec![Field::new(name, data_type, true)]));
    assert_eq!(
        predicate
            .physical(&schema("Age", DataType::Int32))
            .unwrap_err(),
        BindError::Missing("age".to_owned())
    );
    let narrowed = predicate
        .physical(&schema("age", DataType::Int64))
        .unwrap_err();
    assert!(matches!(narrowed, BindError::Type { .. }));
}

#[test]
fn overflow_is_an_error_and_not_a_wrap() {
    let text = "age * 9000000000000000000 > 0";
    let predicate = Predicate::parse(text, &fields()).unwrap();
    assert!(
        predicate
            .physical(&batch().schema())
            .unwrap()
            .evaluate(&batch())
            .is_err()
    );
    let predicate = Predicate::parse("CAST(age AS int8) > 0", &fields()).unwrap();
    assert!(
        predicate
            .physical(&batch().schema())
            .unwrap()
            .evaluate(&batch())
            .is_err()
    );
    let overflow = Predicate::parse("-tiny > 0 AND - (tiny - 128) > 0", &fields()).unwrap();
    assert!(
        overflow
            .physical(&batch().schema())
            .unwrap()
            .evaluate(&batch())
            .is_ok()
    );
    let all: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN]));
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![all]).unwrap();
    let predicate = Predicate::parse("-x > 0", &schema).unwrap();
    assert!(
        predicate
            .physical(&schema)
            .unwrap()
            .evaluate(&batch)
            .is_err()
    );
}

#[test]
fn pruning_leaves_out_what_statistics_decide_otherwise() {
    let hint = |text: &str| {
        let predicate = Predicate::parse(text, &fields()).unwrap();
        predicate
            .pruning(&fields())
            .unwrap()
            .map(|hint| hint.to_string())
    };
    assert!(hint("weight > 2").is_none());
    assert!(hint("age / tiny > 2").is_none());
    assert!(hint("CAST(name AS int64) > 2").is_none());
    let kept = hint("weight > 2 AND age > 2 AND age / tiny > 1").unwrap();
    assert!(
        kept.contains("age@4 > 2") && !kept.contains("weight") && !kept.contains("tiny"),
        "{kept}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC{0,60}") {
        drop(Predicate::parse(&text, &fields()));
    }

    #[test]
    fn any_words_of_the_language_parse_or_are_refused_and_evaluate_or_fail(words in prop::collection::vec(
        prop::sample::select(vec![
            "age", "name", "income", "wide", "weight", "active", "born", "seen", "logged", "blob",
            "big", "tiny", "AND", "OR", "NOT", "IN", "(", ")", ",", "BETWEEN", "IS", "NULL", "LIKE",
            "=", "<>", "<", ">=", "+", "-", "*", "/", "1", "0", "0.1", "'a%'", "''", "TRUE",
            "99999999999999999999999999999999999999", "DATE '2026-01-31'", "CAST(", "AS", "int8",
            "decimal(38,38)", "date", "utf8", "TIMESTAMP '2026-01-31 08:00:00'", "timestamp(ns)",
        ]), 1..14)) {
        let text = words.join(" ");
        if let Ok(predicate) = Predicate::parse(&text, &fields()) {
            let physical = predicate.physical(&batch().schema()).unwrap();
            drop(physical.evaluate(&batch()));
            drop(predicate.pruning(&fields()).unwrap());
        }
    }
}
