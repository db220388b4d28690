//! How many different values fields have: enough to find rows by, and how many carriers they are.

use super::*;
use crate::marks::forecast::{carriers_of, too_few};
use crate::site::policy::Marking;

/// The residents with another key, where the field `fixed` is declared so.
fn keyed(key: &str, fixed: &str) -> String {
    RESIDENTS.replace("key = [\"id\"]", key).replace(
        "type = \"int64\", category = \"count\", level = 1, tolerance = \"0\"",
        &format!("{fixed}, level = 1"),
    )
}

const COUNT: &str = "type = \"int64\", category = \"count\"";

#[test]
fn a_key_of_few_values_is_no_anchor() {
    let city = |key: &str, fixed: &str| {
        let found = found(&laid(&keyed(key, fixed), &ALL_CLEAR));
        found.into_iter().next().unwrap().1
    };
    for (key, anchor) in [
        ("key = [\"id\"]", "key id"),
        ("key = [\"sex\"]", "content id"),
        // Of fields together: three bits and sixteen.
        ("key = [\"sex\", \"name\"]", "key sex name"),
        // Free text is written anew each time.
        ("key = [\"note\"]", "content id"),
    ] {
        assert_eq!(city(key, COUNT), anchor, "{key}");
    }
    let count = |more: &str| format!("{COUNT}{more}");
    for (fixed, is_anchor) in [
        // Of which nothing tells how many there are: the provider says that they identify rows.
        (count(""), true),
        (count(", domain_size = 16384"), true),
        (count(", domain_size = 16383"), false),
        (count("").replace("int64", "int8"), false),
        (count("").replace("int64", "uint16"), true),
        (count("").replace("int64", "date"), false),
        (count("").replace("int64", "timestamp(s)"), true),
        (count("").replace("int64", "float64"), false),
        (count("").replace("count", "occupation"), false),
    ] {
        let expected = if is_anchor { "key fixed" } else { "content id" };
        assert_eq!(city("key = [\"fixed\"]", &fixed), expected, "{fixed}");
    }
}

#[test]
fn fields_fall_back_to_blocks_where_key_and_content_have_few_values() {
    let fields: Vec<_> = ALL_CLEAR
        .into_iter()
        .filter(|(name, _)| !["id", "phone", "name"].contains(name))
        .collect();
    let laid = laid(&keyed("key = [\"sex\"]", COUNT), &fields);
    let blocks = "content [income updated]";
    assert_eq!(
        found(&laid),
        expected(&[
            ("city", blocks),
            ("income", "value"),
            ("score", blocks),
            ("updated", "value")
        ])
    );
    assert_eq!(laid.unmarked, []);
    // Of the amounts nothing tells how many there are at most.
    let layout = laid.layout.unwrap();
    assert_eq!(layout.places_of(layout.of("score").unwrap()), None);
}

#[test]
fn a_field_has_as_many_places_as_the_catalogue_tells() {
    let fixed = format!("{COUNT}, domain_size = 20000");
    let text = keyed("key = [\"sex\", \"fixed\"]", &fixed).replace(
        "tolerance = \"30s\"",
        "tolerance = \"30s\", domain_size = 90000",
    );
    let mut fields = ALL_CLEAR.to_vec();
    fields.retain(|(name, _)| *name != "phone");
    fields.push(("phone", TAGGED));
    let layout = laid(&text, &fields).layout.unwrap();
    let places = |layout: &Layout, name: &str| layout.places_of(layout.of(name).unwrap());
    // Ten codes of a sex, together with the numbers; blocks of two cells of fifteen seconds.
    assert_eq!(places(&layout, "city"), Some(200_000));
    assert_eq!(places(&layout, "score"), Some(200_000));
    assert_eq!(places(&layout, "updated"), Some(3_000));
    // How many identifiers there are, nothing tells.
    assert_eq!(places(&layout, "income"), None);
    assert_eq!(places(&layout, "phone"), None);
    let sexes = laid(RESIDENTS, &[("sex", TAGGED)]).layout.unwrap();
    assert_eq!(places(&sexes, "sex"), Some(10));
    // Plan and scheme are what they were.
    let plan = serde_json::to_value(&layout).unwrap();
    assert_eq!(plan.as_object().unwrap().len(), 3);
}

#[test]
fn a_forecast_promises_nothing_beyond_the_places_there_are() {
    // Blocks of four: a thousand.
    let text = RESIDENTS.replace(
        "type = \"int64\", category = \"count\", level = 1, tolerance = \"0\"",
        &format!("{COUNT}, level = 1, tolerance = \"3\", domain_size = 4000"),
    );
    let layout = laid(&text, &[("fixed", CLEAR)]).layout.unwrap();
    assert_eq!(carriers_of(&layout, 999), 499);
    assert_eq!(carriers_of(&layout, 1_000_000), 500);
    let marking = |min_carriers| Marking {
        min_carriers,
        ..Marking::default()
    };
    let rows = Some(1_000_000);
    assert_eq!(too_few(&marking(500), Some(&layout), rows), None);
    let few = too_few(&marking(501), Some(&layout), rows).unwrap();
    assert!(few.contains("at most 500 carriers"), "{few}");
    let forecast = Forecast::of(&layout);
    let rows: Vec<Option<u64>> = forecast
        .traceable
        .iter()
        .map(|traced| traced.rows)
        .collect();
    // One leaker needs some hundred carriers, which are in two hundred places, met by more rows than
    // that; two need some 540, more than there are.
    let [Some(one), None, None, None] = rows[..] else {
        panic!("{rows:?}");
    };
    assert!((195..235).contains(&one), "{rows:?}");
    let document = serde_json::to_value(&forecast).unwrap();
    assert!(document["traceable"][1]["rows"].is_null());
    assert_eq!(document["fields"][0]["places"], 1_000);
}
