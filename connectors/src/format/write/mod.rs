//! Writing rows for people and their programs: delimited text, JSON lines, Excel workbooks, archives of
//! them, and Arrow files.
//!
//! A [`RowEncoder`] turns columns into the bytes of their rows: exactly, on any thread, and, but for the
//! batches of Arrow files, the same bytes however the rows are cut. A [`RowFile`] puts those bytes one after another into a file. What
//! a value becomes is said by the module of each format; null is never an empty text, and a value
//! that a format cannot hold fails with its place instead of being changed.

mod archive;
mod arrow_file;
mod count;
mod csv;
mod json;
mod jsonl;
#[cfg(test)]
mod tests;
mod text;
mod xlsx;

use std::fmt;
use std::io::{self, Write};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::archive::{Archive, ArchivedAs};
pub(crate) use self::arrow_file::MAGIC as ARROW_MAGIC;
use self::arrow_file::{ArrowBatches, ArrowFile};
pub use self::arrow_file::{ArrowCompression, ArrowForm};
pub use self::count::{arrow_rows, count_rows};
use self::csv::Dialect;
pub(crate) use self::csv::unguarded;
pub use self::csv::{CsvForm, FORMULA_GUARD_RULE, LineEnd};
pub use self::xlsx::{
    COLUMNS_MAX as XLSX_COLUMNS_MAX, ROWS_MAX as XLSX_ROWS_MAX, TEXT_MAX as XLSX_TEXT_MAX,
};
use self::xlsx::{Sheet, Workbook};
use super::csv::Encoding;
use crate::error::ConnectorError;

/// A format of rows with its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RowFormat {
    /// Delimited text.
    Csv(CsvForm),
    /// One JSON object a line.
    Jsonl,
    /// An Excel workbook of one sheet.
    Xlsx,
    /// An Arrow IPC file.
    Arrow(ArrowForm),
}

impl RowFormat {
    /// The extension of its files, without its dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::Jsonl => "jsonl",
            Self::Xlsx => "xlsx",
            Self::Arrow(_) => "arrow",
        }
    }

    /// Most rows of a file.
    pub fn rows_max(&self) -> u64 {
        match self {
            Self::Csv(_) | Self::Jsonl | Self::Arrow(_) => u64::MAX,
            Self::Xlsx => XLSX_ROWS_MAX,
        }
    }

    /// Whether rows that are encoded together stay together in the file: what is encoded apart shows.
    pub fn is_of_batches(&self) -> bool {
        matches!(self, Self::Arrow(_))
    }
}

/// Why a value cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// Longer than a cell of a workbook.
    #[error(
        "a text of more than 32,767 characters, the most that a cell of a workbook holds; deliver \
         the field in another format, or shortened"
    )]
    TextTooLong,
    /// Beyond the years that a calendar can name.
    #[error("a day beyond the year 262142, which cannot be written; treat it as a sentinel")]
    BeyondCalendar,
    /// A character that would come back as another.
    #[error(
        "a character that GB 18030 writes as another, or that its editions write differently; deliver in \
         encoding \"utf-8\""
    )]
    NotInCharset,
    /// Never met: bytes in memory always take more, and columns are of the types of their schema.
    #[error("it could not be formatted")]
    Unformatted,
}

/// A cell that cannot be written, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellError {
    /// The column, from 0.
    pub column: usize,
    /// The row among those that were encoded together, from 0.
    pub row: usize,
    /// Why.
    pub why: Unwritable,
}

/// Rows as bytes of their format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes.
    bytes: Vec<u8>,
    /// Cells that were given an apostrophe, so that no spreadsheet takes them for a formula.
    guarded: u64,
    /// Of an Arrow file, how many of the bytes say what the others are.
    head: usize,
}

/// Turns columns into rows of a format.
pub struct RowEncoder {
    schema: SchemaRef,
    kind: Kind,
}

enum Kind {
    Csv(Dialect),
    Jsonl(jsonl::Keys),
    Xlsx(Sheet),
    Arrow(ArrowBatches),
}

