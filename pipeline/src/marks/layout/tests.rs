use lockgate_transforms::marks::predict::Reflection;
use lockgate_transforms::{Column, TreatmentSpec};

use super::*;
use crate::plan::Origin;

mod places;

/// Residents: one key, two identifiers, words and numbers that may move.
const RESIDENTS: &str = r#"
id = "residents"
provider = "office"
source = { store = "lake", path = "residents/", format = "parquet" }
sharing = "conditional"
modes = ["batch"]
key = ["id"]
fields = [
  { name = "id", type = "utf8", category = "resident-id", level = 3 },
  { name = "name", type = "utf8", category = "person-name", level = 3 },
  { name = "phone", type = "utf8", category = "mobile", level = 3 },
  { name = "sex", type = "utf8", category = "gender", level = 1 },
  { name = "city", type = "utf8", category = "place", level = 1, synonyms = [["北京", "北京市"]] },
  { name = "income", type = "decimal(12,2)", category = "income", level = 3, tolerance = "5.00" },
  { name = "score", type = "float64", category = "score", level = 2, tolerance = "0.5", decimals = 3 },
  { name = "updated", type = "timestamp(ms)", category = "time", level = 1, tolerance = "30s" },
  { name = "fixed", type = "int64", category = "count", level = 1, tolerance = "0" },
  { name = "note", type = "utf8", category = "free-text", level = 1 },
]
"#;

const CLEAR: &str = r#"{ "kind": "clear" }"#;
const HMAC: &str = r#"{ "kind": "hmac", "domain": "d" }"#;
const KEEP_ENDS: &str = r#"{ "kind": "keep-ends", "first": 3, "last": 4 }"#;
const NULL: &str = r#"{ "kind": "null" }"#;

fn dataset(text: &str) -> Dataset {
    toml::from_str(text).unwrap()
}

/// The dataset's fields as planned; those that aren't named are not granted.
fn planned(dataset: &Dataset, fields: &[(&str, &str)]) -> Vec<PlannedField> {
    let row = dataset.row();
    let row = row.fields();
    fields
        .iter()
        .map(|(name, treatment)| {
            let field = dataset.field(name).unwrap();
            let treatment: TreatmentSpec = serde_json::from_str(treatment).unwrap();
            let source = FieldType::parse(&field.data_type).unwrap();
            let data_type = source.to_arrow();
            let column = Column {
                name,
                data_type: &data_type,
                category: &field.category,
                row: lockgate_transforms::Row(&row),
            };
            let output = treatment.output_type(column).unwrap().unwrap();
            PlannedField {
                name: (*name).to_owned(),
                source_type: source.to_string(),
                data_type: FieldType::of(&output).unwrap().to_string(),
                category: field.category.clone(),
                level: field.level,
                strength: treatment.strength().0,
                treatment,
                reads: Vec::new(),
                origin: Origin::Floor,
            }
        })
        .collect()
}

fn laid(text: &str, fields: &[(&str, &str)]) -> Laid {
    let dataset = dataset(text);
    lay_out(&dataset, &planned(&dataset, fields))
}

/// By marked field, the fields of its anchor, after `key` or `content`; `value` for its own.
fn found(laid: &Laid) -> Vec<(String, String)> {
    let layout = laid.layout.as_ref().unwrap();
    let described = |field: &FieldScheme| match field.found_by {
        FoundBy::Value => "value".to_owned(),
        FoundBy::Row(at) => {
            let anchor = &layout.anchors[at];
            let family = match anchor.family {
                AnchorFamily::Key => "key",
                AnchorFamily::Content => "content",
            };
            format!("{family} {}", anchor.fields.join(" "))
        }
    };
    let fields = layout.fields.iter();
    fields
        .map(|field| (field.name.clone(), described(field)))
        .collect()
}

fn expected(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, found)| ((*name).to_owned(), (*found).to_owned()))
        .collect()
}

