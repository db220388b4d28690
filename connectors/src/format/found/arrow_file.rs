//! An Arrow IPC file, its columns turned into text.
//!
//! A batch is held whole, as it stands in the file and unpacked: those of more than 1 GiB are refused.

use std::io;
use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::parquet::{self, batch_rows, has_text};
use super::rows::Columns;
use super::{Batches, guarded, open_file, unreadable};
use crate::error::ConnectorError;
use crate::format::ipc::IpcFile;

/// Which columns have text.
#[derive(Debug)]
pub(super) struct Layout {
    readable: Vec<bool>,
}

/// Reads the footer.
pub(super) fn open(path: &Path, place: &str) -> Result<(Layout, Columns), ConnectorError> {
    guarded(place, || {
        let file = IpcFile::open(open_file(path, place)?).map_err(|error| failed(&error, place))?;
        let fields = file.schema().fields();
        let readable = fields.iter().map(|field| has_text(field.data_type()));
        let names = fields.iter().map(|field| field.name().trim().to_owned());
        let layout = Layout {
            readable: readable.collect(),
        };
        // Such a file may claim rows without end that take no bytes.
        if !layout.readable.contains(&true) {
            return Err(unreadable(
                place,
                None,
                "it is an Arrow file without a column of text, numbers, times or truth values",
                "give the file that holds the values, or save them as Parquet or CSV",
            ));
        }
        Ok((layout, Columns::named(names.collect(), place)?))
    })
}

fn failed(error: &io::Error, place: &str) -> ConnectorError {
    let kind = error.kind();
    if kind == io::ErrorKind::InvalidData || kind == io::ErrorKind::UnexpectedEof {
        return damaged(place);
    }
    ConnectorError::from_io(error, place)
}

fn damaged(place: &str) -> ConnectorError {
    unreadable(
        place,
        None,
        "it is an Arrow file that is cut short or damaged, or has batches of more than 1 GiB",
        "find a whole copy, or save it as Parquet or CSV",
    )
}

/// The rows of a file.
pub(super) fn rows(
    path: &Path,
    place: String,
    layout: &Layout,
    columns: &Columns,
) -> Result<Box<dyn Batches>, ConnectorError> {
    let file = open_file(path, &place)?;
    let batches = guarded(&place, || {
        let file = IpcFile::open(file).and_then(IpcFile::into_batches);
        file.map_err(|error| failed(&error, &place))
    })?;
    let pieces = Pieces {
        batches: Box::new(batches),
        readable: layout.readable.clone(),
        batch: None,
        from: 0,
    };
    let source = Box::new(pieces);
    let rows = parquet::Rows::of(place, source, columns, &layout.readable, damaged);
    Ok(Box::new(rows))
}

/// The readable columns of a file's batches, a few rows at a time.
struct Pieces {
    batches: Box<dyn Iterator<Item = io::Result<RecordBatch>> + Send>,
    readable: Vec<bool>,
    /// The batch under way, and its first row that was not handed out.
    batch: Option<RecordBatch>,
    from: usize,
}

impl Iterator for Pieces {
    type Item = Option<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let left = |batch: &&RecordBatch| self.from < batch.num_rows();
            if let Some(batch) = self.batch.as_ref().filter(left) {
                let rows = batch_rows(self.readable.len()).min(batch.num_rows() - self.from);
                let piece = batch.slice(self.from, rows);
                self.from += rows;
                return Some(as_views(&piece));
            }
            self.batch = None;
            self.from = 0;
            match self.batches.next()? {
                Ok(batch) => self.batch = self.readable_of(&batch),
                Err(_) => return Some(None),
            }
            if self.batch.is_none() {
                return Some(None);
            }
        }
    }
}

impl Pieces {
    fn readable_of(&self, batch: &RecordBatch) -> Option<RecordBatch> {
        let columns = self.readable.iter().enumerate();
        let columns = columns.filter(|(_, readable)| **readable);
        let columns: Vec<usize> = columns.map(|(column, _)| column).collect();
        batch.project(&columns).ok()
    }
}

/// Texts as views, which is what rows are cut by.
fn as_views(batch: &RecordBatch) -> Option<RecordBatch> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| -> Option<(String, ArrayRef)> {
        let column = if parquet::view(column.data_type()) == DataType::Utf8View {
            cast(column, &DataType::Utf8View).ok()?
        } else {
            ArrayRef::clone(column)
        };
        Some((field.name().clone(), column))
    });
    let columns = columns.collect::<Option<Vec<_>>>()?;
    if columns.is_empty() {
        return Some(batch.clone());
    }
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .ok()
}