impl RowEncoder {
    /// An encoder of rows of `schema`. `ids` says which columns are identifiers, which a workbook holds
    /// as text even where they are numbers; columns beyond it aren't.
    ///
    /// # Errors
    /// Options that contradict each other, more columns than a format has, a name that it cannot write,
    /// or a type that no catalogue has.
    pub fn new(
        schema: SchemaRef,
        format: &RowFormat,
        ids: &[bool],
    ) -> Result<Self, ConnectorError> {
        for field in schema.fields() {
            if !text::is_writable(field.data_type()) {
                return Err(ConnectorError::bug(
                    "a delivered field has a type that no catalogue has",
                ));
            }
        }
        let kind = match format {
            RowFormat::Csv(form) => Kind::Csv(Dialect::new(form, &schema)?),
            RowFormat::Jsonl => Kind::Jsonl(jsonl::keys(&schema)?),
            RowFormat::Xlsx => Kind::Xlsx(Sheet::new(&schema, ids)?),
            RowFormat::Arrow(form) => Kind::Arrow(ArrowBatches::new(&schema, form)?),
        };
        Ok(Self { schema, kind })
    }

    /// Encodes rows of which the first will be the row `first` of its file, counted from 0 without a
    /// header.
    ///
    /// # Errors
    /// The first cell, row by row, that the format cannot hold.
    pub fn encode(&self, columns: &[ArrayRef], first: u64) -> Result<Encoded, CellError> {
        match &self.kind {
            Kind::Csv(dialect) => dialect.encode(columns),
            Kind::Jsonl(keys) => jsonl::encode(keys, columns),
            Kind::Xlsx(sheet) => sheet.encode(columns, first),
            Kind::Arrow(batches) => batches.encode(columns),
        }
    }

    /// Begins a file: everything that stands before its first row.
    ///
    /// # Errors
    /// What keeps `sink` from being written.
    pub fn open<W: Write>(&self, mut sink: W) -> io::Result<RowFile<W>> {
        let content = match &self.kind {
            Kind::Csv(dialect) => {
                sink.write_all(&dialect.head(&self.schema)?)?;
                Content::Text(sink)
            }
            Kind::Jsonl(_) => Content::Text(sink),
            Kind::Xlsx(sheet) => Content::Workbook(Box::new(sheet.open(sink)?)),
            Kind::Arrow(batches) => Content::Arrow(batches.open(sink)?),
        };
        Ok(RowFile {
            content,
            guarded: 0,
        })
    }
}

impl fmt::Debug for RowEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowEncoder").finish_non_exhaustive()
    }
}

/// A file of rows under way.
pub struct RowFile<W: Write> {
    content: Content<W>,
    guarded: u64,
}

enum Content<W: Write> {
    Text(W),
    Workbook(Box<Workbook<W>>),
    Arrow(ArrowFile<W>),
}

impl<W: Write> RowFile<W> {
    /// Appends rows.
    ///
    /// # Errors
    /// What keeps the file from being written.
    pub fn append(&mut self, rows: &Encoded) -> io::Result<()> {
        match &mut self.content {
            Content::Text(sink) => sink.write_all(&rows.bytes)?,
            Content::Workbook(workbook) => workbook.write_all(&rows.bytes)?,
            Content::Arrow(file) => file.append(rows)?,
        }
        self.guarded = self.guarded.saturating_add(rows.guarded);
        Ok(())
    }

    /// Whether the file has as many bytes as its format can hold, whatever it was compressed to.
    pub fn is_full(&self) -> bool {
        match &self.content {
            Content::Text(_) | Content::Arrow(_) => false,
            Content::Workbook(workbook) => workbook.is_full(),
        }
    }

    /// Cells that were given an apostrophe.
    pub fn guarded(&self) -> u64 {
        self.guarded
    }

    /// Ends the file and hands back what it was written into.
    ///
    /// # Errors
    /// What keeps the file from being written.
    pub fn finish(self) -> io::Result<W> {
        match self.content {
            Content::Text(sink) => Ok(sink),
            Content::Workbook(workbook) => workbook.finish(),
            Content::Arrow(file) => file.finish(),
        }
    }
}

impl<W: Write> fmt::Debug for RowFile<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFile")
            .field("guarded", &self.guarded)
            .finish_non_exhaustive()
    }
}

/// Rows of columns of one length.
fn rows_of(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(0, |column| column.len())
}

/// Cells of columns, for one format to write row by row.
fn cells<'a, C>(
    columns: &'a [ArrayRef],
    of: impl Fn(&'a dyn Array) -> Option<C>,
) -> Result<Vec<C>, CellError> {
    columns
        .iter()
        .enumerate()
        .map(|(column, array)| {
            of(array.as_ref()).ok_or(CellError {
                column,
                row: 0,
                why: Unwritable::Unformatted,
            })
        })
        .collect()
}