const ALL_CLEAR: [(&str, &str); 10] = [
    ("note", CLEAR),
    ("updated", CLEAR),
    ("score", CLEAR),
    ("income", CLEAR),
    ("city", CLEAR),
    ("sex", CLEAR),
    ("phone", CLEAR),
    ("name", CLEAR),
    ("id", CLEAR),
    ("fixed", CLEAR),
];

#[test]
fn families_follow_from_the_catalogue() {
    let all = laid(RESIDENTS, &ALL_CLEAR);
    assert_eq!(
        found(&all),
        expected(&[
            ("city", "key id"),
            ("income", "content phone"),
            ("score", "key id"),
            ("updated", "value"),
        ])
    );
    assert_eq!(all.unmarked, []);
    // What a grant leaves out changes nothing for the fields it has.
    let fewer: Vec<_> = ALL_CLEAR
        .into_iter()
        .filter(|(name, _)| !["city", "updated", "sex", "note"].contains(name))
        .collect();
    assert_eq!(
        found(&laid(RESIDENTS, &fewer)),
        expected(&[("income", "content phone"), ("score", "key id")])
    );
    // Nor does the order in which it asks for them.
    let mut backwards = ALL_CLEAR;
    backwards.reverse();
    assert_eq!(laid(RESIDENTS, &backwards).layout, all.layout);
}

#[test]
fn fields_fall_back_where_an_anchor_is_not_delivered() {
    let without = |names: &[&str]| {
        let kept = ALL_CLEAR
            .into_iter()
            .filter(|(name, _)| !names.contains(name));
        found(&laid(RESIDENTS, &kept.collect::<Vec<_>>()))
    };
    assert_eq!(
        without(&["id"])[2],
        ("score".to_owned(), "content phone".to_owned())
    );
    // Names are 16 bits and numbers 10: enough, together.
    assert_eq!(
        without(&["phone"])[1],
        ("income".to_owned(), "content name fixed".to_owned())
    );
    assert_eq!(
        without(&["phone", "name"])[1],
        ("income".to_owned(), "key id".to_owned())
    );
    assert_eq!(
        without(&["phone", "name", "id"]),
        expected(&[("income", "value"), ("updated", "value")])
    );
}

#[test]
fn anchors_are_what_tells_rows_apart_as_released() {
    let with = |changes: &[(&str, &str)]| {
        let fields = ALL_CLEAR.map(|(name, treatment)| {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            (name, changed.map_or(treatment, |(_, treatment)| treatment))
        });
        let found = found(&laid(RESIDENTS, &fields));
        (found[0].1.clone(), found[1].1.clone())
    };
    let both = |key: &str, content: &str| (key.to_owned(), content.to_owned());
    // A pseudonym is a key as well.
    assert_eq!(with(&[("id", HMAC)]), both("key id", "content phone"));
    // A masked key tells rows apart as content does, not as a key.
    assert_eq!(
        with(&[("id", KEEP_ENDS)]),
        both("content phone", "content phone")
    );
    assert_eq!(
        with(&[("id", KEEP_ENDS), ("phone", KEEP_ENDS)]),
        both("content id name", "content id name")
    );
    // A pseudonym of the grant's own comes last.
    assert_eq!(
        with(&[("phone", HMAC)]),
        both("key id", "content name fixed")
    );
    let random = r#"{ "kind": "encrypt-rand", "domain": "d" }"#;
    for gone in [NULL, random, r#"{ "kind": "constant", "value": "x" }"#] {
        assert_eq!(
            with(&[("phone", gone)]),
            both("key id", "content name fixed"),
            "{gone}"
        );
        assert_eq!(with(&[("id", gone)]).0, "content phone", "{gone}");
    }
}

