//! How the scan gets at bytes: by range, from the pinned store, with the footer already at hand;
//! and how its errors become ours without passing on what may hold a value.

use std::error::Error as StdError;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, MetadataFetch};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::encryption::check_column_bytes;
use crate::error::{ConnectorError, causes};
use crate::snapshot::PinnedStore;

/// Access to the bytes of one pinned file.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    pub(super) store: Arc<PinnedStore>,
    pub(super) location: Path,
    /// The file's length; a range beyond it is an error of the file, not of the store.
    pub(super) size: u64,
    /// The file as messages show it.
    pub(super) place: Arc<str>,
}

impl Fetch {
    pub(super) async fn ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ParquetError> {
        let inside = |range: &Range<u64>| range.start <= range.end && range.end <= self.size;
        if !ranges.iter().all(inside) {
            return Err(ParquetError::EOF(
                "a column lies outside the file".to_owned(),
            ));
        }
        let read = self.store.get_ranges(&self.location, ranges).await;
        read.map_err(|error| ParquetError::External(Box::new(error)))
    }
}

impl MetadataFetch for &mut Fetch {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move { Ok(self.ranges(&[range]).await?.pop().unwrap_or_default()) }.boxed()
    }
}

/// Gives the scan a reader that knows the footer.
#[derive(Debug)]
pub(super) struct SplitReaderFactory {
    fetch: Fetch,
    metadata: Arc<ParquetMetaData>,
}

impl SplitReaderFactory {
    pub(super) fn new(fetch: Fetch, metadata: Arc<ParquetMetaData>) -> Self {
        Self { fetch, metadata }
    }
}

impl ParquetFileReaderFactory for SplitReaderFactory {
    fn create_reader(
        &self,
        _partition: usize,
        _file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>, DataFusionError> {
        let (fetch, metadata) = (self.fetch.clone(), Arc::clone(&self.metadata));
        let mut columns = metadata
            .row_groups()
            .iter()
            .flat_map(|group| group.columns());
        Ok(Box::new(SplitReader {
            is_encrypted: columns.any(|column| column.crypto_metadata().is_some()),
            fetch,
            metadata,
        }))
    }
}

struct SplitReader {
    fetch: Fetch,
    metadata: Arc<ParquetMetaData>,
    is_encrypted: bool,
}

impl SplitReader {
    /// Reads columns of row groups, each whole: page indexes, by which parts of them could be chosen,
    /// are not read. What is encrypted goes to the decoder only if it is made of modules, since the
    /// length that a module states is not authenticated, and memory is taken for it.
    async fn columns(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ParquetError> {
        let columns = self.fetch.ranges(ranges).await?;
        if self.is_encrypted {
            for column in &columns {
                check_column_bytes(column)
                    .map_err(|what| ParquetError::General(what.to_owned()))?;
            }
        }
        Ok(columns)
    }
}

impl AsyncFileReader for SplitReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move { Ok(self.columns(&[range]).await?.pop().unwrap_or_default()) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move { self.columns(&ranges).await }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        futures::future::ready(Ok(Arc::clone(&self.metadata))).boxed()
    }
}

/// An error of the scan of a file.
pub(super) fn decode_error(
    error: &DataFusionError,
    place: &str,
    part: Option<&str>,
) -> ConnectorError {
    sort(error, place, part)
}

/// An error of the Parquet reader.
pub(super) fn parquet_error(
    error: &ParquetError,
    place: &str,
    part: Option<&str>,
) -> ConnectorError {
    sort(error, place, part)
}

/// The store's error where one caused it; else the file is damaged. Only structural complaints of the
/// Parquet reader are passed on: conversions may quote the value they failed on.
fn sort<'a>(
    error: &'a (dyn StdError + 'static),
    place: &str,
    part: Option<&str>,
) -> ConnectorError {
    let store_error = |cause: &'a (dyn StdError + 'static)| cause.downcast_ref();
    if let Some(error) = causes(error).find_map(store_error) {
        return ConnectorError::from_store(error, place);
    }
    let structural =
        causes(error).find_map(|cause| match cause.downcast_ref::<ParquetError>()? {
            ParquetError::General(what) | ParquetError::NYI(what) | ParquetError::EOF(what) => {
                Some(
                    what.lines()
                        .next()
                        .unwrap_or_default()
                        .chars()
                        .take(160)
                        .collect::<String>(),
                )
            }
            ParquetError::IndexOutOfBound(..)
            | ParquetError::NeedMoreData(_)
            | ParquetError::NeedMoreDataRange(_) => Some("it ends too early".to_owned()),
            ParquetError::ArrowError(_) | ParquetError::External(_) | _ => None,
        });
    ConnectorError::Damaged {
        place: place.to_owned(),
        part: part.map(str::to_owned),
        what: structural.unwrap_or_else(|| "it cannot be decoded".to_owned()),
    }
}
