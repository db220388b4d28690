use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    StringArray, StringViewArray,
};
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type, Int8Type};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::number::column::testing::{apply, misfit, texts, treat, written};
use crate::testing::spec;

fn grid(grid: &str, axis: &str) -> Value {
    json!({ "grid": grid, "axis": axis, "datum": "WGS84" })
}

fn pairs(table: Value, values: &[&str]) -> Vec<Option<String>> {
    let treated = treat::<GeoCoarsen>(table, StringArray::from(values.to_vec()));
    texts(&treated)
        .into_iter()
        .map(|text| text.map(str::to_owned))
        .collect()
}

fn pair(table: Value, value: &str) -> String {
    pairs(table, &[value]).remove(0).unwrap()
}

fn lng_lat(mut table: Value) -> Value {
    table["order"] = json!("lng-lat");
    table["datum"] = json!("GCJ02");
    table
}

#[test]
fn floats_go_to_the_grid() {
    let values = vec![
        120.155_1,
        -0.004,
        180.0,
        -180.0,
        180.000_1,
        f64::NAN,
        f64::NEG_INFINITY,
    ];
    let treated = treat::<GeoCoarsen>(grid("0.01", "longitude"), Float64Array::from(values));
    let treated = treated.as_primitive::<Float64Type>();
    assert_eq!(
        (treated.value(0), treated.value(2), treated.value(3)),
        (120.16, 180.0, -180.0)
    );
    assert_eq!((treated.value(1), treated.null_count()), (0.0, 3));
    let values = Float32Array::from(vec![30.274_1, 90.0, 90.001]);
    let treated = treat::<GeoCoarsen>(grid("0.5", "latitude"), values);
    let treated = treated.as_primitive::<Float32Type>();
    assert_eq!(
        (treated.value(0), treated.value(1), treated.null_count()),
        (30.5, 90.0, 1)
    );
}

#[test]
fn a_grid_that_does_not_divide_the_range_stays_within_it() {
    let values = Float64Array::from(vec![90.0, -90.0, 89.8]);
    let treated = treat::<GeoCoarsen>(grid("0.7", "latitude"), values);
    let treated = treated.as_primitive::<Float64Type>();
    for value in treated.values() {
        assert!(
            value.abs() <= 90.0 && (value.abs() - 89.6).abs() < 1e-9,
            "{value}"
        );
    }
    let exact = Decimal128Array::from(vec![9_000_000, -9_000_000, 8_990_000]);
    let exact = exact.with_precision_and_scale(8, 5).unwrap();
    let treated = treat::<GeoCoarsen>(grid("0.7", "latitude"), exact);
    let expected = [8_960_000, -8_960_000, 8_960_000];
    assert_eq!(
        &treated.as_primitive::<Decimal128Type>().values()[..],
        expected
    );
    assert_eq!(
        pair(lng_lat(json!({ "grid": "0.7" })), "180,-90"),
        "179.9,-89.6"
    );
}

#[test]
fn decimals_are_exact_and_checked() {
    let values = vec![120_155_000, 120_155_001, 180_000_001, i128::MIN, i128::MAX];
    let exact = Decimal128Array::from(values)
        .with_precision_and_scale(9, 6)
        .unwrap();
    let treated = treat::<GeoCoarsen>(grid("0.01", "longitude"), exact);
    let treated = treated.as_primitive::<Decimal128Type>();
    assert_eq!(
        (treated.value(0), treated.value(1)),
        (120_160_000, 120_160_000)
    );
    assert_eq!(treated.null_count(), 3);
}

#[test]
fn pairs_keep_their_order_and_the_grids_places() {
    let table = lng_lat(json!({ "grid": "0.01" }));
    for (value, expected) in [
        ("120.1551,30.2741", "120.16,30.27"),
        (" -0.004 , +30.2 ", "0.00,30.20"),
        ("-0.005,-0.015", "-0.01,-0.02"),
        ("180,90", "180.00,90.00"),
        ("120.15499999999999999999,5", "120.15,5.00"),
    ] {
        assert_eq!(pair(table.clone(), value), expected, "{value}");
    }
    let mut swapped = lng_lat(json!({ "grid": "10" }));
    swapped["order"] = json!("lat-lng");
    assert_eq!(pair(swapped, "30.27,120.15"), "30,120");
}

