use super::*;
use crate::site::dataset::Level;

fn field(data_type: &str) -> (Field, FieldType) {
    let field = Field {
        name: "value".to_owned(),
        data_type: data_type.to_owned(),
        title: None,
        category: "other".to_owned(),
        level: Level::General(1),
        tolerance: None,
        decimals: None,
        synonyms: None,
        bounds: None,
        constraint: None,
        domain_size: None,
    };
    (field, FieldType::parse(data_type).unwrap())
}

fn of_tolerance(
    data_type: &str,
    tolerance: &str,
    decimals: Option<u8>,
) -> Result<Option<CarrierSpec>, CarrierFault> {
    let (mut field, data_type) = field(data_type);
    field.tolerance = Some(tolerance.to_owned());
    field.decimals = decimals;
    carrier_of(&field, &data_type)
}

#[test]
fn the_step_is_the_largest_that_keeps_within_the_tolerance() {
    for (data_type, tolerance, decimals, step) in [
        ("decimal(12,2)", "5.00", None, 500),
        ("decimal(12,2)", "0.01", None, 2),
        ("int32", "3", None, 4),
        ("float64", "0.5", Some(3), 500),
        ("timestamp(ms)", "30s", None, 30),
        ("timestamp(s)", "1m", None, 2),
        ("date", "2d", None, 2),
        ("date", "48h", None, 2),
    ] {
        let spec = of_tolerance(data_type, tolerance, decimals)
            .unwrap()
            .unwrap();
        assert_eq!(spec.step(), Some(step), "{data_type} {tolerance}");
    }
}

#[test]
fn times_move_by_the_unit_they_are_written_in() {
    for (data_type, tolerance, expected) in [
        ("timestamp(ms)", "30s", 1_000_000_000),
        ("timestamp(us)", "500ms", 1_000_000),
        ("timestamp(s)", "1500ms", 1_000_000_000),
        ("timestamp(ns)", "1d", DAY),
        ("date", "72h", DAY),
    ] {
        match of_tolerance(data_type, tolerance, None) {
            Ok(Some(CarrierSpec::Time { grain, .. })) => {
                assert_eq!(grain, expected, "{data_type} {tolerance}");
            }
            other => panic!("{data_type} {tolerance}: {other:?}"),
        }
    }
}

#[test]
fn no_tolerance_and_one_of_nothing_carry_nothing() {
    let (field, data_type) = field("int64");
    assert_eq!(carrier_of(&field, &data_type), Ok(None));
    for (data_type, tolerance) in [("decimal(12,2)", "0.00"), ("date", "0d")] {
        assert_eq!(of_tolerance(data_type, tolerance, None), Ok(None));
    }
}

#[test]
fn what_cannot_be_meant_is_said() {
    for (data_type, tolerance, decimals, key, hint) in [
        (
            "decimal(12,2)",
            "0.001",
            None,
            "tolerance",
            Some("at least \"0.01\""),
        ),
        ("int64", "0.5", None, "tolerance", Some("at least \"1\"")),
        (
            "float64",
            "0.05",
            Some(1),
            "tolerance",
            Some("at least \"0.2\""),
        ),
        ("date", "12h", None, "tolerance", Some("at least \"1d\"")),
        (
            "timestamp(s)",
            "500ms",
            None,
            "tolerance",
            Some("at least \"1s\""),
        ),
        ("float64", "1", Some(16), "decimals", None),
        ("float64", "1", None, "tolerance", Some("decimals = 2")),
        ("int64", "1", Some(2), "decimals", Some("take it out")),
        ("utf8", "1", None, "tolerance", None),
        ("int64", "30s", None, "tolerance", Some("a number")),
        ("date", "2", None, "tolerance", Some("a duration")),
    ] {
        let fault = of_tolerance(data_type, tolerance, decimals).unwrap_err();
        assert_eq!(fault.key, key, "{data_type} {tolerance}");
        if let Some(hint) = hint {
            assert!(fault.hint.as_ref().unwrap().contains(hint), "{fault:?}");
        }
    }
}

#[test]
fn synonyms_are_words_of_text() {
    let (mut text, data_type) = field("utf8");
    let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    text.synonyms = Some(vec![words(["北京", "北京市"])]);
    assert!(matches!(
        carrier_of(&text, &data_type),
        Ok(Some(CarrierSpec::Synonyms { .. }))
    ));
    text.synonyms = Some(vec![words(["７", "7"])]);
    assert_eq!(carrier_of(&text, &data_type).unwrap_err().key, "synonyms");
    text.synonyms = Some(vec![words(["1", "2"])]);
    let number = FieldType::Int64;
    assert_eq!(carrier_of(&text, &number).unwrap_err().key, "synonyms");
}

