//! Arrow IPC files: what is encoded together is one record batch, its buffers compressed. A batch is
//! encoded on any thread and framed here, where it is known where it stands.
//!
//! IPC holds buffers as they are in memory, and with them whatever stands under nulls, behind the last row
//! or between the values. Each column is written anew before, so that nothing does.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, MutableArrayData, RecordBatch, RecordBatchOptions, make_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_ipc::{Block, CompressionType, FooterBuilder, MetadataVersion};
use flatbuffers::FlatBufferBuilder;
use serde::{Deserialize, Serialize};

use super::{CellError, Encoded, Unwritable, rows_of};
use crate::error::ConnectorError;

/// What a file begins and ends with.
pub(crate) const MAGIC: &[u8; 6] = b"ARROW1";

/// What buffers, and the messages that hold them, begin at a multiple of, in bytes.
const ALIGNMENT: usize = 64;

/// A message of no length: there is none after it.
const END_OF_STREAM: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

/// How an Arrow file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrowForm {
    /// How its buffers are compressed.
    pub compression: ArrowCompression,
}

/// How the buffers of an Arrow file are compressed, as a grant writes it: `zstd(1)` to `zstd(22)`, `lz4`
/// or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ArrowCompression {
    /// Not at all.
    None,
    /// LZ4 frames.
    Lz4,
    /// zstd, at a level from 1 to 22.
    Zstd(u8),
}

impl Default for ArrowCompression {
    /// zstd at its fastest ordinary level, as for Parquet.
    fn default() -> Self {
        Self::Zstd(1)
    }
}

impl FromStr for ArrowCompression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let write = "write zstd(1) to zstd(22), lz4 or none";
        let level = || {
            let level = text.strip_prefix("zstd(")?.strip_suffix(')')?;
            level
                .parse()
                .ok()
                .filter(|level: &u8| (1..=22).contains(level))
        };
        match text {
            "none" => Ok(Self::None),
            "lz4" => Ok(Self::Lz4),
            "zstd" => Ok(Self::default()),
            "snappy" => Err(format!(
                "Arrow files are not compressed with snappy; {write}"
            )),
            _ => level()
                .map(Self::Zstd)
                .ok_or_else(|| format!("unknown compression; {write}")),
        }
    }
}

impl fmt::Display for ArrowCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Zstd(level) => write!(f, "zstd({level})"),
        }
    }
}

impl TryFrom<String> for ArrowCompression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ArrowCompression> for String {
    fn from(compression: ArrowCompression) -> Self {
        compression.to_string()
    }
}

/// Turns columns into record batches.
pub(super) struct ArrowBatches {
    schema: SchemaRef,
    options: IpcWriteOptions,
}

impl ArrowBatches {
    pub(super) fn new(schema: &SchemaRef, form: &ArrowForm) -> Result<Self, ConnectorError> {
        let (codec, level) = match form.compression {
            ArrowCompression::None => (None, None),
            ArrowCompression::Lz4 => (Some(CompressionType::LZ4_FRAME), None),
            ArrowCompression::Zstd(level) => (Some(CompressionType::ZSTD), Some(level.into())),
        };
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)
            .and_then(|options| options.try_with_compression(codec))
            .and_then(|options| options.try_with_compression_level(level))
            .map_err(|_| {
                ConnectorError::config(
                    "Arrow files are not compressed so",
                    "write compression = \"zstd(1)\"",
                )
            })?;
        Ok(Self {
            schema: Arc::clone(schema),
            options,
        })
    }

    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Result<Encoded, CellError> {
        let failed = |column| {
            move |_: ArrowError| CellError {
                column,
                row: 0,
                why: Unwritable::Unformatted,
            }
        };
        let clean = columns.iter().enumerate().map(|(column, array)| {
            let clean = scrubbed(&array.to_data()).map_err(failed(column))?;
            Ok(make_array(clean))
        });
        let clean = clean.collect::<Result<Vec<ArrayRef>, CellError>>()?;
        self.message(clean, rows_of(columns)).map_err(failed(0))
    }

    fn message(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<Encoded, ArrowError> {
        // Names within lists and maps are those of the schema, whatever a column calls them.
        let options = RecordBatchOptions::new()
            .with_match_field_names(false)
            .with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let (dictionaries, message) = IpcDataGenerator::default().encode(
            &batch,
            &mut DictionaryTracker::new(true),
            &self.options,
            &mut IpcWriteContext::default(),
        )?;
        if !dictionaries.is_empty() {
            return Err(ArrowError::SchemaError(
                "a delivered column has a dictionary".to_owned(),
            ));
        }
        let length = message.ipc_message.len() + message.arrow_data.len() + 2 * ALIGNMENT;
        let mut bytes = Vec::with_capacity(length);
        let (head, _) = write_message(&mut bytes, message, &self.options)?;
        Ok(Encoded {
            bytes,
            guarded: 0,
            head,
        })
    }

    pub(super) fn open<W: Write>(&self, mut sink: W) -> io::Result<ArrowFile<W>> {
        let mut head = MAGIC.to_vec();
        head.resize(ALIGNMENT, 0);
        let schema = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
            &self.schema,
            &mut DictionaryTracker::new(true),
            &self.options,
        );
        write_message(&mut head, schema, &self.options).map_err(io::Error::other)?;
        sink.write_all(&head)?;
        Ok(ArrowFile {
            sink,
            schema: Arc::clone(&self.schema),
            blocks: Vec::new(),
            offset: head.len(),
        })
    }
}

