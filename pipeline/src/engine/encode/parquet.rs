//! Parquet: row groups column by column, with settings chosen from the data itself.
//!
//! Each row group looks at its first chunk and decides per column between a dictionary and a plain
//! form: hashed and masked identifiers hardly repeat, so a dictionary only costs time and space,
//! and DELTA_LENGTH_BYTE_ARRAY keeps the lengths apart from the bytes, which zstd thanks with a
//! third of the time. The choice depends on the treated rows only, so a rerun makes it again.
//!
//! A sealed file encrypts each page as it is encoded, bound to its place in the file. So its row groups
//! are encoded for the file, by whoever assembles it, and the choice is made for all of them by the first
//! chunk of its first row group: the crate binds settings and keys to one file's writer.
//!
//! Bloom filters are never written; statistics only where a reader may want to prune by them: not of
//! text that hardly repeats, and not of masked or keyed text.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, TimeUnit};
use lockgate_connectors::format::parquet::encryption::{Leaf, encryption_properties};
use lockgate_connectors::seal::SealContext;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Encoding, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator,
    IntoParallelRefMutIterator, ParallelIterator,
};

use super::sink::Sink;
use crate::engine::CHUNK_ROWS;
use crate::engine::chunk::CHUNK_BYTES;
use crate::engine::treat::Chunk;
use crate::error::RunError;

/// Rows of a row group's first chunk from which repetition is judged.
const SAMPLE_ROWS: usize = 4096;

/// Rows after which a row group is closed within a split: 16 chunks.
const GROUP_ROWS: usize = 16 * CHUNK_ROWS;

/// Most rows of a row group: it ends with the chunk that makes it full.
pub(in crate::engine) const GROUP_ROWS_MAX: usize = GROUP_ROWS + CHUNK_ROWS;

/// Bytes of rows, before treatment, after which a row group is closed within a split.
const GROUP_BYTES: u64 = 8 * CHUNK_BYTES;

/// Most row groups of a file: what a sealed page is bound to has 15 bits for the number of its row group.
const GROUPS_MAX: usize = 32_767;

/// A file ends before its footer would exceed this, as it is estimated: half of what is read of one.
const FOOTER_BYTES_MAX: usize = 32 << 20;

/// What a footer holds of a column chunk, at most and but for its path: where it is sealed, its key's
/// metadata and its own, encrypted apart. Plain files are counted so, too, so that they end where sealed
/// ones do.
const CHUNK_METADATA_BYTES: usize = 512;

/// How often the path of a column chunk stands there, at most.
const CHUNK_METADATA_PATHS: usize = 4;

/// Compression of delivered files, as a grant writes it: `zstd(1)` to `zstd(22)`, `snappy`, `lz4`
/// or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression(parquet::basic::Compression);

impl Default for Compression {
    /// zstd at its fastest ordinary level: on masked data higher levels cost 2 to 7 times the time
    /// for a few percent of size.
    fn default() -> Self {
        Self(parquet::basic::Compression::ZSTD(ZstdLevel::default()))
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || "unknown compression; write zstd(1) to zstd(22), snappy, lz4 or none".to_owned();
        let compression = match text {
            "none" => parquet::basic::Compression::UNCOMPRESSED,
            "snappy" => parquet::basic::Compression::SNAPPY,
            "lz4" => parquet::basic::Compression::LZ4_RAW,
            "zstd" => parquet::basic::Compression::ZSTD(ZstdLevel::default()),
            _ => {
                let level = text
                    .strip_prefix("zstd(")
                    .and_then(|rest| rest.strip_suffix(')'))
                    .and_then(|level| level.parse().ok())
                    .and_then(|level| ZstdLevel::try_new(level).ok())
                    .ok_or_else(refused)?;
                parquet::basic::Compression::ZSTD(level)
            }
        };
        Ok(Self(compression))
    }
}

/// Writes a delivery's schema as Parquet.
pub(super) struct ParquetEncoder {
    schema: SchemaRef,
    parquet_schema: SchemaDescriptor,
    compression: Compression,
    file_properties: WriterPropertiesPtr,
    /// What footers say made them.
    software: String,
    /// By column, whether a reader may want to prune by its texts.
    prunable: Vec<bool>,
    /// Bytes that a row group takes in a footer, as estimated.
    group_metadata: usize,
}

