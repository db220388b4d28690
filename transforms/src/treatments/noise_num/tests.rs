use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, Int8Array, Int64Array,
    UInt64Array,
};
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int64Type, UInt64Type};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::number::column::testing::written;
use crate::number::drawn::testing::{misfit, treat};
use crate::options::Scalar;

mod marks;

fn table(distribution: &str, scale: &str) -> Value {
    json!({ "domain": "d", "distribution": distribution, "scale": scale })
}

fn by(mut table: Value) -> Value {
    table["by"] = json!("who");
    table
}

fn integers(table: Value, values: Vec<i64>, who: &[Option<&str>]) -> Vec<Option<i64>> {
    let treated = treat::<NoiseNum>(table, &Options::default(), Int64Array::from(values), who);
    treated.array.as_primitive::<Int64Type>().iter().collect()
}

const DISTRIBUTIONS: [&str; 3] = ["uniform", "laplace", "gaussian"];

#[test]
fn repeated_deliveries_get_the_same_noise() {
    for distribution in DISTRIBUTIONS {
        let table = by(table(distribution, "1000"));
        let once = integers(
            table.clone(),
            vec![5, 5, 6],
            &[Some("a"), Some("b"), Some("a")],
        );
        let again = integers(table, vec![6, 5, 5], &[Some("a"), Some("a"), Some("b")]);
        assert_eq!(once, [again[1], again[2], again[0]], "{distribution}");
        assert!(once[0] != once[1] && once[0] != once[2], "{distribution}");
    }
}

#[test]
fn another_key_gives_other_noise() {
    let noise: NoiseNum = written(table("uniform", "1000000000"));
    let column = Column::alone("x", &DataType::Int64, "x");
    let array: ArrayRef = std::sync::Arc::new(Int64Array::from((0..50).collect::<Vec<_>>()));
    let of_scope = |scope: &str| {
        let key = DerivedKey::derive(&[7; 32], "pseudonym", "d", scope, 1);
        let built = noise
            .build(column, &Options::default(), Some(&key))
            .unwrap();
        built.apply(&array).unwrap().array
    };
    let (one, two) = (of_scope("grant:G-1"), of_scope("grant:G-2"));
    assert_eq!(&one, &of_scope("grant:G-1"));
    let (one, two) = (
        one.as_primitive::<Int64Type>(),
        two.as_primitive::<Int64Type>(),
    );
    assert!(
        one.values()
            .iter()
            .zip(two.values())
            .all(|(one, two)| one != two)
    );
}

#[test]
fn the_least_floats_do_not_pass_for_their_own_noise() {
    let share = json!({ "domain": "d", "distribution": "uniform", "ratio": "0.5" });
    let doubles = Float64Array::from(vec![5e-324, f64::MIN_POSITIVE, -1e-310, 1e-290]);
    let treated = treat::<NoiseNum>(share.clone(), &Options::default(), doubles, &[]).array;
    assert!(treated.is_null(0) && treated.is_null(1) && treated.is_null(2) && treated.is_valid(3));
    let singles = Float32Array::from(vec![1e-45, 1e-39, 1e-30]);
    let treated = treat::<NoiseNum>(share, &Options::default(), singles, &[]).array;
    assert!(treated.is_null(0) && treated.is_null(1) && treated.is_valid(2));
    let scale = table("uniform", "1");
    let tiny = Float64Array::from(vec![5e-324]);
    assert!(
        treat::<NoiseNum>(scale, &Options::default(), tiny, &[])
            .array
            .is_valid(0)
    );
}

#[test]
fn another_scale_draws_other_noise() {
    // Were the draw shared, twice the first result less the second would be the value.
    let values: Vec<i64> = (0..50).map(|n| n * 1_000_003).collect();
    let one = integers(table("laplace", "1000000"), values.clone(), &[]);
    let two = integers(table("laplace", "2000000"), values.clone(), &[]);
    let solved = values
        .iter()
        .zip(one.iter().zip(&two))
        .filter(|(value, (one, two))| {
            let (one, two) = (one.unwrap(), two.unwrap());
            (2 * one - two - **value).abs() < 10
        });
    assert_eq!(solved.count(), 0);
}

