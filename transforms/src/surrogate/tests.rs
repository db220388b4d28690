//! What every facet of one person shares: who it is, and nothing else.

mod agreement;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, LargeStringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type};
use proptest::prelude::*;

use super::testing::{Field, alone, key, resident_ids, texts, treat, treat_texts, try_treat};
use crate::calendar::Civil;
use crate::check_digit;
use crate::divisions::Codes;
use crate::error::TreatmentError;
use crate::persona::{ResidentId, Sex};
use crate::spec::{Column, Row, RowField};
use crate::testing::{misfit, spec};

/// People by their key, with their facets as some register holds them.
fn people(count: u32) -> Vec<Field> {
    let ids = resident_ids(count);
    let of = |make: &dyn Fn(ResidentId) -> String| -> ArrayRef {
        texts(
            ids.iter()
                .map(|id| Some(make(ResidentId::read(id).unwrap()))),
        )
    };
    let sex = of(&|id| if id.sex() == Sex::Male { "男" } else { "女" }.to_owned());
    let births = ids
        .iter()
        .map(|id| ResidentId::read(id).unwrap().birth.to_days());
    let births = Date32Array::from_iter_values(births.map(|days| i32::try_from(days).unwrap()));
    vec![
        ("person_id", "resident-id", texts(ids.iter().map(Some))),
        (
            "name",
            "person-name",
            texts(ids.iter().map(|_| Some("张三"))),
        ),
        ("sex", "gender", sex),
        ("birth", "birth-date", Arc::new(births)),
        ("region", "division-code", of(&|id| id.region.to_string())),
        (
            "age",
            "age",
            Arc::new(Int64Array::from(vec![40; ids.len()])),
        ),
        (
            "phone",
            "mobile",
            texts(ids.iter().map(|_| Some("13800138000"))),
        ),
    ]
}

/// The table, with that field first.
fn first(name: &str, table: &[Field]) -> Vec<Field> {
    let mut table = table.to_vec();
    let place = table.iter().position(|(own, _, _)| *own == name).unwrap();
    table.swap(0, place);
    table
}

fn facet(kind: &str, rest: &str) -> String {
    format!("{{ kind = '{kind}', domain = 'person.id', by = 'person_id'{rest} }}")
}

fn ids_of(texts: &[Option<String>]) -> Vec<ResidentId> {
    texts
        .iter()
        .map(|text| ResidentId::read(text.as_deref().unwrap()).unwrap())
        .collect()
}

#[test]
fn the_facets_of_a_person_agree() {
    let table = people(400);
    let ids = treat_texts("{ kind = 'fake-id', domain = 'person.id' }", &table);
    let sexes = treat_texts(&facet("fake-sex", ""), &first("sex", &table));
    let births = treat(&facet("fake-birth-date", ""), &first("birth", &table));
    let births = births.as_primitive::<Date32Type>();
    let regions = treat_texts(&facet("fake-region", ""), &first("region", &table));
    let age = facet("fake-age", ", as_of = 2026-06-30");
    let ages = treat(&age, &first("age", &table));
    let ages = ages.as_primitive::<Int64Type>();
    let codes = Codes::new();
    for (row, id) in ids_of(&ids).into_iter().enumerate() {
        let sex = if id.sex() == Sex::Male { "男" } else { "女" };
        assert_eq!(sexes[row].as_deref(), Some(sex));
        assert_eq!(i64::from(births.value(row)), id.birth.to_days());
        assert_eq!(regions[row], Some(id.region.to_string()));
        let before = (6, 30) < (id.birth.month, id.birth.day);
        assert_eq!(ages.value(row), 2026 - id.birth.year - i64::from(before));
        let (place, year) = (codes.find(id.region).unwrap(), id.birth.year);
        assert!(
            codes.in_force(place, year.try_into().unwrap()),
            "{}",
            id.region
        );
    }
}

