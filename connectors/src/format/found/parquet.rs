//! A Parquet file, its columns turned into text.
//!
//! Texts are read as views, so that a value that a dictionary holds once is not copied for each row
//! before it is known how many rows fit into a batch.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::types::{
    ArrowTimestampType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringViewArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use arrow::temporal_conversions::as_datetime;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::rows::{BATCH_ROWS, BATCH_TEXT_BYTES, Columns, schema};
use super::{Batches, guarded, open_file, unreadable};
use crate::error::ConnectorError;

/// The footer, and which columns have text.
#[derive(Debug)]
pub(super) struct Layout {
    metadata: ArrowReaderMetadata,
    readable: Vec<bool>,
}

/// Reads the footer.
pub(super) fn open(path: &Path, place: &str) -> Result<(Layout, Columns), ConnectorError> {
    guarded(place, || {
        let file = open_file(path, place)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|_| damaged(place))?;
        let fields = metadata.schema().fields();
        let readable = fields
            .iter()
            .map(|field| has_text(field.data_type()))
            .collect();
        let names = fields
            .iter()
            .map(|field| field.name().trim().to_owned())
            .collect();
        let as_view = |field: &Arc<Field>| {
            let field = field.as_ref().clone();
            let data_type = view(field.data_type());
            field.with_data_type(data_type)
        };
        let views = Schema::new(fields.iter().map(as_view).collect::<Vec<_>>());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(views));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
            .map_err(|_| damaged(place))?;
        let layout = Layout { metadata, readable };
        Ok((layout, Columns::named(names, place)?))
    })
}

fn damaged(place: &str) -> ConnectorError {
    unreadable(
        place,
        None,
        "it is Parquet that is cut short or damaged, or whose columns are encrypted",
        format!(
            "find a whole copy; if it is encrypted, {}",
            super::OPEN_FIRST
        ),
    )
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// The type a column is read as.
pub(super) fn view(data_type: &DataType) -> DataType {
    if is_text(values(data_type)) {
        DataType::Utf8View
    } else {
        data_type.clone()
    }
}

/// Whether values of a type have a text form.
pub(super) fn has_text(data_type: &DataType) -> bool {
    let values = values(data_type);
    is_text(values)
        || values.is_numeric()
        || values.is_temporal()
        || matches!(values, DataType::Boolean)
}

/// The type of the values of a dictionary, or the type itself.
fn values(data_type: &DataType) -> &DataType {
    if let DataType::Dictionary(_, values) = data_type {
        values
    } else {
        data_type
    }
}

/// What rows are read from, in batches: some columns of a file, texts among them as views. None stands for
/// what could not be read.
pub(super) type Source = Box<dyn Iterator<Item = Option<RecordBatch>> + Send>;

/// The rows of a file.
pub(super) struct Rows {
    place: String,
    source: Source,
    /// What is wrong if it cannot be read.
    damaged: fn(&str) -> ConnectorError,
    names: Vec<String>,
    readable: Vec<bool>,
    /// What was read last, and its first row that was not handed out.
    columns: Vec<ArrayRef>,
    from: usize,
    rows: usize,
}

impl Rows {
    pub(super) fn open(
        path: &Path,
        place: String,
        layout: &Layout,
        columns: &Columns,
    ) -> Result<Self, ConnectorError> {
        let file = open_file(path, &place)?;
        let reader = guarded(&place, || {
            reader(file, layout).ok_or_else(|| damaged(&place))
        })?;
        let source = Box::new(reader.map(Result::ok));
        Ok(Self::of(place, source, columns, &layout.readable, damaged))
    }

    /// Rows from `source`, which has those columns that are readable.
    pub(super) fn of(
        place: String,
        source: Source,
        columns: &Columns,
        readable: &[bool],
        damaged: fn(&str) -> ConnectorError,
    ) -> Self {
        Self {
            place,
            source,
            damaged,
            names: columns.names.clone(),
            readable: readable.to_vec(),
            columns: Vec::new(),
            from: 0,
            rows: 0,
        }
    }

    /// The next rows of what was read: as many as make about one batch of text.
    fn cut(&mut self) -> Result<RecordBatch, ConnectorError> {
        let texts: Vec<&StringViewArray> = self
            .columns
            .iter()
            .filter_map(|column| column.as_string_view_opt())
            .collect();
        let width = |row: usize| {
            texts
                .iter()
                .map(|text| text_bytes(text, row))
                .sum::<usize>()
        };
        let (mut end, mut bytes) = (self.from, 0_usize);
        while end < self.rows && bytes < BATCH_TEXT_BYTES {
            bytes = bytes.saturating_add(width(end));
            end = end.saturating_add(1);
        }
        let length = end.saturating_sub(self.from);
        let mut read = self.columns.iter();
        let column = |readable: &bool| {
            let column = if *readable { read.next() } else { None };
            column.map_or_else(
                || Ok(new_null_array(&DataType::Utf8, length)),
                |column| cast(&column.slice(self.from, length), &DataType::Utf8),
            )
        };
        let columns: Result<Vec<ArrayRef>, _> = self.readable.iter().map(column).collect();
        self.from = end;
        let columns = columns.map_err(|_| (self.damaged)(&self.place))?;
        RecordBatch::try_new(schema(&self.names), columns)
            .map_err(|_| ConnectorError::bug("columns of a found table do not fit together"))
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, ConnectorError> {
        while self.from == self.rows {
            let Some(batch) = self.source.next() else {
                return Ok(None);
            };
            let batch = batch.ok_or_else(|| (self.damaged)(&self.place))?;
            let columns: Option<Vec<ArrayRef>> = batch.columns().iter().map(text).collect();
            self.columns = columns.ok_or_else(|| (self.damaged)(&self.place))?;
            (self.from, self.rows) = (0, batch.num_rows());
        }
        self.cut().map(Some)
    }
}

impl Batches for Rows {
    fn next(&mut self) -> Result<Option<RecordBatch>, ConnectorError> {
        let place = self.place.clone();
        guarded(&place, || self.read())
    }

    fn irregular(&self) -> u64 {
        0
    }
}

fn reader(file: File, layout: &Layout) -> Option<ParquetRecordBatchReader> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, layout.metadata.clone());
    let roots = layout
        .readable
        .iter()
        .enumerate()
        .filter(|(_, readable)| **readable);
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.map(|(root, _)| root));
    builder
        .with_projection(mask)
        .with_batch_size(batch_rows(layout.readable.len()))
        .build()
        .ok()
}