#[test]
fn one_person_in_two_spellings_is_one_entity() {
    let row = |category| {
        let who = [Some("11010519491231002x"), Some("11010519491231002X")];
        let table = by(table("uniform", "100000"));
        let array = Int64Array::from(vec![7, 7]);
        let treated = crate::number::drawn::testing::treat_of::<NoiseNum>(
            table,
            &Options::default(),
            array,
            &who,
            category,
        );
        let treated = treated.array.as_primitive::<Int64Type>().clone();
        (treated.value(0), treated.value(1))
    };
    let (one, two) = row("resident-id");
    assert_eq!(one, two);
    let (one, two) = row("other");
    assert_ne!(one, two);
}

#[test]
fn a_row_without_an_entity_is_invalid() {
    let array = Int64Array::from(vec![Some(1), Some(2), Some(3), None, Some(5)]);
    let who = [None, Some(""), Some(" \u{3000}"), None, Some("e")];
    let treated = treat::<NoiseNum>(by(table("uniform", "10")), &Options::default(), array, &who);
    assert_eq!(treated.array.null_count(), 4);
    assert_eq!((treated.counts.invalid, treated.counts.nulls), (3, 1));
}

#[test]
fn results_beyond_the_type_become_its_nearest_value() {
    let bytes = Int8Array::from([i8::MIN, i8::MAX, 0].repeat(40));
    for distribution in DISTRIBUTIONS {
        let treated = treat::<NoiseNum>(
            by(table(distribution, "100")),
            &Options::default(),
            bytes.clone(),
            &[],
        );
        assert_eq!(treated.array.null_count(), 0);
        let extremes = Int64Array::from(vec![i64::MIN, i64::MAX]);
        let scale = i64::MAX.to_string();
        let treated = treat::<NoiseNum>(
            by(table(distribution, &scale)),
            &Options::default(),
            extremes,
            &[],
        );
        assert_eq!(treated.array.null_count(), 0);
        let unsigned = UInt64Array::from(vec![0, u64::MAX]);
        let treated = treat::<NoiseNum>(
            by(table(distribution, &u64::MAX.to_string())),
            &Options::default(),
            unsigned,
            &[],
        );
        assert_eq!(treated.array.as_primitive::<UInt64Type>().null_count(), 0);
    }
    let one = Int8Array::from(vec![Some(1)]);
    let who = [Some("a")];
    assert!(
        treat::<NoiseNum>(by(table("uniform", "1")), &Options::default(), one, &who)
            .array
            .as_primitive::<Int8Type>()
            .value(0)
            .abs_diff(1)
            <= 1
    );
}

#[test]
fn a_decimal_of_full_precision_moves_by_the_noise_alone() {
    let full = 10_i128.pow(38) - 1;
    let decimals = |values: Vec<i128>| {
        Decimal128Array::from(values)
            .with_precision_and_scale(38, 2)
            .unwrap()
    };
    // In doubles, neighbours of this size lie 10^22 apart.
    let values = vec![full / 3, full / 3 + 1, -full / 3, full, -full];
    let treated = treat::<NoiseNum>(
        table("uniform", "0.05"),
        &Options::default(),
        decimals(values.clone()),
        &[],
    );
    let treated = treated.array.as_primitive::<Decimal128Type>();
    for (own, noisy) in values.iter().zip(treated.values()) {
        assert!((own - noisy).abs() <= 5 && noisy.abs() <= full);
    }
    let wild = decimals(vec![i128::MIN, i128::MAX]);
    let treated = treat::<NoiseNum>(table("laplace", "1"), &Options::default(), wild, &[]);
    assert_eq!(treated.array.null_count(), 2);
}

#[test]
fn results_stay_within_the_clamp() {
    let mut clamped = table("gaussian", "50");
    clamped["clamp"] = json!({ "min": "0", "max": "100" });
    let values: Vec<i64> = (0..=100).collect();
    let results = integers(clamped.clone(), values, &[]);
    assert!(
        results
            .iter()
            .flatten()
            .all(|result| (0..=100).contains(result))
    );
    assert!(results.contains(&Some(0)) && results.contains(&Some(100)));
    let floats = Float64Array::from_iter_values((0..=100).map(f64::from));
    let treated = treat::<NoiseNum>(clamped, &Options::default(), floats, &[]);
    let treated = treated.array.as_primitive::<Float64Type>();
    assert!(
        treated
            .values()
            .iter()
            .all(|result| (0.0..=100.0).contains(result))
    );
}