#[test]
fn a_drawn_name_follows_the_drawn_sex() {
    // The characters of men's and women's names differ, and every given name is of one table.
    let table = people(300);
    let ids = ids_of(&treat_texts(
        "{ kind = 'fake-id', domain = 'person.id' }",
        &table,
    ));
    let drawn = treat_texts(&facet("fake-name", ""), &first("name", &table));
    let clear = facet("fake-name", ", keep = ['sex'], sex = 'person_id'");
    let drawn_for_clear = treat_texts(&clear, &first("name", &table));
    let originals = ids_of(
        &(0..300)
            .map(|row| Some(resident_ids(300)[row].clone()))
            .collect::<Vec<_>>(),
    );
    let ends_as = |name: &Option<String>, sex: Sex| {
        let last = name.as_deref().unwrap().chars().last().unwrap();
        crate::persona::Naming::new().is_given(last, sex)
    };
    for row in 0..300 {
        assert!(ends_as(&drawn[row], ids[row].sex()));
        assert!(ends_as(&drawn_for_clear[row], originals[row].sex()));
        if ids[row].sex() == originals[row].sex() {
            assert_eq!(drawn[row], drawn_for_clear[row]);
        }
    }
}

#[test]
fn every_resident_number_is_valid_and_none_is_its_original() {
    let table = people(3_000);
    let (originals, codes) = (resident_ids(3_000), Codes::new());
    for keep in [
        "",
        ", keep = ['district', 'birth-year', 'sex'], when_unfit = 'widen'",
    ] {
        let spec = format!("{{ kind = 'fake-id', domain = 'person.id'{keep} }}");
        let ids = treat_texts(&spec, &table);
        for (id, original) in ids.iter().zip(&originals) {
            let id = id.as_deref().unwrap();
            let (check, digits) = id.as_bytes().split_last().unwrap();
            assert_eq!(check_digit::resident_id::check(digits), Some(*check));
            assert_ne!(id, original);
            let read = ResidentId::read(id).unwrap();
            let own = ResidentId::read(original).unwrap();
            assert!((1..=999).contains(&read.sequence));
            let year = read.birth.year.try_into().unwrap();
            let in_force = |code| codes.in_force(codes.find(code).unwrap(), year);
            assert!(in_force(read.region), "{id}");
            if !keep.is_empty() {
                assert_eq!((read.birth.year, read.sex()), (own.birth.year, own.sex()));
                assert_eq!(read.region == own.region, in_force(own.region), "{id}");
                assert_eq!(read.region / 10_000, own.region / 10_000);
            }
        }
    }
}

#[test]
fn a_kept_district_is_kept_or_the_value_is_invalid() {
    let table = people(3_000);
    let (originals, codes) = (resident_ids(3_000), Codes::new());
    let keep = "keep = ['district', 'birth-year']";
    let id = format!("{{ kind = 'fake-id', domain = 'person.id', {keep} }}");
    let treated = try_treat(&id, &table, &key(7)).unwrap();
    let ids = treated.array.as_string::<i32>();
    let mut invalid = 0;
    for (id, original) in ids.iter().zip(&originals) {
        let own = ResidentId::read(original).unwrap();
        let year = own.birth.year.try_into().unwrap();
        match ResidentId::read(id.unwrap()) {
            Some(id) => assert_eq!((id.region, id.birth.year), (own.region, own.birth.year)),
            None => {
                assert!(
                    !codes.in_force(codes.find(own.region).unwrap(), year),
                    "{original}"
                );
                invalid += 1;
            }
        }
    }
    assert!(invalid > 100, "{invalid}");
    assert_eq!(treated.counts.invalid, invalid);
    let reads = "birth = 'person_id', region = 'person_id'";
    let region = facet("fake-region", &format!(", {keep}, {reads}"));
    let regions = try_treat(&region, &first("region", &table), &key(7)).unwrap();
    assert_eq!(regions.counts.invalid, invalid);
}

