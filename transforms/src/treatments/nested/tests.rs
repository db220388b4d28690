use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Builder, Int64Array, LargeListArray, ListArray,
    ListBuilder, MapBuilder, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;

use crate::TreatmentError;
use crate::error::{Case, Misfit};
use crate::spec::Column;
use crate::testing::{CATEGORY, answers, answers_but, build, flagged, holds, spec};
use crate::treatment::{Context, Treated};

const ENDS: &str = "{ kind = 'keep-ends', first = 1, last = 0 }";

fn nested(fields: &[(&str, &str)], rest: &str) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(place, treatment)| format!("'{place}' = {treatment}"))
        .collect();
    format!(
        "{{ kind = 'nested', fields = {{ {} }}{rest} }}",
        fields.join(", ")
    )
}

fn try_treat(text: &str, array: &ArrayRef, inputs: &[ArrayRef]) -> Result<Treated, TreatmentError> {
    let column = Column::alone("field", array.data_type(), CATEGORY);
    let built = build(&spec(text), column).unwrap();
    let treated = built.treat(
        array,
        &Context {
            inputs,
            chunk: None,
        },
    )?;
    assert_eq!(treated.array.len(), array.len());
    assert_eq!(treated.array.data_type(), built.output_type());
    assert_eq!(
        Some(built.output_type()),
        spec(text).output_type(column).unwrap().as_ref()
    );
    treated.array.to_data().validate_full().unwrap();
    Ok(treated)
}

fn treat(text: &str, array: &ArrayRef) -> Treated {
    try_treat(text, array, &[]).unwrap()
}

fn misfit(text: &str, data_type: &DataType) -> Misfit {
    let column = Column::alone("field", data_type, CATEGORY);
    let misfit = spec(text).output_type(column).unwrap_err();
    assert_eq!(build(&spec(text), column).unwrap_err(), misfit);
    misfit
}

/// The rows as text, nulls as nothing.
fn rows(array: &ArrayRef) -> Vec<String> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len())
        .map(|row| formatter.value(row).to_string())
        .collect()
}

fn lists(values: &[Option<&[Option<&str>]>]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for list in values {
        match list {
            Some(list) => lists.append_value(list.iter().copied()),
            None => lists.append_null(),
        }
    }
    Arc::new(lists.finish())
}

/// Structs { name, age }, of which row 1 is null with values beneath.
fn people() -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("age", DataType::Int64, true),
    ]);
    let names = StringArray::from(vec![Some("张三"), Some("SECRET"), None, Some("ab")]);
    let ages = Int64Array::from(vec![Some(41), Some(0x5EC2_E75E_C2E7), Some(43), None]);
    let nulls = NullBuffer::from(vec![true, false, true, true]);
    let columns: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(ages)];
    Arc::new(StructArray::new(fields, columns, Some(nulls)))
}

#[test]
fn elements_of_lists_are_treated_and_nulls_stay_where_they_are() {
    let array = lists(&[
        Some(&[Some("张三"), None, Some("abc")]),
        None,
        Some(&[]),
        Some(&[Some("x"), Some("")]),
    ]);
    let treated = treat(&nested(&[("[]", ENDS)], ""), &array);
    assert_eq!(rows(&treated.array), ["[张*, , a**]", "", "[]", "[*, ]"]);
    let counts = treated.counts;
    assert_eq!(
        (counts.rows, counts.nulls, counts.empty, counts.short),
        (4, 1, 1, 1)
    );
}

#[test]
fn members_that_no_place_names_are_dropped_or_null() {
    let dropped = treat(&nested(&[("name", ENDS)], ""), &people());
    assert_eq!(
        rows(&dropped.array),
        ["{name: 张*}", "", "{name: }", "{name: a*}"]
    );
    let nulls = treat(&nested(&[("name", ENDS)], ", unknown = 'null'"), &people());
    assert_eq!(rows(&nulls.array)[0], "{name: 张*, age: }");
    assert!(nulls.array.as_struct().column(1).null_count() == 4);
}

#[test]
fn nothing_stands_under_a_null_in_an_unnamed_member_or_outside_of_a_list() {
    let number = 0x5EC2_E75E_C2E7_i64.to_le_bytes();
    let clear = "{ kind = 'clear' }";
    let treated = treat(&nested(&[("name", clear), ("age", clear)], ""), &people());
    assert!(holds(&people(), b"SECRET") && !holds(&treated.array, b"SECRET"));
    assert!(holds(&people(), &number) && !holds(&treated.array, &number));
    let values = StringArray::from(vec!["SECRET1", "a", "SECRET2", "b", "SECRET3"]);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![1, 2, 3, 4]));
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let nulls = NullBuffer::from(vec![true, false, true]);
    let array: ArrayRef = Arc::new(ListArray::new(
        field,
        offsets,
        Arc::new(values),
        Some(nulls),
    ));
    let treated = treat(&nested(&[("[]", clear)], ""), &array);
    assert_eq!(rows(&treated.array), ["[a]", "", "[b]"]);
    assert!(holds(&array, b"SECRET") && !holds(&treated.array, b"SECRET"));
    let sliced = treat(&nested(&[("[]", clear)], ""), &array.slice(1, 1));
    assert!(!holds(&sliced.array, b"b"));
}

