//! Lists, structs and maps, from the source to the recipient: what stands within is treated by its
//! place, and what the catalogue does not name never leaves.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Decimal128Array, DictionaryArray, Int32Array, Int64Array, LargeListArray,
    ListArray, MapArray, RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lockgate_acceptance::site::{Dataset, Delivery, Grant, Site, write_parquet};

use crate::PROGRAM;
use crate::pseudonym::{derived, pseudonym};

/// Stands in the source under a null, outside of lists and in members without a name here.
const HIDDEN: &str = "CANARY-7f3a";

/// Rows of the source.
const ROWS: usize = 5;

fn field(name: &str, array: &dyn Array) -> Field {
    Field::new(name, array.data_type().clone(), true)
}

fn structs(members: Vec<(&str, ArrayRef)>, nulls: Option<NullBuffer>) -> StructArray {
    let fields: Fields = members
        .iter()
        .map(|(name, array)| field(name, array))
        .collect();
    let columns = members.into_iter().map(|(_, array)| array).collect();
    StructArray::new(fields, columns, nulls)
}

/// Seven children, of whom the third is null and the last belongs to nobody.
fn children() -> StructArray {
    let names = [
        Some("张三"),
        Some("欧阳娜娜"),
        Some(HIDDEN),
        None,
        Some("李"),
        Some("王五"),
        Some(HIDDEN),
    ];
    let ages = Int32Array::from(vec![
        Some(7),
        Some(12),
        Some(99),
        Some(3),
        None,
        Some(1),
        Some(99),
    ]);
    let secret = StringArray::from(vec![HIDDEN; 7]);
    let there = [true, true, false, true, true, true, true];
    // Another order than the catalogue's, another form of text, and a member it doesn't have.
    structs(
        vec![
            ("age", Arc::new(ages)),
            ("secret", Arc::new(secret)),
            ("name", Arc::new(StringViewArray::from(names.to_vec()))),
        ],
        Some(NullBuffer::from(there.to_vec())),
    )
}

/// Two children, a null among three, none, no list, one.
fn lists(children: StructArray) -> LargeListArray {
    let element = Arc::new(field("whatever", &children));
    let offsets = OffsetBuffer::from_lengths([2, 3, 0, 0, 1]);
    let there = NullBuffer::from(vec![true, true, true, false, true]);
    LargeListArray::new(
        element,
        offsets,
        Arc::new(children.slice(0, 6)),
        Some(there),
    )
}

fn amounts() -> MapArray {
    let keys: DictionaryArray<Int32Type> = ["低保", "医保", "低保"].into_iter().collect();
    let amounts = Decimal128Array::from(vec![Some(123_456), None, Some(-50)]);
    let amounts = amounts.with_precision_and_scale(12, 2).expect("a decimal");
    let fields = Fields::from(vec![
        Field::new("k", keys.data_type().clone(), false),
        field("v", &amounts),
    ]);
    let entries = StructArray::new(fields, vec![Arc::new(keys), Arc::new(amounts)], None);
    MapArray::new(
        Arc::new(Field::new("e", entries.data_type().clone(), false)),
        OffsetBuffer::from_lengths([2, 0, 0, 1, 0]),
        entries,
        Some(NullBuffer::from(vec![true, true, false, true, true])),
        false,
    )
}

fn home() -> StructArray {
    let tags = ListArray::new(
        Arc::new(Field::new("x", DataType::Utf8, true)),
        OffsetBuffer::from_lengths([2, 1, 0, 0, 1]),
        Arc::new(StringArray::from(vec!["东", "西", HIDDEN, "南"])),
        None,
    );
    let streets = StringArray::from(vec!["文三路1号", HIDDEN, "", "文一路2号", "教工路3号"]);
    let there = vec![true, false, true, true, true];
    structs(
        vec![("street", Arc::new(streets)), ("tags", Arc::new(tags))],
        Some(NullBuffer::from(there)),
    )
}