#[test]
fn results_that_keep_a_wider_part_are_counted() {
    let table = people(3_000);
    let keep = "keep = ['district', 'birth-year']";
    let reads = "birth = 'person_id', region = 'person_id'";
    let counted = |text: &str, table: &[Field]| try_treat(text, table, &key(7)).unwrap().counts;
    let strict = format!("{{ kind = 'fake-id', domain = 'person.id', {keep} }}");
    let strict = counted(&strict, &table);
    assert_eq!(strict.widened, 0);
    let id = format!("{{ kind = 'fake-id', domain = 'person.id', {keep}, when_unfit = 'widen' }}");
    let widened = counted(&id, &table);
    assert_eq!((widened.widened, widened.invalid), (strict.invalid, 0));
    assert!(widened.widened > 100);
    for kind in ["fake-region", "fake-birth-date"] {
        let text = facet(kind, &format!(", {keep}, {reads}, when_unfit = 'widen'"));
        let first = match kind {
            "fake-region" => first("region", &table),
            _ => first("birth", &table),
        };
        assert_eq!(counted(&text, &first).widened, strict.invalid, "{kind}");
    }
    let value = serde_json::to_value(&strict).unwrap();
    assert!(
        value.get("widened").is_none(),
        "left out where there are none"
    );
    // A dictionary's values are treated once and counted as often as they occur.
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let ids = cast(&table[0].2, &dictionary).unwrap();
    let counts = counted(&id, &[("person_id", "resident-id", ids)]);
    assert_eq!(counts.widened, widened.widened);
}

#[test]
fn to_widen_is_more_than_to_refuse_and_nothing_where_nothing_can_be_widened() {
    let id = |rest: &str| spec(&format!("{{ kind = 'fake-id', domain = 'd'{rest} }}"));
    let (strict, wide) = (
        id(", keep = ['city']"),
        id(", keep = ['city'], when_unfit = 'widen'"),
    );
    assert!(strict.meets(&wide) && !wide.meets(&strict) && id("").meets(&strict));
    let narrower = id(", keep = ['province']");
    assert!(narrower.meets(&wide) && narrower.meets(&strict));
    for keep in ["", ", keep = ['province']", ", keep = ['birth-year']"] {
        let column = Column::alone("field", &DataType::Utf8, "resident-id");
        let misfit = id(&format!("{keep}, when_unfit = 'widen'")).output_type(column);
        assert_eq!(misfit.unwrap_err().parameter, Some("when_unfit"), "{keep}");
    }
}

