//! Reading an Arrow IPC file that nobody vouches for. Every length that it states is held to what there
//! is, and to a limit, before memory is taken for it.
//!
//! The crate's own reader takes memory as blocks and compressed buffers say. What is left to it here are
//! single record batches, looked at before. It may still panic on what is malformed: whoever reads files
//! of unknown origin catches that.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::SchemaRef;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{
    Block, CompressionType, Message, MetadataVersion, RecordBatch as Batch, root_as_footer,
    root_as_message,
};

use super::write::ARROW_MAGIC;

/// Bytes before the first message: the magic, and what aligns it.
const HEAD_BYTES: u64 = 8;

/// Bytes behind the footer: its length, and the magic.
const TAIL_BYTES: u64 = 10;

/// Largest footer that is read.
const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// Largest description of a batch that is read.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// Largest batch that is read, as it stands in the file and unpacked.
const BATCH_BYTES_MAX: u64 = 1 << 30;

/// What all dictionaries of a file may take together.
const DICTIONARIES_BYTES_MAX: u64 = 1 << 30;

/// What a dictionary costs at least: a list of millions of empty ones takes its time, too.
const DICTIONARY_BYTES_MIN: u64 = 4_096;

/// Most rows of a batch.
const BATCH_ROWS_MAX: u64 = 1 << 31;

/// An Arrow file, its footer read.
pub(super) struct IpcFile<F> {
    file: F,
    schema: SchemaRef,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

impl<F: Read + Seek> IpcFile<F> {
    /// Reads the footer.
    ///
    /// # Errors
    /// What keeps the file from being read, or that it is none.
    pub(super) fn open(mut file: F) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        let end = size
            .checked_sub(TAIL_BYTES)
            .filter(|end| *end >= HEAD_BYTES)
            .ok_or_else(|| malformed("it is too short"))?;
        let (mut head, mut length, mut tail) = ([0; 6], [0; 4], [0; 6]);
        file.rewind()?;
        file.read_exact(&mut head)?;
        file.seek(SeekFrom::Start(end))?;
        file.read_exact(&mut length)?;
        file.read_exact(&mut tail)?;
        if head != *ARROW_MAGIC || tail != *ARROW_MAGIC {
            return Err(malformed("it does not begin and end as an Arrow file"));
        }
        let length = u64::from(u32::from_le_bytes(length));
        let start = end
            .checked_sub(length)
            .filter(|start| *start >= HEAD_BYTES && length <= FOOTER_BYTES_MAX)
            .ok_or_else(|| malformed("its footer is larger than it can be"))?;
        let footer = read(&mut file, start, length)?;
        let footer = root_as_footer(&footer).map_err(|_| malformed("its footer is malformed"))?;
        let blocks = |blocks: Option<flatbuffers::Vector<'_, Block>>| -> io::Result<Vec<Block>> {
            let blocks = blocks.map(|blocks| blocks.iter().copied().collect::<Vec<_>>());
            let blocks = blocks.unwrap_or_default();
            match blocks.iter().all(|block| is_within(block, start)) {
                true => Ok(blocks),
                false => Err(malformed("a batch lies outside of it")),
            }
        };
        let schema = footer
            .schema()
            .ok_or_else(|| malformed("it names no fields"))?;
        Ok(Self {
            schema: Arc::new(fb_to_schema(schema)),
            version: footer.version(),
            dictionaries: blocks(footer.dictionaries())?,
            batches: blocks(footer.recordBatches())?,
            file,
        })
    }

    /// The fields.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows the file has, by what its batches say of themselves.
    ///
    /// # Errors
    /// A batch that cannot be read.
    pub(super) fn rows(&mut self) -> io::Result<u64> {
        let mut rows = 0_u64;
        for block in &self.batches {
            let (start, head, _) =
                extent(block).ok_or_else(|| malformed("a batch is malformed"))?;
            let head = read(&mut self.file, start, head)?;
            let message = message(&head)?;
            let batch = message.header_as_record_batch();
            let batch = batch.ok_or_else(|| malformed("a batch is malformed"))?;
            rows = rows.saturating_add(rows_of(&batch)?);
        }
        Ok(rows)
    }

    /// A reader of the batches.
    ///
    /// # Errors
    /// A dictionary that cannot be read.
    pub(super) fn into_batches(mut self) -> io::Result<IpcBatches<F>> {
        let mut decoder = FileDecoder::new(Arc::clone(&self.schema), self.version);
        // They stay until the last batch is read.
        let mut left = DICTIONARIES_BYTES_MAX;
        for block in &self.dictionaries {
            let (bytes, size) = whole(&mut self.file, block)?;
            left = left
                .checked_sub(size.max(DICTIONARY_BYTES_MIN))
                .ok_or_else(|| malformed("its dictionaries unpack to more than 1 GiB"))?;
            let decoded = decoder.read_dictionary(block, &bytes);
            decoded.map_err(|_| malformed("a dictionary is malformed"))?;
        }
        Ok(IpcBatches {
            file: self.file,
            decoder,
            batches: self.batches.into_iter(),
        })
    }
}

