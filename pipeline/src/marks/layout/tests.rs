use lockgate_transforms::marks::predict::Reflection;
use lockgate_transforms::marks::tag::TagSpace;
use lockgate_transforms::{Column, TreatmentSpec};

use super::*;
use crate::marks::Forecast;
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
            let blocks = match anchor.blocks.as_slice() {
                [] => String::new(),
                blocks => format!("[{}]", blocks.join(" ")),
            };
            format!("{family} {}{blocks}", anchor.fields.join(" "))
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
    // By their own value where there are blocks enough, and else by the blocks of these.
    let blocks = "content [income updated]";
    assert_eq!(
        without(&["phone", "name", "id"]),
        expected(&[
            ("city", blocks),
            ("income", "value"),
            ("score", blocks),
            ("updated", "value")
        ])
    );
}

#[test]
fn where_only_carriers_are_delivered_their_blocks_find_rows() {
    let amounts = |paid: &str, due: &str| {
        let declared = |name: &str, tolerance: &str| {
            format!(
                "{{ name = \"{name}\", type = \"decimal(10,2)\", category = \"x\", level = 1, \
                 tolerance = \"{tolerance}\" }}"
            )
        };
        format!(
            "id = \"d\"\nprovider = \"p\"\nsource = {{ store = \"s\", path = \"d/\", format = \
             \"parquet\" }}\nsharing = \"conditional\"\nmodes = [\"batch\"]\nfields = [{}, {}, {{ name = \
             \"n\", type = \"int64\", category = \"x\", level = 1, tolerance = \"3\" }}]\n",
            declared("paid", paid),
            declared("due", due)
        )
    };
    let all = [("n", CLEAR), ("due", CLEAR), ("paid", CLEAR)];
    // Half of ten digits are 10^5 units, in blocks of two cells of a hundred: five hundred.
    let laid_out = laid(&amounts("2.00", "2.00"), &all);
    let blocks = "content [paid due]";
    assert_eq!(
        found(&laid_out),
        expected(&[("paid", blocks), ("due", blocks), ("n", blocks)])
    );
    let layout = laid_out.layout.unwrap();
    let reflection = |name: &str| layout.of(name).unwrap().reflection();
    assert_eq!(reflection("paid"), Some(Reflection::InBlock { step: 100 }));
    // Nothing tells how many values it has, and no row is found by it.
    assert!(matches!(reflection("n"), Some(Reflection::AtBorder { .. })));
    let scheme = layout.scheme("d", 1);
    let read = Scheme::from_bytes(&scheme.to_bytes().unwrap()).unwrap();
    assert_eq!(read, scheme);
    let plan = read.plan_for(&["due", "n", "paid"]).unwrap();
    assert_eq!((plan.fields().len(), plan.anchors().len()), (3, 1));
    let forecast = Forecast::of(&layout);
    assert_eq!(forecast.fields[2].found_by, "blocks");
    assert_eq!(forecast.fields[2].anchor, ["paid", "due"]);
    // Too few together, or one alone.
    assert_eq!(laid(&amounts("9.00", "9.00"), &all).layout, None);
    let alone = [("n", CLEAR), ("paid", CLEAR)];
    assert_eq!(laid(&amounts("2.00", "2.00"), &alone).layout, None);
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

#[test]
fn several_blocks_are_one_place_where_there_are_many() {
    let carrier = |declared: &str| {
        let text = RESIDENTS.replace(
            "type = \"int64\", category = \"count\", level = 1, tolerance = \"0\"",
            &format!("type = \"int64\", category = \"count\", level = 1, {declared}"),
        );
        let layout = laid(&text, &[("fixed", CLEAR)]).layout.unwrap();
        let field = layout.of("fixed").unwrap();
        // It can be made a plan of.
        let scheme = layout.scheme("residents", 1);
        assert_eq!(scheme.plan_for(&["fixed"]).unwrap().fields().len(), 1);
        (field.carrier.span(), layout.places_of(field).unwrap())
    };
    // Blocks of four units, two cells of two.
    for (values, span, places) in [
        (4_000, 1, 1_000),
        (31_999, 1, 7_999),
        (32_000, 2, 4_000),
        (64_000, 4, 4_000),
        (128_000, 8, 4_000),
        (1_280_000, 8, 40_000),
    ] {
        let declared = format!("tolerance = \"3\", domain_size = {values}");
        assert_eq!(carrier(&declared), (span, places), "{values}");
    }
    // A field that is found by its row has no places of its own.
    let layout = laid(RESIDENTS, &ALL_CLEAR).layout.unwrap();
    let spans = layout.fields.iter().map(|field| field.carrier.span());
    assert_eq!(spans.collect::<Vec<_>>(), [1, 1, 1, 8]);
}

#[test]
fn half_of_the_cells_carry_and_every_tag() {
    let fields = [
        ("id", TAGGED),
        ("phone", CLEAR),
        ("income", CLEAR),
        ("city", CLEAR),
    ];
    let layout = laid(RESIDENTS, &fields).layout.unwrap();
    let densities = layout.fields.iter().map(|field| field.density);
    assert_eq!(
        densities.collect::<Vec<_>>(),
        [Density::HALF, Density::HALF, Density::ALL]
    );
}

#[test]
fn a_suite_is_part_of_the_plan_where_it_is_not_the_usual_one() {
    let all = laid(RESIDENTS, &ALL_CLEAR);
    let written = |laid: &Laid| serde_json::to_value(laid.layout.as_ref().unwrap()).unwrap();
    assert!(written(&all)["suite"].is_null());
    let other = all.clone().of_suite(PrfSuite::Sm4);
    assert_eq!(written(&other)["suite"], "SM4-CMAC");
    let scheme = |laid: Laid| laid.layout.unwrap().scheme("residents", 1);
    assert_eq!(scheme(other).suite, PrfSuite::Sm4);
    assert_eq!(scheme(all).suite, PrfSuite::Aes);
}

const TAGGED: &str = r#"{ "kind": "hmac", "domain": "d", "tag": 4 }"#;

#[test]
fn an_identifier_whose_treatment_gives_digits_carries_tags() {
    let treatment = r#"{ "kind": "structured-id", "of": "mobile", "domain": "d", "tag": 2 }"#;
    let layout = laid(RESIDENTS, &[("phone", treatment), ("income", CLEAR)]).layout;
    let layout = layout.unwrap();
    let phone = layout.of("phone").unwrap();
    assert_eq!(phone.carrier.tag_space(), Some(TagSpace::new(100)));
    // By it rows are found, too: by what the digits leave.
    assert_eq!(
        found(&Laid {
            layout: Some(layout.clone()),
            unmarked: Vec::new()
        }),
        expected(&[("income", "content phone"), ("phone", "value")])
    );
    let scheme = layout.scheme("residents", 1);
    let bytes = scheme.to_bytes().unwrap();
    assert_eq!(Scheme::from_bytes(&bytes).unwrap(), scheme);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(r#""id":"mobile""#), "{text}");
    let plan = scheme.plan_for(&["income", "phone"]).unwrap();
    assert_eq!((plan.fields().len(), plan.tags().len()), (1, 1));
    // Another length or other characters than identifiers have.
    for (said, other) in [
        (r#""length":11"#, r#""length":12"#),
        (r#""encoding":"hex""#, r#""encoding":"base32""#),
        (r#""characters":2"#, r#""characters":3"#),
    ] {
        assert!(text.contains(said), "{text}");
        let altered = Scheme::from_bytes(text.replace(said, other).as_bytes()).unwrap();
        assert!(altered.plan_for(&["income", "phone"]).is_err(), "{other}");
    }
    // Schemes of other tags are what they were.
    let other = laid(RESIDENTS, &[("phone", TAGGED)]).layout.unwrap();
    let other = String::from_utf8(other.scheme("residents", 1).to_bytes().unwrap());
    assert!(!other.unwrap().contains(r#""id":"#));
}

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
    let carriers: Vec<(&str, Option<TagSpace>)> = layout
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.carrier.tag_space()))
        .collect();
    // The key too, and a number that is a pseudonym now; after the fields that carry symbols.
    assert_eq!(
        carriers,
        [
            ("score", None),
            ("id", Some(TagSpace::of_bits(16))),
            ("income", Some(TagSpace::of_bits(16)))
        ]
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

const NOISE: &str = r#"{ "kind": "noise-num", "domain": "d", "distribution": "laplace", "scale": "100",
    "clamp": { "min": "0" }, "sentinels": [-1], "mark": true }"#;

#[test]
fn a_field_of_noise_carries_where_its_rows_are_found() {
    let all = laid(
        RESIDENTS,
        &[("id", CLEAR), ("phone", CLEAR), ("income", NOISE)],
    );
    assert_eq!(found(&all), expected(&[("income", "content phone")]));
    assert_eq!(all.unmarked, []);
    let layout = all.layout.unwrap();
    assert!((layout.carriers_per_row() - 1.0).abs() < 1e-9);
    let carrier = CarrierSpec::Noise {
        step: 2_500,
        decimals: None,
        sentinels: vec!["0".parse().unwrap(), "-1".parse().unwrap()],
    };
    assert_eq!(layout.fields[0].carrier, carrier);
    let mut scheme = layout.scheme("residents", 1);
    let read = Scheme::from_bytes(&scheme.to_bytes().unwrap()).unwrap();
    assert_eq!(read, scheme);
    assert_eq!(
        read.plan_for(&["phone", "income"]).unwrap().fields().len(),
        1
    );
    scheme.fields[0].density = Density::HALF;
    assert!(scheme.plan_for(&["phone", "income"]).is_err());
    let by_key = laid(RESIDENTS, &[("id", HMAC), ("income", NOISE)]);
    assert_eq!(found(&by_key), expected(&[("income", "key id")]));
    let lost = laid(RESIDENTS, &[("sex", CLEAR), ("income", NOISE)]);
    assert_eq!(
        (lost.layout, lost.unmarked[0].field.as_str()),
        (None, "income")
    );
}

#[test]
fn no_row_is_found_by_noise_that_a_mark_chooses() {
    let with = laid(
        RESIDENTS,
        &[("name", CLEAR), ("fixed", NOISE), ("income", CLEAR)],
    );
    assert_eq!(
        found(&with),
        expected(&[("income", "content name"), ("fixed", "content name")])
    );
}

#[test]
fn a_plan_says_that_noise_is_chosen() {
    use crate::marks::Forecast;

    let laid = laid(RESIDENTS, &[("phone", CLEAR), ("income", NOISE)]);
    let forecast = Forecast::of(&laid.layout.unwrap());
    let field = &forecast.fields[0];
    assert_eq!((field.chosen, field.found_by), (Some("noise"), "content"));
    assert_eq!((field.tag, &field.furthest), (None, &None));
    assert!((field.changed - 0.5).abs() < 1e-9);
}

#[test]
fn a_field_of_which_any_value_may_stand_carries() {
    const ANY_DAY: &str = r#"{ "kind": "date-trunc", "unit": "month", "as": "any" }"#;
    const ANY_VALUE: &str =
        r#"{ "kind": "bucket", "width": "1000", "as": "any", "sentinels": [-1] }"#;
    let all = laid(
        RESIDENTS,
        &[
            ("phone", CLEAR),
            ("updated", ANY_DAY),
            ("income", ANY_VALUE),
            ("score", CLEAR),
        ],
    );
    assert_eq!(
        found(&all),
        expected(&[
            ("score", "content phone"),
            ("income", "content phone"),
            ("updated", "content phone"),
        ])
    );
    assert_eq!(all.unmarked, []);
    let layout = all.layout.unwrap();
    let income = CarrierSpec::Interval {
        width: "1000".parse().unwrap(),
        origin: "0".parse().unwrap(),
        sentinels: vec!["-1".parse().unwrap()],
    };
    assert_eq!(layout.of("income").unwrap().carrier, income);
    let mut scheme = layout.scheme("residents", 1);
    let read = Scheme::from_bytes(&scheme.to_bytes().unwrap()).unwrap();
    assert_eq!(read, scheme);
    let columns = ["phone", "income", "updated", "score"];
    assert_eq!(read.plan_for(&columns).unwrap().fields().len(), 3);
    scheme.fields[2].found_by = FoundBy::Value;
    assert!(scheme.plan_for(&columns).is_err());
    // Without it they carry nothing.
    let start = r#"{ "kind": "date-trunc", "unit": "month" }"#;
    let without = laid(RESIDENTS, &[("phone", CLEAR), ("updated", start)]);
    assert_eq!(without.layout, None);
}
