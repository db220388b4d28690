//! Encoding: treated chunks become groups of rows, groups become files.
//!
//! A format decides what a group is. Parquet encodes a row group in the lane that treats it, column
//! by column, and the file takes it in as it is. A group belongs to one file; which groups share a
//! file follows from the rows and from constants.

mod parquet;
mod sink;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use rayon::ThreadPool;

pub use self::parquet::Compression;
pub(crate) use self::parquet::held_type;
use self::parquet::{ParquetEncoder, ParquetFile, ParquetGroup, ParquetGroupWriter};
pub(super) use self::sink::Sink;
use super::treat::Chunk;
use crate::error::RunError;

/// A part ends before it would exceed this many rows.
const PART_ROWS: u64 = 10_000_000;

/// A part ends when it has reached this many bytes.
const PART_BYTES: usize = 1 << 30;

/// How a run writes what it delivers.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
}

#[derive(Debug)]
enum Format {
    Parquet(ParquetEncoder),
}

impl Encoder {
    /// An encoder for Parquet files of `schema`; `prunable` says by whose texts a reader may want to
    /// prune, `software` goes into the footers.
    ///
    /// # Errors
    /// A type that Parquet cannot hold.
    pub fn parquet(
        schema: &Schema,
        prunable: Vec<bool>,
        compression: Compression,
        software: &str,
    ) -> Result<Self, RunError> {
        let encoder = ParquetEncoder::new(schema, prunable, compression, software)?;
        Ok(Self {
            format: Format::Parquet(encoder),
        })
    }

    /// The extension of the files' names.
    pub(super) fn extension(&self) -> &'static str {
        match self.format {
            Format::Parquet(_) => "parquet",
        }
    }

    /// Opens a file.
    pub(super) fn open(&self, sink: Sink) -> Result<PartFile, RunError> {
        let content = match &self.format {
            Format::Parquet(encoder) => Content::Parquet(encoder.open(sink)?),
        };
        Ok(PartFile { content, rows: 0 })
    }
}

/// A group of rows under way. Used on a rayon pool.
pub(super) enum GroupWriter {
    Parquet(ParquetGroupWriter),
}

impl GroupWriter {
    /// Begins a group whose first chunk will be `first`.
    pub(super) fn begin(encoder: &Encoder, first: &[ArrayRef]) -> Result<Self, RunError> {
        match &encoder.format {
            Format::Parquet(encoder) => {
                ParquetGroupWriter::begin(encoder, first).map(Self::Parquet)
            }
        }
    }

    /// Rows written.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Parquet(group) => group.rows(),
        }
    }

    /// What the rows written held before treatment, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(group) => group.bytes(),
        }
    }

    /// Whether the group has all the rows it may have.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Parquet(group) => group.is_full(),
        }
    }

    /// Adds a chunk.
    pub(super) fn write(self, encoder: &Encoder, chunk: &Chunk) -> Result<Self, RunError> {
        match (self, &encoder.format) {
            (Self::Parquet(group), Format::Parquet(encoder)) => {
                group.write(encoder, chunk).map(Self::Parquet)
            }
        }
    }

    /// Finishes the group.
    pub(super) fn close(self) -> Result<EncodedGroup, RunError> {
        match self {
            Self::Parquet(group) => group.close().map(EncodedGroup::Parquet),
        }
    }
}

/// A group of rows, ready to be appended to a file.
#[derive(Debug)]
pub(super) enum EncodedGroup {
    Parquet(ParquetGroup),
}

impl EncodedGroup {
    /// Rows in the group.
    pub(super) fn rows(&self) -> u64 {
        let rows = match self {
            Self::Parquet(group) => group.rows(),
        };
        u64::try_from(rows).unwrap_or(u64::MAX)
    }
}

/// A file under way.
pub(super) struct PartFile {
    content: Content,
    rows: u64,
}

enum Content {
    Parquet(ParquetFile),
}

impl PartFile {
    /// Whether the file ends before `group`.
    pub(super) fn is_full_for(&self, group: &EncodedGroup) -> bool {
        match &self.content {
            Content::Parquet(file) => {
                self.rows.saturating_add(group.rows()) > PART_ROWS
                    || file.bytes_written() >= PART_BYTES
            }
        }
    }

    /// Rows appended so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends a group; what there is to compute is computed on `pool`. Returns the rows for which
    /// the next file is.
    #[expect(unused_variables, reason = "a Parquet group comes encoded")]
    pub(super) fn append(
        &mut self,
        group: EncodedGroup,
        pool: &ThreadPool,
    ) -> Result<Option<EncodedGroup>, RunError> {
        let rows = group.rows();
        match (&mut self.content, group) {
            (Content::Parquet(file), EncodedGroup::Parquet(group)) => file.append(group)?,
        }
        self.rows = self.rows.saturating_add(rows);
        Ok(None)
    }

    /// Writes what ends the file.
    pub(super) fn close(self) -> Result<PartEnd, RunError> {
        match self.content {
            Content::Parquet(file) => Ok(PartEnd {
                sink: file.close()?,
                guarded: 0,
            }),
        }
    }
}

/// A file whose content is complete.
#[derive(Debug)]
pub(super) struct PartEnd {
    /// What it was written into.
    pub(super) sink: Sink,
    /// Cells that were given an apostrophe, so that no spreadsheet takes them for a formula.
    pub(super) guarded: u64,
}