/// The record batches of a file, one after another.
pub(super) struct IpcBatches<F> {
    file: F,
    decoder: FileDecoder,
    batches: std::vec::IntoIter<Block>,
}

impl<F: Read + Seek> Iterator for IpcBatches<F> {
    type Item = io::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.batches.next()?;
        let bytes = match whole(&mut self.file, &block) {
            Ok((bytes, _)) => bytes,
            Err(error) => return Some(Err(error)),
        };
        let batch = self.decoder.read_record_batch(&block, &bytes);
        match batch {
            Ok(batch) => batch.map(Ok),
            Err(_) => Some(Err(malformed("a batch is malformed"))),
        }
    }
}

/// Where a block begins, and the bytes of its head and its body.
fn extent(block: &Block) -> Option<(u64, u64, u64)> {
    let start = u64::try_from(block.offset()).ok()?;
    let head = u64::try_from(block.metaDataLength()).ok()?;
    let body = u64::try_from(block.bodyLength()).ok()?;
    Some((start, head, body))
}

/// Whether a block lies between the head of a file and its footer.
fn is_within(block: &Block, footer: u64) -> bool {
    extent(block).is_some_and(|(start, head, body)| {
        let end = start
            .checked_add(head)
            .and_then(|end| end.checked_add(body));
        start >= HEAD_BYTES
            && (8..=MESSAGE_BYTES_MAX).contains(&head)
            && end.is_some_and(|end| end <= footer)
    })
}

/// A block of a file, once it is known how much it unpacks to, and the bytes that it takes then: of the
/// block or unpacked, whichever is more. Buffers that are not compressed keep the block.
fn whole<F: Read + Seek>(file: &mut F, block: &Block) -> io::Result<(Buffer, u64)> {
    let (start, head, body) = extent(block).ok_or_else(|| malformed("a batch is malformed"))?;
    if body > BATCH_BYTES_MAX {
        return Err(malformed("a batch is larger than 1 GiB"));
    }
    let length = head.saturating_add(body);
    let bytes = read(file, start, length)?;
    let (head, body) = usize::try_from(head)
        .ok()
        .and_then(|head| bytes.split_at_checked(head))
        .ok_or_else(|| malformed("a batch is malformed"))?;
    let message = message(head)?;
    let batch = message.header_as_record_batch().or_else(|| {
        let dictionary = message.header_as_dictionary_batch();
        dictionary.and_then(|dictionary| dictionary.data())
    });
    let batch = batch.ok_or_else(|| malformed("a batch is malformed"))?;
    rows_of(&batch)?;
    match unpacked(&batch, body) {
        Some(size) => Ok((bytes.into(), size.max(length))),
        None => Err(malformed(
            "a batch unpacks to more than 1 GiB, or to more or less than it says",
        )),
    }
}