#[test]
fn only_what_is_clear_carries() {
    let fields = ALL_CLEAR.map(|(name, treatment)| match name {
        "income" => (name, r#"{ "kind": "round", "to": "1000" }"#),
        "city" => (name, NULL),
        _ => (name, treatment),
    });
    let laid = laid(RESIDENTS, &fields);
    assert_eq!(
        found(&laid),
        expected(&[("score", "key id"), ("updated", "value")])
    );
    let unmarked: Vec<&str> = laid
        .unmarked
        .iter()
        .map(|found| found.field.as_str())
        .collect();
    assert_eq!(unmarked, ["city", "income"]);
    assert!(laid.unmarked[1].reason.contains("round("));
}

#[test]
fn without_freedom_or_anything_to_be_found_by_nothing_is_marked() {
    assert_eq!(
        laid(RESIDENTS, &[("id", CLEAR), ("fixed", CLEAR)]).layout,
        None
    );
    let alone = laid(RESIDENTS, &[("score", CLEAR)]);
    assert_eq!(alone.layout, None);
    assert_eq!(alone.unmarked[0].field, "score");
}

#[test]
fn a_single_field_is_not_left_to_the_key() {
    let score_only = RESIDENTS
        .replace(", tolerance = \"5.00\"", "")
        .replace(", tolerance = \"30s\"", "")
        .replace(", synonyms = [[\"北京\", \"北京市\"]]", "");
    assert_eq!(
        found(&laid(&score_only, &ALL_CLEAR)),
        expected(&[("score", "content phone")])
    );
}

#[test]
fn cells_are_found_by_their_own_value_where_there_are_blocks_enough() {
    let blocks_of = |declaration: &str| {
        let text = format!(
            "id = \"d\"\nprovider = \"p\"\nsource = {{ store = \"s\", path = \"d/\", format = \
             \"parquet\" }}\nsharing = \"conditional\"\nmodes = [\"batch\"]\nfields = [{{ name = \
             \"v\", level = 1, {declaration} }}]\n"
        );
        let dataset = dataset(&text);
        let laid = lay_out(&dataset, &planned(&dataset, &[("v", CLEAR)]));
        laid.layout.is_some()
    };
    for (declaration, is_found) in [
        // Half of 12 digits are 10^6 units; a block of two cells has 500.
        (
            "type = \"decimal(12,2)\", category = \"x\", tolerance = \"5.00\"",
            true,
        ),
        (
            "type = \"decimal(12,2)\", category = \"x\", tolerance = \"50.00\"",
            false,
        ),
        (
            "type = \"decimal(6,2)\", category = \"x\", tolerance = \"0.01\"",
            false,
        ),
        // A year of seconds in blocks of 30; of days in blocks of 2.
        (
            "type = \"timestamp(s)\", category = \"x\", tolerance = \"30s\"",
            true,
        ),
        (
            "type = \"date\", category = \"x\", tolerance = \"1d\"",
            false,
        ),
        // Nobody knows how many values an integer or a float has, unless it is declared.
        (
            "type = \"int64\", category = \"x\", tolerance = \"3\"",
            false,
        ),
        (
            "type = \"int64\", category = \"x\", tolerance = \"3\", domain_size = 4000",
            true,
        ),
        (
            "type = \"int64\", category = \"x\", tolerance = \"3\", domain_size = 3999",
            false,
        ),
        (
            "type = \"date\", category = \"birth-date\", tolerance = \"1d\"",
            true,
        ),
        (
            "type = \"int64\", category = \"age\", tolerance = \"1\", domain_size = 100000",
            false,
        ),
    ] {
        assert_eq!(blocks_of(declaration), is_found, "{declaration}");
    }
}

#[test]
fn a_cell_found_by_its_own_value_moves_within_its_block() {
    let layout = laid(RESIDENTS, &ALL_CLEAR).layout.unwrap();
    let reflection = |name: &str| {
        let field = layout.fields.iter().find(|field| field.name == name);
        field.unwrap().reflection()
    };
    assert_eq!(
        reflection("updated"),
        Some(Reflection::InBlock { step: 15 })
    );
    assert_eq!(
        reflection("income"),
        Some(Reflection::AtBorder { step: 500 })
    );
    assert_eq!(reflection("city"), None);
    // It can be made a plan of.
    let columns: Vec<&str> = ALL_CLEAR.iter().map(|(name, _)| *name).collect();
    let plan = layout.scheme("residents", 1).plan_for(&columns).unwrap();
    assert_eq!(plan.fields().len(), 4);
    assert_eq!(plan.anchors().len(), 2);
}

const TAGGED: &str = r#"{ "kind": "hmac", "domain": "d", "tag": 4 }"#;

#[test]
fn a_field_whose_treatment_gives_room_carries_tags() {
    let laid = laid(
        RESIDENTS,
        &[
            ("id", TAGGED),
            ("phone", HMAC),
            ("income", TAGGED),
            ("score", CLEAR),
        ],
    );
    let layout = laid.layout.as_ref().unwrap();
    let carriers: Vec<(&str, Option<u32>)> = layout
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.carrier.tag_bits()))
        .collect();
    // The key too, and a number that is a pseudonym now; after the fields that carry symbols.
    assert_eq!(
        carriers,
        [("score", None), ("id", Some(16)), ("income", Some(16))]
    );
    assert_eq!(laid.unmarked, []);
    let income = layout.of("income").unwrap();
    assert_eq!(
        (income.data_type.as_str(), income.found_by),
        ("utf8", FoundBy::Value)
    );
    let scheme = layout.scheme("residents", 1);
    let read = Scheme::from_bytes(&scheme.to_bytes().unwrap()).unwrap();
    assert_eq!(read, scheme);
    let plan = read.plan_for(&["phone", "score", "income", "id"]).unwrap();
    let tags: Vec<(usize, &str)> = plan
        .tags()
        .iter()
        .map(|tagged| (tagged.column, tagged.name.as_str()))
        .collect();
    assert_eq!(
        (plan.fields().len(), tags),
        (1, vec![(3, "id"), (2, "income")])
    );
    assert_eq!(plan.anchors().len(), layout.anchors.len());
}

