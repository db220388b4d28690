//! Opening an envelope: as a stream, or at any offset. Nothing is given before its chunk was verified.

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use super::super::suite::TAG_BYTES;
use super::super::{Binding, DekSource, DekUse, SealError, Suite};
use super::chunks::{
    CHUNK_BYTES, COMMITMENT_BYTES, Chunks, SALT_BYTES, SEALED_CHUNK_BYTES, is_same,
};
use super::header::{Header, read_exact};
use crate::error::ConnectorError;
use crate::keyring::KEY_BYTES;

/// Bytes that are read ahead, sealed.
const AHEAD_BYTES: usize = 16 * SEALED_CHUNK_BYTES;

/// Gives what is in an envelope, from its beginning to its end, chunk by verified chunk.
///
/// Reading fails once a chunk is not as it was sealed, and keeps failing. **Only when it ended without
/// an error has the whole file been there**: what was read before an error is to be thrown away.
pub struct EnvelopeReader<R: Read> {
    inner: BufReader<R>,
    message: Message,
}

impl<R: Read> EnvelopeReader<R> {
    /// Reads the header, unwraps the file's key and checks the commitment to it. The envelope must be
    /// that of `binding` and of `file_name`, its name in the delivery.
    ///
    /// # Errors
    /// If it is another envelope or none, its key does not unwrap, or `inner` cannot be read.
    pub fn open(
        inner: R,
        binding: &Binding,
        file_name: &str,
        keys: &dyn DekSource,
    ) -> Result<Self, ConnectorError> {
        let mut inner = BufReader::with_capacity(AHEAD_BYTES, inner);
        let (chunks, _) = begin(&mut inner, binding, file_name, keys)?;
        let message = Message::new(chunks);
        Ok(Self { inner, message })
    }

    /// Opens a message of chunked encryption.
    #[cfg(test)]
    pub(super) fn of_message(
        inner: R,
        suite: Suite,
        input_key: &[u8; KEY_BYTES],
        context: &[u8],
    ) -> io::Result<Self> {
        let mut inner = BufReader::with_capacity(AHEAD_BYTES, inner);
        let chunks = committed(&mut inner, suite, input_key, context)?;
        let message = Message::new(chunks);
        Ok(Self { inner, message })
    }
}

impl<R: Read> Read for EnvelopeReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        self.message.read(&mut self.inner, out)
    }
}

impl<R: Read> fmt::Debug for EnvelopeReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeReader")
            .field("chunk", &self.message.next)
            .finish_non_exhaustive()
    }
}

/// The chunks of a message, one after the other.
struct Message {
    chunks: Chunks,
    /// Number of the next chunk to be read.
    next: u64,
    /// The last chunk read, opened in place.
    chunk: Zeroizing<Vec<u8>>,
    /// What of it was given, and how much there is to give.
    given: usize,
    open: usize,
    state: State,
}

enum State {
    /// More chunks follow.
    Within,
    /// The last chunk was verified.
    Ended,
    Failed(SealError),
}

impl Message {
    fn new(chunks: Chunks) -> Self {
        Self {
            chunks,
            next: 0,
            chunk: Zeroizing::new(vec![0; SEALED_CHUNK_BYTES]),
            given: 0,
            open: 0,
            state: State::Within,
        }
    }

    fn read(&mut self, inner: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.open {
            match &self.state {
                State::Ended => return Ok(0),
                State::Failed(error) => return Err(error.clone().into()),
                State::Within => self.advance(inner)?,
            }
        }
        let ready = self.chunk.get(self.given..self.open).unwrap_or_default();
        let now = ready.len().min(out.len());
        out.split_at_mut(now)
            .0
            .copy_from_slice(ready.split_at(now).0);
        self.given = self.given.saturating_add(now);
        Ok(now)
    }

    /// Reads and opens the next chunk. An error of `inner` itself leaves the message as it was only
    /// if nothing was consumed, so it ends the message too.
    fn advance(&mut self, inner: &mut impl Read) -> io::Result<()> {
        self.given = 0;
        self.open = 0;
        // Until the chunk is verified there is nothing to go on with.
        self.state = State::Failed(SealError::Truncated);
        let length = fill(inner, &mut self.chunk)?;
        let sealed = self.chunk.get_mut(..length).unwrap_or_default();
        match self.chunks.open(self.next, sealed) {
            Ok(bytes) => {
                self.open = bytes.len();
                self.next = self.next.saturating_add(1);
                self.state = if length == SEALED_CHUNK_BYTES {
                    State::Within
                } else {
                    State::Ended
                };
                Ok(())
            }
            Err(error) => {
                self.state = State::Failed(error.clone());
                Err(error.into())
            }
        }
    }
}

/// An envelope that can be read at any offset.
///
/// Opening it verifies the last chunk, and so the length; every read verifies the chunks it touches.
/// One opened chunk is kept in memory.
pub struct EnvelopeFile<R: Read + Seek> {
    inner: R,
    chunks: Chunks,
    /// Where the first chunk begins.
    start: u64,
    /// Bytes of the file.
    length: u64,
    /// The chunk that was opened last.
    chunk: Zeroizing<Vec<u8>>,
    opened: Option<(u64, usize)>,
}