fn message(head: &[u8]) -> io::Result<Message<'_>> {
    // Files of before 2019 have no continuation marker.
    let from = match head.starts_with(&[0xFF; 4]) {
        true => head.get(8..),
        false => head.get(4..),
    };
    let message = from.and_then(|message| root_as_message(message).ok());
    message.ok_or_else(|| malformed("a batch is malformed"))
}

fn rows_of(batch: &Batch<'_>) -> io::Result<u64> {
    let rows = u64::try_from(batch.length()).ok();
    rows.filter(|rows| *rows <= BATCH_ROWS_MAX)
        .ok_or_else(|| malformed("a batch has more rows than it can"))
}

/// Bytes that the buffers of a batch unpack to; none if that is more than is read, or one lies outside of
/// the body.
fn unpacked(batch: &Batch<'_>, body: &[u8]) -> Option<u64> {
    let codec = batch.compression().map(|compression| compression.codec());
    let mut sum = 0_u64;
    for buffer in batch.buffers()? {
        let start = usize::try_from(buffer.offset()).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        let bytes = body.get(start..start.checked_add(length)?)?;
        // Compressed buffers begin with how long they were; -1 says that this one was left as it is.
        let stated = bytes
            .split_first_chunk::<8>()
            .filter(|_| codec.is_some())
            .map(|(stated, packed)| (i64::from_le_bytes(*stated), packed))
            .filter(|(stated, _)| *stated != -1);
        let size = match stated {
            Some((stated, _)) => stated,
            None => buffer.length(),
        };
        let size = u64::try_from(size).ok()?;
        sum = sum
            .checked_add(size)
            .filter(|sum| *sum <= BATCH_BYTES_MAX)?;
        if let Some((_, packed)) = stated
            && codec == Some(CompressionType::LZ4_FRAME)
            && size > 0
            && !is_frame_of(packed, size)
        {
            return None;
        }
    }
    Some(sum)
}

/// Whether an LZ4 frame unpacks to that many bytes. The crate holds zstd to what is stated, but takes
/// memory for as much as an LZ4 frame gives, and compares afterwards.
fn is_frame_of(packed: &[u8], size: u64) -> bool {
    let frame = lz4_flex::frame::FrameDecoder::new(packed);
    let unpacked = io::copy(&mut frame.take(size.saturating_add(1)), &mut io::sink());
    unpacked.is_ok_and(|unpacked| unpacked == size)
}

