//! Parquet as providers write it: several files, row groups of a given size, text in any of its
//! physical forms.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// How text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    /// 32-bit offsets.
    Utf8,
    /// 64-bit offsets.
    Large,
    /// Views.
    View,
    /// A dictionary with 32-bit keys.
    Dictionary,
    /// A dictionary with 16-bit keys over text with 64-bit offsets.
    LargeDictionary,
}

impl TextForm {
    /// Every form.
    pub const ALL: [Self; 5] = [
        Self::Utf8,
        Self::Large,
        Self::View,
        Self::Dictionary,
        Self::LargeDictionary,
    ];

    fn data_type(self) -> DataType {
        let dictionary = |key, value| DataType::Dictionary(Box::new(key), Box::new(value));
        match self {
            Self::Utf8 => DataType::Utf8,
            Self::Large => DataType::LargeUtf8,
            Self::View => DataType::Utf8View,
            Self::Dictionary => dictionary(DataType::Int32, DataType::Utf8),
            Self::LargeDictionary => dictionary(DataType::Int16, DataType::LargeUtf8),
        }
    }
}

/// The same rows with every text column in one form.
#[must_use]
pub fn in_form(batch: &RecordBatch, form: TextForm) -> RecordBatch {
    let (fields, columns): (Vec<_>, Vec<ArrayRef>) = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            if *column.data_type() != DataType::Utf8 {
                return (field.as_ref().clone(), Arc::clone(column));
            }
            let column = cast(column, &form.data_type()).expect("text in another form");
            (
                Field::new(field.name(), column.data_type().clone(), true),
                column,
            )
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length")
}

/// A Parquet file's bytes, in row groups of so many rows.
#[must_use]
pub fn parquet_bytes(batch: &RecordBatch, group_rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))
        .expect("a Parquet writer");
    writer.write(batch).expect("rows in Parquet");
    writer.close().expect("a Parquet footer");
    bytes
}

/// Writes a Parquet file in row groups of so many rows.
pub fn write_parquet(path: &Path, batch: &RecordBatch, group_rows: usize) {
    let parent = path.parent().expect("a file has a directory");
    fs::create_dir_all(parent).expect("a directory for the file");
    fs::write(path, parquet_bytes(batch, group_rows)).expect("a Parquet file");
}