#[test]
fn rounded_results_are_the_same_noise_in_whole_steps() {
    let rounded = |distribution: &str| {
        let mut table = table(distribution, "50");
        table["round"] = json!("25");
        table
    };
    let values: Vec<i64> = (-200..200).collect();
    for distribution in DISTRIBUTIONS {
        let free = integers(table(distribution, "50"), values.clone(), &[]);
        let steps = integers(rounded(distribution), values.clone(), &[]);
        for (free, step) in free.iter().flatten().zip(steps.iter().flatten()) {
            let nearest = (free.unsigned_abs() + 12) / 25 * 25;
            let nearest = i64::try_from(nearest).unwrap() * free.signum();
            assert_eq!(*step, nearest, "{distribution}, {free}");
        }
        let floats = Float64Array::from_iter_values((0..400).map(f64::from));
        let treated = treat::<NoiseNum>(rounded(distribution), &Options::default(), floats, &[]);
        let treated = treated.array.as_primitive::<Float64Type>();
        assert!(treated.values().iter().all(|result| result % 25.0 == 0.0));
    }
    // Beyond a bound or the type the nearest value within counts, a multiple or not.
    let mut clamped = rounded("gaussian");
    clamped["clamp"] = json!({ "min": "-30", "max": "30" });
    let within = integers(clamped, values, &[]);
    let found: std::collections::BTreeSet<i64> = within.into_iter().flatten().collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [-30, -25, 0, 25, 30]);
    let extremes = integers(rounded("laplace"), vec![i64::MIN, i64::MAX], &[]);
    assert!(extremes.iter().all(Option::is_some), "{extremes:?}");
    let share = json!({ "domain": "d", "distribution": "uniform", "ratio": "0.5", "round": "10" });
    assert_eq!(integers(share, vec![0], &[]), [Some(0)]);
}

#[test]
fn a_clamp_draws_no_new_noise() {
    let mut clamped = table("laplace", "50");
    clamped["clamp"] = json!({ "min": "0" });
    let free = integers(table("laplace", "50"), (0..100).collect(), &[]);
    for (clamped, free) in integers(clamped, (0..100).collect(), &[]).iter().zip(free) {
        assert_eq!(clamped.unwrap(), free.unwrap().max(0));
    }
}

#[test]
fn floats_end_in_no_digits_of_the_value() {
    let values = Float64Array::from(vec![12.345_678_9, -0.0, 0.0, 987_654.321_012_3]);
    for distribution in DISTRIBUTIONS {
        let treated = treat::<NoiseNum>(
            table(distribution, "100"),
            &Options::default(),
            values.clone(),
            &[],
        );
        let treated = treated.array.as_primitive::<Float64Type>();
        for noisy in treated.values() {
            assert_eq!(((noisy * 10.0).round() / 10.0).to_bits(), noisy.to_bits());
        }
        assert_eq!(treated.value(1).to_bits(), treated.value(2).to_bits());
    }
    let mut share = json!({ "domain": "d", "distribution": "uniform", "ratio": "0.1" });
    let treated = treat::<NoiseNum>(share.clone(), &Options::default(), values, &[]);
    let treated = treated.array.as_primitive::<Float64Type>();
    assert!((treated.value(0) - 12.3).abs() < 1.3 && treated.value(1) == 0.0);
    let digits: f64 = format!("{:.3e}", treated.value(3)).parse().unwrap();
    assert_eq!(digits.to_bits(), treated.value(3).to_bits());
    share["ratio"] = json!("0.0001");
    let single = Float32Array::from(vec![f32::MAX, f32::MIN_POSITIVE, 16_777_216.0]);
    let treated = treat::<NoiseNum>(share, &Options::default(), single, &[]);
    assert!(treated.array.as_primitive::<Float32Type>().is_valid(2));
}