/// An Arrow file under way.
pub(super) struct ArrowFile<W: Write> {
    sink: W,
    schema: SchemaRef,
    /// Where the batches stand.
    blocks: Vec<Block>,
    /// Bytes written.
    offset: usize,
}

impl<W: Write> ArrowFile<W> {
    pub(super) fn append(&mut self, batch: &Encoded) -> io::Result<()> {
        self.sink.write_all(&batch.bytes)?;
        let body = batch.bytes.len().saturating_sub(batch.head);
        let long = |bytes: usize| i64::try_from(bytes).map_err(io::Error::other);
        let head = i32::try_from(batch.head).map_err(io::Error::other)?;
        let block = Block::new(long(self.offset)?, head, long(body)?);
        self.blocks.push(block);
        self.offset = self.offset.saturating_add(batch.bytes.len());
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        let mut builder = FlatBufferBuilder::new();
        let none: [Block; 0] = [];
        let dictionaries = builder.create_vector(&none);
        let batches = builder.create_vector(&self.blocks);
        let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, &self.schema);
        let mut footer = FooterBuilder::new(&mut builder);
        footer.add_version(MetadataVersion::V5);
        footer.add_schema(schema);
        footer.add_dictionaries(dictionaries);
        footer.add_recordBatches(batches);
        let footer = footer.finish();
        builder.finish(footer, None);
        let footer = builder.finished_data();
        let length = i32::try_from(footer.len()).map_err(io::Error::other)?;
        self.sink.write_all(&END_OF_STREAM)?;
        self.sink.write_all(footer)?;
        self.sink.write_all(&length.to_le_bytes())?;
        self.sink.write_all(MAGIC)?;
        Ok(self.sink)
    }
}

