//! A small register of people, the source of most tests here.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use lockgate_acceptance::site::{Dataset, Grant, Site, write_parquet};

use crate::PROGRAM;
use crate::cell::{Cell, array};

/// Every field of the register, in catalogue order.
pub(crate) const FIELDS: [&str; 8] = [
    "id",
    "person_id",
    "name",
    "region",
    "status",
    "income",
    "birth",
    "seen",
];

/// Divisions that occur, one null among them.
const REGIONS: [Option<&str>; 5] = [
    Some("330102"),
    Some("330203"),
    Some("310101"),
    None,
    Some("33"),
];

/// Status of a row: one in three is null.
pub(crate) fn status(row: usize) -> Option<&'static str> {
    [Some("active"), Some("left"), None][row % 3]
}

/// Division of a row.
pub(crate) fn region(row: usize) -> Option<&'static str> {
    REGIONS[row % 5]
}

/// Identity number of a row, distinct for each.
pub(crate) fn person_id(row: usize) -> String {
    format!("33010219{:02}0101{:05}", row % 100, row)
}

/// Income of a row, in cents.
pub(crate) fn income(row: usize) -> i128 {
    (row as i128 * 7_919) % 2_000_000
}

/// Rows of the register.
pub(crate) fn people(rows: Range<usize>) -> RecordBatch {
    let of = |value: &dyn Fn(usize) -> Cell| rows.clone().map(value).collect::<Vec<_>>();
    let text = |text: Option<&str>| text.map_or(Cell::Null, Cell::text);
    let names = ["张三", "欧阳修", "李", "王小明", "Ana"];
    let columns = [
        (DataType::Int64, of(&|row| Cell::Whole(row as i128))),
        (DataType::Utf8, of(&|row| Cell::text(person_id(row)))),
        (DataType::Utf8, of(&|row| Cell::text(names[row % 5]))),
        (DataType::Utf8, of(&|row| text(region(row)))),
        (DataType::Utf8, of(&|row| text(status(row)))),
        (
            DataType::Decimal128(12, 2),
            of(&|row| Cell::Whole(income(row))),
        ),
        (
            DataType::Date32,
            of(&|row| Cell::Whole((row % 20_000) as i128)),
        ),
        (
            DataType::Timestamp(TimeUnit::Microsecond, None),
            of(&|row| Cell::Whole(row as i128 * 61_000_000)),
        ),
    ];
    let (fields, columns): (Vec<_>, Vec<_>) = FIELDS
        .iter()
        .zip(columns)
        .map(|(name, (of_type, cells))| {
            let column = array(&of_type, &cells);
            (Field::new(*name, of_type, true), column)
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch of people")
}

/// Its catalogue entry.
pub(crate) fn dataset() -> Dataset {
    Dataset::new("people")
        .more("division = 'region'")
        .plain("id", "int64")
        .field("person_id", "utf8", "resident-id", "3")
        .field("name", "utf8", "person-name", "3")
        .field("region", "utf8", "division-code", "2")
        .field("status", "utf8", "status", "2")
        .field("income", "decimal(12,2)", "income", "3")
        .field("birth", "date", "birth-date", "3")
        .field("seen", "timestamp(us)", "timestamp", "2")
}

/// A policy with floors for what identifies, and no demands on marks: the register offers none.
pub(crate) const POLICY: &str = "\
    [marking]\nmin_carriers = 0\n\
    [[rules]]\ncategory = 'resident-id'\ntreatment = { kind = 'hmac', domain = 'person.id' }\n\
    [[rules]]\ncategory = 'person-name'\ntreatment = { kind = 'keep-ends', first = 1, last = 0 }\n\
    [[rules]]\ncategory = 'income'\ntreatment = { kind = 'round', to = '1000' }\n\
    [[rules]]\ncategory = 'birth-date'\ntreatment = { kind = 'date-trunc', unit = 'year' }\n\
    [[rules]]\ntreatment = { kind = 'clear' }\n";

/// A site with the register's catalogue entry and policy, and no source yet.
pub(crate) fn bare_site() -> Site {
    let site = Site::new(PROGRAM);
    site.dataset(&dataset());
    site.policy(POLICY);
    site
}

/// A site with a source of so many people in one file, in row groups of 100.
pub(crate) fn site(rows: usize) -> Site {
    let site = bare_site();
    write_parquet(&site.path("lake/people/1.parquet"), &people(0..rows), 100);
    site
}

/// A grant of some fields of the register.
pub(crate) fn grant(id: &str, fields: &[&str]) -> Grant {
    Grant::new(id, "people", fields)
}
