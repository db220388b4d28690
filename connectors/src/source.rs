//! The seam between formats and the engine: what to read, in which pieces, and what comes out.
//!
//! # Contract
//! - The splits are disjoint and in source order (path in byte order, then row); together they are
//!   every row of the snapshot but the pruned ones. They depend on files, projection and pruning
//!   only, never on `batch_rows`, threads or time.
//! - A stream yields the rows of its split in order, exactly once; if it ends without an error, it
//!   was all of them. `first_row` of every batch is exact, and the rows of a batch follow each
//!   other in the file.
//! - Columns are the requested ones, in the requested order, with the catalogue's types; text may
//!   come in any physical form (plain, large, view or dictionary).
//! - Pruning is a hint that may only drop rows for which the predicate is not true.
//! - Dropping a stream stops its reads.
//!
//! [`crate::conformance`] holds every source to this.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::physical_expr::PhysicalExpr;
use futures::stream::BoxStream;

use crate::error::ConnectorError;
use crate::format::{Format, csv, parquet};
use crate::snapshot::{Snapshot, list_files};
use crate::store::Store;

/// A dataset's files: where they are and what the catalogue says they hold.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// The store.
    pub store: Store,
    /// A file, or a directory ending in `/`, relative to the store.
    pub path: String,
    /// How the files are written.
    pub format: Format,
    /// Every field of the catalogue, with plain types, nullable.
    pub fields: SchemaRef,
}

/// What to read of a dataset.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// The fields to read, in the order wanted; each once.
    pub projection: Vec<String>,
    /// A predicate over [`SourceSpec::fields`]; parts of files may be skipped where it is proven
    /// not to be true of any row.
    pub pruning: Option<Arc<dyn PhysicalExpr>>,
    /// The most rows a batch may have, at least 1.
    pub batch_rows: usize,
}

/// One piece of the read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// Index of the file in the snapshot.
    pub file: usize,
    /// Its first row within the file, from 0.
    pub first_row: u64,
    /// How many rows it has, where that is known before reading.
    pub rows: Option<u64>,
    /// How many bytes it will read, about: compressed, of the projected columns.
    pub bytes: u64,
    /// How many bytes of the file reading it holds at a time, at most: of its largest row group.
    pub held: u64,
}

/// Most bytes of one value. Longer ones are documents, not fields, and some encodings hide
/// gigabytes of them in kilobytes.
pub const VALUE_BYTES_MAX: u64 = 16 << 20;

/// A batch ends early at so many bytes, because what a run reads ahead is bounded by its batches.
pub(crate) const BATCH_BYTES: usize = 32 << 20;

/// Some consecutive rows of one file.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    /// The projected columns, in projection order.
    pub batch: RecordBatch,
    /// The first row within the file, from 0; malformed rows count.
    pub first_row: u64,
    /// Rows dropped as malformed since the batch before (or the start of the split).
    pub malformed: u64,
}

/// A dataset opened under a snapshot: checked against the catalogue, cut into splits, unread.
#[async_trait]
pub trait Source: Send + Sync + Debug {
    /// The files, as they were when the source was opened.
    fn snapshot(&self) -> &Snapshot;

    /// Columns of the files that the catalogue does not have, sorted; they are never read.
    fn ignored_columns(&self) -> &[String];

    /// The pieces of the read, in source order.
    fn splits(&self) -> &[Split];

    /// Rows in all files, pruned ones included, where the format knows.
    fn rows_total(&self) -> Option<u64>;

    /// Rows skipped by pruning, where known.
    fn rows_pruned(&self) -> Option<u64>;

    /// Opens a split for reading.
    ///
    /// # Errors
    /// Whatever the store or the decoder says, naming the file; [`ConnectorError::Changed`] if the
    /// file is no longer as in the snapshot. After an error the stream ends.
    async fn open(
        &self,
        split: usize,
    ) -> Result<BoxStream<'static, Result<SourceBatch, ConnectorError>>, ConnectorError>;

    /// Looks whether every file is still as in the snapshot; called after the last row.
    ///
    /// # Errors
    /// [`ConnectorError::Changed`] naming the first file that is not.
    async fn confirm_unchanged(&self) -> Result<(), ConnectorError>;
}

/// Lists the files, checks each against the catalogue, and plans the splits. Reads footers and
/// headers only.
///
/// # Errors
/// [`ConnectorError::Schema`] with every difference of every file; [`ConnectorError::Config`] for
/// a request or options that cannot be; and the store's failures.
pub async fn open_source(
    spec: SourceSpec,
    request: ReadRequest,
) -> Result<Arc<dyn Source>, ConnectorError> {
    if request.batch_rows == 0 {
        return Err(ConnectorError::bug("batches of no rows were asked for"));
    }
    let mut columns = Vec::with_capacity(request.projection.len());
    for name in &request.projection {
        let index = spec.fields.index_of(name).map_err(|_| {
            ConnectorError::bug(format!(
                "field `{name}` was asked for and is not catalogued"
            ))
        })?;
        if columns.contains(&index) {
            return Err(ConnectorError::bug(format!(
                "field `{name}` was asked for twice"
            )));
        }
        columns.push(index);
    }
    let snapshot = list_files(&spec.store, &spec.path, spec.format.extension()).await?;
    match spec.format.clone() {
        Format::Parquet | Format::EncryptedParquet(_) => {
            let source = parquet::ParquetSource::open(spec, request, columns, snapshot).await?;
            Ok(Arc::new(source))
        }
        Format::Csv(options) => {
            let source = csv::CsvSource::open(spec, options, request, columns, snapshot).await?;
            Ok(Arc::new(source))
        }
    }
}