#[test]
fn what_is_no_pair_is_covered_whole() {
    for value in [
        "120.15",
        "120.15;30.27",
        "120.15,30.27,5",
        "a,b",
        ",",
        "1.,2",
        ".5,2",
        "1e2,3",
        "30.27,120.15",
        "180.0000000000000000001,0",
        "0,-90.00000000000000000001",
        "1 2,3",
        "－1,2",
        "9999,0",
        "--1,2",
    ] {
        let covered = pair(lng_lat(json!({ "grid": "0.01" })), value);
        assert_eq!(covered, "*".repeat(value.chars().count()), "{value}");
    }
    assert_eq!(
        pairs(lng_lat(json!({ "geohash": 5 })), &[" "]),
        [Some(" ".to_owned())]
    );
}

#[test]
fn a_dictionary_and_a_view_of_pairs_agree_with_plain_text() {
    let values = vec![
        Some("120.1551,30.2741"),
        None,
        Some("x"),
        Some("120.1551,30.2741"),
    ];
    let text = r#"{ kind = "geo-coarsen", geohash = 6, order = "lng-lat", datum = "WGS84" }"#;
    let plain = crate::testing::treat(text, &values);
    let forms: [ArrayRef; 2] = [
        Arc::new(StringViewArray::from(values.clone())),
        Arc::new(values.into_iter().collect::<DictionaryArray<Int8Type>>()),
    ];
    for form in forms {
        let treated = crate::testing::treat_array(text, &form).unwrap();
        assert_eq!(
            (&treated.array, &treated.counts),
            (&plain.array, &plain.counts)
        );
    }
}

#[test]
fn geohashes_are_the_known_ones() {
    let mut table = lng_lat(json!({ "geohash": 8 }));
    assert_eq!(pair(table.clone(), "10.40744,57.64911"), "u4pruydq");
    assert_eq!(pair(table.clone(), "180,90"), "zzzzzzzz");
    assert_eq!(pair(table.clone(), "-180,-90"), "00000000");
    table["geohash"] = json!(5);
    table["order"] = json!("lat-lng");
    assert_eq!(pair(table.clone(), "42.6,-5.6"), "ezs42");
    table["geohash"] = json!(1);
    assert_eq!(pair(table, "30.27,120.15"), "w");
}

#[test]
fn parameters_say_what_goes_with_what() {
    let text = DataType::Utf8;
    let number = DataType::Float64;
    for (table, data_type, parameter) in [
        (grid("0.01", "longitude"), &text, "axis"),
        (json!({ "grid": "0.01", "datum": "WGS84" }), &text, "order"),
        (json!({ "grid": "0.01", "datum": "WGS84" }), &number, "axis"),
        (lng_lat(json!({})), &text, "grid"),
        (
            lng_lat(json!({ "grid": "0.01", "geohash": 5 })),
            &text,
            "geohash",
        ),
        (lng_lat(json!({ "geohash": 0 })), &text, "geohash"),
        (lng_lat(json!({ "geohash": 9 })), &text, "geohash"),
        (lng_lat(json!({ "geohash": 5 })), &number, "geohash"),
        (lng_lat(json!({ "grid": "0.01" })), &number, "order"),
        (grid("0.00009", "latitude"), &number, "grid"),
        (grid("90.1", "latitude"), &number, "grid"),
        (grid("0", "latitude"), &number, "grid"),
        (
            lng_lat(json!({ "grid": "0.1000000000000001" })),
            &text,
            "grid",
        ),
        (grid("0.0100001", "latitude"), &DataType::Float32, "grid"),
        (
            grid("0.01", "latitude"),
            &DataType::Decimal128(9, 2),
            "grid",
        ),
        (
            grid("0.015", "latitude"),
            &DataType::Decimal128(9, 2),
            "grid",
        ),
    ] {
        let misfit = misfit::<GeoCoarsen>(table.clone(), data_type);
        assert_eq!(misfit.parameter, Some(parameter), "{table} {data_type}");
    }
    for data_type in [DataType::Int32, DataType::Date32, DataType::Binary] {
        assert_eq!(
            misfit::<GeoCoarsen>(grid("1", "latitude"), &data_type).parameter,
            None
        );
    }
    assert!(serde_json::from_value::<GeoCoarsen>(json!({ "grid": "1" })).is_err());
    let datum = json!({ "grid": "1", "datum": "BD09" });
    assert!(serde_json::from_value::<GeoCoarsen>(datum).is_err());
}

