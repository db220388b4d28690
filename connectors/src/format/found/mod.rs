//! A found table: a copy of unknown origin, in whatever form it turned up, read for a trace.
//!
//! Nobody vouches for such a file, so what other formats take from a catalogue is told from its
//! content here: the form, the encoding, the delimiter, the names of the columns. Every column comes
//! as text. A damaged row is evidence, not an error: it is cut or padded to the columns, bytes that
//! are no characters become U+FFFD, and both are counted. What is refused is a file that nothing can
//! be read from, and one that would fill memory.
//!
//! Memory is bounded by a batch and a record, both about 16 MiB, for Parquet by its pages, and for Arrow by
//! the file's own batches, of at most 1 GiB. For a
//! workbook the shared strings and styles are held as well, by estimate at most 2 GiB.

mod arrow_file;
mod delimited;
mod guard;
mod json_lines;
mod parquet;
mod rows;
mod text;
mod xlsx;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;

use self::rows::Columns;
use crate::error::ConnectorError;
pub use crate::format::csv::Encoding;

/// What the reader of a found table is told, instead of guessing it. The default guesses all. What
/// the file's form has no use for is refused: it would be followed by nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundOptions {
    /// The encoding of text.
    pub encoding: Option<Encoding>,
    /// What stands between fields, an ASCII character; saying it also says that the file is
    /// delimited text.
    pub delimiter: Option<u8>,
    /// The sheet of a workbook.
    pub sheet: Option<String>,
    /// Whether the first row names the columns.
    pub header: Option<bool>,
}

impl FoundOptions {
    /// Refuses what a file of that form has no use for.
    fn check(&self, form: &Form) -> Result<(), ConnectorError> {
        let (encoding, delimiter) = (self.encoding.is_some(), self.delimiter.is_some());
        let (sheet, header) = (self.sheet.is_some(), self.header.is_some());
        let (is, useless): (&str, &[(bool, &str)]) = match form {
            Form::Parquet => (
                "Parquet, which says by itself how it is read",
                &[
                    (encoding, "an encoding"),
                    (delimiter, "a delimiter"),
                    (sheet, "a sheet"),
                    (header, "whether there is a header"),
                ],
            ),
            Form::Arrow => (
                "an Arrow file, which says by itself how it is read",
                &[
                    (encoding, "an encoding"),
                    (delimiter, "a delimiter"),
                    (sheet, "a sheet"),
                    (header, "whether there is a header"),
                ],
            ),
            Form::Zip => (
                "an Excel workbook",
                &[(encoding, "an encoding"), (delimiter, "a delimiter")],
            ),
            Form::Text => ("text", &[(sheet, "a sheet")]),
        };
        match useless.iter().find(|(is_given, _)| *is_given) {
            None => Ok(()),
            Some((_, option)) => Err(ConnectorError::config(
                format!("{option} was given for the file, and it is {is}"),
                "leave that out, or name another file",
            )),
        }
    }
}

/// The form a found table turned out to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundFormat {
    /// Delimited text.
    Delimited {
        /// The encoding of its text.
        encoding: Encoding,
        /// What stands between fields.
        delimiter: u8,
    },
    /// A sheet of an Excel workbook.
    Xlsx {
        /// The sheet's name.
        sheet: String,
    },
    /// A JSON object or array on each line.
    JsonLines {
        /// The encoding of its text.
        encoding: Encoding,
    },
    /// Apache Parquet.
    Parquet,
    /// An Arrow IPC file.
    Arrow,
}

impl fmt::Display for FoundFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delimited {
                encoding,
                delimiter,
            } => {
                let between = match delimiter {
                    b',' => "commas".to_owned(),
                    b';' => "semicolons".to_owned(),
                    b'\t' => "tabs".to_owned(),
                    b'|' => "vertical bars".to_owned(),
                    other => format!("`{}`", char::from(*other)),
                };
                write!(
                    f,
                    "text in {}, delimited by {between}",
                    encoding.charset().name()
                )
            }
            Self::Xlsx { sheet } => write!(f, "sheet `{sheet}` of an Excel workbook"),
            Self::JsonLines { encoding } => {
                write!(f, "JSON lines in {}", encoding.charset().name())
            }
            Self::Parquet => f.write_str("Parquet"),
            Self::Arrow => f.write_str("an Arrow file"),
        }
    }
}

