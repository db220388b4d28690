//! Encoding: treated chunks become groups of rows, groups become files.
//!
//! A format decides what a group is. Parquet encodes a row group in the lane that treats it, column
//! by column, and the file takes it in as it is; a group belongs to one file. Formats of rows, and Arrow
//! files, encode when the file takes the rows in, and may divide a group between files. Which rows share
//! a file follows from the rows and from constants.

mod parquet;
mod rows;
mod sink;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use lockgate_connectors::format::write::RowFormat;
use lockgate_connectors::seal::SealContext;
use rayon::ThreadPool;

pub use self::parquet::Compression;
pub(crate) use self::parquet::held_type;
pub(super) use self::parquet::{GROUP_ROWS_MAX, is_full_group};
use self::parquet::{ParquetEncoder, ParquetFile, ParquetGroup, ParquetGroupWriter};
pub use self::rows::Companion;
use self::rows::{Limits, RowsEncoder, RowsFile, RowsGroup, RowsGroupWriter};
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
    Parquet(Box<ParquetEncoder>),
    Rows(RowsEncoder),
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
            format: Format::Parquet(Box::new(encoder)),
        })
    }

    /// An encoder for files of rows of `schema`. With `companions`, all files are members of zip archives
    /// that begin with these. `ids` says which fields are identifiers, which workbooks hold as text; fields
    /// beyond it aren't.
    ///
    /// # Errors
    /// Options that contradict each other, or more fields than the format holds.
    pub fn rows(
        schema: &Schema,
        format: &RowFormat,
        companions: Option<Vec<Companion>>,
        ids: &[bool],
    ) -> Result<Self, RunError> {
        let limits = Limits {
            rows: PART_ROWS,
            bytes: u64::try_from(PART_BYTES).unwrap_or(u64::MAX),
        };
        let schema = Arc::new(schema.clone());
        let encoder = RowsEncoder::new(schema, (format, ids), companions, limits)?;
        Ok(Self {
            format: Format::Rows(encoder),
        })
    }

    /// The extension of the files' names.
    pub(super) fn extension(&self) -> &'static str {
        match &self.format {
            Format::Parquet(_) => "parquet",
            Format::Rows(encoder) => encoder.extension(),
        }
    }

    /// Opens a file called `name` that is encrypted as it is encoded, and whose first group begins with
    /// `first`.
    pub(super) fn open_sealed(
        &self,
        sink: Sink,
        seal: (&SealContext, &[String]),
        name: &str,
        first: &[ArrayRef],
    ) -> Result<PartFile, RunError> {
        match &self.format {
            Format::Parquet(encoder) => {
                let file = encoder.open_sealed(sink, seal, name, first)?;
                Ok(PartFile {
                    content: Content::Parquet(Box::new(file)),
                    rows: 0,
                })
            }
            Format::Rows(_) => Err(of_another_format()),
        }
    }

    /// Opens a file.
    pub(super) fn open(&self, sink: Sink) -> Result<PartFile, RunError> {
        let content = match &self.format {
            Format::Parquet(encoder) => Content::Parquet(Box::new(encoder.open(sink)?)),
            Format::Rows(encoder) => Content::Rows(Box::new(encoder.open(sink)?)),
        };
        Ok(PartFile { content, rows: 0 })
    }
}

/// A group of rows under way. Used on a rayon pool.
pub(super) enum GroupWriter {
    Parquet(ParquetGroupWriter),
    Rows(RowsGroupWriter),
}

impl GroupWriter {
    /// Begins a group whose first chunk will be `first`.
    pub(super) fn begin(encoder: &Encoder, first: &[ArrayRef]) -> Result<Self, RunError> {
        match &encoder.format {
            Format::Parquet(encoder) => {
                ParquetGroupWriter::begin(encoder, first).map(Self::Parquet)
            }
            Format::Rows(_) => Ok(Self::Rows(RowsGroupWriter::default())),
        }
    }

