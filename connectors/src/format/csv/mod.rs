//! Delimited text, read by a decoder of our own: other readers know neither the rejection of single
//! rows, nor GB 18030, nor the difference between a quoted empty text and null.
//!
//! Columns are found by the names in the header of each file, or are the catalogue's in order where
//! there is none. One file is one split. A malformed row has another number of columns, a value
//! that does not parse as its field's type (only fields asked for are parsed), bytes outside the
//! encoding, broken quoting, more than 65,536 columns, or more than 16 MiB. It fails the run, or is
//! dropped and counted where the dataset says `reject`; but where quotes went over the end of a line
//! and what they are in is no row (a quote may have been closed by that of a later row, or never),
//! the run always fails, because nobody can tell how many rows were lost in it.

mod reader;
pub(super) mod records;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use self::reader::{Records, Step};
use self::records::Grammar;
use self::values::{Column, Unfit};
use crate::error::ConnectorError;
use crate::schema;
use crate::snapshot::{CONCURRENT_FILES, PinnedStore, Snapshot, SourceFile, confirm_unchanged};
use crate::source::{BATCH_BYTES, ReadRequest, Source, SourceBatch, SourceSpec, Split};
use crate::store::Store;

/// How a dataset's text files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first record names the columns (default: yes). Without it, files have the
    /// catalogue's fields in the catalogue's order.
    pub header: bool,
    /// Between fields, one ASCII character (default: comma).
    pub delimiter: char,
    /// Around texts that hold delimiters, quotes or line ends, one ASCII character (default: `"`);
    /// none if quotes mean nothing.
    pub quote: Option<char>,
    /// Before a quote within quotes, one ASCII character; a doubled quote always means one quote.
    pub escape: Option<char>,
    /// The characters' encoding (default: UTF-8). A byte order mark at the start is skipped.
    pub encoding: Encoding,
    /// The unquoted text that stands for null; the empty text where absent.
    pub null: Option<String>,
    /// What happens on a malformed row (default: the run fails).
    pub on_malformed: OnMalformed,
    /// What zeros before a whole number are (default: malformed).
    pub leading_zeros: LeadingZeros,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: ',',
            quote: Some('"'),
            escape: None,
            encoding: Encoding::Utf8,
            null: None,
            on_malformed: OnMalformed::Fail,
            leading_zeros: LeadingZeros::Malformed,
        }
    }
}

/// The encoding of text files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB 18030, which includes GBK and GB 2312.
    #[serde(rename = "gb18030")]
    Gb18030,
    /// UTF-16, the low byte first.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, the high byte first.
    #[serde(rename = "utf-16be")]
    Utf16Be,
}

impl Encoding {
    pub(super) fn charset(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 => encoding_rs::UTF_8,
            Self::Gb18030 => encoding_rs::GB18030,
            Self::Utf16Le => encoding_rs::UTF_16LE,
            Self::Utf16Be => encoding_rs::UTF_16BE,
        }
    }
}

/// What happens on a malformed row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMalformed {
    /// The run fails, naming file, row and field.
    #[default]
    Fail,
    /// The row is dropped and counted.
    Reject,
}

/// What zeros before a whole number are: `007` in a column of integers, or of decimals without
/// places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeadingZeros {
    /// The row is malformed: a number that is written so is most often an identifier, which loses
    /// what tells it from others.
    #[default]
    Malformed,
    /// They mean nothing, as in `0042` for forty-two.
    Drop,
}

impl CsvOptions {
    fn grammar(&self, columns: usize) -> Result<Grammar, ConnectorError> {
        let refuse = |what: &str| {
            ConnectorError::config(
                format!("a csv source's {what}"),
                "use different ASCII characters that are no line end",
            )
        };
        let byte = |name: &str, character: char| {
            u8::try_from(character)
                .ok()
                .filter(|byte| byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0))
                .ok_or_else(|| refuse(&format!("{name} is not usable")))
        };
        let delimiter = byte("delimiter", self.delimiter)?;
        let quote = self.quote.map(|quote| byte("quote", quote)).transpose()?;
        let escape = self
            .escape
            .map(|escape| byte("escape", escape))
            .transpose()?;
        if quote == Some(delimiter) || escape == Some(delimiter) {
            return Err(refuse("delimiter is also its quote or escape"));
        }
        if escape.is_some() && quote.is_none() {
            return Err(refuse("escape has no quotes to be in"));
        }
        Ok(Grammar {
            delimiter,
            quote,
            escape,
            skip_blank: columns > 1,
        })
    }
}

