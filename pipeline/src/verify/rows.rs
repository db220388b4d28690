//! Counting the rows of files that aren't Parquet: they are read to their end, from the store, in
//! pieces.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use lockgate_connectors::format::write::{RowFormat, count_rows};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;

/// Bytes fetched at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// How many rows a file of `size` bytes at `location` has. The inner error says why it isn't of its
/// format.
///
/// # Errors
/// A store that cannot be read.
pub(super) async fn count(
    store: &Arc<dyn ObjectStore>,
    location: Path,
    size: u64,
    format: &RowFormat,
    is_bundle: bool,
) -> Result<Result<u64, String>, object_store::Error> {
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
    let counted = tokio::task::spawn_blocking(move || count_rows(file, &format, is_bundle)).await;
    match counted {
        Ok(Ok(rows)) => Ok(Ok(rows)),
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

    use lockgate_connectors::format::write::CsvForm;
    use object_store::memory::InMemory;

    use super::*;

    async fn counted(text: String) -> Result<u64, String> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let location = Path::from("part-00000.csv");
        let size = u64::try_from(text.len()).unwrap();
        store.put(&location, text.into()).await.unwrap();
        let format = RowFormat::Csv(CsvForm::default());
        count(&store, location, size, &format, false).await.unwrap()
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
    async fn a_file_that_is_cut_off_is_found() {
        for text in ["id\r\n1\r\n2", "id\r\n\"1\r\n", ""] {
            assert!(counted(text.to_owned()).await.is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_a_fault_of_the_store() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let gone = Path::from("part-00000.jsonl");
        let counted = count(&store, gone, 5, &RowFormat::Jsonl, false).await;
        assert!(matches!(counted, Err(object_store::Error::NotFound { .. })));
    }
}