#[test]
fn bounds_are_values_of_the_field() {
    let of_bounds = |data_type: &str, least: &str, greatest: &str| {
        let (mut field, data_type) = field(data_type);
        let unit = if data_type == FieldType::Date {
            "d"
        } else {
            ""
        };
        field.tolerance = Some(format!("3{unit}"));
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        field.bounds = Some(Bounds {
            least: text(least),
            greatest: text(greatest),
        });
        carrier_of(&field, &data_type)
    };
    let Ok(Some(CarrierSpec::Number {
        least, greatest, ..
    })) = of_bounds("decimal(5,2)", "", "100")
    else {
        panic!("no carrier");
    };
    assert_eq!((least, greatest), (None, "100".parse().ok()));
    let Ok(Some(CarrierSpec::Time { least, .. })) = of_bounds("date", "1970-01-11", "2020-01-01")
    else {
        panic!("no carrier");
    };
    assert_eq!(least, Some(10));
    for (data_type, least, greatest) in [
        ("int64", "5", "5"),
        ("int64", "many", ""),
        ("date", "1", "2020-01-01"),
    ] {
        let fault = of_bounds(data_type, least, greatest).unwrap_err();
        assert_eq!(fault.key, "bounds", "{data_type} {least} {greatest}");
    }
    let (mut alone, data_type) = field("int64");
    alone.bounds = Some(Bounds {
        least: None,
        greatest: None,
    });
    assert_eq!(carrier_of(&alone, &data_type).unwrap_err().key, "bounds");
}

#[test]
fn special_values_are_kept_in_the_units_of_the_type() {
    let listed = [Scalar::Integer(-1)];
    let number = of_tolerance("int64", "3", None).unwrap().unwrap();
    let Ok(CarrierSpec::Number { sentinels, .. }) = number.keeping(&listed, &DataType::Int64)
    else {
        panic!("not a number");
    };
    assert_eq!(sentinels, ["-1".parse().unwrap()]);
    let float = of_tolerance("float64", "5", Some(0)).unwrap().unwrap();
    let listed = [Scalar::Text("1e3".to_owned())];
    let Ok(CarrierSpec::Number { sentinels, .. }) = float.keeping(&listed, &DataType::Float64)
    else {
        panic!("not a number");
    };
    assert_eq!(sentinels, ["1000".parse().unwrap()]);
    let date = of_tolerance("date", "3d", None).unwrap().unwrap();
    let listed = [Scalar::Text("9999-12-31".to_owned())];
    let Ok(CarrierSpec::Time { sentinels, .. }) = date.keeping(&listed, &DataType::Date32) else {
        panic!("not a time");
    };
    assert_eq!(sentinels, [2_932_896]);
}

#[test]
fn a_special_value_that_cannot_be_resolved_is_a_misfit() {
    let listed = [Scalar::Text("unknown".to_owned())];
    for (data_type, tolerance) in [("int64", "3"), ("date", "3d")] {
        let spec = of_tolerance(data_type, tolerance, None).unwrap().unwrap();
        let data_type = FieldType::parse(data_type).unwrap().to_arrow();
        assert!(spec.keeping(&listed, &data_type).is_err());
    }
}

#[test]
fn words_of_special_meaning_are_no_synonyms() {
    let words =
        |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let spec = CarrierSpec::Synonyms {
        classes: vec![words(&["未知", "不详"]), words(&["甲", "未知的", "乙"])],
    };
    let listed = |word: &str| [Scalar::Text(word.to_owned())];
    let kept = spec.keeping(&listed("未知"), &DataType::Utf8).unwrap();
    let classes = vec![words(&["甲", "未知的", "乙"])];
    assert_eq!(kept, CarrierSpec::Synonyms { classes });
    let kept = kept.keeping(&listed("未知的"), &DataType::Utf8).unwrap();
    let classes = vec![words(&["甲", "乙"])];
    assert_eq!(kept, CarrierSpec::Synonyms { classes });
    assert!(kept.keeping(&listed("甲"), &DataType::Utf8).is_err());
}

#[test]
fn a_tolerance_or_bounds_beside_synonyms_are_refused() {
    let (mut text, data_type) = field("utf8");
    text.synonyms = Some(vec![vec!["北京".to_owned(), "北京市".to_owned()]]);
    let limits = Bounds {
        least: Some("0".to_owned()),
        greatest: None,
    };
    for (tolerance, bounds, key) in [
        (Some("5".to_owned()), None, "tolerance"),
        (None, Some(limits), "bounds"),
    ] {
        text.tolerance = tolerance;
        text.bounds = bounds;
        assert_eq!(carrier_of(&text, &data_type).unwrap_err().key, key);
    }
}

#[test]
fn durations_are_written_in_their_largest_unit() {
    for text in ["30s", "90m", "500ms", "2d", "36h", "7us", "1ns"] {
        let read = Duration::parse(text).unwrap();
        assert_eq!(duration_text(read.nanoseconds), text);
    }
}