#[test]
fn a_float_in_which_the_noise_is_lost_never_passes() {
    let values = vec![1e300, f64::MAX, f64::NAN, f64::INFINITY, 9e18, 5.0];
    let treated = treat::<NoiseNum>(
        table("laplace", "1"),
        &Options::default(),
        Float64Array::from(values),
        &[],
    );
    assert_eq!(treated.counts.invalid, 5);
    assert!(treated.array.is_valid(5));
    let listed = Options {
        sentinels: vec![Scalar::Text("NaN".into())],
        ..Options::default()
    };
    let treated = treat::<NoiseNum>(
        table("laplace", "1"),
        &listed,
        Float64Array::from(vec![f64::NAN]),
        &[],
    );
    assert!(
        treated
            .array
            .as_primitive::<Float64Type>()
            .value(0)
            .is_nan()
    );
}

#[test]
fn a_share_follows_the_value_and_leaves_zero() {
    let share = json!({ "domain": "d", "distribution": "uniform", "ratio": "0.1" });
    let values = vec![0, 3, -3, 1_000, i64::MAX, i64::MIN];
    let results = integers(share.clone(), values, &[]);
    assert_eq!(results[0], Some(0));
    assert!((results[1].unwrap() - 3).abs() <= 1 && (results[2].unwrap() + 3).abs() <= 1);
    assert!((results[3].unwrap() - 1_000).abs() <= 100);
    let moved = integers(share, (1..200).collect(), &[]);
    assert!(
        moved
            .iter()
            .zip(1..)
            .filter(|(noisy, own)| **noisy != Some(*own))
            .count()
            > 100
    );
}

#[test]
fn the_spread_is_the_distributions() {
    for (distribution, square) in [("uniform", 1.0 / 3.0), ("laplace", 2.0), ("gaussian", 1.0)] {
        let results = integers(table(distribution, "1000000"), (0..20_000).collect(), &[]);
        let amounts = results
            .iter()
            .zip(0_i32..)
            .map(|(noisy, own)| f64::from(i32::try_from(noisy.unwrap()).unwrap() - own) / 1e6);
        let (sum, squares) = amounts.fold((0.0, 0.0), |(s, q), a| (s + a, q + a * a));
        assert!((sum / 20_000.0).abs() < 0.05, "{distribution} {sum}");
        assert!(
            (squares / 20_000.0 - square).abs() < 0.1 * square,
            "{distribution} {squares}"
        );
    }
}

#[test]
fn parameters_that_cannot_be_are_a_misfit() {
    let base = table("uniform", "10");
    for (name, value, data_type, parameter) in [
        ("scale", json!("0"), DataType::Int32, "scale"),
        ("scale", json!("0.5"), DataType::Int32, "scale"),
        ("scale", json!("200"), DataType::Int8, "scale"),
        (
            "scale",
            json!("0.001"),
            DataType::Decimal128(12, 2),
            "scale",
        ),
        ("scale", json!("0.0000001"), DataType::Float32, "scale"),
        ("ratio", json!("0.1"), DataType::Int32, "ratio"),
        ("domain", json!(" "), DataType::Int32, "domain"),
        ("join", json!(""), DataType::Int32, "join"),
        ("clamp", json!({}), DataType::Int32, "clamp"),
        (
            "clamp",
            json!({ "min": "5", "max": "5" }),
            DataType::Int32,
            "clamp",
        ),
        ("clamp", json!({ "min": "-1" }), DataType::UInt8, "clamp"),
        ("clamp", json!({ "min": "0.5" }), DataType::Int32, "clamp"),
        ("round", json!("0"), DataType::Int32, "round"),
        ("round", json!("-5"), DataType::Float64, "round"),
        ("round", json!("1"), DataType::Int32, "round"),
        ("round", json!("2.5"), DataType::Int32, "round"),
        ("round", json!("500"), DataType::UInt8, "round"),
        ("round", json!("0.0000001"), DataType::Float32, "round"),
        ("by", json!("nobody"), DataType::Int32, "by"),
        ("by", json!("flag"), DataType::Int32, "by"),
    ] {
        let mut table = base.clone();
        table[name] = value;
        assert_eq!(
            misfit::<NoiseNum>(table, &data_type).parameter,
            Some(parameter),
            "{name}"
        );
    }
    for ratio in ["0", "0.00001", "1.01", "0.1234567891", "-0.1"] {
        let share = json!({ "domain": "d", "distribution": "uniform", "ratio": ratio });
        assert_eq!(
            misfit::<NoiseNum>(share, &DataType::Int32).parameter,
            Some("ratio"),
            "{ratio}"
        );
    }
    let neither = json!({ "domain": "d", "distribution": "uniform" });
    assert_eq!(
        misfit::<NoiseNum>(neither, &DataType::Int32).parameter,
        Some("scale")
    );
    for data_type in [
        DataType::Utf8,
        DataType::Date32,
        DataType::Decimal256(60, 2),
    ] {
        assert_eq!(misfit::<NoiseNum>(base.clone(), &data_type).parameter, None);
    }
    assert!(serde_json::from_value::<NoiseNum>(json!({ "domain": "d", "scale": "1" })).is_err());
}

