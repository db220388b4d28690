//! A Parquet file's footer, read once and kept: it gives the schema, the row counts and the
//! statistics, and saves the scan a second read. A footer that contradicts itself is refused here,
//! because row numbers are computed from it.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::FutureExt;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};

use super::encryption::{self, SourceKeys};
use super::reader::{Fetch, parquet_error};
use crate::error::ConnectorError;
use crate::source::{BATCH_BYTES, VALUE_BYTES_MAX};

/// Most footers fit into this, and are then read with one request.
const FOOTER_HINT_BYTES: usize = 256 * 1024;

/// What a file says about itself.
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) fetch: Fetch,
    pub(super) metadata: Arc<ParquetMetaData>,
    /// The file's own Arrow schema.
    pub(super) schema: SchemaRef,
    pub(super) rows: u64,
    /// Rows of each row group.
    pub(super) group_rows: Vec<u64>,
}

impl Footer {
    /// The leaf columns that make up the named top-level columns.
    pub(super) fn leaves(&self, names: &[String]) -> Vec<usize> {
        let parquet = self.metadata.file_metadata().schema_descr();
        let named = |leaf: &usize| {
            names
                .iter()
                .any(|name| name == parquet.get_column_root(*leaf).name())
        };
        (0..parquet.num_columns()).filter(named).collect()
    }
}

impl Footer {
    /// Refuses row groups that are read and whose values are so long on average that decoding one
    /// page of them could exhaust memory.
    ///
    /// # Errors
    /// [`ConnectorError::Damaged`], naming the row group and the column.
    pub(super) fn check_widths(
        &self,
        kept: &[bool],
        projection: &[String],
    ) -> Result<(), ConnectorError> {
        let leaves = self.leaves(projection);
        let groups = self.metadata.row_groups().iter().zip(&self.group_rows);
        for (index, ((group, rows), _)) in
            groups.zip(kept).enumerate().filter(|(_, (_, kept))| **kept)
        {
            let limit = rows.saturating_add(1).saturating_mul(VALUE_BYTES_MAX);
            let wide = leaves
                .iter()
                .filter_map(|&leaf| group.columns().get(leaf))
                .find(|column| {
                    u64::try_from(column.uncompressed_size()).unwrap_or(u64::MAX) > limit
                });
            if let Some(column) = wide {
                return Err(ConnectorError::Damaged {
                    place: self.fetch.place.to_string(),
                    part: Some(format!(
                        "row group {index}, column {}",
                        column.column_path()
                    )),
                    what: format!(
                        "its values have more than {} MiB on average, as its footer says",
                        VALUE_BYTES_MAX >> 20
                    ),
                });
            }
        }
        Ok(())
    }

    /// How many rows a batch of these row groups may have so that it holds about [`BATCH_BYTES`],
    /// by the widths that the footer states: `most` at most, and one at least. Where values repeat
    /// the footer counts them once, and so does a batch.
    pub(super) fn batch_rows(
        &self,
        groups: Range<usize>,
        projection: &[String],
        most: usize,
    ) -> usize {
        let leaves = self.leaves(projection);
        let metadata = self.metadata.row_groups();
        let widths = metadata
            .iter()
            .zip(&self.group_rows)
            .skip(groups.start)
            .take(groups.len())
            .map(|(group, rows)| {
                let columns = leaves.iter().filter_map(|&leaf| group.columns().get(leaf));
                let bytes = columns
                    .map(|column| u64::try_from(column.uncompressed_size()).unwrap_or(0))
                    .fold(0, u64::saturating_add);
                usize::try_from(bytes / (*rows).max(1)).unwrap_or(usize::MAX)
            });
        let fitting = BATCH_BYTES / widths.max().unwrap_or(0).max(1);
        fitting.clamp(1, most.max(1))
    }
}