/// Bytes of a file, of which it is known that it has them.
fn read<F: Read + Seek>(file: &mut F, start: u64, length: u64) -> io::Result<MutableBuffer> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = MutableBuffer::from_len_zeroed(length);
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(bytes.as_slice_mut())?;
    Ok(bytes)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow_ipc::writer::FileWriter;

    use super::super::write::{ArrowCompression, ArrowForm, RowEncoder, RowFormat};
    use super::*;

    /// A file of two batches of 1,000 rows, and where its footer states the first of them.
    fn file() -> (Vec<u8>, usize) {
        file_of(ArrowForm::default())
    }

    fn file_of(form: ArrowForm) -> (Vec<u8>, usize) {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![7; 1_000]));
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        let format = RowFormat::Arrow(form);
        let encoder = RowEncoder::new(Arc::new(schema), &format, &[]).unwrap();
        let mut file = encoder.open(Vec::new()).unwrap();
        for _ in 0..2 {
            let rows = encoder.encode(std::slice::from_ref(&column), 0).unwrap();
            file.append(&rows).unwrap();
        }
        let bytes = file.finish().unwrap();
        let block = IpcFile::open(Cursor::new(&bytes)).unwrap().batches[0].0;
        let at = bytes.windows(24).rposition(|found| found == block);
        (bytes, at.unwrap())
    }

    /// Writes a number into the first block of the footer.
    fn with(at: usize, number: &[u8]) -> Vec<u8> {
        let (mut bytes, block) = file();
        let at = block + at;
        bytes[at..at + number.len()].copy_from_slice(number);
        bytes
    }

    fn read_all(bytes: &[u8]) -> io::Result<u64> {
        let batches = IpcFile::open(Cursor::new(bytes))?.into_batches()?;
        let mut rows = 0;
        for batch in batches {
            rows += u64::try_from(batch?.num_rows()).unwrap();
        }
        Ok(rows)
    }

    #[test]
    fn rows_are_counted_by_what_batches_say_and_read() {
        let (bytes, _) = file();
        let mut counted = IpcFile::open(Cursor::new(&bytes)).unwrap();
        assert_eq!(counted.rows().unwrap(), 2_000);
        assert_eq!(read_all(&bytes).unwrap(), 2_000);
    }

    #[test]
    fn blocks_that_lie_outside_of_the_file_are_refused_before_memory_is_taken() {
        let body = 16;
        for (at, number) in [
            (0, -1_i64),
            (0, 1 << 62),
            (0, 0),
            (body, -1),
            (body, 1 << 62),
            (body, i64::MAX),
        ] {
            let bytes = with(at, &number.to_le_bytes());
            let error = IpcFile::open(Cursor::new(bytes)).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{at}: {number}");
        }
        for head in [-8_i32, 0, i32::MAX] {
            let bytes = with(8, &head.to_le_bytes());
            assert!(IpcFile::open(Cursor::new(bytes)).is_err(), "{head}");
        }
    }

    #[test]
    fn a_buffer_that_says_it_unpacks_to_more_than_there_can_be_is_refused() {
        let (bytes, _) = file();
        let size = 8_000_i64.to_le_bytes();
        let at = bytes.windows(8).position(|found| found == size).unwrap();
        for stated in [1_i64 << 40, i64::MAX, -2] {
            let mut altered = bytes.clone();
            altered[at..at + 8].copy_from_slice(&stated.to_le_bytes());
            let error = read_all(&altered).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{stated}");
        }
    }

    #[test]
    fn an_lz4_buffer_is_unpacked_to_the_length_that_it_states_and_no_further() {
        let compression = ArrowCompression::Lz4;
        let (bytes, _) = file_of(ArrowForm { compression });
        assert_eq!(read_all(&bytes).unwrap(), 2_000);
        let size = 8_000_i64.to_le_bytes();
        let at = bytes.windows(8).position(|found| found == size).unwrap();
        for stated in [8_i64, 7_999, 8_001] {
            let mut altered = bytes.clone();
            altered[at..at + 8].copy_from_slice(&stated.to_le_bytes());
            let block = IpcFile::open(Cursor::new(&altered)).unwrap().batches[0];
            // Before the crate, which compares once it has all of it in memory, is given the block.
            let error = whole(&mut Cursor::new(&altered), &block).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{stated}");
        }
    }

    #[test]
    fn dictionaries_are_held_to_a_limit_together() {
        let values = Int64Array::from(vec![7; 1 << 20]);
        let column = DictionaryArray::new(Int32Array::from(vec![0]), Arc::new(values));
        let column: ArrayRef = Arc::new(column);
        let batch = RecordBatch::try_from_iter([("d", column)]).unwrap();
        let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        let open = || IpcFile::open(Cursor::new(&bytes)).unwrap();
        assert!(open().into_batches().is_ok());
        // As often as makes 1 GiB of it, and what describes it.
        let mut many = open();
        many.dictionaries = many.dictionaries.repeat(128);
        let error = many.into_batches().err().unwrap();
        assert!(error.to_string().contains("dictionaries"), "{error}");
    }

    #[test]
    fn a_footer_larger_than_the_file_is_refused() {
        let (mut bytes, _) = file();
        let at = bytes.len() - 10;
        for length in [u32::MAX, 1 << 30, 0] {
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            assert!(IpcFile::open(Cursor::new(&bytes)).is_err(), "{length}");
        }
    }
}