#[test]
fn kept_parts_agree_between_fields_that_keep_them() {
    let table = people(300);
    let id = "{ kind = 'fake-id', domain = 'person.id', keep = ['city', 'birth-year'], \
         when_unfit = 'widen' }";
    let ids = ids_of(&treat_texts(id, &table));
    let kept = "keep = ['city', 'birth-year'], when_unfit = 'widen', birth = 'person_id', \
         region = 'person_id'";
    let birth = facet("fake-birth-date", &format!(", {kept}"));
    let births = treat(&birth, &first("birth", &table));
    let births = births.as_primitive::<Date32Type>();
    let region = facet("fake-region", &format!(", {kept}"));
    let regions = treat_texts(&region, &first("region", &table));
    for (row, id) in ids.iter().enumerate() {
        assert_eq!(i64::from(births.value(row)), id.birth.to_days());
        assert_eq!(regions[row], Some(id.region.to_string()));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of spellings")]
fn one_thing_written_in_several_ways_has_one_surrogate() {
    let cases: [(&str, &str, &[&str]); 7] = [
        (
            "plate",
            "plate",
            &[
                "浙A12345",
                "浙a12345",
                "浙A·12345",
                "浙A・12345",
                "浙A-12345",
                " 浙Ａ１２３４５ ",
            ],
        ),
        (
            "vin",
            "vin",
            &[
                "LSVAA49J132047371",
                "lsvaa49j132047371",
                "ＬＳＶＡＡ４９Ｊ１３２０４７３７１",
            ],
        ),
        (
            "uscc",
            "credit-code",
            &[
                "91110000600037341L",
                "91110000600037341l",
                "９１１１００００６０００３７３４１Ｌ",
            ],
        ),
        (
            "passport",
            "passport",
            &["EA1234567", "ea1234567", "ＥＡ１２３４５６７", "EA 1234567"],
        ),
        (
            "id",
            "resident-id",
            &[
                "11010519491231002X",
                "11010519491231002x",
                "110105491231002",
            ],
        ),
        (
            "card",
            "bank-card",
            &["4111111111111111", "4111 1111 1111 1111"],
        ),
        (
            "phone",
            "mobile",
            &["13800138000", "+86 138-0013-8000", "１３８００１３８０００"],
        ),
    ];
    for (kind, category, spellings) in cases {
        let own = format!("{{ kind = 'fake-{kind}', domain = 'd' }}");
        // The kind knows what it reads, whatever the catalogue calls the field.
        for category in [category, "other"] {
            let written = alone(&own, category, spellings);
            assert!(!written[0].as_deref().unwrap().starts_with('*'), "{kind}");
            assert!(
                written.iter().all(|one| *one == written[0]),
                "{kind} {category}: {written:?}"
            );
        }
        // And beside its key in another field.
        let linked = format!("{{ kind = 'fake-{kind}', domain = 'd', by = 'key' }}");
        let table: Vec<Field> = vec![
            (
                "field",
                category,
                texts(spellings.iter().map(|_| Some(spellings[0]))),
            ),
            (
                "key",
                category,
                texts(spellings.iter().map(|own| Some(*own))),
            ),
        ];
        let written = treat_texts(&linked, &table);
        assert!(
            written.iter().all(|one| *one == written[0]),
            "{kind}: {written:?}"
        );
        assert_eq!(written[0], alone(&own, category, spellings)[0], "{kind}");
    }
}

#[test]
fn a_person_is_the_same_in_every_spelling_and_form_of_the_key() {
    let spelt = [
        "11010519491231002X",
        "11010519491231002x",
        " 110105 19491231 002X",
        "110105491231002",
    ];
    let ids = alone(
        "{ kind = 'fake-id', domain = 'person.id' }",
        "resident-id",
        &spelt,
    );
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let names: ArrayRef = texts([Some("李四"), Some("王五"), Some("李四")]);
    let plain = texts([Some("a"), None, Some("b")]);
    let field = |by: ArrayRef| -> Vec<Field> {
        vec![
            ("name", "person-name", Arc::clone(&names)),
            ("person_id", "other", by),
        ]
    };
    let expected = treat_texts(&facet("fake-name", ""), &field(Arc::clone(&plain)));
    assert_eq!(
        expected[1].as_deref(),
        Some("**"),
        "who has no key is no one"
    );
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for form in [DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        let by = cast(&plain, &form).unwrap();
        assert_eq!(treat_texts(&facet("fake-name", ""), &field(by)), expected);
        let mut table = field(Arc::clone(&plain));
        table[0].2 = cast(&names, &form).unwrap();
        assert_eq!(treat_texts(&facet("fake-name", ""), &table), expected);
    }
    let numbers: Vec<Field> = vec![
        ("name", "person-name", texts([Some("李四"), Some("李四")])),
        ("person_id", "other", Arc::new(Int64Array::from(vec![1, 2]))),
    ];
    let by_number = treat_texts(&facet("fake-name", ""), &numbers);
    let by_text = [
        numbers[0].clone(),
        ("person_id", "other", texts([Some("1"), Some("2")])),
    ];
    assert_eq!(by_number, treat_texts(&facet("fake-name", ""), &by_text));
}

#[test]
fn another_key_draws_other_people() {
    let table = people(200);
    let with = |master| {
        let treated =
            try_treat("{ kind = 'fake-id', domain = 'd' }", &table, &key(master)).unwrap();
        treated
            .array
            .as_string::<i32>()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (mine, theirs) = (with(7), with(8));
    assert_eq!(mine, with(7));
    assert!(
        mine.iter()
            .zip(&theirs)
            .all(|(mine, theirs)| mine != theirs)
    );
}

#[test]
fn no_pseudonym_tells_a_draw() {
    // `hmac` publishes its MAC of the same value under the same derived key.
    let id = "11010519491231002X";
    let pseudonym = alone(
        "{ kind = 'hmac', domain = 'person.id' }",
        "resident-id",
        &[id],
    );
    let draw = crate::persona::SurrogateKey::new(&key(7), "person")
        .unwrap()
        .draw(id);
    let word = format!("{:08x}", draw.word(0));
    assert!(!pseudonym[0].as_deref().unwrap().starts_with(&word));
}

#[test]
fn malformed_values_are_covered_and_counted() {
    for (kind, category, values) in [
        (
            "fake-id",
            "resident-id",
            ["110105194912310021", "12345", "张三"],
        ),
        (
            "fake-phone",
            "mobile",
            ["0571-88888888", "1380013800", "abc"],
        ),
        ("fake-region", "division-code", ["3301", "33010a", "浙江"]),
        (
            "fake-birth-date",
            "birth-date",
            ["1949-02-30", "1949", "abc"],
        ),
        ("fake-sex", "gender", ["9", "0", "x"]),
        ("fake-age", "age", ["200", "-1", "四十"]),
    ] {
        let rest = if kind == "fake-age" {
            ", as_of = 2026-01-01"
        } else {
            ""
        };
        let spec = format!("{{ kind = '{kind}', domain = 'd'{rest} }}");
        let table: [Field; 1] = [("field", category, texts(values.map(Some)))];
        let treated = try_treat(&spec, &table, &key(7)).unwrap();
        assert_eq!(treated.counts.invalid, 3, "{kind}");
        let covered = treated.array.as_string::<i32>();
        let stars = |text: Option<&str>| text.unwrap().bytes().all(|byte| byte == b'*');
        assert!(covered.iter().all(stars), "{kind}");
    }
}

#[test]
fn numbers_and_dates_that_do_not_fit_are_null() {
    let regions: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![330_106, 5, -1]));
    let treated = treat(
        "{ kind = 'fake-region', domain = 'd' }",
        &[("r", "division-code", regions)],
    );
    let codes = treated.as_primitive::<Int32Type>();
    assert!(codes.is_valid(0) && codes.is_null(1) && codes.is_null(2));
    let births: ArrayRef = Arc::new(Date32Array::from(vec![0, i32::MAX, -1_000_000]));
    let treated = treat(
        "{ kind = 'fake-birth-date', domain = 'd' }",
        &[("b", "birth-date", births)],
    );
    let births = treated.as_primitive::<Date32Type>();
    assert!(births.is_valid(0) && births.is_null(1) && births.is_null(2));
    let year = Civil::of_days(i64::from(births.value(0))).year;
    assert!((1945..2006).contains(&year));
}

#[test]
fn dates_and_sexes_keep_their_form() {
    let spec = "{ kind = 'fake-birth-date', domain = 'd', keep = ['birth-year'] }";
    let written = alone(
        spec,
        "other",
        &["1949-12-31", "19491231", "1949/12/31", "1949年12月31日"],
    );
    for (text, shape) in
        written
            .iter()
            .zip(["dddd-dd-dd", "dddddddd", "dddd/dd/dd", "dddd年dd月dd日"])
    {
        let text = text.as_deref().unwrap();
        let digits: String = text
            .chars()
            .map(|c| if c.is_ascii_digit() { 'd' } else { c })
            .collect();
        assert!(digits == shape && text.starts_with("1949"), "{text}");
    }
    let sexes = alone(
        "{ kind = 'fake-sex', domain = 'd' }",
        "gender",
        &["1", "女", "F", "male"],
    );
    for (sex, words) in sexes
        .iter()
        .zip([["1", "2"], ["男", "女"], ["M", "F"], ["male", "female"]])
    {
        assert!(words.contains(&sex.as_deref().unwrap()));
    }
}

#[test]
fn a_context_without_the_fields_it_reads_is_an_error() {
    let table = people(2);
    let table = first("name", &table);
    let spec = spec(&facet("fake-name", ""));
    let fields = [RowField {
        name: "person_id",
        data_type: &DataType::Utf8,
        category: "resident-id",
    }];
    let column = Column {
        row: Row(&fields),
        ..Column::alone("name", &DataType::Utf8, "person-name")
    };
    let built = spec.build(column, Some(&key(7))).unwrap();
    assert!(matches!(
        built.apply(&table[0].2),
        Err(TreatmentError::Arrow(_))
    ));
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["张三"; 2]));
    assert!(built.apply(&large).is_err());
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    for (spec, parameter) in [
        ("{ kind = 'fake-name', domain = ' ' }", "domain"),
        ("{ kind = 'fake-name', domain = 'd', join = '' }", "join"),
        ("{ kind = 'fake-name', domain = 'd', by = 'nowhere' }", "by"),
        (
            "{ kind = 'fake-name', domain = 'd', keep = ['sex'] }",
            "keep",
        ),
        (
            "{ kind = 'fake-name', domain = 'd', keep = ['length', 'length'] }",
            "keep",
        ),
        ("{ kind = 'fake-name', domain = 'd', sex = 's' }", "sex"),
        ("{ kind = 'fake-id', domain = 'd', birth = 'b' }", "birth"),
        (
            "{ kind = 'fake-id', domain = 'd', region = 'r', keep = ['sex'] }",
            "region",
        ),
        (
            "{ kind = 'fake-region', domain = 'd', region = 'r' }",
            "region",
        ),
        (
            "{ kind = 'fake-region', domain = 'd', keep = ['city', 'birth-year'] }",
            "keep",
        ),
        (
            "{ kind = 'fake-address', domain = 'd', keep = ['city'], birth = 'b' }",
            "birth",
        ),
        (
            "{ kind = 'fake-birth-date', domain = 'd', keep = ['district'] }",
            "keep",
        ),
        (
            "{ kind = 'fake-birth-date', domain = 'd', keep = ['birth-year'], region = 'r' }",
            "region",
        ),
        (
            "{ kind = 'fake-age', domain = 'd', as_of = 2005-12-31 }",
            "as_of",
        ),
        (
            "{ kind = 'fake-age', domain = 'd', as_of = 2026-01-01, keep = ['birth-year'] }",
            "keep",
        ),
    ] {
        assert_eq!(misfit(spec).parameter, Some(parameter), "{spec}");
    }
}

