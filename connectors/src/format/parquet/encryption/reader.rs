//! Reading sealed Parquet, from whoever's hands it comes.

use std::fmt;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;

use super::{MAGIC, guard};
use crate::error::{ConnectorError, brief, causes};
use crate::seal::SealError;

/// Bytes of a Parquet file's tail: length of the footer and magic.
const TAIL_BYTES: usize = 8;

/// Largest footer that is read.
const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// Smallest encrypted footer: a length, nonce and tag.
const FOOTER_BYTES_MIN: u64 = 4 + 12 + 16;

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 8192;

/// A sealed Parquet file, opened.
///
/// Nothing of a row is given out that was not authenticated: each page stands in a module of its own.
/// Whether the file is whole, and the delivery's, is for its SHA-256 and the manifest to say.
pub struct SealedReader<R> {
    input: R,
    pub(super) metadata: ArrowReaderMetadata,
    place: String,
}

impl<R> fmt::Debug for SealedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedReader")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl<R: ChunkReader + Clone + 'static> SealedReader<R> {
    /// Opens a file; `place` is what errors call it.
    ///
    /// # Errors
    /// A file that is plain, or not sealed with these keys, or not as it was sealed.
    pub fn open(
        input: R,
        properties: &Arc<FileDecryptionProperties>,
        place: &str,
    ) -> Result<Self, ConnectorError> {
        let footer = read_footer(&input, place)?;
        let prefix = properties.aad_prefix().map_or(&[][..], Vec::as_slice);
        guard::check_footer(&footer, prefix).map_err(|what| altered(place, what))?;
        drop(footer);
        let options =
            ArrowReaderOptions::new().with_file_decryption_properties(Arc::clone(properties));
        let metadata = contained(place, || ArrowReaderMetadata::load(&input, options))?;
        let walked = contained(place, || {
            Ok(guard::check_modules(&input, metadata.metadata()))
        })?;
        walked.map_err(|what| altered(place, what))?;
        Ok(Self {
            input,
            metadata,
            place: place.to_owned(),
        })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Rows of each row group.
    pub fn group_rows(&self) -> Vec<u64> {
        let groups = self.metadata.metadata().row_groups().iter();
        groups
            .map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
            .collect()
    }

    /// Reads a row group, batch by batch.
    ///
    /// # Errors
    /// A row group that isn't there or isn't as it was sealed.
    pub fn read_group(&self, group: usize) -> Result<GroupReader, ConnectorError> {
        let reader = contained(&self.place, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.input.clone(),
                self.metadata.clone(),
            )
            .with_row_groups(vec![group])
            .with_batch_size(BATCH_ROWS)
            .build()
        })?;
        Ok(GroupReader {
            reader,
            place: self.place.clone(),
        })
    }

    /// Writes the file plain: the same rows in the same row groups.
    ///
    /// # Errors
    /// A page that isn't as it was sealed; a file that can't be written. What was written by then is
    /// authentic, and incomplete.
    pub fn write_plain<W: Write + Send>(&self, output: W) -> Result<W, ConnectorError> {
        let written = |error: ParquetError| ConnectorError::Io {
            place: format!("the opened copy of {}", self.place),
            what: brief(&error),
        };
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_coerce_types(true)
            .set_max_row_group_row_count(None)
            .build();
        let mut writer = ArrowWriter::try_new(output, Arc::clone(self.schema()), Some(properties))
            .map_err(written)?;
        for group in 0..self.group_rows().len() {
            for batch in self.read_group(group)? {
                writer.write(&batch?).map_err(written)?;
            }
            writer.flush().map_err(written)?;
        }
        writer.into_inner().map_err(written)
    }
}

/// The rows of a row group.
pub struct GroupReader {
    reader: ParquetRecordBatchReader,
    place: String,
}

impl fmt::Debug for GroupReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupReader")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Iterator for GroupReader {
    type Item = Result<RecordBatch, ConnectorError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = &mut self.reader;
        let next = panic::catch_unwind(AssertUnwindSafe(|| reader.next()));
        match next {
            Ok(None) => None,
            Ok(Some(Ok(batch))) => Some(Ok(batch)),
            // What the decoder says may hold a value.
            Ok(Some(Err(_))) | Err(_) => Some(Err(altered(
                &self.place,
                "a page of it does not open, or cannot be decoded",
            ))),
        }
    }
}

/// The footer of a file, which must begin and end as one with an encrypted footer of possible length.
fn read_footer<R: ChunkReader>(input: &R, place: &str) -> Result<Bytes, ConnectorError> {
    let unreadable = |_| ConnectorError::Io {
        place: place.to_owned(),
        what: "it cannot be read".to_owned(),
    };
    let size = input.len();
    let tail = u64::try_from(TAIL_BYTES).unwrap_or(u64::MAX);
    let head = u64::try_from(MAGIC.len()).unwrap_or(u64::MAX);
    let Some(tail_start) = size.checked_sub(tail).filter(|start| *start >= head) else {
        return Err(altered(place, "it is too short for a Parquet file"));
    };
    let begin = input.get_bytes(0, MAGIC.len()).map_err(unreadable)?;
    let end = input
        .get_bytes(tail_start, TAIL_BYTES)
        .map_err(unreadable)?;
    let (length, magic) = end
        .split_first_chunk::<4>()
        .ok_or_else(|| altered(place, "it is too short for a Parquet file"))?;
    if begin.as_ref() != MAGIC || magic != MAGIC {
        return Err(altered(
            place,
            "it is not sealed, where a sealed Parquet file is expected",
        ));
    }
    let length = u64::from(u32::from_le_bytes(*length));
    if !(FOOTER_BYTES_MIN..=FOOTER_BYTES_MAX.min(tail_start - head)).contains(&length) {
        return Err(altered(place, "its footer has an impossible length"));
    }
    let start = tail_start.saturating_sub(length);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    input.get_bytes(start, length).map_err(unreadable)
}

/// Runs the decoder over what may be hostile: it panics where it trusts a length.
fn contained<T>(
    place: &str,
    decode: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, ConnectorError> {
    match panic::catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(error)) => {
            // Our own refusals say what is wrong; the decoder's words could hold a value.
            let own = causes(&error).find_map(|cause| {
                let own = cause.downcast_ref::<SealError>().map(ToString::to_string);
                own.or_else(|| {
                    let connector = cause.downcast_ref::<ConnectorError>();
                    connector.map(ToString::to_string)
                })
            });
            let what = own.unwrap_or_else(|| {
                "its footer does not open: it was altered, or is another file than expected"
                    .to_owned()
            });
            Err(altered(place, &what))
        }
        Err(_) => Err(altered(place, "the decoder cannot make sense of it")),
    }
}

fn altered(place: &str, what: &str) -> ConnectorError {
    SealError::malformed(format!("{place}: {what}")).into()
}