#[test]
fn a_wider_grid_and_a_shorter_geohash_reveal_no_more() {
    let geo = |table: Value| written::<GeoCoarsen>(table);
    let floor = geo(grid("0.01", "longitude"));
    assert!(geo(grid("0.05", "longitude")).at_least(&floor) && floor.at_least(&floor));
    assert!(!geo(grid("0.015", "longitude")).at_least(&floor));
    assert!(!geo(grid("0.05", "latitude")).at_least(&floor));
    let hash = |length: u8| geo(lng_lat(json!({ "geohash": length })));
    assert!(hash(4).at_least(&hash(5)) && !hash(6).at_least(&hash(5)));
    assert!(!geo(lng_lat(json!({ "grid": "10" }))).at_least(&hash(8)));
}

proptest! {
    #[test]
    fn the_grid_is_kept_and_the_way_is_short(lng in -180.0_f64..180.0, lat in -90.0_f64..90.0, places in 1_usize..10) {
        let value = format!("{lng:.places$},{lat:.places$}");
        let written = pair(lng_lat(json!({ "grid": "0.05" })), &value);
        let (one, two) = written.split_once(',').unwrap();
        for (own, near) in [(lng, one), (lat, two)] {
            let near: f64 = near.parse().unwrap();
            prop_assert!((own - near).abs() <= 0.025 + 0.06_f64.max(0.1_f64.powi(i32::try_from(places).unwrap())));
            prop_assert!((near * 20.0 - (near * 20.0).round()).abs() < 1e-9);
        }
    }

    #[test]
    fn a_shorter_geohash_begins_a_longer_one(lng in -180.0_f64..180.0, lat in -90.0_f64..90.0) {
        let value = format!("{lng:.7},{lat:.7}");
        let whole = pair(lng_lat(json!({ "geohash": 8 })), &value);
        for length in 1..8 {
            let part = pair(lng_lat(json!({ "geohash": length })), &value);
            prop_assert_eq!(part.len(), length);
            prop_assert!(whole.starts_with(&part));
        }
    }

    #[test]
    fn no_other_text_passes(text in "\\PC{1,20}") {
        let geo: GeoCoarsen = written(lng_lat(json!({ "grid": "0.01" })));
        let treated = apply(&geo, &Options::default(), StringArray::from(vec![text.clone()])).unwrap();
        let counts = treated.counts;
        if counts.empty == 0 && counts.invalid == 0 {
            prop_assert!(text.contains(','));
        }
    }
}

#[test]
fn only_cells_larger_than_a_kilometre_count_as_coarser() {
    let strength = |rest: &str| {
        spec(&format!(
            "{{ kind = 'geo-coarsen', datum = 'WGS84', {rest} }}"
        ))
        .strength()
        .0
    };
    for (rest, expected) in [
        ("grid = '0.01', axis = 'latitude'", 2),
        ("grid = '0.0099', axis = 'latitude'", 1),
        ("grid = '0.0001', order = 'lng-lat'", 1),
        ("grid = '1', order = 'lng-lat'", 2),
        ("geohash = 5, order = 'lng-lat'", 2),
        ("geohash = 6, order = 'lng-lat'", 1),
        ("geohash = 8, order = 'lng-lat'", 1),
    ] {
        assert_eq!(strength(rest), expected, "{rest}");
    }
    let pair = spec("{ kind = 'geo-coarsen', datum = 'WGS84', geohash = 5, order = 'lng-lat' }");
    assert!(!pair.meets(&spec("{ kind = 'keep-ends', first = 3, last = 0 }")));
    let fine =
        spec("{ kind = 'geo-coarsen', datum = 'WGS84', grid = '0.0005', axis = 'latitude' }");
    assert!(fine.meets(&fine));
    assert!(
        !spec("{ kind = 'round', to = '0.000001' }").meets(&fine),
        "as a floor it counts as its kind"
    );
}
