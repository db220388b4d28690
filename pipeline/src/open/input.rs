//! Files of a delivery, read on a thread that may block.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::{GetResult, GetResultPayload};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Pieces of a remote file that wait to be read.
const PIECES_WAITING: usize = 4;

/// A file of a store, as a plain reader.
pub(super) enum Input {
    /// On this machine.
    Local(File),
    /// Elsewhere: a task fetches it, piece by piece, while it is read.
    Remote {
        pieces: mpsc::Receiver<io::Result<Bytes>>,
        piece: Bytes,
        _fetching: AbortOnDropHandle<()>,
    },
}

impl Input {
    /// Begins to fetch a file. To be called on the runtime; read off it.
    pub(super) fn of(found: GetResult) -> Self {
        let found = match found.payload {
            GetResultPayload::File(file, _) => return Self::Local(file),
            GetResultPayload::Stream(_) => found,
        };
        let (send, pieces) = mpsc::channel(PIECES_WAITING);
        let mut stream = found.into_stream();
        let fetching = tokio::runtime::Handle::current().spawn(async move {
            while let Some(piece) = stream.next().await {
                if send.send(piece.map_err(io::Error::other)).await.is_err() {
                    break; // nobody reads any more
                }
            }
        });
        Self::Remote {
            pieces,
            piece: Bytes::new(),
            _fetching: AbortOnDropHandle::new(fetching),
        }
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Local(file) => file.read(out),
            Self::Remote { pieces, piece, .. } => {
                while piece.is_empty() {
                    match pieces.blocking_recv() {
                        Some(next) => *piece = next?,
                        None => return Ok(0),
                    }
                }
                let now = piece.split_to(piece.len().min(out.len()));
                out.split_at_mut(now.len()).0.copy_from_slice(&now);
                Ok(now.len())
            }
        }
    }
}

/// Hashes what is read.
pub(super) struct Hashed<'a> {
    inner: &'a mut Input,
    hasher: Sha256,
    bytes: u64,
}

impl<'a> Hashed<'a> {
    pub(super) fn new(inner: &'a mut Input) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    /// Length and SHA-256 of all that was read, and of a byte that follows it, if one does: what is more
    /// than was stated must not go unnoticed.
    pub(super) fn finish(mut self) -> io::Result<(u64, [u8; 32])> {
        io::copy(&mut self.by_ref().take(1), &mut io::sink())?;
        Ok((self.bytes, self.hasher.finalize().into()))
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.hasher.update(out.get(..read).unwrap_or_default());
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// A file that several readers read, each at its own place.
#[derive(Clone)]
pub(super) struct SharedFile {
    file: Arc<File>,
    length: u64,
}

impl SharedFile {
    pub(super) fn new(file: File, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            length,
        }
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<FileFrom>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(FileFrom {
            file: Arc::clone(&self.file),
            position: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // Lengths come from the file: no memory for more than it has.
        let end = u64::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length))
            .filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(ParquetError::EOF("a range beyond the file".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.file
            .read_exact_at(&mut bytes, start)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(bytes.into())
    }
}

/// Reads a shared file from some place on.
pub(super) struct FileFrom {
    file: Arc<File>,
    position: u64,
}

impl Read for FileFrom {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(out, self.position)?;
        self.position = self
            .position
            .saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
