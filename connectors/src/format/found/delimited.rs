//! Delimited text of unknown grammar: the delimiter is guessed, the rows are taken as they come.

use arrow::record_batch::RecordBatch;

use super::rows::{BatchBuilder, Columns};
use super::text::{Piece, Source, Text};
use super::{Batches, unreadable};
use crate::error::ConnectorError;
use crate::format::csv::records::{Grammar, RECORD_BYTES_MAX, Record, Tokenizer};

/// What stands between fields, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// How many records the delimiter and the number of columns are told from.
const SAMPLE_RECORDS: usize = 100;

fn grammar(delimiter: u8) -> Grammar {
    Grammar {
        delimiter,
        quote: Some(b'"'),
        escape: None,
        skip_blank: true,
    }
}

/// The delimiter by which most of the first records have the same number of fields, more than one;
/// among equals the one that makes the most of them.
pub(super) fn guess_delimiter(sample: &str) -> u8 {
    let mut best = (b',', (false, 0, 0));
    for delimiter in DELIMITERS {
        let widths = sample_widths(sample, delimiter);
        let (width, agreeing) = most_common(&widths);
        let share = agreeing
            .saturating_mul(1_000)
            .checked_div(widths.len())
            .unwrap_or(0);
        let score = (width > 1 && share >= 500, share, width);
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

fn sample_widths(sample: &str, delimiter: u8) -> Vec<usize> {
    let mut tokenizer = Tokenizer::new(grammar(delimiter));
    let mut rest = sample.as_bytes();
    let mut widths = Vec::new();
    while widths.len() < SAMPLE_RECORDS {
        let (taken, complete) = tokenizer.feed(rest);
        rest = rest.get(taken..).unwrap_or_default();
        if complete {
            widths.push(tokenizer.record.len());
        } else {
            // The last record may be cut off, so it counts only if there is no other.
            if widths.is_empty() && tokenizer.finish() {
                widths.push(tokenizer.record.len());
            }
            break;
        }
    }
    widths
}

/// The most common of some widths, the larger one of equals, and how often it occurs.
fn most_common(widths: &[usize]) -> (usize, usize) {
    let count = |&width: &usize| {
        (
            widths.iter().filter(|&&other| other == width).count(),
            width,
        )
    };
    let (agreeing, width) = widths.iter().map(count).max().unwrap_or((0, 0));
    (width, agreeing)
}

/// Finds the columns.
pub(super) fn open(
    source: &Source,
    delimiter: u8,
    header: Option<bool>,
) -> Result<Columns, ConnectorError> {
    let mut records = Records::open(source, delimiter)?;
    let mut first = Vec::new();
    let mut widths = Vec::new();
    while widths.len() < SAMPLE_RECORDS {
        let Some(record) = records.next()? else { break };
        if widths.is_empty() {
            first = fields(record)
                .map(|field| field.unwrap_or_default().to_owned())
                .collect();
        }
        widths.push(record.len());
    }
    let (width, _) = most_common(&widths);
    Columns::from_first_row(&first, width, header, source.place())
}

/// The fields of a record; an empty one is none.
fn fields(record: &Record) -> impl Iterator<Item = Option<&str>> {
    let text = record.text().unwrap_or_default();
    let field = move |index| record.field(text, index).map(|(field, _)| field);
    (0..record.len()).map(move |index| field(index).filter(|field| !field.is_empty()))
}

/// The records of a text.
struct Records {
    text: Text,
    place: String,
    tokenizer: Tokenizer,
    /// Records read.
    count: u64,
}

impl Records {
    fn open(source: &Source, delimiter: u8) -> Result<Self, ConnectorError> {
        Ok(Self {
            text: source.read()?,
            place: source.place().to_owned(),
            tokenizer: Tokenizer::new(grammar(delimiter)),
            count: 0,
        })
    }

    /// The next record.
    ///
    /// # Errors
    /// One that is longer than a record may be.
    fn next(&mut self) -> Result<Option<&Record>, ConnectorError> {
        let mut bytes = 0_usize;
        loop {
            let complete = match self.text.piece()? {
                Piece::Text(text) => {
                    let (taken, complete) = self.tokenizer.feed(text);
                    self.text.consume(taken);
                    bytes = bytes.saturating_add(taken);
                    complete
                }
                Piece::Invalid => {
                    self.tokenizer.invalid_bytes();
                    bytes = bytes.saturating_add(1);
                    false
                }
                Piece::End if self.tokenizer.finish() => true,
                Piece::End => return Ok(None),
            };
            if bytes > RECORD_BYTES_MAX {
                return Err(too_long(&self.place, self.count));
            }
            if complete {
                self.count = self.count.saturating_add(1);
                return Ok(Some(&self.tokenizer.record));
            }
        }
    }
}

/// The error for a record, or a line, that is too long; `before` were read before it.
pub(super) fn too_long(place: &str, before: u64) -> ConnectorError {
    unreadable(
        place,
        Some(format!("row {}", before.saturating_add(1))),
        "it is longer than 16 MiB",
        "check that the file is a table, and close the quote that is open in this row or above it",
    )
}

/// The rows of a text.
pub(super) struct Rows {
    records: Records,
    builder: BatchBuilder,
    width: usize,
    skip_header: bool,
    irregular: u64,
}

impl Rows {
    pub(super) fn open(
        source: &Source,
        delimiter: u8,
        columns: &Columns,
    ) -> Result<Self, ConnectorError> {
        Ok(Self {
            records: Records::open(source, delimiter)?,
            builder: BatchBuilder::new(columns),
            width: columns.names.len(),
            skip_header: columns.has_header,
            irregular: 0,
        })
    }
}

impl Batches for Rows {
    fn next(&mut self) -> Result<Option<RecordBatch>, ConnectorError> {
        while !self.builder.is_full() {
            let Some(record) = self.records.next()? else {
                break;
            };
            if std::mem::take(&mut self.skip_header) {
                continue;
            }
            if record.len() != self.width || record.fault.is_some() {
                self.irregular = self.irregular.saturating_add(1);
            }
            self.builder.push(fields(record));
        }
        self.builder.finish()
    }

    fn irregular(&self) -> u64 {
        self.irregular
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_makes_equal_rows() {
        for (sample, delimiter) in [
            ("a,b,c\n1,2,3\n", b','),
            ("a;b;c\n1,5;2,5;3\n", b';'),
            ("a\tb\n1, or 2\tx\n", b'\t'),
            ("a|b\n1;2|x\n3|y\n", b'|'),
            ("\"a;b\",c\n\"d;\n;\",e\n", b','),
            ("name\nplain, text\nmore; text\n", b'\t'),
            ("name\nvalue\n", b','),
            ("a;b", b';'),
            ("", b','),
        ] {
            let guessed = guess_delimiter(sample);
            assert_eq!(char::from(guessed), char::from(delimiter), "{sample:?}");
        }
    }
}
