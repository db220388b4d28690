//! Generated tables as files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use thiserror::Error;

/// Rows of a Parquet file. A constant, so that the files do not depend on the machine.
const FILE_ROWS: u64 = 125_000;

/// Rows generated at a time.
const BATCH_ROWS: u64 = 12_500;

/// Columns with few different values, worth a dictionary.
const DICTIONARIES: [&str; 10] = [
    "gender",
    "region_code",
    "status",
    "remark",
    "industry",
    "kind",
    "channel",
    "period",
    "diagnosis",
    "visited",
];

/// A table that can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// [`residents`](super::residents).
    Residents,
    /// [`enterprises`](super::enterprises).
    Enterprises,
    /// [`payments`](super::payments).
    Payments,
    /// [`health_records`](super::health_records).
    HealthRecords,
}

impl Table {
    /// The table's schema.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Residents => super::residents_schema(),
            Self::Enterprises => super::enterprises_schema(),
            Self::Payments => super::payments_schema(),
            Self::HealthRecords => super::health_records_schema(),
        }
    }

    /// Rows of the table.
    ///
    /// # Errors
    /// More rows than one Arrow array can hold.
    pub fn rows(self, rows: Range<u64>, seed: u64) -> Result<RecordBatch, ArrowError> {
        match self {
            Self::Residents => super::residents(rows, seed),
            Self::Enterprises => super::enterprises(rows, seed),
            Self::Payments => super::payments(rows, seed),
            Self::HealthRecords => super::health_records(rows, seed),
        }
    }
}

/// Character encoding of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, without a byte order mark.
    Utf8,
    /// GB 18030.
    Gb18030,
}

/// A file of generated data that could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file or its directory could not be written.
    #[error("cannot write {}; check space and permissions", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Arrow refused the table.
    #[error("cannot generate rows for {}", path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
    /// Parquet refused the table.
    #[error("cannot write Parquet to {}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What Parquet said.
        #[source]
        source: ParquetError,
    },
}

/// Writes a table as Parquet files `part-00000.parquet`, … of 125,000 rows each into `directory`,
/// which is created. Files are made in parallel; their content depends on rows and seed only.
///
/// # Errors
/// A file that cannot be written; files written before stay.
pub fn write_parquet(
    directory: &Path,
    table: Table,
    rows: u64,
    seed: u64,
) -> Result<(), WriteError> {
    let io = |source| WriteError::Io {
        path: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(io)?;
    (0..rows.div_ceil(FILE_ROWS).max(1))
        .into_par_iter()
        .try_for_each(|part| {
            let path = directory.join(format!("part-{part:05}.parquet"));
            let first = part * FILE_ROWS;
            write_file(&path, table, first..(first + FILE_ROWS).min(rows), seed)
        })
}

fn write_file(path: &Path, table: Table, rows: Range<u64>, seed: u64) -> Result<(), WriteError> {
    let io = |source| WriteError::Io {
        path: path.to_owned(),
        source,
    };
    let parquet = |source| WriteError::Parquet {
        path: path.to_owned(),
        source,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false);
    for column in DICTIONARIES {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), true);
    }
    let file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io)?);
    let mut writer =
        ArrowWriter::try_new(file, table.schema(), Some(properties.build())).map_err(parquet)?;
    for batch in batches(rows) {
        let batch = table
            .rows(batch, seed)
            .map_err(|source| WriteError::Arrow {
                path: path.to_owned(),
                source,
            })?;
        writer.write(&batch).map_err(parquet)?;
    }
    let file = writer.into_inner().map_err(parquet)?;
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)
}

/// Cuts a range of rows into batches.
fn batches(rows: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = rows.end;
    std::iter::successors(Some(rows.start), |first| first.checked_add(BATCH_ROWS))
        .take_while(move |&first| first < end)
        .map(move |first| first..first.saturating_add(BATCH_ROWS).min(end))
}

/// Writes a table as one CSV file (RFC 4180, lines end in LF) with a line of names. Null is
/// nothing between two delimiters, the empty text is `""`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_csv(
    path: &Path,
    table: Table,
    rows: u64,
    seed: u64,
    encoding: Encoding,
) -> Result<(), WriteError> {
    let io = |source| WriteError::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(io)?;
    }
    let mut file = BufWriter::new(File::create(path).map_err(io)?);
    let schema = table.schema();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let mut text = names.join(",");
    text.push('\n');
    file.write_all(&encode(&text, encoding)).map_err(io)?;
    for batch in batches(0..rows) {
        let lines = table
            .rows(batch, seed)
            .and_then(|batch| csv_lines(&batch))
            .map_err(|source| WriteError::Arrow {
                path: path.to_owned(),
                source,
            })?;
        file.write_all(&encode(&lines, encoding)).map_err(io)?;
    }
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)
}

fn csv_lines(batch: &RecordBatch) -> Result<String, ArrowError> {
    let options = FormatOptions::new();
    let columns = batch
        .columns()
        .iter()
        .map(|column| Ok((column, ArrayFormatter::try_new(column, &options)?)))
        .collect::<Result<Vec<_>, ArrowError>>()?;
    let mut lines = String::new();
    for row in 0..batch.num_rows() {
        for (place, (column, formatter)) in columns.iter().enumerate() {
            if place > 0 {
                lines.push(',');
            }
            if column.is_null(row) {
                continue;
            }
            if *column.data_type() == DataType::Utf8 {
                push_quoted(column.as_string::<i32>().value(row), &mut lines);
            } else {
                formatter.value(row).write(&mut lines)?;
            }
        }
        lines.push('\n');
    }
    Ok(lines)
}

/// Adds text as a CSV value, quoted where it must be and where it is empty or begins or ends in
/// white space.
fn push_quoted(value: &str, lines: &mut String) {
    if !value.is_empty() && value.trim() == value && !value.contains(['"', ',', '\n', '\r']) {
        lines.push_str(value);
        return;
    }
    lines.push('"');
    lines.push_str(&value.replace('"', "\"\""));
    lines.push('"');
}

fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        // GB 18030 can write all of Unicode, so nothing is replaced.
        Encoding::Gb18030 => encoding_rs::GB18030.encode(text).0.into_owned(),
    }
}