/// Where the fields are in one file.
#[derive(Debug)]
struct Layout {
    columns: usize,
    /// The column of each projected field.
    positions: Vec<usize>,
}

/// A dataset of delimited text files.
#[derive(Debug)]
pub(crate) struct CsvSource {
    store: Store,
    options: CsvOptions,
    snapshot: Snapshot,
    ignored: Vec<String>,
    splits: Vec<Split>,
    layouts: Vec<Layout>,
    pinned: Arc<PinnedStore>,
    output: SchemaRef,
    batch_rows: usize,
}

impl CsvSource {
    /// Reads the headers and checks them against the catalogue.
    pub(crate) async fn open(
        spec: SourceSpec,
        options: CsvOptions,
        request: ReadRequest,
        projected: Vec<usize>,
        snapshot: Snapshot,
    ) -> Result<Self, ConnectorError> {
        options.grammar(0)?;
        for field in spec.fields.fields() {
            if values::column(field.data_type(), options.leading_zeros).is_none() {
                return Err(ConnectorError::config(
                    format!(
                        "field `{}` is of type {}, which delimited text cannot hold",
                        field.name(),
                        field.data_type()
                    ),
                    "use parquet for it, or another type",
                ));
            }
        }
        let pinned = Arc::new(PinnedStore::new(&spec.store, &snapshot)?);
        let headers = read_headers(&spec, &options, &pinned, &snapshot).await?;
        let (layouts, ignored) = arrange(&snapshot, headers, &spec.fields, &projected)?;
        let split = |(file, size): (usize, u64)| Split {
            file,
            first_row: 0,
            rows: None,
            bytes: size,
            held: 0,
        };
        let sizes = snapshot.files.iter().map(|file| file.size);
        let fields = projected
            .iter()
            .filter_map(|&index| spec.fields.fields().get(index));
        let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
        Ok(Self {
            output: Arc::new(Schema::new(fields.map(field).collect::<Vec<_>>())),
            splits: sizes.enumerate().map(split).collect(),
            store: spec.store,
            options,
            snapshot,
            ignored,
            layouts,
            pinned,
            batch_rows: request.batch_rows,
        })
    }

    fn scan(&self, split: usize) -> Result<CsvScan, ConnectorError> {
        let missing = || ConnectorError::bug(format!("split {split} does not exist"));
        let file = self.snapshot.files.get(split).ok_or_else(missing)?;
        let layout = self.layouts.get(split).ok_or_else(missing)?;
        let grammar = self.options.grammar(layout.columns)?;
        let column =
            |field: &Arc<Field>| values::column(field.data_type(), self.options.leading_zeros);
        let columns: Option<Vec<_>> = self.output.fields().iter().map(column).collect();
        Ok(CsvScan {
            records: records(&self.store, &self.options, &self.pinned, file, grammar)?,
            place: self.store.place(&file.path),
            skip_header: self.options.header,
            null: self.options.null.clone().unwrap_or_default(),
            on_malformed: self.options.on_malformed,
            columns: columns.ok_or_else(|| ConnectorError::bug("a column has no builder"))?,
            positions: layout.positions.clone(),
            width: layout.columns,
            output: Arc::clone(&self.output),
            batch_rows: self.batch_rows,
            next_row: 0,
            rows: 0,
            text_bytes: 0,
            malformed: 0,
        })
    }
}

#[async_trait]
impl Source for CsvSource {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn ignored_columns(&self) -> &[String] {
        &self.ignored
    }

    fn splits(&self) -> &[Split] {
        &self.splits
    }

    fn rows_total(&self) -> Option<u64> {
        None
    }

    fn rows_pruned(&self) -> Option<u64> {
        Some(0)
    }

    async fn open(
        &self,
        split: usize,
    ) -> Result<BoxStream<'static, Result<SourceBatch, ConnectorError>>, ConnectorError> {
        let scan = self.scan(split)?;
        let batches = stream::try_unfold(Some(scan), |scan| async {
            match scan {
                Some(scan) => scan.next().await,
                None => Ok(None),
            }
        });
        Ok(batches.boxed())
    }

    async fn confirm_unchanged(&self) -> Result<(), ConnectorError> {
        confirm_unchanged(&self.store, &self.snapshot).await
    }
}