#[test]
fn a_floor_is_met_by_what_keeps_and_links_no_more() {
    let meets = |own: &str, floor: &str| spec(own).meets(&spec(floor));
    let id = |rest: &str| format!("{{ kind = 'fake-id', domain = 'd'{rest} }}");
    assert!(meets(&id(""), &id(", keep = ['sex']")));
    assert!(meets(
        &id(", keep = ['province']"),
        &id(", keep = ['city']")
    ));
    assert!(!meets(&id(", keep = ['sex']"), &id("")));
    assert!(!meets(&id(", join = 'j'"), &id("")));
    assert!(meets(&id(""), &id(", join = 'j'")));
    assert!(!meets(&id(", by = 'k'"), &id("")));
    assert!(!meets("{ kind = 'fake-id', domain = 'e' }", &id("")));
    let birth = |keep: &str| {
        format!("{{ kind = 'fake-birth-date', domain = 'd', keep = [{keep}], region = 'r' }}")
    };
    assert!(meets(&birth("'province'"), &birth("'birth-year', 'city'")));
    assert!(!meets(&birth("'city', 'birth-year'"), &birth("'city'")));
    let phone = |keep: &str| format!("{{ kind = 'fake-phone', domain = 'd', keep = [{keep}] }}");
    assert!(meets(&phone("'carrier'"), &phone("'prefix'")));
    assert!(!meets(&phone("'prefix'"), &phone("'carrier'")));
}

