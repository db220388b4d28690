use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, StringViewArray};
use arrow::datatypes::DataType;

use crate::spec::{Column, Row, RowField};
use crate::testing::{CATEGORY, build, flagged, key, no_pseudonym_is, spec};
use crate::treatment::{Context, Treated, Treatment};
use crate::treatments::AnyTreatment;
use crate::{Misfit, TreatmentSpec};

fn sample(rate: &str, rest: &str) -> TreatmentSpec {
    spec(&format!(
        "{{ kind = 'sample', rate = {rate}, by = 'id', domain = 'person.id'{rest} }}"
    ))
}

fn built(spec: &TreatmentSpec, entity: &DataType) -> Result<Box<dyn Treatment>, Misfit> {
    let fields = [RowField {
        name: "id",
        data_type: entity,
        category: "resident-id",
    }];
    let column = Column {
        row: Row(&fields),
        ..Column::alone("x", &DataType::Utf8, CATEGORY)
    };
    assert_eq!(spec.output_type(column).err(), build(spec, column).err());
    build(spec, column)
}

fn treat(spec: &TreatmentSpec, entities: &ArrayRef) -> Treated {
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"); entities.len()]));
    let is_view = *entities.data_type() == DataType::Utf8View;
    let entity = if is_view {
        &DataType::Utf8
    } else {
        entities.data_type()
    };
    let built = built(spec, entity).unwrap();
    built
        .treat(
            &values,
            &Context {
                inputs: &[Arc::clone(entities)],
                chunk: None,
            },
        )
        .unwrap()
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("P{number:07}")).collect()
}

#[test]
fn about_the_given_share_of_the_entities_stays() {
    let entities: ArrayRef = Arc::new(StringArray::from(people(20_000)));
    for (rate, least, most) in [
        ("'0.5'", 9_700, 10_300),
        ("'0.01'", 150, 250),
        ("1", 20_000, 20_000),
    ] {
        let treated = treat(&sample(rate, ""), &entities);
        let kept = 20_000 - flagged(treated.dropped.as_ref()).len();
        assert!((least..=most).contains(&kept), "{rate}: {kept}");
        assert_eq!(treated.array.len() - treated.array.null_count(), kept);
        assert!(treated.rejected.is_none());
        let left_out = treated.tally().dropped.get("sample").copied().unwrap_or(0);
        assert_eq!(left_out, 20_000 - u64::try_from(kept).unwrap());
    }
}

#[test]
fn all_rows_of_an_entity_stay_or_go_whatever_the_batch_and_the_spelling() {
    let one = sample("'0.5'", "");
    let people = people(200);
    let twice: Vec<&str> = people
        .iter()
        .chain(people.iter().rev())
        .map(String::as_str)
        .collect();
    let twice: ArrayRef = Arc::new(StringArray::from(twice));
    let dropped = flagged(treat(&one, &twice).dropped.as_ref());
    for (row, person) in people.iter().enumerate() {
        assert_eq!(dropped.contains(&row), dropped.contains(&(399 - row)));
        let spelt = person.replacen('P', " P-", 1);
        let alone: ArrayRef = Arc::new(StringViewArray::from(vec![spelt]));
        let alone = treat(&one, &alone);
        assert_eq!(alone.dropped.is_some(), dropped.contains(&row), "row {row}");
    }
}

#[test]
fn a_smaller_sample_is_part_of_a_larger_one() {
    let entities: ArrayRef = Arc::new(StringArray::from(people(3_000)));
    let dropped = |rate| flagged(treat(&sample(rate, ""), &entities).dropped.as_ref());
    let (small, large) = (dropped("'0.1'"), dropped("'0.3'"));
    assert!(large.iter().all(|row| small.contains(row)));
}

#[test]
fn another_domain_or_join_group_draws_anew() {
    let entities: ArrayRef = Arc::new(StringArray::from(people(100)));
    let first = flagged(treat(&sample("'0.5'", ""), &entities).dropped.as_ref());
    let joined = flagged(
        treat(&sample("'0.5'", ", join = 'j'"), &entities)
            .dropped
            .as_ref(),
    );
    assert_ne!(first, joined);
}