/// A file being read.
struct CsvScan {
    records: Records,
    place: String,
    skip_header: bool,
    null: String,
    on_malformed: OnMalformed,
    columns: Vec<Box<dyn Column>>,
    positions: Vec<usize>,
    width: usize,
    output: SchemaRef,
    batch_rows: usize,
    /// The data row that the next record is, from 0.
    next_row: u64,
    /// Rows in the batch being built; they end at `next_row`.
    rows: usize,
    text_bytes: usize,
    /// Rows dropped since the last batch was handed out.
    malformed: u64,
}

/// Why a record is no row, and the index of the projected field at fault.
struct Problem {
    what: String,
    field: Option<usize>,
    /// Whether it is unknown how many rows are in it.
    swallowed_rows: bool,
}

impl CsvScan {
    async fn next(mut self) -> Result<Option<(SourceBatch, Option<Self>)>, ConnectorError> {
        loop {
            match self.records.step() {
                Step::Bytes => self.records.fetch().await?,
                Step::Record if self.skip_header => self.skip_header = false,
                Step::Record => {
                    if let Some(batch) = self.take_record()? {
                        return Ok(Some((batch, Some(self))));
                    }
                }
                Step::End if self.rows == 0 && self.malformed == 0 => return Ok(None),
                Step::End => return Ok(Some((self.flush()?, None))),
            }
        }
    }

    /// Adds a record to the batch; gives the batch if it is full, or ends before a dropped row.
    fn take_record(&mut self) -> Result<Option<SourceBatch>, ConnectorError> {
        let Err(problem) = self.append() else {
            self.rows = self.rows.saturating_add(1);
            self.next_row = self.next_row.saturating_add(1);
            let full = self.rows >= self.batch_rows || self.text_bytes >= BATCH_BYTES;
            return if full {
                self.flush().map(Some)
            } else {
                Ok(None)
            };
        };
        if problem.swallowed_rows || self.on_malformed == OnMalformed::Fail {
            let name = |index: usize| {
                self.output
                    .fields()
                    .get(index)
                    .map(|field| field.name().clone())
            };
            return Err(ConnectorError::Malformed {
                place: self.place.clone(),
                row: self.next_row.saturating_add(1),
                field: problem.field.and_then(name),
                what: problem.what,
                rows_lost: problem.swallowed_rows,
            });
        }
        // Rows of a batch follow each other in the file, so the batch ends here; this also drops
        // what the record has added to the first columns.
        let batch = if self.rows > 0 {
            Some(self.flush()?)
        } else {
            self.columns
                .iter_mut()
                .for_each(|column| drop(column.finish()));
            None
        };
        self.next_row = self.next_row.saturating_add(1);
        self.malformed = self.malformed.saturating_add(1);
        Ok(batch)
    }

    /// Appends the record to the columns; on a problem, to some of them only.
    fn append(&mut self) -> Result<(), Problem> {
        let record = self.records.record();
        let other_width = record.len() != self.width;
        let what = match record.fault {
            Some(fault) => Some(fault.as_str().to_owned()),
            None => other_width
                .then(|| format!("it has {} columns instead of {}", record.len(), self.width)),
        };
        if let Some(what) = what {
            return Err(Problem {
                what,
                field: None,
                swallowed_rows: record.spans_lines && (record.torn || other_width),
            });
        }
        let unreadable = |index, unfit: Unfit| Problem {
            what: unfit.as_str().to_owned(),
            field: Some(index),
            swallowed_rows: false,
        };
        let text = record.text().ok_or_else(|| unreadable(0, Unfit::Type))?;
        for (index, (column, &position)) in self.columns.iter_mut().zip(&self.positions).enumerate()
        {
            let (value, quoted) = record
                .field(text, position)
                .ok_or_else(|| unreadable(index, Unfit::Type))?;
            if !quoted && value == self.null {
                column.append_null();
            } else {
                column
                    .append(value)
                    .map_err(|unfit| unreadable(index, unfit))?;
            }
        }
        self.text_bytes = self.text_bytes.saturating_add(text.len());
        Ok(())
    }