#[test]
fn a_null_gets_the_surrogate_of_the_rows_person() {
    let mut table = people(60);
    for (kind, field, rest) in [
        ("fake-name", "name", ""),
        ("fake-name", "name", ", keep = ['sex'], sex = 'sex'"),
        ("fake-phone", "phone", ""),
        ("fake-birth-date", "birth", ""),
        ("fake-age", "age", ", as_of = 2026-06-30"),
        ("fake-region", "region", ""),
    ] {
        let given = first(field, &table);
        let spec = facet(kind, &format!("{rest}, on_null = 'synthesize'"));
        let without: Vec<Field> = given
            .iter()
            .enumerate()
            .map(|(place, (name, category, array))| {
                let nulls = arrow::array::new_null_array(array.data_type(), array.len());
                (
                    *name,
                    *category,
                    if place == 0 { nulls } else { Arc::clone(array) },
                )
            })
            .collect();
        let treated = try_treat(&spec, &without, &key(7)).unwrap();
        assert_eq!(treated.array.null_count(), 0, "{kind}");
        assert_eq!((treated.counts.nulls, treated.counts.invalid), (60, 0));
        // Whoever has a value elsewhere has the same surrogate there.
        assert_eq!(&treated.array, &treat(&facet(kind, rest), &given), "{kind}");
    }
    // A row that names nobody has nobody to draw for.
    table[0].2 = texts((0..60).map(|row| (row % 2 == 0).then(|| format!("{row}"))));
    let mut named = first("name", &table);
    named[0].2 = texts((0..60).map(|_| None::<&str>));
    let spec = facet(
        "fake-name",
        ", on_null = 'synthesize', on_invalid = 'reject'",
    );
    let treated = try_treat(&spec, &named, &key(7)).unwrap();
    assert_eq!(treated.array.null_count(), 30);
    assert_eq!((treated.counts.nulls, treated.rejected), (60, None));
}