/// A found table, looked at and ready to be read.
#[derive(Debug)]
pub struct FoundTable {
    path: PathBuf,
    format: FoundFormat,
    columns: Columns,
    layout: Layout,
}

/// What each form needs to be read again from its start.
#[derive(Debug)]
enum Layout {
    Delimited(text::Source, u8),
    Xlsx(xlsx::Layout),
    JsonLines(text::Source, json_lines::Shape),
    Parquet(parquet::Layout),
    Arrow(arrow_file::Layout),
}

impl FoundTable {
    /// Looks at a file: tells its form and finds its columns.
    ///
    /// # Errors
    /// A file that does not exist or cannot be opened; [`ConnectorError::Unreadable`] for one that is
    /// no table, is encrypted, cut short, or larger in memory than any table should be.
    pub fn open(path: &Path, options: &FoundOptions) -> Result<Self, ConnectorError> {
        if options
            .delimiter
            .is_some_and(|byte| !byte.is_ascii() || matches!(byte, b'"' | b'\n' | b'\r'))
        {
            return Err(ConnectorError::config(
                "the delimiter is not usable",
                "give an ASCII character that is neither a quote nor a line end",
            ));
        }
        let place = place(path);
        let form = form(path, &place)?;
        options.check(&form)?;
        let (format, layout, columns) = match form {
            Form::Parquet => {
                let (layout, columns) = parquet::open(path, &place)?;
                (FoundFormat::Parquet, Layout::Parquet(layout), columns)
            }
            Form::Arrow => {
                let (layout, columns) = arrow_file::open(path, &place)?;
                (FoundFormat::Arrow, Layout::Arrow(layout), columns)
            }
            Form::Zip => {
                let (layout, columns) = xlsx::open(path, &place, options)?;
                let sheet = layout.sheet().to_owned();
                (FoundFormat::Xlsx { sheet }, Layout::Xlsx(layout), columns)
            }
            Form::Text => text_table(path, &place, options)?,
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            columns,
            layout,
        })
    }

    /// The form the file has.
    pub fn format(&self) -> &FoundFormat {
        &self.format
    }

    /// The names of the columns as found, without surrounding white space; `column 1` and so on where
    /// there are none.
    pub fn names(&self) -> &[String] {
        &self.columns.names
    }

    /// Whether the file names its columns.
    pub fn has_header(&self) -> bool {
        self.columns.has_header
    }

    /// Reads the rows, from the first; each call begins anew.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn batches(&self) -> Result<FoundBatches, ConnectorError> {
        let (path, columns) = (&self.path, &self.columns);
        let batches: Box<dyn Batches> = match &self.layout {
            Layout::Delimited(source, delimiter) => {
                Box::new(delimited::Rows::open(source, *delimiter, columns)?)
            }
            Layout::Xlsx(layout) => Box::new(xlsx::Rows::open(path, place(path), layout, columns)?),
            Layout::JsonLines(source, shape) => {
                Box::new(json_lines::Rows::open(source, *shape, columns)?)
            }
            Layout::Parquet(layout) => {
                Box::new(parquet::Rows::open(path, place(path), layout, columns)?)
            }
            Layout::Arrow(layout) => arrow_file::rows(path, place(path), layout, columns)?,
        };
        Ok(FoundBatches {
            batches,
            ended: false,
        })
    }
}

/// The rows of a found table: batches of nullable text columns, one per name, of at most 8,192 rows
/// and about 16 MiB of text. After an error there are no more.
pub struct FoundBatches {
    batches: Box<dyn Batches>,
    ended: bool,
}

/// What each form implements.
trait Batches: Send {
    /// The next batch, or none at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>, ConnectorError>;

    /// How many rows so far had too few or too many fields, or were damaged otherwise.
    fn irregular(&self) -> u64;
}