#[test]
fn places_reach_through_every_level() {
    let people = people();
    let field = Arc::new(Field::new_list_field(people.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([2, 0, 2]);
    let lists: ArrayRef = Arc::new(ListArray::new(field, offsets, people, None));
    let outer = Fields::from(vec![
        Field::new("people", lists.data_type().clone(), true),
        Field::new("other", DataType::Int64, true),
    ]);
    let other: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let array: ArrayRef = Arc::new(StructArray::new(outer, vec![lists, other], None));
    let text = nested(
        &[
            ("people[].name", ENDS),
            ("people[].age", "{ kind = 'round', to = '10' }"),
        ],
        "",
    );
    let treated = treat(&text, &array);
    assert_eq!(
        rows(&treated.array),
        [
            "{people: [{name: 张*, age: 40}, ]}",
            "{people: []}",
            "{people: [{name: , age: 40}, {name: a*, age: }]}",
        ]
    );
}

#[test]
fn large_lists_and_dictionaries_come_out_plain() {
    let values: DictionaryArray<Int32Type> =
        vec![Some("abc"), None, Some("de")].into_iter().collect();
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let offsets = OffsetBuffer::<i64>::from_lengths([1, 2]);
    let array: ArrayRef = Arc::new(LargeListArray::new(field, offsets, Arc::new(values), None));
    let declared = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    let column = Column::alone("field", &declared, CATEGORY);
    let built = build(&spec(&nested(&[("[]", ENDS)], "")), column).unwrap();
    let treated = built.apply(&array).unwrap();
    assert_eq!(*treated.array.data_type(), declared);
    assert_eq!(rows(&treated.array), ["[a**]", "[, d*]"]);
}

type Entries<'a> = &'a [(&'a str, Option<i32>)];

fn map(entries: &[Option<Entries<'_>>]) -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for entry in entries {
        for (key, value) in entry.unwrap_or_default() {
            maps.keys().append_value(key);
            maps.values().append_option(*value);
        }
        maps.append(entry.is_some()).unwrap();
    }
    Arc::new(maps.finish())
}

#[test]
fn keys_and_values_of_maps_are_treated() {
    let array = map(&[
        Some(&[("abc", Some(14)), ("de", None)]),
        None,
        Some(&[]),
        Some(&[("x1", Some(5))]),
    ]);
    let text = nested(
        &[
            ("{key}", ENDS),
            ("{value}", "{ kind = 'round', to = '10' }"),
        ],
        "",
    );
    let treated = treat(&text, &array);
    assert_eq!(
        rows(&treated.array),
        ["{a**: 10, d*: }", "", "{}", "{x*: 10}"]
    );
    assert_eq!(treated.counts.empty, 1);
}

#[test]
fn a_map_whose_keys_meet_or_are_null_is_invalid() {
    let array = map(&[
        Some(&[("ax", Some(1)), ("ay", Some(2))]),
        Some(&[("bx", Some(3)), ("cy", Some(4))]),
    ]);
    let clear = "{ kind = 'clear' }";
    let treated = treat(&nested(&[("{key}", ENDS), ("{value}", clear)], ""), &array);
    assert_eq!(rows(&treated.array), ["", "{b*: 3, c*: 4}"]);
    assert_eq!(treated.counts.invalid, 1);
    let text = nested(
        &[("{key}", ENDS), ("{value}", clear)],
        ", on_invalid = 'reject'",
    );
    assert_eq!(flagged(treat(&text, &array).rejected.as_ref()), [0]);
    let null = nested(&[("{key}", "{ kind = 'null' }"), ("{value}", clear)], "");
    assert_eq!(treat(&null, &array).array.null_count(), 2);
}

#[test]
fn refused_rejected_and_dropped_rows_are_those_of_the_column() {
    let array = lists(&[
        Some(&[Some("abc")]),
        None,
        Some(&[Some("abc"), Some("x")]),
        Some(&[Some("yz")]),
    ]);
    let with = |action: &str| {
        nested(
            &[(
                "[]",
                &format!("{{ kind = 'keep-ends', first = 1, last = 0, on_short = '{action}' }}"),
            )],
            "",
        )
    };
    assert_eq!(
        flagged(treat(&with("reject"), &array).rejected.as_ref()),
        [2]
    );
    let refused = try_treat(&with("fail"), &array, &[]).unwrap_err();
    assert_eq!(
        refused,
        TreatmentError::Refused {
            row: 2,
            case: Case::Short
        }
    );
    let dropping = nested(&[("[]", "{ kind = 'drop-row', when = 'c' }")], "");
    let inputs = [answers(&[Some(false), Some(true), Some(false), Some(true)])];
    let treated = try_treat(&dropping, &array, &inputs).unwrap();
    assert_eq!(
        flagged(treated.dropped.as_ref()),
        [3],
        "row 1 has no element"
    );
    // A row is dropped once, however many of its elements say so.
    let inputs = [answers(&[Some(false), Some(true), Some(true), Some(true)])];
    let treated = try_treat(&dropping, &array, &inputs).unwrap();
    assert_eq!(flagged(treated.dropped.as_ref()), [2, 3]);
    assert_eq!(treated.tally().dropped["drop-row"], 2);
    // And a condition without a value is that of the row.
    let inputs = [answers_but(
        &[Some(false), None, Some(false), None],
        &[1, 3],
    )];
    let refused = try_treat(&dropping, &array, &inputs).unwrap_err();
    assert_eq!(refused, TreatmentError::NoAnswer { row: 3 });
}

#[test]
fn withheld_members_go_and_something_must_be_left() {
    let withhold = "{ kind = 'withhold' }";
    let treated = treat(
        &nested(&[("name", withhold), ("age", "{ kind = 'clear' }")], ""),
        &people(),
    );
    assert_eq!(rows(&treated.array)[0], "{age: 41}");
    let nothing = misfit(&nested(&[("name", withhold)], ""), people().data_type());
    assert_eq!(nothing.parameter, Some("fields"));
}

#[test]
fn places_that_the_type_does_not_have_are_refused() {
    let clear = "{ kind = 'clear' }";
    let people = people();
    let map = map(&[]);
    let list = lists(&[]);
    for (places, array) in [
        (&["nam"][..], &people),
        (&["name.first"], &people),
        (&["[]"], &people),
        (&["name[]"], &people),
        (&["a"], &list),
        (&["[][]"], &list),
        (&["{key}"], &map),
        (&["{value}"], &map),
        (&["a..b"], &people),
    ] {
        let places: Vec<_> = places.iter().map(|place| (*place, clear)).collect();
        let misfit = misfit(&nested(&places, ""), array.data_type());
        assert_eq!(misfit.parameter, Some("fields"), "{places:?}");
    }
    assert_eq!(
        misfit(&nested(&[("[]", clear)], ""), &DataType::Utf8).parameter,
        None
    );
    let unfit = misfit(&nested(&[("age", ENDS)], ""), people.data_type());
    assert!(
        unfit
            .what
            .starts_with("in `age`: treatment `keep-ends` does not fit"),
        "{}",
        unfit.what
    );
}

#[test]
fn every_value_must_meet_the_floor() {
    let hmac = "{ kind = 'hmac', domain = 'd' }";
    let floor = spec(&nested(&[("name", ENDS), ("age", hmac)], ""));
    assert_eq!(floor.strength().0, 1);
    assert!(spec(&nested(&[("name", hmac), ("age", hmac)], "")).meets(&floor));
    assert!(
        spec(&nested(&[("name", ENDS)], "")).meets(&floor),
        "less is left"
    );
    assert!(!spec(&nested(&[("age", ENDS)], "")).meets(&floor));
    assert!(!spec(&nested(&[("name", ENDS), ("other", hmac)], "")).meets(&floor));
}

/// Lists of structs of text, with nulls at every level, and what they hold.
type Model = Vec<Option<Vec<Option<Option<String>>>>>;

fn models() -> impl Strategy<Value = Model> {
    let text = proptest::option::weighted(0.8, "[a-c]{0,3}");
    let element = proptest::option::weighted(0.8, text);
    let list = proptest::option::weighted(0.8, proptest::collection::vec(element, 0..4));
    proptest::collection::vec(list, 0..10)
}

/// The array of a model; under every null stands a secret.
fn array_of(model: &Model) -> ArrayRef {
    let mut texts = Vec::new();
    let mut text_nulls = Vec::new();
    let mut struct_nulls = Vec::new();
    let mut lengths = Vec::new();
    for list in model {
        let hidden = vec![Some(Some("SECRET".to_owned()))];
        let elements = list.as_ref().unwrap_or(&hidden);
        lengths.push(elements.len());
        for element in elements {
            struct_nulls.push(element.is_some());
            let text = element.clone().flatten();
            text_nulls.push(text.is_some());
            texts.push(text.unwrap_or_else(|| "SECRET".to_owned()));
        }
    }
    let (offsets, bytes, _) = StringArray::from(texts).into_parts();
    let texts = StringArray::new(offsets, bytes, Some(NullBuffer::from(text_nulls)));
    let fields = Fields::from(vec![Field::new("t", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(texts)];
    let structs = StructArray::new(fields, columns, Some(NullBuffer::from(struct_nulls)));
    let field = Arc::new(Field::new_list_field(structs.data_type().clone(), true));
    let nulls = NullBuffer::from(model.iter().map(Option::is_some).collect::<Vec<_>>());
    Arc::new(ListArray::new(
        field,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(structs),
        Some(nulls),
    ))
}

/// What `keep-ends` with `first = 1` makes of a model.
fn masked(model: &Model) -> Model {
    let mask = |text: &String| match text.len() {
        0 => String::new(),
        1 => "*".to_owned(),
        more => text
            .chars()
            .take(1)
            .chain(std::iter::repeat_n('*', more - 1))
            .collect(),
    };
    let lists = model.iter();
    lists
        .map(|list| {
            let list = list.as_ref()?;
            Some(
                list.iter()
                    .map(|e| e.as_ref().map(|t| t.as_ref().map(mask)))
                    .collect(),
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nested_values_agree_with_a_model_at_every_level(model in models(), at in 0_usize..10, length in 0_usize..10) {
        let text = nested(&[("[].t", ENDS)], "");
        let array = array_of(&model);
        let treated = treat(&text, &array);
        prop_assert_eq!(&treated.array, &array_of(&masked(&model)));
        prop_assert!(!holds(&treated.array, b"SECRET"));
        let at = at.min(array.len());
        let length = length.min(array.len() - at);
        let part = treat(&text, &array.slice(at, length));
        prop_assert_eq!(&part.array, &treated.array.slice(at, length));
        prop_assert!(!holds(&part.array, b"SECRET"));
    }
}

#[test]
fn a_list_of_invalid_elements_is_one_invalid_value() {
    let bad: &[Option<&str>] = &[Some("x"); 10];
    let array = lists(&[Some(bad), Some(&[Some("13800138000")])]);
    let mobile = "{ kind = 'typed-mask', of = 'mobile' }";
    let treated = treat(&nested(&[("[]", mobile)], ""), &array);
    assert_eq!((treated.counts.rows, treated.counts.invalid), (2, 1));
    assert_eq!(flagged(treated.invalid.as_ref()), [0]);
    let half = crate::options::Share::parse("0.5").unwrap();
    assert!(!treated.counts.exceeds(half));
}

#[test]
fn a_pseudonym_within_is_the_one_that_a_field_of_its_category_gets() {
    let hmac = "{ kind = 'hmac', domain = 'person.id' }";
    let id: ArrayRef = Arc::new(StringArray::from(vec!["11010519491231002x"]));
    let people: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("id", DataType::Utf8, true)),
        Arc::clone(&id),
    )]));
    let field = |category: &str, value: &str| -> String {
        let column = Column::alone("id", &DataType::Utf8, category);
        let values: ArrayRef = Arc::new(StringArray::from(vec![value]));
        let treated = build(&spec(hmac), column).unwrap().apply(&values).unwrap();
        treated.array.as_string::<i32>().value(0).to_owned()
    };
    let within = |rest: &str| -> String {
        let text = nested(&[("id", hmac)], rest);
        let column = Column::alone("person", people.data_type(), "other");
        let treated = build(&spec(&text), column).unwrap().apply(&people).unwrap();
        let ids = treated.array.as_struct().column(0);
        ids.as_string::<i32>().value(0).to_owned()
    };
    let expected = field("resident-id", "11010519491231002X");
    assert_eq!(within(", categories = { 'id' = 'resident-id' }"), expected);
    assert_eq!(within(""), field("other", "11010519491231002x"));
    assert_ne!(within(""), expected);
}

#[test]
fn a_category_is_of_a_place_that_is_treated() {
    let fields = Fields::from(vec![Field::new("id", DataType::Utf8, true)]);
    let text = nested(&[("id", ENDS)], ", categories = { 'ids' = 'resident-id' }");
    let misfit = misfit(&text, &DataType::Struct(fields));
    assert_eq!(misfit.parameter, Some("categories"));
    assert!(misfit.what.contains("`ids`") && misfit.hint.is_some());
    // Another category is another treatment: neither outdoes the other.
    let (one, other) = (
        spec(&nested(
            &[("id", ENDS)],
            ", categories = { 'id' = 'resident-id' }",
        )),
        spec(&nested(&[("id", ENDS)], "")),
    );
    assert!(one.meets(&one) && !one.meets(&other) && !other.meets(&one));
    assert!(
        !serde_json::to_string(&other)
            .unwrap()
            .contains("categories")
    );
}