/// Rows to read at once: as of the other forms, no more than 2^20 cells.
pub(super) fn batch_rows(columns: usize) -> usize {
    (1_usize << 20)
        .checked_div(columns)
        .unwrap_or(BATCH_ROWS)
        .clamp(1, BATCH_ROWS)
}

fn text_bytes(column: &StringViewArray, row: usize) -> usize {
    if column.is_null(row) {
        0
    } else {
        column.value(row).len()
    }
}

/// A column as text; texts stay views. None if it cannot be written as text after all.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what needs no care of its own is left to arrow"
)]
fn text(column: &ArrayRef) -> Option<ArrayRef> {
    let data_type = column.data_type();
    Some(match data_type {
        DataType::Utf8View => Arc::clone(column),
        DataType::Dictionary(_, value) => text(&cast(column, value).ok()?)?,
        DataType::Float16 => {
            let values = column.as_primitive_opt::<Float16Type>()?.iter();
            strings(values.map(|value| value.map(|value| value.to_f32().to_string())))
        }
        DataType::Float32 => {
            let values = column.as_primitive_opt::<Float32Type>()?.iter();
            strings(values.map(|value| value.map(|value| value.to_string())))
        }
        DataType::Float64 => {
            let values = column.as_primitive_opt::<Float64Type>()?.iter();
            strings(values.map(|value| value.map(|value| value.to_string())))
        }
        DataType::Timestamp(unit, zone) => {
            let zoned = zone.is_some();
            match unit {
                TimeUnit::Second => timestamps::<TimestampSecondType>(column, zoned)?,
                TimeUnit::Millisecond => timestamps::<TimestampMillisecondType>(column, zoned)?,
                TimeUnit::Microsecond => timestamps::<TimestampMicrosecondType>(column, zoned)?,
                TimeUnit::Nanosecond => timestamps::<TimestampNanosecondType>(column, zoned)?,
            }
        }
        // The cast writes a time of day behind the date.
        DataType::Date64 => cast(&cast(column, &DataType::Date32).ok()?, &DataType::Utf8).ok()?,
        _ => cast(column, &DataType::Utf8).ok()?,
    })
}

fn strings(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// Timestamps; a column with a zone holds instants, which are written in UTC.
fn timestamps<T: ArrowTimestampType>(column: &ArrayRef, zoned: bool) -> Option<ArrayRef> {
    let suffix = if zoned { "Z" } else { "" };
    let write = |value: i64| {
        let moment = as_datetime::<T>(value)?;
        Some(format!("{}{suffix}", moment.format("%Y-%m-%d %H:%M:%S%.f")))
    };
    let values = column.as_primitive_opt::<T>()?.iter();
    Some(strings(values.map(|value| value.and_then(write))))
}
