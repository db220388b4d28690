use arrow::array::{
    Array, AsArray, Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, PrimitiveArray, UInt64Array,
};
use arrow::datatypes::{
    Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::number::column::testing::{apply, misfit, texts, treat, written};
use crate::options::Scalar;

#[test]
fn a_width_gives_half_open_intervals() {
    let array = Int64Array::from(vec![Some(1000), Some(1999), Some(2000), Some(-1), None]);
    let labels = treat::<Bucket>(json!({ "width": "1000" }), array.clone());
    let expected = [
        Some("[1000,2000)"),
        Some("[1000,2000)"),
        Some("[2000,3000)"),
        Some("[-1000,0)"),
        None,
    ];
    assert_eq!(texts(&labels), expected);
    let lower = treat::<Bucket>(json!({ "width": "1000", "as": "lower" }), array.clone());
    let expected = Int64Array::from(vec![Some(1000), Some(1000), Some(2000), Some(-1000), None]);
    assert_eq!(lower.as_primitive::<Int64Type>(), &expected);
    let shifted = treat::<Bucket>(json!({ "width": "1000", "origin": "500" }), array);
    assert_eq!(texts(&shifted)[0], Some("[500,1500)"));
}

#[test]
fn intervals_between_edges_have_the_labels_given() {
    let table = json!({ "edges": ["0", "60"], "labels": ["负", "低", "高"] });
    let whole = treat::<Bucket>(table.clone(), Int32Array::from(vec![-5, 0, 59, 60]));
    assert_eq!(texts(&whole), ["负", "低", "低", "高"].map(Some));
    let floats = treat::<Bucket>(
        table.clone(),
        Float64Array::from(vec![-0.5, 59.9, f64::NAN]),
    );
    assert_eq!(texts(&floats), [Some("负"), Some("低"), None]);
    let bucket: Bucket = written(table);
    let width = bucket.width_with(&DataType::Int32, &Options::default());
    assert_eq!(
        width.map(|width| (width.bytes, width.strict)),
        Some((3, true))
    );
    let plain = written::<Bucket>(json!({ "edges": ["0", "60"] }));
    assert!(bucket.at_least(&plain) && plain.at_least(&bucket));
    let long = "长".repeat(67);
    for table in [
        json!({ "edges": ["0"], "labels": ["a"] }),
        json!({ "edges": ["0"], "labels": ["a", "b", "c"] }),
        json!({ "edges": ["0"], "labels": ["a", "a"] }),
        json!({ "edges": ["0"], "labels": ["a", " "] }),
        json!({ "edges": ["0"], "labels": ["a", long] }),
        json!({ "edges": ["0"], "labels": ["a", "b"], "as": "lower" }),
        json!({ "width": "10", "labels": ["a", "b"] }),
    ] {
        let refused = misfit::<Bucket>(table.clone(), &DataType::Int32);
        assert_eq!(refused.parameter, Some("labels"), "{table}");
    }
}

#[test]
fn edges_give_an_interval_below_and_one_above() {
    let array = Int32Array::from(vec![-5, 0, 17, 18, 60, i32::MAX]);
    let table = json!({ "edges": ["0", "18", "60"] });
    let labels = treat::<Bucket>(table, array.clone());
    let expected = ["<0", "[0,18)", "[0,18)", "[18,60)", ">=60", ">=60"].map(Some);
    assert_eq!(texts(&labels), expected);
    let bucket: Bucket = written(json!({ "edges": ["0", "18", "60"], "as": "lower" }));
    let lower = apply(&bucket, &Options::default(), array).unwrap();
    let expected = Int32Array::from(vec![None, Some(0), Some(0), Some(18), Some(60), Some(60)]);
    assert_eq!(lower.array.as_primitive::<Int32Type>(), &expected);
    assert_eq!(lower.counts.invalid, 1);
}

#[test]
fn labels_print_numbers_in_their_shortest_form() {
    let array = Decimal128Array::from(vec![1234, 50, -1])
        .with_precision_and_scale(12, 2)
        .unwrap();
    let labels = treat::<Bucket>(json!({ "width": "2.50" }), array.clone());
    assert_eq!(
        texts(&labels),
        [Some("[10,12.5)"), Some("[0,2.5)"), Some("[-2.5,0)")]
    );
    let lower = treat::<Bucket>(json!({ "width": "2.50", "as": "lower" }), array);
    assert_eq!(
        &lower.as_primitive::<Decimal128Type>().values()[..],
        [1000, 0, -250]
    );
    let floats = Float64Array::from(vec![0.3, 1e6, -0.05]);
    let labels = treat::<Bucket>(json!({ "width": "0.1" }), floats);
    assert_eq!(
        texts(&labels),
        [
            Some("[0.3,0.4)"),
            Some("[1000000,1000000.1)"),
            Some("[-0.1,0)")
        ]
    );
    let edges = json!({ "edges": ["0.50", "1000000"] });
    let labels = treat::<Bucket>(edges, Float32Array::from(vec![0.49, 0.5, 1e6]));
    assert_eq!(
        texts(&labels),
        [Some("<0.5"), Some("[0.5,1000000)"), Some(">=1000000")]
    );
}

#[test]
fn more_edges_than_can_be_read_are_refused_at_check() {
    let listed = |count: i64| -> Bucket {
        let edges: Vec<String> = (0..count).map(|edge| edge.to_string()).collect();
        written(json!({ "edges": edges }))
    };
    let column = Column::alone("x", &DataType::Int64, "x");
    assert!(listed(1_000).output_type(column).is_ok());
    let misfit = listed(1_001).output_type(column).unwrap_err();
    assert_eq!(misfit.parameter, Some("edges"));
}

#[test]
fn floats_that_are_not_finite_are_invalid() {
    let array = Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0]);
    for table in [
        json!({ "width": "10" }),
        json!({ "width": "10", "as": "lower" }),
        json!({ "edges": ["0"] }),
        json!({ "edges": ["0"], "as": "lower" }),
    ] {
        assert_eq!(treat::<Bucket>(table, array.clone()).null_count(), 3);
    }
}