fn source() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..5))),
        ("children", Arc::new(lists(children()))),
        ("amounts", Arc::new(amounts())),
        ("home", Arc::new(home())),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| field(name, array))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("a batch")
}

fn dataset() -> Dataset {
    Dataset::new("families")
        .plain("id", "int64")
        .plain("children", "list(struct(name: utf8, age: int32))")
        .plain("amounts", "map(utf8, decimal(12,2))")
        .plain("home", "struct(street: utf8, tags: list(utf8))")
}

/// A site with a dataset of nested fields.
pub(crate) fn site() -> Site {
    let site = Site::new(PROGRAM);
    site.dataset(&dataset());
    site.policy("[[rules]]\ntreatment = { kind = 'clear' }\n");
    write_parquet(&site.path("lake/families/1.parquet"), &source(), ROWS);
    site
}

/// All of its fields.
pub(crate) const FIELDS: [&str; 4] = ["id", "children", "amounts", "home"];

/// A column as text, which says everything about its values.
fn texts(rows: &RecordBatch, name: &str) -> Vec<String> {
    let column = rows.column_by_name(name).expect("a delivered column");
    let options = FormatOptions::default().with_null("null");
    let shown = ArrayFormatter::try_new(column, &options).expect("a type that can be shown");
    (0..column.len())
        .map(|row| shown.value(row).to_string())
        .collect()
}

/// Nothing of what must not leave stands in a delivered byte.
fn assert_hidden(delivery: &Delivery) {
    for file in delivery.bytes() {
        let found = file
            .windows(HIDDEN.len())
            .any(|bytes| bytes == HIDDEN.as_bytes());
        assert!(
            !found,
            "what the catalogue does not name, or a null covers, was delivered"
        );
    }
}

