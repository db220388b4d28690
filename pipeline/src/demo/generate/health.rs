//! Health records: the dataset that must not be shared.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::person::People;
use super::random::Random;
use super::text::Text;
use super::vocabulary::DIAGNOSES;

/// Schema of [`health_records`].
pub fn health_records_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("person_id", DataType::Utf8, true),
        Field::new("visited", DataType::Date32, true),
        Field::new("diagnosis", DataType::Utf8, true),
        Field::new("region_code", DataType::Utf8, true),
    ]))
}

/// Rows of health records. A row depends on seed and row number only; its person is that row of
/// [`residents`](super::residents).
///
/// # Errors
/// More rows than one Arrow array can hold (2 GiB of text).
pub fn health_records(rows: Range<u64>, seed: u64) -> Result<RecordBatch, ArrowError> {
    let people = People::new(seed);
    let count = super::length(&rows);
    let mut person_id = Text::new(count, 18);
    let mut visited = Date32Builder::with_capacity(count);
    let mut diagnosis = Text::new(count, 30);
    let mut region_code = Text::new(count, 6);
    for row in rows {
        let mut random = Random::of(seed, super::HEALTH, row);
        let person = people.person(row);
        person_id.push_ascii(&person.id);
        person_id.end();
        visited.append_value(20_089 + i32::try_from(random.below(365)).unwrap_or(0));
        diagnosis.value(random.pick(&DIAGNOSES));
        region_code.push_number(person.region.code, 6);
        region_code.end();
    }
    let columns: Vec<ArrayRef> = vec![
        person_id.finish()?,
        Arc::new(visited.finish()),
        diagnosis.finish()?,
        region_code.finish()?,
    ];
    RecordBatch::try_new(health_records_schema(), columns)
}