    /// The rows so far as a batch.
    fn flush(&mut self) -> Result<SourceBatch, ConnectorError> {
        let rows = std::mem::take(&mut self.rows);
        self.text_bytes = 0;
        // A malformed record may have reached some of the columns.
        let array = |column: &mut Box<dyn Column>| column.finish().slice(0, rows);
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)
            .map_err(|_| ConnectorError::bug("columns of a csv batch do not fit together"))?;
        let first_row = self
            .next_row
            .saturating_sub(u64::try_from(rows).unwrap_or(u64::MAX));
        let malformed = std::mem::take(&mut self.malformed);
        Ok(SourceBatch {
            batch,
            first_row,
            malformed,
        })
    }
}

/// Shows where the scan is; neither text nor values.
impl fmt::Debug for CsvScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvScan")
            .field("next_row", &self.next_row)
            .finish_non_exhaustive()
    }
}

fn records(
    store: &Store,
    options: &CsvOptions,
    pinned: &Arc<PinnedStore>,
    file: &SourceFile,
    grammar: Grammar,
) -> Result<Records, ConnectorError> {
    let location = store.resolve(&file.path)?;
    let (pinned, place) = (Arc::clone(pinned), store.place(&file.path));
    Ok(Records::open(
        pinned,
        location,
        file.size,
        place,
        options.encoding,
        grammar,
    ))
}

/// The column names of every file; without headers, the catalogue's.
async fn read_headers(
    spec: &SourceSpec,
    options: &CsvOptions,
    pinned: &Arc<PinnedStore>,
    snapshot: &Snapshot,
) -> Result<Vec<Vec<String>>, ConnectorError> {
    if !options.header {
        let names = spec
            .fields
            .fields()
            .iter()
            .map(|field| field.name().clone());
        let names: Vec<String> = names.collect();
        return Ok(vec![names; snapshot.files.len()]);
    }
    let mut reads = Vec::with_capacity(snapshot.files.len());
    for file in &snapshot.files {
        let records = records(&spec.store, options, pinned, file, options.grammar(2)?)?;
        reads.push(header(records, spec.store.place(&file.path)));
    }
    stream::iter(reads)
        .buffered(CONCURRENT_FILES)
        .try_collect()
        .await
}

async fn header(mut records: Records, place: String) -> Result<Vec<String>, ConnectorError> {
    let damaged = |what: &str| ConnectorError::Damaged {
        place: place.clone(),
        part: Some("its header".to_owned()),
        what: what.to_owned(),
    };
    let Some(record) = records.next().await? else {
        return Err(damaged("the file is empty"));
    };
    if let Some(fault) = record.fault {
        return Err(damaged(fault.as_str()));
    }
    let text = record.text().unwrap_or_default();
    let name = |index| record.field(text, index).map(|(name, _)| name.to_owned());
    Ok((0..record.len()).filter_map(name).collect())
}

/// Finds the projected fields in every file. Types are not checked here: in text, a value either
/// parses or is malformed.
fn arrange(
    snapshot: &Snapshot,
    headers: Vec<Vec<String>>,
    catalogue: &Schema,
    projected: &[usize],
) -> Result<(Vec<Layout>, Vec<String>), ConnectorError> {
    let mut ignored = BTreeSet::new();
    let mut differences = Vec::new();
    let mut layouts = Vec::with_capacity(headers.len());
    for (file, names) in snapshot.files.iter().zip(headers) {
        let stated = |name: &String| {
            let catalogued = catalogue.field_with_name(name);
            let data_type = catalogued.map_or(DataType::Utf8, |field| field.data_type().clone());
            Field::new(name, data_type, true)
        };
        let columns = Schema::new(names.iter().map(stated).collect::<Vec<_>>());
        differences.extend(schema::compare(
            &file.path,
            &columns,
            catalogue,
            &mut ignored,
        ));
        let position = |&index: &usize| {
            let wanted = catalogue.fields().get(index)?.name();
            names.iter().position(|name| name == wanted)
        };
        let positions = projected.iter().filter_map(position).collect();
        layouts.push(Layout {
            columns: names.len(),
            positions,
        });
    }
    if differences.is_empty() {
        Ok((layouts, ignored.into_iter().collect()))
    } else {
        Err(ConnectorError::Schema { differences })
    }
}
