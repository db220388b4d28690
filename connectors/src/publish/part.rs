//! A file being staged: hashed while written, read back before anything may name it.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::local::LocalPart;
use super::remote::RemotePart;
use crate::durable;
use crate::error::ConnectorError;

/// A file that was closed, synced and read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Path within the delivery: `ATTEMPT/part-00000.parquet`.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, as written and as read back.
    pub sha256: [u8; 32],
}

/// Writes one file of an attempt.
///
/// To be used from threads that may block: a full buffer waits for the disk or the network. On a
/// thread that drives the runtime, writing to a remote store panics. Dropped without
/// [`Self::finish`], the file is never named by anything; an upload under way is aborted.
pub struct PartWriter {
    path: String,
    sink: Sink,
    hasher: Sha256,
    bytes: u64,
    staged: Arc<Mutex<Vec<StagedFile>>>,
}

/// Where a part's bytes go.
pub(super) enum Sink {
    Local(LocalPart),
    Remote(RemotePart),
    /// Nowhere.
    Void,
}

impl From<LocalPart> for Sink {
    fn from(part: LocalPart) -> Self {
        Self::Local(part)
    }
}

impl From<RemotePart> for Sink {
    fn from(part: RemotePart) -> Self {
        Self::Remote(part)
    }
}

impl PartWriter {
    pub(super) fn new(path: String, sink: Sink, staged: Arc<Mutex<Vec<StagedFile>>>) -> Self {
        Self {
            path,
            sink,
            hasher: Sha256::new(),
            bytes: 0,
            staged,
        }
    }

    /// The file's name, without the attempt's folder.
    pub fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name)
    }

    /// A part that keeps nothing, for whoever wants to know what would be written.
    pub fn into_void(name: &str) -> Self {
        Self::new(name.to_owned(), Sink::Void, Arc::default())
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Closes the file, makes it durable, reads it back and compares.
    ///
    /// # Errors
    /// [`ConnectorError::Altered`] if what is read back isn't what was written, or is gone; else
    /// what kept the file from being written, with its place.
    pub fn finish(self) -> Result<StagedFile, ConnectorError> {
        let sha256: [u8; 32] = self.hasher.finalize().into();
        match self.sink {
            Sink::Local(part) => part.finish(self.bytes, &sha256)?,
            Sink::Remote(part) => part.finish(self.bytes, &sha256)?,
            Sink::Void => {}
        }
        let file = StagedFile {
            path: self.path,
            bytes: self.bytes,
            sha256,
        };
        self.staged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(file.clone());
        Ok(file)
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Local(part) => part.write_all(bytes),
            Sink::Remote(part) => part.write_all(bytes),
            Sink::Void => Ok(()),
        }
        .map_err(io::Error::other)?;
        self.hasher.update(bytes);
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Does nothing: only [`Self::finish`] makes anything durable.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartWriter")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// The hash and length of what is read back.
#[derive(Default)]
pub(super) struct ReadBack {
    hasher: Sha256,
    bytes: u64,
}

impl ReadBack {
    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }

    /// Compares with what was written.
    pub(super) fn confirm(
        self,
        place: String,
        bytes: u64,
        sha256: &[u8; 32],
    ) -> Result<(), ConnectorError> {
        if self.bytes != bytes {
            let what = format!("{bytes} bytes were written and {} are there", self.bytes);
            return Err(ConnectorError::Altered { place, what });
        }
        let found: [u8; 32] = self.hasher.finalize().into();
        if found != *sha256 {
            let (written, found) = (durable::hex(sha256), durable::hex(&found));
            let what = format!("its SHA-256 is {found}, of what was written {written}");
            return Err(ConnectorError::Altered { place, what });
        }
        Ok(())
    }
}