impl fmt::Debug for ParquetEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetEncoder")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl ParquetEncoder {
    /// An encoder for files of `schema`; `prunable` says by whose texts a reader may want to prune,
    /// `software` goes into the footers.
    ///
    /// # Errors
    /// A type that Parquet cannot hold.
    pub(super) fn new(
        schema: &Schema,
        prunable: Vec<bool>,
        compression: Compression,
        software: &str,
    ) -> Result<Self, RunError> {
        let fields = schema.fields().iter().map(|field| {
            let data_type = held_type(field.data_type());
            field.as_ref().clone().with_data_type(data_type)
        });
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let parquet_schema = ArrowSchemaConverter::new()
            .with_coerce_types(true)
            .convert(&schema)
            .map_err(|error| RunError::writing(&error))?;
        let mut file_properties = base_properties(compression)
            .set_created_by(software.to_owned())
            .build();
        add_encoded_arrow_schema_to_metadata(&schema, &mut file_properties);
        let leaves = parquet_schema.columns().iter();
        let group_metadata = leaves
            .map(|leaf| CHUNK_METADATA_BYTES + CHUNK_METADATA_PATHS * leaf.path().string().len());
        let group_metadata = group_metadata.sum();
        Ok(Self {
            schema,
            parquet_schema,
            compression,
            file_properties: Arc::new(file_properties),
            software: software.to_owned(),
            prunable,
            group_metadata,
        })
    }

    /// Opens a file.
    pub(super) fn open(&self, sink: Sink) -> Result<ParquetFile, RunError> {
        SerializedFileWriter::new(
            sink,
            self.parquet_schema.root_schema_ptr(),
            Arc::clone(&self.file_properties),
        )
        .map(|writer| ParquetFile {
            writer,
            sealed: None,
            groups: 0,
            group_metadata: self.group_metadata,
        })
        .map_err(|error| RunError::writing(&error))
    }

    /// Opens a sealed file called `name`, with the settings that suit row groups like one that begins
    /// with `first`; `seal` is the keys, and the fields whose columns have keys of their own.
    pub(super) fn open_sealed(
        &self,
        sink: Sink,
        (context, keyed_fields): (&SealContext, &[String]),
        name: &str,
        first: &[ArrayRef],
    ) -> Result<ParquetFile, RunError> {
        let paths: Vec<(String, bool)> = (self.parquet_schema.columns().iter().enumerate())
            .map(|(number, leaf)| {
                let root = self.parquet_schema.get_column_root_idx(number);
                let field = self.schema.fields().get(root);
                let is_keyed = field.is_some_and(|field| keyed_fields.contains(field.name()));
                (leaf.path().string(), is_keyed)
            })
            .collect();
        let leaves = paths.iter().map(|(path, has_own_key)| Leaf {
            path,
            has_own_key: *has_own_key,
        });
        let keys = encryption_properties(context, name, &leaves.collect::<Vec<_>>())?;
        let properties = base_properties(self.compression)
            .set_created_by(self.software.clone())
            .with_file_encryption_properties(keys);
        let mut properties = self.column_properties(properties, first).build();
        add_encoded_arrow_schema_to_metadata(&self.schema, &mut properties);
        let writer = SerializedFileWriter::new(
            sink,
            self.parquet_schema.root_schema_ptr(),
            Arc::new(properties),
        )
        .map_err(|error| RunError::writing(&error))?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&self.schema));
        Ok(ParquetFile {
            writer,
            sealed: Some(factory),
            groups: 0,
            group_metadata: self.group_metadata,
        })
    }

    /// Writers of the leaves of each column, with the settings that suit a row group which begins
    /// with `first`.
    fn column_writers(
        &self,
        first: &[ArrayRef],
    ) -> Result<Vec<Vec<ArrowColumnWriter>>, ParquetError> {
        let properties = self.column_properties(base_properties(self.compression), first);
        // The factory takes its settings from a file writer; this one writes nothing anywhere.
        let settings = SerializedFileWriter::new(
            std::io::sink(),
            self.parquet_schema.root_schema_ptr(),
            Arc::new(properties.build()),
        )?;
        let factory = ArrowRowGroupWriterFactory::new(&settings, Arc::clone(&self.schema));
        Ok(self.by_column(factory.create_column_writers(0)?))
    }

    /// Settings that suit a row group which begins with `first`.
    fn column_properties(
        &self,
        mut properties: WriterPropertiesBuilder,
        first: &[ArrayRef],
    ) -> WriterPropertiesBuilder {
        let leaves = self.parquet_schema.columns().iter().enumerate();
        for (number, leaf) in leaves {
            let path = leaf.path().clone();
            if path.parts().len() > 1 {
                // No reader prunes by what stands within lists; the dictionary falls back by itself.
                properties =
                    properties.set_column_statistics_enabled(path, EnabledStatistics::None);
                continue;
            }
            let root = self.parquet_schema.get_column_root_idx(number);
            let prunable = self.prunable.get(root).is_some_and(|prunable| *prunable);
            let repeated = first.get(root).is_none_or(repeats);
            properties = match (leaf.physical_type(), repeated) {
                (PhysicalType::BYTE_ARRAY, true) if !prunable => {
                    properties.set_column_statistics_enabled(path, EnabledStatistics::None)
                }
                (_, true) => properties,
                (PhysicalType::BYTE_ARRAY, false) => properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                    .set_column_statistics_enabled(path, EnabledStatistics::None),
                (PhysicalType::INT32 | PhysicalType::INT64, false) => properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
                (_, false) => properties.set_column_dictionary_enabled(path, false),
            };
        }
        properties
    }

    /// The writers of leaves, by column.
    fn by_column(&self, writers: Vec<ArrowColumnWriter>) -> Vec<Vec<ArrowColumnWriter>> {
        let mut columns: Vec<Vec<ArrowColumnWriter>> =
            self.schema.fields().iter().map(|_| Vec::new()).collect();
        for (number, writer) in writers.into_iter().enumerate() {
            if let Some(column) = columns.get_mut(self.parquet_schema.get_column_root_idx(number)) {
                column.push(writer);
            }
        }
        columns
    }
}