#[test]
fn extremes_have_labels_and_lower_bounds_only_where_they_fit() {
    let array = Int64Array::from(vec![i64::MIN, i64::MAX]);
    let labels = treat::<Bucket>(json!({ "width": "1000" }), array.clone());
    let expected = [
        Some("[-9223372036854776000,-9223372036854775000)"),
        Some("[9223372036854775000,9223372036854776000)"),
    ];
    assert_eq!(texts(&labels), expected);
    let lower = treat::<Bucket>(json!({ "width": "1000", "as": "lower" }), array);
    assert!(lower.is_null(0) && lower.is_valid(1));
    let unsigned = UInt64Array::from(vec![u64::MAX]);
    let labels = treat::<Bucket>(json!({ "width": "10" }), unsigned);
    assert_eq!(
        texts(&labels),
        [Some("[18446744073709551610,18446744073709551620)")]
    );
    let small = treat::<Bucket>(json!({ "width": "1000" }), Int8Array::from(vec![-128]));
    assert_eq!(texts(&small), [Some("[-1000,0)")]);
}

#[test]
fn extremes_of_every_type_do_not_overflow() {
    fn both<T: ArrowPrimitiveType>(least: T::Native, greatest: T::Native) {
        let huge = "99999999999999999999999999999999999999";
        for table in [
            json!({ "width": "3" }),
            json!({ "width": "3", "as": "lower" }),
            json!({ "width": huge, "origin": format!("-{huge}") }),
            json!({ "width": huge, "origin": huge, "as": "lower" }),
            json!({ "edges": [format!("-{huge}"), "0", huge] }),
            json!({ "edges": [format!("-{huge}"), "0", huge], "as": "lower" }),
        ] {
            let array = PrimitiveArray::<T>::from_iter_values([least, greatest]);
            assert_eq!(treat::<Bucket>(table, array).len(), 2);
        }
    }
    both::<Int8Type>(i8::MIN, i8::MAX);
    both::<Int16Type>(i16::MIN, i16::MAX);
    both::<Int32Type>(i32::MIN, i32::MAX);
    both::<Int64Type>(i64::MIN, i64::MAX);
    both::<UInt8Type>(u8::MIN, u8::MAX);
    both::<UInt16Type>(u16::MIN, u16::MAX);
    both::<UInt32Type>(u32::MIN, u32::MAX);
    both::<UInt64Type>(u64::MIN, u64::MAX);
    both::<Float32Type>(f32::MIN, f32::MAX);
    both::<Float64Type>(f64::MIN, f64::MAX);
    let wild = Decimal256Array::from(vec![i256::MIN, i256::MAX]);
    let wild = wild.with_precision_and_scale(76, 2).unwrap();
    for shown in ["label", "lower"] {
        let table = json!({ "width": "0.1", "origin": "0.05", "as": shown });
        assert_eq!(treat::<Bucket>(table, wild.clone()).len(), 2);
    }
    let wild = Decimal128Array::from(vec![i128::MIN, i128::MAX]);
    let wild = wild.with_precision_and_scale(38, 2).unwrap();
    let lower = treat::<Bucket>(json!({ "width": "0.1", "as": "lower" }), wild);
    assert_eq!(lower.null_count(), 2);
}

