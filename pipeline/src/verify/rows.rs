//! Counting the rows of files that aren't Parquet: they are read from the store in pieces, Arrow files
//! where they say what they hold, others to their end.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use lockgate_connectors::format::write::{RowFormat, arrow_rows, count_rows};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;

/// Bytes fetched at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// How many rows a file has, and which fields, where it says so itself.
type Found = (u64, Option<SchemaRef>);

/// Looks at a file of `size` bytes at `location`. The inner error says why it isn't of its format.
///
/// # Errors
/// A store that cannot be read.
pub(super) async fn look(
    store: &Arc<dyn ObjectStore>,
    location: Path,
    size: u64,
    format: &RowFormat,
    is_bundle: bool,
) -> Result<Result<Found, String>, object_store::Error> {
    let file = StoredFile {
        store: Arc::clone(store),
        location,
        size,
        position: 0,
        piece: Bytes::new(),
        piece_start: 0,
        runtime: Handle::current(),
    };
    let format = format.clone();
    let look = move || match (&format, is_bundle) {
        (RowFormat::Arrow(_), false) => arrow_rows(file).map(|(rows, schema)| (rows, Some(schema))),
        _ => count_rows(file, &format, is_bundle).map(|rows| (rows, None)),
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(found)) => Ok(Ok(found)),
        Ok(Err(error)) => match error.downcast::<object_store::Error>() {
            Ok(of_store) => Err(of_store),
            Err(_) => Ok(Err("it is cut off, or not of its format".to_owned())),
        },
        // A malformed file may make a parser panic; that is a finding, not a crash.
        Err(_) => Ok(Err("it cannot be read".to_owned())),
    }
}

/// A file of a store, read where it is asked for.
struct StoredFile {
    store: Arc<dyn ObjectStore>,
    location: Path,
    size: u64,
    position: u64,
    /// What was fetched last, and where it begins.
    piece: Bytes,
    piece_start: u64,
    runtime: Handle,
}

impl Read for StoredFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size {
            return Ok(0);
        }
        let within = self.position.checked_sub(self.piece_start);
        let within = within.and_then(|within| usize::try_from(within).ok());
        let mut rest = within.and_then(|within| self.piece.get(within..));
        if rest.is_none_or(<[u8]>::is_empty) {
            let end = self.position.saturating_add(PIECE_BYTES).min(self.size);
            let range = self.position..end;
            let fetched = self.store.get_range(&self.location, range);
            self.piece = self.runtime.block_on(fetched).map_err(io::Error::other)?;
            self.piece_start = self.position;
            rest = Some(&self.piece);
        }
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        let read = u64::try_from(length).unwrap_or(0);
        self.position = self.position.saturating_add(read);
        Ok(length)
    }
}

impl Seek for StoredFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "before the beginning");
        self.position = position.ok_or_else(before)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use lockgate_connectors::format::write::{ArrowForm, CsvForm, RowEncoder};
    use object_store::memory::InMemory;

    use super::*;

    async fn counted(text: String) -> Result<u64, String> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let location = Path::from("part-00000.csv");
        let size = u64::try_from(text.len()).unwrap();
        store.put(&location, text.into()).await.unwrap();
        let format = RowFormat::Csv(CsvForm::default());
        let looked = look(&store, location, size, &format, false).await.unwrap();
        looked.map(|(rows, fields)| {
            assert!(fields.is_none());
            rows
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_are_counted_over_many_pieces() {
        let mut text = "id,text\r\n".to_owned();
        for row in 0..150_000 {
            write!(text, "{row},\"a\nb\"\"c\"\r\n").unwrap();
        }
        assert!(text.len() > 2 << 20);
        assert_eq!(counted(text).await, Ok(150_000));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_arrow_file_says_its_rows_and_its_fields() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let location = Path::from("part-00000.arrow");
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let format = RowFormat::Arrow(ArrowForm::default());
        let encoder = RowEncoder::new(Arc::clone(&schema), &format, &[]).unwrap();
        let mut file = encoder.open(Vec::new()).unwrap();
        file.append(&encoder.encode(&[column], 0).unwrap()).unwrap();
        let bytes = file.finish().unwrap();
        for cut in [0, 1] {
            let bytes = bytes[..bytes.len() - cut].to_vec();
            let size = u64::try_from(bytes.len()).unwrap();
            store.put(&location, bytes.into()).await.unwrap();
            let looked = look(&store, location.clone(), size, &format, false).await;
            match looked.unwrap() {
                Ok((rows, fields)) => {
                    assert_eq!((cut, rows), (0, 3));
                    assert_eq!(fields.as_deref(), Some(schema.as_ref()));
                }
                Err(_) => assert_eq!(cut, 1),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_is_cut_off_is_found() {
        for text in ["id\r\n1\r\n2", "id\r\n\"1\r\n", ""] {
            assert!(counted(text.to_owned()).await.is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_a_fault_of_the_store() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let gone = Path::from("part-00000.jsonl");
        let looked = look(&store, gone, 5, &RowFormat::Jsonl, false).await;
        assert!(matches!(looked, Err(object_store::Error::NotFound { .. })));
    }
}
