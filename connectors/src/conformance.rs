//! What every [`Source`](crate::Source) has to hold to, as one battery that each format's tests
//! call. It returns sentences instead of panicking, so that it can be used outside of tests.

use std::future::Future;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;

use crate::error::ConnectorError;
use crate::schema::fits;
use crate::source::{ReadRequest, Source};

/// What reading a source gives, independent of how it was cut into batches.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// File and row of each row, in order.
    pub rows: Vec<(usize, u64)>,
    /// The columns, plain types.
    pub columns: Vec<ArrayRef>,
    /// Rows dropped as malformed.
    pub malformed: u64,
}

/// Reads every split of a source and checks what can be checked on the way.
///
/// # Errors
/// A sentence about the first thing that does not hold, or the source's own error.
pub async fn read_all(source: &dyn Source, request: &ReadRequest) -> Result<Content, String> {
    let mut content = Content {
        rows: Vec::new(),
        columns: Vec::new(),
        malformed: 0,
    };
    let mut batches: Vec<RecordBatch> = Vec::new();
    for (index, split) in source.splits().iter().enumerate() {
        let mut stream = source
            .open(index)
            .await
            .map_err(|error| error.to_string())?;
        let mut next_row = split.first_row;
        let mut rows = 0_u64;
        while let Some(read) = stream.try_next().await.map_err(|error| error.to_string())? {
            let names: Vec<_> = read
                .batch
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            if names != request.projection {
                return Err(format!("split {index} gives columns {names:?}"));
            }
            if read.batch.num_rows() > request.batch_rows {
                return Err(format!(
                    "split {index} gives more than {} rows",
                    request.batch_rows
                ));
            }
            next_row = next_row.saturating_add(read.malformed);
            if read.first_row != next_row {
                return Err(format!(
                    "split {index}: a batch begins at row {} instead of {next_row}",
                    read.first_row
                ));
            }
            let batch_rows = u64::try_from(read.batch.num_rows()).unwrap_or(u64::MAX);
            next_row = next_row.saturating_add(batch_rows);
            rows = rows.saturating_add(batch_rows);
            content
                .rows
                .extend((read.first_row..next_row).map(|row| (split.file, row)));
            content.malformed = content.malformed.saturating_add(read.malformed);
            batches.push(read.batch);
        }
        if split.rows.is_some_and(|stated| stated != rows) {
            return Err(format!(
                "split {index} gives {rows} rows instead of {:?}",
                split.rows
            ));
        }
    }
    content.columns = joined(&batches, request.projection.len())?;
    Ok(content)
}

/// Opens the source in several ways and compares: every row once and in order, first rows exact,
/// batch size without effect, projection in order and without effect on values, types as
/// catalogued.
///
/// # Errors
/// A sentence about the first thing that does not hold, or the source's own error.
pub async fn source_conforms<F, R>(fields: &SchemaRef, open: F) -> Result<Content, String>
where
    F: Fn(ReadRequest) -> R + Send + Sync,
    R: Future<Output = Result<Arc<dyn Source>, ConnectorError>> + Send,
{
    let all: Vec<String> = fields
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let read = async |projection: &[String], batch_rows: usize| {
        let request = ReadRequest {
            projection: projection.to_vec(),
            pruning: None,
            batch_rows,
        };
        let source = open(request.clone())
            .await
            .map_err(|error| error.to_string())?;
        let content = read_all(&*source, &request).await?;
        source
            .confirm_unchanged()
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>((source, content))
    };
    let (source, whole) = read(&all, 4096).await?;
    counts(&*source, &whole)?;
    if !whole.rows.is_sorted_by(|a, b| a < b) {
        return Err("rows are not in source order, or not once each".to_owned());
    }
    for (column, field) in whole.columns.iter().zip(fields.fields()) {
        if !fits(column.data_type(), field.data_type()) {
            return Err(format!(
                "field `{}` comes as {}",
                field.name(),
                column.data_type()
            ));
        }
    }
    for batch_rows in [1, 7, 1_000_000] {
        let (again, content) = read(&all, batch_rows).await?;
        if content != whole {
            return Err(format!("batches of {batch_rows} rows give other content"));
        }
        if again.splits() != source.splits() || again.snapshot() != source.snapshot() {
            return Err("splits or snapshot depend on the batch size".to_owned());
        }
    }
    let reversed: Vec<String> = all.iter().rev().cloned().collect();
    let (_, mut content) = read(&reversed, 4096).await?;
    content.columns.reverse();
    if content != whole {
        return Err("the order of the projection changes content".to_owned());
    }
    for (name, column) in all.iter().zip(&whole.columns) {
        let (_, content) = read(std::slice::from_ref(name), 4096).await?;
        if content.rows == whole.rows && content.columns != [Arc::clone(column)] {
            return Err(format!("field `{name}` alone gives other values"));
        }
    }
    Ok(whole)
}

/// Where the source states counts, they are those of the content.
fn counts(source: &dyn Source, whole: &Content) -> Result<(), String> {
    let read = u64::try_from(whole.rows.len()).unwrap_or(u64::MAX);
    let Some(total) = source.rows_total() else {
        return Ok(());
    };
    let pruned = source.rows_pruned().unwrap_or(0);
    if total == read.saturating_add(pruned) {
        Ok(())
    } else {
        Err(format!(
            "{total} rows in total, but {read} read and {pruned} pruned"
        ))
    }
}

/// The columns of all batches, text in its plain form.
fn joined(batches: &[RecordBatch], columns: usize) -> Result<Vec<ArrayRef>, String> {
    let mut joined = Vec::with_capacity(columns);
    for index in 0..columns {
        let mut parts = Vec::with_capacity(batches.len());
        for batch in batches {
            let part = batch.columns().get(index).ok_or("a column is missing")?;
            let plain = if fits(part.data_type(), &DataType::Utf8) {
                cast(part, &DataType::Utf8).map_err(|error| error.to_string())?
            } else {
                Arc::clone(part)
            };
            parts.push(plain);
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        if !parts.is_empty() {
            joined.push(concat(&parts).map_err(|error| error.to_string())?);
        }
    }
    Ok(joined)
}