#[test]
fn without_a_key_nothing_is_built() {
    let noise: NoiseNum = written(table("uniform", "10"));
    let column = Column::alone("x", &DataType::Int32, "x");
    assert!(noise.build(column, &Options::default(), None).is_err());
}

#[test]
fn a_chunk_without_its_entities_is_refused() {
    let noise: NoiseNum = written(by(table("uniform", "10")));
    crate::number::drawn::testing::with_row("other", |row| {
        let column = Column {
            row,
            ..Column::alone("x", &DataType::Int64, "x")
        };
        let built = noise
            .build(column, &Options::default(), Some(&crate::testing::key()))
            .unwrap();
        let array: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![1, 2]));
        assert!(built.apply(&array).is_err());
    });
}

#[test]
fn more_noise_of_the_same_kind_reveals_no_more() {
    let noise = |change: Value| {
        let mut table = json!({ "domain": "d", "distribution": "laplace", "scale": "10",
                                "clamp": { "min": "0" }, "by": "who", "join": "j" });
        for (name, value) in change.as_object().unwrap() {
            table[name] = value.clone();
        }
        written::<NoiseNum>(table)
    };
    let floor = noise(json!({}));
    for (change, meets) in [
        (json!({}), true),
        (json!({ "scale": "10.5" }), true),
        (json!({ "scale": "9" }), false),
        (json!({ "join": null }), true),
        (json!({ "join": "k" }), false),
        (json!({ "domain": "e" }), false),
        (json!({ "distribution": "gaussian", "scale": "100" }), false),
        (json!({ "by": null }), false),
        (json!({ "clamp": { "min": "5", "max": "9" } }), true),
        (json!({ "clamp": { "max": "9" } }), false),
        (json!({ "round": "7" }), true),
        (json!({ "scale": null, "ratio": "1" }), false),
    ] {
        assert_eq!(noise(change.clone()).at_least(&floor), meets, "{change}");
    }
    let floor = noise(json!({ "round": "10" }));
    for (change, meets) in [
        (json!({}), false),
        (json!({ "round": "20" }), true),
        (json!({ "round": "15" }), false),
    ] {
        assert_eq!(noise(change.clone()).at_least(&floor), meets, "{change}");
    }
}

proptest! {
    #[test]
    fn uniform_noise_never_exceeds_its_scale(values: Vec<i64>, scale in 1_i64..) {
        let results = integers(table("uniform", &scale.to_string()), values.clone(), &[]);
        for (own, noisy) in values.iter().zip(results) {
            prop_assert!(own.abs_diff(noisy.unwrap()) <= scale.unsigned_abs());
        }
    }

    #[test]
    fn noise_depends_on_the_row_alone(values in prop::collection::vec(any::<f64>(), 1..20), at in 0_usize..20) {
        let at = at.min(values.len());
        let treated = |values: &[f64]| {
            let array = Float64Array::from(values.to_vec());
            treat::<NoiseNum>(table("gaussian", "1000"), &Options::default(), array, &[]).array
        };
        let whole = treated(&values);
        prop_assert_eq!(&whole.slice(0, at), &treated(&values[..at]));
        prop_assert_eq!(&whole.slice(at, values.len() - at), &treated(&values[at..]));
    }
}
