//! The footer of a Parquet file: how many rows and which fields it states. It is read with bounds, since
//! whoever wrote it may be anybody.

use std::sync::Arc;

use object_store::ObjectStoreExt as _;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};

use super::error::failed;
use super::fields::FoundField;
use super::{Check, VerifyError, VerifyProblemKind};
use crate::manifest::FileStatement;

/// Bytes of a Parquet file's tail: length of the footer and magic.
const TAIL_BYTES: u64 = 8;

/// Largest Parquet footer that is read.
const FOOTER_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl Check<'_> {
    /// Reads the Parquet footer of a file, whose size is the stated one.
    pub(super) async fn footer(
        &mut self,
        file: &FileStatement,
    ) -> Result<Option<bytes::Bytes>, VerifyError> {
        let location = self.location(&file.path);
        let Some(tail_start) = file.bytes.checked_sub(TAIL_BYTES) else {
            self.problem(
                VerifyProblemKind::Format,
                &file.path,
                "too short for a Parquet file",
            );
            return Ok(None);
        };
        let store = Arc::clone(self.store);
        let read = async |range: std::ops::Range<u64>| {
            store
                .get_range(&location, range)
                .await
                .map_err(|source| failed(&file.path, source))
        };
        let tail = read(tail_start..file.bytes).await?;
        let length = FooterTail::try_from(tail.as_ref())
            .ok()
            .filter(|tail| !tail.is_encrypted_footer())
            .and_then(|tail| u64::try_from(tail.metadata_length()).ok())
            .filter(|length| (1..=FOOTER_BYTES_MAX.min(tail_start)).contains(length));
        let Some(length) = length else {
            self.problem(
                VerifyProblemKind::Format,
                &file.path,
                "does not end as a Parquet file",
            );
            return Ok(None);
        };
        read(tail_start - length..tail_start).await.map(Some)
    }
}

/// Rows and fields of a Parquet file, from its footer.
pub(super) fn read_footer(footer: &[u8]) -> Result<(u64, Vec<FoundField>), String> {
    let unreadable = |_| "its Parquet footer cannot be read".to_owned();
    let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(unreadable)?;
    let file = metadata.file_metadata();
    let rows = file.num_rows();
    let grouped = metadata
        .row_groups()
        .iter()
        .try_fold(0i64, |sum, group| sum.checked_add(group.num_rows()));
    if grouped != Some(rows) {
        return Err("its row groups do not hold as many rows as its footer states".to_owned());
    }
    let rows = u64::try_from(rows).map_err(|_| "its footer states a negative number of rows")?;
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        .map_err(unreadable)?;
    let fields = schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    Ok((rows, fields))
}