    /// Rows written.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Parquet(group) => group.rows(),
            Self::Rows(group) => group.rows(),
        }
    }

    /// What the rows written held before treatment, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(group) => group.bytes(),
            Self::Rows(group) => group.bytes(),
        }
    }

    /// Whether the group has all the rows it may have.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Parquet(group) => group.is_full(),
            Self::Rows(group) => group.is_full(),
        }
    }

    /// Adds a chunk.
    pub(super) fn write(self, encoder: &Encoder, chunk: &Chunk) -> Result<Self, RunError> {
        match (self, &encoder.format) {
            (Self::Parquet(group), Format::Parquet(encoder)) => {
                let chunks = std::slice::from_ref(chunk);
                group.write(encoder, chunks).map(Self::Parquet)
            }
            (Self::Rows(group), Format::Rows(_)) => Ok(Self::Rows(group.write(chunk))),
            (Self::Parquet(_) | Self::Rows(_), _) => Err(of_another_format()),
        }
    }

    /// Begins the next group of a file that encodes its own, being sealed.
    pub(super) fn begin_in(encoder: &Encoder, file: &PartFile) -> Result<Self, RunError> {
        match (&encoder.format, &file.content) {
            (Format::Parquet(encoder), Content::Parquet(file)) => {
                ParquetGroupWriter::begin_in(encoder, file).map(Self::Parquet)
            }
            (Format::Parquet(_) | Format::Rows(_), _) => Err(of_another_format()),
        }
    }

    /// Adds chunks to a group of a file that encodes its own.
    pub(super) fn write_in(self, encoder: &Encoder, chunks: &[Chunk]) -> Result<Self, RunError> {
        match (self, &encoder.format) {
            (Self::Parquet(group), Format::Parquet(encoder)) => {
                group.write(encoder, chunks).map(Self::Parquet)
            }
            (Self::Parquet(_) | Self::Rows(_), _) => Err(of_another_format()),
        }
    }

    /// Finishes the group.
    pub(super) fn close(self) -> Result<EncodedGroup, RunError> {
        match self {
            Self::Parquet(group) => group.close().map(EncodedGroup::Parquet),
            Self::Rows(group) => Ok(EncodedGroup::Rows(group.close())),
        }
    }
}

fn of_another_format() -> RunError {
    RunError::Internal {
        what: "rows were given to another format".to_owned(),
    }
}

/// A group of rows, ready to be appended to a file.
#[derive(Debug)]
pub(super) enum EncodedGroup {
    Parquet(ParquetGroup),
    Rows(RowsGroup),
}

impl EncodedGroup {
    /// Rows in the group.
    pub(super) fn rows(&self) -> u64 {
        let rows = match self {
            Self::Parquet(group) => group.rows(),
            Self::Rows(group) => group.rows(),
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
    Parquet(Box<ParquetFile>),
    Rows(Box<RowsFile>),
}

impl PartFile {
    /// Whether the file ends before `group`.
    pub(super) fn is_full_for(&self, group: &EncodedGroup) -> bool {
        match &self.content {
            Content::Parquet(_) => self.is_full_for_rows(group.rows()),
            Content::Rows(file) => file.is_full(),
        }
    }

    /// Whether a file that encodes its own groups ends before one of so many rows.
    pub(super) fn is_full_for_rows(&self, rows: u64) -> bool {
        match &self.content {
            Content::Parquet(file) => {
                self.rows.saturating_add(rows) > PART_ROWS
                    || file.bytes_written() >= PART_BYTES
                    || file.is_full_of_groups()
            }
            Content::Rows(file) => file.is_full(),
        }
    }

    /// Rows appended so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends a group; what there is to compute is computed on `pool`. Returns the rows for which
    /// the next file is.
    pub(super) fn append(
        &mut self,
        group: EncodedGroup,
        pool: &ThreadPool,
    ) -> Result<Option<EncodedGroup>, RunError> {
        let given = group.rows();
        let rest = match (&mut self.content, group) {
            (Content::Parquet(file), EncodedGroup::Parquet(group)) => {
                file.append(group)?;
                None
            }
            (Content::Rows(file), EncodedGroup::Rows(group)) => {
                file.append(group, pool)?.map(EncodedGroup::Rows)
            }
            (Content::Parquet(_) | Content::Rows(_), _) => return Err(of_another_format()),
        };
        let left = rest.as_ref().map_or(0, EncodedGroup::rows);
        self.rows = self.rows.saturating_add(given - left);
        Ok(rest)
    }

    /// Writes what ends the file.
    pub(super) fn close(self) -> Result<PartEnd, RunError> {
        match self.content {
            Content::Parquet(file) => Ok(PartEnd {
                sink: file.close()?,
                guarded: 0,
            }),
            Content::Rows(file) => file.close(),
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

#[cfg(test)]
mod tests;