#[test]
fn a_null_gets_any_surrogate_of_which_nothing_is_read_from_the_value() {
    let ids = resident_ids(40);
    let all = |text: &str| texts((0..40).map(|_| Some(text.to_owned())));
    let person = ("person_id", "other", texts(ids.iter().map(Some)));
    let kept = ", keep = ['sex', 'birth-year', 'city'], when_unfit = 'widen', sex = 'person_id', \
         birth = 'person_id', region = 'person_id'";
    for (kind, rest, value) in [
        ("fake-id", "", ""),
        ("fake-id", kept, ""),
        ("fake-uscc", "", "91110000600037341L"),
        ("fake-org", "", "杭州某某有限公司"),
        ("fake-passport", "", "E12345679"),
        ("fake-vin", "", "1M8GDM9AXKP042788"),
    ] {
        let value = match kind {
            "fake-id" => ids.first().unwrap(),
            _ => value,
        };
        let given = [("value", "other", all(value)), person.clone()];
        let nulls = texts((0..40).map(|_| None::<&str>));
        let without = [("value", "other", nulls), person.clone()];
        let spec = facet(kind, &format!("{rest}, on_null = 'synthesize'"));
        let treated = try_treat(&spec, &without, &key(7)).unwrap();
        assert_eq!(
            (treated.counts.nulls, treated.counts.invalid),
            (40, 0),
            "{kind}"
        );
        assert_eq!(&treated.array, &treat(&facet(kind, rest), &given), "{kind}");
    }
}