/// The same values in buffers of their own: zeros under nulls, nothing between values or behind them.
fn scrubbed(array: &ArrayData) -> Result<ArrayData, ArrowError> {
    let children = array.child_data();
    // Buffers without nulls are cut to their rows by IPC; only of truths it keeps the rest of a byte.
    if array.null_count() == 0 && children.is_empty() && *array.data_type() != DataType::Boolean {
        return Ok(array.clone());
    }
    let array = if children.is_empty() {
        array.clone()
    } else {
        let children = children.iter().map(scrubbed).collect::<Result<_, _>>()?;
        array.clone().into_builder().child_data(children).build()?
    };
    let mut fresh = MutableArrayData::new(vec![&array], array.null_count() > 0, array.len());
    let mut end = 0;
    match array.nulls() {
        None => fresh.try_extend(0, 0, array.len())?,
        Some(nulls) => {
            for (start, stop) in nulls.valid_slices() {
                if start > end {
                    fresh.try_extend_nulls(start - end)?;
                }
                fresh.try_extend(0, start, stop)?;
                end = stop;
            }
            if array.len() > end {
                fresh.try_extend_nulls(array.len() - end)?;
            }
        }
    }
    Ok(fresh.freeze())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow::array::{BooleanArray, Int64Array, ListArray, StringArray, StructArray};
    use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
    use arrow::datatypes::{Field, Fields, Schema};
    use arrow_ipc::reader::FileReader;

    use super::super::{RowEncoder, RowFormat, count_rows};
    use super::*;

    /// What must not be found in a file.
    const CANARY: i64 = i64::from_le_bytes(*b"CANARY!!");
    const WORD: &str = "CANARY!!";

    fn format(compression: ArrowCompression) -> RowFormat {
        RowFormat::Arrow(ArrowForm { compression })
    }

    fn file(columns: &[ArrayRef], format: &RowFormat, rows: &[usize]) -> Vec<u8> {
        let fields = (0..).zip(columns).map(|(number, column)| {
            Field::new(format!("c{number}"), column.data_type().clone(), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let encoder = RowEncoder::new(schema, format, &[]).unwrap();
        let mut file = encoder.open(Vec::new()).unwrap();
        let mut first = 0;
        for rows in rows {
            let slice: Vec<_> = columns.iter().map(|c| c.slice(first, *rows)).collect();
            let at = u64::try_from(first).unwrap();
            file.append(&encoder.encode(&slice, at).unwrap()).unwrap();
            first += rows;
        }
        file.finish().unwrap()
    }

    /// Columns of 4 rows with a canary wherever a value is not to be seen: under nulls, before and behind
    /// the rows, between texts, in lists and structs.
    fn columns_with_canaries() -> Vec<ArrayRef> {
        let nulls = || Some(NullBuffer::from(vec![true, false, true, true, false, true]));
        let numbers = ScalarBuffer::from(vec![1, CANARY, 2, 3, CANARY, 4]);
        let numbers: ArrayRef = Arc::new(Int64Array::new(numbers, nulls()));
        let text = format!("a{WORD}bcc{WORD}d");
        let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 1, 9, 10, 12, 20, 21]));
        let texts = StringArray::new(offsets, Buffer::from(text.as_bytes()), nulls());
        let texts: ArrayRef = Arc::new(texts);
        let truths = BooleanBuffer::collect_bool(64, |_| true);
        let truths: ArrayRef = Arc::new(BooleanArray::new(truths.slice(3, 6), nulls()));
        let field = Arc::new(Field::new("item", DataType::Utf8, true));
        let ends = OffsetBuffer::new(ScalarBuffer::from(vec![0, 1, 2, 3, 4, 5, 6]));
        let lists = ListArray::new(field, ends, Arc::clone(&texts), nulls());
        let fields: Fields = vec![Field::new("n", DataType::Int64, true)].into();
        let bare = ScalarBuffer::from(vec![1, CANARY, 2, 3, CANARY, 4]);
        let bare: ArrayRef = Arc::new(Int64Array::new(bare, None));
        let structs = StructArray::new(fields, vec![bare], nulls());
        let columns: Vec<ArrayRef> =
            vec![numbers, texts, truths, Arc::new(lists), Arc::new(structs)];
        columns.iter().map(|column| column.slice(1, 4)).collect()
    }

    #[test]
    fn columns_come_back_in_every_compression_and_nothing_else_is_in_the_file() {
        let columns = columns_with_canaries();
        for text in ["none", "lz4", "zstd", "zstd(19)"] {
            let format = format(text.parse().unwrap());
            let bytes = file(&columns, &format, &[3, 1]);
            assert_eq!(bytes, file(&columns, &format, &[3, 1]));
            let rows = count_rows(Cursor::new(&bytes), &format, false).unwrap();
            assert_eq!(rows, 4, "{text}");
            let reader = FileReader::try_new(Cursor::new(&bytes), None).unwrap();
            let batches: Vec<_> = reader.map(Result::unwrap).collect();
            assert_eq!(batches.len(), 2);
            for (at, column) in columns.iter().enumerate() {
                assert_eq!(batches[0].column(at).as_ref(), column.slice(0, 3).as_ref());
                assert_eq!(batches[1].column(at).as_ref(), column.slice(3, 1).as_ref());
            }
        }
        let bare = file(&columns, &format(ArrowCompression::None), &[4]);
        let found = bare.windows(8).any(|found| found == WORD.as_bytes());
        assert!(!found, "what stood under a null is in the file");
    }

    #[test]
    fn truths_under_nulls_and_behind_the_rows_are_false() {
        let column = &columns_with_canaries()[2];
        let clean = scrubbed(&column.to_data()).unwrap();
        // Rows 0 and 3 of the four are null; the byte has four more bits.
        assert_eq!(clean.buffers()[0].as_slice(), [0b0110]);
    }

    #[test]
    fn a_file_without_rows_names_its_fields() {
        let columns = columns_with_canaries();
        let format = format(ArrowCompression::default());
        let bytes = file(&columns, &format, &[]);
        let count = |bytes: &[u8]| count_rows(Cursor::new(bytes), &format, false);
        assert_eq!(count(&bytes).unwrap(), 0);
        let reader = FileReader::try_new(Cursor::new(&bytes), None).unwrap();
        assert_eq!(reader.schema().fields().len(), 5);
        for short in [0, 5, 17, bytes.len() - 1] {
            assert!(count(&bytes[..short]).is_err(), "{short}");
        }
    }

    #[test]
    fn compressions_are_written_as_they_are_read() {
        for text in ["none", "lz4", "zstd(1)", "zstd(22)"] {
            let compression: ArrowCompression = text.parse().unwrap();
            assert_eq!(compression.to_string(), text);
        }
        for text in ["snappy", "zstd(0)", "zstd(23)", "gzip", "zstd(1"] {
            let error = text.parse::<ArrowCompression>().unwrap_err();
            assert!(error.contains("; write zstd(1)"), "{error}");
        }
    }
}