/// Refuses a file that isn't encrypted where keys were given for it, and columns that were left plain in
/// one that is.
async fn confirm_encrypted(fetch: &Fetch) -> Result<(), ParquetError> {
    let plain = || {
        ParquetError::General(
            "it is not encrypted, or its footer isn't, and the catalogue has keys for it"
                .to_owned(),
        )
    };
    let length = u64::try_from(encryption::MAGIC.len()).unwrap_or(u64::MAX);
    let tail = fetch.size.checked_sub(length).ok_or_else(plain)?;
    let ends = fetch.ranges(&[0..length, tail..fetch.size]).await?;
    match ends.as_slice() {
        [begin, end] if encryption::is_encrypted(begin, end) => Ok(()),
        _ => Err(plain()),
    }
}

/// Says what else may be wrong with a footer that does not open under keys alone.
fn perhaps_bound(mut error: ConnectorError) -> ConnectorError {
    if let ConnectorError::Damaged { what, .. } = &mut error {
        what.push_str(
            "; if its writer bound it to a prefix, state that beside the keys as aad_prefix",
        );
    }
    error
}

/// Reads and checks a footer.
pub(super) async fn read(
    mut fetch: Fetch,
    keys: Option<SourceKeys>,
) -> Result<Footer, ConnectorError> {
    let damaged = {
        let place = Arc::clone(&fetch.place);
        move |what: &str| ConnectorError::Damaged {
            place: place.to_string(),
            part: Some("its footer".to_owned()),
            what: what.to_owned(),
        }
    };
    let size = fetch.size;
    if keys.is_some() {
        let confirmed = confirm_encrypted(&fetch).await;
        confirmed.map_err(|error| parquet_error(&error, &fetch.place, Some("its footer")))?;
    }
    let reading = async {
        let properties = keys.as_ref().map(|keys| Arc::clone(keys.properties()));
        let metadata = ParquetMetaDataReader::new()
            .with_decryption_properties(properties)
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_prefetch_hint(Some(FOOTER_HINT_BYTES))
            .load_and_finish(&mut fetch, size)
            .await?;
        let file = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
        Ok::<_, ParquetError>((metadata, schema))
    };
    let (metadata, schema) = match AssertUnwindSafe(reading).catch_unwind().await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            let error = parquet_error(&error, &fetch.place, Some("its footer"));
            let is_bound = keys.as_ref().is_none_or(SourceKeys::has_prefix);
            return Err(if is_bound {
                error
            } else {
                perhaps_bound(error)
            });
        }
        Err(_) => return Err(damaged("the decoder cannot make sense of it")),
    };
    let mut chunks = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    if keys.is_some() && chunks.any(|column| column.crypto_metadata().is_none()) {
        return Err(damaged(
            "a column is plain, and the catalogue has keys for the file",
        ));
    }
    let (group_rows, rows) = counted(&metadata, damaged)?;
    Ok(Footer {
        fetch,
        metadata: Arc::new(metadata),
        schema: Arc::new(schema),
        rows,
        group_rows,
    })
}

/// The rows of each row group, and of all: row groups have all columns, and add up to what the file says.
fn counted(
    metadata: &ParquetMetaData,
    damaged: impl Fn(&str) -> ConnectorError,
) -> Result<(Vec<u64>, u64), ConnectorError> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let mut group_rows = Vec::with_capacity(metadata.num_row_groups());
    let mut rows = 0_u64;
    for group in metadata.row_groups() {
        if group.num_columns() != columns {
            return Err(damaged(
                "a row group has another number of columns than the schema",
            ));
        }
        let group = u64::try_from(group.num_rows())
            .map_err(|_| damaged("a row group has a negative number of rows"))?;
        rows = rows
            .checked_add(group)
            .ok_or_else(|| damaged("its row counts overflow"))?;
        group_rows.push(group);
    }
    if u64::try_from(metadata.file_metadata().num_rows()) != Ok(rows) {
        return Err(damaged(
            "its row groups do not add up to its number of rows",
        ));
    }
    Ok((group_rows, rows))
}

/// Compressed bytes of some leaf columns of a row group; a size that makes no sense counts as none.
pub(super) fn projected_bytes(group: &RowGroupMetaData, leaves: &[usize]) -> u64 {
    leaves
        .iter()
        .filter_map(|&leaf| group.columns().get(leaf))
        .filter_map(|column| u64::try_from(column.compressed_size()).ok())
        .fold(0, u64::saturating_add)
}
