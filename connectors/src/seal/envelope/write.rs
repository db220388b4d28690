//! Writing an envelope in one pass.

use std::fmt;
use std::io::{self, Write};

use zeroize::Zeroizing;

use super::super::suite::TAG_BYTES;
use super::super::{DekUse, SealContext, SealError, Suite};
use super::chunks::{CHUNK_BYTES, Chunks, SALT_BYTES, SEALED_CHUNK_BYTES};
use super::header::Header;
use crate::error::ConnectorError;
use crate::keyring::KEY_BYTES;

/// Chunks that are handed on together: fewer, larger writes.
const BATCH_CHUNKS: usize = 16;

/// Seals what is written to it into an envelope. **Must be [finished](Self::finish)**: without its
/// last chunk an envelope doesn't open.
///
/// What reaches the inner writer is sealed; bytes that don't fill a chunk yet are kept, and zeroized
/// once sealed or dropped.
pub struct EnvelopeWriter<W: Write> {
    inner: W,
    chunks: Chunks,
    /// Number of the chunk being filled.
    chunk: u64,
    /// Sealed chunks not handed on yet, then the bytes of the chunk being filled.
    pending: Zeroizing<Vec<u8>>,
    /// Bytes at the beginning of `pending` that are sealed.
    sealed: usize,
    /// Whether something failed: a half-written envelope is not gone on with.
    failed: bool,
}

impl<W: Write> EnvelopeWriter<W> {
    /// Begins an envelope: writes its header to `inner`. `file_name` is the name the envelope will
    /// have in its delivery (`part-00000.csv.gdx`).
    ///
    /// # Errors
    /// If the file's key cannot be made or wrapped, or the header cannot be written.
    pub fn new(
        mut inner: W,
        context: &SealContext,
        file_name: &str,
    ) -> Result<Self, ConnectorError> {
        let dek = context.new_dek()?;
        let wrapped = context.wrap(&dek, file_name, DekUse::File)?;
        let header = Header::new(context.binding(), file_name, wrapped)?;
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| SealError::Random)?;
        let suite = context.suite();
        let hash = suite.hash(&header.bytes);
        inner
            .write_all(&header.bytes)
            .map_err(|error| ConnectorError::from_io(&error, file_name))?;
        Self::of_message(inner, suite, dek.expose(), &salt, &hash)
            .map_err(|error| ConnectorError::from_io(&error, file_name))
    }

    /// Begins a message of chunked encryption.
    pub(super) fn of_message(
        mut inner: W,
        suite: Suite,
        input_key: &[u8; KEY_BYTES],
        salt: &[u8; SALT_BYTES],
        context: &[u8],
    ) -> io::Result<Self> {
        let (chunks, commitment) = Chunks::derive(suite, input_key, salt, context)?;
        inner.write_all(salt)?;
        inner.write_all(&commitment)?;
        Ok(Self {
            inner,
            chunks,
            chunk: 0,
            // Reserved once, so that growing leaves no copy behind.
            pending: Zeroizing::new(Vec::with_capacity(BATCH_CHUNKS * SEALED_CHUNK_BYTES)),
            sealed: 0,
            failed: false,
        })
    }

    /// Seals the last chunk and gives back the inner writer, which is neither flushed nor closed.
    ///
    /// # Errors
    /// If the rest cannot be written, or something failed before.
    pub fn finish(mut self) -> io::Result<W> {
        self.guarded(|writer| {
            writer.seal_chunk()?;
            writer.hand_on()
        })?;
        Ok(self.inner)
    }

    /// The inner writer. What is sealed may not have reached it yet.
    pub fn inner(&self) -> &W {
        &self.inner
    }

    /// Bytes of the chunk being filled.
    fn filled(&self) -> usize {
        self.pending.len().saturating_sub(self.sealed)
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES.saturating_sub(self.filled());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            // A full chunk is never the last one, so it needn't be known whether more will come.
            if self.filled() == CHUNK_BYTES {
                self.seal_chunk()?;
                if self.sealed >= BATCH_CHUNKS * SEALED_CHUNK_BYTES {
                    self.hand_on()?;
                }
            }
        }
        Ok(())
    }

    fn seal_chunk(&mut self) -> io::Result<()> {
        let (_, bytes) = self.pending.split_at_mut(self.sealed);
        let tag: [u8; TAG_BYTES] = self.chunks.seal(self.chunk, bytes)?;
        self.pending.extend_from_slice(&tag);
        self.sealed = self.pending.len();
        self.chunk = self.chunk.saturating_add(1);
        Ok(())
    }

    /// Writes the sealed chunks, if nothing unsealed is behind them or to be kept.
    fn hand_on(&mut self) -> io::Result<()> {
        let (sealed, _) = self.pending.split_at(self.sealed);
        self.inner.write_all(sealed)?;
        self.pending.drain(..self.sealed);
        self.sealed = 0;
        Ok(())
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other(
                "an envelope is not gone on with after a failure",
            ));
        }
        let worked = work(self);
        self.failed = worked.is_err();
        worked
    }
}

impl<W: Write> Write for EnvelopeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.guarded(|writer| writer.take(bytes))
    }

    /// Hands on what fills whole chunks; the rest waits for more, or for [`Self::finish`].
    fn flush(&mut self) -> io::Result<()> {
        self.guarded(|writer| {
            writer.hand_on()?;
            writer.inner.flush()
        })
    }
}

impl<W: Write> fmt::Debug for EnvelopeWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeWriter")
            .field("chunk", &self.chunk)
            .finish_non_exhaustive()
    }
}