#[test]
fn sentinels_are_kept_only_if_listed() {
    let options = Options {
        sentinels: vec![Scalar::Integer(-1)],
        ..Options::default()
    };
    let array = Int32Array::from(vec![-1, -2]);
    let label: Bucket = written(json!({ "width": "10" }));
    let treated = apply(&label, &options, array.clone()).unwrap();
    assert_eq!(texts(&treated.array), [Some("-1"), Some("[-10,0)")]);
    let lower: Bucket = written(json!({ "width": "10", "as": "lower" }));
    let treated = apply(&lower, &options, array).unwrap();
    assert_eq!(
        &treated.array.as_primitive::<Int32Type>().values()[..],
        [-1, -10]
    );
}

#[test]
fn parameters_that_do_not_fit_are_misfits() {
    let decimal = DataType::Decimal128(12, 2);
    for (table, data_type, parameter) in [
        (json!({}), &DataType::Int32, "width"),
        (
            json!({ "width": "10", "edges": ["1"] }),
            &DataType::Int32,
            "edges",
        ),
        (json!({ "width": "0" }), &DataType::Float64, "width"),
        (json!({ "width": "-1" }), &DataType::Int32, "width"),
        (json!({ "width": "1" }), &DataType::Int32, "width"),
        (json!({ "width": "2.5" }), &DataType::Int32, "width"),
        (
            json!({ "width": "10", "origin": "0.5" }),
            &DataType::Int32,
            "origin",
        ),
        (json!({ "width": "0.01" }), &decimal, "width"),
        (json!({ "width": "0.0000001" }), &DataType::Float32, "width"),
        (json!({ "edges": [] }), &DataType::Int32, "edges"),
        (json!({ "edges": ["5", "5"] }), &DataType::Float32, "edges"),
        (json!({ "edges": ["5", "1"] }), &decimal, "edges"),
        (json!({ "edges": ["0.001"] }), &decimal, "edges"),
        (json!({ "edges": ["5"], "origin": "1" }), &decimal, "origin"),
    ] {
        let misfit = misfit::<Bucket>(table.clone(), data_type);
        assert_eq!(misfit.parameter, Some(parameter), "{table} {data_type}");
    }
    for data_type in [DataType::Utf8, DataType::Date32, DataType::Boolean] {
        assert_eq!(
            misfit::<Bucket>(json!({ "width": "10" }), &data_type).parameter,
            None
        );
    }
}

#[test]
fn coarser_intervals_reveal_no_more() {
    let bucket = |table: Value| written::<Bucket>(table);
    let floor = bucket(json!({ "width": "100" }));
    for (table, meets) in [
        (json!({ "width": "100", "as": "lower" }), true),
        (json!({ "width": "300" }), true),
        (json!({ "width": "50" }), false),
        (json!({ "width": "150" }), false),
        (json!({ "width": "200", "origin": "50" }), false),
        (json!({ "width": "200", "origin": "100" }), true),
        (json!({ "edges": ["0", "500"] }), true),
        (json!({ "edges": ["0", "550"] }), false),
        (json!({ "width": "0" }), false),
    ] {
        assert_eq!(bucket(table.clone()).at_least(&floor), meets, "{table}");
    }
    let floor = bucket(json!({ "edges": ["0", "10", "20.0"] }));
    assert!(bucket(json!({ "edges": ["10", "20"] })).at_least(&floor));
    assert!(!bucket(json!({ "edges": ["10", "15"] })).at_least(&floor));
    assert!(!bucket(json!({ "width": "10" })).at_least(&floor));
}