#[test]
fn a_pseudonym_of_any_label_is_no_key() {
    let own = super::subkey(&key());
    no_pseudonym_is(&key(), own.as_ref(), "lockgate/sample/v1", "");
    // Nor does a pseudonym of a text, which a recipient sees, tell whose rows stay.
    let spec = sample("'0.5'", "");
    let entities: ArrayRef = Arc::new(StringArray::from(people(200)));
    let stays = flagged(treat(&spec, &entities).dropped.as_ref());
    let guessed = |prefix: &str| -> Vec<bool> {
        let texts = people(200).into_iter();
        let texts: Vec<String> = texts.map(|entity| format!("{prefix}{entity}")).collect();
        let texts: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        let treated = crate::testing::treat("{ kind = 'hmac', domain = 'person.id' }", &texts);
        let pseudonyms = treated.array.as_string::<i32>().iter();
        pseudonyms
            .map(|pseudonym| pseudonym.unwrap() >= "8")
            .collect()
    };
    let dropped: Vec<bool> = (0..200).map(|row| stays.contains(&row)).collect();
    for prefix in [
        "",
        "lockgate/sample\0",
        "lockgate/sample/v1",
        "\0\0\0\u{12}lockgate/sample/v1",
    ] {
        assert_ne!(guessed(prefix), dropped);
    }
}

#[test]
fn a_row_without_an_entity_does_not_stay() {
    let entities: ArrayRef = Arc::new(StringArray::from(vec![
        None,
        Some(""),
        Some(" "),
        Some("x"),
    ]));
    assert_eq!(
        flagged(treat(&sample("1", ""), &entities).dropped.as_ref()),
        [0, 1, 2]
    );
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    assert_eq!(
        flagged(treat(&sample("'1.0'", ""), &numbers).dropped.as_ref()),
        [1]
    );
}

#[test]
fn the_threshold_is_exact() {
    let threshold = |rate: &str| {
        let spec = sample(rate, "");
        let AnyTreatment::Sample(sample) = spec.treatment() else {
            panic!("a sample")
        };
        sample.threshold()
    };
    assert_eq!(threshold("1"), Some(1 << 64));
    assert_eq!(threshold("'0.5'"), Some(1 << 63));
    assert_eq!(threshold("'0.01'"), Some((1 << 64) / 100));
    assert_eq!(threshold("'0.000000000000000001'"), Some(18));
    for rate in [
        "0",
        "'0.0'",
        "'1.01'",
        "2",
        "-1",
        "'x'",
        "'.5'",
        "'1e-3'",
        "'0.0000000000000000001'",
    ] {
        assert_eq!(threshold(rate), None, "{rate}");
        assert_eq!(
            built(&sample(rate, ""), &DataType::Utf8)
                .unwrap_err()
                .parameter,
            Some("rate")
        );
    }
}

#[test]
fn the_entity_must_be_a_field_that_can_name_one() {
    let misfit = built(&sample("1", ""), &DataType::Float64).unwrap_err();
    assert_eq!(misfit.parameter, Some("by"));
    let column = Column::alone("x", &DataType::Utf8, CATEGORY);
    assert_eq!(
        sample("1", "").output_type(column).unwrap_err().parameter,
        Some("by")
    );
}

#[test]
fn a_larger_sample_does_not_meet_the_floor() {
    let floor = sample("'0.1'", "");
    assert!(sample("'0.05'", "").meets(&floor));
    assert!(!sample("'0.2'", "").meets(&floor));
    assert!(!spec("{ kind = 'null' }").meets(&floor));
    assert!(!sample("'0.1'", ", join = 'j'").meets(&floor));
    assert_eq!(
        sample("'0.1'", ", then = { kind = 'null' }").strength().0,
        5
    );
}