#[test]
fn nested_fields_are_delivered_clear_in_their_plain_form() {
    let site = site();
    site.signed(&Grant::new("G-1", "families", &FIELDS));
    let delivery = site.deliver("G-1");
    let rows = delivery.rows();
    assert_eq!(
        texts(&rows, "children"),
        [
            "[{name: 张三, age: 7}, {name: 欧阳娜娜, age: 12}]",
            "[null, {name: null, age: 3}, {name: 李, age: null}]",
            "[]",
            "null",
            "[{name: 王五, age: 1}]",
        ]
    );
    assert_eq!(
        texts(&rows, "amounts"),
        [
            "{低保: 1234.56, 医保: null}",
            "{}",
            "null",
            "{低保: -0.50}",
            "{}"
        ]
    );
    assert_eq!(
        texts(&rows, "home"),
        [
            "{street: 文三路1号, tags: [东, 西]}",
            "null",
            "{street: , tags: []}",
            "{street: 文一路2号, tags: []}",
            "{street: 教工路3号, tags: [南]}",
        ]
    );
    let types: Vec<String> = delivery.manifest()["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .map(|field| field["type"].as_str().expect("a type").to_owned())
        .collect();
    assert_eq!(
        types,
        [
            "int64",
            "list(struct(name: utf8, age: int32))",
            "map(utf8, decimal(12,2))",
            "struct(street: utf8, tags: list(utf8))",
        ]
    );
    assert_hidden(&delivery);
    site.json(["verify", delivery.folder().to_str().expect("a path")])
        .expect_code(0);
}

#[test]
fn nested_fields_are_treated_place_by_place() {
    let site = site();
    let children = "{ kind = 'nested', fields = { '[].name' = { kind = 'keep-ends', first = 1, \
                    last = 0 }, '[].age' = { kind = 'bucket', width = '10' } } }";
    let amounts = "{ kind = 'nested', fields = { '{key}' = { kind = 'clear' }, '{value}' = { kind \
                   = 'round', to = '1000' } } }";
    let home = "{ kind = 'nested', fields = { 'tags[]' = { kind = 'hmac', domain = 'tags' } } }";
    let grant = Grant::new("G-1", "families", &FIELDS)
        .treatment("children", children)
        .treatment("amounts", amounts)
        .treatment("home", home);
    site.signed(&grant);
    let delivery = site.deliver("G-1");
    let rows = delivery.rows();
    assert_eq!(
        texts(&rows, "children"),
        [
            "[{name: 张*, age: [0,10)}, {name: 欧***, age: [10,20)}]",
            "[null, {name: null, age: [0,10)}, {name: *, age: null}]",
            "[]",
            "null",
            "[{name: 王*, age: [0,10)}]",
        ]
    );
    assert_eq!(
        texts(&rows, "amounts"),
        [
            "{低保: 1000.00, 医保: null}",
            "{}",
            "null",
            "{低保: 0.00}",
            "{}"
        ]
    );
    let key = derived(&site, 1, "tags", "grant:G-1");
    let hashed = |tag: &str| pseudonym(&key, tag);
    assert_eq!(
        texts(&rows, "home"),
        [
            format!("{{tags: [{}, {}]}}", hashed("东"), hashed("西")),
            "null".to_owned(),
            "{tags: []}".to_owned(),
            "{tags: []}".to_owned(),
            format!("{{tags: [{}]}}", hashed("南")),
        ]
    );
    assert_hidden(&delivery);
}

#[test]
fn members_that_the_catalogue_does_not_name_are_reported() {
    let site = site();
    site.signed(&Grant::new("G-1", "families", &FIELDS));
    let run = site.run("G-1").expecting(0);
    assert!(run.stderr.contains("children[].secret"), "{run:?}");
}

#[test]
fn a_nested_source_that_differs_from_the_catalogue_fails_with_its_place() {
    for (old, new, what) in [
        (
            "age: int32",
            "age: int64",
            "`children[].age` is narrowed to int32",
        ),
        (
            "age: int32",
            "age: int32, sex: utf8",
            "`children[].sex` is missing",
        ),
        (
            "tags: list(utf8)",
            "tags: list(list(utf8))",
            "`home.tags[]` is utf8",
        ),
        ("map(utf8, ", "map(int64, ", "`amounts{key}` is utf8"),
        ("struct(street", "list(struct(street", "`home` is a struct"),
    ] {
        let site = site();
        site.edit("catalogue/families.toml", old, new);
        if old == "struct(street" {
            site.edit(
                "catalogue/families.toml",
                "tags: list(utf8))",
                "tags: list(utf8)))",
            );
        }
        site.signed(&Grant::new("G-1", "families", &FIELDS));
        let run = site.run("G-1").expecting(3);
        assert!(run.stdout.contains(what), "{what}: {run:?}");
    }
}

#[test]
fn nested_fields_carry_no_division_key_or_cursor_and_stand_in_no_csv() {
    let site = site();
    site.write(
        "catalogue/families.toml",
        &dataset()
            .more("key = [\"children\"]\ncursor = \"home\"")
            .to_toml(),
    );
    site.write(
        "catalogue/texts.toml",
        &Dataset::new("texts")
            .source("store = \"lake\", path = \"texts/\", format = \"csv\"")
            .plain("tags", "list(utf8)")
            .to_toml(),
    );
    let check = site.json(["check"]).expecting(2).document();
    let found: Vec<&str> = check["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .filter_map(|problem| problem["what"].as_str())
        .collect();
    assert_eq!(
        found,
        [
            "field `children` holds several values and has no order",
            "field `home` holds several values and has no order",
            "CSV has no lists, structs or maps",
        ]
    );
}

#[test]
fn nested_fields_are_previewed() {
    let site = site();
    site.configure_more("[preview]\nbefore = true");
    site.signed(&Grant::new("G-1", "families", &FIELDS));
    let shown = site.text(["preview", "G-1", "--before"]).expecting(0);
    assert!(shown.stdout.contains("欧阳娜娜"), "{shown:?}");
    assert!(!shown.stdout.contains(HIDDEN), "{shown:?}");
}