impl FoundBatches {
    /// How many of the rows read so far had too few or too many fields, broken quotes, bytes outside
    /// of the encoding, or were no JSON at all (such lines are left out).
    pub fn irregular(&self) -> u64 {
        self.batches.irregular()
    }
}

impl Iterator for FoundBatches {
    type Item = Result<RecordBatch, ConnectorError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.batches.next().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Shows how far reading has come; no text.
impl fmt::Debug for FoundBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundBatches")
            .field("ended", &self.ended)
            .field("irregular", &self.irregular())
            .finish()
    }
}

/// What the first bytes of a file say.
enum Form {
    Parquet,
    Arrow,
    Zip,
    Text,
}

fn form(path: &Path, place: &str) -> Result<Form, ConnectorError> {
    let mut head = Vec::with_capacity(8);
    open_file(path, place)?
        .take(8)
        .read_to_end(&mut head)
        .map_err(|error| ConnectorError::from_io(&error, place))?;
    let refuse = |what, remedy| Err(unreadable(place, None, what, remedy));
    match head.as_slice() {
        [] => refuse("it is empty", "find a whole copy"),
        [b'P', b'A', b'R', b'1', ..] => Ok(Form::Parquet),
        // What is aligned has two zeros behind the magic, which no text has.
        [b'A', b'R', b'R', b'O', b'W', b'1', 0, 0] => Ok(Form::Arrow),
        [b'P', b'A', b'R', b'E', ..] => refuse("it is encrypted Parquet", OPEN_FIRST),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Ok(Form::Zip),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => refuse(
            "it is an Excel workbook that is protected by a password, or of the old kind (.xls)",
            "open it in a spreadsheet and save it as .xlsx or CSV without a password",
        ),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            refuse("it is compressed", "unpack it first")
        }
        _ => Ok(Form::Text),
    }
}

/// What to do about an encrypted file.
const OPEN_FIRST: &str = "open it first, with the key of the recipient it was sealed to";

fn text_table(
    path: &Path,
    place: &str,
    options: &FoundOptions,
) -> Result<(FoundFormat, Layout, Columns), ConnectorError> {
    let (source, sample) = text::Source::open(path, place, options.encoding)?;
    let encoding = source.encoding();
    if options.delimiter.is_none() && json_lines::is_json(&sample) {
        let (shape, columns) = json_lines::open(&source, options.header)?;
        let layout = Layout::JsonLines(source, shape);
        return Ok((FoundFormat::JsonLines { encoding }, layout, columns));
    }
    let delimiter = options
        .delimiter
        .unwrap_or_else(|| delimited::guess_delimiter(&sample));
    let columns = delimited::open(&source, delimiter, options.header)?;
    let format = FoundFormat::Delimited {
        encoding,
        delimiter,
    };
    Ok((format, Layout::Delimited(source, delimiter), columns))
}

/// Opens a file; anything else, a pipe that would never end for one, is refused.
fn open_file(path: &Path, place: &str) -> Result<File, ConnectorError> {
    let io = |error: std::io::Error| ConnectorError::from_io(&error, place);
    if !path.metadata().map_err(io)?.is_file() {
        return Err(unreadable(
            place,
            None,
            "it is not a file",
            "name one file, or copy what it holds into one",
        ));
    }
    File::open(path).map_err(io)
}

fn place(path: &Path) -> String {
    path.display().to_string()
}

fn unreadable(
    place: &str,
    part: Option<String>,
    what: impl Into<String>,
    remedy: impl Into<String>,
) -> ConnectorError {
    ConnectorError::Unreadable {
        place: place.to_owned(),
        part,
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// Runs a decoder that is not ours: on a hostile file it may panic.
fn guarded<T>(
    place: &str,
    decode: impl FnOnce() -> Result<T, ConnectorError>,
) -> Result<T, ConnectorError> {
    std::panic::catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(senseless(place)))
}

/// The error for a file that its decoder gave up on.
fn senseless(place: &str) -> ConnectorError {
    unreadable(
        place,
        None,
        "its decoder cannot make sense of it",
        "find a whole copy, or convert this one to CSV",
    )
}