impl<R: Read + Seek> EnvelopeFile<R> {
    /// As [`EnvelopeReader::open`]; `inner` begins with the envelope and ends with it.
    ///
    /// # Errors
    /// As [`EnvelopeReader::open`], and if the last chunk is not as it was sealed.
    pub fn open(
        mut inner: R,
        binding: &Binding,
        file_name: &str,
        keys: &dyn DekSource,
    ) -> Result<Self, ConnectorError> {
        let place = |error: io::Error| of_io(&error, file_name);
        inner.rewind().map_err(place)?;
        let (chunks, start) = begin(&mut inner, binding, file_name, keys)?;
        Self::of_chunks(inner, chunks, start).map_err(place)
    }

    /// Opens a message of chunked encryption.
    #[cfg(test)]
    pub(super) fn of_message(
        mut inner: R,
        suite: Suite,
        input_key: &[u8; KEY_BYTES],
        context: &[u8],
    ) -> io::Result<Self> {
        let chunks = committed(&mut inner, suite, input_key, context)?;
        Self::of_chunks(inner, chunks, to_u64(SALT_BYTES + COMMITMENT_BYTES))
    }

    fn of_chunks(mut inner: R, chunks: Chunks, start: u64) -> io::Result<Self> {
        let end = inner.seek(SeekFrom::End(0))?;
        let sealed = end.checked_sub(start).ok_or(SealError::Truncated)?;
        let whole = sealed / to_u64(SEALED_CHUNK_BYTES);
        let last = (sealed % to_u64(SEALED_CHUNK_BYTES))
            .checked_sub(to_u64(TAG_BYTES))
            .ok_or(SealError::Truncated)?;
        let length = whole
            .saturating_mul(to_u64(CHUNK_BYTES))
            .saturating_add(last);
        let mut file = Self {
            inner,
            chunks,
            start,
            length,
            chunk: Zeroizing::new(vec![0; SEALED_CHUNK_BYTES]),
            opened: None,
        };
        let opened = file.load(whole)?;
        if to_u64(opened) == last {
            Ok(file)
        } else {
            Err(SealError::Truncated.into())
        }
    }

    /// Bytes of the file in the envelope.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads what the file holds at `offset` into `out`, and returns how much that was: less than asked
    /// for only where the file ends.
    ///
    /// # Errors
    /// If a chunk is not as it was sealed, or `inner` cannot be read.
    pub fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut position = offset;
        let mut rest = out;
        let mut read = 0usize;
        while !rest.is_empty() && position < self.length {
            let number = position / to_u64(CHUNK_BYTES);
            let within = usize::try_from(position % to_u64(CHUNK_BYTES)).unwrap_or(usize::MAX);
            let opened = self.load(number)?;
            let ready = self.chunk.get(within..opened).unwrap_or_default();
            let now = ready.len().min(rest.len());
            if now == 0 {
                // The file has shrunk since its length was verified.
                return Err(SealError::Truncated.into());
            }
            let (filled, unfilled) = rest.split_at_mut(now);
            filled.copy_from_slice(ready.split_at(now).0);
            rest = unfilled;
            read = read.saturating_add(now);
            position = position.saturating_add(to_u64(now));
        }
        Ok(read)
    }

    /// Reads and opens a chunk; returns how many bytes of the file it holds.
    fn load(&mut self, number: u64) -> io::Result<usize> {
        if let Some((opened, bytes)) = self.opened
            && opened == number
        {
            return Ok(bytes);
        }
        self.opened = None;
        let before = number.saturating_mul(to_u64(SEALED_CHUNK_BYTES));
        let offset = self.start.saturating_add(before);
        self.inner.seek(SeekFrom::Start(offset))?;
        let length = fill(&mut self.inner, &mut self.chunk)?;
        let sealed = self.chunk.get_mut(..length).unwrap_or_default();
        let bytes = self.chunks.open(number, sealed)?.len();
        self.opened = Some((number, bytes));
        Ok(bytes)
    }
}

impl<R: Read + Seek> fmt::Debug for EnvelopeFile<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeFile")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Reads header, salt and commitment; gives the message's keys and where its chunks begin.
fn begin(
    inner: &mut impl Read,
    binding: &Binding,
    file_name: &str,
    keys: &dyn DekSource,
) -> Result<(Chunks, u64), ConnectorError> {
    let place = |error: io::Error| of_io(&error, file_name);
    let header = Header::read(inner, binding, file_name).map_err(place)?;
    let aad = binding.wrap_aad(file_name, DekUse::File);
    let dek = keys.dek(&header.wrapped, &aad)?;
    let suite = binding.suite();
    let hash = suite.hash(&header.bytes);
    let chunks = committed(inner, suite, dek.expose(), &hash).map_err(place)?;
    let start = to_u64(header.bytes.len()).saturating_add(to_u64(SALT_BYTES + COMMITMENT_BYTES));
    Ok((chunks, start))
}

/// Reads salt and commitment, and checks that this key and context are the ones committed to.
fn committed(
    inner: &mut impl Read,
    suite: Suite,
    input_key: &[u8; KEY_BYTES],
    context: &[u8],
) -> io::Result<Chunks> {
    let mut salt = [0; SALT_BYTES];
    read_exact(inner, &mut salt)?;
    let mut stated = [0; COMMITMENT_BYTES];
    read_exact(inner, &mut stated)?;
    let (chunks, commitment) = Chunks::derive(suite, input_key, &salt, context)?;
    if is_same(&stated, &commitment) {
        Ok(chunks)
    } else {
        Err(SealError::Commitment.into())
    }
}

/// Reads until `out` is full or the end is reached.
fn fill(inner: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0usize;
    while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match inner.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn of_io(error: &io::Error, place: &str) -> ConnectorError {
    match SealError::of_io(error) {
        Some(error) => error.clone().into(),
        None => ConnectorError::from_io(error, place),
    }
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