/// The type in which a file holds a type. Parquet has no seconds, and a bare count of them is an
/// integer to every reader but arrow-rs: they become milliseconds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other type is held as it is"
)]
pub(crate) fn held_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::List(element) => DataType::List(held_within(element)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(held_within).collect()),
        DataType::Map(entries, sorted) => DataType::Map(held_within(entries), *sorted),
        other => other.clone(),
    }
}

fn held_within(field: &FieldRef) -> FieldRef {
    let data_type = held_type(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// A column in the type in which the file holds it.
///
/// # Errors
/// A time that milliseconds cannot count, 292 million years from 1970.
fn in_held_type(column: &ArrayRef, held: &DataType) -> Result<ArrayRef, ParquetError> {
    if column.data_type() == held {
        return Ok(Arc::clone(column));
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    // Arrow's own error holds the value.
    cast_with_options(column, held, &strict).map_err(|_| {
        ParquetError::General("a time in seconds is beyond what Parquet can hold".to_owned())
    })
}

fn base_properties(compression: Compression) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(compression.0)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_bloom_filter_enabled(false)
        // Names within lists and maps as the format's specification has them.
        .set_coerce_types(true)
}

/// Whether values of a column repeat so much that a dictionary pays.
fn repeats(column: &ArrayRef) -> bool {
    let sample = column.slice(0, column.len().min(SAMPLE_ROWS));
    let values = sample.len() - sample.null_count();
    distinct(&sample).is_none_or(|distinct| 2 * distinct <= values.max(1))
}

/// Different values of a column; `None` for types whose dictionary is never in question.
fn distinct(sample: &ArrayRef) -> Option<usize> {
    if let DataType::Utf8 = sample.data_type() {
        let strings = sample.as_string::<i32>();
        return Some(strings.iter().flatten().collect::<HashSet<_>>().len());
    }
    let width = sample.data_type().primitive_width()?;
    let data = sample.to_data();
    let bytes = data.buffers().first()?.as_slice();
    let start = data.offset().checked_mul(width)?;
    let end = start.checked_add(data.len().checked_mul(width)?)?;
    let slots = bytes.get(start..end)?.chunks_exact(width);
    Some(
        slots
            .enumerate()
            .filter(|(row, _)| sample.is_valid(*row))
            .map(|(_, value)| value)
            .collect::<HashSet<_>>()
            .len(),
    )
}

/// Whether a row group of so many rows, of so many bytes before treatment, ends.
pub(in crate::engine) fn is_full_group(rows: usize, bytes: u64) -> bool {
    rows >= GROUP_ROWS || bytes >= GROUP_BYTES
}

/// A row group under way. Used on a rayon pool.
pub(in crate::engine) struct ParquetGroupWriter {
    /// Of each column, the writers of its leaves.
    columns: Vec<Vec<ArrowColumnWriter>>,
    rows: usize,
    bytes: u64,
}

impl ParquetGroupWriter {
    /// Begins a row group whose first chunk will be `first`.
    pub(super) fn begin(encoder: &ParquetEncoder, first: &[ArrayRef]) -> Result<Self, RunError> {
        let columns = encoder
            .column_writers(first)
            .map_err(|error| RunError::writing(&error))?;
        Ok(Self {
            columns,
            rows: 0,
            bytes: 0,
        })
    }

    /// Begins the next row group of a sealed file.
    pub(super) fn begin_in(encoder: &ParquetEncoder, file: &ParquetFile) -> Result<Self, RunError> {
        let factory = file.sealed.as_ref().ok_or_else(|| RunError::Internal {
            what: "a row group was to be encoded for a file that isn't sealed".to_owned(),
        })?;
        let writers = factory
            .create_column_writers(file.groups)
            .map_err(|error| RunError::writing(&error))?;
        Ok(Self {
            columns: encoder.by_column(writers),
            rows: 0,
            bytes: 0,
        })
    }

    /// Rows written.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// What the rows written held before treatment, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the row group has all the rows it may have.
    pub(super) fn is_full(&self) -> bool {
        is_full_group(self.rows, self.bytes)
    }

    /// Encodes chunks, columns in parallel.
    pub(super) fn write(
        mut self,
        encoder: &ParquetEncoder,
        chunks: &[Chunk],
    ) -> Result<Self, RunError> {
        self.columns
            .par_iter_mut()
            .enumerate()
            .zip(encoder.schema.fields().as_ref().par_iter())
            .with_max_len(1)
            .try_for_each(|((at, writers), field)| {
                for column in chunks.iter().filter_map(|chunk| chunk.columns.get(at)) {
                    let held = in_held_type(column, field.data_type())?;
                    let leaves = compute_leaves(field, &held)?;
                    let mut pairs = writers.iter_mut().zip(&leaves);
                    pairs.try_for_each(|(writer, leaf)| writer.write(leaf))?;
                }
                Ok(())
            })
            .map_err(|error: ParquetError| RunError::writing(&error))?;
        for chunk in chunks {
            self.rows += chunk.rows;
            self.bytes = self.bytes.saturating_add(chunk.bytes);
        }
        Ok(self)
    }

    /// Finishes the row group, columns in parallel.
    pub(super) fn close(self) -> Result<ParquetGroup, RunError> {
        let chunks = self
            .columns
            .into_par_iter()
            .with_max_len(1)
            .map(|leaves| leaves.into_iter().map(ArrowColumnWriter::close).collect())
            .collect::<Result<Vec<Vec<_>>, _>>()
            .map_err(|error| RunError::writing(&error))?;
        Ok(ParquetGroup {
            chunks: chunks.into_iter().flatten().collect(),
            rows: self.rows,
        })
    }
}

/// An encoded row group, ready to be appended to a file.
#[derive(Debug)]
pub(in crate::engine) struct ParquetGroup {
    chunks: Vec<ArrowColumnChunk>,
    rows: usize,
}

impl ParquetGroup {
    /// Rows in the group.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}

/// A file under way.
pub(super) struct ParquetFile {
    writer: SerializedFileWriter<Sink>,
    /// Makes the writers of columns that encrypt for this file, where it is sealed.
    sealed: Option<ArrowRowGroupWriterFactory>,
    /// Row groups appended.
    groups: usize,
    /// Bytes that each takes in the footer, as estimated.
    group_metadata: usize,
}

impl ParquetFile {
    /// Appends a row group.
    pub(super) fn append(&mut self, group: ParquetGroup) -> Result<(), RunError> {
        // The crate would splice plain pages into a sealed file.
        let is_sealed = self.sealed.is_some();
        let fits = |chunk: &ArrowColumnChunk| {
            chunk.close().metadata.crypto_metadata().is_some() == is_sealed
        };
        if !group.chunks.iter().all(fits) {
            return Err(RunError::Internal {
                what: "a row group was encoded for a file that is sealed otherwise".to_owned(),
            });
        }
        let append = || {
            let mut writer = self.writer.next_row_group()?;
            for chunk in group.chunks {
                chunk.append_to_row_group(&mut writer)?;
            }
            writer.close().map(|_| ())
        };
        append().map_err(|error: ParquetError| RunError::writing(&error))?;
        self.groups += 1;
        Ok(())
    }

    /// Whether another row group would be one too many, or too much for the footer.
    pub(super) fn is_full_of_groups(&self) -> bool {
        let footer = (self.groups + 1).saturating_mul(self.group_metadata);
        self.groups >= GROUPS_MAX || self.groups > 0 && footer > FOOTER_BYTES_MAX
    }

    /// Bytes written so far.
    pub(super) fn bytes_written(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Writes the footer.
    pub(super) fn close(self) -> Result<Sink, RunError> {
        self.writer
            .into_inner()
            .map_err(|error| RunError::writing(&error))
    }
}

#[cfg(test)]
mod tests;