#[test]
fn what_is_written_spells_out_its_defaults() {
    let bucket = written::<Bucket>(json!({ "width": "10.0" }));
    let expected = json!({ "width": "10", "origin": "0", "as": "label" });
    assert_eq!(serde_json::to_value(&bucket).unwrap(), expected);
    for table in [
        json!({ "width": 10 }),
        json!({ "width": "1", "like": "label" }),
    ] {
        assert!(serde_json::from_value::<Bucket>(table).is_err());
    }
}

/// The bounds that a label names.
fn bounds(label: &str) -> (i128, i128) {
    let (lower, upper) = label.trim_matches(['[', ')']).split_once(',').unwrap();
    (lower.parse().unwrap(), upper.parse().unwrap())
}

#[test]
fn any_value_of_an_interval_is_its_lower_bound_until_it_is_marked() {
    let table = |shown: &str| json!({ "width": "10", "origin": "5", "as": shown });
    let values = Int64Array::from(vec![3, 5, 14, 15, -1]);
    let treated = |shown| treat::<Bucket>(table(shown), values.clone());
    assert_eq!(&treated("any"), &treated("lower"));
    let (any, lower): (Bucket, Bucket) = (written(table("any")), written(table("lower")));
    let lent = Freedom::Interval {
        width: "10".parse().unwrap(),
        origin: "5".parse().unwrap(),
    };
    assert_eq!(any.freedom(&DataType::Int64), Some(lent));
    assert_eq!((any.lends(), lower.lends()), (Some("as"), None));
    assert_eq!(lower.freedom(&DataType::Int64), None);
    assert!(any.at_least(&lower) && lower.at_least(&any));
    for (table, data_type) in [
        (table("any"), DataType::Float64),
        (json!({ "edges": ["0"], "as": "any" }), DataType::Int64),
    ] {
        let refused = misfit::<Bucket>(table, &data_type);
        assert_eq!(refused.parameter, Some("as"));
        assert!(refused.hint.is_some());
    }
}

proptest! {
    #[test]
    fn an_interval_contains_its_value(values: Vec<i64>, width in 2_i64.., origin: i64) {
        let table = json!({ "width": width.to_string(), "origin": origin.to_string() });
        let labels = treat::<Bucket>(table, Int64Array::from(values.clone()));
        for (label, value) in texts(&labels).into_iter().zip(values) {
            let (lower, upper) = bounds(label.unwrap());
            prop_assert!(lower <= i128::from(value) && i128::from(value) < upper);
            prop_assert_eq!(upper - lower, i128::from(width));
        }
    }

    #[test]
    fn the_lower_bound_of_a_lower_bound_is_itself(values: Vec<i32>, width in 2_u32..1_000_000) {
        let table = json!({ "width": width.to_string(), "as": "lower" });
        let once = treat::<Bucket>(table.clone(), Int32Array::from(values));
        let twice = treat::<Bucket>(table, once.as_primitive::<Int32Type>().clone());
        prop_assert_eq!(&once, &twice);
    }

    #[test]
    fn edges_put_every_value_where_it_belongs(
        values: Vec<i64>,
        edges in prop::collection::btree_set(-1000_i64..1000, 1..20),
    ) {
        let written: Vec<String> = edges.iter().map(i64::to_string).collect();
        let lower = treat::<Bucket>(
            json!({ "edges": written, "as": "lower" }),
            Int64Array::from(values.clone()),
        );
        for (lower, value) in lower.as_primitive::<Int64Type>().iter().zip(values) {
            prop_assert_eq!(lower, edges.range(..=value).next_back().copied());
        }
    }
}