#[test]
fn a_null_whose_surrogate_cant_be_drawn_is_as_invalid_as_a_value() {
    let spec = |rest: &str| {
        let kept = ", keep = ['province'], region = 'place', on_null = 'synthesize'";
        facet("fake-region", &format!("{kept}{rest}"))
    };
    let nulls: Vec<Field> = vec![
        (
            "region",
            "region-code",
            texts([None::<&str>, None, Some("330106")]),
        ),
        (
            "person_id",
            "other",
            texts([Some("1"), Some("2"), Some("3")]),
        ),
        (
            "place",
            "other",
            texts([Some("330106"), Some("?"), Some("?")]),
        ),
    ];
    let treated = try_treat(&spec(", on_invalid = 'reject'"), &nulls, &key(7)).unwrap();
    assert!(treated.array.is_valid(0) && treated.array.is_null(1));
    assert_eq!((treated.counts.nulls, treated.counts.invalid), (1, 2));
    assert_eq!(crate::testing::flagged(treated.rejected.as_ref()), [1, 2]);
    assert!(try_treat(&spec(", on_invalid = 'fail'"), &nulls, &key(7)).is_err());
}

#[test]
fn a_null_gets_none_where_something_of_the_value_would_show() {
    let key_field = [RowField {
        name: "person_id",
        data_type: &DataType::Utf8,
        category: "resident-id",
    }];
    for (kind, rest, data_type, fits) in [
        ("fake-name", ", keep = ['length']", DataType::Utf8, false),
        ("fake-phone", ", keep = ['carrier']", DataType::Utf8, false),
        ("fake-phone", "", DataType::Utf8, true),
        ("fake-phone", ", landline = 'drawn'", DataType::Utf8, false),
        ("fake-sex", "", DataType::Utf8, false),
        ("fake-sex", "", DataType::Int32, true),
        ("fake-birth-date", "", DataType::Utf8, false),
        ("fake-birth-date", "", DataType::Date32, true),
        ("fake-email", "", DataType::Utf8, true),
        ("fake-address", "", DataType::Utf8, true),
        ("fake-id", "", DataType::Utf8, true),
        ("fake-id", ", keep = ['sex']", DataType::Utf8, false),
        ("fake-uscc", ", keep = ['dept']", DataType::Utf8, false),
        ("fake-org", ", keep = ['type']", DataType::Utf8, false),
        ("fake-passport", ", keep = ['type']", DataType::Utf8, false),
        ("fake-vin", ", keep = ['year']", DataType::Utf8, false),
        // As long as the value; of the sort of the value.
        ("fake-card", "", DataType::Utf8, false),
        ("fake-plate", "", DataType::Utf8, false),
        (
            "fake-address",
            ", keep = ['province']",
            DataType::Utf8,
            false,
        ),
    ] {
        let column = Column {
            row: Row(&key_field),
            ..Column::alone("field", &data_type, "other")
        };
        let spec = spec(&facet(kind, &format!("{rest}, on_null = 'synthesize'")));
        let checked = spec.output_type(column);
        assert_eq!(checked.is_ok(), fits, "{kind} {rest} {data_type}");
        let parameter = checked.err().and_then(|misfit| misfit.parameter);
        assert_eq!(parameter, (!fits).then_some("on_null"), "{kind} {rest}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn surrogates_follow_the_entity_alone(keys in prop::collection::vec("[a-c]{1,2}", 1..30), at in 0_usize..30) {
        let by = texts(keys.iter().map(Some));
        let names = texts(keys.iter().map(|_| Some("原名")));
        let table: Vec<Field> = vec![("name", "person-name", names), ("person_id", "other", by)];
        let whole = treat_texts(&facet("fake-name", ""), &table);
        let at = at.min(keys.len());
        let slice = |start: usize, length: usize| -> Vec<Field> {
            table.iter().map(|(name, category, array)| (*name, *category, array.slice(start, length))).collect()
        };
        let mut parts = treat_texts(&facet("fake-name", ""), &slice(0, at));
        parts.extend(treat_texts(&facet("fake-name", ""), &slice(at, keys.len() - at)));
        prop_assert_eq!(&parts, &whole);
        for (one, key) in whole.iter().zip(&keys) {
            let other = keys.iter().position(|other| other == key).unwrap();
            prop_assert_eq!(one, &whole[other]);
            prop_assert_ne!(one.as_deref(), Some("原名"));
        }
    }
}