#[test]
fn rows_are_found_by_a_tagged_key_as_by_one_without_a_tag() {
    let of = |treatment| {
        let laid = laid(RESIDENTS, &[("id", treatment), ("income", CLEAR)]);
        laid.layout.unwrap()
    };
    let (tagged, plain) = (of(TAGGED), of(HMAC));
    assert_eq!(tagged.anchors, plain.anchors);
    assert_eq!(tagged.of("income"), plain.of("income"));
}

#[test]
fn a_tag_keeps_values_of_special_meaning() {
    let kept = r#"{ "kind": "hmac", "domain": "d", "tag": 4, "sentinels": ["none"] }"#;
    let laid = laid(RESIDENTS, &[("id", kept)]);
    let layout = laid.layout.unwrap();
    let CarrierSpec::Tag { sentinels, .. } = &layout.fields[0].carrier else {
        panic!("{layout:?}");
    };
    assert_eq!(sentinels, &["none"]);
}

#[test]
fn a_handful_of_tags_is_as_good_as_a_hundred_carriers() {
    use crate::marks::Forecast;
    use crate::marks::forecast::{carriers_of, hangs_on_key};

    let laid = laid(RESIDENTS, &[("id", TAGGED)]);
    let layout = laid.layout.unwrap();
    let forecast = Forecast::of(&layout);
    let rows: Option<Vec<u64>> = forecast
        .traceable
        .iter()
        .map(|traced| traced.rows)
        .collect();
    let rows = rows.unwrap();
    assert!(rows[0] == 3 && rows[3] < 50, "{rows:?}");
    assert!(carriers_of(&layout, 4) >= 100 && carriers_of(&layout, 2) < 100);
    let field = &forecast.fields[0];
    assert_eq!(
        (field.tag, field.found_by, &field.furthest),
        (Some(4), "value", &None)
    );
    assert!((0.99..1.0).contains(&field.changed));
    assert!(hangs_on_key(&layout, &["id".to_owned()]) && !hangs_on_key(&layout, &[]));
}
